// Memory of vectors of one thread, kept from call to call.
class Scratch {
 public:
  ~Scratch() { release(); }
  V* take(size_t count) {
    if (count > size_) {
      release();
      data_ = static_cast<V*>(::operator new(count * sizeof(V), std::align_val_t{sizeof(V)}));
      size_ = count;
    }
    return data_;
  }

 private:
  void release() {
    if (data_) ::operator delete(data_, std::align_val_t{sizeof(V)});
    data_ = nullptr;
  }
  V* data_ = nullptr;
  size_t size_ = 0;
};

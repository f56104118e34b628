// What entry points for XLA have in common: arrays of a call, and work that the threads of its pool share.
#include <atomic>
#include <memory>
#include <vector>

#include "xla/ffi/api/c_api.h"

#if defined(__x86_64__)
#define PAUSE() __builtin_ia32_pause()
#else
#define PAUSE()
#endif

namespace {

struct Arrays {
  const XLA_FFI_CallFrame* frame;
  const XLA_FFI_Buffer& argument(int i) const {
    return *static_cast<const XLA_FFI_Buffer*>(frame->args.args[i]);
  }
  const XLA_FFI_Buffer& result(int i) const { return *static_cast<const XLA_FFI_Buffer*>(frame->rets.rets[i]); }
  // Null for an array without entries: the caller does not have it, or does not want it.
  template <typename T>
  static T* data(const XLA_FFI_Buffer& buffer) {
    for (int64_t i = 0; i < buffer.rank; i++)
      if (buffer.dims[i] == 0) return nullptr;
    return static_cast<T*>(buffer.data);
  }
  const float* in(int i) const { return data<const float>(argument(i)); }
  float* out(int i) const { return data<float>(result(i)); }
};

// The parts of a work in as many stretches as threads may come. A thread takes those of a stretch of its own,
// then what others left of theirs: the same rows mostly come to the same core's cache, call after call.
class Progress {
 public:
  Progress(int64_t parts, int64_t threads) : stretches_(threads) {
    for (int64_t i = 0; i < threads; i++) {
      stretches_[i].next = parts * i / threads;
      stretches_[i].end = parts * (i + 1) / threads;
    }
  }
  // A part that nobody has taken yet; -1 where none is left.
  int64_t take(int64_t thread) {
    const int64_t threads = stretches_.size();
    for (int64_t i = 0; i < threads; i++) {
      Stretch& stretch = stretches_[(thread + i) % threads];
      if (stretch.next < stretch.end) {
        const int64_t part = stretch.next++;
        if (part < stretch.end) return part;
      }
    }
    return -1;
  }
  // For works of two stages: parts of the first that are done, parts of the second that are taken.
  std::atomic<int64_t> done{0}, second{0};

 private:
  struct alignas(64) Stretch {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };
  std::vector<Stretch> stretches_;
};

// What several threads share; it lives until the last of them lets go. Work has a number of `parts()`;
// `run(progress, thread)` does parts until none is left.
template <typename Work>
struct Shared {
  Shared(const Work& work, int64_t threads) : work(work), progress(work.parts(), threads) {}
  const Work work;
  Progress progress;
  std::atomic<int64_t> threads{1}, busy{0};
};

// A helper that starts late finds no part left and touches nothing of the call.
template <typename Work>
void help(void* data) {
  std::unique_ptr<std::shared_ptr<Shared<Work>>> handle(static_cast<std::shared_ptr<Shared<Work>>*>(data));
  Shared<Work>& shared = **handle;
  shared.busy++;
  shared.work.run(shared.progress, shared.threads++);
  shared.busy--;
}

// Threads of the pool; one where it does not say.
int64_t count_threads(const XLA_FFI_CallFrame* frame) {
  int64_t threads = 1;
  XLA_FFI_ThreadPool_NumThreads_Args count{};
  count.struct_size = XLA_FFI_ThreadPool_NumThreads_Args_STRUCT_SIZE;
  count.ctx = frame->ctx;
  count.num_threads = &threads;
  if (XLA_FFI_Error* error = frame->api->XLA_FFI_ThreadPool_NumThreads(&count)) {
    XLA_FFI_Error_Destroy_Args destroy{};
    destroy.struct_size = XLA_FFI_Error_Destroy_Args_STRUCT_SIZE;
    destroy.error = error;
    frame->api->XLA_FFI_Error_Destroy(&destroy);
    return 1;
  }
  return threads;
}

template <typename Work>
void run_on_pool(const XLA_FFI_CallFrame* frame, const Work& work) {
  const int64_t parts = work.parts();
  const int64_t threads = parts < 2 ? 1 : std::min(parts, count_threads(frame));
  if (threads < 2) {
    Progress progress(parts, 1);
    return work.run(progress, 0);
  }
  auto shared = std::make_shared<Shared<Work>>(work, threads);
  for (int64_t i = 1; i < threads; i++) {
    XLA_FFI_ThreadPool_Schedule_Args schedule{};
    schedule.struct_size = XLA_FFI_ThreadPool_Schedule_Args_STRUCT_SIZE;
    schedule.ctx = frame->ctx;
    schedule.task = help<Work>;
    schedule.data = new std::shared_ptr<Shared<Work>>(shared);
    if (frame->api->XLA_FFI_ThreadPool_Schedule(&schedule))
      delete static_cast<std::shared_ptr<Shared<Work>>*>(schedule.data);
  }
  shared->work.run(shared->progress, 0);
  // The parts that are left are being worked on by threads that run.
  while (shared->busy > 0) PAUSE();
}

// Whether XLA only asks which version of its interface this is.
bool answers_metadata(XLA_FFI_CallFrame* frame) {
  auto* extension = frame->extension_start;  // a type that JAX 0.11 renamed
  if (extension == nullptr || extension->type != XLA_FFI_Extension_Metadata) return false;
  XLA_FFI_Metadata* metadata = reinterpret_cast<XLA_FFI_Metadata_Extension*>(extension)->metadata;
  metadata->api_version.major_version = XLA_FFI_API_MAJOR;
  metadata->api_version.minor_version = XLA_FFI_API_MINOR;
  return true;
}

}  // namespace

// A network of dense layers with tanh between them, and its reverse: `pct_network` and `pct_network_reverse`.
//
// Products are made of tiles, some rows and two vectors of columns, that stay in registers. Their right matrix
// lies in panels: WIDE columns of all its rows after each other, with zeros beyond the last column.
#include <algorithm>
#include <vector>

constexpr int TALL = 6, WIDE = 2 * LANES;
// Rows that a thread takes at once, and rows that a sum over rows takes at once.
constexpr int64_t CHUNK = 4 * TALL, DEEP = 128;

INLINE int64_t panels(int64_t columns) { return (columns + WIDE - 1) / WIDE; }
INLINE int64_t padded(int64_t columns) { return panels(columns) * WIDE; }
INLINE V load(const float* from) {
  V value;
  memcpy(&value, from, sizeof value);
  return value;
}
INLINE void store(V value, float* to) { memcpy(to, &value, sizeof value); }

// Of a row's LANES numbers from a column on those that there are; others are zero.
INLINE V load_part(const float* row, int64_t column, int64_t columns) {
  if (column + LANES <= columns) return load(row + column);
  V value{};
  if (column < columns) memcpy(&value, row + column, (columns - column) * sizeof(float));
  return value;
}
INLINE void store_part(V value, float* row, int64_t column, int64_t columns) {
  if (column + LANES <= columns)
    store(value, row + column);
  else if (column < columns)
    memcpy(row + column, &value, (columns - column) * sizeof(float));
}

// A left matrix, by steps in memory from row to row and along a row.
struct Left {
  const float* data;
  int64_t row, inner;
};

// begin(row, column) gives what a sum starts from; end(row, column, sum) takes it, for LANES columns.
template <int ROWS, typename Begin, typename End>
INLINE void tile(Left left, int64_t row, int64_t inner, const float* panel, int64_t column, Begin begin, End end) {
  V sums[ROWS][2];
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; r++)
    for (int c = 0; c < 2; c++) sums[r][c] = begin(row + r, column + c * LANES);
  const float* from = left.data + row * left.row;
  for (int64_t k = 0; k < inner; k++, from += left.inner, panel += WIDE) {
    const V low = load(panel), high = load(panel + LANES);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++) {
      const V factor = splat(from[r * left.row]);
      sums[r][0] += factor * low;
      sums[r][1] += factor * high;
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; r++)
    for (int c = 0; c < 2; c++) end(row + r, column + c * LANES, sums[r][c]);
}

// Rows [0, rows) of the left times one panel of the right.
template <typename Begin, typename End>
INLINE void multiply(Left left, int64_t rows, int64_t inner, const float* panel, int64_t column, Begin begin, End end) {
  int64_t row = 0;
  for (; row + TALL <= rows; row += TALL) tile<TALL>(left, row, inner, panel, column, begin, end);
  for (; row + 4 <= rows; row += 4) tile<4>(left, row, inner, panel, column, begin, end);
  for (; row + 2 <= rows; row += 2) tile<2>(left, row, inner, panel, column, begin, end);
  for (; row < rows; row++) tile<1>(left, row, inner, panel, column, begin, end);
}

// A matrix (inner, columns) in panels; by its steps in memory.
static void pack(const float* from, int64_t inner, int64_t columns, int64_t row, int64_t column, float* to) {
  for (int64_t first = 0; first < columns; first += WIDE, to += inner * WIDE) {
    const int64_t count = std::min<int64_t>(WIDE, columns - first);
    const float* block = from + first * column;
    if (column == 1) {
      for (int64_t k = 0; k < inner; k++) {
        if (count == WIDE)
          memcpy(to + k * WIDE, block + k * row, WIDE * sizeof(float));
        else
          for (int64_t j = 0; j < WIDE; j++) to[k * WIDE + j] = j < count ? block[k * row + j] : 0.0f;
      }
    } else {
      for (int64_t j = 0; j < WIDE; j++)
        for (int64_t k = 0; k < inner; k++) to[k * WIDE + j] = j < count ? block[k * row + j * column] : 0.0f;
    }
  }
}

struct Layer {
  int64_t inputs, outputs;
  const float *weights, *bias;  // (inputs, outputs), (outputs); in the reverse no bias
  float* values;                // (B, padded outputs), what the next layer reads; null for the last
  float* slopes;                // (panels, B, WIDE), the loss by the layer's sums
  float *by_weights, *by_bias;  // out
};

struct Network {
  int64_t windows;
  const float* features;  // (B, inputs of the first layer)
  float* answers;         // out (B, outputs of the last layer)
  std::vector<Layer> layers;

  int64_t chunks() const { return (windows + CHUNK - 1) / CHUNK; }
  // Memory: weights in panels, each layer's bias before them.
  size_t size() const {
    size_t total = 0;
    for (const Layer& a : layers) total += (1 + a.inputs) * padded(a.outputs);
    return total;
  }
  int64_t parts() const { return chunks(); }

  void run(Progress& progress) const {
    static thread_local Scratch scratch;
    float* packed = nullptr;
    for (int64_t part = progress.next++; part < chunks(); part = progress.next++) {
      if (!packed) pack_all(packed = reinterpret_cast<float*>(scratch.take(size() / LANES)));
      forward(packed, part * CHUNK, std::min(CHUNK, windows - part * CHUNK));
    }
  }

 private:
  void pack_all(float* to) const {
    for (const Layer& a : layers) {
      pack(a.bias, 1, a.outputs, a.outputs, 1, to);
      to += padded(a.outputs);
      pack(a.weights, a.inputs, a.outputs, a.outputs, 1, to);
      to += a.inputs * padded(a.outputs);
    }
  }

  void forward(const float* packed, int64_t row, int64_t rows) const {
    Left left{features + row * layers[0].inputs, layers[0].inputs, 1};
    for (const Layer& a : layers) {
      const int64_t width = padded(a.outputs);
      const float *bias = packed, *panel = packed + width;
      float* const to = a.values ? a.values + row * width : answers + row * a.outputs;
      const auto begin = [=](int64_t, int64_t c) { return load(bias + c); };
      for (int64_t column = 0; column < width; column += WIDE, panel += a.inputs * WIDE) {
        if (a.values)
          multiply(left, rows, a.inputs, panel, column, begin,
                   [=](int64_t r, int64_t c, V sum) { store(vtanh(sum), to + r * width + c); });
        else
          multiply(left, rows, a.inputs, panel, column, begin,
                   [=](int64_t r, int64_t c, V sum) { store_part(sum, to + r * a.outputs, c, a.outputs); });
      }
      packed = panel;
      left = {to, width, 1};
    }
  }
};

struct NetworkReverse {
  int64_t windows;
  const float* features;    // (B, inputs of the first layer)
  const float* cotangents;  // (B, outputs of the last layer)
  float* by_first;          // out (B, outputs of the first layer), the loss by its sums
  std::vector<Layer> layers;

  int64_t chunks() const { return (windows + CHUNK - 1) / CHUNK; }
  // The gradient of a layer's weights is summed in slices of TALL of its rows.
  static int64_t slices(const Layer& a) { return std::max<int64_t>(1, (a.inputs + TALL - 1) / TALL); }
  int64_t widest() const {
    int64_t most = 0;
    for (const Layer& a : layers) most = std::max(most, padded(a.outputs));
    return most;
  }
  // Memory: turned weights in panels, without those of the first layer; slopes of a chunk at two layers.
  size_t size() const {
    size_t total = 2 * CHUNK * widest();
    for (size_t i = 1; i < layers.size(); i++) total += layers[i].outputs * padded(layers[i].inputs);
    return total;
  }
  int64_t parts() const {
    int64_t total = chunks();
    for (const Layer& a : layers) total += slices(a);
    return total;
  }

  // Sums over windows wait for all chunks: each is done, or with a thread that runs.
  void run(Progress& progress) const {
    static thread_local Scratch scratch;
    float* memory = nullptr;
    const int64_t total = parts();
    for (int64_t part = progress.next++; part < total; part = progress.next++) {
      if (part < chunks()) {
        if (!memory) pack_all((memory = reinterpret_cast<float*>(scratch.take(size() / LANES))) + 2 * CHUNK * widest());
        backward(memory, part * CHUNK, std::min(CHUNK, windows - part * CHUNK));
        progress.done++;
      } else {
        while (progress.done < chunks()) PAUSE();
        sum_slice(part - chunks());
      }
    }
  }

 private:
  // From the last layer to the second.
  void pack_all(float* to) const {
    for (size_t i = layers.size() - 1; i > 0; i--) {
      const Layer& a = layers[i];
      pack(a.weights, a.outputs, a.inputs, 1, a.outputs, to);
      to += a.outputs * padded(a.inputs);
    }
  }

  void backward(float* memory, int64_t row, int64_t rows) const {
    float *slopes = memory, *before = memory + CHUNK * widest();
    const float* panel = memory + 2 * CHUNK * widest();
    const Layer& last = layers.back();
    for (int64_t r = 0; r < rows; r++)
      for (int64_t c = 0; c < padded(last.outputs); c += LANES) {
        const V slope = load_part(cotangents + (row + r) * last.outputs, c, last.outputs);
        store(slope, slopes + r * padded(last.outputs) + c);
        store(slope, in_panels(last, row + r, c));
      }
    for (size_t i = layers.size() - 1; i > 0; i--) {
      const Layer &a = layers[i], &b = layers[i - 1];
      const int64_t width = padded(a.inputs);
      const Left left{slopes, padded(a.outputs), 1};
      for (int64_t column = 0; column < width; column += WIDE, panel += a.outputs * WIDE)
        multiply(left, rows, a.outputs, panel, column, [](int64_t, int64_t) { return V{}; },
                 [&](int64_t r, int64_t c, V sum) {
                   const V value = load(b.values + (row + r) * width + c);
                   const V slope = sum - sum * value * value;
                   store(slope, before + r * width + c);
                   store(slope, in_panels(b, row + r, c));
                 });
      std::swap(slopes, before);
    }
    const int64_t outputs = layers[0].outputs;
    for (int64_t r = 0; r < rows; r++)
      memcpy(by_first + (row + r) * outputs, slopes + r * padded(outputs), outputs * sizeof(float));
  }

  float* in_panels(const Layer& a, int64_t row, int64_t column) const {
    return a.slopes + (column / WIDE * windows + row) * WIDE + column % WIDE;
  }

  void sum_slice(int64_t number) const {
    size_t i = 0;
    for (; number >= slices(layers[i]); i++) number -= slices(layers[i]);
    const Layer& a = layers[i];
    const int64_t row = number * TALL, rows = std::min<int64_t>(TALL, a.inputs - row);
    const int64_t width = padded(a.outputs), stride = i > 0 ? padded(a.inputs) : a.inputs;
    const float* values = i > 0 ? layers[i - 1].values : features;
    float* const to = a.by_weights + row * a.outputs;
    int64_t first = 0;
    do {
      const Left left{values + first * stride + row, 1, stride};
      for (int64_t column = 0; column < width; column += WIDE)
        multiply(left, rows, std::min(DEEP, windows - first), in_panels(a, first, column), column,
                 [=](int64_t r, int64_t c) { return first ? load_part(to + r * a.outputs, c, a.outputs) : V{}; },
                 [=](int64_t r, int64_t c, V sum) { store_part(sum, to + r * a.outputs, c, a.outputs); });
    } while ((first += DEEP) < windows);
    if (number > 0) return;
    for (int64_t column = 0; column < width; column += LANES) {
      V sum{};
      for (int64_t k = 0; k < windows; k++) sum += load(in_panels(a, k, column));
      store_part(sum, a.by_bias, column, a.outputs);
    }
  }
};

// (features, then weights and bias of each layer) -> (answers, then values of each layer but the last)
extern "C" EXPORTED XLA_FFI_Error* pct_network(XLA_FFI_CallFrame* frame) {
  if (answers_metadata(frame)) return nullptr;
  const Arrays arrays{frame};
  Network network{arrays.argument(0).dims[0], arrays.in(0), arrays.out(0), {}};
  const int layers = static_cast<int>(frame->rets.size);
  for (int i = 0; i < layers; i++) {
    const int64_t* shape = arrays.argument(2 * i + 1).dims;
    Layer layer{shape[0], shape[1], arrays.in(2 * i + 1), arrays.in(2 * i + 2)};
    if (i + 1 < layers) layer.values = arrays.out(i + 1);
    network.layers.push_back(layer);
  }
  run_on_pool(frame, network);
  return nullptr;
}

// (features, cotangents, weights of each layer, values of each layer but the last)
// -> (by the first layer's sums, then by weights, by bias and slopes of each layer)
extern "C" EXPORTED XLA_FFI_Error* pct_network_reverse(XLA_FFI_CallFrame* frame) {
  if (answers_metadata(frame)) return nullptr;
  const Arrays arrays{frame};
  NetworkReverse network{arrays.argument(0).dims[0], arrays.in(0), arrays.in(1), arrays.out(0), {}};
  const int layers = static_cast<int>(frame->rets.size) / 3;
  for (int i = 0; i < layers; i++) {
    const int64_t* shape = arrays.argument(2 + i).dims;
    Layer layer{shape[0], shape[1], arrays.in(2 + i)};
    if (i + 1 < layers) layer.values = const_cast<float*>(arrays.in(2 + layers + i));
    layer.by_weights = arrays.out(3 * i + 1);
    layer.by_bias = arrays.out(3 * i + 2);
    layer.slopes = arrays.out(3 * i + 3);
    network.layers.push_back(layer);
  }
  run_on_pool(frame, network);
  return nullptr;
}

// A network of dense layers with tanh between them and answers within bounds, as `Bounds.to` of
// pct/dynamics/bounds.py has them, and its reverse: `pct_network` and `pct_network_reverse`.
//
// Products are made of tiles, some rows and two vectors of columns, that stay in registers. Columns of a right
// matrix are filled up with zeros to a multiple of WIDE.
#include <algorithm>
#include <vector>

constexpr int TALL = 6, WIDE = 2 * LANES;
// Most rows that go through all layers together.
constexpr int64_t CHUNK = 4 * TALL;

// First of the rows of a part: whole tiles, as far as there are.
INLINE int64_t edge(int64_t rows, int64_t part, int64_t parts) {
  return std::min(rows, (rows + TALL - 1) / TALL * part / parts * TALL);
}

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

// WIDE columns of a right matrix, by the step from row to row.
struct Right {
  const float* data;
  int64_t row;
};

// begin(row, column) gives what a sum starts from; end(row, column, sum) takes it, for LANES columns.
template <int ROWS, typename Begin, typename End>
INLINE void tile(Left left, int64_t row, int64_t inner, Right right, int64_t column, Begin begin, End end) {
  V sums[ROWS][2];
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; r++)
    for (int c = 0; c < 2; c++) sums[r][c] = begin(row + r, column + c * LANES);
  const float *from = left.data + row * left.row, *panel = right.data;
  for (int64_t k = 0; k < inner; k++, from += left.inner, panel += right.row) {
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

// Rows [0, rows) of the left times columns of the right.
template <typename Begin, typename End>
INLINE void multiply(Left left, int64_t rows, int64_t inner, Right right, int64_t column, Begin begin, End end) {
  int64_t row = 0;
  for (; row + TALL <= rows; row += TALL) tile<TALL>(left, row, inner, right, column, begin, end);
  for (; row + 4 <= rows; row += 4) tile<4>(left, row, inner, right, column, begin, end);
  for (; row + 2 <= rows; row += 2) tile<2>(left, row, inner, right, column, begin, end);
  for (; row < rows; row++) tile<1>(left, row, inner, right, column, begin, end);
}

// A matrix (inner, columns) in panels: WIDE columns of all its rows after each other.
static void pack(const float* from, int64_t inner, int64_t columns, float* to) {
  for (int64_t first = 0; first < columns; first += WIDE)
    for (int64_t k = 0; k < inner; k++, to += WIDE)
      for (int64_t c = 0; c < WIDE; c += LANES) store(load_part(from + k * columns, first + c, columns), to + c);
}

// The same of a matrix that lies turned in memory, (columns, inner).
static void pack_turned(const float* from, int64_t inner, int64_t columns, float* to) {
  for (int64_t first = 0; first < columns; first += WIDE, to += inner * WIDE)
    for (int64_t c = 0; c < WIDE; c += LANES)
      for (int64_t k = 0; k < inner; k += LANES) {
        V rows[LANES];
        for (int64_t i = 0; i < LANES; i++) {
          const int64_t column = first + c + i;
          rows[i] = column < columns ? load_part(from + column * inner, k, inner) : V{};
        }
        transpose(rows);
        for (int64_t i = 0; i < std::min<int64_t>(LANES, inner - k); i++) store(rows[i], to + (k + i) * WIDE + c);
      }
}

// Of the answers: rows of low, high, span (of the logarithms where these are bounded) and whether they are.
struct Bounds {
  const float* rows;
  int64_t columns;
  bool logarithmic = false;

  Bounds(const float* rows, int64_t columns) : rows(rows), columns(columns) {
    for (int64_t c = 0; c < columns; c++) logarithmic |= rows[3 * columns + c] > 0.5f;
  }

  // The answers of the last layer's sums from a column on, and how they change with these.
  std::pair<V, V> answer(V sum, int64_t c) const {
    const V low = load(rows + c), high = load(rows + columns + c), span = load(rows + 2 * columns + c);
    const V share = 1.0f / (1.0f + vexp(-sum));
    V value = low + span * share, slope = span * share * (1.0f - share);
    if (logarithmic) {
      const M these = load(rows + 3 * columns + c) > 0.5f;
      value = vwhere(these, low * vexp(span * share), value);
      slope = vwhere(these, value * slope, slope);
    }
    // Rounding may step over a bound by one unit in the last place.
    return {vmin(high, vmax(low, value)), slope};
  }
};

struct Layer {
  int64_t inputs, outputs;
  const float *weights, *bias;  // (inputs, outputs), (outputs); in the reverse no bias
  float* values;                // (B, padded outputs), what the next layer reads; null for the last
  float *by_weights, *by_bias;  // out
};

// A layer's bias, then its weights, with padded rows.
INLINE int64_t padded_size(const std::vector<Layer>& layers) {
  int64_t total = 0;
  for (const Layer& a : layers) total += (1 + a.inputs) * padded(a.outputs);
  return total;
}

struct Network {
  int64_t windows;
  const float* features;  // (B, inputs of the first layer)
  const float* bounds;    // (4, outputs of the last layer), see `Bounds`
  float* answers;         // out (B, outputs of the last layer)
  float* by_sums;         // out (B, padded outputs), change of the answers with the last layer's sums
  std::vector<Layer> layers;

  // An even number, as threads mostly come in twos.
  int64_t parts() const { return 2 * ((windows + 2 * CHUNK - 1) / (2 * CHUNK)); }

  void run(Progress& progress, int64_t thread) const {
    static thread_local Scratch scratch;
    float* packed = nullptr;
    for (int64_t part = progress.take(thread); part >= 0; part = progress.take(thread)) {
      if (!packed) pack_all(packed = reinterpret_cast<float*>(scratch.take(size() / LANES)));
      const int64_t row = edge(windows, part, parts());
      forward(packed, row, edge(windows, part + 1, parts()) - row);
    }
  }

 private:
  // Memory: weights in panels and the padded bounds.
  int64_t size() const { return padded_size(layers) + 4 * padded(layers.back().outputs); }

  void pack_all(float* to) const {
    for (const Layer& a : layers) {
      pack(a.bias, 1, a.outputs, to);
      to += padded(a.outputs);
      pack(a.weights, a.inputs, a.outputs, to);
      to += a.inputs * padded(a.outputs);
    }
    const int64_t columns = layers.back().outputs;
    for (int64_t row = 0; row < 4; row++, to += padded(columns)) pack(bounds + row * columns, 1, columns, to);
  }

  void forward(const float* packed, int64_t row, int64_t rows) const {
    const Bounds within{packed + padded_size(layers), padded(layers.back().outputs)};
    Left left{features + row * layers[0].inputs, layers[0].inputs, 1};
    for (const Layer& a : layers) {
      const int64_t width = padded(a.outputs);
      const float *bias = packed, *panel = packed + width;
      float* const to = a.values ? a.values + row * width : nullptr;
      const auto begin = [=](int64_t, int64_t c) { return load(bias + c); };
      for (int64_t column = 0; column < width; column += WIDE, panel += a.inputs * WIDE) {
        if (a.values)
          multiply(left, rows, a.inputs, {panel, WIDE}, column, begin,
                   [=](int64_t r, int64_t c, V sum) { store(vtanh(sum), to + r * width + c); });
        else
          multiply(left, rows, a.inputs, {panel, WIDE}, column, begin,
                   [&](int64_t r, int64_t c, V sum) {
                     if (c >= a.outputs) return store(V{}, by_sums + (row + r) * width + c);
                     const auto [value, slope] = within.answer(sum, c);
                     store_part(value, answers + (row + r) * a.outputs, c, a.outputs);
                     store(slope, by_sums + (row + r) * width + c);
                   });
      }
      packed = panel;
      left = {to, width, 1};
    }
  }
};

// Windows stand in groups, as many whatever the threads: the gradient of a group's weights is summed by one
// thread, in its cache, and that of all groups then in their order, so that the sum is always the same.
struct NetworkReverse {
  int64_t windows, groups;
  const float* features;    // (B, inputs of the first layer)
  const float* cotangents;  // (B, outputs of the last layer)
  const float* by_sums;     // (B, padded outputs), of `Network`
  float* by_first;          // out (B, outputs of the first layer), the loss by its sums
  float* sums;              // out (groups, `padded_size`)
  std::vector<Layer> layers;

  int64_t widest() const {
    int64_t most = 0;
    for (const Layer& a : layers) most = std::max(most, padded(a.outputs));
    return most;
  }
  // Memory: slopes of a chunk at two layers; turned weights in panels, without those of the first layer.
  int64_t size() const {
    int64_t total = 2 * CHUNK * widest();
    for (size_t i = 1; i < layers.size(); i++) total += layers[i].outputs * padded(layers[i].inputs);
    return total;
  }
  int64_t parts() const { return groups; }

  void run(Progress& progress, int64_t thread) const {
    static thread_local Scratch scratch;
    float* memory = nullptr;
    for (int64_t group = progress.take(thread); group >= 0; group = progress.take(thread)) {
      if (!memory) pack_all((memory = reinterpret_cast<float*>(scratch.take(size() / LANES))) + 2 * CHUNK * widest());
      const int64_t begin = edge(windows, group, groups), end = edge(windows, group + 1, groups);
      int64_t row = begin;
      do {
        backward(memory, sums + group * padded_size(layers), row, std::min(CHUNK, end - row), row == begin);
      } while ((row += CHUNK) < end);
      progress.done++;
    }
    // Each group is done, or with a thread that runs.
    while (progress.done < groups) PAUSE();
    for (int64_t part = progress.second++; add_groups(part); part = progress.second++) continue;
  }

 private:
  // Rows whose sums a thread adds at a time.
  static constexpr int64_t ADDED = 16;

  // From the last layer to the second.
  void pack_all(float* to) const {
    for (size_t i = layers.size() - 1; i > 0; i--) {
      const Layer& a = layers[i];
      pack_turned(a.weights, a.outputs, a.inputs, to);
      to += a.outputs * padded(a.inputs);
    }
  }

  // Of a group's first rows its sums begin.
  void backward(float* memory, float* sum, int64_t row, int64_t rows, bool first) const {
    float *slopes = memory, *before = memory + CHUNK * widest();
    const float* panel = memory + 2 * CHUNK * widest();
    const Layer& last = layers.back();
    for (int64_t r = 0; r < rows; r++)
      for (int64_t c = 0; c < padded(last.outputs); c += LANES)
        store(load_part(cotangents + (row + r) * last.outputs, c, last.outputs) *
                  load(by_sums + (row + r) * padded(last.outputs) + c),
              slopes + r * padded(last.outputs) + c);
    sum += padded_size(layers);
    for (size_t i = layers.size(); i-- > 0;) {
      const Layer& a = layers[i];
      const int64_t width = padded(a.outputs), stride = i > 0 ? padded(a.inputs) : a.inputs;
      sum -= (1 + a.inputs) * width;
      const float* values = (i > 0 ? layers[i - 1].values : features) + row * stride;
      add_rows(values, stride, slopes, rows, a, sum, first);
      if (i == 0) break;
      const Left left{slopes, width, 1};
      for (int64_t column = 0; column < stride; column += WIDE, panel += a.outputs * WIDE)
        multiply(left, rows, a.outputs, {panel, WIDE}, column, [](int64_t, int64_t) { return V{}; },
                 [=](int64_t r, int64_t c, V slope) {
                   const V value = load(values + r * stride + c);
                   store(slope - slope * value * value, before + r * stride + c);
                 });
      std::swap(slopes, before);
    }
    const int64_t outputs = layers[0].outputs;
    for (int64_t r = 0; r < rows; r++)
      memcpy(by_first + (row + r) * outputs, slopes + r * padded(outputs), outputs * sizeof(float));
  }

  // A layer's sums over rows of its slopes, and of what it read times its slopes.
  static void add_rows(const float* values, int64_t stride, const float* slopes, int64_t rows, const Layer& a,
                       float* sum, bool first) {
    const int64_t width = padded(a.outputs);
    for (int64_t c = 0; c < width; c += LANES) {
      V total = first ? V{} : load(sum + c);
      for (int64_t r = 0; r < rows; r++) total += load(slopes + r * width + c);
      store(total, sum + c);
    }
    sum += width;
    for (int64_t column = 0; column < width; column += WIDE)
      multiply({values, 1, stride}, a.inputs, rows, {slopes + column, width}, column,
               [=](int64_t r, int64_t c) { return first ? V{} : load(sum + r * width + c); },
               [=](int64_t r, int64_t c, V total) { store(total, sum + r * width + c); });
  }

  // Sums of the groups for a part of the rows, a layer's bias being its first; whether there are such rows.
  bool add_groups(int64_t part) const {
    const int64_t size = padded_size(layers);
    const float* sum = sums;
    int64_t row = 0;
    for (const Layer& a : layers) {
      const int64_t width = padded(a.outputs);
      for (int64_t r = 0; r <= a.inputs; r++, row++, sum += width) {
        if (row / ADDED != part) continue;
        float* const to = r ? a.by_weights + (r - 1) * a.outputs : a.by_bias;
        for (int64_t c = 0; c < width; c += LANES) {
          V total = load(sum + c);
          for (int64_t group = 1; group < groups; group++) total += load(sum + group * size + c);
          store_part(total, to, c, a.outputs);
        }
      }
    }
    return part * ADDED < row;
  }
};

// (features, bounds, then weights and bias of each layer) -> (answers, by sums, values of each layer but the last)
extern "C" EXPORTED XLA_FFI_Error* pct_network(XLA_FFI_CallFrame* frame) {
  if (answers_metadata(frame)) return nullptr;
  const Arrays arrays{frame};
  Network network{arrays.argument(0).dims[0], arrays.in(0), arrays.in(1), arrays.out(0), arrays.out(1), {}};
  const int layers = static_cast<int>(frame->rets.size) - 1;
  for (int i = 0; i < layers; i++) {
    const int64_t* shape = arrays.argument(2 * i + 2).dims;
    Layer layer{shape[0], shape[1], arrays.in(2 * i + 2), arrays.in(2 * i + 3)};
    if (i + 1 < layers) layer.values = arrays.out(i + 2);
    network.layers.push_back(layer);
  }
  run_on_pool(frame, network);
  return nullptr;
}

// (features, cotangents, by sums, weights of each layer, values of each layer but the last)
// -> (by the first layer's sums, groups' sums, then by weights and by bias of each layer)
extern "C" EXPORTED XLA_FFI_Error* pct_network_reverse(XLA_FFI_CallFrame* frame) {
  if (answers_metadata(frame)) return nullptr;
  const Arrays arrays{frame};
  NetworkReverse network{arrays.argument(0).dims[0], arrays.result(1).dims[0], arrays.in(0), arrays.in(1),
                         arrays.in(2), arrays.out(0), arrays.out(1), {}};
  const int layers = static_cast<int>(frame->rets.size) / 2 - 1;
  for (int i = 0; i < layers; i++) {
    const int64_t* shape = arrays.argument(3 + i).dims;
    Layer layer{shape[0], shape[1], arrays.in(3 + i)};
    if (i + 1 < layers) layer.values = const_cast<float*>(arrays.in(3 + layers + i));
    layer.by_weights = arrays.out(2 * i + 2);
    layer.by_bias = arrays.out(2 * i + 3);
    network.layers.push_back(layer);
  }
  run_on_pool(frame, network);
  return nullptr;
}

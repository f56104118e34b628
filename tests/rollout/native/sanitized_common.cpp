// The code for all models, which stands before this, on arrays of exactly their sizes and with two threads; see sanitized.cpp.
#include <cstdio>
#include <cstdlib>
#include <thread>

using Floats = std::vector<float>;

static Floats numbers(int64_t count) {
  Floats values(count);
  for (int64_t i = 0; i < count; i++) values[i] = float(i * 7919 % 1000) / 500.0f - 1.0f;
  return values;
}

template <typename Work>
static void run_on_two(const Work& work) {
  Progress progress(work.parts(), 2);
  std::thread other([&] { work.run(progress, 1); });
  work.run(progress, 0);
  other.join();
}

static void run_network(int64_t windows, const std::vector<int64_t>& sizes) {
  const int64_t layers = sizes.size() - 1;
  const Floats features = numbers(windows * sizes[0]), cotangents = numbers(windows * sizes[layers]);
  const Floats bounds = numbers(4 * sizes[layers]);
  Floats answers(windows * sizes[layers]), by_sums(windows * padded(sizes[layers])), by_first(windows * sizes[1]);
  std::vector<Floats> arrays;
  arrays.reserve(6 * layers);
  const auto keep = [&](Floats values) { return arrays.emplace_back(std::move(values)).data(); };
  Network network{windows, features.data(), bounds.data(), answers.data(), by_sums.data(), {}};
  for (int64_t i = 0; i < layers; i++) {
    const int64_t inputs = sizes[i], outputs = sizes[i + 1], wide = windows * padded(outputs);
    Layer layer{inputs, outputs, keep(numbers(inputs * outputs)), keep(numbers(outputs))};
    layer.values = i + 1 < layers ? keep(Floats(wide)) : nullptr;
    layer.by_weights = keep(Floats(inputs * outputs));
    layer.by_bias = keep(Floats(outputs));
    network.layers.push_back(layer);
  }
  run_on_two(network);
  for (int64_t groups : {1, 2, 3}) {
    Floats sums(groups * padded_size(network.layers));
    run_on_two(NetworkReverse{windows, groups, features.data(), cotangents.data(), by_sums.data(), by_first.data(),
                              sums.data(), network.layers});
  }
  for (int64_t i = 0; i < layers; i++)
    for (int64_t j = 0; j < sizes[i + 1]; j++)
      if (windows && !(std::abs(network.layers[i].by_bias[j]) < 1e6f)) std::exit(1);
}

static void run_context(int64_t windows, int64_t states, int64_t controls, const std::vector<int32_t>& back) {
  const int32_t pose[] = {2, 0, 1};
  const int64_t rows = back[0] + windows + 1, columns = states + controls;
  const Floats state_rows = numbers(rows * states), means = numbers(rows * columns);
  // The last row has no controls: no window reads them.
  const Floats control_rows = numbers((rows - 1) * controls);
  std::vector<int32_t> starts;
  for (int64_t i = 0; i < windows; i++) starts.push_back(rows - 1 - i);
  Context context{windows, states, controls, state_rows.data(), control_rows.data(), starts.data(), pose, back.data()};
  context.means.assign(back.size(), means.data());
  for (int64_t i = 3; i < columns; i++) context.moving.push_back(i);
  Floats features(windows * context.width());
  context.features = features.data();
  run_on_two(context);
}

int main() {
  for (int64_t windows : {0, 1, 15, 16, 17, 64, 129, 300}) {
    run_context(windows, 3, 0, {1});
    run_context(windows, 7, 2, {16, 11, 6, 1});
  }
  for (int64_t windows : {0, 1, 23, 24, 25, 64, 129, 300})
    for (const std::vector<int64_t>& sizes :
         {std::vector<int64_t>{42, 64, 64, 13}, {3, 2}, {0, 5, 1}, {7, 1, 33, 31, 32, 17, 2}})
      run_network(windows, sizes);
}

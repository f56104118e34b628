// The network, which stands before this, on arrays of exactly their sizes and with two threads; see sanitized.cpp.
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

static void run(int64_t windows, const std::vector<int64_t>& sizes) {
  const int64_t layers = sizes.size() - 1;
  const Floats features = numbers(windows * sizes[0]), cotangents = numbers(windows * sizes[layers]);
  Floats answers(windows * sizes[layers]), by_first(windows * sizes[1]);
  std::vector<Floats> arrays;
  arrays.reserve(6 * layers);
  const auto keep = [&](Floats values) { return arrays.emplace_back(std::move(values)).data(); };
  Network network{windows, features.data(), answers.data(), {}};
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
    run_on_two(NetworkReverse{windows, groups, features.data(), cotangents.data(), by_first.data(), sums.data(),
                              network.layers});
  }
  for (int64_t i = 0; i < layers; i++)
    for (int64_t j = 0; j < sizes[i + 1]; j++)
      if (windows && !(std::abs(network.layers[i].by_bias[j]) < 1e6f)) std::exit(1);
}

int main() {
  for (int64_t windows : {0, 1, 23, 24, 25, 64, 129, 300})
    for (const std::vector<int64_t>& sizes :
         {std::vector<int64_t>{42, 64, 64, 13}, {3, 2}, {0, 5, 1}, {7, 1, 33, 31, 32, 17, 2}})
      run(windows, sizes);
}

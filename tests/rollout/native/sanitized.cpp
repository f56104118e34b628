// Every way into the generated code of a model, which stands before this, on arrays of exactly their sizes:
// a sanitizer stops the program at the first byte read or written outside, and at undefined behaviour.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

using Floats = std::vector<float>;

static std::mt19937 generator(1);

static Floats uniform(int64_t count, float low, float high) {
  std::uniform_real_distribution<float> draw(low, high);
  Floats values(count);
  for (float& value : values) value = draw(generator);
  return values;
}

static void check(bool holds, const char* what) {
  if (holds) return;
  std::printf("%s\n", what);
  std::exit(1);
}

struct Case {
  int64_t windows, steps;
  int32_t substeps;
  bool by_row, shared;
  float wild;  // share of inputs that are NaN, infinite or huge
};

static void spoil(Floats& values, float share) {
  const float odd[] = {NAN, INFINITY, -INFINITY, 1e38f, -1e38f, 1e-42f, 0.0f};
  std::uniform_real_distribution<float> draw(0.0f, 1.0f);
  for (float& value : values)
    if (draw(generator) < share) value = odd[generator() % 7];
}

static void run(const Case& is) {
  const int64_t B = is.windows, T = is.steps;
  // Rows of all recordings; a window seen from its start needs one target more.
  const int64_t rows_count = is.by_row ? T + 9 : B * T;
  Floats answers = uniform(B * LEARNED, 0.1f, 2.0f), fixed = uniform(PARAMS + 1, 0.1f, 2.0f);
  Floats start = uniform((is.shared ? 1 : B) * STATES, -3.0f, 3.0f);
  Floats controls = uniform(rows_count * CONTROLS, -3.0f, 3.0f);
  Floats targets = uniform((is.shared ? T : rows_count) * SHOWN, -3.0f, 3.0f);
  Floats weights = uniform((is.shared ? 1 : B) * T, 0.0f, 1.0f);
  Floats comparison = uniform(2 * SHOWN + 1, 0.5f, 2.0f), cotangents = uniform(B * T * SHOWN, -1.0f, 1.0f);
  std::vector<int32_t> rows(is.by_row ? B : 0);
  for (int32_t& row : rows) row = generator() % (rows_count - T);
  if (is.by_row && B) rows[B - 1] = rows_count - T - 1;  // the last target is that of the last row
  fixed[PARAMS] = 0.02f / is.substeps;
  for (size_t i = 0; i < weights.size(); i++)
    if (i % 3 == 0 || T - 1 - int64_t(i % T) < 2) weights[i] = 0.0f;
  if (B > 2 && !is.shared) std::fill(weights.begin() + T, weights.begin() + 2 * T, 0.0f);
  for (Floats* values : {&answers, &start, &controls, &targets, &cotangents}) spoil(*values, is.wild);

  Call call{};
  call.windows = B, call.steps = T, call.substeps = is.substeps, call.shared = is.shared;
  call.answers = answers.data(), call.fixed = fixed.data(), call.start = start.data();
  call.controls = controls.data();
  call.rows = is.by_row ? rows.data() : nullptr;

  // Forward.
  Floats states(B * T * SHOWN, -7.0f);
  call.states = states.data();
  pct_run(&call);
  call.states = nullptr;

  // Loss, and with its gradient.
  call.targets = targets.data(), call.weights = weights.data(), call.comparison = comparison.data();
  call.localise = is.by_row;
  if (is.by_row) call.start = nullptr;
  Floats loss(B, -7.0f), again(B, -7.0f), by_answers(B * LEARNED, -7.0f), by_start(B * STATES, -7.0f);
  call.loss = loss.data();
  pct_run(&call);
  if (!is.shared) {
    call.loss = again.data();
    if (LEARNED) call.by_answers = by_answers.data();
    else call.by_start = by_start.data();
    pct_run(&call);
    // Compiled without fused operations, so that both round alike.
    for (int64_t b = 0; b < B; b++)
      check(loss[b] == again[b] || (std::isnan(loss[b]) && std::isnan(again[b])),
            "the loss with a gradient is another than without");
    if (B > 2 && T > 0) check(loss[1] == 0.0f, "a window without weights has a loss");
  }
  if (is.wild == 0.0f)
    for (float value : loss) check(value != -7.0f, "a loss was not written");
  call.loss = nullptr, call.targets = call.weights = call.comparison = nullptr, call.localise = 0;

  // Pull back.
  if (!is.shared && !is.by_row) {
    Floats by_controls(B * T * CONTROLS, -7.0f);
    call.cotangents = cotangents.data();
    call.by_answers = by_answers.data(), call.by_start = by_start.data(), call.by_controls = by_controls.data();
    pct_run(&call);
  }
}

int main() {
  check(pct_call_size() == sizeof(Call), "the size of a call");
  for (int64_t windows : {0, 1, 7, 16, 65})
    for (int64_t steps : {1, 5, 18})
      for (int32_t substeps : {1, 2})
        for (bool by_row : {false, true})
          for (float wild : {0.0f, 0.2f}) run({windows, steps, substeps, by_row, false, wild});
  for (int64_t windows : {1, 7, 65})
    for (float wild : {0.0f, 0.2f}) run({windows, 18, 1, false, true, wild});
  run({7, 0, 1, false, false, 0.0f});
  run({7, 0, 1, false, true, 0.0f});
  return 0;
}

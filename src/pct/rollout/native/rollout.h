// The driver of a model's generated functions: rollouts, loss and gradients of blocks of LANES windows.
//
// Arrays of a call are row-major with windows first; inside a block every number is a vector over windows.
// Lanes beyond the last window repeat it, and are not written.
#include <algorithm>

// One call. B windows of T steps; pointers that a call does not need are null.
struct Call {
  int64_t windows, steps;
  int32_t substeps;
  int32_t localise;         // targets are rows in a map's frame: a window starts at its first one, seen from there
  int32_t shared;           // start, targets and weights are those of one window, for all
  const float* answers;     // (B, LEARNED)
  const float* fixed;       // (PARAMS + 1), the last is the length of a substep in s
  const float* start;       // (B, STATES); not read where targets are localised
  const float* controls;    // (rows, CONTROLS)
  const int32_t* rows;      // (B), first row of each window in controls and targets; null: windows in order
  const float* targets;     // (rows, SHOWN)
  const float* weights;     // (B, T)
  const float* comparison;  // (2 SHOWN + 1): 1 / scale, whether an angle, residual over scale to count by size
  const float* cotangents;  // (B, T, SHOWN)
  float* states;            // out (B, T, SHOWN)
  float* loss;              // out (B)
  float* by_answers;        // out (B, LEARNED)
  float* by_start;          // out (B, STATES)
  float* by_controls;       // out (B, T, CONTROLS)
};

// `count` numbers of each lane, side by side in memory, to vectors over lanes.
FUNCTION void load_lanes(const float* const* from, V* to, int64_t count) {
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    V rows[LANES];
    for (int lane = 0; lane < LANES; lane++) memcpy(&rows[lane], from[lane] + i, sizeof(V));
    transpose(rows);
    for (int lane = 0; lane < LANES; lane++) to[i + lane] = rows[lane];
  }
  for (; i < count; i++)
    for (int lane = 0; lane < LANES; lane++) to[i][lane] = from[lane][i];
}

// The way back, for the first of the lanes.
FUNCTION void store_lanes(const V* from, float* const* to, int64_t count, int lanes) {
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    V rows[LANES];
    for (int lane = 0; lane < LANES; lane++) rows[lane] = from[i + lane];
    transpose(rows);
    for (int lane = 0; lane < lanes; lane++) memcpy(to[lane] + i, &rows[lane], sizeof(V));
  }
  for (; i < count; i++)
    for (int lane = 0; lane < lanes; lane++) to[lane][i] = from[i][lane];
}

struct Block {
  const Call& call;
  int64_t first;
  int lanes;
  int64_t steps;  // up to the last that counts
  V p[PARAMS + 1], w[std::max(1, WINDOW_VALUES)];

  Block(const Call& call, int64_t number) : call(call), first(number * LANES), steps(call.steps) {
    lanes = static_cast<int>(std::min<int64_t>(LANES, call.windows - first));
    for (int i = 0; i <= PARAMS; i++) p[i] = splat(call.fixed[i]);
    const float* answers[LANES];
    for (int lane = 0; lane < LANES; lane++) answers[lane] = call.answers + window(lane) * LEARNED;
    V given[std::max(1, LEARNED)];
    load_lanes(answers, given, LEARNED);
    for (int i = 0; i < LEARNED; i++) p[LEARNED_ENTRY[i]] = given[i];
    window_values(p, w);
  }
  int64_t window(int lane) const { return first + std::min(lane, lanes - 1); }
  int64_t row(int lane) const { return call.rows ? call.rows[window(lane)] : window(lane) * call.steps; }
  int64_t given(int lane) const { return call.shared ? 0 : window(lane); }
  int64_t target_row(int lane) const { return call.shared ? 0 : row(lane); }
};

INLINE V wrapped(V angle) {
  const V turns = angle * 0.159154943f + ONE_IS_LAST - ONE_IS_LAST;
  return angle - turns * 6.28318531f;
}

// What is wanted follows from the results that a call has room for: a loss or states, a gradient or none.
template <bool REVERSE>
static void run_block(const Call& call, int64_t number, Scratch& scratch) {
  Block b(call, number);
  const int64_t T = call.steps;
  const int64_t substeps = call.substeps;
  const float dt = call.fixed[PARAMS] * static_cast<float>(substeps);
  const int64_t kept_of_step = substeps * KEPT_VALUES;
  const bool compares = call.loss != nullptr;
  // Memory: controls, targets and in their place what the loss owes to each step, weights, step values, kept
  // values. Where nothing is compared, states that are asked for or what is owed to them take the targets' place.
  const size_t sizes[] = {
      size_t(T) * CONTROLS, size_t(T) * SHOWN, size_t(T), size_t(T) * STEP_VALUES,
      REVERSE ? size_t(T * kept_of_step) : 0};
  size_t total = 0;
  for (size_t size : sizes) total += size;
  V* const controls = scratch.take(total + 1);
  V* const targets = controls + sizes[0];
  V* const weights = targets + sizes[1];
  V* const step_c = weights + sizes[2];
  V* const kept = step_c + sizes[3];
  V* const seeds = targets;

  const float* from[LANES];
  for (int lane = 0; lane < LANES; lane++) from[lane] = call.controls + b.row(lane) * CONTROLS;
  load_lanes(from, controls, T * CONTROLS);
  V scale = splat(0.0f);
  if (compares) {
    for (int lane = 0; lane < LANES; lane++) from[lane] = call.weights + b.given(lane) * T;
    load_lanes(from, weights, T);
    V sum = splat(0.0f);
    for (int64_t t = 0; t < T; t++) sum += weights[t];
    int64_t last = T;
    while (last > 0 && !any(weights[last - 1] > 0.0f)) last--;
    b.steps = last;
    scale = 1.0f / (vwhere(sum > 0.0f, sum, splat(1.0f)) * float(SHOWN));
    const int shift = call.localise ? 1 : 0;
    for (int lane = 0; lane < LANES; lane++) from[lane] = call.targets + (b.target_row(lane) + shift) * SHOWN;
    load_lanes(from, targets, b.steps * SHOWN);
  } else if (REVERSE) {
    for (int lane = 0; lane < LANES; lane++) from[lane] = call.cotangents + b.window(lane) * T * SHOWN;
    load_lanes(from, seeds, T * SHOWN);
  }

  V state[2][STATES] = {}, *x = state[0], *y = state[1];
  V origin[SHOWN], cosine = splat(1.0f), sine = splat(0.0f);
  const bool localise = compares && call.localise;
  if (localise) {
    for (int lane = 0; lane < LANES; lane++) from[lane] = call.targets + b.target_row(lane) * SHOWN;
    load_lanes(from, origin, SHOWN);
    cosine = vcos(origin[POSE[2]]);
    sine = vsin(origin[POSE[2]]);
    std::copy_n(origin, SHOWN, x);
    for (int i : POSE) x[i] = splat(0.0f);
  } else {
    for (int lane = 0; lane < LANES; lane++) from[lane] = call.start + b.given(lane) * STATES;
    load_lanes(from, x, STATES);
  }

  V loss = splat(0.0f);
  const float* comparison = call.comparison;
  const V limit = splat(compares ? comparison[2 * SHOWN] : 0.0f);
  for (int64_t t = 0; t < b.steps; t++) {
    V* c = step_c + t * STEP_VALUES;
    step_values(b.w, controls + t * CONTROLS, c);
    for (int64_t s = 0; s < substeps; s++) {
      if (REVERSE)
        advance_kept(b.w, c, x, y, kept + t * kept_of_step + s * KEPT_VALUES);
      else
        advance(b.w, c, x, y);
      std::swap(x, y);
    }
    for (int i = 0; i < HELD; i++) x[HELD_STATE[i]] += dt * controls[t * CONTROLS + HELD_RATE[i]];
    if (compares) {
      V target[SHOWN];
      for (int i = 0; i < SHOWN; i++) target[i] = targets[t * SHOWN + i];
      if (localise) {
        const V dx = target[POSE[0]] - origin[POSE[0]], dy = target[POSE[1]] - origin[POSE[1]];
        target[POSE[0]] = cosine * dx + sine * dy;
        target[POSE[1]] = cosine * dy - sine * dx;
        target[POSE[2]] = target[POSE[2]] - origin[POSE[2]];
      }
      // Where a step does not count, its states may be anything.
      const M counts = weights[t] > 0.0f;
      const V share = weights[t] * scale;
      for (int i = 0; i < SHOWN; i++) {
        const V difference = vwhere(counts, x[i] - target[i], splat(0.0f));
        const V residual = (comparison[SHOWN + i] > 0.0f ? wrapped(difference) : difference) * comparison[i];
        const V inner = vmin(limit, vmax(-limit, residual));
        const V slope = share * (inner + inner);
        loss += slope * (residual - 0.5f * inner);
        if (REVERSE) seeds[t * SHOWN + i] = slope * comparison[i];
      }
    } else if (call.states) {
      for (int i = 0; i < SHOWN; i++) seeds[t * SHOWN + i] = x[i];
    }
  }
  if (call.states) {
    float* to[LANES];
    for (int lane = 0; lane < LANES; lane++) to[lane] = call.states + b.window(lane) * T * SHOWN;
    store_lanes(seeds, to, T * SHOWN, b.lanes);
  }
  if (compares)
    for (int lane = 0; lane < b.lanes; lane++) call.loss[b.first + lane] = loss[lane];
  if (!REVERSE) return;

  V xbar[STATES] = {}, wbar[std::max(1, OWED_BY_WINDOW)] = {}, cbar[std::max(1, OWED_BY_STEP)];
  for (int64_t t = b.steps - 1; t >= 0; t--) {
    const V* c = step_c + t * STEP_VALUES;
    for (int i = 0; i < SHOWN; i++) xbar[i] += seeds[t * SHOWN + i];
    for (V& value : cbar) value = splat(0.0f);
    V jumped[HELD + 1];
    for (int i = 0; i < HELD; i++) jumped[i] = dt * xbar[HELD_STATE[i]];
    for (int64_t s = substeps - 1; s >= 0; s--) {
      advance_reverse(b.w, c, kept + t * kept_of_step + s * KEPT_VALUES, xbar, cbar, wbar);
    }
    V ubar[std::max(1, CONTROLS)] = {};
    step_reverse(b.w, controls + t * CONTROLS, c, cbar, wbar, ubar);
    for (int i = 0; i < HELD; i++) ubar[HELD_RATE[i]] += jumped[i];
    if (call.by_controls)
      for (int i = 0; i < CONTROLS; i++)
        for (int lane = 0; lane < b.lanes; lane++)
          call.by_controls[((b.first + lane) * T + t) * CONTROLS + i] = ubar[i][lane];
  }
  if (call.by_start)
    for (int i = 0; i < STATES; i++)
      for (int lane = 0; lane < b.lanes; lane++) call.by_start[(b.first + lane) * STATES + i] = xbar[i][lane];
  V pbar[std::max(1, LEARNED)] = {};
  window_reverse(b.p, b.w, wbar, pbar);
  for (int i = 0; i < LEARNED; i++)
    for (int lane = 0; lane < b.lanes; lane++) call.by_answers[(b.first + lane) * LEARNED + i] = pbar[i][lane];
}

static bool wants_gradient(const Call& call) { return call.by_answers || call.by_start; }

static int64_t block_count(const Call& call) { return (call.windows + LANES - 1) / LANES; }

// Blocks as `take` gives them, until it gives -1.
template <typename Take>
static void run_blocks(const Call& call, Take take) {
  static thread_local Scratch scratch;
  for (int64_t number = take(); number >= 0; number = take()) {
    if (wants_gradient(call))
      run_block<true>(call, number, scratch);
    else
      run_block<false>(call, number, scratch);
  }
}

// Bytes of a `Call`, for those who fill it from elsewhere.
extern "C" EXPORTED int64_t pct_call_size() { return sizeof(Call); }

// All blocks on the calling thread.
extern "C" EXPORTED void pct_run(const Call* call) {
  const int64_t blocks = block_count(*call);
  int64_t next = 0;
  run_blocks(*call, [&] { return next < blocks ? next++ : -1; });
}

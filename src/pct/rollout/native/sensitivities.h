// Errors of rollouts over windows of a log, and their derivatives along directions. The equations' own functions
// stand before; all else is an argument of a call.
//
// Blocks of LANES windows; lanes beyond the last window repeat it, and are not written. A step first takes its
// stages, with their derivatives; then each direction goes through all stages at once, in registers.
#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

// Sums of many numbers.
typedef double D __attribute__((vector_size(8 * LANES)));
constexpr int MOST_STAGES = 4;

// One call. B windows; matrices are row-major; pointers that a call does not need are null.
struct Call {
  int64_t windows;      // B
  int64_t history;      // rows before a window's start
  int64_t steps;        // rows after it, T
  int64_t first;        // of the rows that are rolled over: 0 with an observer, else `history`
  int64_t stride;       // columns of `errors`
  int32_t substeps, stages, directions, starts, compared, held, estimated, read, logged;
  int32_t plain;        // whether states count in place of errors
  S dt;                 // time step in s
  S huber;              // error over sigma beyond which it counts linearly
  S expected;           // deviations beyond which what is read jumps
  S noise;              // variance of what is read
  const S* params;      // (PARAMS + 1), the last is the length of a substep in s
  const S* own_params;  // (B, PARAMS + 1), each window's own in place of `params`; may be null
  const S* tableau;     // (stages, stages): weights of earlier stages; the last row those of the step
  const S* states;      // (rows, SHOWN) of the log
  const S* controls;    // (rows, CONTROLS)
  const int64_t* rows;  // (B), of each window's start
  const int32_t* pose;  // (3)
  const int32_t* angle;          // (STATES), whether it is one
  const int32_t* held_places;    // (held, 2), a state and its rate control
  const int32_t* begin_place;    // (STATES - SHOWN), among states and controls: what a hidden state begins with
  const S* begin_share;          // (STATES - SHOWN)
  const int32_t* moved;          // (CONTROLS), whether a control acts at another time than it is logged
  const int32_t* taps;           // (CONTROLS, L), row before the time that acts in each of L = history + T rows
  const S* shares;               // (CONTROLS, L), share of the row after that one
  const S* share_slopes;         // (CONTROLS, L), its change with the delay
  const int32_t* observed;       // (estimated + logged), states that are estimated, those read first, then the others
  const S* gains;                // (B, history, estimated, read)
  const S* same_gains;           // (estimated, read), in all rows, where `gains` is null
  const S* offsets;              // (starts, B), of the states of `start_places` at the start
  const int32_t* start_places;   // (starts)
  const int32_t* compared_places;  // (compared)
  const int32_t* entry;          // (directions), entry of the parameters that a direction changes, or -1
  const int32_t* control;        // (directions), control whose delay it changes, or -1
  const S* slope;                // (directions), change with one on the unbounded axis
  const S* sigma;                // (compared), error that counts one
  const S* uncertain;            // (3, estimated): scale, first variance, variance of a step
  const int64_t* groups;         // (B)
  S* errors;                     // out (compared, [1 +] T, stride)
  double* matrix;                // out (groups, P, P) with P = directions - starts: the upper triangle, added
  double* gradient;              // out (P + starts, B)
  double* by_start;              // out (P + starts, starts, B)
  S* gains_out;                  // out (B, history, estimated, read)
};

INLINE S nearest_turn(S angle) {
  const S pi = S(3.14159265358979323846);
  const S rest = angle - std::floor(angle / (2 * pi) + S(0.5)) * (2 * pi);
  return rest > pi ? pi : rest < -pi ? -pi : rest;
}

INLINE V wrapped(V angle) {
  if constexpr (sizeof(S) == sizeof(double)) {
    for (int lane = 0; lane < LANES; lane++) angle[lane] = std::atan2(std::sin(angle[lane]), std::cos(angle[lane]));
    return angle;
  }
  for (int lane = 0; lane < LANES; lane++) angle[lane] = nearest_turn(angle[lane]);
  return angle;
}

// Arrays of a thread, each at the next free place.
class Memory {
 public:
  Memory(Scratch& scratch, size_t count) : next_(scratch.take(count)), end_(next_ + count) {}
  V* take(size_t count) {
    V* const place = next_;
    next_ += count;
    if (next_ > end_) __builtin_trap();
    return place;
  }

 private:
  V *next_, *end_;
};

// A block of windows: what is logged, in the frame of each window's start, and controls as they act.
struct Block {
  const Call& call;
  const int64_t first;
  const int lanes;
  const int64_t rows;
  V *states, *controls, *moves;  // rows from `call.first` on; moves are the changes of controls with their delays

  Block(const Call& call, int64_t number, Memory& memory)
      : call(call),
        first(number * LANES),
        lanes(static_cast<int>(std::min<int64_t>(LANES, call.windows - first))),
        rows(call.history + call.steps - call.first) {
    states = memory.take((rows + 1) * SHOWN);
    controls = memory.take(rows * CONTROLS);
    moves = memory.take(rows * CONTROLS);
    for (int lane = 0; lane < LANES; lane++) load(lane, call.rows[window(lane)] - call.history);
  }
  static size_t size(const Call& call) {
    const int64_t rows = call.history + call.steps - call.first;
    return (rows + 1) * SHOWN + 2 * rows * CONTROLS;
  }
  int64_t window(int lane) const { return first + std::min(lane, lanes - 1); }

  // What a window of which a whole history is logged from this row on gives to a lane.
  void load(int lane, int64_t begin) {
    const S* logged = call.states + (begin + call.first) * SHOWN;
    for (int64_t i = 0; i < (rows + 1) * SHOWN; i++) states[i][lane] = logged[i];
    const S* start = call.states + (begin + call.history) * SHOWN;
    const int x = call.pose[0], y = call.pose[1], heading = call.pose[2];
    const S cosine = std::cos(double(start[heading])), sine = std::sin(double(start[heading]));
    for (int64_t row = 0; row <= rows; row++) {
      V* const here = states + row * SHOWN;
      const S dx = here[x][lane] - start[x], dy = here[y][lane] - start[y];
      here[x][lane] = cosine * dx + sine * dy;
      here[y][lane] = cosine * dy - sine * dx;
      here[heading][lane] -= start[heading];
    }
    const S* given = call.controls + begin * CONTROLS;
    const int64_t all = call.history + call.steps;
    for (int i = 0; i < CONTROLS; i++) {
      for (int64_t row = 0; row < rows; row++) {
        const int64_t at = row + call.first;
        V &acting = controls[row * CONTROLS + i], &move = moves[row * CONTROLS + i];
        if (!call.moved[i]) {
          acting[lane] = given[at * CONTROLS + i];
          move[lane] = 0;
          continue;
        }
        const int64_t tap = i * all + at;
        const S before = given[call.taps[tap] * CONTROLS + i], after = given[(call.taps[tap] + 1) * CONTROLS + i];
        acting[lane] = before * (1 - call.shares[tap]) + after * call.shares[tap];
        move[lane] = (after - before) * call.share_slopes[tap];
      }
    }
  }

  // The state that a rollout begins at; hidden states begin with what is logged.
  void begin(V* x) const {
    for (int i = 0; i < SHOWN; i++) x[i] = states[i];
    for (int lane = 0; lane < LANES; lane++) {
      for (int k = 0; k < call.starts; k++)
        x[call.start_places[k]][lane] += call.offsets[k * call.windows + window(lane)];
      const S* given = call.controls + (call.rows[window(lane)] - call.history + call.first) * CONTROLS;
      for (int i = SHOWN; i < STATES; i++) {
        const int place = call.begin_place[i - SHOWN];
        const S logged = place < SHOWN ? x[place][lane] : given[place - SHOWN];
        x[i][lane] = logged * call.begin_share[i - SHOWN];
      }
    }
  }
};

// What a stage computes.
struct Alone {
  static void rates(const V* w, const V* c, const V* x, V* k, V*) { ::rates(w, c, x, k); }
};
struct ByState {
  static void rates(const V* w, const V* c, const V* x, V* k, V* a) { rates_by_state(w, c, x, k, a); }
};
struct ByAll {
  static void rates(const V* w, const V* c, const V* x, V* k, V* a) { rates_by_all(w, c, x, k, a); }
};

// A time step of a model, and of its derivatives.
template <typename Stage>
struct Step {
  const Call& call;
  V *w, *slopes;
  V c[std::max(1, STEP_VALUES)], shares[MOST_STAGES][MOST_STAGES];

  Step(const Call& call, Memory& memory) : call(call) {
    V p[PARAMS + 1];
    for (int i = 0; i <= PARAMS; i++) p[i] = splat(call.params[i]);
    w = memory.take(WINDOW_VALUES);
    slopes = memory.take(MOST_STAGES * SLOPES);
    window_values(p, w);
    for (int s = 0; s < call.stages; s++)
      for (int i = 0; i <= s; i++) shares[s][i] = call.tableau[s * call.stages + i] * p[PARAMS];
  }
  // Take the parameters of these windows, where each has its own.
  void enter(const Block& block) {
    if (!call.own_params) return;
    V p[PARAMS + 1];
    for (int i = 0; i <= PARAMS; i++)
      for (int lane = 0; lane < LANES; lane++) p[i][lane] = call.own_params[block.window(lane) * (PARAMS + 1) + i];
    window_values(p, w);
  }
  static size_t size() { return WINDOW_VALUES + MOST_STAGES * SLOPES; }

  // The state after a substep; `Stage` keeps the derivatives of the stages.
  void advance(V* x) {
    V k[MOST_STAGES][STATES], y[STATES];
    copy(x, y);
    for (int s = 0; s < call.stages; s++) {
      Stage::rates(w, c, y, k[s], slopes + s * SLOPES);
      combine(x, k, s, y);
    }
    copy(y, x);
  }

  // A direction after the substep: d changes as states do, with one parameter or with one control by du.
  void advance_along(V* d, int entry, int control, V du) const {
    V k[MOST_STAGES][STATES], y[STATES];
    copy(d, y);
    for (int s = 0; s < call.stages; s++) {
      const V* a = slopes + s * SLOPES;
      V rates[STATES] = {};
      add_by_states(a, y, rates);
      copy(rates, k[s]);
      if (entry >= 0)
        for (int i = SLOPE_FIRST[CONTROLS + entry]; i < SLOPE_FIRST[CONTROLS + entry + 1]; i++) k[s][SLOPE_ROW[i]] += a[i];
      if (control >= 0)
        for (int i = SLOPE_FIRST[control]; i < SLOPE_FIRST[control + 1]; i++) k[s][SLOPE_ROW[i]] += a[i] * du;
      combine(d, k, s, y);
    }
    copy(y, d);
  }

  // Held states after a step; directions of a control change them, too.
  void jump(V* x, const V* u) const {
    for (int i = 0; i < call.held; i++) x[call.held_places[2 * i]] += call.dt * u[call.held_places[2 * i + 1]];
  }
  void jump_along(V* d, int control, V du) const {
    for (int i = 0; i < call.held; i++)
      if (call.held_places[2 * i + 1] == control) d[call.held_places[2 * i]] += call.dt * du;
  }

 private:
  // Loops over states are unrolled, so that these stay in registers.
  static void copy(const V* from, V* to) {
#pragma GCC unroll 32
    for (int i = 0; i < STATES; i++) to[i] = from[i];
  }
  // Where the next stage takes its rates, or the state after the last.
  void combine(const V* x, const V (*k)[STATES], int stage, V* y) const {
    V sum[STATES];
    copy(x, sum);
    for (int s = 0; s <= stage; s++) {
      if (call.tableau[stage * call.stages + s] == 0) continue;
      const V share = shares[stage][s];
#pragma GCC unroll 32
      for (int i = 0; i < STATES; i++) sum[i] += share * k[s][i];
    }
    copy(sum, y);
  }
};

// What the observer says of a state, and how that changes; `gain(k, j)` is of the k-th estimated state.
struct Observer {
  const Call& call;
  explicit Observer(const Call& call) : call(call) {}

  void errors(const V* x, const V* logged, V* e) const {
    for (int j = 0; j < call.read; j++) {
      const int i = call.observed[j];
      e[j] = call.angle[i] ? wrapped(logged[i] - x[i]) : logged[i] - x[i];
    }
  }
  void correct(V* x, const V* logged, const V* e, const V* gains) const {
    for (int k = 0; k < call.estimated; k++) {
      V move{};
      for (int j = 0; j < call.read; j++) move += gains[k * call.read + j] * e[j];
      x[call.observed[k]] += move;
    }
    for (int k = call.estimated; k < call.estimated + call.logged; k++) {
      const int i = call.observed[k];
      x[i] += logged[i] - x[i];
    }
  }
  void correct_along(V* d, const V* gains) const {
    V e[STATES];
    for (int j = 0; j < call.read; j++) e[j] = -d[call.observed[j]];
    for (int k = 0; k < call.estimated; k++) {
      V move{};
      for (int j = 0; j < call.read; j++) move += gains[k * call.read + j] * e[j];
      d[call.observed[k]] += move;
    }
    for (int k = call.estimated; k < call.estimated + call.logged; k++) {
      const int i = call.observed[k];
      d[i] -= d[i];
    }
  }
  // Gains of a row of the history, or those that hold in all.
  void load(const Block& block, int64_t row, V* gains) const {
    const int64_t count = int64_t(call.estimated) * call.read;
    for (int64_t i = 0; i < count; i++)
      for (int lane = 0; lane < LANES; lane++)
        gains[i][lane] = call.gains ? call.gains[(block.window(lane) * call.history + row) * count + i] : call.same_gains[i];
  }
};

// Normal equations of a block of windows. More than the errors of one row in single precision would cost digits
// that the covariance needs.
struct Sums {
  const Call& call;
  const int all, channels;
  std::vector<D> matrix, gradient;  // the upper triangle, row by row
  V *jacobian, *weighted;           // (channels, all)

  Sums(const Call& call, Memory& memory)
      : call(call), all(call.directions), channels(call.compared), matrix(all * (all + 1) / 2), gradient(all) {
    jacobian = memory.take(size_t(channels) * all);
    weighted = memory.take(size_t(channels) * all);
  }
  static size_t size(const Call& call) { return 2 * size_t(call.compared) * call.directions; }

  void clear() {
    std::fill(matrix.begin(), matrix.end(), D{});
    std::fill(gradient.begin(), gradient.end(), D{});
  }
  // Add a row whose errors `e` and Jacobian are in units of sigma.
  void add(const V* e) {
    const V huber = splat(call.huber);
    for (int c = 0; c < channels; c++) {
      const V weight = vmin_of_nan(splat(1), huber / vmax_of_nan(vabs(e[c]), huber));
      for (int p = 0; p < all; p++) weighted[c * all + p] = jacobian[c * all + p] * weight;
    }
    D* sum = matrix.data();
    for (int p = 0; p < all; p++) {
      V own{};
      for (int c = 0; c < channels; c++) own += weighted[c * all + p] * e[c];
      gradient[p] += __builtin_convertvector(own, D);
      int q = p;
      for (; q + 4 <= all; q += 4, sum += 4) add_products<4>(p, q, sum);
      for (; q < all; q++, sum++) add_products<1>(p, q, sum);
    }
  }
  // Side by side, so that what they share is loaded once.
  template <int N>
  void add_products(int p, int q, D* sum) const {
    V product[N] = {};
    for (int c = 0; c < channels; c++) {
      const V left = weighted[c * all + p];
#pragma GCC unroll 4
      for (int n = 0; n < N; n++) product[n] += left * jacobian[c * all + q + n];
    }
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) sum[n] += __builtin_convertvector(product[n], D);
  }
  void write(const Block& block) const {
    const int P = all - call.starts, K = call.starts;
    for (int lane = 0; lane < block.lanes; lane++) {
      const int64_t window = block.first + lane;
      double* const group = call.matrix + call.groups[window] * P * P;
      const D* sum = matrix.data();
      for (int p = 0; p < all; p++) {
        call.gradient[p * call.windows + window] = gradient[p][lane];
        for (int q = p; q < all; q++, sum++) {
          if (q < P) {
            group[p * P + q] += (*sum)[lane];
            continue;
          }
          call.by_start[(int64_t(p) * K + q - P) * call.windows + window] = (*sum)[lane];
          if (p >= P) call.by_start[(int64_t(q) * K + p - P) * call.windows + window] = (*sum)[lane];
        }
      }
    }
  }
};

template <bool NORMAL>
static void roll(const Call& call) {
  static thread_local Scratch scratch;
  const int all = NORMAL ? call.directions : 0;
  const int64_t gain_count = int64_t(call.estimated) * call.read;
  using Moving = Step<std::conditional_t<NORMAL, ByAll, Alone>>;
  Memory memory(scratch, Block::size(call) + Moving::size() + (NORMAL ? Sums::size(call) : 0) + all * STATES + gain_count);
  Memory of_block = memory;
  of_block.take(Block::size(call));
  Moving step(call, of_block);
  const Observer observer(call);
  V* const d = of_block.take(all * STATES);
  V* const gains = of_block.take(gain_count);
  V inverse[STATES] = {}, e[STATES];
  if (NORMAL)
    for (int c = 0; c < call.compared; c++) inverse[c] = splat(1 / call.sigma[c]);
  std::vector<Sums> sums;
  if (NORMAL) sums.emplace_back(call, of_block);
  const int64_t shift = call.starts ? 1 : 0;

  for (int64_t number = 0; number * LANES < call.windows; number++) {
    Memory again = memory;
    const Block block(call, number, again);
    step.enter(block);
    V x[STATES];
    block.begin(x);
    std::fill_n(d, all * STATES, V{});
    if (NORMAL) sums[0].clear();
    if (call.starts) {
      // The first row: how far starts are from what is logged.
      for (int c = 0; c < call.starts; c++)
        for (int lane = 0; lane < LANES; lane++) e[c][lane] = call.offsets[c * call.windows + block.window(lane)];
      if (NORMAL) {
        Sums& own = sums[0];
        std::fill_n(own.jacobian, call.compared * all, V{});
        for (int c = 0; c < call.starts; c++) {
          const int direction = all - call.starts + c;
          d[direction * STATES + call.start_places[c]] = splat(1);
          own.jacobian[c * all + direction] = inverse[c];
          e[c] *= inverse[c];
        }
        own.add(e);
      } else {
        for (int c = 0; c < call.starts; c++)
          for (int lane = 0; lane < block.lanes; lane++)
            call.errors[c * (call.steps + 1) * call.stride + block.first + lane] = e[c][lane];
      }
    }
    for (int64_t row = 0; row < block.rows; row++) {
      const V *u = block.controls + row * CONTROLS, *du = block.moves + row * CONTROLS;
      const V* const logged = block.states + (row + 1) * SHOWN;
      step_values(step.w, u, step.c);
      for (int s = 0; s < call.substeps; s++) {
        step.advance(x);
        for (int p = 0; p < all; p++) {
          const int control = call.control[p];
          step.advance_along(d + p * STATES, call.entry[p], control, control < 0 ? V{} : du[control]);
        }
      }
      step.jump(x, u);
      for (int p = 0; p < all; p++)
        if (call.control[p] >= 0) step.jump_along(d + p * STATES, call.control[p], du[call.control[p]]);
      const int64_t ahead = row + call.first - call.history;  // steps from the start on
      if (ahead < 0) {
        observer.load(block, row, gains);
        observer.errors(x, logged, e);
        observer.correct(x, logged, e, gains);
        for (int p = 0; p < all; p++) observer.correct_along(d + p * STATES, gains);
        continue;
      }
      for (int c = 0; c < call.compared; c++) {
        const int i = call.compared_places[c];
        e[c] = call.plain ? x[i] : call.angle[i] ? wrapped(x[i] - logged[i]) : x[i] - logged[i];
        if (!NORMAL) {
          S* const to = call.errors + (c * (call.steps + shift) + ahead + shift) * call.stride + block.first;
          for (int lane = 0; lane < block.lanes; lane++) to[lane] = e[c][lane];
          continue;
        }
        e[c] *= inverse[c];
        V* const jacobian = sums[0].jacobian + c * all;
        for (int p = 0; p < all; p++) jacobian[p] = d[p * STATES + i] * (call.slope[p] * inverse[c]);
      }
      if (NORMAL) sums[0].add(e);
    }
    if (NORMAL) sums[0].write(block);
  }
}

// Bytes of a `Call`, for those who fill it from elsewhere.
extern "C" EXPORTED int64_t pct_call_size() { return sizeof(Call); }

// All windows on the calling thread.
extern "C" EXPORTED void pct_errors(const Call* call) { roll<false>(*call); }
extern "C" EXPORTED void pct_normal(const Call* call) { roll<true>(*call); }

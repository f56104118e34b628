// Gains of the filter that begins windows; stands behind sensitivities.h.
// The filter's covariance of what is estimated, in units of the scales; see pct/measurement/filter.py.
struct Filter {
  const Call& call;
  const int N, M_;
  V P[STATES][STATES];

  explicit Filter(const Call& call) : call(call), N(call.estimated), M_(call.read) {
    for (int k = 0; k < N; k++)
      for (int l = 0; l < N; l++) P[k][l] = splat(k == l ? call.uncertain[N + k] : 0);
  }
  S scale(int k) const { return call.uncertain[k]; }

  // After a step along which states change by `move`, (N, N).
  void predict(const V (*move)[STATES]) {
    V half[STATES][STATES];
    for (int k = 0; k < N; k++)
      for (int l = 0; l < N; l++) {
        half[k][l] = V{};
        for (int j = 0; j < N; j++) half[k][l] += move[k][j] * P[j][l];
      }
    for (int k = 0; k < N; k++)
      for (int l = 0; l < N; l++) {
        P[k][l] = V{};
        for (int j = 0; j < N; j++) P[k][l] += half[k][j] * move[l][j];
        if (k == l) P[k][l] += call.uncertain[2 * N + k];
      }
  }
  // After all is read that a row shows, one after another; gains (N, M) in units of the scales.
  void read(const V* e, V* gains) {
    std::fill_n(gains, N * M_, V{});
    for (int j = 0; j < M_; j++) {
      V left = e[j];
      for (int i = 0; i < M_; i++) left -= gains[j * M_ + i] * e[i];
      const V spread = P[j][j] + call.noise, size = left / call.expected;
      const V jump = vmax_of_nan(size * size - spread, V{});
      P[j][j] += jump;
      V gain[STATES], own[STATES], kept[STATES][STATES];
      for (int k = 0; k < N; k++) gain[k] = P[k][j] / (spread + jump);
      // (I - k h) P (I - k h)' + k R k', with h picking row j.
      for (int k = 0; k < N; k++)
        for (int l = 0; l < N; l++) kept[k][l] = P[k][l] - gain[k] * P[j][l];
      for (int k = 0; k < N; k++)
        for (int l = 0; l < N; l++) P[k][l] = kept[k][l] - kept[k][j] * gain[l] + call.noise * gain[k] * gain[l];
      for (int i = 0; i < M_; i++) own[i] = (i == j ? S(1) : S(0)) - gains[j * M_ + i];
      for (int k = 0; k < N; k++)
        for (int i = 0; i < M_; i++) gains[k * M_ + i] += gain[k] * own[i];
    }
  }
};

static void find_gains(const Call& call) {
  static thread_local Scratch scratch;
  const int N = call.estimated, M_ = call.read;
  using Moving = Step<ByState>;
  Memory memory(scratch, Block::size(call) + Moving::size() + N * M_);
  Memory of_block = memory;
  of_block.take(Block::size(call));
  Moving step(call, of_block);
  V* const gains = of_block.take(N * M_);
  const Observer observer(call);
  for (int64_t number = 0; number * LANES < call.windows; number++) {
    Memory again = memory;
    const Block block(call, number, again);
    V x[STATES], d[STATES][STATES], move[STATES][STATES], e[STATES], scaled[STATES];
    block.begin(x);
    Filter filter(call);
    for (int64_t row = 0; row < call.history; row++) {
      const V* const u = block.controls + row * CONTROLS;
      const V* const logged = block.states + (row + 1) * SHOWN;
      step_values(step.w, u, step.c);
      for (int n = 0; n < N; n++) {
        std::fill_n(d[n], STATES, V{});
        d[n][call.observed[n]] = splat(filter.scale(n));
      }
      for (int s = 0; s < call.substeps; s++) {
        step.advance(x);
        for (int n = 0; n < N; n++) step.advance_along(d[n], -1, -1, V{});
      }
      step.jump(x, u);
      for (int k = 0; k < N; k++)
        for (int n = 0; n < N; n++) move[k][n] = d[n][call.observed[k]] / filter.scale(k);
      filter.predict(move);
      observer.errors(x, logged, e);
      for (int j = 0; j < M_; j++) scaled[j] = e[j] / filter.scale(j);
      filter.read(scaled, gains);
      for (int k = 0; k < N; k++)
        for (int j = 0; j < M_; j++) {
          V& gain = gains[k * M_ + j];
          gain *= filter.scale(k) / filter.scale(j);
          for (int lane = 0; lane < block.lanes; lane++)
            call.gains_out[(((block.first + lane) * call.history + row) * N + k) * M_ + j] = gain[lane];
        }
      observer.correct(x, logged, e, gains);
    }
  }
}

extern "C" EXPORTED void pct_gains(const Call* call) { find_gains(*call); }

// What a network reads of the rows before windows, as `means_of` of pct/data/context.py has it: `pct_context`.

struct Context {
  int64_t windows, states, controls;
  const float *state_rows, *control_rows;  // (N, states), (N, controls)
  const int32_t* starts;                   // (B), first row of each window
  const int32_t* pose;                     // where x, y and heading are among the states
  const int32_t* back;                     // by part of the history, from a window's first row to its mean's
  std::vector<const float*> means;         // by part, (N, states + controls)
  std::vector<int64_t> moving;             // all of these but the pose
  float* features;                         // out (B, width)

  // Windows that a thread takes at a time: a microsecond of work or two.
  static constexpr int64_t SHARE = 32;

  int64_t parts() const { return (windows + SHARE - 1) / SHARE; }
  int64_t width() const { return moving.size() * (1 + means.size()) + 3 * means.size(); }

  void run(Progress& progress, int64_t thread) const {
    std::vector<float> now(states + controls);
    for (int64_t part = progress.take(thread); part >= 0; part = progress.take(thread)) {
      const int64_t end = std::min(windows, (part + 1) * SHARE);
      for (int64_t first = part * SHARE; first < end; first += LANES) {
        const int64_t count = std::min<int64_t>(LANES, end - first);
        V heading{};
        for (int64_t i = 0; i < count; i++) heading[i] = state_rows[starts[first + i] * states + pose[2]];
        const V cosine = vcos(heading), sine = vsin(heading);
        for (int64_t i = 0; i < count; i++) read(first + i, cosine[i], sine[i], now.data());
      }
    }
  }

 private:
  void read(int64_t window, float cosine, float sine, float* now) const {
    const int64_t start = starts[window], columns = states + controls;
    std::copy_n(state_rows + start * states, states, now);
    std::copy_n(control_rows + (start - 1) * controls, controls, now + states);
    float* to = features + window * width();
    for (int64_t i : moving) *to++ = now[i];
    for (size_t part = 0; part < means.size(); part++) {
      const float* mean = means[part] + (start - back[part]) * columns;
      const auto past = [=](int64_t i) { return mean[i] - now[i]; };
      for (int64_t i : moving) *to++ = past(i);
      const float dx = past(pose[0]), dy = past(pose[1]);
      *to++ = cosine * dx + sine * dy;
      *to++ = cosine * dy - sine * dx;
      *to++ = past(pose[2]);
    }
  }
};

// (states, controls, starts, pose then back, means of each part) -> features
extern "C" EXPORTED XLA_FFI_Error* pct_context(XLA_FFI_CallFrame* frame) {
  if (answers_metadata(frame)) return nullptr;
  const Arrays arrays{frame};
  Context context{};
  context.windows = arrays.argument(2).dims[0];
  context.states = arrays.argument(0).dims[1];
  context.controls = arrays.argument(1).dims[1];
  context.state_rows = arrays.in(0);
  context.control_rows = arrays.in(1);
  context.starts = Arrays::data<const int32_t>(arrays.argument(2));
  context.pose = Arrays::data<const int32_t>(arrays.argument(3));
  context.back = context.pose + 3;
  for (int i = 4; i < frame->args.size; i++) context.means.push_back(arrays.in(i));
  for (int64_t i = 0; i < context.states + context.controls; i++)
    if (std::find(context.pose, context.pose + 3, i) == context.pose + 3) context.moving.push_back(i);
  context.features = arrays.out(0);
  run_on_pool(frame, context);
  return nullptr;
}

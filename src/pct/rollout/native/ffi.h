// Entry points for XLA: `pct_loss` and `pct_rollout` with their results, over the threads of its pool.

namespace {

struct Rollouts {
  Call call;
  int64_t parts() const { return block_count(call); }
  void run(Progress& progress, int64_t thread) const {
    run_blocks(call, [&] { return progress.take(thread); });
  }
};

}  // namespace

// (answers, fixed, start, controls, settings, targets, rows, weights, comparison) -> (loss, by answers)
extern "C" EXPORTED XLA_FFI_Error* pct_loss(XLA_FFI_CallFrame* frame) {
  if (answers_metadata(frame)) return nullptr;
  const Arrays arrays{frame};
  const int32_t* settings = Arrays::data<const int32_t>(arrays.argument(4));
  Call call{};
  call.windows = arrays.argument(7).dims[0];
  call.steps = arrays.argument(7).dims[1];
  call.substeps = settings[0];
  call.localise = settings[1];
  call.answers = arrays.in(0);
  call.fixed = arrays.in(1);
  call.start = arrays.in(2);
  call.controls = arrays.in(3);
  call.targets = arrays.in(5);
  call.rows = Arrays::data<const int32_t>(arrays.argument(6));
  call.weights = arrays.in(7);
  call.comparison = arrays.in(8);
  call.loss = arrays.out(0);
  call.by_answers = arrays.out(1);
  run_on_pool(frame, Rollouts{call});
  return nullptr;
}

// (answers, fixed, start, controls, settings) -> states, or with cotangents behind
// -> (by answers, by start, by controls)
extern "C" EXPORTED XLA_FFI_Error* pct_rollout(XLA_FFI_CallFrame* frame) {
  if (answers_metadata(frame)) return nullptr;
  const Arrays arrays{frame};
  const int32_t* settings = Arrays::data<const int32_t>(arrays.argument(4));
  Call call{};
  call.windows = arrays.argument(2).dims[0];
  call.steps = settings[1];
  call.substeps = settings[0];
  call.answers = arrays.in(0);
  call.fixed = arrays.in(1);
  call.start = arrays.in(2);
  call.controls = arrays.in(3);
  if (frame->args.size > 5) {
    call.cotangents = arrays.in(5);
    call.by_answers = arrays.out(0);
    call.by_start = arrays.out(1);
    call.by_controls = arrays.out(2);
  } else {
    call.states = arrays.out(0);
  }
  run_on_pool(frame, Rollouts{call});
  return nullptr;
}

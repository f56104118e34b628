// Entry points for XLA: `pct_loss` and `pct_rollout` with their results, over the threads of its pool.
#include <memory>

#include "xla/ffi/api/c_api.h"

#if defined(__x86_64__)
#define PAUSE() __builtin_ia32_pause()
#else
#define PAUSE()
#endif

namespace {

struct Arrays {
  const XLA_FFI_CallFrame* frame;
  const XLA_FFI_Buffer& argument(int i) const {
    return *static_cast<const XLA_FFI_Buffer*>(frame->args.args[i]);
  }
  const XLA_FFI_Buffer& result(int i) const { return *static_cast<const XLA_FFI_Buffer*>(frame->rets.rets[i]); }
  // Null for an array without entries: the caller does not have it, or does not want it.
  template <typename T>
  static T* data(const XLA_FFI_Buffer& buffer) {
    for (int64_t i = 0; i < buffer.rank; i++)
      if (buffer.dims[i] == 0) return nullptr;
    return static_cast<T*>(buffer.data);
  }
  const float* in(int i) const { return data<const float>(argument(i)); }
  float* out(int i) const { return data<float>(result(i)); }
};

// What several threads share; it lives until the last of them lets go.
struct Shared {
  Call call;
  std::atomic<int64_t> next{0}, busy{0};
};

// A helper that starts late finds no block left and touches nothing of the call.
void help(void* data) {
  std::unique_ptr<std::shared_ptr<Shared>> handle(static_cast<std::shared_ptr<Shared>*>(data));
  Shared& shared = **handle;
  shared.busy++;
  run_blocks(shared.call, shared.next);
  shared.busy--;
}

void run_on_pool(const XLA_FFI_CallFrame* frame, const Call& call) {
  const int64_t blocks = block_count(call);
  int64_t threads = 1;
  XLA_FFI_ThreadPool_NumThreads_Args count{};
  count.struct_size = XLA_FFI_ThreadPool_NumThreads_Args_STRUCT_SIZE;
  count.ctx = frame->ctx;
  count.num_threads = &threads;
  if (blocks < 2) threads = 1;
  else if (XLA_FFI_Error* error = frame->api->XLA_FFI_ThreadPool_NumThreads(&count)) {
    XLA_FFI_Error_Destroy_Args destroy{};
    destroy.struct_size = XLA_FFI_Error_Destroy_Args_STRUCT_SIZE;
    destroy.error = error;
    frame->api->XLA_FFI_Error_Destroy(&destroy);
    threads = 1;
  }
  if (threads < 2) return pct_run(&call);
  auto shared = std::make_shared<Shared>();
  shared->call = call;
  for (int64_t i = 1; i < std::min(threads, blocks); i++) {
    XLA_FFI_ThreadPool_Schedule_Args schedule{};
    schedule.struct_size = XLA_FFI_ThreadPool_Schedule_Args_STRUCT_SIZE;
    schedule.ctx = frame->ctx;
    schedule.task = help;
    schedule.data = new std::shared_ptr<Shared>(shared);
    if (frame->api->XLA_FFI_ThreadPool_Schedule(&schedule))
      delete static_cast<std::shared_ptr<Shared>*>(schedule.data);
  }
  run_blocks(shared->call, shared->next);
  // The blocks that are left are being worked on by threads that run.
  while (shared->busy > 0) PAUSE();
}

// Whether XLA only asks which version of its interface this is.
bool answers_metadata(XLA_FFI_CallFrame* frame) {
  XLA_FFI_Extension_Base* extension = frame->extension_start;
  if (extension == nullptr || extension->type != XLA_FFI_Extension_Metadata) return false;
  XLA_FFI_Metadata* metadata = reinterpret_cast<XLA_FFI_Metadata_Extension*>(extension)->metadata;
  metadata->api_version.major_version = XLA_FFI_API_MAJOR;
  metadata->api_version.minor_version = XLA_FFI_API_MINOR;
  return true;
}

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
  run_on_pool(frame, call);
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
  run_on_pool(frame, call);
  return nullptr;
}

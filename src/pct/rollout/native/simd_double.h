// Vectors of LANES double-precision numbers and their functions, in place of simd.h: those of the standard library,
// lane by lane, for fits to data without noise.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>

#if defined(__AVX512F__)
#define LANES 8
#elif defined(__AVX__)
#define LANES 4
#else
#define LANES 2
#endif

#define INLINE static inline __attribute__((always_inline))
#define FUNCTION static __attribute__((noinline))
#define EXPORTED __attribute__((visibility("default")))

typedef double S;
typedef double V __attribute__((vector_size(8 * LANES)));
typedef int64_t M __attribute__((vector_size(8 * LANES)));  // all bits of a lane, or none

INLINE V splat(double x) { return x - V{}; }
INLINE M vnot(M mask) { return ~mask; }
INLINE V vwhere(M mask, V a, V b) { return mask ? a : b; }
INLINE V vmax(V a, V b) { return a > b ? a : b; }
INLINE V vmin(V a, V b) { return a < b ? a : b; }
// NaN where either is.
INLINE V vmax_of_nan(V a, V b) { return vwhere(~(a <= b), a, b); }
INLINE V vmin_of_nan(V a, V b) { return vwhere(~(b <= a), a, b); }
INLINE V vabs(V x) { return (V)((M)x & INT64_MAX); }
INLINE V vsign(V x) { return vwhere(x > 0.0, splat(1.0), vwhere(x < 0.0, splat(-1.0), x)); }

#define OF_EACH(name, function)                                    \
  INLINE V name(V x) {                                             \
    for (int lane = 0; lane < LANES; lane++) x[lane] = function(x[lane]); \
    return x;                                                      \
  }
OF_EACH(vsqrt, std::sqrt)
OF_EACH(vfloor, std::floor)
OF_EACH(vsin, std::sin)
OF_EACH(vcos, std::cos)
OF_EACH(vtan, std::tan)
OF_EACH(vatan, std::atan)
OF_EACH(vtanh, std::tanh)
OF_EACH(vexp, std::exp)
OF_EACH(vlog, std::log)
INLINE V vatan2(V y, V x) {
  for (int lane = 0; lane < LANES; lane++) y[lane] = std::atan2(y[lane], x[lane]);
  return y;
}

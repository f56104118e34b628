// Vectors of LANES single-precision numbers and their functions. Every lane is a window of its own.
//
// The polynomials and their errors are those of pct/engine/fastmath.py. A NaN stays a NaN.
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

// Numbers in a register of this machine.
#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif

#define INLINE static inline __attribute__((always_inline))
#define FUNCTION static __attribute__((noinline))
#define EXPORTED __attribute__((visibility("default")))

typedef float S;
typedef float V __attribute__((vector_size(4 * LANES)));
typedef int32_t M __attribute__((vector_size(4 * LANES)));  // all bits of a lane, or none; also integers

#if defined(__clang__)
#define SHUFFLE __builtin_shufflevector
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, M{__VA_ARGS__})
#endif

INLINE V splat(float x) { return x - V{}; }
INLINE M bits(V x) { return (M)x; }
INLINE V number(M x) { return (V)x; }
INLINE M vnot(M mask) { return ~mask; }
INLINE V vwhere(M mask, V a, V b) { return mask ? a : b; }
INLINE bool any(M mask) {
  int32_t found = 0;
  for (int lane = 0; lane < LANES; lane++) found |= mask[lane];
  return found != 0;
}
INLINE V converted(M x) { return __builtin_convertvector(x, V); }

// The second argument where either is NaN, as one instruction.
INLINE V vmax(V a, V b) { return a > b ? a : b; }
INLINE V vmin(V a, V b) { return a < b ? a : b; }
// NaN where either is.
INLINE V vmax_of_nan(V a, V b) { return vwhere(~(a <= b), a, b); }
INLINE V vmin_of_nan(V a, V b) { return vwhere(~(b <= a), a, b); }

INLINE V vabs(V x) { return number(bits(x) & 0x7fffffff); }
INLINE V flip_sign(V x, M where) { return number(bits(x) ^ (where & (int32_t)0x80000000)); }
INLINE V vsign(V x) { return vwhere(x > 0.0f, splat(1.0f), vwhere(x < 0.0f, splat(-1.0f), x)); }

INLINE V vsqrt(V x) {
  V r;
  for (int lane = 0; lane < LANES; lane++) r[lane] = __builtin_sqrtf(x[lane]);
  return r;
}

// At 1.5 * 2^23 the last bit of a number is worth one: adding it rounds, for sizes below 2^22.
constexpr float ONE_IS_LAST = 12582912.0f;

INLINE V vfloor(V x) {
  const V nearest = x + ONE_IS_LAST - ONE_IS_LAST;
  const V below = vwhere(nearest > x, nearest - 1.0f, nearest);
  return vwhere(vabs(x) < 4194304.0f, below, x);
}

INLINE V polynomial(V x, float a) { return splat(a); }
template <typename... Rest>
INLINE V polynomial(V x, float a, Rest... rest) {
  return polynomial(x, rest...) * x + a;
}

struct Reduced {
  M quadrant;  // right in its last two bits
  V r;         // in about [-pi/4, pi/4]
};

// x = quadrant pi/2 + r. Fused operations round once; else the first two parts of pi/2 have 11 bits each.
INLINE Reduced reduce(V x) {
  const V shifted = x * 0.636619772f + ONE_IS_LAST;
  const V turns = shifted - ONE_IS_LAST;
#if defined(__FP_FAST_FMAF)
  const V r = x - turns * 1.57079637f + turns * 4.37113883e-8f;
#else
  const V r = x - turns * 1.5703125f - turns * 4.837512969970703e-4f - turns * 7.549790126404332e-8f;
#endif
  // Beyond the range of the reduction the difference may be anything.
  return {bits(shifted), vmin(splat(1.0f), vmax(splat(-1.0f), r))};
}

INLINE V sine_near_zero(V r, V r2) {
  return r + r * r2 * polynomial(r2, -0.16666655f, 0.008332188f, -0.00019518097f);
}
INLINE V cosine_near_zero(V r2) { return polynomial(r2, 1.0f, -0.49999884f, 0.041655716f, -0.0013591017f); }
// Whether an integer is odd, in the sign.
INLINE M odd_sign(M integer) { return integer << 31; }
// By the sign of a mask, as the processor's instruction takes it.
INLINE V where_negative(M mask, V a, V b) { return mask < 0 ? a : b; }

INLINE V vsin(V x) {
  const Reduced a = reduce(x);
  const V r2 = a.r * a.r;
  return flip_sign(where_negative(odd_sign(a.quadrant), cosine_near_zero(r2), sine_near_zero(a.r, r2)),
                   a.quadrant << 30);
}

INLINE V vcos(V x) {
  const Reduced a = reduce(x);
  const V r2 = a.r * a.r;
  const M odd = odd_sign(a.quadrant);
  const V size = where_negative(odd, sine_near_zero(a.r, r2), cosine_near_zero(r2));
  return flip_sign(size, (a.quadrant << 30) ^ odd);
}

INLINE V vtan(V x) {
  const Reduced a = reduce(x);
  const V r2 = a.r * a.r;
  const V n = a.r + a.r * r2 * -0.09578067f;
  const V d = polynomial(r2, 1.0f, -0.4291145f, 0.00970927f);
  const M odd = odd_sign(a.quadrant);
  return flip_sign(where_negative(odd, d, n) / where_negative(odd, n, d), odd);
}

// Arctangent of y in [-1, 1].
INLINE V arctan_to_one(V y) {
  const V y2 = y * y;
  return y + y * y2 *
                 polynomial(y2, -0.33332393f, 0.19974229f, -0.14041407f, 0.09968682f, -0.06020597f,
                            0.024736002f, -0.0048230588f);
}

INLINE V vatan(V x) {
  const M steep = vabs(x) > 1.0f;
  const V quarter = vwhere(steep, flip_sign(splat(1.57079633f), bits(x)), splat(0.0f));
  return quarter + arctan_to_one(vwhere(steep, splat(-1.0f), x) / vwhere(steep, x, splat(1.0f)));
}

INLINE V vatan2(V y, V x) {
  const M steep = vabs(y) > vabs(x);
  const V n = vwhere(steep, -x, y), d = vwhere(steep, y, x);
  const V turn = vwhere(steep, splat(1.57079633f), vwhere(x < 0.0f, splat(3.14159265f), splat(0.0f)));
  return flip_sign(turn, bits(y)) + arctan_to_one(n / vwhere(d == 0.0f, splat(1.0f), d));
}

INLINE V vtanh(V x) {
  x = vwhere(vabs(x) > 9.0f, flip_sign(splat(9.0f), bits(x)), x);
  const V x2 = x * x;
  const V n = x * polynomial(x2, 0.875f, 0.02481383f, 6.7226356e-05f, -6.074377e-08f);
  const V d = polynomial(x2, 1.75f, 0.19546089f, 0.0018396411f);
  return (n + n) * d / (d * d + n * n);
}

// S. L. Moshier, Cephes Mathematical Library: polynomials of expf and logf.
INLINE V vexp(V x) {
  const V within = vwhere(x > 88.8f, splat(88.8f), vwhere(x < -87.3f, splat(-87.3f), x));
  const V shifted = within * 1.44269504f + ONE_IS_LAST;
  const V n = shifted - ONE_IS_LAST;
  const V r = within - n * 0.693359375f + n * 2.12194440e-4f;
  const V y = r * r * polynomial(r, 0.5f, 1.6666665459e-1f, 4.1665795894e-2f, 8.3334519073e-3f,
                                 1.3981999507e-3f, 1.9875691500e-4f) + r + 1.0f;
  // 2^n in two factors, since 2^128 is none.
  const M power = bits(shifted) - (int32_t)0x4b400000, half = power >> 1;
  const V scaled = y * number((half + 127) << 23) * number((power - half + 127) << 23);
  return vwhere(x > 88.72284f, splat(__builtin_inff()), vwhere(x < -87.3f, splat(0.0f), scaled));
}

INLINE V vlog(V x) {
  const M tiny = x < 1.17549435e-38f;
  const V normal = vwhere(tiny, x * 8388608.0f, x);
  const M exponent = ((bits(normal) >> 23) & 255) - 126;
  const V mantissa = number((bits(normal) & 0x007fffff) | 0x3f000000);
  const M low = mantissa < 0.707106781f;
  const V r = vwhere(low, mantissa + mantissa, mantissa) - 1.0f;
  const V n = converted(exponent + low) - vwhere(tiny, splat(23.0f), splat(0.0f));
  const V r2 = r * r;
  const V y = r2 * r * polynomial(r, 3.3333331174e-1f, -2.4999993993e-1f, 2.0000714765e-1f, -1.6668057665e-1f,
                                  1.4249322787e-1f, -1.2420140846e-1f, 1.1676998740e-1f, -1.1514610310e-1f,
                                  7.0376836292e-2f) - n * 2.12194440e-4f - 0.5f * r2;
  const V value = r + y + n * 0.693359375f;
  const V edge = vwhere(x == 0.0f, splat(-__builtin_inff()), vwhere(x < 0.0f, splat(__builtin_nanf("")), x));
  return vwhere((x > 0.0f) & (x < __builtin_inff()), value, edge);
}

// Of each pair of lanes S apart, one goes to the other of a pair of vectors S apart.
template <int S, size_t... I>
INLINE void exchange(V* rows, std::index_sequence<I...>) {
#pragma GCC unroll 16
  for (int i = 0; i < LANES; i++) {
    if (i & S) continue;
    const V a = rows[i], b = rows[i + S];
    rows[i] = SHUFFLE(a, b, (I & S ? I - S + LANES : I)...);
    rows[i + S] = SHUFFLE(a, b, (I & S ? I + LANES : I + S)...);
  }
}

template <int S = LANES / 2>
INLINE void transpose(V* rows) {
  exchange<S>(rows, std::make_index_sequence<LANES>());
  if constexpr (S > 1) transpose<S / 2>(rows);
}

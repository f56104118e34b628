/* Numbers in place of vectors: what the equations' functions are made of, in plain C. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define FUNCTION static
typedef double V;
typedef int M;
static double splat(double x) { return x; }
static int vnot(int mask) { return !mask; }
static double vwhere(int mask, double a, double b) { return mask ? a : b; }
static double vmax(double a, double b) { return a > b ? a : b; }
static double vmin(double a, double b) { return a < b ? a : b; }
/* NaN where either is. */
static double vmax_of_nan(double a, double b) { return a <= b ? b : a; }
static double vmin_of_nan(double a, double b) { return b <= a ? b : a; }
static double vabs(double x) { return fabs(x); }
static double vsign(double x) { return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : x; }
static double vsqrt(double x) { return sqrt(x); }
static double vfloor(double x) { return floor(x); }
static double vsin(double x) { return sin(x); }
static double vcos(double x) { return cos(x); }
static double vtan(double x) { return tan(x); }
static double vatan(double x) { return atan(x); }
static double vatan2(double y, double x) { return atan2(y, x); }
static double vtanh(double x) { return tanh(x); }
static double vexp(double x) { return exp(x); }
static double vlog(double x) { return log(x); }

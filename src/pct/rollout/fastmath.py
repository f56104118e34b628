"""`xp`, an array namespace for CPUs: `jax.numpy` with short polynomials for functions of angles.

XLA computes sin, cos, tan, arctan and arctan2 on a CPU by a library call for each element. The
polynomials here fuse into the loop around them and run on its vector registers. Derivatives are the
exact formulas, not those of the polynomials.

Only float32 arrays take this path. Any other argument (double precision, a Python number) gets
`jax.numpy`'s own function, as does every name that is not defined here.

Errors against double precision:

| function | for | error at most |
|---|---|---|
| sin, cos | abs(x) <= 1e4 rad | 1.5e-7 |
| sin, cos | abs(x) <= 1e4 rad, values above 1e-3 | 3e-7 of the value |
| sin, cos | abs(x) <= 1e2 rad, values above 1e-5 | 3e-7 of the value |
| tan | abs(x) <= 1e4 rad, values from 1e-3 to 1e3 | 3e-7 of the value |
| tan | abs(x) <= 1e2 rad, values from 1e-5 to 1e5 | 3e-7 of the value |
| sin, tan | abs(x) <= pi/4 rad, values from 1.2e-38 | 3e-7 of the value |
| arctan, arctan2, tanh | any x, values from 1.2e-38 | 3e-7 of the value |

Smaller values may come out as zero, and zero with either sign. Beyond 1e4 rad the error of sin, cos and tan
grows with x until nothing of the phase is left, but sin and cos stay within [-1, 1] and tan finite; at
infinity all three are NaN. A NaN stays NaN.

The coefficients solve a least-squares problem of the relative error in double precision, reweighted until the
error's peaks are level (Lawson), then rounded to float32.

References:
    W. J. Cody, W. Waite, "Software Manual for the Elementary Functions", Prentice-Hall, 1980: an angle
    reduced by a multiple of pi/2 in parts.
    C. L. Lawson, "Contributions to the theory of linear least maximum approximation", UCLA, 1961.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pct.types import Array

F32 = np.float32


class FastNamespace:
    """`jax.numpy` but for the functions below; its one instance is `xp`. All are elementwise."""

    def __getattr__(self, name: str) -> Any:
        return getattr(jnp, name)

    @staticmethod
    def sin(x: Array) -> Array:
        """Sine of x in rad."""
        return _apply(_sin, jnp.sin, x)

    @staticmethod
    def cos(x: Array) -> Array:
        """Cosine of x in rad. Shares its work with the sine of the same x."""
        return _apply(_cos, jnp.cos, x)

    @staticmethod
    def tan(x: Array) -> Array:
        """Tangent of x in rad."""
        return _apply(_tan, jnp.tan, x)

    @staticmethod
    def arctan(x: Array) -> Array:
        """Angle in [-pi/2, pi/2] rad whose tangent is x."""
        return _apply(_arctan, jnp.arctan, x)

    @staticmethod
    def arctan2(y: Array, x: Array) -> Array:
        """Angle in [-pi, pi] rad of the point (x, y).

        Zero, with gradient zero, at (0, 0) whatever the signs of the zeros; the gradient is zero wherever
        both are below 1.2e-38 in size. NaN if both are infinite.
        """
        return _apply(_arctan2, jnp.arctan2, y, x)

    @staticmethod
    def tanh(x: Array) -> Array:
        """Hyperbolic tangent of x, within [-1, 1]."""
        return _apply(_tanh, jnp.tanh, x)


xp = FastNamespace()


def _apply(fast: Callable[..., Array], exact: Callable[..., Array], *arguments: Array) -> Array:
    single = all(getattr(a, "dtype", None) == F32 for a in arguments)
    return fast(*arguments) if single else exact(*arguments)


# Each is compiled by itself as well, so that it is traced once and not at every call in a model.


@jax.custom_jvp
@jax.jit
def _sin(x: Array) -> Array:
    quadrant, r = _reduce(x)
    sine, cosine = _sin_cos(r)
    # Quadrants 2 and 3 are negative: bit 1 of the quadrant becomes the sign.
    return _flip_sign(jnp.where(_is_odd(quadrant), cosine, sine), quadrant << 30)


@jax.custom_jvp
@jax.jit
def _cos(x: Array) -> Array:
    quadrant, r = _reduce(x)
    sine, cosine = _sin_cos(r)
    # Quadrants 1 and 2 are negative: the sign is where bits 0 and 1 differ.
    return _flip_sign(jnp.where(_is_odd(quadrant), sine, cosine), (quadrant << 30) ^ (quadrant << 31))


@jax.custom_jvp
@jax.jit
def _tan(x: Array) -> Array:
    quadrant, r = _reduce(x)
    r2 = r * r
    numerator = r + r * r2 * -0.09578067
    denominator = _polynomial(r2, 1.0, -0.4291145, 0.00970927)
    odd = _is_odd(quadrant)
    # tan(r + pi/2) = -1 / tan(r), with one division for both.
    return jnp.where(odd, denominator, numerator) / jnp.where(odd, -numerator, denominator)


@jax.custom_jvp
@jax.jit
def _arctan(x: Array) -> Array:
    # arctan(x) = +-pi/2 + arctan(-1 / x)
    steep = jnp.abs(x) > 1.0
    quarter_turn = jnp.where(steep, _flip_sign(F32(math.pi / 2), _bits(x)), F32(0.0))
    return quarter_turn + _arctan_to_one(jnp.where(steep, -1.0, x) / jnp.where(steep, x, 1.0))


@jax.custom_jvp
@jax.jit
def _arctan2(y: Array, x: Array) -> Array:
    steep = jnp.abs(y) > jnp.abs(x)
    numerator, denominator = jnp.where(steep, -x, y), jnp.where(steep, y, x)
    slope = numerator / jnp.where(denominator == 0.0, 1.0, denominator)
    turn = jnp.where(steep, F32(math.pi / 2), jnp.where(x < 0.0, F32(math.pi), F32(0.0)))
    return _flip_sign(turn, _bits(y)) + _arctan_to_one(slope)


@jax.custom_jvp
@jax.jit
def _tanh(x: Array) -> Array:
    # Beyond 9 float32 cannot tell the value from 1.
    x = jnp.where(jnp.abs(x) > 9.0, _flip_sign(F32(9.0), _bits(x)), x)
    x2 = x * x
    # tanh(x) = 2 n d / (d^2 + n^2) from tanh(x / 2) = n / d, so that errors of n / d fade as it nears 1.
    # The factor 1.75 that n and d share puts their rounding errors where they are smallest.
    n = x * _polynomial(x2, 0.875, 0.02481383, 6.7226356e-05, -6.074377e-08)
    d = _polynomial(x2, 1.75, 0.19546089, 0.0018396411)
    return (n + n) * d / (d * d + n * n)


def _arctan2_partial(a: Array, b: Array) -> Array:
    """a / (a^2 + b^2), one up to sign of the partial derivatives of `_arctan2`; zero where both are."""
    # Divided by the larger one first, no square over- or underflows. It cancels, so no derivative of it.
    larger = lax.stop_gradient(jnp.maximum(jnp.abs(a), jnp.abs(b)))
    positive = larger >= jnp.finfo(F32).tiny
    scale = 1.0 / jnp.where(positive, larger, 1.0)
    a, b = a * scale, b * scale
    return jnp.where(positive, a * scale / jnp.where(positive, a * a + b * b, 1.0), 0.0)


_sin.defjvps(lambda t, ans, x: t * _cos(x))
_cos.defjvps(lambda t, ans, x: t * -_sin(x))
_tan.defjvps(lambda t, ans, x: t * (1.0 + ans * ans))
_arctan.defjvps(lambda t, ans, x: t / (1.0 + x * x))
_arctan2.defjvps(
    lambda t, ans, y, x: t * _arctan2_partial(x, y),
    lambda t, ans, y, x: t * -_arctan2_partial(y, x),
)
_tanh.defjvps(lambda t, ans, x: t * (1.0 - ans * ans))


def _reduce(x: Array) -> tuple[Array, Array]:
    """Quadrant, right in its last two bits, and r in about [-pi/4, pi/4] with x = quadrant pi/2 + r."""
    turns = lax.round(x * (2.0 / math.pi), lax.RoundingMethod.TO_NEAREST_EVEN)
    # The first two parts of pi/2 have 11 bits each, so that their products with `turns` are exact to 1e4.
    r = x - turns * 1.5703125 - turns * 4.837512969970703e-4 - turns * 7.549790126404332e-8
    # Beyond the range the difference may be anything. Not zero, where tan has a pole.
    r = jnp.where(jnp.abs(r) > 1.0, 0.5, r)
    # At 1.5 * 2^23 the last bit of a float32 is worth one. Converting to an integer is slower.
    return _bits(turns + 1.5 * 2**23), r


def _sin_cos(r: Array) -> tuple[Array, Array]:
    """Sine and cosine of r in [-pi/4, pi/4]; relative error 4e-9 and 4e-8 before rounding."""
    r2 = r * r
    sine = r + r * r2 * _polynomial(r2, -0.16666655, 0.008332188, -0.00019518097)
    return sine, _polynomial(r2, 1.0, -0.49999884, 0.041655716, -0.0013591017)


def _arctan_to_one(y: Array) -> Array:
    """Arctangent of y in [-1, 1]; relative error 1.1e-7 before rounding."""
    y2 = y * y
    return y + y * y2 * _polynomial(
        y2, -0.33332393, 0.19974229, -0.14041407, 0.09968682, -0.06020597, 0.024736002, -0.0048230588
    )


def _polynomial(x: Array, *coefficients: float) -> Array:
    """Sum of coefficients[i] x^i by Horner's rule."""
    *rest, total = coefficients
    for coefficient in reversed(rest):
        total = coefficient + x * total
    return total


def _is_odd(integer: Array) -> Array:
    return (integer & 1) != 0


def _flip_sign(x: Array, bits: Array) -> Array:
    """x, negated where the highest of the bits is set."""
    sign = bits & np.int32(-(2**31))
    return lax.bitcast_convert_type(_bits(x) ^ sign, F32)


def _bits(x: Array) -> Array:
    return lax.bitcast_convert_type(x, np.int32)

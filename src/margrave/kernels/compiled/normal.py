"""The elementary functions that an option price needs, so written that the compiler can vectorise them.

Each is a scalar function without a branch or a library call: bits in, bits out, the same on every machine. The
coefficients of the exponential and the logarithm are Chebyshev fits in 50 digits; those of the normal tail are
the fit of `margrave.kernels.normal`.
"""

from margrave.kernels.compiled.compiler import inner, kernel
from margrave.kernels.compiled.intrinsics import bits_of, double_of, fma
from margrave.kernels.normal import TAIL_DENOMINATOR as _Q
from margrave.kernels.normal import TAIL_NUMERATOR as _P

ROOT_TWO_PI_INVERSE = 0.3989422804014327
FURTHEST = 1e10
"""Distances beyond are cut: the tail is zero there, and powers of the distance stay finite."""

_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = (
    0.6931471805598903,
    5.497923018708371e-14,
)  # 42 bits, so that times 2^11 is exact; the rest
_TO_INTEGER = 6755399441055744.0  # 1.5 × 2^52: added, the integer stands in the low bits
_LEAST_EXPONENT = -708.0  # below, the result would be subnormal: zero

_EXP = (  # exp(r) = 1 + r + r² p(r) for |r| <= ln 2 / 2, relative error 1.6e-17; p from r^9 down
    2.5100424157005067e-08,
    2.7620138719733994e-07,
    2.7557268378684192e-06,
    2.480152119021773e-05,
    0.00019841269863105968,
    0.0013888888917281794,
    0.008333333333330051,
    0.04166666666662399,
    0.16666666666666669,
    0.5000000000000001,
)
_LOG = (  # 2 artanh(s) = 2 s + s z p(z), z = s² <= 0.0295, relative error 4.6e-18; p from z^6 down
    0.146171283998073,
    0.15331666676597175,
    0.1818289077802613,
    0.22222211112104948,
    0.2857142862611452,
    0.399999999998992,
    0.666666666666667,
)
_E0, _E1, _E2, _E3, _E4, _E5, _E6, _E7, _E8, _E9 = _EXP
_L0, _L1, _L2, _L3, _L4, _L5, _L6 = _LOG
_P0, _P1, _P2, _P3, _P4, _P5, _P6, _P7, _P8, _P9 = _P
_Q0, _Q1, _Q2, _Q3, _Q4, _Q5, _Q6, _Q7, _Q8, _Q9, _Q10 = _Q
_ROOT_HALF_BITS = 0x3FE6A09E667F3BCD
_ONE_BITS = 0x3FF0000000000000
_TWO_52_BITS = 0x4330000000000000
_TWO_52_AND_BIAS = 4503599627371519.0  # 2^52 + 1023


@kernel
def exponential(x: float) -> float:
    """exp(x) for x <= 0, within one unit of the last digit; 0 below -708.

    NaN gives 0: its bits go through the integer part, so callers guard their arguments.
    """
    shifted = fma(x, _LOG2_E, _TO_INTEGER)
    k = shifted - _TO_INTEGER
    r = fma(k, -_LN2_LOW, fma(k, -_LN2_HIGH, x))
    r2 = r * r
    r4 = r2 * r2
    low = fma(r2, fma(r, _E6, _E7), fma(r, _E8, _E9))
    high = fma(r2, fma(r, _E2, _E3), fma(r, _E4, _E5))
    p = fma(r4, fma(r4, fma(r, _E0, _E1), high), low)
    y = 1.0 + fma(r2, p, r)
    scaled = double_of(bits_of(y) + (bits_of(shifted) << 52))
    return scaled if x > _LEAST_EXPONENT else 0.0


@kernel
def log_ratio(numerator: float, denominator: float, inverse: float) -> float:
    """ln(numerator / denominator) of positive numbers with a normal quotient, relative error below 1.2e-15.

    Also next to one, where the rounding of the quotient would be all there is: its remainder is added. The caller
    has the inverse of the denominator. What is not positive, normal and finite gives a number that means nothing.
    """
    ratio = numerator * inverse
    remainder = fma(-ratio, denominator, numerator) * inverse
    bits = bits_of(ratio) + (_ONE_BITS - _ROOT_HALF_BITS)
    k = double_of((bits >> 52) | _TWO_52_BITS) - _TWO_52_AND_BIAS
    f = double_of((bits & 0x000FFFFFFFFFFFFF) + _ROOT_HALF_BITS) - 1.0
    s = f / (2.0 + f)
    z = s * s
    z2 = z * z
    low = fma(z2, fma(z, _L3, _L4), fma(z, _L5, _L6))
    p = fma(z2 * z2, fma(z, fma(z, _L0, _L1), _L2), low)
    rounded = (
        remainder * (1.0 - f) if k == 0.0 else 0.0
    )  # elsewhere one unit of the quotient is none of the result
    near = fma(k, _LN2_LOW, fma(s * z, p, rounded))
    return fma(k, _LN2_HIGH, fma(2.0, s, near)) if numerator != denominator else 0.0


@inner
def tail_numerator(a: float) -> float:
    """Upper part of R(a) = N(-a) exp(a²/2) for a >= 0: all terms positive, no sum cancels."""
    a2 = a * a
    even = fma(a2, fma(a2, fma(a2, fma(a2, _P8, _P6), _P4), _P2), _P0)
    odd = fma(a2, fma(a2, fma(a2, fma(a2, _P9, _P7), _P5), _P3), _P1)
    return fma(a, odd, even)


@inner
def tail_denominator(a: float) -> float:
    """Lower part of R(a)."""
    a2 = a * a
    even = fma(a2, fma(a2, fma(a2, fma(a2, fma(a2, _Q10, _Q8), _Q6), _Q4), _Q2), _Q0)
    odd = fma(a2, fma(a2, fma(a2, fma(a2, _Q9, _Q7), _Q5), _Q3), _Q1)
    return fma(a, odd, even)


@kernel
def normal_below(x: float) -> float:
    """N(x): absolute error 3e-16, relative error of the lower tail below 2e-13; NaN gives NaN."""
    a = FURTHEST if abs(x) > FURTHEST else abs(x)
    tail = exponential(-0.5 * a * a) * tail_numerator(a) / tail_denominator(a)
    return tail if x < 0.0 else 1.0 - tail

"""What one price of Black-76 is made of, and the prices of one option under many forwards and vols.

The formula and its letters stand in `black`.
"""

import numpy as np

from margrave.kernels.arrays import F64
from margrave.kernels.compiled.compiler import inner
from margrave.kernels.compiled.intrinsics import fma
from margrave.kernels.compiled.normal import (
    FURTHEST,
    ROOT_TWO_PI_INVERSE,
    exponential,
    log_ratio,
    tail_denominator,
    tail_numerator,
)

BLOCK = 256
"""Options at a time: the results stay in the first-level cache."""

NEAR = 0.015625
"""Deviation below which the series is taken."""

LEAST = 1e-100
"""Deviation below which there is none."""

MOST_RATIO, LEAST_RATIO = 1e300, 1e-300
"""Of strike and forward: beyond, their quotient is not normal."""

INFINITE = float("inf")
NAN = float("nan")


@inner
def distance(m: float, inverse: float) -> float:
    """h, cut at what the rationals can take; NaN stays NaN."""
    far = abs(m) * inverse
    return FURTHEST if far > FURTHEST else far


@inner
def tails_apart(h: float, half: float) -> tuple[float, float, float]:
    """exp(-u²/2), R(|u|) with the sign of -u, and R(-v)."""
    u = half - h
    a, b = abs(u), half + h
    qa, qb = tail_denominator(a), tail_denominator(b)
    pa = tail_numerator(a)
    inverse = 1.0 / (qa * qb)
    signed = -pa if u > 0.0 else pa
    return exponential(-0.5 * a * a), signed * qb * inverse, tail_numerator(b) * qa * inverse


@inner
def otm_near(h: float, half: float) -> float:
    """(N(u) - exp(m) N(v)) of a small deviation: R(h - s/2) - R(h + s/2) by odd derivatives, R' = hR - n(0) and on."""
    a = abs(half - h)
    r0 = tail_numerator(h) / tail_denominator(h)
    r1 = fma(h, r0, -ROOT_TWO_PI_INVERSE)
    r2 = fma(h, r1, r0)
    r3 = fma(h, r2, 2.0 * r1)
    r4 = fma(h, r3, 3.0 * r2)
    r5 = fma(h, r4, 4.0 * r3)
    x2 = half * half
    series = fma(x2, fma(x2, r5 * (1.0 / 120.0), r3 * (1.0 / 6.0)), r1)
    return exponential(-0.5 * a * a) * (-2.0 * half) * series


@inner
def _price_and_delta(f: float, deviation: float, m: float, k: float, is_call: bool) -> tuple[float, float]:
    """Price and delta of an option; its logarithm of moneyness is |``m``|."""
    inverse = 1.0 / deviation if deviation >= LEAST else 1.0 / LEAST
    ratio = k / f
    h = distance(m, inverse)
    half = FURTHEST if deviation > FURTHEST else 0.5 * deviation
    tail, upper, lower = tails_apart(h, half)
    inside = 1.0 if half > h else 0.0
    above = k >= f
    intrinsic = f - k if is_call else k - f
    ok = (f > 0.0) & (k > 0.0) & (deviation >= 0.0) & (deviation < INFINITE)
    one = 1.0 if ok & (ratio < MOST_RATIO) & (ratio > LEAST_RATIO) else NAN
    price = fma(f if above else k, fma(tail, upper - lower, inside), intrinsic if intrinsic > 0.0 else 0.0)
    side = fma(tail, upper, inside) if above else -tail * lower * ratio
    whole = (0.0 if above else 1.0) if is_call else (-1.0 if above else 0.0)
    return one * price, one * (side + whole)


@inner
def block_prices(room: F64, count: int, strike: float, years: float, is_call: bool) -> None:
    """One option under up to `BLOCK` forwards and vols, rows 0 and 1 of ``room``: prices and deltas into rows 2 and 3."""
    forwards, vols, prices, deltas = room[0, :count], room[1, :count], room[2, :count], room[3, :count]
    root, near = np.sqrt(years), 0
    for j in range(len(forwards)):
        f = forwards[j]
        deviation = vols[j] * root
        m = log_ratio(strike, f, 1.0 / f)
        prices[j], deltas[j] = _price_and_delta(f, deviation, m, strike, is_call)
        near += 1 if deviation < NEAR else 0
    if near > 0:
        for j in range(len(forwards)):
            f, deviation = forwards[j], vols[j] * root
            inverse = 1.0 / deviation if deviation >= LEAST else 1.0 / LEAST
            otm = otm_near(distance(log_ratio(strike, f, 1.0 / f), inverse), 0.5 * deviation)
            intrinsic = f - strike if is_call else strike - f
            value = fma(f if strike >= f else strike, otm, intrinsic if intrinsic > 0.0 else 0.0)
            prices[j] = value if (deviation < NEAR) & (prices[j] == prices[j]) else prices[j]

"""Roots of many functions at once, each inside its own bracket."""

from collections.abc import Callable

import numpy as np

from margrave.kernels.arrays import F64, Bools, finite


def bracketed_root(
    f: Callable[[F64], F64], low: F64, high: F64, xtol: float, rtol: float, max_steps: int
) -> F64:
    """Root of a function in every bracket, all brackets at once.

    Parameters
    ----------
    f : callable, (S,) ndarray -> (S,) ndarray
        Continuous; element s is the function of bracket s. It is called with all of them at each step, so
        that it may hold per-bracket constants.
    low, high : (S,) ndarray
        Ends of the brackets, ``low <= high``. ``f(low)`` and ``f(high)`` have opposite signs, in either
        order; an end where ``f`` is zero is a root.
    xtol, rtol : float
        A root is good to ``xtol + rtol |root|``; at least one of them > 0.
    max_steps : int
        Calls of ``f`` beyond the two ends. A step halves the bracket at least once in three, so that three
        times log2(width / tolerance) always suffice; smooth functions need 6 to 10.

    Returns
    -------
    (S,) ndarray
        Of the last bracket's two ends, which straddle the root, the one with the smaller ``|f|``.

    Raises
    ------
    ValueError
        A bracket is not finite or not ordered, its ends have the same sign, or ``f`` gives NaN.
    RuntimeError
        Some bracket is still too wide after ``max_steps``.

    Notes
    -----
    Inverse quadratic interpolation where it is safe, bisection where not.

    References
    ----------
    Chandrupatla, Advances in Engineering Software 28(3), 1997.
    """
    # a: newest end, b: the end across the root, c: the end before. t: where between a and b to look next.
    a, b = finite("high", high).copy(), finite("low", low).copy()
    if not np.all(b <= a):
        raise ValueError("low must be <= high in every bracket")
    fa, fb = _checked(f(a)), _checked(f(b))
    _check_signs(a, b, fa, fb)
    c, fc = b, fb
    width = width_before = np.full(a.shape, np.inf)
    steps_left = max_steps
    while True:
        best = np.where(np.abs(fa) < np.abs(fb), a, b)
        tolerance = xtol + rtol * np.abs(best)
        gap = np.abs(b - a)
        done = (gap <= tolerance) | (fa == 0.0) | (fb == 0.0)
        if done.all():
            return best
        if not steps_left:
            raise RuntimeError(f"{np.sum(~done)} of {done.size} brackets not closed after {max_steps} steps")
        steps_left -= 1
        slow = gap > 0.5 * width_before  # not halved in two steps: bisect
        width, width_before = gap, width
        t = np.where(slow, 0.5, _interpolated(a, b, c, fa, fb, fc))
        # Stay a little inside the bracket, so that the other end moves too.
        margin = np.where(done, 0.5, np.minimum(0.5, 0.5 * tolerance / np.where(done, 1.0, gap)))
        x = np.where(done, a, a + np.clip(t, margin, 1.0 - margin) * (b - a))
        fx = np.where(done, fa, _checked(f(x)))
        same = np.sign(fx) == np.sign(fa)
        c, fc = np.where(same, a, b), np.where(same, fa, fb)
        b, fb = np.where(same | done, b, a), np.where(same | done, fb, fa)
        a, fa = x, fx


def _interpolated(a: F64, b: F64, c: F64, fa: F64, fb: F64, fc: F64) -> F64:
    # Fraction of the way from a to b by inverse quadratic interpolation; 0.5 where that may leave the
    # bracket.
    with np.errstate(all="ignore"):  # coinciding ends give NaN, which is not safe
        xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
        t = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        safe: Bools = (phi * phi < xi) & ((1.0 - phi) ** 2 < 1.0 - xi) & np.isfinite(t)
    return np.where(safe, t, 0.5)


def _check_signs(high: F64, low: F64, f_high: F64, f_low: F64) -> None:
    same = np.sign(f_high) * np.sign(f_low) > 0.0
    if np.any(same):
        at = int(np.argmax(same))
        raise ValueError(f"f has the same sign at low = {low[at]} and high = {high[at]} of bracket {at}")


def _checked(values: F64) -> F64:
    if np.any(np.isnan(values)):
        raise ValueError(f"f gives NaN in bracket {int(np.argmax(np.isnan(values)))}")
    return values

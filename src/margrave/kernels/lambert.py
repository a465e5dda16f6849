"""Principal real branch of Lambert's W: the w >= -1 with w exp(w) = z."""

import numpy as np

from margrave.kernels.arrays import F64, Real, finite

# 1/e in two parts: near the branch point e z + 1 is all rounding otherwise.
_INVERSE_E = 0.36787944117144233
_INVERSE_E_REST = -1.2428753672788363e-17
_STEPS_MAX = 12
_SETTLED = 4.0 * 2.0**-52
_INVERSE_E_LEAST = -_INVERSE_E - _SETTLED  # -1/e less what rounding may take off
_Z_MAX = 1e300  # beyond, w exp(w) might overflow on the way
_LOG_FORM_FROM = 2.0  # log z from which w + ln w = log z is solved instead


def lambert_w0(z: Real) -> F64:
    """W0(z), the principal real branch.

    Parameters
    ----------
    z : (...) ndarray or float
        Finite, >= -1/e.

    Returns
    -------
    (...) ndarray
        w >= -1 with ``w exp(w) = z``.

    Raises
    ------
    ValueError
        ``z`` is NaN or infinite, or below -1/e by more than rounding.

    Notes
    -----
    Halley's method, relative error a few 1e-16 away from the branch point; next to it W itself is
    ill-conditioned.

    References
    ----------
    Corless and others, Advances in Computational Mathematics 5, 1996.
    """
    z = finite("z", z)
    above = (z + _INVERSE_E) + _INVERSE_E_REST  # distance from the branch point
    if not np.all(z >= _INVERSE_E_LEAST):
        raise ValueError(f"z must be >= -1/e, got {np.min(z)}")
    root = np.sqrt(2.0 * np.e) * np.sqrt(np.maximum(above, 0.0))
    moderate = np.minimum(z, _Z_MAX)
    w = _start(moderate, root)
    for _ in range(_STEPS_MAX):
        step = _halley_step(w, moderate)
        w = w - step
        if np.all(np.abs(step) <= _SETTLED * np.abs(w)):
            break
    if np.any(z > _Z_MAX):
        w = np.where(z > _Z_MAX, _of_log(np.log(np.maximum(z, _Z_MAX))), w)
    # So near to the branch point the series is better than any step.
    return np.where(root < 1e-3, _branch_series(np.minimum(root, 1.0)), w)


def lambert_w0_exp(a: Real, b: Real) -> F64:
    """W0(a exp(b)), safe where exp(b) would overflow.

    Parameters
    ----------
    a, b : (...) ndarray or float
        Finite, with ``a exp(b) >= -1/e``.

    Returns
    -------
    (...) ndarray
        w >= -1 with ``w exp(w) = a exp(b)``.

    Raises
    ------
    ValueError
        An argument is NaN or infinite, or ``a exp(b)`` is below -1/e.

    Notes
    -----
    Where ``ln a + b`` is large, Newton's method on ``w + ln w = ln a + b``.
    """
    a, b = finite("a", a), finite("b", b)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        log_z = np.where(a > 0.0, np.log(a) + b, -np.inf)
        use_log = log_z >= _LOG_FORM_FROM
        half = np.exp(0.5 * b)  # exp(b) may overflow or vanish where the product does not
        product = np.where(a == 0.0, 0.0, a * half * half)
    if not np.all(use_log | (product >= _INVERSE_E_LEAST)):
        raise ValueError(f"a exp(b) must be >= -1/e, got {np.min(product)}")
    direct = lambert_w0(np.where(use_log, 0.0, product))
    return np.where(use_log, _of_log(np.where(use_log, log_z, _LOG_FORM_FROM)), direct)


def _of_log(y: F64) -> F64:
    # W(exp(y)) for y >= _LOG_FORM_FROM.
    w = y - np.log(y)
    for _ in range(_STEPS_MAX):
        new = w * ((1.0 + y - np.log(w)) / (1.0 + w))
        settled = np.all(np.abs(new - w) <= _SETTLED * w)
        w = new
        if settled:
            break
    return w


def _start(z: F64, root: F64) -> F64:
    # Good to a few per cent on every stretch: the branch series, a Padé form about 0, and the logarithms.
    near = _branch_series(np.minimum(root, 1.0))
    log1p = np.log1p(np.maximum(z, -0.3))
    middle = log1p * (1.0 - np.log1p(log1p) / (2.0 + log1p))
    return np.where(z < -0.25, near, middle)


def _branch_series(root: F64) -> F64:
    # Powers of √(2(e z + 1)).
    return -1.0 + root * (1.0 + root * (-1.0 / 3.0 + root * (11.0 / 72.0 - root * (43.0 / 540.0))))


def _halley_step(w: F64, z: F64) -> F64:
    power = np.exp(w)
    excess = w * power - z
    slope = power * (w + 1.0)
    # At the branch point the slope is zero, and so is the excess.
    with np.errstate(divide="ignore", invalid="ignore"):
        step = excess / (slope - 0.5 * ((w + 2.0) / (w + 1.0)) * excess)
    return np.where(np.isfinite(step), step, 0.0)

"""The directional margin schedule: a rate that falls as a position wins and rises as it loses.

Way of a number: an *excursion* x (how far the mark has moved in the position's favour, one function a unit),
a *multiplier* g(x) from a table of knots (one function an interpolation), and state that holds it back:
release waits, tightening does not.

``side`` is +1 long, -1 short; 0 is a flat position, whose excursion is 0 and multiplier 1. Favourable is
positive. Positions (P,) and scenarios (S, P) broadcast. Knots are checked once, by `validate_table`, not on
each call.

References
----------
The mission's page "Inverse Margining" asks for the behaviour; the schedule itself is this project's proposal.
"""

from collections.abc import Callable

import numpy as np

from margrave.kernels.arrays import F64, I64, Bools, Real, finite, non_negative, positive

_ANCHOR_TOLERANCE = 1e-12


# --- excursion: how far the mark has moved in favour of the position ---


def log_excursion(side: Real, mark: Real, reference: Real) -> F64:
    """Favourable log move, ``side ln(mark / reference)``.

    Parameters
    ----------
    side : (...) ndarray or float
        +1 long, -1 short, 0 flat.
    mark, reference : (...) ndarray or float
        > 0, in the same unit of price.

    Returns
    -------
    (...) ndarray
        > 0 in favour. A long at P and a short at reference² / P have the same excursion.

    Raises
    ------
    ValueError
        A price is NaN, infinite or not positive; likewise in the other excursions.
    """
    return side * np.log(positive("mark", mark) / positive("reference", reference))


def percent_excursion(side: Real, mark: Real, reference: Real) -> F64:
    """Favourable move as a fraction of the reference, ``side (mark / reference - 1)``; as `log_excursion`."""
    mark, reference = positive("mark", mark), positive("reference", reference)
    return side * (mark - reference) / reference


def coin_excursion(side: Real, mark: Real, reference: Real) -> F64:
    """Favourable move as an inverse contract earns it, ``side (1 - reference / mark)``; as `log_excursion`.

    It is the profit in coin over the coin notional at the reference.
    """
    mark, reference = positive("mark", mark), positive("reference", reference)
    return side * (mark - reference) / mark


def sigma_excursion(side: Real, mark: Real, reference: Real, vol: Real, horizon_years: Real) -> F64:
    """Favourable log move in standard deviations, ``side ln(mark / reference) / (vol √horizon)``.

    As `log_excursion`, with ``vol`` > 0, a fraction per square root of a year, and ``horizon_years`` > 0.
    """
    deviation = positive("vol", vol) * np.sqrt(positive("horizon_years", horizon_years))
    return log_excursion(side, mark, reference) / deviation


def return_on_margin_excursion(unrealised: Real, initial_at_entry: Real) -> F64:
    """Unrealised profit over the initial margin at entry.

    Parameters
    ----------
    unrealised : (...) ndarray or float
        Profit > 0. [margin asset]
    initial_at_entry : (...) ndarray or float
        > 0. [margin asset]

    Returns
    -------
    (...) ndarray
        > 0 in favour; it carries its side already.
    """
    return finite("unrealised", unrealised) / positive("initial_at_entry", initial_at_entry)


def exposure_excursion(gain: Real, exposure: Real, exposure_min: Real, limit: Real) -> F64:
    """Move of the underlying that would have made the gain: gain over exposure, held within ± ``limit``.

    For options (exposure = |coin delta| × size) and for whole accounts (exposure = |net delta| × price).

    Parameters
    ----------
    gain : (...) ndarray or float
        Profit > 0. [margin asset]
    exposure, exposure_min : (...) ndarray or float
        >= 0; an exposure of at most the minimum has no direction, and its excursion is 0. [margin asset]
    limit : (...) ndarray or float
        Largest excursion either way, >= 0.

    Returns
    -------
    (...) ndarray
        > 0 in favour, within ± ``limit``.
    """
    gain, exposure = finite("gain", gain), non_negative("exposure", exposure)
    directed = exposure > non_negative("exposure_min", exposure_min)
    with np.errstate(over="ignore"):  # an overflow is beyond any limit
        raw = np.where(directed, gain / np.where(directed, exposure, 1.0), 0.0)
    limit = non_negative("limit", limit)
    return np.minimum(np.maximum(raw, -limit), limit)


# --- multiplier: the table and its slope ---


def multiplier_linear(knots_x: F64, knots_g: F64, x: F64) -> F64:
    """Multiplier on straight lines between the knots, constant outside them.

    Parameters
    ----------
    knots_x : (T,) ndarray
        Excursions, ascending.
    knots_g : (T,) ndarray
        Multipliers, not increasing, 1 at excursion 0.
    x : (...) ndarray
        Favourable excursion.

    Returns
    -------
    (...) ndarray
        Factor on the base rate.

    Notes
    -----
    NaN gives NaN, here, in the other multipliers and in their slopes.
    """
    return np.asarray(np.interp(x, knots_x, knots_g))


def slope_linear(knots_x: F64, knots_g: F64, x: F64) -> F64:
    """Slope dg/dx of `multiplier_linear`, to the right of a knot; 0 outside the knots."""
    slopes = np.concatenate(([0.0], np.diff(knots_g) / np.diff(knots_x), [0.0]))
    return np.where(np.isnan(x), x, slopes[np.searchsorted(knots_x, x, side="right")])


def multiplier_step(knots_x: F64, knots_g: F64, x: F64) -> F64:
    """Multiplier of the last knot that the excursion has reached; below the first knot, that of the first.

    Relief comes only when a knot is reached, and a surcharge as soon as one is lost. Parameters as
    `multiplier_linear`.
    """
    reached = np.searchsorted(knots_x, x, side="right")
    # A search puts NaN beyond the last knot, where relief is greatest.
    return np.where(np.isnan(x), x, knots_g[np.maximum(reached - 1, 0)])


def slope_step(knots_x: F64, knots_g: F64, x: F64) -> F64:
    """Slope dg/dx of `multiplier_step`: 0; the jumps are not a slope."""
    del knots_x, knots_g
    return np.where(np.isnan(x), x, 0.0)


def multiplier_pchip(knots_x: F64, knots_g: F64, x: F64) -> F64:
    """Multiplier on a monotone cubic through the knots, constant outside them.

    Parameters as `multiplier_linear`.

    References
    ----------
    Fritsch and Carlson, SIAM Journal on Numerical Analysis 17(2), 1980; knot slopes of Fritsch and Butland,
    SIAM Journal on Scientific and Statistical Computing 5(2), 1984.
    """
    k, width, t, inside = _place(knots_x, x)
    slope = pchip_slopes(knots_x, knots_g)
    rise = knots_g[k + 1] - knots_g[k]
    left, right = width * slope[k], width * slope[k + 1]
    cubic = knots_g[k] + t * (left + t * (3.0 * rise - 2.0 * left - right + t * (left + right - 2.0 * rise)))
    return np.where(inside, cubic, np.interp(x, knots_x, knots_g))


def slope_pchip(knots_x: F64, knots_g: F64, x: F64) -> F64:
    """Slope dg/dx of `multiplier_pchip`; 0 outside the knots and to the right of the last."""
    k, width, t, inside = _place(knots_x, x)
    slope = pchip_slopes(knots_x, knots_g)
    chord = (knots_g[k + 1] - knots_g[k]) / width
    left, right = slope[k], slope[k + 1]
    bend = 2.0 * (3.0 * chord - 2.0 * left - right) + 3.0 * t * (left + right - 2.0 * chord)
    return np.where(inside, left + t * bend, np.where(np.isnan(x), x, 0.0))


def validate_table(knots_x: F64, knots_g: F64, multiplier: Callable[[F64, F64, F64], F64]) -> list[str]:
    """Say what is wrong with a table of knots.

    Parameters
    ----------
    knots_x, knots_g : ndarray
        Excursions and multipliers.
    multiplier : callable
        The interpolation that the table is for: `multiplier_linear`, `multiplier_pchip` or `multiplier_step`.

    Returns
    -------
    list of str
        One message a fault; empty for a good table. A table of wrong form (shape, NaN, order) is not read
        further.
    """
    if knots_x.ndim != 1 or knots_x.shape != knots_g.shape or knots_x.size < 2:
        return [f"knots need two lists of one length >= 2, got shapes {knots_x.shape} and {knots_g.shape}"]
    if not (np.isfinite(knots_x).all() and np.isfinite(knots_g).all()):
        return ["knots must be finite"]
    faults = []
    if np.any(knots_g <= 0.0):
        faults.append(f"multipliers must be > 0, got {knots_g.min()}")
    rising = np.flatnonzero(np.diff(knots_g) > 0.0)
    if rising.size:
        at = rising[0] + 1
        faults.append(f"multipliers must not increase, got {knots_g[at - 1]} then {knots_g[at]}")
    unordered = np.flatnonzero(np.diff(knots_x) <= 0.0)
    if unordered.size:
        at = unordered[0] + 1
        return [*faults, f"excursions must ascend, got {knots_x[at - 1]} then {knots_x[at]}"]
    anchor = float(multiplier(knots_x, knots_g, np.zeros(1))[0])
    if abs(anchor - 1.0) > _ANCHOR_TOLERANCE:
        faults.append(f"the multiplier at excursion 0 must be 1, got {anchor}")
    return faults


# --- state: how a multiplier moves in time, and what bounds it --- Tightening is immediate everywhere; only
# release waits. Each function maps the last state and one observation to the next state; the caller keeps the
# state.


def step_tier(tier: I64, streak: I64, x: F64, boundary: F64, dead_band: float, dwell: int) -> tuple[I64, I64]:
    """Tier of a stepped schedule after one more observation.

    Parameters
    ----------
    tier : (P,) ndarray of int
        Tier now, 0 (most adverse) to T. Tier k lies at or above ``boundary[k - 1]`` and below
        ``boundary[k]``.
    streak : (P,) ndarray of int
        Observations in a row that have qualified for release, >= 0.
    x : (P,) ndarray
        Favourable excursion observed.
    boundary : (T,) ndarray
        Excursions between the tiers, ascending.
    dead_band : float
        How far above the next boundary an observation must lie to qualify, > 0.
    dwell : int
        Qualifying observations in a row that release one tier, >= 1.

    Returns
    -------
    tier, streak : (P,) ndarray of int
        The next state. Below the tier's own boundary it falls at once, over several tiers if need be; it
        rises one tier at a time, and the count begins again after each move.

    Notes
    -----
    NaN in ``x`` counts as no release and no tightening.
    """
    reached = np.searchsorted(boundary, x, side="right")
    next_boundary = np.append(boundary, np.inf)[tier]
    qualifies = x >= next_boundary + dead_band
    streak = np.where(qualifies, streak + 1, 0)
    release = streak >= dwell
    tighten = reached < tier
    return np.where(tighten, reached, tier + release), np.where(tighten | release, 0, streak)


def rate_limited_release(g_now: F64, g_previous: F64, release_per_second: float, seconds: Real) -> F64:
    """Multiplier that rises at once and falls no faster than a rate.

    Parameters
    ----------
    g_now, g_previous : (...) ndarray
        Multiplier of the schedule now, and the one charged last.
    release_per_second : float
        Largest fall, >= 0. [per second]
    seconds : (...) ndarray or float
        Time since the last charge, >= 0.

    Returns
    -------
    (...) ndarray
        ``max(g_now, g_previous - release_per_second × seconds)``.
    """
    release = non_negative("release_per_second", release_per_second) * non_negative("seconds", seconds)
    return np.maximum(g_now, g_previous - release)


def ratchet(g_at_entry_excursion: F64, g_at_peak: F64, g_at_drawdown: F64) -> F64:
    """Multiplier with relief earned at the best mark and the pull-back charged from there.

    Parameters
    ----------
    g_at_entry_excursion : (...) ndarray
        Multiplier at the excursion from entry, g(side ln(mark / entry)).
    g_at_peak : (...) ndarray
        Multiplier at the best excursion from entry, g(side ln(high / entry)).
    g_at_drawdown : (...) ndarray
        Multiplier at the fall from the best mark, g(-side ln(high / mark)).

    Returns
    -------
    (...) ndarray
        ``max(g_at_entry_excursion, g_at_peak × g_at_drawdown)``: never below the multiplier from entry, and
        equal to it at a new high.
    """
    return np.maximum(g_at_entry_excursion, g_at_peak * g_at_drawdown)


def high_water_mark(side: Real, previous: F64, mark: F64) -> F64:
    """Best mark since entry: the highest for a long (side > 0), the lowest for a short.

    Parameters
    ----------
    side : (...) ndarray or float
        +1 long, -1 short.
    previous, mark : (...) ndarray
        Best mark until now, which starts at entry, and the mark now. [price]

    Returns
    -------
    (...) ndarray
        [price]
    """
    return np.where(np.asarray(side) > 0.0, np.maximum(previous, mark), np.minimum(previous, mark))


def ewma(previous: F64, mark: F64, half_life: Real, dt: Real) -> F64:
    """Take a reference price that follows the mark with a half-life.

    Parameters
    ----------
    previous, mark : (...) ndarray
        Reference until now, and the mark now. [price]
    half_life, dt : (...) ndarray or float
        > 0 and >= 0, in the same unit of time.

    Returns
    -------
    (...) ndarray
        ``mark + (previous - mark) 2^(-dt / half_life)``. [price]
    """
    kept = np.exp2(-non_negative("dt", dt) / positive("half_life", half_life))
    # From the nearer end, so that no time changes nothing and long time forgets everything.
    return np.where(kept > 0.5, previous + (mark - previous) * (1.0 - kept), mark + (previous - mark) * kept)


def cap_release(multiplier: F64, flat_margin: F64, unrealised: F64, share: float) -> F64:
    """Multiplier raised so that the released margin is at most a share of the profit that is there.

    Relief and profit both raise free margin; without the cap a win would count twice.

    Parameters
    ----------
    multiplier : (...) ndarray
        Factor on the flat margin, >= 0.
    flat_margin : (...) ndarray
        Margin at multiplier 1, >= 0. [margin asset]
    unrealised : (...) ndarray
        Profit > 0. [margin asset]
    share : float
        Largest released margin as a share of profit, >= 0.

    Returns
    -------
    (...) ndarray
        The least factor >= ``multiplier`` with ``flat_margin (1 - factor) <= share × max(unrealised, 0)``.
    """
    releasable = non_negative("share", share) * np.maximum(unrealised, 0.0)
    charged = flat_margin > 0.0
    with np.errstate(over="ignore"):  # no margin to speak of: all of it may be released
        least = 1.0 - releasable / np.where(charged, flat_margin, 1.0)
    return np.where(charged, np.maximum(multiplier, least), multiplier)


def floor_and_cap(rate: F64, floor: Real, cap: Real) -> F64:
    """Rate held within its bounds, after every multiplier; the cap wins where the two cross.

    ``rate``, ``floor`` and ``cap`` are fractions and broadcast.
    """
    return np.minimum(np.maximum(rate, floor), cap)


# --- leaves ---


def _place(knots_x: F64, x: F64) -> tuple[I64, F64, F64, Bools]:
    # Interval of each excursion, its width, the place inside as a fraction, and whether it lies within the
    # knots.
    k = np.clip(np.searchsorted(knots_x, x, side="right") - 1, 0, len(knots_x) - 2)
    width = knots_x[k + 1] - knots_x[k]
    inside = (x >= knots_x[0]) & (x < knots_x[-1])
    return k, width, np.where(inside, x - knots_x[k], 0.0) / width, inside


def pchip_slopes(knots_x: F64, knots_g: F64) -> F64:
    """Slopes of `multiplier_pchip` at its knots, (T,)."""
    width = np.diff(knots_x)
    chord = np.diff(knots_g) / width
    if len(chord) == 1:
        return np.repeat(chord, 2)
    before, after = chord[:-1], chord[1:]
    weight_before, weight_after = 2.0 * width[1:] + width[:-1], width[1:] + 2.0 * width[:-1]
    agree = before * after > 0.0  # else a turn or a flat: slope 0 keeps the curve monotone
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (weight_before + weight_after) / (weight_before / before + weight_after / after)
    inner = np.where(agree, mean, 0.0)
    first = _pchip_end(width[0], width[1], chord[0], chord[1])
    last = _pchip_end(width[-1], width[-2], chord[-1], chord[-2])
    return np.concatenate(([first], inner, [last]))


def _pchip_end(width: float, width_next: float, chord: float, chord_next: float) -> float:
    # Three-point slope at an outer knot, cut back where it would overshoot.
    slope = ((2.0 * width + width_next) * chord - width * chord_next) / (width + width_next)
    if slope * chord <= 0.0:
        return 0.0
    if chord * chord_next <= 0.0 and abs(slope) > 3.0 * abs(chord):
        return 3.0 * chord
    return slope

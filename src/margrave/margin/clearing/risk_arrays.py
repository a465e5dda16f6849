"""Risk arrays: losses of one long contract in sixteen scenarios of price and vol (clearing 1.1)."""

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from margrave.kernels.arrays import F64, Bools
from margrave.kernels.black76 import coin_greeks, quote_greeks
from margrave.margin.clearing.held import Held, coins, sized, worth
from margrave.rulebook.clearing import Commodity, Extreme, ScanModel

_THIRD = 1.0 / 3.0
PRICE_MULTIPLES: Final = (0.0, _THIRD, -_THIRD, 2.0 * _THIRD, -2.0 * _THIRD, 1.0, -1.0)
"""Price moves of scenarios 1 to 14, two scenarios each [price scan ranges]."""
DELTA_WEIGHTS: Final = (0.270, 0.217, 0.217, 0.111, 0.111, 0.037, 0.037)
"""Published weights of the deltas at those moves; they add to one."""
COUNT: Final = 16


@final
@dataclass(frozen=True, slots=True)
class Scenarios:
    """The sixteen scenarios, (16, 1) each."""

    price: F64  # [price scan ranges]
    vol: F64  # [vol scan ranges]
    weight: F64  # share of the loss that counts


def scenarios_of(extreme: Extreme) -> Scenarios:
    """Sixteen scenarios: seven price moves with vol up and down, then the extreme moves with vol unchanged."""
    price = [m for m in PRICE_MULTIPLES for _ in range(2)] + [extreme.multiple, -extreme.multiple]
    vol = [1.0, -1.0] * len(PRICE_MULTIPLES) + [0.0, 0.0]
    weight = [1.0] * 14 + [extreme.fraction] * 2
    return Scenarios(*(np.array(column)[:, None] for column in (price, vol, weight)))


def paired(scenario: int) -> int:
    """Scenario with the same price and the opposite vol, counted from zero; the extremes are their own."""
    return scenario ^ 1 if scenario < 2 * len(PRICE_MULTIPLES) else scenario


@final
@dataclass(frozen=True, slots=True)
class Arrays:
    """Risk arrays of positions, each of one long contract."""

    losses: F64  # (16, n) loss > 0 [pool currency]
    delta: F64  # (n,) composite delta [base per contract]


def risk_arrays(model: ScanModel, commodity: Commodity, held: Held) -> Arrays:
    """Losses and composite delta of one long contract of each position of a commodity.

    Parameters
    ----------
    model, commodity : ScanModel, Commodity
        Scan ranges, look-ahead and extremes; arrays that are given replace what would be computed.
    held : Held
        Positions of the commodity, (n,).

    Returns
    -------
    Arrays
        ``w_j (V(P, vol, t) - V(P + drift + m_j range, vol + k_j range, t - look-ahead))``: an option is worth what
        it will be one look-ahead later, a vol ends at zero. NaN where a price, vol or range is not known, or a
        scenario takes a price to zero.

    References
    ----------
    Clearing 1.1. A future's delta is its size; an option's the published weighted mean over seven price moves.
    """
    scenarios = scenarios_of(model.extreme)
    move = _or_unknown(commodity, held)
    later = np.maximum(held.years - model.look_ahead_years, 0.0)
    drifted = held.price + sized(commodity.drift, held.price)
    vol = np.broadcast_to(held.vol, (COUNT, len(held.vol)))
    if commodity.vol_range is not None:
        vol = np.maximum(vol + scenarios.vol * sized(commodity.vol_range, held.vol), 0.0)
    elif held.is_option.any():
        vol = np.where(held.is_option, np.nan, vol)
    now = worth(held, held.price[None, :], held.vol[None, :], held.years)
    moved = worth(held, drifted + scenarios.price * move, vol, later)
    losses, delta = scenarios.weight * (now - moved), _composite_delta(held, drifted, move, later)
    for row, symbol in enumerate(held.symbol if model.arrays else ()):
        given = model.arrays.get(symbol)
        if given is not None:
            losses[:, row] = np.array(given.losses) * held.rate[row]
            delta[row] = given.delta
    return Arrays(losses, delta)


def is_scanned(model: ScanModel, commodity: Commodity, held: Held) -> Bools:
    """Whether the ranges give each position an array, (n,): stated, and no scenario at a price of zero or below.

    Without valuing anything; prices and vols that are not known are another matter (`held.known_prices`).
    """
    lowest = held.price + sized(commodity.drift, held.price)
    lowest = lowest - max(1.0, model.extreme.multiple) * _or_unknown(commodity, held)
    scanned = (lowest > 0.0) & (~held.is_option | (commodity.vol_range is not None))
    if not model.arrays:
        return np.asarray(scanned)
    return np.asarray(scanned | np.array([symbol in model.arrays for symbol in held.symbol], dtype=np.bool_))


def _or_unknown(commodity: Commodity, held: Held) -> F64:
    if commodity.price_range is None:
        return np.full(len(held.price), np.nan)
    return sized(commodity.price_range, held.price)


def _composite_delta(held: Held, drifted: F64, move: F64, years: F64) -> F64:
    delta = coins(held)
    option = np.flatnonzero(held.is_option)
    if not option.size:
        return delta
    price = drifted[option] + np.array(PRICE_MULTIPLES)[:, None] * move[option]
    vol = np.broadcast_to(held.vol[option], price.shape)
    usable = np.isfinite(price) & np.isfinite(vol) & (price > 0.0)
    terms = (held.strike[option], np.where(usable, vol, 0.0), years[option], held.is_call[option])
    safe = np.where(usable, price, 1.0)
    # In coin a position moves with the adjusted delta: the premium itself is held in coin.
    at_points = np.where(
        held.in_coin[option], coin_greeks(safe, *terms).adjusted_delta, quote_greeks(safe, *terms).delta
    )
    # Added point by point, so that a contract's delta does not depend on how many stand beside it.
    mean = np.zeros(len(option))
    for weight, at_point in zip(DELTA_WEIGHTS, np.where(usable, at_points, np.nan), strict=True):
        mean = mean + weight * at_point
    delta[option] = held.a[option] * mean
    return delta

"""A portfolio under stress: a matrix of price and vol moves, basis shocks, and the smallest shock that breaks it.

Every cell is the one calculation on a moved market, so that it holds for every rulebook. The reverse stress
answers along one factor, jointly (the nearest move in standard deviations), in vol and in each basis (spec RBF-4,
CM-5).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, TypeAlias, final

import numpy as np

from margrave.domain.account import Account
from margrave.domain.checks import require, require_price
from margrave.domain.instruments import Option, Spot
from margrave.domain.market import Market
from margrave.engine.assess import assess
from margrave.engine.assessment import Assessment, PoolAssessment, Status
from margrave.engine.whatif import moved
from margrave.liquidation import PoolLiquidation, liquidations
from margrave.rulebook.schema import Rulebook

MOVES: Final = (-0.5, -0.3, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
VOL_MOVES: Final = (-0.3, 0.0, 0.3)
REACH: Final = 10.0  # vols are searched from a tenth to ten times what they are
BASIS_REACH: Final = 2.0  # and an instrument's mark from half to twice
_WALK = 64  # looks on the way out, evenly in the log of the factor
_HALVINGS = 50

Shocked: TypeAlias = Callable[[float], Assessment]  # assessment with one price or vol multiplied by a factor


@final
@dataclass(frozen=True, slots=True)
class Cell:
    """One pool in one cell of the matrix; money in the pool's currency."""

    pool: str
    currency: str
    price_move: float  # relative move of every underlying asked for: -0.1 is a fall of 10 %
    vol_move: float  # relative move of the vols of options
    profit: float  # change of equity
    equity: float
    initial: float
    maintenance: float
    ratio: float  # maintenance over margin balance
    status: Status


@final
@dataclass(frozen=True, slots=True)
class Shock:
    """The smallest shock of one kind and side that makes a pool liquidatable; None where none within reach does."""

    pool: str
    kind: str  # vol or basis
    what: str  # asset whose options' vols move, or instrument whose mark leaves its index
    side: str  # down or up
    move: float | None  # relative


@final
@dataclass(frozen=True, slots=True)
class ReverseStress:
    """What breaks an account: along each price and jointly, in vol, and in basis."""

    prices: tuple[
        PoolLiquidation, ...
    ]  # one a pool; `joint` is the nearest move in daily standard deviations
    shocks: tuple[Shock, ...]


def matrix(
    account: Account,
    market: Market,
    rulebook: Rulebook,
    moves: Sequence[float] = MOVES,
    vol_moves: Sequence[float] = VOL_MOVES,
    asset: str | None = None,
) -> tuple[Cell, ...]:
    """Every pool under every pair of a price move and a vol move.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The three inputs of the one calculation.
    moves, vol_moves : sequence of float
        Relative moves, above -1 for prices and at least -1 for vols.
    asset : str, optional
        The only underlying that moves; by default all of the account's move together.

    Returns
    -------
    tuple of Cell
        By vol move, then price move, then pool. Futures keep their basis. A pool that cannot be valued is
        ``unknown`` with NaN amounts.

    Raises
    ------
    InvalidInputError
        An underlying has no index price, or an option without a vol would have to move.
    """
    for name, least, asked in (("moves", -1.0, moves), ("vol_moves", -1.0, vol_moves)):
        require(all(least < m < 100.0 for m in asked), name, tuple(asked), "relative moves above -1")
    moving = underlyings(account, market) if asset is None else (asset,)
    now = {pool.name: pool.equity for pool in assess(account, market, rulebook).pools}
    cells = []
    for vol_move in vol_moves:
        for move in moves:
            factors, vols = (dict.fromkeys(moving, 1.0 + m) for m in (move, vol_move))
            found = assess(account, moved(market, factors, vols), rulebook)
            cells += [_cell(pool, (move, vol_move), now[pool.name]) for pool in found.pools]
    return tuple(cells)


def _cell(pool: PoolAssessment, moves: tuple[float, float], before: float) -> Cell:
    return Cell(
        pool.name,
        pool.currency,
        *moves,
        pool.equity - before,
        pool.equity,
        pool.initial,
        pool.maintenance,
        pool.ratio,
        pool.status,
    )


def underlyings(account: Account, market: Market) -> tuple[str, ...]:
    """Bases of what the account holds, in its order; positions without contract terms are left out."""
    listed = (market.instruments.get(p.symbol) for p in account.positions)
    return tuple(dict.fromkeys(i.base for i in listed if i is not None))


def basis_shocked(market: Market, symbol: str, factor: float) -> Market:
    """A market in which one delta-one instrument's mark leaves its index: the mark moves, everything else stays.

    Raises
    ------
    ValueError
        The instrument has no quote, or is an option or spot: neither has a basis.
    """
    quote, instrument = market.quotes.get(symbol), market.instruments.get(symbol)
    has_basis = (
        quote is not None and instrument is not None and not isinstance(instrument.kind, Option | Spot)
    )
    require(has_basis, "symbol", symbol, "a perpetual or future with a quote")
    assert quote is not None
    assert instrument is not None
    base, priced_in = market.index_of(instrument.base), market.index_of(instrument.quote)
    known = None if base is None or priced_in is None else base / priced_in
    # Without any index the contract is measured from its mark, which must not follow the shock.
    index = quote.index or known or quote.mark
    mark = quote.mark * factor
    require_price("mark", mark)
    return replace(market, quotes={**market.quotes, symbol: replace(quote, mark=mark, index=index)})


def basis_cells(
    account: Account, market: Market, rulebook: Rulebook, moves: Sequence[float] = (-0.1, -0.05, 0.05, 0.1)
) -> tuple[tuple[str, Cell], ...]:
    """Every pool under a shock of each held perpetual's and future's mark alone (spec CM-5).

    Returns
    -------
    tuple of (str, Cell)
        Instrument, and the pool with the shock as its ``price_move``.
    """
    now = {pool.name: pool.equity for pool in assess(account, market, rulebook).pools}
    rows = []
    for symbol in _with_basis(account, market):
        for move in moves:
            found = assess(account, basis_shocked(market, symbol, 1.0 + move), rulebook)
            rows += [(symbol, _cell(pool, (move, 0.0), now[pool.name])) for pool in found.pools]
    return tuple(rows)


def _with_basis(account: Account, market: Market) -> tuple[str, ...]:
    held = dict.fromkeys(p.symbol for p in account.positions if p.symbol in market.quotes)
    kinds = {s: market.instruments[s].kind for s in held if s in market.instruments}
    return tuple(s for s, kind in kinds.items() if not isinstance(kind, Option | Spot))


def reverse_stress(account: Account, market: Market, rulebook: Rulebook) -> ReverseStress:
    """The smallest shocks that make each pool of an account liquidatable.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The three inputs of the one calculation.

    Returns
    -------
    ReverseStress
        Prices: bounds along each underlying and all together, and the nearest joint move by the market's vols
        and correlations. Vols and bases: the smallest relative move on either side, looked for between a tenth
        and ten times the vols, and between half and twice a mark; pools that are liquidatable or unknown
        already have none.
    """
    shocks: list[Shock] = []
    for asset in underlyings(account, market):
        if _has_option(account, market, asset):
            shocks += _shocks(_vol_path(account, market, rulebook, asset), "vol", asset, REACH)
    for symbol in _with_basis(account, market):
        shocks += _shocks(_basis_path(account, market, rulebook, symbol), "basis", symbol, BASIS_REACH)
    return ReverseStress(liquidations(account, market, rulebook), tuple(shocks))


def _has_option(account: Account, market: Market, asset: str) -> bool:
    held = (market.instruments.get(p.symbol) for p in account.positions)
    return any(i is not None and i.base == asset and isinstance(i.kind, Option) for i in held)


def _vol_path(account: Account, market: Market, rulebook: Rulebook, asset: str) -> Shocked:
    return lambda factor: assess(account, moved(market, {}, {asset: factor}), rulebook)


def _basis_path(account: Account, market: Market, rulebook: Rulebook, symbol: str) -> Shocked:
    return lambda factor: assess(account, basis_shocked(market, symbol, factor), rulebook)


def _shocks(shocked: Shocked, kind: str, what: str, reach: float) -> list[Shock]:
    now = shocked(1.0)
    rows = []
    for k, pool in enumerate(now.pools):
        touched = any(kind == "vol" or p.symbol == what for p in pool.positions)
        if touched and pool.status in (Status.HEALTHY, Status.CALL):
            rows += [
                Shock(pool.name, kind, what, side, None if found is None else found - 1.0)
                for side, end in (("down", 1.0 / reach), ("up", reach))
                for found in (_first_break(shocked, k, end),)
            ]
    return rows


def _first_break(shocked: Shocked, pool: int, end: float) -> float | None:
    # First factor on the way from one to the end at which the pool is liquidatable: walked, then halved.
    def breaks(factor: float) -> bool:
        return shocked(factor).pools[pool].status is Status.LIQUIDATABLE

    for near, far in pairwise(np.geomspace(1.0, end, _WALK + 1).tolist()):
        if breaks(far):
            for _ in range(_HALVINGS):
                middle = (near * far) ** 0.5
                near, far = (near, middle) if breaks(middle) else (middle, far)
            return float(far)
    return None

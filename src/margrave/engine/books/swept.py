"""Coin pools under scenario margin through the compiled kernel: what it needs of a market, and what it answers.

The kernel serves what its one pass can express: pools in the coin that their contracts are on, scenarios, the roll
charge and the charge on a large delta, open orders at their worst fill. What it cannot value is NaN, and goes the way
in NumPy.
"""

from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import numpy as np

from margrave.core.rounding import CLOSE, Direction, Step, makes_whole, round_all
from margrave.domain.book import Book, book_of
from margrave.engine.books.laid import LaidBook, spans_coins
from margrave.engine.books.venue import status_of
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.compiled.coin_pools import (
    BOUGHT,
    DELTA,
    HELD,
    OPTION_DELTA,
    UNFINISHED,
    VALUE,
    CoinTerms,
    Levels,
    PoolMargins,
    PoolParts,
    bits_of_dates,
    check_terms,
    coin_pools,
    empty_margins,
    empty_parts,
    join_pools,
    margins_in,
)
from margrave.kernels.compiled.compiler import in_pieces, row_bounds
from margrave.kernels.compiled.rows import empty_rows, lanes_of
from margrave.margin.pooled import Prepared, prepare_in
from margrave.margin.resolve import Resolved
from margrave.margin.scenario.cells import Grid, cell_worth, grid_of
from margrave.margin.scenario.scenarios import Portfolio, scene_of, terms_and_units
from margrave.margin.scenario.scene import Scene, coin_deltas
from margrave.margin.scenario.unit_risk import cell_weights
from margrave.rulebook.bands import liquidation_ratio
from margrave.rulebook.portfolio import (
    LiquidityCharge,
    Role,
    RollCharge,
    ScenarioModel,
    UnitOf,
    UnitTerms,
    terms_of,
)
from margrave.rulebook.schema import OrderBasis, OrderRule, Rulebook
from margrave.valuation.scenarios import now
from margrave.valuation.table import Table

_PIECE = 20_000  # positions that are worth a thread
_AT_ONCE = 16_384  # pools of which the parts fit a cache


@final
@dataclass(frozen=True, slots=True)
class Sweep:
    """A rulebook in a market as the kernel takes it."""

    terms: CoinTerms
    levels: Levels
    rounding: Step | None  # of the worst loss
    rate: F64  # (N,) pool currency per coin, of pools that span coins


def is_expressible(rulebook: Rulebook) -> bool:
    """Whether the kernel can serve the rulebook at all."""
    model, account = rulebook.portfolio, rulebook.account
    if not isinstance(model, ScenarioModel) or model.collateral:
        return False
    if spans_coins(rulebook):
        cut = account.collateral or account.haircut_unlisted or model.worst_digits is not None
    else:
        cut = model.collateral_moves or any(rule.debt is not None for rule in account.collateral)
    if cut or model.correlation is not None or model.levels.depeg is not None:
        return False
    plain = model.unit is UnitOf.UNDERLYING and account.profit_credit == 1.0 and account.option_value_credit
    known = account.orders is OrderRule.NONE or (
        account.orders is OrderRule.WORST_FILL
        and account.order_basis is OrderBasis.ORDER
        and account.open_loss
    )
    return plain and known and all(_are_plain(terms) for terms in model.terms)


def _are_plain(terms: UnitTerms) -> bool:
    kinds = [type(charge) for charge in terms.charges]
    both = all(c.role is Role.ADDS and c.initial and c.maintenance for c in terms.charges)
    known = all(kind in (RollCharge, LiquidityCharge) for kind in kinds) and len(set(kinds)) == len(kinds)
    return both and known and terms.skew is None and terms.static_discount is None


def sweep_of(resolved: Resolved, symbols: tuple[str, ...]) -> Sweep | None:
    """What the kernel needs of a market, worked out by the calculation in NumPy on one contract of each instrument.

    Parameters
    ----------
    resolved : Resolved
        Rulebook, market and instruments.
    symbols : tuple of str
        Of the books that it is for, as `resolved` has them.

    Returns
    -------
    Sweep or None
        None where the kernel cannot serve the rulebook.
    """
    table, model = resolved.table, resolved.rulebook.portfolio
    if not is_expressible(resolved.rulebook) or not symbols:
        return None
    assert isinstance(model, ScenarioModel)
    probe = _probe(resolved, symbols)
    if probe is None:
        return None
    count, coins = len(symbols), len(table.assets)
    cells = max(len(grid_of(terms.cells).move) for terms in model.terms)
    moves, spans = model.collateral_moves, spans_coins(resolved.rulebook)
    rows = empty_rows(count + coins * (2 if moves else 1), cells + len((VALUE, DELTA, OPTION_DELTA)))
    rows[:], rows[:, cells:] = np.nan, 0.0
    rows[count : count + coins] = 0.0  # nothing shrinks a loss in a coin on which nothing can be held
    for scene in _scenes(resolved, probe):
        _fill(scene, rows, cells)
    sick = np.zeros(count, dtype=np.bool_)
    sick[probe.pools.account[list(probe.issues)]] = True
    price, other = _coin_prices(table, ~sick)
    own = (table.base == table.settlement) & (table.payoff == table.settlement)
    rows[:count][sick | other | ~own] = np.nan
    dates, date = np.unique(table.years, return_inverse=True)
    share, liquidity = np.zeros((coins, lanes_of(len(dates)))), np.zeros((coins, 3))
    asset_price = table.asset_price
    rate = asset_price / asset_price[resolved.currency]
    for coin, name in enumerate(table.assets):
        of_coin = terms_of(model, name)
        if of_coin is None:
            continue
        grid = grid_of(of_coin.cells)
        per_coin = price[coin] if spans else 1.0
        damper = (
            _damper(of_coin, grid) if spans else _damper(of_coin, grid) / ((1.0 + grid.edge) * price[coin])
        )
        _padded(rows[count + coin : count + coin + 1], damper, cells)
        if moves:
            at = count + coins + coin
            _padded(rows[at : at + 1], grid.move * grid.weight * rate[coin], cells)
        _charges(of_coin, dates, share[coin, : len(dates)], liquidity[coin])
        share[coin] *= per_coin
        liquidity[coin, 1:] *= per_coin
    if moves:  # what the pool counts in moves with nothing
        rows[count + coins + resolved.currency, :cells] = 0.0
    terms = CoinTerms(rows, cells, bits_of_dates(date, len(dates)), share, liquidity, price, moves)
    check_terms(terms)
    rounding = None if model.worst_digits is None else Step(10.0**-model.worst_digits, Direction.NEAREST)
    closing = liquidation_ratio(resolved.rulebook.account.bands)
    levels = Levels(model.levels.initial, model.levels.maintenance, closing, _grid(rounding))
    return Sweep(terms, levels, rounding, rate)


def scenes_of(resolved: Resolved, symbols: tuple[str, ...]) -> tuple[Scene, ...]:
    """The scenes in which `sweep_of` values one contract of each instrument, in pools apart."""
    probe = _probe(resolved, symbols)
    return () if probe is None else _scenes(resolved, probe)


def _probe(resolved: Resolved, symbols: tuple[str, ...]) -> Prepared | None:
    probe = prepare_in(resolved, _one_of_each(symbols, resolved.table.mark))
    return None if probe.joined is None or probe.joined.units is None else probe


def _scenes(resolved: Resolved, probe: Prepared) -> tuple[Scene, ...]:
    table, model = resolved.table, resolved.rulebook.portfolio
    assert isinstance(model, ScenarioModel)
    assert probe.joined is not None
    assert probe.joined.units is not None
    units, one = probe.joined.units, np.ones(len(probe.joined.units.instrument))
    none = np.zeros((1, len(units.bucket)))
    held = Portfolio(model, table, now(table), probe.pools, units, one, none)
    return tuple(scene_of(held, terms, unit) for terms, unit in terms_and_units(held))


def _grid(rounding: Step | None) -> tuple[float, float, float]:
    # Steps that no whole number makes a unit of are never clear: what is close to one is everything.
    if rounding is None:
        return 0.0, 0.0, 0.0
    return rounding.step, float(round(1.0 / rounding.step)), CLOSE if makes_whole(rounding) else np.inf


def _one_of_each(symbols: tuple[str, ...], mark: F64) -> Book:
    count, each, none = len(symbols), np.arange(len(symbols)), np.zeros(0, dtype=np.int64)
    nothing = np.zeros(0)
    return Book(
        names=np.array(symbols, dtype=np.dtypes.StringDType()),
        parents=np.full(count, "", dtype=np.dtypes.StringDType()),
        symbols=symbols,
        assets=(),
        account=each,
        instrument=each,
        quantity=np.ones(count),
        entry=mark,
        leverage=np.full(count, np.nan),
        is_isolated=np.zeros(count, dtype=np.bool_),
        isolated_margin=np.full(count, np.nan),
        balance_account=none,
        balance_asset=none,
        balance=nothing,
        order_account=none,
        order_instrument=none,
        order_quantity=nothing,
        order_price=nothing,
        order_leverage=nothing,
        order_reduces=np.zeros(0, dtype=np.bool_),
        memory=book_of(()).memory,
    )


def _fill(scene: Scene, rows: F64, cells: int) -> None:
    # What one contract of each instrument gains in the cells of its unit, and what else of it a pool sums.
    grid, table, at = grid_of(scene.terms.cells), scene.table, scene.units.instrument
    weights = cell_weights(scene, grid)[:, scene.units.unit]
    _padded(rows, (cell_worth(scene, grid).member[0] * weights).T, cells, at)
    mark, c = table.mark[at], table.c[at]
    bought = np.divide(c, mark, out=np.zeros(len(at)), where=(c > 0.0) & ~table.is_option[at])
    rows[at, cells + VALUE] = table.a[at] * mark - bought
    delta = coin_deltas(scene)[0]
    rows[at, cells + DELTA] = delta
    rows[at, OPTION_DELTA] = np.where(table.is_option[at], delta, 0.0)


def _padded(rows: F64, values: F64, cells: int, at: slice | np.ndarray = slice(None)) -> None:
    # A copy of the first cell is never worse than it.
    values = np.atleast_2d(values)
    rows[at, : values.shape[1]] = values
    rows[at, values.shape[1] : cells] = values[:, :1]


def _coin_prices(table: Table, known: Bools) -> tuple[F64, Bools]:
    # A pool of one underlying takes the index of its first contract: they must be one.
    price = table.asset_price.copy()  # of a coin on which there is no contract
    first = np.flatnonzero(known)[::-1]
    price[table.settlement[first]] = table.index[first]
    return price, table.index != price[table.settlement]


def _damper(terms: UnitTerms, grid: Grid) -> F64:
    # What shrinks a loss of the tail, in the numeraire; gains never count for the worst loss of a pool of one unit.
    if terms.gains is None or not terms.gains.tail_dampener:
        return np.zeros(len(grid.move))
    beyond = np.maximum(np.abs(grid.move) / grid.range, 1.0) - 1.0
    return np.where(grid.is_tail, beyond, 0.0) * terms.gains.tail_dampener


def _charges(terms: UnitTerms, dates: F64, share: F64, liquidity: F64) -> None:
    for charge in terms.charges:
        if isinstance(charge, RollCharge):
            share[:] = np.maximum(charge.least, np.expm1(charge.rate * dates))
        if isinstance(charge, LiquidityCharge):
            liquidity[:] = charge.free, charge.increment, charge.most


def swept(sweep: Sweep, laid: LaidBook, pool: Executor | None = None) -> PoolMargins:
    """Pools in a market.

    Parameters
    ----------
    sweep : Sweep
        Rulebook and market.
    laid : LaidBook
        Of instruments as the sweep has them.
    pool : Executor, optional
        Threads; the answer is the same bytes.

    Returns
    -------
    PoolMargins
        Within 1e-12 of the gross of what is summed of the calculation in NumPy, and where the rulebook rounds the
        worst loss, one step where it lies between two. `UNFINISHED` is what the kernel cannot value.
    """
    rows, levels, first = laid.rows, sweep.levels, laid.first
    out = empty_margins(len(laid.account))

    def run(begin: int, past: int) -> None:
        room = empty_parts(rows, _span(first, _AT_ONCE, begin, past))
        for a in range(begin, past, _AT_ONCE):
            b = min(a + _AT_ONCE, past)
            mine = margins_in(out, a, b)
            if first is None:
                coin_pools(sweep.terms, levels, rows, (a, b), room, mine)
                _finish(sweep, room, mine)
                continue
            begins, ends = int(first[a]), int(first[b])
            of_coins = empty_margins(ends - begins)
            coin_pools(sweep.terms, levels, rows, (begins, ends), room, of_coins)
            join_pools(levels, sweep.rate, rows, first, (room, of_coins), (a, b), mine)

    starts = rows.start if first is None else rows.start[first]
    in_pieces(run, len(out.equity), lambda: row_bounds(starts, _PIECE), pool)
    return out


def _span(first: I64 | None, most: int, begin: int, past: int) -> int:
    # Pools of one coin that are calculated at once.
    ends = [*range(begin, past, most), past]
    return max(((b - a) if first is None else int(first[b] - first[a]) for a, b in pairwise(ends)), default=0)


def _finish(sweep: Sweep, parts: PoolParts, out: PoolMargins) -> None:
    # What lies near a step is rounded where everything is; what is NaN stays unfinished.
    pools, levels = np.flatnonzero(out.standing == UNFINISHED), sweep.levels
    if not pools.size:
        return
    risk = round_all(parts.worst[:, pools], sweep.rounding) + parts.charge[:, pools]
    initial, maintenance = levels.initial * risk, levels.maintenance * risk[HELD]
    more = np.zeros(len(pools))
    if len(risk) > 1:
        more = parts.fills[pools] + np.maximum(initial[BOUGHT:].max(axis=0) - initial[HELD], 0.0)
    equity, asked = out.equity[pools], initial[HELD] + more
    out.initial[pools], out.maintenance[pools], out.order_margin[pools] = asked, maintenance, more
    out.standing[pools] = status_of(equity, asked, maintenance, levels.closing, np.isnan(initial.sum(axis=0)))

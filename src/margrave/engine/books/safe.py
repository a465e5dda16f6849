"""Moves of prices within which the status of an account provably stays what it is: who has to be looked at after a tick.

::

    safe = build(book, market, rulebook)      # once
    breaches(safe, moved)                     # rows of accounts that a moved market may have changed: microseconds
    swept(safe, moved)                        # the statuses that a full sweep gives, at the cost of those accounts

A live book has its book and its market resolved: ``build_resolved(state.book, state.resolved)``, then
``breaches_resolved(safe, later.resolved)``, to which belong the accounts that traded since.

*The proof.* `steepness_of` bounds how fast what is left of a pool (its balance less initial margin, and less maintenance) can
change with the logarithm of each of its pairs of prices. While the sum of bound times move stays below what is left at a
centre, the sign cannot change, and the status is a function of the two signs. Around the market itself that gives a box,
the same for every pair of a pool, in which all of its prices may move at once, each by itself: joint moves need no other
argument. A pool of one pair is looked at from further centres too; where their stretches meet, the interval goes on.
An account's interval of a pair is what is common to its pools. Every mark, index and forward may part from its pair by
``basis``, for which bound times basis is kept back, as is what the venue's rounding and the calculation's may add.

*The rest.* An account of which nothing is proven (unknown, at the edge of a tier, under a rule without a bound) is computed
again whatever happens, and so is who holds something that did not follow its pair, or of which any other input (vol, time,
rate, confidence) is another. Under other rules everybody is. Letters: A accounts, K pools, V pairs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from margrave.core.words import INITIAL, MAINTENANCE
from margrave.domain.amended import picked
from margrave.domain.book import Book, chunk_of
from margrave.domain.checks import require
from margrave.domain.market import Market
from margrave.engine.assessment import Status
from margrave.engine.books.followed import Moved, moved_between
from margrave.engine.books.venue import STATUSES, assess_resolved, chunk_bounds, statuses_of
from margrave.kernels.arrays import F64, I64, Bools
from margrave.liquidation.direction import excess_of
from margrave.liquidation.steep_charges import STEADY
from margrave.liquidation.steepness import Steepness, steepness_of
from margrave.margin.pooled import Pooled, Prepared, evaluate, prepare_in
from margrave.margin.resolve import Resolved, resolve
from margrave.rulebook.schema import Rulebook
from margrave.valuation.scenarios import shifted

BASIS: Final = 1e-6
"""How far prices part from their pair by themselves, unless told otherwise [logarithm]."""

BASIS_MAX: Final = STEADY / 4.0
"""Beyond, marks that part could turn a net delta that is clear of turning."""

_REACHES: Final = (0.02, 0.08, 0.3)  # boxes that are tried around the market
_CENTRES: Final = (
    0.03,
    0.06,
    0.12,
    0.24,
    0.48,
)  # further ones of pools of one pair, each as far as to the one before
_MARKED: Final = 500  # sorting a row costs about as much as looking over so many marks
_DIGITS: Final = 1e-12  # of balance and requirement, that a calculation in another order may differ by
_VOLS: Final = 4e-7  # of the coins of options, that `followed.VOL_WITHIN` may change of their margin


@final
@dataclass(frozen=True, slots=True)
class PairIntervals:
    """Accounts whose status depends on one pair, the nearest first: how far it may fall, and how far it may rise."""

    one: int  # rows of the table's assets; the number of assets is the numeraire
    other: int
    falls: F64  # ascending, > 0 [logarithm]
    falls_of: I64  # account of each
    rises: F64
    rises_of: I64


@final
@dataclass(frozen=True, slots=True)
class SafeIntervals:
    """What is proven of a book in a market."""

    book: Book
    resolved: Resolved
    status: NDArray[np.int8]  # (A,) worst of each account's pools, rows of `STATUSES`
    pairs: tuple[PairIntervals, ...]
    always: I64  # accounts of which nothing is proven, ascending
    basis: float

    def of_account(self, row: int) -> tuple[tuple[str, float, float], ...]:
        """Pairs of an account as words, with the factors between which its status stays; empty where nothing moves it.

        An account of which nothing is proven has the factors 1 and 1 for an empty name.
        """
        if np.any(self.always == row):
            return (("", 1.0, 1.0),)
        names = (*self.resolved.table.assets, self.resolved.market.numeraire)
        return tuple(
            (
                f"{names[pair.one]}/{names[pair.other]}",
                float(np.exp(-pair.falls[pair.falls_of == row][0])),
                float(np.exp(pair.rises[pair.rises_of == row][0])),
            )
            for pair in self.pairs
            if np.any(pair.falls_of == row)
        )


def build(
    book: Book,
    market: Market,
    rulebook: Rulebook,
    *,
    basis: float = BASIS,
    chunk: int | None = None,
    told: Callable[[int], None] | None = None,
) -> SafeIntervals:
    """Prove what can be proven of a book.

    Parameters
    ----------
    book, market, rulebook : Book, Market, Rulebook
        The three inputs of the one calculation.
    basis : float
        How far a mark, index or forward may part from the move of its index [logarithm], at most `BASIS_MAX`: larger, and
        fewer instruments are outside of it, but intervals shorter.
    chunk : int, optional
        Accounts that are looked at together; by default as many as fit a fixed amount of memory.
    told : callable, optional
        Called with the number of accounts done whenever a chunk is.
    """
    resolved = resolve(book.symbols, book.assets, market, rulebook)
    return build_resolved(book, resolved, basis=basis, chunk=chunk, told=told)


def build_resolved(
    book: Book,
    resolved: Resolved,
    *,
    basis: float = BASIS,
    chunk: int | None = None,
    told: Callable[[int], None] | None = None,
) -> SafeIntervals:
    """`build` of a book whose instruments and assets are resolved already, as those of a live book are."""
    require(0.0 <= basis <= BASIS_MAX, "basis", basis, f"between 0 and {BASIS_MAX:g}")
    parts = []
    for first, last in chunk_bounds(book, resolved.rulebook, chunk):
        parts.append(_part(resolved, chunk_of(book, first, last), first, basis))
        if told is not None:
            told(last)
    status = np.concatenate([np.zeros(0, dtype=np.int8), *(p.status for p in parts)])
    always = np.concatenate([np.zeros(0, dtype=np.int64), *(p.always for p in parts)])
    account, pair, low, high = (
        np.concatenate([getattr(p, name) for p in parts]) if parts else np.zeros(0)
        for name in ("account", "pair", "low", "high")
    )
    assets = len(resolved.table.assets) + 1
    pairs = tuple(
        _pair(account[pair == which], low[pair == which], high[pair == which], divmod(which, assets))
        for which in np.unique(pair).astype(np.int64).tolist()
    )
    return SafeIntervals(book, resolved, status, pairs, always, basis)


def _pair(account: I64, low: F64, high: F64, assets: tuple[int, int]) -> PairIntervals:
    falls, rises = (-low).argsort(kind="stable"), high.argsort(kind="stable")
    return PairIntervals(*assets, -low[falls], account[falls], high[rises], account[rises])


@final
@dataclass(frozen=True, slots=True)
class _Part:
    status: NDArray[np.int8]  # (A,)
    always: I64
    account: I64  # (n,) by account and pair
    pair: I64
    low: F64  # [logarithm] < 0
    high: F64  # > 0


def _part(resolved: Resolved, book: Book, first: int, basis: float) -> _Part:
    prepared = prepare_in(resolved, book)
    pools, count = prepared.pools, len(book.names)
    status = statuses_of(prepared, evaluate(prepared))
    worst = np.zeros(count, dtype=np.int8)
    np.maximum.at(worst, pools.account, status)
    found = _around(prepared, np.zeros(1), status, max(_REACHES), basis)
    radius = found.radius[0]
    for reach in _REACHES[:-1]:
        radius = np.fmax(radius, _around(prepared, np.zeros(1), status, reach, basis).radius[0])
    low, high = _further(prepared, found.steep, status, radius, basis)
    lost = ~(radius > 0.0)  # NaN too
    always = np.zeros(count, dtype=np.bool_)
    always[pools.account[lost]] = True
    pool, pair = found.steep.pool, found.steep.pair
    kept = ~always[pools.account[pool]] & _depends(found.steep)
    account, pair, low, high = pools.account[pool[kept]], pair[kept], low[pool[kept]], high[pool[kept]]
    width = int(pair.max(initial=0)) + 1
    key, group = np.unique(account * width + pair, return_inverse=True)
    lowest, highest = np.full(len(key), -np.inf), np.full(len(key), np.inf)
    np.maximum.at(lowest, group, low)
    np.minimum.at(highest, group, high)
    bounded = np.isfinite(lowest) | np.isfinite(highest)
    account = key[bounded] // width + first
    return _Part(
        worst,
        np.flatnonzero(always) + first,
        account,
        key[bounded] % width,
        lowest[bounded],
        highest[bounded],
    )


@final
@dataclass(frozen=True, slots=True)
class _Around:
    steep: Steepness
    radius: (
        F64  # (S, K) how far all pairs of a pool may move from each centre; not above 0: nothing is proven
    )


def _around(
    prepared: Prepared, log_factor: F64, status: NDArray[np.int8], reach: float, basis: float
) -> _Around:
    # Centres (S,) at which every asset that prices are of, and none that they are in, is moved by a factor.
    shift = np.ones((max(len(log_factor), 2), len(prepared.table.assets)))
    shift[: len(log_factor), _moving(prepared)] = np.exp(log_factor)[:, None]
    priced = shifted(prepared.table, shift)
    pooled = evaluate(prepared, priced)
    steep = steepness_of(prepared, priced, pooled, reach + basis)
    total = np.zeros((2, *pooled.equity.shape))
    for level in (INITIAL, MAINTENANCE):
        for scenario in range(pooled.equity.shape[0]):
            total[level, scenario] = np.bincount(
                steep.pool, weights=steep.level[level, scenario], minlength=pooled.equity.shape[1]
            )
    total[steep.unproven[:, None, :].repeat(pooled.equity.shape[0], axis=1)] = np.inf
    radius = np.minimum(
        _radius(prepared, pooled, steep, total, status), np.minimum(steep.until, reach + basis)
    )
    still = (total == 0.0).all(axis=0)
    return _Around(steep, np.where(still, radius, radius - basis)[: len(log_factor)])


def _radius(
    prepared: Prepared, pooled: Pooled, steep: Steepness, total: F64, status: NDArray[np.int8]
) -> F64:
    # How far what is left is from the sign at which the status is another, over how fast it can come there.
    left = np.stack([pooled.margin_balance - pooled.initial, excess_of(prepared, pooled)])
    size = np.abs(pooled.margin_balance) + np.abs(pooled.initial) + np.abs(pooled.maintenance)
    kept = steep.rounding + np.where(total > 0.0, _DIGITS * size + _VOLS * _coins(prepared, pooled), 0.0)
    healthy, call, liquidatable = (
        STATUSES.index(s) for s in (Status.HEALTHY, Status.CALL, Status.LIQUIDATABLE)
    )

    def stays(level: int, above: bool) -> F64:
        room = (left[level] if above else -left[level]) - kept[level]
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.where(total[level] > 0.0, room / total[level], np.inf)
        return np.where(room >= 0.0 if above else room > 0.0, far, -np.inf)

    return np.select(
        [status == healthy, status == call, status == liquidatable],
        [
            np.minimum(stays(INITIAL, True), stays(MAINTENANCE, True)),
            np.minimum(stays(INITIAL, False), stays(MAINTENANCE, True)),
            stays(MAINTENANCE, False),
        ],
        -np.inf,
    )


def _coins(prepared: Prepared, pooled: Pooled) -> F64:
    # Worth of the coins that options and orders of options are of, (K,) [pool currency], at its largest.
    table, book, pools = prepared.table, prepared.book, prepared.pools
    if not table.is_option.any():
        return np.zeros(len(pools.account))
    valued, at = pooled.workings.valued, book.instrument
    to_pool = pooled.workings.to_pool if valued.convert is None else pooled.workings.to_pool * valued.convert
    worth = np.where(table.is_coin_premium, 1.0, np.where(table.is_option, table.forward, 0.0))
    worth = np.where(table.is_option, worth * table.a, 0.0) * np.maximum(np.sqrt(table.years), 1.0)
    coins = np.nan_to_num(np.abs(book.quantity) * worth[at] * np.max(to_pool, axis=0, initial=0.0))
    own = np.bincount(pools.position_pool, weights=coins, minlength=len(pools.account))
    price = table.asset_price
    asked = np.abs(book.order_quantity) * worth[book.order_instrument]
    rate = price[table.payoff[book.order_instrument]] / price[pools.currency[pools.order_pool]]
    same = table.payoff[book.order_instrument] == pools.currency[pools.order_pool]
    asked = np.nan_to_num(asked * np.where(same, 1.0, rate))
    return np.asarray(own + np.bincount(pools.order_pool, weights=asked, minlength=len(pools.account)))


def _moving(prepared: Prepared) -> Bools:
    table = prepared.table
    moving = np.zeros(len(table.assets), dtype=np.bool_)
    moving[table.base] = True
    moving[table.quote] = False
    return moving


def _further(
    prepared: Prepared, steep: Steepness, status: NDArray[np.int8], radius: F64, basis: float
) -> tuple[F64, F64]:
    # Intervals of pools: the box around the market, and for pools of one pair as far as further centres reach.
    count, assets = len(radius), len(prepared.table.assets)
    low, high = -radius, radius.copy()
    depends = _depends(steep)
    one, other = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    one[steep.pool[depends]], other[steep.pool[depends]] = divmod(steep.pair[depends], assets + 1)
    moving = np.append(_moving(prepared), False)
    turn = (
        moving[one].astype(np.int64) - moving[other]
    )  # +1: the pair moves with its first asset, -1: against its second
    alone = _single(steep, count) & (turn != 0) & (radius > 0.0)
    before = 0.0
    for centre in _CENTRES if alone.any() else ():
        around = _around(prepared, np.array([-centre, centre]), status, centre - before, basis)
        alone &= _single(around.steep, count)
        found = around.radius
        down, up = (np.where(turn > 0, found[k], found[1 - k]) for k in (0, 1))
        high = np.where(alone & (high >= centre - up) & (up > 0.0), np.maximum(high, centre + up), high)
        low = np.where(alone & (-low >= centre - down) & (down > 0.0), np.minimum(low, -centre - down), low)
        before = centre
    return low, high


def _depends(steep: Steepness) -> Bools:
    return np.asarray(steep.level.max(axis=(0, 1), initial=0.0) > 0.0)


def _single(steep: Steepness, count: int) -> Bools:
    return np.asarray(np.bincount(steep.pool[_depends(steep)], minlength=count) == 1)


# --- after a move ---


def breaches(safe: SafeIntervals, market: Market) -> I64:
    """Accounts that have to be computed again in a market, ascending: the status of every other one is what it was.

    Parameters
    ----------
    safe : SafeIntervals
        Of the same book and rules.
    market : Market
        Prices of now.
    """
    book = safe.book
    return breaches_resolved(safe, resolve(book.symbols, book.assets, market, safe.resolved.rulebook))


def breaches_resolved(safe: SafeIntervals, now: Resolved) -> I64:
    """`breaches` in a market that is resolved already, as that of a live book is."""
    moved = moved_between(safe.resolved, now, safe.basis)
    if moved.everything:
        return np.arange(len(safe.book.names))
    found = [safe.always, *(_beyond(pair, moved) for pair in safe.pairs)]
    if moved.parted.any():
        found += [
            safe.book.account[moved.parted[safe.book.instrument]],
            safe.book.order_account[moved.parted[safe.book.order_instrument]],
        ]
    return _each_once(found, len(safe.book.names))


def _each_once(found: list[I64], count: int) -> I64:
    # Few rows are sorted; many are marked.
    rows = np.concatenate(found)
    if len(rows) * _MARKED < count:
        return np.unique(rows).astype(np.int64)
    marked = np.zeros(count, dtype=np.bool_)
    marked[rows] = True
    return np.flatnonzero(marked)


def _beyond(pair: PairIntervals, moved: Moved) -> I64:
    move = float(moved.asset[pair.one] - moved.asset[pair.other])
    if move != move:
        return pair.rises_of
    if move >= 0.0:
        return pair.rises_of[: pair.rises.searchsorted(move)]
    return pair.falls_of[: pair.falls.searchsorted(-move)]


@final
@dataclass(frozen=True, slots=True)
class Swept:
    """A book after a move."""

    status: NDArray[np.int8]  # (A,) as a full sweep gives it
    computed: I64  # accounts that were computed again
    changed: I64  # accounts whose status is another


def swept(safe: SafeIntervals, market: Market, *, threads: int = 1) -> Swept:
    """Statuses of all accounts in a market; only those that are not proven to be as they were are computed."""
    book = safe.book
    now = resolve(book.symbols, book.assets, market, safe.resolved.rulebook)
    rows = breaches_resolved(safe, now)
    status = safe.status.copy()
    if rows.size:
        part = book if len(rows) == len(book.names) else picked(book, rows)
        status[rows] = assess_resolved(part, now, threads=threads).status
    return Swept(status, rows, np.flatnonzero(status != safe.status))

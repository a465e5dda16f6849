"""Pools that hold contracts on the coin that they count in: equity, worst scenario and charges in one pass.

A pool's positions are read once for its sums and once, out of the nearest cache, for its scenarios. Nothing of size
pools × scenarios is ever written.
"""

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from margrave.kernels.arrays import F64, I64
from margrave.kernels.compiled.compiler import in_pieces, kernel, row_bounds
from margrave.kernels.compiled.intrinsics import worst_lane
from margrave.kernels.compiled.rows import WIDTH, check_rows

_PIECE = 20_000  # positions that are worth a thread

A, C, MARK, PER_PRICE, DELTA, IS_OPTION, INDEX = range(7)
"""Columns of `CoinTerms.facts`."""

FREE, INCREMENT, MOST = range(3)
"""Columns of `CoinTerms.liquidity`."""

FACTS = 8
"""Columns of a row of facts: one cache line."""

_Terms: TypeAlias = tuple[F64, F64, I64, I64, F64, F64]
_Rows: TypeAlias = tuple[I64, NDArray[Any], F64, F64, I64, NDArray[Any], F64]
_Out: TypeAlias = tuple[I64, I64, I64, F64, F64, F64]


@final
@dataclass(frozen=True, slots=True)
class CoinTerms:
    """Instruments in one market, (I,), and the coins that they settle in, (N,)."""

    table: F64  # (I + N, lanes) weighted profit of a contract in each cell; per coin, the damper of cells at price 1
    facts: F64  # (I, 8) a, c, mark, c / mark, delta of a contract [coin], 1 for options, index price
    settlement: I64  # (I,) coin
    date: I64  # (I,) expiry, of D
    share: F64  # (N, D) of an expiry's net delta that a roll costs
    liquidity: (
        F64  # (N, 3) free, increment and most of the charge on a large delta; zeros where there is none
    )


@final
@dataclass(frozen=True, slots=True)
class CoinRows:
    """Accounts in compressed rows: positions, (P,), and balances, (B,)."""

    start: I64  # (A + 1,) of positions
    instrument: NDArray[Any]
    quantity: F64
    entry: F64
    balance_start: I64  # (A + 1,)
    balance_asset: NDArray[Any]  # coin
    balance: F64


@final
@dataclass(frozen=True, slots=True)
class CoinPools:
    """Pools, (K,), in the order of accounts; in an account as its balances, then its positions need them."""

    account: I64
    currency: I64
    equity: F64
    worst: F64  # >= 0, largest loss; NaN where a cell is
    charge: F64  # roll and liquidity, >= 0


# --- kernels ---


@kernel
def count_pools(settlement: I64, coins: int, rows: _Rows, out: I64) -> None:
    """Pools of each account."""
    start, instrument, _quantity, _entry, balance_start, balance_asset, _balance = rows
    seen = np.full(coins, -1)
    for account in range(len(out)):
        count = 0
        for b in range(balance_start[account], balance_start[account + 1]):
            count += 1 if seen[balance_asset[b]] != account else 0
            seen[balance_asset[b]] = account
        for p in range(start[account], start[account + 1]):
            coin = settlement[instrument[p]]
            count += 1 if seen[coin] != account else 0
            seen[coin] = account
        out[account] = count


@kernel
def _opened(settlement: I64, rows: _Rows, account: int, slot: I64, out: _Out) -> int:
    """Open an account's pools, with their cash; how many there are."""
    start, instrument, _quantity, _entry, balance_start, balance_asset, balance = rows
    pool_start, owner, currency, equity, _worst, _charge = out
    first, count = pool_start[account], 0
    for b in range(balance_start[account], balance_start[account + 1]):
        coin = balance_asset[b]
        if slot[coin] < 0:
            slot[coin] = first + count
            owner[first + count], currency[first + count], equity[first + count] = account, coin, 0.0
            count += 1
        equity[slot[coin]] += balance[b]
    for p in range(start[account], start[account + 1]):
        coin = settlement[instrument[p]]
        if slot[coin] < 0:
            slot[coin] = first + count
            owner[first + count], currency[first + count], equity[first + count] = account, coin, 0.0
            count += 1
    for pool in range(first, first + count):
        slot[currency[pool]] = -1
    return count


@kernel
def _liquidity(longs: float, rest: float, price: float, terms: F64) -> float:
    """Cost of a large delta: long options may only reduce what the rest must sell, in coins."""
    both = longs + rest
    low, high = min(both, rest), max(both, rest)
    size = abs(min(high, 0.0)) if rest < 0.0 else max(low, 0.0)
    value = size * price
    amount = max(value - terms[FREE], 0.0) * size * terms[INCREMENT]
    return float(min(amount, terms[MOST] * value) / price)


@kernel
def _gathered(
    terms: _Terms, rows: _Rows, place: tuple[int, int], room: tuple[I64, F64, F64]
) -> tuple[int, float, float, float]:
    """One pool's positions side by side, with the net delta of its expiries.

    How many there are, what they add to the equity, the delta of long options, and that of the rest.
    """
    _table, facts, settlement, date, _share, _liquidity = terms
    start, instrument, quantity, entry = rows[0], rows[1], rows[2], rows[3]
    account, coin = place
    held, weight, net = room
    first, past = start[account], start[account + 1]
    whose, size, price_paid = instrument[first:past], quantity[first:past], entry[first:past]
    n, profit, value, longs, all_of_it = 0, 0.0, 0.0, 0.0, 0.0
    for p in range(len(whose)):
        i = np.uint64(whose[p])  # unsigned: no index is taken for one from the end
        if settlement[i] != coin:
            continue
        q, option = size[p], facts[i, IS_OPTION]
        held[n], weight[n] = whose[p], q
        n += 1
        delta = q * facts[i, DELTA]
        net[np.uint64(date[i])] += delta
        all_of_it += delta
        longs += delta if option * q > 0.0 else 0.0
        value += option * q * facts[i, A] * facts[i, MARK]
        if option == 0.0:
            per_entry = facts[i, PER_PRICE] / price_paid[p] if facts[i, C] > 0.0 else 0.0
            profit += q * ((facts[i, MARK] - price_paid[p]) * (facts[i, A] + per_entry))
    return n, profit + value, longs, all_of_it - longs


@kernel
def _rolled(net: F64, share: F64) -> float:
    """Cost of rolling every expiry's net delta, in coins; the delta is forgotten."""
    cost = 0.0
    for day in range(len(net)):
        cost += abs(net[day]) * share[day]
        net[day] = 0.0
    return cost


@kernel
def pool_rows(lanes: tuple[int, ...], terms: _Terms, rows: _Rows, span: tuple[int, int], out: _Out) -> None:
    """Pools of accounts ``span[0]`` to ``span[1] - 1``."""
    table, facts, settlement, _date, share, liquidity = terms
    start, (pool_start, _owner, currency, equity, worst, charge) = rows[0], out
    longest = 0
    for account in range(span[0], span[1]):
        longest = max(longest, start[account + 1] - start[account])
    held, weight = np.empty(longest + 1, dtype=np.int64), np.empty(longest + 1)
    slot, net = np.full(len(share), -1), np.zeros(share.shape[1])
    for account in range(span[0], span[1]):
        count = _opened(settlement, rows, account, slot, out)
        for pool in range(pool_start[account], pool_start[account] + count):
            coin = currency[pool]
            n, gained, longs, rest = _gathered(terms, rows, (account, coin), (held, weight, net))
            equity[pool] += gained
            worst[pool] = charge[pool] = 0.0
            if n == 0:
                continue
            # The damper of the tail stands in the table at a price of one: a position of one over the price.
            price = facts[held[0], INDEX]
            held[n], weight[n] = len(facts) + coin, 1.0 / price
            least, _cell = worst_lane(lanes, table, held, weight, 0, n + 1)
            worst[pool] = 0.0 if least >= 0.0 else -least
            charge[pool] = _rolled(net, share[coin]) + _liquidity(longs, rest, price, liquidity[coin])


# --- what callers use ---


def coin_pools(terms: CoinTerms, rows: CoinRows, pool: Executor | None = None) -> CoinPools:
    """Equity, worst scenario and charges of every pool.

    Parameters
    ----------
    terms : CoinTerms
        Of the instruments that the rows name; indices are not checked.
    rows : CoinRows
        Accounts.
    pool : Executor, optional
        Threads; the answer is the same bytes.

    Returns
    -------
    CoinPools
        In coins. A pool without positions has neither risk nor charge. NaN where a fact or a cell is NaN.

    Raises
    ------
    ValueError
        The table is not padded and aligned, or lacks rows of instruments or coins.
    """
    check_rows(terms.table)
    coins, accounts = len(terms.share), len(rows.start) - 1
    if len(terms.table) != len(terms.facts) + coins:
        raise ValueError(
            f"the table has {len(terms.table)} rows for {len(terms.facts)} instruments and {coins} coins"
        )
    plain: _Rows = (
        rows.start, rows.instrument, rows.quantity, rows.entry, rows.balance_start, rows.balance_asset, rows.balance,
    )  # fmt: skip
    pool_start = np.zeros(accounts + 1, dtype=np.int64)
    count_pools(terms.settlement, coins, plain, pool_start[1:])
    np.cumsum(pool_start, out=pool_start)
    total = int(pool_start[-1])
    found = CoinPools(
        np.empty(total, dtype=np.int64),
        np.empty(total, dtype=np.int64),
        np.empty(total),
        np.empty(total),
        np.empty(total),
    )
    out: _Out = (pool_start, found.account, found.currency, found.equity, found.worst, found.charge)
    told: _Terms = (terms.table, terms.facts, terms.settlement, terms.date, terms.share, terms.liquidity)
    lanes = (0,) * (terms.table.shape[1] // WIDTH)
    in_pieces(
        lambda a, b: pool_rows(lanes, told, plain, (a, b), out),
        accounts,
        lambda: row_bounds(rows.start, _PIECE),
        pool,
    )
    return found

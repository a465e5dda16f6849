"""A seeded book for the compiled kernels, and the digest of everything that they say of it."""

import hashlib
from concurrent.futures import Executor
from dataclasses import fields, replace

import numpy as np

from margrave.core.rounding import CLOSE
from margrave.kernels.compiled import moved_rows
from margrave.kernels.compiled.black import grid_values, option_values
from margrave.kernels.compiled.coin_pools import (
    CoinTerms,
    Levels,
    bits_of_dates,
    coin_pools,
    empty_margins,
    empty_parts,
    margins_in,
)
from margrave.kernels.compiled.columns import (
    GridOptions,
    Holdings,
    TierPositions,
    TierTable,
    holdings_of,
    tier_table,
)
from margrave.kernels.compiled.compiler import even_bounds, in_pieces
from margrave.kernels.compiled.directional_pools import (
    Curves,
    DirectionalTerms,
    Remembered,
    directional_pools,
)
from margrave.kernels.compiled.ladder_pools import Grid, LadderTerms, Tiers, ladder_pools
from margrave.kernels.compiled.ladder_steps import (
    BASIS,
    BOUNDED,
    FEE,
    FIRST,
    KIND,
    LIMIT,
    NUMBERS,
    OPTION,
    PAST,
    ROWS,
    RULE,
    SCHEDULED,
    TILT,
    UNIT,
)
from margrave.kernels.compiled.laid_out import Columns, Contracts, PoolRows, laid_out, starts_of
from margrave.kernels.compiled.rows import empty_rows, padded_rows
from margrave.kernels.compiled.tiers import (
    inverse_pools,
    inverse_positions,
    linear_pools,
    linear_positions,
)
from margrave.kernels.compiled.worst import worst_cells, worst_in_units
from margrave.kernels.ladder import progressive_deduction

FLOORS = np.array([0.0, 5e4, 2.5e5, 1e6, 1e7, 2e7, 5e7, 1e8, 2e8, 3e8])
RATES = np.array([0.004, 0.005, 0.01, 0.025, 0.05, 0.1, 0.125, 0.15, 0.25, 0.5])
LEVELS = Levels(1.0, 0.8, 1.05, (1e-9, 1e9, CLOSE))


def options(dice: np.random.Generator, count: int) -> tuple[np.ndarray, ...]:
    """Forward, strike, vol, years, is_call: an hour to 18 months, up to some eight deviations out, edges among them."""
    forward, vol = dice.uniform(0.5, 1e5, count), dice.uniform(0.05, 3.0, count)
    years = dice.uniform(1.0 / 8760.0, 1.5, count)
    strike = forward * np.exp(dice.uniform(-8.0, 8.0, count) * vol * np.sqrt(years))
    vol[::97], years[::101] = 0.0, 0.0
    strike[::89] = forward[::89]
    return forward, strike, vol, years, dice.random(count) < 0.5


def grid(dice: np.random.Generator, count: int, cells: int) -> tuple[GridOptions, np.ndarray, ...]:
    """Options, factor, level and vol of a grid."""
    forward, strike, vol, years, is_call = options(dice, count)
    in_coin = dice.random(count) < 0.5
    made = GridOptions(
        forward=forward,
        strike=strike,
        years=years,
        is_call=is_call,
        in_coin=in_coin,
        size=dice.uniform(0.1, 10.0, count),
        mark=np.where(in_coin, 0.01, 100.0),
    )
    return (
        made,
        dice.uniform(0.5, 1.5, cells),
        dice.integers(0, 3, cells),
        np.array([vol, vol * 1.5, vol * 0.7]),
    )


def holdings(
    dice: np.random.Generator, accounts: int, instruments: int, index=np.uint16, quantity=np.int32
) -> Holdings:
    """About twenty positions an account, some accounts without."""
    count = dice.poisson(20, accounts) * (dice.random(accounts) < 0.95)
    start = np.concatenate(([0], np.cumsum(count)))
    held, amount = dice.integers(0, instruments, start[-1]), dice.integers(-1000, 1001, start[-1])
    return holdings_of(start, held.astype(index), amount.astype(quantity))


def ladders() -> TierTable:
    """Three ladders of ten, ten and one tier."""
    floor, rate = [FLOORS, 0.5 * FLOORS, FLOORS[:1]], [RATES, RATES, RATES[-1:]]
    cut = [progressive_deduction(f, r) for f, r in zip(floor, rate, strict=True)]
    return tier_table(floor, rate, cut, [2.0 * RATES, 0.0 * RATES, np.array([0.02])])


def tier_positions(dice: np.random.Generator, count: int) -> tuple[TierPositions, np.ndarray]:
    """Positions from cents to beyond the last tier, and collateral from too little to more than they are worth."""
    mark = dice.uniform(5e4, 7e4, count)
    quantity = dice.normal(0.0, 1.0, count) * np.exp(dice.normal(1.0, 3.0, count))
    quantity[::50] = 0.0
    positions = TierPositions(
        ladder=dice.integers(0, 3, count),
        quantity=quantity,
        entry=mark * dice.uniform(0.9, 1.1, count),
        mark=mark,
        initial_rate=dice.uniform(0.0, 0.5, count),
    )
    return positions, np.abs(quantity) * mark * dice.uniform(-0.2, 1.4, count)


def coins(
    dice: np.random.Generator, table: np.ndarray, held: Holdings
) -> tuple[CoinTerms, Contracts, Columns]:
    """Instruments on two coins, options among them, and the accounts of some holdings with a balance and orders."""
    instruments, accounts, positions = len(table) - 2, len(held.start) - 1, len(held.index)
    terms = CoinTerms(
        table,
        table.shape[1] - 3,
        bits_of_dates(dice.integers(0, 11, instruments), 11),
        np.pad(dice.uniform(0.001, 0.1, (2, 11)), ((0, 0), (0, 5))),
        np.array([[10.0, 1e-4, 0.1], [0.0, 0.0, 0.0]]),
        dice.uniform(0.1, 2.0, 2),
    )
    contracts = Contracts(
        dice.integers(0, 2, instruments),
        dice.uniform(0.1, 2.0, instruments),
        dice.uniform(0.1, 2.0, instruments),
        dice.random(instruments) < 0.5,
        2,
    )
    waiting = np.sort(dice.integers(0, accounts, accounts // 3))
    columns = Columns(
        start=held.start.astype(np.int64),
        instrument=held.index.astype(np.int64) % instruments,
        quantity=held.quantity.astype(float),
        entry=dice.uniform(0.5, 2.0, positions),
        alone=np.zeros(0),
        balance_start=np.arange(accounts + 1),
        balance_coin=dice.integers(0, 2, accounts),
        balance=dice.uniform(-1e3, 1e4, accounts),
        order_start=starts_of(waiting, accounts),
        order_instrument=dice.integers(0, instruments, len(waiting)),
        order_quantity=dice.integers(-20, 21, len(waiting)).astype(float),
        order_price=dice.uniform(0.5, 2.0, len(waiting)),
    )
    return terms, contracts, columns


def without_orders(columns: Columns) -> Columns:
    """The same accounts, whose orders are gone."""
    none = np.zeros(0)
    return replace(
        columns,
        order_start=np.zeros(len(columns.start), dtype=np.int64),
        order_instrument=none.astype(np.int64),
        order_quantity=none,
        order_price=none,
    )


def swept_pools(terms: CoinTerms, rows: PoolRows, pool: Executor | None) -> list[np.ndarray]:
    """What the kernel says of pools, piece by piece in a pool's threads."""
    count = len(rows.account)
    out = empty_margins(count)

    def run(first: int, past: int) -> None:
        parts = empty_parts(rows, past - first)
        coin_pools(terms, LEVELS, rows, (first, past), parts, margins_in(out, first, past))

    in_pieces(run, count, lambda: even_bounds(count, 1, 1), pool)
    return [getattr(out, field.name) for field in fields(out)]


def at_prices(
    dice: np.random.Generator, terms: CoinTerms, contracts: Contracts, rows: PoolRows
) -> list[np.ndarray]:
    """Rows of contracts and pools of one coin at other prices of it; options near expiry among them."""
    count, coins = len(contracts.a), len(terms.price)
    number = np.ones((count, moved_rows.NUMBERS))
    number[:, moved_rows.MARK] = dice.uniform(0.01, 0.3, count)
    number[:, moved_rows.A], number[:, moved_rows.C] = (
        contracts.a,
        np.where(contracts.is_option, 0.0, contracts.c),
    )
    number[:, moved_rows.FORWARD], number[:, moved_rows.STRIKE] = dice.uniform(0.5, 2.0, (2, count))
    number[:, moved_rows.YEARS] = np.where(dice.random(count) < 0.1, 1e-5, dice.uniform(0.01, 1.5, count))
    number[:, [moved_rows.VOL, moved_rows.VOL_AT_MARK]] = dice.uniform(0.3, 1.2, (count, 2))
    number[:, [moved_rows.AVERAGED, moved_rows.FIXED, moved_rows.FIXED_SHARE]] = 0.0
    bits = (
        moved_rows.OPTION
        + moved_rows.CALL * dice.integers(0, 2, count)
        + moved_rows.COIN * dice.integers(0, 2, count)
    )
    moved = moved_rows.MovedTerms(
        terms,
        number,
        np.where(contracts.is_option, bits, 0),
        dice.uniform(0.2, 1.5, (count, terms.cells)),
        dice.uniform(-0.5, 0.5, (coins, terms.cells)),
        np.ones((coins, terms.cells)),
    )
    room, listed = moved_rows.moved_room(moved), np.flatnonzero(contracts.settlement == 1)
    table = moved_rows.move_coin(moved, room, 1, listed, 0.9).table.copy()
    pool = dice.integers(0, len(rows.account), 500)
    plain = replace(rows, quantity=rows.quantity.astype(np.float64))
    answers = [table, *moved_rows.pools_at(moved, room, plain, pool, dice.uniform(0.5, 1.5, 500))]
    assert all(np.isfinite(one).all() for one in answers)
    return answers


def schedules(dice: np.random.Generator, contracts: Contracts) -> DirectionalTerms:
    """Four schedules of cubics and steps, in every unit and from every reference, two coins each."""
    instruments, (used, nets) = len(contracts.settlement), (4, 8)
    kind = np.stack((dice.integers(-1, nets, instruments), *dice.integers(0, 2, (2, instruments))), axis=1)
    number = dice.uniform(0.5, 2.0, (instruments, 7))
    net = np.stack((np.arange(nets) // 2, np.arange(nets) % 2), axis=1)
    rule = np.stack((np.full(used, 1e-9), np.full(used, 0.1), np.array([np.nan, 1e-5, np.nan, 1e-4])), axis=1)
    code = np.stack(
        (np.arange(used), np.arange(used), np.arange(used) == 2, np.arange(used), np.arange(used)[::-1]),
        axis=1,
    ).astype(np.int64)
    knot = np.tile(np.array([-0.2, -0.05, 0.0, 0.1, 0.3]), used)
    cubic = dice.uniform(0.5, 1.0, (len(knot), 4))
    curves = Curves(np.arange(0, len(knot) + 1, 5), np.full(used, 2), knot, cubic)
    return DirectionalTerms(number, kind, net, rule, code, np.array([0.5, 0.8]), curves, 10.0)


def by_size(
    dice: np.random.Generator, contracts: Contracts, columns: Columns, pool: Executor | None
) -> list[np.ndarray]:
    """Pools margined by size, a fifth of the positions isolated: tiers in value, coins and with a root,
    fees, leverage, rounding, orders, under schedules."""
    instruments, positions = len(contracts.settlement), len(columns.entry)
    alone = np.where(dice.random(positions) < 0.2, dice.uniform(0.0, 5.0, positions), np.nan)
    rows = laid_out(contracts, replace(columns, alone=alone, traced=True), pool)
    number = dice.uniform(0.1, 2.0, (instruments, NUMBERS))
    number[:, UNIT] = np.where(dice.random(instruments) < 0.5, np.nan, number[:, UNIT])
    number[:, LIMIT], number[:, TILT] = 1e9, np.where(dice.random(instruments) < 0.5, 1.0, -1.0)
    number[:, FEE : FEE + 2] *= 1e-3
    row = np.zeros((instruments, ROWS), dtype=np.int64)
    row[:, FIRST : FIRST + 2] = dice.integers(0, 2, (instruments, 1)) * 10
    row[:, PAST : PAST + 2] = row[:, FIRST : FIRST + 2] + 10
    row[:, RULE], row[:, BASIS] = dice.integers(0, 3, (2, instruments))
    row[:, KIND] = (
        np.where(contracts.is_option, OPTION, 0) | SCHEDULED | BOUNDED * dice.integers(0, 2, instruments)
    )
    floor = np.concatenate((FLOORS, 0.5 * FLOORS))
    floor[[0, 10]] = -np.inf
    rate = np.concatenate((RATES, RATES))
    tiers = Tiers(floor, rate, 1e-9 * rate, 0.0 * rate, 1e-6 * rate)
    terms = LadderTerms(
        number, row, (tiers, tiers), Grid(1e-8, 1e8, 4, CLOSE, 1.0), 1.05, (0.5, True, True), 2, True
    )
    leverage = np.where(dice.random(positions) < 0.5, np.nan, dice.uniform(1.0, 50.0, positions))
    orders = columns.order_price[rows.order_came]
    entry = columns.entry[rows.came]
    chosen = leverage, orders, np.where(orders < 1.0, np.nan, 10.0 * orders), entry
    out = empty_margins(len(rows.account), counted_apart=True)
    told, factors = schedules(dice, contracts), np.empty((2, positions))
    accounts = int(rows.account[-1]) + 1
    kept = dice.uniform(0.5, 2.0, (accounts, 5))
    kept[dice.random((accounts, 5)) < 0.5] = np.nan
    memory = Remembered(np.arange(accounts + 1), dice.integers(0, contracts.coins, accounts), kept)

    def run(a: int, b: int) -> None:
        begin, past = rows.start[a], rows.start[b]
        mine = factors[0, begin:past], factors[1, begin:past]
        directional_pools(told, rows, entry, memory, (a, b), mine)
        ladder_pools(terms, rows, chosen, (*mine, int(begin)), (a, b), margins_in(out, a, b))

    in_pieces(run, len(rows.account), lambda: even_bounds(len(rows.account), 1, 1), pool)
    return [rows.position, rows.came, factors, *(getattr(out, field.name) for field in fields(out))]


def digest(pool: Executor | None = None) -> str:
    """SHA-256 of the bytes of every kernel's answer for one seeded book."""
    dice = np.random.default_rng(20261101)
    answers = [option_values(*options(dice, 5_000), pool)]
    table = grid_values(*grid(dice, 300, 41), empty_rows(300, 41), pool)
    table[np.isnan(table)] = 0.0
    held = holdings(dice, 3_000, 300)
    answers += [table, *worst_cells(table, held, pool)]
    answers += worst_in_units(table, held, np.arange(0, 3_001, 3), pool)
    positions, collateral = tier_positions(dice, 5_000)
    start, balance = np.arange(0, 5_001, 10), dice.uniform(1e4, 1e8, 500)
    for isolated in (linear_positions, inverse_positions):
        answers.append(isolated(ladders(), positions, collateral, pool))
    for cross in (linear_pools, inverse_pools):
        answers += cross(ladders(), positions, start, balance, pool)
    terms, contracts, columns = coins(dice, table, held)
    for accounts in (columns, without_orders(columns)):
        rows = laid_out(contracts, accounts, pool)
        answers += [getattr(rows, field.name) for field in fields(rows)]
        answers += swept_pools(terms, rows, pool)
        moving = replace(terms, table=padded_rows(np.concatenate((table, table[-2:]))), moves=True)
        answers += swept_pools(moving, rows, pool)
        for told in (terms, moving):
            answers += at_prices(np.random.default_rng(7), told, contracts, rows)
    answers += by_size(dice, contracts, columns, pool)
    return hashlib.sha256(b"".join(np.ascontiguousarray(one).tobytes() for one in answers)).hexdigest()


if __name__ == "__main__":
    print(digest())

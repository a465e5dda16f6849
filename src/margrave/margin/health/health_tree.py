"""The requirement of weighted collateral as a tree: every holding, its weight or rate, and what orders add.

Made from the parts of the calculation, not from a second one; its rules give back the number of `health`.
"""

from collections.abc import Iterator

import numpy as np

from margrave.margin.health.health import HealthMargin, LevelMargin
from margrave.margin.health.rows import HealthRows
from margrave.margin.pools import Pools
from margrave.margin.requirement import Requirement, multiplied, total
from margrave.rulebook.health import Settling
from margrave.valuation.table import Table


def health_tree(margin: HealthMargin, table: Table, pools: Pools, pool: int, level: int) -> Requirement:
    """Requirement of one pool at one level, in the first row of prices.

    Parameters
    ----------
    margin : HealthMargin
        From `health.health_margin`.
    table, pools : Table, Pools
        Names.
    pool : int
        Row of the pool.
    level : int
        Row of `health.levels_of`.
    """
    found, rows = margin.levels[level], margin.rows
    unit = table.assets[int(pools.currency[pool])]
    code = rows.model.code
    parts = [
        *_perpetuals(found, rows, table, pool, unit),
        *_tokens(found, rows, table, pool, unit),
        *_orders(found, rows, table, pool, unit),
    ]
    end = rows.model.liquidation_end
    if found.level.buffer and end is not None:
        exposed = Requirement(
            "debts, positions and losses", float(found.buffer[0, pool]) / found.level.buffer, unit=unit
        )
        share = Requirement("buffer", found.level.buffer, unit="rate", code=end.code)
        parts.append(multiplied("liquidation buffer", exposed, share, unit=unit, code=end.code))
    return total("weights and margin", *parts, unit=unit, code=code)


def _perpetuals(
    found: LevelMargin, rows: HealthRows, table: Table, pool: int, unit: str
) -> Iterator[Requirement]:
    perps, made = rows.perpetuals, found.perpetuals
    for g in np.flatnonzero(perps.pool == pool).tolist():
        rule, symbol = rows.model.perpetuals[int(perps.rule[g])], _symbol(table, int(perps.instrument[g]))
        token = int(perps.token[g])
        worth = float(found.prices.now[0, token])
        beside = rows.model.settling is Settling.BESIDE
        convert = worth * (float(found.prices.high[0, token]) if beside else 1.0)
        size, price = float(abs(made.size[0, g])), float(made.price[0, g])
        at = (
            price
            if size == 0.0
            else float(made.margin[0, g]) / (size * float(made.rate[0, g]) or 1.0) or price
        )
        margin = multiplied(
            f"margin of {_fill_of(rows, g, float(made.size[0, g]))}",
            Requirement("size", size, unit=rule.base),
            Requirement("price", at, unit=unit),
            Requirement("rate", float(made.rate[0, g]), unit="rate", code=rule.code),
            Requirement("settlement token", convert, unit=unit),
            unit=unit,
            code=rule.code,
        )
        slow = float(made.slow[0, g]) * convert
        uncounted = float(made.charge[0, g]) - margin.amount - slow
        parts = [margin]
        if slow:
            parts.append(_leaf("slow price", slow, unit, _slow_code(rows)))
        if abs(uncounted) > 1e-13 * max(1.0, abs(margin.amount)):
            told = (
                "gain that does not count" if made.uncounted[0, g] > 0.0 else "price of the settlement token"
            )
            parts.append(_leaf(told, uncounted, unit, rule.gains.code))
        yield total(symbol, *parts, unit=unit, code=rule.code)


def _fill_of(rows: HealthRows, g: int, size: float) -> str:
    held = float(rows.perpetuals.size[g])
    if size == held:
        return "the position"
    return "all bids filled" if size > held else "all asks filled"


def _slow_code(rows: HealthRows) -> str:
    return "" if rows.model.slow is None else rows.model.slow.code


def _tokens(
    found: LevelMargin, rows: HealthRows, table: Table, pool: int, unit: str
) -> Iterator[Requirement]:
    tokens, made = rows.tokens, found.tokens
    for t in np.flatnonzero(tokens.pool == pool).tolist():
        charge, worth = float(made.charge[0, t]), float(made.worth[0, t])
        if not charge:
            continue
        name, row = table.assets[int(tokens.asset[t])], int(tokens.rule[t])
        code = "" if row < 0 else rows.model.tokens[row].code
        label = f"{name} {'owed' if worth < 0.0 else 'held'}"
        if (rows.spot.base == t).any() or not worth:
            yield _leaf(f"{label}, the worse side of its orders filled", charge, unit, code)
            continue
        binds = (
            "no rule, counts nothing" if row < 0 else "liability weight" if worth < 0.0 else "asset weight"
        )
        told = Requirement(
            f"beyond one: {binds}" if worth < 0.0 else f"less than one: {binds}",
            charge / abs(worth),
            unit="rate",
            code=code,
        )
        yield multiplied(label, Requirement("worth", abs(worth), unit=unit), told, unit=unit, code=code)


def _orders(
    found: LevelMargin, rows: HealthRows, table: Table, pool: int, unit: str
) -> Iterator[Requirement]:
    code = rows.model.orders.code
    for q in np.flatnonzero(rows.spot.pool == pool).tolist():
        if charge := float(found.tokens.orders[0, q]):
            symbol = _symbol(table, int(rows.spot.instrument[q]))
            yield _leaf(f"what orders of {symbol} hold back", charge, unit, code)
    if fee := float(found.fees[pool]):
        each = Requirement("each", rows.model.orders.fee, unit=unit, code=code)
        count = Requirement("open orders", float(rows.orders[pool]), unit="orders")
        yield multiplied("open orders", count, each, unit=unit, code=code)
        assert fee == fee


def _leaf(label: str, amount: float, unit: str, code: str) -> Requirement:
    return Requirement(label, amount, unit=unit, code=code)


def _symbol(table: Table, row: int) -> str:
    instrument = table.instruments[row]
    return "" if instrument is None else instrument.symbol

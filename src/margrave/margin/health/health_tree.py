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

_ROUNDING = 1e-12  # what is left of a sum or a quotient


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
        margin = _margin(found, rows, g, unit)
        slow = float(made.slow[0, g]) * _worth(found, rows, g)
        uncounted = float(made.charge[0, g]) - margin.amount - slow
        parts = [margin]
        if slow:
            parts.append(_leaf("slow price", slow, unit, _slow_code(rows)))
        if abs(uncounted) > _ROUNDING * max(1.0, abs(margin.amount)):
            told = (
                "gain that does not count" if made.uncounted[0, g] > 0.0 else "price of the settlement token"
            )
            parts.append(_leaf(told, uncounted, unit, rule.gains.code))
        yield total(symbol, *parts, unit=unit, code=rule.code)


def _worth(found: LevelMargin, rows: HealthRows, g: int) -> float:
    # What a unit of the settlement token is charged at [pool currency].
    token = int(rows.perpetuals.token[g])
    beside = rows.model.settling is Settling.BESIDE
    return float(found.prices.now[0, token]) * (float(found.prices.high[0, token]) if beside else 1.0)


def _margin(found: LevelMargin, rows: HealthRows, g: int, unit: str) -> Requirement:
    perps, made = rows.perpetuals, found.perpetuals
    rule, worth = rows.model.perpetuals[int(perps.rule[g])], _worth(found, rows, g)
    signed, rate = float(made.size[0, g]), float(made.rate[0, g])
    asked = abs(signed) * rate
    parts = [
        Requirement("size", abs(signed), unit=rule.base),
        Requirement(
            "price", float(made.margin[0, g]) / asked if asked else float(made.price[0, g]), unit=unit
        ),
        Requirement(_rate_of(found, rows, g, signed), rate, unit="rate", code=rule.code),
    ]
    if worth != 1.0:
        parts.append(Requirement("settlement token", worth, unit=unit))
    held = float(perps.size[g])
    filled = "the position" if signed == held else "all bids filled" if signed > held else "all asks filled"
    return multiplied(f"margin of {filled}", *parts, unit=unit, code=rule.code)


def _rate_of(found: LevelMargin, rows: HealthRows, g: int, size: float) -> str:
    perps, level, rate = rows.perpetuals, found.level, float(found.perpetuals.rate[0, g])
    stated = float((perps.short if size < 0.0 else perps.long)[level.row][g])
    if level.new_risk and rate == 1.0 / float(perps.leverage[g]):
        return f"1 / leverage {float(perps.leverage[g]):g}"
    return "rate" if rate == stated else f"rate {stated:g} with the premium of its size"


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
        row = int(tokens.rule[t])
        code = "" if row < 0 else rows.model.tokens[row].code
        label = f"{table.assets[int(tokens.asset[t])]} {'owed' if worth < 0.0 else 'held'}"
        if (rows.spot.base == t).any() or not worth:
            yield _leaf(f"{label}, the worse side of its orders filled", charge, unit, code)
            continue
        rate = charge / abs(worth)
        told = _weight_of(found, rows, t, worth, rate)
        amount = Requirement("worth", abs(worth), unit=unit)
        yield multiplied(label, amount, Requirement(told, rate, unit="rate", code=code), unit=unit, code=code)


def _weight_of(found: LevelMargin, rows: HealthRows, t: int, worth: float, rate: float) -> str:
    tokens, level, owed = rows.tokens, found.level, worth < 0.0
    if tokens.rule[t] < 0:
        return "no rule, counts nothing"
    move = float((found.prices.high if owed else found.prices.low)[0, t])
    weight = (1.0 + rate if owed else 1.0 - rate) / move
    stated = float((tokens.liability if owed else tokens.weight)[level.row][t])
    after = "" if abs(weight - stated) <= _ROUNDING else f", {stated:g} before size and the venue's totals"
    slow = "" if move == 1.0 else f", at the slow price, {move:.6g} of the oracle"
    return (
        f"liability weight {weight:.6g} less 1{after}{slow}"
        if owed
        else f"1 less asset weight {weight:.6g}{after}{slow}"
    )


def _orders(
    found: LevelMargin, rows: HealthRows, table: Table, pool: int, unit: str
) -> Iterator[Requirement]:
    code = rows.model.orders.code
    for q in np.flatnonzero(rows.spot.pool == pool).tolist():
        if charge := float(found.tokens.orders[0, q]):
            symbol = _symbol(table, int(rows.spot.instrument[q]))
            yield _leaf(f"what orders of {symbol} hold back", charge, unit, code)
    if found.fees[pool]:
        each = Requirement("each", rows.model.orders.fee, unit=unit, code=code)
        count = Requirement("open orders", float(rows.orders[pool]), unit="orders")
        yield multiplied("open orders", count, each, unit=unit, code=code)


def _leaf(label: str, amount: float, unit: str, code: str) -> Requirement:
    return Requirement(label, amount, unit=unit, code=code)


def _symbol(table: Table, row: int) -> str:
    instrument = table.instruments[row]
    return "" if instrument is None else instrument.symbol

"""The requirement of a pool as a tree: every factor, tier row, rule code and source, and what binds.

The tree is made from the workings of the calculation, not from a second one; its rules give back every number.
"""

import numpy as np

from margrave.core.words import INITIAL, LEVELS, LIQUIDATION_END
from margrave.engine.explain_scenarios import scenario_tree
from margrave.margin.debts import debt_rates
from margrave.margin.equity import collateral_rule
from margrave.margin.health.health import HealthMargin
from margrave.margin.health.health_tree import health_tree
from margrave.margin.joint import Joint
from margrave.margin.ladder import BASES
from margrave.margin.plan import product_of
from margrave.margin.pooled import Pooled, Prepared
from margrave.margin.requirement import Requirement, multiplied, total, worst_of
from margrave.margin.scenario.scenarios import ScenarioMargin
from margrave.rulebook.health import HealthModel
from margrave.rulebook.schema import (
    LadderModel,
    Netting,
    OpenInterestRule,
    OptionModel,
    OrderRule,
    RateRule,
    Rulebook,
)


def explain(prepared: Prepared, pooled: Pooled, pool: int, level_name: str) -> Requirement:
    """Tree of one pool's requirement at one level, at the market as it is.

    Parameters
    ----------
    prepared, pooled : Prepared, Pooled
        From `margin.pooled`, S = 1.
    pool : int
        Row of the pool.
    level_name : str
        ``initial`` or ``maintenance``; ``liquidation-end`` where the rulebook knows that level.

    Returns
    -------
    Requirement
        In the pool's currency. An unknown pool gives a leaf of NaN that names its issues.
    """
    levels = levels_of(prepared.rulebook)
    if level_name not in levels:
        raise ValueError(f"level is {level_name!r}; it must be one of {', '.join(levels)}")
    level = levels.index(level_name)
    currency = prepared.table.assets[prepared.pools.currency[pool]]
    label = f"{level_name} margin"
    if issues := prepared.issues.get(pool):
        return Requirement(label, float("nan"), unit=currency, binds="; ".join(map(str, issues)))
    rows = np.flatnonzero(prepared.pools.position_pool == pool)
    if prepared.joined is not None:
        rows = np.setdiff1d(rows, prepared.joined.members.position)
    parts = [_position(prepared, pooled, int(p), level, currency) for p in rows]
    parts = _netted(prepared, rows, parts, currency) + _debts(prepared, pooled, pool, level)
    if (joint := pooled.workings.joint) is not None:
        tree = _joint(prepared, joint, pool, level)
        parts += [] if tree is None else [tree]
    if level == INITIAL:
        asked = float(pooled.initial[0, pool]) - sum(p.amount for p in parts)
        rules = prepared.rulebook.account
        if asked > 0 and len(prepared.book.order_account) and rules.orders is not OrderRule.NONE:
            parts.append(
                Requirement(
                    "open orders",
                    asked,
                    unit=currency,
                    code=rules.code,
                    binds=f"{rules.orders}, {rules.order_basis} price",
                )
            )
    return total(label, *parts, unit=currency, code=prepared.rulebook.account.code)


def levels_of(rulebook: Rulebook) -> tuple[str, ...]:
    """Names of the levels that a rulebook knows."""
    model = rulebook.portfolio
    ends = isinstance(model, HealthModel) and model.liquidation_end is not None
    return (*LEVELS, LIQUIDATION_END) if ends else LEVELS


def _joint(prepared: Prepared, joint: Joint, pool: int, level: int) -> Requirement | None:
    if isinstance(joint.workings, ScenarioMargin):
        return scenario_tree(prepared, joint.workings, pool, level)
    if isinstance(joint.workings, HealthMargin):
        return health_tree(joint.workings, prepared.table, prepared.pools, pool, level)
    return joint.workings.tree(pool, level)


def _debts(prepared: Prepared, pooled: Pooled, pool: int, level: int) -> list[Requirement]:
    if pooled.workings.debt is None:
        return []
    pools, table = prepared.pools, prepared.table
    currency = table.assets[pools.currency[pool]]
    rates = debt_rates(prepared.rulebook, table, pools, level)
    asked = pooled.workings.debt[level][0]
    parts = []
    for bucket in np.flatnonzero((pools.bucket_pool == pool) & (asked > 0.0)).tolist():
        asset = table.assets[int(pools.bucket_asset[bucket])]
        rule = collateral_rule(prepared.rulebook, asset)
        assert rule is not None, "only an asset with a debt rule asks margin"
        assert rule.debt is not None, "only an asset with a debt rule asks margin"
        worth = Requirement(f"{asset} owed", float(asked[bucket] / rates[bucket]), unit=currency)
        rate = Requirement("rate of the debt", float(rates[bucket]), unit="rate", code=rule.debt.code)
        parts.append(multiplied(f"debt in {asset}", worth, rate, unit=currency, code=rule.debt.code))
    return parts


def _netted(
    prepared: Prepared, rows: np.ndarray, parts: list[Requirement], currency: str
) -> list[Requirement]:
    rule = prepared.rulebook.account.netting
    if rule is Netting.NONE:
        return parts
    table, book = prepared.table, prepared.book
    groups: dict[tuple[int, int], list[tuple[Requirement, bool]]] = {}
    for p, part in zip(rows.tolist(), parts, strict=True):
        i = int(book.instrument[p])
        what = i if rule is Netting.LARGER_LEG else int(table.base[i])
        key = (what, p + 1 if table.is_option[i] else 0)
        groups.setdefault(key, []).append((part, bool(book.quantity[p] > 0)))
    merged = []
    for members in groups.values():
        if len(members) == 1:
            merged.append(members[0][0])
            continue
        sides = [
            total(name, *(r for r, is_long in members if is_long is want), unit=currency)
            for name, want in (("long side", True), ("short side", False))
        ]
        code = prepared.rulebook.account.code
        larger = worst_of("larger side", *sides, unit=currency, code=code)
        share = prepared.rulebook.account.matched_charge
        if share:
            smaller = Requirement("smaller side", min(side.amount for side in sides), unit=currency)
            charge = Requirement("charge on matched legs", share, unit="rate", code=code)
            matched = multiplied("matched legs", smaller, charge, unit=currency)
            merged.append(total("both sides", larger, matched, unit=currency, code=code))
        else:
            merged.append(larger)
    return merged


def _position(prepared: Prepared, pooled: Pooled, p: int, level: int, currency: str) -> Requirement:
    table, book = prepared.table, prepared.book
    i = int(book.instrument[p])
    instrument = table.instruments[i]
    assert instrument is not None
    product = product_of(prepared.plan, instrument)
    assert product is not None
    asset = table.assets[table.settlement[i]]
    charged = float(pooled.workings.charged[level][0, p])
    if isinstance(product.model, LadderModel):
        tree = _ladder(prepared, pooled, p, level, product.model, asset)
    else:
        assert isinstance(product.model, OptionModel)  # members of a portfolio have a tree together
        tree = _option(prepared, pooled, p, level, product.model, asset)
    tree = _completed(tree, charged, asset)
    rate = float(pooled.workings.to_pool[0, p])
    if asset == currency:
        return tree
    price = Requirement(f"{asset} in {currency}", rate, unit=f"{currency} per {asset}")
    return multiplied(f"{book.symbols[i]} in {currency}", tree, price, unit=currency)


def _completed(tree: Requirement, charged: float, asset: str) -> Requirement:
    # What floors, caps, strategies and rounding made of the formula stands as a part of its own.
    rest = charged - tree.amount
    if abs(rest) <= 1e-13 * max(1.0, abs(charged)):
        return tree
    adjustment = Requirement("floor, cap, recognised strategy or rounding", rest, unit=asset)
    return Requirement(tree.label, charged, "sum", (tree, adjustment), asset, tree.code)


def _ladder(
    prepared: Prepared, pooled: Pooled, p: int, level: int, model: LadderModel, asset: str
) -> Requirement:
    book, plan = prepared.book, prepared.plan
    i = int(book.instrument[p])
    part = pooled.workings.ladder[level]
    rule = model.initial if level == INITIAL else model.maintenance
    ladder = plan.rulebook.ladders[model.ladder]
    value, size, margin = float(part.value[0, p]), float(part.size[0, p]), float(part.margin[0, p])
    basis = BASES[prepared.ladders.basis[level][i]]
    notional = Requirement(f"notional at {basis}", value, unit=asset, code=rule.code)
    flat = plan.flat[level]
    row = int(part.row[0, p])
    tier = row - int(flat.start[prepared.ladders.ladder[i]])
    tier_rate = float(part.tier_margin[0, p]) / value if value else 0.0
    by_tier = Requirement(
        f"rate of tier {tier + 1} of {model.ladder}: size {size:.10g} {ladder.unit} above {flat.floor[row]:g}, {flat.rate[row]:g}"
        + (f" + {flat.slope[row]:g} size" if flat.slope[row] else "")
        + (f" + {flat.root[row]:g} sqrt(size)" if flat.root is not None and flat.root[row] else "")
        + (f", deduction {flat.deduction[row]:g}" if flat.deduction[row] else ""),
        tier_rate,
        unit="rate",
        code=ladder.code,
        source=ladder.source,
    )
    if level == INITIAL and (crowd := model.open_interest) is not None and value:
        by_tier = _crowded(prepared, i, by_tier, float(part.crowded[0, p]) / value, crowd)
    rate = by_tier
    if level == INITIAL and rule.rate is not RateRule.TIER and not np.isnan(book.leverage[p]):
        by_leverage = Requirement(
            f"1 / leverage {book.leverage[p]:g}",
            margin / value
            if value and rule.rate is RateRule.LEVERAGE_ONLY
            else 1.0 / float(book.leverage[p]),
            unit="rate",
            code=rule.code,
        )
        rate = (
            by_leverage
            if rule.rate is RateRule.LEVERAGE_ONLY
            else worst_of("rate", by_tier, by_leverage, unit="rate")
        )
    factors = [notional, rate, *_directional(pooled, p, level)]
    charge = multiplied(book.symbols[i], *factors, unit=asset)
    fee = float(part.fee[0, p])
    if not fee:
        return charge
    closing = Requirement(
        "closing fee", fee, unit=asset, code=model.closing_fee.code if model.closing_fee else ""
    )
    return total(book.symbols[i], charge, closing, unit=asset)


def _crowded(
    prepared: Prepared, i: int, by_tier: Requirement, rate: float, rule: OpenInterestRule
) -> Requirement:
    table = prepared.table
    mark = float(table.mark[i])
    outstanding = float(table.open_interest[i] * (table.a[i] * mark + table.c[i] / mark))
    added = Requirement(
        f"open interest {outstanding:.10g} between {rule.lower:g} and {rule.upper:g}",
        rate - by_tier.amount,
        unit="rate",
        code=rule.code,
        binds="below the lower bound" if outstanding <= rule.lower else "open interest",
    )
    return total("rate of tier and open interest", by_tier, added, unit="rate")


def _directional(pooled: Pooled, p: int, level: int) -> list[Requirement]:
    nodes = []
    for factor in pooled.workings.factors:
        found = np.flatnonzero(factor.net.position == p)
        if not found.size:
            continue
        g = int(factor.net.group[found[0]])
        schedule = factor.net.schedule
        label = f"multiplier of {schedule.name} at favourable excursion {factor.x[0, g]:+.6g} ({schedule.excursion}, from {schedule.reference})"
        nodes.append(
            Requirement(
                label,
                float(factor.multiplier[level][0, g]),
                unit="factor",
                code=schedule.code,
                source=schedule.source,
            )
        )
    return nodes


def _option(
    prepared: Prepared, pooled: Pooled, p: int, level: int, model: OptionModel, asset: str
) -> Requirement:
    book, table, option = prepared.book, prepared.table, pooled.workings.option
    i = int(book.instrument[p])
    symbol = book.symbols[i]
    if book.quantity[p] >= 0:
        return Requirement(f"{symbol}: long, premium only", 0.0, unit=asset, code=model.initial_call.code)
    assert option is not None
    n = int(np.flatnonzero(prepared.option_rows == p)[0])
    call = bool(table.is_call[i])
    initial, maintenance = (
        (model.initial_call, model.maintenance_call) if call else (model.initial_put, model.maintenance_put)
    )
    terms = initial if level == INITIAL else maintenance
    size = Requirement("size", float(-book.quantity[p] * table.a[i]), unit="base")
    risk = Requirement(
        f"risk part: max({terms.base:g} - otm {option.otm[0, n]:.8g}, {terms.floor:g}) of {model.underlying} {option.underlying[0, n]:,.8g}",
        float(option.risk[level][0, n]),
        unit=asset,
        code=terms.code,
        binds="floor" if terms.base - option.otm[0, n] < terms.floor else "base",
    )
    factors = _directional(pooled, p, level)
    charged = multiplied("risk part after factors", risk, *factors, unit=asset) if factors else risk
    mark = Requirement("mark part", float(option.mark[level][0, n]), unit=asset, code=terms.code)
    return multiplied(symbol, total("per coin", charged, mark, unit=asset), size, unit=asset)

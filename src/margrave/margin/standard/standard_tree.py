"""The standard manager's requirement as a tree: underlyings, expiries, options, and which of two ways binds.

Made from the parts of the calculation, not from a second one; its rules give back the number of `standard_pool`.
"""

import numpy as np

from margrave.core.words import LEVELS, MAINTENANCE
from margrave.margin.requirement import Requirement, multiplied, total, worst_of
from margrave.margin.standard.standard_manager import StandardMargin


def requirement_tree(margin: StandardMargin, level: int, settlement: str, code: str = "") -> Requirement:
    """Requirement at a level as a tree whose parts give back the number.

    Parameters
    ----------
    margin : StandardMargin
        From `standard_manager.net_margin`.
    level : int
        0 initial, 1 maintenance.
    settlement : str
        Asset of every amount.
    code : str
        Rule code of the whole.

    Returns
    -------
    Requirement
        >= 0. What is not charged has no node.
    """
    rows = range(len(margin.terms.market))
    parts = [part for row in rows if (part := _underlying(margin, level, row, settlement)).parts]
    tree = total(f"{LEVELS[level]} margin", *parts, unit=settlement, code=code)
    if tree.amount >= 0.0:
        return tree
    return worst_of(
        tree.label, tree, Requirement("at least nothing", 0.0, unit=settlement), unit=settlement, code=code
    )


def _underlying(margin: StandardMargin, level: int, row: int, unit: str) -> Requirement:
    part, market = margin.level[level], margin.terms.market[row]
    under, expiries = margin.holding.underlyings, margin.holding.expiries
    parts = []
    if market.perpetual is not None and under.perpetual[row] != 0:
        code = market.perpetual.code
        parts.append(
            multiplied(
                "perpetual",
                Requirement("size", float(abs(under.perpetual[row])), unit=under.name[row]),
                Requirement("price", float(under.perpetual_price[row]), unit=unit),
                Requirement("rate", float(margin.terms.perpetual[level][row]), unit="rate", code=code),
                unit=unit,
                code=code,
            )
        )
    held = set(margin.holding.options.expiry.tolist())
    dates = np.flatnonzero(expiries.market == row).tolist()
    parts += [_expiry(margin, level, date, unit) for date in dates if date in held]
    scaled = margin.level[MAINTENANCE].base[row] - part.base[row]
    oracle, depeg = market.oracle, margin.terms.depeg
    sure = float(min(under.spot_confidence[row], under.perpetual_confidence[row]))
    of_options = sum(part.oracle_options[dates].tolist())
    charges = (
        ("base collateral, initial scale", scaled, market.collateral, ""),
        (f"settlement asset at {float(margin.holding.stable):g}", part.depeg[row], depeg, "peg"),
        (f"perpetual, confidence {sure:g}", part.oracle_perpetual[row], oracle, "oracle"),
        (f"base, confidence {float(under.spot_confidence[row]):g}", part.oracle_base[row], oracle, "oracle"),
        ("short options, confidence", of_options, oracle, "oracle"),
    )
    parts += [
        Requirement(label, float(amount), unit=unit, code="" if rule is None else rule.code, binds=binds)
        for label, amount, rule, binds in charges
        if amount != 0
    ]
    return total(under.name[row], *parts, unit=unit)


def _expiry(margin: StandardMargin, level: int, date: int, unit: str) -> Requirement:
    part, expiries, options = margin.level[level], margin.holding.expiries, margin.holding.options
    rule = margin.terms.market[expiries.market[date]].options
    code = "" if rule is None else rule.code
    alone = [
        Requirement(
            f"{options.label[row]} x {float(options.quantity[row]):g}",
            float(margin.value[row] - part.alone[row]),
            unit=unit,
            code=code,
            binds="" if options.quantity[row] < 0 else "long, carries no value",
        )
        for row in np.flatnonzero(options.expiry == date).tolist()
    ]
    together = (
        Requirement("market value", float(margin.value_sum[date]), unit=unit),
        Requirement("worst payoff", -float(part.worst_payoff[date]), unit=unit, code=code),
        Requirement("unpaired calls", -float(part.unpaired[date]), unit=unit, code=code),
    )
    ways = (total("each alone", *alone, unit=unit), total("largest loss together", *together, unit=unit))
    least = min(ways, key=lambda way: way.amount)
    label = f"options of {expiries.label[date]}"
    return Requirement(label, least.amount, "min", ways, unit, code, binds=least.label)

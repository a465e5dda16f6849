"""Portfolio margin as a tree: unit by unit the cell that binds, every charge, the level's factor."""

import numpy as np

from margrave.core.words import INITIAL
from margrave.margin.charges import unit_confidence
from margrave.margin.pooled import Prepared
from margrave.margin.requirement import Requirement, multiplied, total, worst_of
from margrave.margin.scenarios import Charged, ScenarioMargin
from margrave.rulebook.portfolio import ConfidenceCharge, Role


def scenario_tree(prepared: Prepared, margin: ScenarioMargin, pool: int, level: int) -> Requirement | None:
    """Tree of what a pool's members are asked together.

    Parameters
    ----------
    prepared : Prepared
        Book, market and rules.
    margin : ScenarioMargin
        The workings, S = 1.
    pool, level : int
        Rows of the pool and of the level.

    Returns
    -------
    Requirement or None
        In the pool's currency; None where the pool has no unit and no collateral that is cut.
    """
    units = np.flatnonzero(margin.scene.units.unit_pool == pool)
    currency = prepared.table.assets[int(prepared.pools.currency[pool])]
    cuts = _haircuts(prepared, margin, pool, level, currency)
    if units.size == 0 and not cuts:
        return None
    model, risk = margin.scene.model, margin.level[level]
    parts = [_unit(prepared, margin, int(u), level, currency) for u in units]
    together = total("risk of units", *parts, unit=currency, code=model.code)
    joint = float(risk.combined[0, pool])
    rule = model.correlation
    if rule is not None and units.size > 1:
        offset = Requirement("offset by correlation", joint - together.amount, unit=currency, code=rule.code)
        together = total("risk of units after offsets", together, offset, unit=currency, code=rule.code)
    factor = _factor(margin, pool, level)
    after = [
        _charge(margin, c, int(u), currency) for c in risk.charges if c.rule.role is Role.AFTER for u in units
    ]
    scaled = multiplied("risk by level", together, factor, unit=currency, code=model.levels.code)
    return total("portfolio margin", scaled, *after, *cuts, unit=currency, code=model.code)


def _unit(prepared: Prepared, margin: ScenarioMargin, unit: int, level: int, currency: str) -> Requirement:
    scene, risk = margin.scene, margin.level[level]
    name = prepared.table.assets[int(scene.units.unit_base[unit])]
    grid, cell = margin.worth.grid, int(margin.cell[0, unit])
    where = f"price {grid.move[cell]:+.4g}, vol {grid.vol[cell]}" + (
        f", weight {grid.weight[cell]:.4g}" if grid.weight[cell] != 1.0 else ""
    )
    worst = Requirement(
        f"worst of {len(grid.vol)} cells: {where}",
        float(margin.worst[0, unit]),
        unit=currency,
        code=scene.model.cells.code,
        binds=f"cell {cell + 1}",
    )

    def of(role: Role) -> list[Requirement]:
        return [_charge(margin, c, unit, currency) for c in risk.charges if c.rule.role is role]

    tree = worst
    if competing := of(Role.COMPETES):
        tree = worst_of("worst loss", worst, *competing, unit=currency)
    if added := of(Role.ADDS):
        tree = total("loss and charges", tree, *added, unit=currency)
    if least := of(Role.LEAST):
        tree = worst_of(f"{name}", tree, total("least", *least, unit=currency), unit=currency)
    return Requirement(
        f"{name}: {tree.label}",
        tree.amount,
        tree.rule,
        tree.parts,
        currency,
        tree.code,
        tree.source,
        tree.binds,
    )


def _charge(margin: ScenarioMargin, charged: Charged, unit: int, currency: str) -> Requirement:
    rule = charged.rule
    told = type(rule).__struct_config__.tag
    binds = ""
    if isinstance(rule, ConfidenceCharge):
        binds = f"confidence {float(unit_confidence(margin.scene)[unit]):g} against {rule.below:g}"
    return Requirement(
        f"charge: {told}", float(charged.amount[0, unit]), unit=currency, code=rule.code, binds=binds
    )


def _factor(margin: ScenarioMargin, pool: int, level: int) -> Requirement:
    levels = margin.scene.model.levels
    plain = levels.initial if level == INITIAL else levels.maintenance
    factor = float(margin.level[level].factor[0, pool])
    base = Requirement("factor of the level", plain, unit="factor", code=levels.code)
    if levels.depeg is None or factor == plain:
        return base
    depeg = Requirement(
        "settlement asset below its peg", factor - plain, unit="factor", code=levels.depeg.code
    )
    return total("factor", base, depeg, unit="factor")


def _haircuts(
    prepared: Prepared, margin: ScenarioMargin, pool: int, level: int, currency: str
) -> list[Requirement]:
    scene = margin.scene
    codes = {member.asset: member.code for member in scene.model.collateral}
    cuts = []
    for v, bucket in enumerate(scene.units.bucket.tolist()):
        amount = float(margin.haircut[level][0, v])
        if int(prepared.pools.bucket_pool[bucket]) == pool and amount:
            asset = prepared.table.assets[int(prepared.pools.bucket_asset[bucket])]
            cuts.append(Requirement(f"haircut of {asset}", amount, unit=currency, code=codes[asset]))
    return cuts

"""Portfolio margin as a tree: unit by unit the cell that binds, every charge, the level's factor."""

import numpy as np

from margrave.core.words import INITIAL
from margrave.margin.pooled import Prepared
from margrave.margin.requirement import Requirement, multiplied, total, worst_of
from margrave.margin.scenario.cell_parts import cell_parts, moving_balances, symbols
from margrave.margin.scenario.charges import unit_confidence
from margrave.margin.scenario.scenarios import ScenarioMargin
from margrave.margin.scenario.unit_risk import Block, Charged
from margrave.rulebook.portfolio import ConfidenceCharge, NotionalCharge, Role


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
    portfolio, joint = margin.portfolio, margin.level[level]
    units = np.flatnonzero(portfolio.units.unit_pool == pool)
    currency = prepared.table.assets[int(prepared.pools.currency[pool])]
    cuts = _haircuts(prepared, margin, pool, level, currency)
    if units.size == 0 and not cuts:
        return None
    model = portfolio.model
    found = [(block, int(u)) for block in margin.blocks for u in np.flatnonzero(np.isin(block.unit, units))]
    parts = [_unit(block, u, level, currency) for block, u in found]
    together = total("risk of units", *parts, unit=currency, code=model.code)
    rule = model.correlation
    if rule is not None and len(parts) > 1:
        saved = float(joint.combined[0, pool]) - together.amount
        offset = Requirement("offset by correlation", saved, unit=currency, code=rule.code)
        together = total("risk of units after offsets", together, offset, unit=currency, code=rule.code)
    after = [
        _charge(block, c, u, currency)
        for block, u in found
        for c in block.level[level].charges
        if c.rule.role is Role.AFTER
    ]
    factor = _factor(margin, pool, level)
    scaled = multiplied("risk by level", together, factor, unit=currency, code=model.levels.code)
    return total("portfolio margin", scaled, *after, *cuts, unit=currency, code=model.code)


def _unit(block: Block, unit: int, level: int, currency: str) -> Requirement:
    scene = block.scene
    name = scene.table.assets[int(scene.units.unit_base[unit])]
    tree = _binding_cell(block, unit, currency)

    def of(role: Role) -> list[Requirement]:
        charges = block.level[level].charges
        return [_charge(block, c, unit, currency) for c in charges if c.rule.role is role]

    if competing := of(Role.COMPETES):
        tree = worst_of("worst loss", tree, *competing, unit=currency)
    if added := of(Role.ADDS):
        tree = total("loss and charges", tree, *added, unit=currency)
    if least := of(Role.LEAST):
        tree = worst_of("at least", tree, total("least", *least, unit=currency), unit=currency)
    return total(name, tree, unit=currency, code=scene.terms.code)


def _binding_cell(block: Block, unit: int, currency: str) -> Requirement:
    scene, grid, found = block.scene, block.worth.grid, cell_parts(block, unit)
    weight = grid.weight[found.cell]
    told = f", weight {weight:.4g}" if weight != 1.0 else ""
    rows = [*zip(symbols(scene, found), found.profit.tolist(), strict=True)]
    rows += zip(moving_balances(scene, found), found.collateral.tolist(), strict=True)
    parts = [Requirement(label, -profit, unit=currency) for label, profit in (*rows, *found.rest)]
    return Requirement(
        f"worst of {len(grid.vol)} cells: price {found.move:+.4g}, vol {found.vol}{told}",
        found.worst,
        "sum" if parts else "leaf",
        tuple(parts),
        currency,
        scene.terms.cells.code,
        binds=f"cell {found.cell + 1}",
    )


def _charge(block: Block, charged: Charged, unit: int, currency: str) -> Requirement:
    rule = charged.rule
    amount = float(charged.amount[0, unit])
    told = str(type(rule).__struct_config__.tag)
    if isinstance(rule, NotionalCharge | ConfidenceCharge):
        told += f" of {rule.of}"
    binds = ""
    if isinstance(rule, ConfidenceCharge):
        binds = f"confidence {float(unit_confidence(block.scene)[unit]):g} against {rule.below:g}"
    return Requirement(f"charge: {told}", amount, unit=currency, code=rule.code, binds=binds)


def _factor(margin: ScenarioMargin, pool: int, level: int) -> Requirement:
    levels = margin.portfolio.model.levels
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
    scene = margin.portfolio
    codes = {member.asset: member.code for member in scene.model.collateral}
    cuts = []
    for v, bucket in enumerate(scene.units.bucket.tolist()):
        amount = float(margin.haircut[level][0, v])
        if int(prepared.pools.bucket_pool[bucket]) == pool and amount:
            asset = prepared.table.assets[int(prepared.pools.bucket_asset[bucket])]
            cuts.append(Requirement(f"haircut of {asset}", amount, unit=currency, code=codes[asset]))
    return cuts

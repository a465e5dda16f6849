"""What becomes of pools of which nothing is left: margin goes back, deficits go to the fund, then to winners, then to nobody."""

from typing import Final

import numpy as np

from margrave.engine.simulation.closing import Plan
from margrave.engine.simulation.events import Cause, Paid, payments
from margrave.engine.simulation.scene import Scene, gain, marks
from margrave.engine.simulation.settings import Takeover
from margrave.engine.simulation.state import Party, party_units
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.deleveraging_shares import haircut
from margrave.rulebook.schema import CrossPool

_ROUNDING = 2
"""Units that the roundings of a leg's trades may leave."""


def flat_purses(scene: Scene) -> I64:
    """Purses of pools in liquidation that hold nothing any more: isolated margins, and the balances of cross pools."""
    frame, columns = scene.frame, scene.columns
    flat = scene.liquidated.copy()
    if not flat.any():
        return np.zeros(0, dtype=np.int64)
    flat[frame.position_pool[scene.legs(flat)]] = False
    alone, assets, cash = columns.instrument >= 0, len(frame.assets), slice(0, frame.balances)
    isolated = np.flatnonzero(frame.book.is_isolated & (flat & alone)[frame.position_pool])
    cross = np.flatnonzero(flat & ~alone)
    owner = np.zeros(len(scene.stale), dtype=np.bool_)
    owner[columns.account[cross]] = True
    balances = np.flatnonzero(owner[frame.purse_account[cash]])
    if not _spans(scene):
        wanted = columns.account[cross] * assets + columns.currency[cross]
        own = np.isin(frame.purse_account[balances] * assets + frame.purse_asset[balances], wanted)
        balances = balances[own]
    return np.concatenate((balances, frame.balances + isolated)).astype(np.int64)


def _spans(scene: Scene) -> bool:
    return scene.resolved.rulebook.account.cross_pool is CrossPool.ACCOUNT


def _told(*events: Paid | None) -> list[Paid]:
    return [event for event in events if event is not None]


def _conversions(scene: Scene, purses: I64, plan: Plan) -> list[Paid]:
    # A pool of several assets pays its debts with what it has, at the index, in the order of its balances.
    del plan
    if not _spans(scene) or not len(purses):
        return []
    frame, units = scene.frame, scene.state.purse
    price = scene.resolved.table.asset_price
    owner = frame.purse_account[purses]
    payer, receiver, moved = [], [], []
    for account in np.unique(owner[units[purses] < 0]).tolist():
        mine = purses[(owner == account) & ~np.isnan(price[frame.purse_asset[purses]])]
        left = {int(p): int(units[p]) for p in mine.tolist()}
        for debt in [p for p in left if left[p] < 0]:
            for source in [p for p in left if left[p] > 0]:
                paid, got = _converted(scene, price, source, debt, (left[source], -left[debt]))
                left[source] -= paid
                left[debt] += got
                for asset_purse, count, into in ((source, paid, False), (debt, got, True)):
                    clearing = int(
                        frame.purse_of(Party.CLEARING, frame.purse_asset[asset_purse : asset_purse + 1])[0]
                    )
                    payer.append(clearing if into else asset_purse)
                    receiver.append(asset_purse if into else clearing)
                    moved.append(count)
    columns = (np.array(column, dtype=np.int64) for column in (payer, receiver, moved))
    return _told(payments(Cause.CONVERSION, *columns))


def _converted(scene: Scene, price: F64, source: int, debt: int, units: tuple[int, int]) -> tuple[int, int]:
    # Units that leave the source, and units that the debt gets for them.
    frame = scene.frame
    rows = np.array([source, debt])
    asset = frame.purse_asset[rows]
    have, owe = frame.amount(rows, np.array(units))
    rate = price[asset[1]] / price[asset[0]]
    if owe * rate >= have:
        return units[0], int(min(frame.units(asset[1:], np.array([have / rate]))[0], units[1]))
    return int(min(frame.units(asset[:1], np.array([owe * rate]))[0], units[0])), units[1]


def _surplus(scene: Scene, purses: I64, plan: Plan) -> list[Paid]:
    # What is left of isolated margin goes to the wallet; where the venue keeps it, it goes to the fund.
    frame, rule = scene.frame, scene.settings.rule
    units = np.maximum(scene.state.purse[purses], 0)
    alone = purses >= frame.balances
    if isinstance(rule, Takeover) and rule.keeps_rest:
        traded = np.isin(frame.purse_account[purses], frame.book.account[plan.position])
        fund = frame.purse_of(Party.FUND, frame.purse_asset[purses])
        return _told(payments(Cause.SURPLUS, purses, fund, np.where(traded, units, 0)))
    mine = purses[alone]
    return _told(payments(Cause.MARGIN, mine, frame.wallet[mine - frame.balances], units[alone]))


def _rounding(scene: Scene, purses: I64, plan: Plan) -> list[Paid]:
    # A takeover price leaves nothing but the roundings of its trades.
    owed = -np.minimum(scene.state.purse[purses], 0)
    legs = np.bincount(scene.frame.book.account[plan.position], minlength=len(scene.stale))
    small = owed <= _ROUNDING * legs[scene.frame.purse_account[purses]]
    clearing = scene.frame.purse_of(Party.CLEARING, scene.frame.purse_asset[purses])
    return _told(payments(Cause.PROFIT, clearing, purses, np.where(small, owed, 0)))


def _by_asset(scene: Scene, purses: I64) -> list[tuple[int, I64, I64]]:
    # Purses that owe, and what, one entry an asset.
    owed = -np.minimum(scene.state.purse[purses], 0)
    asset = scene.frame.purse_asset[purses]
    rows = [(a, np.flatnonzero((asset == a) & (owed > 0))) for a in np.unique(asset[owed > 0]).tolist()]
    return [(a, purses[mine], owed[mine]) for a, mine in rows]


def _from_fund(scene: Scene, purses: I64, plan: Plan) -> list[Paid]:
    del plan
    return _from(scene, purses, Party.FUND, Cause.FUND)


def _from_backstop(scene: Scene, purses: I64, plan: Plan) -> list[Paid]:
    del plan
    return _from(scene, purses, Party.BACKSTOP, Cause.BACKSTOP)


def _from(scene: Scene, purses: I64, party: Party, cause: Cause) -> list[Paid]:
    found = []
    for asset, mine, owed in _by_asset(scene, purses):
        there = int(party_units(scene.frame, scene.state, party)[asset])
        paid = np.clip(there - (np.cumsum(owed) - owed), 0, owed)
        purse = scene.frame.purse_of(party, np.full(len(mine), asset))
        found += _told(payments(cause, purse, mine, paid))
    return found


def _socialised(scene: Scene, purses: I64, plan: Plan) -> list[Paid]:
    # Every profit in the asset is cut by the same share.
    del plan
    found: list[Paid] = []
    if not scene.settings.deleveraging.socialised:
        return found
    for asset, mine, owed in _by_asset(scene, purses):
        winner, profit = _profits(scene, asset)
        cut = np.rint(haircut(profit.astype(np.float64), float(owed.sum()), 1.0)).astype(np.int64)
        pot = scene.frame.purse_of(Party.UNPAID, np.array([asset]))
        found += _told(payments(Cause.SOCIALISED, scene.frame.position_purse[winner], pot, cut))
        paid = np.clip(int(cut.sum()) - (np.cumsum(owed) - owed), 0, owed)
        found += _told(payments(Cause.SOCIALISED, pot, mine, paid))
    return found


def _profits(scene: Scene, asset: int) -> tuple[I64, I64]:
    # Positions in profit that settle in an asset, of pools that are not liquidated, and their profit in units.
    frame, table = scene.frame, scene.resolved.table
    free: Bools = (scene.state.level >= 0) & ~scene.liquidated & (scene.columns.equity > 0.0)
    at = frame.book.instrument
    holds = (scene.state.lots != 0) & (table.settlement[at] == asset) & free[frame.position_pool]
    position = np.flatnonzero(holds)
    at = at[position]
    profit = gain(scene, at, scene.book.quantity[position], scene.book.entry[position], marks(scene)[at])
    return position, frame.units(np.full(len(position), asset), np.maximum(profit, 0.0))


def _unpaid(scene: Scene, purses: I64, plan: Plan) -> list[Paid]:
    del plan
    found = []
    for asset, mine, owed in _by_asset(scene, purses):
        purse = scene.frame.purse_of(Party.UNPAID, np.full(len(mine), asset))
        found += _told(payments(Cause.UNPAID, purse, mine, owed))
    return found


STAGES: Final = (_conversions, _surplus, _rounding, _from_fund, _from_backstop, _socialised, _unpaid)
"""In order; each sees what the ones before it left. The plan says how many trades' roundings may have left something."""

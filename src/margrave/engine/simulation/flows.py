"""Money that moves without a trade: funding, and what holders pay in and take out."""

import numpy as np

from margrave.engine.simulation.events import Cause, Paid, payments
from margrave.engine.simulation.prices import perpetuals
from margrave.engine.simulation.scene import Scene, marks, notional
from margrave.engine.simulation.settings import Behaviour, PremiumFunding, StatedFunding
from margrave.engine.simulation.state import Party
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.draws import uniforms
from margrave.kernels.funding import clamped_funding
from margrave.kernels.groups import rows_of


def funding(scene: Scene) -> Paid | None:
    """Funding that is due since the step before: long pays short when the rate is above zero (spec 1.2, FM-3).

    The rest of the market, behind clearing, pays or gets what longs and shorts of the book leave.
    """
    rate = _rates(scene)
    if rate is None or not rate.any():
        return None
    frame, book = scene.frame, scene.book
    position = np.flatnonzero((scene.state.lots != 0) & (rate[book.instrument] != 0.0))
    at = book.instrument[position]
    size = notional(scene, at, book.quantity[position], marks(scene)[at])
    asset = frame.settlement[at]
    units = frame.units(asset, -np.sign(book.quantity[position]) * rate[at] * size)
    clearing = frame.purse_of(Party.CLEARING, asset)
    return payments(Cause.FUNDING, clearing, frame.position_purse[position], units)


def _rates(scene: Scene) -> F64 | None:
    rule, step = scene.settings.funding, scene.pressure.step
    if rule is None:
        return None
    symbols = scene.world.symbols
    if isinstance(rule, StatedFunding):
        return np.array([float(rule.rates[s][step]) if s in rule.rates else 0.0 for s in symbols])
    periods = _periods(rule, scene.seconds, float(scene.world.seconds[step - 1]) if step else 0.0)
    table = scene.resolved.table
    with np.errstate(invalid="ignore"):
        rate = clamped_funding(table.mark / table.index - 1.0, rule.interest, rule.clamp)
    return np.where(perpetuals(scene.world), periods * np.clip(rate, -rule.cap, rule.cap), 0.0)


def _periods(rule: PremiumFunding, now: float, before: float) -> float:
    return float(np.floor(now / rule.interval_seconds) - np.floor(before / rule.interval_seconds))


def holders(scene: Scene, seed: int) -> list[Paid]:
    """Top-ups of called pools and withdrawals of healthy ones.

    Parameters
    ----------
    scene : Scene
        Margined.
    seed : int
        Whether a holder acts is drawn for (seed, step, account): of nothing else.
    """
    rule = scene.settings.behaviour
    if rule.top_up == 0.0 and rule.withdraw == 0.0:
        return []
    told = (_top_ups(scene, rule, seed), _withdrawals(scene, rule, seed))
    return [paid for paid in told if paid is not None]


def propensity(seed: int, what: str, count: int, mean: float) -> F64:
    """Probability with which each of some accounts acts in a step, (count,): draws between zero and one of that mean."""
    if mean in (0.0, 1.0):
        return np.full(count, mean)
    return uniforms(seed, f"propensity {what}", count) ** ((1.0 - mean) / mean)


def _acts(scene: Scene, seed: int, what: str, mean: float) -> Bools:
    count = len(scene.stale)
    draws = uniforms(seed, f"{what} {scene.pressure.step}", count)
    return draws < propensity(seed, what, count, mean)


def _purses(scene: Scene, pools: I64) -> tuple[I64, I64]:
    # Purse and wallet of each pool in its currency; -1 where it has none.
    frame, columns = scene.frame, scene.columns
    assets = len(frame.assets)
    cash = slice(0, frame.balances)
    key = frame.purse_account[cash] * assets + frame.purse_asset[cash]
    wallet = rows_of(columns.account[pools] * assets + columns.currency[pools], key)
    alone = np.flatnonzero(frame.book.is_isolated)
    row = rows_of(pools, frame.position_pool[alone])
    isolated = columns.instrument[pools] >= 0
    margin = frame.balances + alone[np.maximum(row, 0)] if alone.size else wallet
    return np.where(isolated & (row >= 0), margin, wallet), wallet


def _top_ups(scene: Scene, rule: Behaviour, seed: int) -> Paid | None:
    ladder, columns = scene.settings.ladder, scene.columns
    called = (scene.state.level >= ladder.call) & _acts(scene, seed, "top-up", rule.top_up)[columns.account]
    pools = np.flatnonzero(called)
    purse, wallet = _purses(scene, pools)
    pools, purse, wallet = (column[wallet >= 0] for column in (pools, purse, wallet))
    lacks = np.maximum(columns.maintenance[pools] / rule.top_up_to - columns.margin_balance[pools], 0.0)
    wanted = scene.frame.units(scene.frame.purse_asset[purse], lacks)
    pocket = scene.frame.pocket(wallet)
    return payments(Cause.TOP_UP, pocket, purse, _in_turn(pocket, wanted, scene.state.purse))


def _in_turn(pocket: I64, wanted: I64, purse: I64) -> I64:
    # What several pools of one pocket get, in their order, while it lasts.
    order = pocket.argsort(kind="stable")
    sums = np.cumsum(wanted[order]) - wanted[order]
    first = np.searchsorted(pocket[order], pocket[order], side="left")
    before = np.empty_like(sums)
    before[order] = sums - sums[first] if len(sums) else sums
    return np.clip(purse[pocket] - before, 0, wanted)


def _withdrawals(scene: Scene, rule: Behaviour, seed: int) -> Paid | None:
    columns = scene.columns
    free = (scene.state.level == 0) & (columns.instrument < 0)
    pools = np.flatnonzero(free & _acts(scene, seed, "withdraw", rule.withdraw)[columns.account])
    purse, wallet = _purses(scene, pools)
    pools, purse, wallet = (column[wallet >= 0] for column in (pools, purse, wallet))
    frame = scene.frame
    excess = columns.margin_balance[pools] - np.maximum(columns.initial, columns.maintenance)[pools]
    cash = frame.amount(purse, scene.state.purse[purse])
    amount = rule.withdraw_share * np.maximum(np.minimum(excess, cash), 0.0)
    units = np.minimum(frame.units(frame.purse_asset[purse], amount), np.maximum(scene.state.purse[purse], 0))
    return payments(Cause.WITHDRAWAL, purse, frame.pocket(wallet), units)

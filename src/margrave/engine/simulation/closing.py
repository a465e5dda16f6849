"""Who is closed, how much of it, and where it fills; what that pays, and to whom.

A pool that would have no equity left at the fill is bankrupt: all of it goes, in the market as long as the fund can pay for
it, and against winners otherwise.
"""

from dataclasses import dataclass
from typing import Final, assert_never, final

import numpy as np

from margrave.core.words import MAINTENANCE
from margrave.engine.simulation.events import Cancelled, Cause, Event, Traded, payments
from margrave.engine.simulation.prices import Pressure, fill_prices, pressed
from margrave.engine.simulation.scene import (
    Scene,
    by_pool,
    cash,
    gain,
    in_pool,
    marks,
    notional,
)
from margrave.engine.simulation.settings import CloseFactor, FirstShare, StepDown, Takeover
from margrave.engine.simulation.state import Party
from margrave.kernels.arrays import F64, I64, Bools
from margrave.liquidation.portions import first_part
from margrave.margin.ladder import Sized, ladder_margin_of
from margrave.valuation.positions import value_positions
from margrave.valuation.scenarios import now

PAYERS: Final = (Party.FUND, Party.BACKSTOP)
"""Who pays a deficit before winners do, in order."""

_ALMOST: Final = 1.0 - 1e-12
"""Shares are floats: a whole number of lots and its rounding error are not a lot more."""


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """What a round closes."""

    position: I64  # (n,) legs of liquidated pools, in the order of the book
    lots: I64  # (n,) closed in the market, >= 0
    deleveraged: I64  # (n,) lots that go to winners instead, >= 0
    price: F64  # (n,) fill in the market
    after: Pressure


def cancellations(scene: Scene) -> Cancelled | None:
    """Open orders of liquidated pools: they go before any position; None where there are none."""
    frame = scene.frame
    if not len(frame.order_pool):
        return None
    orders = np.flatnonzero(scene.liquidated[frame.order_pool] & ~scene.state.cancelled)
    return Cancelled(orders) if orders.size else None


def planned(scene: Scene) -> Plan:
    """Choose what is closed in this round."""
    position = scene.legs(scene.liquidated)
    held = np.abs(scene.state.lots[position])
    chosen = np.minimum(_chosen(scene, position, held), held)
    price, _ = _filled(scene, position, chosen)
    pool = scene.frame.position_pool[position]
    bankrupt = _equity_closed(scene, position, price) < 0.0
    lots = np.where(bankrupt[pool], held, chosen)
    price, after = _filled(scene, position, lots)
    covered = _covered(scene, position, price, bankrupt)[pool]
    if (covered < 1.0).any():
        lots = np.where(covered < 1.0, np.floor(held * covered).astype(np.int64), lots)
        price, after = _filled(scene, position, lots)
    return Plan(position, lots, np.where(covered < 1.0, held - lots, 0), price, after)


def in_market(scene: Scene, position: I64) -> Plan:
    """Close all of some legs in the market, whatever it costs."""
    lots = np.abs(scene.state.lots[position])
    price, after = _filled(scene, position, lots)
    return Plan(position, lots, np.zeros_like(lots), price, after)


def _chosen(scene: Scene, position: I64, held: I64) -> I64:
    match scene.settings.rule:
        case Takeover():
            return held
        case CloseFactor(share=share):
            return np.asarray(np.ceil(held * share * _ALMOST), dtype=np.int64)
        case StepDown(tiers=tiers):
            return _stepped_down(scene, position, held, tiers)
        case FirstShare(share=share, large=large):
            at = scene.book.instrument[position]
            price = scene.resolved.table.asset_price[scene.frame.settlement[at]]
            value = notional(scene, at, scene.book.quantity[position], marks(scene)[at]) * price
            return np.rint(first_part(held.astype(np.float64), value, large, share, 1.0)).astype(np.int64)
        case unknown:
            assert_never(unknown)


def _stepped_down(scene: Scene, position: I64, held: I64, tiers: int | None) -> I64:
    resolved, book = scene.resolved, scene.book
    at, quantity = book.instrument[position], book.quantity[position]
    valued = value_positions(resolved.table, now(resolved.table), at, quantity, book.entry[position])
    sized = Sized(
        at, quantity, book.leverage[position], valued.notional, valued.notional_entry, valued.notional
    )
    ladder = ladder_margin_of(resolved.plan, resolved.ladders, resolved.table, sized, MAINTENANCE)
    flat = resolved.plan.flat[MAINTENANCE]
    first = flat.start[resolved.ladders.ladder[at]]
    row, size = ladder.row[0], ladder.size[0]
    target = first if tiers is None else np.maximum(row - tiers, first)
    ceiling = flat.floor[np.minimum(target + 1, len(flat.floor) - 1)]
    tiered = (row > first) & resolved.ladders.is_ladder[at]  # what has no tier below is closed
    stays = np.where(tiered, ceiling / np.where(tiered, size, 1.0), 0.0)
    return np.maximum(np.ceil(held * (1.0 - stays) * _ALMOST), 1.0).astype(np.int64)


def _filled(scene: Scene, position: I64, lots: I64) -> tuple[F64, Pressure]:
    # The price of each leg if these lots of the legs are closed together, and the pressure that they leave.
    instrument = scene.book.instrument[position]
    side = -np.sign(scene.state.lots[position])
    traded = scene.frame.contracts(instrument, side * lots)
    flow = np.zeros(len(scene.frame.book.symbols))
    np.add.at(flow, instrument, traded)
    after = pressed(scene.world, scene.pressure, flow)
    price = fill_prices(scene.world, scene.pressure, after)[instrument]
    return price * (1.0 + scene.world.slippage * side), after


def _equity_closed(scene: Scene, position: I64, price: F64) -> F64:
    # Equity of every pool if all of its legs were closed at these prices [pool currency].
    instrument = scene.book.instrument[position]
    change = gain(scene, instrument, scene.book.quantity[position], marks(scene)[instrument], price)
    return scene.columns.equity + by_pool(scene, position, change * in_pool(scene, position))


def _covered(scene: Scene, position: I64, price: F64, bankrupt: Bools) -> F64:
    # Share of every pool that the market takes: of bankrupt ones as much as fund and backstop pay for, in the book's order.
    share = np.ones(len(bankrupt))
    if scene.settings.deleveraging.shares is None or not bankrupt.any():
        return share
    deficit = np.maximum(-_equity_closed(scene, position, price), 0.0)
    for asset in np.unique(scene.columns.currency[bankrupt]).tolist():
        owes = bankrupt & scene.liquidated & (deficit > 0.0)
        mine = np.flatnonzero(owes & (scene.columns.currency == asset))
        purse = np.concatenate([scene.frame.purse_of(party, np.array([asset])) for party in PAYERS])
        fund = float(scene.frame.amount(purse, scene.state.purse[purse]).sum())
        before = np.cumsum(deficit[mine]) - deficit[mine]
        share[mine] = np.clip((fund - before) / deficit[mine], 0.0, 1.0)
    return share


def closed(scene: Scene, plan: Plan, cause: Cause = Cause.LIQUIDATION) -> list[Event]:
    """Trades of a plan in the market, what they realise, and what they cost."""
    traded = np.flatnonzero(plan.lots)
    if not traded.size:
        return []
    position, price = plan.position[traded], plan.price[traded]
    side = np.sign(scene.state.lots[position])
    lots = plan.lots[traded]
    instrument = scene.book.instrument[position]
    contracts = scene.frame.contracts(instrument, side * lots)
    asset = scene.frame.settlement[instrument]
    purse = scene.frame.position_purse[position]
    realised = scene.frame.units(asset, cash(scene, position, contracts, price))
    clearing = scene.frame.purse_of(Party.CLEARING, asset)
    told = [
        Traded(cause, position, -side * lots, price),
        payments(Cause.PROFIT, clearing, purse, realised),
        *_costs(scene, position, contracts, price),
    ]
    return [event for event in told if event is not None]


def _costs(scene: Scene, position: I64, contracts: F64, price: F64) -> list[Event | None]:
    costs, frame = scene.settings.costs, scene.frame
    rate = costs.fee_rate + costs.penalty_rate
    if rate == 0.0:
        return []
    instrument = scene.book.instrument[position]
    pool, asset = frame.position_pool[position], frame.settlement[instrument]
    size = notional(scene, instrument, contracts, price)
    to_pool = in_pool(scene, position)
    worse = gain(scene, instrument, contracts, marks(scene)[instrument], price)
    means = np.maximum(scene.columns.equity + by_pool(scene, position, worse * to_pool), 0.0)
    asked = by_pool(scene, position, rate * size * to_pool)
    share = np.minimum(1.0, means / np.where(asked > 0.0, asked, 1.0))[pool]
    purse, paid = frame.position_purse[position], []
    for cause, party, each in (
        (Cause.FEE, Party.VENUE, costs.fee_rate),
        (Cause.PENALTY, Party.FUND, costs.penalty_rate),
    ):
        units = np.maximum(
            frame.units(asset, each * size * share) - (share < 1.0), 0
        )  # never a unit too many
        paid.append(payments(cause, purse, frame.purse_of(party, asset), units))
    return list(paid)

"""Who is closed, how much of it, and where it fills; what that pays, and to whom.

A pool that would have no equity left at the fill is bankrupt: all of it goes, in the market as long as the fund can pay for
it, and against winners otherwise.
"""

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from margrave.engine.simulation.auction import Sale, sold
from margrave.engine.simulation.choosing import closed_first
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
from margrave.engine.simulation.settings import DutchAuction
from margrave.engine.simulation.state import Party
from margrave.kernels.arrays import F64, I64, Bools

PAYERS: Final = (Party.FUND, Party.BACKSTOP)
"""Who pays a deficit before winners do, in order."""


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """What a round closes."""

    position: I64  # (n,) legs of liquidated pools, in the order of the book
    lots: I64  # (n,) closed in the market, >= 0
    deleveraged: I64  # (n,) lots that go to winners instead, >= 0
    price: F64  # (n,) fill in the market
    after: Pressure
    sale: Sale | None = None  # to bidders, at the mark, instead of the market


def cancellations(scene: Scene) -> Cancelled | None:
    """Open orders of liquidated pools: they go before any position; None where there are none."""
    frame = scene.frame
    if not len(frame.order_pool):
        return None
    orders = np.flatnonzero(scene.liquidated[frame.order_pool] & ~scene.state.cancelled)
    return Cancelled(orders) if orders.size else None


def planned(scene: Scene) -> Plan:
    """Choose what is closed in this round."""
    position = scene.legs(scene.due)
    held = np.abs(scene.state.lots[position])
    if isinstance(scene.settings.rule, DutchAuction):
        return _auctioned(scene, position, held, sold(scene, scene.settings.rule))
    chosen = closed_first(scene, position, held, _cost)
    price, _ = filled(scene, position, chosen)
    pool = scene.frame.position_pool[position]
    bankrupt = _equity_closed(scene, position, price) < 0.0
    lots = np.where(bankrupt[pool], held, chosen)
    price, after = filled(scene, position, lots)
    covered = _covered(scene, position, price, bankrupt)[pool]
    if (covered < 1.0).any():
        lots = np.where(covered < 1.0, np.floor(held * covered).astype(np.int64), lots)
        price, after = filled(scene, position, lots)
    return Plan(position, lots, np.where(covered < 1.0, held - lots, 0), price, after)


def _auctioned(scene: Scene, position: I64, held: I64, sale: Sale) -> Plan:
    pool = scene.frame.position_pool[position]
    lots = np.ceil(held * sale.fraction[pool] * (1.0 - 1e-12)).astype(np.int64)
    price = marks(scene)[scene.book.instrument[position]]
    return Plan(position, lots, np.zeros_like(lots), price, scene.pressure, sale)


def in_market(scene: Scene, position: I64) -> Plan:
    """Close all of some legs in the market, whatever it costs."""
    lots = np.abs(scene.state.lots[position])
    price, after = filled(scene, position, lots)
    return Plan(position, lots, np.zeros_like(lots), price, after)


def filled(scene: Scene, position: I64, lots: I64) -> tuple[F64, Pressure]:
    """The price of each leg if these lots of the legs are closed together, and the pressure that they leave."""
    instrument = scene.book.instrument[position]
    side = -np.sign(scene.state.lots[position])
    traded = scene.frame.contracts(instrument, side * lots)
    flow = np.zeros(len(scene.frame.book.symbols))
    np.add.at(flow, instrument, traded)
    after = pressed(scene.world, scene.pressure, flow)
    price = fill_prices(scene.world, scene.pressure, after)[instrument]
    return price * (1.0 + scene.world.slippage * side), after


def _cost(scene: Scene, position: I64, lots: I64) -> F64:
    # Of closing lots of each leg, together with the others: what the fill is worse than the mark, fee and penalty [pool currency].
    price, _ = filled(scene, position, lots)
    instrument, costs = scene.book.instrument[position], scene.settings.costs
    contracts = scene.frame.contracts(instrument, np.sign(scene.state.lots[position]) * lots)
    worse = -gain(scene, instrument, contracts, marks(scene)[instrument], price)
    fees = (costs.fee_rate + costs.penalty_rate) * notional(scene, instrument, contracts, price)
    return np.maximum(worse + fees, 0.0) * in_pool(scene, position)


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
        *(
            _costs(scene, position, contracts, price)
            if plan.sale is None
            else _sale(scene, position, plan.sale)
        ),
    ]
    return [event for event in told if event is not None]


def _sale(scene: Scene, position: I64, sale: Sale) -> list[Event | None]:
    # Out of the purse of each pool's first leg, in its settlement asset.
    frame = scene.frame
    pool, first = np.unique(frame.position_pool[position], return_index=True)
    leg = position[first]
    asset, purse = frame.settlement[scene.book.instrument[leg]], frame.position_purse[leg]
    rate = in_pool(scene, leg)
    told = ((Cause.AUCTION, Party.CLEARING, sale.discount), (Cause.PENALTY, Party.FUND, sale.fee))
    return [
        payments(cause, purse, frame.purse_of(party, asset), frame.units(asset, amount[pool] / rate))
        for cause, party, amount in told
    ]


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

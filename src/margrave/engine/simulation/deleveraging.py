"""Positions of bankrupt pools are closed against winners, each at the price that leaves its pool nothing (spec CMS-5)."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.domain.checks import PRICE_MAX, PRICE_MIN
from margrave.engine.simulation.candidates import Candidates
from margrave.engine.simulation.closing import Plan
from margrave.engine.simulation.events import Cause, Event, Traded, payments
from margrave.engine.simulation.scene import (
    Scene,
    by_pool,
    cash,
    gain,
    in_pool,
    marks,
    notional,
    settled,
)
from margrave.engine.simulation.settings import Shares
from margrave.engine.simulation.state import Party
from margrave.kernels.arrays import F64, I64


@final
@dataclass(frozen=True, slots=True)
class Matches:
    """Bankrupt legs beside winners, one row a trade, (m,)."""

    loser: I64  # row of the book
    winner: I64
    lots: I64  # > 0
    price: F64


@final
@dataclass(frozen=True, slots=True)
class Owed:
    """Legs of one side of an instrument that have to go, (n,)."""

    position: I64
    lots: I64  # > 0
    price: F64  # of the takeover


_NOBODY = np.zeros(0, dtype=np.int64)
_NONE = Matches(_NOBODY, _NOBODY, _NOBODY, np.zeros(0))


def takeover_prices(scene: Scene, position: I64) -> F64:
    """Price at which closing each leg leaves nothing of its share of the pool's equity, (n,); NaN where none does.

    ``worth(p) = worth(mark) - equity / quantity`` solved for p; legs of a pool share its equity by notional, as
    `engine.default.takeover_price` has it for one position.
    """
    instrument = scene.book.instrument[position]
    table, quantity = scene.resolved.table, scene.book.quantity[position]
    mark = marks(scene)[instrument]
    size = notional(scene, instrument, quantity, mark)
    to_pool = in_pool(scene, position)
    pool = scene.frame.position_pool[position]
    total = by_pool(scene, position, size * to_pool)[pool]
    share = np.where(total > 0.0, size * to_pool / np.where(total > 0.0, total, 1.0), 0.0)
    equity = scene.columns.equity[pool] * share / to_pool
    each = equity / (quantity * settled(scene, instrument))
    a, c = table.a[instrument], table.c[instrument]
    straight = mark - each / np.where(a > 0.0, a, 1.0)
    with np.errstate(divide="ignore"):
        inverse = 1.0 / (1.0 / mark + each / np.where(c > 0.0, c, 1.0))
    price = np.where(c > 0.0, inverse, straight)
    return np.where((price >= PRICE_MIN) & (price <= PRICE_MAX), price, np.nan)


def candidates_of(scene: Scene, instrument: int, side: int) -> Candidates:
    """Positions in profit on one side of an instrument whose pools have equity and are not being liquidated."""
    frame, state = scene.frame, scene.state
    holds = (frame.book.instrument == instrument) & (np.sign(state.lots) == side)
    position = np.flatnonzero(holds)
    pool = frame.position_pool[position]
    level, balance = state.level[pool], scene.columns.margin_balance[pool]
    free = (level >= 0) & (level < scene.settings.ladder.liquidation) & (balance > 0.0)
    position, pool = position[free], pool[free]
    at, quantity = frame.book.instrument[position], scene.book.quantity[position]
    entry, mark = scene.book.entry[position], marks(scene)[at]
    profit = gain(scene, at, quantity, entry, mark)
    wins = profit > 0.0
    position, pool, at, quantity = position[wins], pool[wins], at[wins], quantity[wins]
    return Candidates(
        position,
        frame.book.account[position],
        np.abs(state.lots[position]),
        profit[wins],
        notional(scene, at, quantity, entry[wins]),
        notional(scene, at, quantity, mark[wins]),
        scene.columns.margin_balance[pool] / in_pool(scene, position),
        entry[wins],
        mark[wins],
        np.full(len(position), float(side)),
    )


def matched(scene: Scene, plan: Plan) -> Matches:
    """Share what is deleveraged among winners, instrument by instrument and side by side.

    Parameters
    ----------
    scene : Scene
        Before the round's trades: what a leg carries of its pool's equity is that of all of it.
    plan : Plan
        How many lots of which legs.
    """
    shares = scene.settings.deleveraging.shares
    legs = np.flatnonzero(plan.deleveraged)
    if shares is None or not legs.size:
        return _NONE
    position, lots = plan.position[legs], plan.deleveraged[legs]
    price = takeover_prices(scene, plan.position)[legs]
    instrument, side = scene.book.instrument[position], np.sign(scene.state.lots[position])
    found = []
    for row, sign in sorted(set(zip(instrument.tolist(), side.tolist(), strict=True))):
        mine = np.flatnonzero((instrument == row) & (side == sign) & np.isfinite(price))
        candidates = candidates_of(scene, row, -sign)
        if mine.size and candidates.lots.size:
            found.append(_matches(scene, shares, Owed(position[mine], lots[mine], price[mine]), candidates))
    if not found:
        return _NONE
    return Matches(
        np.concatenate([one.loser for one in found]),
        np.concatenate([one.winner for one in found]),
        np.concatenate([one.lots for one in found]),
        np.concatenate([one.price for one in found]),
    )


def _matches(scene: Scene, shares: Shares, losing: Owed, candidates: Candidates) -> Matches:
    # Both sides are laid end to end; every run between two ends is one trade.
    loser, price, owed = losing.position, losing.price, np.cumsum(losing.lots)
    given = np.cumsum(shares(candidates, int(owed[-1])))
    total = min(int(owed[-1]), int(given[-1]))
    ends = np.unique(np.concatenate((owed, given)))
    ends = ends[(ends > 0) & (ends <= total)]
    lots = np.diff(ends, prepend=0)
    one, two = np.searchsorted(owed, ends), np.searchsorted(given, ends)
    winner = candidates.position[two]
    at = scene.book.instrument[winner]
    contracts = scene.frame.contracts(at, np.sign(scene.state.lots[winner]) * lots)
    # Deleveraging takes profit; it never makes a loss.
    keeps = gain(scene, at, contracts, scene.book.entry[winner], price[one]) >= 0.0
    return Matches(loser[one][keeps], winner[keeps], lots[keeps], price[one][keeps])


def deleveraged(scene: Scene, matches: Matches) -> list[Event]:
    """Trades of matches, what both sides realise, and isolated margin that goes back pro rata (spec IMM-4)."""
    if not matches.lots.size:
        return []
    frame, state = scene.frame, scene.state
    position = np.concatenate((matches.loser, matches.winner))
    price, size = np.tile(matches.price, 2), np.tile(matches.lots, 2)
    side = np.sign(state.lots[position])
    instrument = scene.book.instrument[position]
    asset = frame.settlement[instrument]
    contracts = frame.contracts(instrument, side * size)
    realised = frame.units(asset, cash(scene, position, contracts, price))
    clearing = frame.purse_of(Party.CLEARING, asset)
    told = [
        Traded(Cause.DELEVERAGING, position, -side * size, price),
        payments(Cause.PROFIT, clearing, frame.position_purse[position], realised),
        _freed(scene, matches, realised[len(matches.loser) :]),
    ]
    return [event for event in told if event is not None]


def _freed(scene: Scene, matches: Matches, realised: I64) -> Event | None:
    # Profit and the margin of what was closed leave an isolated position for the wallet.
    winner, which = np.unique(matches.winner, return_inverse=True)
    lots, gained = np.zeros(len(winner), dtype=np.int64), np.zeros(len(winner), dtype=np.int64)
    np.add.at(lots, which, matches.lots)
    np.add.at(gained, which, realised)
    purse, wallet = scene.frame.position_purse[winner], scene.frame.wallet[winner]
    share = lots / np.abs(scene.state.lots[winner])
    margin = np.trunc(scene.state.purse[purse] * share).astype(np.int64)
    units = np.where(purse == wallet, 0, gained + margin)
    return payments(Cause.MARGIN, purse, wallet, units)

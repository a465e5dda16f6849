"""A vault takes pools over that are far below maintenance, with all that they have, and keeps their positions.

It is an account of the book like any other: margined, called and liquidated by the same rules. Its entries are those of the
opening, so that what it buys at another price is settled in cash at once.
"""

from dataclasses import replace

import numpy as np

from margrave.core.errors import Reason, invalid
from margrave.domain.account import Balance, Position
from margrave.domain.amended import amended
from margrave.domain.book import Book, account_of
from margrave.domain.checks import PRICE_MIN
from margrave.engine.simulation.closing import Plan, filled
from margrave.engine.simulation.events import Cause, Event, Paid, Traded, payments
from margrave.engine.simulation.scene import Scene, cash, marks
from margrave.engine.simulation.settings import Vault
from margrave.engine.simulation.shortfall import flat_purses
from margrave.engine.simulation.state import UNKNOWN, Frame, Party
from margrave.kernels.arrays import I64
from margrave.liquidation.portions import is_for_backstop
from margrave.margin.resolve import Resolved


def with_vault(book: Book, resolved: Resolved, vault: Vault | None) -> Book:
    """The book, whose vault has a place for every asset, and for every contract that the rulebook margins.

    Parameters
    ----------
    book : Book
        As it is given.
    resolved : Resolved
        Its symbols in the opening market.
    vault : Vault or None
        Names an account of the book.

    Raises
    ------
    InvalidInputError
        There is no such account, or it holds an isolated position.
    """
    if vault is None:
        return book
    found = np.flatnonzero(book.names == vault.account)
    if not found.size:
        raise invalid(
            "vault", Reason.NOT_FOUND, f"{vault.account} is no account of the book; correct the name"
        )
    account = account_of(book, int(found[0]))
    if any(p.mode != "cross" for p in account.positions):
        raise invalid(
            vault.account, Reason.UNSUPPORTED, "a vault holds cross positions alone; move them to cross mode"
        )
    held, owned = {p.symbol for p in account.positions}, {b.asset for b in account.balances}
    places = (
        Position(symbol=symbol, quantity=0.0, entry=max(float(price), PRICE_MIN))
        for row, (symbol, price) in enumerate(zip(book.symbols, resolved.table.mark, strict=True))
        if symbol not in held and not (resolved.wrong is not None and resolved.wrong[row])
    )
    purses = (Balance(asset=asset, amount=0.0) for asset in book.assets if asset not in owned)
    more = replace(account, positions=(*account.positions, *places), balances=(*account.balances, *purses))
    return amended(book, {int(found[0]): more})


def places_of(frame: Frame, vault: Vault | None) -> tuple[I64, I64]:
    """Position of the vault in each instrument, (I,), and its purse of each asset, (N,); -1 where there is none."""
    position, purse = np.full(len(frame.book.symbols), -1), np.full(len(frame.assets), -1)
    if vault is not None:
        row = int(np.flatnonzero(frame.book.names == vault.account)[0])
        mine = np.flatnonzero(frame.book.account == row)
        position[frame.book.instrument[mine]] = mine
        cash_rows = np.flatnonzero(frame.book.balance_account == row)
        purse[frame.purse_asset[cash_rows]] = cash_rows
    return position, purse


def taken_over(scene: Scene) -> list[Event]:
    """Trades of the pools that the vault takes over in this round, at the mark, and what they realise."""
    vault, columns, frame = scene.settings.vault, scene.columns, scene.frame
    if vault is None or not scene.liquidated.any():
        return []
    own = columns.account == scene.book.account[scene.vault[0].max()]
    below = is_for_backstop(
        np.nan_to_num(columns.margin_balance), np.nan_to_num(columns.maintenance), vault.below
    )
    legs = scene.legs(scene.due & below & ~own)
    if not legs.size:
        return []
    lots, at = scene.state.lots[legs], scene.book.instrument[legs]
    net = np.zeros(len(scene.book.symbols), dtype=np.int64)
    np.add.at(net, at, lots)
    bought = np.flatnonzero(net)
    place, price = scene.vault[0][bought], marks(scene)
    told: list[Event | None] = [
        Traded(
            Cause.TAKEOVER,
            np.concatenate((legs, place)),
            np.concatenate((-lots, net[bought])),
            np.concatenate((price[at], price[bought])),
        )
    ]
    for position, amount, sign in ((legs, lots, 1.0), (place, net[bought], -1.0)):
        instrument = scene.book.instrument[position]
        asset = frame.settlement[instrument]
        moved = sign * cash(scene, position, frame.contracts(instrument, amount), price[instrument])
        clearing = frame.purse_of(Party.CLEARING, asset)
        told.append(
            payments(Cause.PROFIT, clearing, frame.position_purse[position], frame.units(asset, moved))
        )
    return [event for event in told if event is not None]


def rest_taken(scene: Scene) -> Paid | None:
    """What is left in the purses of pools that were just taken over, or lacking: the vault's."""
    purses = flat_purses(scene)
    into = scene.vault[1][scene.frame.purse_asset[purses]]
    there = into >= 0
    return payments(Cause.REST, purses[there], into[there], scene.state.purse[purses[there]])


def unwound(scene: Scene) -> Plan | None:
    """A share of every leg of the vault, closed in the market at a step; None where it has nothing or is liquidated."""
    vault, place = scene.settings.vault, scene.vault[0]
    if vault is None or not vault.unwinds:
        return None
    legs = place[(place >= 0)]
    level = scene.state.level[scene.frame.position_pool[legs]]
    able = (level != UNKNOWN) & (level != scene.settings.ladder.liquidation)
    legs = np.sort(legs[(scene.state.lots[legs] != 0) & able])
    if not legs.size:
        return None
    lots = np.ceil(np.abs(scene.state.lots[legs]) * vault.unwinds * (1.0 - 1e-12)).astype(np.int64)
    price, after = filled(scene, legs, lots)
    return Plan(legs, lots, np.zeros_like(lots), price, after)

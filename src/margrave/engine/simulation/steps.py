"""What a run says of each step, as columns."""

from dataclasses import dataclass, fields
from typing import Final, final

import numpy as np

from margrave.engine.simulation.events import Cause, Event, Paid, Traded
from margrave.engine.simulation.factor import Seen
from margrave.engine.simulation.prices import Prices, prices_of
from margrave.engine.simulation.scene import Scene, marks, notional
from margrave.engine.simulation.settings import Liquidity
from margrave.engine.simulation.state import UNKNOWN, Party
from margrave.kernels.arrays import F64, I64


@final
@dataclass(frozen=True, slots=True)
class Steps:
    """Columns of a run, one row a step; money in the market's numeraire, at the index prices of its moment.

    Letters: T steps, N assets, I instruments, L levels. A currency without an index price counts as zero.
    """

    seconds: F64  # (T,)
    outside: (
        F64  # (T, N) path without the venue's own impact: multiple of the opening price, as the next three
    )
    last: F64  # (T, N)
    mark: F64  # (T, N)
    index: F64  # (T, N)
    open_interest: F64  # (T, I) [contracts] the larger of what the book is long and short
    open_notional: F64  # (T,) the same at the marks
    accounts: I64  # (T, L + 2) by worst pool: levels from healthy to liquidation, unknown last
    flat: I64  # (T,) accounts that hold nothing
    rounds: I64  # (T,) in which somebody was closed
    equity: F64  # (T,) of known pools; NaN, as the next two, in a step after which not everybody was margined
    initial: F64  # (T,)
    maintenance: F64  # (T,)
    multiplier: F64  # (T,) on the rulebook's rates
    liquidated: F64  # (T,) notional that was closed in the market by force
    liquidated_contracts: F64  # (T, I)
    deleveraged: F64  # (T,) notional of bankrupt legs that winners took
    deleveraged_contracts: F64  # (T, I)
    taken_over: F64  # (T,) notional that a vault took
    auction_discount: F64  # (T,) that bidders got beside what they took
    fee: F64  # (T,)
    penalty: F64  # (T,)
    surplus: F64  # (T,) to the fund, beside penalties
    fund: F64  # (T,) insurance fund at the end of the step
    paid_by_fund: F64  # (T,)
    paid_by_backstop: F64  # (T,)
    socialised: F64  # (T,) cut from profits
    unpaid: F64  # (T,) that nobody paid
    funding: F64  # (T,) that longs and shorts of the book paid, gross
    topped_up: F64  # (T,)
    withdrawn: F64  # (T,)

    @property
    def shortfall(self) -> F64:
        """Deficits that collateral did not cover, (T,): by the fund, the backstop, from profits, or by nobody."""
        return self.paid_by_fund + self.paid_by_backstop + self.socialised + self.unpaid


Row = dict[str, object]

_COUNTED: Final = {
    "liquidated": Cause.LIQUIDATION,
    "deleveraged": Cause.DELEVERAGING,
    "socialised": Cause.SOCIALISED,
    "taken_over": Cause.TAKEOVER,
    "auction_discount": Cause.AUCTION,
    "fee": Cause.FEE,
    "penalty": Cause.PENALTY,
    "surplus": Cause.SURPLUS,
    "paid_by_fund": Cause.FUND,
    "paid_by_backstop": Cause.BACKSTOP,
    "unpaid": Cause.UNPAID,
    "funding": Cause.FUNDING,
    "topped_up": Cause.TOP_UP,
    "withdrawn": Cause.WITHDRAWAL,
}


@final
@dataclass(slots=True)
class Tally:
    """What happened in a step so far [numeraire]; a builder that only the loop sees."""

    money: dict[Cause, float]
    liquidated: F64  # (I,) contracts
    deleveraged: F64  # (I,)

    @staticmethod
    def empty(instruments: int) -> "Tally":
        """Nothing happened yet."""
        return Tally(dict.fromkeys(Cause, 0.0), np.zeros(instruments), np.zeros(instruments))

    def add(self, scene: Scene, event: Event) -> None:
        """Count an event in the scene that it came from."""
        price = np.nan_to_num(scene.resolved.table.asset_price)
        if isinstance(event, Paid):
            payer, units = event.payer, event.units
            if (
                event.cause is Cause.SOCIALISED
            ):  # what leaves winners; the same money then reaches those that owe
                cut = scene.frame.purse_account[payer] >= 0
                payer, units = payer[cut], units[cut]
            amount = scene.frame.amount(payer, units) * price[scene.frame.purse_asset[payer]]
            self.money[event.cause] += float(amount.sum())
        elif isinstance(event, Traded):
            # Of deleveraging the bankrupt side alone: those whose pools were liquidated.
            forced = scene.liquidated[scene.frame.position_pool[event.position]]
            instrument = scene.frame.book.instrument[event.position[forced]]
            size = np.abs(scene.frame.contracts(instrument, event.lots[forced]))
            worth = notional(scene, instrument, size, event.price[forced])
            self.money[event.cause] += float((worth * price[scene.frame.settlement[instrument]]).sum())
            if event.cause is Cause.DELEVERAGING:
                self.deleveraged += _by_instrument(scene, instrument, size)
            elif event.cause is Cause.LIQUIDATION:
                self.liquidated += _by_instrument(scene, instrument, size)


def row_of(scene: Scene, prices: Prices, tally: Tally, rounds: int, multiplier: float) -> Row:
    """One row of `Steps`, from the scene at the end of a step and what happened in it."""
    columns = scene.columns
    price = np.nan_to_num(scene.resolved.table.asset_price)
    known = scene.state.level != UNKNOWN
    worth = np.where(known, price[columns.currency], 0.0)
    row: Row = {
        "seconds": scene.seconds,
        "outside": scene.world.factor[scene.pressure.step],
        "last": prices.last,
        "mark": prices.mark,
        "index": prices.index,
        "open_interest": open_interest(scene),
        "open_notional": open_notional(scene),
        "accounts": _accounts(scene),
        "flat": _flat(scene),
        "rounds": rounds,
        "multiplier": multiplier,
        "fund": fund(scene),
        "liquidated_contracts": tally.liquidated,
        "deleveraged_contracts": tally.deleveraged,
    }
    unsure = np.nan if scene.loose.any() else 0.0
    for name in ("equity", "initial", "maintenance"):
        row[name] = float((np.nan_to_num(getattr(columns, name)) * worth).sum()) + unsure
    return row | {name: tally.money[cause] for name, cause in _COUNTED.items()}


def seen(scene: Scene, asset: str) -> Seen:
    """What a rule that moves rates reads of an asset: its mark, the thinnest depth, and open interest."""
    world, pressure = scene.world, scene.pressure
    at = scene.frame.assets.index(asset)
    mine = world.table.base == at
    depth = [
        pressure.depth[row] / told.depth.contracts
        for row, told in enumerate(world.markets)
        if mine[row] and isinstance(told, Liquidity)
    ]
    start = world.market.index_of(asset)
    price = (1.0 if start is None else start) * float(prices_of(world, pressure).mark[at])
    return Seen(scene.seconds, price, min(depth, default=1.0), float(open_interest(scene)[mine].sum()))


def steps_of(rows: list[Row]) -> Steps:
    """Rows laid out as columns."""
    return Steps(**{field.name: np.array([row[field.name] for row in rows]) for field in fields(Steps)})


def open_interest(scene: Scene) -> F64:
    """The larger of what the book is long and short in each instrument, (I,) [contracts]."""
    at = scene.frame.book.instrument
    held = scene.frame.contracts(at, scene.state.lots)
    long, short = (_by_instrument(scene, at, np.maximum(side * held, 0.0)) for side in (1, -1))
    return np.maximum(long, short)


def open_notional(scene: Scene) -> float:
    """Open interest at the marks [numeraire]."""
    price = np.nan_to_num(scene.resolved.table.asset_price[scene.frame.settlement])
    contracts = open_interest(scene)
    return float((notional(scene, np.arange(len(contracts)), contracts, marks(scene)) * price).sum())


def fund(scene: Scene) -> float:
    """The insurance fund [numeraire]."""
    asset = np.arange(len(scene.frame.assets))
    purse = scene.frame.purse_of(Party.FUND, asset)
    amount = scene.frame.amount(purse, scene.state.purse[purse])
    return float((amount * np.nan_to_num(scene.resolved.table.asset_price)).sum())


def _by_instrument(scene: Scene, instrument: I64, values: F64) -> F64:
    count = len(scene.frame.book.symbols)
    return np.bincount(instrument, weights=values, minlength=count).astype(np.float64)


def _accounts(scene: Scene) -> I64:
    levels = scene.settings.ladder.liquidation + 1
    count = len(scene.stale)
    worst, unknown = np.zeros(count, dtype=np.int8), np.zeros(count, dtype=np.bool_)
    np.maximum.at(worst, scene.columns.account, scene.state.level)
    unknown[scene.columns.account[scene.state.level == UNKNOWN]] = True
    found = np.bincount(np.where(unknown, levels, worst), minlength=levels + 1)
    return found.astype(np.int64)


def _flat(scene: Scene) -> int:
    holds = np.zeros(len(scene.stale), dtype=np.bool_)
    holds[scene.frame.book.account[scene.state.lots != 0]] = True
    return int((~holds).sum())

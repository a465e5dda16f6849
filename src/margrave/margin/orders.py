"""What open orders add to the initial margin: the worst fill is one more worst case.

By ``worst-fill`` an instrument asks for the largest of what is held, what is held with every buy filled, and
with every sell filled. By ``sum`` every order is charged by itself. An order priced worse than the mark loses
the difference when it fills, and must cover it at once (the venues' "open loss").
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.words import INITIAL
from margrave.domain.book import Book
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.groups import first_seen, rows_of
from margrave.margin.ladder import LadderTerms, Sized, crowding_of, ladder_margin_of
from margrave.margin.plan import Plan
from margrave.margin.pools import grouped_sum
from margrave.margin.short_options import OptionTerms, model_of, option_margin_of
from margrave.rulebook.schema import OrderBasis, OrderRule
from margrave.valuation.positions import Valued, value_positions
from margrave.valuation.scenarios import Priced
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class OrderMargin:
    """Initial margin of open orders, a row an instrument and account (Q) of (S, Q); [settlement asset]."""

    order: I64  # (Q,) row of the first order
    account: I64  # (Q,)
    instrument: I64  # (Q,)
    margin: F64  # (S, Q) beyond what the position asks for alone
    open_loss: F64  # (S, Q)
    binds: I64  # (S, Q) +1 buys filled, -1 sells filled, 0 neither


@final
@dataclass(frozen=True, slots=True)
class _Asking:
    """Orders that could open something, (O,), and what stands beside them in their instrument, (Q,)."""

    group: I64  # (O,) row of Q
    quantity: F64  # (O,)
    at_order: F64  # (S, O) notional per contract at the price that margin is taken on
    loss: F64  # (S, O) loss at once if filled
    instrument: I64  # (Q,)
    position: F64  # (Q,) contracts held in cross mode
    mark: F64  # (S, Q) notional per contract of what is held; 0 where nothing is
    leverage: F64  # (Q,) NaN where none was chosen
    crowd: F64 | None  # (S, I) as `ladder.crowding_of`


@final
@dataclass(frozen=True, slots=True)
class _Rules:
    plan: Plan
    ladders: LadderTerms
    options: OptionTerms
    table: Table
    priced: Priced


def order_margin_of(  # noqa: PLR0913 - what one formula is made of
    plan: Plan,
    ladders: LadderTerms,
    options: OptionTerms,
    table: Table,
    priced: Priced,
    book: Book,
    valued: Valued,
) -> OrderMargin | None:
    """Margin of open orders; None where there are none or the venue asks for none."""
    rule = plan.rulebook.account.orders
    live = np.flatnonzero(~book.order_reduces)
    if rule is OrderRule.NONE or live.size == 0:
        return None
    rules = _Rules(plan, ladders, options, table, priced)
    first, group = first_seen(_keys(book, book.order_account[live], book.order_instrument[live]))
    asking = _asking(rules, book, valued, live, first, group)
    margin, loss, binds = (_by_sum if rule is OrderRule.SUM else _by_worst_fill)(rules, asking)
    option = np.flatnonzero(table.is_option[asking.instrument])
    if option.size:
        margin[:, option], binds[:, option] = (part[:, option] for part in _option_orders(rules, asking))
        loss[:, option] = 0.0
    row = live[first]
    which = np.nan_to_num(binds).astype(np.int64)  # of what has no price nothing binds
    return OrderMargin(row, book.order_account[row], asking.instrument, margin, loss, which)


def _keys(book: Book, account: I64, instrument: I64) -> I64:
    return account * len(book.symbols) + instrument


def _asking(rules: _Rules, book: Book, valued: Valued, live: I64, first: I64, group: I64) -> _Asking:
    row, count = live[first], len(first)
    at = book.order_instrument[row]
    wanted = _keys(book, book.order_account[row], at)
    cross = np.flatnonzero(~book.is_isolated)
    beside = rows_of(_keys(book, book.account[cross], book.instrument[cross]), wanted)
    cross, beside = cross[beside >= 0], beside[beside >= 0]
    size = np.abs(book.quantity[cross])
    each = grouped_sum(valued.notional[:, cross] / np.where(size == 0.0, 1.0, size), beside, count)
    at_order, loss = _fills(rules, book, live)
    return _Asking(
        group,
        book.order_quantity[live],
        at_order,
        loss,
        at,
        grouped_sum(book.quantity[None, cross], beside, count)[0],
        each / np.maximum(np.bincount(beside, minlength=count), 1),
        _leverage(np.concatenate((book.leverage[cross], book.order_leverage[live])), beside, group, count),
        crowding_of(rules.plan, rules.ladders, rules.table, rules.priced.mark),
    )


def _leverage(leverage: F64, beside: I64, group: I64, count: int) -> F64:
    # What is chosen holds for the instrument: of a position before that of an order.
    chosen = np.flatnonzero(~np.isnan(leverage))
    if chosen.size == 0:
        return np.full(count, np.nan)
    row = rows_of(np.arange(count), np.concatenate((beside, group))[chosen])
    return np.where(row >= 0, leverage[chosen][row], np.nan)


def _fills(rules: _Rules, book: Book, live: I64) -> tuple[F64, F64]:
    account = rules.plan.rulebook.account
    at, quantity = book.order_instrument[live], book.order_quantity[live]
    valued = value_positions(rules.table, rules.priced, at, quantity, book.order_price[live])
    notional = {
        OrderBasis.ORDER: valued.notional_entry,
        OrderBasis.MARK: valued.notional,
        OrderBasis.WORST: np.maximum(valued.notional_entry, valued.notional),
    }[account.order_basis]
    # Filled at its price, an order is worth its profit to the mark at once: a loss has to be covered.
    loss = np.maximum(-valued.profit, 0.0) if account.open_loss else np.zeros(valued.profit.shape)
    return notional / np.abs(quantity), loss


def _by_sum(rules: _Rules, asking: _Asking) -> tuple[F64, F64, F64]:
    group, count = asking.group, len(asking.instrument)
    value = np.abs(asking.quantity) * asking.at_order
    margin = _margin(rules, asking, asking.instrument[group], asking.quantity, asking.leverage[group], value)
    total = grouped_sum(margin, group, count)
    return total, grouped_sum(asking.loss, group, count), np.ones(total.shape)


def _by_worst_fill(rules: _Rules, asking: _Asking) -> tuple[F64, F64, F64]:
    none = np.zeros(len(asking.quantity), dtype=np.bool_)
    alone, _ = _filled(rules, asking, none)
    sides = [_filled(rules, asking, side) for side in (asking.quantity > 0, asking.quantity < 0)]
    extra = [np.maximum(margin - alone, 0.0) for margin, _ in sides]
    buy_binds = extra[0] + sides[0][1] >= extra[1] + sides[1][1]
    margin, loss = np.where(buy_binds, *extra), np.where(buy_binds, sides[0][1], sides[1][1])
    return margin, loss, np.where(margin + loss > 0, np.where(buy_binds, 1.0, -1.0), 0.0)


def _filled(rules: _Rules, asking: _Asking, side: Bools) -> tuple[F64, F64]:
    # Orders against the position close it first; what is left of either side is priced at its own price.
    group, count = asking.group[side], len(asking.instrument)
    quantity, position = asking.quantity[side], asking.position
    filled = grouped_sum(quantity[None, :], group, count)[0]
    worth = grouped_sum(asking.at_order[:, side] * np.abs(quantity), group, count)
    at_order = np.where(filled == 0.0, asking.mark, worth / np.where(filled == 0.0, 1.0, np.abs(filled)))
    after = position + filled
    both = np.abs(position) * asking.mark + np.abs(filled) * at_order
    left = np.abs(after) * np.where(after * position > 0, asking.mark, at_order)
    value = np.where(position * filled >= 0, both, left)
    margin = _margin(rules, asking, asking.instrument, after, asking.leverage, value)
    return margin, grouped_sum(asking.loss[:, side], group, count)


def _margin(rules: _Rules, asking: _Asking, instrument: I64, quantity: F64, leverage: F64, value: F64) -> F64:
    crowded = None if asking.crowd is None else asking.crowd[:, instrument]
    sized = Sized(instrument, quantity, leverage, value, value, value, crowded)
    level = ladder_margin_of(rules.plan, rules.ladders, rules.table, sized, INITIAL)
    return level.margin + level.fee


def _option_orders(rules: _Rules, asking: _Asking) -> tuple[F64, F64]:
    """Sell orders: the risk part and a fee, the premium paying the mark part; buy orders: the premium and a fee."""
    table, group, count = rules.table, asking.group, len(asking.instrument)
    at = asking.instrument
    fee_rate, keeps_premium = option_order_terms(rules.plan, table, at)
    per_coin = option_margin_of(rules.options, table, rules.priced, at, np.zeros(count))
    fee = fee_rate * np.where(table.is_coin_premium[at], 1.0, per_coin.underlying)
    risk = per_coin.risk[INITIAL] + np.where(keeps_premium, per_coin.mark[INITIAL], 0.0)
    sold, bought = (
        np.bincount(group, weights=np.maximum(side * asking.quantity, 0.0), minlength=count)
        for side in (-1.0, 1.0)
    )
    premium = grouped_sum(asking.at_order * np.maximum(asking.quantity, 0.0), group, count)
    sell = np.where(sold > 0, sold * table.a[at] * (risk + fee), 0.0)
    buy = np.where(bought > 0, premium + table.a[at] * bought * fee, 0.0)
    return sell + buy, np.sign(buy - sell)


def option_order_terms(plan: Plan, table: Table, at: I64) -> tuple[F64, Bools]:
    """Fee rate of orders for options, (n,), and whether their premium is no credit; zero where another model margins them."""
    fee, keeps = np.zeros(len(table.a)), np.zeros(len(table.a), dtype=np.bool_)
    for row in np.unique(at).tolist():
        model = model_of(plan, table, row)
        if model is not None:
            fee[row], keeps[row] = model.order_fee, not model.order_premium_credit
    return fee[at], keeps[at]

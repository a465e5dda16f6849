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
from margrave.kernels.arrays import F64, I64
from margrave.margin.ladder import LadderTerms, Sized, crowding_of, ladder_margin_of
from margrave.margin.plan import Plan
from margrave.margin.short_options import OptionTerms, model_of, option_margin_of
from margrave.rulebook.schema import OrderBasis, OrderRule
from margrave.valuation.positions import Valued, value_positions
from margrave.valuation.scenarios import Priced
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class OrderMargin:
    """Initial margin of open orders, a row an instrument and account (Q) of (S, Q); [settlement asset]."""

    account: I64  # (Q,)
    instrument: I64  # (Q,)
    margin: F64  # (S, Q) beyond what the position asks for alone
    open_loss: F64  # (S, Q)
    binds: I64  # (S, Q) +1 buys filled, -1 sells filled, 0 neither


@final
@dataclass(frozen=True, slots=True)
class _Fills:
    quantity: F64  # (O,)
    at_order: F64  # (S, O) notional per contract at the price that margin is taken on
    loss: F64  # (S, O) loss at once if filled
    leverage: F64  # (O,)
    crowd: F64 | None  # (S, I) as `ladder.crowding_of`


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
    fills = _fills(plan, table, priced, book, live, crowding_of(plan, ladders, table, priced.mark))
    cross = np.flatnonzero(~book.is_isolated)
    count = len(book.symbols) + 1
    keys = book.order_account[live] * count + book.order_instrument[live]
    unique, group = np.unique(keys, return_inverse=True)
    at = unique % count
    held = [_held(book, cross, int(a), int(i)) for a, i in zip(unique // count, at, strict=True)]
    columns = [
        _instrument(
            plan,
            ladders,
            options,
            table,
            priced,
            book,
            valued,
            fills,
            live[group == q],
            held[q],
            int(at[q]),
            rule,
        )
        for q in range(len(unique))
    ]
    stacked = np.array(columns)  # (Q, 3, S)
    return OrderMargin(
        unique // count, at, stacked[:, 0].T, stacked[:, 1].T, stacked[:, 2].T.astype(np.int64)
    )


def _held(book: Book, cross: I64, account: int, instrument: int) -> I64:
    mine = (book.account[cross] == account) & (book.instrument[cross] == instrument)
    return np.asarray(cross[mine], dtype=np.int64)


def _fills(plan: Plan, table: Table, priced: Priced, book: Book, live: I64, crowd: F64 | None) -> _Fills:
    at = book.order_instrument[live]
    valued = value_positions(table, priced, at, book.order_quantity[live], book.order_price[live])
    size = np.abs(book.order_quantity[live])
    notional = {
        OrderBasis.ORDER: valued.notional_entry,
        OrderBasis.MARK: valued.notional,
        OrderBasis.WORST: np.maximum(valued.notional_entry, valued.notional),
    }[plan.rulebook.account.order_basis]
    # Filled at its price, an order is worth its profit to the mark at once: a loss has to be covered.
    loss = (
        np.maximum(-valued.profit, 0.0) if plan.rulebook.account.open_loss else np.zeros(valued.profit.shape)
    )
    quantity, leverage = np.zeros(len(book.order_quantity)), np.full(len(book.order_quantity), np.nan)
    per_contract = np.zeros((valued.profit.shape[0], len(quantity)))
    losses = per_contract.copy()
    quantity[live], leverage[live] = book.order_quantity[live], book.order_leverage[live]
    per_contract[:, live], losses[:, live] = notional / size, loss
    return _Fills(quantity, per_contract, losses, leverage, crowd)


def _instrument(  # noqa: PLR0913 - one instrument of one account, with all that prices it
    plan: Plan,
    ladders: LadderTerms,
    options: OptionTerms,
    table: Table,
    priced: Priced,
    book: Book,
    valued: Valued,
    fills: _Fills,
    orders: I64,
    held: I64,
    instrument: int,
    rule: OrderRule,
) -> tuple[F64, F64, F64]:
    if table.is_option[instrument]:
        return _option_orders(plan, options, table, priced, fills, orders, instrument)
    quantity = float(book.quantity[held].sum())
    leverage = np.concatenate([book.leverage[held], fills.leverage[orders]])
    chosen = leverage[~np.isnan(leverage)]
    lever = float(chosen[0]) if chosen.size else np.nan
    mark = valued.notional[:, held] / np.where(book.quantity[held] == 0, 1.0, np.abs(book.quantity[held]))
    per_contract = mark.mean(axis=1) if held.size else np.zeros(priced.mark.shape[0])

    def margin(position: float, subset: I64) -> F64:
        return _margin(plan, ladders, table, instrument, lever, position, per_contract, fills, subset)

    if rule is OrderRule.SUM:
        none = np.array([], dtype=np.int64)
        total = sum((margin(0.0, np.array([o])) for o in orders), margin(0.0, none))
        return np.asarray(total), fills.loss[:, orders].sum(axis=1), np.ones(priced.mark.shape[0])
    buys, sells = orders[fills.quantity[orders] > 0], orders[fills.quantity[orders] < 0]
    alone = margin(quantity, orders[:0])
    sides = [(margin(quantity, s) - alone, fills.loss[:, s].sum(axis=1)) for s in (buys, sells)]
    asked = [np.maximum(m, 0.0) + loss for m, loss in sides]
    buy_binds = asked[0] >= asked[1]
    extra = np.where(buy_binds, np.maximum(sides[0][0], 0.0), np.maximum(sides[1][0], 0.0))
    loss = np.where(buy_binds, sides[0][1], sides[1][1])
    return extra, loss, np.where(extra + loss > 0, np.where(buy_binds, 1.0, -1.0), 0.0)


def _margin(  # noqa: PLR0913
    plan: Plan,
    ladders: LadderTerms,
    table: Table,
    instrument: int,
    leverage: float,
    position: float,
    mark: F64,
    fills: _Fills,
    subset: I64,
) -> F64:
    # Orders against the position close it first; what is left of either side is priced at its own price.
    filled = float(fills.quantity[subset].sum()) if subset.size else 0.0
    after = position + filled
    at_order = (
        (fills.at_order[:, subset] * np.abs(fills.quantity[subset])).sum(axis=1) / abs(filled)
        if filled
        else mark
    )
    if position * filled >= 0:
        value = abs(position) * mark + abs(filled) * at_order
    else:
        value = abs(after) * (mark if after * position > 0 else at_order)
    column = value[:, None]
    at, crowd = np.array([instrument]), fills.crowd
    crowded = None if crowd is None else crowd[:, at]
    sized = Sized(at, np.array([after]), np.array([leverage]), column, column, column, crowded)
    level = ladder_margin_of(plan, ladders, table, sized, INITIAL)
    return (level.margin + level.fee)[:, 0]


def _option_orders(  # noqa: PLR0913 - what one formula is made of
    plan: Plan,
    options: OptionTerms,
    table: Table,
    priced: Priced,
    fills: _Fills,
    orders: I64,
    instrument: int,
) -> tuple[F64, F64, F64]:
    """Sell orders: the risk part and a fee, the premium paying the mark part; buy orders: the premium and a fee."""
    model = model_of(plan, table, instrument)
    scenarios = priced.mark.shape[0]
    at = np.array([instrument])
    a = table.a[instrument]
    size = fills.quantity[orders]
    sold, bought = -size[size < 0].sum() * a, fills.at_order[:, orders[size > 0]] * size[size > 0]
    entry = np.zeros(1)
    per_coin = option_margin_of(options, table, priced, at, entry)
    fee = (0.0 if model is None else model.order_fee) * np.where(
        table.is_coin_premium[at], 1.0, per_coin.underlying
    )[:, 0]
    risk = per_coin.risk[INITIAL][:, 0]
    if model is not None and not model.order_premium_credit:
        risk = risk + per_coin.mark[INITIAL][:, 0]
    sell = sold * (risk + fee) if sold else np.zeros(scenarios)
    buy = bought.sum(axis=1) + a * size[size > 0].sum() * fee if bought.size else np.zeros(scenarios)
    return sell + buy, np.zeros(scenarios), np.sign(buy - sell)

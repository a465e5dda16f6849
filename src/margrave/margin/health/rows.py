"""Who is weighed together, as rows: tokens, perpetuals and spot markets of pools, with the terms that hold for each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.domain.book import Book
from margrave.domain.instruments import Linear, Perpetual, Spot
from margrave.domain.market import Market
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.groups import first_seen, rows_of
from margrave.kernels.size_factor import size_premium
from margrave.margin.plan import Plan, product_row
from margrave.margin.pools import Pools, grouped_sum
from margrave.rulebook.health import HealthModel, PerpetualRule, TokenRule
from margrave.rulebook.schema import PortfolioMember
from margrave.valuation.table import Table


@final
@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of pools, (T,): every bucket, and what spot orders may bring. Without a rule a token counts nothing."""

    pool: I64
    asset: I64  # row of the table's assets
    rule: I64  # row of the model's tokens; -1 where it has none
    balance: F64  # [token]
    weight: tuple[F64, F64]  # of an asset, a level each
    liability: tuple[F64, F64]  # of a debt, a level each
    factor: F64  # [1 per root of a token]
    deposits_from: F64  # [pool currency] inf where the weight does not scale
    borrows_from: F64
    deposits: F64  # [token] of the whole venue; NaN where the market does not tell
    borrows: F64
    slow: F64  # [numeraire] slow price; NaN where there is none


@final
@dataclass(frozen=True, slots=True)
class Perpetuals:
    """Perpetuals of pools, (G,), positions and orders of one instrument together."""

    pool: I64
    instrument: I64  # row of the table
    token: I64  # row of the token that it settles in
    rule: I64  # row of the model's perpetuals; -1 where it has none
    size: F64  # [base] signed
    bids: F64  # [base] >= 0
    asks: F64  # [base] <= 0
    position: I64  # (M,) rows of the book's positions
    group: I64  # (M,) row of G
    leverage: F64  # chosen by the holder; NaN where none
    long: tuple[F64, F64]  # margin rate, a level each
    short: tuple[F64, F64]
    factor: F64  # [1 per root of a unit of base]
    gain: tuple[F64, F64]  # share of a gain that counts, a level each
    gain_factor: F64
    gain_cap: F64  # [pool currency] inf where there is none
    slow: F64  # [as the mark] NaN where there is none


@final
@dataclass(frozen=True, slots=True)
class SpotMarkets:
    """Spot markets in which pools have open orders, (Q,)."""

    pool: I64
    instrument: I64
    base: I64  # rows of the tokens
    quote: I64
    bids: F64  # [base] >= 0
    asks: F64  # [base] <= 0
    reserved_quote: F64  # [quote] what bids pay at their prices
    highest_bid: F64  # [quote per base] 0 where there is none
    lowest_ask: F64  # inf where there is none


@final
@dataclass(frozen=True, slots=True)
class HealthRows:
    """All of it; what a shift of prices does not change."""

    model: HealthModel
    tokens: Tokens
    perpetuals: Perpetuals
    spot: SpotMarkets
    orders: F64  # (K,) how many orders are open


def health_rows(
    model: HealthModel, plan: Plan, table: Table, book: Book, pools: Pools, market: Market
) -> HealthRows:
    """Rows of a book under a health model, in the order in which each account first needs them."""
    is_perpetual, is_spot = _members(plan, table)
    live = np.flatnonzero(~book.order_reduces)
    perp_orders = live[is_perpetual[book.order_instrument[live]]]
    spot_orders = live[is_spot[book.order_instrument[live]]]
    count = len(table.assets)
    at, pool = book.order_instrument[spot_orders], pools.order_pool[spot_orders]
    # Buckets first: they are tokens of their own pools already, each once.
    token_pool = np.concatenate((pools.bucket_pool, pool, pool))
    token_asset = np.concatenate((pools.bucket_asset, table.base[at], table.quote[at]))
    first, token = first_seen(token_pool * count + token_asset)
    buckets = len(pools.bucket_pool)
    balance = np.zeros(len(first))
    balance[token[:buckets]] = pools.bucket_balance
    tokens = _tokens(model, table, market, token_pool[first], token_asset[first], balance)
    key = tokens.pool * count + tokens.asset
    return HealthRows(
        model,
        tokens,
        _perpetuals(
            model,
            table,
            book,
            pools,
            market,
            np.flatnonzero((is_perpetual | is_spot)[book.instrument]),
            perp_orders,
            key,
        ),
        _spot(table, book, pools, spot_orders, key),
        _counted(book, pools, is_perpetual | is_spot),
    )


def opening_margin(model: HealthModel, table: Table, book: Book) -> F64:
    """What opening each position took, its initial margin at its entry, (P,) [settlement asset]; zero without a rule."""
    rule = np.array(_rules_of(model, table, range(len(table.instruments))), dtype=np.int64)[book.instrument]
    terms = _perpetual_columns(model)[:, rule]
    size = np.abs(book.quantity) * table.a[book.instrument]
    rate = size_premium(np.where(book.quantity < 0.0, terms[2], terms[0]), terms[4], size)
    asked = size * book.entry * (np.fmax(rate, 1.0 / book.leverage) + 0.0 * rate)
    return np.where(rule < 0, 0.0, asked)


def _members(plan: Plan, table: Table) -> tuple[Bools, Bools]:
    products = plan.rulebook.products
    kinds: list[type | None] = []
    for instrument in table.instruments:
        row = -1 if instrument is None else product_row(plan, instrument)
        member = row >= 0 and isinstance(products[row].model, PortfolioMember)
        kinds.append(type(instrument.kind) if member and instrument is not None else None)
    perpetual = np.array([kind is not None and kind is not Spot for kind in kinds], dtype=np.bool_)
    return perpetual, np.array([kind is Spot for kind in kinds], dtype=np.bool_)


def _counted(book: Book, pools: Pools, member: Bools) -> F64:
    mine = pools.order_pool[member[book.order_instrument]]
    return np.bincount(mine, minlength=len(pools.account)).astype(np.float64)


def _told(totals: Sequence[float | None]) -> F64:
    return np.array([np.nan if x is None else x for x in totals], dtype=np.float64)


_NO_TOKEN = (0.0, 0.0, 1.0, 1.0, 0.0, np.inf, np.inf)  # counts nothing; owed it is an issue


def _token_terms(rule: TokenRule) -> tuple[float, ...]:
    one, two = rule.initial, rule.maintenance
    scales = [np.inf if start is None else start for start in (rule.deposits_from, rule.borrows_from)]
    return one.asset, two.asset, one.liability, two.liability, rule.size_factor, *scales


def _tokens(model: HealthModel, table: Table, market: Market, pool: I64, asset: I64, balance: F64) -> Tokens:
    listed = {rule.asset: row for row, rule in enumerate(model.tokens)}
    rule = np.array([listed.get(name, -1) for name in table.assets], dtype=np.int64)[asset]
    terms = np.array([*map(_token_terms, model.tokens), _NO_TOKEN]).T[:, rule]  # -1 is the last row
    names = [table.assets[a] for a in asset.tolist()]
    slow = market.slow if model.slow is not None else {}
    totals = (_told([told.get(name) for name in names]) for told in (market.deposits, market.borrows, slow))
    return Tokens(pool, asset, rule, balance, (terms[0], terms[1]), (terms[2], terms[3]), *terms[4:], *totals)


_NO_PERPETUAL = (np.nan,) * 9  # an issue


def _perpetual_terms(rule: PerpetualRule) -> tuple[float, ...]:
    one, two, gains = rule.initial, rule.maintenance, rule.gains
    cap = np.inf if gains.cap is None else gains.cap
    rates = (one.long, two.long, one.short, two.short, rule.size_factor)
    return *rates, gains.initial, gains.maintenance, gains.size_factor, cap


def _perpetuals(  # noqa: PLR0913 - the rows of a book
    model: HealthModel,
    table: Table,
    book: Book,
    pools: Pools,
    market: Market,
    position: I64,
    order: I64,
    token_key: I64,
) -> Perpetuals:
    pool_of = np.concatenate((pools.position_pool[position], pools.order_pool[order]))
    instrument_of = np.concatenate((book.instrument[position], book.order_instrument[order]))
    first, group = first_seen(pool_of * max(len(table.instruments), 1) + instrument_of)
    pool, at, count = pool_of[first], instrument_of[first], len(first)
    held, asked = group[: len(position)], group[len(position) :]
    per_contract = table.a[at]

    def added(rows: I64, quantity: F64) -> F64:
        total: F64 = grouped_sum(quantity[None, :], rows, count)[0]
        return total * per_contract

    waiting = book.order_quantity[order]
    rule = np.array(_rules_of(model, table, at.tolist()), dtype=np.int64)
    terms = _perpetual_columns(model)[:, rule]
    slow = market.slow if model.slow is not None and model.slow.perpetuals else {}
    return Perpetuals(
        pool,
        at,
        rows_of(pool * len(table.assets) + table.settlement[at], token_key),
        rule,
        added(held, book.quantity[position]),
        added(asked, np.maximum(waiting, 0.0)),
        added(asked, np.minimum(waiting, 0.0)),
        position,
        held,
        _leverage(np.concatenate((book.leverage[position], book.order_leverage[order])), group, count),
        (terms[0], terms[1]),
        (terms[2], terms[3]),
        terms[4],
        (terms[5], terms[6]),
        terms[7],
        terms[8],
        _told([slow.get(book.symbols[row]) for row in at.tolist()]),
    )


def _perpetual_columns(model: HealthModel) -> F64:
    return np.array([*map(_perpetual_terms, model.perpetuals), _NO_PERPETUAL]).T  # -1 is the last


def _rules_of(model: HealthModel, table: Table, instruments: Iterable[int]) -> list[int]:
    listed = {rule.base: row for row, rule in enumerate(model.perpetuals)}
    return [_rule_of(table, listed, row) for row in instruments]


def _rule_of(table: Table, listed: dict[str, int], row: int) -> int:
    # Profit in the asset of the quote, so that nothing is converted before it is weighed.
    instrument = table.instruments[row]
    if instrument is None or not isinstance(instrument.kind, Perpetual):
        return -1
    linear = isinstance(instrument.payoff, Linear) and instrument.quote == instrument.settlement
    return listed.get(instrument.base, -1) if linear else -1


def _leverage(leverage: F64, group: I64, count: int) -> F64:
    # What is chosen holds for the instrument: of a position before that of an order.
    chosen = np.flatnonzero(~np.isnan(leverage))
    if chosen.size == 0:
        return np.full(count, np.nan)
    row = rows_of(np.arange(count), group[chosen])
    return np.where(row >= 0, leverage[chosen][row], np.nan)


def _spot(table: Table, book: Book, pools: Pools, order: I64, token_key: I64) -> SpotMarkets:
    pool_of, instrument_of = pools.order_pool[order], book.order_instrument[order]
    first, group = first_seen(pool_of * max(len(table.instruments), 1) + instrument_of)
    pool, at, count, assets = pool_of[first], instrument_of[first], len(first), len(table.assets)
    size = book.order_quantity[order] * table.a[instrument_of]
    price = book.order_price[order]
    bid = np.maximum(size, 0.0)
    highest, lowest = np.zeros(count), np.full(count, np.inf)
    np.maximum.at(highest, group, np.where(size > 0.0, price, 0.0))
    np.minimum.at(lowest, group, np.where(size < 0.0, price, np.inf))
    bids, asks, pays = grouped_sum(np.array([bid, np.minimum(size, 0.0), bid * price]), group, count)
    return SpotMarkets(
        pool,
        at,
        rows_of(pool * assets + table.base[at], token_key),
        rows_of(pool * assets + table.quote[at], token_key),
        bids,
        asks,
        pays,
        highest,
        lowest,
    )

"""A made book for studies: many holders of a perpetual, some of them hedged by a future, in coin or in dollars, who hold the same risk in each.

Nobody's positions. Every holder has entered at a price of the last weeks, so that some are ahead and some behind, and has
put up collateral for a leverage of its own at the price now; longs and shorts hold the same notional.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

import numpy as np

from margrave.domain.book import Book, Memories, names_of, no_parents
from margrave.domain.instruments import Future, Instrument, Inverse, Kind, Linear, Payoff, Perpetual
from margrave.domain.market import Market, Quote

MADE_AT: Final = datetime(2026, 11, 2, tzinfo=UTC)
PRICE: Final = 50_000.0
ASSET: Final = "BTC"
TITLE: Final = "made by `margrave study`: no venue, no person, no real price"
_CONTRACT: Final = 1e-3  # [coins]
_HEDGED: Final = 0.9
_DATED: Final = timedelta(days=60)
_PAYOFFS: Final[Mapping[str, tuple[str, str, Payoff]]] = MappingProxyType(
    {
        "linear": ("USDT", "USDT", Linear(contract_size=_CONTRACT)),
        "inverse": ("USD", ASSET, Inverse(contract_value=1.0)),
    }
)
_MEMORIES: Final = Memories(*np.zeros((2, 0), dtype=np.int64), *np.zeros((8, 0)))


def study_market(payoff: str) -> Market:
    """A market of a perpetual and a dated future, ``linear`` (settled in USDT) or ``inverse`` (in coin)."""
    quote, settlement, form = _PAYOFFS[payoff]
    kinds: dict[str, Kind] = dict(
        zip(_symbols(payoff), (Perpetual(), Future(expiry=MADE_AT + _DATED)), strict=True)
    )
    instruments = {
        symbol: Instrument(
            symbol=symbol, base=ASSET, quote=quote, settlement=settlement, kind=kind, payoff=form
        )
        for symbol, kind in kinds.items()
    }
    quotes = {symbol: Quote(mark=PRICE) for symbol in instruments}
    return Market(
        at=MADE_AT, instruments=instruments, quotes=quotes, index={ASSET: PRICE, "USDT": 1.0, "USD": 1.0}
    )


def _symbols(payoff: str) -> tuple[str, str]:
    return f"{ASSET}-{_PAYOFFS[payoff][0]}-PERPETUAL", f"{ASSET}-{_PAYOFFS[payoff][0]}-FUTURE"


def study_book(payoff: str, count: int, seed: int, *, isolated: float = 0.0) -> Book:
    """A book of ``count`` holders, half of them long; the same seed holds the same risk in every payoff and mode.

    Parameters
    ----------
    payoff : str
        ``linear`` or ``inverse``.
    count : int
        Holders, four or more.
    seed : int
        Of sizes, leverages and entries.
    isolated : float
        Share of the holders, in tenths, whose collateral stands behind each position alone; that of the others is the balance of a cross pool.

    Notes
    -----
    Notional is log-normal (median 20,000 USD), leverage log-normal around 5, at most 9 and at least 1.5: twice the made rules'
    maintenance of 5 % liquidates nobody at the start. One in four hedges nine tenths of the perpetual by the future. Entries are
    log-normal around the price with a deviation of 8 %. Equity, and so leverage, is that of now.
    """
    generator = np.random.default_rng(seed)
    long = np.arange(count) % 2 == 0
    notional = 20_000.0 * np.exp(generator.normal(0.0, 1.2, count))
    notional[~long] *= notional[long].sum() / notional[~long].sum()
    leverage = np.clip(5.0 * np.exp(generator.normal(0.0, 0.45, count)), 1.5, 9.0)
    entry = PRICE * np.exp(generator.normal(0.0, 0.08, count))
    hedges = np.flatnonzero(np.arange(count) % 8 < 2)  # longs and shorts alike
    account = np.concatenate((np.arange(count), hedges))
    share = np.concatenate((np.ones(count), np.full(len(hedges), -_HEDGED)))
    order = np.argsort(account, kind="stable")
    account, share = account[order], share[order]
    signed = np.where(long, 1.0, -1.0)[account] * share * notional[account]  # [USD]
    at = entry[account]
    if payoff == "linear":
        quantity = np.rint(signed / PRICE / _CONTRACT)
        profit = quantity * _CONTRACT * (PRICE - at)
        equity = np.abs(quantity) * _CONTRACT * PRICE / leverage[account]
    else:
        quantity = np.rint(signed)
        profit = quantity * (1.0 / at - 1.0 / PRICE)
        equity = np.abs(quantity) / PRICE / leverage[account]
    # Equity is cash and profit: who is far behind has paid in for it, who is far ahead may owe cash.
    cash = equity - profit
    rows, none = np.arange(count, dtype=np.int64), np.full(len(account), np.nan)
    alone = account // 8 % 10 < round(10.0 * isolated)  # eight in a row are longs and shorts, hedged and not
    return Book(
        names=names_of([f"{'long' if is_long else 'short'} {k}" for k, is_long in enumerate(long.tolist())]),
        parents=no_parents(count),
        symbols=_symbols(payoff),
        assets=(_PAYOFFS[payoff][1],),
        account=account,
        instrument=np.where(share > 0.0, 0, 1).astype(np.int64),
        quantity=quantity,
        entry=at,
        leverage=none,
        is_isolated=alone,
        isolated_margin=np.where(alone, cash, np.nan),
        balance_account=rows,
        balance_asset=np.zeros(count, dtype=np.int64),
        balance=np.bincount(account, np.where(alone, 0.0, cash), count).astype(np.float64),
        order_account=rows[:0],
        order_instrument=rows[:0],
        order_quantity=none[:0],
        order_price=none[:0],
        order_leverage=none[:0],
        order_reduces=np.zeros(0, dtype=np.bool_),
        memory=_MEMORIES,
    )

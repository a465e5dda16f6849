"""A made book for studies: many holders of one perpetual, in coin or in dollars, who hold the same risk in each.

Nobody's positions. Every holder has entered at a price of the last weeks, so that some are ahead and some behind, and has
put up collateral for a leverage of its own at the price now; longs and shorts hold the same notional.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

import numpy as np

from margrave.domain.book import Book, Memories, names_of, no_parents
from margrave.domain.instruments import Instrument, Inverse, Linear, Payoff, Perpetual
from margrave.domain.market import Market, Quote

MADE_AT: Final = datetime(2026, 11, 2, tzinfo=UTC)
PRICE: Final = 50_000.0
ASSET: Final = "BTC"
TITLE: Final = "made by `margrave study`: no venue, no person, no real price"
_PAYOFFS: Final[Mapping[str, tuple[str, str, Payoff]]] = MappingProxyType(
    {
        "linear": ("USDT", "USDT", Linear(contract_size=1e-3)),
        "inverse": ("USD", ASSET, Inverse(contract_value=1.0)),
    }
)
_MEMORIES: Final = Memories(*np.zeros((2, 0), dtype=np.int64), *np.zeros((8, 0)))


def study_market(payoff: str) -> Market:
    """A market of one perpetual, ``linear`` (settled in USDT) or ``inverse`` (in coin)."""
    quote, settlement, form = _PAYOFFS[payoff]
    symbol = f"{ASSET}-{quote}-PERPETUAL"
    instrument = Instrument(
        symbol=symbol, base=ASSET, quote=quote, settlement=settlement, kind=Perpetual(), payoff=form
    )
    return Market(
        at=MADE_AT,
        instruments={symbol: instrument},
        quotes={symbol: Quote(mark=PRICE)},
        index={ASSET: PRICE, "USDT": 1.0},
    )


def study_book(payoff: str, count: int, seed: int, *, isolated: bool = False) -> Book:
    """A book of ``count`` holders, half of them long; the same seed holds the same risk in every payoff and mode.

    Parameters
    ----------
    payoff : str
        ``linear`` or ``inverse``.
    count : int
        Holders, two or more.
    seed : int
        Of sizes, leverages and entries.
    isolated : bool
        Whether the collateral stands behind the position alone, or is the balance of a cross pool.

    Notes
    -----
    Notional is log-normal (median 20,000 USD), leverage log-normal around 5, at most 18 and at least 1.5: the made rules ask
    10 % and 5 %. Entries are log-normal around the price with a deviation of 8 %. Equity, and so leverage, is that of now.
    """
    generator = np.random.default_rng(seed)
    long = np.arange(count) % 2 == 0
    notional = 20_000.0 * np.exp(generator.normal(0.0, 1.2, count))
    notional[~long] *= notional[long].sum() / notional[~long].sum()
    leverage = np.clip(5.0 * np.exp(generator.normal(0.0, 0.55, count)), 1.5, 18.0)
    entry = PRICE * np.exp(generator.normal(0.0, 0.08, count))
    side = np.where(long, 1.0, -1.0)
    if payoff == "linear":
        size = np.rint(notional / PRICE / 1e-3)
        profit = side * size * 1e-3 * (PRICE - entry)
        equity = size * 1e-3 * PRICE / leverage
    else:
        size = np.rint(notional)
        profit = side * size * (1.0 / entry - 1.0 / PRICE)
        equity = size / PRICE / leverage
    quote, settlement, _ = _PAYOFFS[payoff]
    rows, none = np.arange(count, dtype=np.int64), np.full(count, np.nan)
    # Equity is balance and profit: who is far behind has paid in for it, who is far ahead may owe cash.
    cash = equity - profit
    return Book(
        names=names_of([f"{'long' if is_long else 'short'} {k}" for k, is_long in enumerate(long.tolist())]),
        parents=no_parents(count),
        symbols=(f"{ASSET}-{quote}-PERPETUAL",),
        assets=(settlement,),
        account=rows,
        instrument=np.zeros(count, dtype=np.int64),
        quantity=side * size,
        entry=entry,
        leverage=none,
        is_isolated=np.full(count, isolated),
        isolated_margin=cash if isolated else none,
        balance_account=rows,
        balance_asset=np.zeros(count, dtype=np.int64),
        balance=np.zeros(count) if isolated else cash,
        order_account=rows[:0],
        order_instrument=rows[:0],
        order_quantity=none[:0],
        order_price=none[:0],
        order_leverage=none[:0],
        order_reduces=np.zeros(0, dtype=np.bool_),
        memory=_MEMORIES,
    )

"""A made venue: a market of perpetuals, futures and options, and a seeded book of any number of accounts in it.

Nobody's positions: sizes, leverage and the mix of contracts are drawn so that the book looks like a venue's, with many
small holders of a perpetual and few books of many options, some of them close to liquidation.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from margrave.domain.book import Book, Memories, names_of, no_parents
from margrave.domain.instruments import (
    CoinPremium,
    Future,
    Instrument,
    Inverse,
    Kind,
    Option,
    Payoff,
    Perpetual,
    Right,
)
from margrave.domain.market import Market, Quote
from margrave.kernels.arrays import F64, I64, Bools
from margrave.kernels.black76 import coin_price

MADE_AT: Final = datetime(2026, 11, 2, tzinfo=UTC)
TITLE: Final = "made by `margrave sample`: no venue, no person, no real price"
_SPOT: Final = {"BTC": 62_000.0, "ETH": 2_450.0}
_VOL: Final = {"BTC": 0.48, "ETH": 0.63}
_FACE: Final = {"BTC": 10.0, "ETH": 1.0}  # [USD per contract]
_EXPIRIES: Final = (4, 11, 25, 53, 88, 144, 235)  # days from the instant of the market
_STRIKES: Final = np.round(np.exp(np.linspace(-0.6, 0.6, 29)), 3)  # of the spot price
_BASIS: Final = 0.06  # per year


def made_market() -> Market:
    """About eight hundred options, futures and perpetuals on two coins, all in coin."""
    instruments: dict[str, Instrument] = {}
    quotes: dict[str, Quote] = {}

    def add(symbol: str, base: str, kind: Kind, payoff: Payoff, told: Quote) -> None:
        instruments[symbol] = Instrument(
            symbol=symbol, base=base, quote="USD", settlement=base, kind=kind, payoff=payoff
        )
        quotes[symbol] = told

    for base, spot in _SPOT.items():
        inverse = Inverse(contract_value=_FACE[base])
        add(f"{base}-PERPETUAL", base, Perpetual(), inverse, Quote(mark=spot * 1.0002))
        for days in _EXPIRIES:
            expiry = MADE_AT + timedelta(days=days, hours=8)
            forward = spot * float(np.exp(_BASIS * days / 365.0))
            day = f"{expiry:%-d%b%y}".upper()
            add(f"{base}-{day}", base, Future(expiry=expiry), inverse, Quote(mark=forward))
            for symbol, option, quote in _options(base, day, expiry, forward):
                add(symbol, base, option, CoinPremium(contract_size=1.0), quote)
    return Market(at=MADE_AT, instruments=instruments, quotes=quotes, index=_SPOT, vols=_VOL)


def _options(base: str, day: str, expiry: datetime, forward: float) -> list[tuple[str, Option, Quote]]:
    step = 500.0 if base == "BTC" else 25.0
    years = (expiry - MADE_AT).total_seconds() / (365.0 * 86_400.0)
    listed = []
    for strike in dict.fromkeys((np.round(_STRIKES * _SPOT[base] / step) * step).tolist()):
        # A smile: dearer away from the money, and more so below it.
        away = float(np.log(strike / forward))
        vol = round(_VOL[base] * (1.0 + 0.5 * away * away - 0.15 * away), 4)
        for right in Right:
            mark = float(coin_price(forward, strike, vol, years, right is Right.CALL))
            quote = Quote(mark=mark, forward=forward, vol=vol)
            name = f"{base}-{day}-{strike:g}-{'C' if right is Right.CALL else 'P'}"
            listed.append((name, Option(expiry=expiry, strike=strike, right=right), quote))
    return listed


def made_book(count: int, seed: int, market: Market) -> Book:
    """A book of made accounts.

    Parameters
    ----------
    count : int
        Accounts.
    seed : int
        The same seed gives the same book.
    market : Market
        From `made_market`.

    Returns
    -------
    Book
        About three positions an account, in one coin each. Of twenty accounts eleven hold a perpetual alone, six futures
        too, and three are books of options. Leverage is lognormal around five, up to fifty.
    """
    rng = np.random.default_rng(seed)
    listed = tuple(market.instruments.values())
    coin = (rng.random(count) < 0.35).astype(np.int64)
    holder = rng.choice(3, size=count, p=(0.55, 0.30, 0.15))
    account, instrument = _held(rng, coin, holder, listed)
    mark = np.array([market.quotes[i.symbol].mark for i in listed])[instrument]
    is_option = np.array([isinstance(i.kind, Option) for i in listed])[instrument]
    quantity = _sizes(rng, coin[account], is_option)
    face = np.array(list(_FACE.values()))[coin[account]]
    # What a holder thinks of as at risk: a future's worth, two fifths of a short option's coin, nothing of a long one.
    at_risk = np.where(is_option, 0.4 * np.maximum(-quantity, 0.0), np.abs(quantity) * face / mark)
    leverage = np.clip(np.round(rng.lognormal(np.log(5.0), 0.8, count)), 1.0, 50.0)
    backed = np.where(is_option, at_risk, at_risk / leverage[account])
    balance = np.bincount(account, weights=backed, minlength=count) * rng.lognormal(1.1, 0.5, count)
    order_account = np.flatnonzero(rng.random(count) < 0.15)
    side = rng.choice((-1.0, 1.0), len(order_account))
    perpetual = np.array([listed.index(market.instruments[f"{base}-PERPETUAL"]) for base in _SPOT])
    spot = np.array(list(_SPOT.values()))[coin[order_account]]
    everybody, nobody, nothing = np.arange(count), np.zeros(0, dtype=np.int64), np.zeros((8, 0))
    return Book(
        names=names_of([f"M{row:08d}" for row in range(count)]),
        parents=no_parents(count),
        symbols=tuple(i.symbol for i in listed),
        assets=tuple(_SPOT),
        account=account,
        instrument=instrument,
        quantity=quantity,
        entry=np.maximum(mark * np.exp(rng.normal(0.0, 0.02, len(mark))), 1e-8),
        leverage=np.where(is_option, np.nan, leverage[account]),
        is_isolated=np.zeros(len(account), dtype=np.bool_),
        isolated_margin=np.broadcast_to(np.float64(np.nan), len(account)),
        balance_account=everybody,
        balance_asset=coin,
        balance=np.round(balance + 1e-4, 8),
        order_account=order_account,
        order_instrument=perpetual[coin[order_account]],
        order_quantity=side * np.maximum(np.round(rng.lognormal(4.0, 1.0, len(side))), 1.0),
        order_price=np.round(spot * (1.0 - 0.01 * side), 1),
        order_leverage=leverage[order_account],
        order_reduces=np.zeros(len(order_account), dtype=np.bool_),
        memory=Memories(nobody, nobody, *nothing),
    )


def _held(
    rng: np.random.Generator, coin: I64, holder: I64, listed: tuple[Instrument, ...]
) -> tuple[I64, I64]:
    # Draws from what a holder of each kind trades; an instrument that is drawn twice is held once.
    most = (1.0, 2.5, 11.0)
    keys = []
    for kind, mean in enumerate(most):
        for row, base in enumerate(_SPOT):
            chosen = np.flatnonzero((holder == kind) & (coin == row))
            account = np.repeat(chosen, 1 + rng.poisson(mean - 1.0, len(chosen)))
            share = np.array([_share(i, kind) if i.base == base else 0.0 for i in listed])
            drawn = rng.choice(len(listed), size=len(account), p=share / share.sum())
            keys.append(account * len(listed) + drawn)
    key = np.unique(np.concatenate(keys))
    return key // len(listed), key % len(listed)


def _share(instrument: Instrument, holder: int) -> float:
    # How often a holder of perpetuals (0), of futures too (1), or of options (2) trades an instrument.
    match instrument.kind:
        case Perpetual():
            return 1.0 if holder == 0 else 0.6
        case Future(expiry=expiry):
            return 0.0 if holder == 0 else 0.5 * _nearness(expiry)
        case Option(expiry=expiry, strike=strike):
            away = np.log(strike / _SPOT[instrument.base])
            return 0.0 if holder < 2 else float(np.exp(-((away / 0.2) ** 2))) * _nearness(expiry)
    return 0.0


def _nearness(expiry: datetime) -> float:
    return float(np.exp(-(expiry - MADE_AT).days / 60.0))


def _sizes(rng: np.random.Generator, coin: I64, is_option: Bools) -> F64:
    # Signed contracts: whole ones of a dollar face, tenths of a coin for options; many small and few large.
    count = len(coin)
    face = np.array(list(_FACE.values()))[coin]
    dollars = np.maximum(np.round(rng.lognormal(np.log(4_000.0), 1.3, count) / face), 1.0)
    coins = np.maximum(np.round(rng.lognormal(0.0, 1.0, count), 1), 0.1) * np.where(coin == 0, 1.0, 10.0)
    return rng.choice((-1.0, 1.0), count) * np.where(is_option, coins, dollars)

"""Every rule that ships, by its code: the number it gives at the smallest and at the largest size, written by hand.

A row names the codes, what is held, and the arithmetic of the rule; the tree of the requirement must name the
same codes. Figures are those of the rulebooks' sources (cex.md, deribit.md).
"""

from datetime import timedelta
from typing import NamedTuple

import pytest

from margrave.domain.account import Account, Balance, Position
from margrave.domain.instruments import (
    CoinPremium,
    Future,
    Instrument,
    Inverse,
    Linear,
    Option,
    Perpetual,
    QuotePremium,
    Right,
)
from margrave.domain.market import Market, Quote
from margrave.engine.assess import assess
from margrave.rulebook.catalogue import shipped
from margrave.rulebook.reform import with_schedule
from margrave.rulebook.schema import Rulebook
from tests.unit.made import AT

EXPIRY = AT + timedelta(days=30)
INDEX = 50_000.0


def book(name: str) -> Rulebook:
    return next(b for b in shipped() if name in (f"{b.id}@{b.valid_from:%Y-%m-%d}", b.id))


def linear(base, settle="USDT", size=1.0, symbol=None, dated=False, taker=None):
    return Instrument(
        symbol=symbol or f"{base}{settle}", base=base, quote=settle, settlement=settle,
        kind=Future(expiry=EXPIRY) if dated else Perpetual(), payoff=Linear(contract_size=size), taker_fee=taker,
    )  # fmt: skip


def inverse(base, value=1.0, dated=False):
    return Instrument(
        symbol=f"{base}USD", base=base, quote="USD", settlement=base,
        kind=Future(expiry=EXPIRY) if dated else Perpetual(), payoff=Inverse(contract_value=value),
    )  # fmt: skip


class Row(NamedTuple):
    """Position under a rulebook, and what each level asks of it."""

    book: str
    codes: tuple[str, ...]
    instrument: Instrument
    quantity: float
    entry: float
    mark: float
    leverage: float | None
    initial: float
    maintenance: float


def ask(row: Row):
    instrument = row.instrument
    market = Market(
        at=AT,
        instruments={instrument.symbol: instrument},
        quotes={instrument.symbol: Quote(mark=row.mark, forward=INDEX, vol=0.8)},
        index={instrument.base: row.mark if row.mark > 5 else INDEX, "USDT": 1.0, "USDC": 1.0, "USD": 1.0},
    )
    if isinstance(instrument.kind, Option):
        market = Market(
            at=AT, instruments=market.instruments, quotes=market.quotes, index={**market.index, "BTC": INDEX, "ETH": INDEX},
        )  # fmt: skip
    position = Position(
        symbol=instrument.symbol, quantity=row.quantity, entry=row.entry, leverage=row.leverage
    )
    assessment = assess(Account(positions=(position,)), market, book(row.book))
    at = next(k for k, p in enumerate(assessment.pools) if p.positions)
    trees = [assessment.explain(level, at) for level in ("initial", "maintenance")]
    return assessment.pools[at], {node.code for tree in trees for _, node in tree.walk()}


UM, CM, PRO = "binance.usdm", "binance.coinm", "binance.pm-pro"
FUTURES = [
    # Binance USDS-M: notional over leverage; rate x notional - maintenance amount (cex.md 1.1)
    Row(UM, ("BINANCE-USDM-ACCOUNT-001", "BINANCE-USDM-LADDER-001", "BINANCE-USDM-MARGIN-001", "BINANCE-USDM-MARGIN-002"),
        linear("BTC"), 1, 60_000, 50_000, 100, 50_000 / 100, 0.004 * 50_000),
    Row(UM, ("BINANCE-USDM-LADDER-001",), linear("BTC"), 36_000, 50_000, 50_000, 1, 1.8e9, 0.5 * 1.8e9 - 421_482_000),
    Row(UM, ("BINANCE-USDM-LADDER-002", "BINANCE-USDM-MARGIN-003", "BINANCE-USDM-MARGIN-004"),
        linear("ETH"), -1, 2_000, 3_000, 20, 3_000 / 20, 0.004 * 3_000),
    Row(UM, ("BINANCE-USDM-LADDER-002",), linear("ETH"), 400_000, 3_000, 3_000, 1, 1.2e9, 0.5 * 1.2e9 - 280_507_000),
    Row(UM, ("BINANCE-USDM-LADDER-003", "BINANCE-USDM-MARGIN-005", "BINANCE-USDM-MARGIN-006"),
        linear("SOL"), 10, 100, 200, 10, 2_000 / 10, 0.005 * 2_000),
    Row(UM, ("BINANCE-USDM-LADDER-003",), linear("SOL"), 2e6, 200, 200, 1, 4e8, 0.5 * 4e8 - 66_731_475),
    Row(UM, ("BINANCE-USDM-LADDER-004", "BINANCE-USDM-MARGIN-007", "BINANCE-USDM-MARGIN-008"),
        linear("BTC", dated=True), 0.5, 50_000, 60_000, 10, 3_000, 0.01 * 30_000),
    Row(UM, ("BINANCE-USDM-LADDER-004",), linear("ETH", dated=True), 40_000, 3_000, 3_000, 1, 1.2e8, 0.5 * 1.2e8 - 12_461_750),
    # COIN-M: in coin, 100 USD a contract (cex.md 1.2)
    Row(CM, ("BINANCE-COINM-ACCOUNT-001", "BINANCE-COINM-LADDER-001", "BINANCE-COINM-MARGIN-001", "BINANCE-COINM-MARGIN-002"),
        inverse("BTC", 100.0), 1_000, 50_000, 40_000, 10, 2.5 / 10, 0.004 * 2.5),
    Row(CM, ("BINANCE-COINM-LADDER-001",), inverse("BTC", 100.0), 640_000, 40_000, 40_000, 1, 1_600, 0.5 * 1_600 - 496.605),
    # PM Pro: the same brackets, in dollars of one pool (cex.md 1.4)
    Row(PRO, ("BINANCE-PMPRO-ACCOUNT-001", "BINANCE-PMPRO-LADDER-001", "BINANCE-PMPRO-MARGIN-001", "BINANCE-PMPRO-MARGIN-002"),
        linear("BTC"), 1, 60_000, 50_000, 10, 5_000, 200),
    Row(PRO, ("BINANCE-PMPRO-LADDER-001",), linear("BTC"), 36_000, 50_000, 50_000, None, 1.8e9, 0.5 * 1.8e9 - 421_482_000),
    Row(PRO, ("BINANCE-PMPRO-LADDER-002", "BINANCE-PMPRO-MARGIN-003", "BINANCE-PMPRO-MARGIN-004"),
        inverse("BTC", 100.0), 1_000, 50_000, 40_000, 10, 10_000, 0.004 * 100_000),
    Row(PRO, ("BINANCE-PMPRO-LADDER-002",), inverse("BTC", 100.0), 640_000, 40_000, 40_000, 1, 6.4e7, 0.5 * 6.4e7 - 496.605 * 40_000),
    # BitMEX: every step beyond the base adds an increment to both rates of the whole position, at entry (cex.md 2)
    Row("bitmex.xbt", ("BITMEX-XBT-ACCOUNT-001", "BITMEX-XBT-LADDER-001", "BITMEX-XBT-MARGIN-001", "BITMEX-XBT-MARGIN-002"),
        inverse("BTC"), 100_000, 50_000, 40_000, 10, 0.2, 0.005 * 2),
    Row("bitmex.xbt", ("BITMEX-XBT-LADDER-001",), inverse("BTC"), 2e7, 50_000, 50_000, None, 400 * 0.02, 400 * 0.015),
    Row("bitmex.linear", ("BITMEX-LINEAR-ACCOUNT-001", "BITMEX-LINEAR-LADDER-001", "BITMEX-LINEAR-MARGIN-001", "BITMEX-LINEAR-MARGIN-002"),
        linear("INJ"), 1_000, 10, 12, 10, 1_000, 0.01 * 10_000),
    Row("bitmex.linear", ("BITMEX-LINEAR-LADDER-001",), linear("INJ"), 25_000, 10, 10, None, 0.04 * 250_000, 0.03 * 250_000),
    Row("bitmex.linear", ("BITMEX-LINEAR-LADDER-002", "BITMEX-LINEAR-MARGIN-003", "BITMEX-LINEAR-MARGIN-004"),
        linear("WLD"), 10_000, 1, 2, 50, 0.02 * 10_000, 0.01 * 10_000),
    Row("bitmex.linear", ("BITMEX-LINEAR-LADDER-002",), linear("WLD"), 100_000, 1, 1, None, 0.04 * 100_000, 0.03 * 100_000),
    # Bybit: value at entry, the fee at the bankruptcy price inside both levels (cex.md 3.1)
    Row("bybit.inverse", ("BYBIT-INVERSE-ACCOUNT-001", "BYBIT-INVERSE-LADDER-001", "BYBIT-INVERSE-MARGIN-001", "BYBIT-INVERSE-MARGIN-002"),
        inverse("BTC"), 10_000, 8_000, 9_000, 20, 1.25 / 20, 0.005 * 1.25),
    Row("bybit.inverse", ("BYBIT-INVERSE-LADDER-001",), inverse("BTC"), 12_000, 8_000, 8_000, 50, 0.03, 0.005 * 1.5),
    Row("bybit.linear", ("BYBIT-LINEAR-ACCOUNT-001", "BYBIT-LINEAR-LADDER-001", "BYBIT-LINEAR-MARGIN-001", "BYBIT-LINEAR-MARGIN-002", "BYBIT-LINEAR-FEE-001"),
        linear("BTC", taker=0.0006), 1, 50_000, 40_000, 10, 5_000 + 27, 250 + 27),
    Row("bybit.linear", ("BYBIT-LINEAR-LADDER-001",), linear("BTC", taker=0.0006), 1_600, 50_000, 50_000, 10,
        8e6 + 43_200, 0.045 * 8e7 - 1_482_000 + 43_200),
    Row("bybit.uta", ("BYBIT-UTA-ACCOUNT-001", "BYBIT-UTA-LADDER-001", "BYBIT-UTA-MARGIN-001", "BYBIT-UTA-MARGIN-002", "BYBIT-UTA-FEE-001"),
        linear("BTC", taker=0.0006), -1, 40_000, 50_000, 10, 5_000 + 33, 250 + 33),
    Row("bybit.uta", ("BYBIT-UTA-LADDER-001",), linear("BTC", taker=0.0), 1_600, 40_000, 50_000, 10, 8e6, 0.045 * 8e7 - 1_482_000),
    # Coinbase International: default rates, maintenance two thirds (cex.md 6)
    Row("coinbase.intx-default", ("COINBASE-INTX-ACCOUNT-001", "COINBASE-INTX-LADDER-001", "COINBASE-INTX-MARGIN-001", "COINBASE-INTX-MARGIN-002"),
        linear("BTC", "USDC"), 3, 40_000, 50_000, None, 30_000, 20_000),
    Row("coinbase.intx-default", ("COINBASE-INTX-LADDER-002", "COINBASE-INTX-MARGIN-003", "COINBASE-INTX-MARGIN-004"),
        linear("INJ", "USDC"), -600, 10, 10, None, 3_000, 2_000),
    # Gate: the fee inside both levels (cex.md 7)
    Row("gate.futures-flat1", ("GATE-FUTURES-ACCOUNT-001", "GATE-FUTURES-LADDER-001", "GATE-FUTURES-MARGIN-001", "GATE-FUTURES-MARGIN-002", "GATE-FUTURES-FEE-001"),
        linear("BTC", size=0.0001, taker=0.0005), 10_000, 40_000, 50_000, 20, 2_500 + 25, 500 + 25),
]  # fmt: skip

# Kraken: whole position; initial on entry value, maintenance on mark (cex.md 5). Coin, codes, contracts and rates
# of the smallest and the largest level.
KRAKEN = [
    ("BTC", 1, 0.02, 0.01, 75e6, 0.40, 0.20, ("KRAKEN-FUTURES-LADDER-001", "KRAKEN-FUTURES-MARGIN-001", "KRAKEN-FUTURES-MARGIN-002")),
    ("ETH", 1, 0.02, 0.01, 45e6, 0.40, 0.20, ("KRAKEN-FUTURES-LADDER-002", "KRAKEN-FUTURES-MARGIN-003", "KRAKEN-FUTURES-MARGIN-004")),
    ("LTC", 1, 0.02, 0.01, 6e6, 0.15, 0.075, ("KRAKEN-FUTURES-LADDER-003", "KRAKEN-FUTURES-MARGIN-005", "KRAKEN-FUTURES-MARGIN-006")),
    ("BCH", 1, 0.04, 0.02, 10e6, 0.50, 0.25, ("KRAKEN-FUTURES-LADDER-004", "KRAKEN-FUTURES-MARGIN-007", "KRAKEN-FUTURES-MARGIN-008")),
    ("XRP", 1, 0.10, 0.05, 3e6, 0.20, 0.10, ("KRAKEN-FUTURES-LADDER-005", "KRAKEN-FUTURES-MARGIN-009", "KRAKEN-FUTURES-MARGIN-010")),
]  # fmt: skip
for coin, few, im, mm, many, im_many, mm_many, codes in KRAKEN:
    held = inverse(coin)
    FUTURES.append(
        Row("kraken.futures", ("KRAKEN-FUTURES-ACCOUNT-001", *codes), held, few, 500, 400, None, im * few / 500, mm * few / 400)
    )  # fmt: skip
    FUTURES.append(
        Row("kraken.futures", codes, held, -many, 500, 400, None, im_many * many / 500, mm_many * many / 400)
    )

# OKX: whole position by contracts; maintenance with 0.05 % of the value to close (cex.md 4.1).
OLD, NEW, MULTI = "okx.futures@2021-06-11", "okx.futures@2023-05-19", "okx.multi"
OKX = [
    (OLD, "ETH", 0.008, 0.004, 216_000, 0.10, 0.095, ("OKX-FUTURES-ACCOUNT-001", "OKX-FUTURES-LADDER-001", "OKX-FUTURES-MARGIN-001", "OKX-FUTURES-MARGIN-002", "OKX-FUTURES-FEE-001")),
    (OLD, "ADA", 0.013, 0.010, 36_000, 0.135, 0.105, ("OKX-FUTURES-LADDER-002", "OKX-FUTURES-MARGIN-003", "OKX-FUTURES-MARGIN-004", "OKX-FUTURES-FEE-002")),
    (NEW, "ADA", 0.0133, 0.005, 108_000, 0.11, 0.095, ("OKX-FUTURES-ACCOUNT-001", "OKX-FUTURES-LADDER-003", "OKX-FUTURES-MARGIN-005", "OKX-FUTURES-MARGIN-006", "OKX-FUTURES-FEE-003")),
    (NEW, "AAVE", 0.02, 0.0065, 144_000, 0.135, 0.10, ("OKX-FUTURES-LADDER-004", "OKX-FUTURES-MARGIN-007", "OKX-FUTURES-MARGIN-008", "OKX-FUTURES-FEE-004")),
    (NEW, "ALGO", 0.02, 0.0065, 540_000, 0.135, 0.10, ("OKX-FUTURES-LADDER-005", "OKX-FUTURES-MARGIN-009", "OKX-FUTURES-MARGIN-010", "OKX-FUTURES-FEE-005")),
    (MULTI, "ADA", 0.0133, 0.005, 108_000, 0.11, 0.095, ("OKX-MULTI-ACCOUNT-001", "OKX-MULTI-LADDER-001", "OKX-MULTI-MARGIN-001", "OKX-MULTI-MARGIN-002", "OKX-MULTI-FEE-001")),
    (MULTI, "AAVE", 0.02, 0.0065, 144_000, 0.135, 0.10, ("OKX-MULTI-LADDER-002", "OKX-MULTI-MARGIN-003", "OKX-MULTI-MARGIN-004", "OKX-MULTI-FEE-002")),
    (MULTI, "ALGO", 0.02, 0.0065, 540_000, 0.135, 0.10, ("OKX-MULTI-LADDER-003", "OKX-MULTI-MARGIN-005", "OKX-MULTI-MARGIN-006", "OKX-MULTI-FEE-003")),
]  # fmt: skip
for name, coin, im, mm, many, im_many, mm_many, codes in OKX:
    held = linear(coin, size=10.0, symbol=f"{coin}-USDT-SWAP")
    FUTURES += [
        Row(name, codes, held, 1, 100, 200, None, im * 2_000, (mm + 0.0005) * 2_000),
        Row(name, codes, held, 1, 100, 200, 2.0, 1_000, (mm + 0.0005) * 2_000),
        Row(
            name,
            codes,
            held,
            -many,
            100,
            200,
            None,
            im_many * many * 2_000,
            (mm_many + 0.0005) * many * 2_000,
        ),
    ]

# Deribit: base rate plus slope in coin (deribit.md); since 2026-08-05 a constant up to the published size.
DERIBIT = [
    ("deribit.sm@2022-01-11", inverse("BTC", 10.0), 0.02, 0.01, 5e-5, 400, ("DERIBIT-SM-ACCOUNT-001", "DERIBIT-SM-LADDER-001", "DERIBIT-SM-FUTURE-001", "DERIBIT-SM-FUTURE-002")),
    ("deribit.sm@2022-01-11", inverse("ETH", 1.0), 0.02, 0.01, 4e-6, 5_000, ("DERIBIT-SM-LADDER-002", "DERIBIT-SM-FUTURE-003", "DERIBIT-SM-FUTURE-004")),
    ("deribit.sm@2026-08-05", inverse("BTC", 10.0), 0.02, 0.02 / 1.5, 0.0, 44.25, ("DERIBIT-SM-ACCOUNT-001", "DERIBIT-SM-LADDER-011", "DERIBIT-SM-FUTURE-011", "DERIBIT-SM-FUTURE-012")),
    ("deribit.sm@2026-08-05", inverse("BTC", 10.0, dated=True), 0.04, 0.04 / 1.5, 0.0, 26.55, ("DERIBIT-SM-LADDER-014", "DERIBIT-SM-FUTURE-013", "DERIBIT-SM-FUTURE-014")),
    ("deribit.testnet", inverse("BTC", 10.0), 0.0295, 0.0215, 5e-5, 400, ("DERIBIT-TESTNET-ACCOUNT-001", "DERIBIT-TESTNET-LADDER-001", "DERIBIT-TESTNET-FUTURE-001", "DERIBIT-TESTNET-FUTURE-002")),
]  # fmt: skip
for name, held, im, mm, slope, most, codes in DERIBIT:
    for coins in (2.0, most):
        count = coins * 40_000 / held.payoff.contract_value
        asked = ((im + slope * coins) * coins, (mm + slope * coins) * coins)
        FUTURES.append(Row(name, codes, held, -count, 50_000, 40_000, None, *asked))
for coins in (1_000.0, 20_000.0):
    rates = 0.04 + 5e-6 * coins, 0.02 + 5e-6 * coins
    FUTURES.append(
        Row("deribit.sm@2022-01-11", ("DERIBIT-SM-LADDER-003", "DERIBIT-SM-FUTURE-005", "DERIBIT-SM-FUTURE-006"),
            linear("SOL", "USDC"), coins, 100, 100, None, rates[0] * coins * 100, rates[1] * coins * 100)
    )  # fmt: skip

# Made rules for learning: 10 % and 5 % of value.
for name, codes in {
    "example.flat": ("EXAMPLE-ACCOUNT-001", "EXAMPLE-LADDER-001", "EXAMPLE-MARGIN-001", "EXAMPLE-MARGIN-002"),
    "example.multi": (
        "EXAMPLE-ACCOUNT-002",
        "EXAMPLE-LADDER-002",
        "EXAMPLE-MARGIN-003",
        "EXAMPLE-MARGIN-004",
    ),
}.items():
    FUTURES += [
        Row(name, codes, linear("BTC"), size, 40_000, 50_000, None, 5_000 * size, 2_500 * size)
        for size in (1.0, 1e6)
    ]


def named(row: Row) -> str:
    return f"{row.book} {row.codes[-1]} {row.quantity:g}"


@pytest.mark.parametrize("row", FUTURES, ids=named)
def test_a_ladder_rule_at_its_smallest_and_its_largest_size(row: Row):
    pool, found = ask(row)
    assert pool.issues == ()
    assert pool.initial == pytest.approx(row.initial, rel=1e-9, abs=1e-8)
    assert pool.maintenance == pytest.approx(row.maintenance, rel=1e-9, abs=1e-8)
    assert set(row.codes) <= found


def option(base, right, strike, coin):
    payoff = CoinPremium(contract_size=1.0) if coin else QuotePremium(contract_size=1.0)
    return Instrument(
        symbol=f"{base}-{strike:g}-{right}", base=base, quote="USD", settlement=base if coin else "USD",
        kind=Option(expiry=EXPIRY, strike=strike, right=right), payoff=payoff,
    )  # fmt: skip


class Terms(NamedTuple):
    """Constants of a venue's short options, as its page has them, and the codes of the four levels."""

    book: str
    coin: bool
    bases: tuple[str, ...]
    maintenance: tuple[float, float]  # at the money, and its floor
    fee: float
    put_share: float  # of mark, in the maintenance of puts
    call_share: float
    covers: bool  # initial of puts is at least maintenance
    codes: tuple[str, str, str, str]  # initial call, put; maintenance call, put


def deribit(name, coin, prefix, first):
    codes = tuple(f"{prefix}-{first + k:03d}" for k in range(4))
    return Terms(name, coin, ("BTC", "ETH"), (0.075, 0.075), 0.0, 0.075, 0.0, True, codes)  # type: ignore[arg-type]


# The codes that the rows below make: DERIBIT-SM-OPTION-001 DERIBIT-SM-OPTION-002 DERIBIT-SM-OPTION-003
# DERIBIT-SM-OPTION-004 DERIBIT-SM-OPTION-011 DERIBIT-SM-OPTION-012 DERIBIT-SM-OPTION-013 DERIBIT-SM-OPTION-014
# DERIBIT-TESTNET-OPTION-001 DERIBIT-TESTNET-OPTION-002 DERIBIT-TESTNET-OPTION-003 DERIBIT-TESTNET-OPTION-004
# DERIBIT-TESTNET-OPTION-011 DERIBIT-TESTNET-OPTION-012 DERIBIT-TESTNET-OPTION-013 DERIBIT-TESTNET-OPTION-014
# EXAMPLE-OPTION-001 EXAMPLE-OPTION-002 EXAMPLE-OPTION-003 EXAMPLE-OPTION-004
OPTIONS = [
    *(
        deribit(name, coin, "DERIBIT-SM-OPTION", first)
        for name in ("deribit.sm@2022-01-11", "deribit.sm@2026-08-05")
        for coin, first in ((True, 1), (False, 11))
    ),
    deribit("deribit.testnet", True, "DERIBIT-TESTNET-OPTION", 1),
    deribit("deribit.testnet", False, "DERIBIT-TESTNET-OPTION", 11),
    deribit("example.flat", True, "EXAMPLE-OPTION", 1),
    deribit("example.inverse", True, "EXAMPLE-OPTION", 1),
    Terms("binance.options-usual", False, ("BTC",), (0.075, 0.05), 0.0, 0.0, 0.0, False,
          ("BINANCE-OPTIONS-MARGIN-001", "BINANCE-OPTIONS-MARGIN-002", "BINANCE-OPTIONS-MARGIN-003", "BINANCE-OPTIONS-MARGIN-004")),
    Terms("bybit.uta", False, ("BTC",), (0.03, 0.03), 0.002, 0.03, 0.03, True,
          ("BYBIT-UTA-OPTION-001", "BYBIT-UTA-OPTION-002", "BYBIT-UTA-OPTION-003", "BYBIT-UTA-OPTION-004")),
    Terms("okx.options-k1", True, ("BTC",), (0.03, 0.03), 0.0, 0.03, 0.0, False,
          ("OKX-OPTIONS-MARGIN-001", "OKX-OPTIONS-MARGIN-002", "OKX-OPTIONS-MARGIN-003", "OKX-OPTIONS-MARGIN-004")),
    Terms("okx.options-k1", False, ("BTC",), (0.03, 0.03), 0.0, 0.03, 0.0, False,
          ("OKX-OPTIONS-MARGIN-005", "OKX-OPTIONS-MARGIN-006", "OKX-OPTIONS-MARGIN-007", "OKX-OPTIONS-MARGIN-008")),
    Terms("okx.options-k1", True, ("ETH",), (0.05, 0.05), 0.0, 0.05, 0.0, False,
          ("OKX-OPTIONS-MARGIN-009", "OKX-OPTIONS-MARGIN-010", "OKX-OPTIONS-MARGIN-011", "OKX-OPTIONS-MARGIN-012")),
    Terms("okx.options-k1", False, ("ETH",), (0.05, 0.05), 0.0, 0.05, 0.0, False,
          ("OKX-OPTIONS-MARGIN-013", "OKX-OPTIONS-MARGIN-014", "OKX-OPTIONS-MARGIN-015", "OKX-OPTIONS-MARGIN-016")),
]  # fmt: skip
# Strike over index for a call (its mirror for a put), out-of-the-money share, and the risk part of initial margin:
# at the money 15 %, at 3 % away 12 %, far away 10 %.
MONEYNESS = [(1.0, 0.0, 0.15), (1.03, 0.03, 0.12), (1.6, 0.6, 0.10)]
OPTION_CASES = [
    (terms, base, right, *where, share)
    for terms in OPTIONS
    for base in terms.bases
    for right in (Right.CALL, Right.PUT)
    for where in MONEYNESS
    for share in (0.02, 2.0)  # mark as a share of the coin: usual, and a put that is worth two
]


@pytest.mark.parametrize(("terms", "base", "right", "strike", "otm", "risk", "share"), OPTION_CASES)
def test_a_short_option_at_the_money_and_far_from_it(terms, base, right, strike, otm, risk, share):
    call = right is Right.CALL
    contract = option(base, right, INDEX * (strike if call else 2.0 - strike), terms.coin)
    worth = 1.0 if terms.coin else INDEX
    mark = share * worth
    least = (terms.call_share if call else terms.put_share) * mark
    top, floor = terms.maintenance
    maintenance = max(max(top - otm, floor) * worth, least) + mark + terms.fee * worth
    initial = risk * worth + mark
    if terms.covers and (not call or terms.book == "bybit.uta"):
        initial = max(initial, maintenance)
    codes = terms.codes[0::2] if call else terms.codes[1::2]
    pool, found = ask(Row(terms.book, codes, contract, -1.0, mark, mark, None, 0.0, 0.0))
    scale = INDEX if pool.currency != contract.settlement and terms.coin else 1.0
    assert pool.issues == ()
    assert pool.initial == pytest.approx(initial * scale, rel=1e-8)
    assert pool.maintenance == pytest.approx(maintenance * scale, rel=1e-8)
    assert {*codes, book(terms.book).account.code} <= found


def test_a_long_option_asks_nothing_under_binances_options_account():
    contract = option("BTC", Right.CALL, INDEX, coin=False)
    pool, found = ask(Row("binance.options-usual", (), contract, 1.0, 500.0, 500.0, None, 0.0, 0.0))
    assert (pool.initial, pool.maintenance) == (0.0, 0.0)
    assert "BINANCE-OPTIONS-ACCOUNT-001" in found


def test_okx_options_account_is_one_pool_an_asset():
    contract = option("BTC", Right.CALL, INDEX, coin=True)
    pool, found = ask(Row("okx.options-k1", (), contract, -1.0, 0.02, 0.02, None, 0.0, 0.0))
    assert pool.name == "cross BTC"
    assert "OKX-OPTIONS-ACCOUNT-001" in found


# What an asset counts: by slices, from the first unit to beyond the last edge.
COLLATERAL = [
    (
        "example.multi",
        "EXAMPLE-COLLATERAL-001",
        "USDT",
        1.0,
        [(1.0, 1.0), (11e6, 5e6 + 0.975 * 5e6 + 0.95e6)],
    ),
    ("example.multi", "EXAMPLE-COLLATERAL-002", "BTC", INDEX, [(1.0, 0.98), (30.0, 9.8 + 9.5 + 9.0)]),
    ("example.multi", "EXAMPLE-COLLATERAL-003", "ETH", 3_000.0, [(1.0, 0.95), (1e5, 0.95e5)]),
    ("bybit.uta", "BYBIT-UTA-COLLATERAL-001", "USDT", 1.0, [(1.0, 1.0), (1e9, 1e9)]),
    ("bybit.uta", "BYBIT-UTA-COLLATERAL-002", "BTC", INDEX, [(1.0, 0.98), (60.0, 9.8 + 9.5 + 9 + 8.5 + 8)]),
    ("okx.multi", "OKX-MULTI-COLLATERAL-001", "USDT", 1.0, [(1.0, 1.0), (11e6, 10_825_000.0)]),
    ("okx.multi", "OKX-MULTI-COLLATERAL-002", "BTC", INDEX, [(1.0, 0.98), (100.0, 20 * 0.98)]),
]


@pytest.mark.parametrize(("name", "code", "asset", "price", "counted"), COLLATERAL)
def test_what_an_asset_counts(name, code, asset, price, counted):
    rulebook = book(name)
    assert next(c.code for c in rulebook.account.collateral if c.asset == asset) == code
    for amount, kept in [*counted, (-1.0, -1.0)]:
        account = Account(balances=(Balance(asset=asset, amount=amount),))
        market = Market(at=AT, instruments={}, quotes={}, index={asset: price, "USD": 1.0, "USDT": 1.0})
        assert assess(account, market, rulebook).pools[0].margin_balance == pytest.approx(kept * price)


# Bands by margin balance over maintenance: the last ratio inside each.
BANDS = [
    ("binance.pm-pro", ["BINANCE-PMPRO-BAND-001", "BINANCE-PMPRO-BAND-002", "BINANCE-PMPRO-BAND-003",
                        "BINANCE-PMPRO-BAND-004", "BINANCE-PMPRO-BAND-005"], [9.0, 1.5, 1.2, 1.05, 1.0]),
    ("bybit.uta", ["BYBIT-UTA-BAND-001", "BYBIT-UTA-BAND-002", "BYBIT-UTA-BAND-003"], [9.0, 1 / 0.85, 1.0]),
    ("okx.multi", ["OKX-MULTI-BAND-001", "OKX-MULTI-BAND-002"], [9.0, 1.0]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "codes", "highest"), BANDS)
def test_a_ratio_on_an_edge_is_in_the_worse_band(name, codes, highest):
    from margrave.rulebook.bands import band_at

    bands = book(name).account.bands
    assert [band_at(bands, ratio - 1e-12).code for ratio in highest] == codes
    assert [b.liquidates for b in bands] == sorted(b.liquidates for b in bands)


# Schedules that ship, on an inverse long of one coin's worth: at the reference, and far beyond the last knots.
SCHEDULES = [
    ("T1", "EXAMPLE-SCHEDULE-001"),
    ("ratchet", "EXAMPLE-SCHEDULE-002"),
    ("steps", "EXAMPLE-SCHEDULE-003"),
]


@pytest.mark.parametrize(("name", "code"), SCHEDULES)
def test_a_schedule_is_one_at_the_reference_and_ends_at_its_outer_knots(name, code):
    base = book("example.inverse")
    rulebook = with_schedule(base, base.schedules[name])
    instrument = inverse("BTC")
    for mark, multiplier in ((50_000.0, 1.0), (20_000.0, 2.0)):
        market = Market(
            at=AT,
            instruments={"BTCUSD": instrument},
            quotes={"BTCUSD": Quote(mark=mark)},
            index={"BTC": mark},
        )
        account = Account(positions=(Position(symbol="BTCUSD", quantity=50_000.0, entry=50_000.0),))
        assessment = assess(account, market, rulebook)
        assert assessment.pools[0].maintenance == pytest.approx(multiplier * 0.05 * 50_000 / mark)
        assert code in {node.code for _, node in assessment.explain("maintenance").walk()}

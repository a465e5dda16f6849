"""Rulebooks of on-chain venues: what they ask, and what they say they do not know.

Figures: specification of on-chain systems, sections 2.2, 5.2 and 6.
"""

from datetime import timedelta

import pytest

from margrave.core.errors import Reason
from margrave.domain.account import Account, Balance, Position
from margrave.domain.instruments import Instrument, Linear, Option, Perpetual, QuotePremium, Right
from margrave.domain.market import Market, Quote
from margrave.engine.assess import assess
from margrave.rulebook.catalogue import in_force
from tests.unit.made import AT


def perpetual(base: str) -> Instrument:
    return Instrument(
        symbol=base,
        base=base,
        quote="USD",
        settlement="USDC",
        kind=Perpetual(),
        payoff=Linear(contract_size=1.0),
    )


def pool_of(
    name: str, base: str, size: float, price: float, leverage: float | None = None, open_interest: float = 0.0
):
    market = Market(
        at=AT,
        instruments={base: perpetual(base)},
        quotes={base: Quote(mark=price)},
        index={"USDC": 1.0},
        open_interest={base: open_interest},
    )
    held = Position(symbol=base, quantity=size, entry=price, leverage=leverage)
    account = Account(balances=(Balance(asset="USDC", amount=1e9),), positions=(held,))
    return assess(account, market, in_force(name, AT)).pools[0]


@pytest.mark.parametrize(
    ("base", "open_interest", "leverage", "initial", "maintenance"),
    [
        ("BTC", 1e9, None, 0.02, 0.012),  # the large tier never grows
        ("BTC", 0.0, 10.0, 0.10, 0.012),
        ("ETH", 0.0, None, 0.02, 0.012),
        ("SOL", 300_000.0, None, 0.05, 0.03),  # 40 million at 133.3333
        ("SOL", 525_000.0, None, 0.525, 0.03),  # 70 million, half-way
        ("SOL", 525_000.0, 1.5, 2 / 3, 0.03),
        ("SOL", 750_000.0, None, 1.0, 0.03),
    ],
)
def test_dydx(base, open_interest, leverage, initial, maintenance):
    pool = pool_of("dydx.v4@2025-12-08", base, 30.0, 400 / 3, leverage, open_interest)
    assert pool.initial == pytest.approx(4_000 * initial, abs=1.1e-6)
    assert pool.maintenance == pytest.approx(4_000 * maintenance, abs=1.1e-6)


def test_a_market_whose_tier_is_not_published_is_unknown_and_names_the_gap():
    (issue,) = pool_of("dydx.v4@2025-12-08", "DOGE", 1.0, 0.1).issues
    assert issue.reason is Reason.NO_RULE
    assert "DYDX-V4-GAP-001" in issue.message


@pytest.mark.parametrize(
    ("base", "notional", "leverage", "initial", "maintenance"),
    [
        ("BTC", 1e6, 20.0, 50_000.0, 12_500.0),
        ("BTC", 1e6, None, 25_000.0, 12_500.0),  # 40x
        ("BTC", 200e6, 20.0, 10e6, 200e6 * 0.025 - 150e6 * 0.0125),
        ("ETH", 1e6, 25.0, 40_000.0, 20_000.0),
        ("ETH", 150e6, 15.0, 10e6, 150e6 / 30 - 100e6 * (1 / 30 - 0.02)),
        ("SOL", 100e6, 10.0, 10e6, 5e6 - 70e6 * 0.025),
        ("XRP", 50e6, 10.0, 5e6, 2.5e6 - 40e6 * 0.025),
    ],
)
def test_hyperliquid(base, notional, leverage, initial, maintenance):
    pool = pool_of("hyperliquid.perps", base, notional / 100.0, 100.0, leverage)
    assert (pool.initial, pool.maintenance) == (pytest.approx(initial), pytest.approx(maintenance))


@pytest.mark.parametrize(
    ("right", "strike", "mark", "initial", "maintenance"),
    [
        (Right.CALL, 3_000.0, 100.0, 550.0, 400.0),  # at the money: 15 %, 10 %, and the mark
        (Right.CALL, 3_060.0, 100.0, 490.0, 400.0),  # 2 % out
        (Right.CALL, 4_000.0, 5.0, 305.0, 305.0),  # the floor
        (Right.PUT, 2_000.0, 5.0, 305.0, 305.0),
        (Right.PUT, 8_000.0, 5_000.0, 5_500.0, 5_500.0),  # a tenth of the mark is more than one of spot
    ],
)
def test_aevo_short_options(right, strike, mark, initial, maintenance):
    option = Instrument(
        symbol="O",
        base="ETH",
        quote="USD",
        settlement="USDC",
        kind=Option(expiry=AT + timedelta(days=30), strike=strike, right=right),
        payoff=QuotePremium(contract_size=1.0),
    )
    market = Market(
        at=AT,
        instruments={"O": option},
        quotes={"O": Quote(mark=mark)},
        index={"ETH": 3_000.0, "USDC": 1.0},
    )
    held = Position(symbol="O", quantity=-1.0, entry=mark)
    account = Account(balances=(Balance(asset="USDC", amount=1e5),), positions=(held,))
    pool = assess(account, market, in_force("aevo.options", AT)).pools[0]
    assert pool.issues == ()
    assert (pool.initial, pool.maintenance) == (pytest.approx(initial), pytest.approx(maintenance))

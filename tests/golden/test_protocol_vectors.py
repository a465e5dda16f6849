"""Published numbers of on-chain systems, and what the venues' own interfaces answered."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from margrave.adapters.conform import Report, run
from margrave.adapters.conform.runner import judge
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Position
from margrave.domain.instruments import Instrument, Linear, Perpetual
from margrave.domain.market import Market, Quote
from margrave.engine.assess import assess
from margrave.liquidation import liquidations
from margrave.protocols.dydx import MILLION, Holding, LiquidityTier, account_risk
from margrave.protocols.dydx import Perpetual as DydxPerpetual
from margrave.rulebook.catalogue import in_force
from margrave.rulebook.ladders import Progressive, Tier, TierUnit
from tests.unit.made import AT, rules

PASSED = {"dydx": 101, "hyperliquid": 26, "opyn": 3, "paradex": 3, "synthetix_v3": 1}

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def report(shared: Path) -> Report:
    return run([shared / "vectors" / "defi.json"])


@pytest.mark.parametrize("venue", PASSED)
def test_every_vector_of_a_protocol_passes(report: Report, venue: str):
    mine = [r for r in report.results if r.vector.venue == venue]
    assert [f"{r.vector.id}: {r.detail}" for r in mine if r.outcome != "passed"] == []
    assert len(mine) >= PASSED[venue]


@pytest.mark.parametrize("venue", PASSED)
def test_a_number_that_is_moved_beyond_its_tolerance_is_noticed(report: Report, venue: str):
    blind = []
    for vector in (r.vector for r in report.results if r.vector.venue == venue):
        for output, published in vector.expected.items():
            moved = {**vector.expected, output: _moved(published, vector.tolerance)}
            if judge(replace(vector, expected=moved)).outcome == "passed":
                blind.append(f"{vector.id}: {output}")
    assert blind == []


def _moved(published: Any, tolerance: dict[str, Any]) -> Any:
    if isinstance(published, bool):
        return not published
    if isinstance(published, list):
        return [published[0] + 1, *published[1:]]
    if tolerance.get("exact"):
        return published + 1
    bound = max(tolerance.get("abs", 0.0), tolerance.get("rel", 0.0) * abs(float(published)))
    return float(published) + 3 * bound


def _perpetual(base: str) -> Instrument:
    return Instrument(
        symbol=f"{base}-USD",
        base=base,
        quote="USD",
        settlement="USDC",
        kind=Perpetual(),
        payoff=Linear(contract_size=1.0),
    )


def _payload(shared: Path, name: str) -> Any:
    return json.loads((shared / "data" / "accounts" / "payloads" / f"{name}.json").read_text())


def test_the_rulebook_has_the_rates_and_bounds_that_the_indexer_answered(shared: Path):
    markets = _payload(shared, "dydx__http_get_perpetual_markets")["result"]["markets"]
    book = in_force("dydx.v4@2025-12-08", AT)
    products = {base: p.model for p in book.products for base in p.match.bases}
    for ticker, told in markets.items():
        model = products[ticker.removesuffix("-USD")]
        (tier,) = book.ladders[model.ladder].tiers
        crowd = model.open_interest
        assert (tier.initial, tier.maintenance) == (
            float(told["initialMarginFraction"]),
            float(told["maintenanceMarginFraction"]),
        )
        assert float(told["openInterestLowerCap"]) == (0.0 if crowd is None else crowd.lower)
        assert float(told["openInterestUpperCap"]) == (0.0 if crowd is None else crowd.upper)


def test_an_account_in_recorded_markets_is_the_same_in_integers_and_under_the_rulebook(shared: Path):
    markets = _payload(shared, "dydx__http_get_perpetual_markets")["result"]["markets"]
    sizes = {"BTC": 0.75, "ETH": -12.5, "SOL": 310.4}
    holdings, positions, quotes, open_interest = [], [], {}, {}
    for base, size in sizes.items():
        told = markets[f"{base}-USD"]
        price, resolution = float(told["oraclePrice"]), told["atomicResolution"]
        unit = 10**-resolution
        tier = LiquidityTier(
            initial_ppm=round(float(told["initialMarginFraction"]) * MILLION),
            maintenance_fraction_ppm=600_000,
            open_interest_lower=int(told["openInterestLowerCap"]) * MILLION,
            open_interest_upper=int(told["openInterestUpperCap"]) * MILLION,
        )
        crowd = 4.0 * float(told["openInterest"])  # above the lower bound of SOL only if it is crowded
        market = DydxPerpetual(
            name=base,
            atomic_resolution=resolution,
            price=round(price * 10**5),
            exponent=-5,
            tier=tier,
            open_interest=round(crowd * unit),
        )
        holdings.append(Holding(perpetual=market, quantums=round(size * unit)))
        positions.append(Position(symbol=f"{base}-USD", quantity=size, entry=price))
        quotes[f"{base}-USD"], open_interest[f"{base}-USD"] = Quote(mark=price), crowd
    risk = account_risk(-50_000 * MILLION, holdings)
    cash = -50_000.0 + sum(p.quantity * p.entry for p in positions)
    account = Account(balances=(Balance(asset="USDC", amount=cash),), positions=tuple(positions))
    priced = Market(
        at=AT,
        instruments={f"{base}-USD": _perpetual(base) for base in sizes},
        quotes=quotes,
        index={"USDC": 1.0},
        open_interest=open_interest,
    )
    pool = assess(account, priced, in_force("dydx.v4@2025-12-08", AT)).pools[0]
    for number, quantums in (
        (pool.margin_balance, risk.net_collateral),
        (pool.initial, risk.initial),
        (pool.maintenance, risk.maintenance),
    ):
        assert number == pytest.approx(quantums / MILLION, abs=3e-6)


def test_the_isolated_position_of_hyperliquids_documentation(shared: Path):
    (row,) = _payload(shared, "hyperliquid__clearinghouseState_docs_sample")["assetPositions"]
    told = row["position"]
    size, entry, value = (float(told[name]) for name in ("szi", "entryPx", "positionValue"))
    ladder = Progressive(
        code="TEST-LADDER-001",
        unit=TierUnit.VALUE,
        tiers=(Tier(floor=0.0, maintenance=0.5 / told["maxLeverage"], max_leverage=told["maxLeverage"]),),
    )
    held = Position(
        symbol="ETH-USD",
        quantity=size,
        entry=entry,
        mode=MarginMode.ISOLATED,
        isolated_margin=size * entry + float(told["leverage"]["rawUsd"]),
    )
    account = Account(positions=(held,))
    market = Market(
        at=AT,
        instruments={"ETH-USD": _perpetual("ETH")},
        quotes={"ETH-USD": Quote(mark=value / size)},
        index={"USDC": 1.0},
    )
    pool = next(p for p in assess(account, market, rules(ladder)).pools if p.positions)
    assert pool.equity == pytest.approx(float(told["marginUsed"]), abs=5e-7)
    assert pool.positions[0].profit == pytest.approx(float(told["unrealizedPnl"]), abs=5e-5)
    found = next(p for p in liquidations(account, market, rules(ladder), "ETH") if p.bounds)
    shown = 1e-6 / (size * (1 - 0.5 / told["maxLeverage"]))  # what the last decimal of rawUsd moves the price
    assert found.bounds[0].exact == pytest.approx(float(told["liquidationPx"]), abs=shown)

"""Published and recomputed numbers of clearing-style portfolio margin: groups span and portfolio_margin_tims."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from margrave.margin.clearing.ranges import points_of, ranges_margin
from margrave.margin.clearing.risk_arrays import DELTA_WEIGHTS, PRICE_MULTIPLES, risk_arrays, scenarios_of
from margrave.margin.clearing.scan import scan_margin
from margrave.rulebook.clearing import (
    Amount,
    CalendarSpread,
    CommoditySpread,
    ExpiryTier,
    Extreme,
    OptionMinimum,
    PriceRisk,
    RangesModel,
    ScanModel,
    SpreadLeg,
    UnderlyingClass,
)
from tests.unit.margin.clearing import (
    DAY,
    NSE,
    commodity,
    from_profits,
    held,
    inverse,
    option,
    position,
    scan,
)

pytestmark = pytest.mark.shared

PRINTED = {"rel": 1e-9, "abs": 1e-8}  # ten digits are printed


@pytest.fixture(scope="module")
def vectors(shared: Path):
    return json.loads((shared / "vectors" / "reference.json").read_text(encoding="utf-8"))


@pytest.fixture
def span(vectors):
    return vectors["span"]


@pytest.fixture
def tims(vectors):
    return vectors["portfolio_margin_tims"]


# --- scenarios ---


def test_the_sixteen_scenarios(span):
    stated = span["scenario_definition"]
    made = scenarios_of(NSE)
    assert made.price[:14, 0] == pytest.approx(stated["price_multiples_of_scan_range"][:14], abs=5e-7)
    assert stated["price_multiples_of_scan_range"][14:] == ["+extreme", "-extreme"]
    assert made.price[14:, 0].tolist() == [2.0, -2.0]
    assert made.vol[:, 0].tolist() == stated["vol_multiples"]


@pytest.mark.parametrize(("row", "extreme"), [(0, NSE), (1, Extreme(multiple=3.0, fraction=0.33))])
def test_the_extreme_conventions(span, row, extreme):
    product = span["scenario_definition"]["extreme_conventions"][row]["weight_times_multiple"]
    made = scenarios_of(extreme)
    assert (made.price * made.weight)[14:, 0] == pytest.approx([product, -product], rel=1e-12)


def test_the_delta_weights(span):
    weights = dict(zip(PRICE_MULTIPLES, DELTA_WEIGHTS, strict=True))
    for label, weight in span["synthetic_btc"]["delta_weights"].items():
        move = {"0": 0.0, "+-1/3": 1 / 3, "+-2/3": 2 / 3, "+-1": 1.0}[label]
        assert weights[move] == weights[-move] == weight


# --- covered write ---


def test_the_covered_write(span):
    stated = span["covered_write_1990s_sp500"]
    model = from_profits(FUT=stated["pnl_long_future"], CALL=stated["pnl_long_dec410_call"])
    future, call = position("FUT", 1.0, 400.0), option("CALL", -1.0, 400.0)
    (both,) = scan_margin(model, held(future, call)).commodities
    assert (-both.losses.sum(axis=1)).tolist() == stated["pnl_long_future_short_call"]
    assert both.scan == stated["scan_risk_covered_write"]
    assert both.active == stated["active_scenario"]
    derived = stated["derived"]
    assert both.vol_adjusted == derived["vol_adjusted_scan_risk"]
    assert both.time_risk == derived["time_risk"]
    assert both.price_risk == derived["price_risk"]
    assert both.vol_risk == derived["volatility_risk"]
    assert scan_margin(model, held(future)).maintenance == stated["scan_risk_future"]
    (alone,) = scan_margin(model, held(option("CALL", 1.0, 400.0))).commodities
    assert alone.scan == stated["scan_risk_long_call"]


# --- arrays ---


def test_the_nifty_future(span):
    # The price range times carry, and the change over the look-ahead, as the reconstruction reads them.
    stated = span["nse_nifty_future_array"]
    index = commodity(price_range=Amount(value=2235.635), drift=Amount(value=-8.72))
    losses = risk_arrays(scan(index), index, held(position("NIFTY", 1.0, 24_000.0))).losses[:, 0]
    assert losses == pytest.approx(stated["recomputed"], abs=0.005 + 1e-9)
    assert losses == pytest.approx(stated["array_losses_for_long"], abs=0.01)
    assert stated["price_scan_range"] * 1.000727 == pytest.approx(2235.635, abs=0.005)


def btc_call(quantity: float, mark: float = 2237.868155):
    return option("CALL", quantity, 60_000.0, strike=65_000.0, is_call=True, mark=mark)


def test_the_synthetic_arrays(span):
    stated = span["synthetic_btc"]
    model, rule = scan(), commodity()
    rows = held(position("FUT", 1.0, 60_000.0), btc_call(1.0))
    arrays = risk_arrays(model, rule, rows)
    assert arrays.losses[:, 0] == pytest.approx(stated["loss_long_future_usd"], **PRINTED)
    assert arrays.losses[:, 1] == pytest.approx(stated["loss_long_call_usd"], **PRINTED)
    assert arrays.delta == pytest.approx([1.0, stated["composite_delta_call"]], rel=1e-9)


def test_the_synthetic_inverse(span):
    stated = span["synthetic_btc"]
    coin = held(inverse("INV", 100_000.0, 60_000.0), currency="BTC")
    losses = risk_arrays(scan(), commodity(), coin).losses[:, 0] * 100_000.0
    assert losses == pytest.approx(stated["loss_long_inverse_100k_usd_contracts_in_btc"], rel=1e-9, abs=1e-12)
    assert scan_margin(scan(), coin).maintenance == pytest.approx(stated["inverse_scan_risk_btc"], rel=1e-9)


def test_the_synthetic_covered_write(span):
    stated = span["synthetic_btc"]
    (both,) = scan_margin(scan(), held(position("FUT", 1.0, 60_000.0), btc_call(-1.0))).commodities
    assert both.losses.sum(axis=1) == pytest.approx(stated["loss_long_future_short_call_usd"], **PRINTED)
    assert both.active == stated["active_scenario"]
    for ours, theirs in (
        (both.scan, "scan_risk"),
        (both.vol_adjusted, "vol_adjusted_scan_risk"),
        (both.time_risk, "time_risk"),
        (both.price_risk, "price_risk"),
        (both.option_value, "call_price"),
    ):
        sign = -1.0 if theirs == "call_price" else 1.0
        assert ours == pytest.approx(sign * stated[theirs], rel=1e-9)


# --- spreads ---


def test_the_credit_between_commodities(span):
    stated = span["intercommodity_example"]
    given, ratio = stated["inputs"], stated["inputs"]["spread"]
    rules, rows = [], []
    for name, price in (("BTC", 60_000.0), ("ETH", 3_000.0)):
        own = given[name.lower()]
        reach = Amount(value=own["price_scan_range"])
        rules.append(commodity(name, price_range=reach, price_risk=PriceRisk.NORMAL))
        rows.append(position(name, own["net_delta"], price, base=name))
    legs = tuple(
        SpreadLeg(commodity=rule.name, ratio=ratio[rule.name.lower()], opposite=opposite)
        for rule, opposite in zip(rules, (False, True), strict=True)
    )
    spread = CommoditySpread(code="TEST-SPREAD", legs=legs, rate=ratio["credit_rate"])
    margin = scan_margin(scan(*rules, spreads=(spread,)), held(*rows))
    for part in margin.commodities:
        name = part.rule.name.lower()
        assert part.scan == pytest.approx(stated["scan_risk"][name], rel=1e-12)
        assert part.delta_risk == pytest.approx(stated["weighted_futures_price_risk"][name], rel=1e-12)
        assert part.credits[0].formed.count == stated["spreads_formed"]
        assert part.credit == pytest.approx(stated["credit"][name], rel=1e-12)
    assert margin.maintenance == pytest.approx(stated["total"], rel=1e-12)


def test_the_calendar_charge(span):
    stated = span["intracommodity_example"]
    given = stated["inputs"]
    spread = CalendarSpread(
        code="TEST-CAL", tiers=("near", "far"), rate=Amount(value=given["charge_per_spread"])
    )
    tiers = (ExpiryTier(name="near", days_max=40.0), ExpiryTier(name="far"))
    rule = commodity(price_range=Amount(value=given["price_scan_range"]), tiers=tiers, spreads=(spread,))
    near = position("NEAR", given["near_delta"], 60_000.0, days=30.0)
    far = position("FAR", given["far_delta"], 60_000.0, days=90.0)
    margin = scan_margin(scan(rule), held(near, far))
    (part,) = margin.commodities
    assert part.scan == pytest.approx(stated["scan_risk"], rel=1e-12)
    assert part.calendar[0].formed.count == stated["spreads"]
    assert part.calendar[0].amount == stated["charge"]
    assert margin.maintenance == pytest.approx(stated["total"], rel=1e-12)


# --- ranges ---


def equity(tims) -> RangesModel:
    down, up = tims["ranges"]["equity / narrow / sector index"]
    minimum = OptionMinimum(code="TEST-MIN", rate=Amount(value=tims["minimum_per_option"]))
    rule = UnderlyingClass(name="equity", code="TEST-EQ", down=-down, up=up)
    return RangesModel(code="TEST-PM", classes=(rule,), minimum=minimum)


def put(tims, quantity: float):
    given = tims["inputs"]
    terms = {"strike": given["K"], "vol": given["vol"], "years": 30.0 * DAY, "mark": 1.6}
    return option("PUT", quantity, given["S"], a=float(given["multiplier"]), **terms)


def test_the_valuation_points(tims):
    (rule,) = equity(tims).classes
    assert points_of(rule, 5) == pytest.approx(tims["valuation_points"], rel=1e-12)


@pytest.mark.parametrize("name", ["long_100_shares_long_1_put", "short_1_put"])
def test_ranges(tims, name):
    rows = {
        "long_100_shares_long_1_put": [position("SHARE", 100.0, tims["inputs"]["S"]), put(tims, 1.0)],
        "short_1_put": [put(tims, -1.0)],
    }[name]
    margin = ranges_margin(equity(tims), held(*rows))
    profit = np.sum([part.net for group in margin.groups for part in group.classes], axis=0)
    assert profit == pytest.approx(tims[name]["pnl"], rel=1e-9)
    assert margin.maintenance == pytest.approx(tims[name]["margin"], rel=1e-9)


def test_a_published_range_has_its_ends(tims):
    for down, up in tims["ranges"].values():
        points = points_of(UnderlyingClass(name="c", code="TEST-C", down=-down, up=up), 5)
        assert [points[0], points[-1], len(points)] == [pytest.approx(down), pytest.approx(up), 10]


def test_parameters_are_data(span):
    """The covered write again, its arrays read as a parameter file would give them."""
    stated = span["covered_write_1990s_sp500"]
    arrays = {
        symbol: {"losses": [-p for p in stated[name]], "delta": 1.0}
        for symbol, name in (("FUT", "pnl_long_future"), ("CALL", "pnl_long_dec410_call"))
    }
    tree = {"model": "scan", "code": "T-1", "extreme": {"multiple": 1.4, "fraction": 1.0}, "arrays": arrays}
    tree["commodities"] = [{"name": "SP", "code": "T-SP", "price_risk": "normal"}]
    model = msgspec.json.decode(json.dumps(tree), type=ScanModel)
    margin = scan_margin(model, held(position("FUT", 1.0, 400.0), option("CALL", -1.0, 400.0)))
    assert margin.commodities[0].scan == stated["scan_risk_covered_write"]

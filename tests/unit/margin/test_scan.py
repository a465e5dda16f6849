"""Scan margin: figures that clearing 1.1 prints, and every charge and credit by itself."""

import numpy as np
import pytest

from margrave.core.errors import Reason
from margrave.margin.clearing.ranges import ranges_issues
from margrave.margin.clearing.risk_arrays import risk_arrays, scenarios_of
from margrave.margin.clearing.scan import scan_issues, scan_margin, scan_requirement
from margrave.margin.clearing.scan_columns import tier_of
from margrave.margin.requirement import discrepancy
from margrave.rulebook.clearing import (
    Amount,
    CalendarSpread,
    CommoditySpread,
    DeliveryCharge,
    DeltaRun,
    ExpiryTier,
    Extreme,
    PriceRisk,
    RangesModel,
    RiskArray,
    Share,
    ShortCount,
    ShortOptionMinimum,
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

BTC = 60_000.0


def only(model, *rows, currency="USD"):
    (part,) = scan_margin(model, held(*rows, currency=currency)).commodities
    return part


# --- scan: clearing 1.1, checks ---


def test_the_covered_write():
    # McMillan ch. 34: scan 6,620 in scenario 13, vol-adjusted 6,315, time -75, price 6,390, vol 305.
    profits = [-460.0, 610.0, *[0.0] * 10, -6_620.0, -6_010.0, 0.0, 0.0]
    part = only(from_profits(WRITE=profits), position("WRITE", 1.0, 400.0))
    assert (part.scan, part.active) == (6_620.0, 13)
    assert (part.vol_adjusted, part.time_risk, part.price_risk, part.vol_risk) == (6_315, -75, 6_390, 305)


def test_inverse_contracts_in_coin():
    # F 60,000, range 9,000, 100,000 USD long: +0.2174 BTC up, -0.2941 BTC down.
    coin = held(inverse("INV", 100_000.0, BTC), currency="BTC")
    losses = risk_arrays(scan(), commodity(), coin).losses[:, 0] * 100_000.0
    assert -losses[10] == pytest.approx(0.2174, abs=5e-5)
    assert -losses[12] == pytest.approx(-0.2941, abs=5e-5)
    long, short = (only(scan(), inverse("INV", q, BTC), currency="BTC").scan for q in (1e5, -1e5))
    assert (long, short) == (pytest.approx(0.2941, abs=5e-5), pytest.approx(0.2174, abs=5e-5))


def test_the_nifty_array_is_twice_the_range_at_35_per_cent():
    # loss_j = w_j (8.72 - m_j 2235.635), to the cent of the published array.
    index = commodity(price_range=Amount(value=2235.635), drift=Amount(value=-8.72))
    losses = risk_arrays(scan(index), index, held(position("NIFTY", 1.0, 24_000.0))).losses[:, 0]
    published = {
        1: 8.72,
        3: -736.49,
        5: 753.93,
        7: -1481.7,
        9: 1499.14,
        11: -2226.91,
        13: 2244.36,
        15: -1561.89,
    }
    for scenario, loss in (published | {16: 1568.0}).items():
        assert losses[scenario - 1] == pytest.approx(loss, abs=0.0101)


@pytest.mark.parametrize(("multiple", "fraction", "counted"), [(2.0, 0.35, 6_300.0), (3.0, 0.33, 8_910.0)])
def test_both_extreme_conventions_are_parameters(multiple, fraction, counted):
    model = scan(extreme=Extreme(multiple=multiple, fraction=fraction))
    losses = only(model, position("FUT", 1.0, BTC)).losses[:, 0]
    assert losses[[14, 15]] == pytest.approx([-counted, counted])


def test_a_tie_goes_to_the_lower_scenario():
    assert only(scan(), position("FUT", 1.0, BTC)).active == 13
    assert only(scan(), position("FUT", -1.0, BTC)).active == 11


def test_the_extreme_is_its_own_pair():
    model = scan(extreme=Extreme(multiple=2.0, fraction=1.0))
    part = only(model, position("FUT", 1.0, BTC))
    assert (part.active, part.scan, part.vol_adjusted, part.vol_risk) == (16, 18_000.0, 18_000.0, 0.0)


def test_gains_in_every_scenario_are_no_negative_scan():
    gains = from_profits(GAIN=[5.0] * 16)
    part = only(gains, position("GAIN", 1.0, 400.0))
    assert (part.scan, part.active, part.delta_risk) == (0.0, 1, 0.0)


def test_an_array_that_is_given_replaces_the_computed_one():
    array = RiskArray(losses=(100.0,) * 16, delta=0.5)
    part = only(scan(arrays={"FUT": array}), position("FUT", -2.0, BTC), position("OTHER", 1.0, BTC))
    assert part.losses[:, 0].tolist() == [-200.0] * 16
    assert part.net_delta == pytest.approx(0.0)


def test_a_given_array_is_converted_into_the_pools_currency():
    array = RiskArray(losses=(0.1,) * 16, delta=1.0)
    part = only(scan(arrays={"INV": array}), inverse("INV", 1.0, BTC, rate=BTC, settlement="USD"))
    assert part.scan == pytest.approx(6_000.0)


def test_ranges_may_be_shares():
    rule = commodity(price_range=Share(value=0.15), vol_range=Amount(value=0.15))
    call = option("CALL", 1.0, BTC, is_call=True)
    amounts = risk_arrays(scan(), commodity(), held(call))
    shares = risk_arrays(scan(rule), rule, held(call))
    assert shares.losses == pytest.approx(amounts.losses)  # a quarter of 0.6, and 15 % of 60,000


def test_a_vol_ends_at_zero():
    rule = commodity(vol_range=Share(value=2.0))
    losses = risk_arrays(scan(rule), rule, held(option("CALL", 1.0, BTC, is_call=True))).losses
    assert np.isfinite(losses).all()


def test_an_option_is_revalued_one_look_ahead_later():
    rule = commodity(price_range=Amount(value=1e-9), vol_range=Amount(value=0.0))
    call = option("CALL", 1.0, BTC, is_call=True, years=30 * DAY)
    losses = {
        ahead: only(scan(rule, look_ahead_years=ahead), call).losses[0, 0] for ahead in (0.0, DAY, 90 * DAY)
    }
    assert losses[0.0] == pytest.approx(0.0, abs=1e-6)
    assert losses[DAY] > 0
    # At the money Black-76 is worth about F s / sqrt(2 pi): all of it is gone past the expiry.
    assert losses[90 * DAY] == pytest.approx(BTC * 0.6 * np.sqrt(30 * DAY / (2 * np.pi)), rel=2e-3)


def test_a_coin_option_scans_in_coin():
    # Put-call parity in coin: c - p = 1 - K/F, so a collar has the losses of an inverse future and a coin.
    terms = {"in_coin": True, "settlement": "BTC", "strike": 65_000.0}
    call = option("CALL", 1.0, BTC, is_call=True, **terms)
    put = option("PUT", -1.0, BTC, **terms)
    future = inverse("INV", 65_000.0, BTC)
    collar = only(scan(), call, put, currency="BTC")
    alone = only(scan(), future, currency="BTC")
    assert collar.losses.sum(axis=1) == pytest.approx(alone.losses[:, 0], abs=1e-12)


# --- calendar and delivery ---

TIERS = (
    ExpiryTier(name="spot", days_max=2.0),
    ExpiryTier(name="near", days_max=40.0),
    ExpiryTier(name="far"),
    ExpiryTier(name="perpetual", perpetuals=True),
)


def calendar(*pairs: tuple[str, str, float], **parts):
    spreads = tuple(
        CalendarSpread(code=f"TEST-CAL-{k}", tiers=(a, b), rate=Amount(value=rate))
        for k, (a, b, rate) in enumerate(pairs)
    )
    return scan(commodity(tiers=TIERS, spreads=spreads, **parts))


def months(**deltas: float):
    days = {"spot": 1.0, "near": 20.0, "next": 35.0, "far": 90.0, "perpetual": np.inf}
    return [position(name, delta, BTC, days=days[name]) for name, delta in deltas.items()]


@pytest.mark.parametrize(
    ("pairs", "deltas", "charge"),
    [
        ([("near", "far", 500.0)], {"near": 10, "far": -6}, 3_000.0),
        ([("near", "far", 500.0)], {"near": 10, "far": 6}, 0.0),  # same sign
        ([("near", "far", 500.0)], {"spot": 10, "far": -6}, 0.0),  # no rule for it
        (
            [("near", "far", 500.0), ("near", "perpetual", 90.0)],
            {"near": 8, "far": -6, "perpetual": -6},
            3_180.0,
        ),
        (
            [("near", "perpetual", 90.0), ("near", "far", 500.0)],
            {"near": 8, "far": -6, "perpetual": -6},
            1_540.0,
        ),
        ([("near", "near", 40.0)], {"near": 10, "next": -4}, 160.0),  # inside one tier
        ([("near", "far", 500.0)], {"near": 10, "next": -4, "far": -2}, 1_000.0),
    ],
)
def test_calendar_charges(pairs, deltas, charge):
    assert sum(s.amount for s in only(calendar(*pairs), *months(**deltas)).calendar) == pytest.approx(charge)


def test_a_tier_may_be_netted_first():
    model = calendar(("near", "far", 500.0), spread_between=DeltaRun.TIER)
    deltas = {"near": 10.0, "next": -10.0, "far": -2.0}
    assert only(model, *months(**deltas)).calendar == ()
    by_expiry = only(calendar(("near", "far", 500.0)), *months(**deltas))
    assert by_expiry.calendar[0].amount == 1_000.0


def test_ratios_of_a_calendar_spread():
    spread = CalendarSpread(
        code="TEST-CAL", tiers=("near", "far"), rate=Amount(value=10.0), ratios=(2.0, 1.0)
    )
    (formed,) = only(scan(commodity(tiers=TIERS, spreads=(spread,))), *months(near=10, far=-6)).calendar
    assert (formed.formed.count, formed.formed.deltas, formed.amount) == (5.0, (10.0, 5.0), 50.0)


def test_a_rate_may_be_a_share_of_the_worth_of_a_delta():
    spread = CalendarSpread(code="TEST-CAL", tiers=("near", "far"), rate=Share(value=0.01))
    model = scan(commodity(tiers=TIERS, spreads=(spread,)))
    assert only(model, *months(near=1, far=-1)).calendar[0].amount == pytest.approx(600.0)
    coins = [inverse("NEAR", BTC, BTC, days=20.0), inverse("FAR", -BTC, BTC, days=90.0)]
    assert only(model, *coins, currency="BTC").calendar[0].amount == pytest.approx(0.01)


def test_delivery_is_split_between_spread_and_outright_delta():
    delivery = DeliveryCharge(
        code="TEST-DEL", tier="spot", spread=Amount(value=10.0), outright=Amount(value=100.0)
    )
    part = only(calendar(("spot", "far", 1.0), delivery=delivery), *months(spot=10, far=-4))
    assert part.delivery == pytest.approx(4 * 10.0 + 6 * 100.0)


@pytest.mark.parametrize(
    ("days", "tier"), [(0.0, "spot"), (2.0, "spot"), (40.0, "near"), (41.0, "far"), (np.inf, "perpetual")]
)
def test_tiers(days, tier):
    assert tier_of(TIERS, days) == tier


def test_no_tier_reaches():
    assert tier_of(TIERS[:2], 50.0) == tier_of(TIERS[:2], np.inf) == ""


# --- credit between commodities ---


def legs(*ratios: tuple[str, float, bool], rate: float = 0.7):
    made = tuple(
        SpreadLeg(commodity=name, ratio=ratio, opposite=opposite) for name, ratio, opposite in ratios
    )
    return CommoditySpread(code="TEST-X", legs=made, rate=rate)


PAIR = legs(("BTC", 1.0, False), ("ETH", 15.0, True))


def majors(*spreads, **parts):
    eth = commodity("ETH", price_range=Amount(value=600.0), **parts)
    sol = commodity("SOL", price_range=Amount(value=30.0), **parts)
    return scan(commodity("BTC", **parts), eth, sol, spreads=spreads)


def coins(**deltas: float):
    prices = {"BTC": BTC, "ETH": 3_000.0, "SOL": 150.0}
    return held(*(position(name, delta, prices[name], base=name) for name, delta in deltas.items()))


@pytest.mark.parametrize(
    ("spreads", "deltas", "credit"),
    [
        ([PAIR], {"BTC": 10, "ETH": -150}, 126_000.0),
        ([PAIR], {"BTC": -10, "ETH": 150}, 126_000.0),  # either way round
        ([PAIR], {"BTC": 10, "ETH": 150}, 0.0),  # the wrong sides
        ([PAIR], {"BTC": 10}, 0.0),
        ([PAIR, PAIR], {"BTC": 10, "ETH": -150}, 126_000.0),  # consumed once
        ([PAIR], {"BTC": 10, "ETH": -75}, 63_000.0),
        # Five of them: 0.5 x 5 x (9,000 + 10 x 600 + 100 x 30).
        ([legs(("BTC", 1, False), ("ETH", 10, True), ("SOL", 100, True), rate=0.5)], {"BTC": 10, "ETH": -50, "SOL": -900}, 45_000.0),
    ],
)  # fmt: skip
def test_credits(spreads, deltas, credit):
    margin = scan_margin(majors(*spreads), coins(**deltas))
    assert sum(part.credit for part in margin.commodities) == pytest.approx(credit)


def test_the_first_spread_has_priority():
    cheap = legs(("BTC", 1.0, False), ("SOL", 300.0, True), rate=0.1)
    margin = scan_margin(majors(cheap, PAIR), coins(BTC=10, ETH=-150, SOL=-3_000))
    assert [part.credit for part in margin.commodities] == pytest.approx([9_000.0, 0.0, 9_000.0])


@pytest.mark.parametrize(
    ("variant", "risk"),
    [(PriceRisk.NORMAL, 18_000.0), (PriceRisk.SCANRANGE, 9_000.0), (PriceRisk.SCANRANGE_CAP, 9_000.0)],
)
def test_price_risk_variants(variant, risk):
    # Full extremes: the price risk of one delta is twice the range.
    model = scan(commodity(price_risk=variant), extreme=Extreme(multiple=2.0, fraction=1.0))
    assert only(model, position("FUT", -3.0, BTC)).delta_risk == pytest.approx(risk)


def test_the_cap_leaves_a_smaller_risk():
    rows = (position("FUT", 1.0, BTC), option("CALL", -1.0, BTC, is_call=True))
    normal = only(scan(commodity(price_risk=PriceRisk.NORMAL)), *rows)
    assert normal.delta_risk == pytest.approx(normal.price_risk / abs(normal.net_delta))
    capped = only(scan(), *rows)
    assert capped.delta_risk == pytest.approx(min(normal.delta_risk, 9_000.0))


def test_an_inverse_scan_range_is_counted_in_coin():
    rule = commodity(price_risk=PriceRisk.SCANRANGE)
    part = only(scan(rule), inverse("INV", BTC, BTC), currency="BTC")
    assert (part.net_delta, part.delta_risk) == (pytest.approx(1.0), pytest.approx(0.15))


def test_no_delta_no_risk_of_a_delta():
    part = only(
        scan(commodity(price_risk=PriceRisk.NORMAL)), position("A", 1.0, BTC), position("B", -1.0, BTC)
    )
    assert (part.net_delta, part.delta_risk) == (0.0, 0.0)
    assert (
        only(scan(commodity(price_risk=PriceRisk.SCANRANGE)), position("A", 0.0, BTC)).delta_risk == 9_000.0
    )


# --- minimum, option value, levels ---


@pytest.mark.parametrize(
    ("count", "rate", "least"),
    [
        (ShortCount.GROSS, Amount(value=10.0), 50.0),
        (ShortCount.LARGER, Amount(value=10.0), 30.0),
        (ShortCount.GROSS, Share(value=0.001), 5 * 6.0),
    ],
)
def test_short_option_minimum(count, rate, least):
    rule = commodity(short_option_minimum=ShortOptionMinimum(code="TEST-SOM", rate=rate, count=count))
    far = {"strike": BTC, "vol": 0.01, "a": 0.1}
    rows = [option("C", -2.0, BTC, is_call=True, **far), option("P", -3.0, BTC, **far)]
    rows += [option("LONG", 4.0, BTC, **far), position("FUT", -1.0, BTC)]
    assert only(scan(rule), *rows).short_minimum == pytest.approx(least)


def test_the_minimum_binds_over_scan_and_credits():
    rule = commodity(short_option_minimum=ShortOptionMinimum(code="TEST-SOM", rate=Amount(value=1e6)))
    part = only(scan(rule), option("CALL", -1.0, BTC, is_call=True, mark=100.0))
    assert part.risk == 1e6
    assert part.requirement == pytest.approx(1e6 + 100.0)  # the short premium is owed besides


def test_option_value_is_credited_where_premiums_are_paid_at_once():
    long = option("CALL", 2.0, BTC, is_call=True, mark=4_000.0)
    assert only(scan(), long).option_value == 8_000.0
    assert scan_margin(scan(), held(long)).maintenance == 0.0
    later = only(scan(premium_style=False), long)
    assert later.option_value == 0.0
    assert later.requirement == later.scan > 0


def test_initial_is_a_multiple_of_maintenance():
    margin = scan_margin(scan(initial_over_maintenance=1.1), held(position("FUT", 1.0, BTC)))
    assert (margin.maintenance, margin.initial) == (pytest.approx(9_000.0), pytest.approx(9_900.0))


def test_the_tree_names_what_binds():
    model = majors(PAIR)
    margin = scan_margin(model, coins(BTC=10, ETH=-150))
    initial, maintenance = (scan_requirement(model, margin, level) for level in (0, 1))
    assert initial.amount == maintenance.amount == pytest.approx(54_000.0)
    assert discrepancy(initial) == discrepancy(maintenance) == 0.0
    nodes = {node.label: node for _, node in initial.walk()}
    assert nodes["credit BTC / ETH"].code == "TEST-X"
    assert "TEST-SCAN-BTC" in {node.code for _, node in initial.walk() if node.label == "BTC"}
    assert nodes["losses in scenario 13"].amount == pytest.approx(90_000.0)
    assert nodes["risk"].binds == "scan, charges and credits"


def test_the_tree_of_every_charge():
    delivery = DeliveryCharge(
        code="TEST-DEL", tier="spot", spread=Amount(value=1.0), outright=Amount(value=2.0)
    )
    minimum = ShortOptionMinimum(code="TEST-SOM", rate=Amount(value=1.0))
    model = calendar(("spot", "far", 5.0), delivery=delivery, short_option_minimum=minimum)
    margin = scan_margin(model, held(*months(spot=3, far=-2), option("C", -1.0, BTC, mark=50.0)))
    tree = scan_requirement(model, margin, 1)
    assert discrepancy(tree) < 1e-12
    codes = {node.code for _, node in tree.walk()}
    assert {"TEST-SCAN", "TEST-SCAN-BTC", "TEST-CAL-0", "TEST-DEL", "TEST-SOM"} <= codes


# --- what is not known ---


@pytest.mark.parametrize(
    ("row", "rule", "reason"),
    [
        (position("X", 1.0, BTC, base="DOGE"), commodity(), Reason.NO_RULE),
        (position("X", 1.0, BTC, settlement="EUR"), commodity(settlements=("USD",)), Reason.NO_RULE),
        (position("X", 1.0, np.nan), commodity(), Reason.MISSING_MARK),
        (position("X", 1.0, BTC, rate=np.nan), commodity(), Reason.MISSING_MARK),
        (option("X", 1.0, BTC, mark=np.nan), commodity(), Reason.MISSING_MARK),
        (option("X", 1.0, BTC, vol=np.nan), commodity(), Reason.MISSING_VOL),
        (position("X", 1.0, BTC), commodity(price_range=None, price_risk=PriceRisk.NORMAL), Reason.NO_RULE),
        (option("X", 1.0, BTC), commodity(vol_range=None), Reason.NO_RULE),
        (position("X", 1.0, 10_000.0), commodity(), Reason.CONTRADICTION),
        (option("X", -1.0, 10_000.0), commodity(), Reason.CONTRADICTION),
    ],
)
def test_what_is_not_known_is_never_a_number(row, rule, reason):
    rows = held(position("FUT", 1.0, BTC), row)
    issues = [i for i in scan_issues(scan(rule), rows) if i.where == "X"]
    assert [issue.reason for issue in issues] == [reason]
    margin = scan_margin(scan(rule), rows)
    assert np.isnan(margin.maintenance)
    assert np.isnan(margin.initial)


def test_what_is_known_has_no_issue():
    known = held(position("FUT", 1.0, BTC), option("CALL", -1.0, BTC), inverse("INV", 1.0, BTC))
    assert scan_issues(scan(commodity(bases=())), known) == ()


def test_a_given_array_needs_no_vol_and_no_range():
    array = RiskArray(losses=(1.0,) * 16, delta=0.5)
    model = scan(commodity(price_range=None, price_risk=PriceRisk.NORMAL), arrays={"X": array})
    rows = held(option("X", 1.0, BTC, vol=np.nan, mark=0.25))
    assert scan_issues(model, rows) == ()
    assert scan_margin(model, rows).maintenance == 0.75


def test_a_future_needs_no_vol_range():
    assert only(scan(commodity(vol_range=None)), position("FUT", 1.0, BTC)).scan == 9_000.0


def test_an_empty_pool_asks_nothing():
    margin = scan_margin(scan(), held())
    assert (margin.maintenance, margin.initial, margin.commodities) == (0.0, 0.0, ())
    tree = scan_requirement(scan(), margin, 0)
    assert tree.amount == 0.0
    assert (
        ranges_issues(
            RangesModel(code="T", classes=(UnderlyingClass(name="c", code="T", down=0.1, up=0.1),)), held()
        )
        == ()
    )


def test_scenarios_are_sixteen():
    made = scenarios_of(NSE)
    assert made.price.shape == made.vol.shape == made.weight.shape == (16, 1)
    assert made.weight[:, 0].tolist() == [1.0] * 14 + [0.35] * 2


# --- the rows of the specification ---


def test_pmm_2_price_and_vol_scan_two_extremes_short_option_minimum_and_calendar_charge():
    """Specification PMM-2: every part of a scan in one account, extremes of three times the range at 33 %."""
    extreme = Extreme(multiple=3.0, fraction=0.33)
    least = ShortOptionMinimum(code="TEST-SOM", rate=Amount(value=25.0))
    spread = CalendarSpread(code="TEST-CAL", tiers=("near", "far"), rate=Amount(value=500.0))
    model = scan(
        commodity(tiers=TIERS, spreads=(spread,), short_option_minimum=least),
        extreme=extreme,
        look_ahead_years=0.0,
    )
    scenarios = scenarios_of(extreme)
    assert scenarios.price[:14:2, 0] == pytest.approx([0.0, 1 / 3, -1 / 3, 2 / 3, -2 / 3, 1.0, -1.0])
    assert scenarios.vol[:14, 0].tolist() == [1.0, -1.0] * 7
    assert [c[14:, 0].tolist() for c in (scenarios.price, scenarios.vol, scenarios.weight)] == [
        [3.0, -3.0],
        [0.0, 0.0],
        [0.33, 0.33],
    ]
    # Two futures against each other, and a call so far out that only an extreme reaches it.
    near, far = (position(name, q, BTC, days=d) for name, q, d in (("near", 10.0, 20.0), ("far", -6.0, 90.0)))
    call = option("CALL", -4.0, BTC, is_call=True, strike=80_000.0, vol=0.05, days=20.0, mark=0.0)
    part = only(model, near, far, call)
    price = [0.0, 3_000.0, -3_000.0, 6_000.0, -6_000.0, 9_000.0, -9_000.0]
    assert part.losses[:14, 0] == pytest.approx([-10.0 * p for p in price for _ in range(2)])
    assert part.losses[14:, 0] == pytest.approx([-10.0 * 27_000.0 * 0.33, 10.0 * 27_000.0 * 0.33])
    assert part.losses[:14, 2] == pytest.approx([0.0] * 14, abs=1e-6)
    assert part.losses[14:, 2] == pytest.approx([4.0 * 7_000.0 * 0.33, 0.0], abs=1e-6)
    # One range down binds for the futures, four net: 9,000 each is more than 33 % of 27,000.
    assert (part.active, part.scan) == (13, pytest.approx(36_000.0))
    assert [(c.code, c.amount) for c in part.calendar] == [("TEST-CAL", pytest.approx(6.0 * 500.0, abs=1e-6))]
    assert part.short_minimum == 4.0 * 25.0
    assert part.requirement == pytest.approx(36_000.0 + 3_000.0, abs=1e-6)
    # Alone the calls are scanned by the extreme; at the money a vol that rises costs, and one that falls pays.
    assert only(model, call).scan == pytest.approx(4.0 * 7_000.0 * 0.33, abs=1e-6)
    at_money = only(model, option("C", -1.0, BTC, is_call=True, mark=0.0))
    assert at_money.losses[0, 0] > 0.0 > at_money.losses[1, 0]
    small = scan(commodity(short_option_minimum=least), extreme=Extreme(multiple=3.0, fraction=0.0))
    assert only(small, call).requirement == pytest.approx(100.0, abs=1e-6)

"""Laws of clearing-style margin, for every portfolio and not only for the examples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.kernels.black76 import quote_price
from margrave.margin.clearing.held import Held
from margrave.margin.clearing.ranges import ranges_margin, ranges_requirement
from margrave.margin.clearing.scan import scan_margin, scan_requirement
from margrave.margin.clearing.spreads import Runs, calendar_spreads
from margrave.margin.requirement import discrepancy
from margrave.rulebook.clearing import (
    Amount,
    CalendarSpread,
    CommoditySpread,
    DeliveryCharge,
    ExpiryTier,
    OptionMinimum,
    ProductGroup,
    RangesModel,
    ShortOptionMinimum,
    SpreadLeg,
    UnderlyingClass,
)
from tests.unit.margin.clearing import DAY, commodity, held, inverse, option, position, scan

CLOSE = {"rel": 1e-9, "abs": 1e-6}
PRICES = {"BTC": 60_000.0, "ETH": 3_000.0}
QUANTITY = st.floats(-20.0, 20.0).filter(lambda q: abs(q) > 1e-6)
TIERS = (
    ExpiryTier(name="near", days_max=40.0),
    ExpiryTier(name="far"),
    ExpiryTier(name="perpetual", perpetuals=True),
)


def commodities():
    spreads = (
        CalendarSpread(code="TEST-CAL-1", tiers=("near", "far"), rate=Amount(value=50.0)),
        CalendarSpread(code="TEST-CAL-2", tiers=("near", "near"), rate=Amount(value=20.0)),
    )
    delivery = DeliveryCharge(
        code="TEST-DEL", tier="near", spread=Amount(value=1.0), outright=Amount(value=2.0)
    )
    minimum = ShortOptionMinimum(code="TEST-SOM", rate=Amount(value=100.0))
    parts = {"tiers": TIERS, "spreads": spreads, "delivery": delivery, "short_option_minimum": minimum}
    return commodity("BTC", **parts), commodity("ETH", price_range=Amount(value=600.0), **parts)


LEGS = (SpreadLeg(commodity="BTC", ratio=1.0), SpreadLeg(commodity="ETH", ratio=15.0, opposite=True))
WHOLE = scan(*commodities(), spreads=(CommoditySpread(code="TEST-X", legs=LEGS, rate=0.7),))
BARE = scan(commodity("BTC"), commodity("ETH", price_range=Amount(value=600.0)))
RANGES = RangesModel(
    code="TEST-PM",
    classes=tuple(
        UnderlyingClass(name=name, code=f"TEST-{name}", down=0.1, up=0.08, bases=(name,), group="coins")
        for name in PRICES
    ),
    groups=(ProductGroup(name="coins", code="TEST-G", offset=0.75),),
    minimum=OptionMinimum(code="TEST-MIN", rate=Amount(value=0.375)),
)
ALONE = RangesModel(code="TEST-PM", classes=RANGES.classes[:1])


@st.composite
def an_option(draw, base="BTC", quantity=QUANTITY):
    forward = PRICES[base]
    call, strike = draw(st.booleans()), forward * draw(st.floats(0.7, 1.4))
    vol, years = draw(st.floats(0.2, 1.5)), draw(st.floats(2.0, 200.0)) * DAY
    terms = {"strike": strike, "vol": vol, "years": years, "is_call": call}
    mark = float(quote_price(forward, strike, vol, years, call))
    return option("OPT", draw(quantity), forward, base=base, mark=mark, **terms)


@st.composite
def a_future(draw, base="BTC"):
    days = draw(st.sampled_from([10.0, 30.0, 90.0, 180.0, np.inf]))
    if draw(st.booleans()):
        return position("FUT", draw(QUANTITY), PRICES[base], base=base, days=days)
    quantity = draw(QUANTITY) * PRICES[base]
    return inverse("INV", quantity, PRICES[base], base=base, days=days, rate=PRICES[base], settlement="USD")


def portfolio(*bases):
    kinds = [kind(base) for base in bases or PRICES for kind in (a_future, an_option)]
    return st.lists(st.one_of(kinds), min_size=1, max_size=6)


def times(factor: float, rows: list[dict[str, object]]) -> Held:
    return held(*({**row, "quantity": row["quantity"] * factor} for row in rows))


def scanned(rows) -> float:
    return sum(part.scan for part in scan_margin(BARE, held(*rows)).commodities)


@given(portfolio(), portfolio())
def test_a_scan_of_both_is_at_most_the_sum(one, other):
    together = scanned(one + other)
    assert together <= (scanned(one) + scanned(other)) * (1 + 1e-12) + 1e-6


@given(portfolio())
@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_doubling_doubles(factor, rows):
    once, scaled = scan_margin(WHOLE, held(*rows)), scan_margin(WHOLE, times(factor, rows))
    assert scaled.maintenance == pytest.approx(factor * once.maintenance, **CLOSE)
    ranges = ranges_margin(RANGES, held(*rows)).maintenance
    assert ranges_margin(RANGES, times(factor, rows)).maintenance == pytest.approx(factor * ranges, **CLOSE)


@given(st.lists(a_future(), min_size=1, max_size=1), st.floats(100.0, 15_000.0), st.floats(1.0, 1.9))
def test_a_wider_range_never_asks_less_of_a_future(rows, narrow, factor):
    asked = [
        scan_margin(scan(commodity(price_range=Amount(value=reach))), held(*rows)).maintenance
        for reach in (narrow, narrow * factor)
    ]
    assert asked[0] <= asked[1] * (1 + 1e-12)


@given(portfolio(), an_option(quantity=st.floats(0.01, 20.0)))
def test_a_long_option_never_raises(rows, bought):
    before = scan_margin(BARE, held(*rows)).maintenance
    after = scan_margin(BARE, held(*rows, bought)).maintenance
    assert after <= before * (1 + 1e-12) + 1e-6


@given(st.lists(st.floats(0.1, 10.0), min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_spreads_is_irrelevant_where_deltas_suffice(far, dice):
    tiers = ["near", *(f"far-{k}" for k in range(len(far)))]
    deltas = [sum(far) * 1.1, *(-delta for delta in far)]
    rules = [CalendarSpread(code="TEST-CAL", tiers=("near", t), rate=Amount(value=1.0)) for t in tiers[1:]]
    runs = Runs(np.zeros(len(tiers), dtype=np.int64), np.arange(len(tiers)), np.array(deltas))
    formed, left = calendar_spreads(rules, tiers, runs, 1)
    order = list(range(len(rules)))
    dice.shuffle(order)
    again, left_again = calendar_spreads([rules[k] for k in order], tiers, runs, 1)
    assert formed[order] == pytest.approx(again)
    assert left == pytest.approx(left_again)
    assert formed.sum() == pytest.approx(sum(far))


@given(portfolio())
def test_a_credit_never_exceeds_the_scan_and_charges_never_give(rows):
    for part in scan_margin(WHOLE, held(*rows)).commodities:
        assert part.delivery >= 0
        assert all(spread.amount >= 0 for spread in (*part.calendar, *part.credits))
        assert part.credit <= max(part.price_risk, 0.0) * (1 + 1e-9)
        assert part.requirement >= 0


@settings(max_examples=50)
@given(portfolio())
@pytest.mark.parametrize("level", [0, 1])
def test_parts_give_back_the_number(level, rows):
    margin = scan_margin(WHOLE, held(*rows))
    tree = scan_requirement(WHOLE, margin, level)
    assert discrepancy(tree) < 1e-9
    assert tree.amount == pytest.approx((margin.initial, margin.maintenance)[level], **CLOSE)
    ranged = ranges_margin(RANGES, held(*rows))
    tree = ranges_requirement(RANGES, ranged, level)
    assert discrepancy(tree) < 1e-9
    assert tree.amount == pytest.approx((ranged.initial, ranged.maintenance)[level], **CLOSE)


@given(portfolio("BTC"), portfolio("BTC"))
def test_ranges_of_both_are_at_most_the_sum(one, other):
    def worst(rows):
        return ranges_margin(ALONE, held(*rows)).maintenance

    assert worst(one + other) <= (worst(one) + worst(other)) * (1 + 1e-12) + 1e-6


@given(portfolio(), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_larger_offset_never_asks_more(rows, one, other):
    asked = []
    for offset in sorted((one, other)):
        groups = (ProductGroup(name="coins", code="TEST-G", offset=offset),)
        model = RangesModel(code="TEST-PM", classes=RANGES.classes, groups=groups)
        asked.append(ranges_margin(model, held(*rows)).maintenance)
    apart = sum(part.worst for g in ranges_margin(RANGES, held(*rows)).groups for part in g.classes)
    assert asked[1] <= asked[0] * (1 + 1e-12) + 1e-6
    assert asked[0] <= apart * (1 + 1e-12) + 1e-6

"""Ranges margin: figures that clearing 1.3 prints, offsets and minima."""

import numpy as np
import pytest

from margrave.core.errors import Reason
from margrave.margin.clearing.ranges import points_of, ranges_issues, ranges_margin, ranges_requirement
from margrave.margin.requirement import discrepancy
from margrave.rulebook.clearing import (
    Amount,
    OptionMinimum,
    ProductGroup,
    RangesModel,
    Share,
    UnderlyingClass,
)
from tests.unit.margin.clearing import DAY, held, inverse, option, position

MINIMUM = OptionMinimum(code="TEST-MIN", rate=Amount(value=0.375))


def underlying(name: str = "equity", **parts: object) -> UnderlyingClass:
    own: dict[str, object] = {"code": f"TEST-{name}", "down": 0.15, "up": 0.15}
    return UnderlyingClass(name=name, **(own | parts))  # type: ignore[arg-type]


def ranges(*classes: UnderlyingClass, **parts: object) -> RangesModel:
    return RangesModel(code="TEST-PM", classes=classes or (underlying(),), **parts)  # type: ignore[arg-type]


def put(quantity: float, **more: object):
    terms: dict[str, object] = {"strike": 95.0, "vol": 0.3, "years": 30 * DAY, "mark": 1.6, "a": 100.0}
    return option("PUT", quantity, 100.0, **(terms | more))


def test_collar_and_short_put():
    # 100 shares at 100, put 95, vol 30 %, 30 days: 606.49 with the put, 893.52 short the put.
    collar = ranges_margin(ranges(minimum=MINIMUM), held(position("SHARE", 100.0, 100.0), put(1.0)))
    assert collar.maintenance == pytest.approx(606.49, abs=0.0051)
    assert ranges_margin(ranges(minimum=MINIMUM), held(put(-1.0))).maintenance == pytest.approx(
        893.52, abs=0.0051
    )


def test_points_are_equidistant_on_each_side():
    points = points_of(underlying(down=0.08, up=0.06), 5)  # large-cap broad index
    assert points == pytest.approx([-0.08, -0.064, -0.048, -0.032, -0.016, 0.012, 0.024, 0.036, 0.048, 0.06])


@pytest.mark.parametrize(
    ("row", "least"),
    [
        (put(-2.0, strike=10.0, mark=0.01), 75.0),
        (put(2.0, strike=10.0, mark=1.0), 75.0),
        (put(2.0, strike=10.0, mark=0.01), 2.0),  # not above the value of what is long
        (position("SHARE", 0.0, 100.0), 0.0),
    ],
)
def test_the_minimum_of_an_option(row, least):
    assert ranges_margin(ranges(minimum=MINIMUM), held(row)).maintenance == pytest.approx(least)


def test_a_minimum_may_be_a_share_of_its_underlying():
    model = ranges(minimum=OptionMinimum(code="TEST-MIN", rate=Share(value=0.01)))
    far = {"strike": 10.0, "mark": 0.01}
    assert ranges_margin(model, held(put(-1.0, **far))).maintenance == pytest.approx(100.0)
    coin = put(-1.0, in_coin=True, rate=100.0, **far)
    assert ranges_margin(model, held(coin)).maintenance == pytest.approx(100.0)


CRYPTO = (underlying("BTC", bases=("BTC",), group="coins"), underlying("ETH", bases=("ETH",), group="coins"))


@pytest.mark.parametrize(
    ("offset", "asked"),
    [(0.0, 9_000.0), (0.5, 5_250.0), (1.0, 1_500.0)],
)
def test_gains_of_a_class_offset_losses_of_its_group(offset, asked):
    # At each end one class loses 15 % of its notional, the other gains: 60,000 against 50,000.
    model = ranges(*CRYPTO, groups=(ProductGroup(name="coins", code="TEST-G", offset=offset),))
    rows = held(position("BTC", 1.0, 60_000.0), position("ETH", -20.0, 2_500.0, base="ETH"))
    assert ranges_margin(model, rows).maintenance == pytest.approx(asked)


def test_classes_without_a_group_stand_alone():
    model = ranges(*(underlying(c.name, bases=c.bases) for c in CRYPTO))
    rows = held(position("BTC", 1.0, 60_000.0), position("ETH", -20.0, 2_500.0, base="ETH"))
    margin = ranges_margin(model, rows)
    assert margin.maintenance == pytest.approx(16_500.0)
    assert [(group.name, group.point) for group in margin.groups] == [("BTC", 1), ("ETH", 10)]


def test_inverse_contracts_are_counted_in_coin():
    rows = held(inverse("INV", 100_000.0, 60_000.0), currency="BTC")
    assert ranges_margin(ranges(), rows).maintenance == pytest.approx(1e5 * (1 / 51_000 - 1 / 60_000))


@pytest.mark.parametrize("level", [0, 1])
def test_the_tree_gives_back_the_number(level):
    groups = (ProductGroup(name="coins", code="TEST-G", offset=0.5),)
    model = ranges(*CRYPTO, groups=groups, minimum=MINIMUM, initial_over_maintenance=1.25)
    rows = held(position("BTC", 1.0, 60_000.0), position("ETH", -20.0, 2_500.0, base="ETH"), put(-1.0))
    margin = ranges_margin(model, rows)
    assert margin.initial == 1.25 * margin.maintenance
    tree = ranges_requirement(model, margin, level)
    assert tree.amount == pytest.approx((margin.initial, margin.maintenance)[level])
    assert discrepancy(tree) < 1e-12
    assert {"TEST-PM", "TEST-BTC", "TEST-ETH", "TEST-G", "TEST-MIN"} <= {node.code for _, node in tree.walk()}


def test_the_tree_of_a_class_by_itself():
    model = ranges()
    margin = ranges_margin(model, held(position("SHARE", 100.0, 100.0)))
    tree = ranges_requirement(model, margin, 1)
    assert (tree.amount, tree.parts[0].label) == (pytest.approx(1_500.0), "equity")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (position("X", 1.0, 100.0, base="DOGE"), Reason.NO_RULE),
        (position("X", 1.0, np.nan), Reason.MISSING_MARK),
        (option("X", 1.0, 100.0, vol=np.nan), Reason.MISSING_VOL),
    ],
)
def test_what_is_not_known_is_never_a_number(row, reason):
    model = ranges(underlying(bases=("BTC",)))
    rows = held(position("SHARE", 1.0, 100.0), row)
    assert [(i.where, i.reason) for i in ranges_issues(model, rows)] == [("X", reason)]
    assert np.isnan(ranges_margin(model, rows).maintenance)

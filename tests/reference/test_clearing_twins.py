"""Slow twins of the scan and the ranges in plain Python loops, without NumPy, written from the definitions."""

import math

import numpy as np
import pytest

from margrave.margin.clearing.ranges import ranges_margin
from margrave.margin.clearing.risk_arrays import risk_arrays
from margrave.margin.clearing.scan import scan_margin
from margrave.margin.clearing.spreads import Runs, calendar_spreads, commodity_spreads
from margrave.rulebook.clearing import (
    Amount,
    CalendarSpread,
    CommoditySpread,
    RangesModel,
    Share,
    SpreadLeg,
    UnderlyingClass,
)
from tests.unit.margin import spread_twin
from tests.unit.margin.clearing import DAY, commodity, held, inverse, option, position, scan

SEEDS = [1, 2, 3, 4, 5]
MOVES = [0, 1 / 3, -1 / 3, 2 / 3, -2 / 3, 1, -1]
WEIGHTS = [0.27, 0.217, 0.217, 0.111, 0.111, 0.037, 0.037]


def normal(x):
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def twin_option(row, price, vol, years):
    """Value and delta of one option in its own asset, with its delta in base."""
    call = 1 if row["is_call"] else -1
    deviation = vol * math.sqrt(years)
    d1 = math.log(price / row["strike"]) / deviation + deviation / 2
    value = call * (price * normal(call * d1) - row["strike"] * normal(call * (d1 - deviation)))
    delta = call * normal(call * d1)
    return (value / price, delta - value / price) if row["in_coin"] else (value, delta)


def twin_worth(row, price, vol, years):
    if row["is_option"]:
        return row["rate"] * row["a"] * twin_option(row, price, vol, years)[0]
    return row["rate"] * (row["a"] * price - row["c"] / price)


def twin_array(row, price_range, vol_share, drift, ahead):
    now = twin_worth(row, row["price"], row["vol"], row["years"])
    drifted, later = row["price"] + drift, max(row["years"] - ahead, 0.0)
    losses = []
    for move in MOVES:
        for sign in (1, -1):
            vol = row["vol"] * (1 + sign * vol_share)
            losses.append(now - twin_worth(row, drifted + move * price_range, vol, later))
    for move in (2, -2):
        losses.append(0.35 * (now - twin_worth(row, drifted + move * price_range, row["vol"], later)))
    if not row["is_option"]:
        return losses, row["a"] + row["c"] / row["price"]
    deltas = [twin_option(row, drifted + m * price_range, row["vol"], later)[1] for m in MOVES]
    return losses, row["a"] * sum(w * d for w, d in zip(WEIGHTS, deltas, strict=True))


def some_positions(dice):
    rows = []
    for k in range(8):
        price, quantity = float(dice.uniform(40_000, 80_000)), float(dice.normal(0, 5))
        terms = {
            "strike": price * float(dice.uniform(0.7, 1.4)),
            "vol": float(dice.uniform(0.2, 1.5)),
            "years": float(dice.uniform(5, 300)) * DAY,
            "is_call": bool(dice.integers(2)),
            "a": float(dice.uniform(0.1, 2)),
        }
        coin = {"in_coin": True, "rate": 60_000.0}
        made = (
            position(f"L{k}", quantity, price, a=terms["a"]),
            inverse(f"I{k}", quantity * 50_000, price, rate=60_000.0),
            option(f"Q{k}", quantity, price, **terms),
            option(f"C{k}", quantity, price, **terms, **coin),
        )
        rows.append(made[k % 4])
    return rows


@pytest.mark.parametrize("seed", SEEDS)
def test_the_scan(seed):
    dice = np.random.default_rng(seed)
    rows = some_positions(dice)
    rule = commodity(price_range=Amount(value=7_000.0), vol_range=Share(value=0.3), drift=Amount(value=-25.0))
    model = scan(rule, look_ahead_years=DAY)
    arrays = risk_arrays(model, rule, held(*rows))
    of_all = [0.0] * 16
    for k, row in enumerate(rows):
        losses, delta = twin_array(row, 7_000.0, 0.3, -25.0, DAY)
        assert arrays.losses[:, k] == pytest.approx(losses, rel=1e-9, abs=1e-8 * row["price"])
        assert arrays.delta[k] == pytest.approx(delta, rel=1e-9, abs=1e-12)
        of_all = [total + row["quantity"] * loss for total, loss in zip(of_all, losses, strict=True)]
    (part,) = scan_margin(model, held(*rows)).commodities
    worst = max(of_all)
    assert part.active == of_all.index(worst) + 1
    assert part.scan == pytest.approx(max(worst, 0.0), rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_ranges(seed):
    rows = some_positions(np.random.default_rng(seed))
    rule = UnderlyingClass(name="BTC", code="TEST-C", down=0.2, up=0.1)
    margin = ranges_margin(RangesModel(code="TEST-PM", classes=(rule,)), held(*rows))
    worst = 0.0
    for step in range(1, 6):
        for end in (-0.2, 0.1):
            profit = sum(
                row["quantity"]
                * (
                    twin_worth(row, row["price"] * (1 + end * step / 5), row["vol"], row["years"])
                    - twin_worth(row, row["price"], row["vol"], row["years"])
                )
                for row in rows
            )
            worst = max(worst, -profit)
    assert margin.maintenance == pytest.approx(worst, rel=1e-9)


TIERS = ("near", "far", "perpetual")


@pytest.mark.parametrize("seed", SEEDS)
def test_calendar_spreads_of_many_groups(seed):
    dice = np.random.default_rng(seed)
    names = [("near", "far"), ("perpetual", "near"), ("far", "far"), ("near", "perpetual")]
    rules = [
        CalendarSpread(code="TEST-CAL", tiers=pair, rate=Amount(value=1.0), ratios=(1.0, float(ratio)))
        for pair, ratio in zip(names, dice.integers(1, 4, len(names)), strict=True)
    ]
    group = np.repeat(np.arange(40), dice.integers(0, 7, 40))
    tier = dice.integers(-1, 3, len(group))
    delta = np.round(dice.normal(0.0, 3.0, len(group)))
    formed, left = calendar_spreads(rules, TIERS, Runs(group, tier, delta), 40)
    for k in range(40):
        mine = group == k
        tiers = ["" if t < 0 else TIERS[t] for t in tier[mine].tolist()]
        twins, kept = spread_twin.calendar_spreads(rules, tiers, delta[mine].tolist())
        counts = [0.0] * len(rules)
        for twin in twins:
            counts[twin.rule] = twin.count
        assert formed[:, k].tolist() == counts
        assert left[mine].tolist() == list(kept)


@pytest.mark.parametrize("seed", SEEDS)
def test_commodity_spreads_of_many_pools(seed):
    dice = np.random.default_rng(seed)
    names = ("BTC", "ETH", "SOL")

    def rule(*legs):
        parts = tuple(SpreadLeg(commodity=n, ratio=r, opposite=o) for n, r, o in legs)
        return CommoditySpread(code="TEST-CREDIT", rate=0.5, legs=parts)

    rules = [
        rule(("BTC", 1.0, False), ("ETH", 15.0, True)),
        rule(("ETH", 2.0, False), ("SOL", 3.0, True), ("BTC", 1.0, True)),
        rule(("SOL", 1.0, False), ("ETH", 1.0, True)),
    ]
    delta = np.round(dice.normal(0.0, 20.0, (3, 60))) * (dice.random((3, 60)) < 0.8)
    formed = commodity_spreads(rules, names, delta)
    for k in range(60):
        twins = spread_twin.commodity_spreads(rules, dict(zip(names, delta[:, k].tolist(), strict=True)))
        counts = [0.0] * len(rules)
        for twin in twins:
            counts[twin.rule] = twin.count
        assert formed[:, k].tolist() == counts

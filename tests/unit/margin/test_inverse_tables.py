"""Every table of section 1 of the inverse-margining specification, through the one calculation."""

import numpy as np
import pytest

from margrave.domain.book import book_of
from margrave.engine.assess import assess
from margrave.engine.paths.memory import advance
from margrave.margin.pooled import evaluate, prepare
from margrave.rulebook.ladders import Progressive, Tier, TierUnit
from margrave.rulebook.reform import with_schedule
from margrave.rulebook.schedules import Discipline, Interpolation, Reference, Schedule
from tests.unit.made import T1, inverse_account, inverse_market, rules

# Section 1.2, numbers: N = 100,000, E = 50,000, W = 0.2, r_I = 10 %, r_M = 5 %: P, UPL long, V, IM, MM
CONTRACT = [
    (40_000, -0.5000000000, 2.5000000000, 0.25000000, 0.12500000),
    (45_000, -0.2222222222, 2.2222222222, 0.22222222, 0.11111111),
    (47_500, -0.1052631579, 2.1052631579, 0.21052632, 0.10526316),
    (50_000, 0.0, 2.0, 0.20000000, 0.10000000),
    (52_500, 0.0952380952, 1.9047619048, 0.19047619, 0.09523810),
    (55_000, 0.1818181818, 1.8181818182, 0.18181818, 0.09090909),
    (60_000, 0.3333333333, 1.6666666667, 0.16666667, 0.08333333),
    (75_000, 0.6666666667, 1.3333333333, 0.13333333, 0.06666667),
]


@pytest.mark.parametrize(("mark", "profit", "value", "initial", "maintenance"), CONTRACT)
def test_coin_margined_contract(mark, profit, value, initial, maintenance):
    for sign in (1, -1):
        pool = assess(inverse_account(sign * 100_000.0), inverse_market(mark), rules()).pools[0]
        position = pool.positions[0]
        assert position.profit == pytest.approx(sign * profit, abs=5.1e-11)
        assert position.notional == pytest.approx(value, abs=5.1e-11)
        assert pool.initial == pytest.approx(initial, abs=5.1e-9)
        assert pool.maintenance == pytest.approx(maintenance, abs=5.1e-9)


# Section 1.2, size tiers in coin: N = USD 10m. The published fragments give the amounts 0.56, 1.81, 6.81, 11.81.
COIN_TIERS = Progressive(
    code="TEST-COIN-001",
    unit=TierUnit.VALUE,
    tiers=tuple(
        Tier(floor=f, maintenance=r) for f, r in ((0.0, 0.025), (50.0, 0.05), (100.0, 0.1), (200.0, 0.125))
    ),
    deductions=(0.56, 1.81, 6.81, 11.81),
)
TIERED = [
    (40_000, 250.0000, 19.440000, 0.077760),
    (50_000, 200.0000, 13.190000, 0.065950),
    (60_000, 166.6667, 9.856667, 0.059140),
    (75_000, 133.3333, 6.523333, 0.048925),
    (100_000, 100.0000, 3.190000, 0.031900),
    (120_000, 83.3333, 2.356667, 0.028280),
]


@pytest.mark.parametrize(("mark", "value", "maintenance", "rate"), TIERED)
def test_coin_tiers_fall_as_a_long_wins(mark, value, maintenance, rate):
    pool = assess(inverse_account(1e7, coins=50.0), inverse_market(mark), rules(COIN_TIERS)).pools[0]
    assert pool.positions[0].notional == pytest.approx(value, abs=5.1e-5)
    assert pool.maintenance == pytest.approx(maintenance, abs=5.1e-7)
    assert pool.maintenance / pool.positions[0].notional == pytest.approx(rate, abs=5.1e-7)


# Section 1.3, worked example: P, x, g, IM coin, MM coin, MM flat, equity, X tiered, X flat
LONG = [
    (45_000, -0.105361, 1.526803, 0.33928946, 0.16964473, 0.11111111, -0.02222222, -0.19186695, -0.13333333),
    (46_500, -0.072571, 1.335424, 0.28718799, 0.14359400, 0.10752688, 0.04946237, -0.09413163, -0.05806452),
    (47_500, -0.051293, 1.207760, 0.25426521, 0.12713261, 0.10526316, 0.09473684, -0.03239576, -0.01052632),
    (48_000, -0.040822, 1.163288, 0.24235166, 0.12117583, 0.10416667, 0.11666667, -0.00450916, 0.01250000),
    (49_000, -0.020203, 1.080811, 0.22057364, 0.11028682, 0.10204082, 0.15918367, 0.04889685, 0.05714286),
    (50_000, 0.0, 1.000000, 0.20000000, 0.10000000, 0.10000000, 0.20000000, 0.10000000, 0.10000000),
    (52_500, 0.048790, 0.902420, 0.17188946, 0.08594473, 0.09523810, 0.29523810, 0.20929336, 0.20000000),
    (55_000, 0.095310, 0.809380, 0.14715993, 0.07357997, 0.09090909, 0.38181818, 0.30823821, 0.29090909),
    (60_000, 0.182322, 0.635357, 0.10589281, 0.05294641, 0.08333333, 0.53333333, 0.48038693, 0.45000000),
    (62_500, 0.223144, 0.600000, 0.09600000, 0.04800000, 0.08000000, 0.60000000, 0.55200000, 0.52000000),
]
# P, x, g, MM coin, MM flat, equity, X tiered, X flat
SHORT = [
    (45_000, 0.105361, 0.789279, 0.08769766, 0.11111111, 0.42222222, 0.33452456, 0.31111111),
    (47_500, 0.051293, 0.897413, 0.09446457, 0.10526316, 0.30526316, 0.21079859, 0.20000000),
    (49_000, 0.020203, 0.959595, 0.09791781, 0.10204082, 0.24081633, 0.14289851, 0.13877551),
    (50_000, 0.0, 1.000000, 0.10000000, 0.10000000, 0.20000000, 0.10000000, 0.10000000),
    (51_000, -0.019803, 1.079211, 0.10580495, 0.09803922, 0.16078431, 0.05497936, 0.06274510),
    (52_000, -0.039221, 1.156883, 0.11123874, 0.09615385, 0.12307692, 0.01183819, 0.02692308),
    (52_500, -0.048790, 1.195161, 0.11382482, 0.09523810, 0.10476190, -0.00906292, 0.00952381),
    (55_000, -0.095310, 1.471861, 0.13380555, 0.09090909, 0.01818182, -0.11562373, -0.07272727),
]


@pytest.mark.parametrize("row", LONG, ids=lambda row: str(row[0]))
def test_directional_schedule_of_a_long(row):
    mark, x, g, initial, maintenance, flat, equity, excess, excess_flat = row
    tiered = assess(inverse_account(), inverse_market(mark), with_schedule(rules(), T1)).pools[0]
    plain = assess(inverse_account(), inverse_market(mark), rules()).pools[0]
    got = (
        tiered.initial,
        tiered.maintenance,
        plain.maintenance,
        tiered.equity,
        tiered.equity - tiered.maintenance,
    )
    assert got == pytest.approx((initial, maintenance, flat, equity, excess), abs=5.1e-9)
    assert plain.equity - plain.maintenance == pytest.approx(excess_flat, abs=5.1e-9)
    assert _factor(inverse_account(), mark, T1) == pytest.approx((x, g), abs=5.1e-7)


@pytest.mark.parametrize("row", SHORT, ids=lambda row: str(row[0]))
def test_directional_schedule_of_a_short(row):
    mark, x, g, maintenance, flat, equity, excess, excess_flat = row
    account = inverse_account(-100_000.0)
    tiered = assess(account, inverse_market(mark), with_schedule(rules(), T1)).pools[0]
    plain = assess(account, inverse_market(mark), rules()).pools[0]
    got = (tiered.maintenance, plain.maintenance, tiered.equity, tiered.equity - tiered.maintenance)
    assert got == pytest.approx((maintenance, flat, equity, excess), abs=5.1e-9)
    assert plain.equity - plain.maintenance == pytest.approx(excess_flat, abs=5.1e-9)
    assert _factor(account, mark, T1) == pytest.approx((x, g), abs=5.1e-7)


def _factor(account, mark, schedule):
    prepared = prepare(book_of((account,)), inverse_market(mark), with_schedule(rules(), schedule))
    (factor,) = evaluate(prepared).workings.factors
    return float(factor.x[0, 0]), float(factor.multiplier[1][0, 0])


# Section 1.3, step mode with hysteresis: price, tier after
STEPS = [
    *((50_000, 0), (52_600, 0), (53_000, 0), (53_200, 0), (53_300, 0), (53_400, 1), (53_200, 1), (52_600, 1)),
    *(
        (52_500, 0),
        (53_200, 0),
        (53_200, 0),
        (53_200, 1),
        (48_900, -1),
        (49_600, -1),
        (49_600, -1),
        (49_600, 0),
    ),
]
STEPPED = Schedule(
    name="steps",
    code="TEST-STEP-001",
    interpolation=Interpolation.STEP,
    knots=((-0.1, 2.0), (-0.05, 1.4), (-0.02, 1.15), (0.0, 1.0), (0.05, 0.9), (0.1, 0.75), (0.2, 0.6)),
    discipline=Discipline(dead_band=0.01, dwell=3),
)


def test_step_mode_tightens_at_once_and_releases_after_its_dwell():
    rulebook, account, tiers, charged = with_schedule(rules(), STEPPED), inverse_account(), [], []
    for price, _ in STEPS:
        account = advance(account, inverse_market(price), rulebook)
        tiers.append(account.memory[0].tier)
        charged.append(
            assess(account, inverse_market(price), rulebook).pools[0].maintenance * price / 100_000 / 0.05
        )
    assert tiers == [tier for _, tier in STEPS]
    multiplier = {-1: 1.15, 0: 1.0, 1: 0.9}
    assert charged == pytest.approx([multiplier[tier] for _, tier in STEPS])


# Section 1.4: P, H, g entry, g hwm, g ratchet, MM coin ratchet
PATH = [
    (50_000, 50_000, 1.000000, 1.000000, 1.000000, 0.100000),
    (52_000, 52_000, 0.921559, 1.000000, 0.921559, 0.088611),
    (55_000, 55_000, 0.809380, 1.000000, 0.809380, 0.073580),
    (60_000, 60_000, 0.635357, 1.000000, 0.635357, 0.052946),
    (57_000, 60_000, 0.737943, 1.207760, 0.767358, 0.067312),
    (54_000, 60_000, 0.846078, 1.526803, 0.970065, 0.089821),
    (50_000, 60_000, 1.000000, 1.911608, 1.214553, 0.121455),
    (47_000, 60_000, 1.271252, 2.000000, 1.271252, 0.135240),
]


@pytest.mark.parametrize(
    ("reference", "column"), [(Reference.ENTRY, 2), (Reference.HIGH_WATER, 3), (Reference.RATCHET, 4)]
)
def test_path_of_the_ratchet(reference, column):
    schedule = Schedule(name="path", code="TEST-PATH-001", knots=T1.knots, reference=reference)
    rulebook, account = with_schedule(rules(), schedule), inverse_account()
    for row in PATH:
        account = advance(account, inverse_market(row[0]), rulebook)
        maintenance = assess(account, inverse_market(row[0]), rulebook).pools[0].maintenance
        assert account.memory[0].best_mark == pytest.approx(row[1])
        assert maintenance * row[0] / 100_000 / 0.05 == pytest.approx(row[column], abs=5.1e-7)
        if column == 4:
            assert maintenance == pytest.approx(row[5], abs=5.1e-7)


def test_two_fills_average_harmonically():
    # Section 1.2: 100k @50k and 50k @40k: 46,153.846154; the arithmetic 46,666.67 is wrong.
    from margrave.domain.fills import average_entry
    from margrave.domain.instruments import Inverse

    assert average_entry(Inverse(contract_value=1.0), ((1e5, 5e4), (5e4, 4e4))) == pytest.approx(
        46_153.846154, abs=5e-7
    )


def test_account_of_one_has_its_digits_in_a_book():
    accounts = [inverse_account(q, e) for q, e in ((1e5, 5e4), (-3e4, 4.7e4), (2.5e5, 5.5e4))]
    together = evaluate(prepare(book_of(accounts), inverse_market(51_234.5), with_schedule(rules(), T1)))
    for k, account in enumerate(accounts):
        alone = evaluate(prepare(book_of((account,)), inverse_market(51_234.5), with_schedule(rules(), T1)))
        assert np.array_equal(alone.maintenance[:, 0], together.maintenance[:, k])
        assert np.array_equal(alone.margin_balance[:, 0], together.margin_balance[:, k])

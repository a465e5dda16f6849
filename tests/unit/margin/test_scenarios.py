"""Portfolio margin from scenarios against the specification, sections PMS, PMD, PM and OM-9."""

from statistics import NormalDist

import numpy as np
import pytest

from margrave.core.words import INITIAL, MAINTENANCE
from margrave.kernels.black76 import coin_price
from margrave.margin.scenario import cells
from margrave.rulebook.portfolio import (
    Cells,
    ConfidenceCharge,
    Depeg,
    EvenGrid,
    Gains,
    HedgedDeltaCharge,
    Held,
    LevelFactors,
    NotionalCharge,
    OffsetCharge,
    Tail,
    UnitOf,
    VolMove,
)
from tests.unit import scenarios_made as made

FUTURE = made.inverse()
CALL, PUT = made.option(50_000.0, "call"), made.option(50_000.0, "put")
HIGHER = made.option(55_000.0, "call")
N = 50_000.0  # contracts of one dollar: one coin at 50,000

# Specification, the table of section PMS: worst profit in coin, its move and vol (None: vol does not matter, so that
# the first of the three counts), and the sum of the legs alone.
TABLE = {
    "long future": ([(FUTURE, N)], -0.1904761905, -0.16, None, 0.1904761905),
    "short future": ([(FUTURE, -N)], -0.1379310345, 0.16, None, 0.1379310345),
    "short call": ([(CALL, -1)], -0.1163342639, 0.16, VolMove.UP, 0.1163342639),
    "short put": ([(PUT, -1)], -0.1720859881, -0.16, VolMove.UP, 0.1720859881),
    "synthetic long": ([(CALL, 1), (PUT, -1)], -0.1904761905, -0.16, None, 0.2481840223),
    "short straddle": ([(CALL, -1), (PUT, -1)], -0.1536957856, -0.16, VolMove.UP, 0.2884202520),
    "future and put": ([(FUTURE, N), (PUT, 1)], -0.0760980343, -0.16, VolMove.DOWN, 0.2646506728),
    "covered call": ([(FUTURE, N), (CALL, -1)], -0.1720859881, -0.16, VolMove.UP, 0.3068104544),
    "call spread": ([(CALL, -1), (HIGHER, 1)], -0.0219592632, 0.16, VolMove.DOWN, 0.1653925583),
    "futures": (
        [(FUTURE, 2 * N), (made.inverse("BTC-2"), -1.6 * N)],
        -0.0761904762,
        -0.16,
        None,
        0.6016420361,
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_pms_1_the_table_of_the_specification(name):
    held, worst, move, vol, legs = TABLE[name]
    block = made.block_of(held)
    cell = int(block.cell[0, 0])
    assert block.worst[0, 0] == pytest.approx(-worst, abs=1e-9)
    assert block.worth.grid.move[cell] == pytest.approx(move, abs=1e-15)
    assert vol is None or block.worth.grid.vol[cell] is vol
    assert made.pooled_of(held).maintenance[0, 0] == block.worst[0, 0]
    alone = sum(made.pooled_of([leg]).maintenance[0, 0] for leg in held)
    assert alone == pytest.approx(legs, abs=1e-9)


def test_the_straddle_loses_most_dollars_above_and_most_coins_below():
    block = made.block_of([(CALL, -1), (PUT, -1)])
    grid, worth = block.worth.grid, block.worth
    assert grid.move[int(block.cell[0, 0])] == pytest.approx(-0.16)
    dollars = worth.option[0, :, 0] * (1.0 + grid.move) - worth.option_now[0, 0]
    assert grid.move[int(np.argmin(dollars))] == pytest.approx(0.16)


PARITY = {
    "PMS-2, PMD-6: long call and short put are a long future": ([(CALL, 1), (PUT, -1)], [(FUTURE, N)]),
    "PMS-2, OM-9: long future and long put are a long call": ([(FUTURE, N), (PUT, 1)], [(CALL, 1)]),
    "PMS-2, OM-9: long future and short call are a short put": ([(FUTURE, N), (CALL, -1)], [(PUT, -1)]),
}


@pytest.mark.parametrize("name", PARITY)
def test_parity_holds_in_every_cell_and_in_margin(name):
    some, same = PARITY[name]
    tailed = made.terms(
        Cells(code="C", even=EvenGrid(range=0.16, each_side=4), tail=Tail(code="T", moves=(-0.66, 5.0)))
    )
    for rules in (made.rulebook(), made.rulebook(tailed)):
        np.testing.assert_allclose(made.gains_of(some, rules), made.gains_of(same, rules), rtol=0, atol=1e-12)
        asked = [made.pooled_of(held, rules) for held in (some, same)]
        for level in ("initial", "maintenance"):
            one, other = (getattr(pooled, level)[0, 0] for pooled in asked)
            assert one == pytest.approx(other, abs=1e-12)


def test_parity_in_dollars_with_quote_premiums():
    call, put = (made.option(50_000.0, right, coin=False) for right in ("call", "put"))
    synthetic = made.gains_of([(call, 1), (put, -1)])
    np.testing.assert_allclose(
        synthetic, made.gains_of([(made.linear(), 1)]), rtol=0, atol=1e-12 * made.PRICE
    )


# Worst cell of combinations against their legs alone (PM-3); computed in `by_hand` from Black-76 in coin.
SPREADS = {
    "iron condor": [
        ("put", 40_000.0, 1),
        ("put", 45_000.0, -1),
        ("call", 55_000.0, -1),
        ("call", 60_000.0, 1),
    ],
    "straddle": [("call", 50_000.0, -1), ("put", 50_000.0, -1)],
    "butterfly": [("call", 45_000.0, 1), ("call", 50_000.0, -2), ("call", 55_000.0, 1)],
}


def by_hand(legs, days=None):
    """Worst profit of coin options over the grid, each cell by the kernel of prices alone."""
    rows = []
    for step in range(-4, 5):
        for vol in (1.2, 0.8, 0.6):
            price, gain = 50_000.0 * (1.0 + 0.04 * step), 0.0
            for n, (right, strike, size) in enumerate(legs):
                years = (30.0 if days is None else days[n]) / 365.0
                then, now = (
                    float(coin_price(p, strike, v, years, right == "call"))
                    for p, v in ((price, vol), (50_000.0, 0.8))
                )
                gain += size * (then - now)
            rows.append(gain)
    return -min(rows)


@pytest.mark.parametrize("name", SPREADS)
def test_combinations_ask_less_than_their_legs(name):
    legs = SPREADS[name]
    held = [(made.option(strike, right), size) for right, strike, size in legs]
    asked = made.pooled_of(held).maintenance[0, 0]
    alone = sum(made.pooled_of([leg]).maintenance[0, 0] for leg in held)
    assert asked == pytest.approx(by_hand(legs), abs=1e-12)
    assert alone == pytest.approx(sum(by_hand([leg]) for leg in legs), abs=1e-12)
    assert 0.0 < asked < 0.6 * alone


def test_a_calendar_nets_inside_its_unit_and_not_where_forwards_are_charged():
    near, far = made.option(50_000.0, "call", days=30.0), made.option(50_000.0, "call", days=90.0)
    asked = made.pooled_of([(near, -1), (far, 1)]).maintenance[0, 0]
    hand = by_hand([("call", 50_000.0, -1), ("call", 50_000.0, 1)], days=[30.0, 90.0])
    assert asked == pytest.approx(hand, abs=1e-12)
    alone = by_hand([("call", 50_000.0, -1)]) + by_hand([("call", 50_000.0, 1)], days=[90.0])
    assert asked < 0.5 * alone


# PMS-4: each contingency with its own line, beside the worst cell.
def test_contingencies_add_up_by_the_older_rules_of_the_venue():
    charges = (
        NotionalCharge(code="TEST-NAKED", of=Held.NAKED_OPTIONS, rate=0.01),
        OffsetCharge(code="TEST-OFFSET", rate=0.01),
    )
    rules = made.rulebook(made.terms(charges=charges))
    held = [(FUTURE, 2 * N), (made.inverse("BTC-2"), -1.6 * N), (CALL, -3), (PUT, 1)]
    block = made.block_of(held, rules)
    naked, offset = (float(c.amount[0, 0]) for c in block.level[MAINTENANCE].charges)
    assert naked == pytest.approx(0.01 * 2)  # a put offsets a call of its strike
    assert offset == pytest.approx(0.01 * 1.6)
    assert block.level[MAINTENANCE].risk[0, 0] == pytest.approx(block.worst[0, 0] + naked + offset, abs=1e-15)


def test_the_extended_table_scales_losses_and_the_dampener_shrinks_them():
    tail = Tail(code="T", moves=(-0.66, 5.0), factor=0.5)
    cells_ = Cells(code="C", even=EvenGrid(range=0.16, each_side=4, vols=(VolMove.SAME,)), tail=tail)
    gains = Gains(code="G", share=1.0, tail_dampener=1_000.0)
    block = made.block_of([(FUTURE, N)], made.rulebook(made.terms(cells_, gains=gains)))
    # Half of 66 % of the dollars scaled by 16/66: 0.5 * 0.16 * 50,000, in coin at the edge of the grid, 42,000.
    fall, rise = block.gross[0, -2:, 0]
    assert fall == pytest.approx(-0.5 * 8_000.0 / 42_000.0, abs=1e-12)
    assert rise == pytest.approx(0.5 * 8_000.0 / 58_000.0, abs=1e-12)
    beyond = 0.66 / 0.16 - 1.0
    assert block.net[0, -2, 0] == pytest.approx(-(4_000.0 - beyond * 1_000.0) / 42_000.0, abs=1e-12)
    assert block.net[0, -1, 0] == 0.0  # a dampener takes a profit to zero, never below


# PMS-7: what a unit is.
def test_coin_and_dollar_contracts_of_one_coin_merge_or_stay_apart():
    held = [(FUTURE, N), (made.linear(), -1)]
    balances = (("USD", 10_000.0),)
    merged = made.rulebook(currency="USD")
    apart = made.rulebook(currency="USD", unit=UnitOf.UNDERLYING_AND_SETTLEMENT)
    one, two = (made.pooled_of(held, r, balances) for r in (merged, apart))
    assert one.maintenance[0, 0] == pytest.approx(0.0, abs=1e-9)  # a coin short in dollars hedges a coin long
    assert two.maintenance[0, 0] == pytest.approx(2 * 8_000.0, abs=1e-9)


# PMD-3: low confidence adds, and never takes away.
@pytest.mark.parametrize(("confidence", "extra"), [(1.0, 0.0), (0.7, 0.0), (0.5, 0.5 * 0.1), (0.0, 0.1)])
def test_low_confidence_adds_a_contingency(confidence, extra):
    charge = ConfidenceCharge(code="TEST-SURE", of=Held.FUTURES, below=0.7, rate=0.1)
    rules = made.rulebook(made.terms(charges=(charge,)))
    plain = made.pooled_of([(FUTURE, N)], rules).maintenance[0, 0]
    unsure = made.pooled_of([(FUTURE, N)], rules, confidence={"BTC": confidence}).maintenance[0, 0]
    assert unsure - plain == pytest.approx(extra, abs=1e-12)


# PMD-4: a settlement asset under its peg raises the initial factor.
@pytest.mark.parametrize(("price", "factor"), [(1.0, 1.25), (0.98, 1.25), (0.90, 1.25 + 0.08 * 1.2)])
def test_a_fall_of_the_peg_multiplies_initial_margin(price, factor):
    depeg = Depeg(code="TEST-DEPEG", below=0.98, factor=1.2)
    rules = made.rulebook(levels=LevelFactors(code="L", initial=1.25, depeg=depeg), currency="USDC")
    pooled = made.pooled_of(
        [(made.linear(), 1)], rules, (("USDC", 10_000.0),), prices={"BTC": made.PRICE, "USDC": price}
    )
    assert pooled.maintenance[0, 0] == pytest.approx(8_000.0 / price, rel=1e-12)
    assert pooled.initial[0, 0] == pytest.approx(factor * 8_000.0 / price, rel=1e-12)


# PMD-5: the work is listed options times cells, whoever holds them and however often.
def test_options_are_repriced_once_a_cell(monkeypatch):
    priced, kernel = [], cells.model_worth

    def counted(*args):
        worth = kernel(*args)
        priced.append(worth.size)
        return worth

    monkeypatch.setattr(cells, "model_worth", counted)
    options = [made.option(40_000.0 + 1_000.0 * k, "call") for k in range(7)]
    grid = Cells(code="C", even=EvenGrid(range=0.16, each_side=4))
    made.pooled_of([(o, 1) for o in options], made.rulebook(made.terms(grid)))
    once = sum(priced)
    # Prepared once and evaluated once: 27 cells, and today's price once.
    assert once == 7 * (27 + 1)


# PMD-8: Dederi, ten futures on ETH: index 2,243.3, future 2,253.155, 15 % in eleven steps.
def test_dederis_vector():
    grid = Cells(code="C", even=EvenGrid(range=0.15, each_side=5))
    charge = NotionalCharge(code="TEST-DEDERI", of=Held.FUTURES, rate=0.006)
    future = made.linear("ETH-F", "ETH", days=30)
    told = made.market([future], {"ETH": 2_243.3})
    quote = made.Quote(mark=2_253.155, index=2_243.3)
    told = made.Market(at=told.at, instruments=told.instruments, quotes={"ETH-F": quote}, index=told.index)
    prepared = made.prepare(
        made.book_of((made.account([(future, 10)], told, (("USD", 1e4),)),)),
        told,
        made.rulebook(made.terms(grid, charges=(charge,))),
    )
    block = made.evaluate(prepared).workings.joint.workings.blocks[0]
    gains = block.gross[0, ::3, 0]
    assert np.round(gains).tolist() == [-3380, -2704, -2028, -1352, -676, 0, 676, 1352, 2028, 2704, 3380]
    assert block.level[MAINTENANCE].charges[0].amount[0, 0] == pytest.approx(134.6, abs=0.05)


# PMD-9: Paradex: long one perpetual, short five calls of delta 0.3.
def test_paradexs_hedged_delta():
    years = made.DAYS / 365.0
    spread = made.VOL * years**0.5
    strike = made.PRICE * np.exp(0.5 * spread**2 - NormalDist().inv_cdf(0.3) * spread)
    held = [(made.linear(), 1), (made.option(float(strike), "call", coin=False), -5)]
    asked = {}
    for name, rates in {"net": (1.0, 0.0), "hedged": (0.0, 1.0)}.items():
        charge = HedgedDeltaCharge(code="TEST-DELTA", net=rates[0], hedged=rates[1])
        block = made.block_of(held, made.rulebook(made.terms(charges=(charge,))), balances=(("USD", 1e5),))
        asked[name] = block.level[INITIAL].charges[0].amount[0, 0] / made.PRICE
    assert asked["net"] == pytest.approx(0.5, abs=1e-9)
    assert asked["hedged"] == pytest.approx(1.0, abs=1e-9)  # gross 2.5

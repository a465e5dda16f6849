"""Bounds of options, of several underlyings, at jumps, and the reasons why there is none."""

from dataclasses import replace
from math import log

import numpy as np
import pytest
from msgspec import structs

from margrave.core.rounding import Direction
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Position
from margrave.domain.book import book_of
from margrave.domain.instruments import Inverse, Right
from margrave.domain.market import Quote
from margrave.kernels.black76 import coin_price
from margrave.liquidation import COMMON_FACTOR, NoBound, liquidations, liquidations_of
from margrave.liquidation.bounds import daily_sigma
from margrave.margin.pooled import evaluate, prepare
from margrave.rulebook.ladders import BaseSlope, Tier, TierUnit, WholePosition
from margrave.rulebook.schema import (
    AccountRules,
    Basis,
    CollateralRule,
    CrossPool,
    Discount,
    Netting,
    RoundingRule,
    Roundings,
)
from tests.unit.liquidation.cases import (
    INVERSE,
    LINEAR,
    T1,
    TIERED,
    crossed,
    flat,
    isolated,
    market,
    mixed_rules,
    option,
    plain_market,
    rules,
)

E = 50_000.0
ETH = replace(LINEAR, symbol="ETH-LINEAR", base="ETH")


def coin_quote(instrument, forward=E, vol=0.8):
    kind = instrument.kind
    years = 30 / 365
    mark = float(coin_price(forward, kind.strike, vol, years, kind.right is Right.CALL))
    return instrument, Quote(mark=mark, index=forward, forward=forward, vol=vol)


def test_a_venue_rounds_toward_earlier_liquidation():
    # Bybit's published case: 5,739.0835 is shown as 5,739.50 (spec FM-8).
    half = replace(INVERSE, tick=0.5)
    book = rules(flat(0.005, 0.01), fee=0.00075, rounding=Roundings(price_to_earlier=True))
    prices = market((half, Quote(mark=8_000.0)), index={"BTC": 8_000.0})
    bound = liquidations(crossed("BTC", 0.5 - 1e-12, (half, 10_000.0, 8_000.0)), prices, book)[0].bounds[0]
    assert bound.bankruptcy == pytest.approx(5_714.2857, rel=1e-3)
    assert bound.price % 0.5 == 0.0
    assert 0.0 <= bound.price - bound.exact < 0.5
    short = liquidations(crossed("BTC", 0.5, (half, -10_000.0, 8_000.0)), prices, book)[0].bounds[0]
    assert 0.0 <= short.exact - short.price < 0.5
    assert short.distance == pytest.approx(short.price / 8_000.0 - 1.0, rel=1e-15)


def test_grid_and_direction_of_a_rulebook():
    account, prices = isolated(INVERSE, 100_000.0, 0.2), plain_market()
    nearest = rules(flat(0.05), rounding=Roundings(price_step=10.0, price_direction=Direction.NEAREST))
    assert liquidations(account, prices, nearest)[0].bounds[0].price == 47_730.0
    no_grid = rules(flat(0.05), rounding=Roundings(price_to_earlier=True))
    bound = liquidations(account, prices, no_grid)[0].bounds[0]
    assert bound.price == bound.exact


def test_the_rounding_of_margins_does_not_disturb_the_search():
    rounding = Roundings(margin=RoundingRule(step=0.01, direction=Direction.UP))
    bound = liquidations(
        isolated(INVERSE, 100_000.0, 0.2), plain_market(), rules(flat(0.05), rounding=rounding)
    )
    assert bound[0].bounds[0].exact == pytest.approx(47_727.272727, abs=6e-7)


def test_reasons():
    book, prices = rules(flat(0.05)), plain_market()

    def reason(account, at=prices, **how):
        (found,) = liquidations(account, at, book, **how)
        assert found.bounds == ()
        return found.reason

    assert reason(crossed("BTC", 1.0)) == NoBound.NO_POSITION
    assert reason(crossed("BTC", 1.0, (INVERSE, 0.0, E))) == NoBound.NO_POSITION
    assert reason(crossed("BTC", 2.0, (INVERSE, -100_000.0, E))) == NoBound.COVERED_SHORT
    assert reason(crossed("BTC", 0.05, (INVERSE, 100_000.0, E))) == NoBound.ALREADY
    assert reason(crossed("BTC", 0.5, (INVERSE, 100_000.0, E)), market()) == NoBound.UNKNOWN
    assert reason(crossed("BTC", 0.5, (INVERSE, 1.0, E)), along="DOGE") == NoBound.NOT_MOVED
    assert reason(crossed("USDT", 3e5, (LINEAR, 2.0, E))) == NoBound.LONGS_ONLY
    assert reason(crossed("USDT", 5e3, (LINEAR, 2.0, E)), along="ETH") == NoBound.NOT_MOVED


def test_what_is_already_liquidatable_keeps_its_set_and_its_bankruptcy():
    (found,) = liquidations(crossed("BTC", 0.05, (INVERSE, 100_000.0, E)), plain_market(), rules(flat(0.05)))
    ((low, high),) = found.liquidatable
    assert low == 0.0
    assert high == pytest.approx(100_000 * 1.05 / 2.05, rel=1e-12)
    assert high > E
    assert found.bankruptcy[0].exact == pytest.approx(100_000 / 2.05, rel=1e-12)


def test_long_options_have_no_bound():
    call = option(60_000.0, Right.CALL)
    prices = market(coin_quote(call))
    (found,) = liquidations(crossed("BTC", 0.1, (call, 1.0, 0.05)), prices, mixed_rules())
    assert found.reason == NoBound.LONGS_ONLY
    assert found.bankruptcy == ()


def test_a_short_strangle_is_bounded_on_both_sides():
    call, put = option(60_000.0, Right.CALL), option(40_000.0, Right.PUT)
    prices = market(coin_quote(call), coin_quote(put), vols={"BTC": 0.8})
    account = crossed("BTC", 0.6, (call, -1.0, 0.03), (put, -1.0, 0.03))
    (found,) = liquidations(account, prices, mixed_rules())
    assert [b.side for b in found.bounds[:2]] == ["down", "up"]
    assert {b.method for b in found.bounds} == {"root"}
    assert found.instrument == "BTC"
    down, up = found.bounds[:2]
    assert down.exact < E < up.exact
    assert found.liquidatable[0] == (0.0, down.exact)
    assert found.liquidatable[-1][1] == float("inf")


def test_a_covered_coin_call_has_no_bound():
    call = option(60_000.0, Right.CALL)
    prices = market(coin_quote(call))
    # These rules count the option's value twice, in the balance and in the margin: 2.075 coins cover both.
    (found,) = liquidations(crossed("BTC", 2.2, (call, -1.0, 0.03)), prices, mixed_rules())
    assert found.bounds == ()
    assert found.reason == NoBound.COVERED_SHORT


def test_a_whole_position_tier_jumps_at_its_edge():
    ladder = WholePosition(code="W", unit=TierUnit.VALUE, tiers=(Tier(0.0, 0.01, 0.02), Tier(2.2, 0.25, 0.3)))
    (found,) = liquidations(isolated(INVERSE, 100_000.0, 0.6), plain_market(), rules(ladder))
    bound = found.bounds[0]
    assert bound.exact == pytest.approx(100_000.0 / 2.2, rel=1e-11)
    assert bound.binds == "jump at the edge of tier 2 of BTC-INVERSE"


@pytest.mark.parametrize("unit", [TierUnit.VALUE, TierUnit.COIN])
@pytest.mark.parametrize("basis", [Basis.MARK, Basis.ENTRY, Basis.WORST])
def test_a_slope_is_solved_by_the_quadratic(unit, basis):
    ladder = BaseSlope(code="S", unit=unit, initial=0.02, maintenance=0.01, slope=0.00005)
    prices = plain_market()
    for instrument, quantity, margin in ((INVERSE, 1e7, 25.0), (INVERSE, -1e7, 25.0), (LINEAR, 40.0, 2e5)):
        small = (
            ladder if instrument is INVERSE or unit is TierUnit.COIN else structs.replace(ladder, slope=1e-8)
        )
        (found,) = liquidations(isolated(instrument, quantity, margin), prices, rules(small, basis))
        assert found.bounds[0].method == "closed form"


def test_tiers_in_coin_move_with_the_price():
    (found,) = liquidations(isolated(INVERSE, 1e7, 40.0), plain_market(), rules(TIERED))
    bound = found.bounds[0]
    assert bound.method == "closed form"
    value = 1e7 / bound.exact
    k = int(np.searchsorted([50.0, 100.0, 200.0], value))
    rate, cut = (0.025, 0.05, 0.10, 0.125)[k], (0.56, 1.81, 6.81, 11.81)[k]
    assert 40.0 + 1e7 * (1 / E - 1 / bound.exact) == pytest.approx(value * rate - cut, rel=1e-11)


def test_a_tier_table_on_haircut_collateral_is_searched():
    rules_ = AccountRules(
        cross_pool=CrossPool.ACCOUNT,
        code="A",
        profit_credit=0.8,
        collateral=(
            CollateralRule(asset="BTC", discounts=(Discount(0.0, 0.95), Discount(1.0, 0.9))),
            CollateralRule(asset="USDT", discounts=(Discount(0.0, 1.0),)),
        ),
    )
    book = structs.replace(rules(flat(0.05)), account=rules_)
    account = crossed("BTC", 1.5, (LINEAR, 4.0, E))
    (found,) = liquidations(account, plain_market(vols={"BTC": 0.8}), book)
    assert (found.along, found.bounds[0].method) == ("BTC", "root")
    f = found.bounds[0].factor
    counted = (0.95 + 0.5 * 0.9) * E * f
    assert counted + 4.0 * (f - 1) * E == pytest.approx(0.05 * 4.0 * E * f, rel=1e-9)


def test_opposite_legs_under_netting_are_searched():
    rules_ = AccountRules(cross_pool=CrossPool.SETTLEMENT, code="A", netting=Netting.LARGER_SIDE)
    book = structs.replace(rules(flat(0.05)), account=rules_)
    dated = replace(INVERSE, symbol="BTC-DATED")
    prices = market((INVERSE, Quote(mark=E)), (dated, Quote(mark=E)))
    (found,) = liquidations(crossed("BTC", 0.5, (INVERSE, 1e5, E), (dated, -4e4, E)), prices, book)
    assert found.bounds[0].method == "root"
    assert found.bounds[0].exact == pytest.approx((60_000 + 5_000) / (0.5 + 60_000 / E), rel=1e-11)


TWO = {"vols": {"BTC": 0.6, "ETH": 0.9}, "correlations": {("BTC", "ETH"): 0.8}}


def two_coins(**more):
    return market(
        (LINEAR, Quote(mark=E)), (ETH, Quote(mark=2_000.0)), index={"ETH": 2_000.0}, **{**TWO, **more}
    )


def test_several_underlyings():
    account = crossed("USDT", 20_000.0, (LINEAR, 2.0, E), (ETH, 40.0, 2_000.0))
    found = [p for p in liquidations(account, two_coins(), rules(flat(0.05))) if p.reason is None]
    assert len(found) == 1
    pool = found[0]
    # W + (V1 + V2)(f - 1) = 5 % (V1 + V2) f
    assert pool.along == COMMON_FACTOR
    assert pool.bounds[0].factor == pytest.approx((180_000 - 20_000) / (0.95 * 180_000), rel=1e-12)
    btc, eth = pool.each
    assert (btc.along, eth.along) == ("BTC", "ETH")
    assert btc.bounds[0].factor == pytest.approx((100_000 - 20_000 + 0.05 * 80_000) / 95_000, rel=1e-12)
    assert eth.instrument == "ETH-LINEAR"


def test_the_joint_move_is_no_longer_than_any_axis_and_lies_on_the_boundary():
    account = crossed("USDT", 20_000.0, (LINEAR, 2.0, E), (ETH, -40.0, 2_000.0))
    prices, book = two_coins(), rules(flat(0.05))
    pool = next(p for p in liquidations(account, prices, book) if p.reason is None or p.each)
    move = pool.joint
    assert move is not None
    assert move.assumed == ()
    moved = dict(move.factors)
    equity = 20_000 + 100_000 * (moved["BTC"] - 1) - 80_000 * (moved["ETH"] - 1)
    assert equity == pytest.approx(0.05 * (100_000 * moved["BTC"] + 80_000 * moved["ETH"]), rel=1e-8)
    # An oracle: the shortest point of the boundary over all directions of log moves.
    daily = np.array([0.6, 0.9]) / np.sqrt(365)
    shape = np.linalg.inv(np.array([[1, 0.8], [0.8, 1]]) * np.outer(daily, daily))
    best = np.inf
    for eth in np.linspace(log(moved["ETH"]) - 0.05, log(moved["ETH"]) + 0.05, 20_001):
        f = (80_000 + 0.05 * 80_000 * np.exp(eth) + 80_000 * (np.exp(eth) - 1)) / 95_000
        u = np.array([np.log(f), eth])
        best = min(best, float(np.sqrt(u @ shape @ u)))
    assert move.sigma == pytest.approx(best, rel=1e-6)
    for single in pool.each:
        for bound in single.bounds:
            assert move.sigma <= bound.sigma / np.sqrt(1 - 0.8**2) * (1 + 1e-9)


def test_unknown_vols_are_told():
    account = crossed("USDT", 20_000.0, (LINEAR, 2.0, E), (ETH, 40.0, 2_000.0))
    found = liquidations(account, two_coins(vols={"BTC": 0.6}), rules(flat(0.05)))
    move = next(p.joint for p in found if p.joint)
    assert move.assumed == ("ETH",)


def test_isolated_pools_are_named_after_their_position_and_do_not_meet():
    one = Position(symbol="BTC-INVERSE", quantity=1e5, entry=E, mode=MarginMode.ISOLATED, isolated_margin=0.2)
    two = Position(symbol="BTC-LINEAR", quantity=-2.0, entry=E, mode=MarginMode.ISOLATED, isolated_margin=1e4)
    book, prices = rules(flat(0.05)), plain_market()
    both = liquidations(Account(positions=(one, two)), prices, book)
    assert [p.pool for p in both] == ["isolated BTC-INVERSE", "isolated BTC-LINEAR"]
    alone = [liquidations(Account(positions=(p,)), prices, book)[0] for p in (one, two)]
    assert list(both) == alone  # bit for bit (IMM-8)


def test_adding_margin_moves_the_bound_by_the_formula():
    # IMM-2
    for w in (0.15, 0.2, 0.3, 0.9):
        (found,) = liquidations(isolated(INVERSE, 1e5, w), plain_market(), rules(flat(0.05)))
        assert found.bounds[0].exact == pytest.approx(1e5 * 1.05 / (w + 2.0), rel=1e-13)


def test_bounds_are_those_of_another_market_too():
    # The bound is found from marks of now; it is the same from any healthy mark.
    account, book = isolated(INVERSE, 1e5, 0.2), rules(flat(0.05), schedule=T1)
    prices = [
        liquidations(account, plain_market(m), book)[0].bounds[0].exact
        for m in (48_500.0, 50_000.0, 60_000.0)
    ]
    assert prices == pytest.approx([prices[0]] * 3, rel=1e-12)


def test_the_status_flips_across_the_bound():
    for instrument, quantity, margin in ((INVERSE, 1e5, 0.2), (INVERSE, -1e5, 0.2), (LINEAR, 2.0, 1e4)):
        account, book = isolated(instrument, quantity, margin), rules(flat(0.05), schedule=T1)
        bound = liquidations(account, plain_market(), book)[0].bounds[0]
        for tilt in (-1e-9, 1e-9):
            pooled = evaluate(prepare(book_of((account,)), plain_market(bound.exact * (1 + tilt)), book))
            below = pooled.margin_balance[0, 0] < pooled.maintenance[0, 0]
            assert below == ((tilt < 0) == (bound.side == "down"))
            assert pooled.margin_balance[0, 0] == pytest.approx(pooled.maintenance[0, 0], rel=1e-6)


@pytest.mark.parametrize("quantity", [1e5, -1e5])
def test_a_schedule_brings_the_bound_nearer_where_it_surcharges(quantity):
    # INV-7, at margins where g at the bound is above one, and where it is below.
    seen = set()
    for entry, margin in (
        (50_000.0, 0.2),
        (50_000.0, 0.11),
        (40_000.0, -0.5),
        (62_000.0, 0.6),
        (50_000.0, 0.6),
    ):
        account = crossed("BTC", margin, (INVERSE, quantity, entry))
        plain, tiered = (
            liquidations(account, plain_market(), rules(flat(0.05), schedule=s))[0] for s in (None, T1)
        )
        if not (plain.bounds and tiered.bounds):
            continue
        at = tiered.bounds[0].exact
        surcharged = np.sign(quantity) * log(at / entry) < 0
        nearer = abs(log(tiered.bounds[0].factor)) < abs(log(plain.bounds[0].factor))
        assert nearer == surcharged
        seen.add(surcharged)
    assert seen


def test_prepared_books_of_several_accounts():
    accounts = (
        replace(crossed("BTC", 0.2, (INVERSE, 1e5, E)), name="a"),
        Account(name="b", balances=(Balance(asset="BTC", amount=1.0),)),
    )
    found = liquidations_of(prepare(book_of(accounts), plain_market(), rules(flat(0.05))))
    assert [p.reason for p in found] == [None, NoBound.NO_POSITION]


def test_sigma_without_a_vol():
    assert daily_sigma(0.9, None) == (None, None)
    assert daily_sigma(1.0, 0.8) == (0.0, 1.0)


def test_contract_value_does_not_matter():
    hundred = replace(INVERSE, payoff=Inverse(contract_value=100.0))
    prices = market((hundred, Quote(mark=E)))
    (found,) = liquidations(isolated(hundred, 1_000.0, 0.2), prices, rules(flat(0.05)))
    assert found.bounds[0].exact == pytest.approx(47_727.272727, abs=6e-7)

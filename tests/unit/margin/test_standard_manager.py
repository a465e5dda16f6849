"""Derive's standard manager: every rule by hand, edges, and what is refused."""

import numpy as np
import pytest

from margrave.core.errors import InvalidInputError, Reason
from margrave.core.fixed import Fixed, fixed_array
from margrave.core.words import INITIAL, MAINTENANCE
from margrave.margin.requirement import discrepancy
from margrave.margin.standard.standard_manager import net_margin, terms_of
from margrave.margin.standard.standard_pool import required
from margrave.margin.standard.standard_tree import requirement_tree
from tests.unit.standard_made import holding, market, rule

FORWARD = 2002.83305


def margin(*markets, rules=None, exact=False, **more):
    names = tuple(m["name"] for m in markets)
    held = holding(*markets, exact=exact, **more)
    return net_margin(terms_of(rules or rule(*names), names, *([fixed_array] if exact else [])), held)


def net(*markets, **more):
    return tuple(float(part.net) for part in margin(*markets, **more).level)


def legs(*rows, forward=FORWARD, confidence=1.0):
    return (forward, confidence, rows)


# Initial and maintenance net margin by hand with the upstream test configuration: spot 2000, rates of specification
# 1.4: .15, .10, .075, .075, .075; unpaired 1.2 and 1.1; 1.05.
OPTIONS = {
    "long call carries nothing": ([(2000, True, 1, 80)], 0.0, 0.0),
    "long put carries nothing": ([(2000, False, 3, 80)], 0.0, 0.0),
    "short call at the money": ([(2000, True, -1, 80)], -380.0, -230.0),
    "short call far out of the money": ([(2500, True, -1, 5)], -205.0, -155.0),
    "short call in the money": ([(1500, True, -2, 510)], -1620.0, -1320.0),
    "short put near the money": ([(1900, False, -1, 40)], -240.0, -190.0),
    "short put in the money: mark part and offset": ([(7400, False, -1, 5400)], -6095.25, -5805.0),
    "short put whose whole loss is its strike": ([(100, False, -1, 0.01)], -100.0, -100.0),
    "short call spread loses its width": ([(1800, True, -1, 210), (2000, True, 1, 80)], -200.0, -200.0),
    "wide spread is better alone": ([(2300, True, -1, 20), (4000, True, 1, 0)], -220.0, -170.0),
    "long call spread": ([(1800, True, 1, 210), (2000, True, -1, 80)], 0.0, 0.0),
    "long box": (
        [(1000, True, 1, 1000), (1000, False, -1, 1), (2000, True, -1, 80), (2000, False, 1, 78)],
        0.0,
        0.0,
    ),
    "unpaired calls": (
        [(1100, True, -1.01, 903), (1200, True, 1, 803)],
        -101.0 - 0.01 * 1.2 * FORWARD,
        -101.0 - 0.01 * 1.1 * FORWARD,
    ),
    "synthetic future": ([(2000, True, 1, 80), (2000, False, -1, 78)], -378.0, -228.0),
    "a strike that is held at zero is no price to survive": (
        [(1000, True, -1, 1500), (9000, True, 0, 0)],
        -1800.0,
        -1650.0,
    ),
    "nothing": ([], 0.0, 0.0),
}


@pytest.mark.parametrize("exact", [False, True], ids=["float", "fixed"])
@pytest.mark.parametrize(("rows", "initial", "maintenance"), OPTIONS.values(), ids=OPTIONS)
def test_options_of_one_expiry(rows, initial, maintenance, exact):
    found = net(market(expiries=[legs(*rows)]), exact=exact)
    assert found == pytest.approx((initial, maintenance), rel=1e-12, abs=1e-12)


def test_expiries_do_not_offset_one_another():
    near, far = legs((1800, True, -1, 210)), legs((1800, True, 1, 230))
    assert net(market(expiries=[near, far])) == net(market(expiries=[near]))
    spread = legs((1800, True, -1, 210), (2000, True, 1, 80))
    assert net(market(expiries=[spread, spread])) == (-400.0, -400.0)


ACCOUNTS = {
    "perpetual, long": (market(perp=1.0, perp_price=2001.0, profit=-4.0), -134.065, -104.05),
    "perpetual, short": (market(perp=-1.0, perp_price=2001.0, profit=199.0), 68.935, 98.95),
    "base": (market(base=1.5), 1.5 * 2000 * 0.8 * 0.9, 1.5 * 2000 * 0.8),
    # (1 - .3) x .4 x 2000 x |perp|, and the same on base; the threshold of .4 itself charges nothing.
    "perpetual's feed unsure": (market(perp=-2.0, perp_confidence=0.3), -260.0 - 1120.0, -200.0),
    "spot's feed unsure": (market(perp=1.0, base=1.0, spot_confidence=0.3), 1440.0 - 130.0 - 1120.0, 1500.0),
    "confidence at the threshold": (market(perp=1.0, spot_confidence=0.4), -130.0, -100.0),
    "expiry's feed unsure": (
        market(expiries=[legs((2000, True, -1, 80), confidence=0.1)]),
        -380.0 - 0.9 * 0.4 * 2000,
        -230.0,
    ),
    "an unsure feed of long options": (
        market(expiries=[legs((2000, True, 1, 80), confidence=0.1)]),
        0.0,
        0.0,
    ),
}


@pytest.mark.parametrize("exact", [False, True], ids=["float", "fixed"])
@pytest.mark.parametrize(("held", "initial", "maintenance"), ACCOUNTS.values(), ids=ACCOUNTS)
def test_one_underlying(held, initial, maintenance, exact):
    assert net(held, exact=exact) == pytest.approx((initial, maintenance), rel=1e-12, abs=1e-12)


def test_a_lost_peg_is_charged_on_perpetuals_and_short_options_in_initial_only():
    held = market(perp=-2.0, expiries=[legs((2000, True, -1, 80), (2500, True, 5, 3))])
    at_peg, below = net(held, stable=0.98), net(held, stable=0.9)
    assert at_peg[0] - below[0] == pytest.approx(3 * 0.08 * 1.2 * 2000)
    assert at_peg[1] == below[1]


def test_underlyings_and_cash_add_up_and_market_value_counts_everything():
    eth = market(perp=1.0, profit=-4.0, base=2.0, expiries=[legs((2000, True, -1, 80))])
    btc = market(
        spot=28_000.0, name="BTC", base=1.0, expiries=[legs((30_000, False, 2, 2500), forward=28_100.0)]
    )
    both = net(eth, btc, cash=-500.0)
    assert both == pytest.approx(np.add(net(eth), net(btc)) - 500.0)
    assert margin(eth, btc, cash=-500.0).mark_to_market == -500.0 - 4.0 + 4000.0 - 80.0 + 28_000.0 + 5000.0


def test_a_far_long_call_is_a_price_to_survive():
    # A law that the protocol does not keep: a bought call pairs a short one, whose charge was 1.2 forwards, but its
    # far strike becomes a price at which the short one must be paid.
    spread = [(1000, True, -10, 1003), (1100, True, 10, 903), (2000, True, -1, 80)]
    before = net(market(expiries=[legs(*spread)]))
    after = net(market(expiries=[legs(*spread, (9000, True, 1, 0))]))
    assert before == pytest.approx((-1000 - 1.2 * FORWARD, -1000 - 1.1 * FORWARD))
    assert after == (-8000.0, -8000.0)


@pytest.mark.parametrize(
    ("part", "held", "what"),
    [
        ("perpetual", market(perp=1.0), "perpetuals"),
        ("options", market(expiries=[legs((2000, True, 1, 80))]), "options"),
        ("collateral", market(base=1.0), "base collateral"),
    ],
)
def test_what_the_rulebook_does_not_margin_is_refused(part, held, what):
    with pytest.raises(InvalidInputError) as refused:
        margin(held, rules=rule("ETH", **{part: None}))
    assert [(i.where, i.reason, what in i.message) for i in refused.value.issues] == [
        ("ETH", Reason.NO_RULE, True)
    ]


def test_an_underlying_that_is_not_listed_may_be_watched_but_not_held():
    assert net(market(name="SOL"), rules=rule("ETH")) == (0.0, 0.0)
    with pytest.raises(InvalidInputError, match="SOL"):
        net(market(name="SOL", perp=1.0), rules=rule("ETH"))


@pytest.mark.parametrize(
    ("held", "name"),
    [
        (market(spot=0.0), "spot"),
        (market(perp=float("nan")), "perpetual"),
        (market(profit=float("inf")), "profit"),
        (market(base=-1.0), "base"),
        (market(spot_confidence=1.5), "confidence"),
        (market(perp_price=-1.0), "perpetual_price"),
        (market(expiries=[legs((-1, True, 1, 80))]), "strike"),
        (market(expiries=[legs((2000, True, 1, float("nan")))]), "price"),
        (market(expiries=[legs((2000, True, 1, 80), forward=0.0)]), "forward"),
        (market(expiries=[legs((2000, True, float("nan"), 80))]), "quantity"),
    ],
)
def test_a_number_that_is_none_is_refused_by_name(held, name):
    with pytest.raises(ValueError, match=name):
        margin(held)


@pytest.mark.parametrize(("more", "name"), [({"cash": float("nan")}, "cash"), ({"stable": -1.0}, "stable")])
def test_so_is_one_of_the_account(more, name):
    with pytest.raises(ValueError, match=name):
        margin(market(), **more)


def test_the_fixed_mode_has_no_rounding_error_where_doubles_have():
    # 0.29 x 100 is 28.999999999999996 in doubles: its integer part is 28, the protocol's 29.
    held = market(spot=100.0, base=0.29)
    rules = rule(
        "ETH", collateral=rule().markets[0].collateral.__class__(code="X-001", factor=1, initial_scale=1)
    )
    assert int(net(held, rules=rules)[1]) == 28
    exact = margin(held, rules=rules, exact=True).level[MAINTENANCE].net
    assert isinstance(exact, Fixed)
    assert int(exact) == 29


TREES = {
    "everything": market(
        perp=-2.0,
        base=3.0,
        spot_confidence=0.2,
        expiries=[
            legs((1800, True, -1, 210), (2000, True, 1, 80)),
            legs((2300, True, -1.5, 20), (2300, False, -1, 310), (4000, True, 1, 0.1), confidence=0.1),
        ],
    ),
    "longs": market(expiries=[legs((1800, True, 1, 210))]),
    "nothing": market(),
}


@pytest.mark.parametrize("level", [INITIAL, MAINTENANCE])
@pytest.mark.parametrize("held", TREES.values(), ids=TREES)
def test_the_tree_gives_back_the_number(held, level):
    found = margin(held, cash=1000.0, stable=0.9)
    tree = requirement_tree(found, level, "USDC", "TEST-SRM-006")
    assert discrepancy(tree) < 1e-12
    assert tree.amount == pytest.approx(required(found)[level], rel=1e-12)
    counted = found.mark_to_market - 0.2 * held["base"] * held["spot"]
    assert counted - tree.amount == pytest.approx(found.level[level].net, rel=1e-12)


def test_the_tree_says_which_way_binds():
    found = margin(TREES["everything"])
    labels = {node.label: node.binds for _, node in requirement_tree(found, INITIAL, "USDC").walk()}
    assert labels["options of date 0"] == "largest loss together"
    assert labels["options of date 1"] == "each alone"
    assert {"perpetual, confidence 0.2", "base, confidence 0.2", "base collateral, initial scale"} <= set(
        labels
    )


def test_a_requirement_is_never_below_zero():
    # A spread sold for more than it can ever pay: the protocol credits it, a requirement does not.
    found = margin(market(expiries=[legs((1800, True, -1, 500), (2000, True, 1, 80))]))
    assert found.level[INITIAL].net == -200.0
    assert found.mark_to_market == -420.0
    assert required(found) == (0.0, 0.0)
    tree = requirement_tree(found, INITIAL, "USDC")
    assert (tree.amount, tree.binds, discrepancy(tree)) == (0.0, "at least nothing", 0.0)

"""Mango's health: figures of the protocol's own tests (spec defi 4.2), and each part by hand."""

import math
from dataclasses import replace

import pytest

from margrave.core.errors import InvalidInputError
from margrave.protocols.mango import (
    Contribution,
    Health,
    Orders,
    Perp,
    Snapshot,
    Token,
    Weights,
    assets_and_debts,
    effective_balance,
    health,
    health_of,
    health_profit,
    most_withdrawable,
    token_weights,
    with_change,
)

INIT, END, MAINT = Health
T1 = Token("t1", 0.0, 1.0, Weights(0.8, 1.2), Weights(0.9, 1.1))
T2 = Token("t2", 0.0, 5.0, Weights(0.5, 1.5), Weights(0.7, 1.3))
T3 = Token("t3", 0.0, 10.0, Weights(0.5, 1.5), Weights(0.7, 1.3))
PERP = Perp("perp", "t1", 5.0, 0, 0.0, Weights(0.8, 1.2), Weights(0.9, 1.1), 0.95, 0.98, lot_size=10.0)


def snapshot(*balances: float, orders=(), perps=()) -> Snapshot:
    tokens = tuple(replace(token, balance=held) for token, held in zip((T1, T2, T3), balances, strict=False))
    return Snapshot(tokens, tuple(orders), tuple(perps))


def perp(lots: int, quote: float, bids: int = 0, asks: int = 0) -> Perp:
    return replace(PERP, lots=lots, quote=quote, bids=bids, asks=asks)


def test_tokens_orders_and_a_perpetual_together():
    orders = Orders("t2", "t1", 15.0, 20.0)
    whole = health_of(snapshot(101, -7, orders=[orders], perps=[perp(4, -110, 7, 11)]), INIT)
    assert whole.health == pytest.approx(88.3)  # test_health0
    # asks filled: short 70 at 1.2, 550 in, less 110 -> 20 of t1 at .95; bids: long 110 at .8, 350 out -> -20
    assert [p.name for p in whole.parts] == ["token t1", "token t2", "orders t2/t1"]
    assert whole.parts[0] == Contribution("token t1", 81.0, pytest.approx(64.8))
    assert whole.parts[1] == Contribution("token t2", -7.0, pytest.approx(-52.5))


@pytest.mark.parametrize(
    ("lots", "quote", "bids", "asks", "number"),
    [
        (1, -100, 0, 0, -72.0),  # test_health1: 50 x .8 - 100, a debt of t1 at 1.2
        (10, 100, 0, 0, 380.0),  # 500 x .8 + 100, at .95, an asset at .8
        (30, -100, 0, 0, 836.0),
        (-10, 600, 0, 0, 0.0),
        (-10, 590, 0, 0, -12.0),
        (0, 0, 10, 0, -120.0),  # bids: 500 x .8 - 500
        (0, 0, 0, 10, -120.0),  # asks: -500 x 1.2 + 500
        (10, -500, 0, 10, -120.0),  # closing asks help, but bids of nothing are worse
        (0, 0, 0, 0, 0.0),
    ],
)
def test_a_perpetual_counts_through_its_settle_token(lots, quote, bids, asks, number):
    assert health(snapshot(0, 0, 0, perps=[perp(lots, quote, bids, asks)]), INIT) == pytest.approx(number)


def test_a_gain_pays_a_debt_of_the_settle_token_before_it_is_weighted():
    assert health(snapshot(-100, 0, 0, perps=[perp(1, 100)]), INIT) == pytest.approx(26.4)  # 133 - 100, at .8


def test_maintenance_uses_its_own_weights():
    held = snapshot(0, perps=[replace(perp(10, -100), oracle=1.0)])
    assert health(held, MAINT) == pytest.approx(-11.0)  # test_health_stable_price_token
    gain = snapshot(0, perps=[perp(1, 0)])
    assert health(gain, MAINT) == pytest.approx(50 * 0.9 * 0.98 * 0.9)
    assert health(gain, END) == pytest.approx(50 * 0.8 * 0.95 * 0.8)


def test_an_untrusted_market_lends_nothing_against_its_gains():
    untrusted = replace(perp(10, 100), init_overall=0.0)
    assert health_profit(untrusted, INIT) == 0.0
    assert health_profit(replace(untrusted, quote=-1000.0), INIT) == -600.0


@pytest.mark.parametrize(
    ("deposits", "borrows", "weights"),  # deposit start 5,000, borrow start 5,000, price 5
    [(1_000, 1_000, (0.5, 1.5)), (1_500, 1_500, (1 / 3, 2.25)), (0, 0, (0.5, 1.5))],
)
def test_new_risk_weighs_by_the_whole_bank(deposits, borrows, weights):
    token = replace(
        T2, deposits=deposits, borrows=borrows, deposit_scale_start=5_000, borrow_scale_start=5_000
    )
    scaled = token_weights(token, INIT)
    assert (scaled.asset, scaled.liability) == pytest.approx(weights)
    assert token_weights(token, END) is T2.init
    assert token_weights(token, MAINT) is T2.maint


def test_scaled_weights_in_a_whole_account():  # test_health1
    rich = [replace(t, balance=100.0) for t in (T1, T2, T3)]
    tokens = (
        replace(rich[0], deposits=100, deposit_scale_start=1_000),
        replace(rich[1], deposits=1_500, deposit_scale_start=5_000),
        replace(rich[2], deposits=10_000, deposit_scale_start=10_000),
    )
    assert health(Snapshot(tokens), INIT) == pytest.approx(80 + 100 / 3 * 5 + 50)


@pytest.mark.parametrize(
    ("kind", "balance", "number"),
    [(INIT, 100, 40), (END, 100, 80), (MAINT, 100, 90), (INIT, -100, -120), (MAINT, -100, -110)],
)
def test_a_slow_price_counts_for_new_risk_only_and_only_where_it_is_worse(kind, balance, number):
    assert health(Snapshot((replace(T1, stable=0.5, balance=balance),)), kind) == pytest.approx(number)


def test_scaling_values_at_the_less_favourable_price():
    asset = Token(
        "a", 10, 1.0, Weights(1, 1), Weights(1, 1), stable=0.5, deposits=1010, deposit_scale_start=505
    )
    assert token_weights(asset, INIT).asset == pytest.approx(0.5)  # at the oracle
    debt = Token(
        "b", -9, 1.0, Weights(1, 1.4), Weights(1, 1.2), stable=1.25, borrows=9, borrow_scale_start=3.75
    )
    assert token_weights(debt, INIT).liability == pytest.approx(1.4 * 3)  # at the stable price
    assert token_weights(replace(debt, stable_for_scaling=False), INIT).liability == pytest.approx(1.4 * 2.4)
    both = Snapshot((asset, debt))
    assert health(both, END) == pytest.approx(
        -2.6
    )  # test_liq_with_token_stable_price: the target does not move
    assert health(both, MAINT) == pytest.approx(-0.8)
    assert health(both, INIT) == pytest.approx(2.5 - 9 * 1.25 * 4.2)


def test_a_perpetual_has_a_slow_price_too():
    slow = replace(perp(10, 0), stable=2.5)
    assert health_profit(slow, INIT) == pytest.approx(0.95 * 100 * 0.8 * 2.5)
    assert health_profit(slow, END) == pytest.approx(0.95 * 100 * 0.8 * 5)
    assert health_profit(replace(slow, lots=-10, stable=6.0), INIT) == pytest.approx(-100 * 1.2 * 6)


@pytest.mark.parametrize(
    ("balances", "ask", "bid", "number"),
    [
        ((-100, -10, 0), 3.0, 12.0, -180.61666666666665),  # test_health1: both prices worse than the oracle
        ((-100, -10, 0), 6.0, 9.0, -177.3),  # neither
        ((-100, -10, 0), None, None, -177.3),
    ],
)
def test_the_best_placed_price_limits_what_an_order_may_bring(balances, ask, bid, number):
    orders = (Orders("t2", "t1", 1.0, 1.0, lowest_ask=ask), Orders("t3", "t1", 1.0, 11.0, highest_bid=bid))
    assert health(snapshot(*balances, orders=orders), INIT) == pytest.approx(number)


def test_each_market_takes_all_others_to_go_its_way():
    orders = (Orders("t2", "t1", 1.0, 1.0), Orders("t3", "t1", 1.0, 1.0))
    # test_health1: t1 may become -100 + 6 + 11, still a debt; t2 -10 + 1.2
    assert health(snapshot(-100, -10, -10, orders=orders), INIT) == pytest.approx(-324.6)
    # -14 + 17: the last 3 of the 11 that t3 sells for are an asset
    assert health(snapshot(-14, -10, -10, orders=orders), INIT) == pytest.approx(-223.8)


def test_orders_that_hold_nothing_back_have_no_part():
    orders = Orders("t2", "t1", 0.0, 0.0)
    assert [p.name for p in health_of(snapshot(1, 1, orders=[orders]), INIT).parts] == [
        "token t1",
        "token t2",
    ]


def test_assets_and_debts_give_back_health_and_its_ratio():
    held = snapshot(100, -10, 5, perps=[perp(1, -100), perp(30, -100)], orders=[Orders("t3", "t2", 1.0, 2.0)])
    split = assets_and_debts(held, INIT)
    assert split.assets - split.debts == pytest.approx(health(held, INIT))
    assert split.ratio == pytest.approx(health(held, INIT) / split.debts)
    assert assets_and_debts(snapshot(100, 10), INIT).ratio == math.inf


@pytest.mark.parametrize(
    ("balance", "quote", "assets", "debts"),
    [
        (10, -12, 12.0, 14.4),  # the deposit pays for part of the loss and weighs as it does
        (12, -10, 13.6, 12.0),
        (-12, 10, 11.4, 14.4),  # a gain of 10 at .95
        (10, 0, 8.0, 0.0),
    ],
)
def test_a_loss_beside_a_deposit_is_a_debt_as_far_as_it_goes(balance, quote, assets, debts):
    split = assets_and_debts(snapshot(balance, perps=[perp(0, quote)]), INIT)
    assert (split.assets, split.debts) == pytest.approx((assets, debts))


@pytest.mark.parametrize(
    ("debt", "ratio"), [(-32, 0.0), (-24, 1 / 3), (-16, 1.0), (-64, -0.5)]
)  # 240 of assets
def test_twice_the_assets_is_a_ratio_of_one(debt, ratio):
    assert assets_and_debts(snapshot(300, debt), INIT).ratio == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("balances", "name", "most"),
    [
        ((100, 0), "t1", 100.0),
        ((100, 10), "t1", 100 + 25 / 1.2),  # 25 of health left to borrow against
        ((100, 0), "t2", 80 / 7.5),
        ((100, -10), "t1", 5 / 0.8),
        ((-100, 10), "t1", 0.0),
        ((0, 0), "t1", 0.0),
    ],
)
def test_the_most_that_may_leave(balances, name, most):
    held = snapshot(*balances)
    found = most_withdrawable(held, name)
    assert found == pytest.approx(most, rel=1e-12)
    assert health(with_change(held, name, -found), INIT) >= 0.0 or found == 0.0


def test_a_debt_that_costs_nothing_has_no_bound():
    free = replace(T2, init=Weights(0.5, 0.0))
    assert most_withdrawable(Snapshot((replace(T1, balance=1.0), free)), "t2") == math.inf


def test_a_change_leaves_the_snapshot_as_it_was():
    held = snapshot(100, 10)
    assert with_change(held, "t1", 5.0).token("t1").balance == 105.0
    assert held.token("t1").balance == 100.0
    assert effective_balance(held, "t2", INIT) == 10.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Snapshot((T1, T1)), "stands twice"),
        (lambda: Snapshot((T1,), (Orders("t2", "t1", 0, 0),)), "token t2"),
        (lambda: Snapshot((T2,), perps=(PERP,)), "token t1"),
        (lambda: Snapshot((T1,)).token("t9"), "token t9"),
        (lambda: replace(T1, oracle=0.0), "token t1: price"),
        (lambda: replace(T1, stable=math.nan), "token t1: price"),
        (lambda: replace(T1, balance=math.inf), "token t1: balance"),
        (lambda: replace(T1, balance=10**400), "token t1: balance"),
        (lambda: replace(T1, deposits=-1.0), "token t1: deposits"),
        (lambda: replace(T1, borrow_scale_start=0.0), "scale start"),
        (lambda: replace(T1, deposit_scale_start=-1.0), "scale start"),
        (lambda: Weights(-0.1, 1.0), "asset weight"),
        (lambda: Weights(0.1, math.nan), "liability weight"),
        (lambda: Orders("a", "b", -1.0, 0.0), "orders a/b: reserved base"),
        (lambda: Orders("a", "b", 1.0, 0.0, lowest_ask=-1.0), "orders a/b: lowest ask"),
        (lambda: replace(PERP, asks=-1), "perp perp: asks"),
        (lambda: replace(PERP, oracle=-1.0), "perp perp: price"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(InvalidInputError, match=message):
        make()

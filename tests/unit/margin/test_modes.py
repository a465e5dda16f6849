"""Modes as pools: rows IMM, IM, CMM, CMS of the inverse-margining specification, section 2."""

from dataclasses import replace

import pytest

from margrave.core.errors import RefusedError
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Leg, Order, Position
from margrave.domain.fills import settle_session
from margrave.engine.assess import assess, assess_all
from margrave.engine.assessment import Status
from margrave.engine.changes import (
    add_margin,
    change_leverage,
    close_part,
    remove_margin,
    switch_mode,
    top_up,
    transfer,
)
from margrave.rulebook.schema import (
    AccountRules,
    CollateralRule,
    CreditScope,
    CrossPool,
    Discount,
    Netting,
    OrderBasis,
    OrderRule,
)
from tests.unit.made import (
    INVERSE,
    LINEAR,
    inverse_account,
    inverse_market,
    linear_account,
    linear_market,
    market,
    rules,
)

BOTH = market(INVERSE, LINEAR, BTCUSD=50_000.0, BTCUSDT=50_000.0)


def accounted(**fields):
    return rules(
        account=AccountRules(**{"cross_pool": CrossPool.SETTLEMENT, "code": "TEST-ACCOUNT-001", **fields})
    )


def isolated(quantity=100_000.0, margin=0.3, **more):
    return inverse_account(quantity, coins=1.0, mode=MarginMode.ISOLATED, isolated_margin=margin, **more)


def test_isolated_position_has_its_own_pool_and_leaves_the_wallet_untouched():
    # IMM-1: the wallet is the same whatever the position does; the bucket's loss is its own.
    for mark in (40_000, 50_000, 70_000):
        wallet, bucket = assess(isolated(), inverse_market(mark), rules()).pools
        assert (wallet.equity, wallet.maintenance) == (1.0, 0.0)
        assert bucket.equity == pytest.approx(0.3 + 100_000 * (1 / 50_000 - 1 / mark))
        assert bucket.mode == "isolated"


def test_margin_not_stated_is_what_opening_took():
    # Bybit-style 10x opening: N / E / leverage; at the ladder's 10 % that is 0.2 coin.
    bucket = assess(isolated(margin=None, leverage=10.0), inverse_market(50_000), rules()).pools[1]
    assert bucket.equity == pytest.approx(0.2)


def test_margin_is_added_and_removed_within_the_rule():
    # IMM-2: removal only down to the larger of initial margin and maintenance plus buffer, at mark.
    account, at = isolated(), inverse_market(50_000)
    more = add_margin(account, at, rules(), "BTCUSD", 0.4)
    assert more.positions[0].isolated_margin == pytest.approx(0.7)
    assert more.balances[0].amount == pytest.approx(0.6)
    less = remove_margin(more, at, rules(), "BTCUSD", 0.5)
    assert less.positions[0].isolated_margin == pytest.approx(0.2)
    for change in (
        lambda: remove_margin(less, at, rules(), "BTCUSD", 0.01),
        lambda: add_margin(less, at, rules(), "BTCUSD", 2.0),
    ):
        with pytest.raises(RefusedError, match="insufficient margin"):
            change()
    assert less.positions[0].isolated_margin == pytest.approx(0.2)
    with pytest.raises(RefusedError, match="no isolated position"):
        add_margin(inverse_account(), at, rules(), "BTCUSD", 0.1)
    with pytest.raises(RefusedError, match="above zero"):
        remove_margin(less, at, rules(), "BTCUSD", -1.0)


def test_partial_close_returns_margin_pro_rata_and_profit():
    # IMM-4: entry unchanged.
    after = close_part(isolated(), inverse_market(60_000), "BTCUSD", -50_000.0, 60_000.0)
    position = after.positions[0]
    assert (position.quantity, position.entry) == (50_000.0, 50_000.0)
    assert position.isolated_margin == pytest.approx(0.15)
    assert after.balances[0].amount == pytest.approx(1.0 + 0.15 + 50_000 * (1 / 50_000 - 1 / 60_000))


def test_opposite_isolated_positions_are_both_margined():
    # IMM-5: no netting in hedge mode.
    legs = tuple(
        Position(
            symbol="BTCUSD", quantity=q, entry=50_000, mode=MarginMode.ISOLATED, isolated_margin=0.3, leg=leg
        )
        for q, leg in ((1e5, Leg.LONG), (-1e5, Leg.SHORT))
    )
    account = Account(balances=(Balance(asset="BTC", amount=1.0),), positions=legs)
    pools = assess(account, inverse_market(50_000), rules()).pools
    assert [p.maintenance for p in pools[1:]] == pytest.approx([0.1, 0.1])


def test_switching_mode_is_checked_against_both_rules_and_reversible():
    # IMM-6, IM-7: wallet and margin are conserved.
    account, at = inverse_account(coins=1.0, leverage=10.0), inverse_market(50_000)
    alone = switch_mode(account, at, rules(), "BTCUSD", MarginMode.ISOLATED)
    assert alone.positions[0].isolated_margin == pytest.approx(0.2)
    assert alone.balances[0].amount == pytest.approx(0.8)
    assert switch_mode(alone, at, rules(), "BTCUSD", MarginMode.CROSS) == account
    with pytest.raises(RefusedError, match="initial margin"):
        switch_mode(inverse_account(coins=0.15), at, rules(), "BTCUSD", MarginMode.ISOLATED)
    with pytest.raises(RefusedError, match="has no isolated mode"):
        switch_mode(account, at, accounted(modes=(MarginMode.CROSS,)), "BTCUSD", MarginMode.ISOLATED)


def test_changing_leverage_moves_margin_or_is_refused():
    # IMM-7: W is recomputed; blocked where it cannot be paid.
    from margrave.rulebook.reform import stated
    from margrave.rulebook.schema import LadderModel, LevelRule, RateRule
    from tests.unit.made import flat_ladder

    model = LadderModel(
        ladder="all",
        initial=LevelRule(code="TEST-IM-002", rate=RateRule.LEVERAGE),
        maintenance=LevelRule(code="TEST-MM-002"),
    )
    by_leverage = stated(
        "test.leverage",
        model,
        AccountRules(cross_pool=CrossPool.SETTLEMENT, code="TEST-A-1"),
        ladders={"all": flat_ladder(0.02, 0.01)},
    )
    account, at = isolated(margin=None, leverage=10.0), inverse_market(50_000)
    lower = change_leverage(account, at, by_leverage, "BTCUSD", 4.0)
    assert lower.positions[0].isolated_margin == pytest.approx(0.5)
    assert lower.balances[0].amount == pytest.approx(0.7)
    with pytest.raises(RefusedError, match="choose a higher leverage"):
        change_leverage(account, at, by_leverage, "BTCUSD", 1.0)


def test_liquidated_bucket_leaves_the_other_bit_identical():
    # IMM-8
    twin = replace(INVERSE, symbol="TWIN")
    pair = market(INVERSE, twin, BTCUSD=41_000.0, TWIN=50_000.0)
    other = Position(
        symbol="TWIN", quantity=-5e4, entry=50_000, mode=MarginMode.ISOLATED, isolated_margin=0.2
    )
    both = replace(isolated(), positions=(*isolated().positions, other))
    alone = replace(isolated(), positions=(other,))
    assert assess(both, pair, rules()).pools[1].status is Status.LIQUIDATABLE
    assert assess(both, pair, rules()).pools[2] == assess(alone, pair, rules()).pools[1]


def test_cross_survives_where_isolated_is_liquidated():
    # CMM-2: long -0.30 coin, short +0.35 coin.
    twin = replace(INVERSE, symbol="TWIN")
    pair = market(INVERSE, twin, BTCUSD=43_478.26, TWIN=43_478.26)
    legs = [("BTCUSD", 1e5, 50_000.0), ("TWIN", -1e5, 51_300.0)]
    cross = Account(
        balances=(Balance(asset="BTC", amount=0.4),),
        positions=tuple(Position(symbol=s, quantity=q, entry=e) for s, q, e in legs),
    )
    apart = Account(
        positions=tuple(
            Position(symbol=s, quantity=q, entry=e, mode=MarginMode.ISOLATED, isolated_margin=0.2)
            for s, q, e in legs
        )
    )
    assert assess(cross, pair, rules()).status is Status.CALL  # survives, with a call
    assert assess(apart, pair, rules()).status is Status.LIQUIDATABLE


def test_net_requirement_is_never_more_than_the_sum_of_the_parts():
    # CMM-3, with netting by instrument leg and by underlying.
    twin = replace(INVERSE, symbol="TWIN")
    pair = market(INVERSE, twin, BTCUSD=50_000.0, TWIN=50_000.0)
    legs = (
        Position(symbol="BTCUSD", quantity=1e5, entry=50_000),
        Position(symbol="TWIN", quantity=-4e4, entry=50_000),
    )
    account = Account(balances=(Balance(asset="BTC", amount=1.0),), positions=legs)
    asked = [
        assess(account, pair, accounted(netting=rule)).pools[0].maintenance
        for rule in (Netting.NONE, Netting.LARGER_LEG, Netting.LARGER_SIDE)
    ]
    assert asked == pytest.approx([0.14, 0.14, 0.10])
    tree = assess(account, pair, accounted(netting=Netting.LARGER_SIDE)).explain()
    assert tree.amount == pytest.approx(0.10)
    assert tree.parts[0].binds == "long side"


def test_session_settlement_keeps_equity():
    # CMM-5, to 1e-12.
    account, at = inverse_account(), inverse_market(53_000)
    position, flows = settle_session(INVERSE, account.positions[0], 53_000.0)
    after = Account(balances=(Balance(asset="BTC", amount=0.2 + flows.total),), positions=(position,))
    assert assess(after, at, rules()).pools[0].equity == pytest.approx(
        assess(account, at, rules()).pools[0].equity, abs=1e-12
    )


@pytest.mark.parametrize(("credit", "counted"), [(1.0, 1 / 3), (0.5, 1 / 6), (0.0, 0.0)])
def test_profit_is_credited_by_its_share_and_losses_in_full(credit, counted):
    # CMS-2
    rulebook = accounted(profit_credit=credit)
    winner = assess(inverse_account(), inverse_market(60_000), rulebook).pools[0]
    assert winner.margin_balance == pytest.approx(0.2 + counted)
    assert winner.equity == pytest.approx(0.2 + 1 / 3)
    assert assess(inverse_account(), inverse_market(40_000), rulebook).pools[
        0
    ].margin_balance == pytest.approx(-0.3)


def test_profit_scope_position_does_not_net_before_credit():
    # BitMEX: profit of one contract does not offset the loss of another.
    twin = replace(INVERSE, symbol="TWIN")
    pair = market(INVERSE, twin, BTCUSD=60_000.0, TWIN=60_000.0)
    legs = (
        Position(symbol="BTCUSD", quantity=1e5, entry=50_000),
        Position(symbol="TWIN", quantity=-1e5, entry=50_000),
    )
    account = Account(balances=(Balance(asset="BTC", amount=1.0),), positions=legs)
    by = {
        s: assess(account, pair, accounted(profit_credit=0.0, profit_scope=s)).pools[0].margin_balance
        for s in CreditScope
    }
    assert by[CreditScope.ASSET] == pytest.approx(1.0)
    assert by[CreditScope.POSITION] == pytest.approx(1.0 - 1 / 3)


MULTI = {
    "cross_pool": CrossPool.ACCOUNT,
    "collateral": (
        CollateralRule(
            asset="BTC",
            discounts=(
                Discount(floor=0, rate=0.98),
                Discount(floor=10, rate=0.95),
                Discount(floor=20, rate=0.0),
            ),
        ),
        CollateralRule(
            asset="USDT",
            discounts=(
                Discount(floor=0, rate=1.0),
                Discount(floor=5e6, rate=0.975),
                Discount(floor=1e7, rate=0.95),
            ),
            in_numeraire=True,
        ),
    ),
}


@pytest.mark.parametrize(
    ("asset", "amount", "counted"),
    [
        ("BTC", 5.0, 5 * 0.98 * 50_000),
        ("BTC", 15.0, (9.8 + 4.75) * 50_000),
        ("BTC", 30.0, (9.8 + 9.5) * 50_000),
        ("BTC", -2.0, -2 * 50_000),  # a debt counts in full
        ("USDT", 11_000_000.0, 10_825_000.0),  # OKX, cex.md 4.1: 5M at 1, 5M at 0.975, 1M at 0.95
    ],
)
def test_collateral_counts_after_tiered_discounts(asset, amount, counted):
    # CMS-1, CM-1
    account = Account(balances=(Balance(asset=asset, amount=amount),))
    pool = assess(account, BOTH, accounted(**MULTI)).pools[0]
    assert pool.margin_balance == pytest.approx(counted)
    assert pool.equity == pytest.approx(amount * (50_000 if asset == "BTC" else 1))
    assert pool.currency == "USD"


def test_several_assets_and_payoffs_share_one_pool():
    legs = (
        Position(symbol="BTCUSD", quantity=1e5, entry=50_000),
        Position(symbol="BTCUSDT", quantity=-2.0, entry=50_000),
    )
    account = Account(
        balances=(Balance(asset="BTC", amount=0.5), Balance(asset="USDT", amount=1_000.0)), positions=legs
    )
    pool = assess(account, BOTH, accounted(**MULTI)).pools[0]
    assert pool.maintenance == pytest.approx(0.05 * 2 * 50_000 * 2)
    assert pool.margin_balance == pytest.approx(0.5 * 0.98 * 50_000 + 1_000)
    assert len(assess(account, BOTH, accounted(**MULTI)).pools) == 1


def test_asset_without_an_index_price_makes_the_pool_unknown():
    account = Account(balances=(Balance(asset="DOGE", amount=1.0),))
    pool = assess(account, BOTH, accounted(**MULTI)).pools[0]
    assert pool.status is Status.UNKNOWN
    assert "DOGE: missing index" in str(pool.issues[0])


def test_hybrid_account_isolates_one_and_crosses_the_rest():
    # CMS-8
    twin = replace(INVERSE, symbol="TWIN")
    pair = market(INVERSE, twin, BTCUSD=50_000.0, TWIN=50_000.0)
    account = replace(
        isolated(), positions=(*isolated().positions, Position(symbol="TWIN", quantity=1e5, entry=50_000))
    )
    cross, alone = assess(account, pair, rules()).pools
    assert (cross.mode, cross.maintenance, alone.mode, alone.maintenance) == (
        "cross",
        pytest.approx(0.1),
        "isolated",
        pytest.approx(0.1),
    )


def test_sub_accounts_never_net_and_transfers_are_checked():
    # CMS-4, CMS-6
    main = replace(inverse_account(), name="main")
    sub = replace(inverse_account(-1e5), name="sub", parent="main")
    first, second = assess_all((main, sub), inverse_market(50_000), rules())
    assert (first.pools[0].maintenance, second.pools[0].maintenance) == pytest.approx((0.1, 0.1))
    rich = replace(main, balances=(Balance(asset="BTC", amount=1.0, locked=0.3),))
    giver, receiver = transfer(rich, sub, inverse_market(50_000), rules(), "BTC", 0.5)
    assert (giver.balances[0].amount, receiver.balances[0].amount) == pytest.approx((0.5, 0.7))
    with pytest.raises(RefusedError, match=r"0\.7 is free"):
        transfer(rich, sub, inverse_market(50_000), rules(), "BTC", 0.8)
    with pytest.raises(RefusedError, match="initial margin"):
        transfer(main, sub, inverse_market(50_000), rules(), "BTC", 0.01)
    with pytest.raises(RefusedError, match="not of the same holder"):
        transfer(rich, replace(sub, parent=None), inverse_market(50_000), rules(), "BTC", 0.1)


@pytest.mark.parametrize(
    ("orders", "extra"),
    [
        ((Order(symbol="BTCUSD", quantity=50_000, price=50_000),), 0.1),
        ((Order(symbol="BTCUSD", quantity=-50_000, price=50_000),), 0.0),  # closes half
        ((Order(symbol="BTCUSD", quantity=-250_000, price=50_000),), 0.1),  # through zero: short 150k
        ((Order(symbol="BTCUSD", quantity=50_000, price=50_000, reduce_only=True),), 0.0),
        (
            (
                Order(symbol="BTCUSD", quantity=5e4, price=5e4),
                Order(symbol="BTCUSD", quantity=-2.8e5, price=5e4),
            ),
            0.16,
        ),
    ],
)
def test_open_orders_count_at_their_worst_fill(orders, extra):
    pool = assess(
        replace(inverse_account(coins=1.0), orders=orders), inverse_market(50_000), accounted(open_loss=False)
    ).pools[0]
    assert pool.order_margin == pytest.approx(extra)
    assert pool.initial == pytest.approx(0.2 + extra)
    assert pool.maintenance == pytest.approx(0.1)  # orders never enter maintenance


def test_order_worse_than_the_mark_covers_its_loss_at_once():
    # FM-4: buying at 51,000 what is worth 50,000.
    account = Account(
        balances=(Balance(asset="USDT", amount=1e5),),
        orders=(Order(symbol="BTCUSDT", quantity=1.0, price=51_000),),
    )
    worst = assess(account, linear_market(50_000), accounted(order_basis=OrderBasis.WORST)).pools[0]
    assert worst.order_margin == pytest.approx(5_100 + 1_000)
    summed = assess(
        account, linear_market(50_000), accounted(orders=OrderRule.SUM, order_basis=OrderBasis.MARK)
    ).pools[0]
    assert summed.order_margin == pytest.approx(5_000 + 1_000)
    assert (
        assess(account, linear_market(50_000), accounted(orders=OrderRule.NONE)).pools[0].order_margin == 0.0
    )


def test_matched_legs_of_a_calendar_keep_a_floor_charge():
    # FM-7: 0.10 for the larger side, and a quarter of the smaller one.
    twin = replace(INVERSE, symbol="TWIN")
    pair = market(INVERSE, twin, BTCUSD=50_000.0, TWIN=50_000.0)
    legs = (
        Position(symbol="BTCUSD", quantity=1e5, entry=50_000),
        Position(symbol="TWIN", quantity=-4e4, entry=50_000),
    )
    account = Account(balances=(Balance(asset="BTC", amount=1.0),), positions=legs)
    assessment = assess(account, pair, accounted(netting=Netting.LARGER_SIDE, matched_charge=0.25))
    assert assessment.pools[0].maintenance == pytest.approx(0.10 + 0.25 * 0.04)
    tree = assessment.explain()
    assert tree.amount == pytest.approx(0.11)
    assert tree.parts[0].label == "both sides"


def test_one_call_a_pool_is_the_shortfall_to_initial_margin():
    # CMM-4
    assert assess(inverse_account(coins=0.15), inverse_market(50_000), rules()).pools[
        0
    ].call == pytest.approx(0.05)
    assert assess(inverse_account(), inverse_market(55_000), rules()).pools[0].call == 0.0


def test_top_up_pays_the_call_up_to_its_cap():
    # IM-2, IM-7: off unless called; wallet and margin are conserved.
    account, at = isolated(margin=0.2), inverse_market(48_000)
    called = assess(account, at, rules()).pools[1].call
    assert called > 0
    for cap, expected in ((1.0, called), (0.03, 0.03)):
        after, moved = top_up(account, at, rules(), "BTCUSD", cap)
        assert moved == pytest.approx(expected)
        assert after.positions[0].isolated_margin == pytest.approx(0.2 + moved)
        assert after.balances[0].amount == pytest.approx(1.0 - moved)
    assert top_up(account, inverse_market(55_000), rules(), "BTCUSD", 1.0) == (account, 0.0)


@pytest.mark.parametrize("move", [-0.2, 0.2])
def test_linear_and_inverse_of_equal_dollars(move):
    # LM-6: at +-20 % linear +-0.2 N; inverse coin +0.1667 / -0.25 of N / E.
    linear = (
        assess(linear_account(2.0), linear_market(50_000 * (1 + move)), rules()).pools[0].positions[0].profit
    )
    coin = (
        assess(inverse_account(), inverse_market(50_000 * (1 + move)), rules()).pools[0].positions[0].profit
    )
    assert linear == pytest.approx(move * 100_000)
    assert coin == pytest.approx(2.0 * (1 / 6 if move > 0 else -0.25))


def test_isolated_never_asks_less_than_cross():
    # IM-4: efficiency penalty of isolation is at least one for the same book.
    twin = replace(INVERSE, symbol="TWIN")
    pair = market(INVERSE, twin, BTCUSD=50_000.0, TWIN=50_000.0)
    legs = (
        Position(symbol="BTCUSD", quantity=1e5, entry=50_000),
        Position(symbol="TWIN", quantity=-4e4, entry=50_000),
    )
    rulebook = accounted(netting=Netting.LARGER_SIDE)
    cross = assess(Account(balances=(Balance(asset="BTC", amount=1.0),), positions=legs), pair, rulebook)
    alone = assess(
        Account(positions=tuple(replace(p, mode=MarginMode.ISOLATED, isolated_margin=0.5) for p in legs)),
        pair,
        rulebook,
    )
    assert sum(p.initial for p in alone.pools) / sum(p.initial for p in cross.pools) == pytest.approx(1.4)

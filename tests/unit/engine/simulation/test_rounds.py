"""A round by hand: levels with hysteresis, orders first, how much is closed, costs, fund, winners, nobody."""

import numpy as np
import pytest

from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Order, Position
from margrave.domain.book import book_of
from margrave.engine.default.closing import LiquidationRule
from margrave.engine.default.ledger import FUND, UNCOVERED
from margrave.engine.default.waterfall import Terms, waterfall
from margrave.engine.simulation.candidates import (
    Candidates,
    by_price_and_leverage,
    by_score,
    pro_rata,
    water_filling,
)
from margrave.engine.simulation.events import Cancelled, Cause, Levelled, Paid, Traded
from margrave.engine.simulation.path import Path, shock
from margrave.engine.simulation.run import simulate
from margrave.engine.simulation.settings import (
    CloseFactor,
    Costs,
    Deleveraging,
    Depth,
    FirstShare,
    Impact,
    Ladder,
    Liquidity,
    Settings,
    StepDown,
    Takeover,
)
from margrave.engine.simulation.state import Party, party_units
from margrave.liquidation.step_down import step_down
from margrave.rulebook.ladders import Tier, TierUnit, WholePosition
from margrave.rulebook.schema import AccountRules, CollateralRule, CrossPool, Discount
from tests.unit.made import linear_market, rules

START = 50_000.0
RULES = rules()  # initial 10 %, maintenance 5 %
NOBODY = Deleveraging(shares=None)


def account(name, quantity, cash, entry=START, isolated=None, orders=()):
    """One linear position."""
    mode = MarginMode.CROSS if isolated is None else MarginMode.ISOLATED
    position = Position(symbol="BTCUSDT", quantity=quantity, entry=entry, mode=mode, isolated_margin=isolated)
    balances = (Balance(asset="USDT", amount=cash),)
    return Account(name=name, balances=balances, positions=(position,), orders=orders)


def run(accounts, *prices, rulebook=RULES, **settings):
    path = Path(60.0 * np.arange(len(prices)), {"BTC": np.array(prices)})
    more = {"deleveraging": NOBODY} | settings
    return simulate(book_of(accounts), linear_market(START), rulebook, path, Settings(**more))


def events(done, kind, cause=None):
    found = [e.event for e in done.log if isinstance(e.event, kind)]
    return [e for e in found if cause is None or e.cause is cause]


def paid(done, cause):
    return sum(float(done.frame.amount(e.payer, e.units).sum()) for e in events(done, Paid, cause))


def cash(done, row):
    return done.book.balance[row]


# --- levels ---


def test_a_level_is_entered_at_one_ratio_and_left_below_another():
    # One long of 1 BTC and 12,500: ratio = 0.05 p / (p - 37,500).
    def price(ratio):
        return 37_500.0 * ratio / (ratio - 0.05)

    ratios = (0.3, 0.55, 0.47, 0.44, 0.76, 0.71, 0.69, 0.91, 0.86, 0.84, 0.3)
    done = run([account("a", 1.0, 12_500.0)], *(price(r) for r in ratios))
    told = [0, 1, 1, 0, 2, 2, 1, 3, 3, 2, 0]
    assert done.steps.accounts[:, :5].argmax(axis=1).tolist() == told
    moves = [int(e.level[0]) for e in events(done, Levelled)]
    assert moves == [1, 0, 2, 1, 3, 2, 0]


def test_a_ladder_says_what_is_wrong_with_it():
    for terms in (
        {"enter": (0.5, 0.4)},
        {"enter": (0.5,), "leave": (0.6,)},
        {"restored": 0.0},
        {"call": 9},
        {"enter": (0.5, 0.9), "leave": (0.4,)},
    ):
        with pytest.raises(ValueError, match="ladder"):
            Ladder(**terms)


def test_liquidation_goes_on_until_the_ratio_is_restored():
    # At 40,000 a long of 1 BTC with 11,500 has 1,500 for 2,000 of maintenance.
    few = run([account("a", 1.0, 11_500.0)], 40_000.0, rule=CloseFactor(0.1))
    more = run([account("a", 1.0, 11_500.0)], 40_000.0, rule=CloseFactor(0.1), ladder=Ladder(restored=0.8))
    left_few, left_more = few.book.quantity[0], more.book.quantity[0]
    assert left_more < left_few < 1.0
    assert few.pools.columns.ratio[0] == pytest.approx(0.05 * 40_000.0 * left_few / 1_500.0)
    assert few.pools.columns.ratio[0] <= 1.0 < few.pools.columns.ratio[0] / 0.9
    assert more.pools.columns.ratio[0] <= 0.8 < more.pools.columns.ratio[0] / 0.9


# --- what goes first, and how much ---


def test_orders_go_before_positions_and_ask_nothing_afterwards():
    orders = (Order(symbol="BTCUSDT", quantity=5.0, price=39_000.0),)
    done = run(
        [account("a", 1.0, 11_500.0, orders=orders), account("b", 1.0, 30_000.0, orders=orders)], 40_000.0
    )
    kinds = [type(e.event) for e in done.log]
    assert kinds.index(Cancelled) < kinds.index(Traded)
    assert events(done, Cancelled)[0].order.tolist() == [0]
    assert done.end.cancelled.tolist() == [True, False]
    assert done.pools.columns.order_margin[0] == 0.0
    assert done.pools.columns.order_margin[1] > 0.0


def test_an_account_whose_balance_covers_maintenance_keeps_its_orders():
    orders = (Order(symbol="BTCUSDT", quantity=50.0, price=49_000.0),)
    done = run([account("a", 1.0, 12_500.0, orders=orders)], 49_000.0)  # far below what the order asks
    assert not events(done, Cancelled)
    assert done.book.quantity[0] == 1.0


def test_a_close_factor_keeps_the_proportion_of_legs():
    base = account("a", 4.0, 11_500.0)
    other = Position(symbol="BTCUSDT", quantity=-3.0, entry=START, leg="short")
    both = Account(name="a", balances=base.balances, positions=(*base.positions, other))
    done = run([both], 40_000.0, rule=CloseFactor(0.25), lots={"BTCUSDT": 0.01})
    first = events(done, Traded)[0]
    assert first.lots.tolist() == [-100, 75]


TIERS = WholePosition(
    code="TEST-TIERS-001",
    unit=TierUnit.COIN,
    tiers=(
        Tier(floor=0.0, initial=0.02, maintenance=0.01),
        Tier(floor=2.0, initial=0.04, maintenance=0.02),
        Tier(floor=5.0, initial=0.08, maintenance=0.04),
        Tier(floor=9.0, initial=0.2, maintenance=0.1),
    ),
)


@pytest.mark.parametrize("tiers", [1, 2, None])
@pytest.mark.parametrize("size", [10.0, 6.0, 4.0])
def test_a_step_down_closes_what_brings_the_size_into_the_tier(tiers, size):
    done = run([account("a", size, 0.015 * size * START)], START, rulebook=rules(TIERS), rule=StepDown(tiers))
    first = events(done, Traded)[0]
    assert -first.lots[0] / 1e8 == step_down(TIERS, size, tiers)


def test_a_large_position_is_closed_in_parts_until_it_is_not_large():
    # Hyperliquid closes a fifth of what is worth more than 100,000 (specification, defi.md 5).
    done = run(
        [account("a", 4.0, 46_000.0)],
        40_000.0,
        rule=FirstShare(),
        lots={"BTCUSDT": 0.1},
        ladder=Ladder(restored=0.01),
    )
    assert [-int(e.lots[0]) for e in events(done, Traded)] == [8, 7, 25]
    with pytest.raises(ValueError, match="first share"):
        FirstShare(share=0.0)


def test_in_the_first_tier_all_of_it_goes():
    done = run([account("a", 1.0, 0.005 * START)], START, rulebook=rules(TIERS), rule=StepDown(1))
    assert events(done, Traded)[0].lots.tolist() == [-100_000_000]
    assert cash(done, 0) == 250.0


# --- what it costs ---


def test_fee_and_penalty_take_what_is_left_and_no_more():
    costs = Costs(slippage=0.001, fee_rate=0.001, penalty_rate=0.003)
    done = run([account("a", 1.0, 11_500.0)], 40_000.0, costs=costs)
    fill = 40_000.0 * 0.999
    assert events(done, Traded)[0].price[0] == pytest.approx(fill)
    assert paid(done, Cause.FEE) == pytest.approx(0.001 * fill)
    assert paid(done, Cause.PENALTY) == pytest.approx(0.003 * fill)
    assert cash(done, 0) == pytest.approx(11_500.0 - (START - fill) - 0.004 * fill)
    poor = run(
        [account("a", 1.0, 10_100.0)], 40_000.0, costs=costs
    )  # 60 are left at the fill, 159.84 are asked
    assert paid(poor, Cause.FEE) == pytest.approx(15.0, abs=1e-7)
    assert paid(poor, Cause.PENALTY) == pytest.approx(45.0, abs=1e-7)
    assert 0.0 <= cash(poor, 0) < 1e-6
    assert done.steps.fee[0] == pytest.approx(0.001 * fill)
    assert done.steps.fund[0] == pytest.approx(0.003 * fill)


def test_orders_of_a_round_fill_at_the_mean_of_the_move_that_they_make():
    liquidity = {"BTCUSDT": Liquidity(depth=Depth(contracts=100.0), impact=Impact(coefficient=0.05))}
    done = run([account("a", 10.0, 115_000.0)], 40_000.0, liquidity=liquidity)
    assert events(done, Traded)[0].price[0] == pytest.approx(40_000.0 * np.exp(-0.0025))
    assert done.steps.last[0, done.frame.assets.index("BTC")] == pytest.approx(0.8 * np.exp(-0.005))


# --- who bears it ---


def test_isolated_margin_that_is_left_goes_to_the_wallet_or_to_the_fund():
    done = run([account("a", 1.0, 1_000.0, isolated=11_500.0)], 40_000.0)
    assert cash(done, 0) == 2_500.0
    assert done.book.isolated_margin[0] == 0.0
    kept = run([account("a", 1.0, 1_000.0, isolated=11_500.0)], 40_000.0, rule=Takeover(keeps_rest=True))
    assert cash(kept, 0) == 1_000.0
    assert kept.steps.surplus[0] == kept.steps.fund[0] == 1_500.0


def test_a_deficit_of_isolated_margin_stays_out_of_the_wallet():
    done = run([account("a", 1.0, 1_000.0, isolated=9_000.0)], 40_000.0, fund={"USDT": 400.0})
    assert cash(done, 0) == 1_000.0
    assert (done.steps.paid_by_fund[0], done.steps.unpaid[0], done.steps.fund[0]) == (400.0, 600.0, 0.0)
    assert done.steps.shortfall[0] == 1_000.0


def test_the_fund_pays_in_the_order_of_the_book():
    poor = [account(name, 1.0, 9_500.0) for name in "abc"]
    done = run(poor, 40_000.0, fund={"USDT": 1_200.0})
    fund = events(done, Paid, Cause.FUND)[0]
    assert done.frame.amount(fund.payer, fund.units).tolist() == [500.0, 500.0, 200.0]
    assert done.steps.unpaid[0] == 300.0
    assert done.book.balance.tolist() == [0.0, 0.0, 0.0]


def test_a_backstop_pays_after_the_fund_and_before_winners():
    given = {"fund": {"USDT": 400.0}, "backstop": {"USDT": 500.0}}
    done = run([account("a", 1.0, 9_000.0)], 40_000.0, **given)
    told = (done.steps.paid_by_fund[0], done.steps.paid_by_backstop[0], done.steps.unpaid[0])
    assert told == (400.0, 500.0, 100.0)
    assert done.steps.shortfall[0] == 1_000.0
    both = run([account("a", 1.0, 9_000.0), *WINNERS], 40_000.0, deleveraging=Deleveraging(), **given)
    assert (both.steps.paid_by_fund[0], both.steps.paid_by_backstop[0]) == (400.0, 500.0)
    assert both.steps.deleveraged[0] == pytest.approx(0.1 * 41_000.0)
    assert both.steps.unpaid[0] == 0.0


def test_a_book_insolvent_from_the_start_is_taken_over_in_the_first_round():
    debtor = Account(name="debtor", balances=(Balance(asset="USDT", amount=-70.0),))
    done = run([account("a", 1.0, 1_000.0, entry=60_000.0), debtor], START, fund={"USDT": 9_050.0})
    assert done.steps.rounds[0] == 1
    assert done.steps.paid_by_fund[0] == 9_050.0
    assert done.steps.unpaid[0] == 20.0
    assert not done.end.lots.any()


WINNERS = [account("w1", -1.0, 20_000.0), account("w2", -2.0, 100_000.0, entry=48_000.0)]


def test_what_the_fund_cannot_pay_is_closed_against_winners_at_the_bankruptcy_price():
    done = run([account("a", 1.0, 9_000.0), *WINNERS], 40_000.0, deleveraging=Deleveraging())
    trade = events(done, Traded, Cause.DELEVERAGING)[0]
    assert trade.position.tolist() == [0, 1]  # w1 has the higher profit times leverage
    assert trade.price == pytest.approx([41_000.0, 41_000.0])
    assert cash(done, 0) == pytest.approx(0.0, abs=1e-7)
    assert cash(done, 1) == 29_000.0
    assert done.steps.deleveraged[0] == pytest.approx(41_000.0)
    assert (done.steps.liquidated[0], done.steps.unpaid[0]) == (0.0, 0.0)
    assert done.end.rest.tolist() == [done.opening.rest[0]]  # nobody outside traded


@pytest.mark.parametrize("fund", [0.0, 3_000.0, 1e6])
def test_one_default_is_borne_as_in_the_waterfall(fund):
    accounts = [account("a", 1.5, 9_000.0), *WINNERS]
    done = run(accounts, 40_000.0, deleveraging=Deleveraging(), fund={"USDT": fund})
    terms = Terms(LiquidationRule(slice_share=1.0), {"USDT": fund})
    told = waterfall(accounts, linear_market(40_000.0), RULES, terms)
    assert done.book.balance == pytest.approx([a.balances[0].amount for a in told.accounts], abs=1e-6)
    left = sum(p.quantity for a in told.accounts for p in a.positions)
    assert done.book.quantity.sum() == pytest.approx(left)
    assert events(done, Traded, Cause.DELEVERAGING) or fund == 1e6
    prices = {d.price for d in told.deleveraged}
    assert {p for e in events(done, Traded, Cause.DELEVERAGING) for p in e.price.tolist()} == prices
    usdt = done.frame.assets.index("USDT")
    assert party_units(done.frame, done.end, Party.FUND)[usdt] == told.ledger.balance(FUND, "USDT")
    assert -party_units(done.frame, done.end, Party.UNPAID)[usdt] == -told.ledger.balance(UNCOVERED, "USDT")


def test_two_defaults_share_one_queue_and_cost_winners_what_the_waterfall_does():
    accounts = [account("a", 1.5, 9_000.0), account("b", 0.5, 2_000.0), *WINNERS]
    done = run(accounts, 40_000.0, deleveraging=Deleveraging(), fund={"USDT": 3_000.0})
    told = waterfall(
        accounts, linear_market(40_000.0), RULES, Terms(LiquidationRule(slice_share=1.0), {"USDT": 3_000.0})
    )
    after = run(told.accounts, 40_000.0)
    assert done.steps.equity == pytest.approx(after.steps.equity, abs=1e-6)
    assert done.book.balance[:2].tolist() == [0.0, 0.0]
    trade = events(done, Traded, Cause.DELEVERAGING)[0]
    assert trade.price[:3].tolist() == [44_000.0, 46_000.0, 46_000.0]


def test_isolated_winners_get_profit_and_margin_back_pro_rata():
    winner = account("w", -2.0, 100.0, isolated=20_000.0)
    done = run([account("a", 1.0, 9_000.0), winner], 40_000.0, deleveraging=Deleveraging())
    assert cash(done, 1) == 100.0 + 9_000.0 + 10_000.0
    assert done.book.isolated_margin[1] == 10_000.0
    assert done.book.quantity[1] == -1.0


def test_what_finds_no_winner_goes_to_the_market_and_the_loss_to_profits_or_nobody():
    a, small = account("a", 3.0, 27_000.0), account("w", -1.0, 20_000.0)
    done = run([a, small], 40_000.0, deleveraging=Deleveraging())
    assert (done.steps.deleveraged[0], done.steps.liquidated[0]) == (pytest.approx(41_000.0), 80_000.0)
    assert done.steps.unpaid[0] == pytest.approx(2_000.0)
    shared = run(
        [a, small, account("v", 1.0, 60_000.0, entry=30_000.0)],
        40_000.0,
        deleveraging=Deleveraging(socialised=True),
    )
    assert shared.steps.unpaid[0] == 0.0
    assert shared.steps.socialised[0] == pytest.approx(2_000.0)
    assert cash(shared, 2) == pytest.approx(58_000.0)


def test_a_profit_cut_is_pro_rata_and_never_more_than_the_profits():
    winners = [account("v", 1.0, 60_000.0, entry=39_000.0), account("u", 3.0, 90_000.0, entry=39_000.0)]
    poor = account("a", 1.0, 8_000.0)
    rule = Deleveraging(shares=None, socialised=True)
    done = run([poor, *winners], 40_000.0, deleveraging=rule)
    assert done.book.balance.tolist() == [0.0, 59_500.0, 88_500.0]
    broke = run([account("a", 1.0, 3_000.0), *winners], 40_000.0, deleveraging=rule)
    assert (broke.steps.socialised[0], broke.steps.unpaid[0]) == (4_000.0, 3_000.0)


def test_nobody_is_deleveraged_into_a_loss():
    # The winner's entry is 40,500: at the bankruptcy price of 41,000 it would lose.
    done = run(
        [account("a", 1.0, 9_000.0), account("w", -1.0, 20_000.0, entry=40_500.0)],
        40_000.0,
        deleveraging=Deleveraging(),
    )
    assert done.steps.deleveraged[0] == 0.0
    assert done.steps.unpaid[0] == 1_000.0
    assert done.book.quantity[1] == -1.0


def candidates():
    """Vectors reference.json, adl: winners are short, price 1,000; lots of a billionth."""
    lots, equity = np.array([10.0, 10.0, 20.0]), np.array([5_000.0, 20_000.0, 40_000.0])
    entry = np.array([1_050.0, 1_500.0, 1_200.0])
    rows, count = np.arange(3), (lots * 1e9).astype(np.int64)
    profit, mark = lots * (entry - 1_000.0), np.full(3, 1_000.0)
    return Candidates(
        rows, rows, count, profit, lots * entry, lots * mark, equity, entry, mark, np.full(3, -1.0)
    )


@pytest.mark.parametrize(
    ("shares", "removed"),
    [
        (by_price_and_leverage, [10.0, 2.0, 0.0]),
        (pro_rata, [3.0, 3.0, 6.0]),
        (water_filling, [7.846153846, 1.384615385, 2.769230769]),
        (by_score, [2.0, 10.0, 0.0]),  # profit over entry value times leverage: 0.095, 0.167, 0.083
    ],
)
def test_shares_of_the_reference_vectors(shares, removed):
    found = candidates()
    assert found.leverage.tolist() == [2.0, 0.5, 0.5]
    taken = shares(found, 12_000_000_000)
    assert taken / 1e9 == pytest.approx(removed, abs=1e-9)
    assert taken.sum() == 12_000_000_000


# --- pools of several assets ---


def test_a_pool_of_several_assets_pays_its_debt_with_what_it_has():
    spanning = AccountRules(
        cross_pool=CrossPool.ACCOUNT,
        code="TEST-ACCOUNT-002",
        collateral=(
            CollateralRule(asset="BTC", discounts=(Discount(floor=0.0, rate=0.9),)),
            CollateralRule(asset="USDT", discounts=(Discount(floor=0.0, rate=1.0),)),
        ),
    )
    holder = Account(
        name="a",
        balances=(Balance(asset="USDT", amount=0.0), Balance(asset="BTC", amount=0.3)),
        positions=(Position(symbol="BTCUSDT", quantity=1.0, entry=START),),
    )
    done = run([holder], 40_000.0, rulebook=rules(account=spanning))
    moved = events(done, Paid, Cause.CONVERSION)[0]
    assert done.frame.amount(moved.payer, moved.units).tolist() == [0.25, 10_000.0]
    assert done.book.balance.tolist() == [0.0, pytest.approx(0.05)]
    poorer = Account(name="a", balances=(Balance(asset="BTC", amount=0.2),), positions=holder.positions)
    done = run([poorer], 40_000.0, rulebook=rules(account=spanning), fund={"USDT": 1e4})
    assert done.steps.paid_by_fund[0] == pytest.approx(2_000.0)
    assert sorted(done.book.balance.tolist()) == [0.0, 0.0]


def test_one_shock_is_one_step():
    done = simulate(
        book_of([account("a", 1.0, 12_500.0)]),
        linear_market(START),
        RULES,
        shock("BTC", START, 0.1),
        Settings(),
    )
    assert done.steps.equity.tolist() == [pytest.approx(17_500.0)]

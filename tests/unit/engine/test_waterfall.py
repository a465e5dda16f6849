"""The default waterfall: CMS-5, on figures that can be checked by hand."""

from dataclasses import replace

import pytest

from margrave.core.errors import InvalidInputError, RefusedError
from margrave.core.rounding import in_units
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Leg, Position
from margrave.engine.assess import assess
from margrave.engine.default.closing import LiquidationRule
from margrave.engine.default.deleveraging import takeover_price
from margrave.engine.default.ledger import CLEARING, FUND, UNCOVERED, Stage
from margrave.engine.default.waterfall import Terms, waterfall
from margrave.rulebook.schema import AccountRules, CrossPool
from tests.unit.made import INVERSE, LINEAR, linear_market, market, rules


def holder(name: str, quantity: float, entry: float, cash: float, **more: object) -> Account:
    """One linear position on a wallet of USDT."""
    position = Position(symbol="BTCUSDT", quantity=quantity, entry=entry, **more)  # type: ignore[arg-type]
    return Account(name=name, balances=(Balance(asset="USDT", amount=cash),), positions=(position,))


# 1 BTC long from 50,000 on 2,500 USDT: at 45,000 it is 2,500 under water, bankrupt at 47,500.
LOSER = holder("loser", 1.0, 50_000.0, 2_500.0)
NEAR = holder("near", -0.6, 50_000.0, 3_000.0)  # 3,000 of profit on 27,000 at 6,000: the higher leverage
FAR = holder("far", -2.0, 50_000.0, 60_000.0)
AT = linear_market(45_000.0)
FREE = LiquidationRule()


def balanced(result):
    """Totals after every transfer are those of the opening."""
    ledger = result.ledger
    totals = [sum(ledger.balances(n).values()) for n in range(len(ledger.transfers) + 1)]
    assert len(set(totals)) == 1
    return ledger


def test_cms_5_a_fund_that_can_pays_and_nobody_is_deleveraged():
    result = waterfall((LOSER, FAR), AT, rules(), Terms(FREE, {"USDT": 10_000.0}))
    ledger = balanced(result)
    assert ledger.balance(FUND, "USDT") == in_units(7_500.0, 1e-8)
    assert ledger.balance("loser: cross USDT", "USDT") == 0
    assert ledger.balance(CLEARING, "USDT") == in_units(5_000.0, 1e-8)
    assert result.deleveraged == ()
    assert result.uncovered == ()
    assert result.accounts[0].positions == ()
    assert result.accounts[0].balances[0].amount == 0.0


def test_cms_5_without_a_fund_winners_close_at_the_bankruptcy_price_by_profit_times_leverage():
    result = waterfall((LOSER, FAR, NEAR), AT, rules(), Terms(FREE))
    balanced(result)
    assert [(d.account, d.quantity, d.price) for d in result.deleveraged] == [
        ("near", 0.6, pytest.approx(47_500.0)),
        ("far", pytest.approx(0.4), pytest.approx(47_500.0)),
    ]
    assert result.deleveraged[0].score > result.deleveraged[1].score
    assert result.uncovered == ()
    _, far, near = result.accounts
    assert near.positions == ()
    assert near.balances[0].amount == pytest.approx(4_500.0)  # 2,500 × 0.6 of profit
    assert far.positions[0].quantity == pytest.approx(-1.6)


def test_cms_5_a_fund_pays_its_share_before_winners_do():
    result = waterfall((LOSER, FAR), AT, rules(), Terms(FREE, {"USDT": 1_000.0}))
    ledger = balanced(result)
    # 1,000 of 2,500 close 40 % in the market; the other 60 % go to the winner at 47,500.
    assert ledger.balance(FUND, "USDT") == 0
    (made,) = result.deleveraged
    assert made.quantity == pytest.approx(0.6)
    assert made.price == pytest.approx(47_500.0)
    assert [t.stage for t in ledger.transfers] == sorted(
        (t.stage for t in ledger.transfers), key=list(Stage).index
    )


def test_cms_5_what_is_left_is_named():
    result = waterfall((LOSER, NEAR), AT, rules(), Terms(FREE))
    ledger = balanced(result)
    (left,) = result.uncovered
    assert (left.account, left.pool, left.asset) == ("loser", "cross USDT", "USDT")
    assert left.amount == pytest.approx(0.4 * 2_500.0)
    assert ledger.balance(UNCOVERED, "USDT") == -in_units(1_000.0, 1e-8)
    assert ledger.balance("loser: cross USDT", "USDT") == 0


def test_cms_5_deleveraging_never_makes_a_loser():
    # Short from 46,000: in profit at 45,000, a loser at 47,500.
    result = waterfall((LOSER, holder("late", -1.0, 46_000.0, 60_000.0)), AT, rules(), Terms(FREE))
    assert result.deleveraged == ()
    assert result.uncovered[0].amount == pytest.approx(2_500.0)


def test_cms_5_penalties_of_others_fill_the_fund_first():
    thin = holder("thin", 1.0, 50_000.0, 7_200.0)  # 2,200 against 2,250 at 45,000
    rule = LiquidationRule(penalty_rate=0.01)
    result = waterfall((LOSER, thin, FAR), AT, rules(), Terms(rule, {}))
    ledger = balanced(result)
    collected = sum(t.units for t in ledger.transfers if t.receiver == FUND)
    assert collected > 0
    assert ledger.balance(FUND, "USDT") == 0  # and all of it went to the loser


def test_cms_5_an_isolated_default_leaves_the_wallet_and_frees_an_isolated_winners_margin():
    loser = holder("loser", 1.0, 50_000.0, 9_000.0, mode=MarginMode.ISOLATED, isolated_margin=2_500.0)
    winner = holder("winner", -2.0, 50_000.0, 100.0, mode=MarginMode.ISOLATED)
    result = waterfall((loser, winner), AT, rules(), Terms(FREE))
    ledger = balanced(result)
    assert ledger.balance("loser: cross USDT", "USDT") == in_units(9_000.0, 1e-8)
    assert result.accounts[0].balances[0].amount == 9_000.0
    (made,) = result.deleveraged
    assert made.freed == pytest.approx(5_000.0)  # half of 10 % of 100,000
    after = result.accounts[1]
    assert after.positions[0].isolated_margin == pytest.approx(5_000.0)
    assert after.balances[0].amount == pytest.approx(100.0 + 2_500.0 + 5_000.0)
    assert ledger.balance("winner: isolated BTCUSDT", "USDT") == in_units(5_000.0, 1e-8)
    assert ledger.balance("winner: cross USDT", "USDT") == in_units(7_600.0, 1e-8)


def test_cms_5_a_debt_without_positions_goes_to_the_fund_and_then_to_nobody():
    debtor = Account(name="debtor", balances=(Balance(asset="USDT", amount=-50.0),))
    result = waterfall((debtor,), AT, rules(), Terms(FREE, {"USDT": 20.0}))
    ledger = balanced(result)
    assert ledger.balance(FUND, "USDT") == 0
    assert result.uncovered[0].amount == pytest.approx(30.0)
    assert assess(result.accounts[0], AT, rules()).pools[0].equity == 0.0


def test_a_venue_in_order_is_left_as_it_is():
    accounts = (FAR, NEAR)
    result = waterfall(accounts, AT, rules(), Terms(FREE, {"USDT": 1.0}))
    assert result.accounts == accounts
    assert result.ledger.transfers == ()


@pytest.mark.parametrize(
    ("instrument", "quantity", "equity", "price"),
    [
        (LINEAR, 1.0, -2_500.0, 47_500.0),
        (LINEAR, -1.0, -2_500.0, 42_500.0),
        (LINEAR, 1.0, 500.0, 44_500.0),
        # 90,000 dollars are 2 coins at 45,000; to win half a coin back they must be 1.5: 60,000.
        (INVERSE, 90_000.0, -0.5, 60_000.0),
        (INVERSE, -90_000.0, -0.5, 36_000.0),
        (INVERSE, 90_000.0, -2.0, None),
        (LINEAR, -1.0, -45_000.0, None),
    ],
)
def test_takeover_price_leaves_nothing(instrument, quantity, equity, price):
    at = market(INVERSE, LINEAR, BTCUSD=45_000.0, BTCUSDT=45_000.0)
    found = takeover_price(instrument, at, 45_000.0, quantity, equity)
    assert found is None if price is None else found == pytest.approx(price)


def test_no_price_wins_back_more_coins_than_there_are():
    loser = Account(
        name="loser",
        balances=(Balance(asset="BTC", amount=0.1),),
        positions=(Position(symbol="BTCUSD", quantity=100_000.0, entry=50_000.0),),
    )
    winner = replace(
        loser,
        name="winner",
        balances=(Balance(asset="BTC", amount=500.0),),
        positions=(Position(symbol="BTCUSD", quantity=-1e6, entry=50_000.0),),
    )
    at = market(INVERSE, BTCUSD=25_000.0)
    result = waterfall((loser, winner), at, rules(), Terms(FREE))
    balanced(result)
    # 2 coins became 4: 1.9 are missing, and the price that wins them back is 47,619.
    assert result.deleveraged[0].price == pytest.approx(1.0 / (1 / 25_000.0 - 1.9 / 100_000.0))


def test_cms_5_where_no_price_leaves_nothing_nobody_is_deleveraged():
    # A debt of 60,000 under a short worth 52,000: buying it back for nothing would still leave a debt.
    deep = holder("deep", -1.0, 50_000.0, -60_000.0)
    long = holder("long", 1.0, 40_000.0, 60_000.0)
    result = waterfall((deep, long), linear_market(52_000.0), rules(), Terms(FREE))
    balanced(result)
    assert result.deleveraged == ()
    assert result.uncovered[0].amount == pytest.approx(62_000.0)


def test_cms_5_both_legs_isolated_are_refused_and_not_mixed():
    legs = tuple(
        Position(symbol="BTCUSDT", quantity=q, entry=50_000.0, mode=MarginMode.ISOLATED, leg=leg)
        for q, leg in ((1.0, Leg.LONG), (-1.0, Leg.SHORT))
    )
    with pytest.raises(RefusedError, match="is there twice"):
        waterfall((Account(name="both", positions=legs),), AT, rules(), Terms(FREE))


def test_two_accounts_of_one_name_are_refused():
    with pytest.raises(InvalidInputError, match="one name"):
        waterfall((LOSER, LOSER), AT, rules(), Terms(FREE))


def test_a_pool_of_several_assets_without_equity_is_refused():
    account = AccountRules(cross_pool=CrossPool.ACCOUNT, code="TEST-ACCOUNT-003")
    with pytest.raises(RefusedError, match="several assets"):
        waterfall((LOSER,), AT, rules(account=account), Terms(FREE))


@pytest.mark.parametrize("wrong", [{"fund": {"USDT": -1.0}}, {"unit": 0.0}])
def test_terms_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Terms(**wrong)

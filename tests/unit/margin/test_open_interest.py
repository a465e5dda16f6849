"""Initial margin that grows with a market's open interest: assessed, explained, in orders, in files, refused."""

from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from margrave.adapters.files import Case, dump_case, parse_case
from margrave.core.errors import InvalidInputError, Reason
from margrave.core.rounding import Direction
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Order, Position
from margrave.domain.book import book_of
from margrave.domain.market import Market
from margrave.engine.assess import assess
from margrave.engine.assessment import Status
from margrave.liquidation import liquidations
from margrave.margin.pooled import evaluate, prepare
from margrave.margin.requirement import discrepancy
from margrave.rulebook.ladders import Tier, TierUnit, WholePosition
from margrave.rulebook.load import checked
from margrave.rulebook.schema import OpenInterestRule, OrderBasis, RateRule, RoundingRule
from margrave.valuation.scenarios import shifted
from tests.unit.made import INVERSE, linear_account, linear_market, rules

RULE = OpenInterestRule(code="TEST-OI-001", lower=1e6, upper=2e6)


def crowded(rule=RULE, rate=RateRule.TIER, book=None):
    book = book or rules()
    model = book.products[0].model
    grown = structs.replace(model, open_interest=rule, initial=structs.replace(model.initial, rate=rate))
    return checked(structs.replace(book, products=(structs.replace(book.products[0], model=grown),)))


def with_open_interest(market: Market, **contracts: float) -> Market:
    return replace(market, open_interest=contracts)


# At 50,000: 20 contracts are a million, 40 two. Rates of the ladder: 10 % and 5 % of 100,000.
@pytest.mark.parametrize(
    ("contracts", "rate"), [(0.0, 0.10), (20.0, 0.10), (25.0, 0.325), (30.0, 0.55), (40.0, 1.0), (1e6, 1.0)]
)
def test_the_initial_rate_goes_its_share_of_the_way_to_one_and_maintenance_stays(contracts, rate):
    market = with_open_interest(linear_market(50_000), BTCUSDT=contracts)
    pool = assess(linear_account(), market, crowded()).pools[0]
    assert pool.initial == pytest.approx(100_000 * rate)
    assert pool.maintenance == pytest.approx(5_000)


def test_open_interest_is_valued_at_the_mark_in_the_payoff_asset():
    # An inverse market of 1e6 contracts of one dollar: 25 coins at 40,000, 12.5 at 80,000.
    rule = OpenInterestRule(code="TEST-OI-001", lower=10.0, upper=30.0)
    account = Account(
        balances=(Balance(asset="BTC", amount=5.0),),
        positions=(Position(symbol="BTCUSD", quantity=1e5, entry=50_000.0),),
    )
    for mark, share in ((40_000.0, 0.75), (80_000.0, 0.125)):
        market = with_open_interest(linear_market(mark), BTCUSD=1e6)
        market = replace(market, instruments={"BTCUSD": INVERSE}, quotes={"BTCUSD": market.quotes["BTCUSDT"]})
        pool = assess(account, market, crowded(rule)).pools[0]
        assert pool.initial == pytest.approx(1e5 / mark * (0.1 + share * 0.9))


def test_the_holders_leverage_counts_where_it_asks_for_more():
    market = with_open_interest(linear_market(50_000), BTCUSDT=25.0)
    book = crowded(rate=RateRule.LEVERAGE)
    for leverage, rate in ((2.0, 0.5), (10.0, 0.325)):
        held = Position(symbol="BTCUSDT", quantity=2.0, entry=50_000.0, leverage=leverage)
        account = Account(balances=(Balance(asset="USDT", amount=1e6),), positions=(held,))
        assert assess(account, market, book).pools[0].initial == pytest.approx(100_000 * rate)


def test_bounds_that_meet_are_a_step():
    rule = OpenInterestRule(code="TEST-OI-001", lower=1e6, upper=1e6)
    initial = [
        assess(linear_account(), with_open_interest(linear_market(50_000), BTCUSDT=c), crowded(rule))
        .pools[0]
        .initial
        for c in (20.0, 20.1)
    ]
    assert initial == pytest.approx([10_000, 100_000])


def test_the_rate_is_rounded_as_the_rulebook_says():
    rule = structs.replace(RULE, rounding=RoundingRule(step=0.01, direction=Direction.DOWN))
    market = with_open_interest(linear_market(50_000), BTCUSDT=25.1)  # 0.3295
    assert assess(linear_account(), market, crowded(rule)).pools[0].initial == pytest.approx(32_000)


def test_the_tree_shows_what_open_interest_adds():
    market = with_open_interest(linear_market(50_000), BTCUSDT=25.0)
    tree = assess(linear_account(), market, crowded(rate=RateRule.LEVERAGE)).explain("initial")
    added = next(node for _, node in tree.walk() if node.code == "TEST-OI-001")
    assert added.amount == pytest.approx(0.225)
    assert added.label == "open interest 1250000 between 1e+06 and 2e+06"
    assert discrepancy(tree) < 1e-12
    assert tree.amount == pytest.approx(32_500)


def test_a_tree_below_the_bound_says_so_and_maintenance_names_no_open_interest():
    assessment = assess(linear_account(), with_open_interest(linear_market(50_000), BTCUSDT=1.0), crowded())
    added = next(node for _, node in assessment.explain("initial").walk() if node.code == "TEST-OI-001")
    assert (added.amount, added.binds) == (0.0, "below the lower bound")
    assert all(node.code != "TEST-OI-001" for _, node in assessment.explain("maintenance").walk())


def test_scenarios_are_the_markets_that_they_stand_for():
    market = with_open_interest(linear_market(50_000), BTCUSDT=25.0)
    prepared = prepare(book_of((linear_account(),)), market, crowded())
    factors = [0.7, 0.9, 1.0, 1.2, 1.7]
    moves = np.ones((len(factors), len(prepared.table.assets)))
    moves[:, prepared.table.assets.index("BTC")] = factors
    many = evaluate(prepared, shifted(prepared.table, moves))
    for row, factor in enumerate(factors):
        there = with_open_interest(linear_market(50_000 * factor), BTCUSDT=25.0)
        assert many.initial[row, 0] == pytest.approx(
            assess(linear_account(), there, crowded()).pools[0].initial, rel=1e-12
        )


def test_liquidation_does_not_see_open_interest():
    prices = [
        liquidations(
            linear_account(), with_open_interest(linear_market(50_000), BTCUSDT=contracts), crowded()
        )[0]
        .bounds[0]
        .exact
        for contracts in (0.0, 1e6)
    ]
    assert prices[0] == prices[1]


def test_open_orders_are_margined_at_the_grown_rate():
    market = with_open_interest(linear_market(50_000), BTCUSDT=30.0)
    order = Order(symbol="BTCUSDT", quantity=1.0, price=50_000.0)
    account = replace(linear_account(cash=1e6), orders=(order,))
    book = crowded()
    book = structs.replace(book, account=structs.replace(book.account, order_basis=OrderBasis.MARK))
    for orders in (account, replace(account, positions=())):
        pool = assess(orders, market, book).pools[0]
        assert pool.order_margin == pytest.approx(50_000 * 0.55)


def test_without_open_interest_the_pool_is_unknown_and_says_what_to_add():
    order = Order(symbol="BTCUSDT", quantity=1.0, price=50_000.0)
    for account in (linear_account(), replace(linear_account(), positions=(), orders=(order,))):
        pool = assess(account, linear_market(50_000), crowded()).pools[0]
        assert pool.status is Status.UNKNOWN
        assert pool.initial != pool.initial
        (issue,) = pool.issues
        assert (issue.reason, issue.where) == (Reason.MISSING_OPEN_INTEREST, "BTCUSDT")
        assert "[market.open_interest]" in issue.message


def test_isolated_margin_that_nobody_stated_is_that_of_the_ladder():
    held = Position(symbol="BTCUSDT", quantity=2.0, entry=50_000.0, mode=MarginMode.ISOLATED)
    account = Account(positions=(held,))
    market = with_open_interest(linear_market(50_000), BTCUSDT=30.0)
    pool = assess(account, market, crowded()).pools[0]
    assert (pool.equity, pool.initial) == (pytest.approx(10_000), pytest.approx(55_000))


def test_bounds_the_wrong_way_round_are_a_contradiction():
    with pytest.raises(InvalidInputError) as caught:
        crowded(OpenInterestRule(code="TEST-OI-001", lower=3e6, upper=2e6))
    (issue,) = caught.value.issues
    assert issue.reason is Reason.CONTRADICTION
    assert issue.where.endswith("open_interest.lower")


@pytest.mark.parametrize("contracts", [-1.0, float("nan"), float("inf"), 1e30])
def test_open_interest_that_cannot_be_is_named(contracts):
    with pytest.raises(ValueError, match=r"open_interest\.BTCUSDT"):
        with_open_interest(linear_market(50_000), BTCUSDT=contracts)


def test_a_case_file_carries_open_interest():
    case = Case((linear_account(),), with_open_interest(linear_market(50_000), BTCUSDT=25.0))
    text = dump_case(case)
    assert '[market.open_interest]\n"BTCUSDT" = 25.0' in text
    assert parse_case(text, "here").market.open_interest == {"BTCUSDT": 25.0}


def test_open_interest_of_an_instrument_that_is_not_there_is_a_fault():
    case = Case((linear_account(),), with_open_interest(linear_market(50_000), BTCUSDT=25.0))
    with pytest.raises(InvalidInputError) as caught:
        parse_case(dump_case(case).replace('"BTCUSDT" = 25.0', '"BTCUDST" = 25.0'), "here")
    (issue,) = caught.value.issues
    assert (issue.reason, issue.where) == (
        Reason.UNKNOWN_INSTRUMENT,
        "here: market.open_interest.BTCUDST",
    )


def test_a_ladder_of_several_tiers_grows_from_the_rate_of_its_tier():
    ladder = WholePosition(
        code="TEST-LADDER-001",
        unit=TierUnit.VALUE,
        tiers=(
            Tier(floor=0.0, initial=0.1, maintenance=0.05),
            Tier(floor=50_000.0, initial=0.2, maintenance=0.1),
        ),
    )
    market = with_open_interest(linear_market(50_000), BTCUSDT=30.0)
    book = crowded(book=rules(ladder))
    assert assess(linear_account(), market, book).pools[0].initial == pytest.approx(60_000)
    assert assess(linear_account(1.0), market, book).pools[0].initial == pytest.approx(27_500)

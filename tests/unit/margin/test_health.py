"""Weighted cross collateral through `assess`: each part by hand, and what makes a pool unknown.

Formulas: specification of the protocols 3.2 and 4.2; the exact twins are in tests/property/test_health_laws.py.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec import structs

from margrave.adapters.files import dump_case, load_example, parse_case
from margrave.core.errors import InvalidInputError, Reason
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Order, Position
from margrave.domain.instruments import Future, Instrument, Inverse, Perpetual, Spot
from margrave.engine.assess import assess
from margrave.engine.assessment import Status
from margrave.liquidation import liquidations
from margrave.rulebook.catalogue import in_force, text_of
from margrave.rulebook.load import checked, parse
from margrave.rulebook.schema import CrossPool, OrderRule
from tests.unit import health_made as made
from tests.unit.health_made import contract, gains, into_balance, perpetual, token

SOL = {"initial": (0.8, 1.2), "maintenance": (0.9, 1.1)}
PERP, SPOT = contract("SOL"), contract("SOL", kind=Spot())


def market(price=100.0, **more):
    index = {"SOL": price, "USDC": 1.0} | more.pop("index", {})
    return made.market_of((PERP, SPOT), {"SOL-PERP": price, "SOL/USDC": price}, index, **more)


def account(sol=0.0, usdc=0.0, size=0.0, entry=100.0, orders=(), leverage=None, **more):
    balances = [Balance(asset=a, amount=x) for a, x in {"SOL": sol, "USDC": usdc, **more}.items() if x]
    position = Position(symbol="SOL-PERP", quantity=size, entry=entry, leverage=leverage)
    return Account(
        balances=tuple(balances),
        positions=(position,) if size else (),
        orders=tuple(Order(symbol=s, quantity=q, price=p) for s, q, p in orders),
    )


def beside(perp=None, **sol):
    tokens = (token("USDC"), token("SOL", **(SOL | sol)))
    return made.rulebook(made.beside(tokens, (perp or perpetual("SOL"),)))


def pool(held, at=None, rules=None):
    (found,) = assess(held, at or market(), rules or beside()).pools
    return found


@pytest.mark.parametrize(
    ("held", "initial", "maintenance", "end"),
    [
        (account(sol=10.0), 200.0, 100.0, 100.0),
        (account(sol=-10.0, usdc=5_000.0), 200.0, 100.0, 120.0),  # 2 % of the 1,000 owed
        (account(usdc=-50.0, sol=1.0), 20.0, 10.0, 11.0),
        (account(size=10.0, usdc=500.0), 100.0, 50.0, 70.0),
        (account(size=-10.0, usdc=500.0, leverage=2.0), 500.0, 50.0, 70.0),  # chosen leverage: initial only
        (account(size=10.0, entry=110.0, usdc=500.0), 100.0, 50.0, 72.0),  # and 2 % of the loss
        (account(size=10.0, entry=90.0, usdc=500.0), 100.0, 50.0, 70.0),  # a gain that counts in full
        (account(size=10.0, usdc=500.0, orders=[("SOL-PERP", 5.0, 1.0)]), 150.01, 75.01, 105.01),
        (account(size=10.0, usdc=500.0, orders=[("SOL-PERP", -15.0, 1.0)]), 100.01, 50.01, 70.01),
        (account(size=10.0, usdc=500.0, orders=[("SOL-PERP", -30.0, 1.0)]), 200.01, 100.01, 140.01),
        (account(usdc=5_000.0, orders=[("SOL/USDC", 10.0, 1.0)]), 200.01, 100.01, 120.01),
        (account(usdc=5_000.0, orders=[("SOL/USDC", -10.0, 1.0)]), 200.01, 100.01, 120.01),
        (
            account(sol=10.0, orders=[("SOL/USDC", -10.0, 1.0)]),
            200.01,
            100.01,
            100.01,
        ),  # the worse: none filled
    ],
)
def test_what_drifts_kind_of_rules_asks(held, initial, maintenance, end):
    found = pool(held)
    assert (found.initial, found.maintenance) == pytest.approx((initial, maintenance))
    assert found.liquidation_end == pytest.approx(end)
    assert found.margin_balance == found.equity


def test_gains_count_by_share_size_and_cap_and_losses_in_full():
    of = gains(0.5, 0.75, cap=100.0)
    # 10 SOL at a gain of 10 each: half of 100 counts for initial, three quarters for maintenance.
    held = account(size=10.0, entry=90.0, usdc=500.0)
    found = pool(held, rules=beside(perpetual("SOL", of=of)))
    assert (found.initial, found.maintenance) == pytest.approx((100 + 50, 50 + 25))
    # A gain of 1,000 counts 100, the cap, for initial.
    held = account(size=100.0, entry=90.0, usdc=5_000.0)
    found = pool(held, rules=beside(perpetual("SOL", of=of)))
    assert (found.initial, found.maintenance) == pytest.approx((1_000 + 900, 500 + 250))
    # 1.1 / (1 + 0.1 sqrt(100)) = 0.55 of a gain of 100
    sized = beside(perpetual("SOL", of=gains(1.0, 1.0, size_factor=0.1)))
    assert pool(account(size=10.0, entry=90.0, usdc=500.0), rules=sized).initial == pytest.approx(100 + 45)


def test_sizes_discount_assets_and_raise_debts_and_rates():
    rules = beside(perpetual("SOL", size_factor=0.01), size_factor=0.1)
    # 1.1 / (1 + 0.1 sqrt(100)) = 0.55 of 100 SOL, whatever the level
    found = pool(account(sol=100.0), rules=rules)
    assert (found.initial, found.maintenance) == pytest.approx((4_500, 4_500))
    # max(1.2, 0.96 + 0.1 x 10) = 1.96; max(1.1, 0.88 + 1) = 1.88
    found = pool(account(sol=-100.0, usdc=1e5), rules=rules)
    assert (found.initial, found.maintenance) == pytest.approx((9_600, 8_800))
    # max(0.1, 0.08 + 0.01 x 10) = 0.18; max(0.05, 0.04 + 0.1) = 0.14
    found = pool(account(size=-100.0, usdc=1e5), rules=rules)
    assert (found.initial, found.maintenance) == pytest.approx((1_800, 1_400))


def test_the_venues_totals_move_initial_weights_only():
    rules = beside(deposits_from=50_000.0, borrows_from=50_000.0)
    at = market(deposits={"SOL": 1_000.0}, borrows={"SOL": 1_000.0})  # twice the start
    found = pool(account(sol=10.0), at, rules)
    assert (found.initial, found.maintenance) == pytest.approx((1_000 * (1 - 0.4), 100))
    found = pool(account(sol=-10.0, usdc=1e4), at, rules)
    assert (found.initial, found.maintenance) == pytest.approx((1_000 * 1.4, 100))
    within = market(deposits={"SOL": 500.0}, borrows={"SOL": 500.0})
    assert pool(account(sol=10.0), within, rules).initial == pytest.approx(200)


def test_a_slow_price_moves_initial_only_and_never_the_end_of_a_liquidation():
    held = account(sol=10.0, usdc=-100.0, size=1.0)
    plain, slow = pool(held), pool(held, market(slow={"SOL": 80.0, "USDC": 1.1, "SOL-PERP": 1.0}))
    assert slow.initial == pytest.approx(plain.initial + 1_000 * 0.8 * 0.2 + 100 * 0.1 + 10 * 0.1)
    assert (slow.maintenance, slow.liquidation_end) == (plain.maintenance, plain.liquidation_end)
    higher = pool(held, market(slow={"SOL": 120.0, "USDC": 0.9}))
    assert higher.initial == plain.initial
    rules = made.rulebook(structs.replace(made.beside((token("USDC"), token("SOL", **SOL))), slow=None))
    alone = account(sol=10.0)
    assert pool(alone, market(slow={"SOL": 80.0}), rules).initial == pool(alone, rules=rules).initial == 200


def mangos(of=None, **usdc):
    perp = perpetual("SOL", (0.2, 0.2), (0.1, 0.1), of or gains(0.5, 0.5))
    return made.rulebook(into_balance((token("USDC", **usdc), token("SOL", **SOL)), (perp,)))


def test_a_profit_joins_the_balance_after_its_margin():
    # 10 SOL from 60: 400 less 200 of margin, half of which counts.
    found = pool(account(size=10.0, entry=60.0, usdc=-50.0), rules=mangos())
    assert found.margin_balance - found.initial == pytest.approx(-50 + 100)
    assert found.margin_balance - found.maintenance == pytest.approx(-50 + 150)
    assert found.liquidation_end == found.initial
    # What is left of it is weighed as the token is: 0.9 of an asset.
    weighed = mangos(initial=(0.9, 1.1), maintenance=(1.0, 1.0))
    found = pool(account(size=10.0, entry=60.0), rules=weighed)
    assert found.margin_balance - found.initial == pytest.approx(0.9 * 100)
    capped = mangos(gains(0.5, 0.5, cap=30.0))
    found = pool(account(size=10.0, entry=60.0), rules=capped)
    assert found.margin_balance - found.initial == pytest.approx(30)


def test_what_spot_orders_hold_back_counts_as_the_worse_of_both_sides():
    # 500 USDC bid 5 SOL at 100: as SOL they count 0.8; 5 SOL offered stay SOL.
    bid = account(usdc=500.0, orders=[("SOL/USDC", 5.0, 100.0)])
    assert pool(bid, rules=mangos()).initial == pytest.approx(100)
    # Bid at 50, ten SOL would come, of which no more counts than the oracle price says.
    low = account(usdc=500.0, orders=[("SOL/USDC", 10.0, 50.0)])
    assert pool(low, rules=mangos()).initial == pytest.approx(100)
    # Bid at 200, two and a half.
    high = account(usdc=500.0, orders=[("SOL/USDC", 2.5, 200.0)])
    assert pool(high, rules=mangos()).initial == pytest.approx(500 - 200)
    ask = account(sol=5.0, orders=[("SOL/USDC", -5.0, 100.0)])
    assert pool(ask, rules=mangos()).initial == pytest.approx(100)


def reasons(held, at=None, rules=None):
    return [(issue.where, issue.reason) for issue in assess(held, at or market(), rules or beside()).issues]


def test_what_makes_a_pool_unknown():
    scaled = beside(deposits_from=50_000.0, borrows_from=50_000.0)
    missing = ("SOL", Reason.MISSING_TOTAL)
    assert reasons(account(sol=1.0), rules=scaled) == [missing]
    assert reasons(account(sol=-1.0, usdc=1e3), rules=scaled) == [missing]
    assert reasons(account(usdc=1e3, orders=[("SOL/USDC", 1.0, 1.0)]), rules=scaled) == [missing, missing]
    assert reasons(account(usdc=1e3), rules=scaled) == []
    at = market(index={"XYZ": 2.0})
    assert reasons(account(XYZ=-1.0), at) == [("XYZ", Reason.NO_RULE)]
    unlisted = made.rulebook(made.beside((token("USDC"),)))
    assert reasons(account(size=1.0), rules=unlisted) == [("SOL-PERP", Reason.NO_RULE)]
    assert reasons(account(orders=[("SOL/USDC", 1.0, 1.0)]), rules=unlisted) == [("SOL", Reason.NO_RULE)]
    unpriced = replace(market(), index={"USDC": 1.0})
    asked = reasons(account(orders=[("SOL/USDC", 1.0, 1.0)]), unpriced)
    assert asked == [("SOL", Reason.MISSING_INDEX)]


def test_a_deposit_that_no_rule_lists_counts_nothing():
    found = assess(account(usdc=10.0, XYZ=5.0), market(index={"XYZ": 2.0}), beside())
    assert found.pools[0].equity - found.pools[0].initial == pytest.approx(10)
    assert "no rule, counts nothing" in str(found.explain("initial"))


@pytest.mark.parametrize(
    ("quantity", "leverage", "took"), [(10.0, None, 90.0), (-10.0, None, 180.0), (10.0, 5.0, 180.0)]
)
def test_an_isolated_margin_that_nobody_stated_is_what_opening_took(quantity, leverage, took):
    held = Position(
        symbol="SOL-PERP", quantity=quantity, entry=90.0, leverage=leverage, mode=MarginMode.ISOLATED
    )
    alone = pool(Account(positions=(held,)), rules=beside(perpetual("SOL", (0.1, 0.2), (0.05, 0.1))))
    assert alone.equity == pytest.approx(took + quantity * 10.0)
    unruled = Account(positions=(replace(held, symbol="SOL-PERP"),))
    assert assess(unruled, market(), made.rulebook(made.beside((token("USDC"),)))).issues != ()


@pytest.mark.parametrize("kind", [Spot(), Future(expiry=made.AT + timedelta(days=30))])
def test_a_position_that_is_no_perpetual_has_no_rule(kind):
    listed = replace(PERP, symbol="OTHER", kind=kind)
    at = made.market_of((listed,), {"OTHER": 100.0}, {"SOL": 100.0, "USDC": 1.0})
    held = Account(positions=(Position(symbol="OTHER", quantity=1.0, entry=100.0),))
    assert reasons(held, at) == [("OTHER", Reason.NO_RULE)]


def test_an_inverse_perpetual_has_no_rule():
    inverse = Instrument(
        symbol="SOLUSD",
        base="SOL",
        quote="USD",
        settlement="SOL",
        kind=Perpetual(),
        payoff=Inverse(contract_value=1.0),
    )
    at = made.market_of((inverse,), {"SOLUSD": 100.0}, {"SOL": 100.0, "USDC": 1.0})
    held = Account(positions=(Position(symbol="SOLUSD", quantity=1.0, entry=100.0),))
    assert ("SOLUSD", Reason.NO_RULE) in reasons(held, at)


def test_a_pool_without_an_end_says_nothing_of_it():
    rules = made.rulebook(structs.replace(made.beside((token("USDC"),)), liquidation_end=None))
    found = assess(account(usdc=1.0), market(), rules)
    assert found.pools[0].liquidation_end is None
    assert "liquidation_end" not in found.to_dict()["pools"][0]
    with pytest.raises(ValueError, match="must be one of initial, maintenance"):
        found.explain("liquidation-end")


def test_an_unknown_pool_has_no_end():
    found = assess(account(XYZ=-1.0), market(index={"XYZ": 2.0}), beside()).pools[0]
    assert found.status is Status.UNKNOWN
    assert found.liquidation_end != found.liquidation_end
    assert assess(account(usdc=1.0), market(), beside()).to_dict()["pools"][0]["liquidation_end"] == 0.0


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"haircut_unlisted": None}, "account.haircut_unlisted"),
        ({"cross_pool": CrossPool.SETTLEMENT}, "account.cross_pool"),
        ({"orders": OrderRule.SUM}, "account.orders"),
        ({"profit_credit": 0.5}, "account.profit_credit"),
    ],
)
def test_an_account_that_weighs_too_is_refused(change, place):
    rules = beside()
    with pytest.raises(InvalidInputError, match=place):
        checked(structs.replace(rules, account=structs.replace(rules.account, **change)))


def test_contradictions_are_told_together():
    twice = (token("USDC"), token("USDC"), token("SOL", (0.9, 1.1), (0.8, 1.2)))
    perps = (perpetual("SOL", (0.1, 0.1), (0.2, 0.1)),) * 2
    with pytest.raises(InvalidInputError) as told:
        made.rulebook(made.beside(twice, perps))
    places = [issue.where.split("portfolio.")[-1] for issue in told.value.issues]
    assert places == ["tokens", "perpetuals", "tokens.SOL", "perpetuals.SOL", "perpetuals.SOL"]


def test_a_rulebook_of_ones_own():
    shipped = text_of(in_force("example.weighted", made.AT))
    own = parse(shipped.replace("EXAMPLE-", "MINE-").replace("fee = 0.01", "fee = 0.5"), "mine.toml")
    held = account(usdc=1e3, size=1.0, orders=[("SOL-PERP", 1.0, 1.0)])
    assert pool(held, rules=own).initial == pytest.approx(2 * 100 * 0.1 + 0.5)


def test_the_market_tables_are_read_written_and_checked():
    case = load_example("weighted")
    market = case.market
    assert (dict(market.slow), dict(market.deposits), dict(market.borrows)) == (
        {"SOL": 95.0},
        {"SOL": 60_000.0},
        {"SOL": 20_000.0},
    )
    assert parse_case(dump_case(case), "again.toml").market == market
    for wrong in ({"slow": {"SOL": 0.0}}, {"deposits": {"SOL": -1.0}}, {"borrows": {"SOL": float("inf")}}):
        with pytest.raises(ValueError, match=r"\.SOL is"):
            replace(market, **wrong)


def test_a_liquidation_price_is_told_with_what_binds():
    (found,) = liquidations(account(usdc=500.0, size=10.0), market(), beside())
    (bound,) = found.bounds
    # 500 + 10 (P - 100) = 0.05 x 10 P
    assert bound.exact == pytest.approx(500 / 9.5)
    assert bound.binds == "SOL-PERP"

"""What an account owes asks margin of its own, beside counting in full (cex.md 1.4: loan x rate x index)."""

import numpy as np
import pytest

from margrave.core.errors import InvalidInputError
from margrave.domain.account import Account, Balance, Order, Position
from margrave.domain.market import Market, Quote
from margrave.engine.assess import assess
from margrave.engine.assessment import Status
from margrave.liquidation import liquidations
from margrave.margin.requirement import discrepancy
from margrave.margin.unified import Unified, adjusted_equity, asset_equity, requirement
from margrave.rulebook.catalogue import shipped
from margrave.rulebook.load import checked
from margrave.rulebook.schema import AccountRules, CollateralRule, CrossPool, DebtRule, Discount
from tests.unit.made import AT, LINEAR, rules

BOOK = next(b for b in shipped() if b.id == "example.unified")


def held(coin: float, dollars: float, size: float = 0.0, mark: float = 50_000.0, orders=()):
    positions = (Position(symbol="BTCUSDT", quantity=size, entry=50_000.0),) if size else ()
    balances = (Balance(asset="BTC", amount=coin), Balance(asset="USDT", amount=dollars))
    market = Market(
        at=AT, instruments={"BTCUSDT": LINEAR}, quotes={"BTCUSDT": Quote(mark=mark)}, index={"BTC": mark, "USDT": 1.0}
    )  # fmt: skip
    return Account(balances=balances, positions=positions, orders=orders), market


# Coin, dollars, size; what each level asks. EXAMPLE-DEBT-001: 20 % and 10 % of dollars owed; EXAMPLE-DEBT-002: 15 %
# and 8 % of coins owed at the index; EXAMPLE-MARGIN-005 and EXAMPLE-MARGIN-006 under EXAMPLE-LADDER-003: 10 % and 5 %.
@pytest.mark.parametrize(
    ("coin", "dollars", "size", "initial", "maintenance", "balance"),
    [
        (1.0, 0.0, 0.0, 0.0, 0.0, 47_500.0),  # EXAMPLE-COLLATERAL-005: 95 %
        (0.0, 1_000.0, 0.0, 0.0, 0.0, 1_000.0),  # EXAMPLE-COLLATERAL-004: in full
        (1.0, -20_000.0, 0.0, 4_000.0, 2_000.0, 27_500.0),
        (-0.5, 100_000.0, 0.0, 3_750.0, 2_000.0, 75_000.0),
        (1.0, -20_000.0, 0.2, 5_000.0, 2_500.0, 27_500.0),
        (1e3, -1e7, 0.0, 2e6, 1e6, 0.95 * 5e7 - 1e7),
    ],
)
def test_each_level_charges_what_is_owed(coin, dollars, size, initial, maintenance, balance):
    assessment = assess(*held(coin, dollars, size), BOOK)
    pool = assessment.pools[0]
    assert (pool.initial, pool.maintenance) == (pytest.approx(initial), pytest.approx(maintenance))
    assert pool.margin_balance == pytest.approx(balance)
    for level, amount in (("initial", initial), ("maintenance", maintenance)):
        tree = assessment.explain(level)
        assert tree.amount == pytest.approx(amount)
        assert tree.code == "EXAMPLE-ACCOUNT-003"
        assert discrepancy(tree) < 1e-12
        codes = {node.code for _, node in tree.walk()}
        assert ("EXAMPLE-DEBT-001" in codes) == (dollars < 0)
        assert ("EXAMPLE-DEBT-002" in codes) == (coin < 0)
        assert ("EXAMPLE-LADDER-003" in codes) == bool(size)


def test_the_engine_and_the_printed_formula_of_the_unified_ratio_agree():
    # cex.md 1.4: equity sum min(x idx rate, x idx) over sum loan x rate x idx
    pool = assess(*held(-0.5, 100_000.0), BOOK).pools[0]
    index, amount = np.array([50_000.0, 1.0]), np.array([-0.5, 100_000.0])
    equity = adjusted_equity(asset_equity(amount, index, np.array([0.95, 1.0])), np.zeros(2), index)
    asked = requirement(np.zeros(2), np.maximum(-amount, 0), np.array([0.08, 0.10]), index)
    assert Unified(equity, 0.0, asked).ratio == pytest.approx(1 / pool.ratio)


def test_an_order_is_told_apart_from_a_debt():
    order = Order(symbol="BTCUSDT", quantity=0.1, price=50_000.0)
    pool = assess(*held(1.0, -20_000.0, orders=(order,)), BOOK).pools[0]
    assert pool.order_margin == pytest.approx(500)
    assert pool.initial == pytest.approx(4_500)


# EXAMPLE-BAND-001 above 1.5, EXAMPLE-BAND-002 above 1.1, EXAMPLE-BAND-003 below: 1 BTC against dollars owed.
@pytest.mark.parametrize(
    ("ratio", "band", "status"),
    [
        (1.6, "free", Status.CALL),
        (1.2, "reduce-only", Status.CALL),
        (1.09, "liquidation", Status.LIQUIDATABLE),
    ],
)
def test_a_debt_can_liquidate_without_a_position(ratio, band, status):
    owed = 47_500 / (1 + 0.1 * ratio)  # 47,500 - owed = ratio x 0.1 owed
    pool = assess(*held(1.0, -owed), BOOK).pools[0]
    assert pool.band == band
    assert pool.status is status


def test_the_liquidation_price_counts_the_debt():
    account, market = held(1.0, -20_000.0, 0.2)
    down = liquidations(account, market, BOOK, "BTC")[0].bounds[0]
    # Below the entry the profit is owed too: x = 20,000 + 0.2 (50,000 - P); 0.95 P - x = 1.1 (0.1 x + 0.05 x 0.2 P)
    exact = 1.11 * 30_000 / (0.95 + 0.2 * 1.11 - 1.1 * 0.01)
    assert down.exact == pytest.approx(exact, rel=1e-9)


def test_a_maintenance_above_initial_is_refused():
    rule = CollateralRule(
        asset="USDT",
        code="A-001",
        discounts=(Discount(floor=0.0, rate=1.0),),
        debt=DebtRule(code="A-002", initial=0.1, maintenance=0.2),
    )
    account = AccountRules(cross_pool=CrossPool.ACCOUNT, code="TEST-ACCOUNT-001", collateral=(rule,))
    with pytest.raises(InvalidInputError, match="maintenance is above initial"):
        checked(rules(account=account))

"""Liquidation prices of pools that a portfolio model margins: what binds, and where rules say nothing."""

import numpy as np
import pytest
from msgspec import structs

from margrave.liquidation import liquidations
from margrave.liquidation.search import known_stretch, sign_changes
from margrave.rulebook.load import checked
from margrave.rulebook.portfolio import CollateralMember
from margrave.rulebook.reform import stated
from margrave.rulebook.schema import AccountRules, CrossPool, Match, PortfolioMember, Product
from tests.unit import made as flat
from tests.unit import scenarios_made as made
from tests.unit import standard_made
from tests.unit.margin import clearing

ACCOUNT = AccountRules(cross_pool=CrossPool.SETTLEMENT, code="TEST-ACCOUNT", option_value_credit=True)
SCAN = stated("test.scan", PortfolioMember(), ACCOUNT, portfolio=clearing.scan())
FUTURE = made.inverse()


def found(held, rulebook, balances=(("BTC", 0.25),)):
    told = made.market([i for i, _ in held], {"BTC": made.PRICE, "USDC": 1.0})
    account = made.account(held, told, balances)
    return liquidations(account, told, rulebook)[0]


def test_the_bound_of_a_future_under_scenarios():
    # One coin's worth long on 0.25 coin: equity 1.25 - 50,000 / P against (50,000 / P) (1 / 0.84 - 1).
    told = found([(FUTURE, 50_000.0)], made.rulebook())
    (bound,) = told.bounds
    assert bound.exact == pytest.approx(50_000.0 / 0.84 / 1.25, rel=1e-12)
    assert bound.method == "root"  # a formula of single positions does not hold here
    assert bound.binds == "risk of BTC: cell 1, price -0.16, vol up"
    assert told.bankruptcy[0].exact == pytest.approx(50_000.0 / 1.25, rel=1e-12)
    assert told.bankruptcy[0].binds == "equity"


def test_the_binding_cell_is_the_one_at_the_bound():
    held = [(FUTURE, 30_000.0), (made.option(50_000.0, "call"), -2), (made.option(45_000.0, "put"), -1)]
    below, above = found(held, made.rulebook(), (("BTC", 0.7),)).bounds
    assert "price -0.16" in below.binds
    assert "price +0.16, vol up" in above.binds


def test_a_cut_of_collateral_moves_the_bound_and_the_unit_still_binds():
    # 0.6 coin cut by half of what the pool owns: (1.6 - 50,000 / P) / 2 against (50,000 / P) (1 / 0.84 - 1).
    haircut = CollateralMember(asset="BTC", code="TEST-CUT", maintenance_haircut=0.5)
    (bound,) = found([(FUTURE, 50_000.0)], made.rulebook(collateral=(haircut,)), (("BTC", 0.6),)).bounds
    assert bound.exact == pytest.approx(50_000.0 * (0.5 + 1.0 / 0.84 - 1.0) / 0.8, rel=1e-12)
    assert bound.binds.startswith("risk of BTC")


def test_scan_and_standard_manager_name_what_binds():
    future = made.linear()
    (bound,) = found([(future, 1)], SCAN, (("USD", 12_000.0),)).bounds
    assert bound.exact == pytest.approx(47_000.0, rel=1e-12)  # 12,000 less a fall meets a range of 9,000
    assert bound.binds == "BTC: risk less net option value"
    manager = stated("test.srm", PortfolioMember(), ACCOUNT, portfolio=standard_made.rule("BTC"))
    stable = made.Instrument(
        symbol="PERP", base="BTC", quote="USDC", settlement="USDC", kind=future.kind, payoff=future.payoff
    )
    (bound,) = found([(stable, 1)], manager, (("USDC", 12_000.0),)).bounds
    assert bound.exact == pytest.approx(38_000.0 / 0.95, rel=1e-12)
    assert bound.binds == "BTC"


def test_where_the_rules_say_nothing_is_not_called_safe_or_liquidatable():
    # A range of 9,000, twice for the extremes: no scan below 18,000.
    told = found([(made.linear(), -1)], SCAN, (("USD", 12_000.0),))
    assert told.liquidatable == ((pytest.approx(53_000.0), float("inf")),)
    told = found([(made.linear(), 1)], SCAN, (("USD", 12_000.0),))
    ((low, high),) = told.liquidatable
    assert low == pytest.approx(18_000.0, rel=1e-9)
    assert high == pytest.approx(47_000.0, rel=1e-12)
    told = found([(made.linear(), 1)], SCAN, (("USD", 5_000.0),))
    assert told.reason == "already liquidatable"


def test_a_search_stops_where_the_curve_has_no_value():
    def curve(factor):
        return np.where((factor > 0.2) & (factor < 5.0), np.log(factor) + 0.5, np.nan)

    low, high = known_stretch(curve)
    assert low == pytest.approx(0.2, rel=1e-12)
    assert high == pytest.approx(5.0, rel=1e-12)
    assert sign_changes(curve, np.empty(0), np.empty(0)) == pytest.approx([np.exp(-0.5)], rel=1e-12)
    assert known_stretch(np.log) == (0.0, float("inf"))


def test_unknown_pools_have_no_bound():
    blind = made.rulebook(made.terms(vol=None))
    told = found([(made.option(50_000.0, "call"), -1)], blind)
    assert told.reason == "pool cannot be valued"


def hybrid(cut):
    """Options under scenarios, futures by a ladder, in one pool; a coin held is cut by the portfolio model."""
    model = made.model(collateral=(CollateralMember(asset="BTC", code="TEST-CUT", maintenance_haircut=cut),))
    futures = flat.rules(flat.flat_ladder(0.10, 0.05))
    first = structs.replace(futures.products[0], match=Match(kinds=("perpetual", "future")))
    options = Product(name="options", match=Match(kinds=("option",)), model=PortfolioMember())
    return checked(structs.replace(futures, products=(first, options), portfolio=model))


def test_a_position_outside_the_model_or_a_haircut_may_bind():
    (bound,) = found([(FUTURE, 50_000.0)], hybrid(0.0)).bounds
    assert bound.binds == "maintenance of BTCUSD"
    assert bound.exact == pytest.approx(50_000.0 * 1.05 / 1.25, rel=1e-12)
    # Six tenths of what is owned are cut, and the rest meets the ladder: 0.4 (1.25 - x) = 0.05 x, x = 50,000 / P.
    (bound,) = found([(FUTURE, 50_000.0)], hybrid(0.6)).bounds
    assert bound.exact == pytest.approx(45_000.0, rel=1e-12)
    assert bound.binds == "haircuts of collateral"

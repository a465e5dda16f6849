"""Rows of the specification about portfolio and cross margin that other modules answer, under scenario rules."""

from dataclasses import replace

import pytest

from margrave.core.words import MAINTENANCE
from margrave.engine.analysis.compare import Variant, compare
from margrave.engine.analysis.offset import offsets
from margrave.engine.analysis.stress import basis_cells
from margrave.engine.assess import assess
from margrave.engine.assessment import Status
from margrave.engine.default.closing import LiquidationRule
from margrave.engine.default.unwind import Outcome, unwind
from margrave.engine.whatif import Leg, what_if
from margrave.margin.requirement import discrepancy
from margrave.margin.spot_hedge import spot_in_use
from margrave.rulebook import portfolio as p
from margrave.rulebook.schema import AccountRules, CollateralRule, CrossPool, Discount
from tests.unit import made as flat
from tests.unit import scenarios_made as made

FUTURE = made.inverse()
RHO = p.CorrelationOffset(code="TEST-RHO", pairs=(p.CorrelationPair("BTC", "ETH", 0.8),))
CALL, PUT = made.option(50_000.0, "call"), made.option(50_000.0, "put")


def told_of(held, balances=(("BTC", 1.0),)):
    told = made.market(dict.fromkeys([i for i, _ in held] + [FUTURE, CALL, PUT]))
    return made.account(held, told, balances), told


# Specification, the table of section PMS, its last column.
OFFSETS = {
    "long future": ([(FUTURE, 50_000.0)], 0.0),
    "synthetic long": ([(CALL, 1), (PUT, -1)], 0.2325),
    "short straddle": ([(CALL, -1), (PUT, -1)], 0.4671),
    "future and put": ([(FUTURE, 50_000.0), (PUT, 1)], 0.7125),
    "covered call": ([(FUTURE, 50_000.0), (CALL, -1)], 0.4391),
    "call spread": ([(CALL, -1), (made.option(55_000.0, "call"), 1)], 0.8672),
    "futures": ([(FUTURE, 100_000.0), (made.inverse("BTC-2"), -80_000.0)], 0.8734),
}


@pytest.mark.parametrize("name", OFFSETS)
def test_pms_5_offsets_of_the_table(name):
    held, fraction = OFFSETS[name]
    account, told = told_of(held)
    (pool,) = offsets(account, told, made.rulebook(), MAINTENANCE)
    assert pool.fraction == pytest.approx(fraction, abs=5e-5)
    assert pool.requirement == pytest.approx(made.block_of(held).worst[0, 0], abs=1e-15)
    assert pool.capped == pytest.approx(max(pool.requirement, 0.2 * pool.sum_of_parts))
    assert len(pool.pairs) == (1 if fraction else 0)
    for pair in pool.pairs:
        assert pair.saving == pytest.approx(pool.benefit, abs=1e-12)


def test_pms_4_every_contingency_stands_in_the_tree():
    tail = p.Tail(code="T", moves=(-0.66, 5.0))
    charges = (
        p.NotionalCharge(code="TEST-NAKED", of=p.Held.NAKED_OPTIONS, rate=0.01),
        p.OffsetCharge(code="TEST-OFFSET", rate=0.01),
        p.AmountCharge(code="TEST-LEAST", amount=0.5, role=p.Role.LEAST),
    )
    cells = p.Cells(code="TEST-CELLS", even=p.EvenGrid(range=0.16, each_side=4), tail=tail)
    rules = made.rulebook(made.terms(cells, charges=charges))
    account, told = told_of([(FUTURE, 10_000.0), (made.inverse("BTC-2"), -8_000.0), (CALL, -1)])
    told = replace(
        told,
        quotes={**told.quotes, "BTC-2": told.quotes["BTCUSD"]},
        instruments={**told.instruments, "BTC-2": made.inverse("BTC-2")},
    )
    found = assess(account, told, rules)
    nodes = {node.code: node for _, node in found.explain().walk() if node.code}
    assert nodes["TEST-NAKED"].amount == pytest.approx(0.01)
    assert nodes["TEST-OFFSET"].amount == pytest.approx(0.01 * 0.16)
    assert nodes["TEST-LEAST"].amount == 0.5
    assert nodes["TEST-CELLS"].label.startswith("worst of 29 cells: price")
    assert nodes["TEST-CELLS"].binds.startswith("cell ")
    # The floor binds, and says so.
    assert any(node.rule == "max" and node.binds == "least" for _, node in found.explain().walk())
    assert found.pools[0].maintenance == pytest.approx(0.5)


def test_cm_1_collateral_of_several_assets_after_haircuts():
    # Two coins at 10 % and 20 % off in slices, and dollars: worth counted once, at the index of each.
    rules = AccountRules(
        cross_pool=CrossPool.ACCOUNT,
        currency="USD",
        code="A",
        collateral=(
            CollateralRule(
                asset="BTC",
                code="B",
                discounts=(Discount(floor=0.0, rate=0.9), Discount(floor=1.0, rate=0.8)),
            ),
        ),
    )
    future = made.linear()
    told = made.market([future])
    account = made.account([(future, 1)], told, (("BTC", 1.5), ("USD", 1_000.0)))
    (pool,) = assess(account, told, made.rulebook(account=rules)).pools
    assert pool.currency == "USD"
    assert pool.equity == pytest.approx(76_000.0)
    assert pool.margin_balance == pytest.approx(1_000.0 + 45_000.0 + 0.5 * 0.8 * 50_000.0)


def test_cm_5_a_basis_moves_one_leg_alone():
    dated = made.inverse("BTC-DATED", days=90.0)
    told = made.market([FUTURE, dated])
    account = made.account([(FUTURE, 50_000.0), (dated, -50_000.0)], told)
    rows = {
        (symbol, cell.price_move): cell
        for symbol, cell in basis_cells(account, told, made.rulebook(), (-0.1, 0.1))
    }
    assert rows["BTCUSD", -0.1].profit == pytest.approx(1.0 - 1.0 / 0.9)
    assert rows["BTC-DATED", -0.1].profit == pytest.approx(1.0 / 0.9 - 1.0)
    assert rows["BTCUSD", 0.1].maintenance > assess(account, told, made.rulebook()).pools[0].maintenance


def test_cm_6_spot_hedges_up_to_the_delta_of_the_derivatives():
    # Two coins beside a short of one and a half: the unit sees the coins that hedge, not the half that is left.
    future = made.linear()
    used = float(spot_in_use(2.0, -1.5).in_use)
    told = made.market([future])
    account = made.account([(future, -1.5)], told, (("BTC", used), ("USD", 1e5)))
    (hedged,) = assess(account, told, made.rulebook(currency="USD", collateral_moves=True)).pools
    assert hedged.maintenance == pytest.approx(0.0, abs=1e-8)


def test_pm_5_liquidation_never_breaks_a_hedge():
    # A long future under a put: closing the put first would raise the requirement, so the future goes.
    held = [(FUTURE, 100_000.0), (PUT, 1)]
    account, told = told_of(held, (("BTC", 0.16),))
    assert assess(account, told, made.rulebook()).status is Status.LIQUIDATABLE
    done = unwind(account, told, made.rulebook(), LiquidationRule())
    (pool,) = done.pools
    assert pool.outcome is Outcome.RESTORED
    assert {fill.symbol for step in pool.steps for fill in step.fills} == {"BTCUSD"}
    for step in pool.steps:
        assert step.after.maintenance <= step.before.maintenance + 1e-12


@pytest.mark.parametrize("leg", [Leg("BTC-P50-30", 1.0), Leg("BTCUSD", -20_000.0), Leg("BTC-C50-30", -0.5)])
def test_pm_6_a_what_if_is_the_full_calculation(leg):
    account, told = told_of([(FUTURE, 50_000.0), (CALL, -1)])
    found = what_if(account, told, made.rulebook(), (leg,))
    again = assess(found.account, found.market, made.rulebook())
    assert found.after.pools == again.pools
    held = {**{q.symbol: q.quantity for q in account.positions}}
    held[leg.symbol] = held.get(leg.symbol, 0.0) + leg.quantity
    assert found.after.pools[0].maintenance == pytest.approx(
        made.pooled_of([(told.instruments[s], q) for s, q in held.items()]).maintenance[0, 0], abs=1e-15
    )


def test_pm_7_portfolio_beside_its_fallback():
    second = made.inverse("BTC-2")
    told = made.market([FUTURE, second])
    account = made.account([(FUTURE, 100_000.0), (second, -80_000.0)], told)
    standard = flat.rules(flat.flat_ladder(0.20, 0.16))
    first, other = compare(
        account, told, (Variant("standard", standard), Variant("portfolio", made.rulebook()))
    )
    assert (first.variant, other.variant) == ("standard", "portfolio")
    assert first.pool.initial == pytest.approx(0.2 * 3.6)
    assert other.pool.initial == pytest.approx(0.0761904762, abs=1e-9)
    assert other.saving == pytest.approx(1.0 - 0.0761904762 / 0.72, abs=1e-8)
    assert other.why


def test_confidence_peg_and_haircuts_stand_in_the_tree():
    sure = p.ConfidenceCharge(code="TEST-SURE", of=p.Held.FUTURES, below=0.7, rate=0.1)
    levels = p.LevelFactors(
        code="TEST-LEVEL", initial=1.25, depeg=p.Depeg(code="TEST-PEG", below=0.98, factor=1.2)
    )
    cut = p.CollateralMember(asset="BTC", code="TEST-CUT", maintenance_haircut=0.1, initial_haircut=0.05)
    rules = made.rulebook(
        made.terms(charges=(sure,)), levels=levels, collateral=(cut,), correlation=RHO, currency="USDC"
    )
    future, ether = made.linear(), made.linear("ETH-LINEAR", "ETH")
    prices = {"BTC": 50_000.0, "ETH": 2_500.0, "USDC": 0.90}
    told = made.market([future, ether], prices, confidence={"BTC": 0.5})
    account = made.account([(future, 1), (ether, -20)], told, (("BTC", 1.0), ("USDC", 1e5)))
    found = assess(account, told, rules)
    for level, amount in (("initial", found.pools[0].initial), ("maintenance", found.pools[0].maintenance)):
        tree = found.explain(level)
        assert discrepancy(tree) <= 1e-12
        assert tree.amount == pytest.approx(amount, rel=1e-12)
    nodes = {node.code: node for _, node in found.explain("initial").walk() if node.code and node.amount}
    assert nodes["TEST-SURE"].amount == pytest.approx(0.5 * 0.1 * 50_000.0 / 0.9)
    assert nodes["TEST-SURE"].binds == "confidence 0.5 against 0.7"
    assert nodes["TEST-PEG"].amount == pytest.approx(0.08 * 1.2)
    assert nodes["TEST-CUT"].amount == pytest.approx(0.15 * 50_000.0 / 0.9)
    assert nodes["TEST-RHO"].amount < 0.0

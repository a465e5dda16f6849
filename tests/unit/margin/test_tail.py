"""Margin from the tail of joint scenarios: numbers by hand, agreement of models, and what stays unknown.

Section names are those of the specification's rows: PMS-3, PMD-2, PMM-3, PMM-5, CBM-2, RBM-3, RBM-4, RBM-5, RBM-7.
"""

from dataclasses import replace
from math import exp, sqrt

import numpy as np
import pytest

from margrave.core.errors import Reason
from margrave.domain.account import Account, Balance, Order, Position
from margrave.domain.market import Quote
from margrave.engine.analysis.tails import tails
from margrave.engine.assess import assess, assess_all
from margrave.engine.assessment import Status
from margrave.kernels.black76 import quote_price
from margrave.kernels.normal import normal_quantile
from margrave.kernels.tail import normal_expected_shortfall, normal_value_at_risk
from margrave.liquidation import liquidations
from margrave.margin.requirement import discrepancy
from margrave.rulebook.clearing import Extreme, ScanModel, Share
from margrave.rulebook.portfolio import Cell, Cells
from margrave.rulebook.reform import stated
from margrave.rulebook.schema import PortfolioMember
from margrave.rulebook.tail import (
    EwmaFilter,
    Normal,
    NotionalFloor,
    ReturnKind,
    Scaling,
    Student,
    UpperBound,
    UpperValueAtRisk,
    VolDraws,
)
from tests.unit import scenarios_made
from tests.unit.margin.clearing import commodity
from tests.unit.tail_made import (
    BTC,
    COIN,
    ETH,
    HISTORY,
    account,
    draws,
    history,
    market,
    rulebook,
    shortfall,
    value_at_risk,
)

DAY = sqrt(1.0 / 365.0)
TWO_COINS = account((BTC.symbol, 2.0), (ETH.symbol, -10.0), USD=100_000.0)
HUNDRED = account((BTC.symbol, 2.0), USD=100_000.0)  # 100k USD of BTC


def pool(held, rules, at=None):
    (found,) = assess(held, at or market(), rules).pools
    return found


def maintenance(held, at=None, **more):
    found = pool(held, rulebook(**more), at)
    assert found.issues == ()
    return found.maintenance


# --- history ---


def by_hand(row, btc=2.0, eth=-10.0):
    return -(btc * 50_000.0 * HISTORY["BTC"][row] + eth * 3_000.0 * HISTORY["ETH"][row])


def test_positions_add_up_in_every_row_and_the_tail_is_taken_after():
    losses = sorted((by_hand(row) for row in range(20)), reverse=True)
    assert maintenance(TWO_COINS) == pytest.approx((losses[0] + losses[1]) / 2, rel=1e-12)
    alone = maintenance(account((BTC.symbol, 2.0), USD=1e5)) + maintenance(
        account((ETH.symbol, -10.0), USD=1e5)
    )
    assert maintenance(TWO_COINS) < alone  # a row has one date for both


@pytest.mark.parametrize(
    ("measure", "figure"),
    [
        (UpperValueAtRisk(code="T", confidence=0.9), 52_000.0),
        (value_at_risk(0.9), 34_000.0),
        (shortfall(0.9), 56_500.0),
    ],
)
def test_the_measure_is_the_one_that_the_rules_state(measure, figure):
    # A million dollars of BTC: the figures of group fhs.
    assert maintenance(account((BTC.symbol, 20.0), USD=1e6), measure=measure) == pytest.approx(figure)


@pytest.mark.parametrize(
    ("scaling", "figure"),
    [(Scaling.FULL, 68_906.92083), (Scaling.HALF, 62_703.46041)],  # group fhs: ES_exact
)
def test_history_at_the_vol_of_today(scaling, figure):
    rule = EwmaFilter(
        code="T", decay=0.94, ratio_least=0.0, ratio_most=10.0, seed_deviation=0.02, scaling=scaling
    )
    held = account((BTC.symbol, 20.0), USD=1e6)
    assert maintenance(held, scenarios=history(filter=rule)) == pytest.approx(figure, rel=1e-9)
    own = replace_filter(rule, seed_deviation=None)
    mean = np.sqrt(np.mean(np.square(HISTORY["BTC"])))
    seeded = replace_filter(rule, seed_deviation=float(mean))
    assert maintenance(held, scenarios=history(filter=own)) == pytest.approx(
        maintenance(held, scenarios=history(filter=seeded)), rel=1e-12
    )


def replace_filter(rule, **more):
    parts = {name: getattr(rule, name) for name in rule.__struct_fields__}
    return EwmaFilter(**(parts | more))


def test_the_market_brings_its_own_history():
    at = market(returns=HISTORY)
    assert maintenance(TWO_COINS, at, scenarios=history(returns={})) == maintenance(TWO_COINS)


def test_returns_of_hours_grow_with_the_root_of_time():
    hourly = maintenance(TWO_COINS, scenarios=history(days=1 / 24))
    assert hourly == pytest.approx(sqrt(24.0) * maintenance(TWO_COINS), rel=1e-12)


# --- full revaluation ---


def test_an_inverse_contract_is_revalued_in_coin():
    # Clearing 2.1: a long inverse loses q / E (1 / (1 + r) - 1) of coin at P = E.
    held = account((COIN.symbol, 50_000.0), BTC=1.0)
    losses = sorted((1.0 / (1.0 + r) - 1.0 for r in HISTORY["BTC"]), reverse=True)
    assert maintenance(held, currency=None) == pytest.approx((losses[0] + losses[1]) / 2, rel=1e-12)
    assert pool(held, rulebook(currency=None)).currency == "BTC"


def test_coin_profit_becomes_dollars_at_the_price_of_the_row():
    # q (1 / P - 1 / P') at P' dollars: q r, exactly linear in the pool's dollars.
    held = account((COIN.symbol, 50_000.0), USD=1e5)
    assert maintenance(held) == pytest.approx(maintenance(account((BTC.symbol, 1.0), USD=1e5)), rel=1e-12)


def test_collateral_moves_where_stated():
    # A coin short 1x against its own coins: what the coins lose the contract gains.
    hedged = account((COIN.symbol, -50_000.0), BTC=1.0)
    assert maintenance(hedged, collateral_moves=True) == pytest.approx(0.0, abs=1e-9)
    assert maintenance(hedged) == pytest.approx((0.045 + 0.031) / 2 * 50_000.0)
    # Unrealised profit in coin moves too: entered at 40,000 the account owns 0.75 coin more or less.
    old = account((COIN.symbol, 40_000.0), entries={COIN.symbol: 40_000.0}, BTC=0.0)
    rise = 1.0 - 0.8  # coin: 40,000 / 40,000 - 40,000 / 50,000
    moved = maintenance(old, collateral_moves=True)
    assert moved == pytest.approx((rise * 50_000.0 + 40_000.0) * 0.0565, rel=1e-12)
    idle = account(BTC=1.0)
    assert maintenance(idle, collateral_moves=True) == pytest.approx(50_000.0 * 0.0565)


def put(days=30.0, strike=50_000.0, vol=0.8):
    contract = scenarios_made.option(strike, "put", coin=False, days=days)
    mark = float(quote_price(50_000.0, strike, vol, days / 365.0, False))
    return contract, Quote(mark=mark, index=50_000.0, forward=50_000.0, vol=vol)


def test_an_option_is_revalued_with_its_vol_moved():
    contract, quote = put()
    held = account((contract.symbol, -3.0), entries={contract.symbol: quote.mark}, USD=1e5)
    at = market((contract, quote))
    moves = {"BTC": tuple(-3.0 * r for r in HISTORY["BTC"])}
    for vol_moves, of in (({}, 0.0), (moves, -3.0)):
        losses = sorted(
            (
                3.0
                * float(
                    quote_price(50_000.0 * (1 + r), 50_000.0, 0.8 * (1 + of * r), 30 / 365, False)
                    - quote.mark
                )
                for r in HISTORY["BTC"]
            ),
            reverse=True,
        )
        asked = maintenance(held, at, scenarios=history(vol_moves=vol_moves))
        assert asked == pytest.approx((losses[0] + losses[1]) / 2, rel=1e-9)


def test_rows_are_valued_in_blocks_without_changing_a_digit(monkeypatch):
    contract, quote = put()
    held = account((BTC.symbol, 1.0), (contract.symbol, -2.0), entries={contract.symbol: quote.mark}, USD=1e5)
    rules = {"scenarios": draws(2_000), "measure": shortfall(0.975)}
    whole = maintenance(held, market((contract, quote)), **rules)
    monkeypatch.setattr("margrave.margin.tails.revaluation._BLOCK", 14)
    assert maintenance(held, market((contract, quote)), **rules) == whole


# --- Monte Carlo (PMM-5) ---


def test_a_seed_gives_the_same_digits_again():
    rules = {"scenarios": draws(seed=5), "measure": shortfall(0.975)}
    assert maintenance(TWO_COINS, **rules) == maintenance(TWO_COINS, **rules)
    assert maintenance(TWO_COINS, **rules) != maintenance(TWO_COINS, **(rules | {"scenarios": draws(seed=6)}))


@pytest.mark.parametrize("measure", [value_at_risk(0.99), shortfall(0.975)])
def test_the_standard_error_is_that_of_many_seeds(measure):
    found = [
        tails(HUNDRED, market(), rulebook(scenarios=draws(10_000, seed), measure=measure))[0]
        for seed in range(40)
    ]
    told = np.mean([t.standard_error for t in found])
    assert np.std([t.tail for t in found], ddof=1) == pytest.approx(told, rel=0.35)
    exact = (
        normal_value_at_risk(80_000.0 * DAY, 0.99)
        if measure.confidence == 0.99
        else normal_expected_shortfall(80_000.0 * DAY, 0.975)
    )
    above = sum(t.upper >= exact for t in found)
    assert above >= 34  # 95 % of 40 is 38; P(fewer than 34) is 1 %


@pytest.mark.parametrize("measure", [value_at_risk(0.99), shortfall(0.975)])
def test_the_upper_bound_is_charged_if_asked(measure):
    bound = UpperBound(code="TEST-BOUND", sureness=0.99)
    rules = rulebook(scenarios=draws(upper_bound=bound), measure=measure)
    (told,) = tails(HUNDRED, market(), rules)
    asked = pool(HUNDRED, rules).maintenance
    assert asked == told.upper
    assert asked > told.tail + told.standard_error
    tree = assess(HUNDRED, market(), rules).explain("maintenance")
    assert tree.amount == pytest.approx(asked, rel=1e-12)
    assert discrepancy(tree) < 1e-12
    assert "TEST-BOUND" in {node.code for _, node in tree.walk()}


def test_log_returns_stay_above_zero():
    asked = maintenance(HUNDRED, scenarios=draws(200_000, returns=ReturnKind.LOG), measure=value_at_risk())
    assert asked == pytest.approx(100_000.0 * (1.0 - exp(-0.0974133)), rel=0.01)


def test_draws_of_a_student_t_have_fatter_tails():
    by_law = [
        maintenance(
            HUNDRED,
            scenarios=draws(100_000, distribution=law, returns=ReturnKind.LOG),
            measure=shortfall(0.99),
        )
        for law in (Normal(), Student(degrees=4))
    ]
    assert by_law[1] > 1.2 * by_law[0]


def test_vols_that_move_cost_a_straddle():
    contract, quote = put()
    held = account((contract.symbol, -3.0), entries={contract.symbol: quote.mark}, USD=1e5)
    at, measure = market((contract, quote)), shortfall(0.99)
    still = maintenance(held, at, scenarios=draws(), measure=measure)
    moving = draws(vols=VolDraws(code="T", vol_of_vol=1.0, correlation=-0.7))
    assert maintenance(held, at, scenarios=moving, measure=measure) > 1.02 * still


# --- one interface, four models that agree on one linear future (PMM-1, PMM-3, CBM-2, RBM-3) ---

FIGURES = [(0.8, 0.99, 9_741.33), (0.8, 0.995, 10_786.01), (0.5, 0.99, 6_088.33), (2.0, 0.99, 24_353.32)]


@pytest.mark.parametrize(("vol", "confidence", "figure"), FIGURES)
def test_grid_scan_history_draws_and_the_formula_agree(vol, confidence, figure):
    move = figure / 100_000.0
    quantiles = np.random.default_rng(1).permutation(_normal_grid(20_000)) * vol * DAY
    scan = ScanModel(
        code="T",
        commodities=(commodity(price_range=Share(value=move), vol_range=None),),
        extreme=Extreme(multiple=2.0, fraction=0.35),
    )
    cells = Cells(code="T", listed=(Cell(move=-move), Cell(move=move)))
    by = {
        "grid": pool(
            HUNDRED, scenarios_made.rulebook(scenarios_made.terms(cells), currency="USD")
        ).maintenance,
        "scan": pool(HUNDRED, _scan_book(scan)).maintenance,
        "history": maintenance(
            HUNDRED,
            scenarios=history(returns={"BTC": tuple(quantiles.tolist())}),
            measure=value_at_risk(confidence),
        ),
        "draws": maintenance(
            HUNDRED,
            market(vols={"BTC": vol}),
            scenarios=draws(400_000, returns=ReturnKind.SIMPLE),
            measure=value_at_risk(confidence),
        ),
        "formula": normal_value_at_risk(100_000.0 * vol * DAY, confidence),
    }
    assert by["formula"] == pytest.approx(figure, abs=0.005)
    assert by["grid"] == pytest.approx(figure, rel=1e-9)
    assert by["scan"] == pytest.approx(figure, rel=1e-9)
    assert by["history"] == pytest.approx(
        figure, rel=1e-3
    )  # half of 1 / 20,000 in probability is at most 7e-4
    assert by["draws"] == pytest.approx(figure, rel=1e-2)  # three standard errors of 400,000 draws


def _normal_grid(count):
    return normal_quantile((np.arange(count) + 0.5) / count)


def _scan_book(model):
    return stated("test.scan", PortfolioMember(), rulebook().account, portfolio=model)


# --- laws with numbers (PMS-3, PMD-2, RBM-4, RBM-5) ---


def test_the_requirement_rises_with_confidence_and_holding_period():
    for source in (history(), draws()):
        by_confidence = [
            maintenance(TWO_COINS, scenarios=source, measure=shortfall(c)) for c in (0.5, 0.7, 0.8, 0.9, 0.95)
        ]
        by_horizon = [maintenance(TWO_COINS, scenarios=source, horizon_days=d) for d in (0.25, 1.0, 2.0, 5.0)]
        assert by_confidence == sorted(by_confidence)
        assert by_confidence[0] < by_confidence[-1]
        assert by_horizon == sorted(set(by_horizon))


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95])
def test_expected_shortfall_is_never_below_value_at_risk(confidence):
    for source in (history(), draws()):
        asked = maintenance(TWO_COINS, scenarios=source, measure=shortfall(confidence))
        upper = UpperValueAtRisk(code="T", confidence=confidence)
        assert asked >= maintenance(TWO_COINS, scenarios=source, measure=upper)
        assert asked >= maintenance(TWO_COINS, scenarios=source, measure=value_at_risk(confidence))


def test_multiplier_and_levels():
    found = pool(TWO_COINS, rulebook(multiplier=1.5, initial_over_maintenance=1.2))
    assert found.maintenance == pytest.approx(1.5 * maintenance(TWO_COINS), rel=1e-12)
    assert found.initial == pytest.approx(1.2 * found.maintenance, rel=1e-12)


def test_twice_the_portfolio_is_asked_twice():
    twice = account((BTC.symbol, 4.0), (ETH.symbol, -20.0), USD=1e5)
    assert maintenance(twice) == pytest.approx(2.0 * maintenance(TWO_COINS), rel=1e-12)


@pytest.mark.parametrize(
    ("gross", "net", "figure", "binds"),
    [
        (0.10, 0.0, 0.10 * 150_000.0, "least share of gross notional"),
        (0.0, 0.05, 0.05 * 50_000.0, "risk"),  # 2,500 is below the risk of one coin
        (0.0, 0.50, 0.50 * 50_000.0, "least share of net notional"),
    ],
)
def test_the_floor_binds_where_offsets_leave_little(gross, net, figure, binds):
    # Long 2 coins in dollars against 50,000 dollars of the inverse contract: gross 150,000, net 50,000.
    held = account((BTC.symbol, 2.0), (COIN.symbol, -50_000.0), USD=1e5)
    rules = rulebook(floor=NotionalFloor(code="TEST-FLOOR", gross=gross, net=net))
    asked, risk = pool(held, rules).maintenance, maintenance(held)
    assert asked == pytest.approx(max(figure, risk), rel=1e-12)
    tree = assess(held, market(), rules).explain("maintenance")
    assert {node.binds for _, node in tree.walk() if node.label == "at least"} == {
        binds if figure > risk else "risk"
    }


def test_the_net_of_options_is_their_delta():
    contract, quote = put()
    held = account((BTC.symbol, 1.0), (contract.symbol, 1.0), entries={contract.symbol: quote.mark}, USD=1e5)
    at = market((contract, quote))
    floors = [NotionalFloor(code="T", gross=1.0), NotionalFloor(code="T", net=1.0)]
    gross, net = (maintenance(held, at, floor=floor) for floor in floors)
    assert gross == pytest.approx(100_000.0)
    assert 0.5 * 50_000.0 < net < 0.6 * 50_000.0  # one coin, less an at-the-money put's delta of 0.45


def test_what_only_gains_is_asked_nothing():
    always = history(returns={"BTC": (0.01,) * 20, "ETH": (0.0,) * 20})
    assert maintenance(HUNDRED, scenarios=always) == 0.0
    assert maintenance(account((BTC.symbol, -2.0), USD=1e5), scenarios=always) == pytest.approx(1_000.0)


def test_concave_books_show_the_error_of_the_quick_formula():
    contract, quote = put(days=2.0)
    held = account((contract.symbol, -3.0), entries={contract.symbol: quote.mark}, USD=1e5)
    (curved,) = tails(held, market((contract, quote)), rulebook())
    (straight,) = tails(TWO_COINS, market(), rulebook())
    assert straight.check.error == pytest.approx(0.0, abs=1e-6)
    assert abs(curved.check.error) > 0.01 * curved.tail
    assert curved.check.approximate == pytest.approx(curved.tail, rel=0.25)
    assert curved.check.sensitivities.vega[0] < 0.0


def test_sensitivities_of_an_inverse_contract_in_coin():
    # Worth q / P - q / (P (1 + x)) in coin: first derivative q / P, second -2 q / P.
    (found,) = tails(account((COIN.symbol, 50_000.0), BTC=1.0), market(), rulebook(currency=None))
    assert found.check.sensitivities.delta == pytest.approx([1.0], rel=1e-5)
    assert found.check.sensitivities.gamma == pytest.approx(np.array([[-2.0]]), rel=1e-5)


def test_cross_gamma_of_a_contract_that_pays_in_another_coin():
    # An inverse BTC contract in a pool that counts in ETH: the coin's profit is worth P' / E'.
    rules = rulebook(currency="ETH")
    (found,) = tails(account((COIN.symbol, 50_000.0), ETH=10.0), market(), rules)
    # Profit in dollars is q x, in ETH q x / (E (1 + y)): cross derivative -q / E.
    assert found.check.sensitivities.gamma[0, 1] == pytest.approx(-50_000.0 / 3_000.0, rel=1e-4)
    assert found.currency == "ETH"


# --- solvency (CBM-1) ---


def test_solvency_is_the_share_of_rows_that_equity_survives():
    held = account((BTC.symbol, 20.0), USD=40_000.0)
    (found,) = tails(held, market(), rulebook(), target=0.9)
    assert found.solvency == 0.9  # 61,000 and 52,000 are lost on two of twenty days
    assert found.collateral == pytest.approx(34_000.0)
    assert found.binding == (19, 13)
    assert found.standard_error is None
    with pytest.raises(ValueError, match="target"):
        tails(held, market(), rulebook(), target=1.0)


# --- trees, orders, search, books ---


@pytest.mark.parametrize("level", ["initial", "maintenance"])
def test_the_tree_gives_the_requirement_back(level):
    rules = rulebook(
        scenarios=draws(),
        measure=shortfall(0.975),
        multiplier=1.3,
        initial_over_maintenance=1.2,
        floor=NotionalFloor(code="TEST-FLOOR", gross=0.001),
    )
    found = assess(TWO_COINS, market(), rules)
    tree = found.explain(level)
    assert tree.amount == pytest.approx(getattr(found.pools[0], level), rel=1e-12)
    assert discrepancy(tree) < 1e-12
    labels = [node.label for _, node in tree.walk()]
    assert any("expected shortfall at 0.975 of 20000 draws" in label for label in labels)
    assert any("further rows" in label for label in labels)


def test_open_orders_are_filled_on_the_worse_side():
    order = Order(symbol=BTC.symbol, quantity=1.0, price=50_000.0)
    found = pool(replace(HUNDRED, orders=(order,)), rulebook())
    more = maintenance(account((BTC.symbol, 3.0), USD=1e5))
    assert found.initial == pytest.approx(more, rel=1e-9)
    assert found.maintenance == pytest.approx(maintenance(HUNDRED), rel=1e-12)


def test_the_liquidation_price_is_where_equity_meets_the_tail():
    held = account((BTC.symbol, 2.0), USD=20_000.0)
    (found,) = liquidations(held, market(), rulebook())
    # 20,000 + 2 (P - 50,000) = 2 P 0.0565
    price = 50_000.0 * (1.0 - 0.2) / (1.0 - 0.0565)
    assert found.bounds[0].exact == pytest.approx(price, rel=1e-9)
    for factor, is_closed in ((0.9999, True), (1.0001, False)):
        status = pool(held, rulebook(), market(marks={"BTC": price * factor})).status
        assert (status is Status.LIQUIDATABLE) is is_closed


def test_an_account_in_a_book_has_the_digits_that_it_has_alone():
    rules = rulebook(scenarios=draws(), measure=shortfall(0.975))
    together = assess_all((TWO_COINS, HUNDRED), market(), rules)
    for held, found in zip((TWO_COINS, HUNDRED), together, strict=True):
        assert found.pools == assess(held, market(), rules).pools


# --- what is not known is never guessed ---


@pytest.mark.parametrize(
    ("rules", "at", "where", "reason"),
    [
        ({"scenarios": history(returns={})}, {}, "BTC", Reason.NOT_FOUND),
        (
            {"scenarios": history(returns={"BTC": HISTORY["BTC"]})},
            {},
            "ETH",
            Reason.NOT_FOUND,
        ),
        (
            {"scenarios": history(returns={})},
            {"returns": {"BTC": (0.1, -0.1), "ETH": (0.1, -0.1)}},
            "market.returns",
            Reason.NOT_FOUND,
        ),
        ({"scenarios": draws()}, {"vols": {"BTC": 0.8}}, "ETH", Reason.MISSING_VOL),
        ({"scenarios": draws()}, {"correlations": {}}, "BTC/ETH", Reason.NOT_FOUND),
        (
            {"scenarios": draws(), "horizon_days": 365.0},
            {},
            "BTC",
            Reason.CONTRADICTION,
        ),
        (
            {"scenarios": draws()},
            {"correlations": {("BTC", "ETH"): 1.2}},
            "market.correlations",
            Reason.CONTRADICTION,
        ),
    ],
)
def test_missing_data_leave_the_pool_unknown(rules, at, where, reason):
    found = pool(TWO_COINS, rulebook(**rules), market(**at))
    assert found.status is Status.UNKNOWN
    assert np.isnan(found.maintenance)
    assert (where, reason) in {(issue.where, issue.reason) for issue in found.issues}
    assert tails(TWO_COINS, market(**at), rulebook(**rules)) == ()


def test_an_option_without_a_vol_leaves_the_pool_unknown():
    contract, _ = put(days=30.0, strike=20_000.0)
    quote = Quote(mark=0.0, index=50_000.0, forward=50_000.0)
    held = Account(
        name="none",
        balances=(Balance(asset="USD", amount=1e5),),
        positions=(Position(symbol=contract.symbol, quantity=-1.0, entry=1.0),),
    )
    found = pool(held, rulebook(), market((contract, quote)))
    assert found.status is Status.UNKNOWN
    assert Reason.MISSING_VOL in {issue.reason for issue in found.issues}


def test_an_asset_without_a_price_leaves_the_pool_unknown():
    held = account((COIN.symbol, 50_000.0), USD=1e5)
    found = pool(held, rulebook(), market(index={"USDT": 1.0}))
    assert found.status is Status.UNKNOWN
    assert Reason.MISSING_INDEX in {issue.reason for issue in found.issues}


def test_a_settlement_asset_without_data_is_named_before_it_holds_anything():
    # Pays in USDT, and owns none yet: whether USDT moves must be said all the same.
    contract = replace(BTC, symbol="BTC-T", quote="USDT", settlement="USDT")
    at = market((contract, Quote(mark=50_000.0, index=50_000.0)))
    held = account((contract.symbol, 1.0), entries={contract.symbol: 50_000.0}, USD=1e5)
    for collateral_moves in (False, True):
        found = pool(held, rulebook(still=(), collateral_moves=collateral_moves), at)
        assert ("USDT", Reason.NOT_FOUND) in {(issue.where, issue.reason) for issue in found.issues}
        assert pool(held, rulebook(collateral_moves=collateral_moves), at).issues == ()


def test_still_assets_need_no_history():
    # USDT is among the still assets; ETH is asked for only where it is touched.
    only = {"scenarios": history(returns={"BTC": HISTORY["BTC"]})}
    assert maintenance(HUNDRED, **only) == pytest.approx(5_650.0)
    assert (
        pool(account((BTC.symbol, 2.0), ETH=5.0), rulebook(collateral_moves=True, **only)).status
        is Status.UNKNOWN
    )


def test_other_rulebooks_have_no_joint_scenarios():
    with pytest.raises(Exception, match="no portfolio model of joint scenarios"):
        tails(HUNDRED, market(), scenarios_made.rulebook(currency="USD"))


def test_time_does_not_pass_in_a_scenario():
    contract, quote = put(days=1.0)
    held = account((contract.symbol, -1.0), entries={contract.symbol: quote.mark}, USD=1e5)
    nothing = history(returns={"BTC": (0.0,) * 20})
    assert maintenance(held, market((contract, quote)), scenarios=nothing) == 0.0

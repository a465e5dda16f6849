"""The worst scenario by position and by Greek (spec PMM-7), and the same parts in the tree of a requirement."""

import pytest

from margrave.core.errors import RefusedError
from margrave.domain.book import book_of
from margrave.engine.analysis.scenario_attribution import worst_scenarios
from margrave.engine.assess import assess
from margrave.margin.pooled import evaluate, prepare
from margrave.margin.requirement import discrepancy
from margrave.rulebook import portfolio as p
from tests.unit import made as flat
from tests.unit import scenarios_made as made

FUTURE = made.inverse()
CALL, PUT = made.option(50_000.0, "call"), made.option(50_000.0, "put")
IN_DOLLARS = made.option(50_000.0, "put", coin=False)
N = 50_000.0


def worst(held, rules=None, balances=(("BTC", 1.0),), prices=None):
    told = made.market([i for i, _ in held], prices)
    return worst_scenarios(made.account(held, told, balances), told, rules or made.rulebook())


def nodes(held, rules, balances=(("BTC", 1.0),), prices=None):
    told = made.market([i for i, _ in held], prices)
    tree = assess(made.account(held, told, balances), told, rules).explain("maintenance", 0)
    assert discrepancy(tree) <= 1e-12
    return [node for _, node in tree.walk() if node.label.startswith("worst of")]


def test_pmm_7_worst_scenario_by_position_and_greek():
    # Specification, table of PMS: long future and short call lose 0.1720859881 at -16 %, vol up (cell 1). The
    # future alone loses 0.16/0.84; d ln P of -16 % explains 0.16, the second order 0.0256, in coin.
    (found,) = worst([(FUTURE, N), (CALL, -1)])
    assert (found.cell, found.vol, found.underlying, found.currency) == (1, "up", "BTC", "BTC")
    assert found.move == pytest.approx(-0.16)
    assert found.loss == pytest.approx(0.1720859881, abs=1e-9)
    future, call = found.positions
    assert future.symbol == FUTURE.symbol
    assert future.profit == pytest.approx(-0.16 / 0.84, abs=1e-12)
    assert (future.delta, future.gamma, future.vega) == pytest.approx((-0.16, -0.0256, 0.0), abs=1e-12)
    # Specification 5, Ex1: adjusted delta 0.454350796091, coin gamma 3.27729725138e-10 a dollar squared, coin vega
    # 0.113623621152; the vol goes from 80 % to 120 %.
    assert call.delta == pytest.approx(0.454350796091 * 0.16, rel=1e-9)
    assert call.gamma == pytest.approx(-0.5 * 3.27729725138e-10 * (0.16 * 50_000.0) ** 2, rel=1e-9)
    assert call.vega == pytest.approx(-0.113623621152 * 0.4, rel=1e-9)
    assert found.total.profit == pytest.approx(-found.loss, abs=1e-15)
    assert found.rest == ()
    assert found.residual == pytest.approx(future.remainder + call.remainder)


@pytest.mark.parametrize("currency", ["BTC", "USD"])
@pytest.mark.parametrize("instrument", [FUTURE, made.linear(), CALL, IN_DOLLARS], ids=lambda i: i.symbol)
def test_greeks_explain_a_small_move_to_third_order(instrument, currency):
    # Whatever the payoff and the pool's currency: a tenth of the move leaves a thousandth of the remainder.
    def at(width):
        cells = p.Cells(code="C", listed=(p.Cell(move=width), p.Cell(move=-width)))
        size = -N if instrument is FUTURE else -1.0
        balances = ((currency, 1e6),)
        rules = made.rulebook(made.terms(cells), currency=currency)
        return worst([(instrument, size)], rules, balances, {"BTC": 50_000.0, "USD": 1.0})[0].total

    wide, narrow = at(0.01), at(0.001)
    assert abs(narrow.remainder) < 2e-3 * abs(wide.remainder) + 1e-11 * abs(wide.profit)
    assert abs(wide.remainder) < 1e-2 * abs(wide.profit)
    assert wide.delta != 0.0


def test_collateral_that_moves_is_a_part():
    # A short future of a coin beside a coin of collateral in a pool of dollars: each alone moves 8,000.
    rules = made.rulebook(currency="USD", collateral_moves=True)
    (found,) = worst([(made.linear(), -2)], rules, (("USD", 1e5), ("BTC", 1.0)))
    assert found.loss == pytest.approx(8_000.0)
    assert found.collateral == (("balance of BTC", pytest.approx(8_000.0)),)
    assert found.total.profit == pytest.approx(-16_000.0)
    (node,) = nodes([(made.linear(), -2)], rules, (("USD", 1e5), ("BTC", 1.0)))
    assert [part.label for part in node.parts] == ["BTC-LINEAR", "balance of BTC"]


SHARED = p.Gains(code="G", share=1.0, tail_dampener=100.0)
TAIL = p.Cells(
    code="C", even=p.EvenGrid(range=0.16, each_side=4), tail=p.Tail(code="T", moves=(-0.66,), factor=2.0)
)
DISCOUNT = p.StaticDiscount(code="D", long_base=0.9, short_base=1.1)
LINEAR = p.Cells(code="C", listed=(p.Cell(move=0.0, vol=p.VolMove.LINEAR), p.Cell(move=0.01)))
SKEW = p.SkewShock(
    code="K",
    linear_base=0.1,
    linear_cap=0.1,
    absolute_base=0.1,
    absolute_cap=0.1,
    width_least=0.01,
    width_scale=1.0,
    vol_static=0.5,
    vol_slope=0.1,
)


@pytest.mark.parametrize(
    ("held", "rules", "label"),
    [
        ([(FUTURE, N)], made.rulebook(made.terms(TAIL, gains=SHARED)), "share of gains"),
        ([(IN_DOLLARS, 1)], made.rulebook(made.terms(static_discount=DISCOUNT)), "discounts"),
        (
            [(made.option(60_000.0, "call", coin=False), 1)],
            made.rulebook(made.terms(LINEAR, skew=SKEW)),
            "skew charged both ways",
        ),
        (
            [(made.linear(), 1)],
            made.rulebook(made.terms(p.Cells(code="C", listed=(p.Cell(move=0.1),)))),
            "a gain is no loss",
        ),
        ([(FUTURE, N / 3)], made.rulebook(worst_digits=4), "rounding"),
    ],
)
def test_what_the_model_does_is_named_and_the_parts_add_up(held, rules, label):
    for found in worst(held, rules, (("BTC", 1.0), ("USD", 1e5))):
        assert [name for name, _ in found.rest] == [label]
        parts = found.total.profit + sum(a for _, a in (*found.collateral, *found.rest))
        assert parts == pytest.approx(-found.loss, abs=1e-12 * max(1.0, found.loss))
    for node in nodes(held, rules, (("BTC", 1.0), ("USD", 1e5))):
        assert label in [part.label for part in node.parts]


def test_a_unit_per_underlying_each_with_its_own_cell():
    prices = {"BTC": 50_000.0, "ETH": 2_500.0}
    held = [(made.linear("B", "BTC"), 1), (made.linear("E", "ETH"), -10)]
    found = worst(held, made.rulebook(currency="USD"), (("USD", 1e5),), prices)
    assert [(w.underlying, w.move, w.total.symbol) for w in found] == [
        ("BTC", pytest.approx(-0.16), "all"),
        ("ETH", pytest.approx(0.16), "all"),
    ]
    told = made.market([i for i, _ in held], prices)
    asked = evaluate(
        prepare(book_of((made.account(held, told, (("USD", 1e5),)),)), told, made.rulebook(currency="USD"))
    )
    assert sum(w.loss for w in found) == pytest.approx(float(asked.maintenance[0, 0]))


def test_rules_without_scenarios_refuse():
    told = flat.linear_market(50_000.0)
    with pytest.raises(RefusedError, match="scenarios"):
        worst_scenarios(flat.linear_account(), told, flat.rules())

"""Money without a trade: funding, what holders pay in and take out."""

import numpy as np
import pytest

from margrave.core.errors import InvalidInputError
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Position
from margrave.domain.book import book_of
from margrave.engine.simulation.events import Cause, Paid
from margrave.engine.simulation.flows import propensity
from margrave.engine.simulation.path import Path
from margrave.engine.simulation.run import simulate
from margrave.engine.simulation.settings import Behaviour, PremiumFunding, Settings, StatedFunding
from margrave.engine.simulation.state import Party, party_units
from tests.unit.made import LINEAR, inverse_market, linear_market, market, rules

HOUR = 3_600.0


def linear(quantities, cash=20_000.0):
    return book_of(
        Account(
            name=f"{row}",
            balances=(Balance(asset="USDT", amount=cash),),
            positions=(Position(symbol="BTCUSDT", quantity=quantity, entry=50_000.0),),
        )
        for row, quantity in enumerate(quantities)
    )


def events(done, cause):
    return [e.event for e in done.log if isinstance(e.event, Paid) and e.event.cause is cause]


def test_stated_funding_is_paid_by_longs_and_the_market_outside_gets_the_rest():
    path = Path(np.array([0.0, HOUR]), {"BTC": np.array([50_000.0, 40_000.0])})
    told = Settings(funding=StatedFunding(rates={"BTCUSDT": np.array([0.0, 0.001])}))
    done = simulate(linear([1.0, -0.25]), linear_market(50_000.0), rules(), path, told)
    assert done.book.balance.tolist() == [19_960.0, 20_010.0]
    clearing = party_units(done.frame, done.end, Party.CLEARING)[done.frame.assets.index("USDT")]
    assert clearing == 30 * 10**8
    assert done.steps.funding.tolist() == [0.0, 50.0]


def test_inverse_funding_is_in_coin():
    book = book_of(
        [
            Account(
                name="a",
                balances=(Balance(asset="BTC", amount=1.0),),
                positions=(Position(symbol="BTCUSD", quantity=-10_000.0, entry=50_000.0),),
            )
        ]
    )
    told = Settings(funding=StatedFunding(rates={"BTCUSD": np.array([0.01])}))
    done = simulate(book, inverse_market(50_000.0), rules(), Path(np.zeros(1)), told)
    assert done.book.balance.tolist() == [1.002]  # specification 1.2: s rate N / P


def test_premium_funding_is_due_at_every_interval_that_passed():
    # Mark 50,500 over an index of 50,000: premium 1 %, clamped interest; 1 % - 0.05 % a period.
    made = market(LINEAR, BTCUSDT=50_500.0)
    index = {"BTC": 50_000.0, "USDT": 1.0}
    made = type(made)(at=made.at, instruments=made.instruments, quotes=made.quotes, index=index)
    path = Path(HOUR * np.array([0.0, 7.0, 8.0, 25.0]))
    told = Settings(funding=PremiumFunding(interval_seconds=8.0 * HOUR))
    done = simulate(linear([1.0]), made, rules(), path, told)
    each = 0.0095 * 50_500.0
    assert done.steps.funding == pytest.approx([0.0, 0.0, each, 2.0 * each])
    capped = Settings(funding=PremiumFunding(interval_seconds=8.0 * HOUR, cap=0.001))
    assert simulate(linear([1.0]), made, rules(), path, capped).steps.funding[2] == pytest.approx(50.5)


def test_funding_of_what_is_not_there_is_refused():
    for rates, what in (
        ({"ETHUSDT": np.zeros(1)}, "is not in the book"),
        ({"BTCUSDT": np.zeros(3)}, "has 3 rates"),
    ):
        told = Settings(funding=StatedFunding(rates=rates))
        with pytest.raises(InvalidInputError, match=what):
            simulate(linear([1.0]), linear_market(50_000.0), rules(), Path(np.zeros(1)), told)
    for make in (
        lambda: StatedFunding(rates={"BTCUSDT": np.array([2.0])}),
        lambda: PremiumFunding(interval_seconds=0.0),
        lambda: PremiumFunding(interval_seconds=1.0, cap=0.0),
        lambda: Behaviour(top_up=1.5),
        lambda: Behaviour(top_up_to=1.0),
        lambda: Behaviour(pocket=-1.0),
    ):
        with pytest.raises(ValueError, match="must be"):
            make()


def called(behaviour, count=1, steps=1, seed=0, isolated=None):
    """Longs of 1 BTC that stand at a ratio of 0.95: 2,375 of maintenance for 2,500."""
    mode = MarginMode.CROSS if isolated is None else MarginMode.ISOLATED
    book = book_of(
        Account(
            name=f"{row}",
            balances=(Balance(asset="USDT", amount=5_000.0),),
            positions=(
                Position(symbol="BTCUSDT", quantity=1.0, entry=50_000.0, mode=mode, isolated_margin=isolated),
            ),
        )
        for row in range(count)
    )
    path = Path(np.arange(steps, dtype=float), {"BTC": np.full(steps, 47_500.0)})
    return simulate(book, linear_market(50_000.0), rules(), path, Settings(behaviour=behaviour), seed)


def test_a_called_holder_pays_in_up_to_what_it_aims_at_from_its_pocket():
    done = called(Behaviour(top_up=1.0, top_up_to=0.5))
    assert done.steps.topped_up.tolist() == [2_250.0]
    assert done.book.balance.tolist() == [7_250.0]
    assert done.steps.accounts[0].tolist() == [0, 1, 0, 0, 0, 0]
    poor = called(Behaviour(top_up=1.0, top_up_to=0.5, pocket=0.1))
    assert poor.book.balance.tolist() == [5_500.0]
    assert called(Behaviour()).steps.topped_up.tolist() == [0.0]


def test_an_isolated_position_is_topped_up_in_its_own_margin():
    done = called(Behaviour(top_up=1.0, top_up_to=0.5), isolated=5_000.0)
    assert done.book.isolated_margin.tolist() == [7_250.0]
    assert done.book.balance.tolist() == [5_000.0]


def test_pools_of_one_pocket_take_turns():
    positions = tuple(
        Position(
            symbol=symbol, quantity=quantity, entry=50_000.0, mode=MarginMode.ISOLATED, isolated_margin=margin
        )
        for symbol, quantity, margin in (("BTCUSDT", 1.0, 5_000.0), ("BTCUSDT2", 1.0, 5_000.0))
    )
    twin = type(LINEAR)(
        symbol="BTCUSDT2", base="BTC", quote="USDT", settlement="USDT", kind=LINEAR.kind, payoff=LINEAR.payoff
    )
    book = book_of(
        [Account(name="a", balances=(Balance(asset="USDT", amount=3_000.0),), positions=positions)]
    )
    made = market(LINEAR, twin, BTCUSDT=50_000.0, BTCUSDT2=50_000.0)
    path = Path(np.zeros(1), {"BTC": np.array([47_500.0])})
    told = Settings(behaviour=Behaviour(top_up=1.0, top_up_to=0.5))
    done = simulate(book, made, rules(), path, told)
    assert done.book.isolated_margin.tolist() == [7_250.0, 5_750.0]


def test_a_healthy_holder_takes_out_a_share_of_what_is_free():
    path = Path(np.zeros(1))
    told = Settings(behaviour=Behaviour(withdraw=1.0, withdraw_share=0.5))
    done = simulate(linear([0.1], cash=20_000.0), linear_market(50_000.0), rules(), path, told)
    assert done.steps.withdrawn.tolist() == [9_750.0]  # half of 20,000 less 500
    assert done.book.balance.tolist() == [10_250.0]


def test_who_acts_depends_on_seed_step_and_account_alone():
    rule = Behaviour(top_up=0.5, top_up_to=0.5)
    few, many = called(rule, count=40, steps=3, seed=7), called(rule, count=400, steps=3, seed=7)
    assert few.book.balance.tolist() == many.book.balance[:40].tolist()
    other = called(rule, count=40, steps=3, seed=8)
    assert few.book.balance.tolist() != other.book.balance.tolist()
    shares = [float((e.units > 0).sum()) / 400.0 for e in events(many, Cause.TOP_UP)]
    assert shares[0] == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("mean", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_propensities_have_the_stated_mean(mean):
    found = propensity(3, "test", 40_000, mean)
    assert found.mean() == pytest.approx(mean, abs=0.01)
    assert ((found >= 0.0) & (found <= 1.0)).all()

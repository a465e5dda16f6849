"""The clawback curve of one account by the table of section 1.3, and of a book by its accounts."""

import numpy as np
import pytest

from margrave.domain.account import Account, Balance, Position
from margrave.domain.book import book_of
from margrave.engine.measures.clawback import clawback, clawback_curve
from margrave.rulebook.reform import with_schedule
from tests.unit.made import (
    INVERSE,
    LINEAR,
    T1,
    inverse_account,
    inverse_market,
    linear_account,
    market,
    rules,
)

TIERED = with_schedule(rules(), T1)
# 1.3, long: price, maintenance in coin under T1, equity
ROWS = [(60_000, 0.05294641, 0.53333333), (50_000, 0.1, 0.2), (47_500, 0.12713261, 0.09473684)]
ROWS += [(45_000, 0.16964473, -0.02222222)]


def test_the_relief_of_a_winner_is_clawed_back_on_the_way_down():
    # From 60,000: the table of 1.3 gives what is asked and what equity loses at 50,000, 47,500 and 45,000.
    factors = np.array([price / 60_000 for price, _, _ in ROWS])
    found = clawback(book_of((inverse_account(),)), inverse_market(60_000), TIERED, "BTC", factors)["BTC"]
    start = ROWS[0]
    assert found.asked == pytest.approx([margin - start[1] for _, margin, _ in ROWS], abs=1e-8)
    assert found.equity == pytest.approx([equity - start[2] for _, _, equity in ROWS], abs=1e-8)
    assert found.net == pytest.approx(found.asked - found.equity)
    assert found.calls == pytest.approx([max(m - e, 0.0) for _, m, e in ROWS], abs=1e-8)


def test_the_schedule_claws_back_more_than_a_flat_rate():
    factors = np.linspace(1.0, 0.75, 6)
    book = book_of((inverse_account(), inverse_account(50_000.0, 40_000.0, 0.4)))
    flat, tiered = (
        clawback(book, inverse_market(60_000), r, "BTC", factors)["BTC"] for r in (rules(), TIERED)
    )
    assert (tiered.asked[1:] > flat.asked[1:]).all()
    assert (np.diff(tiered.asked) > 0.0).all()


def test_curves_are_by_currency_and_leave_unknown_pools_out():
    blind = Account(
        name="blind",
        balances=(Balance(asset="USDT", amount=1.0),),
        positions=(Position(symbol="BTC-GONE", quantity=1.0, entry=1.0),),
    )
    accounts = (inverse_account(), linear_account(), blind)
    quoted = market(INVERSE, LINEAR, BTCUSD=50_000.0, BTCUSDT=50_000.0)
    found = clawback(book_of(accounts), quoted, TIERED, "BTC", np.array([0.95]))
    alone = clawback(book_of((linear_account(),)), quoted, TIERED, "BTC", np.array([0.95]))
    assert found.keys() == {"BTC", "USDT"}
    assert found["USDT"].asked.tobytes() == alone["USDT"].asked.tobytes()


def test_a_requirement_that_falls_gives_nothing_back_of_others():
    found = clawback_curve(
        np.array([[5.0, 1.0]]), np.array([[4.0, 9.0]]), np.array([3.0, 2.0]), np.array([3.0, 1.0])
    )
    assert (found.asked.tolist(), found.equity.tolist(), found.calls.tolist()) == ([2.0], [1.0], [1.0])


def test_an_asset_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="asset"):
        clawback(book_of((inverse_account(),)), inverse_market(60_000), TIERED, "DOGE", np.array([1.0]))
    with pytest.raises(ValueError, match="factors"):
        clawback(book_of((inverse_account(),)), inverse_market(60_000), TIERED, "BTC", np.array([0.0]))

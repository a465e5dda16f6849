"""Pools sold to bidders: when they come, what they take, who pays."""

import numpy as np
import pytest

from margrave.domain.account import Account, Balance, Position
from margrave.domain.book import book_of
from margrave.engine.simulation.events import Cause, Paid, Traded
from margrave.engine.simulation.path import Path
from margrave.engine.simulation.run import simulate
from margrave.engine.simulation.settings import Deleveraging, DutchAuction, Settings
from margrave.engine.simulation.state import Party, party_units, totals
from margrave.liquidation.dutch_auction import DERIVE, Auction, Auctioned, bid, start_fee
from tests.unit.made import linear_market, rules

START = 50_000.0
RULES = rules()  # initial 10 %, maintenance 5 %
FREE = Auction(
    start=1.0,
    cutoff=0.8,
    fast_seconds=600.0,
    slow_seconds=7_200.0,
    insolvent_seconds=600.0,
    fee=0.0,
    buffer=0.1,
)


def run(cash, prices, terms=DERIVE, wanted=0.1, seconds=60.0, **more):
    held = Position(symbol="BTCUSDT", quantity=1.0, entry=START)
    account = Account(name="a", balances=(Balance(asset="USDT", amount=cash),), positions=(held,))
    path = Path(seconds * np.arange(len(prices)), {"BTC": np.array(prices)})
    settings = Settings(
        rule=DutchAuction(terms=terms, wanted=wanted), deleveraging=Deleveraging(shares=None), **more
    )
    return simulate(book_of([account]), linear_market(START), RULES, path, settings)


def trades(done):
    return [e for e in done.log if isinstance(e.event, Traded)]


def paid(done, cause):
    events = [e.event for e in done.log if isinstance(e.event, Paid) and e.event.cause is cause]
    return sum(float(done.frame.amount(e.payer, e.units).sum()) for e in events)


def party(done, who):
    row = done.frame.assets.index("USDT")
    return party_units(done.frame, done.end, who)[row] * 1e-8


def test_bidders_come_when_the_discount_is_what_they_want():
    """Derive's discount is 5 % at the start and 30 % after fifteen minutes: a tenth after three minutes."""
    done = run(6_000.0, [START] + [46_000.0] * 6)
    first = trades(done)[0]
    assert first.step == 4, "in liquidation from the first minute on, sold three later"
    assert float(first.event.price[0]) == 46_000.0, "at the mark, and no price moves"
    value, maintenance = 2_000.0, 2_300.0
    taken = bid(DERIVE, Auctioned(value, value - maintenance), 180.0)
    lots = float(done.frame.contracts(np.array([0]), np.abs(first.event.lots))[0])
    assert lots == pytest.approx(taken.fraction, abs=2e-8)
    assert paid(done, Cause.AUCTION) == pytest.approx(taken.fraction * value - taken.cash, abs=1e-4)
    assert paid(done, Cause.PENALTY) == pytest.approx(start_fee(DERIVE, Auctioned(value, -300.0)), abs=1e-4)
    assert party(done, Party.FUND) == pytest.approx(paid(done, Cause.PENALTY))
    assert done.steps.accounts[-1, -2] == 0  # safe again


def test_a_patient_bidder_waits_and_the_price_may_come_back():
    done = run(6_000.0, [START] + [46_000.0] * 3 + [50_000.0], wanted=0.2)
    assert not trades(done)
    assert done.end.lots.tolist() == done.opening.lots.tolist()


def test_an_insolvent_pool_goes_whole_and_the_fund_pays_the_bidder():
    """A loss of 1,000 beyond the cash: at once the payout is the loss, later toward the maintenance margin."""
    at_once = run(6_000.0, [START, 43_000.0], terms=FREE, fund={"USDT": 5_000.0})
    assert not at_once.end.lots.any()
    assert party(at_once, Party.FUND) == pytest.approx(4_000.0)
    assert paid(at_once, Cause.AUCTION) == 0.0
    later = run(
        6_000.0, [START, 45_500.0, 43_000.0], terms=FREE, wanted=0.1, seconds=150.0, fund={"USDT": 5_000.0}
    )
    short = 1_000.0 + 43_000.0 * 0.05  # of maintenance
    payout = 1_000.0 + (short - 1_000.0) * 150.0 / 600.0  # a quarter of the window is over
    assert paid(later, Cause.AUCTION) == pytest.approx(payout - 1_000.0, abs=1e-3)
    assert party(later, Party.FUND) == pytest.approx(5_000.0 - payout, abs=1e-3)
    assert [sums.tolist() for sums in totals(later.frame, later.end)] == [
        sums.tolist() for sums in totals(later.frame, later.opening)
    ]


def test_what_bidders_want_is_a_share():
    with pytest.raises(ValueError, match=r"auction\.wanted"):
        DutchAuction(terms=DERIVE, wanted=1.5)

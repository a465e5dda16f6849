"""Pools that must be unknown because no rule says what they are asked."""

from dataclasses import replace

from margrave.adapters.files import load_example
from margrave.core.errors import Reason
from margrave.engine.assess import assess
from margrave.engine.assessment import Status
from margrave.rulebook.catalogue import in_force


def test_an_option_that_settles_in_another_asset_than_its_premium_makes_its_pool_unknown():
    # A margin of 0.07 coins must not be read as 0.07 dollars.
    case = load_example("inverse")
    symbol = "BTC-25DEC26-70000-C"
    moved = replace(case.market.instruments[symbol], settlement="USD")
    market = replace(case.market, instruments={**case.market.instruments, symbol: moved})
    pools = assess(case.accounts[0], market, in_force("example.flat", market.at)).pools
    told = [issue for pool in pools if pool.status is Status.UNKNOWN for issue in pool.issues]
    assert [(issue.where, issue.reason) for issue in told if issue.where == symbol] == [
        (symbol, Reason.UNSUPPORTED)
    ]

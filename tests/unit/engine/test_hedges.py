"""The trade that lowers margin most for what it costs (spec PMM-8)."""

from dataclasses import replace

import pytest

from margrave.core.errors import RefusedError
from margrave.core.words import LEVELS, MAINTENANCE
from margrave.engine.analysis.candidates import Costs
from margrave.engine.analysis.hedges import ranked_hedges
from margrave.engine.assess import assess
from margrave.engine.whatif import filled
from tests.unit import scenarios_made as made

HELD = made.linear("HELD")
CHEAP = replace(made.linear("CHEAP", days=30.0), taker_fee=0.0001)
DEAR = replace(made.linear("DEAR", days=90.0), taker_fee=0.002)
PUT = made.option(50_000.0, "put", coin=False)
OTHER = made.linear("OTHER", "ETH")
RULES = made.rulebook(currency="USD")
COSTS = Costs(half_spread=0.0005, fee=0.001, lots=dict.fromkeys(("HELD", "CHEAP", "DEAR", PUT.symbol), 0.1))


def ranked(size=1.0, rules=RULES, **more):
    told = made.market([HELD, CHEAP, DEAR, PUT, OTHER], {"BTC": 50_000.0, "ETH": 2_500.0})
    account = made.account([(HELD, size)], told, (("USD", 5e4),))
    return account, told, ranked_hedges(account, told, rules, costs=COSTS, **more)


@pytest.mark.parametrize("size", [1.0, -1.0])
def test_pmm_8_the_cheapest_of_equal_hedges_is_named_first_among_futures(size):
    # Every future of one coin on the other side takes all of 8,000 away. It costs the half spread and the fee on
    # 50,000: 30 of CHEAP, 75 of HELD, 125 of DEAR.
    _, _, found = ranked(size)
    futures = [h for h in found if h.leg.symbol != PUT.symbol]
    assert [h.leg.symbol for h in futures] == ["CHEAP", "HELD", "DEAR"]
    assert [h.leg.quantity for h in futures] == [-size] * 3
    assert [h.relief for h in futures] == pytest.approx([8_000.0] * 3)
    assert [h.cost for h in futures] == pytest.approx([30.0, 75.0, 125.0])
    assert futures[0].relief_per_cost == pytest.approx(8_000.0 / 30.0)


def test_what_is_told_is_what_the_exact_assessment_gives():
    account, told, found = ranked(level=MAINTENANCE)
    assert PUT.symbol in [h.leg.symbol for h in found]
    before = assess(account, told, RULES).pools[0]
    for hedge in found:
        after = assess(filled(account, told, hedge.leg, RULES), told, RULES).pools[0]
        assert hedge.relief == pytest.approx(getattr(before, LEVELS[1]) - getattr(after, LEVELS[1]), abs=1e-9)
        assert hedge.relief > 0.0
    assert [h.relief_per_cost for h in found] == sorted((h.relief_per_cost for h in found), reverse=True)


def test_a_pool_without_a_price_or_positions_is_refused():
    told = made.market([made.inverse()], {"BTC": 50_000.0})
    account = made.account([(made.inverse(), 1_000.0)], told)
    rules = made.rulebook()
    bare = replace(told, index={})
    with pytest.raises(RefusedError):
        ranked_hedges(account, bare, rules)
    with pytest.raises(RefusedError, match="name one cross pool"):
        ranked_hedges(replace(account, positions=()), told, rules)

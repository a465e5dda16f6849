"""A watch over staleness and over utilisation under a breakdown of correlations (spec PM-2)."""

from dataclasses import replace
from datetime import timedelta
from math import inf, isnan, sqrt

import pytest

from margrave.core.errors import RefusedError
from margrave.engine.analysis.breakdown import Breakdown
from margrave.engine.paths.monitor import STALE, UTILISATION, Watch, Watched, alarms, forecast, observed
from margrave.rulebook.portfolio import CorrelationOffset, CorrelationPair
from tests.unit import scenarios_made as made

BTC, ETH = (made.linear(f"{base}-LINEAR", base) for base in ("BTC", "ETH"))
RULE = CorrelationOffset(code="R", pairs=(CorrelationPair("BTC", "ETH", 0.8),), benefit_most=0.8)
RULES = made.rulebook(correlation=RULE, currency="USD")
HELD = [(BTC, 1), (ETH, -20)]


def market(seconds=0.0, btc=50_000.0, age=0.0):
    told = made.market([BTC, ETH], {"BTC": btc, "ETH": 2_500.0})
    at = told.at + timedelta(seconds=seconds)
    quotes = {
        s: replace(q, at=at - timedelta(seconds=age if s == "ETH-LINEAR" else 0))
        for s, q in told.quotes.items()
    }
    return replace(told, at=at, quotes=quotes)


def account(cash):
    return made.account(HELD, market(), (("USD", cash),))


def told(cash, markets, **watch):
    found = alarms(account(cash), markets, RULES, Watch(**watch))
    return [(a.kind, a.what, a.is_raised) for a in found]


def test_pm_2_the_forecast_under_breakdown_raises_an_alarm_with_before_and_after():
    # 8,000 on each leg (test_breakdown): 8,000 sqrt(2 + 1.6) = 15,179 under breakdown, 5,060 as calibrated. A fall of
    # BTC by 400 takes 400 from 15,300 and 64 from the leg's 8,000.
    raised, lifted = alarms(account(15_300.0), [market(0), market(10, 49_600.0), market(20, 53_000.0)], RULES)
    assert (raised.kind, raised.what, raised.is_raised) == (UTILISATION, "cross USD", True)
    assert raised.before == pytest.approx(8_000.0 * sqrt(3.6) / 15_300.0, rel=1e-12)
    leg = 0.16 * 49_600.0
    asked = sqrt(leg**2 + 8_000.0**2 + 1.6 * leg * 8_000.0)
    assert raised.after == pytest.approx(asked / 14_900.0, rel=1e-12)
    assert raised.before < 1.0 < raised.after
    assert (lifted.is_raised, lifted.before) == (False, raised.after)


def test_it_does_not_flicker():
    between = [market(0, 49_600.0), market(10), market(20, 49_600.0), market(30)]
    assert told(15_300.0, between) == [(UTILISATION, "cross USD", True)]


def test_pm_2_inputs_older_than_the_limit_raise_an_alarm():
    path = [market(0), market(30, age=45.0), market(60, age=75.0), market(90, age=1.0), market(151)]
    assert told(1e6, path) == [
        (STALE, "ETH-LINEAR", True),
        (STALE, "ETH-LINEAR", False),
        (STALE, "market", True),
    ]
    (late, _, _) = alarms(account(1e6), path, RULES)
    assert (late.before, late.after) == (45.0, 75.0)


def test_what_is_not_known_raises_and_what_is_gone_is_lifted():
    bare = replace(market(10), quotes={"BTC-LINEAR": market().quotes["BTC-LINEAR"]})
    raised = told(1e6, [market(0), bare])
    assert (STALE, "ETH-LINEAR", True) in raised
    assert (UTILISATION, "cross USD", True) in raised
    state, _ = observed(Watched(), account(1e6), bare, RULES, Watch())
    flat = replace(account(1e6), positions=())
    _, after = observed(state, flat, market(20), RULES, Watch())
    assert (STALE, "ETH-LINEAR", False) in [(a.kind, a.what, a.is_raised) for a in after]


@pytest.mark.parametrize(
    ("balance", "asked", "used"), [(200.0, 100.0, 0.5), (0.0, 1.0, inf), (-1.0, 0.0, inf), (0.0, 0.0, 0.0)]
)
def test_the_forecast(balance, asked, used):
    assert forecast(Breakdown("p", "USD", balance, asked, asked, asked, asked)) == used


def test_a_forecast_of_the_unknown_is_unknown():
    assert isnan(forecast(Breakdown("p", "USD", float("nan"), 1.0, 1.0, 1.0, 1.0)))


def test_time_does_not_run_back_and_limits_are_ordered():
    with pytest.raises(ValueError, match="before"):
        list(alarms(account(1e6), [market(10), market(0)], RULES))
    with pytest.raises(ValueError, match="lifted_below"):
        Watch(lifted_below=1.1)
    with pytest.raises(ValueError, match="age_max_seconds"):
        Watch(age_max_seconds=-1.0)


def test_rules_without_correlation_refuse():
    with pytest.raises(RefusedError, match="correlation"):
        list(alarms(account(1e6), [market()], made.rulebook()))

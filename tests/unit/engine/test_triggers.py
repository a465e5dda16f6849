"""Margin is asked anew where vols, correlations or deltas moved (spec PMM-4)."""

from dataclasses import replace

import pytest

from margrave.domain.account import Account, Balance
from margrave.engine.assess import assess
from margrave.engine.paths.triggers import Limits, Trigger, observed, reference, remargins
from tests.unit import made as flat
from tests.unit import scenarios_made as made

CALL = made.option(50_000.0, "call")
RULES = made.rulebook()


def at(vol=0.8, rho=0.8, size=-1.0):
    told = made.market([CALL], vol=vol, vols={"BTC": vol}, correlations={("ETH", "BTC"): rho})
    return made.account([(CALL, size)] if size else [], told), told


def kinds(path, **limits):
    return [[(t.kind, t.what) for t in event.triggers] for event in remargins(path, RULES, Limits(**limits))]


def test_pmm_4_a_vol_that_moves_asks_margin_anew_with_old_and_new():
    start, end = at(0.80), at(0.86)
    (event,) = remargins([start, at(0.84), end], RULES, Limits(vol=0.05, correlation=None))
    assert event.at == end[1].at
    assert event.triggers == (Trigger("vol", "BTC", 0.80, 0.86), Trigger("vol", CALL.symbol, 0.80, 0.86))
    for asked, (account, market) in ((event.before, start), (event.after, end)):
        (pool,) = assess(account, market, RULES).pools
        assert (asked[pool.name].initial, asked[pool.name].maintenance) == (pool.initial, pool.maintenance)
    assert event.before["cross BTC"].maintenance == pytest.approx(0.1163342639, abs=1e-9)  # table of PMS
    assert event.after["cross BTC"].maintenance != event.before["cross BTC"].maintenance


def test_pmm_4_correlation_and_delta():
    assert kinds([at(rho=0.8), at(rho=0.71), at(rho=0.7)]) == [[("correlation", "BTC / ETH")]]
    # A short call at the money has a delta of 0.5456 (specification 5, Ex1).
    one, two = at(size=-1.0), at(size=-2.0)
    assert kinds([one, two], delta={"BTC": 0.55}) == []
    assert kinds([one, two], delta={"BTC": 0.545}) == [[("delta", "BTC")]]
    assert kinds([one, at(size=0.0)], delta={"BTC": 0.5}, vol=None) == [[("delta", "BTC")]]


def test_it_does_not_flicker():
    swings = [at(v) for v in (0.80, 0.849, 0.851, 0.849, 0.851, 0.849, 0.802)]
    assert len(kinds(swings)) == 1
    # Back by a whole limit from where it triggered: that is a move, not a swing.
    assert len(kinds([*swings, at(0.801)])) == 2


def test_slow_drift_is_not_missed():
    assert len(kinds([at(0.80 + 0.01 * k) for k in range(11)])) == 2


def test_what_appears_or_vanishes_triggers_and_the_unknown_does_not_flicker():
    account, told = at()
    silent = replace(told, vols={}, correlations={})
    assert kinds([(account, told), (account, silent), (account, silent)]) == [
        [("vol", "BTC"), ("correlation", "BTC / ETH")]
    ]
    blind = replace(told, quotes={CALL.symbol: replace(told.quotes[CALL.symbol], mark=0.5, vol=None)})
    assert kinds([(account, blind), (account, blind)], delta={"BTC": 0.1}) == []


def test_the_fold_keeps_its_state_where_nothing_moved():
    account, told = at()
    state = reference(account, told, RULES)
    assert observed(state, account, told, RULES, Limits()) == (state, None)
    empty = Account(balances=(Balance(asset="BTC", amount=1.0),))
    assert list(remargins([(empty, flat.inverse_market(5e4))] * 2, flat.rules(), Limits())) == []


@pytest.mark.parametrize("wrong", [{"vol": 0.0}, {"correlation": -1.0}, {"delta": {"BTC": float("nan")}}])
def test_a_limit_is_above_zero(wrong):
    with pytest.raises(ValueError, match="above zero"):
        Limits(**wrong)

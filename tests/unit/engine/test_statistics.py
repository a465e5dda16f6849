"""Liquidation statistics per pool, folded over markets (IM-5), and attribution's refusals (IM-3)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from margrave.core.errors import RefusedError
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Position
from margrave.engine.default.closing import LiquidationRule
from margrave.engine.paths.attribution import Funded, Moved, attribute
from margrave.engine.paths.statistics import Statistics, observed, replay, statistics
from tests.unit.made import AT, linear_account, linear_market, rules

RULE = LiquidationRule(slice_share=0.25)


def path(*marks: float):
    """A market an hour."""
    return [replace(linear_market(m), at=AT + timedelta(hours=k)) for k, m in enumerate(marks)]


def test_im_5_count_loss_and_time_in_warning():
    # 10,000 on 2 BTC: call below 49,500 or so, 4,000 against 4,700 at 47,000: one slice of 0.5.
    seen = replay(linear_account(), path(50_000.0, 49_000.0, 49_000.0, 47_000.0, 52_000.0), rules(), RULE)
    (told,) = statistics(seen)
    assert told.liquidations == 1
    assert told.loss == pytest.approx(1_500.0)  # half a coin from 50,000 to 47,000
    assert told.loss_given_liquidation == pytest.approx(1_500.0)
    assert told.deficit == 0.0
    # Healthy for an hour (10,000 against 10,000), then below initial margin until the last mark.
    assert told.warned == timedelta(hours=3)
    assert told.observed == timedelta(hours=4)


def test_im_5_what_others_bore_is_no_loss_of_the_pool():
    (told,) = statistics(replay(linear_account(), path(50_000.0, 44_000.0), rules(), RULE))
    assert told.deficit == pytest.approx(2_000.0)
    assert told.loss == pytest.approx(10_000.0)


def test_im_5_a_pool_never_liquidated_has_no_loss():
    (told,) = statistics(replay(linear_account(cash=1e6), path(50_000.0, 44_000.0), rules(), RULE))
    assert (told.liquidations, told.loss_given_liquidation, told.warned) == (0, 0.0, timedelta())


def test_im_5_a_pool_that_is_gone_is_no_longer_observed():
    isolated = Position(symbol="BTCUSDT", quantity=1.0, entry=50_000.0, mode=MarginMode.ISOLATED)
    account = Account(balances=(Balance(asset="USDT", amount=100.0),), positions=(isolated,))
    seen = replay(account, path(50_000.0, 46_000.0, 46_000.0), rules(), LiquidationRule(slice_share=1.0))
    wallet, bucket = statistics(seen)
    assert bucket.loss == pytest.approx(4_000.0)
    assert (bucket.observed, wallet.observed) == (timedelta(hours=1), timedelta(hours=2))


def test_im_5_time_runs_forward():
    first, second = replay(linear_account(), path(50_000.0, 49_000.0), rules(), RULE)
    with pytest.raises(ValueError, match="must not be before"):
        observed(observed(Statistics(), second), first)


def test_im_3_only_perpetuals_are_funded():
    with pytest.raises(RefusedError, match="only perpetuals"):
        attribute(linear_account(), linear_market(50_000.0), rules(), [Funded("X", 0.001)])


def test_im_3_a_pool_without_a_value_is_refused():
    blind = replace(linear_market(50_000.0), quotes={})
    with pytest.raises(RefusedError, match="no equity to attribute"):
        attribute(linear_account(), linear_market(50_000.0), rules(), [Moved(blind)])

"""Drift's ladder of oracle states and what each permits (spec defi 3.4, 7)."""

from dataclasses import replace

import pytest

from margrave.core.errors import InvalidInputError
from margrave.protocols.drift_oracle import (
    CONFIDENCE_FACTOR,
    WORST_TOLERATED,
    Action,
    Guards,
    Reading,
    Validity,
    liquidation_is_blocked,
    permits,
    validity,
)

PRICE = 10**6
GOOD = Reading(100 * PRICE, 100 * PRICE, PRICE, 0)


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, Validity.VALID),
        ({"delay": 10}, Validity.VALID),
        ({"delay": 11}, Validity.STALE_FOR_AMM),
        ({"delay": 120}, Validity.STALE_FOR_AMM),
        ({"delay": 121}, Validity.STALE_FOR_MARGIN),
        ({"enough_data": False}, Validity.INSUFFICIENT_DATA),
        ({"enough_data": False, "delay": 11}, Validity.INSUFFICIENT_DATA),
        ({"enough_data": False, "delay": 121}, Validity.STALE_FOR_MARGIN),
        ({"confidence": 2 * PRICE}, Validity.VALID),
        ({"confidence": 2 * PRICE + 100}, Validity.TOO_UNCERTAIN),
        ({"confidence": 3 * PRICE, "delay": 999}, Validity.TOO_UNCERTAIN),
        ({"average": 600 * PRICE - 1}, Validity.VALID),  # whole quotients: 5.99 is 5
        ({"average": 600 * PRICE}, Validity.TOO_VOLATILE),
        ({"average": 100 * PRICE // 6}, Validity.TOO_VOLATILE),
        ({"average": 0}, Validity.TOO_VOLATILE),
        ({"price": 0}, Validity.NON_POSITIVE),
        ({"price": -1, "delay": 999}, Validity.NON_POSITIVE),
    ],
)
def test_the_worst_state_is_named(change, state):
    assert validity(replace(GOOD, **change)) is state


def test_a_weak_tier_may_be_less_certain():
    unsure = replace(GOOD, confidence=20 * PRICE)
    assert validity(unsure, confidence_factor=CONFIDENCE_FACTOR["C"]) is Validity.TOO_UNCERTAIN
    assert validity(unsure, confidence_factor=CONFIDENCE_FACTOR["speculative"]) is Validity.VALID
    assert validity(unsure, Guards(confidence=200_000)) is Validity.VALID


@pytest.mark.parametrize("action", Action)
def test_a_better_state_never_permits_less(action):
    allowed = [permits(state, action) for state in Validity]
    assert allowed == sorted(allowed)
    assert allowed[Validity.VALID]
    assert not allowed[Validity.NON_POSITIVE]


@pytest.mark.parametrize(
    ("action", "from_state"),
    [
        (Action.MARGIN, Validity.INSUFFICIENT_DATA),
        (Action.LIQUIDATE, Validity.TOO_UNCERTAIN),
        (Action.FILL_AGAINST_AMM, Validity.VALID),
        (Action.MATCH_ORDER, Validity.STALE_FOR_MARGIN),
    ],
)
def test_each_action_has_its_floor(action, from_state):
    assert WORST_TOLERATED[action] is from_state
    assert permits(from_state, action)
    assert not permits(Validity(from_state - 1), action)


def test_every_action_stands_in_the_table():
    assert set(WORST_TOLERATED) == set(Action)


@pytest.mark.parametrize(
    ("price", "blocked"), [(100, False), (149, False), (150, True), (51, False), (50, True)]
)
def test_liquidation_is_blocked_where_oracle_and_average_part(price, blocked):
    assert liquidation_is_blocked(price * PRICE, 100 * PRICE) is blocked


def test_an_average_of_nothing_is_refused():
    with pytest.raises(InvalidInputError, match="five-minute average"):
        liquidation_is_blocked(PRICE, 0)
    with pytest.raises(InvalidInputError, match="oracle: confidence"):
        Reading(1, 1, -1, 0)

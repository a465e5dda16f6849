"""Bad rulebooks: each is refused with the place, the reason and what to do."""

import pytest

from margrave.core.errors import InvalidInputError, Issue, Reason
from margrave.rulebook.load import parse

GOOD = """
schema = 1
id = "made.flat"
venue = "made"
title = "made"
valid_from = 2026-01-01T00:00:00Z

[[sources]]
id = "made"
url = "made"

[account]
code = "MADE-ACCOUNT-001"
cross_pool = "settlement"

[ladders.flat]
kind = "progressive"
code = "MADE-LADDER-001"
unit = "value"
size_max = 500.0
tiers = [
    { floor = 0.0, initial = 0.10, maintenance = 0.05 },
    { floor = 100.0, initial = 0.20, maintenance = 0.10 },
]
deductions = [0.0, 5.0]

[schedules.T]
name = "T"
code = "MADE-SCHEDULE-001"
knots = [[-0.1, 1.5], [0.0, 1.0], [0.1, 0.8]]

[[products]]
name = "all"
match = {}
[products.model]
model = "ladder"
ladder = "flat"
schedule = "T"
initial = { code = "MADE-MARGIN-001" }
maintenance = { code = "MADE-MARGIN-002" }
"""


def issues(old: str, new: str) -> tuple[Issue, ...]:
    assert old in GOOD
    with pytest.raises(InvalidInputError) as caught:
        parse(GOOD.replace(old, new), "made.toml")
    return caught.value.issues


def the_issue(old: str, new: str) -> Issue:
    (issue,) = issues(old, new)
    assert issue.where.startswith("made.toml")
    return issue


def test_the_good_one_loads():
    assert parse(GOOD, "made.toml").id == "made.flat"


def test_unknown_field():
    issue = the_issue('title = "made"', 'titel = "made"')
    assert issue.reason is Reason.UNKNOWN_FIELD
    assert "titel" in issue.message


def test_malformed_toml():
    issue = the_issue("schema = 1", "schema = = 1")
    assert issue.reason is Reason.MALFORMED
    assert "line 2" in issue.message


def test_value_out_of_bounds():
    assert the_issue("initial = 0.10,", "initial = 10.0,").reason is Reason.INVALID_VALUE


def test_unknown_schema_version():
    issue = the_issue("schema = 1", "schema = 2")
    assert (issue.where, issue.reason) == ("made.toml: schema", Reason.INVALID_VALUE)


def test_date_without_time_zone():
    issue = the_issue("2026-01-01T00:00:00Z", "2026-01-01T00:00:00")
    assert (issue.where, issue.reason) == ("made.toml: valid_from", Reason.INVALID_VALUE)


def test_an_end_before_the_beginning():
    end = 'title = "made"\nvalid_until = 2025-01-01T00:00:00Z'
    issue = the_issue('title = "made"', end)
    assert (issue.where, issue.reason) == ("made.toml: valid_until", Reason.CONTRADICTION)


def test_first_floor_is_not_zero():
    issue = issues("floor = 0.0", "floor = 1.0")[0]
    assert (issue.where, issue.reason) == ("made.toml: ladders.flat.tiers[0].floor", Reason.CONTRADICTION)


def test_maintenance_above_initial():
    issue = issues("initial = 0.10, maintenance = 0.05", "initial = 0.04, maintenance = 0.05")[0]
    assert (issue.where, issue.reason) == ("made.toml: ladders.flat.tiers[0]", Reason.CONTRADICTION)
    assert "0.05" in issue.message


def test_floors_do_not_rise():
    assert Reason.NOT_MONOTONE in {i.reason for i in issues("floor = 100.0", "floor = 0.0")}


def test_maintenance_falls_with_size():
    found = issues("maintenance = 0.10", "maintenance = 0.01")
    assert ("made.toml: ladders.flat.tiers[1].maintenance", Reason.NOT_MONOTONE) in {
        (i.where, i.reason) for i in found
    }


def test_initial_falls_with_size():
    old, new = "initial = 0.20, maintenance = 0.10", "initial = 0.09, maintenance = 0.05"
    found = issues(old, new)
    assert ("made.toml: ladders.flat.tiers[1].initial", Reason.NOT_MONOTONE) in {
        (i.where, i.reason) for i in found
    }


def test_printed_deductions_that_make_the_margin_jump():
    issue = the_issue("[0.0, 5.0]", "[0.0, 4.0]")
    assert (issue.where, issue.reason) == ("made.toml: ladders.flat.deductions[1]", Reason.CONTRADICTION)
    assert "jump" in issue.message


def test_deductions_of_another_length():
    issue = the_issue("[0.0, 5.0]", "[0.0]")
    assert (issue.where, issue.reason) == ("made.toml: ladders.flat.deductions", Reason.CONTRADICTION)


def test_size_max_inside_the_tiers():
    issue = the_issue("size_max = 500.0", "size_max = 100.0")
    assert (issue.where, issue.reason) == ("made.toml: ladders.flat.size_max", Reason.CONTRADICTION)


@pytest.mark.parametrize(
    ("old", "where"),
    [
        ('"MADE-ACCOUNT-001"', "account"),
        ('"MADE-LADDER-001"', "ladders.flat"),
        ('"MADE-SCHEDULE-001"', "schedules.T"),
        ('"MADE-MARGIN-001"', "products[0].model.initial"),
        ('"MADE-MARGIN-002"', "products[0].model.maintenance"),
    ],
)
def test_a_rule_without_a_code(old, where):
    issue = the_issue(old, '""')
    assert (issue.where, issue.reason) == (f"made.toml: {where}.code", Reason.INVALID_VALUE)


def test_schedule_that_is_not_in_the_file():
    issue = the_issue('schedule = "T"', 'schedule = "U"')
    assert (issue.where, issue.reason) == ("made.toml: products[0] (all).schedule", Reason.NOT_FOUND)
    assert "'T'" in issue.message


def test_ladder_that_is_not_in_the_file():
    issue = the_issue('ladder = "flat"', 'ladder = "steep"')
    assert (issue.where, issue.reason) == ("made.toml: products[0] (all).ladder", Reason.NOT_FOUND)


def test_knots_out_of_order():
    issue = the_issue("[0.0, 1.0], [0.1, 0.8]", "[0.0, 1.0], [-0.05, 0.8]")
    assert (issue.where, issue.reason) == ("made.toml: schedules.T.knots[2]", Reason.NOT_MONOTONE)


def test_multiplier_that_rises_with_favourable_movement():
    issue = the_issue("[0.1, 0.8]", "[0.1, 1.2]")
    assert (issue.where, issue.reason) == ("made.toml: schedules.T.knots[2]", Reason.NOT_MONOTONE)


def test_no_anchor_at_the_reference():
    issue = the_issue("[0.0, 1.0], ", "")
    assert (issue.where, issue.reason) == ("made.toml: schedules.T.knots", Reason.CONTRADICTION)


def test_step_schedule_without_dead_band():
    step = 'code = "MADE-SCHEDULE-001"\ninterpolation = "step"'
    issue = the_issue('code = "MADE-SCHEDULE-001"', step)
    assert (issue.where, issue.reason) == (
        "made.toml: schedules.T.discipline.dead_band",
        Reason.CONTRADICTION,
    )


def test_schedule_floor_above_its_cap():
    bounds = 'code = "MADE-SCHEDULE-001"\nfloor = 0.5\ncap = 0.4'
    issue = the_issue('code = "MADE-SCHEDULE-001"', bounds)
    assert (issue.where, issue.reason) == ("made.toml: schedules.T.floor", Reason.CONTRADICTION)


def test_maintenance_by_leverage():
    issue = the_issue('"MADE-MARGIN-002"', '"MADE-MARGIN-002", rate = "leverage"')
    assert (issue.where, issue.reason) == (
        "made.toml: products[0] (all).maintenance.rate",
        Reason.CONTRADICTION,
    )


def test_collateral_slices_that_do_not_rise():
    rule = (
        'cross_pool = "account"\ncollateral = [{ asset = "BTC", discounts = [{ floor = 1.0, rate = 0.9 }] }]'
    )
    issue = the_issue('cross_pool = "settlement"', rule)
    assert (issue.where, issue.reason) == ("made.toml: account.collateral.BTC", Reason.NOT_MONOTONE)


def test_all_contradictions_come_back_together():
    bad = GOOD.replace('schedule = "T"', 'schedule = "U"').replace("[0.0, 5.0]", "[0.0, 4.0]")
    with pytest.raises(InvalidInputError) as caught:
        parse(bad, "made.toml")
    assert {i.reason for i in caught.value.issues} == {Reason.NOT_FOUND, Reason.CONTRADICTION}

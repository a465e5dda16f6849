"""Rulebooks: every one that ships loads; what contradicts itself is refused with its place."""

import re
from datetime import UTC, datetime

import msgspec
import pytest

from margrave.core.errors import InvalidInputError, Reason
from margrave.rulebook.catalogue import in_force, shipped
from margrave.rulebook.difference import differences
from margrave.rulebook.load import checked, parse
from margrave.rulebook.reform import with_account_rules, with_schedule
from margrave.rulebook.schema import Rulebook
from tests.unit.made import T1, rules

GOOD = """
schema = 1
id = "test.book"
venue = "test"
title = "made"
valid_from = 2026-01-01T00:00:00Z
[[sources]]
id = "made"
url = "made"
[account]
code = "TEST-ACCOUNT-001"
cross_pool = "settlement"
[ladders.L]
kind = "progressive"
code = "TEST-LADDER-001"
unit = "value"
tiers = [{ floor = 0.0, initial = 0.1, maintenance = 0.05 }, { floor = 10.0, initial = 0.2, maintenance = 0.1 }]
deductions = [0.0, 0.5]
[schedules.S]
name = "S"
code = "TEST-SCHEDULE-001"
knots = [[-0.1, 1.5], [0.0, 1.0], [0.1, 0.8]]
[[products]]
name = "all"
match = {}
[products.model]
model = "ladder"
ladder = "L"
initial = { code = "TEST-IM-001" }
maintenance = { code = "TEST-MM-001" }
"""

WRONG = [
    ("schema = 1", "schema = 2", Reason.INVALID_VALUE, "this Margrave reads 1"),
    ("schema = 1", "schema = ", Reason.MALFORMED, "not valid TOML"),
    ('title = "made"', 'title = "made"\ncolour = "red"', Reason.UNKNOWN_FIELD, "colour"),
    ('cross_pool = "settlement"', 'cross_pool = "everything"', Reason.INVALID_VALUE, "everything"),
    (
        "valid_from = 2026-01-01T00:00:00Z",
        "valid_from = 2026-01-01T00:00:00",
        Reason.INVALID_VALUE,
        "no time zone",
    ),
    (
        'title = "made"',
        'title = "made"\nvalid_until = 2025-01-01T00:00:00Z',
        Reason.CONTRADICTION,
        "not after valid_from",
    ),
    ("floor = 0.0,", "floor = 1.0,", Reason.CONTRADICTION, "first tier starts at no size"),
    ("maintenance = 0.05", "maintenance = 0.15", Reason.CONTRADICTION, "a call must come before liquidation"),
    ("maintenance = 0.1 }", "maintenance = 0.01 }", Reason.NOT_MONOTONE, "never has a lower rate"),
    ("initial = 0.2,", "initial = 0.1,", None, ""),
    ("floor = 10.0", "floor = 0.0", Reason.NOT_MONOTONE, "order the tiers by size"),
    ("deductions = [0.0, 0.5]", "deductions = [0.0, 0.7]", Reason.CONTRADICTION, "jump by"),
    ("deductions = [0.0, 0.5]", "deductions = [0.0]", Reason.CONTRADICTION, "1 amounts for 2 tiers"),
    ('ladder = "L"', 'ladder = "M"', Reason.NOT_FOUND, "no ladder is called 'M'"),
    ('ladder = "L"', 'ladder = "L"\nschedule = "Z"', Reason.NOT_FOUND, "no schedule is called 'Z'"),
    (
        'maintenance = { code = "TEST-MM-001" }',
        'maintenance = { code = "TEST-MM-001", rate = "leverage" }',
        Reason.CONTRADICTION,
        "must be 'tier'",
    ),
    ("[0.1, 0.8]", "[0.1, 1.2]", Reason.NOT_MONOTONE, "may only fall"),
    ("[0.1, 0.8]", "[-0.05, 0.8]", Reason.NOT_MONOTONE, "order the knots"),
    ("[0.0, 1.0]", "[0.0, 1.1]", Reason.CONTRADICTION, "no knot (0, 1)"),
    ('name = "S"', 'name = "S"\nfloor = 0.5\ncap = 0.1', Reason.CONTRADICTION, "above the cap"),
    ('name = "S"', 'name = "S"\ninterpolation = "step"', Reason.CONTRADICTION, "dead_band"),
    (
        'name = "S"',
        'name = "S"\ninitial_knots = [[0.0, 1.0], [-1.0, 1.0]]',
        Reason.NOT_MONOTONE,
        "initial_knots",
    ),
    (
        'cross_pool = "settlement"',
        'cross_pool = "account"\ncollateral = [{ asset = "BTC", discounts = [{ floor = 1.0, rate = 0.9 }] }]',
        Reason.NOT_MONOTONE,
        "must start at 0 and rise",
    ),
    ('kind = "progressive"', 'kind = "whole-position"', Reason.UNKNOWN_FIELD, "deductions"),
]


@pytest.mark.parametrize(("old", "new", "reason", "said"), WRONG, ids=[f"{w[1][:40]}" for w in WRONG])
def test_what_is_wrong_is_refused_with_its_place(old, new, reason, said):
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    if reason is None:
        assert parse(text, "book.toml").id == "test.book"
        return
    with pytest.raises(InvalidInputError) as fault:
        parse(text, "book.toml")
    assert any(issue.reason is reason and said in str(issue) for issue in fault.value.issues), str(
        fault.value
    )
    assert all(issue.where.startswith("book.toml") for issue in fault.value.issues)


def test_contradictions_come_back_together():
    text = GOOD.replace("floor = 0.0,", "floor = 1.0,").replace('ladder = "L"', 'ladder = "M"')
    with pytest.raises(InvalidInputError) as fault:
        parse(text, "book.toml")
    assert len(fault.value.issues) >= 2


@pytest.mark.parametrize("slope", ['kind = "base-slope"\ninitial = 0.01\nmaintenance = 0.02\nslope = 0.001'])
def test_a_ladder_without_tiers_keeps_initial_above_maintenance(slope):
    start, end = GOOD.index('kind = "progressive"'), GOOD.index("[schedules.S]")
    text = GOOD[:start] + f'code = "TEST-LADDER-001"\nunit = "coin"\n{slope}\n' + GOOD[end:]
    with pytest.raises(InvalidInputError, match="above initial"):
        parse(text, "book.toml")


@pytest.mark.parametrize("book", shipped(), ids=lambda b: f"{b.id}@{b.valid_from:%Y-%m-%d}")
def test_every_shipped_rulebook_is_sourced_and_coded(book):
    assert checked(book) is book
    assert all(source.url for source in book.sources)
    codes = re.findall(r'"code": ?"([^"]*)"', msgspec.json.encode(book).decode())
    assert codes
    assert all(re.fullmatch(r"[A-Z0-9]+(-[A-Z0-9]+)*-\d{3}", code) for code in codes if code)


def test_the_rulebook_in_force_is_chosen_by_date():
    old, new = datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC)
    assert in_force("deribit.sm", old).valid_from.year == 2022
    assert in_force("deribit.sm", new).valid_from.year == 2026
    assert in_force("deribit.sm@2023-05-01", new).valid_from.year == 2022
    for name, said in (
        ("deribit.sm@2001-01-01", "not in force"),
        ("deribit.sm@soon", "is not a day"),
        ("nobody.none", "no rulebook has this id"),
    ):
        with pytest.raises(InvalidInputError, match=said):
            in_force(name, new)


def test_differences_name_every_leaf():
    before = in_force("deribit.sm@2023-01-01", datetime(2023, 1, 1, tzinfo=UTC))
    after = in_force("deribit.sm@2026-09-01", datetime(2023, 1, 1, tzinfo=UTC))
    changes = {c.path: c for c in differences(before, after)}
    assert changes["title"].after == "Deribit standard margin (segregated), tier model"
    assert changes["valid_until"].after is None
    assert differences(before, before) == ()


def test_reforms_leave_their_base_alone():
    base = rules()
    assert with_schedule(base, T1).products[0].model.schedule == "T1"
    assert with_schedule(with_schedule(base, T1), None).products[0].model.schedule is None
    assert base.products[0].model.schedule is None
    other = msgspec.structs.replace(base.account, profit_credit=0.0)
    assert with_account_rules(base, other).account.profit_credit == 0.0
    assert isinstance(base, Rulebook)

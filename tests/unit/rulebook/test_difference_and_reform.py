"""What differs between rulebooks, and rulebooks made from others."""

from datetime import UTC, datetime

import pytest
from msgspec import structs

from margrave.core.errors import InvalidInputError, Reason
from margrave.rulebook.catalogue import in_force
from margrave.rulebook.difference import differences
from margrave.rulebook.reform import with_account_rules, with_schedule

AT = datetime(2026, 11, 1, tzinfo=UTC)
FLAT = in_force("example.flat", AT)
INVERSE = in_force("example.inverse", AT)


def test_a_rulebook_does_not_differ_from_itself():
    assert differences(FLAT, FLAT) == ()


def test_the_two_made_rulebooks_differ_in_name_and_schedule_only():
    rows = {change.path: (change.before, change.after) for change in differences(FLAT, INVERSE)}
    name = FLAT.products[0].name
    assert set(rows) == {"id", "title", f"products[{name}].model.schedule"}
    assert rows[f"products[{name}].model.schedule"] == (None, "T1")


def test_a_leaf_that_is_added_or_dropped_has_none_on_the_other_side():
    fewer = structs.replace(FLAT, schedules={"T1": FLAT.schedules["T1"]})
    dropped = {c.path: c.before for c in differences(FLAT, fewer)}
    assert {path.split(".")[1] for path in dropped} == {"ratchet", "steps"}
    assert dropped["schedules.ratchet.code"] == FLAT.schedules["ratchet"].code
    assert all(c.after is None for c in differences(FLAT, fewer))
    assert all(c.before is None for c in differences(fewer, FLAT))


def test_products_are_matched_by_name_and_not_by_place():
    first = structs.replace(FLAT.products[0], name="one more")
    rows = differences(FLAT, structs.replace(FLAT, products=(first, *FLAT.products)))
    assert rows
    assert all(c.path.startswith("products[one more].") and c.before is None for c in rows)


def test_a_list_of_words_is_one_leaf_and_tiers_go_by_their_floor():
    product = FLAT.products[0]
    match = structs.replace(product.match, bases=("BTC", "XYZ"))
    changed = structs.replace(FLAT, products=(structs.replace(product, match=match), *FLAT.products[1:]))
    (row,) = differences(FLAT, changed)
    assert row.path == f"products[{product.name}].match.bases"
    assert row.after == "BTC, XYZ"
    venue = in_force("okx.futures", AT)
    name, ladder = next((n, found) for n, found in venue.ladders.items() if len(found.tiers) > 2)
    fewer = structs.replace(ladder, tiers=ladder.tiers[:1] + ladder.tiers[2:])
    rows = differences(venue, structs.replace(venue, ladders={**venue.ladders, name: fewer}))
    floor = ladder.tiers[1].floor
    assert rows
    assert all(c.path.startswith(f"ladders.{name}.tiers[{floor}].") and c.after is None for c in rows)


def test_deribit_rates_of_two_models_differ():
    before = in_force("deribit.sm@2026-08-04", AT)
    paths = {change.path for change in differences(before, in_force("deribit.sm@2026-08-05", AT))}
    assert "valid_from" in paths
    assert any(path.startswith("ladders.") for path in paths)


def test_a_schedule_reaches_every_product_and_the_base_stays():
    switched = with_schedule(FLAT, FLAT.schedules["T1"])
    assert {p.model.schedule for p in switched.products} == {"T1"}
    assert {p.model.schedule for p in FLAT.products} == {None}
    assert switched.ladders == FLAT.ladders


def test_no_schedule_takes_it_off():
    assert {p.model.schedule for p in with_schedule(INVERSE, None).products} == {None}


def test_a_schedule_comes_along_into_a_rulebook_that_has_none():
    venue = in_force("binance.usdm", AT)
    switched = with_schedule(venue, FLAT.schedules["steps"])
    assert switched.schedules == {"steps": FLAT.schedules["steps"]}


def test_a_schedule_that_contradicts_itself_is_refused():
    bad = structs.replace(FLAT.schedules["T1"], knots=((0.0, 1.0), (0.1, 1.1)))
    with pytest.raises(InvalidInputError) as caught:
        with_schedule(FLAT, bad)
    assert caught.value.issues[0].reason is Reason.NOT_MONOTONE


def test_account_rules_change_alone():
    rules = structs.replace(FLAT.account, profit_credit=0.5)
    rows = differences(FLAT, with_account_rules(FLAT, rules))
    assert [(c.path, c.before, c.after) for c in rows] == [("account.profit_credit", 1.0, 0.5)]

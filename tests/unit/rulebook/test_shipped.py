"""Every rulebook that ships: it loads, its codes are permanent and its own, and it says what it does not know."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from itertools import pairwise

import msgspec
import pytest

from margrave.core.errors import InvalidInputError, Reason, RefusedError
from margrave.rulebook.catalogue import in_force, shipped, unpublished
from margrave.rulebook.ladders import Progressive, resolve
from margrave.rulebook.schema import Rulebook

FOLDER = resources.files("margrave.rulebook") / "venues"
FILES = sorted(f.name for f in FOLDER.iterdir() if f.name.endswith(".toml"))
CODE = re.compile(r"^[A-Z0-9]+(-[A-Z0-9]+)*-\d{3}$")
BOOKS = shipped()
MAINTENANCE = 1


def name_of(book: Rulebook) -> str:
    return f"{book.id}@{book.valid_from:%Y-%m-%d}"


def codes(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in {"code", "strategy_code"} and value:
                yield value
            yield from codes(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from codes(value)


def text_of(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


every_book = pytest.mark.parametrize("book", BOOKS, ids=name_of)
every_file = pytest.mark.parametrize("name", FILES)


def test_every_file_is_a_rulebook_named_by_id_and_first_day():
    assert sorted(f"{name_of(book)}.toml" for book in BOOKS) == FILES


@every_book
def test_codes_are_well_formed_and_name_one_rule_each(book):
    found = list(codes(msgspec.to_builtins(book)))
    assert found
    assert [code for code in found if not CODE.match(code)] == []
    assert sorted(found) == sorted(set(found))


@every_file
def test_every_code_of_a_rule_has_a_comment_that_says_what_it_is(name):
    lines = [line for line in text_of(name).splitlines() if "code = " in line and "-GAP-" not in line]
    assert [line for line in lines if "  # " not in line] == []


@every_book
def test_ladders_and_schedules_name_a_source_of_the_file(book):
    known = {source.id for source in book.sources}
    assert {ladder.source for ladder in book.ladders.values()} <= known


@every_book
def test_a_source_is_an_address_or_made(book):
    made = book.venue == "example"
    assert all(made or source.url.startswith("https://") for source in book.sources)


@every_book
def test_a_venues_rulebook_has_gaps_and_an_end_or_a_day_on_which_it_is_stale(book):
    if book.venue != "example":
        assert book.gaps
        assert book.stale_after or book.valid_until


@every_book
def test_every_ladder_resolves_at_both_levels_and_ends_above_its_last_floor(book):
    for ladder in book.ladders.values():
        for level in (0, MAINTENANCE):
            segments = resolve(ladder, level)
            assert segments.floor[0] == 0
            assert all(0 <= rate <= 1 for rate in segments.rate)
        assert ladder.size_max is None or ladder.size_max > getattr(ladder, "tiers", [None])[-1].floor


@every_book
def test_progressive_maintenance_is_continuous_at_every_floor(book):
    for ladder in book.ladders.values():
        if not isinstance(ladder, Progressive):
            continue
        s = resolve(ladder, MAINTENANCE)
        for k in range(1, len(s.floor)):
            below = s.floor[k] * s.rate[k - 1] - s.deduction[k - 1]
            assert s.floor[k] * s.rate[k] - s.deduction[k] == pytest.approx(below, rel=1e-9)


def test_versions_of_one_id_do_not_overlap():
    for before, after in pairwise(BOOKS):
        if before.id == after.id:
            assert before.valid_until is not None
            assert before.valid_until <= after.valid_from


@every_book
def test_in_force_picks_by_date(book):
    assert in_force(book.id, book.valid_from) is book
    if book.valid_until is not None:
        assert in_force(book.id, book.valid_until - timedelta(seconds=1)) is book


@every_book
def test_in_force_by_a_day_in_the_name_whatever_the_instant(book):
    assert in_force(name_of(book), datetime(1990, 1, 1, tzinfo=UTC)) is book


def test_before_the_first_version_nothing_is_in_force_and_the_message_lists_what_is_known():
    with pytest.raises(InvalidInputError) as caught:
        in_force("deribit.sm", datetime(2020, 1, 1, tzinfo=UTC))
    (issue,) = caught.value.issues
    assert issue.reason is Reason.NOT_IN_FORCE
    assert "from 2022-01-11 until 2026-08-05" in issue.message
    assert "deribit.sm@YYYY-MM-DD" in issue.message


def test_after_the_last_day_of_a_closed_venue_nothing_is_in_force():
    with pytest.raises(InvalidInputError) as caught:
        in_force("bitmex.xbt", datetime(2026, 9, 23, tzinfo=UTC))
    assert caught.value.issues[0].reason is Reason.NOT_IN_FORCE


def test_an_unknown_id_lists_the_ids_that_there_are():
    with pytest.raises(InvalidInputError) as caught:
        in_force("nowhere.sm", datetime(2026, 1, 1, tzinfo=UTC))
    (issue,) = caught.value.issues
    assert issue.reason is Reason.NOT_FOUND
    assert "binance.usdm" in issue.message


@pytest.mark.parametrize("model", unpublished(), ids=lambda m: m.id)
def test_a_model_that_is_not_published_is_refused_with_what_is_missing(model):
    for name in (model.id, f"{model.id}@2026-01-01"):
        with pytest.raises(RefusedError) as caught:
            in_force(name, datetime(2026, 1, 1, tzinfo=UTC))
        (issue,) = caught.value.issues
        assert (issue.where, issue.reason) == (model.id, Reason.NOT_PUBLISHED)
        assert model.what in issue.message
        assert model.source in issue.message


def test_what_is_not_published_is_no_rulebook_and_names_one_of_its_venue():
    ids = {book.id: book.venue for book in BOOKS}
    assert {m.id for m in unpublished()} == {"binance.pm-span", "bybit.pm", "gate.pm"}
    for model in unpublished():
        assert model.id not in ids
        assert ids[model.instead] == model.venue


def test_a_malformed_day_says_how_to_write_one():
    with pytest.raises(InvalidInputError) as caught:
        in_force("deribit.sm@august", datetime(2026, 1, 1, tzinfo=UTC))
    assert caught.value.issues[0].reason is Reason.INVALID_VALUE


# Published figures that the ladders must give (cex.md 0, 1.2 and 3.1; the maintenance amounts are as printed).
@pytest.mark.parametrize(
    ("name", "ladder", "amounts"),
    [
        ("binance.usdm", "BTCUSDT", {300_000: 300, 12_000_000: 132_000, 1_200_000_000: 421_482_000}),
        ("binance.usdm", "ETHUSDT", {65_000_000: 2_007_000, 800_000_000: 280_507_000}),
        ("binance.usdm", "SOLUSDT", {8_000_000: 231_475, 200_000_000: 66_731_475}),
        ("binance.usdm", "dated", {50_000: 500, 40_000_000: 12_461_750}),
        ("binance.coinm", "BTCUSD", {200: 11.605, 1500: 496.605}),
        ("bybit.linear", "BTCUSDT", {2_000_000: 1200, 75_000_000: 1_482_000}),
    ],
)
def test_deductions_are_those_that_the_venue_prints(name, ladder, amounts):
    book = next(b for b in BOOKS if b.id == name)
    segments = resolve(book.ladders[ladder], MAINTENANCE)
    by_floor = dict(zip(segments.floor, segments.deduction, strict=True))
    assert {floor: by_floor[floor] for floor in amounts} == pytest.approx(amounts, rel=1e-9)

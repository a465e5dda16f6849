"""No rule without a test: every code of every rulebook that ships is named by one, every gap says what is missing."""

from pathlib import Path

import pytest

from margrave.report.rule_codes import covered, markdown
from margrave.rulebook.catalogue import shipped, text_of
from margrave.rulebook.codes import rule_codes

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "rule-codes.md"
TEXTS = {
    file.relative_to(TESTS).as_posix(): file.read_text(encoding="utf-8")
    for file in sorted(TESTS.rglob("test_*.py"))
}
ROWS = covered([code for book in shipped() for code in rule_codes(book, text_of(book))], TEXTS)


@pytest.mark.parametrize("name", sorted({row.rulebook for row in ROWS}))
def test_every_rule_is_named_by_a_test(name):
    rows = [row for row in ROWS if row.rulebook == name and not row.gap]
    assert [row.code for row in rows if not row.tests] == []


def test_every_code_says_what_it_is():
    assert [row.code for row in ROWS if not row.told] == []


def test_the_page_of_rule_codes_is_that_of_these_rulebooks_and_tests():
    assert PAGE.read_text(encoding="utf-8") == markdown(ROWS), "run `make conformance`"

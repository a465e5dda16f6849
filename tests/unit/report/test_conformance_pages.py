"""The pages of conformance and rule codes, from made rows."""

from margrave.report import conformance, rule_codes
from margrave.rulebook.catalogue import shipped, text_of
from margrave.rulebook.codes import codes_of, told_of
from margrave.rulebook.codes import rule_codes as codes_with_words

ROWS = [
    {"id": "a-1", "venue": "Beta", "model": "m", "outcome": "passed", "detail": "", "source": "https://b.example/x?y=1 (page)"},
    {"id": "a-2", "venue": "Beta", "model": "m<n>", "outcome": "unsupported", "detail": "not | published", "source": "a book"},
    {"id": "a-3", "venue": "alpha", "model": "m", "outcome": "failed", "detail": "x: published 1, calculated 2", "source": ""},
    {"id": "a-4", "venue": "Beta", "model": "m", "outcome": "unsupported", "detail": "not | published"},
]  # fmt: skip
BOOKS = {"beta": [conformance.Book("beta.x@2026-01-01", ("BETA-X-001",), ("https://beta.example/rules",))]}


def test_venues_stand_in_order_with_their_counts():
    assert list(conformance.by_venue(ROWS)) == ["alpha", "Beta"]
    assert conformance.counts(ROWS) == (1, 1, 2)


def test_the_markdown_page_groups_reasons_and_names_every_vector():
    page = conformance.markdown(ROWS, BOOKS)
    assert "| Beta | 1 | 0 | 2 | beta.x@2026-01-01 |" in page
    assert "| alpha | 0 | 1 | 0 | none ships |" in page
    assert "| **all** | **1** | **1** | **2** |" in page
    assert "| a-2, a-4 | not \\| published |" in page
    assert "Passed (1): a-1." in page


def test_the_html_page_stands_alone_and_escapes():
    page = conformance.html(ROWS, BOOKS)
    assert page.startswith("<!doctype html>")
    assert "m&lt;n&gt;" in page
    assert '<a href="https://b.example/x?y=1" rel="noreferrer">b.example</a>' in page
    assert "a book" in page
    assert "beta.x@2026-01-01: 1 rule codes" in page
    assert "BETA-X-001" in page
    assert 'href="https://beta.example/rules"' in page
    assert "<script" not in page
    assert "<link" not in page
    assert page.index('id="alpha"') < page.index('id="beta"')


def test_a_code_is_covered_by_the_files_that_name_it_as_a_whole_word():
    rows = rule_codes.covered(
        [("X-A-001", "x@1", "a rule", False), ("X-A-0011", "x@1", "more | less", False), ("X-GAP-001", "x@1", "g", True)],
        {"t.py": "holds X-A-0011", "u.py": "X-A-001", "v.py": "X-A-001"},
    )  # fmt: skip
    assert [r.tests for r in rows] == [("u.py", "v.py"), ("t.py",), ()]
    page = rule_codes.markdown(rows)
    assert "2 rules and 1 gaps" in page
    assert "2 of 2 rules" in page
    assert "| X-A-0011 | more \\| less | t.py |" in page
    assert "| X-GAP-001 | g | gap |" in page


def test_a_rule_without_a_test_is_told():
    assert "**none**" in rule_codes.markdown(rule_codes.covered([("A-B-001", "x", "r", False)], {}))


def test_words_of_a_file_by_code():
    text = '[[gaps]]\ncode = "A-GAP-001"\nwhat = "the rest"\n[account]\ncode = "A-ACCOUNT-001"  # one pool\n'
    assert told_of(text) == {"A-GAP-001": "the rest", "A-ACCOUNT-001": "one pool"}


def test_every_code_of_what_ships_has_words():
    for book in shipped():
        rows = codes_with_words(book, text_of(book))
        assert [r.code for r in rows] == codes_of(book)
        assert {r.code for r in rows if r.gap} == {g.code for g in book.gaps}

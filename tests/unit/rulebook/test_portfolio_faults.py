"""What a portfolio section may not say: every contradiction is named with its place, and nothing is margined by it."""

import pytest

from margrave.core.errors import InvalidInputError, Reason
from margrave.rulebook.catalogue import text_of
from margrave.rulebook.load import parse
from tests.unit.rulebook.test_rules_by_code import book

MADE = text_of(book("example.portfolio"))
EVEN = "even = { range = 0.2, each_side = 4 }"


@pytest.mark.parametrize(
    ("old", "new", "reason", "place"),
    [
        ('bases = ["ETH"]\n\n', 'bases = ["BTC"]\n\n', Reason.DUPLICATE, "portfolio.terms"),
        (EVEN, "", Reason.CONTRADICTION, "portfolio.terms[1].cells"),
        (
            "even = { range = 0.16, each_side = 4 }",
            "listed = [{ move = 0.1 }]",
            Reason.CONTRADICTION,
            "portfolio.terms[0].cells.tail",
        ),
        ("moves = [-0.5, 1.0]", "moves = [0.0]", Reason.CONTRADICTION, "portfolio.terms[0].cells.tail"),
        (
            "[portfolio.levels]",
            '[[portfolio.collateral]]\nasset = "X"\ncode = "A"\n[[portfolio.collateral]]\nasset = "X"\ncode = "B"\n'
            "[portfolio.levels]",
            Reason.DUPLICATE,
            "portfolio.collateral",
        ),
    ],
)
def test_a_scenario_model_that_contradicts_itself(old, new, reason, place):
    assert old in MADE
    with pytest.raises(InvalidInputError) as caught:
        parse(MADE.replace(old, new), "made.toml")
    assert [(i.reason, i.where) for i in caught.value.issues] == [(reason, f"made.toml: {place}")]


def test_two_tables_for_every_other_underlying():
    text = MADE.replace('bases = ["ETH"]\n\n', "\n").replace('bases = ["BTC"]\n\n', "\n")
    with pytest.raises(InvalidInputError, match="every other underlying is meant by 2 tables"):
        parse(text, "made.toml")


def test_members_without_a_portfolio_section():
    head, _, rest = MADE.partition("[portfolio]")
    with pytest.raises(InvalidInputError, match="is needed by futures, perpetuals and options"):
        parse(head + rest[rest.index("[[products]]") :], "made.toml")


def test_a_clearing_model_that_contradicts_itself():
    text = text_of(book("example.scan")).replace(
        'tiers = ["perpetual", "dated"]', 'tiers = ["perpetual", "later"]'
    )
    with pytest.raises(InvalidInputError, match="no tier is called 'later'"):
        parse(text, "made.toml")

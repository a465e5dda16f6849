"""The command tails: rows that read back, faults of use and of rules."""

import json
from dataclasses import replace

import click
import pytest
from click.testing import CliRunner

from margrave.adapters.files import dump_case, load_example
from margrave.cli.main import cli
from margrave.core.errors import InvalidInputError
from margrave.rulebook.catalogue import text_of
from tests.unit.rulebook.test_rules_by_code import book

DRAWN = """
source = "monte-carlo"
code = "T-DRAWS"
seed = 1
count = 1000
"""


def run(*argv):
    return CliRunner().invoke(cli, ["tails", *argv], catch_exceptions=False, standalone_mode=False)


@pytest.mark.parametrize("kind", ["table", "md", "csv", "json"])
def test_every_format_shows_the_tail(kind):
    told = run("example:joint", "--format", kind)
    assert told.return_value == 0
    assert "tail of 60 scenarios" in told.stdout


def test_the_rows_add_up():
    rows = {row["what"]: row for row in json.loads(run("example:joint", "--format", "json").stdout)}
    tail, quick, error = (
        rows[what]["amount"]
        for what in ("tail of 60 scenarios", "tail by delta, gamma and vega", "error of that")
    )
    assert quick - tail == pytest.approx(error, rel=1e-12)
    assert rows["error of that"]["fraction"] == pytest.approx(error / tail, rel=1e-12)
    assert rows["scenarios that leave it solvent"]["fraction"] == 1.0
    assert rows["least equity for 99.50%"]["amount"] > tail


def test_draws_tell_their_precision(tmp_path):
    text = text_of(book("example.tail"))
    start, end = text.index("[portfolio.scenarios]"), text.index("[[products]]")
    rules = tmp_path / "drawn.toml"
    rules.write_text(text[:start] + "[portfolio.scenarios]" + DRAWN + "\n" + text[end:], encoding="utf-8")
    told = run("example:joint", "--rules", str(rules))
    assert told.return_value == 0
    assert "standard error" in told.stdout
    assert "upper bound" in told.stdout


def test_what_cannot_be_asked_is_refused(tmp_path):
    with pytest.raises(click.UsageError, match="--target"):
        run("example:joint", "--target", "1")
    with pytest.raises(InvalidInputError, match="no portfolio model of joint scenarios"):
        run("example:inverse", "--rules", "example.flat")
    case = load_example("joint")
    short = tmp_path / "short.toml"
    short.write_text(dump_case(replace(case, market=replace(case.market, returns={}))), encoding="utf-8")
    told = CliRunner().invoke(cli, ["tails", str(short)])
    assert "no returns for joint scenarios" in told.output

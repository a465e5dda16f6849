"""Commands that analyse an account, and rules on trial."""

import csv
import io
import json

import pytest
from click.testing import CliRunner

from margrave.adapters.files import dump_case, load_example
from margrave.cli.main import cli


def run(*argv):
    return CliRunner().invoke(cli, [*argv], catch_exceptions=False, standalone_mode=False)


TABLES = [
    ("offset", "example:inverse"),
    ("contributions", "example:inverse", "--level", "maintenance"),
    ("contributions", "example:inverse", "--by", "greek"),
    ("stress", "example:collateral", "--moves=-20%,0,0.2", "--vol-moves", "0"),
    ("stress", "example:hybrid", "--basis"),
    ("stress", "example:hybrid", "--basis", "--moves=-5%"),
    ("stress", "example:collateral", "--reverse"),
    ("stress", "example:hybrid", "--reverse"),
    ("optimise", "example:inverse", "--free", "0.05", "--lot", "BTC-PERPETUAL=10"),
    ("optimise", "example:hybrid", "--pool", "cross USDT", "--distance=-20%"),
]


@pytest.mark.parametrize("argv", TABLES, ids=lambda a: " ".join(a[:3]))
def test_every_format_reads_back(argv):
    told = {kind: run(*argv, "--format", kind) for kind in ("table", "md", "json", "csv")}
    assert {t.return_value for t in told.values()} == {0}
    rows = json.loads(told["json"].stdout)
    read = list(csv.DictReader(io.StringIO(told["csv"].stdout)))
    assert rows
    assert [list(r) for r in rows] == [list(r) for r in read]
    assert told["table"].stdout.strip()
    assert told["md"].stdout.startswith("|")


def test_a_matrix_of_two_axes_is_a_grid():
    text = run("stress", "example:inverse", "--moves=-20%,0", "--vol-moves=-30%,0").stdout
    assert "rows are price moves, columns vol moves" in text
    header = next(line for line in text.splitlines() if line.startswith("price"))
    assert header.split() == ["price", "vol", "-30%", "vol", "+0%"]
    assert any(line.startswith("-20%") and "liquidatable" in line for line in text.splitlines())


def test_offset_data_add_up():
    rows = json.loads(run("offset", "example:inverse", "--format", "json").stdout)
    amount = {row["what"]: row["amount"] for row in rows}
    alone = sum(v for k, v in amount.items() if k.startswith("alone: "))
    assert amount["sum of parts"] == pytest.approx(alone, rel=1e-12)
    assert amount["benefit"] == pytest.approx(alone - amount["requirement"], rel=1e-12)


def test_contributions_data_add_up():
    rows = json.loads(run("contributions", "example:inverse", "--format", "json").stdout)
    euler = {row["symbol"]: row["euler"] for row in rows}
    assert euler.pop("requirement") == pytest.approx(sum(euler.values()), rel=1e-12)


def test_a_target_out_of_reach_is_an_error_that_says_how_far():
    told = run("optimise", "example:inverse", "--free", "1")
    assert told.return_value == 1
    assert "target not reached: the best trades found free 0.32" in told.stderr


def test_a_target_that_holds_says_so():
    told = run("optimise", "example:inverse", "--distance=-1%")
    assert told.return_value == 0
    assert "holds without a trade" in told.stderr


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("optimise", "example:inverse"), "say what is wanted"),
        (("optimise", "example:inverse", "--free", "1", "--distance", "0.1"), "say what is wanted"),
        (("optimise", "example:inverse", "--free", "-1"), "above zero"),
        (("optimise", "example:inverse", "--distance", "far"), "write -30% or -0.3"),
        (("optimise", "example:inverse", "--free", "1", "--lot", "X=a"), "write SYMBOL=SIZE"),
        (("optimise", "example:inverse", "--free", "1", "--lot", "X=-1"), "size above zero"),
        (("offset", "example:inverse", "--cap", "2"), "a fraction from 0 to 1"),
        (("stress", "example:inverse", "--moves=-100%"), "a move is above -100%"),
        (("stress", "example:inverse", "--moves=x"), "write -30% or -0.3"),
    ],
    ids=lambda v: " ".join(v[2:4]) if isinstance(v, tuple) else "",
)
def test_usage(argv, message):
    from click import UsageError

    with pytest.raises(UsageError, match=message):
        run(*argv)


@pytest.fixture
def folder(tmp_path):
    for name in ("inverse", "hybrid"):
        (tmp_path / f"{name}.toml").write_text(dump_case(load_example(name)), encoding="utf-8")
    return tmp_path


def test_rules_on_trial_over_a_folder(folder):
    told = run("rules", "test", "example.flat", "example.inverse", str(folder), "--format", "json")
    assert told.return_value == 0
    found = json.loads(told.stdout)
    assert [a["account"] for a in found["accounts"]] == ["trader", "trader"]
    assert len(found["deciles"]) == 11
    assert (found["newly_called"], found["newly_liquidatable"], found["not_compared"]) == ([], [], [])
    table = run("rules", "test", "example.flat", "example.inverse", str(folder / "inverse.toml"))
    assert "newly liquidatable: none" in table.stdout


def test_rules_on_trial_tell_their_age_and_what_they_cannot_compare(tmp_path):
    told = run("rules", "test", "example.flat", "okx.futures", "example:inverse")
    assert told.return_value == 1
    assert "okx.futures was checked until 2024-05-19" in told.stderr
    assert "not compared: okx.futures" in told.stderr
    from margrave.core.errors import InvalidInputError

    with pytest.raises(InvalidInputError, match="has no case file"):
        run("rules", "test", "example.flat", "okx.futures", str(tmp_path))


def test_compare_says_why_a_venue_is_unknown_and_how_old_its_rules_are():
    told = run("compare", "example:hybrid", "--rules", "okx.futures,example.flat,kraken.futures")
    assert told.return_value == 0
    assert "okx.futures, cross BTC, is unknown:" in told.stdout
    assert "okx.futures was checked until" in told.stderr
    assert "counts tiers in its own contracts" in told.stderr
    none = run("compare", "example:hybrid", "--rules", "okx.futures")
    assert none.return_value == 1

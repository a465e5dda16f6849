"""The level at which a liquidation ends, on the command line: shown where a rulebook knows it, and nowhere else."""

import json

from click.testing import CliRunner

from margrave.cli.main import cli


def run(*argv: str):
    return CliRunner().invoke(cli, argv)


def test_it_is_shown_explained_and_in_json():
    assert "would end at a balance of 2,130.01 USD" in run("margin", "example:weighted").stdout
    assert "liquidation-end margin" in run("explain", "example:weighted", "--level", "liquidation-end").stdout
    ((account),) = json.loads(run("margin", "example:weighted", "--format", "json").stdout)
    assert account["pools"][0]["liquidation_end"] == 2130.01


def test_a_rulebook_without_it_says_so():
    told = run("explain", "example:inverse", "--level", "liquidation-end")
    assert told.exit_code == 2
    assert "example.inverse knows initial and maintenance" in told.output
    assert "would end" not in run("margin", "example:inverse").stdout
    ((account),) = json.loads(run("margin", "example:inverse", "--format", "json").stdout)
    assert "liquidation_end" not in account["pools"][0]

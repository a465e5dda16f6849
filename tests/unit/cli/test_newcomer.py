"""What a newcomer meets: empty accounts, unknown pools, names that do not exist, tables on narrow terminals."""

import re

import pytest

from margrave.adapters.files import dump_case, load_example
from margrave.cli import main

CASE = dump_case(load_example("inverse"))


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command in this process; gives exit code, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "110")

    def running(*argv: str):
        with pytest.raises(SystemExit) as end:
            main([*argv])
        told = capsys.readouterr()
        return end.value.code, told.out, told.err

    return running


def test_liquidate_has_a_row_a_step_under_the_name_of_its_pool(run):
    code, out, err = run("liquidate", "example:hybrid", "--price", "BTC=-20%")
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == "trader, cross USDT [USDT]"
    assert lines[3].startswith("sell 0.225 BTCUSDT @ 47,992.00    0.00")
    assert lines[3].endswith("-2,482.20       1,619.73  the only leg left")
    assert "trader, isolated BTCUSD [BTC]" in lines
    assert "cross USDT: closed, 2,482.20 USDT are missing" in err


def test_liquidate_without_a_step_says_so_and_an_unknown_pool_is_a_fault(run):
    assert "no step" in run("liquidate", "example:inverse")[1]
    code, out, err = run("liquidate", "example:inverse", "--rules", "okx.futures")
    assert (code, "no step" in out) == (1, True)
    assert "cross BTC: unknown" in err
    assert (
        "error: trader: BTC-PERPETUAL: no rule: okx.futures has no rule for an inverse perpetual on BTC"
        in err
    )


def test_what_no_rule_covers_asks_an_unknown_margin(run):
    code, out, _ = run("margin", "example:inverse", "--rules", "okx.futures")
    row = next(line for line in out.splitlines() if line.startswith("BTC-PERPETUAL"))
    assert (code, row.split()[-2:]) == (1, ["unknown", "unknown"])


def test_a_tree_without_a_number_says_unknown(run):
    code, out, _ = run("explain", "example:inverse", "--rules", "okx.futures")
    assert code == 1
    assert "unknown BTC  maintenance margin" in out
    assert not re.search(r"\bnan\b", out)


def test_a_plot_of_an_unknown_pool_is_drawn_and_a_fault(run, tmp_path):
    code, _, err = run("plot", "example:inverse", "--rules", "okx.futures", "-o", str(tmp_path / "x.png"))
    assert (code, "no rule" in err) == (1, True)


def test_an_account_with_nothing_is_told(run, tmp_path):
    path = tmp_path / "nothing.toml"
    path.write_text(CASE.split("[[accounts]]")[0] + '[[accounts]]\nname = "x"\n', encoding="utf-8")
    code, _, err = run("margin", str(path))
    assert (code, err) == (0, "note: x holds neither balances nor positions\n")


def test_compare_tells_why_a_pool_is_unknown_an_issue_a_line(run):
    _, out, _ = run("compare", "example:inverse", "--rules", "example.inverse,okx.futures")
    told = out.split("okx.futures, cross BTC, is unknown:\n")[1].splitlines()
    assert [line.split(":")[0].strip() for line in told] == [
        "BTC-PERPETUAL",
        "BTC-26MAR27",
        "BTC-25DEC26-70000-C",
    ]


@pytest.mark.parametrize(
    ("argv", "code", "told"),
    [
        (
            ("margin", "--price", "BTC=1e-300"),
            1,
            "is not between a millionth of the price and a million times it",
        ),
        (("margin", "--price", "=5%"), 2, "name an asset"),
        (("liquidation", "--along", "XYZ"), 1, "choose from common, joint, BTC"),
        (("optimise", "--free", "0.01", "--lot", "FOO=1"), 1, "FOO: unknown instrument"),
    ],
)
def test_a_name_or_price_that_cannot_be_is_told(run, argv, code, told):
    found, out, err = run(argv[0], "example:inverse", *argv[1:])
    assert (found, out, told in err) == (code, "", True)


def test_an_expired_contract_cannot_be_moved_and_says_so(run, tmp_path):
    path = tmp_path / "expired.toml"
    path.write_text(CASE.replace("at = 2026-11-01T08:00:00Z", "at = 2027-11-01T08:00:00Z"), encoding="utf-8")
    code, _, err = run("whatif", str(path), "--price", "BTC=-5%")
    assert (code, "BTC-26MAR27: not in force: expired at 2027-03-26 08:00Z" in err) == (1, True)


def test_price_of_an_expired_option_says_so(run):
    argv = ("--forward", "60000", "--vol", "0.6", "--on", "2027-11-01")
    code, _, err = run("price", "BTC-25DEC26-70000-C", *argv)
    assert (code, "expired" in err) == (2, True)


def test_validate_reads_examples_and_conform_wants_vectors(run, tmp_path):
    assert run("validate", "example:inverse") == (0, "example:inverse: fine\n", "")
    empty = tmp_path / "empty.json"
    empty.write_text("{}", encoding="utf-8")
    code, _, err = run("conform", str(empty))
    assert (code, "holds no vector" in err) == (1, True)


def test_a_matrix_with_unknown_cells_names_no_worst(run):
    code, out, _ = run("matrix", "example:inverse", "--rules", "okx.pm")
    assert (code, "unknown" in out, bool(re.search(r"\bnan\b|cell 1:", out))) == (1, True, False)
    assert not re.search(r"worst$", out, re.MULTILINE)


@pytest.mark.parametrize(
    "command", ["margin", "explain", "liquidation", "whatif", "compare", "stress", "plot", "matrix"]
)
def test_help_says_what_file_is(run, command):
    assert "FILE is a case" in run(command, "--help")[1]

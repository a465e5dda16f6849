"""Every command, every format, and the exit codes that scripts rely on."""

import csv
import io
import json
import os
import subprocess
import sys
import time

import pytest

from margrave.adapters.files import dump_case, load_example, parse_case
from margrave.cli import main

CASE = dump_case(load_example("inverse"))
HYBRID = "example:hybrid"


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command in this process; gives exit code, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "80")

    def running(*argv: str, stdin: str | None = None):
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as end:
            main([*argv])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return end.value.code, told.out, told.err

    return running


@pytest.fixture
def case(tmp_path):
    """A file of the shipped example with parts replaced."""

    def made(*changes: tuple[str, str], name: str = "case.toml"):
        text = CASE
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return made


TABLES = [
    ("margin", HYBRID),
    ("liquidation", HYBRID),
    ("liquidation", "example:inverse", "--along", "common"),
    ("whatif", "example:inverse", "--leg", "BTC-PERPETUAL:-50000@60000", "--price", "BTC=-5%"),
    (
        "compare",
        HYBRID,
        "--rules",
        "example.flat,example.inverse",
        "--mode",
        "isolated,cross",
        "--schedule",
        "none,T1",
    ),
    ("liquidate", "example:inverse", "--price", "BTC=-30%", "--slippage", "0.001"),
    ("liquidate", "example:inverse", "--price", "BTC=-30%", "--fund", "BTC=0.05"),
    ("price", "--forward", "60000", "--strike", "65000", "--vol", "0.6", "--days", "30", "--put"),
    ("price", "--forward", "60000", "--strike", "65000", "--vol", "0.6", "--days", "30", "--quote-settled"),
    ("rules", "list"),
    ("rules", "diff", "deribit.sm@2022-01-11", "deribit.sm@2026-08-05"),
]


@pytest.mark.parametrize("argv", TABLES, ids=lambda a: " ".join(a[:2]))
def test_every_format_reads_back(run, argv):
    codes = set()
    for kind in ("table", "json", "csv", "md"):
        code, out, _ = run(*argv, "--format", kind)
        codes.add(code)
        assert out.strip()
        if kind == "json":
            assert json.loads(out, parse_constant=pytest.fail)
        if kind == "csv":
            rows = list(csv.reader(io.StringIO(out)))
            assert len(rows) > 1
            assert {len(row) for row in rows} == {len(rows[0])}
        if kind == "md":
            assert out.lstrip().startswith("|") or "\n|" in out
    assert len(codes) == 1
    assert codes < {0, 3, 4}


@pytest.mark.parametrize("width", ["80", "40"])
@pytest.mark.parametrize("argv", TABLES[:4], ids=lambda a: a[0])
def test_no_number_is_cut_on_a_narrow_terminal(run, monkeypatch, argv, width):
    monkeypatch.setenv("COLUMNS", width)
    _, out, _ = run(*argv)
    assert "…" not in out
    if argv == TABLES[0]:
        data = json.loads(run(*argv, "--format", "json")[1])
        for pool in data[0]["pools"]:
            decimals = 2 if pool["currency"].startswith("USD") else 8
            assert f"{pool['equity']:,.{decimals}f}" in out
            assert f"{pool['maintenance']:,.{decimals}f}" in out


def test_demo_answers_with_margin_liquidation_tree_and_what_to_try(run):
    code, out, _ = run("demo")
    assert code == 0
    for part in ("made example", "maintenance margin", "liquidated", "in force from 2026-01-01", "try next:"):
        assert part in out
    tries = [line.split()[1:] for line in out.splitlines() if line.startswith("  margrave ")]
    assert len(tries) == 3
    for argv in tries:
        assert run(*argv)[0] == 0


def test_the_tree_adds_up_and_names_its_rules(run):
    code, out, _ = run("explain", "example:inverse", "--format", "json")
    (told,) = json.loads(out)
    assert code == 0
    assert told["tree"]["amount"] == pytest.approx(sum(p["amount"] for p in told["tree"]["parts"]), rel=1e-12)
    assert "EXAMPLE-SCHEDULE-001" in out
    for argv in (("--level", "initial"), ("--pool", "0")):
        assert "EXAMPLE-ACCOUNT-001" in run("explain", "example:inverse", *argv)[1]
    assert run("explain", "example:inverse", "--pool", "7")[0] == 2


def test_standard_input_is_a_case_in_toml_or_json(run):
    wanted = run("margin", "example:inverse", "--format", "json")[1]
    assert run("margin", "-", "--format", "json", stdin=CASE)[1] == wanted
    assert run("margin", "--format", "json", stdin=CASE)[1] == wanted


def test_prices_move_by_share_or_to_a_level(run):
    index = load_example("inverse").market.index["BTC"]
    by_share = run("margin", "example:inverse", "--price", "BTC=-20%", "--format", "json")[1]
    to_level = run("margin", "example:inverse", "--at", f"BTC={index * 0.8}", "--format", "json")[1]
    get = [pool["equity"] for text in (by_share, to_level) for pool in json.loads(text)[0]["pools"]]
    assert get[0] == pytest.approx(get[1], rel=1e-12)


def test_whatif_shows_the_change_and_touches_nothing(run):
    _, out, _ = run(
        "whatif", "example:inverse", "--leg", "BTC-PERPETUAL:-50000", "--price", "BTC=-8%", "--format", "json"
    )
    rows = json.loads(out)
    assert {row["what"] for row in rows} >= {
        "equity",
        "margin balance",
        "initial",
        "maintenance",
        "available",
    }
    assert all(
        row["change"] == pytest.approx(row["after"] - row["before"])
        for row in rows
        if row["change"] is not None
    )
    same = json.loads(run("whatif", "example:inverse", "--format", "json")[1])
    assert all(row["change"] == 0 for row in same)


def test_a_name_gives_the_terms_of_an_option(run):
    market = ("--forward", "60000", "--vol", "0.6", "--format", "json")
    plain = run("price", "--strike", "70000", "--days", "30", "--put", *market)[1]
    assert run("price", "BTC-25DEC26-70000-P", "--days", "30", *market)[1] == plain
    assert run("price", "BTC-25DEC26-70000-P", "--on", "2026-11-25T08:00:00", *market)[1] == plain
    assert run("price", "BTC/USD:BTC-261225-70000-P", "--days", "30", *market)[1] == plain
    assert set(json.loads(plain)) >= {"coin_price", "usd_price", "adjusted_delta", "coin_volga"}
    assert run("price", "BTC-PERPETUAL", "--days", "30", *market)[0] == 1
    assert run("price", "nonsense", "--days", "30", *market)[0] == 1
    assert run("price", "--days", "30", *market)[0] == 2


def test_compare_of_models_says_what_binds_and_how_long_it_took(run):
    command = ("compare", "example:portfolio", "--rules", "deribit.spm,example.scan", "--models")
    code, out, _ = run(*command, "--format", "json")
    rows = json.loads(out)
    assert (code, [row["binds"] for row in rows]) == (
        0,
        ["worst of 35 cells: price -0.12, vol down (cell 6)", "losses in scenario 10"],
    )
    assert all(row["ms"] > 0.0 for row in rows)
    assert "losses in scenario 10" in run(*command)[1]
    assert run("compare", "example:portfolio", "--rules", "derive.pmrm", "--models")[0] == 1


def test_compare_says_what_differs(run):
    _, out, _ = run("compare", "example:inverse", "--schedule", "none,T1", "--format", "json")
    first, second = json.loads(out)
    assert (first["saving"], first["why"]) == (0, "")
    assert second["saving"] == pytest.approx(1 - second["initial"] / first["initial"])
    assert "multiplier of T1" in second["why"]
    assert run("compare", "example:inverse", "--mode", "sideways")[0] == 2


def test_exit_codes_say_how_the_account_stands(run, case):
    account = load_example("inverse").accounts[0]
    amount = f"amount = {account.balances[0].amount!r}"
    data = json.loads(run("margin", "example:inverse", "--format", "json")[1])[0]["pools"][0]
    for wanted, level in ((3, (data["initial"] + data["maintenance"]) / 2), (4, data["maintenance"] / 2)):
        cash = account.balances[0].amount - data["margin_balance"] + level
        file = case((amount, f"amount = {cash!r}"))
        assert {run(command, file)[0] for command in ("margin", "explain", "liquidation", "whatif")} == {
            wanted
        }


WRONG = [
    (1, ("margin", "no-such-file.toml")),
    (1, ("margin", "example:nothing")),
    (1, ("margin", "example:inverse", "--rules", "no.rules")),
    (1, ("margin", "example:inverse", "--rules", "no-such-rules.toml")),
    (1, ("margin", "example:inverse", "--schedule", "nothing")),
    (1, ("margin", "example:inverse", "--price", "XRP=-5%")),
    (1, ("margin", "example:inverse", "--price", "BTC=-100%")),
    (1, ("margin", "example:inverse", "--price", "BTC=nan")),
    (2, ("margin", "example:inverse", "--price", "BTC")),
    (2, ("margin", "example:inverse", "--format", "yaml")),
    (2, ("nothing",)),
    (2, ("whatif", "example:inverse", "--leg", "nonsense")),
    (2, ("whatif", "example:inverse", "--leg", "BTC-PERPETUAL:0")),
    (1, ("whatif", "example:inverse", "--leg", "BTC-PERPETUAL:nan")),
    (1, ("whatif", "example:inverse", "--leg", "BTC-PERPETUAL:5@-5")),
    (1, ("whatif", "example:inverse", "--leg", "XRP:5")),
    (1, ("whatif", "example:inverse", "--account", "nobody")),
    (2, ("price", "--forward", "nan", "--strike", "1", "--vol", "0.6", "--days", "1")),
    (2, ("price", "--forward", "1", "--strike", "1", "--vol", "65", "--days", "1")),
    (1, ("rules", "show", "no.rules")),
    (1, ("rules", "diff", "example.flat", "no.rules")),
    (1, ("conform", "no-such-folder")),
    (1, ("validate", "no-such-file.toml")),
    (2, ("plot", "example:inverse", "--what", "nothing")),
]


@pytest.mark.parametrize(("wanted", "argv"), WRONG, ids=lambda a: a if isinstance(a, int) else " ".join(a))
def test_what_is_wrong_is_one_line_on_standard_error(run, wanted, argv):
    code, out, err = run(*argv)
    assert code == wanted
    assert out == ""
    assert err.strip()
    if wanted == 1:
        assert all(line.startswith("error: ") for line in err.splitlines())


def test_validate_tells_every_fault_of_every_file(run, case, tmp_path):
    good = case()
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    position = '[[accounts.positions]]\nsymbol = "{}"'
    bad = case((position.format("BTC-26MAR27"), position.format("NOTHING")), name="bad.toml")
    assert run("validate", good)[:2] == (0, f"{good}: fine\n")
    code, out, err = run("validate", bad, good, str(binary))
    assert code == 1
    assert out == f"{good}: fine\n"
    assert "NOTHING" in err
    assert "binary.toml" in err


def test_several_accounts_are_told_apart(run):
    text = CASE + '\n[[accounts]]\nname = "second"\n'
    code, out, _ = run("margin", "-", "--format", "json", stdin=text)
    assert [a["account"] for a in json.loads(out)] == ["trader", "second"]
    assert code == 0
    assert run("whatif", "-", stdin=text)[0] == 2
    assert run("whatif", "-", "--account", "trader", stdin=text)[0] == 0


def test_rules_show_and_fields_are_data(run):
    shown = json.loads(run("rules", "show", "deribit.sm@2022-01-11", "--format", "json")[1])
    assert shown["id"] == "deribit.sm"
    assert "DERIBIT-SM-LADDER-001" in run("rules", "show", "deribit.sm@2022-01-11")[1]
    assert "$defs" in json.loads(run("rules", "fields")[1])


def test_rules_and_schedules_may_be_files(run, tmp_path):
    schedule = tmp_path / "mine.toml"
    schedule.write_text(
        'name = "mine"\ncode = "MINE-001"\nknots = [[-0.1, 1.5], [0.0, 1.0], [0.1, 0.5]]\n', encoding="utf-8"
    )
    code, out, _ = run("explain", "example:inverse", "--schedule", str(schedule))
    assert code == 0
    assert "multiplier of mine" in out
    schedule.write_text("name = 1\n", encoding="utf-8")
    assert run("margin", "example:inverse", "--schedule", str(schedule))[0] == 1


def test_plot_writes_an_image(run, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "out.png"
    assert run("plot", "example:inverse", "--what", "payoff,margin", "-o", str(path))[0] == 0
    assert path.stat().st_size > 1000
    assert run("plot", "example:inverse", "-o", str(tmp_path / "none" / "out.png"))[0] == 1


def test_conform_counts_and_fails_with_five(run, tmp_path):
    inputs = {"side": "long", "qty": "1", "entry": "100", "leverage": "10", "mmr": "0.01"}
    model = "linear isolated liquidation price (MM at entry value)"
    good = {"id": "made-1", "venue": "Bybit", "model": model, "inputs": inputs, "status": "reproduced"}
    good |= {"expected": {"liquidation_price": "91.00"}, "displayed_digits": {"liquidation_price": 2}}
    bad = {**good, "id": "made-2", "expected": {"liquidation_price": "91.50"}}
    path = tmp_path / "vectors.json"
    for rows, wanted, last in (
        ([good], 0, "1 passed, 0 failed, 0 unsupported"),
        ([good, bad], 5, "1 passed, 1 failed, 0 unsupported"),
    ):
        path.write_text(json.dumps(rows), encoding="utf-8")
        code, out, _ = run("conform", str(path))
        assert (code, out.splitlines()[-1]) == (wanted, last)
    code, out, err = run("conform", str(path), "--format", "json")
    assert [row["id"] for row in json.loads(out)] == ["made-2"]
    assert err.strip() == last
    path.write_text("no json", encoding="utf-8")
    assert run("conform", str(path))[0] == 1


def test_import_writes_a_case_that_margin_reads(run, tmp_path):
    held = {"instrument_name": "BTC-PERPETUAL", "direction": "buy", "size": 1000.0, "average_price": 58_000.0}
    held |= {"mark_price": 60_000.0, "index_price": 60_010.0}
    summary = {"currency": "BTC", "balance": 0.05, "margin_model": "segregated_sm"}
    files = []
    for name, result in (("positions", [held]), ("summary", summary)):
        path = tmp_path / f"{name}.json"
        answer = {"jsonrpc": "2.0", "result": result, "usOut": 1_793_000_000_000_000}
        path.write_text(json.dumps(answer), encoding="utf-8")
        files.append(str(path))
    case = tmp_path / "case.toml"
    assert run("import", "deribit", *files, "-o", str(case), "--rules", "deribit.sm")[0] == 0
    assert run("validate", str(case))[0] == 0
    (told,) = json.loads(run("margin", str(case), "--format", "json")[1])
    assert [p["symbol"] for p in told["pools"][0]["positions"]] == ["BTC-PERPETUAL"]
    piped = run("import", "deribit", *files, "--rules", "deribit.sm")[1]
    assert piped == case.read_text(encoding="utf-8")
    assert run("import", "deribit", str(tmp_path / "nothing.json"))[0] == 1
    assert run("import", "nowhere", *files)[0] == 1


def test_a_written_case_gives_the_same_margin(run):
    again = dump_case(parse_case(CASE, "again"))
    assert again == CASE


def started(*argv: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    return subprocess.run([sys.executable, *argv], capture_output=True, text=True, check=False, env=env)


def test_help_answers_at_once_and_loads_nothing_heavy():
    started("-m", "margrave", "--help")  # compiles
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        told = started("-m", "margrave", "--help")
        taken.append(time.perf_counter() - start)
    assert told.returncode == 0
    assert "compare" in told.stdout
    assert min(taken) < 0.6
    code = "import sys, margrave.cli; heavy = {'numpy', 'msgspec', 'narwhals', 'tabulate'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    assert started("-c", code).returncode == 0


def test_a_module_is_a_command():
    told = started("-m", "margrave", "margin", "nothing.toml")
    assert told.returncode == 1
    assert told.stdout == ""
    assert told.stderr.startswith("error: nothing.toml")


def test_fm_5_liquidate_shows_orders_first_and_what_is_missing(run):
    code, out, err = run("liquidate", "example:inverse", "--price", "BTC=-30%", "--format", "json")
    steps = json.loads(out)
    assert code == 0
    assert [s["action"] for s in steps[:2]] == ["cancel", "close"]
    assert steps[-1]["maintenance"] == 0.0
    assert "cross BTC: closed" in err
    assert "are missing" in err


def test_cms_5_liquidate_with_a_fund_names_who_pays(run):
    argv = ("liquidate", "example:inverse", "--price", "BTC=-30%", "--fund", "BTC=0.05", "--format", "json")
    _, out, err = run(*argv)
    fund = [t["units"] for t in json.loads(out) if t["from"] == "insurance fund"]
    assert fund == [5_000_000]
    assert "nobody pays" in err


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("--slice", "0"), "slice_share is 0.0"),
        (("--fund", "BTC"), "write ASSET=AMOUNT"),
        (("--fund", "BTC=-1"), "fund.BTC"),
        (("--fund", "DOGE=1"), "no account, instrument or index price of the case is in it; choose from BTC"),
    ],
)
def test_liquidate_refuses_what_cannot_be(run, wrong, told):
    code, _, err = run("liquidate", "example:inverse", *wrong)
    assert code == 2
    assert told in err


def test_an_unknown_pool_says_nothing_of_where_its_liquidation_would_end(run):
    code, out, err = run("margin", "example:weighted", "--rules", "mango.v4")
    assert code == 1
    assert "would end" not in out
    assert "no rule" in err
    assert "would end at a balance of 2,130.01 USD" in run("margin", "example:weighted")[1]

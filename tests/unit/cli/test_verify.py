"""`margrave verify` and the options of `margrave import`: what they print, and their exit codes."""

import json

import pytest

from margrave.cli import main
from tests.unit.adapters import payloads_of_venues as made


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command in this process; gives exit code, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "120")

    def running(*argv):
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in argv])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return end.value.code, told.out, told.err

    return running


@pytest.fixture
def saved(tmp_path):
    """Save payloads as files."""

    def saving(*trees):
        paths = [tmp_path / f"answer{k}.json" for k in range(len(trees))]
        for path, tree in zip(paths, trees, strict=True):
            path.write_text(json.dumps(tree), encoding="utf-8")
        return paths

    return saving


def test_all_that_agrees_exits_with_zero(run, saved):
    code, out, err = run("verify", *saved(*made.binance_usdm()), "--rulebook", "binance.usdm")
    assert code == 0
    assert "50,200.80321285" in out
    assert "19 agree, 0 differ, 4 not computed; under binance.usdm of 2026-09-01" in out
    assert "not computed: positionInitialMargin, openOrderInitialMargin: no single figure of ours" in err


def test_the_first_that_differs_is_named_and_exits_with_five(run, saved):
    trees = made.binance_usdm()
    trees[1][1]["maintMargin"] = "24.90000000"
    code, out, err = run("verify", *saved(*trees))
    assert code == 5
    assert (
        "first that differs: answer1.json: ETHUSDT maintMargin: the venue says 24.90000000, we say 24.80000000 USDT"
        in out
    )
    code, out, err = run("verify", *saved(*trees), "--format", "json")
    rows = json.loads(out)
    assert code == 5
    assert [r["what"] for r in rows if r["verdict"] == "differs"] == ["maintMargin"]
    assert "first that differs" in err


def test_nothing_to_compare_is_no_success(run, saved):
    prices = made.binance_usdm()[3]
    code, _, err = run("verify", *saved(prices), "--rulebook", "binance.usdm")
    assert (code, "claim no number" in err) == (1, True)
    code, _, err = run("verify", *saved(*made.binance_usdm()), "--rulebook", "okx.futures")
    assert (code, "nothing is verified" in err) == (1, True)
    code, _, err = run("verify", *saved(*made.gate()), "--at", made.AT)
    assert (code, "names a rulebook" in err) == (1, True)


def test_a_summary_alone_says_that_positions_are_missing(run, saved):
    code, _, err = run("verify", *saved(*made.deribit()), "--venue", "deribit", "--strict")
    assert code == 0
    assert "no position" not in err
    _, _, err = run("verify", *saved(made.deribit()[1]), "--at", made.AT)
    assert "no position is in the payloads" in err


def test_files_of_one_name_are_told_by_their_paths(run, tmp_path):
    places = []
    for k, tree in enumerate(made.deribit()):
        (tmp_path / str(k)).mkdir()
        places.append(tmp_path / str(k) / "answer.json")
        places[-1].write_text(json.dumps(tree), encoding="utf-8")
    code, out, _ = run("verify", *places, "--format", "csv")
    assert code == 0
    assert str(places[1]) in out


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "is not JSON"), ('{"a": 1}', "none of the venues"), ("[]", "hold nothing")],
)
def test_a_bad_payload_is_one_line(run, tmp_path, text, said):
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    code, out, err = run("verify", path)
    assert (code, out) == (1, "")
    assert said in err
    assert err.count("\n") == 1


def test_import_recognises_a_venue_and_takes_an_instant(run, saved):
    code, out, _ = run("import", "auto", *saved(*made.gate()), "--at", made.AT, "--rules", "example.flat")
    assert code == 0
    assert 'rules = "example.flat"' in out
    code, _, err = run("import", "gate", *saved(*made.gate()))
    assert (code, "name no instant" in err) == (1, True)
    for at, said in (("noon", "is no instant"), ("2026-11-01T08:00:00", "no time zone")):
        code, _, err = run("import", "gate", *saved(*made.gate()), "--at", at)
        assert (code, said in err) == (2, True)


def test_import_needs_files_or_a_live_venue(run, saved, monkeypatch):
    assert run("import", "gate")[0] == 2
    assert run("import", "gate", "--live", *saved(made.gate()[0]))[0] == 2
    monkeypatch.delenv("MARGRAVE_OKX_KEY", raising=False)
    code, _, err = run("import", "--live", "okx")
    assert (code, "MARGRAVE_OKX_KEY" in err) == (1, True)


def test_import_writes_a_file(run, saved, tmp_path):
    target = tmp_path / "case.toml"
    code, out, _ = run("import", "okx", *saved(*made.okx()), "-o", target)
    assert (code, out.strip()) == (0, str(target))
    assert 'rules = "okx.futures"' in target.read_text()

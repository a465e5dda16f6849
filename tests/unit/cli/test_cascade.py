"""The command cascade: paths, rules of closing, files that replay, and options that cannot be."""

import itertools
import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from margrave.cli import main

FALL = ("--shock", "BTC=-15%", "--steps", "3", "--rules", "example.inverse")


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "venue"
    with pytest.raises(SystemExit):
        main(["sample", "400", "--out", str(folder)])
    return folder


@pytest.fixture
def run(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "110")

    def running(*argv):
        with pytest.raises(SystemExit) as end:
            main(["cascade", *map(str, argv)])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return end.value.code, told.out, told.err

    return running


def columns(out):
    return json.loads(out)


def test_a_case_falls_by_a_fifth_unless_told(run):
    code, out, _ = run("example:inverse")
    assert code == 0
    assert "BTC moved -20.00% outside" in out


def test_a_fall_liquidates_and_the_impact_makes_it_deeper(run, venue):
    code, out, _ = run(venue, *FALL, "--format", "json")
    told = columns(out)
    assert code == 0
    assert told["ending"] == "done"
    assert told["liquidated"] > 0.0
    last = told["steps"][-1]
    assert last["outside"] == pytest.approx(62_000.0 * 0.85, rel=1e-12)
    assert last["last"] < last["outside"]
    without = columns(run(venue, *FALL, "--impact", "0", "--format", "json")[1])
    assert without["amplification"] == pytest.approx(1.0, rel=1e-12)
    assert 0.0 < without["liquidated"] < told["liquidated"]


def test_the_same_seed_gives_the_same_bytes_on_any_threads(run, venue):
    argv = (
        venue,
        "--generate",
        "jumps",
        "--steps",
        20,
        "--top-up",
        0.3,
        "--seed",
        5,
        "--rules",
        "deribit.spm",
    )
    first, second = (run(*argv, "--threads", n, "--format", "json")[1] for n in (1, 2))
    assert first == second
    assert run(*argv[:-3], 6, *argv[-2:], "--format", "json")[1] != first


@pytest.mark.parametrize("close", ["takeover", "step-down", "20%", "0.5"])
@pytest.mark.parametrize("mark", ["last", "index", "average", "median"])
def test_every_rule_of_closing_and_marking_runs(run, venue, close, mark):
    code, out, _ = run(venue, *FALL, "--close", close, "--mark", mark, "--fund", "BTC=1")
    assert code == 0
    assert "example.inverse: BTC moved -15.00% outside" in out


@pytest.mark.parametrize("shares", ["score", "pro-rata", "water-filling", "none"])
def test_every_rule_of_deleveraging_runs(run, venue, shares):
    code, out, _ = run(
        venue, "--shock", "BTC=-45%", "--rules", "example.flat", "--deleveraging", shares, "--format", "json"
    )
    told = columns(out)
    assert code == 0
    assert (told["deleveraged"] > 0.0) == (shares != "none")
    assert (told["shortfall"] > 0.0) or shares != "none"


def test_a_run_is_saved_and_its_log_replays(run, venue, tmp_path):
    _, out, err = run(venue, *FALL, "--save", tmp_path / "run", "--format", "json")
    assert "run.json, and" in err
    saved = json.loads((tmp_path / "run" / "run.json").read_text())
    assert saved["measures"]["liquidated"] == columns(out)["liquidated"]
    code, _, err = run(venue, *FALL, "--replay", tmp_path / "run")
    assert code == 0
    assert "ends where this run ends, to the last unit" in err
    other = ("--shock", "BTC=-25%", *FALL[2:])
    code, _, err = run(venue, *other, "--replay", tmp_path / "run")
    assert code == 1
    assert "ends elsewhere" in err


def test_a_log_that_was_changed_is_named_by_its_line(run, venue, tmp_path):
    run(venue, *FALL, "--save", tmp_path / "run")
    log = tmp_path / "run" / "log.jsonl"
    lines = log.read_text().splitlines()
    log.write_text("\n".join([lines[0], '{"step": 0}', *lines[2:]]))
    code, _, err = run(venue, *FALL, "--replay", tmp_path / "run")
    assert code == 1
    assert "log.jsonl: line 2" in err


def test_a_recorded_path_moves_the_market(run, venue, tmp_path):
    place = tmp_path / "bars.parquet"
    parquet.write_table(pa.table({"seconds": [0.0, 60.0, 120.0], "close": [100.0, 90.0, 85.0]}), place)
    code, out, _ = run(
        venue, "--path", place, "--rules", "example.flat", "--schedule", "T1", "--format", "json"
    )
    told = columns(out)
    assert code == 0
    assert [round(s["outside"]) for s in told["steps"]] == [62_000, 55_800, 52_700]


@pytest.mark.parametrize(
    "more",
    [
        ("--close", "rounds", "--legs", "best"),
        ("--close", "10%", "--legs", "neutral"),
        ("--close", "first-share"),
        ("--close", "auction", "--steps", "4"),
        ("--close", "20%", "--notice", "60", "--vault", "M00000001"),
    ],
)
def test_every_rule_of_closing_is_an_option(run, venue, more):
    code, out, _ = run(venue, "--rules", "example.inverse", "--shock", "BTC=-15%", *more)
    assert code == 0
    assert "liquidated" in out


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("--shock", "BTC=-100%"), "nothing can be valued at zero"),
        (("--shock", "BTC"), "write BTC=-20%"),
        (("--shock", "XYZ=-10%"), "no index price"),
        (("--shock", "BTC=-10%", "--generate", "gbm"), "one of --shock, --path and --generate"),
        (("--depth", "0"), "depth"),
        (("--fund", "BTC=-1"), "fund.BTC"),
        (("--fund", "DOGE=1"), "DOGE"),
        (("--close", "half"), "first-share, auction, or a share"),
        (("--close", "0%"), "close factor"),
        (("--vault", "nobody"), "no account of the book"),
        (("--path", "nowhere.parquet"), "is not there"),
        (("--exponent", "0"), "impact.exponent"),
        (("--bootstrap", "5"), "name it by --path"),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_step(run, venue, wrong, told):
    code, out, err = run(venue, *wrong, "--rules", "example.flat")
    assert code in (1, 2)
    assert out == ""
    assert told in err


def test_a_cascade_without_end_says_so(run, venue):
    code, out, _ = run(
        venue, "--shock", "BTC=-60%", "--depth", 0.001, "--impact", 5, "--rules", "example.flat"
    )
    assert code == 1
    assert "the run ended early: runaway" in out


@pytest.mark.parametrize("law", ["gbm", "jumps", "regimes"])
def test_drawn_paths_differ_by_law_and_run(run, venue, law):
    code, out, _ = run(venue, "--generate", law, "--steps", 5, "--rules", "example.flat", "--format", "json")
    assert code == 0
    assert len({step["outside"] for step in columns(out)["steps"]}) == 5


def test_a_recorded_path_is_drawn_anew(run, venue, tmp_path):
    place = tmp_path / "bars.parquet"
    parquet.write_table(pa.table({"seconds": [0.0, 60.0, 120.0], "close": [100.0, 90.0, 99.0]}), place)
    argv = (venue, "--path", place, "--bootstrap", 2, "--steps", 12, "--rules", "example.flat", "--impact", 0)
    told = columns(run(*argv, "--format", "json")[1])
    prices = [62_000.0, *(step["outside"] for step in told["steps"])]
    ratios = {round(b / a, 6) for a, b in itertools.pairwise(prices)}
    assert ratios <= {0.9, 1.1}

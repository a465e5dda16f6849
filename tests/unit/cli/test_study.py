"""The command study: a report, its JSON twin and its plots from one command, the same bytes again."""

import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from margrave.cli import main
from margrave.report.study_page import html

SMALL = ("--accounts", "40", "--steps", "6", "--every", "60", "--index", "")


@pytest.fixture
def run(capsys):
    def running(*argv):
        with pytest.raises(SystemExit) as end:
            main(["study", *map(str, argv)])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return end.value.code, told.out, told.err

    return running


def test_a_study_writes_its_report_and_the_same_bytes_again(run, tmp_path):
    first, second = tmp_path / "one", tmp_path / "two"
    index = (*SMALL, "--index", "-5%,-20%")
    code, out, err = run("--out", first, *index)
    assert code == 0
    assert "68 runs" in err
    assert run("--out", second, *index, "--threads", 2)[1] == out
    names = {"study.md", "study.html", "study.json", "shock-of--20-.png", "shock-of--20--who-bears-it.png"}
    assert {file.name for file in first.iterdir()} == names
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    told = json.loads((first / "study.json").read_text())
    assert len(told["trials"]) == 44 + 24
    assert {t["closing"] for t in told["trials"]} >= {"", "auction", "a vault takes all over"}
    assert all(0.0 <= t["covered"] <= 1.0 for t in told["trials"] if t["covered"] is not None)
    assert len(told["index"]) == len({(t["rule"], t["payoff"], t["mode"]) for t in told["trials"]})
    assert all(i["value"] == max(i["amplification"]) for i in told["index"])
    assert {i["shock"] for i in told["index"]} <= {-0.05, -0.2}
    assert {t["rule"] for t in told["trials"]} == {"flat", "directional", "ratchet", "scenarios"}
    assert {t["deleveraging"] for t in told["trials"]} == {"score", "pro-rata", "water-filling", "none"}
    page = (first / "study.md").read_text()
    assert "## Where a rule makes things worse" in page
    assert all(line.split(": worse")[0] in page for line in out.splitlines())
    shown = (first / "study.html").read_text()
    assert shown.count("<tr>") >= 1 + 44 + 1 + len(told["index"]) + 1 + 28
    assert "## Who bears it" in page
    assert '<img src="shock-of--20-.png"' in shown


def test_draws_of_the_book_say_how_firm_a_finding_is(run, tmp_path):
    code, out, err = run("--out", tmp_path / "s", *SMALL, "--no-plots", "--seed", 3, "--seeds", 2)
    assert code == 0
    assert "112 runs" in err
    told = json.loads((tmp_path / "s" / "study.json").read_text())
    assert {t["seed"] for t in told["trials"]} == {3, 4}
    assert {s["seeds"] for s in told["spreads"] if s["figure"] == "liquidated"} == {2}
    page = (tmp_path / "s" / "study.md").read_text()
    assert "## How firm that is: 2 draws of the book" in page
    # The rest of the page is that of the first draw alone.
    assert run("--out", tmp_path / "one", *SMALL, "--no-plots", "--seed", 3)[1] == out
    alone = (tmp_path / "one" / "study.md").read_text()
    assert set(alone.splitlines()) < set(page.splitlines())


def test_scenarios_ask_what_flat_asks_at_both_levels(run, tmp_path):
    run("--out", tmp_path / "s", *SMALL, "--no-plots")
    trials = json.loads((tmp_path / "s" / "study.json").read_text())["trials"]
    asked = {
        t["rule"]: t["ahead"] + t["behind"]
        for t in trials
        if (t["payoff"], t["mode"], t["deleveraging"]) == ("linear", "cross", "score")
    }
    assert asked["scenarios"] == pytest.approx(asked["flat"], rel=1e-9)


def test_recorded_paths_stand_beside_the_shock(run, tmp_path):
    bars = tmp_path / "bars.parquet"
    parquet.write_table(
        pa.table({"seconds": [0.0, 60.0, 120.0, 180.0], "close": [9.0, 10.0, 9.0, 8.0]}), bars
    )
    code, _, err = run("--out", tmp_path / "s", *SMALL, "--no-plots", "--path", f"fall={bars}:close:1:4")
    assert code == 0
    assert "136 runs" in err
    page = (tmp_path / "s" / "study.md").read_text()
    assert "## fall: -20.00% outside" in page
    assert not list((tmp_path / "s").glob("*.png"))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("--shock", "-100%"), "nothing can be valued at zero"),
        (("--shock", "much"), "write -20%"),
        (("--path", "a=nowhere.parquet:close"), "is not there"),
    ],
)
def test_what_cannot_be_is_refused(run, tmp_path, wrong, told):
    code, _, err = run("--out", tmp_path / "s", *SMALL, *wrong)
    assert code in (1, 2)
    assert told in err


@pytest.mark.parametrize(
    ("rows", "told"), [(":1:x", "rows as whole numbers"), (":7:9", "there are no rows 7 to 9")]
)
def test_rows_that_are_not_there_are_refused(run, tmp_path, rows, told):
    bars = tmp_path / "bars.parquet"
    parquet.write_table(pa.table({"seconds": [0.0, 60.0], "close": [10.0, 9.0]}), bars)
    code, _, err = run("--out", tmp_path / "s", *SMALL, "--path", f"fall={bars}:close{rows}")
    assert code == 2
    assert told in err


def test_html_escapes_what_it_is_given():
    assert "<script>" not in html("# <script>\n\n| a | <b> |\n|---|---|\n| 1 | 2 |\n", "<script>")

"""The command replay: changes of status, what became of the events, faults with their line."""

import json

import pytest

from margrave.cli import main

START = "2026-11-02T00:00:0"


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")

    def running(*argv):
        with pytest.raises(SystemExit) as end:
            main([*map(str, argv)])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return end.value.code, told.out, told.err

    running("sample", 200, "--out", tmp_path / "venue")
    return lambda *lines, more=(): running(
        "replay", tmp_path / "venue", _written(tmp_path, lines), "--rules", "deribit.spm", *more
    )


def _written(folder, lines):
    place = folder / "events.jsonl"
    place.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return place


def tick(value, second, what="mark", name="BTC-PERPETUAL"):
    return {"event": "tick", "at": f"{START}{second}Z", "what": what, "name": name, "value": value}


DEPOSIT = {"event": "deposited", "at": f"{START}3Z", "account": "M00000012", "asset": "BTC", "amount": 0.5}
ORDER = {"symbol": "BTC-PERPETUAL", "quantity": 10, "price": 60000}


def test_events_are_folded_and_audited(run):
    lines = [
        tick(50_000, "1.1"),
        tick(45_000, "1.2"),
        tick(50_000, "1.15"),
        "",
        {"event": "clock", "at": f"{START}2Z"},
        DEPOSIT,
        {"event": "placed", "at": f"{START}3Z", "account": "M00000012", "order": ORDER},
        {"event": "cancelled", "at": f"{START}3Z", "account": "M00000012", "order": ORDER},
        {
            "event": "filled",
            "at": f"{START}3Z",
            "account": "M00000012",
            "symbol": "BTC-PERPETUAL",
            "quantity": -10,
            "price": 60000,
        },
    ]
    code, out, err = run(*lines, more=("--audit",))
    assert (code, err) == (0, "")
    assert "8 events in 3 batches: 6 applied, 1 coalesced, 1 late, 0 repeated, 0 refused" in out
    assert " to liquidatable, " in out
    assert "a batch: median " in out


def test_refused_events_are_told_and_the_exit_code_says_so(run):
    code, out, err = run(*[{**DEPOSIT, "account": f"nobody {k}"} for k in range(12)])
    assert code == 1
    assert "12 refused" in out
    assert "nobody 0: not found: is no account of the book" in err
    assert "2 more events are refused" in err


def test_an_empty_file_is_no_event(run):
    code, out, _ = run()
    assert code == 0
    assert out == "0 events in 0 batches: 0 applied, 0 coalesced, 0 late, 0 repeated, 0 refused\n"


FAULTS = {
    "no JSON": ("{", "events.jsonl:2: malformed"),
    "no object": ("[1]", "state event as one of tick, clock"),
    "no such event": ('{"event": "eaten"}', "state event as one of tick, clock"),
    "a field too many": (
        {**DEPOSIT, "fee": 1},
        "'fee' is no field of it; it has at, account, asset, amount, id",
    ),
    "a field too few": ({"event": "clock"}, "at"),
    "a wrong type": (tick("high", 1), "value"),
    "a price below zero": (tick(-1.0, 1), "it must be zero or more"),
    "no zone": ({"event": "clock", "at": f"{START}1"}, "time zone"),
}


@pytest.mark.parametrize(("line", "message"), FAULTS.values(), ids=FAULTS)
def test_a_line_that_is_no_event_is_named(run, line, message):
    code, _, err = run(tick(60_000, 1), line)
    assert code != 0
    assert "events.jsonl:2" in err
    assert message in err

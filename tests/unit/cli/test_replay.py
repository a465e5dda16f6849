"""The command replay: changes of status, what became of the events, faults with their line."""

import json
from datetime import UTC, datetime

import pytest

from margrave.cli import main
from margrave.cli.replay import _coming
from margrave.rulebook.catalogue import in_force, text_of

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
    return lambda *lines, more=("--rules", "deribit.spm"): running(
        "replay", tmp_path / "venue", _written(tmp_path, lines), *more
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
    code, out, err = run(*lines, more=("--rules", "deribit.spm", "--audit"))
    assert (code, err) == (0, "")
    assert "8 events in 3 batches: 6 applied, 1 coalesced, 1 late, 0 repeated, 0 refused" in out
    assert " to liquidatable, " in out
    assert "a batch: median " in out


TERMS = {
    "symbol": "BTC-NEW",
    "kind": "perpetual",
    "payoff": "inverse",
    "base": "BTC",
    "quote": "USD",
    "settlement": "BTC",
    "contract_value": 10.0,
}


def test_what_joins_and_what_comes_twice(run):
    opened = {"event": "opened", "at": f"{START}1Z", "account": "eve"}
    paid = {**DEPOSIT, "account": "eve", "id": "d-1"}
    listed = {"event": "listed", "at": f"{START}1Z", "instrument": TERMS}
    funded = {"event": "funded", "at": f"{START}4Z", "symbol": "BTC-NEW", "rate": 0.0001, "mark": 6e4}
    fill = {"event": "filled", "at": f"{START}4Z", "account": "eve", "symbol": "BTC-NEW", "quantity": 10}
    fill |= {"price": 6e4, "fee": 0.001, "liquidity": "taker"}
    more = ("--rules", "deribit.spm", "--audit")
    code, out, err = run(opened, listed, paid, paid, tick(6e4, 4, name="BTC-NEW"), fill, funded, more=more)
    assert (code, err) == (0, "")
    assert "7 events in 3 batches: 6 applied, 0 coalesced, 0 late, 1 repeated, 0 refused" in out


CLOCKS = [{"event": "clock", "at": f"{START}1Z"}, {"event": "clock", "at": "2027-03-01T00:00:00Z"}]


def test_later_rules_of_an_id_take_effect(run, tmp_path):
    name = "deribit.sm"
    text = text_of(in_force("deribit.sm", datetime(2026, 11, 2, tzinfo=UTC)))
    day = next(line for line in text.splitlines() if line.startswith("valid_from"))
    later = tmp_path / "later.toml"
    later.write_text(text.replace(day, "valid_from = 2027-02-01T00:00:00Z"))
    _, out, _ = run(*CLOCKS, more=("--rules", name, "--later", later))
    assert "rules: deribit.sm of 2027-02-01 take effect" in out
    _, out, _ = run(*CLOCKS, more=("--rules", name))
    assert "take effect" not in out


def test_rules_that_ship_follow_each_other(run):
    first = in_force("deribit.sm", datetime(2026, 8, 1, tzinfo=UTC))
    coming = _coming(first, "deribit.sm", [])
    assert [f"{b.valid_from:%Y-%m-%d}" for b in coming] == ["2026-08-05"]
    assert _coming(first, "deribit.sm@2026-08-01", []) == []
    assert _coming(first, "mine.toml", []) == []


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
    "terms of nothing": (
        {"event": "listed", "at": f"{START}1Z", "instrument": {**TERMS, "contract_value": None}},
        "contract_value",
    ),
    "no terms": ({"event": "listed", "at": f"{START}1Z"}, "instrument"),
    "no zone": ({"event": "clock", "at": f"{START}1"}, "time zone"),
}


@pytest.mark.parametrize(("line", "message"), FAULTS.values(), ids=FAULTS)
def test_a_line_that_is_no_event_is_named(run, line, message):
    code, _, err = run(tick(60_000, 1), line)
    assert code != 0
    assert "events.jsonl:2" in err
    assert message in err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_workers_tell_what_one_process_tells(run):
    ray = pytest.importorskip("ray", reason="the extra `cluster` is not installed")
    here = {"include_dashboard": False, "log_to_driver": False, "object_store_memory": 200_000_000}
    ray.init(num_cpus=4, logging_level="error", **here)
    lines = [tick(30_000, "1.1"), tick(30_000, "2.1", "index", "BTC"), DEPOSIT, tick(61_000, "4.1")]
    rules = ("--rules", "example.inverse", "--audit")
    try:
        code, alone, _ = run(*lines, more=rules)
        spread = run(*lines, more=(*rules, "--workers", 2))
    finally:
        ray.shutdown()
    assert spread[0] == code == 0
    told, others = (sorted(out.splitlines()[:-1]) for out in (alone, spread[1]))
    assert told == others
    assert any("liquidatable" in line for line in told)


def test_the_compiled_sweep_is_audited_by_itself(run):
    pytest.importorskip("numba")
    lines = [tick(50_000, "1.1"), DEPOSIT, tick(45_000, "9.2")]
    code, out, err = run(*lines, more=("--rules", "deribit.spm", "--audit", "--compiled"))
    assert (code, err) == (0, "")
    assert "3 events in 3 batches: 3 applied" in out

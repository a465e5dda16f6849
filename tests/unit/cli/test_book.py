"""Commands on whole books: what they write, what they say of faults, and the exit codes."""

import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from margrave.cli import book as commands
from margrave.cli import main


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command in this process; gives exit code, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "80")

    def running(*argv: str):
        with pytest.raises(SystemExit) as end:
            main([*map(str, argv)])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return end.value.code, told.out, told.err

    return running


@pytest.fixture
def folder(run, tmp_path):
    code, out, _ = run("sample", 400, "--out", tmp_path / "venue", "--seed", 3)
    assert code == 0
    assert "400 made accounts" in out
    return tmp_path / "venue"


def test_the_same_seed_makes_the_same_files(run, folder, tmp_path):
    for seed, same in ((3, True), (4, False)):
        run("sample", 400, "--out", tmp_path / "again", "--seed", seed)
        one, other = (pq.read_table(place / "positions.parquet") for place in (folder, tmp_path / "again"))
        assert one.equals(other) is same
    assert b"no venue, no person" in one.schema.metadata[b"title"]


def test_a_book_is_assessed(run, folder):
    code, out, err = run(
        "book", folder, "--rules", "deribit.spm", "-o", folder / "pools.parquet", "--nearest", 3
    )
    assert code == 0
    for words in (
        "400 accounts",
        "made by `margrave sample`",
        "nearest to liquidation",
        "100% and more",
        "healthy",
    ):
        assert words in out
    assert "pools.parquet" in err
    rows = pq.read_table(folder / "pools.parquet").to_pylist()
    assert {row["status"] for row in rows} >= {"healthy"}
    nearest = max((r["ratio"], r["account"]) for r in rows if r["status"] in ("healthy", "call"))
    assert nearest[1] in out


def test_threads_and_chunks_change_nothing(run, folder):
    told = [
        run("book", folder, "--rules", "deribit.xpm", "--format", "json", *more)[1]
        for more in ((), ("--threads", 2, "--chunk", 7))
    ]
    assert told[0] == told[1]
    summary = json.loads(told[0])
    assert sum(summary["accounts"].values()) == 400
    assert sum(row["accounts"] for row in summary["histogram"]) == 400
    assert len(summary["nearest"]) == 10


def test_the_compiled_sweep_tells_the_same(run, folder):
    pytest.importorskip("numba")
    plain, quick = (
        json.loads(run("book", folder, "--rules", "deribit.spm", "--format", "json", *more)[1])
        for more in ((), ("--compiled",))
    )
    assert quick["accounts"] == plain["accounts"]
    assert quick["histogram"] == plain["histogram"]


def test_one_account_is_a_case_for_the_other_commands(run, folder, tmp_path):
    code, out, _ = run("book", folder, "--rules", "deribit.spm", "--account", "M00000005")
    assert code == 0
    (tmp_path / "one.toml").write_text(out)
    code, out, _ = run("margin", tmp_path / "one.toml", "--rules", "deribit.spm")
    assert "M00000005" in out
    code, _, err = run("book", folder, "--rules", "deribit.spm", "--account", "nobody")
    assert code == 1
    assert "no account of the book has this name" in err


def test_what_the_market_lacks_is_an_error_or_unknown(run, folder):
    positions = pq.read_table(folder / "positions.parquet").to_pylist()
    positions[17]["symbol"] = "GONE"
    pq.write_table(pa.Table.from_pylist(positions), folder / "positions.parquet")
    code, out, err = run("book", folder, "--rules", "deribit.spm")
    assert (code, out) == (1, "")
    assert "positions: row 17: unknown instrument: GONE" in err
    code, out, err = run("book", folder, "--rules", "deribit.spm", "--partial")
    assert code == 1
    assert "pools are not in the sums" in out
    assert "GONE: unknown instrument" in err


def test_unknown_pools_beyond_a_few_are_counted(run, folder):
    code, _, err = run("book", folder, "--rules", "binance.options-usual")
    assert code == 1
    assert "more pools are unknown" in err


def test_rules_are_tried_on_a_whole_book(run, folder):
    code, out, _ = run("rules", "test", "example.flat", "example.inverse", folder)
    assert code == 0
    for words in ("400 accounts", "in deciles", "newly in call", "newly liquidatable"):
        assert words in out
    code, out, _ = run("rules", "test", "example.flat", "example.inverse", folder, "--format", "json")
    told = json.loads(out)
    assert told["compared"] == told["accounts"] == 400
    code, out, err = run("rules", "test", "deribit.spm@2024-06-17", "deribit.spm@2026-02-15", folder)
    assert code == 1
    assert "accounts are not compared" in err
    assert run("rules", "test", "example.flat", "example.inverse", folder, folder)[0] == 2


def test_faults_of_files_are_one_line(run, folder, tmp_path):
    file = folder / "positions.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    code, out, err = run("book", folder, "--rules", "deribit.spm")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "cut off" in err
    code, _, err = run("book", tmp_path / "nothing.parquet", "--rules", "deribit.spm")
    assert code == 1
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "positions.parquet").write_bytes(whole)
    code, _, err = run("book", alone, "--rules", "deribit.spm")
    assert code == 1
    assert "has no market.toml beside it" in err
    code, _, _ = run(
        "book", alone / "positions.parquet", "--market", folder / "market.toml", "--rules", "deribit.spm"
    )
    assert code == 0


def test_out_of_memory_is_one_line(run, folder, monkeypatch):
    def hungry(*args, **more):
        raise MemoryError

    monkeypatch.setattr(commands, "assess_book", hungry)
    code, out, err = run("book", folder, "--rules", "deribit.spm")
    assert (code, out) == (1, "")
    assert "error: memory: not enough" in err


def test_without_pyarrow_the_extra_is_named(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name in [n for n in sys.modules if n.startswith("margrave.adapters.")]:
        if name.rsplit(".", 1)[-1] in ("columns", "book_files", "made_book"):
            monkeypatch.delitem(sys.modules, name)
    code, _, err = run("sample", 5, "--out", tmp_path / "x")
    assert code == 1
    assert "pip install 'margrave[frames]'" in err


def test_liquidation_prices_and_positions_go_to_files(run, folder):
    pools, held = folder / "pools.parquet", folder / "held.parquet"
    code, out, err = run(
        "book",
        folder,
        "--rules",
        "example.flat",
        "--bounds",
        "-o",
        pools,
        "--positions",
        held,
        "--nearest",
        2,
    )
    assert code == 0
    assert "held.parquet: " in err
    rows = pq.read_table(pools).to_pylist()
    known = [r for r in rows if r["liquidation_below"] is not None]
    assert len(known) > 50
    assert all(r["liquidation_below"] < r["price"] for r in known)
    assert {r["liquidation_of"] for r in known} >= {"BTC-PERPETUAL", "ETH-PERPETUAL"}
    positions = pq.read_table(held).to_pylist()
    assert len(positions) == pq.read_metadata(folder / "positions.parquet").num_rows
    assert {"profit", "initial", "maintenance", "liquidation_below", "mode"} <= set(positions[0])
    assert "above" in out


def test_the_nearest_have_prices_and_the_rest_is_not_searched(run, folder):
    told = json.loads(
        run("book", folder, "--rules", "example.flat", "--bounds", "--format", "json", "--nearest", 3)[1]
    )
    assert len(told["nearest"]) == 3
    assert all(row["of"] for row in told["nearest"])
    first = told["nearest"][0]
    near = [first[side] for side in ("below", "above") if first[side] is not None]
    assert min(abs(price / first["price"] - 1.0) for price in near) < 0.05
    none = json.loads(
        run("book", folder, "--rules", "example.flat", "--bounds", "--format", "json", "--nearest", 0)[1]
    )
    assert none["nearest"] == []


def test_positions_without_bounds_have_no_prices(run, folder):
    held = folder / "held.csv"
    run("book", folder, "--rules", "deribit.spm", "--positions", held)
    assert "liquidation" not in held.read_text().split("\n", 1)[0]


@pytest.mark.parametrize("rules", ["example.flat", "deribit.spm"])
def test_compiled_prices_of_the_whole_book_are_the_same(run, folder, rules):
    pytest.importorskip("numba")
    columns = []
    for more in ((), ("--compiled",)):
        pools = folder / f"pools-{len(more)}.parquet"
        run("book", folder, "--rules", rules, "--bounds", "-o", pools, *more)
        columns.append(pq.read_table(pools).to_pydict())
        pools.unlink()
    slow, quick = columns
    for name in ("liquidation_below", "liquidation_above"):
        assert [p is None for p in quick[name]] == [p is None for p in slow[name]]
        assert [p for p in quick[name] if p is not None] == pytest.approx(
            [p for p in slow[name] if p is not None], rel=1e-11
        )
    assert sum(p is not None for p in quick["liquidation_below"]) > 50

"""Tables of tiers into rulebooks: made tables with every fault, and the recorded ones where they are at hand."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from margrave.adapters.rulebook_files import dump_rulebook
from margrave.adapters.tiers import import_tiers, rows_of
from margrave.cli.main import cli
from margrave.core.errors import InvalidInputError, Reason
from margrave.rulebook.catalogue import shipped
from margrave.rulebook.ladders import resolve
from margrave.rulebook.load import parse
from margrave.rulebook.schema import Rulebook

HEAD = "symbol,settle,bracket,floor,cap,mmr,max_leverage,cum\n"
GOOD = HEAD + "AAAUSDT,USDT,1,0,1000,0.01,50,0\nAAAUSDT,USDT,2,1000,5000,0.02,25,10\n"


def book(name: str) -> Rulebook:
    return [b for b in shipped() if b.id == name][-1]


def from_binance(text: str):
    return import_tiers(text, "made.csv", book("binance.usdm"))


def test_a_symbol_becomes_a_ladder_and_a_product_under_the_bases_rules():
    found = from_binance(GOOD)
    assert found.findings == ()
    ladder = found.rulebook.ladders["AAAUSDT"]
    assert ladder.size_max == 5000
    np.testing.assert_allclose(resolve(ladder, 1).deduction, [0, 10])
    (product,) = found.rulebook.products
    assert product.match.bases == ("AAA",)
    assert product.match.settlements == ("USDT",)
    assert product.model.initial.code == "BINANCE-USDM-MARGIN-001"
    assert found.rulebook.id == "binance.usdm-table"


# What a table may say wrong, the row it is found in, and whether the symbol is still a ladder.
@pytest.mark.parametrize(
    ("rows", "line", "told", "kept"),
    [
        ("B,USDT,1,0,9,0.01,50,0\nB,USDT,2,9,99,0.02,25,5\n", 5, "jump by -4.91", True),
        ("B,USDT,1,0,9,0.01,50,0\nB,USDT,2,8,99,0.02,25,0.08\n", 5, "is not 9", True),
        ("B,USDT,1,0,9,0.03,20,0\nB,USDT,2,9,99,0.02,20,0\n", 5, "maintenance 0.02 is below 0.03", False),
        ("B,USDT,1,5,9,0.01,50,0\n", 4, "starts at 5", False),
        ("B,USDT,1,0,9,0.01,50,0\nB,USDT,2,0,99,0.02,25,0\n", 5, "floor 0 is not above 0", False),
        ("B,USDT,1,0,9,0.03,50,0\n", 4, "is above initial 0.02", False),
    ],
)
def test_a_contradiction_is_named_with_its_row(rows, line, told, kept):
    found = from_binance(GOOD + rows)
    assert found.findings[0].where == f"made.csv:{line} B"
    assert told in found.findings[0].message
    assert ("B" in found.rulebook.ladders) is kept
    assert any(g.what.startswith("B: ") for g in found.rulebook.gaps) is not kept
    assert "AAAUSDT" in found.rulebook.ladders


def test_a_jump_is_computed_away():
    found = from_binance(GOOD + "B,USDT,1,0,9,0.01,50,0\nB,USDT,2,9,99,0.02,25,5\n")
    np.testing.assert_allclose(resolve(found.rulebook.ladders["B"], 1).deduction, [0, 0.09])


def test_caps_without_floors_and_steps_that_repeat():
    text = (
        "instrument,effective,tier,max_contracts,mmr,min_imr,max_leverage\n"
        "X-USDT-SWAP,2021-01-01,1,10,0.10,0.20,5\n"
        "X-USDT-SWAP,2022-01-01,1,100,0.10,0.20,5\n"
        "X-USDT-SWAP,2022-01-01,2,200,0.20,0.40,2.5\n"
        "X-USDT-SWAP,2022-01-01,3,+100,+0.2,+0.2,\n"
    )
    now = import_tiers(text, "okx.csv", book("okx.futures")).rulebook.ladders["X-USDT-SWAP"]
    assert [(t.floor, t.maintenance, t.initial) for t in now.tiers] == [
        (0, 0.10, 0.20), (100, 0.20, 0.40), (200, 0.40, 0.60), (300, 0.60, 0.80), (400, 0.80, 1.00),
    ]  # fmt: skip
    assert now.size_max is None
    then = import_tiers(text, "okx.csv", book("okx.futures"), date(2021, 6, 1)).rulebook.ladders[
        "X-USDT-SWAP"
    ]
    assert len(then.tiers) == 1
    assert then.size_max == 10


def test_a_dated_contract_is_matched_by_its_symbol():
    found = from_binance(GOOD + "BTCUSDT_270326,USDT,1,0,9,0.01,50,0\n")
    match = found.rulebook.products[-1].match
    assert (match.kinds, match.symbols) == (("future",), ("BTCUSDT_270326",))


def test_ccxts_leverage_tiers_are_a_table_too():
    tiers = [
        {"tier": 1, "minNotional": 0, "maxNotional": 1000, "maintenanceMarginRate": 0.01, "maxLeverage": 50, "info": {"cum": "0"}},
        {"tier": 2, "minNotional": 1000, "maxNotional": 5000, "maintenanceMarginRate": 0.02, "maxLeverage": 25, "info": {"cum": "7"}},
    ]  # fmt: skip
    found = from_binance(json.dumps({"AAA/USDT:USDT": tiers}))
    match = found.rulebook.products[0].match
    assert (match.bases, match.settlements) == (("AAA",), ("USDT",))
    assert found.findings[0].where == "made.csv:2 AAA/USDT:USDT"
    np.testing.assert_allclose(resolve(found.rulebook.ladders["AAA/USDT:USDT"], 1).deduction, [0, 10])


@pytest.mark.parametrize(
    ("text", "reason", "told"),
    [
        ("{", Reason.MALFORMED, "leverage tiers"),
        ('{"a": [3]}', Reason.MALFORMED, "leverage tiers"),
        ("{}", Reason.MALFORMED, "no tiers"),
        ("a,b\n1,2\n", Reason.MALFORMED, "no columns of tiers"),
        (HEAD, Reason.MALFORMED, "no rows"),
        (HEAD + "B,USDT,1,0,9,x,50,0\n", Reason.INVALID_VALUE, "maintenance is 'x'"),
        (HEAD + "B,USDT,1,0,9,-1,50,0\n", Reason.INVALID_VALUE, "maintenance is '-1'"),
        (HEAD + "B,USDT,1,0,9,,50,0\n", Reason.INVALID_VALUE, "no maintenance rate"),
        (HEAD + "B,USDT,1,5,9,0.01,50,0\n", Reason.CONTRADICTION, "no symbol has tiers"),
    ],
)
def test_what_is_no_table_of_tiers_is_refused(text, reason, told):
    with pytest.raises(InvalidInputError) as caught:
        from_binance(text)
    assert caught.value.issues[0].reason is reason
    assert told in caught.value.issues[0].message


def test_a_base_without_ladders_is_refused():
    with pytest.raises(InvalidInputError, match="no ladder"):
        import_tiers(GOOD, "made.csv", book("okx.options-k1"))


@pytest.mark.parametrize("rulebook", shipped(), ids=lambda b: f"{b.id}@{b.valid_from:%Y-%m-%d}")
def test_every_shipped_rulebook_is_written_and_read_back_as_it_was(rulebook):
    assert parse(dump_rulebook(rulebook, "written"), "written.toml") == rulebook


def test_the_command_writes_a_rulebook_and_names_what_is_wrong(tmp_path: Path):
    table = tmp_path / "tiers.csv"
    table.write_text(GOOD + "B,USDT,1,5,9,0.01,50,0\n", encoding="utf-8")
    out = tmp_path / "book.toml"
    done = CliRunner().invoke(
        cli,
        ["rules", "import-tiers", str(table), "--venue", "binance", "--base", "binance.usdm", "-o", str(out)],
    )
    assert done.exit_code == 0
    assert "1 ladders, 1 findings" in done.output
    assert parse(out.read_text(encoding="utf-8"), "book.toml").ladders.keys() == {"AAAUSDT"}


def test_the_venue_must_be_the_bases(tmp_path: Path):
    table = tmp_path / "tiers.csv"
    table.write_text(GOOD, encoding="utf-8")
    done = CliRunner().invoke(
        cli, ["rules", "import-tiers", str(table), "--venue", "okx", "--base", "binance.usdm"]
    )
    assert isinstance(done.exception, InvalidInputError)
    assert done.exception.issues[0].reason is Reason.CONTRADICTION


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "base", "ladders"),
    [
        ("binance_usdm_tiers_2026-09.csv", "binance.usdm", 907),  # cex.md 0: all 7,276 rows hold
        ("binance_usdm_tiers_ccxt_2022.csv", "binance.usdm", 3),
        ("binance_coinm_btcusd_tiers.csv", "binance.coinm", 1),
        ("bybit_btcusdt_risk_limits_2025.csv", "bybit.linear", 1),
        ("okx_position_tiers.csv", "okx.futures", 8),
        ("kraken_inverse_margin_schedule_2023.csv", "kraken.futures", 5),
    ],
)
def test_recorded_tables_load_whole_and_without_contradiction(
    shared: Path, name: str, base: str, ladders: int
):
    text = (shared / "data" / "venue-parameters" / name).read_text(encoding="utf-8")
    found = import_tiers(text, name, book(base))
    assert found.findings == ()
    assert len(found.rulebook.ladders) == len({r.symbol for r in rows_of(text, name)}) == ladders


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "base", "symbol"),
    [
        ("binance_usdm_tiers_2026-09.csv", "binance.usdm", "BTCUSDT"),
        ("binance_usdm_tiers_2026-09.csv", "binance.usdm", "SOLUSDT"),
        ("binance_coinm_btcusd_tiers.csv", "binance.coinm", "BTCUSD"),
        ("bybit_btcusdt_risk_limits_2025.csv", "bybit.linear", "BTCUSDT"),
        ("kraken_inverse_margin_schedule_2023.csv", "kraken.futures", "XRP-USD"),
    ],
)
def test_recorded_tables_give_the_ladders_that_ship(shared: Path, name: str, base: str, symbol: str):
    text = (shared / "data" / "venue-parameters" / name).read_text(encoding="utf-8")
    read = import_tiers(text, name, book(base)).rulebook.ladders[symbol]
    for level in (0, 1):
        ours, theirs = resolve(book(base).ladders[symbol], level), resolve(read, level)
        np.testing.assert_allclose(theirs.floor, ours.floor)
        np.testing.assert_allclose(theirs.rate, ours.rate, rtol=1e-9)
        np.testing.assert_allclose(theirs.deduction, ours.deduction, rtol=1e-9)


def test_an_account_is_margined_under_the_table_and_what_it_lacks_is_told_briefly(tmp_path: Path):
    names = [f"C{k}" for k in range(40)] + ["ETH"]
    rows = "".join(f"{n}USDT,USDT,1,0,1000000,0.01,50,0\n" for n in names)
    table, out = tmp_path / "tiers.csv", tmp_path / "mine.toml"
    table.write_text(HEAD + rows, encoding="utf-8")
    made = [
        "rules",
        "import-tiers",
        str(table),
        "--venue",
        "binance",
        "--base",
        "binance.usdm",
        "-o",
        str(out),
    ]
    assert CliRunner().invoke(cli, made).exit_code == 0
    shown = CliRunner().invoke(cli, ["margin", "example:collateral", "--rules", str(out), "--format", "csv"])
    # Short 90 ETH at 3,002: 1 % of 270,180; the inverse perpetual has no rule there.
    assert "2701.8" in shown.output
    assert "and 29 more" in shown.output
    assert "C39USDT" not in shown.output


@pytest.mark.parametrize("kind", ["table", "json", "csv", "md"])
def test_rule_codes_are_listed_with_the_files_words(kind):
    done = CliRunner().invoke(cli, ["rules", "codes", "--format", kind])
    assert done.exit_code == 0
    assert "BYBIT-UTA-BAND-002" in done.output
    assert "debts are repaid" in done.output

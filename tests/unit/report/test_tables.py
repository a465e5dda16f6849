import csv
import io
import json

import pytest

from margrave.report.number import money, percent, price
from margrave.report.tables import Column, render

COLUMNS = (
    Column("pool", "pool", left=True),
    Column("equity", "equity", lambda x: f"{x:,.8f}"),
    Column("initial", "initial", lambda x: f"{x:,.8f}"),
    Column("maintenance", "maintenance", lambda x: f"{x:,.8f}"),
    Column("why", "why", left=True),
)
ROWS = [
    {
        "pool": f"cross {k}",
        "equity": 1234567.12345678 * k,
        "initial": -0.5,
        "maintenance": 0.25,
        "why": "the reason for it " * 3,
    }
    for k in range(1, 5)
]


@pytest.mark.parametrize("width", [200, 80, 40])
@pytest.mark.parametrize("rows", [ROWS, ROWS[:1]], ids=["four", "one"])
def test_no_width_cuts_a_number_or_drops_a_column(width, rows):
    text = render(rows, COLUMNS, "table", width)
    assert max(map(len, text.splitlines())) <= width
    for row in rows:
        assert f"{row['equity']:,.8f}" in text
        assert row["pool"] in text
    assert all(column.heading in text for column in COLUMNS)
    assert "…" not in text
    assert "..." not in text
    assert " ".join(text.split()).count("reason for it") >= len(rows) - text.count("reason for\n")


def test_a_wide_table_is_turned_before_it_is_broken_up():
    columns = COLUMNS[:4]
    assert render(ROWS[:2], columns, "table", 120).splitlines()[0].split() == [
        "pool",
        "equity",
        "initial",
        "maintenance",
    ]
    turned = render(ROWS[:2], columns, "table", 54).splitlines()
    assert turned[0].split() == ["pool", "cross", "1", "cross", "2"]
    blocks = render(ROWS[:2], columns, "table", 40)
    assert blocks.splitlines()[0] == "pool cross 1"


def test_csv_and_json_hold_the_numbers_as_they_are():
    read = list(csv.DictReader(io.StringIO(render(ROWS, COLUMNS, "csv"))))
    assert [float(r["equity"]) for r in read] == [r["equity"] for r in ROWS]
    assert json.loads(render(ROWS, COLUMNS, "json")) == ROWS


def test_json_has_no_nan():
    rows = [{"a": float("nan"), "b": float("inf")}]
    columns = (Column("a", "a"), Column("b", "b"))
    assert json.loads(render(rows, columns, "json"), parse_constant=pytest.fail) == [{"a": None, "b": "inf"}]
    assert render(rows, columns, "csv").splitlines()[1] == ",inf"


@pytest.mark.parametrize("kind", ["table", "json", "csv", "md"])
def test_a_table_without_rows_is_one(kind):
    text = render([], COLUMNS, kind)
    assert json.loads(text) == [] if kind == "json" else COLUMNS[0].heading.lower() in text.lower()


def test_markdown_is_a_table_whatever_the_width():
    lines = render(ROWS, COLUMNS, "md", 40).splitlines()
    assert len(lines) == 2 + len(ROWS)
    assert all(line.startswith("|") and line.endswith("|") for line in lines)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (60_012.5, "60,012.50"),
        (50_059.285714, "50,059.286"),
        (12.345, "12.345"),
        (123_456_789.0, "123,456,789.00"),
        (0.0412, "0.0412"),
        (-50.5, "-50.50"),
        (None, "none"),
        (float("nan"), "unknown"),
    ],
)
def test_a_price_keeps_its_digits(value, told):
    assert price(value) == told


@pytest.mark.parametrize(
    ("amount", "currency", "told"),
    [
        (0.18887272, "BTC", "0.18887272"),
        (1_234.5, "USDT", "1,234.50"),
        (0.000123, "USD", "0.000123"),
        (0.0, "USD", "0.00"),
        (None, "USD", "unknown"),
        (float("nan"), "BTC", "unknown"),
        (float("inf"), "BTC", "none"),
        (-1e-12, "BTC", "0.00000000"),
        (-0.0, "USD", "0.00"),
    ],
)
def test_money_has_the_digits_of_its_currency(amount, currency, told):
    assert money(amount, currency) == told


def test_percent_is_only_for_reading():
    assert percent(0.2746) == "27.46%"
    assert percent(-1e-9) == "0.00%"
    assert (percent(None), percent(float("nan")), percent(float("inf"))) == ("none", "unknown", "unbounded")


def test_words_go_on_in_the_next_line_before_a_row_becomes_a_block():
    columns = (Column("what", "what", left=True), Column("amount", "amount"), Column("why", "why", left=True))
    rows = [
        {
            "what": "close",
            "amount": "0.22239970",
            "why": "relieves most maintenance margin per cost of three legs",
        }
    ]
    assert render(rows, columns, "table", 46).splitlines() == [
        "what        amount  why",
        "------  ----------  -------------------------",
        "close   0.22239970  relieves most maintenance",
        "                    margin per cost of three",
        "                    legs",
    ]


def test_markdown_keeps_a_bar_inside_its_cell():
    (row,) = render([{"a": "x|y"}], (Column("a", "a", left=True),), "md").splitlines()[2:]
    assert row == "| x\\|y |"

"""Judging published vectors. The vectors here are made; the recorded ones are in the golden tests."""

import json
from pathlib import Path
from typing import Any

import pytest

from margrave.adapters.conform import run
from margrave.adapters.conform.judge import agrees
from margrave.adapters.conform.runner import TRANSLATORS, WHY_NOT, Result, judge
from margrave.adapters.conform.vector import UnsupportedError, vector_of
from margrave.core.errors import InvalidInputError

ISOLATED = "linear isolated liquidation price (MM at entry value)"
# A long of one coin at 100 on tenfold leverage, maintenance 1 % of entry: 100 - 10 + 1.
LONG: dict[str, Any] = {"side": "long", "qty": "1", "entry": "100", "leverage": "10", "mmr": "0.01"}


def row(price: str = "91.00", **more: Any) -> dict[str, Any]:
    expected, digits = {"liquidation_price": price}, {"liquidation_price": 2}
    given = {"id": "made", "venue": "Bybit", "model": ISOLATED, "inputs": LONG, "expected": expected}
    return {**given, "displayed_digits": digits, "status": "reproduced", **more}


def judged(price: str = "91.00", **more: Any) -> Result:
    return judge(vector_of(row(price, **more), Path()))


def test_a_number_that_shows_the_published_digits_passes():
    assert judged().outcome == "passed"


def test_a_number_that_differs_fails_and_says_by_what():
    result = judged("91.01")
    assert result.outcome == "failed"
    assert "published 91.01" in result.detail
    told = result.to_dict()
    assert told["expected"] == {"liquidation_price": "91.01"}
    assert told["difference"]["liquidation_price"] == pytest.approx(-0.01)


def test_a_difference_from_figures_that_contradict_themselves_is_not_held_against_us():
    result = judged("92.00", status="not reproduced")
    assert result.outcome == "unsupported"
    assert result.detail.startswith("published figures contradict themselves")
    assert result.got["liquidation_price"] == pytest.approx(91.0)


def test_a_model_that_nobody_translates_is_unsupported():
    assert judged(model="a model of tomorrow").outcome == "unsupported"


def test_an_input_that_is_missing_is_named():
    result = judged(inputs={k: v for k, v in LONG.items() if k != "mmr"})
    assert (result.outcome, "'mmr'" in result.detail) == ("unsupported", True)


def test_an_input_that_cannot_be_gives_a_failure_and_no_traceback():
    result = judged(inputs={**LONG, "entry": "-100"})
    assert (result.outcome, "entry" in result.detail) == ("failed", True)


def test_an_output_that_is_not_calculated_is_unsupported():
    assert judged(expected={"moon": "1"}).detail == "output 'moon' is not calculated"


def test_inputs_that_the_source_shows_rounded_widen_the_span():
    inputs = {**LONG, "entry": "100.05"}
    assert judged(inputs=inputs).outcome == "failed"
    assert judged(inputs=inputs, input_rounding={"entry": 0.05}).outcome == "passed"


@pytest.mark.parametrize(
    ("published", "digits", "number", "more", "agreed"),
    [
        ("2.44", 2, 2.4449, {}, True),
        ("2.44", 2, 2.4451, {}, False),
        ("2.44", 2, 2.4499, {"note": "shown truncated"}, True),
        ("2.44", 2, 2.4501, {"note": "shown truncated"}, False),
        ("0.00000012", 8, 1.29e-7, {"venue": "Binance"}, True),
        ("0.00000012", 8, 1.29e-7, {"venue": "OKX"}, False),
        ("2.45", 2, 2.4401, {"note": "page rounds up"}, True),
        ("1.2345678901234567", 16, 1.2345678901234565, {}, True),
        ("1.2345678901234567", 16, 1.2345678901345, {}, False),
        ("0.0001234567890123", 16, 0.0001234567891123, {}, False),
        ("0", 0, 0.0, {}, True),
    ],
)
def test_numbers_agree_by_the_digits_on_show(
    published: str, digits: int, number: float, more: dict[str, str], agreed: bool
):
    assert agrees(vector_of(row(**more), Path()), published, number, digits) is agreed


def test_an_expression_of_other_inputs_is_resolved():
    vector = vector_of(row(inputs={**LONG, "wallet": "qty*entry/leverage"}), Path())
    assert vector.number("wallet") == 10.0
    assert vector.expressions == ("wallet",)


def test_an_expression_that_is_no_arithmetic_is_refused():
    vector = vector_of(row(inputs={"wallet": "open('x')*2"}), Path())
    with pytest.raises(UnsupportedError, match="not arithmetic"):
        vector.number("wallet")


def test_a_folder_is_read_file_by_file_and_the_last_line_counts(tmp_path: Path):
    (tmp_path / "a.json").write_text(json.dumps([row(), row("91.01")]), encoding="utf-8")
    (tmp_path / "b.json").write_text(
        json.dumps({"vectors": [row(model="other")], "note": 1}), encoding="utf-8"
    )
    report = run([tmp_path])
    assert report.summary == "1 passed, 1 failed, 1 unsupported"
    assert report.failed == 1


def test_a_file_that_is_not_json_is_refused(tmp_path: Path):
    (tmp_path / "a.json").write_text("{", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="cannot be read as JSON"):
        run([tmp_path / "a.json"])


def test_no_model_is_both_translated_and_explained_away():
    assert set(TRANSLATORS) & set(WHY_NOT) - {"none"} == set()

"""Case files: every bad input gives one clear issue, and writing then reading gives the case again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.adapters.files import Case, dump_case, example_names, load_example, parse_case
from margrave.core.errors import InvalidInputError, Reason
from margrave.domain.account import Account, Balance, Position

GOOD = dump_case(load_example("inverse"))
BAD = [
    ("mark = 60012.5", "mark = nan", Reason.INVALID_VALUE, "market.quotes[0]", "mark is nan"),
    ("mark = 60012.5", "mark = inf", Reason.INVALID_VALUE, "market.quotes[0]", "mark is inf"),
    ("mark = 60012.5", "mark = -1.0", Reason.INVALID_VALUE, "market.quotes[0]", "mark is -1.0"),
    ("mark = 60012.5", "mark = 0.0", Reason.INVALID_VALUE, "market.quotes[0]", "mark is 0.0"),
    ("mark = 60012.5", "mark = 5e-324", Reason.INVALID_VALUE, "market.quotes[0]", "mark is 5e-324"),
    ("mark = 60012.5", "", Reason.MISSING_MARK, "market.quotes[0].mark", "has no mark"),
    ("vol = 0.65", "vol = 65.0", Reason.WRONG_UNIT, "market.quotes[2].vol", "0.65"),
    ('"BTC" = 0.65', '"BTC" = 65.0', Reason.WRONG_UNIT, "market.vols.BTC", "0.65"),
    (
        'kind = "perpetual"',
        'kind = "perpetual"\nright = "call"',
        Reason.WRONG_UNIT,
        "[0].right",
        "a perpetual",
    ),
    ("contract_value = 1.0", "contract_size = 1.0", Reason.WRONG_UNIT, "[0].contract_size", "contract_value"),
    (
        "quantity = 150000.0",
        "quantity = nan",
        Reason.INVALID_VALUE,
        "accounts[0].positions[0]",
        "quantity is nan",
    ),
    ("quantity = 150000.0", "size = 1.0", Reason.UNKNOWN_FIELD, "test.toml", "unknown field `size`"),
    ("[market]", "[market", Reason.MALFORMED, "test.toml", "not valid TOML"),
    ("schema = 1", "schema = 9", Reason.INVALID_VALUE, "schema", "is 9"),
]


@pytest.mark.parametrize(("old", "new", "reason", "where", "message"), BAD)
def test_bad_input_names_place_and_remedy(
    old: str, new: str, reason: Reason, where: str, message: str
) -> None:
    assert old in GOOD
    with pytest.raises(InvalidInputError) as caught:
        parse_case(GOOD.replace(old, new, 1), "test.toml")
    assert any(
        i.reason is reason and where in i.where and message in i.message and "test.toml" in i.where
        for i in caught.value.issues
    ), str(caught.value)


def test_malformed_json() -> None:
    with pytest.raises(InvalidInputError, match="not valid JSON"):
        parse_case("{", "test.json", is_json=True)


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ('[[accounts.positions]]\nsymbol = "X"\nquantity = 1.0\nentry = 1.0\n', Reason.UNKNOWN_INSTRUMENT),
        ('[[accounts.positions]]\nsymbol = "BTC-PERPETUAL"\nquantity = 1.0\nentry = 1.0\n', Reason.DUPLICATE),
        ('[[accounts.balances]]\nasset = "BTC"\namount = 1.0\n', Reason.DUPLICATE),
    ],
)
def test_one_row_too_many(extra: str, reason: Reason) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_case(f"{GOOD}\n{extra}", "test.toml")
    assert [i.reason for i in caught.value.issues] == [reason]


def test_faults_of_meaning_come_together() -> None:
    text = GOOD.replace("mark = 60012.5", "mark = 0.0").replace("quantity = 150000.0", "quantity = nan")
    with pytest.raises(InvalidInputError) as caught:
        parse_case(text, "test.toml")
    assert len(caught.value.issues) == 2


@pytest.mark.parametrize("name", example_names())
def test_examples_survive_writing(name: str) -> None:
    case = load_example(name)
    assert parse_case(dump_case(case), name) == case
    assert "example" in case.title


AMOUNT = st.floats(-1e12, 1e12, allow_nan=False)
NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(name=NAME, asset=NAME, amount=AMOUNT, quantity=AMOUNT, entry=st.floats(1e-12, 1e15))
def test_what_is_written_is_read(name: str, asset: str, amount: float, quantity: float, entry: float) -> None:
    account = Account(
        name=name,
        balances=(Balance(asset=asset, amount=amount),),
        positions=(Position(symbol="BTC-PERPETUAL", quantity=quantity, entry=entry),),
    )
    case = Case((account,), load_example("inverse").market, "example.inverse", None, name)
    assert parse_case(dump_case(case), "case") == case

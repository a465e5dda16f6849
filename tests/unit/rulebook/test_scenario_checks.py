"""Portfolio sections that contradict themselves: every fault with its place."""

import pytest
from msgspec import structs

from margrave.core.errors import InvalidInputError
from margrave.rulebook.load import checked
from margrave.rulebook.portfolio import (
    AmountCharge,
    Cell,
    Cells,
    CollateralMember,
    CorrelationOffset,
    CorrelationPair,
    EvenGrid,
    ForwardCharge,
    Gains,
    Tail,
    VolMove,
)
from tests.unit import made as flat
from tests.unit import scenarios_made as made

EVEN = EvenGrid(range=0.16, each_side=4)


def pairs(*rows):
    return CorrelationOffset(code="R", pairs=tuple(CorrelationPair(a, b, rho) for a, b, rho in rows))


def cells(**parts):
    return (made.terms(Cells(code="C", **parts)),)


ONLY_BTC = (made.terms(bases=("BTC",)),)
FAULTS = {
    "tail without a grid": (
        {"terms": cells(tail=Tail(code="T", moves=(0.5,)), listed=(Cell(move=0.1),))},
        "terms[0].cells.tail",
    ),
    "no cell": ({"terms": cells()}, "terms[0].cells"),
    "a tail that does not move": (
        {"terms": cells(even=EVEN, tail=Tail(code="T", moves=(0.0,)))},
        "terms[0].cells.tail.moves",
    ),
    "a vol move twice": (
        {"terms": cells(even=structs.replace(EVEN, vols=(VolMove.UP, VolMove.UP)))},
        "terms[0].cells.even.vols",
    ),
    "skew cells without skew": (
        {"terms": cells(listed=(Cell(move=0.0, vol=VolMove.LINEAR),))},
        "terms[0].cells",
    ),
    "a dampener without a tail": (
        {"terms": (made.terms(gains=Gains(code="G", share=1.0, tail_dampener=1.0)),)},
        "terms[0].gains.tail_dampener",
    ),
    "an underlying in two terms": ({"terms": ONLY_BTC + ONLY_BTC}, "terms"),
    "two terms for the rest": ({"terms": (made.terms(), made.terms())}, "terms[1].bases"),
    "a charge before a call": (
        {"terms": (made.terms(charges=(AmountCharge(code="A", amount=1.0, initial=False),)),)},
        "terms[0].charges[0].initial",
    ),
    "a charge of no level": (
        {
            "terms": (
                made.terms(charges=(AmountCharge(code="A", amount=1.0, initial=False, maintenance=False),)),
            )
        },
        "terms[0].charges[0].initial",
    ),
    "forwards the wrong way": (
        {"terms": (made.terms(charges=(ForwardCharge(code="F", up=-0.1, down=0.1, add=1.0),)),)},
        "terms[0].charges[0].down",
    ),
    "an amount without end": (
        {"terms": (made.terms(charges=(AmountCharge(code="A", amount=float("inf")),)),)},
        "terms[0].charges[0].amount",
    ),
    "collateral twice": (
        {"collateral": (CollateralMember(asset="BTC", code="B"), CollateralMember(asset="BTC", code="B"))},
        "collateral",
    ),
    "more than all cut": (
        {
            "collateral": (
                CollateralMember(asset="BTC", code="B", initial_haircut=0.6, maintenance_haircut=0.5),
            )
        },
        "collateral[0] (BTC).initial_haircut",
    ),
    "collateral that follows nothing": (
        {"terms": ONLY_BTC, "collateral": (CollateralMember(asset="WETH", code="B", moves_with="ETH"),)},
        "collateral[0] (WETH).moves_with",
    ),
    "a pair of one": ({"correlation": pairs(("BTC", "BTC", 1.0))}, "correlation.pairs[0]"),
    "a pair stated twice": (
        {"correlation": pairs(("BTC", "ETH", 0.5), ("ETH", "BTC", 0.6))},
        "correlation.pairs",
    ),
    "a pair without terms": (
        {"terms": ONLY_BTC, "correlation": pairs(("BTC", "ETH", 0.5))},
        "correlation.pairs[0]",
    ),
    "three that cannot be": (
        {"correlation": pairs(("A", "B", 0.9), ("B", "C", 0.9), ("A", "C", -0.9))},
        "correlation.pairs",
    ),
    "three of four that cannot be": (
        {"correlation": pairs(("A", "B", 0.9), ("B", "C", 0.9), ("A", "C", -0.9), ("C", "D", 0.5))},
        "correlation.pairs",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_contradiction_is_named_with_its_place(name):
    parts, place = FAULTS[name]
    good = made.rulebook()
    bad = structs.replace(good, portfolio=structs.replace(good.portfolio, **parts))
    with pytest.raises(InvalidInputError) as caught:
        checked(bad, "file.toml")
    assert [issue.where for issue in caught.value.issues] == [f"file.toml: portfolio.{place}"]


def test_correlations_that_can_hold_are_read():
    rows = (("A", "B", 0.9), ("B", "C", 0.9), ("A", "C", 0.7))
    assert made.rulebook(correlation=pairs(*rows)).portfolio.correlation is not None
    # Where a pair is not stated, only what is stated together is judged.
    assert made.rulebook(correlation=pairs(*rows, ("C", "D", -1.0))).portfolio.correlation is not None


def test_members_and_model_need_each_other():
    good = made.rulebook()
    with pytest.raises(InvalidInputError, match=r"products\[0\].model.*state \[portfolio\]"):
        checked(structs.replace(good, portfolio=None), "file.toml")
    with pytest.raises(InvalidInputError, match=r"portfolio.*margins no product"):
        checked(structs.replace(flat.rules(), portfolio=good.portfolio), "file.toml")

from margrave.margin.requirement import Requirement, multiplied, total, worst_of
from margrave.report.tree import as_dict, lines

LEAVES = (
    Requirement("notional", 2.0, unit="BTC", code="T-1", source="the page"),
    worst_of("rate", Requirement("tier", 0.05), Requirement("leverage", 0.1), unit="rate"),
)
TREE = total(
    "margin", multiplied("BTCUSD", *LEAVES, unit="BTC"), Requirement("fee", 0.01, unit="BTC"), unit="BTC"
)


def test_every_node_is_a_line_with_amount_code_and_source():
    told = list(lines(TREE))
    assert len(told) == sum(1 for _ in TREE.walk())
    assert told[0].startswith("0.21 BTC")
    assert any("[T-1, the page]" in line for line in told)
    assert any("leverage binds" in line for line in told)


def test_depth_is_drawn():
    told = list(lines(TREE))
    assert told[1].startswith("├─ ")
    assert told[2].startswith("│  ├─ ")
    assert told[-1].startswith("└─ ")


def test_as_data_it_has_the_same_nodes():
    told = as_dict(TREE)
    assert told["amount"] == TREE.amount
    assert told["parts"][0]["parts"][0] == {
        "label": "notional",
        "amount": 2.0,
        "rule": "leaf",
        "unit": "BTC",
        "code": "T-1",
        "source": "the page",
    }

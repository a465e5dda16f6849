"""A saved simulation of Deribit's portfolio margin, recomputed from its own parameters."""

import json

import pytest

from margrave.adapters import deribit_pme
from margrave.adapters.verify import Verdict, first_difference
from margrave.core.errors import InvalidInputError
from tests.unit.adapters.pme_made import simulation

OPTION = "BTC-28JUN24-70000-C"


def compared(tree):
    return deribit_pme.read(tree, "saved").compared()


def test_the_documented_example_agrees_number_by_number():
    found = deribit_pme.read(simulation(), "saved")
    rows = found.compared()
    counts = {verdict: sum(c.verdict is verdict for c in rows) for verdict in Verdict}
    # 4 vectors of 35 cells; 9 figures of the margins
    assert counts == {Verdict.AGREES: 149, Verdict.DIFFERS: 0, Verdict.NOT_COMPUTED: 5}
    assert found.notes == (
        "model_params that enter no number compared: haircut, correlation_set, equity_side_impact",
    )


def test_without_an_envelope_and_with_a_field_more():
    tree = simulation()["result"] | {"new_field": 1}
    found = deribit_pme.read(tree, "saved")
    assert first_difference(found.compared()) is None
    assert "fields that are not known are left aside: new_field" in found.notes


@pytest.mark.parametrize(
    ("path", "change", "where", "what"),
    [
        (("initial_risk_vectors", "BTC-PERPETUAL", "standard", 26), 1e-9, "initial_risk_vectors: BTC-PERPETUAL", "standard cell 27"),
        (("initial_risk_vectors", "BTC-28JUN24", "extended", 0), 1e-9, "initial_risk_vectors: BTC-28JUN24", "extended cell 1"),
        (("pre_aggregated_risk_vectors", "btc_btc", "extended", 7), 1e-9, "pre_aggregated_risk_vectors: btc_btc", "extended cell 8"),
        (("aggregated_risk_vectors", "btc_btc", "standard", 20), 1e-9, "aggregated_risk_vectors: btc_btc", "standard cell 21"),
        (("margins", "btc", "maintenance_margin"), 1e-8, "margins: btc", "maintenance_margin"),
        (("margins", "btc", "initial_margin"), 1e-8, "margins: btc", "initial_margin"),
        (
            ("margins", "btc", "initial_margin_details", "risk_matrix_margin_details", "worst_case_bucket", "index"),
            1,
            "margins: btc",
            "initial_margin_details risk_matrix_margin_details worst_case_bucket index",
        ),
        (
            ("margins", "btc", "initial_margin_details", "risk_matrix_margin_details", "roll_shock"),
            1e-8,
            "margins: btc",
            "initial_margin_details risk_matrix_margin_details roll_shock",
        ),
    ],
)  # fmt: skip
def test_a_changed_number_is_the_first_that_differs(path, change, where, what):
    tree = simulation()
    inner = tree["result"]
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] += change
    first = first_difference(compared(tree))
    assert (first.claim.where, first.claim.what) == (where, what)
    assert first.claim.amount - first.ours == pytest.approx(change, rel=1e-3)


def test_the_side_that_hurts_is_compared():
    tree = simulation()
    details = tree["result"]["margins"]["btc"]["initial_margin_details"]
    details["risk_matrix_margin_details"]["worst_case_bucket"]["side"] = "right"
    first = first_difference(compared(tree))
    assert first.claim.what.endswith("worst_case_bucket side")
    assert (first.claim.amount, first.ours) == (1.0, -1.0)


def with_option():
    """The example with a short call whose vector is ours, vol scenarios turned round."""
    tree = simulation()
    result = tree["result"]
    result["portfolio"]["position"][OPTION] = -0.1
    result["ticker"][OPTION] = {"mark_price": 0.0125, "index_price": 65666.19}
    result["margins"] = {}
    result["initial_risk_vectors"] = {OPTION: {"standard": [0.0] * 27, "extended": [0.0] * 8}}
    result["pre_aggregated_risk_vectors"] = result["aggregated_risk_vectors"] = {}
    ours = [c.ours for c in compared(tree)]
    turned = [ours[3 * k + r] for k in range(9) for r in (2, 0, 1)]
    result["initial_risk_vectors"][OPTION] = {"standard": turned, "extended": ours[27:]}
    return tree


def test_an_option_is_compared_as_a_set_of_three():
    found = deribit_pme.read(with_option(), "saved")
    rows = found.compared()
    assert all(c.verdict is Verdict.AGREES for c in rows)
    assert rows[2].claim.what == "standard bucket 1 highest of 3"
    assert found.notes[0].startswith("options: the order of vol scenarios is not documented")
    # A short call loses most at the highest price with vol up, and gains at most its price of 0.0125 coins.
    losses = [c.ours for c in rows]
    assert min(losses[:27]) == losses[24]
    assert max(losses[:27]) <= 0.1 * 0.0125 / (1 - 0.16)
    # Half of the mark's last digit leaves something open, yet far less than the cell.
    assert 0.0 < rows[24].claim.left_open < 0.05 * abs(losses[24])


def test_an_option_that_differs_beyond_its_rounded_mark_is_named():
    tree = with_option()
    tree["result"]["initial_risk_vectors"][OPTION]["standard"][24] -= 0.001
    assert first_difference(compared(tree)).claim.what.startswith("standard bucket 9")


def test_the_future_of_the_same_expiry_is_the_forward():
    tree = with_option()
    before = [c.ours for c in compared(tree)]
    del tree["result"]["ticker"]["BTC-28JUN24"], tree["result"]["portfolio"]["position"]["BTC-28JUN24"]
    assert [c.ours for c in compared(tree)] != before
    tree["result"]["ticker"][OPTION]["underlying_price"] = 65900.0
    assert [c.ours for c in compared(tree)] == pytest.approx(before, rel=1e-12)


def test_index_of_a_coin_comes_from_its_ticker_where_it_is_not_told():
    tree = simulation()
    tree["result"]["index_price"] = {}
    assert first_difference(compared(tree)) is None


def test_linear_contracts_share_a_margin_and_have_each_their_worst_cell():
    tree = simulation()
    result = tree["result"]
    params = result["model_params"]
    params["currency"]["eth"], params["currency_pair"]["eth_usdc"] = (
        params["currency"]["btc"],
        params["currency_pair"]["btc_usd"],
    )
    result["portfolio"]["position"] = {"BTC_USDC-PERPETUAL": 0.1, "ETH_USDC-PERPETUAL": -2.0}
    result["ticker"] = {
        "BTC_USDC-PERPETUAL": {"mark_price": 60000, "index_price": 60000},
        "ETH_USDC-PERPETUAL": {"mark_price": 3000, "index_price": 3000},
    }
    for name in ("initial_risk_vectors", "pre_aggregated_risk_vectors", "aggregated_risk_vectors"):
        result[name] = {}
    # 16 % of 6,000 and of 6,000; roll 1 % of each; 0.8 of it.
    details = {"risk_matrix_margin_details": {"worst_case": 1920, "worst_case_bucket": {"index": 1}}}
    result["margins"] = {
        "usdc": {"initial_margin": 2040, "maintenance_margin": 1632, "initial_margin_details": details},
        "eth": {"initial_margin": 0.1},
    }
    rows = {c.claim.where + " " + c.claim.what.split(" ")[-1]: c for c in compared(tree)}
    assert [rows[f"margins: usdc {w}"].ours for w in ("initial_margin", "maintenance_margin")] == [2040, 1632]
    assert rows["margins: usdc worst_case"].verdict is Verdict.AGREES
    assert "several underlyings" in rows["margins: usdc index"].reason
    assert "not in the payload's portfolio" in rows["margins: eth initial_margin"].reason


def drop(*path):
    def change(result):
        for step in path[:-1]:
            result = result[step]
        del result[path[-1]]

    return change


def put(value, *path):
    def change(result):
        for step in path[:-1]:
            result = result[step]
        result[path[-1]] = value

    return change


PERPETUAL = ("initial_risk_vectors", "BTC-PERPETUAL")
GENERAL = ("model_params", "general")
PAIR = ("model_params", "currency_pair", "btc_usd")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("model_params"), "saved.model_params: malformed: is no object"),
        (put([], "portfolio"), "saved.portfolio: malformed: is no object"),
        (drop(*GENERAL, "mm_factor"), "general.mm_factor: invalid value: is missing"),
        (put(1.5, *GENERAL, "mm_factor"), "is 1.5; it must be from 0 to 1"),
        (put(1718618400, *GENERAL, "timestamp"), "it must be milliseconds"),
        (put(5, *GENERAL, "vol_scenarios_count"), "buckets with three vol scenarios are known"),
        (put(0, *PAIR, "price_range"), "is 0; it must be a fraction between 0 and 1"),
        (put(1, *PAIR, "price_range"), "is 1; it must be a fraction between 0 and 1"),
        (put([1], "portfolio", "position"), "saved.portfolio.position: malformed: is no object"),
        (put([1], "margins"), "saved.margins: malformed: is no object"),
        (put([1], "initial_risk_vectors"), "saved.initial_risk_vectors: malformed: is no object"),
        (put(1e308, "portfolio", "position", "BTC-PERPETUAL"), "a number that cannot be used"),
        (put(1753618400000, *GENERAL, "timestamp"), "expired at 2024-06-28"),
        (put(-1, *PAIR, "m_inc"), "is -1; it must be at least zero"),
        (drop("model_params", "currency", "btc"), "model_params.currency.btc: not found"),
        (drop(*PAIR), "currency_pair.btc_btc: not found"),
        (drop("ticker", "BTC-28JUN24"), "saved.ticker.BTC-28JUN24: missing mark"),
        (put("x", "ticker", "BTC-28JUN24", "mark_price"), "it must be a finite number"),
        (put(1.0, "portfolio", "position", "DOGE-MOON"), "'DOGE-MOON' is not a Deribit name"),
        (put({}, "initial_risk_vectors", "NOBODY"), "'NOBODY' is not a Deribit name"),
        (put([0.0], *PERPETUAL, "standard"), "BTC-PERPETUAL.standard: malformed: has 1 cells; 27 are expected"),
        (put("x", *PERPETUAL, "extended"), "extended: malformed: has no list; 8 are expected"),
        (put(None, *PERPETUAL, "standard", 3), "standard[3].value: invalid value"),
        (put([], *PERPETUAL), "is no object of standard and extended"),
        (put(0.1, "margins", "btc"), "saved.margins.btc: malformed"),
        (put("much", "margins", "btc", "initial_margin"), "must be a finite number"),
        (put(-1.0, "margins", "btc", "initial_margin_details", "mmp_margin"), "mmp_margin: invalid value: is -1"),
    ],
)  # fmt: skip
def test_a_malformed_answer_gives_one_clear_message(change, message):
    tree = simulation()
    change(tree["result"])
    with pytest.raises(InvalidInputError) as caught:
        deribit_pme.read(tree, "saved")
    assert len(caught.value.issues) == 1
    assert message in str(caught.value.issues[0])


def test_the_result_must_be_an_object():
    with pytest.raises(InvalidInputError, match="holds no result"):
        deribit_pme.read({"result": [1]}, "saved")
    assert not deribit_pme.recognises([1])
    assert not deribit_pme.recognises({"result": {"positions": []}})
    assert deribit_pme.recognises(json.loads(json.dumps(simulation())))

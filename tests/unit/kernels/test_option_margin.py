"""Standard margin of short options: formulas and published records of five venues."""

import numpy as np
import pytest

from margrave.kernels.option_margin import ShortOptionTerms, otm_amount, short_option_margin

DERIBIT_INITIAL = ShortOptionTerms(base=0.15, floor=0.10)
DERIBIT_CALL = ShortOptionTerms(base=0.075, floor=0.075)
DERIBIT_PUT = ShortOptionTerms(base=0.075, floor=0.075, mark_fraction=0.075)


def deribit(index, strike, is_call, mark):
    """Initial and maintenance margin of one short coin-settled option, as spec "deribit" 2.3 has them."""
    otm = otm_amount(index, strike, is_call) / index
    maintenance = short_option_margin(DERIBIT_CALL if is_call else DERIBIT_PUT, otm, mark)
    least = 0.0 if is_call else maintenance
    return short_option_margin(DERIBIT_INITIAL, otm, mark, minimum=least), maintenance


@pytest.mark.parametrize(
    ("case", "initial", "maintenance"),
    [
        # Spec "inverse margining" OM-2 and the last row of section 5; index = forward there, marks of the
        # row "coin price".
        ((50_000, 50_000, True, 0.0912984078185), 0.2412984078, 0.1662984078),
        ((62_000, 75_000, True, 0.000614383297729), 0.1006143833, 0.0756143833),
        ((3_000, 2_500, False, 0.0913368094238), 0.1913368094, 0.1663368094),
    ],
    ids=["call at the money", "call out of the money", "put out of the money"],
)
def test_worked_examples(case, initial, maintenance):
    assert deribit(*case) == pytest.approx((initial, maintenance), abs=5e-11)


@pytest.mark.parametrize(
    ("case", "size", "initial", "maintenance"),
    [
        # Public captures of Deribit position records, 2022-04-20 and 2023-07-13 (spec "deribit" 6:
        # CAP-OPT-*).
        ((41_590.34, 38_000, False, 0.0003992966666666664), 0.3, 0.030119789, 0.022619789),
        ((41_590.34, 36_000, False, 0.00337952), 0.1, 0.010337952, 0.007837952),
        ((1_882.4, 2_100, True, 0.017497422999999998), 1.0, 0.117497423, 0.092497423),
    ],
    ids=["BTC 38000 P", "BTC 36000 P", "ETH 2100 C"],
)
def test_recorded_positions(case, size, initial, maintenance):
    assert np.multiply(deribit(*case), size) == pytest.approx([initial, maintenance], abs=6e-10)


def test_initial_of_a_deep_put_is_at_least_maintenance():
    # mark 3 coins: 0.075 × 3 = 0.225 exceeds the bracket 0.15.
    initial, maintenance = deribit(10_000, 40_000, False, 3.0)
    assert maintenance == pytest.approx(3.225, rel=1e-15)
    assert initial == maintenance


def test_open_sell_order():
    # Spec "deribit" 2.3: amount × (max(0.15 - otm/I, 0.10) + 0.0003); the premium is credited.
    terms = ShortOptionTerms(base=0.15, floor=0.10, fee=0.0003)
    assert short_option_margin(terms, 0.02, 0.0) == pytest.approx(0.1303, rel=1e-14)


@pytest.mark.parametrize(
    ("terms", "arguments", "margin"),
    [
        # Spec "cex" 3.2, Bybit: S = 30,000, mark 500, entry 800, 10 % out of the money.
        (ShortOptionTerms(base=0.03, floor=0.03, mark_fraction=0.03, fee=0.002), (0.1, 500.0), 1_460.0),
        # ... and deep in the money: 0.03 × 40,000 is the greater.
        (ShortOptionTerms(base=0.03, floor=0.03, mark_fraction=0.03, fee=0.002), (0.0, 40_000.0), 41_260.0),
        (ShortOptionTerms(base=0.15, floor=0.10), (0.1, 800.0), 3_800.0),
        (ShortOptionTerms(base=0.15, floor=0.10), (0.02, 800.0), 4_700.0),
        # Spec "cex" 1.3, Binance maintenance: max(0.075 S - OTM, 0.05 S) + mark.
        (ShortOptionTerms(base=0.075, floor=0.05), (0.01, 500.0), 2_450.0),
        (ShortOptionTerms(base=0.075, floor=0.05), (0.2, 500.0), 2_000.0),
    ],
)
def test_quote_settled_options(terms, arguments, margin):
    assert short_option_margin(terms, *arguments, worth=30_000.0) == pytest.approx(margin, rel=1e-14)


def test_bybit_initial_covers_maintenance():
    least = short_option_margin(
        ShortOptionTerms(base=0.03, floor=0.03, mark_fraction=0.03, fee=0.002), 0.0, 200_000.0, 30_000.0
    )
    initial = short_option_margin(
        ShortOptionTerms(base=0.15, floor=0.10), 0.0, 200_000.0, 30_000.0, minimum=least
    )
    assert initial == least == pytest.approx(206_060.0, rel=1e-14)


@pytest.mark.parametrize(
    ("terms", "otm", "mark", "margin"),
    [
        # Spec "cex" 4.2, OKX in coin with tier factor k = 1.5 and c = 0.03: max(a, b - OTM/F) k + mk.
        (ShortOptionTerms(base=0.15, floor=0.10, factor=1.5), 0.02, 0.01, 0.205),
        (ShortOptionTerms(base=0.15, floor=0.10, factor=1.5), 0.2, 0.01, 0.16),
        (ShortOptionTerms(base=0.03, floor=0.03, factor=1.5), 0.2, 0.01, 0.055),
        (ShortOptionTerms(base=0.03, floor=0.03, mark_fraction=0.03, factor=1.5), 0.0, 2.0, 2.09),
    ],
    ids=["initial near", "initial far", "maintenance call", "maintenance put"],
)
def test_factor_scales_the_risk_part_only(terms, otm, mark, margin):
    assert short_option_margin(terms, otm, mark) == pytest.approx(margin, rel=1e-14)


def test_terms_may_be_arrays_and_scenarios_broadcast():
    terms = ShortOptionTerms(base=np.array([0.15, 0.075]), floor=np.array([0.10, 0.075]))
    margin = short_option_margin(terms, np.array([[0.0, 0.0], [0.5, 0.5]]), np.array([0.01, 0.02]))
    assert margin == pytest.approx(np.array([[0.16, 0.095], [0.11, 0.095]]), rel=1e-14)


@pytest.mark.parametrize(
    ("index", "strike", "is_call", "amount"),
    [
        (100.0, 120.0, True, 20.0),
        (100.0, 80.0, True, 0.0),
        (100.0, 120.0, False, 0.0),
        (100.0, 80.0, False, 20.0),
        (100.0, 100.0, True, 0.0),
    ],
)
def test_out_of_the_money_amount(index, strike, is_call, amount):
    assert otm_amount(index, strike, is_call) == amount
    assert otm_amount(np.array([index]), strike, np.array([is_call])).tolist() == [amount]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1.0])
@pytest.mark.parametrize("name", ["otm_fraction", "mark", "worth", "minimum"])
def test_a_bad_argument_is_named(name, bad):
    arguments = {"otm_fraction": 0.1, "mark": 0.1, "worth": 1.0, "minimum": 0.0, name: bad}
    with pytest.raises(ValueError, match=f"^{name} must"):
        short_option_margin(DERIBIT_INITIAL, **arguments)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
@pytest.mark.parametrize("name", ["index", "strike"])
def test_a_bad_price_is_named(name, bad):
    arguments = {"index": 1.0, "strike": np.array([1.0, 2.0]), name: np.array([1.0, bad])}
    with pytest.raises(ValueError, match=f"^{name} must"):
        otm_amount(**arguments, is_call=True)


def test_worthless_coins_are_refused():
    with pytest.raises(ValueError, match=r"^worth must"):
        short_option_margin(DERIBIT_INITIAL, 0.1, 0.1, worth=0.0)

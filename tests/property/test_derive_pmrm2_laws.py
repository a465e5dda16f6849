"""Derive's second portfolio manager in fixed point: order, size, and the engine in doubles (spec PMD-1)."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.adapters.conform.protocol_derive_fixed2 import exact_second
from margrave.adapters.conform.protocol_derive_scenarios import second
from margrave.adapters.conform.vector import vector_of
from margrave.core.fixed import Fixed
from margrave.protocols.derive_pmrm import Expiry, OptionLeg
from margrave.protocols.derive_pmrm2 import Collateral, Subaccount, portfolio_margin
from tests.unit.protocols.pmrm2_made import PARAMS, SCENARIOS, TERMS

UNIT = 10**18
DAY = 86_400


def whole(low, high):
    return st.integers(round(low * UNIT), round(high * UNIT)).map(Fixed)


LEG = st.builds(
    OptionLeg, strike=whole(500, 8000), is_call=st.booleans(), amount=whole(-50, 50), vol=whole(0.01, 3)
)
EXPIRY = st.builds(
    Expiry,
    seconds=st.one_of(st.integers(0, 3600), st.integers(0, 500 * DAY)),
    fixed_part=whole(0, 500),
    variable=whole(500, 4000),
    rate=whole(-0.2, 0.4),
    confidence=whole(0, 1),
    legs=st.lists(LEG, max_size=4).map(tuple),
)
COLLATERAL = st.builds(
    Collateral,
    amount=whole(0, 40),
    price=whole(0.01, 4000),
    confidence=whole(0, 1),
    follows=st.booleans(),
    initial_haircut=whole(0, 0.2),
    maintenance_haircut=whole(0, 0.4),
)
ACCOUNT = st.builds(
    Subaccount,
    spot=whole(1000, 3000),
    spot_confidence=whole(0, 1),
    stable=whole(0.9, 1.1),
    cash=whole(-1e6, 1e6),
    perp=st.one_of(whole(-100, -1), st.just(Fixed(0)), whole(1, 100)),
    perp_price=whole(1000, 3000),
    perp_confidence=whole(0, 1),
    perp_profit=whole(-900, 900),
    expiries=st.lists(EXPIRY, max_size=3).map(tuple),
    collateral=st.lists(COLLATERAL, max_size=3).map(tuple),
)


@given(ACCOUNT, st.randoms(use_true_random=False))
def test_pmd_1_the_second_manager_gives_the_same_integers_in_every_order(account, dice):
    def turned(rows):
        return tuple(dice.sample(rows, len(rows)))

    dates = tuple(replace(e, legs=turned(e.legs)) for e in turned(account.expiries))
    other = replace(account, expiries=dates, collateral=turned(account.collateral))
    one, two = portfolio_margin(account, TERMS), portfolio_margin(other, TERMS)
    assert one == two
    assert portfolio_margin(account, TERMS) == one
    assert {type(n.units) for n in (one.initial, one.maintenance, *one.profits)} == {int}


@given(ACCOUNT, st.integers(2, 9))
def test_pmd_1_an_account_n_times_as_large_has_n_times_the_margin(account, times):
    def more(number):
        return Fixed(number.units * times)

    dates = tuple(
        replace(e, legs=tuple(replace(o, amount=more(o.amount)) for o in e.legs)) for e in account.expiries
    )
    assets = tuple(replace(c, amount=more(c.amount)) for c in account.collateral)
    sizes = {name: more(getattr(account, name)) for name in ("cash", "perp", "perp_profit")}
    one = portfolio_margin(account, TERMS)
    large = portfolio_margin(replace(account, expiries=dates, collateral=assets, **sizes), TERMS)
    # Each cut takes less than a unit off: of the small account n times. A cut amount of coins is then multiplied by
    # a price, an amount of collateral by a price over the stable coin.
    allowed = 10_000 * times * (1 + len(account.collateral))
    for small, found in zip(
        (one.initial, one.maintenance, one.mark_to_market, one.basis, one.confidence, *one.profits),
        (
            large.initial,
            large.maintenance,
            large.mark_to_market,
            large.basis,
            large.confidence,
            *large.profits,
        ),
        strict=True,
    ):
        assert abs(found.units - small.units * times) <= allowed


def told(account):
    """An account in the words of the fixtures; every number a double that stands for its decimals."""
    dates = {e.seconds: e for e in account.expiries}  # the engine has one expiry an instant
    return {
        **{name: float(getattr(account, name)) for name in ("spot", "stable", "cash", "perp", "perp_price")},
        "spot_conf": float(account.spot_confidence),
        "perp_conf": float(account.perp_confidence),
        "perp_pnl": float(account.perp_profit),
        "expiries": [
            {
                "T": e.seconds,
                "forward": float(e.variable),
                "rate": float(e.rate),
                "conf": float(e.confidence),
                "opts": [[float(o.strike), o.is_call, float(o.amount), float(o.vol)] for o in e.legs],
            }
            for e in dates.values()
        ],
        "collateral": [
            {
                "name": f"C{row}",
                "amount": float(c.amount),
                "price": float(c.price),
                "conf": float(c.confidence),
                "risk_cancelling": c.follows,
                "im_haircut": float(c.initial_haircut),
                "mm_haircut": float(c.maintenance_haircut),
            }
            for row, c in enumerate(account.collateral)
        ],
        "scenarios": SCENARIOS,
        "params": PARAMS,
    }


@given(ACCOUNT.filter(lambda a: a.perp.units != 0))
def test_pmd_1_the_engine_says_the_same_in_doubles(account):
    inputs = told(account)
    vector = vector_of({"model": "derive.pmrm2", "inputs": inputs}, Path())
    found, doubles = exact_second(vector), second(vector)
    gross = sum(abs(o[2]) * e["forward"] for e in inputs["expiries"] for o in e["opts"]) + 1e4
    for name in ("IM", "MM", "MtM", "option_MtM", "collateral_MtM", "basis_contingency"):
        assert float(found[name]) == pytest.approx(doubles[name], rel=1e-9, abs=1e-12 * gross), name
    assert [float(n) for n in found["scenario_pnl"]] == pytest.approx(
        doubles["scenario_pnl"], rel=1e-9, abs=1e-12 * gross
    )

"""OKX's published charges, its examples, and what it does not publish."""

from datetime import date

import numpy as np
import pytest

from margrave.core.errors import MargraveError, Reason
from margrave.margin import okx_portfolio as okx
from margrave.rulebook.okx_charges import BORROW, EXTREME_SHARE, INITIAL_FACTOR, UNITS, unit_terms

# Position builder's example (cex.md 4.3): short 0.1 BTC; MR1 at 12 % gives the delta at the index price.
BASE = -1164.4109244720003 / 0.12
DELTA = -9704.903689800001


def test_the_position_builders_risk_unit():
    terms = unit_terms("BTC", date(2025, 1, 15))
    moves = np.array(terms.moves)
    mr1 = okx.worst_loss(okx.linear_profit(BASE, np.concatenate([-moves, moves])))
    mr6 = okx.extreme_move(okx.linear_profit(BASE, np.array([-1, 1]) * terms.extreme), EXTREME_SHARE)
    mr4 = okx.basis_charge(np.array([DELTA]), np.array([0.002]))
    mr7 = okx.scaled_minimum(
        0.0045 * abs(DELTA), np.array(terms.minimum_bounds), np.array(terms.minimum_factors)
    )
    mmr = okx.unit_maintenance(okx.UnitCharges(mr1, mr4, mr6, mr7), has_options=False)
    assert mr1 == pytest.approx(1164.4109244720003, rel=1e-14)
    assert mr6 == pytest.approx(1164.4109244720003, rel=1e-14)
    assert mr4 == pytest.approx(19.4098073796, abs=5e-11)
    assert mr7 == pytest.approx(43.67206660410001, rel=1e-14)
    assert mmr == pytest.approx(1183.8207318516002, rel=1e-13)
    assert INITIAL_FACTOR * mmr == pytest.approx(1538.9669514070802, rel=1e-13)


# Old table for BTC and ETH (cex.md 4.3; help 4417291853837): 30,000 becomes 50,000.
@pytest.mark.parametrize(
    ("charge", "scaled"),
    [(0.0, 0.0), (10_000.0, 10_000.0), (30_000.0, 50_000.0), (70_000.0, 130_000.0), (700_001.0, 4_970_012.0)],
)
def test_the_minimum_is_scaled_by_slices(charge, scaled):
    terms = unit_terms("ETH", date(2022, 1, 1))
    assert okx.scaled_minimum(
        charge, np.array(terms.minimum_bounds), np.array(terms.minimum_factors)
    ) == pytest.approx(scaled)


def test_the_minimum_binds_when_it_is_larger():
    assert okx.unit_maintenance(okx.UnitCharges(40_000.0, 0, 0, 50_000.0), has_options=False) == 50_000


# Notice of 2024-11-25 (cex.md 4.3): 10 M in slices of 1, 4 and 5 M.
@pytest.mark.parametrize(("hedge", "charge"), [(0.0, 0.0), (1e6, 7_500.0), (5e6, 77_500.0), (1e7, 202_500.0)])
def test_the_depeg_charge_is_progressive(hedge, charge):
    widths, rates = np.array([1e6, 4e6, 5e6]), np.array([0.0075, 0.0175, 0.025])
    assert okx.depeg_charge(hedge, widths, rates) == pytest.approx(charge)


def test_a_debt_costs_its_rate():
    initial, maintenance = BORROW["USDT"]
    assert okx.borrow_charge(np.array([1000.0]), np.array([initial])) == pytest.approx(100)
    assert okx.borrow_charge(np.array([1000.0]), np.array([maintenance])) == pytest.approx(20)


@pytest.mark.parametrize(
    ("coin", "day", "code"),
    [
        ("BTC", date(2025, 1, 6), "OKX-PM-UNIT-001"),
        ("XRP", date(2025, 6, 1), "OKX-PM-UNIT-002"),
        ("LINK", date(2025, 6, 1), "OKX-PM-UNIT-003"),
        ("SOL", date(2025, 6, 1), "OKX-PM-UNIT-004"),
        ("NEW", date(2025, 6, 1), "OKX-PM-UNIT-005"),
        ("BTC", date(2025, 1, 5), "OKX-PM-UNIT-006"),
        ("LTC", date(2023, 1, 1), "OKX-PM-UNIT-007"),
        ("NEW", date(2023, 1, 1), "OKX-PM-UNIT-008"),
    ],
)
def test_terms_by_coin_and_day(coin, day, code):
    terms = unit_terms(coin, day)
    assert terms.code == code
    assert terms.moves == tuple(sorted(terms.moves))
    assert terms.extreme > terms.moves[-1]
    assert len(terms.minimum_bounds) == len(terms.minimum_factors)


def test_every_code_is_its_own():
    assert len({u.code for u in UNITS}) == len(UNITS)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: okx.unpublished("MR1 vol shock"), "vol"),
        (lambda: okx.unpublished("MR10"), "MR10"),
        (lambda: okx.unit_maintenance(okx.UnitCharges(1, 1, 1, 1), has_options=True), "MR2"),
        (lambda: okx.unit_maintenance(okx.UnitCharges(1, 1, 1, 1, mr2=1), has_options=True), "MR3"),
        (lambda: okx.unit_maintenance(okx.UnitCharges(1, 1, 1, 1, 1, 1), has_options=True), "MR5"),
        (lambda: okx.depeg_charge(2.0, np.array([1.0]), np.array([0.1])), "MR9"),
        (lambda: okx.scaled_minimum(2e5, np.array([121_000.0]), np.array([7.0])), "MR7"),
        (lambda: unit_terms("BTC", date(2020, 1, 1)), "2021-12-24"),
    ],
)
def test_what_is_not_published_is_refused_by_name(call, named):
    with pytest.raises(MargraveError, match=named) as caught:
        call()
    assert caught.value.issues[0].reason in (Reason.NOT_PUBLISHED, Reason.NOT_IN_FORCE)


def test_given_charges_of_options_add_up():
    unit = okx.UnitCharges(10.0, 2.0, 5.0, 1.0, mr2=12.0, mr3=3.0, mr5=4.0)
    assert okx.unit_maintenance(unit, has_options=True) == 21


def test_bounds_that_do_not_rise_are_refused():
    with pytest.raises(ValueError, match="rise"):
        okx.scaled_minimum(1.0, np.array([2.0, 1.0]), np.array([1.0, 2.0]))

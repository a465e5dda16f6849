"""Formulas of the specification's section 1.2 for both maintenance conventions, both payoffs and both sides (IM-6).

Each expectation is the formula of the table, written down again here; the calculation knows none of them by side.
"""

from math import inf

import pytest

from margrave.engine.assess import assess
from margrave.liquidation import liquidations
from margrave.rulebook.schema import Basis
from tests.unit.liquidation.cases import INVERSE, LINEAR, flat, isolated, plain_market, rules

E, Q = 50_000.0, 2.0
N = Q * E
MARK = 51_000.0
LEVERAGES = (1.0, 2.0, 10.0, 25.0)
RATES = (0.005, 0.05)


def over(amount, by):
    """Never, where there is nothing to divide by: a short of once the collateral."""
    return amount / by if by else inf


def inverse(side, r, w, basis):
    """Profit, requirement, liquidation and bankruptcy price of N dollars at E on w coins."""
    covered = N / E + side * w
    by_mark, by_entry = over(N * (1.0 + side * r), covered), over(N, covered - side * r * N / E)
    profit = side * N * (1.0 / E - 1.0 / MARK)
    requirement = r * N / (MARK if basis is Basis.MARK else E)
    return profit, requirement, by_mark if basis is Basis.MARK else by_entry, over(N, covered)


def linear(side, r, w, basis):
    """The same of Q coins on w dollars: excess W + s Q (P - E) - r Q P, or r Q E, at zero."""
    by_mark, by_entry = (side * Q * E - w) / (Q * (side - r)), E + side * (r * E - w / Q)
    profit = side * Q * (MARK - E)
    requirement = r * Q * (MARK if basis is Basis.MARK else E)
    return profit, requirement, by_mark if basis is Basis.MARK else by_entry, E - side * w / Q


CASES = [
    (payoff, side, basis, rate, leverage)
    for payoff in (INVERSE, LINEAR)
    for side in (1, -1)
    for basis in (Basis.MARK, Basis.ENTRY)
    for rate in RATES
    for leverage in LEVERAGES
    if rate * leverage < 0.9  # else it is liquidatable where it is opened
]


@pytest.mark.parametrize(("payoff", "side", "basis", "rate", "leverage"), CASES)
def test_im_6_profit_requirement_liquidation_and_bankruptcy(payoff, side, basis, rate, leverage):
    is_inverse = payoff is INVERSE
    margin = (N / E if is_inverse else Q * E) / leverage
    told = (inverse if is_inverse else linear)(side, rate, margin, basis)
    profit, requirement, liquidation, bankruptcy = told
    account = isolated(payoff, side * (N if is_inverse else Q), margin)
    book = rules(flat(rate), basis)
    (pool,) = [p for p in assess(account, plain_market(MARK), book).pools if p.positions]
    assert pool.positions[0].profit == pytest.approx(profit, rel=1e-12)
    assert pool.equity == pytest.approx(margin + profit, rel=1e-12)
    assert pool.maintenance == pytest.approx(requirement, rel=1e-12)
    (found,) = [p for p in liquidations(account, plain_market(MARK), book) if p.pool == pool.name]
    for bounds, price in ((found.bounds, liquidation), (found.bankruptcy, bankruptcy)):
        assert [b.exact for b in bounds] == ([pytest.approx(price, rel=1e-10)] if 0.0 < price < inf else [])


@pytest.mark.parametrize(("rate", "leverage"), [(0.005, 2.0), (0.005, 25.0), (0.05, 2.0), (0.05, 10.0)])
def test_the_band_depends_on_the_rate_alone_and_payoffs_are_dual(rate, leverage):
    prices = {}
    for payoff in (INVERSE, LINEAR):
        for side in (1, -1):
            size, margin = (N, N / E) if payoff is INVERSE else (Q, Q * E)
            account = isolated(payoff, side * size, margin / leverage)
            found = liquidations(account, plain_market(E), rules(flat(rate)))
            (bound,) = [b for pool in found for b in pool.bounds]
            prices[payoff.symbol, side] = bound.exact
            if payoff is INVERSE and bound.bankruptcy is not None:
                band = bound.exact / bound.bankruptcy if side > 0 else bound.bankruptcy / bound.exact
                assert band == pytest.approx(1.0 + rate if side > 0 else 1.0 / (1.0 - rate), rel=1e-10)
    # An inverse short mirrors a linear long: their prices multiply to E squared (specification 1.2, duality).
    assert prices[INVERSE.symbol, -1] * prices[LINEAR.symbol, 1] == pytest.approx(E * E, rel=1e-10)

"""Stress: cells are assessments of moved markets, and what breaks the account breaks it."""

from dataclasses import replace

import numpy as np
import pytest

from margrave.adapters.files import load_example
from margrave.core.errors import InvalidInputError
from margrave.domain.account import Account, Balance, Position
from margrave.engine.analysis.stress import basis_cells, basis_shocked, matrix, reverse_stress, underlyings
from margrave.engine.assess import assess
from margrave.engine.assessment import Status
from margrave.engine.whatif import moved
from margrave.rulebook.catalogue import in_force
from margrave.valuation.scenarios import shifted
from margrave.valuation.table import table_of
from tests.unit.made import inverse_account, inverse_market, rules

CASE = load_example("inverse")
ACCOUNT, MARKET = CASE.accounts[0], CASE.market
RULES = in_force(CASE.rules, MARKET.at)
SHORT_CALL = replace(
    ACCOUNT, positions=ACCOUNT.positions[2:], orders=(), balances=(Balance(asset="BTC", amount=0.12),)
)


def test_a_cell_is_the_assessment_of_its_market():
    cells = matrix(ACCOUNT, MARKET, RULES, (-0.1, 0.0), (0.0, 0.5))
    assert [(c.vol_move, c.price_move) for c in cells] == [(0.0, -0.1), (0.0, 0.0), (0.5, -0.1), (0.5, 0.0)]
    pool = assess(ACCOUNT, moved(MARKET, {"BTC": 0.9}, {"BTC": 1.5}), RULES).pools[0]
    now = assess(ACCOUNT, MARKET, RULES).pools[0]
    assert (cells[2].equity, cells[2].initial, cells[2].ratio) == (pool.equity, pool.initial, pool.ratio)
    assert cells[2].profit == pool.equity - now.equity
    assert (cells[1].profit, cells[1].maintenance) == (0.0, now.maintenance)
    assert cells[3].profit < 0  # a short call loses when vol rises


def test_inverse_profit_of_a_cell_by_hand():
    # Spec 1.2: a long of 100,000 from 50,000 makes 100,000 (1/50,000 - 1/40,000) = -0.5 coins at -20 %.
    (cell,) = matrix(inverse_account(coins=1.0), inverse_market(50_000.0), rules(), (-0.2,), (0.0,))
    assert cell.profit == pytest.approx(-0.5, rel=1e-12)


def test_one_asset_may_move_alone_and_moves_are_checked():
    case = load_example("collateral")
    told = matrix(case.accounts[0], case.market, in_force(case.rules, case.market.at), (-0.1,), (0.0,), "ETH")
    # 15 coins of ETH at 95 % or less, and a short of 90: a fall of ETH is a gain.
    assert told[0].profit > 0
    with pytest.raises(ValueError, match="above -1"):
        matrix(ACCOUNT, MARKET, RULES, (-1.0,))
    with pytest.raises(InvalidInputError, match="no index price"):
        matrix(ACCOUNT, MARKET, RULES, (0.1,), (0.0,), "DOGE")


def test_a_vol_factor_of_one_gives_the_mark_and_more_vol_a_dearer_option():
    table = table_of(tuple(MARKET.quotes), tuple(MARKET.index), MARKET)
    factor = np.ones((3, len(table.assets)))
    vol = np.array([1.0, 1.2, 0.0])[:, None] * np.ones(len(table.instruments))
    priced = shifted(table, factor, vol)
    option = int(np.flatnonzero(table.is_option)[0])
    assert (priced.mark[0] == table.mark).all()
    assert priced.mark[1, option] > table.mark[option] > priced.mark[2, option]
    assert priced.mark[2, option] == pytest.approx(0.0, abs=1e-9)  # out of the money and without vol
    assert (np.delete(priced.mark[1], option) == np.delete(table.mark, option)).all()


def test_a_basis_shock_moves_one_mark_and_no_index():
    shocked = basis_shocked(inverse_market(50_000.0), "BTCUSD", 0.9)
    assert (shocked.quotes["BTCUSD"].mark, shocked.quotes["BTCUSD"].index) == (45_000.0, 50_000.0)
    bare = replace(inverse_market(50_000.0), index={})
    assert basis_shocked(bare, "BTCUSD", 0.9).quotes["BTCUSD"].index == 50_000.0
    for symbol in ("BTC-25DEC26-70000-C", "NONE"):
        with pytest.raises(ValueError, match="a perpetual or future with a quote"):
            basis_shocked(MARKET, symbol, 0.9)
    told = dict(basis_cells(ACCOUNT, MARKET, RULES, (-0.05,)))
    assert list(told) == ["BTC-PERPETUAL", "BTC-26MAR27"]
    assert told["BTC-PERPETUAL"].profit < 0 < told["BTC-26MAR27"].profit


def test_what_breaks_the_account_breaks_it_and_a_little_less_does_not():
    found = reverse_stress(ACCOUNT, MARKET, RULES)
    assert {s.kind for s in found.shocks} == {"vol", "basis"}
    (down,) = (s for s in found.shocks if s.what == "BTC-PERPETUAL" and s.side == "down")
    for share, status in ((1.0, Status.LIQUIDATABLE), (1.0 - 1e-6, Status.CALL)):
        market = basis_shocked(MARKET, "BTC-PERPETUAL", 1.0 + down.move * share)
        assert assess(ACCOUNT, market, RULES).status is status


def test_a_short_option_on_little_cash_breaks_in_vol():
    (down, up) = reverse_stress(SHORT_CALL, MARKET, RULES).shocks
    assert (down.side, down.move, up.side) == ("down", None, "up")
    for share, breaks in ((1.0, True), (1.0 - 1e-6, False)):
        market = moved(MARKET, {}, {"BTC": 1.0 + up.move * share})
        assert (assess(SHORT_CALL, market, RULES).status is Status.LIQUIDATABLE) is breaks


def test_a_pool_that_is_liquidatable_already_has_no_smallest_shock():
    broke = inverse_account(coins=0.01)
    assert reverse_stress(broke, inverse_market(45_000.0), rules()).shocks == ()


def test_the_joint_move_of_two_underlyings_is_told():
    case = load_example("collateral")
    found = reverse_stress(case.accounts[0], case.market, in_force(case.rules, case.market.at))
    (pool,) = found.prices
    nearest = min(b.sigma for single in pool.each for b in single.bounds)
    assert dict(pool.joint.factors).keys() == {"BTC", "ETH"}
    assert pool.joint.sigma > nearest  # one alone is unlikely where the correlation is 0.8
    assert all(shock.kind == "basis" for shock in found.shocks)


def test_a_position_without_terms_moves_nothing():
    strange = Account(positions=(Position(symbol="X", quantity=1.0, entry=1.0),))
    assert underlyings(strange, MARKET) == ()
    (cell,) = matrix(ACCOUNT, MARKET, RULES, (0.0,), (0.0,))
    assert cell.status is Status.HEALTHY

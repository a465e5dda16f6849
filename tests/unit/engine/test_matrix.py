"""The risk matrix: cells, vectors, worst case, deltas and charges of an account."""

from dataclasses import replace

import numpy as np
import pytest

from margrave.adapters.files import load_example
from margrave.adapters.pme_shape import coins_per_contract
from margrave.core.errors import RefusedError
from margrave.domain.instruments import Instrument, Perpetual, Quanto
from margrave.engine.analysis.matrix import risk_matrix
from margrave.engine.assess import assess
from margrave.rulebook.catalogue import in_force, shipped
from margrave.rulebook.portfolio import Role

CASE = load_example("inverse")
(ACCOUNT,) = CASE.accounts


def book(name):
    return next(b for b in reversed(shipped()) if b.id == name)


def matrix(name="deribit.spm", account=ACCOUNT):
    return risk_matrix(account, CASE.market, book(name))


def test_vectors_of_instruments_add_up_to_the_unit():
    (pool,) = matrix().pools
    (unit,) = pool.units
    assert (unit.name, unit.underlying, unit.currency, len(unit.cells)) == ("btc_btc", "BTC", "BTC", 35)
    assert [v.name for v in unit.vectors] == [p.symbol for p in ACCOUNT.positions]
    assert [v.is_option for v in unit.vectors] == [False, False, True]
    assert np.sum([v.gains for v in unit.vectors], axis=0) == pytest.approx(unit.before, rel=1e-14)


def test_a_perpetual_gains_its_coins_times_the_move_at_the_moved_price():
    (unit,) = matrix().pools[0].units
    perpetual = unit.vectors[0].gains
    coins = 150_000.0 / 60_012.5
    moves = [cell.move for cell in unit.cells]
    # n m / (1 + m); the tail gives the cell at the edge of the range (deribit.md 3.1 steps 4 and 5)
    assert perpetual[:27] == pytest.approx([coins * m / (1 + m) for m in moves[:27]], rel=1e-13)
    assert perpetual[27:] == pytest.approx([perpetual[0]] * 2 + [perpetual[26]] * 6, rel=1e-13)


def test_cells_are_numbered_and_the_worst_is_the_first_minimum():
    (unit,) = matrix().pools[0].units
    assert [c.number for c in unit.cells] == list(range(1, 36))
    assert [c.bucket for c in unit.cells] == [k // 3 + 1 for k in range(27)] + list(range(1, 9))
    assert {c.source for c in unit.cells[:27]} == {"standard"}
    assert {c.source for c in unit.cells[27:]} == {"extended"}
    assert unit.worst.cell.number == int(np.argmin(unit.after)) + 1
    assert unit.worst.loss == pytest.approx(-min(unit.after), abs=5e-10)
    assert unit.worst.side == "left"
    short = replace(ACCOUNT, positions=tuple(replace(p, quantity=-p.quantity) for p in ACCOUNT.positions))
    assert matrix(account=short).pools[0].units[0].worst.side == "right"


def test_parts_give_the_margins_of_the_assessment():
    (pool,) = matrix().pools
    (unit,) = pool.units
    assessed = assess(ACCOUNT, CASE.market, book("deribit.spm")).pools[0]
    assert (pool.initial, pool.maintenance) == (assessed.initial, assessed.maintenance)
    assert [c.kind for c in unit.charges] == ["roll", "delta-liquidity"]
    assert all(c.role is Role.ADDS and c.is_initial and c.is_maintenance for c in unit.charges)
    assert unit.risk[0] == pytest.approx(unit.worst.loss + sum(c.amount for c in unit.charges), rel=1e-14)
    assert pool.maintenance == pytest.approx(0.8 * unit.risk[1], rel=1e-14)
    assert pool.initial == pytest.approx(unit.risk[0] + pool.orders, rel=1e-14)


def test_deltas_stand_by_expiry():
    (unit,) = matrix().pools[0].units
    perpetual, *dated = unit.deltas
    assert (perpetual.years, perpetual.settlement) == (0.0, "BTC")
    assert perpetual.coins == pytest.approx(150_000.0 / 60_012.5, rel=1e-14)
    assert all(d.years > 0 and d.coins < 0 for d in dated)


def test_a_balance_that_moves_has_a_vector_of_its_own():
    (pool,) = matrix("deribit.xpm").pools
    unit = next(u for u in pool.units if u.underlying == "BTC")
    (balance,) = (v for v in unit.vectors if v.name == "BTC")
    assert pool.currency == "USD"
    assert balance.gains[0] < 0 < balance.gains[26]
    assert np.sum([v.gains for v in unit.vectors], axis=0) == pytest.approx(unit.before, rel=1e-12)


def test_an_account_that_holds_nothing_has_no_unit():
    assert matrix(account=replace(ACCOUNT, positions=(), orders=())).pools == ()


def test_a_pool_that_cannot_be_valued_says_why():
    symbol = next(p.symbol for p in ACCOUNT.positions if p.symbol.endswith("-C"))
    market = replace(CASE.market, quotes={k: v for k, v in CASE.market.quotes.items() if k != symbol})
    (pool,) = risk_matrix(ACCOUNT, market, book("deribit.spm")).pools
    assert pool.issues
    assert pool.initial != pool.initial


def test_a_rulebook_without_scenarios_is_refused():
    with pytest.raises(RefusedError, match="has no risk matrix"):
        risk_matrix(ACCOUNT, CASE.market, in_force("example.inverse", CASE.market.at))


def test_a_quanto_contract_stands_for_no_coins():
    payoff = Quanto(multiplier=1e-6)
    quanto = Instrument(
        symbol="Q", base="ETH", quote="USD", settlement="BTC", kind=Perpetual(), payoff=payoff
    )
    with pytest.raises(RefusedError, match="is quanto"):
        coins_per_contract(quanto, 3000.0)

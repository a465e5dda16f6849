"""Premature liquidation and contagion over paths (spec CM-2, CM-3)."""

import pytest

from margrave.domain.account import Account, Balance, Position
from margrave.engine.paths.contagion_counts import contagion_counts
from tests.unit import made

TWO = made.LINEAR
SECOND = made.Instrument(
    symbol="BTC-SECOND", base="BTC", quote="USDT", settlement="USDT", kind=TWO.kind, payoff=TWO.payoff
)
RULES = made.rules(made.flat_ladder(0.10, 0.05))


def account(cash, *sizes):
    held = zip((TWO, SECOND), sizes, strict=True)
    positions = tuple(Position(symbol=i.symbol, quantity=q, entry=50_000.0) for i, q in held)
    return Account(balances=(Balance(asset="USDT", amount=cash),), positions=positions)


def path(*marks):
    return [made.market(TWO, SECOND, **{TWO.symbol: a, SECOND.symbol: b}) for a, b in marks]


def test_a_hedge_in_one_pool_survives_what_isolated_legs_do_not():
    # A long and a short of one coin: 10 % alone is gone after a rise of 20 %, together nothing is lost.
    hedged = account(20_000.0, 1.0, -1.0)
    found = contagion_counts(hedged, [path((50_000.0, 50_000.0), (60_000.0, 60_000.0))], RULES)
    assert (found.paths, found.premature, found.contagion, found.unknown) == (1, 1, 0, 0)
    assert found.outcomes[0].isolated == (1,)
    assert found.outcomes[0].cross == ()
    assert found.outcomes[0].premature == (1,)


def test_a_loser_drags_a_healthy_position_along():
    # The first falls by half; the second stands still, and its own margin would have kept it.
    found = contagion_counts(
        account(12_000.0, 1.0, 1.0), [path((50_000.0, 50_000.0), (25_000.0, 50_000.0))], RULES
    )
    assert (found.premature, found.contagion, found.dragged) == (0, 1, 1)
    assert found.outcomes[0].isolated == (0,)
    assert found.outcomes[0].cross == (0, 1)
    assert found.outcomes[0].dragged == (1,)
    assert not found.outcomes[0].is_solvent


def test_what_is_liquidated_on_the_way_stays_so():
    there_and_back = path((50_000.0, 50_000.0), (60_000.0, 60_000.0), (50_000.0, 50_000.0))
    found = contagion_counts(account(20_000.0, 1.0, -1.0), [there_and_back, there_and_back[:1]], RULES)
    assert (found.paths, found.premature) == (2, 1)


def test_a_path_that_cannot_be_valued_is_unknown_and_nothing_else():
    blind = made.market(TWO, SECOND, **{TWO.symbol: 60_000.0})
    found = contagion_counts(account(20_000.0, 1.0, -1.0), [[*path((50_000.0, 50_000.0)), blind]], RULES)
    assert (found.unknown, found.premature, found.contagion) == (1, 0, 0)


def test_a_path_is_not_empty():
    with pytest.raises(ValueError, match="at least one market"):
        contagion_counts(account(20_000.0, 1.0, -1.0), [[]], RULES)

"""Which legs of a pool a round closes, and how many contracts of them."""

from dataclasses import replace

import numpy as np
import pytest

from margrave.adapters.made_book import MADE_AT, made_market
from margrave.domain.account import Account, Balance, Position
from margrave.domain.amended import copies
from margrave.domain.book import account_of, book_of
from margrave.engine.assess import assess
from margrave.engine.simulation.events import Traded
from margrave.engine.simulation.path import Path
from margrave.engine.simulation.run import simulate
from margrave.engine.simulation.settings import (
    Behaviour,
    BestLeg,
    CloseFactor,
    Costs,
    Deleveraging,
    EveryLeg,
    Rounds,
    Settings,
    TowardNeutral,
)
from margrave.rulebook.catalogue import in_force

MARKET = made_market()
SPM, LADDER = in_force("deribit.spm", MADE_AT), in_force("example.inverse", MADE_AT)
BTC = MARKET.index["BTC"]
PERPETUAL, FUTURE = "BTC-PERPETUAL", "BTC-27NOV26"


def account(cash, *held):
    positions = tuple(
        Position(symbol=symbol, quantity=quantity, entry=MARKET.quotes[symbol].mark)
        for symbol, quantity in held
    )
    return Account(name="a", balances=(Balance(asset="BTC", amount=cash),), positions=positions)


def run(accounts, *prices, rulebook=SPM, **settings):
    path = Path(60.0 * np.arange(len(prices)), {"BTC": BTC * np.array(prices)})
    more = {"deleveraging": Deleveraging(shares=None)} | settings
    return simulate(book_of(accounts), MARKET, rulebook, path, Settings(**more))


def closed(done):
    """Contracts of each trade by symbol, round by round."""
    told = []
    for entry in done.log:
        if isinstance(entry.event, Traded):
            at = done.frame.book.instrument[entry.event.position]
            sizes = np.abs(done.frame.contracts(at, entry.event.lots))
            told.append({done.frame.book.symbols[i]: float(s) for i, s in zip(at, sizes, strict=True)})
    return told


def test_rounds_grow_and_stop_when_the_pool_is_safe():
    """Ten contracts, then two hundred, then four hundred at a time (spec deribit.md 5), until maintenance is covered."""
    held = account(1.0, (PERPETUAL, 30_000.0))  # ten dollars a contract: 4.8 coins
    done = run([held], 1.0, 0.96, rule=Rounds())
    sizes = [trade[PERPETUAL] for trade in closed(done)]
    assert sizes[:3] == [10.0, 200.0, 400.0]
    assert set(sizes[2:]) == {400.0}
    left = 30_000.0 - sum(sizes)
    assert left > 0.0
    assert done.steps.accounts[-1, -2] == 0  # nobody in liquidation
    again = run([held], 1.0, 0.96, 1.02, 0.93, rule=Rounds(contracts=(10.0, 5_000.0)))
    assert [t[PERPETUAL] for t in closed(again)].count(10.0) == 2, (
        "a new liquidation begins with its first round"
    )


def test_the_best_leg_is_never_a_hedge():
    """Long a perpetual, half of it hedged with a future: every leg closes both, the best leg leaves the hedge."""
    held = account(0.5, (PERPETUAL, 30_000.0), (FUTURE, -12_000.0))
    every = run([held], 1.0, 0.93, rule=CloseFactor(0.1), legs=EveryLeg())
    best = run([held], 1.0, 0.93, rule=CloseFactor(0.1), legs=BestLeg())
    assert all(set(trade) == {PERPETUAL, FUTURE} for trade in closed(every))
    assert closed(best)
    assert all(set(trade) == {PERPETUAL} for trade in closed(best))
    assert sum(sum(t.values()) for t in closed(best)) < sum(sum(t.values()) for t in closed(every))


def test_relief_is_what_the_engine_asks_before_and_after():
    """Two legs on one side under a ladder: the one whose tenth relieves more goes first; its relief is that of `assess`."""
    held = account(0.16, (PERPETUAL, 20_000.0), (FUTURE, 10_000.0))
    done = run(
        [held], 1.0, 0.97, rulebook=LADDER, rule=CloseFactor(0.1), legs=BestLeg(), costs=Costs(fee_rate=0.001)
    )
    first = closed(done)[0]
    assert len(first) == 1
    quotes = {s: replace(q, mark=0.97 * q.mark) for s, q in MARKET.quotes.items()}
    market = replace(MARKET, quotes=quotes, index={**MARKET.index, "BTC": 0.97 * BTC})
    before = assess(held, market, LADDER).pools[0].maintenance

    def relief(symbol):
        fewer = tuple(
            replace(p, quantity=0.9 * p.quantity) if p.symbol == symbol else p for p in held.positions
        )
        return before - assess(replace(held, positions=fewer), market, LADDER).pools[0].maintenance

    def paid(symbol):
        return 0.1 * {p.symbol: p.quantity for p in held.positions}[symbol]

    assert set(first) == {max((PERPETUAL, FUTURE), key=lambda s: relief(s) / paid(s))}


def test_toward_neutral_closes_futures_before_options_and_only_the_side_that_is_too_much():
    call = next(s for s in MARKET.instruments if s.startswith("BTC-27NOV26") and s.endswith("-C"))
    held = account(0.4, (PERPETUAL, 20_000.0), (FUTURE, -3_000.0), (call, -0.5))
    done = run([held], 1.0, 0.95, rule=CloseFactor(1.0), legs=TowardNeutral())
    first = closed(done)[0]
    assert PERPETUAL in first
    assert FUTURE not in first
    assert set(closed(run([held], 1.0, 0.95, rule=CloseFactor(1.0)))[0]) == {PERPETUAL, FUTURE, call}


def test_an_option_without_vol_has_no_delta_and_every_leg_is_closed():
    call = next(s for s in MARKET.instruments if s.startswith("BTC-27NOV26") and s.endswith("-C"))
    quotes = {**MARKET.quotes, call: replace(MARKET.quotes[call], vol=None)}
    market = replace(MARKET, quotes=quotes)
    held = account(0.3, (PERPETUAL, 20_000.0), (call, 0.1))
    path = Path(np.array([0.0, 60.0]), {"BTC": BTC * np.array([1.0, 0.96])})
    settings = Settings(rule=CloseFactor(0.5), legs=TowardNeutral(), deleveraging=Deleveraging(shares=None))
    done = simulate(book_of([held]), market, LADDER, path, settings)
    assert all(len(trade) == 2 for trade in closed(done)[:1])


@pytest.mark.parametrize("contracts", [(), (0.0,), (10.0, -1.0), (float("inf"),)])
def test_rounds_say_what_is_wrong(contracts):
    with pytest.raises(ValueError, match=r"rounds\.contracts"):
        Rounds(contracts=contracts)


def test_a_called_holder_has_the_time_of_the_notice_to_pay_in_or_be_lucky():
    """Liquidatable from the first minute on: closed two minutes later, unless the price is back or the holder pays."""
    held = account(0.82, (PERPETUAL, 30_000.0))
    falls = (1.0, 0.98, 0.98, 0.98, 0.98)
    late = run([held], *falls, rule=CloseFactor(0.2), notice_seconds=120.0)
    assert next(e.step for e in late.log if isinstance(e.event, Traded)) == 3
    assert (
        next(e.step for e in run([held], *falls, rule=CloseFactor(0.2)).log if isinstance(e.event, Traded))
        == 1
    )
    assert not closed(run([held], 1.0, 0.98, 1.02, 1.02, rule=CloseFactor(0.2), notice_seconds=120.0))
    payer = Behaviour(top_up=1.0, pocket=10.0)
    assert not closed(run([held], *falls, rule=CloseFactor(0.2), notice_seconds=120.0, behaviour=payer))
    gone = run([held], 1.0, 0.7, 0.7, rule=CloseFactor(0.2), notice_seconds=1e6)
    assert next(e.step for e in gone.log if isinstance(e.event, Traded)) == 1, "nothing is left to wait for"
    with pytest.raises(ValueError, match="notice_seconds"):
        Settings(notice_seconds=-1.0)


def test_copies_of_an_account_are_accounts_of_their_own():
    one, two = (
        account(1.0, (PERPETUAL, 5.0)),
        replace(account(2.0, (FUTURE, 1.0), (PERPETUAL, 2.0)), name="b"),
    )
    found = copies(book_of([one, two]), np.array([0, 1, 1, 1]))
    assert len(found.names) == 4
    assert account_of(found, 0).positions == one.positions
    for row in (1, 2, 3):
        assert account_of(found, row).positions == two.positions
        assert account_of(found, row).balances == two.balances

"""Portfolio margin of 500 options in 33 scenarios, beside plain NumPy code of the same cells, in one run, warmed up.

`tests/unit/margin/test_scenario_budget.py` holds the ratio to a budget.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from bench.measure import Section, Setting, interleaved, rows
from margrave.domain.account import Account, Balance, Position
from margrave.domain.book import book_of
from margrave.domain.instruments import Instrument, Option, QuotePremium, Right
from margrave.domain.market import Market, Quote
from margrave.kernels.black76 import quote_price
from margrave.kernels.normal import normal_cdf
from margrave.margin.pooled import Pooled, Prepared, evaluate, prepare
from margrave.rulebook.portfolio import (
    Cells,
    EvenGrid,
    LevelFactors,
    ScenarioModel,
    UnitTerms,
    VolShock,
    VolSource,
)
from margrave.rulebook.reform import stated
from margrave.rulebook.schema import AccountRules, CrossPool, PortfolioMember, Rulebook

COUNT, BASES = 500, ("BTC", "ETH", "SOL", "XRP", "DOGE")
AT = datetime(2026, 11, 1, tzinfo=UTC)
PRICE, VOL, RANGE, STEPS, UP, DOWN = 100.0, 0.8, 0.15, 5, 0.5, 0.25


def rules() -> Rulebook:
    """11 price moves within 15 % by 3 vol moves."""
    grid = Cells(code="BENCH-1", even=EvenGrid(range=RANGE, each_side=STEPS))
    terms = UnitTerms(code="BENCH-2", cells=grid, vol=VolShock(code="BENCH-3", up=UP, down=DOWN))
    model = ScenarioModel(
        code="BENCH-4", terms=(terms,), levels=LevelFactors(code="BENCH-5"), vol_source=VolSource.QUOTE
    )
    account = AccountRules(
        cross_pool=CrossPool.ACCOUNT,
        currency="USD",
        code="BENCH-6",
        option_value_credit=True,
        haircut_unlisted=0.0,
    )
    return stated("bench.portfolio", PortfolioMember(), account, portfolio=model)


def inputs() -> tuple[Account, Market]:
    """An account of 500 options on five coins, five expiries, ten strikes, calls and puts."""
    listed = {}
    for k in range(COUNT):
        base, days = BASES[k % 5], (7, 30, 60, 90, 180)[k // 5 % 5]
        kind = Option(
            expiry=AT + timedelta(days=days),
            strike=70.0 + 6.0 * (k // 25 % 10),
            right=Right.CALL if k // 250 else Right.PUT,
        )
        listed[f"{base}-{k}"] = Instrument(
            symbol=f"{base}-{k}",
            base=base,
            quote="USD",
            settlement="USD",
            kind=kind,
            payoff=QuotePremium(contract_size=1.0),
        )
    quotes = {}
    for symbol, instrument in listed.items():
        assert isinstance(instrument.kind, Option)
        years = (instrument.kind.expiry - AT).total_seconds() / (365.0 * 86_400.0)
        mark = float(
            quote_price(PRICE, instrument.kind.strike, VOL, years, instrument.kind.right is Right.CALL)
        )
        quotes[symbol] = Quote(mark=mark, index=PRICE, forward=PRICE, vol=VOL)
    market = Market(at=AT, instruments=listed, quotes=quotes, index=dict.fromkeys(BASES, PRICE))
    held = tuple(
        Position(symbol=s, quantity=float((-1) ** k * (1 + k % 7)), entry=max(quotes[s].mark, 1e-9))
        for k, s in enumerate(listed)
    )
    return Account(balances=(Balance(asset="USD", amount=1e6),), positions=held), market


def plain(account: Account, market: Market) -> Callable[[], float]:
    """Plain NumPy code of the same cells: columns in, the sum of every coin's worst loss out."""
    kinds = [market.instruments[p.symbol].kind for p in account.positions]
    options = [k for k in kinds if isinstance(k, Option)]
    strike = np.array([k.strike for k in options])
    years = np.array([(k.expiry - AT).total_seconds() / (365.0 * 86_400.0) for k in options])
    sign = np.array([1.0 if k.right is Right.CALL else -1.0 for k in options])
    quantity = np.array([p.quantity for p in account.positions])
    mark = np.array([market.quotes[p.symbol].mark for p in account.positions])
    base = np.array([BASES.index(market.instruments[p.symbol].base) for p in account.positions])
    moves = np.linspace(-RANGE, RANGE, 2 * STEPS + 1)

    def run() -> float:
        forward = np.repeat(PRICE * (1.0 + moves), 3)[:, None]
        vol = np.tile([VOL * (1.0 + UP), VOL, VOL * (1.0 - DOWN)], len(moves))[:, None]
        width = vol * np.sqrt(years)
        d1 = np.log(forward / strike) / width + 0.5 * width
        worth = sign * (forward * normal_cdf(sign * d1) - strike * normal_cdf(sign * (d1 - width)))
        gain = quantity * (np.maximum(worth, 0.0) - mark)
        cells = np.stack([gain[:, base == b].sum(axis=1) for b in range(len(BASES))], axis=1)
        return float(np.maximum(-cells.min(axis=0), 0.0).sum())

    return run


def with_vol(market: Market, symbol: str, times: float) -> Market:
    """One option's vol moved: its coin is computed again, four others are not."""
    quote = market.quotes[symbol]
    return replace(market, quotes={**market.quotes, symbol: replace(quote, vol=(quote.vol or VOL) * times)})


def prepared() -> tuple[Prepared, Prepared, Pooled, Callable[[], float]]:
    """The book as it is and with one vol moved, its evaluation, and the plain code."""
    account, market = inputs()
    rulebook, book = rules(), book_of((account,))
    first = prepare(book, market, rulebook)
    moved = prepare(book, with_vol(market, account.positions[0].symbol, 1.01), rulebook)
    return first, moved, evaluate(first), plain(account, market)


def run(_setting: Setting) -> list[Section]:
    """A full recompute, an incremental update and the plain code, their results compared first."""
    first, moved, before, baseline = prepared()
    np.testing.assert_allclose(before.maintenance[0, 0], baseline(), rtol=1e-9)
    np.testing.assert_array_equal(evaluate(moved, before=before).maintenance, evaluate(moved).maintenance)
    seconds = interleaved(
        {
            "margrave, evaluate: the whole portfolio margin": lambda: evaluate(first),
            "margrave, one vol moved: what it touches": lambda: evaluate(moved, before=before),
            "plain NumPy, the same cells": baseline,
        },
        repeats=31,
    )
    return [Section(f"Portfolio margin of {COUNT} options in 33 scenarios", "account", rows(seconds, 1))]

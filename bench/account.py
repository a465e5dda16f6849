"""One account of 20 positions through the whole calculation, beside plain NumPy code of the same rules."""

from collections.abc import Callable

import msgspec
import numpy as np

from bench.measure import Gate, Run, Section, Setting, difference, interleaved, rows
from margrave.adapters.desk_requests import stands
from margrave.adapters.made_book import made_market
from margrave.adapters.requests import answered
from margrave.cli.bench_sections import COUNT, futures_account, futures_rules, one_account
from margrave.domain.account import Account, Balance, Position
from margrave.domain.market import Market
from margrave.engine.assess import assess
from margrave.engine.calculator import calculator
from margrave.engine.desk import desk
from margrave.rulebook.catalogue import in_force

DESK_RULES = "deribit.spm"
AT_DESK = "margrave, at a desk"
WHOLE = "margrave, calculator compiled: account object to assessment"


def plain(
    floors: np.ndarray, rates: np.ndarray, cuts: np.ndarray
) -> Callable[[Account, Market], tuple[float, float, float]]:
    """Plain NumPy code of the same rules: objects in, three numbers out."""

    def run(account: Account, market: Market) -> tuple[float, float, float]:
        quantity = np.array([p.quantity for p in account.positions]) * 100.0
        entry = np.array([p.entry for p in account.positions])
        leverage = np.array([p.leverage for p in account.positions])
        mark = np.array([market.quotes[p.symbol].mark for p in account.positions])
        value = np.abs(quantity) / mark
        profit = quantity * (1.0 / entry - 1.0 / mark)
        tier = np.searchsorted(floors[1:], value)
        maintenance = value * rates[tier] - cuts[tier]
        step = 1e-8
        initial = np.floor(value / leverage / step) * step
        maintenance = np.floor(maintenance / step) * step
        return account.balances[0].amount + profit.sum(), float(initial.sum()), float(maintenance.sum())

    return run


def run(_setting: Setting) -> list[Section]:
    """The section of `margrave bench` with plain code beside it."""
    account, market = futures_account()
    rulebook = futures_rules()
    tiers = rulebook.ladders["BTCUSD"].tiers  # type: ignore[union-attr]
    floors, rates = np.array([t.floor for t in tiers]), np.array([t.maintenance for t in tiers])
    baseline = plain(floors, rates, np.concatenate(([0.0], np.cumsum(floors[1:] * np.diff(rates)))))
    pool = assess(account, market, rulebook).pools[0]
    np.testing.assert_allclose(
        (pool.equity, pool.initial, pool.maintenance), baseline(account, market), atol=2e-7
    )
    plain_way: dict[str, Run] = {"plain NumPy, three sums of 20 positions": lambda: baseline(account, market)}
    return [one_account(plain_way), at_a_desk()]


def at_a_desk() -> Section:
    """A typed what-if to JSON: where the pools of twenty positions stand under portfolio margin, before and after a trade."""
    market = made_market()
    rulebook = in_force(DESK_RULES, market.at)
    ready, slow = desk(market, rulebook), calculator(market, rulebook)
    quick = calculator(market, rulebook, compiled=True)
    dice = np.random.default_rng(3)
    symbols = dice.choice(
        [s for s in market.instruments if s.startswith("BTC")], COUNT, replace=False
    ).tolist()
    account = {
        "balances": [{"asset": "BTC", "amount": 100.0}],
        "positions": [
            {"symbol": s, "quantity": float(q), "entry": 1.01 * market.quotes[s].mark + 1e-6}
            for s, q in zip(symbols, dice.integers(1, 50, COUNT), strict=True)
        ],
    }
    held = Account(
        balances=(Balance(asset="BTC", amount=100.0),),
        positions=tuple(Position(**p) for p in account["positions"]),  # type: ignore[arg-type]
    )
    plain_body = msgspec.json.encode({"account": account})
    trading = msgspec.json.encode({"account": account, "trades": [{"symbol": symbols[0], "quantity": -5.0}]})
    mine, theirs = (
        msgspec.json.decode(way) for way in (stands(ready, slow, trading), answered(slow, trading))
    )
    error = difference(
        mine["pools"][0]["initial"], theirs["pools"][0]["initial"], theirs["pools"][0]["initial"]
    )
    assert error < 1e-9, error  # the worst loss is rounded to nine digits
    runs: dict[str, Run] = {
        AT_DESK: lambda: stands(ready, slow, plain_body),
        "margrave, at a desk: with a trade": lambda: stands(ready, slow, trading),
        "margrave, calculator: the whole assessment, with a trade": lambda: answered(slow, trading),
        WHOLE: lambda: quick.assess(held),
        "margrave, calculator compiled: the whole assessment, JSON to JSON": lambda: answered(
            quick, plain_body
        ),
    }
    seconds = interleaved(runs, repeats=31)
    text = f"what-if of {COUNT} positions under {DESK_RULES}, JSON to JSON [us]"
    return Section(
        f"A what-if of {COUNT} options and futures under {DESK_RULES}, JSON to JSON: where pools stand",
        "question",
        rows(seconds, 1, errors={AT_DESK: error}),
        [
            Gate("G8", text, 1e6 * seconds[AT_DESK], most=15.0),
            Gate("G8", f"{text}: the aim", 1e6 * seconds[AT_DESK], most=8.0),
            Gate(
                "G8",
                f"one account of {COUNT} positions under {DESK_RULES} to its assessment [us]",
                1e6 * seconds[WHOLE],
                most=50.0,
            ),
        ],
    )

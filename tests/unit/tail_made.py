"""Tail margin that the tests make: one history of two coins, and rulebooks around it."""

from margrave.domain.account import Account, Balance, Position
from margrave.domain.market import Market, Quote
from margrave.rulebook.reform import stated
from margrave.rulebook.schema import AccountRules, CrossPool, PortfolioMember
from margrave.rulebook.tail import ExpectedShortfall, History, LowerValueAtRisk, MonteCarlo, TailModel
from tests.unit.made import AT
from tests.unit.scenarios_made import inverse, linear

_ROWS = (
    (0.012, 0.018),
    (-0.008, -0.002),
    (0.004, 0.001),
    (-0.021, -0.033),
    (0.017, 0.011),
    (-0.003, 0.004),
    (0.009, 0.015),
    (-0.034, -0.051),
    (0.026, 0.032),
    (-0.011, -0.009),
    (0.002, -0.004),
    (-0.018, -0.022),
    (0.045, 0.061),
    (-0.052, -0.044),
    (0.031, 0.027),
    (-0.007, -0.013),
    (0.013, 0.008),
    (-0.027, -0.035),
    (0.019, 0.028),
    (-0.061, -0.083),
)
HISTORY = {"BTC": tuple(btc for btc, _ in _ROWS), "ETH": tuple(eth for _, eth in _ROWS)}
"""Twenty daily returns; those of BTC are printed in the clearing research, group fhs."""

VOLS, RHO = {"BTC": 0.8, "ETH": 1.0}, {("BTC", "ETH"): 0.7}
PRICES = {"BTC": 50_000.0, "ETH": 3_000.0}


def shortfall(confidence=0.9):
    """Expected shortfall."""
    return ExpectedShortfall(code="TEST-TAIL-002", confidence=confidence)


def value_at_risk(confidence=0.99):
    """Textbook value at risk."""
    return LowerValueAtRisk(code="TEST-TAIL-002", confidence=confidence)


def history(**more):
    """The history listed in the rulebook."""
    return History(code="TEST-TAIL-003", **({"returns": HISTORY} | more))


def draws(count=20_000, seed=1, **more):
    """Monte Carlo."""
    return MonteCarlo(code="TEST-TAIL-003", seed=seed, count=count, **more)


def model(**more):
    """A tail model: expected shortfall of the history over one day."""
    parts = {"measure": shortfall(), "scenarios": history(), "horizon_days": 1.0, "still": ("USDT",)}
    return TailModel(code="TEST-TAIL-001", **(parts | more))


def rulebook(currency="USD", **more):
    """One pool an account in a currency; None: one a settlement asset."""
    pool = CrossPool.SETTLEMENT if currency is None else CrossPool.ACCOUNT
    account = AccountRules(
        cross_pool=pool,
        currency=currency,
        code="TEST-TAIL-006",
        option_value_credit=True,
        haircut_unlisted=0.0,
    )
    return stated("test.tail", PortfolioMember(), account, portfolio=model(**more))


BTC, ETH, COIN = linear(), linear("ETH-LINEAR", "ETH"), inverse()


def market(*options, marks=None, **more):
    """Both linear perpetuals, the inverse one, and options with their quotes."""
    instruments = {i.symbol: i for i in (BTC, ETH, COIN, *(i for i, _ in options))}
    at = PRICES | (marks or {})
    quotes = {i.symbol: Quote(mark=at[i.base], index=at[i.base]) for i in (BTC, ETH, COIN)}
    quotes |= {instrument.symbol: quote for instrument, quote in options}
    parts = {"index": at | {"USDT": 1.0}, "vols": VOLS, "correlations": RHO}
    return Market(at=AT, instruments=instruments, quotes=quotes, **(parts | more))


def account(*held, entries=None, **balances):
    """Positions at the market's price, and balances by asset."""
    at = {BTC.symbol: PRICES["BTC"], ETH.symbol: PRICES["ETH"], COIN.symbol: PRICES["BTC"]} | (entries or {})
    return Account(
        name="tail",
        balances=tuple(Balance(asset=a, amount=v) for a, v in balances.items()),
        positions=tuple(Position(symbol=s, quantity=q, entry=at[s]) for s, q in held),
    )

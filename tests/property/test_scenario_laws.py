"""Laws of scenario margin over random books: scale, order, netting, monotony, and a twin in plain loops."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from margrave.core.words import LEVELS, MAINTENANCE
from margrave.domain.account import Account, Balance, Position
from margrave.domain.book import book_of
from margrave.domain.instruments import Inverse, Option
from margrave.domain.market import Market
from margrave.engine.assess import assess, assess_all
from margrave.engine.assessment import Status
from margrave.liquidation.direction import Excess, directions_of
from margrave.liquidation.pool import liquidation_along
from margrave.margin.pooled import evaluate, prepare
from margrave.margin.requirement import discrepancy
from margrave.rulebook import portfolio as p
from margrave.rulebook.catalogue import shipped
from margrave.rulebook.health import HealthModel
from tests.unit import scenario_twin as twin
from tests.unit import scenarios_made as made

PRICES = {"BTC": 50_000.0, "ETH": 2_500.0}


def listed(base):
    """Contracts on one coin: futures of both payoffs, options of both premiums, three expiries."""
    price = PRICES[base]
    futures = [
        make(f"{base}-{kind}-{days}", base, days)
        for kind, make in (("inverse", made.inverse), ("linear", made.linear))
        for days in (None, 30.0, 90.0)
    ]
    options = [
        made.option(price * share, right, coin=coin, days=days, base=base)
        for share in (0.8, 1.0, 1.1)
        for right in ("call", "put")
        for coin in (True, False)
        for days in (7.0, 30.0, 90.0)
    ]
    return futures + options


def in_stable(base):
    """Contracts that pay in a stable coin."""
    kept = [made.linear(f"{base}-linear", base)]
    kept += [made.option(PRICES[base], right, coin=False, base=base) for right in ("call", "put")]
    return [replace(i, symbol=f"{i.symbol}-USDC", quote="USDC", settlement="USDC") for i in kept]


LISTED = [i for base in PRICES for i in (*listed(base), *in_stable(base))]
OF = {i.symbol: i for i in LISTED}
# Marks a little off the model, as they are in a market.
PLAIN = made.market(LISTED, PRICES)
MARKET = Market(
    at=PLAIN.at,
    instruments=PLAIN.instruments,
    quotes={
        s: replace(q, mark=q.mark * 1.01) if isinstance(OF[s].kind, Option) else q
        for s, q in PLAIN.quotes.items()
    },
    index={**PRICES, "USDC": 1.0},
)


def contracts(symbol, coins):
    instrument = OF[symbol]
    return coins * PRICES[instrument.base] if isinstance(instrument.payoff, Inverse) else coins


def holding(size):
    return st.dictionaries(
        st.sampled_from(sorted(OF)),
        st.floats(-5.0, 5.0).filter(lambda q: abs(q) > 1e-3),
        min_size=1,
        max_size=size,
    )


held = holding(7)


def account_of(coins, cash=1e6, name="account", order=None):
    names = list(coins) if order is None else order
    positions = tuple(
        Position(symbol=s, quantity=contracts(s, coins[s]), entry=max(MARKET.quotes[s].mark, 1e-9))
        for s in names
    )
    return Account(name=name, balances=(Balance(asset="USD", amount=cash),), positions=positions)


def asked(coins, rules, level=MAINTENANCE):
    if not coins:
        return 0.0
    pooled = evaluate(prepare(book_of((account_of(coins),)), MARKET, rules))
    return float((pooled.maintenance if level == MAINTENANCE else pooled.initial)[0, 0])


DOLLARS = made.rulebook(currency="USD")
TAIL = p.Cells(
    code="C",
    even=p.EvenGrid(range=0.16, each_side=4),
    tail=p.Tail(code="T", moves=(-0.66, -0.33, 0.5, 5.0), factor=0.9),
)
SHOCK = p.VolShock(code="V", up=0.5, down=0.25, power_short=0.3, power_long=0.13, vol_least_up=0.5)
SCALED = (
    p.NotionalCharge(code="N1", of=p.Held.NAKED_OPTIONS, rate=0.01),
    p.NotionalCharge(code="N2", of=p.Held.FUTURES, rate=0.006, role=p.Role.COMPETES),
    p.OffsetCharge(code="N3", rate=0.01),
    p.HedgedDeltaCharge(code="N4", net=0.02, hedged=0.01, role=p.Role.LEAST),
    p.RollCharge(code="N5", least=0.01, rate=0.075),
    p.ForwardCharge(code="N6", up=0.05, down=-0.05, add=0.5, multiple=1.5),
)
CHARGED = made.rulebook(made.terms(TAIL, SHOCK, charges=SCALED), currency="USD")
RHO = p.CorrelationOffset(code="R", pairs=(p.CorrelationPair("BTC", "ETH", 0.8),))
FULL = made.rulebook(
    made.terms(
        TAIL,
        SHOCK,
        charges=(
            *SCALED,
            p.NotionalCharge(code="N7", of=p.Held.OPTIONS, rate=0.001, role=p.Role.AFTER, maintenance=False),
            p.NotionalCharge(code="N8", of=p.Held.PERPETUALS, rate=0.001),
            p.LiquidityCharge(code="N9", free=1e5, increment=0.001, most=0.1),
            p.AmountCharge(code="N10", amount=3.0),
        ),
        gains=p.Gains(code="G", share=0.6, most=20_000.0, tail_dampener=500.0),
    ),
    levels=p.LevelFactors(code="L", initial=1.25, maintenance=1.0),
    correlation=RHO,
    vol_source=p.VolSource.QUOTE,
    currency="USD",
)
POINTS = made.rulebook(
    made.terms(
        TAIL, p.VolShock(code="V", up=0.3, down=0.9, unit=p.VolUnit.POINTS, power_short=0.5, days_least=14.0)
    ),
    vol_source=p.VolSource.QUOTE,
    currency="USD",
)
IN_COIN = made.rulebook(
    made.terms(
        TAIL, SHOCK, charges=SCALED, gains=p.Gains(code="G", share=0.0, tail_dampener=100.0), bases=("BTC",)
    ),
    made.terms(TAIL, SHOCK, charges=SCALED),
    vol_source=p.VolSource.QUOTE,
    currency="BTC",
)


@settings(max_examples=60)
@given(held, st.sampled_from(["full", "points", "coin"]))
def test_the_engine_is_its_twin_in_plain_loops(coins, which):
    rules = {"full": FULL, "points": POINTS, "coin": IN_COIN}[which]
    currency = "BTC" if which == "coin" else "USD"
    rows = [(OF[s], contracts(s, q), MARKET.quotes[s]) for s, q in coins.items()]
    initial, maintenance, worst = twin.margin(rows, rules.portfolio, {**PRICES, "USD": 1.0}, currency)
    pooled = evaluate(prepare(book_of((account_of(coins),)), MARKET, rules))
    scale = sum(abs(q) * PRICES[OF[s].base] for s, q in coins.items()) / (
        PRICES["BTC"] if currency == "BTC" else 1.0
    )
    assert pooled.maintenance[0, 0] == pytest.approx(maintenance, rel=1e-12, abs=1e-12 * scale)
    assert pooled.initial[0, 0] == pytest.approx(initial, rel=1e-12, abs=1e-12 * scale)
    workings = pooled.workings.joint.workings
    for block in workings.blocks:
        for k, base in enumerate(block.scene.units.unit_base.tolist()):
            name = block.scene.table.assets[base]
            assert block.worst[0, k] == pytest.approx(worst[name], rel=1e-12, abs=1e-12 * scale)


@given(held, st.floats(0.01, 100.0))
def test_margin_scales_with_the_book(coins, times):
    scaled = {s: q * times for s, q in coins.items()}
    for rules in (DOLLARS, CHARGED):
        once = asked(coins, rules)
        assert asked(scaled, rules) == pytest.approx(times * once, rel=1e-9, abs=1e-9 * times)


@given(held, held)
def test_a_book_asks_no_more_than_its_parts(one, other):
    both = {s: one.get(s, 0.0) + other.get(s, 0.0) for s in {**one, **other}}
    parts = asked(one, DOLLARS) + asked(other, DOLLARS)
    assert asked(both, DOLLARS) <= parts * (1.0 + 1e-9) + 1e-6


@given(held, st.sampled_from(sorted(OF)), st.floats(-5.0, 5.0))
def test_a_hedge_never_asks_more_than_it_does_alone(coins, symbol, size):
    added = {**coins, symbol: coins.get(symbol, 0.0) + size}
    assert (
        asked(added, DOLLARS)
        <= (asked(coins, DOLLARS) + asked({symbol: size}, DOLLARS)) * (1.0 + 1e-9) + 1e-6
    )


@given(held, st.floats(0.01, 0.4), st.integers(2, 4))
def test_a_grid_with_more_cells_never_asks_less(coins, width, times):
    # A wider grid of the same step holds every cell of the narrower one.
    def rules(range_, steps):
        return made.rulebook(
            made.terms(p.Cells(code="C", even=p.EvenGrid(range=range_, each_side=steps))), currency="USD"
        )

    narrow = asked(coins, rules(width / times, 1))
    assert asked(coins, rules(width, times)) >= narrow - 1e-9 * max(1.0, narrow)


@given(st.floats(-5.0, 5.0), st.lists(st.floats(0.01, 0.9), min_size=2, max_size=2, unique=True))
def test_a_future_asks_more_the_wider_the_range(size, widths):
    def rules(range_):
        return made.rulebook(
            made.terms(p.Cells(code="C", even=p.EvenGrid(range=range_, each_side=3))), currency="USD"
        )

    narrow, wide = sorted(widths)
    assert asked({"BTC-linear-None": size}, rules(narrow)) <= asked({"BTC-linear-None": size}, rules(wide))


@given(held, st.randoms(use_true_random=False))
def test_the_order_of_positions_does_not_matter(coins, dice):
    shuffled = list(coins)
    dice.shuffle(shuffled)
    for rules in (DOLLARS, CHARGED):
        first, second = (
            evaluate(prepare(book_of((account_of(coins, order=order),)), MARKET, rules))
            for order in (None, shuffled)
        )
        for level in ("initial", "maintenance"):
            one, other = getattr(first, level)[0, 0], getattr(second, level)[0, 0]
            assert one == pytest.approx(other, rel=1e-12, abs=1e-9)


@given(st.lists(held, min_size=2, max_size=5))
@example([{"ETH-C2-30": 1.0}, {"BTC-C55-90q": 0.7448666420604075, "BTC-C55-7": 4.46875, "BTC-C50-7q": 0.25}])
def test_an_account_in_a_book_has_the_digits_that_it_has_alone(books):
    accounts = [account_of(coins, name=f"account {k}") for k, coins in enumerate(books)]
    for rules in (CHARGED, FULL):
        together = assess_all(accounts, MARKET, rules)
        for account, found in zip(accounts, together, strict=True):
            assert assess(account, MARKET, rules).pools == found.pools


DATES = np.arange(80.0)
WHOLE = replace(  # joint scenarios need a history
    MARKET,
    vols={"BTC": 0.6, "ETH": 0.8},
    correlations={("BTC", "ETH"): 0.7},
    returns={"BTC": tuple(0.04 * np.sin(DATES)), "ETH": tuple(0.05 * np.sin(1.1 * DATES + 1.0))},
)
# Trees of weighted collateral are held by test_health_laws, in a market of what those rulebooks margin.
PORTFOLIOS = [r for r in shipped() if r.portfolio is not None and not isinstance(r.portfolio, HealthModel)]


def known_under(rules):
    """Instruments that a rulebook margins alone."""
    accounts = [account_of({s: 1.0}, name=s) for s in OF]
    found = assess_all(accounts, WHOLE, rules)
    return [a.account for a in found if not a.issues]


@pytest.mark.parametrize("rules", PORTFOLIOS, ids=[f"{r.id}@{r.valid_from:%Y-%m-%d}" for r in PORTFOLIOS])
@settings(max_examples=30)
@given(data=st.data())
def test_the_tree_gives_back_the_number_under_every_shipped_rulebook(rules, data):
    names = known_under(rules)
    sizes = st.floats(-5.0, 5.0).filter(lambda q: abs(q) > 1e-3)
    coins = data.draw(st.dictionaries(st.sampled_from(names), sizes, min_size=1, max_size=7))
    found = assess(account_of(coins), WHOLE, rules)
    assert found.issues == ()
    for k, pool in enumerate(found.pools):
        for level in LEVELS:
            tree = found.explain(level, k)
            assert discrepancy(tree) <= 1e-12
            amount = pool.initial if level == "initial" else pool.maintenance
            assert tree.amount == pytest.approx(amount, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("rules", [DOLLARS, CHARGED, FULL])
@given(coins=held)
def test_the_tree_of_made_rules_gives_back_the_number(rules, coins):
    found = assess(account_of(coins), MARKET, rules)
    for level in LEVELS:
        tree = found.explain(level)
        assert discrepancy(tree) <= 1e-12
        amount = found.pools[0].initial if level == "initial" else found.pools[0].maintenance
        assert tree.amount == pytest.approx(amount, rel=1e-12)


@given(held, st.data())
def test_a_price_or_vol_that_is_not_known_makes_the_pool_unknown(coins, data):
    symbol = data.draw(st.sampled_from(sorted(coins)))
    quote = MARKET.quotes[symbol]
    if isinstance(OF[symbol].kind, Option) and data.draw(st.booleans()):
        # A vol that neither the mark nor the quote tells: published vols are asked for, and there is none.
        told = {**MARKET.quotes, symbol: replace(quote, vol=None)}
        rules = FULL
    else:
        told, rules = {s: q for s, q in MARKET.quotes.items() if s != symbol}, CHARGED
    blind = Market(at=MARKET.at, instruments=MARKET.instruments, quotes=told, index=PRICES)
    (pool,) = assess(account_of(coins), blind, rules).pools
    assert pool.status is Status.UNKNOWN
    assert pool.issues
    assert np.isnan(pool.maintenance)


SCANNED = np.exp(np.linspace(-3.0, 3.0, 601))


@settings(max_examples=15)
@given(holding(4), st.floats(0.0, 2e5))
def test_liquidation_bounds_agree_with_a_dense_scan(coins, cash):
    prepared = prepare(book_of((account_of(coins, cash),)), MARKET, CHARGED)
    for direction in directions_of(prepared, 0):
        found = liquidation_along(prepared, direction)
        below = Excess(prepared, direction, MAINTENANCE)(SCANNED) < 0.0
        at = SCANNED * direction.price
        told = np.zeros(at.size, dtype=bool)
        near = np.zeros(at.size, dtype=bool)
        for low, high in found.liquidatable:
            told |= (at > low) & (at < high)
            near |= (
                (np.abs(at / low - 1.0) < 1e-7) | (np.abs(at / high - 1.0) < 1e-7)
                if low
                else np.abs(at / high - 1.0) < 1e-7
            )
        assert (told == below)[~near].all()
        assert all(b.method == "root" for b in found.bounds)
        assert all(b.binds.startswith(("risk of ", "equity")) for b in found.bounds)

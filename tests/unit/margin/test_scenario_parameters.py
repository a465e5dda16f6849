"""Every parameter of a scenario model, small and large, with the requirement worked out by hand.

One coin is 50,000 dollars; a linear future on it loses 50,000 dollars times the move. Options are of 30 days at 80 %
and priced by the twin's Black-76. A case without cells of its own stands still: what it asks is its charge.
"""

from dataclasses import replace
from math import exp, expm1, log, sqrt

import pytest
from msgspec import structs

from margrave.domain.book import book_of
from margrave.domain.market import Market
from margrave.margin.pooled import evaluate, prepare
from margrave.rulebook import portfolio as p
from tests.unit import scenarios_made as made
from tests.unit.scenario_twin import black

F, T = 50_000.0, 30.0 / 365.0
FUTURE, OTHER = made.linear(), made.linear("BTC-OTHER")
CALL = made.option(55_000.0, "call", coin=False)
WEEK = made.option(55_000.0, "call", coin=False, days=7.0)
QUARTER = made.option(55_000.0, "call", coin=False, days=90.0)
ETH = made.linear("ETH-LINEAR", "ETH")
PRICES = {"BTC": F, "ETH": 2_500.0}
LONG, SHORT = [(FUTURE, 1)], [(FUTURE, -1)]
STILL = p.Cells(code="C", listed=(p.Cell(move=0.0),))


def worth(price=F, vol=0.8, days=30.0):
    """A call on 55,000."""
    return black(price, 55_000.0, vol, days / 365.0, True)


def call_asks(vol, days=30.0):
    """What a short call loses at the price of today."""
    return max(worth(vol=vol, days=days) - worth(days=days), 0.0)


def asked(held, *terms, quotes=None, balances=(("USD", 1e6),), more=None, **model):
    """Initial and maintenance margin in dollars."""
    told = made.market([i for i, _ in held], PRICES)
    edited = {s: replace(q, **(quotes or {})) for s, q in told.quotes.items()}
    told = Market(
        at=told.at, instruments=told.instruments, quotes=edited, **({"index": PRICES} | (more or {}))
    )
    rules = made.rulebook(*terms, currency="USD", **model)
    pooled = evaluate(prepare(book_of((made.account(held, told, balances),)), told, rules))
    return float(pooled.initial[0, 0]), float(pooled.maintenance[0, 0])


def even(**parts):
    return made.terms(p.Cells(code="C", even=p.EvenGrid(**({"range": 0.16, "each_side": 1} | parts))))


def tail(moves=(5.0,), **parts):
    grid = p.EvenGrid(range=0.16, each_side=1, vols=(p.VolMove.DOWN,))
    return made.terms(p.Cells(code="C", even=grid, tail=p.Tail(code="T", moves=moves, **parts)))


def listed(*cells, **more):
    return made.terms(p.Cells(code="C", listed=tuple(p.Cell(**cell) for cell in cells)), **more)


def vol(how=p.VolMove.UP, **parts):
    return listed(
        {"move": 0.0, "vol": how}, vol=p.VolShock(**({"code": "V", "up": 0.5, "down": 0.25} | parts))
    )


def charged(charge, **more):
    return made.terms(STILL, charges=(charge,), **more)


def wing(strike):
    """A call at its expiry, which is worth what it pays."""
    return made.option(strike, "call", coin=False, days=0.0)


# A butterfly that is sold: it pays 2,000 at the middle strike and nothing at the ends.
SHORT_FLY = [(wing(52_000.0), -1), (wing(54_000.0), 2), (wing(56_000.0), -1)]

GRID = {
    "range, small": (LONG, even(range=0.01), 500.0),
    "range, large": (LONG, even(range=0.99), 49_500.0),
    "each side, one": (
        SHORT_FLY,
        even(each_side=1),
        0.0,
    ),  # neither -16 %, 0 nor +16 % meets the middle strike
    "each side, two": (SHORT_FLY, even(each_side=2), 2_000.0),  # +8 % is 54,000
    "each side, many": (LONG, even(each_side=1000), 8_000.0),
    "vols, same alone": ([(CALL, -1)], even(vols=(p.VolMove.SAME,)), worth(58_000.0) - worth()),
    "vols, up alone": ([(CALL, -1)], even(vols=(p.VolMove.UP,)), worth(58_000.0, 1.2) - worth()),
    "vols, down alone": ([(CALL, -1)], even(vols=(p.VolMove.DOWN,)), worth(58_000.0, 0.6) - worth()),
    "tail, near": ([(CALL, -1)], tail((0.5,), vol=p.VolMove.SAME), (worth(75_000.0) - worth()) * 0.16 / 0.5),
    "tail, far": ([(CALL, -1)], tail((5.0,), vol=p.VolMove.SAME), (worth(300_000.0) - worth()) * 0.16 / 5.0),
    "tail, vol up": ([(CALL, -1)], tail((0.5,)), (worth(75_000.0, 1.2) - worth()) * 0.16 / 0.5),
    "tail factor, none": (SHORT, tail(factor=0.0), 8_000.0),
    "tail factor, two": (SHORT, tail(factor=2.0), 16_000.0),
    "cell move, small": (LONG, listed({"move": -0.001}), 50.0),
    "cell move, large": (LONG, listed({"move": -0.999}), 49_950.0),
    "cell weight, none": (LONG, listed({"move": -0.5, "weight": 0.0}), 0.0),
    "cell weight, double": (LONG, listed({"move": -0.5, "weight": 2.0}), 50_000.0),
}
VOLS = {
    "up, none": ([(CALL, -1)], vol(up=0.0), 0.0),
    "up, large": ([(CALL, -1)], vol(up=3.0), call_asks(3.2)),
    "down, small": ([(CALL, 1)], vol(p.VolMove.DOWN, down=0.01), worth() - worth(vol=0.792)),
    "down, all": ([(CALL, 1)], vol(p.VolMove.DOWN, down=2.0), worth()),
    "points up": ([(CALL, -1)], vol(unit=p.VolUnit.POINTS, up=0.1), call_asks(0.9)),
    "points down, beyond zero": (
        [(CALL, 1)],
        vol(p.VolMove.DOWN, unit=p.VolUnit.POINTS, down=5.0),
        worth(),
    ),
    "short power, none": ([(WEEK, -1)], vol(power_short=0.0), call_asks(1.2, 7.0)),
    "short power, one": ([(WEEK, -1)], vol(power_short=1.0), call_asks(0.8 * (1.0 + 0.5 * 30.0 / 7.0), 7.0)),
    "long power, none": ([(QUARTER, -1)], vol(power_long=0.0), call_asks(1.2, 90.0)),
    "long power, one": ([(QUARTER, -1)], vol(power_long=1.0), call_asks(0.8 * (1.0 + 0.5 / 3.0), 90.0)),
    "least days, under": (
        [(WEEK, -1)],
        vol(power_short=1.0, days_least=0.1),
        call_asks(0.8 * (1.0 + 15.0 / 7.0), 7.0),
    ),
    "least days, over": ([(WEEK, -1)], vol(power_short=1.0, days_least=20.0), call_asks(0.8 * 1.75, 7.0)),
    "least vol, under": ([(CALL, -1)], vol(vol_least_up=0.1), call_asks(1.2)),
    "least vol, over": ([(CALL, -1)], vol(vol_least_up=2.0), call_asks(2.0)),
}


def skew(how=p.VolMove.LINEAR, **parts):
    base = {"linear_cap": 0.2, "linear_base": 0.0, "absolute_cap": 0.3, "absolute_base": 0.0}
    base |= {"width_least": 1.0, "width_scale": 0.0, "vol_static": 0.5}
    return listed({"move": 0.0, "vol": how}, skew=p.SkewShock(code="K", **(base | parts)))


def leans(by):
    """What one call is charged when its vol is multiplied by one and a lean."""
    return abs(worth(vol=0.8 * (1.0 + by)) - worth())


K, ROOT = log(1.1), sqrt(T)
ABSOLUTE = p.VolMove.ABSOLUTE
SKEW = {
    "linear cap, small": (skew(linear_cap=0.01), 0.01 * K),
    "linear cap, large": (skew(linear_cap=5.0), 5.0 * K),
    "linear base": (skew(linear_base=2.0), (2.0 * ROOT + 0.2) * K),
    "absolute cap, small": (skew(ABSOLUTE, absolute_cap=0.01), 0.01 * K),
    "absolute cap, large": (skew(ABSOLUTE, absolute_cap=5.0), 5.0 * K),
    "absolute base": (skew(ABSOLUTE, absolute_base=2.0), (2.0 * ROOT + 0.3) * K),
    "least width, small: the cap binds": (skew(width_least=0.001), 0.2),
    "least width, large": (skew(width_least=10.0), 0.02 * K),
    "width scale": (skew(width_scale=100.0), 0.2 * K / (ROOT * 100.0 * 0.5)),
    "static vol": (skew(width_scale=100.0, vol_static=5.0), 0.2 * K / (ROOT * 100.0 * 5.0)),
    "slope of vol": (skew(width_scale=100.0, vol_slope=9.0), 0.2 * K / (ROOT * 100.0 * (0.5 + 9.0 * ROOT))),
}
V = worth()


def discount(**parts):
    return listed({"move": 0.0}, static_discount=p.StaticDiscount(code="D", **({"long_base": 1.0} | parts)))


RATE, GROWN = 0.1, exp(0.1 * T)  # a year's rate, and what a dollar becomes at the expiry
DISCOUNTS = {
    "long base, none": (1, discount(long_base=0.0), V),
    "long base, most": (1, discount(), 0.0),
    "long multiple": (1, discount(long_multiple=3.0), V * (1.0 - exp(-3.0 * RATE * T))),
    "long add": (1, discount(long_add=2.0), V * (1.0 - exp(-2.0 * T))),
    "short base, small": (-1, discount(short_base=0.5), 0.0),
    "short base, at most the discount": (-1, discount(short_base=9.0), V * (GROWN - 1.0)),
    "short multiple": (-1, discount(short_multiple=0.5), V * (exp(0.5 * RATE * T) - 1.0)),
    "short add": (-1, discount(short_add=0.05), V * (exp(0.05 * T) - 1.0)),
}
DELTA = 0.5 * (black(F + 1.0, 55_000.0, 0.8, T, True) - black(F - 1.0, 55_000.0, 0.8, T, True))
DATED = made.linear("BTC-DATED", days=365.0)


def roll(**parts):
    return charged(p.RollCharge(**({"code": "R", "least": 0.01} | parts)))


def forward(**parts):
    return charged(p.ForwardCharge(**({"code": "W", "up": 0.05, "down": -0.05, "add": 1.0} | parts)))


def liquid(**parts):
    return charged(p.LiquidityCharge(**({"code": "Q", "free": 0.0, "increment": 0.001} | parts)))


def of(held, rate=0.01):
    return charged(p.NotionalCharge(code="N", of=held, rate=rate))


NAKED = p.Held.NAKED_OPTIONS
FELL, ROSE = V - worth(47_500.0), worth(52_500.0) - V
CHARGES = {
    "forward up": ([(CALL, -1)], forward(up=0.2), worth(60_000.0) - V),
    "forward down": ([(CALL, 1)], forward(down=-0.2), V - worth(40_000.0)),
    "forward add": ([(CALL, 1)], forward(add=0.0, multiple=0.0), 0.0),
    "forward multiple": ([(CALL, 1)], forward(add=0.5, multiple=9.0), FELL * (0.5 + 9.0 * T)),
    "forwards of two dates do not net": (
        [(CALL, -1), (QUARTER, 1)],
        forward(),
        ROSE + worth(days=90.0) - worth(47_500.0, days=90.0),
    ),
    "notional of perpetuals": ([(FUTURE, 2), (DATED, 3)], of(p.Held.PERPETUALS), 0.01 * 2 * F),
    "notional of futures": ([(FUTURE, 2), (DATED, -3)], of(p.Held.FUTURES), 0.01 * 5 * F),
    "notional of options": ([(CALL, 2), (WEEK, -3)], of(p.Held.OPTIONS), 0.01 * 5 * F),
    "notional of naked options": ([(CALL, -2), (WEEK, 3)], of(NAKED), 0.01 * 2 * F),
    "notional of delta one": ([(FUTURE, 2), (CALL, 1)], of(p.Held.DELTA_ONE), 0.01 * 2 * F),
    "notional rate, none": (LONG, of(p.Held.FUTURES, 0.0), 0.0),
    "notional rate, all": (LONG, of(p.Held.FUTURES, 1.0), F),
    "roll least": ([(DATED, 1)], roll(least=0.2), 0.2 * F),
    "roll rate": ([(DATED, 1)], roll(rate=0.5), expm1(0.5) * F),
    "rolls of two dates do not net": ([(DATED, 1), (FUTURE, -1)], roll(), 2 * 0.01 * F),
    "liquidity free": ([(FUTURE, 4)], liquid(free=3.0 * F), F * 4 * 0.001),
    "liquidity increment": ([(FUTURE, 4)], liquid(increment=0.01), 4 * F * 4 * 0.01),
    "liquidity most": ([(FUTURE, 4)], liquid(increment=10.0, most=0.1), 0.1 * 4 * F),
    "net delta": (
        [(FUTURE, 4), (OTHER, -1)],
        charged(p.HedgedDeltaCharge(code="H", net=0.02)),
        0.02 * 3 * F,
    ),
    "hedged delta": (
        [(FUTURE, 4), (OTHER, -1)],
        charged(p.HedgedDeltaCharge(code="H", net=0.0, hedged=0.02)),
        0.02 * 1 * F,
    ),
    "offset rate, none": ([(FUTURE, 4), (OTHER, -1)], charged(p.OffsetCharge(code="O", rate=0.0)), 0.0),
    "offset rate": ([(FUTURE, 4), (OTHER, -1)], charged(p.OffsetCharge(code="O", rate=0.5)), 0.5 * F),
    "amount, none": (LONG, charged(p.AmountCharge(code="A", amount=0.0)), 0.0),
    "amount": (LONG, charged(p.AmountCharge(code="A", amount=123.0)), 123.0),
    "amount of nothing held": ([(FUTURE, 0)], charged(p.AmountCharge(code="A", amount=123.0)), 0.0),
}


@pytest.mark.parametrize("name", GRID)
def test_cells(name):
    held, terms, want = GRID[name]
    assert asked(held, terms)[1] == pytest.approx(want, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", VOLS)
def test_vol_shocks(name):
    held, terms, want = VOLS[name]
    assert asked(held, terms)[1] == pytest.approx(want, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", SKEW)
@pytest.mark.parametrize("side", [1, -1])
def test_skew_shocks_cost_whoever_holds(name, side):
    terms, lean = SKEW[name]
    assert asked([(CALL, side)], terms)[1] == pytest.approx(leans(lean), rel=1e-9)


@pytest.mark.parametrize("name", DISCOUNTS)
def test_static_discounts(name):
    size, terms, want = DISCOUNTS[name]
    found = asked([(CALL, size)], terms, quotes={"rate": RATE}, discounting=True)[1]
    assert found == pytest.approx(want, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", CHARGES)
def test_charges(name):
    held, terms, want = CHARGES[name]
    assert asked(held, terms) == pytest.approx((want, want), rel=1e-9, abs=1e-9)


def test_a_delta_is_that_of_the_option():
    terms = charged(p.HedgedDeltaCharge(code="H", net=1.0))
    assert asked([(CALL, 2)], terms)[1] == pytest.approx(2 * DELTA * F, rel=1e-7)


@pytest.mark.parametrize(
    ("role", "amount", "want"),
    [
        (p.Role.COMPETES, 100.0, (16_000.0, 8_000.0)),
        (p.Role.COMPETES, 9_000.0, (18_000.0, 9_000.0)),
        (p.Role.ADDS, 100.0, (16_200.0, 8_100.0)),
        (p.Role.LEAST, 100.0, (16_000.0, 8_000.0)),
        (p.Role.LEAST, 9_000.0, (18_000.0, 9_000.0)),
        (p.Role.AFTER, 100.0, (16_100.0, 8_100.0)),
    ],
)
def test_roles_of_charges(role, amount, want):
    terms = made.terms(charges=(p.AmountCharge(code="A", amount=amount, role=role),))
    assert asked(LONG, terms, levels=p.LevelFactors(code="L", initial=2.0)) == pytest.approx(want)


def test_a_charge_of_the_initial_level_alone():
    terms = made.terms(charges=(p.AmountCharge(code="A", amount=100.0, maintenance=False),))
    assert asked(LONG, terms) == pytest.approx((8_100.0, 8_000.0))


@pytest.mark.parametrize(("initial", "maintenance"), [(1.0, 0.0), (1.0, 1.0), (50.0, 0.8)])
def test_factors_of_levels(initial, maintenance):
    levels = p.LevelFactors(code="L", initial=initial, maintenance=maintenance)
    assert asked(LONG, levels=levels) == pytest.approx((initial * 8_000.0, maintenance * 8_000.0))


@pytest.mark.parametrize(
    ("below", "factor", "added"), [(0.5, 9.0, 0.0), (1.0, 0.0, 0.0), (1.5, 0.2, 0.1), (2.0, 3.0, 3.0)]
)
def test_a_peg_and_its_factor(below, factor, added):
    # The pool counts in dollars, which are worth one: a peg above one is missed by the rest.
    levels = p.LevelFactors(code="L", depeg=p.Depeg(code="G", below=below, factor=factor))
    assert asked(LONG, levels=levels) == pytest.approx(((1.0 + added) * 8_000.0, 8_000.0))


@pytest.mark.parametrize(("initial", "maintenance"), [(0.0, 0.0), (0.0, 1.0), (0.2, 0.1), (1.0, 0.0)])
def test_haircuts_of_collateral(initial, maintenance):
    member = p.CollateralMember(
        asset="BTC", code="B", initial_haircut=initial, maintenance_haircut=maintenance
    )
    found = asked(LONG, balances=(("BTC", 2.0), ("USD", 1e6)), collateral=(member,))
    assert found == pytest.approx((8_000.0 + 2 * F * (initial + maintenance), 8_000.0 + 2 * F * maintenance))


@pytest.mark.parametrize(("follows", "want"), [(None, 8_000.0), ("BTC", 0.0), ("ETH", 16_000.0)])
def test_what_collateral_moves_with(follows, want):
    # A coin held against a coin short is no risk; beside its own moves it is risk of another underlying.
    member = p.CollateralMember(asset="BTC", code="B", moves_with=follows)
    found = asked(SHORT, balances=(("BTC", 1.0),), collateral=(member,))
    assert found[1] == pytest.approx(want, abs=1e-8)
    assert asked(SHORT, balances=(("BTC", 1.0),), collateral_moves=True)[1] == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize(
    ("rho", "most", "want"),
    [(1.0, 0.0, 2.0), (1.0, 1.0, 0.0), (1.0, 0.8, 0.4), (0.0, 1.0, sqrt(2.0)), (-1.0, 1.0, 2.0)],
)
def test_correlation_and_the_cap_of_its_benefit(rho, most, want):
    rule = p.CorrelationOffset(code="R", pairs=(p.CorrelationPair("BTC", "ETH", rho),), benefit_most=most)
    assert asked([(FUTURE, 1), (ETH, -20)], correlation=rule)[1] == pytest.approx(want * 8_000.0, abs=1e-4)


@pytest.mark.parametrize(
    ("share", "most", "net"), [(0.0, None, 0.0), (0.5, None, 4_000.0), (1.0, 10.0, 10.0), (1.0, 1e9, 8_000.0)]
)
def test_gains_shrink_and_losses_stay(share, most, net):
    rules = made.rulebook(made.terms(gains=p.Gains(code="G", share=share, most=most)), currency="USD")
    block = made.block_of(LONG, rules, balances=(("USD", 1e6),))
    assert block.net[0, -1, 0] == pytest.approx(net)
    assert block.worst[0, 0] == pytest.approx(8_000.0)


@pytest.mark.parametrize(
    ("dampener", "want"), [(0.0, 16_000.0), (100.0, 16_000.0 - 30.25 * 100.0), (1e6, 8_000.0)]
)
def test_the_dampener_of_the_tail(dampener, want):
    terms = structs.replace(tail(factor=2.0), gains=p.Gains(code="G", share=1.0, tail_dampener=dampener))
    assert asked(SHORT, terms)[1] == pytest.approx(want)


@pytest.mark.parametrize(
    ("below", "rate", "share"), [(0.4, 1.0, 0.0), (0.6, 0.0, 0.0), (0.6, 0.1, 0.05), (1.0, 1.0, 0.5)]
)
@pytest.mark.parametrize("of_", [p.Held.FUTURES, p.Held.OPTIONS, p.Held.COLLATERAL])
def test_feeds_of_low_confidence(below, rate, share, of_):
    charge = p.ConfidenceCharge(code="F", of=of_, below=below, rate=rate, role=p.Role.ADDS)
    held = [(CALL, 1)] if of_ is p.Held.OPTIONS else LONG
    member = p.CollateralMember(asset="BTC", code="B")
    found = asked(
        held,
        charged(charge),
        balances=(("BTC", 1.0),),
        collateral=(member,),
        more={"confidence": {"BTC": 0.5}},
    )
    assert found == pytest.approx((share * F, share * F))


@pytest.mark.parametrize("source", p.VolSource)
def test_the_vol_is_that_of_the_mark_or_of_the_quote(source):
    mark = worth(vol=0.6)
    terms = vol(up=0.5)
    then = {p.VolSource.MARK: worth(vol=0.9) - worth(vol=0.6), p.VolSource.QUOTE: worth(vol=1.2) - worth()}
    found = asked([(CALL, -1)], terms, quotes={"mark": mark}, vol_source=source)[1]
    assert found == pytest.approx(then[source], rel=1e-8)


@pytest.mark.parametrize(("window", "free"), [(60.0, 1.0), (86_400.0, 0.5)])
def test_a_settlement_window_fixes_part_of_the_forward(window, free):
    # Half a day before expiry half of a day's average is known: the forward moves by the rest.
    option = made.option(55_000.0, "call", coin=False, days=0.5)
    rose = F * (1.0 + 0.2 * free)
    want = black(rose, 55_000.0, 0.8, 0.5 / 365.0, True) - black(F, 55_000.0, 0.8, 0.5 / 365.0, True)
    found = asked([(option, -1)], listed({"move": 0.2}), settlement_window_seconds=window)[1]
    assert found == pytest.approx(want, rel=1e-7)


@pytest.mark.parametrize(("digits", "want"), [(None, 0.190476190476), (0, 0.0), (3, 0.19), (9, 0.190476190)])
def test_digits_of_the_worst_case(digits, want):
    pooled = made.pooled_of([(made.inverse(), F)], made.rulebook(worst_digits=digits))
    assert pooled.maintenance[0, 0] == pytest.approx(want, abs=1e-12)


def test_a_discounted_option_counts_at_its_forward_value():
    terms = listed({"move": 0.2})
    plain = asked([(CALL, -1)], terms, quotes={"rate": RATE})[1]
    assert plain == pytest.approx(worth(60_000.0) - worth(), rel=1e-9)
    less = asked([(CALL, -1)], terms, quotes={"rate": RATE}, discounting=True, vol_source=p.VolSource.QUOTE)[
        1
    ]
    assert less == pytest.approx(plain / GROWN, rel=1e-9)


def test_every_field_of_the_model_stands_in_this_table():
    """A field that is new must be given its vectors here."""
    told = {
        p.EvenGrid: {"range", "each_side", "vols"},
        p.Tail: {"code", "moves", "factor", "vol"},
        p.Cell: {"move", "vol", "weight"},
        p.VolShock: {"code", "up", "down", "unit", "power_short", "power_long", "days_least", "vol_least_up"},
        p.SkewShock: {"code", "linear_cap", "linear_base", "absolute_cap", "absolute_base", "width_least"}
        | {"width_scale", "vol_static", "vol_slope"},
        p.StaticDiscount: {"code", "long_base", "long_multiple", "long_add"}
        | {"short_base", "short_multiple", "short_add"},
        p.Gains: {"code", "share", "most", "tail_dampener"},
        p.LevelFactors: {"code", "initial", "maintenance", "depeg"},
        p.Depeg: {"code", "below", "factor"},
        p.CollateralMember: {"asset", "code", "moves_with", "initial_haircut", "maintenance_haircut"},
        p.CorrelationOffset: {"code", "pairs", "benefit_most"},
    }
    for form, names in told.items():
        assert {f.name for f in structs.fields(form)} == names

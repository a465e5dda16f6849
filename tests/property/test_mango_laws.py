"""Laws of Mango's health for every snapshot, and of the steps that liquidate one."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from margrave.core.errors import RefusedError
from margrave.protocols.binary_fixed import I80F48
from margrave.protocols.mango import (
    Health,
    Orders,
    Perp,
    Snapshot,
    Token,
    Weights,
    asset_price,
    assets_and_debts,
    effective_balance,
    health,
    health_of,
    in_fixed_point,
    liability_price,
    most_withdrawable,
    weighted_prices,
    with_change,
)
from margrave.protocols.mango_liquidation import PerpTerms, liquidate_perp, liquidate_token

END = Health.LIQUIDATION_END
KINDS = st.sampled_from(Health)
BALANCE = st.floats(-1e6, 1e6).map(lambda x: round(x, 6))
PRICE = st.floats(1e-3, 1e4)
SHARE = st.floats(0.0, 1.0)
OVERALL = st.just(0.0) | st.floats(0.01, 1.0)
NAMES = ("a", "b", "c")


@st.composite
def weights(draw) -> tuple[Weights, Weights]:
    """Initial and maintenance weights, the initial ones stricter."""
    low, high = sorted((draw(SHARE), draw(SHARE)))
    near, far = sorted((draw(SHARE), draw(SHARE)))
    return Weights(low, 1 + far), Weights(high, 1 + near)


@st.composite
def tokens(draw, name: str) -> Token:
    init, maint = draw(weights())
    stable = draw(st.none() | PRICE)
    deposits, borrows = draw(st.floats(0, 1e6)), draw(st.floats(0, 1e6))
    starts = st.floats(1.0, 1e9)
    return Token(
        name, draw(BALANCE), draw(PRICE), init, maint, stable, deposits, borrows, draw(starts), draw(starts)
    )


@st.composite
def perps(draw, name: str, orders: bool = True) -> Perp:
    init, maint = draw(weights())
    low, high = sorted((draw(OVERALL), draw(OVERALL)))
    lots, count = st.integers(-1000, 1000), st.integers(0, 1000) if orders else st.just(0)
    return Perp(
        name,
        draw(st.sampled_from(NAMES)),
        draw(PRICE),
        draw(lots),
        draw(BALANCE),
        init,
        maint,
        low,
        high,
        draw(st.floats(0.01, 10.0)),
        draw(count),
        draw(count),
        draw(st.none() | PRICE),
    )


RESERVED = st.floats(0, 1e5)


@st.composite
def snapshots(draw, markets: tuple[tuple[str, str], ...] = (), perp_orders: bool = True) -> Snapshot:
    held = tuple(draw(tokens(name)) for name in NAMES)
    orders = tuple(Orders(base, quote, draw(RESERVED), draw(RESERVED)) for base, quote in markets)
    positions = tuple(draw(perps(name, perp_orders)) for name in ("p", "q")[: draw(st.integers(0, 2))])
    return Snapshot(held, orders, positions)


def size(snapshot: Snapshot, kind: Health) -> float:
    """How large the numbers are that health is the difference of."""
    parts = sum(abs(p.health) for p in health_of(snapshot, kind).parts)
    quotes = sum((abs(p.quote) + abs(p.lots) * p.lot_size * p.oracle) for p in snapshot.perps)
    prices = max(weighted_prices(t, kind)[1] for t in snapshot.tokens)
    reserved = sum(abs(o.reserved_base) + abs(o.reserved_quote) for o in snapshot.orders)
    return 1.0 + parts + (quotes + reserved) * prices


@given(snapshots(markets=(("a", "b"),)))
def test_health_for_new_risk_is_the_strictest_and_that_of_the_start_the_mildest(snapshot):
    # Orders convert at slow prices for new risk and at the oracle else: compare without them.
    bare = replace(snapshot, orders=())
    noise = 1e-9 * size(bare, Health.INIT)
    assert health(bare, Health.INIT) <= health(bare, END) + noise
    assert health(bare, END) <= health(bare, Health.MAINT) + noise


@given(snapshots(markets=(("a", "b"),)), st.sampled_from(NAMES), st.floats(0, 1e6), KINDS)
def test_a_token_more_adds_between_its_two_weighted_prices(snapshot, name, more, kind):
    low, high = weighted_prices(snapshot.token(name), kind)
    gained = health(with_change(snapshot, name, more), kind) - health(snapshot, kind)
    noise = 1e-9 * (size(snapshot, kind) + more * high)
    assert more * min(low, high) - noise <= gained <= more * high + noise


@given(snapshots(markets=(("a", "b"),)), KINDS)
def test_one_market_counts_exactly_its_worse_case(snapshot, kind):
    assume(snapshot.orders[0].reserved_base and snapshot.orders[0].reserved_quote)
    worst = min(health(filled, kind) for filled in fills(snapshot, kind))
    assert health(snapshot, kind) == pytest.approx(worst, abs=1e-9 * size(snapshot, kind))


@given(snapshots(markets=(("a", "b"), ("b", "c"), ("a", "c"))), KINDS)
def test_several_markets_count_at_most_their_worst_case(snapshot, kind):
    assume(all(o.reserved_base and o.reserved_quote for o in snapshot.orders))
    worst = min(health(filled, kind) for filled in fills(snapshot, kind))
    assert health(snapshot, kind) <= worst + 1e-9 * size(snapshot, kind)


def fills(snapshot: Snapshot, kind: Health):
    """Every way in which each market's orders become all base or all quote."""
    for choice in product((True, False), repeat=len(snapshot.orders)):
        filled = replace(snapshot, orders=())
        for orders, to_base in zip(snapshot.orders, choice, strict=True):
            base, quote = snapshot.token(orders.base), snapshot.token(orders.quote)
            if to_base:
                rate = asset_price(quote.oracle, quote.stable, kind) / liability_price(
                    base.oracle, base.stable, kind
                )
                filled = with_change(filled, base.name, orders.reserved_base + orders.reserved_quote * rate)
            else:
                rate = asset_price(base.oracle, base.stable, kind) / liability_price(
                    quote.oracle, quote.stable, kind
                )
                filled = with_change(filled, quote.name, orders.reserved_quote + orders.reserved_base * rate)
        yield filled


@given(snapshots(), KINDS, st.integers(1, 100))
def test_orders_in_a_perpetual_never_help(snapshot, kind, more):
    wider = tuple(replace(p, bids=p.bids + more, asks=p.asks + more) for p in snapshot.perps)
    changed = health(replace(snapshot, perps=wider), kind)
    assert changed <= health(snapshot, kind) + 1e-9 * size(replace(snapshot, perps=wider), kind)


@given(snapshots(markets=(("a", "b"), ("b", "c"))), KINDS)
def test_assets_and_debts_are_health_split(snapshot, kind):
    split = assets_and_debts(snapshot, kind)
    assert split.assets >= 0.0
    assert split.debts >= 0.0
    noise = 1e-9 * (size(snapshot, kind) + split.assets + split.debts)
    assert split.assets - split.debts == pytest.approx(health(snapshot, kind), abs=noise)


@given(snapshots(markets=(("a", "b"),)), st.sampled_from(NAMES), KINDS)
def test_the_most_that_may_leave_is_the_last_that_may(snapshot, name, kind):
    most = most_withdrawable(snapshot, name, kind)
    if health(snapshot, kind) <= 0.0:
        assert most == 0.0
        return
    noise = 1e-6 * size(snapshot, kind) / weighted_prices(snapshot.token(name), kind)[1]
    assert health(with_change(snapshot, name, -most), kind) >= 0.0
    beyond = health(with_change(snapshot, name, -most * (1 + 1e-6) - noise), kind)
    assert beyond <= 1e-9 * size(snapshot, kind) or most > 1e12


# --- liquidation ---


def short_by(snapshot: Snapshot, shortage: float) -> Snapshot:
    """The snapshot with a plain token more, so that health at the end of a liquidation is minus the shortage."""
    plain = Weights(1.0, 1.0)
    rest = Token("usd", -shortage - health(snapshot, END), 1.0, plain, plain)
    return replace(snapshot, tokens=(*snapshot.tokens, rest))


@given(
    snapshots(perp_orders=False),
    st.floats(1e-6, 1e6),
    st.floats(1e-6, 1e6),
    st.floats(0, 1),
    st.floats(0, 0.1),
)
def test_a_token_step_never_worsens_and_never_overshoots(snapshot, owned, owed, short, fee):
    a, b, c = snapshot.tokens
    a, b = replace(a, balance=owned), replace(b, balance=-owed)
    snapshot = short_by(replace(snapshot, tokens=(a, b, c)), short * owned * a.oracle)
    try:
        done = liquidate_token(snapshot, "a", "b", 1e9, fee)
    except RefusedError:
        return
    before, after = health(snapshot, END), health(done.snapshot, END)
    noise = 1e-9 * size(snapshot, END)
    assert before - noise <= after <= noise
    left = [effective_balance(done.snapshot, name, END) for name in "ab"]
    assert min(done.snapshot.token("a").balance, left[0]) >= -1e-9 * (owned + abs(left[0]))
    assert max(done.snapshot.token("b").balance, left[1]) <= 1e-9 * (owed + abs(left[1]))
    half = liquidate_token(snapshot, "a", "b", 0.5 * done.liability, fee)
    assert half.liability == 0.5 * done.liability


LIMITS = st.sampled_from([1.0, 0.5, 0.01])
TERMS = st.tuples(LIMITS, LIMITS, st.floats(0, 0.2), st.floats(0, 0.5))


@st.composite
def perp_cases(draw) -> tuple[Snapshot, PerpTerms]:
    perp = draw(perps("x", orders=False))
    worth = abs(perp.lots) * perp.lot_size * perp.oracle
    perp = replace(perp, quote=-perp.lots * perp.lot_size * perp.oracle + draw(st.floats(-1, 1)) * worth)
    bare = draw(snapshots(perp_orders=False))
    price = bare.token(perp.settle).oracle
    snapshot = short_by(replace(bare, perps=(*bare.perps, perp)), draw(SHARE) * worth * price)
    base, profit, base_fee, profit_fee = draw(TERMS)
    return snapshot, PerpTerms(round(base * perp.lots), profit * worth, base_fee, profit_fee)


@given(perp_cases())
def test_a_perpetual_step_never_worsens_and_keeps_every_limit(case):
    snapshot, terms = case
    before, perp = health(snapshot, END), snapshot.perps[-1]
    done = liquidate_perp(snapshot, "x", terms)
    after, left = health(done.snapshot, END), done.snapshot.perps[-1]
    noise = 1e-8 * size(snapshot, END)
    weight = 1.0 - perp.init.asset if perp.lots > 0 else perp.init.liability - 1.0
    lot = perp.lot_size * perp.oracle * weight  # what one lot too many may add to profit
    assert before - noise <= after
    assert after <= max(before, lot * weighted_prices(snapshot.token(perp.settle), END)[1]) + noise
    assert left.lots * perp.lots >= 0
    assert abs(perp.lots - left.lots) <= abs(terms.most_base)
    assert sum(s.settled for s in done.steps) <= terms.most_profit * (1 + 1e-12)
    assert [s.part for s in done.steps] == sorted({s.part for s in done.steps})
    assert liquidate_perp(done.snapshot, "x", terms).steps == () or after < noise


@given(perp_cases(), PRICE)
def test_the_slow_price_and_the_bank_never_move_the_target(case, price):
    snapshot, terms = case
    calm = replace(
        snapshot,
        tokens=tuple(replace(t, stable=price, deposits=0.0, borrows=0.0) for t in snapshot.tokens),
        perps=tuple(replace(p, stable=price) for p in snapshot.perps),
    )
    assert liquidate_perp(snapshot, "x", terms).steps == liquidate_perp(calm, "x", terms).steps


@given(snapshots(markets=(("a", "b"), ("b", "c"))), KINDS)
def test_fixed_point_agrees_with_floats(snapshot, kind):
    exact = health(in_fixed_point(snapshot), kind)
    assert isinstance(exact, I80F48)
    # A scaled weight has 48 bits after the point: what it weighs is off by as much.
    weighed = sum(abs(t.balance) * t.oracle for t in snapshot.tokens) * 2.0**-46
    noise = 1e-7 * size(snapshot, kind) + weighed
    assert float(exact) == pytest.approx(health(snapshot, kind), abs=noise)

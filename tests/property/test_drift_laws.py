"""Laws of Drift's integers for every account: monotone, exact to the last unit, never rounded the wrong way."""

from dataclasses import replace
from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from margrave.protocols import drift_liquidation as liquidation
from margrave.protocols.drift import (
    BASE,
    MAX_U64,
    MAX_U128,
    PRICE,
    WEIGHT,
    Levels,
    MarginType,
    PerpMarket,
    SpotMarket,
    asset_weight,
    liability_weight,
    perp_margin_ratio,
    token_value,
    unrealised_asset_weight,
)
from margrave.protocols.drift_account import Margin, account_margin, equity
from margrave.protocols.drift_liquidation import Leg, PerpTerms
from margrave.protocols.drift_positions import (
    Context,
    DriftAccount,
    PerpPosition,
    QuoteBalance,
    SpotPosition,
)

MAINTENANCE = MarginType.MAINTENANCE
SIZE = st.integers(0, 2**63)
IMF = st.integers(0, 200_000)
PRICES = st.integers(1, 10**12)
NEAR_ONE = st.integers(900_000, 1_100_000)
TYPES = st.sampled_from(MarginType)


@st.composite
def ordered(draw, low: int, high: int) -> tuple[int, int]:
    first, second = draw(st.integers(low, high)), draw(st.integers(low, high))
    return max(first, second), min(first, second)


@st.composite
def spot_markets(draw, imf=IMF) -> SpotMarket:
    asset, liability = draw(ordered(0, WEIGHT)), draw(ordered(WEIGHT, 3 * WEIGHT))
    price = draw(PRICES)
    twap = draw(st.none() | st.integers(max(1, price // 2), 2 * price))
    return SpotMarket(
        "S", draw(st.integers(0, 12)), price, Levels(*asset[::-1]), Levels(*liability), draw(imf), twap
    )


@st.composite
def perp_markets(draw, imf=IMF) -> PerpMarket:
    ratio, gains = draw(ordered(1, WEIGHT)), draw(ordered(0, WEIGHT))
    return PerpMarket("P", draw(PRICES), Levels(*ratio), imf=draw(imf), pnl_weight=Levels(*gains[::-1]))


@st.composite
def accounts(draw, imf=IMF, orders: bool = True) -> DriftAccount:
    quote = QuoteBalance(draw(st.integers(-(10**15), 10**15)), draw(NEAR_ONE), draw(st.none() | NEAR_ONE))
    amount = st.integers(-(10**15), 10**15)
    bids, asks = (st.integers(0, 10**15), st.integers(-(10**15), 0)) if orders else (st.just(0), st.just(0))
    spots = draw(st.lists(st.builds(SpotPosition, spot_markets(imf), amount, bids, asks), max_size=2))
    perps = draw(st.lists(st.builds(PerpPosition, perp_markets(imf), amount, amount, bids, asks), max_size=2))
    return DriftAccount(quote, tuple(spots), tuple(perps))


def margin(account: DriftAccount, margin_type: MarginType, **context) -> Margin:
    return account_margin(account, Context(margin_type, **context)).cross


def free(of: Margin) -> int:
    return of.collateral - of.requirement


# --- weights ---


@given(spot_markets(), SIZE, SIZE, TYPES)
def test_a_larger_deposit_never_weighs_more_and_a_larger_debt_never_less(market, size, more, margin_type):
    assert asset_weight(market, size + more, margin_type) <= asset_weight(market, size, margin_type)
    assert liability_weight(market, size + more, margin_type) >= liability_weight(market, size, margin_type)


@given(perp_markets(), SIZE, SIZE, TYPES)
def test_a_larger_position_never_has_a_lower_ratio(market, size, more, margin_type):
    assert perp_margin_ratio(market, size + more, margin_type) >= perp_margin_ratio(market, size, margin_type)


@given(perp_markets(), st.integers(1, WEIGHT), SIZE, TYPES)
def test_high_leverage_lies_between_its_own_ratio_and_the_normal_one(market, high, size, margin_type):
    mode = Levels(
        max(2, market.ratio.initial * high // WEIGHT), max(1, market.ratio.maintenance * high // WEIGHT)
    )
    market = replace(market, high_leverage=mode)
    ratio = perp_margin_ratio(market, size, margin_type, high_leverage=True)
    assert (
        mode.at(margin_type)
        <= ratio
        <= max(mode.at(margin_type) + 1, perp_margin_ratio(market, size, margin_type))
    )


@given(perp_markets(), st.integers(1, 2**62), st.integers(0, 2**62), IMF, TYPES)
def test_a_larger_gain_never_weighs_more_in_all(market, gain, more, imf, margin_type):
    market = replace(market, pnl_imf=imf)
    weight = unrealised_asset_weight(market, gain, margin_type)
    assert unrealised_asset_weight(market, gain + more, margin_type) <= weight <= WEIGHT


# --- accounts ---


@given(accounts(), TYPES, st.integers(0, 10**15))
def test_a_deposit_of_quote_frees_at_most_its_value(account, margin_type, more):
    after = replace(account, quote=replace(account.quote, amount=account.quote.amount + more))
    gained = free(margin(after, margin_type)) - free(margin(account, margin_type))
    assert 0 <= gained <= more * account.quote.price // PRICE + 1


@given(accounts(), TYPES)
def test_a_strict_price_never_helps(account, margin_type):
    holdings = 4 * (len(account.spots) + len(account.perps) + 1)  # each is cut a few times
    strict = free(margin(account, margin_type, strict=True))
    assert strict <= free(margin(account, margin_type)) + holdings


@given(accounts())
def test_initial_asks_at_least_as_much_as_maintenance(account):
    assert free(margin(account, MarginType.INITIAL)) <= free(margin(account, MAINTENANCE)) + 4


@given(accounts(), TYPES, st.integers(0, 3 * WEIGHT), st.integers(0, WEIGHT))
def test_own_ratios_only_ask_for_more(account, margin_type, ratio, more):
    # Under own ratios tokens weigh as for initial, whatever is asked: compare like with like.
    low = free(margin(account, margin_type, ratio_override=ratio + 1))
    assert free(margin(account, margin_type, ratio_override=ratio + 1 + more)) <= low


@given(accounts(), st.integers(0, WEIGHT), st.integers(0, WEIGHT))
def test_a_buffer_asks_for_more_and_leaves_the_margin_itself(account, buffer, more):
    plain, small, large = (margin(account, MAINTENANCE, buffer=b) for b in (0, buffer, buffer + more))
    assert free(plain) == free(small)
    assert plain.requirement_with_buffer == plain.requirement
    assert small.requirement_with_buffer <= large.requirement_with_buffer
    assert small.collateral_with_buffer >= large.collateral_with_buffer
    assert small.shortage <= large.shortage


@given(accounts(), TYPES, st.integers(1, 10**12))
def test_orders_never_free_margin(account, margin_type, size):
    def with_orders(position):
        return replace(position, bids=position.bids + size, asks=position.asks - size)

    more = replace(
        account,
        spots=tuple(map(with_orders, account.spots)),
        perps=tuple(map(with_orders, account.perps)),
    )
    assert free(margin(more, margin_type)) <= free(margin(account, margin_type)) + 2 * len(account.spots)


@given(accounts(imf=st.just(0), orders=False), TYPES)
def test_integers_agree_with_exact_fractions(account, margin_type):
    """A slow twin: the rule without orders and size terms, in fractions and without any rounding."""
    requirement, collateral = Fraction(0), Fraction(0)
    quote = Fraction(account.quote.price, PRICE)
    values = [(account.quote.amount * quote, Levels(WEIGHT, WEIGHT), Levels(WEIGHT, WEIGHT))]
    values += [
        (Fraction(s.amount * s.market.price, 10**s.market.decimals), s.market.asset, s.market.liability)
        for s in account.spots
    ]
    for value, asset, liability in values:
        collateral += max(value, Fraction(0)) * asset.at(margin_type) / WEIGHT
        requirement -= min(value, Fraction(0)) * liability.at(margin_type) / WEIGHT
    for p in account.perps:
        worth = Fraction(p.base * p.market.price, BASE)
        requirement += abs(worth) * quote * p.market.ratio.at(margin_type) / WEIGHT
        profit = worth + p.quote
        gains = p.market.pnl_weight.maintenance if margin_type is MAINTENANCE else p.market.pnl_weight.initial
        counted = (profit * gains / WEIGHT if profit > 0 else profit) * quote
        collateral += min(counted, 100 * PRICE) if margin_type is MarginType.INITIAL else counted
    got = margin(account, margin_type)
    holdings = 4 * (1 + len(account.spots) + len(account.perps))
    assert abs(got.requirement - requirement) <= holdings
    assert abs(got.collateral - collateral) <= holdings


@given(accounts(imf=st.just(0), orders=False))
def test_equity_is_what_full_weights_leave(account):
    full = Levels(WEIGHT, WEIGHT)
    bare = replace(
        account,
        spots=tuple(replace(s, market=replace(s.market, asset=full, liability=full)) for s in account.spots),
        perps=tuple(
            replace(p, market=replace(p.market, ratio=Levels(0, 0), pnl_weight=full)) for p in account.perps
        ),
    )
    assert free(margin(bare, MAINTENANCE)) == equity(account)


# --- rounding ---


@given(st.integers(-(2**120), 2**120), st.integers(0, 19), PRICES)
def test_a_value_is_never_above_the_exact_one(amount, decimals, price):
    exact = Fraction(amount * price, 10**decimals)
    assert exact - 1 < token_value(amount, decimals, price) <= exact


LEGS = st.builds(Leg, PRICES, st.integers(0, 12), st.integers(800_000, 1_200_000), st.integers(1, 2 * WEIGHT))
AMOUNT = st.integers(0, 10**18)


@given(AMOUNT, LEGS, LEGS)
def test_an_account_is_never_paid_less_than_its_asset_is_worth(amount, asset, liability):
    paid = liquidation.liability_for_asset(amount, asset, liability)
    worth = Fraction(amount * asset.price * liability.multiplier, asset.multiplier * 10**asset.decimals)
    assert paid * Fraction(liability.price, 10**liability.decimals) >= worth


@given(AMOUNT, LEGS, AMOUNT, LEGS)
def test_a_liquidator_never_takes_more_than_is_paid_for_beyond_dust(balance, asset, amount, liability):
    taken = liquidation.asset_for_liability(balance, asset, amount, liability)
    assume(taken != balance)
    paid = Fraction(
        amount * liability.price * asset.multiplier, liability.multiplier * 10**liability.decimals
    )
    assert taken == 1 or taken * Fraction(asset.price, 10**asset.decimals) <= paid


@given(st.integers(-(2**70), -1), st.integers(0, 2**62), st.integers(-(2**62), 0))
def test_a_socialised_loss_is_wholly_paid(loss, long, short):
    assume(long or short)
    step = liquidation.funding_step_for_loss(loss, long, short)
    paid = Fraction(step, liquidation.FUNDING_PER_QUOTE) * (long - short) / BASE
    assert -loss <= paid < -loss + Fraction(long - short, BASE)


@given(st.integers(0, 2**80), st.integers(1, 2**80), st.integers(1, 2**60))
def test_depositors_bear_all_of_a_token_loss(loss, deposits, index):
    cut = liquidation.deposit_index_cut(loss, deposits, index)
    assert loss * index <= cut * deposits < loss * index + deposits


# --- liquidation ---


@given(AMOUNT, st.integers(1, 5000), st.integers(0, 100_000), PRICES, NEAR_ONE, st.integers(0, 50_000))
def test_base_covers_the_shortage_to_one_unit(shortage, ratio, fee, price, quote_price, insurance):
    terms = PerpTerms(ratio, fee, price, quote_price)
    base = liquidation.base_to_cover_shortage(shortage, terms, insurance)
    assume(base < MAX_U64)
    freed = Fraction(terms.value * (ratio * 100 - fee) // 10**6 - price * insurance // 10**6, BASE)
    assert base * freed <= shortage < (base + 1) * freed


@given(AMOUNT, LEGS, LEGS, st.integers(0, 50_000), AMOUNT)
def test_a_larger_shortage_needs_a_larger_transfer(shortage, asset, liability, fee, more):
    least = liquidation.liability_to_cover_shortage(shortage, asset, liability, fee)
    assert (
        1
        <= least
        <= liquidation.liability_to_cover_shortage(shortage + more, asset, liability, fee)
        <= MAX_U128
    )


@given(AMOUNT, st.integers(0, 2**62), st.integers(0, 200_000), st.integers(1, 5000), PRICES, AMOUNT)
def test_an_insurance_fee_leaves_the_ratio_unspent(shortage, base, fee, ratio, price, more):
    terms = PerpTerms(ratio, fee, price)
    paid = liquidation.perp_insurance_fee(shortage, base, terms, 50_000)
    assert 0 <= paid <= max(0, ratio * 100 - fee)
    assert liquidation.perp_insurance_fee(shortage + more, base, terms, 50_000) <= paid


@given(
    st.integers(1, 10**15),
    st.integers(0, 10**4),
    st.integers(0, WEIGHT),
    st.integers(0, 1000),
    AMOUNT,
    AMOUNT,
)
def test_the_share_grows_with_time_and_never_beyond_all(shortage, slots, initial, duration, freed, later):
    now = liquidation.share_to_liquidate(shortage, slots, initial, duration, freed)
    assert (
        0
        <= now
        <= liquidation.share_to_liquidate(shortage, slots + later, initial, duration, freed)
        <= WEIGHT
    )


@given(
    st.integers(1, 10**13),
    st.sampled_from([-1, 1]),
    st.integers(10**4, 10**10),
    st.integers(0, 10**6),
    st.integers(200, 2000),
    st.integers(0, 15_000),
)
def test_closing_what_covers_the_shortage_never_worsens_and_ends_it(size, side, price, short_by, ratio, fee):
    market = PerpMarket("P", price, Levels(ratio, ratio))
    value = size * price // BASE
    missing = value * ratio // WEIGHT * short_by // 10**6  # equity below the requirement by up to all of it
    quote = value * ratio // WEIGHT - missing
    perp = PerpPosition(market, side * size, -side * value)
    before = margin(DriftAccount(QuoteBalance(quote), perps=(perp,)), MAINTENANCE)
    base = min(size, liquidation.base_to_cover_shortage(before.shortage, PerpTerms(ratio, fee, price), 0))
    paid = base * price // BASE - side * (base * price // BASE * fee // 10**6)
    left = replace(perp, base=side * (size - base), quote=perp.quote + side * paid)
    after = margin(DriftAccount(QuoteBalance(quote), perps=(left,)), MAINTENANCE)
    assert after.shortage <= before.shortage + 3
    if base < size:
        assert after.shortage <= 3 + price // BASE

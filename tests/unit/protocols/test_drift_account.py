"""Whole Drift accounts: figures of the protocol's own tests (spec defi 3.2), and each part by hand."""

from dataclasses import replace

import pytest

from margrave.core.errors import InvalidInputError
from margrave.protocols.drift import BASE, MAX_U64, PRICE, WEIGHT, Levels, MarginType, PerpMarket, SpotMarket
from margrave.protocols.drift_account import Margin, account_margin, equity, withdrawable
from margrave.protocols.drift_positions import (
    Context,
    DriftAccount,
    Part,
    PerpPosition,
    QuoteBalance,
    SpotPosition,
    perp_liability,
    worst_fill,
)

INITIAL, FILL, MAINTENANCE = MarginType
USD = 10**6
SOL = SpotMarket("SOL", 9, 100 * PRICE, Levels(8000, 9000), Levels(12000, 11000))
SOL_PERP = PerpMarket("SOL", 100 * PRICE, Levels(1000, 500))
GAINS = replace(SOL_PERP, pnl_weight=Levels(8000, 9000))


def account(*, usdc=0, sol=None, perp=None, price=PRICE, twap=None, **more) -> DriftAccount:
    spots = (
        () if sol is None else (sol,) if isinstance(sol, SpotPosition) else (SpotPosition(SOL, sol * BASE),)
    )
    return DriftAccount(QuoteBalance(usdc, price, twap), spots, () if perp is None else (perp,), **more)


def cross(held: DriftAccount, margin_type: MarginType = INITIAL, **context) -> Margin:
    return account_margin(held, Context(margin_type, **context)).cross


def two(margin: Margin) -> tuple[int, int]:
    return margin.requirement, margin.collateral


def test_an_empty_account_needs_and_has_nothing():
    assert two(cross(account())) == (0, 0)
    assert cross(account()).parts == ()


@pytest.mark.parametrize(
    ("sol", "asks", "usdc", "requirement", "collateral"),
    [
        (0, -500, 10_000, 60_000_010_000, 60_000_000_000),  # usdc_deposit_and_5x_sol_ask
        (500, -3000, 0, 300_000_010_000, 300_000_000_000),  # sol_deposit_and_5x_sol_ask
    ],
)
def test_asks_become_a_debt_and_cash(sol, asks, usdc, requirement, collateral):
    held = account(usdc=usdc * USD, sol=SpotPosition(SOL, sol * BASE, asks=asks * BASE, open_orders=1))
    margin = cross(held)
    assert two(margin) == (requirement, collateral)
    assert [p.name for p in margin.parts if p.name != "quote"] == [
        "spot SOL",
        "spot SOL orders",
        "spot SOL order fee",
    ]


def test_bids_become_a_deposit_and_a_debt_of_quote():
    margin = cross(account(usdc=10_000 * USD, sol=SpotPosition(SOL, 0, bids=500 * BASE, open_orders=2)))
    # 500 SOL at 80 % of 50,000 and the 50,000 that they cost, two fees of a cent
    assert two(margin) == (50_000 * USD + 20_000, 50_000 * USD)
    assert margin.debts == 0  # the chain counts the balance after the fill, which is a deposit


def test_the_worse_side_of_both_binds_and_orders_that_close_a_debt_leave_none():
    position = SpotPosition(SOL, -10 * BASE, bids=10 * BASE, asks=-BASE, open_orders=2)
    fill = worst_fill(position, Context(INITIAL))
    assert (fill.amount, fill.value, fill.cash) == (-11 * BASE, -1100 * USD, 100 * USD)
    assert fill.contribution == -1220 * USD
    closing = worst_fill(SpotPosition(SOL, -10 * BASE, bids=10 * BASE), Context(INITIAL))
    assert closing.amount == -10 * BASE  # -1,200 is worse than -1,000: asks of nothing


def test_an_order_whose_fill_leaves_no_balance_counts_as_a_debt():
    margin = cross(account(sol=SpotPosition(SOL, 0, open_orders=1)))
    assert two(margin) == (10_000, 0)
    assert margin.debts == 1


@pytest.mark.parametrize(
    ("own", "override", "position", "margin_type", "requirement"),
    [
        (20_000, 0, 0, INITIAL, 50_000),  # user_custom_margin_ratio: 10,000 SOL short at 3, perp at 2
        (10_000, 0, 0, INITIAL, 30_000),
        (5_000, 0, 0, INITIAL, 20_000),
        (0, 5_000, 0, INITIAL, 20_000),  # margin_ratio_override
        (20_000, 5_000, 0, INITIAL, 50_000),  # the larger of both
        (5_000, 20_000, 0, INITIAL, 50_000),
        (0, 0, 5_000, INITIAL, 17_000),  # the position's own: its perpetual alone
        (20_000, 0, 20_000, MAINTENANCE, 11_500),  # own ratios are for initial only
        (20_000, 0, 20_000, FILL, 12_250),
        (0, 20_000, 0, MAINTENANCE, 50_000),  # an override is for all
    ],
)
def test_own_ratios(own, override, position, margin_type, requirement):
    held = account(
        usdc=100 * USD, sol=-100, perp=PerpPosition(SOL_PERP, 100 * BASE, 0, ratio=position), ratio=own
    )
    assert cross(held, margin_type, ratio_override=override).requirement == requirement * USD


@pytest.mark.parametrize(("ratio", "collateral"), [(0, 8_000), (1_000, 8_000), (5_000, 5_000), (20_000, 0)])
def test_an_own_ratio_lowers_a_deposit(ratio, collateral):
    assert cross(account(sol=100, ratio=ratio)).collateral == collateral * USD


def test_strict_prices_take_the_lower_for_deposits_and_the_higher_for_debts():
    sol = SpotPosition(replace(SOL, twap=110 * PRICE), -100 * BASE)
    held = account(usdc=10_000 * USD, sol=sol, twap=900_000)
    assert two(cross(held, MAINTENANCE, strict=True)) == (12_100 * USD, 9_000 * USD)  # strict_maintenance
    assert two(cross(held, MAINTENANCE)) == (11_000 * USD, 10_000 * USD)


@pytest.mark.parametrize("twap", [990_000, 1_000_000, None])
def test_a_borrow_of_quote_counts_fully_at_the_higher_price(twap):
    margin = cross(account(usdc=-USD, price=1_010_000, twap=twap), strict=True)
    assert two(margin) == (1_010_000, 0)
    assert margin.debts == 1


def test_a_perpetual_is_margined_at_the_higher_quote_price_and_gains_at_the_lower():
    perp = PerpPosition(GAINS, BASE, -50 * USD)
    held = account(usdc=10 * USD, perp=perp, price=1_010_000, twap=950_000)
    margin = cross(held, strict=True)
    assert two(margin) == (10_100_000, 9_500_000 + 38_000_000)  # 50 gained at 80 % and .95


@pytest.mark.parametrize(("margin_type", "collateral"), [(INITIAL, 100), (FILL, 3_200), (MAINTENANCE, 3_600)])
def test_gains_count_up_to_100_dollars_for_initial(margin_type, collateral):
    held = account(perp=PerpPosition(GAINS, 100 * BASE, -6_000 * USD))
    assert cross(held, margin_type).collateral == collateral * USD


def test_funding_is_part_of_profit():
    held = account(perp=PerpPosition(SOL_PERP, BASE, -100 * USD, funding=-3 * USD))
    assert cross(held).collateral == -3 * USD
    assert equity(held) == -3 * USD


@pytest.mark.parametrize(
    ("base", "bids", "asks", "worst"),
    [(1, 4, -2, 5), (1, 4, -7, -6), (-1, 4, -2, -3), (1, 1, -3, -2), (0, 0, 0, 0)],
)
def test_the_larger_position_after_fills_is_margined(base, bids, asks, worst):
    perp = PerpPosition(
        SOL_PERP, base * BASE, -base * 100 * USD, bids=bids * BASE, asks=asks * BASE, open_orders=3
    )
    margin = cross(account(perp=perp))
    assert margin.requirement == abs(worst) * 10 * USD + 30_000
    assert margin.debts == 1


@pytest.mark.parametrize(
    ("base", "quote", "price", "margin_type", "requirement", "collateral"),
    [
        (
            -1,
            750_000,
            250_000,
            INITIAL,
            750_000,
            0,
        ),  # calculate_perp_position_value_and_pnl_prediction_market
        (-1, 750_000, 250_000, MAINTENANCE, 749_925, 500_000),
        (1, -250_000, 750_000, MAINTENANCE, 749_925, 500_000),
        (-1, 0, 1_250_000, MAINTENANCE, 0, -1_250_000),  # a price above one leaves nothing more to lose
    ],
)
def test_a_prediction_can_lose_what_is_left_to_one(base, quote, price, margin_type, requirement, collateral):
    market = PerpMarket("WIN", price, Levels(10_000, 9_999), pnl_weight=Levels(0, 10_000), prediction=True)
    held = account(perp=PerpPosition(market, base * BASE, quote))
    assert two(cross(held, margin_type)) == (requirement, collateral)


def test_orders_on_a_prediction_are_compared_by_value():
    market = PerpMarket("WIN", 250_000, Levels(10_000, 10_000), prediction=True)
    assert perp_liability(market, 2 * BASE) == 500_000
    perp = PerpPosition(market, 0, 0, bids=2 * BASE, asks=-BASE)
    assert cross(account(perp=perp)).requirement == 750_000  # one short is worth more than two long


def test_a_settling_market_asks_for_nothing_and_values_at_expiry():
    market = replace(GAINS, expiry_price=90 * PRICE)
    margin = cross(account(perp=PerpPosition(market, BASE, -100 * USD)))
    assert two(margin) == (0, -10 * USD)


def test_an_isolated_position_stands_alone_and_the_buffer_is_on_liabilities_and_losses():
    perp = PerpPosition(SOL_PERP, 100 * BASE, -11_000 * USD, isolated_deposit=100 * USD)
    held = account(usdc=20_000 * USD, sol=-100, perp=perp)
    plain = account_margin(held, Context(INITIAL))
    assert two(plain.cross) == (12_000 * USD, 20_000 * USD)
    assert two(plain.isolated[0]) == (1_000 * USD, -900 * USD)
    ending = account_margin(held, Context(INITIAL, buffer=1000))
    assert two(ending.cross) == two(plain.cross)  # the requirement itself does not move
    assert ending.cross.requirement_with_buffer == 13_000 * USD
    assert ending.cross.collateral_with_buffer == 20_000 * USD
    alone = ending.isolated[0]
    assert (alone.requirement_with_buffer, alone.collateral_with_buffer) == (2_000 * USD, -1_000 * USD)
    assert (alone.shortage, ending.cross.shortage) == (3_000 * USD, 0)


def test_a_loss_of_all_has_its_share_on_top():
    held = account(usdc=100 * USD, perp=PerpPosition(SOL_PERP, 0, -100 * USD))
    margin = cross(held, MAINTENANCE, buffer=100)
    assert (margin.collateral, margin.collateral_with_buffer) == (
        0,
        -USD,
    )  # negative_perp_pnl_liquidation_buffer
    assert margin.debts == 1


def test_a_deposit_with_an_invalid_oracle_counts_nothing_where_that_is_asked():
    sol = SpotPosition(SOL, BASE, asks=-5 * BASE, oracle_valid=False)
    bad = QuoteBalance(100 * USD, oracle_valid=False)
    held = DriftAccount(bad, (sol,))
    assert two(cross(held)) == (480 * USD, 100 * USD + 500 * USD)
    assert two(cross(held, ignore_invalid_deposits=True)) == (480 * USD, 0)
    deposit = DriftAccount(QuoteBalance(0), (replace(sol, asks=0),))
    assert cross(deposit, ignore_invalid_deposits=True).collateral == 0
    debt = DriftAccount(replace(bad, amount=-USD), (SpotPosition(SOL, -BASE, oracle_valid=False),))
    assert cross(debt, ignore_invalid_deposits=True).requirement == 121 * USD  # a debt counts all the same


def test_high_leverage_asks_for_less():
    market = replace(SOL_PERP, high_leverage=Levels(100, 50))
    perp = PerpPosition(market, BASE, -100 * USD)
    assert cross(account(perp=perp)).requirement == 10 * USD
    assert cross(account(perp=perp, high_leverage=True)).requirement == USD


def test_a_value_of_a_debt_is_rounded_up_and_of_a_deposit_down():
    tiny = replace(SOL, price=1)
    assert cross(account(sol=SpotPosition(tiny, -1))).requirement == 1
    assert cross(account(sol=SpotPosition(tiny, BASE - 1))).collateral == 0


def test_parts_say_value_and_weight():
    margin = cross(account(usdc=7 * USD, sol=100, perp=PerpPosition(SOL_PERP, BASE, -150 * USD)))
    assert margin.parts == (
        Part("quote", 7 * USD, WEIGHT, collateral=7 * USD),
        Part("spot SOL", 10_000 * USD, 8_000, collateral=8_000 * USD),
        Part("perp SOL", 100 * USD, 1_000, requirement=10 * USD, liability=100 * USD, debts=1),
        Part("perp SOL profit", -50 * USD, WEIGHT, collateral=-50 * USD),
    )
    assert margin.free_collateral == 7_947 * USD


def test_a_market_whose_debts_weigh_less_than_they_are_is_refused():
    market = replace(SOL, liability=Levels(9_999, 10_000))
    with pytest.raises(InvalidInputError, match=r"spot SOL.*below 10000"):
        cross(account(sol=SpotPosition(market, -BASE)))


def test_equity_weighs_nothing():
    assert equity(account(usdc=10 * USD, perp=PerpPosition(SOL_PERP, BASE, -105 * USD))) == 5 * USD
    assert equity(account(usdc=10_000 * USD, sol=-90)) == 1_000 * USD
    isolated = PerpPosition(SOL_PERP, BASE, -100 * USD, isolated_deposit=3 * USD)
    assert equity(account(perp=isolated, price=2 * PRICE)) == 6 * USD


@pytest.mark.parametrize(
    ("held", "spot", "amount"),
    [
        (
            account(usdc=-10_000 * USD, sol=200),
            0,
            74_999_999_000,
        ),  # calculate_max_withdrawable_amount::sol_withdraw
        (account(usdc=-1, sol=SpotPosition(SOL, 8008)), 0, 7000),  # ::sol_dust_withdraw
        (account(usdc=5, sol=3), None, 5),  # nothing owed: the whole balance
        (account(usdc=5, sol=3), 0, 3 * BASE),
        (account(sol=SpotPosition(replace(SOL, asset=Levels(0, 0)), BASE)), 0, MAX_U64),
        (account(usdc=20_000 * USD, sol=-100), None, 8_000 * USD - 1),
        (account(usdc=10_000 * USD, sol=-100), None, 0),  # short already
        (account(usdc=12_000 * USD, sol=-100), None, 0),  # nothing free
    ],
)
def test_what_may_leave(held, spot, amount):
    assert withdrawable(held, spot) == amount


def test_a_token_of_few_decimals_leaves_in_whole_units():
    cents = replace(SOL, decimals=2, price=PRICE)
    held = account(usdc=-10 * USD, sol=SpotPosition(cents, 100_00))
    assert withdrawable(held, 0) == 8749  # 70 free less a millionth, at 80 %: 87.499998 in hundredths, cut


@pytest.mark.parametrize(("spot", "word"), [(1, "no token 1"), (-1, "no token -1")])
def test_an_unknown_token_is_refused(spot, word):
    with pytest.raises(InvalidInputError, match=word):
        withdrawable(account(sol=1), spot)


def test_nothing_can_be_said_of_a_token_without_price():
    held = account(usdc=-USD, sol=SpotPosition(replace(SOL, price=0), BASE))
    with pytest.raises(InvalidInputError, match="price of the token is 0"):
        withdrawable(held, 0)


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: SpotPosition(SOL, 1, bids=-1), "spot SOL: bids"),
        (lambda: SpotPosition(SOL, 1, asks=1), "spot SOL: asks"),
        (lambda: SpotPosition(SOL, 2**127), "spot SOL: amount"),
        (lambda: SpotPosition(SOL, 1.0), "spot SOL: amount"),
        (lambda: PerpPosition(SOL_PERP, 2**63, 0), "perp SOL: base"),
        (lambda: PerpPosition(SOL_PERP, 0, 0, isolated_deposit=-1), "perp SOL: isolated"),
        (lambda: QuoteBalance(1, twap=-1), "quote balance: twap"),
        (lambda: Context(INITIAL, buffer=-1), "context: buffer"),
        (lambda: DriftAccount(QuoteBalance(0), ratio=-1), "account: ratio"),
    ],
)
def test_what_the_chain_cannot_hold_is_refused(make, where):
    with pytest.raises(InvalidInputError, match=where):
        make()


@pytest.mark.parametrize(
    ("usdc", "begins", "ends"),  # 100 SOL long at 100: 500 for maintenance, 700 with a buffer of 2 %
    [(499, True, False), (500, False, False), (699, False, False), (700, False, True)],
)
def test_a_liquidation_begins_below_maintenance_and_ends_with_the_buffer(usdc, begins, ends):
    held = account(usdc=usdc * USD, perp=PerpPosition(SOL_PERP, 100 * BASE, -10_000 * USD))
    margin = cross(held, MAINTENANCE, buffer=200)
    assert margin.is_met is not begins
    assert margin.ends_liquidation is ends
    assert (margin.shortage == 0) is ends

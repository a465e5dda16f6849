"""Drift's weights and ratios: figures of the protocol's own tests (spec defi 3.2) and every edge of the rules."""

import pytest

from margrave.core.errors import InvalidInputError
from margrave.protocols.drift import (
    BASE,
    MAX_U32,
    PRICE,
    WEIGHT,
    Levels,
    MarginType,
    PerpMarket,
    SpotMarket,
    asset_weight,
    ceiled,
    liability_weight,
    perp_margin_ratio,
    scaled_initial_asset_weight,
    size_discount,
    size_premium,
    truncated,
    unrealised_asset_weight,
)

INITIAL, FILL, MAINTENANCE = MarginType
FULL = Levels(WEIGHT, WEIGHT)


def spot(**changes) -> SpotMarket:
    terms = {
        "name": "SOL",
        "decimals": 6,
        "price": PRICE,
        "asset": Levels(9000, 0),
        "liability": Levels(11000, 0),
    }
    return SpotMarket(**{**terms, **changes})


def perp(**changes) -> PerpMarket:
    return PerpMarket(**{"name": "SOL", "price": 100 * PRICE, "ratio": Levels(1000, 500), **changes})


@pytest.mark.parametrize(
    ("imf", "asset", "liability"),
    [(0, 9000, 11000), (10, 9000, 11000), (100_000, 2642, 40422)],  # 1,000 tokens, spot_market_asset_weight
)
def test_a_size_lowers_an_asset_and_raises_a_liability(imf, asset, liability):
    market = spot(imf=imf)
    assert asset_weight(market, 1_000_000_000, INITIAL) == asset
    assert liability_weight(market, 1_000_000_000, INITIAL) == liability


def test_the_premium_alone_is_left_where_the_weight_is_zero():
    assert liability_weight(spot(imf=100_000), 1_000_000_000, MAINTENANCE) == 31622


@pytest.mark.parametrize(
    ("imf", "margin_type", "weight"),
    [(0, FILL, 4500), (0, MAINTENANCE, 7500), (100_000, INITIAL, 337), (100_000, MAINTENANCE, 337)],
)
def test_a_fill_is_the_mean_of_both(imf, margin_type, weight):
    assert asset_weight(spot(asset=Levels(1500, 7500), imf=imf), 100_000 * PRICE, margin_type) == weight


def test_a_mean_is_cut():
    assert Levels(1001, 500).at(FILL) == 750


@pytest.mark.parametrize("decimals", [0, 6, 9, 12])
def test_a_size_counts_the_same_in_any_decimals(decimals):
    market = spot(decimals=decimals, imf=100_000)
    assert asset_weight(market, 1_000 * 10**decimals, INITIAL) == 2642
    assert liability_weight(market, 1_000 * 10**decimals, INITIAL) == 40422


def test_what_is_below_a_nano_token_is_cut():
    market = spot(decimals=12, imf=MAX_U32)
    assert asset_weight(market, 999, INITIAL) == asset_weight(market, 0, INITIAL)


@pytest.mark.parametrize(
    ("deposits", "weight"),
    [(0, 9000), (19_999, 9000), (20_000, 9000), (40_000, 4500), (60_000, 3000)],  # spot_market_scale_...
)
def test_many_deposits_shrink_the_initial_weight(deposits, weight):
    market = spot(
        decimals=9,
        price=25 * PRICE,
        asset=Levels(9000, 9500),
        scale_start=500_000 * PRICE,
        deposits=deposits * BASE,
    )
    assert scaled_initial_asset_weight(market) == weight
    assert asset_weight(market, 1, INITIAL) == weight
    assert asset_weight(market, 1, FILL) == (weight + 9500) // 2
    assert asset_weight(market, 1, MAINTENANCE) == 9500


@pytest.mark.parametrize(
    ("times", "weight"),  # calculate_user_equity_value_tests: a gain of 24,282.786896 and its multiples
    [(1, 9516), (10, 7368), (100, 4299), (1000, 1855), (800_000, 78)],
)
def test_a_large_gain_weighs_less(times, weight):
    market = perp(pnl_weight=Levels(WEIGHT, WEIGHT), pnl_imf=1000)
    assert unrealised_asset_weight(market, 24_282_786_896 * times, INITIAL) == weight
    assert unrealised_asset_weight(market, 24_282_786_896 * times, FILL) == weight
    assert unrealised_asset_weight(market, 24_282_786_896 * times, MAINTENANCE) == WEIGHT


@pytest.mark.parametrize("margin_type", MarginType)
def test_a_loss_counts_fully_and_an_unweighted_gain_not_at_all(margin_type):
    assert unrealised_asset_weight(perp(), -1, margin_type) == WEIGHT
    assert unrealised_asset_weight(perp(), 0, margin_type) == WEIGHT
    assert unrealised_asset_weight(perp(pnl_imf=1000), 1, margin_type) == 0


@pytest.mark.parametrize(
    ("imbalance", "most", "weight"), [(400, 100, 2000), (100, 100, 8000), (400, 0, 8000), (-5, 100, 8000)]
)
def test_gains_that_no_loss_covers_weigh_less_at_initial(imbalance, most, weight):
    market = perp(pnl_weight=Levels(8000, 9000), pnl_imbalance=imbalance, max_pnl_imbalance=most)
    assert unrealised_asset_weight(market, 1, INITIAL) == weight
    assert unrealised_asset_weight(market, 1, MAINTENANCE) == 9000


@pytest.mark.parametrize(
    ("margin_type", "high", "imf", "size", "ratio"),
    [
        (INITIAL, None, 0, BASE, 1000),
        (FILL, None, 0, BASE, 750),
        (FILL, (200, 100), 0, BASE, 150),  # get_margin_ratio::test
        (MAINTENANCE, None, 0, BASE, 500),
        (MAINTENANCE, (200, 100), 0, BASE, 100),
        (INITIAL, None, 50, 1_000_000 * BASE, 1300),  # get_margin_ratio::new_hlm_imf_size
        (INITIAL, (100, 50), 50, BASE, 100),
        (INITIAL, (100, 50), 50, 10 * BASE, 104),
        (MAINTENANCE, (100, 50), 50, 300_000 * BASE, 313),
        (
            INITIAL,
            (100, 50),
            50,
            1_000_000 * BASE,
            1300,
        ),  # .8 x 1000 + 500: above the normal ratio, no way back
        (INITIAL, (100, 50), 50, 159_000 * BASE, 995),  # 999, just short of it: 100 + 900 x 199/200, cut
        (
            INITIAL,
            (100, 50),
            50,
            160_000 * BASE,
            100,
        ),  # exactly it: the chain gives the mode's own ratio again
        (INITIAL, (0, 50), 50, BASE, 1000),  # the market does not allow the mode
        (INITIAL, (100, 0), 0, BASE, 1000),
        (INITIAL, (100, 50), 50, 0, 100),
    ],
)
def test_a_perp_ratio(margin_type, high, imf, size, ratio):
    market = perp(imf=imf, high_leverage=Levels(*high) if high else None)
    assert perp_margin_ratio(market, size, margin_type, high_leverage=high is not None) == ratio


def test_the_arithmetic_cuts_toward_zero_and_rounds_up_where_told():
    assert [truncated(n, 2) for n in (-3, -1, 0, 1, 3)] == [-1, 0, 0, 0, 1]
    assert [ceiled(n, 2) for n in (0, 1, 2, 3)] == [0, 1, 1, 2]


def test_sizes_beyond_floating_point_keep_every_digit():
    size = (2**127) // 10
    assert size_premium(size, 1, WEIGHT) == 8000 + 13_043_817_825_332_782_212 // 10_000_000
    assert size_discount(size, MAX_U32, WEIGHT) == 0


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: Levels(-1, 0), "level initial"),
        (lambda: Levels(0, MAX_U32 + 1), "level maintenance"),
        (lambda: Levels(0.5, 0), "level initial"),  # type: ignore[arg-type]
        (lambda: Levels(True, 0), "level initial"),
        (lambda: spot(price=-1), "spot SOL: price"),
        (lambda: spot(decimals=20), "spot SOL: decimals"),
        (lambda: spot(twap=-1), "spot SOL: twap"),
        (lambda: perp(price=2**63), "perp SOL: price"),
        (lambda: perp(imf=-1), "perp SOL: imf"),
    ],
)
def test_what_the_chain_cannot_store_is_refused(make, where):
    with pytest.raises(InvalidInputError, match=where):
        make()


@pytest.mark.parametrize("size", [-1, 2**128])
def test_a_size_is_absolute(size):
    for weigh in (asset_weight, liability_weight):
        with pytest.raises(InvalidInputError, match="size"):
            weigh(spot(), size, INITIAL)
    with pytest.raises(InvalidInputError, match="size"):
        perp_margin_ratio(perp(), size, INITIAL)

"""Dutch auctions: the discount's path, one bid after another, insolvency, and what is refused."""

from dataclasses import astuple

import pytest

from margrave.core.errors import InvalidInputError
from margrave.liquidation.dutch_auction import (
    Auction,
    Auctioned,
    Bid,
    after_bid,
    bid,
    bid_price,
    buffer_margin,
    discount,
    insolvent_bid,
    insolvent_payout,
    is_insolvent,
    max_fraction,
    paid_by_module,
    start_fee,
)

# Specification of the protocols 1.6.
MAINNET = {
    "start": 0.95,
    "cutoff": 0.7,
    "fast_seconds": 900,
    "slow_seconds": 43_200,
    "insolvent_seconds": 3600,
    "fee": 0.1,
    "buffer": 0.15,
}
UNIT_TESTS = {
    "start": 1.0,
    "cutoff": 0.8,
    "fast_seconds": 600,
    "slow_seconds": 7200,
    "insolvent_seconds": 600,
    "fee": 0.0,
    "buffer": 0.1,
}
AUCTION = Auction(**MAINNET)
PLAIN = Auction(**UNIT_TESTS)


@pytest.mark.parametrize(
    ("elapsed", "share"),
    [(0, 0.95), (450, 0.825), (900, 0.7), (900 + 21_600, 0.35), (44_100, 0.0), (1e9, 0.0)],
)
def test_the_discount_falls_fast_then_slowly_then_stays_zero(elapsed, share):
    assert discount(AUCTION, elapsed) == pytest.approx(share, abs=1e-15)


def test_windows_of_no_length_are_passed_at_once():
    at_once = Auction(**{**MAINNET, "fast_seconds": 0, "slow_seconds": 0, "insolvent_seconds": 0})
    assert discount(at_once, 0.0) == 0.0
    assert insolvent_payout(at_once, Auctioned(-100.0, -300.0), 0.0) == 300.0
    assert discount(Auction(**{**MAINNET, "fast_seconds": 0}), 0.0) == 0.7


def test_a_bid_takes_what_brings_the_buffer_margin_to_zero():
    # By hand: MtM 300, MM -100, half of the fast window: d = 0.9, BM = -100 - 400 x 0.1.
    account = Auctioned(300.0, -100.0)
    assert buffer_margin(PLAIN, account) == -140.0
    assert bid_price(PLAIN, account, 300) == 270.0
    assert max_fraction(PLAIN, account, 300) == pytest.approx(140 / 410)
    assert bid(PLAIN, account, 300) == Bid(140 / 410, pytest.approx(140 / 410 * 270))
    assert bid(PLAIN, account, 300, 0.1) == Bid(0.1, pytest.approx(27.0))
    assert buffer_margin(PLAIN, after_bid(account, bid(PLAIN, account, 300))) == pytest.approx(0.0, abs=1e-12)


def test_cash_of_earlier_bidders_is_kept_from_later_ones():
    first = Auctioned(300.0, -100.0)
    second = after_bid(first, bid(PLAIN, first, 300, 0.1))
    assert astuple(second) == pytest.approx((297.0, -63.0, 27.0))
    assert bid_price(PLAIN, second, 300) == pytest.approx(270 * 0.9)
    # BM = -63 - 360 x 0.1 = -99; -99 / (-99 - 297 x 0.9 - 27 x 0.1)
    assert max_fraction(PLAIN, second, 300) == pytest.approx(99 / 369)


def test_nothing_is_for_sale_above_the_buffer_and_all_of_what_is_worth_nothing():
    assert max_fraction(PLAIN, Auctioned(300.0, 50.0), 0) == 0.0
    assert max_fraction(PLAIN, Auctioned(-10.0, -100.0), 0) == 1.0
    assert start_fee(AUCTION, Auctioned(300.0, 50.0)) == 0.0


def test_the_fee_is_of_what_is_offered_at_the_start():
    # BM = -100 - 400 x 0.15 = -160; 160 / 460 of 300, a tenth.
    assert start_fee(AUCTION, Auctioned(300.0, -100.0)) == pytest.approx(160 / 460 * 300 * 0.1)
    assert start_fee(AUCTION, Auctioned(-300.0, -400.0)) == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("value", "elapsed", "insolvent"),
    [(300.0, 0, False), (0.0, 0, True), (-1.0, 0, True), (300.0, 44_099, False), (300.0, 44_100, True)],
)
def test_an_account_is_insolvent_at_once_or_when_nobody_bids(value, elapsed, insolvent):
    assert is_insolvent(AUCTION, value, elapsed) is insolvent


@pytest.mark.parametrize(
    ("value", "elapsed", "payout"),
    [(-100.0, 0, 100.0), (100.0, 0, 0.0), (-100.0, 12, 104.0), (-100.0, 300, 200.0), (-100.0, 9999, 300.0)],
)
def test_the_payout_grows_from_the_loss_to_the_shortfall(value, elapsed, payout):
    account = Auctioned(value, -300.0)
    assert insolvent_payout(PLAIN, account, elapsed) == pytest.approx(payout)
    assert insolvent_bid(PLAIN, account, elapsed, 0.5) == Bid(0.5, pytest.approx(-payout / 2))


@pytest.mark.parametrize(
    ("balance", "split"), [(1000.0, (52.0, 0.0)), (50.0, (50.0, 2.0)), (-5.0, (0.0, 52.0))]
)
def test_what_the_module_cannot_pay_all_bear(balance, split):
    assert paid_by_module(52.0, balance) == split


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": 1.1},
        {"cutoff": 0.99},
        {"cutoff": float("nan")},
        {"fast_seconds": -1},
        {"slow_seconds": float("inf")},
        {"fee": 1.5},
        {"buffer": -0.1},
    ],
)
def test_constants_that_contradict_themselves_are_refused(wrong):
    with pytest.raises(InvalidInputError, match="auction"):
        Auction(**{**MAINNET, **wrong})


@pytest.mark.parametrize("amounts", [(float("nan"), -1.0), (1.0, float("-inf")), (1.0, -1.0, -2.0)])
def test_so_is_an_account_that_is_none(amounts):
    with pytest.raises(InvalidInputError, match="account in auction"):
        Auctioned(*amounts)


@pytest.mark.parametrize("elapsed", [-1.0, float("nan"), float("inf")])
def test_so_is_a_time_before_the_start(elapsed):
    for ask in (discount, lambda a, t: is_insolvent(a, 1.0, t)):
        with pytest.raises(InvalidInputError, match="elapsed"):
            ask(AUCTION, elapsed)


@pytest.mark.parametrize("ask", [bid, insolvent_bid])
def test_so_is_a_share_beyond_the_whole(ask):
    with pytest.raises(InvalidInputError, match="wanted"):
        ask(AUCTION, Auctioned(300.0, -100.0), 0.0, 1.5)

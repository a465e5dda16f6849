"""A liquidation by Dutch auction: bidders take a share of every position, at a discount that grows with time.

An account whose maintenance net margin is below zero is auctioned until its *buffer margin* is zero. Amounts are of
the whole account and in the protocol's sign: maintenance is what is left after the requirement, so it is negative
here. Source of every formula: specification of the protocols 1.6 (Derive).
"""

from dataclasses import dataclass
from typing import Final, final

from margrave.core.errors import Reason, invalid


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Auction:
    """Constants of a protocol's auctions."""

    start: float  # share of market value that the first bid pays, 0..1
    cutoff: float  # the same at the end of the fast window, <= start
    fast_seconds: float  # start to cutoff
    slow_seconds: float  # cutoff to zero
    insolvent_seconds: float  # payout from the market loss to the whole maintenance shortfall
    fee: float  # share of the value offered at the start that goes to the security module
    buffer: float  # share of the distance between market value and maintenance that is aimed at on top

    def __post_init__(self) -> None:
        """Refuse constants that contradict themselves."""
        if not 0.0 <= self.cutoff <= self.start <= 1.0:
            raise _wrong("start and cutoff", "must satisfy 0 <= cutoff <= start <= 1")
        windows = (self.fast_seconds, self.slow_seconds, self.insolvent_seconds)
        if not all(0.0 <= seconds < float("inf") for seconds in windows):
            raise _wrong("windows", "must be finite and not negative")
        if not (0.0 <= self.fee <= 1.0 and 0.0 <= self.buffer < float("inf")):
            raise _wrong("fee and buffer", "must satisfy 0 <= fee <= 1 and 0 <= buffer")


DERIVE: Final = Auction(
    start=0.95,
    cutoff=0.7,
    fast_seconds=900.0,
    slow_seconds=43_200.0,
    insolvent_seconds=3_600.0,
    fee=0.1,
    buffer=0.15,
)
"""Constants of Derive's main net (specification of the protocols 1.6)."""


@final
@dataclass(frozen=True, slots=True)
class Auctioned:
    """An account at one instant of its auction, in the settlement asset."""

    mark_to_market: float  # cash and positions at market value, earlier bids included
    maintenance: float  # maintenance net margin; < 0 while the auction runs
    reserved: float = 0.0  # cash that earlier bidders paid, which later ones do not get a share of, >= 0

    def __post_init__(self) -> None:
        """Refuse what is not an amount."""
        amounts = (self.mark_to_market, self.maintenance, self.reserved)
        if not all(abs(amount) < float("inf") for amount in amounts) or self.reserved < 0.0:
            raise _wrong(
                "account in auction", "has an amount that is not finite, or reserved cash below zero"
            )


@final
@dataclass(frozen=True, slots=True)
class Bid:
    """What one bidder takes."""

    fraction: float  # of every position at this instant, 0..1
    cash: float  # from the bidder; < 0 where the bidder is paid


def discount(auction: Auction, elapsed: float) -> float:
    """Share of market value that a bid pays after some time, 0..1.

    Parameters
    ----------
    auction : Auction
        Constants.
    elapsed : float
        Since the start, >= 0. [s]
    """
    _check_elapsed(elapsed)
    if elapsed < auction.fast_seconds:
        return auction.start - (auction.start - auction.cutoff) * (elapsed / auction.fast_seconds)
    slow = elapsed - auction.fast_seconds
    return auction.cutoff * (1.0 - slow / auction.slow_seconds) if slow < auction.slow_seconds else 0.0


def is_insolvent(auction: Auction, mark_to_market_at_start: float, elapsed: float) -> bool:
    """Whether bidders are paid: nothing to sell at the start, or nobody bought until the discount reached zero."""
    _check_elapsed(elapsed)
    return mark_to_market_at_start <= 0.0 or elapsed >= auction.fast_seconds + auction.slow_seconds


def buffer_margin(auction: Auction, account: Auctioned) -> float:
    """Maintenance net margin less the buffer, which the auction brings to zero."""
    return account.maintenance + (account.maintenance - account.mark_to_market) * auction.buffer


def bid_price(auction: Auction, account: Auctioned, elapsed: float) -> float:
    """Price of the whole of a solvent account: market value without reserved cash, at the discount."""
    return (account.mark_to_market - account.reserved) * discount(auction, elapsed)


def max_fraction(auction: Auction, account: Auctioned, elapsed: float) -> float:
    """Share of a solvent account that brings its buffer margin to zero when it is sold at the bid price.

    Parameters
    ----------
    auction, account : Auction, Auctioned
        Constants, and the account now.
    elapsed : float
        Since the start, >= 0. [s]

    Returns
    -------
    float
        ``BM / (BM - MtM d - R (1 - d))`` within 0..1: zero where the buffer margin is not below zero, one where even
        the whole does not bring it to zero.
    """
    short = buffer_margin(auction, account)
    if short >= 0.0:
        return 0.0
    share = discount(auction, elapsed)
    gained = account.mark_to_market * share + account.reserved * (1.0 - share)
    return 1.0 if gained <= 0.0 else short / (short - gained)


def bid(auction: Auction, account: Auctioned, elapsed: float, wanted: float = 1.0) -> Bid:
    """Bid on a solvent account: at most the share that is for sale, at the price of the moment."""
    _check_wanted(wanted)
    fraction = min(wanted, max_fraction(auction, account, elapsed))
    return Bid(fraction, fraction * bid_price(auction, account, elapsed))


def start_fee(auction: Auction, account: Auctioned) -> float:
    """Fee that the account pays the security module when its auction starts, >= 0.

    The largest share that could be sold at once without a discount and without reserved cash, of the market value.
    """
    short = buffer_margin(auction, account)
    value = account.mark_to_market
    fraction = 0.0 if short >= 0.0 else 1.0 if value <= 0.0 else short / (short - value)
    return fraction * abs(value) * auction.fee


def insolvent_payout(auction: Auction, account: Auctioned, elapsed: float) -> float:
    """What a bidder on the whole of an insolvent account is paid, >= 0.

    From ``-min(MtM, 0)`` at the start of the insolvent auction to ``-MM`` at the end of its window, linearly.
    """
    _check_elapsed(elapsed)
    window = auction.insolvent_seconds
    share = elapsed / window if elapsed < window else 1.0
    least = max(-account.mark_to_market, 0.0)
    return max(least + (-account.maintenance - least) * share, 0.0)


def insolvent_bid(auction: Auction, account: Auctioned, elapsed: float, wanted: float = 1.0) -> Bid:
    """Bid on an insolvent account, of any share; the cash is negative, since the bidder is paid."""
    _check_wanted(wanted)
    return Bid(wanted, -wanted * insolvent_payout(auction, account, elapsed))


def after_bid(account: Auctioned, taken: Bid) -> Auctioned:
    """Account after a bid in an unmoved market: positions shrink by the fraction, the cash is kept apart.

    Exact where maintenance is proportional to the positions; a protocol values the remaining positions anew. A
    payout to the bidder of an insolvent account comes from elsewhere: give ``Bid(fraction, 0.0)``.
    """
    kept, cash = 1.0 - taken.fraction, account.reserved + taken.cash
    return Auctioned(
        (account.mark_to_market - account.reserved) * kept + cash,
        (account.maintenance - account.reserved) * kept + cash,
        max(cash, 0.0),
    )


def paid_by_module(payout: float, balance: float) -> tuple[float, float]:
    """Split a payout into what the security module pays and what all holders of cash bear, both >= 0."""
    paid = min(payout, max(balance, 0.0))
    return paid, payout - paid


def _check_elapsed(elapsed: float) -> None:
    if not 0.0 <= elapsed < float("inf"):
        raise _wrong("elapsed", f"is {elapsed}; give the seconds since the start, >= 0")


def _check_wanted(wanted: float) -> None:
    if not 0.0 <= wanted <= 1.0:
        raise _wrong("wanted", f"is {wanted}; give a share of the account within 0..1")


def _wrong(what: str, message: str) -> Exception:
    return invalid(f"auction: {what}", Reason.INVALID_VALUE, message)

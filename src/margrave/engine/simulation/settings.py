"""What a simulated venue is told: how it marks, closes, pays and deleverages, and how its market and holders answer.

Every part has values by which it does nothing, so that one thing can be studied at a time. Times are seconds; a half-life is
the time after which half is left.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, final

import numpy as np

from margrave.domain.checks import require
from margrave.engine.simulation.candidates import Candidates, by_score
from margrave.engine.simulation.factor import DynamicRate
from margrave.kernels.arrays import F64, I64
from margrave.liquidation.dutch_auction import Auction
from margrave.liquidation.portions import BACKSTOP, FIRST_SHARE, LARGE, ROUNDS

UNIT: Final = 1e-8
"""Smallest amount of money of an asset where none is stated."""

_INF: Final = float("inf")


def _half_life(name: str, seconds: float | None) -> None:
    require(seconds is None or 0.0 < seconds < _INF, name, seconds, "above zero, or None for never")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """What an instrument's book takes: it empties under flow and fills up again."""

    contracts: float  # flow that moves the log price by the impact's coefficient
    emptied: float = 0.0  # contracts of depth that go with a contract of flow
    refill_seconds: float | None = None  # half-life of what is missing; None: it does not come back
    least: float = 0.01  # share of the depth that always stands

    def __post_init__(self) -> None:
        require(0.0 < self.contracts < _INF, "depth.contracts", self.contracts, "above zero")
        require(0.0 <= self.emptied <= 100.0, "depth.emptied", self.emptied, "zero or more")
        require(0.0 < self.least <= 1.0, "depth.least", self.least, "a share above zero")
        _half_life("depth.refill_seconds", self.refill_seconds)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """Log move ``coefficient (pressure / depth)^exponent``; pressure is flow that has not been forgotten (spec 4.3)."""

    coefficient: float
    exponent: float = 1.0  # one: linear; one half: the square root
    half_life_seconds: float | None = None  # of the part that fades; None: nothing fades
    permanent: float = 0.0  # share of a flow that stays for good where the rest fades

    def __post_init__(self) -> None:
        require(0.0 <= self.coefficient < _INF, "impact.coefficient", self.coefficient, "zero or more")
        require(0.05 <= self.exponent <= 5.0, "impact.exponent", self.exponent, "between 0.05 and 5")
        require(0.0 <= self.permanent <= 1.0, "impact.permanent", self.permanent, "a share")
        _half_life("impact.half_life_seconds", self.half_life_seconds)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidity:
    """An instrument's market by a law."""

    depth: Depth
    impact: Impact


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An instrument's market by recorded book rows: a flow walks the levels of its step's book.

    Beyond the last level the book is taken to go on at its mean density.
    """

    offset: F64  # (L,) [fraction of the middle] distance of each level, ascending, > 0
    bids: F64  # (T, L) [contracts] one row a step of the path
    asks: F64  # (T, L)
    half_life_seconds: float | None = (
        None  # of what earlier flow has eaten; None: the market forgets between steps
    )

    def __post_init__(self) -> None:
        offset = np.asarray(self.offset)
        good = offset.ndim == 1 and offset.size > 0 and bool((np.diff(offset, prepend=0.0) > 0.0).all())
        require(
            good and bool((offset < 1.0).all()), "recorded.offset", self.offset, "ascending shares of (0, 1)"
        )
        for name in ("bids", "asks"):
            rows = np.asarray(getattr(self, name))
            fits = rows.ndim == 2 and rows.shape[1:] == offset.shape and bool(np.isfinite(rows).all())
            filled = fits and bool((rows >= 0.0).all() and (rows.sum(axis=1) > 0.0).all())
            require(
                filled,
                f"recorded.{name}",
                rows.shape,
                "rows of sizes as wide as `offset`, none of them empty",
            )
        _half_life("recorded.half_life_seconds", self.half_life_seconds)


@final
@dataclass(frozen=True, slots=True)
class LastMark:
    """Margin is asked on the last price, with all of the venue's own impact."""


@final
@dataclass(frozen=True, slots=True)
class IndexMark:
    """Margin is asked on the index."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AverageMark:
    """Index plus an exponentially weighted average of the premium of the last price, within a bound."""

    half_life_seconds: float
    bound: float = _INF  # [fraction] of the index, either way

    def __post_init__(self) -> None:
        _half_life("mark.half_life_seconds", self.half_life_seconds)
        require(self.bound > 0.0, "mark.bound", self.bound, "above zero")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MedianMark:
    """The median of the last price, the index, and the average of `AverageMark`, within a bound."""

    half_life_seconds: float
    bound: float = _INF

    def __post_init__(self) -> None:
        _half_life("mark.half_life_seconds", self.half_life_seconds)
        require(self.bound > 0.0, "mark.bound", self.bound, "above zero")


MarkRule: TypeAlias = LastMark | IndexMark | AverageMark | MedianMark


@final
@dataclass(frozen=True, slots=True)
class Takeover:
    """A pool that is liquidatable is closed as a whole; what is left of its collateral may go to the fund."""

    keeps_rest: bool = False


@final
@dataclass(frozen=True, slots=True)
class CloseFactor:
    """A share of every leg is closed at a time, at least a lot: hedges keep their proportion (spec PM-5)."""

    share: float

    def __post_init__(self) -> None:
        require(1e-3 <= self.share <= 1.0, "close factor", self.share, "between 0.001 and 1")


@final
@dataclass(frozen=True, slots=True)
class StepDown:
    """Every leg is brought into a lower tier of its ladder; in the first tier it is closed (spec cex.md 2, 4.4)."""

    tiers: int | None = 1  # None: to the first tier

    def __post_init__(self) -> None:
        require(self.tiers is None or self.tiers >= 1, "step down tiers", self.tiers, "one or more, or None")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FirstShare:
    """A share of a leg that is worth more than an amount, and all of one that is not (spec defi.md 5)."""

    share: float = FIRST_SHARE
    large: float = LARGE  # [numeraire]

    def __post_init__(self) -> None:
        require(1e-3 <= self.share <= 1.0, "first share", self.share, "between 0.001 and 1")
        require(0.0 <= self.large < _INF, "large", self.large, "zero or more")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """A number of contracts of a leg each round, more in later rounds, until the pool is safe (spec deribit.md 5, row FM-5)."""

    contracts: tuple[float, ...] = (
        ROUNDS  # of the first round, the second and so on; the last holds for all later
    )

    def __post_init__(self) -> None:
        good = len(self.contracts) > 0 and all(0.0 < each < _INF for each in self.contracts)
        require(good, "rounds.contracts", self.contracts, "one number above zero or more")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DutchAuction:
    """A share of every leg goes to bidders at the mark, at a discount of the pool's equity that grows with time (spec defi.md 1.6).

    The auction of a pool begins when it enters liquidation. Bidders come as soon as the discount is what they want, and take
    what brings the buffer margin to zero; from a pool that is insolvent they take all, and are paid for it.
    """

    terms: Auction
    wanted: float = 0.1  # discount at which bidders come, of the pool's equity

    def __post_init__(self) -> None:
        require(0.0 <= self.wanted <= 1.0, "auction.wanted", self.wanted, "a share")


Rule: TypeAlias = Takeover | CloseFactor | StepDown | FirstShare | Rounds | DutchAuction


@final
@dataclass(frozen=True, slots=True)
class EveryLeg:
    """The rule takes its part of every leg of a pool: hedges keep their proportion."""


@final
@dataclass(frozen=True, slots=True)
class BestLeg:
    """One leg of a pool each round: the one whose part relieves most maintenance margin per cost (rows CMM-6, PM-5).

    Relief is what the margin engine asks before and after, so that a hedge whose closing raises the requirement stays. Where
    no leg relieves, the rule takes its part of every one.
    """


@final
@dataclass(frozen=True, slots=True)
class TowardNeutral:
    """Legs of the side that is too much, futures first, until the delta of each underlying is zero; then every leg."""


Legs: TypeAlias = EveryLeg | BestLeg | TowardNeutral
"""Which legs of a pool a round closes; how much of them is the `Rule`'s."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a forced fill costs the holder; fee and penalty never make a deficit."""

    slippage: float = 0.0  # [fraction of the price] beside the impact
    fee_rate: float = 0.0  # [fraction of notional] to the venue
    penalty_rate: float = 0.0  # [fraction of notional] to the insurance fund

    def __post_init__(self) -> None:
        for name in ("slippage", "fee_rate", "penalty_rate"):
            require(0.0 <= getattr(self, name) < 1.0, name, getattr(self, name), "a fraction below one")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Levels of a pool by maintenance over margin balance, with hysteresis; the level above all is liquidation.

    A level is entered where the ratio reaches its first number, and left where it is below its second. Liquidation begins
    where the rulebook says and goes on until the ratio is at most ``restored``.
    """

    enter: tuple[float, ...] = (0.5, 0.75, 0.9)
    leave: tuple[float, ...] = (0.45, 0.7, 0.85)
    restored: float = 1.0
    call: int = 3  # level from which the holder is called for margin

    def __post_init__(self) -> None:
        rising = all(bool((np.diff(edges) > 0.0).all()) for edges in (self.enter, self.leave))
        require(
            rising and len(self.enter) == len(self.leave),
            "ladder",
            self.enter,
            "two ascending lists of a length",
        )
        below = all(0.0 < out <= into <= 1.0 for out, into in zip(self.leave, self.enter, strict=True))
        require(below, "ladder.leave", self.leave, "above zero and at most `enter`, which is at most one")
        require(0.0 < self.restored <= 1.0, "ladder.restored", self.restored, "above zero and at most one")
        require(1 <= self.call <= len(self.enter) + 1, "ladder.call", self.call, "the number of a level")

    @property
    def liquidation(self) -> int:
        """Number of the level in which positions are closed."""
        return len(self.enter) + 1


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """An account of the book that takes over pools far below maintenance, with all that they have or lack, and keeps them."""

    account: str
    below: float = BACKSTOP  # share of maintenance below which it takes a pool over (spec defi.md 5)
    unwinds: float = 0.0  # share of every leg that it closes in the market at each step

    def __post_init__(self) -> None:
        require(0.0 < self.below <= 1.0, "vault.below", self.below, "a share above zero")
        require(0.0 <= self.unwinds <= 1.0, "vault.unwinds", self.unwinds, "a share")


Shares: TypeAlias = Callable[[Candidates, int], I64]
"""Lots that each candidate loses, (K,), summing to what is wanted or to everything where there is less."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Deleveraging:
    """What happens when the fund cannot pay."""

    shares: Shares | None = by_score  # None: nobody is deleveraged
    socialised: bool = False  # what is left is cut from all profits in the asset


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PremiumFunding:
    """Funding of perpetuals by premium and interest, as `kernels.funding.clamped_funding`."""

    interval_seconds: float
    interest: float = 0.0001  # [fraction] of a period
    clamp: float = 0.0005
    cap: float = 0.02  # largest absolute rate of a period

    def __post_init__(self) -> None:
        require(
            0.0 < self.interval_seconds < _INF,
            "funding.interval_seconds",
            self.interval_seconds,
            "above zero",
        )
        require(0.0 < self.cap <= 1.0, "funding.cap", self.cap, "a fraction above zero")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StatedFunding:
    """Funding at recorded rates: of each symbol one rate a step, zero where nothing is due."""

    rates: Mapping[str, F64]  # (T,) [fraction of notional], longs pay above zero

    def __post_init__(self) -> None:
        for symbol, rates in self.rates.items():
            good = np.ndim(rates) == 1 and bool((np.abs(rates) <= 1.0).all())
            require(good, f"funding.rates.{symbol}", rates, "a list of fractions")


FundingRule: TypeAlias = PremiumFunding | StatedFunding


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What holders do by themselves. Propensities differ by account: draws with the stated mean, kept for the run."""

    top_up: float = 0.0  # mean probability that a called holder pays in, each step
    top_up_to: float = 0.5  # ratio of maintenance to balance that it aims at
    pocket: float = 1.0  # what it has outside the venue, of its opening balance in the asset
    withdraw: float = 0.0  # mean probability that a holder takes out, each step
    withdraw_share: float = 0.5  # of what is above the initial margin, and of cash

    def __post_init__(self) -> None:
        for name in ("top_up", "withdraw", "withdraw_share"):
            require(0.0 <= getattr(self, name) <= 1.0, name, getattr(self, name), "between zero and one")
        require(0.0 < self.top_up_to < 1.0, "top_up_to", self.top_up_to, "between zero and one")
        require(0.0 <= self.pocket < _INF, "pocket", self.pocket, "zero or more")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A venue, its market and its holders."""

    liquidity: Mapping[str, Liquidity | Recorded] = field(
        default_factory=dict
    )  # by symbol; without one flow moves nothing
    mark: MarkRule = LastMark()
    index_share: float = 0.0  # of the venue's own impact that the index shows
    rule: Rule = Takeover()
    legs: Legs = EveryLeg()
    notice_seconds: float = (
        0.0  # from when a pool is liquidatable to its first closing; without equity it is closed at once
    )
    costs: Costs = Costs()
    ladder: Ladder = Ladder()
    fund: Mapping[str, float] = field(default_factory=dict)  # [asset] insurance fund at the start
    backstop: Mapping[str, float] = field(
        default_factory=dict
    )  # [asset] of a provider that pays after the fund
    vault: Vault | None = None
    deleveraging: Deleveraging = Deleveraging()
    funding: FundingRule | None = None
    behaviour: Behaviour = Behaviour()
    dynamic: DynamicRate | None = None  # rates of the rulebook that move with the market
    rounds: int = 10_000  # of a step, at most
    totals_every: int = 1  # steps after which everybody is margined, for the totals; 0: after the last alone
    lots: Mapping[str, float] = field(
        default_factory=dict
    )  # [contracts] smallest size; by default 1e-8, larger for very large books
    units: Mapping[str, float] = field(default_factory=dict)  # [asset] smallest amount; by default 1e-8

    def __post_init__(self) -> None:
        require(0.0 <= self.index_share <= 1.0, "index_share", self.index_share, "a share")
        require(0.0 <= self.notice_seconds < _INF, "notice_seconds", self.notice_seconds, "zero or more")
        require(1 <= self.rounds <= 1_000_000, "rounds", self.rounds, "between one and a million")
        require(
            0 <= self.totals_every <= 1_000_000_000, "totals_every", self.totals_every, "a number of steps"
        )
        for name in ("fund", "backstop"):
            for asset, amount in getattr(self, name).items():
                require(0.0 <= amount < _INF, f"{name}.{asset}", amount, "zero or more")
        for name in ("lots", "units"):
            for key, size in getattr(self, name).items():
                require(1e-12 <= size <= 1e6, f"{name}.{key}", size, "between 1e-12 and 1e6")

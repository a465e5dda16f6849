"""One instant of prices. Nothing below the market reads a clock: time is ``market.at``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final, final

from margrave.core.words import NUMERAIRE
from margrave.domain.checks import PRICE_MAX, VOL_MAX, require, require_finite, require_price, require_zone
from margrave.domain.instruments import Instrument

RETURN_MAX: Final = 1e3
"""Returns beyond are faults of the feed, or per cent."""

VOLATILITY_MAX: Final = 100.0
"""A vol of an asset beyond is a fault of the feed, or per cent."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Prices of one instrument."""

    mark: float  # [quote per base; coin per base for a coin premium]
    index: float | None = None  # [quote per base]; None: from the market's index prices
    forward: float | None = None  # [quote per base], options: forward of their expiry; None: the index
    vol: float | None = None  # [per year as a fraction], options: implied vol at the mark
    settlement: float | None = None  # [as mark], last session settlement
    at: datetime | None = None  # when the mark was made; None: at the market's instant
    rate: float = 0.0  # [per year, continuous] options: interest rate to expiry
    averaged: float = 0.0  # [quote per base] part of the forward that a settlement window has already fixed
    confidence: float = 1.0  # [0..1] of the feeds behind these prices

    def __post_init__(self) -> None:
        if self.vol is None and self.forward is None:
            require_price("mark", self.mark)
        else:  # only an option may be worth nothing
            require(0 <= self.mark <= PRICE_MAX, "mark", self.mark, f"between zero and {PRICE_MAX:g}")
        for name in ("index", "forward", "settlement"):
            price = getattr(self, name)
            if price is not None:
                require_price(name, price)
        if self.vol is not None:
            require(0 <= self.vol <= VOL_MAX, "vol", self.vol, "a fraction per year, 0.65 for 65 %")
        if self.at is not None:
            require_zone("at", self.at)
        require(-10 <= self.rate <= 10, "rate", self.rate, "a fraction per year, 0.05 for 5 %")
        require(0 <= self.confidence <= 1, "confidence", self.confidence, "between 0 and 1")
        whole = float("inf") if self.forward is None else self.forward
        require(0 <= self.averaged <= whole, "averaged", self.averaged, "between zero and the forward")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Instruments, their quotes, and the index price of every asset in the numeraire."""

    at: datetime
    instruments: Mapping[str, Instrument]
    quotes: Mapping[str, Quote]
    index: Mapping[str, float] = field(default_factory=dict)  # [numeraire per asset]
    vols: Mapping[str, float] = field(
        default_factory=dict
    )  # [per year], realised or implied vol of each asset
    correlations: Mapping[tuple[str, str], float] = field(default_factory=dict)
    confidence: Mapping[str, float] = field(default_factory=dict)  # [0..1] of each asset's index; 1 unstated
    open_interest: Mapping[str, float] = field(
        default_factory=dict
    )  # [contracts] outstanding of each instrument, one side
    returns: Mapping[str, tuple[float, ...]] = field(
        default_factory=dict
    )  # asset -> simple returns on common dates, oldest first [fraction]
    slow: Mapping[str, float] = field(
        default_factory=dict
    )  # asset [numeraire] or instrument [as its mark] -> slow price (average, stable price)
    deposits: Mapping[str, float] = field(
        default_factory=dict
    )  # asset -> what the whole venue holds of it [asset]
    borrows: Mapping[str, float] = field(
        default_factory=dict
    )  # asset -> what the whole venue has lent of it [asset]
    numeraire: str = NUMERAIRE

    def __post_init__(self) -> None:
        require_zone("at", self.at)
        for asset, price in self.index.items():
            require_price(f"index.{asset}", price)
        for asset, vol in self.vols.items():
            require(
                0 < vol <= VOLATILITY_MAX,
                f"vols.{asset}",
                vol,
                "a fraction per year above zero, 0.65 for 65 %",
            )
        for asset, share in self.confidence.items():
            require(0 <= share <= 1, f"confidence.{asset}", share, "between 0 and 1")
        _require_totals("open_interest", self.open_interest)
        for name, price in self.slow.items():
            require_price(f"slow.{name}", price)
        _require_totals("deposits", self.deposits)
        _require_totals("borrows", self.borrows)
        _require_returns(self.returns)
        for name in _MAPPINGS:
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def index_of(self, asset: str) -> float | None:
        """Index price of an asset in the numeraire; None where the market has none."""
        if asset == self.numeraire:
            return 1.0
        return self.index.get(asset)


_MAPPINGS: Final = (
    "instruments",
    "quotes",
    "index",
    "vols",
    "correlations",
    "confidence",
    "open_interest",
    "returns",
    "slow",
    "deposits",
    "borrows",
)


def _require_totals(name: str, totals: Mapping[str, float]) -> None:
    for what, amount in totals.items():
        require_finite(f"{name}.{what}", amount)
        require(amount >= 0, f"{name}.{what}", amount, "zero or more")


def _require_returns(returns: Mapping[str, tuple[float, ...]]) -> None:
    rows = len(next(iter(returns.values()), ()))
    for asset, moves in returns.items():
        name = f"returns.{asset}"
        require(len(moves) == rows, name, len(moves), f"as many rows as the first asset has, {rows}")
        for k, move in enumerate(moves):
            require(-1 < move <= RETURN_MAX, f"{name}[{k}]", move, "a fraction above -1, -0.05 for -5 %")

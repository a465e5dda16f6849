"""The path that the world takes: prices of assets at instants, before the venue's own impact."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np

from margrave.domain.checks import PRICE_MAX, PRICE_MIN, require
from margrave.kernels.arrays import F64

SECONDS_MAX: Final = 3.2e9
"""A hundred years; a path beyond is in another unit."""


@final
@dataclass(frozen=True, slots=True)
class Path:
    """Index prices of some assets, (T,); all others stay where the market has them."""

    seconds: F64  # (T,) since the market's instant, ascending, >= 0
    prices: Mapping[str, F64] = field(default_factory=dict)  # asset -> (T,) [numeraire per asset]

    def __post_init__(self) -> None:
        seconds = np.asarray(self.seconds, dtype=np.float64)
        good = seconds.ndim == 1 and seconds.size > 0 and bool((np.diff(seconds) >= 0.0).all())
        good = good and seconds[0] >= 0.0 and seconds[-1] <= SECONDS_MAX
        require(good, "path.seconds", self.seconds, "ascending seconds from zero on, at least one")
        for asset, prices in self.prices.items():
            told = np.asarray(prices, dtype=np.float64)
            require(told.shape == seconds.shape, f"path.{asset}", told.shape, f"{len(seconds)} prices")
            wrong = np.flatnonzero(~((told >= PRICE_MIN) & (told <= PRICE_MAX)))
            if wrong.size:
                name, allowed = (
                    f"path.{asset}[{wrong[0]}]",
                    f"a price between {PRICE_MIN:g} and {PRICE_MAX:g}",
                )
                require(False, name, float(told[wrong[0]]), allowed)

    @property
    def count(self) -> int:
        """Steps."""
        return len(self.seconds)


def shock(asset: str, price: float, move: float) -> Path:
    """One step: the price of an asset moves by a fraction at once.

    Raises
    ------
    ValueError
        A fall of the whole price or more: nothing can be valued at zero.
    """
    require(
        -1.0 < move < PRICE_MAX, "move", move, "a fraction above -1; nothing can be valued at a price of zero"
    )
    return Path(np.zeros(1), {asset: np.array([price * (1.0 + move)])})

"""Bands of an account's ratio: what the venue does between free trading and taking over, as a ladder of names."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated, final

from msgspec import Meta

from margrave.rulebook.form import Form


@final
class Band(Form, frozen=True, kw_only=True):
    """One band. It holds where margin balance over maintenance is above its lower end."""

    code: str
    name: str  # the venue's word
    above: Annotated[float, Meta(ge=0)] | None = None  # None: everything below the band before it
    may_open: bool = False  # orders that add risk are accepted
    liquidates: bool = False  # the venue closes positions


def band_at(bands: Sequence[Band], health: float) -> Band | None:
    """Band of an account.

    Parameters
    ----------
    bands : sequence of Band
        From the best to the worst; the last has no lower end.
    health : float
        Margin balance over maintenance; infinite without a requirement.

    Returns
    -------
    Band or None
        None where the venue has no bands, or the ratio is not known (NaN).
    """
    if health != health:
        return None
    return next((b for b in bands if b.above is None or health > b.above), None)


def liquidation_ratio(bands: Sequence[Band]) -> float:
    """Margin balance over maintenance at which positions are closed: where the first liquidating band begins.

    One without bands: liquidation at maintenance. Binance's portfolio margin closes at 1.05.
    """
    ends = [before.above for before, band in pairwise(bands) if band.liquidates and not before.liquidates]
    return ends[0] if ends and ends[0] is not None else 1.0


def band_faults(bands: Sequence[Band]) -> Iterator[tuple[int, str]]:
    """Row and sentence of everything that keeps bands from being a ladder."""
    for k, (before, band) in enumerate(pairwise(bands), 1):
        if before.above is None:
            yield k - 1, "has no lower end, which only the last band may lack"
        elif band.above is not None and band.above >= before.above:
            yield (
                k,
                f"above {band.above:g} is not below the band before it, {before.above:g}; order them from the best",
            )
        if before.liquidates and not band.liquidates:
            yield k, "does not liquidate, although the better band before it does"
    if bands and bands[-1].above is not None:
        yield len(bands) - 1, "is the last and has a lower end; drop `above`, so that every ratio has a band"

"""Checks that constructors of domain types share. Faults are the caller's: ``ValueError``."""

from math import isfinite
from typing import Final

PRICE_MIN: Final = 1e-12
PRICE_MAX: Final = 1e15
"""Prices outside are taken for faults of the feed: a price of 5e-324 is above zero and worth nothing."""

VOL_MAX: Final = 1e5
"""A smile that is read far out a second before expiry has vols of thousands; beyond is a fault of the feed."""

AMOUNT_MAX: Final = 1e18
"""Sizes and balances beyond are faults of the feed; below, no product of a size and a price overflows."""

_A_PRICE: Final = f"a price between {PRICE_MIN:g} and {PRICE_MAX:g}"
_A_NUMBER: Final = f"a finite number of at most {AMOUNT_MAX:g}"


def require(condition: bool, name: str, got: object, allowed: str) -> None:
    """Raise ``ValueError`` that names the field, the value and what is allowed."""
    if not condition:
        raise ValueError(f"{name} is {got!r}; it must be {allowed}")


def require_price(name: str, price: float) -> None:
    """Refuse what cannot be a price: NaN, infinite, zero, negative, absurdly small or large."""
    require(
        isfinite(price) and PRICE_MIN <= price <= PRICE_MAX,
        name,
        price,
        _A_PRICE,
    )


def require_finite(name: str, number: float) -> None:
    """Refuse NaN, infinities, and sizes that no account has."""
    require(
        isfinite(number) and abs(number) <= AMOUNT_MAX,
        name,
        number,
        _A_NUMBER,
    )


def require_zone(name: str, at: object) -> None:
    """Refuse an instant without a time zone."""
    require(
        getattr(at, "tzinfo", None) is not None,
        name,
        at,
        "an instant with a time zone, such as 2026-11-01T08:00:00Z",
    )

"""Numbers as people read them. Per cent and separators exist here only."""

from math import isinf, isnan


def money(amount: float | None, currency: str = "") -> str:
    """An amount with as many decimals as its currency needs: eight for coins, two for dollars."""
    if amount is None or isnan(amount):
        return "unknown"
    if isinf(amount):
        return "none" if amount > 0 else "-none"
    decimals = 2 if currency.startswith(("USD", "EUR", "DAI")) else 8
    return f"{amount:,.{decimals}f}"


def price(value: float | None) -> str:
    """A price with at least two decimals and at most eight significant digits after rounding noise."""
    if value is None:
        return "none"
    if isnan(value):
        return "unknown"
    return f"{value:,.2f}" if abs(value) >= 10 else f"{value:.8g}"


def percent(fraction: float | None, decimals: int = 2) -> str:
    """A fraction in per cent."""
    if fraction is None:
        return "none"
    if isnan(fraction):
        return "unknown"
    return "unbounded" if isinf(fraction) else f"{fraction:.{decimals}%}"


def quantity(value: float) -> str:
    """A signed size without noise."""
    return f"{value:,.10g}"

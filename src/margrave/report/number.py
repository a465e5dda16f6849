"""Numbers as people read them. Per cent and separators exist here only."""

from math import isinf, isnan


def money(amount: float | None, currency: str = "") -> str:
    """An amount with as many decimals as its currency needs: eight for coins, two for dollars."""
    if amount is None or isnan(amount):
        return "unknown"
    if isinf(amount):
        return "none" if amount > 0 else "-none"
    if currency.startswith(("USD", "EUR", "DAI")):
        return f"{amount:z,.2f}" if amount == 0 or abs(amount) >= 0.1 else f"{amount:.4g}"
    return f"{amount:z,.8f}"


def price(value: float | None) -> str:
    """A price with eight significant digits and, from ten on, at least two decimals."""
    if value is None:
        return "none"
    if isnan(value):
        return "unknown"
    if abs(value) < 10:
        return f"{value:z.8g}"
    decimals = max(2, 8 - len(str(int(abs(value)))))
    whole, _, part = f"{value:,.{decimals}f}".partition(".")
    return f"{whole}.{part.rstrip('0'):<02}"


def percent(fraction: float | None, decimals: int = 2) -> str:
    """A fraction in per cent."""
    if fraction is None:
        return "none"
    if isnan(fraction):
        return "unknown"
    return "unbounded" if isinf(fraction) else f"{fraction:z.{decimals}%}"


def quantity(value: float) -> str:
    """A signed size without noise."""
    return f"{value:z,.10g}"

"""Positions and parameters of clearing-style margin that the tests make."""

import numpy as np

from margrave.margin.clearing.held import Held
from margrave.rulebook.clearing import Amount, Commodity, Extreme, PriceRisk, RiskArray, ScanModel, Share

DAY = 1.0 / 365.0
NSE = Extreme(multiple=2.0, fraction=0.35)


def position(symbol: str, quantity: float, price: float, **more: object) -> dict[str, object]:
    """A linear contract on one BTC; other terms by name."""
    terms: dict[str, object] = {
        "base": "BTC",
        "settlement": "USD",
        "mark": price,
        "a": 1.0,
        "c": 0.0,
        "rate": 1.0,
    }
    terms |= {"is_option": False, "is_call": False, "in_coin": False, "strike": 1.0, "vol": 0.0, "years": 0.0}
    return terms | {"symbol": symbol, "quantity": quantity, "price": price, "days": np.inf} | more


def inverse(symbol: str, quantity: float, price: float, **more: object) -> dict[str, object]:
    """An inverse contract of one dollar."""
    terms: dict[str, object] = {"a": 0.0, "c": 1.0, "in_coin": True, "settlement": "BTC"}
    return position(symbol, quantity, price, **(terms | more))


def option(symbol: str, quantity: float, forward: float, **more: object) -> dict[str, object]:
    """An option on one BTC that pays in dollars: strike, vol, years, mark and more by name."""
    terms: dict[str, object] = {
        "is_option": True,
        "strike": forward,
        "vol": 0.6,
        "years": 30.0 * DAY,
        "mark": 1.0,
    }
    terms |= more
    return position(symbol, quantity, forward, **({"days": float(terms["years"]) / DAY} | terms))  # type: ignore[arg-type]


def held(*rows: dict[str, object], currency: str = "USD") -> Held:
    """Columns of positions."""
    names = ("symbol", "base", "settlement")
    flags = ("is_option", "is_call", "in_coin")
    columns = {
        name: tuple(row[name] for row in rows)
        if name in names
        else np.array([row[name] for row in rows], dtype=bool if name in flags else np.float64)
        for name in Held.__slots__
        if name != "currency"
    }
    return Held(currency=currency, **columns)  # type: ignore[arg-type]


def commodity(name: str = "BTC", **parts: object) -> Commodity:
    """A commodity with a price range of 9,000 and a vol range of a quarter."""
    own: dict[str, object] = {"price_range": Amount(value=9000.0), "vol_range": Share(value=0.25)}
    own |= {"code": f"TEST-SCAN-{name}", "bases": (name,)}
    return Commodity(name=name, **(own | parts))  # type: ignore[arg-type]


def scan(*commodities: Commodity, **parts: object) -> ScanModel:
    """Scan model with extremes of twice the range, of which 35 % counts."""
    own: dict[str, object] = {"code": "TEST-SCAN", "extreme": NSE}
    return ScanModel(commodities=commodities or (commodity(),), **(own | parts))  # type: ignore[arg-type]


def from_profits(**profits: list[float]) -> ScanModel:
    """Scan model of arrays as a book prints them, profit > 0, by symbol."""
    arrays = {symbol: RiskArray(losses=tuple(-p for p in row), delta=1.0) for symbol, row in profits.items()}
    bare = Commodity(name="SP", code="TEST-SCAN-SP", price_risk=PriceRisk.NORMAL)
    return scan(bare, arrays=arrays)

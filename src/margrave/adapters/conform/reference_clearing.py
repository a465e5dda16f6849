"""Groups of numbers about clearing houses: sixteen scenarios of a scan, and ranges of ten points."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from margrave.adapters.conform.objects import CODE
from margrave.adapters.conform.reference_pieces import Group, Piece, Translator, without
from margrave.adapters.conform.vector import UnsupportedError, Vector
from margrave.kernels.discounted_option import discounted_price
from margrave.margin.clearing.held import Held
from margrave.margin.clearing.ranges import points_of, ranges_margin
from margrave.margin.clearing.risk_arrays import (
    DELTA_WEIGHTS,
    PRICE_MULTIPLES,
    paired,
    risk_arrays,
    scenarios_of,
)
from margrave.margin.clearing.scan import CommodityScan, scan_margin
from margrave.rulebook.clearing import (
    Amount,
    CalendarSpread,
    Commodity,
    CommoditySpread,
    ExpiryTier,
    Extreme,
    OptionMinimum,
    PriceRisk,
    RangesModel,
    RiskArray,
    ScanModel,
    Share,
    SpreadLeg,
    UnderlyingClass,
)

DAYS_IN_YEAR: Final = 365.0
EXTREME: Final = Extreme(multiple=2.0, fraction=0.35)
"""Twice the range, of which 35 % counts: the convention that the groups state."""


# --- positions and parameters ---


def _position(symbol: str, quantity: float, price: float, **terms: Any) -> dict[str, Any]:
    row = {"base": "BTC", "settlement": "USD", "mark": price, "a": 1.0, "c": 0.0, "rate": 1.0}
    row |= {"is_option": False, "is_call": False, "in_coin": False, "strike": 1.0, "vol": 0.0, "years": 0.0}
    return row | {"symbol": symbol, "quantity": quantity, "price": price, "days": np.inf} | terms


def _held(*rows: dict[str, Any], currency: str = "USD") -> Held:
    columns: dict[str, Any] = {"currency": currency}
    for name in Held.__slots__:
        if name in ("symbol", "base", "settlement"):
            columns[name] = tuple(row[name] for row in rows)
        elif name != "currency":
            of = bool if name in ("is_option", "is_call", "in_coin") else np.float64
            columns[name] = np.array([row[name] for row in rows], dtype=of)
    return Held(**columns)


def _commodity(name: str = "BTC", **parts: Any) -> Commodity:
    own: dict[str, Any] = {"code": CODE, "bases": (name,), "vol_range": Share(value=0.25)}
    return Commodity(name=name, **(own | parts))


def _scan(*commodities: Commodity, **parts: Any) -> ScanModel:
    return ScanModel(code=CODE, commodities=commodities, extreme=EXTREME, **parts)


def _years(text: Any) -> float:
    # "30/365"
    above, _, below = str(text).partition("/")
    return float(above) / float(below or 1.0)


def _told(part: CommodityScan) -> dict[str, Any]:
    return {
        "scan_risk": part.scan,
        "active_scenario": part.active,
        "vol_adjusted_scan_risk": part.vol_adjusted,
        "time_risk": part.time_risk,
        "price_risk": part.price_risk,
        "volatility_risk": part.vol_risk,
    }


# --- scan ---


def _span_group(group: Any) -> Iterator[Piece]:
    if stated := group.get("scenario_definition"):
        multiples = stated["price_multiples_of_scan_range"][:14]
        outputs = {"price_multiples": multiples, "vol_multiples": stated["vol_multiples"]}
        yield Piece("/scenarios", "/scenarios", {}, outputs, is_rounded=True)  # thirds
        for row, case in enumerate(stated.get("extreme_conventions", ())):
            yield Piece(f"/extreme {row}", "/extreme", {"name": case["name"]}, without(case, "name"))
    for name, (kind, inputs) in _SPAN_PIECES.items():
        if name in group:
            case = group[name]
            given = case.get("inputs", {}) | {key: case[key] for key in inputs if key in case}
            outputs = without(case, "inputs", "lesson", *inputs)
            yield Piece(f"/{name}", f"/{kind}", given, outputs, is_rounded=kind == "future")


_SPAN_PIECES: Final = {
    "covered_write_1990s_sp500": ("printed", ("pnl_long_future", "pnl_long_dec410_call")),
    "nse_nifty_future_array": ("future", ("reconstruction", "price_scan_range", "array_losses_for_long")),
    "synthetic_btc": ("synthetic", ()),
    "intercommodity_example": ("spread", ()),
    "intracommodity_example": ("calendar", ()),
}
"""Kind of each example of a scan, and which of its entries are inputs; a recorded array is one, of its reconstruction."""


def scenarios(v: Vector) -> dict[str, Any]:
    """Moves of the sixteen scenarios without the extremes."""
    made = scenarios_of(EXTREME)
    return {"price_multiples": made.price[:14, 0].tolist(), "vol_multiples": made.vol[:, 0].tolist()}


def extreme(v: Vector) -> dict[str, Any]:
    """What an extreme move counts in multiples of the range: "3x range, 33% counted"."""
    found = re.search(r"([0-9.]+)x range, ([0-9.]+)%", str(v.inputs["name"]))
    if found is None:
        raise UnsupportedError("the convention does not say its multiple and share")
    made = scenarios_of(Extreme(multiple=float(found.group(1)), fraction=float(found.group(2)) / 100.0))
    return {"weight_times_multiple": float((made.price * made.weight)[14, 0])}


def printed(v: Vector) -> dict[str, Any]:
    """A long future and a short call by the arrays of a book, profit > 0."""
    profits = {"FUT": v.inputs["pnl_long_future"], "CALL": v.inputs["pnl_long_dec410_call"]}
    arrays = {s: RiskArray(losses=tuple(-float(p) for p in row), delta=1.0) for s, row in profits.items()}
    model = _scan(Commodity(name="SP", code=CODE, price_risk=PriceRisk.NORMAL), arrays=arrays)
    future = _position("FUT", 1.0, 400.0)
    call = _position("CALL", -1.0, 400.0, is_option=True, is_call=True, strike=410.0, vol=0.2, years=0.1)
    (both,) = scan_margin(model, _held(future, call)).commodities
    (long,) = scan_margin(model, _held(call | {"quantity": 1.0})).commodities
    told = _told(both)
    return {
        "pnl_long_future_short_call": (-both.losses.sum(axis=1)).tolist(),
        "scan_risk_future": scan_margin(model, _held(future)).maintenance,
        "scan_risk_long_call": long.scan,
        "scan_risk_covered_write": both.scan,
        "active_scenario": both.active,
        "derived": told | {"paired_scenario": paired(both.active - 1) + 1},
    }


def future(v: Vector) -> dict[str, Any]:
    """The array of one future with carry, from the terms of its reconstruction: ``w (drift - m range)``."""
    found = re.search(r"\(([0-9.]+) *- *m_j *\* *([0-9.]+)\)", str(v.inputs["reconstruction"]))
    if found is None:
        raise UnsupportedError("the reconstruction does not say its terms")
    drift, reach = (Amount(value=float(number)) for number in found.groups())
    rule = _commodity(price_range=reach, drift=Amount(value=-drift.value))
    losses = risk_arrays(_scan(rule), rule, _held(_position("FUT", 1.0, 24_000.0))).losses[:, 0]
    return {"recomputed": losses.tolist()}


def synthetic(v: Vector) -> dict[str, Any]:
    """A future, a call and an inverse contract by Black-76 and a range."""
    forward, vol, years = v.number("F"), v.number("implied_vol"), _years(v.inputs["T_years"])
    call = _position(
        "CALL", 1.0, forward, is_option=True, is_call=True, strike=v.number("K"), vol=vol, years=years
    ) | {"days": years * DAYS_IN_YEAR}
    price = discounted_price(forward, v.number("K"), vol, years, is_call=True)
    call["mark"] = float(price)
    rule = _commodity(
        price_range=Amount(value=v.number("price_scan_range")),
        vol_range=Share(value=v.number("vol_scan_relative")),
    )
    model, long = _scan(rule), _position("FUT", 1.0, forward)
    arrays = risk_arrays(model, rule, _held(long, call))
    coin = _held(
        _position("INV", 100_000.0, forward, a=0.0, c=1.0, in_coin=True, settlement="BTC"), currency="BTC"
    )
    (both,) = scan_margin(model, _held(long, call | {"quantity": -1.0})).commodities
    return _told(both) | {
        "call_price": float(price),
        "loss_long_future_usd": arrays.losses[:, 0].tolist(),
        "loss_long_call_usd": arrays.losses[:, 1].tolist(),
        "loss_long_inverse_100k_usd_contracts_in_btc": (
            risk_arrays(model, rule, coin).losses[:, 0] * 100_000.0
        ).tolist(),
        "loss_long_future_short_call_usd": both.losses.sum(axis=1).tolist(),
        "composite_delta_call": float(arrays.delta[1]),
        "delta_weights": _weights(),
        "inverse_scan_risk_btc": scan_margin(model, coin).maintenance,
    }


def _weights() -> dict[str, float]:
    of = dict(zip(PRICE_MULTIPLES, DELTA_WEIGHTS, strict=True))
    return {"0": of[0.0], "+-1/3": of[1 / 3], "+-2/3": of[2 / 3], "+-1": of[1.0]}


def spread(v: Vector) -> dict[str, Any]:
    """A credit between two commodities."""
    ratio = v.inputs["spread"]
    names = [name for name in v.inputs if name != "spread"]
    rules = tuple(
        _commodity(
            name,
            price_range=Amount(value=float(v.inputs[name]["price_scan_range"])),
            price_risk=PriceRisk.NORMAL,
        )
        for name in names
    )
    rows = [_position(n, float(v.inputs[n]["net_delta"]), 1e5, base=n) for n in names]
    legs = tuple(
        SpreadLeg(commodity=name, ratio=float(ratio[name]), opposite=row > 0)
        for row, name in enumerate(names)
    )
    credited = CommoditySpread(code=CODE, legs=legs, rate=float(ratio["credit_rate"]))
    margin = scan_margin(_scan(*rules, spreads=(credited,)), _held(*rows))
    parts = {part.rule.name: part for part in margin.commodities}
    return {
        "scan_risk": {n: parts[n].scan for n in names},
        "weighted_futures_price_risk": {n: parts[n].delta_risk for n in names},
        "spreads_formed": parts[names[0]].credits[0].formed.count if parts[names[0]].credits else 0,
        "credit": {n: parts[n].credit for n in names},
        "total": margin.maintenance,
    }


def calendar(v: Vector) -> dict[str, Any]:
    """A charge between two expiries of one commodity."""
    charge = CalendarSpread(
        code=CODE, tiers=("near", "far"), rate=Amount(value=v.number("charge_per_spread"))
    )
    tiers = (ExpiryTier(name="near", days_max=40.0), ExpiryTier(name="far"))
    rule = _commodity(price_range=Amount(value=v.number("price_scan_range")), tiers=tiers, spreads=(charge,))
    near = _position("NEAR", v.number("near_delta"), 1e5, days=30.0)
    far = _position("FAR", v.number("far_delta"), 1e5, days=90.0)
    margin = scan_margin(_scan(rule), _held(near, far))
    (part,) = margin.commodities
    charged = part.calendar[0] if part.calendar else None
    return {
        "scan_risk": part.scan,
        "spreads": charged.formed.count if charged else 0,
        "charge": charged.amount if charged else 0.0,
        "total": margin.maintenance,
    }


# --- ranges ---


def _ranges_group(group: Any) -> Iterator[Piece]:
    ranges = group["ranges"]
    (name,) = [n for n in ranges if "equity" in n] or [next(iter(ranges))]
    shared = {**group["inputs"], "range": ranges[name], "minimum": group["minimum_per_option"]}
    yield Piece("/points", "", shared, {"valuation_points": group["valuation_points"]})
    for name in group:
        if legs := _legs(name):
            yield Piece(f"/{name}", "", {**shared, "legs": legs}, group[name])


def _legs(name: str) -> list[tuple[float, str]]:
    # "long_100_shares_long_1_put"
    found = re.findall(r"(long|short)_([0-9]+)_(share|put|call)", name)
    return [((-1.0 if side == "short" else 1.0) * float(count), what) for side, count, what in found]


def ranges(v: Vector) -> dict[str, Any]:
    """A stock and options on it at the points of a range."""
    low, high = (float(x) for x in v.inputs["range"])
    minimum = OptionMinimum(code=CODE, rate=Amount(value=v.number("minimum")))
    rule = UnderlyingClass(name="equity", code=CODE, down=-low, up=high)
    told: dict[str, Any] = {"valuation_points": points_of(rule, 5).tolist()}
    rows = [_leg(v.inputs, v.number("S"), *leg) for leg in v.inputs.get("legs", ())]
    if rows:
        margin = ranges_margin(RangesModel(code=CODE, classes=(rule,), minimum=minimum), _held(*rows))
        gains = [part.net for group in margin.groups for part in group.classes]
        told |= {"pnl": np.sum(gains, axis=0).tolist(), "margin": margin.maintenance}
    return told


def _leg(inputs: Mapping[str, Any], spot: float, quantity: float, what: str) -> dict[str, Any]:
    if what == "share":
        return _position("SHARE", quantity, spot)
    years, size, vol = _years(inputs["T"]), float(inputs["multiplier"]), float(inputs["vol"])
    strike, is_call = float(inputs["K"]), what == "call"
    mark = float(discounted_price(spot, strike, vol, years, is_call=is_call))
    terms: dict[str, Any] = {"a": size, "strike": strike, "vol": vol, "years": years, "mark": mark}
    return _position(
        what, quantity, spot, is_option=True, is_call=is_call, days=years * DAYS_IN_YEAR, **terms
    )


GROUPS: Final[dict[str, Group]] = {"span": _span_group, "portfolio_margin_tims": _ranges_group}
TRANSLATORS: Final[dict[str, Translator]] = {
    "reference span/scenarios": scenarios,
    "reference span/extreme": extreme,
    "reference span/printed": printed,
    "reference span/future": future,
    "reference span/synthetic": synthetic,
    "reference span/spread": spread,
    "reference span/calendar": calendar,
    "reference portfolio_margin_tims": ranges,
}

"""Derive (Lyra v2): option formulas, formula margin and auctions, from the fixtures of its repository."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from margrave.adapters.conform.vector import Vector
from margrave.core.fixed import fixed_array
from margrave.kernels.discounted_option import discounted_delta, discounted_price
from margrave.kernels.svi import svi_log_moneyness, svi_vol
from margrave.liquidation import dutch_auction
from margrave.liquidation.dutch_auction import Auction, Auctioned
from margrave.margin.standard.standard_manager import (
    Amounts,
    Expiries,
    Holding,
    Options,
    Underlyings,
    floats,
    net_margin,
    terms_of,
)
from margrave.rulebook.standard_manager import (
    BaseRule,
    DepegRule,
    ExpiryRule,
    OracleRule,
    PerpetualRule,
    StandardManager,
    StandardMarket,
)

_CODE = "STATED-RULE-001"
_YEAR = 365 * 86_400
Column = Callable[[Sequence[float]], Amounts]


def black76(vector: Vector) -> dict[str, Any]:
    """Prices of a call and a put, and their deltas."""
    forward, strike, vol = (vector.number(name) for name in ("forward", "strike", "vol"))
    years, discount = vector.number("seconds") / _YEAR, vector.number("discount", 1.0)
    return {
        "call": float(discounted_price(forward, strike, vol, years, True, discount)),
        "put": float(discounted_price(forward, strike, vol, years, False, discount)),
        "call_delta": float(discounted_delta(forward, strike, vol, years, True, discount)),
        "put_delta": float(discounted_delta(forward, strike, vol, years, False, discount)),
    }


def svi(vector: Vector) -> dict[str, Any]:
    """Vol of a strike, and the log-moneyness at which the smile was read."""
    strike, forward = vector.number("strike"), vector.number("forward")
    a, b, rho, m, sigma = (vector.number(name) for name in ("a", "b", "rho", "m", "sigma"))
    return {
        "vol": float(svi_vol(strike, vector.number("tau"), a, b, rho, m, sigma, forward)),
        "k": float(svi_log_moneyness(strike, forward, a, b, sigma)),
    }


def margin(vector: Vector) -> dict[str, Any]:
    """Net margins and market value in float64."""
    return {name: float(number) for name, number in _margin(vector, floats).items()}


def exact_margin(vector: Vector) -> dict[str, Any]:
    """Net margins in the protocol's fixed-point arithmetic, every decimal shown."""
    return {name: str(number) for name, number in _margin(vector, fixed_array).items()}


def _margin(vector: Vector, column: Column) -> dict[str, Any]:
    holding = _holding(vector.inputs, column)
    rule = _rule(vector.inputs["params"], holding.underlyings.name)
    found = net_margin(terms_of(rule, holding.underlyings.name, column), holding)
    initial, maintenance = found.level
    return {"IM": initial.net, "MM": maintenance.net, "MtM": found.mark_to_market}


def _rule(params: dict[str, Any], names: tuple[str, ...]) -> StandardManager:
    p = {name: float(value) for name, value in params.items()}
    perpetual = PerpetualRule(code=_CODE, initial=p["perpIM"], maintenance=p["perpMM"])
    options = ExpiryRule(
        code=_CODE,
        spot_max=p["maxSpot"],
        spot_min=p["minSpot"],
        maintenance_call=p["mmCall"],
        maintenance_put=p["mmPut"],
        maintenance_put_mark=p["mmPutMtM"],
        put_initial_over_maintenance=p["mmOffset"],
        unpaired_initial=p["unpairedIM"],
        unpaired_maintenance=p["unpairedMM"],
    )
    base = BaseRule(code=_CODE, factor=p["baseFactor"], initial_scale=p["baseIMScale"])
    oracle = OracleRule(
        code=_CODE,
        perpetual_threshold=p["ocPerp"],
        option_threshold=p["ocOption"],
        base_threshold=p["ocBase"],
        factor=p["ocFactor"],
    )
    markets = tuple(
        StandardMarket(base=name, perpetual=perpetual, options=options, collateral=base, oracle=oracle)
        for name in names
    )
    depeg = DepegRule(code=_CODE, threshold=p["depegT"], factor=p["depegF"])
    return StandardManager(code=_CODE, settlement="USDC", markets=markets, depeg=depeg)


def _holding(inputs: dict[str, Any], column: Column) -> Holding:
    markets = inputs["markets"]

    def of(name: str, default: float | None = None) -> Amounts:
        return column([float(m[name] if default is None else m.get(name, default)) for m in markets])

    spot = of("spot")
    under = Underlyings(
        name=tuple(f"{row} {m.get('name', '')}" for row, m in enumerate(markets)),
        spot=spot,
        spot_confidence=of("spot_conf", 1.0),
        perpetual=of("perp", 0.0),
        perpetual_price=column([float(m.get("perp_price", m["spot"])) for m in markets]),
        perpetual_confidence=of("perp_conf", 1.0),
        perpetual_profit=of("perp_pnl", 0.0),
        base=of("base", 0.0),
    )
    cash, stable = column([float(inputs.get("cash", 0.0)), float(inputs.get("stable", 1.0))])
    return Holding(cash, stable, under, *_options(markets, column))


def _options(markets: list[dict[str, Any]], column: Column) -> tuple[Expiries, Options]:
    dates = [(row, date) for row, market in enumerate(markets) for date in market.get("expiries", [])]
    held = [(row, option) for row, (_, date) in enumerate(dates) for option in date["opts"]]
    expiry = np.array([row for row, _ in held], dtype=np.int64)
    strike, quantity, vol = (np.array([float(o[place]) for _, o in held]) for place in (0, 2, 3))
    is_call = np.array([bool(option[1]) for _, option in held], dtype=np.bool_)
    forward = np.array([float(date["F"]) for _, date in dates])
    years = np.array([float(date["T"]) / _YEAR for _, date in dates])
    price = discounted_price(forward[expiry], strike, vol, years[expiry], is_call)
    expiries = Expiries(
        label=tuple(f"{row} {date['T']}" for row, date in dates),
        market=np.array([row for row, _ in dates], dtype=np.int64),
        forward=column(forward.tolist()),
        confidence=column([float(date.get("conf", 1.0)) for _, date in dates]),
    )
    label = tuple(f"{k:g}-{'C' if c else 'P'}" for k, c in zip(strike, is_call, strict=True))
    options = Options(
        label,
        expiry,
        column(strike.tolist()),
        is_call,
        column(quantity.tolist()),
        column(price.tolist()),
    )
    return expiries, options


def auction_of(inputs: dict[str, Any]) -> Auction:
    """Constants of an auction as the fixtures name them."""
    a = {name: float(value) for name, value in inputs["auction"].items()}
    return Auction(
        start=a["start"],
        cutoff=a["cutoff"],
        fast_seconds=a["fast"],
        slow_seconds=a["slow"],
        insolvent_seconds=a["insolvent"],
        fee=a["fee"],
        buffer=a["buffer"],
    )


def discount(vector: Vector) -> dict[str, Any]:
    """Share of market value that a bid pays."""
    return {"discount": dutch_auction.discount(auction_of(vector.inputs), vector.number("elapsed"))}


def auction(vector: Vector) -> dict[str, Any]:
    """One bid on an account, solvent or not."""
    rules, elapsed = auction_of(vector.inputs), vector.number("elapsed")
    account = Auctioned(vector.number("mtm"), vector.number("mm"), vector.number("reserved", 0.0))
    wanted = vector.number("want", 1.0)
    common = {
        "buffer_margin": dutch_auction.buffer_margin(rules, account),
        "fee": dutch_auction.start_fee(rules, account),
    }
    if vector.inputs.get("insolvent"):
        taken = dutch_auction.insolvent_bid(rules, account, elapsed, wanted)
        price = 0.0 - dutch_auction.insolvent_payout(rules, account, elapsed)
        return {**common, "bid_price": price, "paid_to_bidder": 0.0 - taken.cash, "fraction": taken.fraction}
    taken = dutch_auction.bid(rules, account, elapsed, wanted)
    return {
        **common,
        "discount": dutch_auction.discount(rules, elapsed),
        "bid_price": dutch_auction.bid_price(rules, account, elapsed),
        "max_fraction": dutch_auction.max_fraction(rules, account, elapsed),
        "fraction": taken.fraction,
        "cash_from_bidder": taken.cash,
    }


TRANSLATORS = {
    "derive.black76": black76,
    "derive.svi": svi,
    "derive.srm": margin,
    "derive.srm_integer": exact_margin,
    "derive.auction": auction,
    "derive.auction_discount": discount,
}

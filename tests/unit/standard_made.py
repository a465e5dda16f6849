"""Accounts of the standard manager that the tests make, and a slow twin of its formula in plain loops."""

import numpy as np

from margrave.core.fixed import fixed_array
from margrave.margin.standard.standard_manager import Expiries, Holding, Options, Underlyings, floats
from margrave.rulebook.standard_manager import (
    BaseRule,
    DepegRule,
    ExpiryRule,
    OracleRule,
    PerpetualRule,
    StandardManager,
    StandardMarket,
)

# Upstream test configuration, specification of the protocols 1.4.
PERPETUAL = PerpetualRule(code="TEST-SRM-001", initial=0.065, maintenance=0.05)
OPTIONS = ExpiryRule(
    code="TEST-SRM-002",
    spot_max=0.15,
    spot_min=0.10,
    maintenance_call=0.075,
    maintenance_put=0.075,
    maintenance_put_mark=0.075,
    put_initial_over_maintenance=1.05,
    unpaired_initial=1.2,
    unpaired_maintenance=1.1,
)
BASE = BaseRule(code="TEST-SRM-003", factor=0.8, initial_scale=0.9)
ORACLE = OracleRule(
    code="TEST-SRM-004", perpetual_threshold=0.4, option_threshold=0.4, base_threshold=0.4, factor=0.4
)
DEPEG = DepegRule(code="TEST-SRM-005", threshold=0.98, factor=1.2)


def rule(*names, **more):
    """Rules of the test configuration for some underlyings."""
    parts = {"perpetual": PERPETUAL, "options": OPTIONS, "collateral": BASE, "oracle": ORACLE} | more
    markets = tuple(StandardMarket(base=name, **parts) for name in names or ("ETH",))
    return StandardManager(code="TEST-SRM-006", settlement="USDC", markets=markets, depeg=DEPEG)


def market(spot=2000.0, perp=0.0, base=0.0, expiries=(), **more):
    """One underlying: expiries are (forward, confidence, [(strike, is_call, quantity, price)])."""
    told = {"name": "ETH", "spot_confidence": 1.0, "perp_confidence": 1.0, "perp_price": spot, "profit": 0.0}
    return {"spot": spot, "perp": perp, "base": base, "expiries": expiries} | told | more


def holding(*markets, cash=0.0, stable=1.0, exact=False):
    """Columns of an account."""
    column = fixed_array if exact else floats
    dates = [(row, date) for row, m in enumerate(markets) for date in m["expiries"]]
    legs = [(row, leg) for row, (_, date) in enumerate(dates) for leg in date[2]]
    under = Underlyings(
        tuple(m["name"] for m in markets),
        *(
            column([m[name] for m in markets])
            for name in ("spot", "spot_confidence", "perp", "perp_price", "perp_confidence", "profit", "base")
        ),
    )
    expiries = Expiries(
        tuple(f"date {row}" for row in range(len(dates))),
        np.array([row for row, _ in dates], dtype=np.int64),
        column([date[0] for _, date in dates]),
        column([date[1] for _, date in dates]),
    )
    options = Options(
        tuple(f"{leg[0]:g}-{'call' if leg[1] else 'put'}" for _, leg in legs),
        np.array([row for row, _ in legs], dtype=np.int64),
        column([leg[0] for _, leg in legs]),
        np.array([leg[1] for _, leg in legs], dtype=np.bool_),
        column([leg[2] for _, leg in legs]),
        column([leg[3] for _, leg in legs]),
    )
    cash, stable = column([cash, stable])
    return Holding(cash, stable, under, expiries, options)


def twin(*markets, cash=0.0, stable=1.0, initial=True):
    """Net margin of the test configuration in plain loops, written from the specification."""
    net = cash
    for m in markets:
        spot, shorts = m["spot"], 0.0
        net += m["profit"] - abs(m["perp"]) * m["perp_price"] * (0.065 if initial else 0.05)
        net += m["base"] * spot * 0.8 * (0.9 if initial else 1.0)
        for forward, confidence, legs in m["expiries"]:
            net += max(
                sum(_twin_alone(leg, spot, initial) for leg in legs), _twin_together(legs, forward, initial)
            )
            short = -sum(min(leg[2], 0.0) for leg in legs)
            shorts += short
            sure = min(confidence, m["spot_confidence"])
            if initial and sure < 0.4:
                net -= (1.0 - sure) * 0.4 * spot * short
        if initial:
            net -= (abs(m["perp"]) + shorts) * max(0.0, 0.98 - stable) * 1.2 * spot
            sure = min(m["spot_confidence"], m["perp_confidence"])
            net -= (1.0 - sure) * 0.4 * spot * abs(m["perp"]) if sure < 0.4 else 0.0
            sure = m["spot_confidence"]
            net -= (1.0 - sure) * 0.4 * spot * m["base"] if sure < 0.4 else 0.0
    return net


def _twin_alone(leg, spot, initial):
    strike, is_call, amount, price = leg
    if amount >= 0.0:
        return 0.0
    value = amount * price
    maintenance = 0.075 * spot * amount if is_call else min(0.075 * spot * amount, 0.075 * value)
    maintenance += value
    if not initial:
        return maintenance
    away = max(strike - spot if is_call else spot - strike, 0.0)
    risk = max(0.10, 0.15 - away / spot) * spot * amount + value
    return risk if is_call else min(risk, 1.05 * maintenance)


def _twin_together(legs, forward, initial):
    held = [leg for leg in legs if leg[2] != 0.0]
    worst = 0.0
    for settled in [0.0, *(leg[0] for leg in held)]:
        payoff = sum(
            amount * max(settled - strike if is_call else strike - settled, 0.0)
            for strike, is_call, amount, _ in held
        )
        worst = min(worst, payoff)
    calls = sum(leg[2] for leg in legs if leg[1])
    return worst + (1.2 if initial else 1.1) * forward * min(calls, 0.0)

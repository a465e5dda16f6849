"""Translators of Hyperliquid, Synthetix, Opyn and Paradex vectors.

Hyperliquid's positions are ladders with leverage: they run through the ordinary calculation, under a rulebook of the
rates that the vector states.
"""

from typing import Any

from margrave.adapters.conform.objects import (
    Held,
    account_of,
    brackets,
    linear,
    liquidated,
    market_of,
    pool_of,
    rules,
)
from margrave.adapters.conform.vector import Vector
from margrave.domain.instruments import Right
from margrave.protocols import opyn, synthetix
from margrave.protocols.hyperliquid import maintenance_rate
from margrave.protocols.option_cross import CrossTerms, long_margin, short_margin
from margrave.rulebook.ladders import Progressive

LARGEST_LEVERAGE = 50.0
"""Of a position whose vector states none: its maintenance is not asked for."""


def _signed(v: Vector) -> float:
    size = v.number("size")
    return abs(size) * v.sign if "side" in v.inputs else size


def isolated(v: Vector) -> dict[str, Any]:
    """Liquidation price of an isolated position from the margin that it holds."""
    size, entry = _signed(v), v.number("entry_price")
    held = Held(linear(), size, entry, v.number("mark", entry), isolated=v.number("collateral"))
    book = rules(_rates(v))
    return {"liquidation_price": liquidated(account_of(held), market_of(held), book, size)}


def _rates(v: Vector) -> Progressive:
    if "tiers" in v.inputs:
        return brackets(
            [(floor, maintenance_rate(v.resolved(leverage))) for floor, leverage in v.inputs["tiers"]]
        )
    return brackets([(0.0, maintenance_rate(v.number("max_leverage", LARGEST_LEVERAGE)))])


def position(v: Vector) -> dict[str, Any]:
    """Value and margin of a position."""
    held = Held(linear(), _signed(v), v.number("mark"), leverage=v.number("leverage"))
    pool = pool_of(account_of(held), market_of(held), rules(_rates(v)))
    return {
        "position_value": pool.positions[0].notional,
        "margin_used": pool.initial,
        "maintenance": pool.maintenance,
    }


def cross(v: Vector) -> dict[str, Any]:
    """Liquidation price of one position among others, which a second one stands for."""
    size, mark = _signed(v), v.number("mark")
    held = Held(linear(), size, mark)
    book = rules(_rates(v))
    own = pool_of(account_of(held), market_of(held), book).maintenance
    others = (v.number("cross_maintenance") - own) / maintenance_rate(
        v.number("max_leverage", LARGEST_LEVERAGE)
    )
    rest = Held(linear(symbol="OTHERS", base="OTHERS"), others, 1.0)
    cash = {"USDT": v.number("account_value")}
    return {
        "liquidation_price": liquidated(account_of(held, rest, cash=cash), market_of(held, rest), book, size)
    }


def totals(v: Vector) -> dict[str, Any]:
    """Margins of an account whose positions share leverage and tier."""
    held = Held(linear(), v.number("total_notional"), 1.0, leverage=v.number("leverage"))
    pool = pool_of(account_of(held), market_of(held), rules(_rates(v)))
    return {"margin_used": pool.initial, "maintenance": pool.maintenance}


def maintenance(v: Vector) -> dict[str, Any]:
    """Maintenance of a notional by tiers of floor and highest leverage."""
    held = Held(linear(), v.number("notional"), 1.0)
    return {"maintenance_margin": pool_of(account_of(held), market_of(held), rules(_rates(v))).maintenance}


def synthetix_margins(v: Vector) -> dict[str, Any]:
    """Both levels of an account, and what may leave it."""
    held = [
        synthetix.PerpsPosition(
            synthetix.PerpsMarket(
                skew_scale=v.resolved(row["skew_scale"]),
                initial_fraction=v.resolved(row["initial_fraction"]),
                minimum_ratio=v.resolved(row["minimum_ratio"]),
                maintenance_scalar=v.resolved(row["maintenance_scalar"]),
                minimum_position_margin=v.resolved(row.get("minimum_position_margin", 0)),
            ),
            v.resolved(row["size"]),
            v.resolved(row["price"]),
        )
        for row in v.inputs["positions"]
    ]
    got = synthetix.margins(held, v.number("available", 0.0), v.number("liquidation_rewards", 0.0))
    return {"initial": got.initial, "maintenance": got.maintenance, "withdrawable": got.withdrawable}


def opyn_naked(v: Vector) -> dict[str, Any]:
    """Margin of a naked short option, by its bound or by its days to expiry."""
    bound = v.number("upper_bound") if "upper_bound" in v.inputs else opyn.upper_bound(v.number("days"))
    right = Right.PUT if v.inputs["put"] else Right.CALL
    shock = v.number("shock", opyn.SPOT_SHOCK)
    return {"required": opyn.naked_margin(right, v.number("strike"), v.number("spot"), bound, shock)}


def paradex_option(v: Vector) -> dict[str, Any]:
    """Cross margin of a perpetual option at both levels."""
    stated = v.inputs["params"]
    got: dict[str, Any] = {}
    for level, name in enumerate(("IM", "MM")):
        terms = CrossTerms(
            premium=float(stated["premium"][level]),
            long_cap=float(stated["long_itm"][level]),
            short_base=float(stated["short_itm"][level]),
            short_floor=float(stated["short_otm"][level]),
            short_put_cap=float(stated["short_put_cap"][level]),
        )
        if v.inputs["long"]:
            got[name] = long_margin(terms, v.number("mark"), v.number("spot"))
        else:
            right = Right.CALL if v.inputs["call"] else Right.PUT
            got[name] = short_margin(terms, right, v.number("strike"), v.number("spot"))
    return got


TRANSLATORS = {
    "hyperliquid.liq_price_isolated": isolated,
    "hyperliquid.liq_price_cross": cross,
    "hyperliquid.position": position,
    "hyperliquid.account_ratio": totals,
    "hyperliquid.maintenance_margin": maintenance,
    "synthetix_v3.margins": synthetix_margins,
    "opyn.naked_margin": opyn_naked,
    "paradex.option_cross_margin": paradex_option,
}

"""Groups of numbers about liquidation: who is deleveraged, what a shock starts, what closing costs."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import numpy as np

from margrave.adapters.conform.objects import linear
from margrave.adapters.conform.reference_pieces import Group, Piece, Translator, cases, numbers, without
from margrave.adapters.conform.vector import Vector
from margrave.domain.fills import profit
from margrave.engine.measures.cascade import fire_sale, linear_cascade
from margrave.engine.measures.run import one_sided
from margrave.kernels import deleveraging_shares as shares
from margrave.kernels.impact import Programme, execution_cost, holdings, urgency
from margrave.liquidation.deleverage import effective_leverage, price_and_leverage

# --- deleveraging ---

RULES_OF_SHARING: Final = ("queue", "pro_rata", "water_filling", "pnl_haircut")


def _adl_group(group: Any) -> Iterator[Piece]:
    yield Piece("/leverage", "", group["inputs"], {"leverage_before": group["leverage_before"]})
    for rule in RULES_OF_SHARING:
        if rule in group:
            yield Piece(f"/{rule}", "", {**group["inputs"], "rule": rule}, group[rule])


def deleveraging(v: Vector) -> dict[str, Any]:
    """What each rule takes from winners of linear contracts, and the leverage that it leaves."""
    side = -1.0 if "short" in str(v.inputs["side"]) else 1.0
    size, equity, entry = (numbers(v.inputs[name]) for name in ("contracts", "equity", "entry"))
    price, wanted = v.number("price"), v.number("contracts_to_remove")
    before = effective_leverage(size * price, equity)
    score = price_and_leverage(entry, price, side, before)
    gained = numbers([profit(linear().payoff, side * q, e, price) for q, e in zip(size, entry, strict=True)])
    match v.inputs.get("rule"):
        case "queue":
            removed = shares.by_queue(score, size, wanted)
        case "pro_rata":
            removed = shares.pro_rata(size, wanted)
        case "water_filling":
            removed = shares.water_filling(size, wanted, equity / price)
        case "pnl_haircut":
            cut = shares.haircut(gained, v.number("deficit_usd"))
            share = float(cut.sum() / np.maximum(gained, 0.0).sum())
            return {
                "unrealised": gained.tolist(),
                "haircut_fraction": share,
                "haircut_usd": cut.tolist(),
            }
        case _:
            return {"leverage_before": before.tolist()}
    return {
        "score": score.tolist(),
        "removed": removed.tolist(),
        "leverage_after": effective_leverage((size - removed) * price, equity).tolist(),
        "target_leverage": shares.level_left(size, wanted, equity / price),
    }


# --- cascades ---


def _cascade_group(group: Any) -> Iterator[Piece]:
    for row, case in enumerate(group.get("cases", ())):
        outputs = {name: case[name] for name in ("gain", "rounds", "limit") if name in case}
        yield Piece(f"/{row}", "", {**case["inputs"], "rounds": len(case.get("rounds", [0]))}, outputs)
    if sale := group.get("greenwood_landier_thesmar"):
        yield Piece("/sale", "/sale", sale["inputs"], without(sale, "rule", "inputs"))


def uniform_cascade(v: Vector) -> dict[str, Any]:
    """Closed form of a uniform book."""
    impact, density = v.number("kappa_pct_per_musd"), v.number("rho_musd_per_pct")
    found = linear_cascade(v.number("shock_pct"), impact, density, int(v.number("rounds")))
    limit: Any = found.limit if np.isfinite(found.limit) else None
    return {"gain": found.gain, "rounds": found.rounds.tolist(), "limit": limit}


def forced_sales(v: Vector) -> dict[str, Any]:
    """Sales of leveraged holders, and what they lose a second time."""
    assets, leverage = numbers(v.inputs["assets"]), numbers(v.inputs["leverage_DE"])
    found = fire_sale(assets, leverage, v.number("shock"), v.number("impact_per_unit"))
    return {
        "sales": found.sales.tolist(),
        "total_sales": float(found.sales.sum()),
        "price_fall": found.price_fall,
        "second_round_loss": found.second_loss.tolist(),
    }


def _targets_group(group: Any) -> Iterator[Piece]:
    event = group.get("hyperliquid_2025_10_10", {})
    names = ("liquidation_feed_notional", "adl_notional", "first_liquidation", "first_adl")
    if all(name in event for name in names) and "one_sided" in event:
        outputs = {**event["one_sided"], "seconds_to_first_adl": event["seconds_to_first_adl"]}
        yield Piece("/one_sided", "", {name: event[name] for name in names}, outputs, is_rounded=True)


def both_sides_of_a_feed(v: Vector) -> dict[str, Any]:
    """Liquidations in the book from a feed that has each twice, and what share was deleveraged."""
    feed, deleveraged = v.number("liquidation_feed_notional"), v.number("adl_notional")
    in_book = float(one_sided(numbers(feed), numbers(deleveraged)))
    first, then = (
        datetime.fromisoformat(f"2025-10-10T{v.inputs[n]}") for n in ("first_liquidation", "first_adl")
    )
    return {
        "book_liquidations_usd": in_book,
        "total_liquidated_usd": in_book + deleveraged,
        "adl_share": deleveraged / (in_book + deleveraged),
        "adl_share_if_feed_taken_as_is": deleveraged / feed,
        "seconds_to_first_adl": (then - first).total_seconds(),
    }


# --- execution ---


def execution(v: Vector) -> dict[str, Any]:
    """Almgren and Chriss: urgency, holdings, expected cost and its deviation."""
    names = ("X", "T", "N", "sigma", "epsilon", "gamma", "eta")
    size, horizon, steps, *rest = (v.number(name) for name in names)
    programme = Programme(size, horizon, int(steps), *rest)
    kappa, path = urgency(programme, v.number("lam")), holdings(programme, v.number("lam"))
    cost = execution_cost(programme, path)
    return {
        "kappa": kappa,
        "half_life": 1.0 / kappa if kappa else None,
        "holdings": path.tolist(),
        "E": cost.expected,
        "std": cost.deviation,
    }


GROUPS: Final[dict[str, Group]] = {
    "adl": _adl_group,
    "cascade_linear": _cascade_group,
    "cascade_validation_targets": _targets_group,
    "almgren_chriss": lambda group: cases(group, "lam"),
}
TRANSLATORS: Final[dict[str, Translator]] = {
    "reference adl": deleveraging,
    "reference cascade_linear": uniform_cascade,
    "reference cascade_linear/sale": forced_sales,
    "reference cascade_validation_targets": both_sides_of_a_feed,
    "reference almgren_chriss": execution,
}

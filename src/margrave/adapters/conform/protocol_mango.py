"""Mango vectors: plain units through `margrave.protocols`."""

import math
from typing import Any

from margrave.adapters.conform.vector import Vector
from margrave.core.errors import RefusedError
from margrave.protocols.mango import Health, Orders, Perp, Snapshot, Token, Weights, health
from margrave.protocols.mango_liquidation import PerpTerms, liquidate_perp, liquidate_token

Table = dict[str, Any]
_PLAIN = Weights(1.0, 1.0)


def account_health(v: Vector) -> Table:
    """Health of the kind that the vector names."""
    kind = Health(v.inputs.get("health_type", Health.INIT))
    return {"health": health(snapshot_of(v.inputs), kind)}


def snapshot_of(i: Table) -> Snapshot:
    """Snapshot of a vector's inputs."""
    return Snapshot(
        tuple(_token(tree) for tree in i["tokens"]),
        tuple(_orders(tree) for tree in i.get("orders", [])),
        tuple(_perp(tree, f"{n}") for n, tree in enumerate(i.get("perps", []))),
    )


def token_with_token(v: Vector) -> Table:
    """A token liquidation beside perpetuals that settle in both tokens."""
    overall = v.number("perp_overall_weight", 1.0)
    tokens = [
        ("asset", _weights(v, "asset_weights")),
        ("liab", _weights(v, "liab_weights")),
        ("other", _PLAIN),
    ]
    balances = {
        "asset": v.number("asset_token"),
        "liab": v.number("liab_token"),
        "other": v.number("other", 0.0),
    }
    snapshot = Snapshot(
        tuple(Token(name, balances[name], 1.0, weights, weights) for name, weights in tokens),
        perps=tuple(
            Perp(side, side, 1.0, 0, v.number(f"{side}_perp", 0.0), _PLAIN, _PLAIN, overall, overall)
            for side in ("asset", "liab")
        ),
    )
    try:
        done = liquidate_token(snapshot, "asset", "liab", v.number("max_liab_transfer"), v.number("fee", 0.0))
    except RefusedError:
        return {"success": False}
    after = done.snapshot
    return {
        "success": True,
        "asset_token": after.token("asset").balance,
        "liab_token": after.token("liab").balance,
    }


def perp_liquidation(v: Vector) -> Table:
    """A perpetual liquidation in an account of two tokens."""
    weights, overall = _weights(v, "base_weights"), v.number("overall_weight")
    perp = Perp(
        "perp",
        "settle",
        v.number("price"),
        round(v.number("base_lots")),
        v.number("quote"),
        weights,
        weights,
        overall,
        overall,
        lot_size=v.number("lot_size", 1.0),
    )
    tokens = [("settle", v.number("settle_token")), ("other", v.number("other_token", 0.0))]
    snapshot = Snapshot(tuple(Token(name, held, 1.0, _PLAIN, _PLAIN) for name, held in tokens), perps=(perp,))
    terms = PerpTerms(
        round(v.number("max_base")),
        v.number("max_pnl"),
        v.number("base_fee", 0.0),
        v.number("positive_pnl_fee", 0.0),
    )
    after = liquidate_perp(snapshot, "perp", terms).snapshot
    return {
        "settle_token": after.token("settle").balance,
        "base_lots": after.perps[0].lots,
        "quote": after.perps[0].quote,
    }


def _weights(v: Vector, name: str) -> Weights:
    return _pair(v.inputs.get(name, (1.0, 1.0)))


def _pair(pair: Any) -> Weights:
    return Weights(float(pair[0]), float(pair[1]))


def _token(tree: Table) -> Token:
    return Token(
        str(tree["name"]),
        float(tree.get("balance", 0.0)),
        float(tree["oracle"]),
        _pair(tree["init"]),
        _pair(tree["maint"]),
        stable=tree.get("stable"),
        deposits=float(tree.get("deposits", 0.0)),
        borrows=float(tree.get("borrows", 0.0)),
        deposit_scale_start=float(tree.get("deposit_scale_start", math.inf)),
        borrow_scale_start=float(tree.get("borrow_scale_start", math.inf)),
        stable_for_scaling=bool(tree.get("stable_for_scaling", True)),
    )


def _orders(tree: Table) -> Orders:
    inverse_bid = float(tree.get("highest_bid_inv", 0.0))
    return Orders(
        str(tree["base"]),
        str(tree["quote"]),
        float(tree.get("reserved_base", 0.0)),
        float(tree.get("reserved_quote", 0.0)),
        lowest_ask=tree.get("lowest_ask"),
        highest_bid=1.0 / inverse_bid if inverse_bid else None,
    )


def _perp(tree: Table, name: str) -> Perp:
    weights, overall = _pair(tree["base_weights"]), float(tree["overall_weight"])
    return Perp(
        name,
        str(tree["settle"]),
        float(tree["price"]),
        int(tree.get("lots", 0)),
        float(tree.get("quote", 0.0)),
        weights,
        weights,
        overall,
        overall,
        lot_size=float(tree.get("lot_size", 1)),
        bids=int(tree.get("bids", 0)),
        asks=int(tree.get("asks", 0)),
        stable=tree.get("stable"),
    )


TRANSLATORS = {
    "mango.health": account_health,
    "mango.liq_token_with_token": token_with_token,
    "mango.perp_liq": perp_liquidation,
}

"""Drift vectors: integers in the protocol's units through `margrave.protocols`."""

from typing import Any

from margrave.adapters.conform.vector import Vector
from margrave.protocols import drift_liquidation as liquidation
from margrave.protocols.drift import (
    PRICE,
    WEIGHT,
    Levels,
    MarginType,
    PerpMarket,
    SpotMarket,
    asset_weight,
    liability_weight,
    perp_margin_ratio,
    scaled_initial_asset_weight,
    unrealised_asset_weight,
)
from margrave.protocols.drift_account import AccountMargin, account_margin, equity, withdrawable
from margrave.protocols.drift_liquidation import FEE, Leg, PerpTerms
from margrave.protocols.drift_positions import (
    Context,
    DriftAccount,
    PerpPosition,
    QuoteBalance,
    SpotPosition,
)

Table = dict[str, Any]
_FULL = [WEIGHT, WEIGHT]


def spot_weights(v: Vector) -> Table:
    """Weights of a size, those that the vector states."""
    market, size, margin_type = _spot_market(v.inputs), int(v.inputs["size"]), _margin_type(v)
    got: Table = {}
    if "asset" in v.inputs:
        got["asset_weight"] = asset_weight(market, size, margin_type)
    if "liability" in v.inputs:
        got["liability_weight"] = liability_weight(market, size, margin_type)
    return got


def scaled_weight(v: Vector) -> Table:
    """Initial weight under the deposits of the market."""
    weight = v.inputs["asset_weight"]
    return {
        "asset_weight": scaled_initial_asset_weight(_spot_market({**v.inputs, "asset": [weight, weight]}))
    }


def profit_weight(v: Vector) -> Table:
    """Weight of an unrealised profit."""
    initial = int(v.inputs.get("initial_weight", 0))
    weights = [initial, int(v.inputs.get("maintenance_weight", initial))]
    market = _perp_market({**v.inputs, "upnl_weight": weights})
    return {"weight": unrealised_asset_weight(market, int(v.inputs["pnl"]), _margin_type(v))}


def margin_ratio(v: Vector) -> Table:
    """Ratio of a position size."""
    market, high = _perp_market(v.inputs), "high_leverage" in v.inputs
    return {"ratio": perp_margin_ratio(market, int(v.inputs["size"]), _margin_type(v), high_leverage=high)}


def margin(v: Vector) -> Table:
    """Requirement and collateral of the cross pool and of an isolated position, with the buffer where one is given."""
    i = v.inputs
    context = Context(
        _margin_type(v),
        strict=bool(i.get("strict", False)),
        buffer=int(i.get("buffer", 0)),
        ratio_override=int(i.get("ratio_override", 0)),
        ignore_invalid_deposits=bool(i.get("ignore_invalid_deposit_oracles", False)),
    )
    return _outputs(account_margin(account_of(i), context))


def _outputs(margin: AccountMargin) -> Table:
    pools = [("", margin.cross), *(("isolated_", pool) for pool in margin.isolated.values())]
    got: Table = {}
    for prefix, pool in pools:
        got[f"{prefix}margin_requirement"] = pool.requirement_with_buffer
        got[f"{prefix}total_collateral"] = pool.collateral_with_buffer
    return got


def net_value(v: Vector) -> Table:
    """Equity."""
    return {"net_usd_value": equity(account_of(v.inputs))}


def withdraw(v: Vector) -> Table:
    """The most that may leave of a stated token, or of the one that is deposited."""
    account = account_of(v.inputs)
    held = [n for n, spot in enumerate(account.spots) if spot.amount > 0]
    stated = v.inputs.get("withdraw", held[0] if held else None)
    spot = int(stated) if isinstance(stated, int) and stated >= 0 else None
    return {"amount": withdrawable(account, spot)}


def cover_base(v: Vector) -> Table:
    """Base to cover a shortage."""
    fee = int(v.inputs.get("if_fee", 0))
    return {"base": liquidation.base_to_cover_shortage(int(v.inputs["shortage"]), _terms(v), fee)}


def cover_liability(v: Vector) -> Table:
    """Liability to cover a shortage."""
    i = v.inputs
    fee = int(i.get("if_fee", 0))
    amount = liquidation.liability_to_cover_shortage(
        int(i["shortage"]), _leg(v, "asset"), _leg(v, "liability"), fee
    )
    return {"amount": amount}


def implied_liability(v: Vector) -> Table:
    """Liability that an asset amount pays for."""
    amount = int(v.inputs["asset_amount"])
    return {"amount": liquidation.liability_for_asset(amount, _leg(v, "asset"), _leg(v, "liability"))}


def asset_transfer(v: Vector) -> Table:
    """Asset that pays for a liability amount."""
    balance, amount = int(v.inputs["asset_amount"]), int(v.inputs["liability_amount"])
    asset, liability = _leg(v, "asset"), _leg(v, "liability")
    return {"amount": liquidation.asset_for_liability(balance, asset, amount, liability)}


def perp_loss(v: Vector) -> Table:
    """Funding index step."""
    loss, long, short = (int(v.inputs.get(k, 0)) for k in ("loss", "base_long", "base_short"))
    return {"funding_delta": liquidation.funding_step_for_loss(loss, long, short)}


def spot_loss(v: Vector) -> Table:
    """Deposit index cut."""
    loss, deposits, index = (
        int(v.inputs[k]) for k in ("loss", "total_deposits", "cumulative_deposit_interest")
    )
    return {"index_delta": liquidation.deposit_index_cut(loss, deposits, index)}


def perp_fee(v: Vector) -> Table:
    """Insurance fee of a perpetual."""
    shortage, base, most = (int(v.inputs[k]) for k in ("shortage", "base", "max_fee"))
    return {"fee": liquidation.perp_insurance_fee(shortage, base, _terms(v), most)}


def spot_fee(v: Vector) -> Table:
    """Insurance fee of a token."""
    shortage, amount, most = (int(v.inputs[k]) for k in ("shortage", "token_amount", "max_fee"))
    asset, liability = _leg(v, "asset"), _leg(v, "liability")
    return {"fee": liquidation.spot_insurance_fee(shortage, amount, asset, liability, most)}


def fee_of_slots(v: Vector) -> Table:
    """Liquidator fee after slots."""
    return {
        "fee": liquidation.liquidator_fee(
            *(int(v.inputs[k]) for k in ("base_fee", "max_fee", "slots_elapsed"))
        )
    }


def share(v: Vector) -> Table:
    """Share that may be liquidated."""
    i = v.inputs
    freed = int(i.get("margin_freed", i.get("liquidation_margin_freed", i.get("freed", 0))))
    shortage, slots, initial = int(i["shortage"]), int(i["slots_elapsed"]), int(i["initial_pct"])
    return {"pct": liquidation.share_to_liquidate(shortage, slots, initial, int(i["duration"]), freed)}


def swap_bounds(v: Vector) -> Table:
    """Whether a swap keeps the bounds."""
    taken, paid = int(v.inputs["asset_transfer"]), int(v.inputs["liability_transfer"])
    return {"ok": liquidation.swap_is_within_bounds(taken, _leg(v, "asset"), paid, _leg(v, "liability"))}


def _margin_type(v: Vector) -> MarginType:
    return MarginType(str(v.inputs.get("type", MarginType.INITIAL)))


def _levels(pair: Any) -> Levels:
    return Levels(int(pair[0]), int(pair[1]))


def _spot_market(tree: Table, name: str = "token") -> SpotMarket:
    return SpotMarket(
        name,
        int(tree.get("decimals", 6)),
        int(tree.get("price", PRICE)),
        _levels(tree.get("asset", _FULL)),
        _levels(tree.get("liability", _FULL)),
        imf=int(tree.get("imf", 0)),
        twap=tree.get("twap5m"),
        scale_start=int(tree.get("scale_start", 0)),
        deposits=int(tree.get("deposits", 0)),
    )


def _perp_market(tree: Table, name: str = "perpetual") -> PerpMarket:
    high = tree.get("high_leverage")
    return PerpMarket(
        name,
        int(tree.get("price", PRICE)),
        _levels(tree.get("ratio", [0, 0])),
        high_leverage=_levels(high) if high else None,
        imf=int(tree.get("imf", 0)),
        pnl_weight=_levels(tree.get("upnl_weight", [0, 0])),
        pnl_imf=int(tree.get("upnl_imf", 0)),
        prediction=bool(tree.get("prediction", False)),
        expiry_price=tree.get("expiry_price"),
    )


def account_of(i: Table) -> DriftAccount:
    """Account of a vector's inputs."""
    usdc = i.get("usdc", {})
    perps = i.get("perps", [])
    return DriftAccount(
        QuoteBalance(int(usdc.get("amount", 0)), int(usdc.get("price", PRICE)), usdc.get("twap5m")),
        tuple(_spot(tree, f"{n}") for n, tree in enumerate(i.get("spot", []))),
        tuple(_perp(tree, f"{n}") for n, tree in enumerate(perps)),
        ratio=int(i.get("user_ratio", 0)),
        high_leverage=any("high_leverage" in tree for tree in perps),
    )


def _spot(tree: Table, name: str) -> SpotPosition:
    bids, asks, count = _orders(tree)
    return SpotPosition(_spot_market(tree, name), int(tree["amount"]), bids, asks, count)


def _perp(tree: Table, name: str) -> PerpPosition:
    bids, asks, count = _orders(tree)
    return PerpPosition(
        _perp_market(tree, name),
        int(tree.get("base", 0)),
        int(tree.get("quote", 0)),
        bids,
        asks,
        count,
        funding=int(tree.get("funding", 0)),
        ratio=int(tree.get("position_ratio", 0)),
        isolated_deposit=tree.get("isolated_deposit"),
    )


def _orders(tree: Table) -> tuple[int, int, int]:
    return abs(int(tree.get("bids", 0))), -abs(int(tree.get("asks", 0))), int(tree.get("open_orders", 0))


def _terms(v: Vector) -> PerpTerms:
    i = v.inputs
    fee = i.get("liq_fee", i.get("liquidator_fee", 0))
    return PerpTerms(
        int(i["margin_ratio"]), int(fee), int(i["oracle_price"]), int(i.get("quote_price", PRICE))
    )


def _leg(v: Vector, side: str) -> Leg:
    # Where only the liability has a price and decimals, the vector calls them so without a side.
    def of(word: str, default: int) -> int:
        plain = v.inputs.get(word, default) if side == "liability" else default
        return int(v.inputs.get(f"{side}_{word}", plain))

    return Leg(of("price", PRICE), of("decimals", 6), of("multiplier", FEE), of("weight", WEIGHT))


TRANSLATORS = {
    "drift.spot_weights": spot_weights,
    "drift.scaled_initial_asset_weight": scaled_weight,
    "drift.upnl_asset_weight": profit_weight,
    "drift.perp_margin_ratio": margin_ratio,
    "drift.margin": margin,
    "drift.equity": net_value,
    "drift.withdrawable": withdraw,
    "drift.base_to_cover_shortage": cover_base,
    "drift.liability_transfer": cover_liability,
    "drift.liability_implied_by_asset": implied_liability,
    "drift.asset_transfer": asset_transfer,
    "drift.socialise_perp_loss": perp_loss,
    "drift.socialise_spot_loss": spot_loss,
    "drift.perp_if_fee": perp_fee,
    "drift.spot_if_fee": spot_fee,
    "drift.liquidation_fee": fee_of_slots,
    "drift.max_pct_to_liquidate": share,
    "drift.swap_within_bounds": swap_bounds,
}

"""Groups of numbers about futures: fair perpetuals, inverse closed forms, rates of a crowded market."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from margrave.adapters.conform.objects import (
    Held,
    account_of,
    inverse,
    liquidated,
    market_of,
    one_rate,
    pool_of,
    rules,
)
from margrave.adapters.conform.reference_pieces import Group, Piece, Translator, cases, without
from margrave.adapters.conform.vector import Vector
from margrave.domain.fills import profit
from margrave.kernels.dynamic_rate import crowded, crowding
from margrave.kernels.funding import inverse_perpetual_premium, perpetual_premium
from margrave.protocols.dydx import MILLION, LiquidityTier, initial_margin
from margrave.rulebook.load import checked
from margrave.rulebook.schema import Match, Product


def premiums(v: Vector) -> dict[str, Any]:
    """Perpetuals over spot without arbitrage."""
    given = (v.number("kappa"), v.number("iota"), v.number("r_quote"), v.number("r_base"))
    return {
        "linear_f_over_x": float(perpetual_premium(*given)),
        "inverse_f_over_x": float(inverse_perpetual_premium(*given)),
    }


def crowded_rate(v: Vector) -> dict[str, Any]:
    """Initial rate and margin of dYdX v4 at an open interest, in the protocol's integers and as a fraction."""
    low, high, outstanding = (int(v.number(name)) for name in ("lower_cap", "upper_cap", "open_notional"))
    base = v.number("base_imf")
    tier = LiquidityTier(
        initial_ppm=round(base * MILLION),
        maintenance_fraction_ppm=MILLION,
        open_interest_lower=low,
        open_interest_upper=high,
    )
    margin = initial_margin(tier, int(v.number("notional")), outstanding)
    return {"imf": float(crowded(base, crowding(outstanding, low, high))), "im": margin, "expected": margin}


def _inverse_group(group: Any) -> Iterator[Piece]:
    given = group["inputs"]
    for row, case in enumerate(group.get("isolated", ())):
        inputs = {**given, "leverage": case["leverage"], "collateral_btc": case["collateral_btc"]}
        yield Piece(f"/isolated {row}", "/isolated", inputs, without(case, "leverage", "collateral_btc"))
    for row, case in enumerate(group.get("pnl", ())):
        yield Piece(f"/pnl {row}", "/pnl", {**given, "P": case["P"]}, without(case, "P"))
    if several := group.get("multi_position_same_coin"):
        yield Piece("/several", "/several", several["inputs"], without(several, "inputs", "rule"))


def inverse_isolated(v: Vector) -> dict[str, Any]:
    """Both prices of both sides, on the collateral stated."""
    book, told = rules(one_rate(v.number("mm_rate"))), {}
    for sign, side in ((1.0, "long"), (-1.0, "short")):
        held = Held(
            inverse(), sign * v.number("q_usd"), v.number("entry"), isolated=v.number("collateral_btc")
        )
        account, market = account_of(held), market_of(held)
        for name, bankrupt in (("bankruptcy", True), ("liquidation", False)):
            told[f"{side}_{name}"] = liquidated(account, market, book, sign, bankrupt=bankrupt)
    return dict(told)


def inverse_profit(v: Vector) -> dict[str, Any]:
    """Profit of a long in coin, and in dollars at the price."""
    coins = profit(inverse().payoff, v.number("q_usd"), v.number("entry"), v.number("P"))
    return {"pnl_btc": coins, "pnl_usd": coins * v.number("P")}


def inverse_several(v: Vector) -> dict[str, Any]:
    """Contracts on one coin with rates of their own: where the pool is liquidated, and what it has there."""
    rows = v.inputs["positions"]
    held = [
        Held(inverse(symbol=f"P{n}", base="BTC"), float(r["q_usd"]), float(r["entry"]))
        for n, r in enumerate(rows)
    ]
    base = rules(one_rate(0.0))
    model = base.products[0].model
    book = checked(
        msgspec.structs.replace(
            base,
            products=tuple(
                Product(
                    name=h.instrument.symbol,
                    match=Match(symbols=(h.instrument.symbol,)),
                    model=msgspec.structs.replace(model, ladder=h.instrument.symbol),
                )
                for h in held
            ),
            ladders={h.instrument.symbol: one_rate(float(r["mm"])) for h, r in zip(held, rows, strict=True)},
        )
    )
    account = account_of(*held, cash={"BTC": v.number("collateral_btc")})

    def market(price: float) -> Any:
        at = tuple(Held(h.instrument, h.quantity, h.entry, price) for h in held)
        return market_of(*at, index={"BTC": price})

    price = liquidated(account, market(held[0].entry), book, sum(h.quantity for h in held))
    pool = pool_of(account, market(price), book)
    return {
        "liquidation_price": price,
        "check_equity_btc": pool.equity,
        "check_mm_btc": pool.maintenance,
    }


GROUPS: Final[dict[str, Group]] = {
    "perpetual_pricing": lambda group: cases(group, "kappa", "iota"),
    "dydx_v4_oimf": lambda group: cases(
        group, "base_imf", "lower_cap", "upper_cap", "open_notional", "notional"
    ),
    "inverse": _inverse_group,
}
TRANSLATORS: Final[dict[str, Translator]] = {
    "reference perpetual_pricing": premiums,
    "reference dydx_v4_oimf": crowded_rate,
    "reference inverse/isolated": inverse_isolated,
    "reference inverse/pnl": inverse_profit,
    "reference inverse/several": inverse_several,
}

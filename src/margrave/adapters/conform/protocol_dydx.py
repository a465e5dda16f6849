"""Translators of dYdX v4 vectors: integers in, the protocol's integers out."""

from decimal import Decimal
from typing import Any

from margrave.adapters.conform.vector import UnsupportedError, Vector
from margrave.protocols import dydx
from margrave.protocols.dydx import Holding, LiquidityTier, Perpetual, Risk
from margrave.protocols.dydx_liquidation import (
    GENESIS,
    LiquidationRules,
    Subaccount,
    bankruptcy_quote,
    fill_quote,
    fillable_price,
    insurance_delta,
)

TEST_CONVERSION_EXPONENT = -8
"""Quantum conversion exponent of the order books of the protocol's tests."""


def whole(inputs: dict[str, Any], name: str, default: int | None = None) -> int:
    """An input as an integer, exactly; a decimal with a fraction is none."""
    if name not in inputs:
        if default is None:
            raise UnsupportedError(f"input {name!r} is not given")
        return default
    number = Decimal(str(inputs[name]))
    if number != number.to_integral_value():
        raise ValueError(f"{name} is {inputs[name]!r}; it must be a whole number")
    return int(number)


def _tier(inputs: dict[str, Any]) -> LiquidityTier:
    name = "initial_margin_ppm" if "initial_margin_ppm" in inputs else "imf_ppm"
    return LiquidityTier(
        initial_ppm=whole(inputs, name),
        maintenance_fraction_ppm=whole(inputs, "maintenance_fraction_ppm", dydx.MILLION),
        open_interest_lower=whole(inputs, "oi_lower_cap", 0),
        open_interest_upper=whole(inputs, "oi_upper_cap", 0),
    )


def _market(inputs: dict[str, Any]) -> Perpetual:
    return Perpetual(
        name="MAIN",
        atomic_resolution=whole(inputs, "atomic_resolution"),
        price=whole(inputs, "price"),
        exponent=whole(inputs, "exponent"),
        tier=_tier({"initial_margin_ppm": 0, **inputs}),
        open_interest=whole(inputs, "open_interest", 0),
    )


def _holding(row: dict[str, Any]) -> Holding:
    # Quote quantums per base quantum: a base of the quote's own resolution at that price.
    price = Decimal(str(row["quote_per_quantum"]))
    exponent = min(int(price.as_tuple().exponent), 0)
    perpetual = Perpetual(
        name=str(row["id"]),
        atomic_resolution=dydx.QUOTE_RESOLUTION,
        price=int(price.scaleb(-exponent)),
        exponent=exponent,
        tier=_tier(row),
        open_interest=whole(row, "open_interest", 0),
    )
    return Holding(
        perpetual=perpetual,
        quantums=whole(row, "quantums"),
        user_initial_ppm=whole(row, "user_imf_ppm", 0),
    )


def _account(v: Vector) -> Subaccount:
    return Subaccount(whole(v.inputs, "quote_balance"), tuple(map(_holding, v.inputs["positions"])))


def _closed(v: Vector) -> tuple[Subaccount, str]:
    return _account(v), str(v.inputs["perpetual_id"])


def maintenance_ppm(v: Vector) -> dict[str, Any]:
    """Maintenance rate of a tier."""
    return {"mmr_ppm": dydx.maintenance_ppm(_tier(v.inputs))}


def funding_clamp(v: Vector) -> dict[str, Any]:
    """Largest funding rate of a tier."""
    factor = whole(v.inputs, "clamp_factor_ppm", dydx.FUNDING_CLAMP_FACTOR_PPM)
    return {"clamp_ppm": dydx.funding_clamp_ppm(_tier(v.inputs), factor)}


def initial_rate(v: Vector) -> dict[str, Any]:
    """Initial rate at an open interest."""
    crowd, user = whole(v.inputs, "open_interest_notional", 0), whole(v.inputs, "user_imf_ppm", 0)
    return {"imf_ppm": dydx.initial_ppm(_tier(v.inputs), crowd, user)}


def initial_margin(v: Vector) -> dict[str, Any]:
    """Initial margin of a notional."""
    crowd, user = whole(v.inputs, "open_interest_notional", 0), whole(v.inputs, "user_imf_ppm", 0)
    return {"im": dydx.initial_margin(_tier(v.inputs), whole(v.inputs, "quote_quantums"), crowd, user)}


def funding(v: Vector) -> dict[str, Any]:
    """Funding between two indices, exact and as booked."""
    names = ("global_index", "position_index", "quantums")
    ppm = dydx.funding_settlement_ppm(*(whole(v.inputs, name) for name in names))
    return {"settlement_ppm": ppm, "settlement": dydx.settled(ppm)}


def notional(v: Vector) -> dict[str, Any]:
    """Signed notional of a size."""
    return {"net_notional": dydx.net_notional(_market(v.inputs), whole(v.inputs, "quantums"))}


def requirement(v: Vector) -> dict[str, Any]:
    """Both margins of a position."""
    held = Holding(
        perpetual=_market(v.inputs),
        quantums=whole(v.inputs, "quantums"),
        user_initial_ppm=whole(v.inputs, "user_imf_ppm", 0),
    )
    risk = dydx.position_risk(held)
    return {"nc": risk.net_collateral, "imr": risk.initial, "mmr": risk.maintenance}


def _told(risk: Risk) -> dict[str, Any]:
    return {
        "NC": risk.net_collateral,
        "IMR": risk.initial,
        "MMR": risk.maintenance,
        "initial_collateralized": dydx.meets_initial(risk),
        "maintenance_collateralized": dydx.meets_maintenance(risk),
        "liquidatable": dydx.is_liquidatable(risk),
    }


def flags(v: Vector) -> dict[str, Any]:
    """What a risk allows."""
    return _told(Risk(*(whole(v.inputs, name, 0) for name in ("NC", "IMR", "MMR"))))


def order(v: Vector) -> dict[str, Any]:
    """Order of two risks, each collateral and maintenance."""
    first, second = (Risk(int(c), 0, int(m)) for c, m in (v.inputs["first"], v.inputs["second"]))
    return {"cmp": dydx.compare(first, second)}


def transition(v: Vector) -> dict[str, Any]:
    """Whether one state may follow another; without initial margins both are taken to be below them."""
    old, new = (
        Risk(
            whole(v.inputs, f"{when}_NC"),
            whole(v.inputs, f"{when}_IMR", 0),
            whole(v.inputs, f"{when}_MMR"),
        )
        for when in ("old", "new")
    )
    if "new_IMR" not in v.inputs:
        return {"allowed": dydx.improves(old, new)}
    told = dydx.transition(old, new)
    return {"allowed": told is dydx.Transition.ALLOWED, "result": told.value}


def account_risk(v: Vector) -> dict[str, Any]:
    """Risk of a subaccount, and what it allows."""
    account = _account(v)
    return _told(dydx.account_risk(account.quote_balance, account.holdings))


def bankruptcy(v: Vector) -> dict[str, Any]:
    """Money at which the closed part has no equity left."""
    return {"bankruptcy_quote": bankruptcy_quote(*_closed(v), whole(v.inputs, "delta_quantums"))}


def fillable(v: Vector) -> dict[str, Any]:
    """Fillable price as a reduced fraction."""
    chosen = LiquidationRules(
        bankruptcy_adjustment_ppm=whole(
            v.inputs, "bankruptcy_adjustment_ppm", GENESIS.bankruptcy_adjustment_ppm
        ),
        spread_to_maintenance_ppm=whole(v.inputs, "spread_to_mmr_ppm", GENESIS.spread_to_maintenance_ppm),
    )
    price = fillable_price(*_closed(v), chosen)
    return {"fillable_price": [price.numerator, price.denominator]}


def insurance(v: Vector) -> dict[str, Any]:
    """What a fill pays to the insurance fund."""
    size = whole(v.inputs, "fill_amount")
    exponent = whole(v.inputs, "quantum_conversion_exponent", TEST_CONVERSION_EXPONENT)
    quote = fill_quote(size, whole(v.inputs, "subticks"), exponent)
    fee = whole(v.inputs, "max_fee_ppm", GENESIS.fee_max_ppm)
    delta = size if v.inputs["is_buy"] else -size
    return {"insurance_fund_delta": insurance_delta(*_closed(v), delta, quote, fee)}


TRANSLATORS = {
    "dydx.maintenance_ppm": maintenance_ppm,
    "dydx.funding_clamp": funding_clamp,
    "dydx.adjusted_imf": initial_rate,
    "dydx.initial_margin": initial_margin,
    "dydx.funding_settlement": funding,
    "dydx.net_notional": notional,
    "dydx.margin_requirement": requirement,
    "dydx.risk_flags": flags,
    "dydx.risk_cmp": order,
    "dydx.transition": transition,
    "dydx.account_risk": account_risk,
    "dydx.bankruptcy_price": bankruptcy,
    "dydx.fillable_price": fillable,
    "dydx.insurance_delta": insurance,
}

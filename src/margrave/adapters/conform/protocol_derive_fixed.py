"""Derive (Lyra v2): its first portfolio manager in fixed point, from the fixtures of its repository."""

from typing import Any, Final

from margrave.adapters.conform.protocol_derive_scenarios import first
from margrave.adapters.conform.vector import Vector
from margrave.core.fixed import Fixed, fixed
from margrave.protocols.derive_pmrm import (
    Expiry,
    OptionLeg,
    PortfolioMargin,
    Scenario,
    Subaccount,
    Terms,
    VolMove,
    portfolio_margin,
)

_TERMS: Final = {
    "spot_up": "spotUp",
    "spot_down": "spotDown",
    "basis_add": "basisAdd",
    "basis_multiple": "basisMult",
    "peg_threshold": "pegT",
    "peg_factor": "pegF",
    "confidence_threshold": "confThreshold",
    "confidence_margin": "confMargin",
    "base_share": "basePercent",
    "perp_share": "perpPercent",
    "option_share": "optionPercent",
    "initial_factor": "imFactor",
    "base_discount": "baseDisc",
    "rate_multiple": "rateMult",
    "rate_add": "rateAdd",
    "vol_up": "volUp",
    "vol_down": "volDown",
    "power_short": "stp",
    "power_long": "ltp",
}


def exact(vector: Vector) -> dict[str, Any]:
    """Both levels as decimals of eighteen places; the parts as doubles have them."""
    margin = exact_margin(vector)
    return {**first(vector), "IM": str(margin.initial), "MM": str(margin.maintenance)}


def exact_margin(vector: Vector) -> PortfolioMargin:
    """Margin of a vector of the first portfolio manager, in fixed point."""
    inputs = vector.inputs
    params = inputs["params"]
    terms = Terms(
        scenarios=tuple(Scenario(_fixed(spot), VolMove(vol)) for spot, vol in inputs["scenarios"]),
        floor_seconds=int(params["dteFloor"]),
        **{name: _fixed(params[key]) for name, key in _TERMS.items()},
    )
    account = Subaccount(
        spot=_fixed(inputs["spot"]),
        spot_confidence=_fixed(inputs.get("spot_conf", 1.0)),
        stable=_fixed(inputs.get("stable", 1.0)),
        cash=_fixed(inputs.get("cash", 0.0)),
        perp=_fixed(inputs.get("perp", 0.0)),
        perp_price=_fixed(inputs.get("perp_price", inputs["spot"])),
        perp_confidence=_fixed(inputs.get("perp_conf", 1.0)),
        perp_profit=_fixed(inputs.get("perp_pnl", 0.0)),
        base=_fixed(inputs.get("base", 0.0)),
        expiries=tuple(_expiry(e) for e in inputs.get("expiries", ())),
    )
    return portfolio_margin(account, terms)


def _expiry(told: dict[str, Any]) -> Expiry:
    legs = tuple(
        OptionLeg(_fixed(strike), bool(is_call), _fixed(amount), _fixed(vol))
        for strike, is_call, amount, vol in told.get("opts", ())
    )
    return Expiry(
        int(told["T"]),
        _fixed(told.get("fix", 0.0)),
        _fixed(told["var"]),
        _fixed(told.get("rate", 0.0)),
        _fixed(told.get("conf", 1.0)),
        legs,
    )


def _fixed(number: Any) -> Fixed:
    return fixed(number if isinstance(number, str) else float(number))


TRANSLATORS = {"derive.pmrm_integer": exact}

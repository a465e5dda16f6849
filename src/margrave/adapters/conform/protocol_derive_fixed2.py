"""Derive (Lyra v2): its second portfolio manager in fixed point, from the fixtures of its repository."""

from typing import Any, Final

from margrave.adapters.conform.vector import Vector
from margrave.core.fixed import Fixed, fixed
from margrave.protocols.derive_option import Smile, smile_vol, split_forward
from margrave.protocols.derive_pmrm import Expiry, OptionLeg
from margrave.protocols.derive_pmrm2 import (
    Basis,
    Collateral,
    LevelTerms,
    PortfolioMargin,
    Scenario,
    SkewShock,
    StaticDiscount,
    Subaccount,
    Terms,
    VolMove,
    VolShock,
    portfolio_margin,
)

_MOVES: Final = {str(move).upper(): move for move in VolMove}
_SKEWED: Final = ("LINEAR", "ABS")
_VOL: Final = {
    "up": "VOLRANGEUP",
    "down": "VOLRANGEDOWN",
    "power_short": "SHORTTERMPOWER",
    "power_long": "LONGTERMPOWER",
    "days_least": "DTE_FLOOR",
    "vol_least_up": "MIN_VOL_EVAL_SHOCKED",
}
_SKEW: Final = {
    "linear_cap": "LINEAR_SCALE_CAP",
    "linear_base": "LINEAR_CBASE",
    "absolute_cap": "ABS_SCALE_CAP",
    "absolute_base": "ABS_CBASE",
    "width_least": "MIN_K_STAR",
    "width_scale": "MIN_WIDTH_SCALE",
    "vol_static": "VOL_PARAM_STATIC",
    "vol_slope": "VOL_PARAM_SCALE",
}
_DISCOUNT: Final = {
    "long_base": "BASE_STATIC_DISCOUNT",
    "long_multiple": "LONG_RATE_MULTSCALE",
    "long_add": "LONG_RATE_ADDSCALE",
    "short_base": "BASE_STATIC_DISCOUNT_NEG",
    "short_multiple": "SHORT_RATE_MULTSCALE",
    "short_add": "SHORT_RATE_ADDSCALE",
}
_BASIS: Final = {
    "up": "SCENARIO_SPOT_UP",
    "down": "SCENARIO_SPOT_DOWN",
    "add": "BASIS_CONT_ADD_FACTOR",
    "multiple": "BASIS_CONT_MULT_FACTOR",
}


def exact_second(vector: Vector) -> dict[str, Any]:
    """Every output as a decimal of eighteen places."""
    margin = exact_margin(vector)
    return {
        "IM": str(margin.initial),
        "MM": str(margin.maintenance),
        "MtM": str(margin.mark_to_market),
        "option_MtM": str(margin.option_worth),
        "collateral_MtM": str(margin.collateral_worth),
        "basis_contingency": str(margin.basis),
        "scenario_pnl": [str(profit) for profit in margin.profits],
    }


def exact_margin(vector: Vector) -> PortfolioMargin:
    """Margin of a vector of the second portfolio manager, in fixed point."""
    inputs = vector.inputs
    account = Subaccount(
        spot=number(inputs["spot"]),
        spot_confidence=number(inputs.get("spot_conf", 1.0)),
        stable=number(inputs.get("stable", 1.0)),
        cash=number(inputs.get("cash", 0.0)),
        perp=number(inputs.get("perp", 0.0)),
        perp_price=number(inputs.get("perp_price", inputs["spot"])),
        perp_confidence=number(inputs.get("perp_conf", 1.0)),
        perp_profit=number(inputs.get("perp_pnl", 0.0)),
        expiries=tuple(_expiry(told) for told in inputs.get("expiries", ())),
        collateral=tuple(_collateral(told) for told in inputs.get("collateral", ())),
    )
    return portfolio_margin(account, terms_of(inputs))


def number(told: Any) -> Fixed:
    """A number of a vector: a decimal in quotation marks digit by digit, a double by its shortest form."""
    return fixed(told if isinstance(told, str) else float(told))


def terms_of(inputs: dict[str, Any]) -> Terms:
    """Parameters of the manager as the fixtures state them."""
    params = inputs["params"]
    other, margin = params["OtherContingency"], params["Margin"]
    # A move of the smile that nobody states is not valued.
    rows = [r for r in inputs["scenarios"] if "SkewShock" in params or r[1].upper() not in _SKEWED]
    return Terms(
        scenarios=tuple(
            Scenario(number(spot), _MOVES[vol.upper()], *(number(s) for s in share))
            for spot, vol, *share in rows
        ),
        vol=VolShock(**_named(_VOL, params["VolShock"])),
        skew=SkewShock(**_named(_SKEW, params["SkewShock"])) if "SkewShock" in params else None,
        discount=StaticDiscount(**_named(_DISCOUNT, margin)),
        basis=Basis(**_named(_BASIS, params["BasisContingency"])),
        initial=_level("IM", margin, other),
        maintenance=_level("MM", margin, other),
        peg_threshold=number(other["PEG_LOSS_THRESHOLD"]),
        peg_factor=number(other["PEG_LOSS_FACTOR"]),
        confidence_threshold=number(other["CONF_THRESHOLD"]),
        confidence_margin=number(other["CONF_MARGIN"]),
    )


def _named(names: dict[str, str], told: dict[str, Any]) -> dict[str, Fixed]:
    return {name: number(told[key]) for name, key in names.items()}


def _level(level: str, margin: dict[str, Any], other: dict[str, Any]) -> LevelTerms:
    return LevelTerms(
        factor=number(margin[f"{level}_LOSS_FACTOR"]),
        perp_share=number(other[f"{level}_PERP_PERCENT"]),
        option_share=number(other[f"{level}_OPTION_PERCENT"]),
    )


def _collateral(told: dict[str, Any]) -> Collateral:
    return Collateral(
        amount=number(told["amount"]),
        price=number(told["price"]),
        confidence=number(told.get("conf", 1.0)),
        follows=bool(told.get("risk_cancelling")),
        initial_haircut=number(told.get("im_haircut", 0.0)),
        maintenance_haircut=number(told.get("mm_haircut", 0.0)),
    )


def _expiry(told: dict[str, Any]) -> Expiry:
    seconds, held = int(told["T"]), number(told.get("fix", 0.0))
    forward = number(told["forward"]) if "forward" in told else held + number(told["var"])
    if held == 0:
        held, moving = split_forward(forward, seconds)
    else:
        moving = forward - held
    smile = Smile(*(number(x) for x in told["svi"])) if "svi" in told else None
    legs = tuple(_leg(smile, *row) for row in told.get("opts", ()))
    return Expiry(seconds, held, moving, number(told.get("rate", 0.0)), number(told.get("conf", 1.0)), legs)


def _leg(smile: Smile | None, strike: Any, is_call: Any, amount: Any, vol: Any = None) -> OptionLeg:
    at = number(strike)
    told = number(vol) if smile is None else smile_vol(smile, at)
    return OptionLeg(at, bool(is_call), number(amount), told)


TRANSLATORS = {"derive.pmrm2_integer": exact_second}

"""Derive (Lyra v2): portfolio margin by scenarios, from the fixtures of its repository."""

from datetime import timedelta
from typing import Any

import numpy as np

from margrave.adapters.conform.objects import AT, CODE, book
from margrave.adapters.conform.protocol_derive import auction_of
from margrave.adapters.conform.vector import Vector
from margrave.core.words import INITIAL
from margrave.domain.account import Account, Balance, Position
from margrave.domain.book import book_of
from margrave.domain.checks import PRICE_MIN
from margrave.domain.instruments import Instrument, Linear, Option, Perpetual, QuotePremium, Right
from margrave.domain.market import Market, Quote
from margrave.kernels.discounted_option import discounted_price
from margrave.kernels.svi import svi_vol
from margrave.liquidation import dutch_auction
from margrave.liquidation.dutch_auction import Auctioned
from margrave.margin.pooled import Pooled, evaluate, prepare
from margrave.margin.scenario.scenarios import ScenarioMargin
from margrave.margin.scenario.scene import collateral_worth
from margrave.rulebook.portfolio import (
    Cell,
    Cells,
    Charge,
    CollateralMember,
    ConfidenceCharge,
    Depeg,
    ForwardCharge,
    Held,
    LevelFactors,
    NotionalCharge,
    Role,
    ScenarioModel,
    SkewShock,
    StaticDiscount,
    UnitTerms,
    VolMove,
    VolShock,
    VolSource,
)
from margrave.rulebook.schema import AccountRules, CrossPool, PortfolioMember, Rulebook

_BASE, _CASH, _PERPETUAL = "UNDERLYING", "USDC", "UNDERLYING-PERP"
_DAY = 86_400.0
_VOL = {"LINEAR": VolMove.LINEAR, "ABS": VolMove.ABSOLUTE}
_PLAIN = {"NONE": VolMove.SAME, "UP": VolMove.UP, "DOWN": VolMove.DOWN}


def first(vector: Vector) -> dict[str, Any]:
    """The first version of the portfolio manager."""
    inputs = vector.inputs
    base = float(inputs.get("base", 0.0))
    held = [Balance(asset=_BASE, amount=base)] if base else []
    pooled = _evaluated(inputs, _first_model(inputs), held, {})
    return {**_levels(pooled), **_worths(pooled, float(inputs["cash"]))}


def second(vector: Vector) -> dict[str, Any]:
    """The second version: skew moves, weighted tails, several kinds of collateral."""
    inputs = vector.inputs
    known = {f"{row} {c['name']}": c for row, c in enumerate(inputs["collateral"])}
    held = [Balance(asset=asset, amount=float(c["amount"])) for asset, c in known.items()]
    pooled = _evaluated(inputs, _second_model(inputs, known), held, known)
    blocks, scenarios = _workings(pooled).blocks, inputs["scenarios"]
    gains = blocks[0].gross[0].sum(axis=1).tolist() if blocks else [0.0] * len(scenarios)
    if "SkewShock" not in inputs["params"]:  # a move of the smile that nobody states is not valued
        gains = [gain for gain, row in zip(gains, scenarios, strict=True) if row[1].upper() not in _VOL]
    return {
        **_levels(pooled),
        **_worths(pooled, float(inputs["cash"])),
        "scenario_pnl": gains,
    }


def _first_model(inputs: dict[str, Any]) -> ScenarioModel:
    p = {k: float(v) for k, v in inputs["params"].items()}
    terms = UnitTerms(
        code=CODE,
        cells=_cells(inputs["scenarios"]),
        vol=VolShock(
            code=CODE,
            up=p["volUp"],
            down=p["volDown"],
            power_short=p["stp"],
            power_long=p["ltp"],
            days_least=p["dteFloor"] / _DAY,
        ),
        static_discount=StaticDiscount(
            code=CODE, long_base=p["baseDisc"], long_multiple=p["rateMult"], long_add=p["rateAdd"]
        ),
        charges=(
            _forward(p["spotUp"], p["spotDown"], p["basisAdd"], p["basisMult"]),
            NotionalCharge(code=CODE, of=Held.PERPETUALS, rate=p["perpPercent"]),
            NotionalCharge(code=CODE, of=Held.COLLATERAL, rate=p["basePercent"]),
            NotionalCharge(code=CODE, of=Held.NAKED_OPTIONS, rate=p["optionPercent"]),
            *_unsure((Held.DELTA_ONE, Held.OPTIONS), p["confThreshold"], p["confMargin"]),
        ),
    )
    depeg = Depeg(code=CODE, below=p["pegT"], factor=p["pegF"])
    return ScenarioModel(
        code=CODE,
        terms=(terms,),
        vol_source=VolSource.QUOTE,
        levels=LevelFactors(code=CODE, initial=p["imFactor"], depeg=depeg),
        collateral=(CollateralMember(asset=_BASE, code=CODE, moves_with=_BASE),),
    )


def _second_model(inputs: dict[str, Any], known: dict[str, dict[str, Any]]) -> ScenarioModel:
    p = inputs["params"]
    margin, other = p["Margin"], p["OtherContingency"]
    terms = UnitTerms(
        code=CODE,
        cells=_cells(inputs["scenarios"]),
        vol=_second_vol(p["VolShock"]),
        skew=_skew(p["SkewShock"]) if "SkewShock" in p else None,
        static_discount=StaticDiscount(
            code=CODE,
            long_base=margin["BASE_STATIC_DISCOUNT"],
            long_multiple=margin["LONG_RATE_MULTSCALE"],
            long_add=margin["LONG_RATE_ADDSCALE"],
            short_base=margin["BASE_STATIC_DISCOUNT_NEG"],
            short_multiple=margin["SHORT_RATE_MULTSCALE"],
            short_add=margin["SHORT_RATE_ADDSCALE"],
        ),
        charges=_second_charges(p["BasisContingency"], other),
    )
    return ScenarioModel(
        code=CODE,
        terms=(terms,),
        vol_source=VolSource.QUOTE,
        settlement_window_seconds=1800.0,
        discounting=True,
        levels=LevelFactors(
            code=CODE,
            initial=margin["IM_LOSS_FACTOR"],
            maintenance=margin["MM_LOSS_FACTOR"],
            depeg=Depeg(code=CODE, below=other["PEG_LOSS_THRESHOLD"], factor=other["PEG_LOSS_FACTOR"]),
        ),
        collateral=tuple(
            CollateralMember(
                asset=asset,
                code=CODE,
                moves_with=_BASE if c.get("risk_cancelling") else None,
                initial_haircut=c.get("im_haircut", 0.0),
                maintenance_haircut=c.get("mm_haircut", 0.0),
            )
            for asset, c in known.items()
        ),
    )


def _second_charges(basis: dict[str, float], other: dict[str, float]) -> tuple[Charge, ...]:
    unsure = (Held.PERPETUALS, Held.OPTIONS, Held.COLLATERAL)
    return (
        _forward(
            basis["SCENARIO_SPOT_UP"],
            basis["SCENARIO_SPOT_DOWN"],
            basis["BASIS_CONT_ADD_FACTOR"],
            basis["BASIS_CONT_MULT_FACTOR"],
        ),
        *_after(Held.PERPETUALS, other["MM_PERP_PERCENT"], other["IM_PERP_PERCENT"]),
        *_after(Held.NAKED_OPTIONS, other["MM_OPTION_PERCENT"], other["IM_OPTION_PERCENT"]),
        *_unsure(unsure, other["CONF_THRESHOLD"], other["CONF_MARGIN"]),
    )


def _second_vol(vol: dict[str, float]) -> VolShock:
    return VolShock(
        code=CODE,
        up=vol["VOLRANGEUP"],
        down=vol["VOLRANGEDOWN"],
        power_short=vol["SHORTTERMPOWER"],
        power_long=vol["LONGTERMPOWER"],
        days_least=vol["DTE_FLOOR"],
        vol_least_up=vol["MIN_VOL_EVAL_SHOCKED"],
    )


def _skew(skew: dict[str, float]) -> SkewShock:
    return SkewShock(
        code=CODE,
        linear_cap=skew["LINEAR_SCALE_CAP"],
        linear_base=skew["LINEAR_CBASE"],
        absolute_cap=skew["ABS_SCALE_CAP"],
        absolute_base=skew["ABS_CBASE"],
        width_least=skew["MIN_K_STAR"],
        width_scale=skew["MIN_WIDTH_SCALE"],
        vol_static=skew["VOL_PARAM_STATIC"],
        vol_slope=skew["VOL_PARAM_SCALE"],
    )


def _forward(up: float, down: float, add: float, multiple: float) -> ForwardCharge:
    return ForwardCharge(
        code=CODE, role=Role.COMPETES, up=up - 1.0, down=down - 1.0, add=add, multiple=multiple
    )


def _after(of: Held, both: float, initial: float) -> tuple[NotionalCharge, ...]:
    return (
        NotionalCharge(code=CODE, of=of, rate=both, role=Role.AFTER),
        NotionalCharge(code=CODE, of=of, rate=initial, role=Role.AFTER, maintenance=False),
    )


def _unsure(of: tuple[Held, ...], below: float, rate: float) -> tuple[ConfidenceCharge, ...]:
    return tuple(
        ConfidenceCharge(code=CODE, of=what, below=below, rate=rate, role=Role.AFTER, maintenance=False)
        for what in of
    )


def _cells(rows: list[list[Any]]) -> Cells:
    return Cells(
        code=CODE,
        listed=tuple(
            Cell(
                move=float(factor) - 1.0,
                vol=(_VOL | _PLAIN)[vol.upper()],
                weight=float(weight[0]) if weight else 1.0,
            )
            for factor, vol, *weight in rows
        ),
    )


def _rulebook(model: ScenarioModel) -> Rulebook:
    account = AccountRules(
        cross_pool=CrossPool.ACCOUNT,
        currency=_CASH,
        code=CODE,
        option_value_credit=True,
        haircut_unlisted=0.0,
    )
    return book(PortfolioMember(), account, portfolio=model)


def _evaluated(
    inputs: dict[str, Any], model: ScenarioModel, held: list[Balance], collateral: dict[str, dict[str, Any]]
) -> Pooled:
    spot, stable = float(inputs["spot"]), float(inputs["stable"])
    quotes, instruments, positions = {}, {}, []
    for row, expiry in enumerate(inputs["expiries"]):
        for place, option in enumerate(expiry["opts"]):
            instrument, quote = _option(f"{row}-{place}", expiry, option, spot, model.discounting)
            instruments[instrument.symbol], quotes[instrument.symbol] = instrument, quote
            positions.append(Position(symbol=instrument.symbol, quantity=float(option[2]), entry=1.0))
    size = float(inputs.get("perp", 0.0))
    if size:
        mark = float(inputs["perp_price"])
        instruments[_PERPETUAL] = _instrument(_PERPETUAL, Perpetual(), Linear(contract_size=1.0))
        quotes[_PERPETUAL] = Quote(mark=mark, index=spot, confidence=float(inputs.get("perp_conf", 1.0)))
        entry = mark - float(inputs.get("perp_pnl", 0.0)) / size
        positions.append(Position(symbol=_PERPETUAL, quantity=size, entry=entry))
    index = {_BASE: spot * stable, _CASH: stable} | {a: float(c["price"]) for a, c in collateral.items()}
    sure = {_BASE: float(inputs.get("spot_conf", 1.0))} | {
        a: float(c.get("conf", 1.0)) for a, c in collateral.items()
    }
    market = Market(at=AT, instruments=instruments, quotes=quotes, index=index, confidence=sure)
    cash = Balance(asset=_CASH, amount=float(inputs["cash"]))
    account = Account(balances=(cash, *held), positions=tuple(positions))
    return evaluate(prepare(book_of((account,)), market, _rulebook(model)))


def _option(
    symbol: str, expiry: dict[str, Any], option: list[Any], spot: float, discounting: bool
) -> tuple[Instrument, Quote]:
    strike, is_call = float(option[0]), bool(option[1])
    fixed = float(expiry.get("fix", 0.0))
    forward = float(expiry["forward"]) if "forward" in expiry else fixed + float(expiry["var"])
    years, rate = float(expiry["T"]) / _DAY / 365.0, float(expiry["rate"])
    if "svi" in expiry:
        a, b, rho, m, sigma, smile_forward, tau = (float(x) for x in expiry["svi"])
        vol = float(svi_vol(strike, tau, a, b, rho, m, sigma, smile_forward))
    else:
        vol = float(option[3])
    discount = float(np.exp(-max(rate, 0.0) * years)) if discounting else 1.0
    kind = Option(
        expiry=AT + timedelta(seconds=float(expiry["T"])),
        strike=max(strike, PRICE_MIN),  # a strike of zero: the call is the forward
        right=Right.CALL if is_call else Right.PUT,
    )
    quote = Quote(
        mark=float(discounted_price(forward, strike, vol, years, is_call, discount)),
        index=spot,
        forward=forward,
        vol=vol,
        rate=rate,
        averaged=fixed,
        confidence=float(expiry.get("conf", 1.0)),
    )
    return _instrument(symbol, kind, QuotePremium(contract_size=1.0)), quote


def _instrument(symbol: str, kind: Any, payoff: Any) -> Instrument:
    return Instrument(symbol=symbol, base=_BASE, quote=_CASH, settlement=_CASH, kind=kind, payoff=payoff)


def _workings(pooled: Pooled) -> ScenarioMargin:
    joint = pooled.workings.joint
    assert joint is not None
    assert isinstance(joint.workings, ScenarioMargin)
    return joint.workings


def _levels(pooled: Pooled) -> dict[str, Any]:
    balance = pooled.margin_balance[0]
    return {
        "IM": float((balance - pooled.initial[0]).sum()),
        "MM": float((balance - pooled.maintenance[0]).sum()),
    }


def _worths(pooled: Pooled, cash: float) -> dict[str, Any]:
    scenarios = _workings(pooled)
    portfolio = scenarios.portfolio
    held = collateral_worth(portfolio.priced, portfolio.pools, portfolio.units, portfolio.collateral)
    charges = [c for block in scenarios.blocks for c in block.level[INITIAL].charges]
    forward = sum(float(c.amount.sum()) for c in charges if isinstance(c.rule, ForwardCharge))
    return {
        "MtM": float(pooled.equity.sum()) - cash,
        "collateral_MtM": float(held.sum()),
        "option_MtM": sum(float(block.worth.option_now.sum()) for block in scenarios.blocks),
        "basis_contingency": -forward,
    }


def auction_sim(vector: Vector) -> dict[str, Any]:
    """Bids on an account in auction, each at its own time and in its own market, margined anew before and after."""
    inputs, rules = vector.inputs, auction_of(vector.inputs)
    start = float(inputs.get("start_time", 0.0))
    kept, cash, reserved, steps = 1.0, float(inputs["portfolio"]["cash"]), 0.0, []

    def account(market: dict[str, Any], elapsed: float) -> Auctioned:
        pooled = _evaluated(*_remaining(inputs, market, elapsed, kept, cash + reserved))
        return Auctioned(float(pooled.equity.sum()), _levels(pooled)["MM"], reserved)

    fee = dutch_auction.start_fee(rules, account(inputs["start_market"], 0.0))
    cash -= fee
    for action in inputs["actions"]:
        market, elapsed = action["market"], float(action["time"]) - start
        before = account(market, elapsed)
        taken = dutch_auction.bid(rules, before, elapsed, float(action["want"]))
        kept, cash = kept * (1.0 - taken.fraction), cash * (1.0 - taken.fraction)
        reserved += taken.cash
        after = account(market, elapsed)
        steps.append(
            {
                "pre_MtM": before.mark_to_market,
                "pre_MM": before.maintenance,
                "pre_BM": dutch_auction.buffer_margin(rules, before),
                "max_fraction": dutch_auction.max_fraction(rules, before, elapsed),
                "bid_cash": taken.cash,
                "fraction_of_original": taken.fraction,
                "post_MtM": after.mark_to_market,
                "post_MM": after.maintenance,
            }
        )
    return {"steps": steps, "fee": fee}


def _remaining(
    inputs: dict[str, Any], market: dict[str, Any], elapsed: float, kept: float, cash: float
) -> tuple[dict[str, Any], ScenarioModel, list[Balance], dict[str, dict[str, Any]]]:
    held = inputs["portfolio"]
    base = float(held.get("base", 0.0)) * kept
    expiries: dict[str, dict[str, Any]] = {}
    for option, vol in zip(held["options"], market["vols"], strict=True):
        left, strike, is_call, amount = option
        forward, rate, *sure = market["fwd"][str(left)]
        expiry = expiries.setdefault(
            str(left),
            {
                "T": float(left) - elapsed,
                "fix": 0.0,
                "var": forward,
                "rate": rate,
                "conf": sure[0] if sure else 1.0,
                "opts": [],
            },
        )
        expiry["opts"].append([strike, is_call, float(amount) * kept, vol])
    stated = {
        **market,
        "cash": cash,
        "perp": float(held.get("perp", 0.0)) * kept,
        "perp_price": market.get("perp_price", market["spot"]),
        "expiries": list(expiries.values()),
    }
    return stated, _first_model(inputs), [Balance(asset=_BASE, amount=base)] if base else [], {}


TRANSLATORS = {
    "derive.auction_sim": auction_sim,
    "derive.pmrm": first,
    "derive.pmrm2": second,
}

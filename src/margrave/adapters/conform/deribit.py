"""Translators of Deribit's standard margin, expiries, fees and funding."""

from typing import Any

import msgspec
import numpy as np

from margrave.adapters.conform.objects import (
    AT,
    CODE,
    Held,
    account_of,
    book,
    inverse,
    linear,
    liquidated,
    market_of,
    option,
    pool_of,
)
from margrave.adapters.conform.vector import UnsupportedError, Vector
from margrave.core.words import MAINTENANCE
from margrave.domain.account import Order, Position
from margrave.domain.fills import expire, intrinsic, notional, premium, profit
from margrave.domain.instruments import Inverse
from margrave.engine.funds import available_funds, equity_of, withdrawable
from margrave.kernels.fees import combo_future_fee, combo_option_fee, option_fee
from margrave.kernels.funding import damped_funding, decayed_delta, legacy_mark
from margrave.kernels.vol_shock import shocked_vol, tenor_scale
from margrave.rulebook.catalogue import in_force
from margrave.rulebook.ladders import BaseSlope, TierUnit, resolve
from margrave.rulebook.schema import LadderModel, LevelRule, OptionModel, Rulebook


def _slope(initial: float, maintenance: float, slope: float) -> Rulebook:
    ladder = BaseSlope(code=CODE, unit=TierUnit.COIN, initial=initial, maintenance=maintenance, slope=slope)
    model = LadderModel(ladder="stated", initial=LevelRule(code=CODE), maintenance=LevelRule(code=CODE))
    return book(model, ladders={"stated": ladder})


def future_slope(v: Vector) -> dict[str, Any]:
    """Rate by base and slope, in coin and in quote."""
    kind, size = str(v.inputs["kind"]), v.number("size_coin")
    rate, slope = v.number("base_pct") / 100, v.number("slope_pct_per_coin") / 100
    rulebook = _slope(rate, rate, slope)
    index = v.inputs.get("index") or 1.0
    quote = pool_of(*_one(linear(), size, float(index)), rulebook).maintenance
    coin = pool_of(*_one(inverse(), size * float(index), float(index)), rulebook).maintenance
    level = resolve(rulebook.ladders["stated"], MAINTENANCE)
    charged = 100 * (float(level.rate[0]) if size == 0 else coin / size)
    return {f"{kind}_rate_pct": charged, f"{kind}_coin": coin, f"{kind}_quote": quote}


def _one(instrument: Any, quantity: float, mark: float) -> tuple[Any, Any]:
    held = Held(instrument, quantity, mark)
    return account_of(held), market_of(held)


def inverse_position(v: Vector) -> dict[str, Any]:
    """A position in dollars at a mark."""
    rulebook = _slope(
        v.number("base_im_pct") / 100, v.number("base_mm_pct") / 100, v.number("slope_pct_per_coin") / 100
    )
    size, mark = v.number("size_usd"), v.number("mark_price")
    pool = pool_of(*_one(inverse(), size, mark), rulebook)
    coins = np.sign(size) * notional(Inverse(contract_value=1.0), size, mark)
    return {
        "size_currency": float(coins),
        "initial_margin": pool.initial,
        "maintenance_margin": pool.maintenance,
    }


def inverse_coin(v: Vector) -> dict[str, Any]:
    """A position known by its coins."""
    rulebook = _slope(
        v.number("base_im_pct") / 100, v.number("base_mm_pct") / 100, v.number("slope_pct_per_coin") / 100
    )
    pool = pool_of(*_one(inverse(), v.number("size_coin"), 1.0), rulebook)
    return {"initial_margin": pool.initial, "maintenance_margin": pool.maintenance}


def liquidation_ratio(v: Vector) -> dict[str, Any]:
    """The ratio of price at which an account is liquidated, option maintenance held constant."""
    coins = v.number("fut_coin")
    rate, slope = v.number("mm_base_pct") / 100, v.number("mm_slope_pct") / 100
    held = Held(inverse(), coins, 1.0)
    # What the options ask is set aside: it does not move with the price in this estimate.
    account = account_of(held, cash={"MAIN": v.number("margin_balance") - v.number("option_mm")})
    return {
        "estimated_liquidation_ratio": liquidated(
            account, market_of(held), _slope(1.0, rate, slope), np.sign(coins)
        )
    }


def _standard() -> OptionModel:
    rulebook = in_force("deribit.sm@2023-01-01", AT)
    return next(p.model for p in rulebook.products if isinstance(p.model, OptionModel))


def short_option(v: Vector) -> dict[str, Any]:
    """A short inverse option."""
    contract = option(v.number("strike"), str(v.inputs["type"]), coin=True)
    held = Held(contract, v.number("size"), v.number("mark_price"))
    pool = pool_of(
        account_of(held), market_of(held, index={"MAIN": v.number("index_price")}), book(_standard())
    )
    return {"initial_margin": pool.initial, "maintenance_margin": pool.maintenance}


def short_option_quote(v: Vector) -> dict[str, Any]:
    """Translate a short linear option: the same constants times the index."""
    contract = option(v.number("strike"), str(v.inputs["type"]), coin=False, size=v.number("multiplier", 1.0))
    held = Held(contract, v.number("size"), v.number("mark_price"))
    prices = market_of(held, index={"MAIN": v.number("index_price")})
    pool = pool_of(account_of(held), prices, book(_standard()))
    return {"initial_margin": pool.initial, "maintenance_margin": pool.maintenance}


def long_option(v: Vector) -> dict[str, Any]:
    """A long inverse option."""
    held = Held(
        option(1_500.0, "put", coin=True), v.number("size"), v.number("average_price"), v.number("mark_price")
    )
    pool = pool_of(account_of(held), market_of(held, index={"MAIN": 1_500.0}), book(_standard()))
    return {
        "initial_margin": pool.initial,
        "maintenance_margin": pool.maintenance,
        "total_profit_loss": pool.positions[0].profit,
    }


def sell_order(v: Vector) -> dict[str, Any]:
    """An open sell order of an option: the premium pays the mark part, the fee comes on top."""
    contract = option(v.number("strike"), str(v.inputs["type"]), coin=True)
    order = Order(symbol=contract.symbol, quantity=-v.number("size"), price=0.05)
    market = market_of(index={"MAIN": v.number("index_price")}, instruments=((contract, 0.05),))
    model = msgspec.structs.replace(_standard(), order_fee=v.number("fee_per_option"))
    return {
        "open_orders_margin": pool_of(
            account_of(cash={"MAIN": 1.0}, orders=(order,)), market, book(model)
        ).order_margin
    }


def inverse_profit(v: Vector) -> dict[str, Any]:
    """Profit from the average price, and from the last settlement."""
    payoff, size, mark = Inverse(contract_value=1.0), v.number("size_usd"), v.number("mark_price")
    return {
        "total_profit_loss": profit(payoff, size, v.number("average_price"), mark),
        "floating_profit_loss": profit(payoff, size, v.number("settlement_price"), mark),
    }


def expiry(v: Vector) -> dict[str, Any]:
    """What an option pays at expiry, and the profit after its premium."""
    coin = bool(v.inputs.get("inverse", True))
    contract = option(v.number("strike"), str(v.inputs["type"]), coin=coin, size=v.number("multiplier", 1.0))
    size, delivery = v.sign * v.number("contracts", 1.0), v.number("delivery_price")
    _, flows = expire(
        contract, Position(symbol=contract.symbol, quantity=size, entry=v.number("premium")), delivery
    )
    each = intrinsic(contract, delivery)
    dollars = intrinsic(option(v.number("strike"), str(v.inputs["type"]), coin=False), delivery)
    return {
        "settlement": each,
        "settlement_usd": dollars,
        "profit": flows.realised + premium(contract, size, v.number("premium")),
    }


def funding_rate(v: Vector) -> dict[str, Any]:
    """Damped funding."""
    cap = v.inputs.get("cap")
    return {
        "current_funding": float(damped_funding(v.number("mark"), v.number("index"), v.number("damper"), cap))
    }


def delta_decay(v: Vector) -> dict[str, Any]:
    """Delta in the settlement window."""
    minutes = v.number("minutes_into_settlement")
    delta, mark = (float(decayed_delta(v.number(name), minutes)) for name in ("bs_delta", "mark"))
    return {"decayed_delta": delta, "net_transaction_delta": delta - mark}


def leverage(v: Vector) -> dict[str, Any]:
    """Leverage of a position on its margin: its notional over the equity of its pool."""
    held = Held(linear(), v.number("position"), 1.0, isolated=v.number("margin"))
    pool = pool_of(account_of(held), market_of(held), _slope(0.02, 0.01, 0.0))
    return {"leverage": pool.positions[0].notional / pool.equity}


def future_fee(v: Vector) -> dict[str, Any]:
    """Fee of a trade in coin."""
    value = notional(Inverse(contract_value=1.0), v.number("notional_usd"), v.number("price"))
    return {"fee_coin": v.number("rate") * value}


def option_fee_of(v: Vector) -> dict[str, Any]:
    """Fee of an option trade, capped."""
    return {
        "fee": v.number("contracts")
        * float(option_fee(v.number("rate_per_option"), v.number("price"), v.number("cap")))
    }


def combo(v: Vector) -> dict[str, Any]:
    """Fees of combos."""
    if "legs_bps" in v.inputs:
        return {"fee_bps": combo_future_fee(np.array(v.inputs["legs_bps"]), v.number("discount"))}
    return {"fee": float(combo_option_fee(v.number("group_a"), v.number("group_b")))}


def mark(v: Vector) -> dict[str, Any]:
    """Mark of 2016."""
    return {"mark": float(legacy_mark(v.number("bid"), v.number("ask"), v.number("last")))}


def balances(v: Vector) -> dict[str, Any]:
    """Identities of an account summary: balance and profit make equity, equity less margin is available."""
    if "delta" in v.note:
        raise UnsupportedError("two published deltas added: no calculation of ours")
    if v.model == "difference":
        first, second = v.number("a"), v.number("b")
        cash = (
            "withdrawal" in v.note
        )  # what may leave: the lesser of balance and margin balance is the first number
        return {"difference": withdrawable(first, first, second) if cash else available_funds(first, second)}
    terms = [float(t) for t in v.inputs["terms"]]
    return {"sum": equity_of(terms[0], *terms[1:])}


def vol_shock(v: Vector) -> dict[str, Any]:
    """Translate vol shocks of a tenor: the shock by itself, and the vol after it in per cent."""
    scale = tenor_scale(v.number("days"), v.number("power"), v.number("power"))
    if "iv" not in v.inputs:
        return {"shock_pct": 100 * float(shocked_vol(1.0, v.number("range"), scale)) - 100}
    after = shocked_vol(v.number("iv") / 100, v.number("range"), scale, v.number("min_iv", 0.0) / 100)
    return {"iv_up": 100 * float(after)}


def nothing(v: Vector) -> dict[str, Any]:
    """What the source leaves out."""
    raise UnsupportedError(v.note or "inputs are not published")


TRANSLATORS = {
    "sm_future_slope": future_slope,
    "sm_inverse_position": inverse_position,
    "sm_inverse_coin": inverse_coin,
    "liq_ratio_inverse": liquidation_ratio,
    "sm_short_option_inverse": short_option,
    "sm_short_option_linear": short_option_quote,
    "sm_long_option": long_option,
    "sm_open_sell_option": sell_order,
    "inverse_pnl_position": inverse_profit,
    "option_expiry": expiry,
    "funding_rate": funding_rate,
    "delta_decay": delta_decay,
    "leverage": leverage,
    "future_fee": future_fee,
    "option_fee": option_fee_of,
    "combo_fee_option": combo,
    "combo_fee_future": combo,
    "mark_legacy": mark,
    "difference": balances,
    "sum": balances,
    "vol_power": vol_shock,
    "vol_relative": vol_shock,
    "none": nothing,
}

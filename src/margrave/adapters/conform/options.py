"""Translators of standard option margin."""

from typing import Any

from margrave.adapters.conform.objects import CODE, Held, account_of, book, market_of, option, pool_of
from margrave.adapters.conform.vector import Vector
from margrave.domain.fills import premium
from margrave.engine.assessment import PoolAssessment
from margrave.kernels.fees import option_fee
from margrave.kernels.option_margin import otm_amount
from margrave.rulebook.schema import OptionModel, ShortTerms


def _terms(base: float, floor: float, **more: Any) -> ShortTerms:
    return ShortTerms(code=CODE, base=base, floor=floor, **more)


def _pool(model: OptionModel, index: float, *held: Held, cash: float = 0.0) -> PoolAssessment:
    asset = held[0].instrument.settlement
    market = market_of(*held, index={"MAIN": index})
    return pool_of(account_of(*held, cash={asset: cash}), market, book(model))


def quote_option(v: Vector) -> dict[str, Any]:
    """Short put in quote: max(a - otm, b) of the underlying, maintenance c."""
    a, b, c = (v.number(x) for x in "abc")
    model = OptionModel(
        initial_call=_terms(a, b),
        initial_put=_terms(a, b, covers_maintenance=True),
        maintenance_call=_terms(c, c),
        maintenance_put=_terms(c, c, mark_fraction=c),
    )
    contract = option(v.number("strike"), "put", coin=False)
    mark, size = v.number("mark"), v.number("qty")
    one = _pool(model, v.number("underlying"), Held(contract, -1.0, mark))
    every = _pool(model, v.number("underlying"), Held(contract, -size, mark))
    return {"im": one.initial, "mm": one.maintenance, "pos_im": every.initial, "pos_mm": every.maintenance}


def _bybit(v: Vector, initial: tuple[float, float] = (0.15, 0.10)) -> OptionModel:
    asked = _terms(*initial, covers_maintenance=True, mark_at_least_entry=True)
    factor = v.number("mm_factor")
    keep = _terms(factor, factor, mark_fraction=factor, fee=v.number("liq_fee"))
    return OptionModel(initial_call=asked, initial_put=asked, maintenance_call=keep, maintenance_put=keep)


def bybit_short(v: Vector) -> dict[str, Any]:
    """Maintenance of a short option, and its share of the margin balance."""
    mark = v.number("mark")
    held = Held(option(v.number("strike", v.number("index")), "call", coin=False), v.number("qty"), mark)
    pool = _pool(_bybit(v), v.number("index"), held, cash=v.number("margin_balance", 0.0))
    return {"position_mm": pool.maintenance, "account_mm_pct": 100 * pool.ratio}


def bybit_spread(v: Vector) -> dict[str, Any]:
    """A bear put spread: the short leg is charged, the long one is not."""
    legs = [
        Held(
            option(float(leg["strike"]), "put", coin=False, symbol=name),
            float(leg["qty"]),
            float(leg["entry"]),
            float(leg["mark"]),
        )
        for name, leg in ((n, v.inputs[n]) for n in ("short_put", "long_put"))
    ]
    first, second = (float(x) for x in v.inputs["im"])
    pool = _pool(_bybit(v, (first, second)), v.number("index"), *legs)
    return {"position_mm": pool.maintenance, "position_im": pool.initial}


def long_cost(v: Vector) -> dict[str, Any]:
    """Premium and fee of buying an option."""
    contract = option(v.number("index"), "call", coin=False)
    paid = -premium(contract, v.number("qty"), v.number("price"))
    fee = v.number("qty") * float(
        option_fee(v.number("taker"), v.number("price"), v.number("fee_cap"), v.number("index"))
    )
    return {"premium": paid, "fee": fee, "cost": paid + fee}


def long_value(v: Vector) -> dict[str, Any]:
    """Cost, value and profit of a long option."""
    held = Held(option(1.0, "call", coin=False), v.number("qty"), v.number("entry"), v.number("mark"))
    model = OptionModel(
        initial_call=_terms(0.15, 0.1),
        initial_put=_terms(0.15, 0.1),
        maintenance_call=_terms(0.075, 0.05),
        maintenance_put=_terms(0.075, 0.05),
    )
    position = _pool(model, 1.0, held).positions[0]
    cost = -premium(held.instrument, held.quantity, held.entry)
    return {
        "position_cost": cost,
        "mark_value": position.value,
        "unrealized_pnl": position.profit,
        "ror": position.profit / cost,
    }


def basics(v: Vector) -> dict[str, Any]:
    """Premium and out-of-the-money amounts."""
    price, underlying = v.number("price"), v.number("underlying")
    contract = option(v.number("call_strike"), "call", coin=False, size=v.number("multiplier"))
    return {
        "premium": -premium(contract, v.number("qty"), price),
        "otm_call": float(otm_amount(underlying, v.number("call_strike"), True)),
        "otm_put": float(otm_amount(underlying, v.number("put_strike"), False)),
    }


TRANSLATORS = {
    "short put IM/MM (USDT-margined)": quote_option,
    "short option maintenance margin": bybit_short,
    "short put IM/MM in cross mode (bear put spread)": bybit_spread,
    "long option cost": long_cost,
    "European option long position value": long_value,
    "option premium and OTM amount": basics,
}

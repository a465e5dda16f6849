"""Translators of position margins, order costs, profit and average entries."""

from typing import Any

from margrave.adapters.conform.objects import (
    CODE,
    Held,
    account_of,
    inverse,
    linear,
    liquidated,
    market_of,
    one_rate,
    pool_of,
    rules,
)
from margrave.adapters.conform.vector import Vector
from margrave.domain.account import Order, Position
from margrave.domain.fills import average_entry, fill, funding, notional, profit
from margrave.domain.instruments import Inverse, Linear
from margrave.engine.assessment import PoolAssessment
from margrave.kernels.fees import break_even_price
from margrave.kernels.funding import interest_rate
from margrave.rulebook.schema import AccountRules, Basis, ClosingFee, CrossPool, FeeBasis


def _pool(held: Held, **more: Any) -> PoolAssessment:
    return pool_of(account_of(held), market_of(held), rules(**more))


def order_cost(v: Vector) -> dict[str, Any]:
    """Initial margin of an order and its open loss, bought and sold."""
    got: dict[str, Any] = {}
    instrument = linear()
    for side, sign in (("long", 1.0), ("short", -1.0)):
        order = Order(
            symbol="MAIN",
            quantity=sign * v.number("qty"),
            price=v.number("order_price"),
            leverage=v.number("leverage"),
        )
        market = market_of(instruments=((instrument, v.number("mark")),))
        asked = []
        for open_loss in (False, True):
            account_rules = AccountRules(cross_pool=CrossPool.SETTLEMENT, code=CODE, open_loss=open_loss)
            book = rules(one_rate(0.004), account=account_rules)
            asked.append(pool_of(account_of(cash={"USDT": 1e9}, orders=(order,)), market, book).order_margin)
        got |= {"initial_margin": asked[0], f"open_loss_{side}": asked[1] - asked[0]}
    return got


def coinm_cross(v: Vector) -> dict[str, Any]:
    """A recorded position whose mark stands in its notional."""
    size, count = v.number("contract_size"), v.number("contracts")
    held = Held(
        inverse(size),
        v.sign * count,
        v.number("entry"),
        size * count / v.number("notional"),
        v.number("leverage"),
    )
    pool = _pool(held, ladder=one_rate(v.number("mmr")))
    return {
        "initial_margin": pool.initial,
        "maint_margin": pool.maintenance,
        "unrealized_pnl": pool.positions[0].profit,
    }


def linear_margins(v: Vector) -> dict[str, Any]:
    """Notional, profit and both margins of a linear position."""
    held = Held(
        linear(), v.sign * v.number("qty"), v.number("entry"), v.number("mark"), v.number("leverage", 1.0)
    )
    pool = _pool(held, ladder=one_rate(v.number("mmr", 0.004)))
    position = pool.positions[0]
    even = float(break_even_price(held.entry, int(v.sign), v.number("taker_fee", 0.0)))
    return {
        "notional": position.notional,
        "unrealized_pnl": position.profit,
        "initial_margin": pool.initial,
        "maint_margin": pool.maintenance,
        "break_even": even,
    }


def inverse_value(v: Vector) -> dict[str, Any]:
    """Notional and profit of an inverse position."""
    size = v.number("contract_size", 1.0)
    held = Held(
        inverse(size),
        v.sign * v.number("contracts"),
        v.number("entry"),
        v.number("mark"),
        v.number("leverage", 1.0),
    )
    position = _pool(held, ladder=one_rate(0.004)).positions[0]
    value = position.notional
    entry = (
        _pool(Held(held.instrument, held.quantity, held.entry), ladder=one_rate(0.004)).positions[0].notional
    )
    return {
        "unrealized_pnl": position.profit,
        "unrealisedPnl": position.profit,
        "notional": value,
        "positionValue": entry,
    }


def pnl_john(v: Vector) -> dict[str, Any]:
    """Unrealised at mark, realised at exit, of an inverse position."""
    payoff = Inverse(contract_value=1.0)
    entry, size = v.number("entry"), v.number("exit_contracts")
    return {
        "unrealised_xbt": profit(payoff, v.sign * v.number("contracts"), entry, v.number("mark")),
        "realised_xbt": profit(payoff, v.sign * size, entry, v.number("exit")),
        "realised_if_mark_xbt": profit(payoff, v.sign * size, entry, v.number("mark")),
    }


def inverse_rates(v: Vector) -> dict[str, Any]:
    """Initial and maintenance by rates on the value at a price."""
    held = Held(inverse(), v.number("qty"), v.number("price"))
    pool = _pool(held, ladder=one_rate(v.number("mmr"), initial=v.number("im", 0.01)))
    return {"init_btc": pool.initial, "maint_btc": pool.maintenance}


def inverse_by_leverage(v: Vector) -> dict[str, Any]:
    """Initial by leverage, maintenance by rate, and the loss between them."""
    entry = v.number("entry") if "entry" in v.inputs else v.number("price")
    pool = _pool(
        Held(inverse(), v.sign * v.number("contracts"), entry, None, v.number("leverage")),
        ladder=one_rate(v.number("mmr", 0.005)),
    )
    names = ("initial_margin", "im_btc", "positionIM"), ("maintenance_margin", "mm_btc", "positionMM")
    got = {
        name: value
        for keys, value in zip(names, (pool.initial, pool.maintenance), strict=True)
        for name in keys
    }
    return got | {"loss_to_liquidation": pool.initial - pool.maintenance}


def okx_initial(v: Vector) -> dict[str, Any]:
    """Initial margin of one coin, coin- and USDT-margined."""
    coins, price, leverage = v.number("btc"), v.number("price"), v.number("leverage")
    coin = _pool(Held(inverse(price), coins, price, None, leverage), ladder=one_rate(0.004)).initial
    return {
        "im_btc": coin,
        "im_usdt": _pool(Held(linear(), coins, price, None, leverage), ladder=one_rate(0.004)).initial,
    }


def average(v: Vector) -> dict[str, Any]:
    """Harmonic average, and profits of examples that come with it."""
    payoff = Inverse(contract_value=1.0)
    got = {"avg_entry": average_entry(payoff, tuple((float(q), float(p)) for q, p in v.inputs["fills"]))}
    for side, sign in (("long", 1.0), ("short", -1.0)):
        if side in v.inputs:
            size, entry, exit_price = map(float, v.inputs[side])
            got[f"pnl_{side}"] = profit(payoff, sign * size, entry, exit_price)
    return got


def two_way_fee(v: Vector) -> dict[str, Any]:
    """Fee to open, and to close at the bankruptcy price."""
    held = Held(
        inverse(), v.sign * v.number("qty"), v.number("price"), None, v.number("leverage"), None, True
    )
    bust = liquidated(account_of(held), market_of(held), rules(one_rate(0.0)), v.sign, bankrupt=True)
    opened = Position(symbol="MAIN", quantity=held.quantity, entry=held.entry)
    _, closing = fill(held.instrument, opened, -held.quantity, bust, v.number("taker"))
    return {"two_way_fee": _opening_fee(held, v.number("taker")) - closing.fee}


def gross_ratio(v: Vector) -> dict[str, Any]:
    """Profit over margin of coins bought at one price and sold at another."""
    opened = v.number("open")
    payoff = Inverse(contract_value=opened)
    gain = profit(payoff, v.sign * v.number("size_btc"), opened, v.number("close"))
    return {"pnl_ratio_pct": 100 * gain / v.number("margin_btc")}


def bybit_uta(v: Vector) -> dict[str, Any]:
    """Margins with the fee to close at the bankruptcy price, on entry value."""
    size = v.number("qty")
    held = Held(
        linear(),
        v.sign * size,
        v.number("entry"),
        v.number("mark") if "mark" in v.inputs else None,
        v.number("leverage"),
    )
    fee = ClosingFee(code=CODE, rate=v.number("taker"), basis=FeeBasis.BANKRUPTCY)
    pool = _pool(held, ladder=one_rate(v.number("mmr")), basis=Basis.ENTRY, fee=fee)
    return {
        "positionIM": pool.initial,
        "positionMM": pool.maintenance,
        "unrealisedPnl": pool.positions[0].profit,
    }


def bybit_order_cost(v: Vector) -> dict[str, Any]:
    """Order cost: initial margin with the fee to close at the bankruptcy price, and the fee to open."""
    held = Held(linear(), v.sign * v.number("qty"), v.number("price"), None, v.number("leverage"), None, True)
    account, market = account_of(held), market_of(held)
    book = rules(one_rate(0.0))
    bust = liquidated(account, market, book, v.sign, bankrupt=True)
    initial = pool_of(account, market, book).initial
    at_bust = ClosingFee(code=CODE, rate=v.number("taker"), basis=FeeBasis.BANKRUPTCY)
    asked = pool_of(account, market, rules(one_rate(0.0), fee=at_bust)).initial
    opening = _opening_fee(held, v.number("taker"))
    return {
        "initial_margin": initial,
        "open_fee": opening,
        "bankruptcy_price": bust,
        "close_fee": asked - initial,
        "order_cost": asked + opening,
    }


def _opening_fee(held: Held, rate: float) -> float:
    flat = Position(symbol=held.instrument.symbol, quantity=0.0, entry=held.entry)
    _, flows = fill(held.instrument, flat, held.quantity, held.entry, rate)
    return -flows.fee


def okx_isolated(v: Vector) -> dict[str, Any]:
    """A recorded isolated inverse future: margin by leverage on entry, ratio with the closing fee."""
    held = Held(
        inverse(v.number("face")),
        v.sign * v.number("contracts"),
        v.number("avg"),
        v.number("mark"),
        v.number("leverage"),
        None,
        True,
    )
    account, market = account_of(held), market_of(held)
    plain = pool_of(account, market, rules(one_rate(v.number("mmr"))))
    fee = ClosingFee(code=CODE, rate=v.number("taker_fee"), initial=False)
    charged = pool_of(account, market, rules(one_rate(v.number("mmr")), fee=fee))
    upl = plain.positions[0].profit
    margin = plain.equity - upl
    return {
        "margin": margin,
        "upl": upl,
        "mmr": plain.maintenance,
        "mgnRatio": 1.0 / charged.ratio,
        "uplRatio": upl / margin,
    }


def gate_value(v: Vector) -> dict[str, Any]:
    """Value, unrealised profit, and the fee already paid."""
    held = Held(
        linear(v.number("quanto_multiplier")),
        v.sign * v.number("contracts"),
        v.number("entry"),
        v.number("mark"),
    )
    position = _pool(held, ladder=one_rate(0.004)).positions[0]
    paid = _opening_fee(held, v.number("taker"))
    return {"value": position.notional, "unrealised_pnl": position.profit, "realised_pnl": -paid}


def gate_values(v: Vector) -> dict[str, Any]:
    """Values of positions of several coins: contracts, price, multiplier."""
    return {
        f"{coin}_value": notional(Linear(contract_size=float(rows[2])), float(rows[0]), float(rows[1]))
        for coin, rows in v.inputs.items()
    }


def cases(v: Vector) -> dict[str, Any]:
    """Profit of several positions: side, entry, exit, contracts."""
    face = v.number("face")
    payoff = Inverse(contract_value=face) if "inverse" in v.model else Linear(contract_size=face)
    kind = "upl" if "unrealised" in v.model else "rpl"
    return {
        f"{kind}_{side}": profit(
            payoff, (1.0 if side == "long" else -1.0) * float(size), float(entry), float(exit_price)
        )
        for side, entry, exit_price, size in v.inputs["cases"]
    }


def bitmex_funding(v: Vector) -> dict[str, Any]:
    """A round trip with one funding payment; the rate is the difference of the two interest rates over three."""
    instrument = inverse()
    count, entry = v.number("contracts"), v.number("entry")
    rate = interest_rate(v.number("quote_rate"), v.number("base_rate"))
    paid = funding(
        instrument, Position(symbol="MAIN", quantity=v.sign * count, entry=entry), v.number("mark"), rate
    ).funding
    gain = profit(instrument.payoff, v.sign * count, entry, v.number("exit"))
    value = notional(instrument.payoff, count, entry)
    return {
        "entry_value_xbt": value,
        "funding_rate_pct": 100 * rate,
        "funding_xbt": abs(paid),
        "pnl_xbt": gain,
        "net_xbt": gain + paid,
    }


TRANSLATORS = {
    "USDM order cost = IM + open loss": order_cost,
    "COINM cross position margins (inverse delivery)": coinm_cross,
    "USDM position margins (linear)": linear_margins,
    "USDM portfolio-margin position PnL/notional/break-even": linear_margins,
    "COINM portfolio-margin position (inverse) PnL/notional": inverse_value,
    "inverse position sample in V5 docs": inverse_value,
    "inverse P&L XBTUSD": pnl_john,
    "inverse initial margin (NautilusTrader model)": inverse_rates,
    "inverse IM/MM": inverse_by_leverage,
    "inverse initial margin": inverse_by_leverage,
    "inverse position sample in V5 docs, IM/MM fields": inverse_by_leverage,
    "initial margin, coin- and USDT-margined": okx_initial,
    "average entry (harmonic) — increase short": average,
    "average entry and PnL": average,
    "open fee + fee at bankruptcy price": two_way_fee,
    "coin-margined gross PnL ratio (1x, 10 BTC margin)": gross_ratio,
    "UTA cross position IM/MM incl. fee to close at bankruptcy price": bybit_uta,
    "USDC perpetual IM/MM at 1x (bankruptcy price 0, no close fee)": bybit_uta,
    "linear order cost = IM + open fee + fee at bankruptcy price": bybit_order_cost,
    "inverse isolated delivery future: margin, mmr, margin ratio": okx_isolated,
    "linear position value and PnL": gate_value,
    "position value in BTC/USD-style contracts (portfolio margin account)": gate_values,
    "linear realised PnL": cases,
    "linear unrealised PnL": cases,
    "inverse realised PnL (face 100 USD)": cases,
    "funding payment and round trip (inverse)": bitmex_funding,
}

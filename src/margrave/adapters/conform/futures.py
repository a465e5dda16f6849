"""Translators of liquidation and bankruptcy prices of futures and perpetuals."""

from typing import Any

import msgspec

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
from margrave.core.rounding import Direction
from margrave.domain.fills import notional
from margrave.rulebook.load import checked
from margrave.rulebook.schema import Basis, ClosingFee, Match, Product, RateRule, Roundings

TO_EARLIER = Roundings(price_to_earlier=True)


def _held(
    v: Vector,
    instrument: Any,
    *,
    mark: float | None = None,
    alone: bool = False,
    isolated: float | None = None,
) -> Held:
    size = v.number("qty" if "qty" in v.inputs else "contracts")
    leverage = v.number("leverage") if "leverage" in v.inputs else None
    return Held(instrument, v.sign * size, v.number("entry"), mark, leverage, isolated, alone)


def binance_isolated(v: Vector) -> dict[str, Any]:
    """Isolated, one-way, tier with its maintenance amount."""
    held = _held(v, linear(), isolated=v.number("wallet"))
    book = rules(one_rate(v.number("mmr"), v.number("cum", 0.0)))
    return {"liquidation_price": liquidated(account_of(held), market_of(held), book, v.sign)}


def binance_cross(v: Vector) -> dict[str, Any]:
    """Two symbols in one cross wallet: the other one stays at its mark."""
    held = _held(v, linear())
    other = v.inputs.get("other")
    if other is not None:
        sign = -1.0 if other.get("side") == "short" else 1.0
        second = Held(
            linear(symbol="OTHER", base="OTHER"),
            sign * float(other["qty"]),
            float(other["entry"]),
            float(other["mark"]),
        )
        rate, cut = float(other["mmr"]), float(other["cum"])
    else:  # known by its results only: a position of one contract at 1,000 that has them
        profit, margin = v.number("upnl_other"), v.number("tmm_other")
        second, rate, cut = (
            Held(linear(symbol="OTHER", base="OTHER"), 1.0, 1_000.0 - profit, 1_000.0),
            margin / 1_000.0,
            0.0,
        )
    book = two_ladders(v.number("mmr"), v.number("cum", 0.0), rate, cut)
    account, market = account_of(held, second, cash={"USDT": v.number("wallet")}), market_of(held, second)
    position = pool_of(account, market, book).positions[1]
    price = liquidated(account, market, book, v.sign)
    return {"tmm_other": position.maintenance, "upnl_other": position.profit, "liquidation_price": price}


def two_ladders(main: float, main_cut: float, other: float, other_cut: float) -> Any:
    """A rulebook with one rate for MAIN and another for everything else."""
    book = rules(one_rate(main, main_cut))
    model = book.products[0].model
    second = msgspec.structs.replace(model, ladder="other")
    products = (
        Product(name="main", match=Match(symbols=("MAIN",)), model=model),
        Product(name="other", match=Match(), model=second),
    )
    ladders = {**book.ladders, "other": one_rate(other, other_cut)}
    return checked(msgspec.structs.replace(book, products=products, ladders=ladders))


def coinm_isolated(v: Vector) -> dict[str, Any]:
    """A recorded COIN-M position."""
    held = _held(
        v, inverse(v.number("contract_size")), mark=v.number("mark"), isolated=v.number("isolated_wallet")
    )
    book = rules(one_rate(v.number("mmr"), v.number("cum", 0.0)))
    account, market = account_of(held), market_of(held)
    pool = pool_of(account, market, book)
    return {
        "liquidation_price": liquidated(account, market, book, v.sign),
        "unrealized_pnl": pool.positions[0].profit,
        "notional": pool.positions[0].notional,
        "isolated_margin": pool.equity,
    }


def entry_basis_linear(v: Vector) -> dict[str, Any]:
    """Isolated by leverage, maintenance on entry value (Bybit)."""
    held = _held(v, linear(), alone=True)
    extra = v.number("extra_margin", 0.0)
    book = rules(one_rate(v.number("mmr"), v.number("mm_deduction", 0.0)), basis=Basis.ENTRY)
    account, market = account_of(held), market_of(held)
    pool = pool_of(account, market, book)
    if extra:
        account = account_of(Held(held.instrument, held.quantity, held.entry, isolated=pool.equity + extra))
    price = liquidated(account, market, book, v.sign)
    return {
        "initial_margin": pool.initial,
        "maintenance_margin": pool.maintenance,
        "liquidation_price": price,
    }


def fee_in_rate(v: Vector) -> dict[str, Any]:
    """Isolated with the taker fee inside maintenance (Gate, OKX)."""
    margin = v.number("margin") if "margin" in v.inputs else None
    held = _held(v, linear(), isolated=margin, alone=margin is None)
    fee = ClosingFee(code=CODE, rate=v.number("taker_fee"), initial=False)
    book = rules(one_rate(v.number("mmr")), fee=fee)
    return {"liquidation_price": liquidated(account_of(held), market_of(held), book, v.sign)}


def isolated_linear(v: Vector) -> dict[str, Any]:
    """Isolated linear: with the taker fee inside maintenance where one is stated, else on entry value."""
    return fee_in_rate(v) if "taker_fee" in v.inputs else entry_basis_linear(v)


def _inverse_by_leverage(v: Vector) -> tuple[Any, Any, Any]:
    size = v.number("contracts", 1.0)
    held = Held(
        inverse(tick=v.number("tick") if "tick" in v.inputs else None),
        v.sign * size,
        v.number("entry"),
        None,
        v.number("leverage"),
        None,
        True,
    )
    rate = v.number("mmr", 0.0)
    book = rules(
        one_rate(rate), basis=Basis.ENTRY, rounding=TO_EARLIER if "tick" in v.inputs else Roundings()
    )
    return account_of(held), market_of(held), book


def inverse_prices(v: Vector) -> dict[str, Any]:
    """Isolated inverse by leverage, maintenance on entry value: liquidation and bankruptcy price."""
    account, market, book = _inverse_by_leverage(v)
    got: dict[str, Any] = {}
    if "liquidation_price" in v.expected:
        got["liquidation_price"] = liquidated(account, market, book, v.sign, rounded=True)
    if "bankruptcy_price" in v.expected:
        got["bankruptcy_price"] = liquidated(account, market, book, v.sign, bankrupt=True, rounded=True)
    if "bankruptcy_raw" in v.expected:
        got["bankruptcy_raw"] = liquidated(account, market, book, v.sign, bankrupt=True)
    pool = pool_of(account, market, book)
    return got | {"entry_value": pool.positions[0].notional, "initial_margin": pool.initial}


def linear_bankruptcy(v: Vector) -> dict[str, Any]:
    """Isolated linear by leverage."""
    held = Held(linear(), v.sign, v.number("entry"), None, v.number("leverage"), None, True)
    return {
        "bankruptcy_price": liquidated(
            account_of(held), market_of(held), rules(one_rate(0.0)), v.sign, bankrupt=True
        )
    }


def linear_bankruptcy_wallet(v: Vector) -> dict[str, Any]:
    """Position margin and wallet together stand behind the position."""
    held = Held(linear(), v.sign * v.number("qty"), v.number("entry"))
    account = account_of(held, cash={"USDT": v.number("position_margin") + v.number("wallet")})
    return {
        "bankruptcy_price": liquidated(account, market_of(held), rules(one_rate(0.0)), v.sign, bankrupt=True)
    }


def bybit_inverse_cross(v: Vector) -> dict[str, Any]:
    """Legacy cross account: maintenance on entry value and a fee to close at the bankruptcy price."""
    tick = v.number("tick")
    held = _held(v, inverse(tick=tick))
    free = v.number("balance") - v.number("order_margin", 0.0)
    with_fee = rules(one_rate(v.number("taker")), basis=Basis.MARK, rounding=Roundings(price_step=0.01))
    account, market = account_of(held, cash={"MAIN": free}), market_of(held)
    bust = liquidated(account, market, with_fee, v.sign)
    # The fee is what closing at the bankruptcy price costs, and is set aside from the balance.
    fee = v.number("taker") * notional(held.instrument.payoff, held.quantity, bust)
    aside = account_of(held, cash={"MAIN": free - fee})
    book = rules(one_rate(v.number("mmr")), basis=Basis.ENTRY, rounding=TO_EARLIER)
    return {
        "bankruptcy_price": bust,
        "liquidation_price": liquidated(aside, market, book, v.sign, rounded=True),
    }


def bybit_uta_inverse(v: Vector) -> dict[str, Any]:
    """Value and initial margin of an inverse position, and its liquidation price by the 2024 formula."""
    account, market, book = _inverse_by_leverage(v)
    pool = pool_of(account, market, book)
    return {
        "position_value": pool.positions[0].notional,
        "initial_margin": pool.initial,
        "liquidation_price": liquidated(account, market, book, v.sign),
    }


def okx_cross(v: Vector) -> dict[str, Any]:
    """One linear position on a cross balance, closing fee inside maintenance."""
    held = _held(v, linear())
    fee = ClosingFee(code=CODE, rate=v.number("liq_fee"), initial=False)
    account = account_of(held, cash={"USDT": v.number("available")})
    # The venue's calculator shows the price on its tick of 0.1, cut.
    on_tick = Roundings(price_step=0.1, price_direction=Direction.DOWN)
    book = rules(one_rate(v.number("mmr")), fee=fee, rounding=on_tick)
    return {"liquidation_price": liquidated(account, market_of(held), book, v.sign, rounded=True)}


def kraken_inverse(v: Vector) -> dict[str, Any]:
    """Maintenance revalued at the liquidation price; the limit of the closing order is the zero-equity price."""
    held = _held(v, inverse(), isolated=v.number("margin"))
    account, market = account_of(held), market_of(held)
    book = rules(one_rate(v.number("mmr"), initial=v.number("im")), rate=RateRule.TIER)
    pool = pool_of(account, market, book)
    return {
        "position_value": pool.positions[0].notional,
        "im_btc": pool.initial,
        "mm_btc": pool.maintenance,
        "liquidation_price": liquidated(account, market, book, v.sign),
        "ioc_limit": liquidated(account, market, book, v.sign, bankrupt=True),
    }


def bitmex_cross(v: Vector) -> dict[str, Any]:
    """Linear cross, maintenance on entry value."""
    held = _held(v, linear(v.number("contract_size")))
    account, market = account_of(held, cash={"USDT": v.number("wallet")}), market_of(held)
    book = rules(one_rate(v.number("mmr")), basis=Basis.ENTRY)
    pool = pool_of(account, market, book)
    return {
        "initial_margin": pool.initial,
        "maint_margin": pool.maintenance,
        "available": pool.available,
        "bankruptcy_price": liquidated(account, market, book, v.sign, bankrupt=True),
        "liquidation_price": liquidated(account, market, book, v.sign),
    }


TRANSLATORS = {
    "USDM isolated liquidation price (one-way)": binance_isolated,
    "USDM cross liquidation price, two symbols": binance_cross,
    "USDM cross liquidation price, short, two symbols": binance_cross,
    "USDM cross liquidation price, long, two symbols": binance_cross,
    "COINM isolated liquidation price (inverse)": coinm_isolated,
    "linear isolated liquidation price (MM at entry value)": entry_basis_linear,
    "linear isolated liquidation price": isolated_linear,
    "inverse bankruptcy price": inverse_prices,
    "inverse bankruptcy price (20x long)": inverse_prices,
    "inverse isolated liquidation price EP*lev/(lev+-1-+mmr*lev)": inverse_prices,
    "inverse isolated liquidation price": inverse_prices,
    "inverse isolated bankruptcy and liquidation price": inverse_prices,
    "linear isolated bankruptcy price": linear_bankruptcy,
    "linear bankruptcy price with wallet balance": linear_bankruptcy_wallet,
    "inverse cross bankruptcy/liquidation price (legacy account)": bybit_inverse_cross,
    "inverse isolated (UTA, 2024 formula)": bybit_uta_inverse,
    "linear cross liquidation price calculator": okx_cross,
    "inverse liquidation and zero-equity price": kraken_inverse,
    "linear cross margin ETHUSDT": bitmex_cross,
}

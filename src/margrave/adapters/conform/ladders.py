"""Translators of ladders: deductions, risk limits, collateral discounts."""

import csv
import re
from typing import Any

import numpy as np

from margrave.adapters.conform.objects import (
    AT,
    CODE,
    Held,
    account_of,
    book,
    brackets,
    inverse,
    market_of,
    pool_of,
)
from margrave.adapters.conform.vector import UnsupportedError, Vector
from margrave.core.words import INITIAL, MAINTENANCE
from margrave.domain.account import Account, Balance
from margrave.domain.market import Market
from margrave.engine.assess import assess
from margrave.kernels.ladder import marginal_rate, segment
from margrave.rulebook.catalogue import in_force
from margrave.rulebook.ladders import RiskLimit, TierUnit, resolve
from margrave.rulebook.schema import AccountRules, CollateralRule, CrossPool, Discount, LadderModel, LevelRule


def deductions(v: Vector) -> dict[str, Any]:
    """Deduction of every tier, by recursion."""
    rows = v.inputs.get("brackets") or v.inputs.get("tiers")
    if not rows:
        raise UnsupportedError("no brackets are given")
    amounts = resolve(brackets(rows), MAINTENANCE).deduction
    return {name: float(amounts[int(re.sub(r"\D", "", name)) - 1]) for name in v.expected}


def one_deduction(v: Vector) -> dict[str, Any]:
    """Rate and deduction at a size."""
    level = resolve(brackets(v.inputs["brackets"]), MAINTENANCE)
    at = int(segment(level.floor, np.array(v.number("notional_btc"))))
    return {"mmr": float(level.rate[at]), "cum": float(level.deduction[at])}


def recursion(v: Vector) -> dict[str, Any]:
    """One step of the recursion, and the venue's ladder continued from it."""
    level = resolve(brackets([[0, v.number("mmr_n_1")], [v.number("floor"), v.number("mmr_n")]]), MAINTENANCE)
    step = float(level.deduction[1])
    ladder = resolve(in_force("binance.coinm", AT).ladders["BTCUSD"], MAINTENANCE)
    after = [
        ladder.deduction[int(segment(ladder.floor, np.array(size)))]
        for size in (v.number("floor") * 1.5, 300.0)
    ]
    cum = v.number("cum_n_1") + step
    return {"cum": cum, "cum_300btc": cum + float(after[1] - after[0])}


def whole_table(v: Vector) -> dict[str, Any]:
    """Every printed deduction of a stored table against the recursion."""
    name = str(v.inputs["file"]).rsplit("/", maxsplit=1)[-1]
    found = list(v.folder.parent.glob(f"**/{name}"))
    if not found:
        raise UnsupportedError(f"table {name} is not beside the vectors")
    symbols: dict[str, list[list[str]]] = {}
    with found[0].open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            symbols.setdefault(row["symbol"], []).append([row["floor"], row["mmr"], row["cum"]])
    wrong = 0
    for rows in symbols.values():
        amounts = resolve(brackets([r[:2] for r in rows]), MAINTENANCE).deduction
        wrong += sum(abs(float(r[2]) - a) > 1e-6 * max(1.0, a) for r, a in zip(rows, amounts, strict=True))
    return {"rows_violating_recursion": wrong}


def _risk_limit(v: Vector) -> RiskLimit:
    return RiskLimit(
        code=CODE,
        unit=TierUnit.COIN,
        base_limit=v.number("base_limit", 200.0),
        step=v.number("step", 100.0),
        initial=v.number("base_im"),
        maintenance=v.number("base_mm"),
        increment=v.number("base_mm"),
    )


def _levels(ladder: RiskLimit, value: float) -> tuple[float, float, float, float]:
    # Rates in per cent as the source prints them, the steps taken, and maintenance in coin, of a position's value.
    held = Held(inverse(), value, 1.0)
    model = LadderModel(ladder="stated", initial=LevelRule(code=CODE), maintenance=LevelRule(code=CODE))
    pool = pool_of(account_of(held), market_of(held), book(model, ladders={"stated": ladder}))
    level = resolve(ladder, INITIAL)
    size = np.array(value)
    return (
        100 * float(marginal_rate(level.floor, level.rate, level.slope, size)),
        100 * pool.maintenance / value,
        float(segment(level.floor, size)),
        pool.maintenance,
    )


def risk_table(v: Vector) -> dict[str, Any]:
    """Rates at several sizes."""
    got: dict[str, Any] = {}
    for k, value in enumerate(v.inputs["position_values"], 1):
        got[f"im{k}"], got[f"mm{k}"], _, _ = _levels(_risk_limit(v), float(value))
    return got


def risk_step(v: Vector) -> dict[str, Any]:
    """Rates one step beyond the base limit."""
    initial, maintenance, _, coin = _levels(_risk_limit(v), v.number("gross_value_xbt"))
    return {"im_pct": initial, "mm_pct": maintenance, "mm_xbt": coin}


def risk_trade(v: Vector) -> dict[str, Any]:
    """A position, and the same with an order on top."""
    _, _, _, before = _levels(_risk_limit(v), v.number("position"))
    initial, maintenance, steps, _ = _levels(_risk_limit(v), v.number("position") + v.number("order"))
    return {
        "mm_before_xbt": before,
        "steps_after": steps,
        "mm_after_pct": maintenance,
        "im_after_pct": initial,
    }


def _discounted(
    asset: str, amount: float, price: float, slices: list[tuple[float, float]], *, in_numeraire: bool
) -> dict[str, Any]:
    floors, start = [], 0.0
    for width, rate in slices:
        floors.append(Discount(floor=start, rate=rate))
        start += width
    rule = CollateralRule(asset=asset, discounts=tuple(floors), in_numeraire=in_numeraire)
    rules = AccountRules(cross_pool=CrossPool.ACCOUNT, code=CODE, collateral=(rule,))
    model = LadderModel(ladder="stated", initial=LevelRule(code=CODE), maintenance=LevelRule(code=CODE))
    rulebook = book(model, rules, ladders={"stated": brackets([[0, 0.01]])})
    market = Market(at=AT, instruments={}, quotes={}, index={asset: price})
    pool = assess(Account(balances=(Balance(asset=asset, amount=amount),)), market, rulebook).pools[0]
    return {"discounted": pool.margin_balance, "collateral_value": pool.margin_balance}


def discount(v: Vector) -> dict[str, Any]:
    """Collateral after tiered discounts."""
    slices = [(float(w), float(r)) for w, r in v.inputs["tiers"]]
    return _discounted("USDT", v.number("usdt"), 1.0, slices, in_numeraire=True)


def discount_first_tier(v: Vector) -> dict[str, Any]:
    """Only the first tier is published."""
    width, rate = (float(x) for x in v.inputs["tier1"])
    return _discounted("BTC", v.number("btc"), v.number("price"), [(width, rate)], in_numeraire=False)


def weight(v: Vector) -> dict[str, Any]:
    """One collateral weight."""
    return _discounted("COIN", 1.0, v.number("notional"), [(1e30, v.number("weight"))], in_numeraire=False)


def leverage_of_rate(v: Vector) -> dict[str, Any]:
    """Highest leverage that an initial rate leaves: notional over initial margin."""
    got = {}
    for name in ("before", "after"):
        held = Held(inverse(), 1.0, 1.0)
        model = LadderModel(ladder="stated", initial=LevelRule(code=CODE), maintenance=LevelRule(code=CODE))
        ladder = RiskLimit(
            code=CODE,
            unit=TierUnit.COIN,
            base_limit=10.0,
            step=1.0,
            initial=v.number(f"imr_{name}"),
            maintenance=0.001,
            increment=0.1,
        )
        pool = pool_of(account_of(held), market_of(held), book(model, ladders={"stated": ladder}))
        got[f"lev_{name}"] = pool.positions[0].notional / pool.initial
    return got


TRANSLATORS = {
    "USDM maintenance amount (cum) ladder": deductions,
    "linear MM deduction ladder BTCUSDT (20 tiers)": deductions,
    "progressive MM quick-calculation ladder": deductions,
    "COINM maintenance amount (cum)": one_deduction,
    "COINM maintenance amount (cum) recursion": recursion,
    "USDM maintenance amount (cum) ladder, all 907 symbols / 7276 rows": whole_table,
    "risk limits: base 0.35%/1.00%, one step": risk_step,
    "risk limits table (base 200 XBT, step 150, MM .5%, IM 1%)": risk_table,
    "risk limits trade example": risk_trade,
    "tiered discount rate": discount,
    "tiered discount rate, 100 BTC": discount_first_tier,
    "collateral weight": weight,
    "risk limit change example: max leverage from IMR": leverage_of_rate,
}

"""Translators of what venues do beside position margins: deleveraging, partial closing, unified accounts, charges."""

from dataclasses import replace
from typing import Any

import numpy as np

from margrave.adapters.conform.objects import (
    CODE,
    Held,
    account_of,
    linear,
    market_of,
    one_rate,
    pool_of,
    rules,
)
from margrave.adapters.conform.vector import UnsupportedError, Vector
from margrave.domain.account import Account, Leg
from margrave.engine.assessment import PoolAssessment
from margrave.kernels.deleveraging_shares import by_queue
from margrave.liquidation.deleverage import leveraged_profit, queue_share
from margrave.liquidation.step_down import step_down
from margrave.margin import okx_portfolio as okx
from margrave.margin.bitmex_position import Contract, isolated_record
from margrave.margin.spot_hedge import spot_in_use
from margrave.margin.unified import Unified, adjusted_equity, asset_equity, requirement
from margrave.rulebook.ladders import Tier, TierUnit, WholePosition
from margrave.rulebook.okx_charges import EXTREME_SHARE, INITIAL_FACTOR
from margrave.rulebook.schema import AccountRules, Basis, CreditScope, CrossPool


def unified(v: Vector) -> dict[str, Any]:
    """Ratio and available balance of a unified account: of stated totals, or of its assets."""
    account = _assets(v) if "assets" in v.inputs else None
    account = account or Unified(
        v.number("accountEquity"), v.number("accountInitialMargin", 0.0), v.number("accountMaintMargin")
    )
    return {"uniMMR": account.ratio, "totalAvailableBalance": account.available}


def _assets(v: Vector) -> Unified:
    # Rows of amount, index, collateral rate, open loss, futures maintenance, loan, loan rate: all but two may miss.
    rows = np.array([[float(x) for x in row] + [0.0] * (7 - len(row)) for row in v.inputs["assets"]])
    amount, index, rate, open_loss, positions, loan, loan_rate = rows.T
    equity = adjusted_equity(asset_equity(amount, index, rate), open_loss, index)
    return Unified(equity, v.number("initial", 0.0), requirement(positions, loan, loan_rate, index))


def leveraged(v: Vector) -> dict[str, Any]:
    """Binance's deleveraging score."""
    found = leveraged_profit(v.number("unrealized"), v.number("wallet"), v.number("margin_ratio"))
    return {"pnl_percent": float(found.profit_share), "leverage_pnl": float(found.score)}


def quintiles(v: Vector) -> dict[str, Any]:
    """BitMEX's lights in per cent, and what each account loses: rows of account, size, score."""
    rows = [[float(x) for x in row] for row in v.inputs["accounts"]]
    names = [f"acc{row[0]:g}" for row in rows]
    size, score = np.array([r[1] for r in rows]), np.array([r[2] for r in rows])
    lights = 100.0 * queue_share(score, size)
    lost = by_queue(score, size, v.number("liquidated_size"))
    return dict(zip(names, lights.tolist(), strict=True)) | dict(
        zip([f"{name}_closed" for name in names], lost.tolist(), strict=True)
    )


def partial(v: Vector) -> dict[str, Any]:
    """Contracts that are closed to reach the first tier."""
    tiers = (Tier(0.0, 0.01), Tier(v.number("tier1_max"), 0.02))
    ladder = WholePosition(code=CODE, unit=TierUnit.CONTRACTS, tiers=tiers)
    return {"contracts_closed": step_down(ladder, v.number("contracts"))}


def spot_hedge(v: Vector) -> dict[str, Any]:
    """Spot that hedges a risk unit, and what stays free."""
    use = spot_in_use(v.number("spot"), v.number("net_delta"))
    return {"spot_in_use": float(use.in_use), "free_spot": float(use.free)}


def okx_scaled(v: Vector) -> dict[str, Any]:
    """MR7 after scaling, and the unit's maintenance with it."""
    bounds, factors = np.array([[float(x) for x in row] for row in v.inputs["tiers"]]).T
    scaled = okx.scaled_minimum(v.number("mr7_raw"), bounds, factors)
    unit = okx.UnitCharges(v.number("mr"), 0.0, 0.0, scaled)
    return {"mr7_adj": scaled, "mmr": okx.unit_maintenance(unit, has_options=False)}


def okx_depeg(v: Vector) -> dict[str, Any]:
    """MR9 of a hedge: rows of width and rate."""
    widths, rates = np.array([[float(x) for x in row] for row in v.inputs["slices"]]).T
    return {"mr9": okx.depeg_charge(v.number("hedge_usd"), widths, rates)}


def okx_unit(v: Vector) -> dict[str, Any]:
    """Charges of a risk unit without options."""
    delta = v.number("delta_usd")
    if "scenario_base" not in v.inputs:
        raise UnsupportedError(
            "the base of the scenarios (the delta at the index price) is not among the inputs: "
            "it was read off the record's own 12 % row; MR4 and MR7 agree"
        )
    base = np.copysign(v.number("scenario_base"), delta)
    moves = np.array([float(x) for x in v.inputs["shocks"]])
    profit = okx.linear_profit(base, np.concatenate([moves, -moves]))
    extreme = okx.linear_profit(base, v.number("mr6_shock") * np.array([1.0, -1.0]))
    mr6 = okx.extreme_move(extreme, EXTREME_SHARE)
    mr4 = okx.basis_charge(np.array([delta]), np.array([v.number("mr4_rate")]))
    mr7 = okx.basis_charge(np.array([delta]), np.array([v.number("mr7_rate")]))
    unit = okx.UnitCharges(okx.worst_loss(profit), mr4, mr6, mr7)
    mmr = okx.unit_maintenance(unit, has_options=False)
    each = {f"mr1_{100 * m:g}pct": okx.worst_loss(okx.linear_profit(base, np.array([m, -m]))) for m in moves}
    imr = mmr * v.number("imr_factor", INITIAL_FACTOR)
    return each | {
        "mr6_pnl": okx.worst_loss(extreme), "mr6": mr6, "mr4": mr4, "mr7": mr7, "mmr": mmr, "imr": imr,
    }  # fmt: skip


def bitmex_isolated(v: Vector) -> dict[str, Any]:
    """Every field of a recorded isolated position."""
    contract = Contract(
        size=v.number("contract_size"),
        inverse="inverse" in v.model,
        scale=v.number("scale", 1e8 if "inverse" in v.model else 1e6),
        tick=v.number("tick"),
        taker=v.number("taker"),
        maintenance=v.number("mmr"),
    )
    leverage = v.number("leverage")
    record = isolated_record(
        contract,
        v.sign * v.number("contracts"),
        v.number("entry"),
        v.number("mark"),
        leverage,
        v.number("funding_rate", 0.0),
    )
    return {
        "posCost": record.cost,
        "posInit": record.initial,
        "posComm": record.commission,
        "posMargin": record.margin,
        "posMaint": record.maintenance,
        "unrealisedPnl": record.profit,
        "maintMargin": record.margin_now,
        "bankruptPrice": record.bankruptcy_price,
        "liquidationPrice": record.liquidation_price,
        "unrealisedPnlPcnt": record.profit_share,
        "unrealisedRoePcnt": record.profit_share * leverage,
    }


def hedged_legacy(v: Vector) -> dict[str, Any]:
    """Available balance of two legs whose losses count in full and whose netted profit does not."""
    account_rules = AccountRules(
        cross_pool=CrossPool.SETTLEMENT, code=CODE, profit_credit=0.0, profit_scope=CreditScope.ASSET
    )
    got: dict[str, Any] = {}
    for name in v.expected:
        mark = float(name.rpartition("_")[2])
        long, short = _leg(v, "long", 1.0, mark), _leg(v, "short", -1.0, mark)
        pool = pool_of(
            _hedged(account_of(long, cash={"USDT": v.number("wallet")}), account_of(short)),
            market_of(long),
            rules(one_rate(0.005), basis=Basis.ENTRY, account=account_rules),
        )
        got[name] = pool.available
    return got


def _leg(v: Vector, side: str, sign: float, mark: float) -> Held:
    size, entry, leverage = v.inputs[side]
    return Held(linear(), sign * float(size), float(entry), mark, float(str(leverage).rstrip("xX")))


def _hedged(long: Account, short: Account) -> Account:
    legs = replace(long.positions[0], leg=Leg.LONG), replace(short.positions[0], leg=Leg.SHORT)
    return replace(long, positions=legs)


def fully_paid(v: Vector) -> dict[str, Any]:
    """A contract that is paid in full: a rate of one on its value at mark, before and after a move."""
    before, after = (_paid(v, v.number(name)) for name in ("entry", "last"))
    return {
        "pos_margin0": before.initial,
        "avail0": before.available,
        "upnl1": after.positions[0].profit,
        "pos_margin1": after.initial,
        "avail1": after.available,
        "margin_balance1": after.margin_balance,
    }


def _paid(v: Vector, mark: float) -> PoolAssessment:
    held = Held(linear(), v.number("contracts"), v.number("entry"), mark)
    account = account_of(held, cash={"USDT": v.number("wallet")})
    return pool_of(account, market_of(held), rules(one_rate(1.0, initial=1.0)))


TRANSLATORS = {
    "PM Pro uniMMR = accountEquity / accountMaintMargin": unified,
    "ADL leveraged PnL score": leveraged,
    "ADL queue percentile and assignment": quintiles,
    "partial liquidation size, tier 3 to tier 1": partial,
    "spot hedge amount used by a risk unit": spot_hedge,
    "MR7 tier scaling (old table)": okx_scaled,
    "MR9 stablecoin de-peg charge, progressive": okx_depeg,
    "portfolio margin risk unit BTC (short 0.1 BTC swap)": okx_unit,
    "linear isolated position, full field set (1 contract = 1e-5 ETH, USDt scale 1e6)": bitmex_isolated,
    "linear cross hedge mode, legacy netting of uPnL": hedged_legacy,
    "fully-paid option (UP) margin": fully_paid,
}

"""Liquidation steps of Mango v4 as changes of a snapshot (spec defi 4.3).

A liquidation starts below zero maintenance health and goes on until liquidation-end health is not below zero. Orders
are cancelled before either step. Every step says what moved and ends in a new snapshot.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import final

from margrave.core.errors import Reason, invalid, refused
from margrave.protocols.binary_fixed import Number, total
from margrave.protocols.mango import (
    LARGEST,
    SMALLEST,
    Health,
    Perp,
    Snapshot,
    effective_balance,
    health,
    token_weights,
    unweighted_profit,
    weighted_prices,
    with_change,
    within,
)

END = Health.LIQUIDATION_END
_LOT_NOISE = 1e-9  # of a lot: a float's last bits do not make one more


def is_liquidatable(snapshot: Snapshot, *, being_liquidated: bool = False) -> bool:
    """Whether a liquidator may act: below zero maintenance health, or on the way back to liquidation-end health."""
    return health(snapshot, Health.MAINT) < 0.0 or (being_liquidated and health(snapshot, END) < 0.0)


@final
@dataclass(frozen=True, slots=True)
class TokenLiquidation:
    """What a token-for-token step moved."""

    asset: Number  # tokens taken, > 0
    liability: Number  # tokens of debt paid, > 0
    snapshot: Snapshot  # after


def liquidate_token(
    snapshot: Snapshot, asset: str, liability: str, most: Number, fee: Number = 0.0
) -> TokenLiquidation:
    """Pay a token debt with a token deposit until liquidation-end health is zero (spec defi 4.3).

    Parameters
    ----------
    snapshot : Snapshot
        Before, without open orders.
    asset, liability : str
        Tokens to take and to pay.
    most : float
        Liability that the liquidator pays at most, in tokens.
    fee : float
        Share on top that the account gives for what is paid.

    Returns
    -------
    TokenLiquidation
        Neither token goes beyond zero, neither by itself nor with the perpetuals that settle in it.

    Raises
    ------
    RefusedError
        Health is not below zero, there is no deposit to take or no debt to pay, or a swap would not help.
    """
    _without_orders(snapshot)
    within("most", most, 0.0)
    within("fee", fee, 0.0)
    deficit = _deficit(snapshot)
    if deficit == 0.0:
        raise refused("health", Reason.NOT_ALLOWED, "it is not below zero; there is nothing to liquidate")
    owned, owed = snapshot.token(asset), snapshot.token(liability)
    takeable = min(owned.balance, effective_balance(snapshot, asset, END))
    payable = -max(owed.balance, effective_balance(snapshot, liability, END))
    if takeable <= 0.0 or payable <= 0.0:
        nothing = f"token {asset}: no deposit" if takeable <= 0.0 else f"token {liability}: no debt"
        raise refused(
            nothing, Reason.NOT_ALLOWED, "nothing is left to swap after perpetuals; liquidate them first"
        )
    rate = owed.oracle * (1.0 + fee) / owned.oracle
    gain = (
        token_weights(owed, END).liability * owed.oracle
        - token_weights(owned, END).asset * owned.oracle * rate
    )
    if gain <= 0.0:
        raise refused(f"token {asset}", Reason.NOT_ALLOWED, "weights and fee leave nothing to gain by a swap")
    paid = min(deficit / gain, payable, most, takeable / rate)
    taken = min(paid * rate, takeable)
    after = with_change(with_change(snapshot, asset, -taken), liability, paid)
    return TokenLiquidation(taken, paid, after)


@final
@dataclass(frozen=True, slots=True)
class PerpTerms:
    """What a liquidator takes and earns in a perpetual step."""

    most_base: int  # lots, in the direction of the position; of the other sign: none
    most_profit: Number  # settle tokens of gains that the liquidator settles, >= 0
    base_fee: Number = 0.0  # share of price
    profit_fee: Number = 0.0  # share of settled gains

    def __post_init__(self) -> None:
        within("most profit", self.most_profit, 0.0)
        within("base fee", self.base_fee, 0.0)
        within("profit fee", self.profit_fee, 0.0)


@final
@dataclass(frozen=True, slots=True)
class PerpStep:
    """One of the five parts."""

    part: int  # 1, 3, 5 move base; 2, 4 settle gains
    lots: int  # that left the position, in its direction
    settled: Number  # gains taken over, settle tokens before the fee


@final
@dataclass(frozen=True, slots=True)
class PerpLiquidation:
    """What a perpetual step moved."""

    steps: tuple[PerpStep, ...]
    snapshot: Snapshot  # after


def liquidate_perp(snapshot: Snapshot, name: str, terms: PerpTerms) -> PerpLiquidation:
    """Take base and gains of a perpetual until liquidation-end health is zero (spec defi 4.3).

    Parameters
    ----------
    snapshot : Snapshot
        Before, without open orders.
    name : str
        The perpetual.
    terms : PerpTerms
        Limits and fees of the liquidator.

    Returns
    -------
    PerpLiquidation
        Up to five parts: (1) base until the weighted profit is not below zero, (2) settle gains, (3) base as far as
        settlement can still use what it frees, (4) settle that, (5) base where the market's gains count for health.
        Lots are rounded up; a part that moves nothing is left out. Nothing moves while health is not below zero.
    """
    _without_orders(snapshot)
    steps: list[PerpStep] = []
    for part in range(1, 6):
        used = sum(s.lots for s in steps), total(s.settled for s in steps)
        left = replace(
            terms, most_base=terms.most_base - used[0], most_profit=max(0.0, terms.most_profit - used[1])
        )
        step = _step(part, snapshot, name, left)
        if step.lots or step.settled:
            steps.append(step)
            snapshot = _after(snapshot, name, step, terms)
    return PerpLiquidation(tuple(steps), snapshot)


def _step(part: int, snapshot: Snapshot, name: str, terms: PerpTerms) -> PerpStep:
    perp = _perp(snapshot, name)
    wanted = _tokens_to_zero_health(snapshot, perp.settle)
    profit = unweighted_profit(perp, END)
    if wanted == 0.0:
        return PerpStep(part, 0, 0.0)
    if part in (2, 4):
        gain = 1.0 - terms.profit_fee - perp.init_overall
        settled = min(max(0.0, profit), terms.most_profit, wanted / gain) if gain > 0.0 else 0.0
        return PerpStep(part, 0, settled)
    if part == 1:
        freed = min(-profit, wanted)
    elif part == 3:
        kept = 1.0 - terms.profit_fee - perp.init_overall
        # A unit that is freed and then settled arrives less the fee; where settling helps not at all, none is.
        usable = min(terms.most_profit, wanted / (1.0 - terms.profit_fee)) if kept > 0.0 else 0.0
        freed = usable - max(0.0, profit)
    else:
        freed = wanted / perp.init_overall if perp.init_overall > 0.0 else 0.0
    return PerpStep(part, _lots(perp, freed, terms), 0.0)


def _deficit(snapshot: Snapshot) -> Number:
    """Health that is missing at the end of a liquidation; below the resolution of the chain it is none."""
    missing = -health(snapshot, END)
    return missing if missing > SMALLEST else 0.0


def _tokens_to_zero_health(snapshot: Snapshot, name: str) -> Number:
    """Tokens that must come in for liquidation-end health to reach zero; `LARGEST` where none suffice."""
    deficit = _deficit(snapshot)
    if deficit == 0.0:
        return 0.0
    asset, liability = weighted_prices(snapshot.token(name), END)
    owed = max(0.0, -effective_balance(snapshot, name, END))
    if deficit <= owed * liability:
        return deficit / liability
    return owed + (deficit - owed * liability) / asset if asset > 0.0 else LARGEST


def _lots(perp: Perp, freed: Number, terms: PerpTerms) -> int:
    """Lots whose transfer raises the weighted profit by ``freed``, rounded up, within position and limit."""
    side = 1 if perp.lots > 0 else -1
    most = min(abs(perp.lots), max(0, terms.most_base * side))
    weight = perp.init.asset if side > 0 else perp.init.liability
    each = perp.lot_size * perp.oracle * side * (_price_share(side, terms) - weight)
    if freed <= 0.0 or each <= 0.0:
        return 0
    needed = freed / each - _LOT_NOISE
    return side * (most if needed > most else min(most, math.ceil(needed)))


def _price_share(side: int, terms: PerpTerms) -> Number:
    return 1.0 - side * terms.base_fee


def _after(snapshot: Snapshot, name: str, step: PerpStep, terms: PerpTerms) -> Snapshot:
    perp = _perp(snapshot, name)
    side = 1 if perp.lots > 0 else -1
    bought = step.lots * perp.lot_size * perp.oracle * _price_share(side, terms)
    moved = replace(perp, lots=perp.lots - step.lots, quote=perp.quote + bought - step.settled)
    changed = replace(snapshot, perps=tuple(moved if p is perp else p for p in snapshot.perps))
    return with_change(changed, perp.settle, step.settled * (1.0 - terms.profit_fee))


def _perp(snapshot: Snapshot, name: str) -> Perp:
    for perp in snapshot.perps:
        if perp.name == name:
            return perp
    raise invalid(f"perp {name}", Reason.NOT_FOUND, "the snapshot does not hold it; name one that it does")


def _without_orders(snapshot: Snapshot) -> None:
    names: Iterator[str] = (
        f"{o.base}/{o.quote}" for o in snapshot.orders if o.reserved_base or o.reserved_quote
    )
    for name in (*names, *(p.name for p in snapshot.perps if p.bids or p.asks)):
        raise refused(f"orders {name}", Reason.NOT_ALLOWED, "open orders are cancelled before a liquidation")

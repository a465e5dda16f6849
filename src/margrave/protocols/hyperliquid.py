"""Hyperliquid beyond what its ladders say: portfolio margin, withdrawals, and the order of a liquidation.

Positions themselves are margined by the rulebook ``hyperliquid.perps``. Money is USDC. Source: specification of
on-chain systems, section 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import final

from margrave.domain.checks import require, require_finite, require_price

LIQUIDATABLE_RATIO = 0.95
LEAST_BORROW = 20.0
"""What the portfolio ratio counts on top of maintenance [USDC]."""

BACKSTOP_SHARE = 2.0 / 3.0
"""Of maintenance: below, the backstop vault takes over."""

PARTIAL_ABOVE = 100_000.0
"""Positions of a larger notional are closed in part first [USDC]."""

PARTIAL_SHARE = 0.2
PARTIAL_PAUSE_SECONDS = 30.0
WITHDRAWAL_SHARE = 0.1
"""Of notional: equity that a withdrawal must leave."""


def maintenance_rate(max_leverage: float) -> float:
    """Maintenance rate of a tier: half the initial margin at its highest leverage."""
    require(0.0 < max_leverage < float("inf"), "max_leverage", max_leverage, "above zero")
    return 1.0 / (2.0 * max_leverage)


@final
class Stage(StrEnum):
    """Who closes an account's positions."""

    NONE = "none"
    BOOK = "order book"
    BACKSTOP = "backstop vault"
    DELEVERAGE = "deleveraging"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Collateral:
    """A token that backs an account in portfolio margin."""

    balance: float
    oracle: float
    loan_to_value: float  # 0 to 1; 0.5 for HYPE and BTC
    supply_cap: float = float("inf")  # of the token that counts

    def __post_init__(self) -> None:
        require_price("oracle", self.oracle)
        _require_amounts(balance=self.balance, supply_cap=self.supply_cap)
        require(0.0 <= self.loan_to_value <= 1.0, "loan_to_value", self.loan_to_value, "between 0 and 1")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Borrowable:
    """A token that an account may borrow."""

    balance: float  # of it in the portfolio [USDC]
    borrowed: float = 0.0
    oracle: float = 1.0
    borrow_cap: float = float("inf")  # [USDC]

    def __post_init__(self) -> None:
        require_price("oracle", self.oracle)
        _require_amounts(balance=self.balance, borrowed=self.borrowed, borrow_cap=self.borrow_cap)


def _require_amounts(**amounts: float) -> None:
    for name, amount in amounts.items():
        require(amount >= 0.0, name, amount, "zero or more")


def borrowing_power(collateral: Sequence[Collateral]) -> float:
    """What may be borrowed: balance, up to the supply cap, at the oracle price and the loan-to-value [USDC]."""
    return sum(min(c.balance, c.supply_cap) * c.oracle * c.loan_to_value for c in collateral)


def liquidation_value(collateral: Sequence[Collateral]) -> float:
    """What collateral counts in the portfolio ratio: as `borrowing_power`, half-way from loan-to-value to one [USDC]."""
    return sum(min(c.balance, c.supply_cap) * c.oracle * (0.5 + 0.5 * c.loan_to_value) for c in collateral)


def portfolio_ratio(
    cross_maintenance: float, tokens: Sequence[Borrowable], collateral: Sequence[Collateral] = ()
) -> float:
    """Portfolio margin ratio; above `LIQUIDATABLE_RATIO` the account is liquidatable.

    Parameters
    ----------
    cross_maintenance : float
        Maintenance of the perpetual positions, >= 0. [USDC]
    tokens : sequence of Borrowable
        At least one.
    collateral : sequence of Collateral
        What backs them.

    Returns
    -------
    float
        The worst token's ``(20 + maintenance + borrowed × oracle) / (balance + min(borrow cap, collateral))``;
        infinity where nothing stands against it.
    """
    _require_amounts(cross_maintenance=cross_maintenance)
    require(len(tokens) > 0, "tokens", tokens, "one token or more")
    backed = liquidation_value(collateral)

    def ratio(token: Borrowable) -> float:
        owed = LEAST_BORROW + cross_maintenance + token.borrowed * token.oracle
        there = token.balance + min(token.borrow_cap, backed)
        return owed / there if there > 0.0 else float("inf")

    return max(map(ratio, tokens))


def borrow_rate(utilisation: float) -> float:
    """Rate of borrowing: ``0.05 + 4.75 max(0, u - 0.8)`` [per year, as a fraction]."""
    require(0.0 <= utilisation <= 1.0, "utilisation", utilisation, "between 0 and 1")
    return 0.05 + 4.75 * max(0.0, utilisation - 0.8)


def withdrawable(equity: float, initial: float, notional: float) -> float:
    """What may be withdrawn: equity beyond the larger of initial margin and a tenth of notional, >= 0 [USDC]."""
    require_finite("equity", equity)
    _require_amounts(initial=initial, notional=notional)
    return max(equity - max(initial, WITHDRAWAL_SHARE * notional), 0.0)


def stage(equity: float, maintenance: float) -> Stage:
    """Who closes the positions of an account; deleveraging where there is no equity left to take over."""
    require_finite("equity", equity)
    _require_amounts(maintenance=maintenance)
    if maintenance == 0.0 or equity >= maintenance:
        return Stage.NONE
    if equity >= BACKSTOP_SHARE * maintenance:
        return Stage.BOOK
    return Stage.BACKSTOP if equity > 0.0 else Stage.DELEVERAGE


def first_order(notional: float) -> float:
    """Notional of the first liquidation order: all of a small position, a fifth of one above 100,000 USDC."""
    _require_amounts(notional=notional)
    return notional * PARTIAL_SHARE if notional > PARTIAL_ABOVE else notional

"""A whole Drift account: requirement and collateral with every part that makes them (spec defi 3.2).

Cross positions share one collateral; an isolated perpetual has its own deposit and its own margin. One pass walks
quote balance, tokens, perpetuals; a `Context` says for what purpose, so that orders, withdrawals and liquidations
take one path.
"""

from dataclasses import dataclass
from typing import final

from margrave.core.errors import Reason, invalid
from margrave.protocols.drift import (
    MAX_U64,
    PRICE,
    WEIGHT,
    MarginType,
    asset_weight,
    token_value,
    truncated,
    unit,
)
from margrave.protocols.drift_positions import (
    QUOTE_DECIMALS,
    Context,
    DriftAccount,
    Part,
    QuoteBalance,
    low,
    perp_parts,
    perp_profit,
    quote_parts,
    spot_parts,
)


@final
@dataclass(frozen=True, slots=True)
class Margin:
    """Requirement and collateral of a pool with its parts [1e-6]."""

    parts: tuple[Part, ...]
    buffer: int

    @property
    def requirement(self) -> int:
        """Sum of requirements."""
        return sum(p.requirement for p in self.parts)

    @property
    def collateral(self) -> int:
        """Sum of weighted collateral."""
        return sum(p.collateral for p in self.parts)

    @property
    def requirement_with_buffer(self) -> int:
        """Requirement at which a liquidation ends: each part with its share of the liability on top."""
        return sum(p.requirement + p.liability * self.buffer // WEIGHT for p in self.parts)

    @property
    def collateral_with_buffer(self) -> int:
        """Collateral at which a liquidation ends: each loss with its share on top."""
        return sum(p.collateral + truncated(min(p.collateral, 0) * self.buffer, WEIGHT) for p in self.parts)

    @property
    def free_collateral(self) -> int:
        """Collateral above the requirement, not below zero."""
        return max(0, self.collateral - self.requirement)

    @property
    def is_met(self) -> bool:
        """Whether collateral covers the requirement; at maintenance level, whether no liquidation may begin."""
        return self.collateral >= self.requirement

    @property
    def ends_liquidation(self) -> bool:
        """Whether a liquidation that has begun is over: both sides with the buffer."""
        return self.collateral_with_buffer >= self.requirement_with_buffer

    @property
    def shortage(self) -> int:
        """What a liquidation has to free: requirement less collateral, both with the buffer, not below zero."""
        return max(0, self.requirement_with_buffer - self.collateral_with_buffer)

    @property
    def debts(self) -> int:
        """How many debts, open perpetuals and fills that may become one."""
        return sum(p.debts for p in self.parts)


@final
@dataclass(frozen=True, slots=True)
class AccountMargin:
    """Margin of the cross pool, and of each isolated perpetual under its index in the account."""

    cross: Margin
    isolated: dict[int, Margin]


def account_margin(account: DriftAccount, context: Context) -> AccountMargin:
    """Requirement and collateral of an account (spec defi 3.2).

    Parameters
    ----------
    account : DriftAccount
        Holdings with their markets.
    context : Context
        Margin type, strictness, buffer, override.

    Returns
    -------
    AccountMargin
        Parts of every holding; nothing is rounded after they are added.

    Raises
    ------
    InvalidInputError
        A borrow whose liability weight is below one: the protocol refuses to compute such a market.
    """
    own = account.ratio if context.margin_type is MarginType.INITIAL else 0
    ratio = max(own, context.ratio_override)
    parts: list[Part] = [*quote_parts(account.quote, context)]
    for spot in account.spots:
        parts.extend(spot_parts(spot, context, ratio))
    isolated: dict[int, Margin] = {}
    for index, perp in enumerate(account.perps):
        held = tuple(perp_parts(perp, account, context, ratio))
        if perp.isolated_deposit is None:
            parts.extend(held)
        else:
            deposit = _deposit_part(perp.isolated_deposit, account.quote, context)
            isolated[index] = Margin((deposit, *held), context.buffer)
    return AccountMargin(Margin(tuple(parts), context.buffer), isolated)


def _deposit_part(amount: int, quote: QuoteBalance, context: Context) -> Part:
    value = token_value(amount, QUOTE_DECIMALS, low(quote.price, quote.twap, context))
    return Part("deposit", value, WEIGHT, collateral=value)


def equity(account: DriftAccount) -> int:
    """Net value of an account without any weight, isolated deposits included [1e-6]."""
    quote = account.quote
    spots = [(quote.amount, QUOTE_DECIMALS, quote.price)]
    spots += [(s.amount, s.market.decimals, s.market.price) for s in account.spots]
    spots += [(p.isolated_deposit or 0, QUOTE_DECIMALS, quote.price) for p in account.perps]
    profits = (truncated(perp_profit(p) * quote.price, PRICE) for p in account.perps)
    return sum(token_value(*spot) for spot in spots) + sum(profits)


def withdrawable(account: DriftAccount, spot: int | None) -> int:
    """The most of a token that may leave before initial margin is short (spec defi 3, vectors).

    Parameters
    ----------
    account : DriftAccount
        Holdings.
    spot : int or None
        Index of the token in the account; None for the quote token.

    Returns
    -------
    int
        Token units. The whole balance where the account owes nothing; `MAX_U64` where the token carries no weight,
        so that margin sets no bound. Free collateral less one unit of quote, divided step by step with cuts,
        elsewhere.
    """
    quote = account.quote
    if spot is None:
        amount, decimals, price, weight = quote.amount, QUOTE_DECIMALS, quote.price, WEIGHT
    elif 0 <= spot < len(account.spots):
        held = account.spots[spot]
        amount, decimals, price = held.amount, held.market.decimals, held.market.price
        weight = asset_weight(held.market, abs(amount), MarginType.INITIAL)
    else:
        raise invalid("withdraw", Reason.NOT_FOUND, f"no token {spot}; give an index of the account's tokens")
    margin = account_margin(account, Context(MarginType.INITIAL))
    if weight == 0:
        return MAX_U64
    pools = (margin.cross, *margin.isolated.values())
    if not any(pool.debts for pool in pools):
        return max(0, amount)
    if price == 0:
        raise invalid("withdraw", Reason.INVALID_VALUE, "the price of the token is 0; give one above zero")
    free = max(0, margin.cross.free_collateral - 1)
    return free * WEIGHT // weight * PRICE // price * unit(decimals) // unit(QUOTE_DECIMALS)

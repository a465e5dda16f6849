"""What an account may spend or take out, by the identities of Deribit's account summary (deribit.md 4)."""


def equity_of(balance: float, *parts: float) -> float:
    """Equity: balance, session profit realised and unrealised, and option value (DERIBIT-SM-FUNDS-001)."""
    return balance + sum(parts)


def available_funds(margin_balance: float, initial: float) -> float:
    """Margin balance less initial margin (DERIBIT-SM-FUNDS-002); below zero: the call."""
    return margin_balance - initial


def withdrawable(balance: float, margin_balance: float, initial: float, locked: float = 0.0) -> float:
    """Cash that may leave: the lesser of balance and margin balance, less initial margin and what is locked, >= 0.

    DERIBIT-SM-FUNDS-003; spec CMS-6: a withdrawal never pushes equity under initial margin.
    """
    return max(min(balance, margin_balance) - initial - locked, 0.0)

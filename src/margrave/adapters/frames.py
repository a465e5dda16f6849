"""Positions from data frames of any kind that narwhals knows, and back into the kind that the caller names.

Columns of positions: ``account`` (optional), ``symbol``, ``quantity``, ``entry``, and optionally ``mode``,
``leverage``, ``isolated_margin``, ``leg``. A null is a field that was not given. Unknown columns are refused.
"""

from collections.abc import Iterable
from math import isnan
from typing import Any, Final

import narwhals as nw

from margrave.core.errors import InvalidInputError, Issue, Reason, invalid
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Leg, Position

NEEDED: Final = ("symbol", "quantity", "entry")
OPTIONAL: Final = ("account", "mode", "leverage", "isolated_margin", "leg")


def accounts_from_frame(frame: Any, where: str = "frame") -> tuple[Account, ...]:
    """Accounts with the positions of a frame, in the order in which they first appear.

    Parameters
    ----------
    frame : DataFrame
        Of pandas, polars, pyarrow or any other kind that narwhals reads.
    where : str
        Name of the frame in messages.

    Returns
    -------
    tuple of Account
        Without balances; rows without an account belong to ``account``.

    Raises
    ------
    InvalidInputError
        With every row that is wrong.
    """
    data = nw.from_native(frame, eager_only=True)
    _check_columns(data.columns, where)
    positions: dict[str, list[Position]] = {}
    issues: list[Issue] = []
    for k, row in enumerate(data.iter_rows(named=True)):
        given = {name: value for name, value in row.items() if not _is_null(name, value)}
        try:
            position = _position(given)
        except (KeyError, TypeError, ValueError) as fault:
            what = f"{fault.args[0]} is missing" if isinstance(fault, KeyError) else str(fault)
            issues.append(Issue(f"{where}: row {k}", Reason.INVALID_VALUE, f"{what}; correct it"))
            continue
        held = positions.setdefault(str(given.get("account", "account")), [])
        if any((p.symbol, p.leg, p.mode) == (position.symbol, position.leg, position.mode) for p in held):
            message = f"{position.symbol} is there twice in one account; net the rows, or use hedge legs"
            issues.append(Issue(f"{where}: row {k}", Reason.DUPLICATE, message))
        held.append(position)
    if issues:
        raise InvalidInputError(issues)
    return tuple(Account(name=name, positions=tuple(rows)) for name, rows in positions.items())


def _check_columns(columns: Iterable[str], where: str) -> None:
    known = (*NEEDED, *OPTIONAL)
    missing = [name for name in NEEDED if name not in columns]
    unknown = [name for name in columns if name not in known]
    if missing:
        raise invalid(where, Reason.MALFORMED, f"has no column {', '.join(missing)}; add it")
    if unknown:
        message = f"column {', '.join(unknown)} is not one of {', '.join(known)}; rename or drop it"
        raise invalid(where, Reason.UNKNOWN_FIELD, message)


def _is_null(name: str, value: Any) -> bool:
    # pandas writes an absent cell as NaN; a NaN quantity or entry is a fault and is kept as one.
    return value is None or (name in OPTIONAL and isinstance(value, float) and isnan(value))


def _position(row: dict[str, Any]) -> Position:
    leverage, margin = row.get("leverage"), row.get("isolated_margin")
    return Position(
        symbol=str(row["symbol"]),
        quantity=float(row["quantity"]),
        entry=float(row["entry"]),
        mode=MarginMode(row.get("mode", "cross")),
        leverage=None if leverage is None else float(leverage),
        isolated_margin=None if margin is None else float(margin),
        leg=Leg(row.get("leg", "net")),
    )


def positions_to_frame(accounts: Iterable[Account], backend: str = "pandas") -> Any:
    """Positions as a frame of the backend's kind, with the columns that `accounts_from_frame` reads."""
    rows = [(account.name, p) for account in accounts for p in account.positions]
    columns: dict[str, list[Any]] = {
        "account": [name for name, _ in rows],
        "symbol": [p.symbol for _, p in rows],
        "quantity": [p.quantity for _, p in rows],
        "entry": [p.entry for _, p in rows],
        "mode": [p.mode.value for _, p in rows],
        "leverage": [p.leverage for _, p in rows],
        "isolated_margin": [p.isolated_margin for _, p in rows],
        "leg": [p.leg.value for _, p in rows],
    }
    return nw.from_dict(columns, backend=backend).to_native()  # type: ignore[arg-type]


def balances_to_frame(accounts: Iterable[Account], backend: str = "pandas") -> Any:
    """Balances as a frame: ``account``, ``asset``, ``amount``, ``locked``."""
    rows: list[tuple[str, Balance]] = [(account.name, b) for account in accounts for b in account.balances]
    columns: dict[str, list[Any]] = {
        "account": [name for name, _ in rows],
        "asset": [b.asset for _, b in rows],
        "amount": [b.amount for _, b in rows],
        "locked": [b.locked for _, b in rows],
    }
    return nw.from_dict(columns, backend=backend).to_native()  # type: ignore[arg-type]

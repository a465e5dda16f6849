"""The answer of the one calculation: every pool of an account, with its positions and what is wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from html import escape
from typing import Any, Literal, final

import msgspec
import narwhals as nw

from margrave.core.errors import Issue
from margrave.margin.requirement import Requirement


class Status(StrEnum):
    """State of a pool, best first. Unknown is not healthy: something in the pool has no value."""

    HEALTHY = "healthy"
    CALL = "call"  # below initial margin
    LIQUIDATABLE = "liquidatable"  # below maintenance margin, or in a band in which the venue closes
    UNKNOWN = "unknown"


@final
class PositionAssessment(msgspec.Struct, frozen=True):
    """One position; money in its settlement asset."""

    symbol: str
    quantity: float
    entry: float
    mark: float
    currency: str
    profit: float
    value: float  # option value; zero for futures
    notional: float
    initial: float
    maintenance: float
    leverage: float | None


@final
class PoolAssessment(msgspec.Struct, frozen=True):
    """One unit of margin; money in its currency. NaN where the status is unknown."""

    name: str
    mode: str  # cross or isolated
    currency: str
    equity: float
    margin_balance: float
    initial: float  # with open orders
    maintenance: float
    order_margin: float
    status: Status
    positions: tuple[PositionAssessment, ...]
    issues: tuple[Issue, ...]
    band: str = ""  # the venue's name for where the ratio stands; empty where it has no bands
    liquidation_end: float | None = (
        None  # at which a liquidation that has begun ends; None where there is no such level
    )

    @property
    def ratio(self) -> float:
        """Maintenance over margin balance: 1 is liquidation. Infinite for a requirement without balance."""
        if self.maintenance == 0.0:
            return 0.0
        return (
            self.maintenance / self.margin_balance
            if self.margin_balance > 0
            else float("inf") * self.maintenance
        )

    @property
    def available(self) -> float:
        """Margin balance beyond the initial requirement; below zero it is the size of the call."""
        return self.margin_balance - self.initial

    @property
    def call(self) -> float:
        """What has to be paid in to reach initial margin, >= 0: one figure a pool (spec CMM-4)."""
        return max(0.0, -self.available)


@final
@dataclass(frozen=True, slots=True)
class Assessment:
    """Equity, requirement and status of every pool of one account."""

    account: str
    rulebook: str
    valid_from: datetime
    at: datetime
    pools: tuple[PoolAssessment, ...]
    notes: tuple[str, ...] = ()
    _explain: Callable[[str, int], Requirement] | None = field(default=None, repr=False, compare=False)

    @property
    def issues(self) -> tuple[Issue, ...]:
        """Everything that kept a pool from being valued."""
        return tuple(issue for pool in self.pools for issue in pool.issues)

    @property
    def status(self) -> Status:
        """Worst status of the pools; unknown is worst."""
        order = list(Status)
        return max((pool.status for pool in self.pools), key=order.index, default=Status.HEALTHY)

    def explain(self, level: str = "maintenance", pool: int = 0) -> Requirement:
        """Tree of a pool's requirement at a level: every factor, tier row, rule code and source."""
        if not 0 <= pool < len(self.pools):
            raise ValueError(f"pool is {pool}; this account has pools 0 to {len(self.pools) - 1}")
        assert self._explain is not None, "assess gives every assessment its explanation"
        return self._explain(level, pool)

    def to_dict(self) -> dict[str, Any]:
        """Plain types, ready for JSON; NaN becomes None."""
        pools = [{**msgspec.to_builtins(p), "ratio": p.ratio, "available": p.available} for p in self.pools]
        _drop_absent(pools)
        told: dict[str, Any] = {
            "account": self.account,
            "rulebook": self.rulebook,
            "valid_from": self.valid_from.isoformat(),
            "at": self.at.isoformat(),
            "status": str(self.status),
            "notes": list(self.notes),
            "pools": pools,
        }
        return {key: _plain(value) for key, value in told.items()}

    def to_json(self) -> bytes:
        """What `to_dict` tells, as JSON."""
        pools = [
            {**msgspec.structs.asdict(p), "ratio": _plain(p.ratio), "available": p.available}
            for p in self.pools
        ]
        _drop_absent(pools)
        told = {
            "account": self.account,
            "rulebook": self.rulebook,
            "valid_from": self.valid_from.isoformat(),
            "at": self.at.isoformat(),
            "status": self.status,
            "notes": self.notes,
            "pools": pools,
        }
        return msgspec.json.encode(told)

    def to_frame(self, backend: Literal["pandas", "polars", "pyarrow"] = "pandas") -> Any:
        """A native frame with a row a position: ``pandas``, ``polars`` or ``pyarrow``."""
        rows = [
            {"pool": pool.name, **msgspec.structs.asdict(p)} for pool in self.pools for p in pool.positions
        ]
        columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else {"pool": ""})}
        return nw.from_dict(columns, backend=backend).to_native()

    def _repr_html_(self) -> str:
        head = ("pool", "currency", "equity", "margin balance", "initial", "maintenance", "ratio", "status")
        rows = [
            (
                p.name,
                p.currency,
                *(f"{x:,.8g}" for x in (p.equity, p.margin_balance, p.initial, p.maintenance)),
                f"{p.ratio:.2%}",
                p.status,
            )
            for p in self.pools
        ]
        body = "".join("<tr>" + "".join(f"<td>{escape(str(c))}</td>" for c in row) + "</tr>" for row in rows)
        top = "".join(f"<th>{escape(name)}</th>" for name in head)
        caption = escape(f"{self.account} under {self.rulebook} of {self.valid_from:%Y-%m-%d}")
        return (
            f"<table><caption>{caption}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
        )


def _drop_absent(pools: list[dict[str, Any]]) -> None:
    for pool in pools:
        if pool["liquidation_end"] is None:  # few rulebooks know that level
            del pool["liquidation_end"]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None if value != value else str(value)
    return str(value) if isinstance(value, StrEnum) else value

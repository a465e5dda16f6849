"""Payloads of a venue, as they come, gathered into one case.

Several files or answers add up: positions, summaries, tickers and book summaries in any order. What a payload
leaves out (a mark, an index) is an error that names it; what it has beyond need is counted in a note.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

from margrave.adapters.files import Case
from margrave.core.errors import InvalidInputError, Issue, Reason, invalid
from margrave.domain.account import Account, Balance, Position
from margrave.domain.instruments import Instrument
from margrave.domain.market import Market, Quote


@final
@dataclass(slots=True)
class Gathered:
    """What payloads said so far."""

    positions: dict[str, Position] = field(default_factory=dict)
    balances: dict[str, Balance] = field(default_factory=dict)
    instruments: dict[str, Instrument] = field(default_factory=dict)
    quotes: dict[str, dict[str, float]] = field(default_factory=dict)
    index: dict[str, float] = field(default_factory=dict)
    settled: dict[str, float] = field(default_factory=dict)  # profit since entry that is cash already
    at: datetime | None = None
    rules: str | None = None
    expected: dict[str, float] = field(default_factory=dict)  # the venue's own numbers
    notes: list[str] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)

    def fault(self, where: str, reason: Reason, message: str) -> None:
        """Note what is wrong; all of it is raised together at the end."""
        self.issues.append(Issue(where, reason, message))

    def quote(self, symbol: str, **prices: Any) -> None:
        """Add prices of an instrument; later ones win."""
        held = self.quotes.setdefault(symbol, {})
        held |= {k: float(v) for k, v in prices.items() if v not in (None, "")}

    def seen(self, milliseconds: Any) -> None:
        """Move the market's instant to the latest that a payload names."""
        if milliseconds:
            at = datetime.fromtimestamp(float(milliseconds) / 1000.0, tz=UTC)
            self.at = at if self.at is None else max(self.at, at)


def number(tree: dict[str, Any], name: str, where: str) -> float:
    """A number of a payload, which may stand as text."""
    value = tree.get(name)
    if value in (None, ""):
        raise invalid(
            f"{where}.{name}",
            Reason.INVALID_VALUE,
            "is missing; the payload is not of the form that was expected",
        )
    try:
        return float(value)
    except (TypeError, ValueError) as fault:
        raise invalid(
            f"{where}.{name}", Reason.INVALID_VALUE, f"is {value!r}; it must be a number"
        ) from fault


def read_json(path: Path) -> Any:
    """A payload from a file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise invalid(str(path), Reason.NOT_FOUND, f"cannot be read ({fault}); check the name") from fault
    except ValueError as fault:
        raise invalid(
            str(path), Reason.MALFORMED, f"is not JSON ({fault}); save the venue's answer as it came"
        ) from fault


def case_of(gathered: Gathered, at: datetime | None = None) -> Case:
    """One case from what payloads said.

    Raises
    ------
    InvalidInputError
        With everything that was wrong or is missing.
    """
    for symbol in dict.fromkeys(p.symbol for p in gathered.positions.values()):
        if "mark" not in gathered.quotes.get(symbol, {}):
            gathered.fault(
                symbol, Reason.MISSING_MARK, "has no mark in any payload; add its ticker or book summary"
            )
    at = at or gathered.at
    if at is None:
        gathered.fault(
            "payloads", Reason.INVALID_VALUE, "name no instant; give one with a ticker, or as --at"
        )
    if gathered.issues:
        raise InvalidInputError(gathered.issues)
    assert at is not None
    kept = {s: q for s, q in gathered.quotes.items() if "mark" in q and s in gathered.instruments}
    try:
        quotes = {s: _quote(q) for s, q in kept.items()}
        instruments = {s: i for s, i in gathered.instruments.items() if s in quotes}
        market = Market(at=at, instruments=instruments, quotes=quotes, index=gathered.index)
    except ValueError as fault:
        raise invalid(
            "payloads", Reason.INVALID_VALUE, f"{fault}; the payload holds a number that cannot be used"
        ) from fault
    # Profit from the entry that daily settlement has paid out is in the wallet: counted once, with the position.
    wallet = (
        replace(b, amount=b.amount - gathered.settled.get(asset, 0.0))
        for asset, b in gathered.balances.items()
    )
    account = Account(
        name="imported",
        balances=tuple(wallet),
        positions=tuple(gathered.positions.values()),
    )
    return Case((account,), market, gathered.rules, None, "imported from a venue's payloads")


def _quote(prices: dict[str, float]) -> Quote:
    return Quote(
        mark=prices["mark"],
        index=prices.get("index"),
        forward=prices.get("forward"),
        vol=prices.get("vol"),
        settlement=prices.get("settlement"),
    )


def import_files(venue: str, paths: Iterable[Path], rules: str | None = None) -> tuple[Case, tuple[str, ...]]:
    """A case from payload files.

    Parameters
    ----------
    venue : str
        ``deribit`` or ``coinbase`` (the same payloads), or ``ccxt:EXCHANGE``.
    paths : iterable of Path
        Files, in any order.
    rules : str, optional
        Rulebook that the case is to name; by default the one that the payloads tell.

    Returns
    -------
    case, notes : Case, tuple of str
        What was read, and what was left aside.
    """
    from margrave.adapters import ccxt, deribit

    readers: dict[str, Callable[[Any, str, Gathered], None]] = {
        "deribit": deribit.gather,
        "coinbase": deribit.gather,
    }
    gathered = Gathered()
    name, _, exchange = venue.partition(":")
    for path in paths:
        tree = read_json(path)
        if name == "ccxt":
            ccxt.gather(tree, str(path), gathered, exchange)
        elif name in readers:
            readers[name](tree, str(path), gathered)
        else:
            raise invalid(
                venue,
                Reason.NOT_FOUND,
                "is no venue that can be imported; there are deribit, coinbase and ccxt:EXCHANGE",
            )
    case = case_of(gathered)
    return replace(case, rules=rules or case.rules), tuple(gathered.notes)

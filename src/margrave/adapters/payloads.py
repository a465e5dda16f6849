"""Payloads of a venue, as they come, gathered into one case.

Several files or answers add up: positions, summaries, tickers and book summaries in any order. What a payload
leaves out (a mark, an index) is an error that names it; what it has beyond need is told in a note, and is an
error on demand.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, final

from margrave.adapters.claims import Claims
from margrave.adapters.files import Case
from margrave.adapters.gathered import Gathered, Venue, gather
from margrave.adapters.rows import read_json
from margrave.core.errors import InvalidInputError, Reason, invalid
from margrave.domain.account import Account, Balance
from margrave.domain.instruments import Instrument
from margrave.domain.market import Market, Quote

_FLAT_MAX: Final = 3


@final
@dataclass(frozen=True, slots=True)
class Imported:
    """What payloads came to: a case, the venue's own numbers, and what was left aside."""

    venue: str
    case: Case
    claims: Claims
    notes: tuple[str, ...]


def case_of(gathered: Gathered, at: datetime | None = None) -> Case:
    """One case from what payloads said.

    Raises
    ------
    InvalidInputError
        With everything that was wrong or is missing.
    """
    wanted = [p.symbol for p in gathered.positions.values()] + [o.symbol for o in gathered.orders]
    for symbol in dict.fromkeys(wanted):
        if symbol not in gathered.instruments:
            gathered.fault(
                symbol,
                Reason.UNKNOWN_INSTRUMENT,
                "has no terms in any payload; add the venue's list of instruments",
            )
        elif "mark" not in gathered.quotes.get(symbol, {}):
            gathered.fault(
                symbol, Reason.MISSING_MARK, "has no mark in any payload; add its ticker or book summary"
            )
    gathered.issues.extend(
        issue for key, (_, issue) in gathered.pending.items() if key not in gathered.positions
    )
    at = at or gathered.at
    if at is None:
        gathered.fault(
            "payloads", Reason.INVALID_VALUE, "name no instant; give one with a ticker, or as --at"
        )
    if gathered.issues:
        raise InvalidInputError(gathered.issues)
    assert at is not None
    near = _near(gathered, wanted)
    kept = {s: q for s, q in gathered.quotes.items() if "mark" in q and s in near}
    try:
        quotes = {s: _quote(q) for s, q in kept.items()}
        instruments = {s: i for s, i in near.items() if s in quotes}
        market = Market(at=at, instruments=instruments, quotes=quotes, index=gathered.index)
        account = Account(
            name="imported",
            balances=_wallets(gathered),
            positions=tuple(gathered.positions.values()),
            orders=tuple(gathered.orders),
        )
    except ValueError as fault:
        raise invalid(
            "payloads", Reason.INVALID_VALUE, f"{fault}; the payload holds a number that cannot be used"
        ) from fault
    return Case((account,), market, gathered.rules, None, "imported from a venue's payloads")


def _wallets(gathered: Gathered) -> tuple[Balance, ...]:
    # What a venue has in the wallet that stands with the position here (profit paid out, isolated margin): once.
    for asset in sorted(gathered.wallets & gathered.settled.keys() - gathered.balances.keys()):
        gathered.balances[asset] = Balance(asset=asset, amount=0.0)
    return tuple(
        replace(b, amount=b.amount - gathered.settled.get(asset, 0.0))
        for asset, b in gathered.balances.items()
    )


def _near(gathered: Gathered, wanted: Sequence[str]) -> dict[str, Instrument]:
    # A venue's whole list is hundreds of instruments: those on the underlyings that the account holds serve a what-if.
    held = {gathered.instruments[s].base for s in wanted if s in gathered.instruments} | set(
        gathered.balances
    )
    near = {s: i for s, i in gathered.instruments.items() if i.base in held or not held}
    if aside := len(gathered.instruments) - len(near):
        gathered.notes.append(f"instruments on other underlyings, left out: {aside}")
    return near


def _quote(prices: dict[str, float]) -> Quote:
    return Quote(
        mark=prices["mark"],
        index=prices.get("index"),
        forward=prices.get("forward"),
        vol=prices.get("vol"),
        settlement=prices.get("settlement"),
    )


def venues() -> Mapping[str, Venue]:
    """The venues whose raw payloads are read, by name."""
    from margrave.adapters import binance, bybit, deribit, derive, dydx, gate, hyperliquid, okx

    found = (v.VENUE for v in (binance, bybit, okx, gate, hyperliquid, derive, dydx, deribit))
    return MappingProxyType({venue.name: venue for venue in found} | {"coinbase": deribit.VENUE})


def recognise(tree: Any, where: str) -> str:
    """Name of the venue that a payload is of.

    Raises
    ------
    InvalidInputError
        The payload is of no venue that is read.
    """
    named = next((name for name, venue in venues().items() if venue.recognises(tree)), None)
    if named is None:
        raise invalid(
            where,
            Reason.UNKNOWN_FIELD,
            f"is of none of the venues that are read: {', '.join(venues())}; name its venue",
        )
    return named


def import_payloads(
    venue: str | None,
    payloads: Sequence[tuple[Any, str]],
    rules: str | None = None,
    at: datetime | None = None,
    strict: bool = False,
) -> Imported:
    """A case and the venue's claims from payloads.

    Parameters
    ----------
    venue : str, optional
        Name of a venue (`venues`), or ``ccxt:EXCHANGE``; by default the one that the payloads are recognised as.
    payloads : sequence of (tree, str)
        JSON as Python objects, each with its place for messages, in any order.
    rules : str, optional
        Rulebook that the case is to name; by default the one that the payloads tell.
    at : datetime, optional
        Instant of the market; by default the latest that a payload names.
    strict : bool
        Whether a field or an object that is not known is an error instead of a note.

    Raises
    ------
    InvalidInputError
        With everything that is wrong or missing.
    """
    gathered = Gathered()
    name = venue or _recognise_all(payloads)
    kind, _, exchange = name.partition(":")
    if kind == "ccxt":
        from margrave.adapters import ccxt

        for tree, where in payloads:
            ccxt.gather(tree, where, gathered, exchange)
    elif name in venues():
        gather(venues()[name], payloads, gathered)
    else:
        known = ", ".join(venues())
        raise invalid(
            name, Reason.NOT_FOUND, f"is no venue that can be imported; there are {known} and ccxt:EXCHANGE"
        )
    _tell_unread(gathered, strict)
    case = case_of(gathered, at)
    case = replace(case, rules=rules or case.rules)
    return Imported(name, case, MappingProxyType(gathered.claims), _notes(gathered.notes))


def _notes(notes: Sequence[str]) -> tuple[str, ...]:
    # Accounts list every instrument of the venue, nearly all of them flat: many are one note.
    flat = [note for note in dict.fromkeys(notes) if note.endswith(": flat, left out")]
    if len(flat) <= _FLAT_MAX:
        return tuple(dict.fromkeys(notes))
    others = [note for note in dict.fromkeys(notes) if note not in flat]
    return (*others, f"flat positions, left out: {len(flat)}")


def _recognise_all(payloads: Sequence[tuple[Any, str]]) -> str:
    named = {recognise(tree, where): where for tree, where in payloads if tree not in ([], {})}
    if len(named) > 1:
        told = ", ".join(f"{where} is of {name}" for name, where in named.items())
        raise invalid("payloads", Reason.CONTRADICTION, f"{told}; import one venue at a time")
    if not named:
        raise invalid("payloads", Reason.NOT_FOUND, "hold nothing; save the venue's answers as they came")
    return next(iter(named))


def _tell_unread(gathered: Gathered, strict: bool) -> None:
    for title, names in gathered.unread.items():
        told = ", ".join(sorted(names))
        if strict:
            gathered.fault(
                title, Reason.UNKNOWN_FIELD, f"fields that are not known: {told}; import without --strict"
            )
        else:
            gathered.notes.append(f"{title}: fields that are not known are left aside: {told}")


def import_files(venue: str, paths: Iterable[Path], rules: str | None = None) -> tuple[Case, tuple[str, ...]]:
    """A case from payload files of a venue, and notes on what was left aside; see `import_payloads`."""
    found = import_payloads(venue, [(read_json(path), str(path)) for path in paths], rules)
    return found.case, found.notes

"""What payloads said so far, and how the payloads of a venue are recognised and read.

A venue is a list of shapes, in the order in which they must be read (terms and prices before positions). A shape
is told by the fields that it alone has; reading one adds to `Gathered`. What fits no shape, and fields that no
shape reads, are noted.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, final

from margrave.adapters.claims import Claim, Output, digits_of
from margrave.adapters.forms import VOL_PLAUSIBLE
from margrave.adapters.rows import EMPTY, Row
from margrave.core.errors import InvalidInputError, Issue, Reason, invalid
from margrave.core.words import MarginMode
from margrave.domain.account import Balance, Leg, Order, Position
from margrave.domain.instruments import Instrument

_MARKS_APART = 1e-3  # relative: two payloads whose marks differ by more are not of one instant
_YEARS = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@final
@dataclass(slots=True)
class Gathered:
    """What payloads said so far."""

    positions: dict[str, Position] = field(default_factory=dict)
    balances: dict[str, Balance] = field(default_factory=dict)
    wallets: set[str] = field(default_factory=set)  # assets of which the wallet was told, even empty
    orders: list[Order] = field(default_factory=list)
    instruments: dict[str, Instrument] = field(default_factory=dict)
    quotes: dict[str, dict[str, float]] = field(default_factory=dict)
    index: dict[str, float] = field(default_factory=dict)
    settled: dict[str, float] = field(default_factory=dict)  # profit since entry that is cash already
    leverage: dict[str, float] = field(default_factory=dict)  # the holder's choice, told apart from positions
    mode: dict[str, MarginMode] = field(default_factory=dict)  # likewise; "" for the whole account
    sources: dict[str, str] = field(default_factory=dict)  # position -> title of the payload it came from
    at: datetime | None = None
    rules: str | None = None
    claims: dict[Claim, Output | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    unlisted: set[str] = field(default_factory=set)  # instruments of a list whose terms are not known
    # Position told without its entry -> its quantity, and what it needs.
    pending: dict[str, tuple[float, Issue]] = field(default_factory=dict)
    unread: dict[str, set[str]] = field(default_factory=dict)  # title of a payload -> fields not known

    def fault(self, where: str, reason: Reason, message: str) -> None:
        """Note what is wrong; all of it is raised together at the end."""
        self.issues.append(Issue(where, reason, message))

    def quote(self, symbol: str, **prices: Any) -> None:
        """Add prices of an instrument; later ones win."""
        held = self.quotes.setdefault(symbol, {})
        told = {k: float(v) for k, v in prices.items() if v not in EMPTY}
        if told.get("vol", 0.0) > VOL_PLAUSIBLE:
            self.notes.append(
                f"{symbol}: a vol of {told.pop('vol'):.0%} a year is left out; add the right one"
            )
        here, there = told.get("mark"), held.get("mark")
        if here and there and abs(here - there) > _MARKS_APART * there:
            self.notes.append(
                f"{symbol}: marks {there:.12g} and {here:.12g}, the latter is used; give answers of one instant"
            )
        held |= told

    def seen(self, milliseconds: Any) -> None:
        """Move the market's instant to the latest that a payload names."""
        if milliseconds in (None, "", 0, "0"):
            return
        try:
            at = datetime.fromtimestamp(float(milliseconds) / 1000.0, tz=UTC)
        except (TypeError, ValueError, OverflowError, OSError) as fault:
            raise invalid(
                "time", Reason.INVALID_VALUE, f"{milliseconds!r} is no instant ({fault})"
            ) from fault
        if not _YEARS[0] <= at <= _YEARS[1]:
            raise invalid(
                "time", Reason.WRONG_UNIT, f"{milliseconds!r} is {at:%Y}; instants are in milliseconds"
            )
        self.at = at if self.at is None else max(self.at, at)

    def claim(self, row: Row, name: str, output: Output | None, unit: str, least: int = 0) -> None:
        """Keep a number of the venue's; an absent or empty field is no claim."""
        amount = row.optional(name)
        if amount is not None:
            digits = digits_of(row.raw(name), least)
            self.claims[Claim(row.where, name, amount, unit, digits)] = output

    def claim_price(self, row: Row, name: str, output: Output, unit: str, left_open: float = 0.0) -> None:
        """Keep a liquidation price; zero, null or nothing in a field that is there says that there is none."""
        amount = row.chosen(name)
        if name in row.fields:
            digits = 0 if amount is None else digits_of(row.raw(name))
            self.claims[Claim(row.where, name, amount, unit, digits, left_open)] = output

    def claim_each(self, row: Row, outputs: Mapping[str, Output | None], unit: str, least: int) -> None:
        """Keep several numbers of one unit; see `claim`."""
        for name, output in outputs.items():
            self.claim(row, name, output, unit, least)

    def leave_out(self, row: Row, note: str) -> None:
        """Leave a row out on purpose, and say so."""
        row.skip()
        self.notes.append(note)

    def know(self, row: Row, symbol: str, terms: Callable[[], Instrument]) -> Instrument | None:
        """Terms of an instrument of a list; one that cannot be read is left out, and is an error where it is held."""
        if symbol not in self.instruments:
            try:
                self.instruments[symbol] = terms()
            except InvalidInputError:
                row.skip()
                self.unlisted.add(symbol)
                return None
        return self.instruments[symbol]

    def require(self, symbol: str, terms: Callable[[], Instrument]) -> Instrument:
        """Terms of an instrument that is held or ordered; an error where they cannot be read."""
        if symbol not in self.instruments:
            self.instruments[symbol] = terms()
        return self.instruments[symbol]

    def listed(self, row: Row, symbol: str, what: str) -> Instrument:
        """Terms that only the venue's list of instruments tells."""
        if symbol not in self.instruments:
            raise invalid(
                row.where, Reason.UNKNOWN_INSTRUMENT, f"the terms of {symbol} are not in its name; add {what}"
            )
        return self.instruments[symbol]

    def ruled(self, row: Row, rules: str) -> None:
        """Name the rulebook that a position falls under; one account has one."""
        if self.rules not in (None, rules):
            self.fault(
                row.where,
                Reason.CONTRADICTION,
                f"belongs to {rules}, other positions to {self.rules}: these are two accounts; import them apart",
            )
        self.rules = rules

    def position(self, row: Row, position: Position, source: str) -> None:
        """Add a position; another kind of payload may tell it again if it tells the same."""
        key = key_of(position)
        if position.quantity == 0:
            self.notes.append(f"{key}: flat, left out")
            return
        held = self.positions.get(key)
        told = self.pending.get(key, (position.quantity,))[0]
        if told != position.quantity:
            self._contradicts(row, key, position.quantity, told, "another answer")
        elif held is None:
            self.positions[key] = position
        elif self.sources.get(key) == source:
            self.fault(row.where, Reason.DUPLICATE, f"{key} is there twice; give one answer for each")
        elif held.quantity != position.quantity:
            self._contradicts(row, key, position.quantity, held.quantity, self.sources.get(key, ""))
        else:
            margin = held.isolated_margin if position.isolated_margin is None else position.isolated_margin
            self.positions[key] = replace(
                position, leverage=position.leverage or held.leverage, isolated_margin=margin
            )
        self.sources[key] = source

    def _contradicts(self, row: Row, key: str, here: float, there: float, source: str) -> None:
        self.fault(
            row.where,
            Reason.CONTRADICTION,
            f"{key} is {here:g} here and {there:g} in {source}; give answers of one instant",
        )

    def balance(self, row: Row, asset: str, amount: float, locked: float = 0.0) -> None:
        """Add what the wallet holds of an asset; empty wallets are left out."""
        self.wallets.add(asset)
        held = self.balances.get(asset)
        if held is not None and held.amount != amount:
            self.fault(
                row.where,
                Reason.CONTRADICTION,
                f"{asset} is {amount:.12g} here and {held.amount:.12g} in another payload; give answers of one instant",
            )
        elif amount != 0.0 or locked != 0.0:
            self.balances[asset] = Balance(asset=asset, amount=amount, locked=locked)


def key_of(position: Position) -> str:
    """Name of a position within its account: instrument, leg and mode where they are not the plain ones."""
    leg = "" if position.leg is Leg.NET else f" {position.leg}"
    return f"{position.symbol}{leg}{' isolated' if position.mode is MarginMode.ISOLATED else ''}"


Reader = Callable[[Row, Gathered], None]


@final
@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of object in a venue's payloads."""

    title: str  # the venue's name of the answer
    needs: frozenset[str]  # fields by which it is told
    read: Reader
    aside: frozenset[str] = (
        frozenset()
    )  # documented fields that say nothing of margin, or repeat what is read
    lacks: frozenset[str] = frozenset()  # fields of another shape, which it never has
    tells: bool = True  # whether it tells its venue: envelopes look alike

    def fits(self, fields: Mapping[str, Any]) -> bool:
        """Whether an object is of this shape."""
        return self.needs <= fields.keys() and not self.lacks & fields.keys()


@final
@dataclass(frozen=True, slots=True)
class Venue:
    """How the payloads of a venue are taken apart and read."""

    name: str
    rows: Callable[[Any], Iterator[dict[str, Any]]]
    shapes: tuple[Shape, ...]  # in the order of reading
    refusal: Callable[[Any], str | None] = lambda tree: None  # what an answer says that is an error

    def recognises(self, tree: Any) -> bool:
        """Whether a payload has an object of one of the venue's shapes."""
        return any(shape.tells and shape.fits(row) for row in self.rows(tree) for shape in self.shapes)


def words(text: str) -> frozenset[str]:
    """Names of fields, written with spaces between them."""
    return frozenset(text.split())


def objects(tree: Any, *envelopes: str) -> Iterator[dict[str, Any]]:
    """Every object of a list, or inside the envelopes named, or the object itself."""
    if isinstance(tree, list):
        for item in tree:
            yield from objects(item, *envelopes)
    elif isinstance(tree, dict):
        inside = [tree[name] for name in envelopes if isinstance(tree.get(name), dict | list)]
        if inside:
            for item in inside:
                yield from objects(item, *envelopes)
        else:
            yield tree


_NAMES = (
    "instrument_name",
    "symbol",
    "instId",
    "contract",
    "coin",
    "market",
    "ticker",
    "asset",
    "ccy",
    "currency",
)


_LEGS = ("positionSide", "posSide", "positionIdx", "mode", "mgnMode")
_PLAIN = ("BOTH", "net", "single", "cross", "0")


def _named(fields: Mapping[str, Any], where: str) -> str:
    # Legs and modes of one instrument are told apart, or the same number of two of them would be one claim.
    name = next((fields[n] for n in _NAMES if isinstance(fields.get(n), str) and fields[n]), None)
    legs = (str(fields[n]) for n in _LEGS if isinstance(fields.get(n), str | int))
    return where if name is None else " ".join([f"{where}: {name}", *(w for w in legs if w not in _PLAIN)])


def gather(venue: Venue, payloads: Sequence[tuple[Any, str]], gathered: Gathered) -> None:
    """Add payloads of one venue, given with their places, to what was gathered."""
    sorted_rows: list[list[Row]] = [[] for _ in venue.shapes]
    for tree, where in payloads:
        refusal = venue.refusal(tree)
        if refusal is not None:
            gathered.fault(
                where, Reason.INVALID_VALUE, f"is an error of {venue.name} ({refusal}); save an answer"
            )
            continue
        found = 0
        for fields in venue.rows(tree):
            found += 1
            rank = next((k for k, shape in enumerate(venue.shapes) if shape.fits(fields)), None)
            if rank is None:
                gathered.unread.setdefault(f"{where}: not a payload that is read", set()).update(fields)
            else:
                sorted_rows[rank].append(Row(fields, _named(fields, where)))
        if not found and tree not in ([], {}):
            gathered.notes.append(f"{where}: holds no object that is read")
    for shape, rows in zip(venue.shapes, sorted_rows, strict=True):
        for row in rows:
            _read(venue, shape, row, gathered)


def _read(venue: Venue, shape: Shape, row: Row, gathered: Gathered) -> None:
    try:
        shape.read(row, gathered)
    except InvalidInputError as fault:
        gathered.issues.extend(fault.issues)
        return
    except (ValueError, ArithmeticError) as fault:
        gathered.fault(
            row.where, Reason.INVALID_VALUE, f"{fault}; the payload holds a number that cannot be used"
        )
        return
    except (TypeError, AttributeError, LookupError) as fault:
        # A list where a word is documented, a word where an object is: the row is of no use.
        gathered.fault(
            row.where,
            Reason.MALFORMED,
            f"holds a field of another type than documented ({fault}); save it again",
        )
        return
    if unread := row.unread(shape.aside):
        gathered.unread.setdefault(f"{venue.name} {shape.title}", set()).update(unread)

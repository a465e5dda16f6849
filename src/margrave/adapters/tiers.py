"""Tables of tiers, as venues and other projects publish them, into a rulebook: every symbol a ladder.

A table says what is printed; the rules around it (basis, leverage, closing fee, tier unit) are those of a base
rulebook. Where a table contradicts itself the finding names file and row: printed deductions that make the
margin jump are left out and computed; a symbol whose tiers are no ladder is left out and stands under gaps.
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import final

import msgspec

from margrave.core.errors import Issue, Reason, invalid
from margrave.rulebook.ladders import Ladder, Progressive, Tier, WholePosition, initial_rate
from margrave.rulebook.load import checked
from margrave.rulebook.schema import Gap, LadderModel, Match, Product, Rulebook, Source

COLUMNS = {
    "symbol": ("symbol", "instrument", "pair", "contract"),
    "effective": ("effective",),
    "settle": ("settle",),
    "floor": ("floor", "floor_btc", "from_contracts"),
    "cap": ("cap", "cap_btc", "to_contracts", "risk_limit", "max_contracts"),
    "maintenance": ("mmr", "mm"),
    "initial": ("im", "min_imr"),
    "leverage": ("max_leverage", "max_leverage_inferred", "leverage"),
    "deduction": ("cum", "cum_computed", "cum_btc_computed", "mm_deduction"),
}
"""Our word, and the headings that mean it."""

_SLACK = 1e-6  # deductions are printed to a few digits
_STEPS_MAX = 400
_DATED = re.compile(r"[_-]\d{6}$")


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: what is printed, and where."""

    line: int
    symbol: str
    effective: str
    settle: str
    floor: float | None
    cap: float | None  # None: no end
    maintenance: float
    initial: float | None
    leverage: float | None
    deduction: float | None
    repeats: bool  # "+": every further step of this width adds these rates


@final
@dataclass(frozen=True, slots=True)
class Imported:
    """A rulebook from a table, and what is wrong with the table."""

    rulebook: Rulebook
    findings: tuple[Issue, ...]


def rows_of(text: str, where: str) -> list[Row]:
    """Rows of a table.

    Parameters
    ----------
    text : str
        Content of the file: CSV whose first line has the headings (see ``COLUMNS``), or the JSON that ccxt's
        ``fetch_leverage_tiers`` gives; its rows are counted from 1.
    where : str
        Name of the file, for messages.

    Raises
    ------
    InvalidInputError
        A heading that is needed is missing, or a cell is no number.
    """
    if text.lstrip().startswith("{"):
        return [_row(k, cells, where) for k, cells in enumerate(_leverage_tiers(text, where), 1)]
    reader = csv.DictReader(io.StringIO(text))
    found = {
        word: next((h for h in headings if h in (reader.fieldnames or ())), None)
        for word, headings in COLUMNS.items()
    }
    if not found["symbol"] or not found["maintenance"] or not (found["floor"] or found["cap"]):
        raise invalid(
            where,
            Reason.MALFORMED,
            "has no columns of tiers; needed are a symbol, a maintenance rate, and a floor or a cap: "
            + "; ".join(f"{w}: {', '.join(h)}" for w, h in COLUMNS.items()),
        )
    rows = [
        _row(reader.line_num, {w: (cells.get(h) or "").strip() if h else "" for w, h in found.items()}, where)
        for cells in reader
    ]
    if not rows:
        raise invalid(where, Reason.MALFORMED, "has headings and no rows; give the whole table")
    return rows


def _leverage_tiers(text: str, where: str) -> Iterator[dict[str, str]]:
    try:
        listed = json.loads(text)
        tiers = [(symbol, tier, tier.get("info") or {}) for symbol, held in listed.items() for tier in held]
    except (ValueError, AttributeError, TypeError) as fault:
        told = f"is not ccxt's leverage tiers ({fault}); give symbols, each with a list of tiers"
        raise invalid(where, Reason.MALFORMED, told) from fault
    if not tiers:
        raise invalid(where, Reason.MALFORMED, "holds no tiers; give the whole answer")
    for symbol, tier, info in tiers:
        cells = {
            "symbol": symbol,
            "settle": symbol.partition(":")[2].partition("-")[0],
            "floor": tier.get("minNotional"),
            "cap": tier.get("maxNotional"),
            "maintenance": tier.get("maintenanceMarginRate"),
            "leverage": tier.get("maxLeverage"),
            "deduction": info.get("cum") if isinstance(info, dict) else None,
        }
        yield {word: "" if cells.get(word) is None else str(cells[word]) for word in COLUMNS}


def _row(line: int, cell: dict[str, str], where: str) -> Row:
    def number(word: str) -> float | None:
        if not cell[word]:
            return None
        try:
            value = float(cell[word])
        except ValueError:
            value = float("nan")
        if not 0.0 <= value < float("inf"):
            raise invalid(
                f"{where}:{line} {cell['symbol']}",
                Reason.INVALID_VALUE,
                f"{word} is {cell[word]!r}; write a number of zero or more",
            )
        return value

    maintenance = number("maintenance")
    if maintenance is None:
        raise invalid(
            f"{where}:{line} {cell['symbol']}",
            Reason.INVALID_VALUE,
            "has no maintenance rate; every tier has one",
        )
    return Row(
        line,
        cell["symbol"],
        cell["effective"],
        cell["settle"],
        number("floor"),
        number("cap"),
        maintenance,
        number("initial"),
        number("leverage"),
        number("deduction"),
        cell["maintenance"].startswith("+"),
    )


def import_tiers(text: str, where: str, base: Rulebook, day: date | None = None) -> Imported:
    """A rulebook of every symbol of a table.

    Parameters
    ----------
    text : str
        The table, as `rows_of` reads it.
    where : str
        Name of the file, for messages and sources.
    base : Rulebook
        Rules around the tiers: form and unit of the ladders, price basis, leverage rule, fees, account rules.
    day : date, optional
        Of a table with several dates, the last on or before this day holds; by default the last of all.

    Returns
    -------
    Imported
        The rulebook, checked, and the findings: contradictions by file, row and symbol.

    Raises
    ------
    InvalidInputError
        The table cannot be read, no symbol of it is a ladder, or the base has no ladder to go by.
    """
    templates = [p for p in base.products if isinstance(p.model, LadderModel)]
    if not templates:
        raise invalid(base.id, Reason.UNSUPPORTED, "has no ladder; choose a base rulebook of futures")
    prefix = f"{base.id.upper().replace('.', '-')}-TABLE"
    ladders: dict[str, Ladder] = {}
    products, findings, gaps = [], list[Issue](), list[Gap]()
    for symbol, rows in _by_symbol(rows_of(text, where), day).items():
        template = _template(symbol, templates)
        pattern = base.ladders[template.model.ladder]  # type: ignore[union-attr]
        code = f"{prefix}-{len(ladders) + 1:03d}"
        faults = list(_faults(rows, where))
        findings += faults
        ladder = (
            None if any(f.reason is Reason.NOT_MONOTONE for f in faults) else _ladder(pattern, rows, code)
        )
        if ladder is None:
            gaps.append(Gap(code=f"{prefix}-GAP-{len(gaps) + 1:03d}", what=f"{symbol}: {faults[0].message}"))
            continue
        ladders[symbol] = ladder
        model = msgspec.structs.replace(template.model, ladder=symbol)
        products.append(Product(name=symbol, match=_match(symbol, rows[0].settle, template), model=model))
    if not ladders:
        raise invalid(where, Reason.CONTRADICTION, f"no symbol has tiers that rise: {findings[0]}")
    name = where.rsplit("/", 1)[-1]
    rulebook = msgspec.structs.replace(
        base,
        id=f"{base.id}-table",
        title=f"{base.title}: tiers of {name}",
        ladders=ladders,
        products=tuple(products),
        sources=(*base.sources, Source(id="table", url=name, note="tiers as this file has them")),
        gaps=(*base.gaps, *gaps),
    )
    return Imported(checked(rulebook, where), tuple(findings))


def _by_symbol(rows: list[Row], day: date | None) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        if day is None or not row.effective or row.effective <= day.isoformat():
            grouped.setdefault(row.symbol, []).append(row)
    return {s: [r for r in g if r.effective == max(x.effective for x in g)] for s, g in grouped.items()}


def _template(symbol: str, templates: list[Product]) -> Product:
    kind = "future" if _DATED.search(symbol) else "perpetual"
    exact = [p for p in templates if symbol in p.match.symbols or symbol == p.model.ladder]  # type: ignore[union-attr]
    fits = [p for p in templates if kind in p.match.kinds or not p.match.kinds]
    return (exact or fits or templates)[0]


def _match(symbol: str, settle: str, template: Product) -> Match:
    pattern = template.match
    if _DATED.search(symbol):
        return Match(kinds=("future",), symbols=(symbol,))
    ends = (
        settle,
        *pattern.settlements,
        *pattern.quotes,
        *(("USD",) if "inverse" in pattern.payoffs else ()),
    )
    end = next((e for e in ends if e and symbol.endswith(e) and symbol != e), None)
    if pattern.symbols or end is None:
        return Match(symbols=(symbol,))
    asset = symbol.partition("/")[0] if "/" in symbol else symbol.removesuffix(end).rstrip("-_")
    settled = (end,) if pattern.settlements else ()
    return msgspec.structs.replace(pattern, bases=(asset,), settlements=settled)


def _floors(rows: list[Row]) -> Iterator[float]:
    below = 0.0
    for row in rows:
        yield below if row.floor is None else row.floor
        below = below if row.cap is None else row.cap


def _faults(rows: list[Row], where: str) -> Iterator[Issue]:
    printed = [r for r in rows if not r.repeats]
    floors = list(_floors(printed))
    if floors and floors[0] != 0.0:
        yield _issue(
            where, printed[0], Reason.NOT_MONOTONE, f"the first tier starts at {floors[0]:g}, not at zero"
        )
    for (below, low), (row, floor) in pairwise(zip(printed, floors, strict=True)):
        yield from (_issue(where, row, Reason.NOT_MONOTONE, told) for told in _falls(below, low, row, floor))
        yield from (_issue(where, row, Reason.CONTRADICTION, told) for told in _jumps(below, row, floor))
    for row, floor in zip(printed, floors, strict=True):
        initial = initial_rate(_tier(row, floor))
        if initial and row.maintenance > initial * (1 + 1e-9):
            told = f"maintenance {row.maintenance:g} is above initial {initial:g}"
            yield _issue(where, row, Reason.NOT_MONOTONE, told)


def _falls(below: Row, low: float, row: Row, floor: float) -> Iterator[str]:
    # What keeps two neighbours from being tiers of one ladder.
    if floor <= low:
        yield f"floor {floor:g} is not above {low:g}, the floor before it"
    if row.maintenance < below.maintenance:
        yield f"maintenance {row.maintenance:g} is below {below.maintenance:g}, the rate of the smaller tier"
    if 0 < initial_rate(_tier(row, floor)) < initial_rate(_tier(below, low)):
        yield "the initial rate is below that of the smaller tier"


def _jumps(below: Row, row: Row, floor: float) -> Iterator[str]:
    # What two neighbours print of the same edge and do not agree on.
    if below.cap is not None and below.cap != floor:
        yield f"floor {floor:g} is not {below.cap:g}, where the tier before it ends"
    if row.deduction is not None and below.deduction is not None:
        jump = row.deduction - below.deduction - floor * (row.maintenance - below.maintenance)
        if abs(jump) > _SLACK * max(1.0, row.deduction):
            yield (
                f"deduction {row.deduction:g} makes the margin jump by {-jump:g} at {floor:g}; "
                "it is computed instead"
            )


def _issue(where: str, row: Row, reason: Reason, text: str) -> Issue:
    return Issue(f"{where}:{row.line} {row.symbol}", reason, text)


def _tier(row: Row, floor: float) -> Tier:
    # A printed rate wins over the leverage beside it, which is rounded (66.66, 3.33).
    leverage = row.leverage or None
    return Tier(floor, row.maintenance, row.initial, leverage if row.initial is None else None)


def _ladder(pattern: Ladder, rows: list[Row], code: str) -> Ladder | None:
    printed = [r for r in rows if not r.repeats]
    if not printed:
        return None
    tiers = [_tier(r, f) for r, f in zip(printed, _floors(printed), strict=True)]
    more = [r for r in rows if r.repeats]
    end = printed[-1].cap
    if more and end is not None:
        tiers += _repeated(tiers[-1], end, more[0])
        end = None
    size_max = end if end is not None and end > tiers[-1].floor else None
    form = WholePosition if isinstance(pattern, WholePosition) else Progressive
    return form(code=code, unit=pattern.unit, source="table", size_max=size_max, tiers=tuple(tiers))


def _repeated(last: Tier, end: float, step: Row) -> Iterator[Tier]:
    # Until the initial rate is one: more than the whole value is never asked.
    initial = initial_rate(last)
    for k in range(1, _STEPS_MAX):
        maintenance = last.maintenance + k * step.maintenance
        asked = initial + k * (step.initial or step.maintenance)
        yield Tier(
            end + (k - 1) * (step.cap or end), min(round(maintenance, 12), 1.0), min(round(asked, 12), 1.0)
        )
        if asked >= 1.0 or not step.maintenance:
            return

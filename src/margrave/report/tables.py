"""Tables in four formats. A number is never cut: words go on in the next line, then a row becomes a block."""

import csv
import io
import json
import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

from tabulate import MIN_PADDING, tabulate

FORMATS = ("table", "json", "csv", "md")
# A column of words is not made narrower than this: below, lines are harder to read than a block.
NARROWEST = 16


@final
@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, its key in data, and how people read it."""

    heading: str
    key: str
    show: Callable[[Any], str] = str
    left: bool = False


def render(
    rows: Sequence[dict[str, Any]], columns: Sequence[Column], kind: str = "table", width: int = 80
) -> str:
    """Rows as text.

    Parameters
    ----------
    rows : sequence of dict
        Data by key; shown through the column's function in tables, raw in JSON and CSV.
    columns : sequence of Column
        What is shown, in order.
    kind : str
        ``table``, ``md``, ``json`` or ``csv``.
    width : int
        Columns of the terminal. In a table that is wider, columns of words go on in the next line; if that is
        not enough rows and columns change places, or each row becomes a block. Nothing is dropped or cut.
    """
    match kind:
        case "json":
            return json.dumps(
                [{c.key: plain(row.get(c.key)) for c in columns} for row in rows],
                indent=2,
                ensure_ascii=False,
            )
        case "csv":
            return _csv(rows, columns)
        case _:
            return _text(rows, columns, kind, width)


def plain(value: Any) -> Any:
    """A value that JSON knows: NaN becomes null, infinities their name."""
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value if isinstance(value, str | int | bool) or value is None else str(value)


def _csv(rows: Sequence[dict[str, Any]], columns: Sequence[Column]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([c.key for c in columns])
    writer.writerows(
        [["" if plain(row.get(c.key)) is None else plain(row.get(c.key)) for c in columns] for row in rows]
    )
    return out.getvalue().rstrip("\n")


def _text(rows: Sequence[dict[str, Any]], columns: Sequence[Column], kind: str, width: int) -> str:
    cells = [[_shown(c, row) for c in columns] for row in rows]
    align = ["left" if c.left else "right" for c in columns]
    headings = [c.heading for c in columns]
    if kind == "md":
        return _laid([[_escaped(cell) for cell in row] for row in cells], headings, align, "pipe")
    text = _laid(cells, headings, align, "simple")
    if _fits(text, width) or not cells:
        return text
    for text in (_laid(_wrapped(columns, cells, width), headings, align, "simple"), _turned(cells, headings)):
        if _fits(text, width):
            return text
    return "\n\n".join(_block(columns, row, width) for row in cells)


def _laid(cells: Sequence[Sequence[str]], headings: Sequence[str], align: Sequence[str], style: str) -> str:
    return tabulate(cells, headings, tablefmt=style, colalign=align if cells else None, disable_numparse=True)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")


def _wrapped(columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    # The broadest column of words gives way first, down to its longest word.
    heads = [len(c.heading) + MIN_PADDING for c in columns]
    broad = [max(heads[k], *(len(row[k]) for row in cells)) for k in range(len(columns))]
    least = [
        max(NARROWEST, heads[k], *(len(w) for row in cells for w in row[k].split())) if c.left else b
        for k, (c, b) in enumerate(zip(columns, broad, strict=True))
    ]
    over = sum(broad) + 2 * (len(columns) - 1) - width
    while over > 0 and (loose := [k for k, b in enumerate(broad) if b > least[k]]):
        broad[max(loose, key=lambda k: broad[k])] -= 1
        over -= 1
    return [
        [
            "\n".join(textwrap.wrap(cell, b, break_long_words=False, break_on_hyphens=False))
            if c.left
            else cell
            for c, cell, b in zip(columns, row, broad, strict=True)
        ]
        for row in cells
    ]


def _turned(cells: Sequence[Sequence[str]], headings: Sequence[str]) -> str:
    # Rows and columns change places: a column a record, headed by what the record is called.
    names = [headings[0], *(row[0] for row in cells)]
    body = [[heading, *(row[k] for row in cells)] for k, heading in enumerate(headings) if k]
    return _laid(body, names, ["left", *("right" for _ in cells)], "simple")


def _fits(text: str, width: int) -> bool:
    return max(map(len, text.splitlines()), default=0) <= width


def _shown(column: Column, row: dict[str, Any]) -> str:
    value = row.get(column.key)
    return "-" if value is None else column.show(value)


def _block(columns: Sequence[Column], cells: Sequence[str], width: int) -> str:
    # Numbers stand under each other; words stand at the left and go on in the next line.
    told = list(zip(columns[1:], cells[1:], strict=True))
    broad = max((len(c.heading) for c, _ in told), default=0)
    deep = max((len(cell) for c, cell in told if not c.left), default=0)
    lines = [f"{columns[0].heading} {cells[0]}"]
    for column, cell in told:
        start = f"  {column.heading:<{broad}}  "
        if column.left:
            lines += textwrap.wrap(
                start + cell,
                max(width, 20),
                subsequent_indent=" " * min(len(start), 8),
                break_long_words=False,
                break_on_hyphens=False,
                drop_whitespace=True,
            )
        else:
            lines.append(f"{start}{cell:>{deep}}")
    return "\n".join(line.rstrip() for line in lines)

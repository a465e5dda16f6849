"""Tables in four formats. A number is never cut: what does not fit is turned into a block a row."""

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

from tabulate import tabulate

FORMATS = ("table", "json", "csv", "md")


@final
@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, its key in data, and how people read it."""

    heading: str
    key: str
    show: Callable[[Any], str] = str
    left: bool = False


def render(rows: Sequence[dict[str, Any]], columns: Sequence[Column], kind: str = "table", width: int = 80) -> str:
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
        Columns of the terminal. A table that is wider becomes one block a row; nothing is dropped or cut.
    """
    match kind:
        case "json":
            return json.dumps([{c.key: plain(row.get(c.key)) for c in columns} for row in rows], indent=2, ensure_ascii=False)
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
    writer.writerows([["" if plain(row.get(c.key)) is None else plain(row.get(c.key)) for c in columns] for row in rows])
    return out.getvalue().rstrip("\n")


def _text(rows: Sequence[dict[str, Any]], columns: Sequence[Column], kind: str, width: int) -> str:
    cells = [[_shown(c, row) for c in columns] for row in rows]
    align = ["left" if c.left else "right" for c in columns]
    style = "pipe" if kind == "md" else "simple"
    text = tabulate(cells, [c.heading for c in columns], tablefmt=style, colalign=align if cells else None, disable_numparse=True)
    if kind == "md" or max(map(len, text.splitlines()), default=0) <= width:
        return text
    return "\n\n".join(_block(columns, row) for row in cells)


def _shown(column: Column, row: dict[str, Any]) -> str:
    value = row.get(column.key)
    return "-" if value is None else column.show(value)


def _block(columns: Sequence[Column], cells: Sequence[str]) -> str:
    named = [(c.heading, cell) for c, cell in zip(columns[1:], cells[1:], strict=True)]
    broad = max(len(heading) for heading, _ in named)
    deep = max(len(cell) for _, cell in named)
    return "\n".join([cells[0], *(f"  {heading:<{broad}}  {cell:>{deep}}" for heading, cell in named)])

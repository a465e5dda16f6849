"""The page of rule codes: what each rule says, and which tests hold it."""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple


class Coverage(NamedTuple):
    """One row of the matrix."""

    code: str
    rulebook: str
    told: str
    gap: bool
    tests: tuple[str, ...]


def covered(codes: Sequence[tuple[str, str, str, bool]], texts: Mapping[str, str]) -> list[Coverage]:
    """Which files name each code.

    Parameters
    ----------
    codes : sequence of (code, rulebook, told, gap)
        Rules.
    texts : mapping of str to str
        Content of each test file by its name.
    """
    words = {name: set(re.findall(r"[A-Z0-9]+(?:-[A-Z0-9]+)+", text)) for name, text in texts.items()}
    return [
        Coverage(*code, tests=tuple(sorted(name for name, found in words.items() if code[0] in found)))
        for code in codes
    ]


def markdown(rows: Sequence[Coverage]) -> str:
    """The matrix as a page of the manual, a table a rulebook; gaps have no test and say what is missing."""
    rules = [row for row in rows if not row.gap]
    held = sum(bool(row.tests) for row in rules)
    lines = [
        "# Rule codes",
        "",
        f"{len(rules)} rules and {len(rows) - len(rules)} gaps in the rulebooks that ship; "
        f"{held} of {len(rules)} rules are named by a test that holds their number.",
        "This page is made by `make conformance`; the outcome of published vectors by venue is in "
        "[conformance](conformance.md).",
    ]
    for name, group in groupby(rows, key=lambda row: row.rulebook):
        lines += ["", f"## {name}", "", "| code | rule | tests |", "|---|---|---|"]
        lines += [
            f"| {row.code} | {row.told.replace('|', chr(92) + '|')} | "
            f"{'gap' if row.gap else ', '.join(row.tests) or '**none**'} |"
            for row in group
        ]
    return "\n".join(lines) + "\n"

"""Rule codes: which rule of which rulebook a code is, and what its file says of it."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from margrave.rulebook.schema import Rulebook

_LINE = re.compile(r'code = "(?P<code>[^"]+)"(?P<rest>[^#]*)(?:#\s*(?P<told>.*))?$')
_WHAT = re.compile(r'^what = "(?P<what>.*)"$')


class RuleCode(NamedTuple):
    """One code."""

    code: str
    rulebook: str  # id@first day
    told: str  # the file's own words
    gap: bool  # something that the venue does not publish


def codes_of(rulebook: Rulebook) -> list[str]:
    """Every code of a rulebook, in the order of its tables."""
    return list(_found(msgspec.to_builtins(rulebook)))


def _found(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in {"code", "strategy_code"} and value:
                yield value
            yield from _found(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _found(value)


def told_of(text: str) -> dict[str, str]:
    """What a rulebook's file says of each code: its comment, or what a gap is about.

    Parameters
    ----------
    text : str
        TOML of the rulebook.
    """
    told: dict[str, str] = {}
    code = ""
    for line in text.splitlines():
        if (found := _LINE.search(line)) is not None:
            code = found["code"]
            told[code] = (found["told"] or "").strip()
        elif (what := _WHAT.match(line.strip())) is not None and code:
            told[code] = what["what"]
    return told


def rule_codes(rulebook: Rulebook, text: str) -> list[RuleCode]:
    """Codes of a rulebook with its file's words, in the order of its tables."""
    told, name = told_of(text), f"{rulebook.id}@{rulebook.valid_from:%Y-%m-%d}"
    gaps = {gap.code for gap in rulebook.gaps}
    return [RuleCode(code, name, told.get(code, ""), code in gaps) for code in codes_of(rulebook)]

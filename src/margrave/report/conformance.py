"""Published numbers against the calculation, as pages: Markdown for the manual, one self-contained HTML page.

Rows are what `margrave conform` gives: ``id``, ``venue``, ``model``, ``outcome`` (passed, failed, unsupported),
``detail`` and ``source``. The pages carry outcomes and reasons, never the inputs of a vector.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

OUTCOMES = ("passed", "failed", "unsupported")
RULES_PAGE = "rule-codes.md"
_ADDRESS = re.compile(r"https?://[^\s()<>;,]+")

Row = Mapping[str, Any]


class Book(NamedTuple):
    """A rulebook as the pages name it."""

    name: str  # id@first day
    codes: tuple[str, ...]
    sources: tuple[str, ...]  # addresses


Books = Mapping[str, Sequence[Book]]
"""Rulebooks of each venue, by the first word of the venue's name in small letters."""


def by_venue(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows of each venue, venues in alphabetical order, rows in their own."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(row["venue"]), []).append(row)
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def counts(rows: Sequence[Row]) -> tuple[int, int, int]:
    """How many passed, failed and are unsupported."""
    seen = Counter(str(row["outcome"]) for row in rows)
    return seen["passed"], seen["failed"], seen["unsupported"]


def markdown(rows: Sequence[Row], rulebooks: Books) -> str:
    """The page of the manual: a table of venues, then each venue's vectors by outcome.

    Parameters
    ----------
    rows : sequence of mapping
        Results.
    rulebooks : mapping of str to sequence of Book
        Rulebooks of each venue, by the first word of the venue's name in small letters.
    """
    venues = by_venue(rows)
    lines = [
        "# Conformance",
        "",
        "Published numbers of venues through the public calculation: does it show the digits that the source shows?",
        "This page is made by `make conformance`; a test holds it to a fresh run.",
        "",
        "| venue | passed | failed | unsupported | rulebooks |",
        "|---|---:|---:|---:|---|",
    ]
    for venue, held in venues.items():
        numbers = " | ".join(map(str, counts(held)))
        lines.append(f"| {venue} | {numbers} | {_books(venue, rulebooks)} |")
    lines.append(f"| **all** | {' | '.join(f'**{n}**' for n in counts(rows))} | [rule codes]({RULES_PAGE}) |")
    for venue, held in venues.items():
        lines += ["", f"## {venue}", *_sections(held)]
    return "\n".join(lines) + "\n"


def _books(venue: str, rulebooks: Books) -> str:
    return ", ".join(book.name for book in _of(venue, rulebooks)) or "none ships"


def _of(venue: str, rulebooks: Books) -> Sequence[Book]:
    # "Kraken Futures" has the rulebooks of kraken.
    return rulebooks.get(venue.lower().split()[0], ())


def _sections(held: Sequence[Row]) -> list[str]:
    lines = []
    passed = [str(row["id"]) for row in held if row["outcome"] == "passed"]
    if passed:
        lines += ["", f"Passed ({len(passed)}): {', '.join(passed)}."]
    for outcome in OUTCOMES[1:]:
        reasons: dict[str, list[str]] = {}
        for row in held:
            if row["outcome"] == outcome:
                reasons.setdefault(str(row["detail"]), []).append(str(row["id"]))
        if reasons:
            lines += ["", f"| {outcome} | why |", "|---|---|"]
            lines += [f"| {', '.join(ids)} | {_cell(why)} |" for why, ids in reasons.items()]
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
td.why { max-width: 34rem; overflow-wrap: anywhere; }
.passed { color: #1a7f37; } .failed { color: #c62828; font-weight: 600; } .unsupported { color: #8a6d00; }
@media (prefers-color-scheme: dark) {
  .passed { color: #56d364; } .failed { color: #ff7b72; } .unsupported { color: #d4a72c; }
}
details details summary { font-weight: 400; }
.codes { font: 12px/1.5 ui-monospace, monospace; }
summary { cursor: pointer; font-weight: 600; padding: .4rem 0; }
""".strip()


def html(rows: Sequence[Row], rulebooks: Books) -> str:
    """One page that needs nothing else: venue by venue, every vector with its outcome, reason and source.

    Parameters
    ----------
    rows, rulebooks
        As for `markdown`.
    """
    venues = by_venue(rows)
    top = "".join(
        f'<tr><td><a href="#{_anchor(v)}">{escape(v)}</a></td>'
        + "".join(f'<td class="n {o}">{n}</td>' for o, n in zip(OUTCOMES, counts(held), strict=True))
        + f"<td>{escape(_books(v, rulebooks))}</td></tr>"
        for v, held in venues.items()
    )
    passed, failed, unsupported = counts(rows)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Conformance</title><style>{_STYLE}</style></head><body><h1>Conformance</h1>",
        f'<p>{len(rows)} published vectors: <span class="passed">{passed} passed</span>, '
        f'<span class="failed">{failed} failed</span>, <span class="unsupported">{unsupported} unsupported</span>.</p>',
        '<table><thead><tr><th>venue</th><th class="n">passed</th><th class="n">failed</th>'
        f'<th class="n">unsupported</th><th>rulebooks</th></tr></thead><tbody>{top}</tbody></table>',
        *(_venue(v, held, _of(v, rulebooks)) for v, held in venues.items()),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _venue(venue: str, held: Sequence[Row], books: Sequence[Book]) -> str:
    order = {"failed": 0, "unsupported": 1, "passed": 2}
    body = "".join(
        f"<tr><td>{escape(str(row['id']))}</td><td>{escape(str(row['model']))}</td>"
        f'<td class="{row["outcome"]}">{row["outcome"]}</td><td class="why">{escape(str(row["detail"]))}</td>'
        f"<td>{_source(str(row.get('source', '')))}</td></tr>"
        for row in sorted(held, key=lambda row: order[str(row["outcome"])])
    )
    told = ", ".join(f"{n} {o}" for o, n in zip(OUTCOMES, counts(held), strict=True) if n)
    return (
        f'<details open id="{_anchor(venue)}"><summary>{escape(venue)}: {told}</summary>'
        "<table><thead><tr><th>vector</th><th>system</th><th>outcome</th><th>why</th><th>source</th></tr></thead>"
        f"<tbody>{body}</tbody></table>{''.join(map(_book, books))}</details>"
    )


def _book(book: Book) -> str:
    sources = ", ".join(_source(address) for address in book.sources)
    codes = ", ".join(escape(code) for code in book.codes)
    return (
        f"<details><summary>{escape(book.name)}: {len(book.codes)} rule codes</summary>"
        f'<p class="codes">{codes}</p><p>read in {sources}</p></details>'
    )


def _source(text: str) -> str:
    # An address becomes a link; what is no address stays words.
    found = _ADDRESS.search(text)
    if found is None:
        return escape(text)
    address = escape(found.group(), quote=True)
    return f'<a href="{address}" rel="noreferrer">{escape(found.group().split("/")[2])}</a>'


def _anchor(venue: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", venue.lower()).strip("-")

"""What a benchmark says: ways of the same work, goals as ratios of one run, and both as Markdown and as data."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, final

import msgspec
from tabulate import tabulate

NOT_INSTALLED: Final = "not installed"
_UNITS: Final = ((1e-6, "ns", 1e9), (1e-3, "us", 1e6), (1.0, "ms", 1e3))
_INFINITE: Final = float("inf")


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One way of doing a piece of work."""

    name: str
    seconds: float | None  # median of one run; None where the way could not be tried, and the note says why
    count: int  # pieces of work in one run
    note: str = ""
    error: float | None = (
        None  # largest difference from the section's reference, in its scale; None: not compared
    )

    @property
    def each(self) -> float | None:
        """Time of one piece of work [s]."""
        return None if self.seconds is None else self.seconds / self.count


@final
@dataclass(frozen=True, slots=True)
class Gate:
    """A goal: a ratio of two figures of this run (or a time, where its text says so) within its bounds."""

    code: str
    text: str
    ratio: float
    least: float = 0.0
    most: float = _INFINITE

    @property
    def reached(self) -> bool:
        """Whether the goal holds in this run; never where a figure is NaN."""
        return self.least <= self.ratio <= self.most

    @property
    def wanted(self) -> str:
        """The bounds in words."""
        low = f"≥ {self.least:.3g}" if self.least > 0.0 else ""
        high = f"≤ {self.most:.3g}" if self.most < _INFINITE else ""
        return ", ".join(part for part in (low, high) if part)


@final
@dataclass(frozen=True, slots=True)
class Section:
    """One benchmark: the first of its rows is ours, and the others are compared with it."""

    title: str
    unit: str  # of a piece of work
    rows: Sequence[Row]
    gates: Sequence[Gate] = ()
    facts: Mapping[str, float] = field(default_factory=dict)

    def slower(self, row: Row) -> float | None:
        """How many times longer a way takes than ours; below one it is quicker."""
        ours = self.rows[0].each
        return None if row.each is None or ours is None else row.each / ours


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    for below, unit, factor in _UNITS:
        if seconds < below:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"


def per_second(seconds: float) -> str:
    """How many pieces of work a second, of a time each."""
    rate = 1.0 / seconds
    for above, unit in ((1e6, " M"), (1e3, " k")):
        if rate >= above:
            return f"{rate / above:.4g}{unit}"
    return f"{rate:.4g}"


def markdown(section: Section) -> str:
    """Ways, facts and goals of a section."""
    compared = any(row.error is not None for row in section.rows)
    head = ("way", f"time per {section.unit}", "per second", "times ours", "largest difference")
    wide = len(head) if compared else len(head) - 1
    parts = [
        f"## {section.title}",
        _grid([_shown(section, row)[:wide] for row in section.rows], head[:wide]),
    ]
    if section.facts:
        parts.append("; ".join(f"{name} {value:,.4g}" for name, value in section.facts.items()))
    if section.gates:
        parts.append(goals(section.gates))
    return "\n\n".join(parts) + "\n"


def page(machine: Mapping[str, Any], sections: Sequence[Section]) -> str:
    """A page of Markdown: the machine, every section, all goals together."""
    gates = [gate for section in sections for gate in section.gates]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items() if version)
    load = machine["load"]
    told = (
        f"{machine['cores']} cores of {machine['processor']}; {machine['system']}; Python {machine['python']}; {machine['compiler'] or 'no C compiler'}; "
        f"{packages}. Load when it began: {f'{load[0]:.1f}' if load else 'unknown'}."
    )
    reached = f"{sum(gate.reached for gate in gates)} of {len(gates)} goals reached."
    head = f"# One run of the benchmarks\n\n{told}\n"
    return "\n".join([head, *map(markdown, sections), f"## Goals\n\n{goals(gates)}\n\n{reached}\n"])


def goals(gates: Sequence[Gate]) -> str:
    """Goals as a table, each as PASS or missed."""
    rows = [
        (g.code, g.text, f"{g.ratio:.3g}", g.wanted, "PASS" if g.reached else "**missed**") for g in gates
    ]
    return _grid(rows, ("gate", "in this run", "is", "wanted", ""))


def _shown(section: Section, row: Row) -> tuple[str, ...]:
    name = f"{row.name} ({row.note})" if row.note else row.name
    each, slower = row.each, section.slower(row)
    if each is None or slower is None:
        return (name, "", "", "", "")
    error = "" if row.error is None else f"{row.error:.1e}"
    return (name, duration(each), per_second(each), f"{slower:,.3g}", error)


def _grid(rows: Sequence[Sequence[str]], head: Sequence[str]) -> str:
    return tabulate(rows, head, tablefmt="github", disable_numparse=True)


def as_json(machine: Mapping[str, object], sections: Sequence[Section]) -> str:
    """Everything in JSON, with the ratios and the machine."""
    told = {"machine": dict(machine), "sections": [_plain(section) for section in sections]}
    return msgspec.json.format(msgspec.json.encode(told, enc_hook=float), indent=1).decode() + "\n"


def _plain(section: Section) -> dict[str, Any]:
    rows = [{**asdict(row), "times_ours": section.slower(row)} for row in section.rows]
    gates = [{**asdict(gate), "reached": gate.reached} for gate in section.gates]
    return {
        "title": section.title,
        "unit": section.unit,
        "rows": rows,
        "gates": gates,
        "facts": dict(section.facts),
    }

"""Run the benchmarks, print their tables and write them with the machine's facts: ``python -m bench [section ...]``."""

import argparse
import json
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from tabulate import tabulate

from bench import account, aggregation, pricing, scenarios, tiers
from bench.measure import Section, machine
from margrave.kernels.compiled.warming import warm

SECTIONS: dict[str, Callable[[Executor], list[Section]]] = {
    "account": lambda _pool: account.sections(),
    "scenarios": lambda _pool: scenarios.sections(),
    "pricing": pricing.sections,
    "aggregation": aggregation.sections,
    "tiers": tiers.sections,
}
UNITS = ((1e-6, "ns", 1e9), (1e-3, "us", 1e6), (1.0, "ms", 1e3))


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    for below, unit, factor in UNITS:
        if seconds < below:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"


def table(section: Section) -> str:
    """Ways and gates of a section, in Markdown."""
    first = section.rows[0]
    ways = [
        (
            row.name + (f" ({row.note})" if row.note else ""),
            duration(row.seconds / row.count),
            f"{row.count / row.seconds / 1e6:.4g}",
            f"{row.seconds / row.count / (first.seconds / first.count):.3g}",
        )
        for row in section.rows
    ]
    head = ("way", f"time a {section.unit}", f"M {section.unit}s/s", "ours is quicker by")
    text = f"### {section.title}\n\n{tabulate(ways, head, tablefmt='github', disable_numparse=True)}\n"
    if section.facts:
        text += "\n" + "; ".join(f"{name} {value:,.4g}" for name, value in section.facts.items()) + "\n"
    if section.gates:
        marks = [
            (g.code, g.text, f"{g.ratio:.3g}", f"{g.least:.3g}", "yes" if g.reached else "**no**")
            for g in section.gates
        ]
        text += (
            "\n"
            + tabulate(
                marks,
                ("gate", "ratio of this run", "is", "least", "reached"),
                tablefmt="github",
                disable_numparse=True,
            )
            + "\n"
        )
    return text


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; all of them if none is named")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).with_name("out"), help="folder of the results"
    )
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section is called {', '.join(sorted(unknown))}: choose from {', '.join(SECTIONS)}")
    warm(
        lambda title: print(f"compiling {title}", end="\033[K\r", flush=True) if sys.stdout.isatty() else None
    )
    before, done, texts = machine(), [], []
    with ThreadPoolExecutor(2) as pool:
        for name in options.sections or SECTIONS:
            for section in SECTIONS[name](pool):
                done.append(section)
                texts.append(table(section))
                print(texts[-1])
    options.out.mkdir(parents=True, exist_ok=True)
    result = {
        "machine": before,
        "sections": [
            {**asdict(s), "gates": [{**asdict(g), "reached": g.reached} for g in s.gates]} for s in done
        ],
    }
    (options.out / "bench.json").write_text(json.dumps(result, indent=1) + "\n")
    (options.out / "bench.md").write_text("\n".join(texts))
    print(f"written: {options.out / 'bench.json'} and bench.md")


if __name__ == "__main__":
    main()

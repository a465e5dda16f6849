"""Run the benchmarks, print their tables and write them with the machine's facts: ``python -m bench [section ...]``."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.measure import Setting
from bench.registry import PACKAGES, SECTIONS, section
from margrave.kernels.compiled.warming import warm
from margrave.report.speed import as_json, goals, markdown, page
from margrave.report.timing import machine


def arguments() -> argparse.Namespace:
    """What is asked for; an unknown section ends here."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; all of them if none is named")
    parser.add_argument("--accounts", type=int, default=2_000_000, help="accounts of the largest book")
    parser.add_argument("--json", type=Path, help="file for every figure, with the machine and the versions")
    parser.add_argument(
        "--markdown", type=Path, help="file for the tables, as docs/performance.md shows them"
    )
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section is called {', '.join(sorted(unknown))}: choose from {', '.join(SECTIONS)}")
    return options


def announce(title: str) -> None:
    """A line that the next one replaces, where somebody looks on."""
    if sys.stderr.isatty():
        print(f"compiling {title}", end="\033[K\r", file=sys.stderr, flush=True)


def main() -> None:
    """Run, print, write."""
    options = arguments()
    warm(announce)
    facts, done = machine(PACKAGES), []
    with ThreadPoolExecutor(2) as pool:
        for name in options.sections or SECTIONS:
            for one in section(name)(Setting(pool, options.accounts)):
                done.append(one)
                print(markdown(one), flush=True)
    gates = [gate for one in done for gate in one.gates]
    print(f"## Goals\n\n{goals(gates)}\n")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(as_json(facts, done), encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(page(facts, done), encoding="utf-8")


if __name__ == "__main__":
    main()

"""`margrave bench`: how quick it is on this machine, beside plain NumPy, in half a minute."""

import sys
from pathlib import Path

import click

from margrave.cli.bench_sections import growth, kernels, one_account
from margrave.report.speed import as_json, goals, markdown
from margrave.report.timing import machine

PACKAGES = ("margrave", "numpy", "numba", "msgspec")


@click.command()
@click.option(
    "--accounts",
    default=100_000,
    type=click.IntRange(20_000, 100_000_000),
    show_default=True,
    help="Accounts of the largest book.",
)
@click.option(
    "--json",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for every figure, with the machine and the versions.",
)
def bench(accounts: int, file: Path | None) -> int:
    """Time one account, a growing book and the compiled kernels, as ratios of one run.

    Goals are PASS or missed in this run; what else the machine does counts. The whole comparison with other libraries is
    `make bench` in the source tree.
    """
    is_warm = _is_warm()  # before anything is timed, and said so
    done = [
        one_account({}),
        growth("example.inverse", (10_000, accounts), 3),
        *(kernels() if is_warm else ()),
    ]
    for section in done:
        click.echo(markdown(section))
    click.echo(goals([gate for section in done for gate in section.gates]))
    if file is not None:
        file.write_text(as_json(machine(PACKAGES), done), encoding="utf-8")
    return 0


def _is_warm() -> bool:
    try:
        from margrave.kernels.compiled.warming import warm
    except ImportError as missing:
        click.echo(f"left out: {missing}", err=True)
        return False
    warm(_announce)
    return True


def _announce(title: str) -> None:
    # The first time each takes a second; a line that the next one replaces.
    if sys.stderr.isatty():
        click.echo(f"\r\033[Kcompiling {title}\r", nl=False, err=True)


COMMANDS = {"bench": bench}

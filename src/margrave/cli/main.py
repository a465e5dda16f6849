"""The group of commands. Modules are imported when their command runs, so that help answers at once."""

import os
import sys
from importlib import import_module
from typing import Any

import click

import margrave

# command -> (module, one line of help)
COMMANDS = {
    "demo": ("account", "Margin, liquidation and explanation of a made account that ships with Margrave."),
    "margin": ("account", "Equity, initial and maintenance margin of every pool."),
    "explain": ("account", "The requirement as a tree: every factor, tier, rule code and source."),
    "liquidation": ("account", "The set of prices at which each pool is liquidated."),
    "whatif": ("alternatives", "Before and after trades or price moves."),
    "compare": ("alternatives", "The same account under several rulebooks, modes or schedules."),
    "offset": ("analysis", "What a pool saves by holding its positions together."),
    "contributions": ("analysis", "What each position does to its pool's requirement."),
    "optimise": ("analysis", "The cheapest trades that free margin or move liquidation away."),
    "stress": ("analysis", "Price, vol and basis shocks, and the smallest that breaks the account."),
    "sample": ("book", "A made book of N accounts and its market, as Parquet: nobody's positions."),
    "book": ("book", "A whole book of accounts: who stands where, who is nearest to liquidation."),
    "replay": ("replay", "Events folded over a whole book: every change of status, latency, audit."),
    "cascade": ("cascade", "A book in a closed loop: liquidations move the price that margin is asked on."),
    "study": ("study", "Margin rules side by side, judged by the cascades that they cause: a report."),
    "tails": ("tails", "Tail of joint scenarios: precision, solvency, error of the quick formula."),
    "matrix": ("matrix", "Portfolio margin cell by cell: each instrument and unit, the worst marked."),
    "liquidate": ("default", "Step by step: orders, slices of legs, and who pays what is missing."),
    "plot": ("account", "Payoff, margin and equity against price, as an image."),
    "price": ("instruments", "An option's price and Greeks, in coin and in dollars."),
    "rules": ("rules", "Rulebooks: list, show, diff, test, codes, import-tiers."),
    "validate": ("data", "Check case files and rulebooks; every fault with its place."),
    "import": ("data", "Turn a venue's own payloads into a case file."),
    "verify": ("verify", "A venue's own numbers beside ours; the first that differs."),
    "warm": ("warm", "Compile the kernels for whole books, so that no command waits for them."),
    "bench": ("bench", "How quick this machine is: one account, a growing book, compiled kernels."),
    "conform": ("data", "Run published numbers through the calculation."),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"margrave.cli.{COMMANDS[cmd_name][0]}")
        return module.COMMANDS[cmd_name]  # type: ignore[no-any-return]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(margrave.__version__, prog_name="margrave")
def cli() -> None:
    """Margin of crypto derivatives: what each venue asks, where it liquidates, and why.

    Results go to standard output, messages to standard error. Exit codes: 0 well, 1 something is wrong,
    2 usage, 3 a pool is below initial margin, 4 a pool is liquidatable, 5 numbers do not agree.
    """


def main(argv: list[str] | None = None) -> Any:
    """Run the command line; faults of input become one line each, never a traceback."""
    from margrave.core.errors import MargraveError

    try:
        code = cli.main(argv, prog_name="margrave", standalone_mode=False)
    except click.ClickException as fault:
        fault.show()
        code = fault.exit_code
    except click.Abort:
        click.echo("stopped", err=True)
        code = 130
    except MargraveError as fault:
        for issue in fault.issues:
            click.echo(f"error: {issue}", err=True)
        code = 1
    except MemoryError:
        click.echo("error: memory: not enough for this; give fewer accounts or a smaller --chunk", err=True)
        code = 1
    except BrokenPipeError:
        # Whoever read the output has seen enough; nothing may be flushed into the closed pipe at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as fault:
        click.echo(
            f"error: {fault.filename or 'output'}: {fault.strerror or fault}; check the path", err=True
        )
        code = 1
    sys.exit(code if isinstance(code, int) else 0)

"""The command cascade: a book in a closed loop of margin, liquidation and price, after a shock or over a path."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from math import isnan
from pathlib import Path
from typing import Any, Final, final

import click
import numpy as np

from margrave.adapters import price_paths
from margrave.adapters.run_files import log_lines, read_log, steps_rows
from margrave.cli.book import Venue, is_book, progress, read_venue
from margrave.cli.inputs import echo_json, pick_schedule, read_case, read_rules, show
from margrave.core.errors import Reason, invalid
from margrave.domain.book import Book, book_of
from margrave.domain.market import Market
from margrave.engine.measures.run import Outcome, outcome
from margrave.engine.simulation import candidates
from margrave.engine.simulation.events import replayed
from margrave.engine.simulation.measured import measured
from margrave.engine.simulation.path import Path as PricePath
from margrave.engine.simulation.run import Ending, Run, simulate
from margrave.engine.simulation.settings import (
    AverageMark,
    Behaviour,
    BestLeg,
    CloseFactor,
    Costs,
    Deleveraging,
    Depth,
    DutchAuction,
    EveryLeg,
    FirstShare,
    Impact,
    IndexMark,
    LastMark,
    Legs,
    Liquidity,
    MarkRule,
    MedianMark,
    Rounds,
    Rule,
    Settings,
    Shares,
    StepDown,
    Takeover,
    TowardNeutral,
    Vault,
)
from margrave.engine.simulation.state import same
from margrave.kernels import generators
from margrave.liquidation.dutch_auction import DERIVE
from margrave.report.number import money, percent
from margrave.report.tables import Column, plain
from margrave.rulebook.reform import with_schedule
from margrave.rulebook.schema import Rulebook

_YEAR: Final = 365.0 * 86_400.0
_CALM: Final = 5.0 * 86_400.0  # [s] mean stay in the calm regime
_WILD: Final = 6.0 * 3_600.0
_ROWS_MAX: Final = 30  # of a table; the file has all
_LOG: Final = "log.jsonl"
SHARES: Final[Mapping[str, Shares | None]] = {
    "score": candidates.by_score,
    "pro-rata": candidates.pro_rata,
    "water-filling": candidates.water_filling,
    "none": None,
}
"""Rules of deleveraging by the words of the options."""

_CLOSES: Final[Mapping[str, Rule]] = {
    "takeover": Takeover(),
    "step-down": StepDown(),
    "rounds": Rounds(),
    "first-share": FirstShare(),
    "auction": DutchAuction(terms=DERIVE),
}
_LEGS: Final[Mapping[str, Legs]] = {"every": EveryLeg(), "best": BestLeg(), "neutral": TowardNeutral()}
_MARKS: Final[Mapping[str, Callable[[float], MarkRule]]] = {
    "last": lambda _: LastMark(),
    "index": lambda _: IndexMark(),
    "average": lambda seconds: AverageMark(half_life_seconds=seconds, bound=0.05),
    "median": lambda seconds: MedianMark(half_life_seconds=seconds, bound=0.05),
}


@final
@dataclass(frozen=True, slots=True)
class World:
    """What happens outside the venue, as options say it."""

    shocks: Sequence[str]
    file: Path | None
    columns: Sequence[str]
    law: str | None
    block: float | None
    vol: float
    steps: int
    every: float
    seed: int


@click.command()
@click.argument("book", metavar="DIR|FILE|CASE")
@click.option("--rules", metavar="ID[@DATE]|FILE", help="Rulebook; by default the one that the market names.")
@click.option(
    "--schedule", metavar="NAME|FILE|none", help="Directional schedule to put on the rules, or none."
)
@click.option(
    "--market", metavar="CASE", help="Case file of the market; by default market.toml beside the book."
)
@click.option(
    "--shock", "shocks", multiple=True, metavar="ASSET=MOVE", help="Such as BTC=-20%, over all steps."
)
@click.option(
    "--path", "file", type=click.Path(path_type=Path), help="Recorded prices: Parquet, Arrow or CSV."
)
@click.option(
    "--column", "columns", multiple=True, metavar="ASSET=NAME", help="Column of an asset in that file."
)
@click.option(
    "--generate", "law", type=click.Choice(["gbm", "jumps", "regimes"]), help="Draw prices of every asset."
)
@click.option("--vol", default=0.8, show_default=True, help="Of generated prices, a year.")
@click.option(
    "--bootstrap",
    "block",
    type=click.FloatRange(1.0),
    help="Draw the moves of --path anew, in blocks of this mean length.",
)
@click.option("--steps", default=1, show_default=True, type=click.IntRange(1, 1_000_000))
@click.option(
    "--every", default=60.0, show_default=True, type=click.FloatRange(0.001), help="Seconds of a step."
)
@click.option(
    "--depth",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.0, min_open=True),
    help="Share of open interest that, sold, moves the log price by the impact.",
)
@click.option(
    "--impact", default=0.1, show_default=True, type=click.FloatRange(0.0), help="That move; zero: none."
)
@click.option("--exponent", default=1.0, show_default=True, help="1 is linear, 0.5 the square root.")
@click.option(
    "--half-life",
    "half_life",
    type=click.FloatRange(0.0, min_open=True),
    help="Seconds after which half of the impact is gone.",
)
@click.option(
    "--close",
    "rule",
    default="takeover",
    show_default=True,
    metavar="RULE",
    help="takeover, step-down, rounds (10, 200, then 400 contracts), first-share, auction, or a share such as 20%.",
)
@click.option(
    "--notice",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0.0),
    help="Seconds from when a pool is liquidatable to its first closing.",
)
@click.option(
    "--legs",
    type=click.Choice(list(_LEGS)),
    default="every",
    show_default=True,
    help="Which legs of a pool the rule closes: every, the best by margin relieved per cost, or toward a delta of zero.",
)
@click.option(
    "--mark",
    "mark",
    type=click.Choice(list(_MARKS)),
    default="last",
    show_default=True,
    help="On which margin is asked.",
)
@click.option("--fee", default=0.0005, show_default=True, help="Fraction of notional to the venue.")
@click.option("--penalty", default=0.005, show_default=True, help="Fraction of notional to the fund.")
@click.option("--fund", "funds", multiple=True, metavar="ASSET=AMOUNT", help="Insurance fund at the start.")
@click.option("--deleveraging", "shares", type=click.Choice(list(SHARES)), default="score", show_default=True)
@click.option(
    "--vault", metavar="ACCOUNT", help="Account that takes over pools below two thirds of maintenance."
)
@click.option("--socialised", is_flag=True, help="What is left is cut from all profits.")
@click.option(
    "--top-up",
    "top_up",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0.0, 1.0),
    help="Chance that a called holder pays in, each step.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1, 256))
@click.option(
    "--save",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for columns, measures and the log of events.",
)
@click.option(
    "--replay",
    "replay",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Check that the log in this folder gives the same end.",
)
@click.option(
    "--format", "kind", type=click.Choice(["table", "json", "md"]), default="table", show_default=True
)
def cascade(
    book: str, rules: str | None, schedule: str | None, market: str | None, shocks: tuple[str, ...], file: Path | None,
    columns: tuple[str, ...], law: str | None, block: float | None, vol: float, steps: int, every: float, depth: float, impact: float,
    exponent: float, half_life: float | None, rule: str, notice: float, legs: str, mark: str, fee: float, penalty: float, funds: tuple[str, ...],
    shares: str, vault: str | None, socialised: bool, top_up: float, seed: int, threads: int, save: Path | None, replay: Path | None, kind: str,
) -> int:  # fmt: skip
    """What a margin rule sets off: liquidations of BOOK move the price on which everybody's margin is asked.

    Without a path or a shock the first asset of the market falls by a fifth. Money is in the market's numeraire. Exit code
    1 where the run has no end: a price left the range of prices, or somebody was still to be closed.
    """
    venue = _venue(book, market)
    rulebook = read_rules(rules, venue.case)
    if schedule is not None:
        rulebook = with_schedule(rulebook, pick_schedule(schedule, rulebook))
    try:
        settings = Settings(
            liquidity=_liquidity(
                venue.book,
                depth,
                partial(Impact, coefficient=impact, exponent=exponent, half_life_seconds=half_life),
            ),
            mark=_MARKS[mark](every),
            rule=_rule(rule),
            legs=_LEGS[legs],
            notice_seconds=notice,
            costs=Costs(fee_rate=fee, penalty_rate=penalty),
            fund=dict(_pair(text, "--fund", "BTC=2.5") for text in funds),
            vault=None if vault is None else Vault(account=vault),
            deleveraging=Deleveraging(shares=SHARES[shares], socialised=socialised),
            behaviour=Behaviour(top_up=top_up),
        )
        path = _path(venue.market, World(shocks, file, columns, law, block, vol, steps, every, seed))
    except ValueError as fault:
        raise click.UsageError(str(fault)) from fault
    run = _run(venue, rulebook, path, settings, seed, threads)
    if save is not None:
        _save(run, save, _asset(path, venue.market))
    if replay is not None and not _same(run, replay):
        return 1
    _show(run, _asset(path, venue.market), kind)
    return 0 if run.ending is Ending.DONE else 1


def _venue(name: str, market: str | None) -> Venue:
    if is_book(name):
        return read_venue(name, market)
    case = read_case(name)
    return Venue(book_of(case.accounts), case.market, case)


def _run(
    venue: Venue, rulebook: Rulebook, path: PricePath, settings: Settings, seed: int, threads: int
) -> Run:
    bar = progress(path.count, rulebook.id) if path.count > 1 else nullcontext(None)
    with bar as told:
        tell = None if told is None else lambda step, _: told(step + 1)
        return simulate(venue.book, venue.market, rulebook, path, settings, seed, threads=threads, told=tell)


def _liquidity(book: Book, depth: float, law: Callable[[], Impact]) -> dict[str, Liquidity]:
    # A market as deep as a share of what the book holds in it; nobody holds it: nothing to sell.
    count = len(book.symbols)
    sides = [
        np.bincount(book.instrument, np.maximum(side * book.quantity, 0.0), count) for side in (1.0, -1.0)
    ]
    held = np.maximum(*sides)
    return {
        symbol: Liquidity(depth=Depth(contracts=float(depth * held[row])), impact=law())
        for row, symbol in enumerate(book.symbols)
        if held[row] > 0.0
    }


def _rule(text: str) -> Rule:
    if text in _CLOSES:
        return _CLOSES[text]
    return CloseFactor(fraction(text, "--close", f"{', '.join(_CLOSES)}, or a share such as 20%"))


def fraction(text: str, option: str, like: str) -> float:
    """A number or a percentage as an option writes it; a usage error that shows ``like`` otherwise."""
    try:
        return float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError as fault:
        raise click.UsageError(f"{option} {text!r}: write {like}") from fault


def _pair(text: str, option: str, like: str) -> tuple[str, float]:
    asset, _, told = text.partition("=")
    return asset, fraction(told, option, like)


def _path(market: Market, world: World) -> PricePath:
    given = [bool(world.shocks), world.file is not None, world.law is not None]
    if sum(given) > 1:
        raise click.UsageError("give one of --shock, --path and --generate")
    if not market.index:
        raise invalid(
            "market", Reason.MISSING_INDEX, "has no index price that could move; add [market.index]"
        )
    seconds = np.arange(1, world.steps + 1, dtype=np.float64) * world.every
    if world.file is not None:
        columns = {asset: column for asset, _, column in (text.partition("=") for text in world.columns)}
        columns = columns or {next(iter(market.index)): "close"}
        path = price_paths.recorded(market, str(world.file), columns)
        generator = np.random.default_rng([world.seed, 0])
        return path if world.block is None else price_paths.resampled(path, generator, world.block, seconds)
    if world.block is not None:
        raise click.UsageError("--bootstrap draws the moves of a recorded path: name it by --path")
    if world.law is not None:
        return PricePath(seconds, {a: _drawn(world, p, k) for k, (a, p) in enumerate(market.index.items())})
    shocks = dict(_pair(text, "--shock", "BTC=-20%") for text in world.shocks)
    return price_paths.shocked(market, shocks or {next(iter(market.index)): -0.2}, seconds)


def _drawn(world: World, start: float, number: int) -> Any:
    generator = np.random.default_rng([world.seed, number])
    law, shape = generators.Brownian(0.0, world.vol), (1, world.steps)
    years = world.every / _YEAR
    if world.law == "gbm":
        return generators.geometric(generator, law, start, years, shape)[0, 1:]
    if world.law == "regimes":  # a calm one for days, a wild one of three times the vol for hours
        wild = generators.Brownian(0.0, 3.0 * world.vol)
        leave = 1.0 - np.exp(-world.every / np.array([_CALM, _WILD]))
        table = ((1.0 - leave[0], leave[0]), (leave[1], 1.0 - leave[1]))
        regimes = generators.Regimes((law, wild), table)
        return generators.regime_switching(generator, regimes, start, years, shape).price[0, 1:]
    jumps = generators.Jumps(rate=365.0, mean=-0.02, deviation=0.03)
    return generators.jump_diffusion(generator, law, jumps, start, years, shape)[0, 1:]


def _asset(path: PricePath, market: Market) -> str:
    return next(iter(path.prices), next(iter(market.index)))


def _outcome(run: Run, asset: str) -> Outcome:
    steps = measured(run, asset)
    return outcome(steps, max(float(np.diff(steps.at).max(initial=0.0)), 1.0))


def _rows(run: Run, asset: str) -> list[dict[str, Any]]:
    steps = run.steps
    start, at = run.frame.market.index_of(asset) or 1.0, run.frame.assets.index(asset)
    return [
        {
            "seconds": float(steps.seconds[t]),
            "outside": start * float(steps.outside[t, at]),
            "last": start * float(steps.last[t, at]),
            "mark": start * float(steps.mark[t, at]),
            "open notional": float(steps.open_notional[t]),
            "liquidated": float(steps.liquidated[t]),
            "deleveraged": float(steps.deleveraged[t]),
            "shortfall": float(steps.shortfall[t]),
            "fund": float(steps.fund[t]),
            "called": int(steps.accounts[t, run.settings.ladder.call : -2].sum()),
            "in liquidation": int(steps.accounts[t, -2]),
            "flat": int(steps.flat[t]),
        }
        for t in range(len(steps.seconds))
    ]


def _show(run: Run, asset: str, kind: str) -> None:
    rows, found = _rows(run, asset), _outcome(run, asset)
    if kind == "json":
        told = {"rulebook": run.rulebook.id, "asset": asset, "ending": str(run.ending), **asdict(found)}
        echo_json(plain({**told, "steps": rows}))
        return
    every = max(-(-len(rows) // _ROWS_MAX), 1)
    few = [row for k, row in enumerate(rows) if (k + 1) % every == 0 or k + 1 == len(rows)]
    # A mark that is the last price is not said twice.
    same_price = all(row["mark"] == row["last"] for row in few)
    keys = [key for key in rows[0] if not (same_price and key == "mark") and key != "flat"]
    show(few, [Column(key, key, _whole) for key in keys], kind)
    click.echo()
    for line in _sentences(run, asset, found):
        click.echo(line)


def _whole(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1e3 or value == int(value) else f"{value:,.4g}"


def _sentences(run: Run, asset: str, found: Outcome) -> list[str]:
    unit = run.frame.market.numeraire
    outside = float(run.steps.outside[-1, run.frame.assets.index(asset)]) - 1.0
    told = [
        f"{run.rulebook.id}: {asset} moved {percent(outside)} outside, and {percent(found.deepest)} at its furthest here",
        f"liquidated {money(found.liquidated, unit)} {unit}, deleveraged {money(found.deleveraged, unit)} {unit}",
        f"shortfall {money(found.shortfall, unit)} {unit}; the fund paid {money(found.fund_draw, unit)} {unit} at most",
    ]
    if not isnan(found.amplification):
        told.append(f"the whole move is {found.amplification:.3f} times the one from outside")
    if run.ending is not Ending.DONE:
        told.append(f"the run ended early: {run.ending}")
    return told


def _save(run: Run, folder: Path, asset: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOG).open("w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in log_lines(run.log))
    told: dict[str, Any] = {"rulebook": run.rulebook.id, "asset": asset, "ending": str(run.ending)}
    told |= {
        "measures": asdict(_outcome(run, asset)),
        "assets": run.frame.assets,
        "steps": steps_rows(run.steps),
    }
    (folder / "run.json").write_text(json.dumps(plain(told), indent=1) + "\n", encoding="utf-8")
    click.echo(f"{folder}: run.json, and {len(run.log):,} events in {_LOG}", err=True)


def _same(run: Run, folder: Path) -> bool:
    place = folder / _LOG
    with place.open(encoding="utf-8") as lines:
        end = replayed(run.frame, run.opening, read_log(lines, str(place)))
    is_same = same(end, run.end)
    verdict = (
        "ends where this run ends, to the last unit"
        if is_same
        else "ends elsewhere: other inputs, or another version"
    )
    click.echo(f"{place}: {verdict}", err=True)
    return is_same


COMMANDS = {"cascade": cascade}

"""The command study: margin rules judged side by side by the cascades that they cause, as a report with its numbers."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import click
import numpy as np

from margrave.adapters import made_study, price_paths, recorded_crashes
from margrave.cli.book import progress
from margrave.cli.cascade import SHARES, fraction
from margrave.domain.account import Account, Balance
from margrave.domain.amended import amended, with_accounts
from margrave.domain.market import Market
from margrave.engine.books.venue import assess_book
from margrave.engine.simulation.path import Path as PricePath
from margrave.engine.simulation.settings import (
    BestLeg,
    CloseFactor,
    Costs,
    Deleveraging,
    Depth,
    DutchAuction,
    EveryLeg,
    Impact,
    Legs,
    Liquidity,
    Rounds,
    Rule,
    Settings,
    Takeover,
    TowardNeutral,
    Vault,
)
from margrave.engine.study.findings import findings
from margrave.engine.study.index import Index, indices
from margrave.engine.study.spreads import spreads
from margrave.engine.study.trials import Trial, Variant, tried
from margrave.liquidation.dutch_auction import DERIVE
from margrave.report import study_page
from margrave.report.tables import plain
from margrave.rulebook.catalogue import in_force
from margrave.rulebook.reform import with_maintenance, with_rates, with_schedule
from margrave.rulebook.schema import Rulebook

_RULES: Final[Mapping[str, str | None]] = {"flat": None, "directional": "T1", "ratchet": "ratchet"}
_BASE: Final = "score"
_CLOSED: Final = ("flat", "directional")  # rules of which other ways of closing are tried
_WAYS: Final[Mapping[str, tuple[Rule, Legs]]] = {
    "the whole pool": (Takeover(), EveryLeg()),
    "a quarter of the leg that relieves most": (CloseFactor(0.25), BestLeg()),
    "a quarter toward a delta of zero": (CloseFactor(0.25), TowardNeutral()),
    "rounds of 10, 200, 400 contracts": (Rounds(), EveryLeg()),
    "auction": (DutchAuction(terms=DERIVE), EveryLeg()),
}
_MAINTENANCE: Final = 0.5  # of initial, under every rule
_FUND: Final = 0.0005  # of open notional, in the settlement asset


@click.command()
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the report."
)
@click.option("--accounts", default=2_000, show_default=True, type=click.IntRange(8, 10_000_000))
@click.option("--shock", default="-20%", show_default=True, help="Fall, or rise, over half of the steps.")
@click.option("--steps", default=40, show_default=True, type=click.IntRange(2, 100_000))
@click.option(
    "--every", default=60.0, show_default=True, type=click.FloatRange(0.001), help="Seconds of a step."
)
@click.option(
    "--path",
    "files",
    multiple=True,
    metavar="NAME=FILE:COLUMN[:FROM:TO]",
    help="A recorded path; rows FROM to TO.",
)
@click.option(
    "--crashes",
    type=click.Path(file_okay=False),
    help="Folder of recorded prices: six crashes of bitcoin, one after another (docs/study.md names the files).",
)
@click.option(
    "--depth",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.0, min_open=True),
    help="Share of open interest.",
)
@click.option(
    "--impact",
    default=0.3,
    show_default=True,
    type=click.FloatRange(0.0),
    help="Log move when that share is sold.",
)
@click.option(
    "--half-life",
    "half_life",
    default=600.0,
    show_default=True,
    type=click.FloatRange(0.0, min_open=True),
    help="Seconds after which half of the impact is gone.",
)
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
@click.option(
    "--seeds",
    default=1,
    show_default=True,
    type=click.IntRange(1, 1_000),
    help="Draws of the book, from --seed on.",
)
@click.option(
    "--index",
    default="-5%,-10%,-15%,-20%,-30%,10%,20%",
    show_default=True,
    metavar="SHOCKS",
    help="Shocks of the cascade index; empty for none.",
)
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1, 256))
@click.option("--plots/--no-plots", default=True, show_default=True)
def study(
    out: Path, accounts: int, shock: str, steps: int, every: float, files: tuple[str, ...], crashes: str | None, depth: float, impact: float,
    half_life: float, seed: int, seeds: int, index: str, threads: int, plots: bool,
) -> int:  # fmt: skip
    """Flat, directional and ratchet rules and a scenario model, linear and in coin, isolated and cross, on the same risk.

    The book is made, the shock stated, recorded paths are yours. Writes study.md, study.html, study.json and plots into the
    folder; the same options give the same bytes.
    """
    paths = _paths(made_study.study_market("linear"), shock, steps, every, files)
    if crashes is not None:
        for crash in recorded_crashes.CRASHES:
            paths[crash.name] = recorded_crashes.crash_path(
                crash, crashes, made_study.ASSET, made_study.PRICE
            )
    liquidity = (depth, Impact(coefficient=impact, half_life_seconds=half_life))
    drawn = range(seed, seed + seeds)
    variants = [
        v
        for s in drawn
        for payoff in ("linear", "inverse")
        for v in _variants(payoff, accounts, s, liquidity)
    ]
    own = [v for v in variants if v.seed == seed and v.deleveraging == _BASE]
    variants += [c for v in own if v.mode == "cross" and v.rule in _CLOSED for c in _closings(v)]
    shocks = [fraction(text.strip(), "--index", "-10%") for text in index.split(",") if text.strip()]
    falls = {
        move: next(iter(_paths(made_study.study_market("linear"), f"{move:+.6%}", steps, every, ()).values()))
        for move in shocks
    }
    done = 0
    with progress(len(variants) * len(paths) + len(own) * len(falls), "runs") as told:

        def count(_: str) -> None:
            nonlocal done
            done += 1
            told(done)

        trials = tried(variants, paths, made_study.ASSET, threads=threads, told=count)
        found = indices(own, falls, made_study.ASSET, threads=threads, told=count) if falls else ()
    _write(out, (trials, found), paths, _preface(accounts, depth, impact, half_life, seed), plots)
    for each in findings(trials):
        if each.worse and each.deleveraging == _BASE and each.seed == seed and not each.closing:
            click.echo(each.sentence)
    click.echo(f"{out}: study.md, study.html and study.json, {len(trials)} runs", err=True)
    return 0


def _paths(
    market: Market, shock: str, steps: int, every: float, files: tuple[str, ...]
) -> dict[str, PricePath]:
    seconds = np.arange(1, steps + 1, dtype=np.float64) * every
    move = fraction(shock, "--shock", "-20%")
    half = max(steps // 2, 1)
    fall = price_paths.shocked(market, {made_study.ASSET: move}, seconds[:half])
    held = np.full(steps - half, fall.prices[made_study.ASSET][-1])
    paths = {
        f"shock of {move:+.0%}": PricePath(
            seconds, {made_study.ASSET: np.concatenate((fall.prices[made_study.ASSET], held))}
        )
    }
    for text in files:
        name, _, rest = text.partition("=")
        file, column, *rows = rest.rsplit(":", rest.count(":"))
        paths[name] = _cut(price_paths.recorded(market, file, {made_study.ASSET: column}), rows, text)
    return paths


def _cut(path: PricePath, rows: list[str], text: str) -> PricePath:
    if not rows:
        return path
    try:
        first, last = (int(row) for row in rows)
    except ValueError as fault:
        raise click.UsageError(
            f"--path {text!r}: write NAME=FILE:COLUMN:FROM:TO with rows as whole numbers"
        ) from fault
    seconds, prices = path.seconds[first:last], path.prices[made_study.ASSET][first:last]
    if not len(seconds):
        raise click.UsageError(
            f"--path {text!r}: there are no rows {first:,} to {last:,}; the file has {path.count:,}"
        )
    return PricePath(seconds - seconds[0], {made_study.ASSET: prices / prices[0] * made_study.PRICE})


def _variants(payoff: str, count: int, seed: int, liquidity: tuple[float, Impact]) -> Iterator[Variant]:
    market = made_study.study_market(payoff)
    flat = in_force("example.flat", market.at)
    for mode, isolated in (("isolated", 1.0), ("cross", 0.0), ("mixed", 0.5)):
        book = made_study.study_book(payoff, count, seed, isolated=isolated)
        sides = [np.bincount(book.instrument, np.maximum(s * book.quantity, 0.0), 2) for s in (1.0, -1.0)]
        held = np.maximum(*sides)
        markets = {
            symbol: Liquidity(depth=Depth(contracts=float(liquidity[0] * held[k])), impact=liquidity[1])
            for k, symbol in enumerate(book.symbols)
        }
        asset = book.assets[0]
        fund = {asset: _FUND * float(held.sum()) * _per_contract(payoff)}

        def settings(shares: str, markets: Any = markets, fund: Any = fund) -> Settings:
            rule = Deleveraging(shares=SHARES[shares], socialised=shares == "none")
            costs = Costs(fee_rate=0.0005, penalty_rate=0.005)
            return Settings(
                liquidity=markets, rule=CloseFactor(0.25), costs=costs, fund=fund, deleveraging=rule
            )

        rules = {
            name: with_schedule(flat, None if key is None else flat.schedules[key])
            for name, key in _RULES.items()
        }
        if mode == "cross":
            rules["scenarios"] = _scenarios(book, market, flat)
        for name, rulebook in rules.items():
            others = (
                [s for s in SHARES if s != _BASE]
                if mode != "isolated" and name in ("flat", "directional")
                else []
            )
            for shares in (_BASE, *others):
                yield Variant(name, payoff, mode, shares, book, market, rulebook, settings(shares), seed)


def _closings(variant: Variant) -> Iterator[Variant]:
    # Other ways of closing, on the same book; the vault is one account more, with a twentieth of all cash.
    for name, (rule, legs) in _WAYS.items():
        settings = replace(variant.settings, rule=rule, legs=legs)
        yield replace(variant, settings=settings, closing=name)
    book = variant.book
    cash = Balance(asset=book.assets[0], amount=float(0.05 * book.balance.sum()))
    held = amended(
        with_accounts(book, ["vault"], [""]), {len(book.names): Account(name="vault", balances=(cash,))}
    )
    settings = replace(variant.settings, vault=Vault(account="vault", below=1.0))
    yield replace(variant, book=held, settings=settings, closing="a vault takes all over")


def _per_contract(payoff: str) -> float:
    # Settlement asset per contract at the price now.
    return 1e-3 * made_study.PRICE if payoff == "linear" else 1.0 / made_study.PRICE


def _scenarios(book: Any, market: Market, flat: Rulebook) -> Rulebook:
    # Scenarios scaled so that all together are asked what the flat rule asks at the start, at both levels: a fair beginning.
    rulebook = with_maintenance(in_force("example.portfolio", market.at), _MAINTENANCE)
    asked = []
    for rules in (flat, rulebook):
        found = assess_book(book, market, rules)
        price = np.array([market.index_of(asset) or 0.0 for asset in found.assets])
        asked.append(float((found.pools.maintenance * price[found.pools.currency]).sum()))
    return with_rates(rulebook, asked[0] / asked[1])


def _preface(accounts: int, depth: float, impact: float, half_life: float, seed: int) -> str:
    return (
        f"{accounts:,} made holders of one perpetual, one in four hedged by a dated future, hold the same risk in dollars and in coin, "
        f"isolated and cross (seed {seed}). Liquidation closes a quarter of a position at a time; flow of {depth:g} times the open interest moves "
        f"the log price by {impact:g}, and half of that is gone after {half_life:g} s. The fund starts with {_FUND:.2%} of the open notional. "
        "The scenario rule is scaled to ask in all what the flat rule asks at the start, initial and maintenance. Rules are the made ones of `example.flat`."
    )


def _write(
    out: Path,
    found: tuple[tuple[Trial, ...], tuple[Index, ...]],
    paths: Mapping[str, PricePath],
    preface: str,
    plots: bool,
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    trials, index = found
    seconds = {name: np.concatenate(([0.0], path.seconds)) for name, path in paths.items()}
    pictures = study_page.drawn(trials, seconds, out) if plots else []
    title = "Margin rules and the cascades that they cause"
    page = study_page.markdown(trials, title, preface, pictures, index)
    (out / "study.md").write_text(page, encoding="utf-8")
    (out / "study.html").write_text(study_page.html(page, title), encoding="utf-8")
    rows = [{**asdict(t), "price": t.price.tolist(), "forced": t.forced.tolist()} for t in trials]
    told = {
        "preface": preface,
        "trials": rows,
        "findings": [asdict(f) for f in findings(trials)],
        "spreads": [asdict(s) for s in spreads(trials)],
        "index": [asdict(i) for i in index],
    }
    (out / "study.json").write_text(json.dumps(plain(told), indent=1) + "\n", encoding="utf-8")


COMMANDS = {"study": study}

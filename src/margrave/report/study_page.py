"""The report of a study: Markdown and HTML with plots, from the trials alone."""

from collections.abc import Sequence
from html import escape
from math import isnan
from pathlib import Path
from typing import Any, Final

from tabulate import tabulate

from margrave.core.errors import Reason, invalid
from margrave.engine.study.findings import Finding, findings
from margrave.engine.study.index import Index
from margrave.engine.study.spreads import SECONDS, Spread, spreads
from margrave.engine.study.trials import HORIZON, Trial

_HEAD: Final = (
    "rule", "payoff", "mode", "deleveraging", "furthest", "amplification", "liquidated", "deleveraged", "bankrupt",
    "fund paid", "left to others", "first closed", "accounts", "initial margin before", "covered", "asked back",
)  # fmt: skip
_STYLE: Final = (
    "body{font:16px/1.5 sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;font-size:13px}"
    "td,th{border:1px solid #bbb;padding:.2rem .45rem;text-align:right}td:nth-child(-n+4),th{text-align:left}img{max-width:100%}"
)


def cells(trial: Trial) -> tuple[str, ...]:
    """One row of the table of a path."""
    first = "never" if isnan(trial.first_seconds) else f"{trial.first_seconds:,.0f} s"
    amplified = "" if isnan(trial.amplification) else f"{trial.amplification:.3f}"
    ended = amplified if trial.ending == "done" else trial.ending
    shares = (trial.liquidated, trial.deleveraged, trial.bankrupt, trial.fund_draw, trial.socialised)
    return (
        trial.rule, trial.payoff, trial.mode, trial.deleveraging, f"{trial.deepest:+.2%}", ended,
        *(f"{share:.3%}" for share in shares), first, f"{trial.accounts_hit:,}", f"{trial.before:.2%}",
        "" if isnan(trial.covered) else f"{trial.covered:.2%}", f"{trial.clawback:.2%}",
    )  # fmt: skip


def markdown(
    trials: Sequence[Trial], title: str, preface: str, pictures: Sequence[str], index: Sequence[Index] = ()
) -> str:
    """The page in Markdown.

    Parameters
    ----------
    trials : sequence of Trial
        Of one study, all paths.
    title, preface : str
        Heading, and what was run, in sentences.
    pictures : sequence of str
        File names of plots, beside the page.
    index : sequence of Index
        Worst amplification of each rule over a grid of shocks.
    """
    first = trials[0].seed
    every = spreads(trials)
    trials = [trial for trial in trials if trial.seed == first]
    others = [trial for trial in trials if trial.closing]
    found = findings(trials)
    parts = [f"# {title}", preface, "## Where a rule makes things worse", _sentences(found, worse=True)]
    parts += ["## Where a rule only helps, or nothing differs", _sentences(found, worse=False)]
    if any(spread.seeds > 1 for spread in every):
        parts += [f"## How firm that is: {every[0].seeds} draws of the book", _firmness(every)]
    if index:
        parts += ["## The cascade index: the worst amplification over a grid of shocks", _indices(index)]
    for path in dict.fromkeys(trial.path for trial in trials):
        mine = [trial for trial in trials if trial.path == path and not trial.closing]
        parts.append(
            f"## {path}: {mine[0].outside:+.2%} outside\n\n{tabulate([cells(t) for t in mine], _HEAD, 'github', disable_numparse=True)}"
        )
        parts += [f"![{name}]({name})" for name in pictures if name.startswith(slug(path))]
        closings = [trial for trial in others if trial.path == path]
        if closings:
            parts.append(f"### {path}: ways of closing side by side\n\n{_closings(mine, closings)}")
    parts += ["## Who bears it", _borne([trial for trial in trials if not trial.closing]), _LEGEND]
    return "\n\n".join(parts) + "\n"


def _indices(index: Sequence[Index]) -> str:
    head = ("rule", "payoff", "mode", "index", "at", *(f"{shock:+.0%}" for shock in index[0].shocks))
    rows = [
        (
            i.rule,
            i.payoff,
            i.mode,
            f"{i.value:.3f}",
            f"{i.shock:+.0%}",
            *(f"{a:.3f}" for a in i.amplification),
        )
        for i in index
    ]
    return tabulate(rows, head, "github", disable_numparse=True)


def _closings(trials: Sequence[Trial], others: Sequence[Trial]) -> str:
    # Each beside the study's own way, under the same rule.
    keys = dict.fromkeys((t.rule, t.payoff, t.mode, t.deleveraging) for t in others)
    rows = []
    for key in keys:
        same = [t for t in (*trials, *others) if (t.rule, t.payoff, t.mode, t.deleveraging) == key]
        for t in same:
            shares = (
                t.liquidated,
                t.deleveraged,
                t.taken_over,
                t.discount,
                t.bankrupt,
                t.fund_draw,
                t.socialised,
            )
            told = t.rule, t.payoff, t.closing or "a quarter of every leg", f"{t.deepest:+.2%}"
            rows.append((*told, *(f"{share:.3%}" for share in shares), f"{t.accounts_hit:,}"))
    head = (
        "rule", "payoff", "closing", "furthest", "liquidated", "deleveraged", "taken over", "discount", "bankrupt", "fund paid",
        "left to others", "accounts",
    )  # fmt: skip
    return tabulate(rows, head, "github", disable_numparse=True)


def _firmness(every: Sequence[Spread]) -> str:
    rows = [
        (
            s.rule, f"{s.payoff}, {s.mode}", s.deleveraging, s.path, s.figure, f"{s.worse} of {s.seeds}", f"{s.better} of {s.seeds}",
            *(f"{value:+,.0f} s" if s.figure == SECONDS else f"{value:+.3%}" for value in (s.least, s.median, s.most)),
        )
        for s in every
    ]  # fmt: skip
    head = (
        "rule",
        "payoff, mode",
        "deleveraging",
        "path",
        "figure",
        "worse than flat",
        "better",
        "least",
        "median",
        "most",
    )
    return f"{_FIRM}\n\n{tabulate(rows, head, 'github', disable_numparse=True)}"


_FIRM: Final = (
    "The sentences above are of the first draw. Here each rule less flat over all draws: what is worse, or better, in every draw can be said of "
    "the rule; the rest is of the draw."
)

_LEGEND: Final = (
    "Shares are of the open notional at the start. *Furthest* is the price's largest move with the venue's own impact; "
    "*amplification* the whole log move at the end over that of the path; *bankrupt* the loss beyond collateral, and *left to others* "
    "what was cut from profits or paid by nobody; *initial margin before* the average asked before anybody was closed, over open notional; *covered* the share of pools and "
    f"horizons of {HORIZON} steps of the path in which a loss is within the initial margin asked at the start; *asked back* the "
    "maintenance that the path's furthest move adds, before anybody is closed, in dollars."
)


def _borne(trials: Sequence[Trial]) -> str:
    # Those runs in which somebody beside the liquidated paid.
    rows = [
        (
            t.rule, f"{t.payoff}, {t.mode}", t.deleveraging, t.path, f"{t.fund_draw:.3%}", f"{t.socialised:.3%}", f"{t.deleveraged:.2%}",
            f"{t.bearers.accounts:,}", f"{t.bearers.top_ten:.0%}", f"{t.bearers.by_leverage[-1]:.0%}", f"{sum(t.bearers.by_leverage[:5]):.0%}",
            f"{t.bearers.by_size[-1]:.0%}",
        )
        for t in trials
        if t.bearers.accounts or t.fund_draw > 0.0 or t.socialised > 0.0
    ]  # fmt: skip
    head = (
        "rule", "payoff, mode", "deleveraging", "path", "fund paid", "left to others", "deleveraged", "accounts", "ten who gave most",
        "highest tenth by leverage", "lower half by leverage", "largest tenth by size",
    )  # fmt: skip
    return (
        f"{_BORNE}\n\n{tabulate(rows, head, 'github', disable_numparse=True)}"
        if rows
        else "Nobody but the liquidated."
    )


_BORNE: Final = (
    "The fund and what is left to others are shares of the open notional; the last four columns are shares of what was taken from deleveraged winners, "
    "by their rank among all accounts at the opening."
)


def slug(path: str) -> str:
    """A path's name as a file name."""
    return "".join(c if c.isalnum() else "-" for c in path.lower())


def _sentences(found: Sequence[Finding], *, worse: bool) -> str:
    told = [f"- {each.sentence}" for each in found if bool(each.worse) == worse]
    return "\n".join(told) or "- None."


def html(page: str, title: str) -> str:
    """The Markdown of `markdown` as one page of HTML."""
    body: list[str] = []
    rows: list[str] = []
    for line in [*page.splitlines(), ""]:
        if line.startswith("|"):
            rows.append(line)
            continue
        if rows:
            body.append(_table(rows))
            rows = []
        body.append(_line(line))
    return f"<!doctype html><meta charset=utf-8><title>{escape(title)}</title><style>{_STYLE}</style>\n{''.join(body)}\n"


def _line(line: str) -> str:
    if line.startswith("!["):
        name = escape(line.split("](")[1].rstrip(")"))
        return f'<img src="{name}" alt="{name}">\n'
    if line.startswith("#"):
        level = len(line) - len(line.lstrip("#"))
        return f"<h{level}>{escape(line.lstrip('# '))}</h{level}>\n"
    if line.startswith("- "):
        return f"<li>{escape(line[2:])}</li>\n"
    return f"<p>{escape(line.replace('*', ''))}</p>\n" if line else ""


def _table(rows: list[str]) -> str:
    told = [[escape(cell.strip()) for cell in row.strip("|").split("|")] for row in rows]
    head = "".join(f"<th>{cell}</th>" for cell in told[0])
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>\n" for row in told[2:])
    return f"<table><tr>{head}</tr>\n{body}</table>\n"


def drawn(trials: Sequence[Trial], seconds: dict[str, Any], folder: Path) -> list[str]:
    """Plots of every path: the price and the forced volume of each rule; file names, in order.

    Raises
    ------
    InvalidInputError
        matplotlib is not there.
    """
    try:
        import matplotlib
    except ImportError as fault:
        message = "plots need matplotlib; install it with: pip install 'margrave[plot]', or pass --no-plots"
        raise invalid("matplotlib", Reason.NOT_FOUND, message) from fault
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    names = []
    base, first = trials[0].deleveraging, trials[0].seed
    for path in dict.fromkeys(trial.path for trial in trials):
        mine = [
            trial
            for trial in trials
            if (trial.path, trial.deleveraging, trial.seed, trial.closing) == (path, base, first, "")
        ]
        groups = list(dict.fromkeys((trial.payoff, trial.mode) for trial in mine))
        figure = Figure(figsize=(4.2 * len(groups), 6.0), layout="constrained")
        axes = figure.subplots(2, len(groups), squeeze=False, sharey="row")
        for k, group in enumerate(groups):
            for trial in mine:
                if (trial.payoff, trial.mode) == group:
                    minutes = seconds[path][: len(trial.price)] / 60.0
                    axes[0, k].plot(minutes, trial.price, label=trial.rule, lw=1.4)
                    axes[1, k].plot(minutes, trial.forced, lw=1.4)
            axes[0, k].set_title(", ".join(group))
            axes[1, k].set_xlabel("minutes")
        axes[0, 0].set_ylabel("price, of the opening")
        axes[1, 0].set_ylabel("closed by force, of open notional")
        # Not every group has every rule: the names stand where all of them are.
        max(axes[0], key=lambda panel: len(panel.lines)).legend(frameon=False)
        name = f"{slug(path)}.png"
        figure.savefig(folder / name, dpi=110, metadata={"Software": None})
        names.append(name)
    return names + _bearers_drawn(trials, folder)


def _bearers_drawn(trials: Sequence[Trial], folder: Path) -> list[str]:
    # Of the first draw: what each deleveraging rule took from each tenth of accounts, under the flat rule.
    from matplotlib.figure import Figure

    names = []
    for path in dict.fromkeys(trial.path for trial in trials):
        mine = [
            t
            for t in trials
            if (t.path, t.seed, t.rule, t.closing) == (path, trials[0].seed, "flat", "")
            and t.bearers.accounts
        ]
        if not mine:
            continue
        figure = Figure(figsize=(9.0, 3.6), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        for trial in mine:
            label = f"{trial.payoff}, {trial.mode}, {trial.deleveraging}"
            axes[0].plot(range(1, 11), trial.bearers.by_leverage, marker=".", lw=1.2, label=label)
            axes[1].plot(range(1, 11), trial.bearers.by_size, marker=".", lw=1.2)
        axes[0].set_xlabel("tenth of accounts by leverage")
        axes[1].set_xlabel("tenth of accounts by size")
        axes[0].set_ylabel("share of what was taken from winners")
        axes[0].legend(frameon=False, fontsize=7)
        name = f"{slug(path)}-who-bears-it.png"
        figure.savefig(folder / name, dpi=110, metadata={"Software": None})
        names.append(name)
    return names

"""Isolated against cross over paths of markets: who is liquidated too early, and who is dragged along.

Two counters of the specification. Premature (CM-2): isolated positions are liquidated on a path that the same
account in cross mode survives and ends solvent. Contagion (CM-3): cross mode loses positions on a path on which,
isolated, they stand to the end.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from margrave.core.words import MarginMode
from margrave.domain.account import Account
from margrave.domain.market import Market
from margrave.engine.analysis.compare import in_mode
from margrave.engine.assess import assess
from margrave.engine.assessment import Assessment, Status
from margrave.rulebook.schema import Rulebook


@final
@dataclass(frozen=True, slots=True)
class PathOutcome:
    """What a path does to an account in both modes. Positions are rows of the account."""

    isolated: tuple[int, ...]  # positions that are liquidated alone
    cross: tuple[int, ...]  # positions that are liquidated with their pool
    is_solvent: bool  # every cross pool ends with equity of zero or more
    is_known: bool  # everything could be valued at every instant

    @property
    def premature(self) -> tuple[int, ...]:
        """Positions that isolated mode loses although cross mode keeps all and ends solvent."""
        return self.isolated if self.is_known and not self.cross and self.is_solvent else ()

    @property
    def dragged(self) -> tuple[int, ...]:
        """Positions that cross mode loses and isolated mode keeps."""
        return tuple(p for p in self.cross if p not in self.isolated) if self.is_known else ()


@final
@dataclass(frozen=True, slots=True)
class Counts:
    """Paths by what they show; a path that cannot be valued counts as unknown and as nothing else."""

    paths: int
    unknown: int
    premature: int
    contagion: int
    dragged: int  # positions, over all paths
    outcomes: tuple[PathOutcome, ...]


def contagion_counts(account: Account, paths: Iterable[Sequence[Market]], rulebook: Rulebook) -> Counts:
    """Count premature liquidations and contagion over paths.

    Parameters
    ----------
    account : Account
        Positions at the start of every path; nothing is traded on the way.
    paths : iterable of sequence of Market
        Instants of each path, in order; an isolated position gets at the first what opening it asks.
    rulebook : Rulebook
        Must know both modes.

    Returns
    -------
    Counts
        A position is liquidated at the first instant at which its pool is. What liquidation costs is left out,
        and a pool that is liquidated stays so.
    """
    outcomes = tuple(_outcome(account, tuple(path), rulebook) for path in paths)
    return Counts(
        len(outcomes),
        sum(not o.is_known for o in outcomes),
        sum(bool(o.premature) for o in outcomes),
        sum(bool(o.dragged) for o in outcomes),
        sum(len(o.dragged) for o in outcomes),
        outcomes,
    )


def _outcome(account: Account, path: tuple[Market, ...], rulebook: Rulebook) -> PathOutcome:
    if not path:
        raise ValueError("a path needs at least one market")
    alone, together = (
        in_mode(account, path[0], rulebook, mode) for mode in (MarginMode.ISOLATED, MarginMode.CROSS)
    )
    single = [assess(alone, market, rulebook) for market in path]
    pooled = [assess(together, market, rulebook) for market in path]
    return PathOutcome(
        _lost(alone, single),
        _lost(together, pooled),
        all(pool.equity >= 0.0 for pool in pooled[-1].pools),
        all(found.status is not Status.UNKNOWN for found in (*single, *pooled)),
    )


def _lost(account: Account, found: Sequence[Assessment]) -> tuple[int, ...]:
    lost: set[int] = set()
    for assessment in found:
        closed = [pool for pool in assessment.pools if pool.status is Status.LIQUIDATABLE]
        held = {(p.symbol, p.quantity, p.entry) for pool in closed for p in pool.positions}
        lost |= {row for row, p in enumerate(account.positions) if (p.symbol, p.quantity, p.entry) in held}
    return tuple(sorted(lost))

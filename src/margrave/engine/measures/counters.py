"""Isolated against cross over many paths, on plain arrays: liquidated too early, or dragged along (spec CM-2, CM-3)."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.kernels.arrays import I64, Bools


@final
@dataclass(frozen=True, slots=True)
class Tally:
    """Paths by what they show; a path that is not known counts as unknown and as nothing else."""

    paths: int
    unknown: int
    premature: I64  # (N,) positions that isolated mode loses although cross mode keeps all and ends solvent
    dragged: I64  # (N,) positions that cross mode loses and isolated mode keeps

    @property
    def premature_paths(self) -> int:
        """Paths with a premature liquidation."""
        return int(np.count_nonzero(self.premature))

    @property
    def contagion_paths(self) -> int:
        """Paths on which cross mode drags a position along."""
        return int(np.count_nonzero(self.dragged))


def tally(isolated: Bools, cross: Bools, is_solvent: Bools, is_known: Bools | None = None) -> Tally:
    """Count over paths.

    Parameters
    ----------
    isolated, cross : (N, P) ndarray of bool
        Whether each position is liquidated on each path, in either mode.
    is_solvent : (N,) ndarray of bool
        Whether the account in cross mode ends with equity of zero or more.
    is_known : (N,) ndarray of bool, optional
        Whether everything could be valued; everywhere if not given.
    """
    if isolated.shape != cross.shape or is_solvent.shape != isolated.shape[:1]:
        raise ValueError("isolated, cross and is_solvent must be of the same paths and positions")
    known = np.ones(len(isolated), dtype=bool) if is_known is None else is_known
    survives = known & is_solvent & ~cross.any(axis=1)
    return Tally(
        len(isolated),
        int((~known).sum()),
        np.where(survives, isolated.sum(axis=1), 0),
        np.where(known, (cross & ~isolated).sum(axis=1), 0),
    )

"""A run as the columns that `engine.measures` reads, the same that recorded data fill."""

import numpy as np

from margrave.core.errors import Reason, invalid
from margrave.engine.measures.run import Steps as Measured
from margrave.engine.measures.run import steps_of
from margrave.engine.simulation.run import Run
from margrave.kernels.arrays import F64


def measured(run: Run, asset: str) -> Measured:
    """Columns of a run around one asset, with the opening in front.

    Parameters
    ----------
    run : Run
        Simulated.
    asset : str
        Whose price, with and without the venue's own impact, stands in the columns; volumes are those of the whole book
        [numeraire].

    Raises
    ------
    InvalidInputError
        The asset is none of the book's, or has no index price.
    """
    price = run.frame.market.index_of(asset)
    if asset not in run.frame.assets or price is None:
        raise invalid(asset, Reason.NOT_FOUND, "is no asset of the run with an index price; correct the name")
    at, steps = run.frame.assets.index(asset), run.steps

    def began(column: F64, start: float) -> F64:
        return np.concatenate(([start], column))

    return steps_of(
        began(steps.seconds, 0.0),
        price=began(price * steps.last[:, at], price),
        outside=began(price * steps.outside[:, at], price),
        open_interest=began(steps.open_notional, run.open_notional),
        liquidated=began(steps.liquidated, 0.0),
        deleveraged=began(steps.deleveraged, 0.0),
        shortfall=began(steps.shortfall, 0.0),
        fund=began(steps.fund, run.fund),
    )

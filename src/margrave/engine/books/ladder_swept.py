"""Pools margined by size through the compiled kernel: what it needs of a market, and what it answers.

The kernel serves futures and perpetuals on ladders and options on the standard formula, cross and isolated, under directional schedules,
with leverage chosen by the holder, closing fees, rounding, and open orders at their worst fill. An instrument whose margin reads open
interest, its premium at entry, other legs, or a number that the kernel does not have is a row of NaN, whose pools go the way in NumPy.
"""

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from margrave.core.rounding import (
    CLOSE,
    Direction,
    last_digits,
    makes_whole,
)
from margrave.core.rounding import Step as Rounding
from margrave.core.words import INITIAL, MAINTENANCE
from margrave.engine.books.directional_swept import directional_of
from margrave.engine.books.ladder_numbers import numbers_of, others_of, rows_of
from margrave.engine.books.laid import Chosen, LaidBook
from margrave.kernels.compiled import ladder_steps as steps
from margrave.kernels.compiled.coin_pools import PoolMargins, empty_margins, margins_in
from margrave.kernels.compiled.compiler import in_pieces, row_bounds
from margrave.kernels.compiled.directional_pools import DirectionalTerms, directional_pools
from margrave.kernels.compiled.ladder_pools import Grid, LadderTerms, Tiers, ladder_pools
from margrave.margin.plan import FlatLadders
from margrave.margin.resolve import Resolved
from margrave.rulebook.bands import liquidation_ratio
from margrave.rulebook.schema import (
    CreditScope,
    CrossPool,
    Netting,
    OrderBasis,
    OrderRule,
    Rulebook,
)

_PIECE: Final = 20_000  # positions that are worth a thread
_AT_ONCE: Final = 16_384  # pools of which the multipliers fit a cache
_ORDER_BASES: Final = {
    OrderBasis.ORDER: steps.AT_PRICE,
    OrderBasis.MARK: steps.AT_MARK,
    OrderBasis.WORST: steps.AT_WORSE,
}


@final
@dataclass(frozen=True, slots=True)
class LadderSweep:
    """A rulebook in a market as the kernel takes it."""

    terms: LadderTerms
    directional: DirectionalTerms | None


def is_by_size(rulebook: Rulebook) -> bool:
    """Whether the kernel can serve the rulebook at all."""
    account = rulebook.account
    plain = account.netting is Netting.NONE
    plain &= account.orders in (OrderRule.NONE, OrderRule.WORST_FILL)
    owes = any(rule.debt is not None for rule in account.collateral)
    return rulebook.portfolio is None and account.cross_pool is not CrossPool.ACCOUNT and plain and not owes


def ladder_sweep_of(resolved: Resolved) -> LadderSweep | None:
    """What the kernel needs of a market; None where it can serve nothing under the rulebook."""
    others = others_of(resolved)
    if not is_by_size(resolved.rulebook) or (others.size and others.all()):
        return None
    flat, account = resolved.plan.flat, resolved.rulebook.account
    closing = liquidation_ratio(account.bands)
    basis = _ORDER_BASES[account.order_basis]
    tiers = _tiers(flat[INITIAL]), _tiers(flat[MAINTENANCE])
    told = LadderTerms(
        numbers_of(resolved, others),
        rows_of(resolved),
        tiers,
        _grid(resolved.rulebook),
        closing,
        (account.profit_credit, account.profit_scope is CreditScope.POSITION, account.option_value_credit),
        basis,
        account.open_loss,
    )
    return LadderSweep(told, directional_of(resolved))


def _tiers(flat: FlatLadders) -> Tiers:
    root = np.zeros(0) if flat.root is None else flat.root
    return Tiers(flat.floor, flat.rate, flat.slope, flat.deduction, root)


def _grid(rulebook: Rulebook) -> Grid:
    rule = rulebook.rounding.margin
    if rule is None:
        return Grid(0.0, 0.0, 0, 0.0, 0.0)
    whole = makes_whole(Rounding(rule.step, rule.direction))
    return Grid(
        rule.step,
        float(round(1.0 / rule.step)),
        list(Direction).index(rule.direction),
        CLOSE if whole else np.inf,  # where steps make no unit, everything is close to one
        last_digits(rule.step) if whole else np.inf,
    )


def ladders_swept(sweep: LadderSweep, laid: LaidBook, pool: Executor | None = None) -> PoolMargins:
    """Pools in a market.

    Parameters
    ----------
    sweep : LadderSweep
        Rulebook and market.
    laid : LaidBook
        From `lay_out_alone`, of instruments as the sweep has them.
    pool : Executor, optional
        Threads; the answer is the same bytes.

    Returns
    -------
    PoolMargins
        With the digits of the calculation in NumPy, but for those of a schedule's logarithm. `UNFINISHED` is what the kernel cannot
        value.
    """
    rows, out = laid.rows, empty_margins(len(laid.account), counted_apart=True)
    chosen = laid.chosen
    assert chosen is not None

    def run(begin: int, past: int) -> None:
        for first in range(begin, past, _AT_ONCE):
            _block(sweep, laid, chosen, (first, min(first + _AT_ONCE, past)), out)

    in_pieces(run, len(laid.account), lambda: row_bounds(rows.start, _PIECE), pool)
    return out


def _block(
    sweep: LadderSweep, laid: LaidBook, chosen: Chosen, span: tuple[int, int], out: PoolMargins
) -> None:
    # Multipliers of some pools, then their margins, so that both stay in a cache.
    rows, begin = laid.rows, int(laid.rows.start[span[0]])
    factors = _NO_FACTORS
    if sweep.directional is not None:
        room = np.empty((2, int(rows.start[span[1]]) - begin))
        directional_pools(sweep.directional, rows, chosen.entry, chosen.remembered, span, (room[0], room[1]))
        factors = room
    told = chosen.leverage, chosen.order_price, chosen.order_leverage, chosen.entry
    ladder_pools(sweep.terms, rows, told, (factors[0], factors[1], begin), span, margins_in(out, *span))


_NO_FACTORS = np.zeros((2, 0))

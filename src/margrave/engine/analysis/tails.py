"""What joint scenarios say of an account: losses, their tail and its precision, solvency, and the quick formula's error."""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.errors import Reason, invalid
from margrave.domain.account import Account
from margrave.domain.book import book_of
from margrave.domain.checks import require
from margrave.domain.market import Market
from margrave.kernels.arrays import F64
from margrave.kernels.tail import least_collateral, solvency_share
from margrave.margin.joint import JointScene, pool_columns
from margrave.margin.pooled import evaluate, prepare
from margrave.margin.pools import pool_name
from margrave.margin.tails.tail import tail_margin
from margrave.margin.tails.tail_check import TailCheck, tail_check
from margrave.rulebook.schema import Rulebook
from margrave.rulebook.tail import TailModel
from margrave.valuation.scenarios import now


@final
@dataclass(frozen=True, slots=True)
class PoolTail:
    """One pool in its joint scenarios; money in the pool's currency."""

    name: str
    currency: str
    equity: float
    losses: F64  # (N,) loss > 0
    tail: float  # by the rulebook's measure
    binding: tuple[int, ...]  # rows that decide it, worst first, counted from zero
    standard_error: float | None  # of draws; None of a history
    upper: float | None  # the tail is below, at the rulebook's sureness or 95 %
    solvency: float  # share of rows after which equity is not below zero
    collateral: float  # least equity for the share of solvent rows that was asked
    check: TailCheck  # delta, gamma and vega beside full revaluation


def tails(
    account: Account, market: Market, rulebook: Rulebook, target: float = 0.995
) -> tuple[PoolTail, ...]:
    """Joint scenarios of every pool that the rulebook's tail model margins.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The three inputs of the one calculation.
    target : float
        Share of rows in which a pool shall stay solvent, in (0, 1).

    Returns
    -------
    tuple of PoolTail
        Pools that can be valued. Open orders are left out.

    Raises
    ------
    InvalidInputError
        The rulebook has no tail model.

    References
    ----------
    Spec CBM-1 and CBM-2, PMM-5, RBM-7.
    """
    require(0.0 < target < 1.0, "target", target, "between zero and one, 0.995 for 99.5 %")
    model = rulebook.portfolio
    if not isinstance(model, TailModel):
        text = "has no portfolio model of joint scenarios; choose one whose [portfolio] has model = 'tail'"
        raise invalid(rulebook.id, Reason.UNSUPPORTED, text)
    prepared = prepare(book_of((account,)), market, rulebook)
    assert prepared.joined is not None, "a rulebook with a portfolio model has members"
    pooled, table, book = evaluate(prepared), prepared.table, prepared.book
    pools, position = prepared.pools, prepared.joined.members.position
    scene = JointScene(prepared.plan, table, now(table), market, book, pools, prepared.joined)
    held = np.where(position >= 0, book.quantity[position] if len(book.quantity) else 0.0, 0.0)
    found = []
    columns = pool_columns(scene, held, pooled.workings.balances.owned)
    for row, pool in enumerate(columns.pool.tolist()):
        if pool in prepared.issues:
            continue
        margin = tail_margin(model, columns, row)
        sure, equity = margin.precision, float(pooled.equity[0, pool])
        found.append(
            PoolTail(
                pool_name(pools, table, book, pool),
                margin.currency,
                equity,
                margin.losses,
                margin.tail.value,
                tuple(margin.tail.row.tolist()),
                None if sure is None else sure.standard_error,
                None if sure is None else sure.upper,
                solvency_share(margin.losses, equity),
                least_collateral(margin.losses, target),
                tail_check(model, columns, row, margin),
            )
        )
    return tuple(found)

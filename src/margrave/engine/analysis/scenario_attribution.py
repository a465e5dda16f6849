"""What the worst scenario of portfolio margin is made of: by position, by Greek, and what no Greek explains (spec PMM-7).

Profit of each position is read off the workings of the calculation, and only its Greeks are computed here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.errors import Reason, refused
from margrave.domain.account import Account
from margrave.domain.book import book_of
from margrave.domain.market import Market
from margrave.kernels.arrays import F64, I64
from margrave.kernels.black76 import coin_greeks, quote_greeks
from margrave.margin.pooled import evaluate, prepare
from margrave.margin.pools import pool_name
from margrave.margin.scenario.cell_parts import CellParts, cell_parts, moving_balances, symbols
from margrave.margin.scenario.cells import cell_vols, discounts, fixed_part, pool_rates
from margrave.margin.scenario.scenarios import ScenarioMargin
from margrave.margin.scenario.scene import base_vols
from margrave.margin.scenario.unit_risk import Block
from margrave.rulebook.schema import Rulebook


@final
@dataclass(frozen=True, slots=True)
class ByGreek:
    """Profit in a cell and what explains it [pool currency]; a gain is above zero."""

    symbol: str
    profit: float
    delta: float  # first order in the price
    gamma: float  # second order
    vega: float  # first order in the vol
    remainder: float  # cross terms, higher orders, bounds of an option's price


@final
@dataclass(frozen=True, slots=True)
class WorstScenario:
    """The cell that binds one risk unit, weighted as the cell is; money in the pool's currency."""

    pool: str
    currency: str
    underlying: str
    cell: int  # from one, as the tree of a requirement counts
    move: float  # of every price of the underlying, a fraction
    vol: str  # what happens to vols
    weight: float  # share of a loss that counts
    loss: float  # >= 0; positions, collateral and rest add up to its negative
    positions: tuple[ByGreek, ...]
    collateral: tuple[tuple[str, float], ...]  # balances that move with the underlying
    rest: tuple[tuple[str, float], ...]  # what the model does: discounts, share of gains, rounding

    @property
    def total(self) -> ByGreek:
        """All positions together."""
        names = ("profit", "delta", "gamma", "vega", "remainder")
        return ByGreek("all", *(sum(getattr(p, name) for p in self.positions) for name in names))

    @property
    def residual(self) -> float:
        """What neither Greeks nor collateral explain, the model's own part among it."""
        return self.total.remainder + sum(amount for _, amount in self.rest)


def worst_scenarios(account: Account, market: Market, rulebook: Rulebook) -> tuple[WorstScenario, ...]:
    """The worst scenario of every risk unit of an account, by position and by Greek.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        The three inputs of the one calculation.

    Returns
    -------
    tuple of WorstScenario
        Unit by unit. NaN where something is not known.

    Raises
    ------
    RefusedError
        The rulebook has no scenarios.
    """
    prepared = prepare(book_of((account,)), market, rulebook)
    joint = evaluate(prepared).workings.joint
    if joint is None or not isinstance(joint.workings, ScenarioMargin):
        text = "margins by no scenarios; choose one whose [portfolio] has model 'scenarios'"
        raise refused(rulebook.id, Reason.NOT_ALLOWED, text)
    pools, names = prepared.pools, prepared.table.assets
    found = []
    for block in joint.workings.blocks:
        for row in range(len(block.unit)):
            pool = int(block.scene.units.unit_pool[row])
            told = pool_name(pools, prepared.table, prepared.book, pool)
            found.append(_worst(block, row, told, names[int(pools.currency[pool])]))
    return tuple(found)


def _worst(block: Block, unit: int, pool: str, currency: str) -> WorstScenario:
    scene, parts = block.scene, cell_parts(block, unit)
    moving = zip(moving_balances(scene, parts), parts.collateral.tolist(), strict=True)
    return WorstScenario(
        pool,
        currency,
        scene.table.assets[int(scene.units.unit_base[unit])],
        parts.cell + 1,
        parts.move,
        str(parts.vol),
        parts.factor,
        parts.worst,
        tuple(_by_greek(block, parts)),
        tuple(moving),
        parts.rest,
    )


def _by_greek(block: Block, parts: CellParts) -> Iterator[ByGreek]:
    scene, move = block.scene, parts.move
    units, table, member = scene.units, scene.table, parts.member
    at = units.instrument[member]
    # Worth of one contract by the log of the price, in payoff assets: slope and curvature at no move.
    mark, c = scene.priced.mark[0, at], table.c[at]
    inverse = np.divide(c, mark, out=np.zeros(len(at)), where=c > 0.0)
    slope, curve, by_vol = table.a[at] * mark + inverse, -2.0 * inverse, np.zeros(len(at))
    option = np.flatnonzero(units.is_option[member])
    if option.size:
        greeks = _option_slopes(block, parts.cell, at[option]) * table.a[at[option]]
        slope[option], curve[option], by_vol[option] = greeks
    rate, power = pool_rates(table, scene.priced, scene.pools, units)
    # A gain is converted at the cell's price, which bends it by its own slope.
    per = scene.quantity[member] * rate[0, member] * parts.factor
    delta = per * slope * move
    gamma = per * (0.5 * curve + power[member] * slope) * move * move
    vega = per * by_vol
    columns = (parts.profit, delta, gamma, vega, parts.profit - delta - gamma - vega)
    # Adding zero takes the sign off a zero.
    for symbol, *amounts in zip(symbols(scene, parts), *((x + 0.0).tolist() for x in columns), strict=True):
        yield ByGreek(symbol, *amounts)


def _option_slopes(block: Block, cell: int, rows: I64) -> F64:
    # (3, n): slope and curvature by the price, change by the cell's move of vol; per coin, in the marks' unit.
    scene = block.scene
    table, model = scene.table, scene.model
    forward, vol = scene.priced.forward[0, rows], base_vols(model, table, rows)
    moved = cell_vols(scene.terms, block.worth.grid, table, rows, forward[None, :], vol)[0, cell]
    # What a settlement window has fixed does not move.
    moving = forward - fixed_part(model, table, rows, forward[None, :])[0]
    terms = (forward, table.strike[rows], np.nan_to_num(vol), table.years[rows], table.is_call[rows])
    in_coin, in_quote = coin_greeks(*terms), quote_greeks(*terms)
    coin = table.is_coin_premium[rows]
    slope = np.where(coin, in_coin.coin_delta, in_quote.delta) * moving
    curve = np.where(coin, in_coin.coin_gamma, in_quote.gamma) * moving * moving
    by_vol = np.where(coin, in_coin.coin_vega, in_quote.vega) * (moved - vol)
    known = np.where(np.isnan(vol), np.nan, discounts(model, table, rows))
    return np.stack((slope, curve, by_vol)) * known

"""Full revaluation of pools in joint scenarios: contracts by their own formulas, never by a delta.

Every contract is worth in a scenario what its payoff says at the scenario's prices: an inverse contract in coin, an
option by Black-76, and what it pays is converted at the scenario's prices. A contract is valued once, whoever holds
it; pools then add theirs up, each in its own order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from margrave.kernels.arrays import F64, I64
from margrave.kernels.groups import first_seen
from margrave.kernels.weighted import weighted_sums
from margrave.margin.pool_view import PoolColumns
from margrave.margin.tails.joint_rows import JointRows
from margrave.valuation.scenarios import (
    Priced,
    bounded_marks,
    model_worth,
    moved_forward,
    rows_of,
    vol_at_mark,
)
from margrave.valuation.table import Table

_BLOCK: Final = 1 << 18  # cells (scenario by contract, or by pool) at a time
_KEPT: Final = 1 << 22  # cells of contracts that stay while pools are added up


@final
@dataclass(frozen=True, slots=True)
class Contracts:
    """Contracts that pools hold, each counted in one pool's currency; (u,)."""

    instrument: I64  # rows of the table
    currency: I64  # rows of its assets
    vol: F64  # of options before any move; 0 elsewhere, NaN where not known


@final
@dataclass(frozen=True, slots=True)
class Exposures:
    """What V pools hold in S rows of prices: net contracts, each once a pool, and collateral that moves."""

    table: Table
    priced: Priced
    currency: I64  # (V,)
    contract: Contracts
    owner: I64  # (n,) pool of each net position, ascending
    unit: I64  # (n,) contract of each
    quantity: F64  # (n,)
    bucket_owner: I64  # (b,) pool of each balance that moves, ascending; in the order of the assets' names
    asset: I64  # (b,)
    owned: F64  # (S, b) [asset]


def exposures_of(columns: PoolColumns, collateral_moves: bool) -> Exposures:
    """Net the members of pools; their balances too where they move."""
    table = columns.table
    first, place = first_seen(columns.owner * len(table.instruments) + columns.instrument)
    owner, instrument = columns.owner[first], columns.instrument[first]
    currency = columns.currency[owner]
    seen, unit = first_seen(instrument * len(table.assets) + currency)
    instrument = instrument[seen]
    vol = np.zeros(len(instrument))
    options = np.flatnonzero(table.is_option[instrument])
    vol[options] = vol_at_mark(table, instrument[options])
    moving = np.flatnonzero(columns.owned.any(axis=0) & collateral_moves)
    # In the order of their names, which no other account can change.
    rank = np.argsort(sorted(range(len(table.assets)), key=table.assets.__getitem__))
    moving = moving[np.lexsort((rank[columns.asset[moving]], columns.bucket_owner[moving]))]
    return Exposures(
        table,
        columns.priced,
        columns.currency,
        Contracts(instrument, currency[seen], vol),
        owner,
        unit,
        np.asarray(np.bincount(place, columns.quantity, len(first)), dtype=np.float64),
        columns.bucket_owner[moving],
        columns.asset[moving],
        columns.owned[:, moving],
    )


def profits_of(exposures: Exposures, rows: JointRows) -> Iterator[tuple[int, F64]]:
    """Profits of pools in every joint scenario and row of prices, some at a time.

    Parameters
    ----------
    exposures : Exposures
        Positions, and collateral that moves.
    rows : JointRows
        N scenarios.

    Yields
    ------
    tuple of int and (k, N) ndarray
        The first case, and profits of that and the next ones, each in its pool's currency; no time passes. Cases
        are all pools in the first row of prices, then all in the second. NaN where a price or vol is not known.
    """
    table, count = exposures.table, len(rows.price)
    key = exposures.asset * len(table.assets) + exposures.currency[exposures.bucket_owner]
    first, held = first_seen(key)
    asset, currency = exposures.asset[first], exposures.currency[exposures.bucket_owner[first]]
    contracts = len(exposures.contract.instrument)
    each, pools = contracts + len(first), len(exposures.currency)
    owner = np.concatenate((exposures.owner, exposures.bucket_owner))
    order = owner.argsort(kind="stable")
    unit = np.concatenate((exposures.unit, contracts + held))[order]
    start = owner[order].searchsorted(np.arange(pools + 1))
    at_once = max(_KEPT // max(each * count, 1), 1)
    for low in range(0, len(exposures.priced.mark), at_once):
        part = rows_of(exposures.priced, slice(low, low + at_once))
        gain = np.concatenate(
            (
                _contract_gains(table, part, exposures.contract, rows),
                _asset_gains(table, part, asset, currency, rows),
            ),
            axis=1,
        ).reshape(len(part.mark) * each, count)
        own = np.arange(len(part.mark))[:, None]
        quantity = np.broadcast_to(exposures.quantity, (len(part.mark), len(exposures.quantity)))
        weight = np.concatenate((quantity, exposures.owned[low : low + at_once]), axis=1)[:, order]
        starts = np.append((own * len(order) + start[:-1]).ravel(), weight.size)
        row = (own * each + unit).ravel()
        step = max(_BLOCK // max(count, 1), 1)
        for case in range(0, len(starts) - 1, step):
            some = starts[case : case + step + 1]
            yield low * pools + case, weighted_sums(gain, row, weight.ravel(), some)


def profits(exposures: Exposures, rows: JointRows) -> F64:
    """Profit of the first pool in every joint scenario, (N,)."""
    _, gained = next(profits_of(exposures, rows))
    return np.asarray(gained[0])


def _by_asset(table: Table, rows: JointRows, column: F64) -> F64:
    # (n, A): what does not move keeps its price.
    factor = np.ones((len(column), len(table.assets)))
    for place, asset in enumerate(rows.assets):
        factor[:, table.assets.index(asset)] = column[:, place]
    return factor


def _contract_gains(table: Table, priced: Priced, contract: Contracts, rows: JointRows) -> F64:
    # Profit of one long contract in each row of prices and scenario, (S, u, N).
    at, count = contract.instrument, len(rows.price)
    out = np.empty((len(priced.mark), len(at), count))
    options = np.flatnonzero(table.is_option[at])
    c, mark = table.c[at], priced.mark[:, None, at]
    to_currency = _conversion(priced, table.payoff[at], contract.currency)
    step = max(_BLOCK // max(len(priced.mark) * len(at), 1), 1)
    for first in range(0, count, step):
        part = slice(first, first + step)
        factor = _by_asset(table, rows, rows.price[part])
        move = factor[:, table.base[at]] / factor[:, table.quote[at]]
        moved = mark * move
        if options.size:
            times = _by_asset(table, rows, rows.vol[part])[:, table.base[at[options]]]
            moved[:, :, options] = _options(table, priced, contract, options, move[:, options], times)
        inverse = np.divide(c, mark * moved, out=np.zeros(moved.shape), where=c > 0.0)
        rate = to_currency * factor[:, table.payoff[at]] / factor[:, contract.currency]
        out[:, :, part] = ((moved - mark) * (table.a[at] + inverse) * rate).transpose(0, 2, 1)
    return out


def _options(table: Table, priced: Priced, contract: Contracts, options: I64, move: F64, times: F64) -> F64:
    at, vol = contract.instrument[options], contract.vol[options]
    forward = priced.forward[:, None, at]
    shift = model_worth(table, at, moved_forward(forward, table.averaged[at], move), vol * times)
    shift = shift - model_worth(table, at, forward, vol)
    return bounded_marks(table, at, priced.mark[:, None, at], shift)


def _asset_gains(table: Table, priced: Priced, asset: I64, currency: I64, rows: JointRows) -> F64:
    # What one unit of an asset gains, (S, u, N).
    factor = _by_asset(table, rows, rows.price)
    now = _conversion(priced, asset, currency)
    return np.asarray((now * factor[:, asset] / factor[:, currency] - now).transpose(0, 2, 1))


def _conversion(priced: Priced, asset: I64, currency: I64) -> F64:
    # Currency per asset at each row of prices, (S, 1, u).
    with np.errstate(invalid="ignore"):
        rate = priced.asset_price[:, asset] / priced.asset_price[:, currency]
    return np.where(asset == currency, 1.0, rate)[:, None, :]

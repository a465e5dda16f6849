"""How fast what decides a pool's status can change when prices move: bounds that are proven, not measured.

A *pair* is a price: of an asset in another. A pool's prices are its pairs: marks move with (base, quote), what is converted
with (payoff, settlement) and (settlement, pool currency). With x the logarithms of what the pairs are multiplied by, and
every mark, index and forward free to part from its pair, `steepness_of` gives numbers L with

    |left(x) - left(y)| <= sum over pairs of L |x - y|     as long as no |x| or |y| exceeds ``reach`` and ``until``,

for ``left`` the balance less initial margin, and less the maintenance at which the venue closes. Proof: ``left`` is made of
sums, products of prices, maxima and minima of them. The derivative of each part by the logarithm of a price is bounded by
its largest value in the reach; those of sums add up, a maximum and a clip move no faster than what they are of, and the
bounds of a pair are of all its prices one by one, so that they may differ. Where a part jumps (at the edge of a tier) the
proof ends: ``until`` says after which move. Where nothing is known, L is infinite.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from margrave.core.words import INITIAL
from margrave.kernels.arrays import F64, I64, Bools
from margrave.liquidation.steep_charges import add_ladders, add_orders, add_short_options, is_proven
from margrave.liquidation.steep_parts import Centres, Slots, centres
from margrave.liquidation.steep_scenarios import add_scenarios
from margrave.margin.pooled import Pooled, Prepared
from margrave.margin.pools import grouped_sum
from margrave.rulebook.portfolio import ScenarioModel
from margrave.valuation.scenarios import Priced


@final
@dataclass(frozen=True, slots=True)
class Steepness:
    """Bounds of a book's pools at S centres."""

    pool: I64  # (E,)
    pair: I64  # (E,) as `steep_parts.pair_of`
    level: F64  # (2, S, E) of balance less initial, and less maintenance at the closing ratio; inf: nothing is proven
    until: F64  # (S, K) the move of every pair of a pool up to which the numbers hold [logarithm]
    unproven: Bools  # (2, K) levels of pools under a rule that has no proof here
    rounding: F64  # (K,) what the venue's rounding may add at one instant [pool currency]


def steepness_of(prepared: Prepared, priced: Priced, pooled: Pooled, reach: float) -> Steepness:
    """Bounds on how fast what is left of pools changes.

    Parameters
    ----------
    prepared : Prepared
        Book, market and rules.
    priced, pooled : Priced, Pooled
        Prices of S centres, and the pools there.
    reach : float
        How far every pair may move from a centre, either way, >= 0 [logarithm].

    Returns
    -------
    Steepness
        Nothing is proven of pools that are unknown, and of models that margin one pool at a time.
    """
    at = centres(prepared, priced, pooled, reach)
    slots = Slots(len(prepared.table.assets), [], [], [])
    unproven = _unproven(prepared, pooled)
    _add_balances(at, slots)
    until = add_ladders(at, slots)
    add_short_options(at, slots)
    add_orders(at, slots, unproven)
    rounding = _rounding(at) + add_scenarios(at, slots, unproven)
    pool, pair, level = slots.summed(len(priced.mark))
    level = np.where(unproven[:, None, pool], np.inf, level)
    return Steepness(pool, pair, level, until, unproven, rounding)


def _unproven(prepared: Prepared, pooled: Pooled) -> Bools:
    pools, book = prepared.pools, prepared.book
    none = np.zeros((2, len(pools.account)), dtype=np.bool_)
    none[:, list(prepared.issues)] = True
    none[:, np.isnan(pooled.maintenance + pooled.initial + pooled.margin_balance).any(axis=0)] = True
    if not isinstance(prepared.rulebook.portfolio, ScenarioModel | None):
        none[:] = True
    none[INITIAL, pools.position_pool[prepared.ladders.crowd[book.instrument] >= 0]] = True
    paired = prepared.recognised
    for legs in (paired.short, paired.cover[paired.cover >= 0]):
        none[:, pools.position_pool[paired.position[legs]]] = True
    for factor in pooled.workings.factors:
        mine = ~is_proven(prepared, pooled, factor)[factor.net.group]
        none[:, pools.position_pool[factor.net.position[mine]]] = True
    return none


def _add_balances(at: Centres, slots: Slots) -> None:
    # Profit and credited option value, then what a pool of several assets holds: haircuts and credits move no faster than
    # what they are of, and a debt asks at most its rate more.
    rules, pools, table = at.prepared.rulebook.account, at.prepared.pools, at.prepared.table
    book, sizes = at.prepared.book, at.sizes
    row, pool = book.instrument, pools.position_pool
    is_option = table.is_option[row]
    credited = 1.0 if rules.option_value_credit else 0.0
    value = np.abs(book.quantity) * table.a[row] * at.slopes[:, row] * sizes.worth
    moved = np.where(is_option, credited * value, sizes.value)
    whole = np.where(is_option, credited * (sizes.value + value * at.reach), sizes.value + sizes.entry)
    debt = max(
        (max(rule.debt.initial, rule.debt.maintenance) for rule in rules.collateral if rule.debt is not None),
        default=0.0,
    )
    debt *= max(at.closing, 1.0)
    times = np.where(pools.spans_assets[pool], 1.0 + debt, 1.0)
    slots.add(pool, table.base[row], table.quote[row], moved * times, moved * times)
    slots.add(pool, table.payoff[row], table.settlement[row], whole * times, whole * times)
    of, asset = pools.bucket_pool, pools.bucket_asset
    currency, price = pools.currency[of], at.priced.asset_price
    with np.errstate(invalid="ignore"):
        rate = np.where(asset == currency, 1.0, price[:, asset] / price[:, currency])
    held = np.abs(pools.bucket_balance) * rate * np.exp(at.reach)
    held = (held + grouped_sum(whole, pools.position_bucket, len(asset))) * np.where(
        pools.spans_assets[of], 1.0 + debt, 1.0
    )
    slots.add(of, asset, currency, held, held)
    named = [rule.asset for rule in rules.collateral if rule.in_numeraire]
    if named:  # slices of an amount are counted in the numeraire
        sliced = np.array([name in named for name in table.assets], dtype=np.bool_)[asset]
        held = np.where(sliced & pools.spans_assets[of], held, 0.0)
        slots.add(of, asset, np.full(len(asset), len(table.assets)), held, held)


def _rounding(at: Centres) -> F64:
    pools, rule = at.prepared.pools, at.prepared.rulebook.rounding.margin
    if rule is None:
        return np.zeros(len(pools.account))
    step = rule.step * np.max(at.sizes.to_pool, axis=0, initial=0.0) * max(at.closing, 1.0)
    return np.asarray(np.bincount(pools.position_pool, weights=step, minlength=len(pools.account)))

"""The one calculation: account, market and rulebook in, assessment out."""

from collections.abc import Callable, Sequence
from datetime import datetime

from margrave.core.words import INITIAL, MAINTENANCE
from margrave.domain.account import Account
from margrave.domain.book import book_of
from margrave.domain.market import Market
from margrave.engine.assessment import Assessment, PoolAssessment, PositionAssessment, Status
from margrave.engine.explain import explain
from margrave.margin.pooled import Pooled, Prepared, evaluate, prepare
from margrave.margin.pools import pool_name
from margrave.margin.requirement import Requirement
from margrave.rulebook.bands import Band, band_at, liquidation_ratio
from margrave.rulebook.schema import Rulebook


def assess(account: Account, market: Market, rulebook: Rulebook) -> Assessment:
    """Assess one account.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        Three immutable inputs; time is ``market.at``.

    Returns
    -------
    Assessment
        A pool with a position that cannot be valued, or that the rulebook has no rule for, is ``unknown``.
    """
    return assess_all((account,), market, rulebook)[0]


def assess_all(accounts: Sequence[Account], market: Market, rulebook: Rulebook) -> tuple[Assessment, ...]:
    """Assess accounts together; each gets the digits that it gets alone."""
    return assessed(accounts, prepare(book_of(accounts), market, rulebook))


def assessed(accounts: Sequence[Account], prepared: Prepared) -> tuple[Assessment, ...]:
    """Assess accounts whose book is prepared."""
    market, rulebook = prepared.market, prepared.rulebook
    pooled = evaluate(prepared)
    rows: list[list[int]] = [[] for _ in accounts]
    for pool, account in enumerate(prepared.pools.account.tolist()):
        rows[account].append(pool)
    pools = _pools(prepared, pooled)
    notes = notes_of(rulebook, market.at)
    return tuple(
        Assessment(
            account.name,
            rulebook.id,
            rulebook.valid_from,
            market.at,
            tuple(pools[k] for k in mine),
            notes,
            _explainer(prepared, pooled, tuple(mine)),
        )
        for account, mine in zip(accounts, rows, strict=True)
    )


def _explainer(
    prepared: Prepared, pooled: Pooled, mine: tuple[int, ...]
) -> Callable[[str, int], Requirement]:
    def tree(level: str, pool: int) -> Requirement:
        return explain(prepared, pooled, mine[pool], level)

    return tree


def notes_of(rulebook: Rulebook, at: datetime) -> tuple[str, ...]:
    """What is to be said of a rulebook's age at an instant: not in force, or not checked for so long."""
    notes = []
    if at < rulebook.valid_from or (rulebook.valid_until is not None and at >= rulebook.valid_until):
        notes.append(f"{rulebook.id} of {rulebook.valid_from:%Y-%m-%d} was not in force at {at:%Y-%m-%d}")
    if rulebook.stale_after is not None and at.date() > rulebook.stale_after:
        notes.append(
            f"{rulebook.id} was checked until {rulebook.stale_after}; the venue may have changed its rules since"
        )
    return tuple(notes)


def _status(balance: float, initial: float, maintenance: float, closing: float, unknown: bool) -> Status:
    # `closing` is the ratio of balance to maintenance at which the venue closes positions.
    if unknown or not (balance == balance and initial == initial and maintenance == maintenance):
        return Status.UNKNOWN
    if balance < closing * maintenance:
        return Status.LIQUIDATABLE
    return Status.CALL if balance < initial else Status.HEALTHY


def band_name(bands: tuple[Band, ...], balance: float, maintenance: float, status: Status) -> str:
    """The venue's name for where a pool stands; empty where it has no bands, or nothing is known."""
    if not bands or status is Status.UNKNOWN:
        return ""
    health = balance / maintenance if maintenance > 0.0 else float("inf") if balance >= 0.0 else float("-inf")
    found = band_at(bands, health)
    return found.name if found is not None else ""


def _pools(prepared: Prepared, pooled: Pooled) -> list[PoolAssessment]:
    pools, assets = prepared.pools, prepared.table.assets
    positions = _positions(prepared, pooled)
    held: list[list[PositionAssessment]] = [[] for _ in pools.account]
    for position, pool in zip(positions, pools.position_pool.tolist(), strict=True):
        held[pool].append(position)
    columns = (
        pools.currency,
        pools.is_isolated,
        pooled.equity[0],
        pooled.margin_balance[0],
        pooled.initial[0],
        pooled.maintenance[0],
    )
    order_margin = pooled.workings.order_margin[0].tolist()
    ends = _ends(pooled)
    bands = prepared.rulebook.account.bands
    closing = liquidation_ratio(bands)
    result = []
    for k, (currency, isolated, equity, balance, initial, maintenance) in enumerate(
        zip(*(c.tolist() for c in columns), strict=True)
    ):
        issues = prepared.issues.get(k, ())
        mode = "isolated" if isolated else "cross"
        name = pool_name(pools, prepared.table, prepared.book, k)
        status = _status(balance, initial, maintenance, closing, bool(issues))
        result.append(
            PoolAssessment(
                name,
                mode,
                assets[currency],
                equity,
                balance,
                initial,
                maintenance,
                order_margin[k],
                status,
                tuple(held[k]),
                issues,
                band_name(bands, balance, maintenance, status),
                ends[k],
            )
        )
    return result


def _ends(pooled: Pooled) -> list[float | None]:
    joint = pooled.workings.joint
    if joint is None or joint.end is None:
        return [None] * pooled.equity.shape[1]
    unknown = 0.0 * pooled.equity[0]
    return list((joint.end[0] + unknown).tolist())


def _positions(prepared: Prepared, pooled: Pooled) -> list[PositionAssessment]:
    book, table, workings = prepared.book, prepared.table, pooled.workings
    valued = workings.valued
    settled = table.settlement[book.instrument].tolist()
    columns = (
        book.quantity,
        book.entry,
        valued.mark[0],
        valued.profit[0],
        valued.value[0],
        valued.notional[0],
        workings.charged[INITIAL][0],
        workings.charged[MAINTENANCE][0],
        book.leverage,
    )
    rows = zip(book.instrument.tolist(), settled, *(c.tolist() for c in columns), strict=True)
    return [
        PositionAssessment(
            book.symbols[i],
            q,
            entry,
            mark,
            table.assets[s],
            profit,
            value,
            notional,
            im,
            mm,
            None if lev != lev else lev,
        )
        for i, s, q, entry, mark, profit, value, notional, im, mm, lev in rows
    ]

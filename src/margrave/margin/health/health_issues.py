"""Why a pool of weighted collateral is unknown: no rule for a holding, or a venue-wide total that is not given."""

from collections.abc import Iterator

import numpy as np

from margrave.core.errors import Issue, Reason
from margrave.kernels.arrays import F64, Bools
from margrave.margin.health.rows import HealthRows
from margrave.margin.pools import Pools
from margrave.rulebook.health import Settling
from margrave.valuation.table import Table


def health_issues(rows: HealthRows, table: Table, pools: Pools, rulebook: str) -> Iterator[tuple[int, Issue]]:
    """Issues of pools, each with its pool's row.

    A token without a rule counts nothing as an asset; to owe or order it is an issue. A total is needed where the rule
    of a token scales by it and the pool holds, owes, orders or settles into the token.
    """
    perps = rows.perpetuals
    for g in np.flatnonzero(perps.rule < 0).tolist():
        instrument = table.instruments[int(perps.instrument[g])]
        assert instrument is not None, "what nobody lists is no member"
        message = (
            f"has no margin in {rulebook}, which knows linear perpetuals, settled in their quote, on the bases that it "
            "lists; close it, or add its market to a rulebook of your own"
        )
        yield int(perps.pool[g]), Issue(instrument.symbol, Reason.NO_RULE, message)
    yield from _tokens(rows, table, pools, rulebook)


def _tokens(rows: HealthRows, table: Table, pools: Pools, rulebook: str) -> Iterator[tuple[int, Issue]]:
    tokens, count = rows.tokens, len(rows.tokens.pool)
    ordered, settled = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    ordered[rows.spot.base] = ordered[rows.spot.quote] = True
    settled[rows.perpetuals.token] = True
    needs_rule = (tokens.balance < 0.0) | ordered | settled
    text = f"has no weights in {rulebook}, so that it can be neither owed, ordered nor settled in; pay it back, or add it to a rulebook of your own"
    yield from _told(rows, table, (tokens.rule < 0) & needs_rule, Reason.NO_RULE, text)
    own = tokens.asset == pools.currency[tokens.pool]
    unpriced = ordered & ~own & ~np.isfinite(table.asset_price[tokens.asset])
    text = "has no index price, which its orders need; add it under [market.index]"
    yield from _told(rows, table, unpriced, Reason.MISSING_INDEX, text)
    joins = settled if rows.model.settling is Settling.INTO_BALANCE else np.zeros(count, dtype=np.bool_)
    totals: tuple[tuple[str, F64, F64, Bools], ...] = (
        ("deposits", tokens.deposits_from, tokens.deposits, tokens.balance > 0.0),
        ("borrows", tokens.borrows_from, tokens.borrows, tokens.balance < 0.0),
    )
    for name, start, total, held in totals:
        missing = np.isfinite(start) & np.isnan(total) & (held | ordered | joins)
        text = f"has a weight that scales with the venue's {name}, which are not given; add them under [market.{name}]"
        yield from _told(rows, table, missing, Reason.MISSING_TOTAL, text)


def _told(
    rows: HealthRows, table: Table, wrong: Bools, reason: Reason, text: str
) -> Iterator[tuple[int, Issue]]:
    for t in np.flatnonzero(wrong).tolist():
        yield int(rows.tokens.pool[t]), Issue(table.assets[int(rows.tokens.asset[t])], reason, text)

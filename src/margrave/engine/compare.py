"""The same account under several rules, modes or schedules, with the difference explained (spec CTX-1)."""

from dataclasses import dataclass, replace
from typing import final

from margrave.core.words import MarginMode
from margrave.domain.account import Account
from margrave.domain.market import Market
from margrave.engine.assess import assess
from margrave.engine.assessment import PoolAssessment
from margrave.liquidation import liquidations
from margrave.liquidation.bounds import Bound
from margrave.margin.requirement import Requirement
from margrave.rulebook.reform import with_schedule
from margrave.rulebook.schedules import Schedule
from margrave.rulebook.schema import Rulebook


@final
@dataclass(frozen=True, slots=True)
class Variant:
    """A name and the rules behind it."""

    name: str
    rulebook: Rulebook
    mode: MarginMode | None = None  # None: as the account has it


@final
@dataclass(frozen=True, slots=True)
class Compared:
    """One pool under one variant."""

    variant: str
    pool: PoolAssessment
    below: Bound | None  # nearest liquidation below
    above: Bound | None
    saving: float | None  # 1 - initial / initial of the first variant's pool of the same currency
    why: str  # first nodes of the tree that differ from the first variant


def in_mode(account: Account, mode: MarginMode | None) -> Account:
    """The account with every position in one mode; isolated margin is what opening took, out of the wallet."""
    if mode is None:
        return account
    positions = tuple(
        replace(p, mode=mode, isolated_margin=None) if p.mode is not mode else p for p in account.positions
    )
    return replace(account, positions=positions)


def variants(
    books: tuple[Rulebook, ...], schedules: tuple[Schedule | None, ...], modes: tuple[MarginMode | None, ...]
) -> tuple[Variant, ...]:
    """Every combination, named by what varies."""
    return tuple(
        Variant(
            " ".join(filter(None, [book.id, schedule.name if schedule else "", mode or ""])),
            with_schedule(book, schedule) if schedule else book,
            mode,
        )
        for book in books
        for schedule in schedules
        for mode in modes
    )


def compare(account: Account, market: Market, chosen: tuple[Variant, ...]) -> tuple[Compared, ...]:
    """Assess an account under every variant.

    Parameters
    ----------
    account, market : Account, Market
        As they are; the market's price of today serves all.
    chosen : tuple of Variant
        The first is the reference of savings and differences.

    Returns
    -------
    tuple of Compared
        A row a variant and pool that holds something.
    """
    rows: list[Compared] = []
    reference: dict[str, tuple[float, Requirement]] = {}
    for variant in chosen:
        mine = in_mode(account, variant.mode)
        assessment = assess(mine, market, variant.rulebook)
        found = liquidations(mine, market, variant.rulebook)
        for k, pool in enumerate(assessment.pools):
            if not pool.positions and not pool.order_margin:
                continue
            tree = assessment.explain("maintenance", k)
            initial, first = reference.setdefault(pool.currency, (pool.initial, tree))
            saving = 1.0 - pool.initial / initial if initial else None
            bounds = found[k].bounds
            below = next((b for b in bounds if b.side == "down"), None)
            above = next((b for b in bounds if b.side == "up"), None)
            rows.append(
                Compared(variant.name, pool, below, above, saving, "; ".join(_differences(first, tree)))
            )
    return tuple(rows)


def _differences(first: Requirement, other: Requirement, most: int = 3) -> list[str]:
    # Leaves that the other tree has and the first has not, or has with another amount.
    before = {node.label: node.amount for _, node in first.walk() if not node.parts}
    found = []
    for _, node in other.walk():
        if not node.parts and (node.label not in before or abs(before[node.label] - node.amount) > 1e-12):
            found.append(f"{node.label}: {node.amount:.8g}")
    return found[:most]

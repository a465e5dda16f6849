"""The same account under several rules, modes or schedules, with the difference explained (spec CTX-1)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, final

from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance
from margrave.domain.market import Market
from margrave.engine.assess import assess
from margrave.engine.assessment import PoolAssessment
from margrave.engine.isolated import isolated_margins
from margrave.liquidation import liquidations
from margrave.liquidation.bounds import Bound
from margrave.margin.plan import plan_of, product_of
from margrave.margin.requirement import Requirement
from margrave.rulebook.ladders import TierUnit
from margrave.rulebook.reform import with_schedule
from margrave.rulebook.schedules import Schedule
from margrave.rulebook.schema import Rulebook

_NOISE: Final = 1e-8  # amounts that agree to the venue's rounding are the same
_FIGURES: Final = re.compile(r"\d|:")


@final
@dataclass(frozen=True, slots=True)
class Variant:
    """A name and the rules behind it."""

    name: str
    rulebook: Rulebook
    mode: MarginMode | None = None  # None: as the account has it


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """A directional schedule to put on the rules; ``none`` takes theirs away."""

    name: str
    schedule: Schedule | None


@final
@dataclass(frozen=True, slots=True)
class Compared:
    """One pool under one variant."""

    variant: str
    pool: PoolAssessment
    below: Bound | None  # nearest liquidation below
    above: Bound | None
    saving: float | None  # 1 - initial / initial of the first variant, all pools of the currency together
    why: str  # first nodes of the maintenance tree that differ from the first variant, or why it is unknown
    notes: tuple[str, ...] = ()  # age of the rules, and tiers that count the venue's own contracts


def in_mode(account: Account, market: Market, rulebook: Rulebook, mode: MarginMode | None) -> Account:
    """The account with every position in one mode, under the rules that are to hold.

    A position that becomes isolated takes out of the wallet what opening it asks; one that becomes cross gives
    its margin back. What the account owns stays the same.
    """
    if mode is None or all(p.mode is mode for p in account.positions):
        return account
    cash = {b.asset: b for b in account.balances}
    positions = []
    margins = isolated_margins(account, market, rulebook)
    for position, (asset, margin) in zip(account.positions, margins, strict=True):
        if position.mode is mode:
            positions.append(position)
            continue
        back = mode is MarginMode.CROSS
        held = cash.get(asset, Balance(asset=asset, amount=0.0))
        cash[asset] = replace(held, amount=held.amount + (margin if back else -margin))
        positions.append(replace(position, mode=mode, isolated_margin=None if back else margin))
    return replace(account, positions=tuple(positions), balances=tuple(cash.values()))


def variants(
    books: tuple[Rulebook, ...],
    schedules: tuple[Plan | None, ...] = (None,),
    modes: tuple[MarginMode | None, ...] = (None,),
) -> tuple[Variant, ...]:
    """Every combination, named by what it sets; None leaves a thing as the rules or the account have it.

    Versions of one rulebook are told apart by their day.
    """
    ids = [book.id for book in books]
    return tuple(
        Variant(
            " ".join(filter(None, [_called(book, ids), "" if plan is None else plan.name, mode or ""])),
            book if plan is None else with_schedule(book, plan.schedule),
            mode,
        )
        for book in books
        for plan in schedules
        for mode in modes
    )


def _called(book: Rulebook, ids: list[str]) -> str:
    return book.id if ids.count(book.id) == 1 else f"{book.id}@{book.valid_from:%Y-%m-%d}"


def compare(account: Account, market: Market, chosen: tuple[Variant, ...]) -> tuple[Compared, ...]:
    """Assess an account under every variant.

    Parameters
    ----------
    account, market : Account, Market
        As they are; the market's price of today serves all.
    chosen : tuple of Variant
        The first that can value a currency is the reference of its savings, and of the differences.

    Returns
    -------
    tuple of Compared
        A row a variant and pool that holds something.
    """
    rows: list[Compared] = []
    asked: dict[
        str, float
    ] = {}  # currency -> initial margin of all pools under the first variant that knows it
    first: dict[str, Requirement] = {}  # part of the tree under the first variant that knows it, by label
    for variant in chosen:
        mine = in_mode(account, market, variant.rulebook, variant.mode)
        assessment = assess(mine, market, variant.rulebook)
        found = liquidations(mine, market, variant.rulebook)
        notes = (*assessment.notes, *_counted(mine, market, variant.rulebook))
        asks: dict[str, float] = {}
        for pool in assessment.pools:
            asks[pool.currency] = asks.get(pool.currency, 0.0) + pool.initial
        asked.update({c: amount for c, amount in asks.items() if c not in asked and amount == amount})
        trees = [assessment.explain("maintenance", k) for k in range(len(assessment.pools))]
        known = dict(first)
        for pool, tree in zip(assessment.pools, trees, strict=True):
            parts = {} if pool.issues else {part.label: part for part in tree.parts}
            first.update({label: part for label, part in parts.items() if label not in first})
        for k, pool in enumerate(assessment.pools):
            if not pool.positions and not pool.order_margin:
                continue
            before = asked.get(pool.currency, 0.0)
            saving = 1.0 - asks[pool.currency] / before if before else None
            below, above = (_nearest(found[k].bounds, side) for side in ("down", "up"))
            why = (
                "; ".join(map(str, pool.issues) if pool.issues else differences(known, trees[k]))
                if known or pool.issues
                else ""
            )
            rows.append(Compared(variant.name, pool, below, above, saving, why, notes))
    return tuple(rows)


def _counted(account: Account, market: Market, rulebook: Rulebook) -> Iterator[str]:
    # A tier in contracts is one of the venue's own: a book in contracts of another size reads another row.
    plan = plan_of(rulebook)
    for symbol in dict.fromkeys(p.symbol for p in account.positions):
        instrument = market.instruments.get(symbol)
        product = None if instrument is None else product_of(plan, instrument)
        ladder = None if product is None else rulebook.ladders.get(getattr(product.model, "ladder", ""))
        if ladder is not None and getattr(ladder, "unit", None) is TierUnit.CONTRACTS:
            yield f"{rulebook.id} counts tiers in its own contracts; {symbol} is read as one of them, so state it in their size"


def _nearest(bounds: tuple[Bound, ...], side: str) -> Bound | None:
    return next((b for b in bounds if b.side == side), None)


def differences(first: dict[str, Requirement], tree: Requirement, most: int = 4) -> list[str]:
    """The first nodes in which a tree differs from known parts, each with both amounts."""
    found: list[str] = []
    for part in tree.parts:
        known = first.get(part.label)
        if known is None:
            found.append(f"{part.label} = {part.amount:.8g}, which the first has not")
        else:
            found += [f"{part.label}: {told}" for told in _between(known, part)]
    return found[:most] + ([f"and {len(found) - most} more"] if len(found) > most else [])


def _between(first: Requirement, other: Requirement) -> Iterator[str]:
    # Leaves of the same kind side by side: a label without its figures says which kind.
    if _same(first.amount, other.amount):
        return
    known = _leaves(first)
    for kind, node in _leaves(other).items():
        was = known.pop(kind, None)
        if was is None and not _same(node.amount, 0.0):
            yield f"{node.label} = {node.amount:.8g}, which the first has not"
        elif was is not None and not _same(was.amount, node.amount):
            yield f"{node.label} = {node.amount:.8g} instead of {was.amount:.8g}"
    for node in known.values():
        if not _same(node.amount, 0.0):
            yield f"no {node.label} = {node.amount:.8g}"


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= _NOISE * max(1.0, abs(a), abs(b))


def _leaves(tree: Requirement) -> dict[tuple[str, int], Requirement]:
    kinds: list[str] = []
    leaves: dict[tuple[str, int], Requirement] = {}
    for node in _ends(tree):
        kind = _FIGURES.split(node.label, maxsplit=1)[0] or node.label
        leaves[kind, kinds.count(kind)] = node
        kinds.append(kind)
    return leaves


def _ends(node: Requirement) -> Iterator[Requirement]:
    # A cell that binds speaks for the positions in it.
    if not node.parts or (node.rule == "sum" and node.binds):
        yield node
        return
    for part in node.parts:
        yield from _ends(part)

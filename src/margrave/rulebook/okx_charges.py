"""Parameters of OKX's portfolio margin charges, by group of coins and date (spec cex.md 4.3).

Sources: notices of 2021-12-21, 2024-11-25 and 2025-01-02, and the position builder's example of 2025-01-15 in
docs-v5. What only that one example supports is marked as inferred. Gaps are refused by `margin.okx_portfolio`.
"""

from datetime import date
from typing import final

from margrave.core.errors import Reason, refused
from margrave.rulebook.form import Form

INFINITE = float("inf")
INITIAL_FACTOR = 1.3
"""Initial over maintenance margin of a unit's derivatives (OKX-PM-INITIAL-001)."""

EXTREME_SHARE = 0.5
"""Share of the loss under the extreme move that MR6 charges (OKX-PM-MR6-001)."""

BORROW = {"USDT": (0.10, 0.02)}
"""MR8: initial and maintenance rate of a debt in tier 1, inferred from one example (OKX-PM-MR8-001)."""

DEPEG_PAIRS = (("USDT", "USD"), ("USDT", "USDC"), ("USDC", "USD"))
"""MR9: order in which hedges between stablecoins are matched (OKX-PM-MR9-001)."""


@final
class UnitTerms(Form, frozen=True, kw_only=True):
    """What is published for a group of coins."""

    code: str
    since: date
    coins: tuple[str, ...]  # empty: every other coin
    moves: tuple[float, ...]  # MR1: relative moves of the index, up and down
    extreme: float  # MR6: relative move
    basis: float | None = None  # MR4: annual rate
    minimum_bounds: tuple[float, ...] = ()  # MR7: upper ends of the slices [USD]
    minimum_factors: tuple[float, ...] = ()


_MAJOR = ("BTC", "ETH")
_OLD_MID = ("LTC", "BCH", "EOS", "OKB", "DOT", "BSV", "LINK", "FIL", "ADA", "TRX", "UNI", "XRP")
_MR7_FACTORS = (1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0)

# MR1 and MR6 name different groups of coins since 2025: a coin's terms are the first row that names it.
UNITS: tuple[UnitTerms, ...] = (
    UnitTerms(
        code="OKX-PM-UNIT-001",  # BTC and ETH, scaling since 2025-01-15
        since=date(2025, 1, 6),
        coins=_MAJOR,
        moves=(0.04, 0.08, 0.12),
        extreme=0.24,
        basis=0.05,
        minimum_bounds=(250_000.0, 500_000.0, 1_000_000.0, 2_000_000.0, 3_000_000.0, 4_000_000.0, INFINITE),
        minimum_factors=_MR7_FACTORS,
    ),
    UnitTerms(
        code="OKX-PM-UNIT-002",  # named by both lists: the middle MR1 moves and the middle extreme move
        since=date(2025, 1, 6),
        coins=("LTC", "BCH", "ADA", "XRP"),
        moves=(0.06, 0.12, 0.18),
        extreme=0.36,
        basis=0.15,
    ),
    UnitTerms(
        code="OKX-PM-UNIT-003",  # named by the MR1 list only
        since=date(2025, 1, 6),
        coins=("EOS", "OKB", "DOT", "BSV", "LINK", "FIL", "TRX", "UNI"),
        moves=(0.06, 0.12, 0.18),
        extreme=0.50,
        basis=0.30,
    ),
    UnitTerms(
        code="OKX-PM-UNIT-004",  # named by the MR6 and MR4 lists only
        since=date(2025, 1, 6),
        coins=("SOL", "DOGE", "PEPE", "BNB", "SHIB", "ORDI", "WLD"),
        moves=(0.08, 0.16, 0.25),
        extreme=0.36,
        basis=0.15,
    ),
    UnitTerms(
        code="OKX-PM-UNIT-005",  # every other coin
        since=date(2025, 1, 6),
        coins=(),
        moves=(0.08, 0.16, 0.25),
        extreme=0.50,
        basis=0.30,
    ),
    UnitTerms(
        code="OKX-PM-UNIT-006",  # BTC and ETH before 2025
        since=date(2021, 12, 24),
        coins=_MAJOR,
        moves=(0.05, 0.10, 0.15),
        extreme=0.30,
        minimum_bounds=(10_000.0, 70_000.0, 170_000.0, 300_000.0, 470_000.0, 700_000.0, INFINITE),
        minimum_factors=_MR7_FACTORS,
    ),
    UnitTerms(
        code="OKX-PM-UNIT-007",  # the middle group before 2025; its last scale is not published
        since=date(2021, 12, 24),
        coins=_OLD_MID,
        moves=(0.07, 0.14, 0.20),
        extreme=0.40,
        minimum_bounds=(7_000.0, 16_000.0, 29_000.0, 43_000.0, 69_000.0, 95_000.0, 121_000.0),
        minimum_factors=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0),
    ),
    UnitTerms(
        code="OKX-PM-UNIT-008",  # every other coin before 2025
        since=date(2021, 12, 24),
        coins=(),
        moves=(0.08, 0.16, 0.25),
        extreme=0.50,
    ),
)


def unit_terms(coin: str, day: date) -> UnitTerms:
    """Terms of a coin's risk unit on a day.

    Raises
    ------
    RefusedError
        Before the first notice nothing is known.
    """
    dates = [u.since for u in UNITS if u.since <= day]
    if not dates:
        raise refused(
            f"OKX portfolio margin {coin}",
            Reason.NOT_IN_FORCE,
            f"nothing is known of {day}; the first terms are of {min(u.since for u in UNITS)}",
        )
    held = [u for u in UNITS if u.since == max(dates)]
    return next(u for u in held if coin in u.coins or not u.coins)

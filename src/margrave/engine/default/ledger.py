"""Transfers in integers of the smallest unit: what one party pays another receives, at every step."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

CLEARING: Final = "clearing"
"""Counterparty of every realised profit: it holds what unrealised profits are paid from."""
FUND: Final = "insurance fund"
VENUE: Final = "venue"
UNCOVERED: Final = "uncovered loss"
"""Pays what nobody else pays; its balance below zero is the loss that would be socialised."""


class Stage(StrEnum):
    """Steps of the waterfall, in order."""

    LIQUIDATION = "liquidation"
    FUND = "insurance fund"
    DELEVERAGING = "deleveraging"
    UNCOVERED = "uncovered"


@final
@dataclass(frozen=True, slots=True)
class Transfer:
    """An amount that moves."""

    stage: Stage
    asset: str
    payer: str
    receiver: str
    units: int  # > 0
    why: str


@final
@dataclass(frozen=True, slots=True)
class Ledger:
    """Opening balances and every transfer after them; the total of an asset is the same after each."""

    opening: Mapping[tuple[str, str], int]  # (party, asset) -> units
    transfers: tuple[Transfer, ...]

    def balances(self, until: int | None = None) -> dict[tuple[str, str], int]:
        """Units of each party and asset after the first ``until`` transfers, after all by default."""
        held = dict(self.opening)
        for t in self.transfers[:until]:
            held[t.payer, t.asset] = held.get((t.payer, t.asset), 0) - t.units
            held[t.receiver, t.asset] = held.get((t.receiver, t.asset), 0) + t.units
        return held

    def balance(self, party: str, asset: str) -> int:
        """Units that a party holds of an asset."""
        return self.balances().get((party, asset), 0)

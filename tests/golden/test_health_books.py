"""Published accounts of Drift and Mango as books under a rulebook: the numbers that their protocols gave."""

from pathlib import Path

import pytest

from margrave.adapters.conform import protocol_drift, protocol_mango
from margrave.adapters.conform.runner import read
from margrave.adapters.conform.vector import Vector
from margrave.engine.assess import assess
from margrave.protocols.drift import MarginType
from margrave.protocols.drift_account import account_margin
from margrave.protocols.drift_positions import Context, DriftAccount
from margrave.protocols.mango import Snapshot
from tests.unit.health_made import drift_book, mango_book

pytestmark = pytest.mark.shared

LEVELS = {"Initial": "initial", "Maintenance": "maintenance"}


def _vectors(shared: Path, model: str) -> list[Vector]:
    return [v for v in read(shared / "vectors" / "defi.json") if v.model == model]


def _can_be_held(v: Vector, account: DriftAccount) -> bool:
    # What an account has no place for: an account-wide ratio on tokens, an override, a strict maintenance, profit
    # without a position, prediction markets; and initial with a buffer is no level of the protocol's.
    ratio = account.ratio and account.spots and v.inputs["type"] == "Initial"
    buffered = v.inputs.get("buffer") and v.inputs["type"] == "Initial"
    strict = v.inputs.get("strict") and v.inputs["type"] == "Maintenance"
    flat = any((p.quote and not p.base) or p.market.prediction for p in account.perps)
    return not (ratio or buffered or strict or flat or "ratio_override" in v.inputs)


def test_whole_accounts_of_drift(shared: Path):
    told = 0
    for v in _vectors(shared, "drift.margin"):
        account = protocol_drift.account_of(v.inputs)
        if not _can_be_held(v, account):
            continue
        kind, strict = str(v.inputs["type"]), bool(v.inputs.get("strict"))
        held, market, rules = drift_book(account, strict)
        found = assess(held, market, rules)
        context = Context(MarginType(kind), strict, int(v.inputs.get("buffer", 0)))
        twin = account_margin(account, context).cross
        wanted = v.expected.get("total_collateral", twin.collateral) - v.expected.get(
            "margin_requirement", twin.requirement
        )
        pool = next(p for p in found.pools if p.mode == "cross")
        assert pool.margin_balance - getattr(pool, LEVELS[kind]) == pytest.approx(wanted / 1e6, abs=2e-6), (
            v.id
        )
        for n, perp in enumerate(account.perps):
            if perp.isolated_deposit is not None:
                alone = next(p for p in found.pools if p.name == f"isolated {n}-PERP")
                wanted = v.expected["isolated_total_collateral"] - v.expected["isolated_margin_requirement"]
                assert alone.margin_balance - getattr(alone, LEVELS[kind]) == pytest.approx(wanted / 1e6), (
                    v.id
                )
        told += 1
    assert told >= 13


def _is_held(snapshot: Snapshot) -> bool:
    # An entry price is above zero, and a profit needs its position.
    return all(-p.quote * p.lots > 0 or p.lots == p.quote == 0 for p in snapshot.perps)


def test_healths_of_mango(shared: Path):
    told = 0
    for v in _vectors(shared, "mango.health"):
        snapshot = protocol_mango.snapshot_of(v.inputs)
        if not _is_held(snapshot):
            continue
        held, market, rules = mango_book(snapshot)
        (pool,) = assess(held, market, rules).pools
        level = {"Init": "initial", "Maint": "maintenance", "LiquidationEnd": "liquidation_end"}
        asked = getattr(pool, level[str(v.inputs.get("health_type", "Init"))])
        assert pool.margin_balance - asked == pytest.approx(v.expected["health"], abs=v.tolerance["abs"]), (
            v.id
        )
        told += 1
    assert told >= 8

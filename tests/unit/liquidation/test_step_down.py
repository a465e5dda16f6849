"""How much is closed to fall into a lower tier."""

import pytest

from margrave.core.errors import MargraveError, Reason
from margrave.liquidation.step_down import step_down, tier_at
from margrave.rulebook.ladders import BaseSlope, Progressive, RiskLimit, Tier, TierUnit, WholePosition

ROWS = (Tier(0.0, 0.004), Tier(2000.0, 0.005), Tier(10_000.0, 0.01))
LADDER = WholePosition(code="OKX-LADDER-001", unit=TierUnit.CONTRACTS, tiers=ROWS, size_max=20_000.0)
PROGRESSIVE = Progressive(code="X-LADDER-001", unit=TierUnit.VALUE, tiers=ROWS)
STEPS = RiskLimit(
    code="BITMEX-LADDER-001", unit=TierUnit.COIN, base_limit=200.0, step=150.0, initial=0.01, maintenance=0.005,
    increment=0.005,
)  # fmt: skip


@pytest.mark.parametrize(
    ("ladder", "size", "tiers", "closed"),
    [
        (LADDER, 15_000.0, None, 13_000.0),  # cex.md 4.4: 15,000 contracts, tier 1 ends at 2,000
        (LADDER, 15_000.0, 2, 13_000.0),
        (LADDER, 15_000.0, 1, 5_000.0),
        (LADDER, 15_000.0, 9, 13_000.0),
        (LADDER, 2_000.0, 1, 0.0),  # an edge is in the lower tier
        (LADDER, 2_000.5, 1, 0.5),
        (LADDER, 0.0, None, 0.0),
        (PROGRESSIVE, 12_000.0, 1, 2_000.0),
        (STEPS, 360.0, 1, 10.0),  # cex.md 2: base 200, step 150 XBT
        (STEPS, 360.0, None, 160.0),
    ],
)
def test_what_stays_fills_the_lower_tier(ladder, size, tiers, closed):
    assert step_down(ladder, size, tiers) == pytest.approx(closed)
    if closed and tiers is not None:
        assert tier_at(ladder, size - closed) == max(tier_at(ladder, size) - tiers, 0)


def test_beyond_the_published_tiers_and_without_tiers_it_is_refused():
    slope = BaseSlope(code="S-001", unit=TierUnit.COIN, initial=0.02, maintenance=0.01, slope=1e-4)
    with pytest.raises(MargraveError) as caught:
        step_down(LADDER, 20_001.0)
    assert caught.value.issues[0].reason is Reason.NOT_PUBLISHED
    with pytest.raises(MargraveError) as caught:
        step_down(slope, 5.0)
    assert caught.value.issues[0].reason is Reason.UNSUPPORTED


@pytest.mark.parametrize(("size", "tiers"), [(-1.0, None), (float("nan"), 1), (float("inf"), 1), (5.0, 0)])
def test_a_bad_argument_is_refused(size, tiers):
    with pytest.raises(ValueError, match="is"):
        step_down(LADDER, size, tiers)

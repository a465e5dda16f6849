"""Mango's liquidation steps: figures of the protocol's own tests (spec defi 4.3), part by part."""

import math
from dataclasses import replace

import pytest

from margrave.core.errors import InvalidInputError, RefusedError
from margrave.protocols.mango import Health, Orders, Perp, Snapshot, Token, Weights, health
from margrave.protocols.mango_liquidation import (
    PerpStep,
    PerpTerms,
    is_liquidatable,
    liquidate_perp,
    liquidate_token,
)

END = Health.LIQUIDATION_END
PLAIN = Weights(1.0, 1.0)
W = Weights(0.8, 1.2)
HALF = Weights(0.5, 1.5)


def tokens(asset=0.0, debt=0.0, other=0.0, asset_perp=0.0, debt_perp=0.0, overall=0.8, weights=W) -> Snapshot:
    def settled(name: str, quote: float) -> Perp:
        return Perp(name, name, 1.0, 0, quote, PLAIN, PLAIN, overall, overall)

    return Snapshot(
        (
            Token("asset", asset, 1.0, weights, weights),
            Token("debt", debt, 1.0, weights, weights),
            Token("other", other, 1.0, PLAIN, PLAIN),
        ),
        perps=(settled("asset", asset_perp), settled("debt", debt_perp)),
    )


@pytest.mark.parametrize(
    ("held", "asset", "debt"),  # test_liq_with_token_while_perp
    [
        (tokens(10, -9), 3, -2),
        (tokens(10, -9, other=0.4), 4, -3),
        (tokens(5, -9, asset_perp=6, overall=0.5), 0, -4),
        (tokens(5, -9, asset_perp=14, overall=0.5), 2, -6),
        (tokens(10, -4, debt_perp=-5, overall=0.5), 6, 0),
        (tokens(10, -9, debt_perp=5, overall=0.8, other=-9), 5, -4),  # with the gain only 5 are owed
        (tokens(10, -9, asset_perp=-7), 7, -6),  # with the loss only 3 are owned
    ],
)
def test_a_debt_is_paid_until_health_is_zero_or_one_side_is_used_up(held, asset, debt):
    after = liquidate_token(held, "asset", "debt", 100.0).snapshot
    assert after.token("asset").balance == pytest.approx(asset)
    assert after.token("debt").balance == pytest.approx(debt)


def test_a_liquidator_may_pay_less_and_earns_a_fee():
    done = liquidate_token(tokens(10, -9), "asset", "debt", 2.0, fee=0.05)
    assert (done.asset, done.liability) == pytest.approx((2.1, 2.0))
    full = liquidate_token(tokens(10, -9), "asset", "debt", 100.0, fee=0.05)
    assert full.liability == pytest.approx(2.8 / (1.2 - 0.8 * 1.05))
    assert health(full.snapshot, END) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (tokens(), "not below zero"),
        (tokens(1), "not below zero"),
        (tokens(10, -1), "not below zero"),
        (tokens(0, -1), "token asset: no deposit"),
        (tokens(99.999, -1, asset_perp=-100), "token asset: no deposit"),
        (tokens(0, -9, asset_perp=14, overall=0.5), "token asset: no deposit"),
        (tokens(10, 0, debt_perp=-9, overall=0.5), "token debt: no debt"),
        (tokens(10, -1, other=-20, debt_perp=5), "token debt: no debt"),
        (tokens(10, -9, other=-2, weights=PLAIN), "nothing to gain"),
    ],
)
def test_what_cannot_be_liquidated_is_refused(held, message):
    with pytest.raises(RefusedError, match=message):
        liquidate_token(held, "asset", "debt", 100.0)


def test_orders_are_cancelled_first():
    held = tokens(10, -9)
    with pytest.raises(RefusedError, match="orders asset/debt"):
        liquidate_token(replace(held, orders=(Orders("asset", "debt", 1.0, 0.0),)), "asset", "debt", 1.0)
    with pytest.raises(RefusedError, match="orders perp"):
        liquidate_perp(perps(0, 10, 0, bids=1), "perp", PerpTerms(1, 1.0))
    empty = replace(held, orders=(Orders("asset", "debt", 0.0, 0.0),))
    assert liquidate_token(empty, "asset", "debt", 1.0).liability == 1.0


def perps(settle, lots, quote, other=0.0, overall=0.5, weights=HALF, **more) -> Snapshot:
    perp = Perp("perp", "settle", 1.0, lots, quote, weights, weights, overall, overall, **more)
    return Snapshot(
        (Token("settle", settle, 1.0, PLAIN, PLAIN), Token("other", other, 1.0, PLAIN, PLAIN)), perps=(perp,)
    )


def state(held: Snapshot) -> tuple[float, int, float]:
    return held.token("settle").balance, held.perps[0].lots, held.perps[0].quote


@pytest.mark.parametrize(
    ("held", "terms", "parts", "after"),  # test_liq_base_or_positive_pnl
    [
        (perps(0, 0, 0), PerpTerms(0, 100), [], (0, 0, 0)),
        (perps(5, -10, 0), PerpTerms(-1, 100), [1], (5, -9, -1)),
        (perps(5, -4, 0), PerpTerms(-20, 100), [1], (5, -2, -2)),
        (perps(5, 20, -20), PerpTerms(1, 100), [1], (5, 19, -19)),
        (perps(0, 20, -30), PerpTerms(100, 100), [1], (0, 0, -10)),
        (perps(-20, 20, 5, overall=0.8), PerpTerms(100, 100), [2, 3, 4], (0, 10, -5)),
        (perps(-19, 20, 10), PerpTerms(100, 100), [2], (-1, 20, -8)),
        (perps(-23, 20, 10), PerpTerms(100, 21), [2, 3, 4, 5], (-2, 10, -1)),
        (perps(-25, 20, 10), PerpTerms(2, 100), [2, 3, 4], (-4, 18, -9)),
        (perps(-20, 20, 10), PerpTerms(10, 5), [2, 5], (-15, 10, 15)),
        (perps(-20, 20, 10, overall=0.0), PerpTerms(10, 0), [], (-20, 20, 10)),
        (perps(-30, 20, 10, overall=0.0), PerpTerms(5, 30), [2, 3, 4], (-7.5, 15, -7.5)),
        (perps(2, 60, -35, other=-2, overall=0.0), PerpTerms(200, 200), [1], (2, 50, -25)),
        (perps(-7, 60, -20, other=-3), PerpTerms(200, 0), [5], (-7, 40, 0)),
        (perps(-7, 70, -30, other=-100), PerpTerms(60, 15), [2, 3, 4, 5], (8, 10, 15)),
        (perps(-7, 70, -30, other=-12), PerpTerms(60, 20, profit_fee=0.25), [2, 3, 4, 5], (8, 24, -4)),
        (perps(5, 30, -30, overall=0.95, weights=Weights(0.6, 1.2)), PerpTerms(100, 0), [1], (5, 12, -12)),
        (perps(5, -10, 0), PerpTerms(1, 100), [], (5, -10, 0)),  # a limit of the other direction
        (perps(-9, 0, 5, overall=1.0), PerpTerms(0, 100), [], (-9, 0, 5)),  # settling would not help
        (perps(-9, 20, 5, overall=1.0), PerpTerms(100, 100), [], (-9, 20, 5)),  # health is above zero
        (perps(-20, 20, 5, overall=1.0), PerpTerms(100, 100), [5], (-20, 10, 15)),
    ],
)
def test_the_five_parts(held, terms, parts, after):
    done = liquidate_perp(held, "perp", terms)
    assert [s.part for s in done.steps] == parts
    assert state(done.snapshot) == pytest.approx(after)


def test_the_slow_price_does_not_move_the_target():
    held = perps(5, 30, -30, overall=0.95, weights=Weights(0.6, 1.2), stable=0.5)
    assert state(liquidate_perp(held, "perp", PerpTerms(100, 0)).snapshot)[1] == 12


def test_lots_are_rounded_up():
    done = liquidate_perp(perps(5, -4, 0, lot_size=3.0), "perp", PerpTerms(-20, 100))
    # -18 + 5 of health: 13 / 1.5 = 8.67 lots; there are four
    assert done.steps == (PerpStep(1, -4, 0.0),)
    done = liquidate_perp(perps(17, -4, 0, lot_size=3.0), "perp", PerpTerms(-20, 100))
    assert done.steps == (PerpStep(1, -1, 0.0),)  # 1 / 1.5 = .67
    assert health(done.snapshot, END) == pytest.approx(0.5)


def test_a_base_fee_costs_the_account_and_one_that_takes_all_stops_the_step():
    done = liquidate_perp(perps(0, 20, -20), "perp", PerpTerms(100, 0, base_fee=0.1))
    assert done.steps == (PerpStep(1, 20, 0.0),)
    assert done.snapshot.perps[0].quote == pytest.approx(-2.0)
    short = liquidate_perp(perps(0, -20, 20), "perp", PerpTerms(-100, 0, base_fee=0.1))
    assert short.snapshot.perps[0].quote == pytest.approx(-2.0)
    assert liquidate_perp(perps(0, 20, -20), "perp", PerpTerms(100, 0, base_fee=0.5)).steps == ()


def test_a_settle_token_without_asset_weight_takes_all_there_is():
    worthless = Weights(0.0, 1.0)
    held = perps(-5, 20, 10, other=-50, overall=0.5)
    held = replace(held, tokens=(Token("settle", -5, 1.0, worthless, worthless), held.tokens[1]))
    done = liquidate_perp(held, "perp", PerpTerms(100, 1_000))
    assert done.snapshot.perps[0].lots == 0
    assert done.snapshot.token("settle").balance == pytest.approx(25.0)


def test_the_weight_of_the_settle_token_changes_where_its_balance_turns():
    held = perps(0, 20, -14, other=-1)  # -4 of profit
    weights = Weights(0.5, 2.0)
    held = replace(held, tokens=(Token("settle", 3, 1.0, weights, weights), held.tokens[1]))
    # -1 at 2 and -1: 1 token to zero, then 1 / .5 more; the profit may rise by 4
    done = liquidate_perp(held, "perp", PerpTerms(100, 0))
    assert done.steps == (PerpStep(1, 6, 0.0),)
    assert health(done.snapshot, END) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("held", "already", "may"),
    [
        (tokens(10, -9), False, True),
        (tokens(10, -1), False, False),
        (tokens(10, -1), True, False),
    ],
)
def test_a_liquidation_starts_at_maintenance_and_ends_higher(held, already, may):
    assert is_liquidatable(held, being_liquidated=already) is may


def test_between_the_two_healths_only_a_begun_liquidation_goes_on():
    between = Snapshot(
        (Token("asset", 10, 1.0, Weights(0.8, 1), Weights(0.9, 1)), Token("debt", -8.5, 1.0, PLAIN, PLAIN))
    )
    assert not is_liquidatable(between)
    assert is_liquidatable(between, being_liquidated=True)


def test_limits_and_names_are_checked():
    with pytest.raises(InvalidInputError, match="most"):
        liquidate_token(tokens(10, -9), "asset", "debt", -1.0)
    with pytest.raises(InvalidInputError, match="fee"):
        liquidate_token(tokens(10, -9), "asset", "debt", 1.0, fee=math.nan)
    with pytest.raises(InvalidInputError, match="most profit"):
        PerpTerms(0, -1.0)
    with pytest.raises(InvalidInputError, match="perp other"):
        liquidate_perp(perps(0, 1, -9), "other", PerpTerms(1, 1.0))

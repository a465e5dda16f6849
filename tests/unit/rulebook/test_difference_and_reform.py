"""What differs between rulebooks, and rulebooks made from others."""

from datetime import UTC, datetime

import numpy as np
import pytest
from msgspec import structs

from margrave.core.errors import InvalidInputError, Reason
from margrave.core.words import INITIAL, MAINTENANCE
from margrave.rulebook.catalogue import in_force, shipped
from margrave.rulebook.clearing import PriceRisk, RiskArray
from margrave.rulebook.difference import differences
from margrave.rulebook.ladders import SizePremium, TierUnit, resolve
from margrave.rulebook.reform import with_account_rules, with_maintenance, with_rates, with_schedule
from margrave.rulebook.schema import OptionModel
from margrave.rulebook.standard_manager import StandardManager

AT = datetime(2026, 11, 1, tzinfo=UTC)
FLAT = in_force("example.flat", AT)
INVERSE = in_force("example.inverse", AT)


def test_a_rulebook_does_not_differ_from_itself():
    assert differences(FLAT, FLAT) == ()


def test_the_two_made_rulebooks_differ_in_name_and_schedule_only():
    rows = {change.path: (change.before, change.after) for change in differences(FLAT, INVERSE)}
    name = FLAT.products[0].name
    assert set(rows) == {"id", "title", f"products[{name}].model.schedule"}
    assert rows[f"products[{name}].model.schedule"] == (None, "T1")


def test_a_leaf_that_is_added_or_dropped_has_none_on_the_other_side():
    fewer = structs.replace(FLAT, schedules={"T1": FLAT.schedules["T1"]})
    dropped = {c.path: c.before for c in differences(FLAT, fewer)}
    assert {path.split(".")[1] for path in dropped} == {"ratchet", "steps"}
    assert dropped["schedules.ratchet.code"] == FLAT.schedules["ratchet"].code
    assert all(c.after is None for c in differences(FLAT, fewer))
    assert all(c.before is None for c in differences(fewer, FLAT))


def test_products_are_matched_by_name_and_not_by_place():
    first = structs.replace(FLAT.products[0], name="one more")
    rows = differences(FLAT, structs.replace(FLAT, products=(first, *FLAT.products)))
    assert rows
    assert all(c.path.startswith("products[one more].") and c.before is None for c in rows)


def test_a_list_of_words_is_one_leaf_and_tiers_go_by_their_floor():
    product = FLAT.products[0]
    match = structs.replace(product.match, bases=("BTC", "XYZ"))
    changed = structs.replace(FLAT, products=(structs.replace(product, match=match), *FLAT.products[1:]))
    (row,) = differences(FLAT, changed)
    assert row.path == f"products[{product.name}].match.bases"
    assert row.after == "BTC, XYZ"
    venue = in_force("okx.futures", AT)
    name, ladder = next((n, found) for n, found in venue.ladders.items() if len(found.tiers) > 2)
    fewer = structs.replace(ladder, tiers=ladder.tiers[:1] + ladder.tiers[2:])
    rows = differences(venue, structs.replace(venue, ladders={**venue.ladders, name: fewer}))
    floor = ladder.tiers[1].floor
    assert rows
    assert all(c.path.startswith(f"ladders.{name}.tiers[{floor}].") and c.after is None for c in rows)


def test_deribit_rates_of_two_models_differ():
    before = in_force("deribit.sm@2026-08-04", AT)
    paths = {change.path for change in differences(before, in_force("deribit.sm@2026-08-05", AT))}
    assert "valid_from" in paths
    assert any(path.startswith("ladders.") for path in paths)


def test_a_schedule_reaches_every_product_and_the_base_stays():
    switched = with_schedule(FLAT, FLAT.schedules["T1"])
    assert {p.model.schedule for p in switched.products} == {"T1"}
    assert {p.model.schedule for p in FLAT.products} == {None}
    assert switched.ladders == FLAT.ladders


def test_no_schedule_takes_it_off():
    assert {p.model.schedule for p in with_schedule(INVERSE, None).products} == {None}


def test_a_schedule_comes_along_into_a_rulebook_that_has_none():
    venue = in_force("binance.usdm", AT)
    switched = with_schedule(venue, FLAT.schedules["steps"])
    assert switched.schedules == {"steps": FLAT.schedules["steps"]}


def test_a_schedule_that_contradicts_itself_is_refused():
    bad = structs.replace(FLAT.schedules["T1"], knots=((0.0, 1.0), (0.1, 1.1)))
    with pytest.raises(InvalidInputError) as caught:
        with_schedule(FLAT, bad)
    assert caught.value.issues[0].reason is Reason.NOT_MONOTONE


def test_account_rules_change_alone():
    rules = structs.replace(FLAT.account, profit_credit=0.5)
    rows = differences(FLAT, with_account_rules(FLAT, rules))
    assert [(c.path, c.before, c.after) for c in rows] == [("account.profit_credit", 1.0, 0.5)]


def test_maintenance_of_scenarios_is_a_share_of_initial():
    base = next(r for r in shipped() if r.id == "example.portfolio")
    made = with_maintenance(base, 0.5).portfolio.levels
    assert (made.initial, made.maintenance) == (1.0, 0.5)
    assert with_maintenance(base, 0.8) == base  # as it is shipped


@pytest.mark.parametrize("share", [0.0, 1.01, float("nan")])
def test_maintenance_is_a_part_of_initial(share):
    base = next(r for r in shipped() if r.id == "example.portfolio")
    with pytest.raises(ValueError, match="above zero and at most one"):
        with_maintenance(base, share)


def test_only_scenarios_have_levels_to_change():
    with pytest.raises(ValueError, match="must have a portfolio model of scenarios"):
        with_maintenance(FLAT, 0.5)


def test_rates_at_a_multiplier_of_one_are_the_rulebook_itself():
    assert with_rates(FLAT, 1.0) is FLAT


@pytest.mark.parametrize("rulebook", shipped(), ids=lambda r: f"{r.id}@{r.valid_from:%Y-%m-%d}")
@pytest.mark.parametrize("multiplier", [0.5, 1.37, 3.0])
def test_rates_of_every_shipped_rulebook_can_be_moved(rulebook, multiplier):
    made = with_rates(rulebook, multiplier)
    for name, ladder in rulebook.ladders.items():
        for level in (INITIAL, MAINTENANCE):
            before, after = resolve(ladder, level), resolve(made.ladders[name], level)
            count = min(len(before.rate), len(after.rate))  # a risk limit ends where its rate is one
            assert after.rate[:count] == pytest.approx(
                np.minimum(before.rate[:count] * multiplier, 1.0), rel=1e-9
            )
    assert with_rates(made, 1.0 / multiplier).ladders.keys() == rulebook.ladders.keys()


def test_a_short_option_and_a_portfolio_are_charged_the_multiple():
    options = in_force("deribit.sm", AT)
    terms = [p.model.maintenance_put.factor for p in options.products if isinstance(p.model, OptionModel)]
    moved = [
        p.model.maintenance_put.factor
        for p in with_rates(options, 2.0).products
        if isinstance(p.model, OptionModel)
    ]
    assert moved == [2.0 * factor for factor in terms]
    assert moved
    scenarios = in_force("deribit.xpm", AT)
    levels, twice = scenarios.portfolio.levels, with_rates(scenarios, 2.0).portfolio.levels
    assert (twice.initial, twice.maintenance) == (2.0 * levels.initial, 2.0 * levels.maintenance)


def test_a_multiplier_that_is_none_is_refused():
    with pytest.raises(ValueError, match="multiplier is 0"):
        with_rates(FLAT, 0.0)


def test_ranges_arrays_and_shares_of_spot_move():
    ranges, scan = in_force("example.ranges", AT), in_force("example.scan", AT)
    assert [c.up for c in with_rates(ranges, 2.0).portfolio.classes] == [
        2.0 * c.up for c in ranges.portfolio.classes
    ]
    assert all(c.down <= 0.99 for c in with_rates(ranges, 9.0).portfolio.classes)
    before = [c.price_range and c.price_range.value for c in scan.portfolio.commodities]
    after = [c.price_range and c.price_range.value for c in with_rates(scan, 1.5).portfolio.commodities]
    assert after == [size and 1.5 * size for size in before]
    losses = tuple(float(k) for k in range(16))
    array = RiskArray(losses=losses, delta=1.0)
    arrays = structs.replace(scan, portfolio=structs.replace(scan.portfolio, arrays={"F": array}))
    assert with_rates(arrays, 2.0).portfolio.arrays["F"].losses == tuple(2.0 * loss for loss in losses)
    manager = next(r for r in shipped() if isinstance(r.portfolio, StandardManager))
    for one, two in zip(manager.portfolio.markets, with_rates(manager, 1.5).portfolio.markets, strict=True):
        if one.perpetual is not None:
            assert two.perpetual.maintenance == 1.5 * one.perpetual.maintenance
        if one.options is not None:
            assert two.options.spot_max == 1.5 * one.options.spot_max


def test_a_commodity_of_arrays_alone_keeps_its_missing_range():
    scan = in_force("example.scan", AT)
    bare = tuple(
        structs.replace(c, price_range=None, price_risk=PriceRisk.NORMAL) for c in scan.portfolio.commodities
    )
    made = structs.replace(scan, portfolio=structs.replace(scan.portfolio, commodities=bare))
    assert {c.price_range for c in with_rates(made, 2.0).portfolio.commodities} == {None}


def test_a_premium_by_the_root_of_size_moves_with_its_rates():
    ladder = SizePremium(
        code="TEST-ROOT-001", unit=TierUnit.COIN, initial=0.05, maintenance=0.03, factor=0.001
    )
    name = next(iter(FLAT.ladders))
    twice = with_rates(structs.replace(FLAT, ladders={**FLAT.ladders, name: ladder}), 2.0).ladders[name]
    assert (twice.initial, twice.maintenance, twice.factor) == (0.1, 0.06, 0.002)

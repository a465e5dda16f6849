"""The same account under other rules: what it saves and why."""

from datetime import UTC, datetime

import pytest

from margrave.adapters.files import load_example
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Position
from margrave.domain.instruments import Instrument, Inverse, Perpetual
from margrave.domain.market import Market, Quote
from margrave.engine.analysis.compare import Plan, compare, in_mode, variants
from margrave.engine.assess import assess
from margrave.rulebook.catalogue import in_force
from tests.unit.made import (
    T1,
    flat_ladder,
    inverse_account,
    inverse_market,
    linear_account,
    linear_market,
    rules,
)

MARKET = inverse_market(54_000.0)
ACCOUNT = inverse_account(coins=1.0)
CHEAP = rules(flat_ladder(0.05, 0.02))


def test_the_first_is_the_reference_and_explains_nothing():
    (row,) = compare(ACCOUNT, MARKET, variants((rules(),)))
    assert (row.saving, row.why) == (0.0, "")


def test_a_lower_rate_saves_and_is_named():
    _, row = compare(ACCOUNT, MARKET, variants((rules(), CHEAP)))
    assert row.saving == pytest.approx(0.5)
    assert "0.02 instead of 0.05" in row.why
    assert "notional" not in row.why


def test_the_same_rules_differ_in_nothing():
    _, row = compare(ACCOUNT, MARKET, variants((rules(), rules())))
    assert (row.saving, row.why) == (0.0, "")


def test_a_schedule_is_named_and_none_takes_it_away():
    plans = (Plan("none", None), Plan("T1", T1))
    bare, scheduled = compare(ACCOUNT, MARKET, variants((rules(),), plans))
    assert scheduled.saving > 0
    assert "multiplier of T1" in scheduled.why
    back, _ = compare(ACCOUNT, MARKET, variants((rules(),), plans[::-1]))[::-1]
    assert back.pool == bare.pool
    assert "no multiplier of T1" in back.why


@pytest.mark.parametrize("mode", list(MarginMode))
@pytest.mark.parametrize(
    ("account", "market"),
    [(ACCOUNT, MARKET), (linear_account(cash=50_000.0), linear_market(54_000.0))],
    ids=["inverse", "linear"],
)
def test_a_mode_moves_money_and_makes_none(account, market, mode):
    there = in_mode(account, market, rules(), mode)
    assert {p.mode for p in there.positions} == {mode}
    back = in_mode(there, market, rules(), MarginMode.CROSS)
    assert back == account or back.balances[0].amount == pytest.approx(account.balances[0].amount)
    wealth = [sum(pool.equity for pool in assess(a, market, rules()).pools) for a in (account, there, back)]
    assert wealth == pytest.approx([wealth[0]] * 3, rel=1e-12)


def test_variants_are_named_by_what_they_set():
    chosen = variants((rules(),), (None, Plan("T1", T1)), (None, MarginMode.CROSS))
    assert [v.name for v in chosen] == ["test.flat", "test.flat cross", "test.flat T1", "test.flat T1 cross"]


def test_bounds_of_both_sides_are_told():
    (long_row,) = compare(ACCOUNT, MARKET, variants((rules(),)))
    (short_row,) = compare(inverse_account(-100_000.0, coins=0.5), MARKET, variants((rules(),)))
    assert long_row.below is not None
    assert long_row.above is None
    assert short_row.above is not None


def test_a_short_option_alone_has_what_it_is_asked():
    case = load_example("inverse")
    rulebook = in_force("example.inverse", case.market.at)
    alone = in_mode(case.accounts[0], case.market, rulebook, MarginMode.ISOLATED)
    pools = {pool.name: pool for pool in assess(alone, case.market, rulebook).pools}
    pool = pools["isolated BTC-25DEC26-70000-C"]
    assert pool.margin_balance == pytest.approx(pool.initial)
    before = sum(p.equity for p in assess(case.accounts[0], case.market, rulebook).pools)
    assert sum(p.equity for p in pools.values()) == pytest.approx(before, rel=1e-12)


def venue_rows(contract_value, *ids):
    """A long of 60,000 dollars on one coin, in contracts of a size, under the venues' inverse rules."""
    swap = Instrument(
        symbol="BTC-USD-SWAP",
        base="BTC",
        quote="USD",
        settlement="BTC",
        kind=Perpetual(),
        payoff=Inverse(contract_value=contract_value),
    )
    prices = Market(
        at=datetime(2026, 11, 1, tzinfo=UTC),
        instruments={swap.symbol: swap},
        quotes={swap.symbol: Quote(mark=60_000.0)},
        index={"BTC": 60_000.0},
    )
    held = Position(symbol=swap.symbol, quantity=60_000.0 / contract_value, entry=58_000.0, leverage=10.0)
    account = Account(balances=(Balance(asset="BTC", amount=1.0),), positions=(held,))
    books = tuple(in_force(i, prices.at) for i in ids)
    return {row.variant: row for row in compare(account, prices, variants(books))}


def test_one_book_across_venues_whatever_the_size_of_a_contract():
    ids = ("okx.futures", "bybit.inverse", "binance.coinm", "deribit.sm")
    small, large = (venue_rows(value, *ids) for value in (1.0, 100.0))
    for name in ids[1:]:
        assert small[name].pool.initial == pytest.approx(large[name].pool.initial, rel=1e-12)
        assert small[name].below.exact == pytest.approx(large[name].below.exact, rel=1e-9)
        assert small[name].above is large[name].above is None
    # Binance asks value at mark over leverage, 1 / 10 coins; Bybit value at entry, 60,000 / 58,000 / 10.
    assert small["binance.coinm"].pool.initial == pytest.approx(0.1, rel=1e-12)
    assert small["bybit.inverse"].pool.initial == pytest.approx(6 / 58, rel=1e-12)
    # The first venue has no rule: the next one is the measure of savings, and the unknown one says why.
    assert "no rule" in small["okx.futures"].why
    assert small["bybit.inverse"].saving == 0.0
    assert small["binance.coinm"].saving == pytest.approx(1 - 5.8 / 6, rel=1e-9)
    assert any("was checked until" in note for note in small["bybit.inverse"].notes)


def test_tiers_of_a_venues_own_contracts_are_noted():
    (row,) = venue_rows(1.0, "kraken.futures").values()
    assert any("counts tiers in its own contracts" in note for note in row.notes)


def test_versions_of_one_rulebook_are_told_apart():
    assert list(venue_rows(1.0, "deribit.sm@2022-06-01", "deribit.sm")) == [
        "deribit.sm@2022-01-11",
        "deribit.sm@2026-08-05",
    ]

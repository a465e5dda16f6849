"""Books under models of a whole pool: one unknown account leaves the others known, and its issue says why."""

from dataclasses import replace

import numpy as np
import pytest

from margrave.core.errors import Reason
from margrave.domain.account import Account, Balance, Position
from margrave.domain.book import book_of
from margrave.margin.pooled import evaluate, prepare
from margrave.rulebook.catalogue import in_force
from margrave.valuation.scenarios import now
from tests.unit.made_books import MARKET

PERPETUAL = {"derive.srm": "BTCUSDC", "example.scan": "BTCUSD", "example.ranges": "BTCUSD"}
OPTION = {
    "derive.srm": "BTC-30-57000-call-USDC",
    "example.scan": "BTC-30-57000-call",
    "example.ranges": "BTC-30-57000-call",
}


def account(name, symbol, quantity=-1.0):
    entry = MARKET.quotes[symbol].mark
    return Account(
        name=name,
        balances=(Balance(asset="USDC", amount=1e5),),
        positions=(Position(symbol=symbol, quantity=quantity, entry=entry),),
    )


def without(symbol, **parts):
    return replace(MARKET, quotes={**MARKET.quotes, symbol: replace(MARKET.quotes[symbol], **parts)})


def both(name, market):
    accounts = (account("future", PERPETUAL[name]), account("option", OPTION[name]))
    return prepare(book_of(accounts), market, in_force(name, market.at))


@pytest.mark.parametrize("name", ["example.scan", "example.ranges"])
def test_an_option_that_cannot_be_repriced_makes_its_own_pool_unknown(name):
    # Its mark is below what exercise gives, so that no vol is in it, and nobody quotes one.
    prepared = both(name, without(OPTION[name], mark=0.01, vol=None))
    found = evaluate(prepared)
    (pool,) = prepared.issues
    assert prepared.issues[pool][0].reason is Reason.MISSING_VOL
    assert np.isnan(found.maintenance[0, pool])
    rest = np.delete(found.maintenance[0], pool)
    assert np.isfinite(rest).all()
    assert rest.max() > 0


def test_a_settlement_asset_without_a_price_has_no_peg():
    index = {asset: price for asset, price in MARKET.index.items() if asset != "USDC"}
    prepared = both("derive.srm", replace(MARKET, index=index))
    assert len(prepared.issues) == 2
    for told in prepared.issues.values():
        assert ("USDC", Reason.MISSING_INDEX) in {(issue.where, issue.reason) for issue in told}
        assert any("peg" in issue.message for issue in told)


def test_a_price_that_is_not_known_leaves_its_row_unknown_and_no_other():
    prepared = both("derive.srm", MARKET)
    known = evaluate(prepared)
    twice = now(prepared.table)
    index = np.repeat(twice.index, 3, axis=0)
    index[1, prepared.table.instruments.index(MARKET.instruments[OPTION["derive.srm"]])] = np.nan
    rows = (np.repeat(column, 3, axis=0) for column in (twice.mark, twice.forward, twice.asset_price))
    mark, forward, asset_price = rows
    found = evaluate(
        prepared, replace(twice, mark=mark, index=index, forward=forward, asset_price=asset_price)
    )
    for row in (0, 2):
        assert found.initial[row].tolist() == known.initial[0].tolist()
    assert np.isnan(found.initial[1]).tolist() == [False, True]
    assert found.initial[1, 0] == known.initial[0, 0]

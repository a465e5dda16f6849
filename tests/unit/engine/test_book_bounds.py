"""Liquidation prices and positions of whole books: rows, chunks, threads, and what stands beside an account's own answer."""

import numpy as np
import pytest

from margrave.adapters.made_book import made_book, made_market
from margrave.domain.book import account_of, book_of
from margrave.engine.assess import assess
from margrave.engine.books.bounds import bounds_book, nearest_rows
from margrave.engine.books.positions import liquidation_prices, positions_book
from margrave.engine.books.venue import assess_book, chunk_bounds
from margrave.liquidation import liquidations
from margrave.rulebook.catalogue import in_force
from margrave.rulebook.portfolio import ScenarioModel
from tests.unit import made_books

MARKET = made_market()
FLAT = in_force("example.flat", MARKET.at)
RULES = {r.id: r for r in made_books.rulebooks()}
NUMBERS = ("price", "lower", "upper", "lower_exact", "upper_exact")


def test_chunks_and_threads_change_nothing():
    book, told = made_book(60, 5, MARKET), []
    whole = bounds_book(book, MARKET, FLAT, told=told.append)
    parts = bounds_book(book, MARKET, FLAT, chunk=7, threads=2)
    for name in ("account", "pool", "asset", "instrument", *NUMBERS):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-13, err_msg=name)
    assert told == [60]
    assert (np.diff(whole.account) >= 0).all()


def test_rows_stand_beside_the_pools_of_the_assessment():
    rulebook = RULES["binance.usdm"]
    accounts = made_books.accounts(4, 12, rulebook)
    book = book_of(accounts)
    found, bounds = (run(book, made_books.MARKET, rulebook) for run in (assess_book, bounds_book))
    np.testing.assert_array_equal(found.pools.account[bounds.pool], bounds.account)
    assert found.assets[int(bounds.asset[0])] in ("BTC", "ETH", "SOL")
    nearest = nearest_rows(bounds, len(found.pools.account))
    seen = 0
    for row, account in enumerate(accounts):
        answers = liquidations(account, made_books.MARKET, rulebook)
        for pool, answer in zip(np.flatnonzero(found.pools.account == row), answers, strict=True):
            if nearest[pool] < 0:
                assert not answer.bounds
                continue
            singles = answer.each or (answer,)
            told = [b for single in singles for b in single.bounds]
            if not told:
                assert np.isinf(bounds.distance[nearest[pool]])
                continue
            least = min(abs(np.log(b.factor)) for b in told)
            assert bounds.distance[nearest[pool]] == pytest.approx(least, rel=1e-9)
            seen += 1
    assert seen > 5


def test_positions_are_those_of_each_account():
    rulebook = RULES["example.inverse"]
    book = book_of(made_books.accounts(6, 15, rulebook))
    told: list[int] = []
    columns = positions_book(book, made_books.MARKET, rulebook, chunk=4, threads=2, told=told.append)
    assert told == [4, 8, 12, 15]
    found = assess_book(book, made_books.MARKET, rulebook)
    names = ("quantity", "entry", "mark", "profit", "value", "notional", "initial", "maintenance")
    rows = 0
    for row in range(len(book.names)):
        answer = assess(account_of(book, row), made_books.MARKET, rulebook)
        mine = np.flatnonzero(columns.account == row)
        places = np.flatnonzero(found.pools.account == row).tolist()
        told_by_pool = [(places[k], p) for k, pool in enumerate(answer.pools) for p in pool.positions]
        wanted = sorted(
            (k, p.symbol, *(str(getattr(p, n)) for n in names), p.currency) for k, p in told_by_pool
        )
        seen = sorted(
            (
                int(columns.pool[k]),
                book.symbols[int(columns.instrument[k])],
                *(str(float(getattr(columns, n)[k])) for n in names),
                found.assets[int(columns.currency[k])],
            )
            for k in mine
        )
        assert seen == wanted
        rows += len(wanted)
    assert rows > 20


def test_isolated_positions_have_a_price_of_their_own():
    rulebook = RULES["binance.usdm"]
    book = book_of(made_books.accounts(9, 40, rulebook))
    columns = positions_book(book, made_books.MARKET, rulebook)
    bounds = bounds_book(book, made_books.MARKET, rulebook)
    lower, upper = liquidation_prices(columns, bounds)
    alone = columns.is_isolated
    assert np.isnan(lower[~alone]).all()
    assert np.isnan(upper[~alone]).all()
    long, short = alone & (columns.quantity > 0), alone & (columns.quantity < 0)
    assert (~np.isnan(lower[long])).sum() + (~np.isnan(upper[short])).sum() > 3
    held = ~np.isnan(lower)
    assert (lower[held] < columns.mark[held]).all()
    position = int(np.flatnonzero(held)[0])
    account = account_of(book, int(columns.account[position]))
    symbol = book.symbols[int(columns.instrument[position])]
    (answer,) = (
        a for a in liquidations(account, made_books.MARKET, rulebook) if a.pool == f"isolated {symbol}"
    )
    assert lower[position] == pytest.approx(answer.bounds[0].price, rel=1e-12)


def test_an_empty_book_has_no_rows():
    nobody = book_of(())
    assert len(bounds_book(nobody, MARKET, FLAT).pool) == 0
    assert len(positions_book(nobody, MARKET, FLAT).pool) == 0
    assert len(nearest_rows(bounds_book(nobody, MARKET, FLAT), 0)) == 0


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("name", ["example.flat", "deribit.spm", "paradex.pm"])
def test_every_account_is_in_one_chunk_and_threads_get_alike(name, threads):
    book, rulebook = made_book(30_000, 5, MARKET), in_force(name, MARKET.at)
    spans = list(chunk_bounds(book, rulebook, None, threads))
    assert [first for first, _ in spans] == [0, *(last for _, last in spans[:-1])]
    assert spans[-1][1] == len(book.names)
    assert len(spans) % threads == 0
    if threads > 1:  # but for the rows of an account that is not cut
        sizes = [last - first for first, last in spans]
        assert max(sizes) < 1.1 * min(sizes)
    assert [*chunk_bounds(book, rulebook, 13_000, threads)] == [
        (0, 13_000),
        (13_000, 26_000),
        (26_000, 30_000),
    ]


def test_a_small_book_is_not_worth_a_thread_and_pools_of_a_slow_model_come_in_small_chunks():
    assert list(chunk_bounds(made_book(2_000, 5, MARKET), FLAT, None, 8)) == [(0, 2_000)]
    scanned = next(
        r for r in RULES.values() if r.portfolio is not None and not isinstance(r.portfolio, ScenarioModel)
    )
    assert len(list(chunk_bounds(made_book(9_000, 5, MARKET), scanned, None))) == 3

"""Deribit's portfolio margin by rule code: risk matrices of one position, small and large (deribit.md)."""

import pytest

from margrave.domain.account import Account, Balance, Position
from margrave.domain.instruments import Right
from margrave.domain.market import Market, Quote
from margrave.engine.assess import assess
from margrave.kernels.black76 import coin_price
from tests.unit.made import AT
from tests.unit.rulebook.test_rules_by_code import INDEX, book, inverse, option

OLD, NEW, CROSS, LEGACY = (
    "deribit.spm@2024-06-17",
    "deribit.spm@2026-02-15",
    "deribit.xpm",
    "deribit.pm-legacy",
)


def asked(name, instrument, quantity, mark, coins):
    """Initial and maintenance, and every code of the tree, of one position beside coins."""
    market = Market(
        at=AT,
        instruments={instrument.symbol: instrument},
        quotes={instrument.symbol: Quote(mark=mark, forward=INDEX, vol=0.8)},
        index={instrument.base: INDEX, "USD": 1.0},
    )
    position = Position(symbol=instrument.symbol, quantity=quantity, entry=mark)
    account = Account(balances=(Balance(asset=instrument.base, amount=coins),), positions=(position,))
    assessment = assess(account, market, book(name))
    (pool,) = assessment.pools
    assert pool.issues == ()
    levels = ("initial", "maintenance")
    return pool, {node.code for level in levels for _, node in assessment.explain(level).walk()}


SPM_BTC = ("DERIBIT-SPM-ACCOUNT-001", "DERIBIT-SPM-001", "DERIBIT-SPM-002", "DERIBIT-SPM-010", "DERIBIT-SPM-011",
           "DERIBIT-SPM-015", "DERIBIT-SPM-016")  # fmt: skip
SPM_ETH = ("DERIBIT-SPM-020", "DERIBIT-SPM-021", "DERIBIT-SPM-025", "DERIBIT-SPM-026")
XPM_BTC = ("DERIBIT-XPM-ACCOUNT-001", "DERIBIT-XPM-001", "DERIBIT-XPM-002", "DERIBIT-XPM-010", "DERIBIT-XPM-011",
           "DERIBIT-XPM-015", "DERIBIT-XPM-016")  # fmt: skip
XPM_ETH = ("DERIBIT-XPM-020", "DERIBIT-XPM-021", "DERIBIT-XPM-025", "DERIBIT-XPM-026")
PML = ("DERIBIT-PML-ACCOUNT-001", "DERIBIT-PML-001", "DERIBIT-PML-002", "DERIBIT-PML-010", "DERIBIT-PML-011",
       "DERIBIT-PML-013", "DERIBIT-PML-014")  # fmt: skip

# Short inverse perpetual of one coin, and of a hundred thousand: worst price move, roll shock, and the delta shock
# (nothing below 20 million dollars, at most 10 %). Initial; maintenance is 0.8 of it, of the legacy rule initial / 1.2.
PERPETUALS = [
    (OLD, "BTC", 1.0, 1 - 1 / 1.16 + 0.01, SPM_BTC),
    (OLD, "BTC", 1e5, 1e5 * (1 - 1 / 1.16 + 0.01 + 0.1), SPM_BTC),
    (NEW, "BTC", 1.0, 1 - 1 / 1.16 + 0.01, SPM_BTC),
    (NEW, "BTC", 1e5, 1e5 * (1 - 1 / 1.16 + 0.01 + 0.1), SPM_BTC),
    (NEW, "ETH", 1.0, 1 - 1 / 1.18 + 0.005, SPM_ETH),
    (NEW, "ETH", 1e5, 1e5 * (1 - 1 / 1.18 + 0.005 + 0.1), SPM_ETH),
    (LEGACY, "BTC", 1.0, 1.2 * (1 - 1 / 1.15 + 0.006), PML),
    (LEGACY, "ETH", 1e5, 1.2e5 * (1 - 1 / 1.15 + 0.006), PML),
    # One pool in dollars, where ten coins of collateral stand in the matrix: nine stay long, or a short far larger.
    (CROSS, "BTC", 1.0, INDEX * (9 * 0.16 + 0.01), XPM_BTC),
    (CROSS, "BTC", 1e5, INDEX * ((1e5 - 10) * 0.16 + 1e3 + 1e4), XPM_BTC),
    (CROSS, "ETH", 1.0, INDEX * (9 * 0.18 + 0.005), XPM_ETH),
    (CROSS, "ETH", 1e5, INDEX * ((1e5 - 10) * 0.18 + 500 + 1e4), XPM_ETH),
]


@pytest.mark.parametrize(("name", "base", "coins", "initial", "codes"), PERPETUALS)
def test_a_short_perpetual(name, base, coins, initial, codes):
    pool, found = asked(name, inverse(base), -coins * INDEX, INDEX, 10.0)
    assert pool.initial == pytest.approx(initial, rel=1e-8)
    assert pool.maintenance == pytest.approx(initial / 1.2 if name == LEGACY else 0.8 * initial, rel=1e-8)
    assert set(codes) <= found


# Vol shocks at 30 days, where their scale is one: DERIBIT-SPM-013 and DERIBIT-XPM-013 +50 %, DERIBIT-SPM-023 and
# DERIBIT-XPM-023 +40 %, DERIBIT-PML-012 +45 %. The part of the tree is the worst cell: price and vol up.
VOLS = [
    (
        OLD,
        "BTC",
        0.16,
        1.2,
        "DERIBIT-SPM-013",
    ),
    (
        NEW,
        "BTC",
        0.16,
        1.2,
        "DERIBIT-SPM-013",
    ),
    (
        NEW,
        "ETH",
        0.18,
        1.12,
        "DERIBIT-SPM-023",
    ),
    (
        CROSS,
        "BTC",
        0.16,
        1.2,
        "DERIBIT-XPM-013",
    ),
    (
        CROSS,
        "ETH",
        0.18,
        1.12,
        "DERIBIT-XPM-023",
    ),
    (
        LEGACY,
        "BTC",
        0.15,
        1.16,
        "DERIBIT-PML-012",
    ),
]


@pytest.mark.parametrize(("name", "base", "move", "vol", "code"), VOLS)
def test_a_short_call_is_revalued_at_the_shocked_vol(name, base, move, vol, code):
    terms = next(t for t in book(name).portfolio.terms if base in t.bases or not t.bases)
    assert terms.vol.code == code
    mark, price = float(coin_price(INDEX, 60_000.0, 0.8, 30 / 365, True)), INDEX * (1 + move)
    then = float(coin_price(price, 60_000.0, vol, 30 / 365, True))
    loss = then * price - mark * INDEX if name == CROSS else then - mark
    contract = option(base, Right.CALL, 60_000.0, coin=True)
    market = Market(
        at=AT,
        instruments={contract.symbol: contract},
        quotes={contract.symbol: Quote(mark=mark, forward=INDEX, vol=0.8)},
        index={base: INDEX, "USD": 1.0},
    )
    account = Account(positions=(Position(symbol=contract.symbol, quantity=-1.0, entry=mark),))
    tree = assess(account, market, book(name)).explain("maintenance")
    worst = next(node for _, node in tree.walk() if node.label.startswith("worst of"))
    assert worst.amount == pytest.approx(loss, rel=1e-6)


# The extended table and what gains may offset: parameters as the venue prints them, each under its code.
TAIL = (-0.66, -0.33, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
BTC_GAINS, ETH_GAINS = (0.0, 0.0, 100_000.0), (0.6, 20_000_000.0, 200_000.0)


@pytest.mark.parametrize(
    ("name", "base", "tail", "gains", "offsets"),
    [
        (OLD, "BTC", "DERIBIT-SPM-012", "DERIBIT-SPM-014", BTC_GAINS),
        (NEW, "BTC", "DERIBIT-SPM-012", "DERIBIT-SPM-014", BTC_GAINS),
        (NEW, "ETH", "DERIBIT-SPM-022", "DERIBIT-SPM-024", ETH_GAINS),
        (CROSS, "BTC", "DERIBIT-XPM-012", "DERIBIT-XPM-014", BTC_GAINS),
        (CROSS, "ETH", "DERIBIT-XPM-022", "DERIBIT-XPM-024", ETH_GAINS),
    ],
)
def test_the_extended_table_and_offsets(name, base, tail, gains, offsets):
    terms = next(t for t in book(name).portfolio.terms if base in t.bases)
    assert (terms.cells.tail.code, terms.cells.tail.moves, terms.cells.tail.factor) == (tail, TAIL, 1.0)
    assert (terms.gains.code, terms.gains.share, terms.gains.most, terms.gains.tail_dampener) == (
        gains,
        *offsets,
    )

"""Portfolio margin that ships, by rule code: numbers by hand from the scenarios as printed (defi.md 1, 6; cex.md 4.3).

Positions are marked at entry, so that a requirement is the loss of the worst scenario and charges. Options have 30 days,
where a vol shock's scale is one.
"""

from datetime import timedelta
from math import exp, expm1, log, sqrt

import pytest

from margrave.core.errors import Reason
from margrave.domain.account import Account, Balance, Position
from margrave.domain.instruments import (
    Future,
    Instrument,
    Linear,
    Option,
    Perpetual,
    QuotePremium,
    Right,
)
from margrave.domain.market import Market, Quote
from margrave.engine.assess import assess
from margrave.kernels.black76 import coin_price
from margrave.rulebook.okx_charges import UNITS
from tests.unit.made import AT
from tests.unit.rulebook.test_rules_by_code import book

INDEX, YEARS = 50_000.0, 30 / 365
PRICES = {"ETH": 3_000.0}  # every other coin is at INDEX
PARADEX, AEVO, PMRM, PMRM2 = "paradex.pm", "aevo.pm", "derive.pmrm", "derive.pmrm2"
OKX, INFERRED = "okx.pm", "okx.pm-inferred"
MADE, SCAN, RANGES = "example.portfolio", "example.scan", "example.ranges"
CASH = {PARADEX: "USDC", AEVO: "USDC", PMRM: "USDC", PMRM2: "USDC", OKX: "USDT", INFERRED: "USDT"}


def contract(base, settle, kind):
    payoff = QuotePremium(contract_size=1.0) if isinstance(kind, Option) else Linear(contract_size=1.0)
    symbol = f"{base}-{type(kind).__name__}-{getattr(kind, 'strike', '')}"
    return Instrument(symbol=symbol, base=base, quote=settle, settlement=settle, kind=kind, payoff=payoff)


def call(strike=60_000.0):
    return Option(expiry=AT + timedelta(days=30), strike=strike, right=Right.CALL)


def dated():
    return Future(expiry=AT + timedelta(days=30))


def premium(price, strike, vol):
    return float(coin_price(price, strike, vol, YEARS, True)) * price


def asked(name, *held, vol=0.8, sure=1.0, stable=1.0, balances=()):
    """Pool, and every node of both trees by its code, of (base, kind, quantity)."""
    cash = CASH.get(name, "USD")
    instruments, quotes, positions = {}, {}, []
    for base, kind, quantity in held:
        listed, price = contract(base, cash, kind), PRICES.get(base, INDEX)
        option = isinstance(kind, Option)
        mark = premium(price, kind.strike, vol) if option else price
        instruments[listed.symbol] = listed
        quotes[listed.symbol] = Quote(
            mark=mark, index=price, forward=price if option else None, vol=vol if option else None, confidence=sure
        )  # fmt: skip
        positions.append(Position(symbol=listed.symbol, quantity=quantity, entry=mark))
    bases = {base for base, _, _ in held} | {"BTC"}
    index = {b: PRICES.get(b, INDEX) * stable for b in bases} | {"USD": 1.0, cash: stable}
    market = Market(at=AT, instruments=instruments, quotes=quotes, index=index)
    account = Account(
        balances=tuple(Balance(asset=a, amount=n) for a, n in balances), positions=tuple(positions)
    )
    assessment = assess(account, market, book(name))
    (pool,) = assessment.pools
    if pool.issues:
        return pool, {}
    trees = [assessment.explain(level) for level in ("initial", "maintenance")]
    return pool, {node.code: node.amount for tree in trees for _, node in tree.walk()}


PERP = Perpetual()
# What is held of one size, requirement per size at both levels, and the codes of the tree.
LINEAR = [
    # Paradex: 16 % either way; far moves weigh less (66 % x 24 % is 15.84 %). Maintenance is half.
    (PARADEX, (("BTC", PERP, 1.0),), 8_000.0, 4_000.0, ("PARADEX-PM-ACCOUNT-001", "PARADEX-PM-001", "PARADEX-PM-002", "PARADEX-PM-010", "PARADEX-PM-011", "PARADEX-PM-013")),
    (PARADEX, (("BTC", PERP, -1.0),), 8_000.0, 4_000.0, ("PARADEX-PM-011",)),
    # Nothing to lose, but 1 % of what is hedged.
    (PARADEX, (("BTC", PERP, 1.0), ("BTC", dated(), -1.0)), 500.0, 250.0, ("PARADEX-PM-013",)),
    (AEVO, (("BTC", PERP, 1.0),), 10_000.0, 10_000.0, ("AEVO-PM-ACCOUNT-001", "AEVO-PM-001", "AEVO-PM-002", "AEVO-PM-010", "AEVO-PM-011")),
    (AEVO, (("ETH", PERP, -10.0), ("BTC", PERP, 1.0)), 16_000.0, 16_000.0, ("AEVO-PM-001",)),
    # Derive, first manager: 20 % and 3 % of the perpetual, initial 1.25 of all.
    (PMRM, (("BTC", PERP, 1.0),), 1.25 * 11_500, 11_500.0,
     ("DERIVE-PMRM-ACCOUNT-001", "DERIVE-PMRM-001", "DERIVE-PMRM-002", "DERIVE-PMRM-010", "DERIVE-PMRM-011", "DERIVE-PMRM-015")),
    # Second: 0.8 of 18 %, and 3 % beside; initial all of it and 4 %.
    (PMRM2, (("ETH", PERP, -1.0),), 540.0 + 120, 0.8 * 540 + 90,
     ("DERIVE-PMRM2-ACCOUNT-001", "DERIVE-PMRM2-001", "DERIVE-PMRM2-002", "DERIVE-PMRM2-010", "DERIVE-PMRM2-011", "DERIVE-PMRM2-016", "DERIVE-PMRM2-017")),
    # OKX: the larger of MR1 and half the loss of the extreme move (MR6); initial 1.3 of it.
    (OKX, (("BTC", PERP, 1.0),), 1.3 * 6_000, 6_000.0, ("OKX-PM-ACCOUNT-001", "OKX-PM-001", "OKX-PM-002", "OKX-PM-010", "OKX-PM-011")),
    (OKX, (("LTC", PERP, -1.0),), 1.3 * 9_000, 9_000.0, ("OKX-PM-020", "OKX-PM-021")),
    (OKX, (("EOS", PERP, 1.0),), 1.3 * 12_500, 12_500.0, ("OKX-PM-030", "OKX-PM-031")),
    (OKX, (("SOL", PERP, 1.0),), 1.3 * 12_500, 12_500.0, ("OKX-PM-040", "OKX-PM-041")),
    (OKX, (("XLM", PERP, 1.0),), 1.3 * 12_500, 12_500.0, ("OKX-PM-050", "OKX-PM-051")),
    # A lone perpetual costs 0.2 % of BTC, 0.8 % of LTC (MR4); MR7 is far below.
    (INFERRED, (("BTC", PERP, 1.0),), 1.3 * 6_100, 6_100.0,
     ("OKX-PMI-ACCOUNT-001", "OKX-PMI-001", "OKX-PMI-002", "OKX-PMI-010", "OKX-PMI-011", "OKX-PMI-012", "OKX-PMI-013")),
    (INFERRED, (("XRP", PERP, -1.0),), 1.3 * 9_400, 9_400.0, ("OKX-PMI-020", "OKX-PMI-021", "OKX-PMI-022", "OKX-PMI-023")),
    # Perpetual against a dated future: no loss, but both bases, 0.2 % and 5 % a year.
    (INFERRED, (("BTC", PERP, 1.0), ("BTC", dated(), -1.0)),
     1.3 * INDEX * (0.002 + expm1(0.05 * YEARS)), INDEX * (0.002 + expm1(0.05 * YEARS)), ("OKX-PMI-012",)),
    # Scan: 15 % of BTC; 500 a calendar spread; 70 % credit between one BTC and fifteen ETH (7,500 and 9,000).
    (SCAN, (("BTC", PERP, 1.0),), 1.1 * 7_500, 7_500.0, ("EXAMPLE-SCAN-ACCOUNT-001", "EXAMPLE-SCAN-001", "EXAMPLE-SCAN-BTC-001")),
    (SCAN, (("BTC", PERP, 1.0), ("BTC", dated(), -1.0)), 550.0, 500.0, ("EXAMPLE-SCAN-CALENDAR-001",)),
    (SCAN, (("BTC", PERP, 1.0), ("ETH", PERP, -15.0)), 1.1 * 4_950, 4_950.0, ("EXAMPLE-SCAN-ETH-001", "EXAMPLE-SCAN-CREDIT-001")),
    # Ranges: 15 % and 20 %; at the highest point half of BTC's gain offsets: 9,000 - 3,750.
    (RANGES, (("BTC", PERP, 1.0),), 1.2 * 7_500, 7_500.0, ("EXAMPLE-RANGES-ACCOUNT-001", "EXAMPLE-RANGES-001", "EXAMPLE-RANGES-CLASS-001")),
    (RANGES, (("BTC", PERP, 1.0), ("ETH", PERP, -15.0)), 1.2 * 5_250, 5_250.0, ("EXAMPLE-RANGES-CLASS-002", "EXAMPLE-RANGES-GROUP-001")),
]  # fmt: skip


@pytest.mark.parametrize("size", [1.0, 1e4])
@pytest.mark.parametrize(("name", "held", "initial", "maintenance", "codes"), LINEAR)
def test_contracts_without_options_at_two_sizes(name, held, initial, maintenance, codes, size):
    pool, found = asked(name, *((base, kind, quantity * size) for base, kind, quantity in held))
    assert pool.issues == ()
    assert pool.initial == pytest.approx(initial * size, rel=1e-9)
    assert pool.maintenance == pytest.approx(maintenance * size, rel=1e-9)
    assert set(codes) <= set(found)


def cells(moves, vols):
    return [(move, vol, 1.0) for move in moves for vol in vols]


# Scenarios as printed: price move, vol after the shock, share of the loss that counts.
def scenarios(name, vol):
    match name:
        case "paradex.pm":
            up, down = 1.4 * vol, 0.78 * vol
            near = cells((-0.12, -0.08, -0.04, 0, 0.04, 0.08, 0.12), (up, down)) + cells((-0.16, 0.16), (up,))
            far = {-0.66: 0.24, -0.33: 0.48, 0.5: 0.32, 1: 0.16, 2: 0.08, 3: 0.0533, 4: 0.04, 5: 0.032}
            return near + [(move, up, share) for move, share in far.items()]
        case "aevo.pm":
            return cells((-0.2, -0.1, 0, 0.1, 0.2), (vol + 0.5, vol, max(vol - 0.25, 0.0)))
        case "derive.pmrm":
            near = cells((-0.15, -0.1, -0.05, 0, 0.05, 0.1, 0.15), (1.6 * vol, vol, 0.7 * vol))
            return near + cells((-0.2, 0.2), (1.6 * vol,))
        case "derive.pmrm2":
            up = max(1.5 * vol, 0.4)
            near = cells((-0.135, -0.09, -0.045, 0, 0.045, 0.09, 0.135), (up, vol, 0.7 * vol))
            far = {
                -0.66: 0.21,
                -0.33: 0.42,
                0.5: 0.2772,
                1: 0.1386,
                2: 0.0693,
                3: 0.0462,
                4: 0.03465,
                5: 0.02772,
            }
            return near + cells((-0.18, 0.18), (up,)) + [(move, up, share) for move, share in far.items()]
        case _:
            near = cells([0.04 * k for k in range(-4, 5)], (1.5 * vol, vol, 0.75 * vol))
            return [*near, (-0.5, 1.5 * vol, 0.32), (1.0, 1.5 * vol, 0.16)]  # fmt: skip


def counted(name, quantity, worth):
    """Worth of the options of an expiry in a scenario, after static discounts."""
    if name == PMRM and quantity > 0:
        return worth * 0.95 * exp(-0.12 * YEARS)
    if name == PMRM2 and quantity > 0:
        return worth * 0.95 * exp(-0.16 * YEARS)
    return worth  # of a short one at most 1 / discount, and the rate is zero


def worst_loss(name, quantity, strike, vol):
    mark = premium(INDEX, strike, vol)
    gains = [
        (counted(name, quantity, quantity * premium(INDEX * (1 + move), strike, after)) - quantity * mark)
        * share
        for move, after, share in scenarios(name, vol)
    ]
    if name == PMRM2:
        cap, k = 0.25 - 0.1 * sqrt(YEARS), log(strike / INDEX)
        for wing in (k, abs(k)):
            lean = max(-cap, min(cap, wing * cap / max(0.01, 2.4 * sqrt(YEARS))))
            skewed = counted(name, quantity, quantity * premium(INDEX, strike, vol * (1 + lean)))
            gains.append(-abs(skewed - quantity * mark))
    basis = {PMRM: (0.05, 1.0 + 1.2 * YEARS), PMRM2: (0.045, 0.5 + 2.0 * YEARS)}
    if name in basis:
        move, factor = basis[name]
        shifted = [quantity * (premium(INDEX * (1 + m), strike, vol) - mark) for m in (-move, move)]
        gains.append(min(shifted) * factor)
    return max(0.0, -min(gains))


# Codes that the loss of an option rests on: vol shocks PARADEX-PM-012, AEVO-PM-012, DERIVE-PMRM-012, DERIVE-PMRM2-012,
# EXAMPLE-PORTFOLIO-013; skew DERIVE-PMRM2-013; static discounts DERIVE-PMRM-013, DERIVE-PMRM2-014; far moves
# EXAMPLE-PORTFOLIO-012. Those below stand in the tree.
OPTIONS = [
    (PARADEX, 1.0, 0.5, 0.0, 0.0, ("PARADEX-PM-011",)),
    (AEVO, 1.0, 1.0, 0.0, 0.0, ("AEVO-PM-011",)),
    (PMRM, 1.25, 1.0, 0.0, 0.0, ("DERIVE-PMRM-014",)),
    (PMRM2, 1.0, 0.8, 0.0, 0.0, ("DERIVE-PMRM2-015",)),
    (MADE, 1.0, 0.8, 0.0, 10.0, ("EXAMPLE-PORTFOLIO-010", "EXAMPLE-PORTFOLIO-011", "EXAMPLE-PORTFOLIO-014")),
]  # fmt: skip


@pytest.mark.parametrize("vol", [0.2, 0.8])
@pytest.mark.parametrize("strike", [30_000.0, 50_000.0, 60_000.0])
@pytest.mark.parametrize("quantity", [-1e3, -1.0, 1.0, 1e3])
@pytest.mark.parametrize(("name", "initial", "maintenance", "after", "amount", "codes"), OPTIONS)
def test_calls_are_revalued_in_the_scenarios_as_printed(
    name, initial, maintenance, after, amount, codes, quantity, strike, vol
):
    loss, naked = worst_loss(name, quantity, strike, vol) + amount, max(-quantity, 0.0) * INDEX
    loss += 0.02 * naked if name == PMRM else 0.0
    if name == PARADEX:  # never below 2 % of net delta, which a short call of a far strike may need
        loss = max(loss, asked(name, ("BTC", call(strike), quantity), vol=vol)[1]["PARADEX-PM-013"])
    beside = (0.005 * naked, 0.003 * naked) if name == PMRM2 else (0.0, 0.0)
    pool, found = asked(name, ("BTC", call(strike), quantity), vol=vol)
    assert pool.issues == ()
    assert pool.initial == pytest.approx(initial * loss + beside[0], rel=1e-6)
    assert pool.maintenance == pytest.approx(maintenance * loss + beside[1], rel=1e-6)
    assert set(codes) <= set(found)


@pytest.mark.parametrize(
    ("name", "codes", "rates"),
    [
        (PMRM, ("DERIVE-PMRM-017",), (0.02,)),
        (PMRM2, ("DERIVE-PMRM2-018", "DERIVE-PMRM2-019"), (0.003, 0.002)),
    ],
)
def test_naked_short_options_are_charged(name, codes, rates):
    _, found = asked(name, ("BTC", call(), -3.0))
    assert [found[code] for code in codes] == pytest.approx([3.0 * INDEX * rate for rate in rates])


@pytest.mark.parametrize(
    ("name", "kind", "code", "peg"),
    [
        (PMRM, PERP, "DERIVE-PMRM-018", "DERIVE-PMRM-005"),
        (PMRM, call(), "DERIVE-PMRM-019", "DERIVE-PMRM-005"),
        (PMRM2, PERP, "DERIVE-PMRM2-020", "DERIVE-PMRM2-003"),
        (PMRM2, call(), "DERIVE-PMRM2-021", "DERIVE-PMRM2-003"),
    ],
)
def test_initial_asks_more_where_a_feed_is_not_sure_or_the_settlement_asset_falls(name, kind, code, peg):
    held = ("BTC", kind, 1.0)
    calm, doubtful = asked(name, held)[0], asked(name, held, sure=0.5)
    assert doubtful[1][code] == pytest.approx(0.5 * INDEX)
    assert doubtful[0].initial - calm.initial == pytest.approx(0.5 * INDEX)
    assert doubtful[0].maintenance == pytest.approx(calm.maintenance)
    assert asked(name, held, sure=0.55)[0].initial == pytest.approx(calm.initial)
    fallen, found = asked(name, held, stable=0.95)
    assert found[peg] == pytest.approx(4 * 0.04)
    assert fallen.maintenance == pytest.approx(calm.maintenance)


@pytest.mark.parametrize(("base", "code"), [("BTC", "DERIVE-PMRM-003"), ("ETH", "DERIVE-PMRM-004")])
def test_base_is_shocked_with_spot_and_charged(base, code):
    member = next(m for m in book(PMRM).portfolio.collateral if m.asset == base)
    assert (member.code, member.moves_with) == (code, base)
    for size in (1.0, 1e3):
        held = ((base, PERP, 0.0),)
        pool, found = asked(PMRM, *held, balances=((base, size),))
        assert pool.maintenance == pytest.approx(0.23 * PRICES.get(base, INDEX) * size)
        assert found["DERIVE-PMRM-016"] == pytest.approx(0.03 * PRICES.get(base, INDEX) * size)


def test_okx_refuses_options_by_the_gap_that_names_what_is_missing():
    for name in (OKX, INFERRED):
        pool, _ = asked(name, ("BTC", call(), -1.0))
        assert [issue.reason for issue in pool.issues] == [Reason.NOT_PUBLISHED]
        gaps = [gap for gap in book(name).gaps if "options are refused" in gap.what]
        assert gaps[0].code in pool.issues[0].message


def test_okx_moves_are_those_of_the_charges():
    # One table in two forms: scenarios of the rulebook, and `okx_charges` since 2025.
    for unit in UNITS[:5]:
        terms = next(t for t in book(OKX).portfolio.terms if t.bases == unit.coins)
        whole = {cell.move for cell in terms.cells.listed if cell.weight == 1.0}
        assert whole == {0.0, *unit.moves, *(-m for m in unit.moves)}
        assert {c.move for c in terms.cells.listed if c.weight == 0.5} == {unit.extreme, -unit.extreme}


@pytest.mark.parametrize(
    ("base", "code", "rate"), [("BTC", "OKX-PMI-013", 0.0045), ("LTC", "OKX-PMI-023", 0.007)]
)
def test_the_inferred_minimum_of_okx(base, code, rate):
    for size in (1.0, 1e4):
        assert asked(INFERRED, (base, PERP, size))[1][code] == pytest.approx(rate * INDEX * size)


# OKX-PM-COLLATERAL-001 OKX-PM-COLLATERAL-002 OKX-PMI-COLLATERAL-001 OKX-PMI-COLLATERAL-002
@pytest.mark.parametrize(
    ("name", "prefix"), [(OKX, "OKX-PM-COLLATERAL"), (INFERRED, "OKX-PMI-COLLATERAL")]
)  # fmt: skip
def test_what_okx_counts(name, prefix):
    rules = {c.asset: c for c in book(name).account.collateral}
    assert [rules[a].code for a in ("USDT", "BTC")] == [f"{prefix}-001", f"{prefix}-002"]
    for balances, kept in [
        ((("USDT", 1.0),), 1.0),
        ((("USDT", 12e6),), 5e6 + 0.975 * 5e6 + 0.95 * 2e6),
        ((("BTC", 1.0),), 0.98 * INDEX),
        ((("BTC", 50.0),), 20 * 0.98 * INDEX),
    ]:
        assert asked(name, balances=balances)[0].margin_balance == pytest.approx(kept)


def test_a_debt_in_usdt_asks_ten_and_two_per_cent():
    for debt in (1.0, 1e6):
        pool, found = asked(INFERRED, balances=(("USDT", -debt), ("BTC", 1.0)))
        assert (pool.initial, pool.maintenance) == pytest.approx((0.1 * debt, 0.02 * debt))
        assert "OKX-PMI-COLLATERAL-003" in found


# --- made rules ---


def test_a_correlation_offset_is_capped():
    # BTC 16 % and 10 dollars, ETH 20 % and nothing; hurt by moves of opposite sign, correlation 0.8 would leave 32 %.
    for size in (1.0, 100.0):
        btc, eth = 8_000 * size + 10, 9_000 * size
        pool, found = asked(MADE, ("BTC", PERP, size), ("ETH", PERP, -15 * size))
        assert sqrt(btc**2 + eth**2 - 1.6 * btc * eth) < 0.6 * (btc + eth)
        assert pool.initial == pytest.approx(0.6 * (btc + eth))
        assert found["EXAMPLE-PORTFOLIO-003"] == pytest.approx(-0.4 * (btc + eth))
        same, _ = asked(MADE, ("BTC", PERP, size), ("ETH", PERP, 15 * size))
        assert same.maintenance == pytest.approx(0.8 * sqrt(btc**2 + eth**2 + 1.6 * btc * eth))
        codes = {"EXAMPLE-PORTFOLIO-ACCOUNT-001", "EXAMPLE-PORTFOLIO-001", "EXAMPLE-PORTFOLIO-002",
                 "EXAMPLE-PORTFOLIO-020", "EXAMPLE-PORTFOLIO-021"}  # fmt: skip
        assert codes <= set(found)


def test_made_futures_that_offset_are_charged_one_per_cent():
    pool, found = asked(MADE, ("BTC", PERP, 2.0), ("BTC", dated(), -2.0))
    assert found["EXAMPLE-PORTFOLIO-015"] == pytest.approx(0.01 * 2 * INDEX)
    assert pool.initial == pytest.approx(1_010.0)


def test_a_made_short_call_of_ether():
    # EXAMPLE-PORTFOLIO-022: vol up by a half at the highest price.
    strike = 3_600.0
    pool, _ = asked(MADE, ("ETH", call(strike), -1.0))
    assert pool.initial == pytest.approx(
        premium(3_600.0, strike, 1.2) - premium(3_000.0, strike, 0.8), rel=1e-6
    )


@pytest.mark.parametrize("size", [1.0, 100.0])
@pytest.mark.parametrize(
    ("name", "code", "share", "initial", "owed"),
    [
        (SCAN, "EXAMPLE-SCAN-SHORT-001", 0.01, 1.1, 1.0),
        (RANGES, "EXAMPLE-RANGES-MINIMUM-001", 0.005, 1.2, 0.0),
    ],
)
def test_a_short_option_that_cannot_lose_is_charged_a_minimum(name, code, share, initial, owed, size):
    mark = premium(INDEX, 200_000.0, 0.8)
    pool, found = asked(name, ("BTC", call(200_000.0), -size))
    assert found[code] == pytest.approx(share * INDEX * size)
    assert pool.maintenance == pytest.approx((share * INDEX + owed * mark) * size)
    assert pool.initial == pytest.approx(initial * pool.maintenance)

"""Derive's standard manager by rule code: parameters of each underlying as its configuration has them (defi.md 1)."""

import pytest

from margrave.domain.account import Account, Balance
from margrave.domain.market import Market
from margrave.engine.assess import assess
from tests.unit.made import AT
from tests.unit.rulebook.test_rules_by_code import book

SRM = book("derive.srm")
MARKETS = {m.base: m for m in SRM.portfolio.markets}

# Asset, share that counts in maintenance, share of that in initial; codes of collateral, base and oracle rule.
BASES = [
    ("ETH", 0.8, 0.9375, "DERIVE-SRM-COLLATERAL-001", "DERIVE-SRM-BASE-001", "DERIVE-SRM-ORACLE-001"),
    ("wstETH", 0.8, 0.9375, "DERIVE-SRM-COLLATERAL-002", "DERIVE-SRM-BASE-002", "DERIVE-SRM-ORACLE-002"),
    ("BTC", 0.75, 0.93, "DERIVE-SRM-COLLATERAL-003", "DERIVE-SRM-BASE-003", "DERIVE-SRM-ORACLE-003"),
    ("USDT", 0.98, 0.98, "DERIVE-SRM-COLLATERAL-004", "DERIVE-SRM-BASE-004", "DERIVE-SRM-ORACLE-004"),
    ("SFP", 0.98, 0.98, "DERIVE-SRM-COLLATERAL-005", "DERIVE-SRM-BASE-005", "DERIVE-SRM-ORACLE-005"),
    ("SNX", 0.7, 0.65, "DERIVE-SRM-COLLATERAL-006", "DERIVE-SRM-BASE-006", "DERIVE-SRM-ORACLE-006"),
    ("rswETH", 0.65, 0.77, "DERIVE-SRM-COLLATERAL-007", "DERIVE-SRM-BASE-007", "DERIVE-SRM-ORACLE-007"),
    ("rsETH", 0.65, 0.77, "DERIVE-SRM-COLLATERAL-008", "DERIVE-SRM-BASE-008", "DERIVE-SRM-ORACLE-008"),
    ("weETH", 0.65, 0.77, "DERIVE-SRM-COLLATERAL-009", "DERIVE-SRM-BASE-009", "DERIVE-SRM-ORACLE-009"),
    ("LBTC", 0.65, 0.77, "DERIVE-SRM-COLLATERAL-010", "DERIVE-SRM-BASE-010", "DERIVE-SRM-ORACLE-010"),
    ("cbBTC", 0.65, 0.77, "DERIVE-SRM-COLLATERAL-011", "DERIVE-SRM-BASE-011", "DERIVE-SRM-ORACLE-011"),
    ("DAI", 0.925, 0.92, "DERIVE-SRM-COLLATERAL-012", "DERIVE-SRM-BASE-012", "DERIVE-SRM-ORACLE-012"),
    ("PYUSD", 0.925, 0.92, "DERIVE-SRM-COLLATERAL-013", "DERIVE-SRM-BASE-013", "DERIVE-SRM-ORACLE-013"),
    ("sDAI", 0.875, 0.915, "DERIVE-SRM-COLLATERAL-014", "DERIVE-SRM-BASE-014", "DERIVE-SRM-ORACLE-014"),
    ("USDe", 0.8, 0.875, "DERIVE-SRM-COLLATERAL-015", "DERIVE-SRM-BASE-015", "DERIVE-SRM-ORACLE-015"),
    ("eBTC", 0.9, 0.945, "DERIVE-SRM-COLLATERAL-016", "DERIVE-SRM-BASE-016", "DERIVE-SRM-ORACLE-016"),
]


@pytest.mark.parametrize(("asset", "factor", "scale", "collateral", "base", "oracle"), BASES)
def test_a_base_asset_counts_by_its_factor(asset, factor, scale, collateral, base, oracle):
    rules = MARKETS[asset]
    held = next(c for c in SRM.account.collateral if c.asset == asset)
    assert (rules.collateral.factor, rules.collateral.initial_scale) == (factor, scale)
    assert (held.code, rules.collateral.code, rules.oracle.code) == (collateral, base, oracle)
    for amount in (1.0, 1e6):
        account = Account(balances=(Balance(asset=asset, amount=amount),))
        market = Market(at=AT, instruments={}, quotes={}, index={asset: 10.0, "USDC": 1.0})
        pool = assess(account, market, SRM).pools[0]
        assert pool.issues == ()
        assert pool.maintenance == 0
        assert pool.margin_balance == pytest.approx(10 * amount * factor)


@pytest.mark.parametrize("market", MARKETS.values(), ids=lambda m: m.base)
def test_a_feed_that_is_not_sure_is_charged_below_one_threshold(market):
    # DERIVE-SRM-ORACLE-017 PEPE and DERIVE-SRM-ORACLE-018 WIF stand beside those of the bases.
    thresholds = {
        market.oracle.perpetual_threshold,
        market.oracle.option_threshold,
        market.oracle.base_threshold,
    }
    assert thresholds == {0.55}
    assert market.oracle.factor == 1.0


@pytest.mark.parametrize(
    ("base", "code", "initial", "maintenance"),
    [
        ("ETH", "DERIVE-SRM-PERP-001", 0.10, 0.065),
        ("BTC", "DERIVE-SRM-PERP-002", 0.10, 0.065),
        ("PEPE", "DERIVE-SRM-PERP-003", 0.20, 0.143),
        ("WIF", "DERIVE-SRM-PERP-004", 0.20, 0.143),
    ],
)
def test_rates_of_perpetuals(base, code, initial, maintenance):
    rule = MARKETS[base].perpetual
    assert (rule.code, rule.initial, rule.maintenance) == (code, initial, maintenance)


@pytest.mark.parametrize(
    ("base", "code", "spot_max", "spot_min", "maintenance"),
    [
        ("ETH", "DERIVE-SRM-OPTION-001", 0.15, 0.13, 0.09),
        ("BTC", "DERIVE-SRM-OPTION-002", 0.15, 0.13, 0.09),
        ("SNX", "DERIVE-SRM-OPTION-003", 0.25, 0.225, 0.15),
    ],
)
def test_terms_of_options(base, code, spot_max, spot_min, maintenance):
    rule = MARKETS[base].options
    assert (rule.code, rule.spot_max, rule.spot_min) == (code, spot_max, spot_min)
    assert rule.maintenance_call == maintenance


def test_the_manager_and_its_peg():
    assert (SRM.account.code, SRM.portfolio.code) == ("DERIVE-SRM-ACCOUNT-001", "DERIVE-SRM-001")
    depeg = SRM.portfolio.depeg
    assert (depeg.code, depeg.threshold, depeg.factor) == ("DERIVE-SRM-DEPEG-001", 0.99, 2.0)

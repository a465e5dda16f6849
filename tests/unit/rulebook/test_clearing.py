"""Parameters of portfolio models as data, and what contradicts itself in them."""

import tomllib

import msgspec
import pytest

from margrave.core.errors import Reason
from margrave.rulebook.clearing import Amount, ClearingModel, RangesModel, ScanModel, Share, contradictions

SCAN = """
model = "scan"
code = "T-SCAN-001"
extreme = { multiple = 2.0, fraction = 0.35 }
initial_over_maintenance = 1.1

[[commodities]]
name = "BTC"
code = "T-SCAN-BTC"
bases = ["BTC"]
price_range = { of = "share", value = 0.15 }
vol_range = { of = "share", value = 0.25 }
tiers = [
    { name = "near", days_max = 35 },
    { name = "far" },
    { name = "perpetual", perpetuals = true },
]
spreads = [{ code = "T-CAL-001", tiers = ["near", "far"], rate = { of = "amount", value = 500.0 } }]
delivery = { code = "T-DEL-001", tier = "near", spread = { of = "amount", value = 1.0 }, outright = { of = "share", value = 0.001 } }
short_option_minimum = { code = "T-SOM-001", rate = { of = "share", value = 0.01 }, count = "larger" }

[[commodities]]
name = "ETH"
code = "T-SCAN-ETH"
bases = ["ETH"]
price_range = { of = "share", value = 0.2 }

[[spreads]]
code = "T-X-001"
rate = 0.7
legs = [{ commodity = "BTC", ratio = 1 }, { commodity = "ETH", ratio = 15, opposite = true }]

[arrays.NIFTY]
losses = [8.72, 8.72, -736.49, -736.49, 753.93, 753.93, -1481.7, -1481.7, 1499.14, 1499.14, -2226.91, -2226.91, 2244.36, 2244.36, -1561.89, 1568.0]
delta = 1.0
"""

RANGES = """
model = "ranges"
code = "T-PM-001"
minimum = { code = "T-PM-MIN", rate = { of = "amount", value = 0.375 } }
groups = [{ name = "indices", code = "T-PM-G", offset = 0.9 }]
classes = [
    { name = "large", code = "T-PM-L", down = 0.08, up = 0.06, group = "indices", bases = ["SPX"] },
    { name = "equity", code = "T-PM-E", down = 0.15, up = 0.15 },
]
"""


def parsed(text: str, **changes: object) -> ScanModel | RangesModel:
    return msgspec.convert(tomllib.loads(text) | changes, type=ClearingModel)  # type: ignore[arg-type]


def test_a_scan_is_data():
    model = parsed(SCAN)
    assert isinstance(model, ScanModel)
    assert model.commodities[0].price_range == Share(value=0.15)
    assert model.commodities[0].spreads[0].rate == Amount(value=500.0)
    assert model.arrays["NIFTY"].losses[12] == 2244.36
    assert list(contradictions(model, "T")) == []


def test_a_drift_may_be_down():
    assert (
        list(contradictions(parsed(SCAN, **with_commodity(drift={"of": "amount", "value": -8.72})), "T"))
        == []
    )


def test_ranges_are_data():
    model = parsed(RANGES)
    assert isinstance(model, RangesModel)
    assert model.points_each_side == 5
    assert list(contradictions(model, "T")) == []


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        (SCAN, {"model": "span"}),
        (SCAN, {"surprise": 1}),
        (SCAN, {"arrays": {"X": {"losses": [1.0] * 15, "delta": 1.0}}}),
        (SCAN, {"extreme": {"multiple": 2.0, "fraction": 1.5}}),
        (RANGES, {"classes": [{"name": "c", "code": "T", "down": 1.0, "up": 0.1}]}),
        (RANGES, {"classes": []}),
    ],
)
def test_what_is_malformed_is_refused(text, changes):
    with pytest.raises(msgspec.ValidationError):
        parsed(text, **changes)


BTC = tomllib.loads(SCAN)["commodities"][0]
LEG = {"commodity": "BTC", "ratio": 1.0}


def with_commodity(**changes: object) -> dict[str, object]:
    return {"commodities": [BTC | changes], "spreads": []}


def without(name: str) -> dict[str, object]:
    return {"commodities": [{k: v for k, v in BTC.items() if k != name}], "spreads": []}


@pytest.mark.parametrize(
    ("text", "changes", "reason", "place"),
    [
        (SCAN, {"commodities": [BTC, BTC], "spreads": []}, Reason.DUPLICATE, "T.commodities"),
        (
            SCAN,
            with_commodity(price_range={"of": "amount", "value": -1.0}),
            Reason.INVALID_VALUE,
            "T.commodities[0].price_range",
        ),
        (
            SCAN,
            with_commodity(vol_range={"of": "share", "value": -0.1}),
            Reason.INVALID_VALUE,
            "T.commodities[0].vol_range",
        ),
        (
            SCAN,
            with_commodity(price_range={"of": "share", "value": 0.5}),
            Reason.CONTRADICTION,
            "T.commodities[0] (BTC).price_range",
        ),
        (SCAN, without("price_range"), Reason.CONTRADICTION, "T.commodities[0] (BTC).price_risk"),
        (
            SCAN,
            with_commodity(tiers=[*BTC["tiers"], BTC["tiers"][0] | {"days_max": None, "name": "late"}]),
            Reason.NOT_MONOTONE,
            "T.commodities[0] (BTC).tiers",
        ),
        (
            SCAN,
            with_commodity(tiers=[*BTC["tiers"], {"name": "far", "perpetuals": True}]),
            Reason.DUPLICATE,
            "T.commodities[0] (BTC).tiers",
        ),
        (
            SCAN,
            with_commodity(spreads=[BTC["spreads"][0] | {"tiers": ["near", "later"]}]),
            Reason.NOT_FOUND,
            "T.commodities[0] (BTC).spreads[0].tiers",
        ),
        (
            SCAN,
            with_commodity(delivery=BTC["delivery"] | {"tier": "later"}),
            Reason.NOT_FOUND,
            "T.commodities[0] (BTC).delivery.tier",
        ),
        (
            SCAN,
            {
                "spreads": [
                    {"code": "T", "rate": 0.5, "legs": [LEG, LEG | {"commodity": "DOGE", "opposite": True}]}
                ]
            },
            Reason.NOT_FOUND,
            "T.spreads[0].legs",
        ),
        (
            SCAN,
            {"spreads": [{"code": "T", "rate": 0.5, "legs": [LEG, LEG | {"opposite": True}]}]},
            Reason.DUPLICATE,
            "T.spreads[0].legs",
        ),
        (
            SCAN,
            {"spreads": [{"code": "T", "rate": 0.5, "legs": [LEG, LEG | {"commodity": "ETH"}]}]},
            Reason.CONTRADICTION,
            "T.spreads[0].legs",
        ),
        (
            SCAN,
            {"arrays": {"X": {"losses": [float("nan"), *[1.0] * 15], "delta": 1.0}}},
            Reason.INVALID_VALUE,
            "T.arrays.X.losses[0]",
        ),
        (
            RANGES,
            {"minimum": {"code": "T", "rate": {"of": "amount", "value": -1.0}}},
            Reason.INVALID_VALUE,
            "T.minimum.rate",
        ),
        (RANGES, {"groups": []}, Reason.NOT_FOUND, "T.classes"),
        (
            RANGES,
            {"groups": [{"name": "indices", "code": "T", "offset": 0.5}] * 2},
            Reason.DUPLICATE,
            "T.groups",
        ),
        (
            RANGES,
            {"classes": [{"name": "c", "code": "T", "down": 0.1, "up": 0.1}] * 2},
            Reason.DUPLICATE,
            "T.classes",
        ),
    ],
)
def test_what_contradicts_itself_is_named(text, changes, reason, place):
    assert [(i.where, i.reason) for i in contradictions(parsed(text, **changes), "T")] == [(place, reason)]

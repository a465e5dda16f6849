"""Laws of the importers: whatever stands in a payload, the answer is an account or one clear error."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.adapters.files import dump_case, parse_case
from margrave.adapters.payloads import import_payloads, venues
from margrave.adapters.rows import parse_payload
from margrave.adapters.verify import first_difference, verify
from margrave.core.errors import MargraveError
from margrave.rulebook.catalogue import in_force
from tests.unit.adapters import payloads_of_venues as made
from tests.unit.adapters.test_venues import INSTANT

NAMES = (
    "binance_usdm",
    "binance_coinm",
    "bybit_linear",
    "okx",
    "gate",
    "hyperliquid",
    "derive",
    "dydx",
    "deribit",
)
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec=None), max_size=8),
    st.sampled_from(["NaN", "-inf", "1e999", "0", "", "-1", "BTC-PERPETUAL", "9" * 400]),
    st.just([]),
    st.just({}),
    st.just([{"symbol": "BTCUSDT"}]),
    st.just({"list": [1]}),
)


def leaves(tree, path=()):
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    yield path
    for key, item in inside:
        yield from leaves(item, (*path, key))


def put(tree, path, value):
    if not path:
        return value
    inner = tree
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return tree


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_junk_anywhere_gives_an_account_or_an_error_and_nothing_else(name, data):
    trees = copy.deepcopy(getattr(made, name)())
    place = data.draw(st.integers(0, len(trees) - 1))
    path = data.draw(st.sampled_from(list(leaves(trees[place]))))
    trees[place] = put(trees[place], path, data.draw(JUNK))
    try:
        found = import_payloads(name.partition("_")[0], [(t, "p") for t in trees], at=INSTANT)
    except MargraveError as fault:
        told = fault.issues
    else:
        told = ()
        assert parse_case(dump_case(found.case), "again") == found.case
        assert len(verify(found.case, found.claims, in_force("example.flat", INSTANT))) == len(found.claims)
    assert all(issue.where and issue.message for issue in told)


@settings(max_examples=60, deadline=None)
@given(tree=st.recursive(JUNK, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=6), inner)))
def test_any_json_is_recognised_or_not_and_never_breaks(tree):
    for venue in venues().values():
        assert venue.recognises(tree) in (True, False)
        assert venue.refusal(tree) is None or isinstance(venue.refusal(tree), str)
    assert parse_payload(json.dumps(tree), "p") == tree


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 400),
    side=st.sampled_from([1, -1]),
    entry=st.integers(20_000, 120_000),
    mark=st.integers(20_000, 120_000),
    wallet=st.integers(1, 10_000_000),
    leverage=st.integers(1, 100),
)
def test_binances_formulas_hold_for_every_small_position(size, side, entry, mark, wallet, leverage):
    amount = size / 1000  # up to 0.4 BTC: the first bracket, 0.4 % and no maintenance amount
    profit, notional = side * amount * (mark - entry), amount * mark
    price = (wallet - side * amount * entry) / (amount * (0.004 - side))
    inside = (
        amount * price < 300_000
    )  # where the price lies in another bracket the venue's formula takes that one
    below = wallet + profit < 0.004 * notional
    row = {
        "symbol": "BTCUSDT",
        "positionAmt": str(side * size / 1000),
        "entryPrice": str(entry),
        "markPrice": str(mark),
        "unRealizedProfit": f"{profit:.8f}",
        "leverage": str(leverage),
        "marginType": "cross",
        "positionSide": "BOTH",
        "initialMargin": f"{notional / leverage:.8f}",
        "maintMargin": f"{0.004 * notional:.8f}",
    }
    if inside and not below:
        row["liquidationPrice"] = f"{max(price, 0):.8f}"
    account = {"asset": "USDT", "walletBalance": str(wallet), "crossWalletBalance": str(wallet)}
    prices = {"symbol": "BTCUSDT", "markPrice": str(mark), "indexPrice": str(mark), "time": made.NOW}
    found = import_payloads(None, [([row], "r"), ([account], "a"), (prices, "p")], strict=True)
    comparisons = verify(found.case, found.claims, in_force("binance.usdm", INSTANT))
    assert first_difference(comparisons) is None

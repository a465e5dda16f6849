"""Live import over a transport that is made: permissions are asked first, keys are never told."""

import json

import pytest

from margrave.adapters import live
from margrave.adapters.live import SOURCES, Keys, fetch, keys_of, transport_of
from margrave.cli import main
from margrave.core.errors import InvalidInputError, Reason, RefusedError
from tests.unit.adapters import payloads_of_venues as made

KEYS = Keys(key="the-key", secret="the-secret", password="the-password")
READ_ONLY = {
    "sapiGetAccountApiRestrictions": {
        "ipRestrict": True,
        "enableReading": True,
        "enableFutures": False,
        "enableWithdrawals": False,
        "permitsUniversalTransfer": False,
    },
    "privateGetV5UserQueryApi": {"result": {"readOnly": 1}},
    "privateGetAccountConfig": {"data": [{"perm": "read_only"}]},
    "publicGetAuth": {"result": {"scope": "account:read trade:read wallet:none"}},
    "privateAccountGetMainKeys": [
        {"key": "the-key", "perms": [{"name": "futures", "read_only": True}]},
        {"key": "another", "perms": [{"name": "wallet", "read_only": False}]},
    ],
}
CAN_TRADE = {
    "sapiGetAccountApiRestrictions": {"enableReading": True, "enableFutures": True},
    "privateGetV5UserQueryApi": {"result": {"readOnly": 0}},
    "privateGetAccountConfig": {"data": [{"perm": "read_only,trade"}]},
    "publicGetAuth": {"result": {"scope": "account:read trade:read_write"}},
    "privateAccountGetMainKeys": [{"key": "the-key", "perms": [{"name": "futures"}]}],
}
ASKED = {
    "binance.usdm": "sapiGetAccountApiRestrictions",
    "binance.coinm": "sapiGetAccountApiRestrictions",
    "bybit.linear": "privateGetV5UserQueryApi",
    "bybit.inverse": "privateGetV5UserQueryApi",
    "okx": "privateGetAccountConfig",
    "deribit": "publicGetAuth",
    "gate": "privateAccountGetMainKeys",
}


class Transport:
    """The few methods of ccxt that are called; each call is noted."""

    def __init__(self, answers):
        self.answers = answers
        self.calls = []

    def __getattr__(self, name):
        if name not in self.answers:
            raise AttributeError(name)

        def endpoint(params):
            self.calls.append((name, params))
            answer = self.answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return endpoint

    def milliseconds(self):
        return made.NOW


def endpoints(name):
    return {call.method: [] for call in SOURCES[name].calls}


@pytest.mark.parametrize("name", list(ASKED))
def test_a_read_only_key_is_asked_about_first_and_then_everything_is_fetched(name):
    transport = Transport({**endpoints(name), **READ_ONLY})
    payloads = fetch(name, transport, KEYS)
    assert transport.calls[0][0] == ASKED[name]
    assert [method for method, _ in transport.calls[1:]] == [call.method for call in SOURCES[name].calls]
    assert [where for _, where in payloads] == [f"{name} {call.method}" for call in SOURCES[name].calls]


@pytest.mark.parametrize("name", list(ASKED))
def test_a_key_that_can_trade_is_refused_before_anything_is_fetched(name):
    transport = Transport({**endpoints(name), **CAN_TRADE})
    with pytest.raises(RefusedError, match="can do more than read") as fault:
        fetch(name, transport, KEYS, vouched=True)  # the holder's word does not outweigh the venue's
    assert len(transport.calls) == 1
    assert "the-" not in str(fault.value)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("binance.usdm", {}),
        ("binance.coinm", {"enableReading": False}),
        ("bybit.linear", {"result": None}),
        ("okx", {"data": []}),
        ("deribit", {"result": {"scope": ""}}),
        ("deribit", {}),
        ("gate", [{"key": "the-key", "perms": []}]),
        ("gate", {"key": {"mode": 1}, "perms": []}),
        ("gate", [5]),
    ],
)
def test_an_answer_on_permissions_of_another_form_is_a_refusal(name, answer):
    with pytest.raises(RefusedError, match=r"not of the form"):
        fetch(name, Transport({**endpoints(name), ASKED[name]: answer}), KEYS, vouched=True)


@pytest.mark.parametrize(
    ("listed", "refused"),
    [
        ([{"key": "the-*****", "perms": [{"name": "futures", "read_only": True}]}], None),
        ({"key": {"mode": 1}, "perms": [{"name": "futures", "read_only": True}]}, None),
        ([{"key": "the-*****", "perms": [{"name": "wallet", "read_only": False}]}], "wallet"),
        (
            [
                {"key": "the-*", "perms": [{"name": n, "read_only": n == "futures"}]}
                for n in ("futures", "spot")
            ],
            "spot",
        ),
        ([{"key": "not-*****", "perms": [{"name": "futures", "read_only": True}]}], "does not say"),
    ],
)
def test_gate_hides_the_end_of_a_key(listed, refused):
    transport = Transport({**endpoints("gate"), "privateAccountGetMainKeys": listed})
    if refused is None:
        assert len(fetch("gate", transport, KEYS)) == len(SOURCES["gate"].calls)
        return
    with pytest.raises(RefusedError, match=refused):
        fetch("gate", transport, KEYS)


def test_a_permission_that_is_new_is_taken_as_one_to_act():
    told = {"enableReading": True, "enableWhatComesNext": True}
    with pytest.raises(RefusedError, match="enableWhatComesNext"):
        fetch("binance.usdm", Transport({"sapiGetAccountApiRestrictions": told}), KEYS)


def test_where_the_venue_does_not_say_the_holder_must():
    transport = Transport({"privatePostGetSubaccount": {"result": {}}})
    with pytest.raises(RefusedError, match="--i-know-this-key-is-read-only"):
        fetch("derive", transport, KEYS)
    assert transport.calls == []
    assert len(fetch("derive", transport, Keys("0x1", "0x2", address="77"), vouched=True)) == 1
    assert transport.calls == [("privatePostGetSubaccount", {"subaccount_id": 77})]
    for answers in ({}, {"privateAccountGetMainKeys": []}):  # an older ccxt; a key that is not listed
        with pytest.raises(RefusedError, match="does not say"):
            fetch("gate", Transport({**endpoints("gate"), **answers}), KEYS)


def test_an_address_needs_no_key():
    state, orders = made.hyperliquid()

    class Info(Transport):
        def publicPostInfo(self, params):
            self.calls.append(params)
            return state if params["type"] == "clearinghouseState" else orders

    transport = Info({})
    payloads = fetch("hyperliquid", transport, Keys(address="0xabc"))
    assert [tree for tree, _ in payloads] == [state, orders]
    assert {p["user"] for p in transport.calls} == {"0xabc"}
    transport = Transport(endpoints("dydx"))
    fetch("dydx", transport, Keys(address="dydx1"))
    assert transport.calls[1][1] == {"subaccountNumber": 0, "address": "dydx1"}


def test_further_pages_are_asked_for():
    class Pages(Transport):
        def privateGetV5PositionList(self, params):
            self.calls.append(("privateGetV5PositionList", params))
            more = params["category"] == "linear" and params["settleCoin"] == "USDT"
            cursor = {None: "2", "2": "3", "3": "4"}[params.get("cursor")] if more else ""
            return {
                "retCode": 0,
                "result": {"list": [] if cursor in ("4", "") else [{}], "nextPageCursor": cursor},
            }

    transport = Pages({**endpoints("bybit.linear"), **READ_ONLY})
    payloads = fetch("bybit.linear", transport, KEYS)
    asked = [
        params.get("cursor") for method, params in transport.calls if method == "privateGetV5PositionList"
    ]
    assert asked == [None, "2", "3", None, None]
    assert len(payloads) == len(SOURCES["bybit.linear"].calls) + 2

    class Endless(Transport):
        def privateGetV5PositionList(self, params):
            return {"result": {"list": [{}], "nextPageCursor": "again"}}

    with pytest.raises(InvalidInputError, match="more than 50 pages"):
        fetch("bybit.linear", Endless({**endpoints("bybit.linear"), **READ_ONLY}), KEYS)


def test_messages_of_the_transport_are_cleared_of_keys():
    leaking = RuntimeError(
        "GET https://x/auth?client_id=the-key&client_secret=the-secret the-password failed"
    )
    with pytest.raises(InvalidInputError, match="did not answer") as fault:
        fetch("deribit", Transport({"publicGetAuth": leaking}), KEYS)
    assert "the-" not in str(fault.value)
    assert fault.value.__cause__ is None
    assert fault.value.__suppress_context__
    assert "the-" not in repr(KEYS)
    with pytest.raises(InvalidInputError, match="has no fapiPublicGetExchangeInfo"):
        fetch("binance.usdm", Transport(READ_ONLY), KEYS)


def test_keys_come_from_the_environment_alone():
    found = keys_of(
        "okx", {"MARGRAVE_OKX_KEY": "k", "MARGRAVE_OKX_SECRET": "s", "MARGRAVE_OKX_PASSWORD": "p"}
    )
    assert found == Keys("k", "s", "p")
    assert keys_of("dydx", {"MARGRAVE_DYDX_ADDRESS": "a", "MARGRAVE_DYDX_SECRET": "s"}) == Keys(address="a")
    with pytest.raises(InvalidInputError, match="MARGRAVE_BINANCE_KEY and MARGRAVE_BINANCE_SECRET"):
        keys_of("binance.usdm", {})
    with pytest.raises(InvalidInputError, match="MARGRAVE_DERIVE_ADDRESS in"):
        keys_of("derive", {"MARGRAVE_DERIVE_KEY": "0x1", "MARGRAVE_DERIVE_SECRET": "0x2"})
    with pytest.raises(InvalidInputError, match="MARGRAVE_HYPERLIQUID_ADDRESS"):
        keys_of("hyperliquid", {})
    with pytest.raises(InvalidInputError, match="cannot be fetched") as fault:
        keys_of("nowhere", {})
    assert fault.value.issues[0].reason is Reason.NOT_FOUND


def test_the_transport_is_made_of_ccxt_or_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(live, "import_module", _absent)
    with pytest.raises(InvalidInputError, match=r"pip install 'margrave\[live\]'"):
        transport_of("okx", KEYS)

    class Ccxt:
        okx = derive = staticmethod(lambda settings: settings)

    monkeypatch.setattr(live, "import_module", lambda name: Ccxt)
    assert transport_of("derive", KEYS) == {
        "walletAddress": "the-key",
        "privateKey": "the-secret",
        "enableRateLimit": True,
    }
    assert transport_of("okx", KEYS) == {
        "apiKey": "the-key",
        "secret": "the-secret",
        "password": "the-password",
        "enableRateLimit": True,
    }


def _absent(name):
    raise ImportError(name)


def test_the_command_imports_what_it_fetches_and_saves_it(monkeypatch, tmp_path, capsys):
    positions, account, contracts = made.gate()
    answers = {
        "publicFuturesGetSettleContracts": contracts,
        "privateFuturesGetSettleAccounts": account,
        "privateFuturesGetSettlePositions": positions,
        "privateFuturesGetSettleOrders": [],
        **READ_ONLY,
    }
    monkeypatch.setattr(live, "transport_of", lambda name, keys: Transport(answers))
    monkeypatch.setenv("MARGRAVE_GATE_KEY", "the-key")
    monkeypatch.setenv("MARGRAVE_GATE_SECRET", "the-secret")
    with pytest.raises(SystemExit) as end:
        main(["import", "--live", "gate", "--save", str(tmp_path / "raw")])
    told = capsys.readouterr()
    assert end.value.code == 0
    assert 'symbol = "BTC_USDT"' in told.out
    assert "2026-11-01T08:00:00Z" in told.out  # Gate tells no instant: the transport's clock
    assert "the-" not in told.out + told.err
    saved = sorted(p.name for p in (tmp_path / "raw").iterdir())
    assert saved[0] == "00-publicFuturesGetSettleContracts.json"
    assert json.loads((tmp_path / "raw" / saved[0]).read_text()) == contracts
    assert all("the-" not in p.read_text() for p in (tmp_path / "raw").iterdir())

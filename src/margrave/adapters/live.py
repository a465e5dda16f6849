"""Payloads fetched from a venue, through the transport of ccxt, with a key that can only read.

The raw answers of the venue's own endpoints are fetched and then read as saved ones are; nothing of ccxt's unified
numbers is used. A key that can trade, transfer or withdraw is refused. Where a venue cannot be asked what a key may
do, the holder must state that it is read-only. Hyperliquid and dYdX need no key: an address is read.

Keys come from the environment alone: ``MARGRAVE_<VENUE>_KEY``, ``_SECRET``, ``_PASSWORD``, or ``_ADDRESS``. They are
never printed, and messages of the transport are cleared of them. Of Derive the key is the wallet, the secret a session
key of read-only scope, and the address the number of the subaccount.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, TypeAlias, final

from margrave.core.errors import Reason, invalid, refused

Params: TypeAlias = Mapping[str, Any]
_CREDENTIALS: Final[Params] = MappingProxyType({"apiKey": "key", "secret": "secret", "password": "password"})
_PAGES_MAX: Final = 50
_READING: Final = frozenset({"enableReading", "enableFixReadOnly"})


@final
@dataclass(frozen=True, slots=True)
class Keys:
    """What a venue is asked with; its text shows nothing of it."""

    key: str = ""
    secret: str = ""
    password: str = ""
    address: str = ""

    def __repr__(self) -> str:
        return "Keys(***)"

    def clear(self, text: str) -> str:
        """A message without any of the keys."""
        for word in sorted((self.key, self.secret, self.password), key=len, reverse=True):
            text = text.replace(word, "***") if word else text
        return text


@final
@dataclass(frozen=True, slots=True)
class Call:
    """One endpoint, by ccxt's name of it."""

    method: str
    params: Params = field(default_factory=dict)
    of_address: str | None = None  # name of the parameter that is the holder's address
    is_paged: bool = False  # whether further pages are asked for (Bybit's nextPageCursor)


Ask: TypeAlias = Callable[[str, Params], Any]
Powers: TypeAlias = Callable[[Ask, Keys], "tuple[str, ...] | None"]


@final
@dataclass(frozen=True, slots=True)
class Source:
    """How the payloads of a venue are fetched."""

    venue: str  # of `payloads.venues`
    exchange: str  # ccxt's name
    calls: tuple[Call, ...]
    powers: Powers | None  # what the key may do beyond reading; None: the venue tells nothing of it
    by_address: bool = False
    credentials: Params = field(default_factory=lambda: _CREDENTIALS)  # ccxt's name of each of ours


def _expect(told: object) -> None:
    # An answer without what every key has says nothing of the key: silence is not read-only.
    if not told:
        raise KeyError


def _binance_powers(ask: Ask, keys: Keys) -> tuple[str, ...]:
    del keys
    told = ask("sapiGetAccountApiRestrictions", {})
    _expect(told["enableReading"])
    names = (n for n in told if n.startswith(("enable", "permits")) and n not in _READING)
    return tuple(n for n in names if told[n] not in (False, "false"))


def _bybit_powers(ask: Ask, keys: Keys) -> tuple[str, ...]:
    del keys
    return () if str(ask("privateGetV5UserQueryApi", {})["result"]["readOnly"]) == "1" else ("readOnly is 0",)


def _okx_powers(ask: Ask, keys: Keys) -> tuple[str, ...]:
    del keys
    granted = str(ask("privateGetAccountConfig", {})["data"][0]["perm"]).split(",")
    return tuple(word for word in granted if word != "read_only")


def _deribit_powers(ask: Ask, keys: Keys) -> tuple[str, ...]:
    asked = {"grant_type": "client_credentials", "client_id": keys.key, "client_secret": keys.secret}
    granted = str(ask("publicGetAuth", asked)["result"]["scope"]).split()
    _expect(any(word.endswith((":read", ":read_write")) for word in granted))
    return tuple(word for word in granted if word.endswith("read_write"))


def _gate_powers(ask: Ask, keys: Keys) -> tuple[str, ...] | None:
    told = ask("privateAccountGetMainKeys", {})
    listed = [row for row in (told if isinstance(told, list) else [told]) if _is_key(row, keys.key)]
    if not listed:
        return None
    for row in listed:
        _expect(row["perms"])
    return tuple(p["name"] for row in listed for p in row["perms"] if p.get("read_only") is not True)


def _is_key(row: Any, key: str) -> bool:
    # The venue hides the end of a key; an answer about one key alone does not name it.
    told = row.get("key")
    return not isinstance(told, str) or told == key or ("*" in told and key.startswith(told.split("*")[0]))


def _bybit_held(params: Params) -> Call:
    return Call("privateGetV5PositionList", {**params, "limit": 200}, is_paged=True)


def _bybit_orders(params: Params) -> Call:
    return Call("privateGetV5OrderRealtime", {**params, "limit": 50}, is_paged=True)


_LINEAR, _INVERSE = {"category": "linear"}, {"category": "inverse"}
_BYBIT = (
    Call("publicGetV5MarketInstrumentsInfo", _LINEAR),
    Call("publicGetV5MarketTickers", _LINEAR),
    Call("publicGetV5MarketInstrumentsInfo", _INVERSE),
    Call("publicGetV5MarketTickers", _INVERSE),
    Call("privateGetV5AccountInfo"),
    Call("privateGetV5AccountFeeRate", _LINEAR),
    Call("privateGetV5AccountFeeRate", _INVERSE),
    Call("privateGetV5AccountWalletBalance", {"accountType": "UNIFIED"}),
)
SOURCES: Final[Mapping[str, Source]] = MappingProxyType(
    {
        "binance.usdm": Source(
            "binance",
            "binance",
            (
                Call("fapiPublicGetExchangeInfo"),
                Call("fapiPublicGetPremiumIndex"),
                Call("fapiPrivateGetSymbolConfig"),
                Call("fapiPrivateV3GetAccount"),
                Call("fapiPrivateV3GetPositionRisk"),
                Call("fapiPrivateGetOpenOrders"),
            ),
            _binance_powers,
        ),
        "binance.coinm": Source(
            "binance",
            "binance",
            (
                Call("dapiPublicGetExchangeInfo"),
                Call("dapiPublicGetPremiumIndex"),
                Call("dapiPrivateGetAccount"),
                Call("dapiPrivateGetPositionRisk"),
                Call("dapiPrivateGetOpenOrders"),
            ),
            _binance_powers,
        ),
        "bybit.linear": Source(
            "bybit",
            "bybit",
            (
                *_BYBIT,
                *(_bybit_held({**_LINEAR, "settleCoin": coin}) for coin in ("USDT", "USDC")),
                *(_bybit_orders({**_LINEAR, "settleCoin": coin}) for coin in ("USDT", "USDC")),
                _bybit_held(
                    {"category": "option"}
                ),  # without their terms: options that are held are an error
            ),
            _bybit_powers,
        ),
        "bybit.inverse": Source(
            "bybit",
            "bybit",
            (
                *_BYBIT,
                _bybit_held(_INVERSE),
                _bybit_orders(_INVERSE),
            ),
            _bybit_powers,
        ),
        "okx": Source(
            "okx",
            "okx",
            (
                *(Call("publicGetPublicInstruments", {"instType": kind}) for kind in ("SWAP", "FUTURES")),
                *(
                    Call("publicGetPublicInstruments", {"instType": "OPTION", "uly": pair})
                    for pair in ("BTC-USD", "ETH-USD")
                ),
                *(Call("publicGetPublicOptSummary", {"uly": pair}) for pair in ("BTC-USD", "ETH-USD")),
                *(
                    Call("publicGetPublicMarkPrice", {"instType": kind})
                    for kind in ("SWAP", "FUTURES", "OPTION")
                ),
                Call("publicGetMarketIndexTickers", {"quoteCcy": "USD"}),
                Call("privateGetAccountBalance"),
                Call("privateGetAccountPositions"),
                Call("privateGetTradeOrdersPending"),
            ),
            _okx_powers,
        ),
        "deribit": Source(
            "deribit",
            "deribit",
            (
                *(Call("publicGetGetInstruments", {"currency": coin}) for coin in ("BTC", "ETH", "USDC")),
                *(
                    Call("publicGetGetBookSummaryByCurrency", {"currency": coin})
                    for coin in ("BTC", "ETH", "USDC")
                ),
                Call("privateGetGetAccountSummaries"),
                Call("privateGetGetPositions", {"currency": "any"}),
                *(
                    Call("privateGetGetOpenOrdersByCurrency", {"currency": coin})
                    for coin in ("BTC", "ETH", "USDC")
                ),
            ),
            _deribit_powers,
        ),
        "gate": Source(
            "gate",
            "gate",
            (
                Call("publicFuturesGetSettleContracts", {"settle": "usdt"}),
                Call("privateFuturesGetSettleAccounts", {"settle": "usdt"}),
                Call("privateFuturesGetSettlePositions", {"settle": "usdt", "holding": True}),
                Call("privateFuturesGetSettleOrders", {"settle": "usdt", "status": "open"}),
            ),
            _gate_powers,
        ),
        "derive": Source(
            "derive",
            "derive",
            (Call("privatePostGetSubaccount", of_address="subaccount_id"),),
            None,
            credentials=MappingProxyType({"walletAddress": "key", "privateKey": "secret"}),
        ),
        "hyperliquid": Source(
            "hyperliquid",
            "hyperliquid",
            (
                Call("publicPostInfo", {"type": "clearinghouseState"}, "user"),
                Call("publicPostInfo", {"type": "frontendOpenOrders"}, "user"),
            ),
            None,
            by_address=True,
        ),
        "dydx": Source(
            "dydx",
            "dydx",
            (
                Call("indexerGetPerpetualMarkets"),
                Call(
                    "indexerGetAddressesAddressSubaccountNumberSubaccountNumber",
                    {"subaccountNumber": 0},
                    "address",
                ),
            ),
            None,
            by_address=True,
        ),
    }
)


def source_of(name: str) -> Source:
    """How a venue is fetched.

    Raises
    ------
    InvalidInputError
        The venue is not one that can be fetched.
    """
    if name not in SOURCES:
        raise invalid(name, Reason.NOT_FOUND, f"cannot be fetched; there are {', '.join(SOURCES)}")
    return SOURCES[name]


def keys_of(name: str, environment: Mapping[str, str]) -> Keys:
    """The keys of a venue from environment variables.

    Raises
    ------
    InvalidInputError
        Naming the variables that are missing.
    """
    source = source_of(name)
    stem = f"MARGRAVE_{source.venue.upper()}_"
    of_address = any(call.of_address for call in source.calls)
    wanted = (() if source.by_address else ("KEY", "SECRET")) + (("ADDRESS",) if of_address else ())
    if missing := [stem + n for n in wanted if not environment.get(stem + n)]:
        raise invalid(name, Reason.NOT_FOUND, f"needs {' and '.join(missing)} in the environment")
    found = {n: environment.get(stem + n.upper(), "") for n in ("key", "secret", "password", "address")}
    return Keys(address=found["address"]) if source.by_address else Keys(**found)


def transport_of(name: str, keys: Keys) -> Any:
    """Transport of ccxt for a venue; ccxt is an extra, imported here alone.

    Raises
    ------
    InvalidInputError
        ccxt is not installed.
    """
    try:
        ccxt = import_module("ccxt")
    except ImportError as fault:
        raise invalid(
            name, Reason.NOT_FOUND, "live import needs ccxt; install it with pip install 'margrave[live]'"
        ) from fault
    source = source_of(name)
    told = {theirs: getattr(keys, ours) for theirs, ours in source.credentials.items()}
    settings = {k: v for k, v in told.items() if v} | {"enableRateLimit": True}
    return getattr(ccxt, source.exchange)(settings)


def fetch(name: str, transport: Any, keys: Keys, vouched: bool = False) -> list[tuple[Any, str]]:
    """Raw payloads of an account, each with the name of its endpoint.

    Parameters
    ----------
    name : str
        One of `SOURCES`.
    transport : object
        ccxt's exchange, or anything that has the few methods that are called.
    keys : Keys
        With which the transport was made.
    vouched : bool
        The holder states that the key can only read; counts where the venue cannot be asked.

    Raises
    ------
    RefusedError
        The key can do more than read, or nobody says that it cannot. Nothing of the account was fetched.
    InvalidInputError
        An endpoint did not answer.
    """
    source = source_of(name)

    def ask(method: str, params: Params) -> Any:
        return _ask(name, transport, keys, method, params)

    if not source.by_address:
        _require_read_only(source, name, ask, keys, transport, vouched)
    return [(tree, f"{name} {call.method}") for call in source.calls for tree in _answers(call, ask, keys)]


def _answers(call: Call, ask: Ask, keys: Keys) -> Iterator[Any]:
    own: dict[str, Any] = {}
    if call.of_address is not None:
        own[call.of_address] = int(keys.address) if keys.address.isdecimal() else keys.address
    for _ in range(_PAGES_MAX):
        answer = ask(call.method, {**call.params, **own})
        yield answer
        result = answer.get("result") if call.is_paged and isinstance(answer, dict) else None
        if not isinstance(result, dict) or not result.get("list") or not result.get("nextPageCursor"):
            return
        own["cursor"] = result["nextPageCursor"]
    raise invalid(
        call.method, Reason.UNSUPPORTED, f"has more than {_PAGES_MAX} pages; save the answers by hand"
    )


def _ask(name: str, transport: Any, keys: Keys, method: str, params: Params) -> Any:
    endpoint = getattr(transport, method, None)
    if endpoint is None:
        raise invalid(name, Reason.UNSUPPORTED, f"this ccxt has no {method}; install a newer one")
    try:
        return endpoint(dict(params))
    except Exception as fault:
        # Whatever the transport raises is told in one line, cleared of keys; its chain could hold them.
        told = keys.clear(f"{type(fault).__name__}: {fault}")[:300]
        raise invalid(f"{name} {method}", Reason.NOT_FOUND, f"did not answer ({told}); try again") from None


def _require_read_only(
    source: Source, name: str, ask: Ask, keys: Keys, transport: Any, vouched: bool
) -> None:
    powers = _powers(source, ask, keys, name, transport)
    if powers:
        raise refused(
            name,
            Reason.NOT_ALLOWED,
            f"the key can do more than read ({', '.join(powers)}); make one that can only read",
        )
    if powers is None and not vouched:
        raise refused(
            name,
            Reason.NOT_ALLOWED,
            "the venue does not say what this key may do; if it can only read, say --i-know-this-key-is-read-only",
        )


def _powers(source: Source, ask: Ask, keys: Keys, name: str, transport: Any) -> tuple[str, ...] | None:
    if source.powers is None or (
        source.powers is _gate_powers and not hasattr(transport, "privateAccountGetMainKeys")
    ):
        return None
    try:
        return source.powers(ask, keys)
    except (KeyError, IndexError, TypeError, AttributeError):
        raise refused(
            name,
            Reason.NOT_ALLOWED,
            "the venue's answer on the key's permissions is not of the form expected",
        ) from None

"""A question in JSON, where pools stand in JSON: one account, and trades that it might make, at a desk that is ready."""

from math import isfinite, isnan
from typing import Final, Literal, final

import msgspec

from margrave.adapters.forms import TradeForm
from margrave.adapters.requests import account_after, read_request
from margrave.engine.assessment import PoolAssessment, Status
from margrave.engine.calculator import Calculator
from margrave.engine.desk import Desk, PoolStanding, standings, traded
from margrave.engine.holdings import NOT_CHOSEN, Holdings, Lists, chosen, lists_of, margin_of
from margrave.engine.whatif import Leg


class _Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    # What a desk serves has no other fields.
    pass


class _PlainPosition(_Plain):
    symbol: str
    quantity: float
    entry: float


class _SizedPosition(_PlainPosition):
    mode: Literal["cross", "isolated"] = "cross"
    leverage: float | None = None
    isolated_margin: float | None = None


class _PlainBalance(_Plain):
    asset: str
    amount: float


class _PlainOrder(_Plain):
    symbol: str
    quantity: float
    price: float
    reduce_only: bool = False


class _SizedOrder(_PlainOrder):
    leverage: float | None = None


class _PlainAccount(_Plain):
    name: str = "account"
    balances: list[_PlainBalance] = []
    positions: list[_PlainPosition] = []
    orders: list[_PlainOrder] = []


class _SizedAccount(_Plain):
    name: str = "account"
    balances: list[_PlainBalance] = []
    positions: list[_SizedPosition] = []
    orders: list[_SizedOrder] = []


class _PlainRequest(_Plain):
    account: _PlainAccount
    trades: list[TradeForm] = []


class _SizedRequest(_Plain):
    account: _SizedAccount
    trades: list[TradeForm] = []


_PLAIN: Final = msgspec.json.Decoder(_PlainRequest)
_SIZED: Final = msgspec.json.Decoder(_SizedRequest)
_ANSWER: Final = msgspec.json.Encoder()
_STATUSES: Final = tuple(Status)
_RANK: Final = {status: rank for rank, status in enumerate(Status)}


@final
class Standing(msgspec.Struct, frozen=True):
    """Where an account stands, pool by pool."""

    account: str
    status: Status
    pools: tuple[PoolStanding, ...]


def stands(desk: Desk, calculator: Calculator, body: bytes) -> bytes:
    """Answer a what-if request with where its pools stand, in some microseconds where the desk can say.

    Parameters
    ----------
    desk, calculator : Desk, Calculator
        One market and rulebook, twice: the calculator answers what the desk cannot.
    body : bytes
        As for `answered`.

    Returns
    -------
    bytes
        JSON of a `Standing`. Money that is not known, and a ratio without a balance, is null.

    Raises
    ------
    InvalidInputError
        As `answered`.
    """
    found = _at_desk(desk, body)
    if found is None:
        request = read_request(body)
        assessment = calculator.assess(account_after(request, calculator))
        found = request.account.name, tuple(_of_pool(pool) for pool in assessment.pools)
    name, pools = found
    worst = max([_RANK[pool.status] for pool in pools], default=0)
    return _ANSWER.encode(Standing(name, _STATUSES[worst], pools))


def _at_desk(desk: Desk, body: bytes) -> tuple[str, tuple[PoolStanding, ...]] | None:
    # None where the request has what the desk does not serve, or what is wrong: the calculator says where and why.
    try:
        request: _PlainRequest | _SizedRequest
        if desk.by_size:
            request = _SIZED.decode(body)
            held = _sized(request.account, body)
        else:
            request = _PLAIN.decode(body)
            held = _holdings(request.account)
        if held is not None and request.trades:
            held = traded(desk, held, (Leg(t.symbol, t.quantity, t.price) for t in request.trades))
        pools = None if held is None else standings(desk, held)
    except ValueError:  # of msgspec too
        return None
    return None if pools is None else (request.account.name, pools)


def _of_pool(pool: PoolAssessment) -> PoolStanding:
    return PoolStanding(
        pool.name,
        pool.currency,
        pool.equity,
        pool.margin_balance,
        pool.initial,
        pool.maintenance,
        pool.order_margin,
        pool.ratio if isfinite(pool.ratio) else None,
        pool.status,
    )


def _holdings(account: _PlainAccount) -> Holdings | None:
    lists = _lists(account)
    return None if lists is None else Holdings(*lists)


def _sized(account: _SizedAccount, body: bytes) -> Holdings | None:
    lists, positions = _lists(account), account.positions
    margins: list[float] = []
    # Where no word of it is there, escaped or not, no position is isolated, and no column has to be made.
    if b"isolated" in body or b"\\" in body:
        margins = [margin_of(p.mode, p.isolated_margin) for p in positions]
        stated = [p.isolated_margin is not None for p in positions]
        if any(has and isnan(told) for has, told in zip(stated, margins, strict=True)):
            return None  # a cross position has a margin
    leverages = [NOT_CHOSEN if p.leverage is None else p.leverage for p in positions]
    of_orders = [chosen(o.leverage) for o in account.orders]
    return None if lists is None else Holdings(*lists, leverages, margins, of_orders)


def _lists(account: _PlainAccount | _SizedAccount) -> Lists | None:
    # None where something is there twice, or an order is none.
    lists = lists_of(account)
    symbols, assets, orders = lists[0], lists[3], account.orders
    if len({*symbols}) < len(symbols) or len({*assets}) < len(assets):
        return None
    return None if orders and not all(o.quantity for o in orders) else lists

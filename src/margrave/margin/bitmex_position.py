"""The record of an isolated BitMEX position in integers of the smallest unit (spec cex.md 2; the venue is closed).

Twice the taker fee is charged at the bankruptcy price as it stands on the tick, and the funding rate stands
inside maintenance. What was not verified is refused: a funding rate below zero. A short's prices go down to
the tick, which no record of ours confirms.
"""

from dataclasses import dataclass
from typing import final

from margrave.core.errors import Reason, refused
from margrave.core.rounding import Direction, Step, round_to

_WHOLE = Direction.NEAREST
_CLOSINGS = 2  # taker fees: to open and to close (BITMEX-POSITION-002)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Terms of the contract and of its risk limit step."""

    size: float  # base per contract where linear, quote per contract where inverse, > 0
    inverse: bool
    scale: float  # smallest units of the settlement asset in one: 1e6 USDT, 1e8 XBT
    tick: float  # [quote per base], > 0
    taker: float  # [fraction]
    maintenance: float  # rate of the step [fraction]


@final
@dataclass(frozen=True, slots=True)
class Record:
    """The position as the venue shows it: integers of the smallest unit, prices on the tick."""

    cost: int  # BITMEX-POSITION-001: value at entry, >= 0
    initial: int  # BITMEX-POSITION-001: cost over leverage, up to a whole unit
    commission: int  # BITMEX-POSITION-002
    margin: int  # initial and commission
    maintenance: int  # BITMEX-POSITION-003: cost x (rate + funding rate) + commission
    profit: int  # unrealised
    margin_now: int  # margin and profit
    bankruptcy_price: float  # BITMEX-POSITION-004
    liquidation_price: float  # BITMEX-POSITION-005

    @property
    def profit_share(self) -> float:
        """Unrealised profit over cost."""
        return self.profit / self.cost


def isolated_record(
    contract: Contract,
    contracts: float,
    entry: float,
    mark: float,
    leverage: float,
    funding_rate: float = 0.0,
) -> Record:
    """Record of an isolated position.

    Parameters
    ----------
    contract : Contract
        Its terms.
    contracts : float
        Size, long > 0, not zero.
    entry, mark : float
        Prices, > 0.
    leverage : float
        As chosen, >= 1.
    funding_rate : float
        Rate of the next funding, >= 0 [fraction].

    Raises
    ------
    ValueError
        A number out of its range.
    RefusedError
        A funding rate below zero: the published records do not say which way it counts.
    """
    _check(contracts, entry, mark, leverage)
    if funding_rate < 0.0:
        raise refused(
            "bitmex funding_rate",
            Reason.NOT_PUBLISHED,
            "is below zero, and no record shows which way it then counts; give zero or more",
        )
    side = 1 if contracts > 0 else -1
    cost = _integer(abs(_value(contract, contracts, entry)), _WHOLE)
    initial = _integer(cost / leverage, Direction.UP)
    charged = cost * (contract.maintenance + funding_rate)
    bust = _price(contract, contracts, _signed(contract, cost) - side * initial, side)
    commission = _integer(_CLOSINGS * contract.taker * abs(_value(contract, contracts, bust)), Direction.UP)
    moved = _signed(contract, cost) - side * (initial - charged)
    now, then = _value(contract, contracts, mark), _value(contract, contracts, entry)
    profit = _integer(side * (now - then), _WHOLE)
    return Record(
        cost,
        initial,
        commission,
        initial + commission,
        _integer(charged, Direction.UP) + commission,
        profit,
        initial + commission + profit,
        bust,
        _price(contract, contracts, moved, side),
    )


def _check(contracts: float, entry: float, mark: float, leverage: float) -> None:
    for name, number, least in (("entry", entry, 0.0), ("mark", mark, 0.0), ("leverage", leverage, 0.999)):
        if not least < number < float("inf"):
            raise ValueError(f"{name} is {number!r}; it must be finite and above {least:g}")
    if contracts == 0 or abs(contracts) == float("inf") or contracts != contracts:
        raise ValueError(f"contracts is {contracts!r}; it must be finite and not zero")


def _value(contract: Contract, contracts: float, price: float) -> float:
    # Rises with the price in both forms: an inverse value is below zero, as the venue writes it.
    size = abs(contracts) * contract.size * contract.scale
    return -size / price if contract.inverse else size * price


def _signed(contract: Contract, cost: float) -> float:
    return -cost if contract.inverse else cost


def _price(contract: Contract, contracts: float, value: float, side: int) -> float:
    size = abs(contracts) * contract.size * contract.scale
    if contract.inverse and value >= 0.0:
        return float("inf")
    price = -size / value if contract.inverse else max(value / size, 0.0)
    direction = Direction.UP if side > 0 else Direction.DOWN
    return round_to(price, Step(contract.tick, direction))


def _integer(amount: float, direction: Direction) -> int:
    return int(round_to(amount, Step(1.0, direction)))

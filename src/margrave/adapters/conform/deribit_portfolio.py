"""Deribit's portfolio margin: risk vectors, their aggregation, the margins, and a whole cross account."""

from datetime import timedelta
from typing import Any

from margrave.adapters.conform.judge import Interval
from margrave.adapters.conform.objects import AT, CODE, book
from margrave.adapters.conform.vector import Vector
from margrave.core.words import INITIAL
from margrave.domain.account import Account, Balance, Position
from margrave.domain.book import book_of
from margrave.domain.instruments import (
    CoinPremium,
    Future,
    Instrument,
    Inverse,
    Kind,
    Linear,
    Option,
    Perpetual,
    Right,
)
from margrave.domain.market import Market, Quote
from margrave.kernels.black76 import coin_price
from margrave.margin.pooled import Pooled, evaluate, prepare
from margrave.margin.scenario.scenarios import ScenarioMargin
from margrave.margin.scenario.unit_risk import Block
from margrave.rulebook.portfolio import (
    AmountCharge,
    Cell,
    Cells,
    Charge,
    EvenGrid,
    Gains,
    Held,
    LevelFactors,
    NotionalCharge,
    OffsetCharge,
    Role,
    RollCharge,
    ScenarioModel,
    Tail,
    UnitTerms,
    VolMove,
)
from margrave.rulebook.schema import AccountRules, CrossPool, PortfolioMember, Rulebook

_PRICE = 50_000.0  # a vector in coin does not depend on the price
_MOVES = (-0.66, -0.33, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
_STILL = Cells(code=CODE, listed=(Cell(move=0.0),))


def future_vector(v: Vector) -> dict[str, Any]:
    """Gains of one inverse future in every bucket, and in the extended table."""
    block = _block(_coins([v.number("position_coin")]), _matrix(v, None))
    gains, even = block.gross[0, :, 0], ~block.worth.grid.is_tail
    return {"standard_by_bucket": gains[even][::3].tolist(), "extended": gains[~even].tolist()}


def aggregate(v: Vector) -> dict[str, Any]:
    """Gains of one underlying after the share that may offset, and after the dampener."""
    gains = Gains(
        code=CODE,
        share=v.number("pnl_offset"),
        most=v.number("max_offsetable_pnl", float("inf")) if "max_offsetable_pnl" in v.inputs else None,
        tail_dampener=v.number("extended_dampener_usd", 0.0),
    )
    sizes = [float(x) for x in v.inputs["positions_coin"]]
    block = _block(_coins(sizes, v.number("index", _PRICE)), _matrix(v, gains))
    net, even = block.net[0, :, 0], ~block.worth.grid.is_tail
    return {"aggregated_standard": net[even][::3].tolist(), "aggregated_extended": net[~even].tolist()}


def margins(v: Vector) -> dict[str, Any]:
    """Roll shock, risk matrix margin and both levels, beside amounts that the source states."""
    charges: list[Charge] = [
        AmountCharge(code=CODE, role=Role.COMPETES, amount=v.number("worst_case")),
        RollCharge(
            code=CODE, least=v.number("min_annualised_move"), rate=v.number("annualised_move_risk", 0.0)
        ),
    ]
    stated = ("delta_shock", "correlation_contingency")
    charges += [AmountCharge(code=CODE, amount=v.number(name, 0.0)) for name in stated]
    initial_only = ("mmp_margin", "open_orders_margin", "spot_margin")
    charges += [
        AmountCharge(code=CODE, amount=v.number(name, 0.0), role=Role.AFTER, maintenance=False)
        for name in initial_only
    ]
    terms = UnitTerms(code=CODE, cells=_STILL, charges=tuple(charges))
    levels = LevelFactors(code=CODE, maintenance=v.number("mm_factor"))
    years = [float(t) for t in v.inputs.get("years_to_expiry", [])]
    pooled = _pooled(
        _coins([float(d) for d in v.inputs["expiry_deltas_coin"]], years=years), _rules(terms, levels, 9)
    )
    level = _scenarios(pooled).blocks[0].level[INITIAL]
    roll = next(c for c in level.charges if isinstance(c.rule, RollCharge))
    return {
        "roll_shock": float(roll.amount.sum()),
        "risk_matrix_margin": float(level.risk.sum()),
        "initial_margin": float(pooled.initial.sum()),
        "maintenance_margin": float(pooled.maintenance.sum()),
    }


def cross_account(v: Vector) -> dict[str, Any]:
    """Margins of an account whose source rounds its equity in ETH: what both ends of the rounding give."""
    ends = [_cross(v, v.number(name)) for name in ("eth_equity_lo", "eth_equity_hi")]
    initial = sorted(float(pooled.initial.sum()) for pooled in ends)
    maintenance = sorted(float(pooled.maintenance.sum()) for pooled in ends)
    return {
        "total_initial_margin_usd": Interval(*initial),
        "total_maintenance_margin_usd": Interval(*maintenance),
    }


def option_contingency(v: Vector) -> dict[str, Any]:
    """Legacy: what net short options of a strike cost, calls and puts together."""
    terms = UnitTerms(
        code=CODE,
        cells=_STILL,
        charges=(NotionalCharge(code=CODE, of=Held.NAKED_OPTIONS, rate=v.number("per_option")),),
    )
    account, market = _strikes([[float(x) for x in row] for row in v.inputs["strike_positions"]])
    return {"contingency": float(_pooled((account, market), _rules(terms)).maintenance.sum())}


def future_contingency(v: Vector) -> dict[str, Any]:
    """Legacy: what futures that offset each other cost."""
    offset = v.number("offset")
    terms = UnitTerms(code=CODE, cells=_STILL, charges=(OffsetCharge(code=CODE, rate=v.number("rate")),))
    pooled = _pooled(_coins([offset, -offset]), _rules(terms))
    return {"contingency": float(pooled.maintenance.sum())}


def _matrix(v: Vector, gains: Gains | None) -> UnitTerms:
    each_side = int(v.number("buckets_each_side", 4.0))
    moves = tuple(float(m) for m in v.inputs.get("extended_moves", _MOVES))
    cells = Cells(
        code=CODE,
        even=EvenGrid(range=v.number("price_range"), each_side=each_side),
        tail=Tail(code=CODE, moves=moves, factor=v.number("extended_table_factor", 1.0), vol=VolMove.UP),
    )
    return UnitTerms(code=CODE, cells=cells, gains=gains)


def _rules(terms: UnitTerms, levels: LevelFactors | None = None, digits: int | None = None) -> Rulebook:
    levels = levels or LevelFactors(code=CODE)
    model = ScenarioModel(code=CODE, terms=(terms,), levels=levels, worst_digits=digits)
    account = AccountRules(cross_pool=CrossPool.SETTLEMENT, code=CODE, option_value_credit=True)
    return book(PortfolioMember(), account, portfolio=model)


def _coins(
    sizes: list[float], price: float = _PRICE, years: list[float] | None = None
) -> tuple[Account, Market]:
    """Inverse contracts of coin sizes at one price; perpetual where no time to expiry is given."""
    instruments, positions = {}, []
    for row, size in enumerate(sizes):
        left = years[row] if years and row < len(years) else 0.0
        kind: Kind = Future(expiry=AT + timedelta(days=365.0 * left)) if left else Perpetual()
        instrument = _contract(f"F{row}", kind, Inverse(contract_value=1.0))
        instruments[instrument.symbol] = instrument
        positions.append(Position(symbol=instrument.symbol, quantity=size * price, entry=price))
    quotes = {symbol: Quote(mark=price, index=price) for symbol in instruments}
    market = Market(at=AT, instruments=instruments, quotes=quotes, index={"BTC": price})
    return Account(balances=(Balance(asset="BTC", amount=1.0),), positions=tuple(positions)), market


def _strikes(rows: list[list[float]]) -> tuple[Account, Market]:
    """Calls and puts of strikes, one row each: how many of the first and of the second."""
    instruments, quotes, positions = {}, {}, []
    for row, counts in enumerate(rows):
        for right, count in zip(Right, counts, strict=True):
            kind = Option(expiry=AT + timedelta(days=30), strike=_PRICE + row, right=right)
            instrument = _contract(f"{row}-{right}", kind, CoinPremium(contract_size=1.0))
            mark = float(coin_price(_PRICE, kind.strike, 0.8, 30 / 365, right is Right.CALL))
            instruments[instrument.symbol] = instrument
            quotes[instrument.symbol] = Quote(mark=mark, index=_PRICE, forward=_PRICE, vol=0.8)
            positions.append(Position(symbol=instrument.symbol, quantity=count, entry=mark))
    market = Market(at=AT, instruments=instruments, quotes=quotes, index={"BTC": _PRICE})
    return Account(balances=(Balance(asset="BTC", amount=1.0),), positions=tuple(positions)), market


def _contract(symbol: str, kind: Kind, payoff: Any, base: str = "BTC", **more: Any) -> Instrument:
    terms = {"quote": "USD", "settlement": base} | more
    return Instrument(symbol=symbol, base=base, kind=kind, payoff=payoff, **terms)


def _cross(v: Vector, eth_equity: float) -> Pooled:
    dollar = v.number("usdc_index")
    linear_delta = v.number("eth_usdc_delta_total_usdc") * dollar
    # The source shows deltas in coin, in USDC and in USD together, which gives the price of the coin.
    price = (v.number("total_delta_total_usd") - linear_delta) / v.number("eth_usd_delta_coin")
    usdc = v.number("usdc_equity")
    btc = v.number("total_equity_usd") - usdc * dollar - eth_equity * price
    inverse = _contract("ETH-PERPETUAL", Perpetual(), Inverse(contract_value=1.0), base="ETH")
    linear = _contract(
        "ETH_USDC-PERPETUAL",
        Perpetual(),
        Linear(contract_size=1.0),
        base="ETH",
        quote="USDC",
        settlement="USDC",
    )
    in_usdc = price / dollar
    market = Market(
        at=AT,
        instruments={i.symbol: i for i in (inverse, linear)},
        quotes={
            inverse.symbol: Quote(mark=price, index=price),
            linear.symbol: Quote(mark=in_usdc, index=in_usdc),
        },
        index={"BTC": _PRICE, "ETH": price, "USDC": dollar},
    )
    size = v.number("eth_usd_delta_coin") * price
    held = (("BTC", btc / _PRICE), ("ETH", eth_equity), ("USDC", usdc))
    account = Account(
        balances=tuple(Balance(asset=asset, amount=amount) for asset, amount in held),
        positions=(
            Position(symbol=inverse.symbol, quantity=size, entry=price),
            Position(symbol=linear.symbol, quantity=linear_delta / price, entry=in_usdc),
        ),
    )
    return _pooled((account, market), _cross_rules(v))


def _cross_rules(v: Vector) -> Rulebook:
    def terms(asset: str, charges: tuple[Charge, ...]) -> UnitTerms:
        cells = Cells(code=CODE, even=EvenGrid(range=v.number(f"{asset.lower()}_price_range"), each_side=4))
        return UnitTerms(code=CODE, bases=(asset,), cells=cells, charges=charges)

    roll = RollCharge(code=CODE, least=v.number("eth_min_annualised_move"))
    still = UnitTerms(code=CODE, cells=_STILL)
    model = ScenarioModel(
        code=CODE,
        terms=(terms("BTC", ()), terms("ETH", (roll,)), still),
        levels=LevelFactors(code=CODE, maintenance=v.number("mm_factor")),
        collateral_moves=True,
    )
    account = AccountRules(
        cross_pool=CrossPool.ACCOUNT,
        currency="USD",
        code=CODE,
        option_value_credit=True,
        haircut_unlisted=0.0,
    )
    return book(PortfolioMember(), account, portfolio=model)


def _pooled(held: tuple[Account, Market], rulebook: Rulebook) -> Pooled:
    account, market = held
    return evaluate(prepare(book_of((account,)), market, rulebook))


def _scenarios(pooled: Pooled) -> ScenarioMargin:
    joint = pooled.workings.joint
    assert joint is not None
    assert isinstance(joint.workings, ScenarioMargin)
    return joint.workings


def _block(held: tuple[Account, Market], terms: UnitTerms) -> Block:
    return _scenarios(_pooled(held, _rules(terms))).blocks[0]


TRANSLATORS = {
    "pm_inverse_future_vector": future_vector,
    "pm_aggregate": aggregate,
    "pm_margin": margins,
    "xpm_bounds": cross_account,
    "pm_legacy_option_contingency": option_contingency,
    "pm_legacy_future_contingency": future_contingency,
}

"""A risk matrix of ours in the shape of Deribit's ``private/pme/simulate`` (spec deribit.md 8)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, assert_never

from margrave.core.errors import Reason, refused
from margrave.core.rounding import Direction, Step, round_to
from margrave.domain.account import Account
from margrave.domain.instruments import CoinPremium, Instrument, Inverse, Linear, Quanto, QuotePremium
from margrave.domain.market import Market
from margrave.engine.analysis.matrix import MatrixCell, PoolMatrix, RiskMatrix, UnitMatrix
from margrave.rulebook.portfolio import LiquidityCharge, RollCharge, ScenarioModel, UnitTerms, terms_of
from margrave.rulebook.schema import Rulebook

# Amounts beside the matrix whose formulas are not published: field -> code of the charge that states it.
STATED: Final = {
    "mmp_margin": "DERIBIT-PME-STATED-001",
    "open_orders_margin": "DERIBIT-PME-STATED-002",
    "spot_margin": "DERIBIT-PME-STATED-003",
    "correlation_contingency": "DERIBIT-PME-STATED-004",
}
_NINE: Final = Step(1e-9, Direction.NEAREST)  # decimals of a total (spec 3.1 step 10)


def rendered(matrix: RiskMatrix, account: Account, market: Market, rulebook: Rulebook) -> dict[str, Any]:
    """The result of a simulation, as plain types.

    Parameters
    ----------
    matrix : RiskMatrix
        Of the account.
    account, market, rulebook : Account, Market, Rulebook
        What the matrix was made of.

    Returns
    -------
    dict
        With the fields of ``result``. What a rulebook does not state is left out, never guessed.
        ``open_orders_margin`` is ours: orders at their worst fill. A pool of several units has no
        ``worst_case_bucket``: each has its own.
    """
    units = [unit for pool in matrix.pools for unit in pool.units]
    model = rulebook.portfolio
    assert isinstance(model, ScenarioModel)
    symbols = {p.symbol for p in account.positions}
    return {
        "model_params": _params(model, units, market),
        "initial_risk_vectors": {
            v.name: _split(v.gains, u.cells) for u in units for v in u.vectors if v.name in symbols
        },
        "pre_aggregated_risk_vectors": {u.name: _split(u.before, u.cells) for u in units},
        "aggregated_risk_vectors": {u.name: _split(u.after, u.cells) for u in units},
        "margins": {pool.currency.lower(): _margins(pool) for pool in matrix.pools},
        "portfolio": {
            "position": _coins(account, market),
            "currency": {b.asset.lower(): b.amount for b in account.balances},
        },
        "index_price": {f"{asset.lower()}_usd": price for asset, price in market.index.items()},
        "ticker": {s: _ticker(market, s) for s in market.quotes if s in symbols},
    }


def _ticker(market: Market, symbol: str) -> dict[str, Any]:
    quote, instrument = market.quotes[symbol], market.instruments[symbol]
    base, priced_in = market.index_of(instrument.base), market.index_of(instrument.quote)
    index = quote.index or (None if base is None or priced_in is None else base / priced_in)
    told = {"mark_price": quote.mark, "index_price": index}
    return told | ({} if quote.forward is None else {"underlying_price": quote.forward})


def _split(gains: Sequence[float], cells: Sequence[MatrixCell]) -> dict[str, list[float]]:
    return {
        source: [gain for gain, cell in zip(gains, cells, strict=True) if cell.source == source]
        for source in ("standard", "extended")
    }


def _margins(pool: PoolMatrix) -> dict[str, Any]:
    def charged(name: str, kind: str = "") -> float:
        found = (c for unit in pool.units for c in unit.charges)
        return sum(c.amount for c in found if c.code == STATED.get(name) or c.kind == kind)

    details: dict[str, Any] = {"worst_case": sum(unit.worst.loss for unit in pool.units)}
    if len(pool.units) == 1:
        details["worst_case_bucket"] = _bucket(pool.units[0])
    details |= {
        "delta_shock": charged("delta_shock", "delta-liquidity"),
        "roll_shock": charged("", "roll"),
        "correlation_contingency": charged("correlation_contingency"),
    }
    return {
        "initial_margin": round_to(pool.initial, _NINE) if pool.initial == pool.initial else pool.initial,
        "maintenance_margin": pool.maintenance,
        "initial_margin_details": {
            "risk_matrix_margin": sum(unit.risk[0] for unit in pool.units),
            "open_orders_margin": pool.orders + charged("open_orders_margin"),
            "mmp_margin": charged("mmp_margin"),
            "spot_margin": charged("spot_margin"),
            "risk_matrix_margin_details": details,
        },
    }


def _bucket(unit: UnitMatrix) -> dict[str, Any]:
    cell = unit.worst.cell
    before = sum(c.source != cell.source for c in unit.cells) if cell.source == "extended" else 0
    return {
        "index": cell.number - before,
        "bucket": cell.bucket,
        "side": unit.worst.side,
        "source": cell.source,
    }


def _coins(account: Account, market: Market) -> dict[str, float]:
    coins: dict[str, float] = {}
    for position in account.positions:
        symbol = position.symbol
        size = coins_per_contract(market.instruments[symbol], market.quotes[symbol].mark)
        coins[symbol] = coins.get(symbol, 0.0) + position.quantity * size
    return coins


def coins_per_contract(instrument: Instrument, mark: float) -> float:
    """Coins of the underlying that one contract stands for; a simulation counts everything in them.

    Raises
    ------
    RefusedError
        A quanto contract stands for no number of coins.
    """
    match instrument.payoff:
        case Inverse(contract_value=value):
            return value / mark
        case Quanto():
            raise refused(instrument.symbol, Reason.UNSUPPORTED, "is quanto; this answer counts in coins")
        case Linear(contract_size=size) | CoinPremium(contract_size=size) | QuotePremium(contract_size=size):
            return size
        case unknown:
            assert_never(unknown)


def _params(model: ScenarioModel, units: Iterable[UnitMatrix], market: Market) -> dict[str, Any]:
    held = {unit.underlying: _terms(model, unit.underlying) for unit in units}
    even = next((t.cells.even for t in held.values() if t.cells.even is not None), None)
    general: dict[str, Any] = {"mm_factor": model.levels.maintenance}
    if even is not None:
        general |= {"buckets_count": even.each_side, "vol_scenarios_count": len(even.vols)}
    return {
        "general": general | {"timestamp": round(market.at.timestamp() * 1000.0)},
        "currency": {base.lower(): _of_currency(terms) for base, terms in held.items()},
        "currency_pair": {f"{base.lower()}_usd": _of_pair(terms) for base, terms in held.items()},
    }


def _terms(model: ScenarioModel, base: str) -> UnitTerms:
    found = terms_of(model, base)
    assert found is not None  # it has a unit, so it has terms
    return found


def _of_currency(terms: UnitTerms) -> Mapping[str, Any]:
    told: dict[str, Any] = {}
    for roll in (c for c in terms.charges if isinstance(c, RollCharge)):
        told |= {"annualised_move_risk": roll.rate, "min_annualised_move": roll.least}
    if terms.gains is not None:
        told |= {
            "extended_dampener": terms.gains.tail_dampener,
            "pnl_offset": terms.gains.share,
            "max_offsetable_pnl": terms.gains.most,
        }
    return told


def _of_pair(terms: UnitTerms) -> Mapping[str, Any]:
    told: dict[str, Any] = {}
    if terms.cells.even is not None:
        told["price_range"] = terms.cells.even.range
    if terms.vol is not None:
        told |= {
            "volatility_range_up": terms.vol.up,
            "volatility_range_down": terms.vol.down,
            "min_volatility_for_shock_up": terms.vol.vol_least_up,
            "short_term_vega_power": terms.vol.power_short,
            "long_term_vega_power": terms.vol.power_long,
        }
    if terms.cells.tail is not None:
        told["extended_table_factor"] = terms.cells.tail.factor
    for delta in (c for c in terms.charges if isinstance(c, LiquidityCharge)):
        told |= {
            "delta_total_liq_shock_threshold": delta.free,
            "max_delta_shock": delta.most,
            "m_inc": delta.increment,
        }
    return told

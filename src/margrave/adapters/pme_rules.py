"""A rulebook from the ``model_params`` of a Deribit simulation: one currency's margin (spec deribit.md 3.1)."""

from collections.abc import Mapping, Sequence
from typing import Final

from margrave.adapters.pme_shape import STATED
from margrave.adapters.rows import Row
from margrave.core.errors import Reason, invalid
from margrave.rulebook.portfolio import (
    AmountCharge,
    Cells,
    Charge,
    EvenGrid,
    Gains,
    LevelFactors,
    LiquidityCharge,
    Role,
    RollCharge,
    ScenarioModel,
    Tail,
    UnitTerms,
    VolMove,
    VolShock,
)
from margrave.rulebook.reform import stated as stated_rules
from margrave.rulebook.schema import AccountRules, CrossPool, PortfolioMember, Rulebook

MOVES: Final = (-0.66, -0.33, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)  # of the extended table
_CODE: Final = "DERIBIT-PME-PARAMS-001"
_WORST_DIGITS: Final = 9
_OF_CURRENCY: Final = (
    "annualised_move_risk",
    "min_annualised_move",
    "extended_dampener",
    "pnl_offset",
    "max_offsetable_pnl",
)
_OF_PAIR: Final = (
    "price_range",
    "volatility_range_up",
    "volatility_range_down",
    "min_volatility_for_shock_up",
    "short_term_vega_power",
    "long_term_vega_power",
    "extended_table_factor",
    "delta_total_liq_shock_threshold",
    "max_delta_shock",
    "m_inc",
)
PARAMETERS: Final = frozenset((*_OF_CURRENCY, *_OF_PAIR))


def rules_of(params: Row, bases: Sequence[str], currency: str, amounts: Mapping[str, float]) -> Rulebook:
    """Rules of one currency's margin.

    Parameters
    ----------
    params : Row
        ``model_params``.
    bases : sequence of str
        Underlyings that are held.
    currency : str
        In which they settle.
    amounts : mapping of str to float
        What the payload states of margins without a published formula, by field [currency].

    Raises
    ------
    InvalidInputError
        A parameter is missing or is none that a rulebook may hold.
    """
    general = params.part("general")
    terms = []
    for k, base in enumerate(bases):
        # Stated amounts are of the whole currency: they stand with its first underlying.
        terms.append(_terms(params, base, currency, amounts if k == 0 else {}))
    model = ScenarioModel(
        code=_CODE,
        terms=tuple(terms),
        levels=LevelFactors(code=_CODE, maintenance=_bounded(general, "mm_factor", 1.0)),
        worst_digits=_WORST_DIGITS,
    )
    account = AccountRules(cross_pool=CrossPool.SETTLEMENT, code=_CODE, option_value_credit=True)
    return stated_rules("deribit.pme-simulate", PortfolioMember(), account, portfolio=model)


def _terms(params: Row, base: str, currency: str, amounts: Mapping[str, float]) -> UnitTerms:
    own = _found(params.part("currency"), (base,), "parameters of this currency")
    pair = _found(params.part("currency_pair"), (f"{base}_{currency}", f"{base}_USD"), "parameters")
    general = params.part("general")
    width = pair.number("price_range")
    if not 0.0 < width < 1.0:
        told = f"is {width:g}; it must be a fraction between 0 and 1"
        raise invalid(f"{pair.where}.price_range", Reason.INVALID_VALUE, told)
    cells = Cells(
        code=_CODE,
        even=EvenGrid(range=width, each_side=int(general.number("buckets_count"))),
        tail=Tail(code=_CODE, moves=MOVES, factor=_bounded(pair, "extended_table_factor"), vol=VolMove.UP),
    )
    vol = VolShock(
        code=_CODE,
        up=_bounded(pair, "volatility_range_up"),
        down=_bounded(pair, "volatility_range_down"),
        power_short=_bounded(pair, "short_term_vega_power"),
        power_long=_bounded(pair, "long_term_vega_power"),
        vol_least_up=_bounded(pair, "min_volatility_for_shock_up"),
    )
    gains = Gains(
        code=_CODE,
        share=_bounded(own, "pnl_offset", 1.0),
        most=_bounded(own, "max_offsetable_pnl"),
        tail_dampener=_bounded(own, "extended_dampener"),
    )
    return UnitTerms(
        code=_CODE, bases=(base,), cells=cells, vol=vol, gains=gains, charges=_charges(own, pair, amounts)
    )


def _charges(own: Row, pair: Row, amounts: Mapping[str, float]) -> tuple[Charge, ...]:
    roll = RollCharge(
        code=_CODE,
        least=_bounded(own, "min_annualised_move"),
        rate=_bounded(own, "annualised_move_risk"),
    )
    delta = LiquidityCharge(
        code=_CODE,
        free=_bounded(pair, "delta_total_liq_shock_threshold"),
        increment=_bounded(pair, "m_inc"),
        most=_bounded(pair, "max_delta_shock", 1.0),
    )
    # Open orders, protection and spot margin are beside the matrix; the contingency is part of it (3.1 step 10).
    more = [
        AmountCharge(code=STATED[name], amount=amount)
        if name == "correlation_contingency"
        else AmountCharge(code=STATED[name], amount=amount, role=Role.AFTER, maintenance=False)
        for name, amount in amounts.items()
    ]
    return (roll, delta, *more)


def _found(rows: Row, names: Sequence[str], what: str) -> Row:
    for name in names:
        if name.lower() in rows.fields:
            return rows.part(name.lower())
    raise invalid(
        f"{rows.where}.{names[0].lower()}", Reason.NOT_FOUND, f"has no {what}; save the whole answer"
    )


def _bounded(row: Row, name: str, most: float = float("inf")) -> float:
    found = row.number(name)
    if not 0.0 <= found <= most:
        told = "at least zero" if most == float("inf") else f"from 0 to {most:g}"
        raise invalid(f"{row.where}.{name}", Reason.INVALID_VALUE, f"is {found:g}; it must be {told}")
    return found

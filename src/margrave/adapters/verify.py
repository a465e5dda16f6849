"""Our numbers beside the venue's: every claim of a payload with what Margrave computes for it.

`compare` knows nothing of where our numbers come from: a lookup gives the number of an output, or the reason why
there is none. `outputs_of` is the lookup of an assessment; answers of another kind (a simulation's matrix, cell by
cell) bring claims and a lookup of their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias, final

from margrave.adapters.claims import (
    AnswerOutput,
    Claim,
    Claims,
    CurrencyOutput,
    Figure,
    Output,
    PoolOutput,
    PositionOutput,
    agrees,
)
from margrave.adapters.files import Case
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Leg
from margrave.engine.assess import assess
from margrave.engine.assessment import Assessment, PoolAssessment, PositionAssessment, Status
from margrave.liquidation import NoBound, PoolLiquidation, liquidations
from margrave.rulebook.schema import CrossPool, Rulebook


class Verdict(StrEnum):
    """What came of a comparison."""

    AGREES = "agrees"
    DIFFERS = "differs"
    NOT_COMPUTED = "not computed"


@final
@dataclass(frozen=True, slots=True)
class Missing:
    """There is no number of ours, and why."""

    reason: str


@final
@dataclass(frozen=True, slots=True)
class Comparison:
    """A claim with our number beside it."""

    claim: Claim
    ours: float | None  # None: there is none (a liquidation price), or it is not computed
    verdict: Verdict
    reason: str = ""  # why it is not computed

    def to_dict(self) -> dict[str, Any]:
        """Plain types; a difference only where both sides have a number."""
        theirs, ours = self.claim.amount, self.ours
        return {
            "where": self.claim.where,
            "what": self.claim.what,
            "venue": theirs,
            "ours": ours,
            "difference": None if theirs is None or ours is None else ours - theirs,
            "unit": self.claim.unit,
            "digits": self.claim.digits,
            "verdict": str(self.verdict),
            "reason": self.reason,
        }


Lookup: TypeAlias = Callable[[Claim, Output], "float | Missing | None"]

_OF_BALANCES: Final = (Figure.EQUITY, Figure.BALANCE, Figure.AVAILABLE, Figure.EXCESS, Figure.RATIO)
_UNMAPPED: Final = "no single figure of ours stands for it"


def compare(claims: Claims, ours: Lookup) -> tuple[Comparison, ...]:
    """Every claim beside our number, in the order of the payloads.

    Parameters
    ----------
    claims : mapping of Claim to Output or None
        What the venue says.
    ours : callable
        Our number of an output; None for *there is none*, `Missing` where it cannot be computed.
    """
    return tuple(_compare(claim, output, ours) for claim, output in claims.items())


def _compare(claim: Claim, output: Output | None, ours: Lookup) -> Comparison:
    found = Missing(_UNMAPPED) if output is None else ours(claim, output)
    if isinstance(found, Missing):
        return Comparison(claim, None, Verdict.NOT_COMPUTED, found.reason)
    return Comparison(claim, found, Verdict.AGREES if agrees(claim, found) else Verdict.DIFFERS)


def first_difference(comparisons: Sequence[Comparison]) -> Comparison | None:
    """The first claim that our number does not give; None where all that is computed agrees."""
    return next((c for c in comparisons if c.verdict is Verdict.DIFFERS), None)


def verify(case: Case, claims: Claims, rulebook: Rulebook) -> tuple[Comparison, ...]:
    """Assess an imported account and compare it with what its venue says of it."""
    return compare(claims, outputs_of(case, rulebook))


@final
@dataclass(frozen=True, slots=True)
class _Answers:
    account: Account
    case: Case
    assessment: Assessment
    bounds: tuple[PoolLiquidation, ...]
    rulebook: Rulebook


def outputs_of(case: Case, rulebook: Rulebook) -> Lookup:
    """Lookup of the outputs of the case's only account under a rulebook."""
    (account,) = case.accounts
    answers = _Answers(
        account,
        case,
        assess(account, case.market, rulebook),
        liquidations(account, case.market, rulebook),
        rulebook,
    )

    def ours(claim: Claim, output: Output) -> float | Missing | None:
        match output:
            case CurrencyOutput():
                return _of_currency(answers, output)
            case PositionOutput():
                return _of_position(answers, output)
            case PoolOutput():
                return _of_pool(answers, claim, output)
            case AnswerOutput():
                return Missing(_UNMAPPED)

    return ours


def _of_currency(answers: _Answers, output: CurrencyOutput) -> float | Missing:
    pools = [
        pool
        for pool in answers.assessment.pools
        if pool.currency == output.currency and (output.pools == "all" or pool.mode == MarginMode.CROSS)
    ]
    if unknown := next((pool for pool in pools if pool.status is Status.UNKNOWN), None):
        return _unknown(unknown)
    if not pools and answers.assessment.pools:
        # A figure of an asset that is not held is zero; one of what is held, or of all in dollars, is elsewhere.
        held = any(b.asset == output.currency for b in answers.account.balances)
        if held or output.currency == answers.case.market.numeraire:
            counted = ", ".join(sorted({pool.currency for pool in answers.assessment.pools}))
            return Missing(f"the rulebook counts this account in {counted}")
    if output.figure in _OF_BALANCES and (assets := _uncounted(answers, output.currency)):
        return Missing(f"{answers.rulebook.id} has no collateral rate of {', '.join(assets)}")
    return sum(_pool_figure(pool, output.figure) for pool in pools)


def _uncounted(answers: _Answers, currency: str) -> list[str]:
    # Assets that one pool an account holds and its rulebook does not know what they count for: a gap, no zero.
    rules = answers.rulebook.account
    if rules.cross_pool is not CrossPool.ACCOUNT or rules.haircut_unlisted is not None:
        return []
    listed = {currency, *(rule.asset for rule in rules.collateral)}
    return [b.asset for b in answers.account.balances if b.asset not in listed]


def _pool_figure(pool: PoolAssessment, figure: Figure) -> float:
    return {
        Figure.EQUITY: pool.equity,
        Figure.BALANCE: pool.margin_balance,
        Figure.INITIAL: pool.initial,
        Figure.MAINTENANCE: pool.maintenance,
        Figure.AVAILABLE: pool.available,
        Figure.EXCESS: pool.margin_balance - pool.maintenance,
        Figure.NOTIONAL: sum(p.notional for p in pool.positions),
        Figure.PROFIT: sum(p.profit for p in pool.positions),
        Figure.VALUE: sum(p.value for p in pool.positions),
        Figure.RATIO: pool.margin_balance / pool.maintenance if pool.maintenance else float("inf"),
    }[figure]


def _unknown(pool: PoolAssessment) -> Missing:
    told = "; ".join(issue.message for issue in pool.issues)
    return Missing(told or "the pool cannot be valued")


def _found(
    answers: _Answers, output: PositionOutput | PoolOutput
) -> tuple[int, PositionAssessment] | Missing:
    for row, pool in enumerate(answers.assessment.pools):
        if (pool.mode == MarginMode.ISOLATED) != (output.mode is MarginMode.ISOLATED):
            continue
        for position in pool.positions:
            side = Leg.LONG if position.quantity > 0 else Leg.SHORT
            if position.symbol == output.symbol and output.leg in (Leg.NET, side):
                return _unknown(pool) if pool.status is Status.UNKNOWN else (row, position)
    return Missing("no position of ours stands for it")


def _of_position(answers: _Answers, output: PositionOutput) -> float | Missing:
    found = _found(answers, output)
    if isinstance(found, Missing):
        return found
    _, position = found
    return {
        Figure.INITIAL: position.initial,
        Figure.MAINTENANCE: position.maintenance,
        Figure.NOTIONAL: position.notional,
        Figure.PROFIT: position.profit,
        Figure.VALUE: position.value,
    }[output.figure]


def _of_pool(answers: _Answers, claim: Claim, output: PoolOutput) -> float | Missing | None:
    found = _found(answers, output)
    if isinstance(found, Missing):
        return found
    row, _ = found
    if output.figure is not Figure.LIQUIDATION:
        return _pool_figure(answers.assessment.pools[row], output.figure)
    return _liquidation(answers, claim, output, row)


def _liquidation(answers: _Answers, claim: Claim, output: PoolOutput, row: int) -> float | Missing | None:
    if answers.assessment.pools[row].mode == MarginMode.CROSS and not answers.account.balances:
        return Missing("the wallet is not in the payloads; add the account's balance")
    base = answers.case.market.instruments[output.symbol].base
    whole = answers.bounds[row]
    search = next((b for b in (*whole.each, whole) if b.along == base or not whole.each), whole)
    if search.bounds and search.instrument != output.symbol:
        return Missing(f"the liquidation price of this pool is told by {search.instrument}")
    if search.reason in (NoBound.UNKNOWN, NoBound.ALREADY):
        return Missing(str(search.reason))
    side = _side(answers, row, base)
    bound = next((b for b in search.bounds if b.side == side), None)
    if bound is None:
        return None
    tick = answers.case.market.instruments[output.symbol].tick
    rounded = tick is not None and 10.0**-claim.digits >= tick * (1 - 1e-9)
    return bound.price if rounded or bound.price == bound.exact else bound.exact


def _side(answers: _Answers, row: int, base: str) -> str:
    instruments = answers.case.market.instruments
    held = [p for p in answers.assessment.pools[row].positions if instruments[p.symbol].base == base]
    # Hedge legs share a pool: the price that ends it lies on the losing side of what is left after netting.
    return "down" if sum(p.notional if p.quantity > 0 else -p.notional for p in held) >= 0 else "up"

"""Portfolio margin from the tail of joint scenarios, as data: where rows of returns come from, and what is measured.

Every row moves all assets together, so that positions add up first and the tail is taken after. `margin.tails.tail` has
the formula.
"""

from collections.abc import Iterator
from enum import StrEnum
from math import isfinite
from typing import Annotated, Final, TypeAlias, final

from msgspec import Meta, field, to_builtins

from margrave.core.errors import Issue, Reason
from margrave.rulebook.form import Form, Fraction

Positive: TypeAlias = Annotated[float, Meta(gt=0)]
NonNegative: TypeAlias = Annotated[float, Meta(ge=0)]
Confidence: TypeAlias = Annotated[float, Meta(gt=0, lt=1)]
Returns: TypeAlias = Annotated[tuple[float, ...], Meta(min_length=1)]

DRAWS_IN_TAIL: Final = 10.0
"""Fewer draws in a tail do not tell its measure."""


@final
class LowerValueAtRisk(Form, frozen=True, tag_field="of", tag="value-at-risk-lower"):
    """The ``(floor(k) + 1)``-th largest loss of n, ``k = n (1 - confidence)``: the textbook quantile."""

    code: str
    confidence: Confidence


@final
class UpperValueAtRisk(Form, frozen=True, tag_field="of", tag="value-at-risk-upper"):
    """The ``ceil(k)``-th largest loss: the conservative quantile, smallest loss of the tail."""

    code: str
    confidence: Confidence


@final
class ExpectedShortfall(Form, frozen=True, tag_field="of", tag="expected-shortfall"):
    """Mean of the k largest losses, the last of them in part where k is not whole."""

    code: str
    confidence: Confidence


Measure: TypeAlias = LowerValueAtRisk | UpperValueAtRisk | ExpectedShortfall


class Scaling(StrEnum):
    """How far a return of the past is carried to the vol of today."""

    FULL = "full"  # r s_now / s_then
    HALF = "half"  # r (s_now + s_then) / (2 s_then)


@final
class EwmaFilter(Form, frozen=True):
    """Returns rescaled by the vol of an exponentially weighted filter, within bounds."""

    code: str
    decay: Fraction  # weight of yesterday's variance
    ratio_least: NonNegative  # bounds of vol now over vol then
    ratio_most: Positive
    scaling: Scaling = Scaling.FULL
    seed_deviation: Positive | None = (
        None  # [fraction] foreseen for the first row; None: the root mean square
    )


@final
class History(Form, frozen=True, tag_field="source", tag="history"):
    """Rows of simple returns on common dates, oldest first; those of the market where none are listed."""

    code: str
    days: Positive = 1.0  # over which a return is taken
    returns: dict[str, Returns] = field(default_factory=dict)  # asset -> one return a row [fraction]
    vol_moves: dict[str, Returns] = field(
        default_factory=dict
    )  # asset -> relative move of its options' vols, one a row; absent: vols stay
    filter: EwmaFilter | None = None


class ReturnKind(StrEnum):
    """What a draw is of."""

    SIMPLE = "simple"  # price times 1 + r
    LOG = "log"  # price times e^r


@final
class Normal(Form, frozen=True, tag_field="kind", tag="normal"):
    """Joint normal draws."""


@final
class Student(Form, frozen=True, tag_field="kind", tag="student"):
    """Joint Student-t draws, scaled to the vol: all assets have their wild days together."""

    degrees: Annotated[int, Meta(ge=3, le=100)]


@final
class VolDraws(Form, frozen=True):
    """Vols of options move too: log-normal, correlated with their own underlying."""

    code: str
    vol_of_vol: Positive  # [per year]
    correlation: Annotated[float, Meta(ge=-1, le=1)] = 0.0  # of a vol's move and its underlying's return


@final
class UpperBound(Form, frozen=True):
    """The requirement uses what the measure is below with this probability, instead of its estimate."""

    code: str
    sureness: Annotated[float, Meta(gt=0.5, lt=1)]


@final
class MonteCarlo(Form, frozen=True, tag_field="source", tag="monte-carlo"):
    """Draws with the vols and correlations of the market, without drift; a year has 365 days."""

    code: str
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    count: Annotated[int, Meta(ge=100, le=2_000_000)]
    distribution: Normal | Student = Normal()
    returns: ReturnKind = ReturnKind.SIMPLE
    vols: VolDraws | None = None
    upper_bound: UpperBound | None = None


Scenarios: TypeAlias = History | MonteCarlo


@final
class NotionalFloor(Form, frozen=True):
    """Least requirement: a share of the gross notional, and one of the net delta of every underlying."""

    code: str
    gross: Fraction = 0.0
    net: Fraction = 0.0


@final
class TailModel(Form, frozen=True, tag_field="model", tag="tail"):
    """``maintenance = max(multiplier tail, floor)``, ``initial = initial_over_maintenance maintenance``."""

    code: str
    measure: Measure
    scenarios: Scenarios
    horizon_days: Positive  # returns are scaled by its square root
    multiplier: Positive = 1.0
    floor: NotionalFloor | None = None
    initial_over_maintenance: Annotated[float, Meta(ge=1)] = 1.0
    still: tuple[str, ...] = ()  # assets whose price in the numeraire does not move; the numeraire never does
    collateral_moves: bool = False  # balances in assets that are not still are revalued in every row


def tail_contradictions(model: TailModel, where: str) -> Iterator[Issue]:
    """What a tail model says against itself, each fault with its place."""
    yield from _numbers(where, to_builtins(model))
    for name in sorted({name for name in model.still if model.still.count(name) > 1}):
        yield Issue(f"{where}.still", Reason.DUPLICATE, f"{name!r} stands twice; drop one")
    if model.floor is not None and not model.floor.gross and not model.floor.net:
        yield Issue(f"{where}.floor", Reason.CONTRADICTION, "has no share above zero; state one or drop it")
    source, place = model.scenarios, f"{where}.scenarios"
    if isinstance(source, MonteCarlo):
        yield from _too_few(source.count, DRAWS_IN_TAIL, model.measure, f"{place}.count", "draws")
    else:
        yield from _history(model, source, place)


def _numbers(path: str, node: object) -> Iterator[Issue]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _numbers(f"{path}.{key}", value)
    elif isinstance(node, list | tuple):
        for k, value in enumerate(node):
            yield from _numbers(f"{path}[{k}]", value)
    elif isinstance(node, float) and not isfinite(node):
        yield Issue(path, Reason.INVALID_VALUE, f"is {node}; write a finite number")


def _history(model: TailModel, source: History, place: str) -> Iterator[Issue]:
    lengths = {asset: len(rows) for asset, rows in source.returns.items()}
    if len(set(lengths.values())) > 1:
        message = f"have {lengths} rows; a row is one date for all assets, so that they must be as many"
        yield Issue(f"{place}.returns", Reason.CONTRADICTION, message)
    for asset, rows in source.returns.items():
        if asset in model.still:
            yield Issue(
                f"{place}.returns.{asset}", Reason.CONTRADICTION, "is among the still assets; drop it"
            )
        if min(rows) <= -1.0:
            message = f"{min(rows):g} takes a price to zero or below; write -5 % as -0.05"
            yield Issue(f"{place}.returns.{asset}", Reason.INVALID_VALUE, message)
    if lengths:
        yield from _too_few(max(lengths.values()), 1.0, model.measure, f"{place}.returns", "rows")
    yield from _vol_moves(source, lengths, f"{place}.vol_moves")
    rule = source.filter
    if rule is not None and rule.ratio_least > rule.ratio_most:
        message = f"{rule.ratio_least:g} is above ratio_most {rule.ratio_most:g}; swap them"
        yield Issue(f"{place}.filter.ratio_least", Reason.CONTRADICTION, message)


def _vol_moves(source: History, lengths: dict[str, int], place: str) -> Iterator[Issue]:
    for asset, moves in source.vol_moves.items():
        if len(moves) != lengths.get(asset):
            message = (
                f"has {len(moves)} rows and {asset} has {lengths.get(asset, 0)} returns; list one a return"
            )
            yield Issue(f"{place}.{asset}", Reason.CONTRADICTION, message)
        if min(moves) < -1.0:
            message = f"{min(moves):g} takes a vol below zero; at least -1"
            yield Issue(f"{place}.{asset}", Reason.INVALID_VALUE, message)


def _too_few(count: int, least: float, measure: Measure, place: str, what: str) -> Iterator[Issue]:
    inside = count * (1.0 - measure.confidence)
    if inside < least * (1.0 - 1e-9):
        message = (
            f"{count} {what} leave {inside:.3g} beyond a confidence of {measure.confidence:g}, where at least "
            f"{least:g} must be; give more or lower the confidence"
        )
        yield Issue(place, Reason.CONTRADICTION, message)

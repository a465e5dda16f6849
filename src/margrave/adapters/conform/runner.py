"""Reading vector files, running each vector, and saying what became of it (`judge` compares the numbers)."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from margrave.adapters.conform import (
    deribit,
    deribit_portfolio,
    futures,
    ladders,
    options,
    positions,
    prices,
    protocol_derive,
    protocol_derive_fixed,
    protocol_derive_fixed2,
    protocol_derive_scenarios,
    protocol_drift,
    protocol_dydx,
    protocol_mango,
    protocol_others,
    reference,
    venues,
)
from margrave.adapters.conform.judge import agrees, difference, differences, states_tolerance
from margrave.adapters.conform.vector import UnsupportedError, Vector, vector_of
from margrave.core.errors import MargraveError, Reason, invalid

Translator = Callable[[Vector], dict[str, Any]]
EXPRESSION_ROUNDING = 5e-11
"""An input that stands as an expression was a number of ten decimals in its source (freqtrade's wallets)."""

FAMILIES: tuple[tuple[str, Translator], ...] = (
    (r"^USDM isolated liquidation price", futures.binance_isolated),
    (r"^USDM cross liquidation price", futures.binance_cross),
    (r"^COINM isolated liquidation price", futures.coinm_isolated),
    (r"^COINM cross position margins", positions.coinm_cross),
    (r"^USDM (portfolio-margin )?position", positions.linear_margins),
    (r"(maintenance amount|MM deduction).*ladder", ladders.deductions),
    (r"^linear isolated liquidation price", futures.isolated_linear),
    (r"^inverse (isolated )?(bankruptcy|liquidation)( and liquidation)? price", futures.inverse_prices),
    (r"^linear isolated bankruptcy price", futures.linear_bankruptcy),
    (r"^UTA cross position IM/MM", positions.bybit_uta),
    (r"^inverse isolated .*margin ratio", positions.okx_isolated),
    (r"^average entry", positions.average),
    (r"^(linear|inverse) (un)?realised PnL", positions.cases),
    (r"^short option maintenance margin", options.bybit_short),
    (r"^short put IM/MM \(", options.quote_option),
    (r"^tiered discount rate", ladders.discount),
    (r"^risk limits table", ladders.risk_table),
    (r"uniMMR", venues.unified),
    (r"^ADL leveraged PnL", venues.leveraged),
    (r"^ADL queue", venues.quintiles),
    (r"^partial liquidation size", venues.partial),
    (r"^spot hedge amount", venues.spot_hedge),
    (r"^MR7 ", venues.okx_scaled),
    (r"^MR9 ", venues.okx_depeg),
    (r"^portfolio margin risk unit", venues.okx_unit),
    (r"^(linear|inverse) isolated position, full field set", venues.bitmex_isolated),
)
"""Models whose name tells the family; the rest of the name is about the example."""

WHY_NOT = {
    "inverse maintenance margin with leverage divisor (NautilusTrader model)": "no venue divides maintenance by leverage",
    "coin-margined option margin (legacy multiplier 0.1 BTC, margin factor 1.02)": "its buy order is priced otherwise: 0.477 is a premium at 0.0475 with the fee, and the price among the inputs is 0.06; position margin and sell order agree",
    "portfolio margin account margin ratio": "the liquidation fees in the denominator (80.12 USD) are not published",
    "none": "inputs are not published",
    "ratio": "two published numbers divided by each other: no calculation of ours",
    "product": "two published numbers multiplied: no calculation of ours",
}
TRANSLATORS: dict[str, Translator] = {
    **futures.TRANSLATORS,
    **positions.TRANSLATORS,
    **ladders.TRANSLATORS,
    **options.TRANSLATORS,
    **deribit.TRANSLATORS,
    **deribit_portfolio.TRANSLATORS,
    **prices.TRANSLATORS,
    **protocol_dydx.TRANSLATORS,
    **protocol_others.TRANSLATORS,
    **protocol_derive.TRANSLATORS,
    **protocol_derive_fixed.TRANSLATORS,
    **protocol_derive_fixed2.TRANSLATORS,
    **protocol_derive_scenarios.TRANSLATORS,
    **protocol_drift.TRANSLATORS,
    **protocol_mango.TRANSLATORS,
    **venues.TRANSLATORS,
    **reference.TRANSLATORS,
}


@final
@dataclass(frozen=True, slots=True)
class Result:
    """What became of one vector."""

    vector: Vector
    outcome: str  # passed, failed, unsupported
    got: dict[str, Any]
    detail: str

    def to_dict(self) -> dict[str, Any]:
        """A row for a table, and every number behind it."""
        v = self.vector
        apart = {n: difference(w, self.got[n]) for n, w in v.expected.items() if n in self.got}
        return {
            "id": v.id,
            "venue": v.venue,
            "model": v.model,
            "outcome": self.outcome,
            "detail": self.detail,
            "source": v.source,
            "expected": v.expected,
            "got": {name: self.got[name] for name in v.expected if name in self.got},
            "difference": {name: number for name, number in apart.items() if number is not None},
        }


@final
@dataclass(frozen=True, slots=True)
class Report:
    """All results, in the order of the files."""

    results: tuple[Result, ...]

    def count(self, outcome: str) -> int:
        """How many vectors ended so."""
        return sum(r.outcome == outcome for r in self.results)

    @property
    def failed(self) -> int:
        """How many do not agree."""
        return self.count("failed")

    @property
    def summary(self) -> str:
        """The closing line."""
        return f"{self.count('passed')} passed, {self.failed} failed, {self.count('unsupported')} unsupported"


def run(paths: Sequence[Path]) -> Report:
    """Run every vector of files, or of the folders' JSON files.

    Raises
    ------
    InvalidInputError
        A file is not JSON or holds no vectors.
    """
    files = [f for p in paths for f in (sorted(p.glob("*.json")) if p.is_dir() else [p])]
    return Report(tuple(judge(vector) for file in files for vector in read(file)))


def read(file: Path) -> Iterable[Vector]:
    """Vectors of a file: a list, a table with one under ``vectors``, or a table of groups."""
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise invalid(
            str(file), Reason.MALFORMED, f"cannot be read as JSON ({fault}); give a file of vectors"
        ) from fault
    if isinstance(tree, dict) and "vectors" not in tree:
        return list(reference.vectors_of_groups(tree, file.parent))
    rows = tree["vectors"] if isinstance(tree, dict) else tree
    return [vector_of(row, file.parent) for row in rows if isinstance(row, dict) and "model" in row]


def _family(model: str) -> Translator | None:
    if model in WHY_NOT:
        return None
    return next((translate for form, translate in FAMILIES if re.search(form, model)), None)


def judge(vector: Vector) -> Result:
    """Run one vector and compare."""
    translate = TRANSLATORS.get(vector.model) or _family(vector.model)
    if translate is None:
        return Result(
            vector,
            "unsupported",
            {},
            WHY_NOT.get(vector.model, "no system of this release calculates it"),
        )
    try:
        got = translate(vector)
        wrong = [text for name in vector.expected if (text := _compared(vector, translate, name, got))]
    except UnsupportedError as reason:
        return Result(vector, "unsupported", {}, str(reason))
    except KeyError as missing:
        return Result(vector, "unsupported", {}, f"input {missing} is not given")
    except (MargraveError, ValueError, TypeError, ArithmeticError, LookupError, StopIteration) as fault:
        return Result(vector, "failed", {}, f"{type(fault).__name__}: {fault}")
    if wrong and not vector.status.startswith("reproduced"):
        text = f"published figures contradict themselves: source says {vector.status}; "
        return Result(vector, "unsupported", got, text + "; ".join(wrong))
    return Result(vector, "failed" if wrong else "passed", got, "; ".join(wrong))


def _compared(vector: Vector, translate: Translator, name: str, got: dict[str, Any]) -> str:
    if name not in got:
        raise UnsupportedError(f"output {name!r} is not calculated")
    wanted, found = vector.expected[name], got[name]
    if states_tolerance(vector):
        return next(differences(wanted, found, vector.tolerance, name), "")
    pairs = list(zip(wanted, found, strict=True)) if isinstance(wanted, list) else [(wanted, found)]
    digits = vector.digits.get(name)
    for want, have in pairs:
        if not agrees(vector, want, have, digits) and not _within_inputs(
            vector, translate, name, want, digits
        ):
            return f"{name}: published {want}, calculated {have!r}"
    return ""


def _within_inputs(vector: Vector, translate: Translator, name: str, want: Any, digits: int | None) -> bool:
    # Inputs that the source shows rounded: the published number must lie in the span that they allow.
    errors = {**vector.input_rounding, **dict.fromkeys(vector.expressions, EXPRESSION_ROUNDING)}
    if not errors:
        return False
    got = [float(translate(vector)[name])]
    for key, error in errors.items():
        for shift in (-error, error):
            moved = replace(vector, inputs={**vector.inputs, key: vector.number(key) + shift})
            got.append(float(translate(moved)[name]))
    spread = sum(abs(g - got[0]) for g in got) / 2 + 0.5 * 10.0 ** -(digits or 0)
    return abs(float(want) - got[0]) <= spread * (1 + 1e-9)

"""Groups of numbers about backtests: exceptions, their independence, Basel's zones, expected shortfall."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from margrave.adapters.conform.reference_pieces import Group, Piece, Translator, cases, numbers, without
from margrave.adapters.conform.vector import UnsupportedError, Vector
from margrave.kernels import backtests


def _exceptions_group(group: Any) -> Iterator[Piece]:
    kupiec, light = group.get("kupiec", {}), group.get("traffic_light", {})
    for piece in cases(kupiec, "n", "x", "p"):
        yield Piece(
            f"/kupiec {piece.place[1:]}", "/kupiec", piece.inputs, without(piece.expected, "published")
        )
    for row in kupiec.get("acceptance_95", ()):
        yield Piece(
            f"/acceptance {row['T']} {row['p']}",
            "/acceptance",
            {"T": row["T"], "p": row["p"]},
            without(row, "T", "p"),
        )
    for piece in cases(group.get("christoffersen", {}), "name", "n", "exception_index_0based", "p"):
        yield Piece(f"/christoffersen {piece.place[1:]}", "/christoffersen", piece.inputs, piece.expected)
    yield from _critical(group)
    yield from _zones(light)


def _critical(group: Any) -> Iterator[Piece]:
    for test, names in (("kupiec", ("crit_95",)), ("christoffersen", ("crit_95_ind", "crit_95_cc"))):
        found = {name: group[test][name] for name in names if name in group.get(test, {})}
        if found:
            yield Piece(f"/{test} critical", "/critical", {}, found)


def _zones(light: Any) -> Iterator[Piece]:
    days = {name: light[name] for name in ("n", "p") if name in light}
    for row in light.get("rows", ()):
        yield Piece(f"/zone {row['x']}", "/zone", {**days, "x": row["x"]}, without(row, "x"))
    for row in light.get("zone_boundaries", ()):
        inputs = {"n": row["n"], "p": row["p"]}
        yield Piece(f"/boundaries {row['n']} {row['p']}", "/boundaries", inputs, without(row, "n", "p"))
    for row in light.get("normal_formula_increase", ()):
        yield Piece(f"/increase {row['x']}", "/increase", {**days, "x": row["x"]}, without(row, "x"))


def kupiec(v: Vector) -> dict[str, Any]:
    """Kupiec's ratio and p-value."""
    found = backtests.coverage_test(int(v.number("n")), int(v.number("x")), v.number("p"))
    return {"LR": found.ratio, "p_value": found.p_value}


def acceptance(v: Vector) -> dict[str, Any]:
    """Numbers of exceptions that are not rejected."""
    low, high = backtests.accepted(int(v.number("T")), v.number("p"))
    return {"not_rejected_from": low, "not_rejected_to": high}


def christoffersen(v: Vector) -> dict[str, Any]:
    """Independence and conditional coverage."""
    hit = np.zeros(int(v.number("n")), dtype=bool)
    hit[[int(row) for row in v.inputs["exception_index_0based"]]] = True
    found = backtests.independence_test(hit, v.number("p"))
    return {
        "n00": found.quiet_quiet,
        "n01": found.quiet_exception,
        "n10": found.exception_quiet,
        "n11": found.exception_exception,
        "pi01": found.after_quiet,
        "pi11": found.after_exception,
        "pi": found.after_any,
        "lr_ind": found.independence.ratio,
        "p_ind": found.independence.p_value,
        "LR_uc": found.coverage.ratio,
        "LR_cc": found.together.ratio,
        "p_cc": found.together.p_value,
    }


def critical(v: Vector) -> dict[str, Any]:
    """Critical ratios at 95 %."""
    one, two = backtests.critical(0.95), backtests.critical(0.95, 2)
    return {"crit_95": one, "crit_95_ind": one, "crit_95_cc": two}


def zone(v: Vector) -> dict[str, Any]:
    """Cumulative probability, zone and plus factor."""
    count, exceptions, probability = int(v.number("n")), int(v.number("x")), v.number("p")
    return {
        "cum_prob": float(backtests.cumulative(count, probability)[exceptions]),
        "zone": str(backtests.zone(count, exceptions, probability)),
        "basel_plus_factor": backtests.plus_factor(exceptions),
    }


def boundaries(v: Vector) -> dict[str, Any]:
    """Where zones begin."""
    yellow, red = backtests.boundaries(int(v.number("n")), v.number("p"))
    return {"yellow_from": yellow, "red_from": red}


def increase(v: Vector) -> dict[str, Any]:
    """What a normal model lacks."""
    return {"increase": float(backtests.normal_increase(int(v.number("n")), v.number("x"), v.number("p")))}


def _shortfall_group(group: Any) -> Iterator[Piece]:
    if "worked" in group:
        inputs = {name: group["worked"][name] for name in ("pnl", "VaR", "ES", "T", "alpha")}
        yield Piece("/worked", "/worked", inputs, without(group["worked"], *inputs))
    if "critical" in group:
        yield Piece("/critical", "/critical", {}, group["critical"])


def worked(v: Vector) -> dict[str, Any]:
    """Both statistics of expected shortfall."""
    profit = numbers(v.inputs["pnl"])
    found = backtests.shortfall_test(profit, v.number("VaR"), v.number("ES"), v.number("alpha"))
    conditional = found.conditional if np.isfinite(found.conditional) else None
    return {"Z1": conditional, "Z2": found.unconditional}


def simulated(v: Vector) -> dict[str, Any]:
    """Critical values come from a million simulated years."""
    raise UnsupportedError("critical values are simulated by their author and not calculated")


GROUPS: Final[dict[str, Group]] = {
    "var_backtests": _exceptions_group,
    "es_backtest_acerbi_szekely": _shortfall_group,
}
TRANSLATORS: Final[dict[str, Translator]] = {
    "reference var_backtests/kupiec": kupiec,
    "reference var_backtests/acceptance": acceptance,
    "reference var_backtests/christoffersen": christoffersen,
    "reference var_backtests/critical": critical,
    "reference var_backtests/zone": zone,
    "reference var_backtests/boundaries": boundaries,
    "reference var_backtests/increase": increase,
    "reference es_backtest_acerbi_szekely/worked": worked,
    "reference es_backtest_acerbi_szekely/critical": simulated,
}

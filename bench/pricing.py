"""Options: a tick's grid of scenarios, and price with four Greeks from raw inputs, beside what one would take instead."""

import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from bench import in_c, limits
from bench.measure import Gate, Run, Section, Setting, difference, interleaved, missing, peer, rows
from margrave.adapters.made_columns import CELLS, Grid, Options, made_grid, made_options
from margrave.kernels.compiled import twins
from margrave.kernels.compiled.black import grid_values, option_values
from margrave.kernels.compiled.columns import GridOptions
from margrave.kernels.compiled.rows import empty_rows
from margrave.kernels.normal import TAIL_DENOMINATOR, TAIL_NUMERATOR

OPTIONS = 800
RAW, FEW, FEWEST = 28_000, 500, 100
ROOT_TWO_PI = math.sqrt(2.0 * math.pi)
MULTIPLY_ADDS = 72
"""Instructions of the multiply-add units that a price of the grid takes, at eight prices an instruction."""

OURS, PLAIN, IN_C = "margrave, 1 thread", "NumPy and SciPy", "C, same formula, gcc -O3 native"
LIBRARY_C = "C with its mathematics library, gcc -O3 native"


def run(setting: Setting) -> list[Section]:
    """Both benchmarks."""
    return [grid_section(setting.pool), options_section(setting.pool)]


# --- the grid ---


def hoisted_grid(options: GridOptions, factor: np.ndarray, level: np.ndarray, vol: np.ndarray) -> np.ndarray:
    """Coin premium on the grid with NumPy and SciPy, logarithms and deviations hoisted as ours."""
    sign = np.where(options.is_call, 1.0, -1.0)[:, None]
    deviation = (vol * np.sqrt(options.years)).T
    wide, inverse = deviation[:, level], (1.0 / deviation)[:, level]
    ratio = (options.strike / options.forward)[:, None] / factor
    d1 = (np.log(factor) - np.log(options.strike / options.forward)[:, None]) * inverse + 0.5 * wide
    return sign * (ndtr(sign * d1) - ratio * ndtr(sign * (d1 - wide)))


def plain_grid(options: GridOptions, factor: np.ndarray, level: np.ndarray, vol: np.ndarray) -> np.ndarray:
    """The same as one writes it: Black-76 of broadcast arrays, everything in every cell."""
    forward, strike = options.forward[:, None] * factor, options.strike[:, None]
    sign = np.where(options.is_call, 1.0, -1.0)[:, None]
    deviation = vol[level].T * np.sqrt(options.years)[:, None]
    d1 = np.log(forward / strike) / deviation + 0.5 * deviation
    price = sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - deviation)))
    return price / forward


def grid_section(pool: Executor) -> Section:
    """A tick: 800 options in 41 scenarios."""
    made = made_grid(made_options(OPTIONS))
    out, again = empty_rows(OPTIONS, CELLS), empty_rows(OPTIONS, CELLS)
    expected = hoisted_grid(*made)
    runs: dict[str, Run] = {
        OURS: lambda: grid_values(*made, out)[:, :CELLS],
        PLAIN: lambda: plain_grid(*made),
        "NumPy and SciPy, logarithms hoisted by hand": lambda: hoisted_grid(*made),
        "NumPy twin": lambda: twins.grid_values(*made, empty_rows(OPTIONS, CELLS))[:, :CELLS],
        **c_grid(made),
    }
    errors = {name: difference(way(), expected) for name, way in runs.items()}
    assert max(errors.values()) < 2e-13, errors
    assert grid_values(*made, again, pool).tobytes() == out.tobytes()
    seconds = interleaved({**runs, "limit": limits.runs()["multiply-adds"]}, repeats=31)
    rate = limits.FMA_ROUNDS * limits.CHAINS * limits.WIDTH / seconds.pop("limit")
    count = OPTIONS * CELLS
    title = f"Scenario grid: {OPTIONS} options × {CELLS} cells, coin premium"
    facts = {"multiply-adds per second [1e9]": rate / 1e9}
    gates = grid_gates(seconds, count, rate)
    return Section(title, "price", rows(seconds, count, errors=errors), gates, facts)


def grid_gates(seconds: dict[str, float], count: int, rate: float) -> list[Gate]:
    """Beside SciPy, the rate of multiply-adds, and C."""
    ours = seconds[OURS]
    limit = f"grid: of the multiply-add limit ({MULTIPLY_ADDS} a price)"
    gates = [
        Gate("G1", "grid: margrave over NumPy and SciPy, 1 thread", seconds[PLAIN] / ours, 10.0),
        Gate("G1", limit, count / ours / (rate / MULTIPLY_ADDS), 0.65),
    ]
    if IN_C in seconds:
        gates.append(Gate("G1", "grid: margrave over C", seconds[IN_C] / ours, 0.9))
    return gates


def c_grid(made: Grid) -> dict[str, Run]:
    """The C reference, which leaves the grid cell by cell; nothing without a compiler."""
    options, factor, level, vol = made
    levels = len(vol)
    premium, room = np.empty((CELLS, OPTIONS)), np.empty((3 + 2 * levels) * OPTIONS)
    columns = options.forward, options.strike, options.years, options.is_call, vol, factor, level
    compiled = in_c.bound("grid", OPTIONS, CELLS, levels, *columns, room, premium)

    def way() -> np.ndarray:
        compiled()
        return premium.T

    return {} if compiled is None else {IN_C: way}


# --- options from raw inputs ---


@dataclass(frozen=True, slots=True)
class Way:
    """A way to value options: rows of price, delta, gamma, vega, theta that it gives, of the first `count` options."""

    run: Callable[[], object]
    count: int
    given: tuple[int, ...] = (0, 1, 2, 3, 4)
    note: str = ""


def scipy_options(columns: Options) -> np.ndarray:
    """Price and four Greeks with NumPy and SciPy."""
    forward, strike, vol, years, is_call = columns
    sign, root = np.where(is_call, 1.0, -1.0), np.sqrt(years)
    deviation = vol * root
    d1 = np.log(forward / strike) / deviation + 0.5 * deviation
    upper = ndtr(sign * d1)
    density = np.exp(-0.5 * d1 * d1) / ROOT_TWO_PI
    price = sign * (forward * upper - strike * ndtr(sign * (d1 - deviation)))
    vega = forward * density * root
    return np.stack((price, sign * upper, density / (forward * deviation), vega, -0.5 * vega * vol / years))


def python_options(columns: tuple[list[float], ...]) -> np.ndarray:
    """The same, an option at a time."""
    out = []
    for forward, strike, vol, years, is_call in zip(*columns, strict=True):
        sign, root = (1.0 if is_call else -1.0), math.sqrt(years)
        deviation = vol * root
        d1 = math.log(forward / strike) / deviation + 0.5 * deviation
        upper = 0.5 * math.erfc(-sign * d1 / math.sqrt(2.0))
        lower = 0.5 * math.erfc(-sign * (d1 - deviation) / math.sqrt(2.0))
        density = math.exp(-0.5 * d1 * d1) / ROOT_TWO_PI
        vega = forward * density * root
        price = sign * (forward * upper - strike * lower)
        out.append((price, sign * upper, density / (forward * deviation), vega, -0.5 * vega * vol / years))
    return np.array(out).T


def quantlib_way(few: tuple[list[float], ...]) -> Way | None:
    """`BlackCalculator`, an option at a time."""
    ql = peer("QuantLib")
    if ql is None:
        return None

    def way() -> np.ndarray:
        out = []
        for forward, strike, vol, years, is_call in zip(*few, strict=True):
            payoff = ql.PlainVanillaPayoff(ql.Option.Call if is_call else ql.Option.Put, strike)
            one = ql.BlackCalculator(payoff, forward, vol * math.sqrt(years), 1.0)
            vega = one.vega(years)
            out.append((one.value(), one.deltaForward(), one.gammaForward(), vega, -0.5 * vega * vol / years))
        return np.array(out).T

    return Way(way, FEW, note=f"{FEW} options, theta from vega")


def vollib_way(few: tuple[list[float], ...]) -> Way | None:
    """Price and analytical Greeks, an option at a time; its vega is per per cent and its theta per day."""
    black, greeks = peer("vollib.black"), peer("vollib.black.greeks.analytical")
    if black is None or greeks is None:
        return None
    scale = np.array([1.0, 1.0, 1.0, 100.0, 365.0])[:, None]

    def way() -> np.ndarray:
        out = []
        for forward, strike, vol, years, is_call in zip(*few, strict=True):
            asked = "c" if is_call else "p", forward, strike, years, 0.0, vol
            found = (greeks.delta, greeks.gamma, greeks.vega, greeks.theta)
            out.append((black.black(*asked), *(greek(*asked) for greek in found)))
        return np.array(out).T * scale

    return Way(way, FEWEST, note=f"{FEWEST} options")


def rust_way(columns: Options) -> Way | None:
    """iv-engine, a Rust package: arrays of calls and of puts."""
    engine = peer("iv_engine")
    if engine is None:
        return None
    is_call = columns[4]
    sides = [
        (np.flatnonzero(is_call == side), side, [c[is_call == side] for c in columns[:4]])
        for side in (True, False)
    ]
    out = np.empty((4, RAW))

    def way() -> np.ndarray:
        for at, side, (forward, strike, vol, years) in sides:
            asked = forward, strike, years, vol
            out[0, at] = engine.black_prices(*asked, is_call=side, parallel=False)
            out[1, at] = engine.deltas(*asked, is_call=side, parallel=False)
            out[2, at] = engine.gammas(*asked, parallel=False)
            out[3, at] = engine.vegas(*asked, parallel=False)
        return out

    return Way(way, RAW, (0, 1, 2, 3), "no theta")


def numexpr_way(columns: Options) -> Way | None:
    """Our rational written out for numexpr, which has no error function, on one thread."""
    ne = peer("numexpr")
    if ne is None:
        return None
    forward, strike, vol, years, is_call = columns
    sign = np.where(is_call, 1.0, -1.0)
    above, below = (
        "+a*(".join(f"{c!r}" for c in numbers) + ")" * (len(numbers) - 1)
        for numbers in (TAIL_NUMERATOR, TAIL_DENOMINATOR)
    )
    tail = f"exp(-0.5*a*a)*({above})/({below})"
    names = {"f": forward, "k": strike, "v": vol, "y": years, "s": sign}

    def normal(x: np.ndarray) -> np.ndarray:
        return ne.evaluate("where(x<0,t,1-t)", {"x": x, "t": ne.evaluate(tail, {"a": np.abs(x)})})

    def way() -> np.ndarray:
        d1 = ne.evaluate("log(f/k)/(v*sqrt(y))+0.5*v*sqrt(y)", names)
        upper = normal(sign * d1)
        lower = normal(ne.evaluate("s*(d-v*sqrt(y))", {**names, "d": d1}))
        return ne.evaluate("s*(f*u-k*l)", {**names, "u": upper, "l": lower})[None]

    ne.set_num_threads(1)
    return Way(way, RAW, (0,), "price alone")


def c_way(columns: Options) -> Way | None:
    """C with erfc, log and exp of its library."""
    out = np.empty((5, RAW))
    compiled = in_c.bound("options", RAW, *columns, out)

    def way() -> np.ndarray:
        compiled()
        return out

    return None if compiled is None else Way(way, RAW)


def options_section(pool: Executor) -> Section:
    """28,000 options from raw inputs."""
    columns = made_options(RAW)
    few, fewest = (tuple(c[:count].tolist() for c in columns) for count in (FEW, FEWEST))
    asked: dict[str, Way | None] = {
        OURS: Way(lambda: option_values(*columns), RAW),
        PLAIN: Way(lambda: scipy_options(columns), RAW),
        "NumPy twin": Way(lambda: twins.option_values(*columns), RAW),
        "iv-engine (Rust)": rust_way(columns),
        "numexpr": numexpr_way(columns),
        "QuantLib": quantlib_way(few),
        "vollib": vollib_way(fewest),
        "pure Python": Way(lambda: python_options(few), FEW, note=f"{FEW} options"),
        LIBRARY_C: c_way(columns),
    }
    ways = {name: way for name, way in asked.items() if way is not None}
    expected = scipy_options(columns)
    scale = np.abs(expected).max(axis=1)[:, None]
    errors = {
        name: difference(way.run(), expected[list(way.given), : way.count], scale[list(way.given)])
        for name, way in ways.items()
    }
    assert max(errors.values()) < 1e-11, errors
    assert option_values(*columns, pool).tobytes() == option_values(*columns).tobytes()
    seconds = interleaved({name: way.run for name, way in ways.items()}, repeats=21)
    found = rows(
        seconds,
        {name: way.count for name, way in ways.items()},
        {name: way.note for name, way in ways.items()},
        errors,
    )
    each = {row.name: row.each for row in found}
    ratio = each[PLAIN] / each[OURS]
    gates = [Gate("G2", "price and Greeks: margrave over NumPy and SciPy, 1 thread", ratio, 7.0)]
    title = f"Price, delta, gamma, vega, theta of {RAW:,} options"
    return Section(title, "option", [*found, *missing(n for n, w in asked.items() if w is None)], gates)

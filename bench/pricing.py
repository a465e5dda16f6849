"""Options: a tick's grid of scenarios, and price with four Greeks from raw inputs."""

import math
from concurrent.futures import Executor

import numpy as np
from scipy.special import ndtr

from bench import in_c, limits
from bench.measure import Gate, Section, Setting, interleaved, rows
from margrave.kernels.compiled import twins
from margrave.kernels.compiled.black import grid_values, option_values
from margrave.kernels.compiled.columns import GridOptions
from margrave.kernels.compiled.rows import empty_rows

OPTIONS, CELLS = 800, 41
RAW = 28_000
ROOT_TWO_PI = math.sqrt(2.0 * math.pi)
MULTIPLY_ADDS = 72
"""Instructions of the multiply-add units that a price of the grid takes, at eight prices an instruction."""

Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def made_options(count: int) -> Columns:
    """Forward, strike, vol, years, is_call: a day to 18 months, up to some four deviations out."""
    dice = np.random.default_rng(1)
    forward, vol = dice.uniform(5e4, 7e4, count), dice.uniform(0.4, 1.2, count)
    years = dice.uniform(1.0 / 365.0, 1.5, count)
    strike = forward * np.exp(dice.normal(0.0, 1.3, count) * vol * np.sqrt(years))
    return forward, strike, vol, years, dice.random(count) < 0.5


def made_grid(columns: Columns) -> tuple[GridOptions, np.ndarray, np.ndarray, np.ndarray]:
    """41 cells: moves of up to 16 % with vol down, same and up, and two tails."""
    forward, strike, vol, years, is_call = columns
    none = np.zeros(len(forward))
    options = GridOptions(
        forward=forward, strike=strike, years=years, is_call=is_call,
        in_coin=none == 0.0, size=none + 1.0, mark=none,
    )  # fmt: skip
    moves = np.repeat(1.0 + np.linspace(-0.16, 0.16, 13), 3)
    factor = np.concatenate((moves, [0.5, 1.5]))
    level = np.concatenate((np.tile([0, 1, 2], 13), [2, 2]))
    return options, factor, level, np.array([0.75 * vol, vol, 1.5 * vol])


def scipy_grid(options: GridOptions, factor: np.ndarray, level: np.ndarray, vol: np.ndarray) -> np.ndarray:
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


def scipy_options(columns: Columns) -> np.ndarray:
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


def python_options(columns: tuple[list[float], ...]) -> list[tuple[float, ...]]:
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
    return out


def run(setting: Setting) -> list[Section]:
    """Both benchmarks."""
    return [grid_section(setting.pool), options_section(setting.pool)]


def grid_section(pool: Executor) -> Section:
    """A tick: 800 options in 41 scenarios."""
    made = made_grid(made_options(OPTIONS))
    out, again = empty_rows(OPTIONS, CELLS), empty_rows(OPTIONS, CELLS)
    expected = scipy_grid(*made)
    runs = {
        "margrave, 1 thread": lambda: grid_values(*made, out),
        "NumPy and SciPy": lambda: plain_grid(*made),
        "NumPy and SciPy, logarithms hoisted by hand": lambda: scipy_grid(*made),
        "NumPy twin": lambda: twins.grid_values(*made, empty_rows(OPTIONS, CELLS)),
    }
    np.testing.assert_allclose(runs["margrave, 1 thread"]()[:, :CELLS], expected, rtol=0.0, atol=3e-15 * 50)
    np.testing.assert_allclose(plain_grid(*made), expected, rtol=0.0, atol=1.5e-13)
    assert grid_values(*made, again, pool).tobytes() == out.tobytes()
    if (in_gcc := c_grid(made, expected)) is not None:
        runs["C, same formula, gcc -O3 native"] = in_gcc
    near = limits.runs()
    seconds = interleaved({**runs, "limit": near["multiply-adds"]}, repeats=31)
    rate = limits.FMA_ROUNDS * limits.CHAINS * limits.WIDTH / seconds.pop("limit")
    count = OPTIONS * CELLS
    ours, theirs = seconds["margrave, 1 thread"], seconds["NumPy and SciPy"]
    gates = [
        Gate("G1", "grid: margrave over NumPy and SciPy, 1 thread", theirs / ours, 10.0),
        Gate(
            "G1",
            f"grid: of the multiply-add limit ({MULTIPLY_ADDS} a price)",
            count / ours / (rate / MULTIPLY_ADDS),
            0.65,
        ),
    ]
    if in_gcc is not None:
        gates.append(
            Gate("G1", "grid: margrave over C", seconds["C, same formula, gcc -O3 native"] / ours, 0.9)
        )
    facts = {"multiply-adds per second [1e9]": rate / 1e9}
    return Section(
        f"Scenario grid: {OPTIONS} options × {CELLS} cells, coin premium",
        "price",
        rows(seconds, count),
        gates,
        facts,
    )


def c_grid(made: tuple[GridOptions, np.ndarray, np.ndarray, np.ndarray], expected: np.ndarray):
    """The C reference on the grid, which leaves it cell by cell; None without a compiler."""
    options, factor, level, vol = made
    levels = len(vol)
    premium, room = np.empty((CELLS, OPTIONS)), np.empty((3 + 2 * levels) * OPTIONS)
    columns = options.forward, options.strike, options.years, options.is_call, vol, factor, level
    run = in_c.bound("grid", OPTIONS, CELLS, levels, *columns, room, premium)
    if run is None:
        return None
    run()
    np.testing.assert_allclose(premium.T, expected, rtol=0.0, atol=1.5e-13)
    return run


def options_section(pool: Executor) -> Section:
    """28,000 options from raw inputs."""
    columns = made_options(RAW)
    few = tuple(column[:500].tolist() for column in columns)
    scale = np.maximum(np.abs(expected := scipy_options(columns)).max(axis=1), 1e-300)[:, None]
    runs = {
        "margrave, 1 thread": lambda: option_values(*columns),
        "NumPy and SciPy": lambda: scipy_options(columns),
        "NumPy twin": lambda: twins.option_values(*columns),
        "pure Python, 500 options": lambda: python_options(few),
    }
    out = runs["margrave, 1 thread"]()
    np.testing.assert_allclose(out / scale, expected / scale, rtol=0.0, atol=1e-13)
    np.testing.assert_allclose(np.array(python_options(few)).T / scale, expected[:, :500] / scale, atol=1e-13)
    assert option_values(*columns, pool).tobytes() == out.tobytes()
    of_c = np.empty((5, RAW))
    in_gcc = in_c.bound("options", RAW, *columns, of_c)
    if in_gcc is not None:
        in_gcc()
        np.testing.assert_allclose(of_c / scale, expected / scale, rtol=0.0, atol=1e-13)
        runs["C with its mathematics library, gcc -O3 native"] = in_gcc
    seconds = interleaved(runs)
    ours = seconds["margrave, 1 thread"]
    gates = [
        Gate(
            "G2",
            "price and Greeks: margrave over NumPy and SciPy, 1 thread",
            seconds["NumPy and SciPy"] / ours,
            7.0,
        ),
    ]
    counts = {name: 500 if "500" in name else RAW for name in seconds}
    return Section(
        f"Price, delta, gamma, vega, theta of {RAW:,} options", "option", rows(seconds, counts), gates
    )

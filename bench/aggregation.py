"""Worst of 35 scenarios of every account: gather, multiply, add, keep the least."""

import numpy as np
from scipy import sparse

from bench import in_c, limits
from bench.measure import Gate, Section, Setting, interleaved, quicker, rows
from margrave.kernels.compiled.columns import Holdings, holdings_of
from margrave.kernels.compiled.rows import padded_rows
from margrave.kernels.compiled.worst import account_rows_plain, worst_cells, worst_in_units

ACCOUNTS, INSTRUMENTS, CELLS = 100_000, 832, 35
PYTHON_ACCOUNTS = 200
ROW_BYTES, POSITION_BYTES = 320, 6


def made_book() -> tuple[np.ndarray, Holdings, Holdings]:
    """Table, and holdings of 6 and of 12 bytes: 20 positions on average, 30 % of them in 32 perpetuals and futures."""
    dice = np.random.default_rng(2)
    count = dice.poisson(20, ACCOUNTS)
    start = np.concatenate(([0], np.cumsum(count)))
    places = start[-1]
    options = 32 + (800 * dice.random(places) ** 2).astype(np.int64)
    index = np.where(dice.random(places) < 0.3, dice.integers(0, 32, places), options)
    quantity = dice.integers(-1_000, 1_001, places)
    table = padded_rows(dice.normal(0.0, 1.0, (INSTRUMENTS, CELLS)))
    return (
        table,
        holdings_of(start, index.astype(np.uint16), quantity.astype(np.int32)),
        holdings_of(start, index.astype(np.int32), quantity.astype(np.float64)),
    )


def numpy_worst(table: np.ndarray, held: Holdings) -> np.ndarray:
    """Gather and `add.reduceat`; every account of the book has a position or its row is put to zero."""
    sums = np.add.reduceat(table[held.index, :CELLS] * held.quantity[:, None], held.start[:-1], axis=0)
    sums[np.diff(held.start) == 0] = 0.0
    return sums.min(axis=1)


def python_worst(
    table: list[list[float]], start: list[int], index: list[int], quantity: list[float]
) -> list[float]:
    """Loops over lists, for the first accounts."""
    out = []
    for account in range(PYTHON_ACCOUNTS):
        sums = [0.0] * CELLS
        for p in range(start[account], start[account + 1]):
            row, q = table[index[p]], quantity[p]
            for c in range(CELLS):
                sums[c] += q * row[c]
        out.append(min(sums))
    return out


def run(setting: Setting) -> list[Section]:
    """The benchmark."""
    pool = setting.pool
    table, small, large = made_book()
    lists = table.tolist(), *(column.tolist() for column in (large.start, large.index, large.quantity))
    matrix = sparse.csr_matrix((large.quantity, large.index, large.start), shape=(ACCOUNTS, INSTRUMENTS))
    dense = np.ascontiguousarray(table[:, :CELLS])
    plain = np.empty(ACCOUNTS), np.empty(ACCOUNTS, dtype=np.int32)
    halves = np.arange(0, ACCOUNTS + 1, 2)
    runs = {
        "margrave, 6 bytes a position, 1 thread": lambda: worst_cells(table, small),
        "margrave, 12 bytes a position, 1 thread": lambda: worst_cells(table, large),
        "margrave, units and accounts in one pass": lambda: worst_in_units(table, small, halves),
        "margrave, obvious loops": lambda: account_rows_plain(
            table, (small.start, small.index, small.quantity), (0, ACCOUNTS), plain
        ),
        "scipy.sparse, then min": lambda: (matrix @ dense).min(axis=1),
        "NumPy add.reduceat": lambda: numpy_worst(table, large),
        f"pure Python, {PYTHON_ACCOUNTS} accounts": lambda: python_worst(*lists),
    }
    check(runs, table, small, plain)
    if (of_c := c_worst(table, large, worst_cells(table, small))) is not None:
        runs["C, 12 bytes a position, gcc -O3 native"] = of_c
    seconds = interleaved({**runs, **limits.runs()}, repeats=15)
    rates = limits.rates({name: seconds.pop(name) for name in limits.runs()})
    again = worst_cells(table, small, pool)
    assert again[0].tobytes() == plain[0].tobytes()
    both = quicker(lambda: worst_cells(table, small), lambda: worst_cells(table, small, pool))
    threads = Gate("G13", "worst of 35: 2 threads over 1, on the wall's clock", both, 1.6)
    return [section(seconds, rates, len(small.index), threads)]


def check(runs, table: np.ndarray, held: Holdings, plain: tuple[np.ndarray, np.ndarray]) -> None:
    """All ways say the same, ours to the byte."""
    worst, cell = worst_cells(table, held)
    for name in list(runs)[:2]:
        again = runs[name]()
        assert (again[0].tobytes(), again[1].tobytes()) == (worst.tobytes(), cell.tobytes())
    runs["margrave, obvious loops"]()
    assert plain[0].tobytes() == worst.tobytes()
    for name in ("scipy.sparse, then min", "NumPy add.reduceat"):
        np.testing.assert_allclose(runs[name](), worst, rtol=1e-12, atol=1e-8)
    python = runs[f"pure Python, {PYTHON_ACCOUNTS} accounts"]()
    np.testing.assert_allclose(python, worst[:PYTHON_ACCOUNTS], rtol=1e-12, atol=1e-8)


def c_worst(table: np.ndarray, held: Holdings, expected: tuple[np.ndarray, np.ndarray]):
    """The C reference; None without a compiler."""
    worst, cell = np.empty(ACCOUNTS), np.empty(ACCOUNTS, dtype=np.int64)
    run = in_c.bound("worst", ACCOUNTS, held.start, held.index, held.quantity, table, worst, cell)
    if run is None:
        return None
    run()
    np.testing.assert_allclose(worst, expected[0], rtol=1e-12, atol=1e-8)
    assert np.array_equal(cell, expected[1])
    return run


def section(seconds: dict[str, float], rates: dict[str, float], positions: int, threads: Gate) -> Section:
    """Rows and gates."""
    ours, wide = (
        seconds["margrave, 6 bytes a position, 1 thread"],
        seconds["margrave, 12 bytes a position, 1 thread"],
    )
    cache = positions * ROW_BYTES / rates["second-level cache"]
    gates = [
        Gate(
            "G3",
            "worst of 35: share of the second-level cache's rate, 320 bytes a position",
            cache / ours,
            0.8,
        ),
        Gate("G3", "worst of 35: margrave over scipy.sparse", seconds["scipy.sparse, then min"] / ours, 3.0),
        threads,
    ]
    of_c = seconds.get("C, 12 bytes a position, gcc -O3 native")
    if of_c is not None:
        gates += [
            Gate("G3", "worst of 35: margrave over C, both 12 bytes a position", of_c / wide, 0.9),
            Gate("G3", "worst of 35: margrave, 6 bytes, over C, 12 bytes", of_c / ours, 1.2),
        ]
    facts = {
        "second-level cache, read [1e9 bytes/s]": rates["second-level cache"] / 1e9,
        "memory, read [1e9 bytes/s]": rates["memory"] / 1e9,
        "multiply-adds per second [1e9]": rates["multiply-adds"] / 1e9,
        "positions": positions,
        "share of the memory's rate": positions * POSITION_BYTES / ours / rates["memory"],
    }
    counts = {name: PYTHON_ACCOUNTS if "pure" in name else ACCOUNTS for name in seconds}
    counts["margrave, units and accounts in one pass"] = ACCOUNTS // 2
    notes = {"margrave, units and accounts in one pass": "two units of 20 positions an account"}
    title = f"Worst of {CELLS} scenarios, {ACCOUNTS:,} accounts of 20 positions, {INSTRUMENTS} instruments"
    return Section(title, "account", rows(seconds, counts, notes), gates, facts)

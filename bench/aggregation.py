"""Worst of 35 scenarios of every account: gather, multiply, add, keep the least."""

import time

import numpy as np
from scipy import sparse

from bench import in_c, limits
from bench.measure import Gate, Run, Section, Setting, difference, interleaved, missing, peer, quicker, rows
from margrave.adapters.made_columns import made_holdings
from margrave.kernels.compiled.columns import Holdings
from margrave.kernels.compiled.worst import account_rows_plain, worst_cells, worst_in_units

ACCOUNTS, INSTRUMENTS, CELLS = 100_000, 832, 35
PYTHON_ACCOUNTS, TABLE_ACCOUNTS = 200, 20_000
ROW_BYTES, POSITION_BYTES = 320, 6
OURS, WIDE = "margrave, 6 bytes a position, 1 thread", "margrave, 12 bytes a position, 1 thread"
UNITS = "margrave, units and accounts in one pass"
SPARSE, PYTHON = "scipy.sparse, then min", f"pure Python, {PYTHON_ACCOUNTS} accounts"
IN_C = "C, 12 bytes a position, gcc -O3 native"
ASKED, THREADS = "worst of 35", "2 threads over 1, on the wall's clock"


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
    """Beside arrays on one thread, and beside tables that use all of the machine."""
    return [arrays_section(setting), tables_section()]


def arrays_section(setting: Setting) -> Section:
    """One thread, the time that it has the processor."""
    pool = setting.pool
    table, small, large = made_holdings(ACCOUNTS)
    lists = table.tolist(), *(column.tolist() for column in (large.start, large.index, large.quantity))
    matrix = sparse.csr_matrix((large.quantity, large.index, large.start), shape=(ACCOUNTS, INSTRUMENTS))
    dense = np.ascontiguousarray(table[:, :CELLS])
    plain = np.empty(ACCOUNTS), np.empty(ACCOUNTS, dtype=np.int32)
    halves = np.arange(0, ACCOUNTS + 1, 2)
    runs: dict[str, Run] = {
        OURS: lambda: worst_cells(table, small)[0],
        WIDE: lambda: worst_cells(table, large)[0],
        UNITS: lambda: worst_in_units(table, small, halves)[0],
        "margrave, obvious loops": lambda: obvious(table, small, plain),
        SPARSE: lambda: (matrix @ dense).min(axis=1),
        "NumPy add.reduceat": lambda: numpy_worst(table, large),
        PYTHON: lambda: python_worst(*lists),
        **c_worst(table, large),
    }
    expected = runs[OURS]()
    errors = {
        name: difference(way(), expected[: counts(name)], largest(expected)) for name, way in runs.items()
    }
    assert errors[WIDE] == errors[UNITS] == errors["margrave, obvious loops"] == 0.0
    assert max(errors.values()) < 1e-12, errors
    assert worst_cells(table, small, pool)[0].tobytes() == expected.tobytes()
    seconds = interleaved({**runs, **limits.runs()}, repeats=15)
    rates = limits.rates({name: seconds.pop(name) for name in limits.runs()})
    both = quicker(lambda: worst_cells(table, small), lambda: worst_cells(table, small, pool))
    gates = [*array_gates(seconds, rates, len(small.index)), Gate("G13", f"{ASKED}: {THREADS}", both, 1.6)]
    facts = {
        "second-level cache, read [1e9 bytes/s]": rates["second-level cache"] / 1e9,
        "memory, read [1e9 bytes/s]": rates["memory"] / 1e9,
        "multiply-adds per second [1e9]": rates["multiply-adds"] / 1e9,
        "share of the memory's rate": len(small.index) * POSITION_BYTES / seconds[OURS] / rates["memory"],
    }
    works = {name: counts(name) // 2 if name == UNITS else counts(name) for name in seconds}
    notes = {UNITS: "two units of 20 positions an account"}
    title = f"Worst of {CELLS} scenarios, {ACCOUNTS:,} accounts of 20 positions, {INSTRUMENTS} instruments"
    return Section(title, "account", rows(seconds, works, notes, errors), gates, facts)


def array_gates(seconds: dict[str, float], rates: dict[str, float], positions: int) -> list[Gate]:
    """Beside the second-level cache, scipy.sparse and C."""
    ours = seconds[OURS]
    share = positions * ROW_BYTES / rates["second-level cache"] / ours
    gates = [
        Gate(
            "G3", f"{ASKED}: share of the second-level cache's rate, {ROW_BYTES} bytes a position", share, 0.8
        ),
        Gate("G3", f"{ASKED}: margrave over scipy.sparse", seconds[SPARSE] / ours, 3.0),
    ]
    if IN_C in seconds:
        gates += [
            Gate(
                "G3",
                f"{ASKED}: margrave over C, both 12 bytes a position",
                seconds[IN_C] / seconds[WIDE],
                0.9,
            ),
            Gate("G3", f"{ASKED}: margrave, 6 bytes, over C, 12 bytes", seconds[IN_C] / ours, 1.2),
        ]
    return gates


def counts(name: str) -> int:
    """Accounts that a way answers for."""
    return PYTHON_ACCOUNTS if name == PYTHON else ACCOUNTS


def largest(worst: np.ndarray) -> float:
    """Scale of the differences."""
    return float(np.abs(worst).max())


def obvious(table: np.ndarray, held: Holdings, out: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Loops as one writes them, compiled."""
    account_rows_plain(table, (held.start, held.index, held.quantity), (0, ACCOUNTS), out)
    return out[0]


def c_worst(table: np.ndarray, held: Holdings) -> dict[str, Run]:
    """The C reference; nothing without a compiler."""
    worst, cell = np.empty(ACCOUNTS), np.empty(ACCOUNTS, dtype=np.int64)
    compiled = in_c.bound("worst", ACCOUNTS, held.start, held.index, held.quantity, table, worst, cell)

    def way() -> np.ndarray:
        compiled()
        return worst

    return {} if compiled is None else {IN_C: way}


def tables_section() -> Section:
    """Tables joined and grouped, on as many threads as a library takes: the clock on the wall."""
    table, small, large = made_holdings(TABLE_ACCOUNTS)
    account = np.repeat(np.arange(TABLE_ACCOUNTS), np.diff(large.start))
    columns = {f"c{k}": np.ascontiguousarray(table[:, k]) for k in range(CELLS)}
    held = {"account": account, "instrument": large.index.astype(np.int64), "quantity": large.quantity}
    asked = {"polars": polars_way(held, columns), "DuckDB": duckdb_way(held, columns)}
    runs: dict[str, Run] = {OURS: lambda: worst_cells(table, small)[0]}
    runs |= {name: way for name, way in asked.items() if way is not None}
    expected = runs[OURS]()[np.unique(account)]
    scale = largest(expected)
    errors = {name: difference(way(), expected, scale) for name, way in runs.items() if name != OURS}
    assert max(errors.values(), default=0.0) < 1e-12, errors
    found = rows(interleaved(runs, 5, clock=time.perf_counter), TABLE_ACCOUNTS, errors=errors)
    title = f"The same in tables, {TABLE_ACCOUNTS:,} accounts, on the wall's clock"
    return Section(title, "account", [*found, *missing(name for name, way in asked.items() if way is None)])


def polars_way(held: dict[str, np.ndarray], columns: dict[str, np.ndarray]) -> Run | None:
    """Join, multiply, group, least."""
    pl = peer("polars")
    if pl is None:
        return None
    positions = pl.DataFrame(held)
    grid = pl.DataFrame({"instrument": np.arange(INSTRUMENTS), **columns})
    sums = [(pl.col(name) * pl.col("quantity")).sum() for name in columns]

    def way() -> np.ndarray:
        joined = positions.lazy().join(grid.lazy(), on="instrument").group_by("account").agg(sums)
        return joined.sort("account").select(pl.min_horizontal(*columns)).collect().to_series().to_numpy()

    return way


def duckdb_way(held: dict[str, np.ndarray], columns: dict[str, np.ndarray]) -> Run | None:
    """One query."""
    duckdb, pa = peer("duckdb"), peer("pyarrow")
    if duckdb is None or pa is None:
        return None
    base = duckdb.connect()
    base.register("held_view", pa.table(held))
    base.register("grid_view", pa.table({"instrument": np.arange(INSTRUMENTS), **columns}))
    base.execute("create table held as select * from held_view; create table grid as select * from grid_view")
    sums = ", ".join(f"sum(quantity * {name})" for name in columns)
    query = f"select least({sums}) as worst from held join grid using (instrument) group by account order by account"
    return lambda: base.execute(query).fetchnumpy()["worst"]

"""What this machine can do, measured beside the kernels: fused multiply-adds and bytes read, on one thread.

Both loops are emitted as vector instructions, so that no compiler's mood stands between them and the machine.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

WIDTH = 8
CHAINS = 16  # independent accumulators: more than latency × units of any machine of today
_DOUBLE, _LONG = ir.DoubleType(), ir.IntType(64)
_VECTOR = ir.VectorType(_DOUBLE, WIDTH)


def _fused(builder: Any) -> Any:
    return cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), "llvm.fma.v8f64"
    )


def _constant(value: float) -> ir.Constant:
    return ir.Constant(_VECTOR, [value] * WIDTH)


def _total(builder: Any, slots: list[Any]) -> Any:
    total = builder.load(slots[0])
    for slot in slots[1:]:
        total = builder.fadd(total, builder.load(slot))
    lanes = [builder.extract_element(total, ir.IntType(32)(k)) for k in range(WIDTH)]
    result = lanes[0]
    for lane in lanes[1:]:
        result = builder.fadd(result, lane)
    return result


@intrinsic
def _multiply_add(typing: Any, rounds: Any) -> Any:
    """`CHAINS` vector multiply-adds a round."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        slots = [cgutils.alloca_once_value(builder, _constant(1.0 + k)) for k in range(CHAINS)]
        with cgutils.for_range(builder, arguments[0]):
            for slot in slots:
                value = builder.call(_fused(builder), [builder.load(slot), _constant(0.999), _constant(1e-3)])
                builder.store(value, slot)
        return _total(builder, slots)

    return types.float64(types.intp), build


@intrinsic
def _read(typing: Any, data: Any, rounds: Any) -> Any:
    """Sum of an array, its length a multiple of `WIDTH` × `CHAINS` / 2, read in ``rounds`` passes."""
    step = WIDTH * CHAINS // 2

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        slots = [cgutils.alloca_once_value(builder, _constant(0.0)) for _ in range(CHAINS // 2)]
        with (
            cgutils.for_range(builder, arguments[1]),
            cgutils.for_range_slice(builder, _LONG(0), array.nitems, _LONG(step), _LONG) as (at, _),
        ):
            vectors = builder.bitcast(builder.gep(array.data, [at]), _VECTOR.as_pointer())
            for k, slot in enumerate(slots):
                value = builder.load(builder.gep(vectors, [ir.IntType(32)(k)]))
                value.align = 64
                builder.store(builder.fadd(builder.load(slot), value), slot)
        return _total(builder, slots)

    return types.float64(data, types.intp), build


@njit(nogil=True)
def multiply_adds(rounds: int) -> float:
    """`CHAINS` × `WIDTH` multiply-adds a round."""
    return _multiply_add(rounds)


@njit(nogil=True)
def read(data: np.ndarray, rounds: int) -> float:
    """All of an aligned array, ``rounds`` times."""
    return _read(data, rounds)


def aligned(kibibytes: int) -> np.ndarray:
    """Ones, aligned to a cache line."""
    room = np.ones(kibibytes * 128 + 8)
    skipped = -room.ctypes.data % 64 // 8
    return room[skipped : skipped + kibibytes * 128]


FMA_ROUNDS = 200_000
"""Rounds of `fma_run`."""

CACHED, PASSES = 256, 200
"""Size [KiB] of the set that is read from the second-level cache, and how often."""

MEMORY = 256 * 1024
"""Size [KiB] of what is read from memory: more than any cache holds."""


def runs() -> dict[str, Callable[[], object]]:
    """Measurements by name, each about a few milliseconds."""
    near, far = aligned(CACHED), aligned(MEMORY)
    return {
        "multiply-adds": lambda: multiply_adds(FMA_ROUNDS),
        "second-level cache": lambda: read(near, PASSES),
        "memory": lambda: read(far, 1),
    }


def rates(seconds: dict[str, float]) -> dict[str, float]:
    """Rates from the times of `runs`: multiply-adds per second, and bytes per second."""
    return {
        "multiply-adds": FMA_ROUNDS * CHAINS * WIDTH / seconds["multiply-adds"],
        "second-level cache": CACHED * 1024 * PASSES / seconds["second-level cache"],
        "memory": MEMORY * 1024 / seconds["memory"],
    }

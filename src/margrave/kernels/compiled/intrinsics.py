"""What Numba's Python cannot say, in the compiler's own terms.

Vectors of eight float64 become one register with AVX-512, two with AVX2, four with NEON; the arithmetic is the
same. `worst_lane` keeps a row of ``8 n`` lanes in registers, where a loop over an array in memory
would load and store it at every position. ``n`` is the length of a tuple, so that it is part of the type and each
``n`` is compiled by itself.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from margrave.kernels.arrays import F64

WIDTH = 8
"""Lanes of one vector; rows of scenarios are padded to a multiple of it."""

_DOUBLE, _LONG = ir.DoubleType(), ir.IntType(64)
_VECTOR = ir.VectorType(_DOUBLE, WIDTH)
_ALIGNMENT = 64  # bytes: a vector never straddles two cache lines
_SCALAR = 8  # bytes: the alignment of any array of float64
_WORST = types.Tuple((types.float64, types.int64))


def _fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """``a b + c`` with one rounding."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), build


def _bits_of(typing: Any, x: Any) -> Any:
    """The 64 bits of a float64, as an unsigned integer."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], _LONG)

    return types.uint64(types.float64), build


def _double_of(typing: Any, bits: Any) -> Any:
    """The float64 whose 64 bits are given."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], _DOUBLE)

    return types.float64(types.uint64), build


def _worst_lane(  # noqa: PLR0913 - what a loop needs
    typing: Any, lanes: Any, table: Any, index: Any, quantity: Any, first: Any, past: Any
) -> Any:
    """Least lane of the sum of ``quantity[p] table[index[p]]``, p from ``first`` to ``past - 1``, and its number.

    ``lanes`` is a tuple of n integers (only n counts); ``table`` (I, 8 n) contiguous, aligned to 64 bytes. Each
    lane is a chain of fused multiply-adds in the order of positions. The first of equals; (NaN, -1) where a lane
    is NaN, or lanes are infinite with both signs. Indices are not checked.
    """
    signature = _WORST(lanes, table, index, quantity, types.intp, types.intp)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums = _accumulated(context, builder, signature, arguments)
        return context.make_tuple(builder, signature.return_type, _least(builder, sums))

    return signature, build


def _worst_lane_adding(  # noqa: PLR0913 - what a loop needs
    typing: Any, lanes: Any, table: Any, index: Any, quantity: Any, first: Any, past: Any, total: Any
) -> Any:
    """`worst_lane`, which also adds the lanes to an array ``total`` (8 n,)."""
    signature = _WORST(lanes, table, index, quantity, types.intp, types.intp, total)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums = _accumulated(context, builder, signature, arguments)
        array = context.make_array(signature.args[6])(context, builder, arguments[6])
        vectors = builder.bitcast(array.data, _VECTOR.as_pointer())
        for step, value in enumerate(sums):
            place = builder.gep(vectors, [ir.IntType(32)(step)])
            builder.store(
                builder.fadd(_loaded(builder, vectors, step, _SCALAR), value), place
            ).align = _SCALAR
        return context.make_tuple(builder, signature.return_type, _least(builder, sums))

    return signature, build


def _least_lane(typing: Any, lanes: Any, row: Any) -> Any:
    """Least lane of an array (8 n,) and its number, as in `worst_lane`."""
    signature = _WORST(lanes, row)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[1])(context, builder, arguments[1])
        vectors = builder.bitcast(array.data, _VECTOR.as_pointer())
        loaded = [_loaded(builder, vectors, step, _SCALAR) for step in range(signature.args[0].count)]
        return context.make_tuple(builder, signature.return_type, _least(builder, loaded))

    return signature, build


def _count_below(typing: Any, table: Any, first: Any, steps: Any, x: Any) -> Any:
    """How many of the ``len(steps)`` × 8 numbers from ``table[first]`` on are below x; NaN is above none."""
    signature = types.int64(table, types.intp, steps, types.float64)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer = builder.bitcast(builder.gep(array.data, [arguments[1]]), _VECTOR.as_pointer())
        limit = _everywhere(builder, arguments[3])
        total = _LONG(0)
        for step in range(signature.args[2].count):
            below = builder.fcmp_ordered("<", _loaded(builder, pointer, step), limit)
            total = builder.add(total, builder.zext(builder.ctpop(_mask(builder, below)), _LONG))
        return total

    return signature, build


def _turn_square(  # noqa: PLR0913 - two places, each an array, a start and a stride
    typing: Any, source: Any, at: Any, stride: Any, target: Any, to: Any, target_stride: Any
) -> Any:
    """Copy a square of 8 × 8 numbers turned on its diagonal: ``target[to + k S + r] = source[at + r s + k]``.

    Both arrays are flat. Twenty-four shuffles, where a loop would gather number by number.
    """
    signature = types.void(source, types.intp, types.intp, target, types.intp, types.intp)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _source, at, stride, _target, to, target_stride = arguments
        inner = context.make_array(signature.args[0])(context, builder, _source)
        outer = context.make_array(signature.args[3])(context, builder, _target)

        def place(array: Any, start: Any, step: Any, number: int) -> Any:
            offset = builder.add(start, builder.mul(step, _LONG(number)))
            return builder.bitcast(builder.gep(array.data, [offset]), _VECTOR.as_pointer())

        rows = []
        for number in range(WIDTH):
            rows.append(builder.load(place(inner, at, stride, number)))
            rows[-1].align = _SCALAR
        distance = WIDTH // 2
        while distance:  # exchange the off-diagonal blocks of ever smaller squares
            low = [k if k & distance == 0 else k - distance + WIDTH for k in range(WIDTH)]
            high = [k + distance if k & distance == 0 else k + WIDTH for k in range(WIDTH)]
            turned = list(rows)
            for number in range(WIDTH):
                if number & distance == 0:
                    pair = rows[number], rows[number + distance]
                    turned[number] = builder.shuffle_vector(*pair, _lanes(low))
                    turned[number + distance] = builder.shuffle_vector(*pair, _lanes(high))
            rows = turned
            distance //= 2
        for number, row in enumerate(rows):
            builder.store(row, place(outer, to, target_stride, number)).align = _SCALAR
        return context.get_dummy_value()

    return signature, build


def _lanes(numbers: list[int]) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), numbers)


fma: Callable[[float, float, float], float] = intrinsic(_fma)
bits_of: Callable[[float], int] = intrinsic(_bits_of)
double_of: Callable[[int], float] = intrinsic(_double_of)
worst_lane: Callable[..., tuple[float, int]] = intrinsic(_worst_lane)
worst_lane_adding: Callable[..., tuple[float, int]] = intrinsic(_worst_lane_adding)
least_lane: Callable[..., tuple[float, int]] = intrinsic(_least_lane)
count_below: Callable[[F64, int, tuple[int, ...], float], int] = intrinsic(_count_below)

turn_square: Callable[[F64, int, int, F64, int, int], None] = intrinsic(_turn_square)


def _everywhere(builder: Any, value: Any) -> Any:
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.IntType(32)(0))
    return builder.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), _lanes([0] * WIDTH))


def _loaded(builder: Any, vectors: Any, step: int, alignment: int = _ALIGNMENT) -> Any:
    loaded = builder.load(builder.gep(vectors, [ir.IntType(32)(step)]))
    loaded.align = alignment
    return loaded


def _mask(builder: Any, comparison: Any) -> Any:
    return builder.bitcast(comparison, ir.IntType(WIDTH))


def _accumulated(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """Emit the loop over positions; the accumulators end in registers."""
    count = signature.args[0].count
    table, index, quantity = (
        context.make_array(kind)(context, builder, value)
        for kind, value in zip(signature.args[1:4], arguments[1:4], strict=True)
    )
    sums = [cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, [0.0] * WIDTH)) for _ in range(count)]
    fused = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), f"llvm.fma.v{WIDTH}f64"
    )
    for slot in sums:  # the value above is stored once, at the function's entry; here at each row
        builder.store(ir.Constant(_VECTOR, [0.0] * WIDTH), slot)
    with cgutils.for_range_slice(builder, arguments[4], arguments[5], _LONG(1), _LONG) as (position, _):
        number = builder.load(builder.gep(index.data, [position]))
        extend = builder.sext if signature.args[2].dtype.signed else builder.zext
        row = number if number.type == _LONG else extend(number, _LONG)
        weight = builder.load(builder.gep(quantity.data, [position]))
        if weight.type != _DOUBLE:
            weight = builder.sitofp(weight, _DOUBLE)
        weight = _everywhere(builder, weight)
        start = builder.gep(table.data, [builder.mul(row, _LONG(WIDTH * count))])
        vectors = builder.bitcast(start, _VECTOR.as_pointer())
        for step, slot in enumerate(sums):
            value = _loaded(builder, vectors, step)
            builder.store(builder.call(fused, [weight, value, builder.load(slot)]), slot)
    return [builder.load(slot) for slot in sums]


def _least(builder: Any, vectors: list[Any]) -> tuple[Any, Any]:
    """Least lane and its number by halves; the sum of all lanes betrays a NaN."""
    least, total = vectors[0], vectors[0]
    for vector in vectors[1:]:
        least = builder.select(builder.fcmp_ordered("<", vector, least), vector, least)
        total = builder.fadd(total, vector)
    width = WIDTH // 2
    while width:
        turned = _lanes([(k + width) % WIDTH for k in range(WIDTH)])
        other = builder.shuffle_vector(least, least, turned)
        least = builder.select(builder.fcmp_ordered("<", other, least), other, least)
        total = builder.fadd(total, builder.shuffle_vector(total, total, turned))
        width //= 2
    wide = ir.IntType(64 if len(vectors) <= WIDTH else 64 * -(-len(vectors) // WIDTH))  # a bit a lane
    found = wide(0)
    for step, vector in enumerate(vectors):
        equal = builder.zext(_mask(builder, builder.fcmp_ordered("==", vector, least)), wide)
        found = builder.or_(found, builder.shl(equal, wide(WIDTH * step)))
    zero = ir.IntType(32)(0)
    number = builder.cttz(found, ir.IntType(1)(0))
    number = number if wide == _LONG else builder.trunc(number, _LONG)
    sick = builder.fcmp_unordered("uno", total, total)
    is_nan = builder.extract_element(sick, zero)
    return (
        builder.select(is_nan, _DOUBLE(float("nan")), builder.extract_element(least, zero)),
        builder.select(is_nan, _LONG(-1), number),
    )

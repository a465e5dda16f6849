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


def _add_rows(  # noqa: PLR0913 - what a loop needs
    typing: Any, steps: Any, rows: Any, first: Any, past: Any, places: Any, delta: Any
) -> Any:
    """Lanes of positions from ``first`` to ``past - 1``, on top of what is there, and what is no plain sum.

    ``steps`` begins with two tuples, of n and m integers. ``rows`` is (table, index, quantity, dated), ``places`` (source, at,
    sums, to, net). Row ``to`` of ``sums`` (T, 8 n) becomes row ``at`` of ``source`` (R, 8 n) plus
    ``quantity[p] table[index[p]]``, each lane a chain of fused multiply-adds in the order of positions. Row ``to`` of
    ``net`` (T, 8 m) gets the lane ``delta`` of each position where ``dated`` (I, m), a bit a date, says. The
    last lane of a row counts for positive quantities alone. Nothing is checked.
    """
    signature = types.void(steps, rows, types.intp, types.intp, places, types.intp)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes, dates = (kind.count for kind in signature.args[0].types[:2])
        table, index, quantity, dated = (
            _member(context, builder, signature.args[1], arguments[1], k) for k in range(4)
        )
        source, sums, net = (_member(context, builder, signature.args[4], arguments[4], k) for k in (0, 2, 4))
        at, to = (builder.extract_value(arguments[4], k) for k in (1, 3))
        nets = _row(builder, net, to, dates)
        slots = _slots(builder, [_loaded(builder, nets, step, _SCALAR) for step in range(dates)])
        fused = _fused(builder, _VECTOR, f"v{WIDTH}f64")
        zero = ir.Constant(_VECTOR, [0.0] * WIDTH)

        def by_date(row: Any, weight: Any, start: Any) -> None:
            each = _everywhere(builder, builder.load(builder.gep(start, [arguments[5]])))
            bits = builder.gep(dated.data, [builder.mul(row, _LONG(dates))])
            for step, slot in enumerate(slots):
                mask = builder.load(builder.gep(bits, [_LONG(step)]))
                mask = builder.bitcast(mask, ir.VectorType(ir.IntType(1), WIDTH))
                builder.store(
                    builder.call(fused, [weight, builder.select(mask, each, zero), builder.load(slot)]), slot
                )

        begin = _row(builder, source, at, lanes)
        vectors = [_loaded(builder, begin, step, _SCALAR) for step in range(lanes)]
        columns = signature.args[1].types, table, index, quantity
        ends = _chained(builder, vectors, columns, arguments[2:4], (_of_longs, by_date))
        _put(builder, ends, _row(builder, sums, to, lanes))
        _put(builder, [builder.load(slot) for slot in slots], nets)
        return context.get_dummy_value()

    return signature, build


def _add_row(typing: Any, lanes: Any, rows: Any, at: Any, weight: Any, sums: Any, to: Any) -> Any:  # noqa: PLR0913
    """Row ``to`` of ``sums`` (T, 8 n) plus ``weight`` times row ``at`` of ``rows`` (R, 8 n)."""
    signature = types.void(lanes, rows, types.intp, types.float64, sums, types.intp)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        count = signature.args[0].count
        one, two = (
            _row(builder, context.make_array(signature.args[k])(context, builder, arguments[k]), place, count)
            for k, place in ((1, arguments[2]), (4, arguments[5]))
        )
        fused, every = _fused(builder, _VECTOR, f"v{WIDTH}f64"), _everywhere(builder, arguments[3])
        added = [
            builder.call(fused, [every, _loaded(builder, one, step), _loaded(builder, two, step, _SCALAR)])
            for step in range(count)
        ]
        _put(builder, added, two)
        return context.get_dummy_value()

    return signature, build


def _least_of(typing: Any, lanes: Any, rows: Any, at: Any, cells: Any) -> Any:
    """Least of the first ``cells`` numbers of row ``at`` of (T, 8 n); NaN as in `worst_lane`."""
    signature = types.float64(lanes, rows, types.intp, types.intp)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        count = signature.args[0].count
        array = context.make_array(signature.args[1])(context, builder, arguments[1])
        vectors = _row(builder, array, arguments[2], count)
        integers = ir.VectorType(_LONG, WIDTH)
        past = _everywhere(builder, arguments[3], integers)
        first = _everywhere(builder, builder.load(builder.bitcast(vectors, _DOUBLE.as_pointer())))
        values = []
        for step in range(count):  # what is no cell counts as another copy of the first
            numbers = ir.Constant(integers, list(range(WIDTH * step, WIDTH * (step + 1))))
            inside = builder.icmp_signed("<", numbers, past)
            values.append(builder.select(inside, _loaded(builder, vectors, step, _SCALAR), first))
        return _least(builder, values)[0]

    return signature, build


def _spent(typing: Any, steps: Any, net: Any, at: Any, share: Any, of: Any) -> Any:
    """Sum of ``|net[at, d]| share[of, d]`` over 8 × ``len(steps)`` dates; row ``at`` of ``net`` becomes zeros."""
    signature = types.float64(steps, net, types.intp, share, types.intp)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        count = signature.args[0].count
        amounts, shares = (
            _row(
                builder,
                context.make_array(signature.args[k])(context, builder, arguments[k]),
                arguments[k + 1],
                count,
            )
            for k in (1, 3)
        )
        size = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_VECTOR, [_VECTOR]), f"llvm.fabs.v{WIDTH}f64"
        )
        fused = _fused(builder, _VECTOR, f"v{WIDTH}f64")
        zero = ir.Constant(_VECTOR, [0.0] * WIDTH)
        total = zero
        for step in range(count):
            amount = builder.call(size, [_loaded(builder, amounts, step, _SCALAR)])
            total = builder.call(fused, [amount, _loaded(builder, shares, step, _SCALAR), total])
            builder.store(zero, builder.gep(amounts, [ir.IntType(32)(step)])).align = _SCALAR
        width = WIDTH // 2
        while width:
            turned = _lanes([(k + width) % WIDTH for k in range(WIDTH)])
            total = builder.fadd(total, builder.shuffle_vector(total, total, turned))
            width //= 2
        return builder.extract_element(total, ir.IntType(32)(0))

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
add_rows: Callable[..., None] = intrinsic(_add_rows)
add_row: Callable[[tuple[int, ...], F64, int, float, F64, int], None] = intrinsic(_add_row)
least_of: Callable[[tuple[int, ...], F64, int, int], float] = intrinsic(_least_of)
spent: Callable[[tuple[int, ...], F64, int, F64, int], float] = intrinsic(_spent)
count_below: Callable[[F64, int, tuple[int, ...], float], int] = intrinsic(_count_below)

turn_square: Callable[[F64, int, int, F64, int, int], None] = intrinsic(_turn_square)


def _everywhere(builder: Any, value: Any, kind: Any = _VECTOR) -> Any:
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.IntType(32)(0))
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), _lanes([0] * WIDTH))


def _loaded(builder: Any, vectors: Any, step: int, alignment: int = _ALIGNMENT) -> Any:
    loaded = builder.load(builder.gep(vectors, [ir.IntType(32)(step)]))
    loaded.align = alignment
    return loaded


def _mask(builder: Any, comparison: Any) -> Any:
    return builder.bitcast(comparison, ir.IntType(WIDTH))


def _member(context: Any, builder: Any, kind: Any, value: Any, place: int) -> Any:
    """An array of a tuple."""
    return context.make_array(kind.types[place])(context, builder, builder.extract_value(value, place))


def _row(builder: Any, array: Any, row: Any, count: int) -> Any:
    """Vectors of a row of an array (T, 8 ``count``)."""
    start = builder.gep(array.data, [builder.mul(row, _LONG(WIDTH * count))])
    return builder.bitcast(start, _VECTOR.as_pointer())


def _of_longs(builder: Any, weight: Any) -> Any:
    """A weight whose last lane is zero unless it is positive."""
    one, zero = builder.extract_element(weight, ir.IntType(32)(0)), _DOUBLE(0.0)
    long = builder.select(builder.fcmp_ordered(">", one, zero), one, zero)
    return builder.insert_element(weight, long, ir.IntType(32)(WIDTH - 1))


def _slots(builder: Any, values: list[Any]) -> list[Any]:
    """Places for vectors that a loop changes; the compiler makes registers of them."""
    slots = [cgutils.alloca_once(builder, _VECTOR) for _ in values]
    for slot, value in zip(slots, values, strict=True):
        builder.store(value, slot)
    return slots


def _put(builder: Any, values: list[Any], vectors: Any) -> None:
    for step, value in enumerate(values):
        builder.store(value, builder.gep(vectors, [ir.IntType(32)(step)])).align = _SCALAR


def _fused(builder: Any, kind: Any, name: str) -> Any:
    return cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * 3), f"llvm.fma.{name}"
    )


def _extended(builder: Any, kind: Any, array: Any, place: Any) -> Any:
    """Load an integer of any type as 64 bits."""
    number = builder.load(builder.gep(array.data, [place]))
    if number.type == _LONG:
        return number
    return (builder.sext if kind.dtype.signed else builder.zext)(number, _LONG)


def _accumulated(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """Emit the loop over positions from nothing; the accumulators end in registers."""
    kinds = signature.args[1:4]
    arrays = [
        context.make_array(kind)(context, builder, value)
        for kind, value in zip(kinds, arguments[1:4], strict=True)
    ]
    begin = [ir.Constant(_VECTOR, [0.0] * WIDTH)] * signature.args[0].count
    return _chained(builder, begin, (kinds, *arrays), arguments[4:6])


def _chained(
    builder: Any,
    begin: list[Any],
    columns: tuple[Any, Any, Any, Any],
    span: Any,
    apart: tuple[Callable[[Any, Any], Any], Callable[[Any, Any, Any], None]] | None = None,
) -> list[Any]:
    """Emit the loop over positions, from lanes that are there.

    ``apart`` is what weighs the last vector of a row, and what emits all else that is done with a position.
    """
    kinds, table, index, quantity = columns
    sums = _slots(builder, begin)
    fused = _fused(builder, _VECTOR, f"v{WIDTH}f64")
    with cgutils.for_range_slice(builder, *span, _LONG(1), _LONG) as (position, _):
        row = _extended(builder, kinds[1], index, position)
        one = builder.load(builder.gep(quantity.data, [position]))
        if one.type != _DOUBLE:
            one = builder.sitofp(one, _DOUBLE)
        weight = _everywhere(builder, one)
        vectors = _row(builder, table, row, len(begin))
        start = builder.bitcast(vectors, _DOUBLE.as_pointer())
        weights = [weight] * len(sums)
        if apart is not None:
            weights[-1] = apart[0](builder, weight)
            apart[1](row, weight, start)
        for step, slot in enumerate(sums):
            value = _loaded(builder, vectors, step)
            builder.store(builder.call(fused, [weights[step], value, builder.load(slot)]), slot)
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

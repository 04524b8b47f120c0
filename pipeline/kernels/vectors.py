"""Vector instructions for the compiled kernels: a row times a matrix, in two algebras; maxima.

numba's own loops store their accumulators at every step; these hold them in vector registers, which
halves the time. Rows are padded to a multiple of `LANES`; LLVM maps that to what the machine has.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, njit, types
from numba.core import cgutils

intrinsic: Any = extending.intrinsic
"""What it decorates is called without the first argument, which a type checker cannot see."""

allocating = njit(cache=True, nogil=True, error_model="numpy")
"""How kernels are compiled: kept on disk, other threads go on, dividing by zero is no error."""

plain = njit(cache=True, nogil=True, error_model="numpy", _nrt=False)  # pyright: ignore[reportCallIssue]
"""The same for what makes no arrays: without counting references, which would take longer."""

LANES = 8
DOUBLE, LONG, INT = ir.DoubleType(), ir.IntType(64), ir.IntType(32)
VECTOR = ir.VectorType(DOUBLE, LANES)
TABLE = types.Array(types.float64, 2, "C")
LONGS = ir.VectorType(LONG, LANES)
ANY = ir.Constant(VECTOR, ir.Undefined)


def padded(tags: int) -> int:
    """Columns of a row that holds so many tags."""
    return -(-tags // LANES) * LANES


Builder = Any
Join = Callable[[Builder, Any, Any, Any], Any]
Merge = Callable[[Builder, Any, Any], Any]


def product(neutral: float, join: Join, merge: Merge, chains: tuple[int, ...]) -> Any:
    """A function (rows, row, matrix, out, place): out[place] = rows[row] · matrix, in some algebra.

    The matrix has an even number of rows and padded columns, `neutral` beyond the tags.
    `join` adds one entry to a sum, `merge` adds two sums, both begin with `neutral`. With one to
    six vectors of sums at a time, `chains` says how many of each run side by side: two hide the
    latency of an addition where there are few vectors.
    """
    one, two, three, four, five, six = (
        _block(vectors, count, neutral, join, merge)
        for vectors, count in zip(range(1, 7), chains, strict=True)
    )

    @njit(inline="always")
    def times(rows, row, matrix, out, place):
        column, width = 0, matrix.shape[1]
        while width - column > 6 * LANES:
            four(rows, row, matrix, column, out, place)
            column += 4 * LANES
        rest = (width - column) // LANES
        if rest == 1:
            one(rows, row, matrix, column, out, place)
        elif rest == 2:
            two(rows, row, matrix, column, out, place)
        elif rest == 3:
            three(rows, row, matrix, column, out, place)
        elif rest == 4:
            four(rows, row, matrix, column, out, place)
        elif rest == 5:
            five(rows, row, matrix, column, out, place)
        else:
            six(rows, row, matrix, column, out, place)

    return times


def _block(vectors: int, chains: int, neutral: float, join: Join, merge: Merge) -> Any:
    """As `product`, for `vectors` vectors of columns from one column on."""
    arguments = (TABLE, types.intp, TABLE, types.intp, TABLE, types.intp)

    @intrinsic
    def block(typing, rows, row, matrix, column, out, place):
        def emit(context: Any, builder: Builder, _: Any, values: Any) -> Any:
            rows, row, matrix, column, out, place = values
            row, _ = line_of(context, builder, rows, row)
            out, _ = line_of(context, builder, out, place)
            out = builder.gep(out, [column], source_etype=DOUBLE)
            matrix, (height, width) = line_of(context, builder, matrix, LONG(0))
            matrix = builder.gep(matrix, [column], source_etype=DOUBLE)
            start = ir.Constant(VECTOR, [neutral] * LANES)
            sums = [
                [cgutils.alloca_once_value(builder, start) for _ in range(vectors)]
                for _ in range(chains)
            ]
            pairs = cgutils.for_range_slice(builder, LONG(0), height, LONG(2), LONG)
            with pairs as (first, _):
                for parity in range(2):
                    place = builder.add(first, LONG(parity))
                    factor = splat(builder, _scalar(builder, row, place))
                    line = builder.mul(place, width)
                    for v, slot in enumerate(sums[parity % chains]):
                        entry = load(builder, matrix, builder.add(line, LONG(v * LANES)))
                        builder.store(join(builder, builder.load(slot), factor, entry), slot)
            for v in range(vectors):
                total = builder.load(sums[0][v])
                for chain in sums[1:]:
                    total = merge(builder, total, builder.load(chain[v]))
                store(builder, total, out, LONG(v * LANES))
            return context.get_dummy_value()

        return types.void(*arguments), emit

    return block


def line_of(context: Any, builder: Builder, table: Any, row: Any) -> tuple[Any, Any]:
    """Where a row of a table begins, and the table's shape."""
    table = context.make_array(TABLE)(context, builder, table)
    shape = cgutils.unpack_tuple(builder, table.shape)
    first = builder.mul(row, shape[1])
    return builder.gep(table.data, [first], source_etype=DOUBLE), shape


def _scalar(builder: Builder, start: Any, at: Any) -> Any:
    return builder.load(builder.gep(start, [at], source_etype=DOUBLE), typ=DOUBLE)


def load(builder: Builder, start: Any, at: Any) -> Any:
    """The vector of entries from one on."""
    place = builder.gep(start, [at], source_etype=DOUBLE)
    return builder.load(builder.bitcast(place, VECTOR.as_pointer()), align=8, typ=VECTOR)


def store(builder: Builder, vector: Any, start: Any, at: Any) -> None:
    """Write a vector over the entries from one on."""
    place = builder.gep(start, [at], source_etype=DOUBLE)
    builder.store(vector, builder.bitcast(place, VECTOR.as_pointer()), align=8)


def splat(builder: Builder, number: Any, kind: Any = VECTOR) -> Any:
    """A vector of one number."""
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, number, INT(0))
    return builder.shuffle_vector(first, nothing, every(0, ir.VectorType(INT, LANES)))


def every(number: float, kind: Any = VECTOR) -> Any:
    """A vector of one constant."""
    return ir.Constant(kind, [number] * LANES)


def _larger(builder: Builder, one: Any, other: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", one, other), one, other)


def multiply_add(builder: Builder, total: Any, factor: Any, entry: Any) -> Any:
    """total + factor · entry, rounded once where the machine can."""
    fused = ("contract",)
    return builder.fadd(total, builder.fmul(factor, entry, flags=fused), flags=fused)


def _add_larger(builder: Builder, total: Any, factor: Any, entry: Any) -> Any:
    return _larger(builder, builder.fadd(factor, entry), total)


sum_product = product(0.0, multiply_add, lambda b, x, y: b.fadd(x, y), (2, 2, 2, 2, 2, 2))
"""out(j) = Σ_i row(i) matrix(i, j)."""

max_plus = product(float("-inf"), _add_larger, _larger, (2, 2, 2, 1, 1, 1))
"""out(j) = max_i row(i) + matrix(i, j)."""


@intrinsic
def largest(typing, rows, row):
    """The largest number of a row without NaN."""

    def emit(context: Any, builder: Builder, _: Any, values: Any) -> Any:
        row, (_, width) = line_of(context, builder, *values)
        top = cgutils.alloca_once_value(builder, ir.Constant(VECTOR, [float("-inf")] * LANES))
        with cgutils.for_range_slice(builder, LONG(0), width, LONG(LANES), LONG) as (column, _):
            found = load(builder, row, column)
            builder.store(_larger(builder, found, builder.load(top)), top)
        return _across(builder, builder.load(top))

    return types.float64(TABLE, types.intp), emit


def _across(builder: Builder, vector: Any) -> Any:
    """The largest of a vector's numbers, by halves."""
    half = LANES // 2
    while half:
        order = [(lane + half) % LANES for lane in range(LANES)]
        turned = builder.shuffle_vector(vector, ANY, ir.Constant(ir.VectorType(INT, LANES), order))
        vector, half = _larger(builder, vector, turned), half // 2
    return builder.extract_element(vector, INT(0))


@intrinsic
def two_best(typing, rows, row, lines, line, most):
    """(the lowest i at which rows(row, i) + lines(line, i) is `most`, the largest at any other i).

    `most` must be the largest of those sums.
    """

    def emit(context: Any, builder: Builder, _: Any, values: Any) -> Any:
        row, (_, width) = line_of(context, builder, *values[:2])
        line, _ = line_of(context, builder, *values[2:4])
        most = values[4]
        place = cgutils.alloca_once_value(builder, LONG(-1))
        reached = cgutils.alloca_once_value(builder, LONG(0))
        second = cgutils.alloca_once_value(builder, every(float("-inf")))
        with cgutils.for_range_slice(builder, LONG(0), width, LONG(LANES), LONG) as (column, _):
            found = builder.fadd(load(builder, row, column), load(builder, line, column))
            equal = builder.fcmp_ordered("==", found, splat(builder, most))
            lanes = builder.zext(builder.bitcast(equal, ir.IntType(LANES)), LONG)
            here = builder.add(column, builder.cttz(lanes, ir.Constant(ir.IntType(1), 0)))
            fresh = builder.icmp_signed("<", builder.load(place), LONG(0))
            taken = builder.and_(fresh, builder.icmp_signed("!=", lanes, LONG(0)))
            builder.store(builder.select(taken, here, builder.load(place)), place)
            builder.store(builder.add(builder.load(reached), builder.ctpop(lanes)), reached)
            others = builder.select(equal, every(float("-inf")), found)
            builder.store(_larger(builder, others, builder.load(second)), second)
        tied = builder.icmp_signed(">", builder.load(reached), LONG(1))
        less = builder.select(tied, most, _across(builder, builder.load(second)))
        return context.make_tuple(builder, kind, [builder.load(place), less])

    kind = types.Tuple((types.intp, types.float64))
    return kind(TABLE, types.intp, TABLE, types.intp, types.float64), emit


@intrinsic
def within(typing, rows, row, lines, line, block, offset, least, limit):
    """Bits i < 64 where offset + (least - rows(row, j) - lines(line, j)) ≤ limit, j = block + i."""

    def emit(context: Any, builder: Builder, _: Any, values: Any) -> Any:
        row, (_, width) = line_of(context, builder, *values[:2])
        line, _ = line_of(context, builder, *values[2:4])
        block = values[4]
        offset, least, limit = (splat(builder, number) for number in values[5:])
        bits = cgutils.alloca_once_value(builder, LONG(0))
        end = builder.add(block, LONG(64))
        end = builder.select(builder.icmp_signed("<", end, width), end, width)
        with cgutils.for_range_slice(builder, block, end, LONG(LANES), LONG) as (column, _):
            found = builder.fadd(load(builder, row, column), load(builder, line, column))
            cost = builder.fadd(offset, builder.fsub(least, found))
            here = builder.bitcast(builder.fcmp_ordered("<=", cost, limit), ir.IntType(LANES))
            moved = builder.shl(builder.zext(here, LONG), builder.sub(column, block))
            builder.store(builder.or_(builder.load(bits), moved), bits)
        return builder.load(bits)

    places, numbers = (types.intp,) * 3, (types.float64,) * 3
    return types.int64(TABLE, places[0], TABLE, *places[1:], *numbers), emit


@intrinsic
def lowest_bit(typing, bits):
    """The place of the lowest bit that is set; 64 where none is."""

    def emit(_: Any, builder: Builder, __: Any, values: Any) -> Any:
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), emit


@intrinsic
def as_bits(typing, number):
    """The bits of a float64 as an int64."""
    return types.int64(types.float64), lambda _, b, __, values: b.bitcast(values[0], LONG)


@intrinsic
def from_bits(typing, bits):
    """The float64 of which these are the bits."""
    return types.float64(types.int64), lambda _, b, __, values: b.bitcast(values[0], DOUBLE)

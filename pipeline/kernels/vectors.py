"""Vector instructions for the compiled kernels: vectors of entries, maxima, comparisons.

Rows are padded to a multiple of `LANES`; LLVM maps that to what the machine has.
"""

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


def line_of(context: Any, builder: Builder, table: Any, row: Any) -> tuple[Any, Any]:
    """Where a row of a table begins, and the table's shape."""
    table = context.make_array(TABLE)(context, builder, table)
    shape = cgutils.unpack_tuple(builder, table.shape)
    first = builder.mul(row, shape[1])
    return builder.gep(table.data, [first], source_etype=DOUBLE), shape


def scalar(builder: Builder, start: Any, at: Any) -> Any:
    """One entry."""
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


def larger(builder: Builder, one: Any, other: Any) -> Any:
    """The larger of two vectors, entry by entry."""
    return builder.select(builder.fcmp_ordered(">", one, other), one, other)


def multiply_add(builder: Builder, total: Any, factor: Any, entry: Any) -> Any:
    """total + factor · entry, rounded once where the machine can."""
    fused = ("contract",)
    return builder.fadd(total, builder.fmul(factor, entry, flags=fused), flags=fused)


@intrinsic
def largest(typing, rows, row):
    """The largest number of a row without NaN."""

    def emit(context: Any, builder: Builder, _: Any, values: Any) -> Any:
        row, (_, width) = line_of(context, builder, *values)
        top = cgutils.alloca_once_value(builder, ir.Constant(VECTOR, [float("-inf")] * LANES))
        with cgutils.for_range_slice(builder, LONG(0), width, LONG(LANES), LONG) as (column, _):
            found = load(builder, row, column)
            builder.store(larger(builder, found, builder.load(top)), top)
        return _across(builder, builder.load(top))

    return types.float64(TABLE, types.intp), emit


def _across(builder: Builder, vector: Any) -> Any:
    """The largest of a vector's numbers, by halves."""
    half = LANES // 2
    while half:
        order = [(lane + half) % LANES for lane in range(LANES)]
        turned = builder.shuffle_vector(vector, ANY, ir.Constant(ir.VectorType(INT, LANES), order))
        vector, half = larger(builder, vector, turned), half // 2
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
            builder.store(larger(builder, others, builder.load(second)), second)
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

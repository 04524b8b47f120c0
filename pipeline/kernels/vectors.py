"""Vector instructions for the compiled kernels: a row times a matrix, in two algebras, and exp.

numba's own loops store their accumulators at every step; these hold them in vector registers, which
halves the time. Rows are padded to a multiple of `LANES`; LLVM maps that to what the machine has.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending, njit, types
from numba.core import cgutils

intrinsic: Any = extending.intrinsic
"""What it decorates is called without the first argument, which a type checker cannot see."""

LANES = 8
DOUBLE, LONG, INT = ir.DoubleType(), ir.IntType(64), ir.IntType(32)
VECTOR = ir.VectorType(DOUBLE, LANES)
TABLE = types.Array(types.float64, 2, "C")
LONGS = ir.VectorType(LONG, LANES)
ANY = ir.Constant(VECTOR, ir.Undefined)


def padded(tags: int) -> int:
    """Columns of a row that holds so many tags."""
    return -(-tags // LANES) * LANES


def padded_matrix(matrix: np.ndarray, neutral: float) -> np.ndarray:
    """A matrix [tags, tags] as `product` reads it: an even number of rows, padded columns."""
    tags = len(matrix)
    wide = np.full((tags + tags % 2, padded(tags)), neutral)
    wide[:tags, :tags] = matrix
    return wide


Builder = Any
Join = Callable[[Builder, Any, Any, Any], Any]
Merge = Callable[[Builder, Any, Any], Any]


def product(neutral: float, join: Join, merge: Merge, chains: tuple[int, ...]) -> Any:
    """A function (rows, row, matrix, out, place): out[place] = rows[row] · matrix, in some algebra.

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
            row, _ = _line(context, builder, rows, row)
            out, _ = _line(context, builder, out, place)
            out = builder.gep(out, [column], source_etype=DOUBLE)
            matrix, (height, width) = _line(context, builder, matrix, LONG(0))
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
                    factor = _splat(builder, _scalar(builder, row, place))
                    line = builder.mul(place, width)
                    for v, slot in enumerate(sums[parity % chains]):
                        entry = _load(builder, matrix, builder.add(line, LONG(v * LANES)))
                        builder.store(join(builder, builder.load(slot), factor, entry), slot)
            for v in range(vectors):
                total = builder.load(sums[0][v])
                for chain in sums[1:]:
                    total = merge(builder, total, builder.load(chain[v]))
                _store(builder, total, out, LONG(v * LANES))
            return context.get_dummy_value()

        return types.void(*arguments), emit

    return block


def _line(context: Any, builder: Builder, table: Any, row: Any) -> tuple[Any, Any]:
    """Where a row of a table begins, and the table's shape."""
    table = context.make_array(TABLE)(context, builder, table)
    shape = cgutils.unpack_tuple(builder, table.shape)
    first = builder.mul(row, shape[1])
    return builder.gep(table.data, [first], source_etype=DOUBLE), shape


def _scalar(builder: Builder, start: Any, at: Any) -> Any:
    return builder.load(builder.gep(start, [at], source_etype=DOUBLE), typ=DOUBLE)


def _load(builder: Builder, start: Any, at: Any) -> Any:
    place = builder.gep(start, [at], source_etype=DOUBLE)
    return builder.load(builder.bitcast(place, VECTOR.as_pointer()), align=8, typ=VECTOR)


def _store(builder: Builder, vector: Any, start: Any, at: Any) -> None:
    place = builder.gep(start, [at], source_etype=DOUBLE)
    builder.store(vector, builder.bitcast(place, VECTOR.as_pointer()), align=8)


def _splat(builder: Builder, number: Any, kind: Any = VECTOR) -> Any:
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, number, INT(0))
    return builder.shuffle_vector(first, nothing, _every(0, ir.VectorType(INT, LANES)))


def _every(number: float, kind: Any = VECTOR) -> Any:
    return ir.Constant(kind, [number] * LANES)


def _larger(builder: Builder, one: Any, other: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", one, other), one, other)


def _multiply_add(builder: Builder, total: Any, factor: Any, entry: Any) -> Any:
    fused = ("contract",)
    return builder.fadd(total, builder.fmul(factor, entry, flags=fused), flags=fused)


def _add_larger(builder: Builder, total: Any, factor: Any, entry: Any) -> Any:
    return _larger(builder, builder.fadd(factor, entry), total)


sum_product = product(0.0, _multiply_add, lambda b, x, y: b.fadd(x, y), (2, 2, 2, 2, 2, 2))
"""out(j) = Σ_i row(i) matrix(i, j)."""

max_plus = product(float("-inf"), _add_larger, _larger, (2, 2, 2, 1, 1, 1))
"""out(j) = max_i row(i) + matrix(i, j)."""


@intrinsic
def largest(typing, rows, row):
    """The largest number of a row without NaN."""

    def emit(context: Any, builder: Builder, _: Any, values: Any) -> Any:
        row, (_, width) = _line(context, builder, *values)
        top = cgutils.alloca_once_value(builder, ir.Constant(VECTOR, [float("-inf")] * LANES))
        with cgutils.for_range_slice(builder, LONG(0), width, LONG(LANES), LONG) as (column, _):
            found = _load(builder, row, column)
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
        row, (_, width) = _line(context, builder, *values[:2])
        line, _ = _line(context, builder, *values[2:4])
        most = values[4]
        place = cgutils.alloca_once_value(builder, LONG(-1))
        reached = cgutils.alloca_once_value(builder, LONG(0))
        second = cgutils.alloca_once_value(builder, _every(float("-inf")))
        with cgutils.for_range_slice(builder, LONG(0), width, LONG(LANES), LONG) as (column, _):
            found = builder.fadd(_load(builder, row, column), _load(builder, line, column))
            equal = builder.fcmp_ordered("==", found, _splat(builder, most))
            lanes = builder.zext(builder.bitcast(equal, ir.IntType(LANES)), LONG)
            here = builder.add(column, builder.cttz(lanes, ir.Constant(ir.IntType(1), 0)))
            fresh = builder.icmp_signed("<", builder.load(place), LONG(0))
            taken = builder.and_(fresh, builder.icmp_signed("!=", lanes, LONG(0)))
            builder.store(builder.select(taken, here, builder.load(place)), place)
            builder.store(builder.add(builder.load(reached), builder.ctpop(lanes)), reached)
            others = builder.select(equal, _every(float("-inf")), found)
            builder.store(_larger(builder, others, builder.load(second)), second)
        tied = builder.icmp_signed(">", builder.load(reached), LONG(1))
        less = builder.select(tied, most, _across(builder, builder.load(second)))
        return context.make_tuple(builder, kind, [builder.load(place), less])

    kind = types.Tuple((types.intp, types.float64))
    return kind(TABLE, types.intp, TABLE, types.intp, types.float64), emit


@intrinsic
def as_bits(typing, number):
    """The bits of a float64 as an int64."""
    return types.int64(types.float64), lambda _, b, __, values: b.bitcast(values[0], LONG)


@intrinsic
def from_bits(typing, bits):
    """The float64 of which these are the bits."""
    return types.float64(types.int64), lambda _, b, __, values: b.bitcast(values[0], DOUBLE)


def elementwise(value: Callable[[Builder, Any, Any, Any, Any], Any]) -> Any:
    """A function (out, place, rows, row, others, other, number), by entry.

    out[place] = value(rows[row], others[other], number, out[place] as it was).

    512-bit and 256-bit instructions side by side cost more than either, so loops over the entries
    of a row are not left to numba, which would take the latter.
    """
    arguments = (TABLE, types.intp, TABLE, types.intp, TABLE, types.intp, types.float64)

    @intrinsic
    def apply(typing, out, place, rows, row, others, other, number):
        def emit(context: Any, builder: Builder, _: Any, values: Any) -> Any:
            out, (_, width) = _line(context, builder, *values[:2])
            left, _ = _line(context, builder, *values[2:4])
            right, _ = _line(context, builder, *values[4:6])
            number = _splat(builder, values[6])
            columns = cgutils.for_range_slice(builder, LONG(0), width, LONG(LANES), LONG)
            with columns as (column, _):
                one, other, old = (_load(builder, start, column) for start in (left, right, out))
                _store(builder, value(builder, one, other, number, old), out, column)
            return context.get_dummy_value()

        return types.void(*arguments), emit

    return apply


PER_TWO = 1.4426950408889634
TWO_HIGH, TWO_LOW = 0.6931471803691238, 1.9082149292705877e-10
"""1 / log 2; log 2 in two parts, the first with zeros at its end, so that k · TWO_HIGH is exact."""

SHIFT = 1.5 * 2.0**52
"""What a small number is added to so that its integer part lands in the lowest bits."""


def _exp(builder: Builder, entries: Any, _: Any, most: Any, __: Any) -> Any:
    """exp(entry - most) for entries ≤ most, to a unit in the last place or so; 0 under -708.

    Taylor's series over |r| ≤ log(2) / 2, whose rest is below 2e-17, times a power of two.
    """

    x = builder.fsub(entries, most)
    shifted = _multiply_add(builder, _every(SHIFT), x, _every(PER_TWO))
    power = builder.fsub(shifted, _every(SHIFT))
    r = _multiply_add(builder, x, power, _every(-TWO_HIGH))
    r = _multiply_add(builder, r, power, _every(-TWO_LOW))
    total = _series(builder, r, [1.0 / math.factorial(n) for n in range(14)])
    raised = builder.shl(builder.bitcast(shifted, LONGS), _every(52, LONGS))
    bits = builder.add(builder.bitcast(total, LONGS), raised)
    possible = builder.fcmp_ordered(">=", x, _every(-708.0))
    return builder.select(possible, builder.bitcast(bits, VECTOR), _every(0.0))


def _log(builder: Builder, entries: Any, others: Any, _: Any, __: Any) -> Any:
    """log(entry · other) for products from 0 to about 1; -inf under 1e-300.

    2^k m with m from sqrt(1/2) to sqrt(2), log m = 2 artanh(s), s = (m - 1) / (m + 1) ≤ 0.172.
    """
    x = builder.fmul(entries, others)
    # Counted from sqrt(1/2), so that the exponent's bits change where m wraps round.
    half = 0x3FE6A09E667F3BCD
    bits = builder.sub(builder.bitcast(x, LONGS), _every(half, LONGS))
    k = builder.ashr(bits, _every(52, LONGS))
    m = builder.bitcast(
        builder.add(builder.and_(bits, _every(2**52 - 1, LONGS)), _every(half, LONGS)), VECTOR
    )
    s = builder.fdiv(builder.fsub(m, _every(1.0)), builder.fadd(m, _every(1.0)))
    z = builder.fmul(s, s)
    k = builder.sitofp(k, VECTOR)
    total = builder.fmul(s, _series(builder, z, [2.0 / (2 * n + 1) for n in range(11)]))
    total = builder.fadd(total, builder.fmul(k, _every(TWO_LOW)))
    total = _multiply_add(builder, total, k, _every(TWO_HIGH))
    possible = builder.fcmp_ordered(">", x, _every(1e-300))
    return builder.select(possible, total, _every(float("-inf")))


def _series(builder: Builder, x: Any, factors: list[float]) -> Any:
    """Σ_n factors(n) x^n."""
    total = _every(factors[-1])
    for factor in factors[-2::-1]:
        total = _multiply_add(builder, _every(factor), total, x)
    return total


def _add_product(builder: Builder, left: Any, right: Any, number: Any, old: Any) -> Any:
    return _multiply_add(builder, old, builder.fmul(left, right), number)


def _share(builder: Builder, left: Any, right: Any, number: Any, _: Any) -> Any:
    possible = builder.fcmp_ordered(">", right, number)
    return builder.select(possible, builder.fdiv(left, right), _every(0.0))


exp_below = elementwise(_exp)
"""out = exp(row - number); the other row is not read."""

log_product = elementwise(_log)
"""out = log(row * other)."""

multiply = elementwise(lambda b, left, right, number, _: b.fmul(b.fmul(left, right), number))
"""out = row * other * number."""

scale = elementwise(lambda b, left, _, number, __: b.fmul(left, number))
"""out = row * number; the other row is not read."""

add_product = elementwise(_add_product)
"""out += row * other * number."""

add_scaled = elementwise(lambda b, left, _, number, old: _multiply_add(b, old, left, number))
"""out += row * number; the other row is not read."""

divide = elementwise(_share)
"""out = row / other where the other is above the number, else 0."""

"""Rows and matrices for the compiled kernels: products in two algebras, and outer ones.

numba's own loops store their accumulators at every step; these hold them in vector registers, which
halves the time.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils

from pipeline.kernels.vectors import (
    DOUBLE,
    LANES,
    LONG,
    TABLE,
    VECTOR,
    Builder,
    every,
    intrinsic,
    larger,
    line_of,
    load,
    multiply_add,
    scalar,
    splat,
    store,
)

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
                    factor = splat(builder, scalar(builder, row, place))
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


def _add_larger(builder: Builder, total: Any, factor: Any, entry: Any) -> Any:
    return larger(builder, builder.fadd(factor, entry), total)


sum_product = product(0.0, multiply_add, lambda b, x, y: b.fadd(x, y), (2, 2, 2, 2, 2, 2))
"""out(j) = Σ_i row(i) matrix(i, j)."""

max_plus = product(float("-inf"), _add_larger, larger, (2, 2, 2, 1, 1, 1))
"""out(j) = max_i row(i) + matrix(i, j)."""


def _outer_block(vectors: int) -> Any:
    """A function (left, row, right, column, count, out) for `outer_sum`.

    It does four rows of `out` by so many vectors of columns from one column on.
    """
    arguments = (TABLE, types.intp, TABLE, types.intp, types.intp, TABLE)

    @intrinsic
    def block(typing, left, row, right, column, count, out):
        def emit(context: Any, builder: Builder, _: Any, values: Any) -> Any:
            left, row, right, column, count, out = values
            left, (_, width) = line_of(context, builder, left, LONG(0))
            left = builder.gep(left, [row], source_etype=DOUBLE)
            right, _ = line_of(context, builder, right, LONG(0))
            right = builder.gep(right, [column], source_etype=DOUBLE)
            sums = [
                [cgutils.alloca_once_value(builder, every(0.0)) for _ in range(vectors)]
                for _ in range(4)
            ]
            with cgutils.for_range_slice(builder, LONG(0), count, LONG(1), LONG) as (n, _):
                line = builder.mul(n, width)
                places = (builder.add(line, LONG(v * LANES)) for v in range(vectors))
                entries = [load(builder, right, place) for place in places]
                for r, slots in enumerate(sums):
                    factor = splat(builder, scalar(builder, left, builder.add(line, LONG(r))))
                    for entry, slot in zip(entries, slots, strict=True):
                        total = multiply_add(builder, builder.load(slot), factor, entry)
                        builder.store(total, slot)
            for r, slots in enumerate(sums):
                line, _ = line_of(context, builder, out, builder.add(row, LONG(r)))
                line = builder.gep(line, [column], source_etype=DOUBLE)
                for v, slot in enumerate(slots):
                    store(builder, builder.load(slot), line, LONG(v * LANES))
            return context.get_dummy_value()

        return types.void(*arguments), emit

    return block


_outer_one, _outer_two, _outer_three = (_outer_block(vectors) for vectors in (1, 2, 3))


@njit(inline="always")
def outer_sum(left, right, count, out):
    """out(i, j) = Σ_n left(n, i) right(n, j) over the first `count` rows; `out` is square."""
    for row in range(0, out.shape[0], 4):
        column, width = 0, out.shape[1]
        while width - column > 4 * LANES:
            _outer_three(left, row, right, column, count, out)
            column += 3 * LANES
        rest = (width - column) // LANES
        if rest == 1:
            _outer_one(left, row, right, column, count, out)
        elif rest == 3:
            _outer_three(left, row, right, column, count, out)
        else:
            _outer_two(left, row, right, column, count, out)
            if rest == 4:
                _outer_two(left, row, right, column + 2 * LANES, count, out)

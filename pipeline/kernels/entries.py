"""What the compiled sums do to each entry of a row: exp, log, products; on vectors of entries.

512-bit and 256-bit instructions side by side cost more than either, so loops over the entries of a
row are not left to numba, which would take the latter.
"""

import math
from collections.abc import Callable
from typing import Any

from numba import types
from numba.core import cgutils

from pipeline.kernels.vectors import (
    LANES,
    LONG,
    LONGS,
    TABLE,
    VECTOR,
    Builder,
    every,
    intrinsic,
    line_of,
    load,
    multiply_add,
    splat,
    store,
)


def elementwise(value: Callable[[Builder, Any, Any, Any, Any], Any]) -> Any:
    """A function (out, place, rows, row, others, other, number), by entry.

    out[place] = value(rows[row], others[other], number, out[place] as it was).
    """
    arguments = (TABLE, types.intp, TABLE, types.intp, TABLE, types.intp, types.float64)

    @intrinsic
    def apply(typing, out, place, rows, row, others, other, number):
        def emit(context: Any, builder: Builder, _: Any, values: Any) -> Any:
            out, (_, width) = line_of(context, builder, *values[:2])
            left, _ = line_of(context, builder, *values[2:4])
            right, _ = line_of(context, builder, *values[4:6])
            number = splat(builder, values[6])
            columns = cgutils.for_range_slice(builder, LONG(0), width, LONG(LANES), LONG)
            with columns as (column, _):
                one, other, old = (load(builder, start, column) for start in (left, right, out))
                store(builder, value(builder, one, other, number, old), out, column)
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
    shifted = multiply_add(builder, every(SHIFT), x, every(PER_TWO))
    power = builder.fsub(shifted, every(SHIFT))
    r = multiply_add(builder, x, power, every(-TWO_HIGH))
    r = multiply_add(builder, r, power, every(-TWO_LOW))
    total = _series(builder, r, [1.0 / math.factorial(n) for n in range(14)])
    raised = builder.shl(builder.bitcast(shifted, LONGS), every(52, LONGS))
    bits = builder.add(builder.bitcast(total, LONGS), raised)
    possible = builder.fcmp_ordered(">=", x, every(-708.0))
    return builder.select(possible, builder.bitcast(bits, VECTOR), every(0.0))


def _log(builder: Builder, entries: Any, others: Any, _: Any, __: Any) -> Any:
    """log(entry · other) for products from 0 to about 1; -inf under 1e-300.

    2^k m with m from sqrt(1/2) to sqrt(2), log m = 2 artanh(s), s = (m - 1) / (m + 1) ≤ 0.172.
    """
    x = builder.fmul(entries, others)
    # Counted from sqrt(1/2), so that the exponent's bits change where m wraps round.
    half = 0x3FE6A09E667F3BCD
    bits = builder.sub(builder.bitcast(x, LONGS), every(half, LONGS))
    k = builder.ashr(bits, every(52, LONGS))
    m = builder.bitcast(
        builder.add(builder.and_(bits, every(2**52 - 1, LONGS)), every(half, LONGS)), VECTOR
    )
    s = builder.fdiv(builder.fsub(m, every(1.0)), builder.fadd(m, every(1.0)))
    z = builder.fmul(s, s)
    k = builder.sitofp(k, VECTOR)
    total = builder.fmul(s, _series(builder, z, [2.0 / (2 * n + 1) for n in range(11)]))
    total = builder.fadd(total, builder.fmul(k, every(TWO_LOW)))
    total = multiply_add(builder, total, k, every(TWO_HIGH))
    possible = builder.fcmp_ordered(">", x, every(1e-300))
    return builder.select(possible, total, every(float("-inf")))


def _series(builder: Builder, x: Any, factors: list[float]) -> Any:
    """Σ_n factors(n) x^n."""
    total = every(factors[-1])
    for factor in factors[-2::-1]:
        total = multiply_add(builder, every(factor), total, x)
    return total


def _add_product(builder: Builder, left: Any, right: Any, number: Any, old: Any) -> Any:
    return multiply_add(builder, old, builder.fmul(left, right), number)


def _share(builder: Builder, left: Any, right: Any, number: Any, _: Any) -> Any:
    possible = builder.fcmp_ordered(">", right, number)
    return builder.select(possible, builder.fdiv(left, right), every(0.0))


exp_below = elementwise(_exp)
"""out = exp(row - number); the other row is not read."""

log_product = elementwise(_log)
"""out = log(row * other)."""

multiply = elementwise(lambda b, left, right, number, _: b.fmul(b.fmul(left, right), number))
"""out = row * other * number."""

scale = elementwise(lambda b, left, _, number, __: b.fmul(left, number))
"""out = row * number; the other row is not read."""

plus = elementwise(lambda b, left, right, _, __: b.fadd(left, right))
"""out = row + other; the number is not read."""

add_product = elementwise(_add_product)
"""out += row * other * number."""

add_scaled = elementwise(lambda b, left, _, number, old: multiply_add(b, old, left, number))
"""out += row * number; the other row is not read."""

divide = elementwise(_share)
"""out = row / other where the other is above the number, else 0."""

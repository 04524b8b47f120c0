"""The Triton programs behind gpu.py: a sentence each, its transitions held in registers.

Tensors [batch, words, tags] lie one word after the other unless strides are given; `tags` are
padded to COLUMNS, a power of two, with what changes nothing. All sums and products in float64.
"""

import math
from typing import no_type_check

import triton
import triton.language as tl

LOG_2 = tl.constexpr(math.log(2))

PARTS = [
    "before", "onward", "after", "steps", "scales", "heights", "word_heights",
    "moved_before", "moved_onward", "moved_after",
]  # fmt: skip
"""Parts of larger tensors: where they begin in memory is no reason to compile again."""

LIFT = tl.constexpr(460)
"""Sums are held at about 2^LIFT: float64 reaches further down from there than from 1, and the
product of two still fits."""

LIFTED = tl.constexpr(2.0**460)


@triton.jit
@no_type_check
def _matrix(scores, top, tags, outside, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """ROWS of [tags, tags] from row `top` on, `outside` beyond them."""
    row, column = top + tl.arange(0, ROWS)[:, None], tl.arange(0, COLUMNS)[None, :]
    inside = (row < tags) & (column < tags)
    return tl.load(scores + row * tags + column, inside, outside).to(tl.float64)


@triton.jit
@no_type_check
def _raise_vector(scores, raised, tags, COLUMNS: tl.constexpr):
    """Store exp(scores - the highest); returns the highest, 0 where all are -inf."""
    tag = tl.arange(0, COLUMNS)
    x = tl.load(scores + tag, tag < tags, other=float("-inf")).to(tl.float64)
    most = tl.max(x, axis=0)
    most = tl.where(most == float("-inf"), 0.0, most)
    tl.store(raised + tag, tl.exp(x - most), tag < tags)
    return most


@triton.jit
@no_type_check
def raise_transitions(
    transitions, start, end, factors, edges, heights, tags,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """exp of all scores but emissions, each less the highest of its kind; ROWS of the transitions.

    `factors` [2, tags, tags] are those of transitions, and transposed; `edges` [2, tags] of start
    and end; `heights` [2] what was taken off transitions, and off both edges.
    """
    most = tl.full([], float("-inf"), tl.float64)
    for top in range(0, tags, ROWS):
        x = _matrix(transitions, top, tags, float("-inf"), ROWS, COLUMNS)
        most = tl.maximum(most, tl.max(tl.max(x, axis=0), axis=0))
    most = tl.where(most == float("-inf"), 0.0, most)
    top = tl.program_id(0) * ROWS
    raised = tl.exp(_matrix(transitions, top, tags, float("-inf"), ROWS, COLUMNS) - most)
    row, column = top + tl.arange(0, ROWS)[:, None], tl.arange(0, COLUMNS)[None, :]
    inside = (row < tags) & (column < tags)
    tl.store(factors + row * tags + column, raised, inside)
    tl.store(factors + (tags + column) * tags + row, raised, inside)
    # Every program stores the same of what follows.
    tl.store(heights, most)
    first = _raise_vector(start, edges, tags, COLUMNS)
    last = _raise_vector(end, edges + tags, tags, COLUMNS)
    tl.store(heights + 1, first + last)


@triton.jit(
    do_not_specialize=["by_sentence", "by_word", "words"], do_not_specialize_on_alignment=PARTS
)
@no_type_check
def raise_words(
    emissions, by_sentence, by_word, by_tag, lengths, steps, heights, words, tags,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """steps = exp(emissions - height), the highest of the word; of ROWS words of a sentence."""
    sentence = tl.program_id(0).to(tl.int64)
    word = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    tag, is_word = tl.arange(0, COLUMNS), word < tl.load(lengths + sentence)
    inside = is_word[:, None] & (tag < tags)[None, :]
    at = sentence * by_sentence + word[:, None].to(tl.int64) * by_word + tag[None, :] * by_tag
    scores = tl.load(emissions + at, inside, other=float("-inf"))
    most = tl.max(scores, axis=1).to(tl.float64)
    most = tl.where(most == float("-inf"), 0.0, most)
    place = sentence * words + word
    raised = tl.exp(scores.to(tl.float64) - most[:, None])
    tl.store(steps + place[:, None] * tags + tag[None, :], raised, inside)
    tl.store(heights + place, most, is_word)


@triton.jit(do_not_specialize=["words"], do_not_specialize_on_alignment=PARTS)
@no_type_check
def reach(
    steps, factors, edges, lengths, before, onward, after, scales, words, tags,
    COLUMNS: tl.constexpr,
):  # fmt: skip
    """One direction of one sentence, word after word: `before`, or `onward` and `after`.

    The first word has the height 2^LIFT; each other is multiplied by the power of two that would
    bring the one before there. `scales` are these powers in the forward direction.
    """
    sentence, backward = tl.program_id(0).to(tl.int64), tl.program_id(1)
    length = tl.load(lengths + sentence).to(tl.int32)
    tag = tl.arange(0, COLUMNS)
    forth, back = tags * (1 - backward), tags * backward
    factor = _matrix(factors + backward * tags * tags, 0, tags, 0.0, COLUMNS, COLUMNS)
    arrived = tl.load(edges + back + tag, tag < tags, other=0.0) * LIFTED
    scale = tl.full([], 1.0, tl.float64)
    onto = 1 - 2 * backward
    place = sentence * words + (length - 1) * backward
    step = tl.load(steps + place * tags + tag, tag < tags, other=0.0)
    for n in range(length):
        at, left = place * tags + tag, tl.minimum(length - n - 1, 1)
        place += onto
        # Asked for a word ahead, to arrive while this one is multiplied.
        coming = tl.load(steps + place * tags + tag, tag < tags * left, other=0.0)
        reached = arrived * (step * scale)
        tl.store(before + at, reached, tag < forth)
        tl.store(scales + place - onto, scale, backward == 0)
        tl.store(after + at, arrived, tag < back)
        tl.store(onward + at - tags, reached, tag < back * left)
        # Of positive numbers the largest has the largest exponent: a maximum of small integers.
        exponents = (reached.to(tl.int64, bitcast=True) >> 52).to(tl.int32)
        power = tl.minimum(2046 + LIFT - tl.max(exponents, axis=0), 2046)
        scale = (power.to(tl.int64) << 52).to(tl.float64, bitcast=True)
        arrived = tl.sum(reached[:, None] * factor, axis=0)
        step = coming


@triton.jit(do_not_specialize=["words"], do_not_specialize_on_alignment=PARTS)
@no_type_check
def normalise(
    before, onward, after, steps, scales, heights, word_heights, lengths,
    log_partition, exact, words, tags,
    REACH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Bring `after` and `onward` of a sentence to the scales of `before`, and `steps` too.

    All are 0 where the sentence is not exact.
    """
    sentence = tl.program_id(0).to(tl.int64)
    length = tl.load(lengths + sentence).to(tl.int32)
    row, tag = tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    log_z = tl.load(heights + 1) + tl.load(heights) * (length - 1)
    closing = tl.full([], 0.0, tl.float64)
    faults, powers = 0, 0
    for top in range(0, length, ROWS):
        is_word, place = top + row < length, sentence * words + top + row
        inside = is_word[:, None] & (tag < tags)[None, :]
        at = place[:, None] * tags + tag[None, :]
        begun, follows = tl.load(before + at, inside, 0.0), tl.load(after + at, inside, 0.0)
        ends = tl.load(onward + at, inside, 0.0)
        total = tl.sum(begun * follows, axis=1)
        furthest = tl.max(tl.maximum(tl.maximum(begun, follows), ends), axis=1)
        level = furthest / REACH < total
        faults += tl.sum((is_word & ~level).to(tl.int32), axis=0)
        share = (1.0 / tl.where(level, total, 1.0))[:, None]
        tl.store(after + at, follows * share, inside)
        tl.store(onward + at, ends * share, inside)
        scale = tl.load(scales + place, is_word, 1.0)
        tl.store(steps + at, tl.load(steps + at, inside, 0.0) * scale[:, None], inside)
        powers += tl.sum(1023 - (scale.to(tl.int64, bitcast=True) >> 52).to(tl.int32), axis=0)
        closing += tl.sum(tl.where(top + row == length - 1, total, 0.0), axis=0)
        log_z += tl.sum(tl.load(word_heights + place, is_word, 0.0), axis=0)
    closing = tl.where(faults == 0, closing, 1.0)
    log_z += (powers.to(tl.float64) - 2 * LIFT) * LOG_2 + tl.log(closing)
    tl.store(log_partition + sentence, log_z)
    tl.store(exact + sentence, faults == 0)
    # Else one thread's zero might be overtaken by what another stored.
    tl.debug_barrier()
    for top in range(0, tl.where(faults > 0, length, 0), ROWS):
        inside = (top + row < length)[:, None] & (tag < tags)[None, :]
        at = (sentence * words + top + row)[:, None] * tags + tag[None, :]
        nothing = tl.zeros([ROWS, COLUMNS], tl.float64)
        tl.store(before + at, nothing, inside)
        tl.store(onward + at, nothing, inside)
        tl.store(after + at, nothing, inside)
        tl.store(steps + at, nothing, inside)


@triton.jit
@no_type_check
def _along(direction, before, onward, at, forth, back, tags, COLUMNS: tl.constexpr):
    """How a word's sums move by its own emissions: the sums times the direction."""
    tag = tl.arange(0, COLUMNS)
    sums = tl.load(before + at, tag < forth, other=0.0)
    # Backwards they stand with the word before.
    sums += tl.load(onward + at - tags, tag < back, other=0.0)
    return sums * tl.load(direction + at, tag < forth + back, other=0.0)


@triton.jit(do_not_specialize=["words"], do_not_specialize_on_alignment=PARTS)
@no_type_check
def tangent(
    direction, before, onward, steps, factors, lengths,
    moved_before, moved_onward, moved_after, words, tags,
    COLUMNS: tl.constexpr,
):  # fmt: skip
    """The derivative of `before`, or of `onward` and `after`, along a direction of the emissions.

    Scales hold still. Each word moves by its own emissions, and by the words that led to it.
    """
    sentence, backward = tl.program_id(0).to(tl.int64), tl.program_id(1)
    length = tl.load(lengths + sentence).to(tl.int32)
    tag = tl.arange(0, COLUMNS)
    forth, back = tags * (1 - backward), tags * backward
    factor = _matrix(factors + backward * tags * tags, 0, tags, 0.0, COLUMNS, COLUMNS)
    onto = 1 - 2 * backward
    place = sentence * words + (length - 1) * backward
    arrived = tl.zeros([COLUMNS], tl.float64)
    at, left = place * tags + tag, tl.minimum(length - 1, 1)
    along = _along(direction, before, onward, at, forth, back * left, tags, COLUMNS)
    step = tl.load(steps + at, tag < tags, other=0.0)
    for n in range(length):
        further = tl.minimum(tl.maximum(length - n - 2, 0), 1)
        at = place * tags + tag
        place += onto
        ahead = place * tags + tag
        coming = _along(
            direction, before, onward, ahead, forth * left, back * further, tags, COLUMNS
        )
        following = tl.load(steps + ahead, tag < tags * left, other=0.0)
        moved = along + arrived * step
        tl.store(moved_before + at, moved, tag < forth)
        tl.store(moved_after + at, arrived, tag < back)
        tl.store(moved_onward + at - tags, moved, tag < back * left)
        arrived = tl.sum(moved[:, None] * factor, axis=0)
        along, step, left = coming, following, further


@triton.jit(do_not_specialize=["by_sentence", "by_word", "words"])
@no_type_check
def score(
    emissions, by_sentence, by_word, by_tag, transitions, start, end, lengths, path, scores,
    words, tags, ROWS: tl.constexpr,
):  # fmt: skip
    """The score of one path of a sentence, ROWS words at a time."""
    sentence = tl.program_id(0).to(tl.int64)
    length = tl.load(lengths + sentence).to(tl.int32)
    emissions += sentence * by_sentence
    path += sentence * words
    found = tl.load(start + tl.load(path)).to(tl.float64)
    found += tl.load(end + tl.load(path + length - 1)).to(tl.float64)
    for top in range(0, length, ROWS):
        word = top + tl.arange(0, ROWS)
        is_word, has_previous = word < length, (word < length) & (word > 0)
        tag = tl.load(path + word, is_word, 0)
        place = tl.load(path + word - 1, has_previous, 0) * tags + tag
        own = tl.load(emissions + word * by_word + tag * by_tag, is_word, 0.0).to(tl.float64)
        found += tl.sum(
            own + tl.load(transitions + place, has_previous, 0.0).to(tl.float64), axis=0
        )
    tl.store(scores + sentence, found)


@triton.jit(do_not_specialize=["by_sentence", "by_word", "words"])
@no_type_check
def viterbi(
    emissions, by_sentence, by_word, by_tag, transitions, start, end,
    lengths, previous, paths, words, tags,
    COLUMNS: tl.constexpr,
):  # fmt: skip
    """The best path of a sentence; of equal predecessors the lowest tag is kept in `previous`."""
    sentence = tl.program_id(0).to(tl.int64)
    length = tl.load(lengths + sentence).to(tl.int32)
    tag = tl.arange(0, COLUMNS)
    moves = _matrix(transitions, 0, tags, float("-inf"), COLUMNS, COLUMNS)
    here = emissions + sentence * by_sentence + tag * by_tag
    best = tl.load(start + tag, tag < tags, other=float("-inf")).to(tl.float64)
    best += tl.load(here, tag < tags, other=float("-inf")).to(tl.float64)
    here += by_word
    coming = tl.load(here, tag < tl.where(length > 1, tags, 0), other=float("-inf"))
    for n in range(1, length):
        here += by_word
        further = tl.load(here, tag < tl.where(n + 1 < length, tags, 0), other=float("-inf"))
        arrived, came = tl.max(best[:, None] + moves, axis=0, return_indices=True)
        tl.store(previous + (sentence * words + n) * tags + tag, came.to(tl.int8), tag < tags)
        best = arrived + coming.to(tl.float64)
        coming = further
    best += tl.load(end + tag, tag < tags, other=float("-inf")).to(tl.float64)
    chosen = tl.argmax(best, axis=0)
    place = sentence * words + length - 1
    tl.store(paths + place, chosen.to(tl.int64))
    # What this thread reads now others have written.
    tl.debug_barrier()
    for _ in range(1, length):
        chosen = tl.load(previous + place * tags + chosen).to(tl.int32)
        place -= 1
        tl.store(paths + place, chosen.to(tl.int64))

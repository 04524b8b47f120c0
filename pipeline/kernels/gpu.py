"""Sums over all paths of a chain, and the best path, on a GPU: Triton programs, launched.

Padded tensors in and out, no project imports. emissions [batch, words, tags] are finite or -inf at
words and are not read at padding; transitions [from, to], start and end [tags] may hold -inf; all
may be float32 or float64, in any layout. `lengths` [batch] ≥ 1. Everything adds up in float64.

A program holds the transitions of up to MOST_TAGS tags in its registers, 32 factors a lane. Beyond
that they would come anew from the L2 cache for each word of each sentence: at 265 tags 0.6 MB, some
5 µs where a multiprocessor reads 64 bytes a cycle, which is no less than PyTorch needs for the same
word of the whole batch as one matrix product. So such lattices are left to `forward_backward`. (By
reckoning; not measured.)
"""

from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

MOST_TAGS = 128

BLOCK = 1024
"""Scores that a program takes at once where words do not wait for each other."""

REACH = 1e130
"""Where sums outgrow it, what underflowed might count; below, it is under 1e-190 of the total."""

FUSED = {"enable_fp_fusion": True}
"""Triton wants to be told; multiply-adds that round once only gain accuracy."""


class Pass(NamedTuple):
    """What a run found; 0 at padding, and where a sentence is not `exact`: log space does those.

    before(n, i): the scaled sum over all beginnings that end with tag i at word n. onward(n, j):
    that over all ends that begin with tag j at word n + 1, such that before(n, i)
    exp(transition(i, j)) onward(n, j) / exp(the highest transition) is p(tag n = i, tag n + 1 = j).
    after(n, i): that over all that may follow tag i at word n. steps(n, j): exp(emission) over the
    word's scale. factors: exp(transitions) over the largest, and that transposed. All in float64.
    """

    log_partition: Float[Tensor, " batch"]
    exact: Bool[Tensor, " batch"]
    before: Float[Tensor, "batch words tags"]
    onward: Float[Tensor, "batch words tags"]
    after: Float[Tensor, "batch words tags"]
    steps: Float[Tensor, "batch words tags"]
    factors: Float[Tensor, "2 tags tags"]

    @property
    def marginals(self) -> Float[Tensor, "batch words tags"]:
        """p(tag n = t); 0 at padding."""
        return self.before * self.after


class Tangents(NamedTuple):
    """Derivatives of a `Pass` along a direction of its emissions, its scales held still; 0 at
    padding. Σ_t before' · after + before · after' is that of log Z, at each word.
    """

    before: Float[Tensor, "batch words tags"]
    onward: Float[Tensor, "batch words tags"]
    after: Float[Tensor, "batch words tags"]


@cache
def available() -> bool:
    """Whether Triton is installed, and the GPU is one for which it compiles."""
    if find_spec("triton") is None or not torch.cuda.is_available():
        return False
    return torch.version.hip is not None or torch.cuda.get_device_capability() >= (8, 0)


def takes(emissions: Float[Tensor, "batch words tags"]) -> bool:
    """Whether the programs are for such emissions: where they are, and of how many tags."""
    return emissions.is_cuda and available() and emissions.shape[2] <= MOST_TAGS


@torch.no_grad()
def run(
    emissions: Float[Tensor, "batch words tags"],
    transitions: Float[Tensor, "tags tags"],
    start: Float[Tensor, " tags"],
    end: Float[Tensor, " tags"],
    lengths: Int[Tensor, " batch"],
) -> Pass:
    """Forward and backward sums of every sentence."""
    programs, columns, warps = _programs(emissions)
    batch, words, tags = emissions.shape
    lengths = lengths.contiguous()
    found = emissions.new_zeros(4, batch, words, tags, dtype=torch.float64)
    before, onward, after, steps = found.unbind()
    word_heights, scales = found.new_empty(2, batch, words).unbind()
    factors, edges, heights = (found.new_empty(2, *x) for x in ((tags, tags), (tags,), ()))
    log_partition, exact = found.new_empty(batch), lengths.new_empty(batch, dtype=torch.bool)
    rows = BLOCK // columns
    with torch.cuda.device_of(emissions):
        programs.raise_transitions[-(-tags // rows),](
            transitions.contiguous(), start.contiguous(), end.contiguous(), factors, edges, heights,
            tags, ROWS=rows, COLUMNS=columns, **FUSED,
        )  # fmt: skip
        programs.raise_words[batch, -(-words // rows)](
            emissions, *emissions.stride(), lengths, steps, word_heights, words, tags,
            ROWS=rows, COLUMNS=columns, **FUSED,
        )  # fmt: skip
        programs.reach[batch, 2](
            steps, factors, edges, lengths, before, onward, after, scales, words, tags,
            COLUMNS=columns, num_warps=warps, **FUSED,
        )  # fmt: skip
        programs.normalise[batch,](
            before, onward, after, steps, scales, heights, word_heights, lengths,
            log_partition, exact, words, tags, REACH=REACH, ROWS=rows, COLUMNS=columns, **FUSED,
        )  # fmt: skip
    return Pass(log_partition, exact, before, onward, after, steps, factors)


@torch.no_grad()
def tangents(
    found: Pass, direction: Float[Tensor, "batch words tags"], lengths: Int[Tensor, " batch"]
) -> Tangents:
    """How the sums of a run move as its emissions do; any direction at padding."""
    programs, columns, warps = _programs(direction)
    batch, words, tags = direction.shape
    moved = direction.new_zeros(3, batch, words, tags, dtype=torch.float64)
    before, onward, after = moved.unbind()
    with torch.cuda.device_of(direction):
        programs.tangent[batch, 2](
            direction.contiguous(), found.before, found.onward, found.steps, found.factors,
            lengths.contiguous(), before, onward, after, words, tags,
            COLUMNS=columns, num_warps=warps, **FUSED,
        )  # fmt: skip
    return Tangents(before, onward, after)


@torch.no_grad()
def score(
    emissions: Float[Tensor, "batch words tags"],
    transitions: Float[Tensor, "tags tags"],
    start: Float[Tensor, " tags"],
    end: Float[Tensor, " tags"],
    lengths: Int[Tensor, " batch"],
    path: Int[Tensor, "batch words"],
) -> Float[Tensor, " batch"]:
    """The score of one path a sentence, in float64; tags at padding may be any."""
    programs, columns, _ = _programs(emissions)
    batch, words, tags = emissions.shape
    scores = emissions.new_empty(batch, dtype=torch.float64)
    with torch.cuda.device_of(emissions):
        programs.score[batch,](
            emissions, *emissions.stride(), transitions.contiguous(), start.contiguous(),
            end.contiguous(), lengths.contiguous(), path.contiguous(), scores, words, tags,
            ROWS=BLOCK // columns, **FUSED,
        )  # fmt: skip
    return scores


@torch.no_grad()
def viterbi(
    emissions: Float[Tensor, "batch words tags"],
    transitions: Float[Tensor, "tags tags"],
    start: Float[Tensor, " tags"],
    end: Float[Tensor, " tags"],
    lengths: Int[Tensor, " batch"],
) -> Int[Tensor, "batch words"]:
    """The best path, 0 at padding; of equal ones, that with the lowest tags, last word first."""
    programs, columns, warps = _programs(emissions)
    batch, words, tags = emissions.shape
    previous = emissions.new_empty(batch, words, tags, dtype=torch.int8)
    paths = emissions.new_zeros(batch, words, dtype=torch.int64)
    with torch.cuda.device_of(emissions):
        programs.viterbi[batch,](
            emissions, *emissions.stride(), transitions.contiguous(), start.contiguous(),
            end.contiguous(), lengths.contiguous(), previous, paths, words, tags,
            COLUMNS=columns, num_warps=warps, **FUSED,
        )  # fmt: skip
    return paths


def _programs(like: Float[Tensor, "batch words tags"]) -> tuple[ModuleType, int, int]:
    """The compiled programs, the columns that they pad tags to, and warps for 32 factors a lane."""
    from pipeline.kernels import programs

    tags = like.shape[2]
    if not 1 <= tags <= MOST_TAGS:
        raise ValueError(f"tags: expected 1 to {MOST_TAGS}, found {tags}")
    columns = max(16, 1 << (tags - 1).bit_length())
    return programs, columns, max(1, columns**2 // 1024)

"""The compiled sums as differentiable functions of tensors on a CPU.

Emissions [batch, words, tags] float32 or float64, anything at padding; transitions [from, to],
start and end [tags]; `lengths` [batch] ≥ 1. Each function also says which sentences are exact: the
others have no gradient here and no value worth reading.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from pipeline.kernels import sums


class Arrays(NamedTuple):
    """A batch as the kernels of sums.py and paths.py read it."""

    rows: Float[np.ndarray, "rows tags"]
    first: Int[np.ndarray, " sentences"]
    lengths: Int[np.ndarray, " sentences"]
    transitions: Float[np.ndarray, "tags tags"]
    start: Float[np.ndarray, " tags"]
    end: Float[np.ndarray, " tags"]


def arrays(scores: Sequence[Tensor], lengths: Int[Tensor, " batch"]) -> Arrays:
    """Emissions as they lie in memory if they lie in order, the other scores in float64."""
    emissions, *between = (tensor.detach() for tensor in scores)
    batch, words, tags = emissions.shape
    rows = emissions.contiguous().numpy().reshape(-1, tags)
    first = np.arange(0, batch * words, words)
    others = (np.ascontiguousarray(tensor.numpy(), dtype=np.float64) for tensor in between)
    return Arrays(rows, first, lengths.numpy(), *others)


def log_partition(
    *scores: Tensor, lengths: Int[Tensor, " batch"]
) -> tuple[Float[Tensor, " batch"], Bool[Tensor, " batch"]]:
    """log Z in float64, of `scores`: emissions, transitions, start, end."""
    if _learnt(scores):
        return _LogPartition.apply(lengths, None, *scores)
    return _value(arrays(scores, lengths), None)


def nll(
    *scores: Tensor, lengths: Int[Tensor, " batch"], gold: Int[Tensor, "batch words"]
) -> tuple[Float[Tensor, " batch"], Bool[Tensor, " batch"]]:
    """log Z - score(gold) in float64; tags at padding may be any."""
    if _learnt(scores):
        return _LogPartition.apply(lengths, gold, *scores)
    return _value(arrays(scores, lengths), gold)


def log_marginals(
    *scores: Tensor, lengths: Int[Tensor, " batch"]
) -> tuple[Float[Tensor, "batch words tags"], Bool[Tensor, " batch"]]:
    """log p(tag n = t) in the type of the emissions; 0 at padding."""
    if _learnt(scores):
        return _LogMarginals.apply(lengths, *scores)
    found, _ = sums.run(*arrays(scores, lengths), logs=True, threads=torch.get_num_threads())
    logs = torch.from_numpy(found.log_marginals).view(scores[0].shape)
    return logs, torch.from_numpy(found.exact)


def _learnt(scores: Sequence[Tensor]) -> bool:
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in scores)


def _value(of: Arrays, gold: Tensor | None) -> tuple[Tensor, Tensor]:
    """log Z, less the score of a path if one is given."""
    found, _ = sums.run(*of, threads=torch.get_num_threads())
    value = found.log_partition
    if gold is not None:
        with np.errstate(invalid="ignore"):  # -inf from -inf where every path is forbidden
            value = value - sums.scores(*of, gold.reshape(-1).numpy())
    return torch.from_numpy(value), torch.from_numpy(found.exact)


class _LogPartition(torch.autograd.Function):
    """log Z, less the score of a path if one is given: value and gradient from the same run."""

    @staticmethod
    def forward(ctx: Any, lengths: Tensor, gold: Tensor | None, *scores: Tensor) -> tuple:
        path = None if gold is None else gold.reshape(-1).numpy()
        ctx.like, ctx.of = scores, arrays(scores, lengths)
        ctx.found = sums.differentiate(*ctx.of, path, threads=torch.get_num_threads())
        exact = torch.from_numpy(ctx.found.exact)
        ctx.mark_non_differentiable(exact)
        return torch.from_numpy(ctx.found.value), exact

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, weights: Float[Tensor, " batch"], _: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Marginals and expected transitions, less those of the path."""
        of = ctx.of
        found = sums.weigh(ctx.found, weights.contiguous().numpy(), of.first, of.lengths)
        return None, None, *_alike(found, ctx.like)


class _LogMarginals(torch.autograd.Function):
    """log p(tag n = t)."""

    @staticmethod
    def forward(ctx: Any, lengths: Tensor, *scores: Tensor) -> tuple:
        ctx.like, ctx.of = scores, arrays(scores, lengths)
        threads = torch.get_num_threads()
        found, ctx.pieces = sums.run(*ctx.of, logs=True, keep=True, threads=threads)
        exact = torch.from_numpy(found.exact)
        ctx.mark_non_differentiable(exact)
        return torch.from_numpy(found.log_marginals).view(scores[0].shape), exact

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, weights: Float[Tensor, "batch words tags"], _: Tensor
    ) -> tuple[Tensor | None, ...]:
        """A marginal under 1e-130 passes no gradient on."""
        of, pieces = ctx.of, ctx.pieces
        emissions = np.zeros_like(of.rows)
        left, right = sums.tangents(
            pieces, weights.contiguous().numpy().reshape(of.rows.shape), emissions,
            of.first, of.lengths, of.transitions, threads=torch.get_num_threads(),
        )  # fmt: skip
        pairs = _pairs(of, left, pieces.onward) + _pairs(of, pieces.before, right)
        edges = sums.edges(emissions, of.first, of.lengths)
        return None, *_alike((emissions, pairs, *edges), ctx.like)


def _pairs(of: Arrays, left: np.ndarray, right: np.ndarray) -> Float[np.ndarray, "tags tags"]:
    """Σ over words of left(from) · right(to), times exp(transition).

    0 where that has outgrown float64: between tags that are next to impossible side by side.
    """
    tags = of.rows.shape[1]
    product = torch.from_numpy(left).T @ torch.from_numpy(right)
    factors = np.exp(of.transitions - sums.highest(of.transitions))
    with np.errstate(invalid="ignore", over="ignore"):
        pairs = product.numpy()[:tags, :tags] * factors
    return np.nan_to_num(pairs, nan=0.0, posinf=0.0, neginf=0.0)


def _alike(gradients: Sequence[np.ndarray], scores: Sequence[Tensor]) -> list[Tensor]:
    """Gradients in shape and type like the scores."""
    return [
        torch.from_numpy(gradient).reshape(tensor.shape).to(tensor.dtype)
        for gradient, tensor in zip(gradients, scores, strict=True)
    ]

"""The compiled sums as differentiable functions of tensors on a CPU.

Emissions [batch, words, tags] float32 or float64, anything at padding; transitions [from, to],
start and end [tags]; `lengths` [batch] ≥ 1. Each function also says which sentences are exact: the
others have no gradient here and no value worth reading.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from pipeline.kernels import sums


def log_partition(
    *scores: Tensor, lengths: Int[Tensor, " batch"]
) -> tuple[Float[Tensor, " batch"], Bool[Tensor, " batch"]]:
    """log Z in float64, of `scores`: emissions, transitions, start, end."""
    return _LogPartition.apply(lengths, None, *scores)


def nll(
    *scores: Tensor, lengths: Int[Tensor, " batch"], gold: Int[Tensor, "batch words"]
) -> tuple[Float[Tensor, " batch"], Bool[Tensor, " batch"]]:
    """log Z - score(gold) in float64; tags at padding may be any."""
    return _LogPartition.apply(lengths, gold, *scores)


def log_marginals(
    *scores: Tensor, lengths: Int[Tensor, " batch"]
) -> tuple[Float[Tensor, "batch words tags"], Bool[Tensor, " batch"]]:
    """log p(tag n = t) in the type of the emissions; 0 at padding."""
    return _LogMarginals.apply(lengths, *scores)


class _LogPartition(torch.autograd.Function):
    """log Z, less the score of a path if one is given: value and gradient from the same run."""

    @staticmethod
    def forward(ctx: Any, lengths: Tensor, gold: Tensor | None, *scores: Tensor) -> tuple:
        chain = _Chain(lengths, *scores)
        path = None if gold is None else gold.reshape(-1).numpy()
        if any(ctx.needs_input_grad):
            ctx.chain, ctx.found = chain, chain.differentiate(path)
            value, exact = ctx.found[:2]
        else:
            value, exact, _ = chain.run()[0]
            if path is not None:
                with np.errstate(invalid="ignore"):  # -inf from -inf where all is forbidden
                    value = value - chain.scores(path)
        exact = torch.from_numpy(exact)
        ctx.mark_non_differentiable(exact)
        return torch.from_numpy(value), exact

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, weights: Float[Tensor, " batch"], _: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Marginals and expected transitions, less those of the path."""
        chain = ctx.chain
        found = sums.weigh(ctx.found, weights.contiguous().numpy(), chain.first, chain.lengths)
        return None, None, *chain.gradients(*found)


class _LogMarginals(torch.autograd.Function):
    """log p(tag n = t)."""

    @staticmethod
    def forward(ctx: Any, lengths: Tensor, *scores: Tensor) -> tuple:
        ctx.chain = chain = _Chain(lengths, *scores)
        found, ctx.pieces = chain.run(logs=True, keep=any(ctx.needs_input_grad))
        exact = torch.from_numpy(found.exact)
        ctx.mark_non_differentiable(exact)
        return torch.from_numpy(found.log_marginals).reshape(scores[0].shape), exact

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, weights: Float[Tensor, "batch words tags"], _: Tensor
    ) -> tuple[Tensor | None, ...]:
        """A marginal under 1e-130 passes no gradient on."""
        chain, pieces, threads = ctx.chain, ctx.pieces, torch.get_num_threads()
        wanted, emissions = weights.contiguous().numpy(), np.zeros_like(chain.rows)
        left, right = sums.tangents(
            pieces, wanted.reshape(emissions.shape), emissions, chain.first, chain.lengths,
            chain.transitions, threads=threads,
        )  # fmt: skip
        pairs = chain.pairs(left, pieces.onward) + chain.pairs(pieces.before, right)
        return None, *chain.gradients(
            emissions, pairs, *sums.edges(emissions, chain.first, chain.lengths)
        )


class _Chain:
    """A batch as the kernels read it."""

    def __init__(self, lengths: Tensor, emissions: Tensor, *between: Tensor) -> None:
        self.like = (emissions, *between)
        batch, words, tags = emissions.shape
        self.rows = emissions.detach().contiguous().numpy().reshape(-1, tags)
        self.first, self.lengths = np.arange(batch) * words, lengths.numpy()
        self.transitions, self.start, self.end = (
            scores.detach().double().contiguous().numpy() for scores in between
        )

    def run(self, **wanted: bool) -> tuple[sums.Sums, sums.Pieces]:
        """Forward and backward sums of every sentence."""
        return sums.run(
            self.rows, self.first, self.lengths, self.transitions, self.start, self.end,
            threads=torch.get_num_threads(), **wanted,
        )  # fmt: skip

    def differentiate(self, path: np.ndarray | None) -> sums.Gradients:
        """log Z of every sentence, less the path's score, with gradients."""
        return sums.differentiate(
            self.rows, self.first, self.lengths, self.transitions, self.start, self.end, path,
            threads=torch.get_num_threads(),
        )  # fmt: skip

    def scores(self, path: np.ndarray) -> np.ndarray:
        """The score of one path a sentence."""
        return sums.scores(
            self.rows, self.first, self.lengths, self.transitions, self.start, self.end, path
        )

    def pairs(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Σ over words of left(from) · right(to), times exp(transition)."""
        tags = self.rows.shape[1]
        product = torch.from_numpy(left).T @ torch.from_numpy(right)
        factors = np.exp(self.transitions - sums.highest(self.transitions))
        return product.numpy()[:tags, :tags] * factors

    def gradients(self, *found: np.ndarray) -> list[Tensor]:
        """Like the scores."""
        return [
            torch.from_numpy(gradient).reshape(scores.shape).to(scores.dtype)
            for gradient, scores in zip(found, self.like, strict=True)
        ]

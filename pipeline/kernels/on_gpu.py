"""The GPU's sums as differentiable functions of tensors, as compiled.py has them for a CPU.

Emissions [batch, words, tags] float32 or float64, anything at padding; transitions [from, to],
start and end [tags]; `lengths` [batch] ≥ 1. Each function also says which sentences are exact: the
others have no gradient here and no value worth reading.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from pipeline.kernels import gpu


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
        emissions, transitions, start, end = scores
        found = gpu.run(emissions, transitions, start, end, lengths)
        value = found.log_partition
        if gold is not None:
            value = value - gpu.score(emissions, transitions, start, end, lengths, gold)
        ctx.found, ctx.lengths, ctx.gold, ctx.like = found, lengths, gold, scores
        ctx.mark_non_differentiable(found.exact)
        return value, found.exact

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, weights: Float[Tensor, " batch"], _: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Marginals and expected transitions, less those of the path."""
        found, weights = ctx.found, weights[:, None, None]
        left = found.before * weights
        emissions, pairs = left * found.after, _pairs(left, found.onward) * found.factors[0]
        if ctx.gold is not None:
            _subtract_path(emissions, pairs, weights, ctx.lengths, ctx.gold)
        return None, None, *_gradients(ctx.like, ctx.lengths, emissions, pairs)


class _LogMarginals(torch.autograd.Function):
    """log p(tag n = t)."""

    @staticmethod
    def forward(ctx: Any, lengths: Tensor, *scores: Tensor) -> tuple:
        emissions, transitions, start, end = scores
        found = gpu.run(emissions, transitions, start, end, lengths)
        logs = (found.before.log() + found.after.log()).to(emissions.dtype)
        ctx.found, ctx.lengths, ctx.like = found, lengths, scores
        ctx.mark_non_differentiable(found.exact)
        return logs.where(_before(lengths, logs), 0.0), found.exact

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, weights: Float[Tensor, "batch words tags"], _: Tensor
    ) -> tuple[Tensor | None, ...]:
        """A marginal under 1e-130 passes no gradient on."""
        found, marginals = ctx.found, ctx.found.marginals
        direction = torch.where(marginals > 1 / gpu.REACH, weights / marginals, 0.0)
        moved = gpu.tangents(found, direction, ctx.lengths)
        joint = moved.before * found.after + found.before * moved.after
        drift = joint.sum(dim=2, keepdim=True)
        pairs = _pairs(moved.before - found.before * drift, found.onward)
        pairs = (pairs + _pairs(found.before, moved.onward)) * found.factors[0]
        # Between tags next to impossible side by side it has outgrown float64.
        pairs = pairs.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        return None, *_gradients(ctx.like, ctx.lengths, joint - marginals * drift, pairs)


def _pairs(left: Tensor, right: Tensor) -> Float[Tensor, "tags tags"]:
    """Σ over sentences and words of left(from) · right(to)."""
    return left.flatten(0, 1).T @ right.flatten(0, 1)


def _before(places: Int[Tensor, " batch"], like: Tensor) -> Bool[Tensor, "batch words 1"]:
    """True at the first `places` words."""
    return (torch.arange(like.shape[1], device=like.device) < places[:, None])[:, :, None]


def _subtract_path(
    emissions: Tensor, pairs: Tensor, weights: Tensor, lengths: Tensor, path: Tensor
) -> None:
    """The gradient of its score, from those of emissions and transitions; each time the same."""
    path = path.where(_before(lengths, emissions)[:, :, 0], 0)
    emissions.scatter_add_(2, path[:, :, None], -weights * _before(lengths, emissions))
    places = path[:, :-1] * pairs.shape[1] + path[:, 1:]
    counted = -weights * _before(lengths - 1, places)
    pairs.view(-1).index_put_((places.flatten(),), counted.flatten(), accumulate=True)


def _gradients(
    like: tuple[Tensor, ...], lengths: Tensor, emissions: Tensor, pairs: Tensor
) -> list[Tensor]:
    """Of emissions, transitions, start and end, like these, given the first two."""
    last = (lengths - 1)[:, None, None].expand(-1, 1, emissions.shape[2])
    edges = (emissions[:, 0].sum(dim=0), emissions.gather(1, last).sum(dim=(0, 1)))
    return [
        gradient.to(scores.dtype)
        for gradient, scores in zip((emissions, pairs, *edges), like, strict=True)
    ]

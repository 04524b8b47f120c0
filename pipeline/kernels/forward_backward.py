"""Sums over all paths of a chain by forward-backward in scaled probabilities, with gradients.

Float64 tensors in and out, no project imports. emissions [batch, words, tags] are finite or -inf,
and 0 past `lengths` [batch] ≥ 1; transitions [from, to], start and end [tags] may hold -inf.

Both directions run as one loop of matrix products, with no exponential inside it and no autograd
graph over words. What this cannot do is bring back a tag that fell 700 nats behind and proves
needed when the others are forbidden: `Pass.exact` tells, and log_space.py does such sentences.

For devices without kernels of their own, and to judge those by.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

REACH = 1e130
"""300 nats of the 708 that float64 holds: whatever is lost stays under e^-400 of the sum."""


class Pass(NamedTuple):
    """What a run in both directions found; each word's numbers have a scale of their own.

    before(n, t): the sum over all beginnings that end with tag t at word n. onward(n, t): over all
    ends that begin with tag t at word n + 1. after(n, t): over all that may follow tag t at word n.
    total(n): Σ_t before · after. At padding they are 0, and total is 1. `steps` and `factors` are
    what the loop multiplied by: exp(emissions) / scale in both directions, exp(transitions).
    """

    before: Float[Tensor, "batch words tags"]
    onward: Float[Tensor, "batch words tags"]
    after: Float[Tensor, "batch words tags"]
    total: Float[Tensor, "batch words 1"]
    reached: Float[Tensor, "words 2 batch tags"]
    steps: Float[Tensor, "words 2 batch tags"]
    factors: Float[Tensor, "2 tags tags"]
    lengths: Int[Tensor, " batch"]
    log_partition: Float[Tensor, " batch"]
    exact: Bool[Tensor, " batch"]

    @property
    def marginals(self) -> Float[Tensor, "batch words tags"]:
        """p(tag n = t); 0 at padding."""
        return self.before * self.after / self.total


@torch.no_grad()
def run(
    emissions: Float[Tensor, "batch words tags"],
    transitions: Float[Tensor, "tags tags"],
    start: Float[Tensor, " tags"],
    end: Float[Tensor, " tags"],
    lengths: Int[Tensor, " batch"],
) -> Pass:
    """Forward and backward sums of every sentence."""
    steps, heights = _exp(_both_ways(emissions, lengths), (3,))
    factor, between = _exp(transitions, (0, 1))
    (first, begun), (last, ended) = _exp(start, (0,)), _exp(end, (0,))
    steps[:1] *= torch.stack([first, last])[:, None]
    factors = torch.stack([factor, factor.T])
    reached, scales = _multiply(steps, factors)

    before, onward = _one_way(reached, lengths)
    is_word, has_next = _is_word(before, lengths), _is_word(before, lengths - 1)
    after = torch.where(has_next, onward @ factor.T, torch.where(is_word, last, 0.0))
    total = torch.where(is_word, (before * after).sum(dim=2, keepdim=True), 1.0)

    logs = torch.where(is_word, (scales.log() + heights)[:, 0].transpose(0, 1), 0.0).sum(dim=(1, 2))
    closing = total[:, :, 0].gather(1, lengths[:, None] - 1)[:, 0].log()
    constant = (lengths - 1) * between.squeeze() + begun.squeeze() + ended.squeeze()
    kept = (scales > 1 / REACH).all(dim=1).transpose(0, 1)
    level = after.amax(dim=2, keepdim=True) < REACH * total
    exact = ((kept & level) | ~is_word).flatten(1).all(dim=1)
    rough = ~exact[:, None]
    before, onward, after = (x.masked_fill(rough[:, :, None], 0.0) for x in (before, onward, after))
    return Pass(
        before, onward, after, total.masked_fill(rough[:, :, None], 1.0),
        reached.masked_fill(rough, 0.0), (steps / scales).masked_fill(rough, 0.0), factors, lengths,
        log_partition=logs + closing + constant, exact=exact,
    )  # fmt: skip


def log_partition(
    *scores: Tensor, lengths: Int[Tensor, " batch"]
) -> tuple[Float[Tensor, " batch"], Bool[Tensor, " batch"]]:
    """log Z in float64, of `scores`: emissions, transitions, start, end; and which are exact."""
    emissions, transitions, start, end = _doubled(scores, lengths)
    found = run(emissions, transitions, start, end, lengths)
    return LogPartition.apply(found, emissions, transitions, start, end), found.exact


def log_marginals(
    *scores: Tensor, lengths: Int[Tensor, " batch"]
) -> tuple[Float[Tensor, "batch words tags"], Bool[Tensor, " batch"]]:
    """log p(tag n = t) in float64, 0 at padding; and which are exact."""
    emissions, transitions, start, end = _doubled(scores, lengths)
    found = run(emissions, transitions, start, end, lengths)
    return LogMarginals.apply(found, emissions, transitions, start, end), found.exact


def nll(
    *scores: Tensor, lengths: Int[Tensor, " batch"], gold: Int[Tensor, "batch words"]
) -> tuple[Float[Tensor, " batch"], Bool[Tensor, " batch"]]:
    """log Z - score(gold) in float64; tags at padding may be any. And which are exact."""
    logs, exact = log_partition(*scores, lengths=lengths)
    return logs - score(*scores, lengths=lengths, path=gold), exact


def score(
    *scores: Tensor, lengths: Int[Tensor, " batch"], path: Int[Tensor, "batch words"]
) -> Float[Tensor, " batch"]:
    """The score of one path a sentence, in float64; tags at padding may be any."""
    emissions, transitions, start, end = _doubled(scores, lengths)
    places = torch.arange(path.shape[1], device=path.device)
    path = torch.where(places < lengths[:, None], path, 0)
    words = emissions.gather(2, path[:, :, None])[:, :, 0]
    has_next = places[1:] < lengths[:, None]
    steps = torch.where(has_next, transitions[path[:, :-1], path[:, 1:]], 0.0)
    borders = start[path[:, :1]] + end[path.gather(1, lengths[:, None] - 1)]
    return words.sum(dim=1) + steps.sum(dim=1) + borders.sum(dim=1)


def _doubled(scores: tuple[Tensor, ...], lengths: Tensor) -> tuple[Tensor, ...]:
    """In float64, emissions 0 at padding."""
    emissions = torch.where(_is_word(scores[0], lengths), scores[0], 0.0)
    return tuple(part.double() for part in (emissions, *scores[1:]))


class LogPartition(torch.autograd.Function):
    """log Z of a `run`. Its gradient: marginals and expected transitions."""

    @staticmethod
    def forward(ctx: Any, found: Pass, *scores: Tensor) -> Float[Tensor, " batch"]:
        """`scores`: emissions, transitions, start, end of the run; only their gradients matter."""
        ctx.found = found
        return found.log_partition.clone()

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, weights: Float[Tensor, " batch"]
    ) -> tuple[Tensor | None, ...]:
        """Sums over sentences where a score is shared."""
        found, weights = ctx.found, weights[:, None, None]
        pairs = _pairs(found.before * weights / found.total, found.onward)
        return None, *_gradients(found, found.marginals * weights, pairs)


class LogMarginals(torch.autograd.Function):
    """log p(tag n = t) of a `run`; 0 at padding.

    Marginals are first derivatives of log Z, so their Jacobian is symmetric, and what backward
    must multiply by it is the derivative of a run along one direction of the emissions.
    """

    @staticmethod
    def forward(ctx: Any, found: Pass, *scores: Tensor) -> Float[Tensor, "batch words tags"]:
        """`scores`: emissions, transitions, start, end of the run; only their gradients matter."""
        ctx.found = found
        logs = found.before.log() + found.after.log() - found.total.log()
        return torch.where(_is_word(logs, found.lengths), logs, 0.0)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, weights: Float[Tensor, "batch words tags"]
    ) -> tuple[Tensor | None, ...]:
        """A marginal under e^-300 passes no gradient on."""
        found, marginals = ctx.found, ctx.found.marginals
        direction = torch.where(marginals > 1 / REACH, weights / marginals, 0.0)
        before, onward = _one_way(_tangent(found, direction), found.lengths)
        joint = before * found.after + found.before * (onward @ found.factors[1])
        drift = joint.sum(dim=2, keepdim=True) / found.total
        pairs = _pairs((before - found.before * drift) / found.total, found.onward)
        pairs += _pairs(found.before / found.total, onward)
        return None, *_gradients(found, joint / found.total - marginals * drift, pairs)


def _multiply(steps: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
    """Vector times matrix times step, word after word, each divided by its maximum [..., 1]."""
    reached, scales = torch.empty_like(steps), torch.empty_like(steps[..., :1])
    for n, step in enumerate(steps):
        ahead = step if n == 0 else torch.bmm(reached[n - 1], factors).mul_(step)
        torch.amax(ahead, dim=2, keepdim=True, out=scales[n])
        torch.div(ahead, scales[n], out=reached[n])
    return reached, scales


def _tangent(found: Pass, direction: Tensor) -> Float[Tensor, "words 2 batch tags"]:
    """The derivative of `reached` as the emissions move along `direction`, scales held still."""
    moved = found.reached * _both_ways(direction, found.lengths)
    for n in range(1, len(moved)):
        moved[n] += torch.bmm(moved[n - 1], found.factors).mul_(found.steps[n])
    return moved


def _pairs(left: Tensor, right: Tensor) -> Float[Tensor, "tags tags"]:
    """Σ over sentences and words of left(from) · right(to)."""
    return left.flatten(0, 1).T @ right.flatten(0, 1)


def _gradients(
    found: Pass, emissions: Tensor, pairs: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of emissions, transitions, start and end from those of words and of pairs.

    A pair's is 0 where it has outgrown float64: between tags next to impossible side by side.
    """
    last = (found.lengths - 1)[:, None, None].expand(-1, 1, emissions.shape[2])
    first, final = emissions[:, :1].sum(dim=(0, 1)), emissions.gather(1, last).sum(dim=(0, 1))
    between = (pairs * found.factors[0]).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    return emissions, between, first, final


def _both_ways(x: Float[Tensor, "batch words tags"], lengths: Tensor) -> Tensor:
    """[words, 2, batch, tags]: each sentence as it stands, and from its last word to its first.

    Both begin at 0, so what follows a sentence's end can do no harm.
    """
    return torch.stack([x.transpose(0, 1), _backwards(x, lengths).transpose(0, 1)], dim=1)


def _one_way(x: Float[Tensor, "words 2 batch tags"], lengths: Tensor) -> tuple[Tensor, Tensor]:
    """[batch, words, tags] twice: forward at word n, backward at word n + 1; 0 at padding."""
    forward, backward = x.transpose(0, 2).unbind(1)
    onward = _backwards(backward, lengths).roll(-1, dims=1)
    is_word, has_next = _is_word(forward, lengths), _is_word(onward, lengths - 1)
    return torch.where(is_word, forward, 0.0), torch.where(has_next, onward, 0.0)


def _backwards(x: Float[Tensor, "batch words tags"], lengths: Tensor) -> Tensor:
    """Each sentence from its last word to its first; any of its words at padding."""
    places = (lengths[:, None] - 1 - torch.arange(x.shape[1], device=x.device)).clamp(min=0)
    return x.gather(1, places[:, :, None].expand(x.shape))


def _is_word(like: Float[Tensor, "batch words tags"], lengths: Tensor) -> Tensor:
    """[batch, words, 1]: True at the first `lengths` words."""
    return (torch.arange(like.shape[1], device=like.device) < lengths[:, None])[:, :, None]


def _exp(x: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """exp(x - m) and m, the maximum over `dims`; m is 0 where all are -inf."""
    most = x.amax(dim=dims, keepdim=True)
    most = torch.where(most == -torch.inf, 0.0, most)
    return (x - most).exp(), most

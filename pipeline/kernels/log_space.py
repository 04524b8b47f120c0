"""Sums over all paths of a chain in log space, the plain way: always right, and autograd does it.

Float64 tensors in and out, no project imports. emissions [batch, words, tags] are finite or -inf,
and 0 past `lengths` [batch] ≥ 1; transitions [from, to], start and end [tags] may hold -inf.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

FORBIDDEN = -1e30
"""Stands for -inf, whose gradients would be NaN; no real score comes near it."""

NEVER = FORBIDDEN / 10
"""A sum below this is over forbidden paths alone."""


class LogSums(NamedTuple):
    """log Σ exp(score) of all beginnings up to (word, tag), its emission among them; of all ends
    from there on, without it; of all paths. Any value at padding.
    """

    before: Float[Tensor, "batch words tags"]
    after: Float[Tensor, "batch words tags"]
    total: Float[Tensor, " batch"]
    mask: Bool[Tensor, "batch words"]


def run(
    emissions: Float[Tensor, "batch words tags"],
    transitions: Float[Tensor, "tags tags"],
    start: Float[Tensor, " tags"],
    end: Float[Tensor, " tags"],
    lengths: Int[Tensor, " batch"],
) -> LogSums:
    """The sums of every sentence."""
    emissions, transitions = emissions.clamp(min=FORBIDDEN), transitions.clamp(min=FORBIDDEN)
    start, end = start.clamp(min=FORBIDDEN), end.clamp(min=FORBIDDEN)
    before = [start + emissions[:, 0]]
    for word in emissions.unbind(1)[1:]:
        before.append(torch.logsumexp(before[-1][:, :, None] + transitions, dim=1) + word)
    after = [end.expand(emissions[:, 0].shape)]
    for n in range(emissions.shape[1] - 2, -1, -1):
        onward = torch.logsumexp(transitions + (emissions[:, n + 1] + after[-1])[:, None], dim=2)
        after.append(torch.where((n + 1 < lengths)[:, None], onward, end))
    total = torch.logsumexp(before[0] + after[-1], dim=1)
    mask = torch.arange(emissions.shape[1], device=lengths.device) < lengths[:, None]
    return LogSums(torch.stack(before, dim=1), torch.stack(after[::-1], dim=1), total, mask)


def log_partition(sums: LogSums) -> Float[Tensor, " batch"]:
    """log Z; -inf where every path is forbidden."""
    return torch.where(sums.total > NEVER, sums.total, -torch.inf)


def log_marginals(sums: LogSums) -> Float[Tensor, "batch words tags"]:
    """log p(tag n = t); 0 at padding, -inf for what no allowed path does."""
    logs, mask = sums.before + sums.after, sums.mask[:, :, None]
    return _log_shares(logs, sums.total[:, None, None], mask)


def pairwise_log_marginals(
    sums: LogSums,
    emissions: Float[Tensor, "batch words tags"],
    transitions: Float[Tensor, "tags tags"],
) -> Float[Tensor, "batch pairs tags tags"]:
    """log p(tag n = from, tag n + 1 = to); 0 and -inf as above."""
    onward = emissions[:, 1:].clamp(min=FORBIDDEN) + sums.after[:, 1:]
    logs = sums.before[:, :-1, :, None] + transitions.clamp(min=FORBIDDEN) + onward[:, :, None]
    return _log_shares(logs, sums.total[:, None, None, None], sums.mask[:, 1:, None, None])


def _log_shares(logs: Tensor, total: Tensor, mask: Tensor) -> Tensor:
    """log of each part of the total."""
    shares = torch.where((logs > NEVER) & (total > NEVER), logs - total, -torch.inf)
    return torch.where(mask, shares, 0.0)

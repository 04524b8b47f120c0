"""The textbook's algorithms in plain PyTorch, over the whole batch at once, without gradients.

Both say at padding what is easiest. Tensors: emissions [batch, words, tags], transitions
[from, to], start and end [tags], lengths [batch].
"""

import torch
from torch import Tensor

from pipeline.lattice import Lattice


@torch.no_grad()
def marginals(lattice: Lattice) -> Tensor:
    """p(tag n = t) [batch, words, tags] by forward-backward in log space, in the input's type."""
    emissions, transitions, lengths = lattice.emissions, lattice.transitions, lattice.lengths
    words = emissions.shape[1]
    before = [lattice.start + emissions[:, 0]]
    for n in range(1, words):
        before.append(torch.logsumexp(before[-1][:, :, None] + transitions, 1) + emissions[:, n])
    after = [lattice.end.expand_as(before[0])]
    for n in range(words - 2, -1, -1):
        onward = torch.logsumexp(transitions + (emissions[:, n + 1] + after[-1])[:, None], dim=2)
        after.append(torch.where((n + 1 < lengths)[:, None], onward, lattice.end))
    return _shares(torch.stack(before, 1), torch.stack(after[::-1], 1))


@torch.no_grad()
def marginals_longest_first(lattice: Lattice) -> Tensor:
    """The same, where a word costs only the sentences that reach it."""
    lengths, order = lattice.lengths.sort(descending=True)
    emissions, alive = lattice.emissions[order], _alive(lengths)
    before, after = torch.empty_like(emissions), lattice.end.expand_as(emissions).clone()
    before[:, 0] = lattice.start + emissions[:, 0]
    for n in range(1, len(alive)):
        some = slice(alive[n])
        arrived = torch.logsumexp(before[some, n - 1, :, None] + lattice.transitions, dim=1)
        before[some, n] = arrived + emissions[some, n]
    for n in range(len(alive) - 2, -1, -1):
        some = slice(alive[n + 1])
        onward = (emissions[some, n + 1] + after[some, n + 1])[:, None]
        after[some, n] = torch.logsumexp(lattice.transitions + onward, dim=2)
    return _shares(before, after)[order.argsort()]


def _shares(before: Tensor, after: Tensor) -> Tensor:
    total = torch.logsumexp(before[:, 0] + after[:, 0], dim=1)
    return (before + after - total[:, None, None]).exp()


@torch.no_grad()
def k_best(lattice: Lattice, k: int) -> tuple[Tensor, Tensor]:
    """Paths [batch, k, words] and scores [batch, k]: k beginnings for every tag, word after word.

    Of each tag's k · tags continuations a top-k keeps the best; -inf where there are fewer.
    Sentences go longest first, so that a word costs only those that reach it.
    """
    lengths, order = lattice.lengths.sort(descending=True)
    emissions, alive = lattice.emissions[order], _alive(lengths)
    batch, words, tags = emissions.shape
    best = torch.full((batch, tags, k), -torch.inf, dtype=emissions.dtype)
    best[:, :, 0] = lattice.start + emissions[:, 0]
    arriving = lattice.transitions.T[:, :, None]
    came_from = []
    for n in range(1, words):
        candidates = (best[: alive[n], None] + arriving).flatten(2)
        scores, places = candidates.topk(k, dim=2)
        best[: alive[n]] = scores + emissions[: alive[n], n, :, None]
        came_from.append(places.flatten(1))
    scores, state = (best + lattice.end[:, None]).flatten(1).topk(k, dim=1)
    states = torch.zeros(batch, k, words, dtype=torch.int64)
    for n in range(words - 1, -1, -1):
        states[: alive[n], :, n] = state[: alive[n]]
        if n:
            state[: alive[n]] = came_from[n - 1].gather(1, state[: alive[n]])
    back = order.argsort()
    return (states // k)[back], scores[back]


def _alive(lengths: Tensor) -> list[int]:
    """How many sentences, longest first, have an n-th word."""
    return [int((lengths > n).sum()) for n in range(int(lengths[0]))]

"""The lattice of a batch of sentences, and what is summed over its paths, all in nats.

Every model makes a `Lattice`, every objective is a function of one. Sums are computed in float64
whatever the lattice holds, because float32 in log space is off by 1e-3 just where a tagger is sure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pipeline.kernels import compiled, forward_backward, gpu, log_space, on_gpu
from pipeline.kernels.soundness import lengths_if_sound

SCORES = ("emissions", "transitions", "start", "end")


class NotNumbers(ValueError):
    """An emission is NaN or +inf: whoever trains may tell what to do about it."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """Scores of all tag sequences of a batch; a path's score is the sum of those along it.

    -inf forbids a transition, a start, an end, or a tag at a word. Each sentence has at least one
    word, and padding stands behind its words and may hold anything. Raises ValueError where shapes,
    types or mask disagree, or where a word's emission is NaN or +inf.
    """

    emissions: Float[Tensor, "batch words tags"]
    transitions: Float[Tensor, "tags tags"]  # [from, to]
    start: Float[Tensor, " tags"]
    end: Float[Tensor, " tags"]
    mask: Bool[Tensor, "batch words"]  # True at words
    vectors: Float[Tensor, "batch words numbers"] | None = None  # of words; no sum reads them

    def __post_init__(self) -> None:
        _check_shapes(self)
        _check_sentences(self)

    @cached_property
    def lengths(self) -> Int[Tensor, " batch"]:
        """How many words each sentence has."""
        return self.mask.sum(dim=1)

    def to(self, device: torch.device | str) -> "Lattice":
        """The same lattice on another device; this one where it is there already."""
        if self.mask.device == torch.device(device):
            return self
        scores = {name: getattr(self, name).to(device) for name in SCORES}
        vectors = None if self.vectors is None else self.vectors.to(device)
        return Lattice(**scores, mask=self.mask.to(device), vectors=vectors)

    def some(self, rows: Tensor) -> "Lattice":
        """The lattice of some sentences, by their numbers or by a mask."""
        vectors = None if self.vectors is None else self.vectors[rows]
        return replace(self, emissions=self.emissions[rows], mask=self.mask[rows], vectors=vectors)

    def double(self) -> "Lattice":
        """The same lattice with scores in float64."""
        return replace(self, **{name: getattr(self, name).double() for name in SCORES})


def log_partition(lattice: Lattice) -> Float[Tensor, " batch"]:
    """log Σ exp(score) over all paths; -inf where every path is forbidden."""
    return exact_log_partition(lattice).to(lattice.emissions.dtype)


def exact_log_partition(lattice: Lattice) -> Float[Tensor, " batch"]:
    """The same in float64, as it was summed: for differences of large numbers."""
    found, exact = _sums(lattice).log_partition(*_scores(lattice), lengths=lattice.lengths)
    return _mended(lattice, found, exact, _log_partition)


def log_marginals(lattice: Lattice) -> Float[Tensor, "batch words tags"]:
    """log p(tag n = t); 0 at padding, and -inf where no allowed path has that tag.

    Zero, so that a weighted sum over words needs no mask: 0 · -inf would be NaN. A marginal under
    e^-300 may come out as -inf and passes no gradient on.
    """
    found, exact = _sums(lattice).log_marginals(*_scores(lattice), lengths=lattice.lengths)
    return _mended(lattice, found, exact, _log_marginals).to(lattice.emissions.dtype)


def pairwise_log_marginals(lattice: Lattice) -> Float[Tensor, "batch pairs tags tags"]:
    """log p(tag n = from, tag n + 1 = to), n from 0; 0 at padding, -inf where forbidden.

    In log space throughout: for looking at, not for training. Memory: batch · words · tags².
    """
    chain = _chain(lattice)
    logs = log_space.pairwise_log_marginals(log_space.run(*chain), chain[0], chain[1])
    return logs.to(lattice.emissions.dtype)


def score(lattice: Lattice, path: Int[Tensor, "batch words"]) -> Float[Tensor, " batch"]:
    """The score of one path a sentence; tags at padding may be any, even out of range."""
    return _score(lattice, path).to(lattice.emissions.dtype)


def nll(lattice: Lattice, gold: Int[Tensor, "batch words"]) -> Float[Tensor, " batch"]:
    """-log p(gold); inf where the lattice forbids it."""
    found, exact = _sums(lattice).nll(*_scores(lattice), lengths=lattice.lengths, gold=gold)

    def plainly(part: Lattice) -> Tensor:
        possible = _score(part, gold[~exact, : part.mask.shape[1]])
        return torch.where(possible > -torch.inf, _log_partition(part) - possible, torch.inf)

    return _mended(lattice, found, exact, plainly).to(lattice.emissions.dtype)


def entropy(lattice: Lattice) -> Float[Tensor, " batch"]:
    """-Σ p(path) log p(path): of the first word, then of each word given the one before.

    At the cost of `pairwise_log_marginals`.
    """
    chain = _chain(lattice)
    sums = log_space.run(*chain)
    words = _entropies(log_space.log_marginals(sums))
    pairs = _entropies(log_space.pairwise_log_marginals(sums, chain[0], chain[1]))
    given = torch.where(lattice.mask[:, 1:], pairs - words[:, :-1], 0.0)
    return (words[:, 0] + given.sum(dim=1)).to(lattice.emissions.dtype)


def restrict(lattice: Lattice, allowed: Bool[Tensor, "batch words tags"]) -> Lattice:
    """The lattice over those paths alone whose every tag is allowed at its word."""
    return replace(lattice, emissions=lattice.emissions.masked_fill(~allowed, -torch.inf))


def temper(lattice: Lattice, temperature: float) -> Lattice:
    """p(path)^(1/temperature), normalised: all scores divided by it."""
    if not temperature > 0:
        raise ValueError(f"temperature: expected a number above 0, found {temperature}")
    return replace(lattice, **{name: getattr(lattice, name) / temperature for name in SCORES})


def pool(lattices: Sequence[Lattice]) -> Lattice:
    """The mean of lattices of the same words: a log-linear pool of their distributions."""
    if not lattices:
        raise ValueError("pool: expected at least one lattice, found none")
    first = lattices[0]
    for number, other in enumerate(lattices[1:], start=1):
        if other.emissions.shape != first.emissions.shape or not other.mask.equal(first.mask):
            raise ValueError(
                f"pool: lattice {number} is over other words or tags than lattice 0: "
                f"{tuple(other.emissions.shape)} and {tuple(first.emissions.shape)}, "
                f"lengths {other.lengths.tolist()} and {first.lengths.tolist()}"
            )
    means = {name: torch.stack([getattr(x, name) for x in lattices]).mean(dim=0) for name in SCORES}
    return Lattice(**means, mask=first.mask)


def _sums(lattice: Lattice) -> ModuleType:
    """What sums over paths where the lattice is."""
    if lattice.emissions.is_cpu:
        return compiled
    return on_gpu if gpu.takes(lattice.emissions) else forward_backward


def _mended(
    lattice: Lattice, found: Tensor, exact: Tensor, plainly: Callable[[Lattice], Tensor]
) -> Tensor:
    """What was found, with the sentences that are not exact done plainly, in log space."""
    if bool(exact.all()):
        return found
    return found.index_put((~exact,), plainly(lattice.some(~exact)).to(found.dtype))


def _log_partition(lattice: Lattice) -> Float[Tensor, " batch"]:
    return log_space.log_partition(log_space.run(*_chain(lattice)))


def _log_marginals(lattice: Lattice) -> Float[Tensor, "batch words tags"]:
    return log_space.log_marginals(log_space.run(*_chain(lattice)))


def _score(lattice: Lattice, path: Int[Tensor, "batch words"]) -> Float[Tensor, " batch"]:
    return forward_backward.score(*_scores(lattice), lengths=lattice.lengths, path=path)


def _scores(lattice: Lattice) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return lattice.emissions, lattice.transitions, lattice.start, lattice.end


def _entropies(logs: Float[Tensor, "batch words *tags"]) -> Float[Tensor, "batch words"]:
    """-Σ p log p over all but the first two axes, from log p; 0 log 0 is 0."""
    return -(logs.exp() * logs.clamp(min=-1e4)).flatten(2).sum(dim=2)


def _chain(lattice: Lattice) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Emissions (0 at padding), transitions, start and end in float64, and lengths."""
    emissions = torch.where(lattice.mask[:, :, None], lattice.emissions, 0.0).double()
    scores = (lattice.transitions.double(), lattice.start.double(), lattice.end.double())
    return emissions, *scores, lattice.lengths


def _check_shapes(lattice: Lattice) -> None:
    """One type, one number of tags, one mask for the emissions."""
    emissions = lattice.emissions
    if emissions.dim() != 3 or 0 in emissions.shape[1:]:
        found = list(emissions.shape)
        raise ValueError(f"emissions: expected [batch, words ≥ 1, tags ≥ 1], found {found}")
    if emissions.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"emissions: expected float32 or float64, found {emissions.dtype}")
    batch, words, tags = emissions.shape
    scores, like = emissions.dtype, f"to go with emissions {[batch, words, tags]}"
    expected = {
        "transitions": ((tags, tags), scores),
        "start": ((tags,), scores),
        "end": ((tags,), scores),
        "mask": ((batch, words), torch.bool),
    }
    for name, (shape, dtype) in expected.items():
        part = getattr(lattice, name)
        if part.shape != shape or part.dtype != dtype:
            found = f"{part.dtype} {list(part.shape)}"
            raise ValueError(f"{name}: expected {dtype} {list(shape)} {like}, found {found}")


def _check_sentences(lattice: Lattice) -> None:
    """Words first, then padding; at words, emissions are numbers or -inf."""
    mask, emissions = lattice.mask, lattice.emissions.detach()
    if emissions.is_cpu and mask.is_contiguous() and emissions.is_contiguous():
        lengths = lengths_if_sound(mask.numpy(), emissions.numpy())
        if lengths is not None:
            vars(lattice)["lengths"] = torch.from_numpy(lengths)  # where a cached property is kept
            return
    # One sum tells of nearly all batches that nothing is amiss; NaN and +inf survive it.
    elif mask[:, 0].all() and (mask[:, 1:] <= mask[:, :-1]).all() and emissions.sum() < torch.inf:
        return
    gap = (mask[:, 1:] & ~mask[:, :-1]).any(dim=1)
    wordless = ~mask.any(dim=1)
    broken = (~(emissions.amax(dim=2) < torch.inf) & mask).any(dim=1)
    if not (gap | wordless | broken).any():
        return
    for faults, kind, fault in (
        (wordless, ValueError, "mask: expected at least one word, found none"),
        (gap, ValueError, "mask: expected words, then padding, found a word behind padding"),
        (broken, NotNumbers, "emissions: expected numbers or -inf, found NaN or +inf at a word"),
    ):
        if faults.any():
            raise kind(f"sentence {int(faults.nonzero()[0])}: {fault}")

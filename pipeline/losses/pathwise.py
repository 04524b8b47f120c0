"""Objectives that take the teacher's best paths for an answer, one or many of them."""

from typing import Annotated, ClassVar, Literal, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from pipeline.config import settings
from pipeline.lattice import Lattice, exact_log_partition, log_partition, restrict
from pipeline.losses.schedules import Constant, Weight
from pipeline.losses.supervision import Gold, Loss, Reading, Targets
from pipeline.losses.temperature import Number

Count: TypeAlias = Annotated[int, Field(ge=1)]


@settings
class TopK:
    """-(1/k) Σ_i log p_student(path_i) over the teacher's k best paths.

    Source: Wang et al. 2020, equation 8.
    """

    reads: ClassVar[tuple[Reading, ...]] = ("paths",)
    kind: Literal["top_k"] = "top_k"
    weight: Weight = Constant()
    k: Count | None = None
    """How many of the extracted paths count; null: all of them."""

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """Mean negative log-likelihood of the paths that exist, in nats."""
        best = targets.best(self.k)
        return _expected_nll(student, best, torch.zeros_like(best.path_log_probs))


@settings
class TopWK:
    """-Σ_i w_i log p_student(path_i), w_i ∝ p_teacher(path_i)^(1/T) over its k best paths.

    Source: Wang et al. 2020, equation 9, where T = 1; as T grows it becomes `TopK`. No factor T²,
    since the student's side has no temperature: ours. The coarse grain of Zhou et al. 2021, CRF
    cross-entropy on surrogate labels, is the same (reconstruction from the abstract).
    """

    reads: ClassVar[tuple[Reading, ...]] = ("paths",)
    kind: Literal["top_wk"] = "top_wk"
    weight: Weight = Constant()
    temperature: Number = 1.0
    """Of the weights of the paths."""
    k: Count | None = None
    """How many of the extracted paths count; null: all of them."""

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """Weighted negative log-likelihood of the paths, in nats."""
        best = targets.best(self.k)
        return _expected_nll(student, best, best.path_log_probs / self.temperature)


@settings
class FuzzyPaths:
    """-log Σ_i p_student(path_i) over the teacher's k best paths.

    Asks that the student's path be among them, and not which. Never above `TopWK` less the entropy
    of its weights. Source: reconstruction of the fine grain, fuzzy learning, of Zhou et al. 2021:
    the reading as a set of paths.
    """

    reads: ClassVar[tuple[Reading, ...]] = ("paths",)
    kind: Literal["fuzzy_paths"] = "fuzzy_paths"
    weight: Weight = Constant()
    k: Count | None = None
    """How many of the extracted paths count; null: all of them."""

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """How unlikely it is that the student's path is one of them, in nats."""
        best = targets.best(self.k)
        found = scores(student, best.paths)
        possible = torch.isfinite(best.path_log_probs) & torch.isfinite(found)
        # Finite, as -inf alone in a row would leave no gradient.
        together = found.masked_fill(~possible, -1e30).logsumexp(dim=1)
        return torch.where(possible.any(dim=1), log_partition(student) - together, 0.0)


@settings
class FuzzyTags:
    """log Z - log Z', where Z' sums over those paths whose every tag is in some path of the k.

    The tags that the k best paths have at a word are its possible labels, as in a partially
    labelled CRF; their mixtures count as right too, so it asks for less than `FuzzyPaths`. Source:
    reconstruction of the fine grain of Zhou et al. 2021, the reading as a lattice; the fuzzy CRF
    is that of Shang et al. 2018.
    """

    reads: ClassVar[tuple[Reading, ...]] = ("paths",)
    kind: Literal["fuzzy_tags"] = "fuzzy_tags"
    weight: Weight = Constant()
    k: Count | None = None
    """How many of the extracted paths count; null: all of them."""

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """How unlikely it is that the student's tags are all among those, in nats."""
        best = targets.best(self.k)
        with torch.no_grad():
            found = torch.isfinite(scores(student, best.paths))
        possible = torch.isfinite(best.path_log_probs) & found
        # Where no path is possible, all tags are: the loss is zero then, and so is its gradient.
        seen = torch.zeros_like(student.emissions, dtype=torch.bool)
        seen |= ~possible.any(dim=1)[:, None, None]
        ones = possible[:, None, :].expand(-1, seen.shape[1], -1)
        counts = torch.zeros(seen.shape, dtype=torch.int32, device=seen.device)
        counts.scatter_add_(2, best.paths.mT * ones, ones.int())
        narrowed = restrict(student, seen | (counts > 0) | ~student.mask[:, :, None])
        apart = exact_log_partition(student) - exact_log_partition(narrowed)
        return torch.where(possible.any(dim=1), apart, 0.0).to(student.emissions.dtype)


def scores(student: Lattice, paths: Int[Tensor, "batch k words"]) -> Float[Tensor, "batch k"]:
    """`lattice.score` of k paths a sentence, all looked up at once; tags at padding may be any."""
    mask, tags = student.mask, student.emissions.shape[2]
    paths = paths.masked_fill(~mask.unsqueeze(1), 0)
    last = (student.lengths - 1).view(-1, 1, 1).expand(-1, paths.shape[1], 1)
    words = student.emissions.gather(2, paths.transpose(1, 2)).transpose(1, 2)
    places = paths[:, :, :-1] * tags + paths[:, :, 1:]
    steps = student.transitions.flatten().take(places)
    borders = student.start.take(paths[:, :, 0]) + student.end.take(paths.gather(2, last)[:, :, 0])
    # Zero where there is no word, whatever stands there: 0 times infinity would be no number.
    inside = torch.where(mask.unsqueeze(1), words, 0.0).sum(dim=2, dtype=torch.float64)
    between = torch.where(mask[:, None, 1:], steps, 0.0).sum(dim=2, dtype=torch.float64)
    return (inside + between + borders).to(student.emissions.dtype)


def _expected_nll(student: Lattice, best: Targets, log_weights: Float[Tensor, "batch k"]) -> Loss:
    """Weighted mean over the paths that exist of -log p_student(path).

    Paths that the student's own transitions forbid take no weight: a teacher without a scheme may
    have them, and they would make the loss infinite.
    """
    found = scores(student, best.paths)
    possible: Bool[Tensor, "batch k"] = torch.isfinite(best.path_log_probs) & torch.isfinite(found)
    weights = torch.softmax(log_weights.masked_fill(~possible, -1e4), dim=1) * possible
    nlls = log_partition(student).unsqueeze(1) - torch.where(possible, found, 0.0)
    return (weights * nlls).sum(dim=1)

"""What a student minimises: one class an equation, one loss a sentence, in nats.

To add one, write a settings class with a `kind`, a `weight` and `__call__`, and put its name in
`Objective`; the contract tests then run over it.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from pipeline.config import settings
from pipeline.lattice import Lattice, log_marginals, log_partition, nll

Loss: TypeAlias = Float[Tensor, " batch"]
Temperature = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Gold:
    """What annotators say: `tags` [batch, words], and which sentences they labelled [batch]."""

    tags: Int[Tensor, "batch words"]
    labelled: Bool[Tensor, " batch"]


@dataclass(frozen=True)
class Targets:
    """What the teacher says, at temperature 1: its best paths and its beliefs about each word.

    `path_log_probs` are under the teacher's full distribution, -inf where fewer paths exist; a
    sentence without any path has no teacher, and no objective but gold counts it.
    """

    paths: Int[Tensor, "batch k words"]
    path_log_probs: Float[Tensor, "batch k"]
    log_marginals: Float[Tensor, "batch words tags"]

    @property
    def taught(self) -> Bool[Tensor, " batch"]:
        """Which sentences the teacher labelled."""
        return torch.isfinite(self.path_log_probs[:, 0])

    def best(self, k: int) -> "Targets":
        """The same with the k best paths only."""
        return Targets(self.paths[:, :k], self.path_log_probs[:, :k], self.log_marginals)


@settings
class Constant:
    """The same weight throughout."""

    kind: Literal["constant"] = "constant"
    value: Annotated[float, Field(ge=0)] = 1.0

    def at(self, progress: float) -> float:
        """The weight when `progress` (0 to 1) of the training steps are done."""
        return self.value


@settings
class Annealed:
    """A weight that moves in a straight line and then stays.

    Source: teacher annealing, Wang et al. 2020, algorithm 1 (λ from 1 to 0); there once an epoch,
    here every step.
    """

    kind: Literal["annealed"] = "annealed"
    start: Annotated[float, Field(ge=0)] = 1.0
    end: Annotated[float, Field(ge=0)] = 0.0
    until: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of the training steps after which the weight stays at `end`."""

    def at(self, progress: float) -> float:
        """The weight when `progress` (0 to 1) of the training steps are done."""
        return self.start + (self.end - self.start) * min(1.0, progress / self.until)


Weight: TypeAlias = Annotated[Constant | Annealed, Field(discriminator="kind")]


@settings
class GoldNLL:
    """-log p_student(gold); zero where a sentence has no gold tags."""

    kind: Literal["gold"] = "gold"
    weight: Weight = Constant()

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """Negative log-likelihood of the annotators' path, in nats."""
        return torch.where(gold.labelled, nll(student, gold.tags), 0.0)


@settings
class TokenKD:
    """T² Σ_n KL(q_teacher(n)^(1/T) ‖ softmax(emissions_student(n) / T)).

    Source: Wang et al. 2020, equation 4, for taggers that decide each word alone; q is the
    teacher's marginal, which is the softmax for a softmax teacher. Blind to the student's
    transitions: only the softmax head is trained fully by it.
    """

    kind: Literal["token"] = "token"
    weight: Weight = Constant()
    temperature: Temperature = 1.0

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """KL divergence summed over words, in nats."""
        words = student.emissions.masked_fill(~student.mask.unsqueeze(2), 0.0)
        believed = torch.log_softmax(words, dim=2)
        return _divergence(targets, believed, student.mask, self.temperature)


@settings
class TopK:
    """-(1/k) Σ_i log p_student(path_i) over the teacher's k best paths.

    Source: Wang et al. 2020, equation 8.
    """

    kind: Literal["top_k"] = "top_k"
    weight: Weight = Constant()
    k: Annotated[int, Field(ge=1)] | None = None
    """How many of the extracted paths count; null: all of them."""

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """Mean negative log-likelihood of the paths that exist, in nats."""
        best = targets.best(self.k or targets.paths.shape[1])
        exists = torch.isfinite(best.path_log_probs)
        return _expected_nll(student, best, torch.zeros_like(best.path_log_probs), exists)


@settings
class TopWK:
    """-Σ_i w_i log p_student(path_i), w_i ∝ p_teacher(path_i) over its k best paths.

    Source: Wang et al. 2020, equation 9; equal to the CRF cross-entropy of Zhou et al. 2021.
    """

    kind: Literal["top_wk"] = "top_wk"
    weight: Weight = Constant()
    k: Annotated[int, Field(ge=1)] | None = None
    """How many of the extracted paths count; null: all of them."""

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """Weighted negative log-likelihood of the paths, in nats."""
        best = targets.best(self.k or targets.paths.shape[1])
        exists = torch.isfinite(best.path_log_probs)
        return _expected_nll(student, best, best.path_log_probs, exists)


@settings
class Posterior:
    """T² Σ_n KL(q_teacher(n)^(1/T) ‖ q_student(n)^(1/T)), q the CRF's marginals.

    Source: Wang et al. 2020, equations 10-13; the local temperature and the factor T² are those of
    its released code.
    """

    kind: Literal["posterior"] = "posterior"
    weight: Weight = Constant()
    temperature: Temperature = 1.0

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """KL divergence summed over words, in nats."""
        believed = log_marginals(student)
        return _divergence(targets, believed, student.mask, self.temperature)


Objective: TypeAlias = Annotated[
    GoldNLL | TokenKD | TopK | TopWK | Posterior, Field(discriminator="kind")
]


def total(
    objectives: tuple[Objective, ...],
    progress: float,
    student: Lattice,
    gold: Gold,
    targets: Targets,
) -> Loss:
    """The weighted sum of objectives at a share `progress` of training, in nats a sentence."""
    losses = [
        objective.weight.at(progress) * objective(student, gold, targets)
        for objective in objectives
        if objective.weight.at(progress) > 0
    ]
    return torch.stack(losses).sum(dim=0) if losses else 0.0 * log_partition(student)


def _expected_nll(
    student: Lattice, best: Targets, log_weights: Tensor, exists: Bool[Tensor, "batch k"]
) -> Loss:
    """Weighted mean over paths of -log p_student(path).

    Paths that the student's own transitions forbid take no weight: a teacher without a scheme may
    have them, and they would make the loss infinite.
    """
    found = scores(student, best.paths)
    possible = exists & torch.isfinite(found)
    weights = torch.softmax(log_weights.masked_fill(~possible, -1e4), dim=1) * possible
    nlls = log_partition(student).unsqueeze(1) - torch.where(possible, found, 0.0)
    return (weights * nlls).sum(dim=1)


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


FLOOR = -30.0
"""What a student's impossible tag counts as, in nats: infinite loss would teach nothing."""


def _divergence(
    targets: Targets,
    student: Float[Tensor, "batch words tags"],
    mask: Bool[Tensor, "batch words"],
    temperature: float,
) -> Loss:
    """T² Σ_n KL(teacher(n)^(1/T) ‖ student(n)^(1/T)) over a sentence's words."""
    wanted = torch.log_softmax(targets.log_marginals / temperature, dim=2)
    believed = torch.log_softmax(student / temperature, dim=2)
    # Only what is impossible is raised: a student that is merely sure and wrong keeps its gradient.
    believed = torch.where(torch.isneginf(believed), FLOOR, believed)
    # 0 log 0 = 0: a tag that the teacher excludes costs nothing.
    tags = torch.where(torch.isneginf(wanted), 0.0, wanted.exp() * (wanted - believed))
    words = tags.sum(dim=2)
    counted = mask & targets.taught.unsqueeze(1)
    return temperature**2 * torch.where(counted, words, 0.0).sum(dim=1)

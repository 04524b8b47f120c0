"""Objectives that compare beliefs about each word, or scores of each word, and add up the words."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pipeline.config import settings
from pipeline.lattice import Lattice, log_marginals
from pipeline.losses.schedules import Constant, Weight
from pipeline.losses.supervision import Gold, Loss, Reading, Targets
from pipeline.losses.temperature import EntropyBand, Temperature

FLOOR = -30.0
"""What an impossible tag counts as, in nats: infinite loss would teach nothing."""

Words = Float[Tensor, "batch words"]
Rows = Float[Tensor, "batch words tags"]


@settings
class TokenKD:
    """T² Σ_n KL(q_teacher(n)^(1/T) ‖ softmax(emissions_student(n) / T)).

    Source: Wang et al. 2020, equation 4, for taggers that decide each word alone; q is the
    teacher's marginal, which is the softmax for a softmax teacher. Blind to the student's
    transitions: only the softmax head is trained fully by it. With gold at one weight, or alone, it
    is what Hagström and Johansson 2021 teach students by, at T = 1.
    """

    reads: ClassVar[tuple[Reading, ...]] = ("marginals",)
    kind: Literal["token"] = "token"
    weight: Weight = Constant()
    temperature: Temperature = 1.0

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """KL divergence summed over words, in nats."""
        believed = torch.log_softmax(_inside(student.emissions, student.mask), dim=2)
        rows = targets.log_marginals, believed
        return divergence(self.temperature, student, targets, *rows)


@settings
class EmissionKD:
    """T² Σ_n KL(softmax(emissions_teacher(n) / T) ‖ softmax(emissions_student(n) / T)).

    Source: Wang et al. 2020, equation 5, for a CRF's emissions; without temperature there. Blind to
    the transitions of both.
    """

    reads: ClassVar[tuple[Reading, ...]] = ("emissions",)
    kind: Literal["emission"] = "emission"
    weight: Weight = Constant()
    temperature: Temperature = 1.0

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """KL divergence summed over words, in nats."""
        wanted, believed = (
            torch.log_softmax(_inside(scores, student.mask), dim=2)
            for scores in (targets.scores(), student.emissions)
        )
        return divergence(self.temperature, student, targets, wanted, believed)


@settings
class Posterior:
    """T² Σ_n KL(q_teacher(n)^(1/T) ‖ q_student(n)^(1/T)), q the CRF's marginals.

    Source: Wang et al. 2020, equations 10-13; the local temperature and the factor T² are those of
    its released code.
    """

    reads: ClassVar[tuple[Reading, ...]] = ("marginals",)
    kind: Literal["posterior"] = "posterior"
    weight: Weight = Constant()
    temperature: Temperature = 1.0

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """KL divergence summed over words, in nats."""
        believed = log_marginals(student)
        rows = targets.log_marginals, believed
        return divergence(self.temperature, student, targets, *rows)


@settings
class EmissionMSE:
    """Σ_n mean_t (emissions_student(n, t) - emissions_teacher(n, t))²; not in nats.

    Source: Lin et al. 2022, sub-structures without transitions. No sum over paths; blind to the
    transitions of both, and not to a constant on all of a word's scores.
    """

    reads: ClassVar[tuple[Reading, ...]] = ("emissions",)
    kind: Literal["emission_mse"] = "emission_mse"
    weight: Weight = Constant()

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """Mean squared differences summed over words."""
        own = _inside(student.emissions, student.mask)
        apart = own - _inside(targets.scores(), student.mask)
        finite = torch.isfinite(apart)
        squares = torch.where(finite, apart, 0.0).square().sum(dim=2)
        return over_words(squares / finite.sum(dim=2).clamp(min=1), student.mask, targets)


@settings
class Logits:
    """½ Σ_n Σ_t (emissions_student(n, t) - log q_teacher(n, t))²; not in nats.

    Source: XtremeDistil (Mukherjee and Hassan Awadallah 2020), equation 4, whose teacher's logits
    are "logarithms of predicted probabilities"; of a CRF, its marginals: ours. What either
    thinks impossible is left out, and what is less likely than e^-30 counts as that: ours.
    Blind to the student's transitions, so meant for a softmax head.
    """

    reads: ClassVar[tuple[Reading, ...]] = ("marginals",)
    kind: Literal["logits"] = "logits"
    weight: Weight = Constant()

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """Half the squared differences, summed over tags and words."""
        wanted, own = targets.log_marginals, _inside(student.emissions, student.mask)
        possible = torch.isfinite(wanted) & torch.isfinite(own)
        apart = torch.where(possible, own - wanted.clamp(min=FLOOR), 0.0)
        return over_words(apart.square().sum(dim=2) / 2, student.mask, targets)


def over_words(words: Words, mask: Bool[Tensor, "batch words"], targets: Targets) -> Loss:
    """The sum over the words of sentences that have a teacher, each by its saliency."""
    if targets.saliency is not None:
        words = words * targets.saliency
    return torch.where(mask & targets.taught.unsqueeze(1), words, 0.0).sum(dim=1)


def divergence(
    temperature: float | EntropyBand,
    student: Lattice,
    targets: Targets,
    wanted: Rows,
    believed: Rows,
) -> Loss:
    """T² KL(wanted^(1/T) ‖ believed^(1/T)) over words, given logarithms."""
    theirs, own, found = softened(temperature, student, wanted, believed)
    return over_words(found**2 * divergences(theirs, own), student.mask, targets)


def softened(
    temperature: float | EntropyBand, student: Lattice, wanted: Rows, believed: Rows
) -> tuple[Rows, Rows, float | Float[Tensor, "batch places"]]:
    """Both sides' logarithms at temperature T, and T: one, or that of each sentence or word."""
    if isinstance(temperature, EntropyBand):
        found = temperature.of(wanted, student.mask)
        each = found[:, :, None]
    else:
        found = each = temperature
    theirs, own = (torch.log_softmax(rows / each, dim=2) for rows in (wanted, believed))
    return theirs, own, found


def divergences(wanted: Rows, believed: Rows) -> Words:
    """KL(wanted ‖ believed) of each word, given logarithms."""
    # Only what is impossible is raised: a student that is merely sure and wrong keeps its gradient.
    believed = torch.where(torch.isneginf(believed), FLOOR, believed)
    # 0 log 0 = 0: a tag that the teacher excludes costs nothing.
    return torch.where(torch.isneginf(wanted), 0.0, wanted.exp() * (wanted - believed)).sum(dim=2)


def _inside(scores: Rows, mask: Bool[Tensor, "batch words"]) -> Rows:
    """0 at padding, which may hold anything."""
    return scores.masked_fill(~mask.unsqueeze(2), 0.0)

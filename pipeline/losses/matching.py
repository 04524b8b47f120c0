"""Objectives from later work that match logits, here on the marginals of each word."""

from typing import Annotated, ClassVar, Literal, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from pipeline.config import settings
from pipeline.lattice import Lattice, log_marginals
from pipeline.losses.schedules import Constant, Weight
from pipeline.losses.supervision import Gold, Loss, Reading, Targets
from pipeline.losses.temperature import Temperature
from pipeline.losses.wordwise import Rows, divergence, divergences, over_words, softened

Factor: TypeAlias = Annotated[float, Field(ge=0)]
LEAST = -1e30
"""Stands for -inf where a sum of exponentials would have no gradient."""

ALIKE = 1e-6
"""Beliefs that deviate by less are alike: their correlation says nothing."""


@settings
class Decoupled:
    """T² Σ_n α KL(b_teacher(n) ‖ b_student(n)) + β KL(r_teacher(n) ‖ r_student(n)).

    b is the marginal of the target tag against that of all others, r the marginals of the others
    among themselves, both at temperature T. The target is the gold tag where annotators labelled
    the sentence, else the teacher's likeliest. Source: decoupled knowledge distillation, Zhao et
    al. 2022 (CVPR), from its released code; on marginals: ours.
    """

    reads: ClassVar[tuple[Reading, ...]] = ("marginals",)
    kind: Literal["decoupled"] = "decoupled"
    weight: Weight = Constant()
    temperature: Temperature = 1.0
    target: Factor = 1.0
    """α: weight of the target against all others."""
    others: Factor = 1.0
    """β: weight of the others among themselves."""

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """Both divergences summed over words, in nats."""
        likeliest = targets.log_marginals.argmax(dim=2)
        chosen = torch.where(gold.labelled[:, None] & student.mask, gold.tags, likeliest)
        rows = targets.log_marginals, log_marginals(student)
        theirs, own, found = softened(self.temperature, student, *rows)
        both = theirs, own
        target = divergences(*(_against(side, chosen) for side in both))
        others = divergences(*(_among(side, chosen) for side in both))
        words = found**2 * (self.target * target + self.others * others)
        return over_words(words, student.mask, targets)


@settings
class Correlation:
    """Σ_n β (1 - ρ of the tags at word n) + γ mean_t (1 - ρ of tag t over the words).

    ρ is Pearson's correlation of the teacher's and the student's marginals, raised to 1/T and
    normalised; no factor T², as ρ has no scale. Tags in which the teacher believes alike at all
    words are left out. Not in nats. Source: DIST, Huang et al. 2022 (NeurIPS), from its released
    code; there ρ of a tag is over the whole batch, here over the sentence, so that a sentence's
    loss does not depend on its neighbours.
    """

    reads: ClassVar[tuple[Reading, ...]] = ("marginals",)
    kind: Literal["correlation"] = "correlation"
    weight: Weight = Constant()
    temperature: Temperature = 1.0
    tags: Factor = 1.0
    """β: weight of the correlation over the tags of a word."""
    words: Factor = 1.0
    """γ: weight of the correlation of a tag over the words of a sentence."""

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """What lacks to full correlation, summed over words."""
        rows = targets.log_marginals, log_marginals(student)
        both = softened(self.temperature, student, *rows)[:2]
        inside = student.mask[:, :, None].expand(both[0].shape)
        shares = [torch.where(inside, side.exp(), 0.0) for side in both]
        words = _lacking([_centred(side, inside, 2) for side in shares], 2)
        along = [_centred(side, inside, 1) for side in shares]
        known = along[0].norm(dim=1) > ALIKE
        tags = torch.where(known, _lacking(along, 1), 0.0).sum(dim=1, keepdim=True)
        mean = tags / known.sum(dim=1, keepdim=True).clamp(min=1)
        return over_words(self.tags * words + self.words * mean, student.mask, targets)


@settings
class Standardised:
    """T² Σ_n KL(softmax(z_teacher(n) / T) ‖ softmax(z_student(n) / T)), z of mean 0, deviation 1.

    z are a word's log-marginals, less their mean, divided by their standard deviation, over the
    tags that both think possible. Source: logit standardisation, Sun et al. 2024 (CVPR), from its
    released code; for a softmax tagger log-marginals are its logits but for a constant, which the
    mean takes off. On a CRF's marginals: ours.
    """

    reads: ClassVar[tuple[Reading, ...]] = ("marginals",)
    kind: Literal["standardised"] = "standardised"
    weight: Weight = Constant()
    temperature: Temperature = 2.0

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """KL divergence summed over words, in nats."""
        believed, wanted = log_marginals(student), targets.log_marginals
        possible = torch.isfinite(wanted) & torch.isfinite(believed)
        own, theirs = (_standardised(rows, possible) for rows in (believed, wanted))
        return divergence(self.temperature, student, targets, theirs, own)


def _against(rows: Rows, chosen: Int[Tensor, "batch words"]) -> Float[Tensor, "batch words two"]:
    """Logarithms of the chosen tag's share and of that of all others."""
    one = rows.gather(2, chosen[:, :, None])
    finite = torch.where(torch.isneginf(rows), LEAST, rows)
    others = finite.scatter(2, chosen[:, :, None], LEAST).logsumexp(dim=2, keepdim=True)
    pair = torch.cat([one, others], dim=2)
    return torch.where(pair < LEAST / 2, -torch.inf, pair)


def _among(rows: Rows, chosen: Int[Tensor, "batch words"]) -> Rows:
    """Logarithms of the others' shares among themselves; all -inf where none is possible."""
    hidden = torch.isneginf(rows).scatter(2, chosen[:, :, None], value=True)
    shares = torch.log_softmax(rows.masked_fill(hidden, LEAST), dim=2)
    return torch.where(hidden, -torch.inf, shares)


def _standardised(rows: Rows, possible: Bool[Tensor, "batch words tags"]) -> Rows:
    """Of mean 0 and deviation 1 over the possible tags of each word; -inf for the others."""
    counts = possible.sum(dim=2, keepdim=True)
    known = torch.where(possible, rows, 0.0)
    apart = torch.where(possible, known - known.sum(dim=2, keepdim=True) / counts.clamp(min=1), 0.0)
    variance = apart.square().sum(dim=2, keepdim=True) / (counts - 1).clamp(min=1)
    # Where all are alike there is no deviation, whose root would have no gradient either.
    deviation = torch.where(variance > 0, variance, 1.0).sqrt()
    return torch.where(possible | (counts == 0), apart / (1e-7 + deviation), -torch.inf)


def _centred(shares: Rows, counted: Bool[Tensor, "batch words tags"], axis: int) -> Rows:
    """Less their mean along an axis over what is counted; 0 elsewhere."""
    mean = shares.sum(dim=axis, keepdim=True) / counted.sum(dim=axis, keepdim=True).clamp(min=1)
    return torch.where(counted, shares - mean, 0.0)


def _lacking(sides: list[Rows], axis: int) -> Tensor:
    """1 - the correlation of teacher and student along an axis, both of them centred."""
    return 1 - torch.nn.functional.cosine_similarity(*sides, dim=axis)

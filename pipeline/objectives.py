"""What a student minimises: all objectives, one class an equation, one loss a sentence, in nats.

To add one, write a settings class with a `kind`, a `weight`, what it `reads` of the teacher's
targets and `__call__`, and put its name in `Objective`; the contract tests then run over it.
"""

from typing import Annotated, ClassVar, Literal, TypeAlias

import torch
from pydantic import Field

from pipeline.config import settings
from pipeline.lattice import Lattice, log_partition, nll
from pipeline.losses.hidden import Hidden, HiddenMSE
from pipeline.losses.matching import Correlation, Decoupled, Standardised
from pipeline.losses.pathwise import FuzzyPaths, FuzzyTags, TopK, TopWK
from pipeline.losses.schedules import Constant, Weight
from pipeline.losses.structural import LocalStructural, PotentialMSE, Structural
from pipeline.losses.supervision import Gold, Loss, Reading, Targets, Trust
from pipeline.losses.wordwise import EmissionKD, EmissionMSE, Logits, Posterior, TokenKD


@settings
class GoldNLL:
    """-log p_student(gold); zero where a sentence has no gold tags."""

    reads: ClassVar[tuple[Reading, ...]] = ()
    kind: Literal["gold"] = "gold"
    weight: Weight = Constant()

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """Negative log-likelihood of the annotators' path, in nats."""
        return torch.where(gold.labelled, nll(student, gold.tags), 0.0)


Objective: TypeAlias = Annotated[
    GoldNLL
    | TokenKD
    | EmissionKD
    | TopK
    | TopWK
    | FuzzyPaths
    | FuzzyTags
    | Posterior
    | Structural
    | LocalStructural
    | Logits
    | EmissionMSE
    | PotentialMSE
    | Decoupled
    | Correlation
    | Standardised
    | Hidden
    | HiddenMSE,
    Field(discriminator="kind"),
]

BY_WORDS = (
    *(TokenKD, EmissionKD, Posterior, Logits, EmissionMSE, PotentialMSE),
    *(Decoupled, Correlation, Standardised, Hidden, HiddenMSE),
)
"""Those that add up words, so that words may weigh differently. The others see paths: a path has no
loss of one word."""


def total(
    objectives: tuple[Objective, ...],
    progress: float,
    student: Lattice,
    gold: Gold,
    targets: Targets,
    *,
    epochs: int = 1,
    trust: Trust | None = None,
) -> Loss:
    """The weighted sum of objectives at a share `progress` of training, one number a sentence.

    `trust` says how much each sentence's teacher counts, in every objective that reads from it.
    """
    losses = []
    for objective in objectives:
        weight = objective.weight.at(progress, epochs)
        if weight > 0:
            loss = weight * objective(student, gold, targets)
            losses.append(loss * trust(targets) if trust and objective.reads else loss)
    return torch.stack(losses).sum(dim=0) if losses else 0.0 * log_partition(student)

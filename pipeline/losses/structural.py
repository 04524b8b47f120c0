"""Objectives that compare whole lattices: probabilities of all paths, or scores of their parts."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from pydantic import AfterValidator
from torch import Tensor

from pipeline.config import settings
from pipeline.lattice import SCORES, Lattice, exact_log_partition, log_marginals, temper
from pipeline.losses.expectations import Expectations, expectations, expected_score
from pipeline.losses.schedules import Constant, Weight
from pipeline.losses.supervision import Gold, Loss, Reading, Targets
from pipeline.losses.temperature import EntropyBand, Temperature
from pipeline.losses.wordwise import over_words


def _a_sentence(temperature: float | EntropyBand) -> float | EntropyBand:
    if isinstance(temperature, EntropyBand) and temperature.per == "word":
        raise ValueError("expected `per: sentence`, for a path has one temperature")
    return temperature


Shared: TypeAlias = Annotated[Temperature, AfterValidator(_a_sentence)]
"""One temperature for a whole sentence."""


@settings
class Structural:
    """T² KL(p_teacher^(1/T) ‖ p_student^(1/T)) over all paths: all scores divided by T.

    The score of a path is a sum over words and pairs, so the mean over paths needs the teacher's
    marginals and expected transitions only. A CRF teaches a CRF or a softmax student, a softmax
    teacher a CRF. Paths that the student forbids are taken from the teacher's as well. Source:
    Wang et al. 2021 (ACL), factorised form; the temperature on scores is the alternative to the
    released code, see `LocalStructural`.
    """

    reads: ClassVar[tuple[Reading, ...]] = ("emissions",)
    kind: Literal["structural"] = "structural"
    weight: Weight = Constant()
    temperature: Shared = 1.0

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """KL divergence over paths, in nats; zero where the student is its teacher."""
        losses = _none(student)
        for rows, own, teacher, temperature in _pairs(student, targets, self.temperature):
            if temperature != 1.0:
                own, teacher = temper(own, temperature), temper(teacher, temperature)
            wanted = expectations(teacher)
            certain = wanted.log_partition - expected_score(teacher, wanted)
            apart = exact_log_partition(own) - expected_score(own, wanted) - certain
            apart = torch.where(_possible(wanted), temperature**2 * apart, 0.0)
            losses = losses.index_put((rows,), apart.to(losses.dtype))
        return torch.where(targets.taught, losses, 0.0)


@settings
class LocalStructural:
    """T² max(0, log Z_student(T) - Σ_u q_teacher(u)^(1/T) score_student(u) / T).

    u are pairs of neighbours, the first and the last tag; the marginals of each are raised to 1/T
    and normalised by themselves. So they belong to no distribution and the difference, else a
    cross-entropy, may fall under zero, where it is cut off and teaches nothing. Source: Wang et al.
    2021 (ACL), as in its released code. At T = 1 the gradient is that of `Structural`.
    """

    reads: ClassVar[tuple[Reading, ...]] = ("emissions",)
    kind: Literal["structural_local"] = "structural_local"
    weight: Weight = Constant()
    temperature: Shared = 1.0

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """Cross-entropy, in nats; at T = 1 never under the teacher's entropy."""
        losses = _none(student)
        for rows, own, teacher, temperature in _pairs(student, targets, self.temperature):
            wanted = expectations(teacher, temperature)
            own = own if temperature == 1.0 else temper(own, temperature)
            apart = exact_log_partition(own) - expected_score(own, wanted)
            apart = torch.where(_possible(wanted), temperature**2 * apart.clamp(min=0.0), 0.0)
            losses = losses.index_put((rows,), apart.to(losses.dtype))
        return torch.where(targets.taught, losses, 0.0)


@settings
class PotentialMSE:
    """Σ_n mean_{a,b} (s_student(n, a, b) - s_teacher(n, a, b))²; not in nats.

    s(n, a, b) = transition(a, b) + emission(n, b); at the first word start(b) stands for the
    transition, and end(b) is added at the last. What either forbids is left out. Source: Lin et al.
    2022, sub-structures with transitions; start and end: ours. No sum over paths.
    """

    reads: ClassVar[tuple[Reading, ...]] = ("emissions",)
    kind: Literal["potential_mse"] = "potential_mse"
    weight: Weight = Constant()

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """Mean squared differences summed over words."""
        words = torch.zeros_like(student.emissions[:, :, 0])
        for rows, own, teacher, _ in _pairs(student, targets, 1.0):
            words = words.index_put((rows,), _potentials_apart(own, teacher))
        return over_words(words, student.mask, targets)


def _potentials_apart(student: Lattice, teacher: Lattice) -> Float[Tensor, "batch words"]:
    """Mean squared difference of the potentials of each word.

    (d_b + D_ab)², with d of emissions and D of transitions, adds up over a without a table of pairs
    at every word: m d² + 2 c d + s, with m = Σ_a 1, c = Σ_a D_ab, s = Σ_a D_ab².
    """
    mask = student.mask
    places = torch.arange(mask.shape[1], device=mask.device)
    last = (places == (student.lengths - 1)[:, None])[:, :, None]
    apart = (
        student.emissions - teacher.emissions + torch.where(last, student.end - teacher.end, 0.0)
    )
    finite = mask[:, :, None] & torch.isfinite(apart)
    d = torch.where(finite, apart, 0.0)
    first = _moments((student.start - teacher.start)[None])
    onward = _moments(student.transitions - teacher.transitions)
    m, c, s = torch.where((places == 0)[:, None, None], first, onward).unbind(2)
    squares = torch.where(finite, m * d.square() + 2 * c * d + s, 0.0).sum(dim=2)
    return squares / torch.where(finite, m, 0.0).sum(dim=2).clamp(min=1)


def _moments(apart: Float[Tensor, "tags to"]) -> Float[Tensor, "to 3"]:
    """Over all tags that one may come from: how many are possible, Σ apart, Σ apart²."""
    finite = torch.isfinite(apart)
    known = torch.where(finite, apart, 0.0)
    return torch.stack([finite.to(known.dtype), known, known.square()], dim=2).sum(dim=0)


STEPS = 4
"""To a doubling, of temperatures found for sentences: those of one step share a lattice."""


def _pairs(
    student: Lattice, targets: Targets, temperature: float | EntropyBand
) -> Iterator[tuple[Int[Tensor, " some"], Lattice, Lattice, float]]:
    """Sentences that share a teacher and a temperature: student's and teacher's lattices of them.

    The teacher's is over those paths alone that the student allows.
    """
    for rows, whole in targets.lattices(student.mask):
        own = _some(student, rows)
        teacher = _within(whole, own)
        if not isinstance(temperature, EntropyBand):
            yield rows, own, teacher, temperature
            continue
        found = temperature.of(log_marginals(teacher), teacher.mask)[:, 0]
        steps = (found.log2() * STEPS).round()
        for step in steps.unique().tolist():
            some = (steps == step).nonzero()[:, 0]
            rounded = min(max(2 ** (step / STEPS), temperature.lowest), temperature.highest)
            yield rows[some], _some(own, some), _some(teacher, some), rounded


def _some(lattice: Lattice, rows: Int[Tensor, " some"]) -> Lattice:
    """The lattice of some sentences, in order."""
    return lattice if len(rows) == len(lattice.mask) else lattice.some(rows)


def _within(teacher: Lattice, student: Lattice) -> Lattice:
    """The teacher's lattice, where the student forbids something forbidden as well."""
    scores = {}
    for name in SCORES:
        forbidden = torch.isneginf(getattr(student, name).detach())
        scores[name] = getattr(teacher, name).masked_fill(forbidden, -torch.inf)
    return replace(teacher, **scores)


def _possible(wanted: Expectations) -> Bool[Tensor, " some"]:
    """False where the teacher has no path that the student allows: nothing is learnt there."""
    return torch.isfinite(wanted.log_partition)


def _none(student: Lattice) -> Float[Tensor, " batch"]:
    """No loss for any sentence."""
    return student.emissions.new_zeros(len(student.mask))

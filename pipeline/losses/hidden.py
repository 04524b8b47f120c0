"""Objectives that compare vectors of words: the student's, projected, and its teacher's."""

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pipeline.config import settings
from pipeline.lattice import Lattice
from pipeline.losses.schedules import Constant, Weight
from pipeline.losses.supervision import Gold, Loss, Reading, Targets
from pipeline.losses.temperature import Number
from pipeline.losses.wordwise import Words, divergences, over_words

Vectors = Float[Tensor, "some words width"]


@settings
class Hidden:
    """T² Σ_n KL(softmax(v_teacher(n) / T) ‖ softmax(GELU(W v_student(n) + b) / T)), v: vectors.

    v are what an encoder gives its head; W and b are trained with the student and dropped with
    them. Source: XtremeDistil (Mukherjee and Hassan Awadallah 2020), equations 5 and 6: the
    projection, GELU and a KL divergence. The softmax that makes distributions of vectors, its
    temperature and the direction: ours. There the teacher's middle layer (6 or 7 of 12), here what
    its head reads.
    """

    reads: ClassVar[tuple[Reading, ...]] = ("vectors",)
    kind: Literal["hidden"] = "hidden"
    weight: Weight = Constant()
    temperature: Number = 1.0

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """KL divergence summed over words, in nats."""

        def apart(own: Vectors, theirs: Vectors) -> Float[Tensor, "some words"]:
            rows = theirs, functional.gelu(own)
            return divergences(*(torch.log_softmax(x / self.temperature, dim=2) for x in rows))

        return self.temperature**2 * _by_teacher(student, targets, apart)


@settings
class HiddenMSE:
    """Σ_n mean_d (W v_student(n) + b - v_teacher(n))_d², v an encoder's vectors; not in nats.

    The regression of `Hidden` without GELU, so that vectors of any sign can be met: ours.
    """

    reads: ClassVar[tuple[Reading, ...]] = ("vectors",)
    kind: Literal["hidden_mse"] = "hidden_mse"
    weight: Weight = Constant()

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """Mean squared differences summed over words."""
        return _by_teacher(student, targets, _squares)


def _squares(own: Vectors, theirs: Vectors) -> Float[Tensor, "some words"]:
    return (own - theirs).square().mean(dim=2)


def _by_teacher(
    student: Lattice, targets: Targets, apart: Callable[[Vectors, Vectors], Words]
) -> Loss:
    """The sum over words, each compared with its own teacher's in that one's space."""
    if student.vectors is None:
        raise ValueError("hidden: expected a student with a projection, found none; attach one")
    words = torch.zeros_like(student.emissions[:, :, 0])
    for spoken in targets.vectors:
        rows, theirs = spoken.sentences, spoken.vectors
        inside = student.mask[rows, :, None]
        own = student.vectors[rows, :, spoken.first : spoken.first + theirs.shape[2]]
        # 0 at padding, which may hold anything.
        found = apart(*(torch.where(inside, side, 0.0) for side in (own, theirs)))
        words = words.index_put((rows,), found.to(words.dtype))
    return over_words(words, student.mask, targets)

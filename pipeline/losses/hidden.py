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
from pipeline.losses.wordwise import Words, over_words

Vectors = Float[Tensor, "some words width"]


@settings
class Hidden:
    """Σ_n KL(softmax v_teacher(n) ‖ softmax GELU(W v_student(n) + b)), v an encoder's vectors.

    W and b are trained with the student and dropped with them. Source: XtremeDistil (Mukherjee and
    Hassan Awadallah 2020), equations 5 and 6: the projection, GELU and a KL divergence. The
    softmax that makes distributions of vectors, and the direction: ours. There the teacher's
    middle layer (6 or 7 of 12), here what its head reads.
    """

    reads: ClassVar[tuple[Reading, ...]] = ("vectors",)
    kind: Literal["hidden"] = "hidden"
    weight: Weight = Constant()

    def __call__(self, student: Lattice, gold: Gold, targets: Targets) -> Loss:
        """KL divergence summed over words, in nats."""
        return _by_teacher(student, targets, _divergence)


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


def _divergence(own: Vectors, theirs: Vectors) -> Float[Tensor, "some words"]:
    wanted = torch.log_softmax(theirs, dim=2)
    believed = torch.log_softmax(functional.gelu(own), dim=2)
    return (wanted.exp() * (wanted - believed)).sum(dim=2)


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

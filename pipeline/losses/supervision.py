"""What a batch is learnt from: gold tags, the teacher's targets, and how far it is trusted."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from pipeline.config import settings
from pipeline.lattice import Lattice

Loss: TypeAlias = Float[Tensor, " batch"]
Reading: TypeAlias = Literal["paths", "marginals", "emissions", "vectors", "saliency"]
"""What of the teacher's is read: all but the last by objectives, that by a recipe's weights."""
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Gold:
    """What annotators say: `tags` [batch, words], and which sentences they labelled [batch]."""

    tags: Int[Tensor, "batch words"]
    labelled: Bool[Tensor, " batch"]


@dataclass(frozen=True)
class Teacher:
    """The sentences of a batch that one teacher labelled, and the scores between its tags."""

    sentences: Int[Tensor, " some"]
    transitions: Float[Tensor, "tags tags"]
    start: Float[Tensor, " tags"]
    end: Float[Tensor, " tags"]


@dataclass(frozen=True)
class Spoken:
    """The sentences of a batch that one teacher labelled, and its vectors of their words.

    A student's projection has the numbers of all teachers side by side; `first` is where those that
    stand for this teacher's begin.
    """

    sentences: Int[Tensor, " some"]
    vectors: Float[Tensor, "some words width"]
    first: int


@dataclass(frozen=True)
class Targets:
    """What the teacher says, at temperature 1: its best paths, its beliefs about each word, scores.

    `path_log_probs` are under the teacher's full distribution, -inf where fewer paths exist; a
    sentence without any path has no teacher, and no objective but gold counts it. What no objective
    of a recipe reads is empty: no paths, or no tags.
    """

    paths: Int[Tensor, "batch paths words"]
    path_log_probs: Float[Tensor, "batch k"]
    log_marginals: Float[Tensor, "batch words tags"]
    emissions: Float[Tensor, "batch words scores"] | None = None
    teachers: tuple[Teacher, ...] = ()
    saliency: Float[Tensor, "batch words"] | None = None
    """How much each word counts in objectives that add up words; none: all alike."""
    vectors: tuple[Spoken, ...] = ()
    """What each teacher's encoder says, for objectives that read it."""

    @property
    def taught(self) -> Bool[Tensor, " batch"]:
        """Which sentences the teacher labelled."""
        return torch.isfinite(self.path_log_probs[:, 0])

    def best(self, k: int | None) -> "Targets":
        """The same with the k best paths only; none: with all of them."""
        if k is None:
            return self
        return replace(self, paths=self.paths[:, :k], path_log_probs=self.path_log_probs[:, :k])

    def scores(self) -> Float[Tensor, "batch words tags"]:
        """The emissions of the teachers, for objectives that say that they read them."""
        if self.emissions is None:
            raise ValueError("targets: expected emissions, found none; say so in `reads`")
        return self.emissions

    def lattices(
        self, mask: Bool[Tensor, "batch words"]
    ) -> Iterator[tuple[Int[Tensor, " some"], Lattice]]:
        """For each teacher the sentences that it labelled, and its lattice over them."""
        for teacher in self.teachers:
            rows = teacher.sentences
            parts = (teacher.transitions, teacher.start, teacher.end)
            yield rows, Lattice(self.scores()[rows], *parts, mask[rows])


def nobody(sentences: int, words: int) -> Targets:
    """The targets of sentences that no teacher labelled."""
    return Targets(
        torch.empty(sentences, 0, words, dtype=torch.int64),
        torch.full((sentences, 1), -torch.inf),
        torch.empty(sentences, words, 0),
    )


Confident: TypeAlias = Literal["coverage", "best"]
"""By what a teacher's confidence is measured: see `confidence`."""


def confidence(targets: Targets, of: Confident) -> Float[Tensor, " batch"]:
    """Σ_i p_teacher(path_i) over the paths that were extracted, or that of the best path alone.

    0 where there is no teacher. Both fall as sentences grow longer.
    """
    paths = targets.path_log_probs if of == "coverage" else targets.path_log_probs[:, :1]
    return paths.exp().sum(dim=1).clamp(max=1.0)


@settings
class Drop:
    """Sentences whose teacher is less confident than `least` are not learnt from it at all."""

    kind: Literal["drop"] = "drop"
    of: Confident = "coverage"
    least: Share

    def __call__(self, targets: Targets) -> Float[Tensor, " batch"]:
        """1 or 0: whether a sentence's teacher counts."""
        return (confidence(targets, self.of) >= self.least).to(targets.path_log_probs.dtype)


@settings
class Weigh:
    """A teacher less confident than `least` counts in proportion: confidence / least."""

    kind: Literal["weigh"] = "weigh"
    of: Confident = "coverage"
    least: Annotated[float, Field(gt=0, le=1)] = 1.0

    def __call__(self, targets: Targets) -> Float[Tensor, " batch"]:
        """How much a sentence's teacher counts, from 0 to 1."""
        return (confidence(targets, self.of) / self.least).clamp(max=1.0)


Trust: TypeAlias = Annotated[Drop | Weigh, Field(discriminator="kind")]

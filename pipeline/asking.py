"""What a teacher is asked about a batch: emissions, and where they are wanted more answers."""

from typing import Annotated, TypeAlias

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from pipeline.config import settings
from pipeline.device import seed_of, sow
from pipeline.emissions import Answer
from pipeline.emitter import Emitter, Inputs, Sentences
from pipeline.masking import masked

Answers: TypeAlias = dict[Answer, Float[Tensor, "batch words *numbers"]]
"""Any value at padding; `saliency` [batch, words], the others with numbers at each word."""
LEAST = -1e4
"""Stands for log 0, so that what the masked teacher forbids is far away and still a number."""


@settings
class Saliency:
    """How far the teacher's belief about a word moves when the word itself is hidden.

    KL(softmax e(n | x) ‖ softmax e(n | x with n hidden)) in nats, e(n) the emissions at word n.
    Reconstruction: MSD (Jin et al. 2021) weighs modalities by saliency, the divergence between the
    teacher's outputs with and without one, by a formula that we have not seen; a word for a
    modality: ours. Softmax of emissions, for a teacher's pass sums over no paths.
    """

    every: Annotated[int, Field(ge=1)] = 4
    """Words this far apart are hidden together: so many more passes, or one for each word of the
    longest sentence if that is fewer."""


@settings
class Questions:
    """What a teacher is asked beside its emissions."""

    saliency: Saliency | None = None
    """How much each word matters to the teacher's belief about it; null: not asked."""
    vectors: bool = False
    """Whether the encoder's vector of each word is kept too."""
    passes: Annotated[int, Field(ge=1)] = 1
    """Passes with dropout, whose mean is kept; 1: a single one without."""


def asked(teacher: Emitter, questions: Questions, sentences: Sentences) -> Answers:
    """The answers to all questions about a batch; the teacher is in evaluation mode."""
    inputs, found = teacher.encoder.inputs(sentences), Answers()
    vectors = _vectors(teacher, questions, sentences, inputs)
    found["emissions"] = teacher.emitted(vectors).float()
    if questions.saliency is not None:
        sure = found["emissions"] if questions.passes == 1 else teacher.emissions(inputs).float()
        found["saliency"] = saliency(teacher, sentences, sure, questions.saliency.every)
    if questions.vectors:
        most = torch.finfo(torch.float16).max
        found["vectors"] = vectors.clamp(-most, most).half()
    return found


def saliency(
    teacher: Emitter,
    sentences: Sentences,
    whole: Float[Tensor, "batch words tags"],
    every: int,
) -> Float[Tensor, "batch words"]:
    """`Saliency` of every word, given the emissions of sentences that nothing is hidden from."""
    found = whole.new_zeros(whole.shape[:2])
    for first in range(min(every, max(map(len, sentences)))):
        rows = [n for n, words in enumerate(sentences) if len(words) > first]
        some = [sentences[n] for n in rows]
        hidden = teacher.emissions(masked(teacher.encoder, some, first, every))
        words = slice(first, hidden.shape[1], every)
        found[rows, words] = _divergence(whole[rows, words], hidden[:, words])
    return found


def _divergence(
    wanted: Float[Tensor, "some words tags"], found: Float[Tensor, "some words tags"]
) -> Float[Tensor, "some words"]:
    """KL(softmax wanted ‖ softmax found), in float64: of beliefs alike a rounded zero remains."""
    p, q = (
        torch.log_softmax(scores.double(), dim=2).clamp(min=LEAST) for scores in (wanted, found)
    )
    return (p.exp() * (p - q)).sum(dim=2).clamp(min=0.0).float()


def _vectors(
    teacher: Emitter, questions: Questions, sentences: Sentences, inputs: Inputs
) -> Float[Tensor, "batch words width"]:
    """Vectors of words, or their mean over passes with dropout.

    Source of the passes: noisy self-distillation (Liu et al. 2021), whose teacher keeps its dropout
    on; several passes and their mean: ours. The head is linear, so the mean of vectors has the mean
    of emissions. The noise of a batch depends on its sentences and on nothing else.
    """
    if questions.passes == 1:
        return teacher.vectors(inputs)
    device = teacher.emit.weight.device
    teacher.train()
    try:
        total = torch.zeros((), device=device)
        for number in range(questions.passes):
            sow(device, seed_of(number, [list(words) for words in sentences]))
            total = total + teacher.vectors(inputs).float()
    finally:
        teacher.eval()
    return total / questions.passes

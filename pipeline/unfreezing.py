"""Gradual unfreezing: the parts of a tagger from top to bottom, and how long each is trained."""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Literal, TypeAlias, cast

from torch import nn

from pipeline.losses.supervision import Reading
from pipeline.tagger import Tagger

Unfreeze: TypeAlias = Literal["at_once", "gradual"]
Part: TypeAlias = list[nn.Parameter]

_LAYER = re.compile(r"(?:\.|_l)(\d+)(?=[._]|$)")
"""The number of a layer in a parameter's name: `layers.2.weight`, `lstm.weight_ih_l1_reverse`."""


def parts(tagger: Tagger, *, head: bool = True, projection: bool = True) -> list[Part]:
    """Every parameter once: the head, what lies between, layer by layer, what words look like.

    Without the head or the projection where no objective reaches it. Networks register what they
    are made of from bottom to top: what comes before the first layer is the lowest part, with all
    embeddings, and what comes after the last one belongs to it.
    """
    encoder = cast(nn.Module, tagger.encoder)
    tables = {id(each.weight) for each in encoder.modules() if isinstance(each, nn.Embedding)}
    layers: dict[str, Part] = {"": []}
    for name, weight in encoder.named_parameters():
        if found := _LAYER.search(name):
            layers.setdefault(found[0], []).append(weight)
        else:
            layers["" if id(weight) in tables else [*layers][-1]].append(weight)
    between = getattr(tagger, "projection", None) if projection else None
    found = [
        [*tagger.emit.parameters(), *tagger.transitions.parameters()] if head else [],
        [] if between is None else [*between.parameters()],
        *reversed(layers.values()),
    ]
    return [part for part in found if part]


def steps(
    unfreeze: Unfreeze | None, tagger: Tagger, epochs: int, reads: Collection[frozenset[Reading]]
) -> list[tuple[list[Part], int]]:
    """What is trained and for how many epochs, step by step: one part more each, the head first.

    `reads` says of each objective what it reads of the teacher's: vectors reach the projection and
    what lies below, all else the head and what lies below, and no epoch is spent on what nothing
    reaches. Epochs are divided evenly, what is left over goes to the last steps. Of fewer epochs
    than parts each is a step, and some thaw several parts; the last one has them all.
    """
    vectors = [one == {"vectors"} for one in reads]
    whole = parts(tagger, head=not all(vectors), projection=any(vectors))
    count = min(epochs, len(whole)) if unfreeze == "gradual" else 1
    if count == 1:
        return [(whole, epochs)]
    each, more = divmod(epochs, count)
    return [
        (whole[: 1 + step * (len(whole) - 1) // (count - 1)], each + (step >= count - more))
        for step in range(count)
    ]


@contextmanager
def only(thawed: Sequence[Part], tagger: Tagger) -> Iterator[None]:
    """Within, all other parameters are frozen: none has a gradient, and no optimiser moves it."""
    trained = {id(weight) for weight in chain.from_iterable(thawed)}
    frozen = [weight for weight in tagger.parameters() if id(weight) not in trained]
    before = [weight.requires_grad for weight in frozen]
    for weight in frozen:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight, learns in zip(frozen, before, strict=True):
            weight.requires_grad_(learns)

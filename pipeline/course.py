"""The text of a phase as a source of batches: which sentences, in which ratio, how noisy."""

import random
from collections.abc import Sequence

import numpy as np
import torch

from pipeline.device import seed_of
from pipeline.errors import InputError
from pipeline.examples import Examples
from pipeline.losses.supervision import Gold, Targets
from pipeline.noise import noisy
from pipeline.phases import Phase


class Course:
    """What a student learns from in one phase; which sentences an epoch has follows from the seed.

    It starts after so many epochs as have `begun` already.
    Raises InputError where the examples have no sentence of the kind that the phase asks for.
    """

    def __init__(self, examples: Examples, phase: Phase, seed: int, begun: int = 0) -> None:
        self.lengths, self._begun = examples.lengths, begun
        self._examples, self._phase, self._seed = examples, phase, seed
        gold = examples.labelled
        self._labelled, self._transfer = np.flatnonzero(gold), np.flatnonzero(~gold)
        wanted = {"labelled": [self._labelled], "transfer": [self._transfer]}
        mixed = [self._labelled, self._transfer] if phase.mix is not None else []
        if any(not len(some) for some in wanted.get(phase.text, mixed)):
            raise InputError(
                f"phases: expected {'both kinds of' if mixed else phase.text} sentences to learn "
                f"from, found {len(self._labelled)} labelled and {len(self._transfer)} transfer"
            )

    def drawn(self, epoch: int) -> Sequence[int]:
        """The sentences of an epoch, counted from 0, in the order of the examples or of chance."""
        phase = self._phase
        if phase.text != "all":
            return (self._labelled if phase.text == "labelled" else self._transfer).tolist()
        if phase.mix is None:
            return range(len(self.lengths))
        count = max(1, round(phase.mix * len(self._labelled)))
        return [*self._labelled.tolist(), *self._stream((self._begun + epoch) * count, count)]

    def batch(self, chosen: Sequence[int]) -> tuple[list[list[str]], tuple[Gold, Targets]]:
        """Words, gold and targets of some sentences; only the words are noisy."""
        words, beside = self._examples.batch(chosen)
        if not self._phase.noise:
            return words, beside
        # From the generator that was sown for this batch: resumed, it is just as noisy.
        chance = random.Random(int(torch.randint(2**62, ())))
        return noisy(words, self._phase.noise, chance), beside

    def _stream(self, first: int, count: int) -> list[int]:
        """Some of an endless row: all transfer sentences in one random order, then in another."""
        size, found = len(self._transfer), []
        while count:
            turn, start = divmod(first, size)
            order = self._transfer.tolist()
            random.Random(seed_of(self._seed, -1, turn)).shuffle(order)
            some = order[start : start + count]
            found += some
            first, count = first + len(some), count - len(some)
        return found

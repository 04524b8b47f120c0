"""We, and the textbook in plain PyTorch."""

from typing import Any

import numpy as np
import textbook
import torch
from torch import Tensor

from adapters.peer import Operation, Paths, Peer
from pipeline import decoding, lattice
from pipeline.lattice import Lattice


class Limbeck(Peer):
    """Our public functions; the Lattice, with its checks, is made inside the clock."""

    distribution, module = "limbeck", "pipeline"

    @classmethod
    def label(cls) -> str:
        """Without a version: it is this checkout."""
        return "limbeck"

    def make(self, emissions: Tensor | None = None) -> Lattice:
        """From tensors, as a model does for each batch."""
        of = self.lattice
        emissions = of.emissions if emissions is None else emissions
        return Lattice(emissions, of.transitions, of.start, of.end, of.mask)

    def nll(self) -> Operation:
        """As training does it."""
        parameters = [getattr(self.lattice, name) for name in ("transitions", "start", "end")]
        parameters = [x.clone().requires_grad_() for x in parameters]

        def loss(emissions: Tensor) -> Tensor:
            return lattice.nll(Lattice(emissions, *parameters, mask=self.mask), self.gold)

        return self.gradient(loss, *parameters)

    def marginals(self) -> Operation:
        """Logarithms, as the public function returns them."""
        return Operation(lambda: lattice.log_marginals(self.make()), torch.exp)

    def viterbi(self) -> Operation:
        """[batch, words]."""
        return Operation(
            lambda: decoding.viterbi(self.make()), lambda paths: self.unpadded(paths[:, None])
        )

    def k_best(self, k: int) -> Operation:
        """Those that exist."""

        def read(found: decoding.KBest) -> Paths:
            exists = (found.log_probs > -torch.inf).sum(dim=1).tolist()
            paths = self.unpadded(found.paths)
            return [some[:count] for some, count in zip(paths, exists, strict=True)]

        return Operation(lambda: decoding.k_best(self.make(), k), read)


class LimbeckGiven(Limbeck):
    """The same, with a Lattice that was there before."""

    @classmethod
    def label(cls) -> str:
        """What is left out."""
        return "limbeck, Lattice given"

    def make(self, emissions: Tensor | None = None) -> Lattice:
        """Nothing to do."""
        return self.lattice

    def nll(self) -> Operation:
        """The lattice holds leaves already."""
        scores = [getattr(self.lattice, name).clone().requires_grad_() for name in lattice.SCORES]
        ready = Lattice(*scores, mask=self.mask)

        def run() -> tuple[Tensor, ...]:
            value = lattice.nll(ready, self.gold)
            return value, *torch.autograd.grad(value.sum(), scores)

        return Operation(run, lambda found: found[:3])


class Textbook(Peer):
    """Plain PyTorch in this folder."""

    distribution, module = "textbook", "textbook"

    @classmethod
    def label(cls) -> str:
        """Not a package."""
        return "textbook in PyTorch"

    def marginals(self) -> Operation:
        """In log space."""
        return Operation(lambda: textbook.marginals(self.lattice), lambda found: found)

    def k_best(self, k: int) -> Operation:
        """Top-k over tags × k."""

        def read(found: tuple[Tensor, Tensor]) -> Paths:
            exists = (found[1] > -torch.inf).sum(dim=1).tolist()
            paths = self.unpadded(found[0])
            return [some[:count] for some, count in zip(paths, exists, strict=True)]

        return Operation(lambda: textbook.k_best(self.lattice, k), read)


class TextbookSorted(Peer):
    """Plain PyTorch in this folder, longest sentences first."""

    distribution, module = "textbook", "textbook"

    @classmethod
    def label(cls) -> str:
        """Not a package."""
        return "textbook in PyTorch, longest first"

    def marginals(self) -> Operation:
        """In log space."""
        return Operation(lambda: textbook.marginals_longest_first(self.lattice), lambda x: x)


class Kernels(Peer):
    """Our compiled kernels alone: arrays in and out."""

    distribution, module = "limbeck", "pipeline.kernels.paths"

    @classmethod
    def label(cls) -> str:
        """Without tensors and Lattice around them."""
        return "limbeck, kernels alone"

    def prepare(self) -> None:
        """Rows of all sentences in one array; parameters in float64."""
        of = self.lattice
        batch, words, tags = of.emissions.shape
        scores = (of.transitions, of.start, of.end)
        self.arguments: Any = (
            of.emissions.reshape(-1, tags).numpy(),
            np.arange(batch, dtype=np.int64) * words,
            of.lengths.numpy(),
            *(x.double().numpy() for x in scores),
        )

    def marginals(self) -> Operation:
        """Logarithms [rows, tags]."""
        from pipeline.kernels import sums

        shape = self.lattice.emissions.shape
        return Operation(
            lambda: sums.run(*self.arguments, logs=True)[0].log_marginals,
            lambda logs: torch.from_numpy(logs).view(shape).exp(),
        )

    def viterbi(self) -> Operation:
        """Its k-best with k = 1."""
        return self.k_best(1)

    def k_best(self, k: int) -> Operation:
        """Paths of all sentences in one array."""
        from pipeline.kernels import paths

        def read(found: Any) -> Paths:
            lists, at = [], 0
            for length, regrets in zip(self.lengths, found.regrets, strict=True):
                some = found.tags[at : at + k * length].reshape(k, length)
                lists.append(some[np.isfinite(regrets)].tolist())
                at += k * length
            return lists

        return Operation(lambda: paths.k_best(*self.arguments, k=k), read)

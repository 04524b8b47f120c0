"""Peers that are torch modules, with transitions, start and end as parameters."""

from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from adapters.peer import Operation, Peer


class Module(Peer):
    """A peer that is a torch module with its transitions inside, under these names."""

    names = ("transitions", "start_transitions", "end_transitions")

    def prepare(self) -> None:
        """Put the scores in."""
        self.crf: Any = self.create(self.lattice.emissions.shape[2])
        with torch.no_grad():
            for name, ours in zip(self.names, ("transitions", "start", "end"), strict=True):
                getattr(self.crf, name).copy_(getattr(self.lattice, ours))

    def create(self, tags: int) -> Any:
        """The module."""
        raise NotImplementedError

    @property
    def parameters(self) -> list[Tensor]:
        """Transitions first."""
        return [getattr(self.crf, name) for name in self.names]


class PytorchCrf(Module):
    """kmkurn's: the one most used."""

    distribution, module = "pytorch-crf", "torchcrf"

    def create(self, tags: int) -> Any:
        """The module."""
        from torchcrf import CRF

        return CRF(tags, batch_first=True)

    def nll(self) -> Operation:
        """Minus its log-likelihood."""
        return self.gradient(
            lambda x: -self.crf(x, self.gold, self.mask, reduction="none"), *self.parameters
        )

    def viterbi(self) -> Operation:
        """Lists."""
        return Operation(
            lambda: self.crf.decode(self.lattice.emissions, self.mask), lambda x: [[p] for p in x]
        )


class TorchCrf(Module):
    """s14t284's."""

    distribution, module = "TorchCRF", "TorchCRF"
    names = ("trans_matrix", "start_trans", "end_trans")

    def create(self, tags: int) -> Any:
        """The module."""
        from TorchCRF import CRF

        return CRF(tags, use_gpu=False)

    def nll(self) -> Operation:
        """Minus its log-likelihood."""
        return self.gradient(lambda x: -self.crf(x, self.gold, self.mask), *self.parameters)

    def viterbi(self) -> Operation:
        """Lists."""
        run = torch.no_grad()(lambda: self.crf.viterbi_decode(self.lattice.emissions, self.mask))
        return Operation(run, lambda x: [[p] for p in x])


class PartialCrf(Module):
    """kajyuuen's."""

    distribution, module = "pytorch-partial-crf", "pytorch_partial_crf"

    def create(self, tags: int) -> Any:
        """The module."""
        from pytorch_partial_crf import CRF

        return CRF(tags)

    def nll(self) -> Operation:
        """The sum of all sentences is all that it returns."""
        return self.gradient(lambda x: self.crf(x, self.gold, self.mask), *self.parameters)

    def marginals(self) -> Operation:
        """Word first, then sentence."""
        run = torch.no_grad()(
            lambda: self.crf.marginal_probabilities(self.lattice.emissions, self.mask)
        )
        return Operation(run, lambda x: x.transpose(0, 1))

    def viterbi(self) -> Operation:
        """Lists."""
        run = torch.no_grad()(lambda: self.crf.viterbi_decode(self.lattice.emissions, self.mask))
        return Operation(run, lambda x: [[p] for p in x])


class NbestCrf(Module):
    """Feiyang Niu's: pytorch-crf with n-best decoding."""

    distribution, module = "pytorchcrf", "pytorchcrf"

    def create(self, tags: int) -> Any:
        """The module."""
        from pytorchcrf import CRF

        return CRF(tags, batch_first=True)

    def nll(self) -> Operation:
        """Minus its log-likelihood."""
        return self.gradient(
            lambda x: -self.crf(x, self.gold, self.mask, reduction="none"), *self.parameters
        )

    def viterbi(self) -> Operation:
        """[1, batch, words]."""
        return self.k_best(1)

    def k_best(self, k: int) -> Operation:
        """[k, batch, words]."""
        run = torch.no_grad()(lambda: self.crf.decode(self.lattice.emissions, self.mask, nbest=k))
        return Operation(run, lambda x: self.unpadded(x.transpose(0, 1)))


class _Contiguous:
    """PyTorch with a `where` whose results are contiguous, as they once were."""

    def where(self, condition: Tensor, *others: Tensor) -> Tensor:
        """Of a mask of bytes, too."""
        return torch.where(condition.bool(), *others).contiguous()

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


class NbestCrfMended(NbestCrf):
    """The same, where only its own module sees the PyTorch of its day."""

    @classmethod
    def label(cls) -> str:
        """With what was done to it."""
        return f"{super().label()}, mended"

    def k_best(self, k: int) -> Operation:
        """The other `where` is in place while it runs."""
        inner, own = super().k_best(k), import_module("pytorchcrf.pytorch_crf")

        def run() -> Any:
            setattr(own, "torch", _Contiguous())  # noqa: B010
            try:
                return inner.run()
            finally:
                setattr(own, "torch", torch)  # noqa: B010

        return Operation(run, inner.read)


class AllenCrf(Module):
    """AllenNLP's CRF as a package of its own; AllenNLP itself asks for torch < 1.13."""

    distribution, module = "allencrf", "allencrf"

    def create(self, tags: int) -> Any:
        """The module."""
        from allencrf.conditional_random_field import ConditionalRandomField

        return ConditionalRandomField(tags)

    def nll(self) -> Operation:
        """The sum of all sentences is all that it returns."""
        return self.gradient(lambda x: -self.crf(x, self.gold, self.mask), *self.parameters)

    def viterbi(self) -> Operation:
        """Its k-best with k = 1."""
        return self.k_best(1)

    def k_best(self, k: int) -> Operation:
        """Pairs of path and score."""
        return Operation(
            lambda: self.crf.viterbi_tags(self.lattice.emissions, self.mask, top_k=k),
            lambda found: [[[int(t) for t in path] for path, _ in some] for some in found],
        )

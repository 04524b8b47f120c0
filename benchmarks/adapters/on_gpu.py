"""Our programs, our plain PyTorch, and pytorch-crf, all where the lattice is."""

from typing import Any

import torch
from torch import Tensor

from adapters.modules import PytorchCrf
from adapters.peer import Operation, Peer
from pipeline.kernels import forward_backward, gpu, on_gpu
from pipeline.lattice import Lattice


class Programs(Peer):
    """Our Triton programs, without a Lattice and its checks."""

    @classmethod
    def label(cls) -> str:
        """Not a package."""
        return "limbeck, programs alone"

    functions: Any = on_gpu

    @property
    def scores(self) -> tuple[Tensor, ...]:
        """As they take them."""
        of = self.lattice
        return of.emissions, of.transitions, of.start, of.end

    def nll(self) -> Operation:
        """As training does it."""
        lengths, between = self.lattice.lengths, [x.clone() for x in self.scores[1:]]
        between = [x.requires_grad_() for x in between]

        def loss(emissions: Tensor) -> Tensor:
            return self.functions.nll(emissions, *between, lengths=lengths, gold=self.gold)[0]

        return self.gradient(loss, *between)

    def marginals(self) -> Operation:
        """Logarithms."""
        scores, lengths = self.scores, self.lattice.lengths
        run = torch.no_grad()(lambda: self.functions.log_marginals(*scores, lengths=lengths)[0])
        return Operation(run, torch.exp)

    def viterbi(self) -> Operation:
        """[batch, words]."""
        emissions, transitions, start, end = self.scores
        lengths = self.lattice.lengths
        return Operation(
            lambda: gpu.viterbi(emissions, transitions, start, end, lengths),
            lambda paths: self.unpadded(paths[:, None]),
        )


class Plain(Programs):
    """Our sums in plain PyTorch, and the textbook's best path."""

    functions = forward_backward

    @classmethod
    def label(cls) -> str:
        """Not a package."""
        return "limbeck, plain PyTorch"

    def viterbi(self) -> Operation:
        """[batch, words]."""
        lattice = self.lattice
        return Operation(lambda: _viterbi(lattice), lambda paths: self.unpadded(paths[:, None]))


class Crf(PytorchCrf):
    """pytorch-crf where the lattice is."""

    def create(self, tags: int) -> Any:
        """The module."""
        return super().create(tags).to(self.lattice.emissions.device)


@torch.no_grad()
def _viterbi(of: Lattice) -> Tensor:
    """The best path [batch, words], any tag at padding; in the type of the scores."""
    best, previous = of.start + of.emissions[:, 0], []
    for n in range(1, of.mask.shape[1]):
        arrived, came = (best[:, :, None] + of.transitions).max(dim=1)
        goes_on = of.mask[:, n, None]
        best = torch.where(goes_on, arrived + of.emissions[:, n], best)
        stayed = torch.arange(len(of.start), device=best.device)
        previous.append(torch.where(goes_on, came, stayed))
    path = [(best + of.end).argmax(dim=1)]
    for came in reversed(previous):
        path.append(came.gather(1, path[-1][:, None])[:, 0])
    return torch.stack(path[::-1], dim=1)

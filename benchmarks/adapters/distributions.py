"""Peers that are distributions over structures: whatever they offer is a gradient of a sum."""

import sys
import sysconfig
import types
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adapters.peer import Operation, Paths, Peer


class Supar(Peer):
    """yzhangcs's structured distributions."""

    distribution = "supar"

    def prepare(self) -> None:
        """Start and end are one more tag. Its package imports parsers, which are not needed."""
        for name in ("supar", "supar.utils", "supar.structs"):
            bare = types.ModuleType(name)
            bare.__path__ = [str(Path(sysconfig.get_path("purelib"), *name.split(".")))]
            sys.modules.setdefault(name, bare)
        from supar.structs.linearchain import LinearChainCRF

        self.distribution_of = LinearChainCRF
        of = self.lattice
        corner = of.start.new_full((1,), -1e32)
        above = torch.cat([of.transitions, of.end[:, None]], dim=1)
        self.transitions = torch.cat([above, torch.cat([of.start, corner])[None]])

    def made(self) -> Any:
        """A fresh one: it keeps what it found."""
        emissions = self.lattice.emissions.detach()
        return self.distribution_of(emissions, self.transitions, self.lattice.lengths)

    def nll(self) -> Operation:
        """Minus log_prob."""
        transitions = self.transitions.clone().requires_grad_()

        def loss(emissions: Tensor) -> Tensor:
            made = self.distribution_of(emissions, transitions, self.lattice.lengths)
            return -made.log_prob(self.gold)

        inner = self.gradient(loss, transitions)
        return Operation(inner.run, lambda found: (*found[:2], found[2][:-1, :-1]))

    def marginals(self) -> Operation:
        """By autograd."""
        return Operation(lambda: self.made().marginals, lambda x: x.detach())

    def viterbi(self) -> Operation:
        """[batch, words]."""
        return Operation(lambda: self.made().argmax, lambda x: self.unpadded(x[:, None]))

    def k_best(self, k: int) -> Operation:
        """[batch, words, k]."""
        return Operation(lambda: self.made().topk(k), lambda x: self.unpadded(x.transpose(1, 2)))


class TorchStruct(Peer):
    """harvardnlp's; scores of pairs of tags [batch, words - 1, to, from]."""

    distribution, module = "torch-struct", "torch_struct"

    def edges(self, emissions: Tensor, transitions: Tensor) -> Tensor:
        """The potentials, which it has no other way to take."""
        of, lengths = self.lattice, self.lattice.lengths
        emissions = torch.where(self.mask[:, :, None], emissions, 0.0)
        edges = transitions.T + emissions[:, 1:, :, None]
        first = of.start + emissions[:, 0]
        last = torch.arange(edges.shape[1], device=lengths.device) == (lengths - 2)[:, None]
        edges = edges + torch.where(last[:, :, None, None], of.end[:, None], 0.0)
        return torch.cat([edges[:, :1] + first[:, None, None, :], edges[:, 1:]], dim=1)

    def made(self) -> Any:
        """A fresh one: it keeps what it found."""
        from torch_struct import LinearChainCRF

        edges = self.edges(self.lattice.emissions, self.lattice.transitions).detach()
        return LinearChainCRF(edges, lengths=self.lattice.lengths)

    def nll(self) -> Operation:
        """Minus log_prob of the gold edges."""
        from torch_struct import LinearChainCRF

        transitions = self.lattice.transitions.clone().requires_grad_()
        tags = self.lattice.emissions.shape[2]
        # It makes these on the CPU, wherever the path is.
        path, lengths = self.gold.cpu(), self.lattice.lengths.cpu()
        parts = LinearChainCRF.struct.to_parts(path, tags, lengths).to(self.gold.device)

        def loss(emissions: Tensor) -> Tensor:
            edges = self.edges(emissions, transitions)
            return -LinearChainCRF(edges, lengths=self.lattice.lengths).log_prob(parts)

        return self.gradient(loss, transitions)

    def marginals(self) -> Operation:
        """Of pairs of tags; those of tags are their sums."""

        def read(pairs: Tensor) -> Tensor:
            pairs = pairs.detach()
            return torch.cat([pairs[:, :1].sum(dim=2), pairs.sum(dim=3)], dim=1)

        return Operation(lambda: self.made().marginals, read)

    def viterbi(self) -> Operation:
        """Edges that are on."""
        return Operation(lambda: self.made().argmax, lambda x: self.tags(x[None]))

    def k_best(self, k: int) -> Operation:
        """The same, k times."""
        return Operation(lambda: self.made().topk(k), self.tags)

    def tags(self, edges: Tensor) -> Paths:
        """From [k, batch, words - 1, to, from]."""
        edges = edges.detach()
        first = edges[:, :, :1].sum(dim=3).argmax(dim=3)
        onward = edges.sum(dim=4).argmax(dim=3)
        return self.unpadded(torch.cat([first, onward], dim=2).transpose(0, 1))

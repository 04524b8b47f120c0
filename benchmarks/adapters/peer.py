"""Peers on the same lattices as we: one class a peer, one method an operation that it offers.

A method prepares everything outside the clock and returns `Operation(run, read)`: `run` is what is
timed, `read` turns its result into what all share. That is, for `nll`: losses [batch], gradients
of emissions [batch, words, tags] and of transitions [tags, tags]; for `marginals`: p(tag n = t)
[batch, words, tags], any value at padding; for `viterbi` and `k_best`: for each sentence a list
of paths, each a list of tags.
"""

import importlib.util
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, NamedTuple

import torch
from problems import Problem
from torch import Tensor

Paths = list[list[list[int]]]
"""Of each sentence, best first."""


class Operation(NamedTuple):
    """What is timed, and how its result is read."""

    run: Callable[[], Any]
    read: Callable[[Any], Any]


class Peer:
    """Where it comes from; `distribution` is its name on the package index."""

    distribution = ""
    module = ""

    def __init__(self, problem: Problem) -> None:
        self.lattice, self.gold = problem
        self.prepare()

    def prepare(self) -> None:
        """Make the peer's own model of the problem."""

    @classmethod
    def label(cls) -> str:
        """Name and version."""
        return f"{cls.distribution} {version(cls.distribution)}"

    @classmethod
    def is_here(cls) -> bool:
        """Whether it is installed."""
        return importlib.util.find_spec(cls.module or cls.distribution) is not None

    @property
    def mask(self) -> Tensor:
        """True at words."""
        return self.lattice.mask

    @property
    def lengths(self) -> list[int]:
        """Words of each sentence."""
        return self.lattice.lengths.tolist()

    def unpadded(self, paths: Tensor) -> Paths:
        """From [batch, k, words]."""
        return [
            [path[:length] for path in of_sentence]
            for of_sentence, length in zip(paths.tolist(), self.lengths, strict=True)
        ]

    def gradient(self, loss: Callable[[Tensor], Tensor], *parameters: Tensor) -> Operation:
        """NLL with its gradients; `parameters` begin with the transitions."""
        emissions = self.lattice.emissions.clone().requires_grad_()

        def run() -> tuple[Tensor, ...]:
            value = loss(emissions)
            return value, *torch.autograd.grad(value.sum(), (emissions, *parameters))

        return Operation(run, lambda found: found[:3])

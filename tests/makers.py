"""Lattices for tests: ragged, with forbidden transitions, ties, large scores, NaN at padding."""

from dataclasses import replace

import torch
from hypothesis import strategies as st

from pipeline.decoding import k_best
from pipeline.lattice import Lattice, log_marginals
from pipeline.losses.supervision import Spoken, Targets, Teacher

NAMES = ("emissions", "transitions", "start", "end")
WIDTH = 5
"""Numbers of a word's vector."""


def lattice(
    lengths,
    tags: int,
    *,
    seed: int = 0,
    spread: float = 1.0,
    forbidden: float = 0.0,
    step: float | None = None,
    dtype=torch.float64,
) -> Lattice:
    """Normal scores times `spread`, a share of them `forbidden`, rounded to multiples of `step`.

    Tag 0 is allowed everywhere, so that every sentence has a path. Padding is NaN.
    """
    random = torch.Generator().manual_seed(seed)
    words = max(lengths, default=1)
    shapes = ((len(lengths), words, tags), (tags, tags), (tags,), (tags,))
    scores = [torch.randn(shape, generator=random, dtype=torch.float64) for shape in shapes]
    scores = [spread * x if step is None else (spread * x / step).round() * step for x in scores]
    for x in scores:
        allowed = torch.rand(x.shape, generator=random) >= forbidden
        allowed[(0,) * allowed.dim() if x is scores[1] else (..., 0)] = True
        x.masked_fill_(~allowed, -torch.inf)
    mask = torch.arange(words) < torch.tensor(lengths, dtype=torch.int64)[:, None]
    scores[0][~mask] = torch.nan
    return Lattice(*(x.to(dtype) for x in scores), mask=mask)


def with_vectors(of: Lattice, *, seed: int = 0, spread: float = 1.0) -> Lattice:
    """The same with vectors of normal numbers times `spread`, NaN at padding."""
    random = torch.Generator().manual_seed(seed)
    vectors = spread * torch.randn(*of.mask.shape, WIDTH, generator=random, dtype=torch.float64)
    vectors[~of.mask] = torch.nan
    return replace(of, vectors=vectors.to(of.emissions.dtype))


@st.composite
def lattices(draw, dtype=torch.float64, spreads=(0.1, 1.0, 10.0, 1e4)):
    """Lattices small enough to list their paths; a third of them with whole numbers, so ties."""
    return lattice(
        draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)),
        draw(st.integers(1, 4)),
        seed=draw(st.integers(0, 2**16)),
        spread=draw(st.sampled_from(spreads)),
        forbidden=draw(st.sampled_from([0.0, 0.3, 0.7])),
        step=draw(st.sampled_from([None, None, 1.0])),
        dtype=dtype,
    )


def leaves(of: Lattice) -> Lattice:
    """The same with scores that collect gradients."""
    scores = (getattr(of, name).clone().requires_grad_() for name in NAMES)
    vectors = None if of.vectors is None else of.vectors.clone().requires_grad_()
    return Lattice(*scores, mask=of.mask, vectors=vectors)


def gradients(value, of: Lattice):
    """Of a value by emissions, transitions, start, end and, where there are any, vectors."""
    scores = [getattr(of, name) for name in NAMES]
    scores += [] if of.vectors is None else [of.vectors]
    return torch.autograd.grad(value, scores, retain_graph=True, materialize_grads=True)


def taught_by(teacher: Lattice, k: int = 4) -> Targets:
    """All that one teacher says of the sentences of a batch."""
    best, everyone = k_best(teacher, k), torch.arange(len(teacher.mask))
    emissions = torch.where(teacher.mask[:, :, None], teacher.emissions, 0.0)
    between = Teacher(everyone, teacher.transitions, teacher.start, teacher.end)
    spoken = () if teacher.vectors is None else (Spoken(everyone, teacher.vectors, 0),)
    return Targets(
        best.paths,
        best.log_probs,
        log_marginals(teacher),
        emissions,
        (between,),
        vectors=spoken,
    )

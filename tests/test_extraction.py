"""Targets are those that the oracle lists, in the order of the emissions, also read from disk."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.emissions import Emissions
from pipeline.extraction import best_paths, extract
from pipeline.lattice import Lattice
from pipeline.parts import part_name
from pipeline.targets import TargetRows, read_targets, write_targets
from pipeline.transitions import Transitions
from tests import makers, oracle

TAGS = ("O", "B-X", "I-X")
LENGTHS = [2, 1, 5, 3]


class Given(Transitions):
    """Those of a lattice, whatever a scheme would say."""

    def __init__(self, lattice: Lattice) -> None:
        super().__init__(("O",), "iob2", "softmax")
        self.given = (lattice.transitions, lattice.start, lattice.end)

    def scores(self):
        return self.given


def packed(lattice: Lattice) -> Emissions:
    """The sentences of a lattice one after the other."""
    offsets = np.cumsum([0, *lattice.lengths.tolist()])
    ids = np.arange(len(lattice.lengths), dtype=np.int32)
    return Emissions(ids, offsets, lattice.emissions[lattice.mask].numpy())


def paths_of(rows: TargetRows, sentence: int) -> list[tuple[int, ...]]:
    """The paths of one sentence, best first."""
    lengths = np.diff(rows.offsets)
    first = int(rows.counts[:sentence] @ lengths[:sentence])
    flat = rows.paths[first : first + rows.counts[sentence] * lengths[sentence]]
    return [tuple(path) for path in flat.reshape(-1, lengths[sentence]).tolist()]


def assert_exact(found: TargetRows, of: Lattice, k: int, *, atol: float) -> None:
    log_probs = np.split(found.path_log_probs, np.cumsum(found.counts)[:-1])
    marginals = oracle.marginals(of)
    for n, length in enumerate(of.lengths.tolist()):
        best = oracle.best(of, n)
        expected = dict(best)
        listed = paths_of(found, n)
        assert len(set(listed)) == len(listed) == min(k, len(best))
        # Among equals, and what float32 makes equal, another order is as good.
        np.testing.assert_allclose(log_probs[n], [p for _, p in best[:k]], rtol=1e-6, atol=atol)
        np.testing.assert_allclose(log_probs[n], [*map(expected.get, listed)], rtol=1e-6, atol=atol)
        first, end = found.offsets[n], found.offsets[n + 1]
        beliefs = np.exp(found.log_marginals[first:end].astype(np.float64))
        np.testing.assert_allclose(beliefs, marginals[n, :length], atol=max(atol, 1e-6))
    np.testing.assert_allclose(found.log_partition, oracle.log_partition(of), rtol=1e-6, atol=atol)


@given(of=makers.lattices(torch.float32), k=st.sampled_from([1, 3, 40, 300]))
def test_targets_are_exact_and_survive_the_disk(tmp_path_factory, of: Lattice, k: int):
    found = extract(packed(of), Given(of), k)
    assert_exact(found, of, k, atol=1e-6)
    folder = tmp_path_factory.mktemp("targets")
    tags = [str(tag) for tag in range(of.emissions.shape[2])]
    write_targets(folder / part_name(0), [found], tags, k)
    (back,) = read_targets(folder)
    assert_exact(back, of, k, atol=1e-3)


@given(of=makers.lattices(torch.float32))
def test_best_paths_are_the_first_of_the_best(of: Lattice):
    best = best_paths(packed(of), Given(of))
    first = extract(packed(of), Given(of), 2)
    assert [[tuple(path)] for path in best] == [paths_of(first, n)[:1] for n in range(len(best))]


@pytest.fixture
def transitions() -> Transitions:
    torch.manual_seed(0)
    made = Transitions(TAGS, "iob2", "crf")
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made.requires_grad_(requires_grad=False)


@pytest.fixture
def rows() -> Emissions:
    offsets = np.cumsum([0, *LENGTHS])
    scores = np.random.default_rng(0).normal(size=(offsets[-1], 3)).astype(np.float32)
    return Emissions(np.arange(4, dtype=np.int32), offsets, scores)


def test_no_sentence_knows_of_the_others(rows: Emissions, transitions: Transitions):
    together = extract(rows, transitions, 7)
    for n in range(len(rows)):
        alone = extract(rows[slice(n, n + 1)], transitions, 7)
        assert paths_of(alone, 0) == paths_of(together, n)
        words = slice(rows.offsets[n], rows.offsets[n + 1])
        np.testing.assert_array_equal(alone.log_marginals, together.log_marginals[words])


def test_forbidden_tags_never_appear(rows: Emissions, transitions: Transitions):
    found = extract(rows, transitions, 40)
    listed = [path for n in range(len(rows)) for path in paths_of(found, n)]
    assert {path[0] for path in listed} == {0, 1}
    assert (0, 2) not in {pair for path in listed for pair in pairwise(path)}


def test_a_softmax_tagger_has_its_softmax_as_marginals(rows: Emissions):
    found = extract(rows, Transitions(TAGS, "iob2", "softmax"), 1)
    expected = torch.log_softmax(torch.from_numpy(rows.scores).double(), dim=1)
    np.testing.assert_allclose(found.log_marginals, expected, atol=1e-6)


def test_what_scaling_cannot_do_is_done_in_log_space():
    """A tag 2,000 nats behind is the only one with a way on."""
    scores = np.array([[0, -2000], [0, -2000], [1, 2]], dtype=np.float32)
    of = Lattice(
        torch.from_numpy(scores)[None],
        torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]]),
        torch.zeros(2),
        torch.tensor([-torch.inf, 0.0]),
        torch.ones(1, 3, dtype=torch.bool),
    )
    assert_exact(extract(packed(of), Given(of), 5), of, 5, atol=1e-6)


def test_a_sentence_that_no_path_fits_has_none():
    of = Lattice(
        torch.zeros(2, 2, 2),
        torch.full((2, 2), -torch.inf),
        torch.zeros(2),
        torch.zeros(2),
        torch.tensor([[True, True], [True, False]]),
    )
    found = extract(packed(of), Given(of), 3)
    assert found.counts.tolist() == [0, 2]
    assert np.isneginf(found.log_partition[0])
    assert np.isneginf(found.log_marginals[:2]).all()
    np.testing.assert_allclose(found.path_log_probs, np.log([0.5, 0.5]))

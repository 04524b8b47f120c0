"""Targets are those that the oracle lists, in the order of the emissions, to float16 on disk."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from pipeline.extraction import extract
from pipeline.targets import Emissions
from pipeline.transitions import Transitions
from tests import oracle

TAGS = ("O", "B-X", "I-X")
LENGTHS = [2, 1, 5, 3]


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


@pytest.mark.parametrize("k", [1, 3, 40])
def test_targets_are_exact(rows: Emissions, transitions: Transitions, k: int):
    found = extract(rows, transitions, k)
    for n, length in enumerate(LENGTHS):
        first, end = rows.offsets[n], rows.offsets[n + 1]
        emissions = torch.from_numpy(rows.scores[first:end])[None].double()
        lattice = transitions.double().lattice(emissions, torch.tensor([length]))
        best = oracle.best(lattice, 0)[:k]
        assert [tuple(path) for path in found.paths[n].tolist()] == [path for path, _ in best]
        np.testing.assert_allclose(found.path_log_probs[n], [log_p for _, log_p in best], atol=1e-9)
        np.testing.assert_allclose(found.log_partition[n], oracle.log_partition(lattice)[0])
        marginals = oracle.marginals(lattice)[0]
        np.testing.assert_allclose(np.exp(found.log_marginals[first:end]), marginals, atol=1e-9)


def test_forbidden_tags_never_appear(rows: Emissions, transitions: Transitions):
    found = extract(rows, transitions, 40)
    starts = {path[0] for paths in found.paths for path in paths.tolist()}
    assert starts == {0, 1}
    pairs = {pair for paths in found.paths for path in paths.tolist() for pair in pairwise(path)}
    assert (0, 2) not in pairs


def test_a_softmax_tagger_has_its_softmax_as_marginals(rows: Emissions):
    found = extract(rows, Transitions(TAGS, "iob2", "softmax"), 1)
    expected = torch.log_softmax(torch.from_numpy(rows.scores).double(), dim=1)
    np.testing.assert_allclose(found.log_marginals, expected, atol=1e-6)

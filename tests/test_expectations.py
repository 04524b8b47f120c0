"""Expected tags and transitions, against lists of all paths, by both ways of summing."""

import pytest
import torch
from hypothesis import given

from pipeline.lattice import Lattice
from pipeline.losses import expectations as module
from pipeline.losses.expectations import expectations, expected_score
from tests import makers, oracle


def shares(lattice: Lattice) -> torch.Tensor:
    """Marginals by listing, 0 at padding."""
    return oracle.marginals(lattice) * lattice.mask[:, :, None]


def pairs(lattice: Lattice) -> torch.Tensor:
    """How often each pair of neighbours is expected, by listing."""
    tables = oracle.pairwise_marginals(lattice) * lattice.mask[:, 1:, None, None]
    return tables.sum(dim=1)


@given(makers.lattices(spreads=(0.1, 1.0, 10.0, 1000.0)))
def test_expectations_are_those_of_all_paths(lattice: Lattice):
    found = expectations(lattice)
    torch.testing.assert_close(found.words, shares(lattice), atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(found.pairs, pairs(lattice), atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(found.first, found.words[:, 0], atol=1e-9, rtol=1e-9)
    last = found.words[torch.arange(len(lattice.mask)), lattice.lengths - 1]
    torch.testing.assert_close(found.last, last, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(found.log_partition, oracle.log_partition(lattice))


@pytest.mark.parametrize("local", [1.0, 3.0])
@given(lattice=makers.lattices(spreads=(0.1, 1.0, 10.0)))
def test_log_space_finds_the_same(local, lattice: Lattice):
    """What sums where there is a GPU, and where scaled sums are not exact."""
    found = expectations(lattice, local)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_by_factors", lambda *_: (found, lattice.lengths < 0))
        plain = expectations(lattice, local)
    again = expectations(lattice, local)
    for one, other in zip(again, plain, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)


@given(makers.lattices(spreads=(0.1, 1.0, 10.0)))
def test_local_temperature_softens_each_pair_by_itself(lattice: Lattice):
    found = expectations(lattice, 2.0)
    tables = oracle.pairwise_marginals(lattice).sqrt()
    tables = tables / tables.sum(dim=(2, 3), keepdim=True)
    tables = tables * lattice.mask[:, 1:, None, None]
    torch.testing.assert_close(found.pairs, tables.sum(dim=1), atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(found.words[:, 1:], tables.sum(dim=2), atol=1e-9, rtol=1e-9)
    ends = oracle.marginals(lattice).sqrt()
    ends = ends / ends.sum(dim=2, keepdim=True)
    torch.testing.assert_close(found.first, ends[:, 0], atol=1e-9, rtol=1e-9)
    last = ends[torch.arange(len(lattice.mask)), lattice.lengths - 1]
    torch.testing.assert_close(found.last, last, atol=1e-9, rtol=1e-9)


@given(makers.lattices(spreads=(0.1, 1.0, 10.0)))
def test_the_expected_score_and_the_partition_make_the_entropy(lattice: Lattice):
    found = expectations(lattice)
    entropy = found.log_partition - expected_score(lattice, found)
    torch.testing.assert_close(entropy, oracle.entropy(lattice), atol=1e-7, rtol=1e-7)


def test_a_sentence_without_a_path_has_no_partition():
    lattice = makers.lattice([2, 3], 3)
    lattice.emissions[0, 1] = -torch.inf
    assert torch.isfinite(expectations(lattice).log_partition).tolist() == [False, True]

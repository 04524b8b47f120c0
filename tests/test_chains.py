"""Sums in NumPy: those that listing every path finds, and those of the lattice in PyTorch."""

import math

import numpy as np
import oracle
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from makers import lattice, lattices

from pipeline.lattice import Lattice, log_partition, restrict
from pipeline.lattice import log_marginals as torch_marginals
from pipeline.prediction.chains import Chain, Links, Stretches, links_of, log_marginals, log_probs

few = examples(max_examples=60)


def chain(of: Lattice) -> Chain:
    """The same scores; whoever exports stores them in one table."""
    table = torch.cat([of.transitions, of.start[None], of.end[None]])
    return Chain(of.emissions.numpy(), links_of(table.numpy()), of.lengths.numpy())


def stretches(entries, tags: int, before=None, after=None) -> Stretches:
    """Of (sentence, first, end); without masks any tag may stand beside one."""
    sentence, first, end = np.array(entries, dtype=int).T
    everything = np.ones((len(entries), tags), dtype=bool)
    masks = (everything if mask is None else mask for mask in (before, after))
    return Stretches(sentence, first, end, *masks)


@few
@given(lattices())
def test_the_sum_over_all_paths_is_that_of_all_paths_listed(of):
    wanted = oracle.log_partition(of).tolist()
    assert chain(of).sums.total.tolist() == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@few
@given(lattices())
def test_marginals_are_those_of_all_paths_listed(of):
    found = np.exp(log_marginals(chain(of)))
    np.testing.assert_allclose(found, oracle.marginals(of).numpy(), atol=1e-9)


@few
@given(lattices(), st.data())
def test_stretches_are_as_probable_as_the_paths_that_have_them(of, data):
    scores, tags = chain(of), of.emissions.shape[2]
    for sentence, length in enumerate(of.lengths.tolist()):
        first = data.draw(st.integers(0, length - 1))
        end = data.draw(st.integers(first + 1, length))
        path = np.array(data.draw(st.lists(st.integers(0, tags - 1), min_size=4, max_size=4)))
        beside = data.draw(st.lists(st.booleans(), min_size=2 * tags, max_size=2 * tags))
        before, after = np.array(beside).reshape(2, 1, tags)
        paths = np.tile(path[: of.mask.shape[1]], (len(of.mask), 1))
        found = log_probs(scores, paths, stretches([(sentence, first, end)], tags, before, after))
        wanted = math.fsum(
            probability
            for listed, probability in oracle.probabilities(of, sentence).items()
            if [*listed[first:end]] == path[first:end].tolist()
            and (first == 0 or before[0, listed[first - 1]])
            and (end == length or after[0, listed[end]])
        )
        assert math.exp(found[0]) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("spread", [0.1, 3.0, 30.0, 300.0, 3000.0])
@pytest.mark.parametrize("forbidden", [0.0, 0.4])
def test_long_sentences_agree_with_pytorch_however_far_scores_lie_apart(spread, forbidden):
    of = lattice([60, 1, 25, 2, 60], 9, seed=4, spread=spread, forbidden=forbidden)
    scores = chain(of)
    torch.testing.assert_close(torch.from_numpy(scores.sums.total), log_partition(of))
    found, wanted = (np.exp(x) for x in (log_marginals(scores), torch_marginals(of).numpy()))
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_what_probabilities_cannot_hold_is_summed_in_logs():
    """Two beginnings a thousand nats apart, of which only the unlikely one goes on."""
    emissions = np.zeros((2, 3, 2))
    emissions[:, 0, 0] = 1000.0, 10.0
    between = np.array([[0.0, -np.inf], [-np.inf, 0.0]])
    emissions[:, 2, 0] = -2000.0, -20.0
    found = Chain(emissions, Links(between, np.zeros(2), np.zeros(2)), np.array([3, 3])).sums
    assert found.total.tolist() == pytest.approx([0.0, np.log(1 + np.exp(-10.0))])


def test_padding_counts_for_nothing():
    of = lattice([5, 2, 3], 4, seed=2, forbidden=0.2)
    whole = chain(of)
    for sentence, length in enumerate(of.lengths.tolist()):
        alone = Chain(whole.emissions[[sentence], :length], whole.links, whole.lengths[[sentence]])
        assert alone.sums.total == pytest.approx(whole.sums.total[[sentence]])
        inside = log_marginals(whole)[sentence]
        np.testing.assert_allclose(inside[:length], log_marginals(alone)[0])
        assert (inside[length:] == 0).all()


def test_where_every_path_is_forbidden_nothing_is_probable():
    of = lattice([3, 2], 2, seed=1)
    allowed = torch.ones(of.emissions.shape, dtype=torch.bool)
    allowed[0, 1] = False
    scores = chain(restrict(of, allowed))
    assert scores.sums.total[0] == -np.inf
    assert (log_marginals(scores)[0] == -np.inf).all()
    paths = np.zeros((2, 3), dtype=int)
    assert log_probs(scores, paths, stretches([(0, 0, 1), (0, 0, 2)], 2)).tolist() == [-np.inf] * 2


def test_one_word_and_one_tag():
    ones = Links(np.full((1, 1), 0.5), np.full(1, 2.0), np.full(1, 3.0))
    scores = Chain(np.full((1, 3, 1), 7.0, np.float32), ones, np.array([3]))
    assert scores.sums.total.tolist() == [2 + 3 + 3 * 7 + 2 * 0.5]
    alone = Chain(scores.emissions[:, :1], ones, np.array([1]))
    assert alone.sums.total.tolist() == [12.0]
    assert log_probs(alone, np.zeros((1, 1), int), stretches([(0, 0, 1)], 1)).tolist() == [0.0]

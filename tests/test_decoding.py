"""The best paths: those that listing every path finds, in order, on any batch there is."""

import math

import oracle
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from makers import lattice, lattices
from test_lattice import worked_example

from pipeline.decoding import k_best, viterbi
from pipeline.lattice import Lattice, log_partition, restrict, score

few = examples(max_examples=40)
EVERYTHING = 4**4 + 3
"""More paths than any lattice of `lattices` has."""


def listed(of: Lattice, k: int) -> list[list[tuple[tuple[int, ...], float]]]:
    """The paths that exist and their log-probabilities, a list a sentence; padding is zero."""
    paths, log_probs = k_best(of, k)
    assert paths.shape == (len(of.mask), k, of.mask.shape[1])
    assert (paths.masked_select(~of.mask[:, None]) == 0).all()
    exists = log_probs > -torch.inf
    assert (exists.long().diff(dim=1) <= 0).all()
    return [
        [
            (tuple(path[:length]), log_prob)
            for path, log_prob in zip(paths[n].tolist(), log_probs[n].tolist(), strict=True)
            if log_prob > -math.inf
        ]
        for n, length in enumerate(of.lengths.tolist())
    ]


@few
@given(lattices(), st.sampled_from([1, 2, 5, 20, EVERYTHING]))
def test_the_k_best_are_those_of_all_paths_listed(of, k):
    for sentence, found in enumerate(listed(of, k)):
        expected = oracle.best(of, sentence)
        log_probs = dict(expected)
        assert len(found) == min(k, len(expected))
        assert len({path for path, _ in found}) == len(found)
        for (path, log_prob), (_, best) in zip(found, expected, strict=False):
            assert log_prob == pytest.approx(log_probs[path], rel=1e-9, abs=1e-9)
            assert log_prob == pytest.approx(best, rel=1e-9, abs=1e-9)


@few
@given(lattices(spreads=(1.0, 3.0)), st.integers(1, 12))
def test_fewer_are_the_first_of_more_even_among_ties(of, k):
    whole = Lattice(*(x.round() for x in (of.emissions, of.transitions, of.start, of.end)), of.mask)
    for scores in (of, whole):
        for fewer, more in zip(listed(scores, k), listed(scores, k + 1), strict=True):
            assert more[: len(fewer)] == fewer


@few
@given(lattices(spreads=(1.0, 1e4)))
def test_of_equal_paths_the_best_has_the_lowest_tags_from_the_last_word_on(of):
    of = Lattice(*(x.round() for x in (of.emissions, of.transitions, of.start, of.end)), of.mask)
    paths = viterbi(of)
    assert torch.equal(k_best(of, 3).paths[:, 0], paths)
    for sentence, length in enumerate(of.lengths.tolist()):
        assert tuple(paths[sentence, :length].tolist()) == oracle.best(of, sentence)[0][0]
        assert (paths[sentence, length:] == 0).all()


@few
@given(lattices())
def test_all_paths_together_are_certain(of):
    total = k_best(of, EVERYTHING).log_probs.exp().sum(dim=1)
    assert total.tolist() == pytest.approx([1.0] * len(total))


def test_after_the_last_path_the_best_is_repeated():
    of = lattice([2, 1], 2, seed=3)
    paths, log_probs = k_best(of, 6)
    assert (log_probs > -torch.inf).sum(dim=1).tolist() == [4, 2]
    assert torch.equal(paths[0, 4:], paths[0, :1].expand(2, -1))
    assert torch.equal(paths[1, 2:], paths[1, :1].expand(4, -1))


@pytest.mark.parametrize("spread", [0.3, 5.0])
def test_longer_lattices_agree_with_the_textbook(spread):
    of = lattice([25, 1, 14], 6, seed=11, spread=spread, forbidden=0.3)
    for sentence, found in enumerate(listed(of, 50)):
        expected = oracle.best_by_merging(of, sentence, 50)
        total = log_partition(of)[sentence].item()
        assert [path for path, _ in found] == [path for _, path in expected]
        assert [p for _, p in found] == pytest.approx([s - total for s, _ in expected])


def test_float32_lists_long_sentences_in_the_order_of_float64():
    of = lattice([200] * 4, 5, seed=9, spread=30.0, dtype=torch.float32)
    short, long = k_best(of, 20), k_best(of.double(), 20)
    assert torch.equal(short.paths, long.paths)
    assert short.log_probs.dtype == torch.float32
    torch.testing.assert_close(short.log_probs.double(), long.log_probs, rtol=1e-6, atol=1e-6)
    assert torch.equal(viterbi(of), long.paths[:, 0])


def test_where_every_path_is_forbidden_none_exists():
    of = lattice([3, 2], 2, seed=1)
    allowed = torch.ones(of.emissions.shape, dtype=torch.bool)
    allowed[0, 1] = False
    of = restrict(of, allowed)
    assert (k_best(of, 3).log_probs > -torch.inf).sum(dim=1).tolist() == [0, 3]
    assert viterbi(of).shape == (2, 3)


@pytest.mark.parametrize("shape", [(0, 3, 2), (1, 1, 1), (2, 4, 1)])
def test_small_batches(shape):
    batch, words, tags = shape
    scores = [torch.zeros(x) for x in (shape, (tags, tags), (tags,), (tags,))]
    of = Lattice(*scores, mask=torch.ones(batch, words, dtype=torch.bool))
    assert viterbi(of).tolist() == [[0] * words] * batch
    paths, log_probs = k_best(of, 2)
    assert (paths.shape, log_probs.shape) == ((batch, 2, words), (batch, 2))
    if batch:
        assert log_probs.tolist() == [[0.0, -math.inf]] * batch


@pytest.mark.parametrize("k", [0, -1])
def test_k_is_at_least_one(k):
    with pytest.raises(ValueError, match="k: expected at least 1"):
        k_best(lattice([2], 2), k)


def test_the_worked_example_has_the_order_and_weights_of_the_paper():
    of = worked_example()
    paths, log_probs = k_best(of, 9)
    labels = ["".join("FT"[tag % 2] for tag in path) for path in paths[0].tolist()]
    assert labels[:4] == ["TTF", "FFT", "FTF", "TFT"]
    assert (log_probs[0] > -torch.inf).tolist() == [True] * 8 + [False]
    weights = log_probs[0, :2].softmax(dim=0).tolist()
    assert weights == pytest.approx([0.5714, 0.4286], abs=5e-5)
    assert log_probs[0, :2].exp().sum().item() == pytest.approx(0.7385, abs=5e-5)
    assert score(of, paths[:, 0]).exp().item() == pytest.approx(8.0)

"""The best paths in NumPy: the very paths of `pipeline.decoding`, ties and all."""

import hypothesis.strategies as st
import numpy as np
import oracle
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from makers import lattice, lattices
from test_chains import chain

from pipeline import decoding
from pipeline.lattice import Lattice, restrict
from pipeline.prediction.chains import Chain
from pipeline.prediction.paths import k_best, viterbi

few = examples(max_examples=60)
EVERYTHING = 4**4 + 3
"""More paths than any lattice of `lattices` has."""


def agree(of: Lattice, k: int) -> None:
    """The same paths in the same order, and as many."""
    paths, log_probs = decoding.k_best(of, k)
    for sentence, found in enumerate(k_best(chain(of), k)):
        length, exist = int(of.lengths[sentence]), int((log_probs[sentence] > -torch.inf).sum())
        assert found.tags.tolist() == paths[sentence, :exist, :length].tolist()
        wanted = log_probs[sentence, :exist].tolist()
        assert found.log_probs.tolist() == pytest.approx(wanted, rel=1e-5, abs=1e-5)


@few
@given(lattices(), st.sampled_from([1, 2, 5, 20, EVERYTHING]))
def test_the_k_best_are_those_of_pytorch(of, k):
    agree(of, k)


@few
@given(lattices(spreads=(1.0, 3.0)), st.sampled_from([1, 3, 20]))
def test_ties_go_where_they_go_in_pytorch(of, k):
    agree(
        Lattice(*(x.round() for x in (of.emissions, of.transitions, of.start, of.end)), of.mask), k
    )


@few
@given(lattices())
def test_the_best_is_that_of_all_paths_listed(of):
    found = viterbi(chain(of))
    assert found.tolist() == decoding.viterbi(of).tolist()
    for sentence, length in enumerate(of.lengths.tolist()):
        best = dict(oracle.best(of, sentence))
        path = tuple(found[sentence, :length].tolist())
        assert best[path] == pytest.approx(max(best.values()), rel=1e-12)


@few
@given(lattices(spreads=(1.0, 3.0)))
def test_a_sentence_by_itself_has_the_path_that_it_has_among_others(of):
    """Ties too."""
    whole = chain(
        Lattice(*(x.round() for x in (of.emissions, of.transitions, of.start, of.end)), of.mask)
    )
    for sentence, path in enumerate(viterbi(whole)):
        emissions, lengths = (x[sentence : sentence + 1] for x in (whole.emissions, whole.lengths))
        alone = Chain(emissions, whole.links, lengths)
        assert viterbi(alone)[0].tolist() == path.tolist()


@few
@given(lattices(spreads=(1.0, 1e4)))
def test_of_equal_paths_the_best_has_the_lowest_tags_from_the_last_word_on(of):
    of = Lattice(*(x.round() for x in (of.emissions, of.transitions, of.start, of.end)), of.mask)
    for sentence, path in enumerate(viterbi(chain(of)).tolist()):
        assert tuple(path[: of.lengths[sentence]]) == oracle.best(of, sentence)[0][0]


@pytest.mark.parametrize("spread", [0.3, 5.0])
@pytest.mark.parametrize("step", [None, 1.0])
def test_long_sentences_in_float32_agree_with_pytorch(spread, step):
    of = lattice(
        [25, 1, 60, 14] * 5, 17, seed=11, spread=spread, forbidden=0.3, step=step,
        dtype=torch.float32,
    )  # fmt: skip
    assert np.array_equal(viterbi(chain(of)), decoding.viterbi(of).numpy())
    agree(of, 30)


@few
@given(lattices())
def test_all_paths_together_are_certain(of):
    for sentence, found in enumerate(k_best(chain(of), EVERYTHING)):
        assert len(found.tags) == len(oracle.paths(of, sentence))
        assert np.exp(found.log_probs).sum() == pytest.approx(1.0)


def test_where_every_path_is_forbidden_none_exists():
    of = lattice([3, 2], 2, seed=1)
    allowed = torch.ones(of.emissions.shape, dtype=torch.bool)
    allowed[0, 1] = False
    scores = chain(restrict(of, allowed))
    assert [len(found.tags) for found in k_best(scores, 3)] == [0, 3]
    assert viterbi(scores).shape == (2, 3)


@pytest.mark.parametrize("k", [0, -1])
def test_k_is_at_least_one(k):
    with pytest.raises(ValueError, match="k: expected at least 1"):
        k_best(chain(lattice([2], 2)), k)

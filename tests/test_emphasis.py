"""Weights by saliency: by the formula, of mean 1, and whole where no word stands out."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.emissions import Emissions
from pipeline.emphasis import Emphasis
from tests.test_parts import answers

NUMBERS = st.lists(st.floats(0, 50, width=32), min_size=1, max_size=6)


def rows_of(sentences: list[list[float]]) -> Emissions:
    offsets = np.cumsum([0, *map(len, sentences)])
    flat = np.array([s for each in sentences for s in each], dtype=np.float32)
    scores = np.zeros((offsets[-1], 0), dtype=np.float32)
    return Emissions(np.arange(len(sentences), dtype=np.int32), offsets, scores, flat)


def weights(share: float, sentences: list[list[float]]) -> list[list[float]]:
    (rows,) = Emphasis(share=share).weighed([rows_of(sentences)])
    assert rows.saliency is not None
    return [part.tolist() for part in np.split(rows.saliency, rows.offsets[1:-1])]


def test_a_weight_is_what_the_formula_says():
    found = weights(0.5, [[1.0, 3.0], [2.0], [0.0, 0.0, 6.0]])
    assert found == [[0.75, 1.25], [1.0], [0.5, 0.5, 2.0]]


def test_without_any_saliency_all_words_count_alike():
    assert weights(1.0, [[0.0, 0.0], [1.0, 0.0]]) == [[1.0, 1.0], [2.0, 0.0]]


@given(st.lists(NUMBERS, min_size=1, max_size=4), st.floats(0, 1))
def test_a_sentence_counts_as_much_as_ever(sentences, share):
    for own, found in zip(sentences, weights(share, sentences), strict=True):
        assert len(found) == len(own)
        assert min(found) >= 0
        np.testing.assert_allclose(np.mean(found), 1, rtol=1e-5)
        # In the order of saliency, and no other.
        order = np.argsort(own, kind="stable")
        assert (np.diff(np.array(found)[order]) >= -1e-6).all()


@given(NUMBERS)
def test_no_share_leaves_all_alike(sentence):
    assert weights(0.0, [sentence]) == [[1.0] * len(sentence)]


def test_what_else_is_known_stays():
    (found,) = Emphasis().weighed([answers()])
    for name, numbers in replace(answers(), saliency=None).said.items():
        np.testing.assert_array_equal(found.said[name], numbers)

"""Counts and scores: what seqeval's strict mode says, on any tags, and sums that add up."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import v1 as seqeval
from seqeval.scheme import IOB2, IOBES

from pipeline.metrics import count, f1, f_score, precision, recall

LETTERS = {"iob2": "BI", "bioes": "BIES"}
SCHEMES = {"iob2": IOB2, "bioes": IOBES}


def sentences_of(scheme):
    """Pairs of gold and predicted tags, valid or not."""
    tags = ["O", *(f"{letter}-{label}" for letter in LETTERS[scheme] for label in ("A", "B"))]
    pair = st.lists(st.tuples(st.sampled_from(tags), st.sampled_from(tags)), min_size=1, max_size=8)
    return st.lists(pair, min_size=1, max_size=6).map(
        lambda pairs: [[[word[side] for word in row] for row in pairs] for side in (0, 1)]
    )


def by_seqeval(gold, predicted, scheme):
    """Precision, recall, F1 over all labels; the same and support label by label, sorted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where a division by zero counts as zero
        options = {"scheme": SCHEMES[scheme], "zero_division": 0}
        micro, each = (
            seqeval.precision_recall_fscore_support(gold, predicted, average=average, **options)
            for average in ("micro", None)
        )
    return micro, each


@pytest.mark.parametrize("scheme", LETTERS)
@given(data=st.data())
def test_scores_are_those_of_seqeval_in_strict_mode(scheme, data):
    gold, predicted = data.draw(sentences_of(scheme))
    counts = count(gold, predicted, scheme)
    micro, each = by_seqeval(gold, predicted, scheme)
    total = counts.sums().sum(axis=0)
    ours = [float(score(total)) for score in (precision, recall, f_score)]
    assert ours == pytest.approx([100 * float(share) for share in micro[:3]], abs=1e-9)
    assert f1(counts) == ours[2]
    by_label = [100 * np.atleast_1d(shares) for shares in each[:3]]
    for place, label in enumerate(counts.labels):
        total = counts[label].sums().sum(axis=0)
        ours = [float(score(total)) for score in (precision, recall, f_score)]
        assert ours == pytest.approx([float(shares[place]) for shares in by_label], abs=1e-9)
        assert total[2] == each[3][place]


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("XYZ"), st.sampled_from("XYZ")), min_size=1),
        min_size=1,
    )
)
def test_f1_of_flat_tags_is_accuracy(pairs):
    gold, predicted = ([[word[side] for word in row] for row in pairs] for side in (0, 1))
    words = [word for row in pairs for word in row]
    accuracy = 100 * sum(a == b for a, b in words) / len(words)
    assert f1(count(gold, predicted, "flat")) == pytest.approx(accuracy)


@given(sentences_of("bioes"))
def test_counts_of_a_text_are_those_of_its_sentences(pair):
    whole = count(*pair, "bioes").sums()
    alone = [count([gold], [found], "bioes").sums()[0] for gold, found in zip(*pair, strict=True)]
    assert whole.tolist() == [row.tolist() for row in alone]


def test_counts_by_hand():
    gold = [["S-A", "O", "B-B", "E-B"], ["O"]]
    predicted = [["S-A", "O", "S-B", "O"], ["S-A"]]
    counts = count(gold, predicted, "bioes")
    assert counts.labels == ("A", "B")
    assert counts.correct.tolist() == [[1, 0], [0, 0]]
    assert counts.predicted.tolist() == [[1, 1], [1, 0]]
    assert counts.gold.tolist() == [[1, 1], [0, 0]]
    assert f1(counts) == pytest.approx(100 * 2 * 1 / (3 + 2))


def test_nothing_to_find_and_nothing_found_is_zero_as_in_seqeval():
    assert f1(count([["O"]], [["O"]], "iob2")) == 0.0
    assert f1(count([], [], "iob2")) == 0.0


def test_a_label_that_no_sentence_has_counts_zero():
    alone = count([["O"], ["B-B"]], [["O"], ["O"]], "iob2")["A"]
    assert alone.labels == ("A",)
    assert alone.sums().tolist() == [[0, 0, 0], [0, 0, 0]]


def test_predictions_that_do_not_pair_up_are_refused():
    with pytest.raises(ValueError, match="a predicted tag for each gold tag"):
        count([["O", "O"]], [["O"]], "iob2")
    with pytest.raises(ValueError, match="a predicted tag for each gold tag"):
        count([["O"]], [["O"], ["O"]], "iob2")

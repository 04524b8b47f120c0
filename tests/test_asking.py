"""What a teacher answers, by the definition of each answer; the same each time."""

import numpy as np
import pytest
import torch

from pipeline import scoring
from pipeline.asking import Questions, Saliency
from pipeline.config import parse
from pipeline.errors import InputError
from pipeline.masking import masked
from pipeline.scoring import Score
from pipeline.tagger import Tagger
from tests import toys
from tests.test_masking import LONG, with_mask
from tests.test_scoring import WORDS, answers, emissions, small
from tests.test_transformer import encoder


@pytest.fixture
def teacher() -> Tagger:
    return small()


@pytest.fixture
def reader_of_pieces() -> Tagger:
    torch.manual_seed(0)
    network = with_mask(encoder(window=16, overlap=6, shapes=True))
    torch.nn.init.normal_(network.shapes.weight)
    return Tagger(network, toys.TAGS, "iob2", "crf").eval()


def believed(teacher: Tagger, inputs) -> torch.Tensor:
    with torch.inference_mode():
        return torch.softmax(teacher.emissions(inputs).double(), dim=2)


def moved_by_hand(teacher: Tagger, words: list[str], n: int, hidden: list[str]) -> float:
    """KL at word n between beliefs about words as they are and with others in their place."""
    p, q = (believed(teacher, teacher.encoder.inputs([w]))[0, n] for w in (words, hidden))
    return float((p * (p / q).log()).sum())


@pytest.mark.parametrize("every", [1, 2, 4, 100])
def test_saliency_is_how_far_a_belief_moves_when_its_word_is_hidden(teacher: Tagger, every: int):
    found = answers(teacher, WORDS, Questions(saliency=Saliency(every=every)), 40)
    assert found.saliency is not None
    for at, words in enumerate(WORDS):
        for n in range(len(words)):
            hidden = ["" if (m - n) % every == 0 else word for m, word in enumerate(words)]
            expected = moved_by_hand(teacher, words, n, hidden)
            assert found.saliency[found.offsets[at] + n] == pytest.approx(expected, abs=1e-5)


def test_saliency_over_pieces_is_that_of_masks(reader_of_pieces: Tagger):
    found = answers(reader_of_pieces, LONG, Questions(saliency=Saliency(every=7)), 30)
    network, at = reader_of_pieces.encoder, 0
    for words in LONG:
        plain = believed(reader_of_pieces, network.inputs([words]))[0]
        for n in range(len(words)):
            hidden = believed(reader_of_pieces, masked(network, [words], n % 7, 7))[0]
            expected = float((plain[n] * (plain[n] / hidden[n]).log()).sum())
            assert found.saliency is not None
            assert found.saliency[at] == pytest.approx(expected, abs=1e-5)
            at += 1


def test_vectors_are_those_that_the_head_reads(teacher: Tagger):
    found = answers(teacher, WORDS, Questions(vectors=True), 40)
    assert found.vectors is not None
    assert found.vectors.dtype == np.float16
    again = teacher.emit(torch.from_numpy(found.vectors).float()).detach().numpy()
    np.testing.assert_allclose(again, found.scores, atol=5e-3)


def test_passes_with_dropout_are_averaged(teacher: Tagger):
    """Of many passes the mean of vectors is near the one without; of few it is not."""
    sure = emissions(teacher, WORDS, 10_000)[1]
    few, many = (answers(teacher, WORDS, Questions(passes=n)).scores for n in (2, 400))
    assert np.abs(many - sure).mean() < np.abs(few - sure).mean() / 3
    assert not teacher.training


def test_noise_is_the_same_each_time_and_no_other_batch_shifts_it(teacher: Tagger):
    torch.manual_seed(1)
    first = answers(teacher, WORDS, Questions(passes=3), 40)
    torch.manual_seed(2)
    (_, second) = scoring.answers(teacher, Questions(passes=3), [WORDS[:5], WORDS], 40)
    np.testing.assert_array_equal(first.scores, second.scores)


def test_noise_moves_vectors_and_leaves_saliency(teacher: Tagger):
    one, many = (
        answers(teacher, WORDS, Questions(saliency=Saliency(), vectors=True, passes=n))
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one.saliency, many.saliency)
    assert np.abs(one.vectors - many.vectors).max() > 0.01
    assert many.vectors is not None
    again = teacher.emit(torch.from_numpy(many.vectors).float()).detach().numpy()
    np.testing.assert_allclose(again, many.scores, atol=5e-3)


@pytest.mark.parametrize("wrong", [{"saliency": {"every": 0}}, {"passes": 0}, {"vectors": 1}])
def test_a_wrong_question_is_named(wrong):
    (key,) = wrong
    with pytest.raises(InputError, match=rf"score\.{key}.*: expected .*, found"):
        parse(Score, wrong, "score")

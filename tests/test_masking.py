"""A hidden word shows nothing of itself, and the others stay where they were."""

import numpy as np
import pytest
import torch

from pipeline.features import Grams
from pipeline.masking import masked
from pipeline.networks import BiLSTM
from pipeline.students import new_student
from pipeline.transformer import TransformerEncoder
from tests import toys
from tests.test_transformer import PIECES, encoder


def with_mask(network: TransformerEncoder) -> TransformerEncoder:
    """That of the tests has no mask piece: a piece that no word here has takes its place."""
    network.tokenizer.mask_token = "##q"
    return network


LONG = [["the", "London", "bridge", "abc", "."] * 4, ["the", "abc"], ["."]]


def test_the_hidden_word_shows_nothing_of_itself():
    """Neither number nor shape nor spelling: whatever stood there, the same is read."""
    student = BiLSTM(words=8, hidden=8, grams=Grams(buckets=50))
    network = new_student(student, toys.sentences(9, 1)[0], toys.TAGS, "iob2", "crf").encoder
    first, other = (masked(network, [["Ada", word, "."]], 1, 9) for word in ("went", "X-9"))
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, other[name])


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_all_pieces_of_a_hidden_word_are_masks(pooling):
    network = with_mask(encoder(window=16, overlap=6, shapes=True, pooling=pooling))
    plain, hidden = network.inputs(LONG), masked(network, LONG, 3, 5)
    changed = plain["pieces"] != hidden["pieces"]
    assert (hidden["pieces"][changed] == PIECES.index("##q")).all()
    assert (hidden["shape"][changed] == 0).all()
    # Every fourth word of five is `abc`, and no sentence but the first has so many.
    assert [PIECES[n] for n in plain["pieces"][changed]] == ["a", "##b", "##c"] * 4
    for name in ("attend", "word", "lengths", "mask"):
        torch.testing.assert_close(plain[name], hidden[name])


def test_without_a_mask_piece_the_unknown_one_is_read():
    network = encoder()
    (row,) = masked(network, [["the", "bridge"]], 1, 2)["pieces"].tolist()
    assert [PIECES[n] for n in row] == ["[CLS]", "the", "[UNK]", "[SEP]"]


def test_each_word_is_hidden_in_one_pass_and_in_no_other():
    network = with_mask(encoder(window=16, overlap=6))
    owned = network.reader.of_every_piece()(LONG)["word"] > 0
    times = sum(
        (masked(network, LONG, first, 3)["pieces"] == network.tokenizer.mask_token_id).int()
        for first in range(3)
    )
    np.testing.assert_array_equal(times, owned)

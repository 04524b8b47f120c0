"""Windows over long sentences, and one vector a word whatever the tokenizer makes of it."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from pipeline.reading.pieces import windows
from pipeline.transformer import TransformerEncoder

PIECES = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]"),
    *(chr(letter) for letter in range(ord("a"), ord("z") + 1)),
    *(f"##{chr(letter)}" for letter in range(ord("a"), ord("z") + 1)),
    *("london", "bridge", "the", "."),
]


def tokenizer() -> PreTrainedTokenizerFast:
    """A WordPiece tokenizer that lower-cases, as MiniLM's does, over letters and a few words."""
    vocabulary = {piece: number for number, piece in enumerate(PIECES)}
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer()
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]",
        sep_token="[SEP]",
    )  # fmt: skip


def encoder(*, window=16, overlap=6, pooling="first", shapes=False) -> TransformerEncoder:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(PIECES), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32,
    )  # fmt: skip
    model = BertModel(config, add_pooling_layer=False)
    return TransformerEncoder(
        model, tokenizer(), pooling=pooling, shapes=shapes, window=window, overlap=overlap
    ).eval()


@given(
    pieces=st.lists(st.integers(1, 5), min_size=1, max_size=60),
    room=st.integers(5, 20),
    overlap=st.integers(0, 19),
)
def test_every_word_belongs_to_one_window_that_reads_it(pieces, room, overlap):
    found = windows(pieces, room, min(overlap, room - 1))
    owned = [word for window in found for word in range(window.own, window.own_end)]
    assert owned == list(range(len(pieces)))
    for window in found:
        assert sum(pieces[window.first : window.end]) <= room
        assert window.first <= window.own <= window.own_end <= window.end


def test_a_sentence_that_fits_is_one_window():
    assert windows([1, 2, 1], 4, 2) == [(0, 3, 0, 3)]


def test_windows_overlap_and_a_word_goes_where_it_has_context_on_both_sides():
    first, second = windows([1] * 10, 6, 4)[:2]
    assert (first.first, first.end, second.first) == (0, 6, 2)
    assert first.own_end == second.own == 4


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_one_vector_a_word_even_for_words_without_pieces(pooling):
    sentences = [["London", "", "​", "﻿", "­", "bridge"], ["x" * 300], ["."]]
    vectors = encoder(pooling=pooling)(encoder(pooling=pooling).inputs(sentences))
    assert vectors.shape == (3, 6, 16)
    assert torch.isfinite(vectors).all()
    assert (vectors[1, 1:] == 0).all()
    assert (vectors[0] != 0).any(dim=1).all()


@pytest.mark.parametrize("shapes", [False, True])
@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_padding_and_neighbours_in_the_batch_change_nothing(pooling, shapes):
    network = encoder(pooling=pooling, shapes=shapes)
    sentences = [["the", "london", "bridge", "."] * 9, ["abc", "de"], ["the"]]
    together = network(network.inputs(sentences))
    for row, words in enumerate(sentences):
        alone = network(network.inputs([words]))[0]
        torch.testing.assert_close(together[row, : len(words)], alone, atol=1e-5, rtol=1e-5)


def test_first_and_mean_pooling_take_what_they_say():
    words = ["abc", "the"]
    pieces = ["[CLS]", "a", "##b", "##c", "the", "[SEP]"]
    network = encoder()
    numbers = torch.tensor([[PIECES.index(piece) for piece in pieces]])
    hidden = network.model(input_ids=numbers).last_hidden_state[0]
    torch.testing.assert_close(network(network.inputs([words]))[0], hidden[[1, 4]])
    mean = encoder(pooling="mean")
    expected = torch.stack([hidden[1:4].mean(dim=0), hidden[4]])
    torch.testing.assert_close(mean(mean.inputs([words]))[0], expected)


def test_a_long_sentence_is_read_whole_in_windows():
    network = encoder(window=12, overlap=4)
    words = ["the", "london", "bridge"] * 10
    assert network.windowed([words, words[:10], words]) == 2
    assert network.sizes([words, [], words[:10]]) == [30, 0, 10]
    inputs = network.inputs([words])
    assert len(inputs["pieces"]) > 1
    assert sorted(inputs["word"][inputs["word"] > 0].tolist()) == list(range(1, 31))


def test_an_overlap_as_wide_as_the_window_does_not_read_a_text_word_by_word():
    words = ["the"] * 60
    assert len(encoder(window=12, overlap=64).inputs([words])["pieces"]) == 11


def test_shapes_tell_case_apart_once_learnt():
    network = encoder(shapes=True)
    pairs = [["london"]], [["London"]]
    before = [network(network.inputs(pair)) for pair in pairs]
    torch.testing.assert_close(*before)
    torch.nn.init.normal_(network.shapes.weight)
    after = [network(network.inputs(pair)) for pair in pairs]
    assert not torch.allclose(*after)


def test_tokenizer_and_configuration_are_stored(tmp_path: Path):
    encoder().save(tmp_path)
    stored = {path.name for path in (tmp_path / "encoder").iterdir()}
    assert {"config.json", "tokenizer.json"} <= stored

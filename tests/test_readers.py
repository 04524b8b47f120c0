"""Readers alone: what an exported student reads text with, without torch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.networks import BiLSTM
from pipeline.reading.lexicon import shape
from pipeline.reading.pieces import Pieces
from pipeline.reading.readers import load_reader
from pipeline.reading.stored import read_json, write_json
from tests.test_transformer import PIECES, encoder

SENTENCES = [["the", "London", "bridge"] * 9, [], ["", "x" * 300, "東京", "Abc", "\ufeff"], ["."]]


def encoders():
    return {
        "words": BiLSTM().build([["the", "London"]]),
        "first": encoder(),
        "mean": encoder(pooling="mean", window=12, overlap=4),
    }


@pytest.mark.parametrize("name", ["words", "first", "mean"])
def test_a_stored_reader_reads_as_the_encoder_does(name: str, tmp_path: Path):
    network = encoders()[name]
    network.save(tmp_path)
    reader = load_reader(tmp_path)
    wanted, found = network.inputs(SENTENCES), reader(SENTENCES)
    assert [*wanted] == [*found]
    for key, array in found.items():
        assert np.array_equal(array, wanted[key].numpy()), key
        assert array.dtype == wanted[key].numpy().dtype
    assert reader.sizes(SENTENCES) == network.sizes(SENTENCES)
    assert reader.windowed(SENTENCES) == network.windowed(SENTENCES)


@pytest.mark.parametrize("name", ["words", "first"])
def test_a_reader_stores_the_same_bytes_again(name: str, tmp_path: Path):
    encoders()[name].reader.save(tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    load_reader(tmp_path).save(tmp_path)
    assert first == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("name", "file"),
    [("words", "vocabulary.json"), ("words", "reader.json"), ("first", "tokenizer.json")],
)
@pytest.mark.parametrize("damage", ["", "{", None])
def test_a_file_that_lacks_or_is_damaged_is_named(name, file, damage, tmp_path: Path):
    encoders()[name].reader.save(tmp_path)
    (tmp_path / file).unlink()
    if damage is not None:
        (tmp_path / file).write_text(damage)
    with pytest.raises(InputError, match=rf"{file}: expected .*, found"):
        load_reader(tmp_path)


@pytest.mark.parametrize("change", [{"kind": "letters"}, {"colour": 1}])
def test_a_reader_of_another_kind_is_refused(change: dict, tmp_path: Path):
    encoders()["first"].reader.save(tmp_path)
    path = tmp_path / "reader.json"
    write_json(path, {**read_json(path, "it"), **change})
    with pytest.raises(InputError, match=r"reader\.json: expected .*, found"):
        load_reader(tmp_path)


def test_readers_need_numpy_alone():
    heavy = "torch", "transformers", "pydantic", "jaxtyping", "tokenizers"
    code = f"import pipeline.reading.readers, sys; print(*{{*{heavy}}} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


@pytest.mark.parametrize("window", [8, 12, 64])
@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_words_begin_where_the_reader_says(pooling: str, window: int):
    """At a place that counts for the word, in a row that reads the words around it too."""
    arrays = encoder(pooling=pooling, window=window, overlap=4).reader(SENTENCES)
    flat = [word for words in SENTENCES for word in words]
    begins = arrays["first"][arrays["mask"]]
    assert (arrays["first"][~arrays["mask"]] == 0).all()
    numbers = 1 + np.flatnonzero(arrays["mask"])
    assert arrays["word"].ravel()[begins].tolist() == numbers.tolist()
    known = Pieces(encoder().reader.tokenizer, window - 2, PIECES.index("[UNK]"))
    wanted = [pieces[0] for pieces in known.of(flat)]
    assert arrays["pieces"].ravel()[begins].tolist() == wanted
    assert arrays["shape"].ravel()[begins].tolist() == [1 + shape(word) for word in flat]


WORDS = st.lists(
    st.sampled_from(["the", "London", "", "\ufeff", "x" * 9, "a-b", "東京"]), max_size=6
)


@given(st.lists(WORDS, max_size=5), st.sampled_from([0, 2, 10_000]))
def test_pieces_that_are_remembered_are_those_of_each_word(texts, room: int):
    inner = encoder().reader.tokenizer
    known = Pieces(inner, 3, 1, room)
    for words in texts:
        alone = (inner.encode([w], is_pretokenized=True, add_special_tokens=False) for w in words)
        wanted = [found.ids[:3] or [1] for found in alone]
        read = known(words)
        assert read.counts.tolist() == [*map(len, wanted)]
        assert read.pieces.tolist() == [piece for pieces in wanted for piece in pieces]
        assert read.shapes.tolist() == [*map(shape, words)]


def test_memory_of_pieces_does_not_grow_with_the_text():
    known = Pieces(encoder().reader.tokenizer, 5, 1, room=50)
    for start in range(0, 1000, 10):
        known([f"word{n}" for n in range(start, start + 10)])
        assert len(known) <= 60

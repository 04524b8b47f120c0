"""What a word looks like, remembered or not."""

from zlib import crc32

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.reading.lexicon import CHARACTERS, Lexicon, Spelling, characters, grams, shape

WORDS = st.lists(st.text(max_size=8), max_size=30)
NUMBERS = {"a": 2, "oslo": 3}
OSLO = [521, 586, 1914, 406, 863, 1571, 2282, 2981, 117]
SPELLINGS = {
    "character": Spelling(lambda word: characters(word, 5), 5),
    "gram": Spelling(lambda word: grams(word, 5, 100), 12),
}


def lexicon(room: int) -> Lexicon:
    return Lexicon(NUMBERS, 1, SPELLINGS, room)


def expected(words: list[str]) -> dict[str, np.ndarray]:
    """Worked out word by word."""
    arrays = {
        "word": np.array([NUMBERS.get(word.lower(), 1) for word in words]),
        "shape": np.array([shape(word) for word in words]),
    }
    for name, way in SPELLINGS.items():
        spelled = [[*way.spell(word)] for word in words]
        longest = max(map(len, spelled), default=0)
        rows = [row + [0] * (longest - len(row)) for row in spelled]
        arrays[name] = np.array(rows).reshape(len(words), longest)
    return arrays


@given(st.lists(WORDS, max_size=5), st.sampled_from([0, 3, 10_000]))
def test_what_is_remembered_is_what_is_so(texts, room):
    known = lexicon(room)
    for words in texts:
        found, wanted = known(words), expected(words)
        assert [*found] == [*wanted]
        for name, array in wanted.items():
            assert np.array_equal(found[name], array)


def test_casing_counts_for_shape_and_spelling_alone():
    found = lexicon(100)(["Oslo", "oslo"])
    assert found["word"].tolist() == [3, 3]
    assert found["shape"][0] != found["shape"][1]
    assert not np.array_equal(*found["character"])
    assert np.array_equal(*found["gram"])


def test_memory_does_not_grow_with_the_text():
    known = lexicon(50)
    for start in range(0, 5000, 100):
        known([str(number) for number in range(start, start + 100)])
        assert len(known) <= 150


def test_characters_of_every_script_fit_the_table():
    row = characters("a東\U0001f600\x00", 6)
    assert all(1 <= number < CHARACTERS for number in row)
    assert row[4:] == [1]
    assert characters("a" * 9, 4) == [97, 97, 97, 1]


def test_grams_are_those_of_the_word_with_its_borders():
    assert grams("Ab", 20, 2**32) == [1 + crc32(g) for g in (b"<ab", b"ab>", b"<ab>")]
    assert grams("", 20, 7) == []


@given(st.text(st.characters(codec=None), max_size=40))
def test_grams_of_any_word_fit_their_buckets(word):
    found = grams(word, 20, 50)
    assert all(1 <= number <= 50 for number in found)
    assert len(found) <= 20 + 19 + 18


def test_grams_are_the_same_in_every_process():
    assert grams("Oslo", 20, 4096) == OSLO

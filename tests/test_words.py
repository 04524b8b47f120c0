"""What a word looks like, remembered or not."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.words import CHARACTERS, Lexicon, characters, shape

WORDS = st.lists(st.text(max_size=8), max_size=30)
NUMBERS = {"a": 2, "oslo": 3}


def lexicon(room: int) -> Lexicon:
    return Lexicon(NUMBERS, 1, 5, room)


def expected(words: list[str]) -> tuple[np.ndarray, ...]:
    """Worked out word by word."""
    spelled = np.array([characters(word, 5) for word in words]).reshape(-1, 5)
    longest = max((np.count_nonzero(row) for row in spelled), default=0)
    numbers = [NUMBERS.get(word.lower(), 1) for word in words]
    return np.array(numbers), np.array([shape(word) for word in words]), spelled[:, :longest]


@given(st.lists(WORDS, max_size=5), st.sampled_from([0, 3, 10_000]))
def test_what_is_remembered_is_what_is_so(texts, room):
    known = lexicon(room)
    for words in texts:
        for found, wanted in zip(known(words), expected(words), strict=True):
            assert np.array_equal(found, wanted)


def test_casing_counts_for_shape_and_spelling_alone():
    number, shapes, spelled = lexicon(100)(["Oslo", "oslo"])
    assert number.tolist() == [3, 3]
    assert shapes[0] != shapes[1]
    assert not np.array_equal(spelled[0], spelled[1])


def test_memory_does_not_grow_with_the_text():
    known = lexicon(50)
    for start in range(0, 5000, 100):
        known([str(number) for number in range(start, start + 100)])
        assert len(known) <= 150


def test_characters_of_every_script_fit_the_table():
    row = characters("a東\U0001f600\x00", 6)
    assert (row < CHARACTERS).all()
    assert row[4] == 1
    assert row[5] == 0

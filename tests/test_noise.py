"""The contract of every noise, and what each makes of words."""

import random
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_students import fresh, student  # noqa: F401 - a fixture
from toys import TAGS

from pipeline.lattice import nll
from pipeline.noise import LowerCase, Misheard, Misread, Noise, Typos, WordDrop, noisy

NOISES = get_args(get_args(Noise)[0])
SENTENCE = ["Ada", "Clark's", "modern", "S80", "-", "cost", "3.5", "dollars", "?!"]


@pytest.mark.parametrize("kind", NOISES)
@given(words=st.lists(st.text(max_size=12), min_size=1, max_size=6), share=st.floats(0, 1))
def test_no_word_vanishes_and_the_same_luck_gives_the_same_words(kind, words, share: float):
    found = [kind(share=share)(words, random.Random(7)) for _ in range(2)]
    assert len(found[0]) == len(words)
    assert all(isinstance(word, str) for word in found[0])
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", NOISES)
def test_a_share_is_one_of_many(kind):
    assert kind(share=0.0)(SENTENCE, random.Random(1)) == SENTENCE
    assert kind(share=1.0)(SENTENCE, random.Random(1)) != SENTENCE
    chance, trials = random.Random(1), 3000
    rows = [kind(share=0.3)(["modern", "S80", "Coast"], chance) for _ in range(trials)]
    if kind in (LowerCase, Misheard):
        changed = sum(row != ["modern", "S80", "Coast"] for row in rows) / trials
    else:
        changed = sum(row[0] != "modern" for row in rows) / trials
    assert changed == pytest.approx(0.3, abs=0.04)


@pytest.mark.parametrize("kind", NOISES)
def test_another_luck_gives_other_words(kind):
    rows = {tuple(kind(share=0.5)(SENTENCE * 9, random.Random(seed))) for seed in range(9)}
    assert len(rows) > 1


def distance(one: str, other: str) -> int:
    """How many insertions, deletions, replacements and swaps lie between two words."""
    table = {(i, j): i + j for i in range(len(one) + 1) for j in range(len(other) + 1)}
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            best = min(
                table[i - 1, j] + 1,
                table[i, j - 1] + 1,
                table[i - 1, j - 1] + (one[i - 1] != other[j - 1]),
            )
            if i > 1 and j > 1 and one[i - 2 : i] == other[j - 2 : j][::-1]:
                best = min(best, table[i - 2, j - 2] + 1)
            table[i, j] = best
    return table[len(one), len(other)]


@given(word=st.text("abcXYZ.1é東", max_size=8), seed=st.integers(0, 99))
def test_a_slip_is_one_edit_and_leaves_something(word: str, seed: int):
    [found] = Typos(share=1.0)([word], random.Random(seed))
    assert distance(word, found) == (1 if word else 0)
    assert bool(found) == bool(word)


@pytest.mark.parametrize(
    ("edit", "word", "possible"),
    [
        ("swap", "abb", {"bab"}),
        ("swap", "aa", {"aa"}),
        ("delete", "abc", {"bc", "ac", "ab"}),
        ("delete", "a", {"a"}),
        ("double", "ab", {"aab", "abb"}),
        ("neighbour", "P", {"O", "L"}),
        ("neighbour", "g", set("fhtyvb")),
        ("neighbour", "東京", {"東京"}),
    ],
)
def test_each_slip_is_one_of_those_that_there_are(edit, word: str, possible: set[str]):
    noise = Typos(share=1.0, edits=(edit,))
    found = {noise([word], random.Random(seed))[0] for seed in range(200)}
    assert found == possible


def test_what_is_misread_looks_alike():
    found = {Misread(share=1.0)(["modern"], random.Random(seed))[0] for seed in range(300)}
    assert found == {"rnodern", "m0dern", "moclern", "modcrn", "modem"}
    assert Misread(share=1.0)(["xyz", ""], random.Random(1)) == ["xyz", ""]


def test_what_is_heard_has_no_case_and_no_punctuation():
    found = Misheard(share=1.0)([*SENTENCE, "«Oslo»,", "U.S.", "$5"], random.Random(1))
    assert found == ["ada", "clark's", "modern", "s80", "", "cost", "3.5", "dollars", "", "oslo",
                     "u.s", "$5"]  # fmt: skip


def test_noises_follow_one_another():
    both = (LowerCase(share=1.0), WordDrop(share=1.0))
    assert noisy([["A", "B"], ["C"]], both[:1], random.Random(1)) == [["a", "b"], ["c"]]
    assert noisy([["A", "B"], ["C"]], both, random.Random(1)) == [["", ""], [""]]


@pytest.mark.parametrize("noise", [kind(share=1.0) for kind in NOISES], ids=lambda each: each.kind)
def test_every_student_learns_from_noise(student, noise):  # noqa: F811
    torch.manual_seed(0)
    tagger = fresh(student).train()
    words = noisy([SENTENCE, ["."]], [noise], random.Random(1))
    lattice = tagger(tagger.encoder.inputs(words))
    assert lattice.emissions.shape == (2, len(SENTENCE), len(TAGS))
    gold = torch.zeros(2, len(SENTENCE), dtype=torch.int64)
    nll(lattice, gold).mean().backward()
    assert all(
        torch.isfinite(weight.grad).all()
        for weight in tagger.parameters()
        if weight.grad is not None
    )

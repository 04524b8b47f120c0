"""Beliefs about one form meet, of one teacher, in what is learnt from, and nowhere else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import parse
from pipeline.corpus import Split, read_split, write_split
from pipeline.errors import InputError
from pipeline.fusion import Forms, Fusion
from pipeline.targets import TargetRows
from tests import toys

TAGS = len(toys.TAGS)


def targets_of(split: Split, seed: int, size: int) -> list[TargetRows]:
    """Marginals of noise, so many sentences a group."""
    chance = np.random.default_rng(seed)
    groups = []
    for first in range(0, len(split), size):
        words = split.words[first : first + size]
        offsets = np.cumsum([0, *map(len, words)])
        logs = np.log(chance.dirichlet([0.3] * TAGS, offsets[-1])).astype(np.float16)
        ids = np.array(split.sentence_ids[first : first + size], dtype=np.int32)
        ones, none = np.ones(len(words), dtype=np.int64), np.zeros(0)
        groups.append(TargetRows(ids, offsets, ones, none, none, none, logs))
    return groups


def fused(
    fusion: Fusion, parts: list[tuple[Split, list[TargetRows]]], limit: int = 10**6
) -> list[list[TargetRows]]:
    forms = Forms(fusion, TAGS)
    for split, targets in parts:
        forms.add(split, targets, limit)
    return [list(forms.fused(split, targets, limit)) for split, targets in parts]


def by_hand(fusion: Fusion, words: list[str], beliefs: np.ndarray) -> np.ndarray:
    """The formula, word by word, over a flat text."""
    found = beliefs.copy()
    for n, word in enumerate(words):
        places = [m for m, other in enumerate(words) if other == word]
        if len(places) >= fusion.least:
            mean = np.mean([beliefs[m] for m in places], axis=0)
            found[n] = (1 - fusion.share) * beliefs[n] + fusion.share * mean
    return found


def flat(split: Split, groups: list[TargetRows]) -> tuple[list[str], np.ndarray]:
    words = [word for sentence in split.words for word in sentence]
    logs = np.concatenate([group.log_marginals for group in groups])
    return words, np.exp(logs.astype(np.float64))


@pytest.fixture
def train(tmp_path: Path) -> Split:
    return toys.split(tmp_path, "train")


@pytest.mark.parametrize("least", [2, 3, 12])
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_what_is_learnt_is_the_formula_over_all_splits(train, tmp_path, least, share):
    transfer, fusion = toys.split(tmp_path, "transfer"), Fusion(share=share, least=least)
    parts = [(train, targets_of(train, 0, 25)), (transfer, targets_of(transfer, 1, 7))]
    texts = [flat(*part) for part in parts]
    words = [word for text, _ in texts for word in text]
    expected = by_hand(fusion, words, np.concatenate([beliefs for _, beliefs in texts]))
    again = [
        flat(split, groups)[1]
        for (split, _), groups in zip(parts, fused(fusion, parts), strict=True)
    ]
    np.testing.assert_allclose(np.concatenate(again), expected, atol=2e-3)


def test_rarer_forms_keep_their_bytes(train: Split):
    targets = targets_of(train, 0, 25)
    (same,) = fused(Fusion(least=10**6), [(train, targets)])
    for before, after in zip(targets, same, strict=True):
        assert after.log_marginals.tobytes() == before.log_marginals.tobytes()


@given(st.integers(0, 99), st.floats(0, 1), st.integers(1, 60))
def test_beliefs_stay_beliefs_whatever_the_groups(seed, share, size):
    split = SPLIT[0]
    (found,) = fused(Fusion(share=share), [(split, targets_of(split, seed, size))])
    _, beliefs = flat(split, found)
    np.testing.assert_allclose(beliefs.sum(axis=1), 1, atol=5e-3)
    (other,) = fused(Fusion(share=share), [(split, targets_of(split, seed, 1000))])
    if size >= len(split):
        np.testing.assert_array_equal(beliefs, flat(split, other)[1])


@pytest.fixture(autouse=True, scope="module")
def _split(tmp_path_factory):
    SPLIT.append(toys.split(tmp_path_factory.mktemp("toys"), "train"))


SPLIT: list[Split] = []


def test_only_what_is_learnt_from_is_fused(train: Split):
    """Beyond the limit no sentence counts, and a limit within a group is kept."""
    targets = targets_of(train, 0, 25)
    (few,) = fused(Fusion(), [(train, targets)], limit=30)
    words, beliefs = flat(train, targets)
    end = sum(map(len, train.words[:30]))
    expected = by_hand(Fusion(), words[:end], beliefs[:end])
    np.testing.assert_allclose(flat(train, few)[1][:end], expected, atol=2e-3)
    assert sum(len(group) for group in few) == 50  # whole groups; who reads takes 30


def test_sentences_without_a_teacher_tell_nothing(train: Split):
    (rows,) = targets_of(train, 0, 1000)
    counts = np.where(np.arange(60) < 30, 0, 1)
    untaught = replace(rows, counts=counts)
    (found,) = fused(Fusion(), [(train, [untaught])])
    first = sum(map(len, train.words[:30]))
    words, beliefs = flat(train, [rows])
    expected = by_hand(Fusion(), words[first:], beliefs[first:])
    np.testing.assert_allclose(flat(train, found)[1][first:], expected, atol=2e-3)


def test_forms_are_as_they_are_written(tmp_path: Path):
    """`May` and `may` are two forms; no form but these stands twice."""
    words = [["May", "may"], ["may", "go"]]
    write_split(tmp_path / "s", words, None, tag_set=toys.TAGS, scheme="iob2")
    split = read_split(tmp_path / "s")
    targets = targets_of(split, 0, 9)
    (found,) = fused(Fusion(share=1.0), [(split, targets)])
    before, after = (flat(split, groups)[1] for groups in (targets, found))
    np.testing.assert_array_equal(before[[0, 3]], after[[0, 3]])
    np.testing.assert_allclose(after[1], after[2])
    assert np.abs(after[1] - before[1]).max() > 0.01


def test_targets_of_other_text_are_refused(train: Split, tmp_path: Path):
    transfer = toys.split(tmp_path, "transfer")
    with pytest.raises(InputError, match="found those of other text"):
        Forms(Fusion(), TAGS).add(transfer, targets_of(train, 0, 15), 10**6)


@pytest.mark.parametrize("wrong", [{"least": 1}, {"share": 1.5}])
def test_a_wrong_fusion_is_named(wrong):
    (key,) = wrong
    with pytest.raises(InputError, match=rf"recipes\.r\.fusion\.{key}: expected .*, found"):
        parse(Fusion, wrong, "recipes.r.fusion")

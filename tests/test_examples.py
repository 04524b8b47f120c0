"""Students learn from just what the tables say, in any order, with or without a teacher."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.corpus import Split
from pipeline.errors import InputError
from pipeline.examples import Examples, write_examples
from pipeline.targets import TargetRows
from tests import toys


def rows_of(split: Split, first: int, end: int) -> TargetRows:
    """Targets that tell from which sentence and word they come."""
    lengths = np.array([len(words) for words in split.words[first:end]])
    offsets = np.cumsum([0, *lengths])
    numbers = np.arange(first, end)
    counts = 1 + numbers % 3
    return TargetRows(
        np.array(split.sentence_ids[first:end], dtype=np.int32),
        offsets,
        counts,
        np.repeat(numbers % len(split.tag_set), counts * lengths).astype(np.int16),
        np.concatenate([-np.arange(1.0, count + 1) for count in counts]),
        np.zeros(len(lengths)),
        np.arange(offsets[-1] * 5).reshape(-1, 5).astype(np.float16),
    )


def parts_of(split: Split, size: int) -> list[TargetRows]:
    borders = range(0, len(split), size)
    return [rows_of(split, first, min(first + size, len(split))) for first in borders]


@pytest.fixture
def train(tmp_path: Path) -> Split:
    return toys.split(tmp_path, "train")


@pytest.fixture
def transfer(tmp_path: Path) -> Split:
    return toys.split(tmp_path, "transfer")


def test_rows_come_back_in_any_order(tmp_path: Path, train: Split, transfer: Split):
    file = tmp_path / "examples.arrow"
    write_examples(file, [(train, parts_of(train, 25)), (transfer, parts_of(transfer, 7))], 100)
    examples = Examples(file, 5)
    assert len(examples) == len(train) + len(transfer)
    assert list(examples.words()) == train.words + transfer.words
    chosen = [70, 3, 59, 24, 25, 0]
    words, (gold, targets) = examples.batch(chosen)
    assert words == [(train.words + transfer.words)[index] for index in chosen]
    assert gold.labelled.tolist() == [False, True, True, True, True, True]
    assert gold.tags.shape == (6, max(map(len, words)))
    for place, index in list(enumerate(chosen))[1:]:
        tags = [train.tag_set.index(tag) for tag in train.tags[index]]
        assert gold.tags[place, : len(tags)].tolist() == tags
        known = 1 + index % 3
        assert targets.path_log_probs[place].tolist()[:known] == [-1.0, -2.0, -3.0][:known]
        assert torch.isneginf(targets.path_log_probs[place, known:]).all()
        assert (targets.paths[place, :known, : len(tags)] == index % 5).all()
    assert targets.taught.all()


def test_marginals_belong_to_their_words(tmp_path: Path, train: Split):
    write_examples(tmp_path / "e", [(train, [rows_of(train, 0, len(train))])], 0)
    _, (_, targets) = Examples(tmp_path / "e", 5).batch([2])
    first = sum(len(words) for words in train.words[:2])
    expected = torch.arange(first * 5, (first + len(train.words[2])) * 5).view(-1, 5)
    torch.testing.assert_close(targets.log_marginals[0], expected.half().float())


def test_without_a_teacher_there_is_gold_alone(tmp_path: Path, train: Split):
    write_examples(tmp_path / "e", [(train, None)], 0)
    words, (gold, targets) = Examples(tmp_path / "e", 5).batch([1, 0])
    assert words == [train.words[1], train.words[0]]
    assert gold.labelled.all()
    assert not targets.taught.any()


def test_halves_are_those_of_the_file(tmp_path: Path, train: Split):
    rows = rows_of(train, 0, len(train))
    chance = np.random.default_rng(0)
    rows.log_marginals[:] = -chance.exponential(5, rows.log_marginals.shape)
    rows.log_marginals[chance.random(rows.log_marginals.shape) < 0.3] = -np.inf
    write_examples(tmp_path / "e", [(train, [rows])], 0)
    _, (_, targets) = Examples(tmp_path / "e", 5).batch(range(len(train)))
    for n, found in enumerate(targets.log_marginals):
        words = rows.log_marginals[rows.offsets[n] : rows.offsets[n + 1]].astype(np.float32)
        np.testing.assert_array_equal(found[: len(words)], words)
        assert not found[len(words) :].any()


def test_a_sentence_that_no_path_fits_has_no_teacher(tmp_path: Path, train: Split):
    rows = rows_of(train, 0, len(train))
    lengths = np.diff(rows.offsets)
    first = int(rows.counts[0])
    rows = replace(
        rows,
        counts=np.array([0, *rows.counts[1:]]),
        paths=rows.paths[first * lengths[0] :],
        path_log_probs=rows.path_log_probs[first:],
    )
    write_examples(tmp_path / "e", [(train, [rows])], 0)
    _, (_, targets) = Examples(tmp_path / "e", 5).batch([0, 1])
    assert targets.taught.tolist() == [False, True]
    assert (targets.paths[1, :2, : lengths[1]] == 1).all()


def test_the_same_rows_are_the_same_bytes(tmp_path: Path, train: Split, transfer: Split):
    for name in ("a", "b"):
        parts = [(train, parts_of(train, 25)), (transfer, parts_of(transfer, 7))]
        write_examples(tmp_path / name, parts, 10)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_nothing_at_all_is_no_error(tmp_path: Path, transfer: Split):
    write_examples(tmp_path / "e", [(transfer, None)], 0)
    examples = Examples(tmp_path / "e", 5)
    assert (len(examples), list(examples.words())) == (0, [])


@pytest.mark.parametrize("limit", [0, 1, 9, 20])
def test_transfer_text_is_limited(tmp_path: Path, train: Split, transfer: Split, limit: int):
    parts = [(train, None), (transfer, parts_of(transfer, 6))]
    write_examples(tmp_path / "e", parts, limit)
    assert len(Examples(tmp_path / "e", 5)) == len(train) + limit


def test_targets_of_other_text_are_refused(tmp_path: Path, train: Split, transfer: Split):
    with pytest.raises(InputError, match="found those of other text"):
        write_examples(tmp_path / "e", [(train, parts_of(transfer, 7))], 100)


def test_missing_targets_are_counted(tmp_path: Path, train: Split):
    with pytest.raises(InputError, match="expected targets for 60 sentences, found 50"):
        write_examples(tmp_path / "e", [(train, parts_of(train, 25)[:2])], 100)

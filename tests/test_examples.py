"""Students learn from just what the tables say, in any order, with or without a teacher."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.assembly import Lesson, write_examples
from pipeline.corpus import Split
from pipeline.emissions import Emissions
from pipeline.errors import InputError
from pipeline.examples import Examples
from pipeline.losses.supervision import Reading
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


ALL: Sequence[Reading] = ("paths", "marginals", "emissions", "vectors", "saliency")
TAUGHT: Sequence[Reading] = ("paths", "marginals")


def scores_of(split: Split, size: int) -> list[Emissions]:
    """Emissions that tell from which word they come, so many sentences a group."""
    lengths = np.array([len(words) for words in split.words])
    offsets = np.cumsum([0, *lengths])
    scores = np.arange(offsets[-1] * 5, dtype=np.float32).reshape(-1, 5)
    rows = Emissions(np.array(split.sentence_ids, dtype=np.int32), offsets, scores)
    return [rows[first : min(first + size, len(split))] for first in range(0, len(split), size)]


def answers_of(split: Split, size: int, width: int) -> list[Emissions]:
    """The same with saliency and vectors, which tell from which word they come, too."""
    found, first = [], 0
    for rows in scores_of(split, size):
        words = np.arange(first, first + rows.offsets[-1])
        vectors = (words[:, None] + np.arange(width) / 8).astype(np.float16)
        found.append(replace(rows, saliency=words.astype(np.float32), vectors=vectors))
        first += rows.offsets[-1]
    return found


def between(number: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.full((5, 5), float(number)), torch.zeros(5), torch.ones(5)


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
    write_examples(
        file,
        [Lesson(train, parts_of(train, 25)), Lesson(transfer, parts_of(transfer, 7))],
        100,
        TAUGHT,
    )
    examples = Examples(file, 5)
    assert len(examples) == len(train) + len(transfer)
    assert list(examples.words()) == train.words + transfer.words
    assert train.tags is not None
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
    write_examples(tmp_path / "e", [Lesson(train, [rows_of(train, 0, len(train))])], 0, TAUGHT)
    _, (_, targets) = Examples(tmp_path / "e", 5).batch([2])
    first = sum(len(words) for words in train.words[:2])
    expected = torch.arange(first * 5, (first + len(train.words[2])) * 5).view(-1, 5)
    torch.testing.assert_close(targets.log_marginals[0], expected.half().float())


def test_without_a_teacher_there_is_gold_alone(tmp_path: Path, train: Split):
    write_examples(tmp_path / "e", [Lesson(train, None)], 0, TAUGHT)
    words, (gold, targets) = Examples(tmp_path / "e", 5).batch([1, 0])
    assert words == [train.words[1], train.words[0]]
    assert gold.labelled.all()
    assert not targets.taught.any()


def test_halves_are_those_of_the_file(tmp_path: Path, train: Split):
    rows = rows_of(train, 0, len(train))
    chance = np.random.default_rng(0)
    rows.log_marginals[:] = -chance.exponential(5, rows.log_marginals.shape)
    rows.log_marginals[chance.random(rows.log_marginals.shape) < 0.3] = -np.inf
    write_examples(tmp_path / "e", [Lesson(train, [rows])], 0, TAUGHT)
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
    write_examples(tmp_path / "e", [Lesson(train, [rows])], 0, TAUGHT)
    _, (_, targets) = Examples(tmp_path / "e", 5).batch([0, 1])
    assert targets.taught.tolist() == [False, True]
    assert (targets.paths[1, :2, : lengths[1]] == 1).all()


def test_the_same_rows_are_the_same_bytes(tmp_path: Path, train: Split, transfer: Split):
    for name in ("a", "b"):
        parts = [Lesson(train, parts_of(train, 25)), Lesson(transfer, parts_of(transfer, 7))]
        write_examples(tmp_path / name, parts, 10, TAUGHT)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_nothing_at_all_is_no_error(tmp_path: Path, transfer: Split):
    write_examples(tmp_path / "e", [Lesson(transfer, None)], 0, TAUGHT)
    examples = Examples(tmp_path / "e", 5)
    assert (len(examples), list(examples.words())) == (0, [])


@pytest.mark.parametrize("limit", [0, 1, 9, 20])
def test_transfer_text_is_limited(tmp_path: Path, train: Split, transfer: Split, limit: int):
    parts = [Lesson(train, None), Lesson(transfer, parts_of(transfer, 6))]
    write_examples(tmp_path / "e", parts, limit, TAUGHT)
    assert len(Examples(tmp_path / "e", 5)) == len(train) + limit


def test_targets_of_other_text_are_refused(tmp_path: Path, train: Split, transfer: Split):
    with pytest.raises(InputError, match="found those of other text"):
        write_examples(tmp_path / "e", [Lesson(train, parts_of(transfer, 7))], 100, TAUGHT)


def test_missing_targets_are_counted(tmp_path: Path, train: Split):
    with pytest.raises(InputError, match="expected targets for 60 sentences, found 50"):
        write_examples(tmp_path / "e", [Lesson(train, parts_of(train, 25)[:2])], 100, TAUGHT)


def test_emissions_come_with_their_teachers(tmp_path: Path, train: Split, transfer: Split):
    """Row groups of emissions end elsewhere than those of targets."""
    lessons = [
        Lesson(train, parts_of(train, 25), scores_of(train, 7), 1),
        Lesson(transfer, parts_of(transfer, 7), scores_of(transfer, 100), 0),
    ]
    write_examples(tmp_path / "e", lessons, 9, ["emissions"])
    examples = Examples(tmp_path / "e", 5, [between(0), between(1)])
    chosen = [64, 3, 59, 24]
    words, (_, targets) = examples.batch(chosen)
    assert [teacher.sentences.tolist() for teacher in targets.teachers] == [[0], [1, 2, 3]]
    assert [float(teacher.transitions[0, 0]) for teacher in targets.teachers] == [0, 1]
    places = [(transfer, 4), (train, 3), (train, 59), (train, 24)]
    for n, (split, row) in enumerate(places):
        first = 5 * sum(map(len, split.words[:row]))
        expected = torch.arange(first, first + 5 * len(words[n])).view(-1, 5).float()
        torch.testing.assert_close(targets.scores()[n, : len(words[n])], expected)
    assert targets.paths.shape[1] == targets.log_marginals.shape[2] == 0
    assert targets.taught.all()


def test_what_nobody_reads_is_not_there(tmp_path: Path, train: Split):
    sizes = []
    readings: list[Sequence[Reading]] = [[], ["paths"], ["marginals"], ["vectors"], ALL]
    for reads in readings:
        lesson = Lesson(train, [rows_of(train, 0, 60)], answers_of(train, 60, 4))
        write_examples(tmp_path / "e", [lesson], 0, reads)
        sizes.append((tmp_path / "e").stat().st_size)
        _, (gold, targets) = Examples(tmp_path / "e", 5, [between(0)], [4]).batch([0, 1])
        assert gold.labelled.all()
        assert targets.taught.all() == bool(reads)
        assert (targets.paths.shape[1] > 0) == ("paths" in reads)
        assert (targets.log_marginals.shape[2] > 0) == ("marginals" in reads)
        assert (targets.emissions is not None) == ("emissions" in reads)
        assert bool(targets.vectors) == ("vectors" in reads)
        assert (targets.saliency is not None) == ("saliency" in reads)
    assert sizes[0] < min(sizes[1:4])
    assert max(sizes[1:4]) < sizes[4]


def test_a_sentence_that_no_path_fits_is_in_no_lattice(tmp_path: Path, train: Split):
    rows = rows_of(train, 0, len(train))
    lengths, first = np.diff(rows.offsets), int(rows.counts[0])
    rows = replace(
        rows,
        counts=np.array([0, *rows.counts[1:]]),
        paths=rows.paths[first * lengths[0] :],
        path_log_probs=rows.path_log_probs[first:],
    )
    write_examples(tmp_path / "e", [Lesson(train, [rows], answers_of(train, 60, 4))], 0, ALL)
    _, (_, targets) = Examples(tmp_path / "e", 5, [between(0)], [4]).batch([0, 1])
    assert [teacher.sentences.tolist() for teacher in targets.teachers] == [[1]]
    assert [spoken.sentences.tolist() for spoken in targets.vectors] == [[1]]


def test_vectors_come_from_teachers_of_any_width(tmp_path: Path, train: Split, transfer: Split):
    lessons = [
        Lesson(train, parts_of(train, 25), answers_of(train, 7, 3), 1),
        Lesson(transfer, parts_of(transfer, 7), answers_of(transfer, 100, 2), 0),
    ]
    write_examples(tmp_path / "e", lessons, 9, ["vectors", "saliency"])
    examples = Examples(tmp_path / "e", 5, widths=[2, 3])
    words, (_, targets) = examples.batch([64, 3, 59])
    by_transfer, by_train = targets.vectors
    assert (by_transfer.sentences.tolist(), by_train.sentences.tolist()) == ([0], [1, 2])
    assert (by_transfer.first, by_train.first) == (0, 2)
    assert targets.saliency is not None
    places = [(transfer, 4, by_transfer, 0), (train, 3, by_train, 0), (train, 59, by_train, 1)]
    for n, (split, row, spoken, place) in enumerate(places):
        first, length = sum(map(len, split.words[:row])), len(words[n])
        numbers = torch.arange(first, first + length).float()
        width = spoken.vectors.shape[2]
        expected = (numbers[:, None] + torch.arange(width) / 8).half().float()
        torch.testing.assert_close(spoken.vectors[place, :length], expected)
        torch.testing.assert_close(targets.saliency[n, :length], numbers)
    assert targets.emissions is None
    assert not targets.teachers


def test_a_batch_of_sentences_without_a_teacher_has_no_vectors(tmp_path: Path, train, transfer):
    lessons = [
        Lesson(train, None),
        Lesson(transfer, parts_of(transfer, 9), answers_of(transfer, 9, 2)),
    ]
    write_examples(tmp_path / "e", lessons, 9, ["vectors", "saliency"])
    examples = Examples(tmp_path / "e", 5, widths=[2])
    _, (_, targets) = examples.batch([0, 1])
    assert targets.vectors == ()
    _, (_, targets) = examples.batch([0, 62])
    assert [spoken.sentences.tolist() for spoken in targets.vectors] == [[1]]


@pytest.mark.parametrize("damage", ["fewer", "other"])
def test_emissions_of_other_text_are_refused(tmp_path: Path, train, transfer, damage: str):
    emissions = scores_of(train, 25)[:2] if damage == "fewer" else scores_of(transfer, 20) * 3
    lesson = Lesson(train, parts_of(train, 25), emissions)
    with pytest.raises(InputError, match=r"train\.parquet: expected emissions of"):
        write_examples(tmp_path / "e", [lesson], 0, ALL)

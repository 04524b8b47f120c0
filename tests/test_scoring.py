"""Answers are the teacher's, whatever the batches; a finished part is not made twice."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import scoring
from pipeline.asking import Questions, Saliency
from pipeline.emissions import Emissions, answered, read_emissions
from pipeline.emitter import Emitter
from pipeline.errors import InputError
from pipeline.networks import BiLSTM
from pipeline.parts import part_name, read_tags
from pipeline.scoring import Score, score_split
from pipeline.students import new_student
from pipeline.tagger import Tagger
from tests import toys
from tests.test_transformer import encoder

WORDS = toys.sentences(23, 1)[0]


def small() -> Tagger:
    torch.manual_seed(0)
    return new_student(BiLSTM(words=8, hidden=8), WORDS, toys.TAGS, "iob2", "crf")


@pytest.fixture
def teacher() -> Tagger:
    return small()


def emissions(teacher: Tagger, sentences, batch_words: int) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and emissions of one part."""
    found = answers(teacher, sentences, Questions(), batch_words)
    return found.offsets, found.scores


def answers(teacher: Emitter, sentences, questions: Questions, batch_words=10_000) -> Emissions:
    """Of one part."""
    (found,) = scoring.answers(teacher, questions, [sentences], batch_words)
    return found


def scored(teacher: Tagger, folder: Path, *, batch_words=64, part=10, **asked) -> list[int]:
    told: list[int] = []
    score_split(teacher, WORDS, range(23), folder, score=Score(part=part, **asked),
                batch_words=batch_words, scored=told.append)  # fmt: skip
    return told


@pytest.mark.parametrize("batch_words", [1, 7, 40, 10_000])
def test_batches_change_nothing(teacher: Tagger, batch_words: int):
    offsets, found = emissions(teacher, WORDS, batch_words)
    assert np.diff(offsets).tolist() == [len(words) for words in WORDS]
    for n, words in enumerate(WORDS):
        alone = teacher(teacher.encoder.inputs([words])).emissions[0].detach().numpy()
        np.testing.assert_allclose(found[offsets[n] : offsets[n + 1]], alone, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_says_the_same_but_for_bf16():
    tagger = Tagger(encoder(window=32), toys.TAGS, "iob2", "crf")
    parts = [WORDS[:9], WORDS[9:]]
    questions = Questions(saliency=Saliency(every=3), vectors=True)
    expected = list(scoring.answers(tagger, questions, parts, 40))
    found = list(scoring.answers(tagger.to("cuda"), questions, parts, 40))
    for there, here in zip(found, expected, strict=True):
        np.testing.assert_array_equal(there.offsets, here.offsets)
        for name, numbers in there.said.items():
            np.testing.assert_allclose(numbers, here.said[name], atol=0.1)


def test_parts_hold_all_sentences_in_order(teacher: Tagger, tmp_path: Path):
    assert scored(teacher, tmp_path) == [0, 10, 10, 3]
    parts = list(read_emissions(tmp_path))
    assert [len(part) for part in parts] == [10, 10, 3]
    assert np.concatenate([part.sentence_ids for part in parts]).tolist() == list(range(23))
    assert read_tags(tmp_path) == toys.TAGS


def test_a_second_run_keeps_finished_parts(teacher: Tagger, tmp_path: Path):
    scored(teacher, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    kept = (tmp_path / part_name(0)).stat().st_mtime_ns
    (tmp_path / part_name(1)).unlink()
    assert scored(teacher, tmp_path) == [13, 10]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert (tmp_path / part_name(0)).stat().st_mtime_ns == kept


def test_a_part_that_cannot_be_written_ends_the_pass(
    teacher: Tagger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It is written behind the teacher's back, yet never fails in silence."""
    asked, write, sizes = [], scoring.write_emissions, teacher.encoder.sizes

    def full(path: Path, *rest) -> None:
        if path.name == part_name(1):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, *rest)

    def counted(sentences):
        asked.append(sentences)
        return sizes(sentences)

    monkeypatch.setattr(scoring, "write_emissions", full)
    monkeypatch.setattr(teacher.encoder, "sizes", counted)
    with pytest.raises(InputError, match="the disk is full"):
        scored(teacher, tmp_path, part=2)
    there = {path.name for path in tmp_path.iterdir()}
    assert {part_name(0)} <= there <= {part_name(0), part_name(2)}
    assert len(asked) < 8


def test_a_teacher_that_says_no_numbers_is_refused(teacher: Tagger, tmp_path: Path):
    torch.nn.init.constant_(teacher.emit.bias, torch.nan)
    with pytest.raises(InputError, match=r"the teacher: .* found NaN or \+inf in sentence 0;"):
        scored(teacher, tmp_path)


def test_the_encoder_is_asked_for_sizes_once_a_part(
    teacher: Tagger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked, sizes = [], teacher.encoder.sizes

    def counted(sentences):
        asked.append(len(sentences))
        return sizes(sentences)

    monkeypatch.setattr(teacher.encoder, "sizes", counted)
    scored(teacher, tmp_path)
    assert asked == [10, 10, 3]


def test_out_of_memory_halves_the_batch(teacher: Tagger, monkeypatch: pytest.MonkeyPatch):
    _, expected = emissions(teacher, WORDS, 10_000)
    compute, sizes = Tagger.vectors, []

    def short_of_memory(self, inputs):
        sizes.append(len(inputs["lengths"]))
        if sizes[-1] > 6:
            raise torch.cuda.OutOfMemoryError
        return compute(self, inputs)

    monkeypatch.setattr(Tagger, "vectors", short_of_memory)
    _, found = emissions(teacher, WORDS, 10_000)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert max(sizes) == 23


def test_an_encoder_that_reads_pieces_fills_batches_by_pieces(monkeypatch: pytest.MonkeyPatch):
    """One long address must not widen a batch of short sentences."""
    network = encoder(window=32)
    tagger = Tagger(network, toys.TAGS, "iob2", "crf")
    widths, inputs = [], network.inputs

    def watched(sentences):
        made = inputs(sentences)
        widths.append(made["pieces"].numel())
        return made

    monkeypatch.setattr(network, "inputs", watched)
    emissions(tagger, [["the", "x" * 25, "."], *[["the", "."]] * 9], 30)
    assert max(widths) <= 30 + 2 * 15
    assert len(widths) == 2


def test_one_sentence_that_does_not_fit_is_an_error(
    teacher: Tagger, monkeypatch: pytest.MonkeyPatch
):
    def never(self, inputs):
        raise torch.cuda.OutOfMemoryError

    monkeypatch.setattr(Tagger, "vectors", never)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        emissions(teacher, WORDS[:1], 10)


def test_only_encoders_with_windows_have_windowed_sentences(teacher: Tagger):
    assert teacher.encoder.windowed([["word"] * 5000]) == 0


# More than emissions


def test_out_of_memory_halves_all_questions(teacher: Tagger, monkeypatch: pytest.MonkeyPatch):
    questions = Questions(saliency=Saliency(), vectors=True)
    expected = answers(teacher, WORDS, questions)
    compute, sizes, calls = Tagger.vectors, [], []

    def short_of_memory(self, inputs):
        calls.append(1)
        sizes.append(len(inputs["lengths"]))
        if sizes[-1] > 6 and len(calls) > 1:  # in the midst of a batch, at that
            raise torch.cuda.OutOfMemoryError
        return compute(self, inputs)

    monkeypatch.setattr(Tagger, "vectors", short_of_memory)
    found = answers(teacher, WORDS, questions)
    for name, numbers in found.said.items():
        np.testing.assert_allclose(numbers, expected.said[name], atol=1e-3)
    assert max(sizes) == 23


ASKED = {"saliency": Saliency(every=2), "vectors": True, "passes": 2}


def test_a_part_holds_what_was_asked_for_and_no_more(teacher: Tagger, tmp_path: Path):
    for name, asked in {"plain": {}, "all": ASKED, "vectors": {"vectors": True}}.items():
        scored(teacher, tmp_path / name, **asked)
    assert answered(tmp_path / "plain") == ("emissions",)
    assert answered(tmp_path / "all") == ("emissions", "saliency", "vectors")
    assert answered(tmp_path / "vectors") == ("emissions", "vectors")


def test_a_stopped_pass_with_all_questions_goes_on_to_the_same_bytes(teacher, tmp_path: Path):
    scored(teacher, tmp_path, **ASKED)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / part_name(1)).unlink()
    scored(teacher, tmp_path, **ASKED)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

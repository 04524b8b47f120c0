"""The text of a phase: which sentences each epoch has, in which ratio, and in whose order."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import TAGS, write_corpus

from pipeline.assembly import Lesson, write_examples
from pipeline.corpus import read_split
from pipeline.course import Course
from pipeline.errors import InputError
from pipeline.examples import Examples
from pipeline.objectives import GoldNLL
from pipeline.phases import Phase

GOLD = (GoldNLL(),)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    """Seven labelled sentences, then twelve of transfer text, two labelled again."""
    folder = tmp_path_factory.mktemp("course")
    write_corpus(folder / "a", train=7, other=12)
    write_corpus(folder / "b", train=2, other=12)
    paths = ["a/train", "a/transfer", "b/train"]
    lessons = [Lesson(read_split(folder / f"{path}.parquet")) for path in paths]
    write_examples(folder / "examples.arrow", lessons, 2**31, ())
    return Examples(folder / "examples.arrow", len(TAGS))


LABELLED = [*range(7), 19, 20]
TRANSFER = [*range(7, 19)]


def test_a_phase_reads_the_text_that_it_names(examples: Examples):
    found = {
        text: list(Course(examples, Phase(objectives=GOLD, text=text), 1).drawn(3))
        for text in ("labelled", "transfer", "all")
    }
    assert found == {"labelled": LABELLED, "transfer": TRANSFER, "all": list(range(21))}


@given(mix=st.floats(0.05, 4), seed=st.integers(0, 9))
def test_all_transfer_sentences_are_seen_before_any_is_seen_again(
    examples: Examples, mix: float, seed: int
):
    course = Course(examples, Phase(objectives=GOLD, mix=mix), seed)
    each = max(1, round(mix * len(LABELLED)))
    row: list[int] = []
    for epoch in range(8):
        drawn = course.drawn(epoch)
        assert list(drawn[: len(LABELLED)]) == LABELLED
        assert len(drawn) == len(LABELLED) + each
        row += drawn[len(LABELLED) :]
        counts = Counter(row)
        assert {*counts} <= {*TRANSFER}
        fewest = min(counts[sentence] for sentence in TRANSFER)
        assert max(counts.values()) <= fewest + 1


def test_an_epoch_follows_from_its_number_and_the_seed(examples: Examples):
    phase = Phase(objectives=GOLD, mix=0.5)
    courses = [Course(examples, phase, seed) for seed in (1, 1, 2)]
    first = [courses[0].drawn(epoch) for epoch in range(4)]
    assert [courses[1].drawn(epoch) for epoch in reversed(range(4))] == first[::-1]
    assert [courses[2].drawn(epoch) for epoch in range(4)] != first
    assert first[0] != first[1]


@pytest.mark.parametrize("phase", [{"text": "transfer"}, {"mix": 2.0}])
def test_text_that_is_not_there_is_refused(tmp_path: Path, phase: dict):
    write_corpus(tmp_path, train=3)
    lesson = Lesson(read_split(tmp_path / "train.parquet"))
    write_examples(tmp_path / "examples.arrow", [lesson], 0, ())
    with pytest.raises(InputError, match="found 3 labelled and 0 transfer"):
        Course(Examples(tmp_path / "examples.arrow", 5), Phase(objectives=GOLD, **phase), 1)

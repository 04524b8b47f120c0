"""Parquet parts: numbered, whole, checked, in row groups that fit into memory."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import parts
from pipeline.emissions import (
    ANSWERS,
    Answer,
    Emissions,
    joined,
    read_emissions,
    write_emissions,
)
from pipeline.errors import InputError
from pipeline.parts import groups_of, part_name, read_part, read_tags

TAGS = ("O", "B-X", "I-X")


def emissions(lengths=(3, 1, 5)) -> Emissions:
    offsets = np.cumsum([0, *lengths])
    scores = np.random.default_rng(0).normal(size=(offsets[-1], 3)).astype(np.float32)
    return Emissions(np.arange(4, 4 + len(lengths), dtype=np.int32), offsets, scores)


def assert_same(found: Emissions, expected: Emissions) -> None:
    for name in ("sentence_ids", "offsets", "scores"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_emissions_come_back(tmp_path: Path):
    write_emissions(tmp_path / part_name(0), emissions(), TAGS)
    (back,) = read_emissions(tmp_path)
    assert_same(back, emissions())
    assert read_tags(tmp_path) == TAGS


def answers() -> Emissions:
    """Emissions with all that a teacher may have been asked beside them."""
    chance = np.random.default_rng(1)
    saliency = chance.random(9).astype(np.float32)
    return replace(emissions(), saliency=saliency, vectors=chance.random((9, 7)).astype(np.float16))


@pytest.mark.parametrize(
    "columns", [*([a] for a in ANSWERS), ["saliency", "vectors"], list(ANSWERS)], ids=str
)
def test_columns_come_back_by_themselves(tmp_path: Path, columns: list[Answer], monkeypatch):
    monkeypatch.setattr(parts, "SENTENCES", 2)
    write_emissions(tmp_path / part_name(0), answers(), TAGS)
    back = joined(list(read_emissions(tmp_path, columns)))
    np.testing.assert_array_equal(back.offsets, emissions().offsets)
    np.testing.assert_array_equal(back.sentence_ids, emissions().sentence_ids)
    for name, numbers in answers().said.items():
        if name in columns:
            np.testing.assert_array_equal(back.said[name], numbers)
        else:
            assert name not in back.said or back.scores.shape == (9, 0)


def test_more_columns_leave_that_of_emissions_as_it_is(tmp_path: Path):
    """Whoever reads emissions alone loads nothing else."""
    write_emissions(tmp_path / part_name(0), answers(), TAGS)
    (back,) = read_emissions(tmp_path)
    assert_same(back, emissions())
    assert {*back.said} == {"emissions"}


def test_any_program_can_read_all_answers(tmp_path: Path):
    write_emissions(tmp_path / "e.parquet", answers(), TAGS)
    table = pq.read_table(tmp_path / "e.parquet")
    kind = "list<element: fixed_size_list<element: halffloat>[7]>"
    assert str(table.schema.field("vectors").type) == kind
    assert table["saliency"][2].as_py() == answers().saliency[4:].tolist()


def test_a_vector_without_numbers_is_refused(tmp_path: Path):
    rows = answers()
    rows.vectors[3, 1] = np.inf
    write_emissions(tmp_path / part_name(0), rows, TAGS)
    with pytest.raises(InputError, match=r"part-00000.*found NaN or \+inf in sentence 5"):
        list(read_emissions(tmp_path, ["vectors"]))


def test_any_program_can_read_the_columns(tmp_path: Path):
    write_emissions(tmp_path / "e.parquet", emissions(), TAGS)
    table = pq.read_table(tmp_path / "e.parquet")
    kind = "list<element: fixed_size_list<element: float>[3]>"
    assert str(table.schema.field("emissions").type) == kind
    assert table["emissions"][2].as_py() == emissions().scores[4:].tolist()
    assert table.schema.metadata[b"tags"] == b'["O", "B-X", "I-X"]'


@given(
    lengths=st.lists(st.integers(1, 30), max_size=40),
    sentences=st.integers(1, 10),
    numbers=st.integers(3, 100),
)
def test_row_groups_are_consecutive_and_small(lengths, sentences, numbers):
    offsets = np.cumsum([0, *lengths])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "SENTENCES", sentences)
        patch.setattr(parts, "NUMBERS", numbers)
        found = list(groups_of(offsets, 3))
    assert [n for group in found for n in range(group.start, group.stop)] == [*range(len(lengths))]
    for group in found:
        size = group.stop - group.start
        words = offsets[group.stop] - offsets[group.start]
        assert 1 <= size <= sentences
        assert size == 1 or words * 3 <= numbers


def test_row_groups_are_read_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parts, "SENTENCES", 2)
    write_emissions(tmp_path / part_name(0), emissions(), TAGS)
    first, second = read_emissions(tmp_path)
    assert_same(first, emissions()[slice(0, 2)])
    assert_same(second, emissions()[slice(2, 3)])


def test_a_part_without_sentences_has_no_row_group(tmp_path: Path):
    write_emissions(tmp_path / part_name(0), emissions(()), TAGS)
    assert list(read_emissions(tmp_path)) == []


def test_a_missing_part_is_named(tmp_path: Path):
    write_emissions(tmp_path / part_name(1), emissions(), TAGS)
    with pytest.raises(InputError, match=r"parts 0, 1, 2 .*gap"):
        list(read_emissions(tmp_path))


def test_an_empty_folder_is_named(tmp_path: Path):
    with pytest.raises(InputError, match="expected Parquet parts, found none"):
        read_tags(tmp_path)


@pytest.mark.parametrize("keep", [0, 10, -30])
def test_a_truncated_part_is_named(tmp_path: Path, keep: int):
    path = tmp_path / part_name(0)
    write_emissions(path, emissions(), TAGS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"part-00000.*damaged.*run the stage"):
        list(read_emissions(tmp_path))


def test_a_flipped_bit_is_noticed(tmp_path: Path):
    path = tmp_path / part_name(0)
    write_emissions(path, emissions((3, 1, 5) * 40), TAGS)
    damaged = bytearray(path.read_bytes())
    damaged[700] ^= 4
    path.write_bytes(damaged)
    with pytest.raises(InputError, match="damaged"):
        list(read_emissions(tmp_path))


def test_a_part_of_other_content_is_refused(tmp_path: Path):
    path = tmp_path / part_name(0)
    write_emissions(path, emissions(), TAGS)
    with pytest.raises(InputError, match=r"expected columns \['paths'\], found sentence_id, emis"):
        list(read_part(path, ["paths"]))


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_no_number_is_refused_by_sentence(tmp_path: Path, broken: float):
    rows = emissions()
    rows.scores[3, 1] = broken
    rows.scores[0, 0] = -np.inf
    write_emissions(tmp_path / part_name(0), rows, TAGS)
    with pytest.raises(InputError, match=r"part-00000.*NaN or \+inf in sentence 5; train"):
        list(read_emissions(tmp_path))

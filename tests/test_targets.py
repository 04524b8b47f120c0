"""Targets survive the way to disk and back, whole or without what is small, in plain columns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.parts import metadata_of, part_name, read_tags
from pipeline.targets import Dropped, TargetRows, dropped_in, read_targets, write_targets

TAGS = ("O", "B-X", "I-X")
LENGTHS = (3, 1, 5)
OFFSETS = np.cumsum([0, *LENGTHS])
COUNTS = np.array([2, 1, 4])


def targets(seed: int = 1, spread: float = 3.0) -> TargetRows:
    chance = np.random.default_rng(seed)
    scores = chance.normal(scale=spread, size=(9, 3))
    return TargetRows(
        np.array([4, 5, 9], dtype=np.int32),
        OFFSETS,
        COUNTS,
        chance.integers(0, 3, COUNTS @ LENGTHS).astype(np.int16),
        chance.normal(size=COUNTS.sum()).astype(np.float32),
        chance.normal(size=3).astype(np.float32),
        scores - np.logaddexp.reduce(scores, axis=1, keepdims=True),
    )


def written(folder: Path, *groups: TargetRows, **options) -> list[TargetRows]:
    write_targets(folder / part_name(0), groups, TAGS, 4, **options)
    return list(read_targets(folder))


def assert_same(found: TargetRows, expected: TargetRows, *, but: str = "") -> None:
    for name in set(vars(expected)) - {but}:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


def test_targets_come_back(tmp_path: Path):
    (back,) = written(tmp_path, targets())
    halves = targets().log_marginals.astype(np.float16)
    assert_same(back, replace(targets(), log_marginals=halves))
    assert read_tags(tmp_path) == TAGS
    assert dropped_in(tmp_path) == Dropped()


def test_row_groups_come_back_one_by_one(tmp_path: Path):
    for keep_above in (0.0, 0.1):
        back = written(tmp_path, targets(1), targets(2), keep_above=keep_above)
        for found, seed in zip(back, (1, 2), strict=True):
            assert_same(found, targets(seed), but="log_marginals")


def test_any_program_can_read_the_columns(tmp_path: Path):
    write_targets(tmp_path / "t.parquet", [targets()], TAGS, 4)
    table = pq.read_table(tmp_path / "t.parquet")
    paths = table["paths"].to_pylist()
    assert [len(each) for each in paths] == COUNTS.tolist()
    assert [tag for sentence in paths for path in sentence for tag in path] == [*targets().paths]
    assert {name: str(table.schema.field(name).type) for name in table.column_names} == {
        "sentence_id": "int32",
        "paths": "list<element: list<element: int16>>",
        "path_log_probs": "list<element: float>",
        "log_partition": "float",
        "log_marginals": "list<element: fixed_size_list<element: halffloat>[3]>",
    }
    assert table.schema.metadata == {b"tags": b'["O", "B-X", "I-X"]', b"k": b"4"}


def test_any_program_can_read_what_was_kept(tmp_path: Path):
    write_targets(tmp_path / "t.parquet", [targets()], TAGS, 4, 0.1)
    table = pq.read_table(tmp_path / "t.parquet")
    assert table.schema.metadata[b"keep_above"] == b"0.1"
    assert "log_marginals" not in table.column_names
    kept_tags, kept = (table[name].to_pylist() for name in ("kept_tags", "kept_log_marginals"))
    rows = iter(targets().log_marginals)
    for tags, logs in zip(kept_tags, kept, strict=True):
        for some, values in zip(tags, logs, strict=True):
            whole = next(rows)
            assert some == [tag for tag in range(3) if whole[tag] >= np.log(0.1)]
            np.testing.assert_array_equal(np.float16(values), whole[some].astype(np.float16))


@given(
    keep_above=st.sampled_from([1e-6, 1e-3, 0.1, 0.5, 0.99]),
    seed=st.integers(0, 99),
    spread=st.sampled_from([0.0, 1.0, 5.0, 300.0]),
)
def test_what_is_dropped_is_counted_and_the_rest_made_whole(
    tmp_path_factory, keep_above, seed, spread
):
    folder = tmp_path_factory.mktemp("kept")
    rows = targets(seed, spread)
    (back,) = written(folder, rows, keep_above=keep_above)
    assert_same(back, rows, but="log_marginals")
    whole, found = np.exp(rows.log_marginals), np.exp(back.log_marginals.astype(np.float64))
    kept = whole >= keep_above
    flat = ~kept.any(axis=1)
    kept[flat, whole[flat].argmax(axis=1)] = True
    expected = np.where(kept, whole, 0.0)
    np.testing.assert_allclose(dropped_in(folder).mass, 9 - expected.sum(), atol=1e-9)
    assert dropped_in(folder).words == 9
    np.testing.assert_array_equal(found > 0, kept)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=2e-3)
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), atol=2e-3)


def test_losses_of_parts_add_up(tmp_path: Path):
    for number in range(3):
        write_targets(tmp_path / part_name(number), [targets(number)], TAGS, 4, 0.3)
    abouts = [metadata_of(tmp_path / part_name(number)) for number in range(3)]
    total = sum(about["mass"] for about in abouts)
    assert dropped_in(tmp_path) == Dropped(27, total)
    assert total > 0.1


@pytest.mark.parametrize("keep_above", [0.0, 0.1])
def test_a_sentence_that_no_path_fits_stays_without(tmp_path: Path, keep_above: float):
    rows = TargetRows(
        np.array([7], dtype=np.int32),
        np.array([0, 2]),
        np.array([0]),
        np.zeros(0, np.int16),
        np.zeros(0, np.float32),
        np.array([-np.inf], dtype=np.float32),
        np.full((2, 3), -np.inf),
    )
    (back,) = written(tmp_path, rows, keep_above=keep_above)
    assert_same(back, rows)
    assert dropped_in(tmp_path).mass == 0


def test_marginals_too_small_for_halves_are_none(tmp_path: Path):
    logs = np.tile([-1e-9, -2e4, -1e9], (9, 1))
    (back,) = written(tmp_path, replace(targets(), log_marginals=logs))
    np.testing.assert_array_equal(back.log_marginals, np.tile([0, -2e4, -np.inf], (9, 1)))


@pytest.mark.parametrize("keep_above", [0.0, 0.1])
def test_the_same_rows_are_the_same_bytes(tmp_path: Path, keep_above: float):
    for name in ("a", "b"):
        write_targets(tmp_path / name, [targets()], TAGS, 4, keep_above)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("keep_above", [0.0, 0.1])
@pytest.mark.parametrize("keep", [0, 10, -30])
def test_a_truncated_part_is_named(tmp_path: Path, keep: int, keep_above: float):
    path = tmp_path / part_name(0)
    write_targets(path, [targets()], TAGS, 4, keep_above)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"part-00000.*damaged.*run the stage"):
        list(read_targets(tmp_path))


def test_a_part_of_other_content_is_refused(tmp_path: Path):
    table = pa.table({"sentence_id": [1]}).replace_schema_metadata({"tags": "[]"})
    pq.write_table(table, tmp_path / part_name(0))
    with pytest.raises(InputError, match=r"expected columns .*log_marginals.*, found sentence_id;"):
        list(read_targets(tmp_path))


def test_a_part_that_names_no_tags_is_refused(tmp_path: Path):
    pq.write_table(pa.table({"sentence_id": [1]}), tmp_path / part_name(0))
    with pytest.raises(InputError, match="expected the metadata `tags`, found none"):
        list(read_targets(tmp_path))

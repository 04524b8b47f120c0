"""Emissions and targets survive the way to disk and back, in the layout that others read."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.targets import (
    Emissions,
    TargetRows,
    padded,
    part_name,
    read_emissions,
    read_tags,
    read_targets,
    write_emissions,
    write_targets,
)

TAGS = ("O", "B-X", "I-X")
LENGTHS = (3, 1, 5)
OFFSETS = np.cumsum([0, *LENGTHS])
PATHS = (2, 1, 4)


def emissions() -> Emissions:
    scores = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    return Emissions(np.array([4, 5, 9], dtype=np.int32), OFFSETS, scores)


def targets() -> TargetRows:
    chance = np.random.default_rng(1)
    paths = [
        chance.integers(0, 3, (k, n)).astype(np.int16) for k, n in zip(PATHS, LENGTHS, strict=True)
    ]
    log_probs = [np.sort(chance.normal(size=k).astype(np.float32))[::-1] for k in PATHS]
    partition = chance.normal(size=3).astype(np.float32)
    marginals = chance.normal(size=(9, 3)).astype(np.float16)
    return TargetRows(
        np.array([4, 5, 9], dtype=np.int32), OFFSETS, paths, log_probs, partition, marginals
    )


def test_emissions_come_back(tmp_path: Path):
    write_emissions(tmp_path / part_name(0), emissions(), TAGS)
    (back,) = read_emissions(tmp_path)
    for name in ("sentence_ids", "offsets", "scores"):
        np.testing.assert_array_equal(getattr(back, name), getattr(emissions(), name))
    assert read_tags(tmp_path) == TAGS


def test_targets_come_back(tmp_path: Path):
    write_targets(tmp_path / part_name(0), targets(), TAGS, 4)
    (back,) = read_targets(tmp_path)
    for name in ("sentence_ids", "offsets", "log_partition", "log_marginals"):
        np.testing.assert_array_equal(getattr(back, name), getattr(targets(), name))
    for name in ("paths", "path_log_probs"):
        for found, expected in zip(getattr(back, name), getattr(targets(), name), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_any_program_can_read_the_columns(tmp_path: Path):
    write_emissions(tmp_path / "e.parquet", emissions(), TAGS)
    write_targets(tmp_path / "t.parquet", targets(), TAGS, 4)
    scored, taught = pq.read_table(tmp_path / "e.parquet"), pq.read_table(tmp_path / "t.parquet")
    assert str(scored.schema.field("emissions").type).startswith("list<")
    assert scored["emissions"][2].as_py() == emissions().scores[4:].tolist()
    assert taught["paths"].to_pylist() == [paths.tolist() for paths in targets().paths]
    assert str(taught.schema.field("paths").type).count("int16") == 1
    assert "halffloat" in str(taught.schema.field("log_marginals").type)
    assert taught.schema.metadata[b"tags"] == b'["O", "B-X", "I-X"]'
    assert taught.schema.metadata[b"k"] == b"4"


def test_the_same_rows_are_the_same_bytes(tmp_path: Path):
    for name in ("a", "b"):
        write_targets(tmp_path / name, targets(), TAGS, 4)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_padding_is_zero_and_order_is_kept():
    rows = np.arange(9) + 1
    np.testing.assert_array_equal(padded(rows, OFFSETS, [1, 0]), [[4, 0, 0], [1, 2, 3]])


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
    write_emissions(path, emissions(), TAGS)
    damaged = bytearray(path.read_bytes())
    damaged[60] ^= 4
    path.write_bytes(damaged)
    with pytest.raises(InputError, match="damaged"):
        list(read_emissions(tmp_path))

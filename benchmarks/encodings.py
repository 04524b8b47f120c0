"""How columns of emissions and targets can be encoded: bytes a word, time to write and to read.

    python benchmarks/encodings.py

Each column alone, as the stages have it, on one thread; emissions are made up. All encodings of a
column take turns; printed are medians. What `pipeline/` writes is in bold.
"""

import argparse
import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from made_up import emissions_of, parts_of, tags_of, transitions_of
from timing import in_turn

from pipeline.emissions import Emissions, write_emissions
from pipeline.extraction import extract
from pipeline.parts import SENTENCES
from pipeline.targets import write_targets

ENCODINGS = {
    "plain": "PLAIN",
    "dictionary": "",
    "byte-stream-split": "BYTE_STREAM_SPLIT",
    "delta": "DELTA_BINARY_PACKED",
}
LEVELS = (1, 3, 6)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--sentences", type=int, default=20_000)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    pa.set_cpu_count(1)
    tags = tags_of(4)
    rows = emissions_of(chosen.sentences, len(tags), 20.5, seed=0)
    print(f"{len(rows)} sentences, {rows.offsets[-1]} words, {len(tags)} tags, k = 10")
    with tempfile.TemporaryDirectory() as folder:
        for column in _columns(Path(folder), rows, tags):
            _measure(Path(folder), column, int(rows.offsets[-1]), chosen.rounds)


def _columns(place: Path, rows: Emissions, tags: tuple[str, ...]) -> Iterator[pa.Table]:
    """Each column of the files, as a table of its own."""
    transitions = transitions_of(tags)
    found = [extract(part, transitions, 10) for part in parts_of(rows)]
    write_emissions(place / "emissions", rows, tags)
    write_targets(place / "dense", found, tags, 10)
    write_targets(place / "kept", found, tags, 10, 1e-3)
    for name, skip in (("emissions", set()), ("dense", {"sentence_id"}), ("kept", set())):
        table = pq.ParquetFile(place / name).read()
        for column in table.column_names:
            if column not in skip and (name != "kept" or column.startswith("kept")):
                yield table.select([column])


def _measure(place: Path, table: pa.Table, words: int, rounds: int) -> None:
    """Every encoding that the column can have, at every level."""
    name = table.column_names[0]
    pq.write_table(table.slice(0, 1), place / "leaf")
    leaf = pq.ParquetFile(place / "leaf").metadata.row_group(0).column(0)
    whole = leaf.physical_type in ("INT32", "INT64")
    steps, paths = {}, {}
    for (label, encoding), level in product(ENCODINGS.items(), LEVELS):
        if label == "delta" and not whole:
            continue
        path = paths[label, level] = place / f"{label} {level}"
        written = {leaf.path_in_schema: encoding} if encoding else None
        steps[f"{path.name} write"] = partial(
            pq.write_table, table, path, row_group_size=SENTENCES, compression="zstd",
            compression_level=level, use_dictionary=not encoding, column_encoding=written,
            write_page_checksum=True,
        )  # fmt: skip
        steps[f"{path.name} read"] = partial(_read, path)
    for step in steps.values():
        step()
    times = in_turn(steps, rounds, patience=60.0)
    own = "delta" if name == "sentence_id" else "byte-stream-split"
    print(f"\n| `{name}` | bytes a word | write, ms | read, ms |\n|---|--:|--:|--:|")
    for (label, level), path in paths.items():
        mark = "**" if (label, level) == (own, 1) else ""
        size = path.stat().st_size / words
        write, read = (times[f"{path.name} {step}"].median for step in ("write", "read"))
        print(f"| {mark}{label}, zstd {level}{mark} | {size:.2f} | {write:.0f} | {read:.0f} |")


def _read(path: Path) -> None:
    pq.ParquetFile(path, page_checksum_verification=True).read(use_threads=False)


if __name__ == "__main__":
    main()

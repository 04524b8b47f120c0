"""From emissions on disk to padded training batches: bytes a word, words a second, memory.

    python benchmarks/extraction.py
    python benchmarks/extraction.py --sentences 1000000

Emissions are made up, as sure as a teacher's. The first tables are measured on at most 20,000
sentences, on one thread, all things in turn; printed are medians. The last one runs `limbeck
extract` over all sentences, in a process of its own, on the cores that it may use.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from made_up import SCHEME, emissions_of, parts_of, tags_of, text_of, transitions_of
from safetensors.torch import save_file
from timing import in_turn

from pipeline.assembly import Lesson, write_examples
from pipeline.batching import shuffled
from pipeline.corpus import read_split, write_split
from pipeline.emissions import Emissions, read_emissions, write_emissions
from pipeline.examples import Examples
from pipeline.extraction import extract
from pipeline.parts import PART, part_name
from pipeline.targets import TargetRows, read_targets, write_targets

ROOT = Path(__file__).parents[1]
K, KEEP_ABOVE = 10, 1e-3
MEASURED = 20_000
"""Sentences of the first tables."""
BATCH, PIECES = 32, 64
"""Sentences and pieces of the teacher's batch; each piece counts as a word, which is generous."""


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--sentences", type=int, default=MEASURED)
    options.add_argument("--labels", type=int, default=4, help="four tags each, one for outside")
    options.add_argument("--words", type=float, default=20.5, help="of a sentence, on average")
    options.add_argument("--rounds", type=int, default=9)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    tags = tags_of(chosen.labels)
    with tempfile.TemporaryDirectory() as folder:
        rows = emissions_of(min(chosen.sentences, MEASURED), len(tags), chosen.words, seed=0)
        _Steps(Path(folder), rows, tags).measure(chosen.rounds)
    _measure_share(tags, chosen.rounds)
    for keep_above in (0.0, KEEP_ABOVE):
        with tempfile.TemporaryDirectory() as folder:
            _run_stage(Path(folder), tags, chosen.sentences, chosen.words, keep_above)


class _Steps:
    """Every step between two files, on one thread."""

    def __init__(self, place: Path, rows: Emissions, tags: tuple[str, ...]) -> None:
        self.place, self.rows, self.tags = place, rows, tags
        self.transitions = transitions_of(tags)
        self.targets: list[TargetRows] = []
        for name in ("emissions", "dense", "sparse"):
            (place / name).mkdir()

    def measure(self, rounds: int) -> None:
        """Do all once, in order; then in turn, timed; print."""
        words = int(self.rows.offsets[-1])
        write_split(
            self.place / "s", *text_of(self.rows, self.tags), tag_set=self.tags, scheme=SCHEME
        )
        split = read_split(self.place / "s")
        file = self.place / "examples.arrow"
        dense, sparse = self.place / "dense", self.place / "sparse"
        steps = {
            "emissions: write": self.write_emissions,
            "emissions: read": lambda: _count(read_emissions(self.place / "emissions")),
            "extract (marginals and 10 paths)": self.extract,
            "targets, dense: write": partial(self.write_targets, dense, 0.0),
            "targets, dense: read": lambda: _count(read_targets(dense)),
            "targets, kept: write": partial(self.write_targets, sparse, KEEP_ABOVE),
            "targets, kept: read": lambda: _count(read_targets(sparse)),
            "examples.arrow: write, reading targets": lambda: write_examples(
                file, [Lesson(split, read_targets(dense))], 0, ("paths", "marginals")
            ),
        }
        for step in steps.values():
            step()
        examples = Examples(file, len(self.tags))
        for size in (512, 2048):
            batches = shuffled(examples.lengths, size, seed=1)
            steps[f"padded batches of {size} words"] = partial(_gather, examples, batches)
        _gather(examples, batches[:2])
        print(f"{len(self.rows)} sentences, {words} words, {len(self.tags)} tags, k = {K}\n")
        _print_sizes({"dense": dense, f"marginals from {KEEP_ABOVE:g} on": sparse}, words)
        print("| step, on one thread | million words a second |\n|---|--:|")
        for name, times in in_turn(steps, rounds, patience=60.0).items():
            print(f"| {name} | {words / times.median / 1e3:.2f} |")
        print()

    def write_emissions(self) -> None:
        for number, part in enumerate(parts_of(self.rows)):
            write_emissions(self.place / "emissions" / part_name(number), part, self.tags)

    def extract(self) -> None:
        found = [extract(part, self.transitions, K) for part in parts_of(self.rows)]
        self.targets = found

    def write_targets(self, folder: Path, keep_above: float) -> None:
        for number, group in enumerate(self.targets):
            write_targets(folder / part_name(number), [group], self.tags, K, keep_above)


def _count(groups) -> int:
    return sum(len(group) for group in groups)


def _gather(examples: Examples, batches: list[list[int]]) -> None:
    for batch in batches:
        examples.batch(batch)


def _print_sizes(folders: dict[str, Path], words: int) -> None:
    """Bytes a word by column; the rest of a file is its footer."""
    print("| column |", " | ".join(folders), "|\n|---|" + "--:|" * len(folders))
    sizes = [_sizes(folder) for folder in folders.values()]
    for name in dict.fromkeys(name for each in sizes for name in each):
        cells = [f"{each[name] / words:.2f}" if name in each else "" for each in sizes]
        print(f"| `{name}` |", " | ".join(cells), "|")
    wholes = [sum(p.stat().st_size for p in folder.iterdir()) for folder in folders.values()]
    print("| **bytes a word** |", " | ".join(f"**{size / words:.2f}**" for size in wholes), "|\n")


def _sizes(folder: Path) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for path in folder.iterdir():
        file = pq.ParquetFile(path).metadata
        for group in range(file.num_row_groups):
            for number in range(file.num_columns):
                column = file.row_group(group).column(number)
                name = column.path_in_schema.split(".")[0]
                sizes[name] += column.total_compressed_size
    return sizes


def _measure_share(tags: tuple[str, ...], rounds: int) -> None:
    """What extraction adds to the forward pass of a network of MiniLM's size, on one thread."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    pieces = torch.randint(config.vocab_size, (BATCH, PIECES))
    scores = emissions_of(BATCH * 40, len(tags), PIECES, seed=0).scores[: BATCH * PIECES]
    ids, offsets = np.arange(BATCH, dtype=np.int32), np.arange(BATCH + 1) * PIECES
    rows, transitions = Emissions(ids, offsets, scores), transitions_of(tags)
    with torch.inference_mode():
        steps = {"pass": lambda: model(pieces), "targets": lambda: extract(rows, transitions, K)}
        for step in steps.values():
            step()
        times = in_turn(steps, rounds, patience=60.0)
    share = times["targets"].median / times["pass"].median
    print(f"| {BATCH} × {PIECES} pieces, one thread | |\n|---|--:|")
    print(f"| forward pass of MiniLM-L6-H384 | {times['pass'].median:.0f} ms |")
    print(f"| marginals and {K} paths of as many words | {times['targets'].median:.2f} ms |")
    print(f"| share | {share:.2%} |\n")


def _run_stage(
    place: Path, tags: tuple[str, ...], sentences: int, words: float, keep_above: float
) -> None:
    """Memory and time of `limbeck extract`, and what of the memory is there for one sentence."""
    _write_teacher(place, tags, keep_above)
    for name, some in (("one", 1), ("all", sentences)):
        for number, first in enumerate(range(0, some, PART)):
            rows = emissions_of(min(PART, some - first), len(tags), words, seed=number)
            folder = place / name / "made" / "up"
            folder.mkdir(parents=True, exist_ok=True)
            write_emissions(folder / part_name(number), rows, tags)
    _extract(place, "one")  # so that nothing is left to compile
    _, least = _extract(place, "one")
    seconds, most = _extract(place, "all")
    read, written = (
        sum(path.stat().st_size for path in (place / name).rglob("*.parquet")) / 2**20
        for name in ("all", "targets/all")
    )
    cores = len(os.sched_getaffinity(0))
    title = f"{sentences} sentences, `keep_above: {keep_above:g}`, {cores} cores"
    print(f"| `limbeck extract`, {title} | |\n|---|--:|")
    print(f"| emissions read, targets written | {read:.0f} MiB, {written:.0f} MiB |")
    print(f"| time, start and end included | {seconds:.1f} s |")
    print(f"| peak memory | {most:.0f} MiB |")
    print(f"| of which above a run over one sentence | {most - least:.0f} MiB |\n")


def _write_teacher(place: Path, tags: tuple[str, ...], keep_above: float) -> None:
    """All that the stage reads of a teacher, and parameters."""
    teacher = place / "models" / "made_up"
    teacher.mkdir(parents=True)
    about = {"encoder": {}, "head": "crf", "scheme": SCHEME, "tags": tags}
    (teacher / "tagger.json").write_text(json.dumps(about))
    weights = transitions_of(tags).state_dict()
    save_file({f"transitions.{k}": v for k, v in weights.items()}, teacher / "weights.safetensors")
    params = (ROOT / "params.yaml").read_text()
    params = re.sub(r"keep_above: \S+", f"keep_above: {keep_above!r}", params)
    (place / "params.yaml").write_text(params)


def _extract(place: Path, emissions: str) -> tuple[float, float]:
    """Seconds and peak memory (MiB) of one run; the kernel counts what files are mapped, too."""
    command = [sys.executable, "-c", _RUN, "extract", "--teacher", "models/made_up"]
    command += ["--emissions", emissions, "--out", f"targets/{emissions}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    begun = time.perf_counter()
    run = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(run.stderr)
    return time.perf_counter() - begun, int(run.stdout) / 1024


_RUN = """
import atexit, pathlib, re
from stages.cli import main
status = pathlib.Path("/proc/self/status")
atexit.register(lambda: print(re.search(r"VmHWM:\\s*(\\d+)", status.read_text())[1]))
main()
"""
"""The command line, and at its end the most memory that it held, in KiB."""


if __name__ == "__main__":
    main()

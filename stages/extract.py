"""extract: from stored emissions to k best paths and marginals; no teacher runs."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from pipeline.description import read_description
from pipeline.device import found_threads
from pipeline.extraction import Extract, extract_part
from pipeline.parts import parts_of, read_tags
from pipeline.running.artifacts import made_by
from pipeline.running.bench import Bench, produce
from pipeline.running.closure import closure
from pipeline.running.progress import log, progress
from pipeline.tags import require_tags
from pipeline.targets import Dropped, dropped_in
from pipeline.transitions import read_transitions

PARTS_AT_ONCE = 8
"""At most: each takes the memory of a row group or two, and more would only wait for the disk."""


def run(read: Callable[[], Extract], teacher: Path, emissions: Path, out: Path) -> None:
    """Write `out/<corpus>/<split>/part-*.parquet`, a part for each part of emissions."""
    produce(
        out,
        inputs=[
            made_by(f"train_teacher@{teacher.name}", teacher),
            made_by(f"score@{teacher.name}", emissions),
        ],
        code=closure(Path("stages/extract.py"), Path(__file__).parents[1]),
        params=read,
        body=lambda bench: _extract(read(), teacher, emissions, bench),
    )


def _extract(settings: Extract, teacher: Path, emissions: Path, bench: Bench) -> None:
    transitions, known = read_transitions(teacher), read_description(teacher).tags
    out = bench.kept / "parts"
    folders = sorted({path.parent for path in emissions.rglob("part-*.parquet")})
    for folder in folders:
        remedy = f"run `dvc repro score@{teacher.name}`"
        require_tags(read_tags(folder), folder, known, teacher, remedy)
    parts = [path for folder in folders for path in parts_of(folder)]
    written = [out / path.relative_to(emissions) for path in parts]
    make = partial(extract_part, settings, transitions, known)
    threads = min(found_threads(), PARTS_AT_ONCE)
    with (
        progress(len(parts), f"extracting on {threads} threads", "parts") as advance,
        ThreadPoolExecutor(threads) as pool,
    ):
        for _ in pool.map(make, parts, written):
            advance(1)
    for folder in folders:
        name = folder.relative_to(emissions)
        _report(dropped_in(out / name), name, settings)
    shutil.move(out, bench.out)


def _report(dropped: Dropped, name: Path, settings: Extract) -> None:
    if settings.keep_above:
        share = dropped.mass / max(1, dropped.words)
        log(f"{name}: dropped marginals below {settings.keep_above:g}, {share:.3%} of their sum")

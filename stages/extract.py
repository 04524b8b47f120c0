"""extract: from stored emissions to k best paths and marginals; no teacher runs."""

import shutil
from collections.abc import Callable
from pathlib import Path

from pipeline.extraction import Extract, extract
from pipeline.running.artifacts import made_by, writing
from pipeline.running.bench import Bench, produce
from pipeline.running.closure import closure
from pipeline.running.progress import progress
from pipeline.tags import require_tags
from pipeline.targets import part_name, read_emissions, read_tags, write_targets
from pipeline.transitions import read_description, read_transitions


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
    parts = bench.kept / "parts"
    for folder in sorted({path.parent for path in emissions.rglob("part-*.parquet")}):
        name, tags = folder.relative_to(emissions), read_tags(folder)
        require_tags(tags, folder, known, teacher, f"run `dvc repro score@{teacher.name}`")
        total = len(list(folder.glob("part-*.parquet")))
        with progress(total, f"extracting {name}", "parts") as advance:
            for number, rows in enumerate(read_emissions(folder)):
                path = parts / name / part_name(number)
                if not path.exists():
                    with writing(path) as temporary:
                        targets = extract(rows, transitions, settings.k)
                        write_targets(temporary, targets, tags, settings.k)
                advance(1)
    shutil.move(parts, bench.out)

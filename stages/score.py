"""score: one pass of a teacher over every word that it is to label; emissions to Parquet."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from pipeline.corpus import SPLITS, read_split, split_path
from pipeline.device import found_device
from pipeline.encoders import load_emitter
from pipeline.running.artifacts import made_by
from pipeline.running.bench import Bench, produce
from pipeline.running.closure import closure
from pipeline.running.progress import log, progress
from pipeline.scoring import Score, score_split
from pipeline.tags import require_tags


def run(
    read: Callable[[], Score],
    teacher: Path,
    corpora: Path,
    lesson: Path,
    out: Path,
    batch_words: int,
) -> None:
    """Write `out/<corpus>/<split>/part-*.parquet` for the corpora that `lesson` names.

    Parts that a killed run finished are kept. `batch_words` bounds memory, not results.
    """
    names = list(json.loads(made_by("prepare", lesson).read_text(encoding="utf-8")))
    paths = [
        path
        for name in names
        for kind in SPLITS
        if (path := split_path(corpora, name, kind)).exists()
    ]
    produce(
        out,
        inputs=[made_by(f"train_teacher@{teacher.name}", teacher), lesson, *paths],
        code=closure(Path("stages/score.py"), Path(__file__).parents[1]),
        params=read,
        body=lambda bench: _score(read(), teacher, paths, bench, batch_words),
    )


def _score(
    settings: Score, folder: Path, paths: list[Path], bench: Bench, batch_words: int
) -> None:
    teacher = load_emitter(folder).to(found_device())
    parts = bench.kept / "parts"
    long = 0
    for path in paths:
        split = read_split(path)
        require_tags(teacher.tags, folder, split.tag_set, path, "train the teacher again")
        name = f"{path.parent.name}/{path.stem}"
        with progress(len(split), f"scoring {name}", "sentences") as advance:
            score_split(
                teacher,
                split.words,
                split.sentence_ids,
                parts / name,
                score=settings,
                batch_words=batch_words,
                scored=advance,
            )
        long += teacher.encoder.windowed(split.words)
    log(f"{folder.name}: {long} sentences were longer than a window and read in several")
    shutil.move(parts, bench.out)

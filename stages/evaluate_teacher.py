"""evaluate_teacher: what a teacher says about the test splits of its own corpora.

Its answers are read from the emissions that `score` stored: no forward pass runs twice.
"""

import json
from pathlib import Path

from pipeline.corpus import Split, split_path
from pipeline.description import read_description
from pipeline.emissions import read_emissions
from pipeline.errors import InputError
from pipeline.evaluation import write_examined
from pipeline.examination import examine
from pipeline.extraction import best_paths
from pipeline.running.artifacts import made_by
from pipeline.running.bench import Bench, produce
from pipeline.running.closure import closure
from pipeline.transitions import Transitions, read_transitions


def run(teacher: Path, emissions: Path, corpora: Path, lesson: Path, out: Path) -> None:
    """Examine a teacher on the test splits of the corpora that `lesson` names; publish at `out`."""
    names = json.loads(made_by("prepare", lesson).read_text(encoding="utf-8"))
    paths = {name: split_path(corpora, name, "test") for name in names}
    tests = {name: path for name, path in paths.items() if path.exists()}
    made_by(f"train_teacher@{teacher.name}", teacher)
    scored = {name: made_by(f"score@{teacher.name}", emissions / name / "test") for name in tests}

    def body(bench: Bench) -> None:
        transitions, tags = read_transitions(teacher), read_description(teacher).tags
        examined = examine(
            teacher,
            tests,
            lambda corpus, split: _decoded(scored[corpus], split, transitions, tags),
        )
        write_examined(bench.out, examined)

    produce(
        out,
        inputs=[teacher, lesson, *tests.values(), *scored.values()],
        code=closure(Path("stages/evaluate_teacher.py"), Path(__file__).parents[1]),
        params=lambda: None,
        body=body,
    )


def _decoded(
    folder: Path, split: Split, transitions: Transitions, tags: tuple[str, ...]
) -> list[list[str]]:
    """The best tags of each sentence, from stored emissions."""
    ids, found = [], []
    for rows in read_emissions(folder):
        ids += rows.sentence_ids.tolist()
        found += [[tags[tag] for tag in path] for path in best_paths(rows, transitions)]
    if ids != split.sentence_ids or [*map(len, found)] != [*map(len, split.words)]:
        raise InputError(
            f"{folder}: expected emissions for the sentences of {split.path}, found others; "
            "run `dvc repro score` to write them again"
        )
    return found

"""evaluate: what a tagger says about test splits, and spans counted sentence by sentence.

A student tags every corpus that has a test split. A teacher is asked about its own corpora only,
and its answers are read from the emissions that `score` stored: no forward pass runs twice.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.artifacts import made_by
from pipeline.bench import Bench, produce
from pipeline.closure import closure
from pipeline.corpus import Split, read_split, split_path
from pipeline.device import found_device
from pipeline.errors import InputError
from pipeline.evaluation import Evaluation, Examined, size_of, write_examined
from pipeline.extraction import best_paths
from pipeline.metrics import Tags, count, f1
from pipeline.progress import log
from pipeline.students import load_student
from pipeline.tags import Scheme
from pipeline.targets import read_emissions
from pipeline.transitions import Transitions, read_description, read_transitions, read_weights


def run_student(student: Path, corpora: Path, out: Path) -> None:
    """Write what a student says about the test split of each corpus below `corpora`."""
    tests = {path.parent.name: path for path in sorted(corpora.glob("*/test.parquet"))}

    def body(bench: Bench) -> None:
        tagger = load_student(student).to(found_device())
        _write(bench.out, student, tests, lambda corpus, split: tagger.tag(split.words))

    stage = f"distill@{student.parent.name}-{student.name}"
    _produce(out, [made_by(stage, student), *tests.values()], body)


def run_teacher(teacher: Path, emissions: Path, corpora: Path, lesson: Path, out: Path) -> None:
    """Write what a teacher says about the test splits of the corpora that `lesson` names."""
    names = json.loads(made_by("prepare", lesson).read_text(encoding="utf-8"))
    paths = {name: split_path(corpora, name, "test") for name in names}
    tests = {name: path for name, path in paths.items() if path.exists()}

    def body(bench: Bench) -> None:
        transitions = read_transitions(teacher)
        tags = read_description(teacher).tags
        _write(
            bench.out,
            teacher,
            tests,
            lambda corpus, split: _decoded(emissions / corpus / "test", split, transitions, tags),
        )

    folders = [made_by(f"score@{teacher.name}", emissions / corpus / "test") for corpus in tests]
    made_by(f"train_teacher@{teacher.name}", teacher)
    _produce(out, [teacher, lesson, *tests.values(), *folders], body)


def _produce(out: Path, inputs: list[Path], body: Callable[[Bench], None]) -> None:
    code = closure(Path("stages/evaluate.py"), Path(__file__).parents[1])
    produce(out, inputs=inputs, code=code, params=lambda: None, body=body)


def _write(
    out: Path, tagger: Path, tests: Mapping[str, Path], tag: Callable[[str, Split], Tags]
) -> None:
    evaluations = {}
    for corpus, path in tests.items():
        split = read_split(path)
        evaluations[corpus] = _evaluation(split, _scheme(tagger, split), tag(corpus, split))
        log(f"{tagger}: {f1(evaluations[corpus].counts):.2f} F1 on {corpus}/test")
    weights = sum(tensor.numel() for tensor in read_weights(tagger).values())
    write_examined(out, Examined(weights, size_of(tagger), evaluations))


def _evaluation(split: Split, scheme: Scheme, predicted: Tags) -> Evaluation:
    if split.tags is None:
        raise InputError(f"{split.path}: expected gold tags to test against, found none")
    counts = count(split.tags, predicted, scheme)
    return Evaluation(split.sentence_ids, predicted, counts, scheme)


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


def _scheme(tagger: Path, split: Split) -> Scheme:
    """The scheme of tagger and split; InputError where they do not have one tag set."""
    about = read_description(tagger)
    if (about.tags, about.scheme) != (split.tag_set, split.scheme):
        differing = ", ".join(sorted({*about.tags} ^ {*split.tag_set})) or "the order of tags"
        raise InputError(
            f"{tagger}: expected the scheme {split.scheme} and the tag set of {split.path}, found "
            f"{about.scheme} and another tag set; what differs: {differing}; train the tagger again"
        )
    return about.scheme

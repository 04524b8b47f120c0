"""compress: one student as a folder that stands alone, in one variant, with what that loses."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pipeline.config import plain
from pipeline.corpus import SPLITS, Split, read_split, split_path
from pipeline.errors import InputError
from pipeline.evaluation import read_examined
from pipeline.metrics import f1
from pipeline.running.artifacts import made_by
from pipeline.running.bench import Bench, produce
from pipeline.running.closure import closure
from pipeline.running.progress import log
from pipeline.shipping.card import Source, Story, card
from pipeline.shipping.checksums import seal, weigh
from pipeline.shipping.compression import Batches, Variant
from pipeline.shipping.export import write_student
from pipeline.shipping.graphs import emissions_graph
from pipeline.shipping.huggingface import write_hub_model
from pipeline.shipping.trial import require_same, tried
from pipeline.shipping.verdicts import Verdict, summary, write_verdict
from pipeline.students import load_student
from pipeline.tagger import Tagger
from pipeline.tags import canonical, spans_of

CALIBRATION = 256
"""Train sentences of each corpus, evenly spaced, on which the range of numbers is found."""

Splits: TypeAlias = Mapping[str, Mapping[str, Split]]
"""By kind (train, dev, test, transfer) and corpus."""


@dataclass(frozen=True)
class Told:
    """What the parameters say of a student and one of its variants."""

    variant: Variant
    license: str | None
    taught: bool
    """Whether a teacher had a say."""
    transfer: int
    """Unlabelled sentences of each corpus that it learns from at most."""
    settings: Mapping[str, Any]
    """Sections that the card shows."""
    corpora: Mapping[str, Mapping[str, Any]]
    """Language, license and teachers of each."""


def told(params: Any, recipe: Any, variant: Variant) -> Told:
    """What all parameters say of one recipe and one variant."""
    corpora = {name: plain(corpus) for name, corpus in params.corpora.items()}
    teachers = {name for corpus in corpora.values() for name in corpus["teachers"]}
    shown = {
        "recipe": plain(recipe),
        "distill": {key: value for key, value in plain(params.distill).items() if key != "seed"},
        "teachers": {name: plain(params.teachers[name]) for name in sorted(teachers)},
        "variant": plain(variant),
    }
    license = params.export.license
    return Told(variant, license, recipe.taught, recipe.limit, shown, corpora)


def run(
    read: Callable[[], Told], variant: str, student: Path, corpora: Path, teachers: Path, out: Path
) -> None:
    """Publish a student at `out`; `teachers` holds the evaluations of teachers.

    Raises InputError where an input lacks, and where the exported student does not tag dev
    sentences as it does in PyTorch.
    """
    names = [*read().corpora]
    made_by("prepare", corpora)
    paths = {kind: _paths(corpora, names, kind) for kind in SPLITS}
    if not paths["dev"]:
        raise InputError(
            f"{corpora}: expected a dev split of one corpus at least, found none; "
            "run `dvc repro prepare`"
        )
    evaluations = [path for path in sorted(teachers.glob("*")) if path.is_dir()]
    produce(
        out,
        inputs=[
            made_by(f"distill@{student.parent.name}-{student.name}", student),
            *(path for by_corpus in paths.values() for path in by_corpus.values()),
            *evaluations,
        ],
        code=closure(Path("stages/compress.py"), Path(__file__).parents[1]),
        params=read,
        body=lambda bench: _compress(read(), variant, student, _read(paths), evaluations, bench),
    )


def _paths(corpora: Path, names: Iterable[str], kind: str) -> dict[str, Path]:
    paths = {name: split_path(corpora, name, kind) for name in names}
    return {name: path for name, path in paths.items() if path.exists()}


def _read(paths: Mapping[str, Mapping[str, Path]]) -> Splits:
    return {
        kind: {corpus: read_split(path) for corpus, path in by_corpus.items()}
        for kind, by_corpus in paths.items()
    }


def _compress(
    told: Told,
    variant: str,
    folder: Path,
    splits: Splits,
    evaluations: Sequence[Path],
    bench: Bench,
) -> None:
    student, recipe, whole = load_student(folder), folder.parent.name, bench.kept / "float32"
    graph = emissions_graph(student)
    write_student(whole, student, graph, recipe, "float32")
    seal(whole)
    require_same(whole, student, splits["dev"])
    smaller = told.variant(graph, _batches(student, splits["train"]))
    write_student(bench.out, student, smaller, recipe, variant)
    seal(bench.out)
    own, float32 = (tried(each, splits["dev"], splits["test"]) for each in (bench.out, whole))
    verdict = Verdict(own, float32, *weigh(bench.out), student.weights)
    write_verdict(bench.out, verdict)
    story = Story(
        recipe=recipe,
        seed=folder.name,
        variant=variant,
        license=told.license,
        labels=_labels(student),
        scheme=student.scheme,
        corpora=_sources(told, splits, evaluations),
        settings=told.settings,
        taught=told.taught,
        verdict=verdict,
        hub=told.variant.kind == "float32" and write_hub_model(student, bench.out / "huggingface"),
    )
    (bench.out / "README.md").write_text(card(story), encoding="utf-8")
    seal(bench.out)
    log(f"{recipe}, {variant}: {summary(verdict)}")


def _batches(student: Tagger, train: Mapping[str, Split]) -> Batches:
    """What the student reads of some sentences of each corpus, a sentence a batch."""
    some = [
        words
        for split in train.values()
        for words in split.words[:: max(1, len(split) // CALIBRATION)]
    ]
    read = (student.encoder.inputs([words]) for words in some)
    return [{name: tensor.numpy() for name, tensor in inputs.items()} for inputs in read]


def _labels(student: Tagger) -> list[str]:
    """The labels of spans that its tags write."""
    written = (spans_of([tag], canonical(student.scheme)) for tag in student.tags)
    return sorted({span.label for spans in written for span in spans})


def _sources(told: Told, splits: Splits, evaluations: Sequence[Path]) -> dict[str, Source]:
    """The corpora, and the test scores of the teacher of each."""
    f1s = {
        (folder.name, corpus): f1(evaluation.counts)
        for folder in evaluations
        for corpus, evaluation in read_examined(folder).corpora.items()
    }
    found = {}
    for corpus, about in told.corpora.items():
        teacher = next(iter(about["teachers"]), None)
        sizes = {kind: len(of[corpus]) for kind, of in splits.items() if corpus in of}
        sizes["transfer"] = min(sizes.get("transfer", 0), told.transfer if teacher else 0)
        found[corpus] = Source(
            about["language"],
            about["license"],
            sizes,
            teacher,
            f1s.get((teacher, corpus)) if teacher else None,
        )
    return found

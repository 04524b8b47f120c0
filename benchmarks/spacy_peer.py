"""Students beside spaCy's small CNN pipeline, trained from scratch: F1, speed, size, memory.

    python benchmarks/spacy_peer.py CORPORA --student FOLDER … [--only en=en sv=sv] [--minutes 10]

CORPORA is what stage `prepare` wrote; each FOLDER a student, as trained or exported. spaCy learns
from the train split of one corpus at a time, chooses by its dev split, and is kept below `--work`
for the next run. All are scored on the same words by the same measure, and timed in turns, each in
a process of its own. spaCy lives in an environment of its own (`make -C benchmarks spacy`).
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from pipeline.corpus import Split, read_split, split_path
from pipeline.metrics import count, f1
from pipeline.tags import Span, spans_of, tags_of
from pipeline.timing import timed
from pipeline.timing.clocked import Clocked
from pipeline.timing.speed import BATCHES, SINGLE, Measured, Speed, measure

HERE = Path(__file__).parent
_HEADS = (
    "tagger|F1|sentences/s, one by one|words/s, one by one|words/s, 32 at a time|ms, median|"
    "weights|MB on disk|MB of memory"
)


def main() -> None:
    """Train what is not there yet, then print a table for each corpus."""
    options = argparse.ArgumentParser(description="Students beside spaCy.")
    options.add_argument("corpora", type=Path)
    options.add_argument("--student", type=Path, nargs="+", default=[])
    options.add_argument("--only", nargs="+", help="CORPUS=LANGUAGE, for spaCy; else all, xx")
    options.add_argument("--minutes", type=float, default=10, help="of spaCy's computing, at most")
    options.add_argument("--seconds", type=float, default=4, help="of a tagger in each way")
    options.add_argument("--work", type=Path, default=HERE / ".spacy")
    options.add_argument("--spacy", default=str(HERE / ".venv-spacy/bin/python"))
    chosen = options.parse_args()
    every = [f"{path.parent.name}=xx" for path in sorted(chosen.corpora.glob("*/test.parquet"))]
    for only in chosen.only or every:
        corpus, _, language = only.partition("=")
        folder = (chosen.work / corpus).absolute()
        _learn(chosen, corpus, language or "xx", folder)
        _print(chosen, corpus, folder)


def _learn(chosen: argparse.Namespace, corpus: str, language: str, folder: Path) -> None:
    """Train spaCy and let it tag the test split, unless it did so on the same data."""
    splits = {kind: _rows(chosen, corpus, kind) for kind in ("train", "dev", "test")}
    told = {f"{kind}.json": json.dumps(rows) for kind, rows in splits.items()}
    known = (folder / "tagged.json").exists() and all(
        (folder / name).read_text(encoding="utf-8") == text for name, text in told.items()
    )
    if known:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in told.items():
        (folder / name).write_text(text, encoding="utf-8")
    limits = ("--language", language, "--minutes", str(chosen.minutes))
    for words in (("train", str(folder), *limits), ("tag", str(folder))):
        command = (chosen.spacy, "-m", "benchmarks.spacy_pipeline", *words)
        subprocess.run(command, check=True, cwd=HERE.parent)


def _rows(chosen: argparse.Namespace, corpus: str, kind: str) -> list[tuple[list[str], list[str]]]:
    """Words and tags in IOB2, which spaCy reads."""
    split = read_split(split_path(chosen.corpora, corpus, kind))
    spans = [spans_of(tags, split.scheme) for tags in split.tags or ()]
    return [
        (words, tags_of(found, len(words), "iob2"))
        for words, found in zip(split.words, spans, strict=True)
    ]


def _print(chosen: argparse.Namespace, corpus: str, folder: Path) -> None:
    test = read_split(split_path(chosen.corpora, corpus, "test"))
    students = {f"limbeck: {_name(path)}": path.absolute() for path in chosen.student}
    scores = {name: _f1(test, _answers(path, test)) for name, path in students.items()}
    scores["spaCy"] = _f1(test, _spacy_answers(folder, test))
    sizes = {name: _bytes(path) for name, path in students.items()}
    sizes["spaCy"] = _bytes(folder / "model" / "model-best")
    with ExitStack() as stack:
        ours = (sys.executable, "-m", timed.__name__)
        theirs = (chosen.spacy, "-m", "benchmarks.spacy_pipeline", "serve")
        processes = {name: stack.enter_context(Clocked(name, *ours)) for name in students}
        processes["spaCy"] = stack.enter_context(Clocked("spaCy", *theirs))
        for name, path in {**students, "spaCy": folder}.items():
            processes[name].load({"kind": _kind(path), "folder": str(path)})
        weights = {name: process.parameters() for name, process in processes.items()}
        found = measure(processes, test.words, Speed(sentences=300, seconds=chosen.seconds))
    print(f"\n### {corpus}, {len(test)} test sentences\n")
    print(f"| {' | '.join(_HEADS.split('|'))} |\n|---|{'--:|' * 8}")
    for name in processes:
        print(_row(name, scores[name], found, weights[name], sizes[name]))
    print(f"\nOther programs took {100 * found.waited:.0f}% of the time.")


def _row(name: str, score: float, found: Measured, weights: int | None, size: int) -> str:
    single, batches = found.timings[name][SINGLE], found.timings[name][BATCHES]
    rates = single.rates()
    cells = (
        name,
        f"{score:.2f}",
        f"{rates['sentences_per_second']:,.0f}",
        f"{rates['words_per_second']:,.0f}",
        f"{batches.rates()['words_per_second']:,.0f}",
        f"{single.latency()['p50']:.2f}",
        "" if weights is None else f"{weights:,}",
        f"{size / 1e6:.2f}",
        f"{found.memory[name] / 1e6:.0f}",
    )
    return f"| {' | '.join(cells)} |"


def _kind(folder: Path) -> str:
    return "exported" if (folder / "model.json").exists() else "student"


def _name(folder: Path) -> str:
    exported = _kind(folder) == "exported"
    return f"{folder.name}, exported" if exported else f"{folder.parent.name}"


def _answers(folder: Path, test: Split) -> list[list[str]]:
    if _kind(folder) == "exported":
        from pipeline.predictor import Predictor

        return Predictor.load(folder).tag(test.words)
    from pipeline.students import load_student

    return load_student(folder).tag(test.words)


def _spacy_answers(folder: Path, test: Split) -> list[list[str]]:
    found = json.loads((folder / "tagged.json").read_text(encoding="utf-8"))
    return [
        tags_of([Span(*span) for span in spans], len(words), test.scheme)
        for spans, words in zip(found, test.words, strict=True)
    ]


def _f1(test: Split, answers: Sequence[Sequence[str]]) -> float:
    assert test.tags is not None
    return f1(count(test.tags, answers, test.scheme))


def _bytes(folder: Path) -> int:
    """Of what tagging needs: not the curve, the card, or what is there for other libraries."""
    files = (
        path for path in folder.rglob("*") if path.is_file() and "huggingface" not in path.parts
    )
    beside = {"curve.csv", "README.md", "scores.json", "SHA256SUMS"}
    return sum(path.stat().st_size for path in files if path.name not in beside)


if __name__ == "__main__":
    main()

"""`limbeck prepare`: raw corpora in any format become tables in one scheme, with one tag set.

Beside the tables it writes, for each teacher, what it learns from and what it labels, as hashes:
a teacher depends on these small files, so that a change to another teacher's corpus is not its own.
"""

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.corpus import split_path, write_split
from pipeline.errors import InputError
from pipeline.noise import Noise, noisy
from pipeline.raw.refusals import refuse
from pipeline.raw.rows import Rows
from pipeline.raw.sources import Corpus, Prepare, read_corpora
from pipeline.raw.splits import Joint, join
from pipeline.raw.survey import CorpusSurvey, Survey, survey
from pipeline.running.artifacts import writing
from pipeline.running.progress import log
from pipeline.running.snapshots import Snapshot
from pipeline.tags import tags_of

_LEARNED = ("train", "dev")

Hashes = Mapping[str, Mapping[str, str]]  # corpus → split → SHA-256 of its table


def run(corpora: Mapping[str, Corpus], prepare: Prepare, out: Path, lessons: Path) -> None:
    """Write `out/<corpus>/<split>.parquet` and `lessons/<teacher>/{learn,label}.json`, or neither.

    `lessons/teachers.json` says which teachers label which corpus, in the order of their naming.

    Raises InputError for corpora that cannot be read or learned from, and where raw files changed
    meanwhile: DVC looks at them only afterwards, and would take the tables for theirs.
    """
    before = Snapshot.take([Path(prepare.raw)], prepare, {})
    readings = read_corpora(corpora, prepare.raw)
    joint = join(readings, corpora, prepare)
    for line in _story(survey(readings, corpora, joint), prepare):
        log(line)
    refuse(joint, readings, prepare)
    noises = {name: corpus.noise for name, corpus in corpora.items()}
    for name in noises:
        if noises[name] and "test" not in joint.splits[name]:
            raise InputError(f"corpora.{name}.noise: expected a test split, found none")
    with writing(out) as folder, writing(lessons) as manifests:
        _write_lessons(manifests, corpora, _write_tables(folder, joint, noises, prepare))
        before.compare(Snapshot.take([Path(prepare.raw)], prepare, before.files), out)


def _story(found: Survey, prepare: Prepare) -> Iterator[str]:
    """What was detected and what is done about it, a line each."""
    for corpus in found.corpora:
        yield from _story_of(corpus, prepare)
    for corpus in found.held_out:
        yield f"{corpus}: no dev split; {prepare.held_out:.0%} of train held out as dev"
    for overlap in found.overlaps:
        yield f"{overlap.second}: {overlap.sentences} sentences occur in {overlap.first} as well"
    for corpus, sentences in found.leaks.items():
        if sentences:
            yield f"{corpus}/transfer: {sentences} sentences of dev or test splits dropped"
    yield f"one tag set for all, {len(found.tag_set)} tags: {' '.join(found.tag_set)}"


def _story_of(corpus: CorpusSurvey, prepare: Prepare) -> Iterator[str]:
    for split, files in corpus.files.items():
        for file in files:
            yield f"{corpus.name}/{split}: {file.path}: {file.settings}: {file.why}"
    if corpus.tagging is not None:
        yield f"{corpus.name}: scheme {corpus.tagging.scheme} ({corpus.tagging.why})"
    for split, text in corpus.splits.items():
        again = f" ({text.duplicates} occur again)" if text.duplicates else ""
        size = f"{text.sentences} sentences{again}, {text.words} words"
        yield f"{corpus.name}/{split}: {size}, {sum(text.labels.values())} spans"
        for kind, at in text.invalid.items():
            places = ", ".join(at.first)
            yield f"{corpus.name}/{split}: {at.count} x {kind} ({prepare.invalid}): {places}"


def _write_tables(
    folder: Path, joint: Joint, noises: Mapping[str, Sequence[Noise]], prepare: Prepare
) -> Hashes:
    hashes: dict[str, dict[str, str]] = defaultdict(dict)
    for corpus, splits in joint.splits.items():
        for split, rows in splits.items():
            path = split_path(folder, corpus, split)
            tags = None if split == "transfer" else _tags(rows, prepare)
            words = [row.words for row in rows]
            if split == "test":
                words = _noisy(words, corpus, noises.get(corpus, ()), prepare.seed)
            write_split(path, words, tags, tag_set=joint.tag_set, scheme=prepare.scheme)
            hashes[corpus][split] = hashlib.sha256(path.read_bytes()).hexdigest()
    return hashes


def _noisy(
    words: Sequence[Sequence[str]], corpus: str, noises: Sequence[Noise], seed: int
) -> Sequence[Sequence[str]]:
    """Words of a test split after noise, the same for the same seed and corpus."""
    if not noises:
        return words
    log(f"{corpus}/test: noise: {', '.join(noise.kind for noise in noises)}")
    return noisy(words, noises, random.Random(f"{seed} {corpus}"))


def _tags(rows: Rows, prepare: Prepare) -> list[list[str]]:
    return [tags_of(row.spans or (), len(row.words), prepare.scheme) for row in rows]


def _write_lessons(folder: Path, corpora: Mapping[str, Corpus], hashes: Hashes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    named = {name: list(corpus.teachers) for name, corpus in corpora.items()}
    text = json.dumps(named, indent=2, ensure_ascii=False)
    (folder / "teachers.json").write_text(f"{text}\n", encoding="utf-8")
    for teacher in sorted({name for corpus in corpora.values() for name in corpus.teachers}):
        labelled = {name: hashes[name] for name in corpora if teacher in corpora[name].teachers}
        learned = {
            name: {split: splits[split] for split in _LEARNED if split in splits}
            for name, splits in labelled.items()
        }
        learned = {name: splits for name, splits in learned.items() if splits}
        (folder / teacher).mkdir()
        for lesson, content in (("learn", learned), ("label", labelled)):
            text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)
            (folder / teacher / f"{lesson}.json").write_text(f"{text}\n", encoding="utf-8")

"""What `limbeck check` tells of corpora: how they were read, what they hold and what they share."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.config import plain
from pipeline.raw.census import Census, census
from pipeline.raw.detection import Detected
from pipeline.raw.rows import Rows
from pipeline.raw.sources import Corpus, Reading, Source
from pipeline.raw.splits import Joint, Unseen


@dataclass(frozen=True)
class File:
    """One raw file, and how it was read."""

    path: str
    format: Mapping[str, Any]
    why: str
    sentences: int

    @property
    def settings(self) -> str:
        """The format as one may paste it into params.yaml."""
        pairs = (f"{key}: {_yaml(value)}" for key, value in self.format.items())
        return f"{{{', '.join(pairs)}}}"


@dataclass(frozen=True)
class Tagging:
    """The scheme of some tags, and how it was found."""

    scheme: str
    outside: str
    why: str


@dataclass(frozen=True)
class CorpusSurvey:
    """One corpus of `params.yaml`."""

    name: str
    teachers: tuple[str, ...]
    tagging: Tagging | None  # None where nothing is labelled
    files: Mapping[str, tuple[File, ...]]  # by split
    splits: Mapping[str, Census]


@dataclass(frozen=True)
class Overlap:
    """How many sentences of `second` occur in `first`, which comes before it."""

    first: str
    second: str
    sentences: int


@dataclass(frozen=True)
class Survey:
    """All corpora of `params.yaml`, each and together; splits as read, dev held out if need be."""

    corpora: tuple[CorpusSurvey, ...]
    tag_set: tuple[str, ...]
    overlaps: tuple[Overlap, ...]
    leaks: Mapping[str, int]  # corpus → transfer sentences that are dropped
    held_out: tuple[str, ...]
    unseen: tuple[Unseen, ...]


@dataclass(frozen=True)
class FileSurvey:
    """One file by itself."""

    file: File
    tagging: Tagging | None
    text: Census


def survey(readings: Sequence[Reading], corpora: Mapping[str, Corpus], joint: Joint) -> Survey:
    """What the corpora hold, each and together."""
    texts = {
        f"{corpus}/{split}": rows
        for corpus, splits in joint.raw.items()
        for split, rows in splits.items()
    }
    return Survey(
        corpora=tuple(_corpus(each, corpora[each.name], joint.raw[each.name]) for each in readings),
        tag_set=joint.tag_set,
        overlaps=tuple(overlaps(texts)),
        leaks=joint.leaks,
        held_out=joint.held_out,
        unseen=joint.unseen,
    )


def survey_file(source: Source, detected: Detected | None, rows: Rows) -> FileSurvey:
    """What one file holds."""
    return FileSurvey(_file(source), _tagging(detected), census(rows))


def overlaps(texts: Mapping[str, Rows]) -> list[Overlap]:
    """For each two texts that share sentences, how many of the later one are in the earlier."""
    names: dict[str, list[str]] = defaultdict(list)  # sentence → where it occurs
    shared: Counter[tuple[str, str]] = Counter()
    for name, rows in texts.items():
        for row in rows:
            shared.update((before, name) for before in names[row.text] if before != name)
        for text in {row.text for row in rows}:
            names[text].append(name)
    return [Overlap(first, second, count) for (first, second), count in shared.items()]


def _corpus(reading: Reading, corpus: Corpus, splits: Mapping[str, Rows]) -> CorpusSurvey:
    return CorpusSurvey(
        name=reading.name,
        teachers=corpus.teachers,
        tagging=_tagging(reading.detected),
        files={split: tuple(map(_file, sources)) for split, sources in reading.splits.items()},
        splits={split: census(rows) for split, rows in splits.items()},
    )


def _file(source: Source) -> File:
    return File(str(source.path), plain(source.format), source.why, len(source.sentences))


def _tagging(detected: Detected | None) -> Tagging | None:
    return None if detected is None else Tagging(*detected)


def _yaml(value: Any) -> str:
    return value if isinstance(value, str) and value.isidentifier() else json.dumps(value)

"""Where the raw files of a corpus lie, and what they hold once read: settings, files, sentences.

To add a format of files, see `formats.py`.
"""

import glob
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pipeline.config import settings
from pipeline.corpus import SPLITS
from pipeline.errors import InputError
from pipeline.noise import Noise
from pipeline.raw.detection import Detected, detect
from pipeline.raw.formats import Format, Hub, Sentence, guess
from pipeline.tags import Scheme, canonical

_COLUMN_FILES = (".conll", ".conllu", ".conllup", ".iob", ".iob2", ".bio", ".bioes", ".tsv")
_DATA_SUFFIXES = (*_COLUMN_FILES, ".jsonl", ".parquet", ".txt")
_NO_DATA = ("licen", "readme", "copying", "notice", "manifest")

Patterns = str | tuple[str, ...]
NamedScheme = Annotated[Scheme, BeforeValidator(canonical)]  # takes aliases too


@settings
class Corpus:
    """One corpus: a path, a glob or a list of them for each split it has.

    What is left out is detected, file by file for formats and over all labelled splits for the
    scheme, and named in the log.
    """

    train: Patterns | None = None
    dev: Patterns | None = None
    test: Patterns | None = None
    transfer: Patterns | None = None  # text that only teachers label; tags in it are not read
    format: Format | None = None  # of train, dev and test
    transfer_format: Format | None = None
    scheme: NamedScheme | None = None
    outside: str | None = None  # the tag of words in no span
    teachers: tuple[str, ...] = ()  # who learns from this corpus and labels it
    noise: tuple[Noise, ...] = ()  # what happens to the words of test
    max_transfer: Annotated[int, Field(ge=1)] | None = None  # sentences, evenly spaced
    language: str | None = None  # for model cards, as ISO 639-1 has it
    license: str | None = None  # for model cards, as SPDX has it


@settings
class Prepare:
    """What all corpora become."""

    raw: str  # the folder under which every raw file lies, because that is what DVC watches
    scheme: Literal["iob2", "bioes", "flat"] = "bioes"
    invalid: Literal["error", "repair", "drop"] = "repair"
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1  # share of train that becomes dev
    seed: int = 1


@dataclass(frozen=True)
class Source:
    """One raw file, or one split of a data set of a hub, read."""

    path: str
    format: Format
    why: str  # how the format was found
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True)
class Reading:
    """One corpus as its files have it, and the scheme that its tags follow."""

    name: str
    splits: Mapping[str, tuple[Source, ...]]
    detected: Detected | None  # None where nothing is labelled


def read_corpora(corpora: Mapping[str, Corpus], raw: str) -> list[Reading]:
    """Every corpus, read. Raises InputError for what `files_of`, `read_source` and readers refuse.

    Also where a labelled split has a file without tags, or no corpus or split is named at all.
    """
    if not corpora:
        raise InputError("corpora: expected at least one corpus, found none")
    return [_read_corpus(name, corpus, raw) for name, corpus in corpora.items()]


def files_of(patterns: Patterns, where: str) -> list[Path]:
    """The files that paths and globs name, in order, each once; `where` is the key for messages."""
    listed = [patterns] if isinstance(patterns, str) else patterns
    return list(dict.fromkeys(path for each in listed for path in _matches(each, where)))


def data_files(path: Path) -> list[Path]:
    """The file itself; for a folder the data files below it, sorted: no licences, no read-me."""
    if not path.is_dir():
        return [path]
    below = sorted(each for each in path.rglob("*") if each.suffix.lower() in _DATA_SUFFIXES)
    found = [each for each in below if not each.stem.lower().startswith(_NO_DATA)]
    if not found:
        raise InputError(f"{path}: expected files of {' '.join(_DATA_SUFFIXES)}, found none")
    return found


def read_source(path: str, format: Format | None) -> Source:
    """One file, in the format given or else guessed. Raises InputError if it has no sentence."""
    found, why = (format, "as told") if format is not None else guess(path)
    sentences = tuple(found.read(path))
    if not sentences:
        raise InputError(f"{path}: expected sentences, found none; read as {found}")
    return Source(path, found, why, sentences)


def detected_scheme(
    sources: Iterable[Source], scheme: Scheme | None, outside: str | None
) -> Detected | None:
    """The scheme of all labelled sentences together, where not told; None where none has tags."""
    tags = [s.tags for source in sources for s in source.sentences if s.tags is not None]
    if not tags:
        return None
    if outside is not None:
        tags = [["O" if tag == outside else tag for tag in row] for row in tags]
    found = detect(tags)
    why = found.why if scheme is None else "as told"
    return Detected(scheme or found.scheme, outside or found.outside, why)


def _read_corpus(name: str, corpus: Corpus, raw: str) -> Reading:
    where = f"corpora.{name}"
    if Path(name).name != name:
        raise InputError(f"{where}: expected a name that a folder can have, found {name!r}")
    named = {split: patterns for split in SPLITS if (patterns := getattr(corpus, split))}
    if not named:
        raise InputError(f"{where}: expected one of {', '.join(SPLITS)}, found none")
    splits = {
        split: _read_split(patterns, format, raw, f"{where}.{split}")
        for split, patterns in named.items()
        for format in [corpus.transfer_format if split == "transfer" else corpus.format]
    }
    labelled = [each for split in splits if split != "transfer" for each in splits[split]]
    for source in labelled:
        _refuse_unlabelled(source, where)
    return Reading(name, splits, detected_scheme(labelled, corpus.scheme, corpus.outside))


def _read_split(
    patterns: Patterns, format: Format | None, raw: str, where: str
) -> tuple[Source, ...]:
    if isinstance(format, Hub):
        paths = [patterns] if isinstance(patterns, str) else list(patterns)
    else:
        paths = list(map(str, _inside(files_of(patterns, where), raw, where)))
    return tuple(read_source(path, format) for path in paths)


def _matches(pattern: str, where: str) -> list[Path]:
    """One path, or the files that a glob finds, sorted."""
    path = Path(pattern)
    if path.is_dir():
        raise InputError(f"{where}: expected a file, found the folder {path}; say {path}/*")
    if path.exists():
        return [path]
    if not glob.has_magic(pattern):
        raise InputError(f"{where}: expected the file {path}, found none")
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207 - the pattern may be absolute
    found = sorted(path for path in map(Path, names) if path.is_file())
    if not found:
        raise InputError(f"{where}: expected files that match {pattern}, found none")
    return found


def _inside(paths: Iterable[Path], raw: str, where: str) -> Iterator[Path]:
    """The same paths; InputError for one that DVC would not see change."""
    for path in paths:
        if not _absolute(path).is_relative_to(_absolute(raw)):
            raise InputError(
                f"{where}: expected files in {raw} (prepare.raw), the folder whose changes rerun "
                f"`prepare`; found {path}; move or link it there, or change prepare.raw"
            )
        yield path


def _absolute(path: Path | str) -> Path:
    # Not resolved: DVC follows a link that lies in the folder, wherever it points.
    return Path(os.path.abspath(path))  # noqa: PTH100


def _refuse_unlabelled(source: Source, where: str) -> None:
    for sentence in source.sentences:
        if sentence.tags is None:
            raise InputError(
                f"{sentence.place(0)}: expected a tag for each word, found none; "
                f"say which column in {where}.format, or name the file as {where}.transfer"
            )

"""A survey as tables that a person reads in a terminal."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath

from rich.table import Table
from rich.text import Text

from pipeline.raw.census import Census, Places
from pipeline.raw.survey import File, FileSurvey, Overlap, Survey, Tagging


def corpora_tables(survey: Survey) -> Iterator[Table]:
    """The corpora of `params.yaml`, each and together."""
    files = [
        (f"{corpus.name}/{split}", file)
        for corpus in survey.corpora
        for split, found in corpus.files.items()
        for file in found
    ]
    yield _table("Files", "split", "file", "sentences", "format", rows=map(_file_row, files))
    yield _schemes((corpus.name, corpus.tagging) for corpus in survey.corpora)
    yield from _text_tables(
        {f"{c.name}/{split}": text for c in survey.corpora for split, text in c.splits.items()}
    )
    yield _shared(survey.overlaps)
    yield _table(
        "Labels in no train split",
        *("label", "split", "spans", "first"),
        rows=[(x.label, f"{x.corpus}/{x.split}", x.spans, x.first) for x in survey.unseen],
    )
    yield _table("What prepare does", "corpus", "split", "", rows=_plans(survey))
    yield _table("Teachers", "teacher", "corpora", rows=_teachers(survey))


def file_tables(surveys: Sequence[FileSurvey], shared: Sequence[Overlap]) -> Iterator[Table]:
    """Files, each by itself."""
    rows = (_file_row(("", each.file))[1:] for each in surveys)
    yield _table("Files", "file", "sentences", "format", rows=rows)
    yield _schemes((each.file.path, each.tagging) for each in surveys)
    yield from _text_tables({each.file.path: each.text for each in surveys})
    yield _shared(shared)


def _text_tables(texts: Mapping[str, Census]) -> Iterator[Table]:
    yield _table(
        "Sizes",
        *("", "sentences", "words", "spans", "duplicates", "invalid tags", "longest", "at"),
        rows=[(name, *_sizes(text)) for name, text in texts.items()],
    )
    yield _table(
        "Spans of each label",
        *("", "labels"),
        rows=[(name, _counts(text.labels)) for name, text in texts.items() if text.labels],
    )
    yield _table(
        "Sentences by number of words",
        *("", *next((text.lengths for text in texts.values()), ())),
        rows=[(name, *text.lengths.values()) for name, text in texts.items()],
    )
    yield _table("Invalid tags", "", "kind", "times", "first", rows=_invalid(texts))
    yield _table(
        "Words without a visible character",
        *("", "times", "first"),
        rows=[(n, *_places(t.invisible)) for n, t in texts.items() if t.invisible.count],
    )


def _table(title: str, *columns: str, rows: Iterable[Sequence[object]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    return table


def _cell(value: object) -> Text:
    # Not markup: files and tags may hold brackets.
    return Text(f"{value:,}", justify="right") if isinstance(value, int) else Text(str(value))


def _file_row(named: tuple[str, File]) -> tuple[str, str, int, str]:
    name, file = named
    return name, file.path, file.sentences, f"{file.settings}\n{file.why}"


def _schemes(taggings: Iterable[tuple[str, Tagging | None]]) -> Table:
    rows = [(name, t.scheme, t.outside, t.why) for name, t in taggings if t is not None]
    return _table("Tag schemes", "", "scheme", "outside", "why", rows=rows)


def _sizes(text: Census) -> tuple[object, ...]:
    faults = sum(places.count for places in text.invalid.values())
    spans = sum(text.labels.values()) if text.labelled else "unlabelled"
    longest = (text.longest, PurePath(text.longest_at).name)
    return text.sentences, text.words, spans, text.duplicates, faults, *longest


def _counts(labels: Mapping[str, int]) -> str:
    return ", ".join(f"{label} {count:,}" for label, count in labels.items())


def _invalid(texts: Mapping[str, Census]) -> Iterator[tuple[object, ...]]:
    for name, text in texts.items():
        for kind, places in text.invalid.items():
            yield name, kind, *_places(places)


def _places(places: Places) -> tuple[int, str]:
    return places.count, "\n".join(places.first)


def _shared(found: Iterable[Overlap]) -> Table:
    rows = [(each.second, each.sentences, each.first) for each in found]
    return _table("Sentences that two texts share", "", "sentences", "are also in", rows=rows)


def _plans(survey: Survey) -> Iterator[tuple[object, ...]]:
    for corpus in survey.held_out:
        yield corpus, "dev", "is held out of train"
    for corpus, count in survey.leaks.items():
        if count:
            yield corpus, "transfer", f"loses {count:,} sentences that occur in a dev or test split"
    yield "all", "all", f"get {len(survey.tag_set)} tags: {' '.join(survey.tag_set)}"


def _teachers(survey: Survey) -> Iterator[tuple[str, str]]:
    for teacher in sorted({name for corpus in survey.corpora for name in corpus.teachers}):
        yield teacher, ", ".join(c.name for c in survey.corpora if teacher in c.teachers)

"""From raw sentences to the splits of all corpora: one tag set, a dev split, no leaks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.errors import InputError
from pipeline.raw.holdout import hold_out
from pipeline.raw.rows import Row, Rows, rows_of
from pipeline.raw.sources import Corpus, Prepare, Reading
from pipeline.tags import tag_set

EVALUATED = ("dev", "test")

Splits = Mapping[str, Mapping[str, Rows]]  # corpus → split → rows


@dataclass(frozen=True)
class Unseen:
    """A label that no train split of any corpus has, in one evaluated split."""

    label: str
    corpus: str
    split: str
    spans: int
    first: str  # file:line


@dataclass(frozen=True)
class Joint:
    """All corpora as they will be written, unless `refusals.py` finds a reason not to."""

    raw: Splits  # as read
    splits: Splits  # after policy, held-out dev and leaks
    tag_set: tuple[str, ...]
    held_out: tuple[str, ...]  # corpora whose dev was a part of train
    leaks: Mapping[str, int]  # corpus → transfer sentences that occur in some dev or test
    unseen: tuple[Unseen, ...]


def join(readings: Sequence[Reading], corpora: Mapping[str, Corpus], prepare: Prepare) -> Joint:
    """What `prepare` makes of the corpora that were read."""
    raw = {reading.name: _raw_rows(reading) for reading in readings}
    dropping = {name: _by_policy(splits, prepare.invalid) for name, splits in raw.items()}
    with_dev = {name: _with_dev(name, splits, prepare) for name, splits in dropping.items()}
    evaluated = {row.text for _, _, row in each_row(with_dev, EVALUATED)}
    clean = {name: _without(splits, evaluated) for name, splits in with_dev.items()}
    limits = {name: corpus.max_transfer for name, corpus in corpora.items()}
    labels = {label for _, _, row in each_row(clean, ["train"]) for label in row.labels}
    return Joint(
        raw=raw,
        splits={name: _limited(splits, limits[name]) for name, splits in clean.items()},
        tag_set=tag_set(labels, prepare.scheme),
        held_out=tuple(
            name for name, splits in with_dev.items() if "dev" in {*splits} - {*raw[name]}
        ),
        leaks={
            name: len(splits["transfer"]) - len(clean[name]["transfer"])
            for name, splits in with_dev.items()
            if "transfer" in splits
        },
        unseen=tuple(_unseen(clean, labels)),
    )


def _raw_rows(reading: Reading) -> dict[str, Rows]:
    """The rows of each split; tags in transfer text are not read."""
    return {
        split: list(
            rows_of(
                (sentence for source in sources for sentence in source.sentences),
                None if split == "transfer" else reading.detected,
            )
        )
        for split, sources in reading.splits.items()
    }


def _by_policy(splits: Mapping[str, Rows], invalid: str) -> dict[str, Rows]:
    """Rows are repaired as they are read: what is left to do is to drop those that were wrong."""
    if invalid != "drop":
        return dict(splits)
    return {split: [row for row in rows if not row.faults] for split, rows in splits.items()}


def _with_dev(name: str, splits: Mapping[str, Rows], prepare: Prepare) -> dict[str, Rows]:
    if "dev" in splits or "train" not in splits:
        return dict(splits)
    train, dev = hold_out(splits["train"], prepare.held_out, prepare.seed)
    if not dev or not train:
        raise InputError(
            f"corpora.{name}: expected a dev split, or a train split that can spare a share of "
            f"{prepare.held_out}; found {len(splits['train'])} sentences; name a dev split"
        )
    return {**splits, "train": train, "dev": dev}


def each_row(splits: Splits, named: Iterable[str]) -> Iterator[tuple[str, str, Row]]:
    """Corpus, split and row, for each row of the splits that are named."""
    for corpus, split in ((corpus, split) for corpus in splits for split in named):
        for row in splits[corpus].get(split, ()):
            yield corpus, split, row


def _without(splits: Mapping[str, Rows], texts: set[str]) -> dict[str, Rows]:
    """The same splits; transfer without the sentences that are among the texts."""
    clean = [row for row in splits.get("transfer", ()) if row.text not in texts]
    return {**splits, **({"transfer": clean} if "transfer" in splits else {})}


def _limited(splits: Mapping[str, Rows], limit: int | None) -> dict[str, Rows]:
    """At most `limit` transfer sentences, evenly spaced, so that each file gives its share."""
    rows = splits.get("transfer", ())
    if limit is None or len(rows) <= limit:
        return dict(splits)
    return {**splits, "transfer": [rows[n * len(rows) // limit] for n in range(limit)]}


def _unseen(splits: Splits, labels: set[str]) -> Iterator[Unseen]:
    found: dict[tuple[str, str, str], Unseen] = {}
    for corpus, split, row in each_row(splits, EVALUATED):
        for span in row.spans or ():
            if span.label not in labels:
                key = (span.label, corpus, split)
                unseen = found.get(key) or Unseen(*key, 0, row.place(span.first))
                found[key] = replace(unseen, spans=unseen.spans + 1)
    yield from found.values()

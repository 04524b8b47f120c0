"""An exported student on trial: its tags, from its own files alone, beside PyTorch's and gold."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.corpus import Split
from pipeline.errors import InputError
from pipeline.metrics import Counts, count
from pipeline.predictor import Predictor
from pipeline.shipping.verdicts import Scores, scores
from pipeline.tagger import Tagger


def require_same(folder: Path, student: Tagger, splits: Mapping[str, Split]) -> None:
    """Raise InputError unless both give each sentence of the splits the very same tags.

    It names the first sentence that differs.
    """
    exported = Predictor.load(folder)
    for split in splits.values():
        pairs = zip(exported.tag(split.words), student.tag(split.words), strict=True)
        for number, (found, expected) in enumerate(pairs):
            if found != expected:
                raise InputError(
                    f"{split.path}, sentence {number} ({' '.join(split.words[number])}): expected "
                    f"the exported student to tag as PyTorch does, {' '.join(expected)}; found "
                    f"{' '.join(found)}; nothing was written; install the versions that "
                    "constraints.txt names, and report this if they are"
                )


def tried(folder: Path, dev: Mapping[str, Split], test: Mapping[str, Split]) -> Scores:
    """The scores of an exported student on labelled splits."""
    exported = Predictor.load(folder)
    return scores(_counts(exported, dev), _counts(exported, test))


def _counts(exported: Predictor, splits: Mapping[str, Split]) -> dict[str, Counts]:
    return {
        corpus: count(split.tags or [], exported.tag(split.words), split.scheme)
        for corpus, split in splits.items()
    }

"""A stored tagger's answers on test splits, made into an examination: counts, weights, bytes."""

from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.corpus import Split, read_split
from pipeline.description import read_description, size_of, weights_of
from pipeline.errors import InputError
from pipeline.evaluation import Evaluation, Examined
from pipeline.metrics import Tags, count, f1
from pipeline.running.progress import log
from pipeline.tags import Scheme


def examine(
    tagger: Path, tests: Mapping[str, Path], answer: Callable[[str, Split], Tags]
) -> Examined:
    """What `answer` says about the test split of each corpus, counted against gold.

    Raises InputError where the tagger in that folder knows another tag set or scheme than a split.
    """
    evaluations = {}
    for corpus, path in tests.items():
        split = read_split(path)
        evaluations[corpus] = _evaluation(split, _scheme(tagger, split), answer(corpus, split))
        log(f"{tagger}: {f1(evaluations[corpus].counts):.2f} F1 on {corpus}/test")
    return Examined(weights_of(tagger), size_of(tagger), evaluations)


def _evaluation(split: Split, scheme: Scheme, predicted: Tags) -> Evaluation:
    if split.tags is None:
        raise InputError(f"{split.path}: expected gold tags to test against, found none")
    counts = count(split.tags, predicted, scheme)
    return Evaluation(split.sentence_ids, predicted, counts, scheme)


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

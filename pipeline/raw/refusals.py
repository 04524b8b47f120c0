"""Why corpora that were read cannot be learned from as they are."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from pipeline.errors import InputError
from pipeline.raw.sources import Prepare, Reading
from pipeline.raw.splits import EVALUATED, Joint, Unseen, each_row

_PLACES_SHOWN = 3


def refuse(joint: Joint, readings: Sequence[Reading], prepare: Prepare) -> None:
    """Raise InputError, one line a reason, where the corpora cannot be learned from as they are."""
    reasons = [
        *_schemes_that_differ(readings, prepare),
        *(_invalid(joint) if prepare.invalid == "error" else []),
        *_emptied(joint),
        *map(_unknown_label, joint.unseen),
    ]
    if reasons:
        raise InputError("\n".join(reasons))


def _unknown_label(unseen: Unseen) -> str:
    return (
        f"{unseen.first}: expected labels that some train split has, found {unseen.label} "
        f"({unseen.spans} in {unseen.split} of {unseen.corpus}); correct these tags, or add "
        f"sentences with the label to a train split"
    )


def _schemes_that_differ(readings: Iterable[Reading], prepare: Prepare) -> Iterator[str]:
    """Words that each have a tag of their own become no entities, nor the other way round."""
    for reading in readings:
        found = reading.detected
        if found is not None and (found.scheme == "flat") != (prepare.scheme == "flat"):
            yield (
                f"corpora.{reading.name}: expected tags that become {prepare.scheme} "
                f"(prepare.scheme), found {found.scheme} ({found.why}); change prepare.scheme, "
                f"or say corpora.{reading.name}.scheme"
            )


def _invalid(joint: Joint) -> Iterator[str]:
    places: dict[str, list[str]] = defaultdict(list)
    for _, _, row in each_row(joint.raw, ("train", *EVALUATED)):
        for fault in row.faults:
            places[fault.kind].append(fault.place)
    for kind, found in places.items():
        yield (
            f"{found[0]}: expected valid tags (prepare.invalid is error), found {kind}, "
            f"{len(found)} in all ({', '.join(found[:_PLACES_SHOWN])}); correct them, or set "
            f"prepare.invalid to repair or drop"
        )


def _emptied(joint: Joint) -> Iterator[str]:
    if not any("train" in splits for splits in joint.splits.values()):
        yield "corpora: expected a train split in at least one corpus, found none"
    for corpus, splits in joint.splits.items():
        for split in (split for split, rows in splits.items() if not rows):
            cause = "each occurs in a dev or test split" if split == "transfer" else "none is valid"
            yield (
                f"corpora.{corpus}.{split}: expected sentences, found none to keep of "
                f"{len(joint.raw[corpus][split])}: {cause}"
            )

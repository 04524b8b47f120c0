"""What limbeck wants to reach, and whether it does; and how far it is from the floor."""

from typing import NamedTuple

from adapters.modules import PartialCrf, PytorchCrf
from adapters.ours import Textbook
from floor import PASSES, Rates
from problems import Size

Medians = dict[tuple[str, str], float]
"""Milliseconds by label and operation."""


class Mark(NamedTuple):
    """A ratio to reach, at (64, 64, 17) and at (64, 128, 37).

    `against` is the label of a peer whose time is divided by ours, or an operation of ours by
    whose time this one's is divided.
    """

    operation: str
    against: str
    least: tuple[float, float]
    aim: tuple[float, float] | None


FASTER = (
    Mark("NLL", PytorchCrf.distribution, (18, 18), (29, 39)),
    Mark("marginals", Textbook.label(), (29, 29), (55, 55)),
    # In log space, too, and nearer to what the marks were set by: 0.8 of pytorch-crf's NLL.
    Mark("marginals", PartialCrf.distribution, (29, 29), (55, 55)),
    Mark("viterbi", PytorchCrf.distribution, (44, 44), (105, 105)),
    Mark("k-best 10", Textbook.label(), (145, 145), (235, 420)),
)
SLOWER = (
    Mark("k-best 10", "k-best 1", (2, 2), (1.7, 1.7)),
    Mark("k-best 50", "k-best 1", (9, 4), None),
)


def print_marks(size: Size, medians: Medians, ours: list[str]) -> None:
    """A table of the marks that stand for this size."""
    place = {17: 0, 37: 1}.get(size.tags)
    print("Marks:\n")
    print("| operation | against | at least | aim |", " | ".join(ours), "|")
    print("|---|---|--:|--:|" + "--:|" * len(ours))
    for mark in (*FASTER, *SLOWER):
        cells = [_verdict(mark, place, medians, own) for own in ours]
        sign = "≥" if mark in FASTER else "≤"
        least, aim = (
            f"{sign} {pair[place]:g}" if pair and place is not None else ""
            for pair in (mark.least, mark.aim)
        )
        if any(cells):
            print(
                f"| {mark.operation} | {mark.against} | {least} | {aim} |", " | ".join(cells), "|"
            )


def _verdict(mark: Mark, place: int | None, medians: Medians, own: str) -> str:
    """The ratio, and which marks it reaches."""
    if (own, mark.operation) not in medians:
        return ""
    mine = medians[own, mark.operation]
    if mark in FASTER:
        theirs = [
            time
            for (label, operation), time in medians.items()
            if label.startswith(mark.against)
            and not label.endswith("longest first")
            and operation == mark.operation
        ]
        if not theirs:
            return ""
        ratio = theirs[0] / mine
    else:
        ratio = mine / medians[own, mark.against]
    if place is None:
        return f"{ratio:.3g}"
    goes = (lambda to: ratio >= to) if mark in FASTER else (lambda to: ratio <= to)
    least, aim = goes(mark.least[place]), mark.aim is not None and goes(mark.aim[place])
    return f"{ratio:.3g}, " + ("aim reached" if aim else "reached" if least else "not reached")


def print_floors(
    rates: Rates, words: int, tags: int, medians: Medians, ours: list[str], operations: tuple
) -> None:
    """How many times the floor each of our operations takes."""
    for kind in ("max-adds", "multiply-adds"):
        both = " and ".join(
            f"{rates.best[kind, dtype] / 1e9:.3g} G in {dtype}" for dtype in ("float32", "float64")
        )
        print(f"A plain compiled loop does {both} {kind} a second.")
    print("\n| operation | passes | floor, ms, float32 | float64 |", end=" ")
    print(" | ".join(f"{own}: × float64's" for own in ours), "|")
    print("|---|--:|--:|--:|" + "--:|" * len(ours))
    for operation in operations:
        kind = operation.split()[0]
        low, high = (rates.milliseconds(kind, words, tags, d) for d in ("float32", "float64"))
        cells = (
            f"{medians[own, operation] / high:.2f}" if (own, operation) in medians else ""
            for own in ours
        )
        row = f"| {operation} | {PASSES[kind]} | {low:.3f} | {high:.3f} |"
        print(row, " | ".join(cells), "|")

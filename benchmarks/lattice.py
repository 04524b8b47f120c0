"""Lattice inference on one thread: we, the textbook and every peer that is installed, as ratios.

    make -C benchmarks cpu

For each size and operation all take turns in one process; printed are the median of each one's
repetitions in milliseconds, how many times longer than ours that is, which marks are reached, and
how far ours is from the floor. Before the clock starts, results are compared with float64: a cell
with `±` behind its figure is off by that much (nats, probabilities or scores).
"""

import argparse
import gc
import platform
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import marks
import numba
import references
import torch
from adapters.compiled import Crfsuite, Hmmlearn
from adapters.distributions import Supar, TorchStruct
from adapters.modules import AllenCrf, NbestCrf, NbestCrfMended, PartialCrf, PytorchCrf, TorchCrf
from adapters.ours import Kernels, Limbeck, LimbeckGiven, Textbook, TextbookSorted
from adapters.peer import Operation, Peer
from floor import Rates
from problems import Problem, Size, peaked
from timing import Times, in_turn

SIZES = (Size(64, 64, 17, seed=0), Size(64, 128, 37, seed=51), Size(32, 128, 75, seed=35))
OPERATIONS = ("NLL", "marginals", "viterbi", "k-best 1", "k-best 10", "k-best 50")
OURS: tuple[type[Peer], ...] = (Limbeck, LimbeckGiven, Kernels)
PEERS: tuple[type[Peer], ...] = (
    *OURS, Textbook, TextbookSorted, PytorchCrf, TorchCrf, PartialCrf, NbestCrf, NbestCrfMended,
    AllenCrf, Supar, TorchStruct, Crfsuite, Hmmlearn,
)  # fmt: skip
ABSENT = ("SynJax (not on the package index)", "NCRF++ (not on the package index)")
SLOW = 0.3
"""Seconds: what takes a peer longer at one size or k is not tried at the next."""


class Cell(NamedTuple):
    """What became of one peer's operation: times, or why there are none."""

    times: Times | None
    remark: str = ""


Row = dict[str, Cell]
"""By operation."""

Slow = dict[tuple[str, str], int]
"""By label and operation: the least k from which on it is too slow; 0 without a k."""


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--rounds", type=int, default=50, help="turns of each, at most")
    options.add_argument("--patience", type=float, default=0.7, help="seconds for each, at most")
    options.add_argument("--sizes", type=int, default=len(SIZES), help="how many, smallest first")
    options.add_argument("--wall", action="store_true", help="by the clock on the wall")
    options.add_argument("--random", action="store_true", help="scores of a tagger that is unsure")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (16 * 2**30, -1))
    present = [peer for peer in PEERS if peer.is_here()]
    rates, slow = Rates(), {}
    print(_machine(), end="\n\n")
    print("Absent:", ", ".join([*ABSENT, *(p.distribution for p in PEERS if p not in present)]))
    for size in SIZES[: chosen.sizes]:
        problem = peaked(size, (0.0, 0.0)) if chosen.random else peaked(size)
        table = _measured(problem, present, chosen, slow, rates)
        _print(size, problem, table, rates)


def _measured(
    problem: Problem, peers: list[type[Peer]], chosen: argparse.Namespace, slow: Slow, rates: Rates
) -> dict[str, Row]:
    """Rows by label of the peer."""
    table: dict[str, Row] = {peer.label(): {} for peer in peers}
    made = {peer.label(): peer(problem) for peer in peers}
    clock = time.perf_counter if chosen.wall else time.process_time
    for operation in OPERATIONS:
        things = {}
        name, k = _parts(operation)
        for label, peer in made.items():
            method = getattr(peer, name.lower().replace("-", "_"), None)
            if method is None:
                continue
            if slow.get((label, name), k + 1) <= k:
                table[label][operation] = Cell(None, "too slow")
                continue
            todo = method(k) if k else method()
            remark, seconds = _checked(peer, operation, todo)
            if seconds > SLOW and not isinstance(peer, Textbook):
                print(f"{operation}: {label}, {seconds:.1f} s", file=sys.stderr)
                slow[label, name] = min(k, slow.get((label, name), k))
            table[label][operation] = Cell(None, remark)
            if remark not in ("fails", "wrong"):
                things[label] = todo.run
        print(f"{operation}: {len(things)} to time", file=sys.stderr)
        for label, times in in_turn(things, chosen.rounds, chosen.patience, clock).items():
            table[label][operation] = Cell(times, table[label][operation].remark)
        for _ in range(10):
            rates.turn()
    return table


def _parts(operation: str) -> tuple[str, int]:
    """Its name and its k, or 0."""
    name, *k = operation.split()
    return name, int(k[0]) if k else 0


def _checked(peer: Peer, operation: str, todo: Operation) -> tuple[str, float]:
    """How far off its result is, if more than 1e-4, and how long it took."""
    gc.collect()
    try:
        seconds = float("inf")
        for _ in range(2):  # the first may compile
            begun = time.process_time()
            found = todo.run()
            seconds = min(seconds, time.process_time() - begun)
        error = references.error(peer, operation, todo.read(found))
    except (RuntimeError, MemoryError):
        return "fails", 0.0
    if error == float("inf"):
        return "wrong", 0.0
    return (f" ±{error:.0e}" if error > 1e-4 else ""), seconds


def _print(size: Size, problem: Problem, table: dict[str, Row], rates: Rates) -> None:
    """Milliseconds, ratios, marks, floors."""
    words = int(problem.lattice.mask.sum())
    print(f"\n### {size}, {words:,} words\n\nMilliseconds, medians:\n")
    _print_table({label: _milliseconds(row) for label, row in table.items()})
    ours = table[Limbeck.label()]
    print("\nTimes as long as limbeck (medians; in brackets: 20th percentiles):\n")
    rest = {label: row for label, row in table.items() if label != Limbeck.label()}
    _print_table({label: _ratios(row, ours) for label, row in rest.items()})
    print()
    own = [peer.label() for peer in OURS if peer.label() in table]
    marks.print_marks(size, _medians(table), own)
    print()
    marks.print_floors(rates, words, size.tags, _medians(table), own, OPERATIONS)


def _medians(table: dict[str, Row]) -> dict[tuple[str, str], float]:
    """Milliseconds by label and operation."""
    return {
        (label, operation): cell.times.median
        for label, row in table.items()
        for operation, cell in row.items()
        if cell.times
    }


def _milliseconds(row: Row) -> dict[str, str]:
    return {
        name: f"{cell.times.median:.3g}{cell.remark}" if cell.times else cell.remark
        for name, cell in row.items()
    }


def _ratios(row: Row, ours: Row) -> dict[str, str]:
    cells = {}
    for name, (times, _) in row.items():
        own = ours[name].times if name in ours else None
        if times and own:
            cells[name] = f"{times.median / own.median:.3g} ({times.low / own.low:.3g})"
    return cells


def _print_table(rows: dict[str, dict[str, str]]) -> None:
    print("|  |", " | ".join(OPERATIONS), "|")
    print("|---|" + "--:|" * len(OPERATIONS))
    for label, cells in rows.items():
        if cells:
            print(f"| {label} |", " | ".join(cells.get(name, "") for name in OPERATIONS), "|")


def _machine() -> str:
    """What was measured on."""
    path = Path("/proc/cpuinfo")
    names = path.read_text().splitlines() if path.exists() else []
    model = next((line.split(":")[1].strip() for line in names if "model name" in line), "")
    versions = f"torch {torch.__version__}, numba {numba.__version__}"
    return f"{platform.machine()}, {model}; Python {platform.python_version()}, {versions}"


if __name__ == "__main__":
    main()

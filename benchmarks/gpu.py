"""Lattice inference on a GPU: we and peers on the same lattices, and the memory's bandwidth.

    make -C benchmarks gpu

For each size and operation all take turns, timed by events of the GPU, which wait for it each time;
printed are medians in milliseconds and how many times longer than ours that is. Before the clock
starts, results are compared with float64: a cell with `±` behind its figure is off by that much.
Then `scoring.py` measures a teacher of BERT-base's size, scoring and extraction.

`--interpret` tries this script on toy sizes where there is no GPU; its figures mean nothing.
"""

import argparse
import gc
import importlib.util
import os
import random
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

INTERPRET = "--interpret" in sys.argv
if INTERPRET:
    # Triton reads it when it is imported, which torch may do.
    os.environ["TRITON_INTERPRET"] = "1"

import references  # noqa: E402
import torch  # noqa: E402
from adapters.distributions import TorchStruct  # noqa: E402
from adapters.on_gpu import Crf, Plain, Programs  # noqa: E402
from adapters.ours import Limbeck, LimbeckGiven  # noqa: E402
from adapters.peer import Operation, Peer  # noqa: E402
from problems import Problem, Size, peaked  # noqa: E402
from torch import Tensor  # noqa: E402

from pipeline.kernels import gpu  # noqa: E402

DEVICE = torch.device("cpu" if INTERPRET else "cuda")
SIZES = (Size(64, 64, 17, seed=0), Size(64, 128, 37, seed=51), Size(512, 64, 17, seed=0))
TOYS = (Size(3, 6, 5, seed=0),)
FULL = Size(16_384, 64, 17, seed=0)
"""Enough sentences to keep every multiprocessor busy."""
OPERATIONS = ("NLL", "marginals", "viterbi", "k-best 10")


OURS: tuple[type[Peer], ...] = (Limbeck, LimbeckGiven, Programs, Plain)
THEIRS: tuple[type[Peer], ...] = (Crf, TorchStruct)


def main() -> None:
    """Measure and print; exit status 2 where something is missing."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--rounds", type=int, default=50, help="turns of each, at most")
    options.add_argument("--patience", type=float, default=5.0, help="seconds for each, at most")
    options.add_argument("--interpret", action="store_true", help="try this script without a GPU")
    chosen = options.parse_args()
    missing = _missing()
    if missing:
        print(f"gpu.py: {missing}", file=sys.stderr)
        sys.exit(2)
    warnings.simplefilter("ignore")
    peers = (*([Programs, Plain] if INTERPRET else OURS), *THEIRS)
    print("interpreted" if INTERPRET else _machine())
    for size in TOYS if INTERPRET else SIZES:
        _compare(size, peers, chosen)
    _measure_bandwidth(TOYS if INTERPRET else (*SIZES, FULL), chosen)
    sys.stdout.flush()
    toy = ["--sentences=20", "--rounds=1"] if INTERPRET else []
    command = [sys.executable, Path(__file__).with_name("scoring.py"), *toy]
    sys.exit(subprocess.run(command, check=False).returncode)


def _missing() -> str:
    """What to do about what is not here."""
    if importlib.util.find_spec("triton") is None:
        return "expected Triton, found none: pip install triton"
    absent = [peer.distribution for peer in THEIRS if not peer.is_here()]
    if absent:
        names = " ".join(absent)
        return f"expected peers, found no {names}: pip install --no-deps {names}"
    if not INTERPRET and not gpu.available():
        return (
            "expected a GPU of compute capability 8.0 or more that CUDA sees, found none: run it "
            "where there is one; --interpret tries the script without"
        )
    return ""


def _machine() -> str:
    import triton

    card = torch.cuda.get_device_properties(DEVICE)
    return f"{card.name}, torch {torch.__version__}, triton {triton.__version__}"


def _compare(size: Size, peers: tuple[type[Peer], ...], chosen: argparse.Namespace) -> None:
    """A table of milliseconds, and one of ratios to the first row."""
    here = peaked(size)
    there = Problem(here.lattice.to(DEVICE), here.gold.to(DEVICE))
    truth, made = Peer(here), {peer.label(): peer(there) for peer in peers}
    medians: dict[str, dict[str, float]] = {label: {} for label in made}
    remarks: dict[tuple[str, str], str] = {}
    for operation in OPERATIONS:
        things = {}
        for label, peer in made.items():
            todo = _todo(peer, operation)
            remark = "not offered" if todo is None else _checked(truth, operation, todo)
            remarks[label, operation] = remark
            if todo is not None and remark not in ("wrong", "out of memory"):
                things[label] = todo.run
        for label, time in _in_turn(things, chosen.rounds, chosen.patience).items():
            medians[label][operation] = time
    print(f"\n### {size}, {int(here.lattice.mask.sum()):,} words\n\nMilliseconds, medians:\n")
    first = medians[next(iter(made))]

    def cell(label: str, operation: str) -> str:
        time, remark = medians[label].get(operation), remarks[label, operation]
        return remark if time is None else f"{time:.3g}{remark}"

    _print_table(list(made), cell)
    print(f"\nTimes as long as {next(iter(made))}:\n")

    def ratio(label: str, operation: str) -> str:
        both = operation in medians[label] and operation in first
        return f"{medians[label][operation] / first[operation]:.3g}" if both else ""

    _print_table(list(made)[1:], ratio)


def _todo(peer: Peer, operation: str) -> Operation | None:
    """None where a peer has no such thing."""
    name, *k = operation.lower().replace("-", "_").split()
    method = getattr(peer, name, None)
    return None if method is None else method(*map(int, k))


def _checked(truth: Peer, operation: str, todo: Operation) -> str:
    """How far off its result is, if more than 1e-4."""
    try:
        todo.run()
        found = todo.read(todo.run())
    except torch.cuda.OutOfMemoryError:
        torch.cuda.empty_cache()
        return "out of memory"
    if isinstance(found, tuple):
        found = tuple(x.detach().cpu() for x in found)
    error = references.error(truth, operation, found.cpu() if isinstance(found, Tensor) else found)
    if error == float("inf"):
        return "wrong"
    return f" ±{error:.0e}" if error > 1e-4 else ""


def _in_turn(things: dict[str, Callable[[], Any]], rounds: int, patience: float) -> dict:
    """Medians in milliseconds, in another order each round; what is slow drops out."""
    taken: dict[str, list[float]] = {name: [] for name in things}
    order, chance = list(things), random.Random(0)
    gc.collect()
    gc.disable()
    for number in range(rounds):
        chance.shuffle(order)
        for name in order:
            if number < 3 or sum(taken[name]) < 1e3 * patience:
                taken[name].append(_milliseconds(things[name]))
    gc.enable()
    return {name: median(times) for name, times in taken.items()}


def _milliseconds(thing: Callable[[], Any]) -> float:
    """From an idle GPU to its last result, what the CPU does in between included."""
    if INTERPRET:
        thing()
        return 1.0
    begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begun.record()
    thing()
    ended.record()
    ended.synchronize()
    return begun.elapsed_time(ended)


def _print_table(labels: list[str], cell: Callable[[str, str], str]) -> None:
    print("|  |", " | ".join(OPERATIONS), "|\n|---|" + "--:|" * len(OPERATIONS))
    for label in labels:
        print(f"| {label} |", " | ".join(cell(label, name) for name in OPERATIONS), "|")


def _measure_bandwidth(sizes: tuple[Size, ...], chosen: argparse.Namespace) -> None:
    """Bytes that the programs must read and write once, beside a plain copy."""
    block = torch.empty(2**10 if INTERPRET else 2**30, dtype=torch.float32, device=DEVICE)
    other = torch.empty_like(block)
    times = _in_turn({"copy": lambda: other.copy_(block)}, chosen.rounds, chosen.patience)
    peak = 2 * block.nbytes / times["copy"]
    print(f"\nA copy reads and writes {peak / 1e6:,.0f} GB a second.\n")
    print("| size | program | MB | ms | GB a second | of a copy |\n|---|---|--:|--:|--:|--:|")
    for size in sizes:
        of = peaked(size).lattice.to(DEVICE)
        scores = (of.emissions, of.transitions, of.start, of.end, of.lengths)
        words = int(of.mask.sum())
        # Emissions in float32; four tables in float64, or a path.
        programs = {
            "sums": (lambda scores=scores: gpu.run(*scores), words * size.tags * (4 + 4 * 8)),
            "best path": (lambda scores=scores: gpu.viterbi(*scores), words * (4 * size.tags + 8)),
        }
        runs = {name: run for name, (run, _) in programs.items()}
        for name, time in _in_turn(runs, chosen.rounds, chosen.patience).items():
            moved = programs[name][1]
            row = (
                f"| {size} | {name} | {moved / 1e6:.3g} | {time:.3g} | {moved / time / 1e6:,.3g} |"
            )
            print(row, f"{moved / time / peak:.1%} |")


if __name__ == "__main__":
    main()

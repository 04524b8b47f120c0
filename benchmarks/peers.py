"""Which peers return correct k-best lists, judged by listing every path of small lattices.

    make -C benchmarks peers

Prints a table: one row a peer, one column a kind of lattice. A list is right if it holds
min(k, number of allowed paths) distinct allowed paths whose scores are the best ones in order;
among equal scores any choice counts. Every peer works in a process of its own, so that one that
crashes takes nobody along.
"""

import argparse
import itertools
import math
import warnings
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import NamedTuple

import torch
from adapters.compiled import CrfPlusPlus, Crfsuite, Hmmlearn
from adapters.distributions import Supar, TorchStruct
from adapters.modules import AllenCrf, NbestCrf, NbestCrfMended, PartialCrf, PytorchCrf, TorchCrf
from adapters.ours import Limbeck, Textbook
from adapters.peer import Peer
from problems import Problem
from torch import Tensor

from pipeline.lattice import Lattice

PEERS: tuple[type[Peer], ...] = (
    Limbeck, Textbook, TorchStruct, Supar, AllenCrf, NbestCrf, NbestCrfMended, CrfPlusPlus,
    PytorchCrf, TorchCrf, PartialCrf, Crfsuite, Hmmlearn,
)  # fmt: skip
ABSENT = {
    "SynJax": "not on the package index",
    "NCRF++": "not on the package index",
    "AllenNLP": "asks for torch < 1.13, which is not built for Python 3.11; allencrf is its CRF",
}


class Case(NamedTuple):
    """A kind of lattice; `spread` is the standard deviation of its scores."""

    lengths: tuple[int, ...] = (5, 5, 5, 5)
    tags: int = 4
    k: int = 4
    spread: float = 1.0
    step: float = 0.0
    forbidden: float = 0.0
    as_score: float = -math.inf
    transposed: bool = False


CASES = {
    "equal lengths": Case(),
    "ragged": Case(lengths=(2, 5, 3, 4)),
    "one word": Case(lengths=(1, 4, 1, 2), k=3),
    "k > tags": Case(lengths=(3, 5, 4, 5), tags=3, k=9),
    "k > paths": Case(lengths=(2, 3, 2, 2), tags=3, k=12),
    "ties": Case(step=1.0),
    "forbidden: -inf": Case(forbidden=0.3),
    "forbidden: -1e4": Case(forbidden=0.3, as_score=-1e4),
    "forbidden, k > paths": Case(lengths=(3, 3, 3, 3), tags=3, k=20, forbidden=0.3),
    "transposed": Case(transposed=True),
    "scores of 1e4": Case(spread=1e4),
}


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--lattices", type=int, default=25, help="how many of each kind")
    count = options.parse_args().lattices
    print(f"{count} lattices of four sentences in each column; float32.")
    print("In brackets: the share of sentences without a right list.\n")
    print("| k-best |", " | ".join(CASES), "|")
    print("|---|" + "---|" * len(CASES))
    present = [peer for peer in PEERS if peer.is_here()]
    for peer in present:
        cells = [_in_a_process(peer, case, count) for case in CASES]
        if set(cells) == {"not offered"}:
            cells = ["not offered"] + ["" for _ in cells[1:]]
        print(f"| {peer.label()} |", " | ".join(cells), "|", flush=True)
    print()
    absent = {peer.distribution: "not installed" for peer in PEERS if peer not in present}
    for name, reason in (ABSENT | absent).items():
        print(f"{name}: {reason}.")


def _in_a_process(peer: type[Peer], case: str, count: int) -> str:
    """What the peer makes of a case, if only a crash."""
    if not hasattr(peer, "k_best"):
        return "not offered"
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(judge, peer, CASES[case], count).result()
        except BrokenProcessPool:
            return "crash"


def judge(peer: type[Peer], case: Case, count: int) -> str:
    """ok, or the commonest fault and the share of sentences that have any."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    faults: list[str] = []
    for seed in range(count):
        problem = make(case, seed)
        try:
            k_best = peer(problem).k_best(case.k)  # pyright: ignore[reportAttributeAccessIssue]
            lists = k_best.read(k_best.run())
        except Exception:
            faults += ["crash"] * len(case.lengths)
            continue
        faults += [fault(problem.lattice, n, case.k, some) for n, some in enumerate(lists)]
    wrong = [each for each in faults if each != "ok"]
    if not wrong:
        return "ok"
    return f"{max(set(wrong), key=wrong.count)} ({len(wrong) / len(faults):.0%})"


def make(case: Case, seed: int) -> Problem:
    """A lattice of this kind; tag 0 is allowed everywhere."""
    random = torch.Generator().manual_seed(seed)
    batch, words, tags = len(case.lengths), max(case.lengths), case.tags
    shapes = ((words, batch, tags), (tags, tags), (tags,), (tags,))
    scores = [case.spread * torch.randn(shape, generator=random) for shape in shapes]
    if case.step:
        scores = [(x / case.step).round() * case.step for x in scores]
    barred = torch.rand(tags, tags, generator=random) < case.forbidden
    barred[0, :] = barred[:, 0] = False
    scores[1] = scores[1].masked_fill(barred, case.as_score)
    emissions = scores[0].transpose(0, 1)
    transitions = scores[1].T if case.transposed else scores[1]
    if not case.transposed:
        emissions = emissions.contiguous()
    mask = torch.arange(words) < torch.tensor(case.lengths)[:, None]
    lattice = Lattice(emissions, transitions, scores[2], scores[3], mask)
    return Problem(lattice, torch.zeros(batch, words, dtype=torch.int64))


def fault(of: Lattice, sentence: int, k: int, found: list[list[int]]) -> str:
    """What is wrong with a list of paths, or ok."""
    every = scores(of, sentence)
    if any(tuple(path) not in every for path in found):
        return "forbidden paths"
    if len(set(map(tuple, found))) < len(found):
        return "duplicates"
    right = sorted(every.values(), reverse=True)[:k]
    if len(found) != len(right):
        return f"{len(found)} of {len(right)} paths"
    slack = 1e-5 * max(map(abs, right))
    close = (
        abs(every[tuple(path)] - best) <= slack for path, best in zip(found, right, strict=True)
    )
    return "ok" if all(close) else "wrong"


def scores(of: Lattice, sentence: int) -> dict[tuple[int, ...], float]:
    """Every allowed path of a sentence and its score; -1e4 means forbidden, too."""

    def numbers(x: Tensor) -> list:
        return x.double().tolist()

    words = numbers(of.emissions[sentence])[: int(of.mask[sentence].sum())]
    transitions, start, end = map(numbers, (of.transitions, of.start, of.end))
    found = {}
    for path in itertools.product(range(len(start)), repeat=len(words)):
        steps = [transitions[a][b] for a, b in itertools.pairwise(path)]
        parts = [start[path[0]], end[path[-1]], *steps]
        parts += [word[tag] for word, tag in zip(words, path, strict=True)]
        if -math.inf not in parts:
            found[path] = math.fsum(parts)
    return found


if __name__ == "__main__":
    main()

"""From emissions to targets: exact k best paths and marginals, part by part, in bounded memory."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from pipeline.batching import in_order
from pipeline.config import settings
from pipeline.decoding import k_best, viterbi
from pipeline.lattice import Lattice, log_marginals, log_partition
from pipeline.targets import Emissions, TargetRows, padded
from pipeline.transitions import Transitions

BATCH_WORDS = 16_384
"""Padded words a batch: bounds memory at k · tags · words numbers; results do not depend on it."""


@settings
class Extract:
    """Section `extract`."""

    k: Annotated[int, Field(ge=1, le=1000)] = 10
    """How many best paths are kept."""


@torch.inference_mode()
def extract(rows: Emissions, transitions: Transitions, k: int) -> TargetRows:
    """Targets of one part of emissions, in its order.

    Inference runs in float64: confident teachers are where float32 loses the third decimal.
    """
    words = int(rows.offsets[-1])
    paths: list[np.ndarray] = [np.zeros(0)] * len(rows)
    path_log_probs: list[np.ndarray] = [np.zeros(0)] * len(rows)
    partition = np.empty(len(rows))
    marginals = np.empty((words, rows.scores.shape[1]))
    for batch, lattice in _lattices(rows, transitions):
        best = k_best(lattice, k)
        found = (best.paths.numpy(), best.log_probs.numpy())
        believed = log_marginals(lattice).numpy()
        partition[batch] = log_partition(lattice).numpy()
        for place, index in enumerate(batch):
            first, end = rows.offsets[index], rows.offsets[index + 1]
            exists = np.isfinite(found[1][place])
            paths[index] = found[0][place, exists, : end - first]
            path_log_probs[index] = found[1][place, exists]
            marginals[first:end] = believed[place, : end - first]
    return TargetRows(rows.sentence_ids, rows.offsets, paths, path_log_probs, partition, marginals)


@torch.inference_mode()
def best_paths(rows: Emissions, transitions: Transitions) -> list[np.ndarray]:
    """The best path [words] of each sentence of one part of emissions, in its order."""
    lengths = np.diff(rows.offsets)
    paths: list[np.ndarray] = [np.zeros(0)] * len(rows)
    for batch, lattice in _lattices(rows, transitions):
        for index, path in zip(batch, viterbi(lattice).numpy(), strict=True):
            paths[index] = path[: lengths[index]]
    return paths


def _lattices(rows: Emissions, transitions: Transitions) -> Iterator[tuple[list[int], Lattice]]:
    """Batches of sentence numbers and their lattices, in float64."""
    exact = transitions.double()
    lengths = np.diff(rows.offsets)
    for batch in in_order(lengths.tolist(), BATCH_WORDS):
        emissions = torch.from_numpy(padded(rows.scores, rows.offsets, batch)).double()
        yield batch, exact.lattice(emissions, torch.from_numpy(lengths[batch]))

"""From emissions to targets: exact k best paths and marginals of many sentences at once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from pipeline.config import settings
from pipeline.emissions import Emissions, read_emissions_part
from pipeline.kernels import log_space, paths, sums
from pipeline.parts import groups_of
from pipeline.running.artifacts import writing
from pipeline.targets import TargetRows, write_targets
from pipeline.transitions import Transitions


@settings
class Extract:
    """Section `extract`."""

    k: Annotated[int, Field(ge=1, le=1000)] = 10
    """How many best paths are kept."""
    keep_above: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Smaller marginals are dropped, except the largest of a word; 0: all are kept."""


def extract(rows: Emissions, transitions: Transitions, k: int) -> TargetRows:
    """Targets of the sentences of `rows`, in their order.

    Sums are in float64: confident teachers are where float32 loses the third decimal.
    """
    log_partition, log_marginals = _sums(rows, transitions)
    best = _best(rows, transitions, k)
    exists = best.regrets < np.inf
    with np.errstate(invalid="ignore"):  # -inf less -inf, where there is no path
        log_probs = (best.best - log_partition)[:, None] - best.regrets
    return TargetRows(
        rows.sentence_ids,
        rows.offsets,
        exists.sum(axis=1),
        best.tags[np.repeat(exists.ravel(), np.repeat(np.diff(rows.offsets), k))],
        log_probs[exists],
        log_partition,
        log_marginals,
    )


def extract_part(
    settings: Extract, transitions: Transitions, tags: Sequence[str], part: Path, out: Path
) -> None:
    """Write the targets of one part, a row group at a time, unless a killed run has done so."""
    if out.exists():
        return
    groups = (
        extract(rows[some], transitions, settings.k)
        for rows in read_emissions_part(part)
        for some in groups_of(rows.offsets, max(len(tags), settings.k))
    )
    with writing(out) as temporary:
        write_targets(temporary, groups, tags, settings.k, settings.keep_above)


def best_paths(rows: Emissions, transitions: Transitions) -> list[np.ndarray]:
    """The best path [words] of each sentence, in their order."""
    return np.split(_best(rows, transitions, 1).tags, rows.offsets[1:-1])


def log_marginals(rows: Emissions, transitions: Transitions) -> np.ndarray:
    """log p(tag n = t) of every word [words, tags], float32."""
    return _sums(rows, transitions)[1]


def _best(rows: Emissions, transitions: Transitions, k: int) -> paths.Paths:
    first, lengths = rows.offsets[:-1], np.diff(rows.offsets)
    return paths.k_best(rows.scores, first, lengths, *_scores(transitions), k)


def _sums(rows: Emissions, transitions: Transitions) -> tuple[np.ndarray, np.ndarray]:
    """log Z [sentences] and log p(tag n = t) [words, tags]; in log space where scaling fails."""
    first, lengths = rows.offsets[:-1], np.diff(rows.offsets)
    found, _ = sums.run(rows.scores, first, lengths, *_scores(transitions), logs=True)
    for sentence in np.flatnonzero(~found.exact):
        words = slice(rows.offsets[sentence], rows.offsets[sentence + 1])
        found.log_partition[sentence], found.log_marginals[words] = _in_log_space(
            rows.scores[words], transitions
        )
    return found.log_partition, found.log_marginals


def _in_log_space(emissions: np.ndarray, transitions: Transitions) -> tuple[float, np.ndarray]:
    """The same of one sentence, whatever its scores."""
    words = torch.tensor(emissions, dtype=torch.float64)[None]
    between, start, end = map(torch.from_numpy, _scores(transitions))
    found = log_space.run(words, between, start, end, torch.tensor([len(emissions)]))
    return log_space.log_partition(found).item(), log_space.log_marginals(found)[0].numpy()


def _scores(transitions: Transitions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transitions [from, to], start and end [tags] in float64."""
    between, start, end = (score.detach().double().numpy() for score in transitions.scores())
    return between, start, end

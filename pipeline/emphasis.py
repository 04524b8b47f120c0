"""Words weighed by their saliency: where a teacher looks at the word itself, it counts for more."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from pipeline.config import settings
from pipeline.emissions import Emissions
from pipeline.losses.supervision import Share


@settings
class Emphasis:
    """weight_n = (1 - share) + share · s_n / mean of s over the sentence, s_n a word's saliency.

    The mean weight of a sentence is 1, so that it counts as much as ever, and so does one without
    any saliency. Reconstruction: that MSD (Jin et al. 2021) weighs by saliency is in its abstract;
    normalising within a sentence, and the share: ours.
    """

    share: Share = 1.0
    """How much of a weight is saliency; the rest is the same for all words."""

    def weighed(self, groups: Iterable[Emissions]) -> Iterator[Emissions]:
        """The same, each word's saliency replaced by its weight."""
        for rows in groups:
            lengths = np.diff(rows.offsets)
            said = np.zeros(0) if rows.saliency is None else rows.saliency.astype(np.float64)
            which = np.repeat(np.arange(len(lengths)), lengths)
            means = np.bincount(which, weights=said, minlength=len(lengths)) / lengths
            flat = means == 0
            relative = np.where(flat[which], 1.0, said / np.where(flat, 1.0, means)[which])
            weights = (1 - self.share) + self.share * relative
            yield replace(rows, saliency=weights.astype(np.float32))

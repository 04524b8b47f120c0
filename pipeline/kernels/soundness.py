"""Whether a padded batch is sound: words first, then padding, and numbers at words. Compiled."""

import numpy as np
from jaxtyping import Bool, Float, Int
from numba import njit


def lengths_if_sound(
    mask: Bool[np.ndarray, "batch words"], emissions: Float[np.ndarray, "batch words tags"]
) -> Int[np.ndarray, " batch"] | None:
    """How many words each sentence has; None where a sentence has none or a gap, or some emission
    is NaN or +inf, be it at padding: who asks may then look more closely."""
    lengths = np.empty(len(mask), dtype=np.int64)
    return lengths if _sound(mask, emissions, lengths) else None


@njit(cache=True, nogil=True, fastmath={"reassoc", "nsz"}, _nrt=False)  # pyright: ignore[reportCallIssue]
def _sound(mask, emissions, lengths):
    batch, words, tags = emissions.shape
    sound, total = True, emissions.dtype.type(0)
    for sentence in range(batch):
        length, packed = 0, 0
        for n in range(words):
            length += mask[sentence, n]
        for n in range(length):
            packed += mask[sentence, n]
        lengths[sentence] = length
        sound &= 0 < length == packed
    flat = emissions.reshape(batch * words * tags)
    for place in range(len(flat)):
        total += flat[place]  # NaN and +inf survive a sum, in any order
    return sound and total < np.inf

"""Rows that lie one after the other in a file, gathered into a padded batch; compiled."""

from typing import no_type_check

from numba import njit


@no_type_check
@njit(cache=True, nogil=True)
def gather(values, starts, rows, lengths, batch) -> None:
    """batch[i, r, :lengths[i]] = values[starts[i] + r · lengths[i] …] for r < rows[i].

    `values` [places]; `starts`, `rows`, `lengths` [sentences] int64; `batch` [sentences, most rows,
    most values]. What is not written stays as it was: padding.
    """
    for i in range(len(starts)):
        place = starts[i]
        for r in range(rows[i]):
            for n in range(lengths[i]):
                batch[i, r, n] = values[place + n]
            place += lengths[i]

"""The best paths of a chain on a CPU, exactly: one, or k of them, compiled, a sentence at a time.

Sentences lie in `rows` as in sums.py. The forward pass keeps the score of the best beginning up to
each (word, tag) and no pointers; the best path is read off backwards. Every other path takes an
accepted one, leaves it at one word for another tag, and begins as well as that tag can: its regret
is known from the forward scores, and a sorted list of the k smallest is all that is kept. The best
beginning of each (word, tag) that is met is looked up once, with the smallest regret of leaving it
anywhere, so that whole beginnings are skipped where nothing on them can enter the list.

Each path arises once, so paths are distinct, and where fewer than k exist the list ends. Ties go to
the lower tag, compared from the last word to the first for one path; among the k, to the path that
differs from the best in its last tag, then to that which leaves the better one, then to the earlier
word and the lower tag. (Family: Huang & Chiang 2005, algorithm 3; Lawler 1972.)
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numba import njit

from pipeline.kernels.entries import plus
from pipeline.kernels.matrices import max_plus
from pipeline.kernels.threads import over_sentences
from pipeline.kernels.vectors import allocating, lowest_bit, plain, two_best, within

BUILT_FROM = "57f83dcd"
"""Of what this imports: numba keeps what it compiled until this file changes, so this must."""


class Paths(NamedTuple):
    """Paths of sentences, best first, and how far from the best they are.

    Packed, path r of a sentence of `length` words behind `words` words of others is
    tags[k · words + r · length :][: length]; padded to a width, path r of sentence s is
    tags[(k · s + r) · width :][: length]. `regrets` are how far scores lie under that of the best
    path, inf where there is no path; `best` is that path's score, -inf where all are forbidden.
    """

    tags: Int[np.ndarray, " places"]
    regrets: Float[np.ndarray, "sentences k"]
    best: Float[np.ndarray, " sentences"]


def k_best(
    rows: Float[np.ndarray, "rows tags"],
    first: Int[np.ndarray, " sentences"],
    lengths: Int[np.ndarray, " sentences"],
    transitions: Float[np.ndarray, "tags tags"],
    start: Float[np.ndarray, " tags"],
    end: Float[np.ndarray, " tags"],
    k: int,
    *,
    padded: int = 0,
    threads: int = 1,
) -> Paths:
    """The k best paths of every sentence, `padded` to a width or else packed.

    Tags at padding and where there is no path are 0.
    """
    words = padded * len(first) if padded else int(lengths.sum())
    found = Paths(
        np.zeros(k * words, dtype=np.int16),
        np.full((len(first), k), np.inf),
        np.empty(len(first)),
    )
    over_sentences(
        _k_best, lengths, rows.shape[1] ** 2, threads,
        rows, first, lengths.cumsum() - lengths, padded, transitions, start, end, k, *found,
    )  # fmt: skip
    return found


@allocating
def _k_best(
    begin, stop, lengths, rows, first, packed, padded, transitions, start, end, k,
    tags, regrets, best,
):  # fmt: skip
    size, width = len(start), (len(start) + 7) // 8 * 8
    forward = np.full((size + size % 2, width), -np.inf)
    backward = np.full((size, width), -np.inf)
    forward[:size, :size] = transitions
    backward[:size, :size] = transitions.T
    longest = lengths[begin:stop].max() if stop > begin else 0
    arrived, begun = np.full((longest, width), -np.inf), np.full((longest, width), -np.inf)
    # Of the best beginning up to each (word, tag): for which sentence it was looked up, its tag
    # before, what the next best tag there costs, and what leaving it anywhere costs at least.
    met = np.full((longest, size), -1, np.int32)
    before = np.empty((longest, size), np.int16)
    here, anywhere = np.empty((longest, size)), np.empty((longest, size))
    # Accepted paths, then those in wait: by regret, and among equals by departure. That is (rank,
    # word, tag) in one number: as the accepted path of that rank, counted from 1, but `tag` at
    # `word`. Rank 0 stands for what ends in another tag than the best path does.
    waiting, departures = np.empty(k), np.empty(k, np.int64)
    costs = np.empty(longest)
    _fill(
        begin, stop, lengths, rows, first, packed, padded, start, end, forward, backward,
        arrived, begun, met, before, here, anywhere, waiting, departures, costs,
        tags, regrets, best,
    )  # fmt: skip


@plain
def _fill(
    begin, stop, lengths, rows, first, packed, padded, start, end, forward, backward,
    arrived, begun, met, before, here, anywhere, waiting, departures, costs,
    tags, regrets, best,
):  # fmt: skip
    """The paths of every sentence."""
    size, k = len(start), len(waiting)
    for sentence in range(begin, stop):
        length = lengths[sentence]
        last = length - 1
        _begin(rows, first[sentence], length, start, forward, arrived, begun)
        top, chosen = -np.inf, 0
        for tag in range(size):
            if begun[last, tag] + end[tag] > top:
                top, chosen = begun[last, tag] + end[tag], tag
        best[sentence] = top
        if top == -np.inf:
            continue
        count, rank, bound = 1, 0, np.inf
        waiting[0], departures[0] = 0.0, _departure(0, last, chosen)
        place, stride = k * packed[sentence], length
        if padded:
            place, stride = k * sentence * padded, padded
        while rank < count:
            regret, departure = waiting[rank], departures[rank]
            word = (departure >> 16) & 0xFFFFFF
            path, parent = place + rank * stride, place + max((departure >> 40) - 1, 0) * stride
            for n in range(word + 1, length):
                tags[path + n] = tags[parent + n]
            tags[path + word] = departure & 0xFFFF
            regrets[sentence, rank] = regret
            rank += 1
            if rank == k:
                _read_off(tags, path, parent, word, arrived, begun, backward)
                break
            _look_up(
                tags, path, parent, word, sentence, arrived, begun, backward,
                met, before, here, anywhere,
            )  # fmt: skip
            if rank == 1:
                bound = _bound(tags, path, length, here, k - 1, costs)
                for tag in range(size):
                    cost = top - (begun[last, tag] + end[tag])
                    if tag != chosen and cost <= bound:
                        departure = _departure(0, last, tag)
                        count = _wait(waiting, departures, cost, departure, rank, count)
            count = _leave(
                tags, path, word, regret, rank, bound, begun, backward, here, anywhere,
                waiting, departures, count,
            )  # fmt: skip


@njit(inline="always", error_model="numpy")
def _departure(rank, word, tag):
    return (np.int64(rank) << 40) | (np.int64(word) << 16) | np.int64(tag)


@plain
def _begin(rows, first, length, start, forward, arrived, begun):
    """The score of the best beginning up to each (word, tag), without and with that emission."""
    # All words before the first sum: a load that waits for a narrower store costs more.
    for n in range(length):
        for tag in range(len(start)):
            begun[n, tag] = rows[first + n, tag]
    for tag in range(len(start)):
        begun[0, tag] += start[tag]
    for n in range(1, length):
        max_plus(begun, n - 1, forward, arrived, n)
        plus(begun, n, arrived, n, begun, n, 0.0)


@plain
def _read_off(tags, path, parent, word, arrived, begun, backward):
    """Write the best beginning up to the path's tag at a word into the path.

    Where that meets the parent, left further on, the rest is the parent's.
    """
    n = word
    while n > 0:
        tag = tags[path + n]
        n -= 1
        tags[path + n] = two_best(begun, n, backward, tag, arrived[n + 1, tag])[0]
        if path != parent and tags[path + n] == tags[parent + n]:
            break
    for m in range(n):
        tags[path + m] = tags[parent + m]


@plain
def _look_up(
    tags, path, parent, word, sentence, arrived, begun, backward, met, before, here, anywhere
):  # fmt: skip
    """The same, and what is known of each (word, tag) on the way."""
    n = word
    while n > 0:
        tag = tags[path + n]
        if met[n, tag] != sentence:
            most = arrived[n, tag]
            found, less = two_best(begun, n - 1, backward, tag, most)
            met[n, tag], before[n, tag], here[n, tag] = sentence, found, most - less
        n -= 1
        tags[path + n] = before[n + 1, tag]
        if path != parent and tags[path + n] == tags[parent + n]:
            break
    for m in range(n):
        tags[path + m] = tags[parent + m]
    least = anywhere[n, tags[path + n]] if n > 0 else np.inf
    for m in range(n + 1, word + 1):
        least = min(least, here[m, tags[path + m]])
        anywhere[m, tags[path + m]] = least


@plain
def _bound(tags, path, length, here, wanted, costs):
    """A regret that at least so many paths do not exceed, each of which leaves the best one once.

    By bisection, to within a thousandth of what they span: it only has to spare the queue.
    """
    low, high, count = np.inf, -np.inf, 0
    for n in range(length - 1):
        cost = here[n + 1, tags[path + n + 1]]
        costs[n] = cost
        if cost < np.inf:
            low, high, count = min(low, cost), max(high, cost), count + 1
    if count < wanted:
        return np.inf
    for _ in range(10):
        middle = (low + high) / 2
        count = 0
        for n in range(length - 1):
            count += costs[n] <= middle
        if count >= wanted:
            high = middle
        else:
            low = middle
    return high


@plain
def _leave(
    tags, path, word, regret, rank, bound, begun, backward, here, anywhere,
    waiting, departures, count,
):  # fmt: skip
    """Put in wait what leaves the path before a word; returns how many paths there are."""
    k, size = len(waiting), len(backward)
    for n in range(word, 0, -1):
        tag = tags[path + n]
        limit = min(bound, waiting[k - 1]) if count == k else bound
        if regret + anywhere[n, tag] > limit:
            break
        if regret + here[n, tag] > limit:
            continue
        found = tags[path + n - 1]
        stayed = begun[n - 1, found] + backward[tag, found]
        for block in range(0, size, 64):
            bits = within(begun, n - 1, backward, tag, block, regret, stayed, limit)
            while bits:
                other = block + lowest_bit(bits)
                bits &= bits - 1
                if other != found and other < size:
                    cost = regret + (stayed - (begun[n - 1, other] + backward[tag, other]))
                    departure = _departure(rank, n - 1, other)
                    count = _wait(waiting, departures, cost, departure, rank, count)
    return count


@plain
def _wait(waiting, departures, regret, departure, rank, count):
    """Put a path in its place behind `rank` if it is among the k best; returns how many wait."""
    k = len(waiting)
    place = count
    if count == k:
        place = k - 1
        if not _precedes(regret, departure, waiting[place], departures[place]):
            return count
    if not regret < np.inf:
        return count
    while place > rank and _precedes(regret, departure, waiting[place - 1], departures[place - 1]):
        waiting[place], departures[place] = waiting[place - 1], departures[place - 1]
        place -= 1
    waiting[place], departures[place] = regret, departure
    return min(count + 1, k)


@njit(inline="always", error_model="numpy")
def _precedes(regret, departure, other, departed):
    return regret < other or (regret == other and departure < departed)

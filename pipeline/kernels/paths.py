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

from pipeline.kernels.threads import over_sentences
from pipeline.kernels.vectors import max_plus, two_best


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


class Met(NamedTuple):
    """What is known of the best beginning up to each (word, tag), where `sentence` is the present.

    Its tag before, what the next best tag there costs, and what leaving it anywhere costs at least.
    """

    sentence: Int[np.ndarray, "words tags"]
    before: Int[np.ndarray, "words tags"]
    here: Float[np.ndarray, "words tags"]
    anywhere: Float[np.ndarray, "words tags"]


class Queue(NamedTuple):
    """Accepted paths, then those in wait: by regret, and among equals by departure.

    A departure is (rank, word, tag) in one number: as the accepted path of that rank, counted from
    1, but `tag` at `word`. Rank 0 stands for what ends in another tag than the best path does.
    """

    regrets: Float[np.ndarray, " k"]
    departures: Int[np.ndarray, " k"]


@njit(cache=True, nogil=True, error_model="numpy")
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
    met = Met(
        np.full((longest, size), -1, np.int32),
        np.empty((longest, size), np.int16),
        np.empty((longest, size)),
        np.empty((longest, size)),
    )
    queue, costs = Queue(np.empty(k), np.empty(k, np.int64)), np.empty(longest)
    for sentence in range(begin, stop):
        length = lengths[sentence]
        last = length - 1
        _begin(rows[first[sentence] : first[sentence] + length], start, forward, arrived, begun)
        finals = begun[last]
        top, chosen = -np.inf, 0
        for tag in range(size):
            if finals[tag] + end[tag] > top:
                top, chosen = finals[tag] + end[tag], tag
        best[sentence] = top
        if top == -np.inf:
            continue
        count, rank, bound = 1, 0, np.inf
        queue.regrets[0], queue.departures[0] = 0.0, _departure(0, last, chosen)
        place, stride = k * packed[sentence], length
        if padded:
            place, stride = k * sentence * padded, padded
        while rank < count:
            regret, departure = queue.regrets[rank], queue.departures[rank]
            word = (departure >> 16) & 0xFFFFFF
            path = tags[place + rank * stride : place + rank * stride + length]
            ahead = place + max((departure >> 40) - 1, 0) * stride
            parent = tags[ahead : ahead + length]
            for n in range(word + 1, length):
                path[n] = parent[n]
            path[word] = departure & 0xFFFF
            regrets[sentence, rank] = regret
            rank += 1
            if rank == k:
                _read_off(path, parent, word, rank, arrived, begun, backward)
                break
            _look_up(path, parent, word, rank, sentence, arrived, begun, backward, met)
            if rank == 1:
                bound = _bound(path, met.here, k - 1, costs)
                for tag in range(size):
                    cost = top - (finals[tag] + end[tag])
                    if tag != chosen and cost <= bound:
                        count = _wait(queue, cost, _departure(0, last, tag), rank, count)
            for n in range(word, 0, -1):
                tag, found = path[n], path[n - 1]
                limit = min(bound, queue.regrets[k - 1]) if count == k else bound
                if regret + met.anywhere[n, tag] > limit:
                    break
                if regret + met.here[n, tag] > limit:
                    continue
                stayed = begun[n - 1, found] + backward[tag, found]
                for other in range(size):
                    cost = regret + (stayed - (begun[n - 1, other] + backward[tag, other]))
                    if cost <= limit and other != found:
                        departure = _departure(rank, n - 1, other)
                        count = _wait(queue, cost, departure, rank, count)


@njit(inline="always", error_model="numpy")
def _departure(rank, word, tag):
    return (np.int64(rank) << 40) | (np.int64(word) << 16) | np.int64(tag)


@njit(inline="always", error_model="numpy")
def _begin(rows, start, forward, arrived, begun):
    """The score of the best beginning up to each (word, tag), without and with that emission."""
    line, row = begun[0], rows[0]
    for tag in range(len(start)):
        line[tag] = start[tag] + row[tag]
    for n in range(1, len(rows)):
        max_plus(begun, n - 1, forward, arrived, n)
        line, row, before = begun[n], rows[n], arrived[n]
        for tag in range(len(start)):
            line[tag] = before[tag] + row[tag]


@njit(inline="always", error_model="numpy")
def _read_off(path, parent, word, rank, arrived, begun, backward):
    """Write the best beginning up to path[word] into the path.

    Where that meets the parent, left further on, the rest is the parent's.
    """
    n = word
    while n > 0:
        tag = path[n]
        n -= 1
        path[n] = two_best(begun, n, backward, tag, arrived[n + 1, tag])[0]
        if rank > 1 and path[n] == parent[n]:
            break
    for m in range(n):
        path[m] = parent[m]


@njit(inline="always", error_model="numpy")
def _look_up(path, parent, word, rank, sentence, arrived, begun, backward, met):
    """The same, and what is known of each (word, tag) on the way."""
    n = word
    while n > 0:
        tag = path[n]
        if met.sentence[n, tag] != sentence:
            most = arrived[n, tag]
            found, less = two_best(begun, n - 1, backward, tag, most)
            met.here[n, tag] = most - less
            met.sentence[n, tag], met.before[n, tag] = sentence, found
        n -= 1
        path[n] = met.before[n + 1, tag]
        if rank > 1 and path[n] == parent[n]:
            break
    for m in range(n):
        path[m] = parent[m]
    least = met.anywhere[n, path[n]] if n > 0 else np.inf
    for m in range(n + 1, word + 1):
        least = min(least, met.here[m, path[m]])
        met.anywhere[m, path[m]] = least


@njit(inline="always", error_model="numpy")
def _bound(path, here, wanted, costs):
    """A regret that at least so many paths do not exceed, each of which leaves the best one once.

    By bisection, to within a thousandth of what they span: it only has to spare the queue.
    """
    size = len(path) - 1
    low, high, count = np.inf, -np.inf, 0
    for n in range(size):
        cost = here[n + 1, path[n + 1]]
        costs[n] = cost
        if cost < np.inf:
            low, high, count = min(low, cost), max(high, cost), count + 1
    if count < wanted:
        return np.inf
    for _ in range(10):
        middle = (low + high) / 2
        count = 0
        for n in range(size):
            count += costs[n] <= middle
        if count >= wanted:
            high = middle
        else:
            low = middle
    return high


@njit(inline="always", error_model="numpy")
def _wait(queue, regret, departure, rank, count):
    """Put a path in its place behind `rank` if it is among the k best; returns how many are."""
    k = len(queue.regrets)
    place = count
    while place > rank and (
        regret < queue.regrets[place - 1]
        or (regret == queue.regrets[place - 1] and departure < queue.departures[place - 1])
    ):
        place -= 1
    if place < k and regret < np.inf:
        count = min(count + 1, k)
        for other in range(count - 1, place, -1):
            queue.regrets[other] = queue.regrets[other - 1]
            queue.departures[other] = queue.departures[other - 1]
        queue.regrets[place], queue.departures[place] = regret, departure
    return count

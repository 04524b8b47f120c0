"""Work that goes on beside the caller's: on one other thread, in order, a little of it in wait."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeAlias

Work: TypeAlias = Callable[[], None]


@contextmanager
def in_background(waiting: int = 1) -> Iterator[Callable[[Work], None]]:
    """Yields `later(work)`, which returns before the work is done unless `waiting` of them wait.

    All of it is done at the end of the block. What work raises comes out of a later call, or of the
    block; work that has not begun by then is left undone.
    """
    begun: deque[Future[None]] = deque()

    def later(work: Work) -> None:
        while begun and (len(begun) > waiting or begun[0].done()):
            begun.popleft().result()
        begun.append(other.submit(work))

    with ThreadPoolExecutor(1, thread_name_prefix="background") as other:
        try:
            yield later
            while begun:
                begun.popleft().result()
        finally:
            for work in begun:
                work.cancel()

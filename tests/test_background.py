"""Work in the background is done in order, waits in a short queue, and never fails in silence."""

import threading

import pytest

from pipeline.running.background import in_background


def test_all_is_done_in_order_on_one_other_thread():
    done: list[tuple[int, int]] = []
    with in_background() as later:
        for number in range(20):
            later(lambda number=number: done.append((number, threading.get_ident())))
    assert [number for number, _ in done] == [*range(20)]
    assert {thread for _, thread in done}.isdisjoint({threading.get_ident()})


def test_it_goes_on_while_the_caller_does():
    called = threading.Event()
    with in_background() as later:
        later(lambda: called.wait(10) or pytest.fail("the caller waited"))
        called.set()


def test_only_so_much_waits():
    go, begun = threading.Event(), []
    with in_background(waiting=2) as later:
        for number in range(3):
            later(lambda number=number: (begun.append(number), go.wait(10)))
        caller = threading.Thread(target=later, args=(lambda: begun.append(3),))
        caller.start()
        caller.join(0.05)
        assert caller.is_alive(), "a fourth was taken on while one was at work and two waited"
        go.set()
        caller.join()
    assert begun == [0, 1, 2, 3]


def fails() -> None:
    raise ValueError("the disk is gone")


def test_an_error_comes_out_of_the_block():
    with pytest.raises(ValueError, match="the disk is gone"), in_background() as later:
        later(fails)


def test_an_error_comes_out_of_a_later_call_and_ends_the_work():
    done: list[int] = []

    def hand_over() -> None:
        with in_background() as later:
            for number in range(1000):
                later(fails if number == 3 else lambda number=number: done.append(number))

    with pytest.raises(ValueError, match="the disk is gone"):
        hand_over()
    assert done[:3] == [0, 1, 2]
    assert len(done) < 10


def test_an_error_of_the_caller_leaves_waiting_work_undone():
    go, done = threading.Event(), []

    def hand_over() -> None:
        with in_background(waiting=3) as later:
            later(lambda: (go.wait(10), done.append(0)))
            later(lambda: done.append(1))
            threading.Timer(0.05, go.set).start()
            raise KeyError

    with pytest.raises(KeyError):
        hand_over()
    assert done == [0]

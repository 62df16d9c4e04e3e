"""Three steps at once: order, what overlaps, bounds on what is in flight, faults, leaving."""

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deblur_keras.overlap import overlapped

SECONDS = 10  # within which another thread must have come to do its part


def get(item, prepared):
    return prepared()


def same(item, worked):
    return worked


class Held:
    """Counts what is in flight: more when prepared, less when finished."""

    def __init__(self, weights):
        self._weights, self._lock = weights, threading.Lock()
        self.now, self.peaks = 0, []

    def prepare(self, index):
        with self._lock:
            self.now += self._weights[index]
            self.peaks.append((self.now, self._weights[index]))
        return index

    def finish(self, item, index):
        with self._lock:
            self.now -= self._weights[index]
        return index

    def weigh(self, index):
        return self._weights[index]


@settings(max_examples=40)
@given(st.lists(st.integers(0, 120), max_size=25), st.integers(1, 100))
def test_order_is_kept_and_no_more_than_the_room_and_one_thing_is_held(weights, room):
    held = Held(weights)
    steps = overlapped(
        range(len(weights)), held.prepare, get, held.finish, weigh=held.weigh, room=room
    )
    assert list(steps) == list(range(len(weights)))
    assert held.now == 0
    assert all(now < room + own for now, own in held.peaks)


def test_the_next_is_prepared_and_the_last_finished_while_the_work_lasts():
    prepared, finished = ([threading.Event() for _ in range(6)] for _ in range(2))

    def work(item, value):
        value()
        assert item == 5 or prepared[item + 1].wait(SECONDS)
        assert item == 0 or finished[item - 1].wait(SECONDS)

    def finish(item, _):
        finished[item].set()
        return item

    steps = overlapped(range(6), lambda item: prepared[item].set(), work, finish)
    assert list(steps) == list(range(6))


def test_what_is_in_flight_is_a_fixed_number_without_weights():
    held = Held([1] * 200)

    def slow(item, index):
        time.sleep(0.001)
        return held.finish(item, index)

    assert len(list(overlapped(range(200), held.prepare, get, slow))) == 200
    assert max(now for now, _ in held.peaks) <= 7


def test_things_that_fill_the_room_go_one_by_one():
    held = Held([100] * 9)
    list(overlapped(range(9), held.prepare, get, held.finish, weigh=held.weigh, room=50))
    assert [now for now, _ in held.peaks] == [100] * 9


def test_the_work_is_told_what_preparing_raised():
    def prepare(item):
        if item % 3 == 1:
            raise OSError(f"no {item}")
        return item

    def work(item, prepared):
        try:
            return prepared()
        except OSError as error:
            return str(error)

    steps = overlapped(range(5), prepare, work, same, weigh=lambda _: 1, room=2)
    assert list(steps) == [0, "no 1", 2, 3, "no 4"]


@pytest.mark.parametrize("complete", [False, True])
def test_an_interruption_finishes_what_was_worked_on_if_asked(complete):
    begun, finished, found = [], [], []
    late = threading.Event()

    def work(item, prepared):
        if item == 4:
            late.set()
            raise KeyboardInterrupt
        return prepared()

    def prepare(item):
        begun.append(item)
        return item

    def finish(item, worked):
        assert late.wait(SECONDS) or item < 2
        finished.append(item)
        return item

    def wait_for_none(item, worked):
        return finish(item, worked) if item >= 2 else item

    steps = overlapped(range(99), prepare, work, wait_for_none, complete=complete)
    with pytest.raises(KeyboardInterrupt):
        for done in steps:
            found.append(done)
    assert found == ([0, 1, 2, 3] if complete else [0, 1])
    assert len(begun) <= 7
    count = len(finished)
    time.sleep(0.02)
    assert len(finished) == count  # nothing goes on behind


def test_left_early_nothing_goes_on():
    held = Held([60] * 99)
    steps = overlapped(range(99), held.prepare, get, held.finish, weigh=held.weigh, room=50)
    assert next(steps) == 0
    steps.close()
    count = len(held.peaks)
    time.sleep(0.02)
    assert len(held.peaks) == count <= 4


def test_nothing_to_do():
    assert list(overlapped([], get, get, same)) == []

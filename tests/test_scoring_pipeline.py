"""Restoring and scoring a set: order, bounds on what is in flight, faults, leaving early."""

import threading
import time

import numpy as np
import pytest

from deblur_keras import overlap
from deblur_keras.evaluation import pipeline


class Pair:
    def __init__(self, index):
        self.name, self.index = str(index), index


def pixels(index):
    return np.full((4, 5, 3), index % 256, "uint8")


def pairs(count):
    return [Pair(index) for index in range(count)]


def read(pair):
    return pixels(pair.index), None


def same(image):
    return image


@pytest.mark.parametrize("alone", [0, 3, None])
def test_the_order_is_that_of_the_pairs_whatever_takes_how_long(alone):
    def slow_at_first(pair, sharp, blurred, restored):
        time.sleep(0.02 * (pair.index % 3 == 0))
        return pair.index, int(blurred[0, 0, 0]), int(restored[0, 0, 0])

    steps = pipeline.restored_and_scored(
        lambda image: image + 1, pairs(12), read, slow_at_first, alone
    )
    found = list(steps)
    assert [done.result for done in found] == [(index, index, index + 1) for index in range(12)]
    assert all(done.size == (5, 4) for done in found)
    timed = [done.seconds is not None for done in found]
    assert timed == [index < (12 if alone is None else alone) for index in range(12)]


def test_reading_and_scoring_overlap_with_restoring_but_not_while_it_is_timed():
    busy, seen = threading.Semaphore(), []
    at_work = {"others": 0}

    def other(value):
        with busy:
            at_work["others"] += 1
        time.sleep(0.01)
        with busy:
            at_work["others"] -= 1
        return value

    def restorer(image):
        time.sleep(0.02)
        seen.append(at_work["others"])
        return image

    steps = pipeline.restored_and_scored(
        restorer,
        pairs(10),
        lambda pair: other(read(pair)),
        lambda pair, sharp, blurred, restored: other(pair.index),
        alone=4,
    )
    assert [done.result for done in steps] == list(range(10))
    assert seen[:4] == [0] * 4
    assert len(seen) == 10


def test_what_is_in_flight_does_not_grow_with_the_set():
    held = {"now": 0, "most": 0}
    lock = threading.Lock()

    def counted_read(pair):
        with lock:
            held["now"] += 1
            held["most"] = max(held["most"], held["now"])
        return read(pair)

    def score(pair, sharp, blurred, restored):
        time.sleep(0.002)
        with lock:
            held["now"] -= 1

    for _ in pipeline.restored_and_scored(same, pairs(200), counted_read, score):
        pass
    assert held["now"] == 0
    assert held["most"] <= 8


def test_whatever_fails_costs_only_its_own_pair():
    def broken_read(pair):
        if pair.index in (1, 8):
            raise OSError("cannot be read")
        return read(pair)

    def broken_restorer(image):
        if image[0, 0, 0] in (2, 9):
            raise MemoryError
        return image[:-1] if image[0, 0, 0] in (3, 10) else image

    def broken_score(pair, sharp, blurred, restored):
        if pair.index in (4, 11):
            raise ValueError("no such frame")
        return pair.index

    steps = pipeline.restored_and_scored(
        broken_restorer, pairs(14), broken_read, broken_score, alone=6
    )
    found = list(steps)
    assert [done.result for done in found] == [
        *(0, None, None, None, None, 5),
        *(6, 7, None, None, None, None, 12, 13),
    ]
    for first, second in zip(found[:6], found[7:], strict=False):  # the same faults, overlapped
        assert first.error == second.error
    assert found[1].error == "cannot be read"
    assert found[2].error == "MemoryError"
    assert found[3].error.startswith("expected the restored image to be uint8 (4, 5, 3), got uint8")
    assert found[4].error == "no such frame"


def test_leaving_early_begins_nothing_more():
    begun = []

    def counted_read(pair):
        begun.append(pair.index)
        return read(pair)

    steps = pipeline.restored_and_scored(same, pairs(100), counted_read, lambda *_: None, alone=2)
    for _ in range(5):
        next(steps)
    steps.close()
    time.sleep(0.05)
    count = len(begun)
    assert count < 15
    time.sleep(0.05)
    assert len(begun) == count


def test_an_interruption_in_the_restorer_is_not_taken_for_a_fault():
    def interrupted(image):
        if image[0, 0, 0] == 7:
            raise KeyboardInterrupt
        return image

    steps = pipeline.restored_and_scored(interrupted, pairs(20), read, lambda *_: None, alone=2)
    with pytest.raises(KeyboardInterrupt):
        list(steps)


def test_warm_up_takes_the_first_image_that_can_be_read():
    def broken_read(pair):
        if pair.index < 2:
            raise OSError("cannot be read")
        return read(pair)

    calls = []
    seconds = pipeline.warm_up(lambda image: calls.append(int(image.max())), pairs(4), broken_read)
    assert calls == [2]
    assert seconds >= 0
    assert pipeline.warm_up(same, pairs(2), broken_read) is None
    assert pipeline.warm_up(lambda image: 1 / 0, pairs(3), read) is None


def test_work_that_takes_long_ends_when_the_run_is_left():
    ended = threading.Event()

    def long_score(pair, sharp, blurred, restored):
        try:
            for _ in range(1000):
                overlap.check_stop()
                time.sleep(0.01)
        except overlap.Stopped:
            ended.set()
            raise

    def interrupted(image):
        if image[0, 0, 0] == 1:
            raise KeyboardInterrupt
        return image

    steps = pipeline.restored_and_scored(interrupted, pairs(9), read, long_score, alone=0)
    with pytest.raises(KeyboardInterrupt):
        list(steps)
    assert ended.wait(2)


def test_what_cannot_be_written_ends_the_run():
    def full(pair, sharp, blurred, restored):
        raise pipeline.WriteError("no space left")

    for alone in (0, None):
        with pytest.raises(OSError, match="no space left"):
            list(pipeline.restored_and_scored(same, pairs(9), read, full, alone=alone))

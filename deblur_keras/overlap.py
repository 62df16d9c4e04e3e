"""Does three steps with each of many things at once: prepares ahead, works here, finishes behind.

The work, a network's, is done in the calling thread, one thing at a time, as it keeps all
processors, or the GPU, busy by itself. While it lasts, the next things are prepared and those
before are finished, in threads. What is in flight is bounded by number and by bytes.
"""

import collections
import concurrent.futures
import contextlib
import os
import threading

ROOM = 256_000_000
"""Bytes in flight from which on nothing more is prepared, until something has been finished."""

_AHEAD = 2  # things that are prepared, or being prepared
_WORKERS = 2  # for finishing; more only hold more in memory
_here = threading.local()  # .stop: the event of the run that this thread works for


class Stopped(Exception):
    """Ends a piece of work that nobody waits for any more."""


def check_stop():
    """Raises if the run that this thread works for has been left: for work that takes long.

    Raises:
        Stopped: It has.
    """
    stop = getattr(_here, "stop", None)
    if stop is not None and stop.is_set():
        raise Stopped


def overlapped(items, prepare, work, finish, *, weigh=None, room=ROOM, complete=False):
    """Prepares, works on and finishes things, and yields what finishing them returned, in order.

    Args:
        items: Iterable of the things.
        prepare: Function of a thing, called from another thread, one at a time.
        work: Function ``(item, prepared)``, called from this thread; ``prepared()`` waits for what
            `prepare` returned, or raises what it raised.
        finish: Function ``(item, worked)`` of what `work` returned, called from other threads.
        weigh: Function from what `prepare` returned to the bytes that it, and what becomes of it,
            holds until it is finished; None bounds the things in flight by their number alone.
        room: From how many such bytes on nothing more is prepared. What is in flight stays below
            this and one thing more, however large the things are.
        complete: On Ctrl-C, finish and yield what has been worked on before raising it.

    Yields:
        What `finish` returned, one a thing.

    Raises:
        Exception: Whatever `work` and `finish` raise ends the run; nothing is begun any more.

    Example:
        >>> list(overlapped("ab", str.upper, lambda item, get: item + get(), lambda _, x: x * 2))
        ['aAaA', 'bBbB']
    """
    workers = min(_WORKERS, os.cpu_count() or 1)
    stop, space = threading.Event(), _Space(room)
    ahead, behind = collections.deque(), collections.deque()
    waiting = iter(items)

    def prepared(item):
        space.wait()
        value = prepare(item)
        weight = weigh(value) if weigh else 0
        space.take(weight)
        return value, weight

    def finished(item, worked, weight):
        _here.stop = stop
        try:
            return finish(item, worked)
        finally:
            space.give(weight)

    def look_ahead():
        for item in waiting:
            ahead.append((item, readers.submit(prepared, item)))
            break

    def step():  # a function, so that nothing heavy is held by its names any longer
        item, future = ahead.popleft()
        look_ahead()
        worked = work(item, lambda: future.result()[0])
        weight = 0 if future.exception() else future.result()[1]
        behind.append(finishers.submit(finished, item, worked, weight))

    with contextlib.ExitStack() as stack:
        readers = stack.enter_context(concurrent.futures.ThreadPoolExecutor(1, "prepare"))
        finishers = stack.enter_context(concurrent.futures.ThreadPoolExecutor(workers, "finish"))
        # Left early, by an error or by Ctrl-C, nothing is begun any more.
        for pool in (readers, finishers):
            stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        stack.callback(stop.set)
        stack.callback(space.close)
        for _ in range(_AHEAD):
            look_ahead()
        try:
            while ahead or behind:
                if ahead:
                    step()
                while behind and (not ahead or len(behind) > workers or behind[0].done()):
                    result = behind[0].result()  # left there until it is known: Ctrl-C may come
                    behind.popleft()
                    yield result
        except KeyboardInterrupt:
            if complete:
                space.close()
                for future in behind:
                    yield future.result()
            raise


class _Space:
    """Counts the bytes in flight, and lets wait until they have become fewer."""

    def __init__(self, room):
        self._room, self._held, self._closed = room, 0, False
        self._change = threading.Condition()

    def wait(self):
        with self._change:
            self._change.wait_for(lambda: self._closed or self._held < self._room)
            if self._closed:
                raise Stopped

    def take(self, weight):
        with self._change:
            self._held += weight

    def give(self, weight):
        with self._change:
            self._held -= weight
            self._change.notify_all()

    def close(self):
        with self._change:
            self._closed = True
            self._change.notify_all()

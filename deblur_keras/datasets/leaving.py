"""Lets Python end while a stream is still making crops.

TensorFlow's workers would call Python when it is ending, be stopped for it by Python, and never
finish; and the iterator that they work for would wait for them for ever. So, before Python ends,
calls are answered at once until no more come.
"""

import atexit
import contextlib
import threading
import time

_QUIET = 0.1  # seconds without a call after which there will be no more: the buffers are full
_PATIENCE = 10.0  # seconds

_lock = threading.Lock()
_state = {"ending": False, "running": 0, "last": 0.0}


class Ending(RuntimeError):
    """Python is ending, and nobody will look at what was asked for."""


@contextlib.contextmanager
def call():
    """Marks a call by one of TensorFlow's workers.

    Raises:
        Ending: There is no use in it any more.

    Example:
        >>> with call():
        ...     print("making a crop")
        making a crop
    """
    with _lock:
        _state["last"] = time.monotonic()
        _state["running"] += 1
    try:
        if _state["ending"]:
            raise Ending
        yield
    finally:
        with _lock:
            _state["running"] -= 1
            _state["last"] = time.monotonic()


@atexit.register
def _end():
    begun = time.monotonic()
    with _lock:
        _state["ending"] = True
        if not _state["last"]:
            return
    while time.monotonic() - begun < _PATIENCE:
        with _lock:
            quiet = time.monotonic() - max(_state["last"], begun)
            if not _state["running"] and quiet > _QUIET:
                return
        time.sleep(_QUIET / 10)

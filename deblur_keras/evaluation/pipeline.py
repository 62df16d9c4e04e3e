"""Restores and scores a set of images: reads ahead, scores behind, keeps the order and the memory.

One image is restored at a time; `overlap` does the rest meanwhile.
"""

import contextlib
import dataclasses
import time
from typing import Any

import numpy as np

from deblur_keras.overlap import Stopped, overlapped

TIMED_ALONE = 5
"""Images that are restored with nothing else at work, for the seconds an image takes."""


class WriteError(OSError):
    """Says that a result could not be written, which ends the run: so would all others."""


@dataclasses.dataclass(frozen=True)
class Done:
    """Holds what became of one image.

    Attributes:
        pair: The pair.
        result: What ``score`` returned; None if something failed.
        error: What went wrong, as text; None if nothing did.
        size: ``(width, height)`` as restored; None if it failed before.
        seconds: Time that restoring took with nothing else at work; None for images that were
            restored while others were read and scored.
    """

    pair: Any
    result: Any = None
    error: str | None = None
    size: tuple | None = None
    seconds: float | None = None


def restored_and_scored(restorer, pairs, read, score, alone=TIMED_ALONE, progress=None):
    """Restores and scores pairs, and yields what became of each in their order.

    Args:
        restorer: Callable from uint8 RGB ``(H, W, 3)`` to uint8 of the same shape.
        pairs: List of anything with a ``name``.
        read: Function from a pair to ``(blurred, sharp)``, uint8 RGB; ``sharp`` may be None. It is
            called from another thread.
        score: Function ``(pair, sharp, blurred, restored)`` whose value is handed on. It is called
            from other threads.
        alone: How many images to restore with nothing else at work, so that their seconds can be
            told; None for all.
        progress: Object with ``start(name)`` and ``advance()``, or None.

    Yields:
        `Done`, one a pair. Whatever is wrong with one pair (unreadable, too large for the memory)
        costs only itself.

    Raises:
        WriteError: ``score`` raised it.

    Example:
        >>> import collections
        >>> import numpy as np
        >>> Pair = collections.namedtuple("Pair", "name image")
        >>> pairs = [Pair("a", np.zeros((2, 3, 3), "uint8"))]
        >>> steps = restored_and_scored(
        ...     lambda image: image + 1,
        ...     pairs,
        ...     lambda pair: (pair.image, None),
        ...     lambda pair, sharp, blurred, restored: int(restored.max()),
        ... )
        >>> [(done.pair.name, done.result, done.size) for done in steps]
        [('a', 1, (3, 2))]
    """
    alone = len(pairs) if alone is None else min(alone, len(pairs))
    for pair in pairs[:alone]:
        if progress is not None:
            progress.start(pair.name)
        done, images = _restored(restorer, pair, lambda pair=pair: read(pair))
        yield _scored(score, done, images)
        if progress is not None:
            progress.advance()
    if alone == len(pairs):
        return

    def work(pair, images):
        if progress is not None:
            progress.start(pair.name)
        done, images = _restored(restorer, pair, images)
        return dataclasses.replace(done, seconds=None), images

    for done in overlapped(pairs[alone:], read, work, lambda _, worked: _scored(score, *worked)):
        yield done
        if progress is not None:
            progress.advance()


def warm_up(restorer, pairs, read):
    """Restores the first image that can be read, which also prepares the network for its size.

    Args:
        restorer: As in `restored_and_scored`.
        pairs: Likewise.
        read: Likewise.

    Returns:
        The seconds that it took; None if no image could be restored.
    """
    for pair in pairs[:TIMED_ALONE]:
        try:
            blurred, _ = read(pair)
        except Exception:  # said when its turn comes
            continue
        started = time.perf_counter()
        with contextlib.suppress(Exception):  # likewise
            restorer(blurred)
            return time.perf_counter() - started
        break
    return None


def _restored(restorer, pair, read):
    """Returns `Done` without a result, and the images, None if something failed."""
    try:
        blurred, sharp = read()
        started = time.perf_counter()
        restored = restorer(blurred)
        seconds = time.perf_counter() - started
        if restored.shape != blurred.shape or restored.dtype != np.uint8:
            raise ValueError(
                f"expected the restored image to be uint8 {blurred.shape}, got {restored.dtype} "
                f"{restored.shape}"
            )
    except Exception as error:
        return Done(pair, error=_text(error)), None
    size = (blurred.shape[1], blurred.shape[0])
    return Done(pair, size=size, seconds=seconds), (sharp, blurred, restored)


def _scored(score, done, images):
    """Returns `Done` with its result."""
    if images is None:
        return done
    try:
        return dataclasses.replace(done, result=score(done.pair, *images))
    except (Stopped, WriteError):
        raise
    except Exception as error:
        return dataclasses.replace(done, error=_text(error))


def _text(error):
    return str(error) or type(error).__name__

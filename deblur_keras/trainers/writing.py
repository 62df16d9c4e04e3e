"""What becomes of a training when a file cannot be written: no more than has to."""

import contextlib
import errno
import logging
import os
import re

import tensorflow as tf

from deblur_keras import images

# That another worker was lost is no fault of a file; see `workers.lost_named`.
LOST = (
    *(tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError),
    tf.errors.DeadlineExceededError,
)
# A full disk is an OpError where TensorFlow writes.
ERRORS = (
    *(OSError, images.ImageError),
    *(kind for kind in tf.errors.OpError.__subclasses__() if kind not in LOST),
)

_logger = logging.getLogger(__name__)


class Attempts:
    """Lets a training go on when something could not be written that it does not need.

    Each thing is told once; it is tried anew each time.

    Example:
        >>> attempts = Attempts()
        >>> with attempts.at("samples.gif"):
        ...     raise OSError(28, "No space left on device")
        >>> attempts.failed
        {'samples.gif'}
    """

    def __init__(self):
        self.failed = set()

    @contextlib.contextmanager
    def at(self, what):
        """Makes errors of writing within its block warnings.

        Args:
            what: What is being written, for the message.
        """
        try:
            yield
        except ERRORS as error:
            if what not in self.failed:
                _logger.warning(
                    "%s could not be written: %s. The training goes on without it.",
                    *(what, reason(error)),
                )
            self.failed.add(what)


def is_full(error):
    """Says whether an error is that of a full disk, also in TensorFlow's words.

    Example:
        >>> is_full(tf.errors.ResourceExhaustedError(None, None, "a: No space left on device"))
        True
    """
    return "no space left" in str(error).lower()


def reason(error):
    """Says in words why something could not be written, without a full stop.

    Args:
        error: One of `ERRORS`.

    Example:
        >>> reason(OSError(28, "No space left on device"))
        'No space left on device; free some, or write to another disk'
    """
    if isinstance(error, OSError) and error.errno:
        return images.reason(error)
    said = str(error).strip().splitlines()
    if is_full(error):
        return images.reason(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    # TensorFlow's names of its own operations say nothing to anybody.
    said = [re.sub(r"\{\{.*?\}\}\s*|\s*\[Op:\w+\]", "", line) for line in said]
    return said[0].rstrip(".") if said else type(error).__name__

"""What all engines have in common."""

import os
import threading

import numpy as np

from deblur_keras import images


class EngineError(RuntimeError):
    """An engine that cannot run a network, though it is installed."""


class OutOfMemoryError(MemoryError):
    """An engine for which there was not enough memory."""


class Engine:
    """Runs a network on pixels. Subclasses say how.

    Args:
        network: `deblur_keras.portable.Network`.
        precision: ``"float32"`` or ``"bf16"``.

    Attributes:
        name: Name of the engine, such as ``"openvino"``.
        network: As given.
        precision: As given.
        reason: Why a quicker engine was not chosen; empty if this one was asked for, or is the
            quickest.
        overhead: Memory that it takes over ``network.bytes_per_pixel``, as a factor: measured by
            benchmarks/restore.py, and rounded up.
        first_run: Bytes that it takes at its first run, whatever the image.
    """

    name = ""
    overhead = 1.0
    first_run = 50_000_000

    def __init__(self, network, precision="float32"):
        self.network, self.precision, self.reason = network, precision, ""
        # One image at a time, which takes all cores: what `values` gives may be overwritten.
        self._lock = threading.RLock()

    def __call__(self, padded):
        """Restores one image, or one window of an image.

        Args:
            padded: uint8 or uint16 RGB ``(1, H, W, 3)``; H and W are multiples of
                ``network.multiple``.

        Returns:
            The restored array, of the same type and shape, and whether all of the network's values
            were finite.

        Raises:
            OutOfMemoryError: If there is not enough memory.
            EngineError: If the engine fails otherwise.
        """
        to_pixels = images.to_uint8 if padded.dtype == np.uint8 else images.to_uint16
        with self._lock:
            restored = self.values(images.to_float(padded))
            # The extremes are NaN if any value is.
            finite = bool(np.isfinite(restored.min()) and np.isfinite(restored.max()))
            return to_pixels(restored), finite

    def values(self, blurred):
        """Runs the network itself.

        Args:
            blurred: float32 ``(1, H, W, 3)`` in [-1, 1].

        Returns:
            float32 array of the same shape; it may be overwritten by the next call.

        Raises:
            OutOfMemoryError: If there is not enough memory.
            EngineError: If the engine fails otherwise.
        """
        raise NotImplementedError

    def release(self):
        """Gives back the memory that is kept for images of the sizes seen last."""


def cores():
    """Counts the processor cores that this process may use.

    Returns:
        Whole number of at least 1.

    Example:
        >>> cores() >= 1
        True
    """
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def failure(engine, error):
    """Makes the exception for what a native library raised.

    Args:
        engine: Name of the engine.
        error: Its exception; such libraries have no classes that tell one from another.

    Returns:
        `OutOfMemoryError` or `EngineError`.

    Example:
        >>> type(failure("openvino", RuntimeError("std::bad_alloc"))).__name__
        'OutOfMemoryError'
    """
    reason = str(error).strip().split("\n")[-1]  # OpenVINO's first lines name its source files
    words = ("bad_alloc", "allocate", "out of memory", "Available memory")
    if any(word.lower() in str(error).lower() for word in words):
        return OutOfMemoryError(f"{engine} has not enough memory: {reason}")
    return EngineError(f"{engine} cannot run this network: {reason}")

"""Better pictures for more time: averages over orientations and samples, and blends with the input.

Everything here works over any callable that restores a photograph. What is averaged or blended is
restored at 16 bits, summed in float32 and rounded once, to the type of the input.
"""

import functools
import math

import cv2
import numpy as np

ORIENTATIONS = 8
"""Ways to lay a picture: four quarter turns, each as it is and mirrored."""

_QUARTER_TURNS = {
    1: cv2.ROTATE_90_COUNTERCLOCKWISE,
    2: cv2.ROTATE_180,
    3: cv2.ROTATE_90_CLOCKWISE,
}
_DEEPER = 257  # 16-bit levels to an 8-bit one: 255 becomes 65535


def restored(restore, image, ensemble=False, strength=1.0, progress=None):
    """Restores a photograph, in all eight orientations if asked, and blends it with the input.

    ``result = round((1 - strength) * image + strength * mean_k(T_k^-1(restore(T_k(image)))))`` over
    the turned and mirrored copies ``T_k(image)``, or over the image itself alone.

    Args:
        restore: Callable from uint8 or uint16 RGB ``(H, W, 3)``, any H and W, to the same type and
            shape. It is called with ``progress=`` only where ``progress`` is given.
        image: Such an image.
        ensemble: Whether to average over the eight orientations, at eight times the cost.
        strength: Share of the restored picture in the result, 0 to 1, in the values as stored.
        progress: Callable that is given the number of parts done and the number of all; or None.

    Returns:
        Array of the same type and shape. With strength 0 it is a copy of the image, and nothing is
        restored.

    Raises:
        ValueError: If an argument is none of the above, or ``restore`` returns another type or
            shape than it was given.

    Example:
        >>> image = np.full((2, 5, 3), 100, "uint8")
        >>> restored(lambda given: given // 2, image, strength=0.5)[0, 0].tolist()
        [75, 75, 75]

    Note:
        With one orientation and strength 1 the callable's result is returned as it is. In all other
        cases an 8-bit image is given to it at 16 bits (times 257).

    Reference:
        Seven Ways to Improve Example-Based Single Image Super Resolution (Timofte et al., 2016),
        section 3.3, "enhanced prediction"; "geometric self-ensemble" in EDSR (Lim et al., 2017).
    """
    check(ensemble, strength)
    _check_image(image)
    if strength == 0:
        return image.copy()
    passes = _Passes(ORIENTATIONS if ensemble else 1, progress)
    if strength == 1 and not ensemble:
        return passes.run(restore, image)
    values = _precise(restore, image, ensemble, passes)
    return _rounded(_blended(values, image, strength), image.dtype)


def sampled(draw, image, count, ensemble=False, strength=1.0, progress=None):
    """Restores a photograph many times with a random network: mean and spread of the samples.

    The spread is the standard deviation of each value over the samples (the root of the mean
    squared deviation from their mean, as ``numpy.std``): where the network is not sure.

    Args:
        draw: Callable as that of `restored`, which is also called with ``sample=``, the number of
            the sample that it is to return, from 0 on.
        image: uint8 or uint16 RGB ``(H, W, 3)``.
        count: Samples, at least 2.
        ensemble: As in `restored`, for each sample: the cost is eight times ``count``.
        strength: As in `restored`, for each sample: the spread is smaller by this factor.
        progress: As in `restored`.

    Returns:
        ``(mean, spread)``: the mean, of the type and shape of the image, rounded once; and the
        spread, float32 of the same shape, in levels of that type.

    Raises:
        ValueError: As `restored` says, or ``count`` is not a whole number of at least 2.

    Example:
        >>> image = np.full((1, 1, 3), 100, "uint8")
        >>> mean, spread = sampled(lambda given, sample: given + np.uint16(257 * sample), image, 3)
        >>> mean[0, 0, 0].item(), round(spread[0, 0, 0].item(), 4)  # of 100, 101, 102
        (101, 0.8165)
    """
    check(ensemble, strength)
    check_count(count)
    _check_image(image)
    if strength == 0:
        return image.copy(), np.zeros(image.shape, np.float32)
    passes = _Passes(count * (ORIENTATIONS if ensemble else 1), progress)
    mean = squares = np.float32(0)
    for sample in range(count):
        # Welford's recurrence, in which no large sums are subtracted from each other.
        off = _precise(functools.partial(draw, sample=sample), image, ensemble, passes)
        off -= mean
        mean = mean + off / np.float32(sample + 1)
        off *= off
        off *= np.float32(sample / (sample + 1))
        squares = squares + off
    spread = np.sqrt(squares / np.float32(count)) * np.float32(strength)
    return _rounded(_blended(mean, image, strength), image.dtype), spread


def check(ensemble, strength):
    """Checks the two options that all functions here have.

    Args:
        ensemble: Must be True or False.
        strength: Must be a number from 0 to 1.

    Raises:
        ValueError: One of them is not; the message says which.

    Example:
        >>> check(ensemble=True, strength=0.5)
    """
    if not isinstance(ensemble, bool | np.bool_):
        raise ValueError(
            f"ensemble must be True, for all eight orientations, or False, got {ensemble!r}"
        )
    number = isinstance(strength, int | float | np.number) and not isinstance(strength, bool)
    if not number or math.isnan(strength) or not 0 <= strength <= 1:
        raise ValueError(
            "strength must be a number from 0, the input as it is, to 1, the restored picture "
            f"alone; got {strength!r}"
        )


def check_count(count):
    """Checks a number of samples.

    Args:
        count: Must be a whole number of at least 2.

    Raises:
        ValueError: It is not.

    Example:
        >>> check_count(8)
    """
    if not isinstance(count, int | np.integer) or isinstance(count, bool) or count < 2:
        raise ValueError(
            f"the samples must be a whole number of at least 2, as one has no spread; got {count!r}"
        )


class _Passes:
    """Runs a known number of restorations, checks each, and tells how much of all is done."""

    def __init__(self, count, progress):
        self._count, self._progress = count, progress
        self._done = 0
        self._in_parts = False

    def run(self, restore, image):
        told = {} if self._progress is None else {"progress": self._tell}
        self._in_parts = False
        result = restore(image, **told)
        self._done += 1
        if self._progress is not None and self._count > 1 and not self._in_parts:
            self._progress(self._done, self._count)
        if (result.dtype, result.shape) != (image.dtype, image.shape):
            raise ValueError(
                f"expected restore to return {image.dtype} {image.shape} as it was given, got "
                f"{result.dtype} {result.shape}"
            )
        return result

    def _tell(self, done, parts):
        self._in_parts = True
        self._progress(self._done * parts + done, self._count * parts)


def _precise(restore, image, ensemble, passes):
    """The mean over the orientations, float32 in levels of the image's type, not rounded."""
    factor = _DEEPER if image.dtype == np.uint8 else 1
    ways = [(turns, mirrored) for turns in range(4) for mirrored in (False, True)]
    ways = ways if ensemble else ways[:1]
    total = None
    for way in ways:
        laid = np.multiply(_lay(image, *way), factor, dtype=np.uint16, order="C")
        back = _lay_back(passes.run(restore, laid), *way)
        if total is None:
            total = back.astype(np.float32)  # exact: eight times 65535 needs 19 bits of its 24
        else:
            cv2.accumulate(back, total)
    total /= np.float32(len(ways) * factor)
    return total


def _lay(image, turns, mirrored):
    turned = _turned(image, turns)
    return cv2.flip(turned, 1) if mirrored else turned


def _lay_back(image, turns, mirrored):
    return _turned(cv2.flip(image, 1) if mirrored else image, -turns)


def _turned(image, turns):
    """The image after quarter turns against the clock; OpenCV's take a tenth of NumPy's time."""
    turns %= 4
    return cv2.rotate(image, _QUARTER_TURNS[turns]) if turns else image


def _blended(values, image, strength):
    """Float32 values brought towards the image, in place."""
    if strength != 1:
        values -= image
        values *= np.float32(strength)
        values += image
    return values


def _rounded(values, dtype):
    return np.rint(values, out=values).astype(dtype)


def _check_image(image):
    found = isinstance(image, np.ndarray) and image.dtype in (np.uint8, np.uint16)
    if not found or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        described = f"{getattr(image, 'dtype', type(image))} of shape {np.shape(image)}"
        raise ValueError(
            "expected a non-empty uint8 or uint16 RGB image of shape (H, W, 3) to restore, got "
            f"{described}; images.read reads a file in that form"
        )

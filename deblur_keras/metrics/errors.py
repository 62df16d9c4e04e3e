"""Scores that compare pixel by pixel: MSE, MAE and PSNR."""

from keras import ops

from deblur_keras.metrics.graphs import compiled
from deblur_keras.metrics.pixels import prepare

PSNR_VARIANT = "PSNR (peak 255, error averaged over R, G and B, uint8)"
MSE_VARIANT = "MSE (squared grey levels of uint8, over R, G and B)"
MAE_VARIANT = "MAE (grey levels of uint8, over R, G and B)"

_STRIPS = 4  # that an image is cut into


def mse(sharp, restored, *, data_range):
    """Computes the mean squared error of each image, in squared 8-bit grey levels.

    ``mean((255 / data_range * (sharp - restored)) ** 2)`` over height, width and channels. The unit
    is that of the published tables, whatever the range of the inputs; for uint8 pixels
    (``data_range=255``) it is the plain mean squared difference.

    Args:
        sharp: Reference images, ``(B, H, W, C)``, integers or floats, an array or a tensor.
        restored: Images to judge, of the same shape.
        data_range: Difference between the largest and the smallest value that a pixel can take:
            255 for uint8, 2 for values in [-1, 1]. Never guessed.

    Returns:
        A float32 tensor ``(B,)``; 0 for equal images, 65025 for black against white.

    Raises:
        ValueError: If the shapes differ or are not ``(B, H, W, C)``, or ``data_range`` is not
            positive.

    Example:
        >>> import numpy as np
        >>> black = np.zeros((1, 4, 4, 3), "uint8")
        >>> float(mse(black, black + 2, data_range=255)[0])
        4.0
    """
    return _squared_error(*prepare(sharp, restored, data_range), 255.0 / data_range)


def mae(sharp, restored, *, data_range):
    """Computes the mean absolute error of each image, in 8-bit grey levels.

    ``mean(|255 / data_range * (sharp - restored)|)`` over height, width and channels, in the unit
    of uint8 pixels as in `mse`.

    Args:
        sharp: Reference images, ``(B, H, W, C)``, integers or floats, an array or a tensor.
        restored: Images to judge, of the same shape.
        data_range: As in `mse`.

    Returns:
        A float32 tensor ``(B,)``; 0 for equal images, 255 for black against white.

    Raises:
        ValueError: As in `mse`.

    Example:
        >>> import numpy as np
        >>> black = np.zeros((1, 4, 4, 3), "uint8")
        >>> float(mae(black + 2, black, data_range=255)[0])
        2.0
    """
    return _absolute_error(*prepare(sharp, restored, data_range), 255.0 / data_range)


def psnr(sharp, restored, *, data_range):
    """Computes the peak signal-to-noise ratio of each image, in dB.

    ``10 log10(data_range ** 2 / mean((sharp - restored) ** 2))``, the error averaged over height,
    width and channels. Integers are converted before they are subtracted, so that black against
    white is 0 dB: an unsigned difference wraps around and scores a bad image as a good one.

    Args:
        sharp: Reference images, ``(B, H, W, C)``, integers or floats, an array or a tensor.
        restored: Images to judge, of the same shape.
        data_range: As in `mse`.

    Returns:
        A float32 tensor ``(B,)``; infinity for equal images.

    Raises:
        ValueError: As in `mse`.

    Example:
        >>> import numpy as np
        >>> black = np.zeros((1, 4, 4, 3), "uint8")
        >>> float(psnr(black, black + 255, data_range=255)[0])
        0.0
    """
    return _decibels(*prepare(sharp, restored, data_range), 1.0 / data_range)


@compiled
def _decibels(sharp, restored, scale):
    """Computes the PSNR of each image, (B,), of differences that are scaled to a range of 1."""
    # not -log10(x): black against white is 0 dB, not -0 dB
    return 10.0 * ops.log10(1.0 / _squared_error(sharp, restored, scale))


@compiled
def _squared_error(sharp, restored, scale):
    """Computes the mean of the squared and scaled difference of each image, (B,)."""
    return _mean_of_difference(ops.square, sharp, restored, scale)


@compiled
def _absolute_error(sharp, restored, scale):
    """Computes the mean of the absolute and scaled difference of each image, (B,)."""
    return _mean_of_difference(ops.abs, sharp, restored, scale)


def _mean_of_difference(function, sharp, restored, scale):
    """Averages a function of the scaled difference over each image, strip by strip.

    What is computed of a strip is still in the processor's cache when it is needed; of a whole
    photograph it is written to memory and read back at each step.
    """
    height = ops.shape(sharp)[1]
    total = 0.0
    for strip in range(_STRIPS):
        rows = slice(height * strip // _STRIPS, height * (strip + 1) // _STRIPS)  # may be empty
        # float32 before the subtraction: unsigned integers would wrap around
        x, y = ops.cast(sharp[:, rows], "float32"), ops.cast(restored[:, rows], "float32")
        total = total + ops.sum(function((x - y) * scale), axis=(1, 2, 3))
    count = ops.prod([ops.cast(size, "float32") for size in ops.shape(sharp)[1:]])
    return total / count

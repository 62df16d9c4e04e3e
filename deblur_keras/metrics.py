"""PSNR, SSIM and MSE: pure functions per image, and ``keras.metrics`` over the same functions.

Published deblurring figures differ by several decibels for one set of weights because the protocol
is left unsaid. Here each function takes the range of its values explicitly, and the variant of SSIM
has a name, ``SSIM_VARIANT``, which every report of this library prints beside the number.

All functions are written in ``keras.ops``: they run on any Keras backend, eagerly or inside a
compiled function, with a height and width that are known only at run time.
"""

import keras
import numpy as np
from keras import ops

from deblur_keras import images

PSNR_VARIANT = "PSNR (peak 255, error averaged over R, G and B, uint8)"
SSIM_VARIANT = "SSIM (11x11 Gaussian, sigma 1.5, population covariance, RGB, uint8)"
MSE_VARIANT = "MSE (squared grey levels of uint8, over R, G and B)"

WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03
_HIGHEST = 100.0  # dB, in averages


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
    return _squared_error(sharp, restored, data_range, peak=255.0)


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
    error = _squared_error(sharp, restored, data_range, peak=1.0)
    # 0.0 - x and not -x: black against white is 0 dB, not -0 dB
    return 0.0 - 10.0 * ops.log10(error)


def ssim(sharp, restored, *, data_range):
    """Computes the structural similarity of each image, in the variant `SSIM_VARIANT`.

    Local means, variances and the covariance under an 11x11 Gaussian window of sigma 1.5 that sums
    to 1, without the sample correction n / (n - 1); K1 = 0.01 and K2 = 0.03; the mean over all
    windows that lie wholly inside the image, and over the channels.

    It is the number that scikit-image gives with ``structural_similarity(..., channel_axis=-1,
    gaussian_weights=True, sigma=1.5, use_sample_covariance=False)``, and TensorFlow with
    ``tf.image.ssim``, to 1e-4.

    Args:
        sharp: Reference images, ``(B, H, W, C)``, integers or floats, an array or a tensor. The
            number of channels must be known; height and width may be dynamic.
        restored: Images to judge, of the same shape.
        data_range: As in `mse`.

    Returns:
        A float32 tensor ``(B,)`` with values up to 1, which equal images reach.

    Raises:
        ValueError: As in `mse`, and if height or width is known to be below 11 pixels, where no
            window fits. Where the size is known at run time only, the backend raises.

    Example:
        >>> import numpy as np
        >>> photo = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), "uint8")
        >>> round(float(ssim(photo, photo, data_range=255)[0]), 4)
        1.0

    Reference:
        Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment: From Error Visibility to
        Structural Similarity, IEEE Transactions on Image Processing 13(4), 2004, equation (13) and
        section III-C.
    """
    x, y = _prepare(sharp, restored, data_range)
    _, height, width, channels = x.shape
    if channels is None:
        raise ValueError(f"ssim needs a known number of channels; got images of shape {x.shape}.")
    if any(size is not None and size < WINDOW for size in (height, width)):
        raise ValueError(
            f"ssim needs images of at least {WINDOW}x{WINDOW} pixels, the size of its window; got "
            f"{height}x{width}. Score such images with psnr or mse."
        )
    # Variances and the covariance do not depend on constant offsets, the means do. Moments about
    # each image's own mean colour lose far fewer float32 digits in E[x^2] - E[x]^2.
    offset_x = ops.mean(x, axis=(1, 2), keepdims=True)
    offset_y = ops.mean(y, axis=(1, 2), keepdims=True)
    x, y = x - offset_x, y - offset_y
    moments = _blur(ops.concatenate([x, y, x * x + y * y, x * y], axis=-1), 4 * channels)
    mean_x, mean_y, squares, products = ops.split(moments, 4, axis=-1)
    covariance = products - mean_x * mean_y
    # only the sum of both variances is needed; rounding may leave it a little below zero
    variances = ops.maximum(squares - mean_x * mean_x - mean_y * mean_y, 0.0)

    mean_x, mean_y = mean_x + offset_x, mean_y + offset_y
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    luminance = (2.0 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    structure = (2.0 * covariance + c2) / (variances + c2)
    return ops.mean(luminance * structure, axis=(1, 2, 3))


def to_pixels(batch):
    """Rounds images in [-1, 1] to the 256 grey levels that a file can hold.

    Args:
        batch: Images in [-1, 1], float; values outside are clipped.

    Returns:
        A float32 tensor of the same shape that holds whole numbers from 0 to 255, and NaN where
        ``batch`` is not finite.

    Example:
        >>> import numpy as np
        >>> [float(level) for level in to_pixels(np.array([-1.0, 0.1, 3.0], "float32"))]
        [0.0, 140.0, 255.0]
    """
    batch = ops.convert_to_tensor(batch)
    pixels = ops.cast(images.to_uint8(batch), "float32")
    # A cast makes some grey level of NaN, and a broken network would get a score.
    return ops.where(ops.isfinite(batch), pixels, float("nan"))


@keras.saving.register_keras_serializable("deblur_keras")
class PSNR(keras.metrics.Mean):
    """Averages `psnr` over images in [-1, 1], which are rounded to uint8 levels first.

    The mean is over images, in dB. More than 100 dB, an image that equals its reference included,
    counts as 100, so that one such crop leaves the mean of a training epoch finite.

    Args:
        name: Name of the metric in the logs.
        dtype: Data type of the sum, float32 by default.

    Example:
        >>> import numpy as np
        >>> metric = PSNR()
        >>> metric.update_state(np.full((2, 8, 8, 3), -1.0), np.full((2, 8, 8, 3), 1.0))
        >>> float(metric.result())
        0.0
    """

    def __init__(self, name="psnr", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds the images of one batch.

        Args:
            y_true: Sharp images ``(B, H, W, C)`` in [-1, 1].
            y_pred: Restored images of the same shape.
            sample_weight: Optional weights ``(B,)``.
        """
        values = psnr(to_pixels(y_true), to_pixels(y_pred), data_range=255)
        return super().update_state(ops.minimum(values, _HIGHEST), sample_weight)


@keras.saving.register_keras_serializable("deblur_keras")
class SSIM(keras.metrics.Mean):
    """Averages `ssim` over images in [-1, 1], which are rounded to uint8 levels first.

    Args:
        name: Name of the metric in the logs.
        dtype: Data type of the sum, float32 by default.

    Example:
        >>> import numpy as np
        >>> metric = SSIM()
        >>> metric.update_state(np.zeros((2, 16, 16, 3)), np.zeros((2, 16, 16, 3)))
        >>> round(float(metric.result()), 4)
        1.0
    """

    def __init__(self, name="ssim", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds the images of one batch.

        Args:
            y_true: Sharp images ``(B, H, W, C)`` in [-1, 1], at least 11x11 pixels.
            y_pred: Restored images of the same shape.
            sample_weight: Optional weights ``(B,)``.
        """
        values = ssim(to_pixels(y_true), to_pixels(y_pred), data_range=255)
        return super().update_state(values, sample_weight)


def _prepare(sharp, restored, data_range):
    """Converts both sides to float32 tensors and checks what is known of their shapes."""
    if not data_range > 0:
        raise ValueError(f"data_range must be positive, 255 for uint8 pixels; got {data_range!r}.")
    # from any integer type to float32 before the difference is taken: uint8 would wrap around
    sharp = ops.cast(ops.convert_to_tensor(sharp), "float32")
    restored = ops.cast(ops.convert_to_tensor(restored), "float32")
    shapes = tuple(sharp.shape), tuple(restored.shape)
    if any(len(shape) != 4 for shape in shapes):
        raise ValueError(
            f"Expected two batches of images (B, H, W, C); got the shapes {shapes[0]} and "
            f"{shapes[1]}. Give a single image as image[None]."
        )
    if any(None not in sizes and sizes[0] != sizes[1] for sizes in zip(*shapes, strict=True)):
        raise ValueError(f"Both batches must have the same shape; got {shapes[0]} and {shapes[1]}.")
    return sharp, restored


def _squared_error(sharp, restored, data_range, peak):
    """Computes the mean squared difference, (B,), of values whose range is scaled to ``peak``."""
    sharp, restored = _prepare(sharp, restored, data_range)
    return ops.mean(ops.square((sharp - restored) * (peak / data_range)), axis=(1, 2, 3))


def _blur(maps, channels):
    """Averages each channel under the Gaussian window, where it fits: (H, W) -> (H-10, W-10)."""
    positions = np.arange(WINDOW) - WINDOW // 2
    window = np.exp(-(positions**2) / (2.0 * SIGMA**2))
    window = np.tile((window / window.sum()).astype("float32"), (channels, 1)).T  # (11, channels)
    vertical, horizontal = window[:, None, :, None], window[None, :, :, None]
    maps = ops.depthwise_conv(maps, vertical, padding="valid", data_format="channels_last")
    return ops.depthwise_conv(maps, horizontal, padding="valid", data_format="channels_last")

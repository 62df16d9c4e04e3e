"""The scores as ``keras.metrics``, for batches in [-1, 1].

Each class is a thin face of the function of its name: images are rounded to the levels that a file
would hold, scored, and averaged over images.
"""

import keras
from keras import ops

from deblur_keras.metrics.errors import mae, mse, psnr
from deblur_keras.metrics.pixels import to_pixels
from deblur_keras.metrics.structure import ms_ssim, ssim, ssim_y

_HIGHEST = 100.0  # dB, in averages


class _ImageMean(keras.metrics.Mean):
    """Averages a score over images in [-1, 1], which are rounded to uint8 levels first."""

    score = None  # (sharp, restored, *, data_range) -> (B,)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds the images of one batch.

        Args:
            y_true: Sharp images ``(B, H, W, C)`` in [-1, 1].
            y_pred: Restored images of the same shape.
            sample_weight: Optional weights ``(B,)``.
        """
        values = type(self).score(to_pixels(y_true), to_pixels(y_pred), data_range=255)
        return super().update_state(values, sample_weight)


@keras.saving.register_keras_serializable("deblur_keras")
class PSNR(_ImageMean):
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

    @staticmethod
    def score(sharp, restored, *, data_range):
        """Computes `psnr`, 100 dB at most."""
        return ops.minimum(psnr(sharp, restored, data_range=data_range), _HIGHEST)

    def __init__(self, name="psnr", dtype=None):
        super().__init__(name=name, dtype=dtype)


@keras.saving.register_keras_serializable("deblur_keras")
class SSIM(_ImageMean):
    """Averages `ssim` over images in [-1, 1], which are rounded to uint8 levels first.

    Images must have at least 11x11 pixels.

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

    score = staticmethod(ssim)

    def __init__(self, name="ssim", dtype=None):
        super().__init__(name=name, dtype=dtype)


@keras.saving.register_keras_serializable("deblur_keras")
class SSIMY(_ImageMean):
    """Averages `ssim_y` over images in [-1, 1], which are rounded to uint8 levels first.

    Images must have at least 11x11 pixels.

    Args:
        name: Name of the metric in the logs.
        dtype: Data type of the sum, float32 by default.

    Example:
        >>> import numpy as np
        >>> metric = SSIMY()
        >>> metric.update_state(np.zeros((2, 16, 16, 3)), np.zeros((2, 16, 16, 3)))
        >>> round(float(metric.result()), 4)
        1.0
    """

    score = staticmethod(ssim_y)

    def __init__(self, name="ssim_y", dtype=None):
        super().__init__(name=name, dtype=dtype)


@keras.saving.register_keras_serializable("deblur_keras")
class MSSSIM(_ImageMean):
    """Averages `ms_ssim` over images in [-1, 1], which are rounded to uint8 levels first.

    Images must have at least 161x161 pixels: it is for whole images, not for small crops.

    Args:
        name: Name of the metric in the logs.
        dtype: Data type of the sum, float32 by default.

    Example:
        >>> import numpy as np
        >>> metric = MSSSIM()
        >>> metric.update_state(np.zeros((2, 161, 161, 3)), np.zeros((2, 161, 161, 3)))
        >>> round(float(metric.result()), 4)
        1.0
    """

    score = staticmethod(ms_ssim)

    def __init__(self, name="ms_ssim", dtype=None):
        super().__init__(name=name, dtype=dtype)


@keras.saving.register_keras_serializable("deblur_keras")
class MSE(_ImageMean):
    """Averages `mse` over images in [-1, 1], which are rounded to uint8 levels first.

    In squared grey levels. ``keras.metrics.MeanSquaredError`` is of the [-1, 1] values instead.

    Args:
        name: Name of the metric in the logs.
        dtype: Data type of the sum, float32 by default.

    Example:
        >>> import numpy as np
        >>> metric = MSE()
        >>> metric.update_state(np.zeros((2, 8, 8, 3)), np.full((2, 8, 8, 3), 2 / 127.5))
        >>> float(metric.result())
        4.0
    """

    score = staticmethod(mse)

    def __init__(self, name="mse", dtype=None):
        super().__init__(name=name, dtype=dtype)


@keras.saving.register_keras_serializable("deblur_keras")
class MAE(_ImageMean):
    """Averages `mae` over images in [-1, 1], which are rounded to uint8 levels first.

    In grey levels. ``keras.metrics.MeanAbsoluteError`` is of the [-1, 1] values instead.

    Args:
        name: Name of the metric in the logs.
        dtype: Data type of the sum, float32 by default.

    Example:
        >>> import numpy as np
        >>> metric = MAE()
        >>> metric.update_state(np.zeros((2, 8, 8, 3)), np.full((2, 8, 8, 3), 2 / 127.5))
        >>> float(metric.result())
        2.0
    """

    score = staticmethod(mae)

    def __init__(self, name="mae", dtype=None):
        super().__init__(name=name, dtype=dtype)

"""Structural similarity: SSIM of R, G and B, SSIM of luma, and multi-scale SSIM of luma."""

import numpy as np
from keras import ops

from deblur_keras.metrics.graphs import compiled
from deblur_keras.metrics.pixels import check_channels, check_size, luma, prepare

SSIM_VARIANT = "SSIM (11x11 Gaussian, sigma 1.5, population covariance, RGB, uint8)"
SSIM_Y_VARIANT = (
    "SSIM-Y (11x11 Gaussian, sigma 1.5, population covariance, "
    "BT.601 luma 0.299 R + 0.587 G + 0.114 B in the range of the pixels, unrounded)"
)
MS_SSIM_VARIANT = (
    "MS-SSIM (five scales, weights of Wang et al. 2003, as MeTriX MuX: 9/7 biorthogonal low-pass, "
    "contrast and structure averaged apart, BT.601 luma 0.299 R + 0.587 G + 0.114 B, unrounded)"
)

WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MS_SSIM_SIZE = 161
"""The smallest height and width for `ms_ssim`: halved four times and rounded up, 11."""

# Analysis low-pass of the biorthogonal 9/7 wavelet (Cohen, Daubechies, Feauveau), from the centre.
_LOW_PASS = (
    *(0.852698679008890, 0.377402855612830, -0.110624404418440),
    *(-0.023849465019560, 0.037828455507260),
)
_STRIP = 2**20  # pixels that are worked on at once, so that a 50-megapixel image needs no 10 GB


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
    sharp, restored = prepare(sharp, restored, data_range)
    check_channels(sharp, None, "ssim")
    check_size(sharp, WINDOW, "ssim, the size of its window")
    return _in_strips(_mean_ssim, sharp, restored, data_range)


def ssim_y(sharp, restored, *, data_range):
    """Computes the structural similarity of the luma of each image: `SSIM_Y_VARIANT`.

    `ssim` of ``0.299 R + 0.587 G + 0.114 B``, which is neither rounded nor moved to another range.

    Args:
        sharp: Reference images, ``(B, H, W, 3)``, or ``(B, H, W, 1)`` of luma.
        restored: Images to judge, of the same shape.
        data_range: As in `mse`.

    Returns:
        A float32 tensor ``(B,)`` with values up to 1.

    Raises:
        ValueError: As in `ssim`, and for other numbers of channels.

    Example:
        >>> import numpy as np
        >>> photo = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), "uint8")
        >>> round(float(ssim_y(photo, photo, data_range=255)[0]), 4)
        1.0

    Note:
        Figures "on the Y channel" from MATLAB's ``rgb2ycbcr`` and the code that follows it belong
        to luma squeezed to 16..235, and are a little higher for the same images.

    Reference:
        As `ssim`; luma: Recommendation ITU-R BT.601, section 2.5.1.
    """
    sharp, restored = prepare(sharp, restored, data_range)
    check_channels(sharp, (1, 3), "ssim_y")
    check_size(sharp, WINDOW, "ssim_y, the size of its window")
    return _in_strips(_mean_ssim_y, sharp, restored, data_range)


def ms_ssim(sharp, restored, *, data_range):
    """Computes the multi-scale structural similarity of each image: `MS_SSIM_VARIANT`.

    ``mean(l_5)^w_5 * prod_j (mean(c_j) mean(s_j))^w_j`` over five scales j, with l, c and s the
    luminance, contrast and structure of SSIM and w = 0.0448, 0.2856, 0.3001, 0.2363, 0.1333. It is
    what the benchmark of Koehler et al. reports, whose code calls MeTriX MuX 1.1: `luma`; the
    window of `ssim`, where it fits; between scales the low-pass filter of the biorthogonal 9/7
    wavelet, scaled to sum 1, over edges mirrored with the edge pixel repeated, and of its result
    every second row and column, from the first on.

    Args:
        sharp: Reference images, ``(B, H, W, 3)``, or ``(B, H, W, 1)`` of luma.
        restored: Images to judge, of the same shape.
        data_range: As in `mse`.

    Returns:
        A float32 tensor ``(B,)`` from 0 to 1, which equal images reach.

    Raises:
        ValueError: As in `mse`, for other numbers of channels, and if height or width is known to
            be below 161 pixels, of which the fifth scale keeps the 11 of a window. (176 is the
            limit where halving rounds down.)

    Example:
        >>> import numpy as np
        >>> photo = np.random.default_rng(0).integers(0, 256, (1, 161, 170, 3), "uint8")
        >>> round(float(ms_ssim(photo, photo, data_range=255)[0]), 4)
        1.0

    Reference:
        Wang, Simoncelli, Bovik: Multi-Scale Structural Similarity for Image Quality Assessment,
        Asilomar Conference on Signals, Systems and Computers, 2003, equation (7); MeTriX MuX 1.1,
        ``mssim_index.m`` (Rouse, Cornell University, 2007).

    Note:
        Here contrast and structure are averaged apart, while ``tf.image.ssim_multiscale`` and most
        later code average their product, and halve by averaging 2x2 pixels: their numbers differ.
        A scale whose mean structure is negative counts as 0, where MATLAB's power is complex.
        Moments are in float64, since the root of a variance near 0 magnifies what float32 rounds;
        JAX has them only when told so (``jax_enable_x64``).
    """
    sharp, restored = prepare(sharp, restored, data_range)
    check_channels(sharp, (1, 3), "ms_ssim")
    check_size(sharp, MS_SSIM_SIZE, "ms_ssim, whose fifth scale has a 16th of them")
    return _ms_ssim(sharp, restored, data_range)


def _in_strips(function, sharp, restored, data_range):
    """Averages a function over strips of rows that overlap by a window, where sizes are known."""
    _, height, width, _ = sharp.shape
    if height is None or width is None or height * width <= _STRIP:
        return function(sharp, restored, data_range)
    windows = height - WINDOW + 1
    rows = max(_STRIP // width, WINDOW)
    total = 0.0
    for top in range(0, windows, rows):
        part = slice(top, min(top + rows, windows) + WINDOW - 1)
        share = (part.stop - part.start - WINDOW + 1) / windows
        total = total + share * function(sharp[:, part], restored[:, part], data_range)
    return total


@compiled
def _mean_ssim(sharp, restored, data_range):
    """Computes SSIM of each image, (B,), from the moments of the sum and the difference of both.

    With p = x + y and q = x - y, 2 mean(x) mean(y) = (mean(p)^2 - mean(q)^2) / 2, and mean(x)^2 +
    mean(y)^2 = (mean(p)^2 + mean(q)^2) / 2; likewise the covariance and the variances. Four maps to
    blur are all it takes, and what differs between two images almost equal keeps its digits.
    """
    x, y = ops.cast(sharp, "float32"), ops.cast(restored, "float32")
    mean_p, variance_p = _moments(x + y)
    mean_q, variance_q = _moments(x - y)
    a, b = ops.square(mean_p) + 2.0 * (K1 * data_range) ** 2, ops.square(mean_q)
    c, d = variance_p + 2.0 * (K2 * data_range) ** 2, variance_q
    return ops.mean((a - b) * (c - d) / ((a + b) * (c + d)), axis=(1, 2))


@compiled
def _mean_ssim_y(sharp, restored, data_range):
    """Computes SSIM of the luma of each image, (B,)."""
    return _mean_ssim(luma(sharp), luma(restored), data_range)


@compiled
def _ms_ssim(sharp, restored, data_range):
    """Computes multi-scale SSIM of the luma of each image, (B,)."""
    x, y = luma(sharp)[..., 0], luma(restored)[..., 0]  # (B, H, W)
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    score = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        if scale:
            x, y = _halved(x), _halved(y)
        x0, y0 = ops.cast(x, "float64"), ops.cast(y, "float64")
        mean_x, mean_y = _window_mean(x0, 1), _window_mean(y0, 1)
        variance_x = ops.cast(_window_mean(x0 * x0, 1) - mean_x * mean_x, "float32")
        variance_y = ops.cast(_window_mean(y0 * y0, 1) - mean_y * mean_y, "float32")
        covariance = ops.cast(_window_mean(x0 * y0, 1) - mean_x * mean_y, "float32")
        deviations = ops.sqrt(ops.maximum(variance_x, 0.0) * ops.maximum(variance_y, 0.0))
        contrast = (2.0 * deviations + c2) / (variance_x + variance_y + c2)
        structure = (covariance + c2 / 2.0) / (deviations + c2 / 2.0)
        means = ops.mean(contrast, axis=(1, 2)) * ops.mean(structure, axis=(1, 2))
        score = score * ops.maximum(means, 0.0) ** weight
    mean_x, mean_y = ops.cast(mean_x, "float32"), ops.cast(mean_y, "float32")
    luminance = (2.0 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    return score * ops.mean(luminance, axis=(1, 2)) ** SCALE_WEIGHTS[-1]


def _moments(batch):
    """Computes mean and variance under the window, (B, H, W, C) -> 2 x (B, H', W'C)."""
    _, height, width, _ = ops.shape(batch)
    channels = batch.shape[-1]
    maps, offset = _centred(ops.reshape(batch, (-1, height, width * channels)), channels)
    mean = _window_mean(maps, channels)
    square = _window_mean(ops.square(maps), channels)
    # rounding may leave a variance a little below zero
    variance = ops.maximum(square - ops.square(mean), 0.0)
    return mean + offset[:, :, : ops.shape(mean)[2]], variance


def _centred(maps, channels):
    """Subtracts the mean colour of each image: (B, H, WC) -> (B, H, WC) and the colour, (B, 1, WC).

    Variances do not depend on a constant, and E[z^2] - E[z]^2 loses far fewer float32 digits about
    the mean. The colour is laid out as a row of pixels, which adds much faster than one pixel. Grey
    images have one number each, (B, 1, 1).
    """
    if channels == 1:
        offset = ops.mean(maps, axis=(1, 2), keepdims=True)
        return maps - offset, offset
    row = ops.mean(maps, axis=1)  # (B, WC)
    width = ops.shape(row)[1] // channels
    colour = ops.mean(ops.reshape(row, (-1, width, channels)), axis=1)
    offset = ops.tile(colour, (1, width))[:, None]
    return maps - offset, offset


def _window_mean(maps, channels):
    """Averages under the Gaussian, where it fits: (B, H, WC) -> (B, H - 10, (W - 10)C).

    The result of grey images lies on its side, (B, W - 10, H - 10): a convolution along the columns
    of one channel is slow, and nothing that is done to it minds.
    """
    positions = np.arange(WINDOW) - WINDOW // 2
    window = np.exp(-(positions**2) / (2.0 * SIGMA**2))
    window = window / window.sum()
    maps = _filter_rows(maps, window)
    if channels == 1:
        return _filter_rows(ops.swapaxes(maps, 1, 2), window)
    _, height, row = ops.shape(maps)
    width = row // channels
    maps = ops.reshape(maps, (-1, height, width, channels))
    window = np.tile(window[:, None], (1, channels))[None, :, :, None]
    window = ops.convert_to_tensor(window, maps.dtype)
    maps = ops.depthwise_conv(maps, window, padding="valid", data_format="channels_last")
    return ops.reshape(maps, (-1, height, (width - WINDOW + 1) * channels))


def _halved(maps):
    """Halves grey images by the 9/7 low-pass filter: (B, H, W) -> (B, ceil(W/2), ceil(H/2))."""
    taps = np.array([*_LOW_PASS[:0:-1], *_LOW_PASS])
    taps, edge = taps / taps.sum(), len(_LOW_PASS) - 1
    maps = ops.pad(maps, ((0, 0), (edge, edge), (edge, edge)), mode="symmetric")
    return _filter_rows(ops.swapaxes(_filter_rows(maps, taps, 2), 1, 2), taps, 2)


def _filter_rows(maps, taps, stride=1):
    """Correlates the columns with taps, where these fit: (B, H, K) -> (B, H', K).

    Everything beside the height is a channel of its own, which fills the processor's registers.
    """
    channels = ops.shape(maps)[2]
    taps = ops.convert_to_tensor(taps[:, None, None, None], maps.dtype)
    taps = ops.broadcast_to(taps, (taps.shape[0], 1, channels, 1))
    maps = ops.depthwise_conv(
        ops.expand_dims(maps, 2), taps, strides=stride, padding="valid", data_format="channels_last"
    )
    return ops.squeeze(maps, 2)

"""NIQE: how natural a photograph looks, without a sharp partner to compare it with.

For photographs whose sharp version nobody has. The model of sharp photographs is the official one;
it ships beside this file under its own notice, ``niqe.LICENSE``.
"""

import math
from functools import cache
from pathlib import Path

import cv2
import numpy as np

NIQE_VARIANT = (
    "NIQE (official model of 125 photographs, 96x96 blocks, luma of uint8; lower is better)"
)

BLOCK = 96
_MODEL = Path(__file__).with_name("niqe.npz")
_LUMA = np.array([0.298936021293775, 0.587043074451121, 0.114020904255103])  # MATLAB's rgb2gray
_WINDOW = cv2.getGaussianKernel(7, 7 / 6, cv2.CV_64F)
# Cubic convolution (a = -0.5) stretched to twice its width, at distances 3.5, 2.5, ... of a pixel.
_TAPS = np.array([-0.0234375, -0.0703125, 0.2265625, 0.8671875]) / 2
_HALVING = np.concatenate([_TAPS, _TAPS[::-1]])
_MARGIN = 10  # even, at least 3 rows of the window, halved, and 4 of the halving
_SHIFTS = (0, 1), (1, 0), (1, 1), (1, -1)
# Grey levels. Rounding leaves less of a difference that is zero, pixels never so small a true one.
_NOTHING = 1e-9


def niqe(image):
    """Computes NIQE, the distance of a photograph's statistics from those of sharp photographs.

    Each block of 96x96 pixels gives 36 features, 18 of the photograph and 18 of the photograph
    halved: the parameters of generalized Gaussians, fitted to the pixels after local mean and
    contrast are taken out, and to the products of neighbours. With their mean m and covariance S
    over the blocks, and those of 125 sharp photographs (m0, S0), the result is
    ``sqrt((m0 - m)' ((S0 + S) / 2)^-1 (m0 - m))``.

    It does not know what was photographed: sharp grass scores worse than a blurred cat. And few
    blocks score worse than many: a crop of 400x300 pixels of the Kodak photographs 4.6 on average,
    the whole 3.0. Compare versions of one photograph of one size, or means over the same set.

    Args:
        image: A whole photograph, uint8, RGB ``(H, W, 3)`` or grey ``(H, W)``. It must hold at
            least two blocks, 96x192 pixels, of more than one colour; what remains on the right and
            at the bottom after the last whole block is not looked at.

    Returns:
        A float, 0 or more, lower is better: sharp photographs score about 2 to 5.

    Raises:
        TypeError: If the pixels are not uint8.
        ValueError: If the image is neither RGB nor grey, or holds fewer than two blocks that are
            not of one colour.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).integers(0, 256, (200, 300), "uint8")
        >>> round(niqe(noise), 3)
        78.619

    Note:
        Where no pixel equals all 48 of the 7x7 around it, this is the number of the official MATLAB
        code: 3.65492152353770 published for one photograph of TID2013, 1e-12 from it here, and
        equal to 1e-12 to what that code gives under GNU Octave for six photographs of
        scikit-image. In areas of one grey level the official code decides by rounding errors
        whether a pixel is above, below or at its local mean; here it is at its mean. Four more
        published figures, of images with such areas, differ by 0.04 to 0.6 %, and the MATLAB and
        Octave figures of the same code by up to 4.5 %. As in the official code, the shape
        parameters of a block of one colour count as 0.2 in the mean, and nothing else of it counts.

        It works on whole uint8 photographs on the host, in NumPy and OpenCV at float64, and not in
        ``keras.ops``: no gradient passes through the search of the shape parameters. The image is
        read in bands of 96 rows, so that memory beyond the image grows with its width alone.

    Reference:
        Mittal, Soundararajan, Bovik: Making a "Completely Blind" Image Quality Analyzer, IEEE
        Signal Processing Letters 20(3), 2013, equations (1) to (10).
    """
    image = _checked(image)
    rows, columns = (size // BLOCK * BLOCK for size in image.shape[:2])
    tops = range(0, rows if columns else 0, BLOCK)
    bands = [_features(image[:rows, :columns], top) for top in tops]
    features = np.concatenate([np.empty((0, 36)), *bands])

    complete = features[np.isfinite(features).all(axis=1)]
    if len(complete) < 2:
        raise ValueError(
            f"niqe needs at least two blocks of {BLOCK}x{BLOCK} pixels that are not of one colour; "
            f"got {len(complete)} in an image of shape {image.shape}. Leave such images out."
        )
    sharp_mean, sharp_covariance = _model()
    distance = sharp_mean - np.nanmean(features, axis=0)
    covariance = (sharp_covariance + np.cov(complete, rowvar=False)) / 2
    return math.sqrt(distance @ np.linalg.solve(covariance, distance))


def _checked(image):
    """Refuses what is not a uint8 photograph."""
    image = np.asarray(image)
    if image.dtype != np.uint8:
        raise TypeError(
            f"niqe takes uint8 pixels from 0 to 255; got {image.dtype}. "
            "Convert values in [-1, 1] with deblur_keras.images.to_uint8."
        )
    if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ValueError(
            f"niqe takes one RGB (H, W, 3) or grey (H, W) image; got the shape {image.shape}."
        )
    return image


@cache
def _model():
    """Reads mean (36,) and covariance (36, 36) of the features of sharp photographs."""
    with np.load(_MODEL) as model:
        return model["mean"], model["covariance"]


@cache
def _shapes():
    """Tabulates generalized Gaussians of shape a = 0.2, 0.201, ..., 10.

    Returns:
        a, E|x|^2 / E[x^2] (increasing in a), sqrt(G(1/a) / G(3/a)), and G(2/a) / G(1/a).
    """
    shapes = np.arange(200, 10001) / 1000
    one, two, three = (np.array([math.gamma(n / a) for a in shapes]) for n in (1, 2, 3))
    return shapes, two**2 / (one * three), np.sqrt(one / three), two / one


def _features(image, top):
    """Computes the features, (blocks, 36), of the row of blocks that begins at row ``top``."""
    above = min(top, _MARGIN)
    grey = _luma(image[top - above : top + BLOCK + _MARGIN])
    # Halved pixel i is made of pixels 2i - 3 to 2i + 4, mirrored at the border: MATLAB's imresize.
    halved = cv2.sepFilter2D(
        grey, cv2.CV_64F, _HALVING, _HALVING, anchor=(3, 3), borderType=cv2.BORDER_REFLECT
    )[::2, ::2]
    full = _block_features(_normalized(grey, above, BLOCK))
    half = _block_features(_normalized(np.ascontiguousarray(halved), above // 2, BLOCK // 2))
    return np.hstack([full, half])


def _luma(rows):
    """Converts uint8 rows to whole grey levels, float64."""
    return np.floor(rows @ _LUMA + 0.5) if rows.ndim == 3 else rows.astype("float64")


def _normalized(grey, above, size):
    """Takes local mean and contrast out of ``size`` rows below ``above`` others, equation (1)."""
    mean, squares = (
        cv2.sepFilter2D(x, cv2.CV_64F, _WINDOW, _WINDOW, borderType=cv2.BORDER_REPLICATE)
        for x in (grey, grey * grey)
    )
    rows = slice(above, above + size)
    grey, mean, squares = grey[rows], mean[rows], squares[rows]
    deviation = grey - mean
    deviation[np.abs(deviation) < _NOTHING] = 0.0
    return deviation / (np.sqrt(np.abs(squares - mean * mean)) + 1.0)


def _block_features(band):
    """Computes 18 features of each block of a band ``(size, n * size)``: ``(n, 18)``."""
    size = len(band)
    blocks = band.reshape(size, -1, size).transpose(1, 0, 2).copy()
    shape, _, left, right = _fit(blocks)
    features = [shape, (left + right) / 2]
    for shift in _SHIFTS:
        features += _fit(blocks * np.roll(blocks, shift, axis=(1, 2)))
    return np.stack(features, axis=1)


def _fit(blocks):
    """Fits an asymmetric generalized Gaussian to each block, equations (4) to (8) of the paper.

    Args:
        blocks: Values ``(n, ...)``.

    Returns:
        Four arrays ``(n,)``: the shape, the mean, and the scales left and right of zero. NaN, and
        0.2 for the shape, where a block has no value on one side.
    """
    values = blocks.reshape(len(blocks), -1)
    above = np.maximum(values, 0.0)
    below = values - above
    above_squares, below_squares = (np.einsum("ij,ij->i", x, x) for x in (above, below))
    with np.errstate(invalid="ignore", divide="ignore"):
        left = np.sqrt(below_squares / np.count_nonzero(below, axis=1))
        right = np.sqrt(above_squares / np.count_nonzero(above, axis=1))
        magnitude = (above.sum(axis=1) - below.sum(axis=1)) / values.shape[1]
        ratio = magnitude**2 / ((above_squares + below_squares) / values.shape[1])
        skew = left / right
        ratio *= (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shapes, ratios, deviations, means = _shapes()
    nearest = np.searchsorted((ratios[1:] + ratios[:-1]) / 2, ratio)
    nearest[np.isnan(ratio)] = 0  # as MATLAB's min among NaN
    left, right = left * deviations[nearest], right * deviations[nearest]
    return shapes[nearest], (right - left) * means[nearest], left, right

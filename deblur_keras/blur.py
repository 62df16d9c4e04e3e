"""Makes motion blur: random camera trajectories, their point-spread functions, blurred photographs.

The way of a blur is trajectory -> psf -> photograph, one function for each arrow:
`random_trajectories` draws how a camera shakes, `psfs` exposes a point of light along it (both
from `trajectories`, as is `random_psfs`, which does both), `motion_blur` blurs a photograph with
the result. `average_frames` makes real blur instead, out of the frames of a fast camera.
"""

import functools

import cv2
import numpy as np

from deblur_keras.trajectories import (
    EXPOSURES,
    SCRIPT_EXPOSURES,
    SCRIPT_INTENSITIES,
    psfs,
    random_psfs,
    random_trajectories,
)

__all__ = [
    "EXPOSURES",
    "SCRIPT_EXPOSURES",
    "SCRIPT_INTENSITIES",
    "average_frames",
    "motion_blur",
    "psfs",
    "random_psfs",
    "random_trajectories",
]


def motion_blur(image, psf, gamma=2.2, noise=0.0, seed=None, faithful=False):
    """Blurs a photograph with a point-spread function.

    As in a photograph of a shaken camera it is light that mixes, not grey levels (`gamma`); the
    kernel is scaled to sum 1, so that levels stay what they were, and borders are reflected.

    Args:
        image: uint8, or floating point in [0, 1], of shape (H, W, C) or (H, W), any size.
        psf: non-negative (h, w) kernel; its origin, as in `psfs`, is pixel (h // 2, w // 2).
        gamma: light is `level ** gamma`; 1 blurs the levels themselves.
        noise: standard deviation of Gaussian noise, in grey levels of 255, added last.
        seed: of the noise; anything that `numpy.random.default_rng` takes.
        faithful: True makes the picture of the authors' code: see Note.

    Returns:
        Array of the shape and dtype of `image`.

    Raises:
        ValueError: an argument of the wrong kind or out of range.

    Example:
        >>> image = np.zeros((1, 5), "uint8")
        >>> image[0, 2] = 255
        >>> motion_blur(image, np.ones((1, 3)), gamma=1.0).tolist()
        [[0, 85, 85, 85, 0]]

    Reference:
        Kupyn et al., "DeblurGAN", 2018, section 4.

    Note:
        `faithful=True` is for comparison with the authors' code only: grey levels (no `gamma`) are
        stretched to [0, 1], blurred with zeros beyond the border, which darkens the frame, and
        stretched again, which changes black and white against the sharp photograph. The kernel's
        origin is pixel ((h - 1) // 2, (w - 1) // 2). Photographs need not be square here.
    """
    image = np.asarray(image)
    kernel = _checked_kernel(psf)
    _check_image(image)
    if not gamma > 0 or not noise >= 0:
        raise ValueError(f"expected gamma > 0 and noise >= 0, got gamma={gamma}, noise={noise}")
    if faithful:
        origin = [(side - 1) // 2 for side in kernel.shape]
        levels = _convolve(_stretched(image), kernel, origin, cv2.BORDER_CONSTANT)
        levels = _stretched(levels)
    else:
        origin = [side // 2 for side in kernel.shape]
        light = _convolve(_to_light(image, gamma), kernel, origin, cv2.BORDER_REFLECT_101)
        levels = _to_levels(light, gamma)
    if noise:
        grain = np.random.default_rng(seed).standard_normal(image.shape, np.float32)
        levels = np.clip(levels + grain * np.float32(noise / 255), 0, 1)
    return _like(levels, image.dtype)


def average_frames(frames, gamma=2.2):
    """Averages sharp frames of a fast camera in linear light, which is what a slow shutter does.

    Args:
        frames: array (T, H, W, 3) or iterable, such as a generator, of uint8 frames of one shape.
        gamma: light is `level ** gamma`; 1 averages the levels themselves.

    Returns:
        uint8 array of the shape of a frame.

    Raises:
        ValueError: no frames, or frames that are not uint8 or differ in shape.

    Example:
        >>> frames = np.array([[[0]], [[255]]], "uint8")
        >>> average_frames(frames).tolist(), average_frames(frames, gamma=1.0).tolist()
        ([[186]], [[128]])

    Reference:
        Nah et al., "Deep multi-scale CNN for dynamic scene deblurring", 2017, section 2.1; Kupyn
        et al., "DeblurGAN", 2018, section 6.3 (5 to 25 frames at 240 per second, gamma 2.2).
    """
    if not gamma > 0:
        raise ValueError(f"gamma must be above 0, got {gamma}")
    total, count = None, 0
    for frame in frames:
        frame = np.asarray(frame)
        if frame.dtype != np.uint8:
            raise ValueError(f"frames must be uint8, got {frame.dtype} at index {count}")
        if total is None:
            total = np.zeros(frame.shape, np.float64)
        elif frame.shape != total.shape:
            raise ValueError(
                f"frames must be of one shape: frame {count} is {frame.shape}, "
                f"those before {total.shape}"
            )
        total += _to_light(frame, gamma)
        count += 1
    if not count:
        raise ValueError("expected at least one frame, got none")
    return _like(_to_levels(total / count, gamma), np.dtype(np.uint8))


def _checked_kernel(psf):
    """The kernel in float64 with sum 1."""
    kernel = np.asarray(psf, np.float64)
    total = kernel.sum()
    if kernel.ndim != 2 or not 0 < total < np.inf or kernel.min() < 0:
        raise ValueError(
            "psf must be (h, w), finite, nowhere negative and not all zero, got shape "
            f"{kernel.shape} with sum {total:g}"
        )
    return kernel / total


def _check_image(image):
    if image.ndim not in (2, 3) or not image.size:
        raise ValueError(f"image must be non-empty (H, W, C) or (H, W), got shape {image.shape}")
    if image.dtype == np.uint8:
        return
    if not np.issubdtype(image.dtype, np.floating):
        raise ValueError(f"image must be uint8 or floating point in [0, 1], got {image.dtype}")
    if not (image.min() >= -1e-3 and image.max() <= 1 + 1e-3):  # said so that NaN fails too
        raise ValueError(
            f"a floating-point image must be in [0, 1], got [{image.min():g}, {image.max():g}]; "
            "for values in [-1, 1] pass (image + 1) / 2"
        )


def _convolve(image, kernel, origin, border):
    """Convolves each channel with a kernel whose origin is the pixel (row, column) `origin`."""
    # Only what is not zero, in the smallest odd kernel around the origin: a fraction of the work.
    rows, columns = np.nonzero(kernel)
    down, right = rows - origin[0], columns - origin[1]
    reach_y, reach_x = np.abs(down).max(), np.abs(right).max()
    mirrored = np.zeros((2 * reach_y + 1, 2 * reach_x + 1), np.float32)  # OpenCV correlates
    mirrored[reach_y - down, reach_x - right] = kernel[rows, columns]
    return cv2.filter2D(image, cv2.CV_32F, mirrored, borderType=border).reshape(image.shape)


def _stretched(image):
    """Stretches the levels of the whole image to [0, 1]; a constant image becomes 0."""
    image = image.astype(np.float32)
    lowest, highest = image.min(), image.max()
    return (image - lowest) / max(highest - lowest, np.finfo(np.float32).tiny)


def _to_light(image, gamma):
    """Levels -> linear light, float32 in [0, 1]."""
    if image.dtype == np.uint8:
        return _light_table(gamma)[image]
    return np.clip(image, 0, 1).astype(np.float32) ** np.float32(gamma)


@functools.lru_cache(maxsize=16)
def _light_table(gamma):
    """Linear light of the 256 levels."""
    return ((np.arange(256) / 255) ** gamma).astype(np.float32)


def _to_levels(light, gamma):
    """Linear light -> levels, float32 in [0, 1]; rounding errors below 0 are cut off first."""
    return np.clip(light, 0, 1, dtype=np.float32) ** np.float32(1 / gamma)


def _like(levels, dtype):
    """Levels in [0, 1] as the caller's dtype."""
    if dtype == np.uint8:
        return np.rint(levels * np.float32(255)).astype(np.uint8)
    return levels.astype(dtype)

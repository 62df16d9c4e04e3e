"""Makes motion blur: random camera trajectories, their point-spread functions, blurred photographs.

The way of a blur is trajectory -> psf -> photograph, one function for each arrow:
`random_trajectories` draws how a camera shakes (`trajectories`), `psfs` exposes a point of light
along it (`exposures`, with `random_psfs`, which does both), `motion_blur` blurs a photograph with
the result, and adds what else a camera does (`camera`). For blur that differs over the photograph
it takes what `random_shakes` and `random_psf_grids` draw (`shakes`). `average_frames` makes real
blur instead, out of the frames of a fast camera.
"""

import functools

import cv2
import numpy as np

from deblur_keras import camera
from deblur_keras.exposures import psfs, random_psfs
from deblur_keras.shakes import Shake, random_psf_grids, random_shakes
from deblur_keras.trajectories import (
    EXPOSURES,
    PATHS,
    SCRIPT_EXPOSURES,
    SCRIPT_INTENSITIES,
    random_trajectories,
    smooth_trajectories,
)

__all__ = [
    "EXPOSURES",
    "PATHS",
    "SCRIPT_EXPOSURES",
    "SCRIPT_INTENSITIES",
    "Shake",
    "average_frames",
    "motion_blur",
    "paste",
    "psfs",
    "random_psf_grids",
    "random_psfs",
    "random_shakes",
    "random_trajectories",
    "smooth_trajectories",
]

_BRIGHT = 250 / 255  # the level above which highlights rise; photographs clip within a few levels


def motion_blur(
    image,
    psf,
    gamma=2.2,
    noise=0.0,
    seed=None,
    faithful=False,
    *,
    place=None,
    highlights=1.0,
    shot_noise=0.0,
    read_noise=0.0,
    jpeg=None,
    moving=None,
):
    """Blurs a photograph with a point-spread function, or with a camera's shake.

    As in a photograph of a shaken camera it is light that mixes, not grey levels (`gamma`); the
    kernel is scaled to sum 1, so that levels stay what they were, and borders are reflected. The
    order is that of a camera: light, `highlights`, motion, clipping at white, `shot_noise` and
    `read_noise`, levels, `noise`, 8 bits, `jpeg`.

    Args:
        image: uint8, or floating point in [0, 1], of shape (H, W, C) or (H, W), any size.
        psf: non-negative (h, w) kernel; its origin, as in `psfs`, is pixel (h // 2, w // 2). For
            blur that differs over the photograph a grid (rows, columns, h, w) of such kernels,
            as from `random_psf_grids`, or a `Shake`, as from `random_shakes`.
        gamma: light is `level ** gamma`; 1 blurs the levels themselves.
        noise: standard deviation of Gaussian noise, in grey levels of 255, added to the levels.
        seed: of the noise; anything that `numpy.random.default_rng` takes.
        faithful: True makes the picture of the authors' code: see Note.
        place: (top, left, height, width), the row and column of the image's first pixel in the
            photograph it was cut from, and the size of that; None when it was not cut. Matters to
            grids and shakes alone.
        highlights: how bright white really was, at least 1: pixels above level 250 rise up to this
            before the blur, and leave streaks as lamps do (see `camera.raise_highlights`).
        shot_noise: standard deviation of the noise in white, as a part of white; its variance is
            proportional to the light (see `camera.add_sensor_noise`).
        read_noise: standard deviation of the noise in black, as a part of white.
        jpeg: quality, 1 to 100, of a JPEG that the result is written to and read back from; None
            for none.
        moving: something in front of the photograph that moves by itself, (front, mask, psf): an
            image like `image`, the share of each pixel that it covers, (H, W) in [0, 1], and its
            motion, the camera's included; `paste` makes the sharp picture of both. None for
            nothing.

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
        Kupyn et al., "DeblurGAN", 2018, section 4. The steps of a camera after Rim et al.,
        "Realistic blur synthesis for learning image deblurring", 2022.

    Note:
        `faithful=True` is for comparison with the authors' code only: grey levels (no `gamma`) are
        stretched to [0, 1], blurred with zeros beyond the border, which darkens the frame, and
        stretched again, which changes black and white against the sharp photograph. The kernel's
        origin is pixel ((h - 1) // 2, (w - 1) // 2). Photographs need not be square here. Of the
        other effects only `noise` is allowed.
    """
    image = np.asarray(image)
    motion = _checked_motion(psf)
    _check_image(image)
    if not gamma > 0 or not noise >= 0:
        raise ValueError(f"expected gamma > 0 and noise >= 0, got gamma={gamma}, noise={noise}")
    if not 1 <= highlights < np.inf or not 0 <= shot_noise < np.inf or not 0 <= read_noise < np.inf:
        raise ValueError(
            "expected highlights >= 1, shot_noise >= 0 and read_noise >= 0, got "
            f"{highlights}, {shot_noise} and {read_noise}"
        )
    generator = np.random.default_rng(seed)
    if faithful:
        others = (highlights, shot_noise, read_noise, jpeg, moving)
        if np.ndim(motion) != 2 or others != (1, 0, 0, None, None):
            raise ValueError(
                "faithful=True is the authors' picture: one kernel, no highlights, shot_noise, "
                "read_noise, jpeg or moving"
            )
        origin = [(side - 1) // 2 for side in motion.shape]
        levels = camera.convolve(_stretched(image), motion, origin, cv2.BORDER_CONSTANT)
        levels = _stretched(levels)
    else:
        light = _to_light(image, gamma)
        if highlights > 1:
            light = camera.raise_highlights(light, highlights, _BRIGHT**gamma)
        light = _moved(light, motion, place)
        if moving is not None:
            front, mask, own = moving
            front, mask = _checked_front(image, front, mask)
            covered = np.concatenate([_to_light(front, gamma) * mask, mask], axis=2)
            covered = _moved(covered, _checked_motion(own), place)
            light = light * (1 - covered[..., -1:]) + covered[..., :-1]
        if shot_noise or read_noise:
            clipped = np.clip(light, 0, 1)
            light = camera.add_sensor_noise(clipped, shot_noise, read_noise, generator)
        levels = _to_levels(light, gamma)
    if noise:
        grain = generator.standard_normal(image.shape, np.float32)
        levels = np.clip(levels + grain * np.float32(noise / 255), 0, 1)
    if jpeg is None:
        return _like(levels, image.dtype)
    pixels = camera.compress(_like(levels, np.dtype(np.uint8)), jpeg)
    return pixels if image.dtype == np.uint8 else (pixels / 255).astype(image.dtype)


def paste(image, front, mask):
    """Pastes a thing over a photograph: what a camera that is still sees of `motion_blur`'s moving.

    Args:
        image: uint8, or floating point in [0, 1], of shape (H, W, C).
        front: an image of the same shape and dtype.
        mask: (H, W) in [0, 1], the share of each pixel that the thing covers.

    Returns:
        Array of the shape and dtype of `image`.

    Raises:
        ValueError: the three do not fit together.

    Example:
        >>> black, white = np.zeros((1, 3, 1), "uint8"), np.full((1, 3, 1), 255, "uint8")
        >>> paste(black, white, np.float32([[0, 0.5, 1]])).ravel().tolist()
        [0, 128, 255]
    """
    image = np.asarray(image)
    _check_image(image)
    front, mask = _checked_front(image, front, mask)
    below, above = (_to_light(one, 1.0) for one in (image, front))
    return _like(below * (1 - mask) + above * mask, image.dtype)


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


def _moved(light, motion, place):
    """Light after the motion: a checked kernel, a grid of them, or a `Shake`."""
    shape = light.shape[:2]
    if place is not None:
        top, left, height, width = place
        if not (0 <= top <= height - shape[0] and 0 <= left <= width - shape[1]):
            raise ValueError(
                "place must be (top, left, height, width) of a photograph that holds the image of "
                f"{shape[1]}x{shape[0]} pixels, got {tuple(place)}"
            )
    if isinstance(motion, Shake):
        return camera.expose(light, motion, place)
    if motion.ndim == 4:
        return camera.convolve_grid(light, motion, place)
    return camera.convolve(light, motion, [side // 2 for side in motion.shape])


def _checked_motion(psf):
    """A `Shake` as it is; a kernel, or each of a grid of kernels, in float64 with sum 1."""
    if isinstance(psf, Shake):
        return psf
    kernels = np.asarray(psf, np.float64)
    if kernels.ndim in (2, 4) and kernels.size:
        totals = kernels.sum(axis=(-2, -1), keepdims=True)
        if totals.min() > 0 and totals.max() < np.inf and kernels.min() >= 0:
            return kernels / totals
    raise ValueError(
        "psf must be a Shake, (h, w) or (rows, columns, h, w), finite, nowhere negative and no "
        f"kernel all zero, got shape {kernels.shape} with sum {kernels.sum():g}"
    )


def _checked_front(image, front, mask):
    """A thing in front of an image, and its mask as float32 (H, W, 1)."""
    front, mask = np.asarray(front), np.asarray(mask, np.float32)
    if image.ndim != 3 or front.shape != image.shape or front.dtype != image.dtype:
        raise ValueError(
            "what is in front must be (H, W, C), of the shape and dtype of the image; got "
            f"{front.shape} {front.dtype} in front of {image.shape} {image.dtype}"
        )
    if mask.shape != image.shape[:2] or not (mask.min() >= 0 and mask.max() <= 1):
        raise ValueError(
            f"the mask must be (H, W) in [0, 1], of the image's size; got shape {mask.shape} for "
            f"{image.shape}, values from {mask.min():g} to {mask.max():g}"
        )
    return front, mask[..., None]


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

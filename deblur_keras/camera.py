"""What a camera does to light: it moves and rolls while it exposes, adds noise, compresses.

These are the steps of `blur.motion_blur`, one function each. All but the last take and give linear
light, float32 of shape (H, W, C) or (H, W) with white at 1.
"""

import functools
import io

import cv2
import numpy as np
from PIL import Image


def convolve(light, kernel, origin, border=cv2.BORDER_REFLECT_101):
    """Convolves each channel with one kernel.

    Args:
        light: float32 (H, W, C) or (H, W).
        kernel: (h, w), not all zero.
        origin: row and column of the kernel's origin.
        border: OpenCV's name for what lies beyond the border.

    Returns:
        float32 array of the shape of `light`.

    Example:
        >>> convolve(np.float32([[0, 0, 9, 0, 0]]), np.ones((1, 3)) / 3, (0, 1)).round(3).tolist()
        [[0.0, 3.0, 3.0, 3.0, 0.0]]
    """
    mirrored = _compact(kernel, origin)
    return cv2.filter2D(light, cv2.CV_32F, mirrored, borderType=border).reshape(light.shape)


def convolve_grid(light, kernels, place=None):
    """Convolves with kernels that change smoothly over the photograph.

    The kernels belong to the nodes of a grid that spans the photograph from corner to corner; at a
    pixel between them the four around it count by their nearness (bilinear). What is of one colour
    stays so, and equal kernels are one kernel.

    Args:
        light: float32 (H, W, C) or (H, W).
        kernels: (rows, columns, h, w), each with sum 1 and its origin at pixel (h // 2, w // 2).
        place: where `light` lies in its photograph, see `blur.motion_blur`.

    Returns:
        float32 array of the shape of `light`.

    Reference:
        Hirsch et al., "Efficient filter flow for space-variant multiframe blind deconvolution",
        2010.

    Note:
        The paper weights the light before it is spread; here the result is weighted, so that the
        brightness of even surfaces is exact instead of that of single points.
    """
    top, left, height, width = place or (0, 0, *light.shape[:2])
    down = _node_weights(light.shape[0], top, height, len(kernels))
    across = _node_weights(light.shape[1], left, width, kernels.shape[1])
    origin = [side // 2 for side in kernels.shape[2:]]
    total = np.zeros(light.shape, np.float32)
    for (row, weight_y), (column, weight_x) in ((y, x) for y in down for x in across):
        kernel = kernels[row, column]
        reach_y, reach_x = (side // 2 for side in _compact(kernel, origin).shape)
        inner_y, outer_y = _span(weight_y, reach_y)
        inner_x, outer_x = _span(weight_x, reach_x)
        if inner_y is None or inner_x is None:
            continue  # the node lies beyond this part of the photograph
        part = convolve(light[outer_y, outer_x], kernel, origin)
        trim_y = slice(inner_y.start - outer_y.start, inner_y.stop - outer_y.start)
        trim_x = slice(inner_x.start - outer_x.start, inner_x.stop - outer_x.start)
        weight = np.outer(weight_y[inner_y], weight_x[inner_x]).astype(np.float32)
        weight = weight.reshape(*weight.shape, *[1] * (light.ndim - 2))
        total[inner_y, inner_x] += weight * part[trim_y, trim_x]
    return total


def expose(light, shake, place=None):
    """Exposes a photograph while the camera moves and rolls: the mean of what it sees.

    The light is moved and turned about the photograph's middle to each sample of the shake, with
    bilinear interpolation and reflected borders, and averaged.

    Args:
        light: float32 (H, W, C) or (H, W), up to 4 channels.
        shake: a `shakes.Shake`.
        place: where `light` lies in its photograph, see `blur.motion_blur`.

    Returns:
        float32 array of the shape of `light`.

    Example:
        >>> from deblur_keras.shakes import Shake
        >>> light = np.zeros((5, 5), "float32")
        >>> light[2, 2] = 1
        >>> rolled = expose(light, Shake(np.zeros(50), np.linspace(-9, 9, 50)))
        >>> float(rolled[2, 2].round(3))  # the middle stays where it is
        1.0
    """
    top, left, height, width = place or (0, 0, *light.shape[:2])
    middle = complex((width - 1) / 2 - left, (height - 1) / 2 - top)
    bottom, right = light.shape[0] - 1, light.shape[1] - 1
    corners = np.array([0, right, 1j * bottom, right + 1j * bottom])
    total = np.zeros(light.shape, np.float32)
    for move, angle, share in zip(*shake.samples(np.abs(corners - middle).max()), strict=True):
        turn = np.exp(1j * angle)
        offset = middle - turn * middle + move
        matrix = np.array(
            [[turn.real, -turn.imag, offset.real], [turn.imag, turn.real, offset.imag]]
        )
        moved = cv2.warpAffine(
            light,
            matrix,
            (light.shape[1], light.shape[0]),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        cv2.scaleAdd(moved.reshape(light.shape), float(share), total, dst=total)
    return total


def raise_highlights(light, factor, start):
    """Gives back the light that the photograph clipped: what is white becomes brighter than white.

    A lamp that a photograph shows as 255 was many times brighter, and leaves streaks when the
    camera moves. All channels of a pixel rise by one factor, which follows from the darkest of them
    in a straight line, from 1 at `start` to the whole one at 1: what is white stays white, and
    bright colours, which are no lamps, stay what they are. Specks, such as the bright seams of
    sharpening, rise less: no more than the mean of the 3x3 pixels around them.

    Args:
        light: float32 (H, W, C) or (H, W), in [0, 1].
        factor: what white becomes, at least 1.
        start: light, below 1, above which it rises.

    Returns:
        float32 array of the shape of `light`.

    Example:
        >>> light = np.float32([[0.25, 0.25, 1, 1, 1]])
        >>> raise_highlights(light, 4.0, start=0.5).round(2).tolist()
        [[0.25, 0.25, 3.0, 4.0, 4.0]]

    Reference:
        Rim et al., "Realistic blur synthesis for learning image deblurring", 2022, which
        raises clipped pixels as well.
    """
    channels = light[..., None] if light.ndim == 2 else light
    # A minimum channel by channel takes a thirtieth of the time of `min(axis=2)`.
    darkest = functools.reduce(np.minimum, np.moveaxis(channels, -1, 0))
    share = np.clip((darkest - np.float32(start)) / np.float32(1 - start), 0, 1)
    share = np.minimum(share, cv2.blur(share, (3, 3)))
    gain = 1 + np.float32(factor - 1) * share
    return (channels * gain[..., None]).reshape(light.shape)


def add_sensor_noise(light, shot, read, seed=None):
    """Adds the noise of a sensor, `variance = shot ** 2 * light + read ** 2`.

    Args:
        light: float32 of any shape, not negative.
        shot: standard deviation at white (light 1) that comes with the light itself; 0.03 is
            visible, 0.1 is a dark room.
        read: standard deviation that is there without light; 0.002 is visible.
        seed: anything that `numpy.random.default_rng` takes.

    Returns:
        float32 array of the shape of `light`; may be below 0 where it is dark.

    Example:
        >>> noisy = add_sensor_noise(np.full(10000, 0.25, "float32"), 0.1, 0.0, seed=0)
        >>> round(float(noisy.std()), 3)
        0.05

    Reference:
        Foi et al., "Practical Poissonian-Gaussian noise modeling", 2008; Brooks et al.,
        "Unprocessing images for learned raw denoising", 2019, section 3.1: `shot` from 0.01 to
        0.11 in real cameras, `read` up to 0.015.

    Note:
        The Gaussian approximation of the photons' Poisson noise. No demosaicing follows, so
        neighbouring pixels and channels are independent.
    """
    grain = np.random.default_rng(seed).standard_normal(light.shape, np.float32)
    return light + grain * np.sqrt(np.float32(shot**2) * light + np.float32(read**2))


def compress(image, quality):
    """Writes pixels as JPEG and reads them back, with half the colour resolution as cameras do.

    Args:
        image: uint8 (H, W, 3), (H, W, 1) or (H, W).
        quality: 1 to 100.

    Returns:
        uint8 array of the shape of `image`.

    Raises:
        ValueError: a quality out of range, or an array that JPEG cannot hold.

    Example:
        >>> np.unique(compress(np.full((8, 8, 3), 128, "uint8"), 80)).tolist()
        [128]
    """
    if not 1 <= quality <= 100 or quality != int(quality):
        raise ValueError(f"the JPEG quality must be a whole number from 1 to 100, got {quality}")
    if image.ndim == 3 and image.shape[2] not in (1, 3):
        raise ValueError(f"JPEG holds 1 or 3 channels, got an image of shape {image.shape}")
    plain = image[..., 0] if image.shape[2:] == (1,) else image
    buffer = io.BytesIO()
    Image.fromarray(plain).save(buffer, "JPEG", quality=int(quality), subsampling="4:2:0")
    return np.array(Image.open(buffer)).reshape(image.shape)


def _compact(kernel, origin):
    """The smallest odd kernel around the origin that holds what is not zero, for correlation."""
    rows, columns = np.nonzero(kernel)
    down, right = rows - origin[0], columns - origin[1]
    reach_y, reach_x = np.abs(down).max(), np.abs(right).max()
    mirrored = np.zeros((2 * reach_y + 1, 2 * reach_x + 1), np.float32)  # OpenCV correlates
    mirrored[reach_y - down, reach_x - right] = kernel[rows, columns]
    return mirrored


def _node_weights(count, start, whole, nodes):
    """(node, its weight at each of `count` pixels from `start` on) for a side of `whole` pixels."""
    at = np.arange(start, start + count) * ((nodes - 1) / max(whole - 1, 1))
    return [(node, np.clip(1 - np.abs(at - node), 0, 1)) for node in range(nodes)]


def _span(weights, reach):
    """Slices of the pixels with weight, and of those within `reach`; None where there are none."""
    (lit,) = np.nonzero(weights)
    if not len(lit):
        return None, None
    first, last = int(lit[0]), int(lit[-1]) + 1
    return slice(first, last), slice(max(first - reach, 0), last + reach)

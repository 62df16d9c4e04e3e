"""Brings a restored photograph over its sharp one before they are compared.

A sharp photograph that was not taken through the same lens at the same time is neither equally
bright nor in quite the same place. Benchmarks with such references therefore fit an intensity scale
and a movement first, and score what the two then have in common. Koehler's moves by whole pixels
(`intensity_scale`, `displacement`, `shift`), RealBlur by a homography (`homography`, `warp`).

Nothing here needs TensorFlow. All functions are pure and may run in any thread.
"""

import cv2
import numpy as np

LUMINANCE = (0.299, 0.587, 0.114)  # of R, G and B: BT.601


class RegistrationError(ValueError):
    """Two images that cannot be brought over each other."""


def luminance(image):
    """Computes the luminance, ``0.299 R + 0.587 G + 0.114 B``, without rounding.

    Args:
        image: ``(H, W, 3)`` RGB, float32 or float64, of any range.

    Returns:
        Array ``(H, W)`` of the same type and range.

    Example:
        >>> luminance(np.full((1, 1, 3), 100.0)).round(6).tolist()
        [[100.0]]
    """
    return cv2.transform(image, np.array([LUMINANCE]))


def intensity_scale(reference, image):
    """Computes the factor that makes an image as bright as another, in the least-squares sense.

    ``sum(x z) / sum(z z)`` minimizes ``sum((x - s z) ** 2)`` over ``s``; the sums go over height,
    width and channels.

    Args:
        reference: Image ``x``, uint8 or float, of any shape.
        image: Image ``z`` of the same shape.

    Returns:
        A float; 0 for an image that is black throughout, where every factor fits as well.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> dark = np.full((2, 2, 3), 50, "uint8")
        >>> intensity_scale(2 * dark, dark)
        2.0

    Reference:
        Koehler, Hirsch, Mohler, Schoelkopf and Harmeling, "Recording and Playback of Camera Shake",
        ECCV 2012: the benchmark's ``eval_image.m``.
    """
    _check_shapes(reference, image)
    x, z = (np.asarray(side, np.float64).ravel() for side in (reference, image))
    # Not np.dot, whose threads wait for each other where other workers keep the cores busy.
    energy = np.einsum("i,i->", z, z)
    return float(np.einsum("i,i->", x, z) / energy) if energy else 0.0


def spectrum(image):
    """Computes the Fourier transform of an image's grey levels, for `displacement`.

    The grey level is the mean of R, G and B. Its mean over the image is taken away, which adds a
    constant to every correlation and so moves no maximum, but keeps the digits that decide.

    Args:
        image: ``(H, W, 3)`` uint8, or float with values of that size.

    Returns:
        float64 array ``(H, W)``: the half that determines the whole, packed as ``cv2.dft`` does.

    Example:
        >>> bool(spectrum(np.full((4, 6, 3), 9, "uint8")).any())  # nothing but its mean
        False
    """
    # The sum of whole levels is exact, and so is the mean of a flat image; a third of it is not.
    grey = cv2.transform(np.asarray(image, np.float64), np.ones((1, 3)))
    return cv2.dft(grey - grey.mean())


def displacement(reference, image):
    """Finds the whole-pixel shift that brings an image over another.

    The maximum of their circular cross-correlation, ``ifft2(X conj(Z))``: the one-pixel step of
    the method of Guizar-Sicairos et al., ``dftregistration(X, Z, 1)``.

    Args:
        reference: `spectrum` of the image to be met.
        image: `spectrum` of the image to be moved, of the same shape. A factor changes nothing.

    Returns:
        ``(down, right)`` in pixels, from ``-(H - H // 2)`` to ``H // 2 - 1`` and likewise for W:
        what `shift` takes. ``(0, 0)`` if one of them is flat.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> photo = np.random.default_rng(0).integers(0, 256, (32, 48, 3), "uint8")
        >>> moved = np.roll(photo, (3, -2), axis=(0, 1))
        >>> displacement(spectrum(moved), spectrum(photo))
        (3, -2)

    Reference:
        Guizar-Sicairos, Thurman and Fienup, "Efficient subpixel image registration algorithms",
        Optics Letters 33(2), 2008.
    """
    _check_shapes(reference, image)
    product = cv2.mulSpectrums(reference, image, 0, conjB=True)
    correlation = cv2.dft(product, flags=cv2.DFT_INVERSE | cv2.DFT_REAL_OUTPUT)
    place = np.unravel_index(np.argmax(correlation), correlation.shape)
    return tuple(
        int(index - size if index >= size // 2 else index)
        for index, size in zip(place, correlation.shape, strict=True)
    )


def shift(image, down, right):
    """Moves an image by whole pixels; what comes in over the border is 0.

    Args:
        image: Array ``(H, W)`` or ``(H, W, C)``, of any type.
        down: Pixels, negative for up; fewer than H.
        right: Pixels, negative for left; fewer than W.

    Returns:
        Array of the same shape and type.

    Raises:
        ValueError: If nothing of the image would be left.

    Example:
        >>> shift(np.array([[1, 2], [3, 4]]), 1, 0).tolist()
        [[0, 0], [1, 2]]
    """
    height, width = image.shape[:2]
    if abs(down) >= height or abs(right) >= width:
        raise ValueError(
            f"expected a shift within the image of {height}x{width} pixels; got {down} down and"
            f" {right} right, which leaves nothing of it"
        )
    moved = np.zeros_like(image)
    into, out_of = zip(_slices(down, height), _slices(right, width), strict=True)
    moved[into] = image[out_of]
    return moved


def homography(reference, image, iterations=100, smoothing=5):
    """Finds the homography that brings an image over another, by maximizing their correlation.

    Starts at the identity and maximizes the enhanced correlation coefficient of the luminances
    (``cv2.findTransformECC``), which heeds neither brightness nor contrast. It climbs to the
    nearest maximum: movements of a few pixels are found, a different view is not.

    Args:
        reference: Image to be met, float32 RGB ``(H, W, 3)``.
        image: Image to be moved, of the same shape.
        iterations: Number of steps. All are done: there is no other criterion to stop.
        smoothing: Side in pixels of the Gaussian that both are smoothed with, odd; 1 for none.

    Returns:
        float32 matrix ``(3, 3)`` that takes ``(x, y, 1)`` of the reference to the place in the
        image: what `warp` takes.

    Raises:
        RegistrationError: If the correlation has no maximum to be found from here, as for images
            that have nothing in common, or are flat.
        ValueError: If the shapes differ.

    Example:
        >>> coarse = np.random.default_rng(0).random((8, 12, 3), "float32")
        >>> photo = cv2.resize(coarse, (192, 128), interpolation=cv2.INTER_CUBIC)
        >>> matrix = homography(photo[:, 2:], photo[:, :-2])  # moved right by 2
        >>> np.round(matrix[:2, 2]).tolist()
        [2.0, 0.0]

    Reference:
        Evangelidis and Psarakis, "Parametric Image Alignment Using Enhanced Correlation Coefficient
        Maximization", IEEE Transactions on Pattern Analysis and Machine Intelligence 30(10), 2008.
    """
    _check_shapes(reference, image)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, iterations, 0)
    try:
        _, matrix = cv2.findTransformECC(
            luminance(reference),
            luminance(image),
            np.eye(3, dtype=np.float32),
            cv2.MOTION_HOMOGRAPHY,
            criteria,
            None,
            smoothing,
        )
    except cv2.error as error:
        if error.code != cv2.Error.StsNoConv:
            raise
        raise RegistrationError(
            "expected two images of the same scene, a few pixels apart; their correlation has no"
            f" maximum near the identity ({error.err})"
        ) from error
    if not np.isfinite(matrix).all():
        raise RegistrationError(f"the homography became {matrix.tolist()}: the images do not match")
    return matrix


def warp(image, matrix):
    """Moves an image by a homography, and says where there was anything to move.

    Bicubic, the image continued by reflection over its border; the mask by nearest neighbour.

    Args:
        image: float32 ``(H, W, 3)``.
        matrix: ``(3, 3)``, from a place in the result to its place in the image.

    Returns:
        ``(warped, mask)``: float32 ``(H, W, 3)``, and float32 ``(H, W)``, 1 where the place lies
        inside the image and 0 elsewhere. Bicubic values may overshoot the image's range.

    Example:
        >>> ramp = np.tile(np.arange(8, dtype="float32")[None, :, None], (4, 1, 3))
        >>> warped, mask = warp(ramp, np.array([[1, 0, 3], [0, 1, 0], [0, 0, 1.0]]))
        >>> warped[0, :, 0].tolist(), mask[0].tolist()
        ([3.0, 4.0, 5.0, 6.0, 7.0, 7.0, 6.0, 5.0], [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    """
    height, width = image.shape[:2]
    warped = cv2.warpPerspective(
        image,
        matrix,
        (width, height),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )
    mask = cv2.warpPerspective(
        np.ones((height, width), np.float32),
        matrix,
        (width, height),
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return warped, mask


def _check_shapes(reference, image):
    if reference.shape != image.shape:
        raise ValueError(
            f"expected two images of one shape; got {reference.shape} and {image.shape}"
        )


def _slices(step, size):
    """Returns where ``size - abs(step)`` pixels go, and where they come from, along one axis."""
    into = slice(max(step, 0), size + min(step, 0))
    return into, slice(max(-step, 0), size - max(step, 0))

"""Scores results on RealBlur as its authors' Python code does: registered before they are compared.

A pair of RealBlur was taken at the same time by two cameras through a beam splitter. What is left
of their differences in light and place would weigh more than the blur, so for each result ``z`` and
sharp image ``x``, in [0, 1]:

1. ``z' = sum(x z) / sum(z z) * z``, not clipped;
2. the homography that maximizes the enhanced correlation coefficient of their luminances, from the
   identity, both smoothed by a 5x5 Gaussian, in exactly 100 steps (the tolerance is 0);
3. ``z'`` moved by it, bicubic, continued by reflection; the mask, 1 where the place lies inside
   ``z'``, by nearest neighbour, 0 outside; both images multiplied by it;
4. PSNR: the squared error summed over pixels and channels, over 3 times the pixels of the mask;
   peak 1;
5. SSIM: the map between the masked images, 11x11 Gaussian of sigma 1.5, population covariance, K1 =
   0.01, K2 = 0.03, range 1; cut by 5 pixels on each side; its mean over the mask; the mean over R,
   G and B.

Reference:
    Rim, Lee, Won and Cho, "Real-World Blur Dataset for Learning and Benchmarking Deblurring
    Algorithms", ECCV 2020; its code, ``evaluation_RealBlur_ecc.py``. Restormer's
    ``evaluate_realblur.py`` computes the same.

Note:
    Where the homography is not found, the authors' script stops. Here the image is scored where it
    stands (steps 1, 4 and 5, the mask 1 throughout), and ``registered`` says so: leaving it out
    would reward a network for results that resemble nothing.

    The authors' script gives the blurred input's PSNR without steps 1 to 3. Here both sides are
    registered, so that the gain is not that of the registration.

    The authors used OpenCV 4.2.0 and scikit-image 0.17.2. Sums are taken in float64 here, and in
    float32 there.
"""

import math

import cv2
import numpy as np

from deblur_keras import registration

RULES = (
    "both images uint8 RGB in [0, 1]; the result z is scaled by sum(xz)/sum(zz) to the sharp x",
    "it is brought over the sharp image by the homography of greatest correlation (ECC from the"
    " identity, 100 steps, 5x5 smoothing; bicubic), the blurred input like the restored one",
    "both figures over what the moved image covers, SSIM without 5 pixels at each border",
    "an image whose homography is not found is scored where it stands",
)
"""Sentences to print beside the figures."""

VARIANTS = {
    "psnr": "PSNR, RealBlur's (peak 1, R, G and B, after ECC registration, over the covered area)",
    "ssim": "SSIM, RealBlur's (11x11 Gaussian, sigma 1.5, population covariance, R, G and B, after"
    " ECC registration, over the covered area)",
}
"""Dictionary from the figures to the sentence that tells each from others of its name."""

WINDOW = 11
_SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2
_BORDER = WINDOW // 2


def score(sharp, image):
    """Scores an image against its sharp partner, after registering it.

    Args:
        sharp: uint8 RGB ``(H, W, 3)``, at least 11x11 pixels.
        image: uint8 RGB of the same shape.

    Returns:
        Dictionary of ``psnr`` in dB (infinity where nothing differs) and ``ssim``, floats, and
        ``registered``, False if no homography was found.

    Raises:
        ValueError: If the two are not uint8 RGB of one shape, or too small.

    Example:
        >>> coarse = np.random.default_rng(0).integers(20, 100, (8, 12, 3)).astype("uint8")
        >>> sharp = cv2.resize(coarse, (192, 128), interpolation=cv2.INTER_CUBIC)
        >>> found = score(sharp[:, 2:], 2 * sharp[:, :-2])  # brighter, 2 pixels right
        >>> found["psnr"] > 50, found["ssim"] > 0.999, found["registered"]
        (True, True, True)
    """
    _check(sharp, image)
    x, z = (side.astype(np.float32) / np.float32(255) for side in (sharp, image))
    z *= np.float32(registration.intensity_scale(x, z))
    registered = True
    try:
        moved, mask = registration.warp(z, registration.homography(x, z))
    except registration.RegistrationError:
        registered = False
    if not registered or not mask[_BORDER:-_BORDER, _BORDER:-_BORDER].any():
        moved, mask, registered = z, np.ones(z.shape[:2], np.float32), False
    x, moved = (side.astype(np.float64) * mask[..., None] for side in (x, moved))
    error = np.sum((x - moved) ** 2) / (3 * np.sum(mask, dtype=np.float64))
    return {
        "psnr": float(-10 * np.log10(error)) if error else math.inf,
        "ssim": _ssim(x, moved, mask),
        "registered": registered,
    }


def _ssim(x, z, mask):
    """Computes the mean structural similarity of two masked images where the mask is 1."""
    mean_x, mean_z, square_x, square_z, product = map(_smooth, (x, z, x * x, z * z, x * z))
    variances = square_x - mean_x**2 + square_z - mean_z**2
    covariance = product - mean_x * mean_z
    similarity = (2 * mean_x * mean_z + _C1) * (2 * covariance + _C2)
    similarity /= (mean_x**2 + mean_z**2 + _C1) * (variances + _C2)
    inside = slice(_BORDER, -_BORDER), slice(_BORDER, -_BORDER)
    weights = mask[inside].astype(np.float64)
    # The mask is that of all channels: the mean of their means is one mean.
    return float(np.sum(similarity[inside] * weights[..., None]) / (3 * np.sum(weights)))


def _smooth(image):
    return cv2.GaussianBlur(image, (WINDOW, WINDOW), _SIGMA, borderType=cv2.BORDER_REFLECT)


def _check(sharp, image):
    """Refuses what is not two uint8 RGB images of one shape with room for a window."""
    shapes = sharp.shape, image.shape
    if any(side.dtype != np.uint8 or side.shape[2:] != (3,) for side in (sharp, image)):
        kinds = f"{sharp.dtype} {sharp.shape} and {image.dtype} {image.shape}"
        raise ValueError(f"expected two uint8 RGB images (H, W, 3); got {kinds}")
    if shapes[0] != shapes[1] or min(shapes[0][:2]) < WINDOW:
        raise ValueError(
            f"expected two images of one size, at least {WINDOW}x{WINDOW} pixels, the window of"
            f" SSIM; got {shapes[0]} and {shapes[1]}"
        )

"""Scores results on the dataset of Koehler et al. as its authors' MATLAB code does.

A shot of that dataset has no one sharp partner: while it was exposed, the camera stood at some 199
recorded places, and there is a sharp frame from each. A result is brought over every frame in turn,
in light and place, and counts with the best of these scores. Without these steps, a user of SRN
measured 19.4 dB where its authors have 26.75 (issue 45 of its code).

For each frame ``x`` and result ``z``, both uint8 RGB:

1. ``z' = sum(x z) / sum(z z) * z``;
2. the whole-pixel shift with the greatest circular cross-correlation of the grey levels (the mean
   of R, G and B) of ``x`` and ``z'``;
3. ``z'`` moved by it, 0 coming in over the border, and ``x`` set to 0 at the same places;
4. the figures between the luminances of both, ``0.299 R + 0.587 G + 0.114 B``, neither rounded nor
   clipped, over the whole frame, these zeros included.

Reference:
    Koehler, Hirsch, Mohler, Schoelkopf and Harmeling, "Recording and Playback of Camera Shake:
    Benchmarking Blind Deconvolution with a Real-World Database", ECCV 2012; its code,
    ``eval_image.m`` with ``dftregistration.m``, ``imshift.m`` and ``metrix_mux``, 2012.

Note:
    The authors' code can also give MAD, "most apparent distortion" (Larson and Chandler 2010), VIF
    and IFC. They are left out: no published figure uses them, and its MAD sees images clipped to
    [0, 1], as its ``myrgb2gray`` expects doubles of that range and gets [0, 255]. ``mae``, the mean
    absolute error, is ours.
"""

import math

import numpy as np

from deblur_keras import metrics, overlap, registration

RULES = (
    "each result is compared with all 198 to 200 sharp frames of its shot, both uint8 RGB",
    "for each frame x, the result z is scaled by sum(xz)/sum(zz), and moved by the whole pixels of"
    " greatest correlation; both are 0 where the moved result has nothing",
    "a shot counts with its best frame, for each figure by itself; the means are over the shots, 48"
    " in the full set",
    "of image 1, trajectory 3, frames 1-29 and 31-198 are used, as in the authors' script",
)
"""Sentences to print beside the figures."""

_ON = "over the whole registered frame, luminance 0.299 R + 0.587 G + 0.114 B, unrounded"
VARIANTS = {
    "psnr": f"PSNR, Koehler's (peak 255, {_ON}; best frame)",
    "ms_ssim": f"MS-SSIM, Koehler's MSSIM (5 levels, {_ON}; best frame)",
    "mse": f"MSE, Koehler's (squared grey levels, {_ON}; best frame)",
    "mae": f"MAE (grey levels, {_ON}; best frame; not among Koehler's figures)",
}
"""Dictionary from the figures to the sentence that tells each from others of its name."""

_V2 = "DeblurGAN-v2 (ICCV 2019), table on Koehler's dataset"
_COLUMN = "printed as SSIM there, by the benchmark's code its MSSIM"
PUBLISHED = (
    ("DeblurGAN", {"psnr": 26.10, "ms_ssim": 0.816}, _V2, f"WILD weights; {_COLUMN}"),
    ("DeblurGAN-v2, Inception-ResNet-v2", {"psnr": 26.72, "ms_ssim": 0.836}, _V2, _COLUMN),
    ("DeblurGAN-v2, MobileNet", {"psnr": 26.36, "ms_ssim": 0.820}, _V2, _COLUMN),
    ("SRN", {"psnr": 26.75, "ms_ssim": 0.837}, _V2, _COLUMN),
    ("DeepDeblur", {"psnr": 26.48, "ms_ssim": 0.807}, _V2, _COLUMN),
    ("Sun et al.", {"psnr": 25.22, "ms_ssim": 0.773}, _V2, _COLUMN),
)
"""Tuple of (who, figures, source, note): what was published under this protocol."""

# "For whatever reason ground truth image of (1,3) is missing": eval_image.m, of the 30th of 198.
_WITH_A_GAP = "image1/trajectory03", 199
_AROUND_THE_GAP = (*range(29), *range(30, 198))


def score(shot, images):
    """Scores images against the frames of a shot of Koehler's dataset.

    Args:
        shot: Object with a ``name`` such as ``"image1/trajectory03"``, ``frames`` and
            ``read_frame(number)``: a `datasets.records.Record` of the dataset ``kohler``, or a
            `datasets.kohler_folder.Shot`.
        images: List of uint8 RGB images ``(H, W, 3)``, such as the blurred and the restored one.

    Returns:
        List of dictionaries as of `score_shot`; ``best_frame`` is the number in ``shot.frames``.

    Raises:
        ValueError: If the shot has no frames, or as `score_shot` says.
        ImageError: If a frame cannot be read.
    """
    count = len(getattr(shot, "frames", ()))
    if not count:
        raise ValueError(
            f"{shot.name}: expected all sharp frames of a shot of Koehler's dataset, which the"
            " kohler protocol compares with, and there are none. Give the dataset kohler, or the"
            " folder of its unpacked archives; for other pairs use the gopro protocol"
        )
    numbers = frame_numbers(shot.name, count)
    scores = score_shot((shot.read_frame(number) for number in numbers), images)
    return [{**found, "best_frame": numbers[found["best_frame"]]} for found in scores]


def frame_numbers(name, count):
    """Lists the frames of a shot that the authors' script compares with.

    Args:
        name: Name of the shot, such as ``"image1/trajectory03"``.
        count: Number of frames that it has.

    Returns:
        List of numbers from 0: all, except that of image 1, trajectory 3, when it has its 199
        frames, the 30th and the 199th are left out.

    Example:
        >>> len(frame_numbers("image1/trajectory02", 199))
        199
        >>> len(frame_numbers("image1/trajectory03", 199))
        197
    """
    return list(_AROUND_THE_GAP if (name, count) == _WITH_A_GAP else range(count))


def score_shot(frames, images):
    """Scores images against all sharp frames of a shot, reading each frame once.

    Args:
        frames: Iterable of uint8 RGB arrays ``(H, W, 3)``; one at a time is kept.
        images: List of uint8 RGB images of the same shape, such as the blurred and the restored
            one.

    Returns:
        List of dictionaries of floats, one an image: ``psnr`` in dB, the greatest over the frames;
        ``ms_ssim``, the greatest, NaN for images below 161 pixels, which have no five scales;
        ``mse`` in squared grey levels, the least; ``mae`` in grey levels, the least; and
        ``best_frame``, the number from 0 of the frame with the greatest PSNR, an int.

    Raises:
        ValueError: If there are no frames, or something is no uint8 RGB image of that shape.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> frames = 2 * generator.integers(0, 100, (3, 24, 32, 3)).astype("uint8")
        >>> (found,) = score_shot(frames, [frames[1] // 2])
        >>> found["best_frame"], found["mse"]
        (1, 0.0)
    """
    for image in images:
        _check(image, images[0].shape)
    results, figures = [_View(image) for image in images], []
    for frame in frames:
        overlap.check_stop()  # a shot takes half a minute
        _check(frame, images[0].shape)
        figures.append(_compare(_View(frame), results))
    if not figures:
        raise ValueError("expected the sharp frames of a shot to compare with; got none")
    return [_best(*of_image) for of_image in np.transpose(figures, (1, 2, 0))]


class _View:
    """An image, and what is needed of it whatever it is compared with."""

    def __init__(self, image):
        self.image = image.astype(np.float64)
        self.luminance = registration.luminance(self.image)
        self.spectrum = registration.spectrum(self.image)


def _compare(frame, results):
    """Returns (mse, mae, ms_ssim) of each result against one frame."""
    pairs = [_registered(frame, result) for result in results]
    differences = [sharp - moved for sharp, moved in pairs]
    return [
        (np.mean(np.square(difference)), np.mean(np.abs(difference)), similarity)
        for difference, similarity in zip(differences, _ms_ssim(pairs), strict=True)
    ]


def _registered(frame, result):
    """Returns the luminances, ``(H, W)``, of a frame and of a result brought over it."""
    # Found without the factor, which does not move the maximum.
    step = registration.displacement(frame.spectrum, result.spectrum)
    scale = registration.intensity_scale(frame.image, result.image)
    kept = registration.shift(np.ones_like(result.luminance), *step)
    return frame.luminance * kept, scale * registration.shift(result.luminance, *step)


def _best(mse, mae, ms_ssim):
    """Returns the best of each figure over the frames."""
    best = int(np.argmin(mse))
    return {
        "psnr": 10 * math.log10(255**2 / mse[best]) if mse[best] else math.inf,
        "ms_ssim": float(np.max(ms_ssim)),
        "mse": float(mse[best]),
        "mae": float(np.min(mae)),
        "best_frame": best,
    }


def _ms_ssim(pairs):
    """Computes MS-SSIM of all pairs of luminances in one batch."""
    if min(pairs[0][0].shape) < metrics.MS_SSIM_SIZE:
        return [math.nan] * len(pairs)
    sharp, moved = (
        np.stack(side).astype(np.float32)[..., None] for side in zip(*pairs, strict=True)
    )
    return np.asarray(metrics.ms_ssim(sharp, moved, data_range=255))


def _check(image, shape):
    """Refuses what is not a uint8 RGB image of a shape."""
    if image.dtype != np.uint8 or image.shape != shape or len(shape) != 3 or shape[2] != 3:
        raise ValueError(
            "expected uint8 RGB images (H, W, 3), all frames and results of a shot of one shape,"
            f" here {shape}; got {image.dtype} {image.shape}"
        )

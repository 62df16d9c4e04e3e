"""Measures how the two images of a pair relate: alike, shifted, turned, which is the sharper one.

Each works on the pixels alone, is estimated from a reduced or grey version, and takes milliseconds.
"""

import math

import numpy as np

from deblur_keras import images

TURNS = {
    "turned by 90 degrees": np.rot90,
    "turned by 180 degrees": lambda image: image[::-1, ::-1],
    "turned by 270 degrees": lambda image: np.rot90(image, -1),
    "mirrored left to right": lambda image: image[:, ::-1],
    "mirrored top to bottom": lambda image: image[::-1],
}
"""What `turn` recognizes, with what does it to an array."""

_THUMBNAIL = 64  # px a side
_RECOGNIZED = 0.85  # correlation of thumbnails above which two show the same
_REDUCTIONS = (1, 2, 4)  # at which a shift is looked for
_LEAST_SIDE = 32  # px, of what phase correlation is asked about
_LARGEST_SHIFT = 0.25  # of the side, that is believed
_LEAST_GAIN = 1.0  # dB, of undoing a shift; below, blur has moved the peak and not the picture
_SMOOTHED = 1.5  # px, before parts of a pixel are told, so that few points make a paraboloid
_STEPS = 3  # places at most around which these are looked for
_CURVED = 1e-3  # part of the larger curvature that makes the smaller one count
_NO_ERROR = 0.01  # squared grey levels, so that equal pixels have a finite ratio


def resemblance(first, second):
    """Computes Pearson's correlation of two images reduced to 64x64 grey.

    Args:
        first: uint8 array (H, W, 3).
        second: Another; its shape may differ.

    Returns:
        A float in [-1, 1]; 0 where one of the two is of a single colour. A blurred photograph and
        its sharp version have above 0.9, two unrelated photographs mostly below 0.5.

    Example:
        >>> ramp = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
        >>> round(resemblance(ramp, ramp // 2), 2)
        1.0
    """
    return _correlation(_thumbnail(first), _thumbnail(second))


def turn(first, second):
    """Recognizes that the second image is the first one lying on its side, or mirrored.

    Args:
        first: uint8 array (H, W, 3).
        second: Another; its shape may differ.

    Returns:
        What was done to the first, a key of ``TURNS``, or None if the two resemble each other as
        they are, or not at all.

    Example:
        >>> ramp = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
        >>> turn(ramp, np.rot90(ramp)), turn(ramp, ramp)
        ('turned by 90 degrees', None)
    """
    first, second = _thumbnail(first), _thumbnail(second)
    alike = {name: _correlation(does(first), second) for name, does in TURNS.items()}
    name = max(alike, key=alike.get)
    asis = _correlation(first, second)
    return name if alike[name] >= _RECOGNIZED and alike[name] > asis + 0.1 else None


def displacement(blurred, sharp):
    """Measures by how far the blurred image lies off the sharp one, as a whole.

    Phase correlation alone is not to be believed here: the spectrum of a blur has signs of its own,
    so that a shake without any shift, or a fast pan, has its peaks ten pixels and more away. So
    grey images are correlated at three sizes, which gives three candidates in whole pixels, and the
    one is taken under which the sharp image, moved by it, differs least from the blurred one; or
    none, if that is not at least 1 dB better than leaving it in its place. The part of a pixel is
    the minimum of a paraboloid through the differences at this place and the eight around it.

    Args:
        blurred: uint8 array (H, W, 3).
        sharp: Another of the same shape.

    Returns:
        ``(right, down, gain)``: shift in pixels, and by how many dB the PSNR of the grey images
        rises when its whole pixels are undone. ``(0, 0, 0)`` for images too small to tell, below 32
        pixels.

    Example:
        >>> noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
        >>> right, down, gain = displacement(noise[:, :-5], noise[:, 5:])
        >>> round(right), round(down), gain > 20
        (5, 0, True)

    Reference:
        Kuglin and Hines, "The phase correlation image alignment method", 1975.

    Note:
        48 shifts at random by up to 6 pixels, of 12 photographs (Kodak), by the Fourier transform:
        0.02 pixels off at most, with noise of 4 grey levels too; 0.07 after Gaussian blur of 1.5
        pixels. With more blur a shift that is small against it, undoing which wins less than 1 dB,
        reads as less than it is: as no more than a pixel each way. Genuine pairs of REDS (40) and
        GoPro (5) read as 0.6 and 1.2 pixels at most.
    """
    import cv2

    blurred, sharp = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (blurred, sharp))
    height, width = blurred.shape
    if min(height, width) < _LEAST_SIDE:
        return 0.0, 0.0, 0.0
    candidates = {(0, 0)}
    for factor in _REDUCTIONS:
        if min(height, width) // factor >= _LEAST_SIDE:
            right, down = _phase_correlation(blurred, sharp, factor)
            if abs(right) <= _LARGEST_SHIFT * width and abs(down) <= _LARGEST_SHIFT * height:
                candidates.add((right, down))
    errors = _differences(blurred, sharp, candidates)
    best = _least(errors)
    if errors[best] * 10 ** (_LEAST_GAIN / 10) > errors[0, 0]:
        best = 0, 0
    gain = 10 * math.log10(errors[0, 0] / errors[best])
    return *_refined(blurred, sharp, best), gain


def sharpness(image):
    """Computes the mean gradient energy, ``mean(gx ** 2 + gy ** 2)`` by Sobel's operator.

    Taken at half size, where sensor noise counts less than edges.

    Args:
        image: uint8 array (H, W, 3).

    Returns:
        A float, in squared grey levels; of two images of one scene the blurred has the lower.

    Example:
        >>> sharpness(np.full((32, 32, 3), 7, np.uint8))
        0.0
    """
    import cv2

    grey = cv2.cvtColor(images.resize(image, 0.5), cv2.COLOR_RGB2GRAY).astype(np.float32)
    across, along = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return float((across**2 + along**2).mean())


def colourfulness(image):
    """Computes by how much the channels differ: the mean of ``|R - G|`` and ``|G - B|``.

    Taken at 64x64 pixels, where a sensor's noise, which differs from channel to channel, has gone.

    Args:
        image: uint8 array (H, W, 3).

    Returns:
        A float, in grey levels; 0 for grey images, above 3 for nearly all colour photographs.

    Example:
        >>> colourfulness(np.full((8, 8, 3), [200, 100, 110], np.uint8))
        55.0
    """
    small = _small(image).astype(float)
    return float(np.abs(np.diff(small, axis=-1)).mean())


def psnr(first, second):
    """Computes the PSNR of two uint8 images in dB, as `metrics.psnr` does, without TensorFlow.

    Args:
        first: uint8 array (H, W, 3).
        second: Another of the same shape.

    Returns:
        A float; infinite for equal images.

    Example:
        >>> black = np.zeros((4, 4, 3), np.uint8)
        >>> round(psnr(black, black + 1), 2), psnr(black, black)
        (48.13, inf)
    """
    import cv2

    error = cv2.norm(first, second, cv2.NORM_L2SQR) / first.size
    return 10 * math.log10(255**2 / error) if error else math.inf


def _small(image):
    """Reduces an image to 64x64, whatever its shape: enough to recognize it by."""
    import cv2

    size = (_THUMBNAIL, _THUMBNAIL)
    return cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)


def _thumbnail(image):
    import cv2

    return cv2.cvtColor(_small(image), cv2.COLOR_RGB2GRAY).astype(float)


def _correlation(first, second):
    first, second = first - first.mean(), second - second.mean()
    scale = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / scale) if scale > 0 else 0.0


def _phase_correlation(blurred, sharp, factor):
    """Finds the shift of the blurred grey image at one size, in whole pixels of the full one."""
    import cv2

    height, width = (_even_size(side // factor) for side in blurred.shape)
    small = []
    for image in (sharp, blurred):
        image = image[: height * factor, : width * factor]
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        small.append(image.astype(np.float32) - image.mean(dtype=np.float32))
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    (right, down), _ = cv2.phaseCorrelate(*small, window)
    return round(right * factor), round(down * factor)


def _differences(blurred, sharp, shifts):
    """Returns the mean squared difference from the sharp image moved by each shift.

    All are taken over the same part of the blurred image, which none moves beyond the border.
    """
    import cv2

    height, width = blurred.shape
    left, top = (max(abs(shift[axis]) for shift in shifts) for axis in (0, 1))
    inner = blurred[top : height - top, left : width - left]
    errors = {}
    for right, down in shifts:
        moved = sharp[top - down : height - top - down, left - right : width - left - right]
        errors[right, down] = cv2.norm(inner, moved, cv2.NORM_L2SQR) / inner.size + _NO_ERROR
    return errors


def _refined(blurred, sharp, shift):
    """Finds the part of a pixel that is missing from a shift in whole ones."""
    import cv2

    smooth = [
        cv2.GaussianBlur(image.astype(np.float32), (0, 0), _SMOOTHED) for image in (blurred, sharp)
    ]
    # A shift in whole pixels may be one or two off; but where there is none, blur makes none.
    for _ in range(_STEPS if any(shift) else 1):
        around = [(shift[0] + x, shift[1] + y) for y in (-1, 0, 1) for x in (-1, 0, 1)]
        errors = _differences(*smooth, around)
        centre, shift = shift, _least(errors)
        if shift == centre:
            break
    values = np.reshape([errors[place] for place in around], (3, 3))  # down, right
    slope = np.array([values[1, 2] - values[1, 0], values[2, 1] - values[0, 1]]) / 2
    across, along = (values[1, 0] + values[1, 2], values[0, 1] + values[2, 1]) - 2 * values[1, 1]
    mixed = (values[0, 0] + values[2, 2] - values[0, 2] - values[2, 0]) / 4
    curvatures, axes = np.linalg.eigh([[across, mixed], [mixed, along]])
    curved = curvatures > _CURVED * abs(curvatures).max()  # along stripes there is no minimum
    part = axes[:, curved] @ (axes.T[curved] @ -slope / curvatures[curved])
    right, down = np.clip(part, -1, 1) + centre
    return float(right), float(down)


def _least(errors):
    """Returns the shift of least error; of several, the shortest."""
    return min(errors, key=lambda shift: (errors[shift], math.hypot(*shift)))


def _even_size(side):
    """Returns the largest even size that OpenCV transforms as it is.

    It pads others to the next good size, and where that is odd its answer is off by half a pixel.
    """
    import cv2

    while side % 2 or cv2.getOptimalDFTSize(side) != side:
        side -= 1
    return side

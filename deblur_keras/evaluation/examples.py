"""Picks the images that an evaluation gained and lost most on, and the part of each to look at."""

import dataclasses
import math

import numpy as np

from deblur_keras import images
from deblur_keras.evaluation.scores import improvement

MOST = 5
"""Images to show of the best, and of the worst."""

CROP = 384
"""Width in pixels at which the part of an image is shown, enlarged by a whole factor."""

_LARGE, _SMALL = 2560, 480  # px, widths above which a part is not enlarged, and up to which more


@dataclasses.dataclass(frozen=True)
class Example:
    """Holds an image to look at.

    Attributes:
        row: Its `Score`.
        sides: Dictionary of uint8 RGB images of one shape: ``blurred``, ``restored``, ``sharp``;
            without the last for a photograph that has no sharp partner.
        part: Pair of slices, the rows and columns on which blurred and restored differ most.
        factor: Whole number by which the part is to be enlarged.
    """

    row: object
    sides: dict
    part: tuple
    factor: int

    @property
    def crops(self):
        """The part of each of the images, copies in full pixels."""
        return {side: np.ascontiguousarray(image[self.part]) for side, image in self.sides.items()}

    @property
    def is_whole(self):
        """Whether the part is the whole image."""
        return self.crops["blurred"].shape == self.sides["blurred"].shape


def measured(result):
    """Finds the first figure of a protocol that images have finite values of.

    Args:
        result: An `Evaluation`.

    Returns:
        ``(figure, rows)``: the `Figure` and the rows that have it, blurred and restored; None and
        an empty list if there is none.
    """
    for figure in result.protocol.figures:
        rows = [row for row in result.rows if math.isfinite(improvement(row, figure))]
        rows = [row for row in rows if math.isfinite(row.blurred[figure.name])]
        if rows:
            return figure, rows
    return None, []


def pick(result, most=MOST):
    """Picks the images with the largest and the smallest gains.

    Args:
        result: An `Evaluation`.
        most: Images of each kind.

    Returns:
        ``(best, worst)``: lists of `Score`, the best one and the worst one first. No image is in
        both: of less than ``2 * most`` images, the better half are the best.

    Example:
        >>> from deblur_keras.evaluation import Evaluation, Score, protocols
        >>> rows = [Score(str(n), 8, 8, {"psnr": 20.0}, {"psnr": 20.0 + n}) for n in range(3)]
        >>> best, worst = pick(Evaluation(protocols.find("gopro"), rows, {}, {}))
        >>> [row.name for row in best], [row.name for row in worst]
        (['2', '1'], ['0'])
    """
    figure, _ = measured(result)
    if figure is None:
        return result.rows[:most], []
    rows = [row for row in result.rows if not math.isnan(improvement(row, figure))]
    rows.sort(key=lambda row: -improvement(row, figure))
    best = min(most, (len(rows) + 1) // 2)
    return rows[:best], rows[best:][-most:][::-1]


def restore(row, pair, restorer, scale=1.0, saved=None):
    """Restores an image once more, to be looked at.

    Args:
        row: Its `Score`.
        pair: Its pair.
        restorer: Callable from uint8 RGB ``(H, W, 3)`` to the same.
        scale: Factor by which both sides are reduced first.
        saved: Folder of the restored images of the same run, ``<name>.png``, which are read
            instead where they are there; or None.

    Returns:
        An `Example`.

    Raises:
        Exception: Whatever reading and restoring raise.
    """
    blurred, sharp = pair.read()
    blurred = images.resize(blurred, scale)
    path = None if saved is None else saved / f"{row.name}.png"
    restored = images.read(path) if path and path.exists() else restorer(blurred)
    sides, other = {"blurred": blurred, "restored": restored}, blurred
    if sharp is not None:
        sides["sharp"] = images.resize(sharp, scale)
        other = sides["sharp"] if np.array_equal(blurred, restored) else blurred
    width, factor = _zoom(blurred.shape[1])
    height = width if width >= blurred.shape[1] else round(width * 2 / 3)
    return Example(row, sides, most_different(restored, other, height, width), factor)


def most_different(left, right, height, width):
    """Finds the part of a given size on which two images differ most, by the mean of the channels.

    Args:
        left: uint8 image ``(H, W, 3)``.
        right: Image of the same shape.
        height: Height of the part in pixels; that of the images where it is larger.
        width: Width of the part, likewise.

    Returns:
        Pair of slices, rows and columns. Images that are equal give the part at the top left.

    Example:
        >>> left, right = np.zeros((2, 30, 40, 3), "uint8")
        >>> left[20:24, 30:36] = 9
        >>> rows, columns = most_different(left, right, 4, 6)
        >>> rows.start, columns.start
        (20, 30)
    """
    import cv2

    height, width = min(height, left.shape[0]), min(width, left.shape[1])
    difference = np.abs(left.astype(np.float32) - right).mean(axis=-1)
    sums = cv2.integral(difference, sdepth=cv2.CV_64F)
    sums = sums[height:] - sums[:-height]
    sums = sums[:, width:] - sums[:, :-width]
    top, start = (int(place) for place in np.unravel_index(np.argmax(sums), sums.shape))
    return np.s_[top : top + height, start : start + width]


def _zoom(width):
    """Returns the width of the part to show of an image, and the factor to enlarge it by."""
    if width > _LARGE:
        return CROP, 1
    if width > _SMALL:
        return CROP // 2, 2
    factor = max(3, CROP // width)
    return CROP // factor, factor

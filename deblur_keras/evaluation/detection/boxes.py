"""Boxes around objects: classes, scores and corners, how far they overlap, and class names."""

import dataclasses
from pathlib import Path

import numpy as np

_SCORE_DIGITS = 5
_PIXEL_DIGITS = 2
_UNITS = np.array([1, 10**_SCORE_DIGITS, *[10**_PIXEL_DIGITS] * 4])  # of a packed row


class DetectionError(ValueError):
    """Says what is wrong with a detector, its class names or hand-drawn boxes, and what to do."""


@dataclasses.dataclass(frozen=True)
class Detections:
    """Holds the boxes of one image.

    Attributes:
        labels: Class numbers ``(n,)``, integers from 0, places in the list of class names.
        scores: Confidences ``(n,)`` in [0, 1]; 1 for boxes that a person drew.
        corners: ``(n, 4)``: left, top, right, bottom in pixels of the image, from its top left
            corner; the pixel in column 0 reaches from 0 to 1.

    Raises:
        DetectionError: The three do not fit together.

    Example:
        >>> found = Detections([2, 0], [0.9, 0.1], [[0, 0, 10, 20], [5, 5, 6, 6]])
        >>> len(found), len(found.above(0.25))
        (2, 1)
    """

    labels: np.ndarray
    scores: np.ndarray
    corners: np.ndarray

    def __post_init__(self):
        """Makes arrays of the three and checks that they fit together."""
        labels = np.asarray(self.labels).astype(np.int64).reshape(-1)
        scores = np.asarray(self.scores, dtype=np.float64).reshape(-1)
        corners = np.asarray(self.corners, dtype=np.float64)
        corners = corners.reshape(-1, 4) if corners.size == 0 else corners
        if not len(labels) == len(scores) == len(corners) or corners.shape[1:] != (4,):
            raise DetectionError(
                "expected n labels, n scores and corners (n, 4), got "
                f"{labels.shape}, {scores.shape} and {corners.shape}"
            )
        for name, values in (("labels", labels), ("scores", scores), ("corners", corners)):
            object.__setattr__(self, name, values)

    def __len__(self):
        """Returns the number of boxes."""
        return len(self.labels)

    @classmethod
    def none(cls):
        """Makes an empty set of boxes.

        Example:
            >>> len(Detections.none())
            0
        """
        return cls([], [], [])

    @classmethod
    def from_list(cls, rows):
        """Makes boxes of what `to_list` returned.

        Args:
            rows: List of ``[class, score, left, top, right, bottom]``, or `PackedBoxes`.

        Example:
            >>> Detections.from_list([[7, 0.5, 1.0, 2.0, 3.0, 4.0]]).labels.tolist()
            [7]
        """
        rows = np.asarray(rows, dtype=np.float64).reshape(-1, 6)
        return cls(rows[:, 0], rows[:, 1], rows[:, 2:])

    def to_list(self):
        """Returns the boxes as plain numbers for JSON, rounded to 1e-5 and hundredths of a pixel.

        Returns:
            List of ``[class, score, left, top, right, bottom]``.

        Example:
            >>> Detections([7], [0.123456789], [[1, 2, 3, 4.0001]]).to_list()
            [[7, 0.12346, 1.0, 2.0, 3.0, 4.0]]
        """
        return [
            [
                int(label),
                round(float(score), _SCORE_DIGITS),
                *(round(float(side), _PIXEL_DIGITS) for side in corners),
            ]
            for label, score, corners in zip(self.labels, self.scores, self.corners, strict=True)
        ]

    def __getitem__(self, chosen):
        """Picks boxes by an index array, a mask or a slice."""
        return Detections(self.labels[chosen], self.scores[chosen], self.corners[chosen])

    def above(self, confidence):
        """Picks the boxes whose score is at least `confidence`.

        Example:
            >>> len(Detections([0], [0.25], [[0, 0, 1, 1]]).above(0.25))
            1
        """
        return self[self.scores >= confidence]

    def by_confidence(self):
        """Sorts the boxes from the highest score to the lowest; equal ones keep their order.

        Example:
            >>> Detections([0, 1], [0.2, 0.9], [[0, 0, 1, 1]] * 2).by_confidence().labels.tolist()
            [1, 0]
        """
        return self[np.argsort(-self.scores, kind="stable")]

    def clipped(self, height, width):
        """Cuts the boxes off at an image's edges and drops those with nothing inside.

        Args:
            height: Of the image, in pixels.
            width: Of the image, in pixels.

        Example:
            >>> both = Detections([0, 1], [1, 1], [[-5, 2, 5, 9], [30, 30, 40, 40]])
            >>> both.clipped(20, 20).to_list()
            [[0, 1.0, 0.0, 2.0, 5.0, 9.0]]
        """
        corners = np.clip(self.corners, 0, [width, height, width, height])
        inside = (corners[:, 2:] > corners[:, :2]).all(axis=1)
        return Detections(self.labels, self.scores, corners)[inside]


class PackedBoxes:
    """Holds the rows of `Detections.to_list` in 24 bytes a box, where a list takes about 280.

    The rows are rounded to known digits, so whole numbers of those units hold them exactly; float32
    would move scores across a threshold that they equal.

    Args:
        rows: List of ``[class, score, left, top, right, bottom]``.

    Example:
        >>> packed = PackedBoxes([[7, 0.7, 1.0, 2.0, 3.0, 4.01]])
        >>> len(packed), packed.to_list()
        (1, [[7, 0.7, 1.0, 2.0, 3.0, 4.01]])
        >>> float(Detections.from_list(packed).scores[0])
        0.7
    """

    __slots__ = ("_units",)

    def __init__(self, rows):
        rows = np.asarray(rows, dtype=np.float64).reshape(-1, 6)
        self._units = np.rint(rows * _UNITS).astype(np.int32)

    def __len__(self):
        """Returns the number of boxes."""
        return len(self._units)

    def __array__(self, dtype=None, copy=None):
        """Returns the rows as a float array ``(n, 6)``, so that they go wherever the list goes."""
        return np.asarray(self._units / _UNITS, dtype=dtype)

    def to_list(self):
        """Returns the rows as they came."""
        return [[int(label), *numbers] for label, *numbers in np.asarray(self).tolist()]


def overlaps(first, second):
    """Computes how far boxes overlap: intersection over union of each with each.

    ``IoU(a, b) = |a and b| / (|a| + |b| - |a and b|)``, areas in continuous coordinates, without
    the extra pixel a side of some older code.

    Args:
        first: Corners ``(n, 4)``: left, top, right, bottom.
        second: Corners ``(m, 4)``.

    Returns:
        Float array ``(n, m)`` in [0, 1]; 0 where a box has no area.

    Example:
        >>> overlaps([[0, 0, 2, 2]], [[1, 0, 3, 2], [0, 0, 2, 2]]).round(3).tolist()
        [[0.333, 1.0]]

    Reference:
        Everingham et al., "The PASCAL Visual Object Classes (VOC) Challenge", International Journal
        of Computer Vision 88, 2010, equation (3).
    """
    first = np.asarray(first, dtype=np.float64).reshape(-1, 1, 4)
    second = np.asarray(second, dtype=np.float64).reshape(1, -1, 4)
    low, high = np.maximum(first, second)[..., :2], np.minimum(first, second)[..., 2:]
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    union = _areas(first) + _areas(second) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)


def read_names(path):
    r"""Reads a detector's class names, one a line, in the order of its class numbers.

    Args:
        path: Text file such as ``coco.names``. Blank lines at the end do not count.

    Returns:
        List of names.

    Raises:
        DetectionError: The file is missing, no text, empty, or has a blank line between names.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "coco.names"
        ...     _ = file.write_text("person\nbicycle\n")
        ...     read_names(file)
        ['person', 'bicycle']
    """
    path = Path(path)
    names = [line.strip() for line in read_text(path).rstrip().splitlines()]
    if not names:
        raise DetectionError(f"{path}: expected class names, one a line, got an empty file")
    if "" in names:
        raise DetectionError(
            f"{path}: line {names.index('') + 1} is blank; expected one class name a line, as the "
            "place in the file is the class number (write N/A for a number that is not used)"
        )
    return names


def read_text(path):
    """Reads a text file of class names or boxes.

    Raises:
        DetectionError: The file cannot be read or is no UTF-8 text.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DetectionError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DetectionError(f"{path}: expected a text file in UTF-8 ({error})") from error


def _areas(corners):
    return np.prod(np.maximum(corners[..., 2:] - corners[..., :2], 0), axis=-1)

"""Divides an image into tiles: where they lie, which fit a number of pixels, what they contain."""

import bisect
import itertools
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Span:
    """Says where a window and its core lie along one side of an image, in pixels.

    A network sees the window; the core is the part of its result that is kept. The cores of a
    side's spans follow each other without a gap.

    Attributes:
        start: First row or column of the window.
        stop: The one behind its last.
        core_start: First row or column of the core.
        core_stop: The one behind its last.
    """

    start: int
    stop: int
    core_start: int
    core_stop: int

    @property
    def length(self):
        """Rows or columns of the window."""
        return self.stop - self.start


def regular_spans(side, core, overlap):
    """Divides a side into cores of one length, the last one shorter.

    Args:
        side: Rows or columns of the image, at least 1.
        core: Length of the cores, at least 1.
        overlap: Pixels of the window on either side of a core, where the image has them.

    Returns:
        List of `Span`.

    Example:
        >>> regular_spans(10, 6, 2)
        [Span(start=0, stop=8, core_start=0, core_stop=6), \
Span(start=4, stop=10, core_start=6, core_stop=10)]
    """
    starts = range(0, side, core)
    return [
        Span(
            start=max(start - overlap, 0),
            stop=min(start + core + overlap, side),
            core_start=start,
            core_stop=min(start + core, side),
        )
        for start in starts
    ]


def even_spans(side, count, overlap, multiple=1):
    """Divides a side by windows of one length, the shortest that will do.

    Windows of one length take the same memory one after the other, and a core at a border of the
    image, which needs no overlap there, is longer than the others.

    Args:
        side: Rows or columns of the image, a multiple of ``multiple``.
        count: Number of windows, at least 1.
        overlap: Pixels of the window that lie at least on either side of a core, but for the
            borders of the image; a multiple of ``multiple``.
        multiple: All positions are multiples of this.

    Returns:
        List of `Span`.

    Raises:
        ValueError: If the side is too short for so many windows.

    Example:
        >>> [(span.start, span.core_start, span.core_stop) for span in even_spans(100, 3, 5)]
        [(0, 0, 35), (30, 35, 65), (60, 65, 100)]
    """
    cells, margin = side // multiple, overlap // multiple
    length = _even_length(cells, count, margin)
    if count > 1 and cells - length < count - 1:
        raise ValueError(f"expected at most {cells - length + 1} windows, got {count}")
    starts = [index * (cells - length) // max(count - 1, 1) for index in range(count)]
    middles = [(start + length + following) // 2 for start, following in itertools.pairwise(starts)]
    cuts = [0, *middles, cells]
    return [
        Span(*(multiple * cell for cell in (start, start + length, first, last)))
        for start, (first, last) in zip(starts, itertools.pairwise(cuts), strict=True)
    ]


def fitting_spans(height, width, overlap, most, multiple=1):
    """Finds the tiles that a network gets through soonest, of windows that are not too large.

    Args:
        height: Rows of the image, a multiple of ``multiple``.
        width: Columns, likewise.
        overlap: As in `even_spans`.
        most: Pixels that a window may have.
        multiple: As in `even_spans`.

    Returns:
        List of `Span` along the height and list along the width. Each row's span with each column's
        is a tile; the sum of the windows' pixels is the smallest possible.

    Raises:
        ValueError: If a window of ``most`` pixels is too small: a core is to be about as long as
            the overlap on either side of it. Its ``args[1]`` is how many pixels it must have.

    Example:
        >>> rows, columns = fitting_spans(100, 400, overlap=10, most=15000)
        >>> len(rows), [span.length for span in columns]
        (1, [147, 147, 147])
    """
    area = most / multiple**2
    along_height, along_width = (
        _even_lengths(side // multiple, overlap // multiple) for side in (height, width)
    )
    fitting = []
    for rows, tall in enumerate(along_height, start=1):
        # Lengths fall with the count: the first that fits is the count that does the least twice.
        columns = bisect.bisect_left(along_width, -area / tall, key=lambda length: -length) + 1
        if columns <= len(along_width):
            fitting.append((rows * tall * columns * along_width[columns - 1], rows, columns))
    if not fitting:
        needed = along_height[-1] * along_width[-1] * multiple**2
        raise ValueError(f"expected at least {needed} pixels a window, got {int(most)}", needed)
    _, rows, columns = min(fitting)
    return even_spans(height, rows, overlap, multiple), even_spans(
        width, columns, overlap, multiple
    )


def window(image, rows, columns):
    """Cuts a window out of an image that goes on beyond its lower right corner as in a mirror.

    Args:
        image: Array ``(H, W, ...)``.
        rows: `Span` along the height; it may reach beyond H.
        columns: `Span` along the width.

    Returns:
        Array ``(rows.length, columns.length, ...)``; a view where the window lies in the image.

    Example:
        >>> window(np.array([[1, 2, 3]]), Span(0, 1, 0, 1), Span(1, 6, 1, 6))
        array([[2, 3, 2, 1, 2]])
    """
    for axis, span in enumerate((rows, columns)):
        if span.stop <= image.shape[axis]:
            image = image[(slice(None),) * axis + (slice(span.start, span.stop),)]
        else:
            image = np.take(image, _mirrored(span, image.shape[axis]), axis=axis)
    return image


def _mirrored(span, side):
    """Indices of a span where the image goes on by reflection: 0 1 2 1 0 1 2 ..."""
    period = max(2 * (side - 1), 1)
    position = np.arange(span.start, span.stop) % period
    return np.minimum(position, period - position)


def _even_length(cells, count, margin):
    """Length of ``count`` windows that overlap by twice the margin and cover the cells."""
    return -(-(cells + 2 * margin * (count - 1)) // count)


def _even_lengths(cells, margin):
    """Lengths of 1, 2, 3 ... windows, down to where a core is as long as the overlaps beside it."""
    lengths = [cells]
    for count in range(2, cells + 1):
        length = _even_length(cells, count, margin)
        if length < max(3 * margin, 1) or cells - length < count - 1:
            break
        lengths.append(length)
    return lengths

"""Decides in which parts an image is restored, so that it takes no more memory than it may."""

import contextlib
import itertools
import math
from dataclasses import dataclass

from deblur_keras import memory, tiles

AUTO = "auto"

_SHARE = 0.5  # of what is free, taken where no budget is given
_MODEST = 1_300_000_000  # bytes, without a budget, for networks that are as quick in parts
_WINDOW = 400_000_000  # bytes for a window that is no slower than a larger one,
_WORKERS = 2  # windows at a time, so that one is copied while the other is computed
_OVERHEAD = 1.2  # if no more pixels than this are seen for each of the image
_FIRST_RUN = 100_000_000  # bytes that TensorFlow takes at its first run, whatever the image
# What a run holds over the tensors that exist at the same time: the allocator keeps what it once
# took and leaves gaps in it. benchmarks/tiles.py measures it.
_ALLOCATOR = 1.5


@dataclass(frozen=True)
class Plan:
    """Says how an image is restored in parts.

    Attributes:
        spans: For each stage of the network, the list of `tiles.Span` along the height and the
            list along the width.
        on_disk: Whether what is kept between the stages goes to a temporary file.
        workers: Number of windows that are worked on at a time.
    """

    spans: tuple
    on_disk: bool
    workers: int = 1

    @property
    def windows(self):
        """Number of windows, over all stages."""
        return sum(len(rows) * len(columns) for rows, columns in self.spans)


class Planner:
    """Decides in which parts images are restored with a network.

    Args:
        name: The network's name, for messages.
        staged: `generators.stages.StagedGenerator`, or None where the network cannot be run on
            parts.
        peak: Bytes that the network takes for each pixel of an image that it sees whole.
        tile: As in `deblur_keras.Restorer`, like the following.
        overlap: Most pixels around a tile, or None.
        memory_budget: Amount of memory, or None.
        in_order: Whether windows are to be run one after the other.
        obstacle: Why the network cannot be run on parts.
    """

    def __init__(
        self, name, staged, peak, tile, overlap, memory_budget, in_order=False, obstacle=""
    ):
        check_options(tile, overlap)
        self._name, self._staged, self._obstacle = name, staged, obstacle
        self._tile, self._overlap = tile, overlap
        self._budget = None if memory_budget is None else memory.parse_bytes(memory_budget)
        self._held = memory.resident_bytes()
        self._pool = 0  # bytes that restoring has taken and TensorFlow keeps for the next image
        self._peak = peak * _ALLOCATOR
        self._workers = (1,) if in_order else (_WORKERS, 1)

    def plan(self, height, width, image_bytes):
        """Decides whether an image is restored whole or in which parts.

        Args:
            height: Rows that the network is given, a multiple of its size multiple.
            width: Columns, likewise.
            image_bytes: Memory that the image takes; its result takes the same again.

        Returns:
            `Plan`, or None to restore it whole.

        Raises:
            MemoryError: If it does not fit the budget, not even in parts.
        """
        if self._tile is None:
            return None
        room = self._room(image_bytes)
        if self._tile == AUTO and self._fits_whole(height * width * self._peak, room):
            return None
        if self._staged is None:
            raise MemoryError(
                f"{width}x{height} pixels take about {_gigabytes(height * width * self._peak)} "
                f"with model {self._name!r}, of which {_gigabytes(room)} may be used; it cannot "
                f"be run on parts of an image: {self._obstacle}. Reduce the image, give more "
                "memory, or tile=None to try all the same"
            )
        plan = None
        if self._is_modest():
            with contextlib.suppress(MemoryError):
                plan = self._make_plan(height, width, min(room, _MODEST))
        plan = plan or self._make_plan(height, width, room)
        # Stage by stage an image takes less memory than whole, even in a single window each.
        return plan if self._tile == AUTO or plan.windows > len(plan.spans) else None

    def note_held(self, more):
        """Takes note that the process held so many more bytes after an image was restored."""
        most = max(memory.resident_bytes() - self._held, 0)
        self._pool = min(max(self._pool + more, 0), most)

    def _room(self, image_bytes):
        """Bytes that restoring an image may take, its result not counted."""
        if self._budget is not None:
            return self._budget - self._held - 2 * image_bytes - _FIRST_RUN
        free = memory.available_bytes()
        if free is None:
            return _MODEST
        return _SHARE * (free + self._pool) - image_bytes - _FIRST_RUN

    def _fits_whole(self, needed, room):
        return needed <= (min(room, _MODEST / 2) if self._is_modest() else room)

    def _is_modest(self):
        """Whether to leave the computer its memory, since windows cost hardly any time."""
        return self._budget is None and self._staged is not None and not self._staged.normalized

    def _make_plan(self, height, width, room):
        kept = height * width * self._staged.kept_bytes_per_pixel
        places = (False, True) if kept <= room / 2 else (True,)
        for on_disk, workers in itertools.product(places, self._workers):
            left = room if on_disk else room - kept
            spans, short = [], 0
            for stage in self._staged.stages:
                try:
                    spans.append(self._spans(stage, height, width, left / workers))
                except _TooSmallError as error:
                    short = max(short, error.needed * workers - left)
            if not short:
                return Plan(tuple(spans), on_disk, workers)
        total = "" if self._budget is None else f" of {_gigabytes(self._budget)}"
        raise MemoryError(
            f"the memory budget{total} leaves {_gigabytes(max(left, 0))} for the tiles of "
            f"{width}x{height} pixels with model {self._name!r}; give at least "
            f"{_gigabytes(math.ceil(short / 1e7) * 1e7)} more"
        )

    def _spans(self, stage, height, width, room):
        """The rows' and columns' spans for one stage, whose windows may take so many bytes."""
        overlap = stage.halo
        if self._overlap is not None:
            given = -(-self._overlap // stage.multiple) * stage.multiple
            overlap = min(overlap, max(given, stage.least_halo))
        if self._tile != AUTO:
            core = -(-self._tile // stage.multiple) * stage.multiple
            return tuple(tiles.regular_spans(side, core, overlap) for side in (height, width))
        cost = stage.bytes_per_pixel * _ALLOCATOR

        def fitting(size):
            return tiles.fitting_spans(height, width, overlap, size / cost, stage.multiple)

        if room > _WINDOW:
            with contextlib.suppress(ValueError):
                spans = fitting(_WINDOW)
                seen = math.prod(sum(span.length for span in along) for along in spans)
                if seen <= _OVERHEAD * height * width:
                    return spans
        try:
            return fitting(room)
        except ValueError as error:
            raise _TooSmallError(error.args[1] * cost) from error


class _TooSmallError(ValueError):
    """A window takes more memory, ``needed`` bytes, than there is."""

    def __init__(self, needed):
        super().__init__(f"expected at least {needed} bytes")
        self.needed = needed


def check_options(tile, overlap):
    """Raises a ValueError if they are none of those that `deblur_keras.Restorer` takes."""

    def is_count(value, least):
        return isinstance(value, int) and not isinstance(value, bool) and value >= least

    if not (tile is None or tile == AUTO or is_count(tile, 1)):
        raise ValueError(
            f"tile must be 'auto', a whole number of pixels from 1, or None for none; got {tile!r}"
        )
    if not (overlap is None or is_count(overlap, 0)):
        raise ValueError(
            f"overlap must be a whole number of pixels from 0, or None for as many as the "
            f"network's result depends on; got {overlap!r}"
        )


def _gigabytes(amount):
    return f"{amount / 1e9:.2f} GB"

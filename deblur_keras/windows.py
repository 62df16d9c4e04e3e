"""Restores images by an engine, whole or in windows, in a bounded amount of memory.

For networks of which a pixel depends on its surroundings alone. What depends on the whole image, an
instance norm's statistics, needs the network's layers one by one, which is `deblur_keras.tiled`'s.
"""

import numpy as np

from deblur_keras import memory, planning, tiles

AUTO = "auto"

_SHARE = 0.5  # of what is free, taken where no budget is given
_PLENTY = 2_420_000_000  # bytes for a window; 7680x4320 by OpenVINO takes 2.8 GB in all


class WindowedEngine:
    """Restores images by an engine, in windows where they do not fit the memory budget.

    Args:
        engine: `deblur_keras.engines.Engine`.
        tile: As in `deblur_keras.Restorer`, like the following.
        overlap: Most pixels around a tile, or None.
        memory_budget: Amount of memory, or None.
        staged: Callable without arguments that makes a `deblur_keras.tiled.TiledGenerator`, for
            what windows cannot do; called when it is needed.

    Raises:
        ValueError: If ``tile``, ``overlap`` or ``memory_budget`` is none that the Restorer takes.
    """

    def __init__(self, engine, tile=AUTO, overlap=None, memory_budget=None, staged=None):
        planning.check_options(tile, overlap)
        self._engine, self._network = engine, engine.network
        self._tile, self._overlap = tile, overlap
        self._budget = None if memory_budget is None else memory.parse_bytes(memory_budget)
        self._held = memory.resident_bytes()
        self._pool = 0
        self._cost = engine.network.bytes_per_pixel * engine.overhead
        self._make_staged, self._staged = staged, None
        if self._network.halo is None and isinstance(tile, int):
            self._staged = staged()

    def plan(self, height, width, image_bytes):
        """Decides whether an image is restored whole or in which parts.

        Args:
            height: Rows that the network is given, a multiple of its size multiple.
            width: Columns, likewise.
            image_bytes: Memory that the image takes; its result takes the same again.

        Returns:
            What `restore` takes, or None to restore it whole.

        Raises:
            MemoryError: If it does not fit the budget, not even in parts.
        """
        if self._tile is None:
            return None
        if self._budget is not None:
            self._engine.release()  # what was kept for images of another size counts too
        room = self._room(image_bytes)
        whole = self._tile == AUTO and height * width * self._cost <= self._most(room)
        if whole:
            return None
        if self._network.halo is None:
            self._engine.release()
            if self._staged is None:
                self._staged = self._make_staged()
            return self._staged.plan(height, width, image_bytes)
        rows, columns = self._spans(height, width, room)
        return (rows, columns) if len(rows) * len(columns) > 1 else None

    def restore(self, image, plan, progress=None):
        """Restores an image in parts.

        Args:
            image: uint8 or uint16 RGB ``(H, W, 3)``.
            plan: What `plan` gave for the size that it is padded to.
            progress: Callable that is given the number of windows done and the number of all.

        Returns:
            The restored image, of the same type and shape, and whether all of the network's output
            was finite.

        Raises:
            MemoryError: If there is not enough memory after all.
        """
        if self._staged is not None:
            return self._staged.restore(image, plan, progress)
        rows, columns = plan
        restored, finite = np.empty(image.shape, image.dtype), True
        count = len(rows) * len(columns)
        for index in range(count):
            row, column = rows[index // len(columns)], columns[index % len(columns)]
            window = np.ascontiguousarray(tiles.window(image, row, column)[None])
            part, good = self._engine(window)
            finite &= good
            place = restored[row.core_start : row.core_stop, column.core_start : column.core_stop]
            place[...] = part[0][
                row.core_start - row.start : row.core_start - row.start + place.shape[0],
                column.core_start - column.start : column.core_start
                - column.start
                + place.shape[1],
            ]
            if progress is not None:
                progress(index + 1, count)
        return restored, finite

    def note_held(self, more):
        """Takes note that the process held so many more bytes after an image was restored."""
        most = max(memory.resident_bytes() - self._held, 0)
        self._pool = min(max(self._pool + more, 0), most)

    def _room(self, image_bytes):
        """Bytes that restoring an image may take, its result not counted."""
        if self._budget is not None:
            return self._budget - self._held - 2 * image_bytes - self._engine.first_run
        free = memory.available_bytes()
        if free is None:
            return _PLENTY
        return _SHARE * (free + self._pool) - image_bytes - self._engine.first_run

    def _most(self, room):
        # Where windows cost hardly any time, the rest of the computer may keep its memory.
        modest = self._budget is None and self._network.halo is not None
        return min(room, _PLENTY) if modest else room

    def _spans(self, height, width, room):
        """The rows' and the columns' spans."""
        multiple, overlap = self._network.multiple, self._network.halo
        if self._overlap is not None:
            overlap = min(overlap, -(-self._overlap // multiple) * multiple)
        if self._tile != AUTO:
            core = -(-self._tile // multiple) * multiple
            return tuple(_one_length(side, core, overlap) for side in (height, width))
        # A window that takes more than plenty is better than none.
        for limit in (min(room, _PLENTY), room):
            try:
                return tiles.fitting_spans(height, width, overlap, limit / self._cost, multiple)
            except ValueError as error:
                failure = error
        short = failure.args[1] * self._cost - room
        total = "" if self._budget is None else f" of {self._budget / 1e9:.2f} GB"
        raise MemoryError(
            f"the memory budget{total} leaves {max(room, 0) / 1e9:.2f} GB for the tiles of "
            f"{width}x{height} pixels with model {self._network.name!r}; give at least "
            f"{short / 1e9:.2f} GB more"
        ) from failure


def _one_length(side, core, overlap):
    """Divides a side into cores of a length, and gives all windows one: engines compile for each.

    Windows at the borders see more than they need to.
    """
    length = min(core + 2 * overlap, side)
    spans = []
    for span in tiles.regular_spans(side, core, overlap):
        start = min(span.start, side - length)
        spans.append(tiles.Span(start, start + length, span.core_start, span.core_stop))
    return spans

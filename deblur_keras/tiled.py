"""Restores large images tile by tile, in a bounded amount of memory, as if they were seen whole."""

import shutil
import tempfile
from dataclasses import dataclass

import numpy as np

from deblur_keras import images, memory, tiles
from deblur_keras.generators.stages import NotTileableError, StagedGenerator, peak_bytes_per_pixel

AUTO = "auto"

_SHARE = 0.5  # of what is free, taken where no budget is given
_PLENTY = 2_000_000_000  # bytes for a window; with more it gets no quicker that counts
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
    """

    spans: tuple
    on_disk: bool

    @property
    def windows(self):
        """Number of windows, over all stages."""
        return sum(len(rows) * len(columns) for rows, columns in self.spans)


class TiledGenerator:
    """Restores images in windows, with the result of restoring them whole.

    Args:
        model: A generator.
        tile: As in `deblur_keras.Restorer`, like the following.
        overlap: Most pixels around a tile, or None.
        memory_budget: Amount of memory, or None.

    Raises:
        ValueError: If an argument is none of those that `deblur_keras.Restorer` takes.
        NotTileableError: If ``tile`` is a number and the model cannot be run on parts.

    Example:
        >>> from deblur_keras.generators import compact_generator
        >>> tiled = TiledGenerator(compact_generator(widths=(4,), blocks=(1,)), tile=32)
        >>> plan = tiled.plan(64, 96, image_bytes=64 * 96 * 3)
        >>> plan.windows
        6
        >>> tiled.restore(np.zeros((64, 96, 3), "uint8"), plan)[0].shape
        (64, 96, 3)
    """

    def __init__(self, model, tile=AUTO, overlap=None, memory_budget=None):
        _check(tile, overlap)
        self._name = model.name
        self._tile, self._overlap = tile, overlap
        self._budget = None if memory_budget is None else memory.parse_bytes(memory_budget)
        self._held = memory.resident_bytes()
        self._pool = 0  # bytes that restoring has taken and TensorFlow keeps for the next image
        self._peak = peak_bytes_per_pixel(model) * _ALLOCATOR
        self._functions = {}
        self._staged, self._obstacle = None, ""
        try:
            self._staged = StagedGenerator(model)
        except NotTileableError as error:
            if isinstance(tile, int):
                raise
            self._obstacle = str(error)

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
        kept = height * width * self._staged.kept_bytes_per_pixel
        on_disk = kept > room / 2
        left = min(room if on_disk else room - kept, _PLENTY)
        spans = tuple(self._spans(stage, height, width, left) for stage in self._staged.stages)
        plan = Plan(spans, on_disk)
        return plan if plan.windows > len(spans) else None

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
            MemoryError: If there is no room for what is kept between the stages.
        """
        staged = self._staged
        height, width = (spans[-1].stop for spans in plan.spans[0])
        new = self._storage(plan, height, width)
        arrays, statistics = {staged.image: image}, np.zeros((2, 0), np.float32)
        restored, finite = np.empty(image.shape, image.dtype), True
        done = 0
        for index, (stage, (rows, columns)) in enumerate(
            zip(staged.stages, plan.spans, strict=True)
        ):
            last = index == len(staged.stages) - 1
            run = self._function(index, image.dtype.name)
            if not last:
                arrays.update({number: new(staged.maps[number]) for number in stage.targets})
            moments = _Moments()
            for row in rows:
                for column in columns:
                    parts = [self._read(arrays, number, row, column) for number in stage.sources]
                    made, measured, good = run(parts, _place(row, column), statistics)
                    if last:
                        _write(restored, made[0].numpy()[0], row, column, (1, 1))
                        finite &= bool(good)
                    else:
                        for number, part in zip(stage.targets, made, strict=True):
                            scales = staged.maps[number].scales
                            _write(arrays[number], part.numpy()[0], row, column, scales)
                        moments.add(measured.numpy(), _core_area(row, column))
                    done += 1
                    if progress is not None:
                        progress(done, plan.windows)
            arrays = {number: array for number, array in arrays.items() if number in stage.kept}
            arrays[staged.image] = image
            if not last:
                statistics = moments.total()
        return restored, finite

    def note_held(self, more):
        """Takes note that the process held so many more bytes after an image was restored."""
        self._pool += max(more, 0)

    def _room(self, image_bytes):
        """Bytes that restoring an image may take, its result not counted."""
        if self._budget is not None:
            return self._budget - self._held - 2 * image_bytes - _FIRST_RUN
        free = memory.available_bytes()
        if free is None:
            return _PLENTY
        return _SHARE * (free + self._pool) - image_bytes - _FIRST_RUN

    def _fits_whole(self, needed, room):
        # Where windows cost hardly any time, the rest of the computer may keep its memory.
        modest = self._budget is None and self._staged is not None and len(self._staged.stages) == 1
        return needed <= (min(room, _PLENTY) if modest else room)

    def _spans(self, stage, height, width, room):
        """The rows' and columns' spans for one stage."""
        overlap = stage.halo
        if self._overlap is not None:
            overlap = min(overlap, -(-self._overlap // stage.multiple) * stage.multiple)
        if self._tile != AUTO:
            core = -(-self._tile // stage.multiple) * stage.multiple
            return tuple(tiles.regular_spans(side, core, overlap) for side in (height, width))
        cost = stage.bytes_per_pixel * _ALLOCATOR
        try:
            return tiles.fitting_spans(height, width, overlap, room / cost, stage.multiple)
        except ValueError as error:
            short = error.args[1] * cost - room
            total = "" if self._budget is None else f" of {_gigabytes(self._budget)}"
            raise MemoryError(
                f"the memory budget{total} leaves {_gigabytes(max(room, 0))} for the tiles of "
                f"{width}x{height} pixels with model {self._name!r}; give at least "
                f"{_gigabytes(short)} more"
            ) from error

    def _storage(self, plan, height, width):
        """A callable that makes room for a tensor of the whole image."""

        def new(described):
            shape = (
                *(
                    int(side / scale)
                    for side, scale in zip((height, width), described.scales, strict=True)
                ),
                described.channels,
            )
            dtype = _numpy_dtype(described.dtype)
            if not plan.on_disk:
                return np.empty(shape, dtype)
            needed = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            free = shutil.disk_usage(tempfile.gettempdir()).free
            if needed > free:
                raise MemoryError(
                    f"{width}x{height} pixels need {_gigabytes(needed)} of memory or of disk for "
                    f"what model {self._name!r} keeps; {tempfile.gettempdir()} has "
                    f"{_gigabytes(free)}; set TMPDIR to a folder with more, or give more memory"
                )
            with tempfile.TemporaryFile() as file:  # the mapping keeps it until it is let go
                file.truncate(needed)
                return np.memmap(file, dtype, "r+", shape=shape)

        return new

    def _read(self, arrays, number, row, column):
        """The part of a tensor that belongs to a window: (1, h, w, C)."""
        if number == self._staged.image:
            return tiles.window(arrays[number], row, column)[None]
        vertical, horizontal = self._staged.maps[number].scales
        return arrays[number][
            None,
            int(row.start / vertical) : int(row.stop / vertical),
            int(column.start / horizontal) : int(column.stop / horizontal),
        ]

    def _function(self, index, pixels):
        """One traced function a stage, for windows of all sizes and places."""
        if (index, pixels) not in self._functions:
            self._functions[index, pixels] = self._trace(index, pixels)
        return self._functions[index, pixels]

    def _trace(self, index, pixels):
        import tensorflow as tf

        staged, stage = self._staged, self._staged.stages[index]
        last = index == len(staged.stages) - 1
        to_pixels = {"uint8": images.to_uint8, "uint16": images.to_uint16}[pixels]

        def described(number):
            if number == staged.image:
                return tf.TensorSpec((None, None, None, 3), pixels)
            found = staged.maps[number]
            return tf.TensorSpec((None, None, None, found.channels), found.dtype)

        signature = [
            [described(number) for number in stage.sources],
            tf.TensorSpec((2, 4), tf.int32),
            tf.TensorSpec((2, None), tf.float32),
        ]

        @tf.function(input_signature=signature)
        def run(parts, place, statistics):
            parts = [
                images.to_float(part) if number == staged.image else part
                for number, part in zip(stage.sources, parts, strict=True)
            ]
            rows, columns = (tiles.Span(*tf.unstack(along)) for along in tf.unstack(place))
            made, measured = stage.run(parts, rows, columns, statistics)
            if last:
                good = tf.reduce_all(tf.math.is_finite(made[0]))
                return [to_pixels(made[0])], tf.zeros(()), good
            # Two passes, as in the layer itself.
            measured = tf.cast(measured, tf.float32)
            mean = tf.reduce_mean(measured, (0, 1, 2))
            variance = tf.reduce_mean(tf.square(measured - mean), (0, 1, 2))
            return made, tf.stack([mean, variance]), True

        return run


class _Moments:
    """Joins the means and variances of parts of an image to those of the whole."""

    def __init__(self):
        self._parts, self._areas = [], []

    def add(self, statistics, area):
        self._parts.append(np.asarray(statistics, np.float64))
        self._areas.append(area)

    def total(self):
        """Mean and variance of all parts together, (2, C) float32."""
        parts = np.stack(self._parts)
        share = np.asarray(self._areas, np.float64)[:, None] / np.sum(self._areas)
        mean = (share * parts[:, 0]).sum(0)
        variance = (share * (parts[:, 1] + (parts[:, 0] - mean) ** 2)).sum(0)
        return np.stack([mean, variance]).astype(np.float32)


def _check(tile, overlap):
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


def _place(row, column):
    return np.array(
        [(span.start, span.stop, span.core_start, span.core_stop) for span in (row, column)],
        np.int32,
    )


def _core_area(row, column):
    return (row.core_stop - row.core_start) * (column.core_stop - column.core_start)


def _write(array, part, row, column, scales):
    """Writes a core; what goes beyond the array, the padding of the image, is cut off."""
    top, left = int(row.core_start / scales[0]), int(column.core_start / scales[1])
    place = array[top : top + part.shape[0], left : left + part.shape[1]]
    place[...] = part[: place.shape[0], : place.shape[1]]


def _numpy_dtype(name):
    import tensorflow as tf

    return np.dtype(tf.as_dtype(name).as_numpy_dtype)


def _gigabytes(amount):
    return f"{amount / 1e9:.2f} GB"

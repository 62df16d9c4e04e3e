"""Restores large images tile by tile, in a bounded amount of memory, as if they were seen whole."""

import functools
import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from deblur_keras import images, scratch, tiles
from deblur_keras.generators.stages import NotTileableError, StagedGenerator, peak_bytes_per_pixel
from deblur_keras.planning import Planner, check_options

_ROUNDING = 2e-6  # standard deviation, of values about 1, that float32 arithmetic makes


class TiledGenerator:
    """Restores images in windows, with the result of restoring them whole.

    Args:
        model: A generator.
        tile: As in `deblur_keras.Restorer`, like the following.
        overlap: Most pixels around a tile, or None.
        memory_budget: Amount of memory, or None.
        in_order: Whether windows are to be run one after the other, for layers that draw numbers.

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

    def __init__(self, model, tile="auto", overlap=None, memory_budget=None, in_order=False):
        check_options(tile, overlap)
        self._name = model.name
        self._functions = {}
        self._staged, obstacle = None, ""
        try:
            self._staged = StagedGenerator(model)
        except NotTileableError as error:
            if isinstance(tile, int):
                raise
            obstacle = str(error)
        self._planner = Planner(
            model.name,
            self._staged,
            peak_bytes_per_pixel(model),
            tile,
            overlap,
            memory_budget,
            in_order,
            obstacle,
        )

    def plan(self, height, width, image_bytes):
        """Decides whether an image is restored whole or in which parts: `Planner.plan`."""
        return self._planner.plan(height, width, image_bytes)

    def note_held(self, more):
        """Takes note that the process held so many more bytes after an image was restored."""
        self._planner.note_held(more)

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
        size = tuple(spans[-1].stop for spans in plan.spans[0])
        work = _Work({staged.image: image}, np.empty_like(image))
        done = itertools.count(1)
        for index, (stage, (rows, columns)) in enumerate(
            zip(staged.stages, plan.spans, strict=True)
        ):
            for number in stage.targets if index < len(staged.stages) - 1 else ():
                work.arrays[number] = self._new_array(staged.maps[number], size, plan)
            run, moments = functools.partial(self._run_window, index, work), _Moments()
            self._function(index, image.dtype.name)  # traced here, by one thread
            with ThreadPoolExecutor(plan.workers) as pool:
                windows = zip(*itertools.product(rows, columns), strict=True)
                for measured in pool.map(run, *windows):  # in order, as sums depend on it
                    if measured is not None:
                        moments.add(*measured)
                    if progress is not None:
                        progress(next(done), plan.windows)
            kept = {staged.image, *stage.kept}
            work.arrays = {number: work.arrays[number] for number in kept & work.arrays.keys()}
            if stage.measured is not None:
                work.statistics = moments.total()
        return work.restored, work.finite

    def _run_window(self, index, work, row, column):
        """Reads what a stage needs for a window, runs it, and writes what it makes of the core.

        Returns what the next stage's norm needs of it, as `_Moments.add` takes it, or None.
        """
        staged, stage = self._staged, self._staged.stages[index]
        parts = [self._read(work.arrays, number, row, column) for number in stage.sources]
        run = self._function(index, work.restored.dtype.name)
        made, measured, good = run(parts, _place(row, column), work.statistics)
        del parts
        if index == len(staged.stages) - 1:
            _write(work.restored, made[0].numpy()[0], row, column, (1, 1))
            work.finite &= bool(good)
        else:
            for number, part in zip(stage.targets, made, strict=True):
                scales = staged.maps[number].scales
                _write(work.arrays[number], part.numpy()[0], row, column, scales)
        for array in work.arrays.values():
            scratch.forget_pages(array)
        if stage.measured is None:
            return None
        return measured.numpy(), _core_area(row, column)

    def _new_array(self, described, size, plan):
        """Makes room for a tensor of the whole image."""
        sides = (int(side / scale) for side, scale in zip(size, described.scales, strict=True))
        shape = (*sides, described.channels)
        dtype = _numpy_dtype(described.dtype)
        if not plan.on_disk:
            return np.empty(shape, dtype)
        try:
            return scratch.disk_array(shape, dtype)
        except MemoryError as error:
            raise MemoryError(
                f"{size[1]}x{size[0]} pixels with model {self._name!r}: {error}"
            ) from error

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
            if measured is None:
                return made, tf.zeros(()), True
            # Two passes, as in the layer itself. The third number is what the mean of so many has
            # lost to rounding.
            measured = tf.cast(measured, tf.float32)
            mean = tf.reduce_mean(measured, (0, 1, 2))
            centered = measured - mean
            moments = [tf.reduce_mean(part, (0, 1, 2)) for part in (tf.square(centered), centered)]
            return made, tf.stack([mean, *moments]), True

        run.get_concrete_function()
        return run


@dataclass
class _Work:
    """Holds an image that is being restored."""

    arrays: dict  # tensors of the whole image that are needed, by number
    restored: np.ndarray
    finite: bool = True
    statistics: np.ndarray = field(default_factory=lambda: np.zeros((2, 0), np.float32))


class _Moments:
    """Joins the means and variances of parts of an image to those of the whole."""

    def __init__(self):
        self._parts, self._areas = [], []

    def add(self, statistics, area):
        """Adds a part: about its mean, the mean square and the mean of what differs from that."""
        mean, square, rest = np.asarray(statistics, np.float64)
        self._parts.append((mean + rest, square - rest**2))
        self._areas.append(area)

    def total(self):
        """Mean and variance of all parts together, (2, C) float32."""
        means, variances = np.stack(self._parts, axis=1)
        share = np.asarray(self._areas, np.float64)[:, None] / np.sum(self._areas)
        mean = (share * means).sum(0)
        variance = (share * (variances + (means - mean) ** 2)).sum(0)
        # Windows of different sizes are rounded differently, and on a flat image a norm would
        # magnify that, the next one again. By an infinite variance what is flat becomes 0.
        flat = variance < (_ROUNDING * np.maximum(np.abs(mean), 1)) ** 2
        return np.stack([mean, np.where(flat, np.inf, variance)]).astype(np.float32)


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

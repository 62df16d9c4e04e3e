"""What every training stream shares: options, random crops, the order, the ``tf.data`` chain.

`pipelines` and `simulated` say what one visit to a photograph does; this module decides when it is
done, and with which random numbers.
"""

import dataclasses
import itertools
import numbers
import os
from typing import NamedTuple

import cv2
import numpy as np
import tensorflow as tf

from deblur_keras import images
from deblur_keras.datasets import layouts, leaving, mishaps

_WHOLE_MULTIPLE = 16  # whole images are cut to a multiple that every network here accepts
_ORDER, _VISIT = 1, 2  # keep the random numbers of the order and of the visits apart
AHEAD = 2  # batches that are ready before they are asked for
_IN_TURN = 8  # images, at least, between two crops of the same one


@dataclasses.dataclass
class Options:
    """Checks and holds the arguments that all streams share; `paired` describes them."""

    crop: int | None
    batch: int
    scale: float | tuple
    flip: bool
    seed: int
    shuffle: bool
    repeat: bool
    cache: bool | str | os.PathLike
    fixed: bool
    first_epoch: int
    first_batch: int | None = None
    crops_per_image: int = 1
    deterministic: bool = True
    max_bad: int = 10
    owned: list = dataclasses.field(default_factory=list, repr=False)  # see `stream`

    def __post_init__(self):
        """Raises ValueError for an argument out of range."""
        self.scales = (self.scale,) if np.isscalar(self.scale) else _tuple(self.scale)
        if not self.scales or not all(_is(numbers.Real, s) and 0 < s <= 4 for s in self.scales):
            raise ValueError(f"scale must be in (0, 4], or several such values; got {self.scale!r}")
        if self.crop is not None and not _whole(self.crop, 1):
            raise ValueError(
                f"crop must be a whole number of at least 1 pixel, or None; got {self.crop!r}"
            )
        if not _whole(self.batch, 1) or (self.crop is None and self.batch != 1):
            raise ValueError(
                "batch must be a whole number of at least 1, and 1 when crop is None (whole images"
                f" differ in size); got batch={self.batch!r}, crop={self.crop}"
            )
        if not _whole(self.crops_per_image, 1) or (self.crop is None and self.crops_per_image != 1):
            raise ValueError(
                "crops_per_image must be a whole number of at least 1, and 1 when crop is None; got"
                f" crops_per_image={self.crops_per_image!r}, crop={self.crop}"
            )
        begin = 0 if self.first_batch is None else self.first_batch
        if not all(_whole(number, 0) for number in (self.seed, self.first_epoch, begin)):
            raise ValueError(
                "seed, first_epoch and first_batch must be whole numbers and not negative, got"
                f" {self.seed!r}, {self.first_epoch!r} and {self.first_batch!r}"
            )
        if self.first_batch is not None and not self.repeat:
            raise ValueError(
                f"first_batch={self.first_batch!r} needs repeat=True: expected an endless stream,"
                " because Keras's fit takes the length of its first epoch for all; give fit the"
                " steps_per_epoch, or take as many batches as an epoch has"
            )
        if not _whole(self.max_bad, 0):
            raise ValueError(
                f"max_bad must be a whole number and not negative, got {self.max_bad!r}"
            )
        if not isinstance(self.cache, bool | str | os.PathLike) or self.cache == "":
            raise ValueError(f"cache must be True, False or a folder; got {self.cache!r}")

    @property
    def least(self):
        """The smallest side that a scaled image may have."""
        return self.crop or _WHOLE_MULTIPLE

    @property
    def in_turn(self):
        """Images that give their crops in turn, so that a batch does not show one of them twice."""
        return max(self.batch, _IN_TURN)

    def draw_scale(self, generator):
        """Draws one of the scales."""
        return self.scales[generator.integers(len(self.scales))]


def _is(kind, value):
    return isinstance(value, kind) and not isinstance(value, bool)


def _whole(value, least):
    return _is(numbers.Integral, value) and value >= least


def _tuple(values):
    return tuple(values) if np.iterable(values) else ()


@dataclasses.dataclass(frozen=True)
class Region:
    """Holds a rectangle of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, image):
        """Returns the pixels of the region, without copying them."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]

    def grown(self, margin, shape):
        """Returns the region with a margin, as far as the image goes."""
        top, left = max(self.top - margin, 0), max(self.left - margin, 0)
        bottom = min(self.top + self.height + margin, shape[0])
        right = min(self.left + self.width + margin, shape[1])
        return Region(top, left, bottom - top, right - left)

    def relative_to(self, outer):
        """Returns the region in the coordinates of a region around it."""
        return dataclasses.replace(self, top=self.top - outer.top, left=self.left - outer.left)


def draw_region(generator, shape, crop):
    """Draws a square crop, uniformly over all positions; None gives the centre of the image."""
    height, width = shape[:2]
    if crop is None:
        cut = [side - side % _WHOLE_MULTIPLE for side in (height, width)]
        return Region((height - cut[0]) // 2, (width - cut[1]) // 2, *cut)
    top, left = generator.integers([height - crop, width - crop], endpoint=True)
    return Region(int(top), int(left), crop, crop)


class Ticket(NamedTuple):
    """Says which crop a worker is to make.

    Attributes:
        turn: Number of the pass over the images that some iterator makes.
        epoch: Number of the epoch that it shows.
        number: Of the crop, counted through from the first epoch.
        visit: Number of the visit to an image, counted through from the first epoch.
        index: The image.
        crop: Number of the crop of this visit.
    """

    turn: int
    epoch: int
    number: int
    visit: int
    index: int
    crop: int

    def seeds(self):
        """Returns the integers that its random numbers follow from, besides the seed."""
        # Without a number for the first one, which is as it is where there is only one.
        return [self.epoch, self.index, *([self.crop] if self.crop else [])]


def stream(visit, count, options):
    """Builds the dataset of what ``visit(generator, ticket)`` returns.

    Args:
        visit: Function that makes the two sides of a crop, uint8 arrays, from a
            `numpy.random.Generator` and a `Ticket`, whose ``index`` may be that of a replacement.
        count: Number of images.
        options: `Options`.

    Returns:
        `tf.data.Dataset`, as from `pipelines.paired`.

    Raises:
        DatasetError: There are no images.
    """
    if not count:
        raise layouts.DatasetError("expected at least one image to train on, got none")
    crops = count * options.crops_per_image
    first_epoch, skipped = _beginning(options, crops)
    counted = mishaps.Mishaps(options.max_bad)
    turns = itertools.count()
    # A new iterator is the next epoch, wherever the one before it was left. But where it is said
    # at which batch a stream begins, each iterator begins there: Keras takes one of its own, to
    # look at a batch, when it trains under a strategy.
    anchored = options.first_batch is not None
    following = _passes(options, first_epoch, skipped)

    def passes():
        own = _passes(options, first_epoch, skipped) if anchored else following
        for epoch, begin in own if options.repeat else itertools.islice(own, 1):
            turn = next(turns)
            counted.begin(turn, epoch, crops - begin)
            yield _tickets(turn, epoch, count, options)[begin:]

    def draw(numbers):
        ticket = Ticket(*map(int, numbers))
        seeds = [_VISIT, options.seed, *ticket.seeds()]

        def made(index):
            generator = np.random.default_rng(seeds)
            both = visit(generator, ticket._replace(index=index))
            return both, options.flip and generator.random() < 0.5

        with leaving.call():
            both, flipped = counted.first_usable(made, ticket.index, count, ticket.turn)
            if flipped:
                both = [cv2.flip(np.ascontiguousarray(image), 1) for image in both]
            return [images.to_float(image) for image in both]

    def load(ticket):
        both = tf.numpy_function(draw, [ticket], [tf.float32, tf.float32])
        return tuple(tf.ensure_shape(image, (options.crop, options.crop, 3)) for image in both)

    tickets = tf.data.Dataset.from_generator(
        passes, output_signature=tf.TensorSpec((None, len(Ticket._fields)), tf.int64)
    ).flat_map(tf.data.Dataset.from_tensor_slices)
    # TensorFlow keeps the Python functions of a dataset for good. So they know of the images in
    # memory by weak references alone, and those live as long as the dataset and its iterators.
    tickets.owned = options.owned[:]
    options.owned.clear()
    number = tf.data.INFINITE_CARDINALITY if options.repeat else crops
    tickets = tickets.apply(tf.data.experimental.assert_cardinality(number))
    full = options.repeat or crops % options.batch == 0  # then the batch dimension is static
    chain = chain_options()
    chain.deterministic = options.deterministic
    # Fused with the map, batches would wait for their crops one after the other all the same.
    chain.experimental_optimization.map_and_batch_fusion = options.deterministic

    def part(begin, end):
        wanted = tickets
        if (begin, end) != (0, options.batch):
            wanted = tickets.batch(options.batch, drop_remainder=full).flat_map(
                lambda batch: tf.data.Dataset.from_tensor_slices(batch[begin:end])
            )
        return (
            wanted.map(
                load, num_parallel_calls=os.cpu_count() or 1, deterministic=options.deterministic
            )
            .batch(end - begin, drop_remainder=full)
            .prefetch(AHEAD)
            .with_options(chain)
        )

    dataset = part(0, options.batch)
    dataset.mishaps = [counted]  # see `mishaps.of`
    dataset.part = part if anchored else None  # see `part_of`
    return dataset


def chain_options():
    """Makes what every stream asks of TensorFlow, as ``tf.data.Options``.

    Machines share its elements, not files. And nothing is tuned while it runs: that is done by a
    thread that sleeps for up to a minute, and whoever lets go of an iterator waits for it, at the
    end of each training.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options


def part_of(dataset, begin, end):
    """Makes the stream of some rows of each batch, for one of several machines.

    The others are not made: no image is read for them.

    Args:
        dataset: A stream of this package with a ``first_batch``, or a mix of such.
        begin: The first row.
        end: The row behind the last one.

    Returns:
        `tf.data.Dataset` of batches of ``end - begin`` crops, or None if the dataset is no such.

    Example:
        >>> import tensorflow as tf
        >>> part_of(tf.data.Dataset.range(4).batch(2), 0, 1) is None
        True
    """
    part = getattr(dataset, "part", None)
    return part and part(begin, end)


def _beginning(options, crops):
    """Returns the epoch to begin with, and how many of its crops are done already."""
    # Batches of an endless stream go over from one epoch to the next.
    epochs, begin = divmod((options.first_batch or 0) * options.batch, crops)
    return options.first_epoch + (0 if options.fixed else epochs), begin


def _passes(options, first_epoch, begin):
    """Yields, endlessly, the number of an epoch and the crop in it to begin with."""
    yield first_epoch, begin
    following = itertools.repeat(first_epoch) if options.fixed else itertools.count(first_epoch + 1)
    for epoch in following:
        yield epoch, 0


def _tickets(turn, epoch, count, options):
    """Returns the tickets of an epoch in their order, one a row."""
    crops = count * options.crops_per_image
    indices = np.arange(count)
    if options.shuffle:
        np.random.default_rng([_ORDER, options.seed, epoch]).shuffle(indices)
    # Some images give their first crop each, then their second, and so on; then come the next ones.
    places, crop = np.divmod(np.arange(crops), options.crops_per_image)
    order = np.lexsort((places, crop, places // options.in_turn))
    places, crop = places[order], crop[order]
    columns = (
        np.full(crops, turn),
        np.full(crops, epoch),
        epoch * crops + np.arange(crops),
        epoch * count + places,
        indices[places],
        crop,
    )
    return np.stack(columns, axis=1)

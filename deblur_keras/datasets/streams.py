"""What every training stream shares: options, scaled pictures, random crops, the ``tf.data`` chain.

`pipelines` says what one visit to a photograph does; this module decides when it is done, and with
which random numbers.
"""

import dataclasses
import itertools
import logging

import numpy as np
import tensorflow as tf

from deblur_keras import images
from deblur_keras.datasets import layouts

_WHOLE_MULTIPLE = 16  # whole images are cut to a multiple that every network here accepts
_ORDER, _VISIT = 1, 2  # keep the random numbers of the order and of the visits apart

_logger = logging.getLogger(__name__)


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
    cache: bool
    fixed: bool
    first_epoch: int

    def __post_init__(self):
        """Raises ValueError for an argument out of range."""
        self.scales = (self.scale,) if np.isscalar(self.scale) else tuple(self.scale)
        if not self.scales or not all(0 < scale <= 4 for scale in self.scales):
            raise ValueError(f"scale must be in (0, 4], or several such values; got {self.scale}")
        if self.crop is not None and self.crop < 1:
            raise ValueError(f"crop must be at least 1 pixel, or None; got {self.crop}")
        if self.batch < 1 or (self.crop is None and self.batch != 1):
            raise ValueError(
                f"batch must be at least 1, and 1 when crop is None (whole images differ in size);"
                f" got batch={self.batch}, crop={self.crop}"
            )
        if self.seed < 0 or self.first_epoch < 0:
            raise ValueError(
                f"seed and first_epoch must not be negative, got {self.seed} and {self.first_epoch}"
            )

    def draw_scale(self, generator):
        """Draws one of the scales."""
        return self.scales[generator.integers(len(self.scales))]


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


class Pictures:
    """Reads, scales and, where too small, extends pictures; remembers them if asked to."""

    def __init__(self, read, options):
        self._read = read
        self._least = options.crop or _WHOLE_MULTIPLE
        self._memory = {} if options.cache else None
        self._warned = False

    def read(self, key, scale):
        """Returns the tuple of uint8 images behind a key, each at least as large as the crop."""
        if self._memory is None:
            return self._prepare(key, scale)
        if (key, scale) not in self._memory:
            self._memory[key, scale] = self._prepare(key, scale)
        return self._memory[key, scale]

    def _prepare(self, key, scale):
        return tuple(self._extend(images.resize(image, scale)) for image in self._read(key))

    def _extend(self, image):
        missing = [max(self._least - side, 0) for side in image.shape[:2]]
        if not any(missing):
            return np.ascontiguousarray(image)
        if not self._warned:
            self._warned = True
            _logger.warning(
                "an image of %dx%d pixels after scaling is smaller than the crop of %d and is"
                " extended by reflection, and so are others like it; a larger scale or a smaller"
                " crop avoids that",
                *image.shape[1::-1],
                self._least,
            )
        sides = [(total // 2, total - total // 2) for total in missing]
        return np.pad(image, [*sides, (0, 0)], mode="reflect")


def stream(visit, count, options):
    """Builds the dataset that calls ``visit(generator, index, number of the visit)``."""
    if not count:
        raise layouts.DatasetError("expected at least one image to train on, got none")
    told = set()
    epochs = itertools.repeat(options.first_epoch)
    if not options.fixed:
        epochs = itertools.count(options.first_epoch)

    def order():
        epoch = next(epochs)  # a new iterator is a new epoch
        indices = np.arange(count)
        if options.shuffle:
            np.random.default_rng([_ORDER, options.seed, epoch]).shuffle(indices)
        for position, index in enumerate(indices):
            yield np.array([epoch, epoch * count + position, index])

    def visit_readable(generator, index, number):
        # One broken file in a long training is passed over for the next one, and named once.
        for offset in range(count):
            try:
                return visit(generator, (index + offset) % count, number)
            except (images.ImageError, layouts.DatasetError) as error:
                last = error
                if str(error) not in told:
                    told.add(str(error))
                    _logger.warning("%s; another one is used in its place", error)
        raise last

    def draw(ticket):
        epoch, number, index = map(int, ticket)
        generator = np.random.default_rng([_VISIT, options.seed, epoch, index])
        both = visit_readable(generator, index, number)
        if options.flip and generator.random() < 0.5:
            both = [image[:, ::-1] for image in both]
        return [images.to_float(image) for image in both]

    def load(ticket):
        both = tf.numpy_function(draw, [ticket], [tf.float32, tf.float32])
        return tuple(tf.ensure_shape(image, (options.crop, options.crop, 3)) for image in both)

    tickets = tf.data.Dataset.from_generator(
        order, output_signature=tf.TensorSpec((3,), tf.int64)
    ).apply(tf.data.experimental.assert_cardinality(count))
    if options.repeat:
        tickets = tickets.repeat()
    full = options.repeat or count % options.batch == 0  # then the batch dimension is static
    return (
        tickets.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .batch(options.batch, drop_remainder=full)
        .prefetch(tf.data.AUTOTUNE)
    )

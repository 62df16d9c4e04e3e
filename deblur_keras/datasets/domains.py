"""Feeds unpaired training: blurred and sharp crops that have nothing to do with each other."""

import dataclasses
import functools
import os

import numpy as np

from deblur_keras import images
from deblur_keras.datasets import layouts, pictures, records, streams

_ORDER, _VISIT = 4, 5  # keep these random numbers apart, and from those of the other streams
_REMEMBERED = 4  # orders of a side; workers run ahead of each other, a forgotten one is redrawn
_SHOWN = 3  # names in an error


def unpaired(
    blurred,
    sharp,
    crop=256,
    batch=1,
    scale=1.0,
    flip=True,
    seed=0,
    repeat=False,
    *,
    cache=False,
    fixed=False,
    first_epoch=0,
    first_batch=None,
    crops_per_image=1,
    deterministic=True,
    max_bad=10,
):
    """Streams random crops of two sets of photographs, each drawn as if the other were not there.

    Each side has its own random order, crops, scales and flips. Neither names, nor places in a
    folder, nor positions of crops tell which photographs may show the same. An epoch has as many
    crops a side as the larger set has photographs and shows each of these once; the smaller set is
    gone through again and again, in a fresh order each time, and goes on in the next epoch where
    it was.

    Args:
        blurred: Folder, file, pattern, or list of these, as `images.find` takes them; or the
            ``blurred`` images of a list of `records.Record`, which `datasets.pairs` finds by name.
        sharp: The same; any number of photographs of any sizes.
        crop: Side of the square crops in pixels, drawn uniformly over all positions. An image that
            is smaller after scaling is extended by reflection, which is logged once. None gives
            whole images, their centre cut to a multiple of 16 (``batch`` must be 1).
        batch: Crops of each side per batch. The last batch of an epoch may be smaller.
        scale: Factor in (0, 1] by which images are reduced first. Of several values one is drawn
            each visit.
        flip: Whether to mirror half of the crops of each side left to right.
        seed: Non-negative integer from which everything random follows.
        repeat: Whether to go on without end; Keras then needs ``steps_per_epoch``.
        cache: As in `paired`.
        fixed: Whether every epoch repeats the first.
        first_epoch: Number of the first epoch; a run that continues passes the epochs it has done.
        first_batch: As in `paired`.
        crops_per_image: As in `paired`; of the smaller set as well.
        deterministic: As in `paired`.
        max_bad: As in `paired`; both sides of the crop are replaced.

    Returns:
        `tf.data.Dataset` of ``(blurred, sharp)``, each float32 ``(batch, crop, crop, 3)`` in
        [-1, 1]. Each new iterator over it is the next epoch; its length is known.

    Raises:
        ImageError: Something in ``blurred`` or ``sharp`` does not exist.
        DatasetError: There are no images on a side, or an image is on both.
        ValueError: An argument is out of range.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from deblur_keras import datasets, images
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("blurred/1.png", "blurred/2.png", "sharp/other.png"):
        ...         _ = images.write(Path(folder) / name, np.zeros((96, 96, 3), np.uint8))
        ...     stream = datasets.unpaired(f"{folder}/blurred", f"{folder}/sharp", crop=32)
        ...     len(stream), next(iter(stream))[1].shape
        (2, TensorShape([1, 32, 32, 3]))

    Reference:
        Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
        Networks", section 3.

    Note:
        Of a set of pairs, both sides still show the same scenes. Where that is not wanted, give
        each side other scenes.
    """
    # Order and flips are each side's own, so the stream itself does neither.
    options = streams.Options(
        crop,
        batch,
        scale,
        False,
        seed,
        False,
        repeat,
        cache,
        fixed,
        first_epoch,
        first_batch,
        crops_per_image,
        deterministic,
        max_bad,
    )
    sides = [
        _Side(files, number, dataclasses.replace(options, flip=flip))
        for number, files in enumerate(_files(blurred, sharp))
    ]

    count = max(len(side.files) for side in sides)

    def visit(generator, ticket):
        shown = ticket.epoch * count + ticket.index  # the same visit, unless this is a replacement
        return tuple(side.crop_of_visit(shown, ticket) for side in sides)

    return streams.stream(visit, count, options)


def _files(blurred, sharp):
    """Finds the files of both sides, and checks that these are two sets of photographs."""
    found = []
    for name, given in (("blurred", blurred), ("sharp", sharp)):
        found.append(_one_side(given))
        if not found[-1]:
            raise layouts.DatasetError(
                f"{given}: expected at least one {name} image to train on, got none"
            )
    first, second = ({_identity(file) for file in files} for files in found)
    shared = sorted(first & second)
    if shared:
        shown = ", ".join(shared[:_SHOWN]) + (" ..." if len(shared) > _SHOWN else "")
        raise layouts.DatasetError(
            f"{len(shared)} of {len(found[0])} blurred images are among the sharp ones too: "
            f"{shown}. Give two folders of which neither holds the other"
        )
    return found


def _one_side(given):
    """Lists the files that are meant, and the images that are stored in prepared datasets."""
    given = [given] if isinstance(given, str | os.PathLike) else list(given)
    stored = [image for image in given if isinstance(image, records.Stored)]
    others = [image for image in given if not isinstance(image, records.Stored)]
    return [source.path for source in images.find(others)] + stored


def _identity(file):
    if isinstance(file, records.Stored):
        return f"{file.name} in {file.path}, byte {file.offset}"
    return str(file.resolve())


class _Side:
    """One set of photographs, with random numbers of its own."""

    def __init__(self, files, number, options):
        self.files = files
        self._number = number
        self._options = options
        self._pictures = pictures.of_files(files, options)
        self._order = functools.lru_cache(maxsize=_REMEMBERED)(self._draw_order)

    def crop_of_visit(self, shown, ticket):
        """Makes a crop, random as the ticket says, of what is shown at a visit."""
        turn, place = divmod(shown, len(self.files))
        generator = self._generator(_VISIT, ticket.visit, *([ticket.crop] if ticket.crop else []))
        scale = self._options.draw_scale(generator)
        (photograph,) = self._pictures.read(int(self._order(turn)[place]), scale)
        crop = streams.draw_region(generator, photograph.shape, self._options.crop).of(photograph)
        return crop[:, ::-1] if self._options.flip and generator.random() < 0.5 else crop

    def _draw_order(self, turn):
        return self._generator(_ORDER, turn).permutation(len(self.files))

    def _generator(self, purpose, *counts):
        return np.random.default_rng([purpose, self._options.seed, self._number, *counts])

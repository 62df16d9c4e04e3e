"""Feeds training: ``tf.data`` streams of (blurred, sharp) crops, float32 RGB in [-1, 1].

Each visit to a photograph is one Python function, run by the pipeline's own workers: read (by
``images.read``, so that training sees the very pixels that restoring and scoring see), scale, crop,
blur, flip. Everything random comes from a generator seeded by (seed, epoch, photograph), so the
batches depend neither on the number of workers nor on their timing, and no two epochs are alike.
"""

import os

from deblur_keras.datasets import catalog, pictures, streams


def paired(
    pairs,
    crop=256,
    batch=1,
    scale=0.5,
    flip=True,
    seed=0,
    shuffle=True,
    repeat=False,
    *,
    cache=False,
    fixed=False,
    first_epoch=0,
    first_batch=None,
    crops_per_image=1,
    deterministic=True,
    max_bad=10,
    split=None,
):
    """Streams the same random crop of both sides of every pair.

    Args:
        pairs: List of `Pair`, or a directory or the name of a dataset, which `datasets.pairs`
            understands.
        crop: Side of the square crops in pixels, drawn uniformly over all positions. An image that
            is smaller after scaling is extended by reflection, which is logged once. None gives
            whole images, their centre cut to a multiple of 16 (``batch`` must be 1).
        batch: Crops per batch. The last batch of an epoch may be smaller.
        scale: Factor by which images are resized first: up to 1 by averaging over areas, above 1
            and up to 4 bicubically, which gives pictures that are soft without motion, as those of
            many cameras are. 0.5 is the papers' setting for GoPro. Of several values one is drawn
            each visit.
        flip: Whether to mirror half of the crops left to right.
        seed: Non-negative integer from which everything random follows.
        shuffle: Whether each epoch comes in a fresh random order instead of the given one.
        repeat: Whether to go on without end; Keras then needs ``steps_per_epoch``.
        cache: True keeps the decoded, scaled 8-bit images in memory, a path keeps them in that
            folder, for later runs too; delete it, between two runs, if it holds some that are not
            needed any more. Crops and flips are drawn afresh all the same. A pair halved from
            1280x720 takes 1.4 MB; how much all will take is logged, and refused if too much.
        fixed: Whether every epoch repeats the first: the same order, crops and flips (validation).
        first_epoch: Number of the first epoch; a run that continues passes the epochs it has done.
        first_batch: Batches that are done already, counted from the start of ``first_epoch``. Every
            iterator, also for 0, goes on with the very batch that would have come next, and decodes
            none of those before; left out, each begins an epoch of its own. Needs ``repeat``, and
            in ``fit`` ``steps_per_epoch``: Keras takes the length of its first epoch for all.
        crops_per_image: Crops from each image that is decoded; an epoch is longer by that factor.
            ``max(batch, 8)`` images give theirs in turn, so that no batch shows one twice, and are
            in memory meanwhile.
        deterministic: False lets crops overtake each other on their way into a batch when one takes
            longer to make. The crops are the same, their order is no longer.
        max_bad: Images that may turn out unusable (broken, vanished, sides that do not belong
            together). Each is named once in the log and replaced by the next one, which leaves all
            other crops as they are; how many crops were replaced is logged at the end of an epoch.
            One more stops the training with an error.
        split: Name of the split, of a directory or dataset that has several.

    Returns:
        `tf.data.Dataset` of ``(blurred, sharp)``, each float32 ``(batch, crop, crop, 3)`` in
        [-1, 1]. Each new iterator over it is the next epoch; its length is known.

    Raises:
        DatasetError: There are no pairs, or the directory is not what it should be.
        ValueError: An argument is out of range, or a split was given for a list.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from deblur_keras import datasets, images
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for side in ("blur", "sharp"):
        ...         picture = np.full((96, 96, 3), len(side), np.uint8)
        ...         _ = images.write(Path(folder) / side / "1.png", picture)
        ...     blurred, sharp = next(iter(datasets.paired(folder, crop=32)))
        >>> blurred.shape
        TensorShape([1, 32, 32, 3])

    Reference:
        Kupyn et al., "DeblurGAN", section 5: crops of 256x256 from GoPro images reduced by two.

    Note:
        The authors' code never draws the last row and column of positions; here all are drawn.
    """
    options = streams.Options(
        crop,
        batch,
        scale,
        flip,
        seed,
        shuffle,
        repeat,
        cache,
        fixed,
        first_epoch,
        first_batch,
        crops_per_image,
        deterministic,
        max_bad,
    )
    if isinstance(pairs, str | os.PathLike):
        pairs = catalog.pairs(pairs, split)
    elif split is not None:
        raise ValueError(
            f"split says what of a directory or dataset to take; got {split!r} with a list"
        )
    pairs = list(pairs)
    sources = pictures.of_pairs(pairs, options)

    def visit(generator, ticket):
        both = sources.read(ticket.index, options.draw_scale(generator))
        cut = streams.draw_region(generator, both[0].shape, crop).of
        return tuple(map(cut, both))

    return streams.stream(visit, len(pairs), options)

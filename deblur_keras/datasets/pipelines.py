"""Feeds training: ``tf.data`` streams of (blurred, sharp) crops, float32 RGB in [-1, 1].

Each visit to a photograph is one Python function, run by the pipeline's own workers: read (by
``images.read``, so that training sees the very pixels that restoring and scoring see), scale, crop,
blur, flip. Everything random comes from a generator seeded by (seed, epoch, photograph), so the
batches depend neither on the number of workers nor on their timing, and no two epochs are alike.
"""

import collections
import functools
import os
import re
import threading

import numpy as np
import tensorflow as tf

from deblur_keras import blur, images
from deblur_keras.datasets import layouts, streams

# Drawing one trajectory takes as many steps as drawing a hundred, so they are drawn in banks.
_BANK = 128
_KERNELS = 3  # keeps their random numbers apart from those of `streams`


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
):
    """Streams the same random crop of both sides of every pair.

    Args:
        pairs: List of `Pair`, or the directory of one, which `datasets.pairs` understands.
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
        cache: Whether to keep the decoded, scaled 8-bit images in memory. Crops and flips are drawn
            afresh all the same. A pair halved from 1280x720 takes 1.4 MB.
        fixed: Whether every epoch repeats the first: the same order, crops and flips (validation).
        first_epoch: Number of the first epoch; a run that continues passes the epochs it has done.

    Returns:
        `tf.data.Dataset` of ``(blurred, sharp)``, each float32 ``(batch, crop, crop, 3)`` in
        [-1, 1]. Each new iterator over it is the next epoch; its length is known.

    Raises:
        DatasetError: There are no pairs, or the directory is not what it should be.
        ValueError: An argument is out of range.

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
        crop, batch, scale, flip, seed, shuffle, repeat, cache, fixed, first_epoch
    )
    pairs = layouts.pairs(pairs) if isinstance(pairs, str | os.PathLike) else list(pairs)
    pictures = streams.Pictures(lambda index: pairs[index].read(), options)

    def visit(generator, index, number):
        both = pictures.read(index, options.draw_scale(generator))
        cut = streams.draw_region(generator, both[0].shape, crop).of
        return tuple(map(cut, both))

    return streams.stream(visit, len(pairs), options)


def synthetic(
    photographs,
    crop=256,
    batch=1,
    scale=1.0,
    flip=True,
    seed=0,
    gamma=2.2,
    noise=0.0,
    max_length=60.0,
    kernel_size=64,
    shuffle=True,
    repeat=False,
    *,
    cache=False,
    fixed=False,
    first_epoch=0,
):
    """Streams crops of sharp photographs with a fresh random camera shake on each visit.

    The crop is cut with a margin of half the kernel, blurred, and trimmed, so that what blurs into
    it from outside is the real photograph; only at the photograph's own border is it reflected.

    Args:
        photographs: Folder, file, pattern, or list of these, as `images.find` takes them.
        crop: As in `paired`.
        batch: As in `paired`.
        scale: As in `paired`.
        flip: As in `paired`.
        seed: As in `paired`.
        gamma: Exponent between pixel values and linear light, in which the blur happens; 1 blurs
            the pixel values themselves.
        noise: Standard deviation of the noise on the blurred side in grey levels of 255, or
            ``(low, high)`` to draw one uniformly each visit.
        max_length: Length of the whole trajectory in pixels.
        kernel_size: Side of the kernels in pixels.
        shuffle: As in `paired`.
        repeat: As in `paired`.
        cache: As in `paired`.
        fixed: As in `paired`; the blurs are repeated as well.
        first_epoch: As in `paired`.

    Returns:
        `tf.data.Dataset`, as from `paired`. The sharp crops are untouched pixels.

    Raises:
        ImageError: Something in ``photographs`` does not exist.
        DatasetError: There are no images in it.
        ValueError: An argument is out of range.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from deblur_keras import datasets, images
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = images.write(Path(folder) / "1.png", np.zeros((96, 96, 3), np.uint8))
        ...     blurred, sharp = next(iter(datasets.synthetic(folder, crop=32)))
        >>> float(blurred.numpy().max())
        -1.0

    Reference:
        Kupyn et al., "DeblurGAN", section 4 and algorithm 1: random trajectories.
    """
    options = streams.Options(
        crop, batch, scale, flip, seed, shuffle, repeat, cache, fixed, first_epoch
    )
    low, high = (noise, noise) if np.isscalar(noise) else noise
    if not 0 <= low <= high:
        raise ValueError(f"noise must be a deviation or (low, high), not negative; got {noise}")
    files = [source.path for source in images.find(photographs)]
    pictures = streams.Pictures(lambda index: (images.read(files[index]),), options)
    kernels = _KernelBank(seed, size=kernel_size, max_length=max_length)

    def visit(generator, index, number):
        (photograph,) = pictures.read(index, options.draw_scale(generator))
        region = streams.draw_region(generator, photograph.shape, crop)
        wide = region.grown(kernel_size // 2 + 1, photograph.shape)
        blurred = blur.motion_blur(
            wide.of(photograph),
            kernels[number],
            gamma=gamma,
            noise=generator.uniform(low, high),
            seed=generator,
        )
        return region.relative_to(wide).of(blurred), region.of(photograph)

    return streams.stream(visit, len(files), options)


def averaged(
    frames,
    window=(7, 21),
    crop=256,
    batch=1,
    scale=1.0,
    flip=True,
    seed=0,
    gamma=2.2,
    shuffle=True,
    repeat=False,
    *,
    cache=False,
    fixed=False,
    first_epoch=0,
):
    """Streams real motion blur: consecutive frames of a high-speed video, averaged.

    Each frame (but the first and last few) is the sharp side once an epoch, and the blurred side is
    the mean of a window around it, of a random odd length each visit. This is how GoPro was made.

    Args:
        frames: Folder of the frames of one video, numbered in their names, or a tree of such
            folders.
        window: Frames to average: ``(shortest, longest)``, of which odd lengths are drawn, or one
            odd number. Near the ends of a video only the shorter ones fit.
        crop: As in `paired`.
        batch: As in `paired`.
        scale: As in `paired`.
        flip: As in `paired`.
        seed: As in `paired`.
        gamma: Exponent between pixel values and linear light, in which frames are averaged.
        shuffle: As in `paired`.
        repeat: As in `paired`.
        cache: As in `paired`. Worth it when the frames fit (0.7 MB a frame of 640x360): a visit
            decodes the whole window otherwise.
        fixed: As in `paired`; the windows are repeated as well.
        first_epoch: As in `paired`.

    Returns:
        `tf.data.Dataset`, as from `paired`. The sharp crops are untouched pixels.

    Raises:
        ImageError: ``frames`` does not exist.
        DatasetError: No folder holds as many frames as the shortest window.
        ValueError: An argument is out of range.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from deblur_keras import datasets, images
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for number in range(9):
        ...         picture = np.zeros((64, 64, 3), np.uint8)
        ...         _ = images.write(Path(folder) / f"{number}.png", picture)
        ...     len(datasets.averaged(folder, window=7, crop=32))
        3

    Reference:
        Nah et al., "Deep Multi-scale Convolutional Neural Network for Dynamic Scene Deblurring",
        section 2.
    """
    options = streams.Options(
        crop, batch, scale, flip, seed, shuffle, repeat, cache, fixed, first_epoch
    )
    shortest, longest = (window, window) if np.isscalar(window) else window
    least, most = shortest // 2, (longest - 1) // 2  # frames on either side of the middle one
    if not 1 <= least <= most:
        raise ValueError(f"window must hold an odd number of frames of at least 3, got {window}")
    videos = collections.defaultdict(list)
    for source in images.find(frames):
        videos[source.path.parent].append(source.path)
    files, middles = [], []  # a middle: its place in files, frames that fit on either side
    for folder in sorted(videos):
        ordered = sorted(videos[folder], key=_natural_key)
        middles += [
            (len(files) + place, min(most, place, len(ordered) - 1 - place))
            for place in range(least, len(ordered) - least)
        ]
        files += ordered
    if not middles:
        raise layouts.DatasetError(
            f"{frames}: expected folders of at least {2 * least + 1} consecutive frames; found"
            f" {len(files)} images in {len(videos)} folders"
        )
    pictures = streams.Pictures(lambda index: (images.read(files[index]),), options)

    def visit(generator, index, number):
        middle, room = middles[index]
        reach = generator.integers(least, room, endpoint=True)
        chosen = options.draw_scale(generator)
        (sharp,) = pictures.read(middle, chosen)
        region = streams.draw_region(generator, sharp.shape, crop)

        def crops():  # one frame in memory at a time, and no more of it averaged than is shown
            for place in range(middle - reach, middle + reach + 1):
                (frame,) = pictures.read(place, chosen)
                if frame.shape != sharp.shape:
                    raise layouts.DatasetError(
                        f"{files[place]} and {files[middle]} differ in size; the frames of one"
                        " video are expected in a folder of their own"
                    )
                yield region.of(frame)

        return blur.average_frames(crops(), gamma=gamma), region.of(sharp)

    return streams.stream(visit, len(middles), options)


def mix(datasets, weights=None, seed=0):
    """Mixes several streams, drawing each batch from one of them at random.

    Args:
        datasets: Streams of equal batch and crop. Give them ``repeat=True``: the mix ends when one
            of them ends, because the ratio could not be kept any longer.
        weights: One positive number per stream, the odds of drawing from it; equal if left out.
        seed: Non-negative integer that decides the draws.

    Returns:
        `tf.data.Dataset` of the same elements.

    Raises:
        ValueError: The weights do not fit the streams.

    Example:
        >>> import tensorflow as tf
        >>> from deblur_keras import datasets
        >>> synthetic = tf.data.Dataset.from_tensors("synthetic").repeat()
        >>> real = tf.data.Dataset.from_tensors("real").repeat()
        >>> combined = datasets.mix([synthetic, real], weights=[2, 1]).take(600)
        >>> 350 < sum(kind == b"synthetic" for kind in combined.as_numpy_iterator()) < 450
        True

    Reference:
        Kupyn et al., "DeblurGAN", section 5: DeblurGAN-Comb, synthetic and real pairs at 2:1.
    """
    datasets = list(datasets)
    weights = np.ones(len(datasets)) if weights is None else np.asarray(weights, float)
    if not datasets or weights.shape != (len(datasets),) or not (weights > 0).all():
        raise ValueError(
            f"expected one positive weight for each of the {len(datasets)} streams, got {weights}"
        )
    return tf.data.Dataset.sample_from_datasets(
        datasets,
        list(weights / weights.sum()),
        seed=seed,
        stop_on_empty_dataset=True,
        rerandomize_each_iteration=True,
    ).prefetch(tf.data.AUTOTUNE)


class _KernelBank:
    """Makes the kernel of the n-th visit, in banks, of which it keeps the latest few."""

    def __init__(self, seed, **kind):
        self._lock = threading.Lock()
        self._bank = functools.lru_cache(maxsize=3)(
            lambda bank: blur.random_psfs(
                _BANK, seed=np.random.default_rng([_KERNELS, seed, bank]), **kind
            )
        )

    def __getitem__(self, number):
        with self._lock:  # so that two workers do not make the same bank
            return self._bank(number // _BANK)[number % _BANK]


def _natural_key(path):
    """Returns a key that sorts frame2 before frame10: texts and numbers in turn."""
    return [int(part) if part.isdecimal() else part for part in re.split("([0-9]+)", path.name)]

"""Mixes streams in a ratio, and knows how many batches of each a run has seen."""

import itertools

import numpy as np
import tensorflow as tf

from deblur_keras.datasets import mishaps, streams

_MIX = 6  # keeps the random numbers of mixtures apart from those of the streams
_BLOCK = 1 << 10  # draws that are made at once


def mix(datasets, weights=None, seed=0, *, first_batch=None):
    """Mixes several streams, drawing each batch from one of them at random.

    Args:
        datasets: Streams of equal batch and crop. Give them ``repeat=True``: the mix ends when one
            of them ends, because the ratio could not be kept any longer.
        weights: One positive number per stream, the odds of drawing from it; equal if left out.
        seed: Non-negative integer that decides the draws.
        first_batch: Batches that are done already, whose draws are left out. Every iterator, also
            for 0, begins there; left out, each draws anew, as the streams begin an epoch of their
            own. `drawn` says where each of the streams has to begin.

    Returns:
        `tf.data.Dataset` of the same elements.

    Raises:
        ValueError: The weights do not fit the streams, or ``seed`` or ``first_batch`` is negative.

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
    if min(seed, first_batch or 0) < 0:
        raise ValueError(f"seed and first_batch must not be negative, got {seed} and {first_batch}")
    iterators = itertools.count()

    def draws():
        begun = next(iterators) if first_batch is None else 0
        generator = _generator(seed, begun, first_batch or 0)
        while True:
            yield _draw(generator, weights, _BLOCK)

    chosen = tf.data.Dataset.from_generator(
        draws, output_signature=tf.TensorSpec((_BLOCK,), tf.int64)
    ).flat_map(tf.data.Dataset.from_tensor_slices)
    endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)

    def mixed(parts):
        return (
            tf.data.Dataset.choose_from_datasets(
                parts, chosen.apply(endless), stop_on_empty_dataset=True
            )
            .prefetch(streams.AHEAD)
            .with_options(streams.chain_options())
        )

    def part(begin, end):
        parts = [streams.part_of(dataset, begin, end) for dataset in datasets]
        return None if None in parts else mixed(parts)

    dataset = mixed(datasets)
    dataset.mishaps = [one for each in datasets for one in mishaps.of(each)]
    dataset.part = part
    return dataset


def drawn(weights, seed, batches):
    """Counts how many of the first batches of a mix come from each of its streams.

    With it a run goes on in the middle: make each stream with its count as ``first_batch``, and
    `mix` them with ``first_batch=batches``. A million batches take some hundredths of a second.

    Args:
        weights: As in `mix`; a list.
        seed: As in `mix`.
        batches: Number of batches that are done.

    Returns:
        List of integers, one a stream, whose sum is ``batches``.

    Example:
        >>> counts = drawn([2, 1], seed=0, batches=300)
        >>> sum(counts), 170 < counts[0] < 230
        (300, True)
    """
    weights = np.asarray(weights, float)
    draws = _draw(_generator(seed, 0, 0), weights, batches)
    return np.bincount(draws, minlength=len(weights)).tolist()


def _generator(seed, begun, first_batch):
    """Makes the generator of the draws of an iterator, one number a batch."""
    numbers = np.random.PCG64(np.random.SeedSequence([_MIX, seed, begun]))
    return np.random.Generator(numbers.advance(first_batch))


def _draw(generator, weights, count):
    """Draws the numbers of streams."""
    places = np.searchsorted(np.cumsum(weights) / weights.sum(), generator.random(count), "right")
    return np.minimum(places, len(weights) - 1)  # where the last sum is rounded to less than 1

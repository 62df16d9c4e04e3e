"""Mixes streams in a ratio, and knows how many batches of each a run has seen."""

import numpy as np
import tensorflow as tf


def mix(datasets, weights=None, seed=0, *, first_batch=0):
    """Mixes several streams, drawing each batch from one of them at random.

    Args:
        datasets: Streams of equal batch and crop. Give them ``repeat=True``: the mix ends when one
            of them ends, because the ratio could not be kept any longer.
        weights: One positive number per stream, the odds of drawing from it; equal if left out.
        seed: Non-negative integer that decides the draws.
        first_batch: Batches that are done already, whose draws are left out; `drawn` says where
            each of the streams then has to begin.

    Returns:
        `tf.data.Dataset` of the same elements.

    Raises:
        ValueError: The weights do not fit the streams, or ``first_batch`` is negative.

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
    if first_batch < 0:
        raise ValueError(f"first_batch must not be negative, got {first_batch}")
    chain = tf.data.Options()
    chain.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return (
        tf.data.Dataset.choose_from_datasets(
            datasets, _draws(weights, seed).skip(first_batch), stop_on_empty_dataset=True
        )
        .prefetch(tf.data.AUTOTUNE)
        .with_options(chain)
    )


def drawn(weights, seed, batches):
    """Counts how many of the first batches of a mix come from each of its streams.

    With it a run goes on in the middle: make each stream with its count as ``first_batch``, and
    `mix` them with ``first_batch=batches``. It takes some microseconds a batch.

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
    counts = np.zeros(len(weights), int)
    for some in _draws(weights, seed).take(batches).batch(1 << 14).as_numpy_iterator():
        counts += np.bincount(some, minlength=len(weights))
    return counts.tolist()


def _draws(weights, seed):
    """Makes the endless dataset of the numbers of the streams to draw from."""
    numbers = [
        tf.data.Dataset.from_tensors(np.int64(place)).repeat() for place in range(len(weights))
    ]
    return tf.data.Dataset.sample_from_datasets(
        numbers, list(weights / weights.sum()), seed=seed, rerandomize_each_iteration=True
    )

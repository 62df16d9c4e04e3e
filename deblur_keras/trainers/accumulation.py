"""Gradients of a large batch on a small device: part by part, and summed before any update.

What is accumulated is the gradient of *one* update. So a critic that is updated five times on a
batch goes through all parts five times, and each of its updates sees the whole batch, as without
accumulation: the weights are those of the large batch wherever examples do not depend on each
other, which batch norms and random numbers alone make them do.
"""

import tensorflow as tf


class Gathered:
    """Holds gradients that are computed already, in the place of a ``tf.GradientTape``.

    Args:
        gradients: Tensors, one for each variable.
    """

    def __init__(self, gradients):
        self._gradients = gradients

    def gradient(self, target, sources):
        """Returns the gradients, whatever is asked for."""
        del target, sources
        return self._gradients


def gradients(losses, number, optimizer, variables, parts, tensors, weights):
    """Sums the gradients of a batch's mean loss over parts of the batch.

    Only one part's intermediate results are in memory at a time.

    Args:
        losses: Callable, tensors of a part -> tuple of ``(b, ...)`` values, of which the first,
            ``(b,)``, is the loss to differentiate.
        number: How many values it returns.
        optimizer: The ``keras.optimizers.Optimizer`` that will apply the gradient.
        variables: Variables to differentiate for.
        parts: Parts to make of the batch; the last may be smaller.
        tensors: The batch, a list of ``(B, ...)``.
        weights: What each example's loss counts, ``(B,)``, as from `shares.Share.weights`.

    Returns:
        `Gathered`, and the values of the whole batch, a list of ``(B, ...)``.
    """
    tensors = [tf.convert_to_tensor(tensor) for tensor in tensors]
    size, count = _sizes(tf.shape(tensors[0])[0], parts)
    shapes = []

    def body(index, sums, collected):
        with tf.GradientTape() as tape:
            values = losses(*_part(tensors, index, size))
            # The part's share of the batch's mean, whatever its size.
            (weight,) = _part([weights], index, size)
            scaled = optimizer.scale_loss(tf.reduce_sum(values[0] * weight))
        found = tape.gradient(scaled, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        sums = [a + tf.convert_to_tensor(b) for a, b in zip(sums, found, strict=True)]
        shapes[:] = [[None, *value.shape[1:]] for value in values]
        collected = [a.write(index, b) for a, b in zip(collected, values, strict=True)]
        return index + 1, sums, collected

    sums = [tf.zeros(variable.shape, variable.dtype) for variable in variables]
    collected = [_array() for _ in range(number)]
    _, sums, collected = _loop(count, body, [tf.constant(0), sums, collected])
    whole = zip(collected, shapes, strict=True)
    return Gathered(sums), [tf.ensure_shape(array.concat(), shape) for array, shape in whole]


def mapped(function, parts, images):
    """Runs a network over a batch part by part, and records nothing.

    Args:
        function: Callable, ``(b, H, W, C) -> (b, H, W, C)``.
        parts: Parts to make of the batch.
        images: ``(B, H, W, C)``.

    Returns:
        ``(B, H, W, C)``.
    """
    images = tf.convert_to_tensor(images)
    size, count = _sizes(tf.shape(images)[0], parts)

    def body(index, made):
        (part,) = _part([images], index, size)
        return index + 1, made.write(index, function(part))

    _, made = _loop(count, body, [tf.constant(0), _array()])
    return tf.ensure_shape(made.concat(), images.shape)


def _sizes(batch, parts):
    """Computes how large parts are, and how many: none is empty, the last may be smaller."""
    size = -(-batch // parts)
    return size, -(-batch // size)


def _part(tensors, index, size):
    return [tensor[index * size : (index + 1) * size] for tensor in tensors]


def _array():
    return tf.TensorArray(tf.float32, 0, dynamic_size=True, infer_shape=False)


def _loop(count, body, state):
    # One after the other: parts that ran at the same time would need the memory of the whole.
    return tf.while_loop(lambda index, *_: index < count, body, state, parallel_iterations=1)

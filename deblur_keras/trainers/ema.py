"""The exponential moving average of a network's weights, and which weights are kept in the end."""

import weakref

import tensorflow as tf

from deblur_keras.trainers import precision


class MovingAverage(tf.Module):
    """Averages the trained weights of a network over its updates.

    ``average = decay * average + (1 - decay) * weights`` after each update, where the decay of
    update n is ``min(decay, (1 + n) / (10 + n))``, so that the weights of the beginning are soon
    forgotten. The average of a GAN's generator wanders less than the generator.

    Args:
        network: A built ``keras.Model``.
        decay: In (0, 1); 0.999 remembers about a thousand updates.

    Raises:
        ValueError: If the decay is out of range.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> average = MovingAverage(network, decay=0.9)
        >>> network.set_weights([np.array([[11.0]]), np.array([1.0])])
        >>> average.assign([np.array([[1.0]]), np.array([1.0])])
        >>> average.update()  # the first: a tenth of the old, nine of the new
        >>> float(average.values()[0][0, 0])
        10.0

    Reference:
        Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation",
        section 6; the warm-up is TensorFlow's own of ``ExponentialMovingAverage(num_updates)``.
    """

    def __init__(self, network, decay):
        super().__init__(name="moving_average")
        if not 0 < decay < 1:
            raise ValueError(f"The decay of a moving average must lie in (0, 1); got {decay!r}.")
        self.decay = decay
        # Not tracked: a checkpoint has the network already.
        self._network = weakref.ref(network)
        shared = {
            "trainable": False,
            "synchronization": tf.VariableSynchronization.ON_WRITE,
            "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA,
        }
        self.averages = [
            tf.Variable(tf.convert_to_tensor(weight), name=weight.path, **shared)
            for weight in network.trainable_variables
        ]
        self.count = tf.Variable(tf.zeros((), tf.int64), name="count", **shared)

    def update(self, made=True):
        """Takes the network's weights of this moment into the average.

        Args:
            made: Whether there was an update; else nothing changes.
        """
        count = tf.cast(self.count.read_value(), tf.float32)
        keep = tf.minimum(self.decay, (1.0 + count) / (10.0 + count))
        for average, weight in zip(self.averages, self._weights(), strict=True):
            value = tf.convert_to_tensor(weight)
            before = average.read_value()
            after = value + tf.cast(keep, value.dtype) * (before - value)
            average.assign(tf.where(made, after, before))
        self.count.assign_add(tf.cast(made, tf.int64))

    def assign(self, values):
        """Sets the average itself.

        Args:
            values: Arrays, one for each trained weight of the network.
        """
        for average, value in zip(self.averages, values, strict=True):
            average.assign(value)

    def values(self):
        """Returns the average as NumPy arrays, in the order of the trained weights."""
        return [average.numpy() for average in self.averages]

    def __call__(self, images):
        """Runs the network at inference with the average in the place of its weights.

        Args:
            images: ``(B, H, W, 3)``.

        Returns:
            What the network returns.
        """
        network = self._network()
        values = [average.read_value() for average in self.averages]
        others = [variable.value for variable in network.non_trainable_variables]
        return network.stateless_call(values, others, images, training=False)[0]

    def _weights(self):
        return self._network().trainable_variables


_COPIES = weakref.WeakKeyDictionary()


def kept(network, average=None):
    """Finds the network to save and to look at: of the averaged weights, and in float32.

    Args:
        network: A generator that is being trained.
        average: Its `MovingAverage`, if there is one.

    Returns:
        The network itself, if there is no average and it computes in float32; otherwise a copy,
        always the same one, whose weights are those of this moment.
    """
    if average is None and precision.compute_types(network) == {"float32"}:
        return network
    if network not in _COPIES:
        _COPIES[network] = precision.in_float32(network)
    copy = _COPIES[network]
    copy.set_weights(network.get_weights())
    if average is not None:
        for variable, value in zip(copy.trainable_variables, average.values(), strict=True):
            variable.assign(value)
    return copy

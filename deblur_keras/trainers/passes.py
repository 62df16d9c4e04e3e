"""The pass through a network that training makes: the same numbers, by cheaper gradients.

What TensorFlow differentiates operation by operation is written in closed form here where that is
cheaper and the network's own layers allow it:

- an instance norm: ``(g - mean(g) - y * mean(g * y)) / deviation`` instead of the chain through its
  mean, its square and its root, which makes twelve passes over the feature maps;
- a crop: padding with zeros, where TensorFlow scatters into a new array on one core.

All of it can be differentiated again, as the gradient penalty needs.
"""

import keras
import tensorflow as tf
from keras import layers

from deblur_keras.generators.calls import graph_of
from deblur_keras.layers import InstanceNormalization


class Pass:
    """Runs a network in training, with the gradients of this module.

    Args:
        network: A ``keras.Model``; one that is not functional is called as it is.

    Example:
        >>> from deblur_keras.generators import resnet_generator
        >>> generator = resnet_generator(filters=4, blocks=1, dropout=0.0)
        >>> images = tf.random.uniform((1, 16, 16, 3), -1, 1)
        >>> bool(tf.reduce_all(tf.abs(Pass(generator)(images) - generator(images)) < 1e-5))
        True
    """

    def __init__(self, network):
        self.network = network

    def __getattr__(self, name):
        """Gives what the network has, for those who want more of it than to run it."""
        if name == "network":  # not there yet
            raise AttributeError(name)
        return getattr(self.network, name)

    def __call__(self, images, training=True):
        """Runs the network.

        Args:
            images: ``(B, H, W, C)``.
            training: As in ``keras.Model``.

        Returns:
            What the network returns.
        """
        graph = _graph_of(self.network)
        if graph is None:
            return self.network(images, training=training)
        images = tf.convert_to_tensor(images)
        return _called(self.network, graph, images, training, self._substitute)

    def _substitute(self, layer):
        """Finds what to run in the place of a layer; None for the layer itself."""
        if type(layer) is InstanceNormalization:
            return lambda x: normalized(x, tf.constant(layer.epsilon))
        if type(layer) is layers.Cropping2D and layer.data_format == "channels_last":
            return lambda x: _cropped(x, layer.cropping)
        return None


def _graph_of(operation):
    """The graph of a network of one input that does no more than its layers; None for others."""
    graph = graph_of(operation)
    if graph is None or len(graph.inputs) != 1:
        return None
    # A subclass may do more in a `call` of its own.
    owner = next(kind for kind in type(operation).__mro__ if "call" in vars(kind))
    plain = owner.__module__.startswith("keras.") and hasattr(graph.input, "shape")
    return graph if plain else None


def _called(network, graph, images, training, substitute):
    def operation_for(operation):
        instead = substitute(operation)
        if instead is not None:
            return instead
        inner = _graph_of(operation)
        if inner is not None:
            return lambda x, **_: _called(operation, inner, x, training, substitute)

        def call(*arguments, **options):
            if "training" in getattr(operation, "_call_context_args", ()):
                options["training"] = training
            return operation(*arguments, **options)

        return call

    with keras.name_scope(network.name):
        return graph._run_through_graph(images, operation_fn=operation_for)


@tf.custom_gradient
def normalized(x, epsilon):
    """Normalizes each channel of each image, as `InstanceNormalization` does.

    Args:
        x: ``(B, H, W, C)``.
        epsilon: Added to the variance.

    Returns:
        ``(B, H, W, C)``, of the type of x.
    """
    values = tf.cast(x, tf.float32)
    centered = values - _mean(values)
    scale = tf.math.rsqrt(_mean(tf.square(centered)) + epsilon)
    result = centered * scale

    def gradient(upstream):
        g = tf.cast(upstream, tf.float32)
        slope = (g - _mean(g) - result * _mean(g * result)) * scale
        return tf.cast(slope, upstream.dtype), None

    return tf.cast(result, x.dtype), gradient


def _mean(x):
    return tf.reduce_mean(x, axis=(1, 2), keepdims=True)


def _cropped(x, cropping):
    (top, bottom), (left, right) = cropping
    shape = tf.shape(x)
    size = [shape[0], shape[1] - top - bottom, shape[2] - left - right, shape[3]]
    result = tf.slice(x, [0, top, left, 0], size)
    height, width = x.shape[1:3]
    return tf.ensure_shape(
        result,
        (
            x.shape[0],
            height and height - top - bottom,
            width and width - left - right,
            x.shape[3],
        ),
    )

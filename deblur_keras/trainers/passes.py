"""The pass through a network that training makes: the same numbers, by cheaper gradients.

What TensorFlow differentiates operation by operation is written in closed form here where that is
cheaper and the network's own layers allow it:

- an instance norm: ``(g - mean(g) - y * mean(g * y)) / deviation`` instead of the chain through its
  mean, its square and its root, which makes twelve passes over the feature maps;
- a crop: padding with zeros, where TensorFlow scatters into a new array on one core;
- kernels of wide 3x3 convolutions, in float32 on a CPU: products of matrices, one a tap, which
  oneDNN's own gradient is slower than; at stride 2 as a convolution of stride 1 over the four
  phases of the input.

All of it can be differentiated again, as the gradient penalty needs, but for the kernels, of which
no recipe's generator needs more than the first derivative.
"""

import keras
import tensorflow as tf
from keras import layers

from deblur_keras.generators.calls import graph_of
from deblur_keras.layers import InstanceNormalization

_WIDE = 32  # channels from which the products of matrices are quicker


class Pass:
    """Runs a network in training, with the gradients of this module.

    Args:
        network: A ``keras.Model``; one that is not functional is called as it is.
        kernels: Whether to take the kernels' gradients by products of matrices, which can be
            differentiated only once. None does on machines without an accelerator.

    Example:
        >>> from deblur_keras.generators import resnet_generator
        >>> generator = resnet_generator(filters=4, blocks=1, dropout=0.0)
        >>> images = tf.random.uniform((1, 16, 16, 3), -1, 1)
        >>> bool(tf.reduce_all(tf.abs(Pass(generator)(images) - generator(images)) < 1e-5))
        True
    """

    def __init__(self, network, kernels=False):
        self.network = network
        self._kernels = kernels

    def __call__(self, images, training=True):
        """Runs the network.

        Args:
            images: ``(B, H, W, C)``.
            training: As in ``keras.Model``.

        Returns:
            What the network returns.
        """
        graph = graph_of(self.network)
        if graph is None:
            return self.network(images, training=training)
        # Within the network's own call, so that what it does around its layers is done as well.
        return _called(self.network, graph, images, training, self._substitute)

    def _substitute(self, layer):
        """Finds what to run in the place of a layer; None for the layer itself."""
        if type(layer) is InstanceNormalization:
            return lambda x: normalized(x, tf.constant(layer.epsilon))
        if type(layer) is layers.Cropping2D and layer.data_format == "channels_last":
            return lambda x: _cropped(x, layer.cropping)
        if self._kernels and _is_wide(layer):
            return lambda x: _convolved(layer, x)
        return None


def _called(network, graph, images, training, substitute):
    def operation_for(operation):
        instead = substitute(operation)
        if instead is not None:
            return instead
        inner = graph_of(operation)
        if inner is not None:
            return lambda x, **_: _called(operation, inner, x, training, substitute)

        def call(*arguments, **options):
            if "training" in getattr(operation, "_call_context_args", ()):
                options["training"] = training
            return operation(*arguments, **options)

        return call

    images = tf.convert_to_tensor(images)
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


def _is_plain(layer):
    return (
        layer.padding == "valid"
        and layer.data_format == "channels_last"
        and layer.dilation_rate == (1, 1)
        and getattr(layer, "groups", 1) == 1
        and layer.activation is keras.activations.linear
        and min(layer.kernel.shape[2:]) >= _WIDE
    )


def _is_wide(layer):
    """Says whether this is a convolution whose kernel's gradient is known here."""
    return (
        type(layer) in (layers.Conv2D, layers.Conv2DTranspose)
        and layer.compute_dtype == "float32"
        and layer.kernel_size == (3, 3)
        and (layer.strides == (2, 2) or (layer.strides == (1, 1) and type(layer) is layers.Conv2D))
        and _is_plain(layer)
    )


def _convolved(layer, x):
    kernel = tf.convert_to_tensor(layer.kernel)
    if type(layer) is layers.Conv2DTranspose:
        result = _transposed(x, kernel)
    else:
        result = _strided(x, kernel) if layer.strides == (2, 2) else _plain(x, kernel)
    return tf.nn.bias_add(result, layer.bias) if layer.use_bias else result


@tf.custom_gradient
def _plain(x, kernel):
    def gradient(g):
        return _input_gradient(x, kernel, g, 1), _kernel_gradient(x, kernel, g)

    return tf.nn.conv2d(x, kernel, 1, "VALID"), gradient


@tf.custom_gradient
def _strided(x, kernel):
    def gradient(g):
        return _input_gradient(x, kernel, g, 2), _strided_kernel_gradient(x, g)

    return tf.nn.conv2d(x, kernel, 2, "VALID"), gradient


@tf.custom_gradient
def _transposed(x, kernel):
    """Does the opposite of `_strided`: (B, H, W, C) -> (B, 2H + 1, 2W + 1, filters)."""
    shape = tf.shape(x)
    size = [shape[0], 2 * shape[1] + 1, 2 * shape[2] + 1, kernel.shape[2]]

    def gradient(g):
        return tf.nn.conv2d(g, kernel, 2, "VALID"), _strided_kernel_gradient(g, x)

    return tf.nn.conv2d_transpose(x, kernel, size, 2, "VALID"), gradient


def _input_gradient(x, kernel, g, stride):
    return tf.nn.conv2d_transpose(g, kernel, tf.shape(x), stride, "VALID")


def _kernel_gradient(x, kernel, g):
    """Multiplies, for each tap, what it saw by what became of it."""
    shape = tf.shape(g)
    height, width = shape[1], shape[2]
    upstream = tf.reshape(g, (-1, kernel.shape[3]))
    taps = []
    for column in range(3):
        # Rows are next to each other in memory, so that only columns are copied for one image.
        seen = x[:, :, column : column + width]
        for row in range(3):
            part = tf.reshape(seen[:, row : row + height], (-1, kernel.shape[2]))
            taps.append((row, column, tf.matmul(part, upstream, transpose_a=True)))
    rows = [tf.stack([t for r, _, t in taps if r == row]) for row in range(3)]
    return tf.stack(rows)


def _strided_kernel_gradient(x, g):
    """Computes the gradient of a 3x3 kernel at stride 2 as that of a 2x2 one over the four phases.

    The fourth row and column of the 4x4 kernel that comes out belong to no tap.
    """
    shape, channels, filters = tf.shape(g), x.shape[-1], g.shape[-1]
    rows, columns = 2 * shape[1] + 2, 2 * shape[2] + 2
    given = tf.shape(x)
    padding = [tf.maximum(rows - given[1], 0), tf.maximum(columns - given[2], 0)]
    x = tf.pad(x, [[0, 0], [0, padding[0]], [0, padding[1]], [0, 0]])[:, :rows, :columns]
    phases = tf.nn.space_to_depth(x, 2)
    kernel = tf.raw_ops.Conv2DBackpropFilter(
        input=phases,
        filter_sizes=[2, 2, 4 * channels, filters],
        out_backprop=g,
        strides=[1, 1, 1, 1],
        padding="VALID",
    )
    # (2, 2, 2 * 2 * C, F) -> (4, 4, C, F)
    kernel = tf.reshape(kernel, (2, 2, 2, 2, channels, filters))
    kernel = tf.reshape(tf.transpose(kernel, (0, 2, 1, 3, 4, 5)), (4, 4, channels, filters))
    return kernel[:3, :3]

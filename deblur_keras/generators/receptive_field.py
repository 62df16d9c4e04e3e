"""How far a network sees: the part of an image that one pixel of its result depends on."""

import dataclasses
import math

from keras import layers

from deblur_keras.generators.calls import model_calls
from deblur_keras.generators.graph import scales, size_multiple
from deblur_keras.layers import ChannelScale, ClippedAdd, ReflectionPadding2D, SimpleGate

# Layers that treat each pixel by itself when a network restores.
_POINTWISE = (
    *(layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.PReLU),
    *(layers.Add, layers.Subtract, layers.Multiply, layers.Average),
    *(layers.Maximum, layers.Minimum, layers.Rescaling, layers.Identity),
    *(layers.Dropout, layers.SpatialDropout2D, layers.GaussianDropout, layers.AlphaDropout),
    *(layers.GaussianNoise, layers.ActivityRegularization, layers.Dense),
    *(ChannelScale, ClippedAdd, SimpleGate),
)
# Layers that do so if they work along the channels.
_ALONG_AN_AXIS = (
    *(layers.BatchNormalization, layers.LayerNormalization, layers.RMSNormalization),
    *(layers.Concatenate, layers.Softmax),
)
# Keras's operations, by their class's name: `x + y` on the tensors of a functional model.
_POINTWISE_OPERATIONS = frozenset(
    (
        *("Abs", "Add", "Clip", "Divide", "Exp", "Gelu", "LeakyRelu", "Log", "Maximum", "Minimum"),
        *("Multiply", "Negative", "Relu", "Relu6", "Sigmoid", "Silu", "Softplus", "Sqrt"),
        *("Square", "Subtract", "Tanh", "TrueDivide"),
    )
)
# Pixels on either side that an interpolation reads beside the nearest one before the position.
_INTERPOLATION = {"bilinear": (0, 1), "bicubic": (1, 2), "lanczos3": (2, 3), "lanczos5": (4, 5)}

_EVERYTHING = (-math.inf, math.inf)


@dataclasses.dataclass(frozen=True)
class ReceptiveField:
    """Holds how far a network sees.

    Attributes:
        height: Rows of the image that a pixel of the output depends on, at the position where they
            are the most; `math.inf` if it depends on the whole image.
        width: The same for columns.
        reach: Pixels that this goes beyond an aligned block of the output, of as many pixels as the
            network's size multiple, on the side where it goes the furthest. A tile with so many
            pixels around it is restored as the whole image is.
        image_wide: Names of the layers that look at the whole image, such as an instance norm, and
            of those that are not known here.
    """

    height: float
    width: float
    reach: float
    image_wide: tuple = ()


def receptive_field(model, except_for=()):
    """Computes the part of an image that one pixel of a network's output depends on.

    Follows the layers from the output to the image, kernels, strides, dilations and upsamplings,
    through all branches, and takes the worst of all positions of the pixel on the coarsest grid. It
    is what can matter; with most weights the outer part of it hardly does.

    Args:
        model: A functional ``keras.Model`` over images; sizes are to be multiples of its
            `size_multiple`.
        except_for: Layer classes to take as if they treated each pixel by itself, such as an
            instance norm whose statistics are given.

    Returns:
        `ReceptiveField`.

    Raises:
        ValueError: If the model is not functional, so that its layers cannot be followed.

    Example:
        >>> from deblur_keras.critics import patch_critic
        >>> receptive_field(patch_critic(norm="none")).height
        70
        >>> receptive_field(patch_critic()).image_wide[0]
        'conv2_norm'
    """
    network = model_calls(model)
    multiple = size_multiple(model)
    image, output = network.inputs[0], network.outputs[0]
    sides, reach = [], 0
    for axis in (0, 1):
        cells = max(math.ceil(multiple / scales(network, axis)[output]), 1)

        def seen(start, stop, axis=axis):
            needed, _ = demands(network, axis, {output: (start, stop)}, except_for)
            return needed.get(image, (start, start))

        ranges = [seen(position, position + 1) for position in range(cells)]
        sides.append(max(stop - start for start, stop in ranges))
        start, stop = seen(0, cells)
        reach = max(reach, -start, stop - multiple)
    return ReceptiveField(*sides, reach, image_wide_layers(network, except_for))


def image_wide_layers(network, except_for=()):
    """Lists the layers that look at the whole image, and those that are not known here.

    Args:
        network: The `calls.Calls` of a model.
        except_for: As in `receptive_field`.

    Returns:
        Tuple of names.

    Example:
        >>> from deblur_keras.generators import resnet_generator
        >>> image_wide_layers(model_calls(resnet_generator(filters=4, blocks=0)))
        ('stem_norm', 'down1_norm', 'down2_norm', 'up1_norm', 'up2_norm')
    """
    return tuple(
        dict.fromkeys(
            call.operation.name
            for call in network.calls
            if before(call.operation, 0, 0, 1, except_for) == _EVERYTHING
        )
    )


def demands(network, axis, wanted, except_for=()):
    """Computes what parts of tensors depend on, far from the borders of the image.

    Args:
        network: The `calls.Calls` of a model, or of a part of it.
        axis: 0 for rows, 1 for columns.
        wanted: ``{number of a tensor: (first row or column, the one behind the last)}``.
        except_for: As in `receptive_field`.

    Returns:
        Two tables: ``{number of a tensor: (start, stop)}`` of what is needed of each tensor, and
        ``{index of a call: (start, stop)}`` of what that call needs of its inputs. Each counts on
        the tensor's own grid; tensors and calls on which nothing depends are left out.

    Example:
        >>> from deblur_keras.generators import resnet_generator
        >>> network = model_calls(resnet_generator(filters=4, blocks=0, norm="none"))
        >>> demands(network, 0, {network.outputs[0]: (0, 4)})[0][network.inputs[0]]
        (-10, 15)
    """
    needed, taken = dict(wanted), {}
    for index in reversed(range(len(network.calls))):
        call = network.calls[index]
        outputs = [needed[number] for number in call.outputs if number in needed]
        if not outputs:
            continue
        taken[index] = before(call.operation, axis, *_union(outputs), except_for)
        for number in call.inputs:
            needed[number] = _union([taken[index], needed.get(number, taken[index])])
    return needed, taken


def before(operation, axis, start, stop, except_for=()):
    """Computes what a layer reads to make the rows or columns from ``start`` up to ``stop``.

    Args:
        operation: A Keras layer or operation.
        axis: 0 for rows, 1 for columns.
        start: First row or column of the layer's output.
        stop: The one behind its last.
        except_for: As in `receptive_field`.

    Returns:
        ``(start, stop)`` on the grid of the layer's input; infinite for layers that look at the
        whole image, and for those that are not known here.

    Example:
        >>> before(layers.Conv2D(1, 3, strides=2, padding="same"), 0, 0, 1)
        (0, 3)
    """
    if start == -math.inf or isinstance(operation, except_for):
        return start, stop
    if isinstance(operation, layers.Conv2DTranspose):
        return _before_transposed(operation, axis, start, stop)
    if isinstance(operation, layers.Conv2D | layers.DepthwiseConv2D | layers.SeparableConv2D):
        kernel = (operation.kernel_size[axis] - 1) * operation.dilation_rate[axis] + 1
        return _before_window(operation, axis, kernel, start, stop)
    if isinstance(operation, layers.AveragePooling2D | layers.MaxPooling2D):
        return _before_window(operation, axis, operation.pool_size[axis], start, stop)
    if isinstance(operation, layers.UpSampling2D):
        return _before_upsampling(operation, axis, start, stop)
    if isinstance(operation, ReflectionPadding2D):
        return start - operation.padding, stop - operation.padding
    if isinstance(operation, layers.ZeroPadding2D):
        return start - operation.padding[axis][0], stop - operation.padding[axis][0]
    if isinstance(operation, layers.Cropping2D):
        return start + operation.cropping[axis][0], stop + operation.cropping[axis][0]
    return (start, stop) if _is_pointwise(operation) else _EVERYTHING


def _is_pointwise(operation):
    if isinstance(operation, _ALONG_AN_AXIS):
        axes = operation.axis if isinstance(operation.axis, list | tuple) else [operation.axis]
        return set(axes) <= {-1, 3}
    if isinstance(operation, layers.PReLU):
        return set(operation.shared_axes or ()) >= {1, 2}
    if isinstance(operation, layers.Layer):
        return isinstance(operation, _POINTWISE)
    return type(operation).__name__ in _POINTWISE_OPERATIONS


def _before_window(layer, axis, kernel, start, stop):
    """Follows a window of ``kernel`` pixels that goes forward by the layer's stride."""
    stride = layer.strides[axis]
    # "same" divides what is missing at sizes that the stride divides, the odd one behind.
    first = max(kernel - stride, 0) // 2 if layer.padding == "same" else 0
    return start * stride - first, (stop - 1) * stride - first + kernel


def _before_transposed(layer, axis, start, stop):
    """Follows a transposed convolution: output o sees the inputs i with o = i * stride + tap."""
    if layer.output_padding is not None:
        return _EVERYTHING
    stride = layer.strides[axis]
    kernel = (layer.kernel_size[axis] - 1) * layer.dilation_rate[axis] + 1
    cut = max(kernel - stride, 0) // 2 if layer.padding == "same" else 0
    first = -((kernel - 1 - start - cut) // stride)
    return first, max((stop - 1 + cut) // stride, first) + 1


def _before_upsampling(layer, axis, start, stop):
    size = layer.size[axis]
    if layer.interpolation == "nearest":
        return start // size, (stop - 1) // size + 1
    left, right = _INTERPOLATION.get(layer.interpolation, _EVERYTHING)
    # Pixel centres: output o lies at (o + 1/2) / size - 1/2.
    first, last = ((2 * o + 1 - size) // (2 * size) for o in (start, stop - 1))
    return first - left, last + right + 1


def _union(intervals):
    starts, stops = zip(*intervals, strict=True)
    return min(starts), max(stops)

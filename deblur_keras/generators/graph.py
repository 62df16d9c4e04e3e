"""What can be read off a network's graph: the sizes it takes and what an image costs."""

import dataclasses
import fractions
import math

import keras
from keras import layers

from deblur_keras.generators.calls import functional, graph_of, model_calls


def size_multiple(model):
    """Computes the number that heights and widths must be multiples of for a functional model.

    Follows the strides through the layers: the coarsest grid that any layer works on.

    Args:
        model: A functional ``keras.Model`` over images.

    Returns:
        A whole number; 1 for a model without strides.

    Raises:
        ValueError: If the model is not functional, so that its layers cannot be followed.

    Example:
        >>> from deblur_keras.generators import resnet_generator
        >>> size_multiple(resnet_generator(filters=4, blocks=1))
        4
    """
    functional(model, "size_multiple")
    network = model_calls(model)
    # Rows and columns apart: a factored convolution has a stride along one of them alone.
    return math.lcm(*(common_multiple(scales(network, axis).values()) for axis in (0, 1)))


def common_multiple(steps):
    """Computes the smallest side of an image that is a whole number of each of some steps.

    Args:
        steps: Fractions, as in `scales`.

    Returns:
        Whole number.

    Example:
        >>> common_multiple([fractions.Fraction(4), fractions.Fraction(3, 2)])
        12
    """
    return math.lcm(*(step.numerator for step in steps))


def scales(network, axis):
    """Follows the strides along one axis of an image.

    Args:
        network: The `Calls` of a model.
        axis: 0 for rows, 1 for columns.

    Returns:
        ``{number of a tensor: pixels of the image that one step on its grid is}``, whole numbers,
        or fractions where a network works on a finer grid than the image.
    """
    found = dict.fromkeys(network.inputs, fractions.Fraction(1))
    for call in network.calls:
        scale = max(found[number] for number in call.inputs)
        scale = scale * _stride(call.operation, axis) / _growth(call.operation, axis)
        found.update(dict.fromkeys(call.outputs, scale))
    return found


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """Holds what one call of a layer costs, for one image.

    Attributes:
        layer: The Keras layer.
        output_shape: Shape of its output, without the batch: ``(height, width, channels)``.
        parameters: Its weights, trained or not; 0 where an earlier call has counted them.
        multiply_adds: Multiplications, each with its addition.
    """

    layer: layers.Layer
    output_shape: tuple
    parameters: int
    multiply_adds: int


def layer_costs(model, height, width):
    """Follows one image through a network, layer by layer.

    Args:
        model: A functional ``keras.Model`` over images.
        height: Height of the image in pixels.
        width: Width of the image in pixels.

    Returns:
        List of `LayerCost`, one a call of a layer that has weights, in the order of the calls;
        nested models are entered.

    Raises:
        ValueError: If the model is not functional, takes images of another size alone, or has a
            layer with a kernel that is not understood here.

    Example:
        >>> from deblur_keras.generators import resnet_generator
        >>> costs = layer_costs(resnet_generator(filters=4, blocks=1), 64, 64)
        >>> [cost.output_shape for cost in costs if cost.layer.name == "down2_conv"]
        [(16, 16, 16)]
    """
    model = functional(model, "layer_costs")
    costs, counted = [], set()

    def followed(operation):
        def run(*arguments, **options):
            inner = graph_of(operation)
            if inner is not None:
                return inner._run_through_graph(arguments[0], operation_fn=followed)
            output = operation.compute_output_spec(*arguments, **options)
            if weights := getattr(operation, "weights", None):
                cost = _layer_cost(operation, arguments[0].shape, output.shape)
                new = [weight for weight in weights if id(weight) not in counted]
                counted.update(map(id, new))
                parameters = sum(math.prod(weight.shape) for weight in new)
                costs.append(LayerCost(operation, tuple(output.shape[1:]), parameters, cost))
            return output

        return run

    expected = model.inputs[0]
    shape = (1, height, width, expected.shape[-1])
    if any(side not in (None, given) for side, given in zip(expected.shape, shape, strict=True)):
        raise ValueError(
            f"{model.name} takes images of shape {expected.shape[1:]}; received height {height} "
            f"and width {width}."
        )
    image = keras.KerasTensor(shape, dtype=expected.dtype)
    model._run_through_graph(image, operation_fn=followed)
    return costs


def multiply_adds(model, height, width):
    """Computes the multiplications, each with its addition, that a network does for one image.

    Convolutions, dense layers, and nothing else: biases, normalization and activations are left
    out, as in the papers' "FLOPs" and "MACs". A transposed convolution counts each input pixel
    times its kernel, before anything is cropped.

    Args:
        model: A functional ``keras.Model`` over images.
        height: Height of the image in pixels.
        width: Width of the image in pixels.

    Returns:
        A whole number; divide by 1e9 for GMAC.

    Raises:
        ValueError: As `layer_costs`.

    Example:
        >>> from deblur_keras.generators import resnet_generator
        >>> round(multiply_adds(resnet_generator(), 256, 256) / 1e9, 1)
        49.6
    """
    return sum(cost.multiply_adds for cost in layer_costs(model, height, width))


def _layer_cost(layer, input_shape, output_shape):
    """Counts one call of a layer with weights."""
    if isinstance(layer, layers.Conv2DTranspose):
        return math.prod(input_shape[1:3]) * math.prod(layer.kernel.shape)
    if isinstance(layer, layers.SeparableConv2D):
        kernels = (layer.depthwise_kernel, layer.pointwise_kernel)
        return math.prod(output_shape[1:3]) * sum(math.prod(kernel.shape) for kernel in kernels)
    # A grouped kernel is (height, width, C / groups, filters): its product is right as it is.
    if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
        return math.prod(output_shape[1:3]) * math.prod(layer.kernel.shape)
    if isinstance(layer, layers.Dense):
        return math.prod(output_shape[1:-1]) * math.prod(layer.kernel.shape)
    if any(len(weight.shape) > 1 for weight in layer.weights):
        raise ValueError(
            f"multiply_adds knows convolutions and dense layers; the layer {layer.name!r} is a "
            f"{type(layer).__name__} and has a kernel."
        )
    return 0


def _stride(operation, axis):
    if isinstance(operation, layers.Conv2DTranspose):
        return 1
    strides = getattr(operation, "strides", 1)
    return strides[axis] if isinstance(strides, tuple | list) else int(strides or 1)


def _growth(operation, axis):
    if isinstance(operation, layers.Conv2DTranspose):
        return operation.strides[axis]
    if isinstance(operation, layers.UpSampling2D):
        return operation.size[axis]
    return 1

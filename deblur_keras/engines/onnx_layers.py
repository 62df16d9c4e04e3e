"""How each kind of layer is written in ONNX, channels first."""

import keras
import numpy as np
from keras import layers
from onnx import helper

from deblur_keras.layers import (
    ChannelScale,
    ClippedAdd,
    InstanceNormalization,
    ReflectionPadding2D,
    SimpleGate,
)

_END = np.iinfo(np.int64).max

_ACTIVATIONS = {
    "linear": None,
    "relu": ("Relu", {}),
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "softplus": ("Softplus", {}),
}
_IDENTITIES = (
    *(layers.Identity, layers.ActivityRegularization, layers.GaussianNoise),
    *(layers.Dropout, layers.SpatialDropout2D, layers.GaussianDropout, layers.AlphaDropout),
)
_MERGES = {
    layers.Add: "Add",
    layers.Multiply: "Mul",
    layers.Maximum: "Max",
    layers.Minimum: "Min",
}


class UnknownLayerError(ValueError):
    """A layer, or a setting of one, for which there is no rule here."""


class Graph:
    """Collects the nodes and weights of an ONNX graph; tensors are ``(B, C, H, W)``.

    Attributes:
        nodes: List of the nodes, in an order in which they can run.
        weights: Arrays, the constants, by name.

    Args:
        taken: Names that no tensor in the graph may have.
    """

    def __init__(self, taken=()):
        self.nodes, self.weights = [], {}
        self._names, self._known = dict.fromkeys(taken, 1), {}

    def node(self, kind, inputs, name, **attributes):
        """Adds a node with one output.

        Args:
            kind: Name of the ONNX operator.
            inputs: Names of tensors, or arrays for constants, or None for what is left out.
            name: What to call it; a number is added where that is taken.
            **attributes: Of the operator.

        Returns:
            Name of its output.
        """
        output = self._unique(name)
        inputs = [self._input(given, output) for given in inputs]
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def halves(self, tensor, name):
        """Splits a tensor in two along the channels, and returns the names of both."""
        outputs = [self._unique(f"{name}_{half}") for half in ("first", "second")]
        node = helper.make_node("Split", [tensor], outputs, name=outputs[0], axis=1, num_outputs=2)
        self.nodes.append(node)
        return outputs

    def _input(self, given, name):
        if given is None:
            return ""
        if isinstance(given, str):
            return given
        given = np.ascontiguousarray(given)
        # A layer that is called twice has its weights once.
        same = given.dtype.str, given.shape, given.tobytes()
        if same not in self._known:
            self._known[same] = self._unique(f"{name}_constant")
            self.weights[self._known[same]] = given
        return self._known[same]

    def _unique(self, name):
        count = self._names[name] = self._names.get(name, 0) + 1
        return name if count == 1 else f"{name}_{count}"


def write_layer(graph, layer, inputs, channels):
    """Adds a layer to a graph, as it works where a network restores.

    Args:
        graph: `Graph`.
        layer: The layer, or another Keras operation.
        inputs: Names of the tensors that it takes.
        channels: Channels of the first of them.

    Returns:
        Name of the tensor that it makes.

    Raises:
        UnknownLayerError: If there is no rule for such a layer.
    """
    for kind, rule in _RULES.items():
        # A subclass may do anything; only the class itself is known.
        if type(layer) is kind:
            return rule(graph, layer, inputs, channels)
    raise UnknownLayerError(f"{layer.name!r} is a {type(layer).__name__}")


def _identity(graph, layer, inputs, channels):
    return inputs[0]


def _convolution(graph, layer, inputs, channels):
    x = _convolve(graph, layer, inputs[0], layer.kernel, layer.bias, layer.groups)
    return _activate(graph, layer.activation, x, layer.name)


def _depthwise(graph, layer, inputs, channels):
    kernel = _depthwise_kernel(layer.kernel)
    x = _convolve(graph, layer, inputs[0], kernel, layer.bias, channels)
    return _activate(graph, layer.activation, x, layer.name)


def _separable(graph, layer, inputs, channels):
    kernel = _depthwise_kernel(layer.depthwise_kernel)
    x = _convolve(graph, layer, inputs[0], kernel, None, channels, f"{layer.name}_depthwise")
    weights = [_channels_first(layer.pointwise_kernel), _array(layer.bias)]
    x = graph.node("Conv", [x, *_given(weights)], layer.name)
    return _activate(graph, layer.activation, x, layer.name)


def _transposed(graph, layer, inputs, channels):
    _channels_last(layer)
    if layer.output_padding is not None or layer.padding not in ("valid", "same"):
        raise _unknown(layer, "output_padding", layer.output_padding)
    sides = [(size - 1) * rate + 1 for size, rate in _along(layer)]
    pads, more = [], []
    for side, stride in zip(sides, layer.strides, strict=True):
        cut = max(side - stride, 0) if layer.padding == "same" else 0
        pads.append((cut // 2, cut - cut // 2))
        more.append(max(stride - side, 0))
    x = graph.node(
        "ConvTranspose",
        [inputs[0], *_given([_channels_first(layer.kernel), _array(layer.bias)])],
        layer.name,
        strides=list(layer.strides),
        dilations=list(layer.dilation_rate),
        pads=[begin for begin, _ in pads] + [end for _, end in pads],
        output_padding=more,
    )
    return _activate(graph, layer.activation, x, layer.name)


def _activation(graph, layer, inputs, channels):
    return _activate(graph, layer.activation, inputs[0], layer.name)


def _relu(graph, layer, inputs, channels):
    if layer.max_value is not None or layer.threshold:
        raise _unknown(layer, "max_value or threshold", (layer.max_value, layer.threshold))
    if layer.negative_slope:
        return _leaky_relu(graph, layer, inputs, channels)
    return graph.node("Relu", inputs, layer.name)


def _leaky_relu(graph, layer, inputs, channels):
    return graph.node("LeakyRelu", inputs, layer.name, alpha=float(layer.negative_slope))


def _instance_norm(graph, layer, inputs, channels):
    scale, offset = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    return graph.node(
        "InstanceNormalization", [inputs[0], scale, offset], layer.name, epsilon=layer.epsilon
    )


def _batch_norm(graph, layer, inputs, channels):
    _along_channels(layer)
    factor = 1 / np.sqrt(_array(layer.moving_variance) + np.float32(layer.epsilon))
    if layer.scale:
        factor = factor * _array(layer.gamma)
    offset = -_array(layer.moving_mean) * factor
    if layer.center:
        offset = offset + _array(layer.beta)
    x = graph.node("Mul", [inputs[0], _per_channel(factor)], f"{layer.name}_scale")
    return graph.node("Add", [x, _per_channel(offset)], layer.name)


def _rms_norm(graph, layer, inputs, channels):
    _along_channels(layer)
    x, name = inputs[0], layer.name
    square = graph.node("Mul", [x, x], f"{name}_square")
    mean = graph.node("ReduceMean", [square, np.array([1])], f"{name}_mean", keepdims=1)
    mean = graph.node("Add", [mean, np.float32(layer.epsilon)], f"{name}_epsilon")
    root = graph.node("Sqrt", [mean], f"{name}_root")
    x = graph.node("Div", [x, root], f"{name}_quotient")
    return graph.node("Mul", [x, _per_channel(_array(layer.scale))], name)


def _gate(graph, layer, inputs, channels):
    first, second = graph.halves(inputs[0], layer.name)
    gate = _activate(graph, layer.activation, second, layer.name)
    return graph.node("Mul", [first, gate], layer.name)


def _channel_scale(graph, layer, inputs, channels):
    return graph.node("Mul", [inputs[0], _per_channel(_array(layer.scale))], layer.name)


def _merge(graph, layer, inputs, channels):
    x = inputs[0]
    for other in inputs[1:]:
        x = graph.node(_MERGES[type(layer)], [x, other], layer.name)
    return x


def _subtract(graph, layer, inputs, channels):
    return graph.node("Sub", inputs, layer.name)


def _concatenate(graph, layer, inputs, channels):
    _along_channels(layer)
    return graph.node("Concat", inputs, layer.name, axis=1)


def _clipped_add(graph, layer, inputs, channels):
    x = graph.node("Add", inputs, f"{layer.name}_sum")
    return graph.node("Clip", [x, np.float32(-1), np.float32(1)], layer.name)


def _rescaling(graph, layer, inputs, channels):
    scale, offset = (np.asarray(value, np.float32) for value in (layer.scale, layer.offset))
    if scale.ndim or offset.ndim:
        raise _unknown(layer, "scale or offset", (layer.scale, layer.offset))
    x = graph.node("Mul", [inputs[0], scale], f"{layer.name}_scale")
    return graph.node("Add", [x, offset], layer.name)


def _reflection(graph, layer, inputs, channels):
    edge = layer.padding
    return _pad(graph, inputs[0], ((edge, edge), (edge, edge)), layer.name, "reflect")


def _zero_padding(graph, layer, inputs, channels):
    _channels_last(layer)
    return _pad(graph, inputs[0], layer.padding, layer.name, "constant")


def _cropping(graph, layer, inputs, channels):
    _channels_last(layer)
    starts = np.array([begin for begin, _ in layer.cropping])
    stops = np.array([-end if end else _END for _, end in layer.cropping])
    return graph.node("Slice", [inputs[0], starts, stops, np.array([2, 3])], layer.name)


def _upsampling(graph, layer, inputs, channels):
    _channels_last(layer)
    scales = np.array([1, 1, *layer.size], np.float32)
    how = {
        "nearest": {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        },
        "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
    }
    if layer.interpolation not in how:
        raise _unknown(layer, "interpolation", layer.interpolation)
    return graph.node("Resize", [inputs[0], None, scales], layer.name, **how[layer.interpolation])


def _pooling(graph, layer, inputs, channels):
    _channels_last(layer)
    kind = "MaxPool" if isinstance(layer, layers.MaxPooling2D) else "AveragePool"
    return graph.node(
        kind,
        inputs,
        layer.name,
        kernel_shape=list(layer.pool_size),
        strides=list(layer.strides),
        auto_pad="SAME_UPPER" if layer.padding == "same" else "VALID",
    )


_RULES = {
    layers.Conv2D: _convolution,
    layers.DepthwiseConv2D: _depthwise,
    layers.SeparableConv2D: _separable,
    layers.Conv2DTranspose: _transposed,
    layers.Activation: _activation,
    layers.ReLU: _relu,
    layers.LeakyReLU: _leaky_relu,
    layers.BatchNormalization: _batch_norm,
    layers.RMSNormalization: _rms_norm,
    layers.Subtract: _subtract,
    layers.Concatenate: _concatenate,
    layers.Rescaling: _rescaling,
    layers.ZeroPadding2D: _zero_padding,
    layers.Cropping2D: _cropping,
    layers.UpSampling2D: _upsampling,
    layers.AveragePooling2D: _pooling,
    layers.MaxPooling2D: _pooling,
    InstanceNormalization: _instance_norm,
    SimpleGate: _gate,
    ChannelScale: _channel_scale,
    ClippedAdd: _clipped_add,
    ReflectionPadding2D: _reflection,
    **dict.fromkeys(_IDENTITIES, _identity),
    **dict.fromkeys(_MERGES, _merge),
}


def _convolve(graph, layer, x, kernel, bias, groups, name=None):
    """Writes a convolution; "same" is explicit where it is the same at all sizes."""
    _channels_last(layer)
    place = {"pads": [0, 0, 0, 0]}
    if layer.padding == "same" and set(layer.strides) == {1}:
        missing = [(size - 1) * rate for size, rate in _along(layer)]
        place = {"pads": [m // 2 for m in missing] + [m - m // 2 for m in missing]}
    elif layer.padding == "same":
        place = {"auto_pad": "SAME_UPPER"}
    elif layer.padding != "valid":
        raise _unknown(layer, "padding", layer.padding)
    return graph.node(
        "Conv",
        [x, *_given([_channels_first(kernel), _array(bias)])],
        name or layer.name,
        strides=list(layer.strides),
        dilations=list(layer.dilation_rate),
        group=groups,
        **place,
    )


def _activate(graph, activation, x, name):
    known = getattr(activation, "__name__", type(activation).__name__)
    if known not in _ACTIVATIONS or activation is not keras.activations.get(known):
        raise UnknownLayerError(f"{name!r} has the activation {known!r}")
    if _ACTIVATIONS[known] is None:
        return x
    kind, attributes = _ACTIVATIONS[known]
    return graph.node(kind, [x], f"{name}_{known}", **attributes)


def _pad(graph, x, sides, name, mode):
    (top, bottom), (left, right) = sides
    pads = np.array([0, 0, top, left, 0, 0, bottom, right])
    return graph.node("Pad", [x, pads], name, mode=mode)


def _along(layer):
    return zip(layer.kernel_size, layer.dilation_rate, strict=True)


def _depthwise_kernel(kernel):
    """(h, w, C, factor) -> (h, w, 1, C * factor), the order of the channels of its result."""
    kernel = _array(kernel)
    return kernel.reshape(*kernel.shape[:2], 1, -1)


def _channels_first(kernel):
    """(h, w, a, b) -> (b, a, h, w)."""
    return _array(kernel).transpose(3, 2, 0, 1)


def _per_channel(values):
    return values.reshape(-1, 1, 1)


def _array(variable):
    return (
        None if variable is None else np.asarray(keras.ops.convert_to_numpy(variable), np.float32)
    )


def _given(values):
    return [value for value in values if value is not None]


def _channels_last(layer):
    if layer.data_format != "channels_last":
        raise _unknown(layer, "data_format", layer.data_format)


def _along_channels(layer):
    axis = layer.axis
    if (axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis) not in (-1, 3):
        raise _unknown(layer, "axis", axis)


def _unknown(layer, setting, value):
    kind = type(layer).__name__
    return UnknownLayerError(f"{layer.name!r}, a {kind}, has {setting} {value!r}")

"""Turns a generator into ONNX: layer by layer where all are known, else by tf2onnx."""

import numpy as np

from deblur_keras import kernels, models, portable
from deblur_keras.generators.calls import model_calls

INSTALL = 'pip install "onnx>=1.18,<2"'
INSTALL_TF2ONNX = 'pip install "tf2onnx>=1.17,<2"'

OPSET, IR_VERSION = 18, 9  # the oldest that say all that is needed: more programs read them
LIMIT = 1e-3
"""Largest difference to Keras, in values of [-1, 1], that a converted network may have."""
_WORTH_HALVING = 256  # numbers, for which a node more is worth it
_HALF_LIMIT = 2e-2  # where Keras computes in 16 bits, and ONNX in 32


def convert(model, name, keras_sha256=""):
    """Turns a generator into ONNX, with what restoring needs to know in the metadata.

    The network maps ``blurred`` to ``restored``, float32 ``(B, H, W, 3)`` in [-1, 1], for any B and
    for H and W that are multiples of the network's. It is written channels first and without the
    operations on shapes that a trace of TensorFlow contains, so that engines can join what belongs
    together. A network with a layer that is not known here is traced by tf2onnx.

    Args:
        model: A functional ``keras.Model`` that maps images of any size to images.
        name: Name of the network.
        keras_sha256: As `portable.metadata` takes it.

    Returns:
        ``onnx.ModelProto``.

    Raises:
        ImportError: If onnx, or for an unknown layer tf2onnx, is missing; tells how to install it.
        ModelError: If the model cannot be converted, or has weights that are not finite.

    Example:
        >>> from deblur_keras.generators import compact_generator
        >>> model = compact_generator(widths=(4,), blocks=(1,))
        >>> [value.name for value in convert(model, "small").graph.output]
        ['restored']

    Note:
        A network of mixed precision is written in float32.
    """
    onnx = import_onnx()
    models.check_model(model, name)
    network = models.describe(model, name)
    for variable in model.weights:
        # Engines cut NaN off at a ReLU or a clip, where TensorFlow would show it in the result.
        if not np.isfinite(np.asarray(variable, np.float32)).all():
            raise models.ModelError(
                f"model {name!r}: its weight {variable.path!r} is not finite; it is broken"
            )
    from deblur_keras.engines.onnx_layers import UnknownLayerError

    try:
        converted = _written(model, name)
    except UnknownLayerError as error:
        converted = _traced(model, name, error)
    onnx.helper.set_model_props(converted, portable.metadata(network, keras_sha256))
    return converted


def check_parity(model, converted, name, run):
    """Checks that a converted network gives what the model gives.

    Args:
        model: The ``keras.Model``.
        converted: ``onnx.ModelProto`` that `convert` made of it.
        name: Name of the network.
        run: Callable that maps the converted network's bytes and a float32 array to its result.

    Returns:
        Largest difference in values of [-1, 1], on noise of two sizes.

    Raises:
        ModelError: If it is above `LIMIT`, or 0.02 where Keras computes in 16 bits.
    """
    multiple = models.describe(model, name).multiple
    random = np.random.default_rng(0)
    content, most = converted.SerializeToString(), 0.0
    for rows, columns in ((64, 96), (112, 48)):
        shape = [-(-side // multiple) * multiple for side in (rows, columns)]
        blurred = random.uniform(-1, 1, (1, *shape, 3)).astype(np.float32)
        expected = np.asarray(model(blurred, training=False), np.float32)
        difference = float(np.abs(run(content, blurred) - expected).max())
        most = max(most, difference) if difference == difference else difference
    halves = any("16" in layer.compute_dtype for layer in model.layers)
    limit = _HALF_LIMIT if halves else LIMIT
    if not most <= limit:
        raise models.ModelError(
            f"model {name!r}: its ONNX form differs from Keras by {most:.2g} in [-1, 1], more than "
            f"{limit:g}; it was not written"
        )
    return most


def import_onnx():
    """Imports onnx.

    Returns:
        The module `onnx`.

    Raises:
        ImportError: If it is missing; tells how to install it.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError(f"Converting a network needs onnx: {INSTALL}") from error
    return onnx


def _written(model, name):
    """Writes a network whose layers are all known."""
    from onnx import TensorProto, helper, numpy_helper

    from deblur_keras.engines.onnx_gates import part_gates
    from deblur_keras.engines.onnx_layers import Graph, write_layer

    network = model_calls(model)
    graph = Graph(taken=("blurred", "restored"))
    x = graph.node("Transpose", ["blurred"], "channels_first", perm=[0, 3, 1, 2])
    names, channels = {network.inputs[0]: x}, _channels(network)
    for call in network.calls:
        inputs = [names[number] for number in call.inputs]
        output = write_layer(graph, call.operation, inputs, channels[call.inputs[0]])
        names.update(dict.fromkeys(call.outputs, output))
    last = names[network.outputs[0]]
    graph.nodes.append(
        helper.make_node("Transpose", [last], ["restored"], "channels_last", perm=[0, 2, 3, 1])
    )

    part_gates(graph)
    nodes, weights = [], []
    for key, value in graph.weights.items():
        decoding, kept = _stored(key, value)
        nodes += decoding
        weights += [numpy_helper.from_array(array, label) for label, array in kept.items()]
    nodes += graph.nodes

    def image(label):
        return helper.make_tensor_value_info(label, TensorProto.FLOAT, ["B", "H", "W", 3])

    return helper.make_model(
        helper.make_graph(nodes, name, [image("blurred")], [image("restored")], weights),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="deblur_keras",
    )


def _stored(key, value):
    """Stores a weight as small as it can be without loss.

    Engines make the numbers of 32 bits once, when they load the network.

    Args:
        key: Name under which the graph uses it.
        value: The array.

    Returns:
        The nodes that compute it, and the arrays that these take, by name.
    """
    from onnx import TensorProto, helper

    def cast(label, output):
        return helper.make_node("Cast", [label], [output], output, to=TensorProto.FLOAT)

    if (levels := _in_8_bits(value)) is not None:
        scale = helper.make_node("Mul", [f"{key}_float", f"{key}_step"], [key], key)
        arrays = dict(zip((f"{key}_whole", f"{key}_step"), levels, strict=True))
        return [cast(f"{key}_whole", f"{key}_float"), scale], arrays
    if (half := _in_half(value)) is not None:
        return [cast(f"{key}_half", key)], {f"{key}_half": half}
    return [], {key: value}


def _in_8_bits(value):
    """Returns a kernel as whole numbers of 8 bits, and their steps, if that loses nothing."""
    if value.dtype != np.float32 or value.ndim != 4 or value.size < _WORTH_HALVING:
        return None
    step = kernels.levels(value, axis=0)  # Keras's last axis, of transposed kernels too
    whole = value / step
    return (whole.astype(np.int8), step) if (whole == np.round(whole)).all() else None


def _in_half(value):
    """Returns an array in 16 bits if that loses nothing, and saves something; else None."""
    if value.dtype != np.float32 or value.size < _WORTH_HALVING:
        return None
    half = value.astype(np.float16)
    return half if (half == value).all() else None


def _channels(network):
    """Finds the channels of all tensors: a table by number."""
    import keras

    values = dict.fromkeys(network.inputs, keras.KerasTensor((1, None, None, 3)))
    for call in network.calls:
        made = call.infer([values[number] for number in call.inputs])
        values.update(zip(call.outputs, made, strict=True))
    return {number: value.shape[-1] for number, value in values.items()}


def _traced(model, name, unknown):
    """Converts a network by tf2onnx, through a trace of TensorFlow."""
    try:
        import tf2onnx
    except ImportError as error:
        raise ImportError(
            f"model {name!r}: there is no rule for one of its layers ({unknown}); converting it "
            f"all the same needs tf2onnx: {INSTALL_TF2ONNX}"
        ) from error
    import tensorflow as tf

    signature = [tf.TensorSpec((None, None, None, 3), tf.float32, name="blurred")]
    function = tf.function(
        lambda blurred: {"restored": model(blurred, training=False)}, input_signature=signature
    )
    try:
        converted, _ = tf2onnx.convert.from_function(function, signature, opset=OPSET)
    except Exception as error:  # tf2onnx raises what it meets
        reason = str(error).strip().split("\n")[0]
        raise models.ModelError(f"model {name!r}: tf2onnx cannot convert it: {reason}") from error
    converted.graph.name = name
    return converted

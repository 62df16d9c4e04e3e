"""Critics: functional Keras models that score how sharp a photograph looks.

A critic gives an unbounded score for the Wasserstein objective. Where the output stands for a
class, sharp (1) or restored (0), it is called a discriminator: a label for least squares, and for
the minimax objective a probability (a sigmoid at the end) or its logit (none).
"""

import keras
from keras import layers as keras_layers

from deblur_keras.layers import InstanceNormalization

NORMS = ("instance", "none")
HEADS = ("sigmoid", "linear")


def patch_critic(filters=64, layers=3, norm="instance", name="patch_critic"):
    """Builds the PatchGAN critic: 4x4 convolutions that score overlapping 70x70 patches.

    With the defaults it has 2,764,737 parameters and gives a 35x35 map at 256x256, as the authors'
    PyTorch network, which pads by 2 zeros on every side (Keras's "same" would give 32x32).

    Args:
        filters: Channels of the first convolution; they double up to eight times as many.
        layers: Convolutions of stride 2.
        norm: ``"instance"`` (without scale and offset, in all convolutions but the first and the
            last) or ``"none"`` (the choice for which the per-sample gradient penalty was derived).
        name: Name of the model.

    Returns:
        A functional ``keras.Model``, ``(B, H, W, 3)`` in [-1, 1] -> ``(B, h, w, 1)`` scores.

    Raises:
        ValueError: If ``norm`` is none of the above or ``layers`` is less than 1.

    Example:
        >>> patch_critic().compute_output_shape((1, 256, 256, 3))
        (1, 35, 35, 1)

    Reference:
        DeblurGAN (Kupyn et al.), section 3.2; Isola et al., "Image-to-Image Translation with
        Conditional Adversarial Networks", section 3.2.2.

    Note:
        It sees the sharp or restored image alone, although the paper calls it conditional.
    """
    _check_choice("norm", norm, NORMS)
    _check_layers(layers)
    image = keras.Input((None, None, 3), name="image")
    # (B, H, W, 3) -> (B, H/2, W/2, F) -> (B, H/4, W/4, 2F) -> ... -> (B, h, w, 1)
    x = _padded_conv(image, filters, 2, "conv1")
    x = _leaky_relu(x, "conv1")
    for index in range(1, layers + 1):
        label = f"conv{index + 1}"
        x = _padded_conv(x, filters * min(2**index, 8), 2 if index < layers else 1, label)
        x = _leaky_relu(_normalize(x, norm, label), label)
    score = _padded_conv(x, 1, 1, "score", dtype="float32")
    return keras.Model(image, score, name=name)


def cyclegan_discriminator(filters=64, layers=4, norm="instance", name="cyclegan_discriminator"):
    """Builds CycleGAN's discriminator: strided 4x4 convolutions, then one that decides by patch.

    With the defaults the strides are 2, 2, 2, 2, 1, it has 2,764,737 parameters, and it gives a
    16x16 map at 256x256, each value of which sees 94x94 pixels.

    Args:
        filters: Channels of the first convolution; they double up to eight times as many.
        layers: Convolutions of stride 2, before the one that decides.
        norm: ``"instance"`` (without scale and offset, in all convolutions but the first and the
            last) or ``"none"``.
        name: Name of the model.

    Returns:
        A functional ``keras.Model``, ``(B, H, W, 3)`` in [-1, 1] ->
        ``(B, H / 2^layers, W / 2^layers, 1)``, linear: 1 is the label of the real image.

    Raises:
        ValueError: If ``norm`` is none of the above or ``layers`` is less than 1.

    Example:
        >>> cyclegan_discriminator().compute_output_shape((1, 256, 256, 3))
        (1, 16, 16, 1)

    Reference:
        "Blind Motion Deblurring with Unpaired Dataset using Cycle-Consistent Adversarial Networks",
        section II.A.2 (layers, strides, initialization); Zhu et al., "Unpaired Image-to-Image
        Translation using Cycle-Consistent Adversarial Networks", section 7.2.

    Note:
        The two papers differ from CycleGAN's own code, whose fourth convolution has stride 1: that
        one is `patch_critic`, but for the padding. The padding is Keras's "same", as in the
        TensorFlow code that the first paper quotes.
    """
    _check_choice("norm", norm, NORMS)
    _check_layers(layers)
    image = keras.Input((None, None, 3), name="image")
    # (B, H, W, 3) -> (B, H/2, W/2, F) -> (B, H/4, W/4, 2F) -> ... -> (B, H/16, W/16, 1)
    x = image
    for index in range(layers):
        label = f"conv{index + 1}"
        x = _same_conv(x, filters * min(2**index, 8), 2, label)
        x = _leaky_relu(_normalize(x, norm if index else "none", label), label)
    decision = _same_conv(x, 1, 1, "decision", dtype="float32")
    return keras.Model(image, decision, name=name)


def dense_head_discriminator(
    size=256,
    filters=64,
    units=1024,
    norm="batch",
    head="sigmoid",
    name="dense_head_discriminator",
):
    """Builds the discriminator of the first Keras port: six convolutions and a dense head.

    One probability an image instead of a map, and therefore one size of image alone. With the
    defaults it has 3,098,370 parameters.

    Args:
        size: Side of the images in pixels, or ``(height, width)``.
        filters: Channels of the first two convolutions; the next have 2, 4 and 8 times as many.
        units: Width of the hidden dense layer.
        norm: Behind the middle four convolutions: ``"batch"``, ``"instance"`` or ``"none"``. The
            gradient penalty asks for a critic that sees each image by itself, so not for
            ``"batch"``.
        head: ``"sigmoid"`` gives a probability, ``"linear"`` its logit: with the minimax objective
            the same training, but stable however certain the discriminator becomes, and with the
            Wasserstein objective the only choice.
        name: Name of the model.

    Returns:
        A functional ``keras.Model``, ``(B, height, width, 3)`` in [-1, 1] -> ``(B, 1)``.

    Raises:
        ValueError: If an argument is none of the above.

    Example:
        >>> dense_head_discriminator().count_params()
        3098370

    Reference:
        Li, "Generative Adversarial Network on Motion-Blur Image Restoration", section 4.2 and table
        2: 6 convolutions, 3.10 M parameters, sigmoid, LeakyReLU and tanh.

    Note:
        The paper gives the kernels (4x4), the activations and the two counts. The widths and the
        dense head are those of the first Keras port of DeblurGAN; the counts confirm them.
    """
    _check_choice("norm", norm, ("batch", *NORMS))
    _check_choice("head", head, HEADS)
    height, width = (size, size) if isinstance(size, int) else size
    image = keras.Input((height, width, 3), name="image")
    # (B, H, W, 3) -> (B, H/16, W/16, 4F) -> (B, H/16, W/16, 1)
    x = _leaky_relu(_same_conv(image, filters, 2, "conv1"), "conv1")
    for index, (factor, strides) in enumerate(((1, 2), (2, 2), (4, 2), (8, 1)), start=2):
        label = f"conv{index}"
        x = _same_conv(x, filters * factor, strides, label)
        x = _leaky_relu(_normalize(x, norm, label), label)
    x = _same_conv(x, 1, 1, "conv6")
    # -> (B, units) -> (B, 1)
    x = keras_layers.Flatten(name="flatten")(x)
    x = keras_layers.Dense(units, activation="tanh", name="dense")(x)
    activation = None if head == "linear" else head
    x = keras_layers.Dense(1, activation=activation, dtype="float32", name="decision")(x)
    return keras.Model(image, x, name=name)


def output_activation(critic):
    """Finds the activation that a critic ends with.

    Looks through layers that only move or average values (flattening, pooling, nested models).

    Args:
        critic: A functional ``keras.Model``.

    Returns:
        The activation's name, such as ``"sigmoid"``; ``"linear"`` if there is none; None if the
        model is not functional, so that nobody can know.

    Example:
        >>> output_activation(patch_critic(filters=4))
        'linear'
        >>> output_activation(dense_head_discriminator(size=32, filters=4))
        'sigmoid'
    """
    outputs = getattr(critic, "outputs", None)
    if not outputs:
        return None
    operation, node, _ = outputs[0]._keras_history
    while True:
        if isinstance(operation, keras.Model):
            return output_activation(operation)
        activation = getattr(operation, "activation", None)
        if activation is not None and activation is not keras.activations.linear:
            return getattr(activation, "__name__", "custom")
        kind = type(operation).__name__
        # An activation without an `activation`: keras.ops.sigmoid, keras.layers.Softmax.
        if activation is None and kind.lower() in _ACTIVATIONS:
            return _ACTIVATIONS[kind.lower()]
        if kind not in _PASSING:
            return "linear"
        operation, node, _ = operation._inbound_nodes[node].input_tensors[0]._keras_history


_ACTIVATIONS = {name.replace("_", ""): name for name in dir(keras.activations)}
_PASSING = frozenset(
    (
        "Activation",
        "AveragePooling2D",
        "Cropping2D",
        "Flatten",
        "GlobalAveragePooling2D",
        "GlobalMaxPooling2D",
        "Identity",
        "Mean",
        "Reshape",
        "Squeeze",
    )
)


def _check_choice(name, value, choices):
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {listed}; received {value!r}.")


def _check_layers(layers):
    if layers < 1:
        raise ValueError(f"layers must be at least 1; received {layers!r}.")


def _padded_conv(x, filters, strides, name, dtype=None):
    x = keras_layers.ZeroPadding2D(2, name=f"{name}_pad")(x)
    return _conv(x, filters, strides, "valid", name, dtype)


def _same_conv(x, filters, strides, name, dtype=None):
    return _conv(x, filters, strides, "same", name, dtype)


def _conv(x, filters, strides, padding, name, dtype=None):
    return keras_layers.Conv2D(
        filters,
        4,
        strides=strides,
        padding=padding,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
        dtype=dtype,
        name=name,
    )(x)


def _normalize(x, norm, name):
    if norm == "instance":
        return InstanceNormalization(name=f"{name}_norm")(x)
    if norm == "batch":
        return keras_layers.BatchNormalization(name=f"{name}_norm")(x)
    return x


def _leaky_relu(x, name):
    return keras_layers.LeakyReLU(negative_slope=0.2, name=f"{name}_leaky_relu")(x)

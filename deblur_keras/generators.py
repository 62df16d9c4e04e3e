"""Generators: functional Keras models that turn a blurred photograph into a restored one.

Every generator maps ``(B, H, W, 3)`` in [-1, 1] to the same shape and range, for any height and
width that are multiples of ``size_multiple(generator)``; `deblur_keras.Restorer` takes care of all
other sizes.
"""

import keras
from keras import layers

from deblur_keras.layers import (
    ChannelScale,
    ClippedAdd,
    InstanceNormalization,
    ReflectionPadding2D,
    SimpleGate,
)

NORMS = ("instance", "batch", "none")
UPSAMPLINGS = ("transpose", "resize")
SKIPS = ("clip", "none")


def resnet_generator(
    filters=64,
    blocks=9,
    norm="instance",
    dropout=0.5,
    upsampling="transpose",
    skip="clip",
    name="resnet_generator",
):
    """Builds DeblurGAN's generator: two strided convolutions, residual blocks, two upsamplings.

    ``restored = clip(blurred + tanh(network(blurred)), -1, 1)``. With the defaults it has
    11,378,179 parameters and computes the very function of the authors' PyTorch network: with the
    same weights the outputs agree to 1e-4.

    Args:
        filters: Channels of the first convolution; the trunk has four times as many.
        blocks: Residual blocks in the trunk: 9 in DeblurGAN, 6 in CycleGAN at 256x256.
        norm: ``"instance"`` (without scale and offset), ``"batch"`` or ``"none"``.
        dropout: Rate after the first convolution of each block; 0 leaves the layer out.
        upsampling: ``"transpose"`` (the paper's transposed convolution) or ``"resize"``
            (nearest-neighbour resize, then a convolution: no checkerboard patterns).
        skip: ``"clip"`` adds the input and clips; ``"none"`` returns the tanh.
        name: Name of the model.

    Returns:
        A functional ``keras.Model``, ``(B, H, W, 3) -> (B, H, W, 3)`` in [-1, 1], for H and W that
        are multiples of 4 and at least 8.

    Raises:
        ValueError: If an argument is none of the above.

    Example:
        >>> resnet_generator().count_params()
        11378179

    Reference:
        DeblurGAN (Kupyn et al.), section 3.2 and figure 3; the authors' code at publication.

    Note:
        The paper describes "a convolution layer" a block; the authors' code at publication has two,
        as here. Its biases before an instance norm have no effect; they are kept so that the
        parameter count and converted weights match.
    """
    _check_choice("norm", norm, NORMS)
    _check_choice("upsampling", upsampling, UPSAMPLINGS)
    _check_choice("skip", skip, SKIPS)
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must lie in [0, 1); received {dropout!r}.")

    blurred = keras.Input((None, None, 3), name="blurred")

    # Encoder: (B, H, W, 3) -> (B, H/4, W/4, 4F)
    x = ReflectionPadding2D(3, name="stem_pad")(blurred)
    x = _conv(filters, 7, name="stem_conv")(x)
    x = _norm_relu(x, norm, "stem")
    for index, factor in enumerate((2, 4), start=1):
        # Zeros on both sides, as PyTorch pads; Keras's "same" would pad bottom and right only.
        x = layers.ZeroPadding2D(1, name=f"down{index}_pad")(x)
        x = _conv(filters * factor, 3, strides=2, name=f"down{index}_conv")(x)
        x = _norm_relu(x, norm, f"down{index}")

    # Trunk at (B, H/4, W/4, 4F)
    for index in range(1, blocks + 1):
        x = _residual_block(x, filters * 4, norm, dropout, f"block{index}")

    # Decoder: (B, H/4, W/4, 4F) -> (B, H, W, 3)
    for index, factor in enumerate((2, 1), start=1):
        x = _upsample(x, filters * factor, upsampling, f"up{index}")
        x = _norm_relu(x, norm, f"up{index}")
    x = ReflectionPadding2D(3, name="head_pad")(x)
    x = _conv(3, 7, name="head_conv")(x)
    x = layers.Activation("tanh", dtype="float32", name="head_tanh")(x)
    if skip == "clip":
        x = ClippedAdd(dtype="float32", name="restored")([blurred, x])
    return keras.Model(blurred, x, name=name)


def compact_generator(
    widths=(16, 32, 64, 128),
    blocks=(1, 2, 3, 4),
    kernel=5,
    name="compact_generator",
):
    """Builds a small, quick U-shaped generator of gated depthwise blocks, for use without a GPU.

    None of the papers describes it: it is this library's own, the network of the weights that ship.
    It works at half resolution and below (a 2x2 convolution of stride 2 is a pixel-unshuffle and
    a 1x1 convolution), has no normalization layer (so tiles agree with the whole image), and adds
    its output to the input as DeblurGAN's does.

    Args:
        widths: Channels at 1/2, 1/4, 1/8, ... of the input's resolution.
        blocks: Gated blocks at each of these levels; the coarsest has them once, the others once in
            the encoder and once in the decoder.
        kernel: Side of the depthwise convolutions.
        name: Name of the model.

    Returns:
        A functional ``keras.Model``, ``(B, H, W, 3) -> (B, H, W, 3)`` in [-1, 1], for H and W that
        are multiples of ``2 ** len(widths)``.

    Raises:
        ValueError: If ``widths`` and ``blocks`` differ in length or are empty.

    Example:
        >>> compact_generator(widths=(8, 16), blocks=(1, 1)).output_shape
        (None, None, None, 3)

    Reference:
        The block follows NAFNet (Chen et al., "Simple Baselines for Image Restoration"), figure 3,
        without its layer normalization and channel attention.
    """
    if not widths or len(widths) != len(blocks):
        raise ValueError(
            "widths and blocks must be of the same length, at least 1; "
            f"received {tuple(widths)!r} and {tuple(blocks)!r}."
        )
    blurred = keras.Input((None, None, 3), name="blurred")

    # Encoder: level i works at (B, H / 2^(i+1), W / 2^(i+1), widths[i])
    x, skips = blurred, []
    for level, (width, count) in enumerate(zip(widths, blocks, strict=True), start=1):
        x = layers.Conv2D(width, 2, strides=2, name=f"down{level}")(x)
        for index in range(1, count + 1):
            x = _gated_block(x, width, kernel, f"encoder{level}_{index}")
        skips.append(x)

    # Decoder: a 2x2 transposed convolution of stride 2 is a 1x1 convolution and a pixel-shuffle
    for level in range(len(widths) - 1, 0, -1):
        width = widths[level - 1]
        x = layers.Conv2DTranspose(width, 2, strides=2, name=f"up{level}")(x)
        x = layers.Add(name=f"skip{level}")([skips[level - 1], x])
        for index in range(1, blocks[level - 1] + 1):
            x = _gated_block(x, width, kernel, f"decoder{level}_{index}")
    x = layers.Conv2DTranspose(
        3,
        2,
        strides=2,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
        dtype="float32",
        name="head",
    )(x)
    restored = ClippedAdd(dtype="float32", name="restored")([blurred, x])
    return keras.Model(blurred, restored, name=name)


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
        >>> size_multiple(resnet_generator(filters=4, blocks=1))
        4
    """
    if isinstance(model, keras.Sequential):
        model = model._functional
    if not _is_functional(model):
        raise ValueError(
            "size_multiple needs a functional keras.Model, whose layers it can follow; "
            f"received {type(model).__name__}."
        )
    scales = {id(tensor): 1 for tensor in model.inputs}
    largest = 1
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if not node.input_tensors:
                continue
            scale = max(scales[id(tensor)] for tensor in node.input_tensors)
            operation = node.operation
            if _is_functional(operation):
                largest = max(largest, scale * size_multiple(operation))
            else:
                scale = scale * _stride(operation) // _growth(operation)
            largest = max(largest, scale)
            scales.update((id(tensor), max(scale, 1)) for tensor in node.outputs)
    return largest


def _is_functional(operation):
    # Keras exports no name for the class of functional models; the graph is what is needed here.
    return hasattr(operation, "_nodes_by_depth")


def _stride(operation):
    if _growth(operation) > 1:
        return 1
    strides = getattr(operation, "strides", 1)
    return max(strides) if isinstance(strides, (tuple, list)) else int(strides or 1)


def _growth(operation):
    if isinstance(operation, layers.Conv2DTranspose):
        return max(operation.strides)
    if isinstance(operation, layers.UpSampling2D):
        return max(operation.size)
    return 1


def _check_choice(name, value, choices):
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {listed}; received {value!r}.")


def _conv(filters, kernel_size, strides=1, name=None):
    return layers.Conv2D(
        filters, kernel_size, strides=strides, kernel_initializer=_paper_normal(), name=name
    )


def _paper_normal():
    return keras.initializers.RandomNormal(stddev=0.02)


def _norm(x, norm, name):
    if norm == "instance":
        return InstanceNormalization(name=f"{name}_norm")(x)
    if norm == "batch":
        return layers.BatchNormalization(
            epsilon=1e-5,
            gamma_initializer=keras.initializers.RandomNormal(mean=1.0, stddev=0.02),
            name=f"{name}_norm",
        )(x)
    return x


def _norm_relu(x, norm, name):
    return layers.ReLU(name=f"{name}_relu")(_norm(x, norm, name))


def _residual_block(x, filters, norm, dropout, name):
    """Adds to x two 3x3 convolutions of it, with dropout between and no ReLU after the sum."""
    y = ReflectionPadding2D(1, name=f"{name}_pad1")(x)
    y = _conv(filters, 3, name=f"{name}_conv1")(y)
    y = _norm_relu(y, norm, f"{name}_1")
    if dropout:
        y = layers.Dropout(dropout, name=f"{name}_dropout")(y)
    y = ReflectionPadding2D(1, name=f"{name}_pad2")(y)
    y = _conv(filters, 3, name=f"{name}_conv2")(y)
    y = _norm(y, norm, f"{name}_2")
    return layers.Add(name=f"{name}_add")([x, y])


def _upsample(x, filters, upsampling, name):
    """Doubles height and width: (B, H, W, C) -> (B, 2H, 2W, filters)."""
    if upsampling == "resize":
        x = layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_resize")(x)
        x = ReflectionPadding2D(1, name=f"{name}_pad")(x)
        return _conv(filters, 3, name=f"{name}_conv")(x)
    x = layers.Conv2DTranspose(
        filters, 3, strides=2, kernel_initializer=_paper_normal(), name=f"{name}_conv"
    )(x)
    # PyTorch's padding 1 with output padding 1 drops the first row and column of the 2H + 1;
    # Keras's "same" would drop the last, a shift by one pixel.
    return layers.Cropping2D(((1, 0), (1, 0)), name=f"{name}_crop")(x)


def _gated_block(x, width, kernel, name):
    """Mixes space (depthwise, gated), then channels (gated), each as a scaled correction to x."""
    y = layers.RMSNormalization(name=f"{name}_norm")(x)
    y = layers.Conv2D(2 * width, 1, name=f"{name}_expand")(y)
    y = layers.DepthwiseConv2D(kernel, padding="same", name=f"{name}_depthwise")(y)
    y = SimpleGate(name=f"{name}_gate")(y)
    y = layers.Conv2D(width, 1, name=f"{name}_project")(y)
    y = ChannelScale(name=f"{name}_scale")(y)
    x = layers.Add(name=f"{name}_add")([x, y])
    y = layers.RMSNormalization(name=f"{name}_mix_norm")(x)
    y = layers.Conv2D(2 * width, 1, name=f"{name}_mix_expand")(y)
    y = SimpleGate(name=f"{name}_mix_gate")(y)
    y = layers.Conv2D(width, 1, name=f"{name}_mix_project")(y)
    y = ChannelScale(name=f"{name}_mix_scale")(y)
    return layers.Add(name=f"{name}_mix_add")([x, y])

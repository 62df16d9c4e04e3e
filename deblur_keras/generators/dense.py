"""The light generator of "Improved DeblurGAN": separable convolutions and a dense block."""

import keras
from keras import layers

from deblur_keras.generators.blocks import (
    NORMS,
    SKIPS,
    add_to_input,
    check_choice,
    check_count,
    normalize_relu,
    paper_normal,
)
from deblur_keras.layers import ReflectionPadding2D


def dense_generator(
    filters=32,
    growth=32,
    depth=9,
    norm="instance",
    skip="clip",
    name="dense_generator",
):
    """Builds the light generator of "Improved DeblurGAN": a dense block of separable convolutions.

    ``restored = clip(blurred + tanh(network(blurred)), -1, 1)``. With the defaults it has 214,307
    parameters, a fiftieth of the ResNet's, and does 23.9 GMAC at 1280x720, a twenty-ninth.

    Args:
        filters: Channels at full resolution; twice as many at half, four times at a quarter.
        growth: Channels that each layer of the dense block adds.
        depth: Layers of the dense block.
        norm: ``"instance"`` (without scale and offset), ``"batch"`` or ``"none"``.
        skip: ``"clip"`` adds the input and clips; ``"none"`` returns the tanh.
        name: Name of the model.

    Returns:
        A functional ``keras.Model``, ``(B, H, W, 3) -> (B, H, W, 3)`` in [-1, 1], for H and W that
        are multiples of 4 and at least 4.

    Raises:
        ValueError: If an argument is none of the above.

    Example:
        >>> dense_generator().count_params()
        214307

    Reference:
        Zhang and Wang, "Motion deblurring method based on Improved DeblurGAN", section 3.1 and
        figure 2; Huang et al., "Densely Connected Convolutional Networks".

    Note:
        From the paper: two blocks of separable 3x3 + 1x1 convolutions, one dense block of nine
        layers, each a separable 3x3 + 1x1, two blocks of transposed 3x1 + 1x3 convolutions, and a
        skip connection from each convolution block to its transposed one. It gives no width,
        stride, normalization or initialization, so these are this library's: the strides, the 7x7
        convolutions at both ends, the norms and the clipped sum with the input are those of
        DeblurGAN, on which it builds; 32 and 32 channels make the network light, which is its
        point; a 1x1 convolution brings the dense block back to the width of its input (DenseNet's
        transition), so that the skip connections are sums. The initialization keeps the variance
        from layer to layer, because N(0, 0.02) would fade out in depthwise convolutions of nine
        weights.
    """
    check_choice("norm", norm, NORMS)
    check_choice("skip", skip, SKIPS)
    for label, value in (("filters", filters), ("growth", growth), ("depth", depth)):
        check_count(label, value, least=1)
    bias = norm == "none"  # a bias before a norm has no effect

    blurred = keras.Input((None, None, 3), name="blurred")

    # Encoder: (B, H, W, 3) -> (B, H/4, W/4, 4F)
    x = ReflectionPadding2D(3, name="stem_pad")(blurred)
    x = _conv(filters, 7, bias, "stem_conv")(x)
    x = normalize_relu(x, norm, "stem")
    skips = []
    for index, factor in enumerate((2, 4), start=1):
        # Zeros on both sides: Keras's "same" would pad bottom and right only.
        x = layers.ZeroPadding2D(1, name=f"down{index}_pad")(x)
        x = _separable(filters * factor, bias, f"down{index}_conv", strides=2)(x)
        x = normalize_relu(x, norm, f"down{index}")
        skips.append(x)

    # Dense block at (B, H/4, W/4, 4F): each layer sees the outputs of all before it
    for index in range(1, depth + 1):
        y = _separable(growth, bias, f"dense{index}_conv", padding="same")(x)
        y = normalize_relu(y, norm, f"dense{index}")
        x = layers.Concatenate(name=f"dense{index}_concat")([x, y])
    x = _conv(filters * 4, 1, bias, "transition_conv")(x)
    x = normalize_relu(x, norm, "transition")

    # Decoder: (B, H/4, W/4, 4F) -> (B, H, W, 3)
    for index, factor in enumerate((2, 1), start=1):
        x = layers.Add(name=f"skip{index}")([x, skips.pop()])
        x = _factored_upsample(x, filters * factor, bias, f"up{index}")
        x = normalize_relu(x, norm, f"up{index}")
    x = ReflectionPadding2D(3, name="head_pad")(x)
    x = layers.Conv2D(3, 7, kernel_initializer=paper_normal(), name="head_conv")(x)
    return keras.Model(blurred, add_to_input(blurred, x, skip), name=name)


def _conv(filters, kernel_size, bias, name):
    return layers.Conv2D(
        filters, kernel_size, use_bias=bias, kernel_initializer="he_normal", name=name
    )


def _separable(filters, bias, name, strides=1, padding="valid"):
    """Makes a 3x3 convolution of each channel by itself and a 1x1 convolution across them."""
    return layers.SeparableConv2D(
        filters,
        3,
        strides=strides,
        padding=padding,
        use_bias=bias,
        # Nine weights a channel; Keras's own fan-in would count the channels too.
        depthwise_initializer=keras.initializers.RandomNormal(stddev=1 / 3),
        pointwise_initializer="he_normal",
        name=name,
    )


def _factored_upsample(x, filters, bias, name):
    """Doubles height by a transposed 3x1, width by a 1x3: (B, H, W, C) -> (B, 2H, 2W, filters)."""
    for label, kernel, strides in (("rows", (3, 1), (2, 1)), ("columns", (1, 3), (1, 2))):
        x = layers.Conv2DTranspose(
            filters,
            kernel,
            strides=strides,
            # Without a norm, only the second of the two needs a bias.
            use_bias=bias and label == "columns",
            kernel_initializer=_transposed_normal(x.shape[-1], last=label == "columns"),
            name=f"{name}_{label}",
        )(x)
    # As in the ResNet: the first row and column of the 2H + 1 and 2W + 1 go, against a shift.
    return layers.Cropping2D(((1, 0), (1, 0)), name=f"{name}_crop")(x)


def _transposed_normal(channels, last):
    # Of three taps at stride 2 an output sees one and a half, and a ReLU follows the last.
    gain = 2.0 if last else 1.0
    return keras.initializers.RandomNormal(stddev=(gain / (1.5 * channels)) ** 0.5)

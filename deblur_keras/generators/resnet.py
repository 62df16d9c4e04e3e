"""DeblurGAN's generator, which CycleGAN uses too: a ResNet between two strided convolutions."""

import keras
from keras import layers

from deblur_keras.generators.blocks import (
    NORMS,
    SKIPS,
    add_to_input,
    check_choice,
    check_count,
    check_rate,
    conv,
    normalize,
    normalize_relu,
    paper_normal,
)
from deblur_keras.layers import ReflectionPadding2D

UPSAMPLINGS = ("transpose", "resize")


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
    check_choice("norm", norm, NORMS)
    check_choice("upsampling", upsampling, UPSAMPLINGS)
    check_choice("skip", skip, SKIPS)
    check_rate("dropout", dropout)
    check_count("filters", filters, least=1)
    check_count("blocks", blocks, least=0)

    blurred = keras.Input((None, None, 3), name="blurred")

    # Encoder: (B, H, W, 3) -> (B, H/4, W/4, 4F)
    x = ReflectionPadding2D(3, name="stem_pad")(blurred)
    x = conv(filters, 7, name="stem_conv")(x)
    x = normalize_relu(x, norm, "stem")
    for index, factor in enumerate((2, 4), start=1):
        # Zeros on both sides, as PyTorch pads; Keras's "same" would pad bottom and right only.
        x = layers.ZeroPadding2D(1, name=f"down{index}_pad")(x)
        x = conv(filters * factor, 3, strides=2, name=f"down{index}_conv")(x)
        x = normalize_relu(x, norm, f"down{index}")

    # Trunk at (B, H/4, W/4, 4F)
    for index in range(1, blocks + 1):
        x = _residual_block(x, filters * 4, norm, dropout, f"block{index}")

    # Decoder: (B, H/4, W/4, 4F) -> (B, H, W, 3)
    for index, factor in enumerate((2, 1), start=1):
        x = _upsample(x, filters * factor, upsampling, f"up{index}")
        x = normalize_relu(x, norm, f"up{index}")
    x = ReflectionPadding2D(3, name="head_pad")(x)
    x = conv(3, 7, name="head_conv")(x)
    return keras.Model(blurred, add_to_input(blurred, x, skip), name=name)


def _residual_block(x, filters, norm, dropout, name):
    """Adds to x two 3x3 convolutions of it, with dropout between and no ReLU after the sum."""
    y = ReflectionPadding2D(1, name=f"{name}_pad1")(x)
    y = conv(filters, 3, name=f"{name}_conv1")(y)
    y = normalize_relu(y, norm, f"{name}_1")
    if dropout:
        y = layers.Dropout(dropout, name=f"{name}_dropout")(y)
    y = ReflectionPadding2D(1, name=f"{name}_pad2")(y)
    y = conv(filters, 3, name=f"{name}_conv2")(y)
    y = normalize(y, norm, f"{name}_2")
    return layers.Add(name=f"{name}_add")([x, y])


def _upsample(x, filters, upsampling, name):
    """Doubles height and width: (B, H, W, C) -> (B, 2H, 2W, filters)."""
    if upsampling == "resize":
        x = layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_resize")(x)
        x = ReflectionPadding2D(1, name=f"{name}_pad")(x)
        return conv(filters, 3, name=f"{name}_conv")(x)
    x = layers.Conv2DTranspose(
        filters, 3, strides=2, kernel_initializer=paper_normal(), name=f"{name}_conv"
    )(x)
    # PyTorch's padding 1 with output padding 1 drops the first row and column of the 2H + 1;
    # Keras's "same" would drop the last, a shift by one pixel.
    return layers.Cropping2D(((1, 0), (1, 0)), name=f"{name}_crop")(x)

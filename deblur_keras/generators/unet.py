"""pix2pix's U-Net, which the authors of DeblurGAN keep beside their ResNet."""

import keras
from keras import layers

from deblur_keras.generators.blocks import (
    NORMS,
    SKIPS,
    add_to_input,
    check_choice,
    check_count,
    check_rate,
    normalize,
    paper_normal,
)

# No level is wider than eight times the first; dropout starts at the second that is as wide.
WIDEST = 8
FIRST_DROPOUT = 5


def unet_generator(
    filters=64,
    levels=8,
    norm="instance",
    dropout=0.5,
    skip="clip",
    name="unet_generator",
):
    """Builds pix2pix's U-Net: strided 4x4 convolutions down to a point, and back with skips.

    With the defaults it has 54,409,603 parameters and an image of 256x256 is a single point at the
    eighth level; ``norm="batch"`` gives pix2pix's own network with its 54,413,955 trained
    parameters, but for the sum with the input.

    Args:
        filters: Channels of the first level; they double up to eight times as many.
        levels: Halvings of the resolution: 8 for crops of 256 pixels, 7 for 128.
        norm: ``"instance"`` (without scale and offset), ``"batch"`` or ``"none"``; the first and
            the innermost level go without.
        dropout: Rate on the way up, from the fifth level to the one before the innermost (three
            of eight); 0 leaves the layers out.
        skip: ``"clip"`` adds the input and clips, as DeblurGAN does; ``"none"`` returns the tanh,
            as pix2pix does.
        name: Name of the model.

    Returns:
        A functional ``keras.Model``, ``(B, H, W, 3) -> (B, H, W, 3)`` in [-1, 1], for H and W that
        are multiples of ``2 ** levels``.

    Raises:
        ValueError: If an argument is none of the above.

    Example:
        >>> unet_generator(filters=4, levels=3).output_shape
        (None, None, None, 3)

    Reference:
        Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", section
        6.1.1; ``unet_256`` in the code of DeblurGAN's authors.

    Note:
        As in that code, convolutions have a bias unless a batch norm follows. An image with a side
        just above a multiple of 256 is nearly doubled in that direction by the padding; fewer
        levels cost less there.
    """
    check_choice("norm", norm, NORMS)
    check_choice("skip", skip, SKIPS)
    check_rate("dropout", dropout)
    check_count("filters", filters, least=1)
    check_count("levels", levels, least=2)
    bias = norm != "batch"
    widths = [filters * min(2**level, WIDEST) for level in range(levels)]

    blurred = keras.Input((None, None, 3), name="blurred")

    # Encoder: level i is (B, H / 2^i, W / 2^i, widths[i - 1])
    x, skips = blurred, []
    for level, width in enumerate(widths, start=1):
        label = f"down{level}"
        if level > 1:
            x = layers.LeakyReLU(negative_slope=0.2, name=f"{label}_leaky_relu")(x)
        x = _halve(width, bias, f"{label}_conv")(x)
        if 1 < level < levels:
            x = normalize(x, norm, label)
        skips.append(x)

    # Decoder: back from (B, H / 2^levels, W / 2^levels, 8F) to (B, H/2, W/2, 2F)
    x = skips.pop()
    for level in range(levels, 1, -1):
        label = f"up{level}"
        x = layers.ReLU(name=f"{label}_relu")(x)
        x = _double(widths[level - 2], bias, f"{label}_conv")(x)
        x = normalize(x, norm, label)
        if dropout and FIRST_DROPOUT <= level < levels:
            x = layers.Dropout(dropout, name=f"{label}_dropout")(x)
        x = layers.Concatenate(name=f"{label}_concat")([x, skips.pop()])
    x = layers.ReLU(name="up1_relu")(x)
    x = _double(3, True, "up1_conv")(x)
    return keras.Model(blurred, add_to_input(blurred, x, skip), name=name)


def _halve(filters, bias, name):
    # At an even size Keras's "same" is one zero on every side, PyTorch's padding 1.
    return layers.Conv2D(
        filters,
        4,
        strides=2,
        padding="same",
        use_bias=bias,
        kernel_initializer=paper_normal(),
        name=name,
    )


def _double(filters, bias, name):
    return layers.Conv2DTranspose(
        filters,
        4,
        strides=2,
        padding="same",
        use_bias=bias,
        kernel_initializer=paper_normal(),
        name=name,
    )

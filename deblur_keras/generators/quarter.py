"""The library's own small generator, of which the weights that ship are made."""

import keras
from keras import layers

from deblur_keras.layers import ChannelScale, ClippedAdd, SimpleGate


def quarter_generator(widths=(40, 64, 96), blocks=(2, 2, 1), name="quarter_generator"):
    """Builds a U-shaped generator of gated 3x3 convolutions, at a quarter of the resolution.

    None of the papers describes it: it is this library's own, and with the defaults the network of
    the weights that ship. Motion blur spreads each detail over many pixels, so most of the work is
    done where these are few: at 1/4, 1/8 and 1/16 of the resolution. Its convolutions are plain
    ones, which in bfloat16 train several times quicker on a processor than depthwise ones of the
    same cost in multiplications. It has no normalization, so tiles agree with the whole image; a
    tanh in the gates keeps its activations within bounds instead. Its output is added to the input
    as DeblurGAN's is.

    Args:
        widths: Channels at 1/4, 1/8, 1/16, ... of the input's resolution.
        blocks: Gated blocks at each of these levels; the coarsest has them once, the others once in
            the encoder and once in the decoder.
        name: Name of the model.

    Returns:
        A functional ``keras.Model``, ``(B, H, W, 3) -> (B, H, W, 3)`` in [-1, 1], for H and W that
        are multiples of ``2 ** (len(widths) + 1)``.

    Raises:
        ValueError: If ``widths`` and ``blocks`` differ in length or are empty.

    Example:
        >>> quarter_generator().count_params()
        945587

    Reference:
        The gate is NAFNet's (Chen et al., "Simple Baselines for Image Restoration", equation 4);
        the blocks are otherwise those of EDSR (Lim et al.), two 3x3 convolutions whose result is
        scaled and added.
    """
    if not widths or len(widths) != len(blocks):
        raise ValueError(
            "widths and blocks must be of the same length, at least 1; "
            f"received {tuple(widths)!r} and {tuple(blocks)!r}."
        )
    blurred = keras.Input((None, None, 3), name="blurred")

    # Encoder: level i works at (B, H / 2^(i+2), W / 2^(i+2), widths[i])
    x, skips = blurred, []
    for level, (width, count) in enumerate(zip(widths, blocks, strict=True), start=1):
        # The first kernel is wider than its stride, so that neighbours see each other's pixels.
        kernel, stride = (8, 4) if level == 1 else (2, 2)
        x = layers.Conv2D(width, kernel, stride, padding="same", name=f"down{level}")(x)
        for index in range(1, count + 1):
            x = _gated_block(x, width, f"encoder{level}_{index}")
        skips.append(x)

    # Decoder: a transposed convolution as wide as its stride is a 1x1 one and a pixel-shuffle
    for level in range(len(widths) - 1, 0, -1):
        width = widths[level - 1]
        x = layers.Conv2DTranspose(width, 2, strides=2, name=f"up{level}")(x)
        x = layers.Add(name=f"skip{level}")([skips[level - 1], x])
        for index in range(1, blocks[level - 1] + 1):
            x = _gated_block(x, width, f"decoder{level}_{index}")
    x = layers.Conv2DTranspose(
        3,
        4,
        strides=4,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        dtype="float32",
        name="head",
    )(x)
    restored = ClippedAdd(dtype="float32", name="restored")([blurred, x])
    return keras.Model(blurred, restored, name=name)


def _gated_block(x, width, name):
    """Adds a scaled correction: two 3x3 convolutions with a gate between them."""
    he_normal = keras.initializers.HeNormal()
    y = layers.Conv2D(
        2 * width, 3, padding="same", kernel_initializer=he_normal, name=f"{name}_expand"
    )(x)
    y = SimpleGate("tanh", name=f"{name}_gate")(y)
    y = layers.Conv2D(width, 3, padding="same", name=f"{name}_project")(y)
    y = ChannelScale(0.2, name=f"{name}_scale")(y)
    return layers.Add(name=f"{name}_add")([x, y])

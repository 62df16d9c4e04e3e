"""The library's own small generator of depthwise convolutions."""

import keras
from keras import layers

from deblur_keras.layers import ChannelScale, ClippedAdd, SimpleGate


def compact_generator(
    widths=(24, 48, 96, 160),
    blocks=(1, 1, 2, 3),
    kernel=7,
    name="compact_generator",
):
    """Builds a small, quick U-shaped generator of gated depthwise blocks, for use without a GPU.

    None of the papers describes it: it is this library's own. It works at half resolution and below
    (a 2x2 convolution of stride 2 is a pixel-unshuffle and a 1x1 convolution), normalizes each
    pixel over its channels alone (so tiles agree with the whole image), and adds its output to the
    input as DeblurGAN's does. `quarter_generator` takes half the time of a training step.

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
        >>> compact_generator().count_params()
        997459

    Reference:
        The block follows NAFNet (Chen et al., "Simple Baselines for Image Restoration"), figure 3,
        with RMS normalization, which is quicker than its layer normalization, and without its
        channel attention, which looks at the whole image.
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

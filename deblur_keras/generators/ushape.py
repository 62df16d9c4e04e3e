"""The U-shape that this library's own generators have in common."""

import keras
from keras import layers

from deblur_keras.layers import ClippedAdd


def u_shape(widths, blocks, block, *, kernel=2, stride=2, stddev=0.02, name):
    """Builds a U-shaped generator that adds its output to its input, as DeblurGAN's does.

    Convolutions as wide as their stride halve the resolution (a pixel-unshuffle and a 1x1
    convolution) and their transposes double it.

    Args:
        widths: Channels of each level, the finest first.
        blocks: Blocks at each level; the coarsest has them once, the others once in the encoder and
            once in the decoder.
        block: Function ``(x, width, name) -> x`` that adds a block, its layers called after it.
        kernel: Side of the first convolution; one wider than its stride lets neighbours see each
            other's pixels.
        stride: Of the first convolution, and of the last one, which is as wide.
        stddev: Of the last kernel's initial values: an untrained generator hardly changes its
            input.
        name: Name of the model.

    Returns:
        A functional ``keras.Model``, ``(B, H, W, 3) -> (B, H, W, 3)`` in [-1, 1].

    Raises:
        ValueError: If ``widths`` and ``blocks`` differ in length or are empty.
    """
    if not widths or len(widths) != len(blocks):
        raise ValueError(
            "widths and blocks must be of the same length, at least 1; "
            f"received {tuple(widths)!r} and {tuple(blocks)!r}."
        )
    blurred = keras.Input((None, None, 3), name="blurred")

    # Encoder: level i works at (B, H / (stride * 2^i), W / (stride * 2^i), widths[i])
    x, skips = blurred, []
    for level, (width, count) in enumerate(zip(widths, blocks, strict=True), start=1):
        side, step = (kernel, stride) if level == 1 else (2, 2)
        x = layers.Conv2D(width, side, strides=step, padding="same", name=f"down{level}")(x)
        for index in range(1, count + 1):
            x = block(x, width, f"encoder{level}_{index}")
        skips.append(x)

    # Decoder: a transposed convolution as wide as its stride is a 1x1 one and a pixel-shuffle
    for level in range(len(widths) - 1, 0, -1):
        width = widths[level - 1]
        x = layers.Conv2DTranspose(width, 2, strides=2, name=f"up{level}")(x)
        x = layers.Add(name=f"skip{level}")([skips[level - 1], x])
        for index in range(1, blocks[level - 1] + 1):
            x = block(x, width, f"decoder{level}_{index}")
    x = layers.Conv2DTranspose(
        3,
        stride,
        strides=stride,
        kernel_initializer=keras.initializers.RandomNormal(stddev=stddev),
        dtype="float32",
        name="head",
    )(x)
    restored = ClippedAdd(dtype="float32", name="restored")([blurred, x])
    return keras.Model(blurred, restored, name=name)

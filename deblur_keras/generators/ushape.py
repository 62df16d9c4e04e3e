"""The U-shape that this library's own generators have in common."""

import keras
from keras import layers

from deblur_keras.generators.calls import model_calls
from deblur_keras.layers import ClippedAdd


def u_shape(widths, blocks, block, *, kernel=2, stride=2, stddev=0.02, scales=1, name):
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
        scales: How many times the same layers see the image, the first time reduced by
            ``2 ** (scales - 1)``, each further time at twice that size: what they added before is a
            hint, and carried over, enlarged by a layer that learns how much of it to keep.
        name: Name of the model.

    Returns:
        A functional ``keras.Model``, ``(B, H, W, 3) -> (B, H, W, 3)`` in [-1, 1].

    Raises:
        ValueError: If ``widths`` and ``blocks`` differ in length or are empty, or if ``scales`` is
            no whole number of at least 1.
    """
    if not widths or len(widths) != len(blocks):
        raise ValueError(
            "widths and blocks must be of the same length, at least 1; "
            f"received {tuple(widths)!r} and {tuple(blocks)!r}."
        )
    if not isinstance(scales, int) or isinstance(scales, bool) or scales < 1:
        raise ValueError(f"scales must be a whole number, at least 1; received {scales!r}.")
    blurred = keras.Input((None, None, 3), name="blurred")
    down = layers.Conv2D(widths[0], kernel, strides=stride, padding="same", name="down1")

    # From coarse to fine, as in SRN (Tao et al., 2018): long blur is short in a small image.
    x = down(_reduced(blurred, scales - 1))
    correction = _correction(x, widths, blocks, block, stride, stddev)
    if scales > 1:
        behind = model_calls(keras.Model(x, correction))
        # Both are 0 at first, so that the last pass begins as what it would be by itself.
        hint = layers.Conv2D(
            widths[0],
            kernel,
            strides=stride // 2,  # over pixels of twice the size
            padding="same",
            kernel_initializer="zeros",
            use_bias=False,
            name="hint",
        )
        carry = layers.Conv2DTranspose(
            3,
            4,
            strides=2,
            padding="same",
            kernel_initializer="zeros",
            use_bias=False,
            dtype="float32",
            name="carry",
        )
        for halvings in range(scales - 2, -1, -1):
            x = down(_reduced(blurred, halvings))
            x = layers.Add(name=f"hinted{halvings + 1}")([x, hint(correction)])
            (finer,) = behind.run([x])
            added = layers.Add(dtype="float32", name=f"carried{halvings + 1}")
            correction = added([finer, carry(correction)])
    restored = ClippedAdd(dtype="float32", name="restored")([blurred, correction])
    return keras.Model(blurred, restored, name=name)


def _reduced(image, halvings):
    if not halvings:
        return image
    return layers.AveragePooling2D(2**halvings, name=f"reduced{halvings}")(image)


def _correction(x, widths, blocks, block, stride, stddev):
    """Calls the layers behind the first convolution: what is to be added to the image."""
    # Encoder: level i works at (B, H / (stride * 2^i), W / (stride * 2^i), widths[i])
    skips = []
    for level, (width, count) in enumerate(zip(widths, blocks, strict=True), start=1):
        if level > 1:
            x = layers.Conv2D(width, 2, strides=2, padding="same", name=f"down{level}")(x)
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
    return layers.Conv2DTranspose(
        3,
        stride,
        strides=stride,
        kernel_initializer=keras.initializers.RandomNormal(stddev=stddev),
        dtype="float32",
        name="head",
    )(x)

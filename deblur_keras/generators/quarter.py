"""The library's own small generator, of which the weights that ship are made."""

import keras
from keras import layers

from deblur_keras.generators.ushape import u_shape
from deblur_keras.layers import ChannelScale, SimpleGate


def quarter_generator(widths=(40, 64, 96), blocks=(2, 4, 6), scales=3, name="quarter_generator"):
    """Builds a U-shaped generator of gated 3x3 convolutions, at a quarter of the resolution.

    None of the papers describes it: it is this library's own, and with the defaults the network of
    the weights that ship. Motion blur spreads each detail over many pixels, so most of the work is
    done where these are few: at 1/4, 1/8 and 1/16 of the resolution. Its convolutions are plain
    ones, which in bfloat16 train several times quicker on a processor than depthwise ones of the
    same cost in multiplications. It has no normalization, so tiles agree with the whole image; a
    tanh in the gates keeps its activations within bounds instead. The same layers see the image at
    a quarter and at half its size first, where long blur is short, and soft edges are as sharp as
    in other images. What they add there is a hint the next time, and part of what is added then.
    The output is added to the input as DeblurGAN's is.

    Args:
        widths: Channels at 1/4, 1/8, 1/16, ... of the input's resolution.
        blocks: Gated blocks at each of these levels; the coarsest has them once, the others once in
            the encoder and once in the decoder.
        scales: How many times the layers see the image: at its own size alone (1), at half its size
            before (2), at a quarter before that (3), ...
        name: Name of the model.

    Returns:
        A functional ``keras.Model``, ``(B, H, W, 3) -> (B, H, W, 3)`` in [-1, 1], for H and W that
        are multiples of ``2 ** (len(widths) + scales)``.

    Raises:
        ValueError: If ``widths`` and ``blocks`` differ in length or are empty, or if ``scales`` is
            no whole number of at least 1.

    Example:
        >>> quarter_generator().count_params()
        2642883

    Reference:
        The gate is NAFNet's (Chen et al., "Simple Baselines for Image Restoration", equation 4);
        the blocks are otherwise those of EDSR (Lim et al.), two 3x3 convolutions whose result is
        scaled and added. Layers shared by all scales are SRN's (Tao et al., "Scale-recurrent
        Network for Deep Image Deblurring"), without its recurrence within a scale.
    """
    return u_shape(
        widths, blocks, _gated_block, kernel=8, stride=4, stddev=0.01, scales=scales, name=name
    )


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

"""The library's own small generator of depthwise convolutions."""

import functools

from keras import layers

from deblur_keras.generators.ushape import u_shape
from deblur_keras.layers import ChannelScale, SimpleGate


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
    block = functools.partial(_gated_block, kernel=kernel)
    return u_shape(widths, blocks, block, name=name)


def _gated_block(x, width, name, kernel):
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

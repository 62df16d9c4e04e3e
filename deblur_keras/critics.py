"""Critics: functional Keras models that score how sharp a photograph looks.

A critic gives an unbounded score for the Wasserstein objective; with a sigmoid at its end it is a
discriminator for the minimax objective.
"""

import keras

from deblur_keras.layers import InstanceNormalization

NORMS = ("instance", "none")


def patch_critic(filters=64, layers=3, norm="instance", name="patch_critic"):
    """Builds the PatchGAN critic: 4x4 convolutions that score overlapping 70x70 patches.

    With the defaults it has 2,764,737 parameters and gives a 35x35 map at 256x256, as the authors'
    PyTorch network, which pads by 2 zeros on every side (Keras's "same" would give 32x32).

    Args:
        filters: Channels of the first convolution; they double up to eight times as many.
        layers: Convolutions of stride 2.
        norm: ``"instance"`` (without scale and offset, in all convolutions but the first and the
            last) or ``"none"`` (the choice for which the per-sample gradient penalty was derived).
        name: Name of the model.

    Returns:
        A functional ``keras.Model``, ``(B, H, W, 3)`` in [-1, 1] -> ``(B, h, w, 1)`` scores.

    Raises:
        ValueError: If ``norm`` is none of the above or ``layers`` is less than 1.

    Example:
        >>> patch_critic().compute_output_shape((1, 256, 256, 3))
        (1, 35, 35, 1)

    Reference:
        DeblurGAN (Kupyn et al.), section 3.2; Isola et al., "Image-to-Image Translation with
        Conditional Adversarial Networks", section 3.2.2.

    Note:
        It sees the sharp or restored image alone, although the paper calls it conditional.
    """
    if norm not in NORMS:
        raise ValueError(f"norm must be 'instance' or 'none'; received {norm!r}.")
    if layers < 1:
        raise ValueError(f"layers must be at least 1; received {layers!r}.")
    image = keras.Input((None, None, 3), name="image")
    # (B, H, W, 3) -> (B, H/2, W/2, F) -> (B, H/4, W/4, 2F) -> ... -> (B, h, w, 1)
    x = _conv(image, filters, 2, "conv1")
    x = _leaky_relu(x, "conv1")
    for index in range(1, layers + 1):
        label = f"conv{index + 1}"
        x = _conv(x, filters * min(2**index, 8), 2 if index < layers else 1, label)
        if norm == "instance":
            x = InstanceNormalization(name=f"{label}_norm")(x)
        x = _leaky_relu(x, label)
    score = _conv(x, 1, 1, "score", dtype="float32")
    return keras.Model(image, score, name=name)


def _conv(x, filters, strides, name, dtype=None):
    x = keras.layers.ZeroPadding2D(2, name=f"{name}_pad")(x)
    return keras.layers.Conv2D(
        filters,
        4,
        strides=strides,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
        dtype=dtype,
        name=name,
    )(x)


def _leaky_relu(x, name):
    return keras.layers.LeakyReLU(negative_slope=0.2, name=f"{name}_leaky_relu")(x)

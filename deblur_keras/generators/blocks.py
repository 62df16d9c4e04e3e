"""What the papers' generators share: checks, convolutions, normalization, the global skip."""

import keras
from keras import layers

from deblur_keras.layers import ClippedAdd, InstanceNormalization

NORMS = ("instance", "batch", "none")
SKIPS = ("clip", "none")


def check_choice(name, value, choices):
    """Raises a ValueError that lists the choices unless the value is one of them."""
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {listed}; received {value!r}.")


def check_count(name, value, least):
    """Raises a ValueError unless the value is a whole number of at least ``least``."""
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}; received {value!r}.")


def check_rate(name, value):
    """Raises a ValueError unless the value is a dropout rate."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} must lie in [0, 1); received {value!r}.")


def paper_normal():
    """Makes the initializer of all convolutions in the authors' code: N(0, 0.02)."""
    return keras.initializers.RandomNormal(stddev=0.02)


def conv(filters, kernel_size, strides=1, name=None):
    """Makes a convolution without padding, as the authors initialize it."""
    return layers.Conv2D(
        filters, kernel_size, strides=strides, kernel_initializer=paper_normal(), name=name
    )


def normalize(x, norm, name):
    """Normalizes feature maps by one of `NORMS`; the layer is called ``{name}_norm``."""
    if norm == "instance":
        return InstanceNormalization(name=f"{name}_norm")(x)
    if norm == "batch":
        return layers.BatchNormalization(
            epsilon=1e-5,
            gamma_initializer=keras.initializers.RandomNormal(mean=1.0, stddev=0.02),
            name=f"{name}_norm",
        )(x)
    return x


def normalize_relu(x, norm, name):
    """Normalizes feature maps and cuts them at zero."""
    return layers.ReLU(name=f"{name}_relu")(normalize(x, norm, name))


def add_to_input(blurred, x, skip):
    """Ends a generator: the tanh, and with ``skip="clip"`` its clipped sum with the input."""
    x = layers.Activation("tanh", dtype="float32", name="head_tanh")(x)
    if skip == "clip":
        x = ClippedAdd(dtype="float32", name="restored")([blurred, x])
    return x

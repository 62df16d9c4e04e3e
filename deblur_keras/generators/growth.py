"""Lets a generator begin with what another one has learned."""

import math

import keras
import numpy as np

from deblur_keras.generators.graph import size_multiple
from deblur_keras.layers import ChannelScale

_DIFFERENCE = 0.02  # in [-1, 1], on average: far above what 16 bits round, below another function


class UnfitError(ValueError):
    """A trained generator that another one cannot begin with."""


def begin_with(generator, trained):
    """Copies the weights of a trained generator into another of the same kind, or a deeper one.

    Layers are told by their names. What the trained one lacks begins as nothing, so that at first
    the deeper generator does what the trained one does: blocks as identity, where a `ChannelScale`
    ends them, of which the factors become 0, and layers whose kernels are initially 0.

    Args:
        generator: ``keras.Model``, whose weights are set.
        trained: ``keras.Model`` whose weights are taken; it is not changed.

    Raises:
        UnfitError: If they do not fit together, or give different images, or if weights are not
            finite; the generator is as it was then.

    Example:
        >>> from deblur_keras.generators import quarter_generator
        >>> generator = quarter_generator((8, 16), (2, 2))
        >>> begin_with(generator, quarter_generator((8, 16), (1, 1)))
    """
    given = {layer.name: layer.get_weights() for layer in trained.layers}
    wanted = {layer.name: layer for layer in generator.layers if layer.weights}
    unused = [name for name, weights in given.items() if weights and name not in wanted]
    new = [layer for name, layer in wanted.items() if name not in given]
    blocks = [layer.name.removesuffix("scale") for layer in new if isinstance(layer, ChannelScale)]
    stray = [
        layer.name
        for layer in new
        if not (layer.name.startswith(tuple(blocks)) or _begins_as_nothing(layer))
    ]
    different = [
        f"{name} ({_shapes(given[name])} instead of {_shapes(layer.get_weights())})"
        for name, layer in wanted.items()
        if name in given and _shapes(given[name]) != _shapes(layer.get_weights())
    ]
    if unused or stray or different:
        raise UnfitError(
            f"{trained.name} is not a generator that {generator.name} can begin with; expected one "
            "of the same kind and widths. Layers that do not fit: "
            + f"{', '.join([*different, *unused, *stray][:3])}."
        )
    broken = [n for n, each in given.items() if not all(np.isfinite(w).all() for w in each)]
    if broken:
        raise UnfitError(f"{trained.name}: weights of {broken[0]} are not finite; it is broken.")
    before = generator.get_weights()
    for name, layer in wanted.items():
        if name in given:
            layer.set_weights(given[name])
        elif _begins_as_nothing(layer):
            layer.set_weights([0 * weight for weight in layer.get_weights()])
    side = math.lcm(32, size_multiple(trained), size_multiple(generator))
    noise = np.random.default_rng(0).uniform(-1, 1, (1, side, side, 3)).astype(np.float32)
    first, second = (np.asarray(each(noise), np.float32) for each in (trained, generator))
    if not np.abs(first - second).mean() < _DIFFERENCE:
        generator.set_weights(before)
        raise UnfitError(
            f"{trained.name} is not a generator that {generator.name} can begin with: the layers "
            "are the same, but with them it makes other images. Expected one with the same options "
            "(skip, norm, ...)."
        )


def _begins_as_nothing(layer):
    initial = getattr(layer, "kernel_initializer", None)
    return isinstance(layer, ChannelScale) or isinstance(initial, keras.initializers.Zeros)


def _shapes(weights):
    return " and ".join("x".join(map(str, weight.shape)) for weight in weights) or "none"

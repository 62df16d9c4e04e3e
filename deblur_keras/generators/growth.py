"""Lets a generator begin with what another one has learned."""

from deblur_keras.layers import ChannelScale


def begin_with(generator, trained):
    """Copies the weights of a trained generator into another of the same kind, or a deeper one.

    Layers are told by their names. Blocks that the trained one lacks begin as identity, where a
    `ChannelScale` ends them: its factors become 0, so that at first the deeper generator does what
    the trained one does.

    Args:
        generator: ``keras.Model``, whose weights are set.
        trained: ``keras.Model`` whose weights are taken; it is not changed.

    Raises:
        ValueError: If they do not fit together; the generator is as it was then.

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
    stray = [layer.name for layer in new if not layer.name.startswith(tuple(blocks))]
    different = [
        f"{name} ({_shapes(given[name])} instead of {_shapes(layer.get_weights())})"
        for name, layer in wanted.items()
        if name in given and _shapes(given[name]) != _shapes(layer.get_weights())
    ]
    if unused or stray or different:
        raise ValueError(
            f"{trained.name} is not a generator that {generator.name} can begin with; expected one "
            "of the same kind and widths. Layers that do not fit: "
            + ", ".join([*different, *unused, *stray][:3])
        )
    for name, layer in wanted.items():
        if name in given:
            layer.set_weights(given[name])
        elif isinstance(layer, ChannelScale):
            layer.set_weights([0 * weight for weight in layer.get_weights()])


def _shapes(weights):
    return " and ".join("x".join(map(str, weight.shape)) for weight in weights) or "none"

"""Keeps dropout active where a network restores, as DeblurGAN does."""

import keras
import numpy as np

_KINDS = (keras.layers.Dropout, keras.layers.GaussianDropout, keras.layers.AlphaDropout)


def with_active_dropout(model, seed=None):
    """Copies a model with its dropout layers always active; all other layers stay at inference.

    Args:
        model: A functional ``keras.Model``.
        seed: Whole number that decides what is dropped, or None.

    Returns:
        The copy, with the same weights, and a list of ``(layer, state)``: the state to give to the
        layer's ``seed_generator`` before each image, so that it is restored alike each time. Empty
        without a seed.

    Raises:
        ValueError: If the model has no dropout layers.

    Example:
        >>> from deblur_keras.generators import resnet_generator
        >>> _, states = with_active_dropout(resnet_generator(filters=4, blocks=2), seed=1)
        >>> len(states)
        2
    """
    random = np.random.default_rng(seed)
    active = []

    def clone(layer):
        config = layer.get_config()
        if not isinstance(layer, _KINDS):
            return type(layer).from_config(config)
        # A subclass, not `training=True` on the model, which would also make batch norms use
        # the image's own statistics.
        kind = type(layer)

        def call(self, inputs, training=False):
            return kind.call(self, inputs, training=True)

        config["seed"] = int(random.integers(2**31))
        active.append(type(f"Active{kind.__name__}", (kind,), {"call": call}).from_config(config))
        return active[-1]

    copy = keras.models.clone_model(model, clone_function=clone, recursive=True)
    if not active:
        raise ValueError("has no dropout layers to keep active")
    copy.set_weights(model.get_weights())
    states = [(layer, keras.ops.convert_to_numpy(layer.seed_generator.state)) for layer in active]
    return copy, states if seed is not None else []


def sample_state(state, sample):
    """Derives the state of a layer's random numbers for one of several samples.

    Args:
        state: State that `with_active_dropout` returned, an integer array (2,).
        sample: Number of the sample, from 0 on.

    Returns:
        Array of the same type and shape; for sample 0, ``state`` itself.

    Example:
        >>> state = np.array([7, 0], "uint32")
        >>> sample_state(state, 0).tolist(), len({int(sample_state(state, k)[0]) for k in range(9)})
        ([7, 0], 9)
    """
    if sample == 0:
        return state
    # Another seed, not another place in the same sequence: tiles draw one after the other from it.
    seed = np.random.default_rng([*map(int, state), sample]).integers(2**31)
    return np.array([seed, 0], state.dtype)

"""Sixteen-bit training: which policy the networks compute in, and what has to stay in 32 bits.

Under a mixed policy the variables and what the optimizers keep are float32, and so are, whatever
the policy, the norms' statistics, the generator's output, the critic's scores, the norm of the
gradient penalty, all losses and all metrics. This module does not load TensorFlow until it must.
"""

import contextlib

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")

# Float16 ends at 6e-8: the slope of one pixel of a mean over a score map would fall out below.
_LIFT = 1024.0


@contextlib.contextmanager
def networks_in(policy):
    """Makes the networks that are built inside compute by a policy of Keras.

    Args:
        policy: One of `POLICIES`.

    Yields:
        None. Keras's global policy is as before afterwards.

    Raises:
        ValueError: If the policy is none of them.

    Example:
        >>> from deblur_keras import critics
        >>> with networks_in("mixed_bfloat16"):
        ...     critic = critics.patch_critic(filters=4)
        >>> critic.get_layer("conv2").compute_dtype, critic.get_layer("conv2").variable_dtype
        ('bfloat16', 'float32')
    """
    import keras

    if policy not in POLICIES:
        raise ValueError(f"precision must be one of {', '.join(POLICIES)}; received {policy!r}.")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def compute_types(network):
    """Finds the types that the layers of a network compute in.

    Args:
        network: A ``keras.Model``.

    Returns:
        A set of names, such as ``{"float32", "bfloat16"}``.
    """
    network = getattr(network, "network", network)  # a `passes.Pass`
    # What has no layers of its own, such as a stand-in for a network in a test, is float32.
    layers = getattr(network, "_flatten_layers", lambda: ())()
    return {layer.compute_dtype for layer in layers} or {"float32"}


def scaled(optimizer, *networks):
    """Wraps an optimizer so that it scales its loss, if a network computes in float16.

    Keras does so by itself, but only for the one optimizer that it knows.

    Args:
        optimizer: A ``keras.optimizers.Optimizer``.
        *networks: The networks through which its gradients go.

    Returns:
        A ``keras.optimizers.LossScaleOptimizer`` around it, or the optimizer itself where no
        network needs that, or it is one already.
    """
    import keras

    kind = keras.optimizers.LossScaleOptimizer
    needed = any("float16" in compute_types(network) for network in networks)
    return kind(optimizer) if needed and not isinstance(optimizer, kind) else optimizer


def lift(network):
    """Says by how much a network's scores are multiplied before a gradient that is itself used.

    The gradient is divided by it afterwards, in float32.

    Args:
        network: A ``keras.Model``.

    Returns:
        1.0, and for a network that computes in float16 a power of two.
    """
    return _LIFT if "float16" in compute_types(network) else 1.0


def in_float32(network):
    """Copies a network that computes in 16 bits into one that computes in 32.

    Args:
        network: A functional ``keras.Model``.

    Returns:
        A model of the same layers, names and weights, under the policy float32.

    Example:
        >>> from deblur_keras import generators
        >>> with networks_in("mixed_bfloat16"):
        ...     generator = generators.resnet_generator(filters=4, blocks=1)
        >>> compute_types(in_float32(generator))
        {'float32'}
    """
    import keras

    def clone(layer):
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    with networks_in("float32"):
        copy = keras.models.clone_model(network, clone_function=clone, recursive=True)
    copy.name = network.name
    copy.set_weights(network.get_weights())
    return copy

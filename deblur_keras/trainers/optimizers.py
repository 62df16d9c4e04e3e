"""The optimizers of a trainer: one for what generates, another for what criticizes."""

import keras

from deblur_keras.trainers import precision


def paper_adam(learning_rate=1e-4):
    """Makes the optimizer of the authors' code: Adam(1e-4, 0.5, 0.999), epsilon 1e-8.

    Args:
        learning_rate: A number or a ``keras.optimizers.schedules.LearningRateSchedule``.

    Returns:
        A ``keras.optimizers.Adam``.

    Reference:
        DeblurGAN (Kupyn et al.), section 5, and its authors' code at publication.
    """
    return keras.optimizers.Adam(learning_rate, beta_1=0.5, beta_2=0.999, epsilon=1e-8)


def pair(generators, critics, optimizers, learning_rate=1e-4):
    """Builds both optimizers of a trainer, so that a checkpoint has something to restore into.

    If a network computes in float16, both scale their losses: Keras would do so for the one
    optimizer that it knows, and by the trainer's own type.

    Args:
        generators: Networks that one of them trains.
        critics: Networks that the other one trains.
        optimizers: Theirs, two ``keras.optimizers.Optimizer``, names of them, or None.
        learning_rate: Of `paper_adam`, in the place of None.

    Returns:
        A list of two ``keras.optimizers.Optimizer``, built.

    Raises:
        ValueError: If both are the same object.

    Example:
        >>> network, critic = (
        ...     keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]) for _ in range(2)
        ... )
        >>> [type(optimizer).__name__ for optimizer in pair([network], [critic], ("sgd", None))]
        ['SGD', 'Adam']
    """
    if optimizers[0] is not None and optimizers[0] is optimizers[1]:
        raise ValueError(
            "The generator and the critic need an optimizer each: an optimizer keeps the moments "
            "of its own network. Received the same object for both."
        )
    made = []
    for optimizer, networks in zip(optimizers, (generators, critics), strict=True):
        optimizer = keras.optimizers.get(optimizer or paper_adam(learning_rate))
        optimizer = precision.scaled(optimizer, *generators, *critics)
        optimizer.build([v for network in networks for v in network.trainable_variables])
        made.append(optimizer)
    return made


def check_not_negative(**values):
    """Raises a ValueError that names the first of these numbers that is below 0."""
    for name, value in values.items():
        if value < 0:
            raise ValueError(f"{name} must not be negative; received {value!r}.")

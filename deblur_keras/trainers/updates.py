"""The end of every training step: from a loss to changed weights, whatever the trainer."""

import tensorflow as tf


def scaled_for(optimizer, loss):
    """Scales a loss for its gradient: by the optimizer's own factor, divided over the replicas.

    Keras 3's optimizers sum the replicas' gradients; the division makes the sum their mean. The
    loss that is logged stays undivided.

    Args:
        optimizer: The ``keras.optimizers.Optimizer`` that will apply the gradient.
        loss: A scalar, the mean over this replica's batch.

    Returns:
        A scalar.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return optimizer.scale_loss(loss) / replicas


def descend(optimizer, tape, scaled, variables):
    """Updates variables along the gradient of a loss.

    Args:
        optimizer: A ``keras.optimizers.Optimizer``, built.
        tape: The ``tf.GradientTape`` that recorded the loss.
        scaled: The loss from `scaled_for`.
        variables: The variables to update.
    """
    optimizer.apply(tape.gradient(scaled, variables), variables)


def count(optimizer):
    """Reads how many updates an optimizer has made."""
    return int(optimizer.iterations.numpy())  # int() alone fails on a mirrored variable

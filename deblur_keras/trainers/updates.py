"""The end of every training step: from a loss to changed weights, whatever the trainer.

An update whose loss or gradient is not finite is left out, because it could never be undone: Adam's
moments would keep it. `Vigil` counts such updates and notes the losses of the very step, which the
logged averages hide.
"""

import functools

import keras
import numpy as np
import tensorflow as tf


class Vigil:
    """Judges updates within the graph of a training step, and notes what became of them.

    On several replicas all come to the same verdict: what is broken on one is left out on all.

    Args:
        roles: What is updated, such as ``("generator", "critic")``.

    Attributes:
        bad_steps: Bad steps in a row up to now, as `StopOnDivergence` counts them. While it is not
            0, neither `TrainingState` nor `SaveGenerator` writes anything.

    Example:
        >>> vigil = Vigil(["critic"])
        >>> bool(vigil.judge("critic", tf.constant(3.0), [tf.constant([1.0, float("nan")])]))
        False
        >>> vigil.read()
        {'critic': (1, 3.0)}
    """

    def __init__(self, roles=("generator", "critic")):
        self.roles = tuple(roles)
        self.bad_steps = 0
        # A row a role: updates left out since the beginning, and the loss of the latest update.
        self._noted = tf.Variable(
            tf.zeros((len(self.roles), 2), tf.float64),
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def judge(self, role, loss, gradients):
        """Judges an update, and notes its loss.

        Args:
            role: What is updated.
            loss: A scalar, the mean over this replica's batch.
            gradients: List of tensors, of which any may be None; an empty one if the optimizer
                looks after them itself.

        Returns:
            A scalar, whether the update may be made; the same on all replicas.
        """
        replica = tf.distribute.get_replica_context()
        given = [gradient for gradient in gradients if gradient is not None]
        norm = (
            tf.cast(tf.linalg.global_norm(given), tf.float64) if given else tf.zeros((), "double")
        )
        both = tf.stack([tf.cast(loss, tf.float64), norm])
        if replica is not None and replica.num_replicas_in_sync > 1:
            both = replica.all_reduce(tf.distribute.ReduceOp.MEAN, both)
        sound = tf.reduce_all(tf.math.is_finite(both))
        own = tf.one_hot(self.roles.index(role), len(self.roles), dtype=tf.float64)[:, None]
        left_out = self._noted[:, :1] + own * tf.cast(~sound, tf.float64)
        losses = tf.where(own > 0, both[0], self._noted[:, 1:])
        self._noted.assign(tf.concat([left_out, losses], axis=1))
        return sound

    def read(self):
        """Returns a dict of roles: updates left out since the beginning, and the latest loss."""
        rows = zip(self.roles, self._noted.numpy().tolist(), strict=True)
        return {role: (int(left_out), loss) for role, (left_out, loss) in rows}


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


def descend(optimizer, tape, scaled, variables, loss, vigil, role):
    """Updates variables along the gradient of a loss, unless that would spoil them.

    Args:
        optimizer: A ``keras.optimizers.Optimizer``, built.
        tape: The ``tf.GradientTape`` that recorded the loss.
        scaled: The loss from `scaled_for`.
        variables: The variables to update.
        loss: The loss itself, a scalar.
        vigil: The `Vigil` of the trainer.
        role: What is updated, one of the vigil's roles.
    """
    gradients = tape.gradient(scaled, variables)
    # The optimizer of float16 seeks the largest scale that works, by gradients that overflow.
    scaling = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    sound = vigil.judge(role, loss, [] if scaling else gradients)

    def apply(gradients):
        optimizer.apply(gradients, variables)

    if tf.__internal__.distribute.strategy_supports_no_merge_call():
        tf.cond(sound, lambda: apply(gradients), lambda: None)
        return

    def apply_on_all(strategy, sound, gradients):
        # Replicas cannot meet within a branch of their own, so all of them go into one.
        each = functools.partial(strategy.extended.call_for_each_replica, apply, args=(gradients,))
        tf.cond(strategy.experimental_local_results(sound)[0], each, lambda: None)

    tf.distribute.get_replica_context().merge_call(apply_on_all, args=(sound, gradients))


def finite_logs(train_step):
    """Decorates a ``train_step`` so that a step that is not finite spoils no average of its epoch.

    Such averages leave that step out.

    Args:
        train_step: The method; it returns averages of the trainer's metrics by name.

    Returns:
        A method.
    """

    @functools.wraps(train_step)
    def finite_step(self, data):
        before = {m.name: [tf.identity(v.value) for v in m.variables] for m in self.metrics}
        logs = train_step(self, data)
        for metric in self.metrics:
            finite = [tf.reduce_all(tf.math.is_finite(v.value)) for v in metric.variables]
            for variable, value in zip(metric.variables, before[metric.name], strict=True):
                variable.assign(tf.where(tf.reduce_all(finite), variable.value, value))
        results = {metric.name: metric for metric in self.metrics}
        return {name: results[name].result() if name in results else logs[name] for name in logs}

    return finite_step


def check_finite(variables, kept):
    """Checks that weights are finite before they are written.

    Args:
        variables: Dictionary from names of parts to lists of variables.
        kept: What is not replaced by them, for the message.

    Raises:
        FloatingPointError: If a number of them is not finite, naming the first such variable.
    """
    for part, members in variables.items():
        for variable in members:
            value = np.asarray(variable)
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                name = getattr(variable, "path", variable.name)
                raise FloatingPointError(
                    f"The training diverged: {name} of the {part} is not finite any more. Nothing "
                    f"was written; {kept}. A lower learning rate usually helps, or float32 if the "
                    "precision is another."
                )


def count(optimizer):
    """Reads how many updates an optimizer has made."""
    return int(optimizer.iterations.numpy())  # int() alone fails on a mirrored variable

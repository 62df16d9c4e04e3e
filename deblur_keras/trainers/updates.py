"""The end of every training step: from losses to changed weights, whatever the trainer.

An update whose loss or gradient is not finite is left out, because it could never be undone: Adam's
moments would keep it. `vigil.Vigil` notes it.
"""

import functools

import keras
import numpy as np
import tensorflow as tf


def scaled_for(optimizer, losses, share):
    """Scales losses for their gradient: the mean of the batch, by the optimizer's own factor.

    Keras 3's optimizers sum the replicas' gradients, so that each replica's part of the mean makes
    them that of one device with the whole batch. The loss that is logged stays undivided.

    Args:
        optimizer: The ``keras.optimizers.Optimizer`` that will apply the gradient.
        losses: One an image of this replica, ``(B,)``.
        share: The `shares.Share` that these images are.

    Returns:
        A scalar.
    """
    return optimizer.scale_loss(share.mean(losses))


def descend(optimizer, tape, scaled, variables, loss, vigil, role, clip_norm=0.0):
    """Updates variables along the gradient of a loss, unless that would spoil them.

    Args:
        optimizer: A ``keras.optimizers.Optimizer``, built.
        tape: The ``tf.GradientTape`` that recorded the loss.
        scaled: The loss from `scaled_for`.
        variables: The variables to update.
        loss: What this replica adds to the mean over the batch, a scalar.
        vigil: The `vigil.Vigil` of the trainer.
        role: What is updated, one of the vigil's roles.
        clip_norm: Largest Euclidean norm of the whole gradient, beyond which it is shortened to
            this; 0 for any.

    Returns:
        A scalar, whether they were updated.
    """
    before = tf.identity(optimizer.iterations.value)
    gradients = tape.gradient(scaled, variables)
    watched = gradients
    scaling = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if scaling or clip_norm:
        gradients = _alike(gradients)
    if scaling:
        # It seeks the largest scale that works, by gradients that overflow, and looks at those of
        # one replica alone. One that overflows without any scale is none that works.
        sought = optimizer.dynamic_scale.value > 1.0
        watched = [tf.where(sought, 0.0, tf.linalg.global_norm(gradients))]
    sound = vigil.judge(role, loss, watched)
    if clip_norm:
        gradients = _clipped(optimizer, gradients, clip_norm)

    def apply(gradients):
        optimizer.apply(gradients, variables)

    if tf.__internal__.distribute.strategy_supports_no_merge_call():
        tf.cond(sound, lambda: apply(gradients), lambda: None)
        return optimizer.iterations.value > before

    def apply_on_all(strategy, sound, gradients):
        # Replicas cannot meet within a branch of their own, so all of them go into one.
        each = functools.partial(strategy.extended.call_for_each_replica, apply, args=(gradients,))
        tf.cond(strategy.experimental_local_results(sound)[0], each, lambda: None)

    tf.distribute.get_replica_context().merge_call(apply_on_all, args=(sound, gradients))
    return optimizer.iterations.value > before


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


def _clipped(optimizer, gradients, norm):
    """Shortens gradients that all replicas have alike, so that their sum has this norm at most.

    Keras's optimizers would clip what each replica has, before it is summed.
    """
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    limit = tf.cast(optimizer.scale_loss(tf.constant(float(norm))), tf.float32)
    return tf.clip_by_global_norm(gradients, limit / replicas)[0]


def _alike(gradients):
    """Gives all replicas the same gradients, of which the sum is that of what they had."""
    replica = tf.distribute.get_replica_context()
    replicas = replica.num_replicas_in_sync
    if replicas == 1:
        return gradients
    given = [gradient for gradient in gradients if gradient is not None]
    left = iter(replica.all_reduce(tf.distribute.ReduceOp.SUM, given))
    return [None if gradient is None else next(left) / replicas for gradient in gradients]

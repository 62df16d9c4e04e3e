"""Judges the updates of a training step, within its graph."""

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
            loss: A scalar, what this replica adds to the mean over the batch.
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
            both = replica.all_reduce(tf.distribute.ReduceOp.SUM, both)
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

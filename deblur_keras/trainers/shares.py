"""Which part of a batch each replica has, so that every image counts the same."""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Share:
    """Holds which part of an update's batch this replica has; see `share_of`.

    A replica that has none gets a black image to work on, since not every network and kernel can do
    with none at all; its losses and scores do not count.

    Attributes:
        total: Examples of the update, on all replicas.
        begin: Examples on the replicas before this one.
        count: Examples on this replica.
        certain: Whether it is known beforehand that there is at least one.
    """

    total: object
    begin: object
    count: object
    certain: bool = True

    def filled(self, images):
        """Puts a black image where this replica has none.

        Args:
            images: ``(count, H, W, C)``.

        Returns:
            ``(max(count, 1), H, W, C)``.
        """
        if self.certain:
            return images
        missing = tf.cast(self.count == 0, tf.int32)
        return tf.pad(images, [[0, missing], [0, 0], [0, 0], [0, 0]])

    def own(self, values):
        """Leaves out what belongs to the image of `filled`.

        Args:
            values: ``(max(count, 1), ...)``.

        Returns:
            ``(count, ...)``.
        """
        return values if self.certain else values[: self.count]

    def part(self, values):
        """Takes this replica's rows of values that are drawn for the whole batch.

        Args:
            values: ``(total, ...)``, the same on all replicas.

        Returns:
            ``(max(count, 1), ...)``.
        """
        if self.begin is None:
            return values
        begin = tf.minimum(self.begin, self.total - 1)
        return values[begin : begin + tf.maximum(self.count, 1)]

    def weights(self):
        """Says what each loss counts in the mean over the whole batch.

        Returns:
            ``(max(count, 1),)``; the image of `filled` counts nothing.
        """
        each = tf.fill([self.count], 1.0 / tf.cast(self.total, tf.float32))
        if self.certain:
            return each
        return tf.pad(each, [[0, tf.cast(self.count == 0, tf.int32)]])

    def mean(self, losses):
        """Computes what this replica adds to the mean over the whole batch.

        Args:
            losses: ``(max(count, 1),)``.

        Returns:
            A scalar; summed over the replicas it is the mean of all examples' losses.
        """
        if self.begin is None:
            return tf.reduce_mean(losses)
        return tf.reduce_sum(self.own(losses)) / tf.cast(self.total, losses.dtype)


def share_of(images):
    """Finds out which part of an update's batch this replica has, from all replicas' counts.

    A batch is that of all replicas together. One that they cannot share evenly gives some of them
    an example more, or leaves some without any, and each example still counts the same.

    Args:
        images: This replica's, ``(B, ...)``.

    Returns:
        A `Share`. To be called once in a step, since the replicas tell each other.
    """
    count = tf.shape(images)[0]
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas == 1:
        return Share(count, None, count)
    number = tf.convert_to_tensor(context.replica_id_in_sync_group)
    mine = tf.one_hot(number, replicas) * tf.cast(count, tf.float32)
    counts = tf.cast(tf.round(context.all_reduce(tf.distribute.ReduceOp.SUM, mine)), tf.int32)
    begin = tf.cumsum(counts, exclusive=True)[number]
    return Share(tf.reduce_sum(counts), begin, count, bool(images.shape[0]))

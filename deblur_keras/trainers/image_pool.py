"""The memory of a discriminator: images that a generator made earlier."""

import tensorflow as tf


class ImagePool(tf.Module):
    """Shows a discriminator a mixture of fresh and earlier images of a generator.

    Until ``size`` images are stored, each image is stored and returned. From then on each image, by
    the toss of a coin, is either returned itself, or takes the place of a random stored one, which
    is returned instead. A discriminator that is shown this mixture does not forget the mistakes
    that the generator made some steps ago.

    The images are held in variables, so that the pool works inside ``tf.function`` and goes into a
    ``tf.train.Checkpoint``. It learns their shape from the first batch, and uses as much memory as
    it has images: 50 of 256x256 take 39 MB.

    Args:
        size: Images to store; 0 returns every batch as it came.
        seed: Seed of the coin and of the choice.

    Raises:
        ValueError: If ``size`` or ``seed`` is negative.

    Example:
        >>> import tensorflow as tf
        >>> pool = ImagePool(size=2)
        >>> first = pool(tf.reshape([1.0, 2.0], (2, 1, 1, 1)))
        >>> first.numpy().ravel().tolist()
        [1.0, 2.0]
        >>> pool(tf.reshape([3.0], (1, 1, 1, 1))).numpy().item() in (1.0, 2.0, 3.0)
        True

    Reference:
        Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial
        Training", section 2.3; Zhu et al. (CycleGAN), section 4, and its authors' code (a pool of
        50, and an even chance).

    Note:
        Under a ``tf.distribute`` strategy, each replica has a pool of this size of its own, filled
        with what this replica's generator made, and random numbers of its own: pools are never
        synchronised. Make the pool inside ``strategy.scope()``. A checkpoint keeps the pools of all
        replicas, and so is to be restored into as many.
    """

    def __init__(self, size=50, seed=0):
        super().__init__(name="image_pool")
        if size < 0 or seed < 0:
            raise ValueError(f"size and seed must not be negative; received {size!r} and {seed!r}.")
        self.size = size
        self.seed = seed
        # (N, H, W, C), N growing up to the size; and the images seen, which number the coins.
        self._stored = _variable_of_each_replica(tf.zeros((0, 0, 0, 0)), (None,) * 4)
        self._seen = _variable_of_each_replica(tf.zeros((), tf.int64), ())

    @property
    def images(self):
        """The stored images of each replica, a list of tensors ``(N, H, W, C)``."""
        return [stored.read_value() for stored in self._stored]

    def __call__(self, images):
        """Exchanges a batch of images, one after the other; one that is not finite is not stored.

        Args:
            images: ``(B, H, W, C)``; all batches have the same H, W and C.

        Returns:
            A batch of the same shape and type, without gradient.

        Raises:
            RuntimeError: If the pool was made outside of the scope of the strategy it runs under.
            tf.errors.InvalidArgumentError: If the stored images have another shape.
        """
        images = tf.stop_gradient(tf.convert_to_tensor(images))
        if not self.size:
            return images
        replica = self._replica()
        stored, seen = self._stored[replica], self._seen[replica]
        held, given = _shape(stored), tf.shape(images)
        check = tf.debugging.Assert(
            (held[0] == 0) | tf.reduce_all(held[1:] == given[1:]),
            ["An ImagePool holds images of one size: it has", held[1:], "and received", given[1:]],
        )

        def exchange(image):
            number = seen.assign_add(1)
            return tf.case(
                [
                    # One that is stored would spoil updates for a long time.
                    (~tf.reduce_all(tf.math.is_finite(image)), lambda: image),
                    (_shape(stored)[0] < self.size, lambda: _append(stored, image)),
                ],
                lambda: self._swap_or_pass(stored, image, replica, number),
            )

        with tf.control_dependencies([check] if check is not None else []):
            fresh = tf.cast(images, tf.float32)
        # One by one: a batch may return what it has just stored, as in the authors' code.
        shown = tf.map_fn(exchange, fresh, parallel_iterations=1)
        return tf.ensure_shape(tf.cast(shown, images.dtype), images.shape)

    def _swap_or_pass(self, stored, image, replica, number):
        key = tf.random.fold_in(tf.constant([self.seed, replica], tf.int64), number)
        coin, place = tf.unstack(tf.random.stateless_uniform((2,), key))
        index = tf.minimum(tf.cast(place * self.size, tf.int32), self.size - 1)
        return tf.cond(coin < 0.5, lambda: _swap(stored, image, index), lambda: image)

    def _replica(self):
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync != len(self._stored):
            raise RuntimeError(
                f"This ImagePool was made for {len(self._stored)} replica(s). Make it inside the "
                "scope() of the strategy under which it is used, and call it inside that "
                "strategy's run()."
            )
        return int(tf.get_static_value(context.replica_id_in_sync_group))


def _variable_of_each_replica(initial, shape):
    """Makes a variable a replica, each a plain one that is saved and restored by itself.

    The distributed variable around them would write only one replica's value into a checkpoint.
    """
    around = tf.Variable(
        initial,
        shape=tf.TensorShape(shape),
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )
    return list(tf.distribute.get_strategy().experimental_local_results(around))


def _shape(variable):
    # Unlike tf.shape, this does not read the pixels, which would copy them each time.
    return tf.raw_ops.VariableShape(input=variable.handle)


def _append(stored, image):
    before = tf.reshape(stored.read_value(), tf.concat([[-1], tf.shape(image)], axis=0))
    stored.assign(tf.concat([before, image[None]], axis=0))
    return image


def _swap(stored, image, index):
    earlier = tf.ensure_shape(stored.sparse_read([index])[0], image.shape)
    with tf.control_dependencies([earlier]):
        stored.scatter_nd_update([[index]], image[None])
    return earlier

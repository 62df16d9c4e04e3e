"""The memory of a discriminator: images that a generator made earlier."""

import dataclasses
import functools

import tensorflow as tf

from deblur_keras.trainers import workers


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
        replicas, and so is to be restored into as many. On several machines, call `collect` on each
        before one of them writes a checkpoint, and `deal` on each that has restored one.
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
        # Those of this machine; a checkpoint of several machines holds what `collect` brings.
        self._here = _Here(tuple(self._stored), tuple(self._seen), tf.distribute.get_strategy())
        if not size:  # and nothing that another number of replicas would miss
            self._stored, self._seen = self._stored[:1], self._seen[:1]

    @property
    def images(self):
        """The stored images of each replica of this machine, a list of ``(N, H, W, C)``."""
        return [stored.read_value() for stored in self._here.stored]

    @property
    def replicas(self):
        """The number of replicas whose pools a checkpoint holds, on all machines."""
        return self._here.replicas if self.size else 1

    def collect(self):
        """Brings the pools of all machines to each, for a checkpoint; each has to call it."""
        here = self._here
        if not (self.size and here.elsewhere):
            return
        if len(self._stored) != here.replicas:
            with tf.device("CPU:0"):
                shape = tf.TensorShape((None,) * 4)
                self._stored = [
                    tf.Variable(tf.zeros((0,) * 4), shape=shape, trainable=False)
                    for _ in range(here.replicas)
                ]
                self._seen = [
                    tf.Variable(tf.zeros((), tf.int64), trainable=False)
                    for _ in range(here.replicas)
                ]

        facts = here.facts().numpy()
        if not facts[:, 1].any():  # TensorFlow crashes where there is nothing to gather
            return
        parts = tf.split(here.all_images(), facts[:, 1])
        for (replica, _, seen), part in zip(facts, parts, strict=True):
            self._stored[replica].assign(part)
            self._seen[replica].assign(seen)

    def deal(self):
        """Takes this machine's pools from a checkpoint that was restored."""
        here = self._here
        if not (self.size and here.elsewhere):
            return
        for place, (stored, seen) in enumerate(zip(here.stored, here.seen, strict=True)):
            stored.assign(self._stored[here.first() + place].read_value())
            seen.assign(self._seen[here.first() + place].read_value())

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
        place = replica - self._here.first()
        stored, seen = self._here.stored[place], self._here.seen[place]
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
        if context is None or context.num_replicas_in_sync != self._here.replicas:
            raise RuntimeError(
                f"This ImagePool was made for {self._here.replicas} replica(s). Make it inside the "
                "scope() of the strategy under which it is used, and call it inside that "
                "strategy's run()."
            )
        return _number(context)


@dataclasses.dataclass(frozen=True, eq=False)
class _Here:
    """Holds the variables of this machine's replicas, out of sight of checkpoints."""

    stored: tuple
    seen: tuple
    strategy: object

    @property
    def replicas(self):
        """Replicas on all machines."""
        return self.strategy.num_replicas_in_sync

    @property
    def elsewhere(self):
        """Whether there are replicas on other machines."""
        return len(self.stored) < self.replicas

    def first(self):
        """Returns the number of this machine's first replica among all."""
        if not self.elsewhere:
            return 0
        there = workers.of(self.strategy)
        return there.number * len(self.stored)

    def place(self):
        """Returns the place among this machine's replicas of the one that asks."""
        return _number(tf.distribute.get_replica_context()) - self.first()

    @functools.cached_property
    def facts(self):
        """Function that tells of each pool: its replica, its images, those that it has seen."""

        def of_one():
            place = self.place()
            held = tf.cast(_shape(self.stored[place])[0], tf.int64)
            replica = tf.cast(self.first() + place, tf.int64)
            return tf.stack([replica, held, self.seen[place].read_value()])[None]

        return self._gathering(of_one)

    @functools.cached_property
    def all_images(self):
        """Function that returns the images of all pools, one after the other, in that order."""
        return self._gathering(lambda: self.stored[self.place()].read_value())

    def _gathering(self, of_one):
        # Kept, since TensorFlow would trace each call anew.
        return tf.function(lambda: self.strategy.gather(self.strategy.run(of_one), axis=0))


def _number(context):
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

"""Adversarial objectives: what the critic and the generator play for.

An objective is an object with three per-example functions (critic loss, generator loss, penalty),
so that one trainer serves every paired paper. A new objective is a subclass of
`AdversarialObjective` entered in `OBJECTIVES`.
"""

import abc
import logging

import keras
import tensorflow as tf

from deblur_keras import critics
from deblur_keras.trainers import precision

_logger = logging.getLogger(__name__)


class AdversarialObjective(abc.ABC):
    """The game between a critic and a generator, as losses of one value an example."""

    def bind(self, critic):
        """Checks that a critic's output suits the objective, and settles what hangs on it.

        A trainer calls it once, in ``compile``.

        Args:
            critic: The model that is to give the scores.

        Returns:
            The objective to use with this critic; itself unless a subclass says otherwise.

        Raises:
            ValueError: If the critic does not suit the objective.
        """
        del critic
        return self

    @abc.abstractmethod
    def critic_loss(self, sharp_scores, restored_scores):
        """Computes what the critic minimises, without the penalty.

        Args:
            sharp_scores: The critic's output for the sharp images, ``(B, ...)``.
            restored_scores: Its output for the restored images, ``(B, ...)``.

        Returns:
            ``(B,)``.
        """

    @abc.abstractmethod
    def generator_loss(self, restored_scores):
        """Computes the generator's adversarial loss from the scores of its images.

        Args:
            restored_scores: ``(B, ...)``.

        Returns:
            ``(B,)``.
        """

    def places(self, alpha):
        """Finds the alpha of each example of a batch, before the batch is gone through in parts.

        Args:
            alpha: ``(B, 1, 1, 1)``, as drawn.

        Returns:
            ``(B, 1, 1, 1)``, as `penalty` uses them.
        """
        return alpha

    def penalty(self, critic, sharp, restored, alpha):
        """Computes the weighted penalty on the critic; none unless a subclass has one.

        Args:
            critic: A model, ``(B, H, W, 3) -> (B, ...)``.
            sharp: ``(B, H, W, 3)`` in [-1, 1].
            restored: ``(B, H, W, 3)`` in [-1, 1], without gradient.
            alpha: ``(B, 1, 1, 1)``, uniform in [0, 1).

        Returns:
            ``(B,)``.
        """
        del critic, restored, alpha
        return tf.zeros(tf.shape(sharp)[:1])


class WassersteinGP(AdversarialObjective):
    """The Wasserstein objective with gradient penalty.

    ``critic_loss = mean(D(restored)) - mean(D(sharp)) + weight * penalty`` and
    ``adversarial_loss = -mean(D(restored))``, where the penalty drives the critic's gradient at
    ``alpha * sharp + (1 - alpha) * restored``, alpha uniform in [0, 1), to norm 1.

    Args:
        weight: Factor of the penalty. 10 in the WGAN-GP paper and in DeblurGAN's code.
        mode: Whose gradient has norm 1. ``"per_sample"``, the textbook's: the gradient of the
            image's mean score over the whole image, one alpha an image. ``"pixelwise"``, the code
            of DeblurGAN's authors to the letter: the gradient of the *summed* score map, its norm
            over the three colours of *each pixel*, one alpha a batch. The two ask for very
            different slopes: at 256x256 with the 35x35 map a critic that satisfies the second has
            about 0.21 in the measure of the first.

    Raises:
        ValueError: If ``mode`` is none of the two or ``weight`` is negative.

    Example:
        >>> objective = WassersteinGP(weight=10, mode="pixelwise")

    Reference:
        Gulrajani et al., "Improved Training of Wasserstein GANs", equation 3; DeblurGAN (Kupyn et
        al.), equation 4 and section 3.1, and its authors' code at publication.
    """

    MODES = ("per_sample", "pixelwise")

    def __init__(self, weight=10.0, mode="per_sample"):
        if mode not in self.MODES:
            raise ValueError(f"mode must be 'per_sample' or 'pixelwise'; received {mode!r}.")
        if weight < 0:
            raise ValueError(f"weight must not be negative; received {weight!r}.")
        self.weight = weight
        self.mode = mode

    def bind(self, critic):
        """Refuses a critic whose scores are bounded, such as one that ends in a sigmoid."""
        activation = critics.output_activation(critic)
        if activation in BOUNDED:
            raise ValueError(
                "The Wasserstein objective needs an unbounded score, since the difference of the "
                f"two means is to be a distance; the critic {critic.name!r} ends in a "
                f"{activation}, which bounds it. Leave that activation out (as "
                "critics.dense_head_discriminator does with head='linear'; on the command line "
                "--set critic.head=linear), or train this network "
                f"with {_quoted(set(OBJECTIVES) - {'wgan-gp'}, ' or ')}."
            )
        if any(
            isinstance(layer, keras.layers.BatchNormalization)
            for layer in getattr(critic, "layers", ())
        ):
            _logger.warning(
                "The critic %r has batch normalization, so that each image's score depends on the "
                "others of its batch; the gradient penalty was derived for a critic that sees one "
                "image (norm='instance' or 'none').",
                critic.name,
            )
        return self

    def critic_loss(self, sharp_scores, restored_scores):
        """Computes ``mean(D(restored)) - mean(D(sharp))`` of each example."""
        return _example_mean(restored_scores) - _example_mean(sharp_scores)

    def generator_loss(self, restored_scores):
        """Computes ``-mean(D(restored))`` of each example."""
        return -_example_mean(restored_scores)

    def places(self, alpha):
        """Takes the first alpha for the whole batch, where the mode is ``"pixelwise"``."""
        return tf.ones_like(alpha) * alpha[:1] if self.mode == "pixelwise" else alpha

    def penalty(self, critic, sharp, restored, alpha):
        """Computes ``weight * (|gradient| - 1)^2`` of each example."""
        alpha = self.places(alpha)
        lift = precision.lift(critic)
        between = tf.convert_to_tensor(alpha * sharp + (1.0 - alpha) * restored)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(between)
            scores = tf.cast(critic(between, training=True), tf.float32)
            if self.mode == "per_sample":
                scores = _example_mean(scores)
            scores *= lift
        # The target is a sum over examples: each example's gradient is its own.
        gradient = tf.cast(tape.gradient(scores, between), tf.float32) / lift
        axes = (1, 2, 3) if self.mode == "per_sample" else (3,)
        excess = tf.square(_norm(gradient, axes) - 1.0)
        return self.weight * _example_mean(excess)

    def __repr__(self):
        """Shows the constructor's arguments."""
        return f"WassersteinGP(weight={self.weight}, mode={self.mode!r})"


class LeastSquares(AdversarialObjective):
    """The least-squares objective: scores are driven to the labels 1 (sharp) and 0 (restored).

    ``critic_loss = (mean((D(sharp) - 1)^2) + mean(D(restored)^2)) / 2`` and
    ``adversarial_loss = mean((D(restored) - 1)^2)``. The half slows the discriminator down against
    the generator, as in CycleGAN's code. Any critic will do; one without a sigmoid is usual.

    Example:
        >>> objective = LeastSquares()

    Reference:
        Mao et al., "Least Squares Generative Adversarial Networks", equation 9 (which has the half
        in both losses); Zhu et al. (CycleGAN), section 4.

    Note:
        The "lsgan" in the code of DeblurGAN's authors is the mean absolute difference to the
        labels; this is the square.
    """

    def critic_loss(self, sharp_scores, restored_scores):
        """Computes half the squared distances to the labels of each example."""
        sharp = _example_mean(tf.square(_float32(sharp_scores) - 1.0))
        return 0.5 * (sharp + _example_mean(tf.square(_float32(restored_scores))))

    def generator_loss(self, restored_scores):
        """Computes ``mean((D(restored) - 1)^2)`` of each example."""
        return _example_mean(tf.square(_float32(restored_scores) - 1.0))

    def __repr__(self):
        """Shows the name."""
        return "LeastSquares()"


class Minimax(AdversarialObjective):
    """The first objective of all: is it sharp (1) or restored (0)? Binary cross-entropy.

    ``critic_loss = -(mean(log D(sharp)) + mean(log(1 - D(restored)))) / 2`` and
    ``adversarial_loss = -mean(log D(restored))``. The second is the non-saturating form, which has
    the same fixed point as ``log(1 - D(restored))`` and a gradient where the discriminator wins.

    Args:
        from_logits: Whether scores are logits of the probability (a critic that ends in a linear
            layer) or probabilities (one that ends in a sigmoid). None finds out from the critic,
            once, when a trainer compiles.

    Example:
        >>> objective = Minimax(from_logits=True)

    Reference:
        Goodfellow et al., "Generative Adversarial Nets", equation 1 and section 3; the half is that
        of Isola et al. (pix2pix), section 3.3, and of DeblurGAN's authors.

    Note:
        From logits both losses are exact and their gradients lie in [-1, 1], however far off the
        scores are. From probabilities they are finite, but where the sigmoid has rounded to 1 (at
        logits beyond 17) its own gradient is 0 and nothing can be learned any more: prefer a linear
        head.
    """

    def __init__(self, from_logits=None):
        self.from_logits = from_logits

    def bind(self, critic):
        """Finds out whether the critic gives logits or probabilities, unless that was stated."""
        if self.from_logits is not None:
            return self
        activation = critics.output_activation(critic)
        if activation not in ("linear", "sigmoid"):
            found = "cannot be followed" if activation is None else f"ends in a {activation}"
            raise ValueError(
                "The minimax objective needs a probability (a sigmoid at the end) or its logit (no "
                f"activation there); the critic {getattr(critic, 'name', critic)!r} {found}. If "
                "its scores are one of the two, say which: "
                "adversarial=Minimax(from_logits=True or False)."
            )
        return Minimax(from_logits=activation == "linear")

    def critic_loss(self, sharp_scores, restored_scores):
        """Computes half the two cross-entropies of each example."""
        sharp = _example_mean(self._surprise(sharp_scores, label=1))
        return 0.5 * (sharp + _example_mean(self._surprise(restored_scores, label=0)))

    def generator_loss(self, restored_scores):
        """Computes ``-mean(log D(restored))`` of each example."""
        return _example_mean(self._surprise(restored_scores, label=1))

    def _surprise(self, scores, label):
        """Computes -log of the probability that the scores give to the label, value by value."""
        if self.from_logits is None:
            raise ValueError(
                "Minimax does not know whether these scores are logits or probabilities: give "
                "Minimax(from_logits=...), or let bind(critic) find out, as DeblurGAN.compile does."
            )
        scores = _float32(scores)
        if self.from_logits:
            return tf.nn.softplus(-scores if label else scores)
        return -tf.math.log(tf.maximum(scores if label else 1.0 - scores, FLOORS[label]))

    def __repr__(self):
        """Shows the constructor's argument."""
        return f"Minimax(from_logits={self.from_logits})"


OBJECTIVES = {"least-squares": LeastSquares, "minimax": Minimax, "wgan-gp": WassersteinGP}

# Activations that bound a score, by Keras's names.
BOUNDED = frozenset(("hard_sigmoid", "hard_tanh", "sigmoid", "softmax", "softsign", "tanh"))

# Least probabilities of the two labels, before a logarithm. A sigmoid is exact far below 1e-7, so
# the first only keeps the inverse, times any weight or loss scale, finite; the second is the step
# between 1 and the float32 below it.
FLOORS = {1: 1e-30, 0: 2.0**-24}


def get(adversarial):
    """Finds an adversarial objective by name.

    Args:
        adversarial: A name in `OBJECTIVES` or an `AdversarialObjective`, returned as it is.

    Returns:
        An `AdversarialObjective`.

    Raises:
        ValueError: If the name is unknown or the object is no objective.
    """
    if isinstance(adversarial, AdversarialObjective):
        return adversarial
    if adversarial in OBJECTIVES:
        return OBJECTIVES[adversarial]()
    raise ValueError(
        f"adversarial must be one of {_quoted(OBJECTIVES)}, or an AdversarialObjective; "
        f"received {adversarial!r}."
    )


def _quoted(names, separator=", "):
    return separator.join(map(repr, sorted(names)))


def _float32(values):
    return tf.cast(values, tf.float32)


def _example_mean(values):
    """Averages everything but the batch: (B, ...) -> (B,), in float32."""
    values = _float32(values)
    return tf.reduce_mean(values, axis=tuple(range(1, values.shape.rank)))


def _norm(gradient, axes):
    """Computes the Euclidean norm with gradient 0, not NaN, where everything is 0."""
    square = tf.reduce_sum(tf.square(gradient), axis=axes)
    positive = square > 0
    return tf.where(positive, tf.sqrt(tf.where(positive, square, 1.0)), 0.0)


def draw_alpha(batch, seed_generator):
    """Draws the place between sharp and restored of each example, ``(batch, 1, 1, 1)``."""
    return keras.random.uniform((batch, 1, 1, 1), seed=seed_generator)

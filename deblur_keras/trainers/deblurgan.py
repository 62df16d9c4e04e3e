"""The trainer of every paired system: a generator against a critic, with a content loss."""

import keras
import tensorflow as tf

from deblur_keras import losses, metrics
from deblur_keras.trainers import objectives, shares, updates, vigil
from deblur_keras.trainers.replicated import Replicated


class DeblurGAN(Replicated):
    """Trains a generator to restore blurred photographs, against a critic (WGAN-GP by default).

    ``generator_loss = adversarial_weight * adversarial_loss + content_weight * content_loss``. The
    trainer is a ``keras.Model`` for ``compile``, ``fit``, ``evaluate`` and ``predict``; what is
    kept in the end is ``trainer.generator``, and `TrainingState` keeps what a run needs to go on.

    Args:
        generator: A model, ``(B, H, W, 3) -> (B, H, W, 3)`` in [-1, 1].
        critic: A model, ``(B, H, W, 3) -> (B, ...)`` scores.
        seed: Seed of the points at which the gradient penalty is taken.
        name: Name of the model.

    Raises:
        ValueError: If the two models do not fit together.

    Example:
        >>> trainer = DeblurGAN(resnet_generator(), patch_critic())  # doctest: +SKIP
        >>> trainer.compile(content=PerceptualLoss())  # doctest: +SKIP
        >>> trainer.fit(datasets.paired("GOPRO_Large", ...), epochs=300)  # doctest: +SKIP
        >>> trainer.generator.save("generator.keras")  # doctest: +SKIP

    Reference:
        DeblurGAN (Kupyn et al.), section 3.1.
    """

    def __init__(self, generator, critic, seed=0, name="deblurgan", **kwargs):
        super().__init__(name=name, **kwargs)
        if generator.output_shape[-1] != critic.input_shape[-1]:
            raise ValueError(
                "The critic must take what the generator gives; the generator's output has shape "
                f"{generator.output_shape}, the critic's input {critic.input_shape}."
            )
        self.generator = generator
        self.critic = critic
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def checkpoint_parts(self):
        """Names what a checkpoint has to hold, besides random states; see `TrainingState`.

        Returns:
            A dict of trackable objects. Available once compiled.
        """
        return {
            "generator": self.generator,
            "critic": self.critic,
            "generator_optimizer": self.generator_optimizer,
            "critic_optimizer": self.critic_optimizer,
        }

    def compile(
        self,
        generator_optimizer=None,
        critic_optimizer=None,
        adversarial="wgan-gp",
        content="mse",
        content_weight=100.0,
        adversarial_weight=1.0,
        critic_steps=5,
        jit_compile=False,
        **kwargs,
    ):
        """Sets the objectives and builds both optimizers.

        Args:
            generator_optimizer: A ``keras.optimizers.Optimizer``; ``paper_adam()`` if not given.
            critic_optimizer: The same for the critic; it must be another object.
            adversarial: An `objectives.AdversarialObjective` or its name: ``"wgan-gp"``,
                ``"least-squares"`` or ``"minimax"``.
            content: A callable ``(sharp, restored) -> (B,)``, usually a
                `deblur_keras.PerceptualLoss`, a name of `deblur_keras.losses`, or a weighted sum of
                these, ``[(1.0, PerceptualLoss()), (0.01, "total_variation")]``.
            content_weight: Factor of the content loss; 100 in the paper.
            adversarial_weight: Factor of the adversarial loss; 1 in the paper.
            critic_steps: Critic updates before each generator update; 5 in the paper.
            jit_compile: Whether to compile the step with XLA.
            **kwargs: ``run_eagerly`` and the like, as in ``keras.Model.compile``.

        Raises:
            ValueError: If a name is unknown, a weight negative, ``critic_steps`` less than 1, one
                optimizer is given twice, the critic's last activation does not suit the objective
                (a sigmoid under ``"wgan-gp"``), or several devices cannot do it; see `Replicated`.
        """
        if critic_steps < 1:
            raise ValueError(f"critic_steps must be at least 1; received {critic_steps!r}.")
        for label, weight in (("content", content_weight), ("adversarial", adversarial_weight)):
            if weight < 0:
                raise ValueError(f"{label}_weight must not be negative; received {weight!r}.")
        if generator_optimizer is not None and generator_optimizer is critic_optimizer:
            raise ValueError(
                "The generator and the critic need an optimizer each: an optimizer keeps the "
                "moments of its own network. Received the same object for both."
            )
        super().compile(
            optimizer=generator_optimizer or paper_adam(), jit_compile=jit_compile, **kwargs
        )
        self.generator_optimizer = self.optimizer
        self.critic_optimizer = keras.optimizers.get(critic_optimizer or paper_adam())
        # Keras scales the loss of float16 for the one optimizer that it knows.
        scaling = keras.optimizers.LossScaleOptimizer
        if isinstance(self.optimizer, scaling) and not isinstance(self.critic_optimizer, scaling):
            self.critic_optimizer = scaling(self.critic_optimizer)
        # Built now, so that a checkpoint has something to restore into before the first step.
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.critic_optimizer.build(self.critic.trainable_variables)

        self.adversarial = objectives.get(adversarial).bind(self.critic)
        self.content = losses.get(content)
        self.content_weight = content_weight
        self.adversarial_weight = adversarial_weight
        self.critic_steps = critic_steps
        self.vigil = vigil.Vigil()

        self.loss_trackers = {
            name: keras.metrics.Mean(name)
            for name in (
                "generator_loss",
                "critic_loss",
                "content_loss",
                "adversarial_loss",
                "gradient_penalty",
            )
        }
        self.quality_trackers = {"psnr": metrics.PSNR(), "ssim": metrics.SSIM()}
        self.blurred_tracker = metrics.PSNR("blurred_psnr")

    @property
    def metrics(self):
        """The logged averages, which ``fit`` resets at the start of each epoch."""
        trackers = [*self.loss_trackers.values(), *self.quality_trackers.values()]
        return [*trackers, self.blurred_tracker]

    def call(self, inputs, training=False):
        """Restores blurred images, ``(B, H, W, 3)`` in [-1, 1]."""
        return self.generator(inputs, training=training)

    @updates.finite_logs
    def train_step(self, data):
        """Updates the critic ``critic_steps`` times on one batch, then the generator once.

        The generator runs once: the critic's updates and the generator's own see the same restored
        images, as in the authors' code.

        Args:
            data: ``(blurred, sharp)``, each ``(B, H, W, 3)`` in [-1, 1].

        Returns:
            The logged averages by name.
        """
        blurred, sharp = _unpack(data)
        share = shares.share_of(sharp)
        blurred, sharp = share.filled(blurred), share.filled(sharp)
        with tf.GradientTape() as tape:
            restored = self.generator(blurred, training=True)
            with tape.stop_recording():
                for _ in range(self.critic_steps):
                    self._update_critic(sharp, restored, share)
            adversarial_loss = self.adversarial.generator_loss(self.critic(restored, training=True))
            content_loss = self.content(sharp, restored)
            loss = self.adversarial_weight * adversarial_loss + self.content_weight * content_loss
            scaled = updates.scaled_for(self.generator_optimizer, loss, share)
        updates.descend(
            *(self.generator_optimizer, tape, scaled, self.generator.trainable_variables),
            *(share.mean(loss), self.vigil, "generator"),
        )

        self.loss_trackers["generator_loss"].update_state(share.own(loss))
        self.loss_trackers["adversarial_loss"].update_state(share.own(adversarial_loss))
        self.loss_trackers["content_loss"].update_state(share.own(content_loss))
        self._track_quality(share.own(blurred), share.own(sharp), share.own(restored))
        return self.get_metrics_result()

    def _update_critic(self, sharp, restored, share):
        alpha = share.part(objectives.draw_alpha(share.total, self.seed_generator))
        with tf.GradientTape() as tape:
            difference = self.adversarial.critic_loss(
                self.critic(sharp, training=True), self.critic(restored, training=True)
            )
            penalty = self.adversarial.penalty(self.critic, sharp, restored, alpha)
            loss = difference + penalty
            scaled = updates.scaled_for(self.critic_optimizer, loss, share)
        updates.descend(
            *(self.critic_optimizer, tape, scaled, self.critic.trainable_variables),
            *(share.mean(loss), self.vigil, "critic"),
        )
        self.loss_trackers["critic_loss"].update_state(share.own(loss))
        self.loss_trackers["gradient_penalty"].update_state(share.own(penalty))

    def test_step(self, data):
        """Scores the restored images of one batch: content loss, PSNR and SSIM.

        The blurred images' own PSNR comes with it: what the restored ones have to be better than.

        Args:
            data: ``(blurred, sharp)``, each ``(B, H, W, 3)`` in [-1, 1].

        Returns:
            ``content_loss``, ``psnr``, ``ssim`` and ``blurred_psnr``.
        """
        blurred, sharp = _unpack(data)
        share = shares.share_of(sharp)
        restored = share.own(self.generator(share.filled(blurred), training=False))
        self.loss_trackers["content_loss"].update_state(self.content(sharp, restored))
        self._track_quality(blurred, sharp, restored)
        trackers = [self.loss_trackers["content_loss"], *self.quality_trackers.values()]
        trackers.append(self.blurred_tracker)
        return {tracker.name: tracker.result() for tracker in trackers}

    def _track_quality(self, blurred, sharp, restored):
        self.blurred_tracker.update_state(sharp, blurred)
        for tracker in self.quality_trackers.values():
            tracker.update_state(sharp, restored)


def _unpack(data):
    blurred, sharp, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if sharp is None or sample_weight is not None:
        raise ValueError(
            "DeblurGAN trains on batches of (blurred, sharp), without sample weights; received "
            f"{'no sharp images' if sharp is None else 'sample weights too'}."
        )
    return blurred, sharp


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

"""The trainer of every paired system: a generator against a critic, with a content loss."""

import keras
import tensorflow as tf

from deblur_keras import losses, metrics
from deblur_keras.trainers import (
    accumulation,
    ema,
    objectives,
    optimizers,
    passes,
    shares,
    updates,
    vigil,
    warmup,
)
from deblur_keras.trainers.replicated import Replicated


class DeblurGAN(warmup.WarmsUp, Replicated):
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
        self.average = None
        self.built = True

    def checkpoint_parts(self):
        """Names what a checkpoint has to hold, besides random states; see `TrainingState`.

        Returns:
            A dict of trackable objects. Available once compiled.
        """
        parts = {
            "generator": self.generator,
            "critic": self.critic,
            "generator_optimizer": self.generator_optimizer,
            "critic_optimizer": self.critic_optimizer,
        }
        return parts | ({"generator_average": self.average} if self.average else {})

    def kept(self):
        """Returns the generators to save, by the names of their files; see `ema.kept`."""
        return {"generator": ema.kept(self.generator, self.average)}

    def compile(
        self,
        generator_optimizer=None,
        critic_optimizer=None,
        adversarial="wgan-gp",
        content="mse",
        content_weight=100.0,
        adversarial_weight=1.0,
        critic_steps=5,
        accumulate=1,
        ema_decay=0.0,
        clip_norm=0.0,
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
            adversarial_weight: Factor of the adversarial loss; 1 in the paper. With 0 the critic is
                not trained.
            critic_steps: Critic updates before each generator update; 5 in the paper.
            accumulate: Parts of the batch that are worked on one after the other, to save memory.
                Every update still sees the whole batch; see `accumulation`.
            ema_decay: Decay of a moving average of the generator's weights, such as 0.999, which is
                then what is validated and kept; 0 for none. See `ema.MovingAverage`.
            clip_norm: Largest norm of the gradient of either network; 0 for any.
            jit_compile: Whether to compile the step with XLA.
            **kwargs: ``run_eagerly`` and the like, as in ``keras.Model.compile``.

        Raises:
            ValueError: If a name is unknown, a weight negative, ``critic_steps`` less than 1, one
                optimizer is given twice, the critic's last activation does not suit the objective
                (a sigmoid under ``"wgan-gp"``), or several devices cannot do it; see `Replicated`.
        """
        for label, count in (("critic_steps", critic_steps), ("accumulate", accumulate)):
            if count < 1:
                raise ValueError(f"{label} must be at least 1; received {count!r}.")
        if jit_compile and accumulate > 1:
            raise ValueError(
                "XLA cannot compile the parts of a batch, which are gathered in a list; leave "
                "jit_compile off, or accumulate at 1."
            )
        optimizers.check_not_negative(
            content_weight=content_weight,
            adversarial_weight=adversarial_weight,
            clip_norm=clip_norm,
        )
        self.generator_optimizer, self.critic_optimizer = optimizers.pair(
            [self.generator], [self.critic], (generator_optimizer, critic_optimizer)
        )
        super().compile(
            optimizer=self.generator_optimizer,
            jit_compile=jit_compile,
            auto_scale_loss=False,  # `optimizers.pair` has done it for both
            **kwargs,
        )
        self.adversarial = objectives.get(adversarial).bind(self.critic)
        self.content = losses.get(content)
        self.content_weight = content_weight
        self.adversarial_weight = adversarial_weight
        self.critic_steps = critic_steps
        self.accumulate = accumulate
        self.clip_norm = clip_norm
        self.vigil = vigil.Vigil()
        self.average = ema.MovingAverage(self.generator, ema_decay) if ema_decay else None

        names = ["generator_loss", "content_loss", "adversarial_loss"]
        names += ["critic_loss", "gradient_penalty"] if adversarial_weight else []
        self.loss_trackers = {name: keras.metrics.Mean(name) for name in names}
        self.quality_trackers = {"psnr": metrics.PSNR(), "ssim": metrics.SSIM()}
        self.blurred_tracker = metrics.PSNR("blurred_psnr")

    @property
    def metrics(self):
        """The logged averages, which ``fit`` resets at the start of each epoch."""
        trackers = [*self.loss_trackers.values(), *self.quality_trackers.values()]
        return [*trackers, self.blurred_tracker]

    def call(self, inputs, training=False):
        """Restores blurred images, ``(B, H, W, 3)`` in [-1, 1]; by the average, if there is one."""
        if self.average and not training:
            return self.average(inputs)
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
        if self.accumulate > 1:
            restored, values = self._step_in_parts(blurred, sharp, share)
        else:
            with tf.GradientTape() as tape:
                restored = self._restored(blurred)
                with tape.stop_recording():
                    self._update_critic_repeatedly(sharp, restored, share)
                values = self._generator_losses(sharp, restored)
                scaled = updates.scaled_for(self.generator_optimizer, values[0], share)
            self._update_generator(tape, scaled, values[0], share)
        names = ("generator_loss", "adversarial_loss", "content_loss")
        self._track(dict(zip(names, values, strict=True)), share)
        self._track_quality(share.own(blurred), share.own(sharp), share.own(restored))
        return self.get_metrics_result()

    @updates.finite_logs
    def warm_up_step(self, data):
        """Updates the generator by the content loss alone; see `WarmUp`.

        Args:
            data: ``(blurred, sharp)``, each ``(B, H, W, 3)`` in [-1, 1].

        Returns:
            The logged averages by name, without those of the critic.
        """
        blurred, sharp = _unpack(data)
        share = shares.share_of(sharp)
        blurred, sharp = share.filled(blurred), share.filled(sharp)

        def content(blurred, sharp):
            restored = self._restored(blurred)
            content_loss = self.content(sharp, restored)
            return self.content_weight * content_loss, content_loss, restored

        if self.accumulate > 1:
            tape, (loss, content_loss, restored) = self._generator_in_parts(
                content, blurred, sharp, share
            )
            scaled = None
        else:
            with tf.GradientTape() as tape:
                loss, content_loss, restored = content(blurred, sharp)
                scaled = updates.scaled_for(self.generator_optimizer, loss, share)
        self._update_generator(tape, scaled, loss, share)
        self._track({"generator_loss": loss, "content_loss": content_loss}, share)
        self._track_quality(share.own(blurred), share.own(sharp), share.own(restored))
        names = ("generator_loss", "content_loss", "blurred_psnr", *self.quality_trackers)
        return {m.name: m.result() for m in self.metrics if m.name in names}

    def _step_in_parts(self, blurred, sharp, share):
        """Does what a step does, and keeps no more than a part's intermediate results."""
        seeds = [v for v in self.generator.variables if v.name == "seed_generator_state"]
        before = [tf.identity(seed.value) for seed in seeds]
        restored = accumulation.mapped(self._restored, self.accumulate, blurred)
        self._update_critic_repeatedly(sharp, restored, share)
        # So that dropout draws the same again: the generator is judged by the images that the
        # critic has seen.
        for seed, value in zip(seeds, before, strict=True):
            seed.assign(value)

        def losses_of(blurred, sharp):
            return self._generator_losses(sharp, self._restored(blurred))

        tape, values = self._generator_in_parts(losses_of, blurred, sharp, share)
        self._update_generator(tape, None, values[0], share)
        return restored, values

    def _generator_in_parts(self, losses_of, blurred, sharp, share):
        return accumulation.gradients(
            *(losses_of, 3, self.generator_optimizer, self.generator.trainable_variables),
            *(self.accumulate, [blurred, sharp], share.weights()),
        )

    def _restored(self, blurred):
        return passes.Pass(self.generator)(blurred)

    def _scores(self):
        return passes.Pass(self.critic)

    def _generator_losses(self, sharp, restored):
        adversarial_loss = self.adversarial.generator_loss(self._scores()(restored))
        content_loss = self.content(sharp, restored)
        loss = self.adversarial_weight * adversarial_loss + self.content_weight * content_loss
        return loss, adversarial_loss, content_loss

    def _update_generator(self, tape, scaled, loss, share):
        made = updates.descend(
            *(self.generator_optimizer, tape, scaled, self.generator.trainable_variables),
            *(share.mean(loss), self.vigil, "generator", self.clip_norm),
        )
        if self.average:
            self.average.update(made)

    def _update_critic_repeatedly(self, sharp, restored, share):
        # Without weight nobody asks the critic.
        for _ in range(self.critic_steps if self.adversarial_weight else 0):
            self._update_critic(sharp, restored, share)

    def _update_critic(self, sharp, restored, share):
        alpha = objectives.draw_alpha(share.total, self.seed_generator)
        alpha = share.part(self.adversarial.places(alpha))
        optimizer, variables = self.critic_optimizer, self.critic.trainable_variables
        if self.accumulate > 1:
            tape, (loss, penalty) = accumulation.gradients(
                *(self._critic_losses, 2, optimizer, variables),
                *(self.accumulate, [sharp, restored, alpha], share.weights()),
            )
            scaled = None
        else:
            with tf.GradientTape() as tape:
                loss, penalty = self._critic_losses(sharp, restored, alpha)
                scaled = updates.scaled_for(optimizer, loss, share)
        updates.descend(
            *(optimizer, tape, scaled, variables),
            *(share.mean(loss), self.vigil, "critic", self.clip_norm),
        )
        self._track({"critic_loss": loss, "gradient_penalty": penalty}, share)

    def _critic_losses(self, sharp, restored, alpha):
        critic = self._scores()
        difference = self.adversarial.critic_loss(critic(sharp), critic(restored))
        penalty = self.adversarial.penalty(critic, sharp, restored, alpha)
        return difference + penalty, penalty

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
        restored = share.own(self(share.filled(blurred)))
        self.loss_trackers["content_loss"].update_state(self.content(sharp, restored))
        self._track_quality(blurred, sharp, restored)
        trackers = [self.loss_trackers["content_loss"], *self.quality_trackers.values()]
        trackers.append(self.blurred_tracker)
        return {tracker.name: tracker.result() for tracker in trackers}

    def _track(self, losses, share):
        for name, values in losses.items():
            self.loss_trackers[name].update_state(share.own(values))

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

"""The trainer for unpaired photographs: two generators that undo each other, two critics."""

import keras
import tensorflow as tf

from deblur_keras import losses, metrics
from deblur_keras.trainers import ema, objectives, optimizers, shares, updates, vigil
from deblur_keras.trainers.image_pool import ImagePool
from deblur_keras.trainers.replicated import Replicated


class CycleGAN(Replicated):
    """Trains a generator to deblur from blurred and sharp photographs that do not belong together.

    A second generator learns to blur, and each has to undo what the other did. The loss of both is
    ``adversarial_weight * adversarial_loss + cycle_weight * cycle_loss + identity_weight *
    identity_loss``, each term a sum over the two directions. The trainer is an ordinary
    ``keras.Model``: ``compile``, ``fit`` and callbacks work as usual, and
    ``trainer.deblur_generator`` (``trainer.generator`` is the same) is what is kept in the end.

    Args:
        deblur_generator: A model, ``(B, H, W, 3) -> (B, H, W, 3)`` in [-1, 1], that learns to
            deblur.
        blur_generator: Another one, that learns to blur.
        sharp_critic: A model, ``(B, H, W, 3) -> (B, ...)`` scores, that learns to tell sharp
            photographs from deblurred ones.
        blurred_critic: Another one, that learns to tell blurred photographs from sharp ones that
            were blurred.
        pool_size: Earlier images that each critic is shown again; see `ImagePool`. 0 turns the
            pools off.
        seed: Seed of the pools, and of the points of a gradient penalty.
        name: Name of the model.

    Raises:
        ValueError: If two of the networks are the same object or do not fit together.

    Example:
        >>> networks = (resnet_generator(blocks=6, dropout=0.0, skip="none"), ...)  # doctest: +SKIP
        >>> cycle = CycleGAN(*networks)  # doctest: +SKIP
        >>> cycle.compile()  # doctest: +SKIP
        >>> cycle.fit(datasets.unpaired("blurred/", "sharp/"), epochs=200)  # doctest: +SKIP
        >>> cycle.deblur_generator.save("generator.keras")  # doctest: +SKIP

    Reference:
        Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
        Networks", section 3; "Blind Motion Deblurring with Unpaired Dataset using Cycle-Consistent
        Adversarial Networks", section II.A.
    """

    def __init__(
        self,
        deblur_generator,
        blur_generator,
        sharp_critic,
        blurred_critic,
        pool_size=50,
        seed=0,
        name="cyclegan",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        generators = (deblur_generator, blur_generator)
        critics = (sharp_critic, blurred_critic)
        for role, pair in (("generators", generators), ("critics", critics)):
            if pair[0] is pair[1]:
                raise ValueError(
                    f"The two {role} must be two networks, one a direction; received the same "
                    f"object, {pair[0].name!r}, twice."
                )
        for network in generators + critics:
            channels = [network.input_shape[-1]]
            channels += [network.output_shape[-1]] if network in generators else []
            if set(channels) != {deblur_generator.output_shape[-1]}:
                raise ValueError(
                    "Both generators must take what the other gives, and the critics too; "
                    f"{network.name!r} maps {network.input_shape} to {network.output_shape}, the "
                    f"deblurring generator gives {deblur_generator.output_shape}."
                )
        self.deblur_generator, self.blur_generator = generators
        self.sharp_critic, self.blurred_critic = critics
        self.sharp_pool = ImagePool(pool_size, seed=2 * seed)
        self.blurred_pool = ImagePool(pool_size, seed=2 * seed + 1)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.averages = {}
        self.built = True

    @property
    def generator(self):
        """The generator that deblurs, by the name it has in every trainer."""
        return self.deblur_generator

    def checkpoint_parts(self):
        """Names what a checkpoint has to hold, besides random states; see `TrainingState`.

        Returns:
            A dict of trackable objects. Available once compiled.
        """
        parts = {
            "deblur_generator": self.deblur_generator,
            "blur_generator": self.blur_generator,
            "sharp_critic": self.sharp_critic,
            "blurred_critic": self.blurred_critic,
            "generator_optimizer": self.generator_optimizer,
            "critic_optimizer": self.critic_optimizer,
            "sharp_pool": self.sharp_pool,
            "blurred_pool": self.blurred_pool,
        }
        return parts | {f"{name}_average": average for name, average in self.averages.items()}

    def kept(self):
        """Returns the generators to save, by the names of their files; see `ema.kept`."""
        averages = self.averages
        return {
            "generator": ema.kept(self.deblur_generator, averages.get("deblur_generator")),
            "blur_generator": ema.kept(self.blur_generator, averages.get("blur_generator")),
        }

    def compile(
        self,
        generator_optimizer=None,
        critic_optimizer=None,
        adversarial="least-squares",
        adversarial_weight=1.0,
        cycle_weight=10.0,
        identity_weight=5.0,
        ema_decay=0.0,
        clip_norm=0.0,
        jit_compile=False,
        **kwargs,
    ):
        """Sets the objectives and builds both optimizers.

        Args:
            generator_optimizer: A ``keras.optimizers.Optimizer`` of both generators;
                ``paper_adam(2e-4)``, as the CycleGAN authors', if not given.
            critic_optimizer: The same for both critics; it must be another object.
            adversarial: An `objectives.AdversarialObjective` or its name.
            adversarial_weight: Factor of the adversarial loss.
            cycle_weight: Factor of the cycle loss; 10 in the papers.
            identity_weight: Factor of the identity loss: deblurring a sharp photograph, and
                blurring a blurred one, are to change nothing. It keeps the colours, which the other
                losses leave free. 5 in the CycleGAN authors' code (half the cycle weight); 0, as in
                the deblurring paper, saves two of six passes through a generator.
            ema_decay: Decay of a moving average of both generators' weights, such as 0.999, which
                is then what is validated and kept; 0 for none. See `ema.MovingAverage`.
            clip_norm: Largest norm of the gradient of both generators, or of both critics; 0 for
                any.
            jit_compile: Whether to compile the step with XLA; only without pools.
            **kwargs: ``run_eagerly`` and the like, as in ``keras.Model.compile``.

        Raises:
            ValueError: If a name is unknown, a weight negative, one optimizer is given twice, a
                critic does not suit the objective, XLA is asked for with pools, or several devices
                cannot do it; see `Replicated`.

        Note:
            One Adam over two networks does what one each would do, so two optimizers are enough.
        """
        optimizers.check_not_negative(
            adversarial_weight=adversarial_weight,
            cycle_weight=cycle_weight,
            identity_weight=identity_weight,
            clip_norm=clip_norm,
        )
        if jit_compile and self.sharp_pool.size:
            raise ValueError(
                "XLA cannot compile pools, which grow; leave jit_compile off, or make the CycleGAN "
                "with pool_size=0."
            )
        self.generator_optimizer, self.critic_optimizer = optimizers.pair(
            (self.deblur_generator, self.blur_generator),
            (self.sharp_critic, self.blurred_critic),
            (generator_optimizer, critic_optimizer),
            learning_rate=2e-4,
        )
        super().compile(
            optimizer=self.generator_optimizer,
            jit_compile=jit_compile,
            auto_scale_loss=False,  # `optimizers.pair` has done it for both
            **kwargs,
        )

        adversarial = objectives.get(adversarial)
        self.sharp_objective = adversarial.bind(self.sharp_critic)
        self.blurred_objective = adversarial.bind(self.blurred_critic)
        self.adversarial_weight = adversarial_weight
        self.cycle_weight = cycle_weight
        self.identity_weight = identity_weight
        self.clip_norm = clip_norm
        self.vigil = vigil.Vigil()
        names = ("deblur_generator", "blur_generator") if ema_decay else ()
        self.averages = {name: ema.MovingAverage(getattr(self, name), ema_decay) for name in names}

        names = ["generator_loss", "critic_loss", "adversarial_loss", "cycle_loss"]
        names += ["identity_loss"] if identity_weight else []
        names += ["deblur_adversarial_loss", "blur_adversarial_loss"]
        names += ["sharp_critic_loss", "blurred_critic_loss"]
        self.loss_trackers = {name: keras.metrics.Mean(name) for name in names}
        self.quality_trackers = {"psnr": metrics.PSNR(), "ssim": metrics.SSIM()}
        self.blurred_tracker = metrics.PSNR("blurred_psnr")

    @property
    def metrics(self):
        """The logged averages, which ``fit`` resets at the start of each epoch."""
        trackers = [*self.loss_trackers.values(), *self.quality_trackers.values()]
        return [*trackers, self.blurred_tracker]

    def call(self, inputs, training=False):
        """Deblurs images, ``(B, H, W, 3)`` in [-1, 1]; by the average, if there is one."""
        if self.averages and not training:
            return self.averages["deblur_generator"](inputs)
        return self.deblur_generator(inputs, training=training)

    @updates.finite_logs
    def train_step(self, data):
        """Updates both generators once, then both critics.

        The critics are shown the images made before the generators' update, by way of the pools.

        Args:
            data: ``(blurred, sharp)``, each ``(B, H, W, 3)`` in [-1, 1]: any blurred and any sharp
                photographs.

        Returns:
            The logged averages by name. PSNR and SSIM need pairs: see `test_step`.
        """
        blurred, sharp, _ = keras.utils.unpack_x_y_sample_weight(data)
        share = shares.share_of(sharp)
        blurred, sharp = share.filled(blurred), share.filled(sharp)
        deblur, blur = self.deblur_generator, self.blur_generator
        distance = losses.mean_absolute_error
        with tf.GradientTape() as tape:
            deblurred = deblur(blurred, training=True)
            reblurred = blur(deblurred, training=True)
            made_blurred = blur(sharp, training=True)
            resharpened = deblur(made_blurred, training=True)

            deblur_adversarial = self.sharp_objective.generator_loss(
                self.sharp_critic(deblurred, training=True)
            )
            blur_adversarial = self.blurred_objective.generator_loss(
                self.blurred_critic(made_blurred, training=True)
            )
            adversarial = deblur_adversarial + blur_adversarial
            cycle = distance(blurred, reblurred) + distance(sharp, resharpened)
            loss = self.adversarial_weight * adversarial + self.cycle_weight * cycle
            if self.identity_weight:
                identity = distance(sharp, deblur(sharp, training=True))
                identity += distance(blurred, blur(blurred, training=True))
                loss += self.identity_weight * identity
            scaled = updates.scaled_for(self.generator_optimizer, loss, share)
        made = updates.descend(
            *(self.generator_optimizer, tape, scaled, self._generator_variables()),
            *(share.mean(loss), self.vigil, "generator", self.clip_norm),
        )
        for average in self.averages.values():
            average.update(made)

        self._track("generator_loss", loss, share)
        self._track("adversarial_loss", adversarial, share)
        self._track("cycle_loss", cycle, share)
        if self.identity_weight:
            self._track("identity_loss", identity, share)
        self._track("deblur_adversarial_loss", deblur_adversarial, share)
        self._track("blur_adversarial_loss", blur_adversarial, share)
        made_sharp = share.filled(self.sharp_pool(share.own(deblurred)))
        made_blurred = share.filled(self.blurred_pool(share.own(made_blurred)))
        self._update_critics(sharp, made_sharp, blurred, made_blurred, share)
        return {name: tracker.result() for name, tracker in self.loss_trackers.items()}

    def _update_critics(self, sharp, made_sharp, blurred, made_blurred, share):
        with tf.GradientTape() as tape:
            of_sharp = self._critic_loss(
                self.sharp_objective, self.sharp_critic, sharp, made_sharp, share
            )
            of_blurred = self._critic_loss(
                self.blurred_objective, self.blurred_critic, blurred, made_blurred, share
            )
            loss = of_sharp + of_blurred
            scaled = updates.scaled_for(self.critic_optimizer, loss, share)
        updates.descend(
            *(self.critic_optimizer, tape, scaled, self._critic_variables()),
            *(share.mean(loss), self.vigil, "critic", self.clip_norm),
        )
        self._track("critic_loss", loss, share)
        self._track("sharp_critic_loss", of_sharp, share)
        self._track("blurred_critic_loss", of_blurred, share)

    def _critic_loss(self, objective, critic, real, made, share):
        alpha = objectives.draw_alpha(share.total, self.seed_generator)
        alpha = share.part(objective.places(alpha))
        scores = critic(real, training=True), critic(made, training=True)
        return objective.critic_loss(*scores) + objective.penalty(critic, real, made, alpha)

    def _generator_variables(self):
        return self.deblur_generator.trainable_variables + self.blur_generator.trainable_variables

    def _critic_variables(self):
        return self.sharp_critic.trainable_variables + self.blurred_critic.trainable_variables

    def _track(self, name, values, share):
        self.loss_trackers[name].update_state(share.own(values))

    def test_step(self, data):
        """Scores the deblurred images of one batch of pairs: PSNR and SSIM.

        The blurred images' own PSNR comes with it: what the deblurred ones have to be better than.

        Args:
            data: ``(blurred, sharp)`` that do belong together, as from `datasets.paired`.

        Returns:
            ``psnr``, ``ssim`` and ``blurred_psnr``.
        """
        blurred, sharp, _ = keras.utils.unpack_x_y_sample_weight(data)
        share = shares.share_of(sharp)
        deblurred = share.own(self(share.filled(blurred)))
        for tracker in self.quality_trackers.values():
            tracker.update_state(sharp, deblurred)
        self.blurred_tracker.update_state(sharp, blurred)
        trackers = [*self.quality_trackers.values(), self.blurred_tracker]
        return {tracker.name: tracker.result() for tracker in trackers}

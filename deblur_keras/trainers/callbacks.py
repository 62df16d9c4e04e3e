"""Callbacks that act: the schedule of the learning rate, and which generators are saved."""

import logging
import math
from pathlib import Path

import keras
import numpy as np

from deblur_keras import images
from deblur_keras.trainers import updates, writing

_logger = logging.getLogger(__name__)


class LinearDecay(keras.callbacks.Callback):
    """Keeps the learning rates, then lowers them linearly to zero, epoch by epoch.

    Epoch e (counted from 1) runs at ``initial * (1 - max(0, e - constant_epochs - 1) /
    decay_epochs)``. The defaults are the authors' values: 1e-4 up to epoch 151, 9.933e-5 in epoch
    152, 6.67e-7 in epoch 300. It sets both optimizers of a trainer, or the one of a plain model.

    Args:
        initial: Learning rate to start from, or a pair for the generator and the critic.
        constant_epochs: Epochs before the decay; 150 in the paper.
        decay_epochs: Epochs until zero would be reached; 150 in the paper.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> round(LinearDecay().factor(152), 5)
        0.99333

    Reference:
        DeblurGAN (Kupyn et al.), section 5.

    Note:
        The authors' code lowers the rate after an epoch, so epoch 151 still has the full one.
    """

    def __init__(self, initial=1e-4, constant_epochs=150, decay_epochs=150):
        super().__init__()
        if constant_epochs < 0 or decay_epochs < 1:
            raise ValueError(
                "constant_epochs must be at least 0 and decay_epochs at least 1; received "
                f"{constant_epochs!r} and {decay_epochs!r}."
            )
        self.initial = (initial, initial) if np.isscalar(initial) else tuple(initial)
        if len(self.initial) != 2 or min(self.initial) <= 0:
            raise ValueError(f"initial must be a positive rate or two; received {initial!r}.")
        self.constant_epochs = constant_epochs
        self.decay_epochs = decay_epochs

    def factor(self, epoch):
        """Computes the factor on the learning rate in an epoch, counted from 1."""
        return max(0.0, 1.0 - max(0, epoch - self.constant_epochs - 1) / self.decay_epochs)

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the rates of this epoch."""
        for optimizer, rate in zip(self._optimizers(), self.initial, strict=False):
            optimizer.learning_rate = rate * self.factor(epoch + 1)

    def on_epoch_end(self, epoch, logs=None):
        """Adds the generator's rate to the logs."""
        if logs is not None:
            logs["learning_rate"] = self.initial[0] * self.factor(epoch + 1)

    def _optimizers(self):
        if hasattr(self.model, "generator_optimizer"):
            return self.model.generator_optimizer, self.model.critic_optimizer
        return (self.model.optimizer,)


class SaveGenerator(keras.callbacks.Callback):
    """Saves the generator alone after each epoch: ``generator.keras`` (best) and the last one.

    ``generator.keras`` has the highest ``monitor`` so far, ``generator-last.keras`` is the latest.
    Both are written whole or not at all, in float32 whatever the training computes in, and of a
    generator with a moving average it is the average that is written. Of a `CycleGAN` this is the
    generator that deblurs; the one that blurs lies beside it, as ``blur_generator.keras`` and
    ``blur_generator-last.keras``.

    Args:
        directory: Folder to write to.
        monitor: A logged name, higher is better. None takes the latest for the best, for training
            without pairs, where nothing logged says how well the generator deblurs.
        best: The highest value of an earlier part of the same run; `TrainingState.watch` sets it.
        baseline: A logged name whose value is subtracted from that of ``monitor``:
            ``"blurred_psnr"`` for crops that are others in each epoch, among which the one with the
            easiest would be the best.

    A file that cannot be written is told, and tried again after the next epoch; what is still
    missing when the training ends is an error then.
    """

    def __init__(self, directory, monitor="val_psnr", best=-math.inf, baseline=None):
        super().__init__()
        self.directory = Path(directory)
        self.monitor = monitor
        self.baseline = baseline
        self.best = best
        self._failed = {}
        self._left = None  # to the end, since the last step was bad; None before an epoch

    def on_epoch_end(self, epoch, logs=None):
        """Saves the last generator, and the best if it is."""
        vigil = getattr(self.model, "vigil", None)
        self._left = vigil is not None and bool(vigil.bad_steps)
        if self._left:
            return  # as StopOnDivergence has told
        value = self._value(logs or {})
        self._attempt("generator-last.keras")
        # NaN is never better, and an infinite PSNR can only be a set of identical images.
        better = self.monitor is None or value > self.best
        if better and self._attempt("generator.keras") and self.monitor is not None:
            self.best = float(value)

    def on_train_end(self, logs=None):
        """Tries once more what could not be saved, or was not since the last step was bad.

        Raises:
            FloatingPointError: If a weight is not finite.
            OSError: If it cannot be saved now either, or was the best.
        """
        if "generator-last.keras" in self._failed or self._left:
            self._attempt("generator-last.keras")
        # None was the best, as where all steps were bad.
        if self._left is not None and not (self.directory / "generator.keras").exists():
            self._attempt("generator.keras")
        if self._failed:
            failures = "; ".join(f"{name}: {why}" for name, why in self._failed.items())
            raise OSError(
                f"The training has ended, but not all could be saved in {self.directory}: "
                f"{failures}. The files of before are kept."
            )

    @property
    def measure(self):
        """What `best` is a value of, such as ``"psnr - blurred_psnr"``; None for the latest."""
        return " - ".join(self._watched()) or None

    def _watched(self):
        return [name for name in (self.monitor, self.baseline) if name]

    def _value(self, logs):
        if self.monitor is None:
            return None
        for name in self._watched():
            if name not in logs:
                raise ValueError(
                    f"SaveGenerator watches {name!r}, which was not logged; logged were "
                    f"{sorted(logs)}. Pass validation_data to fit, or another monitor, or None."
                )
        return logs[self.monitor] - (logs[self.baseline] if self.baseline else 0.0)

    def _attempt(self, name):
        """Saves under a name; says whether that went well."""
        try:
            self.save(name)
        except writing.ERRORS as error:
            self._failed[name] = writing.reason(error)
            _logger.warning(
                "%s could not be saved: %s. That of before is kept; the next epoch tries again.",
                *(name, self._failed[name]),
            )
            return False
        self._failed.pop(name, None)
        return True

    def save(self, name):
        """Saves the generator as it is now under this name, and a blur generator beside it.

        Raises:
            FloatingPointError: If a weight is not finite.
        """
        kept = self.model.kept()
        members = {network.name: network.variables for network in kept.values()}
        updates.check_finite(members, f"what {self.directory} has is kept")
        for generator, network in kept.items():
            file = name.replace("generator", generator, 1)
            with images.atomic_path(self.directory / file) as temporary:
                network.save(temporary, overwrite=True)

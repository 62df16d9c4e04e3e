"""What a run needs to continue exactly: kept in checkpoints, and put back within ``fit``."""

import contextlib
import logging
import math
import time
import zlib

import keras
import tensorflow as tf

from deblur_keras.trainers import (
    checkpoints,
    contents,
    interruption,
    skipping,
    updates,
    workers,
    writing,
)
from deblur_keras.trainers.image_pool import ImagePool

_logger = logging.getLogger(__name__)


class TrainingState(keras.callbacks.Callback):
    """Keeps all that a trainer needs to continue exactly, also in the middle of an epoch.

    These are the networks, both optimizers, the states of random generators and image pools (what
    the trainer's ``checkpoint_parts()`` says), the place in the run and in the data, the running
    averages of the logs, and the best value so far. They are written after each epoch, in between
    every so many updates or minutes, and by `save`; see `checkpoints.Checkpoints` for the files.

    A checkpoint that cannot be written, as on a full disk, is told; the training goes on, and the
    next one is tried as planned. If the last one cannot be written, ``fit`` ends with an OSError.

    On several machines each worker makes one, and passes it to ``fit``; the chief's writes, and all
    read, so that the folder is to be one that all of them see. One that is to stop stops all.

    Pass it to ``fit`` as the last callback, so that a checkpoint is written only when the others
    have written what belongs to the same update.

    Args:
        trainer: A compiled `DeblurGAN` or `CycleGAN`.
        directory: Folder of the checkpoints, of this run alone.
        every: Updates between two checkpoints within an epoch; None for no such limit.
        minutes: Minutes between two; None for no such limit.

    Raises:
        ValueError: If a limit is not above 0.

    Attributes:
        epoch: Finished epochs: ``fit``'s ``initial_epoch``.
        step: Batches that the unfinished epoch has been trained on.
        batches: Batches of the whole run: the streams' ``first_batch``.
        steps: Batches of an epoch; None until known.
        stopped: Whether the last ``fit`` ended because of a signal, with everything saved.
        saved: The finished epochs and the `place` of the latest checkpoint.
        best: The best value so far, of the `SaveGenerator` that it watches.
        extra: A dict of plain values that are kept besides.

    Example:
        >>> # The same script starts a run and goes on with it, wherever it was stopped.
        >>> state = TrainingState(trainer, "run/state")  # doctest: +SKIP
        >>> state.restore()  # doctest: +SKIP
        >>> training = datasets.paired(
        ...     "GOPRO_Large", repeat=True, first_batch=state.batches
        ... )  # doctest: +SKIP
        >>> with state.interruptible():  # doctest: +SKIP
        ...     trainer.fit(
        ...         training,
        ...         steps_per_epoch=2103,
        ...         epochs=300,
        ...         initial_epoch=state.epoch,
        ...         callbacks=[LinearDecay(), state],
        ...     )

    Note:
        ``fit`` knows no place within an epoch. So the batches that are done already are gone
        through without data and without an update, and other callbacks see them too: in no time,
        and with the logs as they were when the checkpoint was written.
    """

    def __init__(self, trainer, directory, every=None, minutes=5.0):
        super().__init__()
        for name, limit in (("every", every), ("minutes", minutes)):
            if limit is not None and not limit > 0:
                raise ValueError(f"{name} must be above 0, or None; received {limit!r}.")
        self.every = every
        self.minutes = minutes
        self.step = self.batches = 0
        self.steps = None
        self.stopped = False
        self.saved = 0, "nothing"
        self.extra = {}
        self._trainer = trainer
        self._epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._best = tf.Variable(-math.inf, dtype=tf.float64, trainable=False)
        self._checkpoint = tf.train.Checkpoint(
            **trainer.checkpoint_parts(),
            random_states=contents.random_states(trainer),
            epoch=self._epoch,
            best=self._best,
        )
        self._files = checkpoints.Checkpoints(directory)
        self._best_source = None
        self._measure = None  # what the best value of a checkpoint is a value of
        self._restored = False  # and no epoch begun since
        self._within = False  # an update, which may have changed something
        self._failed = False  # to write the last checkpoint that was due
        self._left = False  # since the last step was bad
        self._is_saved = False  # what was to be by the last call of `save`
        self._averages = None  # of the training, where the metrics do not have them
        self._logged = []
        self._skipped = 0
        self._interruption = interruption.Interruption()
        self._workers = workers.of(trainer.distribute_strategy)
        self._collect()  # which makes the variables that a checkpoint is restored into
        self._mark_saved()

    @property
    def epoch(self):
        """Finished epochs."""
        return int(self._epoch.numpy())

    @property
    def best(self):
        """The best value so far; minus infinity before there is one."""
        if self._best_source is not None:
            return float(self._best_source.best)
        return float(self._best.numpy())

    def place(self):
        """Says in words how far the run is, such as ``epoch 3, 37 of its 100 updates done``."""
        if not self.step:
            return f"{self.epoch} {'epoch' if self.epoch == 1 else 'epochs'} done"
        return f"epoch {self.epoch + 1}, {self.step} of its {self.steps} updates done"

    def watch(self, saver):
        """Takes the best value so far from a `SaveGenerator`, to keep it across interruptions.

        Args:
            saver: It gets the best value of before, unless that is of something else, such as the
                PSNR of other images.
        """
        if self._measure is None or self._measure == saver.measure:
            saver.best = max(saver.best, self.best)
        self._best_source = saver

    def restore(self):
        """Restores the newest checkpoint that is undamaged; warns of the damaged ones.

        Returns:
            Whether there was one.

        Raises:
            CheckpointError: If all are damaged, or the newest is of other networks or optimizers,
                or written by a newer version of the library.
        """
        found = self._files.newest()
        self._check_same(found)
        if found is None:
            return False
        notes = found.notes
        if notes is not None:
            contents.compare(found.prefix, notes["parts"], contents.described(self._trainer))
        try:
            with checkpoints.readable(found.prefix) as prefix:
                status = self._checkpoint.read(prefix)
                status.assert_existing_objects_matched()
                status.expect_partial()  # of earlier versions it may hold more
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise checkpoints.CheckpointError(
                f"{found.prefix} is not a checkpoint of these networks and optimizers: "
                f"{str(error).splitlines()[0]} Continue with the ones that it was written with."
            ) from error
        if notes is None:
            _logger.warning(
                "%s is of an earlier version of deblur_keras, which did not keep the place within "
                "an epoch: an epoch that is unfinished begins anew, with the networks and "
                "optimizers as they were.",
                found.prefix,
            )
            self.batches = int(self._trainer.generator_optimizer.iterations.numpy())
            notes = {}
        for pool in self._pools():
            pool.deal()
        self.batches = notes.get("batches", self.batches)
        self.step = notes.get("step", 0)
        self.steps = notes.get("steps")
        self.extra = notes.get("extra", {})
        self._measure = notes.get("measure")
        self.saved = self.epoch, self.place()
        self._averages = notes.get("averages")
        self._logged = notes.get("logged", [])
        self._restored = True
        self._mark_saved()
        return True

    def begin_epoch_anew(self):
        """Forgets how far the unfinished epoch has come, and nothing else.

        The data go on where they were. It is for an epoch that is to have another length.
        """
        self.step = 0
        self.steps = None

    def save(self):
        """Writes a checkpoint now.

        Within an update, which an exception has cut in two, nothing is written: the state would be
        none that a run can continue from exactly. Nor is it while the trainer's steps are bad, as
        `StopOnDivergence` judges them. The checkpoint before is kept.

        Raises:
            FloatingPointError: If a weight is not finite.
            OSError: If the file system refuses; the checkpoints before are kept.
            tf.errors.OpError: The same, as TensorFlow says it.
        """
        self._save()

    def _save(self, ended=False):
        self._is_saved = False
        if self._within:
            _logger.warning("An update was cut off; the checkpoint before it is kept.")
            return
        vigil = getattr(self._trainer, "vigil", None)
        self._left = vigil is not None and bool(vigil.bad_steps) and not ended
        if self._left:
            _logger.warning("The last step was bad; the checkpoint before it is kept.")
            return
        parts = {k: v.variables for k, v in self._trainer.checkpoint_parts().items()}
        updates.check_finite(parts, f"the checkpoints before are kept in {self._files.directory}")
        self._best.assign(self.best)
        notes = {
            **{"epoch": self.epoch, "step": self.step, "batches": self.batches},
            **{"steps": self.steps, "extra": self.extra, "logged": self._logged},
            "averages": self._averages or skipping.read_averages(self._trainer),
            "measure": getattr(self._best_source, "measure", self._measure),
            "parts": contents.described(self._trainer),
        }
        self._collect()
        if self._workers is None or self._workers.chief:
            self._files.write(self._checkpoint, notes)
        self._failed = False
        self._is_saved = True
        self.saved = self.epoch, self.place()
        self._mark_saved()

    @contextlib.contextmanager
    def interruptible(self):
        """Makes Ctrl-C, SIGTERM and SIGHUP wait for the running update, and then save and stop.

        Yields:
            None. ``fit`` ends with a KeyboardInterrupt when all is saved. The second Ctrl-C stops
            at once, without saving.
        """
        with self._interruption:
            yield

    def on_train_begin(self, logs=None):
        """Checks that the epoch to be continued is as long as before, and prepares for it."""
        steps = self.params.get("steps")
        self.stopped = False
        if self._within:  # an exception has ended the ``fit`` before
            self.begin_epoch_anew()
            self._within = False
        if self.step and steps != self.steps:
            raise ValueError(
                f"The unfinished epoch has {self.steps} steps, of which {self.step} are done; "
                f"expected fit(steps_per_epoch={self.steps}), received {steps}. Or call "
                "begin_epoch_anew() first."
            )
        self.steps = steps
        self._skipped = self.step
        train = getattr(self.model.train_function, "skips_for", self.model.train_function)
        if self.step:
            train = skipping.skipping(self.model, train, self.step, self._logged)
        self.model.train_function = train

    def on_epoch_begin(self, epoch, logs=None):
        """Puts the running averages back, in an epoch that is continued."""
        if (self._restored or self.step) and epoch != self.epoch:
            raise ValueError(
                f"{self.epoch} epochs are finished; expected fit(initial_epoch={self.epoch}), "
                f"received {epoch}. Pass initial_epoch=state.epoch."
            )
        self._restored = False
        self._epoch.assign(epoch)
        if self.step:
            skipping.put_averages(self._trainer, self._averages)
        self._averages = None

    def on_train_batch_begin(self, batch, logs=None):
        """Notes that from now on things change."""
        self._within = batch >= self._skipped

    def on_train_batch_end(self, batch, logs=None):
        """Counts; writes a checkpoint if it is time, or if the run is to stop."""
        if not self._within:
            return
        self.batches += batch + 1 - self.step
        self.step = batch + 1
        self._logged = sorted(logs or {})
        self._within = False
        stop, due = self._agreed(self._interruption.requested, self._is_due())
        if stop:
            self._save_and_stop()
        if due:
            self._attempt()

    def on_test_begin(self, logs=None):
        """Keeps the running averages, which the validation is about to reset."""
        self._averages = skipping.read_averages(self._trainer)

    def on_test_batch_end(self, batch, logs=None):
        """Stops if the run is to stop; it continues at the beginning of the validation."""
        if self._agreed(self._interruption.requested)[0]:
            self._save_and_stop()

    def on_epoch_end(self, epoch, logs=None):
        """Counts the epoch as finished and writes a checkpoint."""
        self._epoch.assign(epoch + 1)
        self.step = self._skipped = 0
        self._averages = None
        stop = self._agreed(self._interruption.requested)[0]
        if stop and epoch + 1 < self.params["epochs"]:
            self._save_and_stop()
        self._attempt()

    def on_train_end(self, logs=None):
        """Tries once more, if the last checkpoint was not written.

        Raises:
            OSError: If it cannot be written now either.
        """
        if self._agreed(self._failed or self._left)[0]:
            self._save_or_explain(ended=True)

    def _attempt(self):
        """Writes a checkpoint; tells if that cannot be done, and leaves it to the next one."""
        try:
            self.save()
        except writing.ERRORS as error:
            self._failed = True
            self._mark_saved()  # not after each update from now on
            _logger.warning(
                "The checkpoint after %s could not be written: %s. The one before is kept, and the "
                "next one comes as planned.",
                *(self.place(), writing.reason(error)),
            )

    def _save_or_explain(self, ended=False):
        try:
            self._save(ended)
        except writing.ERRORS as error:
            raise OSError(
                f"The run stands at {self.place()}, but no checkpoint could be written in "
                f"{self._files.directory}: {writing.reason(error)}. The one before is kept: it "
                "goes on from there."
            ) from error

    def _save_and_stop(self):
        if not self._averages:  # for a ``fit`` in this process
            self._averages = skipping.read_averages(self._trainer)
        self._save_or_explain()
        if not self._is_saved:
            raise KeyboardInterrupt
        self.stopped = True
        _logger.info("Saved: %s.", self.place())
        raise KeyboardInterrupt

    def _agreed(self, *flags):
        """Makes all workers do the same: a checkpoint needs every one of them."""
        if self._workers is None:
            return flags
        return workers.any_of(self._trainer.distribute_strategy, *flags)

    def _check_same(self, found):
        """Raises CheckpointError if workers would go on from different checkpoints."""
        if self._workers is None:
            return
        number = zlib.crc32(found.prefix.name.encode()) if found else 0
        if len(set(workers.numbers_of(self._trainer.distribute_strategy, number))) > 1:
            raise checkpoints.CheckpointError(
                f"The workers do not see the same checkpoints; this one, number "
                f"{self._workers.number}, sees {found.prefix if found else 'none'} in "
                f"{self._files.directory}. Give all of them a folder that they share."
            )

    def _collect(self):
        if self._workers is not None:
            for pool in self._pools():
                pool.collect()

    def _pools(self):
        parts = self._trainer.checkpoint_parts().values()
        return [part for part in parts if isinstance(part, ImagePool)]

    def _is_due(self):
        if self.every and self.batches // self.every > self._saved // self.every:
            return True
        return bool(self.minutes) and time.monotonic() - self._saved_at >= 60 * self.minutes

    def _mark_saved(self):
        self._saved, self._saved_at = self.batches, time.monotonic()

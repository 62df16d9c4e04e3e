"""Callbacks: the schedule, what is saved, and what a person sees; everything but the algorithm."""

import csv
import io
import logging
import math
from pathlib import Path

import keras
import numpy as np

from deblur_keras import images, metrics, sheets
from deblur_keras.datasets import mishaps

_SHOWN = 5  # names in a line

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
    Both are written whole or not at all. Of a `CycleGAN` this is the generator that deblurs; the
    one that blurs lies beside it, as ``blur_generator.keras`` and ``blur_generator-last.keras``.

    Args:
        directory: Folder to write to.
        monitor: A logged name, higher is better. None takes the latest for the best, for training
            without pairs, where nothing logged says how well the generator deblurs.
        best: The highest value of an earlier part of the same run.
    """

    def __init__(self, directory, monitor="val_psnr", best=-math.inf):
        super().__init__()
        self.directory = Path(directory)
        self.monitor = monitor
        self.best = best

    def on_epoch_end(self, epoch, logs=None):
        """Saves the last generator, and the best if it is."""
        better = self.monitor is None or self._is_better(logs or {})
        self.save("generator-last.keras")
        if better:
            self.save("generator.keras")

    def _is_better(self, logs):
        value = logs.get(self.monitor)
        if value is None:
            raise ValueError(
                f"SaveGenerator watches {self.monitor!r}, which was not logged; logged were "
                f"{sorted(logs)}. Pass validation_data to fit, or another monitor, or None."
            )
        # NaN is never better, and an infinite PSNR can only be a set of identical images.
        if not value > self.best:
            return False
        self.best = float(value)
        return True

    def save(self, name):
        """Saves the generator as it is now under this name, and a blur generator beside it."""
        networks = {name: self.model.generator}
        if hasattr(self.model, "blur_generator"):
            networks[f"blur_{name}"] = self.model.blur_generator
        for file, network in networks.items():
            with images.atomic_path(self.directory / file) as temporary:
                network.save(temporary, overwrite=True)


class SampleSheets(keras.callbacks.Callback):
    """Writes a sheet of the same few pictures, restored by the generator of the moment.

    Rows of blurred, restored, sharp, as ``samples/step-0001000.png``, so that the course of the
    training can be looked at.

    Args:
        directory: Folder to write to.
        samples: ``(blurred, sharp)`` arrays or tensors, each ``(N, H, W, 3)`` in [-1, 1]; None
            as sharp leaves that column out, for blurred pictures without a sharp partner.
        every: Generator updates between two sheets; one is also written after the last epoch.
    """

    def __init__(self, directory, samples, every=500):
        super().__init__()
        self.directory = Path(directory)
        blurred, sharp = samples
        self.blurred = np.asarray(blurred)
        self.sharp = None if sharp is None else np.asarray(sharp)
        self.every = every
        self._written = None

    def on_train_begin(self, logs=None):
        """Counts from where the run is."""
        self._written = _updates(self.model.generator_optimizer)

    def on_train_batch_end(self, batch, logs=None):
        """Writes a sheet each ``every`` updates."""
        if _updates(self.model.generator_optimizer) // self.every > self._written // self.every:
            self._write()

    def on_epoch_end(self, epoch, logs=None):
        """Writes the last sheet, before a checkpoint says that the run is finished."""
        if epoch + 1 == self.params["epochs"]:
            self.on_train_end()

    def on_train_end(self, logs=None):
        """Writes the last sheet, if the training ended early."""
        if self._written != _updates(self.model.generator_optimizer):
            self._write()

    def _write(self):
        self._written = _updates(self.model.generator_optimizer)
        restored = np.concatenate(
            [self.model.generator(one[None], training=False) for one in self.blurred]
        )
        columns = {"blurred": self.blurred, "restored": restored}
        if self.sharp is not None:
            columns["sharp"] = self.sharp
        sides = [images.to_uint8(side) for side in columns.values()]
        rows = [list(row) for row in zip(*sides, strict=True)]
        captions = None
        if self.sharp is not None:
            captions = [[_psnr_caption(row[2], image) for image in row[:2]] + [""] for row in rows]
        sheet = sheets.contact_sheet(rows, list(columns), captions)
        images.write(self.directory / f"step-{self._written:07d}.png", sheet)


class HistoryFile(keras.callbacks.Callback):
    """Writes what is logged of each epoch to a CSV file, one row an epoch.

    The file is replaced whole after each epoch. A run that continues keeps the rows of the epochs
    before, and replaces those that it comes to again: none is lost or doubled, however the run was
    ended. Pass it before `TrainingState`, so that an epoch is never finished without its row.

    Args:
        path: The file.
    """

    def __init__(self, path):
        super().__init__()
        self.path = Path(path)
        self._rows = None

    def on_train_begin(self, logs=None):
        """Forgets what was read before."""
        self._rows = None

    def on_epoch_end(self, epoch, logs=None):
        """Adds the row of the epoch."""
        if self._rows is None:
            self._rows = [row for row in self._read() if int(row["epoch"]) < epoch]
        self._rows.append({"epoch": epoch, **(logs or {})})
        names = sorted({name for row in self._rows for name in row} - {"epoch"})
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, ["epoch", *names], restval="")
        writer.writeheader()
        writer.writerows(self._rows)
        images.write_bytes(self.path, table.getvalue().encode())

    def _read(self):
        """Reads the rows that are there; one that was cut off is left out."""
        if not self.path.is_file():
            return []
        with self.path.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = [row for row in csv.DictReader(file) if (row.get("epoch") or "").isdigit()]
        return [{k: v for k, v in row.items() if k and v is not None} for row in rows]


class EpochBoard(keras.callbacks.TensorBoard):
    """Writes what is logged of each epoch for TensorBoard, and at once.

    Keras's own keeps it in memory for up to two minutes, and a run that is killed has lost it,
    though its checkpoint says that the epoch is finished. Pass it before `TrainingState`.

    Args:
        directory: Folder to write to.
    """

    def __init__(self, directory):
        super().__init__(str(directory), write_graph=False)

    def on_epoch_end(self, epoch, logs=None):
        """Writes the epoch."""
        super().on_epoch_end(epoch, logs)
        for writer in self._writers.values():
            writer.flush()


class StopOnDivergence(keras.callbacks.Callback):
    """Ends the training when a loss is no longer a finite number, before anything is saved of it.

    Raises:
        FloatingPointError: In ``fit``, naming the losses and what usually helps.
    """

    def on_train_batch_end(self, batch, logs=None):
        """Looks at the logged losses."""
        broken = [name for name, value in (logs or {}).items() if not math.isfinite(value)]
        if broken:
            raise FloatingPointError(
                f"The training diverged: {', '.join(broken)} no longer finite after "
                f"{_updates(self.model.optimizer)} updates. What was saved before is kept. A lower "
                "learning rate, a larger gradient penalty or a larger batch usually helps."
            )


class TellMishaps(keras.callbacks.Callback):
    """Tells after each epoch how many crops show another image than planned, and in all at the end.

    By themselves, streams tell it at the end of each pass over their images. That is not where an
    epoch ends that has a number of steps, and a short run may never get there. Crops are counted
    when they are made, which is some steps before they are trained on.

    Args:
        streams: Dictionary from what they are for, such as ``"training"``, to streams of
            `datasets`, which leave the telling to this. Other datasets, and None, have none.
    """

    def __init__(self, streams):
        super().__init__()
        self._streams = streams
        for stream in streams.values():
            for counting in mishaps.of(stream):
                counting.leave_telling()

    def on_train_begin(self, logs=None):
        """Leaves out what was before, such as the crops of a sample sheet."""
        self._begun = self._told = self._counts()
        self._lines = []

    def on_epoch_end(self, epoch, logs=None):
        """Notes what has come since the last epoch."""
        now = self._counts()
        for purpose, counts in now.items():
            if text := _replaced(purpose, self._told[purpose], counts):
                bad = mishaps.plural(len(counts.bad))
                self._lines.append(f"epoch {epoch + 1}: {text}; {bad} so far could not be used")
        self._told = now

    def on_epoch_begin(self, epoch, logs=None):
        """Tells it, now that the progress bar has left its line."""
        self._tell()

    def on_train_end(self, logs=None):
        """Tells it of the last epoch, and of all."""
        for purpose, counts in self._counts().items():
            if text := _replaced(purpose, self._begun[purpose], counts):
                names = sorted(counts.bad)
                shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
                bad = mishaps.plural(len(names))
                self._lines.append(f"in all: {text}; {bad} could not be used: {shown}")
        self._tell()

    def _tell(self):
        for line in self._lines:
            _logger.warning("%s", line)
        self._lines = []

    def _counts(self):
        return {purpose: mishaps.counts(stream) for purpose, stream in self._streams.items()}


def _replaced(purpose, before, now):
    """Says how many crops were replaced in between; nothing where none were."""
    replaced = now.replaced - before.replaced
    if not replaced:
        return ""
    crops = f"{replaced} of {now.crops - before.crops} crops made for {purpose}"
    return f"{crops} {'are' if replaced > 1 else 'is'} of another image than planned"


def _updates(optimizer):
    return int(optimizer.iterations.numpy())  # int() alone fails on a mirrored variable


def _psnr_caption(sharp, image):
    psnr = float(metrics.psnr(sharp[None], image[None], data_range=255)[0])
    return f"{psnr:.2f} dB" if math.isfinite(psnr) else "identical"

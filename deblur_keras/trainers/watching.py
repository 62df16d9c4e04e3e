"""Callbacks that only watch: sheets of samples, tables, TensorBoard, and replaced images."""

import csv
import io
import logging
import math
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from deblur_keras import images, metrics, sheets
from deblur_keras.datasets import mishaps
from deblur_keras.trainers import updates
from deblur_keras.trainers.writing import Attempts, reason

_SHOWN = 5  # names in a line
_SHEETS = 50  # in TensorBoard's files

_logger = logging.getLogger(__name__)


class SampleSheets(keras.callbacks.Callback):
    """Writes a sheet of the same few pictures, restored by the generator of the moment.

    Rows of blurred, restored, sharp, as ``samples/step-0001000.png``, so that the course of the
    training can be looked at.

    Args:
        directory: Folder to write to.
        samples: ``(blurred, sharp)`` arrays or tensors, each ``(N, H, W, 3)`` in [-1, 1]; None
            as sharp leaves that column out, for blurred pictures without a sharp partner.
        every: Generator updates between two sheets; one is also written after the last epoch.

    Attributes:
        latest: The latest sheet, uint8 ``(H, W, 3)``; None before there is one.
    """

    def __init__(self, directory, samples, every=500):
        super().__init__()
        self.directory = Path(directory)
        blurred, sharp = samples
        self.blurred = np.asarray(blurred)
        self.sharp = None if sharp is None else np.asarray(sharp)
        self.every = every
        self.latest = None
        self._written = None
        self._attempts = Attempts()

    def on_train_begin(self, logs=None):
        """Counts from where the run is."""
        self._written = updates.count(self.model.generator_optimizer)

    def on_train_batch_end(self, batch, logs=None):
        """Writes a sheet each ``every`` updates."""
        if (
            updates.count(self.model.generator_optimizer) // self.every
            > self._written // self.every
        ):
            self._write()

    def on_epoch_end(self, epoch, logs=None):
        """Writes the last sheet, before a checkpoint says that the run is finished."""
        if epoch + 1 == self.params["epochs"]:
            self.on_train_end()

    def on_train_end(self, logs=None):
        """Writes the last sheet, if the training ended early."""
        if self._written != updates.count(self.model.generator_optimizer):
            self._write()

    def _write(self):
        self._written = updates.count(self.model.generator_optimizer)
        generator = self.model.kept()["generator"]
        restored = np.concatenate([generator(one[None], training=False) for one in self.blurred])
        columns = {"blurred": self.blurred, "restored": restored}
        if self.sharp is not None:
            columns["sharp"] = self.sharp
        sides = [images.to_uint8(side) for side in columns.values()]
        rows = [list(row) for row in zip(*sides, strict=True)]
        captions = None
        if self.sharp is not None:
            captions = [[_psnr_caption(row[2], image) for image in row[:2]] + [""] for row in rows]
        self.latest = sheet = sheets.contact_sheet(rows, list(columns), captions)
        with self._attempts.at("A sample sheet"):
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
        self._attempts = Attempts()

    def on_train_begin(self, logs=None):
        """Forgets what was read before."""
        self._rows = None

    def on_epoch_end(self, epoch, logs=None):
        """Adds the row of the epoch."""
        if self._rows is None:
            self._rows = [row for row in self._read() if int(row["epoch"]) < epoch]
        known = {name: value for name, value in (logs or {}).items() if not math.isnan(value)}
        self._rows.append({"epoch": epoch, **known})
        filled = {name for row in self._rows for name, value in row.items() if value != ""}
        names = sorted(filled - {"epoch"})
        table = io.StringIO()
        writer = csv.DictWriter(table, ["epoch", *names], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        with self._attempts.at(self.path.name):
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
        sheets: A `SampleSheets` that comes before it, whose latest sheet is written too, at most
            about fifty times in all, since the files only grow.
    """

    def __init__(self, directory, sheets=None):
        super().__init__(str(directory), write_graph=False)
        self._sheets = sheets
        self._shown = None
        self._attempts = Attempts()

    def on_train_begin(self, logs=None):
        """Begins a file."""
        with self._attempt():
            super().on_train_begin(logs)

    def on_train_batch_begin(self, batch, logs=None):
        """Counts."""
        with self._attempt():
            super().on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        """Counts."""
        with self._attempt():
            super().on_train_batch_end(batch, logs)

    def on_test_end(self, logs=None):
        """Writes the scores of the validation."""
        with self._attempt():
            super().on_test_end(logs)

    def on_epoch_end(self, epoch, logs=None):
        """Writes the epoch."""
        with self._attempt():
            super().on_epoch_end(epoch, logs)
            self._write_sheet(epoch)
            for writer in self._writers.values():
                writer.flush()

    def on_train_end(self, logs=None):
        """Ends the files."""
        with self._attempt():
            super().on_train_end(logs)

    def _write_sheet(self, epoch):
        sheet = self._sheets.latest if self._sheets is not None else None
        last = epoch + 1 == self.params["epochs"]
        due = last or epoch % math.ceil(self.params["epochs"] / _SHEETS) == 0
        if sheet is not None and due and sheet is not self._shown:
            self._shown = sheet
            with self._train_writer.as_default():
                tf.summary.image("samples", sheet[None], step=epoch)

    def _attempt(self):
        return self._attempts.at("The log for TensorBoard")


class AfterEpochs(keras.callbacks.Callback):
    """Makes things after each epoch that show how the training went, such as a plot.

    Whatever goes wrong with one is told once, and does not stop the training.

    Args:
        makers: Dictionary from what is made, for messages, to functions without arguments.
    """

    def __init__(self, makers):
        super().__init__()
        self.makers = makers
        self._failed = set()

    def on_epoch_end(self, epoch, logs=None):
        """Makes them."""
        for what, make in self.makers.items():
            try:
                make()
            except Exception as error:  # it is no part of the training
                if what not in self._failed:
                    why = reason(error)
                    _logger.warning("%s could not be made: %s. The training goes on.", what, why)
                self._failed.add(what)


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


def _psnr_caption(sharp, image):
    psnr = float(metrics.psnr(sharp[None], image[None], data_range=255)[0])
    return f"{psnr:.2f} dB" if math.isfinite(psnr) else "identical"

import csv
import errno
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import tiny_critic, tiny_generator

from deblur_keras import images
from deblur_keras.trainers import (
    DeblurGAN,
    HistoryFile,
    SampleSheets,
    SaveGenerator,
    TrainingState,
    checkpoints,
)

RNG = np.random.default_rng(0)
BLURRED, SHARP = (RNG.uniform(-1, 1, (4, 32, 32, 3)).astype("float32") for _ in range(2))
FULL = OSError(errno.ENOSPC, "No space left on device")


def trainer():
    keras.utils.set_random_seed(1)
    made = DeblurGAN(tiny_generator(), tiny_critic(), seed=1)
    made.compile(critic_steps=1)
    return made


def refuse(monkeypatch, owner, name, *calls, error=FULL):
    """Makes a function fail at these of its calls, counted from 1; at all if none are given."""
    before, made = getattr(owner, name), []

    def failing(*arguments, **options):
        made.append(None)
        if not calls or len(made) in calls:
            raise error
        return before(*arguments, **options)

    monkeypatch.setattr(owner, name, failing)


def test_a_checkpoint_that_cannot_be_written_is_told_and_tried_again(tmp_path, monkeypatch, caplog):
    made = trainer()
    state = TrainingState(made, tmp_path, every=1)
    full = tf.errors.ResourceExhaustedError(None, None, "a.index; No space left on device")
    with monkeypatch.context() as patch:
        refuse(patch, checkpoints.Checkpoints, "write", 2, 3, error=full)
        made.fit(BLURRED, SHARP, batch_size=1, verbose=0, callbacks=[state])
    told = [record for record in caplog.records if "could not be written" in record.message]
    assert len(told) == 2
    assert "after epoch 1, 2 of its 4 updates done could not be written: No space left" in (
        told[0].message
    )
    again = TrainingState(trainer(), tmp_path)
    assert again.restore() and again.epoch == 1
    # The last one at the end: an error, and the one before is kept.
    with monkeypatch.context() as patch:
        refuse(patch, checkpoints.Checkpoints, "write")
        with pytest.raises(
            OSError, match="stands at 2 epochs done, but no checkpoint could be wri"
        ):
            made.fit(
                *(BLURRED, SHARP),
                **{"batch_size": 4, "epochs": 2, "initial_epoch": 1, "verbose": 0},
                callbacks=[state],
            )
    again = TrainingState(trainer(), tmp_path)
    assert again.restore() and again.epoch == 1


def test_a_generator_that_cannot_be_saved_is_tried_again(tmp_path, monkeypatch, caplog):
    made = trainer()
    saver = SaveGenerator(tmp_path, monitor="psnr")
    saver.set_model(made)
    saver.on_epoch_end(0, {"psnr": 20.0})
    kept = (tmp_path / "generator.keras").read_bytes()
    with monkeypatch.context() as patch:
        refuse(patch, images, "atomic_path")
        saver.on_epoch_end(1, {"psnr": 30.0})
        with pytest.raises(
            OSError, match=r"not all could be saved .*: generator-last\.keras: No sp"
        ):
            saver.on_train_end()
    assert saver.best == 20.0
    assert (tmp_path / "generator.keras").read_bytes() == kept
    saver.on_epoch_end(2, {"psnr": 25.0})
    assert saver.best == 25.0
    saver.on_train_end()
    assert "generator.keras could not be saved: No space left on device; free some" in caplog.text


def test_what_only_shows_the_training_does_not_stop_it(tmp_path, monkeypatch, caplog):
    made = trainer()
    history = HistoryFile(tmp_path / "history.csv")
    (tmp_path / "samples").touch()  # where a folder should be
    callbacks = [SampleSheets(tmp_path / "samples", (BLURRED, SHARP), every=1), history]
    with monkeypatch.context() as patch:
        refuse(patch, images, "write_bytes", 1)
        made.fit(BLURRED, SHARP, batch_size=2, epochs=2, verbose=0, callbacks=callbacks)
    assert caplog.text.count("A sample sheet could not be written") == 1
    assert caplog.text.count("history.csv could not be written") == 1
    content = (tmp_path / "history.csv").read_bytes()
    assert b"\r" not in content
    assert [row["epoch"] for row in csv.DictReader(content.decode().splitlines())] == ["0", "1"]


SCRIPT = """
import resource, sys
import keras, numpy as np
sys.path.insert(0, {tests!r})
from test_writing import *
from deblur_keras.trainers import EpochBoard

made, run = trainer(), Path({run!r})
limits = resource.getrlimit(resource.RLIMIT_FSIZE)

class Limit(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        allowed = 2000 if epoch else limits[0]
        resource.setrlimit(resource.RLIMIT_FSIZE, (allowed, limits[1]))

state = TrainingState(made, run / "state")
callbacks = [Limit(), SaveGenerator(run, "psnr"), EpochBoard(run / "board"), state]
try:
    made.fit(BLURRED, SHARP, batch_size=2, epochs=3, verbose=0, callbacks=callbacks)
except OSError as error:
    sys.exit(str(error))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="knows no such limit")
def test_a_disk_that_takes_no_more_costs_only_what_it_must(tmp_path):
    script = SCRIPT.format(tests=str(Path(__file__).parent), run=str(tmp_path))
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 1, result.stderr
    assert "The checkpoint after 2 epochs done could not be written: " in result.stderr
    assert "generator-last.keras could not be saved: File too large" in result.stderr
    state = TrainingState(trainer(), tmp_path / "state")
    assert state.restore() and state.epoch == 1
    keras.saving.load_model(tmp_path / "generator.keras")
    assert not list(tmp_path.rglob(".deblur-*"))
    assert "not all could be saved" in result.stderr

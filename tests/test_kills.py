"""A run that is killed again and again, as real processes through the command line."""

import json
import os
import random
import select
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from terminals import run_on_terminal

from deblur_keras import images, layers  # noqa: F401 - the layers of saved networks
from deblur_keras.trainers import checkpoints

RNG = np.random.default_rng(0)
SMALL = [
    *("--set", "generator=compact", "--set", "generator.widths=[4, 8]"),
    *("--set", "generator.blocks=[1, 1]", "--set", "generator.kernel=3", "--set", "content=mae"),
    *("--set", "critic.filters=4", "--set", "critic.layers=2", "--set", "critic_steps=1"),
    *("--crop", "16", "--scale", "1.0", "--batch", "2"),
]
CYCLE = [
    *("--set", "generator.filters=4", "--set", "generator.blocks=1", "--set", "critic.filters=4"),
    *("--set", "critic.layers=2", "--set", "pool_size=4", "--crop", "16", "--batch", "2"),
]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Seven training pairs, and two to choose the best by."""
    root = tmp_path_factory.mktemp("photographs")
    for split, count in (("train", 7), ("test", 2)):
        for index in range(count):
            for side in ("blur", "sharp"):
                picture = RNG.integers(0, 256, (24, 28, 3), np.uint8)
                images.write(root / split / "scene" / side / f"{index}.png", picture)
    return root


class Run:
    """One process of ``deblur-keras train``."""

    def __init__(self, *arguments):
        command = [sys.executable, "-m", "deblur_keras.cli", "train", *map(str, arguments)]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    def end(self):
        self.output = self.process.communicate()[0]
        return self.process.returncode


def reached(run):
    """Returns the last update of which there is a sample sheet."""
    return max((int(path.stem[5:]) for path in run.glob("samples/step-*.png")), default=0)


def wait_for(run, update, process):
    while reached(run) < update and process.poll() is None:
        time.sleep(0.01)


def same_runs(run, other):
    for name in sorted(path.name for path in other.glob("*.keras")):
        ours, theirs = (
            keras.saving.load_model(where / name).get_weights() for where in (run, other)
        )
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)
    assert (run / "history.csv").read_text() == (other / "history.csv").read_text()
    sheets = [sorted(path.name for path in where.glob("samples/*")) for where in (run, other)]
    assert sheets[0] == sheets[1]
    for name in sheets[0]:
        assert (run / "samples" / name).read_bytes() == (other / "samples" / name).read_bytes()
    notes = [checkpoints.Checkpoints(where / "state").newest().notes for where in (run, other)]
    assert notes[0] == notes[1]
    # All that a checkpoint holds: both networks and optimizers, pools, random states.
    digests = []
    for where in (run, other):
        newest = checkpoints.Checkpoints(where / "state").newest().prefix
        seal = json.loads(newest.with_name(f"{newest.name}.json").read_text())
        digests.append({name.partition(".")[2]: digest for name, digest in seal["files"].items()})
    assert digests[0]["data-00000-of-00001"] == digests[1]["data-00000-of-00001"]


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "small"), [("deblurgan", SMALL), ("cyclegan", CYCLE)])
def test_a_process_that_is_stopped_goes_on_in_another(recipe, small, pairs, tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "run"
    start = [recipe, "--data", pairs, *small, "--epochs", 3, "--sample-every", 30]
    start += ["--steps-per-epoch", 100]
    assert Run(*start, "-o", whole).end() == 0
    stopped = Run(*start, "-o", run)
    wait_for(run, 30, stopped.process)
    stopped.process.terminate()
    assert stopped.end() == 130, stopped.output
    assert "SIGTERM: stopping" in stopped.output and "Saved: epoch " in stopped.output
    again = Run("--resume", "-o", run)
    assert again.end() == 0, again.output
    same_runs(run, whole)


@pytest.mark.slow
def test_a_run_whose_terminal_goes_away_is_saved(pairs, tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "run"
    start = ["deblurgan", "--data", pairs, *SMALL, "--epochs", 3, "--sample-every", 30]
    start += ["--steps-per-epoch", 100]
    assert Run(*start, "-o", whole).end() == 0
    code = "from deblur_keras.cli import main; main()"
    process, terminal = run_on_terminal(code, "train", *start, "-o", run)
    while reached(run) < 30 and process.poll() is None:
        if select.select([terminal], [], [], 0.01)[0]:
            os.read(terminal, 4096)  # else the process waits until there is room
    os.close(terminal)
    assert process.wait() == 130
    again = Run("--resume", "-o", run)
    assert again.end() == 0, again.output
    assert "Continuing: epoch " in again.output
    same_runs(run, whole)


@pytest.mark.slow
def test_a_run_that_is_killed_twenty_times_ends_like_a_whole_one(pairs, tmp_path):
    interval, kills = 20, 20
    whole, run = tmp_path / "whole", tmp_path / "run"
    start = ["deblurgan", "--data", pairs, *SMALL, "--epochs", 8, "--steps-per-epoch", 75]
    start += ["--sample-every", 1, "--checkpoint-every", interval]
    assert Run(*start, "-o", whole).end() == 0
    draw = random.Random(0)
    killed = 0
    arguments = start
    while True:
        before = reached(run)
        process = Run(*arguments, "-o", run)
        if killed < kills:
            # While it starts, now and then; else some updates after the last that was seen, which
            # is anywhere within an interval, and within the writing of a file.
            if draw.random() < 0.8:
                wait_for(run, before + draw.randint(1, 25), process.process)
                time.sleep(draw.uniform(0, 0.1))
            else:
                time.sleep(draw.uniform(0, 10))
            process.process.kill()
        code = process.end()
        if code != -signal.SIGKILL:
            assert code == 0, process.output
            break
        killed += 1
        if (run / "config.json").exists():
            arguments = ["--resume"]
            newest = checkpoints.Checkpoints(run / "state").newest()
            kept = newest.notes["batches"] if newest else 0
            assert reached(run) - kept <= interval
    assert killed == kills, "the run has ended before it was killed often enough"
    same_runs(run, whole)

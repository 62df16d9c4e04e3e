"""Two machines as two processes of this one, which lose each other and go on."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from test_kills import CYCLE, SMALL, pairs, reached  # noqa: F401 - a fixture

from deblur_keras import datasets, images
from deblur_keras.trainers import WorkerError, checkpoints, workers

BOUND = 90.0  # seconds in which the survivor of a lost worker has to end


def free_ports(count):
    with_port = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in with_port]
    for one in with_port:
        one.close()
    return ports


def config(addresses, index, kind="worker", job="worker"):
    return json.dumps({"cluster": {kind: addresses}, "task": {"type": job, "index": index}})


class Cluster:
    """Two processes of ``deblur-keras train`` with the same arguments."""

    def __init__(self, *arguments):
        command = [sys.executable, "-m", "deblur_keras.cli", "train", *map(str, arguments)]
        addresses = [f"localhost:{port}" for port in free_ports(2)]
        self.processes = [
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env={
                    **os.environ,
                    "TF_CPP_MIN_LOG_LEVEL": "3",
                    "TF_CONFIG": config(addresses, index),
                },
            )
            for index in range(2)
        ]

    def wait_for(self, run, update):
        while reached(run) < update:
            assert all(one.poll() is None for one in self.processes), self.end()
            time.sleep(0.01)

    def end(self, timeout=None):
        """Returns how each has ended, and what each has said."""
        try:
            said = [one.communicate(timeout=timeout)[0] for one in self.processes]
        finally:
            for one in self.processes:
                one.kill()
        return [one.returncode for one in self.processes], said


def history(run):
    with (run / "history.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def same_results(run, other):
    """All weights and all that a checkpoint holds are the same; averages up to their order."""
    for name in sorted(path.name for path in other.glob("*.keras")):
        ours, theirs = (
            keras.saving.load_model(where / name).get_weights() for where in (run, other)
        )
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)
    sheets = [sorted(path.name for path in where.glob("samples/*")) for where in (run, other)]
    assert sheets[0] == sheets[1]
    for name in sheets[0]:
        assert (run / "samples" / name).read_bytes() == (other / "samples" / name).read_bytes()
    data = []
    for where in (run, other):
        newest = checkpoints.Checkpoints(where / "state").newest().prefix
        data.append(newest.with_name(f"{newest.name}.data-00000-of-00001").read_bytes())
    assert data[0] == data[1]
    for ours, theirs in zip(history(run), history(other), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "small"), [("deblurgan", SMALL), ("cyclegan", CYCLE)])
def test_two_machines_lose_each_other_and_end_as_if_they_had_not(
    recipe,
    small,
    pairs,  # noqa: F811
    tmp_path,
):
    start = [recipe, "--data", pairs, *small, "--batch", 3, "--epochs", 2]
    start += ["--steps-per-epoch", 30, "--sample-every", 1, "--checkpoint-every", 8]
    alone, whole, run = (tmp_path / name for name in ("alone", "whole", "run"))
    codes, said = Cluster(*start, "-o", whole).end(300)
    assert codes == [0, 0], said
    assert f"Wrote {whole / 'generator.keras'}" in said[0] and "Wrote" not in said[1]
    assert "epoch 1/2:" in said[0] and not {"epoch", "Training", "Preparing"} & set(said[1].split())

    # One after the other is killed; the second time, it is the chief.
    arguments = start
    for lost, update in ((1, 12), (0, 37)):
        cluster = Cluster(*arguments, "-o", run)
        cluster.wait_for(run, update)
        cluster.processes[lost].kill()
        codes, said = cluster.end(BOUND)
        assert codes[lost] == -signal.SIGKILL and codes[1 - lost] != 0
        assert f"worker {lost} (localhost:" in said[1 - lost], said
        assert "is gone" in said[1 - lost] and "--resume" in said[1 - lost]
        arguments = ["--resume"]

    # And one is asked to stop, as a machine that is taken away.
    cluster = Cluster("--resume", "-o", run)
    cluster.wait_for(run, 45)
    cluster.processes[1].terminate()
    codes, said = cluster.end(BOUND)
    assert codes == [130, 130], said
    codes, said = Cluster("--resume", "-o", run).end(300)
    assert codes == [0, 0], said
    same_results(run, whole)

    # A single machine comes to the same; but each replica of a CycleGAN has pools of its own.
    if recipe == "cyclegan":
        return
    command = [sys.executable, "-m", "deblur_keras.cli", "train", *map(str, start)]
    assert subprocess.run([*command, "-o", alone]).returncode == 0
    for ours, theirs in zip(history(whole), history(alone), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-4)


@pytest.mark.slow
def test_what_a_worker_cannot_do_all_are_told(pairs, tmp_path):  # noqa: F811
    codes, said = Cluster("--data", pairs, *SMALL, "--batch", 1, "-o", tmp_path / "run").end(BOUND)
    assert codes == [1, 1]
    assert all("Use --batch 2 or a multiple" in one for one in said)
    assert not (tmp_path / "run").exists()


def test_the_cluster_is_read(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert workers.configured() is None
    monkeypatch.setenv("TF_CONFIG", config(["a:1", "b:2"], 1))
    assert workers.configured() == workers.Workers(("a:1", "b:2"), 1)
    assert not workers.configured().chief
    cluster = {"cluster": {"chief": ["c:3"], "worker": ["a:1", "b:2"]}}
    monkeypatch.setenv("TF_CONFIG", json.dumps({**cluster, "task": {"type": "worker", "index": 1}}))
    assert workers.configured() == workers.Workers(("c:3", "a:1", "b:2"), 2)
    monkeypatch.setenv("TF_CONFIG", json.dumps({**cluster, "task": {"type": "chief", "index": 0}}))
    assert workers.configured().chief
    # Some services set it for a single machine, too.
    monkeypatch.setenv("TF_CONFIG", config(["a:1"], 0))
    assert workers.configured() is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be understood"),
        ("[1]", "cannot be understood"),
        (config(["a:1", "b:2"], 0, kind="ps"), "tasks of type ps"),
        (config(["a:1", "b:2"], 0, job="evaluator"), "tasks of type evaluator"),
        (config(["a:1", "b:2"], 2), "say which one this is"),
        (config(["a:1", "a:1"], 0), "an address of its own"),
        (config(["a:1", "b"], 0), "expected host:port for each worker, got 'b'"),
    ],
)
def test_a_cluster_that_cannot_be_understood_is_refused(text, message, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(WorkerError, match=message):
        workers.configured()


def test_workers_wait_for_each_other_and_not_for_ever():
    addresses = tuple(f"localhost:{port}" for port in free_ports(2))
    both = [workers.Workers(addresses, number) for number in range(2)]
    with pytest.raises(WorkerError, match=rf"Waited 1 s for worker 1 \({addresses[1]}\)"):
        both[0].meet(patience=0.6)
    failed = []

    def meet(one):
        try:
            one.meet(patience=20.0)
            # TensorFlow listens there then, and one that is late finds it.
            port = int(one.addresses[one.number].rpartition(":")[2])
            with socket.create_server(("", port)):
                time.sleep(1.0)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=meet, args=(one,)) for one in both]
    threads[0].start()
    time.sleep(0.5)
    threads[1].start()
    for thread in threads:
        thread.join()
    assert not failed
    with (
        socket.create_server(("localhost", int(addresses[0].rpartition(":")[2]))),
        pytest.raises(WorkerError, match="the port of this one"),
    ):
        workers.Workers((addresses[0], addresses[0]), 0).meet(patience=0.3)


def test_a_lost_worker_is_named(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config(["a:1", "b:2", "c:3"], 0))
    text = "unhealthy: /job:worker/replica:0/task:2"
    with pytest.raises(WorkerError, match=r"This is worker 0, and worker 2 \(c:3\) is gone"):
        raise_named(tf.errors.UnavailableError(None, None, text))
    with pytest.raises(WorkerError, match=r"worker 1 \(b:2\) or worker 2 \(c:3\) is gone"):
        raise_named(tf.errors.AbortedError(None, None, "reset"))
    with pytest.raises(WorkerError, match="worker 1"):
        raise_named(tf.errors.InternalError(None, None, "Collective ops is aborted by: reset"))
    with pytest.raises(tf.errors.InternalError, match="bad kernel"):
        raise_named(tf.errors.InternalError(None, None, "bad kernel"))
    with pytest.raises(ValueError, match="mine"):
        raise_named(ValueError("mine"))
    monkeypatch.delenv("TF_CONFIG")
    with pytest.raises(tf.errors.UnavailableError):
        raise_named(tf.errors.UnavailableError(None, None, text))


def raise_named(error):
    with workers.lost_named():
        raise error


@pytest.mark.parametrize(("batch", "sizes"), [(7, [[2, 2], [2, 1]]), (8, [[2, 2], [2, 2]])])
def test_each_worker_reads_its_part_and_each_of_its_devices_a_share(
    batch, sizes, tmp_path, monkeypatch
):
    """Two machines of two devices each, as far as reading goes."""
    for number in range(3):
        picture = np.random.default_rng(number).integers(0, 256, (20, 20, 3), np.uint8)
        images.write(tmp_path / "ab"[number % 2] / f"{number}.png", picture)
    stream = datasets.unpaired(
        tmp_path / "a", tmp_path / "b", crop=16, batch=batch, repeat=True, first_batch=0
    )
    whole = [side.numpy() for side in next(iter(stream))]
    strategy = types.SimpleNamespace(
        extended=types.SimpleNamespace(_in_multi_worker_mode=lambda: True),
        num_replicas_in_sync=4,
        distribute_datasets_from_function=lambda function: function(None),
    )
    shares = []
    for number in range(2):
        monkeypatch.setenv("TF_CONFIG", config(["a:1", "b:2"], number))
        given = list(workers.distribute(strategy, stream, batch).take(2))
        assert [len(blurred) for blurred, _ in given] == sizes[number]
        shares += given
    for side in range(2):
        joined = np.concatenate([share[side] for share in shares])
        np.testing.assert_array_equal(joined, whole[side])
    others = tf.data.Dataset.range(4).batch(2)
    assert workers.distribute(strategy, others, 2) is others
    assert workers.distribute(None, stream, batch) is stream

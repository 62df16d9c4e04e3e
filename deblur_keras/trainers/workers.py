"""Several machines as one training: who they are, how they meet, agree, and miss one another.

Each machine runs the same program, as one worker. The environment variable ``TF_CONFIG``, which
TensorFlow reads too, says where all of them are and which one this is. This module does not load
TensorFlow until it must.
"""

import contextlib
import dataclasses
import errno
import functools
import json
import logging
import os
import socket
import time

_EXAMPLE = (
    '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
_PATIENCE = 600.0  # seconds until all have to be there
_TELL = 15.0  # seconds between two lines about those that are not
_OF_CONNECTIONS = ("connection", "socket", "collective", "peer", "rpc", "unreachable")

_logger = logging.getLogger(__name__)


class WorkerError(RuntimeError):
    """Workers that cannot be found, do not come, or were lost."""


@dataclasses.dataclass(frozen=True)
class Workers:
    """Holds where the workers of a training are.

    Attributes:
        addresses: ``"host:port"`` of each; the first one's worker is the chief.
        number: This one's number among them.
    """

    addresses: tuple
    number: int

    @property
    def chief(self):
        """Whether this worker is the one that writes the run folder."""
        return self.number == 0

    def meet(self, patience=_PATIENCE):
        """Waits until all workers are there, which TensorFlow would do for an hour, in silence.

        Args:
            patience: Seconds.

        Raises:
            WorkerError: If one is not there in time, or another program has this worker's port.
        """
        begun, told = time.monotonic(), time.monotonic()
        missing = [number for number in range(len(self.addresses)) if number != self.number]
        with contextlib.ExitStack() as stack:
            listening = None
            while True:
                # Here, too, is somebody to be found, until TensorFlow listens at the same port.
                if listening is None:
                    listening = _listen(self.addresses[self.number])
                    if listening is not None:
                        stack.enter_context(listening)
                missing = [number for number in missing if not _answers(self.addresses[number])]
                if not missing and listening is not None:
                    return
                late = [f"worker {number} ({self.addresses[number]})" for number in missing]
                late = late or [f"the port of this one, {self.addresses[self.number]}, to be free"]
                now = time.monotonic()
                if now - begun > patience:
                    raise WorkerError(
                        f"Waited {patience:.0f} s for {', '.join(late)}. Start all workers within "
                        "that time, with the same addresses in TF_CONFIG, and let their ports "
                        "through the firewall."
                    )
                if now - told > _TELL:
                    told = now
                    _logger.info("Waiting for %s.", ", ".join(late))
                time.sleep(0.2)


def configured():
    """Reads ``TF_CONFIG``.

    Returns:
        `Workers`, or None if it is not set or names this one alone.

    Raises:
        WorkerError: If it cannot be understood, or asks for what there is not, such as parameter
            servers.
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    if not text:
        return None
    try:
        values = json.loads(text)
        cluster, task = dict(values.get("cluster", {})), dict(values.get("task", {}))
        jobs = {job: list(addresses) for job, addresses in cluster.items() if addresses}
        job, index = task.get("type", "worker"), int(task.get("index", 0))
    except (AttributeError, TypeError, ValueError) as error:
        raise WorkerError(
            f"TF_CONFIG cannot be understood ({error}); expected such as {_EXAMPLE}, received "
            f"{text!r}."
        ) from error
    if unknown := sorted({*jobs, job} - {"chief", "worker"}):
        raise WorkerError(
            f"TF_CONFIG has tasks of type {', '.join(unknown)}; expected only chief and worker, "
            f"such as {_EXAMPLE}."
        )
    addresses = [*jobs.get("chief", []), *jobs.get("worker", [])]
    if len(addresses) < 2:
        return None
    if not 0 <= index < len(jobs.get(job, [])) or len(set(addresses)) < len(addresses):
        raise WorkerError(
            f"TF_CONFIG must give each worker an address of its own and say which one this is; "
            f"expected such as {_EXAMPLE}, received {text!r}."
        )
    for address in addresses:
        port = address.rpartition(":")[2] if isinstance(address, str) else ""
        if not port.isdecimal() or not 0 < int(port) < 2**16:
            raise WorkerError(f"TF_CONFIG: expected host:port for each worker, got {address!r}.")
    before = len(jobs.get("chief", [])) if job == "worker" else 0
    return Workers(tuple(addresses), before + index)


def leads():
    """Says whether this process writes and shows: alone, or as the chief of several workers.

    Raises:
        WorkerError: As `configured` does.
    """
    there = configured()
    return there is None or there.chief


def of(strategy):
    """Returns the `Workers` of a strategy of several machines; None for all others."""
    if strategy is None or not getattr(strategy.extended, "_in_multi_worker_mode", bool)():
        return None
    return configured()


def any_of(strategy, *flags):
    """Tells all workers which of these are true for any of them; each has to call it.

    Args:
        strategy: Theirs.
        *flags: Truth values.

    Returns:
        A list of as many.
    """
    import tensorflow as tf

    mine = tf.constant([float(bool(flag)) for flag in flags])
    return (_summed(strategy)(mine).numpy() > 0).tolist()


@functools.cache
def _summed(strategy):
    import tensorflow as tf

    @tf.function
    def summed(values):
        everyone = strategy.run(tf.identity, (values,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, everyone, axis=None)

    return summed


def numbers_of(strategy, number):
    """Collects a number of each worker; each has to call it.

    Args:
        strategy: Theirs.
        number: A whole number of this one.

    Returns:
        A list of them.
    """
    import tensorflow as tf

    mine = tf.constant([number], tf.int64)
    gathered = tf.function(
        lambda values: strategy.gather(strategy.run(tf.identity, (values,)), axis=0)
    )
    return gathered(mine).numpy().tolist()


def distribute(strategy, stream, batch):
    """Gives each worker its part of a stream's batches, so that it reads no image of the others'.

    Args:
        strategy: Theirs, or any.
        stream: Endless stream of `datasets`, the same on each.
        batch: Its batch, that of all devices together.

    Returns:
        What ``fit`` takes for the stream: for other strategies and other datasets, which Keras
        distributes by itself, what was given.
    """
    there = of(strategy)
    if there is None:
        return stream
    replicas = strategy.num_replicas_in_sync
    here = replicas // len(there.addresses)
    # The first ones have one more where they cannot be shared evenly, as TensorFlow does it.
    ends = [batch // replicas * (r + 1) + min(batch % replicas, r + 1) for r in range(replicas)]
    mine = ends[there.number * here :][:here]
    begin = ends[there.number * here - 1] if there.number else 0
    from deblur_keras.datasets import streams

    part = streams.part_of(stream, begin, mine[-1])
    if part is None:
        return stream
    if here > 1:
        import tensorflow as tf

        firsts = tf.constant([0, *(end - begin for end in mine[:-1])])
        behind = tf.constant([end - begin for end in mine])
        part = part.flat_map(
            lambda *sides: tf.data.Dataset.range(here).map(
                lambda r: tuple(side[firsts[r] : behind[r]] for side in sides)
            )
        ).prefetch(here)
    return strategy.distribute_datasets_from_function(lambda _: part)


@contextlib.contextmanager
def lost_named():
    """Makes what TensorFlow raises when a worker was lost into a `WorkerError` that says so.

    Yields:
        None.

    Example:
        >>> with lost_named():
        ...     pass
    """
    there = configured()
    if there is None:
        yield
        return
    import tensorflow as tf

    from deblur_keras.trainers import writing

    try:
        yield
    except (*writing.LOST, tf.errors.InternalError) as error:
        text = f"{error} {error.__cause__ or ''}"
        others = [number for number in range(len(there.addresses)) if number != there.number]
        named = [number for number in others if f"task:{number}" in text]
        connected = named or any(word in text.lower() for word in _OF_CONNECTIONS)
        if isinstance(error, tf.errors.InternalError) and not connected:
            raise  # something else is wrong, here
        named = named or others
        which = " or ".join(f"worker {number} ({there.addresses[number]})" for number in named)
        raise WorkerError(
            f"This is worker {there.number}, and {which} is gone: its own output says why. What "
            "the last checkpoint holds is kept. Start all workers again, with --resume."
        ) from error


def _listen(address):
    """Listens at the port of an address, or returns None if another does."""
    host, _, port = address.rpartition(":")
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("", int(port)))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return listener


def _answers(address):
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2.0).close()
    except OSError:
        return False
    return True

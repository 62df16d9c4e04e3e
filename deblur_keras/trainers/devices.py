"""Where a training runs: one device, or several, of one machine or more, that share each batch.

`choose` makes the ``tf.distribute`` strategy; trainers are to be made within its ``scope()``. This
module does not load TensorFlow until it must.
"""

import contextlib
import functools
import logging
import re

from deblur_keras.trainers import workers

_logger = logging.getLogger(__name__)


class DeviceError(ValueError):
    """Devices that are not there, or cannot share the work as asked."""


def parse(text):
    """Reads a choice of devices.

    Args:
        text: ``"all"`` (GPUs), ``"0,1"`` (numbers of GPUs), ``"cpu"``, or ``"cpu:2"`` (that many
            logical devices on the CPU).

    Returns:
        ``("gpu", None)`` for all, ``("gpu", (0, 1))`` for some, or ``("cpu", 2)``.

    Raises:
        DeviceError: If it is none of these.

    Example:
        >>> parse("0,1"), parse("cpu")
        (('gpu', (0, 1)), ('cpu', 1))
    """
    wanted = text.replace(" ", "").lower()
    if wanted == "all":
        return "gpu", None
    if found := re.fullmatch(r"cpu(?::([1-9]\d*))?", wanted):
        return "cpu", int(found[1] or 1)
    if re.fullmatch(r"\d+(?:,\d+)*", wanted):
        numbers = tuple(map(int, wanted.split(",")))
        if len(set(numbers)) == len(numbers):
            return "gpu", numbers
    raise DeviceError(
        f"{text!r} names no devices; expected all, numbers of GPUs such as 0 or 0,1 (each once), "
        "cpu, or cpu:2 to try out two devices on the CPU."
    )


@functools.cache
def choose(text=None):
    """Makes the strategy of a training, for the rest of the process.

    Args:
        text: As `parse` reads it; None for what TensorFlow takes by itself, the first GPU if there
            is one, else the CPU.

    Returns:
        A ``tf.distribute.Strategy`` of several devices, or None for one device. The same argument
        gives the same one again. Where ``TF_CONFIG`` names several machines, they are the devices
        of all, of each those asked for, or all its GPUs.

    Raises:
        DeviceError: If a device is not there, or TensorFlow has begun to work with others.
        WorkerError: If ``TF_CONFIG`` cannot be used, or not all machines are there in time.

    Example:
        >>> choose() is None
        True

    Note:
        ``"cpu:2"`` computes nothing faster. It is there to try out, on any machine, what several
        GPUs do.
    """
    there = workers.configured()
    if text is None:
        return _on_machines(there) if there else None
    import tensorflow as tf

    kind, wanted = parse(text)
    present = tf.config.list_physical_devices("GPU")
    if kind == "cpu":
        if there and wanted > 1:
            raise DeviceError(f"--devices {text}: of several machines, each CPU is one device.")
        _show_gpus([])
        shown, strategy = [], _on_cpu
    else:
        shown = range(len(present)) if wanted is None else wanted
        if missing := [number for number in shown if number >= len(present)]:
            seen = ", ".join(map(str, range(len(present)))) or "none"
            raise DeviceError(
                f"There is no GPU {missing[0]} for --devices {text}; TensorFlow sees: {seen}."
            )
        _show_gpus([present[number] for number in shown])
        if not present:
            _logger.warning("TensorFlow sees no GPU; training on the CPU.")
        wanted, strategy = len(shown), _on_gpus
    if there:
        return _on_machines(there)
    return strategy(wanted) if wanted > 1 else None


def _on_machines(there):
    """Makes the strategy of several machines, once all are there."""
    import tensorflow as tf

    there.meet()
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise _too_late() from error


def _on_gpus(count):
    import tensorflow as tf

    # Numbered among those that TensorFlow is shown.
    return tf.distribute.MirroredStrategy([f"GPU:{place}" for place in range(count)])


def _show_gpus(gpus):
    """Leaves TensorFlow these GPUs alone, so that it takes no memory of the others."""
    import tensorflow as tf

    if tf.config.get_visible_devices("GPU") == gpus:
        return
    try:
        tf.config.set_visible_devices(gpus, "GPU")
    except RuntimeError as error:
        raise _too_late() from error


def _on_cpu(count):
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    if len(tf.config.get_logical_device_configuration(cpu) or [None]) < count:
        devices = [tf.config.LogicalDeviceConfiguration()] * count
        try:
            tf.config.set_logical_device_configuration(cpu, devices)
        except RuntimeError as error:
            raise _too_late() from error
    # Not by collectives, of which TensorFlow keeps the shapes for the life of the process.
    devices = [f"CPU:{number}" for number in range(count)]
    return tf.distribute.MirroredStrategy(devices, tf.distribute.ReductionToOneDevice())


def _too_late():
    return DeviceError(
        "TensorFlow has begun to work with other devices than those asked for; choose them before "
        "anything is computed, at the start of the program."
    )


def scope(strategy):
    """Makes the context in which trainers for a strategy are made; None is one device."""
    return contextlib.nullcontext() if strategy is None else strategy.scope()


def replicas(strategy):
    """Counts the devices that share a batch; 1 for None."""
    return 1 if strategy is None else strategy.num_replicas_in_sync


def check_batch(batch, strategy):
    """Checks that there is work for each device.

    Args:
        batch: Images of an update, on all devices together.
        strategy: What `choose` returned.

    Raises:
        DeviceError: If a batch has fewer images than there are devices.
    """
    count = replicas(strategy)
    if batch < count:
        raise DeviceError(
            f"A batch of {batch} leaves nothing to do for some of {count} devices: the batch is "
            f"what all of them share in an update. Use --batch {count} or a multiple of it, or "
            "fewer --devices."
        )
    if batch % count:
        _logger.warning(
            "A batch of %d is not shared evenly by %d devices, and those with fewer images wait "
            "for the others; %d or %d would be.",
            *(batch, count, batch - batch % count, batch - batch % count + count),
        )

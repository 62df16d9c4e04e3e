"""Settings of every test: TensorFlow quiet, two logical CPUs, no deadlines for properties."""

import gc
import os
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import hypothesis
import keras
import pytest
import tensorflow as tf

# A busy machine is no fault of the code: how long a thing takes is measured in benchmarks/.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


def pytest_configure():
    """Splits the CPU before TensorFlow has started, the only time at which it can be."""
    # A shell that starts the tests in the background has Ctrl-C ignored, which some of them press.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    # No test cuts the power, and a busy disk can take a minute for each checkpoint.
    os.fsync = lambda descriptor: None


@pytest.fixture(scope="module", autouse=True)
def forgotten():
    """Lets go of the graphs of a file's networks, of which Keras keeps all that were ever made."""
    yield
    keras.utils.clear_session()
    gc.collect()
    gc.freeze()  # what is left stays, and need not be looked through after each file


@pytest.fixture
def mirrored():
    """Two replicas on two logical CPUs.

    Without collectives: TensorFlow keeps their shapes for the life of the process, and a second
    strategy over the same devices, as in the next test, would wait for the first one's.
    """
    devices = [device.name for device in tf.config.list_logical_devices("CPU")[:2]]
    return tf.distribute.MirroredStrategy(devices, tf.distribute.ReductionToOneDevice())

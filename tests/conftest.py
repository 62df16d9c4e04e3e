"""Settings of every test: TensorFlow quiet, two logical CPUs, no deadlines for properties."""

import gc
import os
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import hypothesis
import keras
import pytest
import tensorflow as tf
from click.testing import CliRunner

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


@pytest.fixture(scope="module")
def negative_model(tmp_path_factory):
    """A model that turns pixel p into 255 - p."""
    blurred = keras.Input((None, None, 3))
    path = tmp_path_factory.mktemp("model") / "negative.keras"
    keras.Model(blurred, keras.layers.Rescaling(-1.0)(blurred)).save(path)
    return path


@pytest.fixture
def run_deblur(negative_model, tmp_path, monkeypatch):
    """Runs `deblur-keras deblur` with it in a folder of its own; its words come back as a line."""
    from deblur_keras.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments, code=0):
        arguments = [str(argument) for argument in arguments]
        result = CliRunner().invoke(main, ["deblur", *arguments, "--model", str(negative_model)])
        assert result.exit_code == code, result.output
        return " ".join(result.output.split())

    return run

"""Chooses the engine: the quickest that is installed and works for the model."""

import logging

from deblur_keras import kernels, portable
from deblur_keras.engines.engine import EngineError

AUTO = "auto"
ENGINES = (AUTO, "tensorflow", "openvino", "onnxruntime")
"""What an engine can be asked for by."""

PRECISIONS = ("float32", "bf16")
"""What a precision can be asked for by."""

# By benchmarks/restore.py. TensorFlow follows: ONNX Runtime takes as long or a little longer for an
# image, but is ready seconds sooner.
_QUICKEST_FIRST = ("openvino", "onnxruntime")

_log = logging.getLogger(__name__)


def make(source, engine=AUTO, precision="float32"):
    """Makes the engine that restores by a network.

    With "auto" it is the quickest one that is installed and can read the network: OpenVINO, ONNX
    Runtime, TensorFlow. The first two need it in ONNX, as the weights that ship are, and which
    ``deblur-keras export --format onnx`` puts beside a ``.keras`` file. Asked for by name
    they take any other model too, and convert it once.

    Args:
        source: `deblur_keras.models.Source`.
        engine: One of `ENGINES`.
        precision: One of `PRECISIONS`; bf16 is OpenVINO's alone.

    Returns:
        `Engine`; its ``reason`` says why a quicker one was passed over.

    Raises:
        ValueError: If the engine or precision is none of the above, or they do not go together, or
            the processor cannot do bf16.
        ImportError: If the engine asked for, or what it needs to convert the model, is missing;
            tells how to install it.
        ModelError: If the model is none for restoring, or cannot be converted.
        EngineError: If the engine asked for cannot read the network.
    """
    check(engine, precision)
    if precision == "bf16" and engine == AUTO:
        engine = "openvino"  # the only one
    if engine == "tensorflow":
        return _tensorflow(source)
    if engine != AUTO:
        return _portable(engine, _content(source), precision)
    if source.portable is None:
        return _passed_over(_tensorflow(source), source.obstacle, told=source.stale)
    missing, failed = [], []
    try:
        content = _content(source)
    except portable.PortableError as error:
        return _passed_over(_tensorflow(source), str(error), told=True)
    for name in _QUICKEST_FIRST:
        try:
            chosen = _portable(name, content, precision)
        except ImportError as error:
            missing.append(str(error))
        except EngineError as error:
            failed.append(str(error))
        else:
            return _passed_over(chosen, "; ".join([*failed, *missing]), told=bool(failed))
    return _passed_over(_tensorflow(source), "; ".join([*failed, *missing]), told=bool(failed))


def check(engine, precision):
    """Checks the names of an engine and a precision, and that they go together.

    Args:
        engine: What is to be one of `ENGINES`.
        precision: What is to be one of `PRECISIONS`.

    Raises:
        ValueError: If they do not.
    """
    for label, value, known in (("engine", engine, ENGINES), ("precision", precision, PRECISIONS)):
        if value not in known:
            listed = ", ".join(repr(one) for one in known)
            raise ValueError(f"{label} must be one of {listed}; got {value!r}")
    if precision == "bf16" and engine not in (AUTO, "openvino"):
        raise ValueError(
            f"the engine {engine} has no bf16; give openvino or auto, or leave precision at float32"
        )


def fall_back(source, engine, error):
    """Replaces an engine that failed at an image, if it was chosen automatically.

    Args:
        source: `deblur_keras.models.Source`.
        engine: The `Engine` that failed.
        error: What it raised.

    Returns:
        TensorFlow's engine.

    Raises:
        ModelError: If there is no ``.keras`` file for it.
    """
    return _passed_over(_tensorflow(source), f"{engine.name} failed: {error}", told=True)


def _passed_over(engine, reason, told):
    engine.reason = reason
    if told:
        _log.warning("restoring with %s instead of a quicker engine: %s", engine.name, reason)
    return engine


def _tensorflow(source):
    from deblur_keras.engines.tensorflow import TensorFlowEngine

    return TensorFlowEngine(source.model, source.name)


def _content(source):
    """(path or bytes, `Network`) of a network in ONNX, converted if need be."""
    if source.portable is not None:
        return kernels.content(source.portable), portable.describe(source.portable)[0]
    from deblur_keras import models
    from deblur_keras.engines.conversion import convert

    converted = convert(source.model, source.name)
    return converted.SerializeToString(), models.describe(source.model, source.name)


def _portable(name, content, precision):
    if name == "openvino":
        from deblur_keras.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(*content, precision)
    from deblur_keras.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(*content)

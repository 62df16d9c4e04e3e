"""ONNX Runtime as an engine: not quicker than TensorFlow, but at work several seconds sooner."""

from deblur_keras.engines.engine import Engine, cores, failure

INSTALL = 'pip install "onnxruntime>=1.22,<2"'


class OnnxRuntimeEngine(Engine):
    """Runs an exported generator in ONNX Runtime, for all sizes.

    Args:
        content: Path of an ONNX file that `deblur_keras.export.export_onnx` wrote, or its bytes.
        network: `deblur_keras.portable.Network` that it holds.

    Raises:
        ImportError: If ONNX Runtime is missing; tells how to install it.
        EngineError: If it cannot read the file.
    """

    name = "onnxruntime"
    overhead = 1.8

    def __init__(self, content, network):
        super().__init__(network)
        self._runtime = import_onnxruntime()
        options = self._runtime.SessionOptions()
        options.log_severity_level = 3  # errors alone
        options.intra_op_num_threads = cores()
        options.enable_cpu_mem_arena = False  # it would keep room for the largest image seen
        # Threads that spin between two images would take the cores from decoding and encoding.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        content = content if isinstance(content, bytes) else str(content)
        try:
            self._session = self._runtime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors have no class in common
            raise failure(self.name, error) from error

    def values(self, blurred):
        """Runs the network itself, as `Engine` says."""
        try:
            (restored,) = self._session.run(None, {"blurred": blurred})
        except Exception as error:  # its errors have no class in common
            raise failure(self.name, error) from error
        return restored


def import_onnxruntime():
    """Imports ONNX Runtime.

    Returns:
        The module `onnxruntime`.

    Raises:
        ImportError: If it is missing; tells how to install it.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(f"The engine onnxruntime needs ONNX Runtime: {INSTALL}") from error
    return onnxruntime

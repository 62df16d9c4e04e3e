"""OpenVINO as an engine: the quickest on a processor, and the one with bf16 arithmetic."""

import functools
from collections import OrderedDict

from deblur_keras.engines.engine import Engine, EngineError, cores, failure

INSTALL = 'pip install "openvino>=2026.0,<2027"'

_SHAPES = 2  # kept ready: photographs of a folder are of one size, upright or across


class OpenVinoEngine(Engine):
    """Runs an exported generator in OpenVINO, compiled for each size of image.

    Args:
        content: Path of an ONNX file that `deblur_keras.export.export_onnx` wrote, or its bytes.
        network: `deblur_keras.portable.Network` that it holds.
        precision: ``"float32"``, or ``"bf16"`` where the processor has instructions for it.

    Raises:
        ImportError: If OpenVINO is missing; tells how to install it.
        EngineError: If it cannot read the file.
        ValueError: If the processor cannot do bf16.

    Note:
        Compiling for a size takes 0.1 to 0.3 s, once; one network for all sizes is slower by 7 %
        and takes more memory, since OpenVINO then joins fewer operations.
    """

    name = "openvino"
    overhead = 2.2
    first_run = 120_000_000

    def __init__(self, content, network, precision="float32"):
        super().__init__(network, precision)
        import_openvino()
        core = _core()
        if precision == "bf16":
            able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
            if "BF16" not in able:
                raise ValueError(
                    "this processor has no instructions for bf16, with which it would be slower "
                    "than float32; leave precision at float32"
                )
        try:
            self._model = core.read_model(content)
        except (RuntimeError, UnicodeDecodeError) as error:  # names that are no text
            raise failure(self.name, error) from error
        self._compile = core.compile_model
        self._settings = {
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bf16": "bf16"}[precision],
            "PERFORMANCE_HINT": "LATENCY",  # all cores for one image
            "INFERENCE_NUM_THREADS": cores(),
        }
        self._requests = OrderedDict()  # by (height, width), the last used at the end

    def values(self, blurred):
        """Runs the network itself, as `Engine` says."""
        try:
            request = self._request(blurred.shape)
            request.infer({0: blurred}, share_inputs=True)
            return request.get_output_tensor(0).data
        except RuntimeError as error:
            raise failure(self.name, error) from error

    def release(self):
        """Gives back the memory that is kept for images of the sizes seen last."""
        with self._lock:
            self._requests.clear()

    def _request(self, shape):
        """What runs the network for images of one size."""
        if shape not in self._requests:
            while len(self._requests) >= _SHAPES:
                self._requests.popitem(last=False)
            self._model.reshape(list(shape))
            compiled = self._compile(self._model, "CPU", self._settings)
            self._requests[shape] = compiled.create_infer_request()
        self._requests.move_to_end(shape)
        return self._requests[shape]


@functools.cache
def _core():
    """The one core of this process.

    OpenVINO gives the thread a stack for signals with each core, and unmaps it with the core: of
    two, the second to go leaves the thread without, and the next Ctrl-C ends the process.
    """
    return import_openvino().Core()


def import_openvino():
    """Imports OpenVINO.

    Returns:
        The module `openvino`.

    Raises:
        ImportError: If it is missing; tells how to install it.
    """
    try:
        import openvino
    except ImportError as error:
        raise ImportError(f"The engine openvino needs OpenVINO: {INSTALL}") from error
    if not hasattr(openvino, "Core"):
        raise EngineError(f"this version of OpenVINO is not known; {INSTALL}")
    return openvino

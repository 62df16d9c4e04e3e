"""How the kernels of small files are stored: in 8 bits, and once for both forms of a network.

Weights that ship are there for Keras (``.keras``) and for engines without it. The second is a
``.graph`` file: an ONNX file whose kernels were left out, with a note of where in the ``.keras``
file each of them stands. Put together in memory, both are an ordinary ONNX network.
"""

import io
import json
import math
import zipfile

import numpy as np

from deblur_keras import portable, wire

_LEAST = 1024  # numbers in a kernel that is left out: a note of it takes a hundred bytes
_GRAPH, _INITIALIZER = 7, 5  # fields of ONNX's ModelProto and GraphProto
_DIMS, _DATA_TYPE, _NAME, _RAW_DATA = 1, 2, 8, 9  # fields of its TensorProto
_DATA_TYPES = {"int8": 3, "float16": 10}


def levels(kernel, axis):
    """Finds how far apart 255 levels about 0 have to be to hold a kernel: powers of two.

    Args:
        kernel: Array of four axes, finite, of absolute values up to 65024.
        axis: Axis along which they may differ.

    Returns:
        float32 array that divides the kernel: of its length along ``axis``, else of length 1.
        Multiples of these, up to 127 times, are exact in 16 bits.

    Example:
        >>> float(levels(np.full((1, 1, 1, 1), 127.0), axis=-1)[0, 0, 0, 0])
        1.0
    """
    others = tuple(set(range(4)) - {axis % 4})
    largest = np.abs(kernel).max(axis=others, keepdims=True).astype(np.float64)
    return np.exp2(np.ceil(np.log2(np.maximum(largest / 127, 2.0**-24)))).astype(np.float32)


def leave_out(converted, keras_file):
    """Takes the kernels out of an ONNX network that the ``.keras`` file beside it holds too.

    Args:
        converted: ``onnx.ModelProto`` that `engines.conversion.convert` made of the file; it is
            changed.
        keras_file: Path of the ``.keras`` file, which `models.save_small` wrote.

    Returns:
        Bytes of the ``.graph`` file.
    """
    left = {}
    types = {number: name for name, number in _DATA_TYPES.items()}
    kernels = _kernels(keras_file)
    for tensor in list(converted.graph.initializer):
        if math.prod(tensor.dims) < _LEAST or tensor.data_type not in types:
            continue
        length = tensor.dims[0]
        for first in (0, length):  # the convolution of a gate's half has half a kernel
            for name, kernel in kernels.items():
                place = [first, first + length, types[tensor.data_type]]
                part = _part(kernel, *place)
                if part.shape == tuple(tensor.dims) and part.tobytes() == tensor.raw_data:
                    left[tensor.name] = [name, *place]
        if tensor.name in left:
            converted.graph.initializer.remove(tensor)
    converted.metadata_props.add(key=portable.PREFIX + portable.KERNELS, value=json.dumps(left))
    return portable.seal(converted.SerializeToString())


def content(path):
    """Reads a network for an engine.

    Args:
        path: ``.onnx`` file; or ``.graph`` file, with the ``.keras`` file of its name beside it.

    Returns:
        The path of an ``.onnx`` file as it is, or bytes.

    Raises:
        PortableError: If the files do not belong together, or are broken.
    """
    if path.suffix != portable.GRAPH:
        return path
    keras_file = path.with_suffix(".keras")
    data = path.read_bytes()
    try:
        left = json.loads(portable.read_metadata(data)[portable.KERNELS])
        kernels = _kernels(keras_file)
        tensors = [
            _tensor(name, _part(kernels[kernel], *place)) for name, (kernel, *place) in left.items()
        ]
    except (LookupError, TypeError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise portable.PortableError(
            f"{path}: its kernels are not found in {keras_file.name} ({error}); install "
            "deblur_keras anew"
        ) from error
    # Of two messages one behind the other, protocol buffers make one that has the fields of both.
    return data + wire.field(
        _GRAPH, b"".join(wire.field(_INITIALIZER, tensor) for tensor in tensors)
    )


def _kernels(keras_file):
    """Reads the kernels ``(h, w, in, out)`` of a ``.keras`` file, by name."""
    import h5py

    kernels = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset) and item.ndim == 4 and item.size >= _LEAST:
            kernels[name] = item[()].astype(np.float32)

    with zipfile.ZipFile(keras_file) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights, "r") as file:
        file.visititems(keep)
    return kernels


def _part(kernel, first, end, kind):
    """Part of a kernel as ONNX has it: ``(out, in, h, w)``."""
    part = kernel[..., first:end]
    if kind == "int8" and part.size:
        part = part / levels(part, axis=-1)
    return np.ascontiguousarray(part.transpose(3, 2, 0, 1).astype(kind))


def _tensor(name, array):
    """Writes ONNX's TensorProto."""
    written = b"".join(wire.field(_DIMS, length) for length in array.shape)
    written += wire.field(_DATA_TYPE, _DATA_TYPES[array.dtype.name])
    return written + wire.field(_NAME, name.encode()) + wire.field(_RAW_DATA, array.tobytes())

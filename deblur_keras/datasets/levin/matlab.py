"""Reads the numeric arrays of a MATLAB file, which SciPy would be needed for otherwise.

MATLAB's level 5 format, as MATLAB has written it by default since 1996: a header of 128 bytes,
then elements, each a type, a size and its data, padded to 8 bytes; an array is an element of
elements, and may be wrapped in one that is compressed.

Reference:
    "MAT-File Format", The MathWorks.
"""

import math
import struct
import zlib

import numpy as np

_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"} | {
    12: "i8",
    13: "u8",
}
_MATRIX, _COMPRESSED = 14, 15
_NUMERIC_CLASSES = range(6, 16)  # double, single, then the integers
_COMPLEX = 0x0800


def read_arrays(data):
    """Reads the real numeric arrays of a MATLAB file of level 5.

    Args:
        data: Bytes of the file.

    Returns:
        Dictionary from the variables' names to float64 arrays. Variables of other kinds (text,
        structures, complex numbers) are left out.

    Raises:
        ValueError: The bytes are no such file, or are cut off.

    Example:
        >>> read_arrays(b"text")
        Traceback (most recent call last):
            ...
        ValueError: expected a MATLAB file of level 5, as MATLAB 5 to 7 write it
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise ValueError("expected a MATLAB file of level 5, as MATLAB 5 to 7 write it")
    try:
        return dict(_arrays(data, 128, order))
    except (struct.error, zlib.error, TypeError) as error:
        raise ValueError(f"a broken MATLAB file ({error})") from error


def _arrays(data, place, order):
    for kind, content in _elements(data, place, order):
        if kind == _COMPRESSED:
            yield from _arrays(zlib.decompress(content), 0, order)
        elif kind == _MATRIX:
            parts = _elements(content, 0, order)
            flags = np.frombuffer(next(parts)[1], f"{order}u4")[0]
            shape = np.frombuffer(next(parts)[1], f"{order}i4")
            name = next(parts)[1].decode("ascii")
            if flags & 0xFF in _NUMERIC_CLASSES and not flags & _COMPLEX:
                number, content = next(parts)
                values = np.frombuffer(content, order + _NUMBERS[number]).astype(np.float64)
                if values.size != math.prod(shape):
                    raise ValueError(f"{name}: expected {shape} values, got {values.size}")
                yield name, values.reshape(shape, order="F")


def _elements(data, place, order):
    """Yields ``(type, data)`` of the elements."""
    while place < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, place)
        if kind >> 16:  # a small element: size and type in one word, the data in the other
            kind, size, start, stop = kind & 0xFFFF, kind >> 16, place + 4, place + 8
        else:
            start = place + 8
            # Compressed elements alone are not padded.
            stop = start + size + (0 if kind == _COMPRESSED else -size % 8)
        if start + size > len(data):
            raise ValueError("a MATLAB file that is cut off")
        yield kind, data[start : start + size]
        place = stop

"""Protocol buffers on the wire, as far as ONNX files need to be read and completed without onnx."""

_VARINT, _BYTES = 0, 2  # wire types
_FIXED = {1: 8, 5: 4}  # bytes by wire type


def fields(data):
    """Reads the texts, bytes and messages among the fields of a message.

    Args:
        data: memoryview of it.

    Yields:
        (number of the field, memoryview of its value).

    Raises:
        IndexError: If it is no message, or cut off.

    Example:
        >>> [(number, bytes(value)) for number, value in fields(memoryview(field(8, b"name")))]
        [(8, b'name')]
    """
    position = 0
    while position < len(data):
        tag, position = _read_varint(data, position)
        kind = tag & 7
        if kind == _BYTES:
            length, position = _read_varint(data, position)
            if position + length > len(data):
                raise IndexError("cut off")
            yield tag >> 3, data[position : position + length]
            position += length
        elif kind == _VARINT:
            _, position = _read_varint(data, position)
        elif kind in _FIXED:
            position += _FIXED[kind]
        else:
            raise IndexError(f"wire type {kind}")


def field(number, value):
    """Writes a field.

    Args:
        number: Of the field.
        value: Bytes, of a text or a message too, or a whole number of at least 0.

    Returns:
        Bytes.

    Example:
        >>> list(field(1, 300))
        [8, 172, 2]
    """
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _read_varint(data, position):
    """Reads a whole number of 7 bits a byte, the lowest first: (number, position behind it)."""
    number = shift = 0
    while True:
        byte = data[position]
        number |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return number, position


def _varint(number):
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes([*written, number])

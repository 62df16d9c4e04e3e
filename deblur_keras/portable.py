"""What an exported ONNX file says of the network in it, read without any framework.

A generator is exported to ONNX so that it restores without Keras and TensorFlow. What the layers
would tell (the sizes it takes, how far it sees, the memory that it needs) and which ``.keras`` file
it was made from stand in the file's metadata.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import deblur_keras
from deblur_keras import wire

FORMAT = 2
"""Version of the metadata. A file of another version is not read."""

PREFIX = "deblur_keras."
"""Begins the keys of the metadata that are this library's."""

GRAPH = ".graph"
"""Ends the names of files whose kernels are in the ``.keras`` file: see `deblur_keras.kernels`."""

KERNELS = "kernels"
"""Key of their metadata: JSON, {tensor: [data set in the ``.keras`` file, first, end, type]}."""

_SEAL = "seal"  # key of the last entry of the metadata, the SHA-256 of all bytes before it
_METADATA = 14  # field of ONNX's ModelProto, a list of (key, value)
_KEY, _VALUE = 1, 2  # fields of its entries


class PortableError(ValueError):
    """A file that is no generator exported to ONNX, or not one that can be read here."""


@dataclass(frozen=True)
class Network:
    """Describes a generator as far as restoring needs to know.

    Attributes:
        name: Its name.
        multiple: What heights and widths must be multiples of.
        halo: Pixels that a window needs around its core for the result of the whole image; None if
            windows do not do, because a layer looks at the whole image.
        bytes_per_pixel: Memory of the tensors that exist at the same time, for each pixel.
    """

    name: str
    multiple: int
    halo: int | None
    bytes_per_pixel: float


def metadata(network, keras_sha256=""):
    """Makes the metadata of an exported file.

    Args:
        network: `Network`.
        keras_sha256: SHA-256 of the ``.keras`` file that it is made from, as `sha256` gives it;
            empty if there is none.

    Returns:
        Dictionary of texts.

    Example:
        >>> metadata(Network("mine", 4, None, 804.25))["deblur_keras.size_multiple"]
        '4'
    """
    values = {
        "format": FORMAT,
        "version": deblur_keras.__version__,
        "name": network.name,
        "size_multiple": network.multiple,
        "tile_halo": "" if network.halo is None else network.halo,
        "bytes_per_pixel": network.bytes_per_pixel,
        "keras_sha256": keras_sha256,
    }
    return {PREFIX + key: str(value) for key, value in values.items()}


def seal(data):
    """Adds to an exported file's metadata what tells later whether it is as it was written.

    Args:
        data: The file's bytes, without a seal.

    Returns:
        The bytes to write.
    """
    return data + _sealed_by(data)


def _sealed_by(data):
    entry = (_KEY, PREFIX + _SEAL), (_VALUE, hashlib.sha256(data).hexdigest())
    return wire.field(_METADATA, b"".join(wire.field(key, text.encode()) for key, text in entry))


_SEAL_LENGTH = len(_sealed_by(b""))


def describe(path):
    """Reads what an exported file says of its network.

    Args:
        path: ONNX file written by `deblur_keras.export.export_onnx`.

    Returns:
        `Network` and the SHA-256 of the ``.keras`` file that it was made from, maybe empty.

    Raises:
        PortableError: If it is no such file, or of another version, or not as it was written;
            tells what to do.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        values = read_metadata(data)
    except OSError as error:
        raise PortableError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (IndexError, UnicodeDecodeError) as error:
        raise PortableError(f"{path}: not an ONNX file, or cut off") from error
    if not values:
        raise PortableError(
            f"{path}: not a generator that deblur_keras exported; expected a file written by "
            "`deblur-keras export MODEL --format onnx -o MODEL.onnx`"
        )
    if values.get("format") != str(FORMAT):
        raise PortableError(
            f"{path}: has the format {values.get('format')!r} of deblur_keras "
            f"{values.get('version')}, expected {FORMAT}; export it again with this version"
        )
    if not data.endswith(_sealed_by(memoryview(data)[:-_SEAL_LENGTH])):
        raise PortableError(
            f"{path}: was changed or damaged after it was exported, so that it may restore wrongly;"
            " export it again"
        )
    if KERNELS in values and path.suffix != GRAPH:
        raise PortableError(f"{path}: has no kernels; give the .keras file that it lay beside")
    try:
        network = Network(
            name=values["name"],
            multiple=int(values["size_multiple"]),
            halo=int(values["tile_halo"]) if values["tile_halo"] else None,
            bytes_per_pixel=float(values["bytes_per_pixel"]),
        )
        return network, values["keras_sha256"]
    except (KeyError, ValueError) as error:
        raise PortableError(f"{path}: its metadata are broken ({error}); export it again") from None


def sha256(path):
    """Computes the SHA-256 of a file.

    Args:
        path: The file.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: If it cannot be read.
    """
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def beside(path):
    """Finds the file for other engines that belongs to a ``.keras`` file, and is up to date.

    Args:
        path: The ``.keras`` file.

    Returns:
        Path of the file of the same name that is an ``.onnx`` file, or that of weights which ship,
        a ``.graph`` file (see `deblur_keras.kernels`).

    Raises:
        PortableError: If there is none, or it was made from another ``.keras`` file.
    """
    path = Path(path)
    portable = path.with_suffix(".onnx")
    make = f"`deblur-keras export {path} --format onnx -o {portable} --overwrite` makes it"
    there = [one for one in (portable, path.with_suffix(GRAPH)) if one.is_file()]
    if not there:
        raise MissingError(f"{portable}: there is no such file; {make}")
    try:
        digest = sha256(path)
    except OSError as error:
        raise PortableError(f"{path}: cannot be read: {error.strerror or error}") from error
    obstacle = None
    for one in there:
        try:
            if describe(one)[1] == digest:
                return one
            raise PortableError(f"{one}: was made from another {path.name}; {make} anew")
        except PortableError as error:
            obstacle = obstacle or error
    raise obstacle


class MissingError(PortableError):
    """There is no exported file beside a ``.keras`` file, which is nothing to worry about."""


def read_metadata(data):
    """Reads this library's metadata in an ONNX file; the network itself is skipped.

    Args:
        data: The file's bytes.

    Returns:
        Dictionary of texts, whose keys are those of `metadata` without `PREFIX`, and of the seal.

    Raises:
        IndexError: If it is no ONNX file, or cut off.
        UnicodeDecodeError: The same.
    """
    found = {}
    for field, value in wire.fields(memoryview(data)):
        if field == _METADATA:
            entry = dict(wire.fields(value))
            key, text = (bytes(entry.get(number, b"")).decode() for number in (_KEY, _VALUE))
            if key.startswith(PREFIX):
                found[key.removeprefix(PREFIX)] = text
    return found

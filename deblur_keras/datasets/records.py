"""Reads single images out of a prepared TFDS dataset, in any order, without TensorFlow.

`tf.data` reads TFRecord files from front to back, and `tfds.data_source` reads another format,
which ``tfds.load`` in turn cannot stream. So the files are walked once, from header to header
without touching the images, to note where each image's bytes lie; reading one is then one seek.
Only that index is in memory.

A record is: its length (8 bytes, little endian), a checksum of that (4), the data, a checksum of
them (4). The data are a ``tf.train.Example`` in Protocol Buffers' wire format.

Reference:
    https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
    https://protobuf.dev/programming-guides/encoding
"""

import dataclasses
import struct
from pathlib import Path

from deblur_keras import images
from deblur_keras.datasets.layouts import DatasetError

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5  # wire types
_HEADER = struct.Struct("<QI")
_FOOTER = 4


@dataclasses.dataclass(frozen=True)
class Stored:
    """Says where the bytes of one value lie.

    Attributes:
        path: The file.
        offset: Of the first byte.
        length: Number of bytes.
        name: What it is called in errors, for example ``"GOPR0374_11_00/000001 sharp"``.
    """

    path: Path
    offset: int
    length: int
    name: str = ""

    @property
    def source(self):
        """What it is called in errors, and nothing else is."""
        return f"{self.name or f'byte {self.offset}'} in {self.path}"

    def read(self):
        """Reads the bytes.

        Raises:
            DatasetError: The file is gone or shorter than it was.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read(self.length)
        except OSError as error:
            raise DatasetError(
                f"{self.source}: cannot be read: {error.strerror}; prepare the dataset again",
                self.source,
            ) from error
        if len(data) < self.length:
            raise DatasetError(
                f"{self.source}: has been cut off; prepare the dataset again", self.source
            )
        return data

    def decode(self):
        """Reads the image that the bytes are.

        Returns:
            uint8 RGB array ``(H, W, 3)``.

        Raises:
            ImageError: They are no image, or a broken one.
            DatasetError: The file is gone or shorter than it was.
        """
        return images.decode(self.read(), self.source)


@dataclasses.dataclass(frozen=True)
class Record:
    """Holds where a blurred and a sharp image of a prepared dataset lie.

    It has what a `Pair` has for training and scoring: a name and `read`.

    Attributes:
        name: What tells this pair from the others, for example ``"GOPR0374_11_00/000001"``.
        blurred: `Stored` blurred image.
        sharp: `Stored` sharp image.
        frames: Tuple of `Stored`: all sharp frames of a shot of Koehler's dataset, in their order;
            empty for other datasets.
    """

    name: str
    blurred: Stored
    sharp: Stored
    frames: tuple[Stored, ...] = ()

    def read(self):
        """Reads both images.

        Returns:
            ``(blurred, sharp)``, uint8 RGB arrays of one shape ``(H, W, 3)``.

        Raises:
            ImageError: An image is broken.
            DatasetError: A file is, or the two sizes differ.
        """
        blurred, sharp = self.blurred.decode(), self.sharp.decode()
        if blurred.shape != sharp.shape:
            source = f"{self.name} in {self.blurred.path}"
            raise DatasetError(
                f"{source}: expected two images of one size (height, width), got"
                f" {blurred.shape[:2]} and {sharp.shape[:2]}",
                source,
            )
        return blurred, sharp

    def read_frame(self, number):
        """Reads one of the frames.

        Args:
            number: Its place in ``frames``, from 0.

        Returns:
            uint8 RGB array ``(H, W, 3)``.
        """
        return self.frames[number].decode()


def sources(pair):
    """Lists what the images of a pair are read from.

    Args:
        pair: A `Pair` or `Record`.

    Returns:
        Tuple of paths or of `Stored`: the blurred and the sharp one; one alone of which both are
        halves.
    """
    return tuple(dict.fromkeys((pair.blurred, pair.sharp)))


def read(source):
    """Reads one of `sources`; returns a uint8 RGB array ``(H, W, 3)``."""
    return source.decode() if isinstance(source, Stored) else images.read(source)


def where(source):
    """Says of one of `sources` where it lies."""
    return f"{source.name} in {source.path}" if isinstance(source, Stored) else str(source)


def index(path, features):
    """Finds the values of all examples of a TFRecord file.

    Args:
        path: The file.
        features: Names of the features wanted, of bytes.

    Returns:
        List, an entry an example: dictionary from the features to lists of `Stored`.

    Raises:
        DatasetError: The file is missing, cut off, or no TFRecord file of examples.
    """
    path = Path(path)
    found = []
    try:
        with path.open("rb") as file:
            size, place = path.stat().st_size, 0
            while place < size:
                file.seek(place)
                length, _ = _HEADER.unpack(file.read(_HEADER.size))
                start = place + _HEADER.size
                place = start + length + _FOOTER
                if place > size:
                    raise ValueError("cut off")
                found.append(_values(file, path, start, start + length, features))
    except (OSError, ValueError, IndexError, struct.error) as error:
        raise DatasetError(
            f"{path}: expected a whole TFRecord file of examples ({error}); prepare the dataset"
            " again"
        ) from error
    return found


def _values(file, path, start, stop, features):
    """Returns where the wanted features of one ``tf.train.Example`` lie."""
    found = {}
    for number, *example in _fields(file, start, stop):
        if number != 1:  # Example.features
            continue
        for _, *entry in _fields(file, *example):  # map<string, Feature>
            key, value = None, None
            for field, first, last in _fields(file, *entry):
                if field == 1:
                    file.seek(first)
                    key = file.read(last - first).decode()
                else:
                    value = first, last
            if key in features and value:
                found[key] = [
                    Stored(path, first, last - first)
                    for kind, *of_kind in _fields(file, *value)
                    if kind == 1  # Feature.bytes_list
                    for _, first, last in _fields(file, *of_kind)
                ]
    return found


def _fields(file, place, stop):
    """Yields ``(number, start, stop)`` of the fields of a message that have a length."""
    while place < stop:
        file.seek(place)
        tag = _varint(file)
        kind = tag & 7
        if kind == _BYTES:
            length = _varint(file)
            start = file.tell()
            place = start + length
            if place > stop:
                raise ValueError("a field is longer than its message")
            yield tag >> 3, start, place
        elif kind == _VARINT:
            _varint(file)
            place = file.tell()
        elif kind in (_FIXED_64, _FIXED_32):
            place = file.tell() + (8 if kind == _FIXED_64 else 4)
        else:
            raise ValueError(f"a field of unknown kind {kind}")


def _varint(file):
    value = shift = 0
    while True:
        byte = file.read(1)[0]
        value |= (byte & 127) << shift
        if byte < 128:
            return value
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")

"""Looks at the first bytes of an image: its size, and what will be done to make it 8-bit RGB."""

import dataclasses
import io
import struct
from pathlib import Path

from PIL import Image

from deblur_keras import images
from deblur_keras.images.deep import is_16_bit
from deblur_keras.images.formats import READABLE

_ORIENTATION = 0x0112  # EXIF tag
_LYING = (5, 6, 7, 8)  # its values that exchange width and height
_FRONT = 1 << 16  # bytes in which nearly all headers end
_CONVERSIONS = {
    "CMYK": "is in CMYK; it is converted to RGB without its colour profile",
    "deep": "has 16 bits a channel; they are rounded to 8",
    "grey": "is grey; all three channels are made equal",
}
# What Pillow's plugins raise on bytes that are no image, or not all of it.
_ERRORS = (OSError, SyntaxError, ValueError, KeyError, EOFError, struct.error)


@dataclasses.dataclass(frozen=True)
class Header:
    """Holds what the first bytes of an image say.

    Attributes:
        width: Pixels, as displayed.
        height: Pixels, as displayed.
        orientation: The EXIF orientation, 1 where there is none.
        kind: ``"CMYK"``, ``"deep"`` (16 bits a channel) or ``"grey"``; None for 8-bit colours.
    """

    width: int
    height: int
    orientation: int
    kind: str | None

    @property
    def size(self):
        """The width and the height."""
        return self.width, self.height

    @property
    def conversion(self):
        """Says what reading does to the pixels, or None."""
        return _CONVERSIONS.get(self.kind)


def peek(source):
    """Reads the header of an image, and none of its pixels.

    Args:
        source: Path of a file, or a `records.Stored`.

    Returns:
        `Header`.

    Raises:
        ImageError: The file is missing, or no image.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = images.write(Path(folder) / "1.png", np.zeros((2, 3), np.uint8))
        ...     peek(path)
        Header(width=3, height=2, orientation=1, kind='grey')
    """
    path, start, length = _place(source)
    try:
        with path.open("rb") as file:
            file.seek(start)
            front = file.read(_FRONT if length is None else min(length, _FRONT))
            try:
                return _parse(front)
            except _ERRORS:  # a long colour profile, or no image
                return _parse(front + file.read(-1 if length is None else length - len(front)))
    except (*_ERRORS, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or "its header is broken or of no known format"
        raise images.ImageError(
            f"{name(source)}: cannot be read: {reason}", name(source)
        ) from error


def identity(source):
    """Returns a text that only this image has, and one that changes when its file does.

    The first is the path and the place in the file. The second is the file's size and two times: of
    its last change as programs may set it, and of the last change of anything about it, which no
    program sets. So what was written over with another file's size and time, as by ``cp -p``, is
    noticed. Renaming a file, or changing its owner or permissions, changes the second time too.

    Args:
        source: Path of a file, or a `records.Stored`.

    Raises:
        OSError: The file is missing.

    Example:
        >>> identity(__file__) == identity(__file__)
        True
    """
    path, start, length = _place(source)
    state = path.stat()
    return (
        f"{path.absolute()}|{start}|{length}",
        f"{state.st_size}|{state.st_mtime_ns}|{state.st_ctime_ns}",
    )


def name(source):
    """Returns what an image is called in messages.

    Args:
        source: Path of a file, or a `records.Stored`.

    Example:
        >>> name("blur/1.png")
        'blur/1.png'
    """
    return source.source if hasattr(source, "offset") else str(source)


def _place(source):
    """Returns the path, the first byte, and the number of bytes; None is all."""
    if hasattr(source, "offset"):
        return source.path, source.offset, source.length
    return Path(source), 0, None


def _parse(front):
    with Image.open(io.BytesIO(front), formats=READABLE) as picture:
        # Pillow decodes a whole PNG to look for EXIF behind its pixels; only look in front.
        exif = picture.getexif() if picture.format != "PNG" or "exif" in picture.info else {}
        orientation = exif.get(_ORIENTATION, 1)
        width, height = picture.size
        if orientation in _LYING:
            width, height = height, width
        return Header(width, height, orientation, _kind(picture, front))


def _kind(picture, front):
    if picture.mode == "CMYK":
        return "CMYK"
    if is_16_bit(picture, front):
        return "deep"
    return "grey" if picture.mode in ("1", "L", "LA") else None

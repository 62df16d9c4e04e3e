"""Reads and writes photographs: uint8 RGB on one side, float32 in [-1, 1] on the other.

Every conversion between pixels and network values happens here, and rounds. Reading turns what
cameras and editors write (EXIF orientation, grey, palettes, alpha, 16 bits, CMYK) into one plain
form; writing is atomic, so that an interrupted run never leaves half a file.
"""

from deblur_keras.images.files import Source, atomic_path, find, write_bytes
from deblur_keras.images.formats import SUFFIXES, ImageError, known_suffixes
from deblur_keras.images.plain import decode, read, write
from deblur_keras.images.values import resize, to_float, to_uint8

__all__ = [
    "SUFFIXES",
    "ImageError",
    "Source",
    "atomic_path",
    "decode",
    "find",
    "known_suffixes",
    "read",
    "resize",
    "to_float",
    "to_uint8",
    "write",
    "write_bytes",
]

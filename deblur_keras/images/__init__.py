"""Reads and writes photographs: pixels on one side, float32 in [-1, 1] on the other.

Every conversion between pixels and network values happens here, and rounds. `read` and `write`
turn what cameras and editors write (EXIF orientation, grey, palettes, alpha, 16 bits, CMYK) into
one plain form, uint8 RGB, for training and scoring. `open_photograph` and `save_photograph` keep
what a photograph is besides: 16 bits, alpha, its colour profile and what it says about itself.
Writing is atomic, so that an interrupted run never leaves half a file.
"""

from deblur_keras.images.atomic import atomic_path, remove_leftovers, write_bytes
from deblur_keras.images.files import Source, check_regular, find, reason
from deblur_keras.images.formats import (
    PHOTOGRAPH_SUFFIXES,
    RAW_SUFFIXES,
    RESULT_SUFFIXES,
    SUFFIXES,
    ImageError,
    known_suffixes,
)
from deblur_keras.images.opening import MAX_PIXELS, open_photograph
from deblur_keras.images.photograph import Photograph
from deblur_keras.images.plain import decode, read, write
from deblur_keras.images.saving import check_saving, save_photograph
from deblur_keras.images.values import resize, to_8_bits, to_float, to_uint8, to_uint16

__all__ = [
    "MAX_PIXELS",
    "PHOTOGRAPH_SUFFIXES",
    "RAW_SUFFIXES",
    "RESULT_SUFFIXES",
    "SUFFIXES",
    "ImageError",
    "Photograph",
    "Source",
    "atomic_path",
    "check_regular",
    "check_saving",
    "decode",
    "find",
    "known_suffixes",
    "open_photograph",
    "read",
    "reason",
    "remove_leftovers",
    "resize",
    "save_photograph",
    "to_8_bits",
    "to_float",
    "to_uint8",
    "to_uint16",
    "write",
    "write_bytes",
]

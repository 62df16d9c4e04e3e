"""Decodes 16 bits a channel, which Pillow would cut off at the high byte."""

import numpy as np

_BITS_PER_SAMPLE = 258  # TIFF tag


def is_16_bit(picture, data):
    """Says whether an opened PNG or TIFF has 16 bits a channel that only OpenCV keeps."""
    if picture.format == "PNG":
        return data[24] == 16  # the IHDR chunk's bit depth
    if picture.format == "TIFF" and picture.mode != "CMYK":
        return set(picture.tag_v2.get(_BITS_PER_SAMPLE, (1,))) == {16}
    return False


def decode_rounded(data):
    """Rounds 16 bits to 8; Pillow would cut colours off at the high byte, OpenCV keeps all bits."""
    import cv2

    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("cannot decode its 16-bit pixels")
    pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=-1)
    return pixels[..., 2::-1]  # BGR or BGRA -> RGB

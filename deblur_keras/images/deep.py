"""Decodes 16 bits a channel, which Pillow would cut off at the high byte."""

import numpy as np

from deblur_keras.images import tiff

_WHITE_IS_ZERO = 0  # photometric interpretation
_GREY = 1
_SEPARATE = 2  # planar configuration: one channel after the other
_PREMULTIPLIED = 1  # extra samples: alpha that the colours are multiplied with
_SIZ = b"\xff\x4f\xff\x51"  # a JPEG 2000 codestream begins with this


def is_16_bit(picture, data):
    """Says whether a PNG, TIFF or JPEG 2000 file has 16 bits a channel, which OpenCV keeps.

    Args:
        picture: The file as Pillow has opened it.
        data: Bytes of the file, or its first ones.

    Returns:
        bool.
    """
    if picture.format == "PNG":
        return data[24] == 16  # the IHDR chunk's bit depth
    if picture.format == "TIFF" and picture.mode != "CMYK":
        return set(picture.tag_v2.get(tiff.BITS_PER_SAMPLE, (1,))) == {16}
    if picture.format == "JPEG2000":
        start = data.find(_SIZ)
        return start >= 0 and data[start + 42 : start + 43] == bytes([15])  # bits, less one
    return False


def decode(data, kind):
    """Decodes 16 bits a channel.

    Args:
        data: Bytes of the file.
        kind: Pillow's name of its format.

    Returns:
        uint16 array (H, W), (H, W, 3) RGB, or (H, W, 4) RGBA; grey with alpha is RGBA too. The
        pixels of a TIFF are upright, those of other formats as they are stored.

    Raises:
        ValueError: The pixels are of a kind that cannot be decoded.
    """
    if kind != "TIFF":
        return _decode(data)
    reader = tiff.Reader(data)
    entries = reader.directory(reader.first).entries

    def tag(number, default):
        return (*reader.integers(entries.get(number)), default)[0]

    if tag(tiff.PLANAR, 1) == _SEPARATE and tag(tiff.SAMPLES_PER_PIXEL, 1) > 1:
        pixels = _decode_planes(data, reader, entries)
    else:
        pixels = _decode(data)
    if pixels.ndim == 2 and tag(tiff.PHOTOMETRIC, _GREY) == _WHITE_IS_ZERO:
        pixels = 65535 - pixels
    if pixels.ndim == 3 and pixels.shape[2] == 4 and tag(tiff.EXTRA_SAMPLES, 0) == _PREMULTIPLIED:
        alpha = np.maximum(pixels[..., 3:], 1).astype(np.uint32)
        colours = (pixels[..., :3].astype(np.uint32) * 65535 + alpha // 2) // alpha
        pixels = np.dstack([np.minimum(colours, 65535).astype(np.uint16), pixels[..., 3]])
    return pixels


def _decode(data):
    import cv2

    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("cannot decode its 16-bit pixels")
    if pixels.ndim == 2:
        return pixels
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]  # BGR or BGRA -> RGB or RGBA


def _decode_planes(data, reader, entries):
    """Decodes each channel as a grey picture; OpenCV takes them all for parts of the first."""
    if reader.order != "<" or reader.big:
        raise ValueError(
            "its channels are stored one after the other, in big-endian order or in a BigTIFF; "
            "save it with interleaved channels"
        )
    offsets = tiff.TILE_OFFSETS if tiff.TILE_OFFSETS in entries else tiff.STRIP_OFFSETS
    sizes = tiff.TILE_BYTES if tiff.TILE_OFFSETS in entries else tiff.STRIP_BYTES
    (channels,) = reader.integers(entries[tiff.SAMPLES_PER_PIXEL])
    planes = []
    for channel in range(min(channels, 4)):
        tree = {**entries, tiff.PLANAR: tiff.integers(tiff.SHORT, 1)}
        tree |= {
            tiff.BITS_PER_SAMPLE: tiff.integers(tiff.SHORT, 16),
            tiff.SAMPLES_PER_PIXEL: tiff.integers(tiff.SHORT, 1),
            tiff.PHOTOMETRIC: tiff.integers(tiff.SHORT, _GREY),
        }
        for number in (tiff.EXTRA_SAMPLES, tiff.SAMPLE_FORMAT):
            tree.pop(number, None)
        for number in (offsets, sizes):
            values = reader.integers(entries[number])
            each = len(values) // channels
            part = values[channel * each : (channel + 1) * each]
            tree[number] = tiff.integers(tiff.LONG, *part)
        planes.append(_decode(tiff.with_directory(data, tree)))
    return np.dstack(planes)

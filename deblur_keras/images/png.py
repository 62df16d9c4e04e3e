"""Puts a colour profile, EXIF, XMP and a resolution into a PNG file.

Reference:
    PNG Specification, third edition (W3C, 2025), section 11.3; XMP part 3, section 1.1.5.
"""

import struct
import zlib

_HEADER = 8 + 25  # bytes: the signature, and the IHDR chunk that comes first
_INCH = 0.0254  # m


def with_metadata(data, icc=None, exif=None, xmp=None, dpi=None):
    """Inserts chunks behind the header of a PNG file.

    Args:
        data: Bytes of a PNG file without such chunks.
        icc: Colour profile, bytes or None.
        exif: EXIF block from its TIFF header on, bytes or None.
        xmp: XMP packet, bytes or None.
        dpi: Pixels an inch, (x, y), or None.

    Returns:
        Bytes of the new file.

    Example:
        >>> from deblur_keras.images.encoding import encode
        >>> import numpy as np
        >>> plain = encode("PNG", np.zeros((2, 2), "uint8"))
        >>> with_metadata(plain, exif=b"II*").count(b"eXIf")
        1
    """
    chunks = []
    if icc:
        chunks.append(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)))
    if dpi:
        metres = (min(round(value / _INCH), 2**31 - 1) for value in dpi)
        chunks.append(_chunk(b"pHYs", struct.pack(">LLB", *metres, 1)))
    if exif:
        chunks.append(_chunk(b"eXIf", exif))
    if xmp:
        chunks.append(_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))
    return b"".join([data[:_HEADER], *chunks, data[_HEADER:]])


def _chunk(name, data):
    return b"".join(
        [struct.pack(">L", len(data)), name, data, struct.pack(">L", zlib.crc32(name + data))]
    )

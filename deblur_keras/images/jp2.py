"""Reads and writes the boxes of a JPEG 2000 file that hold its profile, EXIF and XMP.

Reference:
    ISO/IEC 15444-1, annex I (boxes, colour specification); XMP part 3, section 1.1.7; the UUID
    of EXIF is the one that exiftool and Adobe's programs use.
"""

import struct

_SIGNATURE = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
_EXIF = b"JpgTiffExif->JP2"
_XMP = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")
_RESTRICTED_ICC = b"\x02\x00\x00"  # method 2, precedence, approximation


def metadata(data):
    """Finds the colour profile, EXIF and XMP in a JPEG 2000 file.

    Args:
        data: Bytes of the file; a bare codestream holds none.

    Returns:
        (icc, exif, xmp), each bytes or None; EXIF from its TIFF header on.

    Example:
        >>> metadata(b"no boxes")
        (None, None, None)
    """
    icc = exif = xmp = None
    for kind, body in _boxes(data) if data.startswith(_SIGNATURE) else ():
        if kind == b"jp2h":
            profiles = [
                part for name, part in _boxes(body) if name == b"colr" and part[:1] == b"\2"
            ]
            icc = bytes(profiles[0][3:]) if profiles else None
        elif kind == b"uuid" and body[:16] == _EXIF:
            exif = bytes(body[16:]).removeprefix(b"Exif\0\0")
        elif kind == b"uuid" and body[:16] == _XMP:
            xmp = bytes(body[16:])
    return icc or None, exif or None, xmp or None


def with_metadata(data, icc=None, exif=None, xmp=None):
    """Puts a colour profile, EXIF and XMP into a JPEG 2000 file.

    Args:
        data: Bytes of a JP2 file without them.
        icc: Colour profile, bytes or None; it takes the place of the plain colour space.
        exif: EXIF block from its TIFF header on, bytes or None.
        xmp: XMP packet, bytes or None.

    Returns:
        Bytes of the new file.
    """
    parts = [(b"uuid", _EXIF + exif)] if exif else []
    parts += [(b"uuid", _XMP + xmp)] if xmp else []
    boxes = []
    for kind, body in _boxes(data):
        if kind == b"jp2h" and icc:
            body = b"".join(
                _box(name, _RESTRICTED_ICC + icc if name == b"colr" else part)
                for name, part in _boxes(body)
            )
        boxes.append(_box(kind, body))
        if kind == b"jp2h":  # before the pixels, which nobody then has to read past
            boxes += [_box(*part) for part in parts]
    return b"".join(boxes)


def codestream(data):
    """Returns the bare codestream in the bytes of a JP2 file."""
    return next(bytes(body) for kind, body in _boxes(data) if kind == b"jp2c")


def _boxes(data):
    """Yields (kind, content) of each box; ends where what follows is none."""
    view, at = memoryview(data), 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">L4s", data, at)
        head = 8
        if length == 1 and at + 16 <= len(data):
            (length,), head = struct.unpack_from(">Q", data, at + 8), 16
        elif length == 0:  # to the end of the file
            length = len(data) - at
        if length < head or at + length > len(data):
            return
        yield kind, view[at + head : at + length]
        at += length


def _box(kind, body):
    if len(body) + 8 >= 2**32:
        return struct.pack(">L4sQ", 1, kind, len(body) + 16) + bytes(body)
    return struct.pack(">L4s", len(body) + 8, kind) + bytes(body)

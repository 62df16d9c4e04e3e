"""Collects what a file says about its photograph, and makes it fit the restored one.

The photograph is written upright, so the orientation goes; the small pictures inside EXIF and XMP
show it unrestored, so they go too. All else stays the bytes that it was, in its place, because
makers' notes point into the block with offsets of their own.
"""

import math
import re
import struct
from typing import NamedTuple

from deblur_keras.images import jp2, tiff

_PREFIX = b"Exif\0\0"
_PIXEL_WIDTH, _PIXEL_HEIGHT = 0xA002, 0xA003  # in the EXIF directory
_PARTS = ((0x0201, 0x0202), (tiff.STRIP_OFFSETS, tiff.STRIP_BYTES))  # where a thumbnail's bytes are
_ORIENTATION = re.compile(rb'(tiff:Orientation(?:\s*=\s*["\']|>)\s*)[2-8]')
_THUMBNAILS = re.compile(rb"<xmp:Thumbnails\b.*?</xmp:Thumbnails>", re.DOTALL)
# The tags of a TIFF file that describe the photograph, not how its pixels are stored.
_DESCRIPTIVE = frozenset(
    (
        *(269, 270, 271, 272, 282, 283, 285, 296, 305, 306, 315, 316),  # names, dates, resolution
        *(18246, 18249, 33432, 33723, *range(40091, 40096)),  # ratings, copyright, IPTC, Windows'
        *(tiff.EXIF, tiff.GPS),
    )
)


class Metadata(NamedTuple):
    """Holds what a file says about its photograph, each part None where there is none.

    Attributes:
        icc: Colour profile, bytes.
        exif: EXIF block from its TIFF header on, bytes.
        xmp: XMP packet, bytes.
        dpi: Pixels an inch, (x, y).
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple | None = None


def collect(picture, data):
    """Finds the metadata in a file.

    Args:
        picture: The file as Pillow has opened and loaded it.
        data: Its bytes.

    Returns:
        `Metadata`, as it is in the file.
    """
    info = picture.info
    if picture.format == "JPEG2000":
        icc, exif, xmp = jp2.metadata(data)
    else:
        exif = info.get("exif") or _raw_profile(info.get("Raw profile type exif"))
        xmp = info.get("xmp") or _raw_profile(info.get("Raw profile type xmp"))
        if picture.format == "TIFF":  # of `info`, Pillow has cut the orientation out by now
            exif, xmp = from_tiff(data), picture.tag_v2.get(tiff.XMP)
        icc = info.get("icc_profile")
    return Metadata(
        icc if isinstance(icc, bytes) and len(icc) >= 128 else None,
        exif.removeprefix(_PREFIX) if isinstance(exif, bytes) and exif else None,
        xmp if isinstance(xmp, bytes) and xmp else None,
        _resolution(info.get("dpi")),
    )


def upright(metadata, width, height):
    """Makes metadata fit the photograph as it will be written.

    Args:
        metadata: `Metadata`.
        width: Pixels of the upright photograph.
        height: Pixels of the upright photograph.

    Returns:
        `Metadata` without orientation and thumbnails, and with the new size. An EXIF block that
        is broken is left out.
    """
    exif, xmp = metadata.exif, metadata.xmp
    if exif:
        try:
            exif = _upright_exif(bytearray(exif), width, height)
        except tiff.TiffError:
            exif = None
    if xmp:
        xmp = _THUMBNAILS.sub(b"", _ORIENTATION.sub(rb"\g<1>1", xmp))
    return metadata._replace(exif=exif, xmp=xmp)


def from_tiff(data):
    """Makes an EXIF block of what a TIFF file, or a camera's raw file like it, says.

    Args:
        data: Bytes of the file.

    Returns:
        Bytes from the TIFF header on, or None where it says nothing.

    Example:
        >>> from_tiff(tiff.file({tiff.WIDTH: tiff.integers(tiff.SHORT, 9)})) is None
        True
    """
    tree = _described(data)
    return tiff.file(tree) if tree else None


def into_tiff(data, metadata):
    """Puts metadata into a TIFF file.

    Args:
        data: Bytes of a little-endian TIFF file without any.
        metadata: `Metadata`.

    Returns:
        Bytes of the new file.

    Raises:
        TiffError: It would be larger than 4 GB.
    """
    reader = tiff.Reader(data)
    tree = reader.tree(reader.first)
    if metadata.dpi:
        tree[tiff.RESOLUTION_UNIT] = tiff.integers(tiff.SHORT, 2)  # an inch
        sides = zip((tiff.X_RESOLUTION, tiff.Y_RESOLUTION), metadata.dpi, strict=True)
        tree |= {tag: tiff.rational(value) for tag, value in sides}
    if metadata.exif:
        tree |= _described(metadata.exif)
    if metadata.icc:
        tree[tiff.ICC] = tiff.Entry(tiff.UNDEFINED, len(metadata.icc), metadata.icc)
    if metadata.xmp:
        tree[tiff.XMP] = tiff.Entry(tiff.BYTE, len(metadata.xmp), metadata.xmp)
    return tiff.with_directory(data, tree)


def _described(data):
    try:
        reader = tiff.Reader(data)
        tree = reader.tree(reader.first)
    except tiff.TiffError:
        return {}
    return {tag: entry for tag, entry in tree.items() if tag in _DESCRIPTIVE}


def _upright_exif(block, width, height):
    reader = tiff.Reader(block)
    first = reader.directory(reader.first)
    pointer = reader.integers(first.entries.get(tiff.EXIF))
    inner = reader.directory(pointer[0]).entries if pointer else {}
    for entries, tags in (
        (first.entries, (tiff.WIDTH, tiff.LENGTH)),
        (inner, (_PIXEL_WIDTH, _PIXEL_HEIGHT)),
    ):
        for tag, side in zip(tags, (width, height), strict=True):
            letter = {tiff.SHORT: "H", tiff.LONG: "L"}.get(tag in entries and entries[tag].kind)
            if letter and entries[tag].count == 1 and (letter == "L" or side < 2**16):
                struct.pack_into(reader.order + letter, block, entries[tag].place, side)
    _drop_thumbnail(reader, block, first)
    _drop_entry(reader, block, tiff.ORIENTATION)
    return bytes(block)


def _drop_thumbnail(reader, block, first):
    """Ends the list of directories after the first, and blanks the picture in the second."""
    if not first.following:
        return
    number = struct.unpack_from(reader.order + "H", block, first.start - 2)[0]
    try:
        entries = reader.directory(first.following).entries
    except tiff.TiffError:
        entries = {}
    struct.pack_into(reader.order + "L", block, first.start + 12 * number, 0)
    for offsets, sizes in _PARTS:
        starts = reader.integers(entries.get(offsets))
        lengths = reader.integers(entries.get(sizes))
        for start, length in zip(starts, lengths, strict=False):
            end = min(start + length, len(block))
            if end == len(block) and start >= 8:  # as nearly always
                del block[start:]
            elif start >= 8:
                block[start:end] = bytes(max(end - start, 0))


def _drop_entry(reader, block, tag):
    """Takes an entry out of the first directory; what lies behind the table stays in its place."""
    (number,) = struct.unpack_from(reader.order + "H", block, reader.first)
    start = reader.first + 2
    for place in range(start, start + 12 * number, 12):
        if struct.unpack_from(reader.order + "H", block, place)[0] == tag:
            end = start + 12 * number + 4  # with the pointer to the next directory
            block[place : end - 12] = block[place + 12 : end]
            block[end - 12 : end] = bytes(12)
            struct.pack_into(reader.order + "H", block, reader.first, number - 1)
            return


def _raw_profile(text):
    """Decodes how ImageMagick keeps EXIF and XMP in the text of a PNG: a name, a length, hex."""
    try:
        return bytes.fromhex("".join(text.split("\n")[3:])) if text else None
    except ValueError:
        return None


def _resolution(dpi):
    try:
        horizontal, vertical = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    fine = all(math.isfinite(value) and value >= 1 for value in (horizontal, vertical))
    return (horizontal, vertical) if fine else None

"""Reads and writes the directories that TIFF files and EXIF blocks consist of.

Both are one structure: a header, and directories of tagged values that point at each other by
offsets. Pillow's own classes build values anew and so lose what they do not know; here values stay
the bytes that they are, which keeps what cameras write.

Reference:
    TIFF 6.0 (Adobe, 1992), section 2; BigTIFF as libtiff documents it; EXIF 2.32, section 4.6.
"""

import struct
from typing import NamedTuple

WIDTH, LENGTH, BITS_PER_SAMPLE, PHOTOMETRIC = 256, 257, 258, 262
STRIP_OFFSETS, ORIENTATION, SAMPLES_PER_PIXEL, STRIP_BYTES = 273, 274, 277, 279
X_RESOLUTION, Y_RESOLUTION, PLANAR, RESOLUTION_UNIT = 282, 283, 284, 296
TILE_OFFSETS, TILE_BYTES, EXTRA_SAMPLES, SAMPLE_FORMAT = 324, 325, 338, 339
SUBFILE, XMP, ICC, DNG_VERSION = 254, 700, 34675, 50706
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965
_POINTERS = (EXIF, GPS, INTEROPERABILITY)  # to directories of their own

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}  # of BigTIFF
_WORDS = {5: 4, 10: 4}  # bytes that are swapped together, where that is not the size
_INTEGERS = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}


class TiffError(ValueError):
    """A directory that is not what TIFF says."""


class Entry(NamedTuple):
    """Holds a tagged value.

    Attributes:
        kind: Number of the TIFF type.
        count: Number of values of that type.
        data: Their bytes, in the byte order of the file.
        place: Where the value lies in the file.
    """

    kind: int
    count: int
    data: bytes
    place: int = 0


class Directory(NamedTuple):
    """Holds a directory.

    Attributes:
        entries: Dictionary from tag to `Entry`. One that points outside the file is left out.
        start: Where the table of entries begins in the file, behind their number.
        following: Where the next directory lies, 0 for none.
    """

    entries: dict
    start: int
    following: int


class Reader:
    """Reads the directories of a TIFF file or an EXIF block.

    Args:
        data: Bytes from the header on, which is ``II`` or ``MM``.

    Attributes:
        order: ``"<"`` or ``">"``, as `struct` writes it.
        big: Whether this is a BigTIFF.
        first: Where the first directory lies.

    Raises:
        TiffError: There is no such header.

    Example:
        >>> block = file({WIDTH: integers(SHORT, 7)})
        >>> reader = Reader(block)
        >>> reader.integers(reader.directory(reader.first).entries[WIDTH])
        (7,)
    """

    def __init__(self, data):
        self.data = data
        self.order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]))
        if self.order is None or len(data) < 8:
            raise TiffError("expected a TIFF header")
        self.big = self._unpack("H", 2)[0] == 43
        self.first = self._unpack("Q", 8)[0] if self.big else self._unpack("L", 4)[0]

    def directory(self, offset):
        """Reads one directory.

        Args:
            offset: Where it lies.

        Returns:
            `Directory`.

        Raises:
            TiffError: It lies outside the file, or is cut off.
        """
        (number,) = self._unpack("Q" if self.big else "H", offset)
        start = offset + (8 if self.big else 2)
        step, count_format, inline = (20, "Q", 8) if self.big else (12, "L", 4)
        if start + number * step > len(self.data):
            raise TiffError("a directory is cut off")
        entries = {}
        for place in range(start, start + number * step, step):
            tag, kind = self._unpack("HH", place)
            (count,) = self._unpack(count_format, place + 4)
            length = _SIZES.get(kind, 0) * count
            at = place + 4 + inline
            if length > inline:
                (at,) = self._unpack(count_format, at)
            if kind in _SIZES and at + length <= len(self.data):
                entries[tag] = Entry(kind, count, bytes(self.data[at : at + length]), at)
        (following,) = self._unpack(count_format, start + number * step)
        return Directory(entries, start, following)

    def integers(self, entry):
        """Returns the values of an entry of integers; empty for any other."""
        letter = _INTEGERS.get(entry.kind) if entry else None
        return struct.unpack(f"{self.order}{entry.count}{letter}", entry.data) if letter else ()

    def tree(self, offset, depth=0):
        """Reads a directory together with those for EXIF and GPS that it points at.

        Args:
            offset: Where it lies.
            depth: How many directories this one is below the first.

        Returns:
            Dictionary from tag to `Entry` in little-endian order, or to such a dictionary.
        """
        tree = {}
        for tag, entry in self.directory(offset).entries.items():
            pointed = self.integers(entry) if tag in _POINTERS else ()
            if not pointed:
                tree[tag] = entry._replace(data=self._little(entry), place=0)
            elif depth < len(_POINTERS):  # a loop ends
                try:
                    tree[tag] = self.tree(pointed[0], depth + 1)
                except TiffError:
                    continue
        return tree

    def _little(self, entry):
        size = _WORDS.get(entry.kind, _SIZES[entry.kind])
        if self.order == "<" or size == 1:
            return entry.data
        words = range(0, len(entry.data), size)
        return b"".join(entry.data[at : at + size][::-1] for at in words)

    def _unpack(self, letters, offset):
        try:
            return struct.unpack_from(self.order + letters, self.data, offset)
        except (struct.error, OverflowError):
            raise TiffError("a value lies outside the file") from None


def integers(kind, *values):
    r"""Makes a little-endian entry of integers.

    Args:
        kind: `BYTE`, `SHORT` or `LONG`.
        *values: The integers.

    Returns:
        `Entry`.

    Example:
        >>> integers(SHORT, 1, 2).data
        b'\x01\x00\x02\x00'
    """
    return Entry(kind, len(values), struct.pack(f"<{len(values)}{_INTEGERS[kind]}", *values))


def rational(value):
    """Makes a little-endian entry of one positive fraction, to four decimals.

    Args:
        value: The number.

    Returns:
        `Entry`.

    Example:
        >>> struct.unpack("<LL", rational(72).data)
        (720000, 10000)
    """
    return Entry(RATIONAL, 1, struct.pack("<LL", min(round(value * 10_000), 2**32 - 1), 10_000))


def directory(tree, offset):
    """Builds the bytes of a little-endian directory, and of those that it points at.

    Args:
        tree: Dictionary from tag to `Entry`, or to such a dictionary, as `Reader.tree` returns.
        offset: Even offset at which the directory will lie.

    Returns:
        Bytes of even length: the table, then what it points at.

    Example:
        >>> len(directory({WIDTH: integers(SHORT, 7)}, 8))
        18
    """
    table, behind = [struct.pack("<H", len(tree))], []
    at = offset + 2 + 12 * len(tree) + 4
    for tag, entry in sorted(tree.items()):
        if isinstance(entry, dict):
            data, kind, count, field = directory(entry, at), LONG, 1, struct.pack("<L", at)
        else:
            data, kind, count = entry.data, entry.kind, entry.count
            field = struct.pack("<L", at)
            if len(data) <= 4:
                field, data = data.ljust(4, b"\0"), b""
        table.append(struct.pack("<HHL", tag, kind, count) + field)
        behind.append(data + b"\0" * (len(data) % 2))
        at += len(behind[-1])
    return b"".join([*table, bytes(4), *behind])


def file(tree):
    r"""Builds a whole block, such as EXIF is: a header and one directory.

    Args:
        tree: As `directory` takes it.

    Returns:
        Bytes.

    Example:
        >>> file({})[:4]
        b'II*\x00'
    """
    return b"II*\0" + struct.pack("<L", 8) + directory(tree, 8)


def with_directory(data, tree):
    """Appends a directory to a little-endian TIFF file and makes it the first.

    Args:
        data: Bytes of the file; its other directories are left behind unused.
        tree: As `directory` takes it; offsets in it are those in `data`.

    Returns:
        Bytes of the new file.

    Raises:
        TiffError: It would be larger than the 4 GB that TIFF can point at.
    """
    start = len(data) + len(data) % 2
    table = directory(tree, start) if start < 2**32 else b""
    if start + len(table) >= 2**32:
        raise TiffError("TIFF ends at 4 GB")
    return b"".join([b"II*\0", struct.pack("<L", start), data[8:], b"\0" * (len(data) % 2), table])

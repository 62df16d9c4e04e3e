"""Opens the archives that datasets are published as, and tells a wrong or half one in seconds.

A builder first lists what is in an archive (the table of contents of a zip is read in a second, 30
GB of images are not), pairs it up and counts it; only then does it copy. What is missing is told
with what was expected and where to get it.
"""

import dataclasses
import hashlib
import io
import itertools
import logging
import os
import tarfile
import zipfile
import zlib
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from deblur_keras import images
from deblur_keras.datasets import downloads
from deblur_keras.datasets.layouts import DatasetError

PARTIAL = "DEBLUR_KERAS_PARTIAL_DATA"
"""Environment variable; set to 1, datasets are built from a part of their archive, as it is."""

_SHOWN = 5  # names listed in an error
_BLOCK = 1 << 20
_PNG = b"\x89PNG\r\n\x1a\n"

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Published:
    """Says what is known of an archive as its authors publish it.

    Attributes:
        file: Name of the archive's file.
        page: Where a person gets it.
        size: About how large it is, for people: ``"9.5 GB"``.
        url: Address from which it can be fetched without a person, or None.
        checksum: ``"sha256:..."`` or ``"md5:..."`` of the file at ``url``; None where not known.
        folders: Names that the unpacked folder may have; ``"."`` is the manual folder itself, which
            counts when it holds all of ``marks``.
        marks: Files or folders that tell the unpacked archive.
        unpack: Command that unpacks it, for what Python cannot read in place.
    """

    file: str
    page: str
    size: str
    url: str | None = None
    checksum: str | None = None
    folders: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    unpack: str | None = None


class Archive:
    """Lists and reads the files of an archive: a zip as it is, anything else as an unpacked folder.

    Args:
        path: The zip file, or the folder.
        published: `Published`, for the messages.

    Attributes:
        path: As given.
        published: As given.
        names: Tuple of the files' names in sorted order, ``/`` between folders.

    Raises:
        DatasetError: The file is no whole zip archive.

    Example:
        >>> import tempfile
        >>> published = Published("set.zip", "https://example.org", "1 kB")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = images.write_bytes(Path(folder) / "train" / "1.png", b"pixels")
        ...     archive = Archive(folder, published)
        ...     archive.names, archive.read("train/1.png")
        (('train/1.png',), b'pixels')
    """

    def __init__(self, path, published):
        self.path = Path(path)
        self.published = published
        if self.path.is_dir():
            self._zip = None
            names = [source.relative.as_posix() for source in images.find(self.path, None)]
        else:
            self._zip = self._open()
            # Some programs of Windows write its separator, which no zip should have.
            entries = {entry.filename.replace("\\", "/"): entry for entry in self._zip.infolist()}
            self._entries = entries
            names = [name for name in entries if name[-1:] != "/" and not _is_hidden(name)]
        self.names = tuple(sorted(names))

    def read(self, name):
        """Reads one file, of which a zip checks its CRC-32.

        Args:
            name: One of ``names``.

        Returns:
            Its bytes.

        Raises:
            DatasetError: The file is damaged or has vanished.
        """
        try:
            if self._zip:
                return self._zip.read(self._entries[name])
            return (self.path / name).read_bytes()
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DatasetError(
                f"{self.path}: {name} is damaged ({error}). {again(self.published)}"
            ) from error

    def read_image(self, name):
        """Reads one file that is an image, and makes sure that it is a whole one.

        A file that was cut off while it was unpacked would be copied as it is, and met in the
        middle of training. Of a PNG the checksums are compared, which takes a twentieth of the
        time of decoding it; anything else is decoded.

        Args:
            name: As `read` takes it.

        Returns:
            Its bytes.

        Raises:
            DatasetError: It is damaged, or no image.
        """
        data = self.read(name)
        try:
            if data.startswith(_PNG):
                with Image.open(io.BytesIO(data)) as picture:
                    picture.verify()
            else:
                images.decode(data, name)
        except UnidentifiedImageError:
            reason = "broken PNG file"
        except (OSError, SyntaxError, ValueError, EOFError) as error:  # Pillow's, and ImageError
            reason = str(error).removeprefix(f"{name}: ") or "empty"
        else:
            return data
        raise DatasetError(f"{self.path}: {name} is damaged ({reason}). {again(self.published)}")

    def _open(self):
        try:
            return zipfile.ZipFile(self.path)
        except (OSError, zipfile.BadZipFile) as error:
            raise DatasetError(
                f"{self.path}: expected the whole {self.published.file} of"
                f" {self.published.size}, got {human_size(self.path.stat().st_size)}:"
                f" {_what_it_is(self.path, error)}. {again(self.published)}"
            ) from error


def locate(download_manager, published):
    """Finds archives in the manual folder, packed or unpacked, or downloads and verifies them.

    Args:
        download_manager: `tfds.download.DownloadManager`.
        published: List of `Published`.

    Returns:
        Dictionary from the files' names to `Archive`.

    Raises:
        DatasetError: An archive is not there and cannot be downloaded, has to be unpacked first, or
            is not what it should be.
    """
    manual = _manual_folder(download_manager, all(one.url for one in published))
    places = {one.file: _in_folder(manual, one) for one in published}
    # All that is there is opened before anything is downloaded: what is wrong is told first.
    found = {one.file: Archive(places[one.file], one) for one in published if places[one.file]}
    absent = [one for one in published if one.file not in found]
    for one in absent:
        if not one.url:
            raise DatasetError(_not_there(manual, one))
    if absent:
        downloaded = downloads.fetch(download_manager, {one.file: one.url for one in absent})
        for one in absent:
            found[one.file] = Archive(Path(downloaded[one.file]), one)
            verify(found[one.file].path, one)
    return found


def verify(path, published):
    """Compares a downloaded file with the published checksum.

    Args:
        path: The file.
        published: `Published`; without a checksum nothing is done.

    Raises:
        DatasetError: They differ.

    Example:
        >>> import tempfile
        >>> digest = "sha256:" + hashlib.sha256(b"whole").hexdigest()
        >>> published = Published("set.zip", "https://example.org", "1 kB", checksum=digest)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     verify(images.write_bytes(Path(folder) / "set.zip", b"whole"), published)
    """
    if not published.checksum:
        return
    algorithm, _, expected = published.checksum.partition(":")
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != expected:
        raise DatasetError(
            f"{path}: expected {published.file} with {algorithm} {expected}, got"
            f" {digest.hexdigest()}. Delete the file. {again(published)}"
        )


def check_pairs(pairs, sides, expected, archive, pattern, what="pairs"):
    """Checks that the pairs of an archive are complete and no copies, before anything is copied.

    Args:
        pairs: Dictionary from splits to dictionaries from the pairs' names to dictionaries from
            sides to ``(archive, member)``, as the builder found them.
        sides: The sides that every pair must have.
        expected: Dictionary from splits to numbers of pairs.
        archive: `Archive` in which they were found, for the messages.
        pattern: What the builder looked for, for people.
        what: What is counted, for people.

    Raises:
        DatasetError: There are no pairs, sides are missing, two sides have the same bytes in all of
            the few pairs that are looked at, or there are more or fewer pairs than the published
            archive has; with the environment variable ``PARTIAL`` at 1, other numbers are only
            logged.

    Example:
        >>> import tempfile
        >>> published = Published("set.zip", "https://example.org", "1 kB")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("blur/1.png", "sharp/1.png"):
        ...         _ = images.write_bytes(Path(folder) / name, name.encode())
        ...     archive = Archive(folder, published)
        ...     sides = {"blur": (archive, "blur/1.png"), "sharp": (archive, "sharp/1.png")}
        ...     check_pairs({"train": {"1": sides}}, sides, {"train": 1}, archive, "*.png")
    """
    published = archive.published
    if not any(pairs.values()):
        raise DatasetError(
            f"{archive.path} is not {published.file}: looked for {pattern}; there are:"
            f" {_some(archive.names) or 'no files'}. {again(published)}"
        )
    for split, found in pairs.items():
        for side in sides:
            if missing := sorted(name for name, pair in found.items() if side not in pair):
                raise DatasetError(
                    f"{archive.path}: {len(missing)} of {len(found)} {what} of {split} have no"
                    f" {side} image: {_some(missing)}. {again(published)}"
                )
        _refuse_copies(found, sides, archive)
    numbers = {split: len(pairs.get(split, ())) for split in expected}
    if numbers == expected:
        return
    listed = [
        " and ".join(f"{number} {split}" for split, number in counts.items())
        for counts in (expected, numbers)
    ]
    message = f"{archive.path}: expected {listed[0]} {what}, found {listed[1]}"
    if os.environ.get(PARTIAL) == "1":
        _logger.warning("%s; %s=1, so it is built from these", message, PARTIAL)
        return
    raise DatasetError(
        f"{message}. {again(published)} To build from a part on purpose, set {PARTIAL}=1."
    )


def _refuse_copies(found, sides, archive):
    """Raises when two sides are the same files in the first, the middle and the last pair."""
    names = sorted(found)
    sample = [found[names[index]] for index in {0, len(names) // 2, len(names) - 1} if names]
    for one, other in itertools.combinations(sides, 2):
        if sample and all(
            len({archive.read(member) for archive, member in (pair[one], pair[other])}) == 1
            for pair in sample
        ):
            raise DatasetError(
                f"{archive.path}: the {one} and the {other} image are the same file, byte by byte,"
                f" in all {len(sample)} pairs looked at, such as {names[0]}: a network would learn"
                f" to change nothing. {again(archive.published)}"
            )


def again(published):
    """Says where to get an archive.

    Args:
        published: `Published`.

    Returns:
        A sentence.

    Example:
        >>> again(Published("set.zip", "https://example.org", "1 kB"))
        'Get set.zip (1 kB) again from https://example.org .'
    """
    return f"Get {published.file} ({published.size}) again from {published.page} ."


def human_size(size):
    """Formats a number of bytes.

    Args:
        size: The number.

    Example:
        >>> human_size(512), human_size(9540000000)
        ('512 bytes', '9.5 GB')
    """
    if size < 1000:
        return f"{size} bytes"
    power = 1 if size < 10**6 else 2 if size < 10**9 else 3
    return f"{size / 1000**power:.1f} {('kB', 'MB', 'GB')[power - 1]}"


def _manual_folder(download_manager, may_miss):
    """Returns the manual folder; None when there is none, or it is empty, and none is needed."""
    try:
        return Path(download_manager.manual_dir)
    except AssertionError as error:
        if may_miss:
            return None
        raise DatasetError(str(error)) from error


def _in_folder(manual, published):
    """Returns where an archive lies in the manual folder, or None."""
    if manual is None:
        return None
    for name in published.folders:
        folder = manual / name
        marked = all((folder / mark).exists() for mark in published.marks)
        if folder.is_dir() and (marked or name != "."):
            return folder
    path = manual / published.file
    if not path.exists():
        return None
    if published.unpack:
        raise DatasetError(f"{path}: unpack it first, with: cd {path.parent} && {published.unpack}")
    return path


def _not_there(manual, published):
    wanted = [published.file, *(f"{name}/" for name in published.folders if name != ".")]
    there = sorted(entry.name + "/" * entry.is_dir() for entry in manual.iterdir())
    return (
        f"{manual}: expected {' or '.join(wanted)}; there are: {_some(there)}. Get"
        f" {published.file} ({published.size}) from {published.page} ."
        + (f" Unpack it there, with: {published.unpack}" if published.unpack else "")
    )


def _what_it_is(path, error):
    """Guesses from its first bytes what a file is that is no zip."""
    with path.open("rb") as file:
        head = file.read(64).lstrip()
    if head[:1] == b"<":
        return "it is a web page, as file hosts send in place of a large file"
    if head[:2] == b"PK":
        return "its end, where a zip keeps its table of contents, is missing: a download cut off"
    if tarfile.is_tarfile(path):
        return "it is a tar archive; unpack it into a folder"
    return f"it is no zip archive ({error})"


def _is_hidden(name):
    return name.startswith("__MACOSX/") or any(part.startswith(".") for part in name.split("/"))


def _some(names):
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

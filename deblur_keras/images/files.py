"""Finds the files that a user means, and reads them."""

import errno
import glob
import itertools
import logging
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from deblur_keras.images.formats import SUFFIXES, ImageError

_logger = logging.getLogger(__name__)

_FULL = "free some, or write to another disk"
_DENIED = "change the permissions, or choose another folder"
_CURES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: "write to another folder",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EISDIR: "expected a file",
    errno.ENOENT: "check the name, and whether it was moved",
    errno.EEXIST: "a file stands where a folder is needed; choose another name",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another name",
    errno.ELOOP: "a link leads back to itself; name the file that is meant",
}
_KINDS = {
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


@dataclass(frozen=True)
class Source:
    """A file to work on.

    Attributes:
        path: where the file is.
        relative: its place below the folder it was found in, which an output tree keeps; a bare
            name for a file that was named itself.
    """

    path: Path
    relative: Path


def read_bytes(path):
    """Reads a whole file, and notices when it is being written meanwhile.

    Args:
        path: file to read.

    Returns:
        bytes.

    Raises:
        ImageError: the file is missing, a folder, a pipe, a device, may not be read, or changed.

    Example:
        >>> import tempfile
        >>> from deblur_keras import images
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     read_bytes(images.write_bytes(Path(folder) / "1.png", b"PNG"))
        b'PNG'
    """
    path = Path(path)
    try:
        check_regular(path)
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            data = file.read()
            after = os.fstat(file.fileno())
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {reason(error)}", path) from error
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    if not same or len(data) != after.st_size:
        message = f"{path}: changed while it was read; wait until it is written, and run again"
        raise ImageError(message, path)
    return data


def check_regular(path):
    """Refuses what is no file although it has a name: to open it might wait for ever.

    Args:
        path: what is to be read.

    Raises:
        ImageError: it is a pipe, a socket or a device.
        OSError: there is nothing that can be looked at.

    Example:
        >>> check_regular(__file__)
    """
    mode = os.stat(path).st_mode  # noqa: PTH116 - Path.stat is the same call
    kind = _KINDS.get(stat.S_IFMT(mode))
    if kind:
        raise ImageError(f"{path}: is a {kind}, not a file; copy what it gives into one", path)


def reason(error):
    """Says in one line what the operating system refused, and what to do about it.

    Args:
        error: An `OSError`.

    Returns:
        str.

    Example:
        >>> reason(OSError(errno.ENOSPC, "No space left on device"))
        'No space left on device; free some, or write to another disk'
    """
    text = error.strerror or str(error)
    cure = _CURES.get(error.errno)
    return f"{text}; {cure}" if cure else text


def find(paths, suffixes=SUFFIXES, unreadable=None):
    """Lists the files that are meant by files, folders and patterns, in a steady order.

    Folders are searched to the bottom, in sorted order, without hidden entries and without
    following links to folders. A pattern (`photos/*/blur`, `**` too) is expanded here, for
    callers whose shell did not. A file reached twice is listed once.

    Args:
        paths: a path or an iterable of paths, `str` or `pathlib.Path`.
        suffixes: the lower-case suffixes to list; None lists every file.
        unreadable: callable that is given the `OSError` of each folder that cannot be searched;
            None logs a warning.

    Returns:
        List of `Source`, relative to the folder given or to the part of a pattern before `*`.

    Raises:
        ImageError: something given does not exist, or a pattern matches nothing.

    Example:
        >>> import tempfile
        >>> from deblur_keras import images
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = images.write_bytes(Path(folder) / "trip" / "a.jpg", b"")
        ...     _ = images.write_bytes(Path(folder) / "notes.txt", b"")
        ...     [source.relative.as_posix() for source in find(folder)]
        ['trip/a.jpg']
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    found, missing = {}, []
    for given in paths:
        sources = _expand(Path(given), unreadable or _warn)
        if sources is None:
            missing.append(str(given))
            continue
        for source in sources:
            if suffixes is None or source.path.suffix.lower() in suffixes:
                found.setdefault(os.path.abspath(source.path), source)  # noqa: PTH100 - keeps links
    if missing:
        names = ", ".join(missing)
        raise ImageError(f"not found: {names}; expected files, folders or patterns that match some")
    return list(found.values())


def _warn(error):
    _logger.warning("%s: not searched: %s", error.filename, reason(error))


def _expand(given, unreadable):
    """Sources meant by one path or pattern; None when there is nothing there."""
    try:
        if given.is_dir():
            return _walk(given, given, unreadable)
        if given.exists() or given.is_symlink():  # a link that leads nowhere fails when it is read
            return [Source(given, Path(given.name))]
    except OSError as error:
        raise ImageError(f"{given}: cannot be found: {reason(error)}") from error
    if not glob.has_magic(str(given)):
        return None
    # Not Path.glob, which also matches hidden names.
    matches = sorted(map(Path, glob.glob(str(given), recursive=True)))  # noqa: PTH207
    plain = itertools.takewhile(lambda part: not glob.has_magic(part), given.parts)
    root, sources = Path(*plain), []
    for match in matches:
        if match.is_dir():
            sources += _walk(match, root, unreadable)
        else:
            sources.append(Source(match, match.relative_to(root)))
    return sources if matches else None


def _walk(folder, root, unreadable):
    """Files below `folder`, sorted, hidden ones left out, named relative to `root`."""
    sources = []
    for parent, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                path = Path(parent, name)
                sources.append(Source(path, path.relative_to(root)))
    return sources

"""Finds the files that a user means, and writes files whole or not at all."""

import contextlib
import errno
import glob
import itertools
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from deblur_keras.images.formats import SUFFIXES, ImageError

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
    errno.EEXIST: "a file stands where a folder is needed; choose another name",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another name",
    errno.ELOOP: "a link leads back to itself; name the file that is meant",
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
        ImageError: the file is missing, a folder, may not be read, or changed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     read_bytes(write_bytes(Path(folder) / "1.png", b"PNG"))
        b'PNG'
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            data = file.read()
            after = os.fstat(file.fileno())
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {reason(error)}", path) from error
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    if not same or (stat.S_ISREG(after.st_mode) and len(data) != after.st_size):
        message = f"{path}: changed while it was read; wait until it is written, and run again"
        raise ImageError(message, path)
    return data


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


def write_bytes(path, data):
    """Writes bytes to a file whole or not at all, making the folders above it.

    Args:
        path: file to write; an existing one is replaced.
        data: bytes-like object.

    Returns:
        The path written, a `pathlib.Path`.

    Raises:
        OSError: the file system refuses.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_bytes(Path(folder) / "new" / "scores.json", b"{}").read_bytes()
        b'{}'
    """
    path = Path(path)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return path


@contextlib.contextmanager
def atomic_path(path):
    r"""Gives a temporary path that becomes `path` when the block ends well.

    The temporary file lies in the same folder (the folders above are made), has a hidden name and
    the same suffix, and the permissions that any new file gets. When the block raises, Ctrl-C
    included, it is removed and `path` is as it was before.

    Args:
        path: the file that is to exist afterwards; an existing one is replaced.

    Yields:
        `pathlib.Path` of the (empty) temporary file to write to.

    Raises:
        OSError: the file system refuses.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_path(Path(folder) / "table.csv") as temporary:
        ...         _ = temporary.write_text("name,psnr\n")
        ...     [file.name for file in Path(folder).iterdir()]
        ['table.csv']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".deblur-{secrets.token_hex(8)}{path.suffix}"
    # Not tempfile.mkstemp: its files are private (0600); 0666 lets the umask decide as usual.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        os.replace(temporary, path)  # noqa: PTH105 - Path.replace is the same call
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def find(paths, suffixes=SUFFIXES):
    """Lists the files that are meant by files, folders and patterns, in a steady order.

    Folders are searched to the bottom, in sorted order, without hidden entries and without
    following links to folders. A pattern (`photos/*/blur`, `**` too) is expanded here, for
    callers whose shell did not. A file reached twice is listed once.

    Args:
        paths: a path or an iterable of paths, `str` or `pathlib.Path`.
        suffixes: the lower-case suffixes to list; None lists every file.

    Returns:
        List of `Source`, relative to the folder given or to the part of a pattern before `*`.

    Raises:
        ImageError: something given does not exist, or a pattern matches nothing.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = write_bytes(Path(folder) / "trip" / "a.jpg", b"")
        ...     _ = write_bytes(Path(folder) / "notes.txt", b"")
        ...     [source.relative.as_posix() for source in find(folder)]
        ['trip/a.jpg']
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    found, missing = {}, []
    for given in paths:
        sources = _expand(Path(given))
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


def _expand(given):
    """Sources meant by one path or pattern; None when there is nothing there."""
    if given.is_dir():
        return _walk(given, given)
    if given.exists():
        return [Source(given, Path(given.name))]
    if not glob.has_magic(str(given)):
        return None
    # Not Path.glob, which also matches hidden names.
    matches = sorted(map(Path, glob.glob(str(given), recursive=True)))  # noqa: PTH207
    plain = itertools.takewhile(lambda part: not glob.has_magic(part), given.parts)
    root, sources = Path(*plain), []
    for match in matches:
        if match.is_dir():
            sources += _walk(match, root)
        else:
            sources.append(Source(match, match.relative_to(root)))
    return sources if matches else None


def _walk(folder, root):
    """Files below `folder`, sorted, hidden ones left out, named relative to `root`."""
    sources = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                path = Path(parent, name)
                sources.append(Source(path, path.relative_to(root)))
    return sources

"""Writes files whole or not at all, and removes what killed runs have left of them."""

import contextlib
import os
import re
import secrets
import stat
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be renamed either
    fcntl = None

_TEMPORARY = re.compile(r"\.deblur-[0-9a-f]{16}(\.[^/]*)?")
_FORGOTTEN = 86400  # seconds after which a file that cannot be locked belongs to no run


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
    included, it is removed and `path` is as it was before. It is locked as long as this process
    lives, so that `remove_leftovers` knows those of killed ones.

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
    with contextlib.ExitStack() as stack:
        temporary = _new_file(path, stack)
        try:
            yield temporary
            os.replace(temporary, path)  # noqa: PTH105 - Path.replace is the same call
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def remove_leftovers(folder):
    """Removes the temporary files of `atomic_path` that killed runs have left in a folder.

    Those of runs that are still at work are locked and stay. Where the file system or the
    operating system knows no locks, only files that have not changed for a day are removed.

    Args:
        folder: where to look; not below it.

    Returns:
        How many were removed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = write_bytes(Path(folder) / ".deblur-0123456789abcdef.png", b"half")
        ...     with atomic_path(Path(folder) / "a.png"):
        ...         remove_leftovers(folder)
        1
    """
    removed = 0
    with contextlib.suppress(OSError):  # no such folder, or none that may be read
        for path in Path(folder).iterdir():
            if _TEMPORARY.fullmatch(path.name):
                with contextlib.suppress(OSError):  # gone meanwhile, or not ours to remove
                    removed += _remove_forgotten(path)
    return removed


def _new_file(path, stack):
    """Makes the temporary file for a path, locked until the stack is closed."""
    while True:
        temporary = path.parent / f".deblur-{secrets.token_hex(8)}{path.suffix}"
        # Not tempfile.mkstemp: its files are private (0600); 0666 lets the umask decide as usual.
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        if fcntl is None:
            os.close(descriptor)
            return temporary
        stack.callback(os.close, descriptor)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:  # else removed as a leftover before it was locked
            return temporary


def _remove_forgotten(path):
    """Removes a temporary file if no run holds it; says whether."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        return False
    if fcntl is None:
        dead = time.time() - found.st_mtime > _FORGOTTEN
        if dead:
            path.unlink()
        return dead
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)  # NFS locks what can be written
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            if time.time() - found.st_mtime < _FORGOTTEN:
                return False
        path.unlink()
        return True
    finally:
        os.close(descriptor)

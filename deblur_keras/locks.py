"""A folder for one process at a time."""

import contextlib
import os
import socket
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

NAME = ".lock"

_FAR = 1 << 30  # the byte that is locked on Windows, where a locked one cannot be read
_TRIES = 100


class InUse(RuntimeError):
    """Another process holds the folder."""


@contextlib.contextmanager
def exclusive(folder):
    """Holds a folder as long as the block runs, against others that ask for the same.

    The lock is the operating system's, on the file ``.lock`` in the folder: it ends with the
    process, however that ends, so that a killed one blocks nobody. A folder that did not exist is
    made, and removed again if nothing has come into it. Where the file system knows no locks, the
    block runs unprotected.

    Args:
        folder: The folder.

    Yields:
        None.

    Raises:
        InUse: If another process, or another block of this one, holds it; it says which.
        OSError: If the folder cannot be made or written to.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root, exclusive(Path(root) / "run"):
        ...     [path.name for path in (Path(root) / "run").iterdir()]
        ['.lock']
    """
    folder = Path(folder)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = _locked(folder)
        try:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
            yield
        finally:
            if fcntl is None:  # an open file cannot be removed there
                os.close(descriptor)
            with contextlib.suppress(OSError):
                (folder / NAME).unlink()
            if fcntl is not None:
                os.close(descriptor)
    finally:
        with contextlib.suppress(OSError):  # not empty, which is the rule
            for path in made:
                path.rmdir()


def _locked(folder):
    """Opens and locks the file; that of one who has just ended may vanish meanwhile."""
    path = folder / NAME
    for _ in range(_TRIES):
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            _lock(descriptor)
        except (BlockingIOError, PermissionError):
            holder = os.read(descriptor, 200).decode(errors="replace").strip()
            os.close(descriptor)
            raise InUse(
                f"{folder} is in use by another run ({holder or 'an unknown process'}). Wait for "
                "it to end, or stop it, or choose another folder."
            ) from None
        except OSError:  # a file system without locks
            return descriptor
        with contextlib.suppress(FileNotFoundError):
            if fcntl is None or os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)
    raise InUse(f"{path} comes and goes; another run seems to begin and end all the time.")


def _lock(descriptor):
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    os.lseek(descriptor, _FAR, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)

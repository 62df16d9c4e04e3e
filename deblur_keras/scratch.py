"""Arrays that lie in a temporary file, for what is too much for memory."""

import errno
import math
import mmap
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np


def disk_array(shape, dtype):
    """Makes an array in a temporary file, which is gone when the array is, or the process.

    The file lies in the folder that ``TMPDIR`` names; without it in ``/var/tmp`` where there is
    one, since ``/tmp`` is memory on many systems.

    Args:
        shape: Tuple of the array's sides, none of them 0.
        dtype: NumPy's element type.

    Returns:
        Array of that shape, zeros.

    Raises:
        MemoryError: If the disk has not so much room. It is taken at once, since a file that finds
            the disk full only when it is written to would end the process.

    Example:
        >>> disk_array((2, 3), np.float32).sum()
        np.float32(0.0)
    """
    dtype = np.dtype(dtype)
    needed = math.prod(shape) * dtype.itemsize
    folder = _folder()
    with tempfile.TemporaryFile(dir=folder) as file:
        _reserve(file, needed, folder)
        mapping = mmap.mmap(file.fileno(), needed)  # keeps the file
    return np.ndarray(shape, dtype, buffer=mapping)


def forget_pages(array):
    """Gives the memory back that a `disk_array` takes while it is used; its values stay.

    Args:
        array: What `disk_array` made; of other arrays nothing is changed.

    Example:
        >>> array = disk_array((2, 3), np.uint8)
        >>> array[1] = 7
        >>> forget_pages(array)
        >>> array.tolist()
        [[0, 0, 0], [7, 7, 7]]
    """
    if isinstance(array.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        array.base.madvise(mmap.MADV_DONTNEED)  # of a shared mapping: the file keeps them


def _folder():
    lasting = Path("/var/tmp")
    if os.environ.get("TMPDIR") or not (lasting.is_dir() and os.access(lasting, os.W_OK)):
        return tempfile.gettempdir()
    return str(lasting)


def _reserve(file, needed, folder):
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, needed)
            return
        if shutil.disk_usage(folder).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            free = shutil.disk_usage(folder).free
            raise MemoryError(
                f"expected {needed / 1e9:.2f} GB of room in {folder}, which has {free / 1e9:.2f} "
                "GB; set TMPDIR to a folder with more, or give more memory"
            ) from error
    file.truncate(needed)

"""Restores photographs from file to file: one, or many with reading and writing beside the network.

Each is four steps: the destination is checked, the source opened, its pixels restored, the result
saved. What the network does is any callable's work here, so that nothing heavy is imported.
"""

import os
from pathlib import Path
from typing import NamedTuple

from deblur_keras import images
from deblur_keras.overlap import overlapped


class Outcome(NamedTuple):
    """Says what became of a photograph.

    Attributes:
        source: the file read.
        destination: the file written, if `error` is None.
        error: the exception that says why it could not be restored; None if it was.
    """

    source: Path
    destination: Path
    error: Exception | None


def restore_file(
    restorer, source, destination, overwrite=False, quality=95, max_pixels=images.MAX_PIXELS
):
    """Restores a photograph; `Restorer.restore_file` says how.

    Args:
        restorer: callable from RGB (H, W, 3) to the same type and shape.
        source: as there.
        destination: as there.
        overwrite: as there.
        quality: as there.
        max_pixels: as there.

    Returns:
        The destination, a `pathlib.Path`.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     source = images.write(Path(folder) / "a.png", np.zeros((2, 3, 3), "uint8"))
        ...     restore_file(lambda image: image + 1, source, Path(folder) / "b.png").name
        'b.png'
    """
    source, destination = Path(source), Path(destination)
    photograph = _opened(source, destination, overwrite, max_pixels)
    return _saved(destination, photograph, restorer(photograph.pixels), overwrite, quality)


def restore_files(
    restorer,
    jobs,
    overwrite=False,
    quality=95,
    max_pixels=images.MAX_PIXELS,
    started=None,
):
    """Restores photographs; `Restorer.restore_files` says how.

    Args:
        restorer: callable from RGB (H, W, 3) to the same type and shape.
        jobs: as there.
        overwrite: as there.
        quality: as there.
        max_pixels: as there.
        started: as there.

    Yields:
        `Outcome`, one a job, in their order.

    Raises:
        ValueError: two jobs have one destination.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     source = images.write(Path(folder) / "a.png", np.zeros((2, 3, 3), "uint8"))
        ...     jobs = [(source, Path(folder) / "b.png"), (Path("none.png"), Path("c.png"))]
        ...     [done.error is None for done in restore_files(lambda image: image + 1, jobs)]
        [True, False]
    """
    jobs = [(Path(source), Path(destination)) for source, destination in jobs]
    _check_destinations(jobs)

    def prepare(job):
        return _opened(*job, overwrite, max_pixels)

    def work(job, opened):
        try:
            photograph = opened()
            if started is not None:
                started(job[0])
            return photograph, restorer(photograph.pixels), None
        except Exception as error:  # whatever one photograph does, the others are restored
            return None, None, error

    def finish(job, worked):
        photograph, restored, error = worked
        try:
            if error is None:
                _saved(job[1], photograph, restored, overwrite, quality)
        except Exception as failure:
            error = failure
        return Outcome(*job, error)

    yield from overlapped(jobs, prepare, work, finish, weigh=_bytes, complete=True)


def _check_destinations(jobs):
    seen = {}
    for source, destination in jobs:
        other = seen.setdefault(os.path.abspath(destination), source)  # noqa: PTH100 - keeps links
        if other is not source:
            raise ValueError(
                f"{other} and {source} would be written to one file, {destination}; give each "
                "a name of its own"
            )


def _opened(source, destination, overwrite, max_pixels):
    """Opens a photograph whose result can be written."""
    images.check_saving(destination)
    if destination.is_dir():
        raise images.ImageError(f"{destination}: is a folder; expected a file name to write")
    if destination.exists() and source.exists() and destination.samefile(source):
        raise images.ImageError(
            f"{destination}: is the input itself, which is never overwritten; give another name"
        )
    _check_new(destination, overwrite)
    photograph = images.open_photograph(source, max_pixels)
    images.check_saving(destination, photograph)
    return photograph


def _saved(destination, photograph, restored, overwrite, quality):
    _check_new(destination, overwrite)  # it may have come while the network was at work
    return images.save_photograph(destination, photograph.restored(restored), quality)


def _check_new(destination, overwrite):
    if not overwrite and destination.exists():
        raise FileExistsError(f"{destination}: exists already; overwrite=True replaces it")


def _bytes(photograph):
    """Bytes that a photograph and its result hold."""
    alpha = 0 if photograph.alpha is None else photograph.alpha.nbytes
    return 2 * (photograph.pixels.nbytes + alpha)

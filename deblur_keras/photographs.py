"""Restores photographs from file to file: one, or many with reading and writing beside the network.

Each is four steps: the destination is checked, the source opened, its pixels restored, the result
saved. What the network does is any callable's work here, so that nothing heavy is imported.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from deblur_keras import images, uncertainty
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
    restorer,
    source,
    destination,
    overwrite=False,
    quality=95,
    max_pixels=images.MAX_PIXELS,
    samples=None,
):
    """Restores a photograph; `Restorer.restore_file` says how.

    Args:
        restorer: callable from RGB (H, W, 3) to the same type and shape; for `samples`, with a
            method `restore_samples`.
        source: as there.
        destination: as there.
        overwrite: as there.
        quality: as there.
        max_pixels: as there.
        samples: as there.

    Returns:
        The destination, a `pathlib.Path`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     source = images.write(Path(folder) / "a.png", np.zeros((2, 3, 3), "uint8"))
        ...     restore_file(lambda image: image + 1, source, Path(folder) / "b.png").name
        'b.png'
    """
    source, destination = Path(source), Path(destination)
    photograph = _opened(source, destination, overwrite, max_pixels, samples)
    restored = _restored(restorer, photograph, samples, None)
    return _saved(destination, photograph, restored, overwrite, quality, samples)


def restore_files(
    restorer,
    jobs,
    overwrite=False,
    quality=95,
    max_pixels=images.MAX_PIXELS,
    samples=None,
    started=None,
    progress=None,
):
    """Restores photographs; `Restorer.restore_files` says how.

    Args:
        restorer: as for `restore_file`.
        jobs: as there.
        overwrite: as there.
        quality: as there.
        max_pixels: as there.
        samples: as there.
        started: as there.
        progress: as there.

    Yields:
        `Outcome`, one a job, in their order.

    Raises:
        ValueError: two jobs have one destination.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     source = images.write(Path(folder) / "a.png", np.zeros((2, 3, 3), "uint8"))
        ...     jobs = [(source, Path(folder) / "b.png"), (Path("none.png"), Path("c.png"))]
        ...     [done.error is None for done in restore_files(lambda image: image + 1, jobs)]
        [True, False]
    """
    jobs = [(Path(source), Path(destination)) for source, destination in jobs]
    _check_destinations(jobs, samples)

    def prepare(job):
        return _opened(*job, overwrite, max_pixels, samples)

    def work(job, opened):
        try:
            photograph = opened()
            if started is not None:
                started(job[0])
            return photograph, _restored(restorer, photograph, samples, progress), None
        except Exception as error:  # whatever one photograph does, the others are restored
            return None, None, error

    def finish(job, worked):
        photograph, restored, error = worked
        try:
            if error is None:
                _saved(job[1], photograph, restored, overwrite, quality, samples)
        except Exception as failure:
            error = failure
        return Outcome(*job, error)

    yield from overlapped(jobs, prepare, work, finish, weigh=_bytes, complete=True)


def written_by(destination, samples=None):
    """Lists the files that restoring a photograph writes.

    Args:
        destination: path of the restored photograph.
        samples: number of samples, or None.

    Returns:
        List of `pathlib.Path`, the destination first.

    Example:
        >>> [path.name for path in written_by(Path("sharp.jpg"), samples=8)]
        ['sharp.jpg', 'sharp-uncertainty.png']
    """
    beside = [] if samples is None else [uncertainty.uncertainty_path(destination)]
    return [Path(destination), *beside]


def _check_destinations(jobs, samples):
    seen = {}
    for source, destination in jobs:
        for path in written_by(destination, samples):
            other = seen.setdefault(os.path.abspath(path), source)  # noqa: PTH100 - keeps links
            if other is not source:
                raise ValueError(
                    f"{other} and {source} would be written to one file, {path}; give each a name "
                    "of its own"
                )


def _opened(source, destination, overwrite, max_pixels, samples):
    """Opens a photograph whose result can be written."""
    images.check_saving(destination)
    if destination.is_dir():
        raise images.ImageError(f"{destination}: is a folder; expected a file name to write")
    for path in written_by(destination, samples):
        if path.exists() and source.exists() and path.samefile(source):
            raise images.ImageError(
                f"{path}: is the input itself, which is never overwritten; give another name"
            )
    _check_new(destination, overwrite, samples)
    photograph = images.open_photograph(source, max_pixels)
    images.check_saving(destination, photograph)
    return photograph


def _restored(restorer, photograph, samples, progress):
    """The restored pixels, and the spread of samples, or None."""
    options = {} if progress is None else {"progress": progress}
    if samples is None:
        return restorer(photograph.pixels, **options), None
    return restorer.restore_samples(photograph.pixels, samples, **options)


def _saved(destination, photograph, restored, overwrite, quality, samples):
    _check_new(destination, overwrite, samples)  # it may have come while the network was at work
    pixels, spread = restored
    if spread is not None:
        # The map comes first: where the photograph is, so is what belongs to it.
        (_, beside), most = written_by(destination, samples), np.iinfo(pixels.dtype).max
        uncertainty.write_uncertainty(beside, spread, samples, most)
    return images.save_photograph(destination, photograph.restored(pixels), quality)


def _check_new(destination, overwrite, samples):
    for path in written_by(destination, samples):
        if not overwrite and path.exists():
            raise FileExistsError(f"{path}: exists already; overwrite=True replaces it")


def _bytes(photograph):
    """Bytes that a photograph and its result hold."""
    alpha = 0 if photograph.alpha is None else photograph.alpha.nbytes
    return 2 * (photograph.pixels.nbytes + alpha)

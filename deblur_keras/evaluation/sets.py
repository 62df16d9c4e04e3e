"""Goes through a set of pairs once, whatever is measured: conditions, table, faults, pictures."""

import contextlib
import csv
import dataclasses
import datetime
import functools
import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Callable
from pathlib import Path

from deblur_keras import __version__, images
from deblur_keras.evaluation import pipeline
from deblur_keras.evaluation.journal import Journal, JournalError

TABLES = "scores.csv", "detections.csv"
"""Names of the tables, of images by pixels and by what a detector sees."""

RESTORED = "restored"
"""Name of the folder of the restored images."""

# What may differ between the parts of a run that was interrupted and continued.
_OF_ONE_RUN = {"command", "date", "device", "machine", "versions"}


@dataclasses.dataclass(frozen=True)
class Measurement:
    """Says what is measured of each image, and how it is kept in a table.

    Attributes:
        score: Function ``(pair, sharp, blurred, restored) -> result``; a result has ``name``,
            ``width``, ``height`` and ``seconds``, and is a frozen dataclass.
        table: Name of the CSV file.
        columns: Its columns.
        to_row: Function from a result to a dictionary of the columns.
        from_row: Function from a dictionary of the columns' texts back to the result.
        alone: Images that are restored with nothing else at work; None for all.
    """

    score: Callable
    table: str
    columns: tuple
    to_row: Callable
    from_row: Callable
    alone: int | None = pipeline.TIMED_ALONE


@dataclasses.dataclass(frozen=True)
class Found:
    """Holds what was measured of a set.

    Attributes:
        results: List of results, in the order of the pairs.
        failures: Dictionary from the names of the other pairs to what went wrong.
        facts: Dictionary of what the results depend on.
    """

    results: list
    failures: dict
    facts: dict


def measure(
    restorer,
    pairs,
    measurement,
    facts,
    output=None,
    save_images=False,
    progress=None,
    scale=1.0,
    resume=False,
):
    """Restores and measures the pairs of a set.

    Args:
        restorer: Callable from uint8 RGB ``(H, W, 3)`` to uint8 of the same shape.
        pairs: Iterable of anything with a ``name``, unique among them, and a ``read()`` that
            returns the blurred and the sharp image, or None for the second.
        measurement: `Measurement`.
        facts: Dictionary of what the results depend on besides what is found here.
        output: Folder for the table and `RESTORED`, or None.
        save_images: Whether to write the restored images.
        progress: Object with ``start(name)`` and ``advance(count=1)``, or None.
        scale: Factor in (0, 1] by which both sides are reduced first.
        resume: Whether to continue the run whose table is in ``output``.

    Returns:
        `Found`.

    Raises:
        ValueError: No pairs, names that are not unique, a scale that is out of range, or images to
            be saved, or a run to be continued, without a folder.
        JournalError: The run in ``output`` came about in another way.
        OSError: A result cannot be written.
    """
    pairs = list(pairs)
    _check(pairs, scale, output, save_images, resume)
    facts = {**_conditions(restorer, scale, pairs), "save_images": save_images, **facts}
    journal = None
    if output is not None:
        if not resume:
            _forget(Path(output))
        agreed = {name: value for name, value in facts.items() if name not in _OF_ONE_RUN}
        path = Path(output) / measurement.table
        journal = Journal(path, measurement.columns, agreed, resume)
    folder = Path(output) / RESTORED if save_images else None
    try:
        results, failures, warm_up = _measure_all(
            restorer, pairs, measurement, scale, journal, folder, progress
        )
    finally:
        if journal is not None:
            journal.close()
    found = [results[pair.name] for pair in pairs if pair.name in results]
    sizes = sorted({(result.width, result.height) for result in found})
    facts["sizes"] = [f"{width}x{height}" for width, height in sizes]
    facts["warm_up_seconds"] = warm_up
    return Found(found, failures, facts)


def read(pair, scale):
    """Reads a pair at the scale at which it is scored.

    Args:
        pair: The pair.
        scale: Factor in (0, 1].

    Returns:
        ``(blurred, sharp)``, uint8 RGB; ``sharp`` may be None.
    """
    blurred, sharp = pair.read()
    if sharp is not None:
        sharp = images.resize(sharp, scale)
    return images.resize(blurred, scale), sharp


def _check(pairs, scale, output, save_images, resume):
    if not pairs:
        raise ValueError("There are no pairs to score; datasets.pairs(directory) finds them.")
    if len({pair.name for pair in pairs}) < len(pairs):
        raise ValueError("The pairs' names must be unique: the scores are kept by name.")
    if not 0 < scale <= 1:
        raise ValueError(f"scale must lie in (0, 1]; got {scale!r}.")
    if output is None and (save_images or resume):
        what = "save_images" if save_images else "resume"
        raise ValueError(f"{what} needs an output folder.")


def _measure_all(restorer, pairs, measurement, scale, journal, folder, progress):
    """Returns results by name, failures, and the seconds of the warm-up."""

    def score(pair, sharp, blurred, restored):
        result = measurement.score(pair, sharp, blurred, restored)
        if folder is not None:
            try:
                images.write(folder / f"{pair.name}.png", restored)
            except (images.ImageError, OSError) as error:
                raise pipeline.WriteError(f"{error}; the run can be continued later") from error
        return result

    results = {} if journal is None else _kept(journal, measurement)
    failures, warm_up = {}, None
    left = [pair for pair in pairs if pair.name not in results]
    if progress is not None and len(left) < len(pairs):
        progress.advance(len(pairs) - len(left))
    reader = functools.partial(read, scale=scale)
    if left:
        warm_up = pipeline.warm_up(restorer, left, reader)
    alone = measurement.alone
    if alone is not None:
        alone = max(alone - sum(result.seconds is not None for result in results.values()), 0)
    for done in pipeline.restored_and_scored(restorer, left, reader, score, alone, progress):
        if done.error is not None:
            failures[done.pair.name] = done.error
            continue
        seconds = done.seconds and float(f"{done.seconds:.9g}")  # as the table holds it
        result = dataclasses.replace(done.result, seconds=seconds)
        results[result.name] = result
        if journal is not None:
            journal.append(measurement.to_row(result))
    return results, failures, warm_up


def _kept(journal, measurement):
    """Returns the results of an interrupted run by name."""
    results = {}
    for name, row in journal.rows.items():
        try:
            results[name] = measurement.from_row(row)
        except ValueError as error:
            raise JournalError(
                f"{journal.path}: the line of {name} is damaged ({error}); remove that line, or "
                "start anew in another folder"
            ) from error
    journal.rows.clear()  # their texts take more room than the results
    return results


def _forget(folder):
    """Removes what an earlier run wrote, so that nothing of it stands beside the new results."""
    for table in TABLES:
        path = folder / table
        if path.is_file():
            names = []
            with (
                contextlib.suppress(UnicodeDecodeError, csv.Error),
                path.open(encoding="utf-8", newline="") as file,
            ):
                names = [row.get("name") for row in csv.DictReader(file)]
            for name in names:
                (folder / RESTORED / f"{name}.png").unlink(missing_ok=True)
            path.unlink()
    for name in ("summary.json", "report.html", "gains.png", "scatter.png", "detections.png"):
        (folder / name).unlink(missing_ok=True)
    for path in (folder / "examples").glob("*-[1-9].png"):
        path.unlink()


def _digest(pairs):
    """Returns what tells a set of files from another: names, sizes and times, hashed."""
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(repr(pair.name).encode())
        for side in ("blurred", "sharp", "path"):
            file = getattr(pair, side, None)
            if hasattr(file, "offset"):  # a stored image of a prepared dataset
                digest.update(f"{file.path}|{file.offset}|{file.length}".encode())
                file = file.path
            if isinstance(file, Path):
                try:
                    found = file.stat()
                except OSError:
                    continue  # named when its turn comes
                digest.update(f"{file}|{found.st_size}|{found.st_mtime_ns}".encode())
    return digest.hexdigest()


def _conditions(restorer, scale, pairs):
    """Collects what any measurement depends on."""
    return {
        "pairs": len(pairs),
        "files_sha256": _digest(pairs),  # of their names, sizes and times
        "scale": scale,
        "resampling": None if scale == 1 else "area averaging of both sides, rounded",
        "model": getattr(restorer, "name", None) or type(restorer).__name__,
        "library": __version__,
        "device": _device(),
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "versions": _versions(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _device():
    """Names what the network runs on: the GPUs, or the processor and how much of it may be used."""
    import tensorflow as tf

    graphics = [
        tf.config.experimental.get_device_details(device).get("device_name", device.name)
        for device in tf.config.list_physical_devices("GPU")
    ]
    if graphics:
        return ", ".join(graphics)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} core{'s' * (cores != 1)}"


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (names or [platform.processor() or platform.machine()])[0]


@functools.cache
def _versions():
    names = ("keras", "tensorflow", "numpy", "opencv-python-headless")
    found = {"deblur_keras": __version__}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # another build, such as tensorflow-cpu
            found[name] = None
    return found

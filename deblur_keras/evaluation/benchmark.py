"""Scores a restorer on pairs by a named protocol, the blurred input's own score beside each figure.

With a scale below 1 both sides are reduced by area averaging first and the network sees the small
image (DeblurGAN's GoPro figures are at 0.5, 640x360).
"""

import dataclasses
import datetime
import functools
import hashlib
import importlib.metadata
import os
import platform
from pathlib import Path

from deblur_keras import __version__, images
from deblur_keras.evaluation import pipeline, protocols, results
from deblur_keras.evaluation.journal import Journal
from deblur_keras.restorer import pretrained_names, pretrained_path


def evaluate_pairs(
    restorer,
    pairs,
    output=None,
    save_images=False,
    progress=None,
    scale=1.0,
    protocol="gopro",
    facts=None,
    resume=False,
):
    """Scores a restorer on pairs of blurred and sharp images.

    The next pairs are read and the last ones scored while the network restores one, and dropped
    then, so memory does not grow with their number. A pair that cannot be read, restored or scored
    is reported in ``failures`` and the others go on. The first image is restored twice: the first
    time, which also prepares the network, is reported as ``warm_up_seconds`` and enters no figure.

    Args:
        restorer: Callable from uint8 RGB ``(H, W, 3)`` to uint8 of the same shape, such as a
            `deblur_keras.Restorer`.
        pairs: Iterable of `deblur_keras.datasets.Pair`, or of anything with a ``name``, unique
            among them, and a ``read()`` that returns the blurred and the sharp image.
        output: Folder for the report, or None to write nothing: ``scores.csv`` gets a line per
            image as soon as it is scored, ``run.json`` what the lines depend on, ``summary.json``
            (`Evaluation.write_summary`) comes last.
        save_images: Whether to write the restored images too, as ``restored/<name>.png`` in
            ``output``.
        progress: Object whose ``start(name)`` is called before each pair and ``advance()`` after
            it, such as the command line's progress bar; or None.
        scale: Factor in (0, 1] by which both sides are reduced, by area averaging, before anything
            else; 0.5 gives the literature's halved GoPro.
        protocol: Name of a protocol, or a `Protocol`.
        facts: Dictionary of further facts for the report, such as the data's folder and the
            file of the model (`model_facts`); they go over the facts found here.
        resume: Whether to continue an interrupted run in ``output``: its images are not restored
            again, and the report is the one that it would have written. The facts, but for
            ``command``, must be the same.

    Returns:
        An `Evaluation`.

    Raises:
        ValueError: If there are no pairs, two of them have one name, there is no such protocol,
            ``scale`` is out of range, or images are to be saved, or a run to be continued, without
            a folder.
        JournalError: If the run in ``output`` came about in another way.

    Example:
        >>> import numpy as np
        >>> class Halves:
        ...     name = "grey"
        ...     def read(self):
        ...         return np.full((16, 16, 3), 90, "uint8"), np.full((16, 16, 3), 100, "uint8")
        >>> evaluation = evaluate_pairs(lambda image: image + 5, [Halves()])
        >>> round(evaluation.rows[0].gain("psnr"), 2)  # half the error: 20 log10(2)
        6.02
    """
    pairs = list(pairs)
    if isinstance(protocol, str):
        protocol = protocols.find(protocol)
    _check(pairs, scale, output, save_images, resume)
    facts = {**_conditions(restorer, protocol, scale, pairs), **(facts or {})}
    journal = None
    if output is not None:
        agreed = {name: value for name, value in facts.items() if name not in _OF_ONE_RUN}
        columns = results.columns(protocol)
        journal = Journal(Path(output) / results.SCORES, columns, agreed, resume)
    folder = Path(output) / "restored" if save_images else None
    try:
        rows, failures, warm_up = _score_all(
            restorer, pairs, protocol, scale, journal, folder, progress
        )
    finally:
        if journal is not None:
            journal.close()
    sizes = {(row.width, row.height) for row in rows}
    facts["sizes"] = [f"{width}x{height}" for width, height in sorted(sizes)]
    facts["warm_up_seconds"] = warm_up
    evaluation = results.Evaluation(protocol, rows, failures, facts)
    if output is not None:
        evaluation.write_summary(output)
    return evaluation


def model_facts(model):
    """Identifies the file of a model, for the facts of `evaluate_pairs`.

    Args:
        model: Path of a ``.keras`` file, or the name of weights that ship with the package.

    Returns:
        Dictionary of ``model_file``, its path, and ``model_sha256``, its SHA-256 in hexadecimal.

    Raises:
        OSError: If there is no such file.
    """
    names = pretrained_names()
    path = pretrained_path(str(model)) if str(model) in names else Path(model)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"model_file": str(path.resolve()), "model_sha256": digest}


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


def _score_all(restorer, pairs, protocol, scale, journal, folder, progress):
    """Returns the scores in the pairs' order, the failures, and the seconds of the warm-up."""

    def read(pair):
        blurred, sharp = pair.read()
        return images.resize(blurred, scale), images.resize(sharp, scale)

    def score(pair, sharp, blurred, restored):
        found = protocol.score(pair, sharp, blurred, restored)
        if folder is not None:
            images.write(folder / f"{pair.name}.png", restored)
        sides = ({name: results.rounded(both[i]) for name, both in found.items()} for i in (0, 1))
        return results.Score(pair.name, restored.shape[1], restored.shape[0], *sides)

    known = {} if journal is None else journal.rows
    rows = {name: results.from_row(protocol, row) for name, row in known.items()}
    failures, warm_up = {}, None
    left = [pair for pair in pairs if pair.name not in rows]
    if progress is not None and len(left) < len(pairs):
        progress.advance(len(pairs) - len(left))
    if left:
        warm_up = pipeline.warm_up(restorer, left, read)
    alone = protocol.alone and max(protocol.alone - sum(row.timed for row in rows.values()), 0)
    for done in pipeline.restored_and_scored(restorer, left, read, score, alone, progress):
        if done.error is not None:
            failures[done.pair.name] = done.error
            continue
        row = dataclasses.replace(
            done.result, seconds=done.seconds and results.rounded(done.seconds)
        )
        rows[row.name] = row
        if journal is not None:
            journal.append(results.to_row(row))
    return [rows[pair.name] for pair in pairs if pair.name in rows], failures, warm_up


# What may differ between the parts of a run that was interrupted and continued.
_OF_ONE_RUN = {"command", "date", "device", "machine", "versions"}


def _conditions(restorer, protocol, scale, pairs):
    """Collects what the figures depend on."""
    return {
        "protocol": protocol.name,
        "figures": [figure.name for figure in protocol.figures],
        "pairs": len(pairs),
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

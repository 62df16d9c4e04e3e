"""Scores a restorer on pairs: PSNR, SSIM, MSE and seconds, the blurred input's own beside them.

The protocol, which every report states: both images are uint8 RGB, the restored one rounded as it
would be on disk; each image is scored whole and by itself, and the figures are means over images.
With a scale below 1 both sides are reduced by area averaging first and the network sees the small
image (DeblurGAN's GoPro figures are at 0.5, 640x360).
"""

import datetime
import functools
import hashlib
import importlib.metadata
import platform
import time
from pathlib import Path

import numpy as np

from deblur_keras import __version__, images, metrics
from deblur_keras.evaluation.results import Evaluation, Score
from deblur_keras.restorer import pretrained_names, pretrained_path


def evaluate_pairs(
    restorer, pairs, output=None, save_images=False, progress=None, scale=1.0, protocol=None
):
    """Scores a restorer on pairs of blurred and sharp images.

    Pairs are read, restored, scored and dropped one at a time, so memory does not grow with their
    number. A pair that cannot be read or restored is reported in ``failures`` and the others go on.
    The first image is restored twice: the first time, which also prepares the network, is reported
    as ``warm_up_seconds`` and enters no figure.

    Args:
        restorer: Callable from uint8 RGB ``(H, W, 3)`` to uint8 of the same shape, such as a
            `deblur_keras.Restorer`.
        pairs: Iterable of `deblur_keras.datasets.Pair`, or of anything with a ``name`` and a
            ``read()`` that returns the blurred and the sharp image.
        output: Folder for the report (`Evaluation.write`), or None to write nothing.
        save_images: Whether to write the restored images too, as ``restored/<name>.png`` in
            ``output``.
        progress: Object whose ``start(name)`` is called before each pair and ``advance()`` after
            it, such as the command line's progress bar; or None.
        scale: Factor in (0, 1] by which both sides are reduced, by area averaging, before anything
            else; 0.5 gives the literature's halved GoPro.
        protocol: Dictionary of further facts for the report, such as the data's folder and the
            file of the model (`model_facts`); it goes over the facts found here.

    Returns:
        An `Evaluation`.

    Raises:
        ValueError: If there are no pairs, ``scale`` is out of range, or images are to be saved
            without a folder.

    Example:
        >>> import numpy as np
        >>> class Halves:
        ...     name = "grey"
        ...     def read(self):
        ...         return np.full((16, 16, 3), 90, "uint8"), np.full((16, 16, 3), 100, "uint8")
        >>> evaluation = evaluate_pairs(lambda image: image + 5, [Halves()])
        >>> round(evaluation.rows[0].psnr_gain, 2)  # half the error: 20 log10(2)
        6.02
    """
    pairs = list(pairs)
    if not pairs:
        raise ValueError("There are no pairs to score; datasets.pairs(directory) finds them.")
    if not 0 < scale <= 1:
        raise ValueError(f"scale must lie in (0, 1]; got {scale!r}.")
    if save_images and output is None:
        raise ValueError("save_images needs an output folder to write the restored images to.")

    rows, failures, sizes, warm_up = [], {}, set(), None
    for pair in pairs:
        if progress is not None:
            progress.start(pair.name)
        # Whatever is wrong with one image (unreadable, too large for the memory) must not cost
        # the scores of the others; it is reported, and the command's exit code tells.
        try:
            blurred, sharp = (images.resize(image, scale) for image in pair.read())
            if warm_up is None:
                started = time.perf_counter()
                restorer(blurred)
                warm_up = time.perf_counter() - started
            started = time.perf_counter()
            restored = restorer(blurred)
            seconds = time.perf_counter() - started
            row = _score(pair.name, blurred, restored, sharp, seconds)
            if save_images:
                images.write(Path(output) / "restored" / f"{pair.name}.png", restored)
        except Exception as error:
            failures[pair.name] = str(error) or type(error).__name__
        else:
            rows.append(row)
            sizes.add((row.width, row.height))
        if progress is not None:
            progress.advance()

    facts = _protocol(restorer, scale, sizes, warm_up)
    evaluation = Evaluation(rows, failures, {**facts, "pairs": len(pairs), **(protocol or {})})
    if output is not None:
        evaluation.write(output)
    return evaluation


def model_facts(model):
    """Identifies the file of a model, for the protocol of `evaluate_pairs`.

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


def _score(name, blurred, restored, sharp, seconds):
    """Computes the figures of one image."""
    if restored.shape != sharp.shape or restored.dtype != np.uint8:
        raise ValueError(
            f"expected the restored image to be uint8 {sharp.shape}, got {restored.dtype} "
            f"{restored.shape}"
        )
    height, width = sharp.shape[:2]
    figures = []
    for score in (metrics.psnr, metrics.ssim, metrics.mse):
        for image in (blurred, restored):
            if score is metrics.ssim and min(height, width) < metrics.WINDOW:
                figures.append(float("nan"))
            else:
                figures.append(float(score(sharp[None], image[None], data_range=255)[0]))
    return Score(name, width, height, *figures, seconds)


def _protocol(restorer, scale, sizes, warm_up):
    """Collects what the figures depend on."""
    import keras

    return {
        "metrics": [metrics.PSNR_VARIANT, metrics.SSIM_VARIANT, metrics.MSE_VARIANT],
        "scale": scale,
        "resampling": None if scale == 1 else "area averaging of both sides, rounded",
        "sizes": [f"{width}x{height}" for width, height in sorted(sizes)],
        "model": getattr(restorer, "name", None) or type(restorer).__name__,
        "warm_up_seconds": warm_up,
        "device": ", ".join(keras.distribution.list_devices()),
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "versions": {"deblur_keras": __version__, **_versions()},
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


@functools.cache
def _versions():
    names = ("keras", "tensorflow", "numpy", "opencv-python-headless")
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # another build, such as tensorflow-cpu
            found[name] = None
    return found

"""Scores a restorer on pairs by a named protocol, the blurred input's own score beside each figure.

With a scale below 1 both sides are reduced by area averaging first and the network sees the small
image (DeblurGAN's GoPro figures are at 0.5, 640x360).
"""

import functools
import hashlib
from pathlib import Path

from deblur_keras.evaluation import protocols, results, scores, sets
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
            among them, and a ``read()`` that returns the blurred and the sharp image, or None for
            the second under a protocol that needs none (`photographs`).
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
    if isinstance(protocol, str):
        protocol = protocols.find(protocol)

    def score(pair, sharp, blurred, restored):
        found = protocol.score(pair, sharp, blurred, restored)
        sides = ({name: scores.rounded(both[i]) for name, both in found.items()} for i in (0, 1))
        return scores.Score(pair.name, restored.shape[1], restored.shape[0], *sides)

    measurement = sets.Measurement(
        score,
        results.SCORES,
        scores.columns(protocol),
        scores.to_row,
        functools.partial(scores.from_row, protocol),
        protocol.alone,
    )
    named = {"protocol": protocol.name, "figures": [figure.name for figure in protocol.figures]}
    facts = {**named, **(facts or {})}
    found = sets.measure(
        restorer, pairs, measurement, facts, output, save_images, progress, scale, resume
    )
    evaluation = results.Evaluation(protocol, found.results, found.failures, found.facts)
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

"""Compares two models on the same pairs: means, who wins where, and whether that means anything.

A mean over images hides whether one model is better throughout or on a few images only, and a share
of wins hides by how much. So three things stand side by side for each figure: the means, the share
of images on which each model wins, and the p-value of a Wilcoxon signed-rank test, which asks how
often differences of these sizes would fall this much to one side if neither model were better.
"""

import functools
import importlib.metadata
from pathlib import Path

from deblur_keras import images
from deblur_keras.evaluation import protocols, significance
from deblur_keras.evaluation.benchmark import evaluate_pairs
from deblur_keras.evaluation.outcomes import SHEET, Comparison
from deblur_keras.evaluation.results import Evaluation

_OF_ONE_MODEL = ("model", "warm_up_seconds")


def compare_pairs(
    first,
    second,
    pairs,
    names=None,
    output=None,
    progress=None,
    scale=1.0,
    protocol="gopro",
    facts=None,
):
    """Scores two restorers, A and B, on the same pairs and compares them image by image.

    Each is scored by `evaluate_pairs`, A on all pairs and then B. A pair that either cannot score
    is left out of everything and reported in ``failures``.

    Args:
        first: A, a callable from uint8 RGB ``(H, W, 3)`` to the same, such as a
            `deblur_keras.Restorer`.
        second: B, likewise. May be the same as A; all images are ties then.
        pairs: Iterable of `deblur_keras.datasets.Pair`, or of anything with a ``name``, unique
            among them, and a ``read()`` that returns the blurred and the sharp image.
        names: What to call A and B in tables and plots; None takes the restorers' own names.
        output: Folder for the scores, the summary, a plot of each figure and a contact sheet, whose
            few images are restored once more for it. None writes nothing. Nothing is written
            either if no pair could be scored.
        progress: Object whose ``start(name)`` and ``advance()`` are called around each pair,
            twice, as for `evaluate_pairs`; or None.
        scale: Factor in (0, 1] by which both sides are reduced, by area averaging, beforehand.
        protocol: Name of a protocol, or a `Protocol`.
        facts: Dictionary of further facts for the report; ``a`` and ``b`` in it, themselves
            dictionaries, such as those of `model_facts`, are facts of one model.

    Returns:
        A `Comparison`.

    Raises:
        ValueError: As `evaluate_pairs` says.
        ImportError: If SciPy is missing; said before any image is restored.

    Example:
        >>> import numpy as np
        >>> class Flat:
        ...     name = "grey"
        ...     def read(self):
        ...         return np.full((16, 16, 3), 90, "uint8"), np.full((16, 16, 3), 100, "uint8")
        >>> nothing, half = (lambda image: image), (lambda image: image + 5)
        >>> comparison = compare_pairs(nothing, half, [Flat()], names=("nothing", "half"))
        >>> outcome = comparison.outcome(comparison.protocol.figures[2])  # MSE
        >>> outcome.mean_a, outcome.mean_b, outcome.wins_b
        (100.0, 25.0, 1)

    Reference:
        The comparison of DeblurGAN and CycleGAN (IV.D, Table I, Figs. 12 to 14), on 216 images.

    Note:
        The report states win rates alone; the blurred input's own scores, PSNR and the test are
        added, and the plots order the images by the blurred input's score, not by number.
    """
    significance.scipy_stats()  # before hours of scoring, not after
    pairs = list(pairs)
    if isinstance(protocol, str):
        protocol = protocols.find(protocol)
    score = functools.partial(
        evaluate_pairs, pairs=pairs, progress=progress, scale=scale, protocol=protocol
    )
    evaluations = score(first), score(second)
    if names is None:
        names = [evaluation.facts["model"] for evaluation in evaluations]
    comparison = _match(evaluations, names, facts or {})
    if output is not None and comparison.first.rows:
        from deblur_keras.evaluation import plots

        comparison.write(output)
        sheet = plots.comparison_sheet(comparison, first, second, pairs, scale)
        images.write(Path(output) / SHEET, sheet)
    return comparison


def _match(evaluations, names, given):
    """Keeps the images that both could score, in the order of the pairs."""
    first, second = evaluations
    partners = {row.name: row for row in second.rows}
    rows = [row for row in first.rows if row.name in partners]
    failures = {}
    for name in [*first.failures, *second.failures]:
        texts = [evaluation.failures.get(name) for evaluation in evaluations]
        if texts[0] == texts[1]:
            failures[name] = texts[0]
        else:
            told = [f"{side}: {text}" for side, text in zip("AB", texts, strict=True) if text]
            failures[name] = "; ".join(told)
    sizes = sorted({(row.width, row.height) for row in rows})
    facts = {key: value for key, value in first.facts.items() if key not in _OF_ONE_MODEL}
    facts["versions"] = {**facts["versions"], "scipy": importlib.metadata.version("scipy")}
    facts["sizes"] = [f"{width}x{height}" for width, height in sizes]
    facts = {**facts, **given}
    for key, evaluation in zip("ab", evaluations, strict=True):
        own = {name: evaluation.facts[name] for name in _OF_ONE_MODEL}
        facts[key] = {**own, **given.get(key, {})}
    return Comparison(
        first.protocol,
        tuple(names),
        Evaluation(first.protocol, rows, {}, facts["a"]),
        Evaluation(first.protocol, [partners[row.name] for row in rows], {}, facts["b"]),
        failures,
        facts,
    )

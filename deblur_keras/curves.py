"""The course of a training, drawn from its ``history.csv``."""

import csv
import math
from pathlib import Path

from deblur_keras.evaluation import drawing

_SIZE = (12, 8)  # inches, at 100 px each
_MARKED_UP_TO = 40  # epochs whose points are marked
_LOGARITHMIC_FROM = 30  # ratio of the largest to the smallest value
_BLUE, _ORANGE, _GREY = "#0b2a5b", "#d96b00", "0.55"

# Panels: title, label of the axis, and the curves, each (column, label, style).
_PANELS = (
    (
        "Generator",
        "loss",
        (
            ("generator_loss", "generator loss", {"color": _BLUE}),
            ("cycle_loss", "cycle loss", {"color": _ORANGE, "linestyle": "--"}),
        ),
    ),
    (
        "Critic",
        "loss",
        (
            ("critic_loss", "critic loss", {"color": _BLUE}),
            ("gradient_penalty", "gradient penalty", {"color": _ORANGE, "linestyle": "--"}),
        ),
    ),
    (
        "Quality",
        "PSNR in dB",
        (
            ("val_psnr", "restored, validation", {"color": _BLUE, "linewidth": 2}),
            ("psnr", "restored, training crops", {"color": _ORANGE, "linestyle": "--"}),
            ("val_blurred_psnr", "blurred, validation", {"color": _GREY, "linewidth": 2}),
            ("blurred_psnr", "blurred, training crops", {"color": _GREY, "linestyle": "--"}),
        ),
    ),
    (
        "Learning rate",
        "learning rate",
        (("learning_rate", "learning rate", {"color": _BLUE}),),
    ),
)


def read(path):
    r"""Reads a ``history.csv``.

    Args:
        path: The file.

    Returns:
        Dictionary from names of columns to lists of floats, one an epoch; what is missing is NaN.
        ``epoch`` counts from 0.

    Raises:
        OSError: If it cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "history.csv"
        ...     _ = file.write_text("epoch,psnr\n0,20.5\n1,\n")
        ...     read(file)
        {'epoch': [0.0, 1.0], 'psnr': [20.5, nan]}
    """
    with Path(path).open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.DictReader(file)
        rows = [row for row in reader if (row.get("epoch") or "").isdigit()]
        names = [name for name in reader.fieldnames or [] if name]
    return {name: [_number(row.get(name)) for row in rows] for name in names}


def best(history):
    """Finds the best epoch of a training by PSNR: of the validation, or of the crops trained on.

    Of these crops what counts is the gain over the blurred input, where that is known: they are
    others in each epoch, and easier in some.

    Args:
        history: As from `read`.

    Returns:
        ``(epoch, psnr, blurred)``: the epoch counted from 1, its PSNR in dB, and that of the
        blurred input in dB or NaN; None if no PSNR was noted.

    Example:
        >>> best({"epoch": [0.0, 1.0], "val_psnr": [21.0, 20.0], "val_blurred_psnr": [19.0, 19.0]})
        (1, 21.0, 19.0)
    """
    for prefix in ("val_", ""):
        values = history.get(f"{prefix}psnr", [])
        blurred = history.get(f"{prefix}blurred_psnr", [math.nan] * len(values))
        gains = [value - own for value, own in zip(values, blurred, strict=True)]
        for scores in (values,) if prefix else (gains, values):
            known = [index for index, score in enumerate(scores) if math.isfinite(score)]
            if known:
                index = max(known, key=scores.__getitem__)
                return int(history["epoch"][index]) + 1, values[index], blurred[index]
    return None


def draw(history, path):
    """Draws losses, gradient penalty, PSNR and learning rate over the epochs.

    The blurred input's own PSNR stands beside the restored images', of validation and of the crops
    trained on. A loss whose values span a factor of 30 has a logarithmic axis.

    Args:
        history: A ``history.csv``.
        path: PNG file to write, 1200x800 px; written whole or not at all.

    Returns:
        The path, a `pathlib.Path`.

    Raises:
        OSError: If a file cannot be read or written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    columns = read(history)
    epochs = [epoch + 1 for epoch in columns.get("epoch", [])]
    marker = "." if len(epochs) <= _MARKED_UP_TO else ""
    figure = Figure(figsize=_SIZE, dpi=100, layout="constrained")
    for axes, (title, label, curves) in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
        shown = [(columns[name], *rest) for name, *rest in curves if _known(columns.get(name, []))]
        for values, name, style in shown:
            axes.plot(epochs, values, label=name, marker=marker, **style)
        values = [value for curve in shown for value in _known(curve[0])]
        axes.set_title(title, loc="left", fontsize=13)
        axes.set_xlabel("epoch", fontsize=11)
        axes.set_ylabel(label, fontsize=11)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        if not values:
            axes.text(0.5, 0.5, "not logged", transform=axes.transAxes, ha="center", color=_GREY)
        elif label == "loss":
            _scale(axes, values)
        elif label == "learning rate":
            axes.set_ylim(0, 1.1 * max(values) or 1)
        if len(shown) > 1:
            axes.legend(fontsize=10, frameon=False)
        found = best(columns)
        if title == "Quality" and found:
            epoch, psnr, blurred = found
            said = f"best {psnr:.2f} dB"
            if "val_psnr" not in columns and math.isfinite(blurred):
                said = f"best gain {psnr - blurred:+.2f} dB"
            axes.plot([epoch], [psnr], "o", color=_BLUE, markerfacecolor="none", markersize=10)
            axes.set_title(f"{said}, epoch {epoch}", loc="right", fontsize=11)
    return drawing.save(figure, path)


def _known(values):
    return [value for value in values if math.isfinite(value)]


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan


def _scale(axes, values):
    """Makes an axis logarithmic where that is easier to read; zero and below stay in view."""
    sizes = [abs(value) for value in values if value]
    if not sizes or max(sizes) < _LOGARITHMIC_FROM * min(sizes):
        return
    if min(values) > 0:
        axes.set_yscale("log")
    elif max(sizes) > _LOGARITHMIC_FROM * sorted(sizes)[len(sizes) // 2]:
        axes.set_yscale("symlog", linthresh=sorted(sizes)[len(sizes) // 2])

"""Draws what a model gained: a histogram of the gains, and blurred against restored.

Better and worse differ in hatching and marker, not in colour alone.
"""

import math

import numpy as np

from deblur_keras.evaluation.drawing import plot, save
from deblur_keras.evaluation.scores import improvement

_SIZE, _DPI = (7, 5.6), 120  # 840 px wide, with text that is legible at 400
_TEXT, _SMALL_TEXT = 14, 13  # points
_BETTER, _WORSE = "#7d9cc9", "#f0b27a"
_FEWEST_BINS, _MOST_BINS = 6, 30


def plot_gains(rows, figure, path):
    """Plots how many images gained how much: bars from 0 to both sides, and a line at the mean.

    Args:
        rows: List of `Score`, each with a finite value of the figure, blurred and restored.
        figure: The `Figure`.
        path: PNG file to write, 840 px wide; whole or not at all.

    Returns:
        The path, a `pathlib.Path`.
    """
    from matplotlib.ticker import MaxNLocator

    gains = np.array([improvement(row, figure) for row in rows])
    edges = bins(gains)
    drawing, axes = plot(*_SIZE, text=_SMALL_TEXT, dpi=_DPI)
    worse = int((gains < 0).sum())
    for kept, colour, hatch, label in (
        (gains < 0, _WORSE, "///", f"worse: {worse}"),
        (gains >= 0, _BETTER, "", f"better or the same: {len(gains) - worse}"),
    ):
        axes.hist(
            gains[kept], edges, color=colour, edgecolor="0.15", hatch=hatch, label=label, zorder=2
        )
    axes.axvline(0, color="0.1", linewidth=1.5, zorder=3)
    mean = figure.text(gains.mean(), signed=True)
    axes.axvline(
        gains.mean(), color="0.1", linewidth=2, linestyle="--", zorder=4, label=f"mean: {mean}"
    )
    change = "gain" if figure.higher_is_better else "fall"
    axes.set_xlabel(f"{change} in {_named(figure)} by restoring", fontsize=_TEXT)
    axes.set_ylabel("images", fontsize=_TEXT)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_ylim(bottom=0)
    drawing.legend(loc="outside upper center", ncols=3, fontsize=_SMALL_TEXT, frameon=False)
    return save(drawing, path)


def plot_restored(rows, figure, path):
    """Plots the restored image's figure over that of the blurred input, a point an image.

    Args:
        rows: List of `Score`, each with a finite value of the figure, blurred and restored.
        figure: The `Figure`.
        path: PNG file to write, 840 px wide; whole or not at all.

    Returns:
        The path, a `pathlib.Path`.
    """
    from matplotlib.ticker import MaxNLocator

    blurred, restored = (
        np.array([getattr(row, side)[figure.name] for row in rows])
        for side in ("blurred", "restored")
    )
    better = np.array([improvement(row, figure) >= 0 for row in rows])
    drawing, axes = plot(*_SIZE, text=_SMALL_TEXT, dpi=_DPI)
    low, high = min(blurred.min(), restored.min()), max(blurred.max(), restored.max())
    margin = 0.04 * (high - low) or abs(high) * 0.01 or 1.0
    limits = low - margin, high + margin
    axes.plot(limits, limits, color="0.3", linestyle="--", label="unchanged", zorder=2)
    size = float(np.clip(40 / math.sqrt(len(rows)), 3, 9))
    opacity = 0.9 if len(rows) <= 100 else 0.5
    for kept, style, label in (
        (better, {"marker": "o", "color": "#0b2a5b"}, "better or the same"),
        (~better, {"marker": "^", "color": "#c25400", "markerfacecolor": "none"}, "worse"),
    ):
        axes.plot(
            *(blurred[kept], restored[kept]),
            **style,
            linestyle="",
            markersize=size,
            alpha=opacity,
            label=f"{label}: {int(kept.sum())}",
            zorder=3,
        )
    ticks = MaxNLocator(6).tick_values(*limits)
    axes.set(xticks=ticks, yticks=ticks, xlim=limits, ylim=limits, aspect="equal")
    name = _named(figure)
    side = "above" if figure.higher_is_better else "below"
    axes.set_xlabel(f"{name} of the blurred input", fontsize=_TEXT)
    axes.set_ylabel(f"{name}, restored\n({side} the line is better)", fontsize=_TEXT)
    legend = drawing.legend(
        loc="outside upper center", ncols=3, fontsize=_SMALL_TEXT, frameon=False
    )
    for handle in legend.legend_handles[1:]:
        handle.set(markersize=8, alpha=1)
    return save(drawing, path)


def bins(values):
    """Chooses the edges of a histogram's bars: round numbers, one of them 0.

    Args:
        values: Array ``(n,)`` of finite numbers.

    Returns:
        Array of the edges, equally wide apart.

    Example:
        >>> bins(np.array([-0.3, 0.4, 1.1, 2.2])).tolist()
        [-0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    """
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    wanted = np.clip(2 * math.sqrt(len(values)), _FEWEST_BINS, _MOST_BINS)
    step = (high - low or 1.0) / wanted
    power = 10.0 ** math.floor(math.log10(step))
    width = power * next(digit for digit in (1, 2, 2.5, 5, 10) if digit * power >= step)
    first, last = math.floor(low / width), math.floor(high / width) + 1
    return width * np.arange(first, last + 1)


def _named(figure):
    return f"{figure.title} ({figure.unit})" if figure.unit else figure.title

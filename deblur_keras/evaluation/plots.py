"""Draws a comparison of two models: their scores over the images, and the images to look at.

The two models differ in line and marker, not in colour alone, so that the plots survive a black and
white printer and any eyes.
"""

import numpy as np

from deblur_keras import images, sheets
from deblur_keras.evaluation.drawing import plot, save
from deblur_keras.evaluation.examples import most_different
from deblur_keras.evaluation.significance import p_text

_SIZE = (10, 5.2)  # inches, at 100 px each: legible at 1000 px
_POINTS_UP_TO = 60  # images whose points are joined; of more, the running median is drawn
_LOGARITHMIC_FROM = 30  # ratio of the largest to the smallest MSE
_CELL = 480  # px, greatest width of a cell of the sheet
_LEAST_CELL = 240  # px, so that the captions have room
_STYLES = (
    {"color": "0.55", "linestyle": ":", "marker": "", "zorder": 2},
    {"color": "#0b2a5b", "linestyle": "-", "marker": "o", "zorder": 3},
    {"color": "#d96b00", "linestyle": "--", "marker": "^", "markerfacecolor": "none", "zorder": 4},
)


def plot_scores(comparison, figure, path):
    """Plots one figure of both models, and of the blurred input, over the images.

    The images stand in the order of the blurred input's own score, the worst on the left: the
    models' lines then show where on the way from hard to easy each is better. Up to 60 images have
    their points joined; more are drawn as points with a running median through them, over a
    fifteenth of the images. An error's axis is logarithmic when its values span a factor of 30.

    Args:
        comparison: A `Comparison`.
        figure: A `Figure` of its protocol. Images without a finite value are left out.
        path: PNG file to write, 1000 px wide; written whole or not at all.

    Returns:
        The path, a `pathlib.Path`.

    Raises:
        ValueError: If no image has a finite figure.

    Reference:
        Figs. 13 and 14 of the comparison of DeblurGAN and CycleGAN.
    """
    from matplotlib.ticker import MaxNLocator

    title, higher = figure.title, figure.higher_is_better
    scores = comparison.scores(figure)
    scores = scores[:, np.isfinite(scores).all(axis=0)]
    count = scores.shape[1]
    if not count:
        raise ValueError(f"there is no image with a finite {title} to plot")
    order = np.argsort(scores[0] if higher else -scores[0], kind="stable")
    places = np.arange(1, count + 1)

    drawing, axes = plot(*_SIZE, text=11)
    labels = ["blurred input", *_labels(comparison)]
    window = 2 * (count // 30) + 1 if count > _POINTS_UP_TO else 1
    handles = [
        _draw(axes, places, values, style, window, f"{label}  (mean {figure.text(values.mean())})")
        for values, style, label in zip(scores[:, order], _STYLES, labels, strict=True)
    ]
    label = f"{title} ({figure.unit})" if figure.unit else title
    axes.set_ylabel(label, fontsize=12)
    if not higher:
        if scores.min() > 0 and scores.max() > _LOGARITHMIC_FROM * scores.min():
            axes.set_yscale("log")
            axes.set_ylabel(f"{label}, log scale", fontsize=12)
        else:
            axes.set_ylim(bottom=0)
    words = f"{count} image{'s' * (count > 1)}, ordered by the {title} of the blurred input"
    if window > 1:
        words += f"; lines: medians of {window} neighbours"
    axes.set_xlabel(words, fontsize=12)
    axes.set_xlim(0.5, count + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    outcome = comparison.outcome(figure)
    direction = "higher" if higher else "lower"
    axes.set_title(
        f"{title} ({direction} is better): A better on {outcome.wins_a}, B on {outcome.wins_b}, "
        f"equal on {outcome.ties} of {outcome.count};  Wilcoxon p {_equals(outcome.p)}",
        fontsize=12,
    )
    legend = drawing.legend(
        handles=handles, loc="outside lower center", fontsize=11, frameon=False, handlelength=3
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # a model's name may hold dollar signs
    return save(drawing, path)


def comparison_sheet(comparison, first, second, pairs, scale=1.0, most=2):
    """Lays out blurred, A, B and sharp for the images that tell most about two models.

    These are the largest wins of A, the image in the middle, and the largest wins of B, by SSIM, or
    by the first figure that the images have. Under an image that had to be reduced stands the part
    of it, at full size, on which A and B differ most.

    Args:
        comparison: A `Comparison` with at least one image.
        first: A, a callable from uint8 RGB ``(H, W, 3)`` to the same.
        second: B, likewise.
        pairs: The pairs that were compared; only those to be shown are read.
        scale: Factor that the images were reduced by when compared.
        most: Largest wins to show of each model.

    Returns:
        uint8 array ``(H, W, 3)``.

    Note:
        The images are restored anew. Those of a model that draws random numbers are not the ones
        that were scored.
    """
    figures = sorted(comparison.protocol.figures, key=lambda figure: figure.name != "ssim")
    figure = next(figure for figure in figures if comparison.outcome(figure).count)
    by_name = {pair.name: pair for pair in pairs}
    advantages = comparison.advantages(figure)
    rows, captions = [], []
    for index, role in telling_images(advantages, most):
        pair = by_name[comparison.first.rows[index].name]
        blurred, sharp = (images.resize(image, scale) for image in pair.read())
        row = [blurred, first(blurred), second(blurred), sharp]
        amount = abs(advantages[index])
        if amount:
            ahead = "" if "wins" in role else "A ahead, " if advantages[index] < 0 else "B ahead, "
            role += f" ({ahead}{figure.title} by {figure.text(amount)})"
        words = [_figures(comparison, index, side) for side in range(3)]
        rows.append(row)
        captions.append([*words, f"{pair.name}\n{role}"])
        if row[0].shape[1] > _CELL:  # it had to be reduced
            part = most_different(row[1], row[2], round(0.6 * _CELL), _CELL)
            rows.append([np.ascontiguousarray(image[part]) for image in row])
            captions.append("Part of it at full size: where A and B differ most")
    titles = ["blurred", *_labels(comparison), "sharp"]
    widest = max(image.shape[1] for row in rows for image in row)
    return sheets.contact_sheet(
        rows, titles, captions, cell=int(np.clip(widest, _LEAST_CELL, _CELL))
    )


def telling_images(advantages, most=2):
    """Picks the images to show: the largest wins of A, the median image, the largest wins of B.

    Args:
        advantages: Array ``(n,)``, positive where B is better, of `Comparison.advantages`; NaN is
            never picked.
        most: Wins to show of each.

    Returns:
        List of ``(index, role)`` from A's largest win to B's, each index once. The median image is
        the lower one of two; ties are nobody's wins.

    Example:
        >>> telling_images([0.5, -0.1, 0.2], most=1)
        [(1, 'A wins most'), (2, 'in the middle'), (0, 'B wins most')]
    """
    advantages = np.asarray(advantages, dtype=float)
    order = [int(index) for index in np.argsort(advantages, kind="stable")]
    order = [index for index in order if not np.isnan(advantages[index])]
    wins_a = [index for index in order if advantages[index] < 0][:most]
    wins_b = [index for index in order if advantages[index] > 0][-most:] if most else []
    middle = order[(len(order) - 1) // 2 : (len(order) + 1) // 2][:1]
    roles = dict.fromkeys(middle, "in the middle")
    for side, wins in (("A", wins_a), ("B", wins_b[::-1])):
        for place, index in enumerate(wins):
            roles[index] = f"{side} wins most" if place == 0 else f"{side} wins, no. {place + 1}"
    return [(index, roles[index]) for index in order if index in roles]


def _draw(axes, places, values, style, window, label):
    """Draws one line, and returns what stands for it in the legend.

    With a window above 1, the points are drawn by themselves and the line is their running median.
    """
    from matplotlib.lines import Line2D

    size = float(np.clip(40 / np.sqrt(len(places)), 2.5, 7))
    if len(places) == 1 and not style["marker"]:
        style = {**style, "marker": "s"}  # a line of one point shows nothing
    if window == 1 or not style["marker"]:
        return axes.plot(places, values, **style, markersize=size, label=label)[0]
    points = {**style, "linestyle": "", "zorder": 1}
    axes.plot(places, values, **points, markersize=size + 0.5, alpha=0.6)
    padded = np.pad(values, window // 2, mode="reflect")
    medians = np.median(np.lib.stride_tricks.sliding_window_view(padded, window), axis=-1)
    axes.plot(places, medians, **{**style, "marker": ""}, linewidth=2.2)
    return Line2D([], [], **style, linewidth=2.2, markersize=6, label=label)


def _figures(comparison, index, side):
    """Words the scores of one image; side 0 is blurred, 1 is A, 2 is B."""
    values = {
        figure: float(comparison.scores(figure)[side, index])
        for figure in comparison.protocol.figures
    }
    return ", ".join(
        f"{figure.title} {figure.text(value)}"
        for figure, value in values.items()
        if not np.isnan(value)
    )


def _labels(comparison):
    return [f"{side}: {name}" for side, name in zip("AB", comparison.names, strict=True)]


def _equals(p):
    return "not defined" if p is None else f"= {p_text(p)}"

"""Writes what an evaluation found as one page to read: tables, plots, the best and worst images.

Beside ``report.html`` lie the plots and the images in it, as PNG.
"""

import dataclasses
from pathlib import Path

from deblur_keras.evaluation import examples, results
from deblur_keras.evaluation.report import plots
from deblur_keras.evaluation.report.page import element, picture, section, table, write_page
from deblur_keras.evaluation.report.parts import (
    REPORT,
    counted,
    environment,
    failures_section,
    files_section,
    gain_text,
    heading,
    opening,
    published_caution,
    published_rows,
    rules_section,
    subject,
)
from deblur_keras.evaluation.report.shown import EXAMPLES, examples_section

GAINS, SCATTER = "gains.png", "scatter.png"
"""Names of the two plots."""

_MOST_ROWS = 40  # images that get a line each


def write_report(result, restorer, pairs, directory, saved=None, progress=None):
    """Writes a page on how one model did, and the pictures behind it.

    ``report.html`` is self-contained: it loads nothing, and can be sent by itself. It has the means
    beside what was published under the protocol, the scenes, a histogram of the gains, restored
    against blurred, the five best and the five worst images, and all that the figures depend on.
    ``gains.png``, ``scatter.png`` and ``examples/{best,worst}-<1 to 5>.png`` are replaced.

    Args:
        result: An `Evaluation`.
        restorer: Callable from uint8 RGB ``(H, W, 3)`` to the same, to restore the ten images once
            more.
        pairs: The pairs that were scored; only those to be shown are read.
        directory: Folder to write to; made if missing.
        saved: Folder of the restored images of the same run, ``<name>.png``, to be shown instead of
            restoring anew; or None.
        progress: Object with ``start(name)`` and ``advance()``, called for each image to be shown;
            or None.

    Returns:
        `pathlib.Path` of the page.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from deblur_keras.evaluation import evaluate_pairs
        >>> class Flat:
        ...     name = "grey"
        ...     def read(self):
        ...         return np.full((16, 16, 3), 90, "uint8"), np.full((16, 16, 3), 100, "uint8")
        >>> def brighter(image):
        ...     return image + 5
        >>> result = evaluate_pairs(brighter, [Flat()])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = write_report(result, brighter, [Flat()], folder)
        ...     page.name, sorted(path.name for path in page.parent.iterdir())
        ('report.html', ['examples', 'gains.png', 'report.html', 'scatter.png'])

    Note:
        A model that draws random numbers when restoring does not give the images again that were
        scored; the page says so.
    """
    directory = Path(directory)
    protocol, facts = result.protocol, result.facts
    what = f"Protocol {protocol.name}: {protocol.title}"
    noun = "pairs" if protocol.paired else "photographs"
    title = f"{facts.get('model', 'model')} on {subject(facts)}"
    files = [results.SCORES, results.SUMMARY, GAINS, SCATTER, EXAMPLES]
    body = [
        opening(title, what, facts, len(result.rows), result.failures, noun),
        element(
            "main",
            _tiles(result),
            _summary_section(result),
            _plots_section(result, directory),
            _tables_section(result),
            examples_section(result, restorer, pairs, directory, saved, progress),
            failures_section(result.failures),
            rules_section(protocol.rules, [figure.variant for figure in protocol.figures], facts),
            section("Environment", _seconds(result), environment(facts)),
            files_section(directory, files),
        ),
    ]
    return write_page(directory / REPORT, f"{title}: deblurring report", *body)


def _tiles(result):
    """Shows the means, the share of images that improved, and the seconds at a glance."""
    if not result.rows:
        return None
    summary, tiles = result.summary(), []
    for figure in result.protocol.figures:
        mean = summary[figure.name]
        if mean["gain"] is not None:
            values = " → ".join(figure.text(mean[side]) for side in ("blurred", "restored"))
            tiles.append((heading(figure), values, gain_text(figure, mean["gain"])))
    leading, count = result.protocol.figures[0], summary["count"]
    if summary["worst_gain"] is not None:
        worst = gain_text(leading, summary["worst_gain"] * (1 if leading.higher_is_better else -1))
        improved = f"{round(summary['improved'] * count)} of {count}"
        words = ["worst: ", worst, f", {summary['worst_image']}"]
        tiles.append((f"images improved by {leading.title}", improved, words))
    seconds = summary["seconds"]
    if seconds["median"] is not None:
        where = result.facts.get("device")
        tiles.append(("seconds per image, median", f"{seconds['median']:.2f}", where))
    shown = [
        element("div", title, element("strong", value), element("span", more), class_="tile")
        for title, value, more in tiles
    ]
    return element("div", shown, class_="tiles")


def _summary_section(result):
    """Lays the means out over what was published under the same protocol."""
    if not result.rows:
        return None
    protocol, summary = result.protocol, result.summary()
    seconds = summary["seconds"]
    timed = seconds["median"] is not None
    timed |= any("seconds" in entry.values for entry in protocol.published)
    names = [figure.name for figure in protocol.figures] + ["seconds"] * timed
    kind = "mean" if protocol.extremes else "median"
    titles = [heading(figure) for figure in protocol.figures] + [f"seconds, {kind} ↓"] * timed
    time = "-" if seconds[kind] is None else f"{seconds[kind]:.2f}"

    def row(title, cell, last=""):
        source = [""] if protocol.published else []
        return [title, *map(cell, protocol.figures), *[last] * timed, *source]

    rows = [
        f"This run: {result.facts.get('model', 'model')} on {subject(result.facts)}, means of "
        f"{counted(summary['count'], 'image')}",
        row("blurred input", lambda figure: figure.text(summary[figure.name]["blurred"])),
        ("main", row("restored", lambda f: f.text(summary[f.name]["restored"]), time)),
        row("gain", lambda figure: gain_text(figure, summary[figure.name]["gain"])),
    ]
    for extreme in ("highest", "lowest") if protocol.extremes else ():
        for side, words in (("blurred", "blurred input"), ("restored", "restored")):
            last = seconds[extreme] if side == "restored" else None
            rows.append(
                row(
                    f"{words}, {extreme}",
                    lambda f, extreme=extreme, side=side: f.text(summary[f.name][extreme][side]),
                    "" if last is None else f"{last:.2f}",
                )
            )
    rows += published_rows(protocol, names)
    head = ["", *titles, "source"] if protocol.published else ["", *titles]
    return section(
        "Summary",
        table(head, rows, "summary", texts={len(names) + 1}),
        element("p", "↑ higher is better, ↓ lower is better. ", _left_out(summary), class_="soft"),
        published_caution(protocol, result.facts, summary["count"]),
    )


def _left_out(summary):
    if not (summary["exact_blurred"] or summary["exact_restored"]):
        return None
    return (
        f"Equal to the sharp image, and left out of the mean PSNR: {summary['exact_blurred']} "
        f"blurred, {summary['exact_restored']} restored."
    )


def _plots_section(result, directory):
    """Draws the two plots, or removes those of an earlier run."""
    figure, rows = examples.measured(result)
    paths = directory / GAINS, directory / SCATTER
    if figure is None:
        for path in paths:
            path.unlink(missing_ok=True)
        return None
    plots.plot_gains(rows, figure, paths[0])
    plots.plot_restored(rows, figure, paths[1])
    gains = sorted(row.gain(figure.name) for row in rows)
    low, high = (figure.text(gain, signed=True) for gain in (gains[0], gains[-1]))
    many = counted(len(rows), "image")
    words = (
        f"Histogram of the gains in {figure.title} of {many}, from {low} to {high}.",
        f"{figure.title} of the restored image over that of the blurred one, {many}.",
    )
    left_out = len(result.rows) - len(rows)
    note = f"Left out, without a finite {figure.title}: {counted(left_out, 'image')}."
    pictures = [
        element("figure", picture(path.read_bytes(), text))
        for path, text in zip(paths, words, strict=True)
    ]
    return section(
        f"Gains in {figure.title}",
        element("div", pictures, class_="plots"),
        element("p", note, class_="soft") if left_out else None,
    )


def _tables_section(result):
    """Lays out the scenes, and the images if they are few."""
    scenes, parts = result.scenes(), []
    figures = result.protocol.figures
    titles = [(heading(figure), ["blurred", "restored", "gain"]) for figure in figures]
    if len(scenes) > 1:
        rows = []
        for name, members in scenes.items():
            summary = dataclasses.replace(result, rows=members).summary()
            cells = [cell for figure in figures for cell in _cells(figure, summary[figure.name])]
            improved = f"{round(summary['improved'] * len(members))}"
            rows.append([name, len(members), *cells, improved])
        head = ["scene", "images", *titles, "improved"]
        parts.append(section("Scenes, means", table(head, rows, "scenes", tall=False)))
    if 1 <= len(result.rows) <= _MOST_ROWS:
        rows = []
        for row in result.rows:
            found = [_of_row(row, figure) for figure in figures]
            cells = [cell for pair in zip(figures, found, strict=True) for cell in _cells(*pair)]
            rows.append([row.name, f"{row.width}x{row.height}", *cells])
        head = ["image", "size", *titles]
        parts.append(section("Images", table(head, rows, "images", tall=False)))
    elif result.rows:
        text = f"All {len(result.rows)} images are in {results.SCORES}, a line each."
        parts.append(element("p", text, class_="soft"))
    return parts


def _of_row(row, figure):
    """Returns the figure of one image as `Evaluation.summary` has the means; None for NaN."""
    values = row.blurred[figure.name], row.restored[figure.name], row.gain(figure.name)
    values = [value if value == value else None for value in values]
    return dict(zip(("blurred", "restored", "gain"), values, strict=True))


def _cells(figure, found):
    before, after = (figure.text(found[side]) for side in ("blurred", "restored"))
    return before, after, gain_text(figure, found["gain"])


def _seconds(result):
    """Says how long an image takes, and how that was measured."""
    seconds = result.summary()["seconds"]
    if seconds["median"] is None:
        return None
    count = seconds["images"]
    text = (
        f"{seconds['median']:.2f} s per image: the median of {counted(count, 'image')} "
        f"restored alone in this process, batch 1; lowest {seconds['lowest']:.2f}, highest "
        f"{seconds['highest']:.2f}."
    )
    return element("p", text)

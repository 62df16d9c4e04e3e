"""Writes what an object detector saw on blurred, restored and sharp images as one page to read."""

from pathlib import Path

from deblur_keras import images
from deblur_keras.evaluation import results
from deblur_keras.evaluation.detection import count, run
from deblur_keras.evaluation.report.page import (
    bullets,
    element,
    picture,
    section,
    table,
    write_page,
)
from deblur_keras.evaluation.report.parts import (
    REPORT,
    environment,
    failures_section,
    files_section,
    opening,
    rules_section,
    subject,
)

_SIDES = ("blurred", "restored", "sharp")
_RATES = {"precision": "precision ↑", "recall": "recall ↑", "f1": "F1 ↑", "map": "mAP ↑"}
_COUNTS = {"true_positives": "found", "false_positives": "false", "false_negatives": "missed"}
_MOST_ROWS = 40  # images that get a line each


def write_detection_report(result, directory):
    """Writes a page on what a detector saw, from the files of `evaluate_detection` beside it.

    ``report.html`` is self-contained: it loads nothing, and can be sent by itself.

    Args:
        result: A `detection.run.DetectionEvaluation`.
        directory: Folder to write to; the page takes ``detections.png`` from there, if it is there.

    Returns:
        `pathlib.Path` of the page.
    """
    directory = Path(directory)
    facts = result.facts
    title = f"{facts.get('model', 'model')} on {subject(facts)}, to a detector"
    files = [run.TABLE, results.SUMMARY, run.SHEET]
    what = "Protocol detection: what an object detector sees on blurred, restored and sharp images"
    body = [
        opening(title, what, facts, len(result.rows), result.failures),
        element(
            "main",
            _summary_section(result),
            _sheet_section(directory) if result.rows else None,
            _images_section(result),
            failures_section(result.failures),
            rules_section(result.judge.lines(), (), facts),
            section("Environment", environment(facts)),
            files_section(directory, files),
        ),
    ]
    return write_page(directory / REPORT, f"{title}: deblurring report", *body)


def _summary_section(result):
    """Lays out the rates and the counts of the three sides."""
    if not result.rows:
        return None
    summary = result.summary()
    rows = []
    for side in _SIDES:
        found = summary[side]
        rates = ["-" if found[name] is None else f"{found[name]:.3f}" for name in _RATES]
        cells = [side, *rates, *(found[name] for name in _COUNTS)]
        rows.append(("main", cells) if side == "restored" else cells)
    head = ["images", *_RATES.values(), *_COUNTS.values()]
    return section("Summary", table(head, rows, "summary"), bullets(result.lines()))


def _sheet_section(directory):
    """Shows the images with their boxes."""
    path = directory / run.SHEET
    if not path.exists():
        return None
    words = "Boxes on the blurred, the restored and the sharp image, where restoring tells most."
    sheet = element("div", picture(images.read(path), words), class_="wide sheet")
    return section("Images that tell most", element("p", words), sheet)


def _images_section(result):
    """Lays out how many boxes were found, and how many false, on each image if they are few."""
    if not 1 <= len(result.rows) <= _MOST_ROWS:
        return None
    rows = []
    for row in result.rows:
        counts = count(row.record, result.judge.confidence, result.judge.overlap)
        cells = [
            counts[f"{side}_{kind}"]
            for side in _SIDES
            for kind in ("true_positives", "false_positives")
        ]
        rows.append([row.name, f"{row.width}x{row.height}", counts["truth"], *cells])
    sides = [(side, ["found", "false"]) for side in _SIDES]
    return section(
        "Images", table(["image", "size", "true boxes", *sides], rows, "images", tall=False)
    )

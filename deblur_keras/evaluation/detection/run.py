"""Judges a restorer on a set of pairs by what an object detector sees."""

import dataclasses
import functools
import json
from pathlib import Path

from deblur_keras import images
from deblur_keras.evaluation import sets
from deblur_keras.evaluation.detection.judge import (
    COUNTS,
    SIDES,
    count,
    packed,
    summarize,
    summary_lines,
    summary_table,
    unpacked,
)
from deblur_keras.evaluation.detection.sheet import detection_sheet, telling
from deblur_keras.evaluation.results import SUMMARY

TABLE, SHEET = "detections.csv", "detections.png"
"""Names of the files, besides ``summary.json``."""

_COLUMNS = (
    *("name", "width", "height", "truth"),
    *(f"{side}_{kind}" for side in SIDES for kind in COUNTS),
    *("seconds", "record"),
)


@dataclasses.dataclass(frozen=True)
class Judged:
    """Holds what was seen on one pair.

    Attributes:
        name: Name of the pair.
        width: Width as judged, in pixels.
        height: Height as judged, in pixels.
        record: Dictionary of `Judge.score`, `packed` where the set was gone through here.
        seconds: Time that restoring took with nothing else at work; None where there was.
    """

    name: str
    width: int
    height: int
    record: dict
    seconds: float | None = None


@dataclasses.dataclass(frozen=True)
class DetectionEvaluation:
    """Holds what a detector saw on a set, and how that came about.

    Attributes:
        judge: The `Judge`.
        rows: List of `Judged`, one for each pair that could be judged.
        failures: Dictionary from the names of the other pairs to what went wrong.
        facts: Dictionary of the facts that the figures depend on.
    """

    judge: object
    rows: list
    failures: dict
    facts: dict

    def summary(self):
        """Sums up what was seen: see `summarize`. It is worked out once.

        Returns:
            Dictionary.
        """
        return self._summary

    @functools.cached_property
    def _summary(self):
        records = (row.record for row in self.rows)
        return summarize(records, self.judge.confidence, self.judge.overlap)

    def table(self):
        """Lays the summary out.

        Returns:
            A ``rich.table.Table``.
        """
        return summary_table(self.summary())

    def published_lines(self):
        """Returns nothing: no figure was published by rules that are stated."""
        return []

    def lines(self):
        """Words the summary.

        Returns:
            List of lines of text.
        """
        if not self.rows:
            return ["no image could be judged"]
        return summary_lines(self.summary())

    def protocol_lines(self):
        """Words what the figures depend on.

        Returns:
            List of lines of text.
        """
        facts = self.facts
        scored = f"{len(self.rows)} of {facts['pairs']} pairs"
        if facts.get("resampling"):
            scored += f", scale {facts['scale']:g} by {facts['resampling']}"
        lines = ["protocol detection: what an object detector sees", *self.judge.lines(), scored]
        digest = facts.get("model_sha256")
        return [*lines, f"model {facts['model']}" + (f", sha256 {digest}" if digest else "")]

    def write_summary(self, directory):
        """Writes ``summary.json``.

        Args:
            directory: Folder to write to.

        Returns:
            The path written.
        """
        report = {
            "summary": self.summary(),
            "protocol": {"name": "detection", "rules": self.judge.lines(), **self.facts},
            "failures": [{"name": name, "error": text} for name, text in self.failures.items()],
        }
        text = json.dumps(report, indent=2, allow_nan=False, ensure_ascii=False, default=str)
        path = Path(directory) / SUMMARY
        images.write_bytes(path, (text + "\n").encode())
        return path

    def write_sheet(self, directory, restorer, pairs, most=6):
        """Draws the boxes on the images that tell most, blurred, restored and sharp.

        Args:
            directory: Folder to write ``detections.png`` to.
            restorer: The restorer that was judged; the few images are restored anew.
            pairs: The pairs.
            most: Images to draw.

        Returns:
            The path written; None if nothing was true on any image.
        """
        confidence, overlap = self.judge.confidence, self.judge.overlap
        records = [row.record for row in self.rows]
        by_name = {pair.name: pair for pair in pairs}
        rows = []
        for place in telling(records, most, confidence, overlap):
            row = self.rows[place]
            blurred, sharp = sets.read(by_name[row.name], self.facts["scale"])
            rows.append((row.name, row.record, (blurred, restorer(blurred), sharp)))
        path = Path(directory) / SHEET
        if not rows:
            path.unlink(missing_ok=True)  # of an earlier run
            return None
        sheet = detection_sheet(rows, self.judge.detector.name, confidence, overlap)
        return images.write(path, sheet)


def evaluate_detection(
    restorer,
    pairs,
    judge,
    output=None,
    save_images=False,
    progress=None,
    scale=1.0,
    facts=None,
    resume=False,
):
    """Judges a restorer by what a detector sees on blurred, restored and sharp images.

    Args:
        restorer: Callable from uint8 RGB ``(H, W, 3)`` to uint8 of the same shape.
        pairs: Iterable of pairs, as `deblur_keras.evaluation.evaluate_pairs` takes them.
        judge: `Judge`, whose ``scale`` is the same as here.
        output: Folder for ``detections.csv`` (a line per image as soon as it is judged, with its
            counts and all boxes) and ``summary.json``; or None.
        save_images: Whether to write ``restored/<name>.png`` there.
        progress: Object with ``start(name)`` and ``advance(count=1)``, or None.
        scale: Factor in (0, 1] by which both sides are reduced first.
        facts: Dictionary of further facts for the report.
        resume: Whether to continue an interrupted run in ``output``.

    Returns:
        `DetectionEvaluation`.

    Raises:
        ValueError: As `deblur_keras.evaluation.evaluate_pairs` says.
        DetectionError: Pairs without hand-drawn boxes, where those are the truth.
        JournalError: Likewise.

    Reference:
        Kupyn et al., "DeblurGAN: Blind Motion Deblurring Using Conditional Adversarial Networks",
        CVPR 2018, section 6.3.
    """

    def score(pair, sharp, blurred, restored):
        height, width = restored.shape[:2]
        record = packed(judge.score(pair, sharp, blurred, restored))
        return Judged(pair.name, width, height, record)

    def to_row(row):
        counts = count(row.record, judge.confidence, judge.overlap)
        record = json.dumps(unpacked(row.record), separators=(",", ":"))
        return {**vars(row), **counts, "record": record}

    pairs = list(pairs)
    judge.check(pairs)
    named = {"protocol": "detection", **judge.facts()}
    measurement = sets.Measurement(score, TABLE, _COLUMNS, to_row, _from_row)
    found = sets.measure(
        restorer,
        pairs,
        measurement,
        {**named, **(facts or {})},
        output,
        save_images,
        progress,
        scale,
        resume,
    )
    evaluation = DetectionEvaluation(judge, found.results, found.failures, found.facts)
    if output is not None:
        evaluation.write_summary(output)
    return evaluation


def _from_row(row):
    seconds = float(row["seconds"]) if row["seconds"] else None
    size = int(row["width"]), int(row["height"])
    try:
        record = packed(json.loads(row["record"]))
    except (KeyError, TypeError) as error:
        raise ValueError("expected a record of blurred, restored, sharp and truth") from error
    return Judged(row["name"], *size, record, seconds)

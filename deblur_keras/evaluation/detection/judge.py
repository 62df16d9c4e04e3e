"""Judges images one by one with a detector, and sums the judgements of a set up.

The detector runs once on each image. What it finds, down to a score of 0.001, goes into a record of
plain numbers, from which all figures follow: precision, recall and F1 of the confident boxes, and
the average precision, which needs the weak ones too.
"""

import dataclasses

import numpy as np

from deblur_keras.evaluation.detection.boxes import Detections, PackedBoxes
from deblur_keras.evaluation.detection.detector import LOWEST_CONFIDENCE, MOST_BOXES
from deblur_keras.evaluation.detection.scoring import average_precision, match, rates
from deblur_keras.evaluation.tables import score_table

SIDES = ("blurred", "restored", "sharp")
COUNTS = ("true_positives", "false_positives", "false_negatives")
CONFIDENCE = 0.25
OVERLAP = 0.5


@dataclasses.dataclass(frozen=True)
class Judge:
    """Looks at the images of a pair with a detector.

    Attributes:
        detector: `Detector`, or any callable from a uint8 RGB image to `Detections`.
        boxes: `DrawnBoxes`, the truth; None takes what the detector finds on the sharp image.
        confidence: Score from which a box counts as found, and one on the sharp image as true.
        overlap: Least IoU of a match.
        scale: Factor by which the images are resized before they come here; hand-drawn boxes in
            pixels follow.
    """

    detector: object
    boxes: object = None
    confidence: float = CONFIDENCE
    overlap: float = OVERLAP
    scale: float = 1.0

    def __post_init__(self):
        """Checks both thresholds."""
        for name in ("confidence", "overlap"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in (0, 1], got {getattr(self, name)}")
        if self.confidence < LOWEST_CONFIDENCE:
            raise ValueError(
                f"confidence must be at least {LOWEST_CONFIDENCE}, below which the detector's "
                f"boxes are not kept; got {self.confidence}"
            )

    def check(self, pairs):
        """Checks that every pair has its boxes, before any time is spent on restoring.

        Args:
            pairs: Iterable of pairs, each with a ``name``.

        Raises:
            DetectionError: Hand-drawn boxes are the truth and some pairs have none; names them.
        """
        if self.boxes is not None:
            self.boxes.check(pair.name for pair in pairs)

    def score(self, pair, sharp, blurred, restored):
        """Judges one pair.

        Args:
            pair: The pair, whose ``name`` finds its hand-drawn boxes.
            sharp: uint8 RGB ``(H, W, 3)``.
            blurred: Likewise.
            restored: Likewise.

        Returns:
            Dictionary that JSON can hold: ``blurred``, ``restored`` and ``sharp``, each the list of
            `Detections.to_list`; ``truth``, the hand-drawn boxes in the same form, or None where
            the sharp image's are the truth; ``unknown``, hand-drawn boxes that were left out as the
            detector does not know their classes.

        Raises:
            DetectionError: The pair has no boxes, or the detector fails.
        """
        truth, unknown = None, 0
        if self.boxes is not None:
            height, width = sharp.shape[:2]
            truth = self.boxes.boxes(pair.name, height, width, self.scale).to_list()
            unknown = self.boxes.unknown_count(pair.name)
        sides = zip(SIDES, (blurred, restored, sharp), strict=True)
        found = {side: self.detector(image).to_list() for side, image in sides}
        return {**found, "truth": truth, "unknown": unknown}

    def facts(self):
        """Collects what its judgements depend on.

        Returns:
            Dictionary of plain values: the detector's facts, the boxes', ``confidence`` and
            ``overlap``.
        """
        detector = self.detector.facts() if hasattr(self.detector, "facts") else {}
        boxes = {"boxes": None} if self.boxes is None else self.boxes.facts()
        return {**detector, **boxes, "confidence": self.confidence, "overlap": self.overlap}

    def lines(self):
        """Words the rules, to be printed beside the figures.

        Returns:
            List of lines of text.
        """
        truth = f"what the detector finds on the sharp image, score {self.confidence:g} or more"
        if self.boxes is not None:
            truth = (
                f"hand-drawn boxes of {self.boxes.directory} ({self.boxes.form}), of the classes "
                "that the detector knows"
            )
        detector = self.detector.lines() if hasattr(self.detector, "lines") else []
        return [
            *detector,
            f"truth: {truth}",
            f"precision, recall, F1: boxes of score {self.confidence:g} or more, matched one to "
            f"one within a class at IoU {self.overlap:g}, the most confident first; counts summed "
            "over all images",
            f"mAP@{self.overlap:g}: boxes of score {LOWEST_CONFIDENCE:g} or more, at most "
            f"{MOST_BOXES} an image; area under precision over recall at all points; mean over the "
            "classes with a true box",
        ]


def truth_of(record, confidence=CONFIDENCE):
    """Returns the true boxes of a record of `Judge.score`, as `Detections`.

    Args:
        record: Dictionary of `Judge.score`, or `packed`.
        confidence: Score from which a box on the sharp image is true, where none were drawn.
    """
    if record["truth"] is not None:
        return Detections.from_list(record["truth"])
    return Detections.from_list(record["sharp"]).above(confidence)


def packed(record):
    """Packs a record of `Judge.score`, to keep those of a whole set in little memory.

    Args:
        record: Dictionary of `Judge.score`.

    Returns:
        The same with `PackedBoxes` for the lists, of which the functions here make the same.
    """
    return _converted(record, PackedBoxes)


def unpacked(record):
    """Makes of a `packed` record the dictionary that JSON can hold again."""
    return _converted(record, PackedBoxes.to_list)


def count(record, confidence=CONFIDENCE, overlap=OVERLAP):
    """Counts what was found and missed on the images of one pair.

    Args:
        record: Dictionary of `Judge.score`, or `packed`.
        confidence: Score from which a box counts.
        overlap: Least IoU of a match.

    Returns:
        Dictionary: ``truth``, the number of true boxes, and for each of blurred, restored and sharp
        ``<side>_true_positives``, ``<side>_false_positives`` and ``<side>_false_negatives``.

    Example:
        >>> there, wrong = [3, 0.9, 0, 0, 10, 10], [4, 0.8, 0, 0, 10, 10]
        >>> record = {"sharp": [there], "restored": [there, wrong], "blurred": [], "truth": None}
        >>> count(record)["restored_false_positives"], count(record)["blurred_false_negatives"]
        (1, 1)
    """
    truth = truth_of(record, confidence)
    counts = {"truth": len(truth)}
    for side in SIDES:
        found = Detections.from_list(record[side]).above(confidence)
        hits = int((match(truth, found, overlap) >= 0).sum())
        counts[f"{side}_true_positives"] = hits
        counts[f"{side}_false_positives"] = len(found) - hits
        counts[f"{side}_false_negatives"] = len(truth) - hits
    return counts


def summarize(records, confidence=CONFIDENCE, overlap=OVERLAP):
    """Sums the judgements of a set up.

    Counts are summed over all images before precision, recall and F1 are formed, so that an image
    weighs as much as it has boxes.

    Args:
        records: Iterable of `Judge.score`'s dictionaries, or `packed`, gone through once.
        confidence: Score from which a box counts.
        overlap: Least IoU of a match.

    Returns:
        Dictionary: ``images``; ``truth``, the number of true boxes; ``classes``, of how many
        classes; ``unknown``, boxes left out; and ``blurred``, ``restored`` and ``sharp``, each a
        dictionary of ``precision``, ``recall``, ``f1``, ``map``, ``true_positives``,
        ``false_positives``, ``false_negatives`` and ``average_precisions``, a dictionary from class
        numbers to numbers. Figures that are 0 / 0 are None (`rates`); ``map`` is None without any
        true box. And ``recall_lost``, the sharp image's recall less the blurred one's, and
        ``recall_regained``, the part of that loss that restoring makes good: 1 for all of it,
        negative if recall fell further, None if nothing was lost.

    Example:
        >>> box = [3, 0.9, 0, 0, 10, 10]
        >>> record = {"sharp": [box], "restored": [box], "blurred": [], "truth": None}
        >>> summary = summarize([record])
        >>> summary["recall_lost"], summary["recall_regained"], summary["blurred"]["f1"]
        (1.0, 1.0, 0.0)

    Reference:
        Kupyn et al., CVPR 2018, section 6.3.

    Note:
        The paper states neither IoU nor confidence, nor how it averages; figures by other rules do
        not compare. It reports precision to be higher on blurred images, where less is found:
        recall and F1 tell.
    """
    sums, unknown, images = dict.fromkeys(["truth"], 0), 0, 0
    there = {}  # class: true boxes
    lists = {side: [] for side in SIDES}  # side: (labels, scores, correct) of each image
    for record in records:
        images += 1
        unknown += record.get("unknown", 0)
        for key, value in count(record, confidence, overlap).items():
            sums[key] = sums.get(key, 0) + value
        truth = truth_of(record, confidence)
        for label in truth.labels.tolist():
            there[label] = there.get(label, 0) + 1
        for side in SIDES:
            found = Detections.from_list(record[side])
            correct = match(truth, found, overlap) >= 0
            # copies, as the scores alone would keep all of the image's numbers
            lists[side].append((found.labels.astype(np.int32), found.scores.copy(), correct))
    summary = {
        "images": images,
        "truth": sums["truth"],
        "classes": len(there),
        "unknown": unknown,
        **{side: _side(sums, side, lists[side], there) for side in SIDES},
    }
    blurred, restored, sharp = (summary[side]["recall"] for side in SIDES)
    lost = None if sharp is None else sharp - blurred
    summary["recall_lost"] = lost
    summary["recall_regained"] = (restored - blurred) / lost if lost and lost > 0 else None
    return summary


def summary_table(summary):
    """Lays a summary out: a line each for blurred, restored and sharp.

    Args:
        summary: Dictionary of `summarize`.

    Returns:
        A ``rich.table.Table``.
    """
    titles = ("precision", "recall", "F1", "mAP", "found", "false", "missed")
    table = score_table("images", titles)
    for side in SIDES:
        row = summary[side]
        figures = [_text(row[name]) for name in ("precision", "recall", "f1", "map")]
        table.add_row(side, *figures, *(str(row[kind]) for kind in COUNTS))
    return table


def summary_lines(summary):
    """Words a summary: how much is true, what blur costs and what restoring regains.

    Args:
        summary: Dictionary of `summarize`.

    Returns:
        List of lines of text.
    """
    lines = [
        f"{summary['truth']} true boxes of {summary['classes']} classes in {summary['images']} "
        "images"
    ]
    if summary["unknown"]:
        boxes = "box was" if summary["unknown"] == 1 else "boxes were"
        lines.append(
            f"{summary['unknown']} hand-drawn {boxes} left out, of classes that the detector does "
            "not know"
        )
    lost, regained = summary["recall_lost"], summary["recall_regained"]
    if lost is not None:
        line = f"recall lost to blur: {lost:.3f}"
        if summary["sharp"]["recall"]:
            line += f", {lost / summary['sharp']['recall']:.0%} of the sharp images'"
        if regained is not None:
            line += f"; restoring brings back {regained:.0%} of it"
        lines.append(line)
    return lines


def _side(sums, side, lists, there):
    counts = {name: sums.get(f"{side}_{name}", 0) for name in COUNTS}
    precision, recall, f1 = rates(*counts.values())
    single = {}
    if there:
        labels, scores, correct = (np.concatenate(parts) for parts in zip(*lists, strict=True))
        for label, number in sorted(there.items()):
            own = labels == label
            single[label] = average_precision(scores[own], correct[own], number)
    mean = sum(single.values()) / len(single) if single else None
    figures = {"precision": precision, "recall": recall, "f1": f1, "map": mean}
    return {**figures, **counts, "average_precisions": single}


def _converted(record, function):
    lists = {name: record[name] for name in (*SIDES, "truth") if record[name] is not None}
    return {**record, **{name: function(rows) for name, rows in lists.items()}}


def _text(value):
    return "-" if value is None else f"{value:.3f}"

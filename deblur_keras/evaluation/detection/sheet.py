"""Draws what a detector sees: boxes on the blurred, the restored and the sharp image, side by side.

A box's line tells what it is worth, so that the sheet survives a black and white printer: solid for
found, dashed for false, dotted for missed.
"""

import numpy as np

from deblur_keras import images, sheets
from deblur_keras.evaluation.detection.boxes import Detections
from deblur_keras.evaluation.detection.judge import CONFIDENCE, OVERLAP, SIDES, count, truth_of
from deblur_keras.evaluation.detection.scoring import match, rates

_CELL = 640  # px, greatest width of a cell
_LEAST_CELL = 320  # px, so that the labels have room
_TEXT = 13  # px, of the labels
_BRIGHT = 380  # sum of red, green and blue from which black text reads better
_FOUND, _FALSE, _MISSED = (31, 119, 255), (255, 127, 14), (255, 235, 60)
_PATTERNS = {_FOUND: None, _FALSE: (9, 5), _MISSED: (2, 4)}  # px on and off
_LEGEND = "solid blue: found; dashed orange: false; dotted yellow: missed"


def draw(image, truth, found, name, cell=_CELL, overlap=OVERLAP):
    """Draws boxes on an image: found, false and missed.

    Args:
        image: uint8 RGB array ``(H, W, 3)``; one wider than the cell is reduced first, so that the
            lines and labels keep their size.
        truth: `Detections` that are there, in pixels of the image.
        found: `Detections` to draw, in pixels of the image.
        name: Function from a class number to its name.
        cell: Width in pixels to draw at.
        overlap: Least IoU of a match.

    Returns:
        uint8 RGB array, at most ``cell`` wide; a new one.

    Example:
        >>> box = Detections([0], [0.9], [[20, 20, 60, 60]])
        >>> drawn = draw(np.zeros((80, 90, 3), "uint8"), box, box, ["cat"].__getitem__)
        >>> drawn.shape, bool(drawn[40, 20].any())
        ((80, 90, 3), True)
    """
    from PIL import Image, ImageDraw, ImageFont

    scale = min(1.0, cell / image.shape[1])
    picture = Image.fromarray(np.ascontiguousarray(images.resize(image, scale)))
    ratio = np.array(picture.size * 2) / np.array(image.shape[1::-1] * 2)
    canvas, font = ImageDraw.Draw(picture), ImageFont.load_default(_TEXT)
    matches = match(truth, found, overlap)
    missed = truth[np.setdiff1d(np.arange(len(truth)), matches)]
    marks = [(_FOUND, found[matches >= 0]), (_FALSE, found[matches < 0]), (_MISSED, missed)]
    for colour, boxes in reversed(marks):  # the found ones last, on top
        for corners in boxes.corners * ratio:
            _rectangle(canvas, corners, colour)
    taken = []  # by labels: those of the found ones have the first choice of places
    for colour, boxes in marks:
        boxes = boxes.by_confidence()
        for label, score, corners in zip(
            boxes.labels.tolist(), boxes.scores, boxes.corners * ratio, strict=True
        ):
            text = name(label) if colour == _MISSED else f"{name(label)} {score:.2f}"
            _tag(canvas, text, corners, colour, font, picture.size, taken)
    return np.asarray(picture)


def detection_sheet(rows, name, confidence=CONFIDENCE, overlap=OVERLAP):
    """Lays out images with what the detector saw: blurred, restored and sharp side by side.

    Args:
        rows: List of ``(title, record, (blurred, restored, sharp))``: the name of the pair, the
            dictionary of `Judge.score` and the three uint8 RGB images that it was made of.
        name: Function from a class number to its name, such as `Detector.name`.
        confidence: Score from which boxes are drawn.
        overlap: Least IoU of a match.

    Returns:
        uint8 RGB array ``(H, W, 3)``.

    Raises:
        ValueError: There are no rows.

    Example:
        >>> box, image = [0, 0.9, 5, 5, 30, 30], np.zeros((40, 60, 3), "uint8")
        >>> record = {"blurred": [], "restored": [box], "sharp": [box], "truth": None}
        >>> detection_sheet([("a", record, [image] * 3)], ["cat"].__getitem__).shape[2]
        3

    Reference:
        Figs. 1 and 9 of Kupyn et al., CVPR 2018.
    """
    if not rows:
        raise ValueError("expected at least one image to draw, got none")
    widest = max(image.shape[1] for _, _, pictures in rows for image in pictures)
    cell = int(np.clip(widest, _LEAST_CELL, _CELL))
    drawn, captions = [], []
    for title, record, pictures in rows:
        truth = truth_of(record, confidence)
        counts = count(record, confidence, overlap)
        row, words = [], []
        for side, image in zip(SIDES, pictures, strict=True):
            found = Detections.from_list(record[side]).above(confidence)
            row.append(draw(image, truth, found, name, cell, overlap))
            words.append(_words(counts, side))
        if record["truth"] is None:
            words[-1] = f"{len(truth)} found: the truth"
        drawn.append(row)
        captions.append([*words[:2], f"{words[2]}\n{title}"])
    drawn.append([None])
    captions.append(_LEGEND)
    return sheets.contact_sheet(drawn, list(SIDES), captions, cell)


def telling(records, most=6, confidence=CONFIDENCE, overlap=OVERLAP):
    """Picks the images to draw: where restoring gains most, and the one where it loses most.

    Args:
        records: Iterable of `Judge.score`'s dictionaries.
        most: Images to pick at the most.
        confidence: Score from which a box counts.
        overlap: Least IoU of a match.

    Returns:
        List of places in ``records``, from the largest gain in boxes found to the smallest, of
        equal ones those with fewer false boxes first; images on which nothing is true are left out.
        Where an image lost by being restored, the last is the one that lost most.

    Example:
        >>> box = [0, 0.9, 5, 5, 30, 30]
        >>> gained = {"blurred": [], "restored": [box], "sharp": [box], "truth": None}
        >>> same = {**gained, "blurred": [box]}
        >>> telling([same, gained, {**same, "restored": []}], most=2)
        [1, 2]
    """
    gains = []
    for place, record in enumerate(records):
        counts = count(record, confidence, overlap)
        if counts["truth"]:
            found, false = [
                counts[f"restored_{kind}"] - counts[f"blurred_{kind}"]
                for kind in ("true_positives", "false_positives")
            ]
            gains.append((-found, false, place))
    gains.sort()
    chosen = gains[:most]
    if chosen and gains[-1][0] > 0:
        chosen[-1] = gains[-1]
    return [place for _, _, place in chosen]


def _words(counts, side):
    hits, false, missed = (
        counts[f"{side}_{kind}"]
        for kind in ("true_positives", "false_positives", "false_negatives")
    )
    f1 = rates(hits, false, missed)[2]
    words = f"{hits} of {hits + missed} found, {false} false"
    return words if f1 is None else f"{words}; F1 {f1:.2f}"


def _rectangle(canvas, corners, colour):
    """Draws a frame 2 px wide in the colour's pattern, on a dark one that sets it off."""
    left, top, right, bottom = (round(float(value)) for value in corners)
    right, bottom = max(right - 1, left), max(bottom - 1, top)
    canvas.rectangle([left - 1, top - 1, right + 1, bottom + 1], outline=(0, 0, 0))
    pattern = _PATTERNS[colour]
    if pattern is None:
        canvas.rectangle([left, top, right, bottom], outline=colour, width=2)
        return
    on, off = pattern
    for start in range(left, right + 1, on + off):
        end = min(start + on - 1, right)
        canvas.rectangle([start, top, end, top + 1], fill=colour)
        canvas.rectangle([start, bottom - 1, end, bottom], fill=colour)
    for start in range(top, bottom + 1, on + off):
        end = min(start + on - 1, bottom)
        canvas.rectangle([left, start, left + 1, end], fill=colour)
        canvas.rectangle([right - 1, start, right, end], fill=colour)


def _tag(canvas, text, corners, colour, font, size, taken):
    """Writes a label on a filled tag at the first corner of its box that no other label covers.

    Where there is no such corner it is left out: in a crowd, labels would hide the photograph.
    """
    width, height = round(font.getlength(text)) + 6, _TEXT + 4
    left, top, right, bottom = (round(float(value)) for value in corners)
    places = [(left, top - height), (left, top), (right - width, top - height), (left, bottom)]
    places += [(right - width, bottom), (left, bottom - height)]
    for x, y in places:
        x = min(max(x, 0), max(size[0] - width, 0))
        y = min(max(y, 0), max(size[1] - height, 0))
        spot = (x, y, x + width, y + height)
        if not any(_touch(spot, other) for other in taken):
            taken.append(spot)
            canvas.rectangle([x, y, x + width - 1, y + height - 1], fill=colour, outline=(0, 0, 0))
            ink = (0, 0, 0) if sum(colour) > _BRIGHT else (255, 255, 255)
            canvas.text((x + 3, y), text, ink, font)
            return


def _touch(spot, other):
    return spot[0] < other[2] and other[0] < spot[2] and spot[1] < other[3] and other[1] < spot[3]

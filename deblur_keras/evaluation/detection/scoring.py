"""Scores detections against true boxes: matching, precision, recall, F1, average precision."""

import numpy as np

from deblur_keras.evaluation.detection.boxes import overlaps


def match(truth, found, overlap=0.5):
    """Matches what was found with what is there: greedily, one to one, within a class.

    From the most confident detection to the least, each takes the true box of its class that it
    overlaps most among those still free, if their IoU is at least the threshold.

    Args:
        truth: `Detections` that are there.
        found: `Detections` to judge, in any order; of equally confident ones the first comes first.
        overlap: Least IoU of a match, in (0, 1].

    Returns:
        Integer array, one for each found box: the place of its true box in ``truth``, or -1.

    Example:
        >>> from deblur_keras.evaluation.detection import Detections
        >>> truth = Detections([5], [1.0], [[0, 0, 10, 10]])
        >>> found = Detections([5, 5], [0.6, 0.9], [[0, 0, 10, 10], [0, 0, 10, 8]])
        >>> match(truth, found).tolist()
        [-1, 0]

    Reference:
        The rule of COCO's evaluation. PASCAL VOC's differs where boxes crowd: it gives a detection
        to the true box it overlaps most, even one that is taken, and counts it as false then.
    """
    matches = np.full(len(found), -1)
    shared = overlaps(found.corners, truth.corners)
    shared[found.labels[:, None] != truth.labels] = -1
    for place in np.argsort(-found.scores, kind="stable"):
        if len(truth):
            best = int(shared[place].argmax())
            if shared[place, best] >= overlap:
                matches[place] = best
                shared[:, best] = -1
    return matches


def rates(true_positives, false_positives, false_negatives):
    """Computes precision, recall and their harmonic mean from counts.

    ``precision = TP / (TP + FP)``, ``recall = TP / (TP + FN)``,
    ``F1 = 2 TP / (2 TP + FP + FN)``.

    Args:
        true_positives: Found boxes that match a true one.
        false_positives: Found boxes that match none.
        false_negatives: True boxes that were not found.

    Returns:
        ``(precision, recall, f1)``, each in [0, 1] or None where it is 0 / 0: the precision when
        nothing was found, the recall when nothing is there, F1 when both are so.

    Example:
        >>> rates(3, 1, 3)
        (0.75, 0.5, 0.6)
        >>> rates(0, 0, 0)
        (None, None, None)
    """
    return (
        _ratio(true_positives, true_positives + false_positives),
        _ratio(true_positives, true_positives + false_negatives),
        _ratio(2 * true_positives, 2 * true_positives + false_positives + false_negatives),
    )


def average_precision(scores, correct, count):
    """Computes the average precision of one class: the area under precision over recall.

    With the detections of all images in order of confidence, precision and recall are taken after
    each; the precision at a recall is the highest at that recall or a larger one, and the area is
    summed over every step of the recall ("all points").

    Args:
        scores: Confidences ``(n,)`` of the class's detections in all images.
        correct: Booleans ``(n,)``, whether each matches a true box.
        count: True boxes of the class in all images, at least 1.

    Returns:
        Number in [0, 1].

    Raises:
        ValueError: There is no true box, or there are fewer than correct detections.

    Example:
        >>> average_precision([0.9, 0.8, 0.7], [True, False, True], count=2)
        0.8333333333333333

    Reference:
        Everingham et al., "The PASCAL Visual Object Classes Challenge 2010 (VOC2010) Development
        Kit", section 3.4.1: all points, not the eleven of VOC2007 nor COCO's 101.
    """
    correct = np.asarray(correct, dtype=bool)[np.argsort(-np.asarray(scores), kind="stable")]
    if count < max(1, correct.sum()):
        raise ValueError(
            f"expected at least as many true boxes as correct detections, and one; got {count} and "
            f"{correct.sum()}"
        )
    precision = np.cumsum(correct) / np.arange(1, len(correct) + 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    return float(highest[correct].sum() / count)  # the recall steps up by 1 / count at each


def _ratio(part, whole):
    return part / whole if whole else None

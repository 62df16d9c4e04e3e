"""Reads the outputs of detectors: from the arrays that a network gives to boxes in its input.

There is no standard for what a detector in an ONNX file returns. `DECODERS` holds the usual forms,
each with a look that tells whether outputs are of that form; `choose` takes the first that fits.
All coordinates are those of the network's input; `Preparation` leads back to the photograph.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from deblur_keras.evaluation.detection import outputs
from deblur_keras.evaluation.detection.boxes import DetectionError, overlaps
from deblur_keras.evaluation.detection.preparation import Preparation


@dataclasses.dataclass(frozen=True)
class Decoder:
    """Reads one form of outputs.

    Attributes:
        title: What the outputs look like.
        find: Function from a `Look` to the parts found among the outputs, or None where they are
            not of this form.
        read: Function from the outputs, a dictionary of arrays, and the `Look` to `Detections` in
            pixels of the input, in no order, with every candidate.
        preparation: The usual `Preparation` of such networks.
        class_count: Function from a `Look` to the number of classes that the shapes show; None
            where they show none.
        suppression: IoU above which the weaker of two boxes of a class is dropped; None where the
            network has done so.
    """

    title: str
    find: Callable
    read: Callable
    preparation: Preparation
    class_count: Callable | None = None
    suppression: float | None = None


def choose(look):
    """Picks the decoder for a network's outputs.

    Args:
        look: The network's `Look`.

    Returns:
        ``(name, decoder)``.

    Raises:
        DetectionError: No such name, the outputs cannot be read so, no decoder fits, or the number
            of classes is not that of the names.

    Example:
        >>> look = outputs.Look({"out": (1, 84, 8400)}, {"out": "float32"}, size=(640, 640))
        >>> choose(look)[0]
        'yolov8'
    """
    name = look.decoder
    if name is not None and name not in DECODERS:
        raise DetectionError(f"no decoder {name!r}; expected one of {', '.join(DECODERS)}")
    found = name or next(
        (key for key, each in DECODERS.items() if each.find(look) is not None), None
    )
    if found is None or DECODERS[found].find(look) is None:
        shapes = ", ".join(f"{key} {shape}" for key, shape in look.outputs.items())
        known = "; ".join(f"{key}, {decoder.title}" for key, decoder in DECODERS.items())
        problem = f"cannot be read as {name}" if name else "are of no known form"
        raise DetectionError(
            f"the outputs {problem}: {shapes}, for an input of {look.size[1]}x{look.size[0]} px "
            f"(width x height); known are {known}"
        )
    decoder = DECODERS[found]
    count = decoder.class_count(look) if decoder.class_count else None
    if None not in (count, look.classes) and count != look.classes:
        raise DetectionError(
            f"the detector has {count} classes (read as {found}, {decoder.title}), but "
            f"{look.classes} names were given; expected a name for each class, in the detector's "
            "order; or name the decoder, if this is the wrong one"
        )
    return found, decoder


def suppress(boxes, threshold):
    """Drops boxes that repeat a stronger one: non-maximum suppression, class by class.

    From the highest score to the lowest, a box is kept unless it overlaps one of its class that was
    kept by more than the threshold.

    Args:
        boxes: `Detections`.
        threshold: IoU in [0, 1].

    Returns:
        `Detections`, sorted by score.

    Example:
        >>> from deblur_keras.evaluation.detection import Detections
        >>> corners = [[0, 0, 9, 9], [0, 0, 9, 8], [0, 0, 9, 9]]
        >>> twice = Detections([0, 0, 1], [0.5, 0.9, 0.4], corners)
        >>> suppress(twice, 0.6).scores.tolist()
        [0.9, 0.4]
    """
    boxes = boxes.by_confidence()
    rival = overlaps(boxes.corners, boxes.corners) > threshold
    rival &= boxes.labels[:, None] == boxes.labels
    kept = np.ones(len(boxes), dtype=bool)
    for place in range(len(boxes)):
        if kept[place]:
            kept[place + 1 :] &= ~rival[place, place + 1 :]
    return boxes[kept]


_PICODET = Preparation(
    channels="bgr", mean=(103.53, 116.28, 123.675), deviation=(57.375, 57.12, 58.395), border=0
)

DECODERS = {
    "picodet": Decoder(
        "classes (1, N, C) and box distributions (1, N, 4 x bins) for each stride",
        outputs.find_strides,
        outputs.read_strides,
        _PICODET,
        class_count=outputs.count_strides_classes,
        suppression=0.6,
    ),
    "nanodet-plus": Decoder(
        "(1, N, C + 4 x bins), N the cells of strides 8 to 64",
        outputs.find_joined,
        outputs.read_joined,
        dataclasses.replace(_PICODET, fit="stretch"),
        suppression=0.6,
    ),
    "ssd": Decoder(
        "boxes (1, N, 4), labels (1, N) and scores (1, N), as of SSD or Faster R-CNN",
        outputs.find_labelled,
        outputs.read_labelled,
        Preparation(border=0, place="corner"),
    ),
    "yolo-final": Decoder(
        "(1, N, 6): left, top, right, bottom, score, class, as of YOLO with suppression inside",
        outputs.find_final,
        outputs.read_final,
        Preparation(),
    ),
    "yolov5": Decoder(
        "(1, N, 5 + C), or transposed if named: centre, size, objectness, classes",
        functools.partial(outputs.find_yolo, objectness=True),
        functools.partial(outputs.read_yolo, objectness=True),
        Preparation(),
        class_count=functools.partial(outputs.count_yolo_classes, objectness=True),
        suppression=0.45,
    ),
    "yolov8": Decoder(
        "(1, 4 + C, N), or transposed if named: centre, size, classes",
        functools.partial(outputs.find_yolo, objectness=False),
        functools.partial(outputs.read_yolo, objectness=False),
        Preparation(),
        class_count=functools.partial(outputs.count_yolo_classes, objectness=False),
        suppression=0.45,
    ),
}
"""The known forms of outputs, by name, in the order in which `choose` tries them."""

"""Reads the arrays that detectors give: boxes, classes and scores in pixels of the network's input.

Each form has a function that finds its parts among the outputs, or returns None, and one that reads
them. `decoders.DECODERS` puts them together.

Reference:
    YOLO: Redmon et al., "You Only Look Once: Unified, Real-Time Object Detection", CVPR 2016.
    Distributions: Li et al., "Generalized Focal Loss", NeurIPS 2020, equation (5), as used by Yu et
    al., "PP-PicoDet: A Better Real-Time Object Detector on Mobile Devices", arXiv 2111.00902.
"""

import dataclasses
import math

import numpy as np

from deblur_keras.evaluation.detection.boxes import DetectionError, Detections

STRIDES = (8, 16, 32, 64, 128, 4)
_JOINED = (8, 16, 32, 64)  # strides of NanoDet-Plus
_MOST_FINAL = 1000  # boxes that a network with suppression of its own would give at the most
_LARGEST_PART = 2.0  # boxes in parts of the image may reach beyond it, but not this far
_FEWEST_BINS = 4  # of a distribution over distances; NanoDet and PicoDet have 8, others 16


@dataclasses.dataclass(frozen=True)
class Look:
    """Holds what can be seen of a detector before it has seen a photograph.

    Attributes:
        outputs: Dictionary from the outputs' names to their shapes for one image, a tuple each.
        kinds: Dictionary from the outputs' names to their NumPy types, such as ``"float32"``.
        size: ``(H, W)`` of the input, in pixels.
        classes: Number of class names, or None if there are none.
        first_class: The number that stands for the first name in outputs with labels.
        box_order: ``"xyxy"`` or ``"yxyx"`` in outputs with labels; None tells by the names.
        decoder: A name in `DECODERS` that goes over what the outputs look like, or None.
    """

    outputs: dict
    kinds: dict
    size: tuple
    classes: int | None = None
    first_class: int = 1
    box_order: str | None = None
    decoder: str | None = None


def find_yolo(look, objectness):
    """Finds the one output of a YOLO, and which axis holds the values of a place.

    It is the shorter axis, which comes first without objectness (YOLOv8) and last with it (YOLOv5),
    or anywhere if the decoder was named. The number of class names has no say here: a list that is
    one name off would turn one form into the other.

    Args:
        look: `Look`.
        objectness: Whether a score of its own says that there is an object of any class.

    Returns:
        ``(name, axis)``, or None.
    """
    # YOLOv5 may give its three grids too, (1, 3, H, W, 85), which repeat the first output
    shapes = {key: shape for key, shape in look.outputs.items() if len(shape) != 5}
    if len(shapes) != 1:
        return None
    ((key, shape),) = shapes.items()
    if len(shape) != 3 or shape[0] != 1 or min(shape[1:]) < 5:
        return None
    shorter = int(shape[2] < shape[1]) + 1
    if look.decoder is None and shorter != 1 + objectness:
        return None
    return key, shorter


def count_yolo_classes(look, objectness):
    """Counts the classes of a YOLO's output."""
    key, axis = find_yolo(look, objectness)
    return look.outputs[key][axis] - 4 - objectness


def read_yolo(arrays, look, objectness):
    """Reads centre x, centre y, width, height, objectness where there is one, a score a class.

    Raises:
        DetectionError: The sides are below zero, so they are no sides yet.
    """
    key, axis = find_yolo(look, objectness)
    values = arrays[key][0].astype(np.float64)
    values = values if axis == 2 else values.T  # (N, 4 + objectness + classes)
    middle, sides, scores = values[:, :2], values[:, 2:4], values[:, 4:]
    if (sides < 0).any():
        raise DetectionError(
            "boxes with sides below zero: the network gives raw numbers that still have to be "
            "decoded; export it with its decoding (YOLOX: --decode_in_inference)"
        )
    if objectness:
        scores = scores[:, :1] * scores[:, 1:]
    return _best_class(scores, np.hstack([middle - sides / 2, middle + sides / 2]))


def find_final(look):
    """Finds the one output of a network that ends with its own suppression; None if not so."""
    ((key, shape), *others) = look.outputs.items()
    few = shape[-1:] == (6,) and len(shape) in (2, 3) and shape[-2] <= _MOST_FINAL
    return key if few and not others else None


def read_final(arrays, look):
    """Reads rows of left, top, right, bottom, score, class."""
    (values,) = arrays.values()
    values = values.reshape(-1, 6)
    return Detections(np.rint(values[:, 5]), values[:, 4], values[:, :4])


def find_labelled(look):
    """Finds the outputs of boxes, labels and scores by their names, and else by their shapes."""
    four = [key for key, shape in look.outputs.items() if shape[-1:] == (4,)]
    four = [key for key in four if "box" in key.lower() and "raw" not in key.lower()] or four
    if not four:
        return None
    boxes = four[0]
    shape = look.outputs[boxes][:-1]
    flat = [key for key, other in look.outputs.items() if other == shape and key != boxes]
    scores = [key for key in flat if "score" in key.lower()]
    labels = [key for key in flat if "label" in key.lower() or "class" in key.lower()]
    labels = labels or [key for key in flat if look.kinds[key].startswith(("int", "uint"))]
    scores = scores or [key for key in flat if key not in labels]
    labels = labels or [key for key in flat if key not in scores]
    return (boxes, labels[0], scores[0]) if len(labels) == len(scores) == 1 else None


def read_labelled(arrays, look):
    """Reads boxes, labels and scores, after the network's suppression."""
    boxes, labels, scores = find_labelled(look)
    corners = arrays[boxes].reshape(-1, 4).astype(np.float64)
    order = look.box_order or ("yxyx" if "detection_boxes" in boxes.lower() else "xyxy")
    if order == "yxyx":
        corners = corners[:, [1, 0, 3, 2]]
    if corners.size and corners.max() <= _LARGEST_PART:  # parts of the input, not pixels
        height, width = look.size
        corners = corners * [width, height, width, height]
    found = Detections(
        np.rint(arrays[labels].reshape(-1)) - look.first_class, arrays[scores], corners
    )
    return found[found.scores > 0]  # some fill the outputs up with zeros


def find_strides(look):
    """Pairs the outputs of classes and of distances by stride; None if they are no such."""
    shapes = {key: shape[-2:] for key, shape in look.outputs.items() if len(shape) in (2, 3)}
    half = len(look.outputs) // 2
    if not half or len(shapes) != 2 * half or len(look.outputs) % 2:
        return None
    widths = list(dict.fromkeys(shape[1] for shape in shapes.values()))
    if len(widths) > 2:
        return None
    groups = [[key for key, shape in shapes.items() if shape[1] == width] for width in widths]
    if len(groups) == 1:  # as many classes as distances: classes come first, or alternate
        keys = list(shapes)
        alternate = shapes[keys[0]] == shapes[keys[1]]
        groups = [keys[::2], keys[1::2]] if alternate else [keys[:half], keys[half:]]
    if look.classes and widths[-1] == look.classes:
        groups.reverse()  # the distances came first
    classes, distances = groups
    by_count = {shapes[key][0]: key for key in distances}
    pairs = {}
    for key in classes:
        count, partner = shapes[key][0], by_count.get(shapes[key][0])
        stride = next((s for s in STRIDES if math.prod(_grid(look.size, s)) == count), None)
        if stride is None or partner is None:
            return None
        pairs[stride] = key, partner
    sides = shapes[distances[0]][1]
    if len(pairs) != half or sides % 4 or sides // 4 < _FEWEST_BINS:
        return None
    return pairs


def count_strides_classes(look):
    """Counts the classes of the outputs by strides."""
    key, _ = next(iter(find_strides(look).values()))
    return look.outputs[key][-1]


def read_strides(arrays, look):
    """Reads class scores and distributions over distances, an output of each for each stride."""
    found = []
    for stride, (classes, distances) in sorted(find_strides(look).items()):
        scores = arrays[classes].reshape(-1, arrays[classes].shape[-1])
        sides = arrays[distances].reshape(len(scores), -1)
        found.append((scores, _from_distances(sides, look.size, stride, 0.5)))
    scores, corners = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return _best_class(_probabilities(scores), corners)


def find_joined(look):
    """Finds the one output that joins classes and distances of all strides; None if not so.

    The number of class names must be known: nothing else tells classes from distances.
    """
    ((key, shape), *others) = look.outputs.items()
    if others or len(shape) not in (2, 3) or not look.classes:
        return None
    sides = shape[-1] - look.classes
    fits = sides % 4 == 0 and sides // 4 >= _FEWEST_BINS
    return key if fits and shape[-2] == sum(_joined_counts(look)) else None


def read_joined(arrays, look):
    """Reads NanoDet-Plus: all strides in one output, cells counted from their top left corners."""
    (values,) = arrays.values()
    values = values.reshape(-1, values.shape[-1])
    parts = np.split(values[:, look.classes :], np.cumsum(_joined_counts(look))[:-1])
    corners = [
        _from_distances(part, look.size, stride, 0.0)
        for part, stride in zip(parts, _JOINED, strict=True)
    ]
    return _best_class(_probabilities(values[:, : look.classes]), np.concatenate(corners))


def _joined_counts(look):
    return [math.prod(_grid(look.size, stride)) for stride in _JOINED]


def _from_distances(sides, size, stride, offset):
    """Turns distributions (N, 4 x bins) into corners: expected distances from the cells, (N, 4)."""
    rows, columns = _grid(size, stride)
    sides = sides.reshape(len(sides), 4, -1).astype(np.float64)
    weights = np.exp(sides - sides.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    distances = weights @ np.arange(sides.shape[-1]) * stride  # left, top, right, bottom
    y, x = np.divmod(np.arange(rows * columns), columns)
    x, y = (x + offset) * stride, (y + offset) * stride
    return np.stack(
        [x - distances[:, 0], y - distances[:, 1], x + distances[:, 2], y + distances[:, 3]], axis=1
    )


def _probabilities(scores):
    """Gives scores in [0, 1]: as they are, or through a sigmoid when they are logits."""
    scores = scores.astype(np.float64)
    if scores.min() >= 0 and scores.max() <= 1:
        return scores
    return 0.5 + 0.5 * np.tanh(scores / 2)  # the sigmoid, without overflow


def _best_class(scores, corners):
    """Keeps one class a place, the most probable."""
    return Detections(scores.argmax(axis=1), scores.max(axis=1), corners)


def _grid(size, stride):
    """Rows and columns of cells; the last of each may reach beyond the input."""
    return math.ceil(size[0] / stride), math.ceil(size[1] / stride)

import numpy as np
import pytest

from deblur_keras.evaluation.detection import DECODERS, DetectionError, Detections, overlaps
from deblur_keras.evaluation.detection.decoders import choose, suppress
from deblur_keras.evaluation.detection.outputs import Look

PICODET = {f"classes{n}": (1, n, 80) for n in (1600, 400, 100, 25)} | {
    f"boxes{n}": (1, n, 32) for n in (1600, 400, 100, 25)
}
NANODET = {
    f"{kind}_stride_{stride}": (1, (320 // stride) ** 2, width)
    for stride in (8, 16, 32)
    for kind, width in (("cls_pred", 80), ("dis_pred", 32))
}
SSD = {"bboxes": (1, 200, 4), "labels": (1, 200), "scores": (1, 200)}
TENSORFLOW = {
    "detection_anchor_indices": (1, 100),
    "detection_boxes": (1, 100, 4),
    "detection_classes": (1, 100),
    "detection_multiclass_scores": (1, 100, 91),
    "detection_scores": (1, 100),
    "num_detections": (1,),
    "raw_detection_boxes": (1, 1917, 4),
    "raw_detection_scores": (1, 1917, 91),
}


def look(outputs, size=320, classes=None, kinds=None, **options):
    outputs = outputs if isinstance(outputs, dict) else {"output": outputs}
    kinds = {key: (kinds or {}).get(key, "float32") for key in outputs}
    return Look(outputs, kinds, (size, size), classes, **options)


@pytest.mark.parametrize(
    ("outputs", "options", "name"),
    [
        ((1, 84, 8400), {}, "yolov8"),
        ((1, 84, 8400), {"classes": 80}, "yolov8"),
        ((1, 8400, 84), {"classes": 80, "decoder": "yolov8"}, "yolov8"),
        ((1, 25200, 85), {}, "yolov5"),
        ((1, 25200, 85), {"classes": 80}, "yolov5"),
        ((1, 85, 25200), {"classes": 80, "decoder": "yolov5"}, "yolov5"),
        ((1, 25200, 6), {"classes": 1}, "yolov5"),
        ((1, 6, 8400), {"classes": 2}, "yolov8"),
        ({"output": (1, 25200, 85), "grid": (1, 3, 80, 80, 85)}, {}, "yolov5"),
        ((1, 300, 6), {"classes": 80}, "yolo-final"),
        ((1, 0, 6), {}, "yolo-final"),
        ((12, 6), {}, "yolo-final"),
        (PICODET, {"classes": 80}, "picodet"),
        (PICODET, {}, "picodet"),
        (dict(reversed(PICODET.items())), {"classes": 80}, "picodet"),
        (NANODET, {"classes": 80}, "picodet"),
        ((1, 2125, 112), {"classes": 80}, "nanodet-plus"),
        (SSD, {"kinds": {"labels": "int64"}}, "ssd"),
        ({"1": (0, 4), "2": (0,), "3": (0,)}, {"kinds": {"2": "int64"}}, "ssd"),
        (TENSORFLOW, {"classes": 80}, "ssd"),
    ],
)
def test_outputs_are_told_apart_by_looking(outputs, options, name):
    assert choose(look(outputs, **options))[0] == name


@pytest.mark.parametrize(
    "outputs",
    [
        {"logits": (1, 300, 80), "boxes": (1, 300, 4)},  # DETR
        {"raw_boxes": (1, 1917, 4), "raw_scores": (1, 1917, 91)},  # SSD before its decoding
        {"masks": (1, 32, 160, 160), "output": (1, 116, 8400)},
        (1, 1000),
        (1, 3, 20, 20, 85),
    ],
)
def test_other_outputs_are_refused_with_the_known_forms(outputs):
    with pytest.raises(DetectionError, match="are of no known form") as caught:
        choose(look(outputs))
    assert all(name in str(caught.value) for name in DECODERS)


def test_a_decoder_may_be_given():
    assert choose(look((1, 8400, 84)))[0] == "yolov5"  # of 79 classes, it seems
    assert choose(look((1, 8400, 84), decoder="yolov8"))[0] == "yolov8"
    with pytest.raises(DetectionError, match=r"cannot be read as ssd: output \(1, 84, 8400\)"):
        choose(look((1, 84, 8400), decoder="ssd"))
    with pytest.raises(DetectionError, match="no decoder 'yolov9'; expected one of picodet, "):
        choose(look((1, 84, 8400), decoder="yolov9"))


@pytest.mark.parametrize("outputs", [(1, 84, 8400), (1, 25200, 85), PICODET])
@pytest.mark.parametrize("names", [20, 79, 81])  # one off must not turn one YOLO into the other
def test_the_number_of_names_is_checked(outputs, names):
    with pytest.raises(DetectionError, match=rf"has 80 classes .* but {names} names were given"):
        choose(look(outputs, classes=names))


def read(name, arrays, **options):
    arrays = {key: np.asarray(value) for key, value in arrays.items()}
    shapes = {key: value.shape for key, value in arrays.items()}
    kinds = {key: value.dtype.name for key, value in arrays.items()}
    seen = look(shapes, kinds=kinds, decoder=name, **options)
    assert choose(seen)[0] == name
    return DECODERS[name].read(arrays, seen)


def test_yolo_with_and_without_objectness():
    rows = np.zeros((1, 30, 8), "float32")
    rows[0, 4] = [20, 30, 10, 4, 0.5, 0.2, 0.1, 0.8]  # centre, size, objectness, three classes
    found = read("yolov5", {"output": rows}, classes=3).by_confidence()[:1]
    assert found.to_list() == [[2, 0.4, 15.0, 28.0, 25.0, 32.0]]

    rows = np.delete(rows, 4, axis=2)
    for array in (rows, rows.transpose(0, 2, 1)):
        found = read("yolov8", {"output": array}, classes=3).by_confidence()[:1]
        assert found.to_list() == [[2, 0.8, 15.0, 28.0, 25.0, 32.0]]


def test_yolo_that_was_not_decoded_is_refused():
    rows = np.zeros((1, 30, 8), "float32")
    rows[0, 3, 2] = -0.5
    with pytest.raises(DetectionError, match=r"sides below zero.*--decode_in_inference"):
        read("yolov5", {"output": rows}, classes=3)


def test_rows_after_suppression():
    rows = [[[1, 2, 3, 4, 0.9, 7], [0, 0, 9, 9, 0.2, 0]]]
    found = read("yolo-final", {"output": np.array(rows, "float32")})
    assert found.to_list() == [[7, 0.9, 1.0, 2.0, 3.0, 4.0], [0, 0.2, 0.0, 0.0, 9.0, 9.0]]


def test_labelled_boxes_in_pixels_and_in_parts():
    arrays = {
        "boxes": np.array([[10, 20, 30, 40]], "float32"),
        "labels": np.array([3]),
        "scores": np.array([0.7], "float32"),
    }
    expected = [[2, 0.7, 10.0, 20.0, 30.0, 40.0]]
    assert read("ssd", arrays).to_list() == expected
    parts = {**arrays, "boxes": arrays["boxes"] / 320}
    assert read("ssd", parts).to_list() == expected
    turned = {**parts, "boxes": parts["boxes"][:, [1, 0, 3, 2]]}
    assert read("ssd", turned, box_order="yxyx").to_list() == expected
    named = {f"detection_{key}": value[None] for key, value in turned.items()}
    assert read("ssd", named).to_list() == expected
    assert read("ssd", arrays, first_class=0).labels.tolist() == [3]
    nothing = {key: value[:0] for key, value in arrays.items()}
    assert len(read("ssd", nothing)) == 0


def test_rows_that_only_fill_up_are_left_out():
    arrays = {
        "boxes": np.zeros((1, 5, 4), "float32"),
        "labels": np.zeros((1, 5), "float32"),
        "scores": np.zeros((1, 5), "float32"),
    }
    assert len(read("ssd", arrays)) == 0


def distributions(size, strides, bins=8):
    """Class scores 0 and flat distributions for every cell of every stride."""
    cells = {stride: -(-size // stride) for stride in strides}
    return {
        stride: (
            np.zeros((1, count**2, 3), "float32"),
            np.zeros((1, count**2, 4, bins), "float32"),
        )
        for stride, count in cells.items()
    }


@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("order", ["classes first", "distances first", "alternating"])
def test_distributions_by_stride(order, logits):
    parts = distributions(320, (8, 16, 32, 64))
    scores, sides = parts[16]
    cell = 5 * 20 + 7  # row 5, column 7 of 20: its centre lies at x = 120, y = 88
    scores[0, cell] = [0.1, 0.9, 0.2]
    if logits:
        for values, _ in parts.values():
            values[:] = np.where(values > 0, np.log(values.clip(1e-9) / (1.00001 - values)), -9)
    for side, bin_ in enumerate((1, 2, 3, 4)):
        sides[0, cell, side, bin_] = 50  # all the weight on one bin
    sides[0, cell, 3, 5] = 50  # half and half: 4.5
    flat = {stride: (s, d.reshape(1, -1, 32)) for stride, (s, d) in parts.items()}
    pairs = [(f"c{stride}", f"d{stride}", *values) for stride, values in flat.items()]
    classes = {name: values for name, _, values, _ in pairs}
    distances = {name: values for _, name, _, values in pairs}
    arrays = {
        "classes first": {**classes, **distances},
        "distances first": {**distances, **classes},
        "alternating": {k: v for c, d, s, b in pairs for k, v in ((c, s), (d, b))},
    }[order]
    found = read("picodet", arrays, classes=3).by_confidence()
    assert len(found) == 1600 + 400 + 100 + 25
    assert found.labels[0] == 1
    assert found.scores[0] == pytest.approx(0.9, abs=1e-4)
    np.testing.assert_allclose(found.corners[0], [104, 56, 168, 160], atol=1e-6)
    # a flat distribution over 8 bins lies 3.5 strides away
    first = read("picodet", arrays, classes=3).corners[0]
    np.testing.assert_allclose(first, [4 - 28, 4 - 28, 4 + 28, 4 + 28])


def test_distributions_of_an_input_that_is_no_multiple_of_the_strides():
    parts = distributions(100, (8, 16, 32))  # 13, 7 and 4 cells a side
    scores, sides = parts[32]
    scores[0, 15, 0] = 0.8
    sides[0, 15, :, 0] = 50  # in the last cell, no distance to any side
    arrays = {f"c{k}": v[0] for k, v in parts.items()}
    arrays |= {f"d{k}": v[1].reshape(1, -1, 32) for k, v in parts.items()}
    found = read("picodet", arrays, size=100, classes=3).by_confidence()
    np.testing.assert_allclose(found.corners[0], [112, 112, 112, 112])


def test_all_strides_in_one_output():
    parts = distributions(320, (8, 16, 32, 64))
    scores, sides = parts[32]
    scores[0, 13, 2] = 0.6  # row 1, column 3 of 10: its corner lies at x = 96, y = 32
    for side, bin_ in enumerate((1, 0, 2, 3)):
        sides[0, 13, side, bin_] = 50
    joined = np.concatenate(
        [np.concatenate([s, d.reshape(1, -1, 32)], axis=2) for s, d in parts.values()], axis=1
    )
    found = read("nanodet-plus", {"output": joined}, classes=3).by_confidence()
    assert found[:1].to_list() == [[2, 0.6, 64.0, 32.0, 160.0, 128.0]]


def slow_suppress(boxes, threshold):
    """The definition, one box after the other."""
    kept = []
    for place in sorted(range(len(boxes)), key=lambda i: -boxes.scores[i]):
        rivals = [i for i in kept if boxes.labels[i] == boxes.labels[place]]
        shared = [overlaps(boxes.corners[i], boxes.corners[place])[0, 0] for i in rivals]
        if not shared or max(shared) <= threshold:
            kept.append(place)
    return kept


@pytest.mark.parametrize("threshold", [0.3, 0.45, 0.6])
def test_suppression_is_class_by_class(threshold):
    rng = np.random.default_rng(3)
    start = rng.uniform(0, 30, (80, 2))
    corners = np.hstack([start, start + rng.uniform(10, 30, (80, 2))])
    boxes = Detections(rng.integers(0, 3, 80), rng.uniform(size=80), corners)
    kept = slow_suppress(boxes, threshold)
    assert 3 < len(kept) < 80
    assert suppress(boxes, threshold).to_list() == boxes[np.array(kept)].to_list()


def test_suppression_of_nothing():
    assert len(suppress(Detections.none(), 0.5)) == 0

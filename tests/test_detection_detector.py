import hashlib
import itertools
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import detectors
import numpy as np
import pytest

from deblur_keras.evaluation.detection import DetectionError, Detector, overlaps, read_names

NAMES = ["cup", "dog", "car"]


def rectangle(height, width, left, top, right, bottom):
    """A photograph of one bright rectangle in the dark."""
    image = np.full((height, width, 3), 20, "uint8")
    image[top:bottom, left:right] = 255
    return image


@pytest.mark.parametrize("size", [(37, 53), (61, 29), (64, 64), (63, 64)])
@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
@pytest.mark.parametrize("place", ["centre", "corner"])
@pytest.mark.parametrize("form", ["yolov5", "yolov8", "yolo-final", "ssd"])
def test_boxes_come_back_in_the_photographs_pixels(tmp_path, form, size, fit, place):
    path = detectors.finder(tmp_path / "finder.onnx", form, extra=40)
    detector = Detector(path, NAMES, fit=fit, place=place)
    assert detector.decoder == form
    height, width = size
    expected = [5, 11, width - 7, height - 3]
    found = detector(rectangle(height, width, *expected)).above(0.5)
    assert found.labels.tolist() == [1]
    assert found.scores[0] == pytest.approx(0.8)
    np.testing.assert_allclose(found.corners[0], expected, atol=1)


def test_a_larger_photograph_comes_back_to_the_inputs_resolution(tmp_path):
    detector = Detector(detectors.finder(tmp_path / "f.onnx", "yolov8", extra=40), NAMES)
    found = detector(rectangle(301, 517, 40, 50, 400, 250)).above(0.5)
    np.testing.assert_allclose(found.corners[0], [40, 50, 400, 250], atol=517 / 64)


@pytest.mark.parametrize("shape", [(1, 48, 80, 3), (1, "height", "width", 3), ("batch", 48, 80, 3)])
def test_uint8_inputs_with_the_channels_last(tmp_path, shape):
    options = {"size": 64} if shape[1] == "height" else {}
    path = detectors.finder(tmp_path / "f.onnx", "tensorflow", shape, dtype="uint8", bright=180)
    detector = Detector(path, NAMES, **options)
    assert detector.decoder == "ssd"
    assert detector.size == ((64, 64) if options else (48, 80))
    found = detector(rectangle(37, 53, 5, 11, 40, 30))
    assert found.labels.tolist() == [1]  # labels count from 1 behind the background
    np.testing.assert_allclose(found.corners[0], [5, 11, 40, 30], atol=1)
    assert "pixels as they are" in "\n".join(detector.lines())
    with_background = Detector(path, ["background", *NAMES], **options)
    assert (
        with_background.name(with_background(rectangle(37, 53, 5, 11, 40, 30)).labels[0]) == "dog"
    )


def test_half_precision_inputs(tmp_path):
    path = detectors.finder(tmp_path / "f.onnx", "yolov8", dtype="float16", extra=40)
    found = Detector(path, NAMES)(rectangle(64, 64, 5, 11, 40, 30)).above(0.5)
    np.testing.assert_allclose(found.corners[0], [5, 11, 40, 30], atol=0.01)


def test_inputs_of_any_size_take_640_or_what_is_asked_for(tmp_path):
    path = tmp_path / "f.onnx"
    rows = {"output": np.zeros((1, 60, 8), "float32")}
    detectors.constant(path, rows, shape=("batch", 3, "height", "width"))
    assert Detector(path, NAMES).size == (640, 640)
    assert Detector(path, NAMES, size=(320, 480)).size == (320, 480)
    detectors.constant(path, rows, shape=(1, 3, 64, 96))
    assert Detector(path, NAMES, size=(64, 96)).size == (64, 96)
    with pytest.raises(DetectionError, match=r"input is 96 px wide and 64 px high; .* at 64x64"):
        Detector(path, NAMES, size=64)


def test_an_input_without_batch(tmp_path):
    arrays = {
        "boxes": np.array([[16, 0, 48, 64]], "float32"),
        "labels": np.array([1]),
        "scores": np.array([0.9], "float32"),
    }
    path = detectors.constant(tmp_path / "f.onnx", arrays, shape=(3, 64, 64))
    found = Detector(path, NAMES)(np.zeros((128, 128, 3), "uint8"))
    assert found.to_list() == [[0, 0.9, 32.0, 0.0, 96.0, 128.0]]


def test_distributions_come_back_in_the_photographs_pixels(tmp_path):
    arrays = {f"c{n}": np.zeros((1, n, 3), "float32") for n in (64, 16, 4, 1)}
    arrays |= {f"d{n}": np.zeros((1, n, 4, 8), "float32") for n in (64, 16, 4, 1)}
    arrays["c16"][0, 5, 2] = 0.7  # row 1, column 1 of 4: its centre lies at (24, 24)
    for side, bin_ in enumerate((1, 0, 2, 1)):
        arrays["d16"][0, 5, side, bin_] = 60
    arrays = {key: a if a.ndim == 3 else a.reshape(1, -1, 32) for key, a in arrays.items()}
    path = detectors.constant(tmp_path / "pico.onnx", arrays)
    detector = Detector(path, NAMES)
    assert (detector.decoder, detector.preparation.channels) == ("picodet", "bgr")
    # 100 x 200 in 64 x 64: 32 rows of the photograph below a border of 16, at a scale of 0.32
    found = detector(np.zeros((100, 200, 3), "uint8"))
    expected = np.array([8, 24 - 16, 56, 40 - 16]) / 0.32
    np.testing.assert_allclose(found.corners[0], expected)
    assert found.labels[0] == 2


def test_repeated_boxes_are_dropped_class_by_class_and_weak_ones_too(tmp_path):
    rows = np.zeros((1, 60, 8), "float32")
    rows[0, 0] = [20, 20, 20, 20, 1, 0.9, 0, 0]
    rows[0, 1] = [21, 20, 20, 20, 1, 0.8, 0, 0]  # IoU 0.9 with the first
    rows[0, 2] = [21, 20, 20, 20, 1, 0, 0.7, 0]
    rows[0, 3] = [50, 50, 10, 10, 1, 0.0005, 0, 0]
    path = detectors.constant(tmp_path / "f.onnx", {"output": rows})
    image = np.zeros((64, 64, 3), "uint8")
    assert Detector(path, NAMES)(image).to_list() == [
        [0, 0.9, 10.0, 10.0, 30.0, 30.0],
        [1, 0.7, 11.0, 10.0, 31.0, 30.0],
    ]
    assert len(Detector(path, NAMES, suppression=0.95)(image)) == 3


def test_boxes_end_at_the_photograph_and_the_strongest_hundred_are_kept(tmp_path):
    rows = np.zeros((1, 300, 6), "float32")
    rows[0, :, :4] = [-9, 20, 50, 99]
    rows[0, :, 4] = np.linspace(0.01, 0.9, 300)
    path = detectors.constant(tmp_path / "f.onnx", {"output": rows})
    found = Detector(path, NAMES, place="corner")(np.zeros((32, 64, 3), "uint8"))
    assert len(found) == 100
    assert found.scores[0] == pytest.approx(0.9)
    assert found.corners[0].tolist() == [0, 20, 50, 32]


def test_names_may_lie_in_the_file(tmp_path):
    names = {"names": "{0: 'cup', 1: 'dog', 2: 'car'}"}
    rows = {"output": np.zeros((1, 7, 60), "float32")}
    detector = Detector(detectors.constant(tmp_path / "f.onnx", rows, metadata=names))
    assert detector.names == ["cup", "dog", "car"]
    assert detector.name(2) == "car"
    broken = detectors.constant(tmp_path / "g.onnx", rows, metadata={"names": "{0: cup}"})
    detector = Detector(broken)
    assert detector.names is None
    assert detector.name(2) == "class 2"


def test_facts_say_what_the_findings_depend_on(tmp_path):
    rows = {"output": np.zeros((1, 7, 60), "float32")}
    detector = Detector(detectors.constant(tmp_path / "yolo.onnx", rows), NAMES, border=0)
    facts = detector.facts()
    assert facts.pop("onnxruntime")
    assert facts == {
        "detector": "yolo.onnx",
        "detector_sha256": hashlib.sha256(detector.path.read_bytes()).hexdigest(),
        "decoder": "yolov8",
        "input": "64x64 float32",
        "preparation": "RGB, (x - (0, 0, 0)) / (255, 255, 255), letterboxed with grey 0, in the "
        "centre",
        "suppression": 0.45,
        "classes": 3,
        "classes_sha256": hashlib.sha256(b"cup\ndog\ncar").hexdigest(),
        "first_class": None,
        "box_order": None,
    }
    assert "suppression class by class above IoU 0.45" in detector.lines()[1]


def test_facts_tell_other_names_labels_and_orders_apart(tmp_path):
    path = detectors.finder(tmp_path / "ssd.onnx", "ssd", extra=40)
    ways = [
        Detector(path, NAMES),
        Detector(path, ["cup", "cat", "car"]),
        Detector(path, NAMES, first_class=0),
        Detector(path, NAMES, box_order="yxyx"),
        Detector(path),
    ]
    facts = [way.facts() for way in ways]
    assert all(one != other for one, other in itertools.combinations(facts, 2))
    assert Detector(path, NAMES).facts() == facts[0]
    assert (facts[0]["first_class"], facts[3]["box_order"]) == (1, "yxyx")


def test_labels_beyond_the_names_are_an_error(tmp_path):
    arrays = {
        "boxes": np.array([[16, 0, 48, 64]] * 2, "float32"),
        "labels": np.array([1, 90]),
        "scores": np.array([0.9, 0.9], "float32"),
    }
    detector = Detector(detectors.constant(tmp_path / "f.onnx", arrays), NAMES)
    message = r"labels 1 to 90, but 3 names were given, the first of which is taken for label 1"
    with pytest.raises(DetectionError, match=message):
        detector(np.zeros((64, 64, 3), "uint8"))
    arrays["labels"] = np.array([0, 2])
    path = detectors.constant(tmp_path / "g.onnx", arrays)
    with pytest.raises(DetectionError, match="labels 0 to 2"):
        Detector(path, NAMES)(np.zeros((64, 64, 3), "uint8"))
    assert len(Detector(path, NAMES, first_class=0)(np.zeros((64, 64, 3), "uint8"))) == 2


def test_files_and_options_that_cannot_be_used(tmp_path):
    with pytest.raises(DetectionError, match=r"nowhere\.onnx: expected an object detector"):
        Detector(tmp_path / "nowhere.onnx", NAMES)
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(DetectionError, match=r"text\.onnx: not an ONNX network that can be run"):
        Detector(tmp_path / "text.onnx", NAMES)
    rows = {"output": np.zeros((1, 7, 60), "float32")}
    path = detectors.constant(tmp_path / "f.onnx", rows)
    with pytest.raises(DetectionError, match=r"has 3 classes .* but 2 names were given"):
        Detector(path, NAMES[:2])
    with pytest.raises(DetectionError, match="fit must be 'letterbox' or 'stretch', got 'crop'"):
        Detector(path, NAMES, fit="crop")
    with pytest.raises(DetectionError, match="no setting 'colour'; expected one of decoder, size"):
        Detector(path, NAMES, colour="rgb")
    with pytest.raises(DetectionError, match="xyxy or yxyx as the order of a box; got 'xywh'"):
        Detector(path, NAMES, box_order="xywh")
    with pytest.raises(DetectionError, match=r"uint8 RGB photograph \(H, W, 3\), got float64"):
        Detector(path, NAMES)(np.zeros((8, 8, 3)))
    for shape in ((1, 1, 64, 64), (8, 3, 64, 64), (1, 100)):
        path = detectors.constant(tmp_path / "f.onnx", rows, shape=shape)
        with pytest.raises(DetectionError, match="expected an input of one colour image"):
            Detector(path, NAMES)


def test_without_onnxruntime_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r'pip install "onnxruntime>=1.22,<2"'):
        Detector(tmp_path / "f.onnx", NAMES)


def test_threads_may_share_a_detector(tmp_path):
    detector = Detector(detectors.finder(tmp_path / "f.onnx", "yolov8", extra=40), NAMES)
    photos = [rectangle(64, 64, 2 + n, 5, 40 + n, 30) for n in range(20)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda image: detector(image).above(0.5), photos))
    assert [boxes.corners[0, 0] for boxes in found] == pytest.approx([2 + n for n in range(20)])


@pytest.mark.skipif(
    "DEBLUR_KERAS_DETECTOR" not in os.environ,
    reason="needs a real PicoDet: DEBLUR_KERAS_DETECTOR=picodet_s_320_coco.onnx, with coco.names "
    "beside it",
)
def test_a_real_picodet_finds_a_cat():
    skimage = pytest.importorskip("skimage")
    path = Path(os.environ["DEBLUR_KERAS_DETECTOR"])
    names = read_names(path.parent / "coco.names")
    detector = Detector(path, names)
    assert detector.decoder == "picodet"
    photo = skimage.data.chelsea()  # a cat's face fills it
    found = detector(photo)
    assert detector.name(found.labels[0]) == "cat"
    assert found.scores[0] > 0.5
    assert found.corners[0, 2] - found.corners[0, 0] > 0.5 * photo.shape[1]
    # the same cat in a wide photograph, where the letterbox has borders above and below
    wide = np.full((photo.shape[0], 900, 3), 128, "uint8")
    wide[:, 300 : 300 + photo.shape[1]] = photo
    again = detector(wide).above(0.3)
    cats = again[again.labels == found.labels[0]]
    shifted = found.corners[0] + [300, 0, 300, 0]
    assert overlaps([shifted], cats.corners).max() > 0.6

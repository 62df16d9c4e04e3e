"""Judging a set by a detector: table, sheet, interruption, the command."""

import csv
import json
import tracemalloc

import detectors
import numpy as np
import pytest
from click.testing import CliRunner

from deblur_keras import images
from deblur_keras.cli.evaluate import evaluate
from deblur_keras.evaluation import JournalError
from deblur_keras.evaluation.detection import (
    DetectionError,
    Detections,
    DrawnBoxes,
    Judge,
    evaluate_detection,
)
from deblur_keras.generators import compact_generator

NAMES = ["person", "cat", "dog"]


def seen(image):
    """A detector: one box a bright image, none on a dark one."""
    if image.mean() < 100:
        return Detections.none()
    return Detections([1], [0.9], [[2, 3, 20, 21]])


class Pair:
    """Dark when blurred, bright when sharp."""

    def __init__(self, index):
        self.name = f"scene/{index}"
        self.sharp = np.full((32, 40, 3), 150 + index, "uint8")
        self.blurred = np.full((32, 40, 3), 20 + index, "uint8")

    def read(self):
        return self.blurred, self.sharp


class Broken:
    name = "broken"

    def read(self):
        raise images.ImageError("broken.png: no such file")


def brighter(image):
    """Restores every other one."""
    return image + np.uint8(130 * (image[0, 0, 0] % 2 == 0))


def test_table_summary_and_sheet(tmp_path):
    pairs = [*(Pair(index) for index in range(8)), Broken()]
    judge = Judge(seen)
    found = evaluate_detection(brighter, pairs, judge, tmp_path, facts={"data": "flat"})
    summary = found.summary()
    assert (summary["truth"], summary["images"]) == (8, 8)
    assert (summary["blurred"]["recall"], summary["restored"]["recall"]) == (0.0, 0.5)
    assert summary["recall_regained"] == 0.5
    assert found.failures == {"broken": "broken.png: no such file"}
    rows = list(csv.DictReader((tmp_path / "detections.csv").open()))
    assert [row["restored_true_positives"] for row in rows] == ["1", "0"] * 4
    assert json.loads(rows[0]["record"])["sharp"] == [[1, 0.9, 2, 3, 20, 21]]
    report = json.loads((tmp_path / "summary.json").read_text())
    assert report["summary"]["restored"]["f1"] == pytest.approx(2 / 3)
    assert report["protocol"]["confidence"] == 0.25
    assert report["failures"][0]["name"] == "broken"
    text = "\n".join(found.protocol_lines() + found.lines())
    assert "8 of 9 pairs" in text
    assert "restoring brings back 50% of it" in text


def test_an_interrupted_run_continues_to_the_same_summary(tmp_path):
    pairs = [Pair(index) for index in range(9)]
    whole = evaluate_detection(brighter, pairs, Judge(seen))
    calls = []

    def interrupted(image):
        calls.append(1)
        if len(calls) > 8:
            raise KeyboardInterrupt
        return brighter(image)

    with pytest.raises(KeyboardInterrupt):
        evaluate_detection(interrupted, pairs, Judge(seen), tmp_path, facts={"model": "same"})
    kept = len((tmp_path / "detections.csv").read_text().splitlines()) - 1
    assert 0 < kept < 9
    given = {"output": tmp_path, "resume": True}
    again = evaluate_detection(brighter, pairs, Judge(seen), facts={"model": "same"}, **given)
    assert again.summary() == whole.summary()
    with pytest.raises(JournalError, match=r"confidence was 0\.25 and is 0\.4"):
        evaluate_detection(
            brighter, pairs, Judge(seen, confidence=0.4), facts={"model": "same"}, **given
        )


def test_a_damaged_record_is_refused(tmp_path):
    pairs = [Pair(index) for index in range(2)]
    evaluate_detection(brighter, pairs, Judge(seen), tmp_path)
    table = tmp_path / "detections.csv"
    table.write_text(table.read_text().replace('""sharp""', '""shape""'))
    with pytest.raises(JournalError, match=r"scene/0 is damaged .expected a record of blurred"):
        evaluate_detection(brighter, pairs, Judge(seen), tmp_path, resume=True)


def test_images_without_boxes_stop_the_run_before_it_starts(tmp_path):
    (tmp_path / "0.txt").write_text("cat 1 1 9 9")
    judge = Judge(seen, DrawnBoxes(tmp_path, NAMES))

    def never(image):
        raise AssertionError("restored")

    with pytest.raises(DetectionError, match="no boxes for 2 images: scene/1, scene/2"):
        evaluate_detection(never, (Pair(index) for index in range(3)), judge, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_is_not_continued_with_other_boxes(tmp_path):
    boxes, out = tmp_path / "boxes", tmp_path / "out"
    boxes.mkdir()
    (boxes / "0.txt").write_text("cat 1 1 9 9")

    def judged(names=NAMES, **options):
        return evaluate_detection(
            brighter, [Pair(0)], Judge(seen, DrawnBoxes(boxes, names)), out, **options
        )

    judged()
    assert len(judged(resume=True).rows) == 1
    (boxes / "0.txt").write_text("cat 1 1 9 10")
    with pytest.raises(JournalError, match="boxes_sha256 was"):
        judged(resume=True)


def test_a_hundred_boxes_a_side_stay_below_16_kilobytes_an_image_and_are_summed_up_once(tmp_path):
    rng = np.random.default_rng(1)
    corners = np.hstack([rng.uniform(0, 9, (100, 2)), rng.uniform(10, 30, (100, 2))])

    def crowd(image):
        return Detections(np.arange(100) % 9, np.linspace(0.01, 0.9, 100), corners)

    pairs = [Pair(index) for index in range(40)]
    given = {"output": tmp_path, "facts": {"model": "same"}}
    evaluate_detection(brighter, pairs, Judge(crowd), **given)
    for options in ({}, {**given, "resume": True}):
        tracemalloc.start()
        found = evaluate_detection(brighter, pairs, Judge(crowd), **options)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(found.rows) == 40
        assert held < 40 * 16_000
        assert found.summary() is found.summary()
    rows = list(csv.DictReader((tmp_path / "detections.csv").open()))
    assert json.loads(rows[0]["record"])["sharp"] == crowd(None).to_list()


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A tiny generator, a detector that finds a bright rectangle, and three pairs with one."""
    folder = tmp_path_factory.mktemp("judged")
    compact_generator(widths=(4,), blocks=(1,), name="tiny").save(folder / "tiny.keras")
    detectors.finder(folder / "finder.onnx", "yolov8", extra=20)
    (folder / "names.txt").write_text("\n".join(NAMES) + "\n")
    for index in range(3):
        sharp = np.full((48, 70, 3), 40, "uint8")
        sharp[10:30, 20 : 40 + index] = 250
        blurred = sharp // 2  # too dark to be found
        images.write(folder / "data" / "sharp" / f"{index}.png", sharp)
        images.write(folder / "data" / "blur" / f"{index}.png", blurred)
        (folder / "boxes").mkdir(exist_ok=True)
        (folder / "boxes" / f"{index}.txt").write_text(f"cat 20 10 {40 + index} 30\n")
    return folder


def run(*arguments):
    return CliRunner().invoke(evaluate, [str(argument) for argument in arguments])


def test_the_command_prints_the_rules_and_writes_table_and_sheet(workplace, tmp_path):
    given = (workplace / "tiny.keras", "--data", workplace / "data", "--protocol", "detection")
    detector = ("--detector", workplace / "finder.onnx", "--labels", workplace / "names.txt")
    result = run(*given, *detector, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "outputs read as yolov8" in result.output
    assert "matched one to one within a class at IoU 0.5" in result.output
    assert "recall lost to blur: 1.000" in result.output
    assert images.read(tmp_path / "out" / "detections.png").std() > 5
    report = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert report["protocol"]["detector"] == "finder.onnx"
    assert report["summary"]["sharp"]["recall"] == 1.0

    again = run(*given, *detector, "-o", tmp_path / "out")
    assert again.exit_code == 1
    assert "exists already" in again.output
    resumed = run(*given, *detector, "-o", tmp_path / "out", "--resume")
    assert resumed.exit_code == 0, resumed.output

    drawn = run(*given, *detector, "--boxes", workplace / "boxes", "--iou", "0.7")
    assert drawn.exit_code == 0, drawn.output
    assert "hand-drawn boxes" in drawn.output
    assert "IoU 0.7" in drawn.output


def test_the_command_explains_what_is_missing(workplace):
    given = (workplace / "tiny.keras", "--data", workplace / "data")
    by = ("--protocol", "detection")
    detector = ("--detector", workplace / "finder.onnx")
    for arguments, code, text in (
        (by, 2, "add --detector FILE.onnx"),
        (detector, 2, "--detector belongs to --protocol detection"),
        ((*by, *detector, "--boxes", workplace / "boxes"), 2, "--labels"),
        ((*by, *detector, "--detector-set", "channels=cmyk"), 1, "channels must be"),
        ((*by, *detector, "--detector-set", "channels"), 2, "FIELD=VALUE"),
        ((*by, *detector, "--detector-set", "colour=rgb"), 2, "channels, mean"),
        ((*by, "--detector", workplace / "tiny.keras"), 1, "tiny.keras"),
    ):
        result = run(*given, *arguments)
        assert result.exit_code == code, result.output
        assert text in result.output

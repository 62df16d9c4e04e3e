import json
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from test_detection_scoring import slow_average_precision

from deblur_keras.evaluation.detection import (
    DetectionError,
    Detections,
    DrawnBoxes,
    Judge,
    count,
    overlaps,
    summarize,
    summary_lines,
    summary_table,
    telling,
)
from deblur_keras.evaluation.detection.judge import packed, unpacked

IMAGE = np.zeros((20, 40, 3), "uint8")
PAIR = SimpleNamespace(name="scene/1")


def box(label, score, left=0, right=10):
    return [label, score, float(left), 0.0, float(right), 10.0]


def record(truth=None, **sides):
    return {"blurred": [], "restored": [], "sharp": [], "truth": truth, "unknown": 0, **sides}


class Scripted:
    """A detector that says what it is told to, by the grey level of the image."""

    def __init__(self, answers):
        self.answers = answers

    def __call__(self, image):
        return Detections.from_list(self.answers[int(image[0, 0, 0])])


def test_a_record_holds_what_was_found_and_survives_json(tmp_path):
    found = [[box(0, 0.9)], [box(0, 0.8), box(1, 0.02)], []]
    judge = Judge(Scripted(found))
    one = judge.score(PAIR, IMAGE, IMAGE + 1, IMAGE + 2)
    assert (one["sharp"], one["blurred"], one["restored"]) == tuple(found)
    assert (one["truth"], one["unknown"]) == (None, 0)
    assert json.loads(json.dumps(one)) == one

    (tmp_path / "1.txt").write_text("cat 0 0 10 10\nunicorn 1 1 9 9")
    judge = Judge(Scripted(found), DrawnBoxes(tmp_path, ["dog", "cat"]), scale=0.5)
    one = judge.score(PAIR, IMAGE, IMAGE + 1, IMAGE + 2)
    assert one["truth"] == [[1, 1.0, 0.0, 0.0, 5.0, 5.0]]
    assert one["unknown"] == 1


def test_the_truth_is_what_is_confident_on_the_sharp_image():
    one = record(sharp=[box(0, 0.25), box(1, 0.249)], restored=[box(0, 0.3), box(1, 0.3)])
    assert count(one) == {
        "truth": 1,
        **{"blurred_true_positives": 0, "blurred_false_positives": 0, "blurred_false_negatives": 1},
        **{
            "restored_true_positives": 1,
            "restored_false_positives": 1,
            "restored_false_negatives": 0,
        },
        **{"sharp_true_positives": 1, "sharp_false_positives": 0, "sharp_false_negatives": 0},
    }
    assert count(one, confidence=0.2)["truth"] == 2
    assert count(record(truth=[], sharp=[box(0, 0.9)]))["sharp_false_positives"] == 1


def test_a_set_by_hand():
    # classes 0 and 1; of 4 true boxes, blurred finds 1, restored 2
    first = record(
        sharp=[box(0, 0.9), box(1, 0.8, 20, 30)],
        blurred=[box(0, 0.6)],
        restored=[box(0, 0.7), box(1, 0.6, 20, 30), box(0, 0.5, 20, 30)],
    )
    second = record(
        sharp=[box(0, 0.9), box(0, 0.5, 20, 30)],
        blurred=[box(1, 0.4)],
        restored=[box(0, 0.1)],  # too weak for recall, but not for the average precision
    )
    summary = summarize(iter([first, second]))
    assert (summary["images"], summary["truth"], summary["classes"]) == (2, 4, 2)
    blurred, restored, sharp = (summary[side] for side in ("blurred", "restored", "sharp"))
    assert (blurred["precision"], blurred["recall"], blurred["f1"]) == (1 / 2, 1 / 4, 1 / 3)
    assert (restored["precision"], restored["recall"]) == (2 / 3, 2 / 4)
    assert (restored["true_positives"], restored["false_positives"]) == (2, 1)
    assert restored["false_negatives"] == 2
    assert [sharp[key] for key in ("precision", "recall", "f1", "map")] == [1, 1, 1, 1]
    # class 0, of 3: right, false, right; class 1, of 1: right
    assert restored["average_precisions"] == {0: pytest.approx((1 + 2 / 3) / 3), 1: 1.0}
    assert restored["map"] == pytest.approx(((1 + 2 / 3) / 3 + 1) / 2)
    assert blurred["average_precisions"] == {0: pytest.approx(1 / 3), 1: 0.0}
    assert summary["recall_lost"] == 0.75
    assert summary["recall_regained"] == pytest.approx(1 / 3)
    lines = "\n".join(summary_lines(summary))
    assert "4 true boxes of 2 classes in 2 images" in lines
    assert (
        "recall lost to blur: 0.750, 75% of the sharp images'; restoring brings back 33%" in lines
    )


def test_classes_without_a_true_box_do_not_enter_the_mean():
    one = record(sharp=[box(0, 0.9)], restored=[box(0, 0.9), box(7, 0.99)])
    assert summarize([one])["restored"]["map"] == 1.0


def test_nothing_there_and_nothing_found_is_no_figure():
    summary = summarize([record()])
    for side in ("blurred", "restored", "sharp"):
        figures = summary[side]
        assert [figures[key] for key in ("precision", "recall", "f1", "map")] == [None] * 4
    assert summary["recall_lost"] is None
    assert summary["recall_regained"] is None
    assert summary_lines(summary) == ["0 true boxes of 0 classes in 1 images"]
    console = Console(width=100)
    with console.capture() as capture:
        console.print(summary_table(summary))
    assert capture.get().count(" -") >= 12
    assert summarize([])["images"] == 0
    json.dumps(summary, allow_nan=False)


def test_recall_that_was_not_lost_cannot_be_regained():
    one = record(sharp=[box(0, 0.9)], blurred=[box(0, 0.9)])
    summary = summarize([one])
    assert (summary["recall_lost"], summary["recall_regained"]) == (0, None)


def slow_summary(records, side, overlap=0.5):
    """Mean average precision from the definition, with lists alone."""
    labels = {int(row[0]) for one in records for row in one["truth"]}
    single = []
    for label in labels:
        scores, correct, number = [], [], 0
        for one in records:
            there = [row[2:] for row in one["truth"] if row[0] == label]
            number += len(there)
            for row in sorted((r for r in one[side] if r[0] == label), key=lambda r: -r[1]):
                shared = [overlaps([row[2:]], [other])[0, 0] for other in there]
                hit = bool(shared) and max(shared) >= overlap
                if hit:
                    del there[int(np.argmax(shared))]
                scores.append(row[1])
                correct.append(hit)
        single.append(slow_average_precision(scores, correct, number))
    return sum(single) / len(single)


def test_mean_average_precision_against_a_slow_one():
    rng = np.random.default_rng(5)

    def some(count, spread):
        start = rng.integers(0, 60, (count, 2)) + rng.uniform(0, spread, (count, 2))
        sizes = rng.uniform(15, 30, (count, 2))
        rows = zip(start, sizes, rng.permutation(1000)[:count] / 1000, strict=True)
        return [[int(rng.integers(0, 3)), s, *c, *(c + w)] for c, w, s in rows]

    records = []
    for _ in range(6):
        truth = some(5, 0)
        found = [
            [r[0], s, *(np.array(r[2:]) + rng.normal(0, 2, 4))]
            for r, s in zip(truth, rng.uniform(size=5), strict=True)
        ]
        records.append(record(truth=truth, restored=found + some(6, 5)))
    expected = slow_summary(records, "restored")
    assert 0.1 < expected < 0.95
    assert summarize(records)["restored"]["map"] == pytest.approx(expected, abs=1e-9)

    records = [  # as a judge rounds them
        {**one, **{k: Detections.from_list(one[k]).to_list() for k in ("truth", "restored")}}
        for one in records
    ]
    small = [packed(one) for one in records]
    assert [unpacked(one) for one in small] == records
    assert summarize(small) == summarize(records)
    assert telling(small) == telling(records)
    assert [count(one) for one in small] == [count(one) for one in records]


def test_the_rules_are_in_words(tmp_path):
    (tmp_path / "1.txt").write_text("cat 0 0 10 10\nunicorn 1 1 9 9")
    drawn = DrawnBoxes(tmp_path, ["cat"])
    text = "\n".join(Judge(Scripted([]), drawn, confidence=0.3, overlap=0.6).lines())
    assert "(corners), of the classes that the detector knows" in text
    assert "score 0.3 or more, matched one to one within a class at IoU 0.6" in text
    assert "mAP@0.6: boxes of score 0.001 or more" in text
    assert "mean over the classes with a true box" in text
    assert "what the detector finds on the sharp image" in Judge(Scripted([])).lines()[0]


def test_boxes_left_out_are_counted_on_the_images_that_were_judged(tmp_path):
    (tmp_path / "1.txt").write_text("cat 0 0 10 10\nunicorn 1 1 9 9")
    (tmp_path / "2.txt").write_text("unicorn 1 1 9 9\nlamp 1 1 9 9")
    judge = Judge(Scripted([[], [], []]), DrawnBoxes(tmp_path, ["cat"]))
    assert "left out" not in "\n".join(judge.lines())  # the folder holds more than is judged
    one = judge.score(PAIR, IMAGE, IMAGE + 1, IMAGE + 2)
    text = "\n".join(summary_lines(summarize([one])))
    assert "1 hand-drawn box was left out, of classes that the detector does not know" in text
    assert "2 hand-drawn boxes were left out" in "\n".join(summary_lines(summarize([one] * 2)))
    assert "left out" not in "\n".join(summary_lines(summarize([record(truth=[])])))


def test_pairs_without_boxes_are_named(tmp_path):
    (tmp_path / "1.txt").write_text("cat 0 0 10 10")
    judge = Judge(Scripted([]), DrawnBoxes(tmp_path, ["cat"]))
    judge.check([PAIR])
    others = [SimpleNamespace(name=name) for name in ("scene/2", "scene/3")]
    with pytest.raises(DetectionError, match="no boxes for 2 images: scene/2, scene/3; expected"):
        judge.check([PAIR, *others])
    Judge(Scripted([])).check(others)  # the sharp images are the truth


def test_thresholds_that_make_no_sense():
    for values, message in (
        ({"confidence": 0}, r"confidence must lie in \(0, 1\], got 0"),
        ({"overlap": 1.5}, r"overlap must lie in \(0, 1\], got 1.5"),
        ({"confidence": 0.0001}, "confidence must be at least 0.001"),
    ):
        with pytest.raises(ValueError, match=message):
            Judge(Scripted([]), **values)

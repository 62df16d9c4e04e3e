import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deblur_keras.evaluation.detection import DetectionError, Detections, overlaps, read_names
from deblur_keras.evaluation.detection.boxes import PackedBoxes

numbers = st.floats(-50, 50, width=32)
sides = st.floats(0.125, 40, width=32)
corners = st.builds(lambda x, y, w, h: [x, y, x + w, y + h], numbers, numbers, sides, sides)


def test_overlap_by_hand():
    first = [[0, 0, 2, 2]]
    second = [[0, 0, 2, 2], [1, 1, 3, 3], [2, 0, 4, 2], [5, 5, 6, 6], [0, 0, 1, 1]]
    np.testing.assert_allclose(overlaps(first, second), [[1, 1 / 7, 0, 0, 1 / 4]])


def test_overlap_of_boxes_without_area_is_zero_and_of_none_is_empty():
    assert overlaps([[1, 1, 1, 5]], [[1, 1, 1, 5], [0, 0, 9, 9]]).tolist() == [[0, 0]]
    assert overlaps([[5, 5, 2, 2]], [[0, 0, 9, 9]]).tolist() == [[0]]  # inside out
    assert overlaps(np.zeros((0, 4)), [[0, 0, 1, 1]]).shape == (0, 1)


@given(corners, corners)
def test_overlap_is_symmetric_and_at_most_one(first, second):
    there = overlaps([first], [second])[0, 0]
    assert there == overlaps([second], [first])[0, 0]
    assert 0 <= there <= 1 + 1e-12
    assert overlaps([first], [first])[0, 0] == pytest.approx(1)


@given(corners, corners, st.floats(0.5, 20), numbers, numbers)
def test_overlap_does_not_change_when_both_are_scaled_and_moved(first, second, scale, x, y):
    moved = np.array([first, second]) * scale + [x, y, x, y]
    expected = overlaps([first], [second])[0, 0]
    assert overlaps(moved[:1], moved[1:])[0, 0] == pytest.approx(expected, abs=1e-6)


@given(corners, corners)
def test_overlap_is_what_counting_small_cells_gives(first, second):
    # every area is a product of sides, so a grid over both boxes' edges counts exactly
    xs = np.unique([first[0], first[2], second[0], second[2]])
    ys = np.unique([first[1], first[3], second[1], second[3]])
    shared = joined = 0.0
    for left, right in itertools.pairwise(xs):
        for top, bottom in itertools.pairwise(ys):
            x, y, area = (left + right) / 2, (top + bottom) / 2, (right - left) * (bottom - top)
            inside = [b[0] < x < b[2] and b[1] < y < b[3] for b in (first, second)]
            shared += area * all(inside)
            joined += area * any(inside)
    assert overlaps([first], [second])[0, 0] == pytest.approx(shared / joined, abs=1e-6)


def test_boxes_sort_pick_and_survive_json():
    boxes = Detections([4, 2, 9], [0.2, 0.8, 0.2], [[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3]])
    assert boxes.by_confidence().labels.tolist() == [2, 4, 9]
    assert boxes.above(0.2).labels.tolist() == [4, 2, 9]
    rows = boxes.to_list()
    assert rows[1] == [2, 0.8, 0.0, 0.0, 2.0, 2.0]
    assert [type(value) for value in rows[0]] == [int] + [float] * 5
    assert Detections.from_list(rows).to_list() == rows
    assert Detections.from_list([]).to_list() == []
    assert len(Detections.none().by_confidence().above(0.5).clipped(3, 3)) == 0


@given(st.integers(0, 2**32 - 1))
def test_packed_boxes_are_the_same_boxes_to_the_last_bit(seed):
    rng = np.random.default_rng(seed)
    scores, corners = rng.uniform(size=20), rng.uniform(0, 9000, (20, 4))
    rows = Detections(rng.integers(0, 90, 20), scores, corners).to_list()
    packed = PackedBoxes(rows)
    assert packed.to_list() == rows
    assert [type(value) for value in packed.to_list()[0]] == [int] + [float] * 5
    again, expected = Detections.from_list(packed), Detections.from_list(rows)
    assert (again.scores == expected.scores).all()
    assert (again.corners == expected.corners).all()


def test_packed_boxes_keep_scores_at_a_threshold_and_may_be_none():
    # float32 of 0.7 lies below 0.7
    assert len(Detections.from_list(PackedBoxes([[0, 0.7, 0, 0, 9, 9]])).above(0.7)) == 1
    assert PackedBoxes([]).to_list() == []
    assert len(PackedBoxes([])) == 0


def test_boxes_that_do_not_fit_together():
    with pytest.raises(DetectionError, match=r"n labels.*\(2,\), \(1,\) and \(1, 4\)"):
        Detections([0, 1], [0.5], [[0, 0, 1, 1]])
    with pytest.raises(DetectionError, match=r"\(1, 3\)"):
        Detections([0], [0.5], [[0, 0, 1]])


def test_names(tmp_path):
    file = tmp_path / "coco.names"
    file.write_text("\ufeffperson\r\n traffic light \r\n\r\n", encoding="utf-8")
    assert read_names(file) == ["person", "traffic light"]
    file.write_text("person\n\ncar\n")
    with pytest.raises(DetectionError, match="line 2 is blank"):
        read_names(file)
    file.write_text("\n")
    with pytest.raises(DetectionError, match="empty file"):
        read_names(file)
    file.write_bytes(b"\xff\xfe\x00car")
    with pytest.raises(DetectionError, match="UTF-8"):
        read_names(file)
    with pytest.raises(DetectionError, match="cannot be read: No such file"):
        read_names(tmp_path / "nowhere.names")

import numpy as np
import pytest

from deblur_keras.evaluation.detection import Detections, detection_sheet, telling
from deblur_keras.evaluation.detection.sheet import draw

NAME = ["cat", "dog"].__getitem__
BLUE, ORANGE, YELLOW = (31, 119, 255), (255, 127, 14), (255, 235, 60)
GREY = np.full((100, 120, 3), 90, "uint8")


def boxes(*rows):
    return Detections.from_list(rows)


def painted(image, colour):
    return (image == np.uint8(colour)).all(axis=-1)


def test_found_false_and_missed_boxes_differ_in_colour_and_line():
    truth = boxes([0, 1, 10, 40, 60, 90], [1, 1, 70, 40, 110, 90])
    found = boxes([0, 0.9, 10, 40, 60, 90], [1, 0.5, 30, 20, 110, 95])
    image = draw(GREY, truth, found, NAME)
    assert (GREY == 90).all()  # the photograph itself is left alone
    assert painted(image, BLUE)[40:90, 10].all()  # solid
    dashed, dotted = painted(image, ORANGE)[20:95, 109], painted(image, YELLOW)[40:90, 70]
    assert 0.4 < dashed.mean() < 0.9
    assert 0.2 < dotted.mean() < 0.6
    assert not painted(draw(GREY, truth, truth, NAME), ORANGE).any()


def test_boxes_follow_an_image_that_is_reduced():
    truth = boxes([0, 1, 200, 120, 400, 360])
    image = draw(np.full((480, 640, 3), 90, "uint8"), truth, truth, NAME, cell=320)
    assert image.shape == (240, 320, 3)
    rows, columns = np.nonzero(painted(image, BLUE))
    assert (columns.min(), columns.max()) == (100, 199)
    assert rows.max() == 179


def test_labels_do_not_cover_each_other():
    crowd = boxes(*([0, 0.9 - n / 100, 10, 40, 60, 90] for n in range(12)))
    few = painted(draw(GREY, crowd, crowd, NAME), BLUE).sum()
    assert few < 0.5 * GREY[..., 0].size


def test_boxes_at_the_edges_are_drawn_inside():
    edge = boxes([0, 1, 0, 0, 120, 100], [0, 1, 118, 98, 120, 100], [1, 1, 0, 0, 1, 1])
    assert draw(GREY, edge, Detections.none(), NAME).shape == GREY.shape
    assert draw(GREY[:9, :11], edge.clipped(9, 11), edge.clipped(9, 11), NAME).shape == (9, 11, 3)


def record(**sides):
    return {"blurred": [], "restored": [], "sharp": [], "truth": None, "unknown": 0, **sides}


def test_the_sheet_has_three_columns_a_row_an_image_and_the_legend():
    box = [0, 0.9, 10, 40, 60, 90]
    one = record(sharp=[box], restored=[box])
    single = detection_sheet([("a", one, [GREY] * 3)], NAME)
    double = detection_sheet([("a", one, [GREY] * 3), ("b", one, [GREY] * 3)], NAME)
    assert single.shape[1] == double.shape[1]
    assert double.shape[0] > single.shape[0] + 200  # 100 rows of 120 columns, enlarged twofold
    thirds = np.array_split(painted(single, BLUE), 3, axis=1)
    assert [bool(third.any()) for third in thirds] == [False, True, True]
    with pytest.raises(ValueError, match="at least one image"):
        detection_sheet([], NAME)


def test_the_images_that_tell_most_are_the_largest_gains_and_the_largest_loss():
    def gaining(count):
        rows = [[0, 0.9, 20.0 * n, 0, 20.0 * n + 10, 10] for n in range(3)]
        change = {"restored": rows[:count]} if count >= 0 else {"blurred": rows[:-count]}
        return record(sharp=rows, **change)

    records = [gaining(count) for count in (1, -2, 3, 2, -1)]
    assert telling(records, most=3) == [2, 3, 1]
    assert telling(records, most=5) == [2, 3, 0, 4, 1]
    assert telling(records[2:4], most=3) == [0, 1]
    assert telling([record()]) == []
    worse = gaining(1)
    worse["restored"].append([1, 0.9, 50, 50, 60, 60])
    assert telling([worse, gaining(1)]) == [1, 0]

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deblur_keras.evaluation.detection import Detections, average_precision, match, overlaps, rates


def boxes(*rows):
    """Boxes of (class, score, left, right), all from 0 to 10 in height."""
    return Detections.from_list([[c, s, left, 0, right, 10] for c, s, left, right in rows])


def test_each_true_box_is_found_once_by_the_most_confident():
    truth = boxes((0, 1, 0, 10))
    found = boxes((0, 0.5, 0, 10), (0, 0.9, 0, 9), (0, 0.7, 1, 10))
    assert match(truth, found).tolist() == [-1, 0, -1]


def test_a_detection_takes_the_best_of_what_is_free():
    truth = boxes((0, 1, 0, 10), (0, 1, 2, 12))
    # both overlap the second best; the weaker one gets the first, which VOC's rule would not give
    found = boxes((0, 0.9, 2, 12), (0, 0.8, 1.2, 11.2))
    assert match(truth, found).tolist() == [1, 0]


def test_only_boxes_of_one_class_match():
    truth = boxes((3, 1, 0, 10))
    assert match(truth, boxes((4, 0.9, 0, 10), (3, 0.1, 0, 10))).tolist() == [-1, 0]


def test_the_threshold_belongs_to_a_match():
    truth = boxes((0, 1, 0, 10))
    assert match(truth, boxes((0, 0.9, 0, 5))).tolist() == [0]  # IoU 0.5 exactly
    assert match(truth, boxes((0, 0.9, 0, 4.99))).tolist() == [-1]
    assert match(truth, boxes((0, 0.9, 0, 4.99)), overlap=0.4).tolist() == [0]


def test_nothing_there_or_nothing_found():
    some, none = boxes((0, 0.9, 0, 10)), Detections.none()
    assert match(none, some).tolist() == [-1]
    assert match(some, none).tolist() == []
    assert match(none, none).tolist() == []


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_matches_are_one_to_one_within_class_and_overlap(seed):
    rng = np.random.default_rng(seed)

    def some():
        count = rng.integers(0, 8)
        start = rng.uniform(0, 10, (count, 2))
        corners = np.hstack([start, start + rng.uniform(3, 12, (count, 2))])
        return Detections(rng.integers(0, 2, count), rng.uniform(size=count), corners)

    truth, found = some(), some()
    matches = match(truth, found, 0.3)
    taken = matches[matches >= 0]
    assert len(set(taken.tolist())) == len(taken)
    for place in np.flatnonzero(matches >= 0):
        assert truth.labels[matches[place]] == found.labels[place]
        assert overlaps(truth.corners[matches[place]], found.corners[place])[0, 0] >= 0.3
    # what was left over has no free partner left over
    for place, other in itertools.product(
        np.flatnonzero(matches < 0), set(range(len(truth))) - set(taken.tolist())
    ):
        same = truth.labels[other] == found.labels[place]
        assert not same or overlaps(truth.corners[other], found.corners[place])[0, 0] < 0.3
    # what is found confidently does not depend on what is found besides
    confident = found.above(0.5)
    alone = match(truth, confident, 0.3)
    assert alone.tolist() == matches[found.scores >= 0.5].tolist()


def test_rates_by_hand():
    assert rates(6, 2, 4) == (0.75, 0.6, pytest.approx(2 / (1 / 0.75 + 1 / 0.6)))
    assert rates(0, 0, 5) == (None, 0, 0)  # nothing found
    assert rates(0, 5, 0) == (0, None, 0)  # nothing there
    assert rates(0, 5, 5) == (0, 0, 0)
    assert rates(0, 0, 0) == (None, None, None)


def slow_average_precision(scores, correct, count):
    """The area under the highest precision at each recall or above, by summing thin columns."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    points, hits = [], 0
    for number, place in enumerate(order, 1):
        hits += correct[place]
        points.append((hits / count, hits / number))
    area, steps = 0.0, 2000 * count
    for step in range(steps):
        recall = (step + 0.5) / steps
        area += max((p for r, p in points if r >= recall), default=0.0) / steps
    return area


@pytest.mark.parametrize(
    ("correct", "count", "expected"),
    [
        ([True], 1, 1.0),
        ([False, True], 1, 0.5),
        ([True, False], 1, 1.0),  # a false one behind the last true one costs nothing
        ([True, True], 4, 0.5),
        ([False, False], 3, 0.0),
        ([], 3, 0.0),
        ([True, False, False, True, True], 3, (1 + 3 / 5 + 3 / 5) / 3),  # the envelope lifts 2/4
    ],
)
def test_average_precision_in_closed_form(correct, count, expected):
    scores = np.linspace(0.9, 0.1, len(correct))
    assert average_precision(scores, correct, count) == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_average_precision_against_a_slow_one(seed):
    rng = np.random.default_rng(seed)
    correct = rng.uniform(size=rng.integers(0, 12)) < 0.5
    scores = rng.permutation(len(correct)) / 20
    count = max(1, int(correct.sum()) + int(rng.integers(0, 3)))
    expected = slow_average_precision(scores.tolist(), correct.tolist(), count)
    assert average_precision(scores, correct, count) == pytest.approx(expected, abs=1e-9)


def test_average_precision_without_true_boxes_is_refused():
    with pytest.raises(ValueError, match=r"at least as many true boxes.*got 0 and 0"):
        average_precision([0.5], [False], 0)
    with pytest.raises(ValueError, match="got 1 and 2"):
        average_precision([0.5, 0.4], [True, True], 1)

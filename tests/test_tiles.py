import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deblur_keras import tiles

MULTIPLES = st.sampled_from([1, 2, 4, 6, 16])


def assert_divides(spans, side, overlap, multiple=1):
    """Each pixel is in one core, with its overlap in the window, and all lies on the grid."""
    written = np.zeros(side, int)
    for span in spans:
        written[span.core_start : span.core_stop] += 1
        assert 0 <= span.start <= max(span.core_start - overlap, 0)
        assert min(span.core_stop + overlap, side) <= span.stop <= side
        assert span.core_start < span.core_stop
        assert all(number % multiple == 0 for number in (span.start, span.stop, span.core_start))
    assert (written == 1).all()
    assert [span.core_start for span in spans[1:]] == [span.core_stop for span in spans[:-1]]


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 320), st.integers(0, 100))
def test_regular_spans_write_each_pixel_once(side, core, overlap):
    spans = tiles.regular_spans(side, core, overlap)
    assert_divides(spans, side, overlap)
    assert {span.core_stop - span.core_start for span in spans[:-1]} <= {core}


@settings(deadline=None)
@given(st.integers(1, 120), st.integers(1, 40), st.integers(0, 30), MULTIPLES)
def test_even_spans_write_each_pixel_once(cells, count, margin, multiple):
    side, overlap = cells * multiple, margin * multiple
    try:
        spans = tiles.even_spans(side, count, overlap, multiple)
    except ValueError:
        assume(False)
    assert len(spans) == count
    assert_divides(spans, side, overlap, multiple)
    assert len({span.length for span in spans}) == 1


def test_too_many_windows_are_refused():
    with pytest.raises(ValueError, match="at most"):
        tiles.even_spans(10, 11, 0)


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 12), st.integers(1, 4000), MULTIPLES)
def test_an_images_tiles_write_each_pixel_once_by_weight_one(rows, columns, margin, most, multiple):
    height, width, overlap = rows * multiple, columns * multiple, margin * multiple
    most = most * multiple**2
    try:
        found = tiles.fitting_spans(height, width, overlap, most, multiple)
    except ValueError as error:
        needed = error.args[1]
        assert needed > most
        assert needed <= height * width
        found = tiles.fitting_spans(height, width, overlap, needed, multiple)
        most = needed
    for spans, side in zip(found, (height, width), strict=True):
        assert_divides(spans, side, overlap, multiple)
    weights = np.zeros((height, width))
    for row, column in itertools.product(*found):
        weights[row.core_start : row.core_stop, column.core_start : column.core_stop] += 1
        assert row.length * column.length <= most
    assert (weights == 1).all()


@pytest.mark.parametrize("most", [900, 1500, 4000, 9000])
def test_fitting_spans_see_the_fewest_pixels(most):
    height, width, overlap = 100, 130, 8
    best = None
    for counts in itertools.product(range(1, 30), repeat=2):
        try:
            found = [
                tiles.even_spans(s, n, overlap)
                for s, n in zip((height, width), counts, strict=True)
            ]
        except ValueError:
            continue
        lengths = [spans[0].length for spans in found]
        if np.prod(lengths) <= most and min(lengths) >= 3 * overlap:
            seen = np.prod([sum(span.length for span in spans) for spans in found])
            best = seen if best is None else min(best, seen)
    found = tiles.fitting_spans(height, width, overlap, most)
    assert np.prod([sum(span.length for span in spans) for spans in found]) == best


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 40), st.integers(0, 40), st.data())
def test_windows_go_on_as_numpy_reflects(height, width, below, right, data):
    image = np.arange(height * width).reshape(height, width)
    whole = np.pad(image, ((0, below), (0, right)), mode="reflect")
    cut = []
    for side in whole.shape:
        start = data.draw(st.integers(0, side - 1))
        stop = data.draw(st.integers(start + 1, side))
        cut.append(tiles.Span(start, stop, start, stop))
    expected = whole[cut[0].start : cut[0].stop, cut[1].start : cut[1].stop]
    np.testing.assert_array_equal(tiles.window(image, *cut), expected)


def test_a_window_inside_is_a_view():
    image = np.zeros((8, 9, 3), np.uint8)
    inside = tiles.window(image, tiles.Span(1, 5, 1, 5), tiles.Span(0, 9, 0, 9))
    assert np.shares_memory(inside, image)

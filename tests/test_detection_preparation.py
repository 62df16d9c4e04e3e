import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deblur_keras.evaluation.detection import Preparation


def photo(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), "uint8")


def test_a_letterbox_of_the_right_size_keeps_every_pixel():
    image = photo(4, 8)
    for place, top in (("centre", 2), ("corner", 0)):
        prepared, placement = Preparation(border=114, place=place).apply(image, (8, 8), "uint8")
        assert (placement.left, placement.top) == (0, top)
        np.testing.assert_array_equal(prepared[top : top + 4], image)
        assert (np.delete(prepared, range(top, top + 4), axis=0) == 114).all()


def test_values_are_those_of_the_formula():
    image = photo(6, 6)
    mean, deviation = (10, 20, 30), (2, 4, 5)
    ways = Preparation(channels="bgr", mean=mean, deviation=deviation)
    prepared, _ = ways.apply(image, (6, 6))
    assert prepared.dtype == np.float32
    np.testing.assert_allclose(prepared, (image[..., ::-1] - np.array(mean)) / deviation, rtol=1e-6)
    assert Preparation(mean=1, deviation=2).deviation == (2.0, 2.0, 2.0)
    half, _ = Preparation().apply(image, (6, 6), "float16")
    assert half.dtype == np.float16
    np.testing.assert_allclose(half, image / 255, atol=1e-3)


def test_stretching_fills_the_input():
    prepared, placement = Preparation(fit="stretch").apply(
        np.full((10, 40, 3), 255, "uint8"), (20, 20)
    )
    assert prepared.min() == 1
    assert (placement.scale_x, placement.scale_y) == (0.5, 2.0)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(16, 70),
    st.integers(16, 70),
    st.sampled_from(["letterbox", "stretch"]),
    st.sampled_from(["centre", "corner"]),
)
def test_the_photographs_edges_map_back_to_its_edges(height, width, high, wide, fit, place):
    ways = Preparation(fit=fit, place=place, border=0)
    prepared, placement = ways.apply(np.full((height, width, 3), 255, "uint8"), (high, wide))
    rows, columns = np.nonzero(prepared[..., 0])
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    back = placement.to_photo([seen])[0]
    np.testing.assert_allclose(back, [0, 0, width, height], atol=1e-9)


def test_wrong_values():
    for values, message in (
        ({"channels": "grey"}, "channels must be 'rgb' or 'bgr', got 'grey'"),
        ({"fit": "crop"}, "fit must be 'letterbox' or 'stretch'"),
        ({"deviation": (1, 0, 1)}, "deviation must be positive"),
        ({"mean": (1, 2)}, r"mean must be a number or three, such as \[.*\], got \(1, 2\)"),
        ({"mean": "1,2,3"}, "mean must be a number or three, .* got '1,2,3'"),
        ({"border": 300}, "grey level from 0 to 255, got 300"),
    ):
        with pytest.raises(ValueError, match=message):
            Preparation(**values)

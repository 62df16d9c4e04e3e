import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from deblur_keras import images
from deblur_keras.uncertainty import (
    read_uncertainty,
    uncertainty_facts,
    uncertainty_path,
    write_uncertainty,
)


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)), st.integers(0, 99), st.floats(0, 100, width=32)
)
def test_round_trip(tmp_path_factory, size, seed, most):
    path = tmp_path_factory.mktemp("map") / "u.png"
    spread = np.random.default_rng(seed).uniform(0, most, (*size, 3)).astype(np.float32)
    expected = np.sqrt(np.mean(np.float64(spread) ** 2, axis=-1))
    found, scale = read_uncertainty(write_uncertainty(path, spread, 8))
    # The scale covers 99.9 % of so few pixels up to what percentiles interpolate.
    np.testing.assert_allclose(found, np.minimum(expected, scale), atol=scale / 255 * 0.51)
    facts = uncertainty_facts(path)
    assert facts["scale"] == scale
    assert facts["samples"] == 8
    assert facts["mean"] == pytest.approx(expected.mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("level", "scale"), [(0, 1), (0.2, 1), (1, 1), (1.01, 2), (3, 4), (4, 4), (90, 128), (127, 128)]
)
def test_the_scale_is_the_next_power_of_two(tmp_path, level, scale):
    path = write_uncertainty(tmp_path / "u.png", np.full((3, 3, 3), level), 4)
    assert uncertainty_facts(path)["scale"] == scale


def test_one_pixel_in_a_thousand_may_be_beyond_the_scale(tmp_path):
    spread = np.full((40, 100, 3), 1.5)
    spread[0, 0] = 50
    found, scale = read_uncertainty(write_uncertainty(tmp_path / "u.png", spread, 4))
    assert scale == 2
    assert found[0, 0] == 2


def test_16_bits_are_told_in_levels_of_255(tmp_path):
    one = write_uncertainty(tmp_path / "8.png", np.full((2, 2, 3), 3.0), 4)
    other = write_uncertainty(tmp_path / "16.png", np.full((2, 2, 3), 3.0 * 257), 4, white=65535)
    assert one.read_bytes() == other.read_bytes()


def test_it_looks_black_where_sure_and_brighter_where_not(tmp_path):
    spread = np.linspace(0, 8, 64)[None, :, None].repeat(3, axis=2)
    with Image.open(write_uncertainty(tmp_path / "u.png", spread, 4)) as picture:
        assert picture.mode == "P"
        assert "4 samples, in grey levels of 255" in picture.info["Description"]
        assert "brightest colour for 8 and more" in picture.info["Description"]
        seen = np.asarray(picture.convert("RGB"), float) @ [0.299, 0.587, 0.114]
    assert seen[0, 0] < 5
    assert seen[0, -1] > 240
    assert (np.diff(seen[0]) > -0.5).all()


def test_it_lies_beside_the_result():
    assert str(uncertainty_path("a/b.c.jpg")) == "a/b.c-uncertainty.png"


@pytest.mark.parametrize(
    ("spread", "message"),
    [
        (np.zeros((2, 2)), r"shape \(H, W, 3\), got \(2, 2\)"),
        (np.zeros((0, 2, 3)), "non-empty"),
        (np.full((2, 2, 3), np.nan), "finite"),
        (np.full((2, 2, 3), -1.0), "nowhere negative"),
    ],
)
def test_what_is_no_spread(tmp_path, spread, message):
    with pytest.raises(ValueError, match=message):
        write_uncertainty(tmp_path / "u.png", spread, 4)
    assert not list(tmp_path.iterdir())


def test_what_is_no_map(tmp_path):
    other = images.write(tmp_path / "photo.png", np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(images.ImageError, match=r"photo.png: not an uncertainty map"):
        read_uncertainty(other)
    (tmp_path / "text.png").write_text("no picture")
    for name in ("text.png", "missing.png"):
        with pytest.raises(images.ImageError, match=f"{name}: cannot be read as PNG"):
            uncertainty_facts(tmp_path / name)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(images.ImageError, match=r"u.png: cannot be written"):
        write_uncertainty(tmp_path / "file" / "u.png", np.zeros((2, 2, 3)), 4)

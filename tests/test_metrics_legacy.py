"""The legacy CW-SSIM against pyssim's stored results, and a direct version of its formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from skimage import data

from deblur_keras import metrics
from deblur_keras.metrics import legacy


def score(sharp, restored, data_range=255):
    return float(metrics.cw_ssim_pyssim(sharp[None], restored[None], data_range=data_range)[0])


def ricker(points, width):
    """The Mexican hat, sampled as scipy.signal.ricker did."""
    position = np.arange(points) - (points - 1.0) / 2
    squares = (position / width) ** 2
    return 2 / (np.sqrt(3 * width) * np.pi**0.25) * (1 - squares) * np.exp(-squares / 2)


def direct_cw_ssim(sharp, restored):
    """The formula as pyssim has it, on Pillow's grey levels, in float64."""
    transforms = []
    for image in (sharp, restored):
        signal = np.asarray(Image.fromarray(image).convert("L"), "float64").ravel()
        hats = [ricker(10 * width, width) for width in range(1, 31)]
        transforms.append(np.stack([np.convolve(signal, hat, "same") for hat in hats]))
    a, b = transforms
    k = 0.01
    first = (2 * np.sum(np.abs(a) * np.abs(b), 0) + k) / (np.sum(a * a, 0) + np.sum(b * b, 0) + k)
    product = a * np.conj(b)
    second = (2 * np.abs(product.sum(0)) + k) / (2 * np.abs(product).sum(0) + k)
    return np.mean(first * second)


# pyssim 0.6 on scipy 1.14.1: SSIM(Image.fromarray(a)).cw_ssim_value(Image.fromarray(b))
@pytest.mark.parametrize(
    ("name", "crop", "stored"),
    [
        ("astronaut", np.s_[100:197, 150:214], 0.8219227700600079),
        ("coffee", np.s_[:300, :451], 0.9176214713964792),
        ("chelsea", np.s_[:], 0.8974312970592218),
    ],
)
def test_stored_values_of_pyssim(name, crop, stored):
    sharp = getattr(data, name)()[crop]
    assert score(sharp, np.roll(sharp, 3, 1)) == pytest.approx(stored, abs=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.integers(9, 60), st.integers(40, 90), st.sampled_from([1, 3]), st.integers(0, 2**32 - 1))
def test_agrees_with_the_formula(height, width, channels, seed):
    rng = np.random.default_rng(seed)
    sharp = data.astronaut()[:height, :width, :channels]
    noisy = np.clip(sharp + rng.normal(0, 15, sharp.shape), 0, 255).round().astype("uint8")
    pair = (sharp, noisy) if channels == 3 else (sharp[..., 0], noisy[..., 0])
    assert score(sharp, noisy) == pytest.approx(direct_cw_ssim(*pair), abs=1e-5)
    # other ranges are brought to the same levels
    floats = sharp.astype("float64") / 255, noisy.astype("float64") / 255
    assert score(*floats, data_range=1) == pytest.approx(score(sharp, noisy), abs=1e-7)


def test_chunks_of_the_signal_give_the_same_score(monkeypatch):
    sharp = data.astronaut()[:60, :70]
    whole = score(sharp, np.roll(sharp, 2, 1))
    for samples in (1000, 4199, 4200):
        monkeypatch.setattr(legacy, "_CHUNK", samples)
        assert score(sharp, np.roll(sharp, 2, 1)) == pytest.approx(whole, abs=2e-6)


def test_equal_images_have_one_and_order_does_not_matter():
    sharp = data.astronaut()[:200, :200]
    assert score(sharp, sharp) == pytest.approx(1.0, abs=1e-6)
    blurred = ndimage.gaussian_filter(sharp, (2, 2, 0))
    assert score(sharp, blurred) == pytest.approx(score(blurred, sharp), abs=1e-6)
    assert score(sharp, blurred) < 0.999


def test_images_shorter_than_a_wavelet_are_refused():
    small = np.zeros((17, 17, 3), "uint8")
    with pytest.raises(ValueError, match=r"at least 300 pixels .* got 289"):
        score(small, small)

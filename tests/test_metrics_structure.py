"""SSIM of luma and multi-scale SSIM against closed forms and direct versions in SciPy."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import data
from skimage.metrics import structural_similarity

from deblur_keras import metrics

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def photograph_and_noisy(height, width, noise=12.0, seed=0):
    """A photograph and a noisy copy, uint8 RGB; a quarter of both is one flat, bright colour."""
    rng = np.random.default_rng(seed)
    photograph = data.astronaut()
    sharp = photograph[512 - height :, 512 - width :].copy()
    noisy = np.clip(sharp + rng.normal(0, noise, sharp.shape), 0, 255).round().astype("uint8")
    sharp[: height // 2, : width // 2] = noisy[: height // 2, : width // 2] = 250
    return sharp, noisy


def grey(image):
    return image.astype("float64") @ [0.299, 0.587, 0.114]


def direct_ms_ssim(x, y, data_range):
    """Multi-scale SSIM, written from the description of MeTriX MuX's in float64."""
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    half = [0.852698679008890, 0.377402855612830, -0.110624404418440]
    half += [-0.023849465019560, 0.037828455507260]
    low_pass = np.outer(half[:0:-1] + half, half[:0:-1] + half)
    low_pass /= low_pass.sum()
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2

    def local(image):
        return ndimage.correlate(image, window)[5:-5, 5:-5]

    score = 1.0
    for scale, weight in enumerate(WEIGHTS):
        if scale:  # "reflect" of SciPy repeats the edge pixel, as MATLAB's "symmetric"
            x, y = (ndimage.correlate(z, low_pass, mode="reflect")[::2, ::2] for z in (x, y))
        mean_x, mean_y = local(x), local(y)
        deviation_x = np.sqrt(np.maximum(local(x * x) - mean_x**2, 0))
        deviation_y = np.sqrt(np.maximum(local(y * y) - mean_y**2, 0))
        covariance = local(x * y) - mean_x * mean_y
        contrast = (2 * deviation_x * deviation_y + c2) / (deviation_x**2 + deviation_y**2 + c2)
        structure = (covariance + c2 / 2) / (deviation_x * deviation_y + c2 / 2)
        score *= (contrast.mean() * structure.mean()) ** weight
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return score * luminance.mean() ** WEIGHTS[-1]


def test_luma_by_hand():
    pixels = np.array([[[[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 10, 10]]]], "uint8")
    expected = [76.245, 149.685, 29.07, 10.0]
    np.testing.assert_allclose(metrics.luma(pixels)[0, 0, :, 0], expected, rtol=1e-6)
    single = pixels[..., :1]
    np.testing.assert_array_equal(metrics.luma(single), single.astype("float32"))


@settings(max_examples=20, deadline=None)
@given(st.integers(11, 120), st.integers(11, 120), st.floats(1.0, 50.0))
def test_ssim_y_is_scikit_image_on_luma(height, width, noise):
    sharp, noisy = photograph_and_noisy(height, width, noise)
    expected = structural_similarity(
        grey(sharp),
        grey(noisy),
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    value = float(metrics.ssim_y(sharp[None], noisy[None], data_range=255)[0])
    assert value == pytest.approx(expected, abs=1e-4)
    # the same of luma given as such, and in another range
    lumas = [grey(image)[None, ..., None] / 255 for image in (sharp, noisy)]
    value = float(metrics.ssim_y(*lumas, data_range=1)[0])
    assert value == pytest.approx(expected, abs=1e-4)


@settings(max_examples=10, deadline=None)
@given(st.integers(161, 230), st.integers(161, 230), st.floats(1.0, 50.0))
def test_ms_ssim_agrees_with_a_direct_version(height, width, noise):
    # a quarter flat: there the root of the variance magnifies what is rounded
    sharp, noisy = photograph_and_noisy(height, width, noise)
    blurred = ndimage.gaussian_filter(sharp, (noise / 10, noise / 10, 0))
    for restored in (noisy, blurred):
        expected = direct_ms_ssim(grey(sharp), grey(restored), 255)
        value = float(metrics.ms_ssim(sharp[None], restored[None], data_range=255)[0])
        assert value == pytest.approx(expected, abs=2e-6)


def test_ms_ssim_scores_each_image_of_a_batch_by_itself():
    sharp, noisy = photograph_and_noisy(170, 201)
    blurred = ndimage.gaussian_filter(sharp, (2, 2, 0))
    lumas = [grey(image)[..., None].astype("float32") for image in (sharp, noisy, blurred)]
    pairs = np.stack([[lumas[0]] * 3, lumas])
    values = np.asarray(metrics.ms_ssim(*pairs, data_range=255))
    expected = [direct_ms_ssim(*pair, 255) for pair in zip(*pairs[..., 0], strict=True)]
    assert values.shape == (3,)
    np.testing.assert_allclose(values, expected, atol=2e-6)
    assert values[0] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(("first", "second"), [(60, 180), (250, 255)])
def test_ms_ssim_of_two_flat_images_is_a_power_of_the_luminance_term(first, second):
    dark, light = (np.full((1, 161, 163, 3), level, "uint8") for level in (first, second))
    c1 = (0.01 * 255) ** 2
    expected = ((2 * first * second + c1) / (first**2 + second**2 + c1)) ** 0.1333
    value = float(metrics.ms_ssim(dark, light, data_range=255)[0])
    assert value == pytest.approx(expected, abs=1e-4)


def test_ms_ssim_of_a_negative_is_zero_and_not_a_complex_power():
    sharp, _ = photograph_and_noisy(170, 170)
    assert float(metrics.ms_ssim(sharp[None], 255 - sharp[None], data_range=255)[0]) == 0.0


def test_the_smallest_image_leaves_one_window_at_the_fifth_scale():
    # 161 -> 81 -> 41 -> 21 -> 11; MeTriX MuX halves upwards, so that 176 is not needed
    assert metrics.MS_SSIM_SIZE == 161
    sharp, noisy = photograph_and_noisy(161, 161)
    value = float(metrics.ms_ssim(sharp[None], noisy[None], data_range=255)[0])
    assert value == pytest.approx(direct_ms_ssim(grey(sharp), grey(noisy), 255), abs=2e-6)


def test_variants_of_one_pair_differ():
    # why each has a sentence: they are other numbers
    sharp, noisy = (image[None] for image in photograph_and_noisy(256, 256))
    functions = (metrics.ssim, metrics.ssim_y, metrics.ms_ssim, metrics.cw_ssim_pyssim)
    values = [float(function(sharp, noisy, data_range=255)[0]) for function in functions]
    assert np.diff(sorted(values)).min() > 0.01
    theirs = float(tf.image.ssim_multiscale(sharp, noisy, 255)[0])
    assert abs(values[2] - theirs) > 0.005


def test_sizes_known_only_at_run_time():
    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)] * 2)
    def scores(sharp, restored):
        return [
            score(sharp, restored, data_range=255)
            for score in (metrics.ssim_y, metrics.ms_ssim, metrics.cw_ssim_pyssim)
        ]

    for size in ((161, 180), (203, 170)):
        pair = [image[None] for image in photograph_and_noisy(*size)]
        luma, scales, wavelets = scores(*pair)
        np.testing.assert_allclose(luma, metrics.ssim_y(*pair, data_range=255), rtol=1e-5)
        np.testing.assert_allclose(scales, metrics.ms_ssim(*pair, data_range=255), rtol=1e-5)
        np.testing.assert_allclose(
            wavelets, metrics.cw_ssim_pyssim(*pair, data_range=255), rtol=1e-5
        )

"""PSNR, SSIM and MSE against closed forms, scikit-image and, for SSIM, TensorFlow."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from deblur_keras import metrics


def reference_ssim(sharp, restored, data_range):
    return structural_similarity(
        sharp,
        restored,
        data_range=data_range,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )


def photograph_and_noisy(height, width, channels=3, seed=0):
    """A photograph and a noisy copy, uint8; a quarter of both is one flat, bright colour."""
    rng = np.random.default_rng(seed)
    sharp = data.astronaut()[100 : 100 + height, 150 : 150 + width, :channels].copy()
    noisy = np.clip(sharp + rng.normal(0, 12, sharp.shape), 0, 255).round().astype("uint8")
    sharp[: height // 2, : width // 2] = noisy[: height // 2, : width // 2] = 250
    return sharp, noisy


def test_black_against_white_is_zero_db_and_not_the_wrapped_difference():
    black, white = np.zeros((1, 40, 50, 3), "uint8"), np.full((1, 40, 50, 3), 255, "uint8")
    for sharp, restored in ((black, white), (white, black)):
        assert float(metrics.psnr(sharp, restored, data_range=255)[0]) == 0.0
        error = float(metrics.mse(sharp, restored, data_range=255)[0])
        assert error == pytest.approx(65025.0, rel=1e-6)
    # one grey level up or down is the same error, although 0 - 1 wraps to 255 in uint8
    up, down = black + 1, white - 1
    np.testing.assert_allclose(
        metrics.psnr(black, up, data_range=255), metrics.psnr(white, down, data_range=255)
    )


def test_psnr_and_mse_by_hand_on_two_by_two():
    sharp = np.array([[[10], [20]], [[30], [40]]], "uint8")[None]
    restored = np.array([[[13], [20]], [[26], [40]]], "uint8")[None]
    error = (9 + 0 + 16 + 0) / 4
    assert float(metrics.mse(sharp, restored, data_range=255)[0]) == pytest.approx(error, rel=1e-6)
    expected = 10 * np.log10(255**2 / error)
    value = float(metrics.psnr(sharp, restored, data_range=255)[0])
    assert value == pytest.approx(expected, abs=1e-5)


def test_equal_images_are_infinite_db_and_ssim_one():
    sharp, _ = photograph_and_noisy(30, 40)
    assert np.isposinf(float(metrics.psnr(sharp[None], sharp[None], data_range=255)[0]))
    assert float(metrics.mse(sharp[None], sharp[None], data_range=255)[0]) == 0.0
    value = float(metrics.ssim(sharp[None], sharp[None], data_range=255)[0])
    assert value == pytest.approx(1.0, abs=1e-5)


def test_a_broken_network_has_no_score():
    sharp = np.zeros((2, 16, 16, 3), "float32")
    restored = sharp.copy()
    restored[1, 3, 4, 0] = np.nan
    for metric in (metrics.PSNR(), metrics.SSIM()):
        metric.update_state(sharp, restored)
        assert np.isnan(float(metric.result()))


@pytest.mark.parametrize(("first", "second"), [(60, 180), (0, 255), (250, 255)])
def test_ssim_of_two_flat_images_is_the_luminance_term(first, second):
    dark, light = (np.full((1, 12, 15, 3), level, "uint8") for level in (first, second))
    c1 = (0.01 * 255) ** 2
    expected = (2 * first * second + c1) / (first**2 + second**2 + c1)
    value = float(metrics.ssim(dark, light, data_range=255)[0])
    assert value == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("size", [(11, 11), (12, 31), (97, 64), (200, 301)])
@pytest.mark.parametrize("channels", [1, 3])
def test_agrees_with_scikit_image_on_uint8(size, channels):
    sharp, noisy = photograph_and_noisy(*size, channels)
    arguments = (sharp[None], noisy[None])
    np.testing.assert_allclose(
        metrics.psnr(*arguments, data_range=255)[0],
        peak_signal_noise_ratio(sharp, noisy, data_range=255),
        atol=1e-5,
    )
    np.testing.assert_allclose(
        metrics.mse(*arguments, data_range=255)[0], mean_squared_error(sharp, noisy), rtol=1e-5
    )
    np.testing.assert_allclose(
        metrics.ssim(*arguments, data_range=255)[0], reference_ssim(sharp, noisy, 255), atol=1e-4
    )


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 65535.0)])
def test_agrees_with_scikit_image_on_floats_of_any_range(low, high):
    sharp, noisy = (
        (low + image / 255.0 * (high - low)).astype("float32")
        for image in photograph_and_noisy(60, 71)
    )
    span = high - low
    psnr = metrics.psnr(sharp[None], noisy[None], data_range=span)[0]
    expected = peak_signal_noise_ratio(sharp.astype("float64"), noisy, data_range=span)
    np.testing.assert_allclose(psnr, expected, atol=1e-4)
    ssim = metrics.ssim(sharp[None], noisy[None], data_range=span)[0]
    # scikit-image computes the luminance term on the values as they are; so does ssim
    expected = reference_ssim(sharp.astype("float64"), noisy.astype("float64"), span)
    np.testing.assert_allclose(ssim, expected, atol=1e-4)


def test_ssim_agrees_with_tensorflow_and_scores_each_image_by_itself():
    sharp, noisy = photograph_and_noisy(80, 90)
    pairs = np.stack([sharp, sharp, sharp[::-1]]), np.stack([noisy, sharp, noisy])
    expected = [tf.image.ssim(*pair, 255) for pair in zip(*pairs, strict=True)]
    values = metrics.ssim(*pairs, data_range=255)
    assert values.shape == (3,)
    assert keras.backend.standardize_dtype(values.dtype) == "float32"
    np.testing.assert_allclose(values, expected, atol=1e-4)


def test_ssim_keeps_its_digits_where_the_picture_is_bright_and_almost_flat():
    rng = np.random.default_rng(1)
    sharp = (252 + rng.integers(0, 3, (64, 64, 3))).astype("uint8")
    noisy = (252 + rng.integers(0, 3, (64, 64, 3))).astype("uint8")
    value = float(metrics.ssim(sharp[None], noisy[None], data_range=255)[0])
    assert value == pytest.approx(reference_ssim(sharp, noisy, 255), abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_scores_are_symmetric_bounded_and_fall_with_the_noise(seed, amplitude):
    rng = np.random.default_rng(seed)
    sharp = rng.integers(64, 192, (1, 16, 16, 3)).astype("uint8")
    noise = rng.integers(-amplitude, amplitude + 1, sharp.shape)
    near = (sharp + noise).astype("uint8")
    far = np.clip(sharp + 2 * noise, 0, 255).astype("uint8")
    for score in (metrics.psnr, metrics.ssim):
        forward = float(score(sharp, near, data_range=255)[0])
        assert forward == pytest.approx(float(score(near, sharp, data_range=255)[0]), abs=1e-5)
        assert forward >= float(score(sharp, far, data_range=255)[0]) - 1e-5
    assert -1.0 - 1e-5 <= float(metrics.ssim(sharp, near, data_range=255)[0]) <= 1.0 + 1e-5


def test_sizes_known_only_at_run_time():
    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)] * 2)
    def scores(sharp, restored):
        return [
            score(sharp, restored, data_range=255)
            for score in (metrics.psnr, metrics.ssim, metrics.mse)
        ]

    for size in ((33, 20), (15, 48)):
        sharp, noisy = (image[None] for image in photograph_and_noisy(*size))
        psnr, ssim, mse = scores(sharp, noisy)
        np.testing.assert_allclose(psnr, metrics.psnr(sharp, noisy, data_range=255), rtol=1e-6)
        np.testing.assert_allclose(ssim, metrics.ssim(sharp, noisy, data_range=255), rtol=1e-5)
        np.testing.assert_allclose(mse, metrics.mse(sharp, noisy, data_range=255), rtol=1e-6)
    small = np.zeros((1, 5, 5, 3), "uint8")
    with pytest.raises(tf.errors.InvalidArgumentError, match="output size would be negative"):
        scores(small, small)


def test_errors_say_what_was_expected():
    image = np.zeros((1, 16, 16, 3), "uint8")
    with pytest.raises(ValueError, match=r"at least 11x11 .* got 10x16"):
        metrics.ssim(image[:, :10], image[:, :10], data_range=255)
    with pytest.raises(ValueError, match=r"same shape; got .*16, 16, 3.*16, 15, 3"):
        metrics.psnr(image, image[:, :, :15], data_range=255)
    with pytest.raises(ValueError, match=r"image\[None\]"):
        metrics.mse(image[0], image[0], data_range=255)
    with pytest.raises(ValueError, match="data_range must be positive"):
        metrics.mse(image, image, data_range=0)
    with pytest.raises(TypeError):
        metrics.psnr(image, image)  # the range is never guessed


def test_to_pixels_rounds_and_clips():
    levels = np.arange(256)
    batch = (levels / 127.5 - 1).astype("float32")
    np.testing.assert_array_equal(metrics.to_pixels(batch), levels)
    np.testing.assert_array_equal(metrics.to_pixels(batch + 0.4 / 127.5), levels)
    np.testing.assert_array_equal(metrics.to_pixels(np.array([-1.7, 1.2], "float32")), [0, 255])


@pytest.mark.parametrize(
    ("build", "score"), [(metrics.PSNR, metrics.psnr), (metrics.SSIM, metrics.ssim)]
)
def test_metric_is_the_mean_of_the_function_over_rounded_images(build, score):
    sharp, noisy = photograph_and_noisy(24, 36)
    pairs = [(sharp, noisy), (noisy, np.roll(sharp, 2, 0)), (sharp, np.roll(sharp, 1, 1))]
    metric = build()
    batches = [pairs[:2], pairs[2:]]
    for batch in batches:
        # 0.3 of a level off: what the rounding to files must remove
        left, right = (np.stack(side) / 127.5 - 1 for side in zip(*batch, strict=True))
        metric.update_state(left.astype("float32"), (right + 0.3 / 127.5).astype("float32"))
    expected = np.mean([score(a[None], b[None], data_range=255)[0] for a, b in pairs])
    assert float(metric.result()) == pytest.approx(expected, abs=1e-5)

    metric.reset_state()
    assert float(metric.result()) == 0.0
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert type(copy) is build
    assert copy.name == metric.name == build.__name__.lower()


def test_metrics_serve_compile_and_evaluate():
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Activation("linear")])
    model.compile(loss="mse", metrics=[metrics.PSNR(), metrics.SSIM()])
    sharp, noisy = photograph_and_noisy(24, 24)
    left, right = (image[None].astype("float32") / 127.5 - 1 for image in (noisy, sharp))
    logs = model.evaluate(left, right, verbose=0, return_dict=True)
    expected = peak_signal_noise_ratio(sharp, noisy, data_range=255)
    assert logs["psnr"] == pytest.approx(expected, abs=1e-4)
    assert logs["ssim"] == pytest.approx(reference_ssim(sharp, noisy, 255), abs=1e-4)

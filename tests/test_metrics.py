"""PSNR, SSIM, MSE and MAE against closed forms, published values, scikit-image and TensorFlow."""

import concurrent.futures

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from deblur_keras import metrics
from deblur_keras.metrics import graphs, structure


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
        error = float(metrics.mae(sharp, restored, data_range=255)[0])
        assert error == pytest.approx(255.0, rel=1e-6)
    # one grey level up or down is the same error, although 0 - 1 wraps to 255 in uint8
    up, down = black + 1, white - 1
    np.testing.assert_allclose(
        metrics.psnr(black, up, data_range=255), metrics.psnr(white, down, data_range=255)
    )


def test_psnr_mse_and_mae_by_hand_on_two_by_two():
    sharp = np.array([[[10], [20]], [[30], [40]]], "uint8")[None]
    restored = np.array([[[13], [20]], [[26], [40]]], "uint8")[None]
    error = (9 + 0 + 16 + 0) / 4
    assert float(metrics.mse(sharp, restored, data_range=255)[0]) == pytest.approx(error, rel=1e-6)
    expected = 10 * np.log10(255**2 / error)
    value = float(metrics.psnr(sharp, restored, data_range=255)[0])
    assert value == pytest.approx(expected, abs=1e-5)
    assert float(metrics.mae(sharp, restored, data_range=255)[0]) == pytest.approx(7 / 4, rel=1e-6)
    # in grey levels, whatever the range
    halves = sharp / 127.5 - 1.0, restored / 127.5 - 1.0
    assert float(metrics.mae(*halves, data_range=2)[0]) == pytest.approx(7 / 4, rel=1e-5)
    assert float(metrics.mse(*halves, data_range=2)[0]) == pytest.approx(error, rel=1e-5)


def test_published_values_of_the_cameraman():
    # What `imdiff` of the article https://www.ipol.im/pub/art/2011/g_lmii/ gives for this pair,
    # as stored in scikit-image's own tests, which hold the second to three decimals.
    camera = data.camera()
    noise = 20.0 * np.random.RandomState(5).randn(*camera.shape)
    noisy = np.clip(camera + noise, 0, 255).astype("uint8")
    pair = camera[None, ..., None], noisy[None, ..., None]
    psnr = float(metrics.psnr(*pair, data_range=255)[0])
    assert psnr == pytest.approx(22.409353363576034, abs=1e-5)
    ssim = float(metrics.ssim(*pair, data_range=255)[0])
    assert ssim == pytest.approx(0.357959091663361, abs=5e-4)


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
    for build in (metrics.PSNR, metrics.SSIM, metrics.SSIMY, metrics.MSE, metrics.MAE):
        metric = build()
        metric.update_state(sharp, restored)
        assert np.isnan(float(metric.result()))


@pytest.mark.parametrize(("first", "second"), [(60, 180), (0, 255), (250, 255)])
def test_ssim_of_two_flat_images_is_the_luminance_term(first, second):
    dark, light = (np.full((1, 12, 15, 3), level, "uint8") for level in (first, second))
    c1 = (0.01 * 255) ** 2
    expected = (2 * first * second + c1) / (first**2 + second**2 + c1)
    value = float(metrics.ssim(dark, light, data_range=255)[0])
    assert value == pytest.approx(expected, abs=1e-5)


KINDS = {  # lowest value, width of the range, type
    "uint8": (0, 255, "uint8"),
    "uint16": (0, 65535, "uint16"),
    "[0, 1]": (0.0, 1.0, "float32"),
    "[-1, 1]": (-1.0, 2.0, "float32"),
    "float64": (0.0, 255.0, "float64"),
    "[0, 65535]": (0.0, 65535.0, "float32"),
}


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(11, 130), st.integers(11, 130)),
    st.sampled_from([1, 3]),
    st.sampled_from(sorted(KINDS)),
    st.floats(0.5, 60.0),
    st.integers(0, 2**32 - 1),
)
def test_agrees_with_scikit_image_at_every_size_type_and_range(size, channels, kind, noise, seed):
    low, span, dtype = KINDS[kind]
    rng = np.random.default_rng(seed)
    sharp = data.astronaut()[100 : 100 + size[0], 150 : 150 + size[1], :channels]
    noisy = np.clip(sharp + rng.normal(0, noise, sharp.shape), 0, 255).round()
    noisy[0, 0, 0] = 255.0 - sharp[0, 0, 0]  # never equal
    pair = [low + image / 255.0 * span for image in (sharp, noisy)]
    pair = [(image.round() if "int" in dtype else image).astype(dtype) for image in pair]
    batches = [image[None] for image in pair]
    exact = [image.astype("float64") for image in pair]

    np.testing.assert_allclose(
        metrics.psnr(*batches, data_range=span)[0],
        peak_signal_noise_ratio(*exact, data_range=span),
        atol=1e-5,
    )
    np.testing.assert_allclose(
        metrics.ssim(*batches, data_range=span)[0], reference_ssim(*exact, span), atol=1e-4
    )
    levels = (255 / span) ** 2
    np.testing.assert_allclose(
        metrics.mse(*batches, data_range=span)[0], levels * mean_squared_error(*exact), rtol=1e-5
    )
    np.testing.assert_allclose(
        metrics.mae(*batches, data_range=span)[0],
        255 / span * np.mean(np.abs(exact[0] - exact[1])),
        rtol=1e-5,
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_agrees_with_scikit_image_on_a_large_image(channels):
    # twelve hundred rows: several strips, and sums of millions of squares
    sharp = np.tile(data.astronaut()[..., :channels], (3, 2, 1))[:1201, :1003]
    noisy = np.clip(sharp + np.random.default_rng(0).normal(0, 2, sharp.shape), 0, 255)
    noisy = noisy.round().astype("uint8")
    pair = sharp[None], noisy[None]
    value = float(metrics.psnr(*pair, data_range=255)[0])
    expected = peak_signal_noise_ratio(sharp, noisy, data_range=255)
    assert value == pytest.approx(expected, abs=1e-5)
    value = float(metrics.ssim(*pair, data_range=255)[0])
    assert value == pytest.approx(reference_ssim(sharp, noisy, 255), abs=1e-4)


def test_strips_of_rows_give_the_same_score(monkeypatch):
    sharp, noisy = (image[None] for image in photograph_and_noisy(97, 64))
    whole = float(metrics.ssim(sharp, noisy, data_range=255)[0])
    for pixels in (1, 64 * 20, 64 * 86, 64 * 87):
        monkeypatch.setattr(structure, "_STRIP", pixels)
        parts = float(metrics.ssim(sharp, noisy, data_range=255)[0])
        assert parts == pytest.approx(whole, abs=2e-6)


def test_images_of_many_sizes_share_one_graph():
    graphs._graph.cache_clear()
    sharp, noisy = photograph_and_noisy(64, 64)
    for height in range(11, 41):
        pair = sharp[None, :height, 3 : 2 * height], noisy[None, :height, 3 : 2 * height]
        metrics.ssim(*pair, data_range=255)
        metrics.ssim(*pair, data_range=1 + height)
    assert graphs._graph.cache_info().currsize == 1
    kind = (tf.uint8, tf.uint8, 4, 3, 1)
    graph = graphs._graph(structure._mean_ssim.__wrapped__, *kind)
    assert graphs._graph.cache_info().currsize == 1
    assert graph.experimental_get_tracing_count() == 1


def test_worker_threads_score_as_one_does():
    graphs._graph.cache_clear()  # so that all of them ask for a graph at once
    pairs = [photograph_and_noisy(30 + i, 60 - i, seed=i) for i in range(16)]

    def score(pair):
        return [
            float(function(pair[0][None], pair[1][None], data_range=255)[0])
            for function in (metrics.psnr, metrics.ssim, metrics.mse)
        ]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        together = list(pool.map(score, pairs))
    np.testing.assert_allclose(together, [score(pair) for pair in pairs], rtol=1e-6)


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
    with pytest.raises(ValueError, match=r"at least 11x11 .* got 16x10"):
        metrics.ssim_y(image[:, :, :10], image[:, :, :10], data_range=255)
    with pytest.raises(ValueError, match=r"at least 161x161 .* got 160x200"):
        large = np.zeros((1, 160, 200, 3), "uint8")
        metrics.ms_ssim(large, large, data_range=255)
    for score in (metrics.ssim_y, metrics.ms_ssim, metrics.cw_ssim_pyssim):
        with pytest.raises(ValueError, match=f"{score.__name__} is defined for 1 or 3 .* got 2"):
            score(image[..., :2], image[..., :2], data_range=255)
    for score in (metrics.mse, metrics.mae, metrics.ssim, metrics.cw_ssim_pyssim):
        with pytest.raises(ValueError, match="data_range must be positive"):
            score(image, image, data_range=0)
    with pytest.raises(TypeError):
        metrics.psnr(image, image)  # the range is never guessed


def test_to_pixels_rounds_and_clips():
    levels = np.arange(256)
    batch = (levels / 127.5 - 1).astype("float32")
    np.testing.assert_array_equal(metrics.to_pixels(batch), levels)
    np.testing.assert_array_equal(metrics.to_pixels(batch + 0.4 / 127.5), levels)
    np.testing.assert_array_equal(metrics.to_pixels(np.array([-1.7, 1.2], "float32")), [0, 255])


@pytest.mark.parametrize(
    ("build", "score", "size"),
    [
        (metrics.PSNR, metrics.psnr, (24, 36)),
        (metrics.SSIM, metrics.ssim, (24, 36)),
        (metrics.SSIMY, metrics.ssim_y, (24, 36)),
        (metrics.MSSSIM, metrics.ms_ssim, (161, 170)),
        (metrics.MSE, metrics.mse, (24, 36)),
        (metrics.MAE, metrics.mae, (24, 36)),
    ],
)
def test_metric_is_the_mean_of_the_function_over_rounded_images(build, score, size):
    sharp, noisy = photograph_and_noisy(*size)
    pairs = [(sharp, noisy), (noisy, np.roll(sharp, 2, 0)), (sharp, np.roll(sharp, 1, 1))]
    metric = build()
    batches = [pairs[:2], pairs[2:]]
    for batch in batches:
        # 0.3 of a level off: what the rounding to files must remove
        left, right = (np.stack(side) / 127.5 - 1 for side in zip(*batch, strict=True))
        metric.update_state(left.astype("float32"), (right + 0.3 / 127.5).astype("float32"))
    expected = np.mean([score(a[None], b[None], data_range=255)[0] for a, b in pairs])
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6, abs=1e-6)

    metric.reset_state()
    assert float(metric.result()) == 0.0
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert type(copy) is build
    assert copy.name == metric.name == score.__name__


def test_metrics_serve_compile_and_evaluate():
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Activation("linear")])
    model.compile(loss="mse", metrics=[metrics.PSNR(), metrics.SSIM()])
    sharp, noisy = photograph_and_noisy(24, 24)
    left, right = (image[None].astype("float32") / 127.5 - 1 for image in (noisy, sharp))
    logs = model.evaluate(left, right, verbose=0, return_dict=True)
    expected = peak_signal_noise_ratio(sharp, noisy, data_range=255)
    assert logs["psnr"] == pytest.approx(expected, abs=1e-4)
    assert logs["ssim"] == pytest.approx(reference_ssim(sharp, noisy, 255), abs=1e-4)

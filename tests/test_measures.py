"""How two images relate, against closed forms and scikit-image."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import data
from skimage.metrics import peak_signal_noise_ratio
from skimage.registration import phase_cross_correlation

from deblur_keras import metrics
from deblur_keras.datasets import measures


def photograph(seed=0, height=150, width=200):
    """Texture of all sizes, as photographs have it, different for each seed."""
    generator = np.random.default_rng(seed)
    image = np.zeros((height, width, 3))
    for size in (3, 6, 12, 24, 48):
        coarse = generator.normal(size=(size, size, 3))
        image += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) / size**0.5
    image += generator.normal(scale=0.05, size=image.shape)
    low, high = np.percentile(image, [1, 99])
    return np.clip((image - low) / (high - low) * 255, 0, 255).astype(np.uint8)


def shifted(image, right, down):
    """The image and the same moved by whole pixels, both cut from inside."""
    margin = 20
    height, width = image.shape[:2]
    still = image[margin : height - margin, margin : width - margin]
    moved = image[margin - down : height - margin - down, margin - right : width - margin - right]
    return np.ascontiguousarray(moved), np.ascontiguousarray(still)


def test_resemblance_is_the_correlation_of_thumbnails():
    first, second = photograph(1, 64, 64), photograph(2, 64, 64)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).ravel() for image in (first, second)]
    assert measures.resemblance(first, second) == pytest.approx(np.corrcoef(*grey)[0, 1])


def test_resemblance_heeds_neither_size_nor_brightness():
    first = photograph(3, 200, 300)
    other = cv2.resize(first, (150, 100), interpolation=cv2.INTER_AREA) // 2 + 60
    assert measures.resemblance(first, other) > 0.99
    assert measures.resemblance(first, np.full_like(first, 9)) == 0
    assert abs(measures.resemblance(first, photograph(4))) < 0.6


@pytest.mark.parametrize("name", measures.TURNS)
@pytest.mark.parametrize("shape", [(96, 96), (90, 160)])
def test_turns_are_recognized(name, shape):
    first = photograph(5, *shape)
    blurred = cv2.blur(np.ascontiguousarray(measures.TURNS[name](first)), (7, 1))
    assert measures.turn(first, blurred) == name


def test_what_is_not_turned():
    first = photograph(6)
    assert measures.turn(first, cv2.blur(first, (9, 3))) is None
    assert measures.turn(first, photograph(7)) is None
    assert measures.turn(first, first[:, ::-1] // 2 + first // 2) is None  # symmetric


@given(st.integers(-15, 15), st.integers(-15, 15), st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_whole_pixels_of_shift(right, down, seed):
    across, along, gain = measures.displacement(*shifted(photograph(seed), right, down))
    assert (across, along) == pytest.approx((right, down), abs=0.2)
    assert gain > 10 or right == down == 0


@pytest.mark.parametrize("size", [(180, 320), (150, 200), (101, 97), (64, 41), (90, 33)])
def test_no_shift_is_measured_as_none_whatever_the_size(size):
    image = photograph(8, *size)
    across, along, gain = measures.displacement(image, image)
    assert (across, along) == pytest.approx((0, 0), abs=0.05)
    assert gain == 0


def shifted_by_parts(image, right, down):
    """The image and the same moved by parts of pixels, both cut from where nothing wraps around."""
    spectra = np.fft.fft2(image.astype(float), axes=(0, 1))
    moved = [ndimage.fourier_shift(spectra[..., c], (down, right)) for c in range(3)]
    moved = np.stack([np.fft.ifft2(channel).real for channel in moved], axis=-1)
    moved = np.clip(np.rint(moved), 0, 255).astype(np.uint8)
    return [np.ascontiguousarray(picture[8:-8, 8:-8]) for picture in (moved, image)]


@given(st.floats(-6, 6), st.floats(-6, 6), st.integers(0, 3), st.sampled_from([0, 1.5, 3]))
@settings(max_examples=30, deadline=None)
def test_parts_of_pixels(right, down, seed, blur):
    sharp = cv2.GaussianBlur(photograph(seed, 200, 240), (0, 0), 0.7)
    moved, still = shifted_by_parts(sharp, right, down)
    moved = cv2.GaussianBlur(moved, (0, 0), blur) if blur else moved
    across, along, gain = measures.displacement(moved, still)
    if gain or max(abs(right), abs(down)) < 0.5:  # else it drowns in the blur
        assert (across, along) == pytest.approx((right, down), abs=0.1)
    assert gain or np.hypot(across, along) < 1.5


@pytest.mark.parametrize("photo", ["astronaut", "coffee", "chelsea"])
def test_parts_of_pixels_of_photographs_in_noise(photo):
    sharp = getattr(data, photo)()
    generator = np.random.default_rng(0)
    for right, down in generator.uniform(-6, 6, (4, 2)):
        moved, still = shifted_by_parts(sharp, right, down)
        moved = np.clip(moved + generator.normal(0, 3, moved.shape), 0, 255).astype(np.uint8)
        across, along, _ = measures.displacement(moved, still)
        assert (across, along) == pytest.approx((right, down), abs=0.05)


def test_parts_of_pixels_as_scikit_image_has_them():
    sharp = cv2.GaussianBlur(photograph(9), (0, 0), 1.0)
    moved, still = shifted_by_parts(sharp, -1.3, 2.6)
    across, along, _ = measures.displacement(moved, still)
    window = np.outer(*map(np.hanning, still.shape[:2]))  # both wrap around, and must not
    grey = [image.mean(axis=-1) for image in (moved, still)]
    grey = [(image - image.mean()) * window for image in grey]
    (down, right), *_ = phase_cross_correlation(*grey, upsample_factor=20)
    assert (across, along) == pytest.approx((right, down), abs=0.1)


def test_stripes_have_no_place_along_them():
    stripes = np.broadcast_to(photograph(3)[:1], (150, 200, 3))
    moved, still = shifted(np.ascontiguousarray(stripes), 4, 0)
    across, along, _ = measures.displacement(moved, still)
    assert (across, along) == pytest.approx((4, 0), abs=0.01)


@pytest.mark.parametrize("size", [(15, 1), (1, 15), (9, 9)])
def test_blur_is_not_taken_for_a_shift(size):
    sharp = photograph(10, 240, 320)
    across, along, gain = measures.displacement(cv2.blur(sharp, size), sharp)
    assert np.hypot(across, along) < 1
    assert gain < 0.1
    moved, still = shifted(sharp, 8, -6)
    across, along, gain = measures.displacement(cv2.blur(moved, size), still)
    assert (across, along) == pytest.approx((8, -6), abs=2.5)
    assert gain > 1


def test_too_small_to_tell():
    image = photograph(11, 20, 30)
    assert measures.displacement(image[:, 3:], image[:, :-3]) == (0, 0, 0)


def test_sharpness_of_a_ramp():
    # Four grey levels a pixel are eight at half size; Sobel weighs a slope with 8. At the two
    # outer columns the border is reflected, so that the slope is 0 there.
    ramp = np.broadcast_to((4 * np.arange(60, dtype=np.uint8))[None, :, None], (40, 60, 3))
    assert measures.sharpness(ramp) == pytest.approx((8 * 8) ** 2 * 28 / 30)


def test_blur_is_less_sharp_in_spite_of_noise():
    sharp = photograph(12)
    noise = np.random.default_rng(0).normal(scale=4, size=sharp.shape)
    blurred = np.clip(cv2.blur(sharp, (9, 5)) + noise, 0, 255).astype(np.uint8)
    assert measures.sharpness(blurred) < 0.8 * measures.sharpness(sharp)


def test_colourfulness_is_not_that_of_noise():
    colour = photograph(15, 512, 512)
    grey = np.repeat(colour[..., :1], 3, axis=-1)
    noise = np.random.default_rng(1).normal(scale=4, size=grey.shape)
    noisy = np.clip(np.rint(grey + noise), 0, 255).astype(np.uint8)
    assert measures.colourfulness(grey) == 0
    # The mean of 64 pixels has an eighth of the noise, a difference root 2 of that, and the mean
    # of a normal variable's size is root 2 / pi of its deviation.
    assert measures.colourfulness(noisy) == pytest.approx(4 / 8 * 2 / np.pi**0.5, rel=0.2)
    assert measures.colourfulness(colour) > 10


def test_psnr_is_that_of_metrics_and_of_scikit_image():
    first, second = photograph(13), photograph(14)
    expected = peak_signal_noise_ratio(first, second)
    assert measures.psnr(first, second) == pytest.approx(expected)
    ours = float(metrics.psnr(first[None], second[None], data_range=255)[0])
    assert ours == pytest.approx(expected, abs=1e-3)
    assert measures.psnr(first, first) == float("inf")

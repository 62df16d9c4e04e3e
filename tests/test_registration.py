"""Bringing one image over another: light, whole pixels, homographies."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data
from skimage.registration import phase_cross_correlation

from deblur_keras import registration


def photograph(height=160, width=200):
    image = data.astronaut()
    return image[40 : 40 + height, 120 : 120 + width]


def by_the_book(reference, image):
    """The whole-pixel step of dftregistration.m, its indices from 1 and all."""
    x, z = (np.fft.fft2(side.astype(float).mean(axis=2)) for side in (reference, image))
    correlation = np.abs(np.fft.ifft2(x * z.conj()))
    place = np.unravel_index(np.argmax(correlation), correlation.shape)
    steps = []
    for position, size in zip((index + 1 for index in place), correlation.shape, strict=True):
        steps.append(position - size - 1 if position > int(size / 2) else position - 1)
    return tuple(steps)


def test_luminance_by_hand():
    image = np.array([[[100, 10, 1]]], "float32")
    assert registration.luminance(image).tolist() == [[pytest.approx(29.9 + 5.87 + 0.114)]]
    assert registration.luminance(image).dtype == np.float32
    assert registration.luminance(image.astype(float)).dtype == np.float64


def test_intensity_scale_undoes_a_factor():
    image = photograph()
    assert registration.intensity_scale(image, image * 0.8) == pytest.approx(1.25)
    assert registration.intensity_scale(image, image) == 1


def test_intensity_scale_by_hand_and_of_nothing():
    assert registration.intensity_scale(np.array([1, 2], "u1"), np.array([3, 4], "u1")) == 11 / 25
    assert registration.intensity_scale(np.array([1.0, 2]), np.zeros(2)) == 0


def test_no_other_scale_fits_better():
    reference, image = photograph().astype(float), cv2.blur(photograph(), (5, 9)) * 0.7 + 20
    best = registration.intensity_scale(reference, image)
    expected = np.linalg.lstsq(image.reshape(-1, 1), reference.ravel(), rcond=None)[0]
    assert best == pytest.approx(expected.item())


@given(st.integers(-30, 29), st.integers(-30, 29), st.integers(60, 75), st.integers(60, 75))
@settings(max_examples=25, deadline=None)
def test_every_circular_shift_is_found(down, right, height, width):
    image = photograph(height, width)
    moved = np.roll(image, (down, right), axis=(0, 1))
    spectra = registration.spectrum(moved), registration.spectrum(image)
    assert registration.displacement(*spectra) == (down, right)


@pytest.mark.parametrize("size", [(160, 200), (159, 200), (97, 131), (64, 64)])
@pytest.mark.parametrize("step", [(0, 0), (3, -2), (-7, 5), (11, 1)])
def test_displacement_is_that_of_dftregistration_and_scikit_image(size, step):
    down, right = step
    height, width = size
    image = photograph(height, width)
    blurred = cv2.blur(data.astronaut(), (9, 3))
    moved = blurred[40 - down : 40 - down + height, 120 - right : 120 - right + width]
    found = registration.displacement(registration.spectrum(moved), registration.spectrum(image))
    assert found == by_the_book(moved, image)
    greys = (side.mean(axis=2) - side.mean() for side in (moved, image))
    assert tuple(phase_cross_correlation(*greys, normalization=None)[0]) == found


@pytest.mark.parametrize("size", [4, 5, 6, 7])
def test_a_shift_by_half_the_size_counts_as_backwards(size):
    image = np.zeros((size, 8, 3), "uint8")
    image[0, 0] = 255
    for step in range(size):
        moved = np.roll(image, step, axis=0)
        spectra = registration.spectrum(moved), registration.spectrum(image)
        assert registration.displacement(*spectra) == by_the_book(moved, image)


def test_a_factor_does_not_move_the_maximum_and_a_flat_image_has_none():
    image = photograph(100, 90)
    moved = registration.spectrum(np.roll(image, (5, -9), axis=(0, 1)))
    assert registration.displacement(moved, registration.spectrum(image * 0.3)) == (5, -9)
    flat = registration.spectrum(np.full_like(image, 77))
    assert registration.displacement(moved, flat) == (0, 0)


def test_shift_by_hand():
    image = np.arange(1, 10).reshape(3, 3)
    assert registration.shift(image, 1, 0).tolist() == [[0, 0, 0], [1, 2, 3], [4, 5, 6]]
    assert registration.shift(image, 0, -2).tolist() == [[3, 0, 0], [6, 0, 0], [9, 0, 0]]
    assert registration.shift(image, -1, 1).tolist() == [[0, 4, 5], [0, 7, 8], [0, 0, 0]]
    assert registration.shift(image, 0, 0).tolist() == image.tolist()


@given(st.integers(-19, 19), st.integers(-29, 29))
@settings(max_examples=25, deadline=None)
def test_shift_is_roll_with_nothing_coming_in(down, right):
    image = photograph(20, 30)
    expected = np.roll(np.pad(image, ((20, 20), (30, 30), (0, 0))), (down, right), axis=(0, 1))
    moved = registration.shift(image, down, right)
    assert moved.dtype == np.uint8
    np.testing.assert_array_equal(moved, expected[20:40, 30:60])


@pytest.mark.parametrize("step", [(20, 0), (-20, 0), (0, 30), (0, -31)])
def test_a_shift_out_of_the_image_is_refused(step):
    with pytest.raises(ValueError, match=r"within the image of 20x30"):
        registration.shift(photograph(20, 30), *step)


def turned(image, degrees, right, down, zoom=1.0):
    """The image turned about its centre and moved, and the homography that says so."""
    height, width = image.shape[:2]
    matrix = np.vstack([cv2.getRotationMatrix2D((width / 2, height / 2), degrees, zoom), [0, 0, 1]])
    matrix[:2, 2] += right, down
    warped = cv2.warpPerspective(image, matrix, (width, height), flags=cv2.INTER_CUBIC)
    return warped, matrix


@pytest.mark.parametrize("motion", [(1, 3, -2, 1.0), (-2, 0.5, 4.25, 1.01), (0, -6, 6, 0.99)])
def test_a_known_homography_is_found(motion):
    image = photograph(300, 320).astype("float32") / 255
    moved, matrix = turned(image, *motion)
    inner = slice(20, -20), slice(20, -20)  # without what turned() had to make up
    found = registration.homography(image[inner], moved[inner])
    corners = np.array([[0, 0], [279, 0], [0, 259], [279, 259], [140, 130]], float)[None]
    expected = cv2.perspectiveTransform(corners + 20, matrix) - 20
    np.testing.assert_allclose(cv2.perspectiveTransform(corners, found), expected, atol=0.1)


def test_brightness_and_contrast_do_not_matter():
    image = photograph(200, 220).astype("float32") / 255
    moved = np.roll(image, 3, axis=1)[:, 10:-10] * 0.5 + np.float32(0.2)
    found = registration.homography(np.ascontiguousarray(image[:, 10:-10]), moved)
    corners = np.array([[0, 0], [199, 0], [0, 199], [199, 199]], float)[None]
    expected = corners + np.array([3, 0])
    np.testing.assert_allclose(cv2.perspectiveTransform(corners, found), expected, atol=0.3)


def test_images_that_have_nothing_in_common_have_no_homography():
    image = photograph(200, 220).astype("float32") / 255
    with pytest.raises(registration.RegistrationError, match="same scene"):
        registration.homography(image, np.full_like(image, 0.5))
    with pytest.raises(registration.RegistrationError, match="same scene"):
        registration.homography(image, 1 - image)


def keys(distance, sharpness=-0.75):
    """Weight of a pixel in OpenCV's bicubic interpolation, by its distance."""
    x = abs(distance)
    if x <= 1:
        return (sharpness + 2) * x**3 - (sharpness + 3) * x**2 + 1
    return sharpness * (x**3 - 5 * x**2 + 8 * x - 4)


def test_warp_is_bicubic_and_knows_its_border():
    down, across = np.mgrid[:20, :30].astype("float32")
    image = np.stack([across, down, across + 2 * down], axis=-1)
    matrix = np.array([[1, 0, 2.25], [0, 1, -3.25], [0, 0, 1]])
    warped, mask = registration.warp(image, matrix)
    inside = (across + 2.25 <= 29.5) & (down - 3.25 >= -0.5)  # to the nearest pixel
    np.testing.assert_array_equal(mask, inside.astype("float32"))
    # OpenCV's kernel does not quite reproduce a plane: what it makes of 0.25 and of 0.75
    right, below = (
        sum(step * keys(step - part) for step in (-1, 0, 1, 2)) for part in (0.25, 0.75)
    )
    x, y = across + 2 + right, down - 4 + below
    expected = np.stack([x, y, x + 2 * y], axis=-1)
    np.testing.assert_allclose(warped[5:, :25], expected[5:, :25], atol=1e-4)


def test_the_identity_changes_nothing():
    image = photograph().astype("float32")
    warped, mask = registration.warp(image, np.eye(3))
    np.testing.assert_array_equal(warped, image)
    assert mask.all()


def test_different_shapes_are_refused():
    one, other = np.zeros((20, 20, 3), "float32"), np.zeros((20, 24, 3), "float32")
    for function in (registration.intensity_scale, registration.homography):
        with pytest.raises(ValueError, match=r"one shape; got \(20, 20, 3\) and \(20, 24, 3\)"):
            function(one, other)
    with pytest.raises(ValueError, match="one shape"):
        registration.displacement(registration.spectrum(one), registration.spectrum(other))


def test_tensorflow_is_not_needed():
    check = "import deblur_keras.registration, sys; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deblur_keras import ensembles

TYPES = [np.uint8, np.uint16]
SIZES = [(1, 1), (1, 7), (6, 1), (5, 8)]


def photo(height, width, dtype=np.uint8, seed=0):
    most = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, most + 1, (height, width, 3), dtype)


def same(image):
    return image.copy()


def darker(image):
    return (image // 2).astype(image.dtype)


def eight(image):
    """The eight copies by NumPy's transposition, and how each is laid back."""
    for vertical in (1, -1):
        for horizontal in (1, -1):
            for swapped in (False, True):
                copy = image[::vertical, ::horizontal]

                def back(result, v=vertical, h=horizontal, s=swapped):
                    return (result.swapaxes(0, 1) if s else result)[::v, ::h]

                yield (copy.swapaxes(0, 1) if swapped else copy), back


class Seen:
    """Restores nothing, and keeps what it was given."""

    def __init__(self):
        self.images = []

    def __call__(self, image):
        self.images.append(image)
        return image.copy()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("strength", [0, 0.25, 0.3, 1])
def test_what_changes_nothing_gives_the_very_image(dtype, size, strength):
    image = photo(*size, dtype)
    result = ensembles.restored(same, image, ensemble=True, strength=strength)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, image)


def test_every_level_survives():
    for dtype in TYPES:
        levels = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)[None, :, None].repeat(3, axis=2)
        result = ensembles.restored(same, levels, ensemble=True, strength=0.7)
        np.testing.assert_array_equal(result, levels)


@pytest.mark.parametrize("size", SIZES)
def test_the_eight_orientations_are_seen_once_each_at_16_bits(size):
    image, seen = photo(*size), Seen()
    ensembles.restored(seen, image, ensemble=True)
    expected = [(copy.astype(np.uint16) * 257).tolist() for copy, _ in eight(image)]
    assert len(seen.images) == ensembles.ORIENTATIONS == 8
    assert all(given.dtype == np.uint16 and given.flags.c_contiguous for given in seen.images)
    found = [given.tolist() for given in seen.images]
    assert sorted(map(str, found)) == sorted(map(str, expected))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", TYPES)
def test_it_is_the_mean_of_the_eight_rounded_once(size, dtype):
    table = np.random.default_rng(1).integers(0, 60000, (8, 8, 3)).astype(np.uint16)

    def restore(image):  # depends on place and orientation
        return image // 16 + table[: image.shape[0], : image.shape[1]]

    image = photo(*size, dtype)
    deep = image.astype(np.uint16) * (257 if dtype == np.uint8 else 1)
    laid_back = [back(restore(copy)) for copy, back in eight(deep)]
    mean = np.mean(np.float64(laid_back), axis=0) / (257 if dtype == np.uint8 else 1)
    result = ensembles.restored(restore, image, ensemble=True)
    np.testing.assert_array_equal(result, np.rint(mean).astype(dtype))


def test_a_pattern_that_follows_the_direction_averages_out():
    # A ramp of -3 .. 3 levels from left to right, which the eight orientations cancel.
    def slanted(image):
        ramp = np.linspace(-3, 3, image.shape[1])[None, :, None] * 257
        return np.rint(image + ramp).astype(np.uint16)

    image = np.full((9, 9, 3), 100, np.uint8)
    assert (ensembles.restored(slanted, image, ensemble=True) == 100).all()
    edge = ensembles.restored(slanted, image.astype(np.uint16) * 257)[0, [0, -1], 0]
    np.testing.assert_array_equal(edge, [97 * 257, 103 * 257])


@pytest.mark.parametrize("dtype", TYPES)
def test_what_turns_with_the_image_gains_nothing(dtype):
    def blurred(image):  # the mean with the four neighbours, the same in all eight orientations
        wide = np.pad(image.astype(np.uint32), ((1, 1), (1, 1), (0, 0)), mode="edge")
        around = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]
        return ((around + 4 * wide[1:-1, 1:-1]) // 8).astype(image.dtype)

    image = photo(7, 12, dtype)
    alone = blurred(image.astype(np.uint16) * (257 if dtype == np.uint8 else 1))
    expected = alone if dtype == np.uint16 else np.rint(alone / 257)
    np.testing.assert_array_equal(ensembles.restored(blurred, image, ensemble=True), expected)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("ensemble", [False, True])
def test_the_ends_of_strength(dtype, ensemble):
    image = photo(5, 8, dtype)
    before = image.copy()
    none = ensembles.restored(darker, image, ensemble, strength=0)
    np.testing.assert_array_equal(none, before)
    none[...] = 0  # a copy
    np.testing.assert_array_equal(image, before)
    whole = ensembles.restored(darker, image, ensemble, strength=1.0)
    np.testing.assert_allclose(whole, darker(image), atol=0 if not ensemble else 1)


def test_strength_1_is_the_callables_own_result():
    image, seen = photo(4, 4), Seen()
    np.testing.assert_array_equal(ensembles.restored(seen, image), image)
    assert seen.images[0] is image


def test_strength_0_restores_nothing():
    def never(image):
        raise AssertionError

    image = photo(3, 4)
    np.testing.assert_array_equal(ensembles.restored(never, image, True, 0), image)
    mean, spread = ensembles.sampled(never, image, 4, strength=0.0)
    np.testing.assert_array_equal(mean, image)
    assert spread.shape == image.shape
    assert not spread.any()


@given(st.integers(0, 255), st.integers(0, 255), st.floats(0, 1, width=32))
def test_strength_blends_the_stored_values(level, other, strength):
    image = np.full((1, 1, 3), level, np.uint8)
    result = ensembles.restored(
        lambda given: np.full_like(given, other * (257 if given.dtype == np.uint16 else 1)),
        image,
        strength=strength,
    )
    exact = (1 - strength) * level + strength * other
    assert abs(int(result[0, 0, 0]) - exact) <= 0.5 + 1e-4


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_strength_is_monotone(level, other):
    image = np.full((1, 1, 3), level, np.uint16)
    found = [
        int(
            ensembles.restored(lambda given: np.full_like(given, other), image, strength=s)[0, 0, 0]
        )
        for s in np.linspace(0, 1, 11)
    ]
    assert found[0] == level
    assert found[-1] == other
    assert found == sorted(found, reverse=other < level)


def drawn(image, sample, progress=None):
    """A sample that differs in each value, and not from call to call."""
    noise = np.random.default_rng(sample).integers(-900, 901, image.shape)
    return np.clip(image.astype(int) + noise, 0, 65535).astype(np.uint16)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [2, 5, 32])
def test_mean_and_spread_are_numpys(size, count):
    image = photo(*size, np.uint16)
    samples = np.float64([drawn(image, sample) for sample in range(count)])
    mean, spread = ensembles.sampled(drawn, image, count)
    assert (mean.dtype, spread.dtype) == (np.uint16, np.float32)
    np.testing.assert_allclose(mean, samples.mean(axis=0), atol=0.51)
    np.testing.assert_allclose(spread, samples.std(axis=0), rtol=1e-4, atol=1e-2)


def test_samples_of_8_bits_are_averaged_at_16():
    image = photo(4, 6)
    deep = image.astype(np.uint16) * 257
    samples = np.float64([drawn(deep, sample) for sample in range(6)]) / 257
    mean, spread = ensembles.sampled(drawn, image, 6)
    assert mean.dtype == np.uint8
    np.testing.assert_allclose(mean, samples.mean(axis=0), atol=0.501)
    np.testing.assert_allclose(spread, samples.std(axis=0), rtol=1e-4, atol=1e-4)


def test_small_spreads_of_bright_images_are_not_lost():
    def one_level(image, sample):
        return image - np.uint16(sample % 2)

    mean, spread = ensembles.sampled(one_level, np.full((2, 2, 3), 65535, np.uint16), 64)
    np.testing.assert_allclose(spread, 0.5, rtol=1e-3)
    assert set(np.unique(mean)) <= {65534, 65535}


def test_samples_that_are_alike_have_no_spread():
    image = photo(4, 6)
    mean, spread = ensembles.sampled(lambda given, sample: given, image, 7)
    np.testing.assert_array_equal(mean, image)
    np.testing.assert_allclose(spread, 0, atol=1e-4)


def test_strength_and_ensemble_hold_for_each_sample():
    image = photo(4, 6, np.uint16)
    _, spread = ensembles.sampled(drawn, image, 4)
    mean, half = ensembles.sampled(drawn, image, 4, strength=0.5)
    np.testing.assert_allclose(half, spread / 2, rtol=1e-5)
    samples = np.float64([drawn(image, sample) for sample in range(4)])
    np.testing.assert_allclose(mean, (samples.mean(axis=0) + image) / 2, atol=0.51)

    def numbered(given, sample):
        return np.full_like(given, 1000 * sample)

    mean, spread = ensembles.sampled(numbered, image, 3, ensemble=True)
    assert (mean == 1000).all()
    np.testing.assert_allclose(spread, 1000 * np.sqrt(2 / 3), rtol=1e-5)


def collect(function, *arguments, parts=0, **options):
    """What progress is given by a callable that works in parts, or whole with none."""
    told = []

    def restore(image, progress=None, sample=0):
        for part in range(parts):
            progress(part + 1, parts)
        return image

    function(restore, photo(2, 3), *arguments, progress=lambda *at: told.append(at), **options)
    return told


def test_progress_counts_all_passes():
    assert collect(ensembles.restored, ensemble=True) == [(done, 8) for done in range(1, 9)]
    assert collect(ensembles.restored, True, parts=3) == [(done, 24) for done in range(1, 25)]
    assert collect(ensembles.sampled, 3) == [(1, 3), (2, 3), (3, 3)]
    assert collect(ensembles.sampled, 2, True)[-1] == (16, 16)


def test_progress_of_a_single_pass_is_the_callables_own():
    assert collect(ensembles.restored) == []
    assert collect(ensembles.restored, strength=0.5) == []
    assert collect(ensembles.restored, parts=2) == [(1, 2), (2, 2)]


@pytest.mark.parametrize("strength", [-0.1, 1.01, float("nan"), "0.5", None, True, 1j])
def test_wrong_strengths(strength):
    with pytest.raises(ValueError, match="strength must be a number from 0"):
        ensembles.restored(same, photo(2, 2), strength=strength)


@pytest.mark.parametrize("ensemble", [8, "yes", None])
def test_wrong_ensembles(ensemble):
    with pytest.raises(ValueError, match="ensemble must be True"):
        ensembles.restored(same, photo(2, 2), ensemble)


@pytest.mark.parametrize("count", [1, 0, -3, 2.0, True, None, "8"])
def test_wrong_counts(count):
    with pytest.raises(ValueError, match="whole number of at least 2"):
        ensembles.sampled(drawn, photo(2, 2), count)


@pytest.mark.parametrize(
    "image", [np.zeros((2, 2, 3), np.float32), np.zeros((2, 2)), np.zeros((0, 2, 3), "uint8"), None]
)
def test_wrong_images(image):
    with pytest.raises(ValueError, match="expected a non-empty uint8 or uint16 RGB"):
        ensembles.restored(same, image)


@pytest.mark.parametrize(
    "restore", [lambda image: image[:, :1], lambda image: image.astype(np.float32)]
)
@pytest.mark.parametrize("ensemble", [False, True])
def test_a_callable_that_changes_shape_or_type(restore, ensemble):
    with pytest.raises(ValueError, match=r"expected restore to return uint\d+ \("):
        ensembles.restored(restore, photo(2, 3), ensemble)

"""Trajectories, point-spread functions, blurred photographs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loading import load
from scipy import ndimage, signal

from deblur_keras import blur, camera, trajectories

ALL = [blur.EXPOSURES]
RAW = {"centering": "bounding-box", "normalize": False}


@pytest.fixture(scope="module")
def plain():
    """The plain-loop reference, which lives with the benchmark."""
    return load("benchmarks/blur.py")


@pytest.fixture(scope="module")
def paths():
    return blur.random_trajectories(24, intensity=np.linspace(0, 0.1, 24), seed=3)


def centroid(kernel):
    row, column = np.indices(kernel.shape)
    return (kernel * row).sum() / kernel.sum(), (kernel * column).sum() / kernel.sum()


def photograph(height, width, seed=0):
    """Noise with large and small structure, uint8 (H, W, 3)."""
    noise = np.random.default_rng(seed).standard_normal((height, width, 3))
    smooth = ndimage.gaussian_filter(noise, (3, 3, 0), mode="wrap")
    return np.clip(128 + 25 * noise + 300 * smooth, 0, 255).astype(np.uint8)


def delta(size, row, column):
    kernel = np.zeros((size, size), np.float32)
    kernel[row, column] = 3.0
    return kernel


class TestTrajectories:
    def test_length_is_exact_and_steps_are_equal(self, paths):
        steps = np.abs(np.diff(paths))
        assert paths.shape == (24, 2000)
        assert paths.dtype == np.complex128
        np.testing.assert_allclose(steps.sum(axis=1), 60.0, rtol=1e-10)
        np.testing.assert_allclose(steps, 60.0 / 1999, rtol=1e-9)

    def test_length_per_trajectory(self):
        paths = blur.random_trajectories(3, iterations=50, max_length=[5, 20, 90.5], seed=0)
        np.testing.assert_allclose(np.abs(np.diff(paths)).sum(axis=1), [5, 20, 90.5])

    @pytest.mark.parametrize("intensity", [0, 5e-324, 1e-150])
    def test_no_intensity_is_a_straight_line(self, intensity):
        path = blur.random_trajectories(1, 11, max_length=10, intensity=intensity, seed=5)[0]
        np.testing.assert_allclose(path, np.arange(11) * path[1], atol=1e-12)

    def test_more_intensity_bends_more(self):
        def reach(intensity):
            return np.abs(blur.random_trajectories(64, intensity=intensity, seed=1)[:, -1]).mean()

        assert 60 > reach(0.003) > reach(0.01) > reach(0.1)

    def test_constants_of_the_authors_code(self):
        shake = trajectories._draw_shake(4000, 2, None, np.random.default_rng(0))
        highest = {"intensity": 0.1, "pull": 0.7, "jump_probability": 0.2}
        for name, value in {**highest, "gaussian": 10, "angle": 360}.items():
            np.testing.assert_allclose(shake[name].mean(), value / 2, rtol=0.05)
            assert 0.99 * value < shake[name].max() <= value

    @pytest.mark.parametrize("intensity", [None, 0.0, 0.005, 0.1, 1.0])
    def test_equals_plain_loops(self, plain, intensity):
        shake = trajectories._draw_shake(3, 700, intensity, np.random.default_rng(11))
        paths = trajectories._follow_shake(shake, np.full(3, 40.0))
        if intensity == 1.0:  # jumps are frequent enough here to be among what is compared
            assert (shake["jump_trial"] < shake["jump_probability"]).sum() > 20
        for index in range(3):
            expected = plain.plain_trajectory(shake, index, 40.0)
            np.testing.assert_allclose(paths[index], expected, atol=1e-8)

    def test_seed(self):
        first, again, other = (blur.random_trajectories(2, 100, seed=seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)
        generator = np.random.default_rng(1)
        np.testing.assert_array_equal(first, blur.random_trajectories(2, 100, seed=generator))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"count": 0}, "count >= 1"),
            ({"iterations": 1}, "iterations >= 2"),
            ({"max_length": 0.0}, "max_length must be positive"),
            ({"max_length": [1.0, 2.0, 3.0]}, "2 of them"),
            ({"intensity": -0.1}, r"intensity must be in \[0, 1\]"),
            ({"intensity": [0.5, 1.1]}, r"intensity must be in \[0, 1\]"),
            ({"intensity": np.nan}, r"intensity must be in \[0, 1\]"),
        ],
    )
    def test_errors(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            blur.random_trajectories(**{"count": 2, **arguments})


class TestSmoothTrajectories:
    @given(seed=st.integers(0, 2**32), length=st.floats(1e-3, 1e3))
    @settings(max_examples=30, deadline=None)
    def test_inertia_and_exact_length(self, seed, length):
        paths = blur.smooth_trajectories(4, 200, length, seed)
        np.testing.assert_allclose(np.abs(np.diff(paths)).sum(axis=1), length, rtol=1e-9)
        # Of polynomials of the third degree all fourth differences are 0.
        assert np.abs(np.diff(paths, 4)).max() < 1e-10 * length
        np.testing.assert_array_equal(paths, blur.smooth_trajectories(4, 200, length, seed))

    def test_lines_bows_and_ways_back(self):
        paths = blur.smooth_trajectories(400, 400, 1.0, seed=2)
        ends = np.abs(paths[:, -1] - paths[:, 0])  # 1 of a line, 0 of a way there and back
        assert (ends > 0.95).mean() > 0.2 and (ends < 0.5).mean() > 0.05
        speed = np.abs(np.diff(paths))
        assert np.median(speed.max(axis=1) / speed.min(axis=1)) > 2

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"count": 0}, "expected count >= 1"),
            ({"count": 1, "max_length": 0}, "max_length must be positive"),
            ({"count": 2, "max_length": [1, 2, 3]}, "max_length must be a number or 2 of them"),
        ],
    )
    def test_wrong_arguments(self, wrong, message):
        with pytest.raises(ValueError, match=message):
            blur.smooth_trajectories(**wrong)
        with pytest.raises(ValueError, match="paths must be one of shake, smooth; got 'x'"):
            blur.random_psfs(1, paths="x")
        with pytest.raises(ValueError, match='intensity is of paths="shake" alone'):
            blur.random_psf_grids(1, paths="smooth", intensity=0.1)


class TestPsfs:
    def test_sums_are_the_exposures(self, paths):
        # The authors' kernels, measured on their code: 0.01, 0.1, 0.5, 0.9995.
        kernels = blur.psfs(paths, ALL, **RAW)
        assert kernels.shape == (24, 4, 64, 64)
        assert kernels.dtype == np.float32
        expected = np.tile([0.01, 0.1, 0.5, 0.9995], (24, 1))
        np.testing.assert_allclose(kernels.sum(axis=(2, 3)), expected, rtol=1e-5)
        assert (np.diff(kernels, axis=1) >= -1e-7).all()  # a longer exposure contains a shorter

    def test_equals_plain_loops(self, plain):
        shake = trajectories._draw_shake(3, 400, None, np.random.default_rng(2))
        paths = trajectories._follow_shake(shake, np.full(3, 50.0))
        exposures = (0.0123, 0.1, 0.4567, 1.0)  # that end between two points, too
        kernels = blur.psfs(paths, [exposures], **RAW)
        for path, kernel in zip(paths, kernels, strict=True):
            expected = plain.plain_psfs(plain.plain_shift(path, 64), exposures)
            np.testing.assert_allclose(kernel, expected, atol=1e-8)

    def test_default_is_centred_with_sum_one(self, paths):
        for size in (64, 65, 70):
            kernels = blur.psfs(paths, ALL, size=size)
            np.testing.assert_allclose(kernels.sum(axis=(2, 3)), 1, atol=1e-5)
            for kernel in kernels.reshape(-1, size, size).astype(np.float64):
                np.testing.assert_allclose(centroid(kernel), size // 2, atol=2e-4)

    def test_closed_form_of_a_straight_line(self):
        # From x = 0 to 2 at constant speed, centred: -1 to 1. A triangle weight integrates over
        # this to 1/4, 1/2, 1/4.
        path = np.linspace(0, 2, 4001).astype(np.complex128)
        kernel = blur.psfs(path, size=5)
        expected = np.zeros((5, 5))
        expected[2, 1:4] = 0.25, 0.5, 0.25
        np.testing.assert_allclose(kernel, expected, atol=1e-3)

    def test_a_late_sharp_photograph_is_off_the_centroid(self, paths):
        # Half of the path after its middle: the last point stays in place.
        line = np.linspace(0, 8j, 4001)
        kernel = blur.psfs(line, size=20, late=0.5).astype(np.float64)
        np.testing.assert_allclose(centroid(kernel), (10 - 4, 10), atol=0.01)
        half = blur.psfs(line, exposure=0.5, size=20, late=-0.25).astype(np.float64)
        np.testing.assert_allclose(centroid(half), (10 + 1, 10), atol=0.01)
        late = np.linspace(-0.25, 0.25, len(paths))
        for path, kernel, part in zip(
            paths, blur.psfs(paths, 1.0, 128, late=late), late, strict=True
        ):
            middle = (len(path) - 1) / 2
            moved = np.interp(middle + part * len(path), np.arange(len(path)), path)
            moved -= np.interp(middle, np.arange(len(path)), path)
            found = np.array(centroid(kernel.astype(np.float64))) - 64
            np.testing.assert_allclose(found, (-moved.imag, -moved.real), atol=0.05)
        with pytest.raises(ValueError, match=r"late must be in \[-0.5, 0.5\]"):
            blur.psfs(paths, late=0.6)
        with pytest.raises(ValueError, match="needs another centering"):
            blur.psfs(paths, late=0.1, centering="bounding-box")

    def test_a_mean_of_short_frames_is_a_row_of_copies(self):
        line = np.linspace(0, 40, 4001).astype(np.complex128)
        kernel = blur.psfs(line, size=64, frames=5, duty=0.01)
        row = np.zeros(64)
        row[[16, 24, 32, 40, 48]] = 0.2  # the middles of the five frames, eight pixels apart
        np.testing.assert_allclose(kernel[32], row, atol=0.01)
        # Half the exposure is half the way; the frames are as many.
        half = blur.psfs(line, exposure=0.5, size=64, frames=5, duty=0.01)
        row[:] = 0
        row[[24, 28, 32, 36, 40]] = 0.2
        np.testing.assert_allclose(half[32], row, atol=0.01)
        # Open half of the time: the middle four of each eight pixels are lit evenly.
        wide = blur.psfs(line, size=64, frames=5, duty=0.5)[32]
        copy = np.array([0, 0.025, 0.05, 0.05, 0.05, 0.025, 0, 0])
        np.testing.assert_allclose(wide[13:53], np.tile(copy, 5), atol=1e-3)

    def test_the_middle_of_the_time_is_not_that_of_the_light(self):
        # There and back: x = 8 t^2, slow at its turn, which is in the middle of the time.
        time = np.linspace(-1, 1, 8001)
        turn = blur.psfs(8 * time**2 + 0j, size=24, centering="middle")[12]
        assert turn[:11].sum() == 0 and turn.argmax() == 12
        # The light within s pixels of the turn is sqrt(s / 8); triangles spread it by a pixel.
        within = turn[11 : 12 + 4].sum() + turn[16] / 2
        assert within == pytest.approx(np.sqrt(4 / 8), abs=0.02)
        line = 10 * time + 0j
        for late, off in ((0.0, 0), (0.25, -5)):  # a quarter of 20 pixels later
            kernel = blur.psfs(line, size=44, centering="middle", late=late).astype(np.float64)
            np.testing.assert_allclose(centroid(kernel), (22, 22 + off), atol=0.01)

    def test_frames_whose_shutter_is_always_open_are_one_exposure(self, paths):
        expected = blur.psfs(paths, ALL)
        np.testing.assert_array_equal(blur.psfs(paths, ALL, frames=9), expected)
        several = blur.psfs(paths[:3], frames=[1, 4, 9], duty=[1.0, 0.3, 0.05])
        for index, (frames, duty) in enumerate(((1, 1.0), (4, 0.3), (9, 0.05))):
            one = blur.psfs(paths[index], frames=frames, duty=duty)
            np.testing.assert_allclose(several[index], one, atol=1e-7)

    @given(frames=st.integers(1, 3000), duty=st.floats(1e-9, 1), part=st.floats(0.01, 1))
    @settings(max_examples=40, deadline=None)
    def test_however_short_frames_are_some_light_comes(self, paths, frames, duty, part):
        kernel = blur.psfs(paths[0], part, frames=frames, duty=duty).astype(np.float64)
        assert kernel.sum() == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(centroid(kernel), 32, atol=2e-4)

    @pytest.mark.parametrize("wrong", [0, 1.5, [2, 0]])
    def test_frames_are_whole_numbers(self, paths, wrong):
        with pytest.raises(ValueError, match="frames must be a whole number, at least 1"):
            blur.psfs(paths[:2], frames=wrong)
        with pytest.raises(ValueError, match=r"duty must be in \(0, 1\]"):
            blur.psfs(paths[:2], duty=0 if wrong == 0 else 1.5)

    def test_exposure_shapes(self, paths):
        some = paths[:3]
        half, full = blur.psfs(some, 0.5), blur.psfs(some)
        each = blur.psfs(some, [0.5, 1.0, 0.5])
        np.testing.assert_allclose(each[0], half[0], atol=1e-7)
        np.testing.assert_allclose(each[1], full[1], atol=1e-7)
        both = blur.psfs(some, [[0.5, 1.0]])
        np.testing.assert_allclose(both, np.stack([half, full], axis=1), atol=1e-7)
        assert blur.psfs(some, np.full((3, 2), 0.3)).shape == (3, 2, 64, 64)
        np.testing.assert_array_equal(blur.psfs(some[0], 0.5), half[0])
        assert blur.psfs(some[0], [[0.5, 1.0]]).shape == (2, 64, 64)

    def test_groups_make_no_difference(self):
        many = blur.random_trajectories(40, seed=0)
        np.testing.assert_array_equal(blur.psfs(many)[33:35], blur.psfs(many[33:35]))

    def test_canvas_too_small_names_a_size_that_holds(self):
        path = blur.random_trajectories(1, intensity=0, seed=1)
        with pytest.raises(ValueError, match="leaves the canvas of 32x32") as error:
            blur.psfs(path, size=32)
        size = int(str(error.value).split("size=")[1].split()[0])
        assert blur.psfs(path, size=size).sum() == pytest.approx(1, abs=1e-5)
        # A short exposure of the same path fits.
        assert blur.psfs(path, 0.4, size=32).sum() == pytest.approx(1, abs=1e-5)

    @pytest.mark.parametrize("angle", np.linspace(0, 360, 33))
    @pytest.mark.parametrize("centering", ["centroid", "bounding-box"])
    def test_longest_path_fits_the_promised_size(self, angle, centering):
        path = np.linspace(0, 20, 100) * np.exp(1j * np.deg2rad(angle))
        for size in (24, 25):
            assert blur.psfs(path, size=size, centering=centering).sum() == pytest.approx(1, 1e-5)

    @settings(max_examples=30, deadline=None)
    @given(
        size=st.integers(8, 40),
        length=st.floats(0.1, 36),
        iterations=st.integers(2, 60),
        exposure=st.floats(1e-3, 1),
        intensity=st.floats(0, 1),
        seed=st.integers(0, 2**32),
    )
    def test_any_sizes(self, size, length, iterations, exposure, intensity, seed):
        length = min(length, size - 4)
        paths = blur.random_trajectories(2, iterations, length, intensity, seed)
        kernels = blur.psfs(paths, exposure, size)
        assert (kernels >= 0).all()
        np.testing.assert_allclose(kernels.sum(axis=(1, 2)), 1, atol=1e-5)
        np.testing.assert_allclose(centroid(kernels[0].astype(np.float64)), size // 2, atol=1e-4)

    def test_random_psfs(self):
        kernels = blur.random_psfs(8, seed=4, size=70)
        assert kernels.shape == (8, 70, 70)
        np.testing.assert_allclose(kernels.sum(axis=(1, 2)), 1, atol=1e-5)
        np.testing.assert_array_equal(kernels, blur.random_psfs(8, seed=4, size=70))
        still = blur.random_psfs(2, seed=4, max_length=[1e-9, 60])
        np.testing.assert_allclose(still[0, 32, 32], 1, atol=1e-6)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"exposure": 0.0}, r"in \(0, 1\]"),
            ({"exposure": [0.1, 0.2]}, r"one per trajectory"),
            ({"exposure": np.nan}, r"in \(0, 1\]"),
            ({"centering": "centre"}, "centroid"),
            ({"size": 1}, "at least 2"),
            ({"trajectories": np.zeros((2, 2, 2))}, r"got shape \(2, 2, 2\)"),
            ({"trajectories": [0, np.nan]}, "finite"),
        ],
    )
    def test_errors(self, paths, arguments, message):
        with pytest.raises(ValueError, match=message):
            blur.psfs(**{"trajectories": paths, **arguments})

    @pytest.mark.parametrize(
        ("frames", "duty", "exposure"),
        [(3, 0.001, 0.1), (24, 0.001, 1.0), (13, 0.05, 0.1), (7, 0.6, 0.77)],
    )
    def test_all_frames_get_the_same_light(self, frames, duty, exposure):
        # A straight line in equal steps: column c is lit while point c + 1 is on its way.
        points = 400
        path = np.arange(points) + 0j
        kernel = blur.psfs(path, exposure, 900, centering="middle", normalize=False, frames=frames,
                           duty=duty)[450]  # fmt: skip
        length = exposure * points / frames
        starts = length * (np.arange(frames) + 0.5 - duty / 2)
        first, last = starts[:, None], starts[:, None] + duty * length
        time = np.arange(points)
        light = (np.minimum(last, time) - np.maximum(first, time - 1)).clip(0).sum(0) / points
        middle = exposure * points / 2
        expected = np.zeros(900)
        for point in range(1, points):
            at = 450 + point - middle
            expected[int(at)] += light[point] * (1 - at % 1)
            expected[int(at) + 1] += light[point] * (at % 1)
        np.testing.assert_allclose(kernel, expected, atol=1e-7)


class TestMotionBlur:
    @pytest.mark.parametrize("size", [1, 2, 3, 64, 65])
    @pytest.mark.parametrize("gamma", [1.0, 2.2])
    def test_delta_is_identity(self, size, gamma):
        image = photograph(40, 50)
        kernel = delta(size, size // 2, size // 2)
        np.testing.assert_array_equal(blur.motion_blur(image, kernel, gamma), image)

    def test_moves_as_a_convolution_does(self):
        image = photograph(20, 20)
        moved = blur.motion_blur(image, delta(9, 4 + 2, 4 - 1))  # down by 2, left by 1
        np.testing.assert_array_equal(moved[2:, :-1], image[:-2, 1:])

    @pytest.mark.parametrize("exposure", blur.EXPOSURES)
    def test_equals_scipy(self, paths, exposure):
        image = photograph(90, 70).astype(np.float64) / 255
        kernel = blur.psfs(paths[5], exposure, size=65).astype(np.float64)
        expected = ndimage.convolve(image**2.2, kernel[..., None], mode="mirror")
        expected = np.clip(expected, 0, 1) ** (1 / 2.2)
        np.testing.assert_allclose(blur.motion_blur(image, kernel), expected, atol=2e-4)
        pixels = blur.motion_blur(np.rint(image * 255).astype(np.uint8), kernel)
        assert np.abs(pixels - expected * 255).max() < 0.51

    def test_two_levels_mix_as_light(self):
        image = np.zeros((6, 10, 3), np.uint8)
        image[:, 5:] = 200
        blurred = blur.motion_blur(image, np.ones((1, 2)))  # origin at the second pixel
        mixed = round(255 * (0.5 * (200 / 255) ** 2.2) ** (1 / 2.2))
        assert set(blurred[:, 4].ravel()) == {mixed}
        assert mixed == 146  # against 100 in grey levels
        assert set(blur.motion_blur(image, np.ones((1, 2)), gamma=1)[:, 4].ravel()) == {100}

    @pytest.mark.parametrize("level", [0, 1, 17, 128, 255])
    @pytest.mark.parametrize("gamma", [1.0, 2.2])
    def test_constant_stays_constant_to_the_border(self, paths, level, gamma):
        image = np.full((50, 70, 3), level, np.uint8)
        for kernel in blur.psfs(paths[[0, 8, 20]]):
            np.testing.assert_array_equal(blur.motion_blur(image, kernel, gamma), image)

    @pytest.mark.parametrize("axis", [0, 1])
    def test_commutes_with_flips(self, paths, axis):
        image, kernel = photograph(60, 45), blur.psfs(paths[4], size=65)
        flipped = blur.motion_blur(np.flip(image, axis), np.flip(kernel, axis))
        difference = np.abs(np.flip(flipped, axis) - blur.motion_blur(image, kernel).astype(int))
        assert difference.max() <= 1
        assert difference.mean() < 1e-3

    def test_centred_kernel_does_not_move_the_photograph(self, paths):
        row, column = np.mgrid[:161, :161]
        spot = np.exp(-((row - 80) ** 2 + (column - 80) ** 2) / 50)
        for exposure in blur.EXPOSURES:
            blurred = blur.motion_blur(spot, blur.psfs(paths[9], exposure), gamma=1)
            np.testing.assert_allclose(centroid(blurred), 80, atol=1e-2)

    @pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
    @pytest.mark.parametrize("faithful", [False, True])
    @pytest.mark.parametrize("shape", [(1, 1), (2, 3, 3), (7, 5, 1), (30, 20, 4)])
    def test_keeps_shape_and_dtype(self, paths, dtype, faithful, shape):
        image = np.random.default_rng(0).uniform(0, 1, shape)
        image = (image * 255).astype(dtype) if dtype == "uint8" else image.astype(dtype)
        before = image.copy()
        blurred = blur.motion_blur(image, blur.psfs(paths[0]), noise=2, seed=0, faithful=faithful)
        assert blurred.shape == shape
        assert blurred.dtype == dtype
        assert 0 <= blurred.min() <= blurred.max() <= (255 if dtype == "uint8" else 1)
        np.testing.assert_array_equal(image, before)

    @settings(max_examples=30, deadline=None)
    @given(
        height=st.integers(1, 80),
        width=st.integers(1, 80),
        length=st.floats(0.5, 60),
        seed=st.integers(0, 2**32),
    )
    def test_any_size_stays_between_its_extremes(self, height, width, length, seed):
        image = np.random.default_rng(seed).integers(40, 200, (height, width, 3), np.uint8)
        kernel = blur.random_psfs(1, seed, max_length=length)[0]
        blurred = blur.motion_blur(image, kernel)
        assert blurred.shape == image.shape
        assert image.min() <= blurred.min() <= blurred.max() <= image.max()

    def test_noise(self):
        image = np.full((200, 200, 3), 128, np.uint8)
        kernel = delta(1, 0, 0)
        noisy = blur.motion_blur(image, kernel, noise=5.0, seed=1)
        residual = noisy.astype(float) - 128
        assert residual.std() == pytest.approx(5.0, rel=0.02)
        assert abs(residual.mean()) < 0.05
        np.testing.assert_array_equal(noisy, blur.motion_blur(image, kernel, noise=5.0, seed=1))

    def test_a_grid_of_equal_kernels_and_a_shake_without_roll_are_one_kernel(self):
        image = photograph(90, 120)
        kernel = blur.random_psfs(1, seed=6, exposure=0.5)[0]
        expected = blur.motion_blur(image, kernel).astype(int)
        grid = blur.motion_blur(image, np.tile(kernel, (3, 4, 1, 1)))
        assert np.abs(grid - expected).max() <= 1
        assert (grid != expected).mean() < 1e-3
        shake = blur.random_shakes(1, seed=6, rotation=0, exposure=0.5)[0]
        difference = blur.motion_blur(image, shake) - expected
        assert np.abs(difference).max() <= 3
        assert np.sqrt((difference**2).mean()) < 0.5

    @pytest.mark.parametrize("kind", ["shake", "grid"])
    def test_a_crop_with_its_place_is_the_crop_of_the_whole(self, kind):
        image = photograph(200, 240)
        if kind == "shake":
            motion = blur.random_shakes(1, seed=2, rotation=4, max_length=20, exposure=1.0)[0]
        else:
            motion = blur.random_psf_grids(1, seed=2, size=32, max_length=20, exposure=1.0)[0]
        whole = blur.motion_blur(image, motion)
        part = blur.motion_blur(image[20:150, 90:], motion, place=(20, 90, 200, 240))
        difference = part[30:-30, 30:-30].astype(int) - whole[50:120, 120:-30]
        assert np.abs(difference).max() <= (3 if kind == "shake" else 1)
        elsewhere = blur.motion_blur(image[20:150, 90:], motion)[30:-30, 30:-30]
        assert np.abs(elsewhere.astype(int) - whole[50:120, 120:-30]).max() > 10

    def test_a_highlight_bleeds_by_its_energy(self):
        # A white square of 9 pixels a side on black, 4 times as bright (3 at its own sides, see
        # `raise_highlights`), moved over 21 pixels: of a pixel in its way, all that passes counts.
        image = np.zeros((40, 80, 3), np.uint8)
        image[15:24, 30:39] = 255
        kernel = np.ones((1, 21)) / 21
        for highlights, sides, inside in ((1.0, 1, 1), (4.0, 3, 4)):
            square = [sides, *[inside] * 7, sides]
            light = np.minimum(np.convolve(square, np.ones(21) / 21), 1)
            expected = np.zeros(80)
            expected[20:49] = np.rint(255 * light ** (1 / 2.2))
            blurred = blur.motion_blur(image, kernel, highlights=highlights)
            np.testing.assert_array_equal(blurred[19], expected[:, None].repeat(3, axis=1))
        assert (expected == 255).sum() == 19  # instead of none

    def test_highlights_alone_change_nothing_but_the_nearly_white(self):
        image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
        still = blur.motion_blur(image, delta(1, 0, 0), highlights=8.0)
        np.testing.assert_array_equal(still[image <= 250], image[image <= 250])
        assert (still >= image).all()

    def test_what_moves_by_itself_covers_the_ground_for_part_of_the_exposure(self):
        # A thing 9 pixels wide of level 200 passes over 5 pixels of grey ground, which is still.
        image, front = (np.full((20, 40, 3), level, np.uint8) for level in (100, 200))
        mask = np.zeros((20, 40))
        mask[5:15, 10:19] = 1
        covered = np.convolve(mask[10], np.ones(5) / 5, "same")[:, None]
        for gamma in (1.0, 2.2):
            ground, thing = ((level / 255) ** gamma for level in (100, 200))
            light = ground * (1 - covered) + thing * covered
            expected = np.rint(255 * light ** (1 / gamma)).repeat(3, axis=1)
            moving = front, mask, np.ones((1, 5))
            blurred = blur.motion_blur(image, delta(1, 0, 0), gamma=gamma, moving=moving)
            np.testing.assert_allclose(blurred[10], expected, atol=1)
            np.testing.assert_array_equal(blurred[[0, -1]], 100)
        sharp = blur.paste(image, front, mask)
        np.testing.assert_array_equal(sharp[..., 0], np.where(mask, 200, 100))
        still = blur.motion_blur(image, delta(1, 0, 0), moving=(front, mask, delta(1, 0, 0)))
        np.testing.assert_array_equal(still, sharp)

    @pytest.mark.parametrize(
        ("front", "mask", "message"),
        [
            (np.zeros((8, 9, 3), np.uint8), np.zeros((8, 8)), "what is in front must be"),
            (np.zeros((8, 8, 3)), np.zeros((8, 8)), "float64 in front of .* uint8"),
            (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 1)), "mask must be"),
            (np.zeros((8, 8, 3), np.uint8), np.full((8, 8), 2.0), "values from 2 to 2"),
            (np.zeros((8, 8, 3), np.uint8), np.full((8, 8), np.nan), "mask must be"),
        ],
    )
    def test_what_moves_must_fit(self, front, mask, message):
        image = np.zeros((8, 8, 3), np.uint8)
        with pytest.raises(ValueError, match=message):
            blur.motion_blur(image, delta(1, 0, 0), moving=(front, mask, delta(1, 0, 0)))
        with pytest.raises(ValueError, match=message):
            blur.paste(image, front, mask)

    @pytest.mark.parametrize(("shot", "read"), [(0.05, 0.0), (0.0, 0.02), (0.04, 0.01)])
    def test_sensor_noise_is_added_to_light(self, shot, read):
        for level in (0.5, 0.8):
            image = np.full((300, 300), level)
            noisy = blur.motion_blur(
                image, delta(1, 0, 0), shot_noise=shot, read_noise=read, seed=1
            )
            variance = (noisy**2.2).var()
            assert variance == pytest.approx(shot**2 * level**2.2 + read**2, rel=0.03)

    def test_steps_come_in_the_order_of_a_camera(self):
        # Light beyond white is clipped before the noise, which is there in streaks too.
        image = np.full((100, 100, 3), 255, np.uint8)
        noisy = blur.motion_blur(image, delta(1, 0, 0), highlights=5.0, read_noise=0.1, seed=0)
        assert (noisy < 255).mean() == pytest.approx(0.5, abs=0.05)
        # JPEG comes last: it finds the noise, and reading it again leaves it as it is.
        rough = blur.motion_blur(image // 2, delta(1, 0, 0), noise=9.0, seed=0)
        packed = blur.motion_blur(image // 2, delta(1, 0, 0), noise=9.0, seed=0, jpeg=60)
        np.testing.assert_array_equal(packed, camera.compress(rough, 60))

    def test_jpeg_of_floating_point_images(self):
        image = photograph(40, 48)
        kernel = blur.random_psfs(1, seed=1)[0]
        pixels = blur.motion_blur(image, kernel, jpeg=70)
        levels = blur.motion_blur((image / 255).astype(np.float32), kernel, jpeg=70)
        assert levels.dtype == np.float32
        assert np.abs(levels * 255 - pixels).mean() < 0.2

    def test_the_seed_repeats_everything(self):
        image = photograph(50, 60)
        effects = {"shot_noise": 0.05, "read_noise": 0.01, "noise": 2.0, "jpeg": 80}
        shake = blur.random_shakes(1, seed=3)[0]
        first, again, other = (
            blur.motion_blur(image, shake, seed=seed, highlights=3.0, **effects)
            for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_faithful_refuses_the_other_effects(self):
        image, kernel = photograph(20, 20), np.ones((3, 3))
        for more in ({"highlights": 2.0}, {"shot_noise": 0.1}, {"read_noise": 0.1}, {"jpeg": 90}):
            with pytest.raises(ValueError, match="faithful=True is the authors' picture"):
                blur.motion_blur(image, kernel, faithful=True, **more)
        for motion in (np.ones((2, 2, 3, 3)), blur.random_shakes(1, seed=0)[0]):
            with pytest.raises(ValueError, match="faithful=True is the authors' picture"):
                blur.motion_blur(image, motion, faithful=True)

    def test_faithful_equals_the_authors_recipe(self, paths):
        kernels = blur.psfs(paths[7], ALL, **RAW)
        for image in (photograph(100, 100), photograph(70, 101)):
            image = (image // 2 + 40).astype(np.uint8)  # levels that are stretched
            for kernel in kernels:
                expected = (image - image.min()) / float(np.ptp(image))
                for channel in range(3):
                    expected[..., channel] = signal.fftconvolve(
                        expected[..., channel], kernel / kernel.max(), "same"
                    )
                expected = (expected - expected.min()) / np.ptp(expected) * 255
                pixels = blur.motion_blur(image, kernel, faithful=True)
                assert np.abs(pixels - expected).max() < 0.51
                assert (pixels.min(), pixels.max()) == (0, 255)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"image": np.zeros((4, 4), np.int32)}, "uint8 or floating point"),
            ({"image": np.full((4, 4), -0.5)}, r"\(image \+ 1\) / 2"),
            ({"image": np.full((4, 4), np.nan)}, r"in \[0, 1\]"),
            ({"image": np.zeros((0, 4), np.uint8)}, "non-empty"),
            ({"image": np.zeros(4, np.uint8)}, "got shape"),
            ({"psf": np.zeros((3, 3))}, "all zero"),
            ({"psf": np.ones((3, 3, 1))}, "psf must be"),
            ({"psf": np.array([[2.0, -1.0]])}, "nowhere negative"),
            ({"psf": np.array([[2.0, np.nan]])}, "finite"),
            ({"gamma": 0}, "gamma > 0"),
            ({"noise": -1}, "noise >= 0"),
            ({"psf": np.zeros((0, 2, 3, 3))}, "psf must be"),
            ({"psf": np.eye(4).reshape(2, 2, 2, 2) * [[[[1]], [[0]]]]}, "no kernel all zero"),
            ({"highlights": 0.5}, "highlights >= 1"),
            ({"highlights": np.nan}, "highlights >= 1"),
            ({"shot_noise": -0.1}, "shot_noise >= 0"),
            ({"read_noise": np.inf}, "read_noise >= 0"),
            ({"jpeg": 0}, "from 1 to 100"),
            ({"jpeg": 80.5}, "whole number"),
            ({"place": (0, 1, 4, 4)}, "of a photograph that holds the image of 4x4 pixels"),
        ],
    )
    def test_errors(self, arguments, message):
        arguments = {"image": np.zeros((4, 4), np.uint8), "psf": np.ones((3, 3)), **arguments}
        with pytest.raises(ValueError, match=message):
            blur.motion_blur(**arguments)


class TestAverageFrames:
    def test_mean_of_light(self):
        frames = np.stack([photograph(20, 30, seed) for seed in range(7)])
        expected = np.rint(((frames / 255.0) ** 2.2).mean(axis=0) ** (1 / 2.2) * 255)
        np.testing.assert_array_equal(blur.average_frames(frames), expected)
        np.testing.assert_array_equal(blur.average_frames(iter(frames)), expected)

    @pytest.mark.parametrize("gamma", [1.0, 2.2])
    def test_same_frames_give_the_frame(self, gamma):
        frame = np.arange(256, dtype=np.uint8).reshape(16, 16)
        np.testing.assert_array_equal(blur.average_frames([frame] * 13, gamma), frame)

    def test_errors(self):
        with pytest.raises(ValueError, match="at least one frame"):
            blur.average_frames([])
        with pytest.raises(ValueError, match="frame 1 is"):
            blur.average_frames([np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8)])
        with pytest.raises(ValueError, match="uint8"):
            blur.average_frames(np.zeros((2, 2, 2)))
        with pytest.raises(ValueError, match="gamma"):
            blur.average_frames(np.zeros((2, 2, 2), np.uint8), gamma=0)

"""What a camera does to light: motion that differs over the picture, highlights, noise, JPEG."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from deblur_keras import camera, exposures, shakes


def scene(height, width, channels=3, seed=0):
    """Light with large and small structure, float32 in [0, 1]."""
    noise = np.random.default_rng(seed).standard_normal((height, width, channels))
    smooth = ndimage.gaussian_filter(noise, (2, 2, 0), mode="wrap")
    return np.clip(0.4 + 0.05 * noise + smooth, 0, 1).astype(np.float32)


def centroid(light):
    row, column = np.indices(light.shape)
    return (light * row).sum() / light.sum(), (light * column).sum() / light.sum()


class TestExpose:
    def shake(self, seed=4, rotation=6.0, exposure=1.0, iterations=400):
        return shakes.random_shakes(1, seed, rotation, 18.0, iterations, exposure=exposure)[0]

    @pytest.mark.parametrize("shape", [(61, 81, 3), (40, 40, 1), (50, 33)])
    @pytest.mark.parametrize("exposure", [0.1, 0.5, 1.0])
    def test_equals_scipy_moment_by_moment(self, shape, exposure):
        light = scene(*shape[:2]).mean(axis=2) if len(shape) == 2 else scene(*shape)
        shake = self.shake(exposure=exposure)
        # Every point of the path by itself, in double precision: from where does light come that
        # falls on a pixel? Turned and moved back about the middle.
        count = len(shake.path)
        share = np.clip(exposure * count - np.arange(-1, count - 1), 0, 1)
        share[0] = 0
        share /= share.sum()
        path = shake.path - share @ shake.path
        angles = np.deg2rad(shake.angles - share @ shake.angles)
        rows, columns = np.indices(shape[:2], np.float64)
        middle = complex((shape[1] - 1) / 2, (shape[0] - 1) / 2)
        expected = np.zeros((*shape[:2], int(np.prod(shape[2:]))))
        for part, move, angle in zip(share, path, angles, strict=True):
            if not part:
                continue
            origin = (columns + 1j * rows - middle - move) * np.exp(-1j * angle) + middle
            for channel in range(expected.shape[2]):
                expected[..., channel] += part * ndimage.map_coordinates(
                    light.reshape(expected.shape)[..., channel],
                    [origin.imag, origin.real],
                    order=1,
                    mode="mirror",
                    output=np.float64,
                )
        result = camera.expose(light, shake)
        assert result.shape == shape
        assert result.dtype == np.float32
        difference = (result - expected.reshape(shape)) * 255
        assert np.abs(difference).max() < 2
        assert np.sqrt((difference**2).mean()) < 0.25

    def test_without_roll_it_is_a_convolution(self):
        light = scene(70, 80)
        for exposure in (0.1, 0.5, 1.0):
            shake = shakes.random_shakes(1, 7, 0.0, 18.0, exposure=exposure)[0]
            kernel = exposures.random_psfs(1, 7, 32, 18.0, exposure=exposure)[0]
            expected = camera.convolve(light, kernel, (16, 16))
            difference = (camera.expose(light, shake) - expected) * 255
            assert np.abs(difference).max() < 2

    def test_roll_about_the_middle_leaves_the_middle(self):
        light = np.zeros((41, 61), np.float32)
        light[20, 30] = light[20, 55] = 1
        rolled = camera.expose(light, shakes.Shake(np.zeros(200), np.linspace(-10, 10, 200)))
        assert rolled[20, 30] == pytest.approx(1, abs=1e-5)
        # A point 25 pixels away becomes an arc: 25 * 20 degrees, 8.7 pixels high.
        lit = np.nonzero(rolled[:, 40:].sum(axis=1) > 0.01)[0]
        assert (lit.min(), lit.max()) == (16, 24)
        assert rolled[:, 40:].sum() == pytest.approx(1, abs=0.01)

    def test_positive_angles_turn_clockwise(self):
        light = np.zeros((41, 41), np.float32)
        light[20, 35] = 1  # to the right of the middle
        late = np.zeros(1000)
        late[900:] = 20
        turned = camera.expose(light, shakes.Shake(np.zeros(1000), late))
        # The mean is 2 degrees: 0.9 of the light at -2, half a pixel above; 0.1 at 18 degrees, 4.6
        # pixels below, which is where the right of a picture goes when it turns clockwise.
        assert turned[:22].sum() == pytest.approx(0.9, abs=0.01)
        assert turned[24:26].sum() == pytest.approx(0.1, abs=0.01)

    def test_local_kernels_are_what_a_point_of_light_becomes(self):
        shake = self.shake(seed=9, iterations=2000)
        points = np.array([0, 60 + 40j, -60 - 45j])
        light = np.zeros((131, 171), np.float32)
        for point in points:
            light[65 + int(point.imag), 85 + int(point.real)] = 1
        exposed = camera.expose(light, shake)
        kernels = shake.psfs(points, 35)
        assert np.abs(kernels[1] - kernels[2]).max() > 0.01
        for point, kernel in zip(points, kernels, strict=True):
            top, left = 65 + int(point.imag) - 17, 85 + int(point.real) - 17
            seen = exposed[top : top + 35, left : left + 35]
            assert seen.sum() == pytest.approx(1, abs=0.02)
            np.testing.assert_allclose(centroid(seen), 17, atol=0.2)
            # The kernel is centred, which moves it by parts of a pixel: compare a little blurred.
            smooth = [ndimage.gaussian_filter(np.float64(each), 2) for each in (seen, kernel)]
            assert np.abs(smooth[0] - smooth[1]).max() < 0.06 * smooth[1].max()

    def test_constant_light_stays(self):
        light = np.full((30, 40, 3), 0.3, np.float32)
        np.testing.assert_allclose(camera.expose(light, self.shake()), light, rtol=1e-5)

    @settings(max_examples=25, deadline=None)
    @given(
        height=st.integers(1, 40),
        width=st.integers(1, 40),
        rotation=st.floats(0, 30),
        seed=st.integers(0, 2**32),
    )
    def test_any_size_stays_between_its_extremes(self, height, width, rotation, seed):
        light = scene(height, width, seed=seed % 1000)
        result = camera.expose(light, self.shake(seed, rotation))
        assert result.shape == light.shape
        assert light.min() - 1e-5 <= result.min() <= result.max() <= light.max() + 1e-5


class TestGrid:
    def test_equal_kernels_are_one_kernel(self):
        light = scene(64, 90)
        kernel = exposures.random_psfs(1, 3, 32, 20.0)[0]
        expected = camera.convolve(light, kernel, (16, 16))
        for nodes in ((1, 1), (1, 3), (2, 2), (5, 4)):
            kernels = np.tile(kernel, (*nodes, 1, 1))
            np.testing.assert_allclose(camera.convolve_grid(light, kernels), expected, atol=2e-6)

    def test_equals_the_kernel_that_is_blended_at_each_pixel(self):
        light = scene(21, 31, 1)[..., 0]
        kernels = np.random.default_rng(0).random((3, 2, 4, 5))
        kernels /= kernels.sum(axis=(2, 3), keepdims=True)
        result = camera.convolve_grid(light, kernels)
        wide = np.pad(light, 6, mode="reflect")
        for row, column in ((0, 0), (5, 13), (10, 30), (13, 7), (20, 30)):
            y, x = row / 20 * 2, column / 30
            top = min(int(y), 1)
            blended = sum(
                abs(1 - abs(y - i)) * abs(1 - abs(x - j)) * kernels[i, j]
                for i in (top, top + 1)
                for j in (0, 1)
            )
            window = wide[row + 6 - 1 : row + 6 + 3, column + 6 - 2 : column + 6 + 3]
            assert result[row, column] == pytest.approx((blended[::-1, ::-1] * window).sum(), 1e-4)

    def test_a_part_is_the_part_of_the_whole(self):
        light = scene(90, 120)
        kernels = shakes.random_psf_grids(1, 5, 4, 16, 10.0)[0]
        whole = camera.convolve_grid(light, kernels)
        part = camera.convolve_grid(light[30:80, 20:100], kernels, (30, 20, 90, 120))
        np.testing.assert_allclose(part[8:-8, 8:-8], whole[38:72, 28:92], atol=2e-6)

    def test_constant_light_stays(self):
        light = np.full((30, 41, 3), 0.3, np.float32)
        kernels = shakes.random_psf_grids(1, 5, 3, 16, 10.0)[0]
        np.testing.assert_allclose(camera.convolve_grid(light, kernels), light, rtol=1e-5)


class TestHighlights:
    def test_white_surfaces_rise_by_the_factor_and_the_rest_not_at_all(self):
        light = np.full((20, 30, 3), 0.5, np.float32)
        light[5:15, 5:15] = 1
        light[5:15, 20:28] = (1, 1, 0.2)  # a bright colour
        raised = camera.raise_highlights(light, 6.0, 0.9)
        assert (raised[6:14, 6:14] == 6).all()
        assert (raised[5, 6:14] == 1 + 5 * np.float32(2 / 3)).all()  # a side: 6 of 9 pixels
        changed = (raised != light).any(axis=2)
        assert changed.sum() == 100

    def test_in_proportion_above_the_start(self):
        for level, factor in ((0.8, 1.0), (0.85, 2.0), (0.9, 3.0), (1.0, 5.0)):
            raised = camera.raise_highlights(np.full((4, 4), level, np.float32), 5.0, 0.8)
            np.testing.assert_allclose(raised, level * factor, rtol=1e-5)

    def test_no_factor_changes_nothing(self):
        light = scene(20, 20)
        np.testing.assert_array_equal(camera.raise_highlights(light, 1.0, 0.5), light)

    def test_motion_keeps_the_energy(self):
        light = np.zeros((60, 80), np.float32)
        light[25:35, 35:45] = 1
        raised = camera.raise_highlights(light, 5.0, 0.9)
        assert raised.sum() > 4 * light.sum()
        kernel = exposures.random_psfs(1, 3, 32, 20.0)[0]
        assert camera.convolve(raised, kernel, (16, 16)).sum() == pytest.approx(raised.sum(), 1e-4)
        shake = shakes.random_shakes(1, 3, 3.0, 20.0)[0]
        assert camera.expose(raised, shake).sum() == pytest.approx(raised.sum(), 2e-3)


class TestSensorNoise:
    def test_variance_is_a_line_over_the_light(self):
        levels = np.linspace(0, 1, 6)
        light = np.repeat(levels, 200_000).astype(np.float32).reshape(6, -1)
        noisy = camera.add_sensor_noise(light, 0.1, 0.03, seed=0)
        np.testing.assert_allclose(noisy.var(axis=1), 0.1**2 * levels + 0.03**2, rtol=0.02)
        np.testing.assert_allclose(noisy.mean(axis=1), levels, atol=1e-3)

    def test_seed(self):
        light = scene(20, 20)
        first, again, other = (camera.add_sensor_noise(light, 0.1, 0.1, s) for s in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)
        np.testing.assert_array_equal(camera.add_sensor_noise(light, 0.0, 0.0), light)


class TestCompress:
    @pytest.mark.parametrize("shape", [(33, 50, 3), (16, 16, 1), (20, 30)])
    def test_is_what_a_file_would_hold(self, shape):
        pixels = np.rint(scene(*shape[:2]) * 255).astype(np.uint8)
        pixels = pixels if shape[2:] == (3,) else pixels[..., :1].reshape(shape)
        before = pixels.copy()
        packed = camera.compress(pixels, 75)
        assert packed.shape == shape
        assert packed.dtype == np.uint8
        assert packed.flags.writeable
        np.testing.assert_array_equal(pixels, before)
        buffer = io.BytesIO()
        Image.fromarray(pixels.squeeze()).save(buffer, "JPEG", quality=75)  # Pillow halves colour
        np.testing.assert_array_equal(packed.squeeze(), np.asarray(Image.open(buffer)))

    def test_less_quality_is_further_away(self):
        pixels = np.rint(scene(64, 64) * 255).astype(np.uint8)
        errors = [
            np.abs(camera.compress(pixels, q).astype(int) - pixels).mean() for q in (10, 50, 95)
        ]
        assert errors[0] > errors[1] > errors[2] > 0

    @pytest.mark.parametrize("quality", [0, 101, 50.5, np.nan])
    def test_quality_out_of_range(self, quality):
        with pytest.raises(ValueError, match="from 1 to 100"):
            camera.compress(np.zeros((8, 8, 3), np.uint8), quality)

    def test_channels_that_jpeg_has_not(self):
        with pytest.raises(ValueError, match="1 or 3 channels"):
            camera.compress(np.zeros((8, 8, 4), np.uint8), 90)

"""Shakes that roll, and grids of kernels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deblur_keras import exposures, shakes, trajectories


class TestShake:
    def test_samples_keep_the_light_and_its_middle(self):
        for exposure in (0.01, 0.1, 0.5, 1.0):
            shake = shakes.random_shakes(1, seed=2, rotation=3, exposure=exposure)[0]
            moves, turns, shares = shake.samples(400)
            assert shares.sum() == pytest.approx(1)
            assert abs(shares @ moves) < 1e-9
            assert abs(shares @ turns) < 1e-9
            assert (shares > 0).all()

    def test_samples_are_a_pixel_apart_where_light_moves_farthest(self):
        shake = shakes.Shake(np.linspace(0, 40, 2000), np.linspace(0, 6, 2000))
        assert len(shake.samples(0.0)[0]) == 40
        moves, turns, _ = shake.samples(500.0)
        assert len(moves) == np.ceil((40 + np.deg2rad(6) * 500) * 1998 / 1999)  # point 0 is dark
        steps = np.abs(np.diff(moves)) + 500 * np.abs(np.diff(turns))
        assert steps.max() < 1.02

    def test_a_camera_that_stands_still(self):
        moves, turns, shares = shakes.Shake(np.zeros(10), np.zeros(10)).samples(300.0)
        assert (moves.tolist(), turns.tolist()) == ([0], [0])
        np.testing.assert_allclose(shares, [1])

    @settings(max_examples=30, deadline=None)
    @given(seed=st.integers(0, 2**32), exposure=st.floats(0.01, 1), radius=st.floats(0, 900))
    def test_no_sample_is_out_of_reach(self, seed, exposure, radius):
        shake = shakes.random_shakes(1, seed, 2.0, 30.0, 100, exposure=exposure)[0]
        moves, turns, _ = shake.samples(radius)
        farthest = (np.abs(moves) + radius * np.abs(turns)).max()
        assert farthest <= shake.reach(radius) + 1e-9
        # Half the path and half the roll at most, as both are centred.
        assert shake.reach(radius) <= 15 + radius * np.deg2rad(1.0) + 0.5

    def test_psfs(self):
        shake = shakes.random_shakes(1, seed=3, rotation=2, exposure=0.5)[0]
        kernel = exposures.random_psfs(1, seed=3, exposure=0.5)[0]
        kernels = shake.psfs([0, 300 + 200j], 64)
        np.testing.assert_allclose(kernels[0], kernel, atol=1e-6)  # the middle does not roll
        assert np.abs(kernels[1] - kernel).max() > 0.01
        held = shake.psfs([0, 300 + 200j, 4000j])
        assert held.shape[0] == 3
        np.testing.assert_allclose(held.sum(axis=(1, 2)), 1, atol=1e-5)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((np.zeros(5), np.zeros(4)), r"got \(5,\) and \(4,\)"),
            ((np.zeros(1), np.zeros(1)), "at least 2"),
            ((np.zeros((2, 2)), np.zeros((2, 2))), "one shape"),
            (([0, np.nan], [0, 0]), "finite"),
            (([0, 1], [0, np.inf]), "finite"),
            (([0, 1], [0, 1], 0.0), r"in \(0, 1\]"),
            (([0, 1], [0, 1], 1.5), r"in \(0, 1\]"),
        ],
    )
    def test_errors(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            shakes.Shake(*arguments)


class TestRandomShakes:
    def test_the_paths_are_those_of_the_kernels(self):
        drawn = shakes.random_shakes(4, seed=8, rotation=0.0)
        kernels = exposures.random_psfs(4, seed=8)
        for shake, kernel in zip(drawn, kernels, strict=True):
            assert shake.exposure in trajectories.SCRIPT_EXPOSURES
            np.testing.assert_allclose(
                exposures.psfs(shake.path, shake.exposure), kernel, atol=1e-7
            )
            assert not shake.angles.any()

    def test_roll_is_within_the_degrees_and_apart_from_the_path(self):
        drawn = shakes.random_shakes(40, seed=1, rotation=2.0, exposure=1.0)
        rolled = np.array([np.abs(np.diff(shake.angles)).sum() for shake in drawn])
        assert (rolled <= 2.0).all()
        assert rolled.max() > 1.8
        assert rolled.mean() == pytest.approx(2 * 2 / np.pi, rel=0.2)  # one axis of two
        signs = [np.sign(shake.angles[-1] * shake.path[-1].real) for shake in drawn]
        assert abs(np.mean(signs)) < 0.5
        double = shakes.random_shakes(40, seed=1, rotation=4.0, exposure=1.0)
        np.testing.assert_allclose(double[3].angles, 2 * drawn[3].angles)
        np.testing.assert_array_equal(double[3].path, drawn[3].path)

    def test_seed_and_lengths(self):
        first, again, other = (shakes.random_shakes(2, seed=seed)[1] for seed in (1, 1, 2))
        np.testing.assert_array_equal(first.path, again.path)
        np.testing.assert_array_equal(first.angles, again.angles)
        assert not np.array_equal(first.angles, other.angles)
        for shake, length in zip(
            shakes.random_shakes(2, 0, 1.0, [10, 50], exposure=1.0), (10, 50), strict=True
        ):
            assert np.abs(np.diff(shake.path)).sum() == pytest.approx(length)
            assert np.abs(np.diff(shake.angles)).sum() <= 1

    @pytest.mark.parametrize("rotation", [-1, np.nan, np.inf])
    def test_errors(self, rotation):
        with pytest.raises(ValueError, match="rotation must be a number of degrees"):
            shakes.random_shakes(1, rotation=rotation)


class TestRandomPsfGrids:
    def test_neighbours_are_alike_but_not_the_same(self):
        grids = shakes.random_psf_grids(5, seed=3, sides=3, exposure=1.0)
        assert grids.shape == (5, 3, 3, 64, 64)
        np.testing.assert_allclose(grids.sum(axis=(3, 4)), 1, atol=1e-5)
        flat = grids.reshape(5, 9, -1)
        assert all(len({node.tobytes() for node in grid}) == 9 for grid in flat)

        def extent(kernel):  # mean square distance from the middle
            rows, columns = np.indices((64, 64)) - 32
            return (kernel.reshape(64, 64) * (rows**2 + columns**2)).sum()

        sizes = np.array([[extent(node) for node in grid] for grid in flat])
        assert sizes.std(axis=1).mean() < sizes.mean()

    def test_one_node_is_one_kernel(self):
        grids = shakes.random_psf_grids(3, seed=4, sides=1)
        np.testing.assert_array_equal(grids[:, 0, 0], exposures.random_psfs(3, seed=4))

    def test_seed(self):
        first, again, other = (shakes.random_psf_grids(1, seed=seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_errors(self):
        with pytest.raises(ValueError, match="sides must be at least 1"):
            shakes.random_psf_grids(1, sides=0)

"""Draws blur that differs over the picture: a camera that rolls, or a grid of kernels.

`trajectories` draws the paths, `exposures` makes kernels of them, `camera` applies what is drawn
here. Users find both in `blur`.
"""

import dataclasses
import functools
import math

import numpy as np

from deblur_keras.exposures import light_of_points, psfs
from deblur_keras.trajectories import PATHS, draw_paths, draw_script, random_trajectories

# A pixel between two samples of a shake, or less where they are few: the difference from thousands
# of samples is then within the rounding to 8 bits (0.3 grey levels, root mean square).
_SPACING, _FINEST, _FEW = 1.0, 0.25, 16
# Share of a grid's path that differs from node to node. A camera that moves smoothly moves nearly
# the same everywhere, up to perspective, roll and depth.
_OWN = {"shake": 0.5, "smooth": 0.25}


@dataclasses.dataclass(frozen=True, eq=False)
class Shake:
    """Holds how a camera moves and rolls in its own plane while the shutter is open.

    A point of light at `z = x + iy`, seen from the middle of the photograph, is at
    `z * exp(i * angle) + path` at each moment. Both are taken relative to their mean over the
    exposure, so that a blurred photograph neither moves nor turns against the sharp one.

    Args:
        path: complex array (T,), pixels, as of `random_trajectories`.
        angles: array (T,), degrees, clockwise as seen.
        exposure: the part of the path, from its start, during which the shutter is open; (0, 1].

    Raises:
        ValueError: shapes that differ, values that are not finite, or an exposure out of range.

    Example:
        >>> shake = Shake(np.linspace(0, 4, 100), np.zeros(100))
        >>> round(shake.reach(radius=500.0))
        2

    Reference:
        Gupta et al., "Single image deblurring using motion density functions", 2010: shifts and
        roll stand for camera shake; Koehler et al., "Recording and playback of camera shake",
        2012, measured that they are nearly all of it.
    """

    path: np.ndarray
    angles: np.ndarray
    exposure: float = 1.0

    def __post_init__(self):
        """Raises ValueError for what is no movement."""
        path, angles = np.asarray(self.path, np.complex128), np.asarray(self.angles, np.float64)
        if path.ndim != 1 or path.shape != angles.shape or len(path) < 2:
            raise ValueError(
                "expected a path and angles of one shape (T,) with T of at least 2, got "
                f"{path.shape} and {angles.shape}"
            )
        if not (np.isfinite(path).all() and np.isfinite(angles).all()):
            raise ValueError("a path and its angles must be finite, got NaN or infinity")
        if not 0 < self.exposure <= 1:
            raise ValueError(f"exposure must be in (0, 1], got {self.exposure}")
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "angles", angles)

    @functools.cached_property
    def _exposed(self):
        """Moments that are exposed: complex positions, angles in radians, shares of the light."""
        light = light_of_points(len(self.path), np.array([self.exposure], np.float64))[0]
        (lit,) = np.nonzero(light)
        share = light[lit] / light.sum()
        path, angles = self.path[lit], np.deg2rad(self.angles[lit])
        return path - share @ path, angles - share @ angles, share

    def reach(self, radius=0.0):
        """Tells how far light is carried from its place at most.

        Args:
            radius: distance from the middle of the photograph, in pixels.

        Returns:
            Pixels, a float.
        """
        path, angles, _ = self._exposed
        return float((np.abs(path) + radius * np.abs(angles)).max())

    def samples(self, radius):
        """Sums up the movement in few positions, at most a pixel apart.

        Args:
            radius: distance from the middle up to which the light matters, in pixels.

        Returns:
            Arrays (N,): complex positions in pixels, angles in radians, shares of the light.
        """
        path, angles, share = self._exposed
        steps = np.abs(np.diff(path)) + radius * np.abs(np.diff(angles))
        way = np.concatenate([[0.0], np.cumsum(steps)])
        count = min(math.ceil(way[-1] / _FINEST), _FEW)
        count = max(math.ceil(way[-1] / _SPACING), count, 1)
        parts = np.minimum((way * (count / max(way[-1], 1e-12))).astype(np.int64), count - 1)
        total = np.bincount(parts, share, count)
        moves = np.bincount(parts, share * path.real, count) + 1j * np.bincount(
            parts, share * path.imag, count
        )
        turns = np.bincount(parts, share * angles, count)
        used = total > 0
        total = total[used]
        return moves[used] / total, turns[used] / total, total

    def psfs(self, points, size=None):
        """Computes the point-spread functions that the shake has at single points.

        Args:
            points: complex array (N,), pixels from the middle of the photograph.
            size: height and width of the kernels in pixels; None takes what holds them all.

        Returns:
            float32 array (N, size, size) that sum to 1, each centred as `psfs` does it.

        Example:
            >>> shake = Shake(np.linspace(0, 4, 100), np.linspace(0, 2, 100))
            >>> kernels = shake.psfs([0, 200j])  # the roll adds 7 pixels 200 below the middle
            >>> [int((kernel.sum(axis=0) > 0).sum()) for kernel in kernels]
            [5, 5]
        """
        points = np.asarray(points, np.complex128)
        if size is None:
            size = 2 * math.ceil(self.reach(np.abs(points).max()) + 1) + 4
        turned = np.exp(1j * np.deg2rad(self.angles)) - 1
        return psfs(points[:, None] * turned + self.path, self.exposure, size)


def random_shakes(
    count,
    seed=None,
    rotation=1.0,
    max_length=60.0,
    iterations=2000,
    intensity=None,
    exposure=None,
):
    """Draws camera shakes that roll: `random_psfs` before it became kernels, and angles besides.

    The angle follows one axis of a trajectory of its own, so that it sways as the path does.

    Args:
        count: number of shakes.
        seed: anything that `numpy.random.default_rng` takes, a `Generator` included. The paths are
            those of `random_psfs` with the same seed.
        rotation: degrees turned over the whole path, forth and back added up, at most.
        max_length: length of each whole path in pixels, a number or one per shake.
        iterations: points of each path.
        intensity: a number or one per shake; None picks each from `SCRIPT_INTENSITIES`.
        exposure: in (0, 1], a number or one per shake; None picks each from `SCRIPT_EXPOSURES`.

    Returns:
        List of `Shake`.

    Raises:
        ValueError: `rotation` is negative or infinite; see also `random_trajectories`.

    Example:
        >>> shake = random_shakes(1, seed=1, rotation=2.0, exposure=1.0)[0]
        >>> bool(0 < np.abs(np.diff(shake.angles)).sum() <= 2)
        True
    """
    if not 0 <= rotation < np.inf:
        raise ValueError(f"rotation must be a number of degrees, not negative; got {rotation}")
    generator = np.random.default_rng(seed)
    intensity, exposure = draw_script(count, generator, intensity, exposure)
    paths = random_trajectories(count, iterations, max_length, intensity, generator)
    # Drawn in pixels, where the shake's constants hold, then scaled to degrees.
    turns = random_trajectories(count, iterations, max_length, intensity, generator)
    angles = turns.real * (rotation / np.broadcast_to(max_length, (count,)))[:, None]
    exposure = np.broadcast_to(exposure, (count,))
    return [Shake(*each) for each in zip(paths, angles, map(float, exposure), strict=True)]


def random_psf_grids(
    count,
    seed=None,
    sides=3,
    size=64,
    max_length=60.0,
    iterations=2000,
    intensity=None,
    exposure=None,
    late=0.0,
    frames=1,
    duty=1.0,
    paths="shake",
):
    """Draws grids of kernels for blur that differs over the picture, as where things move.

    The path of each node is half the camera's, which all share, and half its own, a quarter where
    paths are smooth; the shutter is the same for all.

    Args:
        count: number of grids.
        seed: anything that `numpy.random.default_rng` takes, a `Generator` included.
        sides: nodes along each side of the picture, 1 or more.
        size: height and width of each kernel in pixels.
        max_length: length of each whole path in pixels at most, a number or one per grid.
        iterations: points of each path.
        intensity: as in `random_psfs`, a number or one per grid.
        exposure: as in `random_psfs`, a number or one per grid.
        late: see `psfs`; a number or one per grid, as the next two.
        frames: see `psfs`.
        duty: see `psfs`.
        paths: as in `random_psfs`.

    Returns:
        float32 array (count, sides, sides, size, size); each kernel sums to 1, centred as `PATHS`
        says but for `late`.

    Raises:
        ValueError: `sides` is below 1; see also `random_trajectories` and `psfs`.

    Example:
        >>> random_psf_grids(2, seed=1, sides=3, size=32, max_length=20.0).shape
        (2, 3, 3, 32, 32)
    """
    if sides < 1:
        raise ValueError(f"sides must be at least 1 node, got {sides}")
    generator = np.random.default_rng(seed)
    intensity, exposure = draw_script(count, generator, intensity, exposure, paths)
    drawn = draw_paths(paths, count, iterations, max_length, intensity, generator)
    if sides == 1:
        kernels = psfs(drawn, exposure, size, PATHS[paths], late=late, frames=frames, duty=duty)
        return kernels[:, None, None]
    intensity, exposure, length, late, frames, duty = (
        np.repeat(np.broadcast_to(value, (count,)), sides**2)
        for value in (intensity, exposure, max_length, late, frames, duty)
    )
    own = draw_paths(paths, count * sides**2, iterations, length, intensity, generator)
    drawn = (1 - _OWN[paths]) * drawn.repeat(sides**2, axis=0) + _OWN[paths] * own
    kernels = psfs(drawn, exposure, size, PATHS[paths], late=late, frames=frames, duty=duty)
    return kernels.reshape(count, sides, sides, size, size)

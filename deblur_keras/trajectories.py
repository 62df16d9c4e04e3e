"""Random trajectories: how a camera or a thing moves while the shutter is open.

`random_trajectories` draws how a camera shakes, `smooth_trajectories` how it moves in a moment.
`exposures` makes point-spread functions of them; users find both in `blur`.
"""

import numpy as np

EXPOSURES = (0.01, 0.1, 0.5, 1.0)
"""The parts of a trajectory that the authors of DeblurGAN expose, shortest first."""

SCRIPT_EXPOSURES = EXPOSURES[1:]
"""The exposures that the authors' script picks from; it leaves out the shortest, hardly a blur."""

SCRIPT_INTENSITIES = (0.01, 0.009, 0.008, 0.007, 0.005, 0.003)
"""The intensities that the authors' script picks from."""

PATHS = {"shake": "centroid", "smooth": "middle"}
"""The kinds of paths, and how their kernels are centred: a path of inertia says where it was."""


def random_trajectories(count, iterations=2000, max_length=60.0, intensity=None, seed=None):
    """Draws random camera shakes: paths of constant speed and an exact total length.

    At each step the direction is disturbed by Gaussian noise, by a pull back to where the path
    began, and, rarely, by a jump that nearly reverses it.

    Args:
        count: number of trajectories.
        iterations: points of each trajectory, at least 2; also the time resolution of `psfs`.
        max_length: length of each path in pixels, a number or one per trajectory.
        intensity: how strong the disturbances are, in [0, 1]: 0 is a straight line, 0.0005
            has a bend, 0.003 to 0.01 are knots, a third to a quarter as wide as they are long, 0.1
            little more than a dot; a number or one per trajectory. None draws each from U(0, 0.1).
        seed: anything that `numpy.random.default_rng` takes, a `Generator` included.

    Returns:
        complex128 array (count, iterations): x + iy in pixels, from 0; `psfs` moves it.

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> paths = random_trajectories(3, max_length=60.0, seed=1)
        >>> np.abs(np.diff(paths)).sum(axis=1).round(9).tolist()
        [60.0, 60.0, 60.0]

    Reference:
        Boracchi and Foi, "Modeling the performance of image restoration from motion blur", 2012;
        Kupyn et al., "DeblurGAN", 2018, section 4, Algorithm 1.

    Note:
        Follows the authors' code, which differs from their Algorithm 1: the noise's strength is
        from U(0, 10) (printed: 0.7), the pull is `-x` (printed: `+x`), and the first velocity is
        scaled by the intensity.
    """
    length = _lengths(count, iterations, max_length)
    shake = _draw_shake(count, iterations, intensity, np.random.default_rng(seed))
    return _follow_shake(shake, length)


def smooth_trajectories(count, iterations=2000, max_length=60.0, seed=None):
    """Draws how a camera or a thing moves in a moment: with inertia, as in the pairs of GoPro.

    Position is a polynomial of the third degree in time. Where velocity prevails the path is a
    line, where acceleration does a bow that is slow at its turn, or a way there and back.

    Args:
        count: number of trajectories.
        iterations: points of each trajectory, at least 2; also the time resolution of `psfs`.
        max_length: length of each path in pixels, a number or one per trajectory.
        seed: anything that `numpy.random.default_rng` takes, a `Generator` included.

    Returns:
        complex128 array (count, iterations): x + iy in pixels, equally far apart in time, but not
        in space.

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> path = smooth_trajectories(1, max_length=60.0, seed=1)[0]
        >>> float(np.abs(np.diff(path)).sum().round(9))
        60.0
    """
    length = _lengths(count, iterations, max_length)
    generator = np.random.default_rng(seed)
    drawn = generator.standard_normal((count, 3, 2)).view(np.complex128)
    # Up to as much acceleration as velocity at the ends, and half of that by a change of it.
    drawn[:, 1:, 0] *= generator.uniform(0, 1, (count, 2)) * (1.0, 0.5)
    time = np.linspace(-1, 1, iterations)
    paths = drawn[..., 0] @ time ** np.arange(1, 4)[:, None]
    way = np.abs(np.diff(paths)).sum(axis=1)
    return paths * (length / way)[:, None]


def draw_paths(kind, count, iterations, max_length, intensity, generator):
    """Draws trajectories of one of the kinds of `PATHS`; `intensity` is of "shake" alone."""
    if kind == "smooth":
        return smooth_trajectories(count, iterations, max_length, generator)
    return random_trajectories(count, iterations, max_length, intensity, generator)


def draw_script(count, generator, intensity=None, exposure=None, paths="shake"):
    """Draws what the script of DeblurGAN's authors picks for each kernel, where it is not given.

    Args:
        count: number of kernels.
        generator: `numpy.random.Generator`.
        intensity: what is given; None picks each from `SCRIPT_INTENSITIES`.
        exposure: the same; None picks each from `SCRIPT_EXPOSURES`.
        paths: one of `PATHS`; the script's are of "shake", and "smooth" is exposed as a whole.

    Returns:
        (intensity, exposure), each as given or an array (count,); of "smooth" (None, 1.0) where
        nothing is given.

    Example:
        >>> draw_script(2, np.random.default_rng(0), intensity=0.0, exposure=1.0)
        (0.0, 1.0)
    """
    if not isinstance(count, int | np.integer) or count < 1:
        raise ValueError(f"count must be a whole number of kernels, at least 1; got {count!r}")
    check_paths(paths, intensity)
    if paths == "smooth":
        return None, 1.0 if exposure is None else exposure
    if intensity is None:
        intensity = generator.choice(SCRIPT_INTENSITIES, count)
    if exposure is None:
        exposure = generator.choice(SCRIPT_EXPOSURES, count)
    return intensity, exposure


def check_paths(paths, intensity=None):
    """Raises a ValueError unless it is one of `PATHS`, and intensity, where given, is of it."""
    if paths not in PATHS:
        raise ValueError(f"paths must be one of {', '.join(PATHS)}; got {paths!r}")
    if paths == "smooth" and intensity is not None:
        raise ValueError(f'intensity is of paths="shake" alone, got {intensity}')


def _draw_shake(count, iterations, intensity, generator):
    """Draws all random numbers of `count` trajectories, which another implementation can follow."""
    if intensity is None:
        intensity = 0.1 * generator.random(count)
    intensity = one_each(intensity, count, "intensity")
    if not ((intensity >= 0) & (intensity <= 1)).all():
        raise ValueError(f"intensity must be in [0, 1], got {intensity}")
    steps = iterations - 1
    return {
        "intensity": intensity,
        "pull": 0.7 * generator.random(count),
        "jump_probability": 0.2 * generator.random(count),
        "gaussian": 10 * generator.random(count),
        "angle": 360 * generator.random(count),  # degrees
        "jump_trial": generator.random((steps, count)),
        "jump_turn": generator.random((steps, count)),
        "noise": generator.standard_normal((steps, count, 2)).view(np.complex128)[..., 0],
    }


def _follow_shake(shake, length):
    """Moves all points through time together: (count, iterations) complex paths from 0."""
    intensity = shake["intensity"]
    steps, count = shake["noise"].shape
    step = length / steps  # pixels travelled between two points, always
    push = (intensity * shake["gaussian"] * step) * shake["noise"]
    pull = intensity * shake["pull"] * step
    factor = np.ones((steps, count), np.complex128)
    jumps = np.nonzero(shake["jump_trial"] < shake["jump_probability"] * intensity)
    factor[jumps] += 2 * np.exp(1j * (np.pi + shake["jump_turn"][jumps] - 0.5))

    # The first velocity counts by its direction, and by its weight against the first disturbances.
    speed = np.where(intensity > 1e-100, intensity, step)  # less could not be scaled to a step
    velocity = np.exp(1j * np.deg2rad(shake["angle"])) * speed
    paths = np.zeros((steps + 1, count), np.complex128)
    for time in range(steps):
        here = paths[time]
        velocity *= factor[time]
        velocity += push[time]
        velocity -= pull * here
        velocity *= step / np.abs(velocity)
        np.add(here, velocity, out=paths[time + 1])
    return np.ascontiguousarray(paths.T)


def _lengths(count, iterations, max_length):
    """Lengths of paths, (count,), checked, as are the numbers of paths and points."""
    if count < 1 or iterations < 2:
        raise ValueError(
            f"expected count >= 1 and iterations >= 2, got count={count}, iterations={iterations}"
        )
    length = one_each(max_length, count, "max_length")
    if not (np.isfinite(length).all() and (length > 0).all()):
        raise ValueError(f"max_length must be positive and finite (pixels), got {max_length}")
    return length


def one_each(value, count, name):
    """Returns a number or one per trajectory as a float64 array (count,), checked."""
    value = np.asarray(value, np.float64)
    if value.shape not in ((), (1,), (count,)):
        raise ValueError(f"{name} must be a number or {count} of them, got shape {value.shape}")
    return np.broadcast_to(value, (count,))

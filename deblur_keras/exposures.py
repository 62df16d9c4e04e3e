"""Point-spread functions: what a shutter makes of trajectories.

`psfs` exposes a point of light along a path of `trajectories`, and `random_psfs` draws the path as
well. Users find them in `blur`, beside what blurs a photograph with the result.
"""

import numpy as np

from deblur_keras.trajectories import PATHS, draw_paths, draw_script, one_each


def psfs(
    trajectories,
    exposure=1.0,
    size=64,
    centering="centroid",
    normalize=True,
    late=0.0,
    frames=1,
    duty=1.0,
):
    """Exposes a point of light along trajectories, giving their point-spread functions.

    Each point of a path sheds its share of the light on the four pixels around it, with bilinear
    (triangle) weights. An exposure is the part of the path, from its start, during which the
    shutter is open; a longer one contains a shorter.

    Args:
        trajectories: complex array, (count, iterations), or (iterations,) for a single one, pixels.
        exposure: in (0, 1]; a number, or (count,) one per trajectory, or two-dimensional
            (1, E) or (count, E) for E exposures of each trajectory.
        size: height and width of the kernels in pixels. 1 + 2 |late| times the length of the path,
            + 4, always fits paths of constant speed around their centroid, twice the length, + 4,
            those around their middle.
        centering: "centroid" puts each kernel's centroid exactly on pixel (size // 2, size // 2),
            so that a blurred photograph does not move against the sharp one. "bounding-box" puts
            the whole path's bounding box in the middle, to whole pixels, as the authors' code
            does; short exposures are then off centre. "middle" puts there what was on it in the
            middle of the exposure, as a video's middle frame is the sharp side of its mean: of a
            way there and back that is the turn.
        normalize: True makes each kernel sum to 1. False leaves the light received, which is the
            exposure times the duty, but 1 - 1/iterations for the full one: the first point carries
            no time.
        late: part of the exposure, a number or one per trajectory in [-0.5, 0.5], by which the
            sharp photograph is taken after the middle of the blurred one; the centroid lies off
            the middle by what the path moves in that time. 0.0625 is half a frame where eight are
            averaged, as in some of GoPro's pairs. Not for "bounding-box".
        frames: in how many equal parts the exposure falls, a whole number or one per trajectory:
            the frames of a video whose mean the blurred photograph is.
        duty: part of each frame's time, in its middle, in which the shutter is open, in (0, 1]; a
            number or one per trajectory. In the sun a camera of 240 frames a second has 0.1 or
            less, and a mean of its frames shows what moves quickly as a row of copies.

    Returns:
        float32 array (count, size, size), or (count, E, size, size) for two-dimensional
        exposures, without the first axis for a single trajectory. Rows are y, columns x.

    Raises:
        ValueError: an argument out of range or of a shape that does not fit, or a path that
            leaves the canvas (the message names a size that holds it).

    Example:
        >>> from deblur_keras.blur import EXPOSURES, random_trajectories
        >>> paths = random_trajectories(5, seed=1)
        >>> psfs(paths, exposure=0.5).shape
        (5, 64, 64)
        >>> psfs(paths, exposure=[EXPOSURES]).shape
        (5, 4, 64, 64)

    Reference:
        Kupyn et al., "DeblurGAN", 2018, section 4. For means of frames, Nah et al., "Deep
        Multi-scale Convolutional Neural Network for Dynamic Scene Deblurring", section 2.

    Note:
        `psfs(paths, [EXPOSURES], centering="bounding-box", normalize=False)` are the kernels of
        the authors' code, which neither centres nor normalises them.
    """
    paths = np.asarray(trajectories, np.complex128)
    if paths.ndim not in (1, 2) or paths.shape[-1] < 2:
        raise ValueError(
            "trajectories must be complex (count, iterations) or (iterations,) with at least 2 "
            f"points, got shape {paths.shape}"
        )
    if not np.isfinite(paths).all():
        raise ValueError("trajectories must be finite, got NaN or infinity")
    if centering not in ("centroid", "middle", "bounding-box"):
        raise ValueError(
            f'centering must be "centroid", "middle" or "bounding-box", got {centering!r}'
        )
    if size < 2:
        raise ValueError(f"size must be at least 2 pixels, got {size}")
    late = np.asarray(late)
    if (
        late.dtype.kind not in "fiu"
        or not (np.abs(late) <= 0.5).all()
        or (centering == "bounding-box" and late.any())
    ):
        raise ValueError(
            f'late must be in [-0.5, 0.5], and needs another centering than "bounding-box"; got '
            f"{late}"
        )
    frames, duty = np.asarray(frames), np.asarray(duty)
    if frames.dtype.kind not in "iu" or not (frames >= 1).all():
        raise ValueError(f"frames must be a whole number, at least 1; got {frames}")
    if duty.dtype.kind not in "fiu" or not ((duty > 0) & (duty <= 1)).all():
        raise ValueError(f"duty must be in (0, 1]; got {duty}")
    single = paths.ndim == 1
    paths = np.atleast_2d(paths)
    count, iterations = paths.shape
    parts = _exposures(exposure, count)
    late, frames, duty = (
        one_each(value, count, name)
        for name, value in (("late", late), ("frames", frames), ("duty", duty))
    )
    kernels = np.empty((*parts.shape, size, size), np.float32)
    group = max(1, 2**15 // iterations)  # so that temporary arrays stay in the processor's cache
    for start in range(0, count, group):
        chosen = slice(start, start + group)
        for index in range(parts.shape[1]):
            part = parts[chosen, index]
            light = light_of_points(iterations, part, frames[chosen], duty[chosen])
            kernels[chosen, index] = _expose(
                paths[chosen], light, part, size, centering, normalize, late[chosen]
            )
    if np.ndim(exposure) < 2:
        kernels = kernels[:, 0]
    return kernels[0] if single else kernels


def random_psfs(
    count,
    seed=None,
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
    """Draws point-spread functions with the settings of the script of DeblurGAN's authors.

    Draw many at once: a hundred together cost little more than one.

    Args:
        count: number of kernels.
        seed: anything that `numpy.random.default_rng` takes, a `Generator` included.
        size: height and width in pixels.
        max_length: length of each whole path in pixels, a number or one per kernel.
        iterations: points of each path.
        intensity: a number or one per kernel; None picks each from `SCRIPT_INTENSITIES`. Of
            "shake" alone.
        exposure: in (0, 1], a number or one per kernel; None picks each from `SCRIPT_EXPOSURES`
            for "shake", and is 1 for "smooth".
        late: see `psfs`; a number or one per kernel, as the next two.
        frames: see `psfs`.
        duty: see `psfs`.
        paths: one of `PATHS`: "shake" as `random_trajectories` draws, or "smooth" as
            `smooth_trajectories` does.

    Returns:
        float32 array (count, size, size); each kernel sums to 1, centred as `PATHS` says but for
        `late`.

    Raises:
        ValueError: see `random_trajectories` and `psfs`.

    Example:
        >>> random_psfs(2, seed=1).sum(axis=(1, 2)).round(5).tolist()
        [1.0, 1.0]

    Reference:
        Kupyn et al., "DeblurGAN", 2018, section 4, and the script of the published code.
    """
    generator = np.random.default_rng(seed)
    intensity, exposure = draw_script(count, generator, intensity, exposure, paths)
    drawn = draw_paths(paths, count, iterations, max_length, intensity, generator)
    return psfs(drawn, exposure, size, PATHS[paths], late=late, frames=frames, duty=duty)


def _position(paths, moments):
    """Where paths (count, points) are at moments (count,), counted in points from the first."""
    below = np.clip(moments.astype(np.int64), 0, paths.shape[1] - 2)
    each = np.arange(len(paths))
    start, end = paths[each, below], paths[each, below + 1]
    return start + (moments - below) * (end - start)


def _exposures(exposure, count):
    """Exposures as an array (count, E), checked."""
    parts = np.asarray(exposure, np.float64)
    if not ((parts > 0) & (parts <= 1)).all():
        raise ValueError(f"exposure must be in (0, 1], got {exposure}")
    if parts.ndim == 2 and parts.shape[0] in (1, count) and parts.shape[1]:
        return np.broadcast_to(parts, (count, parts.shape[1]))
    if parts.ndim == 0 or parts.shape == (count,):
        return np.broadcast_to(parts, (count,))[:, None]
    raise ValueError(
        f"exposure must be a number, ({count},) one per trajectory, or (1, E) or ({count}, E) for "
        f"several exposures of each; got shape {parts.shape}"
    )


def light_of_points(iterations, part, frames=1, duty=1.0):
    """Finds the light that points of paths shed.

    Args:
        iterations: points of each path.
        part: exposures, float array (count,), one per path.
        frames: see `psfs`; 1, or an array (count,), as the next.
        duty: see `psfs`.

    Returns:
        float64 array (count, points lit at the most), of 1 for a point that is lit all its time.

    Raises:
        ValueError: a path gets no light at all.
    """
    # Point t stands for the time from t-1 to t; what of that lies in the exposure is its light.
    ends = np.arange(min(int(np.ceil(part.max() * iterations)) + 1, iterations))
    light = np.clip(part[:, None] * iterations - ends + 1, 0, 1)
    light[:, 0] = 0
    if np.any(duty < 1):
        length = (part * iterations / frames)[:, None]  # of a frame, in points
        beside = np.abs((ends - 0.5) % length - length / 2)  # from a frame's middle
        width = duty[:, None] * length  # of the opening, which may be less than a point's time
        light *= np.clip((width + 1) / 2 - beside, 0, np.minimum(width, 1))
    if not light.any(axis=1).all():
        raise ValueError(f"exposure and duty let in no light at all; got {part} and {duty}")
    return light


def _expose(paths, light, part, size, centering, normalize, late):
    """Kernels of a group: paths (count, iterations), one part each -> (count, size, size)."""
    count, iterations = paths.shape
    if centering == "bounding-box":
        paths = _shifted_to_middle(paths, size)
    paths = paths[:, : light.shape[1]]  # the rest is in the dark
    if centering != "bounding-box":
        middle, lit = part * iterations / 2, part * iterations
        if centering == "middle":
            still = _position(paths, middle + late * lit)
        else:
            still = np.einsum("ct,ct->c", light, paths) / light.sum(axis=1)
            if late.any():
                still = still + _position(paths, middle + late * lit) - _position(paths, middle)
        paths = paths + ((1 + 1j) * (size // 2) - still)[:, None]
    x, y = np.ascontiguousarray(paths.real), np.ascontiguousarray(paths.imag)
    dark = light == 0
    x[dark] = y[dark] = size // 2  # anywhere on the canvas
    lowest, highest = min(x.min(), y.min()), max(x.max(), y.max())
    if lowest < 0 or highest > size - 1:
        reach = max(size // 2 - lowest, highest - size // 2)
        raise ValueError(
            f"a trajectory leaves the canvas of {size}x{size} pixels; use "
            f"size={int(np.ceil(2 * reach)) + 4} or more, or a smaller max_length"
        )
    # A point on the last pixel itself belongs to the cell before it, with weights 0 and 1.
    column, row = (np.minimum(at.astype(np.int64), size - 2) for at in (x, y))
    right, down = x - column, y - row
    corner = row * size + column + np.arange(count)[:, None] * size**2
    below = light * down
    above = light - below
    weights = np.stack((above - above * right, above * right, below - below * right, below * right))
    pixels = np.stack((corner, corner + 1, corner + size, corner + size + 1))
    kernels = np.bincount(pixels.ravel(), weights.ravel(), count * size**2)
    kernels = kernels.reshape(count, size, size)
    return kernels / (kernels.sum(axis=(1, 2), keepdims=True) if normalize else iterations)


def _shifted_to_middle(paths, size):
    """The authors' shift: bounding box to the middle, in whole pixels from the first point."""

    def shifted(at):
        at = at - at.min(axis=-1, keepdims=True)
        at = at - at[..., :1] % 1 + 1
        return at + np.ceil((size - at.max(axis=-1, keepdims=True)) / 2)

    return shifted(paths.real) + 1j * shifted(paths.imag)

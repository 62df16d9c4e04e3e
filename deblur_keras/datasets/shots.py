"""What `simulated.synthetic` draws for a visit: motions of camera and things, and effects."""

import functools
import math
import numbers
import threading

import cv2
import numpy as np

from deblur_keras import blur
from deblur_keras.datasets import streams
from deblur_keras.trajectories import check_paths

# Drawing one trajectory takes as many steps as drawing a hundred, so they are drawn in banks.
_BANK = 128
# Keep their random numbers apart from each other and from `streams`.
_KERNELS, _THINGS, _VIDEO = 3, 7, 11
_BLOCK = 16  # pixels that a JPEG block covers where colour has half the resolution


class Motions:
    """Makes the motion of the n-th visit, in banks, of which it keeps the latest few.

    Args:
        seed: Non-negative integer.
        rotation: Degrees of `blur.random_shakes`; 0 for kernels.
        grid: Kernels a side of `blur.random_psf_grids`; 1 for one kernel.
        kernel_size: Side of the kernels in pixels.
        max_length: Length of the paths in pixels, or (low, high) to draw each from, as often
            between 5 and 10 as between 10 and 20.
        intensity: How crooked the paths are, as `blur.random_trajectories` takes it, or (low, high)
            to draw each from; None for the authors' (`blur.SCRIPT_INTENSITIES`).
        late: How much after the middle of the blurred side the sharp one is, as `blur.psfs` takes
            it, or (low, high) to draw each from; not with a rotation.
        frames: How many frames are averaged, as `blur.psfs` takes it, or (low, high) to draw it;
            for things and camera alike, as is the next.
        duty: Part of each frame's time in which the shutter is open, or (low, high).
        paths: Kind of the paths, one of `blur.PATHS`.
        things: Whether they are motions of things, which are others than the camera's.

    Raises:
        ValueError: A rotation together with a grid, `late`, frames or smooth paths, or one out of
            range.

    Example:
        >>> Motions(seed=0, rotation=0.0, grid=3, kernel_size=32, max_length=20.0)[5].shape
        (3, 3, 32, 32)
    """

    def __init__(
        self,
        seed,
        rotation,
        grid,
        kernel_size,
        max_length,
        intensity=None,
        late=0.0,
        frames=1,
        duty=1.0,
        paths="shake",
        things=False,
    ):
        if not 0 <= rotation <= 45 or grid < 1 or grid % 1 or (rotation and grid > 1):
            raise ValueError(
                "rotation must be 0 to 45 degrees and grid a whole number of kernels a side, at "
                f"least 1, not both of them; got rotation={rotation}, grid={grid}"
            )
        check_paths(paths, intensity)
        draw, kind = blur.random_psfs, {"size": kernel_size, "paths": paths}
        if rotation:
            draw, kind = blur.random_shakes, {"rotation": rotation}
        elif grid > 1:
            draw, kind = blur.random_psf_grids, {**kind, "sides": grid}
        self._size = max(_BANK // grid**2, 1)
        self._lock = threading.Lock()
        self._lengths = low_high("max_length", max_length, 1e-3)
        self._ranges = {}
        if intensity is not None:
            self._ranges["intensity"] = low_high("intensity", intensity, 0, 1)
        latest = low_high("late", late, 0, 0.5)
        if latest[1]:
            self._ranges["late"] = latest
        frames, duty = low_high("frames", frames, 1, whole=True), low_high("duty", duty, 1e-3, 1)
        video = frames[1] > 1 or duty[0] < 1
        for wrong, expected in (
            (latest[1], f"late must be 0 where the camera rolls, got {late}"),
            (paths != "shake", f'paths must be "shake" where the camera rolls, got {paths!r}'),
            (
                video,
                f"frames must be 1, and duty too, where the camera rolls; got {frames}, {duty}",
            ),
        ):
            if rotation and wrong:
                raise ValueError(expected)

        def bank(number):
            generator = np.random.default_rng([_THINGS if things else _KERNELS, seed, number])
            path = {"max_length": self._drawn_lengths(generator)}
            for name, ends in self._ranges.items():
                path[name] = generator.uniform(*ends, self._size)
            if video:
                visits = range(number * self._size, (number + 1) * self._size)
                draws = [np.random.default_rng([_VIDEO, seed, visit]) for visit in visits]
                path["frames"] = [draw.integers(*frames, endpoint=True) for draw in draws]
                path["duty"] = [draw.uniform(*duty) for draw in draws]
            return draw(self._size, seed=generator, **path, **kind)

        self._bank = functools.lru_cache(maxsize=3)(bank)

    def _drawn_lengths(self, generator):
        """Draws the lengths of a bank."""
        low, high = self._lengths
        if low == high:
            return low  # without a random number, so that such a stream never changes
        return np.exp(generator.uniform(np.log(low), np.log(high), self._size))

    def __getitem__(self, number):
        """Returns the kernel, grid of kernels or `Shake` of a visit."""
        with self._lock:  # so that two workers do not make the same bank
            return self._bank(number // self._size)[number % self._size]


def kernel_side(given, max_length, late, paths="shake"):
    """Finds how large kernels have to be for every path that may be drawn.

    Args:
        given: Side in pixels that was asked for; None for 64, or more where paths need it.
        max_length: As `Motions` takes it.
        late: As `Motions` takes it.
        paths: As `Motions` takes it.

    Returns:
        Side in pixels, an even number if none was asked for.

    Raises:
        ValueError: One is out of range, or the side too small.

    Example:
        >>> kernel_side(None, 60.0, 0.0), kernel_side(None, (6.0, 120.0), 0.0625)
        (64, 140)
    """
    _, longest = low_high("max_length", max_length, 1e-3)
    _, latest = low_high("late", late, 0, 0.5)
    # A path of constant speed reaches half of its length from its centroid at the most; of any
    # other all of it may lie on one side of its middle.
    reach = 1 + 2 * latest if paths == "shake" else 2
    least = math.ceil(reach * longest) + 4
    if given is None:
        return max(64, least + least % 2)
    if not isinstance(given, int | np.integer) or given < least:
        raise ValueError(
            f"kernel_size must be a whole number of pixels, at least {least} for paths of "
            f"{longest:g} px, or None to choose it; got {given!r}"
        )
    return given


class Effects:
    """Draws what else the camera does at a visit: keyword arguments of `blur.motion_blur`.

    What is off draws no random number, so that a stream without it never changes.

    Args:
        noise: A number or (low, high), as all below; `simulated.synthetic` describes them.
        highlights: At least 1, which is off.
        shot_noise: 0 is off.
        read_noise: 0 is off.
        jpeg: Whole numbers, or None for off.

    Raises:
        ValueError: One is out of range.

    Example:
        >>> Effects(2.0, 1.0, 0.0, 0.0, (80, 80)).draw(np.random.default_rng(0))
        {'noise': 2.0, 'jpeg': 80}
    """

    def __init__(self, noise, highlights, shot_noise, read_noise, jpeg):
        self._ranges = {"noise": low_high("noise", noise, 0)}  # drawn even where it is 0
        for name, value, off in (
            ("highlights", highlights, 1),
            ("shot_noise", shot_noise, 0),
            ("read_noise", read_noise, 0),
        ):
            low, high = low_high(name, value, off)
            if high > off:
                self._ranges[name] = low, high
        self._qualities = None
        if jpeg is not None:
            self._qualities = low_high("jpeg", jpeg, 1, 100, whole=True)

    def draw(self, generator):
        """Draws the values of one visit."""
        drawn = {name: generator.uniform(*ends) for name, ends in self._ranges.items()}
        if self._qualities:
            drawn["jpeg"] = int(generator.integers(*self._qualities, endpoint=True))
        return drawn


def draw_mask(generator, height, width):
    """Draws the outline of a thing: a polygon of 5 to 12 corners with a soft edge.

    Args:
        generator: `numpy.random.Generator`.
        height: Of the picture in pixels.
        width: The same.

    Returns:
        float32 array (height, width) in [0, 1]. The thing's middle lies within the picture, and it
        is a fifth to seven tenths as large.

    Example:
        >>> mask = draw_mask(np.random.default_rng(0), 40, 60)
        >>> mask.shape, bool(0.02 < mask.mean() < 0.6)
        ((40, 60), True)
    """
    corners = int(generator.integers(5, 12, endpoint=True))
    angles = np.sort(generator.uniform(0, 2 * np.pi, corners))
    size = generator.uniform(0.1, 0.35) * min(height, width)
    radius = size * generator.uniform(0.4, 1.0, corners)
    stretch = generator.uniform(0.5, 2.0)
    middle = generator.uniform(0.2, 0.8, 2) * (width, height)
    points = middle + np.stack([np.cos(angles), stretch * np.sin(angles)], axis=1) * radius[:, None]
    mask = np.zeros((height, width), np.float32)
    cv2.fillPoly(mask, [np.rint(points).astype(np.int32)], 1.0)
    return np.clip(cv2.GaussianBlur(mask, (0, 0), generator.uniform(0.6, 1.5)), 0, 1)


def defocused(generator, image):
    """Puts part of a picture, or all of it, out of focus, as by a wide aperture.

    Args:
        generator: `numpy.random.Generator`.
        image: uint8 (H, W, 3).

    Returns:
        uint8 array of the shape of `image`: its light under a disc of a radius of 1 to 12 pixels,
        up to a line at random that it crosses gently, or everywhere.

    Example:
        >>> image = np.zeros((40, 40, 3), np.uint8)
        >>> image[::2] = 255
        >>> bool(np.ptp(defocused(np.random.default_rng(0), image)[10:30]) < 255)
        True
    """
    radius = float(np.exp(generator.uniform(0.0, np.log(12.0))))
    reach = int(np.ceil(radius))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1)
    soft = blur.motion_blur(image, disc)
    if generator.random() < 0.3:
        return soft
    height, width = image.shape[:2]
    angle, width_of_edge = generator.uniform(0, 2 * np.pi), generator.uniform(0.02, 0.5)
    y, x = np.mgrid[:height, :width]
    along = (x / width - 0.5) * np.cos(angle) + (y / height - 0.5) * np.sin(angle)
    share = np.clip((along - generator.uniform(-0.3, 0.3)) / width_of_edge, 0, 1)
    return blur.paste(image, soft, share)


def fitted(generator, photograph, shape):
    """Cuts a photograph, or extends it by reflection, to a size: the inside of a thing.

    Args:
        generator: `numpy.random.Generator`, which draws the place.
        photograph: uint8 (H, W, 3).
        shape: (height, width, ...) that is wanted.

    Returns:
        uint8 array (height, width, 3).

    Example:
        >>> picture = np.zeros((30, 50, 3), np.uint8)
        >>> fitted(np.random.default_rng(0), picture, (40, 40, 3)).shape
        (40, 40, 3)
    """
    missing = [max(want - have, 0) for want, have in zip(shape[:2], photograph.shape, strict=False)]
    if any(missing):
        down, right = missing
        photograph = cv2.copyMakeBorder(photograph, 0, down, 0, right, cv2.BORDER_REFLECT)
    room = [have - want for have, want in zip(photograph.shape[:2], shape[:2], strict=True)]
    top, left = (int(place) for place in generator.integers(0, room, endpoint=True))
    return streams.Region(top, left, *shape[:2]).of(photograph)


def grown(region, shape, motion, whole_blocks=False):
    """Grows a region by what blurs into it, as far as the photograph goes.

    Args:
        region: `streams.Region` of the photograph.
        shape: The photograph's shape.
        motion: A kernel, a grid of kernels or a `Shake`.
        whole_blocks: Whether to grow it to whole JPEG blocks, so that they lie as they would in a
            JPEG of the whole photograph.

    Returns:
        `streams.Region`.

    Example:
        >>> grown(streams.Region(100, 100, 32, 32), (200, 200, 3), np.ones((9, 9)))
        Region(top=95, left=95, height=42, width=42)
    """
    if isinstance(motion, blur.Shake):
        middle = np.array(shape[:2]) / 2
        start = np.array([region.top, region.left])
        end = start + np.array([region.height, region.width])
        farthest = np.hypot(*np.maximum(np.abs(start - middle), np.abs(end - middle)))
        margin = int(np.ceil(motion.reach(farthest))) + 2
    else:
        margin = max(motion.shape[-2:]) // 2 + 1
    if not whole_blocks:
        return region.grown(margin, shape)
    wide = region.grown(margin + _BLOCK, shape)
    above, before = wide.top % _BLOCK, wide.left % _BLOCK
    return streams.Region(
        wide.top - above, wide.left - before, wide.height + above, wide.width + before
    )


def check_share(name, value):
    """Raises a ValueError unless the value is a share of the visits."""
    if not isinstance(value, numbers.Real) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a share of the visits, 0 to 1; got {value!r}")


def check_gamma(gamma):
    """Raises a ValueError unless it is an exponent between pixel values and light."""
    if not isinstance(gamma, numbers.Real) or not 0 < gamma < np.inf:
        raise ValueError(f"gamma must be a number above 0, 1 for none; got {gamma!r}")


def low_high(name, value, least, most=np.inf, whole=False):
    """Returns a number or (low, high) as two numbers, checked: in range, and whole if asked for."""
    ends = (value, value) if np.ndim(value) == 0 else tuple(value)
    fits = len(ends) == 2 and all(isinstance(end, numbers.Real) for end in ends)
    if not fits or not (least <= ends[0] <= ends[1] <= most and ends[1] < np.inf):
        upper = f"from {least} to {most}" if most < np.inf else f"of at least {least}"
        raise ValueError(
            f"{name} must be a number {upper}, or (low, high) of such, the lower one first; got "
            f"{value!r}"
        )
    if not whole:
        return ends
    if any(end != int(end) for end in ends):
        raise ValueError(f"{name} must be whole numbers; got {value!r}")
    return tuple(map(int, ends))

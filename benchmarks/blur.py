"""Measures the synthetic blur against plain loops, in the same run: `python benchmarks/blur.py`.

The reference is the algorithm of DeblurGAN's authors, one Python step at a time, as their code has
it. It follows the same random draws as the library, so that the tests compare the two as well.
Ratios are medians over repeats that alternate between the two, since a machine is rarely quiet.
"""

import cmath
import math
import statistics
import time

import numpy as np

from deblur_keras import blur, trajectories


def plain_trajectory(shake, index, max_length=60.0):
    """Follows one shake step by step.

    Args:
        shake: the draws of `trajectories._draw_shake`.
        index: which of its trajectories.
        max_length: length of the path in pixels.

    Returns:
        complex128 array (iterations,), from 0.
    """
    intensity = shake["intensity"][index]
    steps = len(shake["noise"])
    step = max_length / steps
    angle = math.radians(shake["angle"][index])
    velocity = complex(math.cos(angle), math.sin(angle)) * (intensity if intensity > 0 else step)
    path = np.zeros(steps + 1, np.complex128)
    for time_index in range(steps):
        jump = 0
        if shake["jump_trial"][time_index, index] < shake["jump_probability"][index] * intensity:
            turn = math.pi + shake["jump_turn"][time_index, index] - 0.5
            jump = 2 * velocity * cmath.exp(1j * turn)
        noise = shake["gaussian"][index] * shake["noise"][time_index, index]
        pull = shake["pull"][index] * path[time_index]
        velocity += jump + intensity * (noise - pull) * step
        velocity = velocity / abs(velocity) * step
        path[time_index + 1] = path[time_index] + velocity
    return path


def plain_shift(path, size):
    """Puts a path on the canvas as the authors do: (iterations,) complex -> the same, moved."""
    path = path - complex(path.real.min(), path.imag.min())
    path = path - complex(path[0].real % 1, path[0].imag % 1) + complex(1, 1)
    return path + complex(
        math.ceil((size - path.real.max()) / 2), math.ceil((size - path.imag.max()) / 2)
    )


def plain_psfs(path, exposures=blur.EXPOSURES, size=64):
    """Exposes one path, already on the canvas, point by point and exposure by exposure.

    Args:
        path: complex array (iterations,), in pixels.
        exposures: increasing parts of the path.
        size: height and width of the kernels.

    Returns:
        float64 array (E, size, size); sums are the exposures.
    """

    def triangle(distance):
        return max(0.0, 1.0 - abs(distance))

    iterations = len(path)
    light = np.zeros((size, size))
    kernels = []
    previous = 0.0
    for exposure in exposures:
        opens, closes = previous * iterations, exposure * iterations
        for moment in range(iterations):
            if closes >= moment and opens < moment - 1:
                share = 1.0
            elif closes >= moment - 1 and opens < moment - 1:
                share = closes - (moment - 1)
            elif closes >= moment and opens < moment:
                share = moment - opens
            elif closes >= moment - 1 and opens < moment:
                share = closes - opens
            else:
                share = 0.0
            at = path[moment]
            left = min(size - 1, max(1, math.floor(at.real)))
            top = min(size - 1, max(1, math.floor(at.imag)))
            for row in (top, top + 1):
                for column in (left, left + 1):
                    weight = triangle(at.real - column) * triangle(at.imag - row)
                    light[row, column] += share * weight
        kernels.append(light / iterations)
        previous = exposure
    return np.array(kernels)


def plain_pairs(count, seed):
    """Draws `count` trajectories and their four kernels with plain loops: (count, 4, 64, 64)."""
    generator = np.random.default_rng(seed)
    kernels = []
    for _ in range(count):
        shake = trajectories._draw_shake(1, 2000, None, generator)
        kernels.append(plain_psfs(plain_shift(plain_trajectory(shake, 0), 64)))
    return np.array(kernels)


def fast_pairs(count, seed):
    """Draws the same with the library."""
    paths = blur.random_trajectories(count, seed=seed)
    return blur.psfs(paths, [blur.EXPOSURES], centering="bounding-box", normalize=False)


def _seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def compare(counts=(1, 16, 64, 256, 1024), repeats=7, plain_count=2):
    """Times trajectories with their four kernels.

    Returns:
        List of (count, milliseconds each with plain loops, with the library, ratio), medians; a
        ratio is taken within each repeat.
    """
    rows = []
    for count in counts:
        fast_pairs(count, 0)  # warms up memory
        plain, fast = [], []
        for repeat in range(repeats):
            plain.append(_seconds(plain_pairs, plain_count, repeat) / plain_count * 1e3)
            fast.append(_seconds(fast_pairs, count, repeat) / count * 1e3)
        ratio = statistics.median(slow / quick for slow, quick in zip(plain, fast, strict=True))
        rows.append((count, statistics.median(plain), statistics.median(fast), ratio))
    return rows


def photographs(side=300, kernels=16, repeats=5):
    """Times `motion_blur` on crops, against a sum of shifted crops, one for each kernel pixel.

    Returns:
        Milliseconds a crop: (shifted crops, `motion_blur` in levels, `motion_blur` in light).
    """
    generator = np.random.default_rng(0)
    crop = generator.integers(0, 256, (side, side, 3), np.uint8)
    several = blur.random_psfs(kernels, seed=0)

    def shifted(psf):
        reach = psf.shape[0] // 2
        wide = np.pad(crop, ((reach, reach), (reach, reach), (0, 0)), "reflect")
        wide = wide.astype(np.float32)
        total = np.zeros(crop.shape, np.float32)
        for row, column in zip(*np.nonzero(psf), strict=True):
            top, left = 2 * reach - row, 2 * reach - column
            total += psf[row, column] * wide[top : top + side, left : left + side]
        return np.rint(total).astype(np.uint8)

    times = [[], [], []]
    for _ in range(repeats):
        for psf in several:
            times[0].append(_seconds(shifted, psf))
            times[1].append(_seconds(blur.motion_blur, crop, psf, 1.0))
            times[2].append(_seconds(blur.motion_blur, crop, psf, 2.2))
    return [statistics.median(part) * 1e3 for part in times]


def main():
    print("A trajectory of 2000 points with its four kernels, 64x64 (median ms each)")
    print(f"{'at once':>8} {'plain loops':>12} {'deblur_keras':>13} {'ratio':>7}")
    for count, plain, fast, ratio in compare():
        print(f"{count:8d} {plain:12.1f} {fast:13.3f} {ratio:6.0f}x")
    shifted, levels, light = photographs()
    print("\nmotion_blur of a 300x300 RGB crop, kernels as drawn for training (median ms)")
    print(f"shifted crops {shifted:.2f}, gamma 1: {levels:.2f}, gamma 2.2: {light:.2f}")


if __name__ == "__main__":
    main()

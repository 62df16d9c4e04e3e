"""Measures the synthetic blur against plain loops, in the same run: `python benchmarks/blur.py`.

The reference is the algorithm of DeblurGAN's authors, one Python step at a time, as their code has
it. It follows the same random draws as the library, so that the tests compare the two as well.
Ratios are medians over repeats that alternate between the two, since a machine is rarely quiet.

What a camera adds is measured as training does it, on crops of 256x256 with the margin that blurs
into them, on one core, in seconds of that core: crops a second, the share of the plain blur's rate,
and the plain blur's own rate against the target of 60.
"""

import cmath
import math
import statistics
import time

import cv2
import numpy as np

from deblur_keras import blur, camera, trajectories

TARGET = 60  # plainly blurred crops of 256x256 a second and core
KINDS = {
    "plain": {},
    "rotation 1": {"rotation": 1.0},
    "grid 3": {"grid": 3},
    "highlights": {"highlights": 4.0},
    "noise": {"noise": 2.0},
    "sensor noise": {"shot_noise": 0.02, "read_noise": 0.005},
    "JPEG": {"jpeg": 85},
    "rotation and all": {
        "rotation": 1.0,
        "highlights": 4.0,
        "shot_noise": 0.02,
        "read_noise": 0.005,
        "jpeg": 85,
    },
}


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


def draw_crops(options, photograph, count, crop=256):
    """Makes crops one after another as `datasets.synthetic` does, without reading or `tf.data`."""
    from deblur_keras.datasets import shots, streams  # which load TensorFlow

    kind = {"rotation": 0.0, "grid": 1}
    kind.update((name, options[name]) for name in kind if name in options)
    effects = {"noise": 0.0, "highlights": 1.0, "shot_noise": 0.0, "read_noise": 0.0, "jpeg": None}
    effects.update((name, options[name]) for name in effects if name in options)
    motions = shots.Motions(seed=0, kernel_size=64, max_length=60.0, **kind)
    drawn = shots.Effects(**effects)
    generator = np.random.default_rng(0)
    for number in range(count):
        region = streams.draw_region(generator, photograph.shape, crop)
        blocks = effects["jpeg"] is not None
        wide = shots.grown(region, photograph.shape, motions[number], blocks)
        place = (wide.top, wide.left, *photograph.shape[:2])
        values = drawn.draw(generator)
        yield blur.motion_blur(
            wide.of(photograph), motions[number], place=place, seed=generator, **values
        )


def kinds(repeats=5, count=128):
    """Times each kind of blur on one core, the banks of motion included.

    Returns:
        Dictionary {kind: (crops a second of the core's time, share of the plain rate)}, medians.
    """
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (12, 16, 3), np.uint8)
    photograph = cv2.resize(coarse, (1024, 768), interpolation=cv2.INTER_CUBIC)
    grain = generator.integers(-20, 20, photograph.shape)
    photograph = np.clip(photograph + grain, 0, 255).astype(np.uint8)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    rates = {kind: [] for kind in KINDS}
    try:
        for _ in range(repeats):
            for kind, options in KINDS.items():
                next(draw_crops(options, photograph, 1))  # imports what it needs
                start = time.thread_time()
                for _ in draw_crops(options, photograph, count):
                    pass
                rates[kind].append(count / (time.thread_time() - start))
    finally:
        cv2.setNumThreads(threads)
    shares = {
        kind: statistics.median(a / b for a, b in zip(own, rates["plain"], strict=True))
        for kind, own in rates.items()
    }
    return {kind: (statistics.median(own), shares[kind]) for kind, own in rates.items()}


def engines(side=322, kernels=64, repeats=3):
    """Times the convolution of a crop's light against one whole Fourier transform a channel.

    Returns:
        (seconds of the transforms over seconds of `camera.convolve`, largest difference).
    """
    light = np.random.default_rng(0).random((side, side, 3), np.float32)
    several = blur.random_psfs(kernels, seed=0)
    reach, length = 32, cv2.getOptimalDFTSize(side + 64)
    after = length - side - reach

    def transformed(kernel):
        spectrum = cv2.dft(cv2.copyMakeBorder(kernel, 0, length - 64, 0, length - 64, 0))
        result = np.empty_like(light)
        for channel in range(3):
            wide = cv2.copyMakeBorder(
                light[..., channel], reach, after, reach, after, cv2.BORDER_REFLECT_101
            )
            product = cv2.mulSpectrums(cv2.dft(wide), spectrum, 0)
            back = cv2.dft(product, flags=cv2.DFT_INVERSE | cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT)
            result[..., channel] = back[64 : 64 + side, 64 : 64 + side]
        return result

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    ratios, difference = [], 0.0
    try:
        for _ in range(repeats):
            seconds = [0.0, 0.0]
            for kernel in several:
                start = time.thread_time()
                ours = camera.convolve(light, kernel, (reach, reach))
                middle = time.thread_time()
                theirs = transformed(kernel)
                seconds[0] += middle - start
                seconds[1] += time.thread_time() - middle
                difference = max(difference, float(np.abs(ours - theirs).max()))
            ratios.append(seconds[1] / seconds[0])
    finally:
        cv2.setNumThreads(threads)
    return statistics.median(ratios), difference


def main():
    print("A trajectory of 2000 points with its four kernels, 64x64 (median ms each)")
    print(f"{'at once':>8} {'plain loops':>12} {'deblur_keras':>13} {'ratio':>7}")
    for count, plain, fast, ratio in compare():
        print(f"{count:8d} {plain:12.1f} {fast:13.3f} {ratio:6.0f}x")
    shifted, levels, light = photographs()
    print("\nmotion_blur of a 300x300 RGB crop, kernels as drawn for training (median ms)")
    print(f"shifted crops {shifted:.2f}, gamma 1: {levels:.2f}, gamma 2.2: {light:.2f}")
    print("\nCrops of 256x256 on one core, as training draws them (seconds of the core)")
    print(f"{'kind':18}{'crops/s':>9}{'of plain':>10}{'of 60/s':>9}")
    for kind, (rate, share) in kinds().items():
        print(f"{kind:18}{rate:9.0f}{share:9.0%}{rate / TARGET:8.1f}x")
    ratio, difference = engines()
    print(
        f"\nconvolution by whole Fourier transforms takes {ratio:.2f} of the time "
        f"(largest difference in light {difference:.0e})"
    )


if __name__ == "__main__":
    main()

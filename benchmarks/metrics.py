"""Measures the scores of a 720p pair against scikit-image's, in the same run.

    python benchmarks/metrics.py

Both score one pair of uint8 RGB arrays, in the same process and in turn, on one core and on two,
each in a process of its own; what is printed are medians of repeats. Beside the time by the clock
stands the processor's, which counts where images are scored while others are restored: as many
pairs a second as it allows cost nothing but idle time. First calls, which trace a graph, are
reported apart. They happen once, whatever sizes follow: measured last, with the memory, which
must be steady once large and small blocks have found their places.

Target: both scores of a pair, PSNR and SSIM, at least 3 times as fast as scikit-image's; memory
steady.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

import numpy as np
from data import resident

TARGET, PAIR = 3.0, "psnr+ssim"
SIZE = (720, 1280)
CORES = (1, 2)
REPEATS = 15
SIZES = 1000
GROWTH = 0.02  # of the memory, over the second half of the sizes


def photographs(size=SIZE, seed=0):
    """Returns a photograph, mirrored to size, and a noisy copy: uint8 (H, W, 3) each."""
    from skimage import data

    photograph = data.astronaut()
    missing = [(0, max(side - have, 0)) for side, have in zip(size, photograph.shape, strict=False)]
    sharp = np.pad(photograph, [*missing, (0, 0)], mode="reflect")[: size[0], : size[1]]
    noise = np.random.default_rng(seed).normal(0, 12, sharp.shape)
    return sharp, np.clip(sharp + noise, 0, 255).round().astype("uint8")


def references():
    """Returns what scikit-image offers: {name: function of two images}."""
    from skimage import metrics

    def ssim(sharp, restored):
        return metrics.structural_similarity(
            sharp,
            restored,
            data_range=255,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )

    def psnr(sharp, restored):
        return metrics.peak_signal_noise_ratio(sharp, restored, data_range=255)

    functions = {"psnr": psnr, "ssim": ssim, "mse": metrics.mean_squared_error}
    return {**functions, **_several(functions)}


def ours():
    """Returns the library's functions of the same names, and the others that it has."""
    from deblur_keras import metrics

    def single(function):
        def score(sharp, restored):
            return np.asarray(function(sharp[None], restored[None], data_range=255))[0]

        return score

    names = ("psnr", "ssim", "mse", "mae", "ssim_y", "ms_ssim", "cw_ssim_pyssim")
    functions = {name: single(getattr(metrics, name)) for name in names}
    return {**functions, **_several(functions)}


def _several(functions):
    """Returns the combinations that evaluations ask for."""

    def combined(names):
        return lambda sharp, restored: [functions[name](sharp, restored) for name in names]

    return {
        "+".join(names): combined(names) for names in (("psnr", "ssim"), ("psnr", "ssim", "mse"))
    }


def timed(function, *arguments):
    """Returns the seconds of one call, by the clock and by the processor."""
    start, used = time.perf_counter(), time.process_time()
    function(*arguments)
    return time.perf_counter() - start, time.process_time() - used


def report_speed(cores, repeats):
    pair = photographs()
    reference, library = references(), ours()
    print(
        f"\n{cores} core{'s'[: cores > 1]}, milliseconds of a {SIZE[1]}x{SIZE[0]} RGB pair, uint8"
    )
    print(
        f"{'':16}{'scikit-image':>14}{'deblur_keras':>14}{'processor':>11}{'first':>8}{'ratio':>8}"
    )
    for name, function in library.items():
        first, _ = timed(function, *pair)
        several = repeats if name in reference else max(repeats // 3, 1)
        rounds = []
        for _ in range(several):
            theirs = timed(reference[name], *pair)[0] if name in reference else np.nan
            rounds.append((theirs, *timed(function, *pair)))
        columns = zip(*rounds, strict=True)
        theirs, took, processor = (1e3 * statistics.median(column) for column in columns)
        ratio = statistics.median(theirs / took for theirs, took, _ in rounds)
        said = f"{ratio:7.1f}x" if name in reference else ""
        if name == PAIR:
            said += "  ok" if ratio >= TARGET else f"  below {TARGET:.0f}"
        shown = f"{theirs:14.1f}" if name in reference else f"{'-':>14}"
        print(f"{name:16}{shown}{took:14.1f}{processor:11.1f}{1e3 * first:8.0f}{said}", flush=True)


def report_sizes(count=SIZES):
    from deblur_keras import metrics
    from deblur_keras.metrics import graphs

    pair = photographs()
    sizes = np.random.default_rng(0).integers(200, 720, (count, 2))
    held, start = [], time.perf_counter()
    for height, width in sizes:
        batches = [image[None, :height, :width] for image in pair]
        for function in (metrics.psnr, metrics.ssim, metrics.mse):
            function(*batches, data_range=255)
        held.append(resident())
    seconds = time.perf_counter() - start
    growth = held[-1] / held[count // 2] - 1
    said = "ok" if growth < GROWTH else f"above {GROWTH:.0%}"
    print(
        f"\nPSNR, SSIM and MSE of {count} images of as many sizes: {1e3 * seconds / count:.1f} ms "
        f"each, {graphs._graph.cache_info().currsize} graphs, memory {growth:+.1%}  {said}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cores", type=int, help="measure on that many, in this process")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--sizes", type=int, default=SIZES, help="images of different sizes")
    arguments = parser.parse_args()
    if arguments.cores:
        # Before TensorFlow starts, which takes as many threads as it finds cores.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
        report_speed(arguments.cores, arguments.repeats)
        return
    for cores in CORES:
        if cores <= len(os.sched_getaffinity(0)):
            command = [sys.executable, __file__, "--cores", str(cores)]
            subprocess.run([*command, "--repeats", str(arguments.repeats)], check=True)
    report_sizes(arguments.sizes)


if __name__ == "__main__":
    main()

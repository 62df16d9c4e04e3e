"""Measures how fast training is fed: crops a second, memory, the share of a step spent waiting.

    python benchmarks/data.py

Rates are taken on one core and on two, each in a process of its own, as medians of repeats beside
references measured in the same process: how fast OpenCV decodes the same files, and the simplest
correct pipeline (decode, crop, batch, no cache). "Cold" streams decode each file at each visit; the
files' bytes are in the system's own cache. Besides the rate by the clock there is the rate by the
processor's time, which does not depend on what else the machine does.

Targets: cold within 25 % of OpenCV; cached ten times the simplest pipeline; synthetic blur 60 crops
of 256x256 a second and core; memory steady over 50 epochs; waiting below 5 % of a training step.
"""

import argparse
import concurrent.futures
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
COPIES = 8  # of each, so that they are more than what a stream keeps for several crops each
SIZE = (720, 1280)
CROP = 256
LIMIT = 0.05  # share of a step spent waiting
CORES = (1, 2)
SECONDS = 1.0  # of a repeat
EPOCHS = 50
GROWTH = 0.02  # of the memory, from the tenth epoch to the last


def write_photographs(folder):
    """Writes 720p PNG pairs of scikit-image's photographs, mirrored to size at full detail."""
    from skimage import data

    from deblur_keras import blur, images

    for name, kernel in zip(PHOTOGRAPHS, blur.random_psfs(len(PHOTOGRAPHS), seed=0), strict=True):
        photograph = getattr(data, name)()
        missing = [
            (0, max(side - have, 0)) for side, have in zip(SIZE, photograph.shape, strict=False)
        ]
        sharp = np.pad(photograph, [*missing, (0, 0)], mode="reflect")[: SIZE[0], : SIZE[1]]
        blurred = blur.motion_blur(sharp, kernel)
        for copy in range(COPIES):
            images.write(folder / "sharp" / f"{name}{copy}.png", sharp)
            images.write(folder / "blur" / f"{name}{copy}.png", blurred)


def rates(work, repeats=5):
    """Returns how often a call returns a second, by the clock and by the processor's time.

    The medians of the repeats; the first is left out.
    """
    found = []
    for _ in range(repeats + 1):
        count, start, used = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - start < SECONDS:
            work()
            count += 1
        found.append((count / (time.perf_counter() - start), count / (time.process_time() - used)))
    return [statistics.median(column) for column in zip(*found[1:], strict=True)]


def crops(dataset):
    """Returns a call that takes the next crop from a stream."""
    stream = iter(dataset)
    return lambda: next(stream)


def opencv(pairs, cores):
    """Returns a call that decodes both files of as many pairs as there are cores, at once."""
    import cv2

    cv2.setNumThreads(1)
    files = itertools.cycle([(pair.blurred, pair.sharp) for pair in pairs])
    workers = concurrent.futures.ThreadPoolExecutor(cores)

    def decode(both):
        for file in both:
            cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR_RGB)

    return lambda: list(workers.map(decode, itertools.islice(files, cores)))


def simplest(pairs):
    """Returns the stream that anybody would write first: decode, crop, batch, no cache."""
    import tensorflow as tf

    def load(blurred, sharp):
        both = tf.stack([tf.io.decode_png(tf.io.read_file(file)) for file in (blurred, sharp)])
        both = tf.image.random_crop(both, (2, CROP, CROP, 3))
        both = tf.cast(both, tf.float32) / 127.5 - 1.0
        return both[0], both[1]

    names = [[str(getattr(pair, side)) for pair in pairs] for side in ("blurred", "sharp")]
    files = tf.data.Dataset.from_tensor_slices(tuple(names)).repeat()
    return files.map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(1).prefetch(tf.data.AUTOTUNE)


def streams(folder, **options):
    """Returns the streams to measure by name."""
    from deblur_keras import datasets

    options = {"crop": CROP, **options}
    pairs, sharp = datasets.pairs(folder / "pairs"), folder / "pairs" / "sharp"
    on_disk = tempfile.mkdtemp(dir=folder)
    return {
        "paired, cold": datasets.paired(pairs, scale=1.0, **options),
        "paired, cold, 4 crops each": datasets.paired(
            pairs, scale=1.0, crops_per_image=4, **options
        ),
        "paired, in memory": datasets.paired(pairs, scale=1.0, cache=True, **options),
        "paired, on disk": datasets.paired(pairs, scale=1.0, cache=on_disk, **options),
        "synthetic, cold": datasets.synthetic(sharp, **options),
        "synthetic, in memory": datasets.synthetic(sharp, cache=True, **options),
    }


def report_rates(folder, cores):
    from deblur_keras import datasets

    pairs = datasets.pairs(folder / "pairs")
    decoding, decoding_cpu = (rate * cores for rate in rates(opencv(pairs, cores)))
    simple, simple_cpu = rates(crops(simplest(pairs)))
    print(
        f"\n{f'{cores} core(s)':28}{'crops/s':>9}{'a CPU s':>9}{'of OpenCV':>11}{'of simplest':>13}"
    )

    def line(name, rate, cpu, said=""):
        print(
            f"{name:28}{rate:9.1f}{cpu:9.1f}{cpu / decoding_cpu:11.2f}{cpu / simple_cpu:13.2f}"
            f"  {said}",
            flush=True,
        )

    line("OpenCV, decoding both", decoding, decoding_cpu)
    line("simplest pipeline", simple, simple_cpu)
    for name, dataset in streams(folder, repeat=True).items():
        rate, cpu = rates(crops(dataset))
        said = ""
        if name == "paired, cold":
            said = judged(cpu / decoding_cpu >= 0.75, "below 0.75 of OpenCV")
        elif name in ("paired, in memory", "paired, on disk"):
            said = judged(cpu / simple_cpu >= 10, "below 10 times the simplest")
        elif name == "synthetic, in memory":
            said = judged(cpu >= 60, "below 60 a second and core")
        line(name, rate, cpu, said)


def judged(good, otherwise):
    return "ok" if good else otherwise


def resident():
    """Returns the megabytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def report_memory(folder):
    print(f"\n{'memory, MB, after epoch':28}{'1':>9}{'10':>9}{EPOCHS:>9}{'growth':>9}")
    for name, dataset in streams(folder).items():
        held = []
        for _ in range(EPOCHS):
            for _ in dataset:
                pass
            held.append(resident())
        growth = held[-1] / held[9] - 1
        print(
            f"{name:28}{held[0]:9.0f}{held[9]:9.0f}{held[-1]:9.0f}{growth:9.1%}"
            f"  {judged(growth < GROWTH, f'above {GROWTH:.0%}')}",
            flush=True,
        )


def training_step(model):
    """Returns the model's own step as a function of a batch that ends when its work is done."""
    import tensorflow as tf

    graph = tf.function(lambda blurred, sharp: model.train_step((blurred, sharp)))
    return lambda blurred, sharp: [float(value) for value in graph(blurred, sharp).values()]


def waiting(step, dataset, steps):
    """Returns the median seconds of waiting for a batch, and of the step on it."""
    stream = iter(dataset)
    next(stream)  # starts the workers
    waits, works = [], []
    for _ in range(steps):
        start = time.perf_counter()
        batch = next(stream)
        ready = time.perf_counter()
        step(*batch)
        waits.append(ready - start)
        works.append(time.perf_counter() - ready)
    return statistics.median(waits), statistics.median(works)


def report_waiting(folder):
    import keras
    import tensorflow as tf

    from deblur_keras import critics, datasets, generators, trainers

    adversarial = trainers.DeblurGAN(generators.resnet_generator(), critics.patch_critic())
    # One critic update instead of five: a quicker step, which is the harder to keep fed.
    adversarial.compile(content="mse", critic_steps=1)
    pixels = generators.compact_generator()
    pixels.compile(keras.optimizers.Adam(1e-4), loss="mae")
    pixels.optimizer.build(pixels.trainable_variables)
    models = {"DeblurGAN, ResNet-9": (adversarial, 2), "compact, pixel loss": (pixels, 12)}
    streams = {
        "paired": datasets.paired(folder, crop=CROP, repeat=True),
        "synthetic": datasets.synthetic(folder / "sharp", crop=CROP, repeat=True),
    }
    print(f"\n{'step':22}{'fed by':12}{'step ms':>9}{'fixed ms':>10}{'wait ms':>9}{'waiting':>9}")
    for name, (model, steps) in models.items():
        work = training_step(model)
        fixed = tf.data.Dataset.from_tensors(next(iter(streams["paired"]))).repeat()
        work(*next(iter(fixed)))  # traces the step
        _, alone = waiting(work, fixed, steps)
        for source, dataset in streams.items():
            wait, fed = waiting(work, dataset, steps)
            share = wait / (wait + fed)
            print(
                f"{name:22}{source:12}{1000 * fed:9.0f}{1000 * alone:10.0f}{1000 * wait:9.1f}"
                f"{share:9.2%}  {'ok' if share < LIMIT else f'above {LIMIT:.0%}'}"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, help="pairs to use, in blur/ and sharp/")
    parser.add_argument("--cores", type=int, help="measure the rates alone, in this process")
    parser.add_argument("--memory", action="store_true", help="measure the memory alone")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if arguments.folder:
            (folder / "pairs").symlink_to(arguments.folder.absolute())
        else:
            write_photographs(folder / "pairs")
        if arguments.cores:
            # Before TensorFlow starts, which takes as many threads as it finds cores.
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
            report_rates(folder, arguments.cores)
        elif arguments.memory:
            report_memory(folder)
        else:
            parts = [["--cores", str(cores)] for cores in CORES if cores <= os.cpu_count()]
            for part in [*parts, ["--memory"]]:
                command = [sys.executable, __file__, "--folder", str(folder / "pairs"), *part]
                subprocess.run(command, check=True)
            report_waiting(folder / "pairs")


if __name__ == "__main__":
    main()

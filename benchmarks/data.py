"""Measures how fast training is fed: crops a second, and the share of a step spent waiting.

    python benchmarks/data.py

Everything is a median of repeats, beside a reference measured in the same run: the time that one
thread needs to decode the same files (and blur the same crops). Feeding must cost a training step
less than 5 %.
"""

import itertools
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
SIZE = (720, 1280)
CROP = 256
LIMIT = 0.05


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
        images.write(folder / "sharp" / f"{name}.png", sharp)
        images.write(folder / "blur" / f"{name}.png", blur.motion_blur(sharp, kernel))


def seconds(work, repeats=5):
    """Returns the median seconds of a call, the first left out."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def crops_a_second(dataset, count=16, repeats=5):
    """Returns the median rate at which a stream gives crops, once it runs."""
    stream = iter(dataset)
    drawn = seconds(lambda: [len(sharp) for _, sharp in itertools.islice(stream, count)], repeats)
    return count / drawn


def report_rates(folder):
    from deblur_keras import blur, datasets, images

    pairs = datasets.pairs(folder)
    kernels = blur.random_psfs(64, seed=0)
    generator = np.random.default_rng(0)

    def decode_pairs():
        for pair in pairs:
            pair.read()

    def decode_and_blur():
        for pair in pairs:
            window = images.read(pair.sharp)[: CROP + 66, : CROP + 66]
            blur.motion_blur(window, kernels[generator.integers(len(kernels))])

    references = {
        "decoding both": len(pairs) / seconds(decode_pairs),
        "decoding, blurring": len(pairs) / seconds(decode_and_blur),
    }
    options = {"crop": CROP, "repeat": True}
    streams = {
        "paired": (datasets.paired(pairs, **options), "decoding both"),
        "paired, cached": (datasets.paired(pairs, cache=True, **options), "decoding both"),
        "synthetic": (datasets.synthetic(folder / "sharp", **options), "decoding, blurring"),
        "synthetic, cached": (
            datasets.synthetic(folder / "sharp", cache=True, **options),
            "decoding, blurring",
        ),
    }
    print(f"{'stream':20}{'crops/s':>10}{'one thread':>12}{'ratio':>8}")
    for name, (dataset, reference) in streams.items():
        rate = crops_a_second(dataset)
        alone = references[reference]
        print(f"{name:20}{rate:10.1f}{alone:12.1f}{rate / alone:8.2f}  ({reference})")


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
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(Path(folder))
        report_rates(Path(folder))
        report_waiting(Path(folder))


if __name__ == "__main__":
    main()

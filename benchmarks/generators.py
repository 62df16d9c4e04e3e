"""Compares the generators with the ResNet, in the same run: `python benchmarks/generators.py`.

Parameters, multiply-adds and the time of one 1280x720 image, padded to what the network takes, as
the `Restorer` pads it. Times are medians over repeats that alternate between the networks, and
read as ratios, since a machine is rarely quiet.
"""

import functools
import statistics
import time

import numpy as np
import tensorflow as tf

from deblur_keras import generators

HEIGHT, WIDTH = 720, 1280
REFERENCE = "resnet_generator"
BUILDERS = {
    REFERENCE: generators.resnet_generator,
    "resnet_generator(blocks=6)": functools.partial(generators.resnet_generator, blocks=6),
    "resnet_generator(upsampling='resize')": functools.partial(
        generators.resnet_generator, upsampling="resize"
    ),
    "unet_generator": generators.unet_generator,
    "dense_generator": generators.dense_generator,
    "dense_generator(norm='none')": functools.partial(generators.dense_generator, norm="none"),
    "compact_generator": generators.compact_generator,
}


def padded_size(model, height=HEIGHT, width=WIDTH):
    """Rounds a size up to what a generator takes."""
    multiple = generators.size_multiple(model)
    return tuple(-(-side // multiple) * multiple for side in (height, width))


def milliseconds(models, repeats):
    """Times one image through each model.

    Args:
        models: generators by name.
        repeats: how often all are run, after one run each to warm up.

    Returns:
        `{name: [milliseconds, ...]}`, entry i of all names from the same repeat.
    """
    random = np.random.default_rng(0)
    runs = {}
    for name, model in models.items():
        size = padded_size(model)
        image = tf.constant(random.uniform(-1, 1, (1, *size, 3)), tf.float32)
        function = functools.partial(model, training=False)
        runs[name] = (tf.function(function, autograph=False), image)
    times = {name: [] for name in models}
    for repeat in range(repeats + 1):
        for name, (function, image) in runs.items():
            start = time.perf_counter()
            function(image).numpy()  # waits for an accelerator, too
            if repeat:
                times[name].append((time.perf_counter() - start) * 1e3)
    return times


def compare(repeats=3):
    """Collects the table.

    Returns:
        List of (name, parameters, GMAC, milliseconds, ratio of the reference's time to this one);
        a ratio is taken within each repeat.
    """
    models = {name: build() for name, build in BUILDERS.items()}
    times = milliseconds(models, repeats)
    rows = []
    for name, model in models.items():
        ratios = [a / b for a, b in zip(times[REFERENCE], times[name], strict=True)]
        rows.append(
            (
                name,
                model.count_params(),
                generators.multiply_adds(model, *padded_size(model)) / 1e9,
                statistics.median(times[name]),
                statistics.median(ratios),
            )
        )
    return rows


def main():
    print(f"One {WIDTH}x{HEIGHT} image; x: times faster than {REFERENCE}")
    print(f"{'':40} {'parameters':>11} {'GMAC':>7} {'ms':>8} {'x':>6}")
    for name, parameters, giga, median, ratio in compare():
        print(f"{name:40} {parameters:11,} {giga:7.1f} {median:8.0f} {ratio:6.2f}")


if __name__ == "__main__":
    main()

"""Measures what restoring large images takes, and what tiles change: `python benchmarks/tiles.py`.

Three parts, each with `--help`:

- `large`: one 7680x4320 image by weights that ship, in a process of its own: its peak memory, and
  its time a pixel against that of 1280x720 images in the same process.
- `exact`: a generator with instance norms, in tiles against whole: time and differences.
- `shortcuts`: the same generator in ways that were not taken: tiles by themselves, and statistics
  from a reduced copy of the image or from a part of it.

Times are read as ratios within a run, since a machine is rarely quiet; processor time beside the
time of the clock. Large images are mosaics of photographs, each mirrored at random (seed 0), so
that nothing is enlarged. `--photographs` is a folder of them; without it, two of scikit-image's.
"""

import argparse
import itertools
import resource
import statistics
import subprocess
import sys
import time

import numpy as np

SMALL = 720, 1280
LARGE = 4320, 7680
CROP = 128


def photographs(folder):
    """Reads the photographs that images are made of, a list of uint8 arrays."""
    from deblur_keras import images

    if folder:
        return [images.read(one.path) for one in images.find([folder])]
    import skimage.data

    return [skimage.data.astronaut(), skimage.data.coffee()]


def mosaic(photos, height, width, seed=0):
    """Fills an image with photographs side by side, each mirrored at random."""
    random = np.random.default_rng(seed)
    order = itertools.cycle(random.permutation(len(photos)))
    image, top = np.empty((height, width, 3), np.uint8), 0
    while top < height:
        tall, left = None, 0
        while left < width:
            photo = photos[next(order)]
            photo = photo[:, :: random.choice((-1, 1))]
            tall = tall or photo.shape[0]
            photo = photo[:tall]
            place = image[top : top + photo.shape[0], left : left + photo.shape[1]]
            place[...] = photo[: place.shape[0], : place.shape[1]]
            left += photo.shape[1]
            tall = min(tall, photo.shape[0])
        top += tall
    return image


def used():
    """Seconds by the clock, and of the processor by this process."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return np.array([time.perf_counter(), spent.ru_utime + spent.ru_stime])


def timed(function, *arguments):
    """Runs a function: what `used` grows by, and what it returns."""
    start = used()
    returned = function(*arguments)
    return used() - start, returned


def peak_gigabytes():
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def large(options):
    """Starts `large_here` in a process of its own, so that nothing else counts."""
    command = [sys.executable, __file__, "large-here", "--model", options.model]
    command += ["--repeats", str(options.repeats), "--engine", options.engine]
    command += ["--photographs", options.photographs] if options.photographs else []
    command += ["--memory", options.memory] if options.memory else []
    subprocess.run(command, check=True)


def large_here(options):
    from deblur_keras.restorer import Restorer

    restore = Restorer(options.model, memory=options.memory, engine=options.engine)
    whole = Restorer(options.model, tile=None, engine=options.engine)
    photos = photographs(options.photographs)
    image, small = mosaic(photos, *LARGE), mosaic(photos, *SMALL)
    del photos
    held = peak_gigabytes()
    restore(image)
    print(f"{restore.name} by {restore.engine}, {LARGE[1]}x{LARGE[0]}: ", end="")
    print(f"peak {peak_gigabytes():.2f} GB, ", end="")
    print(f"{held:.2f} GB of it before the first image")
    whole(small)
    ratios, count = [], 12
    for _ in range(options.repeats):
        tiled = timed(restore, image)[0] / np.prod(LARGE)
        plain = sum(timed(whole, small)[0] for _ in range(count)) / np.prod(SMALL) / count
        ratios.append(tiled / plain)
        print(f"  {1e6 * plain[0]:.2f} s a megapixel at {SMALL[1]}x{SMALL[0]}, times ", end="")
        print(f"{ratios[-1][0]:.2f} by the clock, {ratios[-1][1]:.2f} of the processor", flush=True)
    clock, processor = np.median(ratios, axis=0)
    print(
        f"median of {options.repeats}: {clock:.2f} by the clock, {processor:.2f} of the processor"
    )
    print(f"peak in the end: {peak_gigabytes():.2f} GB")


def trained(options, photos):
    """A generator with instance norms: given, or trained here for a minute on blurred crops."""
    import keras
    import tensorflow as tf

    from deblur_keras import blur, generators, images

    if options.model:
        from deblur_keras.restorer import Restorer

        return Restorer(options.model).model
    keras.utils.set_random_seed(0)
    model = getattr(generators, f"{options.generator}_generator")()
    optimizer = keras.optimizers.Adam(3e-4)
    optimizer.build(model.trainable_variables)
    random, kernels = np.random.default_rng(0), blur.random_psfs(32, seed=0)

    @tf.function
    def step(blurred, sharp):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.abs(model(blurred, training=True) - sharp))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)

    for _ in range(options.steps):
        photo = photos[random.integers(len(photos))]
        top, left = (random.integers(0, side - 192 + 1) for side in photo.shape[:2])
        sharp = photo[top : top + 192, left : left + 192]
        blurred = blur.motion_blur(sharp, kernels[random.integers(len(kernels))])
        inner = slice(32, -32)
        pair = (images.to_float(one[inner, inner])[None] for one in (blurred, sharp))
        step(*pair)
    print(f"{options.generator}_generator, {options.steps} steps on synthetic blur, seed 0")
    return model


def described(restored, whole):
    """Differences in grey levels, as text."""
    off = np.abs(restored.astype(int) - whole)
    return f"mean {off.mean():.4f}, largest {off.max()}, differing {100 * (off > 0).mean():.3f} %"


def sizes(options):
    """Height and width for each number of megapixels, as 3 to 2."""
    return [
        (round((1e6 * m / 1.5) ** 0.5), round((1e6 * m * 1.5) ** 0.5)) for m in options.megapixels
    ]


def exact(options):
    from deblur_keras.restorer import Restorer

    photos = photographs(options.photographs)
    model = trained(options, photos)
    whole, tiled = Restorer(model, tile=None), Restorer(model, tile=options.tile)
    whole(photos[0]), tiled(photos[0])
    for height, width in sizes(options):
        image = mosaic(photos, height, width)
        ratios = []
        for _ in range(options.repeats):
            plain, expected = timed(whole, image)
            parts, restored = timed(tiled, image)
            ratios.append(parts / plain)
        clock, processor = (statistics.median(column) for column in zip(*ratios, strict=True))
        print(
            f"{width}x{height} in tiles of {options.tile}: {clock:.2f} times the time of the ",
            end="",
        )
        print(f"whole, {processor:.2f} of the processor; ", end="")
        print(described(restored, expected), flush=True)


class Stages:
    """Runs a generator stage by stage with the statistics of other pixels than its own."""

    def __init__(self, model):
        import tensorflow as tf

        from deblur_keras.generators.stages import StagedGenerator

        self._staged = StagedGenerator(model)
        self._run = [
            tf.function(self._stage(stage), reduce_retracing=True) for stage in self._staged.stages
        ]

    def _stage(self, stage):
        import tensorflow as tf

        def run(tensors, rows, columns, given):
            made, measured = stage.run(tensors, rows, columns, given)
            if measured is None:
                return made, tf.zeros((2, 0))
            return made, tf.stack(tf.nn.moments(tf.cast(measured, tf.float32), (0, 1, 2)))

        return run

    def __call__(self, batch, given=None):
        """Restores images `(B, H, W, 3)`: the result and each norm's statistics, all images'."""
        from deblur_keras import images, tiles

        side = [tiles.Span(0, size, 0, size) for size in batch.shape[1:3]]
        tensors, own = {self._staged.image: images.to_float(batch)}, []
        current = np.zeros((2, 0), np.float32)
        for index, (stage, run) in enumerate(zip(self._staged.stages, self._run, strict=True)):
            made, measured = run([tensors[number] for number in stage.sources], *side, current)
            tensors.update(zip(stage.targets, made, strict=True))
            tensors = {n: t for n, t in tensors.items() if n in {*stage.kept, self._staged.image}}
            own.append(measured.numpy())
            current = own[-1] if given is None else given[index]
        return images.to_uint8(made[0].numpy())[0], own


def shortcuts(options):
    from deblur_keras import images
    from deblur_keras.generators import size_multiple

    photos = photographs(options.photographs)
    model = trained(options, photos)
    run, multiple = Stages(model), size_multiple(model)
    random = np.random.default_rng(0)
    for height, width in sizes(options):
        height, width = (side // (4 * multiple) * 4 * multiple for side in (height, width))
        image = mosaic(photos, height, width)
        whole, _ = run(image[None])
        print(f"{width}x{height}:")
        apart = np.empty_like(image)
        for top, left in itertools.product(range(0, height, 512), range(0, width, 512)):
            part = (slice(top, top + 512), slice(left, left + 512))
            apart[part] = run(image[part][None])[0]
        print(f"  tiles of 512 by themselves: {described(apart, whole)}", flush=True)
        for scale in (0.5, 0.25):
            reduced = images.resize(image, scale)
            given = run(reduced[None])[1]
            off = described(run(image[None], given)[0], whole)
            print(f"  statistics of {scale:g} the size: {off}", flush=True)
        for share in (0.125, 0.25):
            count = max(round(share * height * width / CROP**2), 1)
            tops, lefts = (random.integers(0, s - CROP, count) for s in (height, width))
            corners = zip(tops, lefts, strict=True)
            crops = [image[top : top + CROP, left : left + CROP] for top, left in corners]
            off = described(run(image[None], run(np.stack(crops))[1])[0], whole)
            print(f"  statistics of crops of {CROP}, {share:g} of the pixels: {off}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parts = parser.add_subparsers(required=True, metavar="PART")
    for name, function in (("large", large), ("large-here", large_here)):
        part = parts.add_parser(name)
        part.set_defaults(function=function)
        part.add_argument("--model", default="default")
        part.add_argument("--engine", default="tensorflow")
        part.add_argument("--memory", help="such as 2GB")
        part.add_argument("--repeats", type=int, default=3)
        part.add_argument("--photographs")
    for name, function in (("exact", exact), ("shortcuts", shortcuts)):
        part = parts.add_parser(name)
        part.set_defaults(function=function)
        part.add_argument("--model", help="a generator saved as .keras; else one is trained")
        part.add_argument("--generator", choices=("resnet", "dense", "unet"), default="dense")
        part.add_argument("--steps", type=int, default=150)
        part.add_argument("--megapixels", type=float, nargs="+", default=[2, 4])
        part.add_argument("--photographs")
        if function is exact:
            part.add_argument("--tile", type=int, default=1024)
            part.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    options.function(options)


if __name__ == "__main__":
    main()

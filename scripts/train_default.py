"""Trains the weights that ship, `deblur_keras/weights/default.keras`, from real photographs.

    python scripts/train_default.py --photographs urban/ --frames GOPR0477/ --pairs reds/ -o run/

A content loss alone, on many kinds of blur in one stream: sharp photographs under random camera
shake of all lengths, with and without things that move by themselves, averaged frames of a
high-speed video, ready-made pairs, and photographs that are hardly blurred. It computes in
bfloat16 and keeps the average of the weights. Run it once more to go on where it was stopped. The
model card `deblur_keras/weights/default.md` says which photographs, how many steps and which seed.
The run folder takes about 13 MB for each photograph of a megapixel: it is kept there decoded, in
`cache/`, which may be deleted afterwards.
"""

import contextlib
import functools
import json
import math
import sys
from pathlib import Path

import click

EPSILON = 3e-4  # see `losses.negative_psnr`
EPOCH = 500  # updates


def optimizer(learning_rate):
    """Makes Keras's Muon for networks of convolutions.

    Keras gives all but matrices to Adam. Here a kernel (h, w, in, out) counts as a matrix with a
    column for each of the outputs, and only the first and the last layer, biases and scales are
    left to Adam, at a tenth of the rate: the factors that end blocks are small, and all grow
    together where it is too high, until the activations are beyond what 16 bits tell apart.
    """
    import keras
    from keras import ops

    class Muon(keras.optimizers.Muon):
        def _should_use_adamw(self, variable):
            return len(variable.shape) != 4 or variable.path.startswith(("down1/", "head/"))

        def zeropower_via_newtonschulz5(self, x, steps):
            matrix = ops.reshape(x, (-1, x.shape[-1]))
            return ops.reshape(super().zeropower_via_newtonschulz5(matrix, steps), x.shape)

        def lr_adjust(self, x):
            return ops.reshape(super().lr_adjust(ops.reshape(x, (-1, x.shape[-1]))), x.shape)

    # Without it kernels grow until the rate hardly turns them, and the gates are switches.
    decay = {"weight_decay": 0.1, "adam_weight_decay": None}
    return Muon(learning_rate, adam_beta_2=0.99, adam_lr_ratio=0.1, **decay)


def streams(photographs, frames, pairs, crop, seed, cache):
    """Lists the kinds of crops, one at a time: (share, function from a first batch to a stream)."""
    from deblur_keras import datasets

    # Enlarged photographs are soft without any blur, as those of many cameras are.
    plain = {"crop": crop, "repeat": True, "cache": cache}
    scales = (0.5, 0.75, 1.0, 1.5)

    def kind(share, number, function, folder, **given):
        given = {**plain, "seed": 10 * seed + number, **given}
        return share, functools.partial(function, folder, **given)

    def blurred(share, number, **given):
        given = {"scale": scales, "noise": (0.0, 2.0), "defocus": 0.3, **given}
        return kind(share, number, datasets.synthetic, photographs, **given)

    def averaged(share, number, **given):
        given = {"scale": (1.0, 1.5, 2.0), "even": 1.0, **given}
        return kind(share, number, datasets.averaged, frames, **given)

    # Blur mixes light, but videos and many benchmarks mix grey levels: both are shown. The paths of
    # DeblurGAN's script are knots, a quarter as wide as they are long; a camera or a thing moves
    # smoothly in a moment, and of a video the sharp side is what was seen in the middle of the
    # time. Frames of videos are short in the sun: a mean of a few shows what moves quickly as a row
    # of copies. Here motion is slow, so long windows stand for quick motion under an open shutter,
    # and every second to fifth frame for that in the sun. Short paths teach not to overdo it.
    soft = {"scale": (*scales, 2.0)}
    long = {"max_length": (6.0, 120.0), "kernel_size": 128, **soft}
    smooth = {"paths": "smooth", "max_length": (4.0, 80.0), "late": (0.0, 0.0625), **soft}
    smooth |= {"frames": (7, 13), "duty": (0.05, 1.0)}
    kinds = [
        blurred(0.04, 0, **long, objects=0.3),
        blurred(0.04, 1, **long, objects=0.3, gamma=1.0),
        blurred(0.04, 2, **long, grid=2),
        blurred(0.07, 22, **smooth, grid=2),
        blurred(0.12, 23, **smooth, grid=2, gamma=1.0),
        blurred(0.03, 24, **smooth, objects=0.5),
        blurred(0.04, 25, **smooth, objects=0.5, gamma=1.0),
        blurred(0.03, 3, max_length=(6.0, 40.0), rotation=1.5, gamma=1.0),
        blurred(0.16, 4, **soft),
        blurred(0.03, 5, highlights=(1.0, 4.0), jpeg=(75, 95), noise=(0.0, 6.0)),
        blurred(0.06, 6, max_length=(0.2, 3.0), scale=(0.5, 1.0, 1.5, 2.0)),
    ]
    if frames:
        kinds += [
            averaged(0.07, 7, window=(5, 21), gamma=1.0),
            averaged(0.04, 8, window=(5, 21)),
            averaged(0.08, 20, window=(7, 13), step=(2, 5), gamma=1.0),
            averaged(0.03, 21, window=(7, 13), step=(2, 5)),
            averaged(0.04, 10, window=(21, 45), gamma=1.0),
            averaged(0.03, 11, window=(21, 45)),
        ]
    if pairs:
        share = 0.05 if frames else 0.34
        kinds.append(kind(share, 9, datasets.paired, pairs, scale=(1.1, 1.5, 2.0)))
    return kinds


def feed(kinds, batch, seed, done):
    """Mixes the kinds, crop by crop, into batches; `done` of these are left out."""
    import tensorflow as tf

    from deblur_keras.datasets import mixtures

    shares = [share for share, _ in kinds]
    begins = mixtures.drawn(shares, seed, done * batch)
    each = [make(first_batch=begin) for (_, make), begin in zip(kinds, begins, strict=True)]
    mixed = mixtures.mix(each, shares, seed=seed, first_batch=done * batch)

    def turned(number, crops):
        """Turns a crop to one of eight sides, and sometimes swaps or takes its colours."""
        both = tf.concat(crops, 0)  # the streams' batches are of one crop
        chances = tf.random.stateless_uniform((7,), (seed, number))
        both = tf.cond(chances[0] < 0.5, lambda: tf.transpose(both, (0, 2, 1, 3)), lambda: both)
        both = tf.cond(chances[1] < 0.5, lambda: both[:, ::-1], lambda: both)
        colours = tf.argsort(chances[3:6])
        both = tf.cond(chances[2] < 0.2, lambda: tf.gather(both, colours, axis=3), lambda: both)
        grey = tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(both))
        both = tf.where(chances[6] < 0.05, grey, both)
        return both[0], both[1]

    numbers = tf.data.Dataset.counter(done * batch)
    return tf.data.Dataset.zip(numbers, mixed).map(turned).batch(batch, True).prefetch(4)


@contextlib.contextmanager
def stopping():
    """Says what to do after a Ctrl-C, which has saved."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Stopped. Run it once more to go on.", err=True)
        sys.exit(130)  # as shells report an interrupt


def check(steps, learning_rate, crop, multiple):
    """Raises a ValueError for what would train nothing, or not the network."""
    if steps < EPOCH or steps % EPOCH:
        raise ValueError(f"--steps must be a multiple of {EPOCH}, at least {EPOCH}; got {steps}")
    if not 0 < learning_rate < math.inf:
        raise ValueError(f"--learning-rate must be a number above 0; got {learning_rate}")
    if crop % multiple:
        raise ValueError(f"--crop must be a multiple of {multiple}; got {crop}")


def remember(path, options):
    """Keeps a run's options in a file, and tells what has changed since it was begun or went on."""
    options = json.loads(json.dumps(options, default=str))
    before = json.loads(path.read_text()) if path.is_file() else options
    for name, value in options.items():
        if before.get(name) != value:
            click.echo(f"--{name.replace('_', '-')} was {before.get(name)}, and is {value} now.")
    path.write_text(json.dumps(options, indent=1))


def tell(history):
    """Says what the last updates gained over their blurred crops; a loss is warned of."""
    if not history.get("psnr"):
        return
    gain = history["psnr"][-1] - history["blurred_psnr"][-1]
    click.echo(f"Gain over the blurred crops of the last {EPOCH} updates: {gain:+.2f} dB.")
    if gain <= 0:
        click.echo("Warning: it makes photographs worse. Train it longer.", err=True)


@click.command()
@click.option("--photographs", type=click.Path(exists=True), multiple=True, required=True,
              help="Folder of sharp photographs, blurred afresh on each visit.")  # fmt: skip
@click.option("--frames", type=click.Path(exists=True),
              help="Folder of consecutive frames of a video of 240 frames a second.")  # fmt: skip
@click.option("--pairs", help="Folder of blurred and sharp pairs, or a dataset such as gopro, of "
              "which the split train is taken.")  # fmt: skip
@click.option("--validation", help="The same, to score every epoch; of splits not train.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True,
              help="Run folder; takes about 13 MB for each photograph of a megapixel.")  # fmt: skip
@click.option(
    "--start",
    help="Begin with the weights of this .keras file, or of a name that ships, such as default; "
    "blocks that it lacks begin as identity.",
)
@click.option("--steps", default=60000, show_default=True, help="Updates, a multiple of 500.")
@click.option("--decay", default=15000, show_default=True, type=click.IntRange(min=0),
              help="Updates, the last ones (or all, if these are fewer), in which the learning "
              "rate falls to 0.")  # fmt: skip
@click.option("--learning-rate", default=1.2e-3, show_default=True,
              help="Highest; Adam, for what is no kernel, has a tenth of it.")  # fmt: skip
@click.option("--crop", default=256, show_default=True, type=click.IntRange(min=16),
              help="Side of the crops in pixels, a multiple of 64.")  # fmt: skip
@click.option("--batch", default=4, show_default=True, type=click.IntRange(min=1),
              help="Crops an update.")  # fmt: skip
@click.option("--seed", default=1, show_default=True, type=click.IntRange(min=0),
              help="Seed of weights and data.")  # fmt: skip
def main(photographs, frames, pairs, validation, output, start, steps, decay, learning_rate, crop,
         batch, seed):  # fmt: skip
    """Trains the default generator with a PSNR loss and averaged weights."""
    import keras

    from deblur_keras import DeblurGAN, critics, datasets, feeds, generators, images, losses, models
    from deblur_keras.trainers import HistoryFile, LinearDecay, StopOnDivergence, TrainingState
    from deblur_keras.trainers.precision import networks_in

    for folder in filter(None, [*photographs, frames]):
        if not list(images.find(folder)):
            raise ValueError(f"{folder}: expected photographs, found none")
    pairs = feeds.training_pairs(feeds.Sources(data=pairs))
    scored = feeds.validation_pairs(feeds.Sources(validation=validation))
    keras.utils.set_random_seed(seed)
    with networks_in("mixed_bfloat16"):
        generator = generators.quarter_generator(name="default")
    check(steps, learning_rate, crop, generators.size_multiple(generator))
    if start:
        generators.begin_with(generator, models.load(models.locate(start)))
    trainer = DeblurGAN(generator, critics.patch_critic(filters=4))  # the critic is never asked
    trainer.compile(
        optimizer(learning_rate),
        content=functools.partial(losses.negative_psnr, epsilon=EPSILON),
        content_weight=1.0,
        adversarial_weight=0.0,
        ema_decay=0.999,
        clip_norm=1.0,
    )
    trainer.quality_trackers.pop("ssim")  # takes time in every step, and PSNR tells enough
    output.mkdir(parents=True, exist_ok=True)
    state = TrainingState(trainer, output / "state")
    if state.restore():
        click.echo(
            f"Continuing: {state.place()}." + " --start was for its beginning." * bool(start)
        )
    remember(output / "options.json", click.get_current_context().params)
    cache = output / "cache"  # one for all kinds
    kinds = streams(list(photographs), frames, pairs, crop, seed, cache)
    falling = min(max(decay // EPOCH, 1), steps // EPOCH)
    click.echo(f"{steps} updates; what they gain is told every {EPOCH}.")
    with state.interruptible(), stopping():
        fitted = trainer.fit(
            feed(kinds, batch, seed, state.batches),
            steps_per_epoch=EPOCH,
            epochs=steps // EPOCH,
            initial_epoch=state.epoch,
            validation_data=(
                datasets.paired(scored, crop=None, scale=1.0, fixed=True) if scored else None
            ),
            callbacks=[
                LinearDecay(learning_rate, steps // EPOCH - falling, falling),
                StopOnDivergence(),
                HistoryFile(output / "history.csv"),
                state,
            ],
            shuffle=False,  # the streams do
            verbose="auto" if sys.stdout.isatty() else 2,
        )
    tell(fitted.history)
    trainer.kept()["generator"].save(output / "generator.keras")
    click.echo(f"{output / 'generator.keras'}: the generator, its weights averaged")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:  # such as folders without what is to be in them
        sys.exit(f"Error: {error}")

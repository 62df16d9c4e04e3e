"""Trains every recipe for the same small budget on the same data: do they learn?

    python benchmarks/recipes.py --frames VIDEO_FRAMES --photographs SHARP --pairs PAIRS 0.5 -o OUT

Each recipe is trained as it is, at its own learning rate, but for the same number of updates of
crops of one size, on averaged frames of a high-speed video and sharp photographs under random
camera shake, 1:2. Scored are whole images of pairs that are not trained on, before, along the way
and after. OUT gets recipes.md, recipes.png, a sheet, and a CSV and a generator each. A variant is a
recipe with fields changed: `deblurgan-bce:learning_rate=0.0002`.
"""

import csv
import dataclasses
import statistics
import time
from pathlib import Path

import click
import keras
import tensorflow as tf

from deblur_keras import Restorer, datasets, images, recipes, sheets
from deblur_keras.evaluation import evaluate_pairs

SHOWN = 3  # rows of the sheet


def chosen(name):
    """Finds a recipe, with fields changed where the name says so."""
    name, _, changes = name.partition(":")
    return recipes.get(name).override(recipes.read_settings(filter(None, changes.split(","))))


def stream(recipe, frames, photographs, crop, batch, seed):
    """Mixes synthetic and averaged blur 2:1; for a CycleGAN the sides of two different draws."""

    def mixed(seed):
        common = {"crop": crop, "batch": batch, "repeat": True, "cache": True, "seed": seed}
        # The photographs are reduced as the frames are.
        synthetic = datasets.synthetic(photographs, scale=0.5, **common)
        return datasets.mix([synthetic, datasets.averaged(frames, **common)], [2, 1], seed=seed)

    if recipe.trainer != "CycleGAN":
        return mixed(seed)
    blurred = mixed(seed).map(lambda blurred, sharp: blurred)
    sharp = mixed(seed + 1).map(lambda blurred, sharp: sharp)
    return tf.data.Dataset.zip(blurred, sharp)


def score(generator, sets):
    """Returns mean PSNR and SSIM of the blurred and the restored images over all sets."""
    restorer = Restorer(generator)
    rows = [
        row for pairs, scale in sets for row in evaluate_pairs(restorer, pairs, scale=scale).rows
    ]
    return {
        f"{name}_{side}": statistics.fmean(getattr(row, side)[name] for row in rows)
        for name in ("psnr", "ssim")
        for side in ("blurred", "restored")
    }


class Watch(keras.callbacks.Callback):
    """Scores after each part of the training, and times the updates after the first part's."""

    def __init__(self, label, sets, part):
        super().__init__()
        self.label, self.sets, self.part = label, sets, part
        self.points, self.seconds = [], []

    def on_train_begin(self, logs=None):
        """Scores the untrained generator."""
        self._score(0)

    def on_train_batch_begin(self, batch, logs=None):
        """Starts the clock."""
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        """Stops the clock, and a training that has diverged."""
        self.seconds.append(time.perf_counter() - self._started)
        if any(value != value for value in (logs or {}).values()):
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        """Scores this part."""
        self._score((epoch + 1) * self.part)

    def _score(self, updates):
        found = score(self.model.generator, self.sets)
        self.points.append((updates, found))
        click.echo(
            f"{self.label:40} {updates:6} updates: {found['psnr_restored']:.2f} dB, "
            f"SSIM {found['ssim_restored']:.4f} (blurred {found['psnr_blurred']:.2f}, "
            f"{found['ssim_blurred']:.4f})"
        )


@click.command()
@click.argument("names", nargs=-1)
@click.option("--frames", type=click.Path(exists=True), required=True, help="Frames of a video.")
@click.option("--photographs", type=click.Path(exists=True), required=True, help="Sharp ones.")
@click.option("--pairs", type=(click.Path(exists=True), float), multiple=True, required=True,
              metavar="DIR SCALE", help="Pairs to score, and how they are reduced.")  # fmt: skip
@click.option("--vgg19", type=click.Path(exists=True), help="VGG19 weights.")
@click.option("--vgg16", type=click.Path(exists=True), help="VGG16 weights.")
@click.option("--updates", default=600, show_default=True, help="Generator updates.")
@click.option("--parts", default=6, show_default=True, help="Times that are scored in between.")
@click.option("--crop", default=128, show_default=True, help="Side of the crops.")
@click.option("--batch", default=1, show_default=True, help="Crops an update.")
@click.option("--seed", default=0, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(
    names, frames, photographs, pairs, vgg19, vgg16, updates, parts, crop, batch, seed, output
):
    """Trains recipes (all, or NAMES) for the same small budget and tabulates what they gained."""
    tf.config.optimizer.set_experimental_options({"remapping": False})
    sets = [(datasets.pairs(folder), scale) for folder, scale in pairs]
    output.mkdir(parents=True, exist_ok=True)
    for name in names or recipes.NAMES:
        if (output / f"{safe(name)}.csv").exists():
            continue  # done in an earlier part of the same benchmark
        keras.utils.set_random_seed(seed)
        recipe = dataclasses.replace(chosen(name), crop=crop, batch=batch)
        vgg = None
        if recipe.content is not None and recipe.content.kind == "perceptual":
            vgg = {"vgg19": vgg19, "vgg16": vgg16}[recipe.content.options["network"]] or "imagenet"
        trainer = recipe.build(seed, vgg)
        watch = Watch(name, sets, updates // parts)
        trainer.fit(
            stream(recipe, frames, photographs, crop, batch, seed),
            epochs=parts,
            steps_per_epoch=updates // parts,
            verbose=0,
            callbacks=[watch],
        )
        trainer.generator.save(output / f"{safe(name)}.keras")
        write_points(output / f"{safe(name)}.csv", name, recipe, watch)
    tabulate(output, sets)


def safe(name):
    """Makes a file name of a variant's name."""
    return name.replace(":", "_").replace("=", "-").replace(",", "_")


def write_points(path, name, recipe, watch):
    """Writes the scores along one training."""
    seconds = statistics.median(watch.seconds[1:]) if len(watch.seconds) > 1 else float("nan")
    rows = [
        {
            "recipe": name,
            "parameters": watch.model.generator.count_params(),
            "learning_rate": recipe.learning_rate,
            "seconds_per_update": round(seconds, 4),
            "updates": updates,
            **{key: round(value, 4) for key, value in found.items()},
        }
        for updates, found in watch.points
    ]
    with images.atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def tabulate(output, sets):
    """Joins what was trained into one table, one plot and one sheet."""
    runs = []
    for path in sorted(output.glob("*.csv"), key=lambda path: path.stat().st_mtime):
        with path.open(newline="") as file:
            runs.append(list(csv.DictReader(file)))
    lines = [
        "| recipe | parameters | s/update | updates | PSNR before -> after | against the input | "
        "SSIM before -> after | against the input |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        first, last = run[0], run[-1]
        gain = {
            kind: float(last[f"{kind}_restored"]) - float(last[f"{kind}_blurred"])
            for kind in ("psnr", "ssim")
        }
        lines.append(
            f"| {first['recipe']} | {int(first['parameters']):,} | "
            f"{float(first['seconds_per_update']):.2f} | {last['updates']} | "
            f"{float(first['psnr_restored']):.2f} -> {float(last['psnr_restored']):.2f} dB | "
            f"{gain['psnr']:+.2f} dB | {float(first['ssim_restored']):.4f} -> "
            f"{float(last['ssim_restored']):.4f} | {gain['ssim']:+.4f} |"
        )
    text = "\n".join(lines) + "\n"
    (output / "recipes.md").write_text(text)
    click.echo(text)
    plot(output / "recipes.png", runs)
    sheet(output, [run[0]["recipe"] for run in runs], sets)


def plot(path, runs):
    """Draws PSNR over the updates of each training, the blurred input's as a line across."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 6), layout="constrained")
    for run in runs:
        updates = [int(point["updates"]) for point in run]
        gains = [float(point["psnr_restored"]) - float(point["psnr_blurred"]) for point in run]
        axes.plot(updates, gains, marker="o", markersize=3, label=run[0]["recipe"])
    axes.axhline(0, color="black", linewidth=0.8, linestyle="--")
    axes.set(xlabel="generator updates", ylabel="PSNR against the blurred input, dB")
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def sheet(output, names, sets):
    """Draws the centre of a few images: blurred, restored by each, sharp."""
    restorers = {name: Restorer(output / f"{safe(name)}.keras") for name in names}
    rows = []
    for pairs, scale in sets:
        for pair in pairs[:: max(len(pairs) // SHOWN, 1)][:SHOWN]:
            blurred, sharp = (images.resize(side, scale) for side in pair.read())
            row = [blurred, *(restore(blurred) for restore in restorers.values()), sharp]
            top, left = (side // 2 - 80 for side in sharp.shape[:2])
            rows.append([side[max(top, 0) :][:160, max(left, 0) :][:, :160] for side in row])
    images.write(
        output / "recipes-sheet.png", sheets.contact_sheet(rows, ["blurred", *names, "sharp"])
    )


if __name__ == "__main__":
    main()

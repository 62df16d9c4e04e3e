"""Draws crops of what weights do at their best and at their worst, for a model card.

    python scripts/draw_weights.py --row GoPro gopro/ best --row GoPro gopro/ worst -o gopro.jpg

Of the images of a set the one with the largest or the smallest gain in PSNR is shown: the part of
it in which blur did most harm.
"""

import functools
from pathlib import Path

import click
import cv2
import numpy as np

from deblur_keras import Restorer, datasets, images, metrics, sheets


@functools.cache
def restored(model, folder):
    """Restores a set: list of (gain in PSNR, PSNR of the blurred, name, the three images)."""
    restorer, rows = Restorer.from_pretrained(model), []
    for pair in datasets.pairs(folder):
        blurred, sharp = pair.read()
        result = restorer(blurred)
        before, after = (
            float(metrics.psnr(sharp[None], each[None], data_range=255)[0])
            for each in (blurred, result)
        )
        rows.append((after - before, before, pair.name, (blurred, result, sharp)))
    return rows


def worst_part(blurred, sharp, height, width):
    """Finds where blur did most harm: slices of rows and columns."""
    height, width = min(height, sharp.shape[0]), min(width, sharp.shape[1])
    harm = ((blurred.astype(np.float32) - sharp) ** 2).sum(axis=2)
    means = cv2.blur(harm, (width, height), anchor=(0, 0))
    means = means[: sharp.shape[0] - height + 1, : sharp.shape[1] - width + 1]
    top, left = np.unravel_index(means.argmax(), means.shape)
    return slice(top, top + height), slice(left, left + width)


@click.command(help=__doc__)
@click.option(
    "--row",
    "chosen",
    type=(str, click.Path(exists=True, file_okay=False), click.Choice(("best", "worst"))),
    multiple=True,
    required=True,
    metavar="TITLE FOLDER best|worst",
)
@click.option("--model", default="default", show_default=True, help="Weights that ship.")
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False))
def main(chosen, model, output):
    """Draws a row for each of what was chosen."""
    rows, captions = [], []
    for title, folder, kind in chosen:
        pick = max if kind == "best" else min
        gain, before, name, three = pick(restored(model, folder), key=lambda row: row[0])
        part = worst_part(three[0], three[2], 200, 300)
        rows.append([image[part] for image in three])
        captions.append(
            f"{title} {name.split('/')[-1]}, {kind} gain: {before:.2f} -> {before + gain:.2f} dB"
        )
    sheet = sheets.contact_sheet(rows, ["blurred", "restored", "sharp"], captions, cell=300)
    small = [cv2.IMWRITE_JPEG_QUALITY, 85]
    with images.atomic_path(Path(output)) as temporary:
        if not cv2.imwrite(str(temporary), sheet[..., ::-1], small):
            raise click.ClickException(f"{output}: cannot be written")
    click.echo(output)


if __name__ == "__main__":
    main()

"""Draws crops of what weights do at their best and at their worst, for a model card.

    python scripts/draw_weights.py --row GoPro gopro/ best --row GoPro gopro/ worst -o gopro.jpg

Of the images of a set the one with the largest or the smallest gain in PSNR is shown: the part of
it in which blur did most harm.
"""

import functools

import click

from deblur_keras import Restorer, datasets, evaluation, images, sheets
from deblur_keras.evaluation import examples

HEIGHT, WIDTH = 200, 300  # of the part that is shown


def gain(row):
    """How much better than the blurred image the restored one is, in dB."""
    return row.restored["psnr"] - row.blurred["psnr"]


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
    restorer, rows, captions = Restorer.from_pretrained(model), [], []

    @functools.cache
    def scored(folder):
        return evaluation.evaluate_pairs(restorer, datasets.pairs(folder)).rows

    for title, folder, kind in chosen:
        row = (max if kind == "best" else min)(scored(folder), key=gain)
        pair = next(pair for pair in datasets.pairs(folder) if pair.name == row.name)
        sides = examples.restore(row, pair, restorer).sides
        part = examples.most_different(sides["blurred"], sides["sharp"], HEIGHT, WIDTH)
        rows.append([sides[side][part] for side in ("blurred", "restored", "sharp")])
        scores = f"{row.blurred['psnr']:.2f} -> {row.restored['psnr']:.2f} dB"
        captions.append(f"{title} {row.name.split('/')[-1]}, {kind} gain: {scores}")
    sheet = sheets.contact_sheet(rows, ["blurred", "restored", "sharp"], captions, cell=WIDTH)
    images.write(output, sheet, quality=85)
    click.echo(output)


if __name__ == "__main__":
    main()

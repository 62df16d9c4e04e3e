"""`deblur-keras data show`: draws batches as the network sees them, with their sources."""

import dataclasses
import functools
import itertools
import math
import os
from pathlib import Path

import click

from deblur_keras.cli import feeding
from deblur_keras.cli.console import counted, fail, import_tensorflow, printable, shown_log
from deblur_keras.cli.pairs import Source

_SEARCHED = 200  # files at most in which the crops of a sheet are looked for
_TRIES = 1000  # places in a file, where many look alike
_EXAMPLES = 12  # crops on a sheet
_CELLS = 192, 480  # px, between which crops are shown pixel by pixel; smaller ones enlarged


@click.command()
@click.argument("pairs", type=Source(), required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The sheet, such as batches.png.",
)
@click.option(
    "--recipe",
    default="deblurgan",
    show_default=True,
    help="Recipe that would be trained, as `deblur-keras recipes` lists them.",
)
@click.option(
    "--split", help="Sub-folder to draw from.  [default: train where there is one, as in training]"
)
@click.option(
    "--batches",
    type=click.IntRange(min=1),
    help=f"How many.  [default: as many as have {_EXAMPLES} crops]",
)
@feeding.feed_options
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT if it exists.")
def show(pairs, output, recipe, split, batches, config, settings, overwrite, **options):
    """Draw random batches exactly as the network will see them.

    PAIRS is what `train` takes as --data, a folder or the name of a dataset. With the options of
    `train` that concern data, these are the very batches with which it begins; the captions say
    from which file and place, where that can be told.

    \b
    Examples:
      deblur-keras data show GOPRO_Large -o batches.png
      deblur-keras data show pairs/ -o batches.png --scale 1 --crop 128 --batch 8
      deblur-keras data show --photographs holiday/ -o synthetic.png --rotation 1 --jpeg 75-90
      deblur-keras data show gopro/light -o unpaired.png --recipe cyclegan --scale 0.5
    """  # noqa: D301 - click wants the real \b
    from deblur_keras import recipes

    try:
        chosen = recipes.get(recipe)
        for change in feeding.changes(config, settings, options):
            chosen = chosen.override(change)
    except recipes.RecipeError as error:
        raise click.UsageError(str(error)) from error
    if not (pairs or options["photographs"] or options["blurred"]):
        raise click.UsageError("nothing to show: give PAIRS, --photographs, or both.")
    if output.exists() and not overwrite:
        raise fail(f"{output} exists already; choose another name, or add --overwrite.")
    import_tensorflow()
    import tensorflow as tf

    from deblur_keras import feeds, images, sheets
    from deblur_keras.datasets import DatasetError, mishaps

    if output.suffix.lower() not in images.SUFFIXES:
        raise click.UsageError(f"-o must end in one of {images.known_suffixes()}; got {output}")
    sources = feeds.Sources(
        pairs, options["photographs"], options["blurred"], blur=options["blur"], split=split
    )
    feeding.refuse_unused(options, settings, sources)
    kept = {"cache": options["cache"], "max_bad": options["max_bad"]}
    try:
        with shown_log():
            found, read = _watched(feeds.find(chosen, sources))
            stream, steps = feeds.training(chosen, found, options["seed"], **kept)
            batches = batches or min(max(_EXAMPLES // chosen.batch, 1), steps)
            drawn = [
                [images.to_uint8(side.numpy()) for side in both] for both in stream.take(batches)
            ]
    except (DatasetError, images.ImageError, OSError, tf.errors.OpError) as error:
        raise fail(mishaps.reason(error)) from error
    examples = [pair for blurred, sharp in drawn for pair in zip(blurred, sharp, strict=True)]
    places = _places(examples, chosen, found, read)
    cells, captions = [], []
    for index, (both, where) in enumerate(zip(examples, places, strict=True)):
        number, within = divmod(index, chosen.batch)
        cells += both
        captions += _captions(f"batch {number + 1}, no. {within + 1}", both, where)
    columns = 4 if len(cells) > 2 else 2
    starts = range(0, len(cells), columns)
    low, high = _CELLS
    crop = chosen.crop
    cell = crop * math.ceil(low / crop) if crop <= high else high  # pixels stay square
    sheet = sheets.contact_sheet(
        [cells[start : start + columns] for start in starts],
        ["blurred", "sharp"] * (columns // 2),
        [captions[start : start + columns] for start in starts],
        cell,
    )
    try:
        images.write(output, sheet)
    except images.ImageError as error:
        raise fail(error) from error
    crops = f"{counted(len(examples), 'pair')} of {crop}x{crop} crops"
    click.echo(printable(f"wrote {output}: {crops} in {counted(len(drawn), 'batch', 'batches')}"))


class _Watched:
    """A pair that notes when it is read: of a large set, only these can be on the sheet."""

    def __init__(self, pair, log):
        self._pair, self._log = pair, log

    def read(self):
        self._log.append(self._pair)
        return self._pair.read()

    def __getattr__(self, name):
        return getattr(self._pair, name)


def _watched(found):
    """What was found, with a list in which its pairs appear when they are read."""
    read = []
    return dataclasses.replace(found, pairs=[_Watched(pair, read) for pair in found.pairs]), read


def _places(examples, recipe, found, read):
    """Says of each example where its two sides were cut from, as far as it can be told.

    Of partners the place is the same, and the first is None.
    """
    from deblur_keras import images

    if recipe.trainer == "CycleGAN":
        sides = [_files(files, recipe.scale) for files in (found.blurred, found.sharp)]
        located = map(_locate, map(list, zip(*examples, strict=True)), sides)
        return [(first or "", second) for first, second in zip(*located, strict=True)]
    pairs = (
        (pair.name, lambda pair=pair: images.resize(pair.read()[1], recipe.scale))
        for pair in {pair.name: pair for pair in read}.values()
    )
    sources = itertools.chain(pairs, _files(found.sharp))
    return [(None, place) for place in _locate([sharp for _, sharp in examples], sources)]


def _files(files, scale=1.0):
    """Yields ``(name, function that reads the image as the stream scales it)``."""
    from deblur_keras import images

    paths = [path for path in files if isinstance(path, Path)]
    shared = Path(os.path.commonpath([path.parent for path in paths])) if paths else None
    for file in files:
        if isinstance(file, Path):
            name, read = file.relative_to(shared).as_posix(), functools.partial(images.read, file)
        else:
            name, read = file.name, file.decode
        yield name, lambda read=read: images.resize(read(), scale)


def _captions(number, both, where):
    """Two captions: of partners how far they are apart, of strangers where each is from."""
    from deblur_keras.datasets import measures

    first, second = where
    if first is None:
        first = f"PSNR {measures.psnr(*both):.1f} dB"
    return [", ".join(filter(None, (number, first))), second or ""]


def _locate(crops, sources):
    """Says of each crop where it was cut from, or None; sharp crops are a file's own pixels."""
    places = [None] * len(crops)
    for name, read in itertools.islice(sources, _SEARCHED):
        missing = [index for index, place in enumerate(places) if place is None]
        if not missing:
            break
        try:
            image = read()
        except ValueError:  # the stream has said so
            continue
        for index in missing:
            for crop, how in ((crops[index], ""), (crops[index][:, ::-1], ", mirrored")):
                if (found := _find(crop, image)) is not None:
                    places[index] = f"{name} at {found[0]}, {found[1]}{how}"
                    break
    return places


def _find(crop, image):
    """Returns (left, top) of a crop in an image that has its very pixels, or None."""
    height, width = crop.shape[:2]
    row = int(crop.std(axis=(1, 2)).argmax())  # the one with most to recognize it by
    pixels, line, start = image.tobytes(), crop[row].tobytes(), 0
    for _ in range(_TRIES):
        start = pixels.find(line, start) + 1
        if not start:
            return None
        pixel, channel = divmod(start - 1, 3)
        top, left = pixel // image.shape[1] - row, pixel % image.shape[1]
        if channel == 0 and top >= 0:
            there = image[top : top + height, left : left + width]
            if there.shape == crop.shape and (there == crop).all():
                return left, top
    return None

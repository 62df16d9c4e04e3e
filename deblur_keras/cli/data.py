"""`deblur-keras data`: prepares named datasets, checks training data, shows it as trained on."""

import dataclasses
import functools
import itertools
import math
import os
import time
from pathlib import Path

import click

from deblur_keras.cli import feeding
from deblur_keras.cli.console import (
    console,
    duration,
    fail,
    import_tensorflow,
    printable,
    progress,
    shown_log,
)
from deblur_keras.cli.pairs import Source, blur_option

_LISTED = 10  # pairs or files printed per finding; all that cannot be read
_MOST_SCENES = 40  # lines of the table, beyond which only the report has them all
_SEARCHED = 200  # files at most in which the crops of a sheet are looked for
_TRIES = 1000  # places in a file, where many look alike
_EXAMPLES = 12  # crops on a sheet
_CELLS = 192, 480  # px, between which crops are shown pixel by pixel; smaller ones enlarged


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def data():
    """Prepare named datasets, check training data before hours are spent on it, look at it."""


@data.command()
@click.argument("name", required=False)
@click.option(
    "--manual-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of archives that were fetched by hand.  [default: downloads/manual in DATA_DIR]",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of prepared datasets.  [default: TFDS_DATA_DIR, else ~/tensorflow_datasets]",
)
def prepare(name, manual_dir, data_dir):
    """Prepare the dataset NAME, such as gopro/light; without a NAME, list them.

    Done once; afterwards train, evaluate and compare take the name where they take a folder. The
    archive is downloaded, or looked for among those fetched by hand, and checked before anything
    is copied.
    """
    from deblur_keras.datasets import DatasetError, catalog

    if name is None:
        click.echo("\n".join(catalog.names()))
        return
    try:
        chosen = "/".join(filter(None, catalog.resolve(name)))
        click.echo(f"Preparing {chosen}.", err=True)
        import_tensorflow()
        folder = catalog.prepare(name, data_dir, manual_dir)
    except (DatasetError, OSError) as error:
        raise fail(" ".join(str(error).split())) from error  # TFDS breaks its lines
    click.echo(f"Prepared {printable(folder)}\nUse it:   deblur-keras train --data {name} -o RUN")


@data.command()
@click.argument("pairs", type=Source())
@click.option("--split", help="Sub-folder to check, such as train.  [default: all, and compared]")
@blur_option
@click.option(
    "--shift",
    type=click.FloatRange(min=0),
    default=2.0,
    show_default=True,
    help="Pixels by which a blurred image may be off. Genuine GoPro pairs are up to 1, because an "
    "even number of frames has no middle one; measuring on blurred images may add another.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="Share of the pairs that may look shifted, swapped, of other scenes or colours, or blank, "
    "before that is an error: these are estimates. Of 20 and more, one may anyway; 0 allows none.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="New or empty folder for pairs.csv (a line per pair), report.json and worst.png.",
)
@click.option(
    "--worst",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Pairs on the sheet worst.png; 0 draws none.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Threads.  [default: as many as there are cores]"
)
def check(pairs, split, blur, shift, tolerance, output, worst, workers):
    """Check every pair in PAIRS, and say what to do about what is wrong.

    PAIRS is a folder, or the name of a dataset that has been prepared, such as gopro/light.

    Looks for files that cannot be read or have no partner, sides of different sizes, turned,
    equal, swapped, shifted or of different scenes, images that are there twice or in several
    splits. Nothing stops it: all files are read, and all problems listed.

    Ends with exit code 1 when training on it would be a mistake: when there is any error.
    Warnings alone leave it at 0.

    \b
    Examples:
      deblur-keras data check GOPRO_Large
      deblur-keras data check GOPRO_Large --split train --blur blur_gamma
      deblur-keras data check pairs/ -o checked/
      deblur-keras data check gopro/light
    """  # noqa: D301 - click wants the real \b
    from deblur_keras.datasets import DatasetError, inspection

    if output is not None:
        _refuse_output(output, pairs)
    started = time.monotonic()
    try:
        result = inspection.inspect(
            pairs,
            split,
            blur,
            shift=shift,
            tolerance=tolerance,
            workers=workers,
            progress=functools.partial(progress, "Checking"),
        )
    except DatasetError as error:
        raise fail(error) from error
    seconds = time.monotonic() - started
    screen = console(stderr=False)
    rows = result.scenes()
    if rows:
        screen.print(_table(rows[:_MOST_SCENES]))
    if len(rows) > _MOST_SCENES:
        click.echo(f"and {len(rows) - _MOST_SCENES} scenes more; -o FOLDER lists all")
    for line in result.notes:
        click.echo(printable(f"note: {line}"))
    for finding in result.findings:
        _print_finding(finding)
    if output is not None:
        try:
            written = result.write(output, worst)
        except (OSError, ValueError) as error:
            raise fail(f"{output}: cannot be written: {error}") from error
        click.echo(printable("wrote " + ", ".join(map(str, written))))
    elif result.findings:
        click.echo("-o FOLDER writes all of this down, with a sheet of the worst pairs")
    severities = [finding.severity for finding in result.findings]
    found = [_count(severities.count(name), name) for name in dict.fromkeys(severities)]
    checked = f"{_count(len(result.pairs), 'pair')} checked in {duration(seconds)}"
    click.echo(f"{checked}: {', '.join(found) or 'nothing wrong'}")
    if not result.ok:
        raise fail("training on this would be a mistake")


def _refuse_output(output, pairs):
    if Path(pairs).is_dir() and output.resolve().is_relative_to(Path(pairs).resolve()):
        raise click.UsageError(
            f"the report ({printable(output)}) would lie among the images; choose another folder"
        )
    if output.exists() and any(output.iterdir()):
        raise fail(f"{output} is not empty; choose a new folder for the report")


def _table(rows):
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("split")
    table.add_column("scene", overflow="fold")
    for title in ("pairs", "bad", "size", "PSNR, dB", "least", "shift, px", "most"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        sizes = row["sizes"]
        table.add_row(
            Text(row["split"] or "-"),
            Text(printable(row["scene"]) or "-"),
            str(row["pairs"]),
            str(row["faulty"] or "-"),
            (sizes[0] if len(sizes) == 1 else f"{len(sizes)} sizes") if sizes else "-",
            *(_number(row[name], ".1f") for name in ("psnr", "psnr_lowest")),
            " ".join(f"{part:+.1f}" for part in row["shift_mean"] or ()) or "-",
            _number(row["shift_largest"], ".1f"),
        )
    return table


def _print_finding(finding):
    click.echo(printable(f"{finding.severity}: {finding.message}"))
    listed = finding.items if finding.kind == "unreadable" else finding.items[:_LISTED]
    for name, detail in listed:
        # A detail that names the file itself needs no other name.
        line = detail if detail.startswith(name) else f"{name}: {detail}" if detail else name
        click.echo(printable(f"    {line}"))
    if len(finding.items) > len(listed):
        click.echo(f"    and {len(finding.items) - len(listed)} more")
    click.echo(printable(f"  -> {finding.advice}"))


def _count(number, noun, plural=None):
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def _number(value, form):
    return "-" if value is None else f"{value:{form}}"


@data.command()
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
    crops = f"{_count(len(examples), 'pair')} of {crop}x{crop} crops"
    click.echo(printable(f"wrote {output}: {crops} in {_count(len(drawn), 'batch', 'batches')}"))


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

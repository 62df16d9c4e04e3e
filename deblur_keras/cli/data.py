"""`deblur-keras data`: prepares named datasets, checks training data, shows it as trained on."""

import functools
import time
from pathlib import Path

import click

from deblur_keras.cli.console import (
    console,
    counted,
    duration,
    fail,
    import_tensorflow,
    printable,
    progress,
)
from deblur_keras.cli.data_show import show
from deblur_keras.cli.pairs import Source, blur_option

_LISTED = 10  # pairs or files printed per finding; all that cannot be read
_MOST_SCENES = 40  # lines of the table, beyond which only the report has them all


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
    found = [counted(severities.count(name), name) for name in dict.fromkeys(severities)]
    checked = f"{counted(len(result.pairs), 'pair')} checked in {duration(seconds)}"
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


def _number(value, form):
    return "-" if value is None else f"{value:{form}}"


data.add_command(show)

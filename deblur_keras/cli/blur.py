"""`deblur-keras blur`: sharp photographs in, pairs of blurred and sharp ones out."""

import csv
import dataclasses
import hashlib
import io
import math
import time
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import click

from deblur_keras import __version__
from deblur_keras.cli.console import console, duration, fail, printable, progress

_ITERATIONS = 2000  # points of a trajectory
_SMALLEST_KERNEL = 64  # the authors' canvas
_TREES = ("blur", "sharp", "kernels")
_TABLE = "blur.csv"


@dataclass(frozen=True)
class _Recipe:
    """All that makes one pair, and a row of `blur.csv`."""

    file: str  # the photograph, below the input folder
    pair: str  # the results, below blur/, sharp/ and kernels/
    seed: int
    intensity: float
    exposure: float
    max_length: float
    iterations: int
    size: int
    gamma: float
    noise: float
    faithful: int
    sha256: str = ""  # of the sharp photograph's pixels
    version: str = __version__


_COLUMNS = [field.name for field in dataclasses.fields(_Recipe)]


class _Number(click.FloatRange):
    """A float range without NaN, which every comparison lets through."""

    def convert(self, value, parameter, context):
        number = super().convert(value, parameter, context)
        if math.isnan(number):
            self.fail(f"{value} is no number.", parameter, context)
        return number


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the pairs.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Decides all that is random. A photograph's blur depends on it and on the photograph's "
    "name, not on the other photographs.",
)
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Pairs to make of each photograph.",
)
@click.option(
    "--max-length",
    type=_Number(0, 4000, min_open=True),
    default=60.0,
    show_default=True,
    help="Length of the camera's path in pixels, at full exposure.",
)
@click.option(
    "--exposure",
    "exposures",
    type=_Number(0, 1, min_open=True),
    multiple=True,
    help="Part of the path that is exposed; give it several times to pick from several.  "
    "[default: 0.1, 0.5, 1.0]",
)
@click.option(
    "--intensity",
    "intensities",
    type=_Number(0, 1),
    multiple=True,
    help="Strength of the shake, from 0 (a straight line); give it several times to pick from "
    "several.  [default: the six from 0.003 to 0.01 of DeblurGAN's authors]",
)
@click.option(
    "--gamma",
    type=_Number(0, 100, min_open=True),
    default=2.2,
    show_default=True,
    help="Light is level ** gamma; 1 blurs the grey levels themselves.",
)
@click.option(
    "--noise",
    type=_Number(0, 255),
    default=0.0,
    show_default=True,
    help="Standard deviation of Gaussian noise on the blurred photograph, in grey levels of 255.",
)
@click.option(
    "--faithful",
    is_flag=True,
    help="Blur as the code of DeblurGAN's authors does: dark borders, stretched contrast, kernels "
    "off centre, no gamma. For comparison only.",
)
@click.option(
    "--from-csv",
    "table",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Make exactly the pairs of this blur.csv again, out of the same photographs.",
)
@click.option("--overwrite", is_flag=True, help="Replace results that exist. Never the inputs.")
@click.pass_context
def blur(context, folder, output, table, overwrite, **options):
    """Makes blurred/sharp pairs out of the sharp photographs in FOLDER.

    Each photograph gets a random camera shake. OUTPUT receives blur/, sharp/ and kernels/ with the
    tree of FOLDER, all PNG, and blur.csv with what made each pair. A broken photograph does not
    stop the rest; the exit code is 1 when one could not be used.

    \b
    Examples:
        deblur-keras blur photos/ -o pairs/
        deblur-keras blur photos/ -o pairs/ --count 4 --seed 7 --noise 2
        deblur-keras blur photos/ -o long/ --max-length 120 --exposure 1
        deblur-keras blur photos/ -o again/ --from-csv pairs/blur.csv
    """  # noqa: D301 - click wants the real \b
    if folder.resolve().is_relative_to(output.resolve()):
        raise click.UsageError(
            f"the photographs ({printable(folder)}) lie in the output folder "
            f"({printable(output)}); choose another output folder"
        )
    if table is None:
        recipes = _new_recipes(folder, output, **options)
    else:
        _refuse_options_beside_table(context, options)
        recipes = _read_table(table)
    if not overwrite:
        _refuse_existing(recipes, output)
    made, failures, changed, seconds = _make_pairs(recipes, folder, output)
    _summarize(len(recipes), made, failures, changed, folder, output, seconds)
    if failures or len(made) < len(recipes):
        raise SystemExit(1)


def _new_recipes(
    folder, output, seed, count, max_length, exposures, intensities, gamma, noise, faithful
):
    """Draws a recipe for each pair; each is drawn from its own seed."""
    import numpy as np

    from deblur_keras import images
    from deblur_keras.blur import SCRIPT_EXPOSURES, SCRIPT_INTENSITIES

    earlier = output.resolve()
    sources = [
        source
        for source in images.find(folder)
        if not source.path.resolve().is_relative_to(earlier)
    ]
    if not sources:
        raise fail(
            f"no photographs found in {folder}; looked for files ending in "
            f"{images.known_suffixes()}"
        )
    recipes = []
    for (file, number), pair in _pair_names(sources, count).items():
        own_seed = int(np.random.SeedSequence([seed, _checksum(file), number]).generate_state(1)[0])
        generator = np.random.default_rng(own_seed)
        recipes.append(
            _Recipe(
                file=file,
                pair=pair,
                seed=own_seed,
                intensity=float(generator.choice(intensities or SCRIPT_INTENSITIES)),
                exposure=float(generator.choice(exposures or SCRIPT_EXPOSURES)),
                max_length=max_length,
                iterations=_ITERATIONS,
                # Holds any path of this length, wherever its centroid lies (see `blur.psfs`).
                size=max(_SMALLEST_KERNEL, 2 * math.ceil(max_length / 2) + 4),
                gamma=gamma,
                noise=noise,
                faithful=int(faithful),
            )
        )
    return recipes


def _pair_names(sources, count):
    """Names without clashes: {(file, number): name below the output trees}, all ending in .png.

    `a.jpg` becomes `a.png`; where there is an `a.tif` too they become `a.jpg.png` and `a.tif.png`.
    Upper and lower case count as the same, which they are on many file systems.
    """
    files = [source.relative for source in sources]
    stems = Counter(str(file.with_suffix("")).casefold() for file in files)
    names, used = {}, set()
    for file in files:
        alone = stems[str(file.with_suffix("")).casefold()] == 1
        base = file.stem if alone else file.name
        for number in range(1, count + 1):
            stem = base if count == 1 else f"{base}-{number}"
            name, attempt = file.with_name(f"{stem}.png").as_posix(), 1
            while name.casefold() in used:
                attempt += 1
                name = file.with_name(f"{stem}_{attempt}.png").as_posix()
            used.add(name.casefold())
            names[file.as_posix(), number] = name
    return names


def _checksum(name):
    return zlib.crc32(name.encode("utf-8", "surrogateescape"))


def _refuse_options_beside_table(context, options):
    given = [
        "--" + {"exposures": "exposure"}.get(name, name).replace("_", "-")
        for name in options
        if context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(
            f"--from-csv decides all about the blur; leave out {', '.join(sorted(given))}"
        )


def _read_table(table):
    """Reads the recipes of a `blur.csv`, and checks what could do harm."""
    recipes = []
    try:
        with table.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as lines:
            reader = csv.DictReader(lines)
            missing = set(_COLUMNS) - set(reader.fieldnames or ())
            if missing:
                raise fail(
                    f"{table}: no blur.csv: the columns {', '.join(sorted(missing))} are missing"
                )
            for row in reader:
                try:
                    recipes.append(_read_row(row))
                except (TypeError, ValueError) as error:
                    raise fail(f"{table}, line {reader.line_num}: {error}") from None
    except (csv.Error, OSError) as error:
        raise fail(f"{table}: cannot be read as CSV: {error}") from None
    if not recipes:
        raise fail(f"{table}: holds no rows")
    repeated = [pair for pair, times in Counter(r.pair for r in recipes).items() if times > 1]
    if repeated:
        raise fail(f"{table}: two rows make the same pair, {repeated[0]}")
    return recipes


def _read_row(row):
    values = {}
    for field in dataclasses.fields(_Recipe):
        try:
            values[field.name] = field.type(row[field.name])
        except (TypeError, ValueError):
            raise ValueError(
                f"expected {field.type.__name__} for {field.name}, got {row[field.name]!r}"
            ) from None
    recipe = _Recipe(**values)
    for name in (recipe.file, recipe.pair):
        place = PurePosixPath(name)
        if not name or place.is_absolute() or ".." in place.parts or Path(name).is_absolute():
            raise ValueError(f"expected a path below the folder, got {name!r}")
    if PurePosixPath(recipe.pair).suffix != ".png":
        raise ValueError(f"expected a pair's name ending in .png, got {recipe.pair!r}")
    return recipe


def _refuse_existing(recipes, output):
    places = [output / tree / recipe.pair for recipe in recipes for tree in _TREES]
    existing = [place for place in [output / _TABLE, *places] if place.exists()]
    if existing:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise fail(
            f"{existing[0]}{more} exist; choose another output folder, or give --overwrite to "
            "replace them"
        )


def _make_pairs(recipes, folder, output):
    """Makes the pairs; the table lists those made, also after Ctrl-C."""
    made, failures, changed = [], [], []
    started = time.monotonic()
    try:
        with progress("Blurring", total=len(recipes)) as shown:
            for recipe in recipes:
                shown.start(recipe.file)
                try:
                    sha256 = _make_pair(recipe, folder, output)
                except Exception as error:  # whatever one photograph does, the others are blurred
                    failures.append((recipe.file, error))
                else:
                    if recipe.sha256 not in ("", sha256) or recipe.version != __version__:
                        changed.append(recipe)
                    made.append(dataclasses.replace(recipe, sha256=sha256, version=__version__))
                shown.advance()
    except KeyboardInterrupt:
        console().print("Interrupted", markup=False, soft_wrap=True)
    if made:
        _write_table(made, output)
    return made, failures, changed, time.monotonic() - started


def _make_pair(recipe, folder, output):
    """Makes one pair; returns the checksum of the sharp photograph's pixels."""
    import numpy as np

    from deblur_keras import images
    from deblur_keras.blur import motion_blur, psfs, random_trajectories

    sharp = images.read(folder / recipe.file)
    path = random_trajectories(
        1, recipe.iterations, recipe.max_length, recipe.intensity, seed=[recipe.seed, 1]
    )[0]
    centering = "bounding-box" if recipe.faithful else "centroid"
    kernel = psfs(path, recipe.exposure, recipe.size, centering)
    blurred = motion_blur(
        sharp,
        kernel,
        recipe.gamma,
        recipe.noise,
        seed=[recipe.seed, 2],
        faithful=bool(recipe.faithful),
    )
    to_see = np.rint(kernel * (255 / kernel.max())).astype(np.uint8)
    written = []
    try:
        for tree, image in zip(_TREES, (blurred, sharp, to_see), strict=True):
            written.append(images.write(output / tree / recipe.pair, image))
    except BaseException:
        for place in written:  # half a pair is worse than none
            place.unlink(missing_ok=True)
        raise
    return hashlib.sha256(sharp.tobytes()).hexdigest()


def _write_table(recipes, output):
    from deblur_keras import images

    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(dataclasses.asdict, recipes))
    data = text.getvalue().encode("utf-8", "surrogateescape")  # names need not be UTF-8
    try:
        images.write_bytes(output / _TABLE, data)
    except OSError as error:
        raise fail(f"{output / _TABLE}: cannot be written: {error.strerror or error}") from None


def _summarize(total, made, failures, changed, folder, output, seconds):
    screen = console()
    for file, error in failures:
        reason = str(error).strip().split("\n")[0].removeprefix(f"{folder / file}: ")
        reason = reason or type(error).__name__
        message = f"failed: {printable(file)}: {printable(reason)}"
        screen.print(message, markup=False, soft_wrap=True)
    for recipe in changed:
        reason = "made by another version" if recipe.version != __version__ else "other pixels"
        message = f"may differ from the table's pair ({reason}): {printable(recipe.pair)}"
        screen.print(message, markup=False, soft_wrap=True)
    parts = [f"{len(made)} of {total} pairs made"]
    if failures:
        parts.append(f"{len(failures)} failed")
    if changed:
        parts.append(f"{len(changed)} may differ from the table's")
    where = f"; written to {printable(output)} in {duration(seconds)}" if made else ""
    click.echo(", ".join(parts) + where)

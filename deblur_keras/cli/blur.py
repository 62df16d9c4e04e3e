"""`deblur-keras blur`: sharp photographs in, pairs of blurred and sharp ones out."""

import dataclasses
import hashlib
import math
import time
import zlib
from collections import Counter
from pathlib import Path

import click

from deblur_keras import __version__
from deblur_keras.cli.blur_table import LATER, TABLE, Recipe, read_table, write_table
from deblur_keras.cli.console import console, duration, fail, printable, progress
from deblur_keras.cli.feeding import Number, camera_options

_ITERATIONS = 2000  # points of a trajectory
_SMALLEST_KERNEL = 64  # the authors' canvas
_SHOWN = 3  # points a side at which the kernels of a rolling camera are shown
_TREES = ("blur", "sharp", "kernels")


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
    type=Number(0, 4000, min_open=True),
    default=60.0,
    show_default=True,
    help="Length of the camera's path in pixels, at full exposure.",
)
@click.option(
    "--exposure",
    "exposures",
    type=Number(0, 1, min_open=True),
    multiple=True,
    help="Part of the path that is exposed; give it several times to pick from several.  "
    "[default: 0.1, 0.5, 1.0; of smooth paths 1.0]",
)
@click.option(
    "--intensity",
    "intensities",
    type=Number(0, 1),
    multiple=True,
    help="Strength of the shake, from 0 (a straight line); give it several times to pick from "
    "several.  [default: the six from 0.003 to 0.01 of DeblurGAN's authors; of smooth paths none]",
)
@click.option(
    "--gamma",
    type=Number(0, 100, min_open=True),
    default=2.2,
    show_default=True,
    help="Light is level ** gamma; 1 blurs the grey levels themselves.",
)
@click.option(
    "--noise",
    type=Number(0, 255),
    default=0.0,
    show_default=True,
    help="Standard deviation of Gaussian noise on the blurred photograph, in grey levels of 255.",
)
@camera_options("off")
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

    Each photograph gets a random camera shake, and what else a camera does if asked for: roll,
    bright lights, noise, JPEG. OUTPUT receives blur/, sharp/ and kernels/ with the tree of FOLDER,
    all PNG, and blur.csv with what made each pair. The sharp side is the photograph, untouched. A
    broken photograph does not stop the rest; the exit code is 1 when one could not be used.

    \b
    Examples:
        deblur-keras blur photos/ -o pairs/
        deblur-keras blur photos/ -o pairs/ --count 4 --seed 7 --noise 2
        deblur-keras blur photos/ -o long/ --max-length 120 --exposure 1
        deblur-keras blur photos/ -o real/ --rotation 1 --highlights 1-4 --shot-noise 0.02 \\
            --read-noise 0.004 --jpeg 75-90
        deblur-keras blur photos/ -o video/ --paths smooth --frames 7-13 --duty 0.05-1 --gamma 1
        deblur-keras blur photos/ -o again/ --from-csv pairs/blur.csv
    """  # noqa: D301 - click wants the real \b
    if folder.resolve().is_relative_to(output.resolve()):
        raise click.UsageError(
            f"the photographs ({printable(folder)}) lie in the output folder "
            f"({printable(output)}); choose another output folder"
        )
    _refuse_contradictions(options)
    if table is None:
        recipes = _new_recipes(folder, output, **options)
    else:
        _refuse_options_beside_table(context, options)
        recipes = read_table(table)
    if not overwrite:
        _refuse_existing(recipes, output)
    made, failures, changed, seconds = _make_pairs(recipes, folder, output)
    _summarize(len(recipes), made, failures, changed, folder, output, seconds)
    if failures or len(made) < len(recipes):
        raise SystemExit(1)


def _new_recipes(
    folder, output, *, seed, count, max_length, exposures, intensities, faithful, **camera
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
    smooth = camera["paths"] == "smooth"
    intensities = (0.0,) if smooth else intensities or SCRIPT_INTENSITIES
    exposures = exposures or ((1.0,) if smooth else SCRIPT_EXPOSURES)
    # Holds any path of this length, wherever its centroid, or its middle, lies (see `blur.psfs`).
    side = 2 * math.ceil(max_length if smooth else max_length / 2) + 4
    recipes = []
    for (file, number), pair in _pair_names(sources, count).items():
        own_seed = int(np.random.SeedSequence([seed, _checksum(file), number]).generate_state(1)[0])
        generator = np.random.default_rng(own_seed)
        recipes.append(
            Recipe(
                file=file,
                pair=pair,
                seed=own_seed,
                intensity=float(generator.choice(intensities)),
                exposure=float(generator.choice(exposures)),
                max_length=max_length,
                # So that neighbours touch, where a smooth path is quickest too.
                iterations=max(_ITERATIONS, math.ceil((4 if smooth else 1) * max_length)),
                size=max(_SMALLEST_KERNEL, side),
                faithful=int(faithful),
                **_pick(own_seed, camera),
            )
        )
    return recipes


def _pick(seed, camera):
    """One of each range, and what is no range; the recipe's own where nothing was given.

    Each is drawn by itself, so that neither their order nor a further range changes it.
    """
    import numpy as np

    picked = {}
    for name, value in camera.items():
        generator = np.random.default_rng([seed, _checksum(name)])
        if not isinstance(value, tuple):
            picked[name] = value
        elif name in ("jpeg", "frames"):
            picked[name] = int(generator.integers(*value, endpoint=True))
        else:
            picked[name] = float(generator.uniform(*value))
    return {name: value for name, value in picked.items() if value is not None}


def _refuse_contradictions(options):
    given = [name for name in LATER if options[name] is not None]
    if options["faithful"] and given:
        names = ", ".join("--" + name.replace("_", "-") for name in given)
        raise click.UsageError(f"--faithful is the authors' picture alone; leave out {names}")
    if options["rotation"] and (options["grid"] or 1) > 1:
        raise click.UsageError("give --rotation or --grid, not both")
    smooth = options["paths"] == "smooth"
    video = [name for name in ("frames", "duty") if options[name] not in (None, 1)]
    if options["rotation"] and (smooth or video):
        name = "paths smooth" if smooth else video[0]
        raise click.UsageError(f"give --rotation or --{name}, not both")
    if smooth and options["intensities"]:
        raise click.UsageError("--intensity is of --paths shake; leave it out")


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
        option.opts[0]
        for option in context.command.params
        if option.name in options
        and context.get_parameter_source(option.name) == click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(
            f"--from-csv decides all about the blur; leave out {', '.join(sorted(given))}"
        )


def _refuse_existing(recipes, output):
    places = [output / tree / recipe.pair for recipe in recipes for tree in _TREES]
    existing = [place for place in [output / TABLE, *places] if place.exists()]
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
        write_table([*made, *_left(made, output)], output)
    return made, failures, changed, time.monotonic() - started


def _left(made, output):
    """The recipes of earlier pairs that are still there, as far as their table can be read."""
    try:
        earlier = read_table(output / TABLE)
    except click.ClickException:
        return []
    again = {recipe.pair for recipe in made}
    return [
        recipe
        for recipe in earlier
        if recipe.pair not in again and (output / _TREES[0] / recipe.pair).exists()
    ]


def _make_pair(recipe, folder, output):
    """Makes one pair; returns the checksum of the sharp photograph's pixels."""
    from deblur_keras import images
    from deblur_keras.blur import motion_blur

    sharp = images.read(folder / recipe.file)
    motion = recipe.motion()
    blurred = motion_blur(
        sharp,
        motion,
        recipe.gamma,
        recipe.noise,
        seed=[recipe.seed, 2],
        faithful=bool(recipe.faithful),
        highlights=recipe.highlights,
        shot_noise=recipe.shot_noise,
        read_noise=recipe.read_noise,
        jpeg=recipe.jpeg or None,
    )
    to_see = _picture(motion, sharp.shape)
    written = []
    try:
        for tree, image in zip(_TREES, (blurred, sharp, to_see), strict=True):
            written.append(images.write(output / tree / recipe.pair, image))
    except BaseException:
        for place in written:  # half a pair is worse than none
            place.unlink(missing_ok=True)
        raise
    return hashlib.sha256(sharp.tobytes()).hexdigest()


def _picture(motion, shape):
    """The kernel as a grey picture; where it differs over the photograph, several side by side."""
    import numpy as np

    from deblur_keras.blur import Shake

    if isinstance(motion, Shake):
        across, down = (np.linspace(-0.5, 0.5, _SHOWN) * (side - 1) for side in shape[1::-1])
        kernels = motion.psfs((across + 1j * down[:, None]).ravel())
        motion = kernels.reshape(_SHOWN, _SHOWN, *kernels.shape[1:])
    pixels = np.rint(motion * (255 / motion.max(axis=(-2, -1), keepdims=True))).astype(np.uint8)
    return np.concatenate(np.concatenate(pixels, axis=1), axis=1) if motion.ndim == 4 else pixels


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

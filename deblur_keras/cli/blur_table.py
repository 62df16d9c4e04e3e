"""What makes a pair of `deblur-keras blur`, and `blur.csv`, the table that keeps it."""

import csv
import dataclasses
import io
from collections import Counter
from pathlib import Path, PurePosixPath

from deblur_keras import __version__
from deblur_keras.cli.console import fail

TABLE = "blur.csv"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All that makes one pair, and a row of `blur.csv`.

    Attributes:
        file: The photograph, below the input folder.
        pair: The results, below blur/, sharp/ and kernels/.
        seed: Of the motion and of the noise.
        intensity: Of `trajectories.random_trajectories`, as `max_length` and `iterations`; 0 for
            smooth paths, which have none.
        exposure: Part of the path that is exposed.
        max_length: Length of the path in pixels.
        iterations: Points of the path.
        size: Side of the kernel in pixels.
        gamma: Of `blur.motion_blur`, as `noise` and those after `faithful`.
        noise: Standard deviation in grey levels.
        faithful: 1 for the picture of the authors' code.
        rotation: Degrees of `shakes.random_shakes`; 0 for none.
        grid: Kernels a side of `shakes.random_psf_grids`; 1 for one kernel.
        highlights: How bright white was; 1 for white.
        shot_noise: Noise in white, as a part of white.
        read_noise: Noise in black, as a part of white.
        jpeg: Quality; 0 for none.
        paths: Of `exposures.random_psfs`, as `frames` and `duty`.
        frames: Parts in which the exposure falls.
        duty: Part of each frame's time in which the shutter is open.
        sha256: Of the sharp photograph's pixels.
        version: Of this package.
    """

    file: str
    pair: str
    seed: int
    intensity: float
    exposure: float
    max_length: float
    iterations: int
    size: int
    gamma: float
    noise: float
    faithful: int
    rotation: float = 0.0
    grid: int = 1
    highlights: float = 1.0
    shot_noise: float = 0.0
    read_noise: float = 0.0
    jpeg: int = 0
    paths: str = "shake"
    frames: int = 1
    duty: float = 1.0
    sha256: str = ""
    version: str = __version__

    def motion(self):
        """Draws the kernel of the pair, its grid of kernels, or its `Shake`."""
        from deblur_keras import blur

        drawn = {
            "seed": [self.seed, 1],
            "max_length": self.max_length,
            "iterations": self.iterations,
            "intensity": self.intensity,
        }
        if self.faithful:
            path = blur.random_trajectories(1, **drawn)[0]
            return blur.psfs(path, self.exposure, self.size, centering="bounding-box")
        drawn["exposure"] = self.exposure
        if self.rotation:
            return blur.random_shakes(1, rotation=self.rotation, **drawn)[0]
        drawn |= {"paths": self.paths, "frames": self.frames, "duty": self.duty}
        if self.paths == "smooth":
            del drawn["intensity"]
        if self.grid > 1:
            return blur.random_psf_grids(1, sides=self.grid, size=self.size, **drawn)[0]
        return blur.random_psfs(1, size=self.size, **drawn)[0]


# What was added later, which older tables leave out.
LATER = (
    *("rotation", "grid", "highlights", "shot_noise", "read_noise", "jpeg"),
    *("paths", "frames", "duty"),
)
_COLUMNS = [field.name for field in dataclasses.fields(Recipe)]


def read_table(table):
    """Reads the recipes of a `blur.csv`, and checks what could do harm.

    Args:
        table: Path of the file.

    Returns:
        List of `Recipe`.

    Raises:
        ClickException: The file is no such table; the message names the line.
    """
    recipes = []
    try:
        with table.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as lines:
            reader = csv.DictReader(lines)
            missing = set(_COLUMNS) - set(LATER) - set(reader.fieldnames or ())
            if missing:
                raise fail(
                    f"{table}: no blur.csv: the columns {', '.join(sorted(missing))} are missing"
                )
            unknown = set(reader.fieldnames) - set(_COLUMNS)
            if unknown:
                raise fail(
                    f"{table}: the columns {', '.join(sorted(unknown))} are not known; was it made "
                    "by a later version?"
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


def write_table(recipes, output):
    """Writes the table of the pairs that were made.

    Args:
        recipes: List of `Recipe`.
        output: Folder to write `blur.csv` to.

    Raises:
        ClickException: The file system refuses.
    """
    from deblur_keras import images

    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(dataclasses.asdict, recipes))
    data = text.getvalue().encode("utf-8", "surrogateescape")  # names need not be UTF-8
    try:
        images.write_bytes(output / TABLE, data)
    except OSError as error:
        raise fail(f"{output / TABLE}: cannot be written: {error.strerror or error}") from None


def _read_row(row):
    if None in row or None in row.values():
        raise ValueError(f"expected a value for each of the {len(row.keys() - {None})} columns")
    values = {}
    for field in dataclasses.fields(Recipe):
        if field.name in LATER and field.name not in row:
            continue
        try:
            values[field.name] = field.type(row[field.name])
        except (TypeError, ValueError):
            raise ValueError(
                f"expected {field.type.__name__} for {field.name}, got {row[field.name]!r}"
            ) from None
    recipe = Recipe(**values)
    for name in (recipe.file, recipe.pair):
        place = PurePosixPath(name)
        if not name or place.is_absolute() or ".." in place.parts or Path(name).is_absolute():
            raise ValueError(f"expected a path below the folder, got {name!r}")
    if PurePosixPath(recipe.pair).suffix != ".png":
        raise ValueError(f"expected a pair's name ending in .png, got {recipe.pair!r}")
    _check_motion(recipe)
    return recipe


def _check_motion(recipe):
    """Raises a ValueError for what `Recipe.motion` could not draw, or not all of."""
    from deblur_keras.trajectories import check_paths

    check_paths(recipe.paths)
    if recipe.frames < 1 or recipe.grid < 1 or not 0 < recipe.duty <= 1:
        raise ValueError(
            "expected frames and grid of at least 1 and a duty in (0, 1], got "
            f"{recipe.frames}, {recipe.grid} and {recipe.duty}"
        )
    plain = recipe.paths == "shake" and recipe.frames == 1 and recipe.duty == 1
    if (recipe.rotation or recipe.faithful) and not (plain and recipe.grid == 1):
        raise ValueError(
            "expected paths shake, frames 1, duty 1 and grid 1 beside rotation or faithful, got "
            f"{recipe.paths}, {recipe.frames}, {recipe.duty} and {recipe.grid}"
        )

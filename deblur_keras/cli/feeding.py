"""Options that decide what a network is fed with: of `train`, `data show` and, in part, `blur`."""

import math
import re

import click

from deblur_keras.cli.pairs import blur_option

# Options that are fields of the recipe, by the same name.
_CAMERA = (
    *("paths", "frames", "duty", "rotation", "grid"),
    *("highlights", "shot_noise", "read_noise", "jpeg"),
)
_FIELDS = ("batch", "crop", "scale", "crops_per_image", *_CAMERA)
_FOLDER = click.Path(exists=True, file_okay=False, resolve_path=True)
_NUMBER = r"\s*((?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"


class Number(click.FloatRange):
    """A float range without NaN, which every comparison lets through."""

    def convert(self, value, parameter, context):
        """Returns a float."""
        number = super().convert(value, parameter, context)
        if math.isnan(number):
            self.fail(f"{value} is no number.", parameter, context)
        return number


class Span(click.ParamType):
    """Takes a number such as `2`, or a range such as `1-4` from which each photograph draws one.

    Args:
        least: The lowest number.
        most: The highest.
        whole: Whether the numbers are whole ones.
    """

    name = "number or low-high"

    def __init__(self, least, most, whole=False):
        self._least, self._most, self._whole = least, most, whole

    def convert(self, value, parameter, context):
        """Returns a number, or a tuple of the lowest and the highest."""
        found = re.fullmatch(f"{_NUMBER}(?:-{_NUMBER})?", str(value))
        try:
            ends = [(int if self._whole else float)(end) for end in found.groups() if end]
        except (AttributeError, ValueError):
            kind = "whole number" if self._whole else "number"
            example = f"{self._least}-{self._most}"
            self.fail(f"{value!r} is no {kind}, nor a range such as {example}.", parameter, context)
        if not all(self._least <= end <= self._most for end in ends):
            limits = f"{self._least} to {self._most}"
            self.fail(f"{value!r} is not within {limits}.", parameter, context)
        if ends[-1] < ends[0]:
            backwards = f"{value!r} runs backwards; write {ends[-1]:g}-{ends[0]:g}."
            self.fail(backwards, parameter, context)
        return ends[0] if ends[0] == ends[-1] else tuple(ends)


class _Cache(click.ParamType):
    """Takes `none`, `memory` or a folder, as `datasets.paired` takes False, True or a folder."""

    name = "none|memory|folder"

    def convert(self, value, parameter, context):
        if value in ("none", "memory"):
            return value == "memory"
        if value == "disk":
            self.fail("say in which folder, such as --cache cache/", parameter, context)
        return click.Path(file_okay=False, resolve_path=True).convert(value, parameter, context)


def camera_options(default):
    """Makes a decorator that adds what a camera does besides shaking, to synthetic blur.

    Args:
        default: What holds where an option is not given, for the help; its value is None then.

    Returns:
        Function that adds --paths, --frames, --duty, --rotation, --grid, --highlights,
        --shot-noise, --read-noise and --jpeg to a command.
    """
    return _adder(
        click.option(
            "--paths",
            type=click.Choice(("shake", "smooth")),
            help="How the camera moves: shake is a long, knotted path, as in DeblurGAN's code; "
            "smooth a line, a bow or a way there and back, as in a moment of a video, of which "
            f"the middle is sharp.  [default: {default.replace('off', 'shake')}]",
        ),
        click.option(
            "--frames",
            type=Span(1, 1000, whole=True),
            help="Average as many frames of a video instead of one exposure, as GoPro's pairs are; "
            "a range such as 7-13 draws for each photograph. Seen where --duty is below 1.  "
            f"[default: {default.replace('off', '1')}]",
        ),
        click.option(
            "--duty",
            type=Span(0.001, 1),
            help="Part of a frame's time in which the shutter is open: in the sun 0.1 or less, so "
            "that motion leaves a row of copies, one for each of --frames; of one frame it is only "
            f"shorter.  [default: {default.replace('off', '1')}]",
        ),
        click.option(
            "--rotation",
            type=Number(0, 45),
            help="Degrees that the camera rolls besides, forth and back added up, so that blur "
            f"grows towards the corners; 1 is a shaky hand.  [default: {default}]",
        ),
        click.option(
            "--grid",
            type=click.IntRange(1, 9),
            help="Kernels along each side of the photograph, blended in between: blur that differs "
            f"from place to place.  [default: {default}]",
        ),
        click.option(
            "--highlights",
            type=Span(1, 1000),
            help="How many times brighter than white the white parts really were, so that they "
            "leave streaks: 2 to 5 by day, 10 for lamps at night. Of this and the three below a "
            f"range such as 1-4 draws one for each photograph.  [default: {default}]",
        ),
        click.option(
            "--shot-noise",
            type=Span(0, 1),
            help="The sensor's noise in white light, as a part of white; 0.03 is visible, 0.1 "
            f"much.  [default: {default}]",
        ),
        click.option(
            "--read-noise",
            type=Span(0, 1),
            help=f"The sensor's noise in black; 0.005 is visible, 0.02 much.  [default: {default}]",
        ),
        click.option(
            "--jpeg",
            type=Span(1, 100, whole=True),
            help="Quality of a JPEG that the blurred photograph goes through.  "
            f"[default: {default}]",
        ),
    )


def feed_options(command):
    """Adds all options, but that of the pairs, on which the stream of training depends.

    Args:
        command: Function, to be decorated by ``click.command``.

    Returns:
        The same function.
    """
    return _FEED(command)


def _adder(*options):
    def add(command):
        for option in reversed(options):  # click lists the last applied first
            command = option(command)
        return command

    return add


_FEED = _adder(
    click.option(
        "--photographs",
        type=_FOLDER,
        help="Folder of sharp photographs, blurred at random; with pairs, both are mixed. For "
        "cyclegan its sharp side.",
    ),
    click.option(
        "--blurred",
        type=_FOLDER,
        help="Folder of blurred photographs without partners, for cyclegan.",
    ),
    blur_option,
    click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False),
        help="TOML file with fields of the recipe to change; `recipes show NAME --toml` prints "
        "all.",
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="FIELD=VALUE",
        help="Change one field, such as generator.filters=32; may be repeated, wins over --config.",
    ),
    click.option(
        "--batch", type=click.IntRange(min=1), help="Crops an update.  [default: the recipe's]"
    ),
    click.option(
        "--crop",
        type=click.IntRange(min=1),
        help="Side of the crops in pixels.  [default: the recipe's]",
    ),
    click.option(
        "--scale",
        type=Number(0, 4, min_open=True),
        help="Reduce pairs first; 0.5 is the papers' halved GoPro. --photographs are not reduced "
        "where they are blurred at random.  [default: the recipe's]",
    ),
    click.option(
        "--crops-per-image",
        type=click.IntRange(min=1),
        help="Crops from each image that is decoded, which saves decoding; an epoch is longer by "
        "that factor.  [default: the recipe's]",
    ),
    camera_options("the recipe's, off"),
    click.option(
        "--cache",
        type=_Cache(),
        default="none",
        show_default=True,
        help="Keep decoded images: in memory, or in a folder, for later runs too. What it takes is "
        "told first, and refused if there is no room. Of this run, not of the recipe: the crops "
        "are the same.",
    ),
    click.option(
        "--max-bad",
        type=click.IntRange(min=0),
        default=10,
        show_default=True,
        help="Images that may turn out broken or unfit; each is named and replaced by another. One "
        "more ends the run. Of this run, not of the recipe.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        default=0,
        show_default=True,
        help="Of weights, data and dropout.",
    ),
)


def changes(config, settings, options, more=()):
    """Reads what is to be changed in a recipe.

    Args:
        config: Path of a TOML file, or None.
        settings: Texts such as ``"batch=4"``.
        options: Dictionary of a command's options; those that are fields of a recipe count.
        more: Names of further options that are.

    Returns:
        List of dictionaries for `Recipe.override`, to be applied one after the other: a kind that
        the settings choose drops what the file says of another.

    Raises:
        RecipeError: A file or a setting cannot be read.
    """
    from deblur_keras import recipes

    names = (*more, *_FIELDS)
    fields = {name: options[name] for name in names if options[name] is not None}
    read = [recipes.read_toml(config)] if config else []
    return [*read, {**recipes.read_settings(settings), **fields}]


def refuse_unused(options, settings, sources):
    """Refuses options that would do nothing.

    Args:
        options: Dictionary of a command's options.
        settings: As `changes` has read them before.
        sources: `feeds.Sources`.

    Raises:
        UsageError: What a camera does is given, and no photographs that would be blurred.
    """
    from deblur_keras import recipes

    given = [f"--{name.replace('_', '-')}" for name in _CAMERA if options[name] is not None]
    given += [f"--set {name}" for name in recipes.read_settings(settings) if name in recipes.BLUR]
    if given and not sources.photographs:
        raise click.UsageError(
            f"{given[0]}: there are no photographs that would be blurred; give --photographs."
        )

"""Which pairs a command scores: the options that say so, and the pairs they mean."""

from pathlib import Path

import click


class Source(click.ParamType):
    """Takes a folder of pairs, made absolute, or the name of a dataset, such as gopro/light."""

    name = "folder or name"

    def convert(self, value, param, ctx):
        """Returns a string."""
        if Path(value).is_dir():
            return str(Path(value).resolve())
        from deblur_keras.datasets import DatasetError, catalog

        try:
            if catalog.is_name(value):
                return catalog.resolve(value) and str(value)
            return self.fail(
                f"{value!r} is neither a folder nor one of {', '.join(catalog.names())}.",
                param,
                ctx,
            )
        except DatasetError as error:
            return self.fail(str(error), param, ctx)


blur_option = click.option(
    "--blur",
    type=click.Choice(["blur", "blur_gamma"]),
    default="blur",
    show_default=True,
    help="Blurred side of GoPro: averaged as stored, or in linear light.",
)
"""Adds --blur to a command that reads pairs."""

_OPTIONS = (
    click.option(
        "--split",
        help="Sub-folder to score, such as test.  [default: test where there is one]",
    ),
    blur_option,
    click.option(
        "--scale",
        type=click.FloatRange(0, 1, min_open=True),
        default=1.0,
        show_default=True,
        help="Reduce both sides first, by area averaging; 0.5 is the papers' halved GoPro.",
    ),
    click.option(
        "--limit",
        type=click.IntRange(min=1),
        help="Score this many pairs only, spread evenly over the set.  [default: all]",
    ),
)


def pair_options(command):
    """Adds --split, --blur, --scale and --limit to a command that scores pairs.

    Args:
        command: function with parameters of these names, to be decorated by ``click.command``.

    Returns:
        The same function.
    """
    for option in reversed(_OPTIONS):  # click lists the last applied first
        command = option(command)
    return command


def chosen_pairs(data, split, blur, limit):
    """Finds the pairs that the options mean.

    Args:
        data: folder of pairs, as `datasets.pairs` takes it.
        split: name of a split; None takes ``test`` where there is one.
        blur: blurred side of GoPro.
        limit: how many pairs at most, spread evenly; None takes all.

    Returns:
        List of `datasets.Pair`, and the name of the split that was used, or None.

    Raises:
        DatasetError: see `datasets.pairs`.
    """
    from deblur_keras import datasets

    if split is None and "test" in datasets.splits(data, blur):
        split = "test"
    return spread(datasets.pairs(data, split=split, blur=blur), limit), split


def spread(items, limit):
    """Picks items at even distances: the first ones alone would all be of one scene.

    Args:
        items: sequence.
        limit: how many to pick; None picks all.

    Example:
        >>> spread([0, 1, 2, 3, 4, 5], 3)
        [0, 2, 4]
    """
    if limit is None or limit >= len(items):
        return items
    return [items[index * len(items) // limit] for index in range(limit)]

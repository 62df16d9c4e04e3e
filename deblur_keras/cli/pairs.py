"""What a command scores, and how: the options that say so, and what they mean."""

import dataclasses
from pathlib import Path
from typing import Any

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

PROTOCOLS = ("gopro", "kohler", "realblur", "paper-000", "paper-004", "unpaired")
"""Names of `evaluation.protocols.PROTOCOLS`, spelled out: importing those loads Keras."""

DETECTION = "detection"
"""Name of the protocol that scores no pixels."""

FIGURES = ("psnr", "ssim", "mse", "mae", "ssim_y", "ms_ssim", "cw_ssim_pyssim", "niqe")
"""Names of `evaluation.figures.FIGURES`, likewise."""

_OPTIONS = (
    click.option(
        "--data",
        required=True,
        type=Source(),
        help="Folder of the pairs (GoPro's tree, blur/ and sharp/, input/ and target/, A/ and B/, "
        "side-by-side files, Koehler's tree), or the name of a dataset, such as gopro/large; under "
        "the protocol unpaired, a folder of photographs.",
    ),
    click.option(
        "--protocol",
        type=click.Choice([*PROTOCOLS, DETECTION]),
        help="What is measured, and how.  [default: that of the dataset's name, else gopro]",
    ),
    click.option(
        "--figure",
        "figures",
        multiple=True,
        type=click.Choice(FIGURES),
        help="Measure this too, beside the protocol's figures; may be given several times.",
    ),
    click.option(
        "--split",
        help="Sub-folder to score, such as test.  [default: test where there is one]",
    ),
    blur_option,
    click.option(
        "--scale",
        type=click.FloatRange(0, 1, min_open=True),
        help="Reduce both sides first, by area averaging.  [default: 1]",
    ),
    click.option(
        "--halved",
        is_flag=True,
        help="The same as --scale 0.5: GoPro at 640x360, where DeblurGAN's 28.7 dB come from.",
    ),
    click.option(
        "--limit",
        type=click.IntRange(min=1),
        help="Score this many pairs only, spread evenly over the set.  [default: all, or as many "
        "as the protocol says]",
    ),
)


def pair_options(command):
    """Adds the options that say what is scored, and how, to a command.

    Args:
        command: function with parameters of their names, to be decorated by ``click.command``.

    Returns:
        The same function.
    """
    for option in reversed(_OPTIONS):  # click lists the last applied first
        command = option(command)
    return command


@dataclasses.dataclass(frozen=True)
class Chosen:
    """Holds what the options of `pair_options` mean.

    Attributes:
        pairs: list of `datasets.Pair`, or of what stands for them.
        protocol: `evaluation.Protocol`; None for detection, which scores no pixels.
        scale: factor in (0, 1].
        facts: dictionary for the report.
    """

    pairs: list
    protocol: Any
    scale: float
    facts: dict


def chosen(data, protocol, figures, split, blur, scale, halved, limit, output=None):
    """Finds what the options mean.

    Args:
        data: folder of pairs, as `datasets.pairs` takes it, or name of a dataset.
        protocol: name of a protocol; None takes the usual one of the data.
        figures: names of further figures.
        split: name of a split; None takes ``test`` where there is one.
        blur: blurred side of GoPro.
        scale: factor; None is 1.
        halved: whether the factor is 0.5.
        limit: how many pairs at most, spread evenly; None takes as many as the protocol.
        output: folder of the results, in which no photographs are looked for; or None.

    Returns:
        `Chosen`.

    Raises:
        DatasetError: see `datasets.pairs`; or the protocol does not fit the data.
        UsageError: two options contradict each other.
    """
    from deblur_keras import datasets
    from deblur_keras.evaluation import protocols, unpaired

    if halved and scale not in (None, 0.5):
        raise click.UsageError(f"--halved is --scale 0.5; got --scale {scale:g} beside it.")
    scale = 0.5 if halved else scale or 1.0
    if protocol == DETECTION:
        if figures:
            raise click.UsageError(
                "--figure is of pixels; it does not go with --protocol detection."
            )
        protocol = None
    else:
        try:
            protocol = protocols.find(protocol or protocols.usual(data)).with_figures(figures)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    if protocol is not None and not protocol.paired:
        found = unpaired.photographs(data if split is None else Path(data) / split, output)
        return Chosen(spread(found, limit), protocol, scale, {"data": data, "split": split})
    if split is None and "test" in datasets.splits(data, blur):
        split = "test"
    # Not `datasets.pairs`, which is as strict as training: a broken file costs its own score alone.
    pairs = datasets.catalog.search(data, split, blur, problem=_raise_unless_unreadable)
    datasets.layouts.check_distinct(pairs, strict=False)
    pairs = spread(pairs, limit or (protocol.images if protocol else None))
    if protocol is not None and protocol.check is not None:
        protocol.check(pairs, scale)
    facts = {"data": data, "split": split, "blur": blur}
    return Chosen(pairs, protocol, scale, facts)


def _raise_unless_unreadable(kind, message, paths):
    from deblur_keras.datasets import DatasetError

    if kind != "unreadable":
        raise DatasetError(message)


def given(context, *names):
    """Names the options that were given on the command line, and not left at their defaults.

    Args:
        context: click's context.
        names: names of parameters.

    Returns:
        List of options, such as ``"--seed"``.
    """
    typed = click.core.ParameterSource.COMMANDLINE
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names and context.get_parameter_source(parameter.name) is typed
    ]


def tell_failures(failures, total):
    """Names the pairs that could not be scored, and ends the command if there are any.

    Args:
        failures: dictionary from their names to what went wrong.
        total: number of pairs that were to be scored.

    Raises:
        ClickException: there are failures.
    """
    from deblur_keras.cli import console

    if not failures:
        return
    for name, text in failures.items():
        click.echo(console.printable(f"not scored: {name}: {text}"), err=True)
    raise console.fail(f"{len(failures)} of {total} pairs could not be scored.")


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

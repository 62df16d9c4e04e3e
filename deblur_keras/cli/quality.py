"""Options of `deblur` and `evaluate` that trade time for better pictures, or blend."""

import click

from deblur_keras.cli.console import printable
from deblur_keras.cli.feeding import Number

_OPTIONS = (
    click.option(
        "--ensemble",
        is_flag=True,
        help="Restore each photograph turned and mirrored in all eight ways, and average, in eight "
        "times the time. What it gains depends on the model.",
    ),
    click.option(
        "--strength",
        type=Number(0, 1),
        default=1.0,
        show_default=True,
        help="Share of the restored photograph in the result; the rest is the photograph as it "
        "was.",
    ),
    click.option(
        "--dropout-samples",
        "samples",
        type=click.IntRange(min=2),
        metavar="N",
        help="Restore each photograph N times with dropout kept active, and take the mean. deblur "
        "writes NAME-uncertainty.png beside it: where the samples differ, bright. For models with "
        "dropout, such as DeblurGAN's; --seed decides the samples.",
    ),
)


def quality_options(command):
    """Adds --ensemble, --strength and --dropout-samples to a command.

    Args:
        command: Function with parameters ``ensemble``, ``strength`` and ``samples``.

    Returns:
        The same function.
    """
    for option in reversed(_OPTIONS):  # click lists the last applied first
        command = option(command)
    return command


class MeanOfSamples:
    """A restorer whose result is the mean of dropout samples, such as `evaluate_pairs` takes.

    Args:
        restorer: `Restorer` with active dropout.
        samples: Number of samples, at least 2.

    Attributes:
        name: That of the restorer.

    Example:
        >>> from deblur_keras.generators import resnet_generator
        >>> from deblur_keras.restorer import Restorer
        >>> import numpy as np
        >>> restorer = Restorer(resnet_generator(4, 1), restore_with_dropout=True, seed=0)
        >>> MeanOfSamples(restorer, 2)(np.zeros((8, 8, 3), "uint8")).shape
        (8, 8, 3)
    """

    def __init__(self, restorer, samples):
        self.name = restorer.name
        self._restorer, self._samples = restorer, samples

    def __call__(self, image):
        """Restores one photograph."""
        return self._restorer.restore_samples(image, self._samples)[0]


def uncertainty_line(destinations):
    """Tells what the uncertainty maps of restored photographs say, and on which scale.

    Args:
        destinations: Paths of the restored photographs, beside which the maps lie.

    Returns:
        A line of text.

    Raises:
        images.ImageError: A map cannot be read.
    """
    from deblur_keras.uncertainty import uncertainty_facts, uncertainty_path

    paths = [uncertainty_path(destination) for destination in destinations]
    facts = [uncertainty_facts(path) for path in paths]
    if len(paths) == 1:
        where = printable(paths[0].name)
    else:
        where = f"{len(paths)} files NAME-uncertainty.png beside the results"
    scales = _span([found["scale"] for found in facts], "{:g}")
    means = _span([found["mean"] for found in facts], "{:.2f}")
    each = "" if len(set(scales.split(" to "))) == 1 else " (each says which in its text)"
    return (
        f"uncertainty: {where}; the samples differ by {means} grey levels of 255 on average "
        f"(standard deviation), and the brightest colour stands for {scales}{each}"
    )


def _span(values, form):
    ends = [form.format(end) for end in (min(values), max(values))]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)

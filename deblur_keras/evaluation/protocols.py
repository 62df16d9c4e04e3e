"""The protocols by which images are scored: what is measured, how, and what was published under it.

Published deblurring figures differ by several decibels for one set of weights because the protocol
is left unsaid. Here each has a name, and says its rules beside its numbers.
"""

import dataclasses
from collections.abc import Callable

from deblur_keras.evaluation import pipeline
from deblur_keras.evaluation.figures import FIGURES, Figure


@dataclasses.dataclass(frozen=True)
class Published:
    """Holds figures that were published under a protocol.

    Attributes:
        who: Method, and the weights where there are several.
        values: Dictionary from names of figures to the published values.
        source: Where they stand.
        note: What to know before they are believed.
    """

    who: str
    values: dict
    source: str
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Says how images are scored.

    Attributes:
        name: What ``--protocol`` takes.
        title: One line on what it is.
        figures: Tuple of `Figure`; the first one leads: it tells which images improved.
        rules: Tuple of sentences that are printed beside the numbers.
        published: Tuple of `Published`.
        data: What the published figures were measured on.
        images: How many images the published figures are means of, spread evenly over the set;
            None takes all.
        extremes: Whether the highest and the lowest value belong to the summary, beside the mean.
        alone: How many images are restored with nothing else at work, so that their seconds can be
            told; None for all, where the seconds are themselves among the figures.
        measure: Function ``(pair, sharp, blurred, restored) -> {name: (blurred's, restored's)}``,
            or None for the figures' own.
        check: Function ``(pairs, scale)`` that raises `DatasetError` for data that the protocol
            cannot score, or None.
    """

    name: str
    title: str
    figures: tuple[Figure, ...]
    rules: tuple[str, ...]
    published: tuple[Published, ...] = ()
    data: str = ""
    images: int | None = None
    extremes: bool = False
    alone: int | None = pipeline.TIMED_ALONE
    measure: Callable | None = None
    check: Callable | None = None

    def score(self, pair, sharp, blurred, restored):
        """Measures one image, and the blurred input in the same way.

        Args:
            pair: The pair, for protocols that need more of it than two images.
            sharp: uint8 RGB image ``(H, W, 3)``.
            blurred: Image of the same shape.
            restored: Image of the same shape.

        Returns:
            Dictionary from the names of the figures to ``(blurred's value, restored's value)``.
        """
        if self.measure is not None:
            return self.measure(pair, sharp, blurred, restored)
        return {
            figure.name: (figure.score(sharp, blurred), figure.score(sharp, restored))
            for figure in self.figures
        }

    def facts(self):
        """Returns what a report says of the protocol, a dictionary for JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "rules": list(self.rules),
            "metrics": [figure.variant for figure in self.figures],
            "published": [dataclasses.asdict(entry) for entry in self.published],
        }

    def with_figures(self, names):
        """Returns the protocol with further figures, measured between sharp and restored.

        Args:
            names: Names of figures in `FIGURES`; those that it has already change nothing.

        Returns:
            A `Protocol`.

        Raises:
            ValueError: If there is no such figure; the known ones are listed.
        """
        unknown = [name for name in names if name not in FIGURES]
        if unknown:
            raise ValueError(
                f"expected figures among {', '.join(FIGURES)}; got {', '.join(unknown)}"
            )
        mine = {figure.name for figure in self.figures}
        more = tuple(FIGURES[name] for name in dict.fromkeys(names) if name not in mine)
        if not more:
            return self

        def measure(pair, sharp, blurred, restored):
            found = self.score(pair, sharp, blurred, restored)
            for figure in more:
                found[figure.name] = figure.score(sharp, blurred), figure.score(sharp, restored)
            return found

        return dataclasses.replace(self, figures=self.figures + more, measure=measure)


def _figures(*names):
    return tuple(FIGURES[name] for name in names)


_WHOLE = "whole images, each by itself, the restored one rounded to uint8 as on disk"

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "gopro",
            "PSNR, SSIM and MSE of whole images, as on GoPro's 1111 test pairs",
            _figures("psnr", "ssim", "mse"),
            (_WHOLE, "means over images; an image equal to its sharp one is left out of the PSNR"),
            (
                Published(
                    "DeblurGAN",
                    {"psnr": 28.7},
                    "DeblurGAN, table 1",
                    "size unstated; its SSIM of 0.958 is pyssim's complex-wavelet one",
                ),
                Published(
                    "DeblurGAN's weights, at 1280x720",
                    {"psnr": 25.20},
                    "issue 106 of the authors' code, measured by a user",
                ),
                Published(
                    "DeblurGAN's weights, at 640x360",
                    {"psnr": 28.125, "ssim": 0.856},
                    "issue 111 of the authors' code, measured by a user",
                    "the same images score 0.956 with pyssim's SSIM",
                ),
                Published(
                    "dense separable generator",
                    {"psnr": 27.19, "ssim": 0.82},
                    "the dense separable paper, table 1",
                    "size and SSIM unstated; 26.38 and 0.73 for DeblurGAN",
                ),
            ),
            data="GoPro's test set, 1111 pairs",
        ),
        Protocol(
            "paper-000",
            "SSIM and MSE of 216 images, as the comparison of DeblurGAN with CycleGAN",
            _figures("ssim", "mse"),
            (_WHOLE, "216 images, spread evenly over the set, or all if there are fewer"),
            (
                Published("DeblurGAN", {"ssim": 0.737, "mse": 667.3}, "table I"),
                Published("CycleGAN", {"ssim": 0.784, "mse": 565.7}, "table I"),
            ),
            data="216 images of GoPro's light version",
            images=216,
        ),
        Protocol(
            "paper-004",
            "highest, lowest and mean PSNR, SSIM and seconds, as the GAN with a BCE discriminator",
            _figures("psnr", "ssim"),
            (_WHOLE, "seconds: batch 1, one image at a time, nothing else at work, warm-up apart"),
            (
                Published(
                    "GAN with a BCE discriminator, mean",
                    {"psnr": 29.1644, "ssim": 0.7459, "seconds": 4.6921},
                    "its table 3",
                    "on a laptop (1.4 GHz, four cores)",
                ),
                Published(
                    "the same, highest",
                    {"psnr": 30.7574, "ssim": 0.7995, "seconds": 5.51},
                    "its table 3",
                ),
                Published(
                    "the same, lowest",
                    {"psnr": 26.4420, "ssim": 0.6499, "seconds": 4.1807},
                    "its table 3",
                ),
            ),
            data="GoPro's light version",
            extremes=True,
            alone=None,
        ),
    )
}
"""Dictionary from the names of the protocols to the `Protocol`."""


def find(name):
    """Finds a protocol by its name.

    Args:
        name: Such as ``"gopro"``.

    Returns:
        A `Protocol`.

    Raises:
        ValueError: If there is none of that name; the known ones are listed.

    Example:
        >>> [figure.title for figure in find("paper-000").figures]
        ['SSIM', 'MSE']
    """
    if name not in PROTOCOLS:
        raise ValueError(f"expected a protocol among {', '.join(PROTOCOLS)}; got {name!r}")
    return PROTOCOLS[name]


def usual(source):
    """Names the protocol that data are scored by unless another is asked for.

    Args:
        source: A folder, or the name of a dataset.

    Returns:
        ``"kohler"`` or ``"realblur"`` for the datasets of these names, else ``"gopro"``.

    Example:
        >>> usual("realblur/j"), usual("my/photos")
        ('realblur', 'gopro')
    """
    dataset = str(source).partition("/")[0]
    return dataset if dataset in PROTOCOLS else "gopro"

"""The protocols by which images are scored: what is measured, how, and what was published under it.

Published deblurring figures differ by several decibels for one set of weights because the protocol
is left unsaid. Here each has a name, and says its rules beside its numbers.
"""

import dataclasses
from collections.abc import Callable

from deblur_keras.datasets import DatasetError, kohler_folder
from deblur_keras.evaluation import kohler, pipeline, realblur
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
        paired: Whether there are sharp partners; without, ``sharp`` is None.
        further: What is to be said of further figures, which are measured between the images as
            they are; None where they would mean nothing.
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
    paired: bool = True
    further: str | None = ""

    def score(self, pair, sharp, blurred, restored):
        """Measures one image, and the blurred input in the same way.

        Args:
            pair: The pair, for protocols that need more of it than two images.
            sharp: uint8 RGB image ``(H, W, 3)``, or None.
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
        if not self.paired and (wrong := [name for name in names if name != "niqe"]):
            raise ValueError(
                f"{', '.join(wrong)}: expected figures that need no sharp partner, as there is none"
                f" under the protocol {self.name}: niqe"
            )
        mine = {figure.name for figure in self.figures}
        more = tuple(FIGURES[name] for name in dict.fromkeys(names) if name not in mine)
        if not more:
            return self
        if self.further is None:
            raise ValueError(
                f"{', '.join(figure.name for figure in more)}: the protocol {self.name} has its"
                f" own figures, {', '.join(sorted(mine))}; others mean nothing by its rules"
            )
        more = tuple(
            dataclasses.replace(figure, variant=figure.variant + self.further) for figure in more
        )

        def measure(pair, sharp, blurred, restored):
            found = self.score(pair, sharp, blurred, restored)
            for figure in more:
                found[figure.name] = figure.score(sharp, blurred), figure.score(sharp, restored)
            return found

        return dataclasses.replace(self, figures=self.figures + more, measure=measure)


def _figures(*names, variants=None):
    figures = [FIGURES[name] for name in names]
    if variants is None:
        return tuple(figures)
    return tuple(dataclasses.replace(figure, variant=variants[figure.name]) for figure in figures)


def _kohler(shot, sharp, blurred, restored):
    found = kohler.score(shot, [blurred, restored])
    return {name: tuple(side[name] for side in found) for name in ("psnr", "ms_ssim", "mse")}


def _check_kohler(pairs, scale):
    without = [pair.name for pair in pairs if not getattr(pair, "frames", ())]
    if without:
        raise DatasetError(
            f"{without[0]}: the protocol kohler needs the sharp frames of each shot; expected the "
            "dataset kohler, or a folder of its unpacked archives"
        )
    if scale != 1:
        raise DatasetError(f"the protocol kohler scores whole images; got a scale of {scale:g}")


def _realblur(pair, sharp, blurred, restored):
    found = [realblur.score(sharp, image) for image in (blurred, restored)]
    return {name: tuple(float(side[name]) for side in found) for name in _REALBLUR}


_REALBLUR = ("psnr", "ssim", "registered")
_REGISTERED = Figure(
    *("registered", "registered", "", True, ".4f"),
    "registered: share of the images whose homography was found",
    lambda sharp, image: float(realblur.score(sharp, image)["registered"]),
    least=realblur.WINDOW,
)


_DENSE = 'Zhang and Wang, "Motion deblurring method based on Improved DeblurGAN", table 1'
_UNPAIRED = "Wang and Qiang, table I"
_BCE = 'Li, "Generative Adversarial Network on Motion-Blur Image Restoration", table 3'
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
                    "Kupyn et al., CVPR 2018, section 5",
                    "size unstated; its SSIM of 0.958 is pyssim's CW-SSIM",
                ),
                Published(
                    "DeblurGAN's weights, at 1280x720",
                    {"psnr": 25.2},
                    "issue 106 of KupynOrest/DeblurGAN, measured by a user",
                ),
                Published(
                    "DeblurGAN's weights, at 640x360",
                    {"psnr": 28.125, "ssim": 0.856},
                    "issue 111 of KupynOrest/DeblurGAN, measured by a user",
                    "by pyssim, whose CW-SSIM of the same images is 0.956",
                ),
                Published(
                    "dense separable generator",
                    {"psnr": 27.19, "ssim": 0.82},
                    _DENSE,
                    "size and SSIM unstated; 26.38 and 0.73 for DeblurGAN",
                ),
            ),
            data="GoPro's test set, 1111 pairs",
        ),
        Protocol(
            "kohler",
            "PSNR and MS-SSIM, best over the sharp frames of each shot, as Koehler's own code",
            _figures("psnr", "ms_ssim", "mse", variants=kohler.VARIANTS),
            kohler.RULES,
            tuple(Published(*entry) for entry in kohler.PUBLISHED),
            data="Koehler's 48 shots",
            measure=_kohler,
            check=_check_kohler,
            further=None,
        ),
        Protocol(
            "realblur",
            "PSNR and SSIM after registration, as RealBlur's own code",
            (*_figures("psnr", "ssim", variants=realblur.VARIANTS), _REGISTERED),
            realblur.RULES,
            data="RealBlur's test sets, 980 pairs each",
            measure=_realblur,
            further=", before the registration",
        ),
        Protocol(
            "paper-000",
            "SSIM and MSE of 216 images, as the comparison of DeblurGAN with CycleGAN",
            _figures("ssim", "mse"),
            (_WHOLE, "216 images, spread evenly over the set, or all if there are fewer"),
            (
                Published("DeblurGAN", {"ssim": 0.737, "mse": 667.3}, _UNPAIRED),
                Published("CycleGAN", {"ssim": 0.784, "mse": 565.7}, _UNPAIRED),
            ),
            data="216 images of GoPro's light version",
            images=216,
        ),
        Protocol(
            "paper-004",
            "highest, lowest and mean PSNR, SSIM and seconds, as the GAN with a BCE discriminator",
            _figures("psnr", "ssim"),
            (_WHOLE, "seconds: batch 1, one image at a time, alone in this process, warm-up apart"),
            (
                Published(
                    "GAN with a BCE discriminator, mean",
                    {"psnr": 29.1644, "ssim": 0.7459, "seconds": 4.6921},
                    _BCE,
                    "on a laptop (1.4 GHz, four cores)",
                ),
                Published(
                    "the same, highest",
                    {"psnr": 30.7574, "ssim": 0.7995, "seconds": 5.51},
                    _BCE,
                ),
                Published(
                    "the same, lowest",
                    {"psnr": 26.4420, "ssim": 0.6499, "seconds": 4.1807},
                    _BCE,
                ),
            ),
            data="GoPro's light version",
            extremes=True,
            alone=None,
        ),
        Protocol(
            "unpaired",
            "NIQE of photographs that have no sharp partner",
            _figures("niqe"),
            (
                _WHOLE,
                "no sharp partner: NIQE tells how natural an image looks, not whether it is right",
                "few pixels score worse than many: compare images of one size only",
            ),
            paired=False,
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
        ``"kohler"`` or ``"realblur"`` for the datasets of these names, ``"kohler"`` for a folder of
        its unpacked archives, else ``"gopro"``.

    Example:
        >>> usual("realblur/j"), usual("my/photos")
        ('realblur', 'gopro')
    """
    dataset = str(source).partition("/")[0]
    if dataset in ("kohler", "realblur"):
        return dataset
    return "kohler" if kohler_folder.is_kohler(source) else "gopro"

"""The figures that images are scored with: how each is named, worded, measured and compared."""

import dataclasses
import math
from collections.abc import Callable

from deblur_keras import metrics


@dataclasses.dataclass(frozen=True)
class Figure:
    """Says what a figure is.

    Attributes:
        name: What it is called in files and options, such as ``"psnr"``.
        title: What it is called in tables, such as ``"PSNR"``.
        unit: Its unit, empty where it has none.
        higher_is_better: Which way it points.
        form: How a value is formatted, in tables and sentences.
        variant: The sentence that is printed beside the numbers: two figures of one name compare
            only if this is the same.
        measure: Function ``(sharp, image) -> float`` of two uint8 RGB images ``(H, W, 3)``.
        least: Height and width in pixels that it needs; below, and wherever else it is not
            defined, it is NaN.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool
    form: str
    variant: str
    measure: Callable
    least: int = 1

    def score(self, sharp, image):
        """Measures an image against its sharp partner.

        Args:
            sharp: uint8 RGB image ``(H, W, 3)``; None for figures that need none.
            image: uint8 RGB image, of the same shape.

        Returns:
            A float; NaN where the figure is not defined.
        """
        if min(image.shape[:2]) < self.least:
            return math.nan
        try:
            return self.measure(sharp, image)
        except ValueError:  # the image is whole, but has too few pixels, or nothing on them
            return math.nan

    def text(self, value, signed=False):
        """Formats a value without its unit, a dash for None.

        Example:
            >>> FIGURES["psnr"].text(24.896), FIGURES["ssim"].text(0.01, signed=True)
            ('24.90', '+0.0100')
        """
        if value is None:
            return "-"
        text = format(value, ("+" if signed else "") + self.form)
        return text.replace("-", "+" if signed else "") if float(text) == 0 else text  # not -0.00

    @property
    def short_unit(self):
        """The unit where it is short enough to stand beside a number, else nothing."""
        return self.unit if len(self.unit) == 2 else ""

    @property
    def heading(self):
        """Title and unit for the head of a column, such as ``"PSNR, dB"``."""
        return f"{self.title}, {self.short_unit}" if self.short_unit else self.title


def _of_metric(function):
    """Returns ``(sharp, image) -> float`` over a metric of batches."""

    def measure(sharp, image):
        return float(function(sharp[None], image[None], data_range=255)[0])

    return measure


FIGURES = {
    figure.name: figure
    for figure in (
        Figure("psnr", "PSNR", "dB", True, ".2f", metrics.PSNR_VARIANT, _of_metric(metrics.psnr)),
        Figure(
            *("ssim", "SSIM", "", True, ".4f", metrics.SSIM_VARIANT),
            _of_metric(metrics.ssim),
            least=metrics.WINDOW,
        ),
        Figure(
            *("mse", "MSE", "squared grey levels", False, ".1f", metrics.MSE_VARIANT),
            _of_metric(metrics.mse),
        ),
        Figure(
            *("mae", "MAE", "grey levels", False, ".2f", metrics.MAE_VARIANT),
            _of_metric(metrics.mae),
        ),
        Figure(
            *("ssim_y", "SSIM of luma", "", True, ".4f", metrics.SSIM_Y_VARIANT),
            _of_metric(metrics.ssim_y),
            least=metrics.WINDOW,
        ),
        Figure(
            *("ms_ssim", "MS-SSIM", "", True, ".4f", metrics.MS_SSIM_VARIANT),
            _of_metric(metrics.ms_ssim),
            least=metrics.MS_SSIM_SIZE,
        ),
        Figure(
            *("cw_ssim_pyssim", "CW-SSIM", "", True, ".4f", metrics.CW_SSIM_PYSSIM_VARIANT),
            _of_metric(metrics.cw_ssim_pyssim),
        ),
        Figure(
            *("niqe", "NIQE", "", False, ".2f", metrics.NIQE_VARIANT),
            lambda sharp, image: metrics.niqe(image),
        ),
    )
}
"""Dictionary from the names of the figures to the `Figure`; the order is that of tables."""

"""The figures of one image, blurred and restored, and the row of ``scores.csv`` that holds them."""

import dataclasses

from deblur_keras.evaluation.journal import plain


@dataclasses.dataclass(frozen=True)
class Score:
    """Holds the figures of one image.

    Attributes:
        name: Name of the pair.
        width: Width as scored, in pixels.
        height: Height as scored, in pixels.
        blurred: Dictionary from the names of the figures to the values of the blurred input. PSNR
            is infinite where it equals the sharp image, SSIM NaN for one below 11x11 pixels.
        restored: The same of the restored image.
        seconds: Time that restoring took with nothing else at work; None where there was.
    """

    name: str
    width: int
    height: int
    blurred: dict
    restored: dict
    seconds: float | None = None

    def gain(self, figure):
        """Tells by how much restoring changed a figure; 0 where both are infinite.

        Args:
            figure: Its name.

        Example:
            >>> Score("a", 8, 8, {"psnr": 20.0}, {"psnr": 23.0}).gain("psnr")
            3.0
        """
        before, after = self.blurred[figure], self.restored[figure]
        return 0.0 if before == after else after - before  # inf - inf would be NaN

    @property
    def timed(self):
        """Whether there are seconds."""
        return self.seconds is not None


def improvement(score, figure):
    """Tells by how much restoring made an image better, whichever way the figure points.

    Args:
        score: A `Score`.
        figure: A `Figure` that it has.

    Returns:
        A float, positive for the better; infinite where one side equals the sharp image, NaN where
        the figure is not defined.
    """
    return score.gain(figure.name) * (1 if figure.higher_is_better else -1)


def columns(protocol):
    """Names the columns of ``scores.csv``.

    Args:
        protocol: A `Protocol`.

    Returns:
        Tuple of names: for each figure ``<name>_blurred``, ``<name>_restored``, ``<name>_gain``.
    """
    figures = [
        f"{figure.name}_{what}"
        for figure in protocol.figures
        for what in ("blurred", "restored", "gain")
    ]
    return ("name", "width", "height", *figures, "seconds")


def to_row(score):
    """Turns a `Score` into a row of ``scores.csv``, a dictionary."""
    row = {"name": score.name, "width": score.width, "height": score.height}
    for name in score.blurred:
        row[f"{name}_blurred"] = score.blurred[name]
        row[f"{name}_restored"] = score.restored[name]
        row[f"{name}_gain"] = score.gain(name)
    return {**row, "seconds": score.seconds}


def from_row(protocol, row):
    """Turns a row of ``scores.csv`` back into a `Score`."""
    blurred, restored = (
        {figure.name: float(row[f"{figure.name}_{side}"]) for figure in protocol.figures}
        for side in ("blurred", "restored")
    )
    seconds = float(row["seconds"]) if row["seconds"] else None
    return Score(row["name"], int(row["width"]), int(row["height"]), blurred, restored, seconds)


def rounded(value):
    """Rounds a value to what the table holds, so that a continued run has the very same numbers."""
    return float(plain(float(value)))

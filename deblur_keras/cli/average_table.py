"""What made a pair of `deblur-keras average`, and `average.csv`, the table that keeps it."""

import csv
import dataclasses
import io

from deblur_keras.cli.console import fail

TABLE = "average.csv"


@dataclasses.dataclass(frozen=True)
class Row:
    """Holds what made a pair.

    Attributes:
        pair: Its name below the split, without the side.
        source: The video, or the folder of frames.
        first: Label of the first frame: its number in a video, from 0, or its file's name.
        middle: Label of the sharp frame.
        last: Label of the last frame.
        frames: How many were averaged.
        width: Of both sides, in pixels.
        height: The same.
        gamma: Light is ``level ** gamma``.
        scale: By which the frames were reduced first.
        motion: Pixels, as `averaging.motion` measures them.
        psnr: Of blurred against sharp, in dB.
    """

    pair: str
    source: str
    first: str
    middle: str
    last: str
    frames: int
    width: int
    height: int
    gamma: float
    scale: float
    motion: float
    psnr: float


def write_table(rows, folder):
    """Writes ``average.csv``, whole or not at all; nothing where there are no rows.

    Args:
        rows: List of `Row`.
        folder: Folder of the split.

    Raises:
        ClickException: It cannot be written.

    Example:
        >>> write_table([], "nowhere")
    """
    from deblur_keras import images

    if not rows:
        return
    text = io.StringIO(newline="")
    names = [field.name for field in dataclasses.fields(Row)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(dataclasses.asdict, rows))
    data = text.getvalue().encode("utf-8", "surrogateescape")  # names need not be UTF-8
    try:
        images.write_bytes(folder / TABLE, data)
    except OSError as error:
        raise fail(f"{folder / TABLE}: cannot be written: {error.strerror or error}") from None

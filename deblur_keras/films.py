"""A short film of pictures that were made one after the other, as a GIF of bounded size."""

import re
from pathlib import Path

import numpy as np

from deblur_keras import images

_FRAMES = 24
_PIXELS = 400_000  # of a frame
_SHOWN, _SHOWN_LAST = 400, 2000  # milliseconds
_BAND = 22  # px, above each frame, for its number


def sheets_film(folder, path, frames=_FRAMES, pixels=_PIXELS):
    """Makes a film of the sample sheets of a run, so that one sees what the training did.

    Args:
        folder: Folder of the sheets, ``step-0000500.png`` and so on; only those of the newest
            one's size are shown.
        path: GIF file to write, whole or not at all.
        frames: The most frames; of more sheets, the first, the last and some between are taken.
        pixels: The most pixels of a frame: larger sheets are reduced, small ones enlarged by a
            whole factor.

    Returns:
        The path, a `pathlib.Path`; None if there are not two sheets to show.

    Raises:
        OSError: If a file cannot be read or written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for step in (1, 2):
        ...         sheet = np.full((20, 30, 3), 90 * step, np.uint8)
        ...         _ = images.write(Path(folder) / f"step-{step:07d}.png", sheet)
        ...     sheets_film(folder, Path(folder) / "samples.gif").name
        'samples.gif'
    """
    from PIL import Image

    files = sorted(Path(folder).glob("step-*.png"), key=_step)
    if len(files) < 2:
        return None
    chosen = np.unique(np.linspace(0, len(files) - 1, frames).round().astype(int))
    pictures = [_frame(files[index], pixels) for index in chosen]
    pictures = [picture for picture in pictures if picture.size == pictures[-1].size]
    if len(pictures) < 2:
        return None
    # One palette and no dither, so that what stays the same takes no room in the file.
    both = np.concatenate([np.asarray(pictures[index]) for index in (0, -1)])
    palette = Image.fromarray(both).quantize(256)
    flat = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    durations = [_SHOWN] * (len(flat) - 1) + [_SHOWN_LAST]
    with images.atomic_path(path) as temporary:
        flat[0].save(
            temporary, save_all=True, append_images=flat[1:], duration=durations, loop=0, disposal=1
        )
    return Path(path)


def _step(path):
    found = re.search(r"\d+", path.stem)
    return int(found[0]) if found else 0


def _frame(path, pixels):
    """Reads a sheet, reduces it, and writes its number above it."""
    from PIL import Image, ImageDraw, ImageFont

    sheet = Image.fromarray(images.read(path))
    factor = (pixels / (sheet.width * sheet.height)) ** 0.5
    factor = int(factor) or factor  # small ones are enlarged with their pixels kept square
    size = [max(round(side * factor), 1) for side in sheet.size]
    frame = Image.new("RGB", (size[0], size[1] + _BAND), "white")
    frame.paste(sheet.resize(size, Image.Resampling.BOX), (0, _BAND))
    text = f"update {_step(path)}"
    ImageDraw.Draw(frame).text((8, 3), text, "black", ImageFont.load_default(14))
    return frame

"""Finds the shots of Koehler's dataset in a folder of its unpacked archives.

The authors' archives hold ``Blurry<image>_<trajectory>.png`` and
``Image<image>/Kernel<trajectory>/GroundTruth<image>_<trajectory>_<frame>.png``, all numbers from 1.
They may lie side by side in one folder, or each in one of its own. What their ground truth really
is, `deblur_keras.datasets.kohler` says.
"""

import dataclasses
import re
from pathlib import Path

from deblur_keras import images
from deblur_keras.datasets.layouts import DatasetError, Pair

FRAMES = {(image, trajectory): 199 for image in range(1, 5) for trajectory in range(1, 13)} | {
    (2, 11): 200,
    **dict.fromkeys([(1, 10), (1, 12), (2, 10), (3, 7), (3, 12), (4, 12)], 198),
}
"""Dictionary from (image, trajectory), both from 1, to the number of sharp frames of that shot."""

_BLURRED = re.compile(r"Blurry(\d+)_(\d+)\.png")
_FRAME = re.compile(r"GroundTruth(\d+)_(\d+)_(\d+)\.png")
_PAGE = "https://webdav.tuebingen.mpg.de/pixel/benchmark4camerashake/"
_SHOWN = 5  # shots listed in an error


@dataclasses.dataclass(frozen=True)
class Shot(Pair):
    """Holds the files of one shot: a blurred photograph and all its sharp frames.

    It has what a `records.Record` of the dataset ``kohler`` has, and reads the same pixels.

    Attributes:
        name: ``"image<1 to 4>/trajectory<01 to 12>"``.
        blurred: File of the blurred photograph.
        sharp: File of the middle frame.
        frames: Tuple of the files of all frames, in their order.
    """

    frames: tuple[Path, ...] = ()

    def read_frame(self, number):
        """Reads one of the frames.

        Args:
            number: Its place in ``frames``, from 0.

        Returns:
            uint8 RGB array ``(H, W, 3)``.

        Raises:
            ImageError: The file is missing or broken.
        """
        return images.read(self.frames[number])


def is_kohler(directory):
    """Tells whether a folder holds Koehler's blurred photographs, or frames, under their own names.

    Args:
        directory: Folder; it and the folders right below it are looked at, and where the frames
            lie, ``Image<image>/Kernel<trajectory>``.

    Returns:
        Whether there is any such file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = images.write_bytes(Path(folder) / "BlurryImages" / "Blurry1_1.png", b"")
        ...     is_kohler(folder), is_kohler(Path(folder).parent / "nothing")
        (True, False)
    """
    directory = Path(directory)
    return any(
        pattern.fullmatch(path.name)
        for glob, pattern in (
            ("Blurry*_*.png", _BLURRED),
            ("*/Blurry*_*.png", _BLURRED),
            ("Image*/Kernel*/GroundTruth*.png", _FRAME),
            ("*/Image*/Kernel*/GroundTruth*.png", _FRAME),
        )
        for path in directory.glob(glob)
    )


def pairs(directory, expected=None):
    """Finds the shots in a folder of the unpacked archives, and checks that all are there.

    Args:
        directory: Folder; it is searched to the bottom.
        expected: Dictionary from (image, trajectory) to the number of frames that must be there;
            `FRAMES`, the whole set, if None.

    Returns:
        List of `Shot`, sorted by name.

    Raises:
        DatasetError: The directory does not exist; blurred photographs, all frames of a shot or
            some are missing; or there are two files for one.

    Example:
        >>> import tempfile
        >>> names = ["Blurry1_2.png"] + [f"GroundTruth1_2_{number}.png" for number in (1, 2, 10)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in names:
        ...         _ = images.write_bytes(Path(folder) / name, b"")
        ...     (shot,) = pairs(folder, {(1, 2): 3})
        >>> shot.name, shot.sharp.name, len(shot.frames)
        ('image1/trajectory02', 'GroundTruth1_2_2.png', 3)
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise DatasetError(
            f"{directory}: expected a folder with Koehler's unpacked archives; there is no such"
            " folder"
        )
    blurred, frames = _files(directory)
    _check(directory, blurred, frames, FRAMES if expected is None else expected)
    return [_shot(key, blurred[key], frames[key]) for key in sorted(blurred)]


def _files(directory):
    """Returns the blurred files by (image, trajectory), and the frames by that and their number."""
    blurred, frames = {}, {}
    for source in images.find(directory):
        path = source.path
        if match := _BLURRED.fullmatch(path.name):
            key, held = tuple(map(int, match.groups())), blurred
        elif match := _FRAME.fullmatch(path.name):
            image, trajectory, key = map(int, match.groups())
            held = frames.setdefault((image, trajectory), {})
        else:
            continue
        if key in held:
            raise DatasetError(
                f"{held[key]} and {path} are both called {path.name}, which must be there once;"
                " take one away"
            )
        held[key] = path
    return blurred, frames


def _check(directory, blurred, frames, expected):
    """Raises with all that is missing or too much."""
    wrong = []
    there = expected.keys() | blurred.keys() | frames.keys()
    for kind, shots in (
        ("no blurred photograph, Blurry<image>_<trajectory>.png, of", there - blurred.keys()),
        ("no sharp frames, GroundTruth<image>_<trajectory>_<frame>.png, of", there - frames.keys()),
        ("expected no", there - expected.keys()),
    ):
        if shots:
            wrong.append(f"{kind} {_some([_name(shot) for shot in sorted(shots)])}")
    counts = [
        f"{_name(shot)} has {_numbers(frames[shot])} where {count} are expected"
        for shot, count in sorted(expected.items())
        if shot in frames and len(frames[shot]) != count
    ]
    if counts:
        wrong.append(_some(counts))
    if wrong:
        raise DatasetError(
            f"{directory}: expected all {len(expected)} shots of Koehler's dataset, each with its"
            f" blurred photograph and all its frames: {'; '.join(wrong)}. Unpack BlurryImages.zip"
            f" and GroundTruth_pngs_Image1.zip to GroundTruth_pngs_Image4.zip of {_PAGE} there"
        )


def _shot(key, blurred, frames):
    files = tuple(path for _, path in sorted(frames.items()))
    return Shot(_name(key), blurred, files[(len(files) - 1) // 2], frames=files)


def _name(key):
    return f"image{key[0]}/trajectory{key[1]:02}"


def _numbers(frames):
    """Says which frames there are: how many, from which to which."""
    return f"{len(frames)} frames ({min(frames)} to {max(frames)})"


def _some(names):
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

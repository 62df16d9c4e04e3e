"""Finds the frames of fast cameras, in videos and in folders, and gives them one after the other.

A frame is decoded when it is asked for and not kept, so that the length of a video does not matter.
"""

import collections.abc
import contextlib
import dataclasses
import functools
import itertools
import os
import re
from pathlib import Path

import cv2
import numpy as np

from deblur_keras import images

VIDEO_SUFFIXES = frozenset(
    [  # not .ts, which is TypeScript too
        ".3gp",
        ".avi",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".webm",
        ".wmv",
    ]
)
"""The lower-case suffixes of the files in a folder that are taken for videos."""

# Names that mean something to `datasets.pairs`, so that no scene's folder may have them.
_SIDES = {"blur", "blur_gamma", "sharp", "input", "target", "a", "b"}
_SPLITS = {"train", "test", "val", "valid", "validation"}


@dataclasses.dataclass(frozen=True)
class Frame:
    """Holds a frame that need not have been decoded yet.

    Attributes:
        label: what tells it from the others: its number in a video, from 0, or its file's name.
        read: callable without arguments that gives the pixels, uint8 RGB (H, W, 3), or raises
            `images.ImageError`. To be called before the next frame is asked for.
        seconds: when a video shows it, from the video's own zero; None for a file.
    """

    label: str
    read: collections.abc.Callable
    seconds: float | None = None


@dataclasses.dataclass(frozen=True)
class Scene:
    """Holds where the frames of one scene are.

    Attributes:
        name: name for its folder, without clash within one call of `scenes`.
        path: the video, or the folder of frames.
        files: the frames of a folder in order; empty for a video.
        count: how many frames there are, for a video what its header says; 0 for unknown.
    """

    name: str
    path: Path
    files: tuple = ()
    count: int = 0

    def frames(self):
        """Gives the frames in order, decoding none of them yet.

        Yields:
            `Frame`.

        Raises:
            ImageError: it is a video that cannot be opened.

        Example:
            >>> scene = Scene("walk", Path("walk"), (Path("walk/1.png"), Path("walk/2.png")), 2)
            >>> [frame.label for frame in scene.frames()]
            ['1.png', '2.png']
        """
        if not self.files:
            with open_video(self.path) as capture:
                yield from video_frames(self.path, capture)
        for file in self.files:
            yield Frame(file.name, functools.partial(images.read, file))


def scenes(paths, outside=None):
    """Finds scenes: each video is one, and each folder that holds frames itself.

    Folders are searched to the bottom, as by `images.find`. The frames of a folder are ordered by
    name, numbers by value: `9.png` comes before `10.png`.

    Args:
        paths: a path or an iterable of paths: videos, folders, patterns, or the frames themselves.
            A file that is named itself is taken for a video if it is no image.
        outside: folder whose files are passed over, wherever they were met; None for none.

    Returns:
        List of `Scene`.

    Raises:
        ImageError: something given does not exist.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("walk/9.png", "walk/10.png", "ride.mp4"):
        ...         _ = images.write_bytes(Path(folder) / name, b"")
        ...     [(scene.name, scene.count) for scene in scenes(folder)]
        [('ride', 0), ('walk', 2)]
    """
    paths = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    named = {Path(path) for path in paths}
    outside = outside and Path(outside).resolve()
    found = {}
    for source in images.find(paths, suffixes=None):
        if outside and source.path.resolve().is_relative_to(outside):
            continue
        suffix = source.path.suffix.lower()
        if suffix in images.SUFFIXES:
            found.setdefault(source.path.parent, []).append(source.path)
        elif suffix in VIDEO_SUFFIXES or source.path in named:
            found[source.path] = []
    taken = _SIDES | _SPLITS
    made = []
    for path, files in found.items():
        name = _scene_name(path, taken, is_video=not files)
        files = tuple(sorted(files, key=natural_key))
        made.append(Scene(name, path, files, len(files) or _video_length(path)))
    return made


def natural_key(path):
    """Makes a key that sorts numbers within names by value, and upper case as lower case.

    Args:
        path: a path.

    Example:
        >>> sorted([Path("frame10.png"), Path("frame2.png")], key=natural_key)[0].name
        'frame2.png'
    """
    parts = re.split(r"(\d+)", path.name.casefold())
    return [int(part) if part.isdecimal() else part for part in parts], path.name


@contextlib.contextmanager
def open_video(path):
    """Opens a video with OpenCV while the block runs.

    Args:
        path: the video.

    Yields:
        `cv2.VideoCapture`, which is open.

    Raises:
        ImageError: it cannot be opened.
    """
    capture = _open(path)
    try:
        if not capture.isOpened():
            raise images.ImageError(
                f"{path}: cannot be opened as a video: broken, cut off, or of a kind that OpenCV "
                "does not know"
            )
        yield capture
    finally:
        capture.release()


def video_frames(path, capture):
    """Gives the frames of an open video in order, decoding none of them yet.

    Args:
        path: the video, for messages.
        capture: what `open_video` gave.

    Yields:
        `Frame`.
    """
    number = 0
    while capture.grab():
        seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        yield Frame(str(number), functools.partial(_retrieve, capture, path, number), seconds)
        number += 1


def _open(path):
    # FFmpeg by name where there is one: else a broken video is tried as a numbered image too.
    known = cv2.CAP_FFMPEG in cv2.videoio_registry.getBackends()
    return cv2.VideoCapture(str(path), cv2.CAP_FFMPEG if known else cv2.CAP_ANY)


def _video_length(path):
    """What the header says, which may be wrong or nothing (0)."""
    capture = _open(path)
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT) if capture.isOpened() else 0
    capture.release()
    return int(count) if 0 < count < 2**40 else 0


def _retrieve(capture, path, number):
    good, pixels = capture.retrieve()
    if not good or pixels is None:
        raise images.ImageError(f"{path}: frame {number} cannot be decoded")
    return np.ascontiguousarray(pixels[..., ::-1])  # BGR -> RGB


def _scene_name(path, taken, is_video):
    """A name for a scene's folder that is not taken, which it is afterwards."""
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - keeps links, resolves "." and ".."
    name = (whole.stem if is_video else whole.name).lstrip(".") or "scene"
    if name.casefold() in _SIDES | _SPLITS:
        name = f"{whole.parent.name.lstrip('.') or 'scene'}-{name}"
    numbered = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
    name = next(candidate for candidate in numbered if candidate.casefold() not in taken)
    taken.add(name.casefold())
    return name

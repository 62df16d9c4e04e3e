"""Restores a video picture by picture, keeping its times, its sound, and what was done so far."""

import contextlib
import dataclasses
import os
import signal
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np

from deblur_keras import images
from deblur_keras.video import clip, opencv, reading, writing

_GAP = 4  # white columns between the two halves of a preview


@dataclasses.dataclass(frozen=True)
class Result:
    """Holds what became of a video.

    Attributes:
        path: the file written.
        frames: how many pictures it has.
        replaced: how many of these repeat the one before, because they could not be decoded.
        lost: how many could not be decoded and had none before them.
        expected: how many the header promised; None for unknown.
        seconds: how long the written video is.
        sounds: how many sound tracks were copied.
        encoding: how the picture is encoded, in words.
        notes: lines that a user should see: what was lost, broken or changed.
        cut_off: whether the source ends clearly before its header says, or in the middle.
    """

    path: Path
    frames: int
    replaced: int
    lost: int
    expected: int | None
    seconds: float
    sounds: int
    encoding: str
    notes: tuple
    cut_off: bool = False


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while a video was being restored; what was done is in a playable file.

    Attributes:
        result: `Result` of that file; None where there was nothing to keep.
    """

    def __init__(self, result):
        super().__init__()
        self.result = result


def restore(
    restorer,
    source,
    destination,
    *,
    overwrite=False,
    quality=95,
    start=None,
    end=None,
    preview=False,
    progress=None,
    note=None,
):
    """Restores a video, one picture after the other, in memory that does not grow with its length.

    Size, frame times, colour coding, sound, subtitles, chapters and metadata are the source's. The
    picture is encoded anew as H.264 (in WebM: VP9), sound is copied packet by packet. A rotated
    picture is turned, so that it stands upright without a flag. More than 8 bits are kept as 10. A
    picture that cannot be decoded is replaced by the one before. Without PyAV, OpenCV writes the
    pictures alone, at a constant rate.

    Args:
        restorer: callable that restores a picture: RGB (H, W, 3), uint8 (of videos with more than
            8 bits uint16), to the same type and shape; such as a `Restorer`.
        source: the video.
        destination: file to write, whole or not at all; its suffix, one of `formats()`, decides
            the format.
        overwrite: replace an existing destination. The source itself is never replaced.
        quality: 1 to 100; the encoder's constant rate factor is `writing.crf(quality)`.
        start: seconds from the video's beginning of the first picture; sound begins with it.
        end: seconds from the video's beginning, not included.
        preview: write each picture and, right of it, its restoration.
        progress: callable `(done, expected)`, told after each picture; expected may be None.
        note: callable that is given each line that a user should see, as soon as it is known.

    Returns:
        `Result`.

    Raises:
        FileExistsError: the destination exists and `overwrite` is False.
        VideoError: the source cannot be read, or the destination not be written.
        ValueError: start and end make no span, or the quality is out of range.
        Interrupted: Ctrl-C. What was restored by then is in `clip.partial_path(destination)`, as
            after any other failure on the way.

    Example:
        >>> import tempfile
        >>> import cv2
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = str(Path(folder) / "clip.mp4")
        ...     writer = cv2.VideoWriter(file, cv2.VideoWriter_fourcc(*"mp4v"), 25, (64, 48))
        ...     for level in (0, 90, 180):
        ...         writer.write(np.full((48, 64, 3), level, "uint8"))
        ...     writer.release()
        ...     restore(lambda picture: 255 - picture, file, Path(folder) / "out.mp4").frames
        3

    Note:
        Matroska and WebM keep times to the millisecond; MP4 and QuickTime exactly.
    """
    source, destination = Path(source), Path(destination)
    _check(source, destination, overwrite)
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be 1 to 100, got {quality}")
    span = clip.Span(start, end)
    tools = _tools()
    work = _Work(restorer, preview, progress, note or (lambda line: None))
    with contextlib.closing(tools.reader(source, span)) as reader:
        for line in reader.notes:
            work.say(line)
        with images.atomic_path(destination) as temporary:
            size = reader.facts.width, reader.facts.height
            if preview:
                size = 2 * size[0] + _GAP, size[1]
            writer = tools.writer(temporary, destination, reader, size, quality)
            try:
                work.run(reader, writer)
            except BaseException as error:
                kept = _keep(work, reader, writer, temporary, clip.partial_path(destination))
                if isinstance(error, KeyboardInterrupt):
                    raise Interrupted(kept) from None
                if kept:
                    error.add_note(f"{kept.path} holds the {kept.frames} frames before")
                raise
        return work.result(destination, reader, writer)


def formats():
    """Returns the suffixes that results can have: those of formats that keep frame times.

    Example:
        >>> ".mp4" in formats(), ".avi" in formats()
        (True, False)
    """
    return sorted(_tools().formats)


def result_suffix(source):
    """Chooses the suffix of a result.

    Args:
        source: path of a video.

    Returns:
        The source's own; `.mkv`, which holds any sound, if that is not one of
        `formats()`.

    Example:
        >>> result_suffix("a.MP4"), result_suffix("a.avi")
        ('.MP4', '.mkv')
    """
    suffix = Path(source).suffix
    return suffix if suffix.lower() in formats() else ".mkv"


class _Tools(NamedTuple):
    reader: type
    writer: type
    formats: frozenset


class _Work:
    """The restoring itself, and the count of what was done."""

    def __init__(self, restorer, preview, progress, note):
        self._restorer, self._preview = restorer, preview
        self._progress, self._note = progress, note
        self._lines, self._seconds = [], 0.0
        self.frames = self._replaced = self._lost = 0
        self.closed = False

    def say(self, line):
        self._lines.append(line)
        self._note(line)

    def run(self, reader, writer):
        for line in writer.notes:
            self.say(line)
        expected, shown = reader.expected(), None
        for item in reader:
            if not isinstance(item, clip.Picture):
                with _unbroken():
                    writer.copy(item)
                continue
            if item.pixels is None and shown is None:
                self._lost += 1
                continue
            if item.pixels is None:
                self._replaced += 1
            else:
                shown = self._restored(item.pixels)
            with _unbroken():
                writer.write(shown, item.time, item.duration)
                self.frames += 1
                self._seconds = float((item.time + item.duration) * reader.facts.time_base)
            if self._progress:
                self._progress(self.frames, expected)
        if not self.frames:
            raise clip.VideoError(
                f"{reader.path}: no frames from second {reader.span.start or 0} to "
                f"{'the end' if reader.span.end is None else reader.span.end}; by its header the "
                f"video lasts {float(reader.facts.duration * reader.facts.time_base):.1f} s"
            )
        self.close(writer)

    def close(self, writer):
        with _unbroken():
            self.closed = True
            writer.close()

    def result(self, path, reader, writer):
        for line in (*self._broken(), *reader.findings(), *writer.findings()):
            self.say(line)
        return Result(
            path=path,
            frames=self.frames,
            replaced=self._replaced,
            lost=self._lost,
            expected=reader.expected(),
            seconds=self._seconds,
            sounds=writer.sounds,
            encoding=writer.encoding,
            notes=tuple(self._lines),
            cut_off=getattr(reader, "cut_off", False),
        )

    def _broken(self):
        if self._replaced:
            yield f"{_broken_frames(self._replaced)} replaced by the one before"
        if self._lost:
            yield f"{_broken_frames(self._lost)} left out, at the beginning"

    def _restored(self, pixels):
        restored = np.asarray(self._restorer(pixels))
        if (restored.shape, restored.dtype) != (pixels.shape, pixels.dtype):
            raise ValueError(
                f"expected the restorer to give {pixels.dtype} of shape {pixels.shape}, as it got; "
                f"it gave {restored.dtype} of shape {restored.shape}"
            )
        if not self._preview:
            return restored
        gap = np.full((len(pixels), _GAP, 3), np.iinfo(pixels.dtype).max, pixels.dtype)
        return np.concatenate([pixels, gap, restored], axis=1)


def _broken_frames(count):
    return "1 broken frame was" if count == 1 else f"{count} broken frames were"


def _tools():
    """What reads and writes: PyAV where it is installed."""
    try:
        import av  # noqa: F401
    except ImportError:
        return _Tools(opencv.Reader, opencv.Writer, opencv.FORMATS)
    return _Tools(reading.Reader, writing.Writer, frozenset(writing.FORMATS))


def _check(source, destination, overwrite):
    if destination.suffix.lower() not in formats():
        raise clip.VideoError(
            f"{destination}: cannot write the suffix {destination.suffix!r}; use one of "
            f"{' '.join(formats())}"
        )
    if destination.is_dir():
        raise clip.VideoError(f"{destination}: is a folder; expected a file name to write")
    if not destination.exists():
        return
    if source.exists() and destination.samefile(source):
        raise clip.VideoError(
            f"{destination}: is the input itself, which is never overwritten; give another name"
        )
    if not overwrite:
        raise FileExistsError(f"{destination}: exists already; overwrite=True replaces it")


def _keep(work, reader, writer, temporary, partial):
    """Makes what was written so far a playable file; None if there is nothing, or no room."""
    with _unbroken(heed=False), contextlib.suppress(Exception):
        if not work.closed:
            work.close(writer)
        if work.frames:
            os.replace(temporary, partial)  # noqa: PTH105 - Path.replace is the same call
            return work.result(partial, reader, writer)
    return None


@contextlib.contextmanager
def _unbroken(heed=True):
    """Holds Ctrl-C back while the block runs, so that no packet is lost half way.

    Afterwards it takes effect, unless `heed` is False.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    pressed = []
    signal.signal(signal.SIGINT, lambda *arguments: pressed.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed and heed:
        before(*pressed[-1])

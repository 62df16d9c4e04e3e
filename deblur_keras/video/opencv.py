"""Reads and writes videos with OpenCV alone: MPEG-4 pictures at a constant rate, without sound."""

from fractions import Fraction
from pathlib import Path

import cv2

from deblur_keras import frames, images
from deblur_keras.video import clip

FORMATS = frozenset([".mp4", ".mov", ".mkv"])
_LOSSES = (
    "PyAV is missing: sound, subtitles and metadata are lost, the frame rate becomes constant, and "
    f"the picture is written as MPEG-4 Part 2 (mp4v) in 8 bits; {clip.INSTALL} keeps them all"
)


class Reader:
    """Reads the pictures of a video, moved to the grid of its average rate.

    A picture lasts until the next one; of two for one moment, the second is passed over. To be
    gone through once.

    Args:
        path: the video.
        span: the `clip.Span` to read.

    Attributes:
        facts: `clip.Facts`; a tick is a frame.
        notes: lines about what is lost, to be told before.

    Raises:
        VideoError: it cannot be opened or decoded, or its rate is not known.
    """

    def __init__(self, path, span):
        self.path, self.span, self.notes = Path(path), span, [_LOSSES]
        self._passed_over = 0
        with self._opened() as capture:
            rate, count = (
                capture.get(kind) for kind in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT)
            )
            picture = next(self._good(capture), None)
        if picture is None:
            raise clip.VideoError(f"{path}: not one of its frames can be decoded")
        if not 0 < rate <= 1000:
            raise clip.VideoError(
                f"{path}: its frame rate is not known to OpenCV (it says {rate}); PyAV reads each "
                f"frame's own time: {clip.INSTALL}"
            )
        rate = Fraction(rate).limit_denominator(1001)
        height, width = picture.shape[:2]
        count = int(count) if 0 < count < 2**31 else 0
        self.facts = clip.Facts(
            self.path, width, height, time_base=1 / rate, rate=rate, count=count, duration=count
        )

    def close(self):
        """Does nothing: the file is open only while it is gone through."""

    def __iter__(self):
        """Gives the pictures of the span."""
        held = None
        for picture in self._in_span():
            if held is not None:
                yield clip.lasting(held, picture.time - held.time)
            held = picture
        if held is not None:
            yield held

    def expected(self):
        """Returns how many pictures the span has by the header; None where that does not say."""
        count, seconds = self.facts.count, self.facts.count / self.facts.rate
        return round(count * self.span.share(seconds)) if count else None

    def findings(self):
        """Returns lines about what showed while reading, to be told at the end."""
        if not self._passed_over:
            return []
        return [f"{self._passed_over} of its frames left out: too many for the constant rate"]

    def _opened(self):
        return frames.open_video(self.path)

    def _good(self, capture):
        for frame in frames.video_frames(self.path, capture):
            pixels = _pixels(frame)
            if pixels is not None:
                yield pixels

    def _in_span(self):
        start, end = self.span.exact()
        zero = first = before = None
        with self._opened() as capture:
            for frame in frames.video_frames(self.path, capture):
                zero = frame.seconds if zero is None else zero
                slot = round((frame.seconds - zero) * self.facts.rate)
                at = slot * self.facts.time_base
                if at < start or (before is not None and slot <= before):
                    self._passed_over += at >= start
                    continue
                if end is not None and at >= end:
                    return
                first = slot if first is None else first
                before = slot
                yield clip.Picture(_pixels(frame), slot - first, 1)


class Writer:
    """Writes pictures as MPEG-4 Part 2, the encoder that OpenCV always has.

    Args:
        path: file to write.
        name: what to call it in messages.
        reader: `Reader` of the source.
        size: (width, height) of the pictures, both even.
        quality: not heeded: OpenCV has no setting for it.

    Attributes:
        encoding: how the picture is encoded, in words.
        notes: lines about what is lost, to be told before.
        sounds: how many sound tracks are copied: none.

    Raises:
        VideoError: the size is odd, or OpenCV cannot write here.
    """

    sounds = 0
    encoding = "MPEG-4 Part 2 (mp4v)"

    def __init__(self, path, name, reader, size, quality):
        self.path, self.name, self.notes, self._written = Path(path), name, [], 0
        if size[0] % 2 or size[1] % 2:
            raise clip.VideoError(
                f"{name}: OpenCV would cut {size[0]}x{size[1]} to an even size; PyAV keeps it: "
                f"{clip.INSTALL}"
            )
        code = cv2.VideoWriter_fourcc(*"mp4v")
        self._writer = cv2.VideoWriter(
            str(path), cv2.CAP_FFMPEG, code, float(reader.facts.rate), size
        )
        if not self._writer.isOpened():
            raise clip.VideoError(f"{name}: OpenCV cannot write a video here")

    def write(self, pixels, time, duration):
        """Encodes a picture, as often as it lasts ticks.

        Args:
            pixels: uint8 RGB array (H, W, 3).
            time: not heeded.
            duration: whole number from 1.
        """
        for _ in range(duration):
            self._writer.write(pixels[..., ::-1])
        self._written += duration

    def close(self):
        """Finishes the file.

        Raises:
            VideoError: it does not hold what was written; OpenCV itself tells of no failure.
        """
        self._writer.release()
        with frames.open_video(self.path) as capture:
            found = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if found < self._written:
            raise clip.VideoError(
                f"{self.name}: cannot be written: holds {found} of {self._written} frames; is the "
                "disk full?"
            )

    def findings(self):
        """Returns no lines; see `writing.Writer.findings`."""
        return []


def _pixels(frame):
    """Pixels of a frame; None if it cannot be decoded."""
    try:
        return frame.read()
    except images.ImageError:
        return None

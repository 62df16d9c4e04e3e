"""What every part of `video` speaks of: a video's facts, its pictures, the span to restore."""

import dataclasses
from fractions import Fraction
from pathlib import Path

import numpy as np

from deblur_keras import images

INSTALL = 'pip install "av>=16,<17"'


class VideoError(images.ImageError):
    """A video that cannot be read, restored or written; the message names the file."""


@dataclasses.dataclass(frozen=True)
class Colours:
    """Holds how a video codes colours.

    Attributes:
        matrix: how colours become luma and chroma: swscale's number.
        full_range: whether black is 0, and not 16 of 255.
        tags: what the result is to say of this: names of an encoder's attributes, and numbers.
    """

    matrix: int = 5
    full_range: bool = False
    tags: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Facts:
    """Holds what is known of a video before its pictures are read.

    Attributes:
        path: the file.
        width: of the upright picture, in pixels.
        height: of the upright picture, in pixels.
        time_base: the seconds in a tick, the unit of all times.
        rate: frames a second, on the average; None for unknown.
        count: how many frames the header promises; 0 for unknown.
        duration: ticks that the header promises; 0 for unknown.
        own_duration: whether that is the picture's, and not that of the longest track.
        bits: of a colour value.
        chroma: `"420"`, `"422"` or `"444"`: how finely colour is kept.
        grey: whether it has no colours.
        alpha: whether it has transparency.
        pixel_shape: width of a pixel as shown, by its height.
        colours: `Colours`.
    """

    path: Path
    width: int
    height: int
    time_base: Fraction
    rate: Fraction | None
    count: int = 0
    duration: int = 0
    own_duration: bool = True
    bits: int = 8
    chroma: str = "420"
    grey: bool = False
    alpha: bool = False
    pixel_shape: Fraction = Fraction(1)
    colours: Colours = Colours()

    @property
    def hdr(self):
        """Whether its levels are those of PQ or HLG."""
        return self.colours.tags.get("color_trc") in (16, 18)


@dataclasses.dataclass(frozen=True)
class Picture:
    """Holds a frame in its place in time.

    Attributes:
        pixels: uint8 RGB (H, W, 3), of videos of more than 8 bits uint16; None where the frame
            cannot be decoded.
        time: the tick at which it is shown.
        duration: ticks it is shown for, as far as the file says; the next frame's time may say
            better.
    """

    pixels: np.ndarray | None
    time: int
    duration: int


def lasting(picture, duration):
    """Returns a picture with another duration."""
    return dataclasses.replace(picture, duration=duration)


@dataclasses.dataclass(frozen=True)
class Span:
    """Holds which part of a video is meant.

    Attributes:
        start: seconds from the video's beginning; None for that itself.
        end: seconds from the video's beginning, not included; None for the end.

    Raises:
        ValueError: it is empty or begins before the video.
    """

    start: float | None = None
    end: float | None = None

    def __post_init__(self):
        """Checks the values."""
        start = self.start or 0
        if start < 0 or (self.end is not None and self.end <= start):
            raise ValueError(
                f"expected 0 <= start < end in seconds, got start={self.start}, end={self.end}"
            )

    def exact(self):
        """Returns start (0 where there is none) and end as fractions: 1.1 is 11/10 exactly."""
        start, end = self.start or 0, self.end
        return Fraction(str(start)), None if end is None else Fraction(str(end))

    @property
    def whole(self):
        """Whether it is the whole video."""
        return not self.start and self.end is None

    def share(self, seconds):
        """Computes which part of a video lies in the span.

        Args:
            seconds: length of the video.

        Returns:
            Number from 0 to 1.

        Example:
            >>> Span(1, 2).share(4)
            0.25
        """
        end = seconds if self.end is None else min(self.end, seconds)
        return max(float(end - (self.start or 0)), 0.0) / float(seconds)


def partial_path(destination):
    """Names the file for what was restored before an interruption.

    Args:
        destination: file that was to be written.

    Returns:
        `pathlib.Path` beside it, which no complete result has.

    Example:
        >>> partial_path("trip/out.mp4").name
        'out.part.mp4'
    """
    destination = Path(destination)
    return destination.with_name(f"{destination.stem}.part{destination.suffix}")

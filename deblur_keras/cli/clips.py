"""What `deblur` does with videos: times on the command line, progress by frames, what to say."""

import re
import time
from fractions import Fraction

import click

from deblur_keras.cli.console import duration, speed

_TIME = re.compile(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d+)?)")


class Seconds(click.ParamType):
    """A time as seconds, `m:ss` or `h:mm:ss`, with a decimal point or without."""

    name = "time"

    def convert(self, value, parameter, context):
        """Makes a `fractions.Fraction` of the text, so that no frame is missed by rounding."""
        if isinstance(value, Fraction):
            return value
        found = _TIME.fullmatch(value.strip())
        hours, minutes, seconds = found.groups() if found else (None, None, None)
        if not found or (minutes and (Fraction(seconds) >= 60 or (hours and int(minutes) >= 60))):
            self.fail(f"{value!r} is no time, such as 90, 1:30 or 0:01:30.5.", parameter, context)
        return int(hours or 0) * 3600 + int(minutes or 0) * 60 + Fraction(seconds)


def restore(restorer, source, destination, shown, **options):
    """Restores a video, showing how far it is, and says what came of it.

    Args:
        restorer: callable from picture to picture.
        source: the video.
        destination: file to write.
        shown: `console.Progress` of the whole run.
        **options: those of `video.restore`.

    Raises:
        KeyboardInterrupt: Ctrl-C; a line said what is left.
        ValueError: the source is cut off; what there is of it is restored.
    """
    from deblur_keras import video

    started = time.monotonic()
    with shown.part(source.name, "frames") as part:

        def tell(done, expected):
            part.total = expected and max(expected, done)
            part.advance()

        try:
            result = video.restore(
                restorer,
                source,
                destination,
                progress=tell,
                note=lambda line: shown.note(f"{source}: {line}"),
                **options,
            )
        except video.Interrupted as error:
            if error.result:
                shown.note(_kept(error.result))
            raise
    pace = speed(result.frames, time.monotonic() - started, "frames")
    shown.note(f"{source}: {_described(result)}; {pace}")
    if result.cut_off:
        raise ValueError(
            f"is cut off or broken; {result.path} has the {result.frames} frames that could be read"
        )


def _described(result):
    several = f"{result.sounds} tracks of sound copied"
    sounds = {0: "no sound", 1: "sound copied"}.get(result.sounds, several)
    return f"{result.frames} frames, {duration(result.seconds)}, {result.encoding}, {sounds}"


def _kept(result):
    of = f" of {result.expected}" if result.expected else ""
    return (
        f"{result.path}: holds the first {result.frames}{of} frames, {duration(result.seconds)}, "
        "and can be played"
    )

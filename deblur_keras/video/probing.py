"""Opens a video with PyAV and learns what it is from its header and its first frame."""

import re
from fractions import Fraction

from deblur_keras.video import clip, colours


def open_file(path):
    """Opens a video to read it.

    Args:
        path: the video.

    Returns:
        `av.container.InputContainer`.

    Raises:
        VideoError: it cannot be opened.
    """
    import av

    try:
        # With a protocol, so that no name is taken for an address; undecodable tags as they are.
        return av.open(f"file:{path}", metadata_errors="surrogateescape")
    except av.error.FFmpegError as error:
        reason = error.strerror or type(error).__name__
        raise clip.VideoError(
            f"{path}: cannot be opened as a video ({reason}): missing, broken, cut off, or of an "
            "unknown kind"
        ) from None


def main_video(container, path):
    """Finds the stream that a player shows: the first that is no cover picture.

    Args:
        container: of `open_file`.
        path: the video, for messages.

    Returns:
        `av.VideoStream`.

    Raises:
        VideoError: there is none, or none that can be decoded.
    """
    from av.stream import Disposition

    for stream in container.streams.video:
        if Disposition.attached_pic not in stream.disposition:
            if stream.codec_context is None:
                raise clip.VideoError(f"{path}: holds a kind of video that PyAV does not know")
            return stream
    raise clip.VideoError(f"{path}: there is no video in it")


def probe(container, path):
    """Learns what a video is by its header and the first frame that can be decoded.

    Args:
        container: of `open_file`, not read from yet.
        path: the video.

    Returns:
        `clip.Facts`, and how its pictures have to be turned, see `colours.turn_of`.

    Raises:
        VideoError: no frame can be decoded, or it is interlaced.
    """
    stream = main_video(container, path)
    frame = _first_frame(container, stream)
    if frame is None:
        raise clip.VideoError(f"{path}: not one of its frames can be decoded")
    if frame.interlaced_frame:
        raise clip.VideoError(
            f"{path}: is interlaced: each frame holds two moments in alternate lines, which "
            "restoring would mix; make it progressive first, such as by ffmpeg -i IN -vf bwdif OUT"
        )
    turn, kind, context = colours.turn_of(frame), frame.format, stream.codec_context
    width, height = frame.width, frame.height
    shape = stream.sample_aspect_ratio or Fraction(1)
    if turn[0] == 0:
        width, height, shape = height, width, 1 / shape
    seconds = (stream.duration or 0) * stream.time_base or _tagged_duration(stream)
    own = bool(seconds)
    if not own and container.duration:
        seconds = Fraction(container.duration, 1_000_000)
    facts = clip.Facts(
        path=path,
        width=width,
        height=height,
        time_base=stream.time_base,
        rate=stream.average_rate or stream.guessed_rate,
        count=stream.frames,
        duration=round(seconds / stream.time_base),
        own_duration=own,
        bits=max(component.bits for component in kind.components),
        chroma=colours.chroma_of(kind),
        grey=len(kind.components) < 3 and not kind.has_palette,
        alpha=len(kind.components) in (2, 4),
        pixel_shape=shape,
        colours=colours.of(frame, context),
    )
    return facts, turn


def _first_frame(container, stream):
    import av

    packets = container.demux(stream)
    while True:
        try:
            for frame in next(packets).decode():
                if not frame.is_corrupt:
                    return frame
        except StopIteration:
            return None
        except av.error.FFmpegError as error:
            if not isinstance(error, av.error.InvalidDataError):
                return None


def _tagged_duration(stream):
    """Seconds that Matroska says in a tag of the track; 0 where it does not."""
    found = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if not found:
        return Fraction(0)
    hours, minutes, seconds = map(Fraction, found.groups())
    return 3600 * hours + 60 * minutes + seconds

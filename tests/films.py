"""Small videos made with PyAV for the tests, and what they can be asked about videos."""

from fractions import Fraction

import av
import numpy as np

RATE = 25
TICKS = Fraction(1, 90000)
SOUND_RATE = 44100
_SAMPLES = {"flt": np.float32, "s16": np.int16, "s32": np.int32}


def scene(number, size=(64, 48)):
    """A picture whose grey square moves with its number, on a colour of its own; uint8 RGB."""
    width, height = size
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = (40 + 10 * number % 150, 120, 60)
    left = 4 + 3 * number % max(width - 20, 1)
    pixels[height // 4 : height // 2, left : left + 12] = 200
    return pixels


def film(
    path,
    pictures=10,
    size=(64, 48),
    times=None,
    last=3600,
    base=TICKS,
    codec="libx264",
    kind="yuv420p",
    sound="aac",
    options=(),
    colours=(),
    tags=(),
    subtitles=None,
):
    """Writes a video; returns its path.

    Args:
        path: its suffix decides the format.
        pictures: how many, or the list of them.
        size: (width, height) in pixels.
        times: ticks at which the pictures are shown; None for 25 a second.
        last: ticks for which the last one is shown.
        base: seconds of a tick.
        codec: encoder of the pictures.
        kind: pixel format.
        sound: encoder of a sine that lasts as long; None for silence.
        options: of the encoder of the pictures.
        colours: attributes of that encoder.
        tags: metadata.
        subtitles: a container whose subtitle stream is copied.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(pictures, int):
        pictures = [scene(number, size) for number in range(pictures)]
    if times is None:
        step = round(1 / (RATE * base))
        times, last = [step * number for number in range(len(pictures))], step
    with av.open(str(path), "w") as container:
        container.metadata.update(dict(tags))
        options = {"crf": "8", "bf": "0"} if codec == "libx264" and not options else dict(options)
        stream = container.add_stream(codec, rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, kind
        stream.time_base = stream.codec_context.time_base = base
        for name, value in dict(colours).items():
            setattr(stream.codec_context, name, value)
        track = container.add_stream(sound, rate=SOUND_RATE) if sound else None
        lines = subtitles and container.add_stream_from_template(subtitles.streams.subtitles[0])
        for packet in subtitles.demux(subtitles.streams.subtitles[0]) if subtitles else ():
            if packet.size:
                packet.stream = lines
                container.mux(packet)
        ends = dict(zip(times, [*times[1:], times[-1] + last], strict=True))
        for time, pixels in zip(times, pictures, strict=True):
            wide = pixels.dtype == np.uint16
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb48le" if wide else "rgb24")
            frame.pts, frame.time_base = time, base
            _mux(container, stream.encode(frame), ends)
        _mux(container, stream.encode(), ends)
        if track:
            _sing(container, track, float((times[-1] + last) * base))
    return path


def _mux(container, packets, ends):
    for packet in packets:
        packet.duration = ends[packet.pts] - packet.pts
        container.mux(packet)


def _sing(container, track, seconds):
    count = track.codec_context.frame_size or 1024
    kind = track.codec_context.format.name
    for start in range(0, round(seconds * SOUND_RATE), count):
        wave = np.sin(2 * np.pi * 440 * (start + np.arange(count)) / SOUND_RATE)
        wave *= 1 if "flt" in kind else np.iinfo(_SAMPLES[kind.rstrip("p")]).max / 2
        samples = np.stack([wave, wave]).astype(_SAMPLES[kind.rstrip("p")])
        if not kind.endswith("p"):
            samples = np.ascontiguousarray(samples.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format=kind, layout="stereo")
        frame.sample_rate, frame.pts = SOUND_RATE, start
        container.mux(track.encode(frame))
    container.mux(track.encode())


def times_of(path):
    """Seconds at which the frames of a video are shown, exactly."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [frame.pts * stream.time_base for frame in container.decode(stream)]


def pictures_of(path, kind="rgb24"):
    """The frames of a video, by PyAV's own way to RGB."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format=kind) for frame in container.decode(video=0)]


def packets_of(path, kind="audio"):
    """Times in seconds, and bytes, of the packets of the first track of a kind."""
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        packets = container.demux(streams[0]) if streams else ()
        return [(one.pts * one.time_base, bytes(one)) for one in packets if one.size]


def length_of(path):
    """Seconds that a video lasts by its picture's header."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.duration * stream.time_base


def turned(path, matrix):
    """Writes a display matrix into an MP4's picture track; returns the path.

    Args:
        path: the file, changed in place.
        matrix: (a, b, c, d) of whole numbers: x becomes a x + c y, y becomes b x + d y.
    """
    data = bytearray(path.read_bytes())
    # ISO 14496-12: the first track header, version 0, has its matrix 40 bytes behind its flags.
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (number << 16 for number in matrix)
    numbers = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    data[at : at + 36] = b"".join(n.to_bytes(4, "big", signed=True) for n in numbers)
    path.write_bytes(data)
    return path

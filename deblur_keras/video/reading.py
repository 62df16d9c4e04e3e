"""Reads a video with PyAV: pictures in the order of time, and packets that are only copied."""

import dataclasses
import heapq
from pathlib import Path

from deblur_keras.video import clip, colours, probing

_CLOCKS = {"mpeg", "mpegts"}  # formats whose times are those of a clock that was running before
_COPIED = {"audio", "subtitle"}
_READ_ON = 10  # seconds behind a span in which sound of the span may still come
_SHORT = 0.98  # a video that ends before this part of what its header promises is cut off
_SLACK = 1  # seconds that sound may last longer than the picture
_CUT = 0.5  # seconds without a picture at the end that are no mere rounding of the header's


@dataclasses.dataclass(frozen=True)
class Packet:
    """Holds a packet that is to be copied.

    Attributes:
        track: number of its stream in the source.
        packet: `av.Packet`, its times counted from the span's first picture.
    """

    track: int
    packet: object


class Reader:
    """Reads a video: `Picture`s in the order of time and, between them, `Packet`s.

    A picture that cannot be decoded comes without pixels, at its place in time. To be gone
    through once.

    Args:
        path: the video.
        span: the `clip.Span` to read.

    Attributes:
        facts: `clip.Facts`.
        container: the open `av.container.InputContainer`.
        video: the stream that is restored.
        copied: the sound and subtitle streams whose packets come.
        notes: lines about what is lost, to be told before.

    Raises:
        VideoError: it is broken or interlaced, has no video in it, or none that can be decoded.
    """

    def __init__(self, path, span):
        self.path, self.span = Path(path), span
        with probing.open_file(self.path) as container:
            self.facts, self._turn = probing.probe(container, self.path)
        self._open()
        self.notes = self._losses()
        self._over = False  # the span is
        self._last = self._next = None  # the file's own times of the last picture and the next
        self._interlaced = self._untimed = 0
        self.breaks_off = self.cut_off = False

    def close(self):
        """Closes the file."""
        self.container.close()

    def __iter__(self):
        """Gives what is in the span; pictures last until the next one."""
        held, shortest, longest = None, float("inf"), 0
        for item in self._in_span():
            if isinstance(item, Packet):
                yield item
                continue
            if held is not None:
                gap = item.time - held.time
                shortest, longest = min(shortest, gap), max(longest, gap)
                yield clip.lasting(held, gap)
            held = item
        if held is None:
            return
        usual, left = max(held.duration, longest), self._ticks_left()
        slack = (1 - _SHORT) * self.facts.duration
        if not self.facts.own_duration:
            slack = max(slack, _SLACK / self.facts.time_base)
        self.breaks_off = self.breaks_off or left > usual + slack
        self.cut_off = self.cut_off or (self.breaks_off and left * self.facts.time_base > _CUT)
        yield clip.lasting(held, self._last_duration(held, shortest, usual, left))

    def expected(self):
        """Returns how many pictures the span has by the header; None where that does not say."""
        facts = self.facts
        seconds = facts.duration and facts.duration * facts.time_base
        count = facts.count or round(seconds * facts.rate if seconds and facts.rate else 0)
        if not count or self.span.whole:
            return count or None
        return round(count * self.span.share(seconds)) if seconds else None

    def findings(self):
        """Returns lines about what showed while reading, to be told at the end."""
        lines = []
        if self._interlaced:
            lines.append(f"{self._interlaced} of its frames are interlaced; restored as they are")
        if self._untimed:
            lines.append(
                f"{self._untimed} of its frames had no time later than the one before, and were "
                "given the next possible"
            )
        if self.breaks_off:
            base, start = self.facts.time_base, self.video.start_time or 0
            reached = _clock((self._last + 1 - start) * base if self._last is not None else 0)
            of = f" of {_clock(self.facts.duration * base)}" if self.facts.duration else ""
            lines.append(f"the file breaks off after {reached}{of}: it is cut off or broken")
        return lines

    def _open(self):
        self.container = probing.open_file(self.path)
        self.video = probing.main_video(self.container, self.path)
        self.copied = [s for s in self.container.streams if s.type in _COPIED and s.codec_context]

    def _ticks_left(self):
        """From the last picture to the end that the header promises; 0 for unknown."""
        if self._over or not self.facts.duration:
            return 0
        return (self.video.start_time or 0) + self.facts.duration - self._last

    def _last_duration(self, picture, shortest, usual, left):
        """By the next picture or the header, if that is credible; else by the packet."""
        if self._over:  # it does not outlast the span, but by the rest of a frame at a steady rate
            rest = max(round(self._limits()[1] - self._last), 1)
            duration = self._next - self._last
            return min(duration, max(rest, min(shortest, duration)))
        nominal = max(round(1 / (self.facts.rate or 25) / self.facts.time_base), 1)
        return left if 0 < left <= usual else picture.duration or usual or nominal

    def _limits(self):
        """The file's own ticks between which the span lies."""
        zero = 0
        if self.container.format.name in _CLOCKS:
            streams = [s for s in (self.video, *self.copied) if s.start_time is not None]
            zero = min((s.start_time * s.time_base for s in streams), default=0)
        start, end = (None if at is None else zero + at for at in self.span.exact())
        base = self.facts.time_base
        return start / base, None if end is None else end / base

    def _in_span(self):
        """Packets and pictures of the span, at times from its beginning on."""
        first, last = self._limits()
        base = self.facts.time_base
        zero, waiting = round(first), []
        if self.span.start:
            self._seek(int(first))
            zero = None  # which the first picture will be; packets wait for it
        for item in self._decoded():
            if isinstance(item, clip.Picture):
                if not self._over and last is not None and item.time >= last:
                    self._over, self._next = True, item.time
                if self._over or item.time < first:
                    continue
                if zero is None:
                    zero = item.time
                    waiting = [one for one in waiting if _at(one.packet) >= zero * base]
                    yield from (_moved(one, zero * base) for one in waiting)
                self._last = item.time
                yield dataclasses.replace(item, time=item.time - zero)
                continue
            at = _at(item.packet)
            if last is not None and at >= last * base:
                continue
            if zero is None:
                waiting.append(item)
            elif not self.span.start or at >= zero * base:
                yield _moved(item, zero * base)

    def _seek(self, tick):
        import av

        try:
            self.container.seek(tick, stream=self.video, backward=True)
        except av.error.FFmpegError:  # a file without an index: read from its beginning
            self.container.close()
            self._open()

    def _decoded(self):
        """Packets and pictures of the file from where it stands, at the file's own times."""
        import av

        # Times of packets that gave no picture yet, and how many of them are known to be broken.
        pending, owed, previous, step = [], 0, None, 1
        for packet in self._demuxed():
            if packet.stream is not self.video:
                if packet.size and packet.pts is not None:
                    yield Packet(packet.stream.index, packet)
                continue
            if self._over:
                continue
            if packet.size and packet.pts is not None and not packet.is_discard:
                heapq.heappush(pending, packet.pts)
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                owed += 1
                continue
            for frame in frames:
                time = frame.pts
                if time is None or (previous is not None and time <= previous):
                    self._untimed += 1
                    time = 0 if previous is None else previous + (step if time is None else 1)
                skipped = _pop_before(pending, time)
                missing = skipped[-owed:] if owed else []
                owed -= len(missing)
                yield from (clip.Picture(None, broken, 0) for broken in missing)
                previous, step = time, frame.duration or step
                self._interlaced += bool(frame.interlaced_frame)
                yield clip.Picture(self._pixels(frame), time, frame.duration or 0)
        for broken in _pop_before(pending, float("inf"))[-owed:] if owed else ():
            yield clip.Picture(None, broken, step)

    def _demuxed(self):
        import av

        packets = self.container.demux([self.video, *self.copied])
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:  # what follows is no video any more
                self.breaks_off = self.cut_off = True
                return
            if packet is None or (self._over and not self._more_to_copy(packet)):
                return
            yield packet

    def _more_to_copy(self, packet):
        """Whether packets of the span may still come, after one behind its last picture."""
        end = self._limits()[1] * self.facts.time_base
        return self.copied and (packet.pts is None or _at(packet) <= end + _READ_ON)

    def _pixels(self, frame):
        """Upright pixels of a frame; None if it is damaged."""
        if frame.is_corrupt:
            return None
        pixels = colours.upright(colours.to_rgb(frame, self.facts), self._turn)
        expected = (self.facts.height, self.facts.width)
        if pixels.shape[:2] != expected:
            raise clip.VideoError(
                f"{self.path}: its picture changes from {expected[1]}x{expected[0]} to "
                f"{pixels.shape[1]}x{pixels.shape[0]} on the way, which has no place in one "
                "result; restore the parts by start and end"
            )
        return pixels

    def _losses(self):
        kept = {self.video.index, *(stream.index for stream in self.copied)}
        lost = [stream for stream in self.container.streams if stream.index not in kept]
        lines = []
        if lost:
            kinds = ", ".join(sorted({_kind(stream) for stream in lost}))
            lines.append(f"left out: {len(lost)} of its tracks ({kinds})")
        if self.facts.alpha:
            lines.append("left out: the transparency of its frames, which H.264 cannot hold")
        if self.facts.hdr:
            lines.append(
                "is HDR: its levels are restored as they are coded, and the data on the display "
                "that it was graded on is left out"
            )
        return lines


def _pop_before(times, time):
    """Takes the times up to a time off a heap; returns those before it."""
    popped = []
    while times and times[0] <= time:
        popped.append(heapq.heappop(times))
    return [one for one in popped if one < time]


def _at(packet):
    """Seconds at which a packet begins, by the file."""
    return packet.pts * packet.time_base


def _moved(item, seconds):
    """A packet with its times counted from a moment on."""
    packet = item.packet
    ticks = round(seconds / packet.time_base)
    packet.pts -= ticks
    if packet.dts is not None:
        packet.dts -= ticks
    return item


def _kind(stream):
    name = stream.codec_context.name if stream.codec_context else getattr(stream, "name", None)
    return f"{stream.type} {name}" if name else str(stream.type)


def _clock(seconds):
    """Seconds as minutes and seconds."""
    minutes, rest = divmod(float(seconds), 60)
    return f"{int(minutes)}:{rest:04.1f}"

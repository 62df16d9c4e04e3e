"""Writes a video with PyAV: restored pictures encoded, packets of sound and subtitles copied."""

import contextlib
from pathlib import Path

from deblur_keras.video import clip, colours

# Names of muxers; by suffix alone .m4v would be a bare stream. Others cannot hold exact times.
FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
_H264, _VP9 = "libx264", "libvpx-vp9"
_HIGHEST_CRF = {_H264: 51, _VP9: 63}
_CRF_A_POINT = {_H264: 0.36, _VP9: 0.45}
_LEAD = 0.1  # seconds of sound before zero that a decoder may need
_NAMES = {_H264: "H.264", _VP9: "VP9"}
_TRACK_TAGS = {"language", "title", "handler_name", "creation_time", "timecode"}
_NOT_COPIED = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}


def crf(quality, codec=_H264):
    """Computes the encoder's constant rate factor for a quality.

    Args:
        quality: 1 to 100.
        codec: `"libx264"`, whose factor is `51 - 0.36 quality`, or `"libvpx-vp9"` for WebM,
            `63 - 0.45 quality`.

    Returns:
        Whole number; 6 less take about twice the room with H.264.

    Example:
        >>> crf(95), crf(78), crf(50), crf(95, "libvpx-vp9")
        (17, 23, 33, 20)
    """
    return round(_HIGHEST_CRF[codec] - _CRF_A_POINT[codec] * quality)


class Writer:
    """Writes a video from restored pictures and the packets of its source.

    To be finished by `close`, which makes the file playable, also after less than everything.

    Args:
        path: file to write; the suffix decides the format.
        name: what to call it in messages.
        reader: `reading.Reader` of the source.
        size: (width, height) of the pictures.
        quality: 1 to 100, see `crf`.

    Attributes:
        encoding: how the picture is encoded, in words.
        notes: lines about what is lost, to be told before.
        sounds: how many sound tracks are copied.

    Raises:
        VideoError: the format cannot hold the source's sound, or the file cannot be written.
    """

    def __init__(self, path, name, reader, size, quality):
        import av

        self._suffix, self._name = Path(path).suffix.lower(), name
        self.facts, self.notes = reader.facts, []
        self._durations, self._misfits = {}, 0
        self._trims = FORMATS[self._suffix] in ("matroska", "webm")  # which have no edit lists
        tags = reader.container.metadata
        with self._failing():
            self._container = av.open(
                f"file:{path}",
                "w",
                format=FORMATS[self._suffix],
                container_options=self._options(tags),
                metadata_errors="surrogateescape",
            )
            self._container.metadata.update(
                {name: text for name, text in tags.items() if name not in _NOT_COPIED}
            )
            self._stream = self._video_stream(size, quality)
            _copy_tags(reader.video, self._stream)
            self._tracks = {track.index: self._track(track) for track in reader.copied}
            self.sounds = sum(track.type == "audio" for track in reader.copied)
            chapters = reader.container.chapters()
            if reader.span.whole:
                self._container.set_chapters(chapters)
            elif chapters:
                self.notes.append("left out: its chapters, as only a part is restored")
            self._container.start_encoding()

    def write(self, pixels, time, duration):
        """Encodes a picture.

        Args:
            pixels: uint8 or uint16 RGB array (H, W, 3).
            time: tick at which it is shown, later than that of the picture before.
            duration: ticks until the next one.
        """
        frame = colours.to_frame(pixels, self._stream.pix_fmt, self.facts)
        frame.pts, frame.time_base = time, self.facts.time_base
        self._durations[time] = duration
        with self._failing():
            self._mux(self._stream.encode(frame))

    def copy(self, item):
        """Copies a packet of the source.

        Args:
            item: `reading.Packet`; one of a track that has no place is passed over.
        """
        import av

        stream, packet = self._tracks.get(item.track), item.packet
        if stream is None or (self._trims and packet.pts * packet.time_base < -_LEAD):
            return
        packet.stream = stream
        with self._failing():
            try:
                self._container.mux(packet)
            except av.error.ValueError:  # its time lies before that of the packet before it
                self._misfits += 1

    def close(self):
        """Encodes what is still in work and finishes the file."""
        with self._failing():
            try:
                self._mux(self._stream.encode())
            finally:
                self._container.close()

    def findings(self):
        """Returns lines about what showed while writing, to be told at the end."""
        if not self._misfits:
            return []
        return [f"{self._misfits} packets of sound or subtitles had no place in time"]

    def _mux(self, packets):
        for packet in packets:
            # The encoder knows no durations, and the last one decides how long the video is.
            packet.duration = self._durations.pop(packet.pts, 0)
            self._container.mux(packet)

    def _options(self, tags):
        if self._trims:
            # Sound that begins before zero, for its decoder's sake, would move all else: it says so
            # in a field of its own.
            return {"avoid_negative_ts": "disabled"}
        options = {}
        if self._suffix in (".mp4", ".m4v", ".mov"):
            # So that a first picture later than zero is not rounded to milliseconds.
            options["movie_timescale"] = str(min(self.facts.time_base.denominator, 2**31 - 1))
            if any(name.startswith("com.") for name in tags):  # phones' own: place, make, model
                options["movflags"] = "use_metadata_tags"
        return options

    def _video_stream(self, size, quality):
        import av

        codec = _VP9 if self._suffix == ".webm" else _H264
        if codec not in av.codecs_available:
            raise clip.VideoError(
                f"{self._name}: this PyAV was built without the encoder {codec}; that of PyPI has "
                f"it: {clip.INSTALL}"
            )
        facts, factor = self.facts, crf(quality, codec)
        chroma, bits = self._sampling(codec, size)
        # Frames out of order have decoding times that, at a variable rate, shorten MP4's duration.
        options = {"crf": str(factor), "bf": "0"}
        if codec == _VP9:
            options = {"crf": str(factor), "row-mt": "1", "cpu-used": "2"}
        stream = self._container.add_stream(codec, rate=facts.rate or 25, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = f"yuv{chroma}p{'10le' if bits > 8 else ''}"
        context = stream.codec_context
        stream.time_base = context.time_base = facts.time_base
        context.sample_aspect_ratio = facts.pixel_shape
        for name, number in facts.colours.tags.items():
            setattr(context, name, number)
        self.encoding = (
            f"{_NAMES[codec]}, CRF {factor} (quality {quality}), {bits} bits, {':'.join(chroma)}"
        )
        return stream

    def _sampling(self, codec, size):
        """How finely colour is kept, and bits of a value: the source's, where the encoder can."""
        import av

        chroma, bits = self.facts.chroma, min(self.facts.bits, 10)
        odd_width, odd_height = (side % 2 for side in size)
        if codec == _H264 and chroma != "444" and (odd_width or (chroma == "420" and odd_height)):
            chroma = "444"
            self.notes.append(
                f"its size, {size[0]}x{size[1]}, is odd: written with a colour for each pixel "
                "(4:4:4), which keeps the size but which some players cannot show"
            )
        known = {one.name for one in av.Codec(codec, "w").video_formats}
        if bits > 8 and f"yuv{chroma}p10le" not in known:
            bits = 8
        bits = 10 if bits > 8 else 8
        if bits < self.facts.bits:
            self.notes.append(f"its {self.facts.bits} bits become {bits}, the most of this encoder")
        return chroma, bits

    def _track(self, track):
        """A stream for the packets of a track; None for subtitles that have no place."""
        name = track.codec_context.name
        try:
            stream = self._container.add_stream_from_template(track)
        except ValueError:
            if track.type == "audio":
                raise clip.VideoError(
                    f"{self._name}: {self._suffix} files cannot hold the video's sound ({name}), "
                    "which is copied as it is; give a name ending in .mkv"
                ) from None
            self.notes.append(f"left out: subtitles ({name}), which {self._suffix} cannot hold")
            return None
        stream.time_base = track.time_base
        stream.disposition = track.disposition.value
        _copy_tags(track, stream)
        return stream

    @contextlib.contextmanager
    def _failing(self):
        import av

        try:
            yield
        except av.error.FFmpegError as error:
            reason = error.strerror or type(error).__name__
            raise clip.VideoError(f"{self._name}: cannot be written: {reason}") from error


def _copy_tags(source, stream):
    stream.metadata.update({k: v for k, v in source.metadata.items() if k in _TRACK_TAGS})

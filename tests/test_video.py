"""Videos restored picture by picture: times, sound, size, colours, what is broken, Ctrl-C."""

import io
import signal
import sys
import weakref
from fractions import Fraction

import av
import cv2
import films
import numpy as np
import pytest

from deblur_keras import images, video
from deblur_keras.video import clip, colours, reading, writing


def same(pixels):
    return pixels


def negative(pixels):
    return np.iinfo(pixels.dtype).max - pixels


def stream_of(path):
    return av.open(str(path)).streams.video[0]


def close(pictures, expected, levels):
    assert len(pictures) == len(expected)
    for one, other in zip(pictures, expected, strict=True):
        assert one.shape == other.shape
        assert np.abs(one.astype(float) - other).mean() < levels


UNEVEN = [0, 3000, 7000, 9000, 9500, 20000, 30000, 33333, 40000, 60000]


@pytest.mark.parametrize("times", [None, UNEVEN, [12345 + 3003 * n for n in range(10)]])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v"])
def test_times_durations_and_sound_are_kept_exactly(tmp_path, times, suffix):
    source = films.film(tmp_path / f"a{suffix}", times=times, last=4321)
    result = video.restore(negative, source, tmp_path / f"b{suffix}")
    assert result.path == tmp_path / f"b{suffix}"
    assert (result.frames, result.expected, result.sounds, result.notes) == (10, 10, 1, ())
    assert films.times_of(result.path) == films.times_of(source)
    assert films.length_of(result.path) == films.length_of(source)
    assert films.packets_of(result.path) == films.packets_of(source)
    assert len(films.packets_of(source)) > 15
    assert images.find(tmp_path, None) and not list(tmp_path.glob(".deblur*"))


def test_matroska_keeps_times_to_the_millisecond(tmp_path):
    source = films.film(tmp_path / "a.mp4", times=UNEVEN)
    result = video.restore(same, source, tmp_path / "b.mkv")
    off = [
        abs(one - other)
        for one, other in zip(films.times_of(result.path), films.times_of(source), strict=True)
    ]
    assert max(off) <= Fraction(1, 2000)
    assert [data for _, data in films.packets_of(result.path)] == [
        data for _, data in films.packets_of(source)
    ]
    again = video.restore(same, result.path, tmp_path / "c.mp4")
    assert films.times_of(again.path) == films.times_of(result.path)


def test_pictures_are_restored_and_opencv_plays_them(tmp_path):
    source = films.film(tmp_path / "a.mp4")
    result = video.restore(negative, source, tmp_path / "b.mp4")
    capture = cv2.VideoCapture(str(result.path))
    read = [capture.read()[1][..., ::-1] for _ in range(10)]
    assert not capture.read()[0]
    close(read, [255 - picture for picture in films.pictures_of(source)], 3)


def test_quality_counts_and_its_factor_is_that_of_the_encoder(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    source = films.film(tmp_path / "a.mp4", list(noise), size=(64, 64))
    sizes = []
    for quality in (95, 60):
        result = video.restore(same, source, tmp_path / f"{quality}.mp4", quality=quality)
        assert f"CRF {writing.crf(quality)} (quality {quality})" in result.encoding
        data = result.path.read_bytes()  # where x264 writes its settings
        assert f"crf={writing.crf(quality)}.0".encode() in data
        sizes.append(len(data))
    assert sizes[0] > 1.5 * sizes[1]


@pytest.mark.parametrize(
    "matrix", [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (-1, 0, 0, 1), (0, 1, 1, 0)]
)
def test_a_turned_picture_stands_upright_exactly_once(tmp_path, matrix):
    source = films.film(tmp_path / "a.mp4", 2)
    lying = films.pictures_of(source)
    films.turned(source, matrix)
    result = video.restore(same, source, tmp_path / "b.mp4")
    a, b, c, d = matrix
    expected = []
    for picture in lying:  # pixel by pixel, as ISO 14496-12 has it
        height, width = picture.shape[:2]
        rows, columns = np.mgrid[:height, :width]
        x, y = a * columns + c * rows, b * columns + d * rows
        upright = np.zeros((np.ptp(y) + 1, np.ptp(x) + 1, 3), np.uint8)
        upright[y - y.min(), x - x.min()] = picture
        expected.append(upright)
    close(films.pictures_of(result.path), expected, 2)
    with av.open(str(result.path)) as container:
        frame = next(container.decode(video=0))
        assert colours.turn_of(frame) == (1, 0, 0, 1)
    if matrix[0] * matrix[3] - matrix[1] * matrix[2] > 0:  # OpenCV does not know mirrored ones
        shown = cv2.VideoCapture(str(source)).read()[1]
        close([cv2.VideoCapture(str(result.path)).read()[1]], [shown], 2)


def test_ten_bits_stay_ten_and_reach_the_restorer_as_sixteen(tmp_path):
    ramp = np.zeros((48, 64, 3), np.uint16) + np.arange(64, dtype=np.uint16)[:, None] * 1000
    source = films.film(tmp_path / "a.mp4", [ramp, ramp], kind="yuv420p10le")
    given = []

    def restorer(pixels):
        given.append(pixels.copy())
        return pixels

    result = video.restore(restorer, source, tmp_path / "b.mp4")
    assert given[0].dtype == np.uint16
    assert len(np.unique(given[0])) > 256 / 4  # of 64 columns, three channels
    assert stream_of(result.path).codec_context.pix_fmt == "yuv420p10le"
    close(films.pictures_of(result.path, "rgb48le"), films.pictures_of(source, "rgb48le"), 200)
    assert "10 bits" in result.encoding and result.notes == ()


def test_more_bits_than_the_encoder_has_are_told(tmp_path):
    source = films.film(tmp_path / "a.mkv", 3, codec="ffv1", kind="yuv420p12le", sound=None)
    result = video.restore(same, source, tmp_path / "b.mkv")
    assert result.notes == ("its 12 bits become 10, the most of this encoder",)
    source = films.film(tmp_path / "c.mkv", 3, kind="yuv420p10le", sound=None)
    result = video.restore(same, source, tmp_path / "d.webm")
    assert stream_of(result.path).codec_context.pix_fmt in ("yuv420p", "yuv420p10le")
    assert bool(result.notes) == (stream_of(result.path).codec_context.pix_fmt == "yuv420p")


@pytest.mark.parametrize(
    ("codec", "kind", "size", "result_kind"),
    [
        ("libx264", "yuv444p", (63, 47), "yuv444p"),
        ("libx264", "yuv422p", (64, 47), "yuv422p"),
        ("ffv1", "yuv420p", (63, 48), "yuv444p"),
        ("ffv1", "yuv420p", (64, 47), "yuv444p"),
        ("ffv1", "yuv422p", (63, 48), "yuv444p"),
        ("ffv1", "bgr0", (64, 48), "yuv444p"),
        ("ffv1", "gray", (64, 48), "yuv420p"),
        ("libx264", "yuv420p", (1280, 16), "yuv420p"),
    ],
)
def test_any_size_is_kept_and_colour_no_coarser(tmp_path, codec, kind, size, result_kind):
    source = films.film(tmp_path / "a.mkv", 3, codec=codec, kind=kind, size=size, sound=None)
    result = video.restore(same, source, tmp_path / "b.mkv")
    stream = stream_of(result.path)
    assert (stream.width, stream.height) == size
    assert stream.codec_context.pix_fmt == result_kind
    odd = result_kind == "yuv444p" and kind in ("yuv420p", "yuv422p")
    assert any("is odd" in line for line in result.notes) == odd
    close(films.pictures_of(result.path), films.pictures_of(source), 5)


def test_webm_is_vp9_of_odd_size_too(tmp_path):
    source = films.film(tmp_path / "a.mkv", 3, size=(63, 47), kind="yuv444p", sound=None)
    result = video.restore(same, source, tmp_path / "b.webm")
    stream = stream_of(result.path)
    assert (stream.width, stream.height) == (63, 47)
    assert b"V_VP9" in result.path.read_bytes()
    assert result.encoding.startswith("VP9, CRF 20")


def test_grey_gets_no_tint(tmp_path):
    source = films.film(tmp_path / "a.mkv", 3, codec="ffv1", kind="gray", sound=None)

    def tinting(pixels):
        return np.clip(pixels.astype(int) + np.array([12, 0, -12]), 0, 255).astype(np.uint8)

    result = video.restore(tinting, source, tmp_path / "b.mkv")
    for picture in films.pictures_of(result.path):
        assert np.ptp(picture.astype(int), axis=2).max() <= 1


# ITU-R BT.601, BT.709 and BT.2020: weights of red and blue in luma.
WEIGHTS = {5: (0.299, 0.114), 1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}
PATCHES = np.uint8([[200, 30, 30], [30, 200, 30], [30, 30, 200], [255] * 3, [0] * 3, [128] * 3])


@pytest.mark.parametrize("matrix", WEIGHTS)
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("bits", [8, 10])
def test_colours_follow_the_matrix_and_the_range(matrix, full_range, bits):
    facts = clip.Facts(
        "a", 1, 1, films.TICKS, None, bits=bits, colours=clip.Colours(matrix, full_range)
    )
    pixels = np.repeat(PATCHES, 16, axis=0)[None].repeat(16, axis=0)
    scale = 1 if bits == 8 else 257
    kind, element = ("yuv420p", np.uint8) if bits == 8 else ("yuv420p10le", np.uint16)
    frame = colours.to_frame(pixels.astype(element) * scale, kind, facts)
    rows = np.frombuffer(bytes(frame.planes[0]), element).reshape(16, -1)
    red, blue = WEIGHTS[matrix]
    luma = PATCHES @ [red, 1 - red - blue, blue] / 255
    steps = 2 ** (bits - 8)
    expected = luma * (255 if full_range else 219) + (0 if full_range else 16)
    np.testing.assert_allclose(rows[8, 8:96:16] / steps, expected, atol=1.1)
    back = colours.to_rgb(frame, facts)
    assert back.dtype == element
    np.testing.assert_allclose(back[8, 8:96:16] / scale, PATCHES, atol=2.1)


@pytest.mark.parametrize("number", [1, 5, 9])
@pytest.mark.parametrize("span", [1, 2])
def test_the_colour_tags_are_carried_over_and_colours_stay(tmp_path, number, span):
    tags = {"colorspace": number, "color_primaries": 1, "color_trc": 1, "color_range": span}
    source = films.film(tmp_path / "a.mp4", 2, colours=tags)
    result = video.restore(same, source, tmp_path / "b.mp4")
    context = stream_of(result.path).codec_context
    assert {name: getattr(context, name) for name in tags} == tags
    # Planes, so that nobody's idea of RGB plays a part.
    for path in (source, result.path):
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
            planes = [np.frombuffer(bytes(p), np.uint8).mean() for p in frame.planes]
        if path == source:
            expected = planes
    np.testing.assert_allclose(planes, expected, atol=1.5)


def test_hdr_is_told(tmp_path):
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": 16}
    source = films.film(tmp_path / "a.mp4", 2, kind="yuv420p10le", colours=tags, sound=None)
    result = video.restore(same, source, tmp_path / "b.mp4")
    assert result.notes[0].startswith("is HDR")


def test_the_shape_of_pixels_is_kept_and_turned(tmp_path):
    wide = {"sample_aspect_ratio": Fraction(4, 3)}
    source = films.film(tmp_path / "a.mp4", 2, colours=wide)
    result = video.restore(same, source, tmp_path / "b.mp4")
    assert stream_of(result.path).sample_aspect_ratio == Fraction(4, 3)
    films.turned(source, (0, 1, -1, 0))
    result = video.restore(same, source, tmp_path / "c.mp4")
    assert stream_of(result.path).sample_aspect_ratio == Fraction(3, 4)


def test_metadata_and_chapters_come_along(tmp_path):
    tags = {"title": "Ride", "comment": "a \N{SNOWMAN}"}
    source = films.film(tmp_path / "a.mkv", tags=tags)
    chapter = {"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000)}
    with av.open(str(source)) as old, av.open(str(tmp_path / "b.mkv"), "w") as new:
        new.metadata.update(old.metadata)
        new.set_chapters([chapter | {"metadata": {"title": "First"}}])
        streams = {s.index: new.add_stream_from_template(s) for s in old.streams}
        for packet in old.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
    result = video.restore(same, tmp_path / "b.mkv", tmp_path / "c.mp4")
    with av.open(str(result.path)) as container:
        assert tags.items() <= container.metadata.items()
        (found,) = container.chapters()
        assert found["metadata"]["title"] == "First"
        assert found["end"] * found["time_base"] == Fraction(1, 5)
    result = video.restore(same, tmp_path / "b.mkv", tmp_path / "d.mp4", end=0.3)
    assert result.notes == ("left out: its chapters, as only a part is restored",)


def test_a_phones_own_tags_come_along(tmp_path):
    tag = {"com.apple.quicktime.make": "Apple"}
    source = tmp_path / "a.mov"
    with av.open(
        str(source), "w", container_options={"movflags": "use_metadata_tags"}
    ) as container:
        container.metadata.update(tag)
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frame = av.VideoFrame.from_ndarray(films.scene(0))
        container.mux([*stream.encode(frame), *stream.encode()])
    result = video.restore(same, source, tmp_path / "b.mov")
    with av.open(str(result.path)) as container:
        assert tag.items() <= container.metadata.items()


SUBTITLES = b"""1
00:00:00,040 --> 00:00:00,200
Hello

2
00:00:00,240 --> 00:00:00,360
World
"""


def test_subtitles_come_along_where_the_format_takes_them(tmp_path):
    with av.open(io.BytesIO(SUBTITLES), format="srt") as lines:
        source = films.film(tmp_path / "a.mkv", subtitles=lines)
    result = video.restore(same, source, tmp_path / "b.mkv")
    assert films.packets_of(result.path, "subtitle") == films.packets_of(source, "subtitle")
    assert [data for _, data in films.packets_of(source, "subtitle")] == [b"Hello", b"World"]
    result = video.restore(same, source, tmp_path / "b.mp4")
    assert result.notes == ("left out: subtitles (srt), which .mp4 cannot hold",)
    assert len(films.packets_of(result.path)) == len(films.packets_of(source)) > 0


def test_sound_that_has_no_place_is_refused_before_any_work(tmp_path):
    source = films.film(tmp_path / "a.mp4")
    with pytest.raises(video.VideoError, match=r"b\.webm: .* cannot hold .* \(aac\).*\.mkv"):
        video.restore(lambda pixels: pytest.fail("no work"), source, tmp_path / "b.webm")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.avi", {"codec": "mpeg4", "sound": "pcm_s16le", "options": {"bf": "2"}}),
        ("a.mpg", {"codec": "mpeg2video", "sound": "mp2"}),
        ("a.mts", {"sound": None}),
        ("a.wmv", {"codec": "msmpeg4", "sound": None}),
    ],
)
def test_formats_that_are_only_read_become_matroska(tmp_path, name, options):
    base = Fraction(1, 25)
    source = films.film(tmp_path / name, base=base, **options)
    assert video.result_suffix(source) == ".mkv"
    result = video.restore(negative, source, tmp_path / "b.mkv")
    assert result.frames == 10
    times, expected = films.times_of(result.path), films.times_of(source)
    steps = np.diff(np.float64(times)), np.diff(np.float64(expected))
    np.testing.assert_allclose(*steps, atol=0.0011)
    sound = [data for _, data in films.packets_of(result.path)]
    assert sound == [data for _, data in films.packets_of(source)]
    close(films.pictures_of(result.path), [255 - p for p in films.pictures_of(source)], 4)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_span_begins_at_its_first_picture_and_sound_with_it(tmp_path, suffix):
    source = films.film(tmp_path / "a.mp4", 50, options={"crf": "8", "bf": "2", "g": "10"})
    result = video.restore(same, source, tmp_path / f"b{suffix}", start=0.5, end=1.1)
    assert (result.frames, result.expected) == (15, 15)  # 13/25 = 0.52 to 27/25 = 1.08
    expected = [Fraction(n, 25) for n in range(15)]
    np.testing.assert_allclose(
        np.float64(films.times_of(result.path)), np.float64(expected), atol=5e-4
    )
    close(films.pictures_of(result.path), films.pictures_of(source)[13:28], 2)
    sound = films.packets_of(source)
    kept = [(time, data) for time, data in sound if 0.52 <= time < 1.1]
    written = films.packets_of(result.path)
    assert [data for _, data in written] == [data for _, data in kept]
    for (time, _), (before, _) in zip(written, kept, strict=True):
        assert abs(float(time - (before - Fraction(13, 25)))) < 6e-4
    if suffix == ".mp4":
        assert films.length_of(result.path) == Fraction(15, 25)


def test_a_still_that_outlasts_the_span_ends_with_it(tmp_path):
    source = films.film(tmp_path / "a.mp4", 4, times=[0, 3600, 7200, 900000])
    result = video.restore(same, source, tmp_path / "b.mp4", end=2)
    assert (result.frames, result.seconds) == (3, 2)
    assert films.length_of(result.path) == 2


def test_behind_a_span_no_more_is_read_than_sound_may_need(tmp_path, monkeypatch):
    silent = films.film(tmp_path / "a.mp4", 600, sound=None)
    films.film(tmp_path / "b.mp4", 600)
    read = []
    demuxed = reading.Reader._demuxed

    def counting(self):
        for packet in demuxed(self):
            read.append(packet.stream.type)
            yield packet

    monkeypatch.setattr(reading.Reader, "_demuxed", counting)
    assert video.restore(same, silent, tmp_path / "c.mp4", end=1).frames == 25
    assert len(read) < 30
    read.clear()
    result = video.restore(same, tmp_path / "b.mp4", tmp_path / "d.mp4", end=1)
    assert read.count("video") < 25 + 11 * 25
    assert films.packets_of(result.path)[-1][0] < 1


def test_a_video_that_cannot_be_searched_is_read_from_its_beginning(tmp_path, monkeypatch):
    source = films.film(tmp_path / "a.mp4", 20)
    expected = video.restore(same, source, tmp_path / "b.mp4", start=0.4)

    def refuse(self, *arguments, **options):
        raise av.error.PermissionError(1, "Operation not permitted")

    opened = reading.probing.open_file

    class Container:
        def __init__(self, path):
            self._container = opened(path)

        def __getattr__(self, name):
            return getattr(self._container, name)

        def __enter__(self):
            return self._container

        def __exit__(self, *_):
            self._container.close()

        seek = refuse

    monkeypatch.setattr(reading.probing, "open_file", Container)
    result = video.restore(same, source, tmp_path / "c.mp4", start=0.4)
    assert (result.frames, result.sounds) == (expected.frames, 1) == (10, 1)
    assert films.times_of(result.path) == films.times_of(expected.path)
    assert films.packets_of(result.path) == films.packets_of(expected.path)


def test_a_span_of_decimals_is_exact(tmp_path):
    times = [3000 * n for n in range(40)]  # 30 a second: 1.1 s is frame 33, in binary it is not
    source = films.film(tmp_path / "a.mp4", 40, times=times, last=3000)
    assert video.restore(same, source, tmp_path / "b.mp4", start=1.1).frames == 7
    assert video.restore(same, source, tmp_path / "c.mp4", end=1.1).frames == 33


@pytest.mark.parametrize(("start", "end"), [(1, 1), (-1, 2), (3, 2), (0, 0)])
def test_what_is_no_span_is_refused(tmp_path, start, end):
    source = films.film(tmp_path / "a.mp4", 2, sound=None)
    with pytest.raises(ValueError, match="start < end"):
        video.restore(same, source, tmp_path / "b.mp4", start=start, end=end)


def test_a_span_behind_the_end_is_told(tmp_path):
    source = films.film(tmp_path / "a.mp4")
    with pytest.raises(video.VideoError, match=r"no frames from second 5 .* lasts 0\.4 s"):
        video.restore(same, source, tmp_path / "b.mp4", start=5)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_preview_has_both_side_by_side(tmp_path):
    source = films.film(tmp_path / "a.mp4", 3)
    result = video.restore(negative, source, tmp_path / "b.mp4", preview=True)
    before = films.pictures_of(source)
    for picture, blurred in zip(films.pictures_of(result.path), before, strict=True):
        assert picture.shape == (48, 132, 3)
        close([picture[:, :64], picture[:, 68:]], [blurred, 255 - blurred], 5)
        assert picture[:, 65:67].mean() > 240


def broken(path, number, keep=60):
    """Makes a frame's packet garbage behind its header, in place; returns its time."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        packet = packets[number]
        place, size, time = packet.pos, packet.size, packet.pts * stream.time_base
    data = bytearray(path.read_bytes())
    begin = place + min(keep, 4)
    data[begin : place + size] = b"\xff" * (place + size - begin)
    path.write_bytes(data)
    return time


@pytest.mark.parametrize("number", [4, 9])
def test_a_broken_frame_is_replaced_by_the_one_before(tmp_path, number):
    # Each frame by itself, so that the next one is whole.
    source = films.film(tmp_path / "a.mp4", options={"g": "1", "bf": "0", "crf": "8"})
    times, good = films.times_of(source), films.pictures_of(source)
    assert broken(source, number) == times[number]
    result = video.restore(negative, source, tmp_path / "b.mp4")
    assert (result.frames, result.replaced, result.lost) == (10, 1, 0)
    assert films.times_of(result.path) == times
    assert result.notes == ("1 broken frame was replaced by the one before",)
    good[number] = good[number - 1]
    close(films.pictures_of(result.path), [255 - picture for picture in good], 3)
    assert films.packets_of(result.path) == films.packets_of(source)


def test_a_broken_beginning_is_left_out_keeping_time(tmp_path):
    source = films.film(tmp_path / "a.mp4", options={"g": "1", "bf": "0", "crf": "8"})
    times = films.times_of(source)
    broken(source, 0)
    broken(source, 1)
    result = video.restore(same, source, tmp_path / "b.mp4")
    assert (result.frames, result.replaced, result.lost) == (8, 0, 2)
    assert films.times_of(result.path) == times[2:]
    assert result.notes == ("2 broken frames were left out, at the beginning",)


def test_a_file_that_breaks_off_is_restored_so_far_and_told(tmp_path):
    source = films.film(tmp_path / "a.mkv", 100)
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 2])
    result = video.restore(same, source, tmp_path / "b.mkv")
    assert 20 < result.frames < 80
    assert any("breaks off after 0:0" in line for line in result.notes)
    assert films.times_of(result.path) == films.times_of(source)


def test_what_is_no_video_is_told(tmp_path):
    path = images.write_bytes(tmp_path / "a.mp4", b"no video at all")
    with pytest.raises(video.VideoError, match=r"a\.mp4: cannot be opened as a video \(.+\)"):
        video.restore(same, path, tmp_path / "b.mp4")
    with pytest.raises(video.VideoError, match=r"c\.mp4: cannot be opened .*No such file"):
        video.restore(same, tmp_path / "c.mp4", tmp_path / "b.mp4")
    with av.open(str(tmp_path / "d.mp4"), "w") as container:
        films._sing(container, container.add_stream("aac", rate=films.SOUND_RATE), 0.5)
    with pytest.raises(video.VideoError, match=r"d\.mp4: there is no video in it"):
        video.restore(same, tmp_path / "d.mp4", tmp_path / "b.mp4")
    truncated = films.film(tmp_path / "e.mp4")
    truncated.write_bytes(truncated.read_bytes()[:2000])
    with pytest.raises(video.VideoError, match=r"e\.mp4: cannot be opened"):
        video.restore(same, truncated, tmp_path / "b.mp4")


def test_interlaced_video_is_refused_with_what_to_do(tmp_path):
    options = {"x264-params": "interlaced=1:tff=1", "crf": "8", "bf": "0"}
    source = films.film(tmp_path / "a.mp4", options=options)
    with pytest.raises(video.VideoError, match=r"a\.mp4: is interlaced.*bwdif"):
        video.restore(same, source, tmp_path / "b.mp4")


def test_a_change_of_size_on_the_way_is_refused_keeping_what_was_before(tmp_path):
    small = films.film(tmp_path / "a.ts", 5, sound=None)
    large = films.film(tmp_path / "b.ts", 5, size=(96, 64), sound=None)
    source = images.write_bytes(tmp_path / "c.ts", small.read_bytes() + large.read_bytes())
    with pytest.raises(video.VideoError, match="changes from 64x48 to 96x64") as caught:
        video.restore(same, source, tmp_path / "d.mkv")
    part = tmp_path / "d.part.mkv"
    assert caught.value.__notes__ == [f"{part} holds the 4 frames before"]
    assert len(films.times_of(part)) == 4
    assert not (tmp_path / "d.mkv").exists()


def test_destinations_that_will_not_do(tmp_path):
    source = films.film(tmp_path / "a.mp4", 2)
    with pytest.raises(
        video.VideoError, match=r"cannot write the suffix '\.avi'; use one of \.m4v"
    ):
        video.restore(same, source, tmp_path / "b.avi")
    with pytest.raises(video.VideoError, match="is the input itself"):
        video.restore(same, source, source, overwrite=True)
    (tmp_path / "c.mp4").mkdir()
    with pytest.raises(video.VideoError, match="is a folder"):
        video.restore(same, source, tmp_path / "c.mp4")
    kept = images.write_bytes(tmp_path / "d.mp4", b"kept")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        video.restore(same, source, kept)
    assert kept.read_bytes() == b"kept"
    assert video.restore(same, source, kept, overwrite=True).frames == 2


@pytest.mark.parametrize(
    "wrong", [lambda p: p[:-1], lambda p: p.astype(float), lambda p: p[..., 0]]
)
def test_a_restorer_that_gives_something_else_is_told(tmp_path, wrong):
    source = films.film(tmp_path / "a.mp4", 2)
    with pytest.raises(ValueError, match=r"to give uint8 of shape \(48, 64, 3\)"):
        video.restore(wrong, source, tmp_path / "b.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("quality", [0, 101])
def test_a_quality_out_of_range_is_told(tmp_path, quality):
    source = films.film(tmp_path / "a.mp4", 2)
    with pytest.raises(ValueError, match="1 to 100, got"):
        video.restore(same, source, tmp_path / "b.mp4", quality=quality)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_ctrl_c_leaves_a_playable_part(tmp_path, suffix):
    source = films.film(tmp_path / f"a{suffix}", 40)
    done = []

    def restorer(pixels):
        done.append(1)
        if len(done) == 21:
            signal.raise_signal(signal.SIGINT)
        return pixels

    with pytest.raises(KeyboardInterrupt) as caught:
        video.restore(restorer, source, tmp_path / f"b{suffix}")
    result = caught.value.result
    assert result.path == video.partial_path(tmp_path / f"b{suffix}")
    assert (result.frames, result.expected, result.notes) == (20, 40, ())
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"a{suffix}", f"b.part{suffix}"]
    assert films.times_of(result.path) == films.times_of(source)[:20]
    close(films.pictures_of(result.path), films.pictures_of(source)[:20], 3)
    assert cv2.VideoCapture(str(result.path)).read()[0]
    assert len(films.packets_of(result.path)) > 5
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_while_a_picture_is_written_waits_for_it(tmp_path, monkeypatch):
    source = films.film(tmp_path / "a.mp4", 20)
    write = writing.Writer.write

    def slow(self, pixels, time, duration):
        if time >= 36000:
            signal.raise_signal(signal.SIGINT)
        write(self, pixels, time, duration)

    monkeypatch.setattr(writing.Writer, "write", slow)
    with pytest.raises(video.Interrupted) as caught:
        video.restore(same, source, tmp_path / "b.mp4")
    assert caught.value.result.frames == 11
    assert len(films.times_of(tmp_path / "b.part.mp4")) == 11


def test_ctrl_c_before_the_first_picture_leaves_nothing(tmp_path):
    source = films.film(tmp_path / "a.mp4")

    def restorer(pixels):
        raise KeyboardInterrupt

    with pytest.raises(video.Interrupted) as caught:
        video.restore(restorer, source, tmp_path / "b.mp4")
    assert caught.value.result is None
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_failure_on_the_way_leaves_what_was_done(tmp_path):
    source = films.film(tmp_path / "a.mp4")
    done = []

    def restorer(pixels):
        done.append(1)
        if len(done) == 6:
            raise MemoryError("not enough memory")
        return pixels

    with pytest.raises(MemoryError, match="not enough") as caught:
        video.restore(restorer, source, tmp_path / "b.mp4")
    part = tmp_path / "b.part.mp4"
    assert caught.value.__notes__ == [f"{part} holds the 5 frames before"]
    assert len(films.times_of(part)) == 5


def test_a_full_disk_is_told_by_name(tmp_path, monkeypatch):
    source = films.film(tmp_path / "a.mp4")

    def full(self, packets):
        raise av.error.OSError(28, "No space left on device")

    monkeypatch.setattr(writing.Writer, "_mux", full)
    with pytest.raises(video.VideoError, match=r"b\.mp4: cannot be written: No space left"):
        video.restore(same, source, tmp_path / "b.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_memory_does_not_grow_with_the_length(tmp_path):
    source = films.film(tmp_path / "a.mp4", 300)
    alive, most = [], []

    def restorer(pixels):
        alive.append(weakref.ref(pixels))
        most.append(sum(one() is not None for one in alive))
        return 255 - pixels

    assert video.restore(restorer, source, tmp_path / "b.mp4").frames == 300
    assert max(most) <= 4


def test_progress_and_notes_come_as_they_happen(tmp_path):
    source = films.film(tmp_path / "a.mkv", 4, size=(63, 47), kind="yuv420p", codec="ffv1")
    told = []
    video.restore(
        same,
        source,
        tmp_path / "b.mkv",
        progress=lambda done, expected: told.append((done, expected)),
        note=told.append,
    )
    assert "is odd" in told[0]
    assert [done for done, _ in told[1:]] == [1, 2, 3, 4]
    assert all(expected == 4 for _, expected in told[1:])


def test_times_that_do_not_go_on_are_mended_and_told(tmp_path, monkeypatch):
    source = films.film(tmp_path / "a.mp4", 5)
    decoded = reading.Reader._demuxed

    def stuck(self):
        for packet in decoded(self):
            if packet.stream is self.video and packet.pts == 7200:
                packet.pts = 3600
            yield packet

    monkeypatch.setattr(reading.Reader, "_demuxed", stuck)
    result = video.restore(same, source, tmp_path / "b.mp4")
    assert result.frames == 5
    assert films.times_of(result.path)[2] == 3601 * films.TICKS
    assert "no time later than the one before" in result.notes[0]


@pytest.fixture
def without_av(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)


def test_without_pyav_opencv_writes_the_pictures_and_says_what_is_lost(tmp_path, without_av):
    source = films.film(tmp_path / "a.mp4")
    expected = [255 - picture for picture in films.pictures_of(source)]
    told = []
    result = video.restore(negative, source, tmp_path / "b.mp4", note=told.append)
    assert (result.frames, result.sounds, result.encoding) == (10, 0, "MPEG-4 Part 2 (mp4v)")
    assert "sound, subtitles and metadata are lost" in told[0]
    assert 'pip install "av>=16,<17"' in told[0]
    capture = cv2.VideoCapture(str(result.path))
    assert capture.get(cv2.CAP_PROP_FPS) == 25
    close([capture.read()[1][..., ::-1] for _ in range(10)], expected, 6)
    assert not capture.read()[0]


def test_without_pyav_a_variable_rate_keeps_its_time(tmp_path, without_av):
    times = [0, 3600, 7200, 18000, 21600, 36000]  # of 25 a second, some left out
    source = films.film(tmp_path / "a.mp4", 6, times=times, last=3600, sound=None)
    shown = films.pictures_of(source)
    result = video.restore(same, source, tmp_path / "b.mp4")
    rate = cv2.VideoCapture(str(source)).get(cv2.CAP_PROP_FPS)
    read, written = films.pictures_of(result.path), films.times_of(result.path)
    assert abs(len(read) / rate - 0.44) < 0.1
    for picture, time in zip(read, written, strict=True):
        assert any(
            np.abs(picture.astype(float) - shown[number]).mean() < 6
            for number, at in enumerate(times)
            if abs(at / 90000 - time) <= 0.16
        )


def test_without_pyav_what_it_cannot_do_is_told(tmp_path, without_av):
    odd = films.film(tmp_path / "a.mkv", 2, size=(63, 47), kind="yuv444p")
    with pytest.raises(video.VideoError, match=r"b\.mp4: OpenCV would cut 63x47 .*pip install"):
        video.restore(same, odd, tmp_path / "b.mp4")
    assert ".webm" not in video.formats()
    path = images.write_bytes(tmp_path / "c.mp4", b"no video at all")
    with pytest.raises(images.ImageError, match="cannot be opened as a video"):
        video.restore(same, path, tmp_path / "b.mp4")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mkv", "c.mp4"]


def test_without_pyav_spans_turns_and_previews_work(tmp_path, without_av):
    source = films.turned(films.film(tmp_path / "a.mp4", 20), (0, 1, -1, 0))
    result = video.restore(same, source, tmp_path / "b.mp4", start=0.2, end=0.6, preview=True)
    assert (result.frames, result.expected) == (10, 10)
    picture = films.pictures_of(result.path)[0]
    assert picture.shape == (64, 100, 3)
    capture = cv2.VideoCapture(str(source))
    frames = [capture.read()[1][..., ::-1] for _ in range(6)]
    close([picture[:, :48]], [frames[5]], 6)


def test_without_pyav_ctrl_c_leaves_a_playable_part(tmp_path, without_av):
    source = films.film(tmp_path / "a.mp4", 20)
    done = []

    def restorer(pixels):
        done.append(1)
        if len(done) == 8:
            raise KeyboardInterrupt
        return pixels

    with pytest.raises(video.Interrupted) as caught:
        video.restore(restorer, source, tmp_path / "b.mp4")
    assert caught.value.result.frames == 7
    assert len(films.pictures_of(tmp_path / "b.part.mp4")) == 7


@pytest.mark.parametrize(
    "name", ["a:b%03d.mp4", "-.mp4", "two\nlines.mp4", "\udcff.mp4", "http:x.mp4"]
)
def test_any_name_is_a_file(tmp_path, name):
    source = tmp_path / name
    films.film(tmp_path / "plain.mp4", 2).rename(source)
    result = video.restore(same, source, tmp_path / f"new{name}")
    assert (result.frames, result.sounds) == (2, 1)
    assert (tmp_path / f"new{name}").is_file()

"""`deblur-keras deblur` with videos among its inputs."""

import signal
import sys
from fractions import Fraction

import click
import films
import numpy as np
import pytest

keras = pytest.importorskip("keras")

from deblur_keras import images  # noqa: E402
from deblur_keras.cli import clips  # noqa: E402
from deblur_keras.cli.deblur import deblur  # noqa: E402
from deblur_keras.restorer import Restorer  # noqa: E402


def assert_negative(path, source):
    pairs = zip(films.pictures_of(path), films.pictures_of(source), strict=True)
    for restored, blurred in pairs:
        assert np.abs(restored.astype(float) + blurred - 255).mean() < 3


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_video_beside_it_with_its_sound_and_times(run_deblur, tmp_path):
    source = films.film(tmp_path / "clip.MP4", 8)
    output = run_deblur("clip.MP4")
    assert_negative("clip-restored.MP4", source)
    assert films.times_of("clip-restored.MP4") == films.times_of(source)
    assert films.packets_of("clip-restored.MP4") == films.packets_of(source)
    assert (
        "clip.MP4: 8 frames, 0.3 s, H.264, CRF 17 (quality 95), 8 bits, 4:2:0, sound copied; "
        in (output)
    )
    assert "frames/s" in output
    assert "1 of 1 restored; written beside the inputs" in output and "a file" in output


def test_photographs_and_videos_of_a_folder_keep_its_tree(run_deblur, tmp_path):
    photo = np.full((6, 9, 3), 7, np.uint8)
    images.write(tmp_path / "trip" / "a.png", photo)
    films.film(tmp_path / "trip" / "day1" / "clip.mkv", 3)
    films.film(tmp_path / "trip" / "old.avi", 3, codec="mpeg4", sound=None, base=Fraction(1, 25))
    images.write_bytes(tmp_path / "trip" / "broken.mov", b"broken")
    output = run_deblur("trip", "-o", "new", "--format", "tif", code=1)
    assert names(tmp_path / "new") == ["a.tif", "day1/clip.mkv", "old.mkv"]
    assert "failed: trip/broken.mov: cannot be opened as a video" in output
    assert "3 of 4 restored, 1 failed" in output
    np.testing.assert_array_equal(images.read("new/a.tif"), 255 - photo)
    output = run_deblur("trip", "-o", "new", "--format", "tif", code=1)
    assert "0 of 4 restored, 1 failed, 3 existed" in output


def test_one_video_to_a_name(run_deblur, tmp_path):
    source = films.film(tmp_path / "clip.avi", 3, codec="mpeg4", sound=None, base=Fraction(1, 25))
    run_deblur("clip.avi", "-o", "new/sharp.mp4", "--quality", "90")
    assert_negative("new/sharp.mp4", source)


def test_a_photograph_makes_no_video_nor_the_other_way_round(run_deblur, tmp_path):
    films.film(tmp_path / "clip.mp4", 2)
    images.write(tmp_path / "a.png", np.zeros((6, 9, 3), np.uint8))
    for given, wanted in (("clip.mp4", "b.png"), ("a.png", "b.mp4")):
        assert "a photograph makes no video" in run_deblur(given, "-o", wanted, code=2)
    assert "cannot write the suffix '.avi'" in run_deblur("clip.mp4", "-o", "b.avi", code=1)
    assert names(tmp_path) == ["a.png", "clip.mp4"]


def test_results_previews_and_parts_are_no_inputs_of_the_next_run(run_deblur, tmp_path):
    films.film(tmp_path / "trip" / "clip.mp4", 10)
    run_deblur("trip")
    output = run_deblur("trip", "--preview", "--start", "0.12", "--end", "0:00.2")
    assert "1 left out as results of an earlier run" in output
    assert len(films.times_of("trip/clip-preview.mp4")) == 2
    assert films.pictures_of("trip/clip-preview.mp4")[0].shape == (48, 132, 3)
    images.write_bytes(tmp_path / "trip" / "clip-restored.part.mp4", b"")
    output = run_deblur("trip", "--overwrite")
    assert "1 of 1 restored, 3 left out as results" in output
    assert names(tmp_path / "trip") == [
        "clip-preview.mp4",
        "clip-restored.mp4",
        "clip-restored.part.mp4",
        "clip.mp4",
    ]


def test_options_of_videos_need_one(run_deblur, tmp_path):
    images.write(tmp_path / "a.png", np.zeros((6, 9, 3), np.uint8))
    output = run_deblur("a.png", "--preview", "--start", "1", code=2)
    assert "--start and --preview are of videos; the input has none" in output
    films.film(tmp_path / "clip.mp4", 2)
    output = run_deblur("clip.mp4", "--start", "1:00", "--end", "59", code=2)
    assert "nothing lies between --start 60 and --end 59" in output


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("1:30", 90),
        ("1:02:03.5", Fraction(7447, 2)),
        ("0.1", Fraction(1, 10)),
        ("75:00", 4500),
    ],
)
def test_times_are_read_exactly(text, seconds):
    assert clips.Seconds().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "a", "-1", "1:60", "1:60:00", "1:2:3:4", "1e3", "inf", ":30"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(click.BadParameter, match="is no time, such as 90"):
        clips.Seconds().convert(text, None, None)


def test_lines_about_a_video_name_it(run_deblur, tmp_path):
    films.film(tmp_path / "odd.mkv", 3, codec="ffv1", size=(63, 47), sound=None)
    output = run_deblur("odd.mkv")
    assert "odd.mkv: its size, 63x47, is odd: written with a colour for each pixel" in output
    assert "4:4:4, no sound" in output


def test_ten_bits_stay_ten(run_deblur, tmp_path):
    films.film(tmp_path / "clip.mp4", 3, kind="yuv420p10le", sound=None)
    assert "10 bits" in run_deblur("clip.mp4")
    # Not against the clip read by PyAV, whose rgb48le of such a file is wrong below the top rows.
    for number, one in enumerate(films.pictures_of("clip-restored.mp4", "rgb48le")):
        away = np.abs(one + 257.0 * films.scene(number) - 65535)
        assert away.mean() < 500  # the colours of its edges are shared by four pixels
        assert np.median(away) < 128  # half a level of 8 bits


def test_without_pyav_the_loss_is_told_before_the_work(run_deblur, tmp_path, monkeypatch):
    films.film(tmp_path / "clip.mp4", 3)
    monkeypatch.setitem(sys.modules, "av", None)
    output = run_deblur("clip.mp4")
    assert output.index("clip.mp4: PyAV is missing: sound, subtitles") < output.index("3 frames")
    assert 'pip install "av>=16,<17"' in output
    assert len(films.pictures_of("clip-restored.mp4")) == 3


def test_help_shows_a_video():
    assert "deblur-keras deblur clip.mp4 -o sharp.mp4" in deblur.help


def test_ctrl_c_names_the_playable_part_and_ends_with_1(run_deblur, tmp_path, monkeypatch):
    films.film(tmp_path / "clip.mp4", 30)
    films.film(tmp_path / "next.mp4", 3)
    restored = []

    def press_at_the_twelfth(self, pixels):
        restored.append(pixels)
        if len(restored) == 12:
            signal.raise_signal(signal.SIGINT)
        return pixels

    monkeypatch.setattr(Restorer, "__call__", press_at_the_twelfth)
    output = run_deblur("clip.mp4", "next.mp4", code=1)
    assert "clip-restored.part.mp4: holds the first 11 of 30 frames, 0.4 s, and can be" in output
    assert "Interrupted: 0 of 2 restored" in output
    assert names(tmp_path) == ["clip-restored.part.mp4", "clip.mp4", "next.mp4"]
    times = films.times_of("clip-restored.part.mp4")
    assert times == films.times_of("clip.mp4")[:11]


def test_a_clip_that_is_cut_off_is_restored_so_far_and_fails(run_deblur, tmp_path):
    whole = films.film(tmp_path / "a.mkv", 100).read_bytes()
    (tmp_path / "a.mkv").write_bytes(whole[: len(whole) // 2])
    output = run_deblur("a.mkv", code=1)
    assert "failed: a.mkv: is cut off or broken; a-restored.mkv has the" in output
    assert "0 of 1 restored, 1 failed" in output
    assert len(films.times_of("a-restored.mkv")) > 20

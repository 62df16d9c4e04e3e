"""Frames in videos and folders: which there are, in what order, and what is wrong with them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from deblur_keras import datasets, frames, images


def film(path, pictures, codec="MJPG", rate=240):
    """Writes a video; returns its path."""
    height, width = pictures[0].shape[:2]
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, (width, height))
    assert writer.isOpened()
    for picture in pictures:
        writer.write(picture[..., ::-1])
    writer.release()
    return path


def plain(*levels):
    """Pictures of one colour each: red of the given levels."""
    return [np.broadcast_to(np.uint8([level, 40, 20]), (48, 64, 3)) for level in levels]


def stills(folder, names):
    for name in names:
        images.write(folder / name, np.zeros((4, 4, 3), "uint8"))


@pytest.mark.parametrize(("name", "codec"), [(".mp4", "mp4v"), (".avi", "MJPG")])
def test_the_frames_of_a_video_are_rgb_and_numbered_from_0(tmp_path, name, codec):
    levels = [40, 90, 140, 190, 240]
    scene = frames.scenes(film(tmp_path / f"clip{name}", plain(*levels), codec))[0]
    assert (scene.name, scene.count, scene.files) == ("clip", 5, ())
    read = [(frame.label, frame.read()) for frame in scene.frames()]
    assert [label for label, _ in read] == ["0", "1", "2", "3", "4"]
    for (_, pixels), level in zip(read, levels, strict=True):
        assert pixels.dtype == np.uint8
        assert pixels.shape == (48, 64, 3)
        np.testing.assert_allclose(pixels.mean(axis=(0, 1)), [level, 40, 20], atol=4)


def test_a_frame_that_is_not_read_is_passed_over(tmp_path):
    scene = frames.scenes(film(tmp_path / "a.avi", plain(40, 90, 140)))[0]
    for frame in scene.frames():
        if frame.label == "2":
            assert abs(frame.read()[..., 0].mean() - 140) < 4


def test_the_frames_of_a_folder_are_ordered_by_number(tmp_path):
    names = ["frame10.png", "frame9.png", "frame9b.png", "Frame1.png", "²x1.png"]
    stills(tmp_path / "walk", names)
    (tmp_path / "walk" / "notes.txt").write_text("no frame")
    (scene,) = frames.scenes(tmp_path / "walk")
    assert scene.name == "walk"
    assert scene.count == 5
    labels = [frame.label for frame in scene.frames()]
    assert labels == ["Frame1.png", "frame9.png", "frame9b.png", "frame10.png", "²x1.png"]


def test_each_video_and_each_folder_of_frames_is_a_scene(tmp_path):
    film(tmp_path / "set" / "ride.AVI", plain(0, 99))
    stills(tmp_path / "set" / "one", ["1.png", "2.png"])
    stills(tmp_path / "set" / "deep" / "two", ["1.png"])
    found = frames.scenes(tmp_path / "set")
    assert {(scene.name, scene.count) for scene in found} == {("ride", 2), ("one", 2), ("two", 1)}


def test_frames_may_be_named_one_by_one(tmp_path):
    stills(tmp_path / "walk", ["3.png", "1.png", "2.png"])
    (scene,) = frames.scenes([tmp_path / "walk" / "3.png", tmp_path / "walk" / "2.png"])
    assert [frame.label for frame in scene.frames()] == ["2.png", "3.png"]
    assert [s.count for s in frames.scenes(tmp_path / "wa*" / "[12].png")] == [2]


def test_a_file_named_itself_is_tried_as_a_video_whatever_its_suffix(tmp_path):
    path = film(tmp_path / "a.avi", plain(0, 99)).rename(tmp_path / "a.dat")
    assert frames.scenes(tmp_path) == []
    (scene,) = frames.scenes(path)
    assert len(list(scene.frames())) == 2


def test_names_do_not_clash(tmp_path):
    for folder in ("x/walk", "y/walk", "y/Walk_2", "z/train/sharp", ".hidden"):
        stills(tmp_path / folder, ["1.png"])
    given = [tmp_path / folder for folder in ("x", "y", "z", ".hidden")]
    names = [scene.name for scene in frames.scenes(given)]
    assert len({name.casefold() for name in names}) == 5
    assert {"walk", "train-sharp", "hidden"} < set(names)


def test_no_scene_is_named_like_a_part_of_the_tree(tmp_path):
    parts = {
        *datasets.layouts.SPLITS,
        *(side for sides in datasets.layouts.SIDES for side in sides),
    }
    for part in parts:
        stills(tmp_path / "set" / part, ["1.png"])
    names = {scene.name for scene in frames.scenes(tmp_path / "set")}
    assert names == {f"set-{part}" for part in parts}


@pytest.mark.parametrize("content", [b"", b"no video at all"])
def test_what_is_no_video_is_told_when_it_is_asked_for_frames(tmp_path, content):
    path = images.write_bytes(tmp_path / "clip01.mp4", content)
    (scene,) = frames.scenes(path)
    assert scene.count == 0
    with pytest.raises(images.ImageError, match=r"clip01.mp4: cannot be opened as a video"):
        next(scene.frames())


def test_a_frame_that_cannot_be_decoded_is_told():
    class Capture:
        def retrieve(self):
            return False, None

    with pytest.raises(images.ImageError, match=r"a.mp4: frame 7 cannot be decoded"):
        frames._retrieve(Capture(), Path("a.mp4"), 7)


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(images.ImageError, match="not found"):
        frames.scenes(tmp_path / "missing")

"""The unpacked archives of Koehler's dataset: found, complete, and read as once prepared."""

import pickle

import cv2
import numpy as np
import pytest

from deblur_keras import images
from deblur_keras.datasets import DatasetError, Pair, kohler_folder, records
from deblur_keras.evaluation import kohler

SHOTS = {(1, 1): 4, (1, 12): 11, (3, 2): 5}


def picture(*numbers):
    coarse = np.random.default_rng(numbers).integers(0, 256, (4, 4, 3)).astype("uint8")
    return cv2.resize(coarse, (32, 24), interpolation=cv2.INTER_CUBIC)


def unpack(root, blurred="", frames="", shots=SHOTS):
    """The archives' own files, in small, below folders of their own or not."""
    for (image, trajectory), count in shots.items():
        file = root / blurred / f"Blurry{image}_{trajectory}.png"
        images.write(file, picture(image, trajectory))
        folder = root / frames.format(image) / f"Image{image}" / f"Kernel{trajectory}"
        for number in range(1, count + 1):
            file = folder / f"GroundTruth{image}_{trajectory}_{number}.png"
            images.write(file, picture(image, trajectory, number))


@pytest.mark.parametrize("folders", [("", ""), ("BlurryImages", "GroundTruth_pngs_Image{}")])
def test_shots_are_found_and_read(tmp_path, folders):
    unpack(tmp_path, *folders)
    images.write_bytes(tmp_path / "Image1" / "readme.txt", b"notes")
    assert kohler_folder.is_kohler(tmp_path)
    found = kohler_folder.pairs(tmp_path, SHOTS)
    assert [shot.name for shot in found] == [
        "image1/trajectory01",
        "image1/trajectory12",
        "image3/trajectory02",
    ]
    for shot, ((image, trajectory), count) in zip(found, sorted(SHOTS.items()), strict=True):
        assert isinstance(shot, Pair)
        assert len(shot.frames) == count
        for number in range(count):  # by their numbers, not 1, 10, 11, 2
            expected = picture(image, trajectory, number + 1)
            np.testing.assert_array_equal(shot.read_frame(number), expected)
        blurred, sharp = shot.read()
        np.testing.assert_array_equal(blurred, picture(image, trajectory))
        np.testing.assert_array_equal(sharp, picture(image, trajectory, (count + 1) // 2))


def test_a_shot_has_what_a_record_of_the_prepared_dataset_has(tmp_path):
    unpack(tmp_path)
    shot = kohler_folder.pairs(tmp_path, SHOTS)[0]
    stored = [records.Stored(path, 0, path.stat().st_size) for path in shot.frames]
    record = records.Record(shot.name, stored[0], stored[1], tuple(stored))
    names = {"name", "blurred", "sharp", "frames", "read", "read_frame"}
    assert all(hasattr(thing, name) for name in names for thing in (shot, record))
    assert len(shot.frames) == len(record.frames)
    np.testing.assert_array_equal(shot.read_frame(3), record.read_frame(3))
    assert pickle.loads(pickle.dumps(shot)) == shot  # goes to workers


def test_a_found_shot_is_what_the_protocol_scores(tmp_path):
    unpack(tmp_path)
    shot = kohler_folder.pairs(tmp_path, SHOTS)[2]
    (found,) = kohler.score(shot, [shot.read_frame(3)])
    assert (found["best_frame"], found["mse"]) == (3, 0)


def test_the_whole_set_is_expected_unless_told_otherwise(tmp_path):
    unpack(tmp_path)
    with pytest.raises(DatasetError) as error:
        kohler_folder.pairs(tmp_path)
    message = str(error.value)
    assert "all 48 shots" in message
    assert "no blurred photograph" in message
    assert "image1/trajectory02, image1/trajectory03" in message
    assert "and 40 more" in message
    assert "image1/trajectory01 has 4 frames (1 to 4) where 199 are expected" in message
    assert "GroundTruth_pngs_Image1.zip" in message


def test_the_published_set_is_48_shots_of_some_199_frames():
    assert len(kohler_folder.FRAMES) == 48
    assert sum(kohler_folder.FRAMES.values()) == 48 * 199 + 1 - 6


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("Blurry1_12.png", r"no blurred photograph, Blurry.*, of image1/trajectory12"),
        ("Image3/Kernel2", r"no sharp frames, GroundTruth.*, of image3/trajectory02"),
        (
            "Image1/Kernel1/GroundTruth1_1_3.png",
            r"image1/trajectory01 has 3 frames \(1 to 4\) where 4 are expected",
        ),
    ],
)
def test_whatever_is_missing_is_named(tmp_path, gone, message):
    unpack(tmp_path)
    path = tmp_path / gone
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        file.unlink()
    with pytest.raises(DatasetError, match=message):
        kohler_folder.pairs(tmp_path, SHOTS)


def test_what_should_not_be_there_is_named(tmp_path):
    unpack(tmp_path)
    unpack(tmp_path, shots={(5, 1): 4})
    with pytest.raises(DatasetError, match="expected no image5/trajectory01"):
        kohler_folder.pairs(tmp_path, SHOTS)


@pytest.mark.parametrize("again", ["old/Blurry1_1.png", "old/GroundTruth1_1_2.png"])
def test_two_files_for_one_are_an_error(tmp_path, again):
    unpack(tmp_path)
    images.write(tmp_path / again, picture(0))
    with pytest.raises(DatasetError, match="must be there once"):
        kohler_folder.pairs(tmp_path, SHOTS)


def test_other_folders_are_not_koehlers(tmp_path):
    images.write(tmp_path / "train" / "scene" / "blur" / "1.png", picture(1))
    images.write(tmp_path / "Blurry_photos" / "Blurry_1.png", picture(1))
    assert not kohler_folder.is_kohler(tmp_path)
    assert not kohler_folder.is_kohler(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="no such folder"):
        kohler_folder.pairs(tmp_path / "nowhere")


@pytest.mark.parametrize("part", ["Blurry1_1.png", "Image1/Kernel1/GroundTruth1_1_1.png"])
@pytest.mark.parametrize("above", ["", "unpacked"])
def test_one_half_is_enough_to_be_recognized(tmp_path, part, above):
    images.write(tmp_path / above / part, picture(1))
    assert kohler_folder.is_kohler(tmp_path)

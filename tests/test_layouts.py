"""Every layout, found; every mistake, named."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deblur_keras import datasets, images
from deblur_keras.datasets import DatasetError, Pair


def picture(seed=0, height=24, width=32):
    """A small smooth photograph stand-in, different for each seed."""
    grey = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.BICUBIC))


def write_pairs(folder, names=("1", "2"), blurred="blur", sharp="sharp", suffix=".png"):
    for seed, name in enumerate(names):
        images.write(folder / sharp / f"{name}{suffix}", picture(seed))
        images.write(folder / blurred / f"{name}{suffix}", 255 - picture(seed))


def names(found):
    return [pair.name for pair in found]


@pytest.mark.parametrize("sides", [("blur", "sharp"), ("input", "target"), ("A", "B")])
def test_flat_sides(tmp_path, sides):
    write_pairs(tmp_path, ["b", "a"], *sides)
    found = datasets.pairs(tmp_path)
    first, second = sides
    assert found == [
        Pair(name, tmp_path / first / f"{name}.png", tmp_path / second / f"{name}.png")
        for name in "ab"
    ]
    blurred, sharp = found[0].read()
    np.testing.assert_array_equal(sharp, picture(1))
    np.testing.assert_array_equal(blurred, 255 - picture(1))


@pytest.mark.parametrize("sides", [("blur", "sharp"), ("input", "target"), ("A", "B")])
def test_split_above_flat_sides(tmp_path, sides):
    write_pairs(tmp_path / "train", ["1"], *sides)
    write_pairs(tmp_path / "test", ["2"], *sides)
    assert names(datasets.pairs(tmp_path, split="train")) == ["1"]
    assert names(datasets.pairs(tmp_path, split="test")) == ["2"]
    assert names(datasets.pairs(tmp_path / "test")) == ["2"]


def test_split_below_the_sides(tmp_path):
    for split, name in (("train", "1"), ("test", "2")):
        for seed, side in enumerate("AB"):
            images.write(tmp_path / side / split / f"{name}.png", picture(seed))
    assert names(datasets.pairs(tmp_path, split="train")) == ["1"]
    assert datasets.splits(tmp_path) == ["train", "test"]
    with pytest.raises(DatasetError, match="holds the splits train, test; say which one"):
        datasets.pairs(tmp_path)  # never both at once: a model would be scored on what it saw
    with pytest.raises(DatasetError, match="no split 'val'; present: train, test"):
        datasets.pairs(tmp_path, split="val")


def gopro(root):
    for split, scene in (("train", "GOPR2"), ("train", "GOPR1"), ("test", "GOPR3")):
        folder = root / split / scene
        write_pairs(folder, ["000002", "000001"])
        for name in ("000001", "000002"):
            images.write(folder / "blur_gamma" / f"{name}.png", picture(9))


def test_gopro_tree_from_every_level(tmp_path):
    gopro(tmp_path)
    train = ["GOPR1/000001", "GOPR1/000002", "GOPR2/000001", "GOPR2/000002"]
    assert names(datasets.pairs(tmp_path, split="train")) == train
    assert names(datasets.pairs(tmp_path / "train")) == train
    assert names(datasets.pairs(tmp_path / "train", split="train")) == train
    assert names(datasets.pairs(tmp_path / "train" / "GOPR1")) == ["000001", "000002"]
    assert names(datasets.pairs(tmp_path.parent / tmp_path.name / "test")) == [
        "GOPR3/000001",
        "GOPR3/000002",
    ]


def test_gopro_gamma_version_is_chosen(tmp_path):
    gopro(tmp_path)
    found = datasets.pairs(tmp_path, split="test", blur="blur_gamma")
    assert {pair.blurred.parent.name for pair in found} == {"blur_gamma"}
    np.testing.assert_array_equal(found[0].read()[0], picture(9))


def test_gamma_version_that_is_not_there(tmp_path):
    write_pairs(tmp_path / "scene")
    with pytest.raises(DatasetError, match=r"sharp/ but no blur_gamma/; there are: blur, sharp"):
        datasets.pairs(tmp_path, blur="blur_gamma")


def test_order_is_by_name_not_by_listing(tmp_path):
    write_pairs(tmp_path, ["z/1", "10", "a/2", "2"])
    assert names(datasets.pairs(tmp_path)) == ["10", "2", "a/2", "z/1"]


def test_suffixes_may_differ_and_hidden_and_other_files_are_left_out(tmp_path):
    images.write(tmp_path / "blur" / "1.jpg", picture(1))
    images.write(tmp_path / "sharp" / "1.PNG", picture(2))
    images.write(tmp_path / "sharp" / ".2.png", picture(2))
    (tmp_path / "blur" / "notes.txt").write_text("shaky")
    (found,) = datasets.pairs(tmp_path)
    assert (found.blurred.name, found.sharp.name) == ("1.jpg", "1.PNG")


def test_dots_in_names_are_kept(tmp_path):
    write_pairs(tmp_path, ["shot.1", "shot.2"])
    assert names(datasets.pairs(tmp_path)) == ["shot.1", "shot.2"]


def test_side_by_side(tmp_path):
    whole = np.concatenate([picture(3), picture(3) // 2], axis=1)
    images.write(tmp_path / "train" / "x.png", whole)
    images.write(tmp_path / "train" / "y.png", whole)
    found = datasets.pairs(tmp_path, split="train")
    assert names(found) == ["x", "y"]
    assert all(pair.side_by_side and pair.blurred == pair.sharp for pair in found)
    blurred, sharp = found[0].read()
    np.testing.assert_array_equal(blurred, picture(3))
    np.testing.assert_array_equal(sharp, picture(3) // 2)


def test_ordinary_photographs_are_not_taken_for_side_by_side(tmp_path):
    for seed in range(3):
        images.write(tmp_path / f"{seed}.png", picture(seed, width=64))
    with pytest.raises(DatasetError, match="deblur-keras blur"):
        datasets.pairs(tmp_path)


def test_side_by_side_of_odd_width(tmp_path):
    path = images.write(tmp_path / "1.png", picture(width=33))
    with pytest.raises(DatasetError, match="even width, got 33"):
        Pair("1", path, path, side_by_side=True).read()
    with pytest.raises(DatasetError, match="no image pairs"):
        datasets.pairs(tmp_path)


def test_side_by_side_of_one_picture_twice(tmp_path):
    images.write(tmp_path / "1.png", np.concatenate([picture(), picture()], axis=1))
    with pytest.raises(DatasetError, match="the same, pixel by pixel"):
        datasets.pairs(tmp_path)


def test_missing_partners_are_named_and_counted(tmp_path):
    write_pairs(tmp_path, [str(number) for number in range(1, 9)])
    (tmp_path / "sharp" / "3.png").unlink()
    with pytest.raises(DatasetError, match=r"1 of 8 images in .*blur have no partner.*: 3\."):
        datasets.pairs(tmp_path)
    write_pairs(tmp_path, ["3"])
    for number in range(1, 8):
        (tmp_path / "blur" / f"{number}.png").unlink()
    with pytest.raises(DatasetError, match=r"7 of 8 .*sharp have.*: 1, 2, 3, 4, 5 and 2 more"):
        datasets.pairs(tmp_path)


def test_missing_side(tmp_path):
    images.write(tmp_path / "scene" / "blur" / "1.png", picture())
    with pytest.raises(DatasetError, match=r"scene: has blur/ but no sharp/; there are: blur"):
        datasets.pairs(tmp_path)


def test_sizes_that_differ(tmp_path):
    write_pairs(tmp_path)
    path = images.write(tmp_path / "sharp" / "2.png", picture(2, 30, 40))
    with pytest.raises(DatasetError, match=r"1 of 2 pairs .*2\.png is 32x24 but .* is 40x30"):
        datasets.pairs(tmp_path)
    with pytest.raises(DatasetError, match=r"is 32x24 but .* is 40x30"):
        Pair("2", tmp_path / "blur" / "2.png", path).read()


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_turned_partner_counts_as_displayed(tmp_path, suffix):
    write_pairs(tmp_path, ["1"])
    (tmp_path / "blur" / "1.png").unlink()
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    lying = Image.fromarray(np.rot90(picture(5)))
    lying.save(tmp_path / "blur" / f"1{suffix}", exif=exif, quality=100, subsampling=0)
    (found,) = datasets.pairs(tmp_path)
    blurred, sharp = found.read()
    assert blurred.shape == sharp.shape
    np.testing.assert_allclose(blurred.astype(int), picture(5), atol=4)


def test_ambiguous_stems(tmp_path):
    write_pairs(tmp_path)
    images.write(tmp_path / "blur" / "1.jpg", picture())
    with pytest.raises(DatasetError, match="differ only in their suffix"):
        datasets.pairs(tmp_path)


def test_the_same_folder_twice(tmp_path):
    write_pairs(tmp_path / "real")
    (tmp_path / "linked").mkdir()
    for side in ("blur", "sharp"):
        (tmp_path / "linked" / side).symlink_to(tmp_path / "real" / "sharp")
    with pytest.raises(DatasetError, match="are the same folder"):
        datasets.pairs(tmp_path / "linked")


def test_the_same_file_twice(tmp_path):
    write_pairs(tmp_path)
    (tmp_path / "blur" / "2.png").unlink()
    os.link(tmp_path / "sharp" / "2.png", tmp_path / "blur" / "2.png")
    with pytest.raises(DatasetError, match=r"2\.png are the same file"):
        datasets.pairs(tmp_path)


def test_the_same_pixels_in_other_files(tmp_path):
    for side, suffix in (("blur", ".png"), ("sharp", ".bmp")):
        for seed in range(4):
            images.write(tmp_path / side / f"{seed}{suffix}", picture(seed))
    with pytest.raises(DatasetError, match="the same, pixel by pixel, in all 3 pairs looked at"):
        datasets.pairs(tmp_path)


def test_two_sets_of_sides_in_one_folder(tmp_path):
    write_pairs(tmp_path)
    write_pairs(tmp_path, blurred="A", sharp="B")
    with pytest.raises(DatasetError, match="holds blur/sharp and A/B"):
        datasets.pairs(tmp_path)


def test_several_splits_must_be_chosen_from(tmp_path):
    gopro(tmp_path)
    with pytest.raises(DatasetError, match=r"train, test; say which .*split='train'"):
        datasets.pairs(tmp_path)


def test_the_only_split_needs_no_name(tmp_path):
    write_pairs(tmp_path / "train" / "scene")
    assert names(datasets.pairs(tmp_path)) == ["scene/1", "scene/2"]


def test_unknown_split_lists_those_present(tmp_path):
    gopro(tmp_path)
    with pytest.raises(DatasetError, match="no split 'val'; present: train, test"):
        datasets.pairs(tmp_path, split="val")
    with pytest.raises(DatasetError, match="no split 'val'; present: none"):
        datasets.pairs(tmp_path / "test" / "GOPR3" / "blur", split="val")


def test_nothing_found_says_what_was_looked_for_and_what_is_there(tmp_path):
    (tmp_path / "notes.txt").touch()
    (tmp_path / "before").mkdir()
    with pytest.raises(DatasetError) as caught:
        datasets.pairs(tmp_path)
    for text in ("blur/ with sharp/", "input/ with target/", "A/ with B/", "before/, notes.txt"):
        assert text in str(caught.value)
    assert "synthetic" not in str(caught.value)


def test_empty_sides(tmp_path):
    for side in ("blur", "sharp"):
        (tmp_path / side).mkdir()
    with pytest.raises(DatasetError, match="found no image pairs"):
        datasets.pairs(tmp_path)


def test_no_such_folder():
    with pytest.raises(DatasetError, match="there is no such folder"):
        datasets.pairs(Path("nowhere"))


def test_broken_file_is_named(tmp_path):
    write_pairs(tmp_path)
    (tmp_path / "sharp" / "2.png").write_bytes(b"not a picture")
    with pytest.raises(DatasetError, match=r"sharp/2\.png: cannot be read"):
        datasets.pairs(tmp_path)


def test_layouts_need_no_tensorflow():
    code = "import sys, deblur_keras.datasets as d; d.pairs; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

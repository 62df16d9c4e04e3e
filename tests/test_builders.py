"""The TFDS builders on archives made here, and every wrong archive told before anything is copied.

``python tests/test_builders.py`` makes the ``dummy_data`` folders of the builders anew.
"""

import dataclasses
import hashlib
import io
import logging
import os
import pickle
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
import scipy.io
import tensorflow_datasets as tfds
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from tensorflow_datasets.core.download import downloader, resource

from deblur_keras import images
from deblur_keras.datasets import DatasetError, archives, catalog
from deblur_keras.datasets.gopro import gopro_dataset_builder as gopro
from deblur_keras.datasets.hide import hide_dataset_builder as hide
from deblur_keras.datasets.kohler import kohler_dataset_builder as kohler
from deblur_keras.datasets.levin import levin_dataset_builder as levin
from deblur_keras.datasets.levin import matlab
from deblur_keras.datasets.realblur import realblur_dataset_builder as realblur
from deblur_keras.datasets.reds import reds_dataset_builder as reds

catalog.register()
FOLDER = Path(catalog.__file__).parent
KERNEL = np.array([[0, 0, 0], [0.5, 0.25, 0.25], [0, 0, 0]])  # the sharp image, moved mostly right
WIDTH, HEIGHT = 32, 24


# The dummies: what the published archives look like, in small.


def photograph(seed):
    """A smooth colourful picture, different for each seed."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    return cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def averaged(sharp, gamma=1.0):
    """The mean over a movement of 5 pixels."""
    light = (sharp / 255) ** gamma
    mean = np.mean([np.roll(light, shift, axis=1) for shift in range(-2, 3)], axis=0)
    return np.rint(255 * mean ** (1 / gamma)).astype(np.uint8)


def write_pair(sharp_path, blurred_path, seed):
    sharp = photograph(seed)
    images.write(sharp_path, sharp)
    images.write(blurred_path, averaged(sharp))
    return sharp


def make_gopro(root):
    places = [("train", "GOPR0001_11_00"), ("train", "GOPR0002_11_00"), ("test", "GOPR0003_11_00")]
    for scene, (split, name) in enumerate(places):
        for number in (1, 2):
            folder, file = root / "GOPRO_Large" / split / name, f"{number:06}.png"
            seed = 10 * scene + number
            sharp = write_pair(folder / "sharp" / file, folder / "blur" / file, seed)
            images.write(folder / "blur_gamma" / file, averaged(sharp, gamma=2.2))


def make_hide(root):
    root = root / "HIDE_dataset"
    folders = ["train", "train", "test/test-close-ups", "test/test-long-shot"]
    for seed, folder in enumerate(folders, 100):
        write_pair(root / "GT" / f"{seed}.png", root / folder / f"{seed}.png", seed)


def make_realblur(root):
    root = root / "RealBlur"
    for seed, (letter, folder) in enumerate(
        {
            "J": "RealBlur-J_ECC_IMCORR_centroid_itensity_ref",
            "R": "RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref",
        }.items(),
        20,
    ):
        for split, scene, numbers in (("train", "scene001", (1, 2)), ("test", "scene002", (1,))):
            lines = []
            for number in numbers:
                paths = [f"{folder}/{scene}/{side}/{side}_{number}.png" for side in ("gt", "blur")]
                write_pair(*(root / path for path in paths), 10 * seed + 100 * number + len(split))
                lines.append(" ".join(paths) + " \n")
            listed = root / f"RealBlur_{letter}_{split}_list.txt"
            images.write_bytes(listed, "".join(lines).encode())


def make_reds(root):
    for clip, (split, prefix) in enumerate((("train", "train"), ("val", "val"))):
        for frame in range(2):
            file = f"{clip:03}/{frame:08}.png"
            sides = [root / split / f"{prefix}_{side}" / file for side in ("sharp", "blur")]
            write_pair(*sides, 300 + 10 * clip + frame)


def make_kohler(root):
    for trajectory in (1, 2):
        for frame in range(1, 4 + trajectory):
            images.write(
                root / f"Image1/Kernel{trajectory}/GroundTruth1_{trajectory}_{frame}.png",
                np.roll(photograph(400 + trajectory), frame, axis=1),
            )
        blurred = averaged(photograph(400 + trajectory))
        images.write(root / f"Blurry1_{trajectory}.png", blurred)
    for image in (2, 3, 4):  # there, and empty but for a note
        images.write_bytes(root / f"Image{image}/readme.txt", b"no frames in this dummy\n")


def make_levin(root):
    for shot in (1, 2):
        sharp = cv2.cvtColor(photograph(500 + shot), cv2.COLOR_RGB2GRAY) / 255
        blurred = cv2.filter2D(sharp, -1, KERNEL, borderType=cv2.BORDER_REFLECT_101)
        path = root / "LevinEtalCVPR09Data" / "Levin09blurdata" / f"im05_flit0{shot}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        # cv2.filter2D correlates, so KERNEL is what the authors store as f.
        arrays = {"x": sharp, "y": blurred, "f": KERNEL}
        scipy.io.savemat(path, arrays, do_compression=shot == 1)


MAKERS = {
    "gopro": make_gopro,
    "hide": make_hide,
    "kohler": make_kohler,
    "levin": make_levin,
    "realblur": make_realblur,
    "reds": make_reds,
}


def test_every_dataset_has_its_dummies_and_its_papers():
    assert set(MAKERS) == set(catalog.DATASETS)
    for name in MAKERS:
        for file in ("README.md", "CITATIONS.bib", "TAGS.txt", "checksums.tsv"):
            assert (FOLDER / name / file).is_file()
    files = [path for name in MAKERS for path in (FOLDER / name / "dummy_data").rglob("*.*")]
    assert sum(path.stat().st_size for path in files) < 300_000


@pytest.mark.parametrize("name", MAKERS)
def test_the_dummies_are_what_is_made_here(name, tmp_path):
    MAKERS[name](tmp_path)
    there = FOLDER / name / "dummy_data"
    made = [source.relative for source in images.find(tmp_path, None)]
    assert made == [source.relative for source in images.find(there, None)]
    for file in made:
        if file.suffix == ".png":
            read = images.read
        elif file.suffix == ".mat":
            read = lambda path: scipy.io.loadmat(path)["y"]  # noqa: E731
        else:
            read = lambda path: list(path.read_bytes())  # noqa: E731
        np.testing.assert_array_equal(read(there / file), read(tmp_path / file))


# The builders, by TFDS's own test case.

# Its module imports dill, for a test of features that is not used here.
with mock.patch.dict(sys.modules, {"dill": pickle}):
    DatasetBuilderTestCase = tfds.testing.DatasetBuilderTestCase


class BuilderCase(DatasetBuilderTestCase):
    __test__ = False

    def setUp(self):
        partial = mock.patch.dict(os.environ, {archives.PARTIAL: "1"})
        partial.start()
        self.addCleanup(partial.stop)
        super().setUp()


class TestGopro(BuilderCase):
    __test__ = True
    DATASET_CLASS = gopro.Builder
    SPLITS = {"train": 4, "test": 2}  # noqa: RUF012 - as TFDS reads it


class TestHide(BuilderCase):
    __test__ = True
    DATASET_CLASS = hide.Builder
    SPLITS = {"train": 2, "test": 2}  # noqa: RUF012


class TestKohler(BuilderCase):
    __test__ = True
    DATASET_CLASS = kohler.Builder
    SPLITS = {"test": 2}  # noqa: RUF012


class TestLevin(BuilderCase):
    __test__ = True
    DATASET_CLASS = levin.Builder
    SPLITS = {"test": 2}  # noqa: RUF012


class TestRealBlur(BuilderCase):
    __test__ = True
    DATASET_CLASS = realblur.Builder
    SPLITS = {"train": 2, "test": 1}  # noqa: RUF012


class TestReds(BuilderCase):
    __test__ = True
    DATASET_CLASS = reds.Builder
    SPLITS = {"train": 2, "validation": 2}  # noqa: RUF012
    BUILDER_CONFIG_NAMES_TO_TEST = ["full"]  # noqa: RUF012


del DatasetBuilderTestCase  # or pytest would run it as well


# What they make.


@pytest.fixture
def partial(monkeypatch):
    monkeypatch.setenv(archives.PARTIAL, "1")


def build(name, tmp_path, manual=None):
    """Prepares a dataset from its dummies, or from another folder."""
    manual = manual or FOLDER / name.partition("/")[0] / "dummy_data"
    return catalog.prepare(name, data_dir=tmp_path / "tfds", manual_dir=manual)


def examples(name, split, tmp_path):
    loaded = tfds.load(name, split=split, data_dir=tmp_path / "tfds", download=False)
    return {example["name"].decode(): example for example in tfds.as_numpy(loaded)}


def test_gopro_holds_the_pixels_of_the_archive(partial, tmp_path):
    build("gopro/large", tmp_path)
    found = examples("gopro/large", "train", tmp_path)
    assert sorted(found) == [
        f"GOPR000{scene}_11_00/00000{number}" for scene in (1, 2) for number in (1, 2)
    ]
    sharp = photograph(2)
    example = found["GOPR0001_11_00/000002"]
    np.testing.assert_array_equal(example["sharp"], sharp)
    np.testing.assert_array_equal(example["blurred"], averaged(sharp))
    np.testing.assert_array_equal(example["blurred_gamma"], averaged(sharp, gamma=2.2))


def test_gopro_halved_is_reduced_as_training_and_scoring_reduce(partial, tmp_path):
    build("gopro/halved", tmp_path)
    example = examples("gopro/halved", "test", tmp_path)["GOPR0003_11_00/000001"]
    np.testing.assert_array_equal(example["sharp"], images.resize(photograph(21), 0.5))
    np.testing.assert_array_equal(example["blurred"], images.resize(averaged(photograph(21)), 0.5))


def test_gopro_light_is_the_same_subset_for_ever():
    names = [f"GOPR{scene:04}_11_00/{number:06}" for scene in range(22) for number in range(96)]
    drawn = gopro.draw(names, 500)
    assert len(set(drawn)) == 500
    assert drawn == sorted(drawn) == gopro.draw(reversed(names), 500)
    assert len({name[:8] for name in drawn}) == 22  # every scene is there
    digest = hashlib.sha256("\n".join(drawn).encode()).hexdigest()
    assert digest.startswith("857cb9e5e088e6b7")
    assert gopro.draw(names, 500, seed=1) != drawn
    assert gopro.draw(names[:3], 500) == sorted(names[:3])


def test_realblur_follows_the_lists_and_keeps_both_versions_apart(partial, tmp_path):
    found = {}
    for config in "jr":
        build(f"realblur/{config}", tmp_path)
        assert list(examples(f"realblur/{config}", "test", tmp_path)) == ["scene002/1"]
        found[config] = examples(f"realblur/{config}", "train", tmp_path)
        assert sorted(found[config]) == ["scene001/1", "scene001/2"]
    first, second = (found[config]["scene001/1"]["sharp"] for config in "jr")
    assert not np.array_equal(first, second)


def test_hide_names_near_and_far_shots_apart(partial, tmp_path):
    build("hide", tmp_path)
    found = examples("hide", "test", tmp_path)
    assert sorted(found) == ["test-close-ups/102", "test-long-shot/103"]
    np.testing.assert_array_equal(found["test-long-shot/103"]["sharp"], photograph(103))


def test_kohler_keeps_every_frame_in_order(partial, tmp_path):
    build("kohler", tmp_path)
    shot = examples("kohler", "test", tmp_path)["image1/trajectory02"]
    assert (shot["image"], shot["trajectory"]) == (1, 2)
    expected = [np.roll(photograph(402), frame, axis=1) for frame in range(1, 6)]
    np.testing.assert_array_equal(shot["frames"], expected)
    np.testing.assert_array_equal(shot["sharp"], expected[2])


def test_kohler_has_as_many_frames_as_the_protocol_says():
    assert len(kohler.FRAMES) == 48
    assert sum(kohler.FRAMES.values()) == 48 * 199 + 1 - 6


def test_levin_turns_the_kernel_so_that_convolution_makes_the_blur(partial, tmp_path):
    from scipy import ndimage

    build("levin", tmp_path)
    shot = examples("levin", "test", tmp_path)["im05/flit02"]
    np.testing.assert_array_equal(shot["kernel"], KERNEL[::-1, ::-1].astype(np.float32))
    blurred = ndimage.convolve(shot["sharp"][..., 0].astype(float), shot["kernel"], mode="mirror")
    np.testing.assert_allclose(shot["blurred"][..., 0], blurred, atol=1)  # both sides are rounded


def test_reds_validation_needs_the_archives_of_validation_alone(partial, tmp_path):
    shutil.copytree(FOLDER / "reds" / "dummy_data" / "val", tmp_path / "manual" / "val")
    build("reds/validation", tmp_path, tmp_path / "manual")
    assert sorted(examples("reds/validation", "validation", tmp_path)) == [
        "001/00000000",
        "001/00000001",
    ]


@pytest.mark.parametrize("separator", ["/", "\\"])
@pytest.mark.parametrize("prefix", ["", "GOPRO_Large/", "some/where/GOPRO_Large/"])
def test_a_zip_is_read_as_it_is_wherever_its_tree_begins(partial, tmp_path, prefix, separator):
    zip_gopro(tmp_path / "manual" / "GOPRO_Large.zip", prefix, separator)
    build("gopro", tmp_path, tmp_path / "manual")
    assert len(examples("gopro", "train", tmp_path)) == 4


def test_the_manual_folder_may_be_the_unpacked_archive_itself(partial, tmp_path):
    build("gopro", tmp_path, FOLDER / "gopro" / "dummy_data" / "GOPRO_Large")
    assert len(examples("gopro", "test", tmp_path)) == 2


# Archives that are not what they should be.


def zip_gopro(path, prefix="", separator="/"):
    path.parent.mkdir(parents=True, exist_ok=True)
    root = FOLDER / "gopro" / "dummy_data" / "GOPRO_Large"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"train{separator}"), b"")  # a folder
        for source in images.find(root):
            name = (prefix + source.relative.as_posix()).replace("/", separator)
            archive.write(source.path, name)
        junk = "__MACOSX/train/GOPR0001_11_00/sharp/._000001.png"
        archive.writestr(junk.replace("/", separator), b"junk")
    return path


def refused(name, tmp_path, manual, match):
    """Builds in vain; nothing may have been written by then."""
    with pytest.raises(DatasetError, match=match) as caught:
        build(name, tmp_path, manual)
    assert not list((tmp_path / "tfds").rglob("*.tfrecord*"))
    return str(caught.value)


def test_fewer_pairs_than_published_are_refused_with_where_to_get_the_rest(tmp_path):
    manual = FOLDER / "gopro" / "dummy_data"
    message = refused("gopro/light", tmp_path, manual, "expected 2103 train and 1111 test pairs")
    assert "found 4 train and 2 test" in message
    assert "seungjunnah.github.io" in message
    assert "DEBLUR_KERAS_PARTIAL_DATA=1" in message


def test_a_zip_that_is_cut_off(tmp_path):
    path = zip_gopro(tmp_path / "manual" / "GOPRO_Large.zip")
    path.write_bytes(path.read_bytes()[:20_000])
    message = refused("gopro", tmp_path, path.parent, "a download cut off")
    assert "of 9.5 GB, got 20.0 kB" in message


def test_a_web_page_in_place_of_the_archive(tmp_path):
    path = tmp_path / "manual" / "GOPRO_Large.zip"
    images.write_bytes(path, b"\n<!DOCTYPE html><title>Google Drive - Quota exceeded</title>")
    refused("gopro", tmp_path, path.parent, "it is a web page")


def test_another_archive_under_the_name(tmp_path):
    path = tmp_path / "manual" / "GOPRO_Large.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train/GOPR0001_11_00/000001.png", b"a frame of GOPRO_Large_all")
    message = refused("gopro", tmp_path, path.parent, "is not GOPRO_Large.zip: looked for")
    assert "there are: train/GOPR0001_11_00/000001.png" in message


def test_a_missing_side(partial, tmp_path):
    manual = tmp_path / "manual"
    shutil.copytree(FOLDER / "gopro" / "dummy_data", manual)
    (manual / "GOPRO_Large/train/GOPR0002_11_00/sharp/000001.png").unlink()
    refused(
        "gopro", tmp_path, manual, "1 of 4 pairs of train have no sharp image: GOPR0002_11_00/0"
    )


def test_a_damaged_file_in_the_middle_is_named(partial, tmp_path):
    path = zip_gopro(tmp_path / "manual" / "GOPRO_Large.zip")
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entry = archive.infolist()[5]
    data[entry.header_offset + 30 + len(entry.filename) + 40] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=rf"{entry.filename} is damaged \(Bad CRC-32"):
        build("gopro", tmp_path, path.parent)


@pytest.mark.parametrize("name", ["gopro/light", "gopro/halved", "kohler"])
@pytest.mark.parametrize("damage", ["cut off", "empty", "zeros", "a bit", "web page"])
def test_a_damaged_image_is_named_before_it_is_trained_on(partial, tmp_path, name, damage):
    dataset = name.partition("/")[0]
    manual = tmp_path / "manual"
    shutil.copytree(FOLDER / dataset / "dummy_data", manual)
    path = {
        "gopro": manual / "GOPRO_Large/train/GOPR0002_11_00/blur/000001.png",
        "kohler": manual / "Image1/Kernel2/GroundTruth1_2_4.png",
    }[dataset]
    data = path.read_bytes()
    part = len(data) // 3
    path.write_bytes(
        {
            "cut off": data[:part],
            "empty": b"",
            "zeros": data[:part] + bytes(len(data) - part),
            "a bit": data[:part] + bytes([data[part] ^ 1]) + data[part + 1 :],
            "web page": b"<!DOCTYPE html>",
        }[damage]
    )
    with pytest.raises(
        DatasetError, match=rf"{path.name} is damaged \(.+\). Get .+ again"
    ) as caught:
        build(name, tmp_path, manual)
    assert "BytesIO" not in str(caught.value)


@pytest.mark.parametrize("name", ["gopro", "hide", "realblur/j", "reds", "kohler"])
def test_an_archive_whose_sides_are_copies(partial, tmp_path, name):
    dataset = name.partition("/")[0]
    manual = tmp_path / "manual"
    shutil.copytree(FOLDER / dataset / "dummy_data", manual)
    one = next(source.path for source in images.find(manual)).read_bytes()
    for source in images.find(manual):
        source.path.write_bytes(one)
    message = refused(name, tmp_path, manual, "are the same file, byte by byte, in all")
    assert "such as" in message and "Get " in message


def test_one_pair_without_blur_is_no_reason_to_refuse_all(partial, tmp_path):
    manual = tmp_path / "manual"
    shutil.copytree(FOLDER / "gopro" / "dummy_data", manual)
    scene = manual / "GOPRO_Large" / "train" / "GOPR0001_11_00"
    shutil.copyfile(scene / "sharp" / "000001.png", scene / "blur" / "000001.png")
    build("gopro", tmp_path, manual)


def test_what_python_cannot_read_has_to_be_unpacked(tmp_path):
    images.write_bytes(tmp_path / "manual" / "RealBlur.tar.gz", b"\x1f\x8b")
    refused("realblur", tmp_path, tmp_path / "manual", "unpack it first, with: cd .* && mkdir -p")
    images.write_bytes(tmp_path / "other" / "LevinEtalCVPR09Data.rar", b"Rar!")
    refused("levin", tmp_path, tmp_path / "other", "unpack it first, with: .*unrar x")


def test_an_archive_that_is_not_there(tmp_path):
    images.write_bytes(tmp_path / "manual" / "hide.rar", b"")
    message = refused("hide", tmp_path, tmp_path / "manual", "expected HIDE_dataset.zip or")
    assert "there are: hide.rar" in message
    assert "github.com/joanshen0508/HA_deblur" in message
    refused("hide", tmp_path, tmp_path / "none", "does not exist or is empty")


def test_a_list_that_is_not_there_or_names_what_is_not(partial, tmp_path):
    manual = tmp_path / "manual"
    shutil.copytree(FOLDER / "realblur" / "dummy_data", manual)
    listed = manual / "RealBlur" / "RealBlur_J_test_list.txt"
    good = listed.read_text()
    listed.write_text(good + good.replace("_1.png", "_9.png"))
    refused("realblur/j", tmp_path, manual, "1 of 2 pairs of test have no (sharp|blurred) image")
    listed.write_text("scene002\n")
    refused("realblur/j", tmp_path, manual, "expected lines such as .*, got 'scene002'")
    listed.unlink()
    refused("realblur/j", tmp_path, manual, "expected RealBlur_J_test_list.txt")


def test_a_shot_of_kohler_without_all_its_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(kohler.Builder, "EXPECTED", {"test": 2})
    manual = FOLDER / "kohler" / "dummy_data"
    refused("kohler", tmp_path, manual, "expected 199 image1/trajectory01 frames, found 4")


def test_a_matlab_file_of_levin_that_is_cut_off(partial, tmp_path):
    manual = tmp_path / "manual"
    shutil.copytree(FOLDER / "levin" / "dummy_data", manual)
    path = next(manual.rglob("im05_flit02.mat"))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DatasetError, match=r"im05_flit02.mat: expected the arrays x, y and f"):
        build("levin", tmp_path, manual)


def downloads(monkeypatch, source):
    """Lets the download manager copy files instead of fetching them; returns what was asked for."""
    asked = []

    def download(manager, urls):
        asked.extend(urls.values())
        return {file: source / file for file in urls}

    monkeypatch.setattr(tfds.download.DownloadManager, "download", download)
    return asked


def test_a_download_is_compared_with_the_published_checksum(partial, tmp_path, monkeypatch):
    path = zip_gopro(tmp_path / "fetched" / "GOPRO_Large.zip")
    asked = downloads(monkeypatch, path.parent)
    message = refused("gopro", tmp_path, tmp_path / "none", "expected GOPRO_Large.zip with sha256")
    assert asked == [gopro.ARCHIVE.url]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert f"got {digest}. Delete the file." in message
    good = dataclasses.replace(gopro.ARCHIVE, checksum=f"sha256:{digest}")
    monkeypatch.setattr(gopro, "ARCHIVE", good)
    level = logging.getLogger("urllib3.connectionpool").level
    build("gopro", tmp_path, tmp_path / "none")
    assert len(examples("gopro", "test", tmp_path)) == 2
    assert logging.getLogger("urllib3.connectionpool").level == level


@pytest.fixture
def closed(monkeypatch):
    """An address on this machine where nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/GOPRO_Large.zip"
        monkeypatch.setattr(gopro, "ARCHIVE", dataclasses.replace(gopro.ARCHIVE, url=url))
        monkeypatch.setattr("deblur_keras.datasets.downloads.RETRIES", 2)
        yield url


def test_a_download_without_a_network_ends_soon_and_leaves_nothing(tmp_path, closed, caplog):
    logger = logging.getLogger("urllib3.connectionpool")
    retries, level = downloader.MAX_RETRIES, logger.level
    theirs = tmp_path / "tfds" / "downloads" / "gopro" / (resource.get_dl_fname(closed) + ".tmp.1")
    theirs.mkdir(parents=True)  # another process may be at it
    started = time.monotonic()
    message = refused("gopro", tmp_path, tmp_path / "none", "gopro could not be downloaded")
    assert time.monotonic() - started < 30  # 0.4 seconds of waiting; TFDS's own ten take minutes
    assert "--manual-dir" in message
    assert [path.name for path in theirs.parent.iterdir()] == [theirs.name]
    assert not [record for record in caplog.records if record.name.startswith("urllib3")]
    assert retries == downloader.MAX_RETRIES
    logger.setLevel(level)


def test_a_host_that_refuses_the_file(tmp_path, monkeypatch):
    def refuse(manager, urls):
        raise tfds.core.download.util.DownloadError("Failed to get url. HTTP code: 403.")

    monkeypatch.setattr(tfds.download.DownloadManager, "download", refuse)
    refused("gopro", tmp_path, tmp_path / "none", r"could not be downloaded \(.*403.*--manual-dir")


def test_what_lies_there_is_checked_before_the_rest_is_downloaded(tmp_path, monkeypatch):
    asked = downloads(monkeypatch, tmp_path)
    images.write_bytes(tmp_path / "manual" / "val_sharp.zip", b"PK\x03\x04 and no more")
    refused("reds/validation", tmp_path, tmp_path / "manual", "a download cut off")
    assert not asked


# MATLAB files, against SciPy.


@given(
    array=st_numpy.arrays(
        st.sampled_from([np.float64, np.float32, np.uint8, np.int16, np.uint32]),
        st_numpy.array_shapes(min_dims=2, max_dims=3, max_side=5),
        elements=st.integers(0, 200),
    ),
    compressed=st.booleans(),
)
def test_matlab_arrays_are_read_as_scipy_reads_them(array, compressed):
    file = io.BytesIO()
    scipy.io.savemat(
        file, {"f": array, "text": "left out", "long_name_of_x": 3.5}, do_compression=compressed
    )
    found = matlab.read_arrays(file.getvalue())
    assert sorted(found) == ["f", "long_name_of_x"]
    np.testing.assert_array_equal(found["f"], scipy.io.loadmat(file)["f"])


@pytest.mark.parametrize("compressed", [False, True])
def test_a_matlab_file_that_is_cut_off_anywhere_is_an_error_or_reads_the_same(compressed):
    file = io.BytesIO()
    array = np.random.default_rng(0).random((6, 7))
    scipy.io.savemat(file, {"f": array}, do_compression=compressed)
    data = file.getvalue()
    for length in range(0, len(data), 7):
        try:
            found = matlab.read_arrays(data[:length])
        except ValueError:
            continue
        assert "f" not in found or np.array_equal(found["f"], array)


# Names, for users of TensorFlow Datasets.

_ENVIRONMENT = {**os.environ, archives.PARTIAL: "1", "TF_CPP_MIN_LOG_LEVEL": "2"}


def test_importing_the_datasets_is_enough_for_tfds_and_does_not_import_tensorflow():
    check = (
        "import sys, deblur_keras.datasets\n"
        "assert 'tensorflow' not in sys.modules\n"
        "import tensorflow_datasets as tfds\n"
        "print(sorted(tfds.builder('gopro/light', data_dir='.').info.features))\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert run.stdout.strip() == "['blurred', 'blurred_gamma', 'name', 'sharp']", run.stderr


def test_tfds_has_no_datasets_of_these_names():
    # Those of the community have the name of their owner before theirs.
    names = "tfds.list_builders(with_community_datasets=False)"
    check = f"import tensorflow_datasets as tfds; print(*{names})"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    known = set(run.stdout.split())
    assert len(known) > 300
    assert not known & set(catalog.DATASETS)


# The command as `tfds build` runs it, without the other commands, which want apache-beam
# (tensorflow/datasets#5463).
_TFDS_BUILD = (
    "import sys; from tensorflow_datasets.scripts.cli import build, cli_utils; "
    "cli_utils.make_flags_parser(build.Args, description='')(sys.argv).execute()"
)


@pytest.mark.parametrize("how", ["name", pytest.param("folder", marks=pytest.mark.slow)])
def test_tfds_build_knows_folders_and_names(how, tmp_path):
    folder = [str(FOLDER / "gopro"), "--config", "light"]
    name = ["gopro/light", "--imports", "deblur_keras.datasets"]
    command = [sys.executable, "-c", _TFDS_BUILD, *(folder if how == "folder" else name)]
    command += ["--data_dir", str(tmp_path), "--manual_dir", str(FOLDER / "gopro" / "dummy_data")]
    run = subprocess.run(command, capture_output=True, text=True, env=_ENVIRONMENT)
    assert run.returncode == 0, run.stderr
    assert len(catalog.pairs("gopro/light", "train", data_dir=tmp_path)) == 4


if __name__ == "__main__":
    for dataset, maker in MAKERS.items():
        shutil.rmtree(FOLDER / dataset / "dummy_data", ignore_errors=True)
        maker(FOLDER / dataset / "dummy_data")

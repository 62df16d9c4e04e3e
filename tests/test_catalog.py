"""Datasets by name, and single images out of TFRecord files."""

import concurrent.futures
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import requests
import tensorflow as tf
import tensorflow_datasets as tfds
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from deblur_keras import datasets, evaluation, feeds, images, recipes
from deblur_keras.cli.data import data
from deblur_keras.datasets import DatasetError, archives, catalog, records

FOLDER = Path(catalog.__file__).parent


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder of prepared datasets, made from the builders' dummies."""
    root = tmp_path_factory.mktemp("tfds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(archives.PARTIAL, "1")
        for name in ("gopro/light", "kohler", "reds/validation", "levin"):
            manual = FOLDER / name.partition("/")[0] / "dummy_data"
            assert catalog.prepare(name, root, manual).is_relative_to(root)
    return root


# Names.


def test_every_name_resolves_and_is_told_from_a_folder(tmp_path, monkeypatch):
    for name in catalog.names():
        dataset, config = catalog.resolve(name)
        assert name == (f"{dataset}/{config}" if config else dataset)
        assert catalog.is_name(name) and catalog.is_name(Path(name))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gopro" / "light").mkdir(parents=True)
    assert not catalog.is_name("gopro/light")  # a folder is a folder
    assert not catalog.is_name("elsewhere/gopro")


def test_the_builders_agree_with_the_catalog():
    catalog.register()
    for name, entry in catalog.DATASETS.items():
        builder = tfds.builder_cls(name)
        configs = [config.name for config in builder.BUILDER_CONFIGS] or [""]
        assert configs == list(entry.configs)
        assert tuple(builder.EXPECTED) == entry.configs[configs[0]]
        assert {*entry.blurs.values()} == {"blurred", *builder.MORE_SIDES}


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(DatasetError, match=r"known are gopro/large, .*Did you mean gopro/light\?"):
        catalog.pairs("gopro/ligth", "train")
    with pytest.raises(DatasetError, match="known are gopro/large"):
        catalog.resolve("godlike")
    with pytest.raises(DatasetError, match="a folder with image pairs, or one of gopro/large"):
        catalog.pairs("no/such/folder")


def test_a_dataset_that_is_not_prepared_tells_the_commands(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(DatasetError) as caught:
        catalog.pairs("hide", "test")
    message = str(caught.value)
    assert "\n" not in message  # commands print errors on one line
    assert f"hide is not prepared in {tmp_path}" in message
    assert f"deblur-keras data prepare hide --data-dir {tmp_path}" in message
    assert f"tfds build hide --imports deblur_keras.datasets --data_dir {tmp_path}" in message
    assert "pip install apache-beam mlcroissant" in message  # which tfds asks for without using it
    assert f"{tmp_path}/downloads/manual" in message
    assert "https://github.com/joanshen0508/HA_deblur" in message


def call(*arguments):
    return CliRunner().invoke(data, ["prepare", *map(str, arguments)])


def test_the_command_lists_names_and_explains_what_is_missing(tmp_path):
    assert call().output.split() == catalog.names()
    unknown = call("gopro/lihgt", "--data-dir", tmp_path)
    assert unknown.exit_code == 1 and "Did you mean gopro/light?" in unknown.output
    missing = call("hide", "--data-dir", tmp_path)
    assert missing.exit_code == 1 and "Get HIDE_dataset.zip" in missing.output


def test_a_download_that_fails_says_how_to_go_on_by_hand(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise requests.exceptions.ConnectionError("no route\nmore")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    result = call("gopro/light", "--data-dir", tmp_path)
    assert result.exit_code == 1
    assert "gopro could not be downloaded (no route)" in result.output
    assert "--manual-dir" in result.output and "GOPRO_Large.zip" in result.output


def test_the_command_prepares_a_dataset(tmp_path, monkeypatch):
    monkeypatch.setenv(archives.PARTIAL, "1")
    result = call("hide", "--data-dir", tmp_path, "--manual-dir", FOLDER / "hide" / "dummy_data")
    assert result.exit_code == 0, result.output
    assert f"Prepared {tmp_path}" in result.output
    assert catalog.pairs("hide", "test", data_dir=tmp_path)


def test_streams_take_names_of_datasets_with_one_split(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    blurred, sharp = next(iter(datasets.paired("levin", crop=16, scale=1.0)))
    assert blurred.shape == sharp.shape == (1, 16, 16, 3)
    with pytest.raises(DatasetError, match=r"say which split to use \(split='train'\)"):
        datasets.paired("gopro/light")
    for split, count in (("train", 4), ("test", 2)):
        assert len(datasets.paired("gopro/light", crop=16, scale=1.0, split=split)) == count
    with pytest.raises(ValueError, match="got 'test' with a list"):
        datasets.paired(catalog.pairs("levin"), split="test")


def test_validation_takes_names_of_datasets_with_several_splits(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    recipe = recipes.get("deblurgan")
    found = feeds.find(recipe, feeds.Sources(data="levin", validation="gopro/light"))
    assert [pair.name for pair in found.validation] == [
        "GOPR0003_11_00/000001",
        "GOPR0003_11_00/000002",
    ]
    found = feeds.find(recipe, feeds.Sources(data="gopro/light", validation="levin"))
    assert (len(found.pairs), len(found.validation)) == (4, 2)
    with pytest.raises(DatasetError, match="there is no such folder"):
        feeds.find(recipe, feeds.Sources(data="levin", validation="no/such/folder"))


def test_copies_are_refused_before_training(prepared, monkeypatch):
    whole = catalog.search("levin", data_dir=prepared)
    copies = [dataclasses.replace(pair, blurred=pair.sharp) for pair in whole]
    monkeypatch.setattr(catalog, "_records", lambda *_: copies)
    with pytest.raises(DatasetError, match="the same, pixel by pixel, in all 2 pairs looked at"):
        catalog.pairs("levin", data_dir=prepared)
    assert catalog.search("levin", data_dir=prepared) == copies
    monkeypatch.setattr(catalog, "_records", lambda *_: [copies[0], whole[1]])
    assert len(catalog.pairs("levin", data_dir=prepared)) == 2


def test_folders_work_as_before(tmp_path):
    for side in ("blur", "sharp"):
        images.write(tmp_path / "test" / side / "1.png", np.full((16, 16, 3), len(side), np.uint8))
    assert catalog.splits(tmp_path) == ["test"]
    (pair,) = catalog.pairs(str(tmp_path), "test")
    assert pair == datasets.pairs(tmp_path, "test")[0]


# Pairs.


def test_pairs_are_what_tfds_loads(prepared):
    loaded = tfds.load("gopro/light", split="train", data_dir=prepared, download=False)
    expected = {example["name"]: example for example in tfds.as_numpy(loaded)}
    found = catalog.pairs("gopro/light", "train", data_dir=prepared)
    assert [pair.name for pair in found] == sorted(name.decode() for name in expected)
    gamma = catalog.pairs("gopro/light", "train", blur="blur_gamma", data_dir=prepared)
    for pair, other in zip(found, gamma, strict=True):
        example = expected[pair.name.encode()]
        for side, key in zip(pair.read(), ("blurred", "sharp"), strict=True):
            np.testing.assert_array_equal(side, example[key])
        np.testing.assert_array_equal(other.read()[0], example["blurred_gamma"])


def test_the_environment_says_where(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    assert len(catalog.pairs("gopro/light", "test")) == 2


def test_the_split_may_be_left_out_when_there_is_one(prepared):
    assert len(catalog.pairs("levin", data_dir=prepared)) == 2
    with pytest.raises(DatasetError, match=r"\(split='train'\); present: train, test"):
        catalog.pairs("gopro/light", data_dir=prepared)
    with pytest.raises(DatasetError, match="there is no split 'val'; present: t"):
        catalog.pairs("gopro/light", "val", data_dir=prepared)
    with pytest.raises(DatasetError, match="no split 'train'; present: validation"):
        catalog.pairs("reds/validation", "train", data_dir=prepared)


def test_only_gopro_has_another_blurred_side(prepared):
    with pytest.raises(DatasetError, match="levin has no blurred side 'blur_gamma'"):
        catalog.pairs("levin", blur="blur_gamma", data_dir=prepared)


def test_frames_of_kohler_are_read_one_at_a_time(prepared):
    loaded = tfds.load("kohler", split="test", data_dir=prepared, download=False)
    expected = {example["name"].decode(): example for example in tfds.as_numpy(loaded)}
    for pair in catalog.pairs("kohler", data_dir=prepared):
        frames = expected[pair.name]["frames"]
        assert len(pair.frames) == len(frames) in (4, 5)
        for number in range(len(frames)):
            np.testing.assert_array_equal(pair.read_frame(number), frames[number])


def test_training_and_scoring_take_them(prepared):
    found = catalog.pairs("gopro/light", "train", data_dir=prepared)
    stream = datasets.paired(found, crop=16, batch=2, scale=1.0)
    blurred, sharp = next(iter(stream))
    assert blurred.shape == sharp.shape == (2, 16, 16, 3)
    again, _ = next(iter(datasets.paired(found, crop=16, batch=2, scale=1.0)))
    np.testing.assert_array_equal(blurred, again)
    result = evaluation.evaluate_pairs(lambda image: image, found)
    assert len(result.rows) == 4 and not result.failures


def test_they_are_read_from_many_threads_at_once(prepared):
    found = catalog.pairs("gopro/light", "train", data_dir=prepared) * 20
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for pair, (blurred, _) in zip(found, pool.map(records.Record.read, found), strict=True):
            np.testing.assert_array_equal(blurred, pair.read()[0])


def test_another_file_format_is_refused_with_what_to_do(prepared, monkeypatch):
    builder = catalog._builder("levin", prepared)
    monkeypatch.setattr(
        type(builder.info), "file_format", tfds.core.file_adapters.FileFormat.ARRAY_RECORD
    )
    with pytest.raises(DatasetError, match="expected TFRecord files, got array_record"):
        catalog.pairs("levin", data_dir=prepared)


def test_a_dataset_of_the_same_name_from_elsewhere_is_told(prepared, monkeypatch):
    monkeypatch.setattr(records, "index", lambda path, features: [{"name": [], "sharp": []}])
    with pytest.raises(DatasetError, match="got name, sharp; was it made by another builder"):
        catalog.pairs("levin", data_dir=prepared)


# TFRecord files.


def write_examples(path, examples):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            features = {}
            for key, value in example.items():
                if isinstance(value, list):
                    features[key] = tf.train.Feature(bytes_list=tf.train.BytesList(value=value))
                elif isinstance(value, float):
                    features[key] = tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
                else:
                    features[key] = tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
            message = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(message.SerializeToString())
    return path


_VALUES = st.one_of(
    st.lists(st.binary(max_size=300), max_size=4),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(width=32, allow_nan=False),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=5), _VALUES, max_size=4), max_size=4))
def test_values_are_found_where_tensorflow_wrote_them(tmp_path_factory, examples):
    path = write_examples(tmp_path_factory.mktemp("records") / "file.tfrecord", examples)
    found = records.index(path, {key for example in examples for key in example})
    assert len(found) == len(examples)
    for values, example in zip(found, examples, strict=True):
        for key, value in example.items():
            expected = value if isinstance(value, list) else []
            assert [stored.read() for stored in values.get(key, [])] == expected


def test_only_what_is_wanted_is_noted(tmp_path):
    path = write_examples(tmp_path / "file.tfrecord", [{"name": [b"one"], "other": [b"x" * 999]}])
    assert list(records.index(path, {"name"})[0]) == ["name"]


def test_files_that_are_cut_off_or_no_records(tmp_path):
    path = write_examples(tmp_path / "file.tfrecord", [{"name": [b"n" * 500]}] * 2)
    data = path.read_bytes()
    for length in (3, 11, 40, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(DatasetError, match="expected a whole TFRecord file of examples"):
            records.index(path, {"name"})
    path.write_bytes(b"PNG, not a record of examples at all")
    with pytest.raises(DatasetError, match="expected a whole TFRecord file"):
        records.index(path, {"name"})
    with pytest.raises(DatasetError, match="No such file"):
        records.index(tmp_path / "none.tfrecord", {"name"})


def test_a_file_that_changes_later_is_named(prepared, tmp_path):
    (pair, _) = catalog.pairs("levin", data_dir=prepared)
    copy = tmp_path / "copy.tfrecord"
    copy.write_bytes(pair.sharp.path.read_bytes()[: pair.sharp.offset + 10])
    moved = dataclasses.replace(pair, sharp=dataclasses.replace(pair.sharp, path=copy))
    with pytest.raises(DatasetError, match=r"flit01 sharp in .*copy.tfrecord: has been cut off"):
        moved.read()
    copy.unlink()
    with pytest.raises(DatasetError, match=r"copy.tfrecord: cannot be read: No such file"):
        moved.read()


def test_a_broken_image_or_pair_is_named(prepared):
    (pair, _) = catalog.pairs("levin", data_dir=prepared)
    broken = dataclasses.replace(
        pair, blurred=dataclasses.replace(pair.blurred, offset=pair.blurred.offset + 1)
    )
    with pytest.raises(images.ImageError, match=r"im05/flit01 blurred in .*: not an image"):
        broken.read()
    (other, _) = catalog.pairs("reds/validation", data_dir=prepared)
    assert other.read()[0].shape == pair.read()[0].shape == (24, 32, 3)
    path = prepared / "small.png"
    images.write(path, np.zeros((5, 7, 3), np.uint8))
    small = records.Stored(path, 0, path.stat().st_size)
    with pytest.raises(DatasetError, match=r"two images of one size .* got \(24, 32\) and \(5, 7"):
        dataclasses.replace(pair, sharp=small).read()


def test_broken_images_of_one_file_are_counted_one_by_one(prepared):
    whole = catalog.pairs("gopro/light", "train", data_dir=prepared)
    assert len({pair.sharp.path for pair in whole}) == 1
    broken = [
        dataclasses.replace(pair, sharp=dataclasses.replace(pair.sharp, offset=0))
        for pair in whole[:2]
    ]
    common = {"crop": 16, "scale": 1.0}
    assert len(list(datasets.paired([*broken, *whole[2:]], max_bad=2, **common))) == 4
    with pytest.raises(tf.errors.OpError, match="2 images could not be used, and max_bad allows 1"):
        list(datasets.paired([*broken, *whole[2:]], max_bad=1, **common))


@pytest.mark.parametrize("how", ["gone", "cut off"])
def test_images_of_a_file_that_is_gone_are_counted_one_by_one(prepared, tmp_path, how):
    """A file of records is no image: it would be hundreds of them at once."""
    whole = catalog.pairs("gopro/light", "train", data_dir=prepared)
    copy = tmp_path / "copy.tfrecord"
    if how == "cut off":
        copy.write_bytes(whole[0].sharp.path.read_bytes()[:100])
    moved = [
        dataclasses.replace(pair, sharp=dataclasses.replace(pair.sharp, path=copy))
        for pair in whole[:3]
    ]
    common = {"crop": 16, "scale": 1.0}
    assert len(list(datasets.paired([*moved, *whole[3:]], max_bad=3, **common))) == 4
    with pytest.raises(tf.errors.OpError, match="3 images could not be used, and max_bad allows 2"):
        list(datasets.paired([*moved, *whole[3:]], max_bad=2, **common))

"""Unpaired streams: two sides that know nothing of each other."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from deblur_keras import datasets, images
from deblur_keras.datasets import DatasetError, records


def write(folder, count, height=60, width=80):
    """Images whose pixel at (y, x) is (y, x, number)."""
    for number in range(count):
        rows, columns = np.mgrid[:height, :width]
        pixels = np.stack([rows, columns, np.full_like(rows, number)], axis=-1)
        images.write(folder / f"{number:03d}.png", pixels.astype(np.uint8))
    return folder


@pytest.fixture
def sides(tmp_path):
    return write(tmp_path / "blurred", 6), write(tmp_path / "sharp", 10)


def crops(dataset):
    """What one epoch showed: arrays (top, left, number, flipped) of both sides, (N, 4) each."""
    found = [[], []]
    for batch in dataset:
        for side, pixels in zip(found, batch, strict=True):
            for crop in images.to_uint8(pixels.numpy()):
                flipped = crop[0, 0, 1] > crop[0, 1, 1]
                side.append([*crop.reshape(-1, 3).min(axis=0), flipped])
    return [np.array(side) for side in found]


def correlation(first, second):
    return np.corrcoef(first.astype(float), second.astype(float))[0, 1]


def test_an_epoch_shows_each_of_the_larger_set_once(sides):
    dataset = datasets.unpaired(*sides, crop=16, batch=4)
    assert len(dataset) == 3
    for spec in dataset.element_spec:
        assert spec.dtype == tf.float32 and spec.shape.as_list() == [None, 16, 16, 3]
    assert [len(sharp) for _, sharp in dataset] == [4, 4, 2]
    for _ in range(2):
        blurred, sharp = crops(dataset)
        assert sorted(sharp[:, 2]) == list(range(10))
        assert set(blurred[:, 2]) == set(range(6))


def test_the_smaller_set_is_gone_through_in_turns_across_epochs(sides):
    dataset = datasets.unpaired(*sides, crop=16)
    shown = np.concatenate([crops(dataset)[0][:, 2] for _ in range(3)]).reshape(5, 6)
    np.testing.assert_array_equal(np.sort(shown, axis=1), np.tile(np.arange(6), (5, 1)))
    assert len({tuple(turn) for turn in shown}) == 5
    swapped = datasets.unpaired(*sides[::-1], crop=16)  # the same with the sides exchanged
    assert sorted(crops(swapped)[0][:, 2]) == list(range(10))


def test_the_two_sides_are_independent(tmp_path):
    """Two sets of equal names: what one side shows says nothing about the other."""
    blurred, sharp = write(tmp_path / "blurred", 12), write(tmp_path / "sharp", 12)
    dataset = datasets.unpaired(blurred, sharp, crop=16, batch=12, cache=True)
    epochs = [crops(dataset) for _ in range(100)]
    first, second = (np.concatenate([epoch[side] for epoch in epochs]) for side in (0, 1))
    for column in range(4):  # of 1200 independent draws, four deviations are 0.115
        assert abs(correlation(first[:, column], second[:, column])) < 0.115
    # By chance one of twelve pictures meets its namesake, each epoch about once.
    assert 60 < (first[:, 2] == second[:, 2]).sum() < 140
    assert abs((first[:, 3] == second[:, 3]).mean() - 0.5) < 0.06
    assert (first[:, :2] == second[:, :2]).all(axis=1).sum() < 10  # 45 * 65 positions


def test_crops_are_real_and_drawn_afresh_each_epoch(sides):
    dataset = datasets.unpaired(*sides, crop=16, cache=True)
    first, second = (crops(dataset) for _ in range(2))
    for side in (0, 1):
        order = [
            epoch[side][np.argsort(epoch[side][:, 2], kind="stable")] for epoch in (first, second)
        ]
        assert (order[0][:, :2] != order[1][:, :2]).any()
        assert not np.array_equal(first[side][:, 2], second[side][:, 2])
    pixels = images.to_uint8(next(iter(dataset))[1].numpy())[0]
    top, left, number = pixels.reshape(-1, 3).min(axis=0)
    whole = images.read(sides[1] / f"{number:03d}.png")[top : top + 16, left : left + 16]
    assert np.array_equal(pixels, whole) or np.array_equal(pixels, whole[:, ::-1])


def test_the_seed_decides_and_a_run_can_go_on(sides):
    def epochs(count, seed=3, **options):
        dataset = datasets.unpaired(*sides, crop=16, seed=seed, **options)
        return np.stack([np.concatenate(crops(dataset)) for _ in range(count)])

    first = epochs(3)
    np.testing.assert_array_equal(first, epochs(3))
    np.testing.assert_array_equal(first, epochs(3, cache=True))
    assert not np.array_equal(first, epochs(3, seed=4))
    np.testing.assert_array_equal(first[1:], epochs(2, first_epoch=1))
    fixed = epochs(3, fixed=True)
    np.testing.assert_array_equal(fixed, np.broadcast_to(first[0], fixed.shape))
    endless = datasets.unpaired(*sides, crop=16, seed=3, repeat=True)
    assert endless.cardinality() == tf.data.INFINITE_CARDINALITY
    blurred, sharp = crops(endless.take(30))
    np.testing.assert_array_equal(
        np.stack([blurred.reshape(3, 10, 4), sharp.reshape(3, 10, 4)], 1).reshape(3, 20, 4), first
    )


def test_sizes_may_differ_from_image_to_image_and_flips_can_be_off(tmp_path):
    blurred, sharp = tmp_path / "blurred", tmp_path / "sharp"
    for number, (height, width) in enumerate([(40, 30), (30, 90), (64, 64)]):
        write(blurred / str(number), 1, height, width)
        write(sharp / str(number), 1, width, height)
    dataset = datasets.unpaired([blurred / "0", blurred / "1"], sharp, crop=24, flip=False)
    assert len(dataset) == 3
    for side in crops(dataset):
        assert not side[:, 3].any()
    for side in next(iter(datasets.unpaired(blurred, sharp, crop=16, scale=0.5))):
        assert side.shape == (1, 16, 16, 3)


def test_two_sets_that_are_none_are_named(sides, tmp_path):
    blurred, _ = sides
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty: expected at least one sharp image"):
        datasets.unpaired(blurred, tmp_path / "empty")
    with pytest.raises(DatasetError, match="empty: expected at least one blurred image"):
        datasets.unpaired(tmp_path / "empty", blurred)
    with pytest.raises(DatasetError, match=r"6 of 6 blurred images are among the sharp ones"):
        datasets.unpaired(blurred, tmp_path)
    with pytest.raises(images.ImageError, match="nowhere"):
        datasets.unpaired(blurred, tmp_path / "nowhere")
    with pytest.raises(ValueError, match="crop must be a whole number of at least 1"):
        datasets.unpaired(*sides, crop=0)


def stored(folder):
    """The images of a folder as a prepared dataset has them: bytes somewhere in a larger file."""
    found, place = [], 3
    with (folder.parent / f"{folder.name}.tfrecord").open("wb") as file:
        file.write(b"...")
        for source in images.find(folder):
            length = file.write(source.path.read_bytes())
            name = f"{source.path.stem} {folder.name}"
            found.append(records.Stored(folder.parent / f"{folder.name}.tfrecord", place, length))
            found[-1] = dataclasses.replace(found[-1], name=name)
            place += length
    return found


@pytest.mark.parametrize("cache", [False, True, "disk"])
def test_images_of_prepared_datasets_are_as_those_of_files(sides, tmp_path, cache):
    cache = tmp_path / "cache" if cache == "disk" else cache
    both = [stored(folder) for folder in sides]
    expected = datasets.unpaired(*sides, crop=16)
    made = datasets.unpaired(*both, crop=16, cache=cache)
    for _ in range(2):
        np.testing.assert_array_equal(np.stack(crops(made)), np.stack(crops(expected)))
    mixed = datasets.unpaired([*both[0], sides[0] / "000.png"], sides[1], crop=16)
    assert len(crops(mixed)[0]) == 10
    with pytest.raises(DatasetError, match=r"1 of 7 blurred .* 002 sharp in .*sharp\.tfrecord"):
        datasets.unpaired([*both[0], both[1][2]], both[1], crop=16)
    both[1][3] = dataclasses.replace(both[1][3], offset=0)
    with pytest.raises(tf.errors.OpError, match=r"last one: 003 sharp in .*sharp\.tfrecord: no"):
        list(datasets.unpaired(*both, crop=16, max_bad=0))


def test_a_broken_file_is_named_and_replaced_with_its_partner_of_the_moment(sides, caplog):
    expected = np.stack(crops(datasets.unpaired(*sides, crop=16)))  # (2, 10, 4)
    (sides[1] / "003.png").write_bytes(b"broken")
    made = np.stack(crops(datasets.unpaired(*sides, crop=16)))
    (place,) = np.flatnonzero(expected[1, :, 2] == 3)
    following = (place + 1) % 10
    np.testing.assert_array_equal(made[:, place, 2], expected[:, following, 2])
    np.testing.assert_array_equal(made[:, place, 3], expected[:, place, 3])  # flips are the visit's
    rest = np.arange(10) != place
    np.testing.assert_array_equal(made[:, rest], expected[:, rest])
    assert "sharp/003.png" in caplog.records[0].getMessage()
    assert caplog.records[1].getMessage().startswith("epoch 1: 1 of 10 crops")
    with pytest.raises(tf.errors.OpError, match=r"max_bad allows 0; the last one: .*003\.png"):
        list(datasets.unpaired(*sides, crop=16, max_bad=0))


def test_a_run_goes_on_in_the_middle_with_several_crops_an_image(sides):
    def shown(**options):
        dataset = datasets.unpaired(*sides, crop=16, repeat=True, crops_per_image=3, **options)
        return np.stack(crops(dataset.take(40)))

    first = shown(first_batch=0)
    assert sorted(first[1, :30, 2]) == sorted([*range(10)] * 3)
    np.testing.assert_array_equal(shown(first_batch=17)[:, :23], first[:, 17:])
    one = np.stack(crops(datasets.unpaired(*sides, crop=16)))
    np.testing.assert_array_equal(first[:, :8], one[:, :8])

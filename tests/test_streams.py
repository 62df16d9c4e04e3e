"""The order of a stream: where it begins, several crops an image, its shards, what goes wrong."""

import logging
import re
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from deblur_keras import datasets, images
from deblur_keras.datasets import DatasetError, Pair, mishaps, mixtures, streams


def photograph(number, height=40, width=48):
    """Noise that no other number has, with the number in the first channel."""
    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
    pixels[..., 0] = number
    return pixels


def write_pairs(folder, count=5, **size):
    pairs = []
    for number in range(count):
        sharp = images.write(folder / "sharp" / f"{number}.png", photograph(number, **size))
        blurred = images.write(folder / "blur" / f"{number}.png", 255 - photograph(number, **size))
        pairs.append(Pair(str(number), blurred, sharp))
    return pairs


def levels(dataset):
    """The batches of both sides, uint8."""
    return [tuple(images.to_uint8(side.numpy()) for side in batch) for batch in dataset]


def crops(dataset):
    """All crops of both sides, (N, 2, H, W, 3)."""
    return np.concatenate([np.stack(batch, axis=1) for batch in levels(dataset)])


def numbers(dataset):
    return crops(dataset)[:, 1, 0, 0, 0].tolist()


def make(kind, folder, **options):
    """A stream of any kind over five photographs."""
    common = {"crop": 16, "batch": 2, "seed": 3, **options}
    if not (folder / "sharp").exists():
        write_pairs(folder)
        for number in range(10, 13):
            images.write(folder / "other" / f"{number}.png", photograph(number))
    if kind == "synthetic":
        kernels = {"kernel_size": 16, "max_length": 8.0, "noise": 2.0}
        return datasets.synthetic(folder / "sharp", **kernels, **common)
    if kind == "averaged":
        return datasets.averaged(folder / "sharp", window=3, **common)
    if kind == "unpaired":
        return datasets.unpaired(folder / "other", folder / "sharp", **common)
    return datasets.paired(folder, scale=1.0, **common)


@pytest.fixture
def reads(monkeypatch):
    """The names of all files that are decoded."""
    done, read = [], images.read

    def counting(path):
        done.append(path.stem)
        return read(path)

    monkeypatch.setattr(images, "read", counting)
    return done


KINDS = ("paired", "synthetic", "averaged", "unpaired")


# Where it begins


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_exactly_where_it_was(tmp_path, kind):
    options = {"repeat": True, "crops_per_image": 2}
    batches = levels(make(kind, tmp_path, **options).take(11))
    for done in (0, 1, 5, 7):
        later = make(kind, tmp_path, first_batch=done, **options)
        for expected, batch in zip(batches[done:], levels(later.take(11 - done)), strict=True):
            np.testing.assert_array_equal(batch, expected)


def test_what_is_skipped_is_not_decoded(tmp_path, reads):
    dataset = make("paired", tmp_path, batch=1, first_batch=3, shuffle=False, repeat=True)
    one = tf.data.Options()
    one.threading.private_threadpool_size = 1  # so that files are read in the order of the crops
    reads.clear()  # finding pairs looks at some
    assert numbers(dataset.with_options(one).take(4)) == [3, 4, 0, 1]
    assert reads[:8] == [*"33440011"]
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY


def test_a_place_in_an_epoch_needs_an_endless_stream(tmp_path):
    """Keras takes the length of the first epoch for that of all, and the shorter one is it."""
    for kind in KINDS:
        for done in (0, 2):
            with pytest.raises(ValueError, match=rf"first_batch={done} needs repeat=True: .*steps"):
                make(kind, tmp_path, first_batch=done)


def test_batches_of_an_endless_stream_go_over_from_one_epoch_to_the_next(tmp_path):
    whole = numbers(make("paired", tmp_path, batch=2, repeat=True).take(10))
    for done in range(8):
        later = make("paired", tmp_path, batch=2, repeat=True, first_batch=done)
        assert numbers(later.take(2)) == whole[2 * done : 2 * done + 4]


def test_first_batch_counts_from_the_first_epoch(tmp_path):
    options = {"batch": 1, "repeat": True}
    later = make("paired", tmp_path, first_epoch=2, first_batch=7, **options)  # 5 an epoch
    fourth = make("paired", tmp_path, first_epoch=3, **options)
    np.testing.assert_array_equal(crops(later.take(8)), crops(fourth.take(10))[2:])


def test_each_iterator_of_an_endless_stream_begins_where_it_was_told(tmp_path):
    anchored = make("paired", tmp_path, repeat=True, first_batch=1)
    first = crops(anchored.take(7))
    np.testing.assert_array_equal(crops(anchored.take(7)), first)
    free = make("paired", tmp_path, repeat=True)
    assert not np.array_equal(crops(free.take(3)), crops(free.take(3)))


def test_a_fixed_stream_repeats_its_epoch_after_the_part(tmp_path):
    epoch = crops(make("paired", tmp_path, fixed=True))
    endless = make("paired", tmp_path, fixed=True, repeat=True, batch=1, first_batch=3)
    np.testing.assert_array_equal(crops(endless.take(7)), np.concatenate([epoch[3:], epoch]))


def test_keras_goes_on_with_the_next_batch(tmp_path):
    import keras

    seen = []

    class Watching(keras.Model):
        def train_step(self, data):
            tf.py_function(
                lambda side: seen.append(int(images.to_uint8(side.numpy())[0, 0, 0, 0])),
                data[1:],
                [],
            )
            return {"loss": 0.0}

    model = Watching()
    model.compile()
    whole = numbers(make("paired", tmp_path, batch=1, repeat=True, first_batch=0).take(12))
    later = make("paired", tmp_path, batch=1, repeat=True, first_batch=4)
    model.fit(later, epochs=2, steps_per_epoch=4, verbose=0)
    assert seen[-8:] == whole[4:]


@pytest.mark.parametrize("mixing", [False, True])
def test_keras_goes_on_with_the_next_batch_under_a_strategy(tmp_path, mirrored, mixing):
    """Keras makes an iterator of its own there, before the one that it trains with."""
    import keras

    def stream(done):
        if not mixing:
            return make("paired", tmp_path, repeat=True, first_batch=done)
        streams = [
            make(kind, tmp_path, repeat=True, first_batch=count)
            for kind, count in zip(KINDS, mixtures.drawn([2, 1], 5, done), strict=False)
        ]
        return datasets.mix(streams, [2, 1], seed=5, first_batch=done)

    class Watching(keras.Model):
        def call(self, image):
            return image

        def train_step(self, data):
            return {"sum": tf.reduce_sum(data[0])}

    class Listening(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(logs["sum"])

    seen = []
    with mirrored.scope():
        model = Watching()
        model.compile()
    model.fit(stream(4), epochs=2, steps_per_epoch=4, verbose=0, callbacks=[Listening()])
    expected = [blurred.numpy().sum() / 2 for blurred, _ in stream(0).take(12)]  # of the replicas
    np.testing.assert_allclose(seen, expected[4:], rtol=1e-4)


@pytest.mark.parametrize("kind", [*KINDS, "mixed"])
def test_parts_of_batches_make_up_the_whole_and_read_no_more(tmp_path, reads, kind):
    """What each of several machines trains on, also where a batch goes over to the next epoch."""
    options = {"batch": 3, "repeat": True, "crops_per_image": 2}
    if kind == "mixed":
        made = [make(one, tmp_path, first_batch=1, **options) for one in ("paired", "synthetic")]
        dataset = datasets.mix(made, [2, 1], seed=5, first_batch=2)
    else:
        dataset = make(kind, tmp_path, first_batch=2, **options)
    whole = levels(dataset.take(5))
    parts = [
        levels(streams.part_of(dataset, begin, end).take(5)) for begin, end in ((0, 2), (2, 3))
    ]
    assert [len(side) for side in parts[1][0]] == [1, 1]
    for both, first, second in zip(whole, *parts, strict=True):
        for side in range(2):
            joined = np.concatenate([first[side], second[side]])
            np.testing.assert_array_equal(both[side], joined)
    # One that ends, or that begins elsewhere each time, is no such.
    assert streams.part_of(make("paired", tmp_path), 0, 1) is None
    assert streams.part_of(make("paired", tmp_path, repeat=True), 0, 1) is None
    unshuffled = make("paired", tmp_path, batch=5, repeat=True, shuffle=False, first_batch=0)
    reads.clear()
    next(iter(streams.part_of(unshuffled, 0, 1).take(1)))
    assert set(reads) == {"0"}


# Several crops an image


@pytest.mark.parametrize(
    ("kind", "scale"), [*((kind, 1.0) for kind in KINDS), ("paired", (0.5, 1.0))]
)
def test_each_image_is_decoded_once_for_all_its_crops(tmp_path, reads, kind, scale):
    if kind == "paired":
        dataset = datasets.paired(write_pairs(tmp_path), crop=16, scale=scale, crops_per_image=6)
    else:
        dataset = make(kind, tmp_path, scale=scale, crops_per_image=6, batch=1)
    shown = 3 if kind == "averaged" else 5
    assert len(dataset) == 6 * shown
    made = crops(dataset)
    assert len(made) == 6 * shown
    assert len({crop.tobytes() for crop in made[:, 1]}) > 5 * shown  # not the same one
    assert len(reads) == {"paired": 10, "unpaired": 8}.get(kind, 5)


def test_the_first_crops_are_those_of_a_stream_with_one_each(tmp_path):
    one = make("paired", tmp_path, batch=1)
    several = make("paired", tmp_path, batch=1, crops_per_image=3)
    for _ in range(2):
        np.testing.assert_array_equal(crops(several)[:5], crops(one))


def test_images_give_their_crops_in_turn(tmp_path):
    pairs = write_pairs(tmp_path, 20)
    for batch, together in ((1, 8), (10, 10)):
        dataset = datasets.paired(
            pairs, crop=16, scale=1.0, batch=batch, crops_per_image=3, shuffle=False
        )
        expected = []
        for start in range(0, 20, together):
            expected += [*range(start, min(start + together, 20))] * 3
        assert numbers(dataset) == expected


def test_several_crops_count_in_length_and_batches(tmp_path):
    dataset = make("paired", tmp_path, batch=4, crops_per_image=2)
    assert len(dataset) == 3
    assert [len(sharp) for _, sharp in dataset] == [4, 4, 2]
    assert dataset.element_spec[0].shape[0] is None
    assert make("paired", tmp_path, batch=5, crops_per_image=2).element_spec[0].shape[0] == 5


# Order


@pytest.mark.parametrize("deterministic", [True, False])
def test_crops_overtake_each_other_only_where_allowed(tmp_path, monkeypatch, deterministic):
    pairs, read, gate = write_pairs(tmp_path), images.read, threading.Event()

    def slow_first(path):
        if path.stem == "0" and path.parent.name == "blur":
            gate.wait(5)
        return read(path)

    monkeypatch.setattr(images, "read", slow_first)
    dataset = datasets.paired(pairs, crop=16, scale=1.0, shuffle=False, deterministic=deterministic)
    assert dataset.options().deterministic is deterministic
    stream = iter(dataset)
    timer = threading.Timer(0.5, gate.set)
    timer.start()
    order = [int(images.to_uint8(sharp.numpy())[0, 0, 0, 0]) for _, sharp in stream]
    timer.join()
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert (order[0] == 0) is deterministic


def test_the_number_of_workers_does_not_matter(tmp_path):
    def run(threads):
        dataset = make("synthetic", tmp_path, crops_per_image=2)
        chain = tf.data.Options()
        chain.threading.private_threadpool_size = threads
        return crops(dataset.with_options(chain))

    np.testing.assert_array_equal(run(1), run(8))


# Shards


def test_replicas_get_disjoint_parts_that_make_up_the_whole(tmp_path, mirrored):
    write_pairs(tmp_path, 12)
    dataset = datasets.paired(tmp_path, crop=16, batch=4, scale=1.0, shuffle=False)
    policy = dataset.options().experimental_distribute.auto_shard_policy
    assert policy == tf.data.experimental.AutoShardPolicy.DATA
    shares = [[], []]
    for _, sharp in mirrored.experimental_distribute_dataset(dataset):
        for share, part in zip(shares, mirrored.experimental_local_results(sharp), strict=True):
            share += images.to_uint8(part.numpy())[:, 0, 0, 0].tolist()
    assert [len(share) for share in shares] == [6, 6]
    assert sorted(shares[0] + shares[1]) == list(range(12))


def test_workers_get_disjoint_parts_that_make_up_the_whole(tmp_path):
    """What two machines do, each with a stream of its own of the same seed."""
    from tensorflow.python.data.experimental.ops import distribute

    write_pairs(tmp_path, 8)
    shares = [
        numbers(
            distribute._AutoShardDataset(
                datasets.paired(tmp_path, crop=16, batch=2, scale=1.0), num_workers=2, index=index
            )
        )
        for index in range(2)
    ]
    assert [len(share) for share in shares] == [4, 4]
    assert sorted(shares[0] + shares[1]) == list(range(8))


# Bad data. What is wrong with a single file is one line in the log, and another image in its place.


def break_file(path, how):
    data = path.read_bytes()
    if how == "truncated":
        images.write_bytes(path, data[: len(data) // 2])
    elif how == "vanished":
        path.unlink()
    else:
        images.write_bytes(path, b"<html>404</html>")


@pytest.mark.parametrize(
    ("kind", "how"),
    [*((kind, "truncated") for kind in KINDS), ("paired", "vanished"), ("unpaired", "no image")],
)
def test_a_file_that_breaks_while_training(tmp_path, caplog, kind, how):
    """In the middle of an epoch: batches keep their size, and the other crops do not change."""
    options = {"batch": 1, "repeat": True, "flip": False}
    count = 60  # far more than the stream may be ahead when the file breaks
    expected = crops(make(kind, tmp_path, **options).take(count))
    stream = iter(make(kind, tmp_path, **options))
    before = [crops([next(stream)])[0] for _ in range(2)]
    bad = 1 if kind == "averaged" else 2
    break_file(tmp_path / "sharp" / f"{bad}.png", how)
    made = np.stack(before + [crops([next(stream)])[0] for _ in range(count - 2)])
    touched = {1, 2} if kind == "averaged" else {2}  # frame 1 is in two windows of three frames
    same = [np.array_equal(*both) for both in zip(made, expected, strict=True)]
    assert not all(same)
    assert all(same[place] for place in range(count) if expected[place, 1, 0, 0, 0] not in touched)
    named = [r.getMessage() for r in caplog.records if "is used in its place" in r.getMessage()]
    assert len(named) == 1 and f"sharp/{bad}.png" in named[0] and "\n" not in named[0]
    assert "(1 of at most 10)" in named[0]


def test_the_epoch_ends_with_a_count(tmp_path, caplog):
    dataset = make("paired", tmp_path, crops_per_image=2, first_epoch=4)
    for name in ("1.png", "3.png"):
        break_file(tmp_path / "blur" / name, "truncated")
    for epoch in (5, 6):
        caplog.clear()
        assert len(levels(dataset)) == 5
        line = caplog.records[-1].getMessage()
        assert line.startswith(f"epoch {epoch}: 4 of 10 crops are of another image than planned")
        assert line.endswith("; 2 images so far could not be used, named above")
        assert len(caplog.records) == (3 if epoch == 5 else 1)  # each is named once
    for name in ("1.png", "3.png"):
        images.write(tmp_path / "blur" / name, 255 - photograph(int(name[0])))
    caplog.clear()
    assert len(levels(dataset)) == 5 and not caplog.records  # and used again when it is mended


def test_more_than_max_bad_stops_the_training(tmp_path):
    write_pairs(tmp_path, 6)
    dataset = datasets.paired(tmp_path, crop=16, scale=1.0, shuffle=False, max_bad=2)
    for number in (1, 2, 4):
        break_file(tmp_path / "blur" / f"{number}.png", "vanished")
    with pytest.raises(tf.errors.OpError) as caught:  # at which crop, the workers' timing decides
        list(dataset)
    said = mishaps.reason(caught.value)
    assert said.startswith("3 images could not be used, and max_bad allows 2; the last one: ")
    assert re.search(r"blur/[124]\.png: cannot be read", said) and "\n" not in said
    none = datasets.paired(write_pairs(tmp_path / "b"), crop=16, scale=1.0, max_bad=0)
    break_file(tmp_path / "b" / "blur" / "1.png", "vanished")
    with pytest.raises(tf.errors.OpError, match="1 image could not be used"):
        list(none)


@pytest.mark.parametrize("kind", KINDS)
def test_a_colon_in_the_name_of_a_folder_makes_no_two_files_one(tmp_path, kind):
    folder = tmp_path / "take 1: night"
    dataset = make(kind, folder, max_bad=1)
    for number in (1, 3):
        break_file(folder / "sharp" / f"{number}.png", "truncated")
    with pytest.raises(tf.errors.OpError, match="2 images could not be used, and max_bad allows 1"):
        list(dataset)


def test_a_file_that_breaks_in_several_ways_is_one_file(tmp_path, caplog):
    write_pairs(tmp_path)
    dataset = datasets.paired(tmp_path, crop=16, scale=1.0, max_bad=1)
    for how in ("truncated", "no image", "vanished"):
        break_file(tmp_path / "blur" / "1.png", how)
        assert len(levels(dataset)) == 5
    assert sum("is used in its place" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize("kind", ["paired", "unpaired"])
def test_when_nothing_is_usable_one_is_named(tmp_path, kind):
    dataset = make(kind, tmp_path)
    for path in (tmp_path / "sharp").iterdir():
        path.unlink()
    with pytest.raises(tf.errors.OpError) as caught:
        list(dataset)
    assert "No such file" in mishaps.reason(caught.value)


def test_replacements_are_the_same_again(tmp_path):
    make("synthetic", tmp_path)
    break_file(tmp_path / "sharp" / "2.png", "truncated")
    first = crops(make("synthetic", tmp_path))
    np.testing.assert_array_equal(crops(make("synthetic", tmp_path)), first)
    later = crops(make("synthetic", tmp_path, batch=1, first_batch=2, repeat=True).take(3))
    np.testing.assert_array_equal(later, first[2:])


def save(path, pixels, mode, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path, **options)


def test_other_kinds_of_pixels_are_converted_and_one_of_each_is_named(tmp_path, caplog):
    picture = np.full((32, 32, 3), 200, np.uint8)
    for side in ("blur", "sharp"):
        for number in range(2):
            save(tmp_path / side / f"cmyk{number}.jpg", picture, "CMYK")
            save(tmp_path / side / f"grey{number}.png", picture, "L")
            deep = Image.fromarray(np.full((32, 32), 200 * 257, np.uint16))
            deep.save(tmp_path / side / f"deep{number}.png")
            images.write(tmp_path / side / f"plain{number}.png", picture)
    pairs = [
        Pair(file.stem, file, tmp_path / "sharp" / file.name)
        for file in sorted((tmp_path / "blur").iterdir())
    ]
    dataset = datasets.paired(pairs, crop=16, scale=1.0, shuffle=False)
    for _ in range(2):
        made = crops(dataset)
    assert abs(made[:, 1].astype(int) - 200).max() <= 3  # CMYK in JPEG is not exact
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    for name, line in zip(
        (".jpg: is in CMYK", ".png: has 16 bits", ".png: is grey"),
        sorted(lines),
        strict=True,
    ):
        assert name in line and "blur/" in line and "\n" not in line


def oriented(path, pixels, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(path, pixels, "RGB", exif=exif, quality=95)
    return path


def scene(height, width):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 3, columns * 2, rows + columns], axis=-1).astype(np.uint8)


def test_a_turned_partner_of_another_size_stops_before_the_first_step(tmp_path):
    oriented(tmp_path / "blur" / "a.jpg", scene(40, 60), 6)
    oriented(tmp_path / "sharp" / "a.jpg", scene(40, 60), 1)
    with pytest.raises(DatasetError, match=r"blur/a\.jpg is 40x60 but .*sharp/a\.jpg is 60x40"):
        datasets.paired(tmp_path, crop=16)


@pytest.mark.parametrize(("orientation", "said"), [(3, "180 degrees"), (6, "degrees")])
def test_a_turned_partner_of_the_same_size_is_passed_over(tmp_path, caplog, orientation, said):
    side = 60
    for number in range(2):
        oriented(tmp_path / "sharp" / f"{number}.jpg", scene(side, side), 1)
        oriented(
            tmp_path / "blur" / f"{number}.jpg", scene(side, side) // 2, orientation * number or 1
        )
    made = crops(datasets.paired(tmp_path, crop=16, scale=1.0))
    named, counted = [record.getMessage() for record in caplog.records]
    assert "blur/1.jpg and" in named and said in named and f"{orientation} and 1" in named
    assert "1 of 2 crops" in counted
    assert abs(made[:, 0].astype(int) - made[:, 1] // 2).max() < 12


def test_a_partner_whose_tag_was_applied_to_its_pixels_is_fine(tmp_path, caplog):
    oriented(tmp_path / "blur" / "a.jpg", np.rot90(scene(40, 60)) // 2, 6)
    oriented(tmp_path / "sharp" / "a.jpg", scene(40, 60), 1)
    assert len(crops(datasets.paired(tmp_path, crop=16, scale=1.0))) == 1
    assert not caplog.records


def test_a_grey_partner_of_a_coloured_one_is_passed_over(tmp_path, caplog):
    colours = np.full((32, 32, 3), (200, 100, 50), np.uint8)
    for number in range(2):
        images.write(tmp_path / "sharp" / f"{number}.png", colours)
        images.write(tmp_path / "blur" / f"{number}.png", colours - 9)
    save(tmp_path / "blur" / "1.png", colours, "L")
    made = crops(datasets.paired(tmp_path, crop=16, scale=1.0))
    assert (made[:, 0] == colours[0, 0] - 9).all()
    assert "the first is grey and the other one is not" in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"crops_per_image": 0},
        {"crops_per_image": 2, "crop": None, "batch": 1},
        {"first_batch": -1},
        {"max_bad": -1},
        {"cache": ""},
        {"cache": 1},
        {"cache": None},
        {"batch": 1.5},
        {"batch": "2"},
        {"batch": True},
        {"crop": 31.5},
        {"crop": "32"},
        {"scale": "0.5"},
        {"scale": (0.5, "1")},
        {"scale": None},
        {"scale": np.nan},
        {"scale": np.array(0.5)},
        {"crops_per_image": 1.5},
        {"first_epoch": None},
        {"first_batch": 0.5},
        {"seed": 1.0},
        {"seed": "one"},
        {"max_bad": 1.5},
        {"max_bad": None},
    ],
)
def test_arguments_out_of_range(tmp_path, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        datasets.paired(write_pairs(tmp_path), **wrong)


def test_whole_numbers_of_numpy_are_whole_numbers(tmp_path):
    two, half = np.int64(2), np.float32(0.5)
    dataset = datasets.paired(
        write_pairs(tmp_path), crop=np.int32(8), batch=two, seed=two, first_epoch=two, scale=half
    )
    assert next(iter(dataset))[0].shape == (2, 8, 8, 3)


# Mixtures


def test_a_mix_goes_on_exactly_where_it_was(tmp_path):
    def mixed(done):
        first = mixtures.drawn([2, 1], seed=5, batches=done)
        streams = [
            make(kind, tmp_path, repeat=True, first_batch=begin)
            for kind, begin in zip(("synthetic", "paired"), first, strict=True)
        ]
        return datasets.mix(streams, [2, 1], seed=5, first_batch=done)

    whole = levels(mixed(0).take(12))
    for done in (1, 7):
        for batch, expected in zip(levels(mixed(done).take(12 - done)), whole[done:], strict=True):
            np.testing.assert_array_equal(batch, expected)


def kinds(count, **options):
    """Which of three streams the batches of a new iterator come from; its dataset is kept."""
    streams = [tf.data.Dataset.from_tensors(place).repeat() for place in range(3)]
    mixed = datasets.mix(streams, [3, 1, 2], **options)
    return lambda: list(mixed.take(count).as_numpy_iterator())


def test_each_iterator_of_a_mix_begins_where_it_was_told():
    free = kinds(3000, seed=5)
    whole = free()
    assert free() != whole and free() != whole
    for done in (0, 1, 1023, 1024, 2500):
        anchored = kinds(3000 - done, seed=5, first_batch=done)
        assert anchored() == anchored() == whole[done:]
        counts = [whole[:done].count(place) for place in range(3)]
        assert mixtures.drawn([3, 1, 2], 5, done) == counts
    assert kinds(3000, seed=6)() != whole
    np.testing.assert_allclose(np.bincount(whole) / 3000, [3 / 6, 1 / 6, 2 / 6], atol=0.03)


def test_a_long_run_takes_little_time_to_find_its_place():
    start = time.process_time()
    counts = mixtures.drawn([2, 1], 0, 1_000_000)
    assert sum(counts) == 1_000_000 and abs(counts[1] / 1_000_000 - 1 / 3) < 0.002
    kinds(1, first_batch=1_000_000_000)()
    assert time.process_time() - start < 5
    for wrong in ({"first_batch": -1}, {"seed": -1}):
        with pytest.raises(ValueError, match="seed and first_batch must not be negative"):
            datasets.mix([tf.data.Dataset.range(1)], **wrong)


def test_nothing_is_logged_when_nothing_is_wrong(tmp_path, caplog):
    with caplog.at_level(logging.DEBUG, logger="deblur_keras"):
        for kind in KINDS:
            list(make(kind, tmp_path, crops_per_image=2))
    assert not caplog.records


def test_letting_go_of_a_stream_waits_for_nobody(tmp_path):
    for side, value in (("blur", 90), ("sharp", 100)):
        images.write(tmp_path / side / "1.png", np.full((20, 20, 3), value, np.uint8))
    stream = datasets.paired(tmp_path, crop=16, scale=1.0, repeat=True, first_batch=0)
    mixed = datasets.mix([stream, stream])
    # TensorFlow's tuning keeps an iterator that has run for minutes from going, for up to a minute.
    for dataset in (stream, mixed, streams.part_of(mixed, 0, 1), stream.map(lambda *both: both)):
        assert dataset.options().autotune.enabled is False

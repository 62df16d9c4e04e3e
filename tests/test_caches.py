"""Decoded images kept in memory or a folder: the same crops, told before, refused if too much."""

import errno
import gc
import logging
import os
import threading
import time
import weakref

import numpy as np
import pytest
import tensorflow as tf

from deblur_keras import datasets, images
from deblur_keras.datasets import DatasetError, caches


def write(folder, count=4, height=40, width=60):
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
        images.write(folder / "sharp" / f"{number}.png", pixels)
        images.write(folder / "blur" / f"{number}.png", 255 - pixels)
    return folder


def epochs(dataset, count=2):
    """The bytes of some epochs."""
    return [[side.numpy().tobytes() for batch in dataset for side in batch] for _ in range(count)]


@pytest.fixture
def reads(monkeypatch):
    done, read = [], images.read
    monkeypatch.setattr(images, "read", lambda path: done.append(path) or read(path))
    return done


@pytest.fixture
def free(monkeypatch):
    """Sets how many bytes are free in memory and on the disk."""
    monkeypatch.setattr(caches, "_planned", weakref.WeakSet())

    def now(count):
        monkeypatch.setattr(caches, "free_memory", lambda: count)
        usage = caches.shutil.disk_usage(".")
        monkeypatch.setattr(caches.shutil, "disk_usage", lambda _: usage._replace(free=count))

    return now


@pytest.fixture(params=["memory", "disk"])
def place(request, tmp_path):
    """The argument ``cache``."""
    return True if request.param == "memory" else tmp_path / "cache"


def make(kind, folder, **options):
    common = {"crop": 16, "seed": 1, **options}
    if kind == "synthetic":
        return datasets.synthetic(folder / "sharp", kernel_size=16, max_length=6.0, **common)
    if kind == "averaged":
        return datasets.averaged(folder / "sharp", window=3, **common)
    if kind == "unpaired":
        return datasets.unpaired(folder / "blur", folder / "sharp", **common)
    return datasets.paired(folder, **{"scale": 0.5, **common})


@pytest.mark.parametrize(
    ("kind", "scale"),
    [
        ("paired", 0.5),
        ("paired", (0.5, 1.0)),
        ("synthetic", 0.5),
        ("averaged", 0.5),
        ("unpaired", 0.5),
    ],
)
def test_crops_are_the_same_and_images_are_decoded_once(tmp_path, reads, place, kind, scale):
    write(tmp_path)
    options = {"scale": scale, "crops_per_image": 2}
    expected = epochs(make(kind, tmp_path, **options), 3)
    dataset = make(kind, tmp_path, cache=place, **options)
    reads.clear()
    assert epochs(dataset, 3) == expected
    files = 4 if kind in ("synthetic", "averaged") else 8
    assert len(reads) <= files * np.size(scale)
    if scale == 0.5:
        assert len(reads) == files


def test_images_smaller_than_the_crop_are_kept_extended(tmp_path, place):
    write(tmp_path, height=12, width=50)
    expected = epochs(make("synthetic", tmp_path))
    assert epochs(make("synthetic", tmp_path, cache=place)) == expected


def test_a_folder_serves_later_runs(tmp_path, reads, caplog):
    write(tmp_path)
    expected = epochs(make("paired", tmp_path, cache=tmp_path / "cache"))
    pairs = datasets.pairs(tmp_path)
    reads.clear()
    with caplog.at_level(logging.INFO):
        again = datasets.paired(pairs, crop=16, seed=1, cache=str(tmp_path / "cache"))
    assert "caching 4 pairs, 4 of them there already in" in caplog.text
    assert "takes 0 bytes" in caplog.text
    assert epochs(again) == expected
    assert not reads


def test_an_image_that_changes_or_is_scaled_otherwise_is_decoded_anew(tmp_path, reads):
    write(tmp_path)
    list(make("synthetic", tmp_path, cache=tmp_path / "cache"))
    images.write(tmp_path / "sharp" / "1.png", np.zeros((44, 44, 3), np.uint8))
    reads.clear()
    changed = make("synthetic", tmp_path, cache=tmp_path / "cache")
    assert epochs(changed) == epochs(make("synthetic", tmp_path))
    assert [path.stem for path in reads].count("1") == 1 + 2  # once cached, twice as it is
    reads.clear()
    list(make("synthetic", tmp_path, cache=tmp_path / "cache", scale=0.8))
    assert len(reads) == 4


def test_a_damaged_file_is_made_anew(tmp_path, caplog):
    write(tmp_path)
    expected = epochs(make("paired", tmp_path, cache=tmp_path / "cache"))
    for number, path in enumerate(sorted((tmp_path / "cache").glob("*.npy"))):
        data = path.read_bytes()
        path.write_bytes(data[: (0, 20, len(data) - 1, len(data))[number]])
    assert epochs(make("paired", tmp_path, cache=tmp_path / "cache")) == expected
    assert len(caplog.records) == 3 and "no whole cached image" in caplog.text
    caplog.clear()
    assert epochs(make("paired", tmp_path, cache=tmp_path / "cache")) == expected
    assert not caplog.records


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 20, 30, 3), np.float32),
        np.zeros((2, 20, 30, 3), np.int8),
        np.zeros((2, 20, 30), np.uint8),
        np.zeros((3, 20, 20, 3), np.uint8),
        np.zeros((2, 20, 30, 4), np.uint8),
        np.zeros((2, 10, 10, 3), np.uint8),
        np.zeros((2, 40, 60, 3), np.uint8),
        np.array(7, np.uint8),
        np.array([{}]),
    ],
    ids=lambda wrong: f"{wrong.dtype}{wrong.shape}",
)
def test_a_file_of_something_else_is_made_anew(tmp_path, caplog, wrong):
    write(tmp_path)
    expected = epochs(make("paired", tmp_path, cache=tmp_path / "cache"))
    path = next((tmp_path / "cache").glob("*.npy"))
    np.save(path, wrong)
    assert epochs(make("paired", tmp_path, cache=tmp_path / "cache")) == expected
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"{path}: is no whole cached image any more and is made anew")
    assert np.load(path).shape == (2, 20, 30, 3)


def test_other_crops_and_batches_are_cut_from_the_same_files(tmp_path, reads):
    write(tmp_path)  # half of 40x60 pixels
    pairs = datasets.pairs(tmp_path)

    def files(crop):
        reads.clear()
        list(datasets.paired(pairs, crop=crop, cache=tmp_path / "cache"))
        return len(list((tmp_path / "cache").glob("*.npy"))), len(reads)

    assert files(16) == (4, 8)
    assert files(12) == files(20) == files(16) == (4, 0)
    assert files(24) == (8, 8)  # more than the images are high: they are extended
    assert files(25) == (12, 8)  # otherwise
    assert files(24) == files(20) == (12, 0)


def test_what_an_image_was_before_it_changed_is_deleted(tmp_path):
    write(tmp_path)
    cache = tmp_path / "cache"
    for scale in (0.5, 1.0):
        list(make("paired", tmp_path, cache=cache, scale=scale))
    list(make("unpaired", tmp_path, cache=cache))  # of the same files, one by one
    others = {cache / f"{digit * 48}.npy" for digit in "0f"} | {cache / "mine.npy"}
    for path in others:
        path.write_bytes(b"of another set of images")
    before = set(cache.iterdir())
    assert len(before) == 8 + 8 + 3 + 1
    images.write(tmp_path / "sharp" / "1.png", np.zeros((44, 62, 3), np.uint8))
    images.write(tmp_path / "blur" / "1.png", np.zeros((44, 62, 3), np.uint8))
    list(make("paired", tmp_path, cache=cache))
    after = set(cache.iterdir())
    assert (len(before - after), len(after - before)) == (2, 1)  # of both scales; one is new
    list(make("unpaired", tmp_path, cache=cache))
    assert len(before - set(cache.iterdir())) == 4
    assert others < set(cache.iterdir())


def test_a_change_that_keeps_size_and_time_is_seen(tmp_path):
    """As when a corrected set is copied over the old one by a program that keeps times."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    for side in ("blur", "sharp"):
        images.write(tmp_path / side / "1.bmp", pixels // 2 + 100 * (side == "blur"))
    first = epochs(make("paired", tmp_path, cache=tmp_path / "cache", fixed=True), 1)
    path = tmp_path / "sharp" / "1.bmp"
    before = path.stat()
    time.sleep(0.05)  # the clock of files ticks some hundred times a second
    images.write(path, 255 - pixels)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert epochs(make("paired", tmp_path, cache=tmp_path / "cache", fixed=True), 1) != first


def test_a_file_that_cannot_be_kept_is_not_counted_as_kept(tmp_path, caplog):
    write(tmp_path)
    pairs = datasets.pairs(tmp_path)
    (tmp_path / "blur" / "2.png").write_bytes(b"broken")
    with caplog.at_level(logging.INFO):
        datasets.paired(pairs, crop=16, cache=tmp_path / "cache")
    assert "there already" not in caplog.text


def test_the_size_is_told_before_and_is_what_it_becomes(tmp_path, caplog):
    write(tmp_path, 5, height=41, width=67)
    scales = (0.31, 0.5, 1.0)
    with caplog.at_level(logging.INFO):
        dataset = make("paired", tmp_path, cache=tmp_path / "cache", scale=scales, repeat=True)
    (line,) = [record for record in caplog.records if "caching" in record.getMessage()]
    assert line.levelname == "INFO" and line.getMessage().startswith("caching 5 pairs in ")
    total = sum(3 * 2 * 5 * max(round(41 * s), 16) * max(round(67 * s), 16) for s in scales)
    assert (
        f"takes {total / 1000:.0f} kB; " in line.getMessage()
        and " GB are free" in line.getMessage()
    )
    list(dataset.take(100))  # that one of 15 was never drawn has odds of one in seventy
    stored = [np.load(path).nbytes for path in (tmp_path / "cache").glob("*.npy")]
    assert total * 0.9 < sum(stored) <= total


def test_side_by_side_files_are_two_halves(tmp_path, free):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    images.write(tmp_path / "1.png", np.concatenate([pixels // 2, pixels], axis=1))
    free(1 << 30)
    dataset = datasets.paired(tmp_path, crop=16, scale=1.0, cache=tmp_path / "cache")
    (cache,) = caches._planned
    assert cache.missing == 2 * 30 * 40 * 3
    list(dataset)
    assert cache.missing == 0


def test_much_is_told_to_everybody(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(caches, "_MUCH", 1000)
    make("paired", write(tmp_path), cache=True)
    (record,) = caplog.records
    assert record.levelname == "WARNING" and "caching 4 pairs in memory" in record.getMessage()


def test_what_does_not_fit_is_refused(tmp_path, place, free):
    write(tmp_path)
    size = 4 * 2 * 20 * 30 * 3
    free(int(size / 0.89))
    make("paired", tmp_path, cache=place)
    free(size)
    with pytest.raises(
        DatasetError, match=r"caching 4 pairs in .* takes 14 kB, and 14 kB are free"
    ):
        make("paired", tmp_path, cache=place)


def test_two_caches_do_not_count_on_the_same_memory(tmp_path, place, free):
    write(tmp_path)
    free(int(1.5 * 4 * 2 * 20 * 30 * 3))
    first = make("paired", tmp_path, cache=place)
    with pytest.raises(DatasetError, match="caching"):
        make("paired", tmp_path, cache=place, scale=0.51)
    with pytest.raises(DatasetError, match="4 photographs"):  # the other side's are counted
        make("unpaired", tmp_path, cache=place, scale=0.5, crop=20)
    list(first)  # what is there is not free any more, which the system tells by itself
    make("paired", tmp_path, cache=place, scale=0.51)


def test_a_stream_that_is_gone_leaves_its_memory(tmp_path, free):
    write(tmp_path)
    free(int(1.5 * 4 * 2 * 20 * 30 * 3))
    for _ in range(3):
        dataset = make("paired", tmp_path, cache=True)
        del dataset
        gc.collect()


def test_an_iterator_keeps_the_memory_of_its_stream(tmp_path, reads):
    stream = iter(make("paired", write(tmp_path), cache=True, repeat=True).take(40))
    gc.collect()
    reads.clear()
    list(stream)
    assert len(reads) <= 8


def test_other_folders_are_left_alone(tmp_path):
    write(tmp_path)
    with pytest.raises(DatasetError, match="holds other files"):
        make("paired", tmp_path, cache=tmp_path / "blur")
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match="cannot be written to"):
        make("paired", tmp_path, cache=tmp_path / "file" / "cache")
    cache = tmp_path / "cache"
    make("paired", tmp_path, cache=cache)
    assert (cache / "CACHEDIR.TAG").read_bytes().startswith(b"Signature: 8a477f597d28d172789f0688")


def test_a_full_disk_ends_the_caching_and_not_the_training(tmp_path, monkeypatch, caplog):
    write(tmp_path)
    expected = epochs(make("paired", tmp_path))
    dataset = make("paired", tmp_path, cache=tmp_path / "cache")
    opened, left = caches.np.lib.format.write_array_header_1_0, [2]

    def full(file, header):
        opened(file, header)
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(caches.np.lib.format, "write_array_header_1_0", full)
    assert epochs(dataset) == expected
    (line,) = [record.getMessage() for record in caplog.records]
    assert str(tmp_path / "cache") in line and "No space left on device" in line
    assert "decoded at each visit" in line and "\n" not in line
    names = [path.name for path in (tmp_path / "cache").iterdir()]
    assert len(names) == 3  # two images and the tag, and no half ones


def test_a_missing_file_is_passed_over_with_a_cache_too(tmp_path, place, caplog):
    write(tmp_path)
    pairs = datasets.pairs(tmp_path)
    (tmp_path / "blur" / "2.png").unlink()
    dataset = datasets.paired(pairs, crop=16, cache=place)
    assert len(epochs(dataset)[0]) == 8
    assert "blur/2.png: cannot be read" in caplog.text


def test_a_file_is_opened_again_when_python_counts_wrong(tmp_path, monkeypatch):
    dataset = make("paired", write(tmp_path), cache=tmp_path / "cache", fixed=True)
    first = epochs(dataset, 1)
    opened, open_memmap = [], np.lib.format.open_memmap

    def fail_now_and_then(path, mode):
        opened.append(path)
        if len(opened) % 2:
            raise SystemError("AST constructor recursion depth mismatch (before=42, after=14)")
        return open_memmap(path, mode=mode)

    monkeypatch.setattr(np.lib.format, "open_memmap", fail_now_and_then)
    assert epochs(dataset, 1) == first
    assert len(opened) == 8


def test_an_image_that_was_cached_may_vanish(tmp_path, place):
    dataset = make("paired", write(tmp_path), cache=place, fixed=True)
    first = epochs(dataset, 1)
    for path in (tmp_path / "blur").iterdir():
        path.unlink()
    assert epochs(dataset, 1) == first


def test_each_value_is_made_once_by_whoever_comes_first():
    kept, made = caches.Kept(), []

    def slow():
        made.append(threading.get_ident())
        time.sleep(0.1)
        return len(made)

    got = []
    threads = [threading.Thread(target=lambda: got.append(kept.get("a", slow))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [1] * 5 and len(made) == 1


def test_only_the_latest_are_kept_and_failures_never():
    kept, made = caches.Kept(2), []
    for key in "abacab":
        kept.get(key, lambda key=key: made.append(key))
    assert made == ["a", "b", "c", "b"]
    for _ in range(2):
        with pytest.raises(KeyError):
            kept.get("fails", lambda: {}["fails"])
    assert kept.get("fails", lambda: 7) == 7


def test_free_memory_is_the_least_of_machine_and_container(tmp_path, monkeypatch):
    machine = caches.free_memory()
    assert machine is None or machine > 1 << 20
    for name, text in (
        ("memory.max", "1000\n"),
        ("memory.current", "900\n"),
        ("memory.stat", "anon 500\ninactive_file 300\n"),
    ):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(caches, "_CGROUP", tmp_path)
    assert caches.free_memory() == 400
    (tmp_path / "memory.max").write_text("max\n")
    assert caches.free_memory() == pytest.approx(machine, rel=0.5)


def test_errors_of_a_full_cache_come_before_the_first_step(tmp_path, free):
    """No batch is made, and nothing is decoded."""
    free(0)
    with pytest.raises(DatasetError):
        make("paired", write(tmp_path), cache=True)
    assert isinstance(make("paired", tmp_path), tf.data.Dataset)

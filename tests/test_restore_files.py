"""Restorer.restore_files: the same as one by one, overlapped; each error beside its file."""

import threading

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from deblur_keras import images, photographs  # noqa: E402
from deblur_keras.restorer import Restorer  # noqa: E402

SECONDS = 10  # within which another thread must have come to do its part


@pytest.fixture(scope="module")
def negative():
    """A restorer that turns pixel p into 255 - p."""
    blurred = keras.Input((None, None, 3))
    return Restorer(keras.Model(blurred, keras.layers.Rescaling(-1.0)(blurred)))


def noise(*shape, seed=0, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype)


def write_all(folder):
    """Photographs of several kinds and sizes."""
    rgba = images.Photograph(noise(9, 7, 3), alpha=noise(9, 7), dpi=(300, 300))
    grey = images.Photograph(np.repeat(noise(5, 6, 1), 3, axis=-1), grey=True, channels=1)
    return [
        *(images.write(folder / f"{n}.jpg", noise(8, 8 + n, 3, seed=n)) for n in range(5)),
        images.save_photograph(folder / "alpha.png", rgba),
        images.save_photograph(folder / "grey.tif", grey),
    ]


def test_files_are_the_same_as_one_by_one(tmp_path, negative):
    sources, begun = write_all(tmp_path), []
    jobs = [(source, tmp_path / "new" / source.name) for source in sources]
    found = list(negative.restore_files(iter(jobs), quality=80, started=begun.append))
    assert [(done.source, done.destination, done.error) for done in found] == [
        (*job, None) for job in jobs
    ]
    assert begun == sources
    for source, written in jobs:
        alone = negative.restore_file(source, tmp_path / f"alone{source.suffix}", True, 80)
        assert written.read_bytes() == alone.read_bytes()


def test_each_error_is_the_one_of_restore_file_and_stops_nothing(tmp_path, negative):
    good = images.write(tmp_path / "good.png", noise(6, 8, 3))
    (tmp_path / "broken.png").write_bytes(b"broken")
    (tmp_path / "empty.png").write_bytes(b"")
    alpha = images.Photograph(noise(9, 7, 3), alpha=noise(9, 7))
    images.save_photograph(tmp_path / "alpha.png", alpha)
    (tmp_path / "taken.png").write_bytes(b"taken")
    (tmp_path / "folder.png").mkdir()
    pairs = [
        *(("good.png", "1.png"), ("broken.png", "2.png"), ("empty.png", "3.png")),
        *(("alpha.png", "4.jpg"), ("good.png", "taken.png"), ("good.png", "folder.png")),
        *(("none.png", "5.png"), ("good.png", "good.png"), ("good.png", "6.xyz")),
        *(("good.png", "broken.png/7.png"), ("good.png", "8.jpg")),
    ]
    jobs = [(tmp_path / source, tmp_path / destination) for source, destination in pairs]
    found = list(negative.restore_files(jobs))
    for done in found[1:-1]:
        with pytest.raises(type(done.error)) as caught:
            negative.restore_file(done.source, done.destination)
        assert str(caught.value) == str(done.error)
    assert found[0].error is None and found[-1].error is None
    assert isinstance(found[4].error, FileExistsError)
    assert (tmp_path / "taken.png").read_bytes() == b"taken"
    np.testing.assert_array_equal(images.read(good), noise(6, 8, 3))
    assert images.remove_leftovers(tmp_path) == 0


def test_whatever_the_network_raises_is_that_photographs(tmp_path):
    def fails(image):
        if image.shape[1] == 9:
            raise MemoryError("too large")
        return image[:-1] if image.shape[1] == 10 else image

    sources = [images.write(tmp_path / f"{n}.png", noise(8, 8 + n, 3)) for n in range(5)]
    jobs = [(source, tmp_path / f"new{source.name}") for source in sources]
    errors = [done.error for done in photographs.restore_files(fails, jobs)]
    assert [type(error) for error in errors] == [
        *(type(None), MemoryError, ValueError, type(None), type(None))
    ]


def test_opening_and_saving_go_on_while_the_network_works(tmp_path, monkeypatch):
    opened, saved = ({str(n): threading.Event() for n in range(5)} for _ in range(2))
    open_photograph, save_photograph = images.open_photograph, images.save_photograph

    def open_and_tell(path, *arguments):
        photograph = open_photograph(path, *arguments)
        opened[path.stem].set()
        return photograph

    def save_and_tell(path, *arguments):
        saved[path.stem].set()
        return save_photograph(path, *arguments)

    def network(image):
        number = image.shape[1] - 8
        assert number == 4 or opened[str(number + 1)].wait(SECONDS)
        assert number == 0 or saved[str(number - 1)].wait(SECONDS)
        return image

    monkeypatch.setattr(images, "open_photograph", open_and_tell)
    monkeypatch.setattr(images, "save_photograph", save_and_tell)
    sources = [images.write(tmp_path / f"{n}.png", noise(8, 8 + n, 3)) for n in range(5)]
    jobs = [(source, tmp_path / "new" / source.name) for source in sources]
    assert all(done.error is None for done in photographs.restore_files(network, jobs))


def test_one_destination_of_two_is_refused_before_the_work(tmp_path, negative):
    again = tmp_path / ".." / tmp_path.name / "c.png"
    jobs = [("a.png", tmp_path / "c.png"), ("b.png", again)]
    with pytest.raises(ValueError, match="would be written to one file"):
        next(negative.restore_files(jobs))


def test_what_appears_meanwhile_is_not_overwritten(tmp_path):
    source = images.write(tmp_path / "a.png", noise(6, 8, 3))
    other = tmp_path / "b.png"

    def network(image):
        other.write_bytes(b"somebody else's")
        return image

    (done,) = photographs.restore_files(network, [(source, other)])
    assert isinstance(done.error, FileExistsError)
    assert other.read_bytes() == b"somebody else's"


def test_an_interruption_saves_what_was_restored(tmp_path):
    sources = [images.write(tmp_path / f"{n}.png", noise(8, 8 + n, 3)) for n in range(9)]

    def network(image):
        if image.shape[1] == 8 + 4:
            raise KeyboardInterrupt
        return image

    jobs = [(source, tmp_path / "new" / source.name) for source in sources]
    found = []
    with pytest.raises(KeyboardInterrupt):
        for done in photographs.restore_files(network, jobs):
            found.append(done.source.name)
    assert found == [f"{n}.png" for n in range(4)]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == found


def test_tiles_of_the_photograph_at_work_are_told(tmp_path, negative):
    tiled = Restorer(negative.model, tile=8)
    jobs = [
        (images.write(tmp_path / f"{n}.png", noise(8, 8 * n, 3)), tmp_path / f"{n}.tif")
        for n in (1, 4)
    ]
    told = []
    steps = tiled.restore_files(
        jobs,
        started=lambda source: told.append(source.name),
        progress=lambda *counts: told.append(counts),
    )
    assert all(done.error is None for done in steps)
    assert told[0] == "1.png"
    tiles = told[told.index("4.png") + 1 :]
    assert tiles == [(count, tiles[-1][1]) for count in range(1, len(tiles) + 1)]
    assert len(tiles) > 1

import multiprocessing
import os

import pytest

from deblur_keras import locks


def hold(folder, ready, done):
    with locks.exclusive(folder):
        ready.set()
        done.wait(60)


def test_a_folder_is_held_by_one_process_and_not_by_a_killed_one(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, ready, done))
    other.start()
    assert ready.wait(60)
    with pytest.raises(locks.InUse, match=rf"in use by another run \(process {other.pid} on"):
        locks.exclusive(tmp_path).__enter__()
    other.kill()
    other.join()
    assert (tmp_path / locks.NAME).exists()  # and still the folder is free
    with locks.exclusive(tmp_path):
        with pytest.raises(locks.InUse, match=f"process {os.getpid()} on"):
            locks.exclusive(tmp_path).__enter__()
        assert (tmp_path / locks.NAME).exists()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_nothing_came_into_is_removed_again(tmp_path):
    with locks.exclusive(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []
    with locks.exclusive(tmp_path / "a" / "b"):
        (tmp_path / "a" / "kept").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["kept"]


def test_what_cannot_be_written_to_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        locks.exclusive(tmp_path / "file" / "run").__enter__()

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match="Read-only"):
        locks.exclusive(tmp_path).__enter__()
    assert (tmp_path / "file").exists()

import errno
import os
import tempfile

import numpy as np
import pytest

from deblur_keras import scratch


def test_values_stay_when_their_pages_are_forgotten():
    array = scratch.disk_array((300, 70, 5), np.float32)
    values = np.random.default_rng(0).normal(size=array.shape).astype(np.float32)
    for row in range(0, 300, 30):
        array[row : row + 30] = values[row : row + 30]
        scratch.forget_pages(array)
    np.testing.assert_array_equal(array, values)
    scratch.forget_pages(values)  # nothing happens to an array in memory
    np.testing.assert_array_equal(array, values)


def test_the_file_has_no_name_and_lies_where_tmpdir_says(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert scratch._folder() == str(tmp_path)
    scratch.disk_array((10,), np.uint8)[:] = 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="reserves no room on this system")
def test_a_full_disk_is_told_before_anything_is_written(monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(MemoryError, match=r"expected 0\.40 GB of room in .*TMPDIR"):
        scratch.disk_array((10**8,), np.float32)


def test_without_reserving_what_is_free_is_looked_at(monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda folder: _Usage(10))
    assert scratch.disk_array((10,), np.uint8).sum() == 0
    with pytest.raises(MemoryError, match="give more memory"):
        scratch.disk_array((11,), np.uint8)


class _Usage:
    def __init__(self, free):
        self.free = free

"""Temporary files: those of killed runs are removed, those of runs at work stay."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deblur_keras import images
from deblur_keras.images import atomic

LEFT = ".deblur-0123456789abcdef.png"
WRITE = """
import sys, time
from pathlib import Path
from deblur_keras import images
with images.atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half")
    print("written", flush=True)
    time.sleep(60)
"""


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@contextlib.contextmanager
def writer(path):
    """Another process that is in the middle of writing a file."""
    command = [sys.executable, "-c", WRITE, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "written\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_file_at_work_stays_and_one_of_a_killed_process_goes(tmp_path):
    with writer(tmp_path / "a.png") as process:
        (half,) = names(tmp_path)
        assert half.startswith(".deblur-") and half.endswith(".png")
        assert images.remove_leftovers(tmp_path) == 0
        assert names(tmp_path) == [half]
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert names(tmp_path) == [half]
        assert images.remove_leftovers(tmp_path) == 1
    assert names(tmp_path) == []


def test_only_our_own_temporary_files_are_removed(tmp_path):
    others = [
        *(".deblur-notes.png", "deblur-0123456789abcdef.png", ".deblur-0123456789abcdeg.png"),
        *(".deblur-0123456789abcdef0.png", ".hidden", "a.png"),
    ]
    for name in [*others, LEFT, ".deblur-fedcba9876543210"]:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / ".deblur-00000000000000aa.png").symlink_to(tmp_path / "a.png")
    (tmp_path / ".deblur-00000000000000bb.png").mkdir()
    os.mkfifo(tmp_path / ".deblur-00000000000000cc.png")
    assert images.remove_leftovers(tmp_path) == 2
    stay = [f".deblur-00000000000000{end}.png" for end in ("aa", "bb", "cc")]
    assert names(tmp_path) == sorted([*others, *stay])


@pytest.mark.parametrize("locks", ["none at all", "refused"])
def test_without_locks_age_decides(tmp_path, monkeypatch, locks):
    def refuse(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    if locks == "refused":
        monkeypatch.setattr(atomic.fcntl, "flock", refuse)
    else:
        monkeypatch.setattr(atomic, "fcntl", None)
    (tmp_path / LEFT).write_bytes(b"half")
    with images.atomic_path(tmp_path / "a.png") as temporary:
        temporary.write_bytes(b"whole")
        assert images.remove_leftovers(tmp_path) == 0
    assert (tmp_path / "a.png").read_bytes() == b"whole"
    assert names(tmp_path) == [LEFT, "a.png"]
    old = time.time() - 2 * 86400
    os.utime(tmp_path / LEFT, (old, old))
    assert images.remove_leftovers(tmp_path) == 1


def test_a_file_taken_for_a_leftover_before_it_was_locked_is_made_anew(tmp_path, monkeypatch):
    flock, taken = atomic.fcntl.flock, []

    def remove_first(descriptor, operation):
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(atomic.fcntl, "flock", remove_first)
    images.write_bytes(tmp_path / "a.png", b"whole")
    assert names(tmp_path) == ["a.png"]
    assert len(taken) == 1


def test_a_folder_that_is_not_there_has_no_leftovers(tmp_path):
    assert images.remove_leftovers(tmp_path / "none") == 0
    (tmp_path / "file").write_bytes(b"")
    assert images.remove_leftovers(tmp_path / "file") == 0


def test_a_result_gets_the_permissions_of_any_new_file(tmp_path):
    images.write_bytes(tmp_path / "a.png", b"")
    (tmp_path / "plain").write_bytes(b"")
    modes = {path.name: path.stat().st_mode for path in tmp_path.iterdir()}
    assert modes["a.png"] == modes["plain"]


def test_no_descriptor_is_left_open(tmp_path):
    def opened():
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    before = opened()
    for _ in range(5):
        images.write_bytes(tmp_path / "a.png", b"")
        with contextlib.suppress(ZeroDivisionError), images.atomic_path(tmp_path / "b.png"):
            raise ZeroDivisionError
    assert opened() == before

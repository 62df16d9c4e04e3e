"""`deblur-keras deblur` with folders: nothing is lost, whatever happens to files and to the run.

The tests may run as root, who may read and write all, so permissions are refused by patched calls.
"""

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import films
import numpy as np
import pytest
from click.testing import CliRunner

keras = pytest.importorskip("keras")

from deblur_keras import images  # noqa: E402
from deblur_keras.cli import jobs, main  # noqa: E402
from deblur_keras.restorer import Restorer  # noqa: E402

LEFT = ".deblur-0123456789abcdef.png"
NAMES = ("a.png", "b.bmp", "c.png", "day1/a.png", "day1/b.tif")


@pytest.fixture
def trip(tmp_path):
    folder = tmp_path / "trip"
    for seed, name in enumerate(NAMES):
        images.write(folder / name, photo(seed))
    return folder


def photo(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (6, 9, 3), np.uint8)


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file())


def assert_restored(folder, names=NAMES):
    """Results are there whole, under their names, and nothing else is."""
    assert files(folder) == sorted(names)
    for name in names:
        restored = images.read(Path(folder, name))
        np.testing.assert_array_equal(restored, 255 - photo(NAMES.index(name)))


KILLED = """
import os, signal, sys
from pathlib import Path

write, written = Path.write_bytes, []

def write_half_and_die(path, data):
    written.append(path)
    if len(written) < 3:
        return write(path, data)
    write(path, data[: len(data) // 2])
    os.kill(os.getpid(), signal.SIGKILL)

Path.write_bytes = write_half_and_die
from deblur_keras.cli import main
main()
"""


def test_killed_in_the_middle_of_a_file_and_resumed(run_deblur, trip, negative_model):
    command = [
        sys.executable,
        "-c",
        KILLED,
        "deblur",
        "trip",
        "-o",
        "new",
        "--model",
        str(negative_model),
    ]
    killed = subprocess.run(command, capture_output=True, cwd=trip.parent, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    whole = [name for name in files("new") if not Path(name).name.startswith(".deblur-")]
    half = len(files("new")) - len(whole)
    assert half in (1, 2)  # two threads write
    assert len(whole) <= 2 and set(whole) < set(NAMES)
    times = {name: Path("new", name).stat().st_mtime_ns for name in whole}
    output = run_deblur("trip", "-o", "new", "--resume")
    assert f"removed {half} half-written file{'s' * (half > 1)} of a run that was killed" in output
    done = f", {len(whole)} done already" if whole else ""
    assert f"{5 - len(whole)} of 5 restored{done}; written to new" in output
    assert_restored("new")
    assert {name: Path("new", name).stat().st_mtime_ns for name in whole} == times
    assert "0 of 5 restored, 5 done already" in run_deblur("trip", "-o", "new", "--resume")


def test_resume_does_what_is_missing_or_older_than_its_input(run_deblur, trip):
    run_deblur("trip", "-o", "new")
    Path("new/b.bmp").unlink()
    images.write("new/c.png", photo(8))  # newer than its input, so that it stays
    images.write("new/day1/a.png", photo(9))
    os.utime("new/day1/a.png", ns=(0, (trip / "day1/a.png").stat().st_mtime_ns - 1))
    output = run_deblur("trip", "-o", "new", "--resume")
    assert "2 of 5 restored, 3 done already; written to new" in output
    np.testing.assert_array_equal(images.read("new/c.png"), photo(8))
    Path("new/c.png").unlink()
    run_deblur("trip", "-o", "new", "--resume")
    assert_restored("new")


def test_resume_beside_the_inputs(run_deblur, trip):
    run_deblur("trip/a.png", "trip/day1")
    (trip / LEFT).write_bytes(b"half")
    output = run_deblur("trip", "--resume")
    assert "removed 1 half-written" in output
    assert "2 of 5 restored, 3 done already, 3 left out as results of an earlier run" in output
    assert len(files(trip)) == 10


def test_with_all_done_nothing_heavy_is_loaded(run_deblur, trip, monkeypatch):
    run_deblur("trip", "-o", "new")
    monkeypatch.setattr(Restorer, "__init__", None)
    assert "0 of 5 restored, 5 done already" in run_deblur("trip", "-o", "new", "--resume")
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert "0 of 5 restored, 5 done already" in run_deblur("trip", "-o", "new", "--resume")


def test_resume_tells_what_still_fails(run_deblur, trip):
    (trip / "c.png").write_bytes(b"")
    output = run_deblur("trip", "-o", "new", code=1)
    assert "failed: trip/c.png: is empty; copy it again" in output
    output = run_deblur("trip", "-o", "new", "--resume", code=1)
    assert "0 of 5 restored, 4 done already, 1 failed" in output
    images.write(trip / "c.png", photo(2))
    assert "1 of 5 restored, 4 done already; written" in run_deblur("trip", "-o", "new", "--resume")


def test_a_folder_under_the_name_of_a_result_is_no_result(run_deblur, trip):
    Path("new/a.png").mkdir(parents=True)
    output = run_deblur("trip", "-o", "new", "--resume", code=1)
    assert "failed: trip/a.png: new/a.png: is a folder; expected a file name" in output
    assert "4 of 5 restored, 1 failed" in output


def test_ctrl_c_saves_what_was_restored_and_names_the_way_on(run_deblur, trip, monkeypatch):
    call, calls = Restorer.__call__, []

    def press_at_the_third(self, image, **options):
        calls.append(image)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return call(self, image, **options)

    monkeypatch.setattr(Restorer, "__call__", press_at_the_third)
    output = run_deblur("trip", "-o", "new", code=1)
    assert "Interrupted: 2 of 5 restored; written to new" in output
    assert "; the same with --resume does the rest" in output
    assert_restored("new", NAMES[:2])
    assert "3 of 5 restored, 2 done already" in run_deblur("trip", "-o", "new", "--resume")
    assert_restored("new")


def test_photographs_around_a_video_keep_their_order_and_go_by_themselves(
    run_deblur, trip, monkeypatch
):
    films.film(trip / "bb.mp4", 3)
    call, seen = Restorer.__call__, []

    def note(self, image, **options):
        seen.append((image.shape, len(files("new")) if Path("new").exists() else 0))
        return call(self, image, **options)

    monkeypatch.setattr(Restorer, "__call__", note)
    run_deblur("trip", "-o", "new")
    frames = [done for shape, done in seen if shape != (6, 9, 3)]
    assert [shape == (6, 9, 3) for shape, _ in seen] == [True] * 2 + [False] * 3 + [True] * 3
    assert frames == [3, 3, 3]  # both photographs before it, whole, and what it is written to
    assert "0 of 6 restored, 6 done already" in run_deblur("trip", "-o", "new", "--resume")


def refuse(monkeypatch, code, name):
    """Lets the writing of results called `name` be refused."""
    write_bytes = images.saving.write_bytes

    def write(path, data):
        if path.name != name:
            return write_bytes(path, data)
        with images.atomic_path(path) as temporary:
            temporary.write_bytes(data[:9])
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(images.saving, "write_bytes", write)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "No space left on device; free some, or write to another disk"),
        (errno.EDQUOT, "Disk quota exceeded; free some, or write to another disk"),
        (errno.EROFS, "Read-only file system; write to another folder"),
        (errno.EACCES, "Permission denied; change the permissions, or choose another folder"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_what_cannot_be_written_is_told_and_the_rest_goes_on(
    run_deblur, trip, monkeypatch, code, words
):
    refuse(monkeypatch, code, "b.bmp")
    output = run_deblur("trip", "-o", "new", code=1)
    assert f"failed: trip/b.bmp: new/b.bmp: cannot be written: {words}" in output
    assert "4 of 5 restored, 1 failed" in output
    assert_restored("new", [name for name in NAMES if name != "b.bmp"])


def test_a_disk_that_is_full(run_deblur, trip, tmp_path):
    """On a real file system of a few pages, where one may be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    for number in range(6):
        big = np.random.default_rng(number).integers(0, 256, (64, 80, 3), np.uint8)
        images.write(trip / f"big{number}.png", big)  # 15 kB, which nothing compresses
    mount = ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(disk)]
    try:
        mounted = shutil.which("mount") and subprocess.run(mount, capture_output=True, check=False)
        if not mounted or mounted.returncode:
            pytest.skip("no file system may be mounted here")
        output = run_deblur("trip", "-o", "disk", code=1)
        assert "cannot be written: No space left on device; free some, or write to an" in output
        assert not list(disk.rglob(".*"))
        for name in files(disk):
            images.read(disk / name)
        assert "done already" in run_deblur("trip", "-o", "disk", "--resume", code=1)
    finally:
        subprocess.run(["umount", str(disk)], capture_output=True, check=False)


def test_a_file_that_changes_while_it_is_read(run_deblur, trip, monkeypatch):
    fstat = os.fstat

    def grow(descriptor):
        found = fstat(descriptor)
        if found.st_ino == (trip / "b.bmp").stat().st_ino:
            with (trip / "b.bmp").open("ab") as file:
                file.write(b"more")
        return found

    monkeypatch.setattr(os, "fstat", grow)
    output = run_deblur("trip", "-o", "new", code=1)
    assert "failed: trip/b.bmp: changed while it was read; wait until it is written" in output
    assert "4 of 5 restored, 1 failed" in output


def test_a_file_that_vanishes(run_deblur, trip, monkeypatch):
    make_plan = jobs.make_plan

    def plan_and_remove(*arguments):
        plan = make_plan(*arguments)
        (trip / "b.bmp").unlink()
        return plan

    monkeypatch.setattr(jobs, "make_plan", plan_and_remove)
    output = run_deblur("trip", "-o", "new", code=1)
    assert (
        "failed: trip/b.bmp: cannot be read: No such file or directory; check the name, and "
        "whether it was moved" in output
    )
    assert "4 of 5 restored, 1 failed" in output


def test_pipes_sockets_and_devices_are_not_waited_for(run_deblur, trip):
    os.mkfifo(trip / "pipe.png")
    os.mkfifo(trip / "pipe.mp4")
    (trip / "endless.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("trip/socket.jpg")
        output = run_deblur("trip", "-o", "new", code=1)
    for name, kind in (
        *(("pipe.png", "pipe"), ("pipe.mp4", "pipe")),
        *(("endless.png", "device"), ("socket.jpg", "socket")),
    ):
        assert f"failed: trip/{name}: is a {kind}, not a file; copy what it gives" in output
    assert "5 of 9 restored, 4 failed" in output
    assert_restored("new")


def test_results_of_one_name_are_refused_and_the_rest_goes_on(run_deblur, trip):
    images.write(trip / "a.jpg", photo(7))
    output = run_deblur("trip", "-o", "new", "--format", "png", code=1)
    assert (
        "failed: trip/a.jpg: trip/a.png would be written to new/a.png too, so none is; restore "
        "them one after the other into different folders, or leave --format out" in output
    )
    assert "failed: trip/a.png: trip/a.jpg would be" in output
    assert "4 of 6 restored, 2 failed" in output
    assert files("new") == ["b.png", "c.png", "day1/a.png", "day1/b.png"]
    output = run_deblur("trip", "-o", "new", "--format", "png", "--resume", code=1)
    assert "0 of 6 restored, 4 done already, 2 failed" in output


def test_links_that_lead_nowhere_or_back(run_deblur, trip):
    (trip / "loop.png").symlink_to("loop.png")
    (trip / "gone.png").symlink_to("nowhere.png")
    (trip / "round").symlink_to(trip, target_is_directory=True)
    named = [f"trip/{name}" for name in ("a.png", "gone.png", "loop.png")]  # as shells expand *
    for inputs, done in ((["trip"], "5 of 7"), (named, "1 of 3")):
        output = run_deblur(*inputs, "-o", f"new{len(inputs)}", code=1)
        assert "failed: trip/gone.png: cannot be read: No such file or directory; ch" in output
        assert "failed: trip/loop.png: cannot be read: Too many levels of symbolic l" in output
        assert f"{done} restored, 2 failed" in output
    assert_restored("new1")


def test_names_that_no_terminal_takes(run_deblur, trip):
    odd = [b"two\nlines.png", b"\xff.png", b"\x1b[31mred.png", "Ünïcödé 写真.png".encode()]
    for name in odd:
        shutil.copy(trip / "a.png", os.fsdecode(os.fsencode(trip) + b"/" + name))
    shutil.copy(trip / "a.png", trip / "day1" / "[bold]x.png")
    run_deblur("trip", "-o", "new")
    assert set(odd) < set(os.listdir(b"new"))  # noqa: PTH208
    for name in odd:
        Path(os.fsdecode(b"trip/" + name)).write_bytes(b"")
    output = run_deblur("trip", "-o", "new", "--overwrite", code=1)
    for shown in (r"two\nlines", r"\udcff", r"\x1b[31mred", "Ünïcödé 写真"):
        assert f"failed: trip/{shown}.png: is empty; copy it again" in output
    assert "6 of 10 restored, 4 failed" in output


def test_a_folder_that_may_not_be_searched_is_told(run_deblur, trip, monkeypatch):
    scandir = os.scandir

    def refuse_one(path):
        if Path(path).name == "day1":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse_one)
    output = run_deblur("trip", "-o", "new", code=1)
    assert (
        "not searched: trip/day1: Permission denied; change the permissions, or choose another"
        in output
    )
    assert "3 of 3 restored, 1 folder not searched; written to new" in output
    assert "trip/day1: not searched: Permission denied" in run_deblur("trip/day1", code=2)


def test_names_too_long_for_the_suffix(run_deblur, trip):
    long = f"{'n' * 245}.png"
    shutil.copy(trip / "a.png", trip / long)
    output = run_deblur("trip", code=1)
    assert f"failed: trip/{long}: File name too long; choose a shorter name" in output
    assert "5 of 6 restored, 1 failed" in output
    assert "File name too long" in run_deblur("n" * 300, code=2)


def test_help_shows_how_to_go_on():
    output = CliRunner().invoke(main, ["deblur", "--help"]).output
    assert "deblur-keras deblur holiday/ -o restored/ --resume" in output
    assert "unless the input is newer" in " ".join(output.split())

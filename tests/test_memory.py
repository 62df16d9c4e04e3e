from pathlib import Path

import pytest

from deblur_keras import memory

GIB = 2**30


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("2GB", 2 * 10**9),
        ("2 gb", 2 * 10**9),
        ("2G", 2 * 10**9),
        ("1.5GiB", 3 * 2**29),
        ("800M", 8 * 10**8),
        ("800MiB", 800 * 2**20),
        (".5T", 5 * 10**11),
        ("1000", 1000),
        (1000, 1000),
        (2e9, 2 * 10**9),
    ],
)
def test_amounts(size, expected):
    assert memory.parse_bytes(size) == expected


@pytest.mark.parametrize("size", ["", "GB", "2 apples", "-1GB", "0", 0, "0.1", "nan", "2i", True])
def test_what_is_no_amount(size):
    with pytest.raises(ValueError, match=r"expected an amount of memory above 0.*2GB"):
        memory.parse_bytes(size)


@pytest.fixture
def system(tmp_path):
    """Makes a root with 10 GiB available and files below it."""

    def make(files=()):
        files = {"proc/meminfo": f"MemTotal: 99 kB\nMemAvailable: {10 * 2**20} kB\n", **dict(files)}
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(text))
        return tmp_path

    return make


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="knows no such file")
def test_what_the_shell_limits_counts(monkeypatch):
    resource = pytest.importorskip("resource")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 10**9
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert 0 <= memory.available_bytes() <= 10**9


def test_without_groups_it_is_what_the_system_says(system):
    assert memory.available_bytes(system()) == 10 * GIB
    assert memory.available_bytes(system({"proc/self/cgroup": "0::/user\n"})) == 10 * GIB


@pytest.mark.parametrize("group", ["", "/a", "/a/b"])
def test_the_second_version_of_groups_and_those_above(system, group):
    folder = "sys/fs/cgroup/a"
    root = system(
        {
            "proc/self/cgroup": f"0::{group or '/'}\n",
            f"{folder}/memory.max": 4 * GIB,
            f"{folder}/memory.current": 3 * GIB,
            f"{folder}/memory.stat": f"anon 7\ninactive_file {GIB}\n",
            f"{folder}/b/memory.max": "max",
            f"{folder}/b/memory.current": 5,
        }
    )
    assert memory.available_bytes(root) == (2 * GIB if group else 10 * GIB)


def test_the_first_version_of_groups(system):
    folder = "sys/fs/cgroup/memory"
    root = system(
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n",
            # As in a container: the group's own name is not to be found inside.
            f"{folder}/memory.limit_in_bytes": 3 * GIB,
            f"{folder}/memory.usage_in_bytes": 2 * GIB,
            f"{folder}/memory.stat": f"total_inactive_file {GIB // 2}\n",
        }
    )
    assert memory.available_bytes(root) == 3 * GIB // 2


def test_a_group_that_is_full_leaves_nothing(system):
    folder = "sys/fs/cgroup"
    root = system(
        {
            "proc/self/cgroup": "0::/\n",
            f"{folder}/memory.max": GIB,
            f"{folder}/memory.current": 2 * GIB,
        }
    )
    assert memory.available_bytes(root) == 0


def test_elsewhere_it_is_half_of_what_there_is_or_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(memory.os, "sysconf", {"SC_PHYS_PAGES": 100, "SC_PAGE_SIZE": 4096}.get)
    assert memory.available_bytes(tmp_path) == 50 * 4096
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory.available_bytes(tmp_path) is None

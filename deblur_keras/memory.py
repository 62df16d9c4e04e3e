"""How much memory there is and how much is held, without another package."""

import os
import re
from pathlib import Path

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([KMGT]?)(I?)B?\s*", re.IGNORECASE)

# Where the two versions of control groups keep the limit, what is used, and the part of that which
# is only the cache of files and gives way.
_GROUP_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def parse_bytes(size):
    """Reads an amount of memory.

    Args:
        size: Number of bytes, or text such as ``"2GB"``, ``"1.5 GiB"`` or ``"800M"``; with an i the
            units are powers of 1024, without it of 1000.

    Returns:
        Whole number of bytes.

    Raises:
        ValueError: If it is no such amount, or not above 0.

    Example:
        >>> parse_bytes("2GB"), parse_bytes("1.5 GiB"), parse_bytes(1000)
        (2000000000, 1610612736, 1000)
    """
    found = _SIZE.fullmatch(str(size))
    if found:
        number, unit, binary = found[1], found[2].upper(), found[3]
        factor = _BINARY.get(unit) if binary else _UNITS[unit]
        if factor and float(number) * factor >= 1:
            return int(float(number) * factor)
    raise ValueError(
        f"expected an amount of memory above 0, in bytes or as text such as 2GB or 800MiB, got "
        f"{size!r}"
    )


def available_bytes(root="/"):
    """Finds how much memory this process could still take without being slowed or killed.

    What the system says (Linux: ``MemAvailable``), or less where a control group, such as that of a
    container, or ``ulimit -v`` has a limit.

    Args:
        root: Folder that ``proc`` and ``sys`` are read in; for tests.

    Returns:
        Bytes, or None where the system does not say.

    Example:
        >>> available_bytes() is None or available_bytes() > 0
        True
    """
    root = Path(root)
    found = [_system_bytes(root), *_group_bytes(root), _address_bytes()]
    found = [amount for amount in found if amount is not None]
    return max(min(found), 0) if found else None


def resident_bytes():
    """Finds how much memory this process holds.

    Returns:
        Bytes; 0 where the system does not say.

    Example:
        >>> resident_bytes() >= 0
        True
    """
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _system_bytes(root):
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        table = dict(line.split(":", 1) for line in lines if ":" in line)
        return int(table["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:  # macOS; what is free there says little, since the rest is given back when asked for
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return None


def _address_bytes():
    """What is left of the address space; None where that has no limit."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        taken = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError, ValueError, IndexError):
        return None
    return None if limit == resource.RLIM_INFINITY else limit - taken * resource.getpagesize()


def _group_bytes(root):
    """Yields what each control group that this process is in leaves free."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        kinds, _, path = line.partition(":")[2].partition(":")
        if kinds not in ("", "memory"):
            continue
        mount = root / "sys/fs/cgroup" / kinds
        # A container may see its own group as the top, under the name it has outside.
        folder = mount / path.strip("/")
        for group in (folder, *folder.parents):
            yield _left(group)
            if group == mount:
                break


def _left(group):
    """Bytes that are left in one control group; None where it has no limit."""
    for limit_name, usage_name, cache_name in _GROUP_FILES:
        try:
            limit = int((group / limit_name).read_text())
            usage = int((group / usage_name).read_text())
        except (OSError, ValueError):  # not this version, or "max"
            continue
        try:
            lines = (group / "memory.stat").read_text().splitlines()
            cache = int(dict(line.split() for line in lines).get(cache_name, 0))
        except (OSError, ValueError):
            cache = 0
        return limit - usage + cache
    return None

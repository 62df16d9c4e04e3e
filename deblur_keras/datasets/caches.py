"""Keeps decoded images, in memory or in a folder, so that each is decoded once.

What a cache will take is computed from the images' headers before anything is decoded, told, and
refused where it does not fit.
"""

import collections
import concurrent.futures
import contextlib
import hashlib
import logging
import re
import shutil
import threading
import weakref
from pathlib import Path

import numpy as np

from deblur_keras import images
from deblur_keras.datasets.layouts import DatasetError

_TAG = "CACHEDIR.TAG"  # https://bford.info/cachedir: backup programs leave such folders out
_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55\n# Decoded images of deblur_keras.\n"
_DIGITS = 16  # hexadecimal ones in each of the three parts of a name
_NAME = re.compile(f"[0-9a-f]{{{3 * _DIGITS}}}\\.npy")
_SHARE = 0.9  # of what is free, that a cache may take
_MUCH = 1 << 30  # bytes; from here on the size is told to everybody, not only on request
_CGROUP = Path("/sys/fs/cgroup")
_CGROUPS = (  # files of the limit, the use, and what of it is only the system's own cache
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)

_logger = logging.getLogger(__name__)
_planned = weakref.WeakSet()  # caches that will still grow: what is free is theirs


class Kept:
    """Makes each value once, whoever asks for it first, and keeps the latest few, or all.

    Args:
        capacity: Number of values to keep; None keeps all.

    Example:
        >>> kept = Kept(1)
        >>> [kept.get(key, lambda: print("made", key) or key) for key in "aab"]
        made a
        made b
        ['a', 'a', 'b']
    """

    def __init__(self, capacity=None):
        self._capacity = capacity
        self._lock = threading.Lock()
        self._values = collections.OrderedDict()

    def get(self, key, make):
        """Returns the value of a key; a second thread waits for the first one's work."""
        with self._lock:
            value = self._values.get(key)
            new = value is None
            if new:
                value = self._values[key] = concurrent.futures.Future()
            self._values.move_to_end(key)
            while self._capacity and len(self._values) > self._capacity:
                self._values.popitem(last=False)
        if new:
            try:
                value.set_result(make())
            except BaseException as error:
                with self._lock:
                    self._values.pop(key, None)  # so that it is tried again
                value.set_exception(error)
        return value.result()


class Memory:
    """Keeps the images of a stream in memory.

    Args:
        plan: Dictionary from (key, scale) to the bytes that the images there will take.
        names: What is kept, for the messages: ``"2103 pairs"``.

    Raises:
        DatasetError: They do not fit.

    Example:
        >>> memory = Memory({(0, 1.0): 12}, "1 photograph")
        >>> (image,) = memory.get(0, 1.0, lambda: (np.zeros((2, 2, 3), np.uint8),))
        >>> memory.missing
        0
    """

    def __init__(self, plan, names):
        self._kept = Kept()
        self.place, self.missing = "memory", sum(plan.values())
        _announce(self, names, "in memory", free_memory())

    def get(self, key, scale, make):
        """Returns the images behind a key at a scale, which ``make`` makes the first time."""
        return self._kept.get((key, scale), lambda: self._made(make))

    def _made(self, make):
        made = make()
        self.missing -= sum(image.nbytes for image in made)
        return made


class Disk:
    """Keeps the images of a stream in a folder, for this run and for later ones.

    A file holds the images behind one key at one scale, as a NumPy array, and is mapped, so that a
    crop costs no more than its own pixels. Where the disk turns out to be full after all, this is
    told once, and what is not in the folder by then is decoded at each visit.

    Several streams may share a folder. So only what an image was before it changed is deleted from
    it; what other streams, scales or crops have left there stays, because they may come again.
    Delete the folder, between two runs, to be rid of that.

    Args:
        folder: A folder that is empty, does not exist, or is such a cache.
        plan: As in `Memory`.
        names: As in `Memory`.
        identities: Dictionary from (key, scale) to three texts: one that only the images behind
            this key have, one that changes when they do, and one for what is made of them. Those
            for which it has none are not kept.
        count: Images behind a key.

    Raises:
        DatasetError: They do not fit, or the folder is something else or cannot be written to.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for image in (np.zeros((2, 2, 3), np.uint8), None):
        ...         identities = {(0, 1.0): ("a.png", "13:30", "whole")}
        ...         disk = Disk(folder, {(0, 1.0): 12}, "1 photograph", identities)
        ...         (image,) = disk.get(0, 1.0, lambda: (image,))
        ...         image.shape
        (2, 2, 3)
        (2, 2, 3)
    """

    def __init__(self, folder, plan, names, identities, count=1):
        self._folder, self._plan, self._count = Path(folder), plan, count
        self._paths = {entry: self._folder / _name(*texts) for entry, texts in identities.items()}
        self._refused, self._lock, self._own = False, threading.Lock(), {}
        self._prepare()
        self._drop_outdated()
        absent = [entry for entry, path in self._paths.items() if not path.exists()]
        self.place = f"device {self._folder.stat().st_dev}"
        self.missing = sum(plan[entry] for entry in absent)
        present = len(self._paths) - len(absent)
        there = f", {present} of them there already" if present else ""
        free = shutil.disk_usage(self._folder).free
        _announce(self, names + there, f"in {self._folder}", free)

    def get(self, key, scale, make):
        """Returns the images behind a key at a scale, which ``make`` makes the first time."""
        path = self._paths.get((key, scale))
        if path is None:
            return make()
        with self._lock:
            own = self._own.setdefault(path, threading.Lock())
        with own:  # so that two workers do not make the same one
            size = self._plan[key, scale]
            found = self._load(path, size)
            if found is None:
                found = make()
                made = np.stack(found)
                if not self._refused and made.nbytes == size:  # else it would be refused when read
                    self._write(path, made)
        return found

    def _load(self, path, size):
        try:
            found = _open(path)
            expected = (self._count, *found.shape[1:3], 3)
            if (found.dtype, found.shape, found.nbytes) != (np.uint8, expected, size):
                raise ValueError(
                    f"expected uint8 ({self._count}, H, W, 3) of {size} bytes, got {found.dtype}"
                    f" {found.shape}"
                )
            return tuple(np.asarray(found))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError) as error:
            _logger.warning(
                "%s: is no whole cached image any more and is made anew: %s", path, error
            )
            return None

    def _prepare(self):
        """Makes the folder, or checks that it is a cache."""
        tag = self._folder / _TAG
        try:
            if self._folder.is_dir() and any(self._folder.iterdir()) and not tag.exists():
                raise DatasetError(
                    f"{self._folder}: expected an empty or new folder to cache images in, or one"
                    " that was used for it before; this one holds other files"
                )
            images.write_bytes(tag, _SIGNATURE)
        except OSError as error:
            raise DatasetError(
                f"{self._folder}: cannot be written to ({error.strerror or error}); cache in"
                " another folder, or in memory"
            ) from error

    def _drop_outdated(self):
        """Deletes what this cache once made of images that have changed since."""
        versions = {path.name[:_DIGITS]: path.name[: 2 * _DIGITS] for path in self._paths.values()}
        for path in self._folder.iterdir():
            version = versions.get(path.name[:_DIGITS])
            if version and not path.name.startswith(version) and _NAME.fullmatch(path.name):
                with contextlib.suppress(OSError):  # gone meanwhile, or still in use
                    path.unlink()

    def _write(self, path, made):
        try:
            with images.atomic_path(path) as temporary, temporary.open("wb") as file:
                # Not np.save, whose error about a full disk does not say so.
                np.lib.format.write_array_header_1_0(
                    file, np.lib.format.header_data_from_array_1_0(made)
                )
                file.write(made.data)
        except OSError as error:
            with self._lock:
                known, self._refused, self.missing = self._refused, True, 0
            if known:  # by another worker, meanwhile
                return
            _logger.warning(
                "%s: cannot be written (%s), so nothing is added to this cache any more; images"
                " that are not in it are decoded at each visit",
                path,
                error.strerror or error,
            )
        else:
            self.missing -= made.nbytes


def _open(path):
    """Maps an array in a file, whatever other threads do.

    NumPy parses the file's header, and Python up to 3.11.7 and 3.12.1 counts wrong at times when
    another thread parses too, as TensorFlow does while it traces (gh-106905).
    """
    while True:
        try:
            return np.lib.format.open_memmap(path, mode="r")
        except SystemError as error:
            if "recursion depth" not in str(error):
                raise


def _name(image, version, made):
    """Returns the name of a file, whose parts are those of the identity."""
    parts = (hashlib.sha256(text.encode()).hexdigest()[:_DIGITS] for text in (image, version, made))
    return f"{''.join(parts)}.npy"


def free_memory():
    """Computes how much memory is free, for this machine and for the container around us.

    Returns:
        Bytes; None where the system does not tell (it does on Linux).

    Example:
        >>> free_memory() is None or free_memory() > 0
        True
    """
    told = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        fields = dict(line.split(":") for line in lines)
        told.append(int(fields["MemAvailable"].split()[0]) * 1024)
    except (OSError, ValueError, KeyError):
        pass
    for limit, used, state, reclaimable in _CGROUPS:
        try:
            most, now = (int((_CGROUP / name).read_text()) for name in (limit, used))
            fields = dict(line.split() for line in (_CGROUP / state).read_text().splitlines())
            told.append(max(most - now + int(fields[reclaimable]), 0))
        except (OSError, ValueError, KeyError):  # there is none, or it is "max"
            pass
    return min(told, default=None)


def _announce(cache, names, where, free):
    """Tells how much a cache will take, or refuses it; what others will take is not free."""
    needed = cache.missing
    if free is not None:
        free -= sum(max(other.missing, 0) for other in _planned if other.place == cache.place)
        room = f"{_size(max(free, 0))} are free"
        if needed > _SHARE * free:
            raise DatasetError(
                f"caching {names} {where} takes {_size(needed)}, and {room} there, of which a tenth"
                " is left alone; reduce them (scale), use fewer, or cache elsewhere (cache=True is"
                " memory, cache='FOLDER' a folder)"
            )
    else:
        room = "how much is free is not known"
    _planned.add(cache)
    level = logging.WARNING if needed >= _MUCH else logging.INFO
    _logger.log(level, "caching %s %s takes %s; %s", names, where, _size(needed), room)


def _size(count):
    """Formats a number of bytes."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"

"""Checkpoints that are whole or do not count: written beside each other, sealed, verified.

A checkpoint is what ``tf.train.Checkpoint.write`` makes, ``state-12.index`` and
``state-12.data-00000-of-00001``, and a seal, ``state-12.json``. The seal holds the digest of each
file, notes of whoever wrote it, and its own digest. It is written last, by renaming, so a
checkpoint without it was never finished. This module does not load TensorFlow until it must.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import re
import tempfile
from pathlib import Path

from deblur_keras import __version__, images

FORMAT = 2  # of the seals; 1 had none, and no place within an epoch

_NAMES = re.compile(r"(state|ckpt)-(\d+)(?:[._].*)?")
_CHUNK = 1 << 22

_logger = logging.getLogger(__name__)


class CheckpointError(ValueError):
    """A checkpoint that is damaged, or not of what is to be continued."""


@dataclasses.dataclass(frozen=True)
class Found:
    """Holds a checkpoint that was verified.

    Attributes:
        prefix: What ``tf.train.Checkpoint.read`` takes, a path.
        notes: What was noted with it; None if a version of the library wrote it that had no seals.
    """

    prefix: Path
    notes: dict | None


class Checkpoints:
    """A folder of rotating checkpoints.

    Args:
        directory: The folder, which need not exist.
        keep: How many to keep.

    Example:
        >>> import tempfile
        >>> import tensorflow as tf
        >>> variable = tf.Variable(1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = Checkpoints(folder)
        ...     _ = files.write(tf.train.Checkpoint(variable=variable), {"epoch": 3})
        ...     files.newest().notes
        {'epoch': 3}
    """

    def __init__(self, directory, keep=2):
        self.directory = Path(directory)
        self.keep = keep
        self._unusable = set()

    def write(self, checkpoint, notes):
        """Writes a checkpoint, and removes those beyond the last few.

        Args:
            checkpoint: A ``tf.train.Checkpoint``.
            notes: What else is to be known, a dict of plain values.

        Returns:
            Its prefix, a `pathlib.Path`.

        Raises:
            OSError: If the file system refuses; the checkpoints before are kept.
            tf.errors.OpError: The same, as TensorFlow says it.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        number = max((number for _, number in self._entries()), default=0) + 1
        prefix = self.directory / f"state-{number}"
        try:
            checkpoint.write(str(prefix))
            files = {path.name: _digest(path) for path in self._files("state", number)}
            seal = {"format": FORMAT, "deblur_keras": __version__, "files": files, "notes": notes}
            text = json.dumps({**seal, "digest": _digest_of(seal)}, indent=1)
            images.write_bytes(_seal_of(prefix), text.encode())
        except BaseException:
            with contextlib.suppress(OSError):  # what is left in part does not count
                self._remove("state", number)
            raise
        self._rotate()
        return prefix

    def newest(self, tell=True):
        """Finds the newest checkpoint that is as it was written.

        Args:
            tell: Whether to log, for each newer one, why it cannot be used.

        Returns:
            A `Found`, or None if there are none.

        Raises:
            CheckpointError: If there are some and none can be used, or if one was written by a
                newer version of the library.
        """
        faults = []
        for kind, number in sorted(self._entries(), reverse=True):
            prefix = self.directory / f"{kind}-{number}"
            try:
                notes = _verify(prefix) if kind == "state" else _read_through(prefix)
            except _Unusable as error:
                self._unusable.add((kind, number))
                faults.append(f"{prefix.name} {error}")
                continue
            if tell:
                for fault in faults:
                    _logger.warning(
                        "In %s, %s; continuing from the one before, %s.",
                        *(self.directory, fault, prefix.name),
                    )
            return Found(prefix, notes)
        if faults:
            raise CheckpointError(
                f"None of the checkpoints in {self.directory} can be used: {'; '.join(faults)}. "
                "Restore them from a copy, or start the run anew in another folder."
            )
        return None

    def _entries(self):
        """Lists what there is of checkpoints, also in parts: kind and number, in no order."""
        if not self.directory.is_dir():
            return set()
        found = (_NAMES.fullmatch(entry.name) for entry in self.directory.iterdir())
        return {(match[1], int(match[2])) for match in found if match}

    def _files(self, kind, number):
        """Lists the files of a checkpoint, but for the seal."""
        found = sorted(self.directory.glob(f"{kind}-{number}.*"))
        return [path for path in found if path.suffix != ".json"]

    def _remove(self, kind, number):
        prefix = self.directory / f"{kind}-{number}"
        _seal_of(prefix).unlink(missing_ok=True)  # first: what is left in part does not count
        for path in self._files(kind, number):
            path.unlink(missing_ok=True)
        # What TensorFlow leaves of a writing that was cut off.
        for folder in self.directory.glob(f"{kind}-{number}_temp*"):
            for path in folder.iterdir():
                path.unlink(missing_ok=True)
            folder.rmdir()

    def _rotate(self):
        entries = sorted(self._entries())
        whole = [
            entry
            for entry in entries
            if entry not in self._unusable
            and (entry[0] == "ckpt" or _seal_of(self.directory / f"state-{entry[1]}").exists())
        ]
        kept = whole[-self.keep :]
        names = [f"{kind}-{number}" for kind, number in kept]
        # What tf.train.latest_checkpoint reads, for other programs.
        lines = [f'model_checkpoint_path: "{names[-1]}"']
        lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
        images.write_bytes(self.directory / "checkpoint", "\n".join([*lines, ""]).encode())
        for entry in entries:
            if entry not in kept:
                self._remove(*entry)
                self._unusable.discard(entry)


def finished_epochs(directory):
    """Reads, without warnings, how many epochs the run with these checkpoints has finished.

    Args:
        directory: Their folder.

    Returns:
        The number; 0 if there are no checkpoints.

    Raises:
        CheckpointError: If none can be used.
    """
    found = Checkpoints(directory).newest(tell=False)
    if found is None:
        return 0
    if found.notes is not None:
        return found.notes["epoch"]
    import tensorflow as tf

    with readable(found.prefix) as prefix:
        reader = tf.train.load_checkpoint(prefix)
        return int(reader.get_tensor("epoch/.ATTRIBUTES/VARIABLE_VALUE"))


@contextlib.contextmanager
def readable(prefix):
    """Makes a checkpoint readable for TensorFlow, to which brackets in its path are a pattern.

    Args:
        prefix: Of the checkpoint.

    Yields:
        A prefix to read it by, as text, for as long as the block.
    """
    if os.sep == "\\" or not set(str(prefix)) & set("[\\"):
        yield str(prefix)
        return
    with tempfile.TemporaryDirectory() as folder:
        for path in prefix.parent.iterdir():
            if path.name.startswith(f"{prefix.name}."):
                (Path(folder) / path.name).symlink_to(path.resolve())
        yield str(Path(folder) / prefix.name)


def finished(folder, done):
    """Says of a run in a folder that it is finished.

    Args:
        folder: The run folder.
        done: Epochs that are done.

    Example:
        >>> finished("run", 3)
        'The run in run has finished its 3 epochs; continue it with a larger --epochs than 3.'
    """
    epochs = f"{done} epoch{'s' if done > 1 else ''}"
    longer = f"continue it with a larger --epochs than {done}."
    return f"The run in {folder} has finished its {epochs}; {longer}"


class _Unusable(Exception):
    """Says of a checkpoint what is wrong with it."""


def _seal_of(prefix):
    return prefix.with_name(f"{prefix.name}.json")


def _verify(prefix):
    """Returns the notes of a checkpoint, if all of it is as it was written."""
    path = _seal_of(prefix)
    try:
        seal = json.loads(path.read_bytes())
        if seal.pop("digest") != _digest_of(seal):
            raise _Unusable(f"is damaged: {path.name} is not as it was written")
    except FileNotFoundError:
        raise _Unusable("was not finished when its writing was cut off") from None
    except (AttributeError, KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError):
        raise _Unusable(f"is damaged: {path.name} is not as it was written") from None
    if seal["format"] > FORMAT:
        raise CheckpointError(
            f"{prefix} was written by deblur_keras {seal['deblur_keras']}, which is newer than "
            f"this one, {__version__}. Continue with that version."
        )
    for name, expected in seal["files"].items():
        file = path.with_name(name)
        if not file.is_file():
            raise _Unusable(f"is damaged: {name} is missing")
        if _digest(file) != expected:
            raise _Unusable(f"is damaged: {name} is not as it was written")
    return seal["notes"]


def _read_through(prefix):
    """Reads a checkpoint without a seal, so that TensorFlow checks the sums of its tensors."""
    import tensorflow as tf

    try:
        with readable(prefix) as path:
            reader = tf.train.load_checkpoint(path)
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise _Unusable(f"is damaged: {str(error).splitlines()[0]}") from error


def _digest(path):
    """Computes the digest of a file, once it has left the memory for the disk."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        os.fsync(file.fileno())
        while block := file.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


def _digest_of(seal):
    return hashlib.sha256(json.dumps(seal, sort_keys=True).encode()).hexdigest()

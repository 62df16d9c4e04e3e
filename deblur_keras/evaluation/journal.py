"""The table that a scoring run writes as it goes, so that an interrupted one can be continued.

Two files: a CSV with a line per image, each on the disk before the next image is begun, and
``run.json`` with the facts that the lines depend on. A run is continued only under the same facts.
"""

import csv
import io
import json
import os
from pathlib import Path

from deblur_keras import images

RUN = "run.json"
"""Name of the file of the facts."""


class JournalError(ValueError):
    """Says why an earlier run cannot be continued, or would be overwritten."""


class Journal:
    """Appends lines to a CSV file, and knows those of an interrupted run.

    Args:
        path: CSV file. The facts go to `RUN` beside it.
        columns: Names of the columns; the first one tells the images apart.
        facts: Dictionary of what the lines depend on, as JSON can hold it.
        resume: Whether to keep the lines that are there. Without a file, a new one is begun.

    Raises:
        JournalError: If the lines that are there came about in another way, or have other columns.
        OSError: If the files cannot be read or written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "scores.csv"
        ...     with Journal(path, ("name", "psnr"), {"seed": 0}) as journal:
        ...         journal.append({"name": "a", "psnr": 24.5})
        ...     with Journal(path, ("name", "psnr"), {"seed": 0}, resume=True) as journal:
        ...         journal.rows
        {'a': {'name': 'a', 'psnr': '24.5'}}
    """

    def __init__(self, path, columns, facts, resume=False):
        self.path = Path(path)
        self.columns = tuple(columns)
        self.rows = {}
        facts = json.loads(json.dumps(facts, default=str))
        run = self.path.with_name(RUN)
        if resume and (self.path.exists() or run.exists()):
            self._check(facts)
        if resume and self.path.exists():
            self.rows = self._read()
        images.write_bytes(run, (json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode())
        # Rewritten whole: the last line may have been cut off.
        with images.atomic_path(self.path) as temporary:
            text = self._line(dict(zip(self.columns, self.columns, strict=True)))
            text += "".join(map(self._line, self.rows.values()))
            temporary.write_bytes(text.encode())
        self._file = self.path.open("a", encoding="utf-8", newline="")

    def __enter__(self):
        """Returns itself."""
        return self

    def __exit__(self, *_):
        """Closes the file."""
        self.close()

    def close(self):
        """Closes the file."""
        self._file.close()

    def append(self, row):
        """Writes one line to the disk.

        Args:
            row: Dictionary from the columns to values.
        """
        self._file.write(self._line(row))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _line(self, row):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow([plain(row[name]) for name in self.columns])
        return text.getvalue()

    def _read(self):
        try:
            with self.path.open(encoding="utf-8", newline="") as file:
                text = file.read()
        except UnicodeDecodeError as error:
            raise JournalError(
                f"{self.path}: damaged ({error}); start anew in another folder"
            ) from error
        whole = text[: text.rfind("\n") + 1]  # a line without its end was cut off
        lines = list(csv.reader(io.StringIO(whole)))
        if lines and tuple(lines[0]) != self.columns:
            raise JournalError(
                f"{self.path}: expected the columns {', '.join(self.columns)}, got "
                f"{', '.join(lines[0])}; start anew in another folder"
            )
        rows = [dict(zip(self.columns, line, strict=False)) for line in lines[1:]]
        return {row[self.columns[0]]: row for row in rows if len(row) == len(self.columns)}

    def _check(self, facts):
        run = self.path.with_name(RUN)
        try:
            before = json.loads(run.read_text(encoding="utf-8"))
            if not isinstance(before, dict):
                raise ValueError("expected a table of facts")
        except (OSError, ValueError) as error:
            raise JournalError(
                f"{run}: cannot be read ({error}), so it is not known how {self.path.name} came "
                "about; start anew in another folder"
            ) from error
        names = [name for name in {**before, **facts} if before.get(name) != facts.get(name)]
        if names:
            told = "; ".join(
                f"{name} was {before.get(name)!r} and is {facts.get(name)!r}" for name in names
            )
            raise JournalError(
                f"{self.path} was made in another way and cannot be continued: {told}. Give what "
                "was given then, or start anew in another folder"
            )


def plain(value):
    """Formats a value for a table: floats in nine digits, which hold all that float32 can tell.

    Example:
        >>> plain(1 / 3), plain(None), plain(7)
        ('0.333333333', '', 7)
    """
    if value is None:
        return ""
    return f"{value:.9g}" if isinstance(value, float) else value

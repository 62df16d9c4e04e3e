"""What the commands share: progress with an estimate of the time left, messages, errors."""

import contextlib
import functools
import logging
import os
import shlex
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import click

import deblur_keras

_LINE_SECONDS = 10.0  # between progress lines where there is no terminal to draw on


@functools.cache
def console(stderr=True):
    """Returns the rich console that the commands print on.

    Args:
        stderr: True for what accompanies a run (progress, warnings), False for its results.

    Returns:
        `rich.console.Console`; the same one at each call.

    Example:
        >>> console().stderr
        True
    """
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def fail(message):
    """Makes the exception that ends a command with a message and exit code 1.

    Args:
        message: what went wrong and what to do; an exception's text is taken.

    Returns:
        `click.ClickException`, to be raised.

    Example:
        >>> str(fail("no images found"))
        'no images found'
    """
    return click.ClickException(printable(message))


def command_line():
    """Returns the command that is running, as it can be typed again.

    Example:
        >>> isinstance(command_line(), str)
        True
    """
    program = Path(sys.argv[0])
    if program.name == "__main__.py":  # python -m
        return shlex.join(["python", "-m", __package__, *sys.argv[1:]])
    return shlex.join([program.name, *sys.argv[1:]])


def import_tensorflow():
    """Imports TensorFlow without its start-up notes, which come before any setting is heeded.

    What it says is kept back, and shown after all if the import fails; on a machine with an NVIDIA
    driver its errors, which tell why a GPU is not used, are shown too. Set `TF_CPP_MIN_LOG_LEVEL`
    to 0 or 1 to see everything.

    Example:
        >>> import_tensorflow()
    """
    if "tensorflow" in sys.modules:
        return
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2") in ("0", "1"):
        import tensorflow  # noqa: F401

        return
    sys.stderr.flush()
    stderr = os.dup(2)  # the notes come from C++, which sys.stderr does not reach
    wanted = b"EFIW"  # first letters of the lines to show: all, as long as the import may fail
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()  # looks for a GPU now, not amid the first image
            wanted = b"EF" if Path("/dev/nvidiactl").exists() else b""
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            said.seek(0)
            os.write(2, b"".join(line for line in said if line[:1] in wanted and wanted))


def printable(text):
    r"""Returns text that any terminal takes: undecodable bytes and control characters escaped.

    Args:
        text: anything with a `str`, such as a path with a newline in its name.

    Example:
        >>> print(printable("two\nlines"))
        two\nlines
    """
    text = str(text).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def counted(number, noun, plural=None):
    """Says how many there are of something.

    Args:
        number: How many.
        noun: What, as of one.
        plural: The same of several, if it is not the noun and an s.

    Example:
        >>> counted(1, "pair"), counted(2, "batch", "batches")
        ('1 pair', '2 batches')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def show_scores(protocol, table, summary):
    """Prints what figures depend on, the figures, and what they come to.

    Args:
        protocol: Lines of text, of any length.
        table: A ``rich.table.Table``, or None if there are no figures.
        summary: Lines of text.
    """
    shown = console(stderr=False)

    def tell(line):
        line = printable(line)
        if shown.is_terminal:  # a log or a pipe takes lines of any length
            line = textwrap.fill(
                line,
                shown.width,
                subsequent_indent="    ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        click.echo(line)

    for line in protocol:
        tell(line)
    if table is not None:
        shown.print()
        shown.print(table)
        shown.print()
    for line in summary:
        tell(line)


def duration(seconds):
    """Formats a time span in the two units that matter.

    Args:
        seconds: length in seconds, not negative.

    Example:
        >>> duration(3.21), duration(200), duration(7500)
        ('3.2 s', '3 min 20 s', '2 h 5 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def speed(count, seconds, unit):
    """Formats how many of something are done a second.

    Args:
        count: how many were done.
        seconds: in how much time.
        unit: what they are called.

    Example:
        >>> speed(50, 4, "frames"), speed(5, 2, "frames"), speed(1, 20, "frames")
        ('12 frames/s', '2.5 frames/s', '0.05 frames/s')
    """
    rate = count / max(seconds, 1e-9)
    return f"{rate:.0f} {unit}/s" if rate >= 10 else f"{rate:.2g} {unit}/s"


class _Lines(logging.Handler):
    """Prints each record as a line on standard error, whichever that is at the moment."""

    def emit(self, record):
        click.echo(printable(record.getMessage()), err=True)


@contextlib.contextmanager
def shown_log():
    """Shows on standard error what the library logs while the block runs: warnings, and notes too.

    Example:
        >>> with shown_log():
        ...     logging.getLogger("deblur_keras").info("caching 2 pairs in memory takes 3 MB")
    """
    logger = logging.getLogger(deblur_keras.__name__)
    lines, level = _Lines(), logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # other packages let the root logger print lines too
    try:
        yield
    finally:
        logger.removeHandler(lines)
        logger.setLevel(level)
        logger.propagate = True


class Progress:
    """Tells how far a run is: a live bar on a terminal, now and then a line elsewhere.

    Made by `progress`. `done` and `total` are the counts of items; `total` may be None.
    """

    def __init__(self, description, total, bar, task, unit=""):
        self.description = description
        self.total = total
        self.done = 0
        self._began = False
        self._before = 0  # done before this run, and in no time
        self._unit = unit
        self._bar, self._task = bar, task
        self._started = self._printed = time.monotonic()

    def start(self, name):
        """Shows the name of the item that is being worked on."""
        if not self._began:
            self._began, self._started = True, time.monotonic()  # what it took to begin is over
        self._bar.update(self._task, item=printable(name))

    def advance(self, count=1, also=""):
        """Counts items as done and brings the time left up to date.

        Those counted before the first `start` were done by an earlier run. `also` is what the
        lines say besides that stand for the bar where there is no terminal.
        """
        self.done += count
        if not self._began:
            self._before = self.done
        now = time.monotonic()
        left = self._left(now)
        self._bar.update(self._task, completed=self.done, total=self.total, left=left)
        if not self._bar.console.is_terminal and now - self._printed >= _LINE_SECONDS:
            self._printed = now
            of = self.total or "?"
            said = [f"{printable(self.description)} {self.done}/{of}", left, printable(also)]
            click.echo(", ".join(filter(None, said)), err=True)

    @contextlib.contextmanager
    def part(self, name, unit):
        """Shows a bar for the steps of one item while the block runs.

        Args:
            name: name of the item.
            unit: what its steps are called, for their number a second.

        Yields:
            `Progress` without a total; set `total` when it is known.
        """
        task = self._bar.add_task(printable(name), total=None, left="", item="")
        try:
            shown = Progress(name, None, self._bar, task, unit)
            shown._began = True  # its steps have no names to start with
            yield shown
        finally:
            self._bar.remove_task(task)

    def note(self, message):
        """Prints a line above the bar."""
        self._bar.console.print(printable(message), markup=False, soft_wrap=True)

    def _left(self, now):
        done, seconds = self.done - self._before, now - self._started
        parts = [speed(done, seconds, self._unit)] if self._unit else []
        if done and self.total and self.done < self.total:
            parts.append(f"{duration(seconds / done * (self.total - self.done))} left")
        return ", ".join(parts)


@contextlib.contextmanager
def progress(description, total):
    """Shows the progress of a run on standard error while the block runs.

    Args:
        description: what is being done, such as `"Restoring"`.
        total: number of items.

    Yields:
        `Progress`: call `start(name)` before an item, `advance()` after it.

    Example:
        >>> with progress("Counting", total=2) as shown:
        ...     for name in ("one", "two"):
        ...         shown.start(name)
        ...         shown.advance()
        >>> shown.done
        2
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    plain = functools.partial(TextColumn, markup=False)
    screen = console()
    bar = Bar(
        plain("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        plain("{task.fields[left]}"),
        plain("{task.fields[item]}"),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    )
    with bar:
        task = bar.add_task(description, total=total, left="", item="")
        yield Progress(description, total, bar, task)

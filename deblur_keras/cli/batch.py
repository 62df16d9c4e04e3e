"""Does the jobs of `deblur`, one broken file not stopping the rest, and says what came of them."""

import contextlib
import itertools
import time
from dataclasses import dataclass, field

import click

from deblur_keras.cli import clips
from deblur_keras.cli.console import console, duration, printable, progress
from deblur_keras.cli.jobs import is_video

_SHOWN = 3  # of the results that exist already, by name


@dataclass
class Outcome:
    """Holds what a call has done.

    Attributes:
        written: results that were written.
        failures: (source, reason), one a file that could not be.
        existing: results that were there before and were not replaced.
        seconds: how long it took.
        interrupted: whether Ctrl-C ended it.
    """

    written: list = field(default_factory=list)
    failures: list = field(default_factory=list)
    existing: list = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False


def restore(restorer, plan, of_photographs, of_videos, doing):
    """Does the jobs of a plan, showing how far it is.

    Photographs are opened and saved while the network works on others, videos go by themselves.
    On Ctrl-C, what the network has done is saved still.

    Args:
        restorer: `Restorer`.
        plan: `jobs.Plan`.
        of_photographs: dict of the options of `Restorer.restore_files`.
        of_videos: dict of the options of `clips.restore`.
        doing: what is being done, such as `"Restoring"`.

    Returns:
        `Outcome`.
    """
    outcome = Outcome(failures=list(plan.refused))
    started = time.monotonic()
    try:
        with progress(doing, total=plan.total) as shown:
            before = plan.total - len(plan.jobs)
            if before:
                shown.advance(before)
            for videos, jobs in itertools.groupby(plan.jobs, lambda job: is_video(job[0])):
                if videos:
                    steps = _restore_videos(restorer, jobs, shown, of_videos)
                else:
                    tiles = _Tiles(shown)
                    options = of_photographs | {"started": tiles.start, "progress": tiles.tell}
                    steps = restorer.restore_files(jobs, **options)
                with contextlib.closing(steps):
                    for done in steps:
                        _note(outcome, *done)
                        shown.advance()
    except KeyboardInterrupt:
        outcome.interrupted = True
    outcome.seconds = time.monotonic() - started
    return outcome


class _Tiles:
    """Shows how far a photograph is that goes through in tiles."""

    def __init__(self, shown):
        self._shown, self._source = shown, None
        self._bar, self._open = None, contextlib.ExitStack()

    def start(self, source):
        """Takes note of the photograph that comes next."""
        self._open.close()
        self._source, self._bar = source, None
        self._shown.start(source)

    def tell(self, done, total):
        """Shows how many tiles of it are done."""
        if self._bar is None:
            self._bar = self._open.enter_context(self._shown.part(self._source.name, "tiles"))
        self._bar.total = total
        self._bar.advance(done - self._bar.done)
        if done == total:
            self._open.close()


def _note(outcome, source, destination, error):
    from deblur_keras.photographs import written_by

    if error is None:
        outcome.written.append(destination)
    elif isinstance(error, FileExistsError):
        there = (path for path in written_by(destination, samples=2) if path.exists())
        outcome.existing.append(next(there, destination))  # the result, or its map
    else:
        outcome.failures.append((source, _reason(error, source, destination)))


def _restore_videos(restorer, jobs, shown, options):
    """Restores videos one after the other; yields `photographs.Outcome`s, as `restore_files`."""
    from deblur_keras import images
    from deblur_keras.photographs import Outcome as Done

    for source, destination in jobs:
        shown.start(source)
        error = None
        try:
            with contextlib.suppress(OSError):  # said by what reads it
                images.check_regular(source)
            clips.restore(restorer, source, destination, shown, **options)
        except Exception as failure:  # whatever one video does, the others are restored
            error = failure
        yield Done(source, destination, error)


def _reason(error, source, destination):
    """One line that says why a file failed, without the path that stands before it anyway."""
    from deblur_keras import images

    if isinstance(error, OSError) and error.errno:
        error = OSError(images.reason(error))
    reason = str(error).strip().removeprefix(f"{source}: ")
    for path in (source, destination):  # their names may have several lines
        reason = reason.replace(str(path), printable(path))
    reason = reason.split("\n")[0]
    reason = "; ".join([reason, *getattr(error, "__notes__", [])])
    known = isinstance(error, ValueError | OSError | MemoryError | ArithmeticError | ImportError)
    return reason if known and reason else f"{type(error).__name__}: {reason}"


def tell_removed(count):
    """Says how many half-written files of killed runs were removed, if any were.

    Args:
        count: how many.
    """
    if count:
        files = "1 half-written file" if count == 1 else f"{count} half-written files"
        console().print(f"removed {files} of a run that was killed", soft_wrap=True)


def summarize(plan, outcome, output, done, by):
    """Prints what failed, on standard error, and a line that sums up, on standard output.

    Args:
        plan: `jobs.Plan`.
        outcome: `Outcome`.
        output: what the user gave as output, or None.
        done: what was done, such as `"restored"`.
        by: what did it, such as `"openvino, float32"`.
    """
    screen = console()

    def say(message):
        screen.print(message, markup=False, soft_wrap=True)

    for path, reason in outcome.failures:
        say(f"failed: {printable(path)}: {printable(reason)}")
    for path in outcome.existing[:_SHOWN]:
        say(f"exists: {printable(path)}: not replaced; --overwrite does")
    if len(outcome.existing) > _SHOWN:
        say(f"exists: {len(outcome.existing) - _SHOWN} more")
    for path, reason in plan.unsearched:
        say(f"not searched: {printable(path)}: {printable(reason)}")
    parts = [f"{len(outcome.written)} of {plan.total} {done}"]
    if plan.done:
        parts.append(f"{len(plan.done)} done already")
    if outcome.failures:
        parts.append(f"{len(outcome.failures)} failed")
    if outcome.existing:
        parts.append(f"{len(outcome.existing)} existed")
    if plan.unsearched:
        folders = "1 folder" if len(plan.unsearched) == 1 else f"{len(plan.unsearched)} folders"
        parts.append(f"{folders} not searched")
    if plan.not_images:
        parts.append(f"{len(plan.not_images)} skipped that are no images")
    if plan.earlier:
        parts.append(f"{len(plan.earlier)} left out as results of an earlier run")
    line = ("Interrupted: " if outcome.interrupted else "") + ", ".join(parts)
    if len(outcome.written):
        place = "beside the inputs" if output is None else f"to {printable(output)}"
        each = duration(outcome.seconds / len(outcome.written))
        what = "a file" if any(is_video(source) for source, _ in plan.jobs) else "an image"
        line += f"; written {place} in {duration(outcome.seconds)}, {each} {what} ({by})"
    if outcome.interrupted:
        line += "; the same with --resume does the rest"
    click.echo(line)

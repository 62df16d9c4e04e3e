"""Does the jobs of `deblur`, one broken file not stopping the rest, and says what came of them."""

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
        restored: how many files.
        failures: (source, reason), one a file that could not be.
        existing: results that were there before and were not replaced.
        seconds: how long it took.
        interrupted: whether Ctrl-C ended it.
    """

    restored: int = 0
    failures: list = field(default_factory=list)
    existing: list = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False


def restore(restorer, jobs, of_photographs, of_videos, doing):
    """Does the jobs, one after the other, showing how far it is.

    Args:
        restorer: `Restorer`.
        jobs: (source, destination) pairs.
        of_photographs: dict of the options of `Restorer.restore_file`.
        of_videos: dict of the options of `clips.restore`.
        doing: what is being done, such as `"Restoring"`.

    Returns:
        `Outcome`.
    """
    outcome = Outcome()
    started = time.monotonic()
    try:
        with progress(doing, total=len(jobs)) as shown:
            for source, destination in jobs:
                shown.start(source)
                try:
                    if is_video(source):
                        clips.restore(restorer, source, destination, shown, **of_videos)
                    else:
                        restorer.restore_file(source, destination, **of_photographs)
                    outcome.restored += 1
                except FileExistsError:
                    outcome.existing.append(destination)
                except Exception as error:  # whatever one file does, the others are restored
                    outcome.failures.append((source, _reason(error, source)))
                shown.advance()
    except KeyboardInterrupt:
        outcome.interrupted = True
    outcome.seconds = time.monotonic() - started
    return outcome


def _reason(error, source):
    """One line that says why a file failed, without the path that stands before it anyway."""
    from deblur_keras import images

    if isinstance(error, OSError) and error.errno:
        error = OSError(images.reason(error))
    reason = str(error).strip().split("\n")[0].removeprefix(f"{source}: ")
    reason = "; ".join([reason, *getattr(error, "__notes__", [])])
    known = isinstance(error, ValueError | OSError | MemoryError | ArithmeticError | ImportError)
    return reason if known and reason else f"{type(error).__name__}: {reason}"


def summarize(plan, outcome, output, done):
    """Prints what failed, on standard error, and a line that sums up, on standard output.

    Args:
        plan: `jobs.Plan`.
        outcome: `Outcome`.
        output: what the user gave as output, or None.
        done: what was done, such as `"restored"`.
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
    parts = [f"{outcome.restored} of {len(plan.jobs)} {done}"]
    if outcome.failures:
        parts.append(f"{len(outcome.failures)} failed")
    if outcome.existing:
        parts.append(f"{len(outcome.existing)} existed")
    if plan.not_images:
        parts.append(f"{len(plan.not_images)} skipped that are no images")
    if plan.earlier:
        parts.append(f"{len(plan.earlier)} left out as results of an earlier run")
    line = ("Interrupted: " if outcome.interrupted else "") + ", ".join(parts)
    if outcome.restored:
        place = "beside the inputs" if output is None else f"to {printable(output)}"
        each = duration(outcome.seconds / outcome.restored)
        what = "a file" if any(is_video(source) for source, _ in plan.jobs) else "an image"
        line += f"; written {place} in {duration(outcome.seconds)}, {each} {what}"
    click.echo(line)

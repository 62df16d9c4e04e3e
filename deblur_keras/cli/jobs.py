"""Decides which files become which results, before any work, so that clashes cost nothing."""

import os
import stat
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import click

from deblur_keras.cli.console import printable

DONE = {"deblur": "restored", "blur": "blurred"}
"""What has happened to a photograph, by direction; it ends the names beside the inputs."""
PREVIEW = "preview"
"""What ends the name of a video with its restoration beside it."""


@dataclass
class Plan:
    """Holds what a call is going to do.

    Attributes:
        jobs: (source, destination), paths both, in the order of the inputs.
        not_images: files that are left out for their suffix.
        earlier: files that are left out as results of an earlier run.
        done: jobs that an earlier run has done, of those that `leave_out_done` looked at.
        refused: (source, reason), of files whose results would be one.
        unsearched: (folder, reason), of folders that may not be searched.
    """

    jobs: list = field(default_factory=list)
    not_images: list = field(default_factory=list)
    earlier: list = field(default_factory=list)
    done: list = field(default_factory=list)
    refused: list = field(default_factory=list)
    unsearched: list = field(default_factory=list)

    @property
    def total(self):
        """How many files were to be restored, those done before or refused included."""
        return len(self.jobs) + len(self.done) + len(self.refused)


def make_plan(inputs, output, suffix, kind, video_suffix, samples=None):
    """Decides every destination.

    Args:
        inputs: what the user named: files, folders, patterns.
        output: file or folder to write to; None for beside the inputs.
        suffix: text that ends the names of photographs, or None.
        kind: format of photographs, a suffix without its dot, or None for the input's.
        video_suffix: text that ends the names of videos, or None.
        samples: number of dropout samples, whose map lies beside each photograph, or None.

    Returns:
        `Plan`.

    Raises:
        click.UsageError: the inputs and the output do not go together.
    """
    from deblur_keras import images, video

    if not all(inputs):
        raise click.UsageError("an input has an empty name; give files, folders or patterns")
    if output is not None:
        _check_output(output)
    plan = Plan()

    def note_unsearched(error):
        plan.unsearched.append((Path(error.filename), images.reason(error)))

    try:
        found = images.find(inputs, suffixes=None, unreadable=note_unsearched)
    except images.ImageError as error:
        raise click.UsageError(printable(error)) from None
    sources = []
    for source in found:
        if source.path.suffix.lower() not in images.PHOTOGRAPH_SUFFIXES | video.SUFFIXES:
            plan.not_images.append(source.path)
        elif output is not None and _is_earlier_output(source, output):
            plan.earlier.append(source.path)
        else:
            sources.append(source)
    if not sources:
        raise click.UsageError(
            f"no images found in {printable(', '.join(inputs))}; looked for files ending in "
            f"{images.known_suffixes(images.PHOTOGRAPH_SUFFIXES)}, and for videos: "
            f"{' '.join(sorted(video.SUFFIXES))}"
            + "".join(f"; {path}: not searched: {why}" for path, why in plan.unsearched)
        )
    named = {_key(given) for given in inputs}
    files = images.RESULT_SUFFIXES | video.SUFFIXES
    if output is not None and output.suffix.lower() in files and not output.is_dir():
        if len(sources) > 1 or any(Path(given).is_dir() for given in inputs):
            raise click.UsageError(
                f"-o {printable(output)} is the name of a file, but the input is not a single "
                "file; give a folder"
            )
        if suffix or kind:
            raise click.UsageError(
                "--suffix and --format do not go with -o FILE, which names the result in full"
            )
        if is_video(sources[0].path) != is_video(output):
            raise click.UsageError(
                f"{printable(sources[0].path)} and -o {printable(output)}: a photograph makes no "
                "video, nor the other way round; give a name of the same kind, or a folder"
            )
        plan.jobs = [(sources[0].path, output)]
    else:
        if output is not None and output.exists() and not output.is_dir():
            raise click.UsageError(f"-o {printable(output)} exists and is not a folder")
        if suffix and (os.sep in suffix or "/" in suffix):
            raise click.UsageError(f"--suffix {suffix!r} must not contain a path separator")
        plan.jobs = [
            (one.path, _destination(one, output, video_suffix, video.result_suffix(one.path)[1:]))
            if is_video(one.path)
            else (one.path, _destination(one, output, suffix, kind))
            for one in sources
        ]
    _leave_out_results(plan, named)
    _refuse_own(plan.jobs, samples)
    _refuse_clashes(plan, samples, kind)
    return plan


def _check_output(output):
    """Refuses names that stand for something else than a file to write or a folder."""
    from PIL import Image

    from deblur_keras import images, video

    if str(output) == "-":
        raise click.UsageError("-o -: results are written to files; give a file name or a folder")
    writable = images.RESULT_SUFFIXES | video.SUFFIXES
    known = {*Image.registered_extensions(), *images.RAW_SUFFIXES} - writable
    if output.suffix.lower() in known and not output.is_dir():
        raise click.UsageError(
            f"-o {printable(output)}: cannot write {output.suffix}; use one of "
            f"{images.known_suffixes(images.RESULT_SUFFIXES)}"
        )


def leave_out_done(plan):
    """Takes the jobs whose results are there, and no older than their sources, out of a plan.

    What a killed run left in the folders of the results, half written under hidden names, is
    removed.

    Args:
        plan: `Plan`; its `jobs` become fewer, `done` more.

    Returns:
        How many half-written files were removed.
    """
    from deblur_keras import images

    folders = dict.fromkeys(destination.parent for _, destination in plan.jobs)
    jobs, plan.jobs = plan.jobs, []
    for job in jobs:
        (plan.done if _is_done(*job) else plan.jobs).append(job)
    return sum(map(images.remove_leftovers, folders))


def _is_done(source, destination):
    """Whether a result is there; as results are written whole or not at all, it is complete."""
    try:
        written = destination.stat()
        return stat.S_ISREG(written.st_mode) and written.st_mtime_ns >= source.stat().st_mtime_ns
    except OSError:
        return False


def _destination(source, output, suffix, kind):
    from deblur_keras import images

    extension = f".{kind}" if kind else source.path.suffix
    if extension.lower() in images.RAW_SUFFIXES:
        extension = ".tif"  # nothing writes camera raw
    name = f"{source.path.stem}{suffix or ''}{extension}"
    if output is None:
        return source.path.with_name(name)
    return output / source.relative.parent / name


def _is_earlier_output(source, output):
    """Whether an output folder inside an input folder is being searched as input."""
    root = source.path.parents[len(source.relative.parts) - 1]
    inside = _real(output) in _real(source.path).parents
    return inside and not _real(root).is_relative_to(_real(output))


def _leave_out_results(plan, named):
    """Takes the results of an earlier run, which lie among the inputs, out of the jobs."""
    results = {
        _key(result): source
        for source, destination in plan.jobs
        for result in _results(source, destination)
    }
    jobs = []
    for source, destination in plan.jobs:
        maker = results.get(_key(source), source)
        if maker == source:
            jobs.append((source, destination))
        elif _key(source) in named:
            raise click.UsageError(
                f"{printable(source)} is an input and also the result of {printable(maker)}; "
                "leave one out, or give -o FOLDER or --suffix"
            )
        else:
            plan.earlier.append(source)
    plan.jobs = jobs


def _results(source, destination):
    """Files that a job makes, or has made by another call: of videos, previews and parts too."""
    if not is_video(source):
        return _written_by(destination, samples=2)  # maps of an earlier run, too
    from deblur_keras import video

    names = (f"{source.stem}-{end}{destination.suffix}" for end in (*DONE.values(), PREVIEW))
    whole = [destination, *map(destination.with_name, names)]
    return [*whole, *map(video.partial_path, whole)]


def is_video(path):
    """Says whether a path has the suffix of a video."""
    from deblur_keras import video

    return path.suffix.lower() in video.SUFFIXES


def _refuse_own(jobs, samples):
    own = [
        source
        for source, destination in jobs
        if _real(source) in map(_real, _written_by(destination, samples))
    ]
    if own:
        raise click.UsageError(
            f"the result of {printable(own[0])} would overwrite it, which never happens; give "
            "another -o, or a --suffix"
        )


def _refuse_clashes(plan, samples, kind):
    """Takes jobs with one destination out: with one there, the others would look as if done."""
    sources = defaultdict(list)
    for source, destination in plan.jobs:
        for path in _written_by(destination, samples):
            sources[_key(path)].append(source)
    jobs, plan.jobs = plan.jobs, []
    for source, destination in jobs:
        others, shared = [], destination
        for path in reversed(_written_by(destination, samples)):
            found = [str(other) for other in sources[_key(path)] if other != source]
            others, shared = (found, path) if found else (others, shared)
        if others:
            why = (
                f"{' and '.join(others)} would be written to {shared} too, so none is; "
                "restore them one after the other into different folders"
                + (", or leave --format out" if kind else "")
            )
            plan.refused.append((source, why))
        else:
            plan.jobs.append((source, destination))
    if plan.refused and not plan.jobs:
        source, why = plan.refused[0]
        raise click.UsageError(f"{printable(source)}: {printable(why)}")


def _written_by(destination, samples):
    from deblur_keras.photographs import written_by

    return written_by(destination, samples)


def _real(path):
    return Path(os.path.realpath(path))  # Path.resolve raises where a link leads back to itself


def _key(path):
    return os.path.abspath(path)  # noqa: PTH100 - links are names of their own

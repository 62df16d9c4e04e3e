"""`deblur-keras deblur`: blurred files, folders and patterns in, restored files out; or back."""

import os
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import click

from deblur_keras.cli import clips
from deblur_keras.cli.console import console, duration, fail, import_tensorflow, printable, progress

# What happens to a photograph, by direction. Its past tense ends the names beside the inputs.
_DOING = {"deblur": "Restoring", "blur": "Blurring"}
_DONE = {"deblur": "restored", "blur": "blurred"}
_KINDS = ["png", "jpg", "jpeg", "webp", "avif", "tif", "tiff", "jp2", "heic", "bmp"]
_PREVIEW = "preview"
_RUN_MODEL = "generator.keras"  # of a run folder
_SHOWN = 3  # of the results that exist already, by name


@dataclass
class _Plan:
    """What a call is going to do: (source, destination) jobs, and the files it leaves out."""

    jobs: list = field(default_factory=list)
    not_images: list = field(default_factory=list)
    earlier: list = field(default_factory=list)


@dataclass
class _Outcome:
    """What a call has done."""

    restored: int = 0
    failures: list = field(default_factory=list)  # (path, reason)
    existing: list = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File name for a single input file, else a folder. Without it the results lie beside "
    "the inputs.",
)
@click.option(
    "--model",
    default="default",
    show_default=True,
    help="Name of weights that ship, path of a generator saved as .keras, or a run folder.",
)
@click.option(
    "--direction",
    type=click.Choice(list(_DONE)),
    default="deblur",
    show_default=True,
    help="blur makes sharp photographs blurred, with the blur generator that training a CycleGAN "
    "saves beside MODEL: blur_generator.keras beside generator.keras.",
)
@click.option("--overwrite", is_flag=True, help="Replace results that exist. Never the inputs.")
@click.option(
    "--suffix",
    help="Text appended to the names of the results.  [default: -restored (-blurred with "
    "--direction blur) without -o, else none]",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(_KINDS, case_sensitive=False),
    help="Format of the results.  [default: the input's; tif for camera raw]",
)
@click.option(
    "--quality",
    type=click.IntRange(1, 100),
    default=95,
    show_default=True,
    help="Of JPEG, WebP, AVIF and HEIC results (the other formats are lossless), and of videos: "
    "H.264's CRF is 51 - 0.36 x quality.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=200_000_000,
    show_default=True,
    help="Refuse photographs of more pixels than this before they are decoded.",
)
@click.option(
    "--restore-with-dropout",
    is_flag=True,
    help="Keep the generator's dropout active, as DeblurGAN does.",
)
@click.option(
    "--start",
    type=clips.Seconds(),
    help="Begin a video here: seconds, or h:mm:ss. Sound and metadata come along.",
)
@click.option("--end", type=clips.Seconds(), help="End a video before this moment.")
@click.option(
    "--preview",
    is_flag=True,
    help="Of a video, write each frame with its restoration beside it: NAME-preview.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of that dropout."
)
def deblur(
    inputs,
    output,
    model,
    direction,
    overwrite,
    suffix,
    kind,
    quality,
    max_pixels,
    restore_with_dropout,
    seed,
    **of_videos,
):
    """Restores blurred photographs and videos.

    INPUT is any number of image and video files, folders (searched to the bottom; the tree is kept
    in the output) and patterns such as 'trip/*/IMG_1*.jpg'. Files that are no images are skipped, a
    broken one does not stop the rest. The exit code is 1 when something could not be restored.

    Videos keep their frame times, sound, subtitles and metadata; the picture is encoded as H.264
    (in WebM: VP9). Ctrl-C leaves what was restored as NAME.part.mp4. The suffixes .mp4 .m4v .mov
    .mkv .webm are kept, the result of another kind is an .mkv. This needs PyAV, pip install
    "av>=16,<17"; without it the pictures alone are kept.

    Results are upright, and keep 16 bits, transparency, colour profile, EXIF and XMP as far as the
    format allows; thumbnails, which show the blurred photograph, are left out. CMYK becomes sRGB.
    HEIC needs pip install "pillow-heif>=1.1,<2", camera raw pip install "rawpy>=0.24,<1".

    \b
    Examples:
        deblur-keras deblur photo.jpg                      photo-restored.jpg beside it
        deblur-keras deblur photo.jpg -o sharp.png
        deblur-keras deblur holiday/ -o restored/
        deblur-keras deblur holiday/ scan.tif -o restored/ --format png
        deblur-keras deblur IMG_1234.HEIC -o sharp.jpg --quality 90
        deblur-keras deblur a.jpg --model runs/first/generator.keras --overwrite
        deblur-keras deblur a.jpg --model runs/cycle --direction blur
        deblur-keras deblur clip.mp4 -o sharp.mp4
        deblur-keras deblur clip.mp4 --start 1:10 --end 1:15 --preview
    """  # noqa: D301 - click wants the real \b
    of_video = f"-{_PREVIEW}" if of_videos["preview"] and suffix is None else suffix
    if suffix is None and output is None:
        suffix = f"-{_DONE[direction]}"
    plan = _make_plan(inputs, output, suffix, kind, of_video or suffix)
    _check_options_of_videos(plan, **of_videos)
    model = _find_model(model, direction)
    import_tensorflow()
    from deblur_keras.restorer import ModelError, Restorer

    try:
        restorer = Restorer(model, restore_with_dropout=restore_with_dropout, seed=seed)
    except ModelError as error:
        raise fail(error) from None
    both = {"overwrite": overwrite, "quality": quality}
    of_photographs = both | {"max_pixels": max_pixels}
    outcome = _restore(restorer, plan.jobs, of_photographs, both | of_videos, _DOING[direction])
    _summarize(plan, outcome, output, _DONE[direction])
    if outcome.failures or outcome.existing or outcome.interrupted:
        raise SystemExit(1)


def _find_model(model, direction):
    """Returns what the Restorer is to load: the given model, or the blur generator beside it."""
    path = Path(model)
    if (path / _RUN_MODEL).is_file():
        path /= _RUN_MODEL
        model = str(path)
    if direction == "deblur" or path.name.startswith("blur_"):
        return model
    path = path.with_name(f"blur_{path.name}")
    if not path.is_file():
        raise fail(
            f"{path}: no such model. --direction blur needs the generator that training a CycleGAN "
            "saves under this name beside the one that deblurs; give that run's folder as --model"
        )
    return str(path)


def _make_plan(inputs, output, suffix, kind, video_suffix):
    """Decides every destination before any work, so that clashes cost no time and no files."""
    from deblur_keras import images, video

    try:
        found = images.find(inputs, suffixes=None)
    except images.ImageError as error:
        raise click.UsageError(printable(error)) from None
    plan = _Plan()
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
        if _is_video(sources[0].path) != _is_video(output):
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
            if _is_video(one.path)
            else (one.path, _destination(one, output, suffix, kind))
            for one in sources
        ]
    _leave_out_results(plan, named)
    _refuse_clashes(plan.jobs)
    return plan


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
    if not _is_video(source):
        return [destination]
    from deblur_keras import video

    names = (f"{source.stem}-{end}{destination.suffix}" for end in (*_DONE.values(), _PREVIEW))
    whole = [destination, *map(destination.with_name, names)]
    return [*whole, *map(video.partial_path, whole)]


def _is_video(path):
    from deblur_keras import video

    return path.suffix.lower() in video.SUFFIXES


def _check_options_of_videos(plan, start, end, preview):
    given = [f"--{name}" for name, value in (("start", start), ("end", end)) if value is not None]
    given += ["--preview"] if preview else []
    if given and not any(_is_video(source) for source, _ in plan.jobs):
        raise click.UsageError(f"{' and '.join(given)} are of videos; the input has none")
    if end is not None and end <= (start or 0):
        raise click.UsageError(
            f"nothing lies between --start {float(start or 0):g} and --end {float(end):g} (seconds)"
        )


def _refuse_clashes(jobs):
    own = [source for source, destination in jobs if _real(source) == _real(destination)]
    if own:
        raise click.UsageError(
            f"the result of {printable(own[0])} would overwrite it, which never happens; give "
            "another -o, or a --suffix"
        )
    by_destination = defaultdict(list)
    for source, destination in jobs:
        by_destination[_key(destination)].append(source)
    clashes = [sources for sources in by_destination.values() if len(sources) > 1]
    if clashes:
        first = " and ".join(printable(source) for source in clashes[0])
        more = f" (and {len(clashes) - 1} more such cases)" if len(clashes) > 1 else ""
        raise click.UsageError(
            f"{first} would be written to one file{more}; restore them one after the other into "
            "different folders, or leave --format out"
        )


def _restore(restorer, jobs, of_photographs, of_videos, doing):
    outcome = _Outcome()
    started = time.monotonic()
    try:
        with progress(doing, total=len(jobs)) as shown:
            for source, destination in jobs:
                shown.start(source)
                try:
                    if _is_video(source):
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


def _summarize(plan, outcome, output, done):
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
        what = "a file" if any(_is_video(source) for source, _ in plan.jobs) else "an image"
        line += f"; written {place} in {duration(outcome.seconds)}, {each} {what}"
    click.echo(line)


def _real(path):
    return Path(os.path.realpath(path))  # Path.resolve raises where a link leads back to itself


def _key(path):
    return os.path.abspath(path)  # noqa: PTH100 - links are names of their own

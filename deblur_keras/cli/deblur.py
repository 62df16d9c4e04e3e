"""`deblur-keras deblur`: blurred files, folders and patterns in, restored files out; or back."""

from pathlib import Path

import click

from deblur_keras.cli import batch, clips, engines, jobs
from deblur_keras.cli.console import fail, printable
from deblur_keras.cli.quality import quality_options, uncertainty_line
from deblur_keras.cli.restoring import restoring_options

_DOING = {"deblur": "Restoring", "blur": "Blurring"}
_KINDS = ["png", "jpg", "jpeg", "webp", "avif", "tif", "tiff", "jp2", "heic", "bmp"]
_RUN_MODEL = "generator.keras"  # of a run folder


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
    help="Name of weights that ship, path of a generator saved as .keras or exported as .onnx, or "
    "a run folder.",
)
@click.option(
    "--direction",
    type=click.Choice(list(jobs.DONE)),
    default="deblur",
    show_default=True,
    help="blur makes sharp photographs blurred, with the blur generator that training a CycleGAN "
    "saves beside MODEL: blur_generator.keras beside generator.keras.",
)
@click.option("--overwrite", is_flag=True, help="Replace results that exist. Never the inputs.")
@click.option(
    "--resume",
    is_flag=True,
    help="Do what an interrupted or killed run has not: results that exist are taken as done, "
    "whatever model and options made them, unless the input is newer.",
)
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
@quality_options
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
@restoring_options
@engines.engine_options
@engines.verify_option
def deblur(
    inputs,
    output,
    model,
    direction,
    overwrite,
    resume,
    suffix,
    kind,
    quality,
    max_pixels,
    samples,
    start,
    end,
    preview,
    verify,
    **of_restorer,
):
    """Restores blurred photographs and videos.

    INPUT is any number of image and video files, folders (searched to the bottom; the tree is kept
    in the output) and patterns such as 'trip/*/IMG_1*.jpg'. Files that are no images are skipped, a
    broken one does not stop the rest. The exit code is 1 when something could not be restored.
    Results are written whole or not at all: after Ctrl-C, or a crash, --resume does the rest.

    Videos keep their frame times, sound, subtitles and metadata; the picture is encoded as H.264
    (in WebM: VP9). Ctrl-C leaves what was restored as NAME.part.mp4. The suffixes .mp4 .m4v .mov
    .mkv .webm are kept, the result of another kind is an .mkv. This needs PyAV; without it the
    pictures alone are kept.

    Results are upright, and keep 16 bits, transparency, colour profile, EXIF and XMP as far as the
    format allows; thumbnails, which show the blurred photograph, are left out. CMYK becomes sRGB.

    
    Some things need a package more:
        pip install "openvino>=2026.0,<2027"  the quickest engine, without TensorFlow
        pip install "av>=16,<17"              videos with their sound, as H.264
        pip install "pillow-heif>=1.1,<2"     HEIC
        pip install "rawpy>=0.24,<1"          camera raw

    \b
    Examples:
        deblur-keras deblur photo.jpg                      photo-restored.jpg beside it
        deblur-keras deblur photo.jpg -o sharp.png
        deblur-keras deblur holiday/ -o restored/
        deblur-keras deblur holiday/ scan.tif -o restored/ --format png
        deblur-keras deblur holiday/ -o restored/ --resume  what the first run has not done
        deblur-keras deblur IMG_1234.HEIC -o sharp.jpg --quality 90
        deblur-keras deblur a.jpg --model runs/first/generator.keras --overwrite
        deblur-keras deblur a.jpg --model runs/cycle --direction blur
        deblur-keras deblur clip.mp4 -o sharp.mp4
        deblur-keras deblur clip.mp4 --start 1:10 --end 1:15 --preview
        deblur-keras deblur holiday/ -o restored/ --engine openvino --precision bf16 --verify
        deblur-keras deblur panorama.tif --memory 2GB
        deblur-keras deblur a.jpg --ensemble --strength 0.7
        deblur-keras deblur a.jpg --model runs/first --dropout-samples 16
    """  # noqa: D301 - click wants the real \b
    of_video = f"-{jobs.PREVIEW}" if preview and suffix is None else suffix
    if suffix is None and output is None:
        suffix = f"-{jobs.DONE[direction]}"
    if resume and overwrite:
        raise click.UsageError(
            "--resume keeps the results that exist and --overwrite replaces them; give one of them"
        )
    plan = jobs.make_plan(inputs, output, suffix, kind, of_video or suffix, samples)
    _check_options_of_videos(plan, start, end, preview, samples)
    if resume:
        batch.tell_removed(jobs.leave_out_done(plan))
    both = {"overwrite": overwrite or resume, "quality": quality}
    of_photographs = both | {"max_pixels": max_pixels, "samples": samples}
    of_videos = both | {"start": start, "end": end, "preview": preview}
    outcome, by = batch.Outcome(failures=plan.refused), ""
    if plan.jobs:
        of_restorer["restore_with_dropout"] |= samples is not None
        restorer = engines.make_restorer(_find_model(model, direction), **of_restorer)
        if verify:
            photographs = [source for source, _ in plan.jobs if not jobs.is_video(source)]
            engines.check_engine(restorer, photographs, max_pixels, **of_restorer)
        outcome = batch.restore(restorer, plan, of_photographs, of_videos, _DOING[direction])
        by = engines.described(restorer)
    batch.summarize(plan, outcome, output, jobs.DONE[direction], by)
    if samples is not None and outcome.written:
        click.echo(uncertainty_line(outcome.written))
    if outcome.failures or outcome.existing or outcome.interrupted or plan.unsearched:
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


def _check_options_of_videos(plan, start, end, preview, samples):
    given = [f"--{name}" for name, value in (("start", start), ("end", end)) if value is not None]
    given += ["--preview"] if preview else []
    videos = [source for source, _ in plan.jobs if jobs.is_video(source)]
    if samples is not None and videos:
        raise click.UsageError(
            f"--dropout-samples is of photographs; {printable(videos[0])} is a video, leave it out"
        )
    if given and not videos:
        raise click.UsageError(f"{' and '.join(given)} are of videos; the input has none")
    if end is not None and end <= (start or 0):
        raise click.UsageError(
            f"nothing lies between --start {float(start or 0):g} and --end {float(end):g} (seconds)"
        )

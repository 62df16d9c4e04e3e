"""`deblur-keras average`: the frames of a fast camera in, pairs of blurred and sharp ones out."""

import dataclasses
import os
import re
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import click

from deblur_keras.cli.average_table import Row, write_table
from deblur_keras.cli.console import console, duration, fail, printable, progress

_SPLITS = ("train", "test", "val")
_SIDES = ("blur", "sharp")
_REASONS = {
    "repeated": "repeated frames",
    "cuts": "cuts",
    "size": "changes of size",
    "still": "windows without motion",
}
_SEPARATE = 6.0  # pixels between frames from which copies show instead of a blur
_SHORT = 0.98  # a video that ends before this part of what its header promises is cut off


@dataclass
class _Outcome:
    """What became of a scene."""

    scene: object  # frames.Scene
    averager: object  # averaging.Averager
    rows: list = dataclasses.field(default_factory=list)
    error: str = ""


class _Lengths(click.ParamType):
    """`7-21` or `11`, as the lowest and the highest number."""

    name = "frames"

    def convert(self, value, parameter, context):
        found = re.fullmatch(r"\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?", value)
        if not found:
            self.fail(f"{value!r} is no number of frames, such as 11 or 7-21.", parameter, context)
        lowest = int(found[1])
        highest = int(found[2] or lowest)
        if highest < lowest:
            self.fail(f"{value!r} runs backwards; write {highest}-{lowest}.", parameter, context)
        if not _odd(lowest, highest):
            self.fail(
                f"there is no odd number from 3 on in {value!r}: only an odd number of frames has "
                "one in the middle, which becomes the sharp side.",
                parameter,
                context,
            )
        return lowest, highest


def _odd(lowest, highest):
    return range(max(lowest, 3) | 1, highest + 1, 2)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument(
    "sources",
    nargs=-1,
    required=True,
    metavar="VIDEO_OR_FOLDER...",
    type=click.Path(path_type=Path),
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the pairs: GoPro's tree, <split>/<scene>/{blur,sharp}/000001.png.",
)
@click.option(
    "--frames",
    "lengths",
    type=_Lengths(),
    default="7-21",
    show_default=True,
    help="How many frames make a blurred one: a number, or a range to draw from. Odd numbers only, "
    "so that the sharp frame lies exactly in the middle.",
)
@click.option(
    "--stride",
    type=click.IntRange(min=1),
    help="Frames from the start of a window to the start of the next: few make windows overlap, "
    "many leave frames between them unused.  [default: the window's length, so that windows "
    "follow each other]",
)
@click.option(
    "--gamma",
    type=float,
    default=2.2,
    show_default=True,
    help="Light is level ** gamma; 1 averages the grey levels themselves.",
)
@click.option(
    "--scale",
    type=float,
    default=1.0,
    show_default=True,
    help="Reduce the frames first, by area averaging; 0.5 is the papers' halved GoPro.",
)
@click.option(
    "--min-motion",
    type=float,
    default=2.0,
    show_default=True,
    help="Leave out windows in which nothing moves by this many pixels. Measured by optical flow, "
    "at the 95th percentile of the picture; the noise of a still scene does not count.",
)
@click.option(
    "--cut",
    "max_change",
    type=float,
    default=0.6,
    show_default=True,
    help="Change between neighbours that is a cut, which no window spans: mean difference of 32 "
    "pixels wide thumbnails, as a part of their contrast. Unrelated pictures have about 1, "
    "neighbours at 240 frames a second 0.05 to 0.2.",
)
@click.option(
    "--repeat",
    "repeat_change",
    type=float,
    default=1.0,
    show_default=True,
    help="Pass over a frame when no block of 16x16 pixels differs from the frame before by more "
    "than this, in grey levels of 255; -1 keeps all.",
)
@click.option(
    "--split",
    type=click.Choice(_SPLITS),
    default=_SPLITS[0],
    show_default=True,
    help="Which part of the set the scenes are. One OUTPUT may get several, one call after the "
    "other.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Decides the windows' lengths. Those of a scene depend on it and on the scene's name, not "
    "on the other scenes.",
)
def average(sources, output, lengths, split, seed, **options):
    """Makes blurred/sharp pairs out of the frames of a fast camera (120 a second or more).

    Averages windows of consecutive sharp frames in linear light, which is what a slower shutter
    would have seen; the frame in the middle is the sharp side. This is how GoPro was made. Each
    video is a scene, and each folder that holds frames (numbered images). No window spans a cut, a
    broken frame or a change of size; repeated frames and windows without motion are left out.

    OUTPUT/<split>/average.csv says what each pair was made of: frames are numbered from 0 in a
    video, and named by their files in a folder. The exit code is 1 when a frame or a video could
    not be read, or a scene gave no pairs.

    \b
    Examples:
        deblur-keras average clip.mp4 -o pairs/
        deblur-keras average videos/ -o pairs/ --frames 7-13 --scale 0.5
        deblur-keras average street/ park.mov -o pairs/ --split test --stride 240
        deblur-keras train --data pairs/ -o runs/first
    """  # noqa: D301 - click wants the real \b
    # Before OpenCV is imported: on a broken video, both say much that does not name it.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    from deblur_keras import frames, images
    from deblur_keras.averaging import Averager

    odd = _odd(*lengths)
    try:
        Averager(odd, **options)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    _refuse_used(output, split)
    _refuse_within(sources, output)
    try:
        # Pairs of an earlier call may lie below a source: averaged again, they leak between splits.
        scenes = frames.scenes(sources, outside=output)
    except images.ImageError as error:
        raise fail(error) from None
    if not scenes:
        raise fail(
            f"no frames found in {', '.join(map(str, sources))}; looked for images "
            f"({images.known_suffixes()}) and videos ({' '.join(sorted(frames.VIDEO_SUFFIXES))})"
        )
    _tell_rules(lengths, odd, **options)
    averagers = [Averager(odd, seed=[seed, _checksum(s.name)], **options) for s in scenes]
    started = time.monotonic()
    outcomes = _average_scenes(scenes, averagers, output / split)
    _summarize(outcomes, scenes, odd, output / split, time.monotonic() - started)
    if len(outcomes) < len(scenes) or any(_problems(outcome, odd) for outcome in outcomes):
        raise SystemExit(1)


def _checksum(name):
    return zlib.crc32(name.encode("utf-8", "surrogateescape"))


def _refuse_used(output, split):
    """Raises unless the split is new, in a folder that is empty or holds other splits alone."""
    for folder, allowed in ((output, _SPLITS), (output / split, ())):
        present = folder.iterdir() if folder.is_dir() else ()
        names = (entry.name for entry in present if not entry.name.startswith("."))
        in_the_way = sorted(set(names) - set(allowed))
        if in_the_way:
            raise fail(f"{folder} holds {in_the_way[0]}; choose an output folder that is new")


def _refuse_within(sources, output):
    """Raises when a source is what an earlier call has made."""
    for source in sources:
        if source.resolve().is_relative_to(output.resolve()):
            raise click.UsageError(
                f"the frames ({printable(source)}) lie in the output folder ({printable(output)}); "
                "choose another output folder"
            )


def _tell_rules(lengths, odd, stride, gamma, scale, min_motion, max_change, repeat_change):
    lowest, highest = odd[0], odd[-1]
    numbers = f"{lowest} to {highest}" if highest > lowest else str(lowest)
    if lengths != (lowest, highest):
        numbers += f" (of {lengths[0]}-{lengths[1]} only these have a frame in the middle)"
    numbers = f"an odd number of frames, {numbers}" if highest > lowest else f"{numbers} frames"
    apart = f", {stride} frames from start to start" if stride else ""
    smaller = f", frames reduced to {scale:g} of their size" if scale < 1 else ""
    _note(f"Windows of {numbers}{apart}; gamma {gamma:g}{smaller}")
    _note(
        f"Left out: frames that repeat (change of any block up to {repeat_change:g}), cuts (change "
        f"above {max_change:g}), windows with less than {min_motion:g} pixels of motion"
    )


def _average_scenes(scenes, averagers, folder):
    """Makes the pairs of all scenes; the table lists those made, also after Ctrl-C."""
    outcomes = []
    # A video without a known length counts as one step, taken at its end.
    steps = [scene.count or 1 for scene in scenes]
    try:
        with progress("Averaging", total=sum(steps)) as shown:
            for scene, averager, count in zip(scenes, averagers, steps, strict=True):
                outcomes.append(_Outcome(scene, averager))
                try:
                    _average_scene(outcomes[-1], folder, shown, shown.done + count)
                finally:
                    write_table([row for outcome in outcomes for row in outcome.rows], folder)
    except KeyboardInterrupt:
        if outcomes:
            outcomes[-1].error = "interrupted"
    return outcomes


def _average_scene(outcome, folder, shown, end):
    """Makes the pairs of one scene, and notes in `outcome` how it went."""
    scene, rows = outcome.scene, outcome.rows

    def counted():
        for number, frame in enumerate(scene.frames(), start=1):
            shown.start(scene.name if scene.count else f"{scene.name}, frame {number}")
            yield frame
            shown.advance(int(shown.done + 1 < end))  # the header may promise too few

    try:
        for pair in outcome.averager.pairs(counted()):
            name = f"{len(rows) + 1:06d}"
            _write_pair(pair, folder / scene.name, name)
            rows.append(
                Row(
                    pair=f"{scene.name}/{name}",
                    source=str(scene.path),
                    first=pair.first,
                    middle=pair.middle,
                    last=pair.last,
                    frames=pair.frames,
                    width=pair.sharp.shape[1],
                    height=pair.sharp.shape[0],
                    gamma=outcome.averager.gamma,
                    scale=outcome.averager.scale,
                    motion=round(pair.motion, 1),
                    psnr=round(pair.psnr, 2),
                )
            )
    except Exception as error:  # whatever one scene does, the others are averaged
        outcome.error = str(error).strip().split("\n")[0] or type(error).__name__
    shown.advance(end - shown.done)


def _write_pair(pair, folder, name):
    from deblur_keras import images

    written = []
    try:
        for side, image in zip(_SIDES, (pair.blurred, pair.sharp), strict=True):
            written.append(images.write(folder / side / f"{name}.png", image))
    except BaseException:
        for place in written:  # half a pair is worse than none
            place.unlink(missing_ok=True)
        raise


def _problems(outcome, odd):
    """What went wrong with a scene, in words; empty when nothing did."""
    scene, averager = outcome.scene, outcome.averager
    if outcome.error:
        return [outcome.error]
    found = []
    if averager.left_out["broken"]:
        number = _some(averager.left_out["broken"], "broken frame")
        found.append(f"{number}, the first: {averager.first['broken']}")
    if not scene.files and averager.seen < _SHORT * scene.count:
        found.append(
            f"cut off or broken: it ends after {averager.seen} of the {scene.count} frames that "
            "its header promises"
        )
    if averager.seen < odd[0]:
        held = _some(averager.seen, "frame")
        found.append(f"too short: it has {held}, and a window takes {odd[0]} (--frames)")
    elif not outcome.rows:
        found.append("no pairs: every window was left out or broken off")
    return found


def _summarize(outcomes, scenes, odd, folder, seconds):
    for outcome in outcomes:
        _tell_scene(outcome)
        for problem in _problems(outcome, odd):
            _note(f"failed: {outcome.scene.name}: {problem}")
    made = sum(len(outcome.rows) for outcome in outcomes)
    sources = sum(bool(outcome.rows) for outcome in outcomes)
    text = f"{_some(made, 'pair')} made, of {sources} of {_some(len(scenes), 'scene')}"
    where = f"; written to {printable(folder)} in {duration(seconds)}" if made else ""
    click.echo(text + where)


def _tell_scene(outcome):
    rows, averager, name = outcome.rows, outcome.averager, outcome.scene.name
    if rows:
        motion, psnr = [row.motion for row in rows], [row.psnr for row in rows]
        click.echo(
            f"{printable(name)}: {_some(len(rows), 'pair')} of {rows[0].width}x{rows[0].height} "
            f"from {_some(averager.seen, 'frame')}; motion {min(motion):.1f} to {max(motion):.1f} "
            f"pixels; PSNR {min(psnr):.1f} to {max(psnr):.1f} dB, mean {sum(psnr) / len(psnr):.1f}"
        )
        apart = sorted(row.motion / (row.frames - 1) for row in rows)[len(rows) // 2]
        if apart > _SEPARATE:
            _note(
                f"{name}: neighbouring frames lie about {apart:.0f} pixels apart, so that copies "
                "may show instead of a blur; take a faster camera, or a smaller --scale"
            )
    left_out = [
        f"{what} {averager.left_out[reason]} (first: {averager.first[reason]})"
        for reason, what in _REASONS.items()
        if averager.left_out[reason]
    ]
    if left_out:
        _note(f"{name}: left out: {'; '.join(left_out)}")


def _note(message):
    console().print(printable(message), markup=False, soft_wrap=True)


def _some(number, noun):
    """`1 pair`, `2 pairs`."""
    return f"{number} {noun}{'s' * (number != 1)}"
